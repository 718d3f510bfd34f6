//! Tests of the runtime through verified, hand-written machine code.

mod build;
mod calls;
mod instances;
mod interruption;
mod many;
mod memories;
mod signals;
mod tables;
mod traps;
