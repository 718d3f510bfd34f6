//! Bombs of calls whose exceptions are caught.

use super::families::{CALLEE, fill, run};
use super::module::{Code, EMPTY};

/// A call whose exceptions go where the code around it says.
fn call(code: &mut Code) {
    code.get(0).call(CALLEE).set(0);
}

/// Calls in one block that catches.
pub(super) fn handlers_calls(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.block(EMPTY).try_catching_all(0);
    fill(&mut code, n, |code, _| call(code));
    code.end().end().get(0);
    run(&[], &code)
}

/// Blocks one behind the other that catch, each with a call.
pub(super) fn handlers_sequence(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    fill(&mut code, n, |code, _| {
        code.block(EMPTY).try_catching_all(0);
        call(code);
        code.end().end();
    });
    code.get(0);
    run(&[], &code)
}

/// Blocks inside each other that catch, each with a call.
pub(super) fn handlers_nested(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.block(EMPTY).try_catching_all(0);
        call(code);
    });
    code.repeat(n, |code, _| {
        code.end().end();
    });
    code.get(0);
    run(&[], &code)
}

/// The same in the older encoding, with something to do where they catch.
pub(super) fn handlers_older(n: u32) -> Vec<u8> {
    let mut code = Code::default();
    code.repeat(n, |code, _| {
        code.try_(EMPTY);
        call(code);
    });
    code.repeat(n, |code, i| {
        code.catch_all().get(0).i32(i as i32 % 60).add().set(0).end();
    });
    code.get(0);
    run(&[], &code)
}
