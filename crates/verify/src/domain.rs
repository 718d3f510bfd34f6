//! The abstract domain: kinds of values, and the state between two instructions.
//!
//! Requires nothing. Guarantees that [`Kind::join`] is an upper bound (its result holds of every
//! value of which one of its operands holds) and that chains are short, so that the fixpoint ends.
//! Deliberately knows neither instructions nor the context's layout.

use cellwall_abi::convention::CALLEE_SAVED;
use cellwall_base::{TypeIdx, limits};

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
    /// Whether all 64 bits are defined and no pointer.
    pub(crate) fn is_data(self) -> bool {
        self == Any || self.length_like() || matches!(self, UpTo(_))
    }

    /// Whether it is data whose relation to a length is known.
    pub(crate) fn length_like(self) -> bool {
        matches!(
            self,
            MemoryIndex { .. }
                | MemoryLength(_)
                | TableIndex(_)
                | TableLength(_)
                | ScaledUpTo(_)
                | ScaledTableIndex(_)
        )
    }

    /// The largest value, if it fits 32 bits.
    pub(crate) fn max(self) -> Option<u32> {
        match self {
            UpTo(max) => Some(max),
            MemoryIndex { fits_32: true, .. } => Some(u32::MAX),
            TableIndex(_) | TableLength(_) => Some(limits::TABLE_ELEMENTS_MAX as u32),
            _ => None,
        }
    }

    /// What the zero-extended low 32 bits are; `None` if they are not defined or part of a pointer.
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
        if let (MemoryIndex { memory: a, .. }, MemoryIndex { memory: b, .. }) = (self, other)
            && a == b
        {
            return MemoryIndex {
                memory: a,
                fits_32: false,
            };
        }
        if self.is_data() && other.is_data() {
            return if self.max().is_some() && other.max().is_some() {
                U32
            } else {
                Any
            };
        }
        let partly = |kind: Kind, part: Kind| kind == part || kind.is_data();
        match () {
            () if partly(self, Low32) && partly(other, Low32) => Low32,
            () if partly(self, Low8) && partly(other, Low8) => Low8,
            () => Undefined,
        }
    }

    /// What is left of it in a frame slot; `None` if it may not be kept there. Entries and what
    /// leads to them live in registers only, because a call ends them.
    pub(crate) fn spilled(self) -> Option<Kind> {
        match self {
            UpTo(_) | TableIndex(_) | TableLength(_) => Some(U32),
            MemoryLength(_) | ScaledUpTo(_) | ScaledTableIndex(_) => Some(Any),
            Any
            | MemoryIndex { .. }
            | MemoryBase(_)
            | MemoryDefinition(_)
            | TableDefinition(_)
            | GlobalPointer(_)
            | Saved(_)
            | Block => Some(self),
            _ => None,
        }
    }
}

/// What the flags say about a register, since the last instruction that wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    /// Nothing.
    Nothing,
    /// Compared with something that is at most `max`, in 32 or 64 bits.
    Bound { register: u8, max: u32, wide: bool },
    /// Compared in 64 bits with the current length of a memory.
    Memory { register: u8, memory: u8 },
    /// Compared in 64 bits with the current length of a table.
    Table { register: u8, table: u8 },
    /// The signature at the entry in a register compared with that of a type.
    Signature { register: u8, ty: TypeIdx },
}

impl Fact {
    /// The register it is about.
    pub(crate) fn register(self) -> Option<u8> {
        match self {
            Fact::Nothing => None,
            Fact::Bound { register, .. }
            | Fact::Memory { register, .. }
            | Fact::Table { register, .. }
            | Fact::Signature { register, .. } => Some(register),
        }
    }
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
}

/// The part of the state that has the same size in every function.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Registers {
    /// Kinds of the general-purpose registers; those of `rsp`, `r14` and `r15` are not used.
    pub(crate) gprs: [Kind; 16],
    /// Which registers and slots hold the same value.
    pub(crate) copies: Copies,
    /// Which vector registers have a defined low half (bits 0 to 15), and which flags are defined
    /// ([`FLAGS`]).
    pub(crate) defined: u32,
    /// Bytes between the stack pointer and the return address.
    pub(crate) depth: u32,
    /// Bytes below the return address up to which the stack was probed.
    pub(crate) probed: u32,
    /// What of the block may be read.
    pub(crate) readable: Readable,
}

/// Equalities between registers, and between a register and a frame slot: what a comparison says
/// of one copy holds of all. A register has a root, the first of those with its value, and perhaps
/// a home, a slot with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Copies {
    roots: [u8; 16],
    homes: [u32; 16],
    /// Registers that may have another root than themselves, be one, or have a home.
    linked: u16,
}

const HOMELESS: u32 = u32::MAX;

impl Copies {
    /// No equality is known.
    pub(crate) const NONE: Self = Self {
        roots: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        homes: [HOMELESS; 16],
        linked: 0,
    };

    /// The register is about to hold another value.
    pub(crate) fn forget(&mut self, register: usize) {
        if self.linked & 1 << register == 0 {
            return;
        }
        self.linked &= !(1 << register);
        self.homes[register] = HOMELESS;
        let old = register as u8;
        if self.roots[register] != old {
            self.roots[register] = old;
            return;
        }
        let mut heir = None;
        for other in 0..16 {
            if other != register && self.roots[other] == old {
                self.roots[other] = *heir.get_or_insert(other as u8);
            }
        }
    }

    /// A register that was just forgotten holds the value of another.
    pub(crate) fn copy(&mut self, to: usize, from: usize) {
        self.roots[to] = self.roots[from];
        self.homes[to] = self.homes[from];
        self.linked |= 1 << to | 1 << from | 1 << self.roots[from];
    }

    /// A slot holds the value of a register, and of its copies.
    pub(crate) fn settle(&mut self, register: usize, slot: usize) {
        self.linked |= 1 << register;
        let root = self.roots[register];
        let mut linked = self.linked;
        while linked != 0 {
            let copy = linked.trailing_zeros() as usize;
            linked &= linked - 1;
            if self.roots[copy] == root {
                self.homes[copy] = slot as u32;
            }
        }
    }

    /// A slot is about to hold another value.
    pub(crate) fn forget_slot(&mut self, slot: usize) {
        let mut linked = self.linked;
        while linked != 0 {
            let register = linked.trailing_zeros() as usize;
            linked &= linked - 1;
            if self.homes[register] == slot as u32 {
                self.homes[register] = HOMELESS;
            }
        }
    }

    /// All slots are about to hold other values.
    pub(crate) fn forget_slots(&mut self) {
        self.homes = [HOMELESS; 16];
    }

    /// Only callee-saved registers hold what they did.
    pub(crate) fn after_call(&mut self) {
        for register in 0..16 {
            if !CALLEE_SAVED.contains(&(register as u8)) {
                self.forget(register);
            }
        }
    }

    /// The slot that holds the value of a register.
    pub(crate) fn home(&self, register: usize) -> Option<usize> {
        Some(self.homes[register])
            .filter(|&home| home != HOMELESS)
            .map(|home| home as usize)
    }

    /// Whether two registers hold the same value.
    pub(crate) fn equal(&self, a: usize, b: usize) -> bool {
        self.roots[a] == self.roots[b] || self.homes[a] != HOMELESS && self.homes[a] == self.homes[b]
    }

    /// Keeps what both know; whether this one changed.
    fn join(&mut self, other: &Copies) -> bool {
        let mut linked = self.linked;
        self.linked |= other.linked;
        let mut changed = false;
        while linked != 0 {
            let register = linked.trailing_zeros() as usize;
            linked &= linked - 1;
            let alone = register as u8;
            if self.roots[register] != other.roots[register] && self.roots[register] != alone {
                (self.roots[register], changed) = (alone, true);
            }
            if self.homes[register] != other.homes[register] && self.homes[register] != HOMELESS {
                (self.homes[register], changed) = (HOMELESS, true);
            }
        }
        changed
    }
}

/// Bit of [`Registers::defined`] for the carry flag.
pub(crate) const CARRY: u32 = 1 << 16;
/// For the parity flag.
pub(crate) const PARITY: u32 = 1 << 17;
/// For the zero flag.
pub(crate) const ZERO: u32 = 1 << 18;
/// For the sign flag.
pub(crate) const SIGN: u32 = 1 << 19;
/// For the overflow flag.
pub(crate) const OVERFLOW: u32 = 1 << 20;
/// Bits of [`Registers::defined`] for the flags that conditions read.
pub(crate) const FLAGS: u32 = CARRY | PARITY | ZERO | SIGN | OVERFLOW;

impl Registers {
    /// Nothing is known; at the return address.
    pub(crate) const UNKNOWN: Self = Self {
        gprs: [Undefined; 16],
        copies: Copies::NONE,
        defined: 0,
        depth: 0,
        probed: 0,
        readable: Readable::Nothing,
    };

    /// Joins another state of the same depth into this one; whether this one changed.
    pub(crate) fn join(&mut self, other: &Registers) -> bool {
        let mut changed = self.copies.join(&other.copies);
        for (mine, &theirs) in self.gprs.iter_mut().zip(&other.gprs) {
            if *mine != theirs {
                let joined = mine.join(theirs);
                changed |= joined != *mine;
                *mine = joined;
            }
        }
        let defined = self.defined & other.defined;
        let probed = self.probed.min(other.probed);
        changed |= (defined, probed) != (self.defined, self.probed);
        (self.defined, self.probed) = (defined, probed);
        if self.readable != other.readable {
            changed |= self.readable != Readable::Nothing;
            self.readable = Readable::Nothing;
        }
        changed
    }
}

/// Kinds of frame slots as bytes, numbered in order of appearance.
pub(crate) struct SlotKinds {
    kinds: Vec<Kind>,
}

/// A kind in a frame slot.
pub(crate) type SlotKind = u8;

impl SlotKinds {
    /// The byte for [`Undefined`].
    pub(crate) const UNDEFINED: SlotKind = 0;

    /// The four kinds that occur everywhere.
    pub(crate) fn new() -> Self {
        Self {
            kinds: vec![Undefined, Any, U32, Low32],
        }
    }

    /// The kind of a byte.
    pub(crate) fn kind(&self, slot: SlotKind) -> Kind {
        self.kinds[slot as usize]
    }

    /// The byte of a kind; a new one if there is room, otherwise of a weaker kind.
    pub(crate) fn byte(&mut self, kind: Kind) -> SlotKind {
        if let Some(at) = self.kinds.iter().position(|&k| k == kind) {
            return at as SlotKind;
        }
        if self.kinds.len() <= usize::from(SlotKind::MAX) {
            self.kinds.push(kind);
            return (self.kinds.len() - 1) as SlotKind;
        }
        match kind {
            _ if !kind.is_data() => Self::UNDEFINED,
            _ if kind.max().is_some() => 2,
            _ => 1,
        }
    }

    /// Joins slots into others of the same number; whether those changed.
    pub(crate) fn join(&mut self, mine: &mut [SlotKind], theirs: &[SlotKind]) -> bool {
        if mine == theirs {
            return false;
        }
        let mut changed = false;
        for (mine, &theirs) in mine.iter_mut().zip(theirs) {
            if *mine != theirs {
                let joined = self.byte(self.kind(*mine).join(self.kind(theirs)));
                changed |= joined != *mine;
                *mine = joined;
            }
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
        copies.forget(0); // the root
        assert!(!copies.equal(0, 1) && copies.equal(1, 2));
        copies.forget(0);
        copies.settle(0, 7);
        assert!(copies.equal(0, 2) && copies.home(1) == Some(7));
        copies.forget_slot(7);
        assert!(!copies.equal(0, 2) && copies.home(2).is_none());
        let mut joined = copies;
        joined.join(&Copies::NONE);
        assert!(copies.equal(1, 2) && !joined.equal(1, 2));
    }

    #[test]
    fn slot_bytes_run_out_gracefully() {
        let mut slots = SlotKinds::new();
        for i in 0..300 {
            let byte = slots.byte(GlobalPointer(i));
            let kind = slots.kind(byte);
            assert!(kind == GlobalPointer(i) || i >= 252 && kind == Undefined);
        }
        let index = MemoryIndex {
            memory: 0,
            fits_32: true,
        };
        let byte = slots.byte(index);
        assert_eq!(slots.kind(byte), U32);
    }
}
