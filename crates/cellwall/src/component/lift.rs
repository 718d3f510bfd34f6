//! Values of guests as values of the host (canonical ABI, "Loading" and "Flat Lifting").
//!
//! Requires nothing of the guest: its memory and core values may be anything. Guarantees that what is
//! lifted is of its type, and that one call makes the host allocate no more than
//! [`LIFTED_BYTES_MAX`].

use super::typed::TypeRef;
use super::{Resource, ResourceAny, ResourceType, Val};
use crate::{Memory, Result, StoreContextMut, bail};
use cellwall_component::{Encoding, Fault, Fields, Flags, Flat, ResourceId, ValType, Variant};
use cellwall_runtime::{FlatFunc, RawVal};
use std::sync::Arc;

/// Bytes of host memory that the values of one call may take.
pub(crate) const LIFTED_BYTES_MAX: usize = 256 << 20;

/// The bit of a length of `latin1+utf16` that says UTF-16.
pub(crate) const UTF16_TAG: u32 = 1 << 31;

/// How values cross between the host and a component instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Abi {
    pub(crate) root: usize,
    pub(crate) instance: usize,
    pub(crate) memory: Option<Memory>,
    pub(crate) realloc: Option<FlatFunc>,
    pub(crate) encoding: Encoding,
}

/// A call whose values are lifted.
pub struct Lifting<'a, 's, T: 'static> {
    pub(crate) store: &'a mut StoreContextMut<'s, T>,
    pub(crate) abi: &'a Abi,
    bytes_left: usize,
}

/// Core values, from the front on.
pub(crate) type Flats<'a> = std::slice::Iter<'a, RawVal>;

fn next(values: &mut Flats<'_>) -> RawVal {
    *values.next().expect("a value flattens to what its type says")
}

/// The bits of a core value as the type that a part has there.
pub(crate) fn bits(value: RawVal) -> u64 {
    match value {
        RawVal::I32(it) => u64::from(it as u32),
        RawVal::I64(it) => it as u64,
        RawVal::F32(it) => u64::from(it),
        RawVal::F64(it) => it,
        _ => unreachable!("interface types flatten to numbers"),
    }
}

impl<'a, 's, T: 'static> Lifting<'a, 's, T> {
    pub(crate) fn new(store: &'a mut StoreContextMut<'s, T>, abi: &'a Abi) -> Self {
        Self {
            store,
            abi,
            bytes_left: LIFTED_BYTES_MAX,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let memory = self
            .abi
            .memory
            .expect("the validator checked that there is a memory");
        self.store.0.memory(memory.id)
    }

    /// Pays for memory of the host.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<()> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => self.bytes_left = left,
            None => bail!("the values of one call take more than {LIFTED_BYTES_MAX} bytes of the host"),
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn load<const N: usize>(&self, ptr: u32) -> [u8; N] {
        let at = ptr as usize;
        let bytes = &self.bytes()[at..at + N];
        bytes.try_into().expect("the slice has this length")
    }

    /// A value behind a pointer that the guest gave.
    pub(crate) fn indirect(&mut self, ty: &ValType, ptr: u32) -> Result<Val> {
        let (size, align) = ty.size_align();
        self.check(ptr, size, align)?;
        self.memory(ty, ptr)
    }

    /// An address must be aligned, with so many bytes behind it.
    pub(crate) fn check(&self, ptr: u32, size: u32, align: u32) -> Result<(), Fault> {
        if !ptr.is_multiple_of(align) {
            return Err(Fault::UnalignedPointer);
        }
        if u64::from(ptr) + u64::from(size) > self.bytes().len() as u64 {
            return Err(Fault::PointerOutOfBounds);
        }
        Ok(())
    }

    /// A value in memory, which was checked.
    pub(crate) fn memory(&mut self, ty: &ValType, ptr: u32) -> Result<Val> {
        Ok(match ty {
            ValType::Bool => Val::Bool(self.load::<1>(ptr)[0] != 0),
            ValType::S8 => Val::S8(i8::from_le_bytes(self.load(ptr))),
            ValType::U8 => Val::U8(u8::from_le_bytes(self.load(ptr))),
            ValType::S16 => Val::S16(i16::from_le_bytes(self.load(ptr))),
            ValType::U16 => Val::U16(u16::from_le_bytes(self.load(ptr))),
            ValType::S32 => Val::S32(i32::from_le_bytes(self.load(ptr))),
            ValType::U32 => Val::U32(u32::from_le_bytes(self.load(ptr))),
            ValType::S64 => Val::S64(i64::from_le_bytes(self.load(ptr))),
            ValType::U64 => Val::U64(u64::from_le_bytes(self.load(ptr))),
            ValType::F32 => Val::Float32(f32::from_le_bytes(self.load(ptr))),
            ValType::F64 => Val::Float64(f64::from_le_bytes(self.load(ptr))),
            ValType::Char => char(self.word(ptr))?,
            ValType::ErrorContext => self.error_context(self.word(ptr))?,
            ValType::Own(id) => Val::Resource(self.own(self.word(ptr), *id)?),
            ValType::Borrow(id) => Val::Resource(self.borrow(self.word(ptr), *id)?),
            ValType::String => Val::String(self.string(self.word(ptr), self.word(ptr + 4))?),
            ValType::List(list) => match list.length {
                Some(length) => Val::List(self.elements(&list.element, ptr, length)?),
                None => self.list(&list.element, self.word(ptr), self.word(ptr + 4))?,
            },
            ValType::Map(list) => {
                let entries = self.list(&list.element, self.word(ptr), self.word(ptr + 4))?;
                map(entries)
            }
            ValType::Record(fields) => {
                let values = self.fields(fields, ptr)?;
                record(fields, values)
            }
            ValType::Tuple(fields) => Val::Tuple(self.fields(fields, ptr)?),
            ValType::Flags(it) => {
                let bits = match ty.size_align().0 {
                    1 => u32::from(self.load::<1>(ptr)[0]),
                    2 => u32::from(u16::from_le_bytes(self.load(ptr))),
                    _ => self.word(ptr),
                };
                flags(it, bits)
            }
            ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it) => {
                let index = match it.discriminant {
                    1 => u32::from(self.load::<1>(ptr)[0]),
                    2 => u32::from(u16::from_le_bytes(self.load(ptr))),
                    _ => self.word(ptr),
                };
                let payload = match &case(it, index)?.ty {
                    Some(ty) => Some(self.memory(ty, ptr + it.payload_offset)?),
                    None => None,
                };
                variant(ty, it, index, payload)
            }
        })
    }

    #[inline]
    pub(crate) fn word(&self, ptr: u32) -> u32 {
        u32::from_le_bytes(self.load(ptr))
    }

    fn fields(&mut self, fields: &Fields, ptr: u32) -> Result<Vec<Val>> {
        self.charge(fields.fields.len() * size_of::<Val>())?;
        let fields = fields.fields.iter();
        fields
            .map(|(_, ty, offset)| self.memory(ty, ptr + offset))
            .collect()
    }

    fn list(&mut self, element: &ValType, ptr: u32, length: u32) -> Result<Val> {
        let (size, align) = element.size_align();
        self.check_list(ptr, length, size, align)?;
        Ok(Val::List(self.elements(element, ptr, length)?))
    }

    /// The elements of a list must be aligned, and in memory.
    #[inline]
    pub(crate) fn check_list(&self, ptr: u32, length: u32, size: u32, align: u32) -> Result<(), Fault> {
        if !ptr.is_multiple_of(align) {
            return Err(Fault::UnalignedPointer);
        }
        if u64::from(ptr) + u64::from(length) * u64::from(size) > self.bytes().len() as u64 {
            return Err(Fault::ListOutOfBounds);
        }
        Ok(())
    }

    fn elements(&mut self, element: &ValType, ptr: u32, length: u32) -> Result<Vec<Val>> {
        self.charge(length as usize * size_of::<Val>())?;
        let (size, _) = element.size_align();
        let mut values = Vec::with_capacity(length as usize);
        for index in 0..length {
            values.push(self.memory(element, ptr + index * size)?);
        }
        Ok(values)
    }

    /// A string.
    pub(crate) fn string(&mut self, ptr: u32, length: u32) -> Result<String> {
        let (at, size, utf16) = self.check_string(ptr, length)?;
        self.charge(size * if self.abi.encoding == Encoding::Utf8 { 1 } else { 3 })?;
        decode(self.abi.encoding, utf16, &self.bytes()[at..at + size])
    }

    /// The bytes of a string must be in memory: where they are, how many, and whether they are UTF-16.
    pub(crate) fn check_string(&self, ptr: u32, length: u32) -> Result<(usize, usize, bool), Fault> {
        let (utf16, units) = match self.abi.encoding {
            Encoding::Utf8 => (false, length),
            Encoding::Utf16 => (true, length),
            Encoding::CompactUtf16 => (length & UTF16_TAG != 0, length & !UTF16_TAG),
        };
        if self.abi.encoding != Encoding::Utf8 && !ptr.is_multiple_of(2) {
            return Err(Fault::UnalignedString);
        }
        let size = u64::from(units) * if utf16 { 2 } else { 1 };
        if size > u64::from(cellwall_component::limits::STRING_BYTES_MAX) {
            return Err(Fault::StringTooLong);
        }
        let size = size as usize;
        if ptr as usize + size > self.bytes().len() {
            return Err(Fault::StringOutOfBounds);
        }
        Ok((ptr as usize, size, utf16))
    }

    /// A value from core values.
    pub(crate) fn flat(&mut self, ty: &ValType, values: &mut Flats<'_>) -> Result<Val> {
        let word = |value: RawVal| bits(value) as u32;
        Ok(match ty {
            ValType::Bool => Val::Bool(word(next(values)) != 0),
            ValType::S8 => Val::S8(word(next(values)) as i8),
            ValType::U8 => Val::U8(word(next(values)) as u8),
            ValType::S16 => Val::S16(word(next(values)) as i16),
            ValType::U16 => Val::U16(word(next(values)) as u16),
            ValType::S32 => Val::S32(word(next(values)) as i32),
            ValType::U32 => Val::U32(word(next(values))),
            ValType::S64 => Val::S64(bits(next(values)) as i64),
            ValType::U64 => Val::U64(bits(next(values))),
            ValType::F32 => Val::Float32(f32::from_bits(word(next(values)))),
            ValType::F64 => Val::Float64(f64::from_bits(bits(next(values)))),
            ValType::Char => char(word(next(values)))?,
            ValType::ErrorContext => self.error_context(word(next(values)))?,
            ValType::Own(id) => Val::Resource(self.own(word(next(values)), *id)?),
            ValType::Borrow(id) => Val::Resource(self.borrow(word(next(values)), *id)?),
            ValType::String => {
                let (ptr, length) = (word(next(values)), word(next(values)));
                Val::String(self.string(ptr, length)?)
            }
            ValType::List(list) => match list.length {
                Some(length) => {
                    let elements = (0..length).map(|_| self.flat(&list.element, values));
                    Val::List(elements.collect::<Result<_>>()?)
                }
                None => {
                    let (ptr, length) = (word(next(values)), word(next(values)));
                    self.list(&list.element, ptr, length)?
                }
            },
            ValType::Map(list) => {
                let (ptr, length) = (word(next(values)), word(next(values)));
                map(self.list(&list.element, ptr, length)?)
            }
            ValType::Record(fields) => {
                let parts = self.flat_fields(fields, values)?;
                record(fields, parts)
            }
            ValType::Tuple(fields) => Val::Tuple(self.flat_fields(fields, values)?),
            ValType::Flags(it) => flags(it, word(next(values))),
            ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it) => {
                let index = word(next(values));
                let shared = it.layout().flat.as_ref().expect("it is flat").len() - 1;
                let mut payload = values.as_slice()[..shared].iter();
                for _ in 0..shared {
                    next(values);
                }
                let payload = match &case(it, index)?.ty {
                    Some(ty) => Some(self.flat(ty, &mut payload)?),
                    None => None,
                };
                variant(ty, it, index, payload)
            }
        })
    }

    fn flat_fields(&mut self, fields: &Fields, values: &mut Flats<'_>) -> Result<Vec<Val>> {
        let fields = fields.fields.iter();
        fields.map(|(_, ty, _)| self.flat(ty, values)).collect()
    }

    /// A handle of whatever type.
    pub(crate) fn any(&mut self, ty: TypeRef<'_>, index: u32) -> Result<ResourceAny> {
        match ty {
            TypeRef::Val(ValType::Own(id)) => self.own(index, *id),
            TypeRef::Val(ValType::Borrow(id)) => self.borrow(index, *id),
            _ => bail!("a handle where none was expected"),
        }
    }

    /// A handle of a resource of the host.
    pub(crate) fn resource<R: 'static>(&mut self, ty: TypeRef<'_>, index: u32) -> Result<Resource<R>> {
        let instance = Some(self.abi.instance);
        let state = &mut self.store.0.data_mut().components;
        let expected = ResourceType::host::<R>();
        match ty {
            TypeRef::Val(ValType::Own(id)) if state.resource(self.abi.root, *id).ty == expected => Ok(
                Resource::new_own(state.handles(instance).take_own(index, expected)?),
            ),
            TypeRef::Val(ValType::Borrow(id)) if state.resource(self.abi.root, *id).ty == expected => {
                Ok(Resource::new_borrow(state.lend(instance, index, expected)?))
            }
            _ => bail!("a handle where none was expected"),
        }
    }

    fn own(&mut self, index: u32, id: ResourceId) -> Result<ResourceAny> {
        let store = self.store.0.id();
        let state = &mut self.store.0.data_mut().components;
        let entry = state.resource(self.abi.root, id);
        let index = state.transfer_own(Some(self.abi.instance), None, index, entry.ty);
        let index = index?;
        Ok(ResourceAny {
            store,
            index,
            ty: entry.ty,
            owned: true,
            direct: false,
            origin: Some((self.abi.root, id)),
        })
    }

    fn borrow(&mut self, index: u32, id: ResourceId) -> Result<ResourceAny> {
        let state = &mut self.store.0.data_mut().components;
        let entry = state.resource(self.abi.root, id);
        let rep = state.lend(Some(self.abi.instance), index, entry.ty)?;
        ResourceAny::borrowed(self.store, rep, entry, (self.abi.root, id))
    }

    fn error_context(&mut self, index: u32) -> Result<Val> {
        let state = &mut self.store.0.data_mut().components;
        let message = state.handles(Some(self.abi.instance)).error_context(index)?;
        Ok(Val::ErrorContext(message))
    }
}

/// The text of bytes.
pub(crate) fn decode(encoding: Encoding, utf16: bool, bytes: &[u8]) -> Result<String> {
    Ok(match (encoding, utf16) {
        (Encoding::Utf8, _) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Fault::InvalidUtf8)?;
            text.to_owned()
        }
        (_, true) => {
            let units = bytes.as_chunks::<2>().0.iter();
            let units = units.map(|&unit| u16::from_le_bytes(unit));
            let text: Result<String, _> = char::decode_utf16(units).collect();
            text.map_err(|_| Fault::InvalidUtf16)?
        }
        (_, false) => bytes.iter().map(|&byte| char::from(byte)).collect(),
    })
}

fn char(bits: u32) -> Result<Val> {
    match char::from_u32(bits) {
        Some(char) => Ok(Val::Char(char)),
        None => Err(Fault::InvalidChar.into()),
    }
}

fn map(list: Val) -> Val {
    let Val::List(entries) = list else {
        unreachable!("a map is lifted as a list");
    };
    let pair = |entry: Val| match entry {
        Val::Tuple(mut pair) if pair.len() == 2 => {
            let value = pair.pop().expect("there are two");
            (pair.pop().expect("there are two"), value)
        }
        _ => unreachable!("entries of maps are pairs"),
    };
    Val::Map(entries.into_iter().map(pair).collect())
}

fn record(fields: &Fields, values: Vec<Val>) -> Val {
    let names = fields.fields.iter().map(|(name, ..)| name.to_string());
    Val::Record(names.zip(values).collect())
}

fn flags(flags: &Flags, bits: u32) -> Val {
    let names = flags.names.iter().enumerate();
    let set = names.filter(|(bit, _)| bits >> bit & 1 != 0);
    Val::Flags(set.map(|(_, name)| name.to_string()).collect())
}

fn case(variant: &Variant, index: u32) -> Result<&cellwall_component::Case, Fault> {
    variant
        .cases
        .get(index as usize)
        .ok_or(Fault::InvalidDiscriminant)
}

fn variant(ty: &ValType, cases: &Arc<Variant>, index: u32, payload: Option<Val>) -> Val {
    let payload = payload.map(Box::new);
    let name = || cases.cases[index as usize].name.to_string();
    match ty {
        ValType::Enum(_) => Val::Enum(name()),
        ValType::Option(_) => Val::Option(payload),
        ValType::Result(_) if index == 0 => Val::Result(Ok(payload)),
        ValType::Result(_) => Val::Result(Err(payload)),
        _ => Val::Variant(name(), payload),
    }
}

/// A core value of a type, from its bits.
pub(crate) fn core(ty: Flat, bits: u64) -> RawVal {
    match ty {
        Flat::I32 => RawVal::I32(bits as i32),
        Flat::I64 => RawVal::I64(bits as i64),
        Flat::F32 => RawVal::F32(bits as u32),
        Flat::F64 => RawVal::F64(bits),
    }
}
