//! WASI 0.2, called as a guest calls it: through the traits that the bindings are made on.

mod files;
mod random_calls;
mod streams;

use cellwall::component::{Resource, ResourceTable};
use cellwall_wasi::p2::bindings::wasi::filesystem::preopens::Host as _;
use cellwall_wasi::p2::{Descriptor, StreamError};
use cellwall_wasi::{DirPerms, FilePerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The data of a store.
pub(crate) struct State {
    ctx: WasiCtx,
    pub(crate) table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

impl State {
    pub(crate) fn new(build: impl FnOnce(&mut WasiCtxBuilder)) -> State {
        let mut builder = WasiCtxBuilder::new();
        build(&mut builder);
        State {
            ctx: builder.build(),
            table: ResourceTable::new(),
        }
    }

    /// With one directory, and a descriptor of it.
    pub(crate) fn with_dir(
        dir: &Path,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> (State, Resource<Descriptor>) {
        let mut state = State::new(|builder| {
            builder
                .preopened_dir(dir, "/d", dir_perms, file_perms)
                .expect("the folder is there");
        });
        let mut found = state.ctx().get_directories().expect("there is room");
        assert_eq!(found.len(), 1);
        let (descriptor, name) = found.remove(0);
        assert_eq!(name, "/d");
        (state, descriptor)
    }
}

/// What a guest passes for something that it keeps.
pub(crate) fn lend<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// Runs a call that may wait, as an embedder with a runtime does.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

pub(crate) fn is_closed<T: std::fmt::Debug>(result: &Result<T, StreamError>) -> bool {
    matches!(result, Err(StreamError::Closed))
}

pub(crate) fn trap<T: std::fmt::Debug>(result: Result<T, StreamError>) -> String {
    match result {
        Err(StreamError::Trap(error)) => error.to_string(),
        other => panic!("expected a trap: {other:?}"),
    }
}

/// An empty folder of one test's own, gone with it.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("p2-{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("the target folder can be written");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
