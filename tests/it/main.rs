//! Tests that span several rooms: the house itself, and the road from bytes to values.

mod bombs;
mod breach;
mod differential;
mod escapes;
mod honest;
mod hostile;
mod house;
mod mutants;
mod planted;
mod rows;
mod step;
