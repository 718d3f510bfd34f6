//! Components, compiled.

use super::ResourceType;
use super::types::ComponentItem;
use crate::{Context, Engine, Module, Result};
use cellwall_component::adapter::{self, Adapter, Request};
use cellwall_component::{Plan, Trampoline};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
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
    /// By their numbers in the plan.
    modules: Vec<Module>,
    /// Of the trampolines that are adapters.
    adapters: BTreeMap<u32, (Module, Vec<adapter::Import>)>,
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

    /// Compiles a component in the binary format.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_binary(engine: &Engine, binary: &[u8]) -> Result<Self> {
        let plan = cellwall_component::plan(binary)?;
        // Equal modules and adapters are compiled once.
        let mut known: BTreeMap<Cow<'_, [u8]>, Module> = BTreeMap::new();
        let mut modules = Vec::with_capacity(plan.modules.len());
        for range in &plan.modules {
            let bytes = &binary[range.clone()];
            let module = match known.get(bytes) {
                Some(module) => module.clone(),
                None => {
                    let module = Module::from_binary(engine, bytes);
                    let at = || format!("in the core module at offset 0x{:x}", range.start);
                    module.with_context(at)?
                }
            };
            known.insert(Cow::Borrowed(bytes), module.clone());
            modules.push(module);
        }
        let mut adapters = BTreeMap::new();
        for (index, trampoline) in plan.trampolines.iter().enumerate() {
            let Some(Adapter { wasm, imports }) = adapter_of(&plan, trampoline)? else {
                continue;
            };
            let module = match known.get(&*wasm) {
                Some(module) => module.clone(),
                None => {
                    let module = Module::compile_internal(engine, &wasm);
                    module.context("in an adapter between components")?
                }
            };
            known.insert(Cow::Owned(wasm), module.clone());
            adapters.insert(index as u32, (module, imports));
        }
        drop(known);
        let inner = Inner {
            engine: engine.clone(),
            plan,
            modules,
            adapters,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Whether these bytes are a valid component in the binary format, as far as that can be said
    /// without compiling.
    ///
    /// # Errors
    /// What is wrong, as [`new`](Self::new).
    pub fn validate(engine: &Engine, binary: &[u8]) -> Result<()> {
        let plan = cellwall_component::plan(binary)?;
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

    pub(crate) fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    pub(crate) fn module(&self, index: u32) -> &Module {
        &self.inner.modules[index as usize]
    }

    pub(crate) fn adapter(&self, trampoline: u32) -> (&Module, &[adapter::Import]) {
        let (module, imports) = &self.inner.adapters[&trampoline];
        (module, imports)
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component").finish_non_exhaustive()
    }
}

/// The adapter that a trampoline is, if it is one.
fn adapter_of(plan: &Plan, trampoline: &Trampoline) -> Result<Option<Adapter>> {
    let Trampoline::Adapter {
        instance,
        lift,
        options,
    } = trampoline
    else {
        return Ok(None);
    };
    let lift = &plan.lifts[*lift as usize];
    let request = Request {
        ty: &lift.ty,
        lower: options,
        lift: &lift.options,
        with_context: plan.with_context.contains(&lift.instance),
        nested: lies_in(plan, *instance, lift.instance) || lies_in(plan, lift.instance, *instance),
    };
    Ok(Some(adapter::adapter(&request)?))
}

/// Whether a component instance is another one or lies inside of it.
fn lies_in(plan: &Plan, inner: u32, outer: u32) -> bool {
    let mut current = Some(inner);
    // Ends because parents come before their children.
    while let Some(instance) = current {
        if instance == outer {
            return true;
        }
        current = plan.parents[instance as usize];
    }
    false
}
