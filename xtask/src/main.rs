//! Developer commands: `cargo xtask NAME`.
fn main() {}
