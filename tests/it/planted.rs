//! The differential run has teeth: of each kind of miscompilation that the verifier has no reason
//! to refuse (the code stays in its cell, it only computes something else), it finds at least one.
//!
//! A mistake is planted into the machine code of an honest module: the artifact is unpacked, one
//! instruction changed in place, and the result loaded through the door for artifacts of strangers,
//! which proves it anew. What the verifier refuses is no candidate.

use cellwall::{Config, Engine, Module};
use cellwall_abi::{Artifact, pack};
use cellwall_tests::{differential, generate, mutate, pressure};
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use std::cell::Cell;
use std::time::Duration;

/// Where the seeds start; those of the honest run.
const SEED: u64 = 0xce11;
/// How many modules are tried for one kind of mistake.
const MODULES: u64 = 100;
/// How many mistakes of one kind are tried in one module.
const PLANTED_MAX: usize = 24;
/// How long a module with a mistake may run before it counts as endless.
const TIME_MAX: Duration = Duration::from_secs(3);

/// A change of the text: bytes and where they go.
type Patch = (usize, Vec<u8>);

fn engine() -> Engine {
    let mut config = Config::new();
    config.parallel_compilation(false);
    Engine::new(&config).expect("the configuration is valid")
}

/// Every instruction of every function, function by function.
fn functions(artifact: &Artifact) -> Vec<Vec<Instruction>> {
    let decode = |start: u32, len: u32| {
        let code = &artifact.text[start as usize..(start + len) as usize];
        Decoder::with_ip(64, code, u64::from(start), DecoderOptions::NONE)
            .into_iter()
            .collect()
    };
    let ranges = artifact.funcs.iter();
    ranges.map(|range| decode(range.start, range.len)).collect()
}

/// The bytes of an instruction in the text.
fn bytes<'a>(artifact: &'a Artifact, instruction: &Instruction) -> &'a [u8] {
    let at = instruction.ip() as usize;
    &artifact.text[at..at + instruction.len()]
}

/// The opposite condition of a jump, a `setcc` or a `cmovcc`.
fn flipped_conditions(artifact: &Artifact) -> Vec<Patch> {
    let mut patches = Vec::new();
    for instruction in functions(artifact).iter().flatten() {
        if instruction.condition_code() == iced_x86::ConditionCode::None {
            continue;
        }
        let mut changed = bytes(artifact, instruction).to_vec();
        // A short jump has its condition in the first byte; all else is 0f and then the opcode.
        let opcode = match changed.iter().position(|&byte| byte == 0x0f) {
            Some(escape) if !instruction.is_jcc_short() => escape + 1,
            _ => 0,
        };
        changed[opcode] ^= 1;
        patches.push((instruction.ip() as usize, changed));
    }
    patches
}

/// A comparison where a store was: it may fault alike, and writes nothing.
fn lost_stores(artifact: &Artifact) -> Vec<Patch> {
    let mut patches = Vec::new();
    for instruction in functions(artifact).iter().flatten() {
        let is_store = matches!(
            instruction.code(),
            Code::Mov_rm8_r8 | Code::Mov_rm16_r16 | Code::Mov_rm32_r32 | Code::Mov_rm64_r64
        ) && instruction.op0_kind() == OpKind::Memory
            && instruction.memory_base() != Register::RSP;
        if !is_store {
            continue;
        }
        let mut changed = bytes(artifact, instruction).to_vec();
        let is_prefix = |&byte: &u8| byte == 0x66 || byte & 0xf0 == 0x40;
        let opcode = changed.iter().take_while(|byte| is_prefix(byte)).count();
        assert!(
            matches!(changed[opcode], 0x88 | 0x89),
            "`mov` of a register to memory"
        );
        // `mov` to `cmp`, of the same operands in the same width.
        changed[opcode] ^= 0x88 ^ 0x38;
        patches.push((instruction.ip() as usize, changed));
    }
    patches
}

/// A slot of the frame: displacement of one byte, in an instruction between slot and register.
fn slot(instruction: &Instruction, mnemonic: Mnemonic) -> Option<u8> {
    let is_slot = instruction.mnemonic() == mnemonic
        && instruction.memory_base() == Register::RSP
        && instruction.memory_index() == Register::None
        && instruction.memory_displ_size() == 1;
    is_slot.then_some(instruction.memory_displacement64() as u8)
}

/// A reload from another slot that the function has written in the same way.
fn wrong_slots(artifact: &Artifact) -> Vec<Patch> {
    let mut patches = Vec::new();
    for function in functions(artifact) {
        for mnemonic in [Mnemonic::Mov, Mnemonic::Movsd, Mnemonic::Movq] {
            let is_spill = |i: &&Instruction| i.op0_kind() == OpKind::Memory;
            let written: Vec<u8> = (function.iter().filter(is_spill))
                .filter_map(|i| slot(i, mnemonic))
                .collect();
            for reload in function.iter().filter(|i| i.op0_kind() == OpKind::Register) {
                let Some(own) = slot(reload, mnemonic) else {
                    continue;
                };
                let mut others: Vec<u8> = written.iter().copied().filter(|&other| other != own).collect();
                others.sort_unstable();
                others.dedup();
                for other in others {
                    let mut changed = bytes(artifact, reload).to_vec();
                    // Nothing follows the displacement: no operand is immediate.
                    *changed.last_mut().expect("an instruction has bytes") = other;
                    patches.push((reload.ip() as usize, changed));
                }
            }
        }
    }
    patches
}

/// What became of one kind of mistake.
#[derive(Default, Debug)]
struct Tally {
    planted: u32,
    refused: u32,
    endless: u32,
    unseen: u32,
    found: u32,
}

/// Plants mistakes into generated modules until one is found.
fn hunt(plant: fn(&Artifact) -> Vec<Patch>) -> Tally {
    let engine = engine();
    let mut tally = Tally::default();
    for seed in SEED..SEED + MODULES {
        let Some(wasm) = (match seed % 2 {
            0 => generate::module(seed),
            _ => Some(pressure::module(seed)),
        }) else {
            continue;
        };
        let packed = engine.precompile_module(&wasm).expect("the module is valid");
        let (artifact, origin) = pack::unpack(&packed).expect("it is our own");
        let honest = |engine: &Engine, _: &[u8]| Module::deserialize(engine, &packed);
        let seen = differential::compare(&engine, &wasm, &honest, seed);
        let seen = seen.unwrap_or_else(|difference| panic!("seed {seed:#x}, nothing planted: {difference}"));
        if !seen.executed() {
            continue;
        }
        let patches = plant(&artifact);
        let step = patches.len().div_ceil(PLANTED_MAX).max(1);
        for (at, changed) in patches.iter().step_by(step) {
            let mut wrong = artifact.clone();
            wrong.text[*at..at + changed.len()].copy_from_slice(changed);
            assert_ne!(wrong.text, artifact.text, "a mistake changes something");
            tally.planted += 1;
            try_one(&engine, &wasm, &pack::pack(&wrong, &origin), seed, &mut tally);
            if tally.found > 0 {
                return tally;
            }
        }
    }
    tally
}

fn try_one(engine: &Engine, wasm: &[u8], wrong: &[u8], seed: u64, tally: &mut Tally) {
    // Refused here, it says nothing about the comparison.
    if Module::deserialize(engine, wrong).is_err() {
        tally.refused += 1;
        return;
    }
    let compile = |engine: &Engine, _: &[u8]| Module::deserialize(engine, wrong);
    let answer = Cell::new(Ok(differential::Seen::default()));
    let endless = mutate::under_time(engine, TIME_MAX, || {
        answer.set(differential::compare(engine, wasm, &compile, seed));
    });
    match answer.into_inner() {
        _ if endless => tally.endless += 1,
        // Also endless: the mistake was in what ends the recursion.
        Err(difference) if difference.contains("call stack exhausted") => tally.endless += 1,
        Ok(_) => tally.unseen += 1,
        Err(difference) => {
            assert!(!difference.contains("is refused"), "{difference}");
            println!("seed {seed:#x}: {difference}");
            tally.found += 1;
        }
    }
}

#[test]
fn a_flipped_condition_is_found() {
    let tally = hunt(flipped_conditions);
    println!("{tally:?}");
    assert_eq!(tally.found, 1, "{tally:?}");
}

#[test]
fn a_lost_store_is_found() {
    let tally = hunt(lost_stores);
    println!("{tally:?}");
    assert_eq!(tally.found, 1, "{tally:?}");
}

#[test]
fn a_wrong_spill_slot_is_found() {
    let tally = hunt(wrong_slots);
    println!("{tally:?}");
    assert_eq!(tally.found, 1, "{tally:?}");
}
