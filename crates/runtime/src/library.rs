//! Library calls: what guest code asks of the runtime (`cellwall_abi::library`).
//!
//! The stubs call these functions on the thread's own stack with five integers and the context.
//! Arguments are hostile: every number is checked here, whatever the compiler promised. A call
//! that takes long looks for an interruption between its chunks.

use crate::error::Error;
use crate::host::Outcome;
use crate::instance::range;
use crate::shared::{check_address, wait_time};
use crate::store::StoreOpaque;
use cellwall_abi::TrapCode;
use cellwall_base::{DataIdx, ElemIdx, FuncIdx, MemoryIdx, TableIdx};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

/// What a library function returns to its stub, in two registers.
#[repr(C)]
pub(crate) struct Answer {
    value: u64,
    /// Not 0 if the call leaves the guest; the outcome is in the store.
    status: u64,
}

/// Bytes between two looks for an interruption: a few milliseconds even if every page is new.
const CHUNK_BYTES: usize = 4 << 20;

/// A library call under way.
struct Call<'a> {
    store: &'a mut StoreOpaque,
    instance: u32,
    context: usize,
}

/// Runs the body of a library call.
///
/// # Safety
/// `context` is the context with which the guest that called the stub runs.
unsafe fn run(context: usize, body: impl FnOnce(&mut Call<'_>) -> Result<u64, Outcome>) -> Answer {
    // SAFETY: the guest's context belongs to a living store, which is the host's until the stub
    // returns.
    let store = unsafe { StoreOpaque::of_context(context) };
    // SAFETY: as above.
    let instance = unsafe { store.instance_of(context) };
    let mut call = Call {
        instance: instance.expect("guest code runs in instances").index() as u32,
        store: &mut *store,
        context,
    };
    let outcome = match catch_unwind(AssertUnwindSafe(|| body(&mut call))) {
        Ok(Ok(value)) => return Answer { value, status: 0 },
        Ok(Err(outcome)) => outcome,
        Err(panic) => Outcome::Panic(panic),
    };
    let status = u64::from(store.leave_by(outcome, context));
    Answer { value: 0, status }
}

macro_rules! library_functions {
    ($($name:ident($($arg:ident),*) = $body:expr;)*) => {$(
        pub(crate) unsafe extern "C" fn $name(
            a0: u64,
            a1: u64,
            a2: u64,
            a3: u64,
            a4: u64,
            context: usize,
        ) -> Answer {
            let call_body: fn(&mut Call<'_>, [u64; 5]) -> Result<u64, Outcome> =
                |call, args| {
                    #[allow(unused_variables, unused_mut, reason = "calls without parameters read none")]
                    let mut args = args.into_iter();
                    $(let $arg = args.next().expect("a row has at most five arguments");)*
                    let body: fn(&mut Call<'_>, $(library_functions!(@u64 $arg)),*) -> Result<u64, Outcome> = $body;
                    body(call, $($arg),*)
                };
            // SAFETY: the stub passes the context of the guest.
            unsafe { run(context, |call| call_body(call, [a0, a1, a2, a3, a4])) }
        }
    )*};
    (@u64 $arg:ident) => { u64 };
}

library_functions! {
    memory_grow(memory, delta) = |call, memory, delta| {
        let memory = call.memory(memory)?;
        let old = call.store.grow_memory(memory, delta).map_err(outcome)?;
        Ok(old.unwrap_or(u64::MAX))
    };
    memory_copy(to, from, dst, src, len) = |call, to, from, dst, src, len| {
        let (to, from) = (call.memory(to)?, call.memory(from)?);
        call.copy(to, from, dst, src, len)
    };
    memory_fill(memory, dst, value, len) = |call, memory, dst, value, len| {
        let memory = call.memory(memory)?;
        call.fill(memory, dst, value as u8, len)
    };
    memory_init(memory, segment, dst, src, len) = |call, memory, segment, dst, src, len| {
        let memory = call.memory(memory)?;
        let segment = DataIdx::from_u32(segment as u32);
        let (src, len) = (narrow(src), narrow(len));
        call.store.init_memory(call.instance, memory, segment, dst, src, len)?;
        Ok(0)
    };
    data_drop(segment) = |call, segment| {
        let dropped = &mut call.store.fields.instances[call.instance as usize].data_dropped;
        if let Some(dropped) = dropped.get_mut(DataIdx::from_u32(segment as u32)) {
            *dropped = true;
        }
        Ok(0)
    };
    table_get(table, index) = |call, table, index| {
        let table = call.table(table)?;
        let reference = call.store.fields.tables[table].get(index);
        Ok(u64::from(reference.ok_or(TrapCode::TableOutOfBounds)?))
    };
    table_set(table, index, value) = |call, table, index, value| {
        let table = call.table(table)?;
        call.store.fill_table(table, index, value as u32, 1).map_err(outcome)?;
        Ok(0)
    };
    table_grow(table, init, delta) = |call, table, init, delta| {
        let table = call.table(table)?;
        let old = call.store.grow_table(table, delta, init as u32).map_err(outcome)?;
        Ok(old.unwrap_or(u64::MAX))
    };
    table_fill(table, dst, value, len) = |call, table, dst, value, len| {
        let table = call.table(table)?;
        call.store.fill_table(table, dst, value as u32, len).map_err(outcome)?;
        Ok(0)
    };
    table_copy(to, from, dst, src, len) = |call, to, from, dst, src, len| {
        let (to, from) = (call.table(to)?, call.table(from)?);
        call.store.copy_table(to, dst, from, src, len).map_err(outcome)?;
        Ok(0)
    };
    table_init(table, segment, dst, src, len) = |call, table, segment, dst, src, len| {
        let table = call.table(table)?;
        let segment = ElemIdx::from_u32(segment as u32);
        let (src, len) = (narrow(src), narrow(len));
        call.store.init_table(call.instance, table, segment, dst, src, len).map_err(outcome)?;
        Ok(0)
    };
    elem_drop(segment) = |call, segment| {
        let dropped = &mut call.store.fields.instances[call.instance as usize].elem_dropped;
        if let Some(dropped) = dropped.get_mut(ElemIdx::from_u32(segment as u32)) {
            *dropped = true;
        }
        Ok(0)
    };
    throw_ref(exception) = |call, exception| {
        let thrown = call.store.throw_again(exception as u32, call.context);
        Err(thrown.unwrap_or(Outcome::Trap(TrapCode::NullReference)))
    };
    atomic_wait32(memory, address, expected, timeout) = |call, memory, address, expected, timeout| {
        call.wait(memory, (address, 4), narrow(expected), timeout)
    };
    atomic_wait64(memory, address, expected, timeout) = |call, memory, address, expected, timeout| {
        call.wait(memory, (address, 8), expected, timeout)
    };
    atomic_notify(memory, address, count) = |call, memory, address, count| {
        let memory = &call.store.fields.memories[call.memory(memory)?];
        Ok(match memory.shared() {
            Some(shared) => shared.notify(address, count as u32)?.into(),
            None => {
                check_address(address, 4, memory.bytes())?;
                0
            }
        })
    };
    ref_func(func) = |call, func| {
        let instance = &call.store.fields.instances[call.instance as usize];
        let reference = instance.func_reference(FuncIdx::from_u32(func as u32));
        Ok(u64::from(reference.ok_or(TrapCode::NullReference)?))
    };
}

/// A 32-bit argument without what lies above it.
fn narrow(value: u64) -> u64 {
    u64::from(value as u32)
}

fn outcome(error: Error) -> Outcome {
    match error {
        Error::Trap { code, .. } => Outcome::Trap(code),
        Error::Host { error, .. } => Outcome::Host(error),
        Error::Limit(text) => Outcome::Limit(text),
        // Only code that no compiler of ours made asks for what types forbid.
        _ => Outcome::Trap(TrapCode::NullReference),
    }
}

impl Call<'_> {
    /// The number in the store of a memory of the instance.
    fn memory(&self, memory: u64) -> Result<usize, TrapCode> {
        let instance = &self.store.fields.instances[self.instance as usize];
        let number = instance.memories.get(MemoryIdx::from_u32(memory as u32));
        number
            .map(|&number| number as usize)
            .ok_or(TrapCode::MemoryOutOfBounds)
    }

    /// The number in the store of a table of the instance.
    fn table(&self, table: u64) -> Result<usize, TrapCode> {
        let instance = &self.store.fields.instances[self.instance as usize];
        let number = instance.tables.get(TableIdx::from_u32(table as u32));
        number
            .map(|&number| number as usize)
            .ok_or(TrapCode::TableOutOfBounds)
    }

    /// Whether the call that is under way is to end.
    fn interrupted(&self) -> bool {
        // SAFETY: a guest called, so that its activation is under way.
        let activation = unsafe { self.store.fields.activation.get().as_ref() };
        activation.is_some_and(|activation| activation.mark.load(Ordering::Relaxed) != 0)
    }

    /// Whether the engine was interrupted since the call began, on whatever thread the word of it is.
    fn outdated(&self) -> bool {
        // SAFETY: a guest called, so that its activation is under way.
        let activation = unsafe { self.store.fields.activation.get().as_ref() };
        let epoch = self.store.fields.engine.0.epoch();
        self.store.fields.is_stopped()
            || activation.is_some_and(|activation| activation.start_epoch.get() < epoch)
    }

    fn wait(
        &mut self,
        memory: u64,
        (address, bytes): (u64, u32),
        expected: u64,
        timeout: u64,
    ) -> Result<u64, Outcome> {
        let memory = &self.store.fields.memories[self.memory(memory)?];
        let Some(shared) = memory.shared() else {
            check_address(address, bytes, memory.bytes())?;
            return Err(TrapCode::ExpectedSharedMemory.into());
        };
        let shared = shared.clone();
        let ended = shared.wait(address, bytes, expected, wait_time(timeout as i64), || {
            self.outdated()
        })?;
        Ok(ended.into())
    }

    fn fill(&mut self, memory: usize, dst: u64, value: u8, len: u64) -> Result<u64, Outcome> {
        let have = self.store.fields.memories[memory].bytes() as u64;
        let to = range(dst, len, have).ok_or(TrapCode::MemoryOutOfBounds)?;
        for start in to.clone().step_by(CHUNK_BYTES) {
            let chunk = start..to.end.min(start + CHUNK_BYTES);
            self.store.fields.memories[memory].fill(chunk, value);
            if self.interrupted() {
                break;
            }
        }
        Ok(0)
    }

    fn copy(&mut self, to: usize, from: usize, dst: u64, src: u64, len: u64) -> Result<u64, Outcome> {
        let memories = &mut self.store.fields.memories;
        let trap = TrapCode::MemoryOutOfBounds;
        let source = range(src, len, memories[from].bytes() as u64).ok_or(trap)?;
        let target = range(dst, len, memories[to].bytes() as u64).ok_or(trap)?;
        if to != from {
            for done in (0..source.len()).step_by(CHUNK_BYTES) {
                let len = CHUNK_BYTES.min(source.len() - done);
                let chunk = (source.start + done, target.start + done, len);
                copy_between(&mut self.store.fields.memories, from, to, chunk);
                if self.interrupted() {
                    break;
                }
            }
            return Ok(0);
        }
        // Chunks go in the direction that reads each byte before it is overwritten.
        let chunks = source.len().div_ceil(CHUNK_BYTES);
        for i in 0..chunks {
            let i = if target.start <= source.start {
                i
            } else {
                chunks - 1 - i
            };
            let start = source.start + i * CHUNK_BYTES;
            let end = source.end.min(start + CHUNK_BYTES);
            let to = &mut self.store.fields.memories[to];
            to.copy_within(start, target.start + i * CHUNK_BYTES, end - start);
            if self.interrupted() {
                break;
            }
        }
        Ok(0)
    }
}

/// Copies `(src, dst, len)` between two different memories.
fn copy_between(
    memories: &mut [crate::memory::Memory],
    from: usize,
    to: usize,
    (src, dst, len): (usize, usize, usize),
) {
    let [from, to] = memories
        .get_disjoint_mut([from, to])
        .expect("two different memories of the store");
    match (from.shared(), to.shared()) {
        (None, _) => to.write(dst, &from.as_slice()[src..src + len]),
        (Some(_), None) => from.read(src, &mut to.as_mut_slice()[dst..dst + len]),
        (Some(from), Some(to)) => {
            let mut buffer = [0; 4096];
            for done in (0..len).step_by(buffer.len()) {
                let part = &mut buffer[..len.min(done + 4096) - done];
                from.read(src + done, part).expect("the caller checked bounds");
                to.write(dst + done, part).expect("the caller checked bounds");
            }
        }
    }
}

/// The address of the entry of the function that a reference names, if it is of the type with this
/// number; all three are the guest's.
///
/// # Safety
/// `context` is the context with which the guest that called the stub runs.
pub(crate) unsafe extern "C" fn call_ref(reference: u64, number: u64, context: usize) -> Answer {
    // SAFETY: the caller's promise.
    unsafe {
        run(context, |call| {
            let entry = call
                .store
                .callable_entry(call.instance, reference as u32, number as u32);
            Ok(entry.map_err(outcome)? as u64)
        })
    }
}
