//! Products of 128 bits and divisions by constants in machine code, against the host's own.

use cellwall::{Engine, Instance, Module, Store};

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    3,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_fffe,
    0xffff_ffff_ffff_ffff,
    0x9e37_79b9_7f4a_7c15,
];

/// The names of the parts, for both factors: low and high halves and their products.
fn parts() -> String {
    let get = |local: &str| format!("(local.get ${local})");
    let low = |x: &str| format!("(i64.and {} (i64.const 0xffffffff))", get(x));
    let high = |x: &str| format!("(i64.shr_u {} (i64.const 32))", get(x));
    let product = |name: &str, x: String, y: String| format!("(local.set ${name} (i64.mul {x} {y}))\n");
    [
        product("ll", low("x"), low("y")),
        product("lh", low("x"), high("y")),
        product("hl", high("x"), low("y")),
        product("hh", high("x"), high("y")),
    ]
    .concat()
}

/// A module with `low` and `high` of a product by these expressions of the parts, `t` and `u`.
fn module(sums: &str, high: &str, low: &str) -> String {
    let function = |name: &str, result: &str| {
        format!(
            "(func (export \"{name}\") (param $x i64) (param $y i64) (param $r i64) (result i64)
               (local $ll i64) (local $lh i64) (local $hl i64) (local $hh i64) (local $t i64) (local $u i64)
               {}{sums} {result})",
            parts()
        )
    };
    format!("(module {} {})", function("high", high), function("low", low))
}

fn check(wat: &str, adds_r: bool) {
    let engine = Engine::default();
    let module = Module::new(&engine, wat).expect("the module is valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
    let mut function = |name: &str| {
        instance
            .get_typed_func::<(i64, i64, i64), i64>(&mut store, name)
            .expect("it is exported")
    };
    let (high, low) = (function("high"), function("low"));
    for x in EDGES {
        for y in EDGES {
            let product = u128::from(x) * u128::from(y);
            let r = if adds_r { x ^ 0x1234_5678 } else { 0 };
            let args = (x as i64, y as i64, r as i64);
            let found = high.call(&mut store, args).expect("it returns") as u64;
            assert_eq!(
                found,
                ((product >> 64) as u64).wrapping_add(r),
                "{x:#x} * {y:#x}\n{wat}"
            );
            let found = low.call(&mut store, args).expect("it returns") as u64;
            assert_eq!(found, product as u64, "{x:#x} * {y:#x}\n{wat}");
        }
    }
}

#[test]
fn products_written_in_halves_are_right() {
    let (m, get) = ("(i64.const 0xffffffff)", |v: &str| format!("(local.get ${v})"));
    let down = |v: &str| format!("(i64.shr_u {} (i64.const 32))", get(v));
    let low = |v: &str| format!("(i64.and {} {m})", get(v));
    let add = |x: String, y: String| format!("(i64.add {x} {y})");
    // compiler-rt and Go: t, then u.
    let carries = format!(
        "(local.set $t {}) (local.set $u {})",
        add(down("ll"), get("lh")),
        add(low("t"), get("hl"))
    );
    let word = format!("(i64.or (i64.shl {} (i64.const 32)) {})", get("u"), low("ll"));
    for (high, adds_r) in [
        (add(add(get("hh"), down("t")), down("u")), false),
        (add(add(get("hh"), down("u")), down("t")), false),
        (add(add(down("u"), down("t")), get("hh")), false),
        (add(add(add(get("r"), get("hh")), down("t")), down("u")), true),
        (add(get("r"), add(down("u"), add(down("t"), get("hh")))), true),
    ] {
        check(&module(&carries, &high, &word), adds_r);
    }
    // One cross product whole.
    let cross = format!("(local.set $u {})", add(add(down("ll"), low("hl")), get("lh")));
    for high in [
        add(add(down("hl"), down("u")), get("hh")),
        add(add(get("hh"), down("hl")), down("u")),
    ] {
        check(&module(&cross, &high, &word), false);
    }
    // The middle words apart.
    let middle = format!("(local.set $u {})", add(add(down("ll"), low("lh")), low("hl")));
    let high = add(add(add(get("hh"), down("lh")), down("hl")), down("u"));
    check(&module(&middle, &high, &word), false);
}

#[test]
fn a_product_that_is_none_is_left_alone() {
    // One sign differs from the true pattern: the middle word is not masked.
    let get = |v: &str| format!("(local.get ${v})");
    let down = |v: &str| format!("(i64.shr_u {} (i64.const 32))", get(v));
    let sums = format!(
        "(local.set $t (i64.add {} {})) (local.set $u (i64.add {} {}))",
        down("ll"),
        get("lh"),
        get("t"),
        get("hl")
    );
    let high = format!("(i64.add (i64.add {} {}) {})", get("hh"), down("t"), down("u"));
    let wat = module(&sums, &high, "(i64.const 0)");
    let engine = Engine::default();
    let module = Module::new(&engine, &wat).expect("the module is valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
    let high = instance
        .get_typed_func::<(i64, i64, i64), i64>(&mut store, "high")
        .expect("it is exported");
    let (x, y) = (u64::MAX, u64::MAX - 1);
    let (xl, xh, yl, yh) = (x & 0xffff_ffff, x >> 32, y & 0xffff_ffff, y >> 32);
    let t = ((xl * yl) >> 32).wrapping_add(xl * yh);
    let u = t.wrapping_add(xh * yl);
    let expected = (xh * yh).wrapping_add(t >> 32).wrapping_add(u >> 32);
    let found = high
        .call(&mut store, (x as i64, y as i64, 0))
        .expect("it returns");
    assert_eq!(found as u64, expected);
}

#[test]
fn divisions_by_constants_divide() {
    for d in [
        3u64,
        7,
        10,
        641,
        1_000_000_007,
        0x8000_0000_0000_0001,
        0x7fff_ffff_ffff_ffff,
        u64::MAX - 1,
        12,
        28,
    ] {
        let function = |op: &str| {
            format!(
                "(func (export \"{op}\") (param i64) (result i64) (i64.{op} (local.get 0) (i64.const {})))",
                d as i64
            )
        };
        let wat = format!(
            "(module {})",
            ["div_u", "rem_u", "div_s", "rem_s"].map(function).concat()
        );
        let engine = Engine::default();
        let module = Module::new(&engine, &wat).expect("the module is valid");
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).expect("it has no imports");
        for n in EDGES
            .into_iter()
            .chain([d - 1, d, d.wrapping_mul(5), d.wrapping_mul(5).wrapping_sub(1)])
        {
            let (sn, sd) = (n as i64, d as i64);
            let expected = [
                (n / d) as i64,
                (n % d) as i64,
                sn.wrapping_div(sd),
                sn.wrapping_rem(sd),
            ];
            for (op, expected) in ["div_u", "rem_u", "div_s", "rem_s"].into_iter().zip(expected) {
                let divide = instance
                    .get_typed_func::<i64, i64>(&mut store, op)
                    .expect("it is exported");
                assert_eq!(
                    divide.call(&mut store, sn).expect("it returns"),
                    expected,
                    "{op} {n:#x} {d:#x}"
                );
            }
        }
    }
}
