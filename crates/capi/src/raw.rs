//! Fast calls, with values in place.

use crate::refs::{Object, wasm_func_t, wasm_trap_t};
use crate::store::StoreCell;
use crate::{c_api, get, give, trap};
use cellwall_rs::{Result, Val, ValType, bail};
use std::ptr;
use std::slice;

/// Parameters and results of a fast call at most.
const VALUES_MAX: usize = 8;

/// A number, by the function's type.
#[repr(C)]
#[derive(Clone, Copy)]
pub union cellwall_raw_t {
    i32: i32,
    i64: i64,
    f32: u32,
    f64: u64,
}

fn is_number(ty: &ValType) -> bool {
    matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64)
}

/// Calls a function whose type is not looked at twice.
///
/// # Safety
/// There are as many values as the caller says, each of its type.
unsafe fn call(cell: &StoreCell, object: &Object, values: &mut [cellwall_raw_t]) -> Result<()> {
    let &Object::Func(func) = object else {
        bail!("not a function");
    };
    cell.with(|mut store| {
        let mut params = [Val::I32(0); VALUES_MAX];
        let mut results = [Val::I32(0); VALUES_MAX];
        let ty = func.ty(&store);
        let (count, wanted) = (ty.params().len(), ty.results().len());
        if count > VALUES_MAX || wanted > VALUES_MAX {
            bail!("a fast call has at most {VALUES_MAX} parameters and results");
        }
        if values.len() < count.max(wanted) {
            bail!(
                "expected room for {} values, got {}",
                count.max(wanted),
                values.len()
            );
        }
        for ((param, raw), ty) in params.iter_mut().zip(&*values).zip(ty.params()) {
            // SAFETY: the caller says that the value is of this type.
            *param = unsafe { to_val(*raw, &ty) }?;
        }
        if !ty.results().all(|ty| is_number(&ty)) {
            bail!("a fast call passes numbers only");
        }
        func.call(&mut store, &params[..count], &mut results[..wanted])?;
        for (raw, result) in values.iter_mut().zip(&results[..wanted]) {
            *raw = from_val(result);
        }
        Ok(())
    })
}

/// # Safety
/// The value is of this type.
unsafe fn to_val(raw: cellwall_raw_t, ty: &ValType) -> Result<Val> {
    // SAFETY: the caller's promise.
    Ok(unsafe {
        match ty {
            ValType::I32 => Val::I32(raw.i32),
            ValType::I64 => Val::I64(raw.i64),
            ValType::F32 => Val::F32(raw.f32),
            ValType::F64 => Val::F64(raw.f64),
            _ => bail!("a fast call passes numbers only"),
        }
    })
}

fn from_val(value: &Val) -> cellwall_raw_t {
    match *value {
        Val::I32(i32) => cellwall_raw_t { i32 },
        Val::I64(i64) => cellwall_raw_t { i64 },
        Val::F32(f32) => cellwall_raw_t { f32 },
        Val::F64(f64) => cellwall_raw_t { f64 },
        // Checked before the call.
        _ => cellwall_raw_t { i64: 0 },
    }
}

c_api! {
    /// See `func.api`.
    fn cellwall_func_is_raw(it: *const wasm_func_t) -> bool {
        let it = unsafe { get(it) }?;
        let Object::Func(func) = it.object else {
            return None;
        };
        let ty = it.store.with(|store| func.ty(&store));
        let fits = ty.params().len() <= VALUES_MAX && ty.results().len() <= VALUES_MAX;
        fits && ty.params().chain(ty.results()).all(|ty| is_number(&ty))
    }
    /// See `func.api`.
    fn cellwall_func_call_raw(
        it: *const wasm_func_t,
        values: *mut cellwall_raw_t,
        size: usize,
    ) -> *mut wasm_trap_t {
        let it = unsafe { get(it) }?;
        // Of our own: what it calls may delete the function, and the store.
        let cell = it.store.clone();
        let values = match values.is_null() {
            true => &mut [],
            false => unsafe { slice::from_raw_parts_mut(values, size) },
        };
        // A panic here must not look like success.
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| unsafe { call(&cell, &it.object, values) }));
        let error = match called {
            Ok(Ok(())) => return Some(ptr::null_mut()),
            Ok(Err(error)) => error,
            Err(panic) => crate::panicked(&*panic),
        };
        give(trap::from_error(&cell, &error))
    }
}
