//! Where the frame is made and dropped, and what it saves.
//!
//! Requires allocated registers. Guarantees that every block that calls, uses a slot or touches a
//! callee-saved register has the frame, on every path, and that a return or tail call finds it dropped. A path
//! that needs no frame has none: the frame is made on the edges into what needs it, and from there
//! on it stays until the function returns, so that it is made at most once. Decides nothing else.

use cellwall_abi::convention::CALLEE_SAVED;
use cellwall_base::EntityId;
use cellwall_isa::x64::{Block, Inst, MFunc, Rm, Row, Width};
use cellwall_isa::{Class, Phys, Reg};

/// How long a block that ends the function may be to be repeated where there is no frame.
const TAIL_INSTS_MAX: usize = 8;

/// Makes and drops the frame of a function.
pub(crate) fn frame(func: &mut MFunc<Phys>) {
    let (mut framed, touched) = needs(func);
    let needed = framed.clone();
    spread(func, &mut framed);
    for number in CALLEE_SAVED {
        if touched & 1 << number != 0 {
            func.saved.push((Reg::gpr(number), func.slots));
            func.slots += 1;
        }
    }
    if !framed.contains(&true) {
        return;
    }
    insert(func, &needed, &framed);
}

/// Which blocks need the frame by themselves, and which callee-saved registers are touched.
fn needs(func: &MFunc<Phys>) -> (Vec<bool>, u32) {
    let saved = CALLEE_SAVED.iter().fold(0, |set, &r| set | 1 << r);
    let mut touched = 0u32;
    let need = func.blocks.ids().map(|block| {
        let mut here = 0u32;
        let mut need = false;
        for &(mut inst) in func.insts_of(block) {
            need |= inst.row.is_call() || inst.rm == Rm::Slot;
            if inst.row == Row::Invoke {
                // Where an exception lands, nothing is left in registers: what the caller needs is
                // restored from the frame.
                here |= saved;
            }
            inst.visit(&mut |reg, _| {
                if !reg.is_none() && reg.class() == Class::Int {
                    here |= 1 << reg.number();
                }
            });
        }
        touched |= here & saved;
        need || here & saved != 0
    });
    let need = need.collect();
    (need, touched)
}

/// What follows a block with a frame has one.
fn spread(func: &MFunc<Phys>, framed: &mut [bool]) {
    let mut work: Vec<Block> = func.blocks.ids().filter(|b| framed[b.index()]).collect();
    while let Some(block) = work.pop() {
        for edge in func.edges_of(block) {
            if !std::mem::replace(&mut framed[edge.to.index()], true) {
                work.push(edge.to);
            }
        }
    }
}

/// Puts the rows in, and repeats short ends of the function where there is no frame.
fn insert(func: &mut MFunc<Phys>, needed: &[bool], framed: &[bool]) {
    let mut preds = vec![0u32; func.blocks.len()];
    let mut from_bare = vec![false; func.blocks.len()];
    for block in func.blocks.ids() {
        for edge in func.edges_of(block) {
            preds[edge.to.index()] += 1;
            from_bare[edge.to.index()] |= !framed[block.index()];
        }
    }
    let enter = Inst::new(Row::Enter, Width::W64);
    let mut insts = Vec::with_capacity(func.insts.len() + 8);
    let mut blocks = Vec::with_capacity(func.blocks.len());
    for block in func.blocks.ids() {
        let start = insts.len() as u32;
        let at = block.index();
        let own = func.insts_of(block);
        let (last, body) = own.split_last().expect("a block has a terminator");
        let lone = framed[at] && preds[at] <= 1 && (at == 0 || from_bare[at]);
        if lone {
            insts.push(enter);
        }
        insts.extend_from_slice(body);
        let mut edges = func.blocks[block].edges.clone();
        if framed[at] {
            if last.row.leaves() {
                insts.push(Inst::new(Row::Leave, Width::W64));
            }
            insts.push(*last);
        } else if edges.len() == 1
            && let to = func.edges_of(block)[0].to
            && framed[to.index()]
            && preds[to.index()] > 1
        {
            let tail = func.insts_of(to);
            let ends = tail.last().is_some_and(|i| i.row.leaves() || i.row == Row::Trap);
            if ends && !needed[to.index()] && tail.len() <= TAIL_INSTS_MAX {
                insts.extend_from_slice(tail);
                edges = 0..0;
            } else {
                insts.push(enter);
                insts.push(*last);
            }
        } else {
            insts.push(*last);
        }
        blocks.push((start..insts.len() as u32, edges, framed[at] && !lone));
    }
    func.insts = insts;
    for ((_, data), (insts, edges, framed)) in func.blocks.iter_mut().zip(blocks) {
        (data.insts, data.edges, data.framed) = (insts, edges, framed);
    }
}
