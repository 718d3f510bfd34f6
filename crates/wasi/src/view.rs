//! How the host functions find what belongs to their guest in the data of a store.

use crate::WasiCtx;
use cellwall::component::ResourceTable;

/// What the functions of WASI 0.2 work on.
pub struct WasiCtxView<'a> {
    /// What the guest was granted.
    pub ctx: &'a mut WasiCtx,
    /// What its resources stand for.
    pub table: &'a mut ResourceTable,
}

impl std::fmt::Debug for WasiCtxView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtxView").finish_non_exhaustive()
    }
}

/// The data of a store whose guest uses WASI 0.2.
///
/// ```
/// use cellwall::component::ResourceTable;
/// use cellwall_wasi::{WasiCtx, WasiCtxView, WasiView};
///
/// struct State {
///     ctx: WasiCtx,
///     table: ResourceTable,
/// }
///
/// impl WasiView for State {
///     fn ctx(&mut self) -> WasiCtxView<'_> {
///         WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
///     }
/// }
/// ```
pub trait WasiView: Send {
    /// Called once for each call of the guest: it should be as cheap as a field access.
    fn ctx(&mut self) -> WasiCtxView<'_>;
}

impl<T: WasiView + ?Sized> WasiView for &mut T {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        T::ctx(self)
    }
}

impl<T: WasiView + ?Sized> WasiView for Box<T> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        T::ctx(self)
    }
}
