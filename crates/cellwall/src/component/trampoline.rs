//! Core functions that no core module has: functions of the host, adapters, and the functions of the
//! canonical ABI.

use super::Val;
use super::call::{FromGuest, check_may_leave, set_may_leave};
use super::instantiate::Making;
use super::lift::{Abi, Lifting, bits, core};
use super::linker::{Body, Drop, HostFunc, Returned, ReturnedTyped, func_type_in};
use super::lower::{Lowering, typed};
use super::state::State;
use crate::{AsContextMut, Caller, Engine, Error, Func, Result, StoreContextMut, ValType};
use cellwall_component::adapter::{self, Import, Party};
use cellwall_component::{Builtin, Fault, Flat, FuncType, Handle, Options, ResourceId, Side};
use cellwall_runtime::{self as runtime, Begun, RawVal};
use std::sync::Arc;

/// The type of a core function of these values.
pub(super) fn core_type(engine: &Engine, params: &[Flat], results: &[Flat]) -> crate::FuncType {
    let types = |list: &[Flat]| {
        let ty = |ty: &Flat| match ty {
            Flat::I32 => ValType::I32,
            Flat::I64 => ValType::I64,
            Flat::F32 => ValType::F32,
            Flat::F64 => ValType::F64,
        };
        list.iter().map(ty).collect::<Vec<_>>()
    };
    crate::FuncType::new(engine, types(params), types(results))
}

/// A core function of the host.
pub(super) fn func<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    params: &[Flat],
    results: &[Flat],
    call: impl Fn(&mut StoreContextMut<'_, T>, &[RawVal], &mut [RawVal]) -> Result<()> + Send + Sync + 'static,
) -> Func {
    let ty = core_type(store.engine(), params, results);
    crate::func::raw(store, &ty, call)
}

/// Likewise, one that may have to wait: it begins, and it ends with what it has come to.
fn func_async<T: 'static, O: 'static>(
    store: &mut StoreContextMut<'_, T>,
    params: &[Flat],
    results: &[Flat],
    begin: impl for<'a> Fn(StoreContextMut<'a, T>, &[RawVal]) -> Result<Begun<'a, O>> + Send + Sync + 'static,
    end: impl Fn(&mut StoreContextMut<'_, T>, &[RawVal], O, &mut [RawVal]) -> Result<()> + Send + Sync + 'static,
) -> Func {
    let ty = core_type(store.engine(), params, results);
    crate::func::raw_async(store, &ty, begin, end)
}

/// What calls the destructor of a resource of the host.
pub(crate) fn dtor<T: 'static>(store: &mut StoreContextMut<'_, T>, dtor: Arc<Drop<T>>) -> Func {
    if let Drop::Plain(_) = &*dtor {
        let call = move |mut caller: Caller<'_, T>, rep: u32| match &*dtor {
            Drop::Plain(dtor) => dtor(caller.as_context_mut(), rep),
            Drop::Async(_) => unreachable!("it was looked at"),
        };
        return Func::wrap(store.as_context_mut(), call);
    }
    Func::wrap_async(
        store.as_context_mut(),
        move |caller, (rep,): (u32,)| match &*dtor {
            Drop::Async(dtor) => dtor(caller.into(), rep),
            Drop::Plain(_) => unreachable!("it was looked at"),
        },
    )
}

/// Calls a function of the host ("canon lower").
pub(crate) fn host<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    abi: Abi,
    ty: Arc<FuncType>,
    host: Arc<HostFunc<T>>,
) -> Func {
    let (params, results) = ty.core_signature(Side::Lower);
    match &host.body {
        Body::Typed(_) => typed_host(store, &params, &results, abi, ty, host),
        Body::TypedAsync(_) => typed_host_async(store, &params, &results, abi, ty, host),
        Body::Plain(_) => {
            let described = func_type_in(&store.0.data().components, abi.root, &ty);
            func(store, &params, &results, move |store, params, results| {
                let values = host_params(store, &abi, &ty, ty.flat_params().1, params)?;
                let mut returned = vec![Val::Bool(false); usize::from(ty.result.is_some())];
                match &host.body {
                    Body::Plain(call) => call(store.as_context_mut(), &described, &values, &mut returned)?,
                    _ => unreachable!("it was looked at"),
                }
                host_results(store, &abi, &ty, params, &returned, results)
            })
        }
        Body::Async(_) => {
            let described = func_type_in(&store.0.data().components, abi.root, &ty);
            let begin_ty = ty.clone();
            func_async(
                store,
                &params,
                &results,
                move |mut store, params| {
                    let values = host_params(&mut store, &abi, &begin_ty, begin_ty.flat_params().1, params)?;
                    match &host.body {
                        Body::Async(call) => Ok(Begun::Waits(call(store, &described, values)?)),
                        _ => unreachable!("it was looked at"),
                    }
                },
                move |store, params, returned: Result<Returned<T>>, results| {
                    let returned = returned?(store)?;
                    host_results(store, &abi, &ty, params, &returned, results)
                },
            )
        }
    }
}

/// A function of the host whose types are known to Rust.
fn typed_host<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    params: &[Flat],
    results: &[Flat],
    abi: Abi,
    ty: Arc<FuncType>,
    host: Arc<HostFunc<T>>,
) -> Func {
    let core = core_type(store.engine(), params, results);
    crate::func::flat(store, &core, move |store, params| match &host.body {
        Body::Typed(call) => call(store, &FromGuest::new(&abi, &ty), params),
        _ => unreachable!("it was looked at"),
    })
}

/// Likewise, one that may have to wait.
fn typed_host_async<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    params: &[Flat],
    results: &[Flat],
    abi: Abi,
    ty: Arc<FuncType>,
    host: Arc<HostFunc<T>>,
) -> Func {
    let result = results.first().copied();
    let params_of = |params: &[RawVal]| -> Vec<u64> { params.iter().map(|&raw| bits(raw)).collect() };
    let own = ty.clone();
    func_async(
        store,
        params,
        results,
        move |store, params| match &host.body {
            Body::TypedAsync(call) => {
                let future = call(store, &FromGuest::new(&abi, &own), &params_of(params))?;
                Ok(Begun::Waits(future))
            }
            _ => unreachable!("it was looked at"),
        },
        move |store, params, returned: Result<ReturnedTyped<T>>, results| {
            let bits = returned?(store, &FromGuest::new(&abi, &ty), &params_of(params))?;
            if let (Some(to), Some(ty)) = (results.first_mut(), result) {
                *to = core(ty, bits);
            }
            Ok(())
        },
    )
}

/// Begins a call of a function of the host: its arguments, which may be in memory.
pub(super) fn host_params<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    abi: &Abi,
    ty: &FuncType,
    in_memory: bool,
    params: &[RawVal],
) -> Result<Vec<Val>> {
    check_may_leave(store, abi.instance)?;
    store.0.data_mut().components.enter_call();
    let mut values = Vec::new();
    let mut lifting = Lifting::new(store, abi);
    match in_memory {
        false => {
            let mut from = params.iter();
            for (_, ty, _) in &ty.params.fields {
                values.push(lifting.flat(ty, &mut from)?);
            }
        }
        true => {
            let ptr = pointer(params[0]);
            let layout = ty.params.layout();
            lifting.check(ptr, layout.size, layout.align)?;
            for (_, ty, offset) in &ty.params.fields {
                values.push(lifting.memory(ty, ptr + offset)?);
            }
        }
    }
    Ok(values)
}

/// Ends it: its results go to the guest.
pub(super) fn host_results<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    abi: &Abi,
    ty: &FuncType,
    params: &[RawVal],
    returned: &[Val],
    results: &mut [RawVal],
) -> Result<()> {
    if let (Some(ty_of), Some(val)) = (&ty.result, returned.first()) {
        set_may_leave(store, abi.instance, false);
        let mut lowering = Lowering { store, abi };
        match ty.flat_results() {
            (types, false) => {
                let mut bits = Vec::new();
                lowering.flat(ty_of, val, &mut bits)?;
                results.copy_from_slice(&typed(&bits, &types));
            }
            (_, true) => {
                let last = params.last().expect("a pointer for the results is passed");
                let ptr = pointer(*last);
                lowering.check(ty_of, ptr)?;
                lowering.memory(ty_of, val, ptr)?;
            }
        }
        set_may_leave(store, abi.instance, true);
    }
    Ok(store.0.data_mut().components.exit_call()?)
}

pub(super) fn pointer(value: RawVal) -> u32 {
    match value {
        RawVal::I32(it) => it as u32,
        _ => unreachable!("pointers are of type i32"),
    }
}

/// A fault with the number that it is about.
pub(super) fn about(fault: Fault, index: u32) -> Error {
    match fault {
        Fault::UnknownHandle => Error::new(fault).context(format!("unknown handle index {index}")),
        Fault::WrongHandle => {
            Error::new(fault).context(format!("handle index {index} used with the wrong type"))
        }
        fault => fault.into(),
    }
}

/// A function of the handle table: from one number to another.
fn table<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    call: impl Fn(&mut State, u32) -> Result<u32, Fault> + Send + Sync + 'static,
) -> Func {
    Func::wrap(
        store.as_context_mut(),
        move |mut caller: Caller<'_, T>, index: u32| -> Result<u32> {
            let store = caller.as_context_mut();
            call(&mut store.0.data_mut().components, index).map_err(|fault| about(fault, index))
        },
    )
}

/// Instantiates an adapter.
pub(crate) fn adapter<T: 'static>(
    making: &mut Making<'_, '_, T>,
    trampoline: u32,
    instance: u32,
    lift: u32,
    options: &Options,
) -> Result<Func> {
    let lift = &making.plan().lifts[lift as usize];
    let number = |party, making: &Making<'_, '_, T>| {
        let instance = match party {
            Party::Caller => instance,
            Party::Callee => lift.instance,
        };
        making.first + instance as usize
    };
    let of = |party| match party {
        Party::Caller => options,
        Party::Callee => &lift.options,
    };
    let Some((module, imports)) = making.component().adapter(trampoline) else {
        return making.func(&lift.func);
    };
    let mut externs: Vec<runtime::Extern> = Vec::with_capacity(imports.len());
    for &import in imports {
        externs.push(match import {
            Import::Trap => extern_of(trap(&mut making.store)),
            Import::Callee => making.raw_def(&lift.func)?,
            Import::PostReturn => {
                let def = lift.options.post_return.as_ref();
                making.raw_def(def.expect("only what is there is imported"))?
            }
            Import::Realloc(party) => {
                let def = of(party).realloc.as_ref();
                making.raw_def(def.expect("the validator checked that there is one"))?
            }
            Import::Memory(party) => {
                let def = of(party).memory.as_ref();
                making.raw_def(def.expect("the validator checked that there is one"))?
            }
            Import::MayLeave(party) => {
                let number = number(party, making);
                runtime::Extern::Global(making.store.0.data().components.instances[number].may_leave.id)
            }
            Import::TransferOwn(id, to) => {
                let (root, to_number) = (making.root, number(to, making));
                let from = match to {
                    Party::Caller => number(Party::Callee, making),
                    Party::Callee => number(Party::Caller, making),
                };
                let func = table(&mut making.store, move |state, index| {
                    let ty = state.resource(root, id).ty;
                    state.transfer_own(Some(from), Some(to_number), index, ty)
                });
                extern_of(func)
            }
            Import::TransferBorrow(id) => {
                let root = making.root;
                let (from, to) = (number(Party::Caller, making), number(Party::Callee, making));
                let func = table(&mut making.store, move |state, index| {
                    let entry = state.resource(root, id);
                    state.transfer_borrow(from, to, index, entry)
                });
                extern_of(func)
            }
            Import::TransferErrorContext(to) => {
                let to_number = number(to, making);
                let from = match to {
                    Party::Caller => number(Party::Callee, making),
                    Party::Callee => number(Party::Caller, making),
                };
                let func = table(&mut making.store, move |state, index| {
                    let message = state.handles(Some(from)).error_context(index)?;
                    state.add(Some(to_number), Handle::ErrorContext(message))
                });
                extern_of(func)
            }
            Import::NewTask => {
                let callee = number(Party::Callee, making);
                let call = move |mut caller: Caller<'_, T>| {
                    let store = caller.as_context_mut();
                    store.0.data_mut().components.instances[callee].context = Default::default();
                };
                extern_of(Func::wrap(making.store.as_context_mut(), call))
            }
            Import::EnterCall => {
                let call = |mut caller: Caller<'_, T>| {
                    caller.as_context_mut().0.data_mut().components.enter_call();
                };
                extern_of(Func::wrap(making.store.as_context_mut(), call))
            }
            Import::ExitCall => {
                let call = |mut caller: Caller<'_, T>| -> Result<()> {
                    Ok(caller.as_context_mut().0.data_mut().components.exit_call()?)
                };
                extern_of(Func::wrap(making.store.as_context_mut(), call))
            }
        });
    }
    let made = crate::Instance::start(making.store.as_context_mut(), None, module, &externs)?;
    let func = made.get_func(making.store.as_context_mut(), adapter::EXPORT);
    Ok(func.expect("adapters export their function"))
}

fn extern_of(func: Func) -> runtime::Extern {
    runtime::Extern::Func(func.id)
}

fn trap<T: 'static>(store: &mut StoreContextMut<'_, T>) -> Func {
    Func::wrap(store.as_context_mut(), |number: u32| -> Result<()> {
        match Fault::from_number(number) {
            Some(fault) => Err(fault.into()),
            // Not one that was made here: it came from a file.
            None => crate::bail!("an adapter ended with a fault that is not in the table: {number}"),
        }
    })
}

/// A function of the canonical ABI.
pub(crate) fn builtin<T: 'static>(
    making: &mut Making<'_, '_, T>,
    instance: u32,
    builtin: &Builtin,
) -> Result<Func> {
    let number = making.first + instance as usize;
    let root = making.root;
    Ok(match builtin {
        Builtin::ResourceNew(id) => {
            let id = *id;
            let call = move |mut caller: Caller<'_, T>, rep: u32| -> Result<u32> {
                resource_new(&mut caller.as_context_mut(), root, number, id, rep)
            };
            Func::wrap(making.store.as_context_mut(), call)
        }
        Builtin::ResourceRep(id) => {
            let id = *id;
            table(&mut making.store, move |state, index| {
                let ty = state.resource(root, id).ty;
                state.handles(Some(number)).rep(index, ty)
            })
        }
        Builtin::ResourceDrop(id) => {
            let id = *id;
            crate::func::begun(
                &mut making.store,
                move |mut store, (index,): (u32,)| {
                    check_may_leave(&mut store, number)?;
                    dropping(&mut store, root, number, id, index)
                },
                |store, ended: Result<_, _>| ended.map_err(|error| store.error(error)),
            )
        }
        Builtin::ErrorContextNew(options) => error_context_new(making, instance, options)?,
        Builtin::ErrorContextDebugMessage(options) => error_context_message(making, instance, options)?,
        Builtin::ContextGet(slot) => {
            let slot = *slot as usize;
            let call = move |mut caller: Caller<'_, T>| -> u32 {
                let store = caller.as_context_mut();
                store.0.data_mut().components.instances[number].context[slot]
            };
            Func::wrap(making.store.as_context_mut(), call)
        }
        Builtin::ContextSet(slot) => {
            let slot = *slot as usize;
            let call = move |mut caller: Caller<'_, T>, value: u32| {
                let store = caller.as_context_mut();
                store.0.data_mut().components.instances[number].context[slot] = value;
            };
            Func::wrap(making.store.as_context_mut(), call)
        }
        Builtin::Backpressure(more) => {
            let more = *more;
            let call = move |mut caller: Caller<'_, T>| -> Result<()> {
                let store = caller.as_context_mut();
                let count = &mut store.0.data_mut().components.instances[number].backpressure;
                let changed = if more {
                    count.checked_add(1)
                } else {
                    count.checked_sub(1)
                };
                *count = changed.ok_or(Fault::Backpressure)?;
                Ok(())
            };
            Func::wrap(making.store.as_context_mut(), call)
        }
        Builtin::TaskReturn(result, options) => super::task::returning(making, instance, result, options)?,
        Builtin::Missing(name, params, results) => {
            let name = *name;
            func(&mut making.store, params, results, move |store, _, _| {
                check_may_leave(store, number)?;
                crate::bail!("`{name}` is not supported: asynchronous calls are missing")
            })
        }
        Builtin::ErrorContextDrop => {
            let call = move |mut caller: Caller<'_, T>, index: u32| -> Result<()> {
                let mut store = caller.as_context_mut();
                check_may_leave(&mut store, number)?;
                let state = &mut store.0.data_mut().components;
                Ok(state.drop_error_context(number, index)?)
            };
            Func::wrap(making.store.as_context_mut(), call)
        }
    })
}

/// Makes a handle of a representation ("canon resource.new").
pub(super) fn resource_new<T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    root: usize,
    number: usize,
    id: ResourceId,
    rep: u32,
) -> Result<u32> {
    check_may_leave(store, number)?;
    let state = &mut store.0.data_mut().components;
    let ty = state.resource(root, id).ty;
    Ok(state.add_own(Some(number), rep, ty)?)
}

/// Drops a handle ("canon resource.drop"), whose destructor may have to wait.
pub(super) fn dropping<'a, T: 'static>(
    store: &mut StoreContextMut<'_, T>,
    root: usize,
    number: usize,
    id: ResourceId,
    index: u32,
) -> Result<Begun<'a, Result<(), runtime::Error>>> {
    let state = &mut store.0.data_mut().components;
    let entry = state.resource(root, id);
    let dropped = state.drop_handle(Some(number), index, entry.ty);
    let rep = dropped.map_err(|fault| about(fault, index))?;
    let (Some(rep), Some(dtor)) = (rep, entry.dtor) else {
        return Ok(Begun::Done(Ok(())));
    };
    let params = [RawVal::I32(rep as i32)];
    if !dtor.may_wait {
        return Ok(Begun::Done(store.0.call(dtor.func.id, &params, &mut [])));
    }
    Ok(Begun::Calls {
        func: dtor.func.id,
        params: params.into(),
        then: |ended| ended,
    })
}

fn error_context_new<T: 'static>(
    making: &mut Making<'_, '_, T>,
    instance: u32,
    options: &Options,
) -> Result<Func> {
    let abi = making.abi(instance, options)?;
    let call = move |store: &mut StoreContextMut<'_, T>, params: &[RawVal], results: &mut [RawVal]| {
        check_may_leave(store, abi.instance)?;
        let text = Lifting::new(store, &abi).string(pointer(params[0]), pointer(params[1]))?;
        let state = &mut store.0.data_mut().components;
        let index = state.add(Some(abi.instance), Handle::ErrorContext(text.into()))?;
        results[0] = core(Flat::I32, index.into());
        Ok(())
    };
    Ok(func(&mut making.store, &[Flat::I32; 2], &[Flat::I32], call))
}

fn error_context_message<T: 'static>(
    making: &mut Making<'_, '_, T>,
    instance: u32,
    options: &Options,
) -> Result<Func> {
    let abi = making.abi(instance, options)?;
    let call = move |store: &mut StoreContextMut<'_, T>, params: &[RawVal], _: &mut [RawVal]| {
        check_may_leave(store, abi.instance)?;
        let state = &mut store.0.data_mut().components;
        let handles = state.handles(Some(abi.instance));
        let text = handles.error_context(pointer(params[0]))?;
        set_may_leave(store, abi.instance, false);
        let ty = cellwall_component::ValType::String;
        let ptr = pointer(params[1]);
        let mut lowering = Lowering { store, abi: &abi };
        lowering.check(&ty, ptr)?;
        lowering.memory(&ty, &Val::String(text.to_string()), ptr)?;
        set_may_leave(store, abi.instance, true);
        Ok(())
    };
    Ok(func(&mut making.store, &[Flat::I32; 2], &[], call))
}
