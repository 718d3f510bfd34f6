//! Pointers and sizes that a guest makes up.

use crate::harness::{
    BUF, MEMORY_BYTES, O_CREAT, OUT, RIGHT_READ, RIGHT_WRITE, RW, SIGNATURES, World, errno,
};
use cellwall::Trap;

#[test]
fn a_pointer_outside_of_the_memory_traps_with_the_functions_name() {
    let mut w = World::new();
    let error = w
        .guest
        .call("fd_tell", &[RW, 0])
        .map(|errno| assert_eq!(errno, errno::BADF));
    assert!(error.is_ok(), "the descriptor is looked at before the pointer");
    let error = w
        .guest
        .call("random_get", &[i64::from(MEMORY_BYTES) - 1, 2])
        .expect_err("one byte too many");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
    assert!(
        format!("{error:?}").contains("wasi_snapshot_preview1::random_get"),
        "{error:?}"
    );
    w.guest.ok("random_get", &[i64::from(MEMORY_BYTES) - 2, 2]);
}

#[test]
fn a_misaligned_pointer_traps() {
    let mut w = World::new();
    let error = w
        .guest
        .call("clock_time_get", &[0, 0, OUT + 4])
        .expect_err("eight bytes need eight");
    assert!(format!("{error:#}").contains("not aligned to 8"), "{error:#}");
    w.guest.ok("clock_time_get", &[0, 0, OUT]);
}

/// No argument makes the host panic or allocate by the guest's word.
#[test]
fn any_arguments_are_answered() {
    let values = [
        0,
        1,
        3,
        4,
        5,
        7,
        8,
        16,
        BUF,
        i64::from(MEMORY_BYTES) - 4,
        1 << 20,
        i64::from(i32::MAX),
        -8,
        -1,
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let (mut answered, mut stopped) = (0, 0);
    for round in 0..20 {
        let mut w = World::with(|builder| {
            builder.allow_blocking(false);
        });
        w.guest.put(BUF, b"dir/inner/../file\0\xff\xff\xff\xff");
        for _ in 0..500 {
            let (name, params) = SIGNATURES[next() % SIGNATURES.len()];
            // A size that reserves space on the disk is the guest's right; keep the disk.
            if name == "fd_allocate" || name == "fd_filestat_set_size" {
                continue;
            }
            let args: Vec<i64> = params.chars().map(|_| values[next() % values.len()]).collect();
            match w.guest.call(name, &args) {
                Ok(errno) => {
                    assert!(errno <= 76, "{name}{args:?} answered {errno}");
                    answered += 1;
                }
                Err(_) => stopped += 1,
            }
        }
        assert!(w.host.path().is_dir(), "round {round}");
    }
    assert!(
        answered > 1000 && stopped > 1000,
        "{answered} answered, {stopped} stopped"
    );
}

#[test]
fn a_path_is_limited_before_it_is_looked_at() {
    let mut w = World::new();
    let long = "a/".repeat(2048);
    assert_eq!(w.guest.open(RW, &long, 0, RIGHT_READ), Err(errno::NAMETOOLONG));
    assert_eq!(
        w.guest.open(RW, &"./".repeat(2040), 0, RIGHT_READ).map(|_| ()),
        Ok(())
    );
    assert_eq!(
        w.guest.open(RW, "nul\0byte", O_CREAT, RIGHT_READ),
        Err(errno::INVAL)
    );
    let [at, len] = w.guest.pass([b'f', 0xff]);
    w.guest.no("path_create_directory", &[RW, at, len], errno::ILSEQ);
}

#[test]
fn the_number_of_buffers_is_limited() {
    let mut w = World::new();
    let fits = vec![[BUF, 0]; 1024];
    let [iovs, count] = w.guest.pass_buffers(&fits);
    w.guest.ok("fd_write", &[1, iovs, count, OUT]);
    let [iovs, count] = w.guest.pass_buffers(&[fits, vec![[BUF, 0]]].concat());
    w.guest.no("fd_write", &[1, iovs, count, OUT], errno::INVAL);
}

#[test]
fn lengths_that_overflow_together_are_refused() {
    let mut w = World::new();
    let all = [0, i64::from(MEMORY_BYTES)];
    let [iovs, count] = w.guest.pass_buffers(&[all; 1024]);
    w.guest.no("fd_read", &[0, iovs, count, OUT], errno::INVAL);
    let [iovs, count] = w.guest.pass_buffers(&[all; 1000]);
    w.guest.ok("fd_read", &[0, iovs, count, OUT]);
    let [iovs, count] = w.guest.pass_buffers(&[[1, i64::from(MEMORY_BYTES)]]);
    assert!(
        w.guest.call("fd_read", &[0, iovs, count, OUT]).is_err(),
        "one byte over the end"
    );
}

#[test]
fn buffers_are_filled_and_emptied_in_order() {
    let mut w = World::new();
    let pieces: Vec<[i64; 2]> = (0..40).map(|n| w.guest.pass(format!("{n},"))).collect();
    let [iovs, count] = w.guest.pass_buffers(&pieces);
    w.guest.ok("fd_write", &[1, iovs, count, OUT]);
    let expected: String = (0..40).map(|n| format!("{n},")).collect();
    assert_eq!(w.stdout.contents(), expected.as_bytes());
    assert_eq!(w.guest.u32(OUT) as usize, expected.len());

    let fd = w
        .guest
        .open(RW, "file", 0, RIGHT_READ | RIGHT_WRITE)
        .expect("it is there");
    let [iovs, count] = w.guest.pass_buffers(&[[0, 0], [BUF + 100, 2], [BUF, 3]]);
    w.guest.ok("fd_read", &[fd, iovs, count, OUT]);
    assert_eq!(
        (w.guest.u32(OUT), w.guest.get(BUF, 3), w.guest.get(BUF + 100, 2)),
        (5, b"llo".to_vec(), b"he".to_vec())
    );
}

#[test]
fn buffers_that_overlap_are_read_without_harm() {
    let mut w = World::new();
    let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it is there");
    let [iovs, count] = w.guest.pass_buffers(&[[BUF, 4], [BUF + 2, 4]]);
    w.guest.ok("fd_read", &[fd, iovs, count, OUT]);
    assert_eq!((w.guest.u32(OUT), w.guest.get(BUF, 6)), (4, b"hell\0\0".to_vec()));
    // The buffers may even lie over their own description and the place of the count.
    let [iovs, count] = w.guest.pass_buffers(&[[OUT, 4]]);
    w.guest.ok("fd_read", &[fd, iovs, count, OUT]);
    assert_eq!(w.guest.u32(OUT), 4);
}
