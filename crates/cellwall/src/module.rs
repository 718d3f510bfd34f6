//! Modules: the straight road from bytes to code that can run.
//!
//! Requires an engine. Guarantees that code exists only if the bytes are a valid module and the
//! verifier accepted the machine code made of them. Deterministic: the code does not depend on the
//! number of threads that made it.

mod build;
mod symbols;

pub use build::CompileError;
pub(crate) use build::{compile, decode, prove, refused};
pub use symbols::FrameSymbol;

use crate::profile;
use crate::{Context, Engine, Error, ExportType, ExternType, ImportType, Invalid, Result};
use cellwall_abi::pack::{self, Origin};
use cellwall_abi::{Artifact, Shape};
use cellwall_base::FuncIdx;
use cellwall_runtime::{Code, FILE_BYTES_MAX, Frozen};
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

/// A compiled module. Cheap to clone; clones are the same module.
///
/// ```
/// use cellwall::{Engine, ExternType, Invalid, Module};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module $adder
///       (func (export "add") (param i32 i32) (result i32)
///         (i32.add (local.get 0) (local.get 1))))
/// "#)?;
/// assert_eq!(module.name(), Some("adder"));
/// let export = module.exports().next().unwrap();
/// assert_eq!(export.name(), "add");
/// assert!(matches!(export.ty(), ExternType::Func(_)));
///
/// let error = Module::new(&engine, b"\0asm\x01\0\0\0 and more").unwrap_err();
/// assert!(error.downcast_ref::<Invalid>().unwrap().offset >= 8);
/// # cellwall::Ok(())
/// ```
#[derive(Clone)]
pub struct Module {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    code: Arc<Code>,
    name: Option<String>,
    /// Where the body of each defined function starts in the binary; from a file it may be anything.
    body_starts: Vec<u32>,
    debug: Option<symbols::DebugInfo>,
}

impl Module {
    /// Compiles a module, binary or text.
    ///
    /// # Errors
    /// [`Invalid`](crate::Invalid), with an offset, if it is no valid module or uses a feature that
    /// is not supported; [`Limit`](crate::Limit) if it asks for more than a limit;
    /// [`CompileError`] if Cellwall is wrong: the code that it made was refused by its verifier. The
    /// text format's own errors say line and column.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = binary(bytes.as_ref())?;
        Self::from_binary(engine, &bytes)
    }

    /// Compiles a module, binary or text, from a file.
    ///
    /// # Errors
    /// If the file cannot be read; otherwise as [`new`](Self::new).
    pub fn from_file(engine: &Engine, file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        Self::new(engine, bytes).with_context(|| format!("cannot compile `{}`", file.display()))
    }

    /// Compiles a module in the binary format, or takes it from the engine's [`Cache`](crate::Cache).
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_binary(engine: &Engine, binary: &[u8]) -> Result<Self> {
        match &engine.config().cache {
            None => Self::compile(engine, binary),
            Some(cache) => cache.module(engine, binary),
        }
    }

    /// Compiles a module in the binary format, whatever the cache has.
    pub(crate) fn compile(engine: &Engine, binary: &[u8]) -> Result<Self> {
        Self::compile_decoded(engine, &decode(engine, binary)?)
    }

    /// Compiles a module of our own making, whatever the options and the cache say.
    pub(crate) fn compile_internal(engine: &Engine, binary: &[u8]) -> Result<Self> {
        Self::compile_decoded(engine, &cellwall_wasm::decode(binary)?)
    }

    fn compile_decoded(engine: &Engine, module: &cellwall_wasm::Module) -> Result<Self> {
        let artifact = build::compile(engine, module)?;
        Ok(Self::announced(Inner {
            engine: engine.clone(),
            code: build::accept_own(engine, artifact)?,
            name: module.name().map(str::to_owned),
            body_starts: body_starts(module),
            debug: symbols::DebugInfo::of(module),
        }))
    }

    /// The compiled module as bytes, from which [`deserialize`](Self::deserialize) makes it again.
    /// Equal modules, options and processors give equal bytes.
    ///
    /// # Errors
    /// None today.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let debug = self.inner.debug.as_ref();
        let origin = Origin {
            name: self.inner.name.clone(),
            body_starts: self.inner.body_starts.clone(),
            code_start: debug.map_or(0, symbols::DebugInfo::code_start),
            debug: debug.map_or_else(Vec::new, symbols::DebugInfo::sections),
        };
        Ok(pack::pack(self.inner.code.artifact(), &origin))
    }

    /// Makes a module from the bytes of [`serialize`](Self::serialize) or
    /// [`Engine::precompile_module`], without compiling.
    ///
    /// Any bytes may be given, from anyone: the machine code in them is copied, then proven like
    /// code that was just compiled, and only then mapped. What is proven is that it stays inside
    /// its cell, not that it computes what some WebAssembly module means.
    ///
    /// # Errors
    /// [`Invalid`](crate::Invalid), with an offset, if the bytes are no compiled module, or one of
    /// another version; [`Violation`](crate::Violation) if the machine code is refused; an error
    /// with words if it needs a processor feature that is missing here, or relies on larger
    /// reservations or guards than this engine makes.
    ///
    /// ```
    /// use cellwall::{Engine, Instance, Invalid, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let six = br#"(module (func (export "six") (result i32) (i32.const 6)))"#;
    /// let bytes = engine.precompile_module(six)?;
    ///
    /// let module = Module::deserialize(&engine, &bytes)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// let six = instance.get_typed_func::<(), i32>(&mut store, "six")?;
    /// assert_eq!(six.call(&mut store, ())?, 6);
    ///
    /// let error = Module::deserialize(&engine, &bytes[..100]).unwrap_err();
    /// assert!(error.is::<Invalid>());
    /// # cellwall::Ok(())
    /// ```
    pub fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        let unpacked = pack::unpack(bytes).map_err(|invalid| explain(invalid, bytes))?;
        Self::accept(engine, unpacked, None)
    }

    /// Makes a module from the start of a frozen file, up to `len`.
    pub(crate) fn from_frozen(engine: &Engine, file: Frozen, len: usize) -> Result<Self> {
        let bytes = file.bytes().slice(..len);
        let unpacked = pack::unpack_frozen(&bytes).map_err(|invalid| explain(invalid, &bytes))?;
        Self::accept(engine, unpacked, Some(file))
    }

    /// Proves and maps what was read; in the file that it was read from, if that is frozen.
    pub(crate) fn accept(
        engine: &Engine,
        unpacked: (Artifact, Origin),
        file: Option<Frozen>,
    ) -> Result<Self> {
        let (artifact, origin) = unpacked;
        Ok(Self::announced(Inner {
            engine: engine.clone(),
            code: build::accept_foreign(engine, artifact, file)?,
            debug: symbols::DebugInfo::from_sections(origin.code_start, origin.debug),
            name: origin.name,
            body_starts: origin.body_starts,
        }))
    }

    /// The module, once the profiler knows its code.
    fn announced(inner: Inner) -> Self {
        profile::announce(inner.engine.config().profiler, &inner.code, inner.name.as_deref());
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Like [`deserialize`](Self::deserialize), from a file. It does not matter what happens to the
    /// file later: it is read first, unless the kernel keeps its contents from ever changing. Then
    /// the code runs in the file itself, and processes that load it share its memory. Such are sealed
    /// files in memory (`memfd_create`, with the seals against writing, shrinking and growing) and
    /// files with fs-verity on ext4, f2fs or btrfs.
    ///
    /// # Errors
    /// If the file cannot be read; otherwise as [`deserialize`](Self::deserialize).
    pub fn deserialize_file(engine: &Engine, file: impl AsRef<Path>) -> Result<Self> {
        let path = file.as_ref();
        let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        Self::deserialize_open_file(engine, file).with_context(|| format!("cannot load `{}`", path.display()))
    }

    /// Like [`deserialize_file`](Self::deserialize_file), from a file that is open for reading.
    ///
    /// # Errors
    /// As [`deserialize_file`](Self::deserialize_file).
    pub fn deserialize_open_file(engine: &Engine, file: File) -> Result<Self> {
        from_open_file(engine, file, Self::deserialize, Self::from_frozen)
    }

    /// Whether these bytes are a valid module in the binary format; compiles nothing.
    ///
    /// # Errors
    /// What is wrong, as [`new`](Self::new).
    pub fn validate(engine: &Engine, binary: &[u8]) -> Result<()> {
        build::validate(engine, binary)
    }

    /// Its name, from the name section.
    pub fn name(&self) -> Option<&str> {
        self.inner.name.as_deref()
    }

    /// Its imports, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> + '_ {
        (0..self.shape().imports.len()).map(|index| self.import_at(index))
    }

    /// The `index`-th import.
    pub(crate) fn import_at(&self, index: usize) -> ImportType<'_> {
        let import = &self.shape().imports[index];
        let ty = ExternType::of(self.code(), import.item);
        ImportType::new(&import.module, &import.name, ty)
    }

    /// Its exports, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> + '_ {
        let code = self.code();
        self.shape().exports.iter().map(move |export| {
            let ty = ExternType::of(code, export.item);
            ExportType::new(&export.name, ty)
        })
    }

    /// The type of the export of this name.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        let export = self.shape().exports.iter().find(|export| export.name == name)?;
        Some(ExternType::of(self.code(), export.item))
    }

    /// The engine it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Whether both are the same module: clones of each other.
    pub fn same(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// Its machine code, without the constants behind it.
    pub fn text(&self) -> &[u8] {
        &self.inner.code.artifact().text
    }

    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.inner.code
    }

    pub(crate) fn shape(&self) -> &Shape {
        self.inner.code.shape()
    }

    pub(crate) fn func_name(&self, func: u32) -> Option<&str> {
        self.inner.code.artifact().name(FuncIdx::from_u32(func))
    }

    pub(crate) fn body_start(&self, func: u32) -> Option<u32> {
        let defined = func.checked_sub(self.shape().imported_funcs)?;
        self.inner.body_starts.get(defined as usize).copied()
    }

    /// The source of an instruction, by its offset in the binary.
    pub(crate) fn symbolicate(&self, offset: u32) -> Vec<FrameSymbol> {
        let debug = self.inner.debug.as_ref();
        debug.map_or_else(Vec::new, |debug| debug.symbolicate(offset))
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Where the body of each defined function starts in the binary.
fn body_starts(module: &cellwall_wasm::Module) -> Vec<u32> {
    let start = |func| module.body(func).map_or(0, |body| body.start);
    module.defined_funcs().map(start).collect()
}

/// Says more of bytes that were refused, if they are something known.
fn explain(invalid: Invalid, bytes: &[u8]) -> Error {
    match what_is(bytes) {
        Some(what) => Error::new(invalid).context(what),
        None => Error::new(invalid),
    }
}

/// What bytes are that were taken for a compiled module, if they are something known.
fn what_is(bytes: &[u8]) -> Option<&'static str> {
    const WASM: &[u8] = b"\0asm";
    if bytes.starts_with(WASM) {
        Some("this is a WebAssembly binary, which `Module::new` compiles")
    } else if crate::component::is_serialized(bytes) {
        Some("this is a compiled component, which `Component::deserialize` loads")
    } else if bytes.trim_ascii_start().starts_with(b"(") {
        Some("this is a module in the text format, which `Module::new` compiles")
    } else {
        None
    }
}

/// What an open file holds, compiled: from its bytes, or in place from the file that was frozen, of which
/// the second one is told the length.
pub(crate) fn from_open_file<C>(
    engine: &Engine,
    mut file: File,
    read: fn(&Engine, Vec<u8>) -> Result<C>,
    in_place: fn(&Engine, Frozen, usize) -> Result<C>,
) -> Result<C> {
    let metadata = file.metadata()?;
    // What is small is copied anyway, and a pipe has no length.
    if !metadata.is_file() || metadata.len() < pack::IN_PLACE_BYTES_MIN as u64 {
        let mut bytes = Vec::new();
        if metadata.is_file() {
            file.rewind()?;
        }
        file.by_ref().take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        return read(engine, bytes);
    }
    let frozen = Frozen::of(&file)?;
    let len = frozen.bytes().len();
    in_place(engine, frozen, len)
}

/// The binary of a module that may be text; refuses what is compiled already.
pub(crate) fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    if pack::is_packed(bytes) {
        return Err(Error::msg(
            "this is a compiled module, which `Module::deserialize` loads",
        ));
    }
    if crate::component::is_serialized(bytes) {
        return Err(Error::msg(
            "this is a compiled component, which `Component::deserialize` loads",
        ));
    }
    from_text(bytes)
}

#[cfg(feature = "wat")]
fn from_text(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    let parsed = wat::parse_bytes(bytes);
    Ok(parsed?)
}

#[cfg(not(feature = "wat"))]
fn from_text(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(bytes.into())
}
