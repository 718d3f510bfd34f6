//! Which trap a message of the specification's tests means.
//!
//! The tests name a trap by the words of the reference interpreter, sometimes
//! with a detail behind them ("uninitialized element 7"). A message that is in
//! the table stands for exactly one trap; a wrong kind is a failure even if the
//! words would match.

use cellwall::component::Fault;
use cellwall::{Error, Trap};

/// Message, as a prefix of what a test says, and the trap it means.
const MESSAGES: &[(&str, Trap)] = &[
    (
        "atomic wait on non-shared memory",
        Trap::AtomicWaitNonSharedMemory,
    ),
    ("call stack exhausted", Trap::StackOverflow),
    ("cast failure", Trap::CastFailure),
    ("divide by zero", Trap::IntegerDivisionByZero),
    ("expected shared memory", Trap::AtomicWaitNonSharedMemory),
    ("indirect call type mismatch", Trap::BadSignature),
    ("null exception reference", Trap::NullReference),
    ("integer divide by zero", Trap::IntegerDivisionByZero),
    ("integer overflow", Trap::IntegerOverflow),
    ("invalid conversion to integer", Trap::BadConversionToInteger),
    ("null function reference", Trap::NullReference),
    ("null i31 reference", Trap::NullI31Ref),
    ("null reference", Trap::NullReference),
    ("out of bounds memory access", Trap::MemoryOutOfBounds),
    ("out of bounds table access", Trap::TableOutOfBounds),
    ("unaligned atomic", Trap::HeapMisaligned),
    ("undefined element", Trap::TableOutOfBounds),
    ("uninitialized element", Trap::IndirectCallToNull),
    ("unreachable", Trap::UnreachableCodeReached),
    ("wasm `unreachable` instruction", Trap::UnreachableCodeReached),
];

/// The same for calls of components; tests say some things in several ways.
const FAULTS: &[(&str, Fault)] = &[
    ("cannot enter component instance", Fault::CannotEnter),
    ("cannot leave component instance", Fault::CannotLeave),
    ("cannot lift own resource from a borrow", Fault::BorrowedNotOwned),
    ("cannot remove owned resource while borrowed", Fault::HandleLent),
    ("borrow handles still remain", Fault::BorrowsRemain),
    ("degenerate component adapter called", Fault::CannotEnter),
    ("discriminant", Fault::InvalidDiscriminant),
    ("handle index", Fault::WrongHandle),
    ("incomplete utf-8 byte sequence", Fault::InvalidUtf8),
    ("invalid utf-8", Fault::InvalidUtf8),
    ("invalid utf-16", Fault::InvalidUtf16),
    ("invalid `char` bit pattern", Fault::InvalidChar),
    ("invalid variant discriminant", Fault::InvalidDiscriminant),
    ("list content out-of-bounds", Fault::ListOutOfBounds),
    ("pointer not aligned", Fault::UnalignedPointer),
    ("realloc return: beyond end of memory", Fault::ReallocOutOfBounds),
    ("realloc return: result not aligned", Fault::UnalignedRealloc),
    ("string content out-of-bounds", Fault::StringOutOfBounds),
    ("string pointer not aligned", Fault::UnalignedString),
    ("string pointer/length out of bounds", Fault::StringOutOfBounds),
    ("unknown handle index", Fault::UnknownHandle),
];

/// Checks that `error` is the fault that `expected` means.
fn check_fault(fault: Fault, expected: &str) -> Result<(), String> {
    let words = expected.strip_prefix("wasm trap: ").unwrap_or(expected);
    let matches = match FAULTS.iter().find(|(message, _)| words.starts_with(message)) {
        Some((_, meant)) => fault == *meant,
        None => fault.message().contains(words),
    };
    // A peer says this of values, strings and what `realloc` returned alike.
    let also: &[Fault] = match words {
        "unaligned pointer" => &[
            Fault::UnalignedPointer,
            Fault::UnalignedString,
            Fault::UnalignedRealloc,
        ],
        "string content out-of-bounds" => &[Fault::ReallocOutOfBounds, Fault::StringTooLong],
        "list content out-of-bounds" => &[Fault::ReallocOutOfBounds, Fault::ListTooLong],
        _ => &[],
    };
    if matches || also.contains(&fault) {
        return Ok(());
    }
    Err(format!("expected the trap \"{expected}\", got \"{fault}\""))
}

/// Checks that `error` is the trap that `expected` means; otherwise says what
/// it is. A message outside the table must be part of the trap's (or error's) own words.
pub(super) fn check(error: &Error, expected: &str) -> Result<(), String> {
    if let Some(&fault) = error.downcast_ref::<Fault>() {
        return check_fault(fault, expected);
    }
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
