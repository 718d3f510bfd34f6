//! Random modules whose functions keep many values alive at once, across calls and loops, and whose
//! results depend on all of them. General random modules hardly ever read a value back that had to
//! leave its register; here nearly every value does.
//!
//! Every function comes to an end, traps nowhere and makes no NaN.

use crate::rng::Rng;
use std::fmt::Write;

/// Locals of each type.
const LOCALS: usize = 12;
/// Functions of a module.
const FUNCS: usize = 3;
/// Depth of ifs and loops inside each other.
const DEPTH_MAX: usize = 2;
/// Types and the letter before the number of their locals.
const TYPES: [(&str, char); 3] = [("i32", 'i'), ("i64", 'l'), ("f64", 'd')];

/// The module of a seed, in the binary format.
pub fn module(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut text = String::from("(module (memory (export \"memory\") 1)\n");
    for func in 0..FUNCS {
        text.push_str(&function(&mut rng, func));
    }
    text.push(')');
    wat::parse_str(&text).expect("what is written here is valid")
}

fn function(rng: &mut Rng, func: usize) -> String {
    let mut text = format!(
        "(func $f{func} (export \"f{func}\") (param $i i32) (param $l i64) (param $d i32) (result i32 i64)\n"
    );
    for (ty, letter) in TYPES {
        (0..LOCALS)
            .for_each(|n| write!(text, "(local ${letter}{n} {ty})").expect("a String takes every write"));
    }
    (0..DEPTH_MAX)
        .for_each(|depth| write!(text, "(local $c{depth} i32)").expect("a String takes every write"));
    for n in 0..LOCALS {
        let (a, b) = (rng.bits() as i32, rng.bits() as i64);
        writeln!(
            text,
            "(local.set $i{n} (i32.xor (local.get $i) (i32.const {a})))
             (local.set $l{n} (i64.add (local.get $l) (i64.const {b})))
             (local.set $d{n} (f64.convert_i32_s (i32.add (local.get $d) (i32.const {a}))))"
        )
        .expect("a String takes every write");
    }
    for _ in 0..25 + rng.below(25) {
        statement(rng, func, 0, &mut text);
    }
    // Every local has a part in the results.
    text.push_str("(i32.const 0)\n");
    (0..LOCALS).for_each(|n| {
        writeln!(text, "(i32.rotl (i32.const 1)) (i32.xor (local.get $i{n}))").expect("as above")
    });
    text.push_str("(i64.const 0)\n");
    for n in 0..LOCALS {
        writeln!(
            text,
            "(i64.rotl (i64.const 1)) (i64.xor (local.get $l{n}))
             (i64.rotl (i64.const 1)) (i64.xor (i64.reinterpret_f64 (local.get $d{n})))"
        )
        .expect("a String takes every write");
    }
    text.push_str(")\n");
    text
}

fn statement(rng: &mut Rng, func: usize, depth: usize, text: &mut String) {
    let some = |rng: &mut Rng| rng.below(LOCALS);
    match rng.below(20) {
        0 if func > 0 && depth < DEPTH_MAX => {
            let (callee, i, l, d, to_i, to_l) = (rng.below(func), some(rng), some(rng), some(rng), some(rng), some(rng));
            write!(
                text,
                "(call $f{callee} (local.get $i{i}) (local.get $l{l}) (local.get $i{d}))
                 (local.set $l{to_l}) (local.set $i{to_i})"
            )
        }
        1 if depth < DEPTH_MAX => {
            let condition = integer(rng, "i32", 'i');
            write!(text, "(if {condition} (then ").expect("a String takes every write");
            (0..3).for_each(|_| statement(rng, func, depth + 1, text));
            text.push_str(") (else ");
            (0..3).for_each(|_| statement(rng, func, depth + 1, text));
            write!(text, "))")
        }
        2 if depth < DEPTH_MAX => {
            write!(text, "(local.set $c{depth} (i32.const 3)) (loop $again{depth} ").expect("a String takes every write");
            (0..4).for_each(|_| statement(rng, func, depth + 1, text));
            write!(
                text,
                "(br_if $again{depth} (local.tee $c{depth} (i32.sub (local.get $c{depth}) (i32.const 1)))))"
            )
        }
        3 => {
            let (place, value) = (some(rng), some(rng));
            write!(
                text,
                "(i64.store offset=8 (i32.and (local.get $i{place}) (i32.const 0xfff0)) (local.get $l{value}))"
            )
        }
        4 => {
            let (place, to) = (some(rng), some(rng));
            write!(
                text,
                "(local.set $i{to} (i32.load offset=4 (i32.and (local.get $i{place}) (i32.const 0xfff0))))"
            )
        }
        5 => {
            let (from, to) = (some(rng), some(rng));
            write!(text, "(local.set $d{to} (f64.convert_i32_s (local.get $i{from})))")
        }
        6 | 7 => {
            let op = ["add", "sub", "min", "max"][rng.below(4)];
            let (a, b, to) = (some(rng), some(rng), some(rng));
            // Halved, so that no chain of additions leaves the finite numbers.
            write!(
                text,
                "(local.set $d{to} (f64.mul (f64.const 0.5) (f64.{op} (local.get $d{a}) (local.get $d{b}))))"
            )
        }
        8 => {
            let (from, to) = (some(rng), some(rng));
            match rng.below(2) {
                0 => write!(text, "(local.set $l{to} (i64.extend_i32_s (local.get $i{from})))"),
                _ => write!(text, "(local.set $i{to} (i32.wrap_i64 (local.get $l{from})))"),
            }
        }
        n => {
            let (ty, letter) = TYPES[n % 2];
            let (value, to) = (integer(rng, ty, letter), some(rng));
            write!(text, "(local.set ${letter}{to} {value})")
        }
    }
    .expect("a String takes every write");
    text.push('\n');
}

/// An expression of two locals.
fn integer(rng: &mut Rng, ty: &str, letter: char) -> String {
    const OPS: [&str; 11] = [
        "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "rotr",
    ];
    let op = OPS[rng.below(OPS.len())];
    let (a, b) = (rng.below(LOCALS), rng.below(LOCALS));
    format!("({ty}.{op} (local.get ${letter}{a}) (local.get ${letter}{b}))")
}
