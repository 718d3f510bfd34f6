//! The context of a guest: everything that it was granted, and the builder that grants.
//!
//! Guarantees: what the builder was not told, the guest does not have: no arguments, no
//! environment, no directories, an input that is at its end and outputs that keep nothing.
//! Clocks and randomness are always there; the monotonic clock starts at 0 with the context.

use crate::files::OpenDir;
use crate::net::Policy;
use crate::p2::Slots;
use crate::perms::{DirPerms, FilePerms, Grant};
use crate::streams::{InputStream, NullInput, NullOutput, OutputStream};
use crate::sys;
use crate::table::{Entry, Table};
use crate::waiting::{Canceller, Waiting};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// How many descriptors a guest may have open unless the host says otherwise.
const DESCRIPTORS_MAX: usize = 1024;

/// How many sockets a guest may have at once unless the host says otherwise.
const SOCKETS_MAX: usize = 4096;

/// What one guest holds: its arguments, environment, descriptors and clock.
///
/// It is `Send`; put it into the data of a `Store`.
pub struct WasiCtx {
    pub(crate) args: Vec<Vec<u8>>,
    /// `NAME=VALUE`.
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) table: Table,
    pub(crate) stdin: Arc<dyn InputStream>,
    pub(crate) stdout: Arc<dyn OutputStream>,
    pub(crate) stderr: Arc<dyn OutputStream>,
    pub(crate) preopens: Vec<Preopen>,
    pub(crate) waiting: Waiting,
    /// Of what WASI 0.2 opens; `table` has its own limit.
    pub(crate) slots: Slots,
    pub(crate) sockets: Slots,
    /// What it may make the host keep for HTTP.
    #[cfg(feature = "http")]
    pub(crate) http: crate::http::Budget,
    /// What `insecure-seed` has answered.
    pub(crate) seed: Option<(u64, u64)>,
    pub(crate) started: Instant,
    /// What it may do in the network.
    pub(crate) net: Arc<Policy>,
}

/// A directory that the host granted, and what the guest calls it.
#[derive(Clone)]
pub(crate) struct Preopen {
    dir: Arc<cap_std::fs::Dir>,
    grant: Grant,
    pub(crate) name: Arc<str>,
}

impl Preopen {
    /// A new descriptor of it.
    pub(crate) fn open(&self) -> Entry {
        let Preopen { dir, grant, name } = self.clone();
        Entry::preopen(OpenDir::new(dir, grant, name, true))
    }
}

impl WasiCtx {
    /// A handle that ends the waits of this context (reads of a terminal or a pipe, sleeps)
    /// from another thread.
    ///
    /// Ask for it before the guest runs. From then on a transfer to or from a standard stream
    /// costs one system call more.
    ///
    /// # Errors
    /// The host is out of descriptors.
    pub fn canceller(&mut self) -> std::io::Result<Canceller> {
        match &self.waiting.canceller {
            Some(canceller) => Ok(canceller.clone()),
            None => self.new_canceller(),
        }
    }

    /// A handle likewise, in place of those that were handed out before: what was cancelled can wait again.
    ///
    /// # Errors
    /// The host is out of descriptors; then there is none.
    pub fn new_canceller(&mut self) -> std::io::Result<Canceller> {
        self.waiting.canceller = None;
        Ok(self.waiting.canceller.insert(Canceller::new()?).clone())
    }
}

impl std::fmt::Debug for WasiCtx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtx")
            .field("args", &self.args.len())
            .finish_non_exhaustive()
    }
}

/// Builds a [`WasiCtx`] grant by grant.
///
/// ```
/// use cellwall_wasi::{DirPerms, FilePerms, WasiCtxBuilder};
///
/// # fn main() -> cellwall::Result<()> {
/// let ctx = WasiCtxBuilder::new()
///     .args(&["wc", "-l"])
///     .env("LANG", "C")
///     .inherit_stdio()
///     .preopened_dir(".", "/", DirPerms::READ, FilePerms::READ)?
///     .build();
/// # drop(ctx);
/// # Ok(())
/// # }
/// ```
///
/// A clone grants the same: contexts made of clones share the directories, which were opened when they were granted,
/// and what is known of the addresses of granted names.
#[derive(Clone)]
pub struct WasiCtxBuilder {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdin: Arc<dyn InputStream>,
    stdout: Arc<dyn OutputStream>,
    stderr: Arc<dyn OutputStream>,
    preopens: Vec<Preopen>,
    blocking: bool,
    descriptors_max: usize,
    pub(crate) sockets_max: usize,
    #[cfg(feature = "http")]
    http_bytes_max: usize,
    pub(crate) net: Arc<Policy>,
}

impl Default for WasiCtxBuilder {
    fn default() -> WasiCtxBuilder {
        WasiCtxBuilder::new()
    }
}

impl std::fmt::Debug for WasiCtxBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasiCtxBuilder").finish_non_exhaustive()
    }
}

impl WasiCtxBuilder {
    /// A builder that grants nothing yet.
    pub fn new() -> WasiCtxBuilder {
        WasiCtxBuilder {
            args: Vec::new(),
            env: Vec::new(),
            stdin: Arc::new(NullInput),
            stdout: Arc::new(NullOutput),
            stderr: Arc::new(NullOutput),
            preopens: Vec::new(),
            blocking: true,
            descriptors_max: DESCRIPTORS_MAX,
            sockets_max: SOCKETS_MAX,
            #[cfg(feature = "http")]
            http_bytes_max: crate::http::HTTP_BYTES_MAX,
            net: Arc::default(),
        }
    }

    /// Adds one argument. By custom the first is the program's name.
    ///
    /// WASI ends every argument with a NUL; what follows a NUL in `arg` is not seen by the guest.
    pub fn arg(&mut self, arg: impl AsRef<str>) -> &mut Self {
        self.args.push(until_nul(arg.as_ref().as_bytes()));
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: &[impl AsRef<str>]) -> &mut Self {
        for arg in args {
            self.arg(arg);
        }
        self
    }

    /// Adds the arguments of this process, its name first.
    pub fn inherit_args(&mut self) -> &mut Self {
        self.args.extend(std::env::args_os().map(sys::bytes_of_os_string));
        self
    }

    /// Sets a variable of the environment; a later value of the same name takes its place.
    ///
    /// What follows a NUL is not seen by the guest.
    pub fn env(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> &mut Self {
        self.set_env(name.as_ref().as_bytes(), value.as_ref().as_bytes());
        self
    }

    /// Sets variables of the environment.
    pub fn envs(&mut self, variables: &[(impl AsRef<str>, impl AsRef<str>)]) -> &mut Self {
        for (name, value) in variables {
            self.env(name, value);
        }
        self
    }

    /// Sets all variables of this process's environment.
    pub fn inherit_env(&mut self) -> &mut Self {
        for (name, value) in std::env::vars_os() {
            self.set_env(&sys::bytes_of_os_string(name), &sys::bytes_of_os_string(value));
        }
        self
    }

    fn set_env(&mut self, name: &[u8], value: &[u8]) {
        let name = [&until_nul(name), b"=".as_slice()].concat();
        self.env.retain(|variable| !variable.starts_with(&name));
        self.env.push([name, until_nul(value)].concat());
    }

    /// Connects descriptor 0.
    pub fn stdin(&mut self, stream: impl InputStream + 'static) -> &mut Self {
        self.stdin = Arc::new(stream);
        self
    }

    /// Connects descriptor 1.
    pub fn stdout(&mut self, stream: impl OutputStream + 'static) -> &mut Self {
        self.stdout = Arc::new(stream);
        self
    }

    /// Connects descriptor 2.
    pub fn stderr(&mut self, stream: impl OutputStream + 'static) -> &mut Self {
        self.stderr = Arc::new(stream);
        self
    }

    /// Connects descriptor 0 to the standard input of this process, past the buffer of
    /// [`std::io::stdin`].
    pub fn inherit_stdin(&mut self) -> &mut Self {
        self.stdin = sys::inherited_stdin();
        self
    }

    /// Connects descriptor 1 to the standard output of this process, past the buffer of
    /// [`std::io::stdout`]: flush that first if you wrote to it.
    pub fn inherit_stdout(&mut self) -> &mut Self {
        self.stdout = sys::inherited_stdout();
        self
    }

    /// Connects descriptor 2 to the standard error of this process.
    pub fn inherit_stderr(&mut self) -> &mut Self {
        self.stderr = sys::inherited_stderr();
        self
    }

    /// Connects descriptors 0, 1 and 2 to those of this process.
    pub fn inherit_stdio(&mut self) -> &mut Self {
        self.inherit_stdin().inherit_stdout().inherit_stderr()
    }

    /// Grants the directory `host_path` under the name `guest_path`, with all below it.
    ///
    /// The directory is opened now; renaming it later does not change what the guest holds.
    /// Read-only is [`DirPerms::READ`] with [`FilePerms::READ`].
    ///
    /// # Errors
    /// `host_path` is not a directory, or may not be opened by this process.
    pub fn preopened_dir(
        &mut self,
        host_path: impl AsRef<Path>,
        guest_path: impl AsRef<str>,
        dir_perms: DirPerms,
        file_perms: FilePerms,
    ) -> cellwall::Result<&mut Self> {
        let host_path = host_path.as_ref();
        let open = || {
            let file = std::fs::File::open(host_path)?;
            match file.metadata()?.is_dir() {
                true => Ok(cap_std::fs::Dir::from_std_file(file)),
                false => Err(std::io::Error::from(std::io::ErrorKind::NotADirectory)),
            }
        };
        let dir = open().map_err(|error: std::io::Error| {
            let what = format!("cannot open the directory `{}`", host_path.display());
            cellwall::Error::from(error).context(what)
        })?;
        let name = guest_path.as_ref().into();
        self.preopens.push(Preopen {
            dir: Arc::new(dir),
            grant: Grant::new(dir_perms, file_perms),
            name,
        });
        Ok(self)
    }

    /// Whether a call of the guest may keep its thread: a read of a pipe or terminal that has
    /// nothing, a sleep. The default is yes; without, such calls answer `again`.
    pub fn allow_blocking(&mut self, allow: bool) -> &mut Self {
        self.blocking = allow;
        self
    }

    /// How many descriptors the guest may have open at once, the standard streams and the
    /// granted directories included, which are always there. The default is 1024.
    pub fn max_descriptors(&mut self, count: usize) -> &mut Self {
        self.descriptors_max = count;
        self
    }

    /// How many bytes the guest may make the host keep for `wasi:http` at once: fields, request lines, and
    /// bodies that it has written and nobody has read. The default is 64 MiB. Beyond it, fields trap, and a
    /// body takes less at a time.
    #[cfg(feature = "http")]
    pub fn max_http_bytes(&mut self, bytes: usize) -> &mut Self {
        self.http_bytes_max = bytes;
        self
    }

    /// The context with all that was granted. The builder is empty again afterwards.
    pub fn build(&mut self) -> WasiCtx {
        let granted = std::mem::take(self);
        let streams = [
            Entry::input(granted.stdin.clone()),
            Entry::output(granted.stdout.clone()),
            Entry::output(granted.stderr.clone()),
        ];
        let preopens = granted.preopens.iter().map(Preopen::open);
        let entries = streams.into_iter().chain(preopens);
        WasiCtx {
            args: granted.args,
            env: granted.env,
            table: Table::new(entries.collect(), granted.descriptors_max),
            stdin: granted.stdin,
            stdout: granted.stdout,
            stderr: granted.stderr,
            preopens: granted.preopens,
            slots: Slots::new(granted.descriptors_max),
            sockets: Slots::new(granted.sockets_max),
            #[cfg(feature = "http")]
            http: crate::http::Budget::new(granted.http_bytes_max),
            seed: None,
            waiting: Waiting {
                in_place: false,
                forbidden: !granted.blocking,
                canceller: None,
            },
            started: Instant::now(),
            net: granted.net,
        }
    }
}

fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}
