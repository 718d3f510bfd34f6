//! Function types of an engine: one number for all that are equal, whichever module they come from.
//!
//! Requires types of a shape that was checked. Guarantees that equal numbers mean equal types by the
//! rules of recursion groups, so that comparing numbers is comparing types, and that a type below
//! another one has the same parameters and results to machine code. A number is never that of null.

use crate::engine::Engine;
use crate::error::Error;
use crate::id::FuncId;
use crate::store::StoreOpaque;
use crate::value::RawVal;
use cellwall_abi::context::func_entry;
use cellwall_abi::{Shape, Signature, ValType};
use cellwall_base::types::{self, ExactFunc, ExactTypes, Link, RefType, Space};
use cellwall_base::{EntityId, IdMap, TypeIdx};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A function type of an engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeRecord {
    /// Its number.
    pub number: u32,
    /// Parameters and results, as machine code sees them.
    pub signature: Signature,
    /// What else makes it equal to another or not; `None` if that says nothing more: it stands alone,
    /// nothing is above or below it, and all references in it are plain ones.
    pub exact: Option<ExactFunc<u32>>,
    /// The types above it.
    above: Vec<u32>,
}

impl TypeRecord {
    /// The type of parameter `i`, if it is a reference.
    pub fn param_ref(&self, i: usize) -> Option<RefType<u32>> {
        match &self.exact {
            Some(exact) => exact.params[i],
            None => plain_ref(self.signature.params[i]),
        }
    }

    /// The type of result `i`, if it is a reference.
    pub fn result_ref(&self, i: usize) -> Option<RefType<u32>> {
        match &self.exact {
            Some(exact) => exact.results[i],
            None => plain_ref(self.signature.results[i]),
        }
    }
}

/// `funcref`, `externref`, `exnref` or `anyref`.
pub fn plain_ref<T>(ty: ValType) -> Option<RefType<T>> {
    match ty {
        ValType::FuncRef => Some(RefType::FUNCREF),
        ValType::ExternRef => Some(RefType::EXTERNREF),
        ValType::ExnRef => Some(RefType::EXNREF),
        ValType::AnyRef => Some(RefType::ANYREF),
        _ => None,
    }
}

/// What makes a recursion group equal to another.
type GroupKey = Vec<(Signature, ExactFunc<Link>)>;

/// The types of an engine.
#[derive(Debug, Default)]
pub(crate) struct TypeRegistry(Mutex<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    plain: HashMap<Signature, u32>,
    /// The first number of each other group.
    groups: HashMap<GroupKey, u32>,
    records: Vec<Arc<TypeRecord>>,
}

/// Largest number of a type.
const NUMBER_MAX: usize = func_entry::FOREIGN_SIGNATURE as usize - 1;

impl Numbers {
    fn add(&mut self, signature: &Signature, exact: Option<ExactFunc<u32>>, above: Vec<u32>) -> u32 {
        let number = self.records.len() + 1 + func_entry::NULL_SIGNATURE as usize;
        assert!(number <= NUMBER_MAX, "too many different types");
        let number = number as u32;
        self.records.push(Arc::new(TypeRecord {
            number,
            signature: signature.clone(),
            exact,
            above,
        }));
        number
    }

    fn record(&self, number: u32) -> &Arc<TypeRecord> {
        &self.records[(number - func_entry::NULL_SIGNATURE - 1) as usize]
    }

    fn plain(&mut self, signature: &Signature) -> u32 {
        if let Some(&number) = self.plain.get(signature) {
            return number;
        }
        let number = self.add(signature, None, Vec::new());
        self.plain.insert(signature.clone(), number);
        number
    }

    /// The numbers of a group that is not plain, whose types follow those in `known`.
    fn group(&mut self, shape: &Shape, group: std::ops::Range<usize>, known: &mut IdMap<TypeIdx, u32>) {
        let types = &shape.exact_types;
        let key = types::key(types, &group, |ty| known[ty]);
        let signatures = group.clone().map(|at| shape.types[TypeIdx::new(at)].clone());
        let key: GroupKey = signatures.zip(key).collect();
        let first = match self.groups.get(&key) {
            Some(&first) => first,
            None => self.new_group(key),
        };
        for at in 0..group.len() as u32 {
            known.push(first + at);
        }
    }

    fn new_group(&mut self, key: GroupKey) -> u32 {
        let first = self.records.len() as u32 + 1 + func_entry::NULL_SIGNATURE;
        for (signature, exact) in &key {
            let exact = exact.map(|link| match link {
                Link::Inside(at) => first + at,
                Link::Outside(number) => number,
            });
            let above = exact.supertype.into_iter().flat_map(|supertype| {
                let rest = self.record(supertype).above.clone();
                std::iter::once(supertype).chain(rest)
            });
            let above = above.collect();
            self.add(signature, Some(exact), above);
        }
        self.groups.insert(key, first);
        first
    }
}

impl TypeRegistry {
    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// The number of the type with these parameters and results that says nothing more.
    ///
    /// # Panics
    /// After four billion different types.
    pub fn plain_type(&self, signature: &Signature) -> u32 {
        self.0.types.lock().plain(signature)
    }

    /// The number of a type that stands alone and refers to types of this engine.
    ///
    /// # Panics
    /// As [`plain_type`](Self::plain_type), or if the reference types do not fit the signature.
    pub fn exact_type(
        &self,
        signature: &Signature,
        params: &[Option<RefType<u32>>],
        results: &[Option<RefType<u32>>],
    ) -> u32 {
        let fits = |types: &[ValType], refs: &[Option<RefType<u32>>]| {
            types.len() == refs.len()
                && types
                    .iter()
                    .zip(refs)
                    .all(|(&ty, exact)| fits(ty, exact.as_ref()))
        };
        assert!(
            fits(&signature.params, params) && fits(&signature.results, results),
            "every reference has its exact type"
        );
        let mut numbers = self.0.types.lock();
        if params.iter().chain(results).flatten().all(|ty| ty.is_plain()) {
            return numbers.plain(signature);
        }
        let list = |refs: &[Option<RefType<u32>>]| {
            let refs = refs.iter().map(|ty| ty.map(|ty| ty.map(Link::Outside)));
            refs.collect::<Box<[_]>>()
        };
        let exact = ExactFunc {
            params: list(params),
            results: list(results),
            supertype: None,
            is_final: true,
            group: Link::Inside(0),
        };
        let key = vec![(signature.clone(), exact)];
        match numbers.groups.get(&key) {
            Some(&number) => number,
            None => numbers.new_group(key),
        }
    }

    /// A type by its number.
    ///
    /// # Panics
    /// If the engine has no such type.
    pub fn type_record(&self, number: u32) -> Arc<TypeRecord> {
        self.0.types.lock().record(number).clone()
    }

    /// Whether a type is another one or below it.
    pub fn is_subtype(&self, number: u32, of: u32) -> bool {
        number == of || self.0.types.lock().record(number).above.contains(&of)
    }

    /// Whether a reference of one type may be used where another is expected.
    pub fn ref_matches(&self, ty: RefType<u32>, expected: RefType<u32>) -> bool {
        ty.matches(expected, |number, of| self.is_subtype(number, of))
    }

    /// The numbers of a module's types.
    pub(crate) fn type_numbers(&self, shape: &Shape) -> IdMap<TypeIdx, u32> {
        let mut numbers = self.0.types.lock();
        let exact: &ExactTypes = &shape.exact_types;
        if exact.is_empty() {
            return shape.types.values().map(|ty| numbers.plain(ty)).collect();
        }
        let mut known = IdMap::with_capacity(shape.types.len());
        for group in types::groups(exact) {
            if types::is_plain(exact, &group) {
                let number = numbers.plain(&shape.types[TypeIdx::new(group.start)]);
                known.push(number);
            } else {
                numbers.group(shape, group, &mut known);
            }
        }
        known
    }
}

/// Whether a reference type belongs to a value type.
fn fits<T>(ty: ValType, exact: Option<&RefType<T>>) -> bool {
    match ty {
        ValType::FuncRef => exact.is_some_and(|exact| exact.space() == Space::Funcs),
        ValType::ExternRef => exact.is_some_and(|exact| exact.space() == Space::Externs),
        ValType::ExnRef => exact.is_some_and(|exact| exact.space() == Space::Exceptions),
        ValType::AnyRef => exact.is_some_and(|exact| exact.space() == Space::Numbers),
        _ => exact.is_none(),
    }
}

impl StoreOpaque {
    /// Whether a value is of a reference type. Others have none to be of.
    pub fn is_of(&self, value: RawVal, ty: RefType<u32>) -> bool {
        let Some(reference) = value.reference() else {
            return false;
        };
        if !fits(value.ty(), Some(&ty)) {
            return false;
        }
        if reference == 0 {
            return ty.nullable;
        }
        match ty.heap {
            types::Heap::Func | types::Heap::Extern | types::Heap::Exn => true,
            // Of what is inside there are numbers alone.
            types::Heap::Any | types::Heap::Eq | types::Heap::I31 => true,
            types::Heap::NoFunc | types::Heap::NoExtern | types::Heap::NoExn | types::Heap::None => false,
            types::Heap::Type(number) => {
                self.resolve(reference).is_some()
                    && self
                        .engine()
                        .is_subtype(self.func_type_number(FuncId::new(self.id(), reference)), number)
            }
        }
    }

    /// An error unless a value is of the type, if there is one.
    pub(crate) fn check_exact(&self, value: RawVal, ty: Option<RefType<u32>>) -> Result<(), Error> {
        match ty {
            Some(ty) if !ty.is_plain() && !self.is_of(value, ty) => Err(Error::Type(format!(
                "a reference that is {} null is not of the type {ty:?}",
                if value.reference() == Some(0) { "" } else { "not" }
            ))),
            _ => Ok(()),
        }
    }
}
