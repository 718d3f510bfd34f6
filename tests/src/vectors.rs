//! Random modules of vector operators: each operator of the table of the SSA form, the relaxed ones,
//! loads and stores of lanes, and shuffles of the kinds that have instructions of their own. The
//! operands are lanes of interest, memory, constants and one another, so that lowering fuses them;
//! vectors pass through locals, more of them than there are registers, globals, blocks, loops,
//! selects and calls, also beyond the registers of the calling convention.
//!
//! Which NaN an operator gives is left to engines, so what may be one is made canonical.

use crate::rng::Rng;
use cellwall_ir::{Form, Type, VectorOp};
use std::fmt::Write;

/// Functions of a module.
const FUNCS: usize = 10;
/// Statements of a function.
const STATEMENTS: usize = 24;
/// Depth of expressions.
const DEPTH_MAX: usize = 3;
/// Vectors in locals beside the parameters.
const LOCALS: [usize; 3] = [4, 12, 26];
/// Written to Strings, which take every write.
const INFALLIBLE: &str = "a String takes every write";

/// Every fourth function has more parameters and results than registers pass.
const MANY: &str = "(param $p0 v128) (param $p1 v128) (param $i i32) (param $l i64) (param $f f32) (param $d f64) \
                    (param $p2 v128) (param $p3 v128) (param $p4 v128) (param $p5 v128) (param $p6 v128) \
                    (param $p7 v128) (param $p8 v128) (param $p9 v128) \
                    (result v128 i32 v128 v128 f64 v128 v128 v128)";
const FEW: &str = "(param $p0 v128) (param $p1 v128) (param $i i32) (param $l i64) (param $f f32) (param $d f64) \
                   (result v128)";

/// The relaxed operators, with the number of their operands.
const RELAXED: [(&str, usize); 20] = [
    ("i8x16.relaxed_swizzle", 2),
    ("i32x4.relaxed_trunc_f32x4_s", 1),
    ("i32x4.relaxed_trunc_f32x4_u", 1),
    ("i32x4.relaxed_trunc_f64x2_s_zero", 1),
    ("i32x4.relaxed_trunc_f64x2_u_zero", 1),
    ("f32x4.relaxed_madd", 3),
    ("f32x4.relaxed_nmadd", 3),
    ("f64x2.relaxed_madd", 3),
    ("f64x2.relaxed_nmadd", 3),
    ("i8x16.relaxed_laneselect", 3),
    ("i16x8.relaxed_laneselect", 3),
    ("i32x4.relaxed_laneselect", 3),
    ("i64x2.relaxed_laneselect", 3),
    ("f32x4.relaxed_min", 2),
    ("f32x4.relaxed_max", 2),
    ("f64x2.relaxed_min", 2),
    ("f64x2.relaxed_max", 2),
    ("i16x8.relaxed_q15mulr_s", 2),
    ("i16x8.relaxed_dot_i8x16_i7x16_s", 2),
    ("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3),
];

/// Whether modules use relaxed operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relaxed {
    /// They do not: all engines agree.
    Without,
    /// They do: engines that made other choices may differ.
    With,
}

/// The module of a seed, in the binary format.
pub fn module(seed: u64, relaxed: Relaxed) -> Vec<u8> {
    let text = text(seed, relaxed);
    wat::parse_str(&text).unwrap_or_else(|error| panic!("what is written here is valid: {error}\n{text}"))
}

/// The same as text.
pub fn text(seed: u64, relaxed: Relaxed) -> String {
    let mut rng = Rng::new(seed);
    let constant = constant(&mut rng);
    let data: String = rng
        .bytes(256)
        .iter()
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    let mut writer = Writer {
        rng,
        relaxed,
        func: 0,
        vectors: Vec::new(),
    };
    let mut text = format!(
        r#"(module (memory (export "memory") 1) (data (i32.const 16) "{data}")
             (global $g0 (export "g0") (mut v128) {constant})
             (global $g1 (export "g1") (mut v128) (v128.const i64x2 0 0))
             (type $few (func {FEW}))
             (table funcref (elem $f0 $f1 $f2))
"#
    );
    for func in 0..FUNCS {
        writer.func = func;
        writer.function(&mut text);
    }
    text.push(')');
    text
}

/// A vector as `v128.const`, with lanes of interest.
fn constant(rng: &mut Rng) -> String {
    const FLOATS: [&str; 14] = [
        "0",
        "-0",
        "1",
        "-1.5",
        "0.5",
        "inf",
        "-inf",
        "nan",
        "2147483648",
        "-2147483649",
        "4294967296",
        "1e-40",
        "2147483647.5",
        "3.4e38",
    ];
    let lanes = |rng: &mut Rng, count: usize, bits: u32| -> String {
        // Often all lanes are alike, which has instructions of its own.
        let same = (rng.below(2) == 0).then(|| rng.interesting());
        let lane = |rng: &mut Rng| same.unwrap_or_else(|| rng.interesting()) & (u64::MAX >> (64 - bits));
        (0..count).map(|_| format!(" {}", lane(rng))).collect()
    };
    match rng.below(6) {
        0 => format!("(v128.const i8x16{})", lanes(rng, 16, 8)),
        1 => format!("(v128.const i16x8{})", lanes(rng, 8, 16)),
        2 => format!("(v128.const i32x4{})", lanes(rng, 4, 32)),
        3 => format!("(v128.const i64x2{})", lanes(rng, 2, 64)),
        4 => {
            let lanes: String = (0..4)
                .map(|_| format!(" {}", FLOATS[rng.below(FLOATS.len())]))
                .collect();
            format!("(v128.const f32x4{lanes})")
        }
        _ => {
            let lanes: String = (0..2)
                .map(|_| format!(" {}", FLOATS[rng.below(FLOATS.len())]))
                .collect();
            format!("(v128.const f64x2{lanes})")
        }
    }
}

/// The bytes of a shuffle: often of a kind that has an instruction.
fn mask(rng: &mut Rng) -> [u8; 16] {
    let wide = [1, 2, 4, 8][rng.below(4)];
    let from = rng.below(32 / wide) * wide;
    let lane = |i: usize, of: &dyn Fn(usize) -> usize| (of(i / wide) * wide + i % wide) as u8;
    let swap = if rng.below(2) == 0 { 0 } else { 16 };
    std::array::from_fn(match rng.below(9) {
        // Neighbours of both operands in turn, low or high halves.
        0 => Box::new(|i| lane(i, &|n| n / 2 + (n % 2) * (16 / wide))) as Box<dyn Fn(usize) -> u8>,
        1 => Box::new(|i| lane(i, &|n| n / 2 + 8 / wide + (n % 2) * (16 / wide))),
        // One lane everywhere.
        2 => Box::new(move |i| (from + i % wide) as u8),
        // Consecutive bytes, of both operands or around.
        3 => Box::new(move |i| ((from + i) % 32) as u8),
        4 => Box::new(move |i| ((from + i) % 16) as u8 | swap),
        // Lanes in reverse.
        5 => Box::new(move |i| lane(i, &|n| 16 / wide - 1 - n) | swap),
        // Each byte in its place, from one or the other.
        6 => {
            let choice = rng.bits();
            Box::new(move |i| i as u8 | (((choice >> (i / wide)) & 1) as u8) << 4)
        }
        // Every second lane of both.
        7 => Box::new(move |i| lane(i, &|n| (2 * n + usize::from(swap != 0)) % (32 / wide))),
        _ => {
            let lanes: Vec<usize> = (0..16).map(|_| rng.below(32 / wide)).collect();
            Box::new(move |i| (lanes[i / wide] * wide + i % wide) as u8)
        }
    })
}

/// Whether the result may be a NaN that an engine chooses.
fn makes_nan(name: &str) -> bool {
    const EXACT: [&str; 14] = [
        "abs",
        "neg",
        "pmin",
        "pmax",
        "eq",
        "ne",
        "lt",
        "gt",
        "le",
        "ge",
        "splat",
        "replace_lane",
        "extract_lane",
        "convert",
    ];
    let float = name.starts_with("f32x4.") || name.starts_with("f64x2.");
    let op = name.split('.').next_back().expect("a name has two parts");
    float && !EXACT.contains(&op)
}

struct Writer {
    rng: Rng,
    relaxed: Relaxed,
    func: usize,
    /// Names of the vectors of the function.
    vectors: Vec<String>,
}

impl Writer {
    fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.rng.below(list.len())]
    }

    fn vector_name(&mut self) -> String {
        self.vectors[self.rng.below(self.vectors.len())].clone()
    }

    fn function(&mut self, text: &mut String) {
        let (func, many) = (self.func, self.func % 4 == 3);
        let params = if many { 10 } else { 2 };
        let locals = LOCALS[self.rng.below(LOCALS.len())];
        self.vectors = (0..params).map(|i| format!("$p{i}")).collect();
        self.vectors.extend((0..locals).map(|i| format!("$v{i}")));
        let signature = if many { MANY } else { FEW };
        let declared: String = (0..locals).map(|i| format!(" (local $v{i} v128)")).collect();
        writeln!(
            text,
            "(func $f{func} (export \"f{func}\") {signature}{declared} (local $t v128) (local $n i32)"
        )
        .expect(INFALLIBLE);
        // All are alive at once.
        for i in 0..locals {
            let value = self.vector(1);
            writeln!(text, "(local.set $v{i} {value})").expect(INFALLIBLE);
        }
        for _ in 0..STATEMENTS {
            self.statement(text, 0);
        }
        let mut sum = "(local.get $p0)".to_string();
        for name in self.vectors.clone() {
            sum = format!("(i64x2.add (i64x2.mul {sum} (v128.const i64x2 31 33)) (local.get {name}))");
        }
        if many {
            let scalar = self.vector(1);
            writeln!(
                text,
                "{sum} (i32x4.extract_lane 1 {scalar}) (local.get $p3) (local.get $p4) (local.get $d) \
                 (local.get $p5) (local.get $p6) (local.get $p9))"
            )
        } else {
            writeln!(text, "{sum})")
        }
        .expect(INFALLIBLE);
    }

    fn statement(&mut self, text: &mut String, depth: usize) {
        let local = self.vector_name();
        match self.rng.below(14) {
            0 => {
                let (global, value) = (self.one_of(&["$g0", "$g1"]), self.vector(1));
                writeln!(text, "(global.set {global} {value})")
            }
            1 | 2 => {
                let (at, value) = (self.place(16), self.vector(1));
                writeln!(text, "(v128.store {at} {value})")
            }
            3 => {
                let bits = [8usize, 16, 32, 64][self.rng.below(4)];
                let (at, value) = (self.place(bits / 8), self.vector(1));
                let lane = self.rng.below(128 / bits);
                // The lane follows the immediate of the access.
                let (offset, index) = at.split_once(' ').expect("a place has two parts");
                writeln!(text, "(v128.store{bits}_lane {offset} {lane} {index} {value})")
            }
            4 => {
                let name = self.one_of(&["i", "l", "f", "d"]);
                let value = self.scalar(kind_of(name), 1);
                writeln!(text, "(local.set ${name} {value})")
            }
            5 if depth == 0 => {
                let (cond, rounds) = (self.scalar(I32, 1), 1 + self.rng.below(4));
                let mut body = String::new();
                for _ in 0..3 {
                    self.statement(&mut body, 1);
                }
                if self.rng.below(2) == 0 {
                    let mut other = String::new();
                    self.statement(&mut other, 1);
                    writeln!(text, "(if {cond} (then {body}) (else {other}))")
                } else {
                    writeln!(
                        text,
                        "(local.set $n (i32.const {rounds})) (loop $again {body}
                           (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
                    )
                }
            }
            6 if self.func > 3 => {
                let args = self.many_args();
                let [a, b, c, d, e] = [(); 5].map(|()| self.vector_name());
                writeln!(
                    text,
                    "(call $f3 {args}) (local.set {a}) (local.set {b}) (local.set {c}) (local.set $d) \
                     (local.set {d}) (local.set {e}) (local.set $i) (local.set {local})"
                )
            }
            _ => {
                let value = self.vector(0);
                writeln!(text, "(local.set {local} {value})")
            }
        }
        .expect(INFALLIBLE);
    }

    fn many_args(&mut self) -> String {
        let mut args = self.few_args();
        for _ in 0..8 {
            args += &format!(" {}", self.vector(DEPTH_MAX));
        }
        args
    }

    fn few_args(&mut self) -> String {
        let (x, y) = (self.vector(2), self.vector(DEPTH_MAX));
        let [i, l, f, d] = [I32, I64, F32, F64].map(|ty| self.scalar(ty, 2));
        format!("{x} {y} {i} {l} {f} {d}")
    }

    /// Offset and index of an access of so many bytes; nearly always inside the memory.
    fn place(&mut self, bytes: usize) -> String {
        let near = self.rng.below(300);
        match self.rng.below(200) {
            0 => format!("offset={near} (local.get $i)"),
            // The last bytes, or the first outside.
            at @ 1..=12 => format!("offset=0 (i32.const {})", (1 << 16) - bytes + at / 12),
            13..=80 => format!("offset={near} (i32.const {})", self.rng.below(64)),
            _ => format!("offset={near} (i32.and (local.get $i) (i32.const 0xff))"),
        }
    }

    /// An expression of a vector.
    fn vector(&mut self, depth: usize) -> String {
        if depth >= DEPTH_MAX {
            return match self.rng.below(4) {
                0 => constant(&mut self.rng),
                _ => format!("(local.get {})", self.vector_name()),
            };
        }
        match self.rng.below(32) {
            0..=3 => format!("(local.get {})", self.vector_name()),
            4 | 5 => constant(&mut self.rng),
            6 | 7 => {
                let loads = [
                    ("", 16),
                    ("8x8_s", 8),
                    ("8x8_u", 8),
                    ("16x4_s", 8),
                    ("16x4_u", 8),
                    ("32x2_s", 8),
                    ("32x2_u", 8),
                    ("8_splat", 1),
                    ("16_splat", 2),
                    ("32_splat", 4),
                    ("64_splat", 8),
                    ("32_zero", 4),
                    ("64_zero", 8),
                ];
                let (load, bytes) = loads[self.rng.below(loads.len())];
                format!("(v128.load{load} {})", self.place(bytes))
            }
            8 | 9 => format!("(v128.load {})", self.place(16)),
            10 => {
                let bits = [8usize, 16, 32, 64][self.rng.below(4)];
                let (at, value) = (self.place(bits / 8), self.vector(depth + 1));
                let lane = self.rng.below(128 / bits);
                let (offset, index) = at.split_once(' ').expect("a place has two parts");
                format!("(v128.load{bits}_lane {offset} {lane} {index} {value})")
            }
            11..=13 => {
                let mask: String = mask(&mut self.rng)
                    .iter()
                    .map(|byte| format!(" {byte}"))
                    .collect();
                let x = self.vector(depth + 1);
                let y = if self.rng.below(4) == 0 {
                    x.clone()
                } else {
                    self.vector(depth + 1)
                };
                format!("(i8x16.shuffle{mask} {x} {y})")
            }
            14 => {
                let (x, y, cond) = (
                    self.vector(depth + 1),
                    self.vector(depth + 1),
                    self.scalar(I32, depth + 1),
                );
                format!("(select {x} {y} {cond})")
            }
            15 => format!("(global.get {})", self.one_of(&["$g0", "$g1"])),
            16 if self.func > 0 && self.rng.below(3) == 0 => {
                let callee = self.rng.below(self.func);
                let args = self.few_args();
                match callee % 4 {
                    3 => constant(&mut self.rng),
                    _ => format!("(call $f{callee} {args})"),
                }
            }
            17 if self.func > 2 && self.rng.below(3) == 0 => {
                let args = self.few_args();
                let index = self.scalar(I32, DEPTH_MAX);
                format!("(call_indirect (type $few) {args} (i32.and {index} (i32.const 1)))")
            }
            18 | 19 if self.relaxed == Relaxed::With => {
                let (name, arity) = RELAXED[self.rng.below(RELAXED.len())];
                let args: String = (0..arity)
                    .map(|_| format!(" {}", self.vector(depth + 1)))
                    .collect();
                canonical(name, format!("({name}{args})"))
            }
            _ => loop {
                let op = VectorOp::ALL[self.rng.below(VectorOp::ALL.len())];
                if op.form().result() == Type::V128 && is_wasm(op) {
                    return self.operator(op, depth);
                }
            },
        }
    }

    fn operator(&mut self, op: VectorOp, depth: usize) -> String {
        let mut args = String::new();
        if op.form().has_lane() {
            write!(args, " {}", self.rng.below(op.lanes() as usize)).expect(INFALLIBLE);
        }
        for &ty in op.form().operands() {
            let arg = match ty {
                Type::V128 => self.vector(depth + 1),
                // Counts are often constants.
                I32 if op.form() == Form::Shift && self.rng.below(2) == 0 => {
                    format!("(i32.const {})", self.rng.below(70))
                }
                ty => self.scalar(ty, depth + 1),
            };
            write!(args, " {arg}").expect(INFALLIBLE);
        }
        let text = format!("({}{args})", op.name());
        if op.form().result() == Type::V128 {
            canonical(op.name(), text)
        } else {
            text
        }
    }

    /// An expression of a scalar.
    fn scalar(&mut self, ty: Type, depth: usize) -> String {
        let special = self.rng.interesting();
        let leaf = match (ty, self.rng.below(3)) {
            (I32, 0) => format!("(i32.const {})", special as i32),
            (I64, 0) => format!("(i64.const {})", special as i64),
            (F32, 0) => format!("(f32.const {}.5)", special as i16),
            (F64, 0) => format!("(f64.const {}.5)", special as i32),
            (I32, _) => "(local.get $i)".into(),
            (I64, _) => "(local.get $l)".into(),
            (F32, _) => "(local.get $f)".into(),
            _ => "(local.get $d)".into(),
        };
        if depth >= DEPTH_MAX {
            return leaf;
        }
        match (ty, self.rng.below(4)) {
            (_, 0) => leaf,
            (I32, 1) => {
                let load = self.one_of(&["load", "load8_u", "load8_s", "load16_u", "load16_s"]);
                format!("(i32.{load} {})", self.place(4))
            }
            (I64, 1) => format!("(i64.load {})", self.place(8)),
            // So that conditions are tests of vectors, and tests conditions.
            (I32, 2) => format!("(i32.eqz {})", self.scalar(I32, depth + 1)),
            _ => loop {
                let op = VectorOp::ALL[self.rng.below(VectorOp::ALL.len())];
                if op.form().result() == ty {
                    return self.operator(op, depth);
                }
            },
        }
    }
}

use Type::{F32, F64, I32, I64};

fn kind_of(name: &str) -> Type {
    match name {
        "i" => I32,
        "l" => I64,
        "f" => F32,
        _ => F64,
    }
}

/// Whether an operator is one of WebAssembly's: the native ones come last in the table.
fn is_wasm(op: VectorOp) -> bool {
    op < VectorOp::I8x16SwizzleLow
}

/// A vector whose NaNs are canonical, if the operator leaves them open.
fn canonical(name: &str, value: String) -> String {
    if !makes_nan(name) {
        return value;
    }
    let (shape, nan) = match name.starts_with("f32x4") {
        true => ("f32x4", "i32x4 0x7fc00000 0x7fc00000 0x7fc00000 0x7fc00000"),
        false => ("f64x2", "i64x2 0x7ff8000000000000 0x7ff8000000000000"),
    };
    format!(
        "(v128.bitselect (local.tee $t {value}) (v128.const {nan}) ({shape}.eq (local.get $t) (local.get $t)))"
    )
}
