//! Functions of C, called from guest code.

use crate::env::Env;
use crate::refs::{object, wasm_extern_t, wasm_ref_t, wasm_trap_t};
use crate::store::{Data, StoreCell, wasm_store_t};
use crate::trap;
use crate::types::kind_of;
use crate::val::{wasm_val_t, wasm_val_vec_t};
use crate::vec::{Vector, wasm_byte_vec_t};
use crate::{c_api, get, give};
use cellwall_rs::{Caller, Error, FuncType, Result, Val, bail};
use std::ffi::c_void;
use std::sync::Arc;

/// `wasm_func_callback_t`.
pub type wasm_func_callback_t =
    Option<unsafe extern "C" fn(*const wasm_val_vec_t, *mut wasm_val_vec_t) -> *mut wasm_trap_t>;
/// `wasm_func_callback_with_env_t`.
pub type wasm_func_callback_with_env_t =
    Option<unsafe extern "C" fn(*mut c_void, *const wasm_val_vec_t, *mut wasm_val_vec_t) -> *mut wasm_trap_t>;

/// `cellwall_func_callback_t`.
pub type cellwall_func_callback_t = Option<WithCaller>;

type WithCaller = unsafe extern "C" fn(
    *mut c_void,
    *mut cellwall_caller_t,
    *const wasm_val_t,
    usize,
    *mut wasm_val_t,
    usize,
) -> *mut wasm_trap_t;

/// Who calls a function of the host.
pub struct cellwall_caller_t {
    store: wasm_store_t,
}

/// A function of C with the data it is called with.
pub(crate) enum Callback {
    Plain(unsafe extern "C" fn(*const wasm_val_vec_t, *mut wasm_val_vec_t) -> *mut wasm_trap_t),
    WithEnv(
        unsafe extern "C" fn(*mut c_void, *const wasm_val_vec_t, *mut wasm_val_vec_t) -> *mut wasm_trap_t,
        Env,
    ),
    WithCaller(WithCaller, Env),
}

impl Callback {
    /// Calls it as a host function.
    pub(crate) fn call(
        &self,
        ty: &FuncType,
        mut caller: Caller<'_, Data>,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        StoreCell::in_call(&mut caller, |cell| {
            let cell = cell.shared();
            let args = params
                .iter()
                .map(|&value| wasm_val_t::from_rust(&cell, value))
                .collect();
            let mut args: wasm_val_vec_t = Vector::from_vec(args);
            let empty = ty
                .results()
                .map(|ty| wasm_val_t::default_of(kind_of(&ty)))
                .collect();
            let mut out: wasm_val_vec_t = Vector::from_vec(empty);
            let given = (out.data, out.size);
            // SAFETY: C gave the function, of this type; both vectors are as its header says.
            let trap = unsafe {
                match self {
                    Self::Plain(function) => function(&raw const args, &raw mut out),
                    Self::WithEnv(function, env) => function(env.data, &raw const args, &raw mut out),
                    Self::WithCaller(function, env) => {
                        let store = wasm_store_t { cell: cell.clone() };
                        let mut caller = cellwall_caller_t { store };
                        let values = out.as_mut_slice();
                        let values = (values.as_mut_ptr(), values.len());
                        let args = args.as_slice();
                        function(
                            env.data,
                            &raw mut caller,
                            args.as_ptr(),
                            args.len(),
                            values.0,
                            values.1,
                        )
                    }
                }
            };
            // SAFETY: the arguments stayed ours.
            unsafe { args.delete() };
            // What C says of the size of our own elements does not count; instead of them it may have put others.
            let wrong = out.data == given.0 && out.size != given.1;
            if wrong {
                out.size = given.1;
            } else if out.data != given.0 {
                let (data, size) = given;
                // SAFETY: ours, and nobody refers to them any more.
                unsafe { Vector { size, data }.delete() };
            }
            // SAFETY: an owned trap or null, by the header.
            let answer = match unsafe { crate::take(trap) } {
                None if !trap.is_null() => Err(Error::msg(UNSAID)),
                Some(trap) => Err(trap::to_error(&cell, *trap)),
                None if wrong => Err(Error::msg("a host function changed the number of its results")),
                None => read_results(&cell, &out, ty, results),
            };
            // SAFETY: the results are ours again.
            unsafe { out.delete() };
            answer
        })
    }
}

/// What a function of C ends with that did not say why.
pub(crate) const UNSAID: &str = "a function of the host failed, and could not say why";

fn read_results(
    cell: &Arc<StoreCell>,
    out: &wasm_val_vec_t,
    ty: &FuncType,
    results: &mut [Val],
) -> Result<()> {
    // SAFETY: C filled in what is there, and nothing else.
    let values = unsafe { out.as_slice() };
    if values.len() != results.len() {
        bail!(
            "a host function returned {} results, not {}",
            values.len(),
            results.len()
        );
    }
    for ((value, ty), result) in values.iter().zip(ty.results()).zip(results) {
        if value.kind != kind_of(&ty) {
            return Err(Error::msg(format!(
                "a host function returned a value of kind {} where its type says {ty}",
                value.kind
            )));
        }
        // SAFETY: of this kind, as was just checked; references are valid, by the header.
        *result = unsafe { value.to_rust(cell) }?;
    }
    Ok(())
}

c_api! {
    /// See `func.api`.
    fn cellwall_caller_store(caller: *const cellwall_caller_t) -> *const wasm_store_t {
        &raw const unsafe { get(caller) }?.store
    }
    /// See `func.api`.
    fn cellwall_caller_export(
        caller: *const cellwall_caller_t,
        name: *const wasm_byte_vec_t,
    ) -> *mut wasm_extern_t {
        let cell = &unsafe { get(caller) }?.store.cell;
        let name = std::str::from_utf8(unsafe { get(name)?.as_slice() }).ok()?;
        let export = cell.with_caller(|caller| caller.get_export(name))??;
        give(wasm_ref_t::new(cell, object(export)))
    }
}
