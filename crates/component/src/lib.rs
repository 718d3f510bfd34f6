//! Components: modules that link to modules, in types, across walls.
//!
//! [`plan`] turns the bytes of a component into a [`Plan`]: every nested instantiation is carried out
//! on paper, with concrete resources, so that what is left to do is a straight list of [`Step`]s over
//! core modules. Nothing of it depends on a store, and nothing runs before all of it is checked.
//! [`adapter`](adapter::adapter) makes of a call from component to component a core module, which is
//! compiled and verified like guest code: values are lifted, lowered and copied inside of the walls.
//! [`Handles`] are the handle tables, which guests never see but as numbers.
//!
//! Requires nothing of the bytes. Guarantees that a plan is of a valid component (checked by
//! `wasmparser`), that each step uses only what earlier ones made, and that sizes are bounded by
//! [`limits`]. Deliberately knows no store, no machine and no compiler; the Rust API in `cellwall`
//! carries plans out.

pub mod adapter;
mod decode;
mod drafts;
mod evaluate;
mod extern_name;
mod fault;
mod handles;
pub mod limits;
mod plan;
mod skeleton;
mod types;

pub use decode::Features;
pub use evaluate::{plan, plan_with};
pub use extern_name::compatible_name;
pub use fault::Fault;
pub use handles::{Handle, Handles};
pub use plan::{
    Builtin, CoreDef, CoreInstance, CoreKind, CoreType, Encoding, FuncRef, Import, Item, Items, Lift,
    ModuleRef, ModuleType, Options, Plan, ResourceOrigin, Step, Trampoline, TypeItem,
};
pub use skeleton::skeleton;
pub use types::{
    Case, Fields, Flags, Flat, FuncKind, FuncType, Layout, List, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
    ResourceId, Side, ValType, Variant, align_to,
};
