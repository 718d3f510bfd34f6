//! Drives the property of `src/loader.rs`: `cargo run --release --bin loader -- --seconds N --seed S`.

use cellwall_fuzz::drive::{self, Property};
use cellwall_fuzz::loader;
use std::process::ExitCode;

fn main() -> ExitCode {
    drive::main(Property {
        name: "loader",
        run: loader::run,
        next: loader::next,
        module: None,
        summary: None,
    })
}
