//! `bindgen!`: what a world imports as traits, what it exports as calls.

mod imports;
mod wasi;
