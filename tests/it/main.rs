//! Tests that span several rooms: the house itself, and the road from bytes to values.

mod differential;
mod house;
mod mutants;
mod planted;
