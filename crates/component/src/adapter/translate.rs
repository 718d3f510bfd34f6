//! Values of one side to values of the other, by their types.
//!
//! Types are the same on both sides and flatten alike, so that a value is either core values on
//! both, or in memory on both. Parts in memory that are neither scalars nor [plain](Layout::plain)
//! get functions of their own, one for each type, so that types that share parts stay linear.

use super::function::Function;
use super::module::{Builder, address};
use super::{Import, Party, Request, encoding, too_large, transcode};
use crate::fault::Fault;
use crate::limits::ADAPTER_BYTES_MAX;
use crate::plan::Encoding;
use crate::types::{Flat, List, ValType, Variant};
use cellwall_base::Limit;
use wasm_encoder::{BlockType, MemArg, MemArgTarget, ValType as CoreType};

/// A local and its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Var {
    pub(crate) local: u32,
    pub(crate) ty: Flat,
}

impl Var {
    pub(crate) fn new(local: u32, ty: Flat) -> Self {
        Self { local, ty }
    }
}

/// A local with an address, and an offset.
type Place = (u32, u32);

/// From one side to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    pub(crate) from: Party,
    pub(crate) to: Party,
    pub(crate) from_encoding: Encoding,
    pub(crate) to_encoding: Encoding,
}

/// Plain values of at least so many bytes are copied by `memory.copy`.
const COPY_BYTES_MIN: u32 = 64;

impl Direction {
    /// Towards a side.
    pub(crate) fn new(request: &Request<'_>, to: Party) -> Self {
        let from = match to {
            Party::Caller => Party::Callee,
            Party::Callee => Party::Caller,
        };
        Self {
            from,
            to,
            from_encoding: encoding(request, from),
            to_encoding: encoding(request, to),
        }
    }

    fn source_memory(&self, builder: &Builder<'_>) -> u32 {
        builder.index(Import::Memory(self.from))
    }

    fn target_memory(&self, builder: &Builder<'_>) -> u32 {
        builder.index(Import::Memory(self.to))
    }

    /// An address on the side that is read must be aligned, with so many bytes behind it.
    pub(crate) fn check_pointer(
        &self,
        builder: &Builder<'_>,
        f: &mut Function,
        local: u32,
        size: u32,
        align: u32,
    ) {
        let memory = self.source_memory(builder);
        check(
            builder,
            f,
            memory,
            (local, size, align),
            [Fault::UnalignedPointer, Fault::PointerOutOfBounds],
        );
    }

    /// The same on the side that is written.
    pub(crate) fn check_target(
        &self,
        builder: &Builder<'_>,
        f: &mut Function,
        local: u32,
        size: u32,
        align: u32,
    ) {
        let memory = self.target_memory(builder);
        check(
            builder,
            f,
            memory,
            (local, size, align),
            [Fault::UnalignedPointer, Fault::PointerOutOfBounds],
        );
    }

    /// Leaves the address of new memory on the stack.
    pub(crate) fn allocate_const(&self, builder: &Builder<'_>, f: &mut Function, size: u32, align: u32) {
        let realloc = builder.index(Import::Realloc(self.to));
        let at = f.local(Flat::I32);
        f.code()
            .i32_const(0)
            .i32_const(0)
            .i32_const(align as i32)
            .i32_const(size as i32);
        f.code().call(realloc).local_set(at);
        let memory = self.target_memory(builder);
        check(
            builder,
            f,
            memory,
            (at, size, align),
            [Fault::UnalignedRealloc, Fault::ReallocOutOfBounds],
        );
        f.code().local_get(at);
    }

    /// A value as core values.
    pub(crate) fn flat(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        ty: &ValType,
        from: &[Var],
        to: &[Var],
    ) -> Result<(), Limit> {
        within_limit(f)?;
        match ty {
            ValType::String => {
                read_flat(f, from[0], Flat::I32);
                read_flat(f, from[1], Flat::I32);
                let function = transcode::function(builder, self);
                f.code().call(function);
                write_flat(f, to[1], Flat::I32);
                write_flat(f, to[0], Flat::I32);
            }
            ValType::List(list) | ValType::Map(list) => match list.length {
                None => {
                    let function = self.list_function(builder, ty, list)?;
                    read_flat(f, from[0], Flat::I32);
                    read_flat(f, from[1], Flat::I32);
                    f.code().call(function);
                    write_flat(f, to[0], Flat::I32);
                    read_flat(f, from[1], Flat::I32);
                    write_flat(f, to[1], Flat::I32);
                }
                Some(_) => {
                    let count = list
                        .element
                        .flat_count()
                        .expect("a part has no more than the whole");
                    if count > 0 {
                        for (from, to) in from.chunks(count).zip(to.chunks(count)) {
                            self.flat(builder, f, &list.element, from, to)?;
                        }
                    }
                }
            },
            ValType::Record(fields) | ValType::Tuple(fields) => {
                let mut at = 0;
                for (_, ty, _) in &fields.fields {
                    let count = ty.flat_count().expect("a part has no more than the whole");
                    self.flat(builder, f, ty, &from[at..at + count], &to[at..at + count])?;
                    at += count;
                }
            }
            ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it) => {
                self.flat_variant(builder, f, it, from, to)?;
            }
            scalar => {
                let natural = natural(scalar);
                read_flat(f, from[0], natural);
                match scalar {
                    ValType::S8 => {
                        f.code().i32_extend8_s();
                    }
                    ValType::U8 => {
                        f.code().i32_const(0xff).i32_and();
                    }
                    ValType::S16 => {
                        f.code().i32_extend16_s();
                    }
                    ValType::U16 => {
                        f.code().i32_const(0xffff).i32_and();
                    }
                    _ => self.convert(builder, f, scalar),
                }
                write_flat(f, to[0], natural);
            }
        }
        Ok(())
    }

    fn flat_variant(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        variant: &Variant,
        from: &[Var],
        to: &[Var],
    ) -> Result<(), Limit> {
        let case = f.local(Flat::I32);
        read_flat(f, from[0], Flat::I32);
        f.code().local_set(case);
        check_case(builder, f, case, variant);
        f.code().local_get(case);
        write_flat(f, to[0], Flat::I32);
        // What a case does not use is 0.
        for var in &to[1..] {
            match var.ty {
                Flat::I32 => f.code().i32_const(0).local_set(var.local),
                Flat::I64 => f.code().i64_const(0).local_set(var.local),
                Flat::F32 => f.code().f32_const(0.0.into()).local_set(var.local),
                Flat::F64 => f.code().f64_const(0.0.into()).local_set(var.local),
            };
        }
        self.cases(builder, f, case, variant, |builder, f, ty| {
            let count = ty.flat_count().expect("a part has no more than the whole");
            self.flat(builder, f, ty, &from[1..=count], &to[1..=count])
        })
    }

    /// Does something for the case that a local names, if that has a payload.
    fn cases(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        case: u32,
        variant: &Variant,
        mut payload: impl FnMut(&mut Builder<'_>, &mut Function, &ValType) -> Result<(), Limit>,
    ) -> Result<(), Limit> {
        let with: Vec<(usize, &ValType)> = variant
            .cases
            .iter()
            .enumerate()
            .filter_map(|(index, case)| Some((index, case.ty.as_ref()?)))
            .collect();
        // A few are compared one by one, more go through a table.
        const FEW: usize = 3;
        if with.len() <= FEW {
            for (index, ty) in with {
                f.code().local_get(case).i32_const(index as i32).i32_eq();
                f.code().if_(BlockType::Empty);
                payload(builder, f, ty)?;
                f.code().end();
            }
            return Ok(());
        }
        let last = with.len() as u32;
        for _ in 0..=last {
            f.code().block(BlockType::Empty);
        }
        // The n-th of those with a payload leaves n blocks; the others leave all.
        let mut targets = vec![last; variant.cases.len()];
        for (n, &(index, _)) in with.iter().enumerate() {
            targets[index] = n as u32;
        }
        f.code().local_get(case).br_table(targets, last);
        for (n, &(_, ty)) in with.iter().enumerate() {
            f.code().end();
            payload(builder, f, ty)?;
            f.code().br(last - 1 - n as u32);
        }
        f.code().end();
        Ok(())
    }

    /// A value in memory.
    pub(crate) fn memory(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        ty: &ValType,
        from: Place,
        to: Place,
    ) -> Result<(), Limit> {
        within_limit(f)?;
        let layout = ty.layout();
        if layout.plain && layout.size >= COPY_BYTES_MIN {
            let (from_memory, to_memory) = (self.source_memory(builder), self.target_memory(builder));
            push_place(f, to);
            push_place(f, from);
            f.code()
                .i32_const(layout.size as i32)
                .memory_copy(to_memory, from_memory);
            return Ok(());
        }
        match ty {
            ValType::String | ValType::List(_) | ValType::Map(_) => match ty {
                ValType::List(list) if list.length.is_some() => self.memory_fixed(builder, f, list, from, to),
                _ => self.memory_pointer(builder, f, ty, from, to),
            },
            ValType::Record(fields) | ValType::Tuple(fields) => {
                for (_, ty, offset) in &fields.fields {
                    self.part(builder, f, ty, (from.0, from.1 + offset), (to.0, to.1 + offset))?;
                }
                Ok(())
            }
            ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it) => {
                self.memory_variant(builder, f, it, from, to)
            }
            scalar => {
                f.code().local_get(to.0);
                self.load(builder, f, scalar, from);
                self.convert(builder, f, scalar);
                self.store(builder, f, scalar, to);
                Ok(())
            }
        }
    }

    /// A part of a value in memory: what has parts itself is done by a function.
    fn part(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        ty: &ValType,
        from: Place,
        to: Place,
    ) -> Result<(), Limit> {
        let has_parts = match ty {
            ValType::Record(_) | ValType::Tuple(_) => true,
            ValType::List(list) => list.length.is_some(),
            _ => ty
                .as_variant()
                .is_some_and(|it| it.cases.iter().any(|case| case.ty.is_some())),
        };
        let Some(address) = address(ty).filter(|_| has_parts && !ty.layout().plain) else {
            return self.memory(builder, f, ty, from, to);
        };
        let key = format!("part {:?} {address}", self.to);
        let function = match builder.find(&key) {
            Some(made) => made,
            None => {
                let made = builder.declare(key, &[CoreType::I32; 2], &[]);
                let mut inner = Function::new(&[Flat::I32; 2]);
                self.memory(builder, &mut inner, ty, (0, 0), (1, 0))?;
                builder.define(made, inner.finish());
                made
            }
        };
        push_place(f, from);
        push_place(f, to);
        f.code().call(function);
        Ok(())
    }

    fn memory_variant(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        variant: &Variant,
        from: Place,
        to: Place,
    ) -> Result<(), Limit> {
        let discriminant = match variant.discriminant {
            1 => ValType::U8,
            2 => ValType::U16,
            _ => ValType::U32,
        };
        let case = f.local(Flat::I32);
        self.load(builder, f, &discriminant, from);
        f.code().local_set(case);
        check_case(builder, f, case, variant);
        f.code().local_get(to.0).local_get(case);
        self.store(builder, f, &discriminant, to);
        let at = variant.payload_offset;
        self.cases(builder, f, case, variant, |builder, f, ty| {
            self.part(builder, f, ty, (from.0, from.1 + at), (to.0, to.1 + at))
        })
    }

    /// A string or list: address and length.
    fn memory_pointer(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        ty: &ValType,
        from: Place,
        to: Place,
    ) -> Result<(), Limit> {
        let word = ValType::U32;
        let vars = [f.var(Flat::I32), f.var(Flat::I32)];
        for (n, var) in vars.iter().enumerate() {
            self.load(builder, f, &word, (from.0, from.1 + 4 * n as u32));
            f.code().local_set(var.local);
        }
        self.flat(builder, f, ty, &vars, &vars)?;
        for (n, var) in vars.iter().enumerate() {
            f.code().local_get(to.0).local_get(var.local);
            self.store(builder, f, &word, (to.0, to.1 + 4 * n as u32));
        }
        Ok(())
    }

    /// A list of fixed length, element by element.
    fn memory_fixed(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        list: &List,
        from: Place,
        to: Place,
    ) -> Result<(), Limit> {
        let length = f.local(Flat::I32);
        let (from_at, to_at) = (f.local(Flat::I32), f.local(Flat::I32));
        let count = list.length.expect("it is of fixed length");
        f.code().i32_const(count as i32).local_set(length);
        push_place(f, from);
        f.code().local_set(from_at);
        push_place(f, to);
        f.code().local_set(to_at);
        self.elements(builder, f, &list.element, [length, from_at, to_at])
    }

    /// The function for a list: address and length to address.
    fn list_function(&self, builder: &mut Builder<'_>, ty: &ValType, list: &List) -> Result<u32, Limit> {
        let address = address(ty).expect("lists have parts");
        let key = format!("list {:?} {address}", self.to);
        if let Some(made) = builder.find(&key) {
            return Ok(made);
        }
        let made = builder.declare(key, &[CoreType::I32; 2], &[CoreType::I32]);
        let mut function = Function::new(&[Flat::I32; 2]);
        let f = &mut function;
        let (from, length) = (0, 1);
        let layout = list.element.layout();
        let (from_memory, to_memory) = (self.source_memory(builder), self.target_memory(builder));
        let bytes = f.local(Flat::I64);
        let to = f.local(Flat::I32);
        if layout.align > 1 {
            f.code()
                .local_get(from)
                .i32_const(layout.align as i32 - 1)
                .i32_and();
            f.trap_if(builder, Fault::UnalignedPointer);
        }
        f.code().local_get(length).i64_extend_i32_u();
        f.code().i64_const(layout.size.into()).i64_mul().local_tee(bytes);
        f.code().local_get(from).i64_extend_i32_u().i64_add();
        f.code()
            .memory_size(from_memory)
            .i64_extend_i32_u()
            .i64_const(16)
            .i64_shl()
            .i64_gt_u();
        f.trap_if(builder, Fault::ListOutOfBounds);
        f.code().local_get(bytes).i64_const(u32::MAX.into()).i64_gt_u();
        f.trap_if(builder, Fault::ListTooLong);
        let realloc = builder.index(Import::Realloc(self.to));
        f.code().i32_const(0).i32_const(0).i32_const(layout.align as i32);
        f.code()
            .local_get(bytes)
            .i32_wrap_i64()
            .call(realloc)
            .local_set(to);
        if layout.align > 1 {
            f.code()
                .local_get(to)
                .i32_const(layout.align as i32 - 1)
                .i32_and();
            f.trap_if(builder, Fault::UnalignedRealloc);
        }
        f.code()
            .local_get(bytes)
            .local_get(to)
            .i64_extend_i32_u()
            .i64_add();
        f.code()
            .memory_size(to_memory)
            .i64_extend_i32_u()
            .i64_const(16)
            .i64_shl()
            .i64_gt_u();
        f.trap_if(builder, Fault::ReallocOutOfBounds);
        if layout.plain {
            f.code()
                .local_get(to)
                .local_get(from)
                .local_get(bytes)
                .i32_wrap_i64();
            f.code().memory_copy(to_memory, from_memory);
        } else {
            let (from_at, to_at) = (f.local(Flat::I32), f.local(Flat::I32));
            f.code()
                .local_get(from)
                .local_set(from_at)
                .local_get(to)
                .local_set(to_at);
            self.elements(builder, f, &list.element, [length, from_at, to_at])?;
        }
        f.code().local_get(to);
        builder.define(made, function.finish());
        Ok(made)
    }

    /// Elements one by one; changes all three locals.
    fn elements(
        &self,
        builder: &mut Builder<'_>,
        f: &mut Function,
        element: &ValType,
        [left, from, to]: [u32; 3],
    ) -> Result<(), Limit> {
        let (size, _) = element.size_align();
        f.code().block(BlockType::Empty).loop_(BlockType::Empty);
        f.code().local_get(left).i32_eqz().br_if(1);
        self.part(builder, f, element, (from, 0), (to, 0))?;
        for at in [from, to] {
            f.code()
                .local_get(at)
                .i32_const(size as i32)
                .i32_add()
                .local_set(at);
        }
        f.code().local_get(left).i32_const(1).i32_sub().local_set(left);
        f.code().br(0).end().end();
        Ok(())
    }

    /// Pushes a scalar from memory, in the type that it flattens to.
    fn load(&self, builder: &Builder<'_>, f: &mut Function, ty: &ValType, (local, offset): Place) {
        let memory_index = self.source_memory(builder);
        let (size, align) = ty.size_align();
        let arg = MemArg {
            offset: offset.into(),
            align: align.ilog2(),
            target: MemArgTarget::Memory(memory_index),
            ordering: None,
        };
        let mut code = f.code();
        code.local_get(local);
        match (ty, size) {
            (ValType::F32, _) => code.f32_load(arg),
            (ValType::F64, _) => code.f64_load(arg),
            (ValType::S8, _) => code.i32_load8_s(arg),
            (ValType::S16, _) => code.i32_load16_s(arg),
            (_, 1) => code.i32_load8_u(arg),
            (_, 2) => code.i32_load16_u(arg),
            (_, 4) => code.i32_load(arg),
            _ => code.i64_load(arg),
        };
    }

    /// Pops a scalar and, below it, the address without the offset.
    fn store(&self, builder: &Builder<'_>, f: &mut Function, ty: &ValType, (_, offset): Place) {
        let memory_index = self.target_memory(builder);
        let (size, align) = ty.size_align();
        let arg = MemArg {
            offset: offset.into(),
            align: align.ilog2(),
            target: MemArgTarget::Memory(memory_index),
            ordering: None,
        };
        let mut code = f.code();
        match (ty, size) {
            (ValType::F32, _) => code.f32_store(arg),
            (ValType::F64, _) => code.f64_store(arg),
            (_, 1) => code.i32_store8(arg),
            (_, 2) => code.i32_store16(arg),
            (_, 4) => code.i32_store(arg),
            _ => code.i64_store(arg),
        };
    }

    /// Makes of the scalar on the stack, as it was lifted, what is lowered.
    fn convert(&self, builder: &mut Builder<'_>, f: &mut Function, ty: &ValType) {
        match ty {
            ValType::Bool => {
                f.code().i32_const(0).i32_ne();
            }
            ValType::Char => {
                let char = f.local(Flat::I32);
                f.code().local_tee(char).i32_const(0x11_0000).i32_ge_u();
                f.code()
                    .local_get(char)
                    .i32_const(0xffff_f800_u32 as i32)
                    .i32_and();
                f.code().i32_const(0xd800).i32_eq().i32_or();
                f.trap_if(builder, Fault::InvalidChar);
                f.code().local_get(char);
            }
            ValType::Flags(flags) => {
                f.code().i32_const(flags.mask() as i32).i32_and();
            }
            ValType::Own(id) => {
                let transfer = builder.index(Import::TransferOwn(*id, self.to));
                f.code().call(transfer);
            }
            ValType::Borrow(id) => {
                let transfer = builder.index(Import::TransferBorrow(*id));
                f.code().call(transfer);
            }
            ValType::ErrorContext => {
                let transfer = builder.index(Import::TransferErrorContext(self.to));
                f.code().call(transfer);
            }
            _ => {}
        }
    }
}

fn within_limit(f: &Function) -> Result<(), Limit> {
    if f.len() > ADAPTER_BYTES_MAX {
        return Err(too_large());
    }
    Ok(())
}

/// An address must be aligned (the first fault), with so many bytes behind it (the second).
fn check(
    builder: &Builder<'_>,
    f: &mut Function,
    memory: u32,
    (local, size, align): (u32, u32, u32),
    [unaligned, outside]: [Fault; 2],
) {
    if align > 1 {
        f.code().local_get(local).i32_const(align as i32 - 1).i32_and();
        f.trap_if(builder, unaligned);
    }
    f.code()
        .local_get(local)
        .i64_extend_i32_u()
        .i64_const(size.into())
        .i64_add();
    f.code()
        .memory_size(memory)
        .i64_extend_i32_u()
        .i64_const(16)
        .i64_shl()
        .i64_gt_u();
    f.trap_if(builder, outside);
}

fn check_case(builder: &Builder<'_>, f: &mut Function, case: u32, variant: &Variant) {
    f.code()
        .local_get(case)
        .i32_const(variant.cases.len() as i32)
        .i32_ge_u();
    f.trap_if(builder, Fault::InvalidDiscriminant);
}

fn push_place(f: &mut Function, (local, offset): Place) {
    f.code().local_get(local);
    if offset != 0 {
        f.code().i32_const(offset as i32).i32_add();
    }
}

/// The core type that a scalar flattens to.
fn natural(ty: &ValType) -> Flat {
    match ty {
        ValType::S64 | ValType::U64 => Flat::I64,
        ValType::F32 => Flat::F32,
        ValType::F64 => Flat::F64,
        _ => Flat::I32,
    }
}

/// Pushes a local as this type; its own may be what several cases share.
fn read_flat(f: &mut Function, var: Var, ty: Flat) {
    let mut code = f.code();
    code.local_get(var.local);
    match (var.ty, ty) {
        (Flat::I32, Flat::F32) => code.f32_reinterpret_i32(),
        (Flat::I64, Flat::I32) => code.i32_wrap_i64(),
        (Flat::I64, Flat::F32) => code.i32_wrap_i64().f32_reinterpret_i32(),
        (Flat::I64, Flat::F64) => code.f64_reinterpret_i64(),
        _ => &mut code,
    };
}

/// Pops a value of this type into a local.
fn write_flat(f: &mut Function, var: Var, ty: Flat) {
    let mut code = f.code();
    match (ty, var.ty) {
        (Flat::F32, Flat::I32) => code.i32_reinterpret_f32(),
        (Flat::I32, Flat::I64) => code.i64_extend_i32_u(),
        (Flat::F32, Flat::I64) => code.i32_reinterpret_f32().i64_extend_i32_u(),
        (Flat::F64, Flat::I64) => code.i64_reinterpret_f64(),
        _ => &mut code,
    };
    code.local_set(var.local);
}
