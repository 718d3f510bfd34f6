//! Faults that are not ours go to whoever was there before. Each case runs in a child process.

use crate::build::*;
use cellwall_abi::TrapCode;
use cellwall_runtime::*;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

const ROLE: &str = "CELLWALL_TEST_ROLE";

/// Runs one test of this binary again, as a child with a role.
fn child(test: &str, role: &str) -> ExitStatus {
    let binary = std::env::current_exe().expect("a test knows its own binary");
    let output = Command::new(binary)
        .args(["--exact", test, "--test-threads", "1"])
        .env(ROLE, role)
        .output()
        .expect("a test can start itself");
    output.status
}

/// Traps once, so that the handlers are installed and work.
fn trap_once() {
    let mut m = Module::new();
    let nothing = m.ty(&[], &[]);
    m.memory(0, None);
    m.export_func("load", nothing, |e| {
        use iced_x86::code_asm::*;
        e.a.xor(eax, eax).unwrap();
        e.a.mov(eax, dword_ptr(r14 + rax)).unwrap();
        e.a.ret().unwrap();
    });
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&m.map(&engine), &[]).unwrap();
    let result = call::<_, _, ()>(&mut store, instance, "load", ());
    assert_eq!(trap_of(result), TrapCode::MemoryOutOfBounds);
}

fn fault() {
    let nowhere = std::hint::black_box(8usize) as *const u32;
    // SAFETY: none; the fault is what is tested, in a process of its own.
    let value = unsafe { nowhere.read_volatile() };
    unreachable!("{value}");
}

extern "C" fn plain(_: libc::c_int) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(41) }
}

extern "C" fn full(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the information of a fault, from the kernel.
    let info = unsafe { &*info };
    // SAFETY: a fault has an address.
    let address = unsafe { info.si_addr() } as usize;
    // SAFETY: ends the process.
    unsafe { libc::_exit(if address == 8 { 42 } else { 1 }) }
}

fn handle(handler: usize, flags: libc::c_int) {
    // SAFETY: all-zero is a valid disposition.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers of this file only end the process.
    let result = unsafe { libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
}

#[test]
fn a_fault_outside_of_guest_code_meets_the_previous_handler() {
    const TEST: &str = "signals::a_fault_outside_of_guest_code_meets_the_previous_handler";
    match std::env::var(ROLE).as_deref() {
        Ok("plain") => handle(plain as *const () as usize, 0),
        Ok("full") => handle(full as *const () as usize, libc::SA_SIGINFO),
        Ok("default") => handle(libc::SIG_DFL, 0),
        Ok(_) => {}
        Err(_) => {
            assert_eq!(child(TEST, "plain").code(), Some(41));
            assert_eq!(child(TEST, "full").code(), Some(42));
            assert_eq!(child(TEST, "default").signal(), Some(libc::SIGSEGV));
            assert!(child(TEST, "none").success(), "a trap alone disturbs nobody");
            return;
        }
    }
    trap_once();
    if std::env::var(ROLE).as_deref() != Ok("none") {
        fault();
    }
}
