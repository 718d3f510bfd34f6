//! The fixed assembly between host and guest on x86-64, and what the processor can do.
//!
//! * `enter`: host to guest. Saves the host's registers and stack pointer in the activation, goes
//!   to the cell stack, loads context, memory base and all argument registers from the block
//!   (`enter_few`, `enter_four`: takes the few arguments that there are in registers).
//! * `leave`: out of the guest from anywhere, back to the caller of `enter` with a status.
//! * `foreign`: a call into another instance of the store; saves and restores the pinned pair, but if
//!   the frame that restores it lies on top already, so that tail calls do not grow the stack.
//! * `host`: a call of a host function, on the thread's own stack.
//! * `call_ref`: a call of the function of a reference, which the runtime looks for.
//! * `library`: a library call, on the thread's own stack.
//! * `resume`: where `host` and `library` go on if an exception was caught.
//! * `unpark`: host to guest, where a host function that had to wait has ended. Its guest's registers
//!   are in the activation, and its frames on the cell stack.
//!
//! From a stub's check of the interruption mark to its end ("tail"), an interruption may leave at
//! once, as in guest code: nothing of the runtime is half done there. [`stub_at`] tells where a
//! program counter is. Callee-saved registers of the guest are those of the host as well, so that
//! host code keeps them; what the stubs use of them (`rbx`) they put into the activation. No stub
//! touches the cell stack but `foreign`, whose faults in the guard of
//! the stack are stack overflows.

use crate::activation::{Activation, Status};
use crate::library;
use cellwall_abi::context::{self, func_entry};
use cellwall_abi::convention::{block_arg_gpr, block_arg_xmm, block_result_gpr, block_result_xmm};
use cellwall_abi::{CpuFeatures, LibCall, ValType};
use std::arch::{asm, global_asm};
use std::ffi::c_void;
use std::mem::offset_of;

/// What a host or library function answers to its stub if an exception was caught.
pub(crate) const CAUGHT_STATUS: u32 = 2;
/// What a host function answers to its stub if it has not ended: the guest is parked.
pub(crate) const WAITS_STATUS: u32 = 3;

/// Vector registers that pass nothing need not be moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Width {
    /// Integers and references only.
    Gprs,
    /// Floats or vectors as well.
    All,
}

impl Width {
    /// What a function with these parameters and results needs.
    pub(crate) const fn of(params: &[ValType], results: &[ValType]) -> Self {
        if any_float(params) || any_float(results) {
            Self::All
        } else {
            Self::Gprs
        }
    }
}

const fn any_float(types: &[ValType]) -> bool {
    let mut i = 0;
    while i < types.len() {
        if types[i].is_float() {
            return true;
        }
        i += 1;
    }
    false
}

/// Labels of this crate alone.
macro_rules! hidden {
    ($($name:literal)*) => {
        concat!($(".hidden ", $name, "\n.globl ", $name, "\n",)* "")
    };
}

macro_rules! hidden_sub {
    ($name:literal, $suffix:literal) => {
        concat!(".hidden ", $name, $suffix, "\n.globl ", $name, $suffix, "\n")
    };
}

// The order of registers is that of `cellwall_abi::convention`; a test compares them.

/// `enter`, in two widths: (rdi = activation, rsi = code, rdx = context, rcx = cell stack) ->
/// eax = status.
macro_rules! enter_stub {
    ($name:literal, $load:expr, $store:expr) => {
        global_asm!(
            ".text",
            ".balign 16",
            hidden!($name),
            concat!(hidden_sub!($name, "_tail"), hidden_sub!($name, "_return")),
            concat!($name, ":"),
            "push rbp",
            "push rbx",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "sub rsp, 8",
            "mov [rdi + {HOST_RSP}], rsp",
            "mov r15, rdx",
            "mov r11, rsi",
            "mov rsp, rcx",
            "mov r14, [r15 + {BASE}]",
            "mov r10, [r15 + {BLOCK}]",
            "mov eax, {EARLY}",
            "cmp dword ptr [rdi + {MARK}], 0",
            concat!($name, "_tail:"),
            "jne cellwall_leave",
            $load,
            "mov rdi, [r10 + {AG}]",
            "mov rsi, [r10 + {AG} + 8]",
            "mov rdx, [r10 + {AG} + 16]",
            "mov rcx, [r10 + {AG} + 24]",
            "mov r8, [r10 + {AG} + 32]",
            "mov r9, [r10 + {AG} + 40]",
            "call r11",
            concat!($name, "_return:"),
            "mov r10, [r15 + {BLOCK}]",
            "mov [r10 + {RG}], rax",
            "mov [r10 + {RG} + 8], rdx",
            "mov [r10 + {RG} + 16], rcx",
            "mov [r10 + {RG} + 24], rsi",
            $store,
            "mov rdi, [r15 + {STORE}]",
            "mov rdi, [rdi]",
            "xor eax, eax",
            "jmp cellwall_leave",
            "# {AX} {RX}",
            HOST_RSP = const offset_of!(Activation, host_rsp),
            MARK = const offset_of!(Activation, mark),
            STORE = const context::STORE,
            BLOCK = const context::BLOCK,
            BASE = const context::BASE,
            AG = const block_arg_gpr(0),
            AX = const block_arg_xmm(0),
            RG = const block_result_gpr(0),
            RX = const block_result_xmm(0),
            EARLY = const Status::Early as u32,
        );
    };
}

/// `enter_few` and `enter_four`: (rdi = activation, rsi = code, rdx = context, rcx = cell stack, r8 and r9 = the
/// first arguments, on the host's stack the others) -> eax = status, rdx = the result. For functions with at
/// most two or four parameters and one result, all in integer registers, which then need not pass through the
/// block.
macro_rules! enter_few_stub {
    ($name:literal, $load:expr) => {
        global_asm!(
            ".text",
            ".balign 16",
            hidden!($name),
            concat!(hidden_sub!($name, "_tail"), hidden_sub!($name, "_return")),
            concat!($name, ":"),
            "push rbp",
            "push rbx",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "sub rsp, 8",
            "mov [rdi + {HOST_RSP}], rsp",
            "mov r15, rdx",
            "mov r11, rsi",
            "mov r10, rcx",
            $load,
            "mov rsp, r10",
            "mov r14, [r15 + {BASE}]",
            "mov eax, {EARLY}",
            "cmp dword ptr [rdi + {MARK}], 0",
            concat!($name, "_tail:"),
            "jne cellwall_leave",
            "mov rdi, r8",
            "mov rsi, r9",
            "call r11",
            concat!($name, "_return:"),
            "mov rdi, [r15 + {STORE}]",
            "mov rdi, [rdi]",
            "mov rdx, rax",
            "xor eax, eax",
            "mov rsp, [rdi + {HOST_RSP}]",
            "add rsp, 8",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbx",
            "pop rbp",
            "ret",
            HOST_RSP = const offset_of!(Activation, host_rsp),
            MARK = const offset_of!(Activation, mark),
            STORE = const context::STORE,
            BASE = const context::BASE,
            EARLY = const Status::Early as u32,
        );
    };
}

enter_few_stub!("cellwall_enter_few", "");
// Above them lie what was pushed and the return address.
enter_few_stub!("cellwall_enter_four", "mov rdx, [rsp + 64]\nmov rcx, [rsp + 72]");

/// `host`, in two widths.
macro_rules! host_stub {
    ($name:literal, $store:expr, $load:expr) => {
        global_asm!(
            ".text",
            ".balign 16",
            hidden!($name),
            concat!(hidden_sub!($name, "_tail"), hidden_sub!($name, "_end")),
            concat!($name, ":"),
            "mov r10, [r15 + {BLOCK}]",
            "mov [r10 + {AG}], rdi",
            "mov [r10 + {AG} + 8], rsi",
            "mov [r10 + {AG} + 16], rdx",
            "mov [r10 + {AG} + 24], rcx",
            "mov [r10 + {AG} + 32], r8",
            "mov [r10 + {AG} + 40], r9",
            $store,
            "mov rax, [r15 + {STORE}]",
            "mov rax, [rax]",
            "mov [rax + {GUEST_RBX}], rbx",
            "mov rbx, rax",
            "mov [rbx + {GUEST_RSP}], rsp",
            "mov rdi, [r11 + {CONTEXT}]",
            "mov rsi, r15",
            "mov rsp, [rbx + {HOST_RSP}]",
            "call [r11 + {CODE}]",
            "test eax, eax",
            "jne cellwall_host_unusual",
            "mov r10, [r15 + {BLOCK}]",
            "mov rsp, [rbx + {GUEST_RSP}]",
            "cmp dword ptr [rbx + {MARK}], 0",
            concat!($name, "_tail:"),
            "jne cellwall_leave_marked",
            "mov rbx, [rbx + {GUEST_RBX}]",
            "mov rax, [r10 + {RG}]",
            "mov rdx, [r10 + {RG} + 8]",
            "mov rcx, [r10 + {RG} + 16]",
            "mov rsi, [r10 + {RG} + 24]",
            $load,
            "ret",
            concat!($name, "_end:"),
            "nop # {AX} {RX}",
            HOST_RSP = const offset_of!(Activation, host_rsp),
            GUEST_RSP = const offset_of!(Activation, guest_rsp),
            GUEST_RBX = const offset_of!(Activation, guest_rbx),
            MARK = const offset_of!(Activation, mark),
            STORE = const context::STORE,
            BLOCK = const context::BLOCK,
            CODE = const func_entry::CODE,
            CONTEXT = const func_entry::CONTEXT,
            AG = const block_arg_gpr(0),
            AX = const block_arg_xmm(0),
            RG = const block_result_gpr(0),
            RX = const block_result_xmm(0),
        );
    };
}

/// Moves of vector registers 0 to N-1 between registers and the block.
macro_rules! xmms {
    (load $place:literal $($n:literal)*) => {
        concat!($("movups xmm", $n, ", [r10 + {", $place, "} + 16*", $n, "]\n",)*)
    };
    (store $place:literal $($n:literal)*) => {
        concat!($("movups [r10 + {", $place, "} + 16*", $n, "], xmm", $n, "\n",)*)
    };
}

enter_stub!(
    "cellwall_enter",
    xmms!(load "AX" 0 1 2 3 4 5 6 7),
    xmms!(store "RX" 0 1 2 3)
);
enter_stub!("cellwall_enter_gprs", "", "");
host_stub!(
    "cellwall_host",
    xmms!(store "AX" 0 1 2 3 4 5 6 7),
    xmms!(load "RX" 0 1 2 3)
);
host_stub!("cellwall_host_gprs", "", "");

global_asm!(
    ".text",
    ".balign 16",
    hidden!("cellwall_leave" "cellwall_leave_outcome" "cellwall_leave_marked"),
    hidden!("cellwall_host_unusual" "cellwall_library_unusual" "cellwall_park"),
    hidden!("cellwall_resume_tail" "cellwall_resume_jump" "cellwall_resume_end"),
    // (rbx = activation, eax = what the host function answered)
    "cellwall_host_unusual:",
    "mov edx, eax",
    // (rbx = activation, edx = what the library function answered)
    "cellwall_library_unusual:",
    "cmp edx, {WAITS}",
    "je cellwall_park",
    "cmp edx, {CAUGHT}",
    "jne cellwall_leave_outcome",
    // An exception was caught: goes on where the activation says, with what results of calls are
    // in. The return address of the call that it left is still on the stack.
    "mov r15, [rbx + {RESUME_CONTEXT}]",
    "mov r11, [rbx + {RESUME_PC}]",
    "mov rsp, [rbx + {GUEST_RSP}]",
    "mov r14, [r15 + {BASE}]",
    "mov r10, [r15 + {BLOCK}]",
    "cmp dword ptr [rbx + {MARK}], 0",
    "cellwall_resume_tail:",
    "jne cellwall_leave_marked",
    "xor ebx, ebx",
    "mov rax, [r10 + {RG}]",
    "mov rdx, [r10 + {RG} + 8]",
    "mov rcx, [r10 + {RG} + 16]",
    "mov rsi, [r10 + {RG} + 24]",
    xmms!(load "RX" 0 1 2 3),
    "add rsp, 8",
    "cellwall_resume_jump:",
    "jmp r11",
    "cellwall_resume_end:",
    // (rbx = activation) The frames stay where they are; what the guest has in registers is kept.
    "cellwall_park:",
    "mov [rbx + {GUEST_RBP}], rbp",
    "mov [rbx + {GUEST_R12}], r12",
    "mov [rbx + {GUEST_R13}], r13",
    "mov [rbx + {GUEST_CONTEXT}], r15",
    "mov rdi, rbx",
    "mov eax, {PARKED}",
    "jmp cellwall_leave",
    "cellwall_leave_outcome:",
    "mov rdi, rbx",
    "mov eax, {OUTCOME}",
    "jmp cellwall_leave",
    "cellwall_leave_marked:",
    "mov rdi, rbx",
    "mov eax, {MARKED}",
    // (rdi = activation, eax = status)
    "cellwall_leave:",
    "mov rsp, [rdi + {HOST_RSP}]",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".balign 16",
    hidden!("cellwall_unpark" "cellwall_unpark_tail" "cellwall_unpark_end"),
    // (rdi = activation, esi = what the host function answered) -> eax = status. The results are in
    // the block.
    "cellwall_unpark:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov [rdi + {HOST_RSP}], rsp",
    "mov rbx, rdi",
    "mov edx, esi",
    "mov rbp, [rbx + {GUEST_RBP}]",
    "mov r12, [rbx + {GUEST_R12}]",
    "mov r13, [rbx + {GUEST_R13}]",
    "mov r15, [rbx + {GUEST_CONTEXT}]",
    "test edx, edx",
    "jne cellwall_library_unusual",
    "mov r14, [r15 + {BASE}]",
    "mov r10, [r15 + {BLOCK}]",
    "mov rsp, [rbx + {GUEST_RSP}]",
    "cmp dword ptr [rbx + {MARK}], 0",
    "cellwall_unpark_tail:",
    "jne cellwall_leave_marked",
    "mov rbx, [rbx + {GUEST_RBX}]",
    "mov rax, [r10 + {RG}]",
    "mov rdx, [r10 + {RG} + 8]",
    "mov rcx, [r10 + {RG} + 16]",
    "mov rsi, [r10 + {RG} + 24]",
    xmms!(load "RX" 0 1 2 3),
    "ret",
    "cellwall_unpark_end:",
    "nop",
    ".balign 16",
    hidden!("cellwall_foreign" "cellwall_foreign_frame" "cellwall_foreign_return"),
    hidden!("cellwall_foreign_unframe" "cellwall_foreign_end"),
    "cellwall_foreign:",
    "lea r10, [rip + cellwall_foreign_return]",
    "cmp r10, [rsp]",
    "je 3f",
    "sub rsp, 24",
    "cellwall_foreign_frame:",
    "mov [rsp + 8], r15",
    "mov [rsp], r14",
    "mov r15, [r11 + {CONTEXT}]",
    "mov r14, [r15 + {BASE}]",
    "cmp dword ptr [r15 + {POISON}], 0",
    "jne 2f",
    "call [r11 + {CODE}]",
    "cellwall_foreign_return:",
    "mov r15, [rsp + 8]",
    "mov r14, [rsp]",
    "add rsp, 24",
    "cellwall_foreign_unframe:",
    "ret",
    // A tail call of a function that was entered here itself: what its caller needs is already kept
    // above, and nobody comes back to what is running.
    "3:",
    "mov r15, [r11 + {CONTEXT}]",
    "mov r14, [r15 + {BASE}]",
    "cmp dword ptr [r15 + {POISON}], 0",
    "jne 4f",
    "jmp [r11 + {CODE}]",
    "cellwall_foreign_end:",
    "2:",
    "add rsp, 24",
    "4:",
    "mov rdi, [r15 + {STORE}]",
    "mov rdi, [rdi]",
    "mov [rdi + {GUEST_RSP}], rsp",
    "mov eax, {POISONED}",
    "jmp cellwall_leave",
    // (r11 = library function, arguments in place)
    ".balign 16",
    hidden!("cellwall_library_common" "cellwall_library_tail" "cellwall_library_end"),
    "cellwall_library_common:",
    "mov rax, [r15 + {STORE}]",
    "mov rax, [rax]",
    "mov [rax + {GUEST_RBX}], rbx",
    "mov rbx, rax",
    "mov [rbx + {GUEST_RSP}], rsp",
    "mov r9, r15",
    "mov rsp, [rbx + {HOST_RSP}]",
    "call r11",
    "test edx, edx",
    "jne cellwall_library_unusual",
    "mov rsp, [rbx + {GUEST_RSP}]",
    "cmp dword ptr [rbx + {MARK}], 0",
    "cellwall_library_tail:",
    "jne cellwall_leave_marked",
    "mov rbx, [rbx + {GUEST_RBX}]",
    "ret",
    "cellwall_library_end:",
    "nop",
    HOST_RSP = const offset_of!(Activation, host_rsp),
    GUEST_RSP = const offset_of!(Activation, guest_rsp),
    GUEST_RBX = const offset_of!(Activation, guest_rbx),
    MARK = const offset_of!(Activation, mark),
    STORE = const context::STORE,
    BASE = const context::BASE,
    POISON = const context::POISON,
    CODE = const func_entry::CODE,
    CONTEXT = const func_entry::CONTEXT,
    BLOCK = const context::BLOCK,
    RESUME_CONTEXT = const offset_of!(Activation, resume_context),
    RESUME_PC = const offset_of!(Activation, resume_pc),
    RG = const block_result_gpr(0),
    RX = const block_result_xmm(0),
    GUEST_RBP = const offset_of!(Activation, guest_rbp),
    GUEST_R12 = const offset_of!(Activation, guest_r12),
    GUEST_R13 = const offset_of!(Activation, guest_r13),
    GUEST_CONTEXT = const offset_of!(Activation, guest_context),
    CAUGHT = const CAUGHT_STATUS,
    WAITS = const WAITS_STATUS,
    PARKED = const Status::Parked as u32,
    OUTCOME = const Status::Outcome as u32,
    MARKED = const Status::Marked as u32,
    POISONED = const Status::Poisoned as u32,
);

// `call_ref`: (rax = reference, r10 = number of the type that it must have, arguments in place). The
// arguments wait in the block while the runtime looks for the function, and the return address stays
// where it is.
global_asm!(
    ".text",
    ".balign 16",
    hidden!("cellwall_call_ref" "cellwall_call_ref_tail" "cellwall_call_ref_end"),
    "cellwall_call_ref:",
    "mov r11d, r10d",
    "mov r10, [r15 + {BLOCK}]",
    "mov [r10 + {AG}], rdi",
    "mov [r10 + {AG} + 8], rsi",
    "mov [r10 + {AG} + 16], rdx",
    "mov [r10 + {AG} + 24], rcx",
    "mov [r10 + {AG} + 32], r8",
    "mov [r10 + {AG} + 40], r9",
    xmms!(store "AX" 0 1 2 3 4 5 6 7),
    "mov edi, eax",
    "mov esi, r11d",
    "mov rdx, r15",
    "mov rax, [r15 + {STORE}]",
    "mov rax, [rax]",
    "mov [rax + {GUEST_RBX}], rbx",
    "mov rbx, rax",
    "mov [rbx + {GUEST_RSP}], rsp",
    "mov rsp, [rbx + {HOST_RSP}]",
    "call {function}",
    "test edx, edx",
    "jne cellwall_leave_outcome",
    "mov r11, rax",
    "mov rsp, [rbx + {GUEST_RSP}]",
    "cmp dword ptr [rbx + {MARK}], 0",
    "cellwall_call_ref_tail:",
    "jne cellwall_leave_marked",
    "mov rbx, [rbx + {GUEST_RBX}]",
    "mov r10, [r15 + {BLOCK}]",
    "mov rdi, [r10 + {AG}]",
    "mov rsi, [r10 + {AG} + 8]",
    "mov rdx, [r10 + {AG} + 16]",
    "mov rcx, [r10 + {AG} + 24]",
    "mov r8, [r10 + {AG} + 32]",
    "mov r9, [r10 + {AG} + 40]",
    xmms!(load "AX" 0 1 2 3 4 5 6 7),
    "jmp [r11 + {CALL}]",
    "cellwall_call_ref_end:",
    "nop",
    function = sym library::call_ref,
    HOST_RSP = const offset_of!(Activation, host_rsp),
    GUEST_RSP = const offset_of!(Activation, guest_rsp),
    GUEST_RBX = const offset_of!(Activation, guest_rbx),
    MARK = const offset_of!(Activation, mark),
    STORE = const context::STORE,
    BLOCK = const context::BLOCK,
    CALL = const func_entry::CALL,
    AG = const block_arg_gpr(0),
    AX = const block_arg_xmm(0),
);

/// The address for the context's field of calls by reference.
pub(crate) fn call_ref_stub() -> usize {
    cellwall_call_ref as *const () as usize
}

/// One stub per library call: names the function and goes to the common part.
macro_rules! library_stubs {
    ($($call:ident $symbol:ident $function:ident;)*) => {
        $(
            global_asm!(
                ".text",
                ".balign 16",
                concat!(".hidden ", stringify!($symbol)),
                concat!(".globl ", stringify!($symbol)),
                concat!(stringify!($symbol), ":"),
                "lea r11, [rip + {function}]",
                "jmp cellwall_library_common",
                function = sym library::$function,
            );
        )*
        mod library_symbols {
            unsafe extern "C" {
                $(pub(super) fn $symbol();)*
            }
        }

        /// The address for the context's slot of a library call.
        pub(crate) fn library_stub(call: LibCall) -> usize {
            match call {
                $(LibCall::$call => library_symbols::$symbol as *const () as usize,)*
            }
        }
    };
}

library_stubs! {
    MemoryGrow cellwall_lib_memory_grow memory_grow;
    MemoryCopy cellwall_lib_memory_copy memory_copy;
    MemoryFill cellwall_lib_memory_fill memory_fill;
    MemoryInit cellwall_lib_memory_init memory_init;
    DataDrop cellwall_lib_data_drop data_drop;
    TableGet cellwall_lib_table_get table_get;
    TableSet cellwall_lib_table_set table_set;
    TableGrow cellwall_lib_table_grow table_grow;
    TableFill cellwall_lib_table_fill table_fill;
    TableCopy cellwall_lib_table_copy table_copy;
    TableInit cellwall_lib_table_init table_init;
    ElemDrop cellwall_lib_elem_drop elem_drop;
    ThrowRef cellwall_lib_throw_ref throw_ref;
    RefFunc cellwall_lib_ref_func ref_func;
    AtomicWait32 cellwall_lib_atomic_wait32 atomic_wait32;
    AtomicWait64 cellwall_lib_atomic_wait64 atomic_wait64;
    AtomicNotify cellwall_lib_atomic_notify atomic_notify;
}

unsafe extern "C" {
    fn cellwall_enter(activation: *const c_void, code: usize, context: usize, stack: usize) -> u32;
    fn cellwall_enter_gprs(activation: *const c_void, code: usize, context: usize, stack: usize) -> u32;
    fn cellwall_enter_few(
        activation: *const c_void,
        code: usize,
        context: usize,
        stack: usize,
        first: u64,
        second: u64,
    ) -> Answer;
    fn cellwall_enter_few_tail();
    fn cellwall_enter_few_return();
    fn cellwall_enter_four(
        activation: *const c_void,
        code: usize,
        context: usize,
        stack: usize,
        first: u64,
        second: u64,
        third: u64,
        fourth: u64,
    ) -> Answer;
    fn cellwall_enter_four_tail();
    fn cellwall_enter_four_return();
    fn cellwall_enter_tail();
    fn cellwall_enter_return();
    fn cellwall_enter_gprs_tail();
    fn cellwall_enter_gprs_return();
    fn cellwall_leave();
    fn cellwall_unpark(activation: *const c_void, answer: u32) -> u32;
    fn cellwall_unpark_tail();
    fn cellwall_unpark_end();
    fn cellwall_foreign();
    fn cellwall_foreign_frame();
    fn cellwall_foreign_return();
    fn cellwall_foreign_unframe();
    fn cellwall_foreign_end();
    fn cellwall_host();
    fn cellwall_host_tail();
    fn cellwall_host_end();
    fn cellwall_host_gprs();
    fn cellwall_host_gprs_tail();
    fn cellwall_host_gprs_end();
    fn cellwall_resume_tail();
    fn cellwall_resume_jump();
    fn cellwall_resume_end();
    fn cellwall_call_ref();
    fn cellwall_call_ref_tail();
    fn cellwall_call_ref_end();
    fn cellwall_library_tail();
    fn cellwall_library_end();
}

/// Runs verified code until it returns or leaves; the raw [`Status`].
///
/// # Safety
/// `code` is a function of mapped code, `context` the context of a living instance of it,
/// `activation` the top activation of its store and of this thread, `stack` a 16-byte aligned
/// address on its cell stack with nothing in use below it, and the block holds the arguments.
#[inline]
pub(crate) unsafe fn enter(
    activation: *const Activation,
    code: usize,
    context: usize,
    stack: usize,
    width: Width,
) -> u32 {
    let activation = activation.cast();
    match width {
        // SAFETY: as the caller promises.
        Width::All => unsafe { cellwall_enter(activation, code, context, stack) },
        // SAFETY: as the caller promises.
        Width::Gprs => unsafe { cellwall_enter_gprs(activation, code, context, stack) },
    }
}

/// What `enter_few` answers, in two registers.
#[repr(C)]
struct Answer {
    /// The raw status in the lower half; nothing in particular in the upper one.
    status: u64,
    result: u64,
}

/// Like [`enter`], for a function with at most two parameters and one result, all in integer
/// registers: the raw [`Status`] and the result.
///
/// # Safety
/// As [`enter`], but for the block; and the function is of such a type.
#[inline]
pub(crate) unsafe fn enter_few(
    activation: *const Activation,
    code: usize,
    context: usize,
    stack: usize,
    [first, second]: [u64; 2],
) -> (u32, u64) {
    // SAFETY: as the caller promises.
    let answer = unsafe { cellwall_enter_few(activation.cast(), code, context, stack, first, second) };
    (answer.status as u32, answer.result)
}

/// Likewise with at most four parameters.
///
/// # Safety
/// As [`enter_few`].
#[inline]
pub(crate) unsafe fn enter_four(
    activation: *const Activation,
    code: usize,
    context: usize,
    stack: usize,
    [first, second, third, fourth]: [u64; 4],
) -> (u32, u64) {
    let activation = activation.cast();
    // SAFETY: as the caller promises.
    let answer =
        unsafe { cellwall_enter_four(activation, code, context, stack, first, second, third, fourth) };
    (answer.status as u32, answer.result)
}

/// Goes on in a guest that is parked in a host function, until it returns or leaves; the raw
/// [`Status`]. `answer` is what the host function answers by now: 0 or [`CAUGHT_STATUS`].
///
/// # Safety
/// The activation has ended with [`Status::Parked`], and is the top one of its store and of this
/// thread again; its cell stack is as it was; the block holds the results, or the activation says
/// where the exception was caught.
pub(crate) unsafe fn unpark(activation: *const Activation, answer: u32) -> u32 {
    // SAFETY: as the caller promises.
    unsafe { cellwall_unpark(activation.cast(), answer) }
}

/// The stubs that function entries name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stub {
    /// Into another instance.
    Foreign,
    /// Into a host function with parameters and results of this width.
    Host(Width),
}

/// The address of a stub for [`func_entry::CALL`].
pub(crate) fn stub_address(stub: Stub) -> usize {
    match stub {
        Stub::Foreign => cellwall_foreign as *const () as usize,
        Stub::Host(Width::All) => cellwall_host as *const () as usize,
        Stub::Host(Width::Gprs) => cellwall_host_gprs as *const () as usize,
    }
}

/// Where a signal handler sends the thread to leave the guest (first argument: the activation,
/// accumulator: the status).
pub(crate) fn leave_address() -> usize {
    cellwall_leave as *const () as usize
}

/// What a program counter outside of mapped code means to a walk or to a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StubPlace {
    /// The guest is about to be entered: nothing on the cell stack yet.
    EnterTail,
    /// The return address of the first guest frame.
    EnterReturn,
    /// In `foreign`; the return address lies this many bytes above the stack pointer.
    Foreign(usize),
    /// In the tail of `host` or `library`; the return address is on top.
    Tail,
    /// About to go on where an exception was caught; the return address of the call that it left lies
    /// below the stack pointer.
    Resumed,
}

/// Where in the stubs a program counter is, if it is in a place where leaving at once is right.
pub(crate) fn stub_at(pc: usize) -> Option<StubPlace> {
    let within = |from: unsafe extern "C" fn(), to: unsafe extern "C" fn()| {
        (from as *const () as usize..to as *const () as usize).contains(&pc)
    };
    let enter_return = cellwall_enter_return as *const () as usize;
    let enter_gprs_return = cellwall_enter_gprs_return as *const () as usize;
    let enter_few_return = cellwall_enter_few_return as *const () as usize;
    let enter_four_return = cellwall_enter_four_return as *const () as usize;
    if [
        enter_return,
        enter_gprs_return,
        enter_few_return,
        enter_four_return,
    ]
    .contains(&pc)
    {
        Some(StubPlace::EnterReturn)
    } else if within(cellwall_enter_tail, cellwall_enter_return)
        || within(cellwall_enter_gprs_tail, cellwall_enter_gprs_return)
        || within(cellwall_enter_few_tail, cellwall_enter_few_return)
        || within(cellwall_enter_four_tail, cellwall_enter_four_return)
    {
        Some(StubPlace::EnterTail)
    } else if within(cellwall_foreign_frame, cellwall_foreign_unframe) {
        Some(StubPlace::Foreign(24))
    } else if within(cellwall_foreign, cellwall_foreign_end) {
        Some(StubPlace::Foreign(0))
    } else if within(cellwall_host_tail, cellwall_host_end)
        || within(cellwall_host_gprs_tail, cellwall_host_gprs_end)
        || within(cellwall_library_tail, cellwall_library_end)
        || within(cellwall_resume_tail, cellwall_resume_jump)
        || within(cellwall_call_ref_tail, cellwall_call_ref_end)
        || within(cellwall_unpark_tail, cellwall_unpark_end)
    {
        Some(StubPlace::Tail)
    } else if within(cellwall_resume_jump, cellwall_resume_end) {
        Some(StubPlace::Resumed)
    } else {
        None
    }
}

/// The return address that `foreign` pushes: frames of the caller lie above it.
pub(crate) fn is_foreign_return(pc: usize) -> bool {
    pc == cellwall_foreign_return as *const () as usize
}

/// About where the thread's stack pointer is.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let rsp: usize;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) rsp, options(nomem, nostack, preserves_flags)) };
    rsp
}

/// What this processor can do beyond the baseline of code (SSE4.1), or `None` if it lacks that.
pub(crate) fn features() -> Option<CpuFeatures> {
    use std::arch::is_x86_feature_detected as has;
    has!("sse4.1").then(|| CpuFeatures {
        popcnt: has!("popcnt"),
        lzcnt: has!("lzcnt"),
        bmi1: has!("bmi1"),
        bmi2: has!("bmi2"),
        avx: has!("avx"),
        avx2: has!("avx2"),
        fma: has!("fma"),
    })
}

#[cfg(test)]
mod tests {
    use cellwall_abi::convention::*;

    /// The assembly names registers; this is where their order is held against the treaty.
    #[test]
    fn the_stubs_use_the_registers_of_the_convention() {
        assert_eq!(ARG_GPRS, [7, 6, 2, 1, 8, 9], "rdi, rsi, rdx, rcx, r8, r9");
        assert_eq!(RESULT_GPRS, [0, 2, 1, 6], "rax, rdx, rcx, rsi");
        assert_eq!((ARG_XMMS, RESULT_XMMS), ([0, 1, 2, 3, 4, 5, 6, 7], [0, 1, 2, 3]));
        assert_eq!((CONTEXT, BASE, ENTRY, STACK), (15, 14, 11, 4));
        assert_eq!(CALLEE_SAVED, [3, 5, 12, 13], "rbx, rbp, r12, r13: the host's own");
        assert_eq!(block_arg_gpr(5), block_arg_gpr(0) + 40);
        assert_eq!(block_arg_xmm(7), block_arg_xmm(0) + 112);
        assert_eq!(block_result_gpr(3), block_result_gpr(0) + 24);
        assert_eq!(block_result_xmm(3), block_result_xmm(0) + 48);
    }
}
