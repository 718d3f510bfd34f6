//! Assembles hand-written functions into an artifact whose tables agree with the code, unless a
//! test says otherwise.
//!
//! The module: function 0 is imported, 1 is the function under test, 2 has type 1 and returns its
//! argument. Memory 0 is imported, 1 is owned. Table 0 is imported, 1 private with exactly ten
//! elements, 2 exported and growable. Globals: see [`shape`].

use cellwall_abi::artifact::{FUNC_ALIGN, PADDING};
use cellwall_abi::shape::{
    ConstExpr, ConstOp, Export, GlobalShape, Import, Item, MemoryShape, Shape, TableShape,
};
use cellwall_abi::{
    Artifact, CallSite, ContextLayout, CpuFeatures, FuncRange, JumpTable, Signature, Target, TrapCode,
    TrapSite, UnwindRow, ValType,
};
use cellwall_base::{FuncIdx, GlobalIdx, MemoryIdx, TableIdx, TypeIdx};
use cellwall_verify::{Rule, Violation, check_function, verify};
use iced_x86::code_asm::{CodeAssembler, CodeLabel};
use iced_x86::{BlockEncoderOptions, Code, Instruction, MemoryOperand, Register};

pub(crate) const NOTHING: u32 = 0;
pub(crate) const I32_TO_I32: u32 = 1;
pub(crate) const I64_TO_I64: u32 = 2;
pub(crate) const MANY: u32 = 3;
pub(crate) const MANY_RESULTS: u32 = 4;
pub(crate) const FLOAT: u32 = 5;
pub(crate) const FLOAT_32: u32 = 6;
pub(crate) const FLOAT_64: u32 = 7;
pub(crate) const VECTOR: u32 = 8;
pub(crate) const VECTORS: u32 = 9;
pub(crate) const MOST_RESULTS: u32 = 10;

use ValType::{F32, F64, FuncRef, I32, I64, V128};

/// The shape of the sample module; `ty` is the type of the function under test.
pub(crate) fn shape(ty: u32) -> Shape {
    let mut shape = Shape::default();
    let types: [(&[ValType], &[ValType]); 11] = [
        (&[], &[]),
        (&[I32], &[I32]),
        (&[I64], &[I64]),
        (&[I32; 8], &[]),
        (&[], &[I64; 6]),
        (&[F64], &[F64]),
        (&[F32, I32], &[F32]),
        (&[F64, I32], &[F64]),
        (&[V128, I32], &[V128]),
        (&[V128], &[V128; 5]),
        (&[], &[I64; 1000]),
    ];
    for (params, results) in types {
        let ty = shape.types.push(Signature {
            params: params.into(),
            results: results.into(),
        });
        shape.canonical_types.push(ty);
    }
    shape.imported_funcs = 1;
    for ty in [I32_TO_I32, ty, I32_TO_I32] {
        shape.funcs.push(TypeIdx::from_u32(ty));
    }
    for imported in [true, false] {
        shape.memories.push(MemoryShape {
            imported,
            is_64: false,
            shared: false,
            page_shift: 16,
            min_pages: 1,
            max_pages: None,
        });
    }
    for (imported, private, min, max) in [
        (true, false, 3, None),
        (false, true, 10, Some(10)),
        (false, false, 3, None),
    ] {
        shape.tables.push(TableShape {
            imported,
            private,
            element: FuncRef,
            is_64: false,
            exact: cellwall_base::types::RefType::FUNCREF,
            min,
            max,
            init: None,
        });
    }
    for (imported, ty, mutable) in [
        (true, I64, true),
        (false, I32, true),
        (false, I64, false),
        (false, F64, true),
        (false, V128, true),
    ] {
        let init = match (imported, ty) {
            (true, _) => None,
            (_, I32) => Some(ConstExpr(vec![ConstOp::I32(1)])),
            (_, I64) => Some(ConstExpr(vec![ConstOp::I64(1)])),
            (_, V128) => Some(ConstExpr(vec![ConstOp::V128(0)])),
            _ => Some(ConstExpr(vec![ConstOp::F64(0)])),
        };
        shape.globals.push(GlobalShape {
            imported,
            ty,
            exact: None,
            mutable,
            init,
        });
    }
    for item in [
        Item::Func(FuncIdx::from_u32(0)),
        Item::Memory(MemoryIdx::from_u32(0)),
        Item::Table(TableIdx::from_u32(0)),
        Item::Global(GlobalIdx::from_u32(0)),
    ] {
        shape.imports.push(Import {
            module: "m".into(),
            name: "n".into(),
            item,
        });
    }
    shape.exports.push(Export {
        name: "table".into(),
        item: Item::Table(TableIdx::from_u32(2)),
    });
    shape
}

/// Offsets of the sample module's context.
pub(crate) struct At;

impl At {
    fn layout() -> ContextLayout {
        ContextLayout::new(&shape(0))
    }
    pub(crate) fn memory(i: u32) -> i32 {
        Self::layout().memory(MemoryIdx::from_u32(i)) as i32
    }
    pub(crate) fn table(i: u32) -> i32 {
        Self::layout().table(TableIdx::from_u32(i)) as i32
    }
    pub(crate) fn global(i: u32) -> i32 {
        Self::layout().global(GlobalIdx::from_u32(i)) as i32
    }
    pub(crate) fn signature(i: u32) -> i32 {
        Self::layout().signature(TypeIdx::from_u32(i)) as i32
    }
    pub(crate) fn import() -> i32 {
        Self::layout().import_entry(FuncIdx::from_u32(0)) as i32
    }
}

/// A function being written.
pub(crate) struct Fun {
    pub(crate) a: CodeAssembler,
    traps: Vec<(usize, TrapCode)>,
    heads: Vec<usize>,
    frames: Vec<(usize, u32)>,
    /// Jump tables: instruction numbers of the targets.
    pub(crate) tables: Vec<Vec<usize>>,
    /// Constants, placed behind the jump tables.
    pub(crate) rodata: Vec<u8>,
    /// Where they lie in the image: behind the pages of the text.
    pub(crate) rodata_at: u32,
    pub(crate) features: CpuFeatures,
    pub(crate) target: Target,
    /// Whether the memories have 64-bit indexes.
    pub(crate) memory64: bool,
    /// Whether other threads may use the own memory.
    pub(crate) shared: bool,
}

impl Fun {
    fn new() -> Self {
        Self {
            a: CodeAssembler::new(64).expect("64 bits are supported"),
            traps: vec![],
            heads: vec![],
            frames: vec![(0, 0)],
            tables: vec![],
            rodata: vec![],
            rodata_at: 4096,
            features: CpuFeatures {
                popcnt: true,
                lzcnt: true,
                bmi1: true,
                bmi2: true,
                ..CpuFeatures::default()
            },
            target: Target::new(CpuFeatures::default()),
            memory64: false,
            shared: false,
        }
    }

    /// The number of the next instruction.
    pub(crate) fn here(&self) -> usize {
        self.a.instructions().len()
    }

    /// The next instruction can fault with this code.
    pub(crate) fn site(&mut self, code: TrapCode) -> &mut CodeAssembler {
        let here = self.here();
        self.traps.push((here, code));
        &mut self.a
    }

    /// The next instruction accesses memory.
    pub(crate) fn access(&mut self) -> &mut CodeAssembler {
        self.site(TrapCode::MemoryOutOfBounds)
    }

    /// From the next instruction on, the frame has this many bytes.
    pub(crate) fn frame(&mut self, bytes: u32) {
        let here = self.here();
        self.frames.push((here, bytes));
    }

    /// A block starts here.
    pub(crate) fn head(&mut self) {
        let here = self.here();
        self.heads.push(here);
    }

    /// A block starts here, at this label.
    pub(crate) fn bind(&mut self, label: &mut CodeLabel) {
        self.head();
        self.a.set_label(label).expect("a label is bound once");
    }

    /// `ud2` with this code, at this label.
    pub(crate) fn trap(&mut self, label: &mut CodeLabel, code: TrapCode) {
        self.bind(label);
        self.site(code).ud2().expect("ud2 encodes");
    }

    /// An instruction with an operand in the constants: a byte offset from their first byte.
    pub(crate) fn rodata_operand(&mut self, code: Code, register: Register, offset: i64) {
        let operand = MemoryOperand::with_base_displ(Register::RIP, i64::from(self.rodata_at) + offset);
        let instruction = Instruction::with2(code, register, operand).expect("a register and memory");
        self.a
            .add_instruction(instruction)
            .expect("the instruction encodes");
    }
}

/// Appends a function to an artifact.
fn append(artifact: &mut Artifact, func: u32, mut fun: Fun) {
    let start = artifact.text.len() as u32;
    let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
    let calls: Vec<bool> = (fun.a.instructions().iter())
        .map(|i| i.is_call_near() || i.is_call_near_indirect())
        .collect();
    let assembled = fun
        .a
        .assemble_options(start.into(), options)
        .expect("the snippet assembles");
    let code = &assembled.inner.code_buffer;
    let mut pcs: Vec<u32> = assembled
        .inner
        .new_instruction_offsets
        .iter()
        .map(|&offset| start + offset)
        .collect();
    pcs.push(start + code.len() as u32);
    let func = FuncIdx::from_u32(func);
    artifact.funcs.push(FuncRange {
        func,
        start,
        len: code.len() as u32,
    });
    let site = |&(at, code): &(usize, TrapCode)| TrapSite {
        pc: pcs[at],
        code,
        wasm_offset: 0,
    };
    artifact.traps.extend(fun.traps.iter().map(site));
    for at in calls
        .iter()
        .enumerate()
        .filter(|&(_, &call)| call)
        .map(|(at, _)| at)
    {
        artifact.calls.push(CallSite {
            return_pc: pcs[at + 1],
            wasm_offset: 0,
        });
    }
    fun.frames.dedup_by(|next, last| {
        next.0 == last.0 && {
            last.1 = next.1;
            true
        }
    });
    for &(at, frame_bytes) in &fun.frames {
        artifact.unwind.push(UnwindRow {
            pc: pcs[at],
            frame_bytes,
        });
    }
    fun.heads.dedup();
    artifact.heads.extend(fun.heads.iter().map(|&at| pcs[at]));
    for table in &fun.tables {
        let offset = artifact.rodata.len() as u32;
        for &target in table {
            let distance = pcs[target] as i32 - (fun.rodata_at + offset) as i32;
            artifact.rodata.to_mut().extend(distance.to_le_bytes());
        }
        let len = table.len() as u32;
        artifact.jump_tables.push(JumpTable { offset, len, func });
    }
    artifact.rodata.to_mut().extend(&fun.rodata);
    artifact.text.to_mut().extend(code);
    let end = artifact.text.len().next_multiple_of(FUNC_ALIGN as usize);
    artifact.text.to_mut().resize(end, PADDING);
}

/// An artifact with this function under test, of type `ty`.
pub(crate) fn artifact(ty: u32, build: impl FnOnce(&mut Fun)) -> Artifact {
    let mut fun = Fun::new();
    build(&mut fun);
    let mut shape = shape(ty);
    for memory in shape.memories.ids() {
        shape.memories[memory].is_64 = fun.memory64;
    }
    if fun.shared {
        let own = &mut shape.memories[MemoryIdx::from_u32(1)];
        (own.shared, own.max_pages) = (true, Some(10));
    }
    let mut artifact = Artifact {
        target: Target {
            features: fun.features,
            ..fun.target
        },
        shape,
        text: Default::default(),
        rodata: Default::default(),
        funcs: vec![],
        jump_tables: vec![],
        traps: vec![],
        calls: vec![],
        pads: vec![],
        unwind: vec![],
        heads: vec![],
        inlined: vec![],
        inlined_sites: vec![],
        data: Default::default(),
        names: vec![],
    };
    append(&mut artifact, 1, fun);
    let end = artifact.text.len().max(CALLEE as usize);
    artifact.text.to_mut().resize(end, PADDING);
    let mut identity = Fun::new();
    use iced_x86::code_asm::*;
    identity.a.mov(eax, edi).expect("mov encodes");
    identity.a.ret().expect("ret encodes");
    append(&mut artifact, 2, identity);
    artifact
}

/// Where function 2 starts, unless the function under test is longer.
pub(crate) const CALLEE: u64 = 512;

/// The verifier's answer to a function under test.
pub(crate) fn answer(ty: u32, build: impl FnOnce(&mut Fun)) -> Result<(), Violation> {
    let artifact = artifact(ty, build);
    // Function by function, the answer is the same.
    let one_by_one = (0..artifact.funcs.len()).try_for_each(|index| check_function(&artifact, index));
    let answer = verify(artifact).map(|_| ());
    assert_eq!(answer, one_by_one);
    answer
}

/// The function must be accepted.
#[track_caller]
pub(crate) fn accept(ty: u32, build: impl FnOnce(&mut Fun)) {
    if let Err(violation) = answer(ty, build) {
        panic!("refused: {violation}");
    }
}

/// The function must be refused by this rule.
#[track_caller]
pub(crate) fn refuse(ty: u32, rule: Rule, build: impl FnOnce(&mut Fun)) {
    match answer(ty, build) {
        Ok(()) => panic!("accepted, but {rule:?} does not hold"),
        Err(violation) => assert_eq!(violation.rule, rule, "{violation}"),
    }
}
