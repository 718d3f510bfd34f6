//! The standard streams of the host's own process, without the standard library's buffers.

use super::Handle;
use crate::streams::{InputStream, OutputStream};
use std::io::{self, IoSlice, IoSliceMut, IsTerminal};
use std::sync::Arc;

struct Inherited(Handle<'static>);

pub(crate) fn inherited_stdin() -> Arc<dyn InputStream> {
    Arc::new(Inherited(rustix::stdio::stdin()))
}

pub(crate) fn inherited_stdout() -> Arc<dyn OutputStream> {
    Arc::new(Inherited(rustix::stdio::stdout()))
}

pub(crate) fn inherited_stderr() -> Arc<dyn OutputStream> {
    Arc::new(Inherited(rustix::stdio::stderr()))
}

impl InputStream for Inherited {
    fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(rustix::io::readv(self.0, buffers)?)
    }

    fn handle(&self) -> Option<Handle<'_>> {
        Some(self.0)
    }

    fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}

impl OutputStream for Inherited {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::writev(self.0, buffers)?)
    }

    fn handle(&self) -> Option<Handle<'_>> {
        Some(self.0)
    }

    fn is_terminal(&self) -> bool {
        self.0.is_terminal()
    }
}
