//! The calling convention of guest code on x86-64, and the block of the store.
//!
//! * `r15` holds the context of the running instance, `r14` the base of its memory 0 (anything if
//!   it has none). Both are at each return what they were at entry. `rsp` is the cell's stack.
//! * [`CALLEE_SAVED`] registers are at each return what they were at entry, too. Every other
//!   register may be changed by a call.
//! * The first six integer or reference arguments pass in [`ARG_GPRS`], the first eight float or
//!   vector arguments in [`ARG_XMMS`]; the first four results of each class in [`RESULT_GPRS`] and
//!   [`RESULT_XMMS`]. 32-bit integers and references are zero-extended to 64 bits.
//! * What does not fit passes in the [block](BLOCK_BYTES) of the store, whose address is a field of
//!   the context; never through a pointer and never on the stack, so that a tail call only drops
//!   its frame. Overflow arguments are readable until the callee's first call, overflow results
//!   until the caller's next one; they share their places.
//! * The same block has a place for every argument and result register. The fixed stubs between
//!   host and guest load and store all of them, so no code is generated per signature.
//! * On entry `rsp` is 8 modulo 16 (the return address was pushed on an aligned stack).
//! * Calls through a [`FuncEntry`](crate::context::func_entry) have the address of the entry in
//!   [`ENTRY`]; calls of the function of a reference, through a stub, the reference in [`REFERENCE`].

use crate::types::{Signature, ValType};

/// Hardware number of the stack pointer (`rsp`).
pub const STACK: u8 = 4;
/// Hardware number of the pinned context register (`r15`).
pub const CONTEXT: u8 = 15;
/// Hardware number of the pinned base of memory 0 (`r14`).
pub const BASE: u8 = 14;
/// Hardware number of the register that names the entry in a call through one (`r11`).
pub const ENTRY: u8 = 11;
/// Hardware number of the register that the fixed call and jump shapes use besides [`ENTRY`]
/// (`r10`).
pub const SCRATCH: u8 = 10;
/// Hardware number of the register that holds the reference in a call of the function of one
/// (`rax`); the number of its type is in [`SCRATCH`].
pub const REFERENCE: u8 = 0;
/// Registers that a call does not change, besides the pinned ones: rbx, rbp, r12, r13. No vector
/// register is among them.
pub const CALLEE_SAVED: [u8; 4] = [3, 5, 12, 13];
/// Integer argument registers: rdi, rsi, rdx, rcx, r8, r9.
pub const ARG_GPRS: [u8; 6] = [7, 6, 2, 1, 8, 9];
/// Float and vector argument registers: xmm0 to xmm7.
pub const ARG_XMMS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// Integer result registers: rax, rdx, rcx, rsi.
pub const RESULT_GPRS: [u8; 4] = [0, 2, 1, 6];
/// Float and vector result registers: xmm0 to xmm3.
pub const RESULT_XMMS: [u8; 4] = [0, 1, 2, 3];

/// Block offset of the place of integer argument register `i`.
pub const fn block_arg_gpr(i: usize) -> u32 {
    8 * i as u32
}
/// Block offset of the place of float argument register `i`.
pub const fn block_arg_xmm(i: usize) -> u32 {
    64 + 16 * i as u32
}
/// Block offset of the place of integer result register `i`.
pub const fn block_result_gpr(i: usize) -> u32 {
    192 + 8 * i as u32
}
/// Block offset of the place of float result register `i`.
pub const fn block_result_xmm(i: usize) -> u32 {
    224 + 16 * i as u32
}
/// Block offset of overflow place `i` (16 bytes each).
pub const fn block_overflow(i: usize) -> u32 {
    288 + 16 * i as u32
}
/// Overflow places in a block.
pub const BLOCK_OVERFLOW_PLACES: usize = cellwall_base::limits::PARAMS_MAX;
/// Size of the block in bytes; it is 16-byte aligned.
pub const BLOCK_BYTES: u32 = block_overflow(BLOCK_OVERFLOW_PLACES);

/// Where one argument or result passes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// The `index`-th integer register of the list, with its place in the block for host stubs.
    Gpr {
        /// Hardware register number.
        register: u8,
        /// Place in the block, in bytes, where host stubs keep it.
        block_offset: u32,
    },
    /// Likewise for vector registers.
    Xmm {
        /// Hardware register number.
        register: u8,
        /// Place in the block, in bytes, where host stubs keep it.
        block_offset: u32,
    },
    /// An overflow place in the block.
    Block {
        /// Place in the block, in bytes.
        block_offset: u32,
    },
}

impl Place {
    /// The place in the block at which host code reads or writes this value.
    pub const fn block_offset(self) -> u32 {
        match self {
            Self::Gpr { block_offset, .. }
            | Self::Xmm { block_offset, .. }
            | Self::Block { block_offset } => block_offset,
        }
    }
}

/// The places of all arguments and results of a signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// One place per parameter.
    pub params: Vec<Place>,
    /// One place per result.
    pub results: Vec<Place>,
}

/// Hands out places in order; the single definition of the convention.
#[derive(Clone, Copy, Debug)]
pub struct Assigner {
    results: bool,
    gprs: usize,
    xmms: usize,
    overflow: usize,
}

impl Assigner {
    /// Starts on the parameters of a signature.
    pub const fn params() -> Self {
        Self {
            results: false,
            gprs: 0,
            xmms: 0,
            overflow: 0,
        }
    }

    /// Starts on the results of a signature.
    pub const fn results() -> Self {
        Self {
            results: true,
            gprs: 0,
            xmms: 0,
            overflow: 0,
        }
    }

    /// The place of the next value.
    pub const fn next(&mut self, ty: ValType) -> Place {
        if ty.is_float() {
            let i = self.xmms;
            self.xmms += 1;
            if self.results && i < RESULT_XMMS.len() {
                return Place::Xmm {
                    register: RESULT_XMMS[i],
                    block_offset: block_result_xmm(i),
                };
            }
            if !self.results && i < ARG_XMMS.len() {
                return Place::Xmm {
                    register: ARG_XMMS[i],
                    block_offset: block_arg_xmm(i),
                };
            }
        } else {
            let i = self.gprs;
            self.gprs += 1;
            if self.results && i < RESULT_GPRS.len() {
                return Place::Gpr {
                    register: RESULT_GPRS[i],
                    block_offset: block_result_gpr(i),
                };
            }
            if !self.results && i < ARG_GPRS.len() {
                return Place::Gpr {
                    register: ARG_GPRS[i],
                    block_offset: block_arg_gpr(i),
                };
            }
        }
        let block_offset = block_overflow(self.overflow);
        self.overflow += 1;
        Place::Block { block_offset }
    }
}

/// The places of a signature.
pub fn assign(signature: &Signature) -> Assignment {
    let places =
        |types: &[ValType], mut assigner: Assigner| types.iter().map(|&t| assigner.next(t)).collect();
    Assignment {
        params: places(&signature.params, Assigner::params()),
        results: places(&signature.results, Assigner::results()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn places_are_distinct_and_inside_the_block() {
        let types: Box<[ValType]> = (0..1000)
            .map(|i| if i % 3 == 0 { ValType::F64 } else { ValType::I32 })
            .collect();
        let assignment = assign(&Signature {
            params: types.clone(),
            results: types,
        });
        for places in [&assignment.params, &assignment.results] {
            let offsets: BTreeSet<u32> = places.iter().map(|p| p.block_offset()).collect();
            assert_eq!(offsets.len(), 1000);
            assert!(offsets.iter().all(|&o| o + 16 <= BLOCK_BYTES));
        }
    }

    #[test]
    fn what_a_call_passes_or_uses_is_not_callee_saved() {
        let used = [
            &ARG_GPRS[..],
            &RESULT_GPRS,
            &[STACK, CONTEXT, BASE, ENTRY, SCRATCH, REFERENCE],
        ]
        .concat();
        assert!(CALLEE_SAVED.iter().all(|register| !used.contains(register)));
    }

    #[test]
    fn registers_come_before_the_block() {
        let assignment = assign(&Signature {
            params: vec![ValType::I64; 7].into(),
            results: Box::default(),
        });
        assert_eq!(
            assignment.params[0],
            Place::Gpr {
                register: 7,
                block_offset: 0
            }
        );
        assert_eq!(
            assignment.params[6],
            Place::Block {
                block_offset: block_overflow(0)
            }
        );
    }
}
