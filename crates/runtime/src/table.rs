//! Tables: of functions as entries that guest code calls through, of host references as numbers.
//!
//! Every operation checks all of its bounds before it changes anything. What is null takes no
//! memory in a large table.

use crate::error::Error;
use crate::func::{FuncEntry, View};
use crate::id::{TableId, assert_store};
use crate::limits::Ask;
use crate::memory::Definition;
use crate::slots::Slots;
use crate::store::StoreOpaque;
use crate::value::RawVal;
use cellwall_abi::context::func_entry;
use cellwall_abi::{TrapCode, ValType};
use cellwall_base::limits::TABLE_ELEMENTS_MAX;
use cellwall_base::types::RefType;
use std::ops::Range;
use std::ptr::NonNull;

/// The type of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableType {
    /// Element type, a reference.
    pub element: ValType,
    /// Whether it has 64-bit indexes.
    pub is_64: bool,
    /// The same exactly.
    pub exact: RefType<u32>,
    /// Initial number of elements.
    pub min: u64,
    /// Largest number of elements, if there is one.
    pub max: Option<u64>,
}

#[derive(Debug)]
enum Elements {
    Funcs(Slots<FuncEntry>),
    Externs(Slots<u32>),
}

/// A table of a store.
#[derive(Debug)]
pub(crate) struct Table {
    elements: Elements,
    /// In the context of the owner, or in `own`.
    definition: NonNull<Definition>,
    /// For tables of the host.
    _own: Option<Box<Definition>>,
    pub(crate) ty: TableType,
    /// The instance whose private table it is.
    private: Option<u32>,
}

impl Table {
    pub(crate) fn definition(&self) -> NonNull<Definition> {
        self.definition
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.elements {
            Elements::Funcs(entries) => entries.len() as u64,
            Elements::Externs(refs) => refs.len() as u64,
        }
    }

    /// The list of its elements, if it is one of functions on the heap.
    pub(crate) fn into_entries(self) -> Option<Vec<FuncEntry>> {
        match self.elements {
            Elements::Funcs(Slots::Heap(entries)) => Some(entries),
            _ => None,
        }
    }

    fn view(&self) -> View {
        self.private.map_or(View::Shared, View::Private)
    }

    /// The reference at an index.
    pub(crate) fn get(&self, index: u64) -> Option<u32> {
        let index = usize::try_from(index).ok()?;
        match &self.elements {
            Elements::Funcs(entries) => entries.get(index).map(|entry| entry.reference),
            Elements::Externs(refs) => refs.get(index).copied(),
        }
    }

    /// The exceptions that it holds.
    pub(crate) fn exceptions(&self) -> impl Iterator<Item = u32> + '_ {
        let references = match &self.elements {
            Elements::Externs(refs) if self.ty.element == ValType::ExnRef => &refs[..],
            _ => &[],
        };
        references.iter().copied()
    }

    fn range(&self, start: u64, len: u64) -> Result<Range<usize>, TrapCode> {
        let end = start.checked_add(len).filter(|&end| end <= self.len());
        let end = end.ok_or(TrapCode::TableOutOfBounds)?;
        Ok(start as usize..end as usize)
    }

    fn fill(&mut self, range: Range<usize>, value: Element) {
        match (&mut self.elements, value) {
            (Elements::Funcs(entries), Element::Func(entry)) => entries.fill(range, entry),
            (Elements::Externs(refs), Element::Extern(reference)) => refs.fill(range, reference),
            _ => unreachable!("elements are made for their table"),
        }
    }

    fn extend(&mut self, delta: usize, value: Element) -> Result<(), String> {
        let max = self.ty.max.unwrap_or(u64::MAX).min(TABLE_ELEMENTS_MAX) as usize;
        let base: *mut u8 = match (&mut self.elements, value) {
            (Elements::Funcs(entries), Element::Func(entry)) => {
                entries.extend(delta, entry, max)?;
                entries.as_mut_ptr().cast()
            }
            (Elements::Externs(refs), Element::Extern(reference)) => {
                refs.extend(delta, reference, max)?;
                refs.as_mut_ptr().cast()
            }
            _ => unreachable!("elements are made for their table"),
        };
        let value = Definition {
            base,
            length: self.len(),
        };
        // SAFETY: the definition lives as long as the store, and no guest code runs now.
        unsafe { self.definition.write(value) };
        Ok(())
    }
}

/// The bytes of so many elements, if they can be addressed.
fn bytes_of(elements: u64) -> Option<u64> {
    elements.checked_mul(func_entry::BYTES.into())
}

/// A reference in the form in which one table holds it.
#[derive(Clone, Copy)]
enum Element {
    Func(FuncEntry),
    Extern(u32),
}

impl StoreOpaque {
    /// Makes a table for the host with `init` (a reference of the element type, as a number) in
    /// every element.
    ///
    /// # Errors
    /// If a limit refuses.
    pub fn new_table(&mut self, ty: TableType, init: u32) -> Result<TableId, Error> {
        self.may_have(Ask::Tables, "table", self.fields.tables.len(), 1)?;
        if !ty.element.is_ref() {
            return Err(Error::Type(format!("a table cannot hold {}", ty.element)));
        }
        let index = self.add_table(ty, None, None)?;
        self.extend_table(index as usize, ty.min, init)?
            .map_err(Error::Limit)?;
        Ok(TableId::new(self.id(), index))
    }

    /// Adds an empty table; [`StoreOpaque::extend_table`] gives it its first elements.
    pub(crate) fn add_table(
        &mut self,
        ty: TableType,
        definition: Option<NonNull<Definition>>,
        private: Option<u32>,
    ) -> Result<u32, Error> {
        let max = ty.max.map(|max| max as usize);
        let allowed = self
            .may_grow(Ask::TableGrowing(0, ty.min as usize, max))
            .map_err(Error::host)?;
        if bytes_of(ty.min).is_none() {
            return Err(Error::Limit(format!(
                "overflow calculating table allocation size: {} elements",
                ty.min
            )));
        }
        if !allowed || ty.min > TABLE_ELEMENTS_MAX {
            return Err(Error::Limit(format!(
                "table minimum size of {} elements exceeds table limits",
                ty.min
            )));
        }
        let mut own = definition.is_none().then(|| {
            Box::new(Definition {
                base: std::ptr::null_mut(),
                length: 0,
            })
        });
        let definition = definition.unwrap_or_else(|| {
            NonNull::from(&mut **own.as_mut().expect("made just above if there is no definition"))
        });
        let elements = match ty.element {
            ValType::FuncRef => Elements::Funcs(Slots::of(self.fields.rooms.entries())),
            _ => Elements::Externs(Slots::new()),
        };
        self.fields.tables.push(Table {
            elements,
            definition,
            _own: own,
            ty,
            private,
        });
        Ok(self.fields.tables.len() as u32 - 1)
    }

    /// Adds elements without asking; why it could not, if it could not.
    pub(crate) fn extend_table(
        &mut self,
        index: usize,
        delta: u64,
        init: u32,
    ) -> Result<Result<(), String>, Error> {
        let element = self.element(index, init)?;
        Ok(self.fields.tables[index].extend(delta as usize, element))
    }

    /// A reference as this table holds it.
    fn element(&self, table: usize, reference: u32) -> Result<Element, Error> {
        let table = &self.fields.tables[table];
        Ok(match table.ty.element {
            ValType::FuncRef => Element::Func(self.func_entry(reference, table.view())?),
            _ => Element::Extern(reference),
        })
    }

    fn reference(&self, table: usize, value: RawVal) -> Result<u32, Error> {
        let TableType { element, exact, .. } = self.fields.tables[table].ty;
        self.check_exact(value, Some(exact))?;
        match value.reference() {
            Some(reference) if value.ty() == element => Ok(reference),
            _ => Err(Error::Type(format!(
                "a table of {element} cannot hold {}",
                value.ty()
            ))),
        }
    }

    fn table_at(&self, table: TableId) -> &Table {
        assert_store(self.id(), table.store());
        &self.fields.tables[table.index()]
    }

    /// The type of a table, as declared.
    pub fn table_type(&self, table: TableId) -> TableType {
        self.table_at(table).ty
    }

    /// Current number of elements.
    pub fn table_len(&self, table: TableId) -> u64 {
        self.table_at(table).len()
    }

    /// The element at an index; `None` if it is out of bounds.
    pub fn table_get(&self, table: TableId, index: u64) -> Option<RawVal> {
        let table = self.table_at(table);
        let reference = table.get(index)?;
        Some(RawVal::from_bits(table.ty.element, reference.into()))
    }

    /// Sets the element at an index.
    ///
    /// # Errors
    /// A `TableOutOfBounds` trap, or [`Error::Type`].
    pub fn table_set(&mut self, table: TableId, index: u64, value: RawVal) -> Result<(), Error> {
        self.table_fill(table, index, value, 1)
    }

    /// Grows a table; its old length, or `None` if it cannot grow that far.
    ///
    /// # Errors
    /// What the limiter returned, [`Error::Type`], or [`Error::Limit`] if nothing can address so many
    /// elements.
    pub fn table_grow(&mut self, table: TableId, delta: u64, init: RawVal) -> Result<Option<u64>, Error> {
        assert_store(self.id(), table.store());
        let init = self.reference(table.index(), init)?;
        self.grow_table(table.index(), delta, init)
    }

    /// Sets `len` elements from `dst` on.
    ///
    /// # Errors
    /// A `TableOutOfBounds` trap, or [`Error::Type`].
    pub fn table_fill(&mut self, table: TableId, dst: u64, value: RawVal, len: u64) -> Result<(), Error> {
        assert_store(self.id(), table.store());
        let value = self.reference(table.index(), value)?;
        self.fill_table(table.index(), dst, value, len)
    }

    /// Copies `len` elements; the ranges may overlap.
    ///
    /// # Errors
    /// A `TableOutOfBounds` trap, or [`Error::Type`].
    pub fn table_copy(
        &mut self,
        dst: TableId,
        dst_index: u64,
        src: TableId,
        src_index: u64,
        len: u64,
    ) -> Result<(), Error> {
        assert_store(self.id(), dst.store());
        assert_store(self.id(), src.store());
        self.copy_table(dst.index(), dst_index, src.index(), src_index, len)
    }

    pub(crate) fn grow_table(&mut self, index: usize, delta: u64, init: u32) -> Result<Option<u64>, Error> {
        let table = &self.fields.tables[index];
        let (old, max) = (table.len(), table.ty.max);
        if delta == 0 {
            return Ok(Some(old));
        }
        let desired = old.saturating_add(delta);
        let ask = Ask::TableGrowing(old as usize, desired as usize, max.map(|max| max as usize));
        if !self.may_grow(ask).map_err(Error::host)? {
            return Ok(None);
        }
        // Beyond a limit or a declared maximum it only fails, as any growth does.
        if bytes_of(desired).is_none() && max.is_none_or(|max| desired <= max) {
            return Err(Error::Limit(format!(
                "failed to allocate a table of {desired} elements"
            )));
        }
        let result = if desired > max.unwrap_or(u64::MAX).min(TABLE_ELEMENTS_MAX) {
            Err("the maximum size of the table is reached".into())
        } else {
            self.extend_table(index, delta, init)?
        };
        if let Err(failed) = result {
            self.ask_limiter(Ask::TableFailed(&failed)).map_err(Error::host)?;
            return Ok(None);
        }
        Ok(Some(old))
    }

    pub(crate) fn fill_table(&mut self, index: usize, dst: u64, value: u32, len: u64) -> Result<(), Error> {
        let range = self.fields.tables[index].range(dst, len).map_err(Error::trap)?;
        let element = self.element(index, value)?;
        self.fields.tables[index].fill(range, element);
        Ok(())
    }

    pub(crate) fn copy_table(
        &mut self,
        dst: usize,
        dst_index: u64,
        src: usize,
        src_index: u64,
        len: u64,
    ) -> Result<(), Error> {
        let tables = &mut self.fields.tables;
        let from = tables[src].range(src_index, len).map_err(Error::trap)?;
        let to = tables[dst].range(dst_index, len).map_err(Error::trap)?;
        let (exact, expected) = (tables[src].ty.exact, tables[dst].ty.exact);
        if exact != expected && !self.fields.engine.ref_matches(exact, expected) {
            return Err(Error::Type("the tables hold different types".into()));
        }
        let tables = &mut self.fields.tables;
        if src == dst {
            match &mut tables[dst].elements {
                Elements::Funcs(entries) => entries.copy_within(from, to.start),
                Elements::Externs(refs) => refs.copy_within(from, to.start),
            }
            return Ok(());
        }
        for (from, to) in from.zip(to) {
            let reference = self.fields.tables[src]
                .get(from as u64)
                .expect("in range, checked above");
            let element = self.element(dst, reference)?;
            self.fields.tables[dst].fill(to..to + 1, element);
        }
        Ok(())
    }

    /// Writes one reference.
    pub(crate) fn write_table(&mut self, index: usize, at: u64, reference: u32) -> Result<(), Error> {
        let range = self.fields.tables[index].range(at, 1).map_err(Error::trap)?;
        let element = self.element(index, reference)?;
        self.fields.tables[index].fill(range, element);
        Ok(())
    }
}
