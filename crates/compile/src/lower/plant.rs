//! Mistakes that other engines shipped, to be made again on purpose: the verifier has to refuse them.
//!
//! Exists for tests alone: without the feature `planted` no unit has one, and [`Unit::has`] is a
//! constant. Guarantees that a plant changes nothing but what its row says. Deliberately switches
//! nothing off: planted code meets the same verifier as any other.

use super::operand::Operand;
use super::{Lower, Unit};
use cellwall_ir::{BinaryOp, InstData, Value};
use cellwall_isa::Phys;
use cellwall_isa::x64::{MFunc, Rm, Row, Width};

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

impl Lower<'_> {
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
