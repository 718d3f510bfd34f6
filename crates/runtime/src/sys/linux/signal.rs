//! Signals: faults of guest code become traps, the interruption signal becomes an interruption,
//! everything else goes to whoever was there before.
//!
//! The handlers run on an alternate stack, touch only the activations of their own thread and the
//! bounds of the code arena, allocate nothing and take no lock. What to do is decided in
//! `activation`; this file reads and writes the machine context.

use super::super::leave_address;
use crate::activation::{self, Leave, Machine};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

/// The signals by which a processor reports a fault.
const FAULTS: [c_int; 4] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];

/// The dispositions that were there before ours, in the order of [`FAULTS`].
struct Previous(UnsafeCell<[MaybeUninit<libc::sigaction>; FAULTS.len()]>);

// SAFETY: written once, by `install`, row by row before the handler of the row exists; then only
// read.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new([MaybeUninit::zeroed(); FAULTS.len()]));
static INTERRUPTION: AtomicI32 = AtomicI32::new(0);

/// The signal that interrupts; 0 before [`install`].
pub(super) fn interruption_signal() -> c_int {
    INTERRUPTION.load(Ordering::Relaxed)
}

/// Installs the handlers of the process, once.
///
/// # Errors
/// If the kernel refuses, or no real-time signal is free.
pub(crate) fn install() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    let result = DONE.get_or_init(|| install_all().map_err(|e| e.raw_os_error().unwrap_or(libc::EINVAL)));
    (*result).map_err(io::Error::from_raw_os_error)
}

fn install_all() -> io::Result<()> {
    for signal in libc::SIGRTMIN() + 2..=libc::SIGRTMAX() {
        if disposition(signal)?.sa_sigaction == libc::SIG_DFL {
            INTERRUPTION.store(signal, Ordering::Relaxed);
            set_handler(
                signal,
                on_interruption as *const () as usize,
                libc::SA_RESTART,
                &[],
            )?;
            break;
        }
    }
    if interruption_signal() == 0 {
        return Err(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    for (row, &signal) in FAULTS.iter().enumerate() {
        let old = disposition(signal)?;
        // SAFETY: within the table, which only this function writes, once.
        let place = unsafe { &raw mut (*PREVIOUS.0.get())[row] };
        // SAFETY: the handler that reads this row is not installed yet.
        unsafe { place.write(MaybeUninit::new(old)) };
        // A handler that interrupts a fault would see a thread on its way out: it waits.
        set_handler(
            signal,
            on_fault as *const () as usize,
            0,
            &[interruption_signal()],
        )?;
    }
    Ok(())
}

fn disposition(signal: c_int) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; the place is valid for the answer.
    if unsafe { libc::sigaction(signal, std::ptr::null(), old.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel filled it in.
    Ok(unsafe { old.assume_init() })
}

fn set_handler(signal: c_int, handler: usize, flags: c_int, also_blocked: &[c_int]) -> io::Result<()> {
    // SAFETY: all-zero is a valid disposition.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
    for &other in also_blocked {
        // SAFETY: an own, initialised set.
        unsafe { libc::sigaddset(&mut action.sa_mask, other) };
    }
    // SAFETY: the handler has the signature that SA_SIGINFO asks for and does only what a signal
    // handler may.
    match unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn machine(context: &libc::ucontext_t) -> Machine {
    let register = |index: c_int| context.uc_mcontext.gregs[index as usize] as usize;
    Machine {
        pc: register(libc::REG_RIP),
        sp: register(libc::REG_RSP),
        context: register(libc::REG_R15),
    }
}

fn redirect(context: &mut libc::ucontext_t, leave: Leave) {
    let registers = &mut context.uc_mcontext.gregs;
    registers[libc::REG_RIP as usize] = leave_address() as i64;
    registers[libc::REG_RDI as usize] = leave.activation as i64;
    registers[libc::REG_RAX as usize] = leave.status as i64;
}

unsafe extern "C" fn on_interruption(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands the handler its own context.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    if let Some(leave) = activation::interruption(machine(context)) {
        redirect(context, leave);
    }
}

unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel hands the handler its own context.
    let ucontext = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: the kernel hands the handler its own information.
    let info_ref = unsafe { &*info };
    // SAFETY: fault signals have an address (0 if sent by a process, which no site fits).
    let address = unsafe { info_ref.si_addr() } as usize;
    // A positive code says that the kernel sent it because of a fault; others are sent by hand.
    if info_ref.si_code > 0
        && let Some(leave) = activation::fault(machine(ucontext), fault_kind(signal), address)
    {
        redirect(ucontext, leave);
        return;
    }
    // SAFETY: the arguments are the kernel's.
    unsafe { chain(signal, info, context) }
}

fn fault_kind(signal: c_int) -> activation::FaultKind {
    match signal {
        libc::SIGSEGV => activation::FaultKind::Address,
        libc::SIGFPE => activation::FaultKind::Arithmetic,
        libc::SIGILL => activation::FaultKind::Undefined,
        _ => activation::FaultKind::Other,
    }
}

/// Hands a fault that is not ours to the handler that was there before.
///
/// # Safety
/// The arguments are those of a signal handler.
unsafe fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let row = FAULTS
        .iter()
        .position(|&f| f == signal)
        .expect("installed for the signals of the table only");
    // SAFETY: within the table.
    let place = unsafe { &raw const (*PREVIOUS.0.get())[row] };
    // SAFETY: written before this handler was installed.
    let place = unsafe { &*place };
    // SAFETY: as above.
    let old = unsafe { place.assume_init_ref() };
    if old.sa_sigaction == libc::SIG_DFL || old.sa_sigaction == libc::SIG_IGN {
        // The fault happens again after the return and meets what was there before.
        // SAFETY: restores a disposition that the process had.
        unsafe { libc::sigaction(signal, old, std::ptr::null_mut()) };
    } else if old.sa_flags & libc::SA_SIGINFO != 0 {
        type Full = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
        // SAFETY: with SA_SIGINFO the handler has this signature.
        let handler = unsafe { std::mem::transmute::<usize, Full>(old.sa_sigaction) };
        // SAFETY: called with the kernel's arguments, as the kernel would have.
        unsafe { handler(signal, info, context) }
    } else {
        // SAFETY: without SA_SIGINFO the handler has this signature.
        let handler = unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(c_int)>(old.sa_sigaction) };
        // SAFETY: as the kernel would have called it.
        unsafe { handler(signal) }
    }
}
