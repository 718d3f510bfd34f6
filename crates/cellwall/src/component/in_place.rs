//! Strings and lists that stay in the memory of a component until they are looked at.
//!
//! Requires nothing of the guest: what it does with its memory later is seen, or an error, and never
//! more than that.

use super::layout::Layout;
use super::lift::{Abi, Lifting, decode};
use super::typed::{ComponentType, Lift, TypeRef};
use super::types::Type;
use crate::{AsContextMut, Result, StoreContext, bail};
use cellwall_component::{Encoding, Fault};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A string that lies in the memory of a component.
///
/// A function of the host that takes one copies nothing. What is behind it may change as soon as the
/// component runs again, and it may have been freed by then.
///
/// ```
/// use cellwall::component::{Linker, WasmStr};
/// use cellwall::Engine;
///
/// let mut linker = Linker::<usize>::new(&Engine::default());
/// linker.root().func_wrap("count", |mut store, (text,): (WasmStr,)| {
///     let spaces = text.to_str(&store)?.matches(' ').count();
///     *store.data_mut() += spaces;
///     Ok(())
/// })?;
/// # cellwall::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WasmStr {
    at: usize,
    bytes: usize,
    utf16: bool,
    abi: Abi,
}

impl WasmStr {
    /// The text: as it lies there if it is UTF-8, else decoded.
    ///
    /// # Errors
    /// If it is not encoded as it should be.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn to_str<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> Result<Cow<'a, str>> {
        let store: StoreContext<'a, T> = store.into();
        let memory = self.abi.memory.expect("it was looked at when this was made");
        let bytes = store.0.memory(memory.id).get(self.at..self.at + self.bytes);
        let bytes = bytes.ok_or(Fault::StringOutOfBounds)?;
        if self.abi.encoding == Encoding::Utf8 {
            let text = std::str::from_utf8(bytes).map_err(|_| Fault::InvalidUtf8)?;
            return Ok(Cow::Borrowed(text));
        }
        Ok(Cow::Owned(decode(self.abi.encoding, self.utf16, bytes)?))
    }
}

impl ComponentType for WasmStr {
    const LAYOUT: Layout = str::LAYOUT;

    fn typecheck(ty: &Type) -> Result<()> {
        str::typecheck(ty)
    }
}

impl Lift for WasmStr {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        let (at, bytes, utf16) = cx.check_string(from[0] as u32, from[1] as u32)?;
        Ok(Self {
            at,
            bytes,
            utf16,
            abi: *cx.abi,
        })
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let from = [cx.word(at).into(), cx.word(at + 4).into()];
        Self::lift_flat(cx, ty, &from)
    }
}

/// A list that lies in the memory of a component; see [`WasmStr`]. Its elements may be anything but
/// resources.
pub struct WasmList<E> {
    ptr: u32,
    length: u32,
    abi: Abi,
    element: PhantomData<fn() -> E>,
}

impl<E> fmt::Debug for WasmList<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasmList")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl<E: Lift> WasmList<E> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// An element, lifted now; `None` if there are not as many.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn get(&self, mut store: impl AsContextMut, index: usize) -> Option<Result<E>> {
        if index >= self.len() {
            return None;
        }
        let mut store = store.as_context_mut();
        let mut cx = Lifting::new(&mut store, &self.abi);
        let at = self.ptr + index as u32 * E::LAYOUT.size;
        Some(E::lift_memory(&mut cx, TypeRef::Unneeded, at))
    }

    /// All elements, lifted now.
    ///
    /// # Errors
    /// If an element is malformed.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn to_vec(&self, mut store: impl AsContextMut) -> Result<Vec<E>> {
        let mut store = store.as_context_mut();
        let mut cx = Lifting::new(&mut store, &self.abi);
        E::lift_elements(&mut cx, TypeRef::Unneeded, self.ptr, self.length)
    }
}

impl WasmList<u8> {
    /// The bytes, as they lie there.
    ///
    /// # Errors
    /// If they are no longer there.
    ///
    /// # Panics
    /// If it is of another store.
    pub fn as_bytes<'a, T: 'static>(&self, store: impl Into<StoreContext<'a, T>>) -> Result<&'a [u8]> {
        let store: StoreContext<'a, T> = store.into();
        let Some(memory) = self.abi.memory else {
            bail!("a list without a memory");
        };
        let bytes = store.0.memory(memory.id).get(self.ptr as usize..);
        let bytes = bytes.and_then(|bytes| bytes.get(..self.len()));
        Ok(bytes.ok_or(Fault::ListOutOfBounds)?)
    }
}

impl<E: ComponentType> ComponentType for WasmList<E> {
    const LAYOUT: Layout = <[E]>::LAYOUT;

    fn typecheck(ty: &Type) -> Result<()> {
        <[E]>::typecheck(ty)
    }
}

impl<E: Lift> Lift for WasmList<E> {
    fn lift_flat<D: 'static>(cx: &mut Lifting<'_, '_, D>, _: TypeRef<'_>, from: &[u64]) -> Result<Self> {
        const { assert!(!E::LAYOUT.resources, "resources are lifted when they are passed") };
        let (ptr, length) = (from[0] as u32, from[1] as u32);
        cx.check_list(ptr, length, E::LAYOUT.size, E::LAYOUT.align)?;
        Ok(Self {
            ptr,
            length,
            abi: *cx.abi,
            element: PhantomData,
        })
    }

    fn lift_memory<D: 'static>(cx: &mut Lifting<'_, '_, D>, ty: TypeRef<'_>, at: u32) -> Result<Self> {
        let from = [cx.word(at).into(), cx.word(at + 4).into()];
        Self::lift_flat(cx, ty, &from)
    }
}
