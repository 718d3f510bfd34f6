//! What the verifier says when it refuses: which function, where, which rule, on what evidence.
//!
//! Requires nothing. Guarantees that every refusal names exactly one rule of the module
//! documentation. Deliberately holds no policy.

use cellwall_base::FuncIdx;
use std::fmt;

macro_rules! rules {
    ($($name:ident = $text:literal;)*) => {
        /// A rule of the proof; the crate documentation defines each.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Rule {
            $(#[doc = $text] $name,)*
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
    Metadata = "V6 metadata: tables are sorted, in range and agree with the shape";
    Target = "V7 target: reservation, guards and features make sense";
    Padding = "V2 padding: only int3 lies between functions";
    Decode = "V1 decoding: bytes form an instruction";
    NotAllowed = "V1 allow-list: the instruction has a row";
    Feature = "V1 features: the target has the instruction";
    Encoding = "V1 encoding: the encoding is canonical";
    Operand = "V1 operands: the row permits the operand";
    BranchTarget = "V2 branches: a branch goes to a block head of its function";
    Head = "V2 heads: a block head is an instruction boundary";
    FallsOffEnd = "V2 end: no path runs off the end";
    Unreachable = "V2 reachability: every instruction can be reached";
    CallTarget = "V2 direct calls: a call goes to an entry";
    IndirectJump = "V2 indirect jumps: only through a checked jump table with a bounded index";
    IndirectCall = "V2 indirect calls: only through a slot, or an entry whose signature matched";
    TailCall = "V2 tail calls: the callee has the results of the function that it takes the place of";
    StackPointer = "V3 stack pointer: moves by constants, is restored, is aligned at calls";
    StackProbe = "V3 frames: stay within stack plus guard";
    StackAccess = "V3 stack access: lies in the own frame";
    Undefined = "V5 defined: is written before it is read";
    BlockAccess = "V3 block: only at the places of a signature, until the next call";
    ContextAccess = "V4 context: constant offset of a field, with its kind and permission";
    MemoryAccess = "V4 memory: base + bounded index + displacement stays inside reservation plus guard";
    Address = "V4 addresses: every access has one of the permitted forms";
    Rodata = "V4 constants: inside the read-only data, loads only";
    Kind = "V4 kinds: pointers are no data";
    Pinned = "V5 pinned state: context and base are never written or copied";
    ZeroExtension = "V5 convention: 32-bit arguments and results are zero-extended";
    CalleeSaved = "V5 convention: callee-saved registers are at each return what they were at entry";
    TrapSite = "V6 trap sites: exactly the instructions that can fault are listed";
    Unwind = "V6 unwind rows: agree with the frame";
    CallSite = "V6 call sites: exactly the calls are listed";
    LandingPad = "V6 landing pads: belong to a call and lead to a block head of its function";
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
