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
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    let config = parse_macro_input!(input as config::Config);
    let generated = load::expand(&config);
    generated.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Derives `ComponentType` for a struct or enum that is a record, variant or enum in WIT.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(input: TokenStream) -> TokenStream {
    let item = parse_macro_input!(input as DeriveInput);
    let derived = derive::component_type(item);
    derived.unwrap_or_else(|error| error.to_compile_error()).into()
}

/// Derives `Lift`.
#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Derives `Lower`.
#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(_: TokenStream) -> TokenStream {
    TokenStream::new()
}

/// Makes a type for a set of flags.
#[proc_macro]
pub fn flags(input: TokenStream) -> TokenStream {
    parse_macro_input!(input as flags::Flags).expand().into()
}
