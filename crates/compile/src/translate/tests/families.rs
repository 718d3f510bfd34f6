//! One small program per family of operators, with its neighbour that traps where there is one. The
//! breadth of values is left to the specification's tests.

use super::{checked_target, function, returns, run, target, translated, traps};
use cellwall_ir::{InstData, Trap};

#[test]
fn integer_arithmetic() {
    let f = |op: &str| {
        function(
            "(param i32 i32) (result i32)",
            &format!("local.get 0 local.get 1 {op}"),
        )
    };
    returns(&f("i32.sub"), &[3, 5], &[0xffff_fffe]);
    returns(&f("i32.div_s"), &[0xffff_fff9, 2], &[0xffff_fffd]);
    returns(&f("i32.rotl"), &[0x8000_0001, 33], &[3]);
    returns(&f("i32.lt_s"), &[0xffff_ffff, 0], &[1]);
    returns(&f("i32.lt_u"), &[0xffff_ffff, 0], &[0]);
    traps(&f("i32.rem_u"), &[1, 0], Trap::IntegerDivisionByZero);
    traps(&f("i32.div_s"), &[1 << 31, 0xffff_ffff], Trap::IntegerOverflow);
    returns(&f("i32.rem_s"), &[1 << 31, 0xffff_ffff], &[0]);
}

#[test]
fn conversions() {
    let f = |from: &str, to: &str, op: &str| {
        function(
            &format!("(param {from}) (result {to})"),
            &format!("local.get 0 {op}"),
        )
    };
    returns(
        &f("i32", "i64", "i64.extend_i32_s"),
        &[0x8000_0000],
        &[0xffff_ffff_8000_0000],
    );
    returns(
        &f("i32", "i64", "i64.extend_i32_u"),
        &[0x8000_0000],
        &[0x8000_0000],
    );
    returns(&f("i64", "i32", "i32.wrap_i64"), &[0x1_2345_6789], &[0x2345_6789]);
    returns(
        &f("i64", "i64", "i64.extend8_s"),
        &[0x180],
        &[0xffff_ffff_ffff_ff80],
    );
    let nan = f64::NAN.to_bits();
    traps(
        &f("f64", "i32", "i32.trunc_f64_s"),
        &[nan],
        Trap::BadConversionToInteger,
    );
    traps(
        &f("f64", "i32", "i32.trunc_f64_u"),
        &[(-1.0f64).to_bits()],
        Trap::IntegerOverflow,
    );
    returns(&f("f64", "i32", "i32.trunc_f64_u"), &[(-0.9f64).to_bits()], &[0]);
    returns(&f("f64", "i64", "i64.trunc_sat_f64_s"), &[nan], &[0]);
    returns(
        &f("f64", "i64", "i64.trunc_sat_f64_s"),
        &[1e300f64.to_bits()],
        &[i64::MAX as u64],
    );
    returns(&f("i64", "f64", "f64.reinterpret_i64"), &[nan + 1], &[nan + 1]);
}

#[test]
fn floats() {
    let f = |op: &str| {
        function(
            "(param f64 f64) (result f64)",
            &format!("local.get 0 local.get 1 {op}"),
        )
    };
    let bits = f64::to_bits;
    returns(&f("f64.min"), &[bits(0.0), bits(-0.0)], &[bits(-0.0)]);
    returns(&f("f64.max"), &[bits(-0.0), bits(0.0)], &[bits(0.0)]);
    returns(&f("f64.copysign"), &[bits(1.5), bits(-0.0)], &[bits(-1.5)]);
    returns(&f("drop f64.nearest"), &[bits(2.5), 0], &[bits(2.0)]);
    let min = run(&f("f64.min"), &[bits(f64::NAN), bits(1.0)]).expect("no trap");
    assert!(f64::from_bits(min[0]).is_nan());
}

#[test]
fn memory_accesses_end_at_its_length() {
    let load = |offset: u64| {
        function(
            "(param i32) (result i64)",
            &format!("local.get 0 i64.load16_s offset={offset}"),
        )
    };
    returns(&load(0), &[65534], &[0]);
    traps(&load(0), &[65535], Trap::MemoryOutOfBounds);
    returns(&load(65534), &[0], &[0]);
    traps(&load(65534), &[1], Trap::MemoryOutOfBounds);
    // The sum of index and offset does not wrap.
    traps(&load(0xffff_ffff), &[2], Trap::MemoryOutOfBounds);
    let store = function(
        "(param i32 i64) (result i64)",
        "local.get 0 local.get 1 i64.store32 offset=4 local.get 0 i64.load offset=2",
    );
    returns(&store, &[8, 0x1122_3344_5566_7788], &[0x5566_7788_0000]);
    traps(&store, &[65529, 1], Trap::MemoryOutOfBounds);
}

#[test]
fn offsets_beyond_the_guard_are_checked_whole() {
    let checks = |offset: u64| {
        let body = format!("local.get 0 i32.load offset={offset}");
        let func = translated(&function("(param i32) (result i32)", &body), &target());
        let checks = func.insts.values().filter_map(|node| match node.data {
            InstData::BoundsCheck { slack, .. } => Some(slack),
            _ => None,
        });
        checks.collect::<Vec<_>>()
    };
    let guard = target().memory_guard_bytes;
    assert_eq!(checks(guard - 4), []);
    assert_eq!(checks(guard - 3), [0]);
    // Where a reservation is smaller than the index space, the index is checked in any case.
    let func = translated(
        &function("(param i32) (result i32)", "local.get 0 i32.load"),
        &checked_target(),
    );
    let slack = func.insts.values().find_map(|node| match node.data {
        InstData::BoundsCheck { slack, .. } => Some(slack),
        _ => None,
    });
    assert_eq!(slack, Some(0));
}

#[test]
fn memories_grow_and_are_filled() {
    let grow = function(
        "(param i32) (result i32 i32)",
        "local.get 0 memory.grow memory.size",
    );
    returns(&grow, &[2], &[1, 3]);
    returns(&grow, &[3], &[0xffff_ffff, 1]);
    let fill = function(
        "(param i32 i32) (result i32)",
        "local.get 0 i32.const 0xab local.get 1 memory.fill local.get 0 i32.load",
    );
    returns(&fill, &[8, 2], &[0xabab]);
    traps(&fill, &[65535, 2], Trap::MemoryOutOfBounds);
}

#[test]
fn several_memories_and_segments() {
    let wat = r#"(module (memory 1) (memory $b 1) (data $d "abcd")
        (func (export "f") (param i32) (result i32)
            (memory.init $b $d (i32.const 4) (local.get 0) (i32.const 2))
            (memory.copy 0 $b (i32.const 0) (i32.const 4) (i32.const 4))
            (data.drop $d)
            (i32.load (i32.const 0))))"#;
    returns(wat, &[1], &[u64::from(b'b') | u64::from(b'c') << 8]);
    traps(wat, &[3], Trap::MemoryOutOfBounds);
}

#[test]
fn tables_and_references() {
    let wat = r#"(module (type $t (func (result i32))) (table $x 4 8 funcref)
        (func $seven (result i32) i32.const 7)
        (func $other (param i32))
        (elem (table $x) (i32.const 0) func $seven $other)
        (func (export "f") (param i32) (result i32)
            (table.set $x (i32.const 3) (ref.func $seven))
            (i32.add
                (call_indirect $x (type $t) (local.get 0))
                (i32.mul (i32.const 100) (ref.is_null (table.get $x (i32.const 2)))))))"#;
    returns(wat, &[0], &[107]);
    returns(wat, &[3], &[107]);
    traps(wat, &[1], Trap::BadSignature);
    traps(wat, &[2], Trap::IndirectCallToNull);
    traps(wat, &[4], Trap::TableOutOfBounds);
}

#[test]
fn calls_with_several_results() {
    let wat = r#"(module (import "a" "b" (func $zeros (param f32) (result i64 f64)))
        (global $g (mut i32) (i32.const 5))
        (func $swap (param i32 i32) (result i32 i32) local.get 1 local.get 0)
        (func (export "f") (param i32) (result i32 i32)
            (global.set $g (i32.add (global.get $g) (local.get 0)))
            (call $zeros (f32.const 1)) drop drop
            (call $swap (local.get 0) (global.get $g))))"#;
    returns(wat, &[2], &[7, 2]);
}

#[test]
fn branches_carry_values() {
    let wat = function(
        "(param i32) (result i32)",
        "(block $out (result i32)
            (block $two (result i32)
                (block $one
                    (i32.const 10)
                    (br_table $two $out $two (local.get 0)))
                unreachable)
            i32.const 1 i32.add)",
    );
    returns(&wat, &[0], &[11]);
    returns(&wat, &[1], &[10]);
    returns(&wat, &[77], &[11]);
}

#[test]
fn switches_return_and_loop() {
    let wat = function(
        "(param i32 i32) (result i32)",
        "i32.const 1
         (loop $again (param i32) (result i32)
            (local.set 1 (i32.add (local.get 1) (i32.const 1)))
            (br_if 1 (i32.gt_u (local.get 1) (i32.const 8)))
            local.get 1 i32.add
            (br_table $again 1 0 (local.get 0)))",
    );
    // 1 + 1 + 2 + ... + 8, then the value on the stack is returned.
    returns(&wat, &[0, 0], &[37]);
    returns(&wat, &[1, 0], &[2]);
}

#[test]
fn ifs_with_and_without_else() {
    let wat = function(
        "(param i32 i32) (result i32)",
        "local.get 0
         (if (result i32) (then (local.set 1 (i32.const 3)) i32.const 1) (else i32.const 2))
         (if (i32.eqz (local.get 0)) (then (local.set 1 (i32.const 9))))
         local.get 1 i32.const 10 i32.mul i32.add",
    );
    returns(&wat, &[1, 7], &[31]);
    returns(&wat, &[0, 7], &[92]);
    let parameters = function(
        "(param i32) (result i64)",
        "i64.const 5 local.get 0 (if (param i64) (result i64) (then i64.const 1 i64.add))",
    );
    returns(&parameters, &[1], &[6]);
    returns(&parameters, &[0], &[5]);
}

#[test]
fn unreachable_code_is_skipped() {
    let wat = function(
        "(param i32) (result i32)",
        "(block (result i32)
            (i32.const 4) (br 0)
            (loop (block (br_if 1 (i32.const 0)) (br_table 0 1 (i32.const 0))))
            (if (result i32) (then i32.const 1) (else i32.const 2)))
         return
         i32.add drop unreachable",
    );
    returns(&wat, &[0], &[4]);
    traps(&function("(result i32)", "unreachable"), &[], Trap::Unreachable);
}

#[test]
fn nested_loops_count() {
    let wat = function(
        "(param i32) (result i32) (local $i i32) (local $j i32) (local $n i32)",
        "(loop $outer
            (local.set $j (i32.const 0))
            (loop $inner
                (local.set $n (i32.add (local.get $n) (local.get 0)))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $inner (i32.lt_u (local.get $j) (i32.const 3))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $outer (i32.lt_u (local.get $i) (i32.const 4))))
         local.get $n",
    );
    returns(&wat, &[5], &[60]);
}

#[test]
fn selects_and_tees() {
    let wat = function(
        "(param i32) (result f32) (local f32)",
        "(select (local.tee 1 (f32.const 1)) (f32.const 2) (i32.eqz (i32.eqz (local.get 0))))
         local.get 1 f32.add",
    );
    returns(&wat, &[8], &[u64::from(2f32.to_bits())]);
    returns(&wat, &[0], &[u64::from(3f32.to_bits())]);
    let typed = function(
        "(param externref i32) (result i32)",
        "(ref.is_null (select (result externref) (local.get 0) (ref.null extern) (local.get 1)))",
    );
    returns(&typed, &[9, 1], &[0]);
    returns(&typed, &[9, 0], &[1]);
}

#[test]
fn division_by_constants() {
    let divisors = [
        1,
        2,
        3,
        5,
        6,
        7,
        9,
        10,
        11,
        12,
        14,
        25,
        28,
        60,
        100,
        125,
        625,
        641,
        1000,
        3600,
        65535,
        65537,
        1_000_000_007,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        0xffff_fff9,
        0xffff_fff6,
        0xffff_fffc,
        0xffff_fffe,
        0xffff_ffff_u32,
    ];
    let mut dividends = vec![
        0,
        1,
        2,
        3,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0001,
        0xffff_fffe,
        0xffff_ffff_u64,
    ];
    for &d in &divisors {
        for k in [1, 2, 3, 1000] {
            let multiple = u64::from(d.wrapping_mul(k));
            dividends.extend([multiple, multiple.saturating_sub(1), (multiple + 1) & 0xffff_ffff]);
        }
    }
    for d in divisors {
        for op in ["div_s", "div_u", "rem_s", "rem_u"] {
            let text = function(
                "(param i32) (result i32)",
                &format!("local.get 0 i32.const {} i32.{op}", d as i32),
            );
            let module = super::module(&text);
            let mut ways = [false, true]
                .map(|optimize| super::Instance::new(&module, target(), optimize, super::zeros(&module)));
            for &x in &dividends {
                let [plain, expanded] = &mut ways;
                let answer = |way: &mut super::Instance<'_>| {
                    use cellwall_ir::interp::Environment;
                    way.call(cellwall_base::FuncIdx::from_u32(0), &[x.into()], &mut 1000)
                };
                assert_eq!(answer(plain), answer(expanded), "{x} {op} {d}");
            }
        }
    }
}

#[test]
fn wide_division_by_powers_of_two() {
    for k in [1u32, 2, 31, 32, 62, 63] {
        for sign in ["", "-"] {
            let magnitude = 1u128 << k;
            if k == 63 && sign.is_empty() {
                continue;
            }
            for op in ["div_s", "rem_s"] {
                let text = function(
                    "(param i64) (result i64)",
                    &format!("local.get 0 i64.const {sign}{magnitude} i64.{op}"),
                );
                for x in [
                    0,
                    1,
                    7,
                    -1,
                    -7,
                    i64::MAX,
                    i64::MIN,
                    i64::MIN + 1,
                    1 << k.min(62),
                    -(1 << k.min(62)),
                ] {
                    run(&text, &[x as u64]).expect("no division here traps");
                }
            }
        }
    }
}
