//! What there is to compile of a component: core modules and adapters, equal ones once.

use crate::Result;
use cellwall_component::adapter::{self, Adapter, Request};
use cellwall_component::{Plan, Trampoline};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// The binaries of a component, and where each is used.
pub(crate) struct Parts<'a> {
    /// Core modules, then adapters that are none of them.
    pub(crate) wasm: Vec<Part<'a>>,
    /// Rows of `wasm` by the numbers of the plan.
    pub(crate) modules: Vec<u32>,
    /// Rows of `wasm`, and imports, of the trampolines that are adapters; those with nothing to do have
    /// none.
    pub(crate) adapters: BTreeMap<u32, (u32, Vec<adapter::Import>)>,
}

/// One binary.
pub(crate) struct Part<'a> {
    pub(crate) binary: Cow<'a, [u8]>,
    /// Where a core module lies in the component; `None` for an adapter.
    pub(crate) offset: Option<usize>,
}

impl<'a> Parts<'a> {
    /// The parts of the component that the plan was made of.
    pub(crate) fn of(plan: &Plan, binary: &'a [u8]) -> Result<Self> {
        let mut known: BTreeMap<Cow<'a, [u8]>, u32> = BTreeMap::new();
        let mut wasm: Vec<Part<'a>> = Vec::new();
        let mut number = |binary: Cow<'a, [u8]>, offset| {
            *known.entry(binary.clone()).or_insert_with(|| {
                wasm.push(Part { binary, offset });
                wasm.len() as u32 - 1
            })
        };
        let modules = plan.modules.iter();
        let modules = modules.map(|range| number(Cow::Borrowed(&binary[range.clone()]), Some(range.start)));
        let modules = modules.collect();
        let locked = plan.locked();
        let mut adapters = BTreeMap::new();
        for (index, trampoline) in plan.trampolines.iter().enumerate() {
            if let Some(Adapter { wasm, imports }) = adapter_of(plan, &locked, trampoline)? {
                adapters.insert(index as u32, (number(Cow::Owned(wasm), None), imports));
            }
        }
        Ok(Self {
            wasm,
            modules,
            adapters,
        })
    }
}

/// The adapter that a trampoline is, if it is one and has anything to do.
fn adapter_of(plan: &Plan, locked: &BTreeSet<u32>, trampoline: &Trampoline) -> Result<Option<Adapter>> {
    let Trampoline::Adapter {
        instance,
        lift,
        options,
    } = trampoline
    else {
        return Ok(None);
    };
    let lift = &plan.lifts[*lift as usize];
    let request = Request {
        ty: &lift.ty,
        lower: options,
        lift: &lift.options,
        with_context: plan.with_context.contains(&lift.instance),
        nested: is_nested(plan, *instance, lift.instance),
        locked: locked.contains(instance),
    };
    if adapter::is_idle(&request) {
        return Ok(None);
    }
    Ok(Some(adapter::adapter(&request)?))
}

/// Whether one component instance lies inside of the other, or they are the same: a call from one to the
/// other would enter an instance that is under way.
pub(super) fn is_nested(plan: &Plan, one: u32, other: u32) -> bool {
    lies_in(plan, one, other) || lies_in(plan, other, one)
}

/// Whether a component instance is another one or lies inside of it.
fn lies_in(plan: &Plan, inner: u32, outer: u32) -> bool {
    let mut current = Some(inner);
    // Ends because parents come before their children.
    while let Some(instance) = current {
        if instance == outer {
            return true;
        }
        current = plan.parents[instance as usize];
    }
    false
}
