//! Instances of modules.

use crate::linker::Definition;
use crate::matching::check_import;
use crate::{
    AsContext, AsContextMut, Engine, Export, Extern, Func, Global, Memory, Module, Result, SharedMemory,
    StoreContext, StoreContextMut, Table, Tag, TypedFunc, WasmParams, WasmResults, bail, format_err,
};
use cellwall_runtime as runtime;
use std::sync::Arc;

/// A module with its imports filled in, living in a store. Just a name for it: cheap to copy.
///
/// [`Linker`](crate::Linker) makes one by names; [`new`](Self::new) from a list.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Instance {
    pub(crate) id: runtime::InstanceId,
}

impl Instance {
    /// Makes an instance with these imports, in the order of [`Module::imports`], and runs its
    /// start function.
    ///
    /// # Errors
    /// If the imports do not fit in number, type, store or engine; if the store's limiter refuses;
    /// if a segment does not fit its memory or table; and whatever ends the start function.
    ///
    /// ```
    /// use cellwall::{Engine, Instance, Module, Store, Trap};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"
    ///     (module
    ///       (memory 1)
    ///       (data (i32.const 65536) "x"))
    /// "#)?;
    /// let mut store = Store::new(&engine, ());
    /// let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    /// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
    /// # cellwall::Ok(())
    /// ```
    pub fn new(mut store: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Self> {
        let mut store = store.as_context_mut();
        let imports = check_imports(&mut store, module, imports)?;
        Self::start(store, None, module, &imports)
    }

    /// Likewise, where host functions may wait that the start function calls.
    ///
    /// # Errors
    /// As [`new`](Self::new); and if too many such calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    pub async fn new_async(
        mut store: impl AsContextMut<Data: Send>,
        module: &Module,
        imports: &[Extern],
    ) -> Result<Self> {
        let mut store = store.as_context_mut();
        let imports = check_imports(&mut store, module, imports)?;
        Self::start_async(store, None, module, &imports).await
    }

    /// Makes an instance from imports that were compared with the module's; for a component instance, if
    /// it has the number of one.
    pub(crate) fn start<T: 'static>(
        mut store: StoreContextMut<'_, T>,
        component: Option<u32>,
        module: &Module,
        imports: &[runtime::Extern],
    ) -> Result<Self> {
        store.remember(module);
        let id = store.0.instantiate_in(component, module.code(), imports);
        let id = id.map_err(|error| store.error(error))?;
        Ok(Self { id })
    }

    pub(crate) async fn start_async<T: Send + 'static>(
        mut store: StoreContextMut<'_, T>,
        component: Option<u32>,
        module: &Module,
        imports: &[runtime::Extern],
    ) -> Result<Self> {
        store.remember(module);
        let made = store.0.instantiate_async(component, module.code(), imports);
        let id = made.await;
        let id = id.map_err(|error| store.error(error))?;
        Ok(Self { id })
    }

    /// The module it is an instance of.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn module<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> &'a Module {
        let store = store.into();
        store.module_of(store.0.instance_code(self.id))
    }

    /// Its exports, in order.
    pub fn exports<'a, T: 'static>(
        &'a self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> impl ExactSizeIterator<Item = Export<'a>> + 'a {
        let store: &'a crate::store::Inner<T> = store.into().0;
        let names = &store.instance_code(self.id).shape().exports;
        names.iter().enumerate().map(move |(i, export)| {
            let item = Extern::from_raw(store, store.export_at(self.id, i));
            Export::new(&export.name, item)
        })
    }

    /// The export of this name.
    pub fn get_export(&self, mut store: impl AsContextMut, name: &str) -> Option<Extern> {
        let store = store.as_context_mut();
        let raw = store.0.export(self.id, name)?;
        Some(Extern::from_raw(store.0, raw))
    }

    /// The exported function of this name.
    pub fn get_func(&self, store: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// The exported function of this name, its type checked.
    ///
    /// # Errors
    /// If there is no export of this name, or it is something else.
    pub fn get_typed_func<Params: WasmParams, Results: WasmResults>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<Params, Results>> {
        let export = self.get_export(store.as_context_mut(), name);
        let func = export
            .and_then(Extern::into_func)
            .ok_or_else(|| format_err!("no function is exported as `{name}`"))?;
        func.typed(store)
            .map_err(|error| error.context(format!("the exported function `{name}` is of another type")))
    }

    /// The exported table of this name.
    pub fn get_table(&self, store: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// The exported memory of this name, if it is one that belongs to the store.
    pub fn get_memory(&self, store: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// The exported tag of this name.
    pub fn get_tag(&self, store: impl AsContextMut, name: &str) -> Option<Tag> {
        self.get_export(store, name)?.into_tag()
    }

    /// The exported memory of this name, if it is one that stores share.
    pub fn get_shared_memory(&self, store: impl AsContextMut, name: &str) -> Option<SharedMemory> {
        self.get_export(store, name)?.into_shared_memory()
    }

    /// The exported global of this name.
    pub fn get_global(&self, store: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }
}

fn check_imports<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    module: &Module,
    imports: &[Extern],
) -> Result<Vec<runtime::Extern>> {
    check_engine(store.engine(), module)?;
    let expected = module.imports().len();
    if imports.len() != expected {
        bail!("expected {expected} imports, found {}", imports.len());
    }
    for (import, item) in module.imports().zip(imports) {
        item.check_store(store.as_context())?;
        check_import(&import, &item.ty(store.as_context()))?;
    }
    imports.iter().map(|item| item.raw(&mut *store.0)).collect()
}

pub(crate) fn check_engine(engine: &Engine, module: &Module) -> Result<()> {
    if !Engine::same(engine, module.engine()) {
        bail!("a module of one engine cannot be instantiated in a store of another");
    }
    Ok(())
}

/// A module whose imports were found, to make many instances from.
///
/// ```
/// use cellwall::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("host", "two", || 2i32)?;
/// let module = Module::new(&engine, r#"
///     (module
///       (import "host" "two" (func $two (result i32)))
///       (func (export "four") (result i32) (i32.add (call $two) (call $two))))
/// "#)?;
/// let pre = linker.instantiate_pre(&module)?;
/// for _ in 0..3 {
///     let mut store = Store::new(&engine, ());
///     let instance = pre.instantiate(&mut store)?;
///     let four = instance.get_typed_func::<(), i32>(&mut store, "four")?;
///     assert_eq!(four.call(&mut store, ())?, 4);
/// }
/// # cellwall::Ok(())
/// ```
pub struct InstancePre<T: 'static> {
    module: Module,
    /// In the order of the module's imports.
    imports: Arc<[Definition<T>]>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            module: self.module.clone(),
            imports: Arc::clone(&self.imports),
        }
    }
}

impl<T: 'static> InstancePre<T> {
    /// From definitions whose types, as far as they are known without a store, were compared.
    pub(crate) fn new(module: &Module, imports: Vec<Definition<T>>) -> Self {
        Self {
            module: module.clone(),
            imports: imports.into(),
        }
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Makes an instance and runs its start function.
    ///
    /// # Errors
    /// If what was found belongs to another store, or a memory or table has grown too small or too
    /// large since; if the store's limiter refuses; if a segment does not fit its memory or table;
    /// and whatever ends the start function.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let mut imports = store.0.take_imports();
        self.imports_in(&mut store, &mut imports)?;
        let made = Instance::start(StoreContextMut(&mut *store.0), None, &self.module, &imports);
        store.0.keep_imports(imports);
        made
    }

    /// Likewise, where host functions may wait that the start function calls.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate); and if too many such calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    pub async fn instantiate_async(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance>
    where
        T: Send,
    {
        let mut store = store.as_context_mut();
        let mut imports = store.0.take_imports();
        self.imports_in(&mut store, &mut imports)?;
        let made = Instance::start_async(StoreContextMut(&mut *store.0), None, &self.module, &imports).await;
        store.0.keep_imports(imports);
        made
    }

    /// Adds the imports as they are in this store to an empty list.
    fn imports_in(
        &self,
        store: &mut StoreContextMut<'_, T>,
        imports: &mut Vec<runtime::Extern>,
    ) -> Result<()> {
        check_engine(store.engine(), &self.module)?;
        for (index, definition) in self.imports.iter().enumerate() {
            let item = definition.in_store(store)?;
            if definition.may_have_changed() {
                check_import(&self.module.import_at(index), &item.ty(store.as_context()))?;
            }
            imports.push(item.raw(&mut *store.0)?);
        }
        Ok(())
    }
}
