//! The public API from outside: one file per noun; what works beside what is refused.

mod allocation;
mod artifact;
mod asynchronous;
mod bindgen;
mod cache;
mod component;
mod component_artifact;
mod component_canaries;
mod component_enemies;
mod component_shared;
mod engine;
mod exception;
mod frozen;
mod func;
mod global;
mod limits;
mod linker;
mod memory;
mod module;
mod product;
mod reference;
mod shared;
mod static_types;
mod store;
mod symbols;
mod table;
mod tail_call;
mod tools;
mod trap;
mod typed_reference;
mod vector;
mod vector_patterns;

use cellwall::{Engine, Instance, Module, Store};

/// An instance, without imports, of a module in the text format.
fn instantiate(wat: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let module = Module::new(&engine, wat).expect("the module is valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    (store, instance)
}
