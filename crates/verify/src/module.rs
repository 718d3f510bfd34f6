//! What all functions of an artifact share: the context's layout and the conventions by type.
//!
//! Requires an artifact whose metadata was checked. Guarantees constant-time answers to the
//! questions that the transfer functions ask. Deliberately decides nothing.

use cellwall_abi::artifact::FUNC_ALIGN;
use cellwall_abi::convention::{Assigner, Place};
use cellwall_abi::{Artifact, CallSite, ContextLayout, FuncRange, LandingPad, LibCall};
use cellwall_abi::{TrapSite, UnwindRow, ValType};
use cellwall_base::{FuncIdx, IdMap, TagIdx, TypeIdx};

/// Where the values of a list of types pass.
#[derive(PartialEq, Eq, Default)]
pub(crate) struct Places {
    /// Integer registers: number, and whether the value is zero-extended from 32 bits.
    pub(crate) gprs: Vec<(u8, bool)>,
    /// Vector registers: number, and how many bytes the value has.
    pub(crate) xmms: Vec<(u8, u8)>,
    /// Types of the values in overflow places, in order of the places.
    pub(crate) overflow: Vec<ValType>,
}

impl Places {
    fn of(types: impl IntoIterator<Item = ValType>, mut assigner: Assigner) -> Self {
        let mut places = Self::default();
        for ty in types {
            match assigner.next(ty) {
                Place::Gpr { register, .. } => places.gprs.push((register, ty.bytes() == 4)),
                Place::Xmm { register, .. } => places.xmms.push((register, ty.bytes() as u8)),
                Place::Block { .. } => places.overflow.push(ty),
            }
        }
        places
    }
}

/// Places of the parameters and results of a signature.
pub(crate) struct Convention {
    pub(crate) params: Places,
    pub(crate) results: Places,
}

impl Convention {
    fn of(params: &[ValType], results: &[ValType]) -> Self {
        Self {
            params: Places::of(params.iter().copied(), Assigner::params()),
            results: Places::of(results.iter().copied(), Assigner::results()),
        }
    }
}

/// A function's rows of the artifact's tables.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) traps: &'a [TrapSite],
    pub(crate) calls: &'a [CallSite],
    pub(crate) pads: &'a [LandingPad],
    pub(crate) unwind: &'a [UnwindRow],
    pub(crate) heads: &'a [u32],
}

/// The facts about an artifact that every function's proof uses.
pub(crate) struct Module<'a> {
    pub(crate) artifact: &'a Artifact,
    pub(crate) layout: ContextLayout,
    /// How many bytes behind the base of memory 0 are it or fault; 0 if there is none.
    pub(crate) reach_of_memory_0: u64,
    /// Where `rodata` starts in the image.
    pub(crate) rodata: u64,
    /// By aligned offset of the text: the function that starts there, if one does.
    entries: Vec<u32>,
    /// By function of the artifact: its rows.
    pub(crate) rows: Vec<Rows<'a>>,
    /// The jump tables in the order of their functions.
    jump_tables: Vec<u32>,
    conventions: IdMap<TypeIdx, Convention>,
    pub(crate) library: Vec<Convention>,
    /// What landing pads are given, by tag, and those for all exceptions.
    pads: IdMap<TagIdx, Places>,
    pad_of_all: Places,
}

impl<'a> Module<'a> {
    pub(crate) fn new(artifact: &'a Artifact) -> Self {
        let mut jump_tables: Vec<u32> = (0..artifact.jump_tables.len() as u32).collect();
        jump_tables.sort_by_key(|&table| artifact.jump_tables[table as usize].func);
        // Entries are aligned.
        let mut entries = vec![u32::MAX; artifact.text.len().div_ceil(FUNC_ALIGN as usize)];
        for (at, range) in artifact.funcs.iter().enumerate() {
            entries[(range.start / FUNC_ALIGN) as usize] = at as u32;
        }
        Self {
            entries,
            rows: rows(artifact),
            jump_tables,
            artifact,
            reach_of_memory_0: match artifact.shape.memories.is_empty() {
                true => 0,
                false => artifact.target.memory_reservation_bytes + artifact.target.memory_guard_bytes,
            },
            layout: ContextLayout::new(&artifact.shape),
            rodata: u64::from(artifact.rodata_offset()),
            conventions: (artifact.shape.types.values())
                .map(|ty| Convention::of(&ty.params, &ty.results))
                .collect(),
            pads: (artifact.shape.tags.ids())
                .map(|tag| Places::of(artifact.shape.pad_types(Some(tag)), Assigner::results()))
                .collect(),
            pad_of_all: Places::of(artifact.shape.pad_types(None), Assigner::results()),
            library: (LibCall::ALL.iter())
                .map(|call| Convention::of(call.params(), call.results()))
                .collect(),
        }
    }

    /// The convention of a type.
    pub(crate) fn convention(&self, ty: TypeIdx) -> &Convention {
        &self.conventions[ty]
    }

    /// What landing pads for exceptions with a tag, or for all, are given.
    pub(crate) fn pad(&self, tag: Option<TagIdx>) -> &Places {
        tag.map_or(&self.pad_of_all, |tag| &self.pads[tag])
    }

    /// The type of a function.
    pub(crate) fn type_of(&self, func: FuncIdx) -> TypeIdx {
        self.artifact.shape.funcs[func]
    }

    /// The jump tables of a function, ascending.
    pub(crate) fn jump_tables_of(&self, func: FuncIdx) -> &[u32] {
        let owner = |&table: &u32| self.artifact.jump_tables[table as usize].func;
        let from = self.jump_tables.partition_point(|table| owner(table) < func);
        let len = self.jump_tables[from..].partition_point(|table| owner(table) == func);
        &self.jump_tables[from..from + len]
    }

    /// The offset in the constants of an address in the image, or -1.
    pub(crate) fn constant_at(&self, address: u64) -> i32 {
        let len = self.artifact.rodata.len() as u64;
        match address.checked_sub(self.rodata) {
            Some(at) if at < len => at as i32,
            _ => -1,
        }
    }

    /// The function that starts at this offset of the text.
    pub(crate) fn entry_at(&self, pc: u64) -> Option<FuncIdx> {
        let at = *self
            .entries
            .get(usize::try_from(pc).ok()? / FUNC_ALIGN as usize)?;
        let range = self.artifact.funcs.get(at as usize)?;
        (u64::from(range.start) == pc).then_some(range.func)
    }
}

/// One walk over the tables, which are ascending.
fn rows(artifact: &Artifact) -> Vec<Rows<'_>> {
    fn take<'a, T>(rest: &mut &'a [T], below: u32, pc: impl Fn(&T) -> u32) -> &'a [T] {
        let count = rest.iter().take_while(|row| pc(row) < below).count();
        let (taken, left) = rest.split_at(count);
        *rest = left;
        taken
    }
    let Artifact {
        traps,
        calls,
        pads,
        unwind,
        heads,
        ..
    } = artifact;
    let (mut traps, mut calls, mut pads): (&[_], &[_], &[_]) = (traps, calls, pads);
    let (mut unwind, mut heads): (&[_], &[_]) = (unwind, heads);
    let of = |range: &FuncRange| {
        let end = range.start + range.len;
        Rows {
            traps: take(&mut traps, end, |site| site.pc),
            calls: take(&mut calls, end + 1, |call| call.return_pc),
            pads: take(&mut pads, end + 1, |pad| pad.return_pc),
            unwind: take(&mut unwind, end, |row| row.pc),
            heads: take(&mut heads, end, |&head| head),
        }
    };
    artifact.funcs.iter().map(of).collect()
}
