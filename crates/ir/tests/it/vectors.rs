//! Vector operators: their forms, and the meanings that the specification's tests do not reach.

use crate::{at, func, ret};
use cellwall_ir::lanes::shuffle;
use cellwall_ir::{Func, InstData, LoadOp, Type, VectorOp, check};

/// A function that applies an operator to its parameters.
fn of(op: VectorOp, lane: u8, params: &[Type], result: Type) -> Func {
    let mut f = func(params, &[result]);
    let entry = f.entry();
    let params = f.blocks[entry].params.clone();
    let mut args = [params[0]; 3];
    args[..params.len()].copy_from_slice(&params);
    let value = at(&mut f, entry).value(InstData::Vector { op, lane, args }, result);
    ret(&mut f, entry, &[value]);
    f
}

#[test]
fn every_row_takes_its_form_and_no_other() {
    assert_eq!(VectorOp::ALL.len(), 224);
    for &op in VectorOp::ALL {
        let form = op.form();
        let (operands, result) = (form.operands(), form.result());
        let last = if form.has_lane() { op.lanes() as u8 - 1 } else { 0 };
        let good = of(op, last, operands, result);
        check(&good).unwrap_or_else(|e| panic!("{e}\n{good}"));
        assert!(good.to_string().contains(&format!(" = {} ", op.name())), "{good}");
        let wrong = [
            of(op, last + 1, operands, result),
            of(
                op,
                last,
                &[operands, &[Type::V128]].concat()[..3.min(operands.len() + 1)],
                Type::F32,
            ),
            of(op, last, &[Type::F32; 3][..operands.len()], result),
        ];
        // A splat of an F32 is the third one.
        let count = if operands == [Type::F32] { 2 } else { 3 };
        for wrong in &wrong[..count] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}

#[test]
fn names_differ() {
    let mut names: Vec<&str> = VectorOp::ALL.iter().map(|op| op.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), VectorOp::ALL.len());
}

#[test]
fn every_row_has_a_meaning_of_its_type() {
    let float = |x: f64| u128::from((x as f32).to_bits());
    let samples = [
        0,
        u128::MAX,
        0x8000_0000_7fff_ffff_0080_00ff_7f80_0001,
        0x7ff8_0000_0000_0001_fff0_0000_0000_0000,
        float(1.5) | float(-2.5) << 32 | float(3e9) << 64 | float(-0.0) << 96,
    ];
    for &op in VectorOp::ALL {
        let bits = op.form().result().bits();
        let trim = |x: u128, i: usize| match op.form().operands().get(i) {
            Some(ty) => x & (u128::MAX >> (128 - ty.bits())),
            None => x,
        };
        for x in samples {
            for y in samples {
                for z in samples {
                    let args = [trim(x, 0), trim(y, 1), trim(z, 2)];
                    let result = op.eval(0, args);
                    assert_eq!(result, result & (u128::MAX >> (128 - bits)), "{}", op.name());
                    if op.commutes() {
                        assert_eq!(
                            is_nan_free(op, result),
                            is_nan_free(op, op.eval(0, [y, x, z])),
                            "{}",
                            op.name()
                        );
                    }
                }
            }
        }
    }
}

/// The bits with every NaN of float lanes replaced by one.
fn is_nan_free(op: VectorOp, x: u128) -> Vec<u64> {
    let lanes =
        |bits: u32| (0..128 / bits).map(move |i| (x >> (bits * i)) as u64 & (u64::MAX >> (64 - bits)));
    match op {
        VectorOp::F32x4Add | VectorOp::F32x4Mul => {
            let canonical = |b: u64| if f32::from_bits(b as u32).is_nan() { 1 } else { b };
            lanes(32).map(canonical).collect()
        }
        VectorOp::F64x2Add | VectorOp::F64x2Mul => {
            let canonical = |b: u64| if f64::from_bits(b).is_nan() { 1 } else { b };
            lanes(64).map(canonical).collect()
        }
        _ => lanes(64).collect(),
    }
}

fn bytes(f: impl Fn(u8) -> u8) -> u128 {
    u128::from_le_bytes(std::array::from_fn(|i| f(i as u8)))
}

#[test]
fn native_rows_do_what_their_instructions_do() {
    let eval = |op: VectorOp, args: [u128; 3]| op.eval(0, args);
    let (table, none) = (bytes(|i| 100 + i), 0);
    // PSHUFB: 16 is 0 again, from 128 on there is 0. Where WebAssembly's swizzle has 0 from 16 on.
    let indexes = bytes(|i| [0, 15, 16, 31, 127, 128, 255, 1][i as usize % 8]);
    let low = eval(VectorOp::I8x16SwizzleLow, [table, indexes, none]).to_le_bytes();
    assert_eq!(low[..8], [100, 115, 100, 115, 115, 0, 0, 101]);
    let strict = eval(VectorOp::I8x16Swizzle, [table, indexes, none]).to_le_bytes();
    assert_eq!(strict[..8], [100, 115, 0, 0, 0, 0, 0, 101]);
    // CVTTPS2DQ: the integer indefinite value where saturation gives the nearest.
    let floats = [3e9f32, f32::NAN, -1.9, -3e9].map(|x| x.to_bits());
    let floats = floats.iter().rev().fold(0, |x, &lane| x << 32 | u128::from(lane));
    let lanes = |x: u128| [0, 1, 2, 3].map(|i| (x >> (32 * i)) as i32);
    assert_eq!(
        lanes(eval(VectorOp::I32x4TruncMinF32x4S, [floats, 0, 0])),
        [i32::MIN, i32::MIN, -1, i32::MIN]
    );
    assert_eq!(
        lanes(eval(VectorOp::I32x4TruncSatF32x4S, [floats, 0, 0])),
        [i32::MAX, 0, -1, i32::MIN]
    );
    let doubles = u128::from(f64::NAN.to_bits()) << 64 | u128::from((-7.5f64).to_bits());
    assert_eq!(
        lanes(eval(VectorOp::I32x4TruncMinF64x2SZero, [doubles, 0, 0])),
        [-7, i32::MIN, 0, 0]
    );
    // PMULHRSW: the only product that overflows wraps.
    let min = 0x8000;
    assert_eq!(eval(VectorOp::I16x8Q15Mulr, [min, min, 0]), 0x8000);
    assert_eq!(eval(VectorOp::I16x8Q15MulrSatS, [min, min, 0]), 0x7fff);
    // PMADDUBSW: signed by unsigned, saturating.
    let dot = |a: [i8; 2], b: [u8; 2]| {
        let a = u128::from(a[0] as u8) | u128::from(a[1] as u8) << 8;
        eval(
            VectorOp::I16x8DotI8x16U,
            [a, u128::from(b[0]) | u128::from(b[1]) << 8, 0],
        ) as i16
    };
    assert_eq!(dot([-1, 2], [255, 3]), -255 + 6);
    assert_eq!(dot([127, 127], [255, 255]), i16::MAX);
    assert_eq!(dot([-128, -128], [255, 255]), i16::MIN);
}

#[test]
fn blends_look_at_the_top_bit_and_selection_at_all() {
    let (x, y, mask) = (u128::MAX, 0, 0x80_u128 | 0x7f << 8);
    assert_eq!(VectorOp::I8x16Blend.eval(0, [x, y, mask]), 0xff);
    assert_eq!(VectorOp::V128Bitselect.eval(0, [x, y, mask]), 0x80 | 0x7f << 8);
    assert_eq!(VectorOp::I32x4Blend.eval(0, [x, y, 1 << 31]), 0xffff_ffff);
    assert_eq!(VectorOp::I32x4Blend.eval(0, [x, y, 1 << 30]), 0);
    assert_eq!(
        VectorOp::I64x2Blend.eval(0, [y, x, 1 << 127]),
        u128::from(u64::MAX)
    );
}

#[test]
fn fused_products_round_once() {
    // (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24, of which a product rounded to 24 bits loses the end.
    let (a, one) = (1.0 + 2f32.powi(-12), 1f32);
    let bits = |x: f32| u128::from(x.to_bits());
    let lane = |x: u128| f32::from_bits(x as u32);
    let once = 2f32.powi(-11) + 2f32.powi(-24);
    assert_ne!(a * a - one, once);
    assert_eq!(
        lane(VectorOp::F32x4Fma.eval(0, [bits(a), bits(a), bits(-one)])),
        once
    );
    assert_eq!(
        lane(VectorOp::F32x4Fnma.eval(0, [bits(a), bits(a), bits(one)])),
        -once
    );
    let wide = |x: f64| u128::from(x.to_bits());
    let a = 1.0 + 2f64.powi(-27);
    let once = 2f64.powi(-26) + 2f64.powi(-54);
    assert_eq!(
        VectorOp::F64x2Fma.eval(0, [wide(a), wide(a), wide(-1.0)]) as u64,
        once.to_bits()
    );
    assert_eq!(
        VectorOp::F64x2Fnma.eval(0, [wide(a), wide(a), wide(1.0)]) as u64,
        (-once).to_bits()
    );
    // A NaN comes out quiet, and nothing becomes +0 that is -0.
    let signaling = 0x7f80_0001;
    assert_eq!(
        VectorOp::F32x4Fma.eval(0, [signaling, 0, 0]) as u32 & 0x7fc0_0000,
        0x7fc0_0000
    );
    assert_eq!(
        VectorOp::F32x4Fma.eval(0, [bits(-0.0), bits(1.0), bits(-0.0)]) as u32,
        (-0f32).to_bits()
    );
}

#[test]
fn shuffles_number_the_bytes_of_both_operands() {
    let (x, y) = (bytes(|i| i), bytes(|i| 100 + i));
    let mask = std::array::from_fn(|i| if i % 2 == 0 { i as u8 / 2 } else { 31 });
    let mixed = shuffle(mask, x, y).to_le_bytes();
    assert_eq!(mixed[..6], [0, 115, 1, 115, 2, 115]);
    let function = |mask: [u8; 16]| {
        let mut f = func(&[Type::V128, Type::V128], &[Type::V128]);
        let entry = f.entry();
        let args = [f.blocks[entry].params[0], f.blocks[entry].params[1]];
        let value = at(&mut f, entry).value(InstData::Shuffle { mask, args }, Type::V128);
        ret(&mut f, entry, &[value]);
        f
    };
    assert!(check(&function(mask)).is_ok());
    assert!(check(&function([32; 16])).is_err());
}

#[test]
fn loads_extend_and_spread() {
    let raw = 0x8001_7f02_8304_0506;
    let eval = |op: LoadOp| op.eval(Type::V128, raw & (u128::MAX >> (128 - 8 * op.bytes(Type::V128))));
    assert_eq!(eval(LoadOp::Splat8), u128::from_le_bytes([6; 16]));
    assert_eq!(eval(LoadOp::Splat16) as u64, 0x0506_0506_0506_0506);
    assert_eq!(eval(LoadOp::Splat32), 0x8304_0506_8304_0506_8304_0506_8304_0506);
    assert_eq!(eval(LoadOp::Splat64), raw | raw << 64);
    assert_eq!(eval(LoadOp::Zero32), 0x8304_0506);
    assert_eq!(eval(LoadOp::Zero64), raw);
    assert_eq!(eval(LoadOp::S8x8), 0xff80_0001_007f_0002_ff83_0004_0005_0006);
    assert_eq!(eval(LoadOp::U8x8), 0x0080_0001_007f_0002_0083_0004_0005_0006);
    assert_eq!(eval(LoadOp::S16x4), 0xffff_8001_0000_7f02_ffff_8304_0000_0506);
    assert_eq!(eval(LoadOp::U16x4), 0x0000_8001_0000_7f02_0000_8304_0000_0506);
    assert_eq!(eval(LoadOp::S32x2), 0xffff_ffff_8001_7f02_ffff_ffff_8304_0506);
    assert_eq!(eval(LoadOp::U32x2), 0x8001_7f02_0000_0000_8304_0506);
}
