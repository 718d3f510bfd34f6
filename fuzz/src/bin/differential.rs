//! Drives the property of `src/differential.rs`: `cargo run --release --bin differential -- --seconds N --seed S`.

use cellwall_fuzz::child;
use cellwall_fuzz::differential;
use cellwall_fuzz::drive::{self, Property};
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(child::ARGUMENT) {
        return child::answer();
    }
    drive::main(Property {
        name: "differential",
        run: differential::run,
        next: differential::next,
        module: Some(differential::module),
        summary: Some(differential::summary),
    })
}
