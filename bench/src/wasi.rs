//! The world that a benchmark program sees: the few functions of WASI 0.1 that
//! the programs of the set call, and the two of `bench`.
//!
//! Requires: the guest's memory as bytes. Guarantees: the same world for every
//! engine, so that only the engine differs between two runs. Files are read
//! from memory, the output is kept, random numbers come from a fixed seed, the
//! wall clock stands still, and the monotonic clock is the thread's CPU clock
//! (so a program that measures itself measures CPU time).
//!
//! Does not do: writing files, directories, sockets, polling. A program that
//! needs them gets an error number and prints something else than expected,
//! which fails the run. This is not Cellwall's WASI.

use crate::clock::thread_cpu_ns;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The files in the one directory that is open to the guest, by name.
pub type Files = Arc<BTreeMap<String, Vec<u8>>>;

/// An error number of WASI 0.1 (`wasi_snapshot_preview1`, type `errno`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(i32);

const BADF: Errno = Errno(8);
const FAULT: Errno = Errno(21);
const INVAL: Errno = Errno(28);
const NOENT: Errno = Errno(44);
const NOTSUP: Errno = Errno(58);
const ROFS: Errno = Errno(69);
const SPIPE: Errno = Errno(70);

/// What a WASI function gives back.
pub type Answer = Result<(), Errno>;

/// The number that the guest receives: 0, or the error.
pub fn code(answer: Answer) -> i32 {
    match answer {
        Ok(()) => 0,
        Err(Errno(number)) => number,
    }
}

const FILETYPE_CHARACTER_DEVICE: u8 = 2;
const FILETYPE_DIRECTORY: u8 = 3;
const FILETYPE_REGULAR_FILE: u8 = 4;
/// The wall clock stands at 2024-01-01 00:00:00 UTC.
const WALL_CLOCK_NS: u64 = 1_704_067_200_000_000_000;
const OFLAGS_CREAT: i32 = 1;
const OFLAGS_DIRECTORY: i32 = 2;

#[derive(Clone, Debug)]
enum Fd {
    Stdin,
    Stdout,
    Stderr,
    Root,
    File { name: String, offset: u64 },
}

/// One guest's world. Made anew for every run.
pub struct World {
    args: Vec<String>,
    files: Files,
    fds: Vec<Option<Fd>>,
    random: u64,
    /// What the guest wrote to descriptor 1.
    pub stdout: Vec<u8>,
    /// What the guest wrote to descriptor 2.
    pub stderr: Vec<u8>,
    /// The argument of `proc_exit`, once called.
    pub exit: Option<i32>,
    started_at: Option<u64>,
    /// CPU time between the calls of `bench.start` and `bench.end`.
    pub measured_ns: Option<u64>,
}

impl World {
    /// A world with these arguments (the first is the program's name) and files.
    pub fn new(args: &[&str], files: &Files) -> World {
        World {
            args: args.iter().map(|arg| (*arg).to_string()).collect(),
            files: Arc::clone(files),
            fds: vec![
                Some(Fd::Stdin),
                Some(Fd::Stdout),
                Some(Fd::Stderr),
                Some(Fd::Root),
            ],
            random: 0x9e37_79b9_7f4a_7c15,
            stdout: Vec::new(),
            stderr: Vec::new(),
            exit: None,
            started_at: None,
            measured_ns: None,
        }
    }

    /// A world for a guest that asks for nothing.
    pub fn empty() -> World {
        World::new(&[], &Files::default())
    }

    /// `bench.start`: the measured work begins.
    pub fn bench_start(&mut self) {
        self.started_at = Some(thread_cpu_ns());
    }

    /// `bench.end`: the measured work is over.
    pub fn bench_end(&mut self) {
        let now = thread_cpu_ns();
        if let Some(start) = self.started_at.take() {
            *self.measured_ns.get_or_insert(0) += now - start;
        }
    }

    /// `args_sizes_get`
    pub fn args_sizes_get(&mut self, memory: &mut [u8], count: i32, bytes: i32) -> Answer {
        let total: usize = self.args.iter().map(|arg| arg.len() + 1).sum();
        put_u32(memory, count, self.args.len())?;
        put_u32(memory, bytes, total)
    }

    /// `args_get`
    pub fn args_get(&mut self, memory: &mut [u8], pointers: i32, buffer: i32) -> Answer {
        let mut at = buffer;
        for (index, arg) in (0i32..).zip(&self.args) {
            put_u32(memory, pointers + 4 * index, at as u32 as usize)?;
            put(memory, at, arg.as_bytes())?;
            at += i32::try_from(arg.len()).expect("arguments are short");
            put(memory, at, &[0])?;
            at += 1;
        }
        Ok(())
    }

    /// `environ_sizes_get`: there are no variables.
    pub fn environ_sizes_get(&mut self, memory: &mut [u8], count: i32, bytes: i32) -> Answer {
        put_u32(memory, count, 0)?;
        put_u32(memory, bytes, 0)
    }

    /// `environ_get`
    pub fn environ_get(&mut self, _: &mut [u8], _: i32, _: i32) -> Answer {
        Ok(())
    }

    /// `clock_res_get`
    pub fn clock_res_get(&mut self, memory: &mut [u8], _: i32, out: i32) -> Answer {
        put(memory, out, &1u64.to_le_bytes())
    }

    /// `clock_time_get`: clock 0 (wall) stands still, every other is CPU time.
    pub fn clock_time_get(&mut self, memory: &mut [u8], id: i32, _: i64, out: i32) -> Answer {
        let now = if id == 0 { WALL_CLOCK_NS } else { thread_cpu_ns() };
        put(memory, out, &now.to_le_bytes())
    }

    /// `random_get`: xorshift64 from a fixed seed.
    pub fn random_get(&mut self, memory: &mut [u8], out: i32, len: i32) -> Answer {
        for byte in slice(memory, out, len)? {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            *byte = self.random as u8;
        }
        Ok(())
    }

    /// `sched_yield`
    pub fn sched_yield(&mut self, _: &mut [u8]) -> Answer {
        Ok(())
    }

    /// `poll_oneoff`: nothing can be waited for.
    pub fn poll_oneoff(&mut self, _: &mut [u8], _: i32, _: i32, _: i32, _: i32) -> Answer {
        Err(NOTSUP)
    }

    /// `fd_write`
    pub fn fd_write(&mut self, memory: &mut [u8], fd: i32, iovs: i32, n: i32, out: i32) -> Answer {
        let to = match self.fd(fd)? {
            Fd::Stdout => &mut self.stdout,
            Fd::Stderr => &mut self.stderr,
            _ => return Err(BADF),
        };
        let mut total = 0;
        for index in 0..n {
            let (at, len) = iovec(memory, iovs, index)?;
            to.extend_from_slice(slice(memory, at, len)?);
            total += len as u32 as usize;
        }
        put_u32(memory, out, total)
    }

    /// `fd_read`
    pub fn fd_read(&mut self, memory: &mut [u8], fd: i32, iovs: i32, n: i32, out: i32) -> Answer {
        let (name, mut from) = match self.fd(fd)? {
            Fd::Stdin => return put_u32(memory, out, 0),
            Fd::File { name, offset } => (name, offset),
            _ => return Err(BADF),
        };
        let files = Arc::clone(&self.files);
        let content = files.get(&name).ok_or(BADF)?;
        let start = from;
        for index in 0..n {
            let (at, len) = iovec(memory, iovs, index)?;
            let to = slice(memory, at, len)?;
            let rest = usize::try_from(from)
                .ok()
                .and_then(|from| content.get(from..))
                .unwrap_or(&[]);
            let taken = rest.len().min(to.len());
            to[..taken].copy_from_slice(&rest[..taken]);
            from += taken as u64;
        }
        self.seek_to(fd, from);
        put_u32(memory, out, (from - start) as usize)
    }

    /// `fd_seek`
    pub fn fd_seek(&mut self, memory: &mut [u8], fd: i32, delta: i64, whence: i32, out: i32) -> Answer {
        let Fd::File { name, offset } = self.fd(fd)? else {
            return Err(SPIPE);
        };
        let base = match whence {
            0 => 0,
            1 => offset,
            2 => self.files.get(&name).ok_or(BADF)?.len() as u64,
            _ => return Err(INVAL),
        };
        let to = base.checked_add_signed(delta).ok_or(INVAL)?;
        self.seek_to(fd, to);
        put(memory, out, &to.to_le_bytes())
    }

    /// `fd_close`
    pub fn fd_close(&mut self, _: &mut [u8], fd: i32) -> Answer {
        self.fd(fd)?;
        self.fds[fd as usize] = None;
        Ok(())
    }

    /// `fd_fdstat_get`: every right, no flag.
    pub fn fd_fdstat_get(&mut self, memory: &mut [u8], fd: i32, out: i32) -> Answer {
        let mut stat = [0u8; 24];
        stat[0] = file_type(&self.fd(fd)?);
        stat[8..].fill(0xff);
        put(memory, out, &stat)
    }

    /// `fd_fdstat_set_flags`: accepted and forgotten.
    pub fn fd_fdstat_set_flags(&mut self, _: &mut [u8], fd: i32, _: i32) -> Answer {
        self.fd(fd).map(|_| ())
    }

    /// `fd_filestat_get`
    pub fn fd_filestat_get(&mut self, memory: &mut [u8], fd: i32, out: i32) -> Answer {
        let fd = self.fd(fd)?;
        let size = match &fd {
            Fd::File { name, .. } => self.files.get(name).ok_or(BADF)?.len(),
            _ => 0,
        };
        put(memory, out, &filestat(file_type(&fd), size))
    }

    /// `fd_prestat_get`: descriptor 3 is the directory ".".
    pub fn fd_prestat_get(&mut self, memory: &mut [u8], fd: i32, out: i32) -> Answer {
        match self.fd(fd)? {
            Fd::Root => put(memory, out, &[0, 0, 0, 0, 1, 0, 0, 0]),
            _ => Err(BADF),
        }
    }

    /// `fd_prestat_dir_name`
    pub fn fd_prestat_dir_name(&mut self, memory: &mut [u8], fd: i32, at: i32, _: i32) -> Answer {
        match self.fd(fd)? {
            Fd::Root => put(memory, at, b"."),
            _ => Err(BADF),
        }
    }

    /// `path_open`: an existing file of the directory, for reading.
    #[allow(clippy::too_many_arguments, reason = "the signature is WASI's")]
    pub fn path_open(
        &mut self,
        memory: &mut [u8],
        fd: i32,
        _: i32,
        path: i32,
        path_len: i32,
        oflags: i32,
        _: i64,
        _: i64,
        _: i32,
        out: i32,
    ) -> Answer {
        let opened = match self.lookup(memory, fd, path, path_len) {
            Ok(None) => Fd::Root,
            Ok(Some(_)) if oflags & OFLAGS_DIRECTORY != 0 => return Err(NOENT),
            Ok(Some(name)) => Fd::File { name, offset: 0 },
            Err(NOENT) if oflags & OFLAGS_CREAT != 0 => return Err(ROFS),
            Err(error) => return Err(error),
        };
        self.fds.push(Some(opened));
        put_u32(memory, out, self.fds.len() - 1)
    }

    /// `path_filestat_get`
    pub fn path_filestat_get(
        &mut self,
        memory: &mut [u8],
        fd: i32,
        _: i32,
        path: i32,
        path_len: i32,
        out: i32,
    ) -> Answer {
        let stat = match self.lookup(memory, fd, path, path_len)? {
            None => filestat(FILETYPE_DIRECTORY, 0),
            Some(name) => filestat(FILETYPE_REGULAR_FILE, self.files.get(&name).map_or(0, Vec::len)),
        };
        put(memory, out, &stat)
    }

    /// The file that a path names, or `None` for the directory itself.
    fn lookup(&self, memory: &mut [u8], fd: i32, path: i32, len: i32) -> Result<Option<String>, Errno> {
        let Fd::Root = self.fd(fd)? else {
            return Err(BADF);
        };
        let path = std::str::from_utf8(slice(memory, path, len)?).map_err(|_| INVAL)?;
        let name = path.trim_start_matches("./");
        if name.is_empty() || name == "." {
            Ok(None)
        } else if self.files.contains_key(name) {
            Ok(Some(name.to_string()))
        } else {
            Err(NOENT)
        }
    }

    fn fd(&self, fd: i32) -> Result<Fd, Errno> {
        let index = usize::try_from(fd).map_err(|_| BADF)?;
        self.fds.get(index).cloned().flatten().ok_or(BADF)
    }

    fn seek_to(&mut self, fd: i32, to: u64) {
        if let Some(Some(Fd::File { offset, .. })) = self.fds.get_mut(fd as usize) {
            *offset = to;
        }
    }
}

fn file_type(fd: &Fd) -> u8 {
    match fd {
        Fd::Stdin | Fd::Stdout | Fd::Stderr => FILETYPE_CHARACTER_DEVICE,
        Fd::Root => FILETYPE_DIRECTORY,
        Fd::File { .. } => FILETYPE_REGULAR_FILE,
    }
}

fn filestat(kind: u8, size: usize) -> [u8; 64] {
    let mut stat = [0u8; 64];
    stat[16] = kind;
    stat[24] = 1;
    stat[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    stat
}

fn iovec(memory: &mut [u8], iovs: i32, index: i32) -> Result<(i32, i32), Errno> {
    let at = iovs.wrapping_add(index.wrapping_mul(8));
    Ok((get_i32(memory, at)?, get_i32(memory, at.wrapping_add(4))?))
}

fn slice(memory: &mut [u8], at: i32, len: i32) -> Result<&mut [u8], Errno> {
    let at = at as u32 as usize;
    memory.get_mut(at..at + len as u32 as usize).ok_or(FAULT)
}

fn put(memory: &mut [u8], at: i32, bytes: &[u8]) -> Answer {
    let len = i32::try_from(bytes.len()).map_err(|_| FAULT)?;
    slice(memory, at, len)?.copy_from_slice(bytes);
    Ok(())
}

fn put_u32(memory: &mut [u8], at: i32, value: usize) -> Answer {
    let value = u32::try_from(value).map_err(|_| INVAL)?;
    put(memory, at, &value.to_le_bytes())
}

fn get_i32(memory: &mut [u8], at: i32) -> Result<i32, Errno> {
    let bytes = slice(memory, at, 4)?;
    Ok(i32::from_le_bytes(
        bytes.try_into().expect("the slice has four bytes"),
    ))
}

/// Defines the functions of [`World`] in `$linker`, for any engine whose crate
/// `$api` has the nouns `Caller`, `Linker` and `Memory`. The store's data is a
/// `Cell<$api::Memory>`.
#[allow(unused_macros, reason = "without an engine there is nothing to define")]
macro_rules! define_wasi {
    ($api:ident, $linker:expr) => {
        $crate::wasi::define_wasi! { @rows $api, $linker;
            args_sizes_get(count: i32, bytes: i32)
            args_get(pointers: i32, buffer: i32)
            environ_sizes_get(count: i32, bytes: i32)
            environ_get(pointers: i32, buffer: i32)
            clock_res_get(id: i32, out: i32)
            clock_time_get(id: i32, precision: i64, out: i32)
            random_get(out: i32, len: i32)
            sched_yield()
            poll_oneoff(subscriptions: i32, events: i32, n: i32, out: i32)
            fd_write(fd: i32, iovs: i32, n: i32, out: i32)
            fd_read(fd: i32, iovs: i32, n: i32, out: i32)
            fd_seek(fd: i32, delta: i64, whence: i32, out: i32)
            fd_close(fd: i32)
            fd_fdstat_get(fd: i32, out: i32)
            fd_fdstat_set_flags(fd: i32, flags: i32)
            fd_filestat_get(fd: i32, out: i32)
            fd_prestat_get(fd: i32, out: i32)
            fd_prestat_dir_name(fd: i32, at: i32, len: i32)
            path_open(fd: i32, dirflags: i32, path: i32, path_len: i32, oflags: i32,
                      rights: i64, inheriting: i64, fdflags: i32, out: i32)
            path_filestat_get(fd: i32, flags: i32, path: i32, path_len: i32, out: i32)
        }
    };
    (@rows $api:ident, $linker:expr; $($name:ident($($arg:ident: $ty:ty),*))*) => {$(
        $linker.func_wrap(
            "wasi_snapshot_preview1",
            stringify!($name),
            |mut caller: $api::Caller<'_, $crate::engines::Cell<$api::Memory>>, $($arg: $ty),*| -> i32 {
                let memory = caller.data().memory.expect("set before the guest runs");
                let (bytes, cell) = memory.data_and_store_mut(&mut caller);
                $crate::wasi::code(cell.world.$name(bytes, $($arg),*))
            },
        )?;
    )*};
}
#[allow(unused_imports, reason = "without an engine there is nothing to define")]
pub(crate) use define_wasi;
