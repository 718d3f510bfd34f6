//! The function: blocks, instructions, values, and the builder that makes them.
//!
//! Storage is flat: lists of values lie in one pool, ids are indexes. [`Func::order`] is the order
//! in which blocks are laid out; blocks outside it are dead. The last instruction of a block, and
//! only that, is a terminator.

use crate::op::{AtomicOp, BinaryOp, CompareOp, LoadOp, StoreOp, Trap, Type, UnaryOp};
use crate::vector::VectorOp;
use crate::{Block, Inst, Library, Sig, Value};
use cellwall_base::{FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TagIdx, TypeIdx};

/// Parameter and result types of a function.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signature {
    /// Parameter types.
    pub params: Vec<Type>,
    /// Result types.
    pub results: Vec<Type>,
}

/// A list of values in the pool of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ValueList {
    start: u32,
    len: u32,
}

impl ValueList {
    /// How many values there are.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// A branch target with the arguments for its parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockCall {
    /// The target.
    pub block: Block,
    /// One value per parameter of the target.
    pub args: ValueList,
}

/// An instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InstData {
    /// A constant; the low bits of `bits` that the result type has.
    Const {
        /// The value as bits.
        bits: u64,
    },
    /// A constant vector.
    VectorConst {
        /// The value, lowest byte first.
        bytes: [u8; 16],
    },
    /// An operator on vectors.
    Vector {
        /// The row.
        op: VectorOp,
        /// The lane, if the row names one; otherwise 0.
        lane: u8,
        /// As many operands as the row has; the rest repeats the first one.
        args: [Value; 3],
    },
    /// The bytes of two vectors that a mask names, the first one's (0 to 15) before the second one's.
    Shuffle {
        /// For each byte of the result, which one it is.
        mask: [u8; 16],
        /// The operands.
        args: [Value; 2],
    },
    /// An operator of one operand.
    Unary {
        /// The row.
        op: UnaryOp,
        /// The operand.
        arg: Value,
    },
    /// An operator of two operands.
    Binary {
        /// The row.
        op: BinaryOp,
        /// The operands.
        args: [Value; 2],
    },
    /// A comparison.
    Compare {
        /// The row.
        op: CompareOp,
        /// The operands.
        args: [Value; 2],
    },
    /// The first value if `cond` is not 0, otherwise the second. All are evaluated.
    Select {
        /// An I32.
        cond: Value,
        /// The choices, of the result's type.
        args: [Value; 2],
    },
    /// Gives `addr` as an I64 once it is known that `addr + slack <= length` of the memory (as
    /// unbounded integers, `addr` unsigned); traps with `MemoryOutOfBounds` otherwise.
    BoundsCheck {
        /// The memory.
        memory: MemoryIdx,
        /// An I32 or I64.
        addr: Value,
        /// Bytes that must lie behind `addr`, below 2^31. Zero where the guard behind every memory
        /// covers displacement and width of the accesses that follow.
        slack: u64,
    },
    /// A load from `addr + offset`.
    ///
    /// The address carries the bounds obligation: an I32 address relies on reservation and guard
    /// (an access outside traps by itself); an I64 address is the result of a `BoundsCheck`.
    Load {
        /// The row.
        op: LoadOp,
        /// The memory.
        memory: MemoryIdx,
        /// Added to the address without wrapping, below 2^31.
        offset: u32,
        /// The address.
        addr: Value,
    },
    /// A store of `value` to `addr + offset`; see `Load` for the address.
    Store {
        /// The row.
        op: StoreOp,
        /// The memory.
        memory: MemoryIdx,
        /// Added to the address without wrapping, below 2^31.
        offset: u32,
        /// The address, then the value.
        args: [Value; 2],
    },
    /// An atomic access at `addr + offset`, which must be aligned; see `Load` for the address.
    Atomic {
        /// The row.
        op: AtomicOp,
        /// How wide: all bytes of the type of the operands or the result, or the low ones.
        width: StoreOp,
        /// The memory.
        memory: MemoryIdx,
        /// Added to the address without wrapping, below 2^31.
        offset: u32,
        /// The address, then the operands.
        args: ValueList,
    },
    /// Orders all accesses before it before all after it.
    Fence,
    /// The current length of a memory in bytes, an I64.
    MemorySize {
        /// The memory.
        memory: MemoryIdx,
    },
    /// The current size of a table in elements.
    TableSize {
        /// The table.
        table: TableIdx,
    },
    /// The value of a global.
    GlobalGet {
        /// The global.
        global: GlobalIdx,
    },
    /// Sets a global.
    GlobalSet {
        /// The global.
        global: GlobalIdx,
        /// The new value.
        value: Value,
    },
    /// What was written to a variable of the frame last. Neither moved nor removed.
    FrameGet {
        /// Index into [`Func::frame`].
        variable: u32,
    },
    /// Writes to a variable of the frame; every way to a `FrameGet` of it passes one.
    FrameSet {
        /// Index into [`Func::frame`].
        variable: u32,
        /// The new value.
        value: Value,
    },
    /// A call of a function of this module (defined or imported).
    Call {
        /// The callee.
        func: FuncIdx,
        /// Its signature.
        sig: Sig,
        /// The arguments.
        args: ValueList,
    },
    /// A call through a table; traps if the index is out of bounds, the entry is null or its
    /// signature differs.
    CallIndirect {
        /// The table.
        table: TableIdx,
        /// The type that the entry must have.
        ty: TypeIdx,
        /// The signature of that type.
        sig: Sig,
        /// The index (I32 or I64), then the arguments.
        args: ValueList,
    },
    /// A call of the function of a reference; traps if it is null.
    CallRef {
        /// The type that the function has.
        ty: TypeIdx,
        /// The signature of that type.
        sig: Sig,
        /// The reference (I32), then the arguments.
        args: ValueList,
    },
    /// A call of a routine of the runtime.
    CallLibrary {
        /// The routine.
        library: Library,
        /// Its signature.
        sig: Sig,
        /// The arguments.
        args: ValueList,
    },
    /// Throws an exception. Does not return: a trap, or a [`Catch`](Self::Catch) whose way on leads
    /// to one, follows.
    Throw {
        /// The tag of the exception.
        tag: TagIdx,
        /// Its signature.
        sig: Sig,
        /// The values.
        args: ValueList,
    },
    /// Begins a block to which [`Catch`](Self::Catch) terminators lead, and nothing else. Defines a
    /// reference to the exception, I32, and then its values if it has the tag.
    LandingPad {
        /// The tag of the exceptions that are caught here; `None` for all.
        tag: Option<TagIdx>,
        /// Whether the reference means something; otherwise it is 0.
        with_ref: bool,
    },
    /// Traps if `cond` is not 0.
    TrapIf {
        /// An I32.
        cond: Value,
        /// Why.
        trap: Trap,
    },
    /// Terminator: goes to a block.
    Jump {
        /// Where to.
        to: BlockCall,
    },
    /// Terminator: goes to the first block if `cond` is not 0, otherwise to the second.
    Branch {
        /// An I32.
        cond: Value,
        /// Where to.
        to: [BlockCall; 2],
    },
    /// Terminator: goes to the `index`-th target of table `targets`, or to its last one if there
    /// is no such target (unsigned).
    Switch {
        /// An I32.
        index: Value,
        /// Index into [`Func::switches`]; the last entry is the default.
        targets: u32,
    },
    /// Terminator: stands right behind a call. Goes on if the call returned; if an exception left it,
    /// goes to the first handler whose landing pad takes it. The results of the call are defined
    /// only where it returned.
    Catch {
        /// Where to if the call returned: a block with no other way in.
        to: BlockCall,
        /// Index into [`Func::handlers`].
        handlers: u32,
    },
    /// Terminator: returns.
    Return {
        /// One value per result.
        args: ValueList,
    },
    /// Terminator: a call of a function of this module in place of the rest of this one. Its
    /// results are this function's.
    ReturnCall {
        /// The callee.
        func: FuncIdx,
        /// Its signature.
        sig: Sig,
        /// The arguments.
        args: ValueList,
    },
    /// Terminator: likewise through a table; traps as [`CallIndirect`](Self::CallIndirect) does.
    ReturnCallIndirect {
        /// The table.
        table: TableIdx,
        /// The type that the entry must have.
        ty: TypeIdx,
        /// The signature of that type.
        sig: Sig,
        /// The index (I32), then the arguments.
        args: ValueList,
    },
    /// Terminator: likewise of the function of a reference; traps if it is null.
    ReturnCallRef {
        /// The type that the function has.
        ty: TypeIdx,
        /// The signature of that type.
        sig: Sig,
        /// The reference (I32), then the arguments.
        args: ValueList,
    },
    /// Terminator: traps.
    Trap {
        /// Why.
        trap: Trap,
    },
}

impl InstData {
    /// Whether this ends a block.
    pub const fn is_terminator(&self) -> bool {
        matches!(
            self,
            Self::Jump { .. }
                | Self::Branch { .. }
                | Self::Switch { .. }
                | Self::Catch { .. }
                | Self::Return { .. }
                | Self::ReturnCall { .. }
                | Self::ReturnCallIndirect { .. }
                | Self::ReturnCallRef { .. }
                | Self::Trap { .. }
        )
    }

    /// Whether the instruction does more than define its results: it writes, traps, calls or ends
    /// the block. One without effects may be removed if its results are unused, or computed again.
    pub const fn has_effect(&self) -> bool {
        match self {
            Self::Unary { op, .. } => op.traps(),
            Self::Binary { op, .. } => op.traps(),
            Self::Const { .. }
            | Self::VectorConst { .. }
            | Self::Vector { .. }
            | Self::Shuffle { .. }
            | Self::Compare { .. }
            | Self::Select { .. }
            | Self::MemorySize { .. }
            | Self::TableSize { .. }
            | Self::GlobalGet { .. } => false,
            _ => true,
        }
    }

    /// Whether exceptions may leave the instruction.
    pub const fn is_call(&self) -> bool {
        matches!(
            self,
            Self::Call { .. }
                | Self::CallIndirect { .. }
                | Self::CallRef { .. }
                | Self::CallLibrary { .. }
                | Self::Throw { .. }
        )
    }

    /// Whether the result depends on more than the operands (on memory, globals, sizes).
    pub const fn reads_state(&self) -> bool {
        matches!(
            self,
            Self::Load { .. }
                | Self::BoundsCheck { .. }
                | Self::MemorySize { .. }
                | Self::TableSize { .. }
                | Self::GlobalGet { .. }
        )
    }
}

/// An instruction with its place in the source and its results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstNode {
    /// The instruction.
    pub data: InstData,
    /// The results: consecutive values.
    pub results: ValueRange,
    /// Offset in the source (for WebAssembly: of the operator in the binary).
    pub source: u32,
}

/// Consecutive values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ValueRange {
    first: Value,
    len: u32,
}

impl ValueRange {
    /// How many values there are.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The values in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value> {
        (self.first.as_u32()..self.first.as_u32() + self.len).map(Value::from_u32)
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueDef {
    /// The `index`-th result of an instruction.
    Result(Inst, u32),
    /// The parameter of a block (its place in the list is not kept here, since parameters may be
    /// removed).
    Param(Block),
}

/// A basic block.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BlockData {
    /// Parameters, defined at the head.
    pub params: Vec<Value>,
    /// Instructions in order; the last one is the terminator.
    pub insts: Vec<Inst>,
}

/// Sources from here on stand for places in inlined bodies, those below for themselves.
pub const SOURCES_INLINED: u32 = 1 << 30;

/// A function whose body was put in place of a call.
///
/// Its instructions have sources of their own: `source + n` stands for `offset + n`, in the frame
/// that this call would have made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inlined {
    /// The callee.
    pub func: FuncIdx,
    /// Source of the call, which may lie in another inlined body.
    pub call: u32,
    /// The first source of the body.
    pub source: u32,
    /// Offset of the body in the source text.
    pub offset: u32,
    /// How many sources there are.
    pub len: u32,
}

/// A function in SSA form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Func {
    /// Which function of the module this is.
    pub index: FuncIdx,
    /// Its own signature. The entry block's parameters are the function's.
    pub signature: Signature,
    /// Signatures of the calls inside.
    pub signatures: IdMap<Sig, Signature>,
    /// Blocks by id.
    pub blocks: IdMap<Block, BlockData>,
    /// Instructions by id.
    pub insts: IdMap<Inst, InstNode>,
    /// Type and origin of each value.
    pub values: IdMap<Value, (Type, ValueDef)>,
    /// Live blocks in layout order; the first is the entry.
    pub order: Vec<Block>,
    /// Targets of each switch.
    pub switches: Vec<Vec<BlockCall>>,
    /// For each [`InstData::Catch`], the landing pads in order; the arguments are for their parameters.
    pub handlers: Vec<Vec<BlockCall>>,
    /// Blocks to which their only branch, if there is only one, is rarely taken.
    pub unlikely: Vec<Block>,
    /// Types of the variables of the frame. They stand for what would need too many block
    /// parameters; most functions have none.
    pub frame: Vec<Type>,
    /// What was inlined, in ascending order of the sources; bodies around another come before it.
    pub inlined: Vec<Inlined>,
    pool: Vec<Value>,
}

impl Func {
    /// A function without blocks.
    pub fn new(index: FuncIdx, signature: Signature) -> Self {
        Self {
            index,
            signature,
            signatures: IdMap::new(),
            blocks: IdMap::new(),
            insts: IdMap::new(),
            values: IdMap::new(),
            order: Vec::new(),
            switches: Vec::new(),
            handlers: Vec::new(),
            unlikely: Vec::new(),
            frame: Vec::new(),
            inlined: Vec::new(),
            pool: Vec::new(),
        }
    }

    /// The entry block.
    ///
    /// # Panics
    /// If there is no block yet.
    pub fn entry(&self) -> Block {
        self.order[0]
    }

    /// The first source that no inlined body has yet.
    ///
    /// # Panics
    /// If what was inlined is larger than sources can tell, which its limits exclude.
    pub fn next_source(&self) -> u32 {
        match self.inlined.last() {
            Some(last) => last.source.checked_add(last.len).expect("inlining has limits"),
            None => SOURCES_INLINED,
        }
    }

    /// The offset that a source stands for, and the index in `inlined` of the body around it.
    pub fn place_of(&self, source: u32) -> (u32, Option<usize>) {
        match self.inlined.partition_point(|body| body.source <= source) {
            0 => (source, None),
            after => {
                let body = &self.inlined[after - 1];
                (body.offset + (source - body.source), Some(after - 1))
            }
        }
    }

    /// The type of a value.
    pub fn ty(&self, value: Value) -> Type {
        self.values[value].0
    }

    /// Where a value comes from.
    pub fn def(&self, value: Value) -> ValueDef {
        self.values[value].1
    }

    /// The instruction that defines a value, if one does.
    pub fn def_inst(&self, value: Value) -> Option<Inst> {
        match self.def(value) {
            ValueDef::Result(inst, _) => Some(inst),
            ValueDef::Param(_) => None,
        }
    }

    /// The bits of a value that is a constant.
    pub fn constant(&self, value: Value) -> Option<u64> {
        match self.insts[self.def_inst(value)?].data {
            InstData::Const { bits } => Some(bits),
            _ => None,
        }
    }

    /// The bits of a value that is a constant vector.
    pub fn vector_constant(&self, value: Value) -> Option<u128> {
        match self.insts[self.def_inst(value)?].data {
            InstData::VectorConst { bytes } => Some(u128::from_le_bytes(bytes)),
            _ => None,
        }
    }

    /// The only result of an instruction.
    ///
    /// # Panics
    /// If it has none.
    pub fn result(&self, inst: Inst) -> Value {
        self.insts[inst]
            .results
            .iter()
            .next()
            .expect("the instruction has a result")
    }

    /// The values of a list.
    pub fn list(&self, list: ValueList) -> &[Value] {
        &self.pool[list.start as usize..(list.start + list.len) as usize]
    }

    /// The values of a list, to change them.
    pub fn list_mut(&mut self, list: ValueList) -> &mut [Value] {
        &mut self.pool[list.start as usize..(list.start + list.len) as usize]
    }

    /// Makes a list.
    pub fn make_list(&mut self, values: &[Value]) -> ValueList {
        let start = u32::try_from(self.pool.len()).expect("the pool is limited by the size of a body");
        self.pool.extend_from_slice(values);
        ValueList {
            start,
            len: values.len() as u32,
        }
    }

    /// The tag and whether the reference is wanted, of a block that begins with a landing pad.
    pub fn landing_pad(&self, block: Block) -> Option<(Inst, Option<TagIdx>, bool)> {
        let &first = self.blocks[block].insts.first()?;
        match self.insts[first].data {
            InstData::LandingPad { tag, with_ref } => Some((first, tag, with_ref)),
            _ => None,
        }
    }

    /// The call before the [`InstData::Catch`] that ends a block, if one does.
    pub fn caught_call(&self, block: Block) -> Option<Inst> {
        match *self.blocks[block].insts {
            [.., call, last] if matches!(self.insts[last].data, InstData::Catch { .. }) => Some(call),
            _ => None,
        }
    }

    /// Adds a block outside of the order.
    pub fn make_block(&mut self) -> Block {
        self.blocks.push(BlockData::default())
    }

    /// Adds a parameter to a block.
    pub fn add_param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.values.push((ty, ValueDef::Param(block)));
        self.blocks[block].params.push(value);
        value
    }

    /// Makes an instruction that is in no block yet, with results of these types.
    pub fn make_inst(&mut self, data: InstData, results: &[Type], source: u32) -> Inst {
        let inst = self.insts.next_id();
        let first = self.values.next_id();
        for (i, &ty) in results.iter().enumerate() {
            self.values.push((ty, ValueDef::Result(inst, i as u32)));
        }
        self.insts.push(InstNode {
            data,
            results: ValueRange {
                first,
                len: results.len() as u32,
            },
            source,
        })
    }

    /// The last instruction of a block.
    ///
    /// # Panics
    /// If the block is empty.
    pub fn terminator(&self, block: Block) -> Inst {
        *self.blocks[block]
            .insts
            .last()
            .expect("a finished block has a terminator")
    }

    /// Calls `f` with each value that an instruction uses, branch arguments included.
    pub fn for_each_use(&self, inst: Inst, mut f: impl FnMut(Value)) {
        let mut list = |list: ValueList| self.list(list).iter().copied().for_each(&mut f);
        match self.insts[inst].data {
            InstData::Const { .. }
            | InstData::VectorConst { .. }
            | InstData::MemorySize { .. }
            | InstData::TableSize { .. }
            | InstData::GlobalGet { .. }
            | InstData::FrameGet { .. }
            | InstData::LandingPad { .. }
            | InstData::Fence
            | InstData::Trap { .. } => {}
            InstData::Unary { arg: v, .. }
            | InstData::BoundsCheck { addr: v, .. }
            | InstData::Load { addr: v, .. }
            | InstData::GlobalSet { value: v, .. }
            | InstData::FrameSet { value: v, .. }
            | InstData::TrapIf { cond: v, .. } => f(v),
            InstData::Binary { args, .. }
            | InstData::Compare { args, .. }
            | InstData::Store { args, .. }
            | InstData::Shuffle { args, .. } => args.into_iter().for_each(f),
            InstData::Vector { op, args, .. } => args.into_iter().take(op.arity()).for_each(f),
            InstData::Select { cond, args } => [cond, args[0], args[1]].into_iter().for_each(f),
            InstData::Call { args, .. }
            | InstData::CallIndirect { args, .. }
            | InstData::CallRef { args, .. }
            | InstData::CallLibrary { args, .. }
            | InstData::Atomic { args, .. }
            | InstData::ReturnCall { args, .. }
            | InstData::ReturnCallIndirect { args, .. }
            | InstData::Throw { args, .. }
            | InstData::ReturnCallRef { args, .. }
            | InstData::Return { args } => list(args),
            InstData::Jump { to } => list(to.args),
            InstData::Branch { cond, to } => {
                list(to[0].args);
                list(to[1].args);
                f(cond);
            }
            InstData::Switch { index, targets } => {
                self.switches[targets as usize]
                    .iter()
                    .for_each(|to| list(to.args));
                f(index);
            }
            InstData::Catch { to, handlers } => {
                list(to.args);
                self.handlers[handlers as usize]
                    .iter()
                    .for_each(|to| list(to.args));
            }
        }
    }

    /// Replaces each value that an instruction uses, branch arguments included.
    pub fn map_uses(&mut self, inst: Inst, mut f: impl FnMut(Value) -> Value) {
        let mut data = self.insts[inst].data;
        let mut lists: [ValueList; 2] = Default::default();
        match &mut data {
            InstData::Const { .. }
            | InstData::VectorConst { .. }
            | InstData::MemorySize { .. }
            | InstData::TableSize { .. }
            | InstData::GlobalGet { .. }
            | InstData::FrameGet { .. }
            | InstData::LandingPad { .. }
            | InstData::Fence
            | InstData::Trap { .. } => {}
            InstData::Unary { arg: v, .. }
            | InstData::BoundsCheck { addr: v, .. }
            | InstData::Load { addr: v, .. }
            | InstData::GlobalSet { value: v, .. }
            | InstData::FrameSet { value: v, .. }
            | InstData::TrapIf { cond: v, .. } => *v = f(*v),
            InstData::Binary { args, .. }
            | InstData::Compare { args, .. }
            | InstData::Store { args, .. }
            | InstData::Shuffle { args, .. } => args.iter_mut().for_each(|v| *v = f(*v)),
            InstData::Vector { op, args, .. } => {
                let arity = op.arity();
                args[..arity].iter_mut().for_each(|v| *v = f(*v));
                let first = args[0];
                args[arity..].fill(first);
            }
            InstData::Select { cond, args } => {
                *cond = f(*cond);
                args.iter_mut().for_each(|v| *v = f(*v));
            }
            InstData::Call { args, .. }
            | InstData::CallIndirect { args, .. }
            | InstData::CallRef { args, .. }
            | InstData::CallLibrary { args, .. }
            | InstData::Atomic { args, .. }
            | InstData::ReturnCall { args, .. }
            | InstData::ReturnCallIndirect { args, .. }
            | InstData::Throw { args, .. }
            | InstData::ReturnCallRef { args, .. }
            | InstData::Return { args } => lists[0] = *args,
            InstData::Jump { to } => lists[0] = to.args,
            InstData::Branch { cond, to } => {
                *cond = f(*cond);
                lists = [to[0].args, to[1].args];
            }
            InstData::Switch { index, targets } => {
                *index = f(*index);
                for to in self.switches[*targets as usize].clone() {
                    self.list_mut(to.args).iter_mut().for_each(|v| *v = f(*v));
                }
            }
            InstData::Catch { to, handlers } => {
                lists[0] = to.args;
                for to in self.handlers[*handlers as usize].clone() {
                    self.list_mut(to.args).iter_mut().for_each(|v| *v = f(*v));
                }
            }
        }
        for list in lists {
            self.list_mut(list).iter_mut().for_each(|v| *v = f(*v));
        }
        self.insts[inst].data = data;
    }

    /// Calls `f` with each branch target of a terminator, in order.
    pub fn for_each_target(&self, inst: Inst, mut f: impl FnMut(BlockCall)) {
        match self.insts[inst].data {
            InstData::Jump { to } => f(to),
            InstData::Branch { to, .. } => to.into_iter().for_each(f),
            InstData::Switch { targets, .. } => self.switches[targets as usize].iter().copied().for_each(f),
            InstData::Catch { to, handlers } => {
                f(to);
                self.handlers[handlers as usize].iter().copied().for_each(f);
            }
            _ => {}
        }
    }
}

/// Appends instructions to a block of a function.
#[derive(Debug)]
pub struct FuncBuilder<'f> {
    /// The function that is built.
    pub func: &'f mut Func,
    /// The block that instructions are appended to.
    pub block: Block,
    /// Source offset of what comes next.
    pub source: u32,
}

impl FuncBuilder<'_> {
    /// Appends an instruction with results of these types.
    pub fn push(&mut self, data: InstData, results: &[Type]) -> Inst {
        let inst = self.func.make_inst(data, results, self.source);
        self.func.blocks[self.block].insts.push(inst);
        inst
    }

    /// Appends an instruction with one result.
    pub fn value(&mut self, data: InstData, ty: Type) -> Value {
        let inst = self.push(data, &[ty]);
        self.func.result(inst)
    }

    /// A constant.
    pub fn constant(&mut self, ty: Type, bits: u64) -> Value {
        self.value(InstData::Const { bits }, ty)
    }

    /// An operator of one operand.
    pub fn unary(&mut self, op: UnaryOp, to: Type, arg: Value) -> Value {
        debug_assert!(op.accepts(self.func.ty(arg), to));
        self.value(InstData::Unary { op, arg }, to)
    }

    /// An operator of two operands.
    pub fn binary(&mut self, op: BinaryOp, x: Value, y: Value) -> Value {
        let ty = self.func.ty(x);
        debug_assert!(op.accepts(ty) && self.func.ty(y) == ty);
        self.value(InstData::Binary { op, args: [x, y] }, ty)
    }

    /// A comparison.
    pub fn compare(&mut self, op: CompareOp, x: Value, y: Value) -> Value {
        debug_assert!(op.accepts(self.func.ty(x)) && self.func.ty(x) == self.func.ty(y));
        self.value(InstData::Compare { op, args: [x, y] }, Type::I32)
    }

    /// A constant vector.
    pub fn vector_constant(&mut self, bits: u128) -> Value {
        let bytes = bits.to_le_bytes();
        self.value(InstData::VectorConst { bytes }, Type::V128)
    }

    /// An operator on vectors that names no lane.
    ///
    /// # Panics
    /// If there is no operand, or there are more than three.
    pub fn vector(&mut self, op: VectorOp, operands: &[Value]) -> Value {
        self.vector_lane(op, 0, operands)
    }

    /// An operator on vectors.
    ///
    /// # Panics
    /// If there is no operand, or there are more than three.
    pub fn vector_lane(&mut self, op: VectorOp, lane: u8, operands: &[Value]) -> Value {
        let mut args = [operands[0]; 3];
        args[..operands.len()].copy_from_slice(operands);
        let types = operands.iter().map(|&v| self.func.ty(v));
        debug_assert!(types.eq(op.form().operands().iter().copied()));
        self.value(InstData::Vector { op, lane, args }, op.form().result())
    }
}
