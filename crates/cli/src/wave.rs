//! Interface values as text, in the WAVE syntax: `f(1, "x")`.
//!
//! Requires values of their types. Resources and error contexts have no text: types that contain
//! them are refused.

use std::borrow::Cow;

use cellwall::component::types::ComponentFunc;
use cellwall::component::{Type, Val};
use wasm_wave::ast::Node;
use wasm_wave::parser::{ParserError, ParserErrorKind};
use wasm_wave::untyped::{UntypedFuncCall, UntypedValue};
use wasm_wave::value::{Type as WaveType, Value};
use wasm_wave::wasm::WasmValue;

/// A call as the user wrote it: the function, and its arguments with their parentheses if there are
/// any.
pub(crate) fn split(call: &str) -> (&str, Option<&str>) {
    match call.find('(') {
        Some(at) => (call[..at].trim(), Some(&call[at..])),
        None => (call.trim(), None),
    }
}

/// The arguments of a call, from the text with parentheses.
pub(crate) fn parse_args(args: &str, ty: &ComponentFunc) -> Result<Vec<Val>, String> {
    let types = param_types(ty)?;
    let call = format!("f{args}");
    let parsed = UntypedFuncCall::parse(&call).map_err(|error| place(&error, &call))?;
    // Optional arguments at the end may be left out. The parser knows that where there are others before.
    if parsed.params_node().is_none() && types.iter().all(|(ty, _)| matches!(ty, Type::Option(_))) {
        return Ok(vec![Val::Option(None); types.len()]);
    }
    let waves: Vec<&WaveType> = types.iter().map(|(_, wave)| wave).collect();
    let values = parsed.to_wasm_params::<Value>(waves);
    let values = values.map_err(|error| explain(&error, &parsed, ty))?;
    values
        .iter()
        .zip(&types)
        .map(|(value, (ty, _))| val(value, ty))
        .collect()
}

/// The arguments of a call, from a text for each.
pub(crate) fn parse_words(words: &[String], ty: &ComponentFunc) -> Result<Vec<Val>, String> {
    let types = param_types(ty)?;
    if let Some(more) = words.get(types.len()) {
        return Err(format!("there is no parameter for `{more}`"));
    }
    let mut words = words.iter();
    let arguments = ty.params().zip(&types);
    let arguments = arguments.map(|((name, ty), (_, wave))| match (words.next(), &ty) {
        (Some(word), _) => parse_word(word, name, &ty, wave),
        // Optional arguments at the end may be left out.
        (None, Type::Option(_)) => Ok(Val::Option(None)),
        (None, _) => Err(format!("the argument `{name}: {ty}` is missing")),
    });
    arguments.collect()
}

/// One value, which is the whole text.
fn parse_word(word: &str, name: &str, ty: &Type, wave: &WaveType) -> Result<Val, String> {
    let parsed = UntypedValue::parse(word);
    let parsed =
        parsed.map_err(|error| format!("`{word}` in `{name}` is no {ty}: {}", place(&error, word)))?;
    let value = parsed.to_wasm_value::<Value>(wave);
    let value = value.map_err(|error| explain_value(&error, parsed.node(), name, ty, word))?;
    val(&value, ty)
}

/// The types of the parameters; an error if one has no text.
fn param_types(ty: &ComponentFunc) -> Result<Vec<(Type, WaveType)>, String> {
    let types = ty.params().map(|(name, ty)| {
        let wave = wave_type(&ty).ok_or_else(|| format!("a value of {ty} (`{name}`) has no text"))?;
        Ok((ty, wave))
    });
    types.collect()
}

/// A mistake in the syntax, with the text from there on.
fn place(error: &ParserError, call: &str) -> String {
    let rest: String = call[error.span().start..].chars().take(40).collect();
    let what = error.kind();
    match (error.detail(), rest.is_empty()) {
        (Some(detail), true) => format!("{what}: {detail}, at its end"),
        (Some(detail), false) => format!("{what}: {detail}, at `{rest}`"),
        (None, true) => format!("{what}, at its end"),
        (None, false) => format!("{what}, at `{rest}`"),
    }
}

/// A value of the wrong type: what it is, for which parameter, and which type belongs there.
fn explain(error: &ParserError, call: &UntypedFuncCall<'_>, ty: &ComponentFunc) -> String {
    let source = call.source();
    let given = call.params_node().and_then(|node| node.as_tuple().ok());
    let given: Vec<&Node> = given.into_iter().flatten().collect();
    let params: Vec<(&str, Type)> = ty.params().collect();
    if error.kind() == ParserErrorKind::InvalidParams {
        let mut missing = params.iter().skip(given.len());
        let missing = missing.find(|(_, ty)| !matches!(ty, Type::Option(_)));
        return match (given.get(params.len()), missing) {
            (Some(more), _) => format!("there is no parameter for `{}`", &source[more.span()]),
            (None, Some((name, ty))) => format!("the argument `{name}: {ty}` is missing"),
            (None, None) => error.to_string(),
        };
    }
    let mut arguments = params.iter().zip(given);
    match arguments.find(|(_, node)| covers(node, error)) {
        Some(((name, ty), node)) => explain_value(error, node, name, ty, source),
        None => place(error, source),
    }
}

/// Whether a mistake is in a value.
fn covers(node: &Node, error: &ParserError) -> bool {
    let (outer, span) = (node.span(), error.span());
    outer.start <= span.start && span.end <= outer.end
}

/// A value of the wrong type in the argument `node`.
fn explain_value(error: &ParserError, node: &Node, name: &str, ty: &Type, source: &str) -> String {
    let covers = |node: &Node| covers(node, error);
    let expected = inner(node, ty, source, &covers);
    let found = &source[error.span()];
    let label = found.split('(').next().unwrap_or(found).trim_end();
    if is_hidden(label, &expected) {
        return format!("`{label}` in `{name}` is a keyword; the case is written `%{label}`");
    }
    match error.kind() {
        ParserErrorKind::InvalidType | ParserErrorKind::InvalidValue => {
            format!("`{found}` in `{name}` is no {expected}")
        }
        _ => format!("`{found}` in `{name}` is no {expected}: {}", reason(error)),
    }
}

/// Whether a case of this name is there, but its name alone is something else in WAVE.
fn is_hidden(label: &str, ty: &Type) -> bool {
    let is_keyword = ["true", "false", "inf", "nan", "some", "none", "ok", "err"].contains(&label);
    is_keyword
        && match ty {
            Type::Enum(cases) => cases.iter().any(|case| **case == *label),
            Type::Variant(cases) => cases.iter().any(|(case, _)| **case == *label),
            _ => false,
        }
}

/// An error without its place.
fn reason(error: &ParserError) -> String {
    match (std::error::Error::source(error), error.detail()) {
        (Some(source), _) => source.to_string(),
        (None, Some(detail)) => format!("{}: {detail}", error.kind()),
        (None, None) => error.kind().to_string(),
    }
}

/// The type that belongs at the innermost value that covers a place.
fn inner(node: &Node, ty: &Type, source: &str, covers: &impl Fn(&Node) -> bool) -> Type {
    let mut parts: Vec<(&Node, &Type)> = Vec::new();
    match ty {
        Type::List(element) | Type::FixedLengthList(element, _) => {
            parts.extend(
                node.as_list()
                    .into_iter()
                    .flatten()
                    .map(|node| (node, &**element)),
            );
        }
        Type::Map(entry) => {
            let entries = node.as_map().into_iter().flatten();
            parts.extend(entries.flat_map(|(key, value)| [(key, &entry.0), (value, &entry.1)]));
        }
        Type::Tuple(types) => parts.extend(node.as_tuple().into_iter().flatten().zip(types.iter())),
        Type::Record(fields) => {
            let given = node.as_record(source).into_iter().flatten();
            parts.extend(given.filter_map(|(name, node)| {
                let (_, ty) = fields.iter().find(|(field, _)| **field == *name)?;
                Some((node, ty))
            }));
        }
        Type::Variant(cases) => {
            if let Ok((name, Some(payload))) = node.as_variant(source) {
                let case = cases.iter().find(|(case, _)| **case == *name);
                parts.extend(case.and_then(|(_, ty)| ty.as_ref()).map(|ty| (payload, ty)));
            }
        }
        // A value may stand for `some` or `ok` of it.
        Type::Option(some) => match node.as_option() {
            Ok(payload) => parts.extend(payload.map(|payload| (payload, &**some))),
            Err(_) => parts.push((node, some)),
        },
        Type::Result(types) => match node.as_result() {
            Ok(Ok(payload)) => parts.extend(payload.zip(types.0.as_ref())),
            Ok(Err(payload)) => parts.extend(payload.zip(types.1.as_ref())),
            Err(_) => parts.extend(types.0.as_ref().map(|ty| (node, ty))),
        },
        _ => {}
    }
    match parts.into_iter().find(|(node, _)| covers(node)) {
        Some((node, ty)) => inner(node, ty, source, covers),
        None => ty.clone(),
    }
}

/// A value as text.
pub(crate) fn show(val: &Val, ty: &Type) -> Result<String, String> {
    let wave = wave_type(ty).ok_or_else(|| format!("a value of {ty} has no text"))?;
    let value = wave_value(val, ty, &wave)?;
    wasm_wave::to_string(&value).map_err(|e| e.to_string())
}

/// `None` if values of the type have no text.
fn wave_type(ty: &Type) -> Option<WaveType> {
    let optional = |ty: &Option<Type>| match ty {
        Some(ty) => wave_type(ty).map(Some),
        None => Some(None),
    };
    Some(match ty {
        Type::Bool => WaveType::BOOL,
        Type::S8 => WaveType::S8,
        Type::U8 => WaveType::U8,
        Type::S16 => WaveType::S16,
        Type::U16 => WaveType::U16,
        Type::S32 => WaveType::S32,
        Type::U32 => WaveType::U32,
        Type::S64 => WaveType::S64,
        Type::U64 => WaveType::U64,
        Type::Float32 => WaveType::F32,
        Type::Float64 => WaveType::F64,
        Type::Char => WaveType::CHAR,
        Type::String => WaveType::STRING,
        // A list of fixed length is written like any other; its length is looked at afterwards.
        Type::List(ty) | Type::FixedLengthList(ty, _) => WaveType::list(wave_type(ty)?),
        Type::Map(entry) => WaveType::map(wave_type(&entry.0)?, wave_type(&entry.1)?)?,
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| Some((name.to_string(), wave_type(ty)?)));
            WaveType::record(fields.collect::<Option<Vec<_>>>()?)?
        }
        Type::Tuple(types) => {
            let types: Option<Vec<WaveType>> = types.iter().map(wave_type).collect();
            WaveType::tuple(types?)?
        }
        Type::Variant(cases) => {
            let cases = cases
                .iter()
                .map(|(name, ty)| Some((name.to_string(), optional(ty)?)));
            WaveType::variant(cases.collect::<Option<Vec<_>>>()?)?
        }
        Type::Enum(cases) => WaveType::enum_ty(cases.iter().map(|name| name.to_string()))?,
        Type::Option(ty) => WaveType::option(wave_type(ty)?),
        Type::Result(parts) => WaveType::result(optional(&parts.0)?, optional(&parts.1)?),
        Type::Flags(names) => WaveType::flags(names.iter().map(|name| name.to_string()))?,
        _ => return None,
    })
}

fn val(value: &Value, ty: &Type) -> Result<Val, String> {
    let all = |values: Box<dyn Iterator<Item = Cow<'_, Value>> + '_>, ty: &Type| {
        values
            .map(|value| val(&value, ty))
            .collect::<Result<Vec<Val>, String>>()
    };
    let optional = |value: Option<Cow<'_, Value>>, ty: Option<&Type>| match (value, ty) {
        (Some(value), Some(ty)) => val(&value, ty).map(|val| Some(Box::new(val))),
        _ => Ok(None),
    };
    Ok(match ty {
        Type::Bool => Val::Bool(value.unwrap_bool()),
        Type::S8 => Val::S8(value.unwrap_s8()),
        Type::U8 => Val::U8(value.unwrap_u8()),
        Type::S16 => Val::S16(value.unwrap_s16()),
        Type::U16 => Val::U16(value.unwrap_u16()),
        Type::S32 => Val::S32(value.unwrap_s32()),
        Type::U32 => Val::U32(value.unwrap_u32()),
        Type::S64 => Val::S64(value.unwrap_s64()),
        Type::U64 => Val::U64(value.unwrap_u64()),
        Type::Float32 => Val::Float32(value.unwrap_f32()),
        Type::Float64 => Val::Float64(value.unwrap_f64()),
        Type::Char => Val::Char(value.unwrap_char()),
        Type::String => Val::String(value.unwrap_string().into_owned()),
        Type::List(ty) => Val::List(all(value.unwrap_list(), ty)?),
        Type::FixedLengthList(element, length) => {
            let vals = all(value.unwrap_list(), element)?;
            if vals.len() != *length as usize {
                return Err(format!("{} elements where the type is {ty}", vals.len()));
            }
            Val::List(vals)
        }
        Type::Map(entry) => {
            let entries = value.unwrap_map();
            let entries = entries.map(|(key, of)| Ok((val(&key, &entry.0)?, val(&of, &entry.1)?)));
            Val::Map(entries.collect::<Result<_, String>>()?)
        }
        Type::Record(fields) => {
            let given: Vec<_> = value.unwrap_record().collect();
            let field = |(name, ty): &(std::sync::Arc<str>, Type)| {
                let found = given.iter().find(|(own, _)| **own == **name);
                let found = found.ok_or_else(|| format!("the field `{name}` is missing"))?;
                Ok((name.to_string(), val(&found.1, ty)?))
            };
            Val::Record(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        Type::Tuple(types) => {
            let values = value.unwrap_tuple().zip(types);
            let values = values.map(|(value, ty)| val(&value, ty));
            Val::Tuple(values.collect::<Result<_, String>>()?)
        }
        Type::Variant(cases) => {
            let (name, payload) = value.unwrap_variant();
            let case = cases.iter().find(|(own, _)| **own == *name);
            let ty = case.and_then(|(_, ty)| ty.as_ref());
            Val::Variant(name.to_string(), optional(payload, ty)?)
        }
        Type::Enum(_) => Val::Enum(value.unwrap_enum().into_owned()),
        Type::Option(ty) => Val::Option(optional(value.unwrap_option(), Some(ty))?),
        Type::Result(parts) => Val::Result(match value.unwrap_result() {
            Ok(value) => Ok(optional(value, parts.0.as_ref())?),
            Err(value) => Err(optional(value, parts.1.as_ref())?),
        }),
        Type::Flags(_) => Val::Flags(value.unwrap_flags().map(Cow::into_owned).collect()),
        other => return Err(format!("a value of {other} has no text")),
    })
}

fn wave_value(val: &Val, ty: &Type, wave: &WaveType) -> Result<Value, String> {
    let of = |val: &Val, ty: &Type| {
        let wave = wave_type(ty).ok_or_else(|| format!("a value of {ty} has no text"))?;
        wave_value(val, ty, &wave)
    };
    let optional = |val: &Option<Box<Val>>, ty: Option<&Type>| match (val, ty) {
        (Some(val), Some(ty)) => of(val, ty).map(Some),
        _ => Ok(None),
    };
    let made = match (val, ty) {
        (Val::Bool(it), _) => return Ok(Value::make_bool(*it)),
        (Val::S8(it), _) => return Ok(Value::make_s8(*it)),
        (Val::U8(it), _) => return Ok(Value::make_u8(*it)),
        (Val::S16(it), _) => return Ok(Value::make_s16(*it)),
        (Val::U16(it), _) => return Ok(Value::make_u16(*it)),
        (Val::S32(it), _) => return Ok(Value::make_s32(*it)),
        (Val::U32(it), _) => return Ok(Value::make_u32(*it)),
        (Val::S64(it), _) => return Ok(Value::make_s64(*it)),
        (Val::U64(it), _) => return Ok(Value::make_u64(*it)),
        (Val::Float32(it), _) => return Ok(Value::make_f32(*it)),
        (Val::Float64(it), _) => return Ok(Value::make_f64(*it)),
        (Val::Char(it), _) => return Ok(Value::make_char(*it)),
        (Val::String(it), _) => return Ok(Value::make_string(Cow::Borrowed(it))),
        (Val::List(vals), Type::List(ty) | Type::FixedLengthList(ty, _)) => {
            let vals = vals
                .iter()
                .map(|val| of(val, ty))
                .collect::<Result<Vec<_>, _>>()?;
            Value::make_list(wave, vals)
        }
        (Val::Map(entries), Type::Map(entry)) => {
            let entries = entries
                .iter()
                .map(|(key, val)| Ok((of(key, &entry.0)?, of(val, &entry.1)?)));
            Value::make_map(wave, entries.collect::<Result<Vec<_>, String>>()?)
        }
        (Val::Record(fields), Type::Record(types)) => {
            let fields = fields
                .iter()
                .zip(types)
                .map(|((name, val), (_, ty))| Ok((&**name, of(val, ty)?)));
            Value::make_record(wave, fields.collect::<Result<Vec<_>, String>>()?)
        }
        (Val::Tuple(vals), Type::Tuple(types)) => {
            let vals = vals.iter().zip(types).map(|(val, ty)| of(val, ty));
            Value::make_tuple(wave, vals.collect::<Result<Vec<_>, _>>()?)
        }
        (Val::Variant(name, payload), Type::Variant(cases)) => {
            let case = cases.iter().find(|(own, _)| **own == **name);
            let ty = case.and_then(|(_, ty)| ty.as_ref());
            Value::make_variant(wave, name, optional(payload, ty)?)
        }
        (Val::Enum(name), _) => Value::make_enum(wave, name),
        (Val::Option(val), Type::Option(ty)) => Value::make_option(wave, optional(val, Some(ty))?),
        (Val::Result(Ok(val)), Type::Result(parts)) => {
            Value::make_result(wave, Ok(optional(val, parts.0.as_ref())?))
        }
        (Val::Result(Err(val)), Type::Result(parts)) => {
            Value::make_result(wave, Err(optional(val, parts.1.as_ref())?))
        }
        (Val::Flags(names), _) => Value::make_flags(wave, names.iter().map(|name| &**name)),
        (_, ty) => return Err(format!("a value of {ty} has no text")),
    };
    made.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_call_is_a_name_and_its_arguments() {
        assert_eq!(split("f(1, \"x\")"), ("f", Some("(1, \"x\")")));
        assert_eq!(split("a:b/c@1.0.0#f"), ("a:b/c@1.0.0#f", None));
    }
}
