//! What a program of WASI is granted.

use crate::env::Env;
use crate::extra::{answer, attempt, cellwall_error_t, null, text};
use crate::guest::Guest;
use crate::store::wasm_store_t;
use crate::vec::{Vector, put, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::Error;
use cellwall_wasi::{
    BadGrant, DirPerms, FilePerms, MemoryInputPipe, MemoryOutputPipe, OutputStream, WasiCtxBuilder,
};
use std::ffi::{c_char, c_void};
use std::fs::File;
use std::io::{self, IoSlice};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

/// Grants.
pub struct cellwall_wasi_config_t {
    builder: WasiCtxBuilder,
    /// Where those that take what the guest writes learn whose it is.
    owners: Vec<Arc<OnceLock<Arc<Guest>>>>,
}

/// What a program has written to memory.
pub struct cellwall_wasi_output_t {
    pipe: MemoryOutputPipe,
}

/// `cellwall_wasi_write_t`.
pub type cellwall_wasi_write_t = Option<unsafe extern "C" fn(*mut c_void, *const u8, usize) -> bool>;

/// A function of C that takes what a guest writes. In the middle of that the store is nobody's to use.
struct Sink {
    write: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> bool,
    env: Env,
    owner: Arc<OnceLock<Arc<Guest>>>,
}

impl Sink {
    /// One for a configuration; none without a function.
    fn new(config: &mut cellwall_wasi_config_t, write: cellwall_wasi_write_t, env: Env) -> Option<Self> {
        let owner = Arc::<OnceLock<_>>::default();
        config.owners.push(owner.clone());
        Some(Self {
            write: write?,
            env,
            owner,
        })
    }

    fn take(&self, bytes: &[u8]) -> bool {
        // SAFETY: C gave the function with its data; the bytes are there for the call.
        unsafe { (self.write)(self.env.data, bytes.as_ptr(), bytes.len()) }
    }
}

impl OutputStream for Sink {
    fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut written = 0;
        for buffer in buffers.iter().filter(|buffer| !buffer.is_empty()) {
            let taken = match self.owner.get() {
                Some(guest) => guest.writing(|| self.take(buffer)),
                None => self.take(buffer),
            };
            if !taken {
                break;
            }
            written += buffer.len();
        }
        match written {
            0 => Err(io::ErrorKind::BrokenPipe.into()),
            _ => Ok(written),
        }
    }
}

/// Opens a file and connects it.
///
/// # Safety
/// Pointers are null or valid.
unsafe fn with_file(
    config: *mut cellwall_wasi_config_t,
    path: *const c_char,
    open: impl FnOnce(&str) -> io::Result<File>,
    connect: impl FnOnce(&mut WasiCtxBuilder, File),
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let Some(config) = (unsafe { config.as_mut() }) else {
        return null();
    };
    // SAFETY: likewise.
    let path = unsafe { text(path) };
    let file = path.and_then(|path| open(path).map_err(|error| Error::msg(format!("{path}: {error}"))));
    answer(file.map(|file| connect(&mut config.builder, file)))
}

/// Grants something in the network.
///
/// # Safety
/// Pointers are null or valid.
unsafe fn with_grant<G: FromStr<Err = BadGrant>>(
    config: *mut cellwall_wasi_config_t,
    grant: *const c_char,
    allow: impl FnOnce(&mut WasiCtxBuilder, G),
) -> *mut cellwall_error_t {
    // SAFETY: the caller's promise.
    let Some(config) = (unsafe { config.as_mut() }) else {
        return null();
    };
    attempt(|| {
        // SAFETY: likewise.
        let text = unsafe { text(grant) }?;
        let grant = text.parse::<G>();
        let grant = grant.map_err(|error| Error::new(error).context(format!("`{text}` is no grant")))?;
        allow(&mut config.builder, grant);
        Ok(())
    })
}

c_api! {
    /// See `engine.api`.
    fn cellwall_store_wasi_set(store: *mut wasm_store_t, wasi: *mut cellwall_wasi_config_t) -> *mut cellwall_error_t {
        let wasi = unsafe { take(wasi) };
        let (Some(store), Some(mut wasi)) = (unsafe { get(store) }, wasi) else {
            return Some(null());
        };
        let context = wasi.builder.build();
        for owner in wasi.owners {
            // A configuration is taken once, so that it has no owner yet.
            let _ = owner.set(store.cell.guest().clone());
        }
        attempt(|| {
            store.cell.set_wasi(context);
            Ok(())
        })
    }

    /// See `wasi.api`.
    fn cellwall_wasi_config_new() -> *mut cellwall_wasi_config_t {
        give(cellwall_wasi_config_t { builder: WasiCtxBuilder::new(), owners: Vec::new() })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_delete(config: *mut cellwall_wasi_config_t) {
        drop(unsafe { take(config) });
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_arg(config: *mut cellwall_wasi_config_t, arg: *const c_char) {
        let arg = crate::error::ok(unsafe { text(arg) })?;
        unsafe { config.as_mut() }?.builder.arg(arg);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_env(config: *mut cellwall_wasi_config_t, name: *const c_char, value: *const c_char) {
        let (name, value) = crate::error::ok(unsafe { text(name) }).zip(crate::error::ok(unsafe { text(value) }))?;
        unsafe { config.as_mut() }?.builder.env(name, value);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_args(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_args();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_env(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_env();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stdin(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stdin();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stdout(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stdout();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_stderr(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_stderr();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdin_bytes(config: *mut cellwall_wasi_config_t, bytes: *const wasm_byte_vec_t) {
        let bytes = unsafe { get(bytes)?.as_slice() };
        unsafe { config.as_mut() }?.builder.stdin(MemoryInputPipe::new(bytes));
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_bytes(
        config: *mut cellwall_wasi_config_t,
        capacity: usize,
    ) -> *mut cellwall_wasi_output_t {
        let pipe = MemoryOutputPipe::new(capacity);
        unsafe { config.as_mut() }?.builder.stdout(pipe.clone());
        give(cellwall_wasi_output_t { pipe })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_bytes(
        config: *mut cellwall_wasi_config_t,
        capacity: usize,
    ) -> *mut cellwall_wasi_output_t {
        let pipe = MemoryOutputPipe::new(capacity);
        unsafe { config.as_mut() }?.builder.stderr(pipe.clone());
        give(cellwall_wasi_output_t { pipe })
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdin_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::open(path), |builder, file| { builder.stdin(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::create(path), |builder, file| { builder.stdout(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_file(config: *mut cellwall_wasi_config_t, path: *const c_char) -> *mut cellwall_error_t {
        unsafe { with_file(config, path, |path| File::create(path), |builder, file| { builder.stderr(file); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stdout_callback(
        config: *mut cellwall_wasi_config_t,
        callback: cellwall_wasi_write_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) {
        // First, so that the finalizer is called whatever happens.
        let env = Env::new(env, finalizer);
        let config = unsafe { config.as_mut() }?;
        let sink = Sink::new(config, callback, env)?;
        config.builder.stdout(sink);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_stderr_callback(
        config: *mut cellwall_wasi_config_t,
        callback: cellwall_wasi_write_t,
        env: *mut c_void,
        finalizer: Option<unsafe extern "C" fn(*mut c_void)>,
    ) {
        let env = Env::new(env, finalizer);
        let config = unsafe { config.as_mut() }?;
        let sink = Sink::new(config, callback, env)?;
        config.builder.stderr(sink);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_output_contents(output: *const cellwall_wasi_output_t, out: *mut wasm_byte_vec_t) {
        let contents = unsafe { get(output) }?.pipe.contents();
        unsafe { put(out, Vector::from_vec(contents)) }?;
    }
    /// See `wasi.api`.
    fn cellwall_wasi_output_delete(output: *mut cellwall_wasi_output_t) {
        drop(unsafe { take(output) });
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_preopen_dir(
        config: *mut cellwall_wasi_config_t,
        host: *const c_char,
        guest: *const c_char,
        perms: u8,
    ) -> *mut cellwall_error_t {
        let Some(config) = (unsafe { config.as_mut() }) else {
            return Some(null());
        };
        let (dir, file) = match perms {
            1 => (DirPerms::READ, FilePerms::READ),
            3 => (DirPerms::all(), FilePerms::all()),
            _ => {
                let message = "a folder can be granted to read (1) or to read and write (3)";
                return Some(answer(Err(Error::msg(message))));
            }
        };
        let preopen = || {
            let (host, guest) = unsafe { (text(host)?, text(guest)?) };
            config.builder.preopened_dir(host, guest, dir, file).map(|_| ())
        };
        attempt(preopen)
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_listen(
        config: *mut cellwall_wasi_config_t,
        address: *const c_char,
    ) -> *mut cellwall_error_t {
        unsafe { with_grant(config, address, |builder, grant| { builder.allow_listen(grant); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_connect(
        config: *mut cellwall_wasi_config_t,
        host: *const c_char,
    ) -> *mut cellwall_error_t {
        unsafe { with_grant(config, host, |builder, grant| { builder.allow_connect(grant); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_http(
        config: *mut cellwall_wasi_config_t,
        host: *const c_char,
    ) -> *mut cellwall_error_t {
        unsafe { with_grant(config, host, |builder, grant| { builder.allow_http(grant); }) }
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_ip_name_lookup(config: *mut cellwall_wasi_config_t, allow: bool) {
        unsafe { config.as_mut() }?.builder.allow_ip_name_lookup(allow);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_tcp(config: *mut cellwall_wasi_config_t, allow: bool) {
        unsafe { config.as_mut() }?.builder.allow_tcp(allow);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_udp(config: *mut cellwall_wasi_config_t, allow: bool) {
        unsafe { config.as_mut() }?.builder.allow_udp(allow);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_inherit_network(config: *mut cellwall_wasi_config_t) {
        unsafe { config.as_mut() }?.builder.inherit_network();
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_allow_blocking(config: *mut cellwall_wasi_config_t, allow: bool) {
        unsafe { config.as_mut() }?.builder.allow_blocking(allow);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_max_descriptors(config: *mut cellwall_wasi_config_t, count: usize) {
        unsafe { config.as_mut() }?.builder.max_descriptors(count);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_max_sockets(config: *mut cellwall_wasi_config_t, count: usize) {
        unsafe { config.as_mut() }?.builder.max_sockets(count);
    }
    /// See `wasi.api`.
    fn cellwall_wasi_config_max_http_bytes(config: *mut cellwall_wasi_config_t, bytes: usize) {
        unsafe { config.as_mut() }?.builder.max_http_bytes(bytes);
    }
}
