//! The macros of `cellwall::component`: [`bindgen!`], [`flags!`] and three derives.
//!
//! Requires nothing of the rest of Cellwall: what is generated names `::cellwall`. Guarantees that what
//! cannot be bound is an error that names its place in the WIT. Deliberately makes text first, then
//! tokens, so that what is generated can be read.

mod config;
mod derive;
mod exports;
mod flags;
mod generate;
mod imports;
mod load;
mod names;
mod source;
#[cfg(test)]
mod tests;
mod types;
mod world;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes Rust of WIT: traits for what a world imports, and calls for what it exports.
///
/// ```text
/// cellwall::component::bindgen!("world" in "wit/folder");     // or `bindgen!("world")`, `bindgen!()`
///
/// cellwall::component::bindgen!({
///     // Files and folders, relative to the package; `wit` if nothing is said. With `inline`, which is a package of
///     // its own, they are what that one uses.
///     path: "wit",
///     inline: "package a:b; world w { import wasi:io/poll@0.2.0; }",
///     world: "w",                                     // or "a:b/w@1.0.0"; may be missing if there is one
///     features: ["clocks-timezone"],                  // `@unstable` features that are on
///
///     // How functions are bound: `async` (they return a future), `trappable` (they return a `cellwall::Result`,
///     // whose error is a trap), or both. A key is a function, `[drop]resource`, or a whole interface.
///     imports: { default: trappable, "wasi:io/poll.[method]pollable.block": async | trappable },
///     exports: { default: async },
///
///     // Rust types of resources; interfaces, packages and namespaces whose bindings are elsewhere.
///     with: { "wasi:io/poll.pollable": crate::Pollable, "wasi:clocks": other_crate::bindings::clocks },
///     // Errors of the host in place of those of WIT.
///     trappable_error_type: { "wasi:io/streams.stream-error" => crate::StreamError },
///
///     additional_derives: [PartialEq],                // of records, variants and enums
///     require_store_data_send: true,                  // `T: Send` in `add_to_linker`
///     only_interfaces: true,                          // no struct for the world
///     stringify: true,                                // a string: the text that would be made
///     cellwall_crate: some::path,                     // what `::cellwall` is called here
/// });
/// ```
///
/// # What is made
///
/// * For each interface that is imported a module, `wasi::io::poll`, with its types, `trait Host` with its functions,
///   a trait `HostPollable` for each of its resources (a method takes `self_: Resource<Pollable>`, a constructor is
///   `new`, and `drop` is called when a guest drops its last handle), and
///   `add_to_linker::<T, D>(linker, fn(&mut T) -> D::Data<'_>)`.
/// * For each interface that is exported a module `exports::wasi::cli::run` with its types and a `Guest`, whose
///   `call_run` calls the function; strings, lists and records are borrowed. Resources of the guest are `ResourceAny`.
/// * For the world `Command` with `instantiate`, `new`, `add_to_linker`, a `call_` for each function and an accessor for
///   each interface that it exports (`wasi_cli_run`); `CommandPre` and `CommandIndices`, which find exports before there
///   is an instance; `CommandImports` with what the world imports by itself. If anything waits, `instantiate_async`.
/// * With an error in `trappable_error_type` the trait of its interface has `convert_stream_error`: what the guest
///   sees of the host's error, or a trap.
///
/// Names are those of Rust (`input-stream` is `InputStream` or `input_stream`); a keyword gets a `_`.
///
/// # Errors
///
/// What cannot be read or bound is an error of the compiler that names its place in the WIT, as is a name in the options
/// that the world does not have. With `CELLWALL_DEBUG_BINDGEN=1` in the environment what is made is written to a file
/// and included, so that errors in it have a place.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    let config = parse_macro_input!(input as config::Config);
    let generated = load::expand(&config);
    generated.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Derives `ComponentType` for a struct or enum that is a record, variant or enum in WIT.
///
/// `#[component(record)]`, `#[component(variant)]` or `#[component(enum)]` says which; names are those of Rust
/// as WIT writes them (`some_name` is `some-name`), or `#[component(name = "other-name")]`.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    derived(
        parse_macro_input!(input as DeriveInput),
        derive::Trait::ComponentType,
    )
}

/// Derives `Lift`, beside `ComponentType`: values can be taken from a component.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(input: TokenStream) -> TokenStream {
    derived(parse_macro_input!(input as DeriveInput), derive::Trait::Lift)
}

/// Derives `Lower`, beside `ComponentType`: values can be given to a component.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(input: TokenStream) -> TokenStream {
    derived(parse_macro_input!(input as DeriveInput), derive::Trait::Lower)
}

fn derived(item: DeriveInput, of: derive::Trait) -> TokenStream {
    let derived = derive::derive(item, of);
    derived.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Makes a type for a set of flags, with its `ComponentType`, `Lift` and `Lower`.
///
/// ```text
/// cellwall::component::flags! {
///     Permissions {
///         const READ;
///         #[component(name = "write-it")]
///         const WRITE;
///     }
/// }
/// ```
///
/// The first flag is the lowest bit. There are `empty`, `all`, `bits`, `from_bits_truncate`, `contains`, `intersects`,
/// `insert`, `remove`, and the operators `|`, `&`, `^`, `-` and `!`.
#[proc_macro]
pub fn flags(input: TokenStream) -> TokenStream {
    parse_macro_input!(input as flags::Flags).expand().into()
}
