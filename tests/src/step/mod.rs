//! For all code that the verifier accepts: no instruction touches a byte outside of its cell, and
//! none goes anywhere but where the cell may go. Seen on the processor, instruction by instruction.
//!
//! A child process ([`child`]) loads an artifact and stops at the entry of its code. From there on
//! this process does everything ([`Session`]): it writes one corrupted instruction over the code, sets
//! the registers for a call of some function, decodes each instruction before it runs ([`judge`]),
//! compares what it would touch with the ranges of the cell ([`cell`]), and only then lets the
//! processor do that one step. Calls of the host and of the runtime run freely until they return.
//! Afterwards code and memory are put back, and the next mutant has its turn.
//!
//! Code that the verifier refuses can be looked at in the same way, since the tracer writes it over
//! code that was accepted and mapped; the engine has no part in that and no way around the proof.

pub mod cell;
pub mod child;
pub mod hunt;
pub mod judge;
pub mod rows;
mod session;
pub mod tracee;

pub use session::{End, Plan, Report, Session, laid_out_alike};
