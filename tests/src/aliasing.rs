//! Random modules whose functions access few places of memory again and again, with all widths, in
//! branches and loops, between calls and traps, and read and write globals. What a compiler knows of
//! memory is wrong at once if it is wrong anywhere.
//!
//! Two memories and two globals are exported. Some addresses lie at the end of a memory, so that
//! accesses trap, and everything that was stored before must be there.

use crate::rng::Rng;
use std::fmt::Write;

/// Functions of a module.
const FUNCS: usize = 3;
/// Depth of ifs and loops inside each other.
const DEPTH_MAX: usize = 3;
/// Locals of each integer type.
const LOCALS: usize = 4;

/// Loads and stores by the type of the value.
const LOADS: [(&str, char); 14] = [
    ("i32.load", 'i'),
    ("i32.load8_u", 'i'),
    ("i32.load8_s", 'i'),
    ("i32.load16_u", 'i'),
    ("i32.load16_s", 'i'),
    ("i64.load", 'l'),
    ("i64.load8_u", 'l'),
    ("i64.load8_s", 'l'),
    ("i64.load16_u", 'l'),
    ("i64.load16_s", 'l'),
    ("i64.load32_u", 'l'),
    ("i64.load32_s", 'l'),
    ("i32.reinterpret_f32 (f32.load", 'i'),
    ("i64.reinterpret_f64 (f64.load", 'l'),
];
const STORES: [(&str, char); 7] = [
    ("i32.store", 'i'),
    ("i32.store8", 'i'),
    ("i32.store16", 'i'),
    ("i64.store", 'l'),
    ("i64.store8", 'l'),
    ("i64.store16", 'l'),
    ("i64.store32", 'l'),
];

/// The module of a seed, in the binary format.
pub fn module(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut text = String::from(
        "(module (memory $m0 (export \"m0\") 1 3) (memory $m1 (export \"m1\") 1)
         (global $g0 (export \"g0\") (mut i32) (i32.const 5))
         (global $g1 (export \"g1\") (mut i64) (i64.const 7))\n",
    );
    for func in 0..FUNCS {
        text.push_str(&function(&mut rng, func));
    }
    text.push(')');
    wat::parse_str(&text).expect("what is written here is valid")
}

fn function(rng: &mut Rng, func: usize) -> String {
    let mut text = format!(
        "(func $f{func} (export \"f{func}\") (param $p i32) (param $q i32) (param $l0 i64) (result i64)
         (local $i0 i32) (local $i1 i32) (local $i2 i32) (local $i3 i32)
         (local $l1 i64) (local $l2 i64) (local $l3 i64)
         (local $c0 i32) (local $c1 i32) (local $c2 i32)\n"
    );
    // Places near the start, sometimes near the end of the first page.
    for pointer in ["p", "q"] {
        let near = [0, 0, 8, 65496, 65520][rng.below(5)];
        let line = format!(
            "(local.set ${pointer} (i32.add (i32.const {near}) (i32.and (local.get ${pointer}) (i32.const 15))))\n"
        );
        text.push_str(&line);
    }
    for _ in 0..6 + rng.below(14) {
        statement(rng, func, 0, &mut text);
    }
    text.push_str("(i64.const 0)\n");
    for n in 0..LOCALS {
        text.push_str(&format!(
            "(i64.rotl (i64.const 9)) (i64.xor (local.get $l{n}))
             (i64.rotl (i64.const 9)) (i64.xor (i64.extend_i32_u (local.get $i{n})))\n"
        ));
    }
    text.push_str(")\n");
    text
}

fn statements(rng: &mut Rng, func: usize, depth: usize, text: &mut String) {
    (0..1 + rng.below(4)).for_each(|_| statement(rng, func, depth, text));
}

fn statement(rng: &mut Rng, func: usize, depth: usize, text: &mut String) {
    let some = |rng: &mut Rng| rng.below(LOCALS);
    let (a, b, to) = (some(rng), some(rng), some(rng));
    match rng.below(24) {
        0..7 => {
            let (op, letter) = LOADS[rng.below(LOADS.len())];
            let (memory, place) = (memory(rng), place(rng));
            let close = if op.contains('(') { "))" } else { ")" };
            write!(text, "(local.set ${letter}{to} ({op} {memory} {place}{close})")
        }
        7..14 => {
            let (op, letter) = STORES[rng.below(STORES.len())];
            let (memory, place) = (memory(rng), place(rng));
            write!(text, "({op} {memory} {place} (local.get ${letter}{a}))")
        }
        14 => write!(
            text,
            "(local.set $i{to} (global.get $g0)) (local.set $l{a} (global.get $g1))"
        ),
        15 => write!(text, "(global.set $g0 (local.get $i{a}))"),
        16 => write!(text, "(global.set $g1 (local.get $l{a}))"),
        17 if func > 0 => write!(
            text,
            "(local.set $l{to} (call $f{} (local.get $p) (local.get $q) (local.get $l{a})))",
            rng.below(func)
        ),
        18 if depth < DEPTH_MAX => {
            write!(text, "(if (i32.and (local.get $i{a}) (i32.const 1)) (then ")
                .expect("a String takes every write");
            statements(rng, func, depth + 1, text);
            text.push_str(") (else ");
            statements(rng, func, depth + 1, text);
            write!(text, "))")
        }
        19 | 20 if depth < DEPTH_MAX => {
            let top = rng.below(2) == 0;
            let next = format!("(local.tee $c{depth} (i32.add (local.get $c{depth}) (i32.const 1)))");
            let more = format!("(i32.lt_u {next} (i32.const {}))", 1 + rng.below(4));
            write!(
                text,
                "(local.set $c{depth} (i32.const 0)) (block $out{depth} (loop $again{depth} "
            )
            .expect("a String takes every write");
            if top {
                write!(text, "(br_if $out{depth} (i32.eqz {more}))").expect("a String takes every write");
            }
            statements(rng, func, depth + 1, text);
            let back = if top {
                format!("(br $again{depth})))")
            } else {
                format!("(br_if $again{depth} {more})))")
            };
            write!(text, "{back}")
        }
        21 => match rng.below(4) {
            0 => write!(
                text,
                "(memory.fill (local.get $p) (local.get $i{a}) (i32.const 3))"
            ),
            1 => write!(text, "(memory.copy (local.get $p) (local.get $q) (i32.const 9))"),
            2 => write!(
                text,
                "(local.set $i{to} (memory.grow (i32.and (local.get $i{a}) (i32.const 1))))"
            ),
            _ => write!(text, "(local.set $i{to} (memory.size))"),
        },
        22 => write!(
            text,
            "(local.set $i{to} (i32.div_s (local.get $i{a}) (local.get $q)))"
        ),
        _ => write!(
            text,
            "(local.set $i{to} (i32.add (local.get $i{a}) (i32.mul (local.get $i{b}) (i32.const 3))))
             (local.set $l{to} (i64.add (local.get $l{a}) (i64.extend_i32_s (local.get $i{b}))))"
        ),
    }
    .expect("a String takes every write");
    text.push('\n');
}

fn memory(rng: &mut Rng) -> &'static str {
    ["$m0", "$m0", "$m0", "$m1"][rng.below(4)]
}

/// Offset and address of an access.
fn place(rng: &mut Rng) -> String {
    let offset = [0, 0, 1, 2, 4, 8][rng.below(6)];
    let addr = match rng.below(10) {
        0..4 => "(local.get $p)".to_owned(),
        4..6 => "(local.get $q)".to_owned(),
        6 => format!("(i32.const {})", rng.below(16)),
        7 => format!(
            "(i32.add (local.get $p) (i32.and (local.get $i{}) (i32.const 7)))",
            rng.below(LOCALS)
        ),
        8 => format!(
            "(i32.add (local.get $p) (i32.shl (local.get $c{}) (i32.const 2)))",
            rng.below(DEPTH_MAX)
        ),
        // Negative too: the sum wraps, the offset does not.
        _ => format!(
            "(i32.add (local.get $p) (i32.const {}))",
            rng.below(12) as i32 - 4
        ),
    };
    format!("offset={offset} {addr}")
}
