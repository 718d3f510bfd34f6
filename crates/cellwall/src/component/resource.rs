//! Resources: things that are passed by handle.

use super::layout::Layout;
use super::lift::Lifting;
use super::lower::Lowering;
use super::typed::{ComponentType, Lift, Lower, TypeRef, is_type, mismatch};
use super::types::Type;
use crate::{AsContextMut, Result, StoreContextMut, bail};
use cellwall_runtime::StoreId;
use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;

/// The type of a resource: of the host, or of a component instance.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceType(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Host(TypeId),
    HostDynamic(u32),
    Guest(StoreId, u32),
    Abstract(u32),
}

impl ResourceType {
    /// The type of resources that the host has as a `T`.
    pub fn host<T: 'static>() -> Self {
        Self(Kind::Host(TypeId::of::<T>()))
    }

    /// A type of the host without a Rust type: equal numbers are equal types.
    pub fn host_dynamic(number: u32) -> Self {
        Self(Kind::HostDynamic(number))
    }

    pub(crate) fn guest(store: StoreId, number: u32) -> Self {
        Self(Kind::Guest(store, number))
    }

    /// A resource of a component that is not instantiated.
    pub(crate) fn uninstantiated(id: cellwall_component::ResourceId) -> Self {
        Self(Kind::Abstract(id.0))
    }

    fn is_guest(self) -> bool {
        matches!(self.0, Kind::Guest(..))
    }
}

impl fmt::Debug for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Host(_) => f.write_str("ResourceType(host)"),
            Kind::HostDynamic(number) => write!(f, "ResourceType(host {number})"),
            Kind::Guest(_, number) => write!(f, "ResourceType(guest {number})"),
            Kind::Abstract(number) => write!(f, "ResourceType({number})"),
        }
    }
}

/// A resource that the host holds, of whatever type. Just a handle: what is owned must be passed on
/// or [dropped](Self::resource_drop).
///
/// ```
/// use cellwall::component::{Resource, ResourceAny, ResourceType};
/// use cellwall::{Engine, Store};
///
/// struct File;
/// let mut store = Store::new(&Engine::default(), ());
/// let any = ResourceAny::new_host(&mut store, Resource::<File>::new_own(7))?;
/// assert!(any.owned() && any.ty() == ResourceType::host::<File>());
/// assert_eq!(any.into_resource::<File>(&mut store)?.rep(), 7);
/// assert!(any.into_resource::<File>(&mut store).is_err(), "it is gone");
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceAny {
    pub(crate) store: StoreId,
    pub(crate) index: u32,
    pub(crate) ty: ResourceType,
    pub(crate) owned: bool,
    /// It is in no table: `index` is the representation of a resource of the host.
    pub(crate) direct: bool,
    /// The root and number of a resource type that has a destructor to call.
    pub(crate) origin: Option<(usize, cellwall_component::ResourceId)>,
}

impl ResourceAny {
    /// Its type.
    pub fn ty(&self) -> ResourceType {
        self.ty
    }

    /// Whether the host owns it; otherwise it was lent for a call.
    pub fn owned(&self) -> bool {
        self.owned
    }

    /// Puts a resource of the host into a store.
    ///
    /// # Errors
    /// If the store has too many.
    pub fn new_host<R: 'static>(mut store: impl AsContextMut, resource: Resource<R>) -> Result<Self> {
        let store = store.as_context_mut();
        let ty = ResourceType::host::<R>();
        let id = store.0.id();
        let index = store.0.data_mut().components.add_own(None, resource.rep, ty)?;
        Ok(Self {
            store: id,
            index,
            ty,
            owned: true,
            direct: false,
            origin: None,
        })
    }

    /// Takes a resource of the host back out of the store.
    ///
    /// # Errors
    /// If it is of another type or store, is gone, or is lent.
    pub fn into_resource<R: 'static>(self, mut store: impl AsContextMut) -> Result<Resource<R>> {
        let store = store.as_context_mut();
        self.check(&store)?;
        let ty = ResourceType::host::<R>();
        if self.ty != ty {
            bail!("the resource is of another type");
        }
        let state = &mut store.0.data_mut().components;
        if self.direct {
            return Ok(Resource {
                rep: self.index,
                owned: self.owned,
                marker: PhantomData,
            });
        }
        if !self.owned {
            return Ok(Resource::new_borrow(state.host.rep(self.index, ty)?));
        }
        Ok(Resource::new_own(state.host.take_own(self.index, ty)?))
    }

    /// Takes a resource of the host whose type is a [number](ResourceType::host_dynamic) back out of the
    /// store.
    ///
    /// # Errors
    /// If it is of another kind of type or of another store, is gone, or is lent.
    pub fn try_into_resource_dynamic(self, mut store: impl AsContextMut) -> Result<ResourceDynamic> {
        let store = store.as_context_mut();
        self.check(&store)?;
        let Kind::HostDynamic(ty) = self.ty.0 else {
            bail!("the resource is of another type");
        };
        let state = &mut store.0.data_mut().components;
        let rep = match (self.direct, self.owned) {
            (true, _) => self.index,
            (false, false) => state.host.rep(self.index, self.ty)?,
            (false, true) => state.host.take_own(self.index, self.ty)?,
        };
        Ok(ResourceDynamic {
            rep,
            ty,
            owned: self.owned,
        })
    }

    pub(crate) fn check<T>(&self, store: &StoreContextMut<'_, T>) -> Result<()> {
        if self.store != store.0.id() {
            bail!("a resource of one store cannot be used in another");
        }
        Ok(())
    }

    /// Drops it: the destructor of its type is called if the host owns it.
    ///
    /// # Errors
    /// If it is of another store, is gone, or is lent; what the destructor traps with.
    pub fn resource_drop(self, mut store: impl AsContextMut) -> Result<()> {
        let mut store = store.as_context_mut();
        let Some((dtor, rep, root)) = self.dropped(&mut store)? else {
            return Ok(());
        };
        super::func::entering(&mut store, root, |store| {
            dtor.call(store.as_context_mut(), &[crate::Val::I32(rep as i32)], &mut [])
        })
    }

    /// Likewise, where the destructor may wait.
    ///
    /// # Errors
    /// As [`resource_drop`](Self::resource_drop).
    pub async fn resource_drop_async(self, mut store: impl AsContextMut<Data: Send>) -> Result<()> {
        let mut store = store.as_context_mut();
        let Some((dtor, rep, root)) = self.dropped(&mut store)? else {
            return Ok(());
        };
        let entered = super::func::Entered::new(&mut store, root)?;
        let params = [crate::Val::I32(rep as i32)];
        let done = dtor
            .call_async(entered.store.as_context_mut(), &params, &mut [])
            .await;
        entered.end(done)
    }

    /// Takes it out of the table: its destructor, if there is one to call, what it is called with, and the
    /// root that it is a call into.
    fn dropped<T>(
        &self,
        store: &mut StoreContextMut<'_, T>,
    ) -> Result<Option<(crate::Func, u32, Option<usize>)>> {
        self.check(store)?;
        if self.direct {
            return Ok(None);
        }
        let state = &mut store.0.data_mut().components;
        let rep = state.drop_handle(None, self.index, self.ty)?;
        let (Some(rep), Some((root, id))) = (rep, self.origin) else {
            return Ok(None);
        };
        let guest = self.ty.is_guest().then_some(root);
        Ok(state.resource(root, id).dtor.map(|dtor| (dtor.func, rep, guest)))
    }

    /// What the host gets for a representation that is lent to it.
    pub(crate) fn borrowed<T>(
        store: &mut StoreContextMut<'_, T>,
        rep: u32,
        entry: super::state::ResourceEntry,
        origin: (usize, cellwall_component::ResourceId),
    ) -> Result<Self> {
        let id = store.0.id();
        let index = store.0.data_mut().components.add_host_borrow(rep, entry.ty)?;
        Ok(Self {
            store: id,
            index,
            ty: entry.ty,
            owned: false,
            direct: false,
            origin: Some(origin),
        })
    }
}

/// A resource of the host without a Rust type: a number that the host chose, and the
/// [number](ResourceType::host_dynamic) of its type.
///
/// ```
/// use cellwall::component::{ResourceDynamic, ResourceType};
/// use cellwall::{Engine, Store};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let any = ResourceDynamic::new_own(7, 1).try_into_resource_any(&mut store)?;
/// assert!(any.owned() && any.ty() == ResourceType::host_dynamic(1));
/// let back = any.try_into_resource_dynamic(&mut store)?;
/// assert_eq!((back.rep(), back.ty(), back.owned()), (7, 1, true));
/// assert!(any.try_into_resource_dynamic(&mut store).is_err(), "it is gone");
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourceDynamic {
    rep: u32,
    ty: u32,
    owned: bool,
}

impl ResourceDynamic {
    /// A resource that is given away, with its representation and the number of its type.
    pub fn new_own(rep: u32, ty: u32) -> Self {
        let owned = true;
        Self { rep, ty, owned }
    }

    /// A resource that is lent, with its representation and the number of its type.
    pub fn new_borrow(rep: u32, ty: u32) -> Self {
        let owned = false;
        Self { rep, ty, owned }
    }

    /// Its representation.
    pub fn rep(self) -> u32 {
        self.rep
    }

    /// The number of its type.
    pub fn ty(self) -> u32 {
        self.ty
    }

    /// Whether it is given away, and not lent.
    pub fn owned(self) -> bool {
        self.owned
    }

    /// Puts it into a store.
    ///
    /// # Errors
    /// If the store has too many.
    pub fn try_into_resource_any(self, mut store: impl AsContextMut) -> Result<ResourceAny> {
        let store = store.as_context_mut();
        let ty = ResourceType::host_dynamic(self.ty);
        let id = store.0.id();
        let index = match self.owned {
            true => store.0.data_mut().components.add_own(None, self.rep, ty)?,
            false => self.rep,
        };
        Ok(ResourceAny {
            store: id,
            index,
            ty,
            owned: self.owned,
            direct: !self.owned,
            origin: None,
        })
    }
}

/// A resource of the host whose Rust type is `T`: a number that the host chose.
pub struct Resource<T> {
    rep: u32,
    owned: bool,
    marker: PhantomData<fn() -> T>,
}

impl<T: 'static> Resource<T> {
    /// A resource that is given away, with its representation.
    pub fn new_own(rep: u32) -> Self {
        Self {
            rep,
            owned: true,
            marker: PhantomData,
        }
    }

    /// A resource that is lent, with its representation.
    pub fn new_borrow(rep: u32) -> Self {
        Self {
            rep,
            owned: false,
            marker: PhantomData,
        }
    }

    /// Its representation.
    pub fn rep(&self) -> u32 {
        self.rep
    }

    /// Whether it is given away, and not lent.
    pub fn owned(&self) -> bool {
        self.owned
    }
}

impl<T> fmt::Debug for Resource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Resource({}, owned: {})", self.rep, self.owned)
    }
}

impl<R: 'static> ComponentType for Resource<R> {
    const LAYOUT: Layout = Layout::handle();

    fn typecheck(ty: &Type) -> Result<()> {
        match ty {
            Type::Own(ty) | Type::Borrow(ty) if *ty == ResourceType::host::<R>() => Ok(()),
            _ => Err(mismatch("a resource of the host", ty)),
        }
    }
}

impl<R: 'static> Resource<R> {
    /// It, in no table.
    fn direct(&self, store: StoreId) -> ResourceAny {
        ResourceAny {
            store,
            index: self.rep,
            ty: ResourceType::host::<R>(),
            owned: self.owned,
            direct: true,
            origin: None,
        }
    }
}

impl<R: 'static> Lower for Resource<R> {
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        to[0] = cx.any(ty, &self.direct(cx.store.0.id()))?.into();
        Ok(())
    }

    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        let index = cx.any(ty, &self.direct(cx.store.0.id()))?;
        cx.write(at, &index.to_le_bytes());
        Ok(())
    }
}

impl<R: 'static> Lift for Resource<R> {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        cx.resource(ty, from[0] as u32)
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        cx.resource(ty, cx.word(at))
    }
}

impl ComponentType for ResourceAny {
    const LAYOUT: Layout = Layout::handle();
    is_type!(Type::Own(_) | Type::Borrow(_), "resource");
}

impl Lower for ResourceAny {
    fn lower_flat<D: 'static>(
        &self,
        cx: &mut Lowering<'_, '_, D>,
        ty: TypeRef<'_>,
        to: &mut [u64],
    ) -> Result<()> {
        to[0] = cx.any(ty, self)?.into();
        Ok(())
    }

    fn lower_memory<D: 'static>(&self, cx: &mut Lowering<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<()> {
        let index = cx.any(ty, self)?;
        cx.write(at, &index.to_le_bytes());
        Ok(())
    }
}

impl Lift for ResourceAny {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        cx.any(ty, from[0] as u32)
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        cx.any(ty, cx.word(at))
    }
}
