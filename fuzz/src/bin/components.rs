//! Drives the property of `src/components.rs`: `cargo run --release --features peers --bin components -- --seconds N --seed S`.

use cellwall_fuzz::components;
use cellwall_fuzz::drive::{self, Property};
use std::process::ExitCode;

fn main() -> ExitCode {
    drive::main(Property {
        name: "components",
        run: components::run,
        next: components::next,
        module: None,
        summary: Some(components::summary),
    })
}
