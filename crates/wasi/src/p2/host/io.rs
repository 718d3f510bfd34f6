//! `wasi:io`: errors, pollables, streams.

use crate::WasiCtxView;
use crate::p2::bindings::wasi::io::{error, poll, streams};
use crate::p2::{
    DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult, executor, poll as pollables,
    subscribe,
};
use bytes::Bytes;
use cellwall::Result;
use cellwall::component::Resource;

/// What the calls that write, wait and flush in one take (`wasi:io/streams`).
const BLOCKING_WRITE_BYTES_MAX: usize = 4096;

type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;

impl error::Host for WasiCtxView<'_> {}

impl error::HostError for WasiCtxView<'_> {
    fn to_debug_string(&mut self, error: Resource<cellwall::Error>) -> Result<String> {
        // Not what led to it, nor where in the host: that is not for the guest.
        Ok(self.table.get(&error)?.to_string())
    }

    fn drop(&mut self, error: Resource<cellwall::Error>) -> Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl poll::Host for WasiCtxView<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        pollables::poll(self, &pollables).await
    }
}

impl poll::HostPollable for WasiCtxView<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        pollables::is_ready(self, &pollable)
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        pollables::block(self, &pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        pollables::delete(self.table, pollable)
    }
}

impl streams::Host for WasiCtxView<'_> {
    fn convert_stream_error(&mut self, error: StreamError) -> Result<streams::StreamError> {
        match error {
            StreamError::Closed => Ok(streams::StreamError::Closed),
            StreamError::LastOperationFailed(error) => {
                let error = self.table.push(error)?;
                Ok(streams::StreamError::LastOperationFailed(error))
            }
            StreamError::Trap(error) => Err(error),
        }
    }
}

impl streams::HostInputStream for WasiCtxView<'_> {
    fn read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        let bytes = self.table.get_mut(&stream)?.read(size(len))?;
        Ok(bytes.into())
    }

    async fn blocking_read(&mut self, stream: Input, len: u64) -> StreamResult<Vec<u8>> {
        let stream = self.table.get_mut(&stream)?;
        let bytes = stream.read(size(len))?;
        if !bytes.is_empty() || len == 0 {
            return Ok(bytes.into());
        }
        let read = executor::wait(&self.ctx.waiting, stream.blocking_read(size(len)));
        Ok(read.await.map_err(StreamError::Trap)??.into())
    }

    fn skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        Ok(self.table.get_mut(&stream)?.skip(size(len))? as u64)
    }

    async fn blocking_skip(&mut self, stream: Input, len: u64) -> StreamResult<u64> {
        let stream = self.table.get_mut(&stream)?;
        let skip = executor::wait(&self.ctx.waiting, stream.blocking_skip(size(len)));
        Ok(skip.await.map_err(StreamError::Trap)?? as u64)
    }

    fn subscribe(&mut self, stream: Input) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, stream)?)
    }

    fn drop(&mut self, stream: Input) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl streams::HostOutputStream for WasiCtxView<'_> {
    fn check_write(&mut self, stream: Output) -> StreamResult<u64> {
        Ok(self.table.get_mut(&stream)?.check_write()? as u64)
    }

    fn write(&mut self, stream: Output, contents: Vec<u8>) -> StreamResult<()> {
        self.table.get_mut(&stream)?.write(contents.into())
    }

    async fn blocking_write_and_flush(&mut self, stream: Output, contents: Vec<u8>) -> StreamResult<()> {
        require_small(contents.len() as u64)?;
        let stream = self.table.get_mut(&stream)?;
        let mut rest = Bytes::from(contents);
        // Most need no waiting, and so no future.
        if !rest.is_empty() && stream.check_write()? >= rest.len() {
            stream.write(std::mem::take(&mut rest))?;
        }
        if rest.is_empty() && stream.flush_now()? {
            return Ok(());
        }
        let write = stream.blocking_write_and_flush(rest);
        executor::wait(&self.ctx.waiting, write)
            .await
            .map_err(StreamError::Trap)?
    }

    fn flush(&mut self, stream: Output) -> StreamResult<()> {
        self.table.get_mut(&stream)?.flush()
    }

    async fn blocking_flush(&mut self, stream: Output) -> StreamResult<()> {
        let stream = self.table.get_mut(&stream)?;
        if stream.flush_now()? {
            return Ok(());
        }
        executor::wait(&self.ctx.waiting, stream.blocking_flush())
            .await
            .map_err(StreamError::Trap)?
    }

    fn subscribe(&mut self, stream: Output) -> Result<Resource<DynPollable>> {
        Ok(subscribe(self.table, stream)?)
    }

    fn write_zeroes(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        let stream = self.table.get_mut(&stream)?;
        // Or a number alone would keep the host writing.
        if len > stream.check_write()? as u64 {
            return Err(StreamError::trap("write exceeded budget"));
        }
        stream.write_zeroes(size(len))
    }

    async fn blocking_write_zeroes_and_flush(&mut self, stream: Output, len: u64) -> StreamResult<()> {
        require_small(len)?;
        let stream = self.table.get_mut(&stream)?;
        let write = stream.blocking_write_zeroes_and_flush(size(len));
        executor::wait(&self.ctx.waiting, write)
            .await
            .map_err(StreamError::Trap)?
    }

    fn splice(&mut self, stream: Output, source: Input, len: u64) -> StreamResult<u64> {
        let permitted = self.table.get_mut(&stream)?.check_write()?;
        let count = permitted.min(size(len));
        if count == 0 {
            return Ok(0);
        }
        let bytes = self.table.get_mut(&source)?.read(count)?;
        let moved = bytes.len();
        if moved > 0 {
            self.table.get_mut(&stream)?.write(bytes)?;
        }
        Ok(moved as u64)
    }

    async fn blocking_splice(&mut self, stream: Output, source: Input, len: u64) -> StreamResult<u64> {
        if len == 0 {
            return Ok(0);
        }
        let to = self.table.get_mut(&stream)?;
        let ready = executor::wait(&self.ctx.waiting, to.write_ready());
        let permitted = ready.await.map_err(StreamError::Trap)??;
        let from = self.table.get_mut(&source)?;
        let read = executor::wait(&self.ctx.waiting, from.blocking_read(permitted.min(size(len))));
        let bytes = read.await.map_err(StreamError::Trap)??;
        let moved = bytes.len();
        // What was permitted is still: only this guest writes.
        self.table.get_mut(&stream)?.write(bytes)?;
        Ok(moved as u64)
    }

    fn drop(&mut self, stream: Output) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

/// A count of the guest as one of the host; streams compare it with limits of their own.
fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

fn require_small(len: u64) -> StreamResult<()> {
    match len <= BLOCKING_WRITE_BYTES_MAX as u64 {
        true => Ok(()),
        false => Err(StreamError::trap(
            "a write that waits and flushes takes 4096 bytes at most",
        )),
    }
}
