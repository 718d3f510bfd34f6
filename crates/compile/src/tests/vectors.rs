//! What selection makes of vectors: single instructions, operands in memory, and where neither.

use super::{assembly, baseline, compile};
use cellwall_abi::{CpuFeatures, Target};

fn avx2() -> Target {
    Target::new(CpuFeatures {
        avx: true,
        avx2: true,
        fma: true,
        ..CpuFeatures::default()
    })
}

/// The instructions of an expression over two vectors and an address, by name, but for moves between
/// registers and the return; memory operands with their size.
fn selected(target: &Target, result: &str, body: &str) -> String {
    let wat = format!(
        "(module (memory 1) (func (param $x v128) (param $y v128) (param $p i32) (result {result}) {body}))"
    );
    let text = assembly(&compile(&wat, target));
    let line = |line: &str| -> Option<String> {
        let code = line
            .split(" ; ")
            .next()?
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let (name, operands) = code.trim().trim_start_matches('>').trim().split_once(' ')?;
        let operands = match operands.contains('[') {
            true => " m",
            false if name == "movaps" => return None,
            false => "",
        };
        Some(format!("{name}{operands}"))
    };
    text.lines().filter_map(line).collect::<Vec<_>>().join(", ")
}

#[track_caller]
fn with_avx2(body: &str, expected: &str) {
    assert_eq!(selected(&avx2(), "v128", body), expected, "{body}");
}

#[track_caller]
fn without(body: &str, expected: &str) {
    assert_eq!(selected(&baseline(), "v128", body), expected, "{body}");
}

fn shuffle(lanes: [u8; 16]) -> String {
    let lanes = lanes.map(|lane| lane.to_string()).join(" ");
    format!("(i8x16.shuffle {lanes} (local.get $x) (local.get $y))")
}

#[test]
fn shuffles_that_are_one_instruction() {
    for (lanes, expected) in [
        ([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11], "vpshufd"),
        ([2, 3, 0, 1, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15], "vpshuflw"),
        ([0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 12, 13, 10, 11, 8, 9], "vpshufhw"),
        (
            [0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23],
            "vpunpcklbw",
        ),
        (
            [24, 25, 8, 9, 26, 27, 10, 11, 28, 29, 12, 13, 30, 31, 14, 15],
            "vpunpckhwd",
        ),
        (
            [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23],
            "vpunpcklqdq",
        ),
        (
            [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18],
            "vpalignr",
        ),
        (
            [19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0, 1, 2],
            "vpalignr",
        ),
        ([5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4], "vpalignr"),
        (
            [0, 1, 18, 19, 4, 5, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31],
            "vpblendw",
        ),
        (
            [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
            "vpalignr",
        ),
        (
            [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31],
            "vpblendw",
        ),
        (
            [8, 9, 10, 11, 0, 1, 2, 3, 28, 29, 30, 31, 16, 17, 18, 19],
            "vshufps",
        ),
        (
            [0, 1, 2, 3, 28, 29, 30, 31, 8, 9, 10, 11, 12, 13, 14, 15],
            "vinsertps",
        ),
        ([0; 16], "vpbroadcastb"),
        ([3; 16], "vpshufb m"),
        ([31; 16], "vpshufb m"),
    ] {
        with_avx2(&shuffle(lanes), expected);
    }
    // Neighbour: a pattern of no instruction takes three.
    let any = [0, 17, 2, 1, 20, 3, 6, 31, 8, 9, 30, 11, 12, 29, 14, 16];
    with_avx2(&shuffle(any), "vpshufb m, vpshufb m, vpor");
    without(&shuffle(any), "pshufb m, pshufb m, por");
    // With zeros: extensions, shifts of the whole.
    let zero = |lanes: &str| format!("(i8x16.shuffle {lanes} (local.get $x) (v128.const i64x2 0 0))");
    with_avx2(&zero("0 16 1 16 2 16 3 16 4 16 5 16 6 16 7 16"), "vpmovzxbw");
    with_avx2(&zero("4 5 6 7 8 9 10 11 12 13 14 15 20 21 22 23"), "vpsrldq");
    with_avx2(&zero("16 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14"), "vpslldq");
    with_avx2(
        "(i8x16.swizzle (local.get $x) (v128.const i8x16 3 2 1 0 16 255 0 0 0 0 0 0 0 0 0 0))",
        "vpshufb m",
    );
}

#[test]
fn loads_are_operands_where_the_width_is_the_same() {
    let load = "(v128.load (local.get $p))";
    with_avx2(&format!("(i8x16.add (local.get $x) {load})"), "vpaddb m");
    without(&format!("(i8x16.add (local.get $x) {load})"), "movups m, paddb");
    with_avx2(
        "(i16x8.extend_low_i8x16_s (v128.load64_zero (local.get $p)))",
        "vpmovsxbw m",
    );
    // Neighbour: a load of 16 bytes does not become one of 8.
    with_avx2(
        &format!("(i16x8.extend_low_i8x16_s {load})"),
        "movups m, vpmovsxbw",
    );
    with_avx2(
        &format!("(f64x2.promote_low_f32x4 {load})"),
        "movups m, vcvtps2pd",
    );
    with_avx2("(v128.load8x8_u (local.get $p))", "vpmovzxbw m");
    with_avx2("(v128.load8_splat (local.get $p))", "vpbroadcastb m");
    with_avx2("(v128.load32_splat (local.get $p))", "vbroadcastss m");
    with_avx2("(v128.load64_splat (local.get $p))", "vmovddup m");
    without(
        "(v128.load16_splat (local.get $p))",
        "xorps, pinsrw m, pshuflw, pshufd",
    );
    with_avx2("(i8x16.splat (i32.load8_s (local.get $p)))", "vpbroadcastb m");
    // Neighbour: a wider load of a scalar is not one of a byte.
    with_avx2(
        "(i8x16.splat (i32.load (local.get $p)))",
        "mov m, movd, vpbroadcastb",
    );
    with_avx2("(v128.load8_lane 3 (local.get $p) (local.get $x))", "vpinsrb m");
    with_avx2("(v128.load64_lane 1 (local.get $p) (local.get $x))", "vmovhps m");
    with_avx2(
        "(v128.store16_lane 5 (local.get $p) (local.get $x)) (local.get $y)",
        "pextrw m",
    );
    with_avx2(
        "(v128.store64_lane 1 (local.get $p) (local.get $x)) (local.get $y)",
        "movhps m",
    );
}

#[test]
fn products_of_bytes() {
    let factor = |name: &str| format!("(i16x8.extend_low_i8x16_s (local.get {name}))");
    let (x, y) = (factor("$x"), factor("$y"));
    with_avx2(
        &format!("(i32x4.dot_i16x8_s {x} {y})"),
        "vpmovsxbw, vpmovsxbw, vpmaddwd",
    );
    with_avx2(
        "(i32x4.extadd_pairwise_i16x8_s (i16x8.extmul_high_i8x16_s (local.get $x) (local.get $y)))",
        "vpshufd, vpmovsxbw, vpshufd, vpmovsxbw, vpmaddwd",
    );
    with_avx2(
        &format!("(i32x4.extmul_low_i16x8_s {x} {y})"),
        "vpmovsxbw, vpmovsxbw, vpmullw, vpmovsxwd",
    );
    // Neighbour: words that are no bytes need both halves of their products.
    with_avx2(
        "(i32x4.extmul_low_i16x8_s (local.get $x) (local.get $y))",
        "vpmullw, vpmulhw, vpunpcklwd",
    );
}

#[test]
fn constants_and_masks() {
    with_avx2("(v128.const i64x2 0 0)", "xorps");
    with_avx2("(v128.const i64x2 -1 -1)", "pcmpeqd");
    with_avx2("(v128.not (local.get $x))", "pcmpeqd, vpxor");
    with_avx2("(v128.and (local.get $x) (v128.not (local.get $y)))", "vpandn");
    let equal = "(i8x16.eq (local.get $x) (local.get $y))";
    with_avx2(
        &format!("(v128.bitselect (local.get $x) (local.get $y) {equal})"),
        "vpcmpeqb, vpblendvb",
    );
    // Neighbour: the bits of another mask are chosen one by one.
    with_avx2(
        "(v128.bitselect (local.get $x) (local.get $y) (v128.load (local.get $p)))",
        "movups m, vpand, vpandn, vpor",
    );
}

#[test]
fn tests_are_flags() {
    let branch =
        |test: &str| format!("(if (result v128) {test} (then (local.get $x)) (else (local.get $y)))");
    let any = selected(
        &avx2(),
        "v128",
        &branch("(v128.any_true (v128.and (local.get $x) (local.get $y)))"),
    );
    assert!(any.starts_with("vptest, j"), "{any}");
    let all = selected(&avx2(), "v128", &branch("(i8x16.all_true (local.get $x))"));
    assert!(all.starts_with("xorps, vpcmpeqb, vptest, j"), "{all}");
}
