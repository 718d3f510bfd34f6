//! The modules that scripts expect from their host: `spectest` of the
//! specification's tests, and `wasmtime` of that runtime's tests.
//!
//! Globals, tables and memories come from a module in the text format, which is
//! also their documentation; the functions are host functions. They print
//! nothing.

use cellwall::{Engine, Linker, Module, Result, Store};

/// The state of `spectest`.
const SPECTEST: &str = r#"
    (module
      (global (export "global_i32") i32 (i32.const 666))
      (global (export "global_i64") i64 (i64.const 666))
      (global (export "global_f32") f32 (f32.const 666.6))
      (global (export "global_f64") f64 (f64.const 666.6))
      (table (export "table") 10 20 funcref)
      (memory (export "memory") 1 2)
      (memory (export "shared_memory") 1 2 shared))
"#;

/// What `spectest` has in an engine with 64-bit tables.
const SPECTEST_64: &str = r#"(module (table (export "table64") i64 10 20 funcref))"#;

/// Defines both modules in `linker`.
pub(super) fn define(engine: &Engine, store: &mut Store<()>, linker: &mut Linker<()>) -> Result<()> {
    let state = linker.instantiate(&mut *store, &Module::new(engine, SPECTEST)?)?;
    linker.instance(&mut *store, "spectest", state)?;
    match Module::new(engine, SPECTEST_64) {
        Ok(module) => {
            let state = linker.instantiate(&mut *store, &module)?;
            linker.instance(&mut *store, "spectest", state)?;
        }
        Err(error) => tracing::debug!(target: "cellwall", "no 64-bit tables: {error:#}"),
    }
    linker.func_wrap("spectest", "print", || {})?;
    linker.func_wrap("spectest", "print_i32", |_: i32| {})?;
    linker.func_wrap("spectest", "print_i64", |_: i64| {})?;
    linker.func_wrap("spectest", "print_f32", |_: f32| {})?;
    linker.func_wrap("spectest", "print_f64", |_: f64| {})?;
    linker.func_wrap("spectest", "print_i32_f32", |_: i32, _: f32| {})?;
    linker.func_wrap("spectest", "print_f64_f64", |_: f64, _: f64| {})?;
    // It asks for a collection; collecting nothing is one way to obey.
    linker.func_wrap("wasmtime", "gc", || {})?;
    Ok(())
}
