//! A guest in the network: `tests/guests/net`, with the functions of `net.wit`, between native clients
//! and servers.

mod http;
mod tcp;
mod udp;

use cellwall::component::{Component, ComponentNamedList, Instance, Lift, Linker, Lower, ResourceTable};
use cellwall::{Engine, Result, Store};
use cellwall_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2};
use std::sync::LazyLock;

pub(crate) struct Host {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

static COMPONENT: LazyLock<Component> = LazyLock::new(|| {
    let bytes = include_bytes!("../guests/net.wasm");
    Component::new(&Engine::default(), bytes).expect("the guest is a component")
});

/// An instance that was granted something.
pub(crate) struct Guest {
    store: Store<Host>,
    instance: Instance,
}

impl Guest {
    pub(crate) fn new(grant: impl FnOnce(&mut WasiCtxBuilder)) -> Guest {
        let mut builder = WasiCtxBuilder::new();
        grant(&mut builder);
        let host = Host {
            ctx: builder.build(),
            table: ResourceTable::new(),
        };
        let engine = COMPONENT.engine();
        let mut linker = Linker::<Host>::new(engine);
        p2::add_to_linker_sync(&mut linker)
            .and_then(|()| cellwall_wasi::http::add_to_linker(&mut linker))
            .expect("nothing is defined twice");
        let mut store = Store::new(engine, host);
        let instance = linker
            .instantiate(&mut store, &COMPONENT)
            .expect("it can be linked");
        Guest { store, instance }
    }

    /// With all that the loopback addresses are good for.
    pub(crate) fn local() -> Guest {
        Guest::new(|builder| {
            for address in ["127.0.0.1", "[::1]"] {
                builder
                    .allow_listen(address.parse().expect("an address"))
                    .allow_connect(address.parse().expect("an address"));
            }
        })
    }

    /// Calls a function; its own error is one of the two results, a trap is the other.
    pub(crate) fn call<P, R>(&mut self, name: &str, params: P) -> Result<Result<R, String>>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (Result<R, String>,): ComponentNamedList + Lift,
    {
        let func = self
            .instance
            .get_typed_func::<P, (Result<R, String>,)>(&mut self.store, name)?;
        let (result,) = func.call(&mut self.store, params)?;
        Ok(result)
    }
}

/// Bytes that tell where they are, as the guest makes them.
pub(crate) fn pattern(at: u64) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)) as u8
}

/// The pattern from a place on.
pub(crate) fn fill(buffer: &mut [u8], from: u64) {
    for (at, byte) in (from..).zip(buffer) {
        *byte = pattern(at);
    }
}

/// Panics if a buffer has not the pattern from a place on.
pub(crate) fn check(buffer: &[u8], from: u64) {
    let wrong = (from..).zip(buffer).find(|(at, byte)| **byte != pattern(*at));
    assert_eq!(wrong, None);
}
