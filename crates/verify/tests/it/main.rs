//! The verifier from outside: snippets that are accepted, and their neighbours with one guard
//! removed, which are refused for the right reason.

mod arithmetic;
mod atomics;
mod calls;
mod control;
mod encoding;
mod extreme;
mod foreign;
mod harness;
mod hostile;
mod landing;
mod memory;
mod memory64;
mod metadata;
mod processor;
mod raced;
mod stack;
mod tails;
mod torn;
mod vectors;
