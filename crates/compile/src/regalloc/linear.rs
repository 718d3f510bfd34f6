//! Register allocation in linear time, whatever the function: one pass over the code.
//!
//! Registers hold values within a block only. A value that is mentioned in several blocks, or that
//! is a parameter of a block, has a home: a slot of the frame, to which it is written where it is
//! defined. Other values get a home when they must leave their register. Slots are used again once
//! what lived in them is dead ([`Order`]).
//!
//! Requires and guarantees what the header of `regalloc` says. The code is slower than what the
//! other allocator makes, but time and memory are proportional to the function.

use super::order::Order;
use super::{Spill, bit, clobbers, index, move_between_registers, register, registers};
use cellwall_base::EntityId;
use cellwall_isa::x64::{Block, Inst, MFunc, Role, Row};
use cellwall_isa::{Class, Reg, Virt};
use std::ops::Range;

/// No value, slot or place.
const NONE: u32 = u32::MAX;
/// Held by a register that is taken for the current instruction only.
const TAKEN: u32 = u32::MAX - 1;
/// Hardware registers of both classes.
const REGISTERS: usize = 32;

/// What is known of a value.
#[derive(Clone, Copy)]
struct Value {
    /// The place (in the order of blocks) where it is defined.
    defined: u32,
    /// The last place where it lives.
    end: u32,
    /// Mentions that are still to come; kept for those without a home from the start.
    uses: u32,
    /// Its class of registers.
    class: Class,
    /// Its home.
    slot: u32,
    /// Next in the list of values that end at the same place.
    next: u32,
    /// The register that holds it.
    reg: Reg,
    /// Whether it is mentioned in several blocks or a parameter.
    global: bool,
    /// Whether its home has its value.
    settled: bool,
}

/// The allocation of one function.
struct Linear<'a> {
    func: &'a MFunc<Virt>,
    order: Order,
    values: Vec<Value>,
    /// By place: the first of the values with a home that end there.
    ending: Vec<u32>,
    /// How values are kept in their homes.
    spill: Spill,
    /// Homes that are free, by class.
    free_slots: [Vec<u32>; 2],
    slots: u32,
    /// What each register holds.
    held: [u32; REGISTERS],
    /// When it was last touched.
    touched: [u32; REGISTERS],
    now: u32,
    place: u32,
    insts: &'a mut Vec<Inst>,
    operands: Vec<(Reg, Role)>,
    allocated: Vec<Reg>,
}

fn number(reg: Reg) -> usize {
    reg.virt_index().expect("operands are virtual") as usize
}

/// Allocates registers: fills `insts`, and `blocks` with the range of each block. Returns how many
/// slots the frame has.
pub(super) fn allocate(func: &MFunc<Virt>, insts: &mut Vec<Inst>, blocks: &mut Vec<Range<u32>>) -> u32 {
    let order = Order::of(func);
    let unknown = Value {
        defined: NONE,
        end: 0,
        uses: 0,
        class: Class::Int,
        slot: NONE,
        next: NONE,
        reg: Reg::NONE,
        global: false,
        settled: false,
    };
    let mut linear = Linear {
        func,
        ending: vec![NONE; order.blocks.len()],
        values: vec![unknown; func.virtual_regs as usize],
        order,
        spill: Spill::of(func),
        free_slots: Default::default(),
        slots: func.slots,
        held: [NONE; REGISTERS],
        touched: [0; REGISTERS],
        now: 0,
        place: 0,
        insts,
        operands: Vec::new(),
        allocated: Vec::new(),
    };
    linear.survey();
    linear.insts.clear();
    // Moves are few: of large functions, that saves the room that doubling takes.
    linear.insts.reserve(func.insts.len() / 4 * 5);
    blocks.clear();
    blocks.resize(func.blocks.len(), 0..0);
    let alone = linear.single_edges();
    for place in 0..linear.order.blocks.len() {
        let block = linear.order.blocks[place];
        let start = linear.insts.len() as u32;
        linear.block(place as u32, block, alone[block.index()]);
        blocks[block.index()] = start..linear.insts.len() as u32;
    }
    linear.slots
}

/// Calls `f` with the registers of an instruction, in their roles.
fn visit(func: &MFunc<Virt>, inst: &mut Inst, mut f: impl FnMut(&mut Reg, Role)) {
    if inst.row.is_listed() {
        for fixed in func.fixed_of(&func.calls[inst.imm as usize]) {
            let (mut reg, at) = (fixed.reg, fixed.at.number());
            f(
                &mut reg,
                if inst.row == Row::Landed {
                    Role::DefFixedEarly(at)
                } else if fixed.def {
                    Role::DefFixed(at)
                } else {
                    Role::UseFixed(at)
                },
            );
        }
    } else {
        inst.visit(&mut |reg, role| {
            if reg.virt_index().is_some() {
                f(reg, role);
            }
        });
    }
}

fn is_use(role: Role) -> bool {
    matches!(role, Role::Use | Role::UseFixed(_))
}

impl Linear<'_> {
    /// Finds out where values are defined, how often they are mentioned, and where they end.
    fn survey(&mut self) {
        let func = self.func;
        for place in 0..self.order.blocks.len() as u32 {
            let block = self.order.blocks[place as usize];
            for &param in func.regs_of(&func.blocks[block].params) {
                let value = &mut self.values[number(param)];
                (value.defined, value.global, value.class) = (place, true, param.class());
                value.end = value.end.max(place);
            }
            for mut inst in func.insts_of(block).iter().copied() {
                visit(func, &mut inst, |reg, role| {
                    let value = &mut self.values[number(*reg)];
                    value.class = reg.class();
                    if is_use(role) {
                        value.uses += 1;
                        value.global |= value.defined != place;
                    } else {
                        value.defined = place;
                    }
                    value.end = value.end.max(place);
                });
            }
            let edges = func.edges_of(block);
            for edge in edges {
                // Where one of several edges brings values, they are moved behind it.
                let at = match edges.len() {
                    1 => place,
                    _ => self.order.places[edge.to.index()],
                };
                for &arg in func.regs_of(&edge.args) {
                    let value = &mut self.values[number(arg)];
                    value.uses += 1;
                    value.global |= value.defined != at;
                    value.end = value.end.max(at);
                }
                for &param in func.regs_of(&func.blocks[edge.to].params) {
                    let value = &mut self.values[number(param)];
                    value.class = param.class();
                    value.end = value.end.max(at);
                }
            }
        }
        for value in &mut self.values {
            if value.global && value.defined != NONE {
                value.end = self.order.end_of_life(value.defined, value.end);
            }
        }
    }

    /// For each block: the edge that leads to it, if that is one of several and brings values.
    fn single_edges(&self) -> Vec<u32> {
        let mut found = vec![NONE; self.func.blocks.len()];
        for block in self.func.blocks.ids() {
            let edges = self.func.blocks[block].edges.clone();
            if edges.len() > 1 {
                for edge in edges {
                    let data = &self.func.edges[edge as usize];
                    if !data.args.is_empty() {
                        found[data.to.index()] = edge;
                    }
                }
            }
        }
        found
    }

    fn block(&mut self, place: u32, block: Block, edge: u32) {
        self.place = place;
        let func = self.func;
        if edge != NONE {
            let args = func.regs_of(&func.edges[edge as usize].args);
            self.pass(args, func.regs_of(&func.blocks[block].params), NONE);
        }
        for &param in func.regs_of(&func.blocks[block].params) {
            // Whoever comes here has written it.
            self.home(number(param));
            self.values[number(param)].settled = true;
        }
        let (last, insts) = func
            .insts_of(block)
            .split_last()
            .expect("blocks end with a terminator");
        for inst in insts {
            self.inst(*inst);
        }
        if let [edge] = func.edges_of(block) {
            let params = func.regs_of(&func.blocks[edge.to].params);
            let to = self.order.places[edge.to.index()];
            self.pass(func.regs_of(&edge.args), params, to);
        }
        self.inst(*last);
        for at in 0..REGISTERS {
            self.let_go(at);
        }
        let mut ended = std::mem::replace(&mut self.ending[place as usize], NONE);
        while ended != NONE {
            let value = &self.values[ended as usize];
            self.free_slots[value.class as usize].push(value.slot);
            ended = value.next;
        }
    }

    /// The home of a value, made at its first mention.
    fn home(&mut self, value: usize) -> u32 {
        if self.values[value].slot == NONE {
            let class = self.values[value].class;
            let slot = self.free_slots[class as usize].pop().unwrap_or_else(|| {
                let count = self.spill.slots(class);
                let slot = self.slots.next_multiple_of(count);
                self.slots = slot + count;
                slot
            });
            let data = &mut self.values[value];
            data.slot = slot;
            if data.global {
                let end = data.end as usize;
                data.next = std::mem::replace(&mut self.ending[end], value as u32);
            }
        }
        self.values[value].slot
    }

    /// The register no longer holds anything.
    fn let_go(&mut self, at: usize) {
        let value = std::mem::replace(&mut self.held[at], NONE);
        if value != NONE && value != TAKEN {
            self.values[value as usize].reg = Reg::NONE;
        }
    }

    /// Writes a value, which is in a register, to its home if it is still needed.
    fn settle(&mut self, value: usize) {
        let Value {
            global,
            uses,
            settled,
            reg,
            ..
        } = self.values[value];
        if !settled && (global || uses > 0) {
            let slot = self.home(value);
            self.values[value].settled = true;
            self.insts.push(self.spill.to_slot(reg, slot));
        }
    }

    /// Empties a register.
    fn evict(&mut self, at: usize) {
        let value = self.held[at];
        if value != NONE && value != TAKEN {
            self.settle(value as usize);
        }
        self.let_go(at);
    }

    fn hold(&mut self, reg: Reg, value: usize) {
        self.held[index(reg)] = value as u32;
        self.touched[index(reg)] = self.now;
        self.values[value].reg = reg;
    }

    /// A register of a class that holds nothing, if there is one outside of a set.
    fn unused(&self, class: Class, without: u32) -> Option<Reg> {
        let mut left = registers(class) & !without;
        while left != 0 {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            if self.held[at] == NONE {
                return Some(register(at));
            }
        }
        None
    }

    /// A register of a class outside of a set, emptied.
    fn take(&mut self, class: Class, without: u32) -> Reg {
        if let Some(reg) = self.unused(class, without) {
            return reg;
        }
        let at = (0..REGISTERS)
            .filter(|&at| registers(class) & !without & 1 << at != 0 && self.held[at] != TAKEN)
            .min_by_key(|&at| self.touched[at])
            .expect("an instruction has fewer operands than there are registers");
        self.evict(at);
        register(at)
    }

    /// Moves a value into a register.
    fn fetch(&mut self, value: usize, to: Reg) {
        let Value { reg, slot, .. } = self.values[value];
        if reg.is_none() {
            assert!(slot != NONE, "v{value} was defined before");
            self.insts.push(self.spill.of_slot(slot, to));
        } else {
            self.insts.push(move_between_registers(reg, to));
        }
    }

    fn inst(&mut self, mut inst: Inst) {
        let func = self.func;
        self.now += 1;
        let mut operands = std::mem::take(&mut self.operands);
        operands.clear();
        visit(func, &mut inst, |reg, role| operands.push((*reg, role)));
        self.allocated.clear();
        self.allocated.resize(operands.len(), Reg::NONE);
        let mut early = 0;
        let mut late = clobbers(func, &inst);
        for &(reg, role) in &operands {
            match role {
                Role::DefFixedEarly(number) => early |= bit(Reg::hardware(reg.class(), number)),
                Role::DefFixed(number) => late |= bit(Reg::hardware(reg.class(), number)),
                _ => {}
            }
        }
        for at in (0..REGISTERS).filter(|at| early & 1 << at != 0) {
            self.evict(at);
        }
        let used = self.uses(&operands, early);
        let tied = self.free_tied(&operands, used | early | late);
        self.end_uses(&operands);
        for at in (0..REGISTERS).filter(|at| (late | tied) & 1 << at != 0) {
            self.evict(at);
        }
        self.defs(&operands, used, early, late, tied);
        let mut allocated = self.allocated.iter();
        if !inst.row.is_listed() {
            inst.visit(&mut |reg, _| {
                if reg.virt_index().is_some() {
                    *reg = *allocated.next().expect("every operand has a register");
                }
            });
            if inst.is_tied() {
                inst.src = inst.dst;
            }
        }
        self.insts.push(inst);
        self.begin(&operands);
        self.operands = operands;
    }

    /// Brings what is used into registers; returns these.
    fn uses(&mut self, operands: &[(Reg, Role)], early: u32) -> u32 {
        let mut used = 0;
        for (at, &(reg, role)) in operands.iter().enumerate() {
            let Role::UseFixed(fixed) = role else { continue };
            let (to, value) = (Reg::hardware(reg.class(), fixed), number(reg));
            if self.held[index(to)] != value as u32 {
                self.evict(index(to));
                self.fetch(value, to);
                if self.values[value].reg.is_none() {
                    self.hold(to, value);
                } else {
                    self.held[index(to)] = TAKEN;
                }
            }
            used |= bit(to);
            self.allocated[at] = to;
        }
        let any = || {
            operands
                .iter()
                .enumerate()
                .filter(|(_, operand)| operand.1 == Role::Use)
        };
        for (at, &(reg, _)) in any() {
            let held_by = self.values[number(reg)].reg;
            if !held_by.is_none() {
                self.touched[index(held_by)] = self.now;
                used |= bit(held_by);
                self.allocated[at] = held_by;
            }
        }
        for (at, &(reg, _)) in any() {
            let value = number(reg);
            if self.allocated[at].is_none() {
                if self.values[value].reg.is_none() {
                    let to = self.take(reg.class(), used | early);
                    self.fetch(value, to);
                    self.hold(to, value);
                }
                self.allocated[at] = self.values[value].reg;
                used |= bit(self.allocated[at]);
            }
        }
        used
    }

    /// The register that a definition shares with the first operand; what it holds is copied if it
    /// is needed later and there is room.
    fn free_tied(&mut self, operands: &[(Reg, Role)], without: u32) -> u32 {
        if !operands.iter().any(|&(_, role)| role == Role::DefTied) {
            return 0;
        }
        let from = self.allocated[0];
        let value = number(operands[0].0);
        if self.held[index(from)] == value as u32 {
            let here = operands
                .iter()
                .filter(|&&(reg, role)| is_use(role) && number(reg) == value)
                .count() as u32;
            let Value { uses, global, .. } = self.values[value];
            if (global || uses > here)
                && let Some(copy) = self.unused(from.class(), without)
            {
                self.insts.push(move_between_registers(from, copy));
                self.held[index(from)] = NONE;
                self.hold(copy, value);
            }
        }
        bit(from)
    }

    /// Counts uses; what has none to come leaves its register and its home.
    fn end_uses(&mut self, operands: &[(Reg, Role)]) {
        for (at, &(reg, role)) in operands.iter().enumerate() {
            if !is_use(role) {
                continue;
            }
            let taken = index(self.allocated[at]);
            if self.held[taken] == TAKEN {
                self.held[taken] = NONE;
            }
            self.use_up(number(reg));
        }
    }

    fn use_up(&mut self, value: usize) {
        let data = &mut self.values[value];
        data.uses -= 1;
        if data.global || data.uses > 0 {
            return;
        }
        if data.slot != NONE {
            self.free_slots[data.class as usize].push(data.slot);
        }
        if !data.reg.is_none() {
            let at = index(data.reg);
            self.let_go(at);
        }
    }

    /// Chooses registers for what is defined.
    fn defs(&mut self, operands: &[(Reg, Role)], used: u32, early: u32, late: u32, tied: u32) {
        let mut defined = early | late | tied;
        for (at, &(reg, role)) in operands.iter().enumerate() {
            let to = match role {
                Role::DefFixed(number) | Role::DefFixedEarly(number) => Reg::hardware(reg.class(), number),
                Role::DefTied => self.allocated[0],
                _ => continue,
            };
            self.allocated[at] = to;
        }
        for (at, &(reg, role)) in operands.iter().enumerate() {
            let without = match role {
                Role::DefEarly => defined | used,
                Role::Def => defined,
                _ => continue,
            };
            let to = self.take(reg.class(), without);
            defined |= bit(to);
            self.allocated[at] = to;
        }
    }

    /// What was defined is in its register, and in its home if other blocks mention it.
    fn begin(&mut self, operands: &[(Reg, Role)]) {
        for (at, &(reg, role)) in operands.iter().enumerate() {
            if is_use(role) {
                continue;
            }
            let value = number(reg);
            let Value { global, uses, .. } = self.values[value];
            if global || uses > 0 {
                self.hold(self.allocated[at], value);
                if global {
                    self.settle(value);
                }
            }
        }
    }

    /// Writes arguments to the homes of the parameters of a block at this place (`NONE`: of the
    /// current one), all at once.
    fn pass(&mut self, args: &[Reg], params: &[Reg], to: u32) {
        if args.is_empty() {
            return;
        }
        self.now += 1;
        let moves: Vec<(usize, usize)> = args
            .iter()
            .zip(params)
            .map(|(&arg, &param)| (number(arg), number(param)))
            .collect();
        // A parameter of the same block may be an argument; it is overwritten after it was read.
        let is_param = |linear: &Self, value: usize| {
            let data = &linear.values[value];
            data.global && data.defined == to && params.len() > 1
        };
        if moves
            .iter()
            .any(|&(arg, param)| arg != param && is_param(self, arg))
        {
            return self.pass_in_order(args, &moves);
        }
        for (&reg, &(arg, param)) in args.iter().zip(&moves) {
            if arg != param {
                self.pass_one(reg, arg, param);
            }
            self.use_up(arg);
        }
    }

    fn pass_one(&mut self, reg: Reg, arg: usize, param: usize) {
        let slot = self.home(param);
        if self.values[arg].reg.is_none() {
            // A register may be what holds another argument, which then goes home.
            let by = self.take(reg.class(), 0);
            self.fetch(arg, by);
            self.insts.push(self.spill.to_slot(by, slot));
        } else {
            let from = self.values[arg].reg;
            self.touched[index(from)] = self.now;
            self.insts.push(self.spill.to_slot(from, slot));
        }
    }

    /// Moves of which some overwrite what others read: those first that overwrite nothing that is
    /// still to be read; a circle begins with a copy.
    fn pass_in_order(&mut self, args: &[Reg], moves: &[(usize, usize)]) {
        use std::collections::BTreeMap;
        let by_param: BTreeMap<usize, usize> = moves
            .iter()
            .enumerate()
            .map(|(at, &(_, param))| (param, at))
            .collect();
        // How many moves still read each parameter, by the move that overwrites it.
        let mut readers = vec![0u32; moves.len()];
        let overwritten = |arg: usize| by_param.get(&arg).copied();
        for (at, &(arg, _)) in moves.iter().enumerate() {
            if let Some(by) = overwritten(arg)
                && by != at
            {
                readers[by] += 1;
            }
        }
        // Registers may be given up while moves go on, so what they hold goes home first.
        for at in 0..REGISTERS {
            self.evict(at);
        }
        let mut done = vec![false; moves.len()];
        let mut ready: Vec<usize> = (0..moves.len()).filter(|&at| readers[at] == 0).collect();
        for start in 0..=moves.len() {
            while let Some(at) = ready.pop() {
                if std::mem::replace(&mut done[at], true) {
                    continue;
                }
                let (arg, param) = moves[at];
                if arg != param {
                    let slot = self.home(param);
                    let by = self.scratch(args[at].class(), 0);
                    self.fetch(arg, by);
                    self.insts.push(self.spill.to_slot(by, slot));
                    if let Some(next) = overwritten(arg) {
                        readers[next] -= 1;
                        if readers[next] == 0 {
                            ready.push(next);
                        }
                    }
                }
            }
            // What is left are circles, each value read once.
            if start < moves.len() && !done[start] {
                self.pass_circle(args, moves, start, &overwritten, &mut done);
            }
        }
        for &(arg, _) in moves {
            self.use_up(arg);
        }
    }

    fn pass_circle(
        &mut self,
        args: &[Reg],
        moves: &[(usize, usize)],
        start: usize,
        overwritten: &dyn Fn(usize) -> Option<usize>,
        done: &mut [bool],
    ) {
        let class = args[start].class();
        let kept = self.scratch(class, 0);
        let first = moves[start].1;
        self.fetch(first, kept);
        let mut at = start;
        // Ends: a circle comes back to its start.
        loop {
            done[at] = true;
            let (arg, param) = moves[at];
            let slot = self.home(param);
            if arg == first {
                self.insts.push(self.spill.to_slot(kept, slot));
                return;
            }
            let by = self.scratch(class, bit(kept));
            self.fetch(arg, by);
            self.insts.push(self.spill.to_slot(by, slot));
            at = overwritten(arg).expect("a circle goes on");
        }
    }

    /// A register while all are empty.
    fn scratch(&self, class: Class, without: u32) -> Reg {
        self.unused(class, without).expect("all registers are empty")
    }
}
