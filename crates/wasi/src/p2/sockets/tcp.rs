//! `wasi:sockets/tcp` and `tcp-create-socket`.

use super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use super::bindings::wasi::sockets::tcp_create_socket;
use super::{Network, SocketResult};
use crate::net::{Buffer, TcpSocket, TcpStreams};
use crate::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, executor, subscribe};
use crate::view::WasiCtxView;
use async_trait::async_trait;
use cellwall::Result;
use cellwall::component::{Resource, ResourceTableError};
use std::net::Shutdown;

type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

impl WasiCtxView<'_> {
    /// The streams of a connection are children of its socket.
    fn push_streams(
        &mut self,
        (reader, writer): TcpStreams,
        socket: &Resource<TcpSocket>,
    ) -> Result<Streams, ResourceTableError> {
        let reader: DynInputStream = Box::new(reader);
        let writer: DynOutputStream = Box::new(writer);
        let reader = self.table.push_child(reader, socket)?;
        Ok((reader, self.table.push_child(writer, socket)?))
    }
}

impl tcp_create_socket::Host for WasiCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let slot = self.socket_slot()?;
        let mut socket = TcpSocket::new(self.ctx.net.clone(), family.into())?;
        socket.hold(slot);
        Ok(self.table.push(socket)?)
    }
}

impl Host for WasiCtxView<'_> {}

#[async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        TcpSocket::ready(self).await;
    }
}

impl HostTcpSocket for WasiCtxView<'_> {
    async fn start_bind(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        executor::wait(&self.ctx.waiting, socket.start_bind(local.into())).await??;
        Ok(())
    }

    fn finish_bind(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.finish_bind()?)
    }

    async fn start_connect(
        &mut self,
        socket: Resource<TcpSocket>,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        executor::wait(&self.ctx.waiting, socket.start_connect(remote.into())).await??;
        Ok(())
    }

    fn finish_connect(&mut self, socket: Resource<TcpSocket>) -> SocketResult<Streams> {
        let streams = self.table.get_mut(&socket)?.finish_connect()?;
        Ok(self.push_streams(streams, &socket)?)
    }

    async fn start_listen(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        let socket = self.table.get_mut(&socket)?;
        executor::wait(&self.ctx.waiting, socket.start_listen()).await??;
        Ok(())
    }

    fn finish_listen(&mut self, socket: Resource<TcpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.finish_listen()?)
    }

    async fn accept(
        &mut self,
        socket: Resource<TcpSocket>,
    ) -> SocketResult<(
        Resource<TcpSocket>,
        Resource<DynInputStream>,
        Resource<DynOutputStream>,
    )> {
        let slot = self.socket_slot()?;
        let socket = self.table.get_mut(&socket)?;
        let (mut accepted, streams) = executor::wait(&self.ctx.waiting, socket.accept()).await??;
        accepted.hold(slot);
        let accepted = self.table.push(accepted)?;
        let (reader, writer) = self.push_streams(streams, &accepted)?;
        Ok((accepted, reader, writer))
    }

    fn local_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&socket)?.remote_address()?.into())
    }

    fn is_listening(&mut self, socket: Resource<TcpSocket>) -> Result<bool> {
        Ok(self.table.get(&socket)?.is_listening())
    }

    fn address_family(&mut self, socket: Resource<TcpSocket>) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Resource<TcpSocket>, count: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_backlog(count)?)
    }

    fn keep_alive_enabled(&mut self, socket: Resource<TcpSocket>) -> SocketResult<bool> {
        Ok(self.table.get(&socket)?.keep_alive()?)
    }

    fn set_keep_alive_enabled(&mut self, socket: Resource<TcpSocket>, value: bool) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_keep_alive(value)?)
    }

    fn keep_alive_idle_time(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.keep_alive_idle()?)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_keep_alive_idle(value)?)
    }

    fn keep_alive_interval(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.keep_alive_interval()?)
    }

    fn set_keep_alive_interval(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_keep_alive_interval(value)?)
    }

    fn keep_alive_count(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u32> {
        Ok(self.table.get(&socket)?.keep_alive_count()?)
    }

    fn set_keep_alive_count(&mut self, socket: Resource<TcpSocket>, value: u32) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_keep_alive_count(value)?)
    }

    fn hop_limit(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u8> {
        Ok(self.table.get(&socket)?.hop_limit()?)
    }

    fn set_hop_limit(&mut self, socket: Resource<TcpSocket>, value: u8) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_hop_limit(value)?)
    }

    fn receive_buffer_size(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.buffer(Buffer::Receive)?)
    }

    fn set_receive_buffer_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_buffer(Buffer::Receive, value)?)
    }

    fn send_buffer_size(&mut self, socket: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&socket)?.buffer(Buffer::Send)?)
    }

    fn set_send_buffer_size(&mut self, socket: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&socket)?.set_buffer(Buffer::Send, value)?)
    }

    fn subscribe(&mut self, socket: Resource<TcpSocket>) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, socket)?)
    }

    fn shutdown(&mut self, socket: Resource<TcpSocket>, how: ShutdownType) -> SocketResult<()> {
        let how = match how {
            ShutdownType::Receive => Shutdown::Read,
            ShutdownType::Send => Shutdown::Write,
            ShutdownType::Both => Shutdown::Both,
        };
        Ok(self.table.get_mut(&socket)?.shutdown(how)?)
    }

    fn drop(&mut self, socket: Resource<TcpSocket>) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
