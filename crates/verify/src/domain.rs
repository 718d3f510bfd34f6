//! The abstract domain: kinds of values, and the state between two instructions.
//!
//! Requires nothing. Guarantees that [`Kind::join`] is an upper bound (its result holds of every
//! value of which one of its operands holds) and that chains are short, so that the fixpoint ends.
//! Deliberately knows neither instructions nor the context's layout.

use crate::module::Places;
use cellwall_base::{TagIdx, TypeIdx, limits};

/// What is known of a 64-bit place. Those that [`is_data`](Kind::is_data) may be computed with and
/// stored; the others are pointers and serve only the purpose that they name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Not written by this activation, or not the same on all paths.
    Undefined,
    /// Only the low byte is written.
    Low8,
    /// Only the low four bytes are written.
    Low32,
    /// Some 64 bits of data.
    Any,
    /// At most this.
    UpTo(u32),
    /// At most the current length of this memory; whether it also fits 32 bits.
    MemoryIndex { memory: u8, fits_32: bool },
    /// A length that this memory has or had.
    MemoryLength(u8),
    /// Below the current length of this table.
    TableIndex(u8),
    /// A length that this table has or had.
    TableLength(u8),
    /// An index at most this, times the size of a function entry.
    ScaledUpTo(u32),
    /// A [`TableIndex`](Kind::TableIndex), times the size of a function entry.
    ScaledTableIndex(u8),

    /// Base of a memory.
    MemoryBase(u8),
    /// Address of the definition of an imported memory.
    MemoryDefinition(u8),
    /// Address of the definition of an imported table.
    TableDefinition(u8),
    /// Address of an imported global.
    GlobalPointer(u32),
    /// Address of the store's block.
    Block,
    /// Address of the entry of an imported function.
    ImportEntry(u32),
    /// Address of the entry of a tag.
    TagEntry(u32),
    /// Address of an entry of a table of functions; whether the table is private.
    Entry { private: bool },
    /// Address of an entry whose function has this type.
    TypedEntry(TypeIdx),
    /// The engine-wide number of a type.
    Signature(TypeIdx),
    /// Address of a jump table of this function.
    JumpTable(u32),
    /// An element of this jump table.
    JumpDistance(u32),
    /// The address that an element of this jump table stands for.
    JumpTarget(u32),
    /// What this callee-saved register held at the entry of the function.
    Saved(u8),
}

use Kind::*;

/// Any zero-extended 32-bit value.
pub(crate) const U32: Kind = UpTo(u32::MAX);

impl Kind {
    /// Some 64 bits of data, or 32 that are zero-extended.
    pub(crate) fn of_width(is_wide: bool) -> Self {
        if is_wide { Any } else { U32 }
    }

    /// Whether all 64 bits are defined and no pointer.
    #[inline]
    pub(crate) fn is_data(self) -> bool {
        matches!(self, Any | UpTo(_)) || self.length_like()
    }

    /// Whether not all of it is defined.
    #[inline]
    pub(crate) fn is_partial(self) -> bool {
        matches!(self, Undefined | Low8 | Low32)
    }

    /// Whether it is data whose relation to a length is known.
    #[inline]
    pub(crate) fn length_like(self) -> bool {
        matches!(self, MemoryIndex { .. } | MemoryLength(_) | ScaledUpTo(_))
            || matches!(self, TableIndex(_) | TableLength(_) | ScaledTableIndex(_))
    }

    /// Whether it is related to a length in a way of which `other` does not tell.
    #[inline]
    pub(crate) fn tells_apart(self, other: Kind) -> bool {
        let same = match (self, other) {
            (MemoryIndex { memory, .. }, MemoryIndex { memory: m, .. }) => memory == m,
            _ => self == other,
        };
        self.length_like() && !same
    }

    /// The largest value, if it fits 32 bits.
    #[inline]
    pub(crate) fn max(self) -> Option<u32> {
        match self {
            UpTo(max) => Some(max),
            MemoryIndex { fits_32: true, .. } => Some(u32::MAX),
            TableIndex(_) | TableLength(_) => Some(limits::TABLE_ELEMENTS_MAX as u32),
            _ => None,
        }
    }

    /// What the zero-extended low 32 bits are; `None` if they are not defined or part of a pointer.
    #[inline]
    pub(crate) fn low_32(self) -> Option<Kind> {
        match self {
            Low32 => Some(U32),
            Signature(_) => Some(self),
            _ if !self.is_data() => None,
            _ if self.max().is_some() => Some(self),
            _ => Some(U32),
        }
    }

    /// The strongest kind in the domain that holds of both.
    pub(crate) fn join(self, other: Kind) -> Kind {
        if self == other {
            return self;
        }
        let both = |holds: fn(Kind) -> bool| holds(self) && holds(other);
        match (self, other) {
            (MemoryIndex { memory, .. }, MemoryIndex { memory: m, .. }) if m == memory => {
                let fits_32 = false;
                MemoryIndex { memory, fits_32 }
            }
            _ if both(|kind| kind.max().is_some()) => U32,
            _ if both(Kind::is_data) => Any,
            _ if both(|kind| kind == Low32 || kind.is_data()) => Low32,
            _ if both(|kind| kind == Low8 || kind.is_data()) => Low8,
            _ => Undefined,
        }
    }

    /// What is left of it in a frame slot; `None` if it may not be kept there. Entries and what
    /// leads to them live in registers only, because a call ends them.
    pub(crate) fn spilled(self) -> Option<Kind> {
        match self {
            UpTo(_) | TableIndex(_) | TableLength(_) => Some(U32),
            MemoryLength(_) | ScaledUpTo(_) | ScaledTableIndex(_) => Some(Any),
            Any | MemoryIndex { .. } | Block | Saved(_) => Some(self),
            MemoryBase(_) | MemoryDefinition(_) | TableDefinition(_) | GlobalPointer(_) => Some(self),
            _ => None,
        }
    }
}

/// What the flags say about a register, since the last instruction that wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fact {
    pub(crate) register: u8,
    pub(crate) says: Says,
}

/// That a register, or the signature at the entry in it, was compared with something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Says {
    /// With something that is at most `max`, in 32 or 64 bits.
    Bound { max: u32, wide: bool },
    /// In 64 bits with the current length of a memory.
    Memory(u8),
    /// In 64 bits with the current length of a table.
    Table(u8),
    /// With the signature of a type.
    Signature(TypeIdx),
}

/// Which overflow places of the store's block may be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Readable {
    /// None.
    Nothing,
    /// The arguments of the function's own type.
    Arguments,
    /// The results of a function of this type.
    Results(TypeIdx),
    /// What a landing pad for exceptions with this tag is given.
    Exception(TagIdx),
}

/// The part of the state that has the same size in every function. Most registers hold plain data,
/// so that is kept in sets of registers, and an array says only what is more special.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    /// General-purpose registers that hold data.
    pub(crate) data: u16,
    /// General-purpose registers that hold data of at most 32 bits.
    pub(crate) narrow: u16,
    /// Registers whose kind is in the array; of others, data is [`Any`] or [`U32`], the rest [`Undefined`].
    special: u16,
    kinds: [Kind; 16],
    /// How many low bytes of each vector register are defined: 0, 4, 8 or [`XMM_BYTES`].
    pub(crate) vectors: [u8; 16],
    /// Which registers and slots hold the same value.
    pub(crate) copies: Copies,
    /// Which [`FLAGS`] are defined.
    pub(crate) flags: u8,
    /// Bytes between the stack pointer and the return address.
    pub(crate) depth: u32,
    /// Bytes below the return address up to which the stack was probed.
    pub(crate) probed: u32,
    /// What of the block may be read.
    pub(crate) readable: Readable,
}

/// Bytes of a vector register.
pub(crate) const XMM_BYTES: u8 = 16;

/// Equalities between registers, and between a register and a frame slot: what a comparison says
/// of one copy holds of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies {
    /// By register: one that holds the same value and names all that do, itself if there is no other.
    names: [u8; 16],
    /// The slot that holds the value of the register, if its number fits.
    homes: [u16; 16],
    /// Registers that may have a name together with another, or a home.
    linked: u16,
}

const HOMELESS: u16 = u16::MAX;

impl Copies {
    /// No equality is known.
    pub(crate) const NONE: Self = Self {
        names: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        homes: [HOMELESS; 16],
        linked: 0,
    };

    /// The register is about to hold another value.
    #[inline]
    pub(crate) fn forget(&mut self, register: u8) {
        if self.linked & bit(register) != 0 {
            self.unlink(register);
        }
    }

    fn unlink(&mut self, register: u8) {
        self.linked &= !bit(register);
        self.homes[at(register)] = HOMELESS;
        // Those that it named are named by the first of them.
        let mut heir = None;
        for other in bits(self.linked) {
            if self.names[at(other)] == register {
                self.names[at(other)] = *heir.get_or_insert(other);
            }
        }
        self.names[at(register)] = register;
    }

    /// A register that was just forgotten holds the value of another.
    pub(crate) fn copy(&mut self, to: u8, from: u8) {
        self.names[at(to)] = self.names[at(from)];
        self.homes[at(to)] = self.homes[at(from)];
        self.linked |= bit(to) | bit(from);
    }

    /// A slot that was just forgotten, or is about to be loaded, holds the value of a register.
    #[inline]
    pub(crate) fn settle(&mut self, register: u8, slot: usize) {
        self.homes[at(register)] = u16::try_from(slot).unwrap_or(HOMELESS);
        self.linked |= bit(register);
    }

    /// A slot is about to hold another value.
    #[inline]
    pub(crate) fn forget_slot(&mut self, slot: usize) {
        let slot = u16::try_from(slot).unwrap_or(HOMELESS);
        for home in &mut self.homes {
            *home = if *home == slot { HOMELESS } else { *home };
        }
    }

    /// All slots are about to hold other values.
    pub(crate) fn forget_slots(&mut self) {
        self.homes = [HOMELESS; 16];
    }

    /// The slot that holds the value of a register.
    pub(crate) fn home(&self, register: u8) -> Option<usize> {
        let home = self.homes[at(register)];
        (home != HOMELESS).then_some(home.into())
    }

    /// Whether nothing is known to be equal to a register.
    #[inline]
    pub(crate) fn is_alone(&self, register: u8) -> bool {
        self.linked & bit(register) == 0
    }

    /// The registers that may hold the value of another, or of a slot.
    #[inline]
    pub(crate) fn linked(&self) -> impl Iterator<Item = u8> + use<> {
        bits(self.linked)
    }

    /// Whether two registers hold the same value.
    #[inline]
    pub(crate) fn equal(&self, a: u8, b: u8) -> bool {
        let has_home = self.homes[at(a)] != HOMELESS;
        self.names[at(a)] == self.names[at(b)] || has_home && self.homes[at(a)] == self.homes[at(b)]
    }

    /// Keeps what both know; whether this one changed.
    fn join(&mut self, other: &Copies) -> bool {
        let mut changed = false;
        for (mine, theirs) in self.homes.iter_mut().zip(other.homes) {
            changed |= *mine != theirs && *mine != HOMELESS;
            *mine = if *mine == theirs { theirs } else { HOMELESS };
        }
        for register in bits(self.linked) {
            if other.names[at(register)] != other.names[at(self.names[at(register)])] {
                // It names nobody. Of three equal ones, two may stay so; that is not kept.
                self.names[at(register)] = register;
                changed = true;
            }
        }
        changed
    }
}

/// The place of a register in an array of all.
#[inline]
fn at(register: u8) -> usize {
    usize::from(register & 15)
}

/// The bit of a register in a set.
#[inline]
fn bit(register: u8) -> u16 {
    1 << (register & 15)
}

/// The registers of a set.
fn bits(mut set: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let first = set.trailing_zeros() as u8;
        set &= set.wrapping_sub(1);
        (first < 16).then_some(first)
    })
}

/// Bit of [`Registers::flags`] for the carry flag.
pub(crate) const CARRY: u8 = 1 << 0;
/// For the parity flag.
pub(crate) const PARITY: u8 = 1 << 1;
/// For the zero flag.
pub(crate) const ZERO: u8 = 1 << 2;
/// For the sign flag.
pub(crate) const SIGN: u8 = 1 << 3;
/// For the overflow flag.
pub(crate) const OVERFLOW: u8 = 1 << 4;
/// The flags that conditions read.
pub(crate) const FLAGS: u8 = CARRY | PARITY | ZERO | SIGN | OVERFLOW;

impl Registers {
    /// Nothing is known; at the return address.
    pub(crate) const UNKNOWN: Self = Self {
        data: 0,
        narrow: 0,
        special: 0,
        kinds: [Undefined; 16],
        vectors: [0; 16],
        copies: Copies::NONE,
        flags: 0,
        depth: 0,
        probed: 0,
        readable: Readable::Nothing,
    };

    /// The kind of a general-purpose register.
    #[inline]
    pub(crate) fn kind(&self, register: u8) -> Kind {
        let bit = bit(register);
        match () {
            () if self.special & bit != 0 => self.kinds[at(register)],
            () if self.narrow & bit != 0 => U32,
            () if self.data & bit != 0 => Any,
            () => Undefined,
        }
    }

    /// Whether it holds data of at most 32 bits.
    #[inline]
    pub(crate) fn is_narrow(&self, register: u8) -> bool {
        self.narrow & bit(register) != 0
    }

    /// Makes plain data of a general-purpose register, of at most 32 bits or not.
    #[inline]
    pub(crate) fn set_plain(&mut self, register: u8, is_narrow: bool) {
        let bit = bit(register);
        self.data |= bit;
        self.narrow = if is_narrow {
            self.narrow | bit
        } else {
            self.narrow & !bit
        };
        self.special &= !bit;
    }

    /// Sets the kind of a general-purpose register.
    #[inline]
    pub(crate) fn set(&mut self, register: u8, kind: Kind) {
        match kind {
            Any => self.set_plain(register, false),
            U32 => self.set_plain(register, true),
            _ => {
                let bit = bit(register);
                let with = |set: u16, holds: bool| if holds { set | bit } else { set & !bit };
                self.data = with(self.data, kind.is_data());
                self.narrow = with(self.narrow, kind.max().is_some());
                self.special = with(self.special, kind != Undefined);
                self.kinds[at(register)] = kind;
            }
        }
    }

    /// Gives values to the registers of a convention.
    pub(crate) fn give(&mut self, places: &Places) {
        for &(register, is_narrow) in &places.gprs {
            self.set_plain(register, is_narrow);
        }
        for &(register, bytes) in &places.xmms {
            self.vectors[at(register)] = bytes;
        }
    }

    /// Of all registers and flags only these stay defined, as far as a frame slot could hold their kind.
    pub(crate) fn keep_only(&mut self, registers: &[u8]) {
        let kept = registers.iter().fold(0, |set, &register| set | bit(register));
        (self.data, self.narrow, self.special) = (self.data & kept, self.narrow & kept, self.special & kept);
        (self.vectors, self.flags) = ([0; 16], 0);
        bits(!kept & self.copies.linked).for_each(|register| self.copies.unlink(register));
        for register in bits(self.special) {
            let kind = self.kinds[at(register)];
            if kind.spilled() != Some(kind) {
                self.set(register, kind.spilled().unwrap_or(Undefined));
            }
        }
    }

    /// Joins another state of the same depth into this one; whether this one changed.
    pub(crate) fn join(&mut self, other: &Registers) -> bool {
        let mut changed = self.copies.join(&other.copies);
        let special = self.special | other.special;
        let rest = |state: &Self| (state.data, state.narrow, state.vectors, state.flags, state.probed);
        let before = rest(self);
        // Of plain registers the sets say everything.
        self.data &= other.data | special;
        self.narrow &= other.narrow | special;
        for register in bits(special) {
            let (mine, theirs) = (self.kind(register), other.kind(register));
            if mine != theirs {
                let joined = mine.join(theirs);
                changed |= joined != mine;
                self.set(register, joined);
            }
        }
        self.vectors = std::array::from_fn(|i| self.vectors[i].min(other.vectors[i]));
        self.flags &= other.flags;
        self.probed = self.probed.min(other.probed);
        changed |= before != rest(self);
        if self.readable != other.readable {
            changed |= self.readable != Readable::Nothing;
            self.readable = Readable::Nothing;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_kinds() -> Vec<Kind> {
        let ty = TypeIdx::from_u32(0);
        vec![
            Undefined,
            Low8,
            Low32,
            Any,
            UpTo(0),
            UpTo(255),
            U32,
            MemoryIndex {
                memory: 0,
                fits_32: true,
            },
            MemoryIndex {
                memory: 0,
                fits_32: false,
            },
            MemoryIndex {
                memory: 1,
                fits_32: true,
            },
            MemoryLength(0),
            TableIndex(0),
            TableLength(0),
            ScaledUpTo(7),
            ScaledTableIndex(0),
            MemoryBase(0),
            Block,
            Entry { private: true },
            TypedEntry(ty),
            Signature(ty),
            JumpTarget(0),
            Saved(3),
            Saved(5),
        ]
    }

    /// Every pair and triple: the join is commutative and idempotent, and repeated joins only ever
    /// climb, by at most four steps.
    #[test]
    fn the_join_is_an_upper_bound_and_chains_are_short() {
        for &a in &some_kinds() {
            assert_eq!(a.join(a), a);
            for &b in &some_kinds() {
                let ab = a.join(b);
                assert_eq!(ab, b.join(a), "{a:?} {b:?}");
                assert_eq!(ab.join(a), ab, "{a:?} {b:?}");
                assert_eq!(ab.join(b), ab, "{a:?} {b:?}");
            }
            let (mut kind, mut steps) = (a, 0);
            for _ in 0..2 {
                for &b in &some_kinds() {
                    let next = kind.join(b);
                    steps += u32::from(next != kind);
                    kind = next;
                }
            }
            assert!(
                steps <= 4 && kind == Undefined,
                "{a:?}: {steps} steps to {kind:?}"
            );
        }
    }

    #[test]
    fn no_pointer_joins_to_data_and_none_is_kept_across_calls_that_a_call_ends() {
        for &a in &some_kinds() {
            for &b in &some_kinds() {
                if a.join(b).is_data() {
                    assert!(a.is_data() && b.is_data(), "{a:?} {b:?}");
                }
            }
        }
        assert_eq!(TypedEntry(TypeIdx::from_u32(0)).spilled(), None);
        assert_eq!(Entry { private: false }.spilled(), None);
        assert_eq!(U32.spilled(), Some(U32));
    }

    #[test]
    fn equalities_end_when_either_side_changes() {
        let mut copies = Copies::NONE;
        copies.copy(1, 0);
        copies.copy(2, 1);
        copies.settle(2, 7);
        assert!(copies.equal(0, 1) && copies.equal(1, 2) && !copies.equal(1, 3));
        copies.forget(0);
        assert!(!copies.equal(0, 1) && copies.equal(1, 2));
        copies.forget(0);
        copies.settle(0, 7);
        assert!(copies.equal(0, 2) && copies.home(1).is_none());
        copies.forget_slot(7);
        assert!(!copies.equal(0, 2) && copies.home(2).is_none());
    }

    #[test]
    fn who_names_others_leaves_them_equal() {
        let mut copies = Copies::NONE;
        for register in [1, 2, 3] {
            copies.copy(register, 0);
        }
        copies.forget(0);
        copies.copy(4, 2);
        copies.forget(1);
        assert!(copies.equal(2, 3) && copies.equal(3, 4) && !copies.equal(0, 2) && !copies.equal(1, 2));
        assert!(copies.is_alone(0) && copies.is_alone(1) && !copies.is_alone(4));
        // A slot whose number is too large is nobody's home.
        copies.settle(5, 1 << 20);
        assert!(copies.home(5).is_none());
    }

    #[test]
    fn a_join_keeps_equalities_that_both_have() {
        let (mut a, mut b) = (Copies::NONE, Copies::NONE);
        for register in [1, 2] {
            a.copy(register, 0);
        }
        b.forget(0); // other numbers, of which only the equality counts
        b.copy(1, 0);
        a.settle(0, 3);
        b.settle(0, 3);
        a.settle(1, 4);
        b.settle(1, 5);
        assert!(a.join(&b), "one was lost");
        assert!(a.equal(0, 1) && !a.equal(0, 2) && !a.equal(1, 2));
        assert!(a.home(0) == Some(3) && a.home(1).is_none());
        assert!(!a.join(&b), "nothing more to lose");
    }
}
