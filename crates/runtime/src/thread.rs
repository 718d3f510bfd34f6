//! What a thread keeps about its own calls: plain words without a destructor, so that signal
//! handlers can read them at any time, and a guard that cleans up when the thread ends.

use crate::activation::Activation;
use crate::engine::EngineInner;
use crate::error::Error;
use crate::stack::CellStack;
use crate::sys::{self, ThreadGuard, ThreadSlot};
use std::cell::{Cell, RefCell, UnsafeCell};
use std::ptr;
use std::sync::atomic::Ordering;

/// The words of one thread.
pub(crate) struct Thread {
    /// The innermost call that is under way.
    pub(crate) top: Cell<*const Activation>,
    /// What other threads see of this one; null before [`prepare`].
    slot: Cell<*const ThreadSlot>,
    /// Below this address of the host's stack no call is started; the largest one before
    /// [`prepare`].
    host_limit: Cell<usize>,
    /// A stack that is not in use, from a box, or null.
    spare: Cell<*mut CellStack>,
    /// The engine whose outermost calls use `own` and `own_stack`; 0 for none.
    ready: Cell<u64>,
    /// What is on top during such a call.
    own: UnsafeCell<Activation>,
    /// The stack of such calls, from a box, or null.
    own_stack: Cell<*mut CellStack>,
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            top: Cell::new(ptr::null()),
            slot: Cell::new(ptr::null()),
            host_limit: Cell::new(usize::MAX),
            spare: Cell::new(ptr::null_mut()),
            ready: Cell::new(0),
            own: UnsafeCell::new(Activation::idle()),
            own_stack: Cell::new(ptr::null_mut()),
        }
    };
    static END: RefCell<Option<End>> = const { RefCell::new(None) };
}

/// Undoes [`prepare`] when the thread ends.
struct End {
    _guard: ThreadGuard,
}

impl Drop for End {
    fn drop(&mut self) {
        let thread = current();
        thread.slot.set(ptr::null());
        thread.host_limit.set(usize::MAX);
        thread.ready.set(0);
        drop(take(&thread.spare));
        drop(take(&thread.own_stack));
    }
}

/// The words of this thread.
#[inline(always)]
pub(crate) fn current<'a>() -> &'a Thread {
    let thread = THREAD.with(|thread| thread as *const Thread);
    // SAFETY: without a destructor the words live as long as their thread, and they are not Sync:
    // the reference cannot leave it.
    unsafe { &*thread }
}

/// Empties a place.
#[inline]
fn take(place: &Cell<*mut CellStack>) -> Option<Box<CellStack>> {
    let stack = place.replace(ptr::null_mut());
    // SAFETY: comes from a box, and the place was just emptied.
    (!stack.is_null()).then(|| unsafe { Box::from_raw(stack) })
}

/// Host stack that is left for host functions under a call, at most.
const HOST_RESERVE_BYTES: usize = 512 << 10;

impl Thread {
    /// Whether the host's stack has room for one more call; prepares the thread for guest code if
    /// it is not.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> Result<bool, Error> {
        if sys::stack_pointer() > self.host_limit.get() {
            return Ok(true);
        }
        self.has_room_after_all()
    }

    #[cold]
    fn has_room_after_all(&self) -> Result<bool, Error> {
        if self.slot.get().is_null() {
            self.prepare()?;
        }
        Ok(sys::stack_pointer() > self.host_limit.get())
    }

    fn prepare(&self) -> Result<(), Error> {
        let os = |error| Error::Os {
            what: "cannot prepare this thread for guest code",
            error,
        };
        let guard = sys::thread_setup().map_err(os)?;
        let slot: *const ThreadSlot = &*guard.slot;
        END.try_with(|end| *end.borrow_mut() = Some(End { _guard: guard }))
            .map_err(|_| os(std::io::Error::other("the thread is ending")))?;
        let here = sys::stack_pointer();
        // Without an answer, a quarter of the smallest usual stack has to be enough.
        let (low, bytes) = sys::stack_low().unwrap_or((here.saturating_sub(512 << 10), 1 << 20));
        self.host_limit.set(low + HOST_RESERVE_BYTES.min(bytes / 4));
        self.slot.set(slot);
        Ok(())
    }

    /// Takes the spare stack of this thread if it fits the engine, else one of the engine's.
    #[inline]
    pub(crate) fn take_stack(&self, engine: &EngineInner) -> Result<Box<CellStack>, Error> {
        match take(&self.spare) {
            Some(stack) if stack.fits(engine) => Ok(stack),
            other => {
                drop(other);
                engine.take_stack()
            }
        }
    }

    /// Gives a stack back that no frame lies on. The thread must be prepared.
    #[inline]
    pub(crate) fn give_stack(&self, engine: &EngineInner, stack: Box<CellStack>) {
        let other = self.spare.replace(Box::into_raw(stack));
        if !other.is_null() {
            // SAFETY: comes from a box, and the place holds another one now.
            engine.keep_stack(unsafe { Box::from_raw(other) });
        }
    }

    /// Whether this thread was prepared for guest code, and is not ending.
    pub(crate) fn is_prepared(&self) -> bool {
        !self.slot.get().is_null()
    }

    /// Whether [`with_own`](Self::with_own) can be used for a call in this engine.
    #[inline(always)]
    pub(crate) fn is_ready(&self, engine: &EngineInner) -> bool {
        self.ready.get() == engine.id
            && self.top.get().is_null()
            && sys::stack_pointer() > self.host_limit.get()
    }

    /// Makes the next outermost call in this engine a short one, if there is a stack for it.
    pub(crate) fn make_ready(&self, engine: &EngineInner) {
        if !self.top.get().is_null() || self.slot.get().is_null() {
            return;
        }
        // SAFETY: both places hold stacks from boxes, or nothing, and none is in use.
        let fits = |stack: *mut CellStack| unsafe { stack.as_ref() }.is_some_and(|stack| stack.fits(engine));
        if !fits(self.own_stack.get()) {
            self.own_stack.swap(&self.spare);
        }
        if !fits(self.own_stack.get()) {
            return;
        }
        // SAFETY: as above; it is there, since it fits.
        let range = unsafe { &*self.own_stack.get() }.range();
        // SAFETY: without a call under way on this thread nobody refers to it.
        unsafe { *self.own.get() = Activation::ready(engine, range) };
        self.ready.set(engine.id);
    }

    /// Like [`with_top`](Self::with_top), for an outermost call in an engine for which the thread is
    /// [ready](Self::is_ready), with the thread's own activation and the end of its stack.
    #[inline(always)]
    pub(crate) fn with_own<R>(
        &self,
        engine: &EngineInner,
        store: usize,
        body: impl FnOnce(*const Activation, usize) -> R,
    ) -> R {
        let own = self.own.get().cast_const();
        // SAFETY: it is only written while no call is under way, and only by this thread.
        let activation = unsafe { &*own };
        // SAFETY: set by `prepare`; lives as long as the thread's guard, which goes last.
        let slot = unsafe { &*self.slot.get() };
        // As in a new one: what an interruption of an earlier call left is gone before it is seen.
        activation.mark.store(0, Ordering::Relaxed);
        activation.set_store(store);
        activation.start_epoch.set(u64::MAX);
        slot.engine.store(engine.id, Ordering::Relaxed);
        self.top.set(own);
        // As in `with_top`.
        sys::light_fence();
        activation.start_epoch.set(engine.epoch());
        let result = body(own, activation.stack.high);
        self.top.set(ptr::null());
        slot.engine.store(0, Ordering::Relaxed);
        result
    }

    /// Runs `body` with the activation, whose one below is on top, on top of this prepared thread.
    /// `body` ends by returning only.
    #[inline(always)]
    pub(crate) fn with_top<R>(
        &self,
        activation: &Activation,
        engine: &EngineInner,
        body: impl FnOnce() -> R,
    ) -> R {
        // SAFETY: set by `prepare`; lives as long as the thread's guard, which goes last.
        let slot = unsafe { &*self.slot.get() };
        let before = slot.engine.load(Ordering::Relaxed);
        let now = if before == 0 || before == engine.id {
            engine.id
        } else {
            ThreadSlot::MIXED
        };
        slot.engine.store(now, Ordering::Relaxed);
        self.top.set(activation);
        // From here on an interruption finds this thread; the epoch is read after that, so either
        // this call is marked or it started after the interruption.
        sys::light_fence();
        let epoch = engine.epoch();
        let start = match activation.is_outermost() {
            true => epoch,
            false => activation.oldest_start(epoch),
        };
        // One that was parked has started long ago.
        let start = start.min(activation.start_epoch.get());
        activation.start_epoch.set(start);
        if start < epoch {
            activation.mark.store(1, Ordering::Relaxed);
        }
        let result = body();
        self.top.set(activation.below_on_thread.get());
        slot.engine.store(before, Ordering::Relaxed);
        result
    }
}
