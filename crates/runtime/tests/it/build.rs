//! Modules written in assembly, for tests of the runtime alone: the tables of an artifact are read
//! off the code, and the verifier accepts the result before it runs.

use cellwall_abi::artifact::{Artifact, FUNC_ALIGN, FuncRange, PADDING};
use cellwall_abi::blob::{CallSite, TrapSite, UnwindRow};
use cellwall_abi::shape::*;
use cellwall_abi::{ContextLayout, LibCall, Signature, TrapCode, ValType, context};
use cellwall_base::{FuncIdx, GlobalIdx, MemoryIdx, TableIdx, TypeIdx};
use cellwall_runtime::*;
use iced_x86::code_asm::*;
use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Body = Box<dyn Fn(&mut Env<'_>)>;

/// A module under construction.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) shape: Shape,
    pub(crate) data: Vec<u8>,
    bodies: Vec<(FuncIdx, Body)>,
    names: Vec<(FuncIdx, String)>,
}

/// What the body of a function is written with.
pub(crate) struct Env<'a> {
    pub(crate) a: CodeAssembler,
    pub(crate) layout: &'a ContextLayout,
    shape: &'a Shape,
    entries: &'a BTreeMap<FuncIdx, u64>,
    here: u64,
    traps: Vec<TrapCode>,
}

impl Env<'_> {
    /// `ud2` with a meaning.
    pub(crate) fn trap(&mut self, code: TrapCode) {
        self.traps.push(code);
        self.a.ud2().unwrap();
    }

    /// `sub rsp, 8`: a frame for calls.
    pub(crate) fn frame(&mut self, bytes: i32) {
        self.a.sub(rsp, bytes).unwrap();
    }

    /// `add rsp, N; ret`.
    pub(crate) fn leave(&mut self, bytes: i32) {
        self.a.add(rsp, bytes).unwrap();
        self.a.ret().unwrap();
    }

    /// Calls a function of the module: itself, one written before, or an imported one.
    pub(crate) fn call(&mut self, func: FuncIdx) {
        if self.shape.is_imported(func) {
            let entry = self.layout.import_entry(func) as i32;
            self.a.lea(r11, ptr(r15 + entry)).unwrap();
            self.a.call(qword_ptr(r15 + entry)).unwrap();
        } else {
            let entry = self.entries.get(&func).copied().unwrap_or(self.here);
            self.a.call(entry).unwrap();
        }
    }

    /// Calls the runtime.
    pub(crate) fn library(&mut self, call: LibCall) {
        let slot = context::library_offset(call) as i32;
        self.a.call(qword_ptr(r15 + slot)).unwrap();
    }

    /// `call_indirect` with the index in edi.
    pub(crate) fn call_indirect(&mut self, table: TableIdx, ty: TypeIdx) {
        let shape = &self.shape.tables[table];
        let at = self.layout.table(table) as i32;
        let (mut oob, mut sig, mut null) = (
            self.a.create_label(),
            self.a.create_label(),
            self.a.create_label(),
        );
        self.a.mov(r11d, edi).unwrap();
        if shape.imported {
            self.a.mov(r10, qword_ptr(r15 + at)).unwrap();
            self.a.cmp(r11, qword_ptr(r10 + 8)).unwrap();
            self.a.jae(oob).unwrap();
            self.a.shl(r11, 5).unwrap();
            self.a.add(r11, qword_ptr(r10)).unwrap();
        } else {
            self.a.cmp(r11, qword_ptr(r15 + at + 8)).unwrap();
            self.a.jae(oob).unwrap();
            self.a.shl(r11, 5).unwrap();
            self.a.add(r11, qword_ptr(r15 + at)).unwrap();
        }
        if shape.private {
            let number = self.shape.local_signature(ty) as i32;
            self.a.cmp(dword_ptr(r11 + 24), number).unwrap();
        } else {
            self.a
                .mov(r10d, dword_ptr(r15 + self.layout.signature(ty) as i32))
                .unwrap();
            self.a.cmp(dword_ptr(r11 + 24), r10d).unwrap();
        }
        self.a.jne(sig).unwrap();
        self.a.call(qword_ptr(r11)).unwrap();
        self.leave(8);
        self.a.set_label(&mut sig).unwrap();
        self.a.cmp(dword_ptr(r11 + 24), 0).unwrap();
        self.a.je(null).unwrap();
        self.trap(TrapCode::BadSignature);
        self.a.set_label(&mut null).unwrap();
        self.trap(TrapCode::IndirectCallToNull);
        self.a.set_label(&mut oob).unwrap();
        self.trap(TrapCode::TableOutOfBounds);
    }
}

impl Module {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn ty(&mut self, params: &[ValType], results: &[ValType]) -> TypeIdx {
        let signature = Signature {
            params: params.into(),
            results: results.into(),
        };
        let first = self
            .shape
            .types
            .iter()
            .find(|(_, s)| **s == signature)
            .map(|(ty, _)| ty);
        let ty = self.shape.types.push(signature);
        self.shape.canonical_types.push(first.unwrap_or(ty));
        ty
    }

    pub(crate) fn import(&mut self, name: &str, item: Item) {
        self.shape.imports.push(Import {
            module: "env".into(),
            name: name.into(),
            item,
        });
    }

    pub(crate) fn import_func(&mut self, name: &str, ty: TypeIdx) -> FuncIdx {
        let func = self.shape.funcs.push(ty);
        self.shape.imported_funcs += 1;
        self.import(name, Item::Func(func));
        func
    }

    pub(crate) fn func(&mut self, ty: TypeIdx, body: impl Fn(&mut Env<'_>) + 'static) -> FuncIdx {
        let func = self.shape.funcs.push(ty);
        self.bodies.push((func, Box::new(body)));
        func
    }

    /// A function with this name in backtraces and as an export.
    pub(crate) fn export_func(
        &mut self,
        name: &str,
        ty: TypeIdx,
        body: impl Fn(&mut Env<'_>) + 'static,
    ) -> FuncIdx {
        let func = self.func(ty, body);
        self.names.push((func, name.into()));
        self.export(name, Item::Func(func));
        func
    }

    pub(crate) fn export(&mut self, name: &str, item: Item) {
        self.shape.exports.push(Export {
            name: name.into(),
            item,
        });
    }

    pub(crate) fn memory(&mut self, min_pages: u64, max_pages: Option<u64>) -> MemoryIdx {
        self.shape.memories.push(MemoryShape {
            imported: false,
            is_64: false,
            shared: false,
            page_shift: 16,
            min_pages,
            max_pages,
        })
    }

    pub(crate) fn table(&mut self, private: bool, min: u64, max: Option<u64>) -> TableIdx {
        self.shape.tables.push(TableShape {
            imported: false,
            private,
            element: ValType::FuncRef,
            is_64: false,
            exact: cellwall_base::types::RefType::FUNCREF,
            min,
            max,
            init: None,
        })
    }

    pub(crate) fn elements(&mut self, table: TableIdx, at: i32, funcs: &[FuncIdx]) {
        self.shape.elements.push(ElementSegment {
            mode: ElementMode::Active(table, ConstExpr(vec![ConstOp::I32(at)])),
            element: ValType::FuncRef,
            items: ElementItems::Funcs(funcs.to_vec()),
        });
    }

    pub(crate) fn data(&mut self, at: Option<i32>, bytes: &[u8]) {
        let start = self.data.len() as u32;
        self.data.extend_from_slice(bytes);
        self.shape.data.push(DataSegment {
            active: at.map(|at| (MemoryIdx::from_u32(0), ConstExpr(vec![ConstOp::I32(at)]))),
            bytes: start..start + bytes.len() as u32,
        });
    }

    /// Assembles, verifies and maps.
    pub(crate) fn map(&self, engine: &Engine) -> Arc<Code> {
        let verified = cellwall_verify::verify(self.artifact(engine)).unwrap_or_else(|v| panic!("{v}"));
        Code::map(engine, verified).unwrap()
    }

    pub(crate) fn artifact(&self, engine: &Engine) -> Artifact {
        let layout = ContextLayout::new(&self.shape);
        let mut artifact = Artifact {
            target: *engine.target(),
            shape: self.shape.clone(),
            text: Default::default(),
            rodata: Default::default(),
            funcs: Vec::new(),
            jump_tables: Vec::new(),
            traps: Vec::new(),
            calls: Vec::new(),
            pads: Vec::new(),
            unwind: Vec::new(),
            heads: Vec::new(),
            inlined: Vec::new(),
            inlined_sites: Vec::new(),
            data: self.data.clone().into(),
            names: self.names.clone(),
        };
        let mut entries = BTreeMap::new();
        for (func, body) in &self.bodies {
            let start = artifact.text.len().next_multiple_of(FUNC_ALIGN as usize);
            artifact.text.to_mut().resize(start, PADDING);
            let mut env = Env {
                a: CodeAssembler::new(64).unwrap(),
                layout: &layout,
                shape: &self.shape,
                entries: &entries,
                here: start as u64,
                traps: Vec::new(),
            };
            body(&mut env);
            let code = env.a.assemble(start as u64).unwrap();
            let traps = env.traps;
            read_tables(&mut artifact, &code, start as u32, traps);
            artifact.funcs.push(FuncRange {
                func: *func,
                start: start as u32,
                len: code.len() as u32,
            });
            artifact.text.to_mut().extend_from_slice(&code);
            entries.insert(*func, start as u64);
        }
        artifact
    }
}

/// Reads trap sites, calls, frame sizes and block heads off the code of a function.
fn read_tables(artifact: &mut Artifact, code: &[u8], start: u32, traps: Vec<TrapCode>) {
    let mut traps = traps.into_iter();
    let mut heads = BTreeSet::new();
    let mut frame = 0;
    artifact.unwind.push(UnwindRow {
        pc: start,
        frame_bytes: 0,
    });
    let row = |artifact: &mut Artifact, pc: u32, frame_bytes: u32| {
        if pc < start + code.len() as u32 {
            artifact.unwind.push(UnwindRow { pc, frame_bytes });
        }
    };
    for instruction in Decoder::with_ip(64, code, u64::from(start), DecoderOptions::NONE).iter() {
        let (pc, next) = (instruction.ip() as u32, instruction.next_ip() as u32);
        let mut site = |code| {
            artifact.traps.push(TrapSite {
                pc,
                code,
                wasm_offset: pc,
            });
        };
        match instruction.mnemonic() {
            Mnemonic::Ud2 => site(traps.next().expect("every ud2 has a meaning")),
            _ if touches_memory(&instruction) => site(TrapCode::MemoryOutOfBounds),
            _ => {}
        }
        match instruction.mnemonic() {
            Mnemonic::Call => artifact.calls.push(CallSite {
                return_pc: next,
                wasm_offset: pc,
            }),
            Mnemonic::Sub if instruction.op0_register() == Register::RSP => {
                frame = instruction.immediate(1) as u32;
                row(artifact, next, frame);
            }
            Mnemonic::Add if instruction.op0_register() == Register::RSP => row(artifact, next, 0),
            Mnemonic::Ret if frame != 0 => row(artifact, next, frame),
            _ => {}
        }
        if matches!(instruction.op0_kind(), OpKind::NearBranch64) && instruction.mnemonic() != Mnemonic::Call
        {
            heads.insert(instruction.near_branch64() as u32);
        }
    }
    artifact.heads.extend(heads);
}

fn touches_memory(instruction: &Instruction) -> bool {
    let has_memory = (0..instruction.op_count()).any(|i| instruction.op_kind(i) == OpKind::Memory);
    has_memory && instruction.memory_base() == Register::R14
}

/// An engine with the defaults.
pub(crate) fn engine() -> Engine {
    Engine::new(EngineConfig::default()).unwrap()
}

/// The function that an instance exports.
pub(crate) fn func<T>(store: &Store<T>, instance: InstanceId, name: &str) -> FuncId {
    match store.export(instance, name) {
        Some(Extern::Func(func)) => func,
        other => panic!("{name}: {other:?}"),
    }
}

/// The memory that an instance exports.
pub(crate) fn memory<T>(store: &Store<T>, instance: InstanceId, name: &str) -> MemoryId {
    match store.export(instance, name) {
        Some(Extern::Memory(memory)) => memory,
        other => panic!("{name}: {other:?}"),
    }
}

/// Calls an exported function with types that are known here.
pub(crate) fn call<T, P: RawList, R: RawList>(
    store: &mut Store<T>,
    instance: InstanceId,
    name: &str,
    params: P,
) -> Result<R, Error> {
    let typed = store.typed::<P, R>(func(store, instance, name))?;
    store.call_typed(&typed, params)
}

/// The code of a trap.
#[track_caller]
pub(crate) fn trap_of<R: std::fmt::Debug>(result: Result<R, Error>) -> TrapCode {
    match result {
        Err(Error::Trap { code, .. }) => code,
        other => panic!("expected a trap, found {other:?}"),
    }
}

/// The names of the frames of an error, innermost first.
pub(crate) fn frames_of(error: &Error) -> Vec<&str> {
    let (Error::Trap { frames, .. } | Error::Host { frames, .. }) = error else {
        panic!("no frames: {error:?}");
    };
    frames
        .iter()
        .map(|frame| {
            frame
                .code
                .artifact()
                .name(frame.func)
                .expect("all functions of the tests have names")
        })
        .collect()
}

/// Ids by number, which the tests know.
pub(crate) fn global(index: u32) -> GlobalIdx {
    GlobalIdx::from_u32(index)
}
