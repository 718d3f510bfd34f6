//! Copies and fills of few bytes: every length, overlapping both ways, and at the end of the memory.

use super::{returns, run};
use cellwall_ir::Trap;
use cellwall_ir::interp::Stop;

/// A memory of 64 different bytes at 100 and at its end; `f` does something and gives a sum in which
/// every place counts by its own.
fn module(params: &str, body: &str) -> String {
    let sum = "(loop $next
        (local.set $sum (i64.add
            (i64.mul (local.get $sum) (i64.const 31))
            (i64.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 300))))";
    format!(
        "(module (memory 1 1)
            (data (i32.const 100) \"{bytes}\") (data (i32.const 65472) \"{bytes}\")
            (func (export \"f\") {params} (result i64) (local $at i32) (local $sum i64)
                {body} {sum} (local.get $sum)))",
        bytes = (33..97).map(|b| format!("\\{b:02x}")).collect::<String>(),
    )
}

/// What `module` answers if the memory is changed like this.
fn expected(change: impl FnOnce(&mut [u8])) -> u64 {
    let mut memory = [0; 300];
    for (at, byte) in (33..97).enumerate() {
        memory[100 + at] = byte;
    }
    change(&mut memory);
    let step = |sum: u64, &byte: &u8| sum.wrapping_mul(31).wrapping_add(byte.into());
    memory.iter().fold(0, step)
}

/// A copy whose length is a parameter, and one whose length is a constant.
fn copies(len: u64) -> [(String, bool); 2] {
    let open = "(memory.copy (local.get 0) (local.get 1) (local.get 2))";
    let fixed = format!("(memory.copy (local.get 0) (local.get 1) (i32.const {len}))");
    [
        (module("(param i32 i32 i32)", open), true),
        (module("(param i32 i32)", &fixed), false),
    ]
}

#[test]
fn a_copy_of_any_length_copies_that_many_bytes_and_may_overlap() {
    for len in (0..40).chain([63, 64, 65, 127, 128, 129]) {
        for (wat, open) in copies(len) {
            for (dst, src) in [(10, 100), (103, 100), (100, 107), (100, 100)] {
                let args = [dst, src, len];
                let args = &args[..if open { 3 } else { 2 }];
                let sum = expected(|memory| {
                    memory.copy_within(src as usize..(src + len) as usize, dst as usize);
                });
                returns(&wat, args, &[sum]);
            }
        }
    }
}

#[test]
fn a_copy_that_leaves_the_memory_at_either_end_traps_and_writes_nothing() {
    // Where reservations are small, `run` leaves lengths that are not known to the runtime, and
    // compares what is in the memory afterwards.
    let size = 1 << 16;
    for len in (0..36).chain([128]) {
        for (wat, open) in copies(len) {
            let outcome = |dst: u64, src: u64| {
                let args = [dst, src, len];
                run(&wat, &args[..if open { 3 } else { 2 }])
            };
            assert!(outcome(size - len, 100).is_ok());
            assert!(outcome(100, size - len).is_ok());
            let trap = Err(Stop::Trap(Trap::MemoryOutOfBounds));
            assert_eq!(outcome(size - len + 1, 100), trap, "{len}");
            assert_eq!(outcome(100, size - len + 1), trap, "{len}");
            assert_eq!(outcome(u64::from(u32::MAX) - 7, 100), trap, "{len}");
            assert_eq!(outcome(100, u64::from(u32::MAX)), trap, "{len}");
        }
    }
}

#[test]
fn a_fill_of_any_length_writes_the_low_byte_that_often() {
    for len in (0..40).chain([63, 64, 65, 127, 128, 129]) {
        for byte in ["(i32.const 0x1a5)", "(local.get 1)"] {
            for count in [format!("(i32.const {len})"), "(local.get 2)".to_owned()] {
                let fill = format!("(memory.fill (local.get 0) {byte} {count})");
                let wat = module("(param i32 i32 i32)", &fill);
                let sum = expected(|memory| memory[90..90 + len as usize].fill(0xa5));
                returns(&wat, &[90, 0x3a5, len], &[sum]);
                let trap = Err(Stop::Trap(Trap::MemoryOutOfBounds));
                let beyond = (1 << 16) - len + 1;
                assert_eq!(run(&wat, &[beyond, 0, len]), trap, "{len}");
                assert_eq!(run(&wat, &[u64::from(u32::MAX), 0, len]), trap, "{len}");
            }
        }
    }
}
