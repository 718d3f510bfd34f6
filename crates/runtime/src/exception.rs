//! Exceptions: tags, the objects that references name, and the walk that finds who catches one.
//!
//! A throw is a call of a host function, made for the tag (`throw_entry`), or the library call
//! `throw_ref`. Either looks through the guest frames of the activation for a landing pad whose tag
//! fits, with the frame sizes that the verifier proved, and has the stub go on there; nothing is
//! executed on the way, and no register but the pinned ones is restored: a landing pad relies on its
//! frame alone. What nobody catches leaves the guest as an error, and the host may hand it on.
//!
//! An exception becomes an object, with a number that guests pass around as `exnref`, only where
//! somebody wants a reference; otherwise its values go from the throw to the landing pad without one.
//! Objects that nothing refers to are dropped when there are twice as many as were left the last time:
//! tables, globals, other exceptions and the host are asked exactly, stacks are looked through for
//! words that may be references. So a loop may throw for ever.
//!
//! Requires that the block holds the values of a throw. Guarantees that a number which means nothing
//! (a forged one, or one kept where it must not be) names nothing or another exception of the store.

use crate::activation::Activation;
use crate::backtrace::FOREIGN_FRAME_BYTES;
use crate::error::Error;
use crate::func::FuncEntry;
use crate::host::Outcome;
use crate::id::{TagId, assert_store};
use crate::store::StoreOpaque;
use crate::sys::{self, StubPlace, is_foreign_return, stub_at};
use crate::value::{ExnRef, RawVal};
use cellwall_abi::blob::LandingPad;
use cellwall_abi::convention::Assigner;
use cellwall_abi::{Signature, ValType};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exceptions that one store can hold at a time: what the numbers of references tell apart.
pub const EXCEPTIONS_MAX: usize = SLOT_MASK as usize;
/// Bytes that the values of all exceptions of a store can take.
pub const EXCEPTION_BYTES_MAX: usize = 256 << 20;

/// Exceptions up to which nothing is dropped.
const KEPT_MIN: usize = 1024;
/// Bytes of values up to which nothing is dropped.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// The part of a reference that says where the object is; the rest says which one it was there.
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
const SLOT_BITS: u32 = 20;

/// What a host function returns as its error to have the pending exception of the store thrown, and
/// what a call that an exception left has as its error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThrownException;

impl fmt::Display for ThrownException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("thrown Wasm exception")
    }
}

impl std::error::Error for ThrownException {}

/// What the stubs go on with if an exception was caught.
pub(crate) const CAUGHT: u32 = 2;

/// A tag of a store.
#[derive(Debug)]
pub(crate) struct Tag {
    /// The number of its type in the engine.
    number: u32,
    signature: Arc<Signature>,
}

/// An exception that guests or the host may refer to.
#[derive(Debug)]
struct Exception {
    tag: u32,
    values: Box<[RawVal]>,
    /// Of how many exceptions it is.
    birth: u64,
    /// Whether the host has a reference: it stays as long as the store.
    pinned: AtomicBool,
    marked: bool,
}

#[derive(Debug, Default)]
struct Slot {
    /// Counts the objects that were here.
    generation: u32,
    exception: Option<Exception>,
}

/// The exceptions of a store.
#[derive(Debug, Default)]
pub(crate) struct Exceptions {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many there have been.
    births: u64,
    live: usize,
    live_bytes: usize,
    /// From how many on the next look for what nothing refers to is due.
    due: usize,
    due_bytes: usize,
    /// The exception under way: its tag, its values, and its reference, if it has one.
    tag: u32,
    values: Vec<RawVal>,
    reference: u32,
    /// The one that left the guest, for the host to take.
    pending: u32,
}

impl Exceptions {
    fn slot_of(reference: u32) -> usize {
        ((reference & SLOT_MASK) as usize).wrapping_sub(1)
    }

    fn get(&self, reference: u32) -> Option<&Exception> {
        let slot = self.slots.get(Self::slot_of(reference))?;
        (slot.generation == reference >> SLOT_BITS).then_some(slot.exception.as_ref()?)
    }

    fn get_mut(&mut self, reference: u32) -> Option<&mut Exception> {
        let slot = self.slots.get_mut(Self::slot_of(reference))?;
        (slot.generation == reference >> SLOT_BITS).then_some(slot.exception.as_mut()?)
    }

    /// How many there have been so far.
    pub(crate) fn births(&self) -> u64 {
        self.births
    }

    /// Whether it is time to look before another one with so many bytes of values is made.
    fn is_due(&self, bytes: usize) -> bool {
        self.live >= self.due.max(KEPT_MIN)
            || self.live_bytes >= self.due_bytes.max(KEPT_BYTES_MIN)
            || self.live_bytes + bytes > EXCEPTION_BYTES_MAX
    }

    /// Makes an object; its reference.
    fn add(&mut self, tag: u32, values: Box<[RawVal]>) -> Result<u32, String> {
        let bytes = size_of_val(&*values);
        if self.live >= EXCEPTIONS_MAX || self.live_bytes + bytes > EXCEPTION_BYTES_MAX {
            return Err(format!(
                "a store holds at most {EXCEPTIONS_MAX} exceptions with {EXCEPTION_BYTES_MAX} bytes of values"
            ));
        }
        let at = self.free.pop().unwrap_or_else(|| {
            // Small numbers are frequent on stacks; generations start where few are.
            self.slots.push(Slot {
                generation: 0x5a5,
                exception: None,
            });
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[at as usize];
        slot.exception = Some(Exception {
            tag,
            values,
            birth: self.births,
            pinned: AtomicBool::new(false),
            marked: false,
        });
        self.births += 1;
        self.live += 1;
        self.live_bytes += bytes;
        Ok(slot.generation << SLOT_BITS | (at + 1))
    }

    /// Marks what a reference names; whether it was not marked before.
    fn mark(&mut self, reference: u32, work: &mut Vec<u32>) {
        if let Some(exception) = self.get_mut(reference)
            && !std::mem::replace(&mut exception.marked, true)
        {
            work.push(reference);
        }
    }

    /// Marks what marked exceptions hold, and drops what is not marked. So many places were looked at to find
    /// out.
    fn sweep(&mut self, mut work: Vec<u32>, looked: usize) {
        while let Some(reference) = work.pop() {
            let held: Vec<u32> = self.get(reference).map_or(Vec::new(), |exception| {
                let values = exception.values.iter();
                values
                    .filter_map(|&value| match value {
                        RawVal::ExnRef(ExnRef(held)) => Some(held),
                        _ => None,
                    })
                    .collect()
            });
            held.into_iter().for_each(|held| self.mark(held, &mut work));
        }
        for (at, slot) in self.slots.iter_mut().enumerate() {
            match &mut slot.exception {
                Some(exception) if exception.marked => exception.marked = false,
                Some(exception) => {
                    self.live -= 1;
                    self.live_bytes -= size_of_val(&*exception.values);
                    slot.exception = None;
                    slot.generation = (slot.generation + 1) & (u32::MAX >> SLOT_BITS);
                    self.free.push(at as u32);
                }
                None => {}
            }
        }
        // The next look is worth what it costs, and comes before the limits; there is room for those of the host,
        // which looks at nothing.
        let worth = ((looked + self.slots.len()) / 8).min(EXCEPTIONS_MAX / 4);
        self.due = (self.live + self.live.max(worth)).min(EXCEPTIONS_MAX);
        self.due_bytes = self.live_bytes + self.live_bytes.max(looked);
    }
}

/// Where an exception is caught.
struct Catcher {
    /// Address of the return address of the call that it left.
    place: usize,
    context: usize,
    /// Address of the landing pad.
    pc: usize,
    pad: LandingPad,
    instance: usize,
}

impl StoreOpaque {
    /// Makes a tag of the type with this number in the engine and this signature, whose parameters are
    /// the values of an exception.
    ///
    /// # Panics
    /// After four billion tags.
    pub fn new_tag(&mut self, number: u32, signature: Arc<Signature>) -> TagId {
        let index = u32::try_from(self.fields.tags.len()).expect("tags have numbers of 32 bits");
        self.fields.tags.push(Tag { number, signature });
        TagId::new(self.id(), index)
    }

    /// The type of a tag: its parameters are the values of an exception.
    pub fn tag_signature(&self, tag: TagId) -> &Signature {
        assert_store(self.id(), tag.store());
        &self.fields.tags[tag.index()].signature
    }

    /// The number of the type of a tag in the engine.
    pub fn tag_type_number(&self, tag: TagId) -> u32 {
        assert_store(self.id(), tag.store());
        self.fields.tags[tag.index()].number
    }

    /// What guest code calls to throw an exception with a tag.
    pub(crate) fn tag_entry(&self, tag: TagId) -> FuncEntry {
        FuncEntry::of_tag(self.tag_signature(tag), throw_entry, tag.index())
    }

    /// Makes an exception.
    ///
    /// # Errors
    /// [`Error::Type`] if the values are not those of the tag, [`Error::Limit`] if the store holds too
    /// many.
    pub fn new_exception(&mut self, tag: TagId, values: &[RawVal]) -> Result<ExnRef, Error> {
        let signature = self.tag_signature(tag);
        let given = values.iter().map(|value| value.ty());
        if !given.eq(signature.params.iter().copied()) {
            return Err(Error::Type(format!(
                "the values of an exception are not those of its tag, {signature}"
            )));
        }
        let record = self.engine().type_record(self.tag_type_number(tag));
        for (i, &value) in values.iter().enumerate() {
            self.check_exact(value, record.param_ref(i))?;
        }
        let made = self.fields.exceptions.add(tag.index() as u32, values.into());
        let exception = ExnRef(made.map_err(Error::Limit)?);
        self.pin_exception(exception);
        Ok(exception)
    }

    /// Keeps an exception until the store is dropped, because the host has a reference to it. Whether
    /// there is one.
    pub fn pin_exception(&self, exception: ExnRef) -> bool {
        let found = self.fields.exceptions.get(exception.0);
        found
            .map(|exception| exception.pinned.store(true, Ordering::Relaxed))
            .is_some()
    }

    /// The tag and the values of an exception; `None` for null and for numbers that name nothing.
    pub fn exception(&self, exception: ExnRef) -> Option<(TagId, &[RawVal])> {
        let found = self.fields.exceptions.get(exception.0)?;
        Some((TagId::new(self.id(), found.tag), &found.values))
    }

    /// Makes an exception the pending one: a host function that returns [`ThrownException`] next
    /// throws it.
    pub fn set_pending_exception(&mut self, exception: ExnRef) {
        self.fields.exceptions.pending = exception.0;
    }

    /// The exception that left the guest, or that the host set last; there is none afterwards. It is
    /// the host's from now on.
    pub fn take_pending_exception(&mut self) -> Option<ExnRef> {
        let pending = ExnRef(std::mem::take(&mut self.fields.exceptions.pending));
        self.pin_exception(pending).then_some(pending)
    }

    /// Whether an exception is pending.
    pub fn has_pending_exception(&self) -> bool {
        self.exception(ExnRef(self.fields.exceptions.pending)).is_some()
    }

    /// Throws the pending exception in the guest code of a context; `None` if there is none.
    pub(crate) fn throw_pending(&mut self, context: usize) -> Option<Outcome> {
        let reference = std::mem::take(&mut self.fields.exceptions.pending);
        self.throw_again(reference, context)
    }

    /// Throws an exception again; `None` if there is no such exception.
    pub(crate) fn throw_again(&mut self, reference: u32, context: usize) -> Option<Outcome> {
        let exceptions = &mut self.fields.exceptions;
        let slot = exceptions.slots.get(Exceptions::slot_of(reference))?;
        let found = (slot.generation == reference >> SLOT_BITS).then_some(slot.exception.as_ref()?)?;
        exceptions.tag = found.tag;
        exceptions.values.clear();
        exceptions.values.extend_from_slice(&found.values);
        exceptions.reference = reference;
        Some(self.unwind(context))
    }

    /// Finds who catches the exception under way, and has the stub go on there; otherwise it is
    /// pending, and leaves the guest.
    fn unwind(&mut self, context: usize) -> Outcome {
        let top = self.fields.activation.get();
        // SAFETY: a guest called, so that its activation is under way.
        let catcher = unsafe { top.as_ref() }.and_then(|top| self.catcher(top, context));
        let (Some(catcher), false) = (catcher, top.is_null()) else {
            return match self.reference_now(None) {
                Ok(reference) => {
                    self.fields.exceptions.pending = reference;
                    Outcome::Thrown
                }
                Err(limit) => Outcome::Limit(limit),
            };
        };
        let reference = match catcher.pad.with_ref {
            true => match self.reference_now(Some(catcher.place)) {
                Ok(reference) => reference,
                Err(limit) => return Outcome::Limit(limit),
            },
            false => 0,
        };
        let mut places = Assigner::results();
        let place = places.next(ValType::ExnRef);
        self.block_mut()
            .write_val(place.block_offset(), RawVal::ExnRef(ExnRef(reference)));
        if catcher.pad.tag.is_some() {
            for at in 0..self.fields.exceptions.values.len() {
                let value = self.fields.exceptions.values[at];
                let place = places.next(value.ty());
                self.block_mut().write_val(place.block_offset(), value);
            }
        }
        debug_assert!(catcher.instance < self.fields.instances.len());
        // SAFETY: as above.
        let activation = unsafe { &*top };
        activation.guest_rsp.set(catcher.place);
        activation.resume_context.set(catcher.context);
        activation.resume_pc.set(catcher.pc);
        Outcome::Caught
    }

    /// Walks the frames of an activation, from the code of a context on, up to one with a landing pad
    /// for the exception under way. What does not fit ends the walk, and so does a frame of another
    /// component instance.
    fn catcher(&self, activation: &Activation, mut context: usize) -> Option<Catcher> {
        let tag = self.fields.exceptions.tag;
        // Address of the word with the next return address.
        let mut place = activation.guest_rsp.get();
        // SAFETY: contexts of the store are those of its instances.
        let mut instance = unsafe { self.instance_of(context) }?.index();
        let component = self.fields.instances.get(instance)?.component;
        // Ends: the place grows in each round and stays on the stack.
        while activation.stack.has_word(place) {
            // SAFETY: on the cell stack of an activation that is under way.
            let address = unsafe { *(place as *const usize) };
            if is_foreign_return(address) {
                // The stub keeps the pinned registers of its caller: the memory base, the context.
                // SAFETY: the frame of the stub lies on the stack, above its return address.
                context = unsafe { *((place + 16) as *const usize) };
                // SAFETY: only the stub writes there, and it writes contexts of this store.
                instance = unsafe { self.instance_of(context) }?.index();
                if self.fields.instances.get(instance)?.component != component {
                    return None;
                }
                place += 8 + FOREIGN_FRAME_BYTES;
                continue;
            }
            if stub_at(address) == Some(StubPlace::EnterReturn) {
                return None;
            }
            let owner = self.fields.instances.get(instance)?;
            let artifact = owner.code.artifact();
            // The call may be the last instruction of its function.
            let pc = owner.code.pc_of(address - 1)?;
            for &pad in artifact.pads_at(pc + 1) {
                if pad.tag.is_none_or(|wanted| owner.tags[wanted] == tag) {
                    return Some(Catcher {
                        place,
                        context,
                        pc: owner.code.start() + pad.pad as usize,
                        pad,
                        instance,
                    });
                }
            }
            place += 8 + artifact.frame_bytes_at(pc)? as usize;
        }
        None
    }

    /// A reference to the exception under way. `place` is where the stack that stays begins; `None`
    /// if the guest is left.
    fn reference_now(&mut self, place: Option<usize>) -> Result<u32, String> {
        if self.fields.exceptions.reference != 0 {
            return Ok(self.fields.exceptions.reference);
        }
        let bytes = size_of_val(&*self.fields.exceptions.values);
        if self.fields.exceptions.is_due(bytes) {
            self.drop_unreachable(place);
        }
        let exceptions = &mut self.fields.exceptions;
        let values = exceptions.values.as_slice().into();
        exceptions.add(exceptions.tag, values)
    }

    /// Drops the exceptions that nothing refers to.
    ///
    /// What is alive in guest frames lies in them from where the exception is caught: there, no
    /// register holds anything. Guests that wait below, for host functions that called again, may have
    /// references in registers, so what is older than the call around this stays.
    fn drop_unreachable(&mut self, place: Option<usize>) {
        let (mut work, mut looked) = (Vec::new(), 0);
        let mut exceptions = std::mem::take(&mut self.fields.exceptions);
        let values = std::mem::take(&mut exceptions.values);
        for value in &values {
            if let RawVal::ExnRef(ExnRef(reference)) = *value {
                exceptions.mark(reference, &mut work);
            }
        }
        // SAFETY: activations of a store are under way while they are in its chain.
        let top = unsafe { self.fields.activation.get().as_ref() };
        let older = top.map_or(0, |top| top.births.get());
        for at in 0..exceptions.slots.len() {
            let slot = &exceptions.slots[at];
            let Some(exception) = &slot.exception else {
                continue;
            };
            if exception.pinned.load(Ordering::Relaxed) || exception.birth < older {
                let reference = slot.generation << SLOT_BITS | (at as u32 + 1);
                exceptions.mark(reference, &mut work);
            }
        }
        let pending = exceptions.pending;
        exceptions.mark(pending, &mut work);
        if let (Some(top), Some(mut place)) = (top, place) {
            // Ends: the place grows in each round and stays on the stack.
            while top.stack.has_word(place) {
                // SAFETY: on the cell stack of an activation that is under way.
                let word = unsafe { *(place as *const u64) };
                exceptions.mark(word as u32, &mut work);
                exceptions.mark((word >> 32) as u32, &mut work);
                (place, looked) = (place + 8, looked + 1);
            }
        }
        for table in &self.fields.tables {
            for reference in table.exceptions() {
                exceptions.mark(reference, &mut work);
                looked += 1;
            }
        }
        for reference in self.exceptions_in_globals() {
            looked += 1;
            exceptions.mark(reference, &mut work);
        }
        exceptions.sweep(work, looked);
        exceptions.values = values;
        self.fields.exceptions = exceptions;
    }
}

/// Throws an exception with the tag `env`, whose values are in the block as arguments are.
pub(crate) unsafe extern "C" fn throw_entry(env: usize, context: usize) -> u32 {
    // SAFETY: the stub passes the context of the guest, whose store is the host's until this returns.
    let store = unsafe { StoreOpaque::of_context(context) };
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        let fields = &mut store.fields;
        let mut values = std::mem::take(&mut fields.exceptions.values);
        values.clear();
        let mut places = Assigner::params();
        // SAFETY: allocated as long as the store lives; no guest runs now.
        let block = unsafe { fields.block.as_ref() };
        for &ty in &fields.tags[env].signature.params {
            values.push(block.read_val(places.next(ty).block_offset(), ty));
        }
        fields.exceptions.values = values;
        fields.exceptions.tag = env as u32;
        fields.exceptions.reference = 0;
        store.unwind(context)
    }));
    let outcome = thrown.unwrap_or_else(Outcome::Panic);
    store.leave_by(outcome, context)
}

impl StoreOpaque {
    /// Notes why host code leaves its caller, for the stub: what to return to it.
    #[cold]
    pub(crate) fn leave_by(&mut self, outcome: Outcome, context: usize) -> u32 {
        if let Outcome::Caught = outcome {
            return CAUGHT;
        }
        self.fields.outcome = Some((outcome, context));
        1
    }
}

const _: () = assert!(sys::CAUGHT_STATUS == CAUGHT);

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many exceptions every `keep`th is still referred to after a look at so many places.
    fn swept(count: usize, keep: usize, looked: usize) -> Exceptions {
        let mut exceptions = Exceptions::default();
        let mut work = Vec::new();
        for i in 0..count {
            let reference = exceptions.add(0, Box::new([])).expect("there is room");
            if i % keep == 0 {
                exceptions.mark(reference, &mut work);
            }
        }
        exceptions.sweep(work, looked);
        exceptions
    }

    /// How many more are made until the next look is due.
    fn until_due(mut exceptions: Exceptions) -> usize {
        let mut more = 0;
        while !exceptions.is_due(0) {
            exceptions
                .add(0, Box::new([]))
                .expect("a look is due before the limit");
            more += 1;
        }
        more
    }

    #[test]
    fn a_look_is_due_when_it_is_worth_what_it_costs() {
        assert_eq!(until_due(swept(KEPT_MIN, 2, 10)), KEPT_MIN / 2);
        assert_eq!(until_due(swept(10_000, 2, 10)), 5_000);
        assert_eq!(until_due(swept(10_000, 2, 790_000)), 100_000);
        assert_eq!(until_due(swept(10_000, 2, 1 << 30)), EXCEPTIONS_MAX / 4);
        // Slots stay, and are looked at, too.
        assert_eq!(until_due(swept(800_000, 800_000, 0)), 100_000);
        // Before the limit, however many are left.
        let most = EXCEPTIONS_MAX - 1000;
        assert_eq!(until_due(swept(most, 1, 1 << 30)), 1000);
    }

    #[test]
    fn a_look_is_due_before_values_are_too_many() {
        let mut exceptions = Exceptions {
            live_bytes: EXCEPTION_BYTES_MAX - 100,
            due_bytes: usize::MAX,
            ..Exceptions::default()
        };
        assert!(!exceptions.is_due(100) && exceptions.is_due(101));
        exceptions.due_bytes = 0;
        assert!(exceptions.is_due(0));
    }
}
