//! What the functions of the host see of a program: its grants, its resources and its limits.

use cellwall::StoreLimits;
use cellwall::component::ResourceTable;
use cellwall_wasi::{WasiCtx, WasiCtxView, WasiView};

/// How many resources (streams, pollables, descriptors) a component may hold at once.
const RESOURCES_MAX: usize = 100_000;

/// The data of the store that a program runs in.
pub(crate) struct Host {
    pub(crate) wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
}

impl Host {
    /// A program with these grants and limits.
    pub(crate) fn new(wasi: WasiCtx, limits: StoreLimits) -> Host {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        Host { wasi, table, limits }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
