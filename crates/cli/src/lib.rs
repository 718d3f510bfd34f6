//! The part of the command that tests elsewhere use: the runner of `.wast`
//! scripts. Everything else of the command is in its binary.

pub mod wast_runner;
