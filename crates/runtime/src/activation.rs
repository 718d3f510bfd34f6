//! Activations: one per call from host to guest that is under way, on the host's stack (on the heap
//! if the call may be parked), known to the stubs, to the signal handlers of its thread and to the walk
//! of frames.
//!
//! Guarantees that what handlers read is always whole: an activation is complete before it is the
//! top of its thread, and every field that changes later is one word. The decisions of the
//! handlers are here ([`fault`], [`interruption`]); they allocate nothing and take no lock.

use crate::arena::in_arena;
use crate::engine::EngineInner;
use crate::stack::StackRange;
use crate::store;
use crate::sys::{StubPlace, stub_at};
use crate::thread::{self, Thread};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// How a call from host to guest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Status {
    /// It returned; results are in the block.
    Returned = 0,
    /// A host function or library call left an outcome in the store.
    Outcome = 1,
    /// A fault in guest code, or in `foreign` at the end of the stack.
    Fault = 2,
    /// Interrupted at an arbitrary place in guest code.
    Stopped = 3,
    /// Interrupted at a call boundary.
    Marked = 4,
    /// An instance that must not be entered was called.
    Poisoned = 5,
    /// Interrupted before anything ran.
    Early = 6,
    /// A host function has to wait: the guest goes on later.
    Parked = 7,
}

impl Status {
    pub(crate) fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Returned,
            1 => Self::Outcome,
            2 => Self::Fault,
            3 => Self::Stopped,
            4 => Self::Marked,
            5 => Self::Poisoned,
            6 => Self::Early,
            7 => Self::Parked,
            _ => unreachable!("the stubs return statuses of the table only"),
        }
    }
}

/// What kind of fault the processor reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FaultKind {
    /// Access to an address without permission.
    Address,
    /// A division error.
    Arithmetic,
    /// An undefined instruction, such as `ud2`.
    Undefined,
    /// Anything else.
    Other,
}

/// The registers that matter where a thread was stopped.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    /// Program counter.
    pub(crate) pc: usize,
    /// Stack pointer.
    pub(crate) sp: usize,
    /// The pinned context register.
    pub(crate) context: usize,
}

/// Where a signal handler sends its thread.
pub(crate) struct Leave {
    /// The activation to leave.
    pub(crate) activation: usize,
    /// The raw status with which it ends.
    pub(crate) status: u32,
}

/// One call from host to guest.
#[repr(C)]
pub(crate) struct Activation {
    /// The host's stack pointer while the guest runs; set by `enter`.
    pub(crate) host_rsp: Cell<usize>,
    /// The guest's stack pointer while the host runs, at the return address of the guest's call.
    pub(crate) guest_rsp: Cell<usize>,
    /// The guest's `rbx` while the host runs, which the stubs use.
    pub(crate) guest_rbx: Cell<usize>,
    /// Where to go on if an exception was caught: the context,
    pub(crate) resume_context: Cell<usize>,
    /// and the address of the landing pad.
    pub(crate) resume_pc: Cell<usize>,
    /// What else the guest had in registers when it was parked: callee-saved ones,
    pub(crate) guest_rbp: Cell<usize>,
    pub(crate) guest_r12: Cell<usize>,
    pub(crate) guest_r13: Cell<usize>,
    /// and the pinned context.
    pub(crate) guest_context: Cell<usize>,
    /// The [`Context`](std::task::Context) of the poll that the call is part of, if it may be parked; null otherwise.
    pub(crate) task: Cell<*mut c_void>,
    /// How many exceptions there had been when the call started; 0 for an outermost one.
    pub(crate) births: Cell<u64>,
    /// Not 0 once the call is to end with an interruption.
    pub(crate) mark: AtomicU32,
    /// Interruptions that the engine had seen when the call started.
    pub(crate) start_epoch: Cell<u64>,
    /// Where the walk of frames ends.
    pub(crate) stack: StackRange,
    /// Address of the store, which the stubs reach through the context: here it escapes, so that the
    /// compiler knows that they may.
    store: Cell<usize>,
    pub(crate) engine: *const EngineInner,
    /// The activation below on this thread: what was on top when this one was put there last.
    pub(crate) below_on_thread: Cell<*const Activation>,
    /// The activation below in this store.
    pub(crate) below_in_store: *const Activation,
    /// What was going on when a handler ended the call.
    pub(crate) machine: Cell<Machine>,
    pub(crate) fault: Cell<(FaultKind, usize)>,
}

impl Activation {
    /// One that is not under way: before it is, [`ready`](Self::ready) has to make it of an engine.
    pub(crate) const fn idle() -> Self {
        Self {
            host_rsp: Cell::new(0),
            guest_rsp: Cell::new(0),
            guest_rbx: Cell::new(0),
            resume_context: Cell::new(0),
            resume_pc: Cell::new(0),
            guest_rbp: Cell::new(0),
            guest_r12: Cell::new(0),
            guest_r13: Cell::new(0),
            guest_context: Cell::new(0),
            task: Cell::new(ptr::null_mut()),
            births: Cell::new(0),
            mark: AtomicU32::new(0),
            start_epoch: Cell::new(u64::MAX),
            stack: StackRange {
                guard: 0,
                low: 0,
                high: 0,
            },
            store: Cell::new(0),
            engine: ptr::null(),
            below_on_thread: Cell::new(ptr::null()),
            below_in_store: ptr::null(),
            machine: Cell::new(Machine {
                pc: 0,
                sp: 0,
                context: 0,
            }),
            fault: Cell::new((FaultKind::Other, 0)),
        }
    }

    /// One that is not under way, for outermost calls in an engine.
    pub(crate) const fn ready(engine: &EngineInner, stack: StackRange) -> Self {
        Self {
            stack,
            engine,
            ..Self::idle()
        }
    }

    #[inline]
    pub(crate) fn new(
        thread: &Thread,
        engine: &EngineInner,
        store: usize,
        stack: StackRange,
        below_in_store: *const Activation,
    ) -> Self {
        Self {
            host_rsp: Cell::new(0),
            guest_rsp: Cell::new(0),
            guest_rbx: Cell::new(0),
            resume_context: Cell::new(0),
            resume_pc: Cell::new(0),
            guest_rbp: Cell::new(0),
            guest_r12: Cell::new(0),
            guest_r13: Cell::new(0),
            guest_context: Cell::new(0),
            task: Cell::new(ptr::null_mut()),
            births: Cell::new(0),
            mark: AtomicU32::new(0),
            start_epoch: Cell::new(u64::MAX),
            stack,
            store: Cell::new(store),
            engine,
            below_on_thread: Cell::new(thread.top.get()),
            below_in_store,
            machine: Cell::new(Machine::default()),
            fault: Cell::new((FaultKind::Other, 0)),
        }
    }

    /// Says in which store it is used next.
    #[inline]
    pub(crate) fn set_store(&self, store: usize) {
        self.store.set(store);
    }

    /// Whether no call is under way below it.
    #[inline]
    pub(crate) fn is_outermost(&self) -> bool {
        self.below_on_thread.get().is_null() && self.below_in_store.is_null()
    }

    /// When the oldest call started that this one is part of, at most `epoch`: a call inside an
    /// interrupted one of the same engine is interrupted too.
    pub(crate) fn oldest_start(&self, epoch: u64) -> u64 {
        // SAFETY: the activation below in the store, if any, is under way.
        let outer = unsafe { self.below_in_store.as_ref() };
        // SAFETY: the activation below on the thread, if any, is under way.
        let under = unsafe { self.below_on_thread.get().as_ref() };
        let under = under.filter(|under| ptr::eq(under.engine, self.engine));
        let starts = [outer, under]
            .into_iter()
            .flatten()
            .map(|call| call.start_epoch.get());
        starts.fold(epoch, u64::min)
    }
}

/// A handler's question: a fault happened there; is it guest code's?
pub(crate) fn fault(machine: Machine, kind: FaultKind, address: usize) -> Option<Leave> {
    let place = if in_arena(machine.pc) {
        None
    } else {
        Some(stub_at(machine.pc)?)
    };
    let top = thread::current().top.get();
    // SAFETY: the top of this thread is under way, and handlers run on the thread itself.
    let activation = unsafe { top.as_ref() }?;
    match place {
        None => activation.machine.set(machine),
        Some(StubPlace::Foreign(bytes))
            if kind == FaultKind::Address && activation.stack.guard_has(address) =>
        {
            activation.guest_rsp.set(machine.sp.wrapping_add(bytes));
            activation.machine.set(Machine::default());
        }
        Some(_) => return None,
    }
    activation.fault.set((kind, address));
    Some(Leave {
        activation: top as usize,
        status: Status::Fault as u32,
    })
}

/// A handler's question: the interruption signal arrived there; does the thread leave?
pub(crate) fn interruption(machine: Machine) -> Option<Leave> {
    let top = thread::current().top.get();
    let mut next = top;
    // Ends: each activation was made before the one above it.
    // SAFETY: activations of this thread are under way until they are no longer in this chain.
    while let Some(activation) = unsafe { next.as_ref() } {
        // SAFETY: the engine lives as long as the store of the activation.
        let epoch = unsafe { (*activation.engine).epoch() };
        // SAFETY: the store of a call that is under way lives, and its address was exposed for it.
        let is_stopped = unsafe { store::is_stopped(activation.store.get()) };
        if activation.start_epoch.get() < epoch || is_stopped {
            activation.mark.store(1, Ordering::Relaxed);
        }
        next = activation.below_on_thread.get();
    }
    // SAFETY: as above.
    let activation = unsafe { top.as_ref() }?;
    if activation.mark.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let status = if in_arena(machine.pc) {
        activation.machine.set(machine);
        Status::Stopped
    } else {
        match stub_at(machine.pc)? {
            StubPlace::EnterTail => Status::Early,
            StubPlace::EnterReturn => return None,
            StubPlace::Foreign(bytes) => {
                activation.guest_rsp.set(machine.sp.wrapping_add(bytes));
                Status::Marked
            }
            StubPlace::Tail => {
                activation.guest_rsp.set(machine.sp);
                Status::Marked
            }
            StubPlace::Resumed => {
                activation.guest_rsp.set(machine.sp.wrapping_sub(8));
                Status::Marked
            }
        }
    };
    Some(Leave {
        activation: top as usize,
        status: status as u32,
    })
}
