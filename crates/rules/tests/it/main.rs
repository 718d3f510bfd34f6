//! The rule language from its door, and the rules of the optimizer: fresh and proved.

mod language;
mod optimizer;
