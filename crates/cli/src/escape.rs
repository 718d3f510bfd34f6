//! Text that a module brought along, made fit for a terminal.
//!
//! Names in a module are any Unicode text. Some characters steer a terminal or
//! turn the order of what is shown, so a name could hide or forge what we say.
//!
//! Guarantees: what comes out shows every character. Does not undo itself: a
//! backslash is left as it is, so an escaped text may have two origins.

use std::borrow::Cow;
use std::fmt::Write;

/// Text of ours that holds foreign names: everything that steers a terminal is
/// escaped as `\u{1b}`, but our own line ends and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |c| steers(c) && !matches!(c, '\n' | '\t'), "\\u{", "}")
}

/// A foreign name: like [`visible`], and on one line.
pub(crate) fn name(text: &str) -> Cow<'_, str> {
    escape(text, steers, "\\u{", "}")
}

/// JSON that is printed with line ends and spaces between its parts: what JSON
/// lets stand in a string is escaped as `\u009b`, so it stays the same value.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a Value is always JSON");
    let text = escape(&text, |c| steers(c) && c != '\n', "\\u", "");
    format!("{text}\n")
}

/// Control characters (C0, DEL, C1), the line ends of Unicode, and what controls
/// the direction of text (Unicode Standard Annex 9, section 2). None of them needs
/// more than four hexadecimal digits.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape<'a>(text: &'a str, is_escaped: impl Fn(char) -> bool, before: &str, after: &str) -> Cow<'a, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    // Braces end a number; without them it has four digits.
    let width = if after.is_empty() { 4 } else { 1 };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_escaped(c) {
            write!(shown, "{before}{:0width$x}{after}", u32::from(c)).expect("a String takes every write");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}
