//! `error-context` as a type of Rust: its message.
//!
//! Guarantees that what a component gets is a new handle of its own table, which counts against its limits.

use super::layout::Layout;
use super::lift::Lifting;
use super::lower::Lowering;
use super::typed::{ComponentType, Lift, Lower, TypeRef, is_type, mismatch};
use super::types::Type;
use crate::Result;
use cellwall_component::Handle;
use std::fmt;
use std::sync::Arc;

/// What a component says of an error, for people: `error-context` in WIT.
///
/// ```
/// use cellwall::component::ErrorContext;
///
/// let error = ErrorContext::new("the disk is full");
/// assert_eq!(error.debug_message(), "the disk is full");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ErrorContext(Arc<str>);

impl ErrorContext {
    /// With this message.
    pub fn new(message: impl Into<Arc<str>>) -> Self {
        Self(message.into())
    }

    /// The message.
    pub fn debug_message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ErrorContext {}

impl ComponentType for ErrorContext {
    const LAYOUT: Layout = Layout::handle();
    is_type!(Type::ErrorContext, "error-context");
}

impl ErrorContext {
    fn lower<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>) -> Result<u32> {
        let state = &mut cx.store.0.data_mut().components;
        Ok(state.add(Some(cx.abi.instance), Handle::ErrorContext(self.0.clone()))?)
    }

    fn lift<D: 'static>(cx: &mut Lifting<'_, '_, D>, index: u32) -> Result<Self> {
        let state = &mut cx.store.0.data_mut().components;
        Ok(Self(state.handles(Some(cx.abi.instance)).error_context(index)?))
    }
}

impl Lower for ErrorContext {
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        _ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        to[0] = self.lower(cx)?.into();
        Ok(())
    }

    fn lower_memory<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        _ty: TypeRef<'_>,
        at: u32,
    ) -> Result<()> {
        let index = self.lower(cx)?;
        cx.write(at, &index.to_le_bytes());
        Ok(())
    }
}

impl Lift for ErrorContext {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, _ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        Self::lift(cx, from[0] as u32)
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, _ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let index = cx.word(at);
        Self::lift(cx, index)
    }
}
