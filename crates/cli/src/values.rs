//! Values of functions as words of the command line, and back.

use cellwall::{FuncType, Val, ValType};

/// Reads one word per parameter. `Err` says which word is wrong and why.
pub(crate) fn parse_all(words: &[String], ty: &FuncType) -> Result<Vec<Val>, String> {
    if words.len() != ty.params().len() {
        let (want, got) = (ty.params().len(), words.len());
        let plural = if want == 1 { "" } else { "s" };
        return Err(format!("it takes {want} argument{plural}, {got} given"));
    }
    words
        .iter()
        .zip(ty.params())
        .map(|(word, ty)| parse(word, &ty))
        .collect()
}

/// The type as the text format has it, without the keywords: `(i32, i64) -> f32`.
pub(crate) fn show_type(ty: &FuncType) -> String {
    let list = |types: Vec<String>| types.join(", ");
    let params = list(ty.params().map(|ty| ty.to_string()).collect());
    let results = list(ty.results().map(|ty| ty.to_string()).collect());
    match ty.results().len() {
        0 => format!("({params})"),
        1 => format!("({params}) -> {results}"),
        _ => format!("({params}) -> ({results})"),
    }
}

/// A result as `--invoke` prints it. Integers are signed, vectors one number with
/// lane 0 in its low bits; references have no text but whether they are there.
pub(crate) fn show(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        Val::F32(bits) => f32::from_bits(*bits).to_string(),
        Val::F64(bits) => f64::from_bits(*bits).to_string(),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::ExnRef(None) | Val::AnyRef(None) => {
            "null".to_string()
        }
        Val::FuncRef(Some(_)) => "funcref".to_string(),
        Val::ExternRef(Some(_)) => "externref".to_string(),
        Val::ExnRef(Some(_)) => "exnref".to_string(),
        Val::AnyRef(Some(_)) => "anyref".to_string(),
        Val::V128(bits) => format!("{:#034x}", bits.as_u128()),
    }
}

fn parse(word: &str, ty: &ValType) -> Result<Val, String> {
    let value = match ty {
        ValType::I32 => integer(word, 32).map(|value| Val::I32(value as u32 as i32)),
        ValType::I64 => integer(word, 64).map(|value| Val::I64(value as u64 as i64)),
        ValType::F32 => word.parse::<f32>().ok().map(|value| Val::F32(value.to_bits())),
        ValType::F64 => word.parse::<f64>().ok().map(|value| Val::F64(value.to_bits())),
        ValType::V128 => vector(word).map(|bits| Val::V128(bits.into())),
        other => return Err(format!("an argument of type {other} cannot be written")),
    };
    value.ok_or_else(|| format!("`{word}` is no {ty}"))
}

/// The bits of a vector as one unsigned number, decimal or `0x`.
fn vector(word: &str) -> Option<u128> {
    match word.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// An integer of `bits` bits, signed or unsigned, decimal or `0x`.
fn integer(word: &str, bits: u32) -> Option<i128> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word),
    };
    let magnitude = match digits.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => digits.parse::<u64>(),
    };
    let value = sign * i128::from(magnitude.ok()?);
    let range = -(1i128 << (bits - 1))..(1i128 << bits);
    range.contains(&value).then_some(value)
}
