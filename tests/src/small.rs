//! Random modules of many small functions that call one another, so that most calls are inlined: with
//! several results, early returns, traps, loops, locals that must begin as zero, and state that
//! tells in which order things happened.
//!
//! Calls go to functions with a smaller number, apart from a few that recur; a counter ends those.

use crate::rng::Rng;
use std::fmt::Write;

/// Functions of a module.
const FUNCS: usize = 24;
/// Calls that may recur before the module traps.
const FUEL: u32 = 200;
/// Depth of expressions.
const DEPTH_MAX: usize = 3;
/// Written to Strings, which take every write.
const INFALLIBLE: &str = "a String takes every write";

/// The module of a seed, in the binary format.
pub fn module(seed: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed);
    let mut text = format!(
        r#"(module (memory (export "memory") 1)
             (global $fuel (mut i32) (i32.const {FUEL}))
             (global $trace (export "trace") (mut i64) (i64.const 0))
"#
    );
    for func in 0..FUNCS {
        function(&mut rng, func, &mut text);
    }
    text.push(')');
    wat::parse_str(&text).unwrap_or_else(|error| panic!("what is written here is valid: {error}\n{text}"))
}

/// `$fN`: two parameters, one local that was never set, one or two results.
fn function(rng: &mut Rng, func: usize, text: &mut String) {
    let results = if two_results(func) { "i32 i32" } else { "i32" };
    writeln!(
        text,
        "(func $f{func} (export \"f{func}\") (param $a i32) (param $b i32) (result {results}) (local $c i32) (local $n i32)"
    )
    .expect(INFALLIBLE);
    for _ in 0..rng.below(4) {
        statement(rng, func, text);
    }
    let second = if two_results(func) {
        expression(rng, func, 1)
    } else {
        String::new()
    };
    writeln!(text, "{} {second})", expression(rng, func, 0)).expect(INFALLIBLE);
}

fn two_results(func: usize) -> bool {
    func % 5 == 4
}

fn statement(rng: &mut Rng, func: usize, text: &mut String) {
    let value = expression(rng, func, 1);
    let local = ["$a", "$b", "$c"][rng.below(3)];
    match rng.below(8) {
        0 => {
            let results = if two_results(func) { "(local.get $b)" } else { "" };
            write!(text, "(if {value} (then (return (local.get $a) {results})))")
        }
        1 => {
            let inner = expression(rng, func, 2);
            write!(
                text,
                "(local.set $n (i32.const {})) (loop $again
                   (local.set {local} (i32.xor {value} (i32.add (local.get {local}) {inner})))
                   (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
                1 + rng.below(3)
            )
        }
        2 => write!(
            text,
            "(global.set $trace (i64.add (i64.mul (global.get $trace) (i64.const 31)) (i64.extend_i32_u {value})))"
        ),
        3 => write!(text, "(i32.store8 (i32.and {value} (i32.const 0xff)) (local.get {local}))"),
        4 => {
            let other = expression(rng, func, 1);
            write!(
                text,
                "(block $out (block $one (block $zero (br_table $zero $one $out {value}))
                   (local.set {local} {other}) (br $out)) (local.set {local} (i32.const {})))",
                rng.below(100)
            )
        }
        5 => write!(text, "(if (i32.eq {value} (i32.const {})) (then unreachable))", rng.below(8)),
        _ => write!(text, "(local.set {local} {value})"),
    }
    .expect(INFALLIBLE);
    text.push('\n');
}

/// An expression of an i32.
fn expression(rng: &mut Rng, func: usize, depth: usize) -> String {
    const OPS: [&str; 14] = [
        "add", "sub", "mul", "and", "or", "xor", "shl", "shr_s", "shr_u", "rotl", "lt_s", "ge_u", "eq", "ne",
    ];
    if depth >= DEPTH_MAX {
        return leaf(rng);
    }
    match rng.below(12) {
        0..=3 => {
            let op = OPS[rng.below(OPS.len())];
            let (x, y) = (expression(rng, func, depth + 1), expression(rng, func, depth + 1));
            format!("(i32.{op} {x} {y})")
        }
        4..=7 => call(rng, func, depth),
        8 => format!("(i32.load8_u (i32.and {} (i32.const 0xff)))", leaf(rng)),
        // Traps now and then.
        9 if rng.below(4) == 0 => format!("(i32.div_s {} {})", leaf(rng), expression(rng, func, depth + 1)),
        10 => format!(
            "(if (result i32) {} (then {}) (else {}))",
            leaf(rng),
            expression(rng, func, depth + 1),
            expression(rng, func, depth + 1)
        ),
        _ => leaf(rng),
    }
}

fn call(rng: &mut Rng, func: usize, depth: usize) -> String {
    let args = format!("{} {}", expression(rng, func, depth + 1), leaf(rng));
    if rng.below(12) == 0 && !two_results(func) {
        // Recursion, as long as there is fuel.
        return format!(
            "(if (result i32) (global.get $fuel)
               (then (global.set $fuel (i32.sub (global.get $fuel) (i32.const 1))) (call $f{func} {args}))
               (else {}))",
            leaf(rng)
        );
    }
    if func == 0 {
        return leaf(rng);
    }
    // Near ones more often: chains of calls become deep.
    let callee = func - 1 - rng.below(func).min(rng.below(6));
    match two_results(callee) {
        true => format!("(i32.sub (call $f{callee} {args}))"),
        false => format!("(call $f{callee} {args})"),
    }
}

fn leaf(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => format!("(i32.const {})", rng.interesting() as i32),
        n => format!("(local.get {})", ["$a", "$b", "$c"][n - 1]),
    }
}
