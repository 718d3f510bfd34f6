//! Signals on their way to the program, for those whose own handlers cannot run while guest code does.
//!
//! A language runs its signal handlers between its own instructions, and guest code has none. A tap writes the number
//! of a signal, and the time, to a descriptor when it arrives; a thread that reads there can stop the guest.
//! Guarantees that the handler that was there before runs all the same. Requires that it is there to stay: what
//! another puts over it later has to be tapped again.
//! Deliberately does nothing with signals that the program ignores or leaves to the system.

use crate::c_api;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Signals have numbers below this (Linux: 64 and less).
const SIGNALS: usize = 65;

/// What is known of one signal.
struct Tap {
    /// Where its number is written; negative is nowhere.
    descriptor: AtomicI32,
    /// The process that asked: a child of it does not write.
    process: AtomicI32,
    /// The handler before, and its flags.
    handler: AtomicUsize,
    flags: AtomicI32,
    /// The thread in whose handler we are, should one that was put over ours come back to it.
    inside: AtomicUsize,
}

static TAPS: [Tap; SIGNALS] = [const {
    Tap {
        descriptor: AtomicI32::new(-1),
        process: AtomicI32::new(0),
        handler: AtomicUsize::new(libc::SIG_DFL),
        flags: AtomicI32::new(0),
        inside: AtomicUsize::new(0),
    }
}; SIGNALS];

/// A handler with `SA_SIGINFO`, and one without.
type Full = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
type Plain = unsafe extern "C" fn(c_int);

/// One caller of [`tap`] at a time.
static ONE: Mutex<()> = Mutex::new(());

/// Calls the handler that was there before, and writes the number and the time: who reads them knows that the handler has
/// run by then. Only what a signal handler may call is called.
unsafe extern "C" fn arrived(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(tap) = usize::try_from(signal).ok().and_then(|at| TAPS.get(at)) else {
        return;
    };
    // SAFETY: always there for the calling thread.
    let (me, errno) = unsafe { (libc::pthread_self() as usize, libc::__errno_location()) };
    if tap.inside.load(Ordering::Relaxed) == me {
        return;
    }
    let before = tap.inside.swap(me, Ordering::Relaxed);
    let handler = tap.handler.load(Ordering::Relaxed);
    if handler != libc::SIG_DFL && handler != libc::SIG_IGN {
        if tap.flags.load(Ordering::Relaxed) & libc::SA_SIGINFO != 0 {
            // SAFETY: the system had this handler with this flag, so that it is such a function.
            let handler = unsafe { std::mem::transmute::<usize, Full>(handler) };
            // SAFETY: called as the system would have.
            unsafe { handler(signal, info, context) };
        } else {
            // SAFETY: likewise, without the flag.
            let handler = unsafe { std::mem::transmute::<usize, Plain>(handler) };
            // SAFETY: likewise.
            unsafe { handler(signal) };
        }
    }
    // SAFETY: the address is this thread's.
    let kept = unsafe { *errno };
    let descriptor = tap.descriptor.load(Ordering::Relaxed);
    // SAFETY: asks for a number.
    if descriptor >= 0 && tap.process.load(Ordering::Relaxed) == unsafe { libc::getpid() } {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the place can be written.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let arrival = [i64::from(signal), now.tv_sec * 1_000_000_000 + now.tv_nsec];
        // SAFETY: as many bytes are there. What cannot be written is dropped.
        unsafe { libc::write(descriptor, (&raw const arrival).cast(), size_of_val(&arrival)) };
    }
    // SAFETY: as above.
    unsafe { *errno = kept };
    tap.inside.store(before, Ordering::Relaxed);
}

/// What the system does on a signal.
fn disposition(signal: c_int) -> Option<libc::sigaction> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the place can be written; nothing is changed.
    let answer = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: the system has filled it in.
    (answer == 0).then(|| unsafe { action.assume_init() })
}

/// Whether the signal is tapped now.
fn tap(signal: c_int, descriptor: c_int) -> Option<bool> {
    let tap = TAPS.get(usize::try_from(signal).ok()?)?;
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: asks for a number.
    tap.process.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    tap.descriptor.store(descriptor, Ordering::Relaxed);
    let mut action = disposition(signal)?;
    let ours = arrived as *const () as usize;
    if descriptor < 0 || action.sa_sigaction == ours {
        return Some(descriptor >= 0);
    }
    if action.sa_sigaction == libc::SIG_DFL || action.sa_sigaction == libc::SIG_IGN {
        return Some(false);
    }
    tap.handler.store(action.sa_sigaction, Ordering::Relaxed);
    tap.flags.store(action.sa_flags, Ordering::Relaxed);
    action.sa_sigaction = ours;
    // Guest code has a stack of its own, which is not for handlers.
    action.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: a handler of the type that its flags say, which calls the one before.
    Some(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } == 0)
}

c_api! {
    /// See `engine.api`.
    fn cellwall_signal_tap(signal: i32, descriptor: i32) -> bool {
        tap(signal, descriptor)?
    }
}
