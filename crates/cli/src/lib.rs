//! The part of the command that tests elsewhere use: the runner of `.wast`
//! scripts; and the older text that both the runner and the command read.
//! Everything else of the command is in its binary.

pub mod legacy;
pub mod wast_runner;
