//! `wasi:sockets/udp` and `udp-create-socket`.

use super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    OutgoingDatagram,
};
use super::bindings::wasi::sockets::udp_create_socket;
use super::{Network, SocketError, SocketResult};
use crate::net::{Buffer, IncomingDatagrams, OutgoingDatagrams, StreamFault, UdpSocket};
use crate::p2::{DynPollable, Pollable, executor, subscribe};
use crate::view::WasiCtxView;
use async_trait::async_trait;
use cellwall::component::Resource;
use cellwall::{Error, Result};
use std::net::SocketAddr;

impl udp_create_socket::Host for WasiCtxView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let slot = self.socket_slot()?;
        let mut socket = UdpSocket::new(self.ctx.net.clone(), family.into())?;
        socket.slot = Some(slot);
        Ok(self.table.push(socket)?)
    }
}

impl Host for WasiCtxView<'_> {}

/// What there is to wait for is in the streams.
#[async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {}
}

impl HostUdpSocket for WasiCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<UdpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        executor::wait(&self.ctx.waiting, socket.start_bind(local.into())).await??;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<UdpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.finish_bind()?)
    }

    async fn stream(
        &mut self,
        this: Resource<UdpSocket>,
        remote: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<IncomingDatagrams>, Resource<OutgoingDatagrams>)> {
        let socket = self.table.get_mut(&this)?;
        let streams = socket.stream(remote.map(SocketAddr::from));
        let (incoming, outgoing) = match executor::wait(&self.ctx.waiting, streams).await? {
            Ok(streams) => streams,
            Err(StreamFault::Code(code)) => return Err(code.into()),
            Err(StreamFault::StreamsNotDropped) => {
                let message = "the datagram streams of before are not dropped yet";
                return Err(SocketError::Trap(Error::msg(message)));
            }
        };
        let incoming = self.table.push_child(incoming, &this)?;
        Ok((incoming, self.table.push_child(outgoing, &this)?))
    }

    fn local_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.remote_address()?.into())
    }

    fn address_family(&mut self, socket: Resource<UdpSocket>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn unicast_hop_limit(&mut self, socket: Resource<UdpSocket>) -> SocketResult<u8> {
        Ok(self.table.get(&socket)?.hop_limit()?)
    }

    fn set_unicast_hop_limit(&mut self, socket: Resource<UdpSocket>, value: u8) -> SocketResult<()> {
        Ok(self.table.get(&socket)?.set_hop_limit(value)?)
    }

    fn receive_buffer_size(&mut self, socket: Resource<UdpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.buffer(Buffer::Receive)?)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<UdpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get(&socket)?.set_buffer(Buffer::Receive, value)?)
    }

    fn send_buffer_size(&mut self, socket: Resource<UdpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.buffer(Buffer::Send)?)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<UdpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get(&socket)?.set_buffer(Buffer::Send, value)?)
    }

    fn subscribe(&mut self, socket: Resource<UdpSocket>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, socket)?)
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for IncomingDatagrams {
    async fn ready(&mut self) {
        IncomingDatagrams::ready(self).await;
    }
}

impl HostIncomingDatagramStream for WasiCtxView<'_> {
    async fn receive(
        &mut self,
        stream: Resource<IncomingDatagrams>,
        count: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let stream = self.table.get_mut(&stream)?;
        let received = executor::wait(&self.ctx.waiting, stream.receive(count)).await??;
        let datagrams = received.into_iter().map(|(data, remote)| IncomingDatagram {
            data,
            remote_address: remote.into(),
        });
        Ok(datagrams.collect())
    }

    fn subscribe(&mut self, stream: Resource<IncomingDatagrams>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, stream)?)
    }

    fn drop(&mut self, stream: Resource<IncomingDatagrams>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

#[async_trait]
impl Pollable for OutgoingDatagrams {
    async fn ready(&mut self) {
        OutgoingDatagrams::ready(self).await;
    }
}

impl HostOutgoingDatagramStream for WasiCtxView<'_> {
    fn check_send(&mut self, stream: Resource<OutgoingDatagrams>) -> SocketResult<u64> {
        Ok(self.table.get_mut(&stream)?.check_send())
    }

    async fn send(
        &mut self,
        stream: Resource<OutgoingDatagrams>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let stream = self.table.get_mut(&stream)?;
        let datagrams: Vec<(Vec<u8>, Option<SocketAddr>)> = datagrams
            .into_iter()
            .map(|datagram| (datagram.data, datagram.remote_address.map(SocketAddr::from)))
            .collect();
        match executor::wait(&self.ctx.waiting, stream.send(&datagrams)).await? {
            Some(sent) => Ok(sent?),
            None => {
                let message = "more datagrams were sent than check-send permitted";
                Err(SocketError::Trap(Error::msg(message)))
            }
        }
    }

    fn subscribe(&mut self, stream: Resource<OutgoingDatagrams>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, stream)?)
    }

    fn drop(&mut self, stream: Resource<OutgoingDatagrams>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
