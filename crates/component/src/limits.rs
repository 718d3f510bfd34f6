//! The table of limits of components.

/// Bytes of a component.
pub const COMPONENT_BYTES_MAX: usize = 1 << 30;
/// How deep components nest in the binary, and instantiations in each other.
pub const NESTING_MAX: usize = 64;
/// How deep value types nest.
pub const TYPE_DEPTH_MAX: u32 = 100;
/// Definitions that all instantiations of one component evaluate together; a component that
/// instantiates another more than once can make it exponential in its size.
pub const EVALUATED_MAX: usize = 2_000_000;
/// Core and component instances that one component makes.
pub const INSTANCES_MAX: usize = 20_000;
/// Bytes of one string, in the memory that it is copied from or to.
pub const STRING_BYTES_MAX: u32 = (1 << 31) - 1;
/// Operators of one adapter.
pub const ADAPTER_BYTES_MAX: usize = 4 << 20;
/// Entries of one handle table, which a guest fills without memory of its own.
pub const HANDLES_MAX: u32 = 1 << 20;
/// Entries of all handle tables of a store.
pub const STORE_HANDLES_MAX: usize = 1 << 22;
/// Bytes of the messages of all error contexts of a store.
pub const MESSAGES_BYTES_MAX: usize = 64 << 20;
