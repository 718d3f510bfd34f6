//! Exact types of values: what validation knows of references.
//!
//! Machine code holds every reference as a 32-bit index, so most rooms know only which space it
//! belongs to. Who compares types (imports, indirect calls, the embedder) needs all of it. Types name
//! others by a `T`: the index in a module, the number in an engine, or a [`Link`] in between.
//!
//! Requires nothing. Guarantees nothing but what the variants say: whether an index is in range is
//! checked where a list of types is read.

use crate::{EntityId, IdMap, TypeIdx};
use std::ops::Range;

/// What a reference refers to (core specification, "Heap Types").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Heap<T = TypeIdx> {
    /// A function of any type.
    Func,
    /// No function: null is the only reference.
    NoFunc,
    /// A value of the host.
    Extern,
    /// No value of the host: null is the only reference.
    NoExtern,
    /// An exception.
    Exn,
    /// No exception: null is the only reference.
    NoExn,
    /// Anything inside: there are numbers of 31 bits, and nothing else.
    Any,
    /// Anything inside that can be compared.
    Eq,
    /// A number of 31 bits.
    I31,
    /// Nothing inside: null is the only reference.
    None,
    /// A function of a type.
    Type(T),
}

/// What references are numbered together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Functions.
    Funcs,
    /// Values of the host.
    Externs,
    /// Exceptions.
    Exceptions,
    /// Numbers of 31 bits, each with a 1 behind it, so that none is null.
    Numbers,
}

/// The type of a reference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RefType<T = TypeIdx> {
    /// Whether null is one.
    pub nullable: bool,
    /// What it refers to.
    pub heap: Heap<T>,
}

impl<T> RefType<T> {
    /// `funcref`.
    pub const FUNCREF: Self = Self {
        nullable: true,
        heap: Heap::Func,
    };
    /// `externref`.
    pub const EXTERNREF: Self = Self {
        nullable: true,
        heap: Heap::Extern,
    };

    /// `exnref`.
    pub const EXNREF: Self = Self {
        nullable: true,
        heap: Heap::Exn,
    };

    /// `anyref`.
    pub const ANYREF: Self = Self {
        nullable: true,
        heap: Heap::Any,
    };

    /// Whether this is `funcref`, `externref`, `exnref` or `anyref`, which say no more than the space.
    pub fn is_plain(&self) -> bool {
        self.nullable && matches!(self.heap, Heap::Func | Heap::Extern | Heap::Exn | Heap::Any)
    }

    /// The space in which such references are numbered.
    pub fn space(&self) -> Space {
        match self.heap {
            Heap::Func | Heap::NoFunc | Heap::Type(_) => Space::Funcs,
            Heap::Extern | Heap::NoExtern => Space::Externs,
            Heap::Exn | Heap::NoExn => Space::Exceptions,
            Heap::Any | Heap::Eq | Heap::I31 | Heap::None => Space::Numbers,
        }
    }
}

impl<T: Copy> RefType<T> {
    /// The same with other names of types.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> RefType<U> {
        let heap = match self.heap {
            Heap::Func => Heap::Func,
            Heap::NoFunc => Heap::NoFunc,
            Heap::Extern => Heap::Extern,
            Heap::NoExtern => Heap::NoExtern,
            Heap::Exn => Heap::Exn,
            Heap::NoExn => Heap::NoExn,
            Heap::Any => Heap::Any,
            Heap::Eq => Heap::Eq,
            Heap::I31 => Heap::I31,
            Heap::None => Heap::None,
            Heap::Type(ty) => Heap::Type(f(ty)),
        };
        let nullable = self.nullable;
        RefType { nullable, heap }
    }

    /// Whether a reference of this type may be used where `other` is expected; `below` says whether
    /// one function type is another or below it.
    pub fn matches(self, other: Self, below: impl FnOnce(T, T) -> bool) -> bool {
        let heap = match (self.heap, other.heap) {
            (Heap::Type(ty), Heap::Type(other)) => below(ty, other),
            (Heap::Func | Heap::NoFunc | Heap::Type(_), Heap::Func)
            | (Heap::NoFunc, Heap::NoFunc | Heap::Type(_))
            | (Heap::Extern | Heap::NoExtern, Heap::Extern)
            | (Heap::NoExtern, Heap::NoExtern)
            | (Heap::Exn | Heap::NoExn, Heap::Exn)
            | (Heap::NoExn, Heap::NoExn)
            | (Heap::Any | Heap::Eq | Heap::I31 | Heap::None, Heap::Any)
            | (Heap::Eq | Heap::I31 | Heap::None, Heap::Eq)
            | (Heap::I31 | Heap::None, Heap::I31)
            | (Heap::None, Heap::None) => true,
            _ => false,
        };
        heap && (other.nullable || !self.nullable)
    }
}

/// What makes a function type equal to another or not, beside parameters and results.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExactFunc<T = TypeIdx> {
    /// For each parameter, its type if it is a reference.
    pub params: Box<[Option<RefType<T>>]>,
    /// For each result, likewise.
    pub results: Box<[Option<RefType<T>>]>,
    /// The type that it is declared to be below.
    pub supertype: Option<T>,
    /// Whether nothing may be declared to be below it.
    pub is_final: bool,
    /// The first type of its recursion group.
    pub group: T,
}

impl<T: Copy> ExactFunc<T> {
    /// The same with other names of types.
    pub fn map<U>(&self, f: impl Fn(T) -> U) -> ExactFunc<U> {
        let list = |types: &[Option<RefType<T>>]| types.iter().map(|ty| ty.map(|ty| ty.map(&f))).collect();
        ExactFunc {
            params: list(&self.params),
            results: list(&self.results),
            supertype: self.supertype.map(&f),
            is_final: self.is_final,
            group: f(self.group),
        }
    }

    /// Whether nothing but plain references occurs, and nothing is above or below it.
    fn says_nothing(&self) -> bool {
        let mut refs = self.params.iter().chain(&self.results).flatten();
        self.is_final && self.supertype.is_none() && refs.all(|ty| ty.is_plain())
    }
}

/// A type as the key of its recursion group names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Link {
    /// A type of the same group, by its place in it.
    Inside(u32),
    /// The number of another type.
    Outside(u32),
}

/// The exact types of a module's function types.
pub type ExactTypes = IdMap<TypeIdx, ExactFunc>;

/// The recursion groups of a module, in order.
pub fn groups(types: &ExactTypes) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = types.get(TypeIdx::new(start))?.group;
        let rest = types.values().skip(start);
        let len = rest.take_while(|ty| ty.group == first).count();
        start += len;
        Some(start - len..start)
    })
}

/// Whether a group is one type that says no more than its parameters and results without the types
/// of references do.
pub fn is_plain(types: &ExactTypes, group: &Range<usize>) -> bool {
    group.len() == 1 && types[TypeIdx::new(group.start)].says_nothing()
}

/// What two groups have in common exactly if they are equal (core specification, "Rolling and
/// Unrolling"), beside the parameters and results of their types.
pub fn key(
    types: &ExactTypes,
    group: &Range<usize>,
    number: impl Fn(TypeIdx) -> u32,
) -> Vec<ExactFunc<Link>> {
    let link = |ty: TypeIdx| match group.contains(&ty.index()) {
        true => Link::Inside((ty.index() - group.start) as u32),
        false => Link::Outside(number(ty)),
    };
    let types = group.clone().map(|at| &types[TypeIdx::new(at)]);
    types.map(|ty| ty.map(link)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<RefType<u32>> {
        let heaps = [
            Heap::Func,
            Heap::NoFunc,
            Heap::Extern,
            Heap::NoExtern,
            Heap::Exn,
            Heap::NoExn,
            Heap::Any,
            Heap::Eq,
            Heap::I31,
            Heap::None,
            Heap::Type(1),
            Heap::Type(2),
        ];
        let both = heaps
            .into_iter()
            .flat_map(|heap| [true, false].map(|nullable| RefType { nullable, heap }));
        both.collect()
    }

    #[test]
    fn subtyping_of_references_is_an_order() {
        let matches = |a: RefType<u32>, b| a.matches(b, |a, b| a >= b);
        for a in all() {
            assert!(matches(a, a));
            for b in all() {
                assert!(a == b || !(matches(a, b) && matches(b, a)), "{a:?} {b:?}");
                assert!(a.space() == b.space() || !matches(a, b), "{a:?} {b:?}");
                for c in all() {
                    assert!(
                        !(matches(a, b) && matches(b, c)) || matches(a, c),
                        "{a:?} {b:?} {c:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn groups_are_equal_by_what_they_contain() {
        let func = |group: u32, refers: Option<u32>| ExactFunc {
            params: refers
                .map(|ty| {
                    Some(RefType {
                        nullable: true,
                        heap: Heap::Type(TypeIdx::from_u32(ty)),
                    })
                })
                .into_iter()
                .collect(),
            results: Box::default(),
            supertype: None,
            is_final: true,
            group: TypeIdx::from_u32(group),
        };
        // Two groups of two that refer to each other, one that refers out of it, one alone.
        let types: ExactTypes = [
            func(0, Some(1)),
            func(0, Some(0)),
            func(2, Some(3)),
            func(2, Some(2)),
            func(4, Some(0)),
            func(4, Some(4)),
            func(6, None),
        ]
        .into_iter()
        .collect();
        let found: Vec<_> = groups(&types).collect();
        assert_eq!(found, [0..2, 2..4, 4..6, 6..7]);
        let keys: Vec<_> = found
            .iter()
            .map(|group| key(&types, group, |ty| ty.as_u32()))
            .collect();
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[0], keys[2]);
        assert_eq!(
            found.iter().map(|g| is_plain(&types, g)).collect::<Vec<_>>(),
            [false, false, false, true]
        );
    }
}
