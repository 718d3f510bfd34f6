//! `bindgen!`: what a world imports as traits, what it exports as calls.

#[path = "../../../../examples/greeter/main.rs"]
mod example;
mod exchange;
mod exports;
mod imports;
mod unusual;
mod waits;
mod wasi;

#[test]
fn the_example_runs() -> cellwall::Result<()> {
    example::main()
}
