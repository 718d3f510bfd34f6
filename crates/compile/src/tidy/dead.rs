//! Moves to places that nobody reads, and reloads that one instruction can do by itself.
//!
//! Requires and guarantees what `tidy` says. A backward analysis of which places are read later.

use super::{Copy, Effect, Place, ROUNDS_MAX, Set, copy_of};
use cellwall_base::EntityId;
use cellwall_isa::x64::{Block, Form, Inst, MFunc, Rm, Row, Width};
use cellwall_isa::{Class, Phys};

/// What a block reads before it writes it, and what it writes.
#[derive(Clone, Copy, Default)]
struct Summary {
    reads: Set,
    writes: Set,
}

/// What is read after an instruction becomes what is read before it.
fn before(func: &MFunc<Phys>, inst: &Inst, live: Set) -> Set {
    let effect = effect(func, inst);
    live & !effect.writes | effect.reads
}

fn effect(func: &MFunc<Phys>, inst: &Inst) -> Effect {
    let bit = |place: Option<Place>| place.map_or(0, Place::bit);
    match copy_of(inst) {
        Some(Copy { to, from }) => Effect {
            reads: bit(from),
            writes: bit(to),
        },
        None => Effect::of(func, *inst),
    }
}

/// Takes out dead moves; what is read at the start of each block or later, unless finding it takes
/// too long.
pub(super) fn dead(func: &mut MFunc<Phys>) -> Option<Vec<Set>> {
    let mut live = solve(func)?;
    let mut insts: Vec<Inst> = Vec::with_capacity(func.insts.len());
    let mut ranges = vec![0..0; func.blocks.len()];
    // From the last block to the first, each from its end: in the end everything is turned round.
    for block in func.blocks.ids().rev() {
        let end = insts.len() as u32;
        let mut later = live_out(func, block, &live);
        // What is read after the instruction that was pushed last.
        let mut after = later;
        for &inst in func.insts_of(block).iter().rev() {
            if let Some(Copy { to: Some(to), .. }) = copy_of(&inst)
                && later & to.bit() == 0
            {
                continue;
            }
            if let Some(user) = insts.get_mut(end as usize..).and_then(<[Inst]>::last_mut)
                && let Some(folded) = fold(&inst, user, after)
            {
                *user = folded;
                later = before(func, &folded, after);
                continue;
            }
            after = later;
            later = before(func, &inst, later);
            insts.push(inst);
        }
        live[block.index()] = later;
        ranges[block.index()] = end..insts.len() as u32;
    }
    insts.reverse();
    let total = insts.len() as u32;
    func.insts = insts;
    for ((_, data), range) in func.blocks.iter_mut().zip(ranges) {
        data.insts = total - range.end..total - range.start;
    }
    Some(live)
}

fn live_out(func: &MFunc<Phys>, block: Block, live: &[Set]) -> Set {
    func.edges_of(block)
        .iter()
        .fold(0, |set, edge| set | live[edge.to.index()])
}

/// What is read at the start of each block or later.
fn solve(func: &MFunc<Phys>) -> Option<Vec<Set>> {
    let summaries: Vec<Summary> = func
        .blocks
        .ids()
        .map(|block| {
            let mut summary = Summary::default();
            for inst in func.insts_of(block).iter().rev() {
                let effect = effect(func, inst);
                summary.reads = summary.reads & !effect.writes | effect.reads;
                summary.writes |= effect.writes;
            }
            summary
        })
        .collect();
    let mut live: Vec<Set> = vec![0; func.blocks.len()];
    // One block costs next to nothing here.
    for _ in 0..4 * ROUNDS_MAX {
        let mut changed = false;
        for block in func.blocks.ids().rev() {
            let Summary { reads, writes } = summaries[block.index()];
            let new = reads | live_out(func, block, &live) & !writes;
            changed |= new != live[block.index()];
            live[block.index()] = new;
        }
        if !changed {
            return Some(live);
        }
    }
    None
}

/// The instruction after a reload with the slot as its operand, if nobody reads the register
/// `after` it.
fn fold(reload: &Inst, user: &Inst, after: Set) -> Option<Inst> {
    let is_reload = reload.rm == Rm::Slot && matches!(reload.row, Row::Mov | Row::FLoad | Row::VLoad);
    if !is_reload || user.rm != Rm::Reg || user.base != reload.dst {
        return None;
    }
    let wide = matches!(user.width, Width::W32 | Width::W64);
    let fits = match (user.row, user.row.form()) {
        // The operand in memory is as wide as what was kept.
        _ if reload.row == Row::VLoad => {
            user.vex && user.width == Width::W128 && user.row.memory_bytes(user.width) == 16
        }
        (Row::Bsf | Row::Bsr | Row::Cmov, _) => false,
        (Row::FAdd | Row::FSub | Row::FMul | Row::FDiv | Row::FCmp, _) => reload.row == Row::FLoad,
        (_, Form::RmMod | Form::RmUse | Form::ImmUse) => wide && reload.row == Row::Mov && is_int(user),
        _ => false,
    };
    let dst = reload.dst;
    let again = [user.src, user.dst2, user.index].contains(&dst);
    let needed = after & Place::reg(dst).bit() != 0;
    (fits && !again && !needed).then(|| user.slot(reload.disp as u32))
}

fn is_int(inst: &Inst) -> bool {
    inst.row.classes() == (Class::Int, Class::Int)
}
