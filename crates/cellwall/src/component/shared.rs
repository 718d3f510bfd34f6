//! Functions that the instances of a component with the same imports have in common.
//!
//! What differs from instance to instance, memories and functions of the guest, they find by the number of the root
//! in its store. So an instance needs no closures of its own for what it imports: whoever makes an instance per
//! request makes them once.
//! Guarantees: they do what those do that an instance makes for itself ([`trampoline`]).
//! Does not do: adapters, tasks, and functions of the host without Rust types: each instance makes its own.

use super::call::{FromGuest, check_may_leave};
use super::instantiate::Making;
use super::lift::{Abi, bits, core};
use super::linker::{Body, Definition, Drop, HostFunc, InstancePre, ReturnedTyped};
use super::trampoline::{self, about, core_type, dropping};
use super::wiring::Wiring;
use crate::store::Data;
use crate::{Engine, Func, Result, StoreContextMut};
use cellwall_component::{
    Builtin, CoreDef, Encoding, Fault, Flat, FuncType, Options, ResourceId, ResourceOrigin, Side, Trampoline,
};
use cellwall_runtime::{self as runtime, Begun, RawVal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

type Owned<T> = runtime::OwnedFunc<Data<T>>;

/// Functions in common, made when they are worth it.
pub(crate) struct Later<T: 'static> {
    is_first_made: AtomicBool,
    shared: OnceLock<Shared<T>>,
    wiring: OnceLock<Wiring>,
}

impl<T: 'static> Default for Later<T> {
    fn default() -> Self {
        Self {
            is_first_made: AtomicBool::new(false),
            shared: OnceLock::new(),
            wiring: OnceLock::new(),
        }
    }
}

impl<T: 'static> Later<T> {
    /// The functions for the next instance: none for the first, which may be the only one, and then calls faster
    /// what it has for itself.
    pub(crate) fn next(&self, pre: &InstancePre<T>) -> Option<&Shared<T>> {
        if !self.is_first_made.load(Ordering::Relaxed) {
            self.is_first_made.store(true, Ordering::Relaxed);
            return None;
        }
        Some(self.shared.get_or_init(|| Shared::of(pre)))
    }

    /// Where the imports of core modules come from.
    pub(super) fn wiring(&self, pre: &InstancePre<T>) -> &Wiring {
        self.wiring.get_or_init(|| Wiring::of(pre.component()))
    }
}

/// Functions in common, and where they are.
pub(crate) struct Shared<T: 'static> {
    funcs: runtime::HostFuncs<Data<T>>,
    /// By the trampolines of the plan.
    trampolines: Vec<Option<Place>>,
    /// By the resources of the plan: the place of the destructor among `funcs`.
    dtors: Vec<Option<usize>>,
    /// How values cross, where that differs.
    abis: Vec<(u32, Options)>,
}

#[derive(Clone, Copy)]
struct Place {
    func: usize,
    /// Among `abis`.
    abi: Option<usize>,
}

/// Those of one instance.
pub(crate) struct SharedIn<'a, T: 'static> {
    shared: &'a Shared<T>,
    funcs: runtime::HostFuncsIn,
}

impl<T: 'static> Shared<T> {
    fn of(pre: &InstancePre<T>) -> Self {
        let plan = pre.component().plan();
        let engine = pre.component().engine();
        let mut collecting = Collecting {
            funcs: Vec::new(),
            abis: Vec::new(),
            known: BTreeMap::new(),
        };
        let dtors = plan.resources.iter().map(|origin| {
            let ResourceOrigin::Import(index) = origin else {
                return None;
            };
            match pre.imports[*index as usize].as_ref() {
                Some(Definition::Resource(_, drop)) => Some(collecting.func(dtor(engine, drop.clone()))),
                _ => unreachable!("the linker compared the kinds"),
            }
        });
        let dtors = dtors.collect();
        let trampolines = plan.trampolines.iter();
        let trampolines = trampolines.map(|trampoline| collecting.trampoline(pre, trampoline));
        Self {
            trampolines: trampolines.collect(),
            dtors,
            funcs: runtime::HostFuncs::new(collecting.funcs),
            abis: collecting.abis,
        }
    }

    /// How many kinds of crossings there are.
    pub(crate) fn abis(&self) -> usize {
        self.abis.len()
    }

    /// Puts them into a store for the root with this number.
    pub(crate) fn in_store(&self, store: &mut StoreContextMut<'_, T>, root: usize) -> SharedIn<'_, T> {
        let owner = u32::try_from(root).expect("a store does not get four billion components");
        SharedIn {
            shared: self,
            funcs: store.0.add_host_funcs(&self.funcs, owner),
        }
    }
}

impl<T: 'static> SharedIn<'_, T> {
    fn func(&self, at: usize) -> Func {
        Func {
            id: self.funcs.func(at),
        }
    }

    /// The destructor of a resource of the host.
    pub(crate) fn dtor(&self, id: usize) -> Option<Func> {
        self.shared.dtors[id].map(|at| self.func(at))
    }
}

impl<T: 'static> Making<'_, '_, T> {
    /// The trampoline, if it is in common: what it refers to is there.
    pub(super) fn shared_trampoline(&mut self, index: u32) -> Result<Option<Func>> {
        let Some(shared) = &self.shared else {
            return Ok(None);
        };
        let Some(place) = shared.shared.trampolines[index as usize] else {
            return Ok(None);
        };
        let func = shared.func(place.func);
        if let Some(at) = place.abi
            && self.store.0.data().components.roots[self.root].abis[at].is_none()
        {
            let (instance, options) = &shared.shared.abis[at];
            let abi = self.abi(*instance, options)?;
            self.store.0.data_mut().components.roots[self.root].abis[at] = Some(abi);
        }
        Ok(Some(func))
    }
}

/// What decides how values cross.
type Crossing<'a> = (u32, Encoding, Option<Def<'a>>, Option<Def<'a>>);
type Def<'a> = (u32, Option<&'a str>);

fn key(def: &CoreDef) -> Def<'_> {
    match def {
        CoreDef::Export(instance, name) => (*instance, Some(name)),
        CoreDef::Trampoline(index) => (*index, None),
    }
}

struct Collecting<'a, T: 'static> {
    funcs: Vec<Owned<T>>,
    abis: Vec<(u32, Options)>,
    known: BTreeMap<Crossing<'a>, usize>,
}

impl<'a, T: 'static> Collecting<'a, T> {
    fn func(&mut self, func: Owned<T>) -> usize {
        self.funcs.push(func);
        self.funcs.len() - 1
    }

    fn abi(&mut self, instance: u32, options: &'a Options) -> usize {
        let [memory, realloc] = [&options.memory, &options.realloc].map(|def| def.as_ref().map(key));
        let abis = &mut self.abis;
        let known = self.known.entry((instance, options.encoding, memory, realloc));
        *known.or_insert_with(|| {
            abis.push((instance, options.clone()));
            abis.len() - 1
        })
    }

    fn trampoline(&mut self, pre: &'a InstancePre<T>, trampoline: &'a Trampoline) -> Option<Place> {
        let engine = pre.component().engine();
        match trampoline {
            Trampoline::Host {
                instance,
                import,
                ty,
                options,
            } => {
                let Some(Definition::Func(host)) = &pre.imports[*import as usize] else {
                    unreachable!("the linker compared the kinds");
                };
                let make = match &host.body {
                    Body::Typed(_) => typed,
                    Body::TypedAsync(_) => typed_async,
                    Body::Plain(_) | Body::Async(_) => return None,
                };
                let abi = self.abi(*instance, options);
                let func = make(engine, abi, ty.clone(), host.clone());
                Some(Place {
                    func: self.func(func),
                    abi: Some(abi),
                })
            }
            Trampoline::Builtin { instance, builtin } => {
                let func = builtin_func(engine, *instance, builtin)?;
                Some(Place {
                    func: self.func(func),
                    abi: None,
                })
            }
            Trampoline::Adapter { .. } | Trampoline::Task { .. } => None,
        }
    }
}

fn abi_of<T>(store: &StoreContextMut<'_, T>, root: usize, at: usize) -> Abi {
    let abi = store.0.data().components.roots[root].abis[at];
    abi.expect("made before the first function that needs it")
}

/// A function of the host whose types are known to Rust.
fn typed<T: 'static>(engine: &Engine, abi: usize, ty: Arc<FuncType>, host: Arc<HostFunc<T>>) -> Owned<T> {
    let (params, results) = ty.core_signature(Side::Lower);
    let signature = core_type(engine, &params, &results);
    crate::func::owned_flat(engine, &signature, move |store, root, params| {
        let abi = abi_of(store, root, abi);
        match &host.body {
            Body::Typed(call) => call(store, &FromGuest::new(&abi, &ty), params),
            _ => unreachable!("it was looked at"),
        }
    })
}

/// Likewise, one that may have to wait.
fn typed_async<T: 'static>(
    engine: &Engine,
    abi: usize,
    ty: Arc<FuncType>,
    host: Arc<HostFunc<T>>,
) -> Owned<T> {
    let (params, results) = ty.core_signature(Side::Lower);
    let signature = core_type(engine, &params, &results);
    let result = results.first().copied();
    let params_of = |params: &[RawVal]| -> Vec<u64> { params.iter().map(|&raw| bits(raw)).collect() };
    let own = ty.clone();
    crate::func::owned_async(
        engine,
        &signature,
        move |store, root, params| {
            let abi = abi_of(&store, root, abi);
            match &host.body {
                Body::TypedAsync(call) => {
                    let future = call(store, &FromGuest::new(&abi, &own), &params_of(params))?;
                    Ok(Begun::Waits(future))
                }
                _ => unreachable!("it was looked at"),
            }
        },
        move |store, root, params, returned: Result<ReturnedTyped<T>>, results| {
            let abi = abi_of(store, root, abi);
            let bits = returned?(store, &FromGuest::new(&abi, &ty), &params_of(params))?;
            if let (Some(to), Some(ty)) = (results.first_mut(), result) {
                *to = core(ty, bits);
            }
            Ok(())
        },
    )
}

/// What calls the destructor of a resource of the host.
fn dtor<T: 'static>(engine: &Engine, dtor: Arc<Drop<T>>) -> Owned<T> {
    if let Drop::Plain(_) = &*dtor {
        let signature = core_type(engine, &[Flat::I32], &[]);
        return crate::func::owned_flat(engine, &signature, move |store, _, params| match &*dtor {
            Drop::Plain(dtor) => {
                dtor(crate::AsContextMut::as_context_mut(store), params[0] as u32).map(|()| 0)
            }
            Drop::Async(_) => unreachable!("it was looked at"),
        });
    }
    crate::func::owned_begun(
        engine,
        move |store, _, (rep,): (u32,)| match &*dtor {
            Drop::Async(dtor) => Ok(Begun::Waits(Box::into_pin(dtor(store, rep)))),
            Drop::Plain(_) => unreachable!("it was looked at"),
        },
        |_, ended: Result<()>| ended,
    )
}

/// A function of the canonical ABI, of those that need nothing but handles.
fn builtin_func<T: 'static>(engine: &Engine, instance: u32, builtin: &Builtin) -> Option<Owned<T>> {
    let index = instance as usize;
    let number = move |store: &StoreContextMut<'_, T>, root: usize| {
        store.0.data().components.roots[root].first + index
    };
    let from_index_to_index = || core_type(engine, &[Flat::I32], &[Flat::I32]);
    Some(match builtin {
        Builtin::ResourceNew(id) => {
            let id = *id;
            let signature = from_index_to_index();
            crate::func::owned_flat(engine, &signature, move |store, root, params| {
                let number = number(store, root);
                trampoline::resource_new(store, root, number, id, params[0] as u32).map(u64::from)
            })
        }
        Builtin::ResourceRep(id) => {
            let id = *id;
            let signature = from_index_to_index();
            crate::func::owned_flat(engine, &signature, move |store, root, params| {
                let number = number(store, root);
                let index = params[0] as u32;
                let rep = resource_rep(store, root, number, id, index);
                rep.map(u64::from).map_err(|fault| about(fault, index))
            })
        }
        Builtin::ResourceDrop(id) => {
            let id = *id;
            crate::func::owned_begun(
                engine,
                move |mut store, root, (index,): (u32,)| {
                    let number = number(&store, root);
                    check_may_leave(&mut store, number)?;
                    dropping(&mut store, root, number, id, index)
                },
                |store, ended: Result<_, _>| ended.map_err(|error| store.error(error)),
            )
        }
        _ => return None,
    })
}

fn resource_rep<T>(
    store: &mut StoreContextMut<'_, T>,
    root: usize,
    number: usize,
    id: ResourceId,
    index: u32,
) -> Result<u32, Fault> {
    let state = &mut store.0.data_mut().components;
    let ty = state.resource(root, id).ty;
    state.handles(Some(number)).rep(index, ty)
}
