//! What all functions of an artifact share: the context's layout and the conventions by type.
//!
//! Requires an artifact whose metadata was checked. Guarantees constant-time answers to the
//! questions that the transfer functions ask. Deliberately decides nothing.

use cellwall_abi::convention::{Assigner, Place};
use cellwall_abi::{Artifact, ContextLayout, LibCall, ValType};
use cellwall_base::{FuncIdx, IdMap, TypeIdx};

/// Where the values of a list of types pass.
pub(crate) struct Places {
    /// Integer registers: number, and whether the value is zero-extended from 32 bits.
    pub(crate) gprs: Vec<(u8, bool)>,
    /// Vector registers, one bit each.
    pub(crate) xmms: u32,
    /// Types of the values in overflow places, in order of the places.
    pub(crate) overflow: Vec<ValType>,
}

impl Places {
    fn of(types: &[ValType], mut assigner: Assigner) -> Self {
        let mut places = Self {
            gprs: Vec::new(),
            xmms: 0,
            overflow: Vec::new(),
        };
        for &ty in types {
            match assigner.next(ty) {
                Place::Gpr { register, .. } => places.gprs.push((register, ty.bytes() == 4)),
                Place::Xmm { register, .. } => places.xmms |= 1 << register,
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
            params: Places::of(params, Assigner::params()),
            results: Places::of(results, Assigner::results()),
        }
    }
}

/// The facts about an artifact that every function's proof uses.
pub(crate) struct Module<'a> {
    pub(crate) artifact: &'a Artifact,
    pub(crate) layout: ContextLayout,
    /// Where `rodata` starts in the image.
    pub(crate) rodata: u64,
    conventions: IdMap<TypeIdx, Convention>,
    library: Vec<Convention>,
}

impl<'a> Module<'a> {
    pub(crate) fn new(artifact: &'a Artifact) -> Self {
        Self {
            artifact,
            layout: ContextLayout::new(&artifact.shape),
            rodata: u64::from(artifact.rodata_offset()),
            conventions: (artifact.shape.types.values())
                .map(|ty| Convention::of(&ty.params, &ty.results))
                .collect(),
            library: (LibCall::ALL.iter())
                .map(|call| Convention::of(call.params(), call.results()))
                .collect(),
        }
    }

    /// The convention of a type.
    pub(crate) fn convention(&self, ty: TypeIdx) -> &Convention {
        &self.conventions[ty]
    }

    /// The convention of a library call.
    pub(crate) fn library(&self, call: LibCall) -> &Convention {
        &self.library[call as usize]
    }

    /// The type of a function.
    pub(crate) fn type_of(&self, func: FuncIdx) -> TypeIdx {
        self.artifact.shape.funcs[func]
    }

    /// The function that starts at this offset of the text.
    pub(crate) fn entry_at(&self, pc: u64) -> Option<FuncIdx> {
        let pc = u32::try_from(pc).ok()?;
        let at = self.artifact.funcs.binary_search_by_key(&pc, |f| f.start).ok()?;
        Some(self.artifact.funcs[at].func)
    }
}
