//! For all instruction forms that the verifier allows, and all states before them: what it says of
//! the state afterwards holds on the processor.
//!
//! The verifier is asked from outside: after a few instructions that make a state and one instruction
//! of the form, which uses of each register, vector register and flag does it still permit? That is
//! what it believes. The same instructions then run on the processor, twice with equal arguments and
//! different numbers everywhere else: what it believes to be at most *n* is at most *n*, and what it
//! believes to be defined is the same both times. Lengths are compared by the stepping itself.
//!
//! Requires that processes can be traced. Guarantees that every opcode of every map was tried with
//! every mandatory prefix, width and opcode extension. Deliberately leaves control flow to mutation.

use super::session::{End, Plan, Session};
use super::tracee::{Registers, Vectors};
use crate::honest;
use crate::rng::Rng;
use cellwall_abi::artifact::{PADDING, PAGE};
use cellwall_abi::{Artifact, ContextLayout, FuncRange, Target, TrapCode, TrapSite, UnwindRow};
use cellwall_base::GlobalIdx;
use cellwall_verify::check_function;
use iced_x86::code_asm::{AsmRegister8, AsmRegister32, AsmRegister64, AsmRegisterXmm, registers as regs};
use iced_x86::code_asm::{CodeAssembler, r14, r15};
use iced_x86::code_asm::{byte_ptr, dword_ptr, qword_ptr, xmmword_ptr};
use iced_x86::{Decoder, DecoderOptions, FlowControl, IcedError, Instruction};
use std::collections::BTreeMap;
use std::io;
use std::process::Command;

/// Examples of each form that run.
const EXAMPLES: usize = 4;
/// How often every opcode is tried, each time with other operands.
const PASSES: usize = 8;
/// Arguments that each example runs with.
const INPUTS: u64 = 4;
/// General-purpose registers that are looked at: those that a function may change.
const GPRS: [u8; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

/// The function under test: its arguments are in six integer registers and one vector register.
const MODULE: &str = r#"(module (memory 1)
    (global $a (mut i64) (i64.const 0)) (global $b (mut i32) (i32.const 0))
    (func (param i32 i64 i32 i64 i32 i64 f64) (result i64) (i64.const 0)))"#;

/// An instruction of some form, behind what makes the state before it.
#[derive(Clone, Debug)]
struct Example {
    /// The instructions before it.
    prologue: Vec<u8>,
    /// Its bytes.
    form: Vec<u8>,
    /// Its trap site, if it has to be one.
    site: Option<TrapCode>,
}

/// What the verifier believes of the state after an example.
#[derive(Clone, Debug, Default)]
struct Belief {
    /// By register: how many low bits are defined, and the largest value if it claims one.
    gprs: Vec<(u8, u32, Option<u64>)>,
    /// By vector register: how many low bytes are defined.
    xmms: Vec<(u8, usize)>,
    /// Flags that are defined, as a mask.
    flags: u64,
}

impl Belief {
    fn of_everything() -> Self {
        Self {
            gprs: GPRS.map(|number| (number, 64, Some(u64::from(u32::MAX)))).into(),
            xmms: (0..16).map(|number| (number, 16)).collect(),
            flags: 0x8c5,
        }
    }
}

/// What came of it.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Forms that the verifier allows, with how many examples ran to their end.
    pub forms: BTreeMap<String, u64>,
    /// Instructions that it was asked about.
    pub asked: u64,
    /// Beliefs that were compared with the processor: bounds, defined registers and flags.
    pub compared: u64,
    /// Instructions that were stepped.
    pub steps: u64,
    /// What does not hold.
    pub wrong: Vec<String>,
}

/// Asks, and assembles what is asked about.
struct Asker {
    artifact: Artifact,
    globals: [i32; 2],
    full: Target,
}

type Asm = Result<(), IcedError>;
/// Assembles something.
type Build = fn(&mut CodeAssembler) -> Asm;

fn assemble(build: impl FnOnce(&mut CodeAssembler) -> Asm) -> Vec<u8> {
    let mut asm = CodeAssembler::new(64).expect("64 bits are a width");
    build(&mut asm).expect("the operands fit");
    asm.assemble(0).expect("there are no far branches")
}

fn gpr64(number: u8) -> AsmRegister64 {
    use regs::*;
    [
        rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15,
    ][usize::from(number)]
}

fn gpr32(number: u8) -> AsmRegister32 {
    use regs::*;
    [
        eax, ecx, edx, ebx, esp, ebp, esi, edi, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d,
    ][usize::from(number)]
}

fn gpr8(number: u8) -> AsmRegister8 {
    use regs::*;
    [
        al, cl, dl, bl, spl, bpl, sil, dil, r8b, r9b, r10b, r11b, r12b, r13b, r14b, r15b,
    ][usize::from(number)]
}

fn xmm(number: u8) -> AsmRegisterXmm {
    use regs::*;
    [
        xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15,
    ][usize::from(number)]
}

impl Asker {
    fn new() -> Self {
        let binary = wat::parse_str(MODULE).expect("the text is well-formed");
        let (_, full) = honest::targets()[0];
        let mut artifact = honest::artifact(&binary, &full).expect("the module is valid");
        artifact.text.to_mut().resize(PAGE as usize, PADDING);
        artifact.rodata.to_mut().clear();
        artifact.names.clear();
        let layout = ContextLayout::new(&artifact.shape);
        let globals = [0, 1].map(|global| layout.global(GlobalIdx::from_u32(global)) as i32);
        Self {
            artifact,
            globals,
            full,
        }
    }

    /// Makes this the function: the parts in a row, then a return; sites by offset.
    fn make(&mut self, parts: &[&[u8]], sites: &[(usize, TrapCode)]) {
        // xor eax, eax; ret
        let code = [parts.concat(), vec![0x31, 0xc0, 0xc3]].concat();
        let artifact = &mut self.artifact;
        artifact.text.fill(PADDING);
        artifact.text[..code.len()].copy_from_slice(&code);
        artifact.funcs = vec![FuncRange {
            len: code.len() as u32,
            ..artifact.funcs[0]
        }];
        artifact.unwind = vec![UnwindRow {
            pc: 0,
            frame_bytes: 0,
        }];
        (artifact.heads, artifact.calls) = (Vec::new(), Vec::new());
        let site = |&(pc, code): &(usize, TrapCode)| TrapSite {
            pc: pc as u32,
            code,
            wasm_offset: 0,
        };
        artifact.traps = sites.iter().map(site).collect();
    }

    /// Whether the example may be followed by this use, which accesses memory or does not.
    fn permits(&mut self, example: &Example, used: &[u8], accesses: bool) -> bool {
        let form = example.prologue.len();
        let mut sites: Vec<(usize, TrapCode)> = example.site.map(|code| (form, code)).into_iter().collect();
        if accesses {
            sites.push((form + example.form.len(), TrapCode::MemoryOutOfBounds));
        }
        self.make(&[&example.prologue, &example.form, used], &sites);
        check_function(&self.artifact, 0).is_ok()
    }

    /// The example with these bytes, if the verifier allows it with some site or none.
    fn example(&mut self, prologue: &[u8], form: &[u8]) -> Option<Example> {
        let sites = [
            None,
            Some(TrapCode::MemoryOutOfBounds),
            Some(TrapCode::IntegerDivisionByZero),
            Some(TrapCode::IntegerOverflow),
        ];
        let example = |site| Example {
            prologue: prologue.to_vec(),
            form: form.to_vec(),
            site,
        };
        let mut examples = sites.map(example).into_iter();
        examples.find(|example| self.permits(example, &[], false))
    }

    /// Whether the verifier believes that a register is at most `max`: then a byte that many behind
    /// the start of a memory lies inside reservation and guard, and the next one need not.
    fn at_most(&mut self, example: &Example, register: u8, max: u64) -> bool {
        // Bytes that there are: as many as whole pages give, all of them guard but for what does
        // not fit.
        let reach = (max + 1).next_multiple_of(1 << 16);
        let disp = (reach - (max + 1)) as i32;
        let used = assemble(|a| a.mov(regs::al, byte_ptr(r14 + gpr64(register) + disp)));
        self.artifact.target = Target {
            memory_reservation_bytes: 0,
            memory_guard_bytes: reach,
            ..self.full
        };
        let permits = self.permits(example, &used, true);
        self.artifact.target = self.full;
        permits
    }

    /// The least bound that the verifier believes in, if it believes in one below 2³².
    fn bound(&mut self, example: &Example, register: u8) -> Option<u64> {
        let (mut low, mut high) = (0, u64::from(u32::MAX));
        if !self.at_most(example, register, high) {
            return None;
        }
        // What the form itself needs of the memory may not be there below some size: the answer is
        // a bound that is accepted, whether or not it is the least.
        while low < high {
            let middle = (low + high) / 2;
            match self.at_most(example, register, middle) {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        Some(high)
    }

    fn belief(&mut self, example: &Example) -> Belief {
        let [wide, narrow] = self.globals;
        let mut belief = Belief::default();
        for number in GPRS {
            let all = assemble(|a| a.mov(qword_ptr(r15 + wide), gpr64(number)));
            let low = assemble(|a| a.mov(dword_ptr(r15 + narrow), gpr32(number)));
            let byte = assemble(|a| a.mov(byte_ptr(r14), gpr8(number)));
            let bits = if self.permits(example, &all, false) {
                64
            } else if self.permits(example, &low, false) {
                32
            } else if self.permits(example, &byte, true) {
                8
            } else {
                continue;
            };
            let bound = if bits == 64 {
                self.bound(example, number)
            } else {
                None
            };
            belief.gprs.push((number, bits, bound));
        }
        for number in 0..16 {
            let uses = [
                (16, assemble(|a| a.movups(xmmword_ptr(r14), xmm(number)))),
                (8, assemble(|a| a.movsd_2(qword_ptr(r14), xmm(number)))),
                (4, assemble(|a| a.movss(dword_ptr(r14), xmm(number)))),
            ];
            let defined = uses.iter().find(|(_, used)| self.permits(example, used, true));
            belief.xmms.extend(defined.map(|&(bytes, _)| (number, bytes)));
        }
        let flags: [(u64, Build); 5] = [
            (1, |a| a.setb(regs::al)),
            (4, |a| a.setp(regs::al)),
            (0x40, |a| a.sete(regs::al)),
            (0x80, |a| a.sets(regs::al)),
            (0x800, |a| a.seto(regs::al)),
        ];
        for (flag, used) in flags {
            if self.permits(example, &assemble(used), false) {
                belief.flags |= flag;
            }
        }
        belief
    }
}

/// Instructions that make a state: some registers hold 32-bit numbers, some small ones, some are left
/// undefined.
fn prologue(rng: &mut Rng) -> Vec<u8> {
    assemble(|a| {
        for number in [0, 10, 11] {
            let (wide, low) = (gpr64(number), gpr32(number));
            match rng.below(7) {
                0 => a.mov(low, regs::edi)?,
                1 => a.mov(wide, regs::rsi)?,
                2 => a.movzx(low, regs::dl)?,
                3 => a.mov(low, rng.interesting() as u32)?,
                4 => a.mov(low, rng.below(100) as u32)?,
                5 => a.lea(wide, qword_ptr(regs::rdi + regs::rdx))?,
                _ => {}
            }
        }
        match rng.below(4) {
            0 => a.and(regs::ecx, 31)?,
            1 => a.movzx(regs::r8d, regs::r8b)?,
            2 => a.mov(regs::r9d, regs::r9d)?,
            _ => {}
        }
        // All bytes of some vector registers, some of others, none of a few.
        for number in 1..12 {
            match rng.below(5) {
                0 => a.movss(xmm(number), regs::xmm0)?,
                1 => a.movsd_2(xmm(number), regs::xmm0)?,
                2 => a.movq(xmm(number), regs::rsi)?,
                3 => {
                    a.movq(xmm(number), regs::rcx)?;
                    a.pinsrq(xmm(number), regs::rsi, 1)?;
                }
                _ => {}
            }
        }
        match rng.below(8) {
            0 => Ok(()),
            1 => a.test(regs::edi, regs::edx),
            _ => a.cmp(regs::rsi, regs::rcx),
        }
    })
}

/// Bytes that may be an instruction: this opcode with operands by chance.
fn candidate(rng: &mut Rng, prefix: usize, wide: bool, map: usize, opcode: u8, extension: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Registers that a function may change, most of the time.
    let mut operand = || match rng.below(12) {
        11 => rng.below(16) as u8,
        _ => GPRS[rng.below(GPRS.len())],
    };
    let (mut rm, high, other) = (operand(), operand() & 8, operand());
    let memory = rng.below(3) == 0;
    if memory {
        // The pinned base, or the context; `lea` adds numbers.
        rm = match (map, opcode) {
            (0, 0x8d) => [0, 1, 2, 6, 7][rng.below(5)],
            _ => 14 + rng.below(4) as u8 / 3,
        };
    }
    if map < 4 {
        bytes.extend([&[][..], &[0x66], &[0xf2], &[0xf3]][prefix]);
        let rex = u8::from(wide) << 3 | high >> 1 | rm >> 3;
        // Byte registers beyond the fourth need it also when it says nothing.
        if rex != 0 || rng.below(2) == 0 {
            bytes.push(0x40 | rex);
        }
        bytes.extend([&[][..], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]][map]);
    } else {
        let (r, b) = (high ^ 8, (rm & 8) ^ 8);
        let low = u8::from(wide) << 7 | (!other & 15) << 3 | prefix as u8;
        if map == 4 && rng.below(2) == 0 {
            bytes.extend([0xc5, r << 4 | low & 0x7f]);
            rm &= 7;
        } else {
            bytes.extend([0xc4, r << 4 | 0x40 | b << 2 | (map - 3) as u8, low]);
        }
    }
    bytes.push(opcode);
    if memory {
        bytes.push(1 << 6 | extension << 3 | rm & 7);
        bytes.push(8 * rng.below(14) as u8);
    } else {
        bytes.push(3 << 6 | extension << 3 | rm & 7);
    }
    bytes.extend((rng.interesting() as u32).to_le_bytes());
    bytes.extend(rng.interesting().to_le_bytes());
    bytes
}

/// Examples of all forms that the verifier allows, by form.
fn examples(asker: &mut Asker, rng: &mut Rng, tally: &mut Tally) -> BTreeMap<String, Vec<Example>> {
    let mut found: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    let cases = (0..7).flat_map(|map| (0..4).map(move |prefix| (map, prefix)));
    let cases = cases.flat_map(|(map, prefix)| [false, true].map(|wide| (map, prefix, wide)));
    let cases: Vec<(usize, usize, bool)> = cases.collect();
    for &(map, prefix, wide) in cases.iter().cycle().take(PASSES * cases.len()) {
        for (opcode, extension) in (0..=255u8).flat_map(|opcode| (0..8).map(move |e| (opcode, e))) {
            let bytes = candidate(rng, prefix, wide, map, opcode, extension);
            let insn = Decoder::new(64, &bytes, DecoderOptions::NONE).decode();
            if insn.is_invalid() || insn.flow_control() != FlowControl::Next {
                continue;
            }
            let known = found.get(&form_of(&insn)).map_or(0, Vec::len);
            if known >= EXAMPLES {
                continue;
            }
            tally.asked += 1;
            let prologue = prologue(rng);
            if let Some(example) = asker.example(&prologue, &bytes[..insn.len()]) {
                found.entry(form_of(&insn)).or_default().push(example);
            }
        }
    }
    found
}

/// The name of a form: the instruction with the kinds of its operands.
pub fn form_of(insn: &Instruction) -> String {
    format!("{:?}", insn.code())
}

/// Asks about all forms and compares with the processor. The `gullible` one asks nobody: it believes
/// that everything is defined and small, and must be wrong.
///
/// # Errors
/// If the stepped process does not do what it must.
///
/// # Panics
/// If the module cannot be instantiated.
pub fn run(seed: u64, gullible: bool, command: &dyn Fn() -> Command) -> io::Result<Tally> {
    let (mut rng, mut asker, mut tally) = (Rng::new(seed), Asker::new(), Tally::default());
    let honest = {
        asker.make(&[], &[]);
        asker.artifact.clone()
    };
    let mut session = Session::new(command, &honest)?.expect("the module can be instantiated");
    for (form, examples) in examples(&mut asker, &mut rng, &mut tally) {
        let ran = tally.forms.entry(form.clone()).or_default();
        for example in examples {
            let belief = match gullible {
                true => Belief::of_everything(),
                false => asker.belief(&example),
            };
            let site = example.site.map(|code| (example.prologue.len(), code));
            asker.make(&[&example.prologue, &example.form], site.as_slice());
            session.replace(&asker.artifact)?;
            let steps = instructions(&example.prologue) + 1;
            for _ in 0..INPUTS {
                let inputs = rng.bits();
                let Some(first) = after(&mut session, steps, inputs, rng.bits(), &mut tally.wrong)? else {
                    continue;
                };
                let Some(second) = after(&mut session, steps, inputs, rng.bits(), &mut tally.wrong)? else {
                    continue;
                };
                *ran += 1;
                tally.steps += 2 * steps as u64;
                match compare(&belief, &first, &second) {
                    Ok(compared) => tally.compared += compared,
                    Err(how) => {
                        let insn = Decoder::new(64, &example.form, DecoderOptions::NONE).decode();
                        tally.wrong.push(format!("{form}, `{insn}`: {how}"));
                    }
                }
            }
        }
    }
    Ok(tally)
}

fn instructions(code: &[u8]) -> usize {
    Decoder::new(64, code, DecoderOptions::NONE).into_iter().count()
}

/// The registers after so many instructions; `None` if it trapped on the way.
fn after(
    session: &mut Session<'_>,
    steps: usize,
    inputs: u64,
    residue: u64,
    wrong: &mut Vec<String>,
) -> io::Result<Option<(Registers, Vectors)>> {
    let plan = Plan {
        func: 0,
        inputs,
        residue,
        steps_max: steps,
    };
    match session.run(&plan)?.end {
        End::Limit => Ok(Some(session.registers()?)),
        End::Trapped(_) => Ok(None),
        other => {
            wrong.push(format!("ended with {other:?}"));
            Ok(None)
        }
    }
}

/// How many beliefs hold.
///
/// # Errors
/// The first that does not.
fn compare(
    belief: &Belief,
    first: &(Registers, Vectors),
    second: &(Registers, Vectors),
) -> Result<u64, String> {
    let mut compared = 0;
    for &(number, bits, bound) in &belief.gprs {
        let [one, other] = [first, second].map(|state| super::judge::numbered(&state.0, number));
        if (one ^ other) << (64 - bits) != 0 {
            return Err(format!(
                "{bits} bits of {} are {one:#x} and {other:#x}",
                gpr_name(number)
            ));
        }
        if let Some(max) = bound.filter(|&max| one > max) {
            return Err(format!("{} is {one:#x}, not at most {max:#x}", gpr_name(number)));
        }
        compared += 1 + u64::from(bound.is_some());
    }
    for &(number, bytes) in &belief.xmms {
        let words =
            |state: &(Registers, Vectors)| state.1.xmm_space[usize::from(number) * 4..][..bytes / 4].to_vec();
        let (one, other) = (words(first), words(second));
        if one != other {
            return Err(format!(
                "{bytes} bytes of xmm{number} are {one:x?} and {other:x?}"
            ));
        }
        compared += 1;
    }
    let differ = (first.0.eflags ^ second.0.eflags) & belief.flags;
    if differ != 0 {
        return Err(format!("flags {differ:#x} are not the same"));
    }
    Ok(compared + u64::from(belief.flags.count_ones()))
}

fn gpr_name(number: u8) -> String {
    format!("{:?}", iced_x86::Register::RAX + u32::from(number))
}
