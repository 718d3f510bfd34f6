//! Components: modules with interfaces, linked in types.
//!
//! A [`Component`] is compiled once, with the adapters between the components inside of it. A
//! [`Linker`] gives it what it imports: functions, resources and instances of the host. An
//! [`Instance`] has [functions](Func) that take and return values of interface types: as a [`Val`],
//! or as Rust types through a [`TypedFunc`].
//!
//! Functions of the host may be futures ([`LinkerInstance::func_wrap_async`]), which guests wait for that
//! are called by [`Func::call_async`].
//!
//! [`bindgen!`] makes bindings of WIT: traits of what a world imports, calls of what it exports.
//!
//! The nouns and habits are those of the `component` module of the `wasmtime` crate. What is not there
//! yet: asynchronous functions of components, streams and futures.
//!
//! ```
//! use cellwall::component::{Component, Linker};
//! use cellwall::{Engine, Store};
//!
//! let engine = Engine::default();
//! let component = Component::new(&engine, r#"
//!     (component
//!       (import "double" (func $double (param "x" u32) (result u32)))
//!       (core module $m
//!         (import "" "double" (func $double (param i32) (result i32)))
//!         (func (export "quadruple") (param i32) (result i32)
//!           (call $double (call $double (local.get 0)))))
//!       (core func $double (canon lower (func $double)))
//!       (core instance $i (instantiate $m
//!         (with "" (instance (export "double" (func $double))))))
//!       (func (export "quadruple") (param "x" u32) (result u32)
//!         (canon lift (core func $i "quadruple"))))
//! "#)?;
//! let mut linker = Linker::new(&engine);
//! linker.root().func_wrap("double", |_store, (x,): (u32,)| Ok((x * 2,)))?;
//!
//! let mut store = Store::new(&engine, ());
//! let instance = linker.instantiate(&mut store, &component)?;
//! let quadruple = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "quadruple")?;
//! assert_eq!(quadruple.call(&mut store, (10,))?, (40,));
//! # cellwall::Ok(())
//! ```
//!
//! The same with [`bindgen!`]:
//!
//! ```
//! use cellwall::component::{Component, HasSelf, Linker};
//! use cellwall::{Engine, Store};
//!
//! cellwall::component::bindgen!({
//!     inline: "
//!         package a:b;
//!         world arithmetic {
//!             import double: func(x: u32) -> u32;
//!             export quadruple: func(x: u32) -> u32;
//!         }
//!     ",
//! });
//!
//! struct State {
//!     calls: usize,
//! }
//! impl ArithmeticImports for State {
//!     fn double(&mut self, x: u32) -> u32 {
//!         self.calls += 1;
//!         x * 2
//!     }
//! }
//!
//! # let component = r#"
//! #     (component
//! #       (import "double" (func $double (param "x" u32) (result u32)))
//! #       (core module $m
//! #         (import "" "double" (func $double (param i32) (result i32)))
//! #         (func (export "quadruple") (param i32) (result i32)
//! #           (call $double (call $double (local.get 0)))))
//! #       (core func $double (canon lower (func $double)))
//! #       (core instance $i (instantiate $m
//! #         (with "" (instance (export "double" (func $double))))))
//! #       (func (export "quadruple") (param "x" u32) (result u32)
//! #         (canon lift (core func $i "quadruple"))))
//! # "#;
//! let engine = Engine::default();
//! let component = Component::new(&engine, component)?;
//! let mut linker = Linker::new(&engine);
//! Arithmetic::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state)?;
//!
//! let mut store = Store::new(&engine, State { calls: 0 });
//! let arithmetic = Arithmetic::instantiate(&mut store, &component, &linker)?;
//! assert_eq!(arithmetic.call_quadruple(&mut store, 10)?, 40);
//! assert_eq!(store.data().calls, 2);
//! # cellwall::Ok(())
//! ```

#[doc(hidden)]
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "only what is derived names it"
)]
pub mod __internal;
mod call;
mod compiled;
mod compound;
mod error_context;
mod func;
mod has_data;
mod in_place;
mod instance;
mod instantiate;
mod layout;
mod lift;
mod linker;
mod lower;
mod parts;
mod resource;
mod resource_table;
mod serialized;
mod shared;
mod state;
mod task;
mod trampoline;
mod typed;
pub mod types;
mod val;
mod wiring;

#[cfg(feature = "bindgen")]
pub use cellwall_bindgen::{ComponentType, Lift, Lower, bindgen, flags};
pub use cellwall_component::Fault;
pub use compiled::Component;
pub use error_context::ErrorContext;
pub(crate) use func::uncaught;
pub use func::{Func, TypedFunc};
pub use has_data::{HasData, HasSelf};
pub use in_place::{WasmList, WasmStr};
pub use instance::{ComponentExportIndex, Instance, InstanceExportLookup};
pub use linker::{InstancePre, Linker, LinkerInstance};
pub use resource::{Resource, ResourceAny, ResourceDynamic, ResourceType};
pub use resource_table::{ResourceTable, ResourceTableError};
pub(crate) use serialized::{is_serialized, modules_of};
pub(crate) use state::State;
pub use typed::{ComponentNamedList, ComponentType, Lift, Lower};
pub use types::Type;
pub use val::Val;
