//! Which trap a message of the specification's tests means.
//!
//! The tests name a trap by the words of the reference interpreter, sometimes
//! with a detail behind them ("uninitialized element 7"). A message that is in
//! the table stands for exactly one trap; a wrong kind is a failure even if the
//! words would match.

use cellwall::{Error, Trap};

/// Message, as a prefix of what a test says, and the trap it means.
const MESSAGES: &[(&str, Trap)] = &[
    ("call stack exhausted", Trap::StackOverflow),
    ("divide by zero", Trap::IntegerDivisionByZero),
    ("indirect call type mismatch", Trap::BadSignature),
    ("integer divide by zero", Trap::IntegerDivisionByZero),
    ("integer overflow", Trap::IntegerOverflow),
    ("invalid conversion to integer", Trap::BadConversionToInteger),
    ("out of bounds memory access", Trap::MemoryOutOfBounds),
    ("out of bounds table access", Trap::TableOutOfBounds),
    ("undefined element", Trap::TableOutOfBounds),
    ("uninitialized element", Trap::IndirectCallToNull),
    ("unreachable", Trap::UnreachableCodeReached),
    ("wasm `unreachable` instruction", Trap::UnreachableCodeReached),
];

/// Checks that `error` is the trap that `expected` means; otherwise says what
/// it is. A message outside the table must be part of the trap's (or error's) own words.
pub(super) fn check(error: &Error, expected: &str) -> Result<(), String> {
    let Some(trap) = error.downcast_ref::<Trap>() else {
        // What an implementation has too little of is no trap here, but ends the program alike.
        let text = format!("{error:#}");
        return match MESSAGES.iter().any(|(message, _)| expected.starts_with(message)) {
            false if text.contains(expected) => Ok(()),
            _ => Err(format!("expected the trap \"{expected}\", got the error: {text}")),
        };
    };
    let matches = match MESSAGES.iter().find(|(message, _)| expected.starts_with(message)) {
        Some((_, meant)) => trap == meant,
        None => format!("{trap}").contains(expected),
    };
    if matches {
        Ok(())
    } else {
        Err(format!("expected the trap \"{expected}\", got \"{trap}\""))
    }
}
