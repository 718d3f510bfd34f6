//! Threads: what each one needs before it can run guest code, the registry by which others find
//! it, and fences that cost the running side nothing.
//!
//! Guarantees that a process that was forked has a registry of its own: of the threads of its parent it has the one
//! that forked, under another number.

use super::map::Reservation;
use super::signal::interruption_signal;
use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering, compiler_fence, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Bytes of the stack on which handlers run; the machine context alone may take several KiB.
const HANDLER_STACK_BYTES: usize = 64 << 10;

/// What other threads see of a thread that has run guest code.
#[derive(Debug)]
pub(crate) struct ThreadSlot {
    /// Its number for the system, which changes in a process that it forks.
    thread: AtomicI32,
    /// The engine whose calls are on this thread: 0 for none, [`ThreadSlot::MIXED`] for several.
    pub(crate) engine: AtomicU64,
}

impl ThreadSlot {
    /// Calls of more than one engine are on the thread.
    pub(crate) const MIXED: u64 = u64::MAX;
}

static THREADS: Mutex<Vec<Arc<ThreadSlot>>> = Mutex::new(Vec::new());

fn threads() -> MutexGuard<'static, Vec<Arc<ThreadSlot>>> {
    // A panic cannot leave the list half changed.
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own_number() -> libc::pid_t {
    // SAFETY: asks only.
    unsafe { libc::gettid() }
}

/// The registry while a thread forks: nobody else changes it meanwhile, and the child can use it.
struct Forking {
    registry: MutexGuard<'static, Vec<Arc<ThreadSlot>>>,
    /// The thread that forks, before it does.
    thread: libc::pid_t,
}

thread_local! {
    static FORKING: RefCell<Option<Forking>> = const { RefCell::new(None) };
}

extern "C" fn before_fork() {
    // A thread that is ending has nothing here any more, and forks without it.
    let _ = FORKING.try_with(|forking| {
        let (registry, thread) = (threads(), own_number());
        forking.replace(Some(Forking { registry, thread }));
    });
}

extern "C" fn after_fork_in_parent() {
    let _ = FORKING.try_with(RefCell::take);
}

extern "C" fn after_fork_in_child() {
    let forking = FORKING.try_with(RefCell::take);
    if let Ok(Some(Forking { mut registry, thread })) = forking {
        registry.retain(|slot| slot.thread.load(Ordering::Relaxed) == thread);
        for slot in registry.iter() {
            slot.thread.store(own_number(), Ordering::Relaxed);
        }
    }
    if ASYMMETRIC.load(Ordering::Relaxed) {
        ASYMMETRIC.store(
            membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED),
            Ordering::SeqCst,
        );
    }
}

/// Has the registry follow when this process forks.
fn follow_forks() -> io::Result<()> {
    static DONE: OnceLock<i32> = OnceLock::new();
    let error = *DONE.get_or_init(|| {
        let (before, parent, child) = (before_fork, after_fork_in_parent, after_fork_in_child);
        // SAFETY: the functions live as long as the library that has them, whose end takes them back.
        unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) }
    });
    match error {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Owned by a thread while it lives: its slot and its handler stack.
pub(crate) struct ThreadGuard {
    /// The slot in the registry.
    pub(crate) slot: Arc<ThreadSlot>,
    handler_stack: Option<Reservation>,
}

/// Prepares this thread: registers it, gives it a stack for handlers and lets the interruption
/// signal through.
pub(crate) fn thread_setup() -> io::Result<ThreadGuard> {
    follow_forks()?;
    let handler_stack = set_handler_stack()?;
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: an own set.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: as above, and the signal number is valid after `install`.
    unsafe { libc::sigaddset(set.as_mut_ptr(), interruption_signal()) };
    // SAFETY: changes the mask of this thread only.
    unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut()) };
    let slot = Arc::new(ThreadSlot {
        thread: AtomicI32::new(own_number()),
        engine: AtomicU64::new(0),
    });
    threads().push(slot.clone());
    Ok(ThreadGuard { slot, handler_stack })
}

/// Makes sure that handlers of this thread have enough stack.
fn set_handler_stack() -> io::Result<Option<Reservation>> {
    let mut old = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: asks only.
    if unsafe { libc::sigaltstack(ptr::null(), old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: filled in by the kernel.
    let old = unsafe { old.assume_init() };
    if old.ss_flags & libc::SS_DISABLE == 0 && old.ss_size >= HANDLER_STACK_BYTES {
        return Ok(None);
    }
    let guard = super::super::PAGE;
    let stack = Reservation::new(guard + HANDLER_STACK_BYTES)?;
    stack.commit(guard, HANDLER_STACK_BYTES)?;
    let new = libc::stack_t {
        // The page below stays without access.
        ss_sp: stack.base().wrapping_add(guard).cast(),
        ss_flags: 0,
        ss_size: HANDLER_STACK_BYTES,
    };
    // SAFETY: the pages stay mapped until the guard of this thread takes them out of use.
    if unsafe { libc::sigaltstack(&new, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Some(stack))
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        threads().retain(|slot| !Arc::ptr_eq(slot, &self.slot));
        if let Some(stack) = self.handler_stack.take() {
            let off = libc::stack_t {
                ss_sp: ptr::null_mut(),
                ss_flags: libc::SS_DISABLE,
                ss_size: 0,
            };
            // SAFETY: the thread ends; no handler of it needs the stack that is unmapped next.
            unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
            drop(stack);
        }
    }
}

/// Sends the interruption signal to every registered thread that `wanted` accepts.
pub(crate) fn interrupt_threads(wanted: impl Fn(&ThreadSlot) -> bool) {
    // SAFETY: asks only.
    let process = unsafe { libc::getpid() };
    // Slots leave the registry under this lock, so the thread ids stay valid while it is held.
    for slot in threads().iter().filter(|slot| wanted(slot)) {
        // The queue of real-time signals can be full for a moment; each round yields.
        let thread = slot.thread.load(Ordering::Relaxed);
        for _ in 0..1000 {
            // SAFETY: sends a signal for which a handler is installed to a thread of this process.
            let sent = unsafe { libc::syscall(libc::SYS_tgkill, process, thread, interruption_signal()) };
            if sent == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EAGAIN) {
                break;
            }
            std::thread::yield_now();
        }
    }
}

/// Lowest address of this thread's stack; `None` if the system does not tell.
pub(crate) fn stack_low() -> Option<(usize, usize)> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::zeroed();
    // SAFETY: asks only.
    let own = unsafe { libc::pthread_self() };
    // SAFETY: fills in the attributes of this thread.
    if unsafe { libc::pthread_getattr_np(own, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut bytes) = (ptr::null_mut(), 0);
    // SAFETY: initialised by the call above.
    let result = unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut bytes) };
    // SAFETY: initialised above, destroyed once.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (result == 0).then_some((low as usize, bytes))
}

static ASYMMETRIC: AtomicBool = AtomicBool::new(false);
const MEMBARRIER_PRIVATE_EXPEDITED: i32 = 1 << 3;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

fn membarrier(command: i32) -> bool {
    // SAFETY: takes no memory; fails cleanly where it is not known.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Finds out, once, whether [`light_fence`] may be free.
pub(crate) fn prepare_fences() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        ASYMMETRIC.store(
            membarrier(MEMBARRIER_REGISTER_PRIVATE_EXPEDITED),
            Ordering::SeqCst,
        );
    });
}

/// The frequent side of a pair of fences: free where the kernel can make [`full_fence`] act on all
/// threads.
#[inline]
pub(crate) fn light_fence() {
    if ASYMMETRIC.load(Ordering::Relaxed) {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// The rare side of the pair.
pub(crate) fn full_fence() {
    fence(Ordering::SeqCst);
    if ASYMMETRIC.load(Ordering::Relaxed) {
        let done = membarrier(MEMBARRIER_PRIVATE_EXPEDITED);
        debug_assert!(done, "a registered barrier cannot fail");
    }
}
