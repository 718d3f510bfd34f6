//! A guest that can be told to call any WASI function with any arguments, and its surroundings.

use cellwall::{Engine, Func, Instance, Linker, Memory, Module, Store, Val};
use cellwall_wasi::{
    DirPerms, FilePerms, MODULE, MemoryInputPipe, MemoryOutputPipe, WasiCtx, WasiCtxBuilder, add_to_linker,
};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The error numbers of `typenames.witx` that tests expect.
pub(crate) mod errno {
    pub(crate) const ACCES: u32 = 2;
    pub(crate) const AGAIN: u32 = 6;
    pub(crate) const BADF: u32 = 8;
    pub(crate) const EXIST: u32 = 20;
    pub(crate) const ILSEQ: u32 = 25;
    pub(crate) const INVAL: u32 = 28;
    pub(crate) const ISDIR: u32 = 31;
    pub(crate) const LOOP: u32 = 32;
    pub(crate) const MFILE: u32 = 33;
    pub(crate) const NAMETOOLONG: u32 = 37;
    pub(crate) const NOENT: u32 = 44;
    pub(crate) const NOSPC: u32 = 51;
    pub(crate) const NOTDIR: u32 = 54;
    pub(crate) const NOTEMPTY: u32 = 55;
    pub(crate) const NOTSOCK: u32 = 57;
    pub(crate) const NOTSUP: u32 = 58;
    pub(crate) const PERM: u32 = 63;
    pub(crate) const SPIPE: u32 = 70;
    pub(crate) const NOTCAPABLE: u32 = 76;
}

pub(crate) const RIGHT_READ: i64 = 1 << 1;
pub(crate) const RIGHT_WRITE: i64 = 1 << 6;
pub(crate) const O_CREAT: i64 = 1;
pub(crate) const O_DIRECTORY: i64 = 2;
pub(crate) const O_EXCL: i64 = 4;
pub(crate) const O_TRUNC: i64 = 8;
pub(crate) const FOLLOW: i64 = 1;

/// Every function of `wasi_snapshot_preview1.witx` with its parameters: `i` is an `i32`, `I` an
/// `i64`. All but `proc_exit` give an `i32`.
pub(crate) const SIGNATURES: &[(&str, &str)] = &[
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// A module that imports every function and exports a caller of each under the same name.
fn generic_guest() -> String {
    let mut wat = String::from("(module\n");
    for (name, params) in SIGNATURES {
        let result = if *name == "proc_exit" { "" } else { "(result i32)" };
        let types: String = params
            .chars()
            .map(|c| if c == 'I' { " i64" } else { " i32" })
            .collect();
        let _ = writeln!(
            wat,
            "(import \"{MODULE}\" \"{name}\" (func ${name} (param{types}) {result}))"
        );
    }
    wat.push_str("(memory (export \"memory\") 65)\n");
    for (name, params) in SIGNATURES {
        let result = if *name == "proc_exit" { "" } else { "(result i32)" };
        let types: String = params
            .chars()
            .map(|c| if c == 'I' { " i64" } else { " i32" })
            .collect();
        let gets: String = (0..params.len())
            .map(|index| format!(" (local.get {index})"))
            .collect();
        let _ = writeln!(
            wat,
            "(func (export \"{name}\") (param{types}) {result} (call ${name}{gets}))"
        );
    }
    wat.push(')');
    wat
}

/// Bytes of the guest's memory: more than 2^32 / 1024, so that buffers can overflow together.
pub(crate) const MEMORY_BYTES: u32 = 65 << 16;
/// Where the harness puts what it passes; tests may use what lies below.
const SCRATCH: u32 = 1 << 16;
/// Where results are stored.
pub(crate) const OUT: i64 = 8;
/// A place for data of tests.
pub(crate) const BUF: i64 = 1024;

/// The generic guest, instantiated.
pub(crate) struct Guest {
    store: Store<WasiCtx>,
    instance: Instance,
    memory: Memory,
    scratch: u32,
}

impl Guest {
    pub(crate) fn new(ctx: WasiCtx) -> Guest {
        let engine = Engine::default();
        let module = Module::new(&engine, generic_guest()).expect("the generic guest is valid");
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx).expect("the linker is empty");
        let mut store = Store::new(&engine, ctx);
        let instance = linker
            .instantiate(&mut store, &module)
            .expect("all imports are defined");
        let memory = instance.get_memory(&mut store, "memory").expect("it is exported");
        Guest {
            store,
            instance,
            memory,
            scratch: SCRATCH,
        }
    }

    /// Calls `name`; the error number, or the error that stopped the guest.
    pub(crate) fn call(&mut self, name: &str, args: &[i64]) -> cellwall::Result<u32> {
        self.scratch = SCRATCH;
        let (_, params) = SIGNATURES
            .iter()
            .find(|(row, _)| *row == name)
            .expect("a function of WASI");
        assert_eq!(params.len(), args.len(), "{name} takes {params:?}");
        let args: Vec<Val> = (params.chars().zip(args))
            .map(|(ty, arg)| {
                if ty == 'I' {
                    Val::I64(*arg)
                } else {
                    Val::I32(*arg as i32)
                }
            })
            .collect();
        let func: Func = self
            .instance
            .get_func(&mut self.store, name)
            .expect("it is exported");
        let mut results = vec![Val::I32(0); usize::from(name != "proc_exit")];
        func.call(&mut self.store, &args, &mut results)?;
        match results.first() {
            Some(Val::I32(errno)) => Ok(*errno as u32),
            _ => Ok(0),
        }
    }

    /// Calls `name`, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, name: &str, args: &[i64]) {
        self.no(name, args, 0);
    }

    /// Calls `name`, which must answer `errno`.
    #[track_caller]
    pub(crate) fn no(&mut self, name: &str, args: &[i64], errno: u32) {
        match self.call(name, args) {
            Ok(answer) => assert_eq!(answer, errno, "{name}{args:?}"),
            Err(error) => panic!("{name}{args:?}: {error:?}"),
        }
    }

    pub(crate) fn put(&mut self, at: i64, bytes: &[u8]) {
        self.memory
            .write(&mut self.store, at as usize, bytes)
            .expect("it is inside");
    }

    pub(crate) fn get(&self, at: i64, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory
            .read(&self.store, at as usize, &mut bytes)
            .expect("it is inside");
        bytes
    }

    pub(crate) fn u32(&self, at: i64) -> u32 {
        u32::from_le_bytes(self.get(at, 4).try_into().expect("four bytes"))
    }

    pub(crate) fn u64(&self, at: i64) -> u64 {
        u64::from_le_bytes(self.get(at, 8).try_into().expect("eight bytes"))
    }

    /// Puts bytes into memory until the next call; their place and length.
    pub(crate) fn pass(&mut self, bytes: impl AsRef<[u8]>) -> [i64; 2] {
        let (at, bytes) = (self.scratch, bytes.as_ref());
        self.put(i64::from(at), bytes);
        self.scratch += (bytes.len() as u32).next_multiple_of(8).max(8);
        [i64::from(at), bytes.len() as i64]
    }

    /// Puts an array of buffers, each a place and a length; its place and length.
    pub(crate) fn pass_buffers(&mut self, buffers: &[[i64; 2]]) -> [i64; 2] {
        let words = buffers.iter().flatten();
        let bytes: Vec<u8> = words.flat_map(|word| (*word as u32).to_le_bytes()).collect();
        let [at, _] = self.pass(bytes);
        [at, buffers.len() as i64]
    }

    /// `path_open`, following links.
    pub(crate) fn open(&mut self, dir: i64, path: &str, oflags: i64, rights: i64) -> Result<i64, u32> {
        self.open_with(dir, FOLLOW, path, oflags, rights, 0)
    }

    pub(crate) fn open_with(
        &mut self,
        dir: i64,
        lookup: i64,
        path: &str,
        oflags: i64,
        rights: i64,
        fdflags: i64,
    ) -> Result<i64, u32> {
        let [at, len] = self.pass(path);
        let args = [dir, lookup, at, len, oflags, rights, rights, fdflags, OUT];
        match self.call("path_open", &args).expect("the pointers are inside") {
            0 => Ok(i64::from(self.u32(OUT))),
            errno => Err(errno),
        }
    }

    pub(crate) fn write(&mut self, fd: i64, bytes: &[u8]) -> Result<u32, u32> {
        let buffer = self.pass(bytes);
        let [iovs, count] = self.pass_buffers(&[buffer]);
        match self
            .call("fd_write", &[fd, iovs, count, OUT])
            .expect("the pointers are inside")
        {
            0 => Ok(self.u32(OUT)),
            errno => Err(errno),
        }
    }

    pub(crate) fn read(&mut self, fd: i64, count: i64) -> Result<Vec<u8>, u32> {
        let [iovs, one] = self.pass_buffers(&[[BUF, count]]);
        match self
            .call("fd_read", &[fd, iovs, one, OUT])
            .expect("the pointers are inside")
        {
            0 => Ok(self.get(BUF, self.u32(OUT) as usize)),
            errno => Err(errno),
        }
    }

    /// Calls a function of one path: `before`, the path, `after`.
    pub(crate) fn path(&mut self, name: &str, before: &[i64], path: &str, after: &[i64]) -> u32 {
        let path = self.pass(path);
        self.call(name, &[before, &path, after].concat())
            .expect("the pointers are inside")
    }

    /// `path_rename` and `path_link`, without following.
    pub(crate) fn two_paths(&mut self, name: &str, old: (i64, &str), new: (i64, &str)) -> u32 {
        let [old_at, old_len] = self.pass(old.1);
        let [new_at, new_len] = self.pass(new.1);
        let lookup: &[i64] = if name == "path_link" { &[0] } else { &[] };
        let args = [&[old.0], lookup, &[old_at, old_len, new.0, new_at, new_len]].concat();
        self.call(name, &args).expect("the pointers are inside")
    }
}

/// A directory of the host that is removed at the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("cellwall-wasi-{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("the name is new");
        TempDir(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The generic guest with everything granted, and a small tree: `file` holding `hello world`,
/// `dir` holding `inner`, `link` to `file`. Descriptor 3 may change it, 4 only read it.
pub(crate) struct World {
    pub(crate) guest: Guest,
    pub(crate) host: TempDir,
    pub(crate) stdout: MemoryOutputPipe,
}

pub(crate) const RW: i64 = 3;
pub(crate) const RO: i64 = 4;

impl World {
    pub(crate) fn new() -> World {
        World::with(|_| {})
    }

    pub(crate) fn with(more: impl FnOnce(&mut WasiCtxBuilder)) -> World {
        World::with_ctx(more, |_| {})
    }

    pub(crate) fn with_ctx(
        more: impl FnOnce(&mut WasiCtxBuilder),
        change: impl FnOnce(&mut WasiCtx),
    ) -> World {
        let host = TempDir::new();
        std::fs::write(host.path().join("file"), "hello world").expect("it is ours");
        std::fs::create_dir(host.path().join("dir")).expect("it is ours");
        std::fs::write(host.path().join("dir/inner"), "inner").expect("it is ours");
        std::os::unix::fs::symlink("file", host.path().join("link")).expect("it is ours");
        let stdout = MemoryOutputPipe::new(4096);
        let mut builder = WasiCtxBuilder::new();
        builder
            .args(&["prog", "x"])
            .env("A", "b")
            .stdin(MemoryInputPipe::new("input"))
            .stdout(stdout.clone())
            .preopened_dir(host.path(), "/", DirPerms::all(), FilePerms::all())
            .and_then(|it| it.preopened_dir(host.path(), "/ro", DirPerms::READ, FilePerms::READ))
            .expect("the directory is there");
        more(&mut builder);
        let mut ctx = builder.build();
        change(&mut ctx);
        World {
            guest: Guest::new(ctx),
            host,
            stdout,
        }
    }

    pub(crate) fn host_text(&self, path: &str) -> String {
        std::fs::read_to_string(self.host.path().join(path)).expect("the guest made it")
    }
}

/// The folder of shared test programs, if this machine has it.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("CELLWALL_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    println!(
        "skipped: {} is not there; set CELLWALL_SHARED to the folder that holds `{folder}`",
        path.display()
    );
    None
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Runs a command module to its end.
pub(crate) fn run_program(wasm: &Path, builder: &mut WasiCtxBuilder) -> cellwall::Result<Ended> {
    const OUTPUT_BYTES_MAX: usize = 16 << 20;
    let (stdout, stderr) = (
        MemoryOutputPipe::new(OUTPUT_BYTES_MAX),
        MemoryOutputPipe::new(OUTPUT_BYTES_MAX),
    );
    let ctx = builder.stdout(stdout.clone()).stderr(stderr.clone()).build();
    let engine = Engine::default();
    let module = Module::new(&engine, std::fs::read(wasm)?)?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx: &mut WasiCtx| ctx)?;
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let status = match start.call(&mut store, ()) {
        Ok(()) => 0,
        Err(error) => match error.downcast_ref::<cellwall_wasi::I32Exit>() {
            Some(exit) => exit.0,
            None => return Err(error.context(String::from_utf8_lossy(&stderr.contents()).into_owned())),
        },
    };
    Ok(Ended {
        status,
        stdout: stdout.contents(),
        stderr: stderr.contents(),
    })
}
