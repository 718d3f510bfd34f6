//! Random modules of control that general generators have little or nothing of: exceptions in both
//! encodings, thrown across frames, caught, thrown again and delegated; calls by reference, of typed
//! references too, and through tables by a type and by those above it; tail calls, in blocks that catch too;
//! functions that are small enough to be inlined, and often never return; tests of null; atomic accesses of
//! memories, shared ones too; hints of which way branches go.
//!
//! Every module comes to an end: functions and loops use up a number, and what has none left traps.
//! Whatever is computed is an integer, so there is nothing on which engines may differ. Nobody waits
//! on a shared memory, which might be for ever.

use crate::rng::Rng;
use std::fmt::Write;

/// Functions that call one another.
const FUNCS: usize = 8;
/// Elements of each table; the last ones are null.
const ELEMENTS: usize = FUNCS + 4;
/// Functions and turns of loops that one call from outside may enter. Less than the depth of calls
/// that the interpreter allows.
const FUEL: u32 = 120;
/// Statements inside of one another.
const DEPTH_MAX: usize = 4;
/// Written to Strings, which take every write.
const INFALLIBLE: &str = "a String takes every write";

/// The types of functions, all with the same parameters and results. In order: open, below it, below
/// that and final, equal to the first in all but its recursion group, and plain.
const TYPES: &str = "(type $f0 (sub (func (param i32 i64) (result i32))))
(type $f1 (sub $f0 (func (param i32 i64) (result i32))))
(type $f2 (sub final $f1 (func (param i32 i64) (result i32))))
(rec (type $f3 (sub (func (param i32 i64) (result i32)))) (type (func)))
(type $f4 (func (param i32 i64) (result i32)))
(tag $e0)
(tag $e1 (param i32))
(tag $e2 (param i64 i32))
(tag $e3 (param v128 i64 i64 i64 i64 i64 i64 i64 i32))
(global $fuel (mut i32) (i32.const 0))
(global $n (export \"n\") (mut i32) (i32.const 7))
(global $r (mut (ref null $f0)) (ref.null $f0))
";

/// In every fourth module functions have these parameters besides, more than registers hold, which are given these
/// values.
const MORE_PARAMS: &str = " i64 i64 i64 i64 f64 i32";
const MORE_NAMED: &str =
    " (param $p0 i64) (param $p1 i64) (param $p2 i64) (param $p3 i64) (param $p4 f64) (param $p5 i32)";
const MORE_VALUES: &str = " i64.const 1 local.get $l i64.const 3 i64.const 4 f64.const 5 local.get $x";

/// How many of the types there are, and how many of them are `$f0` or below it.
const TYPE_COUNT: usize = 5;
const BELOW: usize = 3;

/// For each tag: what puts its values on the stack, from an i32 in `$x`, and what takes them off it.
const TAGS: [(&str, &str); 4] = [
    ("", ""),
    ("local.get $x", "local.set $x"),
    ("local.get $l local.get $x", "local.set $x local.set $l"),
    (
        "local.get $x i32x4.splat local.get $l i64.const 1 i64.const 2 local.get $l i64.const 4 i64.const 5 \
         i64.const 6 local.get $x",
        "local.set $x drop drop local.set $l drop drop drop drop i32x4.extract_lane 2 local.set $y",
    ),
];

/// The results of blocks that are given the values of each tag.
const RESULTS: [&str; 4] = ["", "i32", "i64 i32", "v128 i64 i64 i64 i64 i64 i64 i64 i32"];

/// Functions that use up nothing and only call functions before them: `$s0`, `$s1` and so on, of the type
/// `$f0`. `{…}` is a random expression.
const SMALL: [&str; 9] = [
    "local.get $x throw $e1",
    "i32.const 1 local.get $x i32.and if local.get $l local.get $x throw $e2 end {}",
    "{} local.get $l return_call $s0",
    "block $b try_table (catch_all $b) {} local.get $l return_call $s1 end end i32.const 11",
    "block $b (result i32) try_table (result i32) (catch $e1 $b) {} local.get $l call $s2 end end",
    "{} local.get $l i32.const 2 i32.const 15 i32.and return_call_indirect $t (type $f0)",
    "block $b (result i64 i32) try_table (catch $e2 $b) {} local.get $l call $s1 return end unreachable end
     local.set $x local.set $l {} local.get $l return_call $s4",
    "block $b (result exnref) try_table (result exnref) (catch_all_ref $b) {} local.get $l return_call $s3 end end
     throw_ref",
    "{} local.get $l ref.func $s0 return_call_ref $f0",
];

/// What modules have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parts {
    /// What other engines have too.
    Common,
    /// Also the older encoding of exceptions, shared memories, and references to numbers.
    All,
}

/// The module of a seed, in the binary format.
pub fn module(seed: u64, parts: Parts) -> Vec<u8> {
    let text = text(seed, parts);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("what is written here is valid: {error}\n{text}"))
}

/// The same as text.
pub fn text(seed: u64, parts: Parts) -> String {
    let mut writer = Writer {
        rng: Rng::new(seed),
        parts,
        more: match seed % 4 {
            3 => (MORE_PARAMS, MORE_NAMED, MORE_VALUES),
            _ => ("", "", ""),
        },
        types: Vec::new(),
        next: 0,
        tries: Vec::new(),
        out: String::from("(module\n"),
    };
    writer.module();
    writer.out
}

struct Writer {
    rng: Rng,
    parts: Parts,
    /// Further parameters of functions: their types, with names, and their values.
    more: (&'static str, &'static str, &'static str),
    /// The type of each function.
    types: Vec<usize>,
    /// The next label.
    next: usize,
    /// Labels of the `try` around, in whose handlers this is.
    tries: Vec<usize>,
    out: String,
}

impl Writer {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.out.write_fmt(line).expect(INFALLIBLE);
        self.out.push('\n');
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.rng.below(n) == 0
    }

    fn module(&mut self) {
        let (params, named, values) = self.more;
        self.out
            .push_str(&TYPES.replace("(param i32 i64)", &format!("(param i32 i64{params})")));
        self.types = (0..FUNCS).map(|_| self.rng.below(TYPE_COUNT)).collect();
        // Typed references need something to refer to.
        self.types[0] = self.rng.below(BELOW);
        let shared = if self.parts == Parts::All && self.one_in(2) {
            " shared"
        } else {
            ""
        };
        self.line(format_args!("(memory $m (export \"m\") 1 2{shared})"));
        let seen = if self.one_in(2) { "(export \"t\")" } else { "" };
        self.line(format_args!("(table $t {seen} {ELEMENTS} funcref)"));
        self.line(format_args!("(table $u {ELEMENTS} (ref null $f0))"));
        if self.parts == Parts::All {
            self.line(format_args!(
                "(table $v {ELEMENTS} (ref i31) (ref.i31 (i32.const -3)))
                 (global $i (mut anyref) (ref.i31 (i32.const 5)))"
            ));
        }
        let all: String = (0..FUNCS).map(|i| format!(" $g{i}")).collect();
        self.line(format_args!("(elem (table $t) (i32.const 0) func{all})"));
        for i in 0..FUNCS {
            if self.types[i] < BELOW {
                self.line(format_args!(
                    "(elem (table $u) (i32.const {i}) (ref null $f0) (ref.func $g{i}))"
                ));
            }
        }
        self.line(format_args!(
            "(data (memory $m) (i32.const 0) \"{}\")",
            "\\07\\f3\\80\\01".repeat(32)
        ));
        for (i, body) in SMALL.iter().enumerate() {
            let body = body.replace("{} local.get $l", &format!("{{}} local.get $l{values}"));
            let expressions: Vec<String> = body.split("{}").map(|_| self.expression_of_arguments()).collect();
            let mut parts = body.split("{}");
            let mut text = String::from(parts.next().unwrap_or_default());
            for (part, expression) in parts.zip(&expressions) {
                text += expression;
                text += part;
            }
            self.line(format_args!(
                "(func $s{i} (type $f0) (param $x i32) (param $l i64){named} (result i32) {text})"
            ));
        }
        self.line(format_args!("(elem declare func $s0)"));
        for i in 0..FUNCS {
            self.func(i);
        }
        for i in 0..FUNCS {
            self.line(format_args!(
                "(func (export \"x{i}\") (param $x i32) (param $l i64) (result i32)
                 (global.set $fuel (i32.const {FUEL}))
                 local.get $x local.get $l{values} call $g{i})"
            ));
        }
        self.out.push(')');
    }

    /// Traps when there is no fuel left.
    fn burn(&mut self) {
        self.line(format_args!(
            "global.get $fuel i32.const 1 i32.sub global.set $fuel
             global.get $fuel i32.const 0 i32.le_s if unreachable end"
        ));
    }

    fn func(&mut self, i: usize) {
        let (ty, named) = (self.types[i], self.more.1);
        self.line(format_args!(
            "(func $g{i} (type $f{ty}) (param $x i32) (param $l i64){named} (result i32)
             (local $y i32) (local $r (ref null $f0)) (local $e exnref)"
        ));
        if self.parts == Parts::All {
            self.line(format_args!("(local $i anyref)"));
        }
        self.burn();
        if !named.is_empty() {
            let sum = "local.get $p5 local.get $p0 local.get $p3 i64.sub i32.wrap_i64 i32.add local.set $y";
            self.line(format_args!("{sum}"));
        }
        if !self.one_in(4) {
            let func = self.typed();
            self.line(format_args!("ref.func $g{func} local.set $r"));
        }
        let count = 2 + self.rng.below(5);
        self.statements(count, 0);
        match self.rng.below(6) {
            0 => {
                self.arguments();
                let callee = self.rng.below(FUNCS);
                self.line(format_args!("return_call $g{callee}"));
            }
            1 => {
                self.arguments();
                let (index, ty) = (self.expression(1), self.rng.below(TYPE_COUNT));
                self.line(format_args!(
                    "{index} i32.const 15 i32.and return_call_indirect $t (type $f{ty})"
                ));
            }
            2 => {
                self.arguments();
                self.line(format_args!("local.get $r return_call_ref $f0"));
            }
            _ => {
                let value = self.expression(2);
                self.line(format_args!("{value} local.get $y i32.xor"));
            }
        }
        self.line(format_args!(")"));
    }

    /// An i32, in flat form.
    fn expression(&mut self, depth: usize) -> String {
        const BINARY: [&str; 10] = [
            "i32.add",
            "i32.sub",
            "i32.mul",
            "i32.xor",
            "i32.and",
            "i32.or",
            "i32.shr_u",
            "i32.lt_s",
            "i32.eq",
            "i32.rotl",
        ];
        if depth > 0 && self.one_in(2) {
            let (a, b) = (self.expression(depth - 1), self.expression(depth - 1));
            return format!("{a} {b} {}", BINARY[self.rng.below(BINARY.len())]);
        }
        match self.rng.below(8) {
            0 => format!("i32.const {}", self.rng.below(40) as i32 - 10),
            1 | 2 => "local.get $x".into(),
            3 => "local.get $y".into(),
            4 => "local.get $l i32.wrap_i64".into(),
            5 => "global.get $n".into(),
            6 => "local.get $r ref.is_null".into(),
            _ => format!(
                "local.get $x i32.const 63 i32.and i32.load offset={}",
                self.rng.below(64)
            ),
        }
    }

    /// An i32 of `$x`, `$l` and `$n` alone.
    fn expression_of_arguments(&mut self) -> String {
        let n = self.rng.below(40);
        match self.rng.below(4) {
            0 => format!("i32.const {n}"),
            1 => format!("local.get $x i32.const {n} i32.xor"),
            2 => "local.get $l i32.wrap_i64".into(),
            _ => "local.get $x global.get $n i32.add".into(),
        }
    }

    /// A hint before a branch, sometimes.
    fn hint(&mut self) {
        if self.one_in(3) {
            let likely = self.rng.below(2);
            self.line(format_args!("(@metadata.code.branch_hint \"\\0{likely}\")"));
        }
    }

    fn arguments(&mut self) {
        let (value, values) = (self.expression(1), self.more.2);
        self.line(format_args!(
            "{value} local.get $l local.get $x i64.extend_i32_s i64.add{values}"
        ));
    }

    fn statements(&mut self, count: usize, depth: usize) {
        for _ in 0..count {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let nested = depth < DEPTH_MAX;
        match self.rng.below(18) {
            0 | 1 if nested => self.try_table(depth + 1),
            2 | 3 if nested && self.parts == Parts::All => self.legacy_try(depth + 1),
            4 if nested => self.choice(depth + 1),
            5 if nested => self.repeat(depth + 1),
            6 | 7 => self.throw(),
            8 | 9 => self.call(),
            10 if self.parts == Parts::All && self.one_in(2) => self.number(),
            10 => self.reference(),
            11 => self.null_test(),
            12 => self.atomic(),
            16 => self.small_call(),
            17 => self.leave(),
            13 => {
                let value = self.expression(2);
                self.line(format_args!("{value} global.set $n"));
            }
            14 => {
                let value = self.expression(2);
                self.line(format_args!("{value} local.set $y"));
            }
            _ => {
                let value = self.expression(2);
                self.line(format_args!("{value} local.set $x"));
            }
        }
    }

    fn choice(&mut self, depth: usize) {
        let condition = self.expression(2);
        self.line(format_args!("{condition}"));
        self.hint();
        self.line(format_args!("if"));
        self.statements(2, depth);
        self.line(format_args!("else"));
        self.statements(1, depth);
        self.line(format_args!("end"));
    }

    fn repeat(&mut self, depth: usize) {
        let label = self.label();
        self.line(format_args!("loop $b{label}"));
        self.burn();
        self.statements(2, depth);
        let condition = self.expression(1);
        self.line(format_args!("{condition} i32.const 3 i32.and"));
        self.hint();
        self.line(format_args!("br_if $b{label} end"));
    }

    fn label(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    /// Throws sometimes.
    fn throw(&mut self) {
        let condition = self.expression(1);
        let tag = self.rng.below(TAGS.len());
        let throw = match self.tries.last().copied() {
            Some(label) if self.one_in(2) => format!("rethrow $t{label}"),
            _ if self.one_in(5) => "local.get $e throw_ref".into(),
            _ => format!("{} throw $e{tag}", TAGS[tag].0),
        };
        self.line(format_args!("{condition} i32.const 1 i32.and"));
        self.hint();
        self.line(format_args!("if {throw} end"));
    }

    /// Calls a function that may be inlined.
    fn small_call(&mut self) {
        let callee = self.rng.below(SMALL.len());
        self.arguments();
        self.line(format_args!("call $s{callee} local.set $y"));
    }

    /// Leaves the function sometimes, by a tail call, which nothing around it catches.
    fn leave(&mut self) {
        let condition = self.expression(1);
        self.line(format_args!("{condition} i32.const 7 i32.and i32.eqz"));
        self.hint();
        self.line(format_args!("if"));
        self.arguments();
        let (callee, small, ty) = (
            self.rng.below(FUNCS),
            self.rng.below(SMALL.len()),
            self.rng.below(TYPE_COUNT),
        );
        match self.rng.below(4) {
            0 => self.line(format_args!("return_call $g{callee} end")),
            1 => self.line(format_args!("return_call $s{small} end")),
            2 => self.line(format_args!(
                "i32.const {callee} return_call_indirect $t (type $f{ty}) end"
            )),
            _ => self.line(format_args!("local.get $r return_call_ref $f0 end")),
        }
    }

    fn call(&mut self) {
        self.arguments();
        let callee = self.rng.below(FUNCS);
        let ty = self.rng.below(TYPE_COUNT);
        match self.rng.below(4) {
            0 => self.line(format_args!("call $g{callee}")),
            1 => {
                let index = self.expression(1);
                self.line(format_args!(
                    "{index} i32.const 15 i32.and call_indirect $t (type $f{ty})"
                ));
            }
            // Mostly one that is there.
            2 => self.line(format_args!("i32.const {callee} call_indirect $t (type $f{ty})")),
            _ => {
                self.line(format_args!("local.get $r call_ref $f0"));
            }
        }
        self.line(format_args!("local.set $y"));
    }

    /// A function to which a reference to `$f0` may refer.
    fn typed(&mut self) -> usize {
        let typed: Vec<usize> = (0..FUNCS).filter(|&i| self.types[i] < BELOW).collect();
        typed[self.rng.below(typed.len())]
    }

    /// Changes what `$r`, the global and the table refer to.
    fn reference(&mut self) {
        let func = self.typed();
        let index = self.expression(1);
        match self.rng.below(6) {
            0 | 1 => self.line(format_args!("ref.func $g{func} local.set $r")),
            2 => self.line(format_args!(
                "{index} i32.const 7 i32.and table.get $u local.set $r"
            )),
            3 => self.line(format_args!("local.get $r global.set $r")),
            4 => self.line(format_args!("global.get $r local.set $r")),
            _ => self.line(format_args!(
                "{index} i32.const 7 i32.and local.get $r table.set $u"
            )),
        }
    }

    /// Makes, moves, casts and reads references to numbers.
    fn number(&mut self) {
        const TYPES: [&str; 7] = [
            "(ref any)",
            "(ref eq)",
            "(ref i31)",
            "anyref",
            "i31ref",
            "nullref",
            "(ref none)",
        ];
        let value = self.expression(1);
        let index = format!("{} i32.const 7 i32.and", self.expression(1));
        let ty = TYPES[self.rng.below(TYPES.len())];
        let label = self.label();
        match self.rng.below(10) {
            0 | 1 => self.line(format_args!("{value} ref.i31 local.set $i")),
            2 => self.line(format_args!("{index} {value} ref.i31 table.set $v")),
            3 => self.line(format_args!("{index} table.get $v i31.get_s local.set $y")),
            4 => self.line(format_args!("{index} table.get $v local.set $i")),
            5 => self.line(format_args!(
                "global.get $i local.get $i global.set $i local.set $i"
            )),
            6 => self.line(format_args!(
                "local.get $i ref.cast i31ref i31.get_u local.set $y"
            )),
            7 => self.line(format_args!("local.get $i ref.test {ty} local.set $y")),
            8 => self.line(format_args!(
                "local.get $i ref.cast eqref global.get $i ref.cast eqref ref.eq local.set $y"
            )),
            _ => {
                let branch = if self.one_in(2) {
                    "br_on_cast"
                } else {
                    "br_on_cast_fail"
                };
                self.line(format_args!(
                    "block $b{label} (result anyref) local.get $i {branch} $b{label} anyref {ty}
                     drop {value} local.set $x ref.null none end local.set $i"
                ));
            }
        }
    }

    fn null_test(&mut self) {
        let label = self.label();
        match self.rng.below(3) {
            0 => {
                self.line(format_args!("block $b{label}"));
                self.arguments();
                self.line(format_args!(
                    "local.get $r br_on_null $b{label} call_ref $f0 local.set $y end"
                ));
            }
            1 => self.line(format_args!(
                "block $b{label} (result (ref $f0)) local.get $r br_on_non_null $b{label}
                 ref.func $g0 end local.set $r"
            )),
            _ => self.line(format_args!("local.get $r ref.as_non_null local.set $r")),
        }
    }

    fn atomic(&mut self) {
        const WIDTHS: [(&str, &str); 3] = [("8", "8_u"), ("16", "16_u"), ("", "")];
        const OPERATORS: [&str; 6] = ["add", "sub", "and", "or", "xor", "xchg"];
        let (narrow, load) = WIDTHS[self.rng.below(3)];
        // Mostly aligned.
        let mask = if self.one_in(12) { 63 } else { 60 };
        let address = format!("{} i32.const {mask} i32.and", self.expression(1));
        let value = self.expression(1);
        let operator = OPERATORS[self.rng.below(OPERATORS.len())];
        let infix = if narrow.is_empty() {
            String::new()
        } else {
            format!("{narrow}.")
        };
        let suffix = if narrow.is_empty() { "" } else { "_u" };
        match self.rng.below(10) {
            0 => self.line(format_args!("{address} i32.atomic.load{load} local.set $y")),
            1 => self.line(format_args!("{address} {value} i32.atomic.store{narrow}")),
            2 | 3 => self.line(format_args!(
                "{address} {value} i32.atomic.rmw{}{operator}{suffix} local.set $x",
                if infix.is_empty() { ".".into() } else { infix }
            )),
            4 => self.line(format_args!(
                "{address} local.get $y {value} i32.atomic.rmw{}cmpxchg{suffix} local.set $x",
                if infix.is_empty() { ".".into() } else { infix }
            )),
            5 => self.line(format_args!(
                "{address} i32.const 56 i32.and local.get $l i64.atomic.rmw.{operator} local.set $l"
            )),
            6 => self.line(format_args!(
                "{address} i32.const 56 i32.and local.get $l {value} i64.extend_i32_u \
                 i64.atomic.rmw.cmpxchg local.set $l"
            )),
            7 => self.line(format_args!(
                "{address} local.get $l i64.atomic.rmw{}{operator}_u local.set $l",
                if infix.is_empty() { "32.".into() } else { infix }
            )),
            8 => self.line(format_args!(
                "{address} local.get $l i64.const 5 i64.atomic.rmw{}cmpxchg_u local.set $l",
                if infix.is_empty() { "32.".into() } else { infix }
            )),
            _ => self.line(format_args!(
                "atomic.fence {address} {value} memory.atomic.notify local.set $y"
            )),
        }
    }

    /// A `try_table` with handlers for some tags, for all, or for all with a reference.
    fn try_table(&mut self, depth: usize) {
        let done = self.label();
        let tag = self.rng.below(TAGS.len());
        let (of_tag, all) = (self.label(), self.label());
        let with_ref = self.one_in(3);
        let catches_all = self.rng.below(3);
        let (kind, extra) = if with_ref {
            ("catch_ref", " exnref")
        } else {
            ("catch", "")
        };
        self.line(format_args!("block $b{done}"));
        self.line(format_args!("block $b{of_tag} (result {}{extra})", RESULTS[tag]));
        match catches_all {
            0 => self.line(format_args!("try_table ({kind} $e{tag} $b{of_tag})")),
            1 => self.line(format_args!(
                "block $b{all} try_table ({kind} $e{tag} $b{of_tag}) (catch_all $b{all})"
            )),
            _ => self.line(format_args!(
                "block $b{all} (result exnref) try_table ({kind} $e{tag} $b{of_tag}) (catch_all_ref $b{all})"
            )),
        }
        self.statements(3, depth);
        self.line(format_args!("end br $b{done}"));
        match catches_all {
            0 => {}
            1 => {
                self.line(format_args!("end"));
                self.statements(1, depth);
                self.line(format_args!("br $b{done}"));
            }
            _ => {
                self.line(format_args!("end local.set $e"));
                self.statements(1, depth);
                self.line(format_args!("br $b{done}"));
            }
        }
        self.line(format_args!("end"));
        if with_ref {
            self.line(format_args!("local.set $e"));
        }
        self.line(format_args!("{}", TAGS[tag].1));
        self.statements(1, depth);
        self.line(format_args!("end"));
    }

    /// The older encoding.
    fn legacy_try(&mut self, depth: usize) {
        let label = self.label();
        self.line(format_args!("try $t{label}"));
        self.statements(3, depth);
        if self.one_in(4) {
            // To whatever is around, at most the function itself.
            let outer = if depth > 1 { self.rng.below(2) } else { 0 };
            self.line(format_args!("delegate {outer}"));
            return;
        }
        self.tries.push(label);
        let tags = self.rng.below(3);
        for _ in 0..tags {
            let tag = self.rng.below(TAGS.len());
            self.line(format_args!("catch $e{tag} {}", TAGS[tag].1));
            self.statements(1, depth);
        }
        if tags == 0 || self.one_in(2) {
            self.line(format_args!("catch_all"));
            self.statements(1, depth);
        }
        self.tries.pop();
        self.line(format_args!("end"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, module, text};

    #[test]
    fn every_module_is_valid_and_has_what_it_is_for() {
        let mut all = String::new();
        for seed in 0..200 {
            for parts in [Parts::Common, Parts::All] {
                if let Err(error) = cellwall_wasm::decode(module(seed, parts)) {
                    panic!("{seed}: {error}\n{}", text(seed, parts));
                }
                all += &text(seed, parts);
            }
        }
        for word in [
            "catch_all_ref",
            "catch_ref",
            "throw_ref",
            "rethrow",
            "delegate",
            "call_ref",
            "return_call_ref",
            "return_call_indirect",
            "br_on_null",
            "br_on_non_null",
            "ref.as_non_null",
            "i31.get_s",
            "i31.get_u",
            "ref.test (ref none)",
            "ref.cast i31ref",
            "ref.eq",
            "br_on_cast $",
            "br_on_cast_fail",
            "i64.atomic.rmw.cmpxchg",
            "i64.atomic.rmw16.cmpxchg_u",
            "i64.atomic.rmw32.add_u",
            "branch_hint",
            "return_call $s",
            "local.get $p5",
            "shared",
        ] {
            assert!(all.contains(word), "{word} is missing");
        }
    }

    #[test]
    fn what_is_not_common_can_be_left_out() {
        let rare = |parts| (0..50).any(|seed| text(seed, parts).contains("try $"));
        assert!(rare(Parts::All) && !rare(Parts::Common));
    }
}
