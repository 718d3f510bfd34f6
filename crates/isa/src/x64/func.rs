//! Functions of blocks, before and after register allocation.

use super::inst::Inst;
use crate::{Phys, Reg, Virt};
use cellwall_base::IdMap;
use std::marker::PhantomData;
use std::ops::Range;

cellwall_base::id! {
    /// A block of a function; numbers follow the layout.
    Block, "block"
}

/// A function: instructions in layout order, cut into blocks. `P` is [`Virt`](crate::Virt) or
/// [`Phys`](crate::Phys). All lists are flat, so that clearing keeps their storage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MFunc<P> {
    /// Instructions of all blocks.
    pub insts: Vec<Inst>,
    /// Blocks in layout order; the first is the entry.
    pub blocks: IdMap<Block, BlockData>,
    /// Edges of all blocks.
    pub edges: Vec<Edge>,
    /// Block parameters and edge arguments. Of no meaning once registers are allocated.
    pub regs: Vec<Reg>,
    /// Calls, returns and the entry: their registers.
    pub calls: Vec<Call>,
    /// Registers of calls, returns and the entry. Of no meaning once registers are allocated.
    pub fixed: Vec<Fixed>,
    /// For each jump table: for each entry, the number of the edge (within its block). The last
    /// entry is the default, not part of the emitted table.
    pub tables: Vec<Vec<u32>>,
    /// Constants.
    pub rodata: Vec<u8>,
    /// How many virtual registers there are.
    pub virtual_regs: u32,
    /// 8-byte slots of the frame.
    pub slots: u32,
    /// Whether there are vectors: what is spilled of vector registers then takes two slots, whole.
    pub vectors: bool,
    /// Registers that [`Row::Enter`](super::Row::Enter) saves, each in a slot.
    pub saved: Vec<(Reg, u32)>,
    /// Registers with a fixed meaning.
    pub pins: Pins,
    phase: PhantomData<P>,
}

/// A block: ranges in the lists of its function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BlockData {
    /// Its instructions; the last one is the terminator.
    pub insts: Range<u32>,
    /// Its parameters in `regs`.
    pub params: Range<u32>,
    /// Its outgoing edges.
    pub edges: Range<u32>,
    /// Whether the frame exists at its start. Of meaning once registers are allocated.
    pub framed: bool,
}

/// An edge between blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The target.
    pub to: Block,
    /// Arguments for its parameters, in `regs`.
    pub args: Range<u32>,
}

/// Registers with a fixed meaning in the fused shapes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pins {
    /// The stack pointer.
    pub stack: Reg,
    /// Points to the context.
    pub context: Reg,
    /// Holds the entry in calls through one, and the index before; free otherwise.
    pub entry: Reg,
    /// Scratch of the fused shapes; free otherwise.
    pub scratch: Reg,
}

/// A register in a fixed place, used or defined by a call, a return or the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fixed {
    /// The register.
    pub reg: Reg,
    /// The hardware register where it must be.
    pub at: Reg,
    /// Whether it is defined there, not used.
    pub def: bool,
}

/// What a [`Row::Call`](super::Row::Call), `Invoke`, `Landed`, `TailCall`, `Ret` or `Params` stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// What is called.
    pub target: Target,
    /// Its registers in `fixed`: uses first.
    pub fixed: Range<u32>,
    /// Of an [`Row::Invoke`](super::Row::Invoke): what each edge after the first is for, in order of
    /// preference.
    pub catches: Vec<Catches>,
}

/// The exceptions that an edge is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Catches {
    /// Those with this tag; `None` for all.
    pub tag: Option<u32>,
    /// Whether a reference to the exception is wanted.
    pub with_ref: bool,
}

/// What is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Nothing: a return or the entry.
    None,
    /// A function of the module, by a relocated displacement.
    Direct(u32),
    /// The address in this field of the context.
    Slot(i32),
    /// The address in this field of the context, whose own address goes in the entry register.
    Entry(i32),
    /// An element of a table, whose index is in the entry register.
    Indirect(IndirectCall),
    /// The function of a reference.
    Reference(ReferenceCall),
}

/// A call of the function of a reference, through a stub that finds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReferenceCall {
    /// The register that holds the reference.
    pub reference: Reg,
    /// The field of the context with the address of the stub.
    pub stub: i32,
    /// The field of the context with the signature number, which the stub takes in the scratch
    /// register.
    pub signature: i32,
    /// The field of the context with the address of the entries that are looked at before the stub is
    /// asked.
    pub callable: i32,
    /// How many of them there are, less one: the one of a reference is at these bits of it.
    pub callable_mask: i32,
    /// log2 of the size of an entry.
    pub entry_shift: u8,
    /// Offset in an entry of the address to call.
    pub call_offset: i32,
    /// Offset in an entry of the signature number.
    pub signature_offset: i32,
    /// Offset in an entry of the reference to its function.
    pub reference_offset: i32,
    /// Trap code for null.
    pub trap_null: u8,
}

/// A call through a table of function entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndirectCall {
    /// Where the base is.
    pub base: TableBase,
    /// What the index is compared with.
    pub limit: TableLimit,
    /// log2 of the size of an entry.
    pub entry_shift: u8,
    /// Offset in an entry of the address to call.
    pub call_offset: i32,
    /// Offset in an entry of the signature number.
    pub signature_offset: i32,
    /// The signature number, or the field of the context that has it.
    pub signature: Signature,
    /// The number that stands for a null entry.
    pub null_signature: i32,
    /// Trap code for an index out of bounds.
    pub trap_bounds: u8,
    /// Trap code for a null entry.
    pub trap_null: u8,
    /// Trap code for another signature.
    pub trap_signature: u8,
    /// What to do instead about another signature, if it may be that of a type below the wanted one.
    pub below: Option<Below>,
}

/// Where a call through a table goes if the signature is not exactly the wanted one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Below {
    /// The call of the reference in the entry, which compares types with regard to those above.
    pub call: ReferenceCall,
}

/// Where the base of a table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableBase {
    /// In this field of the context.
    Owned(i32),
    /// In the first field of the definition that this field of the context points to.
    Imported(i32),
}

/// Where the length of a table is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableLimit {
    /// It never changes.
    Constant(i32),
    /// At this offset from the context, or from the definition of an imported table.
    Field(i32),
}

/// Where a signature number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signature {
    /// Known now.
    Constant(i32),
    /// In this field of the context.
    Field(i32),
}

impl<P> MFunc<P> {
    /// A function without blocks.
    pub fn new(pins: Pins) -> Self {
        Self {
            insts: Vec::new(),
            blocks: IdMap::new(),
            edges: Vec::new(),
            regs: Vec::new(),
            calls: Vec::new(),
            fixed: Vec::new(),
            tables: Vec::new(),
            rodata: Vec::new(),
            virtual_regs: 0,
            slots: 0,
            vectors: false,
            saved: Vec::new(),
            pins,
            phase: PhantomData,
        }
    }

    /// Empties the function and keeps the storage.
    pub fn clear(&mut self) {
        self.insts.clear();
        self.blocks.clear();
        self.edges.clear();
        self.regs.clear();
        self.calls.clear();
        self.fixed.clear();
        self.tables.clear();
        self.rodata.clear();
        self.virtual_regs = 0;
        self.slots = 0;
        self.vectors = false;
        self.saved.clear();
    }

    /// The outgoing edges of a block.
    pub fn edges_of(&self, block: Block) -> &[Edge] {
        let range = &self.blocks[block].edges;
        &self.edges[range.start as usize..range.end as usize]
    }

    /// Block parameters or edge arguments.
    pub fn regs_of(&self, range: &Range<u32>) -> &[Reg] {
        &self.regs[range.start as usize..range.end as usize]
    }

    /// The registers of a call, return or entry.
    pub fn fixed_of(&self, call: &Call) -> &[Fixed] {
        &self.fixed[call.fixed.start as usize..call.fixed.end as usize]
    }

    /// The instructions of a block.
    pub fn insts_of(&self, block: Block) -> &[Inst] {
        let range = &self.blocks[block].insts;
        &self.insts[range.start as usize..range.end as usize]
    }
}

impl MFunc<Virt> {
    /// The function with registers allocated: other instructions in the same blocks. Also returns
    /// the storage of the instructions before.
    ///
    /// # Panics
    /// If a register of an instruction is not a hardware register (in debug builds), or the number
    /// of blocks changed.
    pub fn allocated(self, insts: Vec<Inst>, blocks: &[Range<u32>], slots: u32) -> (MFunc<Phys>, Vec<Inst>) {
        assert_eq!(blocks.len(), self.blocks.len(), "allocation keeps the blocks");
        if cfg!(debug_assertions) {
            for mut inst in insts.iter().copied() {
                inst.visit(&mut |reg, _| assert!(reg.virt_index().is_none(), "every register is allocated"));
            }
        }
        let old = self.insts;
        let mut func = MFunc {
            insts,
            blocks: self.blocks,
            edges: self.edges,
            regs: self.regs,
            calls: self.calls,
            fixed: self.fixed,
            tables: self.tables,
            rodata: self.rodata,
            virtual_regs: 0,
            slots,
            vectors: self.vectors,
            saved: self.saved,
            pins: self.pins,
            phase: PhantomData,
        };
        for (data, range) in func.blocks.iter_mut().zip(blocks) {
            data.1.insts = range.clone();
        }
        (func, old)
    }
}

impl MFunc<Phys> {
    /// An empty function with this one's storage.
    pub fn recycle(mut self) -> MFunc<Virt> {
        self.clear();
        MFunc {
            insts: self.insts,
            blocks: self.blocks,
            edges: self.edges,
            regs: self.regs,
            calls: self.calls,
            fixed: self.fixed,
            tables: self.tables,
            rodata: self.rodata,
            virtual_regs: 0,
            slots: 0,
            vectors: false,
            saved: self.saved,
            pins: self.pins,
            phase: PhantomData,
        }
    }
}
