//! The cellwall command.
fn main() {}
