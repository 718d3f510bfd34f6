//! Values of scripts: arguments, and the patterns that results must match.

use cellwall::{ExternRef, Store, Val};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The value that an argument of a script denotes. `Err` says which kind of
/// value there is not yet.
pub(super) fn argument(store: &mut Store<()>, arg: &WastArg<'_>) -> Result<Val, String> {
    let WastArg::Core(arg) = arg else {
        return Err("components are not supported".to_string());
    };
    Ok(match arg {
        WastArgCore::I32(value) => Val::I32(*value),
        WastArgCore::I64(value) => Val::I64(*value),
        WastArgCore::F32(value) => Val::F32(value.bits),
        WastArgCore::F64(value) => Val::F64(value.bits),
        WastArgCore::V128(value) => Val::V128(u128::from_le_bytes(value.to_le_bytes()).into()),
        WastArgCore::RefNull(heap) => match kind_of(heap) {
            Some(RefKind::Func) => Val::FuncRef(None),
            Some(RefKind::Extern) => Val::ExternRef(None),
            Some(RefKind::Exn) => Val::ExnRef(None),
            Some(RefKind::Any) => Val::AnyRef(None),
            None => return Err(format!("null of type {heap:?} is not supported")),
        },
        WastArgCore::RefExtern(number) => {
            let host = ExternRef::new(&mut *store, *number).map_err(|e| format!("{e:#}"))?;
            Val::ExternRef(Some(host))
        }
        other => return Err(format!("the argument {other:?} is not supported")),
    })
}

/// Checks `results` against the patterns of `assert_return`.
pub(super) fn check_all(
    store: &mut Store<()>,
    results: &[Val],
    expected: &[WastRet<'_>],
) -> Result<(), String> {
    if results.len() != expected.len() {
        let (want, got) = (expected.len(), results.len());
        return Err(format!(
            "expected {want} results, got {got}: {}",
            show_all(store, results)
        ));
    }
    for (index, (value, pattern)) in results.iter().zip(expected).enumerate() {
        let WastRet::Core(pattern) = pattern else {
            return Err("components are not supported".to_string());
        };
        if !matches(store, value, pattern)? {
            let got = show(store, value);
            return Err(format!(
                "result {index}: expected {}, got {got}",
                show_pattern(pattern)
            ));
        }
    }
    Ok(())
}

/// Whether the value matches the pattern; `Err` if there are no such values yet.
fn matches(store: &mut Store<()>, value: &Val, pattern: &WastRetCore<'_>) -> Result<bool, String> {
    Ok(match (pattern, value) {
        (WastRetCore::I32(want), Val::I32(got)) => want == got,
        (WastRetCore::I64(want), Val::I64(got)) => want == got,
        (WastRetCore::F32(want), Val::F32(got)) => matches_f32(want, *got),
        (WastRetCore::F64(want), Val::F64(got)) => matches_f64(want, *got),
        (WastRetCore::V128(want), Val::V128(got)) => matches_lanes(want, got.as_u128()),
        (WastRetCore::RefNull(None), _) => {
            matches!(
                value,
                Val::FuncRef(None) | Val::ExternRef(None) | Val::ExnRef(None) | Val::AnyRef(None)
            )
        }
        (WastRetCore::RefNull(Some(heap)), _) => match kind_of(heap) {
            Some(RefKind::Func) => matches!(value, Val::FuncRef(None)),
            Some(RefKind::Extern) => matches!(value, Val::ExternRef(None)),
            Some(RefKind::Exn) => matches!(value, Val::ExnRef(None)),
            Some(RefKind::Any) => matches!(value, Val::AnyRef(None)),
            None => return Err(format!("null of type {heap:?} is not supported")),
        },
        (WastRetCore::RefFunc(None), _) => matches!(value, Val::FuncRef(Some(_))),
        (WastRetCore::RefI31 | WastRetCore::RefEq | WastRetCore::RefAny, _) => {
            matches!(value, Val::AnyRef(Some(_)))
        }
        (WastRetCore::RefExtern(None), _) => matches!(value, Val::ExternRef(Some(_))),
        (WastRetCore::RefExtern(want), Val::ExternRef(Some(_))) => *want == host(store, value),
        (WastRetCore::Either(patterns), _) => {
            for pattern in patterns {
                if matches(store, value, pattern)? {
                    return Ok(true);
                }
            }
            false
        }
        (
            WastRetCore::I32(_)
            | WastRetCore::I64(_)
            | WastRetCore::F32(_)
            | WastRetCore::F64(_)
            | WastRetCore::V128(_)
            | WastRetCore::RefExtern(_),
            _,
        ) => false,
        (other, _) => return Err(format!("the result {other:?} is not supported")),
    })
}

fn matches_f32(want: &NanPattern<F32>, got: u32) -> bool {
    match want {
        NanPattern::CanonicalNan => got & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => got & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(want) => want.bits == got,
    }
}

fn matches_f64(want: &NanPattern<F64>, got: u64) -> bool {
    match want {
        NanPattern::CanonicalNan => got & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => got & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(want) => want.bits == got,
    }
}

/// Whether each lane matches its own pattern.
fn matches_lanes(want: &V128Pattern, got: u128) -> bool {
    let lane = |bits: u32, index: usize| got >> (bits * index as u32);
    match want {
        V128Pattern::I8x16(want) => want.iter().enumerate().all(|(i, &v)| v == lane(8, i) as i8),
        V128Pattern::I16x8(want) => want.iter().enumerate().all(|(i, &v)| v == lane(16, i) as i16),
        V128Pattern::I32x4(want) => want.iter().enumerate().all(|(i, &v)| v == lane(32, i) as i32),
        V128Pattern::I64x2(want) => want.iter().enumerate().all(|(i, &v)| v == lane(64, i) as i64),
        V128Pattern::F32x4(want) => {
            let mut lanes = want.iter().enumerate();
            lanes.all(|(i, want)| matches_f32(want, lane(32, i) as u32))
        }
        V128Pattern::F64x2(want) => {
            let mut lanes = want.iter().enumerate();
            lanes.all(|(i, want)| matches_f64(want, lane(64, i) as u64))
        }
    }
}

/// The kinds of references that exist without heap types.
enum RefKind {
    Func,
    Extern,
    Exn,
    /// Numbers of 31 bits.
    Any,
}

fn kind_of(heap: &HeapType<'_>) -> Option<RefKind> {
    match heap {
        HeapType::Abstract { shared: false, ty } => match ty {
            AbstractHeapType::Func | AbstractHeapType::NoFunc => Some(RefKind::Func),
            AbstractHeapType::Extern | AbstractHeapType::NoExtern => Some(RefKind::Extern),
            AbstractHeapType::Exn | AbstractHeapType::NoExn => Some(RefKind::Exn),
            AbstractHeapType::Any | AbstractHeapType::Eq | AbstractHeapType::I31 | AbstractHeapType::None => {
                Some(RefKind::Any)
            }
            _ => None,
        },
        _ => None,
    }
}

/// The number behind a host reference that [`argument`] made.
fn host(store: &Store<()>, value: &Val) -> Option<u32> {
    let Val::ExternRef(Some(reference)) = value else {
        return None;
    };
    reference.data(store).ok()??.downcast_ref::<u32>().copied()
}

fn show_all(store: &Store<()>, values: &[Val]) -> String {
    let values: Vec<String> = values.iter().map(|value| show(store, value)).collect();
    values.join(" ")
}

/// A value as the text format writes it; floats also as bits.
fn show(store: &Store<()>, value: &Val) -> String {
    match value {
        Val::I32(value) => format!("(i32.const {value})"),
        Val::I64(value) => format!("(i64.const {value})"),
        Val::F32(bits) => format!("(f32.const {}) = {bits:#010x}", f32::from_bits(*bits)),
        Val::F64(bits) => format!("(f64.const {}) = {bits:#018x}", f64::from_bits(*bits)),
        Val::V128(bits) => {
            let lanes = [0, 1, 2, 3].map(|i| format!("{:#010x}", (bits.as_u128() >> (32 * i)) as u32));
            format!("(v128.const i32x4 {})", lanes.join(" "))
        }
        Val::FuncRef(None) => "(ref.null func)".to_string(),
        Val::FuncRef(Some(_)) => "(ref.func)".to_string(),
        Val::ExternRef(None) => "(ref.null extern)".to_string(),
        Val::ExnRef(None) => "(ref.null exn)".to_string(),
        Val::ExnRef(Some(_)) => "(ref.exn)".to_string(),
        Val::AnyRef(None) => "(ref.null any)".to_string(),
        Val::AnyRef(Some(number)) => match number.as_i31(store) {
            Ok(Some(number)) => format!("(ref.i31 {})", number.get_u32()),
            _ => "(ref.any)".to_string(),
        },
        Val::ExternRef(Some(_)) => match host(store, value) {
            Some(number) => format!("(ref.extern {number})"),
            None => "(ref.extern)".to_string(),
        },
    }
}

fn show_pattern(pattern: &WastRetCore<'_>) -> String {
    match pattern {
        WastRetCore::I32(value) => format!("(i32.const {value})"),
        WastRetCore::I64(value) => format!("(i64.const {value})"),
        WastRetCore::F32(NanPattern::Value(value)) => {
            format!(
                "(f32.const {}) = {:#010x}",
                f32::from_bits(value.bits),
                value.bits
            )
        }
        WastRetCore::F64(NanPattern::Value(value)) => {
            format!(
                "(f64.const {}) = {:#018x}",
                f64::from_bits(value.bits),
                value.bits
            )
        }
        WastRetCore::F32(NanPattern::CanonicalNan) => "(f32.const nan:canonical)".to_string(),
        WastRetCore::F32(NanPattern::ArithmeticNan) => "(f32.const nan:arithmetic)".to_string(),
        WastRetCore::F64(NanPattern::CanonicalNan) => "(f64.const nan:canonical)".to_string(),
        WastRetCore::F64(NanPattern::ArithmeticNan) => "(f64.const nan:arithmetic)".to_string(),
        WastRetCore::V128(pattern) => show_lanes(pattern),
        WastRetCore::RefNull(_) => "(ref.null)".to_string(),
        WastRetCore::RefFunc(_) => "(ref.func)".to_string(),
        WastRetCore::RefExtern(Some(number)) => format!("(ref.extern {number})"),
        WastRetCore::RefExtern(None) => "(ref.extern)".to_string(),
        WastRetCore::RefI31 => "(ref.i31)".to_string(),
        WastRetCore::RefEq => "(ref.eq)".to_string(),
        WastRetCore::RefAny => "(ref.any)".to_string(),
        WastRetCore::Either(patterns) => {
            let patterns: Vec<String> = patterns.iter().map(show_pattern).collect();
            format!("(either {})", patterns.join(" "))
        }
        other => format!("{other:?}"),
    }
}

fn show_lanes(pattern: &V128Pattern) -> String {
    fn join<T>(shape: &str, lanes: &[T], show: impl Fn(&T) -> String) -> String {
        let lanes: Vec<String> = lanes.iter().map(show).collect();
        format!("(v128.const {shape} {})", lanes.join(" "))
    }
    match pattern {
        V128Pattern::I8x16(lanes) => join("i8x16", lanes, |v| format!("{v:#04x}")),
        V128Pattern::I16x8(lanes) => join("i16x8", lanes, |v| format!("{v:#06x}")),
        V128Pattern::I32x4(lanes) => join("i32x4", lanes, |v| format!("{v:#010x}")),
        V128Pattern::I64x2(lanes) => join("i64x2", lanes, |v| format!("{v:#018x}")),
        V128Pattern::F32x4(lanes) => join("f32x4", lanes, |lane| match lane {
            NanPattern::Value(value) => f32::from_bits(value.bits).to_string(),
            NanPattern::CanonicalNan => "nan:canonical".to_string(),
            NanPattern::ArithmeticNan => "nan:arithmetic".to_string(),
        }),
        V128Pattern::F64x2(lanes) => join("f64x2", lanes, |lane| match lane {
            NanPattern::Value(value) => f64::from_bits(value.bits).to_string(),
            NanPattern::CanonicalNan => "nan:canonical".to_string(),
            NanPattern::ArithmeticNan => "nan:arithmetic".to_string(),
        }),
    }
}
