//! References of WebAssembly's own, as the embedder holds them: numbers of 31 bits.

use crate::{AsContext, AsContextMut, HeapType, Result, Rooted, bail};
use cellwall_runtime as runtime;
use std::fmt;

/// A number of 31 bits, which has no sign of its own: that is a matter of how it is looked at.
///
/// ```
/// use cellwall::I31;
///
/// let number = I31::wrapping_i32(-1);
/// assert_eq!((number.get_i32(), number.get_u32()), (-1, 0x7fff_ffff));
/// assert_eq!(I31::new_u32(1 << 31), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct I31(u32);

impl I31 {
    /// The number, if it fits 31 bits without a sign.
    pub fn new_u32(value: u32) -> Option<Self> {
        (value >> 31 == 0).then_some(Self(value))
    }

    /// The number, if it fits 31 bits with a sign.
    pub fn new_i32(value: i32) -> Option<Self> {
        let number = Self::wrapping_i32(value);
        (number.get_i32() == value).then_some(number)
    }

    /// The low 31 bits.
    pub fn wrapping_u32(value: u32) -> Self {
        Self(value & 0x7fff_ffff)
    }

    /// The low 31 bits.
    pub fn wrapping_i32(value: i32) -> Self {
        Self::wrapping_u32(value as u32)
    }

    /// The number without a sign.
    pub fn get_u32(&self) -> u32 {
        self.0
    }

    /// The number with the highest of its 31 bits as its sign.
    pub fn get_i32(&self) -> i32 {
        (self.0 << 1) as i32 >> 1
    }
}

impl fmt::Debug for I31 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("I31").field(&self.0).finish()
    }
}

impl From<I31> for u32 {
    fn from(number: I31) -> Self {
        number.get_u32()
    }
}

impl From<I31> for i32 {
    fn from(number: I31) -> Self {
        number.get_i32()
    }
}

/// What an `anyref` refers to: a number of 31 bits, as long as there are no objects of the heap.
///
/// ```
/// use cellwall::{AnyRef, Engine, I31, Store};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let value = AnyRef::from_i31(&mut store, I31::wrapping_u32(7));
/// assert_eq!(value.unwrap_i31(&store)?.get_u32(), 7);
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AnyRef(());

impl AnyRef {
    /// The reference to a number. It takes no room in the store.
    pub fn from_i31(mut store: impl AsContextMut, value: I31) -> Rooted<Self> {
        let store = store.as_context_mut();
        let raw = runtime::AnyRef::from_i31(value.get_u32());
        Rooted::of_any(store.0, raw).expect("a reference to a number is not null")
    }
}

impl Rooted<AnyRef> {
    /// Whether it is a number of 31 bits.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn is_i31(&self, store: impl AsContext) -> Result<bool> {
        Ok(self.as_i31(store)?.is_some())
    }

    /// The number, if it is one.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn as_i31(&self, store: impl AsContext) -> Result<Option<I31>> {
        if self.store_id() != store.as_context().0.id() {
            bail!("a reference of one store cannot be used in another");
        }
        Ok(Self::to_any(Some(*self)).i31().map(I31::wrapping_u32))
    }

    /// The number.
    ///
    /// # Errors
    /// If it belongs to another store.
    ///
    /// # Panics
    /// If it is something else.
    pub fn unwrap_i31(&self, store: impl AsContext) -> Result<I31> {
        Ok(self.as_i31(store)?.expect("a number of 31 bits"))
    }

    /// What it is.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> Result<HeapType> {
        self.as_i31(store).map(|_| HeapType::I31)
    }

    /// Whether it is of this kind.
    ///
    /// # Errors
    /// If it belongs to another store.
    pub fn matches_ty(&self, store: impl AsContext, ty: &HeapType) -> Result<bool> {
        Ok(self.ty(store)?.matches(ty))
    }
}
