//! Functions of a store: the space of function references, and the entries through which code
//! calls them.
//!
//! A reference is a number. The functions of one instance have consecutive numbers, a host
//! function has one of its own; nothing is stored per function. A number that names nothing (a
//! forged one) is resolved to `None`.

use crate::error::Error;
use crate::host::{HostEntry, HostRecord, Seat};
use crate::id::{FuncId, assert_store};
use crate::parts::kept;
use crate::slots::Slot;
use crate::store::StoreOpaque;
use crate::sys::{Stub, Width, stub_address};
use crate::value::{FuncRef, RawList};
use cellwall_abi::context::{CALLABLE_ENTRIES, func_entry};
use cellwall_abi::{Signature, TrapCode};
use cellwall_base::FuncIdx;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// An entry as guest code reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FuncEntry {
    call: usize,
    code: usize,
    context: usize,
    signature: u32,
    pub(crate) reference: u32,
}

const _: () = {
    assert!(func_entry::NULL_SIGNATURE == 0);
    assert!(size_of::<FuncEntry>() == func_entry::BYTES as usize);
    assert!(std::mem::offset_of!(FuncEntry, call) == func_entry::CALL as usize);
    assert!(std::mem::offset_of!(FuncEntry, code) == func_entry::CODE as usize);
    assert!(std::mem::offset_of!(FuncEntry, context) == func_entry::CONTEXT as usize);
    assert!(std::mem::offset_of!(FuncEntry, signature) == func_entry::SIGNATURE as usize);
    assert!(std::mem::offset_of!(FuncEntry, reference) == func_entry::REFERENCE as usize);
};

impl FuncEntry {
    /// All bytes are zero, see [`Slot`].
    pub(crate) const NULL: Self = Self {
        call: 0,
        code: 0,
        context: 0,
        signature: func_entry::NULL_SIGNATURE,
        reference: 0,
    };

    /// The entry of a tag: a host function that throws. It stands in contexts only, where no signature
    /// is looked at.
    pub(crate) fn of_tag(signature: &Signature, entry: HostEntry, tag: usize) -> Self {
        Self {
            call: stub_address(Stub::Host(Width::of(&signature.params, &[]))),
            code: entry as usize,
            context: tag,
            ..Self::NULL
        }
    }

    /// The entries of calls by reference of an instance that has made none.
    pub(crate) fn none_callable() -> &'static [Self; CALLABLE_ENTRIES as usize] {
        static NONE: [FuncEntry; CALLABLE_ENTRIES as usize] = [FuncEntry::NULL; CALLABLE_ENTRIES as usize];
        &NONE
    }

    /// The bytes of the entry.
    pub(crate) fn to_bytes(self) -> [u8; func_entry::BYTES as usize] {
        let mut bytes = [0; func_entry::BYTES as usize];
        for (at, word) in [
            (func_entry::CALL, self.call),
            (func_entry::CODE, self.code),
            (func_entry::CONTEXT, self.context),
        ] {
            bytes[at as usize..at as usize + 8].copy_from_slice(&word.to_ne_bytes());
        }
        for (at, word) in [
            (func_entry::SIGNATURE, self.signature),
            (func_entry::REFERENCE, self.reference),
        ] {
            bytes[at as usize..at as usize + 4].copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

// SAFETY: all fields are numbers, for which zero is a value; only null has the reference 0 (what
// resolves has another), and all its fields are zero.
unsafe impl Slot for FuncEntry {
    const NULL: Self = Self::NULL;

    fn is_null(&self) -> bool {
        self.reference == 0
    }
}

#[derive(Clone, Copy, Debug)]
enum Owner {
    /// The defined functions of an instance.
    Instance(u32),
    /// A host function.
    Host(u32),
    /// Host functions of one owner.
    Hosts(u32),
}

/// Host functions of one owner.
struct HostsOf {
    records: Arc<[HostRecord]>,
    /// One for each record. Guest code has their addresses.
    seats: Vec<Seat>,
}

/// Which number is which function.
#[derive(Default)]
pub(crate) struct FuncSpace {
    /// First number of each range, ascending.
    ranges: Vec<(u32, Owner)>,
    hosts: Vec<Arc<HostRecord>>,
    owned: Vec<HostsOf>,
    /// How many numbers are in use; numbers start at 1.
    used: u32,
}

impl FuncSpace {
    /// An empty space with the lists of this one, if they are worth keeping.
    pub(crate) fn kept(&mut self) -> Self {
        Self {
            ranges: kept(&mut self.ranges),
            hosts: kept(&mut self.hosts),
            owned: kept(&mut self.owned),
            used: 0,
        }
    }

    fn add(&mut self, owner: Owner, count: u32) -> Option<u32> {
        let base = self.used + 1;
        // One number less than there are, so that `used + 1` never wraps.
        self.used = self.used.checked_add(count).filter(|&used| used < u32::MAX)?;
        if count > 0 {
            self.ranges.push((base, owner));
        }
        Some(base)
    }

    /// Numbers for the defined functions of an instance; `None` if there are no more.
    pub(crate) fn add_instance(&mut self, instance: u32, count: u32) -> Option<u32> {
        self.add(Owner::Instance(instance), count)
    }

    pub(crate) fn add_hosts(&mut self, records: Arc<[HostRecord]>, owner: u32) -> u32 {
        let index = self.owned.len() as u32;
        let count = records.len() as u32;
        let seat = |record: &HostRecord| Seat {
            env: record.env,
            owner,
        };
        let seats = records.iter().map(seat).collect();
        self.owned.push(HostsOf { records, seats });
        self.add(Owner::Hosts(index), count)
            .expect("a store does not get four billion functions")
    }

    pub(crate) fn add_host(&mut self, record: Arc<HostRecord>) -> u32 {
        let index = self.hosts.len() as u32;
        self.hosts.push(record);
        self.add(Owner::Host(index), 1)
            .expect("a store does not get four billion functions")
    }
}

/// What a function reference stands for.
pub(crate) enum Resolved<'a> {
    Wasm {
        instance: u32,
        func: FuncIdx,
        signature: &'a Signature,
    },
    Host {
        record: &'a HostRecord,
        /// What its entry gets.
        env: usize,
    },
}

/// For whom an entry is made.
#[derive(Clone, Copy)]
pub(crate) enum View {
    /// Imports and shared tables.
    Shared,
    /// A private table of an instance.
    Private(u32),
    /// The entries with which an instance calls by reference.
    Callable(u32),
}

/// A function whose types are known to the Rust compiler, ready to be called.
pub struct TypedFunc<P, R> {
    func: FuncId,
    pub(crate) target: CallTarget,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P, R> TypedFunc<P, R> {
    /// The function.
    pub fn func(&self) -> FuncId {
        self.func
    }
}

impl<P, R> fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedFunc({:?})", self.func)
    }
}

/// Where a call from the host goes. Addresses stay valid as long as the store lives.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallTarget {
    Wasm { code: usize, context: usize },
    Host { entry: HostEntry, env: usize },
}

impl StoreOpaque {
    /// What a reference stands for; `None` for null and for numbers that were never given out.
    pub(crate) fn resolve(&self, reference: u32) -> Option<Resolved<'_>> {
        let space = &self.fields.funcs;
        if reference == 0 || reference > space.used {
            return None;
        }
        let after = space.ranges.partition_point(|&(base, _)| base <= reference);
        let (base, owner) = space.ranges[after.checked_sub(1)?];
        Some(match owner {
            Owner::Host(index) => {
                let record = &*space.hosts[index as usize];
                let env = record.env;
                Resolved::Host { record, env }
            }
            Owner::Hosts(index) => {
                let hosts = &space.owned[index as usize];
                let at = (reference - base) as usize;
                Resolved::Host {
                    record: &hosts.records[at],
                    env: std::ptr::from_ref(&hosts.seats[at]) as usize,
                }
            }
            Owner::Instance(index) => {
                let shape = self.fields.instances[index as usize].code.shape();
                let func = FuncIdx::from_u32(shape.imported_funcs + (reference - base));
                Resolved::Wasm {
                    instance: index,
                    func,
                    signature: shape.signature(func),
                }
            }
        })
    }

    fn resolve_id(&self, func: FuncId) -> Resolved<'_> {
        assert_store(self.id(), func.store());
        self.resolve(func.index() as u32)
            .expect("a function id names a function of its store")
    }

    /// Parameter and result types of a function.
    pub fn func_signature(&self, func: FuncId) -> &Signature {
        match self.resolve_id(func) {
            Resolved::Wasm { signature, .. } => signature,
            Resolved::Host { record, .. } => &record.signature,
        }
    }

    /// Number of a function's type in the engine.
    pub fn func_type_number(&self, func: FuncId) -> u32 {
        match self.resolve_id(func) {
            Resolved::Wasm { instance, func, .. } => {
                let code = &self.fields.instances[instance as usize].code;
                code.signatures[code.shape().funcs[func]]
            }
            Resolved::Host { record, .. } => record.number,
        }
    }

    pub(crate) fn call_target(&self, func: FuncId) -> Result<CallTarget, Error> {
        Ok(match self.resolve_id(func) {
            Resolved::Wasm { instance, func, .. } => {
                let instance = &self.fields.instances[instance as usize];
                CallTarget::Wasm {
                    code: instance.code.function(func)?,
                    context: instance.context.address(),
                }
            }
            Resolved::Host { record, env } => CallTarget::Host {
                entry: record.entry,
                env,
            },
        })
    }

    /// A function with types that the Rust compiler knows.
    ///
    /// # Errors
    /// [`Error::Type`] if the function has other types.
    pub fn typed<P: RawList, R: RawList>(&self, func: FuncId) -> Result<TypedFunc<P, R>, Error> {
        let signature = self.func_signature(func);
        if *signature.params != *P::TYPES || *signature.results != *R::TYPES {
            let wanted = Signature {
                params: P::TYPES.into(),
                results: R::TYPES.into(),
            };
            return Err(Error::Type(format!(
                "the function has the type {signature}, not {wanted}"
            )));
        }
        Ok(TypedFunc {
            func,
            target: self.call_target(func)?,
            types: PhantomData,
        })
    }

    /// The reference to a function; null for `None`.
    pub fn func_ref(&self, func: Option<FuncId>) -> FuncRef {
        FuncRef(func.map_or(0, |func| {
            assert_store(self.id(), func.store());
            func.index() as u32
        }))
    }

    /// The function of a reference; `None` for null and for numbers that were never given out.
    pub fn func_of(&self, reference: FuncRef) -> Option<FuncId> {
        self.resolve(reference.0)?;
        Some(FuncId::new(self.id(), reference.0))
    }

    /// The entry for a reference; the null entry for null and for numbers that name nothing.
    pub(crate) fn func_entry(&self, reference: u32, view: View) -> Result<FuncEntry, Error> {
        let (call, code, context, number) = match self.resolve(reference) {
            None => return Ok(FuncEntry::NULL),
            Some(Resolved::Host { record, env }) => (
                stub_address(Stub::Host(Width::of(
                    &record.signature.params,
                    &record.signature.results,
                ))),
                record.entry as usize,
                env,
                record.number,
            ),
            Some(Resolved::Wasm { instance, func, .. }) => {
                let owner = &self.fields.instances[instance as usize];
                let (code, context) = (owner.code.function(func)?, owner.context.address());
                let ty = owner.code.shape().funcs[func];
                if matches!(view, View::Private(reader) | View::Callable(reader) if reader == instance) {
                    return Ok(FuncEntry {
                        call: code,
                        code,
                        context,
                        signature: owner.code.shape().local_signature(ty),
                        reference,
                    });
                }
                // What needs nothing of its instance needs no stub that enters it.
                let call = match owner.code.is_detached(func) {
                    true => code,
                    false => stub_address(Stub::Foreign),
                };
                (call, code, context, owner.code.signatures[ty])
            }
        };
        let signature = match view {
            View::Shared | View::Callable(_) => number,
            View::Private(reader) => self.local_number(reader, number),
        };
        Ok(FuncEntry {
            call,
            code,
            context,
            signature,
            reference,
        })
    }

    /// The address of the entry with which an instance calls the function of a reference as one of this
    /// type. It is the function's until the instance calls another one whose entry has the same place.
    ///
    /// # Errors
    /// A trap if the reference is null, or the function neither of this type nor of one below it.
    pub(crate) fn callable_entry(
        &mut self,
        instance: u32,
        reference: u32,
        number: u32,
    ) -> Result<usize, Error> {
        if self.resolve(reference).is_none() {
            return Err(Error::trap(TrapCode::NullReference));
        }
        let found = self.func_type_number(FuncId::new(self.id(), reference));
        if !self.engine().is_subtype(found, number) {
            return Err(Error::trap(TrapCode::BadSignature));
        }
        let entry = FuncEntry {
            signature: number,
            ..self.func_entry(reference, View::Callable(instance))?
        };
        let caller = &mut self.fields.instances[instance as usize];
        let slot = caller.callable_slot(reference);
        *slot = entry;
        Ok(std::ptr::from_mut(slot) as usize)
    }

    /// The module-local number of an engine-wide one.
    fn local_number(&self, instance: u32, number: u32) -> u32 {
        let code = &self.fields.instances[instance as usize].code;
        let ty = code.signatures.iter().find(|&(_, &n)| n == number);
        ty.map_or(func_entry::FOREIGN_SIGNATURE, |(ty, _)| {
            code.shape().local_signature(ty)
        })
    }
}
