//! Tests of the door: small guests and whole programs through the public API.

mod every;
mod files;
mod harness;
mod net;
mod p2;
mod permissions;
mod pointers;
mod programs;
mod race;
mod sockets;
mod streams;
mod suite;
mod waiting;
