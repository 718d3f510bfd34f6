//! What the verifier says when it refuses: which function, where, which rule, on what evidence.
//!
//! Requires nothing. Guarantees that every refusal names exactly one rule of the module
//! documentation. Deliberately holds no policy.

use cellwall_base::FuncIdx;
use std::fmt;

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)*) => {
        /// A rule of the proof; the crate documentation defines each.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $($(#[$meta])* $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Rule] = &[$(Self::$name,)*];

            /// The rule in words.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// Tables of the artifact: sorted, in range, without overlap, in agreement with the shape.
    Metadata = "V6 metadata: tables are sorted, in range and agree with the shape";
    /// The target's facts make sense.
    Target = "V7 target: reservation, guards and features make sense";
    /// Bytes between functions are padding.
    Padding = "V2 padding: only int3 lies between functions";
    /// The bytes do not decode, or the instruction is cut off.
    Decode = "V1 decoding: bytes form an instruction";
    /// The instruction is not on the allow-list.
    NotAllowed = "V1 allow-list: the instruction has a row";
    /// The instruction needs a CPU feature that the target does not have.
    Feature = "V1 features: the target has the instruction";
    /// A redundant or misplaced prefix, a longer form than needed, an ignored bit that is set.
    Encoding = "V1 encoding: the encoding is canonical";
    /// An operand that the row does not permit (pinned register, high byte, wrong kind).
    Operand = "V1 operands: the row permits the operand";
    /// A branch that does not go to a listed head of its own function.
    BranchTarget = "V2 branches: a branch goes to a block head of its function";
    /// A head that is not an instruction boundary.
    Head = "V2 heads: a block head is an instruction boundary";
    /// Execution could run past the function's last byte.
    FallsOffEnd = "V2 end: no path runs off the end";
    /// Code that no path reaches.
    Unreachable = "V2 reachability: every instruction can be reached";
    /// A direct call to something that is not the entry of a function.
    CallTarget = "V2 direct calls: a call goes to an entry";
    /// An indirect jump that is not the end of the one permitted shape.
    IndirectJump = "V2 indirect jumps: only through a checked jump table with a bounded index";
    /// An indirect call through anything but a library slot, an import entry or a checked entry.
    IndirectCall = "V2 indirect calls: only through a slot, or an entry whose signature matched";
    /// A jump to a function whose results are not those of the one it leaves.
    TailCall = "V2 tail calls: the callee has the results of the function that it takes the place of";
    /// The stack pointer moves in another way than by constants, or is not restored.
    StackPointer = "V3 stack pointer: moves by constants, is restored, is aligned at calls";
    /// A frame beyond what guard and probes cover.
    StackProbe = "V3 frames: stay within stack plus guard";
    /// A stack access outside the own frame.
    StackAccess = "V3 stack access: lies in the own frame";
    /// A read of a slot or register that this activation has not written.
    Undefined = "V5 defined: is written before it is read";
    /// A value in the store's block at a place or time that no signature fixes.
    BlockAccess = "V3 block: only at the places of a signature, until the next call";
    /// A context access at something that is not a field, or not in the field's way.
    ContextAccess = "V4 context: constant offset of a field, with its kind and permission";
    /// An access to a linear memory whose bounds do not follow.
    MemoryAccess = "V4 memory: base + bounded index + displacement stays inside reservation plus guard";
    /// An access through something that is not a pointer of a permitted kind, or outside of it.
    Address = "V4 addresses: every access has one of the permitted forms";
    /// A read of constants outside the read-only data, or a write to it, or a misaligned one.
    Rodata = "V4 constants: inside the read-only data, loads only";
    /// A pointer where data is needed.
    Kind = "V4 kinds: pointers are no data";
    /// The pinned context or base is written or read as a value.
    Pinned = "V5 pinned state: context and base are never written or copied";
    /// A 32-bit argument or result that is not zero-extended.
    ZeroExtension = "V5 convention: 32-bit arguments and results are zero-extended";
    /// A callee-saved register that does not hold at a return or tail call what it held at entry.
    CalleeSaved = "V5 convention: callee-saved registers are at each return what they were at entry";
    /// An instruction that can fault is not listed with a fitting code, or the reverse.
    TrapSite = "V6 trap sites: exactly the instructions that can fault are listed";
    /// The listed frame size is not the one that the code builds.
    Unwind = "V6 unwind rows: agree with the frame";
    /// A call is not listed, or something that is no call is.
    CallSite = "V6 call sites: exactly the calls are listed";
    /// A landing pad that is not of a call of its function, or of no tag.
    LandingPad = "V6 landing pads: belong to a call and lead to a block head of its function";
    /// The proof would take more work or space than its budget.
    Budget = "the proof stays within its budget";
}

/// The first thing that keeps code from being accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The function, if the violation lies in one.
    pub func: Option<FuncIdx>,
    /// Offset in the text; 0 if the violation is not at an instruction.
    pub pc: u32,
    /// The rule that does not hold.
    pub rule: Rule,
    /// What was found there, in words.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.func {
            Some(func) => write!(f, "{func} at 0x{:x}", self.pc)?,
            None => f.write_str("artifact")?,
        }
        write!(f, ": {} ({})", self.rule.text(), self.evidence)
    }
}

impl std::error::Error for Violation {}

/// The answer of a check; who knows function and place adds them.
pub(crate) type Check<T> = Result<T, Box<Violation>>;

/// What [`refuse!`] returns.
#[cold]
pub(crate) fn refusal(rule: Rule, evidence: fmt::Arguments<'_>) -> Box<Violation> {
    Box::new(Violation {
        func: None,
        pc: 0,
        rule,
        evidence: evidence.to_string(),
    })
}

/// Says where a refusal belongs, if the answer is one.
pub(crate) fn located<T>(answer: Check<T>, func: Option<FuncIdx>, pc: u32) -> Check<T> {
    answer.map_err(|mut violation| {
        (violation.func, violation.pc) = (func, pc);
        violation
    })
}

/// Returns with a refusal: a rule, and the evidence as `format!` takes it.
macro_rules! refuse {
    ($rule:expr => $($evidence:tt)+) => {
        return Err(crate::violation::refusal($rule, format_args!($($evidence)+)))
    };
}

/// Refuses what does not hold: a condition, a rule, and the evidence as `format!` takes it.
macro_rules! ensure {
    ($holds:expr, $rule:expr => $($evidence:tt)+) => {
        if !$holds {
            crate::violation::refuse!($rule => $($evidence)+)
        }
    };
}

pub(crate) use {ensure, refuse};
