//! Imports against what is given for them (core specification, "Import Subtyping").

use crate::code::Code;
use crate::error::Error;
use crate::id::{Extern, assert_store};
use crate::memory::MemoryType;
use crate::store::StoreOpaque;
use cellwall_abi::Shape;
use cellwall_abi::shape::{Import, Item};

impl StoreOpaque {
    /// Whether every import has something of a fitting type, from this store.
    pub(crate) fn check_imports(&self, code: &Code, imports: &[Extern]) -> Result<(), Error> {
        let wanted = &code.shape().imports;
        if wanted.len() != imports.len() {
            return Err(Error::Link(format!(
                "expected {} imports, found {}",
                wanted.len(),
                imports.len()
            )));
        }
        for (import, &given) in wanted.iter().zip(imports) {
            self.check_import(code, import, given).map_err(|found| {
                let Import { module, name, item } = import;
                let expected = expected(code.shape(), *item);
                Error::Link(format!(
                    "incompatible import type for `{module}::{name}`: expected {expected}, found {found}"
                ))
            })?;
        }
        Ok(())
    }

    /// What was found instead, if it does not fit.
    fn check_import(&self, code: &Code, import: &Import, given: Extern) -> Result<(), String> {
        let shape = code.shape();
        let fits = match (import.item, given) {
            (Item::Func(wanted), Extern::Func(func)) => {
                let wanted = code.signatures[shape.funcs[wanted]];
                self.engine().is_subtype(self.func_type_number(func), wanted)
            }
            (Item::Global(wanted), Extern::Global(global)) => {
                let (wanted, found) = (&shape.globals[wanted], self.global_type(global));
                let same = (wanted.ty, wanted.mutable) == (found.ty, found.mutable);
                same && match (code.exact(wanted.exact), found.exact) {
                    (Some(expected), Some(given)) if !found.mutable => {
                        self.engine().ref_matches(given, expected)
                    }
                    (expected, given) => expected == given,
                }
            }
            (Item::Tag(wanted), Extern::Tag(tag)) => {
                code.signatures[shape.tags[wanted].ty] == self.tag_type_number(tag)
            }
            (Item::Memory(wanted), Extern::Memory(memory)) => {
                let (wanted, found) = (&shape.memories[wanted], self.memory_type(memory));
                let size = self.memory_pages(memory);
                (wanted.is_64, wanted.shared, wanted.page_shift)
                    == (found.is_64, found.shared, found.page_shift)
                    && limits_fit(size, found.max_pages, wanted.min_pages, wanted.max_pages)
            }
            (Item::Table(wanted), Extern::Table(table)) => {
                let (wanted, found) = (&shape.tables[wanted], self.table_type(table));
                wanted.is_64 == found.is_64
                    && code.exact(Some(wanted.exact)) == Some(found.exact)
                    && limits_fit(self.table_len(table), found.max, wanted.min, wanted.max)
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.describe(given)) }
    }

    fn describe(&self, given: Extern) -> String {
        match given {
            Extern::Func(func) => format!("a function of type {}", self.func_signature(func)),
            Extern::Tag(tag) => format!("a tag of type {}", self.tag_signature(tag)),
            Extern::Global(global) => {
                let ty = self.global_type(global);
                global_text(ty.mutable, &ty.ty.to_string())
            }
            Extern::Memory(memory) => {
                let ty = self.memory_type(memory);
                memory_text(&ty, self.memory_pages(memory))
            }
            Extern::Table(table) => {
                assert_store(self.id(), table.store());
                let ty = self.table_type(table);
                table_text(ty.is_64, &ty.element.to_string(), self.table_len(table), ty.max)
            }
        }
    }
}

fn limits_fit(size: u64, max: Option<u64>, wanted_min: u64, wanted_max: Option<u64>) -> bool {
    let max_fits = match (wanted_max, max) {
        (None, _) => true,
        (Some(wanted), Some(max)) => max <= wanted,
        (Some(_), None) => false,
    };
    size >= wanted_min && max_fits
}

fn expected(shape: &Shape, item: Item) -> String {
    match item {
        Item::Func(func) => format!("a function of type {}", shape.signature(func)),
        Item::Tag(tag) => format!("a tag of type {}", shape.types[shape.tags[tag].ty]),
        Item::Global(global) => {
            let global = &shape.globals[global];
            global_text(global.mutable, &global.ty.to_string())
        }
        Item::Memory(memory) => {
            let ty = MemoryType::of(&shape.memories[memory]);
            memory_text(&ty, ty.min_pages)
        }
        Item::Table(table) => {
            let table = &shape.tables[table];
            table_text(table.is_64, &table.element.to_string(), table.min, table.max)
        }
    }
}

fn global_text(mutable: bool, ty: &str) -> String {
    let kind = if mutable { "a mutable" } else { "an immutable" };
    format!("{kind} global of type {ty}")
}

fn memory_text(ty: &MemoryType, pages: u64) -> String {
    let bits = if ty.is_64 { 64 } else { 32 };
    let page = match ty.page_shift {
        16 => "64 KiB".into(),
        shift => format!("{} byte", 1u64 << shift),
    };
    let max = at_most(ty.max_pages);
    let shared = if ty.shared { "shared " } else { "" };
    format!("a {shared}{bits}-bit memory of {pages} pages of {page}, {max}")
}

fn table_text(is_64: bool, element: &str, len: u64, max: Option<u64>) -> String {
    let bits = if is_64 { "64-bit " } else { "" };
    format!("a {bits}table of {len} {element}, {}", at_most(max))
}

fn at_most(max: Option<u64>) -> String {
    max.map_or("no maximum".into(), |max| format!("at most {max}"))
}
