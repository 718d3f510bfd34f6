//! Types of what modules import and export.

use super::{FuncType, Mutability, RefType, ValType};
use crate::{Result, bail};
use cellwall_abi::shape::{Item, MemoryShape};
use cellwall_base::limits::{MEMORY32_PAGES_MAX, MEMORY64_PAGES_MAX, PAGE_BYTES};
use cellwall_runtime as runtime;
use std::fmt;

/// The type of an import or export.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// A memory.
    Memory(MemoryType),
    /// A tag.
    Tag(TagType),
}

macro_rules! accessors {
    ($($variant:ident($ty:ident) $get:ident $unwrap:ident $what:literal;)*) => {$(
        #[doc = concat!("The type, if this is a ", $what, ".")]
        pub fn $get(&self) -> Option<&$ty> {
            match self {
                Self::$variant(ty) => Some(ty),
                _ => None,
            }
        }

        #[doc = concat!("The type of a ", $what, ".")]
        ///
        /// # Panics
        /// If this is something else.
        pub fn $unwrap(&self) -> &$ty {
            self.$get().expect(concat!("expected a ", $what))
        }
    )*};
}

impl ExternType {
    accessors! {
        Func(FuncType) func unwrap_func "function";
        Global(GlobalType) global unwrap_global "global";
        Table(TableType) table unwrap_table "table";
        Memory(MemoryType) memory unwrap_memory "memory";
        Tag(TagType) tag unwrap_tag "tag";
    }

    /// What it is, in one word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Func(_) => "function",
            Self::Global(_) => "global",
            Self::Table(_) => "table",
            Self::Memory(_) => "memory",
            Self::Tag(_) => "tag",
        }
    }

    pub(crate) fn of(code: &runtime::Code, item: Item) -> Self {
        let shape = code.shape();
        match item {
            // Without a question to the engine, where there is no need for one.
            Item::Func(func) if shape.exact_types.is_empty() => {
                Self::Func(FuncType::from_abi(shape.signature(func).clone()))
            }
            Item::Func(func) => {
                let number = code.type_number(shape.funcs[func]);
                Self::Func(FuncType::from_number(code.engine(), number))
            }
            Item::Global(global) => {
                let global = &shape.globals[global];
                Self::Global(GlobalType::from_runtime(
                    code.engine(),
                    runtime::GlobalType {
                        ty: global.ty,
                        exact: code.exact(global.exact),
                        mutable: global.mutable,
                    },
                ))
            }
            Item::Table(table) => {
                let table = &shape.tables[table];
                let exact = code.exact(Some(table.exact)).expect("a table holds references");
                let ty = runtime::TableType {
                    element: table.element,
                    exact,
                    is_64: table.is_64,
                    min: table.min,
                    max: table.max,
                };
                Self::Table(TableType::from_runtime(code.engine(), &ty, table.min))
            }
            Item::Memory(memory) => Self::Memory(MemoryType::from_shape(&shape.memories[memory])),
            Item::Tag(tag) => {
                let number = code.type_number(shape.tags[tag].ty);
                Self::Tag(TagType::new(FuncType::from_number(code.engine(), number)))
            }
        }
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Func(ty) => super::function::Whole(ty).fmt(f),
            Self::Global(ty) => ty.fmt(f),
            Self::Table(ty) => ty.fmt(f),
            Self::Memory(ty) => ty.fmt(f),
            Self::Tag(ty) => ty.fmt(f),
        }
    }
}

macro_rules! into_extern {
    ($($variant:ident($ty:ident))*) => {$(
        impl From<$ty> for ExternType {
            fn from(ty: $ty) -> Self {
                Self::$variant(ty)
            }
        }
    )*};
}
into_extern! { Func(FuncType) Global(GlobalType) Table(TableType) Memory(MemoryType) Tag(TagType) }

/// The type of a tag: its parameters are the values of an exception.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TagType {
    ty: FuncType,
}

impl TagType {
    /// The type of tags with the parameters of this type, which must not have results.
    pub fn new(ty: FuncType) -> Self {
        Self { ty }
    }

    /// Its parameters, as those of a function.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }
}

impl fmt::Display for TagType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(tag")?;
        for (at, ty) in self.ty.params().enumerate() {
            write!(f, "{}{ty}", if at == 0 { " (param " } else { " " })?;
        }
        f.write_str(if self.ty.params().len() == 0 { ")" } else { "))" })
    }
}

/// The type of a global.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GlobalType {
    content: ValType,
    mutability: Mutability,
}

impl GlobalType {
    /// The type of a global that holds this type.
    pub fn new(content: ValType, mutability: Mutability) -> Self {
        Self { content, mutability }
    }

    /// The type of its value.
    pub fn content(&self) -> &ValType {
        &self.content
    }

    /// Whether it can be set.
    pub fn mutability(&self) -> Mutability {
        self.mutability
    }

    pub(crate) fn from_runtime(engine: &runtime::Engine, ty: runtime::GlobalType) -> Self {
        let mutability = if ty.mutable {
            Mutability::Var
        } else {
            Mutability::Const
        };
        let content = match ty.exact {
            Some(exact) => RefType::from_exact(engine, exact).into(),
            None => ValType::from_abi(ty.ty),
        };
        Self::new(content, mutability)
    }

    pub(crate) fn to_runtime(&self, engine: &runtime::Engine) -> runtime::GlobalType {
        runtime::GlobalType {
            ty: self.content.to_abi(),
            exact: self.content.as_ref().map(|ty| ty.to_exact(engine)),
            mutable: self.mutability.is_var(),
        }
    }
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mutability {
            Mutability::Const => write!(f, "(global {})", self.content),
            Mutability::Var => write!(f, "(global (mut {}))", self.content),
        }
    }
}

/// The type of a table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TableType {
    element: RefType,
    is_64: bool,
    minimum: u64,
    maximum: Option<u64>,
}

impl TableType {
    /// The type of a table with these elements and limits (in elements).
    pub fn new(element: RefType, min: u32, max: Option<u32>) -> Self {
        Self {
            element,
            is_64: false,
            minimum: min.into(),
            maximum: max.map(u64::from),
        }
    }

    /// The same, with 64-bit indexes.
    pub fn new64(element: RefType, min: u64, max: Option<u64>) -> Self {
        Self {
            element,
            is_64: true,
            minimum: min,
            maximum: max,
        }
    }

    /// The type of its elements.
    pub fn element(&self) -> &RefType {
        &self.element
    }

    /// How many elements it has at least.
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// How many elements it may grow to.
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    /// Whether its indexes are 64-bit numbers.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// The type of a table of this type with so many elements.
    pub(crate) fn from_runtime(engine: &runtime::Engine, ty: &runtime::TableType, minimum: u64) -> Self {
        Self {
            element: RefType::from_exact(engine, ty.exact),
            is_64: ty.is_64,
            minimum,
            maximum: ty.max,
        }
    }

    pub(crate) fn to_runtime(&self, engine: &runtime::Engine) -> runtime::TableType {
        runtime::TableType {
            element: self.element.to_abi(),
            exact: self.element.to_exact(engine),
            is_64: self.is_64,
            min: self.minimum,
            max: self.maximum,
        }
    }
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_64 { "(table i64 " } else { "(table " })?;
        write!(f, "{}", self.minimum)?;
        if let Some(max) = self.maximum {
            write!(f, " {max}")?;
        }
        write!(f, " {})", self.element)
    }
}

/// The type of a memory. Its limits are in pages, which have 64 KiB unless the type says otherwise.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MemoryType {
    is_64: bool,
    shared: bool,
    page_size_log2: u8,
    minimum: u64,
    maximum: Option<u64>,
}

impl MemoryType {
    /// The type of a memory with these limits, in pages.
    ///
    /// # Panics
    /// If a limit is above 65,536 pages (4 GiB) or the maximum is below the minimum; see
    /// [`MemoryTypeBuilder`] for a way without panics.
    pub fn new(minimum: u32, maximum: Option<u32>) -> Self {
        let mut builder = MemoryTypeBuilder::default();
        builder.min(minimum.into()).max(maximum.map(u64::from));
        builder.build().expect("the limits of a memory")
    }

    /// The same, with 64-bit addresses.
    ///
    /// # Panics
    /// If a limit is above 2^48 pages or the maximum is below the minimum.
    pub fn new64(minimum: u64, maximum: Option<u64>) -> Self {
        let mut builder = MemoryTypeBuilder::default();
        builder.min(minimum).max(maximum).memory64(true);
        builder.build().expect("the limits of a memory")
    }

    /// The type of a memory that several threads may use.
    ///
    /// # Panics
    /// If a limit is above 65,536 pages (4 GiB) or the maximum is below the minimum.
    pub fn shared(minimum: u32, maximum: u32) -> Self {
        let mut builder = MemoryTypeBuilder::default();
        builder.min(minimum.into()).max(Some(maximum.into())).shared(true);
        builder.build().expect("the limits of a memory")
    }

    /// How many pages it has at least.
    pub fn minimum(&self) -> u64 {
        self.minimum
    }

    /// How many pages it may grow to.
    pub fn maximum(&self) -> Option<u64> {
        self.maximum
    }

    /// Whether its addresses are 64-bit numbers.
    pub fn is_64(&self) -> bool {
        self.is_64
    }

    /// Whether it may be used by several threads at once.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_size_log2
    }

    /// log2 of the bytes in a page: 16, or 0 for pages of one byte.
    pub fn page_size_log2(&self) -> u8 {
        self.page_size_log2
    }

    pub(crate) fn from_shape(shape: &MemoryShape) -> Self {
        Self {
            is_64: shape.is_64,
            shared: shape.shared,
            page_size_log2: shape.page_shift,
            minimum: shape.min_pages,
            maximum: shape.max_pages,
        }
    }

    /// The type of a memory of this type with so many pages.
    pub(crate) fn from_runtime(ty: &runtime::MemoryType, minimum: u64) -> Self {
        Self {
            is_64: ty.is_64,
            shared: ty.shared,
            page_size_log2: ty.page_shift,
            minimum,
            maximum: ty.max_pages,
        }
    }

    pub(crate) fn to_runtime(&self) -> runtime::MemoryType {
        runtime::MemoryType {
            is_64: self.is_64,
            shared: self.shared,
            page_shift: self.page_size_log2,
            min_pages: self.minimum,
            max_pages: self.maximum,
        }
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_64 { "(memory i64 " } else { "(memory " })?;
        write!(f, "{}", self.minimum)?;
        if let Some(max) = self.maximum {
            write!(f, " {max}")?;
        }
        if self.shared {
            f.write_str(" shared")?;
        }
        if self.page_size() != PAGE_BYTES {
            write!(f, " (pagesize {})", self.page_size())?;
        }
        f.write_str(")")
    }
}

/// Makes a [`MemoryType`].
#[derive(Clone, Debug)]
pub struct MemoryTypeBuilder {
    ty: MemoryType,
}

impl Default for MemoryTypeBuilder {
    fn default() -> Self {
        Self {
            ty: MemoryType {
                is_64: false,
                shared: false,
                page_size_log2: PAGE_BYTES.trailing_zeros() as u8,
                minimum: 0,
                maximum: None,
            },
        }
    }
}

impl MemoryTypeBuilder {
    /// Starts with a memory of no pages of 64 KiB, no maximum and 32-bit addresses.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many pages it has at least.
    pub fn min(&mut self, minimum: u64) -> &mut Self {
        self.ty.minimum = minimum;
        self
    }

    /// Sets how many pages it may grow to.
    pub fn max(&mut self, maximum: Option<u64>) -> &mut Self {
        self.ty.maximum = maximum;
        self
    }

    /// Sets whether its addresses are 64-bit numbers.
    pub fn memory64(&mut self, enable: bool) -> &mut Self {
        self.ty.is_64 = enable;
        self
    }

    /// Sets whether several threads may use it; then it needs a maximum.
    pub fn shared(&mut self, enable: bool) -> &mut Self {
        self.ty.shared = enable;
        self
    }

    /// Sets log2 of the bytes in a page: 16 or 0.
    pub fn page_size_log2(&mut self, log2: u8) -> &mut Self {
        self.ty.page_size_log2 = log2;
        self
    }

    /// Makes the type.
    ///
    /// # Errors
    /// If a limit is more than addresses reach (with 32 bits and usual pages 65,536 pages), the maximum
    /// is below the minimum or missing for a shared memory, or the size of a page is neither 1 nor 65,536.
    pub fn build(&self) -> Result<MemoryType> {
        let MemoryType { minimum, maximum, .. } = self.ty;
        let pages_max = match (self.ty.is_64, self.ty.page_size_log2) {
            (false, 16) => MEMORY32_PAGES_MAX,
            (true, 16) => MEMORY64_PAGES_MAX,
            (false, 0) => u32::MAX.into(),
            (true, 0) => u64::MAX,
            (_, log2) => bail!("a page has 1 or 65536 bytes, not 2^{log2}"),
        };
        if minimum > pages_max || maximum.is_some_and(|max| max > pages_max) {
            bail!("a memory cannot have more than {pages_max} pages");
        }
        if maximum.is_some_and(|max| max < minimum) {
            bail!("the maximum of a memory cannot be below its minimum");
        }
        if self.ty.shared && maximum.is_none() {
            bail!("a shared memory must have a maximum");
        }
        Ok(self.ty.clone())
    }
}

/// An import of a module; see [`Module::imports`](crate::Module::imports).
#[derive(Clone, Debug)]
pub struct ImportType<'module> {
    module: &'module str,
    name: &'module str,
    ty: ExternType,
}

impl<'module> ImportType<'module> {
    pub(crate) fn new(module: &'module str, name: &'module str, ty: ExternType) -> Self {
        Self { module, name, ty }
    }

    /// The module that it is imported from.
    pub fn module(&self) -> &'module str {
        self.module
    }

    /// Its name in that module.
    pub fn name(&self) -> &'module str {
        self.name
    }

    /// What is expected.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

/// An export of a module; see [`Module::exports`](crate::Module::exports).
#[derive(Clone, Debug)]
pub struct ExportType<'module> {
    name: &'module str,
    ty: ExternType,
}

impl<'module> ExportType<'module> {
    pub(crate) fn new(name: &'module str, ty: ExternType) -> Self {
        Self { name, ty }
    }

    /// Its name.
    pub fn name(&self) -> &'module str {
        self.name
    }

    /// What it is.
    pub fn ty(&self) -> ExternType {
        self.ty.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_print_as_in_the_text_format() {
        let memory = ExternType::from(MemoryType::new(1, Some(2)));
        assert_eq!(memory.to_string(), "(memory 1 2)");
        assert!(memory.memory().is_some() && memory.func().is_none());
        assert_eq!(MemoryType::new64(1, None).to_string(), "(memory i64 1)");
        let bytes = MemoryTypeBuilder::new().page_size_log2(0).min(7).build().unwrap();
        assert_eq!(bytes.to_string(), "(memory 7 (pagesize 1))");
        let table = ExternType::from(TableType::new64(RefType::FUNCREF, 3, None));
        assert_eq!(table.to_string(), "(table i64 3 funcref)");
        let table = ExternType::from(TableType::new(RefType::FUNCREF, 3, None));
        assert_eq!(table.to_string(), "(table 3 funcref)");
        let global = ExternType::from(GlobalType::new(ValType::I64, Mutability::Var));
        assert_eq!(global.to_string(), "(global (mut i64))");
    }

    #[test]
    fn memory_limits_are_checked() {
        let build = |min, max| MemoryTypeBuilder::new().min(min).max(max).build();
        assert!(build(65536, Some(65536)).is_ok());
        assert!(build(65537, None).is_err());
        assert!(build(0, Some(65537)).is_err());
        assert!(build(2, Some(1)).is_err());
        let build = |wide, log2, max| {
            let mut builder = MemoryTypeBuilder::new();
            builder.memory64(wide).page_size_log2(log2).max(Some(max)).build()
        };
        assert!(build(true, 16, 1 << 48).is_ok() && build(true, 16, (1 << 48) + 1).is_err());
        assert!(build(false, 0, u32::MAX.into()).is_ok() && build(false, 0, 1 << 32).is_err());
        assert!(build(true, 0, u64::MAX).is_ok() && build(true, 12, 1).is_err());
    }

    #[test]
    #[should_panic(expected = "expected a table")]
    fn unwrapping_another_kind_panics() {
        ExternType::from(MemoryType::new(1, None)).unwrap_table();
    }
}
