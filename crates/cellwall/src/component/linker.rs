//! What the host gives components: functions, resources, core modules and instances, by name.

use super::call::FromGuest;
use super::shared::Later;
use super::typed::{ComponentNamedList, Lift, Lower};
use super::types::{ComponentFunc, ComponentItem};
use super::{Component, Instance, ResourceType, Val};
use crate::{AsContextMut, Engine, Module, Result, StoreContextMut, bail, format_err};
use cellwall_component::{FuncType, Item, Items, ModuleRef, ResourceId, TypeItem, compatible_name};
use cellwall_runtime::HostFuture;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::ops::Bound;
use std::sync::Arc;

type Call<T> = dyn Fn(StoreContextMut<'_, T>, &ComponentFunc, &[Val], &mut [Val]) -> Result<()> + Send + Sync;
/// The results of a host function that is a future, once there is a store to make them in.
pub(crate) type Returned<T> = Box<dyn FnOnce(&mut StoreContextMut<'_, T>) -> Result<Vec<Val>>>;
type CallAsync<T> = dyn for<'a> Fn(
        StoreContextMut<'a, T>,
        &ComponentFunc,
        Vec<Val>,
    ) -> Result<HostFuture<'a, Result<Returned<T>>>>
    + Send
    + Sync;
type Check = dyn Fn(&ComponentFunc) -> Result<()> + Send + Sync;
type DropNow<T> = dyn Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync;
type DropAsync<T> = dyn for<'a> Fn(StoreContextMut<'a, T>, u32) -> Box<dyn Future<Output = Result<()>> + Send + 'a>
    + Send
    + Sync;

/// A function of the host.
pub(crate) struct HostFunc<T: 'static> {
    pub(crate) body: Body<T>,
    check: Box<Check>,
}

/// What a function of the host does.
pub(crate) enum Body<T: 'static> {
    Plain(Box<Call<T>>),
    Async(Box<CallAsync<T>>),
    Typed(Box<CallTyped<T>>),
    TypedAsync(Box<CallTypedAsync<T>>),
}

/// From the bits of the core arguments to those of the core result.
type CallTyped<T> = dyn Fn(&mut StoreContextMut<'_, T>, &FromGuest<'_>, &[u64]) -> Result<u64> + Send + Sync;
/// The core result of a host function that is a future, once there is a store to make it in.
pub(crate) type ReturnedTyped<T> =
    Box<dyn FnOnce(&mut StoreContextMut<'_, T>, &FromGuest<'_>, &[u64]) -> Result<u64>>;
type CallTypedAsync<T> = dyn for<'a> Fn(
        StoreContextMut<'a, T>,
        &FromGuest<'_>,
        &[u64],
    ) -> Result<HostFuture<'a, Result<ReturnedTyped<T>>>>
    + Send
    + Sync;

/// The destructor of a resource of the host.
pub(crate) enum Drop<T: 'static> {
    Plain(Box<DropNow<T>>),
    Async(Box<DropAsync<T>>),
}

/// Something defined in a linker.
pub(crate) enum Definition<T: 'static> {
    Func(Arc<HostFunc<T>>),
    Resource(ResourceType, Arc<Drop<T>>),
    Module(Module),
    Instance(Names<T>),
}

type Names<T> = BTreeMap<Arc<str>, Definition<T>>;

impl<T: 'static> Clone for Definition<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Func(func) => Self::Func(func.clone()),
            Self::Resource(ty, dtor) => Self::Resource(*ty, dtor.clone()),
            Self::Module(module) => Self::Module(module.clone()),
            Self::Instance(names) => Self::Instance(names.clone()),
        }
    }
}

impl<T: 'static> Definition<T> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Func(_) => "func",
            Self::Resource(..) => "resource",
            Self::Module(_) => "module",
            Self::Instance(_) => "instance",
        }
    }
}

/// Definitions by name, from which components get their imports. It belongs to no store: made once,
/// it is used for every store, on any thread.
///
/// An import with a version is given what is defined under a compatible one, if there is nothing
/// under its own: `a:b/c@1.2.0` fits `a:b/c@1.0.1`.
///
/// ```
/// use cellwall::component::{Component, Linker, Val};
/// use cellwall::{Engine, Store};
///
/// let engine = Engine::default();
/// let component = Component::new(&engine, r#"
///     (component (import "a:b/c@1.2.0" (instance (export "f" (func)))))
/// "#)?;
/// let mut linker = Linker::<()>::new(&engine);
/// let error = linker.instantiate_pre(&component).unwrap_err();
/// assert!(error.to_string().contains("a:b/c@1.2.0"), "{error}");
///
/// linker.instance("a:b/c@1.0.1")?.func_wrap("f", |_store, (): ()| Ok(()))?;
/// linker.instantiate(Store::new(&engine, ()), &component)?;
/// # cellwall::Ok(())
/// ```
pub struct Linker<T: 'static> {
    engine: Engine,
    names: Names<T>,
    allow_shadowing: bool,
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            names: self.names.clone(),
            allow_shadowing: self.allow_shadowing,
        }
    }
}

impl<T: 'static> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names.keys()).finish()
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without definitions.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            names: Names::new(),
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

    /// To define what components import by itself.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance {
            names: &mut self.names,
            allow_shadowing: self.allow_shadowing,
        }
    }

    /// To define what components import in an instance of this name; the same as
    /// `root().instance(name)`.
    ///
    /// # Errors
    /// If the name is something else already.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        self.root().into_instance(name)
    }

    /// Finds everything that a component imports, and compares types. Nothing is run.
    ///
    /// # Errors
    /// With the name and type of the import, and what is there instead.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>> {
        if !Engine::same(&self.engine, component.engine()) {
            bail!("a component of one engine cannot be linked by a linker of another");
        }
        let mut matching = Matching {
            component,
            resources: vec![None; component.plan().resources.len()],
            found: vec![None; component.plan().imported.len()],
            path: Vec::new(),
        };
        matching.items(&component.plan().imports, &self.names)?;
        Ok(InstancePre {
            component: component.clone(),
            imports: matching.found.into(),
            later: Arc::default(),
        })
    }

    /// [`instantiate_pre`](Self::instantiate_pre), then [`InstancePre::instantiate`].
    ///
    /// # Errors
    /// As both.
    pub fn instantiate(&self, store: impl AsContextMut<Data = T>, component: &Component) -> Result<Instance> {
        self.instantiate_pre(component)?.instantiate(store)
    }

    /// [`instantiate_pre`](Self::instantiate_pre), then [`InstancePre::instantiate_async`].
    ///
    /// # Errors
    /// As both.
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance>
    where
        T: Send,
    {
        self.instantiate_pre(component)?.instantiate_async(store).await
    }

    /// Defines what a component imports and is not there yet: functions that trap, and resources of
    /// their own.
    ///
    /// # Errors
    /// If something is there that is of another kind.
    pub fn define_unknown_imports_as_traps(&mut self, component: &Component) -> Result<()> {
        fn define<T: 'static>(instance: &mut LinkerInstance<'_, T>, items: &Items) -> Result<()> {
            for (name, item) in &items.0 {
                let known = find(instance.names, name).is_some();
                match item {
                    Item::Instance(items) => {
                        define(&mut instance.instance(name)?, items)?;
                    }
                    Item::Func(..) if !known => {
                        let message = format!("unknown import: `{name}` has not been defined");
                        instance.func_new(name, move |_, _, _, _| Err(format_err!("{}", message)))?;
                    }
                    Item::Type(TypeItem::Resource(id)) if !known => {
                        let ty = ResourceType::host_dynamic(u32::MAX - id.0);
                        instance.resource(name, ty, |_, _| Ok(()))?;
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        let items = component.plan().imports.clone();
        define(&mut self.root(), &items)
    }
}

/// Whether a function of the component is of these types.
pub(crate) fn check<Params, Return>(ty: &ComponentFunc) -> Result<()>
where
    Params: ComponentNamedList,
    Return: ComponentNamedList,
{
    let params: Vec<_> = ty.params().map(|(_, ty)| ty).collect();
    Params::typecheck_list(&params).map_err(|error| error.context("type mismatch with parameters"))?;
    let results: Vec<_> = ty.results().collect();
    Return::typecheck_list(&results).map_err(|error| error.context("type mismatch with results"))
}

/// Tells the Rust compiler how the lifetimes of a closure belong together.
fn box_async<T: 'static>(
    call: impl for<'a> Fn(
        StoreContextMut<'a, T>,
        &ComponentFunc,
        Vec<Val>,
    ) -> Result<HostFuture<'a, Result<Returned<T>>>>
    + Send
    + Sync
    + 'static,
) -> Box<CallAsync<T>> {
    Box::new(call)
}

/// The same.
fn box_typed_async<T: 'static>(
    call: impl for<'a> Fn(
        StoreContextMut<'a, T>,
        &FromGuest<'_>,
        &[u64],
    ) -> Result<HostFuture<'a, Result<ReturnedTyped<T>>>>
    + Send
    + Sync
    + 'static,
) -> Box<CallTypedAsync<T>> {
    Box::new(call)
}

/// Finds a name, or a compatible version of it.
fn find<'n, T>(names: &'n Names<T>, name: &str) -> Option<&'n Definition<T>> {
    if let Some(found) = names.get(name) {
        return Some(found);
    }
    let wanted = compatible_name(name)?;
    let base = &name[..=name.rfind('@')?];
    let versions = names
        .range::<str, _>((Bound::Included(base), Bound::Unbounded))
        .take_while(|(name, _)| name.starts_with(base));
    let fitting = versions.filter(|(name, _)| compatible_name(name).as_ref() == Some(&wanted));
    fitting.last().map(|(_, found)| found)
}

/// Names of an instance of the host, or of the root.
pub struct LinkerInstance<'a, T: 'static> {
    names: &'a mut Names<T>,
    allow_shadowing: bool,
}

impl<'a, T: 'static> LinkerInstance<'a, T> {
    fn insert(&mut self, name: &str, definition: Definition<T>) -> Result<()> {
        if !self.allow_shadowing && self.names.contains_key(name) {
            bail!("`{name}` is already defined");
        }
        self.names.insert(name.into(), definition);
        Ok(())
    }

    /// Defines a function whose types are known to Rust. Parameters and results are tuples.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_wrap<F, Params, Return>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: Fn(StoreContextMut<'_, T>, Params) -> Result<Return> + Send + Sync + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let call = move |store: &mut StoreContextMut<'_, T>, guest: &FromGuest<'_>, from: &[u64]| {
            let params = guest.lift(store, from)?;
            let returned: Return = func(store.as_context_mut(), params)?;
            guest.lower(store, from, &returned)
        };
        let func = HostFunc {
            body: Body::Typed(Box::new(call)),
            check: Box::new(check::<Params, Return>),
        };
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a function that is a future, whose types are known to Rust. Parameters and results are
    /// tuples.
    ///
    /// The future is polled on the stack of the thread. While it is pending, the guest waits: its stack is
    /// parked, and the [`call_async`](super::Func::call_async) that called it is pending, too. If it was
    /// called by [`call`](super::Func::call), a future that is ready at once is as good as a plain
    /// function, and one that is not ends the call with an error.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_wrap_async<F, Params, Return>(&mut self, name: &str, func: F) -> Result<()>
    where
        F: for<'f> Fn(StoreContextMut<'f, T>, Params) -> Box<dyn Future<Output = Result<Return>> + Send + 'f>
            + Send
            + Sync
            + 'static,
        Params: ComponentNamedList + Lift + 'static,
        Return: ComponentNamedList + Lower + 'static,
    {
        let call = box_typed_async(move |mut store, guest, from| {
            let params = guest.lift(&mut store, from)?;
            let returns = Box::into_pin(func(store, params));
            Ok(Box::pin(async move {
                let returned = returns.await?;
                let later: ReturnedTyped<T> =
                    Box::new(move |store, guest, from| guest.lower(store, from, &returned));
                Ok(later)
            }))
        });
        let func = HostFunc {
            body: Body::TypedAsync(call),
            check: Box::new(check::<Params, Return>),
        };
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a function that takes values of any type. It gets its type as the component has it,
    /// the parameters, and a slice of results to fill.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_new(
        &mut self,
        name: &str,
        func: impl Fn(StoreContextMut<'_, T>, &ComponentFunc, &[Val], &mut [Val]) -> Result<()>
        + Send
        + Sync
        + 'static,
    ) -> Result<()> {
        let func = HostFunc {
            body: Body::Plain(Box::new(func)),
            check: Box::new(|_| Ok(())),
        };
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a function that is a future, and takes values of any type. It gets its type as the
    /// component has it, the parameters, and a slice of results to fill. See
    /// [`func_wrap_async`](Self::func_wrap_async).
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn func_new_async<F>(&mut self, name: &str, func: F) -> Result<()>
    where
        T: Send,
        F: for<'f> Fn(
                StoreContextMut<'f, T>,
                ComponentFunc,
                &'f [Val],
                &'f mut [Val],
            ) -> Box<dyn Future<Output = Result<()>> + Send + 'f>
            + Send
            + Sync
            + 'static,
    {
        let func = Arc::new(func);
        let call = box_async(move |store, ty, params| {
            let (func, ty) = (func.clone(), ty.clone());
            Ok(Box::pin(async move {
                let mut results = vec![Val::Bool(false); ty.results().len()];
                Box::into_pin(func(store, ty, &params, &mut results)).await?;
                let later: Returned<T> = Box::new(|_| Ok(results));
                Ok(later)
            }))
        });
        let func = HostFunc {
            body: Body::Async(call),
            check: Box::new(|_| Ok(())),
        };
        self.insert(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a resource, with what is called with the representation of one whose last handle a
    /// guest has dropped.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn resource(
        &mut self,
        name: &str,
        ty: ResourceType,
        dtor: impl Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let dtor = Drop::Plain(Box::new(dtor));
        self.insert(name, Definition::Resource(ty, Arc::new(dtor)))
    }

    /// Defines a resource whose destructor is a future; the guest that drops a handle waits for it.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn resource_async<F>(&mut self, name: &str, ty: ResourceType, dtor: F) -> Result<()>
    where
        F: for<'f> Fn(StoreContextMut<'f, T>, u32) -> Box<dyn Future<Output = Result<()>> + Send + 'f>
            + Send
            + Sync
            + 'static,
    {
        let dtor = Drop::Async(Box::new(dtor));
        self.insert(name, Definition::Resource(ty, Arc::new(dtor)))
    }

    /// Defines a core module.
    ///
    /// # Errors
    /// If the name is defined already.
    pub fn module(&mut self, name: &str, module: &Module) -> Result<()> {
        self.insert(name, Definition::Module(module.clone()))
    }

    /// To define what is in an instance of this name; it may have been begun before.
    ///
    /// # Errors
    /// If the name is something else already.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>> {
        LinkerInstance {
            names: self.names,
            allow_shadowing: self.allow_shadowing,
        }
        .into_instance(name)
    }

    /// The same, for as long as the linker is borrowed.
    ///
    /// # Errors
    /// As [`instance`](Self::instance).
    pub fn into_instance(self, name: &str) -> Result<LinkerInstance<'a, T>> {
        let entry = self.names.entry(name.into());
        match entry.or_insert_with(|| Definition::Instance(Names::new())) {
            Definition::Instance(names) => Ok(LinkerInstance {
                names,
                allow_shadowing: self.allow_shadowing,
            }),
            other => bail!("`{name}` is already defined, as a {}", other.kind()),
        }
    }
}

/// The comparison of what a component imports with what there is.
struct Matching<'a, T: 'static> {
    component: &'a Component,
    resources: Vec<Option<ResourceType>>,
    found: Vec<Option<Definition<T>>>,
    path: Vec<Arc<str>>,
}

impl<T: 'static> Matching<'_, T> {
    fn items(&mut self, items: &Items, names: &Names<T>) -> Result<()> {
        for (name, item) in &items.0 {
            self.path.push(name.clone());
            self.item(item, find(names, name))?;
            self.path.pop();
        }
        Ok(())
    }

    fn item(&mut self, item: &Item, found: Option<&Definition<T>>) -> Result<()> {
        let path = self.path.join("#");
        let names = |id: ResourceId| {
            let known = self.resources[id.0 as usize];
            known.unwrap_or(ResourceType::uninstantiated(id))
        };
        let expected = match item {
            // A type that is not abstract is nothing that could be given.
            Item::Type(TypeItem::Val(_) | TypeItem::Func(_) | TypeItem::Other) => return Ok(()),
            Item::Func(..) => "func",
            Item::Type(TypeItem::Resource(_)) => "resource",
            Item::Instance(_) => "instance",
            Item::Module(_) => "module",
            Item::Component => "component",
        };
        let described = || match ComponentItem::of(item, &names) {
            ComponentItem::ComponentFunc(ty) => ty.to_string(),
            _ => expected.to_owned(),
        };
        let Some(found) = found else {
            // An instance with nothing in it need not be there.
            if let Item::Instance(items) = item
                && is_empty(items)
            {
                return Ok(());
            }
            // A resource that another import has named already.
            if let Item::Type(TypeItem::Resource(id)) = item
                && self.resources[id.0 as usize].is_some()
            {
                return Ok(());
            }
            bail!(
                "unknown import: the component imports `{path}` ({}), and a matching implementation was not \
                 found in the linker",
                described()
            );
        };
        match (item, found) {
            (Item::Func(func, ty), Definition::Func(host)) => {
                let checked = (host.check)(&ComponentFunc::of(ty, &names));
                checked.map_err(|error| {
                    let described = described();
                    error.context(format!(
                        "incompatible import type for `{path}`: the component imports it as `{described}`"
                    ))
                })?;
                if let cellwall_component::FuncRef::Import(index) = func {
                    self.found[*index as usize] = Some(found.clone());
                }
            }
            (Item::Type(TypeItem::Resource(id)), Definition::Resource(ty, _)) => {
                let slot = &mut self.resources[id.0 as usize];
                if slot.is_some_and(|known| known != *ty) {
                    bail!("incompatible import type for `{path}`: mismatched resource types");
                }
                *slot = Some(*ty);
                let origin = &self.component.plan().resources[id.0 as usize];
                if let cellwall_component::ResourceOrigin::Import(index) = origin {
                    self.found[*index as usize] = Some(found.clone());
                }
            }
            (Item::Instance(items), Definition::Instance(names)) => self.items(items, names)?,
            (Item::Module(ModuleRef::Import(index, ty)), Definition::Module(module)) => {
                super::instantiate::check_module(ty, module)
                    .map_err(|error| error.context(format!("incompatible import type for `{path}`")))?;
                self.found[*index as usize] = Some(found.clone());
            }
            (_, found) => bail!(
                "incompatible import type for `{path}`: the component imports a {expected}, and the linker has a \
                 {}: expected {expected} found {}",
                found.kind(),
                found.kind()
            ),
        }
        Ok(())
    }
}

/// Whether nothing inside is asked for.
fn is_empty(items: &Items) -> bool {
    items.0.iter().all(|(_, item)| match item {
        Item::Instance(items) => is_empty(items),
        Item::Type(TypeItem::Val(_) | TypeItem::Func(_) | TypeItem::Other) => true,
        _ => false,
    })
}

/// A component with everything that it imports.
pub struct InstancePre<T: 'static> {
    component: Component,
    /// By the rows of the plan.
    pub(crate) imports: Arc<[Option<Definition<T>>]>,
    /// What its instances have in common.
    pub(crate) later: Arc<Later<T>>,
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            component: self.component.clone(),
            imports: self.imports.clone(),
            later: self.later.clone(),
        }
    }
}

impl<T: 'static> fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePre").finish_non_exhaustive()
    }
}

impl<T: 'static> InstancePre<T> {
    /// The component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Instantiates it in a store.
    ///
    /// # Errors
    /// What the instantiation of its core modules fails with.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        super::instantiate::instantiate(store.as_context_mut(), self)
    }

    /// Instantiates it in a store, where host functions may wait that start functions call. If the future
    /// is dropped before it is ready, there is no instance.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate); and if too many asynchronous calls are under way
    /// ([`Config::async_calls_max`](crate::Config::async_calls_max)).
    pub async fn instantiate_async(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance>
    where
        T: Send,
    {
        super::instantiate::instantiate_async(store.as_context_mut(), self).await
    }
}

/// The type of a function, with resources as a root has them.
pub(crate) fn func_type_in(state: &super::State, root: usize, ty: &FuncType) -> ComponentFunc {
    ComponentFunc::of(ty, &super::types::names_in(state, root))
}
