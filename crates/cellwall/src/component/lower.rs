//! Values of the host as values of guests (canonical ABI, "Storing" and "Flat Lowering").
//!
//! Requires nothing of the value: that it is of the type is checked on the way. Guarantees to write
//! only into memory that the guest's `realloc` gave, checked to be there.

use super::lift::{Abi, UTF16_TAG, core};
use super::typed::{Lower, TypeRef};
use super::val::mismatch;
use super::{ResourceAny, Val};
use crate::{Error, Result, StoreContextMut, bail, format_err};
use cellwall_component::{Encoding, Fault, Fields, Flags, Handle, List, ResourceId, ValType, Variant};
use cellwall_runtime::RawVal;

/// A call whose values are lowered.
pub struct Lowering<'a, 's, T: 'static> {
    pub(crate) store: &'a mut StoreContextMut<'s, T>,
    pub(crate) abi: &'a Abi,
}

impl<T: 'static> Lowering<'_, '_, T> {
    /// Asks the guest for memory, and checks what it gives.
    pub(crate) fn realloc(&mut self, align: u32, size: u32) -> Result<u32> {
        Ok(self.new_room(align, size)?.0)
    }

    /// Likewise: its address and the bytes there.
    fn new_room(&mut self, align: u32, size: u32) -> Result<(u32, &mut [u8])> {
        let realloc = self.abi.realloc.as_ref();
        let realloc = realloc.expect("the validator checked that there is one");
        // Nothing is there yet that could be moved.
        let params = [0, 0, align, size].map(u64::from);
        let ptr = self.store.0.call_flat(realloc, &params);
        let ptr = ptr.map_err(|error| self.store.error(error))? as u32;
        if !ptr.is_multiple_of(align) {
            return Err(Fault::UnalignedRealloc.into());
        }
        let room = self.bytes().get_mut(ptr as usize..);
        let room = room.and_then(|bytes| bytes.get_mut(..size as usize));
        Ok((ptr, room.ok_or(Fault::ReallocOutOfBounds)?))
    }

    fn bytes(&mut self) -> &mut [u8] {
        let memory = self
            .abi
            .memory
            .expect("the validator checked that there is a memory");
        self.store.0.memory_mut(memory.id)
    }

    #[inline]
    pub(crate) fn write(&mut self, ptr: u32, bytes: &[u8]) {
        self.room_at(ptr, bytes.len()).copy_from_slice(bytes);
    }

    /// Bytes of memory that the guest gave.
    #[inline]
    pub(crate) fn room_at(&mut self, ptr: u32, bytes: usize) -> &mut [u8] {
        let at = ptr as usize;
        &mut self.bytes()[at..at + bytes]
    }

    /// Parameters in new memory.
    pub(crate) fn params(&mut self, params: &Fields, vals: &[Val]) -> Result<u32> {
        let layout = params.layout();
        let ptr = self.realloc(layout.align, layout.size)?;
        for ((_, ty, offset), val) in params.fields.iter().zip(vals) {
            self.memory(ty, val, ptr + offset)?;
        }
        Ok(ptr)
    }

    /// An address that the guest gave for a value of this type.
    pub(crate) fn check(&mut self, ty: &ValType, ptr: u32) -> Result<(), Fault> {
        let (size, align) = ty.size_align();
        self.check_place(ptr, size, align)
    }

    /// An address that the guest gave for so many bytes.
    pub(crate) fn check_place(&mut self, ptr: u32, size: u32, align: u32) -> Result<(), Fault> {
        if !ptr.is_multiple_of(align) {
            return Err(Fault::UnalignedPointer);
        }
        if u64::from(ptr) + u64::from(size) > self.bytes().len() as u64 {
            return Err(Fault::PointerOutOfBounds);
        }
        Ok(())
    }

    /// A value into memory, which was checked.
    pub(crate) fn memory(&mut self, ty: &ValType, val: &Val, ptr: u32) -> Result<()> {
        match (ty, val) {
            (ValType::List(list), Val::List(vals)) => match list.length {
                Some(length) => {
                    check_length(length, vals)?;
                    self.elements(&list.element, vals, ptr)?;
                }
                None => {
                    let (at, length) = self.list(list, vals)?;
                    self.pointer(ptr, at, length);
                }
            },
            (ValType::Map(list), Val::Map(entries)) => {
                let (at, length) = self.map(list, entries)?;
                self.pointer(ptr, at, length);
            }
            (ValType::String, Val::String(text)) => {
                let (at, length) = self.string(text)?;
                self.pointer(ptr, at, length);
            }
            (ValType::Record(fields) | ValType::Tuple(fields), _) => {
                for (n, (_, ty, offset)) in fields.fields.iter().enumerate() {
                    self.memory(ty, part(fields, val, n)?, ptr + offset)?;
                }
            }
            (ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it), _) => {
                let (index, payload) = case(ty, it, val)?;
                let bytes = index.to_le_bytes();
                self.write(ptr, &bytes[..it.discriminant as usize]);
                if let Some((ty, val)) = payload {
                    self.memory(ty, val, ptr + it.payload_offset)?;
                }
            }
            _ => {
                let bytes = self.scalar(ty, val)?.to_le_bytes();
                let (size, _) = ty.size_align();
                self.write(ptr, &bytes[..size as usize]);
            }
        }
        Ok(())
    }

    pub(crate) fn pointer(&mut self, ptr: u32, at: u32, length: u32) {
        self.write(ptr, &at.to_le_bytes());
        self.write(ptr + 4, &length.to_le_bytes());
    }

    fn elements(&mut self, element: &ValType, vals: &[Val], ptr: u32) -> Result<()> {
        let (size, _) = element.size_align();
        for (index, val) in vals.iter().enumerate() {
            self.memory(element, val, ptr + index as u32 * size)?;
        }
        Ok(())
    }

    /// Memory for so many elements.
    fn room(&mut self, element: &ValType, count: usize) -> Result<(u32, u32)> {
        let (size, align) = element.size_align();
        self.room_for(size, align, count)
    }

    /// Memory for a list, its address and length.
    pub(crate) fn list_of<E: Lower>(&mut self, ty: TypeRef<'_>, elements: &[E]) -> Result<(u32, u32)> {
        let layout = const { E::LAYOUT };
        let (ptr, length) = self.room_for(layout.size, layout.align, elements.len())?;
        E::lower_elements(elements, self, ty.element::<E>(), ptr)?;
        Ok((ptr, length))
    }

    /// Memory for so many elements of this size.
    pub(crate) fn room_for(&mut self, size: u32, align: u32, count: usize) -> Result<(u32, u32)> {
        let bytes = (count as u64).checked_mul(size.into());
        let bytes = bytes.and_then(|bytes| u32::try_from(bytes).ok());
        let bytes = bytes.ok_or(Fault::ListTooLong)?;
        Ok((self.realloc(align, bytes)?, count as u32))
    }

    fn list(&mut self, list: &List, vals: &[Val]) -> Result<(u32, u32)> {
        let (ptr, length) = self.room(&list.element, vals.len())?;
        self.elements(&list.element, vals, ptr)?;
        Ok((ptr, length))
    }

    fn map(&mut self, list: &List, entries: &[(Val, Val)]) -> Result<(u32, u32)> {
        let (ptr, length) = self.room(&list.element, entries.len())?;
        let pair = list.element.as_fields().expect("entries of maps are pairs");
        let (size, _) = list.element.size_align();
        let [(_, key_ty, _), (_, value_ty, offset)] = &*pair.fields else {
            unreachable!("entries of maps are pairs");
        };
        for (index, (key, value)) in entries.iter().enumerate() {
            let at = ptr + index as u32 * size;
            self.memory(key_ty, key, at)?;
            self.memory(value_ty, value, at + offset)?;
        }
        Ok((ptr, length))
    }

    /// A string: its address and length as the guest counts it. Its bytes are copied once.
    pub(crate) fn string(&mut self, text: &str) -> Result<(u32, u32)> {
        match self.abi.encoding {
            Encoding::Utf8 => {
                let (ptr, room) = self.string_room(text.len(), 1)?;
                room.copy_from_slice(text.as_bytes());
                Ok((ptr, text.len() as u32))
            }
            Encoding::CompactUtf16 if text.chars().all(|char| u32::from(char) < 0x100) => {
                let count = text.chars().count();
                let (ptr, room) = self.string_room(count, 2)?;
                for (to, char) in room.iter_mut().zip(text.chars()) {
                    *to = char as u8;
                }
                Ok((ptr, count as u32))
            }
            encoding => {
                let count = text.encode_utf16().count();
                let (ptr, room) = self.string_room(count * 2, 2)?;
                for (to, unit) in room.as_chunks_mut::<2>().0.iter_mut().zip(text.encode_utf16()) {
                    *to = unit.to_le_bytes();
                }
                let tag = if encoding == Encoding::Utf16 { 0 } else { UTF16_TAG };
                Ok((ptr, count as u32 | tag))
            }
        }
    }

    fn string_room(&mut self, bytes: usize, align: u32) -> Result<(u32, &mut [u8])> {
        let size = u32::try_from(bytes).ok();
        let size = size.filter(|&size| size <= cellwall_component::limits::STRING_BYTES_MAX);
        self.new_room(align, size.ok_or(Fault::StringTooLong)?)
    }

    /// The bits of a value that is one core value.
    fn scalar(&mut self, ty: &ValType, val: &Val) -> Result<u64> {
        Ok(match (ty, val) {
            (ValType::Bool, Val::Bool(it)) => (*it).into(),
            (ValType::S8, Val::S8(it)) => u64::from(i32::from(*it) as u32),
            (ValType::U8, Val::U8(it)) => (*it).into(),
            (ValType::S16, Val::S16(it)) => u64::from(i32::from(*it) as u32),
            (ValType::U16, Val::U16(it)) => (*it).into(),
            (ValType::S32, Val::S32(it)) => u64::from(*it as u32),
            (ValType::U32, Val::U32(it)) => (*it).into(),
            (ValType::S64, Val::S64(it)) => *it as u64,
            (ValType::U64, Val::U64(it)) => *it,
            (ValType::F32, Val::Float32(it)) => it.to_bits().into(),
            (ValType::F64, Val::Float64(it)) => it.to_bits(),
            (ValType::Char, Val::Char(it)) => u32::from(*it).into(),
            (ValType::Flags(flags), Val::Flags(names)) => set_bits(flags, names)?.into(),
            (ValType::Own(id), Val::Resource(any)) => self.own(*id, any)?.into(),
            (ValType::Borrow(id), Val::Resource(any)) => self.borrow(*id, any)?.into(),
            (ValType::ErrorContext, Val::ErrorContext(message)) => {
                let state = &mut self.store.0.data_mut().components;
                let handle = Handle::ErrorContext(message.clone());
                state.add(Some(self.abi.instance), handle)?.into()
            }
            (ty, val) => {
                return mismatch(
                    &super::Type::of(ty, &super::ResourceType::uninstantiated).to_string(),
                    val,
                );
            }
        })
    }

    /// A value as core values.
    pub(crate) fn flat(&mut self, ty: &ValType, val: &Val, to: &mut Vec<u64>) -> Result<()> {
        match (ty, val) {
            (ValType::List(list), Val::List(vals)) => match list.length {
                Some(length) => {
                    check_length(length, vals)?;
                    for val in vals {
                        self.flat(&list.element, val, to)?;
                    }
                }
                None => {
                    let (ptr, length) = self.list(list, vals)?;
                    to.extend([u64::from(ptr), length.into()]);
                }
            },
            (ValType::Map(list), Val::Map(entries)) => {
                let (ptr, length) = self.map(list, entries)?;
                to.extend([u64::from(ptr), length.into()]);
            }
            (ValType::String, Val::String(text)) => {
                let (ptr, length) = self.string(text)?;
                to.extend([u64::from(ptr), length.into()]);
            }
            (ValType::Record(fields) | ValType::Tuple(fields), _) => {
                for (n, (_, ty, _)) in fields.fields.iter().enumerate() {
                    self.flat(ty, part(fields, val, n)?, to)?;
                }
            }
            (ValType::Variant(it) | ValType::Enum(it) | ValType::Option(it) | ValType::Result(it), _) => {
                let (index, payload) = case(ty, it, val)?;
                let count = it.layout().flat.as_ref().expect("it is flat").len();
                let end = to.len() + count;
                to.push(index.into());
                if let Some((ty, val)) = payload {
                    self.flat(ty, val, to)?;
                }
                to.resize(end, 0);
            }
            _ => {
                let bits = self.scalar(ty, val)?;
                to.push(bits);
            }
        }
        Ok(())
    }

    /// A handle of whatever type.
    pub(crate) fn any(&mut self, ty: TypeRef<'_>, any: &ResourceAny) -> Result<u32> {
        match ty {
            TypeRef::Val(ValType::Own(id)) => self.own(*id, any),
            TypeRef::Val(ValType::Borrow(id)) => self.borrow(*id, any),
            _ => bail!("a handle where none was expected"),
        }
    }

    fn own(&mut self, id: ResourceId, any: &ResourceAny) -> Result<u32> {
        any.check(self.store)?;
        if !any.owned {
            bail!("a resource that was lent cannot be given away");
        }
        let state = &mut self.store.0.data_mut().components;
        let entry = state.resource(self.abi.root, id);
        if entry.ty != any.ty {
            return Err(wrong_resource());
        }
        let rep = match any.direct {
            true => any.index,
            false => state.host.take_own(any.index, any.ty)?,
        };
        Ok(state.add_own(Some(self.abi.instance), rep, entry.ty)?)
    }

    fn borrow(&mut self, id: ResourceId, any: &ResourceAny) -> Result<u32> {
        any.check(self.store)?;
        let state = &mut self.store.0.data_mut().components;
        let entry = state.resource(self.abi.root, id);
        if entry.ty != any.ty {
            return Err(wrong_resource());
        }
        let rep = match any.direct {
            true => any.index,
            false => state.lend(None, any.index, any.ty)?,
        };
        Ok(state.add_borrow(self.abi.instance, rep, entry)?)
    }
}

#[cold]
fn wrong_resource() -> Error {
    format_err!("mismatched resource types")
}

fn check_length(expected: u32, vals: &[Val]) -> Result<()> {
    if vals.len() != expected as usize {
        bail!("expected a list of {expected} elements, found {}", vals.len());
    }
    Ok(())
}

/// The n-th field of a value.
fn part<'v>(fields: &Fields, val: &'v Val, n: usize) -> Result<&'v Val> {
    let count = fields.fields.len();
    let name = &*fields.fields[n].0;
    match val {
        Val::Tuple(vals) if name.is_empty() && vals.len() == count => Ok(&vals[n]),
        Val::Record(vals) if !name.is_empty() && vals.len() == count => {
            let found = &vals[n];
            if found.0 != name {
                bail!("expected the field `{name}`, found `{}`", found.0);
            }
            Ok(&found.1)
        }
        Val::Tuple(vals) if name.is_empty() => bail!("expected {count} fields, found {}", vals.len()),
        Val::Record(vals) if !name.is_empty() => bail!("expected {count} fields, found {}", vals.len()),
        _ if name.is_empty() => mismatch("tuple", val),
        _ => mismatch("record", val),
    }
}

type Payload<'a> = Option<(&'a ValType, &'a Val)>;

/// Number and payload of the case that a value is.
fn case<'a>(ty: &ValType, variant: &'a Variant, val: &'a Val) -> Result<(u32, Payload<'a>)> {
    let (index, payload) = match (ty, val) {
        (ValType::Variant(_), Val::Variant(name, payload)) => (named(variant, name)?, payload.as_deref()),
        (ValType::Enum(_), Val::Enum(name)) => (named(variant, name)?, None),
        (ValType::Option(_), Val::Option(payload)) => (usize::from(payload.is_some()), payload.as_deref()),
        (ValType::Result(_), Val::Result(Ok(payload))) => (0, payload.as_deref()),
        (ValType::Result(_), Val::Result(Err(payload))) => (1, payload.as_deref()),
        (ValType::Variant(_), _) => return mismatch("variant", val),
        (ValType::Enum(_), _) => return mismatch("enum", val),
        (ValType::Option(_), _) => return mismatch("option", val),
        _ => return mismatch("result", val),
    };
    let case = &variant.cases[index];
    match (&case.ty, payload) {
        (Some(ty), Some(val)) => Ok((index as u32, Some((ty, val)))),
        (None, None) => Ok((index as u32, None)),
        (Some(_), None) => bail!("the case `{}` has a payload", case.name),
        (None, Some(_)) => bail!("the case `{}` has no payload", case.name),
    }
}

fn named(variant: &Variant, name: &str) -> Result<usize> {
    let found = variant.cases.iter().position(|case| *case.name == *name);
    found.ok_or_else(|| format_err!("there is no case `{name}`"))
}

fn set_bits(flags: &Flags, names: &[String]) -> Result<u32> {
    let mut bits = 0;
    for name in names {
        let found = flags.names.iter().position(|own| **own == **name);
        bits |= 1 << found.ok_or_else(|| format_err!("there is no flag `{name}`"))?;
    }
    Ok(bits)
}

/// Bits as core values of the types that they have.
pub(crate) fn typed(bits: &[u64], types: &[cellwall_component::Flat]) -> Vec<RawVal> {
    bits.iter()
        .zip(types)
        .map(|(&bits, &ty)| core(ty, bits))
        .collect()
}
