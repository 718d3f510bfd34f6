//! The module as data.
//!
//! Guarantees: made by [`decode`](crate::decode) alone, so every index inside is in range and every
//! type agrees. Deliberately holds no code but the byte ranges of the bodies, which only
//! [`walk`](crate::walk()) reads.

use crate::Names;
use crate::hints::Hints;
use cellwall_base::EntityId;
use cellwall_base::types::{ExactTypes, Heap, RefType};
use cellwall_base::{
    DataIdx, ElemIdx, FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TagIdx, TypeIdx, limits,
};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use wasmparser::ValidatorResources;

/// A value type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
    /// 128-bit vector.
    V128,
    /// Function reference, of whichever exact type.
    FuncRef,
    /// Host reference, likewise.
    ExternRef,
    /// Nullable reference to an exception.
    ExnRef,
    /// Reference to a number of 31 bits, of whichever exact type.
    AnyRef,
}

impl ValType {
    /// The type that an immediate of a validated operator names.
    ///
    /// # Panics
    /// On types of features that [`decode`](crate::decode) refuses.
    pub fn of(ty: wasmparser::ValType) -> Self {
        match ty {
            wasmparser::ValType::I32 => Self::I32,
            wasmparser::ValType::I64 => Self::I64,
            wasmparser::ValType::F32 => Self::F32,
            wasmparser::ValType::F64 => Self::F64,
            wasmparser::ValType::Ref(r) => Self::of_ref(r),
            wasmparser::ValType::V128 => Self::V128,
        }
    }

    pub(crate) fn of_ref(ty: wasmparser::RefType) -> Self {
        Self::space(ty).unwrap_or_else(|| panic!("the validator refuses {ty}"))
    }

    /// `FuncRef`, `ExternRef`, `ExnRef` or `AnyRef`, by the space in which references of this type are numbered.
    fn space(ty: wasmparser::RefType) -> Option<Self> {
        Some(match exact_ref(ty)?.heap {
            Heap::Func | Heap::NoFunc | Heap::Type(_) => Self::FuncRef,
            Heap::Extern | Heap::NoExtern => Self::ExternRef,
            Heap::Exn | Heap::NoExn => Self::ExnRef,
            Heap::Any | Heap::Eq | Heap::I31 | Heap::None => Self::AnyRef,
        })
    }

    /// The type, if values of it are supported.
    pub(crate) fn supported(ty: wasmparser::ValType) -> Option<Self> {
        match ty {
            wasmparser::ValType::Ref(ty) => Self::space(ty),
            other => Some(Self::of(other)),
        }
    }
}

/// All that validation knows of a reference; `None` if references of this type are not supported.
pub(crate) fn exact_ref(ty: wasmparser::RefType) -> Option<RefType> {
    use wasmparser::{AbstractHeapType, HeapType, UnpackedIndex};
    let heap = match ty.heap_type() {
        HeapType::Abstract { shared: true, .. } => return None,
        HeapType::Abstract { ty, .. } => match ty {
            AbstractHeapType::Func => Heap::Func,
            AbstractHeapType::NoFunc => Heap::NoFunc,
            AbstractHeapType::Extern => Heap::Extern,
            AbstractHeapType::NoExtern => Heap::NoExtern,
            AbstractHeapType::Exn => Heap::Exn,
            AbstractHeapType::NoExn => Heap::NoExn,
            AbstractHeapType::Any => Heap::Any,
            AbstractHeapType::Eq => Heap::Eq,
            AbstractHeapType::I31 => Heap::I31,
            AbstractHeapType::None => Heap::None,
            _ => return None,
        },
        HeapType::Concrete(UnpackedIndex::Module(index)) => Heap::Type(TypeIdx::from_u32(index)),
        _ => return None,
    };
    let nullable = ty.is_nullable();
    Some(RefType { nullable, heap })
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::ExnRef => "exnref",
            Self::AnyRef => "anyref",
        })
    }
}

/// A function type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FuncType {
    /// Parameter types.
    pub params: Box<[ValType]>,
    /// Result types.
    pub results: Box<[ValType]>,
}

/// A linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Whether its indexes are 64-bit numbers.
    pub is_64: bool,
    /// Whether several threads may use it.
    pub shared: bool,
    /// log2 of the bytes in a page: 16 or, with custom page sizes, 0.
    pub page_shift: u8,
    /// Initial size in pages.
    pub min_pages: u64,
    /// Largest size in pages, if declared.
    pub max_pages: Option<u64>,
}

impl Memory {
    /// Whether its length is always a multiple of 64 KiB, so that its last byte ends a page of the
    /// machine.
    pub const fn has_whole_pages(&self) -> bool {
        self.page_shift == limits::PAGE_BYTES.trailing_zeros() as u8
    }
}

/// A table.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// Element type, a reference.
    pub element: ValType,
    /// Whether its indexes are 64-bit numbers.
    pub is_64: bool,
    /// The same exactly.
    pub exact: RefType,
    /// Initial number of elements.
    pub min: u64,
    /// Largest number of elements, if declared.
    pub max: Option<u64>,
    /// Initial value of the elements, if not null.
    pub init: Option<ConstExpr>,
}

/// A global.
#[derive(Clone, PartialEq, Debug)]
pub struct Global {
    /// Value type.
    pub ty: ValType,
    /// The same exactly, of a reference.
    pub exact: Option<RefType>,
    /// Whether it can be set.
    pub mutable: bool,
    /// Initial value; `None` exactly for imported ones.
    pub init: Option<ConstExpr>,
}

/// A tag: what a kind of exceptions is known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    /// The type whose parameters are the values of an exception; it has no results.
    pub ty: TypeIdx,
}

/// Something that can be imported or exported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// A function.
    Func(FuncIdx),
    /// A table.
    Table(TableIdx),
    /// A memory.
    Memory(MemoryIdx),
    /// A global.
    Global(GlobalIdx),
    /// A tag.
    Tag(TagIdx),
}

/// An import; its item is the next of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Import {
    /// Module name.
    pub module: String,
    /// Field name.
    pub name: String,
    /// What is imported.
    pub item: Item,
}

/// An export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Export {
    /// Name, unique in the module.
    pub name: String,
    /// What is exported.
    pub item: Item,
}

/// A constant expression (core specification 2.0, 3.3.10, with extended ones) in postfix order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ConstExpr(pub Vec<ConstOp>);

/// An operator of a constant expression.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum ConstOp {
    /// `i32.const`.
    I32(i32),
    /// `i64.const`.
    I64(i64),
    /// `f32.const`, as bits.
    F32(u32),
    /// `f64.const`, as bits.
    F64(u64),
    /// `v128.const`, lane 0 in the low bits.
    V128(u128),
    /// `global.get`.
    GlobalGet(GlobalIdx),
    /// `ref.null`.
    RefNull,
    /// `ref.func`.
    RefFunc(FuncIdx),
    /// `ref.i31`.
    RefI31,
    /// `i32.add`.
    I32Add,
    /// `i32.sub`.
    I32Sub,
    /// `i32.mul`.
    I32Mul,
    /// `i64.add`.
    I64Add,
    /// `i64.sub`.
    I64Sub,
    /// `i64.mul`.
    I64Mul,
}

/// A data segment.
#[derive(Clone, PartialEq, Debug)]
pub struct DataSegment {
    /// Where it is written at instantiation; `None` for a passive one.
    pub active: Option<(MemoryIdx, ConstExpr)>,
    /// Its bytes, as a range of the module's.
    pub bytes: Range<u32>,
}

/// What happens to an element segment at instantiation.
#[derive(Clone, PartialEq, Debug)]
pub enum ElementMode {
    /// Written to a table.
    Active(TableIdx, ConstExpr),
    /// Kept for `table.init`.
    Passive,
    /// Only declares functions for `ref.func`.
    Declared,
}

/// An element segment.
#[derive(Clone, PartialEq, Debug)]
pub struct ElementSegment {
    /// What happens to it at instantiation.
    pub mode: ElementMode,
    /// Element type.
    pub element: ValType,
    /// The elements.
    pub items: ElementItems,
}

/// The elements of a segment.
#[derive(Clone, PartialEq, Debug)]
pub enum ElementItems {
    /// Functions of the module (the common case).
    Funcs(Vec<FuncIdx>),
    /// Constant expressions.
    Exprs(Vec<ConstExpr>),
}

/// A custom section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CustomSection {
    /// Its name.
    pub name: String,
    /// Its contents, as a range of the module's bytes.
    pub bytes: Range<u32>,
}

/// A decoded module whose sections, apart from the bodies, are valid.
#[derive(Debug, Default)]
pub struct Module {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) types: IdMap<TypeIdx, FuncType>,
    pub(crate) exact_types: ExactTypes,
    pub(crate) canonical_types: IdMap<TypeIdx, TypeIdx>,
    pub(crate) funcs: IdMap<FuncIdx, TypeIdx>,
    pub(crate) tables: IdMap<TableIdx, Table>,
    pub(crate) memories: IdMap<MemoryIdx, Memory>,
    pub(crate) globals: IdMap<GlobalIdx, Global>,
    pub(crate) tags: IdMap<TagIdx, Tag>,
    pub(crate) imported: ImportedCounts,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    pub(crate) data: IdMap<DataIdx, DataSegment>,
    pub(crate) elements: IdMap<ElemIdx, ElementSegment>,
    pub(crate) start: Option<FuncIdx>,
    pub(crate) bodies: Vec<Range<u32>>,
    pub(crate) custom: Vec<CustomSection>,
    pub(crate) name: Option<Range<u32>>,
    pub(crate) func_names: Names,
    pub(crate) hints: Hints,
    pub(crate) code: Range<u32>,
    /// What the validator of bodies needs; present if there is a body.
    pub(crate) resources: Option<ValidatorResources>,
}

/// How many of each kind are imported.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ImportedCounts {
    pub(crate) funcs: u32,
    pub(crate) tables: u32,
    pub(crate) memories: u32,
    pub(crate) globals: u32,
    pub(crate) tags: u32,
}

impl Module {
    /// The module's bytes.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Function types.
    pub fn types(&self) -> &IdMap<TypeIdx, FuncType> {
        &self.types
    }

    /// Function types with all that makes them equal or not.
    pub fn exact_types(&self) -> &ExactTypes {
        &self.exact_types
    }

    /// For each type, the first one of the module that is equal.
    pub fn canonical_types(&self) -> &IdMap<TypeIdx, TypeIdx> {
        &self.canonical_types
    }

    /// Whether a function type is another one or below it.
    ///
    /// # Panics
    /// If one is out of range.
    pub fn is_subtype(&self, mut ty: TypeIdx, of: TypeIdx) -> bool {
        // Ends: what is above a type comes before it.
        while self.canonical_types[ty] != self.canonical_types[of] {
            match self.exact_types[ty].supertype {
                Some(above) => ty = above,
                None => return false,
            }
        }
        true
    }

    /// The type of each function, imported ones first.
    pub fn funcs(&self) -> &IdMap<FuncIdx, TypeIdx> {
        &self.funcs
    }

    /// The type of a function.
    ///
    /// # Panics
    /// If `func` is out of range.
    pub fn func_type(&self, func: FuncIdx) -> &FuncType {
        &self.types[self.funcs[func]]
    }

    /// How many functions are imported.
    pub fn imported_funcs(&self) -> u32 {
        self.imported.funcs
    }

    /// The functions that have a body, in order.
    pub fn defined_funcs(&self) -> impl ExactSizeIterator<Item = FuncIdx> + use<> {
        let (from, count) = (self.imported.funcs as usize, self.bodies.len());
        (0..count).map(move |i| FuncIdx::new(from + i))
    }

    /// Tables, imported ones first.
    pub fn tables(&self) -> &IdMap<TableIdx, Table> {
        &self.tables
    }

    /// Whether a table is imported.
    pub fn is_table_imported(&self, table: TableIdx) -> bool {
        table.as_u32() < self.imported.tables
    }

    /// Memories, imported ones first.
    pub fn memories(&self) -> &IdMap<MemoryIdx, Memory> {
        &self.memories
    }

    /// Whether a memory is imported.
    pub fn is_memory_imported(&self, memory: MemoryIdx) -> bool {
        memory.as_u32() < self.imported.memories
    }

    /// Globals, imported ones first.
    pub fn globals(&self) -> &IdMap<GlobalIdx, Global> {
        &self.globals
    }

    /// Whether a global is imported.
    pub fn is_global_imported(&self, global: GlobalIdx) -> bool {
        global.as_u32() < self.imported.globals
    }

    /// Tags, imported ones first.
    pub fn tags(&self) -> &IdMap<TagIdx, Tag> {
        &self.tags
    }

    /// Whether a tag is imported.
    pub fn is_tag_imported(&self, tag: TagIdx) -> bool {
        tag.as_u32() < self.imported.tags
    }

    /// The types of the values of an exception with a tag.
    ///
    /// # Panics
    /// If `tag` is out of range.
    pub fn tag_values(&self, tag: TagIdx) -> &[ValType] {
        &self.types[self.tags[tag].ty].params
    }

    /// Imports in order.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Exports in order.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// Data segments.
    pub fn data(&self) -> &IdMap<DataIdx, DataSegment> {
        &self.data
    }

    /// Element segments.
    pub fn elements(&self) -> &IdMap<ElemIdx, ElementSegment> {
        &self.elements
    }

    /// The start function.
    pub fn start(&self) -> Option<FuncIdx> {
        self.start
    }

    /// The bytes of a function's body (locals and operators); `None` if it is imported or out of
    /// range.
    pub fn body(&self, func: FuncIdx) -> Option<Range<u32>> {
        let defined = func.as_u32().checked_sub(self.imported.funcs)?;
        self.bodies.get(defined as usize).cloned()
    }

    /// Whether the branch at an offset of the module (`br_if` or `if`, in this function) is likely to
    /// be taken, by the custom section of branch hints; `None` without a hint.
    pub fn branch_hint(&self, func: FuncIdx, offset: u32) -> Option<bool> {
        if self.hints.is_empty() {
            return None;
        }
        self.hints.at(func, offset.checked_sub(self.body(func)?.start)?)
    }

    /// The contents of the code section, to whose start the program counters of DWARF refer; empty
    /// without one.
    pub fn code_section(&self) -> Range<u32> {
        self.code.clone()
    }

    /// Custom sections in order.
    pub fn custom_sections(&self) -> &[CustomSection] {
        &self.custom
    }

    /// The module's name, from the name section.
    pub fn name(&self) -> Option<&str> {
        self.text(self.name.as_ref()?)
    }

    /// A function's name, from the name section.
    pub fn func_name(&self, func: FuncIdx) -> Option<&str> {
        let range = self.func_names.get(func)?;
        self.text(range)
    }

    fn text(&self, range: &Range<u32>) -> Option<&str> {
        let bytes = self.bytes.get(range.start as usize..range.end as usize)?;
        std::str::from_utf8(bytes).ok().filter(|name| !name.is_empty())
    }
}
