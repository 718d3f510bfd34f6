//! Tags and exceptions, as the embedder holds them.

use crate::{
    AsContext, AsContextMut, Engine, FuncType, Result, Rooted, Store, StoreContext, StoreContextMut, TagType,
    Val, ValType, bail,
};
use cellwall_runtime as runtime;
pub use cellwall_runtime::ThrownException;

/// A tag of a store: what a kind of exceptions is known by. Just a name for it: cheap to copy.
///
/// ```
/// use cellwall::{Engine, ExnRef, ExnRefPre, ExnType, FuncType, Instance, Module, Store, Tag, TagType, ThrownException, Val, ValType};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module
///       (import "host" "failed" (tag $failed (param i32)))
///       (func (export "fail") (param i32) (throw $failed (local.get 0))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let ty = TagType::new(FuncType::new(&engine, [ValType::I32], []));
/// let failed = Tag::new(&mut store, &ty)?;
/// let instance = Instance::new(&mut store, &module, &[failed.into()])?;
/// let fail = instance.get_typed_func::<i32, ()>(&mut store, "fail")?;
///
/// let error = fail.call(&mut store, 7).unwrap_err();
/// assert!(error.is::<ThrownException>());
/// let exception = store.take_pending_exception().unwrap();
/// assert!(Tag::eq(&exception.tag(&mut store)?, &failed, &store));
/// assert_eq!(exception.field(&mut store, 0)?.unwrap_i32(), 7);
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    pub(crate) id: runtime::TagId,
}

impl Tag {
    /// Makes a tag that belongs to no instance.
    ///
    /// # Errors
    /// If the type has results.
    pub fn new(mut store: impl AsContextMut, ty: &TagType) -> Result<Self> {
        if ty.ty().results().len() > 0 {
            bail!("the type of a tag cannot have results");
        }
        let store = store.as_context_mut();
        let number = ty.ty().number(store.engine().runtime());
        let id = store.0.new_tag(number, ty.ty().abi().clone().into());
        Ok(Self { id })
    }

    /// Its type.
    ///
    /// # Panics
    /// If it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> TagType {
        let store = store.as_context();
        let number = store.0.tag_type_number(self.id);
        TagType::new(FuncType::from_number(store.engine().runtime(), number))
    }

    /// Whether both are the same tag. Two tags of equal types are different ones.
    pub fn eq(a: &Self, b: &Self, _store: impl AsContext) -> bool {
        a == b
    }
}

/// The type of exceptions: that of their tag.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ExnType {
    tag: TagType,
}

impl ExnType {
    /// The type of exceptions with these values.
    ///
    /// # Errors
    /// None in this version.
    pub fn new(engine: &Engine, fields: impl IntoIterator<Item = ValType>) -> Result<Self> {
        let tag = TagType::new(FuncType::new(engine, fields, []));
        Ok(Self { tag })
    }

    /// The type of exceptions with a tag of this type.
    ///
    /// # Errors
    /// If the type of the tag has results.
    pub fn from_tag_type(tag: &TagType) -> Result<Self> {
        if tag.ty().results().len() > 0 {
            bail!("the type of a tag cannot have results");
        }
        Ok(Self { tag: tag.clone() })
    }

    /// The type of their tags.
    pub fn tag_type(&self) -> TagType {
        self.tag.clone()
    }

    /// The types of their values.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = ValType> + '_ {
        self.tag.ty().params()
    }
}

/// What exceptions of one type are made with.
#[derive(Clone, Debug)]
pub struct ExnRefPre {
    ty: ExnType,
}

impl ExnRefPre {
    /// For exceptions of this type.
    pub fn new(_store: impl AsContextMut, ty: ExnType) -> Self {
        Self { ty }
    }
}

/// An exception: a tag and values of the tag's types.
///
/// A store keeps the exceptions that the host has seen for as long as it lives, others while something
/// refers to them.
#[derive(Clone, Copy, Debug)]
pub struct ExnRef(());

impl ExnRef {
    /// Makes an exception.
    ///
    /// # Errors
    /// If the tag belongs to another store or has another type, if the values are not of the types
    /// that the tag says, or if the store holds too many exceptions.
    // Not `Self`: what exists is always a root of it.
    #[allow(
        clippy::new_ret_no_self,
        reason = "a new reference is rooted, as its users expect"
    )]
    pub fn new(
        mut store: impl AsContextMut,
        allocator: &ExnRefPre,
        tag: &Tag,
        fields: &[Val],
    ) -> Result<Rooted<Self>> {
        let store = store.as_context_mut();
        if tag.id.store() != store.0.id() {
            bail!("a tag of one store cannot be used in another");
        }
        if tag.ty(store.as_context()) != allocator.ty.tag {
            bail!("the tag is of another type than the exceptions");
        }
        let values: Result<Vec<_>> = fields
            .iter()
            .map(|field| field.to_raw(store.as_context()))
            .collect();
        let made = store.0.new_exception(tag.id, &values?);
        let raw = made.map_err(|error| store.error(error))?;
        Ok(Rooted::of_exception(store.0, raw).expect("a new reference is not null"))
    }
}

impl Rooted<ExnRef> {
    fn parts<'a, T>(&self, store: StoreContext<'a, T>) -> Result<(runtime::TagId, &'a [runtime::RawVal])> {
        let parts = store.0.exception(self.to_exception());
        match parts.filter(|_| self.store_id() == store.0.id()) {
            Some(parts) => Ok(parts),
            None => bail!("a reference of one store cannot be used in another"),
        }
    }

    /// Its tag.
    ///
    /// # Errors
    /// If it belongs to another store, as for all functions here.
    pub fn tag(&self, mut store: impl AsContextMut) -> Result<Tag> {
        let (id, _) = self.parts(store.as_context_mut().as_context())?;
        Ok(Tag { id })
    }

    /// Its type.
    ///
    /// # Errors
    /// As [`tag`](Self::tag).
    pub fn ty(&self, store: impl AsContext) -> Result<ExnType> {
        let store = store.as_context();
        let (id, _) = self.parts(store)?;
        ExnType::from_tag_type(&Tag { id }.ty(store))
    }

    /// Its values.
    ///
    /// # Errors
    /// As [`tag`](Self::tag).
    pub fn fields<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> Result<impl ExactSizeIterator<Item = Val> + 'a> {
        let store: &'a crate::store::Inner<T> = store.into().0;
        let (_, values) = self.parts(StoreContext(store))?;
        Ok(values.iter().map(move |&raw| Val::from_raw(store, raw)))
    }

    /// Its `index`-th value.
    ///
    /// # Errors
    /// As [`tag`](Self::tag), and if it has fewer.
    pub fn field(&self, mut store: impl AsContextMut, index: usize) -> Result<Val> {
        let store = store.as_context_mut();
        let (_, values) = self.parts(store.as_context())?;
        match values.get(index) {
            Some(&raw) => Ok(Val::from_raw(store.0, raw)),
            None => bail!("an exception with {} values has no value {index}", values.len()),
        }
    }
}

impl<T: 'static> Store<T> {
    /// See [`StoreContextMut::throw`].
    ///
    /// # Errors
    /// Always [`ThrownException`].
    pub fn throw<R>(&mut self, exception: Rooted<ExnRef>) -> Result<R, ThrownException> {
        self.as_context_mut().throw(exception)
    }

    /// See [`StoreContextMut::take_pending_exception`].
    pub fn take_pending_exception(&mut self) -> Option<Rooted<ExnRef>> {
        self.as_context_mut().take_pending_exception()
    }

    /// Whether an exception is pending.
    pub fn has_pending_exception(&self) -> bool {
        self.as_context().0.has_pending_exception()
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// Makes an exception the pending one. A host function that returns the error throws it in the
    /// guest that called it.
    ///
    /// # Errors
    /// Always [`ThrownException`].
    ///
    /// # Panics
    /// If the exception belongs to another store.
    pub fn throw<R>(&mut self, exception: Rooted<ExnRef>) -> Result<R, ThrownException> {
        assert!(
            exception.store_id() == self.0.id(),
            "object used with the wrong store"
        );
        self.0.set_pending_exception(exception.to_exception());
        Err(ThrownException)
    }

    /// The exception that left the guest last, or that [`throw`](Self::throw) was given; none is
    /// pending afterwards. A call whose error is a [`ThrownException`] leaves one.
    pub fn take_pending_exception(&mut self) -> Option<Rooted<ExnRef>> {
        let taken = self.0.take_pending_exception()?;
        Rooted::of_exception(self.0, taken)
    }

    /// Whether an exception is pending.
    pub fn has_pending_exception(&self) -> bool {
        self.0.has_pending_exception()
    }
}
