//! The rule language from its door, and the rules of the optimizer and of lowering: fresh and
//! proved.

mod language;
mod lowering;
mod optimizer;
