//! The machine-code verifier: artifact in, proven code or the first violation out.
//!
//! Requires nothing of the artifact: every field may have been written by an adversary who knows
//! this text. Guarantees, for code in a [`Verified`], that it stays inside its cell: whatever it
//! does, it touches only its own frames, memories, globals and constants, calls only functions by
//! their signatures, and faults only at listed sites. Deliberately knows no compiler and no
//! WebAssembly, decodes with iced-x86 alone, and does not claim that the code computes anything in
//! particular.
//!
//! # The proof
//!
//! For each function, abstract interpretation in two passes: `decode` makes an array of permitted
//! instructions of the bytes; `function` computes a state for every place where paths meet, which
//! holds on all paths to it, checks every instruction in the state before it, and its row says
//! what holds after it. This page is the definition; each rule is a [`Rule`], by which a
//! [`Violation`] names what does not hold.
//!
//! ## Decoding and blocks (V1, V2)
//!
//! A function is decoded linearly from its first byte to its last. The artifact lists *heads*,
//! each of which must be an instruction boundary, and every branch and every entry of a jump table
//! of the function, used or not, goes to a listed head of the same function. A head to which
//! something leads starts a *block*; the others are passed over. Every block must be reached, none
//! may run off the function's end, and nothing may follow a jump, return or trap but a block. Thus
//! heads are a hint that cannot lie: one that is missing or splits an instruction refuses the
//! function, and any other set of heads gives the same proof of the same bytes. A jump to the entry of
//! a function that is no head is a tail call.
//!
//! An instruction is accepted only if its form has a *row*: how its operands are used, which
//! encoding is canonical (no prefix, SIB byte, displacement or ignored bit beyond need, read from
//! the bytes themselves), which CPU feature it needs, and its transfer function. The bytes before
//! displacement and immediate say all of an instruction but these two numbers, so that what was decoded
//! is found again by them (`stems`). No row exists for
//! what has implicit memory operands, writes `rsp` otherwise than by constants, names segments,
//! flags, clocks, control registers or the system.
//!
//! ## States
//!
//! A state says of each general-purpose register and each 8-byte frame slot a *kind*:
//!
//! | kind | values |
//! |---|---|
//! | undefined, low 8, low 32 | nothing, one byte, four bytes were written by this activation |
//! | any | some 64 bits of data |
//! | up to *n* | at most *n*; *n* = 2³² - 1 is "zero-extended" |
//! | memory index *m* | at most the current length of memory *m* |
//! | table index *t*, scaled | below the current length of table *t*, times the size of an entry |
//! | memory or table length | a length that it has or had |
//! | base *m*, definition, global, block | a pointer, usable for that alone |
//! | entry, typed entry, import entry | address of a function entry; signature matched |
//! | signature | the engine-wide number of a type |
//! | jump table, distance, target | the steps of an indirect jump |
//! | saved *r* | what the callee-saved register *r* held at entry |
//!
//! From *any* to *table length* kinds are data: what they say more is dropped wherever they are
//! used as data. Of the others, none is ever data. A state also says how many low bytes of each vector
//! register are defined (0, 4, 8 or 16), which of the five flags that conditions read are defined (what the processor's manuals call
//! undefined is not, nor what a shift by zero leaves alone), the
//! depth of the frame and how far it was probed, what of the store's block may be read, how much of each
//! overflow place was written since the last call, and which
//! registers and slots hold equal values. Between heads it also says what the flags say about a
//! register, which is dropped at blocks.
//!
//! *Join*: of two equal kinds, the kind; of two data, "zero-extended" if both are, otherwise "any";
//! of all else, what part both define, or undefined. Depths must be equal. Each chain is short, so
//! the iteration ends.
//!
//! *Entry state*: parameters have the kinds of their types (32-bit ones zero-extended), each
//! callee-saved register *r* is "saved *r*", all else is undefined, the depth is 0, overflow
//! arguments may be read.
//!
//! *Call*: the arguments have the kinds of the callee's type, the frame is aligned and inside what
//! guard and probes cover. Afterwards the results have the kinds of theirs, every other register
//! but the callee-saved ones and the flags are undefined, and overflow results may be read,
//! arguments no longer. Frame slots stay: they may hold only kinds that no call ends (lengths never
//! shrink, bases and definitions never move); callee-saved registers stay as far as a slot could
//! hold their kind.
//!
//! *Landing pad*: the state before the call that its row names, with nothing in registers, whatever they
//! held, but a reference in the place of the first result and the values of the tag behind it; the
//! frame stays, as after a call. So the runtime restores the pinned registers and no other, and a
//! function that has landing pads restores what its caller relies on from its own frame.
//!
//! *Return*: the results have the kinds of their types, the depth is 0, and each callee-saved
//! register *r* is "saved *r*". So each call that is accepted may rely on it.
//!
//! *Call by reference*: through the stub of the context for it, with data in `rax` and the engine-wide
//! number of a type in `r10`: a call of a function of that type. The stub finds the function that the
//! reference names and compares its type.
//!
//! *Tail call*: the arguments have the kinds of the callee's type, its results pass where those of the
//! function's own type do, in the same kinds, and all that holds at a return holds but for the
//! results: depth 0, callee-saved registers. So the callee finds what a call would have given it, the
//! return address included, and returns what the caller waits for. A jump through an entry obeys what
//! a call through it obeys; library calls are only called.
//!
//! *Comparison and branch*: of `cmp x, y`, on the edge where `x < y` or `x ≤ y` holds unsigned,
//! `x` and its copies get the bound of `y`: a constant, the length of a memory, the length of a
//! table. A 32-bit comparison counts only for a zero-extended `x`. Of a comparison of an entry's
//! signature, on the edge where it is equal, the entry becomes a typed one: against a module-local
//! number (the index of the first equal type, plus one) if the table is private, against an
//! engine-wide number otherwise. Against 0, the number of null, it stays what it is.
//!
//! ## Vectors (V1, V5)
//!
//! A float argument defines four or eight bytes of its register, a vector all; what a call leaves
//! beside them is nobody's. A row says how many low bytes of each source its result depends on, which
//! must be defined, and how many of the result then are: all; as many as of the source with the least
//! (lanes that do not mix); or so many, and the rest as it was. A store needs all bytes that it
//! stores, except into the frame, whose slots remember how many they hold. No row names a `ymm`
//! register, and an operand whose alignment the processor checks is aligned by its place.
//!
//! *Usual forms*: operations on registers and constants or on memory 0 that make plain data of data
//! (`Form::Usual` in `rows`), and moves from and to frame slots, are recognised while decoding. The first
//! have one transfer function for the state that is usual, in which the registers that they read hold data,
//! of 32 bits in an index. It gives what that of the row would, which is asked in every other state.
//!
//! ## Accesses (V3, V4)
//!
//! Each memory operand is one of
//!
//! * `[rsp + d]`: inside the frame, within a slot or on whole slots, no deeper than a guard beyond
//!   what was probed; reads only of what was written. Below the frame only compares and tests, which
//!   probe: they leave the flags undefined;
//! * `[r15 + d]`: the start of a field, in its width, as its kind permits: base, length, definition,
//!   signature: load; a global: load, store if mutable; a library slot or import entry: call;
//! * `[base m + x + d]`, scale 1, `d ≥ 0`, with `x` up to *n* and *n* + *d* + width inside
//!   reservation and guard, or `x` a memory index *m* and *d* + width inside the guard, or no `x`;
//! * `[definition + 8]`, `[global]`, an overflow place of the block; `[entry + signature]` to compare,
//!   `[entry + reference]` to load and to compare with data, which it is;
//!   `[r11]` with a typed entry to call or to jump through; `[jump table + 4 x]` with `x` below its length;
//! * `[rip + d]`: inside the constants, loads only.
//!
//! `r14` is the base of memory 0. `r14` and `r15` occur as bases only, `rsp` moves by constants
//! only (V5). A function in which they do not occur, and that enters no function and cannot trap, is
//! *detached* ([`Verified::is_detached`]): it reaches its own frame and the constants beside its code, and
//! nothing of an instance. So other instances may enter it without a stub that changes the pair.
//!
//! An exchange, or an addition or comparison with exchange (both locked, as their rows say), is of data
//! of a register with data of a linear memory alone. What it leaves of a register narrower than 32 bits,
//! or of `rax` after a comparison, stays as it was, so that it is zero-extended only if it was before.
//!
//! ## Tables (V6, V7)
//!
//! At every instruction the listed frame size is the depth of the state. An instruction is a listed
//! trap site, with a code that fits, exactly if it accesses a linear memory, divides, probes or is
//! `ud2`. Exactly the calls are listed as calls; a landing pad belongs to a listed call, and leads to a
//! listed head of the same function. All tables are ascending and in range, functions
//! do not overlap, only `int3` lies between them, and the shape is consistent in itself.
//!
//! ## Work and space
//!
//! First, as long as there is one, a block is visited to which all ways were gone, each from a block that
//! was itself visited so: its state can change no more, so it is given back, and code without loops keeps few
//! states whatever its length. Then the others are visited in the order of the code, so honest code is visited
//! once, and once more for each loop around it that changes what is known. States of frames are persistent trees (`frame`),
//! so a block costs what it changes, a join what differs, and paths that differ in much and meet
//! often meet in nodes whose join is remembered; a jump table gives all its blocks one state. So
//! neither deep nesting nor large frames nor wide tables cost more than their own code. Both work
//! and space have a budget, a constant per byte of code, and code that exceeds it is refused
//! ([`Rule::Budget`]). A loop that hands values on from slot to slot may with each visit find one more
//! that is not small: after some visits, slots there are not known to be small any more. What can
//! exceed the budget: many paths that differ in many slots, each pair of them in another way.
//!
//! ## What is left to the runtime
//!
//! Reservation, guards, stack guard and CPU features are those of the artifact's target; lengths
//! never shrink; bases and definitions never move; entries are changed on the store's own thread
//! only; library calls treat every argument as hostile; the stubs keep callee-saved registers; a
//! fault is a trap only if site and address fit.
//!
//! Not yet proven here: stack maps (which have no place in an artifact).

mod access;
mod control;
mod decode;
mod domain;
mod encoding;
mod frame;
mod function;
mod metadata;
mod module;
mod operand;
mod rows;
mod stems;
mod transfer;
mod vectors;
mod violation;

use cellwall_abi::Artifact;
use cellwall_base::FuncIdx;
use function::Scratch;
use module::Module;
use std::sync::{Mutex, OnceLock, PoisonError};
use violation::Check;
pub use violation::{Rule, Violation};

/// Code that was proven to stay inside its cell. Only the verifier makes one.
#[derive(Debug)]
pub struct Verified {
    artifact: Artifact,
    /// By function of the artifact: whether it is detached.
    detached: Vec<bool>,
}

impl Verified {
    /// The artifact, exactly as it was proven.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Whether the artifact has this function, and it neither uses the pinned pair nor enters a function: it
    /// does the same in whichever instance it is entered, and leaves the pair as it was. None of these traps,
    /// so that nobody has to be told in which instance.
    pub fn is_detached(&self, func: FuncIdx) -> bool {
        let at = self
            .artifact
            .funcs
            .binary_search_by_key(&func, |range| range.func);
        at.is_ok_and(|at| self.detached[at])
    }
}

/// Proves every function of an artifact.
///
/// # Errors
/// The first violation in the order of the functions.
pub fn verify(artifact: Artifact) -> Result<Verified, Violation> {
    verify_with(artifact, |jobs, run| (0..jobs).for_each(run))
}

/// Whether one function would be accepted, and everything that is not code. Of the other functions it
/// says nothing, so its answer makes nothing executable; for tools that ask about one function often.
///
/// # Errors
/// The first violation.
///
/// # Panics
/// If the artifact has no function with this index.
pub fn check_function(artifact: &Artifact, index: usize) -> Result<(), Violation> {
    metadata::check(artifact).map_err(|violation| *violation)?;
    let proof = function::prove(&Module::new(artifact), index, &mut Scratch::default());
    proof.map(drop).map_err(|violation| *violation)
}

/// Like [`verify`], with the caller's executor: `spread(n, job)` runs `job(0)` to `job(n - 1)`, in
/// any order and on any threads. What it leaves out is run here, so the executor is not trusted.
///
/// # Errors
/// The first violation in the order of the functions.
pub fn verify_with(
    artifact: Artifact,
    spread: impl FnOnce(usize, &(dyn Fn(usize) + Sync)),
) -> Result<Verified, Violation> {
    metadata::check(&artifact).map_err(|violation| *violation)?;
    let module = Module::new(&artifact);
    let answers: Vec<OnceLock<Check<bool>>> = artifact.funcs.iter().map(|_| OnceLock::new()).collect();
    let idle: Mutex<Vec<Scratch>> = Mutex::default();
    let job = |index: usize| {
        if let Some(answer) = answers.get(index) {
            answer.get_or_init(|| {
                let idle = || idle.lock().unwrap_or_else(PoisonError::into_inner);
                let mut scratch = idle().pop().unwrap_or_default();
                let answer = function::prove(&module, index, &mut scratch);
                idle().push(scratch);
                answer
            });
        }
    };
    spread(answers.len(), &job);
    (0..answers.len()).for_each(job);
    let answers = answers.into_iter().map(OnceLock::into_inner);
    let detached: Check<Vec<bool>> = answers
        .map(|answer| answer.expect("the loop above answered every function"))
        .collect();
    let detached = detached.map_err(|violation| *violation)?;
    Ok(Verified { artifact, detached })
}
