//! From the data of a store to what implements the traits that [`bindgen!`](super::bindgen) makes.

use std::marker::PhantomData;

/// Names the type that implements the `Host` traits of `bindgen!`, which may borrow from the data of a
/// store.
///
/// A library that implements an interface does not know what the data of a store is. It is told how to
/// get at its own part by a function `fn(&mut T) -> D::Data<'_>`; `D` is what this trait is for.
///
/// ```
/// use cellwall::component::HasData;
///
/// struct Ctx {
///     lines: Vec<String>,
/// }
/// /// What implements the traits.
/// struct CtxView<'a>(&'a mut Ctx);
/// /// Never made: only a name.
/// struct HasCtx;
///
/// impl HasData for HasCtx {
///     type Data<'a> = CtxView<'a>;
/// }
/// ```
pub trait HasData: 'static {
    /// What implements the traits.
    type Data<'a>;
}

/// The [`HasData`] for a type that implements the traits itself.
pub struct HasSelf<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized + 'static> HasData for HasSelf<T> {
    type Data<'a> = &'a mut T;
}

impl HasData for () {
    type Data<'a> = ();
}
