//! What a thread keeps about its own calls: plain words without a destructor, so that signal
//! handlers can read them at any time, and a guard that cleans up when the thread ends.

use crate::activation::Activation;
use crate::engine::EngineInner;
use crate::error::Error;
use crate::stack::CellStack;
use crate::sys::{self, ThreadGuard, ThreadSlot};
use std::cell::{Cell, RefCell};
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
}

thread_local! {
    static THREAD: Thread = const {
        Thread {
            top: Cell::new(ptr::null()),
            slot: Cell::new(ptr::null()),
            host_limit: Cell::new(usize::MAX),
            spare: Cell::new(ptr::null_mut()),
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
        drop(thread.take_spare());
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

    #[inline]
    fn take_spare(&self) -> Option<Box<CellStack>> {
        let spare = self.spare.replace(ptr::null_mut());
        // SAFETY: comes from a box, and the place was just emptied.
        (!spare.is_null()).then(|| unsafe { Box::from_raw(spare) })
    }

    /// Takes the spare stack of this thread if it fits the engine, else one of the engine's.
    #[inline]
    pub(crate) fn take_stack(&self, engine: &EngineInner) -> Result<Box<CellStack>, Error> {
        match self.take_spare() {
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

    /// Runs `body` with the activation on top of this prepared thread. `body` ends by returning
    /// only.
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
        activation.start_epoch.set(start);
        if start < epoch {
            activation.mark.store(1, Ordering::Relaxed);
        }
        let result = body();
        self.top.set(activation.below_on_thread);
        slot.engine.store(before, Ordering::Relaxed);
        result
    }
}
