//! Finding imports by name.
//!
//! Requires that everything defined is of one engine. Guarantees that host functions defined here
//! belong to no store: one linker serves any number of stores on any number of threads.

use crate::func::{HostFunc, untyped, untyped_async, wrapped, wrapped_async};
use crate::instance::check_engine;
use crate::matching::check_import;
use crate::{
    AsContext, AsContextMut, Caller, Engine, Extern, ExternType, Func, FuncType, ImportType, Instance,
    InstancePre, IntoFunc, Module, Result, StoreContext, StoreContextMut, Val, WasmRet, WasmTyList, bail,
    format_err,
};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

type Names<T> = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Definition<T>>>;

/// Definitions by module and name, from which modules get their imports. Cheap to clone.
///
/// Host functions that are [wrapped](Self::func_wrap) here belong to no store, so a linker is made
/// once and used for every store, on any thread. What is [defined](Self::define) from a store can
/// only be used with that store.
///
/// ```
/// use cellwall::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("math", "double", |x: i32| x * 2)?;
///
/// let module = Module::new(&engine, r#"
///     (module
///       (import "math" "double" (func $double (param i32) (result i32)))
///       (func (export "quadruple") (param i32) (result i32)
///         (call $double (call $double (local.get 0)))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = linker.instantiate(&mut store, &module)?;
/// let quadruple = instance.get_typed_func::<i32, i32>(&mut store, "quadruple")?;
/// assert_eq!(quadruple.call(&mut store, 10)?, 40);
///
/// let other = Module::new(&engine, r#"(module (import "math" "half" (func)))"#)?;
/// let error = linker.instantiate(&mut store, &other).unwrap_err();
/// assert_eq!(error.to_string(), "unknown import: `math::half` has not been defined");
/// # cellwall::Ok(())
/// ```
pub struct Linker<T: 'static> {
    engine: Engine,
    names: Arc<Names<T>>,
    allow_shadowing: bool,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            names: Arc::clone(&self.names),
            allow_shadowing: self.allow_shadowing,
        }
    }
}

impl<T: 'static> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().flat_map(|(module, names)| {
            let full = move |name: &Arc<str>| format!("{module}::{name}");
            names.keys().map(full)
        });
        f.debug_set().entries(names).finish()
    }
}

/// Something defined in a linker.
pub(crate) enum Definition<T: 'static> {
    /// A host function, of no store.
    Host(HostFunc<T>),
    /// Something of a store, with the type it had when it was defined.
    Extern(Extern, ExternType),
}

impl<T: 'static> Clone for Definition<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Host(func) => Self::Host(func.clone()),
            Self::Extern(item, ty) => Self::Extern(item.clone(), ty.clone()),
        }
    }
}

impl<T: 'static> Definition<T> {
    fn of_store(store: StoreContext<'_, T>, item: Extern) -> Result<Self> {
        item.check_store(store)?;
        let ty = item.ty(store);
        Ok(Self::Extern(item, ty))
    }

    fn ty(&self) -> ExternType {
        match self {
            Self::Host(func) => func.ty().into(),
            Self::Extern(_, ty) => ty.clone(),
        }
    }

    /// Whether its type can be another than when it was defined: sizes change.
    pub(crate) fn may_have_changed(&self) -> bool {
        matches!(
            self,
            Self::Extern(_, ExternType::Memory(_) | ExternType::Table(_))
        )
    }

    /// It, in this store.
    pub(crate) fn in_store(&self, store: &mut StoreContextMut<'_, T>) -> Result<Extern> {
        match self {
            Self::Host(func) => Ok(func.in_store(store).into()),
            Self::Extern(item, _) => {
                item.check_store(store.as_context())?;
                Ok(item.clone())
            }
        }
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without definitions.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            names: Arc::default(),
            allow_shadowing: false,
        }
    }

    /// The engine it was made for.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again, replacing what it was; an error by default.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition<T>) -> Result<&mut Self> {
        if !self.allow_shadowing && self.find(module, name).is_some() {
            bail!("`{module}::{name}` is already defined");
        }
        let names = Arc::make_mut(&mut self.names);
        if let Some(names) = names.get_mut(module) {
            names.insert(name.into(), definition);
        } else {
            let first = BTreeMap::from([(name.into(), definition)]);
            names.insert(module.into(), first);
        }
        Ok(self)
    }

    fn find(&self, module: &str, name: &str) -> Option<&Definition<T>> {
        self.names.get(module)?.get(name)
    }

    /// Defines a name as something of a store.
    ///
    /// # Errors
    /// If the name is already defined (see [`allow_shadowing`](Self::allow_shadowing)), or the item
    /// belongs to another store.
    pub fn define(
        &mut self,
        store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        let definition = Definition::of_store(store.as_context(), item.into())?;
        self.insert(module, name, definition)
    }

    /// Defines a name as a host function whose type is known at run time; see [`Func::new`].
    ///
    /// # Errors
    /// If the name is already defined.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        let func = untyped(&self.engine, ty, func);
        self.insert(module, name, Definition::Host(func))
    }

    /// Defines a name as a closure; see [`Func::wrap`].
    ///
    /// # Errors
    /// If the name is already defined.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Result<&mut Self> {
        let func = wrapped(&self.engine, func);
        self.insert(module, name, Definition::Host(func))
    }

    /// Defines a name as a host function that is a future, whose type is known at run time; see
    /// [`Func::new_async`].
    ///
    /// # Errors
    /// If the name is already defined.
    pub fn func_new_async(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: impl for<'a> Fn(
            Caller<'a, T>,
            &'a [Val],
            &'a mut [Val],
        ) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Self>
    where
        T: Send,
    {
        let func = untyped_async(&self.engine, ty, func);
        self.insert(module, name, Definition::Host(func))
    }

    /// Defines a name as a closure that returns a future; see [`Func::wrap_async`].
    ///
    /// # Errors
    /// If the name is already defined.
    pub fn func_wrap_async<Params: WasmTyList, Results: WasmRet + 'static>(
        &mut self,
        module: &str,
        name: &str,
        func: impl for<'a> Fn(Caller<'a, T>, Params) -> Box<dyn Future<Output = Results> + Send + 'a>
        + Send
        + Sync
        + 'static,
    ) -> Result<&mut Self> {
        let func = wrapped_async(&self.engine, func);
        self.insert(module, name, Definition::Host(func))
    }

    /// Defines all exports of an instance under a module name.
    ///
    /// # Errors
    /// If a name is already defined.
    ///
    /// ```
    /// use cellwall::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine, ());
    /// let mut linker = Linker::new(&engine);
    /// let first = Module::new(&engine, r#"(module (func (export "one") (result i32) (i32.const 1)))"#)?;
    /// let second = Module::new(&engine, r#"
    ///     (module (import "first" "one" (func (result i32))) (export "same" (func 0)))
    /// "#)?;
    /// let first = linker.instantiate(&mut store, &first)?;
    /// linker.instance(&mut store, "first", first)?;
    /// let second = linker.instantiate(&mut store, &second)?;
    /// let same = second.get_typed_func::<(), i32>(&mut store, "same")?;
    /// assert_eq!(same.call(&mut store, ())?, 1);
    /// # cellwall::Ok(())
    /// ```
    pub fn instance(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        let mut store = store.as_context_mut();
        let exports: Vec<_> = instance
            .exports(&mut store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect();
        for (name, item) in exports {
            let definition = Definition::of_store(store.as_context(), item)?;
            self.insert(module_name, &name, definition)?;
        }
        Ok(self)
    }

    /// Defines the exports of a module under a name.
    ///
    /// A *reactor* is instantiated at once, its `_initialize` is called if it has one, and its
    /// exports are defined. A *command*, which exports `_start`, is instantiated anew for each call
    /// of one of its functions; of a command, only functions are defined.
    ///
    /// # Errors
    /// If an import is not defined or does not fit, if a name is already defined, and whatever
    /// instantiation or `_initialize` fails with.
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        let has = |name| matches!(module.get_export(name), Some(ExternType::Func(_)));
        if has("_start") {
            return self.command(module_name, module);
        }
        let mut store = store.as_context_mut();
        let instance = self.instantiate(&mut store, module)?;
        if has("_initialize") {
            let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize")?;
            initialize.call(&mut store, ())?;
        }
        self.instance(store, module_name, instance)
    }

    /// Likewise, where host functions may wait: those that a start function or `_initialize` calls, and
    /// those that a function of a *command* calls, if that is called by a `call_async`.
    ///
    /// # Errors
    /// As [`module`](Self::module).
    pub async fn module_async(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self>
    where
        T: Send,
    {
        let has = |name| matches!(module.get_export(name), Some(ExternType::Func(_)));
        if has("_start") {
            return self.command_async(module_name, module);
        }
        let mut store = store.as_context_mut();
        let instance = self.instantiate_async(store.as_context_mut(), module).await?;
        if has("_initialize") {
            let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize")?;
            initialize.call_async(&mut store, ()).await?;
        }
        self.instance(store, module_name, instance)
    }

    fn command_async(&mut self, module_name: &str, module: &Module) -> Result<&mut Self>
    where
        T: Send,
    {
        let pre = self.instantiate_pre(module)?;
        for export in module.exports() {
            let ExternType::Func(ty) = export.ty() else {
                continue;
            };
            let (pre, export_name) = (pre.clone(), Arc::<str>::from(export.name()));
            self.func_new_async(
                module_name,
                export.name(),
                ty,
                move |mut caller, params, results| {
                    let (pre, export_name) = (pre.clone(), export_name.clone());
                    Box::new(async move {
                        let instance = pre.instantiate_async(&mut caller).await?;
                        let func = instance.get_func(&mut caller, &export_name);
                        let func = func.expect("the module exports a function of this name");
                        func.call_async(&mut caller, params, results).await
                    })
                },
            )?;
        }
        self.default_export(module_name, module)
    }

    fn command(&mut self, module_name: &str, module: &Module) -> Result<&mut Self> {
        let pre = self.instantiate_pre(module)?;
        for export in module.exports() {
            let ExternType::Func(ty) = export.ty() else {
                continue;
            };
            let (pre, export_name) = (pre.clone(), export.name().to_owned());
            let call = move |mut caller: Caller<'_, T>, params: &[Val], results: &mut [Val]| {
                let instance = pre.instantiate(&mut caller)?;
                let func = instance.get_func(&mut caller, &export_name);
                let func = func.expect("the module exports a function of this name");
                func.call(&mut caller, params, results)
            };
            self.func_new(module_name, export.name(), ty, call)?;
        }
        self.default_export(module_name, module)
    }

    /// A command has a main function even if it does not say so.
    fn default_export(&mut self, module_name: &str, module: &Module) -> Result<&mut Self> {
        if module.get_export("").is_none() {
            self.alias(module_name, "_start", module_name, "")?;
        }
        Ok(self)
    }

    /// Gives a definition a second name.
    ///
    /// # Errors
    /// If the first name is not defined, or the second one already is.
    pub fn alias(&mut self, module: &str, name: &str, as_module: &str, as_name: &str) -> Result<&mut Self> {
        let definition = self.find(module, name).cloned();
        let definition = definition.ok_or_else(|| format_err!("`{module}::{name}` is not defined"))?;
        self.insert(as_module, as_name, definition)
    }

    /// Gives all definitions of a module a second module name.
    ///
    /// # Errors
    /// If a name is already defined.
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<()> {
        let names = self.names.get(module).cloned().unwrap_or_default();
        for (name, definition) in names {
            self.insert(as_module, &name, definition)?;
        }
        Ok(())
    }

    /// Defines every imported function of a module that is not defined as one that fails with an
    /// [`UnknownImportError`] when it is called.
    ///
    /// # Errors
    /// None in this version.
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in module.imports() {
            let ExternType::Func(ty) = import.ty() else {
                continue;
            };
            if self.find(import.module(), import.name()).is_some() {
                continue;
            }
            let error = UnknownImportError::new(&import);
            let fail = move |_: Caller<'_, T>, _: &[Val], _: &mut [Val]| bail!(error.clone());
            self.func_new(import.module(), import.name(), ty, fail)?;
        }
        Ok(())
    }

    /// Makes an instance with imports found here, and runs its start function.
    ///
    /// # Errors
    /// An [`UnknownImportError`] if an import is not defined; otherwise as [`Instance::new`].
    pub fn instantiate(&self, store: impl AsContextMut<Data = T>, module: &Module) -> Result<Instance> {
        self.instantiate_pre(module)?.instantiate(store)
    }

    /// Likewise, where host functions may wait that the start function calls.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate); and if too many such calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<Instance>
    where
        T: Send,
    {
        self.instantiate_pre(module)?.instantiate_async(store).await
    }

    /// Finds the imports of a module, to make many instances from.
    ///
    /// # Errors
    /// An [`UnknownImportError`] if an import is not defined; if one is of another type, or the
    /// module of another engine.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        check_engine(&self.engine, module)?;
        let mut imports = Vec::with_capacity(module.imports().len());
        for import in module.imports() {
            let definition = self
                .find(import.module(), import.name())
                .ok_or_else(|| UnknownImportError::new(&import))?;
            if !definition.may_have_changed() {
                check_import(&import, &definition.ty())?;
            }
            imports.push(definition.clone());
        }
        Ok(InstancePre::new(module, imports))
    }

    /// All definitions, in order of their names.
    pub fn iter<'a: 'p, 'p>(
        &'a self,
        mut store: impl AsContextMut<Data = T> + 'p,
    ) -> impl Iterator<Item = (&'a str, &'a str, Extern)> + 'p {
        self.names
            .iter()
            .flat_map(|(module, names)| {
                let full =
                    move |(name, definition): (&'a Arc<str>, &'a Definition<T>)| (module, name, definition);
                names.iter().map(full)
            })
            .filter_map(move |(module, name, definition)| {
                let item = definition.in_store(&mut store.as_context_mut()).ok()?;
                Some((&**module, &**name, item))
            })
    }

    /// What a name is defined as; `None` if it is not, or belongs to another store.
    pub fn get(&self, mut store: impl AsContextMut<Data = T>, module: &str, name: &str) -> Option<Extern> {
        let definition = self.find(module, name)?;
        definition.in_store(&mut store.as_context_mut()).ok()
    }

    /// What an import is defined as; `None` if it is not, or belongs to another store.
    pub fn get_by_import(
        &self,
        store: impl AsContextMut<Data = T>,
        import: &ImportType<'_>,
    ) -> Option<Extern> {
        self.get(store, import.module(), import.name())
    }

    /// The main function of a module defined here: its export `""`, otherwise `_start`, otherwise
    /// a function that does nothing.
    ///
    /// # Errors
    /// If that export is no function.
    pub fn get_default(&self, mut store: impl AsContextMut<Data = T>, module: &str) -> Result<Func> {
        for name in ["", "_start"] {
            match self.get(store.as_context_mut(), module, name) {
                Some(Extern::Func(func)) => return Ok(func),
                Some(_) => bail!("the default export `{module}::{name}` is no function"),
                None => {}
            }
        }
        Ok(Func::wrap(store, || {}))
    }
}

/// An import that is not defined.
#[derive(Clone, Debug)]
pub struct UnknownImportError {
    module: String,
    name: String,
    ty: ExternType,
}

impl UnknownImportError {
    fn new(import: &ImportType<'_>) -> Self {
        Self {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            ty: import.ty(),
        }
    }

    /// The module that it should be imported from.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// Its name in that module.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is expected.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

impl fmt::Display for UnknownImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { module, name, .. } = self;
        write!(f, "unknown import: `{module}::{name}` has not been defined")
    }
}

impl std::error::Error for UnknownImportError {}
