//! Takes out moves that the register allocator left although nobody needs them.
//!
//! Requires allocated registers. Guarantees the same values in all places that are read later. What
//! is done, in order: moves between places that are equal already go, and a reload takes the value
//! from a register that has it ([`equal`]); moves to places that nobody reads go, and a reload for
//! one instruction becomes its operand ([`dead`]); moves at the end of a loop go before its branch
//! ([`rise`]), and tests of what was just computed go ([`flags`]); copies for a later call move down
//! to the paths that call, so that the others need no frame ([`sink`]). Allocates nothing anew.
//!
//! Of very large functions nothing is taken out: what is kept for each block, and another list of instructions,
//! would cost more than it gains.

mod dead;
mod equal;
mod flags;
mod rise;
mod rotate;
mod sink;
#[cfg(test)]
mod tests;

pub(crate) use rotate::rotate;

use cellwall_base::EntityId;
use cellwall_isa::x64::{Block, Inst, MFunc, Rm, Role, Row, Width};
use cellwall_isa::{Class, Phys, Reg};

/// Functions with more blocks are left alone.
const BLOCKS_MAX: usize = 1 << 16;
/// Functions with more instructions, too.
const INSTS_MAX: usize = 1 << 20;
/// How often the blocks are walked before a fixpoint is given up: nested loops need about one walk
/// each, and hostile functions nest without end.
const ROUNDS_MAX: usize = 6;

/// Takes out moves.
pub(crate) fn tidy(func: &mut MFunc<Phys>) {
    if func.blocks.len() > BLOCKS_MAX || func.insts.len() > INSTS_MAX {
        return;
    }
    let preds = Preds::of(func);
    equal::equal(func, &preds);
    if let Some(mut live) = dead::dead(func) {
        rise::rise(func, &preds, &mut live);
        flags::flags(func);
        sink::sink(func, &preds, live);
    }
}

/// A set of places.
type Set = u128;

/// A register or one of the first frame slots, by number. What takes two slots is told by the first:
/// no value takes only the other one, since those of vector registers have slots of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place(u8);

/// General-purpose registers come first.
const GPRS: u8 = 16;
/// Then vector registers; slots follow.
const REGS: u8 = 32;
/// How many places there are.
const PLACES: usize = 128;

impl Place {
    fn reg(reg: Reg) -> Self {
        match reg.class() {
            Class::Int => Self(reg.number()),
            Class::Float => Self(GPRS + reg.number()),
        }
    }

    /// The slot, if it is one of those that are looked at.
    fn slot(slot: i32) -> Option<Self> {
        let at = i64::from(slot) + i64::from(REGS);
        (i64::from(REGS)..PLACES as i64)
            .contains(&at)
            .then_some(Self(at as u8))
    }

    fn is_slot(self) -> bool {
        self.0 >= REGS
    }

    /// The register, if it is one.
    fn as_reg(self) -> Option<Reg> {
        match self.0 {
            0..GPRS => Some(Reg::gpr(self.0)),
            GPRS..REGS => Some(Reg::xmm(self.0 - GPRS)),
            _ => None,
        }
    }

    fn bit(self) -> Set {
        1 << self.0
    }
}

/// A move of a whole value between two places, of which at most one is a slot; `None` stands for
/// slots that are not looked at.
#[derive(Clone, Copy)]
struct Copy {
    to: Option<Place>,
    from: Option<Place>,
}

/// The move that an instruction is, if it is one.
fn copy_of(inst: &Inst) -> Option<Copy> {
    let slot = Place::slot(inst.disp);
    match (inst.row, inst.rm) {
        (Row::Mov, Rm::Reg) if inst.width == Width::W64 => Some(Copy {
            to: Some(Place::reg(inst.dst)),
            from: Some(Place::reg(inst.base)),
        }),
        (Row::FMov, Rm::Reg) => Some(Copy {
            to: Some(Place::reg(inst.dst)),
            from: Some(Place::reg(inst.base)),
        }),
        (Row::Mov | Row::FLoad | Row::VLoad, Rm::Slot) if inst.width >= Width::W64 => Some(Copy {
            to: Some(Place::reg(inst.dst)),
            from: slot,
        }),
        (Row::MovStore | Row::FStore | Row::VStore, Rm::Slot) if inst.width >= Width::W64 => Some(Copy {
            to: slot,
            from: Some(Place::reg(inst.src)),
        }),
        _ => None,
    }
}

/// What an instruction that is no [`Copy`] reads and writes.
#[derive(Clone, Copy, Default)]
struct Effect {
    reads: Set,
    writes: Set,
}

impl Effect {
    fn of(func: &MFunc<Phys>, mut inst: Inst) -> Self {
        let mut effect = Self::default();
        if inst.row.is_listed() {
            for fixed in func.fixed_of(&func.calls[inst.imm as usize]) {
                let bit = Place::reg(fixed.at).bit();
                if fixed.def {
                    effect.writes |= bit;
                } else {
                    effect.reads |= bit;
                }
            }
            match inst.row {
                Row::Call => effect.writes |= CLOBBERED,
                Row::Invoke => effect.writes |= CLOBBERED | SAVED,
                _ => {}
            }
            return effect;
        }
        if inst.row == Row::Switch {
            let pins = func.pins;
            effect.writes |= Place::reg(pins.entry).bit() | Place::reg(pins.scratch).bit();
        }
        if inst.rm == Rm::Slot
            && let Some(slot) = Place::slot(inst.disp)
        {
            effect.reads |= slot.bit();
        }
        inst.visit(&mut |reg, role| {
            let bit = Place::reg(*reg).bit();
            match role {
                Role::Use | Role::UseFixed(_) => effect.reads |= bit,
                Role::Def | Role::DefEarly | Role::DefFixed(_) | Role::DefFixedEarly(_) | Role::DefTied => {
                    effect.writes |= bit
                }
            }
        });
        effect
    }
}

/// Callee-saved registers.
const SAVED: Set = {
    use cellwall_abi::convention::CALLEE_SAVED;
    let mut set = 0;
    let mut i = 0;
    while i < CALLEE_SAVED.len() {
        set |= 1 << CALLEE_SAVED[i];
        i += 1;
    }
    set
};

/// What a call may change: all registers but the pinned and the callee-saved ones.
const CLOBBERED: Set = {
    use cellwall_abi::convention::{BASE, CALLEE_SAVED, CONTEXT, STACK};
    let mut set = (1 << REGS) - 1;
    let mut i = 0;
    while i < CALLEE_SAVED.len() {
        set &= !(1 << CALLEE_SAVED[i]);
        i += 1;
    }
    set & !(1 << STACK | 1 << CONTEXT | 1 << BASE)
};

/// The predecessors of each block, each as often as it has an edge.
struct Preds {
    lists: Vec<Block>,
    ends: Vec<u32>,
}

impl Preds {
    fn of(func: &MFunc<Phys>) -> Self {
        let mut ends = vec![0; func.blocks.len()];
        for edge in &func.edges {
            ends[edge.to.index()] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            // For now where the list starts; each one filled in moves it.
            *end = total - *end;
        }
        let mut lists = vec![Block::new(0); total as usize];
        for block in func.blocks.ids() {
            for edge in func.edges_of(block) {
                let at = &mut ends[edge.to.index()];
                lists[*at as usize] = block;
                *at += 1;
            }
        }
        Self { lists, ends }
    }

    fn of_block(&self, block: Block) -> &[Block] {
        let start = match block.index() {
            0 => 0,
            at => self.ends[at - 1],
        };
        &self.lists[start as usize..self.ends[block.index()] as usize]
    }
}
