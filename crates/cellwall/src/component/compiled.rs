//! Components, compiled.

use super::parts::Parts;
use super::types::ComponentItem;
use super::{ResourceType, serialized};
use crate::module::from_open_file;
use crate::{Context, Engine, Module, Result};
use cellwall_abi::pack;
use cellwall_component::{Plan, adapter};
use cellwall_runtime::Frozen;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// A compiled component: its core modules, each one once, and the adapters between its parts. Cheap
/// to clone; clones are the same component.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    plan: Plan,
    /// What the plan was made of, without code.
    skeleton: Vec<u8>,
    /// Each module that was compiled, once.
    compiled: Vec<Module>,
    /// Rows of `compiled` by their numbers in the plan.
    modules: Vec<u32>,
    /// Rows of `compiled`, and imports, of the trampolines that are adapters.
    adapters: BTreeMap<u32, (u32, Vec<adapter::Import>)>,
}

impl Component {
    /// Compiles a component, binary or text.
    ///
    /// # Errors
    /// [`Invalid`](crate::Invalid), with an offset, if it is no valid component or uses a feature that
    /// is not supported; otherwise as [`Module::new`].
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = crate::module::binary(bytes.as_ref())?;
        Self::from_binary(engine, &bytes)
    }

    /// Compiles a component, binary or text, from a file.
    ///
    /// # Errors
    /// If the file cannot be read; otherwise as [`new`](Self::new).
    pub fn from_file(engine: &Engine, file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        Self::new(engine, bytes).with_context(|| format!("cannot compile `{}`", file.display()))
    }

    /// Compiles a component in the binary format, or takes it from the engine's
    /// [`Cache`](crate::Cache), whole: with its adapters.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_binary(engine: &Engine, binary: &[u8]) -> Result<Self> {
        match &engine.config().cache {
            None => Self::compile(engine, binary),
            Some(cache) => cache.component(engine, binary),
        }
    }

    /// Compiles a component in the binary format, whatever the cache has.
    pub(crate) fn compile(engine: &Engine, binary: &[u8]) -> Result<Self> {
        let plan = cellwall_component::plan_with(binary, engine.config().component_features())?;
        let parts = Parts::of(&plan, binary)?;
        let mut compiled = Vec::with_capacity(parts.wasm.len());
        for part in &parts.wasm {
            let module = match part.offset {
                Some(offset) => Module::compile(engine, &part.binary)
                    .with_context(|| format!("in the core module at offset 0x{offset:x}"))?,
                None => Module::compile_internal(engine, &part.binary)
                    .context("in an adapter between components")?,
            };
            compiled.push(module);
        }
        let (modules, adapters) = (parts.modules, parts.adapters);
        Ok(Self::made(Inner {
            engine: engine.clone(),
            skeleton: cellwall_component::skeleton(binary)?,
            plan,
            compiled,
            modules,
            adapters,
        }))
    }

    fn made(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The compiled component as bytes, from which [`deserialize`](Self::deserialize) makes it again:
    /// the machine code of modules and adapters, and the component without what was compiled. Equal
    /// components, options and processors give equal bytes.
    ///
    /// # Errors
    /// None today.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let inner = &*self.inner;
        let compiled: Result<Vec<_>> = inner.compiled.iter().map(Module::serialize).collect();
        let adapters = inner.adapters.values().map(|(part, _)| *part);
        Ok(serialized::write(
            &inner.skeleton,
            &inner.modules,
            &adapters.collect::<Vec<_>>(),
            &compiled?,
        ))
    }

    /// Makes a component from the bytes of [`serialize`](Self::serialize) or
    /// [`Engine::precompile_component`], without compiling.
    ///
    /// Any bytes may be given, from anyone, as to [`Module::deserialize`]: the component is planned and
    /// checked again, and all machine code in it, that of adapters too, is proven before it is mapped.
    ///
    /// # Errors
    /// As [`Module::deserialize`]; [`Invalid`](crate::Invalid) also if a compiled module is not the one
    /// that its place in the component asks for.
    ///
    /// ```
    /// use cellwall::component::{Component, Linker};
    /// use cellwall::{Engine, Invalid, Store};
    ///
    /// let engine = Engine::default();
    /// let bytes = engine.precompile_component(br#"(component
    ///     (core module $m (func (export "six") (result i32) (i32.const 6)))
    ///     (core instance $i (instantiate $m))
    ///     (func (export "six") (result u8) (canon lift (core func $i "six"))))"#)?;
    ///
    /// let component = Component::deserialize(&engine, &bytes)?;
    /// let mut store = Store::new(&engine, ());
    /// let instance = Linker::new(&engine).instantiate(&mut store, &component)?;
    /// let six = instance.get_typed_func::<(), (u8,)>(&mut store, "six")?;
    /// assert_eq!(six.call(&mut store, ())?, (6,));
    ///
    /// let error = Component::deserialize(&engine, &bytes[..100]).unwrap_err();
    /// assert!(error.is::<Invalid>());
    /// # cellwall::Ok(())
    /// ```
    pub fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = bytes.as_ref();
        let contents = serialized::read(bytes)?;
        Self::accept(engine, &contents, |range| pack::unpack(&bytes[range]), None)
    }

    /// Makes a component from the start of a frozen file, up to `len`.
    pub(crate) fn from_frozen(engine: &Engine, file: Frozen, len: usize) -> Result<Self> {
        let bytes = file.bytes().slice(..len);
        let contents = serialized::read(&bytes)?;
        let unpack = |range| pack::unpack_frozen(&bytes.slice(range));
        Self::accept(engine, &contents, unpack, Some(&file))
    }

    fn accept(
        engine: &Engine,
        contents: &serialized::Contents<'_>,
        unpack: impl Fn(std::ops::Range<usize>) -> Result<serialized::Unpacked, crate::Invalid>,
        file: Option<&Frozen>,
    ) -> Result<Self> {
        let accepted = contents.check(unpack)?;
        let mut compiled = Vec::with_capacity(accepted.parts.len());
        for part in accepted.parts {
            compiled.push(Module::accept(engine, part, file.cloned())?);
        }
        Ok(Self::made(Inner {
            engine: engine.clone(),
            skeleton: contents.skeleton.to_vec(),
            plan: accepted.plan,
            compiled,
            modules: accepted.modules,
            adapters: accepted.adapters,
        }))
    }

    /// Like [`deserialize`](Self::deserialize), from a file, which is treated as by
    /// [`Module::deserialize_file`].
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

    /// Whether these bytes are a valid component in the binary format, as far as that can be said
    /// without compiling.
    ///
    /// # Errors
    /// What is wrong, as [`new`](Self::new).
    pub fn validate(engine: &Engine, binary: &[u8]) -> Result<()> {
        let plan = cellwall_component::plan_with(binary, engine.config().component_features())?;
        for range in &plan.modules {
            Module::validate(engine, &binary[range.clone()])
                .with_context(|| format!("in the core module at offset 0x{:x}", range.start))?;
        }
        Ok(())
    }

    /// The engine it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// What it imports, by name, in order.
    pub fn imports(&self) -> Vec<(Arc<str>, ComponentItem)> {
        ComponentItem::list(&self.plan().imports, &ResourceType::uninstantiated)
    }

    /// What it exports, by name, in order.
    pub fn exports(&self) -> Vec<(Arc<str>, ComponentItem)> {
        ComponentItem::list(&self.plan().exports, &ResourceType::uninstantiated)
    }

    /// Whether both are one component, compiled once.
    pub(crate) fn same(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    pub(crate) fn module(&self, index: u32) -> &Module {
        &self.inner.compiled[self.inner.modules[index as usize] as usize]
    }

    /// The adapter that a trampoline needs; `None` if the function that is called can take its place.
    pub(crate) fn adapter(&self, trampoline: u32) -> Option<(&Module, &[adapter::Import])> {
        let (part, imports) = self.inner.adapters.get(&trampoline)?;
        Some((&self.inner.compiled[*part as usize], imports))
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").finish_non_exhaustive()
    }
}
