//! Scripts in the older text format of components, brought up to date.
//!
//! References to core items were once written without `core`, and with the name of an export right
//! behind the index. The parser says where, and what should be there; this writes it. Lines stay what
//! they are.

use std::borrow::Cow;

/// What the parser's advice on older syntax contains.
const ADVICE: &str = "WAST_STRICT_COMPONENT_INDICES";

/// The text with one place corrected that the parser complained about; `None` if it is not this kind
/// of complaint. `offset` is where the parser stopped.
pub(super) fn correct(text: &str, offset: usize, message: &str) -> Option<String> {
    if !message.contains(ADVICE) {
        return None;
    }
    let (before, behind) = text.split_at_checked(offset)?;
    if message.contains("the `core` keyword is required") {
        return Some(format!("{before}core {behind}"));
    }
    // `(memory $i "name")`: the parser stands before the name.
    let open = before.rfind('(')?;
    let inside = &before[open + 1..];
    let keyword = inside.split_whitespace().next()?;
    let index = inside.trim_start().strip_prefix(keyword)?.trim();
    let quote = behind.find('"')?;
    let end = quote + 1 + behind[quote + 1..].find('"')? + 1;
    let (name, rest) = behind.split_at(end);
    Some(format!(
        "{}({keyword} (core {keyword} {index} {name}){rest}",
        &before[..open]
    ))
}

/// The text without older syntax: each complaint of `parse` that [`correct`] knows is followed.
pub(super) fn modernized<'t>(
    text: &'t str,
    mut complaint: impl FnMut(&str) -> Option<(usize, String)>,
) -> Cow<'t, str> {
    let mut current = Cow::Borrowed(text);
    // Ends because each round removes one of the places that are complained about.
    while let Some((offset, message)) = complaint(&current) {
        match correct(&current, offset, &message) {
            Some(corrected) => current = Cow::Owned(corrected),
            None => break,
        }
    }
    current
}

#[cfg(test)]
mod tests {
    use super::correct;

    #[test]
    fn names_behind_indexes_get_their_parentheses() {
        let text = r#"(realloc (func $i "r")) (memory $i "mem"))"#;
        let at = text.find(r#""mem""#).expect("it is there");
        let message = "x (or set WAST_STRICT_COMPONENT_INDICES=0 to accept the legacy syntax)";
        let corrected = correct(text, at, message).expect("it is known");
        assert_eq!(
            corrected,
            r#"(realloc (func $i "r")) (memory (core memory $i "mem")))"#
        );
        let at = text.find("func").expect("it is there");
        let message = format!("the `core` keyword is required {message}");
        let corrected = correct(text, at, &message).expect("it is known");
        assert_eq!(corrected, r#"(realloc (core func $i "r")) (memory $i "mem"))"#);
        assert_eq!(correct(text, at, "unexpected token"), None);
    }
}
