//! `wasi:sockets/ip-name-lookup`.

use super::bindings::wasi::sockets::ip_name_lookup::{Host, HostResolveAddressStream};
use super::bindings::wasi::sockets::network::IpAddress;
use super::{Network, SocketResult, ip_address};
use crate::net::ResolveAddressStream;
use crate::p2::{DynPollable, Pollable, subscribe};
use crate::view::WasiCtxView;
use async_trait::async_trait;
use cellwall::Result;
use cellwall::component::Resource;

impl Host for WasiCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Resource<ResolveAddressStream>> {
        self.table.get(&network)?;
        let stream = ResolveAddressStream::start(&self.ctx.net, &name)?;
        Ok(self.table.push(stream)?)
    }
}

impl HostResolveAddressStream for WasiCtxView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> SocketResult<Option<IpAddress>> {
        let found = self.table.get_mut(&stream)?.next()?;
        Ok(found.map(ip_address))
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, stream)?)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for ResolveAddressStream {
    async fn ready(&mut self) {
        ResolveAddressStream::ready(self).await;
    }
}
