//! The monitor proper: one instruction, with the registers before it, and what it may do.
//!
//! Requires the bytes at the program counter and the ranges of the cell. Guarantees that whatever an
//! instruction would touch, and wherever it would go, is known before it runs. Deliberately knows no
//! allow-list: what leaves the cell is found by its addresses, its targets, and a list of instructions
//! that speak to something else than registers and memory.

use super::cell::{Access, Cell, Place, Purpose};
use super::tracee::Registers;
use cellwall_abi::{Artifact, TrapCode};
use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

/// What an instruction will do, if the monitor lets it.
#[derive(Clone, Debug, Default)]
pub struct Forecast {
    /// It must fault, and that is this trap.
    pub faults: Option<TrapCode>,
    /// It takes its target from here: the first field of an entry, or a library slot.
    pub target: Option<Place>,
    /// The bytes outside of the stack that it writes: address and length.
    pub writes: Vec<(u64, u64)>,
}

/// The value of a general-purpose register in its width; 0 for segment bases, which are refused
/// elsewhere.
pub fn register(registers: &Registers, register: Register) -> Option<u64> {
    let r = registers;
    let full = match register.full_register() {
        Register::RAX => r.rax,
        Register::RCX => r.rcx,
        Register::RDX => r.rdx,
        Register::RBX => r.rbx,
        Register::RSP => r.rsp,
        Register::RBP => r.rbp,
        Register::RSI => r.rsi,
        Register::RDI => r.rdi,
        Register::R8 => r.r8,
        Register::R9 => r.r9,
        Register::R10 => r.r10,
        Register::R11 => r.r11,
        Register::R12 => r.r12,
        Register::R13 => r.r13,
        Register::R14 => r.r14,
        Register::R15 => r.r15,
        Register::DS | Register::ES | Register::SS | Register::CS => 0,
        _ => return None,
    };
    Some(if register.is_gpr32() {
        full & 0xffff_ffff
    } else {
        full
    })
}

/// Sets the register with this hardware number.
pub fn set_register(registers: &mut Registers, number: u8, value: u64) {
    let r = registers;
    *match number {
        0 => &mut r.rax,
        1 => &mut r.rcx,
        2 => &mut r.rdx,
        3 => &mut r.rbx,
        4 => &mut r.rsp,
        5 => &mut r.rbp,
        6 => &mut r.rsi,
        7 => &mut r.rdi,
        8 => &mut r.r8,
        9 => &mut r.r9,
        10 => &mut r.r10,
        11 => &mut r.r11,
        12 => &mut r.r12,
        13 => &mut r.r13,
        14 => &mut r.r14,
        _ => &mut r.r15,
    } = value;
}

/// The register with this hardware number.
pub fn numbered(registers: &Registers, number: u8) -> u64 {
    let register_of = Register::RAX + u32::from(number);
    register(registers, register_of).expect("the numbers of general-purpose registers")
}

/// Why an instruction may not run whatever the registers hold.
fn forbidden(insn: &Instruction) -> Option<&'static str> {
    use Mnemonic::*;
    if insn.is_invalid() {
        return Some("bytes that are no instruction");
    }
    if insn.is_privileged() {
        return Some("a privileged instruction");
    }
    match insn.flow_control() {
        FlowControl::Interrupt | FlowControl::XbeginXabortXend => return Some("an entry into the system"),
        FlowControl::Exception if insn.mnemonic() != Ud2 => return Some("an undefined instruction"),
        _ => {}
    }
    let system = matches!(
        insn.mnemonic(),
        Syscall
            | Sysenter
            | Sysexit
            | Sysret
            | Cpuid
            | Rdtsc
            | Rdtscp
            | Rdpmc
            | Rdrand
            | Rdseed
            | Rdpid
            | Rdpkru
            | Wrpkru
            | Rdfsbase
            | Rdgsbase
            | Wrfsbase
            | Wrgsbase
            | Swapgs
            | Xgetbv
            | Sgdt
            | Sidt
            | Sldt
            | Str
            | Smsw
            | Lar
            | Lsl
            | Verr
            | Verw
            | Monitorx
            | Mwaitx
            | Umonitor
            | Umwait
            | Tpause
    );
    if system {
        return Some("an instruction that asks or tells the system");
    }
    let control = matches!(
        insn.mnemonic(),
        Ldmxcsr
            | Vldmxcsr
            | Stmxcsr
            | Vstmxcsr
            | Fldcw
            | Fldenv
            | Fnstenv
            | Popf
            | Popfd
            | Popfq
            | Pushf
            | Pushfd
            | Pushfq
            | Std
            | Enter
            | Leave
    );
    if control || insn.is_save_restore_instruction() {
        return Some("an instruction on control registers or flags");
    }
    if insn.is_string_instruction() || insn.is_vsib() {
        return Some("an instruction with implicit or several addresses");
    }
    let bit_string = matches!(insn.mnemonic(), Bt | Bts | Btr | Btc);
    if bit_string && insn.op0_kind() == OpKind::Memory && insn.op1_kind() == OpKind::Register {
        return Some("a bit string in memory");
    }
    let segment = |i: u32| insn.op_kind(i) == OpKind::Register && insn.op_register(i).is_segment_register();
    if (0..insn.op_count()).any(segment) {
        return Some("a segment register");
    }
    None
}

/// What an instruction will do.
///
/// # Errors
/// In words, what of it leaves the cell.
pub fn forecast(
    factory: &mut InstructionInfoFactory,
    insn: &Instruction,
    registers: &Registers,
    cell: &Cell,
    frame_end: u64,
    artifact: &Artifact,
) -> Result<Forecast, String> {
    if let Some(why) = forbidden(insn) {
        return Err(why.into());
    }
    let mut forecast = Forecast::default();
    let flow = insn.flow_control();
    let compares = matches!(insn.mnemonic(), Mnemonic::Cmp | Mnemonic::Test);
    let info = factory.info(insn);
    for used in info.used_memory() {
        let (reads, writes) = match used.access() {
            OpAccess::None | OpAccess::NoMemAccess => continue,
            OpAccess::Read | OpAccess::CondRead => (true, false),
            OpAccess::Write | OpAccess::CondWrite => (false, true),
            _ => (true, true),
        };
        let Some(address) = used.virtual_address(0, |r, _, _| register(registers, r)) else {
            return Err("an address relative to a segment".into());
        };
        let calls = matches!(flow, FlowControl::Call | FlowControl::IndirectCall);
        let purpose = match flow {
            FlowControl::Return => Purpose::Pop,
            _ if calls && writes => Purpose::Push,
            FlowControl::IndirectCall | FlowControl::IndirectBranch if reads => Purpose::Target,
            _ if compares => Purpose::Probe,
            _ => Purpose::Data,
        };
        let access = Access {
            address,
            bytes: used.memory_size().size() as u64,
            writes,
            purpose,
        };
        match cell.place(&access, registers.rsp, frame_end, artifact) {
            Place::Inside => {
                // The own frame is nobody else's, and gone afterwards.
                if writes && purpose == Purpose::Data && !cell.stack.1.contains(&address) {
                    forecast.writes.push((address, access.bytes));
                }
            }
            Place::Faults(code) => forecast.faults = Some(code),
            target @ (Place::Entry(_) | Place::Library) => forecast.target = Some(target),
            Place::Outside(what) => {
                let how = if writes { "writes" } else { "reads" };
                return Err(format!("{how} {} bytes at {address:#x}: {what}", access.bytes));
            }
        }
    }
    Ok(forecast)
}
