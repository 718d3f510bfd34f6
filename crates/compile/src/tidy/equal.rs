//! Which places hold the same value, and moves that this makes superfluous.
//!
//! Requires and guarantees what `tidy` says. A forward analysis: at the start of a block, two places
//! are equal if they are at the end of every predecessor.

use super::{CLOBBERED, Copy, Effect, GPRS, PLACES, Place, Preds, REGS, ROUNDS_MAX, Set, copy_of};
use cellwall_base::EntityId;
use cellwall_isa::x64::{Inst, MFunc, Role, Row, Width};
use cellwall_isa::{Class, Phys, Reg};

/// For each place, another one that is equal to it, the same for all of its equals; or itself.
type Roots = [u8; PLACES];

/// All registers.
const REGISTERS: Set = (1 << REGS) - 1;

/// No two places are known to be equal.
const ALONE: Roots = {
    let mut roots = [0; PLACES];
    let mut i = 0;
    while i < PLACES {
        roots[i] = i as u8;
        i += 1;
    }
    roots
};

/// The state while a block is walked: places with the same number are equal.
struct Classes {
    of: [u32; PLACES],
    next: u32,
    /// Places that were copied; no other one is equal to another.
    linked: Set,
    /// For each linked register, when it got its value or was copied first; 0 before the block.
    since: [u32; REGS as usize],
    now: u32,
}

impl Classes {
    fn new(roots: &Roots) -> Self {
        let mut classes = Self {
            of: [0; PLACES],
            next: PLACES as u32,
            linked: 0,
            since: [0; REGS as usize],
            now: 0,
        };
        for (at, &root) in roots.iter().enumerate() {
            classes.of[at] = u32::from(root);
            if usize::from(root) != at {
                classes.linked |= 1 << at | 1 << root;
            }
        }
        classes
    }

    fn forget(&mut self, mut places: Set) {
        places &= self.linked;
        self.linked &= !places;
        while places != 0 {
            let at = places.trailing_zeros() as usize;
            places &= places - 1;
            self.of[at] = self.next;
            self.next += 1;
        }
    }

    fn copy(&mut self, copy: Copy) {
        match (copy.to, copy.from) {
            (Some(to), Some(from)) => {
                if self.linked & from.bit() == 0 {
                    self.got(from);
                }
                self.got(to);
                self.linked |= to.bit() | from.bit();
                self.of[usize::from(to.0)] = self.of[usize::from(from.0)];
            }
            (Some(to), None) => self.forget(to.bit()),
            (None, _) => {}
        }
    }

    fn got(&mut self, place: Place) {
        self.now += 1;
        if let Some(since) = self.since.get_mut(usize::from(place.0)) {
            *since = self.now;
        }
    }

    fn are_equal(&self, a: Place, b: Place) -> bool {
        self.of[usize::from(a.0)] == self.of[usize::from(b.0)]
    }

    /// The equals of a place among these places.
    fn equals(&self, place: Place, among: Set) -> Set {
        let class = self.of[usize::from(place.0)];
        let mut rest = self.linked & among;
        let mut equals = 0;
        while rest != 0 {
            let at = rest.trailing_zeros();
            rest &= rest - 1;
            if self.of[at as usize] == class {
                equals |= 1 << at;
            }
        }
        equals & !place.bit()
    }

    /// The register from which to read the value of one: if there are several, the one that had it
    /// first, so that copies of it may go; above all, one that need not be saved.
    fn best(&self, reg: Reg) -> Reg {
        let gprs: Set = (1 << GPRS) - 1;
        let class = if reg.class() == Class::Int {
            gprs
        } else {
            !gprs & REGISTERS
        };
        let mut rest = self.equals(Place::reg(reg), class);
        let key = |reg: Reg| {
            let place = Place::reg(reg);
            (CLOBBERED & place.bit() == 0, self.since[usize::from(place.0)])
        };
        let mut best = reg;
        while rest != 0 {
            let other = Place(rest.trailing_zeros() as u8).as_reg();
            rest &= rest - 1;
            best = other.filter(|&other| key(other) < key(best)).unwrap_or(best);
        }
        best
    }

    fn roots(&self) -> Roots {
        let mut roots = ALONE;
        let mut rest = self.linked;
        while rest != 0 {
            let at = rest.trailing_zeros() as u8;
            let equals = self.equals(Place(at), rest);
            rest &= !(equals | 1 << at);
            let mut members = equals;
            while members != 0 {
                roots[members.trailing_zeros() as usize] = at;
                members &= members - 1;
            }
        }
        roots
    }

    fn step(&mut self, func: &MFunc<Phys>, inst: &Inst) {
        match copy_of(inst) {
            Some(copy) => self.copy(copy),
            None => self.forget(Effect::of(func, *inst).writes),
        }
    }
}

/// What both know.
fn meet(a: &mut Roots, b: &Roots) {
    for at in 0..PLACES {
        let root = usize::from(a[at]);
        if root != at && b[at] != b[root] {
            a[at] = at as u8;
        }
    }
}

/// Takes out moves between equal places.
pub(super) fn equal(func: &mut MFunc<Phys>, preds: &Preds) {
    let starts = solve(func, preds);
    let mut insts = Vec::with_capacity(func.insts.len());
    let mut ranges = Vec::with_capacity(func.blocks.len());
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        let mut classes = Classes::new(&starts[block.index()]);
        for &inst in func.insts_of(block) {
            let inst = rewrite(inst, &classes);
            if let Some(Copy {
                to: Some(to),
                from: Some(from),
            }) = copy_of(&inst)
                && classes.are_equal(to, from)
            {
                continue;
            }
            classes.step(func, &inst);
            insts.push(inst);
        }
        ranges.push(start..insts.len() as u32);
    }
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = range;
    }
}

/// What is equal at the start of each block.
fn solve(func: &MFunc<Phys>, preds: &Preds) -> Vec<Roots> {
    let count = func.blocks.len();
    let mut ends: Vec<Option<Roots>> = vec![None; count];
    let mut starts = vec![ALONE; count];
    for round in 0..=ROUNDS_MAX {
        // In the last round nothing is supposed of what was not walked before in it.
        let supposes = round < ROUNDS_MAX;
        if !supposes {
            ends.fill(Some(ALONE));
        }
        let mut changed = false;
        for block in func.blocks.ids() {
            let mut from = preds.of_block(block).iter();
            let mut known = from.by_ref().filter_map(|p| ends[p.index()].as_ref());
            let mut roots = match known.next() {
                Some(roots) if block.index() > 0 => *roots,
                _ => ALONE,
            };
            known.for_each(|other| meet(&mut roots, other));
            let same = starts[block.index()] == roots;
            if same && ends[block.index()].is_some() && supposes {
                continue;
            }
            starts[block.index()] = roots;
            let mut classes = Classes::new(&roots);
            for inst in func.insts_of(block) {
                classes.step(func, inst);
            }
            let end = classes.roots();
            changed |= ends[block.index()] != Some(end);
            ends[block.index()] = Some(end);
        }
        if !changed {
            break;
        }
    }
    starts
}

/// The instruction with operands from better places: a register instead of a slot, and the one
/// whose copy another is.
fn rewrite(mut inst: Inst, classes: &Classes) -> Inst {
    if let Some(Copy {
        to: Some(to),
        from: Some(from),
    }) = copy_of(&inst)
    {
        let equals = classes.equals(from, REGISTERS);
        if from.is_slot()
            && !classes.are_equal(to, from)
            && let Some(reg) = same_class(equals, to)
        {
            let row = match reg.class() {
                Class::Int => Inst::new(Row::Mov, Width::W64),
                Class::Float => Inst::new(Row::FMov, Width::W32),
            };
            return row.dst(inst.dst).rm(reg);
        }
    }
    // These write before they have read everything.
    if matches!(inst.row, Row::RemS | Row::U64ToFloat | Row::AtomicLoop) {
        return inst;
    }
    let is_tied = inst.is_tied();
    let mut first = true;
    inst.visit(&mut |reg, role| {
        // The first operand of a tied row is where its result goes.
        let fixed = std::mem::take(&mut first) && is_tied;
        if role == Role::Use && !fixed {
            *reg = classes.best(*reg);
        }
    });
    inst
}

/// The first register of a set, if it can be moved to `to`.
fn same_class(equals: Set, to: Place) -> Option<Reg> {
    let gprs: Set = (1 << GPRS) - 1;
    let is_gpr = to.as_reg()?.class() == Class::Int;
    let fitting = if is_gpr { equals & gprs } else { equals & !gprs };
    (fitting != 0).then(|| Place(fitting.trailing_zeros() as u8).as_reg())?
}
