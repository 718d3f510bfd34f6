//! Calls whose types are known to Rust, of components and by them.
//!
//! Requires that types were compared before. Guarantees to allocate nothing but what values are made of:
//! arguments go from Rust values to core values or memory and back, without anything between them.

use super::func::{Entered, Lifted, Unlowered, entering};
use super::lift::{Abi, Lifting, bits};
use super::lower::{Lowering, typed};
use super::typed::{Lift, Lower, TypeRef};
use crate::{Result, StoreContext, StoreContextMut, bail};
use cellwall_component::{Fault, FuncType, MAX_FLAT_PARAMS, Side};
use cellwall_runtime::{FlatFunc, RawVal};

/// What the host needs to call a function of a component, found once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Callee {
    func: FlatFunc,
    post_return: Option<FlatFunc>,
    abi: Abi,
    borrows: bool,
}

/// The bits of a function's arguments.
type Arguments = ([u64; MAX_FLAT_PARAMS], usize);

impl Callee {
    pub(crate) fn new<T>(store: StoreContext<'_, T>, lifted: &Lifted) -> Result<Self> {
        if lifted.is_task {
            bail!("a function that ends by `task.return` can be called with values of any type alone");
        }
        let flat = |func: crate::Func| store.0.flat(func.id).map_err(|error| store.error(error));
        Ok(Self {
            func: flat(lifted.func)?,
            post_return: lifted.post_return.map(flat).transpose()?,
            abi: lifted.abi,
            borrows: lifted.ty.borrows(),
        })
    }

    /// Calls it. `ty` is needed if there are resources among the values.
    #[inline]
    pub(crate) fn call<T, P: Lower, R: Lift>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        ty: Option<&FuncType>,
        params: &P,
    ) -> Result<R> {
        entering(store, Some(self.abi.root), |store| {
            let bits = if const { P::LAYOUT.flat_count <= 2 } {
                let mut to = [0; 2];
                self.lower(store, ty, params, &mut to[..P::LAYOUT.flat_count])?;
                store.0.call_flat(&self.func, &to[..P::LAYOUT.flat_count])
            } else {
                let (to, count) = self.lower_many(store, ty, params)?;
                store.0.call_flat(&self.func, &to[..count])
            };
            let bits = bits.map_err(|error| store.error(error))?;
            self.lift(store, ty, bits)
        })
    }

    /// Likewise, where host functions may wait.
    pub(crate) async fn call_async<T: Send, P: Lower, R: Lift>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        lifted: &Lifted,
        params: P,
    ) -> Result<R> {
        let entered = Entered::new(store, Some(self.abi.root))?;
        let store = &mut *entered.store;
        let done = async {
            let ty = Some(&*lifted.ty);
            let (to, count) = self.lower_many(store, ty, &params)?;
            drop(params);
            let (types, results) = lifted.ty.core_signature(Side::Lift);
            let mut raw = vec![RawVal::I32(0); results.len()];
            let flat = typed(&to[..count], &types);
            let done = store.0.call_async(lifted.func.id, &flat, &mut raw).await;
            done.map_err(|error| store.error(error))?;
            self.lift(store, ty, raw.first().map_or(0, |&raw| bits(raw)))
        };
        let done = done.await;
        entered.end(done)
    }

    /// The arguments, whether they are core values or behind a pointer.
    fn lower_many<T, P: Lower>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        ty: Option<&FuncType>,
        params: &P,
    ) -> Result<Arguments> {
        let mut to = [0; MAX_FLAT_PARAMS];
        let count = match P::LAYOUT.flat_count {
            count @ ..=MAX_FLAT_PARAMS => count,
            _ => 1,
        };
        self.lower(store, ty, params, &mut to[..count])?;
        Ok((to, count))
    }

    /// Begins a call.
    #[inline]
    fn lower<T, P: Lower>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        ty: Option<&FuncType>,
        params: &P,
        to: &mut [u64],
    ) -> Result<()> {
        let state = &mut store.0.data_mut().components;
        if self.borrows {
            state.enter_call();
        }
        state.instances[self.abi.instance].context = Default::default();
        let in_memory = const { P::LAYOUT.flat_count > MAX_FLAT_PARAMS };
        let asks = in_memory || const { P::LAYOUT.pointers };
        if asks {
            set_may_leave(store, self.abi.instance, false);
        }
        let ty = ty.map_or(TypeRef::Unneeded, |ty| TypeRef::Params(&ty.params));
        let mut cx = Lowering {
            store,
            abi: &self.abi,
        };
        let done = match in_memory {
            false => params.lower_flat(&mut cx, ty, to),
            true => lower_in_memory(&mut cx, ty, params).map(|ptr| to[0] = ptr.into()),
        };
        if asks {
            set_may_leave(store, self.abi.instance, true);
        }
        done.map_err(|error| error.context(Unlowered))
    }

    /// Ends a call with the bits of its core result.
    #[inline]
    fn lift<T, R: Lift>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        ty: Option<&FuncType>,
        bits: u64,
    ) -> Result<R> {
        if self.borrows {
            store.0.data_mut().components.exit_call()?;
        }
        let ty = ty.and_then(|ty| ty.result.as_ref());
        let ty = ty.map_or(TypeRef::Unneeded, TypeRef::Result);
        let mut cx = Lifting::new(store, &self.abi);
        let result = match const { R::LAYOUT.flat_count } {
            count @ 0..=1 => R::lift_flat(&mut cx, ty, &[bits][..count])?,
            _ => {
                let ptr = bits as u32;
                cx.check(ptr, R::LAYOUT.size, R::LAYOUT.align)?;
                R::lift_memory(&mut cx, ty, ptr)?
            }
        };
        if let Some(post_return) = &self.post_return {
            // It may not call out, so that there is nothing to wait for.
            set_may_leave(store, self.abi.instance, false);
            let results = usize::from(R::LAYOUT.flat_count > 0);
            let done = store.0.call_flat(post_return, &[bits][..results]);
            done.map_err(|error| store.error(error))?;
            set_may_leave(store, self.abi.instance, true);
        }
        Ok(result)
    }
}

/// Parameters in new memory.
fn lower_in_memory<T: 'static, P: Lower>(
    cx: &mut Lowering<'_, '_, T>,
    ty: TypeRef<'_>,
    params: &P,
) -> Result<u32> {
    let ptr = cx.realloc(P::LAYOUT.align, P::LAYOUT.size)?;
    params.lower_memory(cx, ty, ptr)?;
    Ok(ptr)
}

/// Sets whether a component instance may call out.
#[inline]
pub(crate) fn set_may_leave<T>(store: &mut StoreContextMut<'_, T>, instance: usize, may: bool) {
    let global = store.0.data().components.instances[instance].may_leave;
    store.0.set_host_i32(global.id, may.into());
}

/// A component instance calls out: it must be allowed to.
#[inline]
pub(crate) fn check_may_leave<T>(store: &mut StoreContextMut<'_, T>, instance: usize) -> Result<(), Fault> {
    let global = store.0.data().components.instances[instance].may_leave;
    match store.0.host_i32(global.id) {
        0 => Err(Fault::CannotLeave),
        _ => Ok(()),
    }
}

/// What a function of the host needs to know of the component instance that calls it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FromGuest<'a> {
    abi: &'a Abi,
    ty: &'a FuncType,
}

impl<'a> FromGuest<'a> {
    #[inline]
    pub(crate) fn new(abi: &'a Abi, ty: &'a FuncType) -> Self {
        Self { abi, ty }
    }

    /// Begins a call by a component: its arguments.
    #[inline]
    pub(crate) fn lift<T, P: Lift>(&self, store: &mut StoreContextMut<'_, T>, from: &[u64]) -> Result<P> {
        check_may_leave(store, self.abi.instance)?;
        if self.ty.borrows() {
            store.0.data_mut().components.enter_call();
        }
        let ty = TypeRef::Params(&self.ty.params);
        let mut cx = Lifting::new(store, self.abi);
        match const { P::LAYOUT.flat_count } {
            count @ 0..=MAX_FLAT_PARAMS => P::lift_flat(&mut cx, ty, &from[..count]),
            _ => {
                let ptr = from[0] as u32;
                cx.check(ptr, P::LAYOUT.size, P::LAYOUT.align)?;
                P::lift_memory(&mut cx, ty, ptr)
            }
        }
    }

    /// Ends a call by a component: the bits of its result.
    #[inline]
    pub(crate) fn lower<T, R: Lower>(
        &self,
        store: &mut StoreContextMut<'_, T>,
        from: &[u64],
        result: &R,
    ) -> Result<u64> {
        let mut bits = [0];
        let asks = const { R::LAYOUT.pointers };
        if asks {
            set_may_leave(store, self.abi.instance, false);
        }
        let ty = self.ty.result.as_ref().map_or(TypeRef::Unneeded, TypeRef::Result);
        let mut cx = Lowering { store, abi: self.abi };
        match const { R::LAYOUT.flat_count } {
            count @ 0..=1 => result.lower_flat(&mut cx, ty, &mut bits[..count])?,
            _ => {
                let ptr = *from.last().expect("a pointer for the results is passed") as u32;
                cx.check_place(ptr, R::LAYOUT.size, R::LAYOUT.align)?;
                result.lower_memory(&mut cx, ty, ptr)?;
            }
        }
        if asks {
            set_may_leave(store, self.abi.instance, true);
        }
        if self.ty.borrows() {
            store.0.data_mut().components.exit_call()?;
        }
        Ok(bits[0])
    }
}
