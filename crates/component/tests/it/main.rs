//! Tests of this crate through its doors: bytes to plans, requests to adapters.

mod adapters;
mod plans;
