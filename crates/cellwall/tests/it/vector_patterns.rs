//! Patterns of vector operators that become fewer instructions, in machine code with and without
//! AVX, against the host's own arithmetic.

use cellwall::{Config, CpuFeature, Engine, Instance, Module, Store, Trap, TypedFunc};

/// Calls `check` with an instance of a module for each kind of processor.
fn on_each(wat: &str, check: impl Fn(&mut Store<()>, Instance)) {
    for unused in [None, Some(CpuFeature::Avx2), Some(CpuFeature::Avx)] {
        let mut config = Config::new();
        if let Some(unused) = unused {
            config.cpu_feature(unused, false);
        }
        let engine = Engine::new(&config).expect("a valid configuration");
        let module = Module::new(&engine, wat).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
        check(&mut store, instance);
    }
}

/// Bytes of all signs, extremes among them.
fn bytes() -> Vec<u8> {
    let mixed = (0..256u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8);
    [[0x80; 16], [0x7f; 16], [0xff; 16]]
        .concat()
        .into_iter()
        .chain(mixed)
        .collect()
}

fn product(extend: [&str; 2], load: &str, step: u32) -> String {
    let factor = |name: &str, extend: &str| {
        format!("(i16x8.extend_low_i8x16_{extend} ({load} (i32.add (local.get ${name}) (i32.const {step}))))")
    };
    let [x, y] = [factor("x", extend[0]), factor("y", extend[1])];
    format!("(i32x4.extmul_low_i16x8_s {x} {y})")
}

/// Four sums of two products each, as compilers write them, and what becomes of near misses.
#[test]
fn dot_products_of_bytes() {
    for extend in [["s", "s"], ["u", "u"], ["s", "u"]] {
        for step in [4, 3] {
            let (low, high) = (
                product(extend, "v128.load64_zero", 0),
                product(extend, "v128.load32_zero", step),
            );
            let wat = format!(
                r#"(module (memory (export "memory") 1) (func (export "dot") (param $x i32) (param $y i32) (result i64)
                (local $v v128)
                (local.set $v (v128.const i32x4 1 2 3 4))
                (local.set $v (i32x4.add {high} (i32x4.add {low} (local.get $v))))
                (i64.xor (i64x2.extract_lane 0 (local.get $v))
                    (i64.rotl (i64x2.extract_lane 1 (local.get $v)) (i64.const 21)))))"#
            );
            on_each(&wat, |store, instance| {
                let memory = instance.get_memory(&mut *store, "memory").expect("exported");
                let bytes = bytes();
                memory.write(&mut *store, 0, &bytes).expect("it is large enough");
                let dot: TypedFunc<(u32, u32), u64> =
                    instance.get_typed_func(&mut *store, "dot").expect("exported");
                let byte = |at: usize, extend: &str| match extend {
                    "s" => i32::from(bytes[at] as i8),
                    _ => i32::from(bytes[at]),
                };
                for at in 0..bytes.len() - 64 {
                    let (x, y) = (at, at / 2 + 40);
                    let lanes: [i32; 4] = std::array::from_fn(|i| {
                        let at = |i: usize| byte(x + i, extend[0]) * byte(y + i, extend[1]);
                        i as i32 + 1 + at(i) + at(i + step as usize)
                    });
                    let half = |i: usize| u64::from(lanes[i] as u32) | u64::from(lanes[i + 1] as u32) << 32;
                    let result = dot.call(&mut *store, (x as u32, y as u32)).expect("it returns");
                    assert_eq!(
                        result,
                        half(0) ^ half(2).rotate_left(21),
                        "{extend:?} {step} {x} {y}"
                    );
                }
                // Eight bytes before the end, and one byte less; and where the address of the high half wraps.
                let end = 1 << 16;
                dot.call(&mut *store, (end - 8, 0)).expect("it returns");
                for beyond in [end - 7, u32::MAX - 2] {
                    let error = dot.call(&mut *store, (beyond, 0)).expect_err("it traps");
                    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
                }
            });
        }
    }
}

const LONGS: [u64; 8] = [
    0,
    1,
    0xffff_ffff,
    0x1_0000_0001,
    0x8000_0000_8000_0000,
    0x9e37_79b9_7f4a_7c15,
    0xffff_ffff_0000_0000,
    u64::MAX,
];

/// An operator on two vectors of one long integer each, and what it means.
fn check_longs(body: &str, meaning: impl Fn(u64, u64) -> u64) {
    let wat = format!(
        r#"(module (func (export "f") (param i64 i64) (result i64) (local $x v128) (local $y v128)
            (local.set $x (i64x2.splat (local.get 0))) (local.set $y (i64x2.splat (local.get 1)))
            (i64x2.extract_lane 1 {body})))"#
    );
    on_each(&wat, |store, instance| {
        let f: TypedFunc<(u64, u64), u64> = instance.get_typed_func(&mut *store, "f").expect("exported");
        for x in LONGS {
            for y in LONGS {
                let result = f.call(&mut *store, (x, y)).expect("it returns");
                assert_eq!(result, meaning(x, y), "{body} of {x:#x} and {y:#x}");
            }
        }
    });
}

#[test]
fn products_of_factors_with_half_the_bits() {
    let masked = |x: &str, mask: u64| format!("(v128.and {x} (v128.const i64x2 {mask} {mask}))");
    let shl = |x: &str, by: u32| format!("(i64x2.shl {x} (i32.const {by}))");
    let shr = |x: &str, by: u32| format!("(i64x2.shr_u {x} (i32.const {by}))");
    let (x, y) = ("(local.get $x)", "(local.get $y)");
    let mul = |x: &str, y: &str| format!("(i64x2.mul {x} {y})");
    const LOW: u64 = 0xffff_ffff;
    check_longs(&mul(x, y), u64::wrapping_mul);
    check_longs(&mul(&masked(x, LOW), &masked(y, LOW)), |x, y| {
        (x & LOW) * (y & LOW)
    });
    check_longs(&mul(&masked(x, LOW), y), |x, y| (x & LOW).wrapping_mul(y));
    check_longs(&mul(x, &shr(y, 32)), |x, y| x.wrapping_mul(y >> 32));
    check_longs(&mul(x, &shr(y, 31)), |x, y| x.wrapping_mul(y >> 31));
    check_longs(&mul(&masked(x, 0xff), &masked(y, LOW)), |x, y| {
        (x & 0xff) * (y & LOW)
    });
    for by in [1, 5, 32, 40] {
        let mask = LOW << by;
        let shifted = masked(&shl(x, by), mask);
        check_longs(&mul(&shifted, &masked(y, LOW)), |x, y| {
            (x << by & mask).wrapping_mul(y & LOW)
        });
        check_longs(&mul(&shifted, &shifted), |x, _| {
            (x << by & mask).wrapping_mul(x << by & mask)
        });
        // A mask with one bit more or less.
        for mask in [mask | 1 << (by - 1), mask & (mask - 1)] {
            let shifted = masked(&shl(x, by), mask);
            check_longs(&mul(&shifted, &masked(y, LOW)), |x, y| {
                (x << by & mask).wrapping_mul(y & LOW)
            });
        }
    }
}

#[test]
fn rotations() {
    for (left, right) in [(8, 56), (24, 40), (32, 32), (63, 1), (8, 48), (40, 56)] {
        let rotated = format!(
            "(v128.or (i64x2.shl (local.get $x) (i32.const {left})) (i64x2.shr_u (local.get $x) (i32.const {right})))"
        );
        check_longs(&rotated, |x, _| x << left | x >> right);
    }
    for (left, right) in [(8, 24), (16, 16), (12, 20)] {
        let rotated = format!(
            "(v128.xor (i32x4.shr_u (local.get $x) (i32.const {right})) (i32x4.shl (local.get $x) (i32.const {left})))"
        );
        let rotate = |x: u64| {
            let half = |x: u32| u64::from(x.rotate_left(left));
            half(x as u32) | half((x >> 32) as u32) << 32
        };
        check_longs(&rotated, |x, _| rotate(x));
    }
    // Neighbour: of two values.
    let mixed =
        "(v128.or (i64x2.shl (local.get $x) (i32.const 8)) (i64x2.shr_u (local.get $y) (i32.const 56)))";
    check_longs(mixed, |x, y| x << 8 | y >> 56);
}

/// The counter of a loop is compared after its step; also where that wraps or is zero.
#[test]
fn counters_of_loops() {
    for (step, limit) in [(8i32, 64i32), (-1, 0), (1, 0), (i32::MAX, -2), (3, 99)] {
        let wat = format!(
            r#"(module (func (export "f") (param $i i32) (result i64) (local $n i64)
                (loop $l
                    (local.set $n (i64.add (local.get $n) (i64.extend_i32_u (local.get $i))))
                    (local.set $i (i32.add (local.get $i) (i32.const {step})))
                    (br_if $l (i32.ne (local.get $i) (i32.const {limit}))))
                (local.get $n)))"#
        );
        on_each(&wat, |store, instance| {
            let f: TypedFunc<i32, i64> = instance.get_typed_func(&mut *store, "f").expect("exported");
            for times in [1, 2, 20] {
                let mut i = limit.wrapping_sub(step.wrapping_mul(times));
                let first = i;
                let mut sum = 0i64;
                for _ in 0..times {
                    sum += i64::from(i as u32);
                    i = i.wrapping_add(step);
                }
                assert_eq!(
                    f.call(&mut *store, first).expect("it returns"),
                    sum,
                    "{step} {limit}"
                );
            }
        });
    }
}
