//! What the rooms after the compiler know of a module.
//!
//! `link` projects a shape from a module; verifier and runtime read nothing else. All fields are
//! plain data. A shape that comes from a file is untrusted: [`Shape::check`] holds before use.

use crate::context::func_entry;
use crate::types::{Signature, ValType};
use cellwall_base::types::{self, ExactTypes, Heap, RefType, Space};
use cellwall_base::{
    DataIdx, ElemIdx, EntityId, FuncIdx, GlobalIdx, IdMap, Invalid, MemoryIdx, TableIdx, TagIdx, TypeIdx,
    limits,
};
use std::ops::Range;

/// What a module looks like from outside its code.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Shape {
    /// Function types.
    pub types: IdMap<TypeIdx, Signature>,
    /// For each type, the first type with an equal signature: what module-local signature numbers
    /// are made of, see [`Shape::local_signature`].
    pub canonical_types: IdMap<TypeIdx, TypeIdx>,
    /// For each type, what else makes it equal to another or not; empty if that says nothing more of
    /// any of them.
    pub exact_types: ExactTypes,
    /// Type of each function, imported ones first.
    pub funcs: IdMap<FuncIdx, TypeIdx>,
    /// How many functions are imported.
    pub imported_funcs: u32,
    /// Memories, imported ones first.
    pub memories: IdMap<MemoryIdx, MemoryShape>,
    /// Tables, imported ones first.
    pub tables: IdMap<TableIdx, TableShape>,
    /// Globals, imported ones first.
    pub globals: IdMap<GlobalIdx, GlobalShape>,
    /// Tags, imported ones first.
    pub tags: IdMap<TagIdx, TagShape>,
    /// Imports in order.
    pub imports: Vec<Import>,
    /// Exports in order.
    pub exports: Vec<Export>,
    /// Data segments.
    pub data: IdMap<DataIdx, DataSegment>,
    /// Element segments.
    pub elements: IdMap<ElemIdx, ElementSegment>,
    /// The start function.
    pub start: Option<FuncIdx>,
}

/// A linear memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemoryShape {
    /// Whether it is imported.
    pub imported: bool,
    /// Whether it has 64-bit indexes.
    pub is_64: bool,
    /// Whether several threads may use it; such a memory has a maximum and never moves.
    pub shared: bool,
    /// log2 of the bytes in a page: 0 or 16.
    pub page_shift: u8,
    /// Initial size in pages.
    pub min_pages: u64,
    /// Largest size in pages, if declared.
    pub max_pages: Option<u64>,
}

impl MemoryShape {
    /// Whether the instance context holds the address of its definition, not the definition: it belongs
    /// to another instance, or other threads see its length too.
    pub const fn is_elsewhere(&self) -> bool {
        self.imported || self.shared
    }

    /// The type of its indexes.
    pub const fn index_type(&self) -> ValType {
        if self.is_64 { ValType::I64 } else { ValType::I32 }
    }

    /// Whether the type is one that WebAssembly has.
    pub fn is_valid(&self) -> bool {
        let pages_max = match (self.page_shift, self.is_64) {
            (0, false) => u64::from(u32::MAX),
            (0, true) => u64::MAX,
            (16, false) => limits::MEMORY32_PAGES_MAX,
            (16, true) => limits::MEMORY64_PAGES_MAX,
            _ => return false,
        };
        let max = self.max_pages.unwrap_or(pages_max);
        self.min_pages <= max && max <= pages_max && (!self.shared || self.max_pages.is_some())
    }
}

/// A table.
#[derive(Clone, PartialEq, Debug)]
pub struct TableShape {
    /// Whether it is imported.
    pub imported: bool,
    /// Neither imported nor exported, of functions: entries hold this module's code and the
    /// module-local signature number.
    pub private: bool,
    /// Element type.
    pub element: ValType,
    /// Whether it has 64-bit indexes.
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
pub struct GlobalShape {
    /// Whether it is imported.
    pub imported: bool,
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
pub struct TagShape {
    /// Whether it is imported.
    pub imported: bool,
    /// The type whose parameters are the values of an exception; it has no results.
    pub ty: TypeIdx,
}

/// An import.
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

/// A data segment; its bytes lie in [`Artifact::data`](crate::Artifact::data).
#[derive(Clone, PartialEq, Debug)]
pub struct DataSegment {
    /// Where it is written at instantiation; `None` for a passive one.
    pub active: Option<(MemoryIdx, ConstExpr)>,
    /// Its bytes in the artifact's data.
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

impl ElementItems {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Funcs(funcs) => funcs.len(),
            Self::Exprs(exprs) => exprs.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A constant expression (core specification, "Constant Expressions", with the extended ones) in
/// postfix order; validated when it comes from a module.
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
    /// `v128.const`.
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

impl Shape {
    /// The signature of a function.
    pub fn signature(&self, func: FuncIdx) -> &Signature {
        &self.types[self.funcs[func]]
    }

    /// The module-local signature number of a type, which entries of private tables hold: one more
    /// than the index of the first equal type, so that it is not that of null.
    pub fn local_signature(&self, ty: TypeIdx) -> u32 {
        func_entry::NULL_SIGNATURE + 1 + self.canonical_types[ty].as_u32()
    }

    /// The type (the first of its equals) with this module-local signature number, if one has it.
    pub fn type_of_local_signature(&self, number: u32) -> Option<TypeIdx> {
        let ty = TypeIdx::from_u32(number.checked_sub(func_entry::NULL_SIGNATURE + 1)?);
        (self.canonical_types.get(ty) == Some(&ty)).then_some(ty)
    }

    /// The types of the values of an exception with a tag.
    pub fn tag_values(&self, tag: TagIdx) -> &[ValType] {
        &self.types[self.tags[tag].ty].params
    }

    /// What a landing pad for exceptions with a tag, or with any, is given as if by a call: a
    /// reference to the exception, and the values of the tag.
    pub fn pad_types(&self, tag: Option<TagIdx>) -> impl Iterator<Item = ValType> + '_ {
        let values = tag.map_or(&[][..], |tag| self.tag_values(tag));
        std::iter::once(ValType::ExnRef).chain(values.iter().copied())
    }

    /// Whether a function is imported.
    pub fn is_imported(&self, func: FuncIdx) -> bool {
        func.as_u32() < self.imported_funcs
    }

    /// Whether the exact types fit the types, and name only types that they may.
    fn check_exact(&self) -> Result<(), &'static str> {
        let exact = &self.exact_types;
        let fits = |ty: ValType, exact: Option<RefType>| match ty {
            ValType::FuncRef => exact.is_some_and(|exact| exact.space() == Space::Funcs),
            ValType::ExternRef => exact.is_some_and(|exact| exact.space() == Space::Externs),
            ValType::ExnRef => exact.is_some_and(|exact| exact.space() == Space::Exceptions),
            ValType::AnyRef => exact.is_some_and(|exact| exact.space() == Space::Numbers),
            _ => exact.is_none(),
        };
        let in_range = |exact: Option<RefType>, end: usize| match exact.map(|exact| exact.heap) {
            Some(Heap::Type(ty)) => ty.index() < end && !self.exact_types.is_empty(),
            _ => true,
        };
        let all = self.types.len();
        let tables = self
            .tables
            .values()
            .map(|table| (table.element, Some(table.exact)));
        let globals = self.globals.values().map(|global| (global.ty, global.exact));
        if !tables
            .chain(globals)
            .all(|(ty, exact)| fits(ty, exact) && in_range(exact, all))
        {
            return Err("the exact type of a table or global does not fit");
        }
        if !exact.is_empty() && exact.len() != all {
            return Err("not every type has an exact one");
        }
        for group in types::groups(exact) {
            for at in group.clone() {
                let index = TypeIdx::new(at);
                let (exact, signature) = (&exact[index], &self.types[index]);
                let list = |types: &[ValType], refs: &[Option<RefType>]| {
                    types.len() == refs.len()
                        && types
                            .iter()
                            .zip(refs)
                            .all(|(&ty, &exact)| fits(ty, exact) && in_range(exact, group.end))
                };
                let refs_fit =
                    list(&signature.params, &exact.params) && list(&signature.results, &exact.results);
                let above_fits = exact
                    .supertype
                    .is_none_or(|above| above < index && self.types[above] == *signature);
                if exact.group.index() != group.start || !refs_fit || !above_fits {
                    return Err("an exact type does not fit its type");
                }
            }
        }
        Ok(())
    }

    /// Whether every index and count inside is in range, so that later rooms may index freely.
    ///
    /// # Errors
    /// The first thing that is not, at offset 0 (a shape has no bytes of its own).
    pub fn check(&self) -> Result<(), Invalid> {
        let fail = |reason: &str| {
            Err(Invalid {
                offset: 0,
                reason: format!("shape: {reason}"),
            })
        };
        if self.canonical_types.len() != self.types.len()
            || self
                .canonical_types
                .iter()
                .any(|(ty, c)| *c > ty || self.types[*c] != self.types[ty])
        {
            return fail("canonical types do not agree with the types");
        }
        if self
            .types
            .values()
            .any(|s| s.params.len() > limits::PARAMS_MAX || s.results.len() > limits::RESULTS_MAX)
        {
            return fail("too many parameters or results");
        }
        if let Err(reason) = self.check_exact() {
            return fail(reason);
        }
        if self.funcs.values().any(|ty| self.types.get(*ty).is_none())
            || self.imported_funcs as usize > self.funcs.len()
        {
            return fail("function type out of range");
        }
        if self
            .tables
            .values()
            .any(|t| t.private && (t.imported || t.element != ValType::FuncRef))
        {
            return fail("an imported table cannot be private");
        }
        if self
            .tags
            .values()
            .any(|tag| self.types.get(tag.ty).is_none_or(|ty| !ty.results.is_empty()))
        {
            return fail("a tag's type is out of range or has results");
        }
        let in_range = |item: &Item| match *item {
            Item::Func(i) => self.funcs.get(i).is_some(),
            Item::Table(i) => self.tables.get(i).is_some(),
            Item::Memory(i) => self.memories.get(i).is_some(),
            Item::Global(i) => self.globals.get(i).is_some(),
            Item::Tag(i) => self.tags.get(i).is_some(),
        };
        if !self
            .imports
            .iter()
            .map(|i| &i.item)
            .chain(self.exports.iter().map(|e| &e.item))
            .all(in_range)
        {
            return fail("import or export out of range");
        }
        if self
            .exports
            .iter()
            .any(|e| matches!(e.item, Item::Table(t) if self.tables[t].private))
        {
            return fail("an exported table cannot be private");
        }
        Ok(())
    }
}
