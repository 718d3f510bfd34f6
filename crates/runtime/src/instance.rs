//! Instances: contexts with everything they refer to, made in the order of the specification
//! ("Instantiation").
//!
//! An instance stays in its store even if instantiation fails half way: its functions may already
//! be in somebody's table.

use crate::code::Code;
use crate::context::Context;
use crate::error::Error;
use crate::func::{FuncEntry, View};
use crate::id::{Extern, FuncId, GlobalId, InstanceId, MemoryId, TableId, TagId, assert_store};
use crate::limits::Ask;
use crate::memory::MemoryType;
use crate::parts::Room;
use crate::store::StoreOpaque;
use crate::table::TableType;
use crate::value::RawVal;
use cellwall_abi::context::{self, CALLABLE_ENTRIES, definition};
use cellwall_abi::shape::{ElementItems, ElementMode, Item};
use cellwall_abi::{TrapCode, ValType};
use cellwall_base::{DataIdx, ElemIdx, EntityId, FuncIdx, GlobalIdx, IdMap, MemoryIdx, TableIdx, TagIdx};
use std::sync::Arc;

/// An instance of a store.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) code: Arc<Code>,
    /// The component instance that it belongs to, if it does.
    pub(crate) component: Option<u32>,
    pub(crate) context: Context,
    /// Numbers of its memories in the store.
    pub(crate) memories: IdMap<MemoryIdx, u32>,
    /// Numbers of its tables in the store.
    pub(crate) tables: IdMap<TableIdx, u32>,
    /// Numbers of its tags in the store.
    pub(crate) tags: IdMap<TagIdx, u32>,
    globals_imported: Vec<GlobalId>,
    funcs_imported: Vec<FuncId>,
    /// Reference of the first defined function.
    first_reference: u32,
    own: InstanceId,
    /// Entries of calls by reference; none before the first such call. They stay where they are.
    callable: Option<Box<[FuncEntry]>>,
    /// Segments that are empty by now.
    pub(crate) data_dropped: IdMap<DataIdx, bool>,
    pub(crate) elem_dropped: IdMap<ElemIdx, bool>,
}

impl Instance {
    /// An instance whose imports are not there yet.
    fn in_room(room: Room, code: &Arc<Code>, own: InstanceId, first_reference: u32) -> Self {
        let shape = code.shape();
        let mut room = room;
        room.data_dropped.resize(shape.data.len(), false);
        room.elem_dropped.resize(shape.elements.len(), false);
        Self {
            code: code.clone(),
            component: None,
            context: room.context,
            memories: room.memories,
            tables: room.tables,
            tags: room.tags,
            globals_imported: room.globals_imported,
            funcs_imported: room.funcs_imported,
            first_reference,
            own,
            callable: None,
            data_dropped: room.data_dropped,
            elem_dropped: room.elem_dropped,
        }
    }

    /// What another instance can be made of; nobody may know the context any more.
    pub(crate) fn into_room(self) -> Room {
        let mut room = Room {
            context: self.context,
            memories: self.memories,
            tables: self.tables,
            tags: self.tags,
            globals_imported: self.globals_imported,
            funcs_imported: self.funcs_imported,
            data_dropped: self.data_dropped,
            elem_dropped: self.elem_dropped,
        };
        room.clear();
        room
    }

    /// The reference of a function; `None` if there is no such function.
    pub(crate) fn func_reference(&self, func: FuncIdx) -> Option<u32> {
        let shape = self.code.shape();
        shape.funcs.get(func)?;
        Some(match self.funcs_imported.get(func.index()) {
            Some(imported) => imported.index() as u32,
            None => self.first_reference + (func.as_u32() - shape.imported_funcs),
        })
    }

    /// The place of the entry with which the function of a reference is called.
    pub(crate) fn callable_slot(&mut self, reference: u32) -> &mut FuncEntry {
        let context = &mut self.context;
        let entries = self.callable.get_or_insert_with(|| {
            let entries: Box<[FuncEntry]> = Box::new(*FuncEntry::none_callable());
            context.write(context::CALLABLE, entries.as_ptr().addr().to_ne_bytes());
            entries
        });
        &mut entries[(reference % CALLABLE_ENTRIES) as usize]
    }

    /// A global; `None` if there is no such global.
    pub(crate) fn global(&self, global: GlobalIdx) -> Option<GlobalId> {
        self.code.shape().globals.get(global)?;
        Some(match self.globals_imported.get(global.index()) {
            Some(&imported) => imported,
            None => GlobalId {
                store: self.own.store(),
                owner: Some(self.own.index() as u32),
                index: global.as_u32(),
            },
        })
    }

    fn item(&self, item: Item) -> Extern {
        let store = self.own.store();
        match item {
            Item::Func(func) => {
                let reference = self
                    .func_reference(func)
                    .expect("exports are in range, checked with the shape");
                Extern::Func(FuncId::new(store, reference))
            }
            Item::Table(table) => Extern::Table(TableId::new(store, self.tables[table])),
            Item::Tag(tag) => Extern::Tag(TagId::new(store, self.tags[tag])),
            Item::Memory(memory) => Extern::Memory(MemoryId::new(store, self.memories[memory])),
            Item::Global(global) => Extern::Global(
                self.global(global)
                    .expect("exports are in range, checked with the shape"),
            ),
        }
    }
}

impl StoreOpaque {
    /// Makes an instance and runs its start function. `imports` are in the order of the shape's.
    ///
    /// # Errors
    /// [`Error::Link`] if imports do not fit, [`Error::Limit`] if a limit refuses, a trap if an
    /// active segment is out of bounds or the start function traps (what was written before
    /// stays), or what the start function's host calls returned.
    ///
    /// # Panics
    /// If code or imports belong to another engine or store.
    pub fn instantiate(&mut self, code: &Arc<Code>, imports: &[Extern]) -> Result<InstanceId, Error> {
        self.instantiate_in(None, code, imports)
    }

    /// The same for an instance that belongs to a component instance, whose number it is: an exception
    /// does not go from the frames of one to those of another.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate).
    pub fn instantiate_in(
        &mut self,
        component: Option<u32>,
        code: &Arc<Code>,
        imports: &[Extern],
    ) -> Result<InstanceId, Error> {
        let (id, start) = self.make_instance(component, code, imports)?;
        if let Some(start) = start {
            self.call(start, &[], &mut [])?;
        }
        Ok(id)
    }

    /// Makes an instance; returns the start function that is to be run, too.
    pub(crate) fn make_instance(
        &mut self,
        component: Option<u32>,
        code: &Arc<Code>,
        imports: &[Extern],
    ) -> Result<(InstanceId, Option<FuncId>), Error> {
        assert!(
            code.engine().same(self.engine()),
            "code used with a store of another engine"
        );
        self.check_imports(code, imports)?;
        let shape = code.shape();
        let own = |imported: usize, all: usize| all - imported;
        let tables_imported = shape.tables.values().filter(|table| table.imported).count();
        let memories_imported = shape.memories.values().filter(|memory| memory.imported).count();
        self.may_have(Ask::Instances, "instance", self.fields.instances.len(), 1)?;
        let tables = own(tables_imported, shape.tables.len());
        self.may_have(Ask::Tables, "table", self.fields.tables.len(), tables)?;
        let memories = own(memories_imported, shape.memories.len());
        self.may_have(Ask::Memories, "memory", self.fields.memories.len(), memories)?;

        let instance = self.add_instance(component, code, imports)?;
        self.make_memories(instance, code)?;
        self.make_tables(instance, code)?;
        self.make_globals(instance, code)?;
        self.init_tables(instance, code)?;
        self.write_elements(instance, code)?;
        self.write_data(instance, code)?;
        let start = match shape.start {
            Some(start) => {
                let owner = &self.fields.instances[instance as usize];
                let reference = owner.func_reference(start).ok_or_else(out_of_range)?;
                Some(FuncId::new(self.id(), reference))
            }
            None => None,
        };
        Ok((InstanceId::new(self.id(), instance), start))
    }

    /// The code of an instance.
    pub fn instance_code(&self, instance: InstanceId) -> &Arc<Code> {
        &self.instance(instance).code
    }

    /// An export by name.
    pub fn export(&self, instance: InstanceId, name: &str) -> Option<Extern> {
        let instance = self.instance(instance);
        let export = instance
            .code
            .shape()
            .exports
            .iter()
            .find(|export| export.name == name)?;
        Some(instance.item(export.item))
    }

    /// The export that the shape lists at `index`.
    ///
    /// # Panics
    /// If there are fewer exports.
    pub fn export_at(&self, instance: InstanceId, index: usize) -> Extern {
        let instance = self.instance(instance);
        instance.item(instance.code.shape().exports[index].item)
    }

    fn instance(&self, instance: InstanceId) -> &Instance {
        assert_store(self.id(), instance.store());
        &self.fields.instances[instance.index()]
    }

    /// Adds the instance with its imports in place.
    fn add_instance(
        &mut self,
        component: Option<u32>,
        code: &Arc<Code>,
        imports: &[Extern],
    ) -> Result<u32, Error> {
        let (shape, layout) = (code.shape(), &code.layout);
        let index = self.fields.instances.len() as u32;
        let defined = (shape.funcs.len() as u32) - shape.imported_funcs;
        let Some(first_reference) = self.fields.funcs.add_instance(index, defined) else {
            return Err(Error::Limit("a store cannot have more functions".into()));
        };
        let room = self.fields.rooms.instance(&code.template);
        let mut instance = Instance::in_room(room, code, InstanceId::new(self.id(), index), first_reference);
        instance.component = component;
        let context = &mut instance.context;
        context.write(context::STORE, self.address().to_ne_bytes());
        context.write(
            context::BLOCK,
            (self.fields.block.as_ptr() as usize).to_ne_bytes(),
        );
        context.write(context::INSTANCE, index.to_ne_bytes());
        for &import in imports {
            match import {
                Extern::Func(func) => {
                    let offset = layout.import_entry(FuncIdx::new(instance.funcs_imported.len()));
                    let entry = self.func_entry(func.index() as u32, View::Shared)?;
                    instance.context.write(offset, entry.to_bytes());
                    instance.funcs_imported.push(func);
                }
                Extern::Memory(memory) => {
                    let offset = layout.memory(instance.memories.push(memory.index() as u32));
                    let memory = self.memory_at(memory);
                    let place = memory.definition().as_ptr() as usize;
                    let base = (memory.base() as usize).to_ne_bytes();
                    instance.context.write(offset, base);
                    instance
                        .context
                        .write(offset + definition::LENGTH, place.to_ne_bytes());
                    if instance.memories.len() == 1 {
                        instance.context.write(context::BASE, base);
                    }
                }
                Extern::Table(table) => {
                    let offset = layout.table(instance.tables.push(table.index() as u32));
                    let table = &self.fields.tables[table.index()];
                    let place = table.definition().as_ptr() as usize;
                    instance.context.write(offset, place.to_ne_bytes());
                }
                Extern::Tag(tag) => {
                    let offset = layout.tag_entry(instance.tags.push(tag.index() as u32));
                    instance.context.write(offset, self.tag_entry(tag).to_bytes());
                }
                Extern::Global(global) => {
                    let offset = layout.global(GlobalIdx::new(instance.globals_imported.len()));
                    let place = self.global_place(global).as_ptr() as usize;
                    instance.context.write(offset, place.to_ne_bytes());
                    instance.globals_imported.push(global);
                }
            }
        }
        let own_tags = shape.tags.iter().filter(|(_, tag)| !tag.imported);
        for ((index, tag), ty) in own_tags.zip(&code.tag_types) {
            let tag = self.new_tag(code.signatures[tag.ty], ty.clone());
            instance.tags.push(tag.index() as u32);
            let offset = layout.tag_entry(index);
            instance.context.write(offset, self.tag_entry(tag).to_bytes());
        }
        self.fields.instances.push(instance);
        Ok(index)
    }

    fn make_memories(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        // If a segment may fail after another one put a function into somebody else's table, then
        // that function must see the memory as it was before data; nobody else can tell.
        let may_leak = code.shape().elements.values().any(|segment| match segment.mode {
            ElementMode::Active(table, _) => code.shape().tables.get(table).is_none_or(|t| t.imported),
            _ => false,
        });
        for (memory, shape) in code.shape().memories.iter().filter(|(_, shape)| !shape.imported) {
            let context = &self.fields.instances[index as usize].context;
            let place = context.place(code.layout.memory(memory), definition::BYTES as usize);
            let ty = MemoryType::of(shape);
            let image = code.images.of(memory).filter(|_| !may_leak);
            let number = self.add_memory(ty, Some(place.cast()), image)?;
            let made = &self.fields.memories[number as usize];
            let (base, place) = (made.base() as usize, made.definition().as_ptr() as usize);
            let instance = &mut self.fields.instances[index as usize];
            if shape.shared {
                let offset = code.layout.memory(memory);
                instance.context.write(offset, base.to_ne_bytes());
                instance
                    .context
                    .write(offset + definition::LENGTH, place.to_ne_bytes());
            }
            if instance.memories.push(number) == MemoryIdx::from_u32(0) {
                instance.context.write(context::BASE, base.to_ne_bytes());
            }
        }
        Ok(())
    }

    fn make_tables(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        for (table, shape) in code.shape().tables.iter().filter(|(_, shape)| !shape.imported) {
            let context = &self.fields.instances[index as usize].context;
            let place = context.place(code.layout.table(table), definition::BYTES as usize);
            let ty = TableType {
                element: shape.element,
                is_64: shape.is_64,
                exact: code
                    .exact(Some(shape.exact))
                    .expect("a table has a reference type"),
                min: shape.min,
                max: shape.max,
            };
            let private = shape.private.then_some(index);
            let number = self.add_table(ty, Some(place.cast()), private)?;
            self.extend_table(number as usize, shape.min, 0)?
                .map_err(Error::Limit)?;
            self.fields.instances[index as usize].tables.push(number);
        }
        Ok(())
    }

    fn make_globals(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        for (global, shape) in code.shape().globals.iter().filter(|(_, shape)| !shape.imported) {
            let value = match &shape.init {
                Some(init) => self.evaluate(index, init, shape.ty)?,
                None => RawVal::default_of(shape.ty),
            };
            let id = self.fields.instances[index as usize].global(global);
            self.init_global(id.ok_or_else(out_of_range)?, value)?;
        }
        Ok(())
    }

    /// Initial values of tables that are not null; they may refer to globals.
    fn init_tables(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        for (table, shape) in code.shape().tables.iter() {
            if let Some(init) = &shape.init {
                let value = self.evaluate(index, init, shape.element)?;
                let number = self.fields.instances[index as usize].tables[table] as usize;
                let reference = value.reference().unwrap_or_default();
                self.fill_table(number, 0, reference, shape.min)?;
            }
        }
        Ok(())
    }

    fn write_elements(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        for (segment, shape) in code.shape().elements.iter() {
            match &shape.mode {
                ElementMode::Passive => continue,
                ElementMode::Declared => {}
                ElementMode::Active(table, offset) => {
                    let number = self.fields.instances[index as usize].tables.get(*table).copied();
                    let dst = self.evaluate_offset(index, offset)?;
                    let len = shape.items.len() as u64;
                    self.init_table(
                        index,
                        number.ok_or_else(out_of_range)? as usize,
                        segment,
                        dst,
                        0,
                        len,
                    )?;
                }
            }
            self.fields.instances[index as usize].elem_dropped[segment] = true;
        }
        Ok(())
    }

    fn write_data(&mut self, index: u32, code: &Code) -> Result<(), Error> {
        for (memory, image) in code.images.iter() {
            let number = self.fields.instances[index as usize].memories[memory] as usize;
            // Where mapping fails, the bytes are copied below.
            let _ = self.fields.memories[number].map_image(image);
        }
        for (segment, shape) in code.shape().data.iter() {
            let Some((memory, offset)) = &shape.active else {
                continue;
            };
            let memories = &self.fields.instances[index as usize].memories;
            let number = *memories.get(*memory).ok_or_else(out_of_range)? as usize;
            if !(code.images.has(segment) && self.fields.memories[number].has_image()) {
                let dst = self.evaluate_offset(index, offset)?;
                let len = u64::from(shape.bytes.end - shape.bytes.start);
                self.init_memory(index, number, segment, dst, 0, len)
                    .map_err(Error::trap)?;
            }
            self.fields.instances[index as usize].data_dropped[segment] = true;
        }
        Ok(())
    }

    fn evaluate_offset(&self, index: u32, expr: &cellwall_abi::shape::ConstExpr) -> Result<u64, Error> {
        match self.evaluate(index, expr, ValType::I32) {
            Ok(RawVal::I32(offset)) => Ok(u64::from(offset as u32)),
            _ => match self.evaluate(index, expr, ValType::I64)? {
                RawVal::I64(offset) => Ok(offset as u64),
                _ => unreachable!("evaluated as an i64"),
            },
        }
    }

    /// `memory.init`: all bounds are checked before anything is written.
    pub(crate) fn init_memory(
        &mut self,
        instance: u32,
        memory: usize,
        segment: DataIdx,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), TrapCode> {
        let fields = &mut self.fields;
        let instance = &fields.instances[instance as usize];
        let artifact = instance.code.artifact();
        let trap = TrapCode::MemoryOutOfBounds;
        let shape = artifact.shape.data.get(segment).ok_or(trap)?;
        let bytes = match instance.data_dropped[segment] {
            true => &[],
            false => &artifact.data[shape.bytes.start as usize..shape.bytes.end as usize],
        };
        let from = range(src, len, bytes.len() as u64).ok_or(trap)?;
        let memory = &mut fields.memories[memory];
        let to = range(dst, len, memory.bytes() as u64).ok_or(trap)?;
        memory.write(to.start, &bytes[from]);
        Ok(())
    }

    /// `table.init`: all bounds are checked before anything is written.
    pub(crate) fn init_table(
        &mut self,
        index: u32,
        table: usize,
        segment: ElemIdx,
        dst: u64,
        src: u64,
        len: u64,
    ) -> Result<(), Error> {
        let trap = || Error::trap(TrapCode::TableOutOfBounds);
        let code = self.fields.instances[index as usize].code.clone();
        let shape = code.shape().elements.get(segment).ok_or_else(trap)?;
        if shape.element != self.fields.tables[table].ty.element {
            return Err(Error::Type("a segment and its table hold different types".into()));
        }
        let have = match self.fields.instances[index as usize].elem_dropped[segment] {
            true => 0,
            false => shape.items.len(),
        };
        let from = range(src, len, have as u64).ok_or_else(trap)?;
        range(dst, len, self.fields.tables[table].len()).ok_or_else(trap)?;
        for (from, to) in from.zip(dst..) {
            let reference = match &shape.items {
                ElementItems::Funcs(funcs) => {
                    let instance = &self.fields.instances[index as usize];
                    instance.func_reference(funcs[from]).ok_or_else(out_of_range)?
                }
                ElementItems::Exprs(exprs) => {
                    let value = self.evaluate(index, &exprs[from], shape.element)?;
                    value.reference().unwrap_or_default()
                }
            };
            self.write_table(table, to, reference)?;
        }
        Ok(())
    }
}

/// `start..start + len` if it lies in `0..have`.
pub(crate) fn range(start: u64, len: u64, have: u64) -> Option<std::ops::Range<usize>> {
    let end = start.checked_add(len).filter(|&end| end <= have)?;
    Some(start as usize..end as usize)
}

fn out_of_range() -> Error {
    Error::Type("an index of the module is out of range".into())
}
