//! IR → machine instructions with virtual registers: the only place where IR meets ISA.
//!
//! Requires IR that `ir::check` accepts. Guarantees one machine block per IR block plus one per
//! critical edge, and that every 32-bit value is made by an instruction that zero-extends it.
//!
//! Blocks are walked from the last to the first and each from its end to its start, so that an
//! instruction is seen after its users. A user may take a pure operand, a constant or a load into
//! its own instruction; it then counts the operand as used once less, and an instruction without
//! uses or effects is skipped. A load moves down to its user only within a block and past nothing
//! that writes, calls or traps otherwise.
//!
//! What an integer operator or a comparison becomes is said by the rules in this folder, each of them
//! proved (`generated`); what is no rule is written by hand in the other files.

mod atomic;
mod call;
mod carry;
mod compare;
mod control;
mod divide;
#[cfg(test)]
mod examples;
mod float;
#[rustfmt::skip]
#[allow(clippy::all, unused, reason = "written by the generator of rules")]
mod generated;
mod integer;
mod memory;
mod operand;
pub(crate) mod plant;
mod product;
mod site;
mod vector;

use crate::Unit;
use crate::regalloc::Spill;
use cellwall_abi::{TrapCode, convention};
use cellwall_base::EntityId;
use cellwall_ir as ir;
use cellwall_ir::{InstData, Trap, Type, Value};
use cellwall_isa::x64::{Block, BlockData, Catches, Inst, MFunc, Pins, Row, Width};
use cellwall_isa::{Class, Phys, Reg, Virt};

/// From so many instructions on, their storage is as large as they are and no larger.
const INSTS_EXACT_MIN: usize = 1 << 20;

/// Storage that is used again from function to function.
#[derive(Default)]
pub(crate) struct Scratch {
    func: Option<MFunc<Virt>>,
    state: State,
}

impl Scratch {
    /// Takes the storage of a function back.
    pub(crate) fn recycle(&mut self, func: MFunc<Phys>) {
        self.func = Some(func.recycle());
    }
}

/// Tables by value, instruction or block.
#[derive(Default)]
struct State {
    /// How often each value is used by what is not yet folded away.
    uses: Vec<u32>,
    /// The register of each value that needed one.
    regs: Vec<Reg>,
    /// For each instruction, how many effects come before it; moves within equal numbers are legal.
    color: Vec<u32>,
    /// Instructions that were moved into their user although they have an effect.
    sunk: Vec<bool>,
    /// Machine instructions of the current IR instruction, in order.
    sequence: Vec<Inst>,
    layout: control::Layout,
    halves: product::Halves,
    low_halves: carry::LowHalves,
    /// Constants that the function has so far: bits, bytes, offset.
    constants: Vec<(u128, u32, u32)>,
    /// How often each rule was applied.
    #[cfg(any(feature = "oracle", test))]
    applied: std::collections::BTreeMap<&'static str, u32>,
}

/// The lowering of one function.
struct Lower<'a> {
    unit: &'a Unit<'a>,
    func: &'a ir::Func,
    out: MFunc<Virt>,
    state: &'a mut State,
    /// The source offset of the current instruction.
    source: u32,
    /// The color of the current instruction.
    color: u32,
    /// If the current instruction is a call whose exceptions are caught: by what.
    caught: Option<Vec<Catches>>,
}

/// Lowers a function.
pub(crate) fn lower(func: &ir::Func, unit: &Unit<'_>, scratch: &mut Scratch) -> MFunc<Virt> {
    let out = scratch.func.take().unwrap_or_else(|| MFunc::new(pins()));
    let mut lower = Lower {
        unit,
        func,
        out,
        state: &mut scratch.state,
        source: 0,
        color: 0,
        caught: None,
    };
    lower.out.vectors = func.values.values().any(|(ty, _)| *ty == Type::V128);
    lower.out.slots = func.frame.len() as u32 * lower.variable_slots();
    lower.prepare();
    let layout = std::mem::take(&mut lower.state.layout);
    for block in layout.blocks().rev() {
        lower.block(&layout, block);
    }
    lower.state.layout = layout;
    lower.finish()
}

fn pins() -> Pins {
    Pins {
        stack: Reg::gpr(convention::STACK),
        context: Reg::gpr(convention::CONTEXT),
        entry: Reg::gpr(convention::ENTRY),
        scratch: Reg::gpr(convention::SCRATCH),
    }
}

/// The instance context.
const CONTEXT: Reg = Reg::gpr(convention::CONTEXT);
/// The base of memory 0.
const BASE: Reg = Reg::gpr(convention::BASE);

/// The class of registers for a type.
fn class_of(ty: Type) -> Class {
    if ty.is_int() { Class::Int } else { Class::Float }
}

/// The width of instructions for a type.
fn width_of(ty: Type) -> Width {
    match ty.bytes() {
        4 => Width::W32,
        8 => Width::W64,
        _ => Width::W128,
    }
}

/// The number of a trap in machine code.
fn trap_code(trap: Trap) -> u8 {
    (match trap {
        Trap::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        Trap::TableOutOfBounds => TrapCode::TableOutOfBounds,
        Trap::IndirectCallToNull => TrapCode::IndirectCallToNull,
        Trap::BadSignature => TrapCode::BadSignature,
        Trap::IntegerOverflow => TrapCode::IntegerOverflow,
        Trap::IntegerDivisionByZero => TrapCode::IntegerDivisionByZero,
        Trap::BadConversionToInteger => TrapCode::BadConversionToInteger,
        Trap::NullReference => TrapCode::NullReference,
        Trap::Unreachable => TrapCode::Unreachable,
        Trap::UnalignedAtomic => TrapCode::UnalignedAtomic,
        Trap::ExpectedSharedMemory => TrapCode::ExpectedSharedMemory,
        Trap::NullI31Reference => TrapCode::NullI31Reference,
        Trap::CastFailure => TrapCode::CastFailure,
    }) as u8
}

/// Whether a load may not move past this instruction: it writes or may trap in another way.
fn is_barrier(data: &InstData) -> bool {
    data.has_effect() && !matches!(data, InstData::Load { .. })
}

impl Lower<'_> {
    /// Counts uses, numbers effects, lays out blocks.
    fn prepare(&mut self) {
        let func = self.func;
        let state = &mut *self.state;
        reset(&mut state.uses, func.values.len(), 0);
        reset(&mut state.regs, func.values.len(), Reg::NONE);
        reset(&mut state.color, func.insts.len(), 0);
        reset(&mut state.sunk, func.insts.len(), false);
        state.sequence.clear();
        state.constants.clear();
        let mut color = 0;
        let mut wide = Vec::new();
        for &block in &func.order {
            color += 1;
            for &inst in &func.blocks[block].insts {
                state.color[inst.index()] = color;
                let data = &func.insts[inst].data;
                color += u32::from(is_barrier(data));
                if matches!(data, InstData::Binary { op, .. } if product::is_high(*op))
                    && wide.last() != Some(&block)
                {
                    wide.push(block);
                }
                func.for_each_use(inst, |v| state.uses[v.index()] += 1);
            }
            // They are made where their block begins and ends.
            let pad = func.landing_pad(block).map(|(pad, ..)| pad);
            for inst in pad.into_iter().chain(func.caught_call(block)) {
                state.sunk[inst.index()] = true;
            }
        }
        state.halves.fill(func, &wide);
        state.low_halves.clear();
        for &block in &func.order {
            let insts = &func.blocks[block].insts;
            for at in 0..insts.len() {
                state.low_halves.find(func, &state.uses, insts, at);
            }
        }
        state.layout.fill(func);
    }

    /// Lowers one machine block; its instructions end up in reverse.
    fn block(&mut self, layout: &control::Layout, at: usize) {
        let end = self.out.insts.len() as u32;
        let (params, edges) = layout.block(self, at);
        let start = self.out.insts.len() as u32;
        let data = BlockData {
            insts: end..start,
            params,
            edges,
            framed: false,
        };
        self.out.blocks.push(data);
    }

    /// Lowers the instructions of an IR block but the terminator, from its end.
    fn body(&mut self, block: ir::Block) {
        let (_, insts) = self.func.blocks[block]
            .insts
            .split_last()
            .expect("a finished block has a terminator");
        for &inst in insts.iter().rev() {
            if self.state.sunk[inst.index()] {
                continue;
            }
            let node = &self.func.insts[inst];
            if matches!(node.data, InstData::Const { .. } | InstData::VectorConst { .. }) {
                // Made again at each use.
                continue;
            }
            let used =
                node.results.iter().any(|v| self.state.uses[v.index()] > 0) || self.state.halves.wants(inst);
            if !used && !node.data.has_effect() {
                self.func.for_each_use(inst, |v| self.state.uses[v.index()] -= 1);
                continue;
            }
            self.source = node.source;
            self.color = self.state.color[inst.index()];
            self.inst(inst);
            self.flush();
        }
    }

    /// Moves the sequence of the current instruction to the function.
    fn flush(&mut self) {
        self.out.insts.extend(self.state.sequence.drain(..).rev());
    }

    /// Puts everything in order.
    fn finish(self) -> MFunc<Virt> {
        let mut out = self.out;
        if out.insts.len() > INSTS_EXACT_MIN {
            out.insts.shrink_to_fit();
        }
        out.insts.reverse();
        let total = out.insts.len() as u32;
        let mut blocks: Vec<BlockData> = out.blocks.values().rev().cloned().collect();
        for data in &mut blocks {
            data.insts = total - data.insts.end..total - data.insts.start;
        }
        out.blocks.clear();
        for data in blocks {
            out.blocks.push(data);
        }
        debug_assert!(out.edges.iter().all(|e| e.to.index() < out.blocks.len()));
        debug_assert_eq!(out.blocks.next_id(), Block::new(out.blocks.len()));
        out
    }

    /// How many slots of the frame each of its variables takes.
    fn variable_slots(&self) -> u32 {
        if self.out.vectors { 2 } else { 1 }
    }

    /// Appends an instruction to the current sequence.
    fn emit(&mut self, mut inst: Inst) {
        if inst.origin == 0 {
            inst.origin = self.source;
        }
        self.state.sequence.push(inst);
    }

    /// A register that stands for no value.
    fn temp(&mut self, class: Class) -> Reg {
        let index = self.out.virtual_regs;
        self.out.virtual_regs += 1;
        Reg::virt(class, index)
    }

    /// The register in which a value is defined.
    fn def(&mut self, value: Value) -> Reg {
        let reg = self.state.regs[value.index()];
        if !reg.is_none() {
            return reg;
        }
        let reg = self.temp(class_of(self.func.ty(value)));
        self.state.regs[value.index()] = reg;
        reg
    }

    /// Lowers an instruction that ends no block.
    fn inst(&mut self, inst: ir::Inst) {
        let data = self.func.insts[inst].data;
        match data {
            InstData::Const { .. } => {}
            InstData::VectorConst { .. } => {}
            InstData::Vector { op, lane, args } => self.vector(inst, op, lane, args),
            InstData::Shuffle { mask, args } => self.shuffle(self.func.result(inst), mask, args),
            InstData::Unary { op, arg } => self.unary(inst, op, arg),
            InstData::Binary { op, args } => self.binary(inst, op, args),
            InstData::Compare { .. } => {
                let dst = self.def(self.func.result(inst));
                self.compare_value(inst, dst);
            }
            InstData::Select { cond, args } => self.select(inst, cond, args),
            InstData::BoundsCheck { memory, addr, slack } => self.bounds_check(inst, memory, addr, slack),
            InstData::Load { .. } => self.load(inst),
            InstData::Store { .. } => self.store(inst),
            InstData::Atomic { .. } => self.atomic(inst),
            InstData::Fence => self.emit(Inst::new(Row::Mfence, Width::W64)),
            InstData::MemorySize { memory } => self.memory_size(inst, memory),
            InstData::TableSize { table } => self.table_size(inst, table),
            InstData::GlobalGet { global } => self.global_get(inst, global),
            InstData::GlobalSet { global, value } => self.global_set(global, value),
            InstData::FrameGet { variable } => {
                let dst = self.def(self.func.result(inst));
                let slot = variable * self.variable_slots();
                let spill = Spill::value(self.func.frame[variable as usize] == Type::V128);
                self.emit(spill.of_slot(slot, dst));
            }
            InstData::FrameSet { variable, value } => {
                let src = self.reg(value);
                let slot = variable * self.variable_slots();
                let spill = Spill::value(self.func.frame[variable as usize] == Type::V128);
                self.emit(spill.to_slot(src, slot));
            }
            InstData::Call { func, args, .. } => self.call(inst, func, args),
            InstData::CallIndirect { table, ty, args, .. } => self.call_indirect(inst, table, ty, args),
            InstData::CallRef { ty, args, .. } => self.call_ref(inst, ty, args),
            InstData::CallLibrary { library, args, .. } => self.call_library(inst, library, args),
            InstData::Throw { tag, args, .. } => self.throw(inst, tag, args),
            InstData::TrapIf { cond, trap } => {
                let cond = self.flags(cond);
                self.emit(
                    Inst::new(Row::TrapIf, Width::W64)
                        .cond(cond)
                        .trap(trap_code(trap)),
                );
            }
            InstData::Jump { .. }
            | InstData::Branch { .. }
            | InstData::Switch { .. }
            | InstData::Catch { .. }
            | InstData::Return { .. }
            | InstData::ReturnCall { .. }
            | InstData::ReturnCallIndirect { .. }
            | InstData::ReturnCallRef { .. }
            | InstData::Trap { .. } => {
                unreachable!("the last instruction of a block is lowered with its edges")
            }
            InstData::LandingPad { .. } => unreachable!("it is lowered where exceptions land"),
        }
    }
}

fn reset<T: Clone>(list: &mut Vec<T>, len: usize, value: T) {
    list.clear();
    list.resize(len, value);
}
