//! Carries out the plan of a component in a store.

use super::func::{Lifted, uncaught};
use super::lift::Abi;
use super::linker::{Definition, Drop, InstancePre};
use super::shared::{Shared, SharedIn};
use super::state::{Dtor, InstanceState, ResourceEntry, RootState};
use super::wiring::Source;
use super::{Component, Instance, task, trampoline};
use crate::{
    AsContextMut, Engine, Extern, ExternType, Func, Global, Memory, Module, Result, StoreContextMut, bail,
    format_err,
};
use cellwall_abi::ValType;
use cellwall_component::{
    CoreDef, CoreInstance, CoreType, FuncRef, Item, Items, Lift, ModuleRef, ModuleType, Options, Plan,
    ResourceId, ResourceOrigin, Step, Trampoline,
};
use cellwall_runtime::{self as runtime, GlobalType, RawVal};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Instantiates a component with its imports.
pub(crate) fn instantiate<T: 'static>(
    store: StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
) -> Result<Instance> {
    let mut making = Making::new(store, pre)?;
    for step in &making.plan().steps {
        if let Some(next) = making.step(step)? {
            let store = making.store.as_context_mut();
            let made = crate::Instance::start(store, Some(next.component), &next.module, &next.imports);
            making.made(made)?;
        }
    }
    making.end()
}

/// Likewise, where host functions may wait that start functions call.
pub(crate) async fn instantiate_async<T: Send + 'static>(
    store: StoreContextMut<'_, T>,
    pre: &InstancePre<T>,
) -> Result<Instance> {
    let mut making = Making::new(store, pre)?;
    for step in &making.plan().steps {
        if let Some(next) = making.step(step)? {
            let store = making.store.as_context_mut();
            let made = crate::Instance::start_async(store, Some(next.component), &next.module, &next.imports);
            let made = made.await;
            making.made(made)?;
        }
    }
    making.end()
}

/// The type of the flag that says whether a component instance may call out.
const FLAG: GlobalType = GlobalType {
    ty: ValType::I32,
    exact: None,
    mutable: true,
};

/// A core module that is to be instantiated, with its imports.
struct Next {
    /// Number of its component instance in the store.
    component: u32,
    module: Module,
    imports: Vec<runtime::Extern>,
}

/// An instantiation under way.
pub(crate) struct Making<'a, 's, T: 'static> {
    pub(crate) pre: &'a InstancePre<T>,
    pub(crate) store: StoreContextMut<'s, T>,
    pub(crate) root: usize,
    /// Number of the root's first component instance in the store.
    pub(crate) first: usize,
    pub(crate) shared: Option<SharedIn<'a, T>>,
    cores: Vec<crate::Instance>,
    trampolines: Vec<Option<Func>>,
}

impl<'a, 's, T: 'static> Making<'a, 's, T> {
    fn new(mut store: StoreContextMut<'s, T>, pre: &'a InstancePre<T>) -> Result<Self> {
        let component = pre.component();
        if !Engine::same(store.engine(), component.engine()) {
            bail!("a component of one engine cannot be instantiated in a store of another");
        }
        let plan = component.plan();
        let first = store.0.data().components.instances.len();
        let root = store.0.data().components.roots.len();
        let shared = pre.later.next(pre);
        for _ in &plan.parents {
            let id = store.0.new_global(FLAG, RawVal::I32(1));
            let id = id.map_err(|error| store.error(error))?;
            let may_leave = Global { id };
            store.0.data_mut().components.instances.push(InstanceState {
                handles: Default::default(),
                may_leave,
                context: Default::default(),
                backpressure: 0,
            });
        }
        store.0.data_mut().components.roots.push(RootState {
            // Nothing can be called before all is there.
            entered: true,
            first,
            abis: vec![None; shared.map_or(0, Shared::abis)],
            resources: vec![None; plan.resources.len()],
            lifted: BTreeMap::new(),
            modules: BTreeMap::new(),
        });
        let shared = shared.map(|shared| shared.in_store(&mut store, root));
        let mut making = Making {
            pre,
            store,
            shared,
            root,
            first,
            cores: Vec::with_capacity(plan.core_instances as usize),
            trampolines: vec![None; plan.trampolines.len()],
        };
        making.imported_resources()?;
        Ok(making)
    }

    /// Takes a step; or returns what is to be instantiated next.
    fn step(&mut self, step: &Step) -> Result<Option<Next>> {
        match step {
            Step::Instantiate {
                instance,
                module,
                args,
            } => {
                let module = self.module(module)?;
                return Ok(Some(Next {
                    component: (self.first + *instance as usize) as u32,
                    imports: self.core_imports(&module, args)?,
                    module,
                }));
            }
            Step::Trampoline(index) => {
                let func = self.trampoline(*index)?;
                self.trampolines[*index as usize] = Some(func);
            }
            Step::Resource(id) => self.resource(*id)?,
        }
        Ok(None)
    }

    /// Files a core instance, if there is one.
    fn made(&mut self, made: Result<crate::Instance>) -> Result<()> {
        let made = made.map_err(|error| uncaught(&mut self.store, error))?;
        self.cores.push(made);
        Ok(())
    }

    /// Makes the exports callable, and lets calls in.
    fn end(mut self) -> Result<Instance> {
        self.exports(&self.plan().exports)?;
        self.store.0.data_mut().components.roots[self.root].entered = false;
        Ok(Instance {
            store: self.store.0.id(),
            root: self.root,
            component: self.component().clone(),
        })
    }

    pub(crate) fn plan(&self) -> &'a Plan {
        self.pre.component().plan()
    }

    pub(crate) fn component(&self) -> &'a Component {
        self.pre.component()
    }

    fn imported(&self, index: u32) -> &'a Definition<T> {
        let found = self.pre.imports[index as usize].as_ref();
        found.expect("the linker found every import")
    }

    pub(crate) fn host_func(&self, index: u32) -> &'a Arc<super::linker::HostFunc<T>> {
        match self.imported(index) {
            Definition::Func(func) => func,
            _ => unreachable!("the linker compared the kinds"),
        }
    }

    fn module(&self, module: &ModuleRef) -> Result<Module> {
        Ok(match module {
            ModuleRef::Own(index) => self.component().module(*index).clone(),
            ModuleRef::Import(index, _) => match self.imported(*index) {
                Definition::Module(module) => module.clone(),
                _ => unreachable!("the linker compared the kinds"),
            },
        })
    }

    /// What a core module imports. The validator has compared the types.
    fn core_imports(
        &mut self,
        module: &Module,
        args: &[(Arc<str>, CoreInstance)],
    ) -> Result<Vec<runtime::Extern>> {
        let shape = module.code().shape();
        let mut imports = Vec::with_capacity(shape.imports.len());
        let wiring = self.pre.later.wiring(self.pre);
        for (at, import) in shape.imports.iter().enumerate() {
            let found = match wiring.source(self.cores.len(), at) {
                Source::Export { instance, at } => {
                    let instance = self.cores[instance as usize];
                    Some(self.store.0.export_at(instance.id, at))
                }
                Source::Bag { bag, at } => {
                    let (_, def) = &self.plan().bags[bag as usize][at];
                    self.raw_def(def).ok()
                }
                Source::ByName => self.import_by_name(args, &import.module, &import.name),
            };
            let missing = || format_err!("unknown import: `{}::{}`", import.module, import.name);
            imports.push(found.ok_or_else(missing)?);
        }
        Ok(imports)
    }

    fn import_by_name(
        &self,
        args: &[(Arc<str>, CoreInstance)],
        module: &str,
        name: &str,
    ) -> Option<runtime::Extern> {
        let (_, from) = args.iter().find(|(own, _)| **own == *module)?;
        match from {
            CoreInstance::Real(index) => {
                let instance = self.cores[*index as usize];
                self.store.0.export(instance.id, name)
            }
            CoreInstance::Bag(index) => {
                let bag = &self.plan().bags[*index as usize];
                let (_, def) = bag.iter().find(|(own, _)| **own == *name)?;
                self.raw_def(def).ok()
            }
        }
    }

    /// A core item.
    pub(crate) fn raw_def(&self, def: &CoreDef) -> Result<runtime::Extern> {
        match def {
            CoreDef::Export(index, name) => {
                let instance = self.cores[*index as usize];
                let found = self.store.0.export(instance.id, name);
                found.ok_or_else(|| format_err!("a core instance has no export `{name}`"))
            }
            CoreDef::Trampoline(index) => {
                let func = self.trampolines[*index as usize];
                let func = func.expect("the plan makes trampolines before they are used");
                Ok(runtime::Extern::Func(func.id))
            }
        }
    }

    /// The same, for the host.
    pub(super) fn def(&self, def: &CoreDef) -> Result<Extern> {
        Ok(Extern::from_raw(self.store.0, self.raw_def(def)?))
    }

    pub(crate) fn func(&mut self, def: &CoreDef) -> Result<Func> {
        let found = self.def(def)?.into_func();
        found.ok_or_else(|| format_err!("a core function is something else"))
    }

    fn memory(&mut self, def: &CoreDef) -> Result<Memory> {
        let found = self.def(def)?.into_memory();
        found.ok_or_else(|| format_err!("a core memory is something else"))
    }

    /// How values cross for a component instance of the plan.
    pub(crate) fn abi(&mut self, instance: u32, options: &Options) -> Result<Abi> {
        let memory = match &options.memory {
            Some(def) => Some(self.memory(def)?),
            None => None,
        };
        let realloc = match &options.realloc {
            Some(def) => {
                let func = self.func(def)?;
                let realloc = self.store.0.flat(func.id);
                Some(realloc.map_err(|error| self.store.error(error))?)
            }
            None => None,
        };
        Ok(Abi {
            root: self.root,
            instance: self.first + instance as usize,
            memory,
            realloc,
            encoding: options.encoding,
        })
    }

    fn imported_resources(&mut self) -> Result<()> {
        for (id, origin) in self.plan().resources.iter().enumerate() {
            let ResourceOrigin::Import(index) = origin else {
                continue;
            };
            let Definition::Resource(ty, dtor) = self.imported(*index) else {
                unreachable!("the linker compared the kinds");
            };
            let shared = self.shared.as_ref().and_then(|shared| shared.dtor(id));
            let func = shared.unwrap_or_else(|| trampoline::dtor(&mut self.store, dtor.clone()));
            let entry = ResourceEntry {
                ty: *ty,
                dtor: Some(Dtor {
                    func,
                    may_wait: matches!(**dtor, Drop::Async(_)),
                }),
                owner: None,
            };
            let state = &mut self.store.0.data_mut().components;
            state.roots[self.root].resources[id] = Some(entry);
        }
        Ok(())
    }

    fn resource(&mut self, id: ResourceId) -> Result<()> {
        let ResourceOrigin::Own { instance, dtor } = &self.plan().resources[id.0 as usize] else {
            unreachable!("only own resources have a step");
        };
        let dtor = match dtor {
            Some(def) => Some(Dtor {
                func: self.func(def)?,
                may_wait: true,
            }),
            None => None,
        };
        let store = self.store.0.id();
        let state = &mut self.store.0.data_mut().components;
        let entry = ResourceEntry {
            ty: state.new_guest_type(store),
            dtor,
            owner: Some(self.first + *instance as usize),
        };
        state.roots[self.root].resources[id.0 as usize] = Some(entry);
        Ok(())
    }

    fn trampoline(&mut self, index: u32) -> Result<Func> {
        if let Some(func) = self.shared_trampoline(index)? {
            return Ok(func);
        }
        match &self.plan().trampolines[index as usize] {
            Trampoline::Host {
                instance,
                import,
                ty,
                options,
            } => {
                let abi = self.abi(*instance, options)?;
                let host = self.host_func(*import).clone();
                Ok(trampoline::host(&mut self.store, abi, ty.clone(), host))
            }
            Trampoline::Adapter {
                instance,
                lift,
                options,
            } => trampoline::adapter(self, index, *instance, *lift, options),
            Trampoline::Task {
                instance,
                lift,
                options,
            } => task::trampoline(self, *instance, *lift, options),
            Trampoline::Builtin { instance, builtin } => trampoline::builtin(self, *instance, builtin),
        }
    }

    /// What the host needs to call a function.
    pub(super) fn lifted(&mut self, lift: &Lift) -> Result<Lifted> {
        let mut func = |def: &Option<CoreDef>| match def {
            Some(def) => self.func(def).map(Some),
            None => Ok(None),
        };
        let (post_return, callback) = (func(&lift.options.post_return)?, func(&lift.options.callback)?);
        Ok(Lifted {
            func: self.func(&lift.func)?,
            ty: lift.ty.clone(),
            abi: self.abi(lift.instance, &lift.options)?,
            post_return,
            is_task: lift.options.is_async,
            callback,
        })
    }

    /// Makes what is exported callable.
    fn exports(&mut self, items: &Items) -> Result<()> {
        for (_, item) in &items.0 {
            match item {
                Item::Instance(items) => self.exports(items)?,
                Item::Func(FuncRef::Lift(index), _) => {
                    let lift = &self.plan().lifts[*index as usize];
                    let lifted = self.lifted(lift)?;
                    let state = &mut self.store.0.data_mut().components;
                    state.roots[self.root].lifted.insert(*index, Arc::new(lifted));
                }
                Item::Module(module @ ModuleRef::Import(index, _)) => {
                    let module = self.module(module)?;
                    let state = &mut self.store.0.data_mut().components;
                    state.roots[self.root].modules.insert(*index, module);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a module can be what a component imports.
pub(crate) fn check_module(expected: &ModuleType, module: &Module) -> Result<()> {
    for import in module.imports() {
        let (from, name) = (import.module(), import.name());
        let mut given = expected.imports.iter();
        let given = given.find(|(module, own, _)| **module == *from && **own == *name);
        let Some((_, _, given)) = given else {
            bail!("module import `{from}::{name}` not defined");
        };
        match core_type(&import.ty()) {
            Some(wanted) if given.fits(&wanted) => {}
            Some(wanted) => bail!(
                "module import `{from}::{name}` has the wrong type: expected {} found {}",
                wanted.kind(),
                given.kind()
            ),
            None => bail!("module import `{from}::{name}` is of a type that cannot be compared"),
        }
    }
    for (name, wanted) in &expected.exports {
        let Some(found) = module.get_export(name) else {
            bail!("module export `{name}` not defined");
        };
        match core_type(&found) {
            Some(found) if found.fits(wanted) => {}
            Some(found) => bail!(
                "export `{name}` has the wrong type: expected {} found {}",
                wanted.kind(),
                found.kind()
            ),
            None => bail!("export `{name}` is of a type that cannot be compared"),
        }
    }
    Ok(())
}

/// A core type in the words of the plan; `None` if those have none for it.
fn core_type(ty: &ExternType) -> Option<CoreType> {
    if let Some(ty) = ty.func() {
        return Some(CoreType::Func {
            params: ty.params().map(|ty| ty.to_string()).collect(),
            results: ty.results().map(|ty| ty.to_string()).collect(),
        });
    }
    if let Some(ty) = ty.memory() {
        return Some(CoreType::Memory {
            min: ty.minimum(),
            max: ty.maximum(),
            is_64: ty.is_64(),
            shared: ty.is_shared(),
        });
    }
    if let Some(ty) = ty.table() {
        return Some(CoreType::Table {
            element: ty.element().to_string(),
            min: ty.minimum(),
            max: ty.maximum(),
            is_64: ty.is_64(),
        });
    }
    if let Some(ty) = ty.tag() {
        let params = ty.ty().params().map(|ty| ty.to_string());
        return Some(CoreType::Tag {
            params: params.collect(),
        });
    }
    let ty = ty.global()?;
    Some(CoreType::Global {
        content: ty.content().to_string(),
        mutable: ty.mutability().is_var(),
    })
}
