//! Mistakes that other engines shipped, to be made again on purpose: the verifier has to refuse them.
//!
//! Exists for tests alone: without the feature `planted` no unit has one, and [`Unit::has`] is a
//! constant. Guarantees that a plant changes nothing but what its row says. Deliberately switches
//! nothing off: planted code meets the same verifier as any other.

use super::operand::Operand;
use super::{Lower, Unit};
use cellwall_abi::convention::CALLEE_SAVED;
use cellwall_ir::{BinaryOp, InstData, LoadOp, Value};
use cellwall_isa::x64::{Inst, MFunc, Rm, Row, Width};
use cellwall_isa::{Class, Phys, Reg};

/// A mistake, by the advisory that told of it, if one did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(
    not(feature = "planted"),
    expect(unreachable_pub, reason = "exported with the feature alone")
)]
pub enum Plant {
    /// A 32-bit index that is not zero-extended (GHSA-xx5w, 2026).
    IndexNotExtended,
    /// A spilled value that is reloaded with its sign (GHSA-hpqh-2wqx-7qp5, 2021).
    ReloadSignExtended,
    /// A 32-bit shift that is done by the 64-bit address (GHSA-ff4p, 2023).
    ShiftInAddress,
    /// A shift inside an address whose count is masked by the width of the access instead of the
    /// shift's own (GHSA-jhxm, 2026).
    ShiftMaskedByAccess,
    /// The result of `table.grow` as a 64-bit index: -1 is all ones (GHSA-f984, 2026).
    GrowNotNarrowed,
    /// A load of 16 bytes for the 8 of a `copysign` (GHSA-vc8c, 2026).
    WideCopysign,
    /// A load of 16 bytes for the 8 of a splat (GHSA-qqfj, 2026).
    WideSplat,
    /// The old value of a narrow atomic access with what was above it in the register.
    AtomicNotNarrowed,
    /// A call through the entry behind the one whose signature matched.
    EntryBehind,
    /// A call of an import that does not name its entry: the stub takes the context, and the code, from
    /// whatever the entry register holds.
    EntryNotNamed,
    /// A landing pad that trusts a callee-saved register, which a throw does not restore.
    PadTrustsRegister,
    /// A bounds check that is left out, as if another path had made it (a Lucet miscompile of loops).
    CheckLeftOut,
    /// Of an access, only the end is compared with the length, and it wraps around (CVE-2025-69261).
    EndWraps,
    /// An index that is loaded from memory, compared, and loaded once more for the access: another
    /// thread, or a store between the two, has changed it.
    IndexReadAgain,
    /// A splat that leaves the upper lanes as they were in the register of its argument.
    LanesNotWritten,
    /// A store of a vector register's 16 bytes for the 8 of its lowest lane.
    WideLaneStore,
}

impl Unit<'_> {
    /// Whether this mistake is to be made.
    #[inline]
    pub(crate) fn has(&self, plant: Plant) -> bool {
        #[cfg(feature = "planted")]
        let planted = self.plant;
        #[cfg(not(feature = "planted"))]
        let planted = None;
        planted == Some(plant)
    }
}

/// [`Plant::ReloadSignExtended`], for all reloads of a function.
pub(crate) fn sign_extend_reloads(func: &mut MFunc<Phys>) {
    for inst in &mut func.insts {
        if inst.row == Row::Mov && inst.rm == Rm::Slot && inst.width == Width::W64 {
            inst.row = Row::Movsxd;
        }
    }
}

/// [`Plant::PadTrustsRegister`], for what is reloaded where an exception lands and in the block behind
/// it: computed from a register that held something before the throw.
pub(crate) fn trust_registers_at_pads(func: &mut MFunc<Phys>) {
    // The one that is encoded as the stack pointer is.
    let trusted = Reg::gpr(CALLEE_SAVED[2]);
    let mut landed = Vec::new();
    for block in func.blocks.ids() {
        if func.insts_of(block).iter().any(|inst| inst.row == Row::Invoke) {
            landed.extend(func.edges_of(block).iter().skip(1).map(|edge| edge.to));
        }
    }
    let behind: Vec<_> = landed
        .iter()
        .flat_map(|&block| func.edges_of(block))
        .map(|edge| edge.to)
        .collect();
    for block in landed.into_iter().chain(behind) {
        let range = func.blocks[block].insts.clone();
        for inst in &mut func.insts[range.start as usize..range.end as usize] {
            if inst.row == Row::Mov && inst.rm == Rm::Slot && inst.width == Width::W64 {
                // As long as the reload is, so that landing pads stay where the engine's list has them.
                let offset = inst.disp * 8;
                *inst = Inst::new(Row::Lea, Width::W64).dst(inst.dst).mem(trusted, offset);
            }
        }
    }
}

impl Lower<'_> {
    /// [`Plant::IndexReadAgain`]: the index of a checked access, straight from where it was loaded.
    pub(super) fn planted_index(&mut self, checked: Value) -> Option<Reg> {
        let Some(&InstData::BoundsCheck { addr, .. }) = self.data_of(checked) else {
            return None;
        };
        match self.data_of(addr) {
            Some(&InstData::Load {
                op: LoadOp::Full,
                memory,
                offset,
                addr,
            }) if self.unit.has(Plant::IndexReadAgain) => {
                let again = self.temp(Class::Int);
                let from = self.access(memory, addr, offset, 8, self.source);
                self.emit(from.on(Inst::new(Row::Mov, Width::W64).dst(again)));
                Some(again)
            }
            _ => None,
        }
    }

    /// [`Plant::ShiftInAddress`] and [`Plant::ShiftMaskedByAccess`]: what is shifted, and the scale,
    /// for an access of so many bytes.
    pub(super) fn planted_scale(&self, addr: Value, bytes: u32) -> Option<(Value, u8)> {
        let mask = if self.unit.has(Plant::ShiftInAddress) {
            31
        } else if self.unit.has(Plant::ShiftMaskedByAccess) {
            u64::from(8 * bytes - 1)
        } else {
            return None;
        };
        let shifted = match self.data_of(addr) {
            Some(&InstData::BoundsCheck { addr, .. }) => addr,
            _ => addr,
        };
        let [index, count] = self.binary_of(shifted, BinaryOp::Shl)?;
        let scale = self.func.constant(count)? & mask;
        (scale <= 3).then_some((index, scale as u8))
    }

    /// [`Plant::GrowNotNarrowed`]: whether this is what a library call returned.
    pub(super) fn planted_wide(&self, value: Value) -> bool {
        let returned = matches!(self.data_of(value), Some(InstData::CallLibrary { .. }));
        returned && self.unit.has(Plant::GrowNotNarrowed)
    }

    /// [`Plant::WideCopysign`]: the operand with the sign, straight from memory.
    pub(super) fn planted_sign(&mut self, value: Value) -> Option<Operand> {
        match self.unit.has(Plant::WideCopysign) {
            true => self.memory_operand(value),
            false => None,
        }
    }
}
