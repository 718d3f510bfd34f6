//! Drives the property of `src/mutate.rs`: `cargo run --release --bin mutate -- --seconds N --seed S`.

use cellwall_fuzz::drive::{self, Property};
use cellwall_fuzz::mutate;
use std::process::ExitCode;

fn main() -> ExitCode {
    drive::main(Property {
        name: "mutate",
        run: mutate::run,
        next: mutate::next,
        module: None,
        summary: None,
    })
}
