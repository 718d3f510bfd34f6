//! Honest artifacts to corrupt: generated modules, and hand-written ones that use what generated
//! modules do not have (imports of every kind, private tables, many values, deep frames).

use crate::{generate, honest};
use cellwall_abi::Artifact;
use iced_x86::{ConstantOffsets, Decoder, DecoderOptions, Instruction};

/// What a hand-written guest imports: an instance of this, in the same store.
pub const HELPER: &str = r#"(module
    (memory (export "memory") 1 4)
    (table (export "table") 12 20 funcref)
    (global (export "global") (mut i64) (i64.const 5))
    (global (export "constant") i32 (i32.const 16))
    (type $f (func (param i32) (result i32)))
    (elem (i32.const 0) func $double $add)
    (func $double (export "double") (type $f) (i32.mul (local.get 0) (i32.const 2)))
    (func $add (export "add") (param i32 i64) (result i32)
        (i32.add (local.get 0) (i32.wrap_i64 (local.get 1)))))"#;

/// Every kind of access, call and table.
const EVERYTHING: &str = r#"(module
    (type $f (func (param i32) (result i32)))
    (import "h" "memory" (memory $far 1))
    (import "h" "table" (table $shared 10 funcref))
    (import "h" "global" (global $far_global (mut i64)))
    (import "h" "constant" (global $constant i32))
    (import "h" "double" (func $double (type $f)))
    (import "h" "add" (func $add (param i32 i64) (result i32)))
    (import "host" "mix" (func $mix (param i32 i64 f64) (result i64)))
    (memory $own 1 3)
    (table $private 8 8 funcref)
    (table $exported (export "table") 6 12 funcref)
    (global $count (export "count") (mut i32) (i32.const 0))
    (global $fixed (export "fixed") i64 (i64.const 0x1122334455667788))
    (global $real (export "real") (mut f64) (f64.const 1.5))
    (elem (table $private) (i32.const 0) func $inc $double $fact)
    (elem (table $exported) (i32.const 1) func $inc $fact)
    (data (memory $own) (i32.const 32) "\01\02\03\04\05\06\07\08")
    (func $inc (type $f)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (i32.add (local.get 0) (i32.const 1)))
    (func $fact (export "fact") (type $f)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (i32.const 1))
            (else (i32.mul (local.get 0)
                (call $fact (i32.sub (i32.and (local.get 0) (i32.const 15)) (i32.const 1)))))))
    (func (export "loads") (param i32) (result i64)
        (i64.add (i64.load offset=8 (local.get 0)) (i64.load32_s $own (local.get 0))))
    (func (export "stores") (param i32 i64)
        (i64.store $own offset=16 (local.get 0) (local.get 1))
        (i32.store8 $far (i32.and (local.get 0) (i32.const 0xffff)) (i32.const 7))
        (i32.store16 $own offset=0x10000 (local.get 0) (i32.const -1)))
    (func (export "sum") (param $n i32) (result i64) (local $i i32) (local $s i64)
        (loop $l
            (local.set $s (i64.add (local.get $s)
                (i64.load8_u $own (i32.shl (local.get $i) (i32.const 2)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.and (local.get $n) (i32.const 255)))))
        (local.get $s))
    (func (export "calls") (param i32 i32) (result i32)
        (i32.add
            (call_indirect $private (type $f) (local.get 0) (i32.and (local.get 1) (i32.const 3)))
            (call_indirect $exported (type $f) (local.get 0) (i32.and (local.get 1) (i32.const 3)))))
    (func (export "shared") (param i32 i32) (result i32)
        (call_indirect $shared (type $f) (local.get 0) (local.get 1)))
    (func (export "imports") (param i32 i64) (result i64)
        (global.set $far_global (i64.add (global.get $far_global) (local.get 1)))
        (i64.add
            (call $mix (call $add (local.get 0) (local.get 1)) (local.get 1) (global.get $real))
            (i64.extend_i32_s (call $double (global.get $constant)))))
    (func (export "switch") (param i32) (result i32)
        (block (block (block (block (block
            (br_table 0 1 2 3 4 1 (local.get 0)))
            (return (i32.const 10))) (return (i32.const 11)))
            (return (call $double (local.get 0)))) (return (i32.const 13)))
        (i32.const 14))
    (func (export "grow") (param i32) (result i32)
        (drop (memory.grow $own (i32.and (local.get 0) (i32.const 1))))
        (memory.fill $own (i32.const 100) (local.get 0) (i32.const 50))
        (memory.copy $far $own (i32.const 0) (local.get 0) (i32.const 20))
        (table.set $exported (i32.and (local.get 0) (i32.const 7)) (ref.func $inc))
        (i32.add (memory.size $own) (table.size $exported)))
    (func (export "divide") (param i32 i32 i64 i64) (result i64)
        (i64.add (i64.extend_i32_u (i32.div_s (local.get 0) (local.get 1)))
            (i64.rem_u (local.get 2) (local.get 3))))
    (func (export "bits") (param i32 i64) (result i64)
        (i64.add (i64.rotl (local.get 1) (i64.extend_i32_u (i32.clz (local.get 0))))
            (i64.shr_u (i64.popcnt (local.get 1)) (i64.extend_i32_u (i32.ctz (local.get 0))))))
    (func (export "floats") (param f64 f32 i32) (result f64)
        (global.set $real (f64.sqrt (f64.add (global.get $real) (local.get 0))))
        (f64.add (f64.mul (local.get 0) (f64.promote_f32 (f32.neg (local.get 1))))
            (f64.load $own (local.get 2))))
    (func $many (param i32 i64 i32 i64 i32 i64 i32 i64 f64 i32) (result i64 i64 i64 i64 i64 i32)
        (i64.extend_i32_u (local.get 0)) (local.get 1) (local.get 3) (local.get 5) (local.get 7)
        (i32.add (local.get 9) (local.get 6)))
    (func (export "many") (param i32 i64) (result i64) (local i64 i64 i64 i64 i64 i32)
        (call $many (local.get 0) (local.get 1) (local.get 0) (local.get 1) (local.get 0)
            (local.get 1) (local.get 0) (local.get 1) (f64.const 2) (i32.const 9))
        (local.set 7) (local.set 6) (local.set 5) (local.set 4) (local.set 3) (local.set 2)
        (i64.load $own (i32.add (local.get 7) (local.get 0)))
        (i64.add (local.get 2)) (i64.add (local.get 3)) (i64.add (local.get 4))
        (i64.add (local.get 5)) (i64.add (local.get 6)))
    (func $sort (export "sort") (param $n i32) (local $i i32) (local $j i32) (local $t i32)
        (local.set $n (i32.and (local.get $n) (i32.const 31)))
        (block $done (loop $outer
            (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
            (local.set $j (i32.const 0))
            (block $end (loop $inner
                (br_if $end (i32.ge_u (local.get $j) (local.get $n)))
                (local.set $t (i32.shl (local.get $j) (i32.const 2)))
                (if (i32.gt_s (i32.load $own (local.get $t))
                              (i32.load $own offset=4 (local.get $t)))
                    (then
                        (i32.load $own (local.get $t))
                        (i32.store $own (local.get $t)
                            (i32.load $own offset=4 (local.get $t)))
                        (local.set $j (i32.add (local.get $j) (i32.const 1)))
                        (i32.store $own offset=4 (local.get $t))))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br $inner)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br $outer)))))"#;

/// Memory 0 owned, in the pinned base; a heap as compilers lay it out.
const LIST: &str = r#"(module
    (memory (export "memory") 2 2)
    (global $free (export "free") (mut i32) (i32.const 64))
    (func $cons (param $head i32) (param $tail i32) (result i32) (local $at i32)
        (local.set $at (global.get $free))
        (global.set $free (i32.add (local.get $at) (i32.const 8)))
        (i32.store (local.get $at) (local.get $head))
        (i32.store offset=4 (local.get $at) (local.get $tail))
        (local.get $at))
    (func (export "list") (param $n i32) (result i32) (local $l i32) (local $s i32)
        (global.set $free (i32.const 64))
        (local.set $n (i32.or (i32.and (local.get $n) (i32.const 255)) (i32.const 1)))
        (loop $make
            (local.set $l (call $cons (local.get $n) (local.get $l)))
            (br_if $make (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (loop $walk
            (local.set $s (i32.add (local.get $s) (i32.load (local.get $l))))
            (br_if $walk (local.tee $l (i32.load offset=4 (local.get $l)))))
        (local.get $s))
    (func (export "hash") (param $at i32) (param $n i32) (result i64) (local $h i64)
        (local.set $n (i32.or (i32.and (local.get $n) (i32.const 1023)) (i32.const 1)))
        (loop $l
            (local.set $h (i64.mul (i64.xor (local.get $h) (i64.load8_u (local.get $at)))
                (i64.const 0x100000001b3)))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $h))
    (func (export "poke") (param i32 i32 f32)
        (i32.store offset=65532 (local.get 0) (local.get 1))
        (f32.store (i32.and (local.get 1) (i32.const 0x1fffc)) (local.get 2))))"#;

/// What newer proposals bring, a module for each: vectors, exceptions, tail calls, 64-bit memories,
/// atomic accesses, typed references.
const FEATURES: [(&str, &str); 6] = [
    (
        "vectors",
        r#"(module (memory (export "memory") 1 2)
        (global $kept (mut v128) (v128.const i64x2 1 2))
        (func (export "mix") (param i32 v128 v128) (result v128)
            (v128.store offset=16 (local.get 0) (i32x4.add (local.get 1) (v128.load (local.get 0))))
            (global.set $kept (v128.xor (global.get $kept) (local.get 2)))
            (i8x16.swizzle (i16x8.mul (local.get 1) (local.get 2)) (global.get $kept)))
        (func (export "lanes") (param i32 i64 v128) (result i64)
            (v128.store8_lane offset=3 3 (local.get 0) (local.get 2))
            (v128.store64_lane offset=8 1 (local.get 0) (local.get 2))
            (i64.add (i64x2.extract_lane 1 (v128.load32_lane offset=5 2 (local.get 0) (local.get 2)))
                (i64x2.extract_lane 0 (v128.load16_splat offset=65534 (local.get 0)))))
        (func (export "extend") (param i32 f64) (result v128)
            (f64x2.add (f64x2.splat (local.get 1))
                (f64x2.convert_low_i32x4_s (v128.load16x4_s offset=1 (local.get 0)))))
        (func (export "floats") (param f32 v128 v128) (result f32)
            (f32.add (local.get 0) (f32x4.extract_lane 2 (f32x4.mul (f32x4.splat (local.get 0))
                (v128.bitselect (local.get 1) (local.get 2) (f32x4.lt (local.get 1) (local.get 2)))))))
        (func (export "bits") (param v128 v128 i32) (result i32)
            (i32.add (i8x16.bitmask (i8x16.gt_s (local.get 0) (local.get 1)))
                (i32.add (v128.any_true (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31
                    (local.get 0) (local.get 1)))
                    (i16x8.extract_lane_u 5 (i16x8.shl (local.get 0) (local.get 2))))))
        (func $many (param v128 v128 v128 v128 v128 v128 v128 v128 v128 v128) (result v128 v128 v128)
            (i8x16.add (local.get 8) (local.get 0)) (i8x16.sub (local.get 9) (local.get 1)) (local.get 7))
        (func (export "many") (param v128 v128) (result v128)
            (call $many (local.get 0) (local.get 1) (local.get 0) (local.get 1) (local.get 0)
                (local.get 1) (local.get 0) (local.get 1) (local.get 0) (local.get 1))
            (v128.and) (v128.or)))"#,
    ),
    (
        "exceptions",
        r#"(module (memory (export "memory") 1 2)
        (tag $small (param i32)) (tag $large (param i64 f64 i32))
        (func $throw (param i32 i64) (result i32)
            (if (i32.and (local.get 0) (i32.const 1)) (then (throw $small (local.get 0))))
            (if (i32.and (local.get 0) (i32.const 2))
                (then (throw $large (local.get 1) (f64.const 3) (local.get 0))))
            (i32.load (local.get 0)))
        (func $catch (export "catch") (param i32 i64) (result i64) (local $sum i64)
            (local.set $sum (i64.mul (local.get 1) (i64.const 3)))
            (block $small (result i32)
                (block $large (result i64 f64 i32)
                    (try_table (result i32) (catch $small $small) (catch $large $large)
                        (call $throw (local.get 0) (local.get 1)))
                    (return (i64.add (i64.extend_i32_u) (local.get $sum))))
                (drop) (drop) (return (i64.add (local.get $sum))))
            (i64.add (i64.extend_i32_s) (local.get $sum)))
        (func (export "again") (param i32 i64) (result i64) (local $e exnref)
            (block $all (result exnref)
                (try_table (catch_all_ref $all)
                    (return (i64.extend_i32_u (call $throw (local.get 0) (local.get 1)))))
                (unreachable))
            (local.set $e)
            (if (i32.and (local.get 0) (i32.const 4)) (then (throw_ref (local.get $e))))
            (call $catch (local.get 0) (local.get 1))))"#,
    ),
    (
        "tail calls",
        r#"(module (memory 1) (type $f (func (param i32 i64) (result i64)))
        (table 4 4 funcref) (elem (i32.const 0) func $down $sum $wide)
        (func $down (type $f) (if (result i64) (i32.eqz (local.get 0)) (then (local.get 1))
            (else (return_call $down (i32.shr_u (local.get 0) (i32.const 1))
                (i64.add (local.get 1) (i64.load8_u (local.get 0)))))))
        (func $sum (type $f) (return_call_indirect (type $f)
            (local.get 0) (local.get 1) (i32.and (local.get 0) (i32.const 2))))
        (func $wide (type $f)
            (return_call $many (local.get 1) (local.get 1) (local.get 1) (local.get 1) (local.get 1)
                (local.get 1) (local.get 1) (local.get 1) (local.get 0)))
        (func $many (param i64 i64 i64 i64 i64 i64 i64 i64 i32) (result i64)
            (return_call_indirect (type $f) (local.get 8) (local.get 7) (i32.and (local.get 8) (i32.const 3))))
        (func (export "start") (param i32 i64) (result i64)
            (i64.add (local.get 1) (call $sum (local.get 0) (local.get 1)))))"#,
    ),
    (
        "64-bit memories",
        r#"(module (memory (export "memory") i64 1 3) (table i64 5 9 funcref)
        (type $f (func (param i64) (result i64))) (elem (i64.const 1) func $load $store)
        (func $load (type $f) (i64.add (i64.load offset=8 (local.get 0))
            (i64.load16_s offset=0x10000 (i64.and (local.get 0) (i64.const 0xffff)))))
        (func $store (type $f) (i64.store32 (local.get 0) (local.get 0))
            (v128.store offset=0x100000000 (local.get 0) (v128.const i64x2 0 0)) (local.get 0))
        (func (export "grow") (param i64 i32) (result i64)
            (drop (memory.grow (i64.and (local.get 0) (i64.const 1))))
            (memory.fill (local.get 0) (local.get 1) (i64.const 9))
            (i64.load8_u (memory.size)))
        (func (export "sum") (param i64) (result i64) (local $s i64)
            (loop $l (local.set $s (i64.add (local.get $s) (i64.load (local.get 0))))
                (local.set 0 (i64.add (local.get 0) (i64.const 8)))
                (br_if $l (i64.lt_u (local.get 0) (i64.const 300))))
            (local.get $s))
        (func (export "call") (param i64) (result i64)
            (call_indirect (type $f) (local.get 0) (i64.and (local.get 0) (i64.const 3)))))"#,
    ),
    (
        "atomic accesses",
        r#"(module (memory (export "memory") 1 2 shared)
        (func (export "add") (param i32 i64) (result i64)
            (i64.add (i64.atomic.rmw.add offset=8 (local.get 0) (local.get 1))
                (i64.atomic.rmw16.add_u (i32.const 6) (local.get 1))))
        (func (export "exchange") (param i32 i32 i64) (result i64)
            (drop (i32.atomic.rmw8.xchg_u offset=1 (local.get 0) (local.get 1)))
            (drop (i32.atomic.rmw.cmpxchg (local.get 0) (local.get 1) (i32.const 7)))
            (i64.atomic.rmw.cmpxchg offset=16 (local.get 0) (local.get 2) (i64.const -1)))
        (func (export "bits") (param i32 i32) (result i32)
            (i32.atomic.store16 offset=2 (local.get 0) (local.get 1))
            (drop (i32.atomic.rmw.or (i32.const 64) (local.get 1)))
            (atomic.fence)
            (i32.add (i32.atomic.rmw8.cmpxchg_u (local.get 0) (local.get 1) (local.get 1))
                (i32.atomic.load (local.get 0)))))"#,
    ),
    (
        "typed references",
        r#"(module (type $f (func (param i32) (result i32))) (memory 1)
        (table $t 4 4 (ref null $f)) (elem declare func $inc $load)
        (global $g (mut (ref null $f)) (ref.null $f))
        (func $inc (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $load (type $f) (i32.load (local.get 0)))
        (func (export "set") (param i32)
            (table.set $t (i32.and (local.get 0) (i32.const 3)) (ref.func $load))
            (global.set $g (ref.func $inc)))
        (func (export "call") (param i32 (ref $f)) (result i32)
            (call_ref $f (call_ref $f (local.get 0) (ref.func $inc)) (local.get 1)))
        (func (export "maybe") (param i32) (result i32)
            (block $null (result) (return (call_ref $f (local.get 0) (br_on_null $null (global.get $g)))))
            (i32.const 0)))"#,
    ),
];

/// The modules of newer proposals, by name.
///
/// # Panics
/// If one is not well-formed.
pub fn featured() -> impl Iterator<Item = (String, Vec<u8>)> {
    FEATURES.into_iter().map(|(name, text)| {
        let binary = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name.to_owned(), binary)
    })
}

/// An honest artifact, and where its instructions are.
#[derive(Debug)]
pub struct Guest {
    /// Where it comes from.
    pub name: String,
    /// Its code.
    pub artifact: Artifact,
    /// Whether memories of its engine have a small reservation.
    pub small: bool,
    /// Its instructions, by function.
    pub insns: Vec<Vec<(Instruction, ConstantOffsets)>>,
}

impl Guest {
    /// A guest with this artifact.
    pub fn new(name: String, artifact: Artifact) -> Self {
        Self {
            name,
            small: !artifact.target.index_always_reserved(),
            insns: instructions(&artifact),
            artifact,
        }
    }
}

/// The hand-written modules, by name.
///
/// # Panics
/// If one is not well-formed.
pub fn written() -> [(String, Vec<u8>); 2] {
    [("everything", EVERYTHING), ("list", LIST)].map(|(name, text)| {
        let binary = wat::parse_str(text).expect("the text is well-formed");
        (name.to_owned(), binary)
    })
}

/// Largest text of a guest; a proof of a small one is fast.
const TEXT_BYTES_MAX: usize = 6 << 10;

/// All guests: this many generated modules and the hand-written ones, for every target.
///
/// # Panics
/// If a hand-written module is not well-formed.
pub fn guests(generated: usize) -> Vec<Guest> {
    let mut modules: Vec<(String, Vec<u8>)> = Vec::new();
    for written in written() {
        // As often as many of the others.
        modules.extend((0..1 + generated / 5).map(|_| written.clone()));
    }
    let seeds = (0u64..).filter_map(|seed| Some((format!("seed {seed}"), generate::any(seed)?)));
    let small = |binary: &[u8]| {
        let (_, target) = honest::targets()[0];
        honest::artifact(binary, &target).is_some_and(|artifact| artifact.text.len() <= TEXT_BYTES_MAX)
    };
    modules.extend(seeds.filter(|(_, binary)| small(binary)).take(generated));
    let mut guests = Vec::new();
    for (which, target) in honest::targets() {
        for (name, binary) in &modules {
            let artifact = honest::artifact(binary, &target).expect("guests are valid");
            guests.push(Guest::new(format!("{name}, compiled for {which}"), artifact));
        }
    }
    guests
}

fn instructions(artifact: &Artifact) -> Vec<Vec<(Instruction, ConstantOffsets)>> {
    let decode = |range: &cellwall_abi::FuncRange| {
        let code = &artifact.text[range.start as usize..][..range.len as usize];
        let mut decoder = Decoder::with_ip(64, code, range.start.into(), DecoderOptions::NONE);
        let mut insns = Vec::new();
        while decoder.can_decode() {
            let insn = decoder.decode();
            insns.push((insn, decoder.get_constant_offsets(&insn)));
        }
        insns
    };
    artifact.funcs.iter().map(decode).collect()
}
