//! The layout of the instance context: the memory that the pinned context register points to.
//!
//! Only this file knows an offset of it. Compiler and runtime ask [`ContextLayout`]; the verifier
//! asks [`ContextLayout::field_at`], which says for an offset what lies there and what guest code
//! may do with it.
//!
//! ```text
//! header    store, block, base of memory 0, stub of calls by reference, library slots, entries of calls by reference
//! sigs      one u32 per type: the engine-wide signature number, never 0
//! imports   one function entry per imported function
//! memories  16 bytes each: owned { base, length }, imported or shared { base, pointer to { base, length } }
//! tables    16 bytes each: owned { base, length }, imported { pointer to { base, length }, 0 }
//! globals   16 bytes each: owned the value, imported { pointer to the value, 0 }
//! tags      one function entry each: what is called to throw an exception with the tag
//! ```

use crate::library::LibCall;
use crate::shape::Shape;
use crate::types::ValType;
use cellwall_base::{FuncIdx, GlobalIdx, MemoryIdx, TableIdx, TagIdx, TypeIdx};

/// Offset of the pointer to the store; the host's alone.
pub const STORE: u32 = 0;
/// Offset of the pointer to the store's block.
pub const BLOCK: u32 = 8;
/// Offset of the base of memory 0, from which the stubs load the pinned base.
pub const BASE: u32 = 16;
/// Offset of the number of the instance in its store (32 bits); the host's alone.
pub const INSTANCE: u32 = 24;
/// Offset of the mark of an instance that must not be entered again (32 bits); the host's alone.
pub const POISON: u32 = 28;
/// Offset of the stub that calls the function of a reference.
pub const CALL_REF: u32 = 32;
/// Offset of the first library slot.
pub const LIBRARY: u32 = 40;

/// Offset of the slot of a library call: the address of its stub.
pub const fn library_offset(call: LibCall) -> u32 {
    LIBRARY + 8 * call as u32
}

/// Offset of the address of the entries of calls by reference: [`CALLABLE_ENTRIES`] function entries, of
/// functions that were called so lately, the one of a reference at its remainder. Each has the engine-wide
/// number of the type as which it was called.
pub const CALLABLE: u32 = LIBRARY + 8 * LibCall::COUNT as u32;

/// How many entries of calls by reference there are; a power of two.
pub const CALLABLE_ENTRIES: u32 = 1024;

/// End of the fixed part.
pub const HEADER_BYTES: u32 = (CALLABLE + 8).next_multiple_of(16);

/// Function entries: what imports and table elements are made of. Written by the runtime alone.
pub mod func_entry {
    /// Size of an entry in bytes; entries are 8-byte aligned.
    pub const BYTES: u32 = 32;
    /// log2 of the size.
    pub const SHIFT: u8 = 5;
    /// The address to call, with the address of the entry in the entry register: the function
    /// itself if it belongs to the instance or needs none, otherwise the foreign or the host stub.
    pub const CALL: u32 = 0;
    /// For stubs: the function's own code, or the host function.
    pub const CODE: u32 = 8;
    /// For stubs: the context that the code belongs to, or the host function's environment.
    pub const CONTEXT: u32 = 16;
    /// Signature number (32 bits): module-local
    /// ([`Shape::local_signature`](crate::shape::Shape::local_signature)) in private tables,
    /// engine-wide elsewhere; [`NULL_SIGNATURE`] if the entry is null, [`FOREIGN_SIGNATURE`] if the
    /// type of the function has no number of that kind.
    pub const SIGNATURE: u32 = 24;
    /// The reference to this function (32 bits); 0 if the entry is null.
    pub const REFERENCE: u32 = 28;
    /// Signature number that no function has: those of functions start at 1. It is 0, so that all
    /// bytes of a null entry are: fresh pages are null entries, and cost nothing until used.
    pub const NULL_SIGNATURE: u32 = 0;
    /// Signature number, in a private table, of functions whose type the module does not have; no
    /// type has it.
    pub const FOREIGN_SIGNATURE: u32 = u32::MAX;
}

/// What `{ base, length }` pairs (memory and table definitions) are made of.
pub mod definition {
    /// Address of the first byte or entry.
    pub const BASE: u32 = 0;
    /// Current length: bytes of a memory, elements of a table (64 bits).
    pub const LENGTH: u32 = 8;
    /// Size of the pair in bytes.
    pub const BYTES: u32 = 16;
}

/// What lies at an offset of the context, and what guest code may do with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FieldKind {
    /// Not for guest code.
    Host,
    /// Address of the store's block; load only.
    BlockPointer,
    /// Base of a memory; load only.
    MemoryBase(MemoryIdx),
    /// Length of an owned memory that is not shared, in bytes; load only.
    MemoryLength(MemoryIdx),
    /// Address of the definition of an imported or shared memory; load only.
    MemoryDefinition(MemoryIdx),
    /// Base of an owned table; load only.
    TableBase(TableIdx),
    /// Length of an owned table in elements; load only.
    TableLength(TableIdx),
    /// Address of the definition of an imported table; load only.
    TableDefinition(TableIdx),
    /// Value of an owned global; a store only if it is mutable.
    Global(GlobalIdx),
    /// Address of an imported global; load only.
    GlobalPointer(GlobalIdx),
    /// Engine-wide signature number of a type (32 bits); load only.
    Signature(TypeIdx),
    /// Stub that calls the function of a reference, if it has the type whose number is in the scratch
    /// register (or one below it); only as the target of a call.
    CallRef,
    /// Address of the entries of calls by reference; only to be added to a scaled index.
    Callable,
    /// Stub of a library call; only as the target of a call.
    Library(LibCall),
    /// The start of the entry of an imported function; its first field only as the target of a
    /// call, its address only in the entry register.
    ImportEntry(FuncIdx),
    /// The start of the entry of a tag: a function with the tag's type that throws and does not
    /// return. Used as an [`ImportEntry`](Self::ImportEntry) is.
    TagEntry(TagIdx),
}

/// A field of the context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Offset in bytes.
    pub offset: u32,
    /// Size in bytes.
    pub bytes: u32,
    /// What it is.
    pub kind: FieldKind,
}

/// The offsets of one module's context.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextLayout {
    signatures: u32,
    imports: u32,
    memories: u32,
    tables: u32,
    globals: u32,
    tags: u32,
    end: u32,
    memory_elsewhere: Vec<bool>,
    table_imported: Vec<bool>,
    globals_shape: Vec<(bool, ValType)>,
    types: u32,
    imported_funcs: u32,
}

impl ContextLayout {
    /// The layout of the context of an instance of this shape.
    pub fn new(shape: &Shape) -> Self {
        let types = shape.types.len() as u32;
        let signatures = HEADER_BYTES;
        let imports = (signatures + 4 * types).next_multiple_of(16);
        let memories = imports + func_entry::BYTES * shape.imported_funcs;
        let tables = memories + definition::BYTES * shape.memories.len() as u32;
        let globals = tables + definition::BYTES * shape.tables.len() as u32;
        let tags = globals + 16 * shape.globals.len() as u32;
        Self {
            signatures,
            imports,
            memories,
            tables,
            globals,
            tags,
            end: tags + func_entry::BYTES * shape.tags.len() as u32,
            memory_elsewhere: shape.memories.values().map(|m| m.is_elsewhere()).collect(),
            table_imported: shape.tables.values().map(|t| t.imported).collect(),
            globals_shape: shape.globals.values().map(|g| (g.imported, g.ty)).collect(),
            types,
            imported_funcs: shape.imported_funcs,
        }
    }

    /// Size of the context in bytes; it is 16-byte aligned.
    pub fn bytes(&self) -> u32 {
        self.end
    }

    /// Offset of the engine-wide signature number of a type (32 bits).
    pub fn signature(&self, ty: TypeIdx) -> u32 {
        self.signatures + 4 * ty.as_u32()
    }

    /// Offset of the entry of an imported function.
    pub fn import_entry(&self, func: FuncIdx) -> u32 {
        self.imports + func_entry::BYTES * func.as_u32()
    }

    /// Offset of the 16 bytes of a memory. The first field is its base in every case.
    pub fn memory(&self, memory: MemoryIdx) -> u32 {
        self.memories + definition::BYTES * memory.as_u32()
    }

    /// Offset of the 16 bytes of a table.
    pub fn table(&self, table: TableIdx) -> u32 {
        self.tables + definition::BYTES * table.as_u32()
    }

    /// Offset of the 16 bytes of a global.
    pub fn global(&self, global: GlobalIdx) -> u32 {
        self.globals + 16 * global.as_u32()
    }

    /// Offset of the entry of a tag.
    pub fn tag_entry(&self, tag: TagIdx) -> u32 {
        self.tags + func_entry::BYTES * tag.as_u32()
    }

    /// The field that starts at `offset`, if one does.
    pub fn field_at(&self, offset: u32) -> Option<Field> {
        let field = |bytes, kind| Some(Field { offset, bytes, kind });
        let split = |start: u32, size: u32| ((offset - start) / size, (offset - start) % size);
        if offset < HEADER_BYTES {
            return match offset {
                STORE => field(8, FieldKind::Host),
                BLOCK => field(8, FieldKind::BlockPointer),
                CALL_REF => field(8, FieldKind::CallRef),
                CALLABLE => field(8, FieldKind::Callable),
                BASE if !self.memory_elsewhere.is_empty() => {
                    field(8, FieldKind::MemoryBase(MemoryIdx::from_u32(0)))
                }
                _ if offset >= LIBRARY && offset.is_multiple_of(8) => {
                    let call = LibCall::from_index(((offset - LIBRARY) / 8) as usize)?;
                    field(8, FieldKind::Library(call))
                }
                _ => None,
            };
        }
        if offset < self.imports {
            let (index, rest) = split(self.signatures, 4);
            return if rest == 0 && index < self.types {
                field(4, FieldKind::Signature(TypeIdx::from_u32(index)))
            } else {
                None
            };
        }
        if offset < self.memories {
            let (index, rest) = split(self.imports, func_entry::BYTES);
            return if rest == 0 && index < self.imported_funcs {
                field(
                    func_entry::BYTES,
                    FieldKind::ImportEntry(FuncIdx::from_u32(index)),
                )
            } else {
                None
            };
        }
        if offset < self.tables {
            let (index, rest) = split(self.memories, definition::BYTES);
            let memory = MemoryIdx::from_u32(index);
            return match (rest, self.memory_elsewhere[index as usize]) {
                (0, _) => field(8, FieldKind::MemoryBase(memory)),
                (8, false) => field(8, FieldKind::MemoryLength(memory)),
                (8, true) => field(8, FieldKind::MemoryDefinition(memory)),
                _ => None,
            };
        }
        if offset < self.globals {
            let (index, rest) = split(self.tables, definition::BYTES);
            let table = TableIdx::from_u32(index);
            return match (rest, self.table_imported[index as usize]) {
                (0, false) => field(8, FieldKind::TableBase(table)),
                (8, false) => field(8, FieldKind::TableLength(table)),
                (0, true) => field(8, FieldKind::TableDefinition(table)),
                _ => None,
            };
        }
        if offset >= self.tags && offset < self.end {
            let (index, rest) = split(self.tags, func_entry::BYTES);
            return match rest {
                0 => field(func_entry::BYTES, FieldKind::TagEntry(TagIdx::from_u32(index))),
                _ => None,
            };
        }
        if offset < self.tags {
            let (index, rest) = split(self.globals, 16);
            let global = GlobalIdx::from_u32(index);
            return match (rest, self.globals_shape[index as usize]) {
                (0, (false, ty)) => field(ty.bytes(), FieldKind::Global(global)),
                (0, (true, _)) => field(8, FieldKind::GlobalPointer(global)),
                _ => None,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::{GlobalShape, MemoryShape, TableShape};
    use crate::types::Signature;

    fn shape() -> Shape {
        let mut shape = Shape::default();
        let ty = shape.types.push(Signature::default());
        shape.canonical_types.push(ty);
        shape.funcs.push(ty);
        shape.imported_funcs = 1;
        for imported in [true, false] {
            shape.memories.push(MemoryShape {
                imported,
                is_64: false,
                shared: false,
                page_shift: 16,
                min_pages: 1,
                max_pages: None,
            });
            shape.tables.push(TableShape {
                imported,
                private: false,
                element: ValType::FuncRef,
                is_64: false,
                exact: cellwall_base::types::RefType::FUNCREF,
                min: 1,
                max: None,
                init: None,
            });
            shape.globals.push(GlobalShape {
                imported,
                ty: ValType::I32,
                exact: None,
                mutable: true,
                init: None,
            });
        }
        shape
    }

    #[test]
    fn fields_lie_where_the_layout_says_and_do_not_overlap() {
        let layout = ContextLayout::new(&shape());
        let fields: Vec<Field> = (0..layout.bytes()).filter_map(|o| layout.field_at(o)).collect();
        for pair in fields.windows(2) {
            assert!(pair[0].offset + pair[0].bytes <= pair[1].offset, "{pair:?}");
        }
        let kind = |offset| layout.field_at(offset).map(|f| f.kind);
        let one = MemoryIdx::from_u32(1);
        assert_eq!(
            kind(layout.memory(one) + definition::LENGTH),
            Some(FieldKind::MemoryLength(one))
        );
        assert_eq!(
            kind(layout.global(GlobalIdx::from_u32(0))),
            Some(FieldKind::GlobalPointer(GlobalIdx::from_u32(0)))
        );
        assert_eq!(
            kind(library_offset(LibCall::RefFunc)),
            Some(FieldKind::Library(LibCall::RefFunc))
        );
    }

    #[test]
    fn local_signature_numbers_are_of_first_types_and_never_that_of_null() {
        let mut shape = shape();
        let [first, other] = [0, 2].map(TypeIdx::from_u32);
        for (params, canonical) in [(vec![], first), (vec![ValType::I32], other)] {
            shape.types.push(Signature {
                params: params.into(),
                results: [].into(),
            });
            shape.canonical_types.push(canonical);
        }
        let numbers: Vec<u32> = shape.types.ids().map(|ty| shape.local_signature(ty)).collect();
        assert_eq!(numbers, [1, 1, 3]);
        let types = [1, 3].map(|number| shape.type_of_local_signature(number));
        assert_eq!(types, [Some(first), Some(other)]);
        let not = [func_entry::NULL_SIGNATURE, 2, 4, func_entry::FOREIGN_SIGNATURE];
        for number in not {
            assert_eq!(shape.type_of_local_signature(number), None, "{number}");
        }
    }

    #[test]
    fn the_middle_of_a_field_is_no_field() {
        let layout = ContextLayout::new(&shape());
        assert_eq!(
            layout.field_at(layout.import_entry(FuncIdx::from_u32(0)) + 8),
            None
        );
        assert_eq!(layout.field_at(layout.memory(MemoryIdx::from_u32(0)) + 4), None);
        assert_eq!(layout.field_at(layout.bytes()), None);
    }
}
