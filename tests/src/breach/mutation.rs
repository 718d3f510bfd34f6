//! One corrupted instruction, at an instruction boundary, with and without tables that fit it.
//!
//! Requires a guest whose code is honest. Guarantees that everything outside of the instruction
//! (of two, for a swap) stays as it was, and that a number gives the same mutant in every run.

use super::guests::Guest;
use crate::rng::Rng;
use cellwall_abi::{Artifact, TrapCode, TrapSite};
use iced_x86::{ConstantOffsets, FlowControl, Instruction, OpKind};
use std::ops::Range;

/// How an instruction was corrupted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Another register, in ModRM, SIB or opcode.
    Register,
    /// Another width: prefix, REX.W or opcode bit.
    Width,
    /// Another displacement.
    Displacement,
    /// Another immediate.
    Immediate,
    /// Another condition.
    Condition,
    /// Another branch or call target.
    Target,
    /// A neighbour of the opcode.
    Opcode,
    /// Moves of a register to itself, or nops, in its place.
    Deletion,
    /// `int3` in its place.
    Breakpoint,
    /// Exchanged with the next one.
    Swap,
    /// Another instruction of the same length in its place.
    Transplant,
    /// Some bit.
    Bit,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Register,
        Self::Width,
        Self::Displacement,
        Self::Immediate,
        Self::Condition,
        Self::Target,
        Self::Opcode,
        Self::Deletion,
        Self::Breakpoint,
        Self::Swap,
        Self::Transplant,
        Self::Bit,
    ];
}

/// A corruption of an artifact.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// What was done.
    pub kind: Kind,
    /// The program counter of the corrupted instruction.
    pub pc: u32,
    /// What lies there now; the rest of the text is as it was.
    pub bytes: Vec<u8>,
    /// The trap sites in the range of these bytes.
    pub sites: Vec<TrapSite>,
}

impl Mutant {
    /// The artifact with the corruption, and with these trap sites in its range.
    pub fn applied(&self, honest: &Artifact, sites: &[TrapSite]) -> Artifact {
        let mut artifact = honest.clone();
        let start = self.pc as usize;
        artifact.text[start..start + self.bytes.len()].copy_from_slice(&self.bytes);
        let range = sites_in(&artifact, self.pc, self.bytes.len());
        artifact.traps.splice(range, sites.iter().copied());
        artifact
    }
}

/// Which trap sites lie in a range of the text.
fn sites_in(artifact: &Artifact, pc: u32, len: usize) -> Range<usize> {
    let before = |pc: u32| artifact.traps.partition_point(|site| site.pc < pc);
    before(pc)..before(pc + len as u32)
}

/// Where the parts of an instruction are.
struct Layout {
    rex: Option<usize>,
    /// The last byte of a VEX prefix: W or R, the second source, L, the mandatory prefix.
    vex: Option<usize>,
    opcode: usize,
    modrm: Option<usize>,
}

impl Layout {
    fn of(bytes: &[u8], insn: &Instruction, constants: &ConstantOffsets) -> Self {
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        if let 0xc4 | 0xc5 = byte(0) {
            let opcode = if byte(0) == 0xc4 { 3 } else { 2 };
            return Self {
                rex: None,
                vex: Some(opcode - 1),
                opcode,
                modrm: Some(opcode + 1),
            };
        }
        let mut at = 0;
        while matches!(byte(at), 0x66 | 0xf2 | 0xf3) {
            at += 1;
        }
        let rex = (byte(at) & 0xf0 == 0x40).then_some(at);
        at += usize::from(rex.is_some());
        if byte(at) == 0x0f {
            at += 1 + usize::from(matches!(byte(at + 1), 0x38 | 0x3a));
        }
        let mut end = bytes.len();
        for (has, offset) in [
            (constants.has_displacement(), constants.displacement_offset()),
            (constants.has_immediate(), constants.immediate_offset()),
        ] {
            if has {
                end = end.min(offset);
            }
        }
        Self {
            rex,
            vex: None,
            opcode: at,
            modrm: (at + 1 < end && insn.op_count() > 0).then_some(at + 1),
        }
    }
}

/// Makes a mutant of an instruction of a guest, by the index of its function and its own there;
/// `None` if the chosen corruption does not apply or changes nothing.
pub fn mutate(rng: &mut Rng, guest: &Guest, func: usize, at: usize) -> Option<Mutant> {
    let insns = &guest.insns[func];
    let kind = Kind::ALL[rng.below(Kind::ALL.len())];
    let (insn, constants) = &insns[at];
    let (pc, text) = (insn.ip() as usize, &guest.artifact.text);
    let mut copy = text[pc..pc + insn.len()].to_vec();
    let mut sites = guest.artifact.traps[sites_in(&guest.artifact, pc as u32, copy.len())].to_vec();
    let bytes = &mut copy[..];
    let layout = Layout::of(bytes, insn, constants);
    match kind {
        Kind::Register => register(rng, bytes, &layout),
        Kind::Width => width(rng, bytes, &layout),
        Kind::Displacement if constants.has_displacement() => {
            let at = constants.displacement_offset();
            number(rng, &mut bytes[at..at + constants.displacement_size()]);
        }
        Kind::Immediate if constants.has_immediate() && !is_branch(insn) => {
            let at = constants.immediate_offset();
            number(rng, &mut bytes[at..at + constants.immediate_size()]);
        }
        Kind::Condition if insn.condition_code() != iced_x86::ConditionCode::None => {
            bytes[layout.opcode] ^= 1 + rng.below(15) as u8;
        }
        Kind::Target if is_branch(insn) && constants.has_immediate() => {
            let to = target(rng, guest, func);
            let distance = to.wrapping_sub(insn.next_ip()) as i32;
            let at = constants.immediate_offset();
            let size = constants.immediate_size();
            bytes[at..at + size].copy_from_slice(&distance.to_le_bytes()[..size]);
        }
        Kind::Opcode => opcode(rng, bytes, &layout),
        Kind::Deletion => delete(rng, bytes),
        Kind::Breakpoint => bytes.fill(0xcc),
        Kind::Swap => (copy, sites) = swap(guest, insns.get(at)?, insns.get(at + 1)?)?,
        Kind::Transplant => {
            let other = &guest.insns[rng.below(guest.insns.len())];
            let (donor, _) = &other[rng.below(other.len())];
            if donor.len() != insn.len() {
                return None;
            }
            let from = donor.ip() as usize;
            bytes.copy_from_slice(&text[from..from + donor.len()]);
        }
        Kind::Bit => {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
        _ => return None,
    }
    (copy != text[pc..pc + copy.len()]).then_some(Mutant {
        kind,
        pc: pc as u32,
        bytes: copy,
        sites,
    })
}

/// The sites of a mutant with the other answer to whether its instruction is one: an adversary writes
/// tables that fit the code.
pub fn fitting_sites(mutant: &Mutant, code: TrapCode) -> Vec<TrapSite> {
    let (mut sites, pc) = (mutant.sites.clone(), mutant.pc);
    match sites.binary_search_by_key(&pc, |site| site.pc) {
        Ok(at) if sites[at].code == code => drop(sites.remove(at)),
        Ok(at) => sites[at].code = code,
        Err(at) => sites.insert(
            at,
            TrapSite {
                pc,
                code,
                wasm_offset: 0,
            },
        ),
    }
    sites
}

fn is_branch(insn: &Instruction) -> bool {
    (0..insn.op_count()).any(|i| insn.op_kind(i) == OpKind::NearBranch64)
}

fn register(rng: &mut Rng, bytes: &mut [u8], layout: &Layout) {
    let flip = 1 + rng.below(7) as u8;
    match (rng.below(5), layout.modrm, layout.rex.or(layout.vex)) {
        // The second source.
        (3 | 4, _, Some(at)) if layout.vex.is_some() => bytes[at] ^= flip << 3,
        (0, Some(at), _) => bytes[at] ^= flip << 3,
        (1, Some(at), _) => bytes[at] ^= flip,
        (2, Some(at), _) if at + 1 < bytes.len() => {
            bytes[at + 1] ^= flip << (3 * rng.below(2));
        }
        (3, _, Some(at)) => bytes[at] ^= 1 << rng.below(3),
        // Both the upper and the lower bits: any register.
        (4, Some(at), Some(rex)) => {
            bytes[at] ^= flip << (3 * rng.below(2));
            bytes[rex] ^= 1 << (2 * rng.below(2));
        }
        (_, None, _) => bytes[layout.opcode] ^= flip,
        (_, Some(at), _) => bytes[at] ^= flip << 3,
    }
}

fn width(rng: &mut Rng, bytes: &mut [u8], layout: &Layout) {
    match (rng.below(3), layout.rex) {
        // W, L or the mandatory prefix.
        (0 | 1, None) if let Some(at) = layout.vex => bytes[at] ^= [0x80, 4, 1, 2, 3][rng.below(5)],
        (0, Some(at)) => bytes[at] ^= 8,
        (1, _) if layout.opcode > 0 => bytes[0] = [0x66, 0xf2, 0xf3, 0x48, 0x67, 0x40][rng.below(6)],
        _ => bytes[layout.opcode] ^= 1,
    }
}

fn opcode(rng: &mut Rng, bytes: &mut [u8], layout: &Layout) {
    let at = layout.opcode.min(bytes.len() - 1);
    match (rng.below(4), layout.modrm) {
        (0, _) => bytes[at] = bytes[at].wrapping_add(1),
        (1, _) => bytes[at] = bytes[at].wrapping_sub(1),
        // The other operations of a group.
        (2, Some(modrm)) => bytes[modrm] ^= (1 + rng.below(7) as u8) << 3,
        _ => bytes[at] ^= 1 << rng.below(8),
    }
}

/// Another number: a bit, a neighbour, the other sign, something special.
fn number(rng: &mut Rng, bytes: &mut [u8]) {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let old = u64::from_le_bytes(word);
    let new = match rng.below(6) {
        0 => old ^ 1 << rng.below(bytes.len() * 8),
        1 => old.wrapping_add(1),
        2 => old.wrapping_sub(8),
        3 => old.wrapping_add(8 * (1 + rng.below(16) as u64)),
        4 => old.wrapping_neg(),
        _ => rng.interesting(),
    };
    let len = bytes.len();
    bytes.copy_from_slice(&new.to_le_bytes()[..len]);
}

/// A boundary, head or entry somewhere.
fn target(rng: &mut Rng, guest: &Guest, func: usize) -> u64 {
    let heads = &guest.artifact.heads;
    match rng.below(4) {
        0 if !heads.is_empty() => heads[rng.below(heads.len())].into(),
        1 => guest.artifact.funcs[rng.below(guest.artifact.funcs.len())]
            .start
            .into(),
        2 => rng.below(guest.artifact.text.len()) as u64,
        _ => {
            let insns = &guest.insns[func];
            insns[rng.below(insns.len())].0.ip()
        }
    }
}

/// Fills the place with moves of a register to itself (which change at most the upper half), or nops.
fn delete(rng: &mut Rng, bytes: &mut [u8]) {
    let register = rng.below(8) as u8;
    let modrm = 0xc0 | register << 3 | register;
    let mut at = 0;
    if rng.below(8) == 0 || bytes.len() == 1 {
        bytes.fill(0x90);
        return;
    }
    while at < bytes.len() {
        let filler: &[u8] = match bytes.len() - at {
            3 | 5 => &[0x48, 0x89, modrm],
            _ => &[0x89, modrm],
        };
        let len = filler.len().min(bytes.len() - at);
        bytes[at..at + len].copy_from_slice(&filler[..len]);
        at += len;
    }
}

/// Exchanges two neighbours, with their trap sites, and corrects what is relative.
fn swap(
    guest: &Guest,
    first: &(Instruction, ConstantOffsets),
    second: &(Instruction, ConstantOffsets),
) -> Option<(Vec<u8>, Vec<TrapSite>)> {
    let (a, b) = (&first.0, &second.0);
    let (pc, middle) = (a.ip() as u32, b.ip() as u32);
    let straight = |insn: &Instruction| insn.flow_control() == FlowControl::Next;
    if guest.artifact.heads.binary_search(&middle).is_ok() || !straight(a) || !straight(b) {
        return None;
    }
    let mut bytes = guest.artifact.text[pc as usize..b.next_ip() as usize].to_vec();
    bytes.rotate_left(a.len());
    let mut relative = |(insn, constants): &(Instruction, ConstantOffsets), moved: i32, at: usize| {
        if insn.is_ip_rel_memory_operand() {
            let field = at + constants.displacement_offset();
            let field = &mut bytes[field..field + 4];
            let old = i32::from_le_bytes(field.try_into().expect("four bytes"));
            field.copy_from_slice(&old.wrapping_sub(moved).to_le_bytes());
        }
    };
    relative(first, b.len() as i32, b.len());
    relative(second, -(a.len() as i32), 0);
    let mut sites = guest.artifact.traps[sites_in(&guest.artifact, pc, bytes.len())].to_vec();
    for site in &mut sites {
        site.pc = if site.pc == pc { pc + b.len() as u32 } else { pc };
    }
    sites.sort_by_key(|site| site.pc);
    Some((bytes, sites))
}
