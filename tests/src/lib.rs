//! What the tests that span several rooms are made of. `it/` runs a bounded part of it; `cargo
//! xtask` runs it for as long as one likes.

pub mod aliasing;
pub mod bombs;
pub mod breach;
pub mod control;
pub mod differential;
pub mod generate;
pub mod honest;
pub mod hostile;
pub mod mutate;
pub mod pressure;
pub mod rng;
pub mod small;
pub mod step;
pub mod vectors;
