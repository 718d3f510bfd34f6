//! For all artifacts: the verifier answers, soon and without a panic. And: it depends on nothing
//! that it checks.

use crate::harness::*;
use cellwall_abi::{Artifact, TrapCode};
use cellwall_base::EntityId;
use cellwall_verify::verify;
use iced_x86::code_asm::*;
use std::time::{Duration, Instant};

/// A linear congruential generator; the seed is the test's.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }
    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n.max(1)
    }
}

fn sample() -> Artifact {
    artifact(I32_TO_I32, |f| {
        let (mut top, mut out) = (f.a.create_label(), f.a.create_label());
        f.a.sub(rsp, 40).unwrap();
        f.frame(40);
        f.a.mov(qword_ptr(rsp + 8), rdi).unwrap();
        f.a.mov(esi, 7).unwrap();
        f.bind(&mut top);
        f.access().mov(eax, dword_ptr(r14 + rsi + 4)).unwrap();
        f.a.add(esi, eax).unwrap();
        f.a.cmp(esi, 100).unwrap();
        f.a.jb(top).unwrap();
        f.a.mov(rdi, qword_ptr(rsp + 8)).unwrap();
        f.a.call(0u64).unwrap();
        f.a.mov(rcx, qword_ptr(r15 + At::memory(1))).unwrap();
        f.access().mov(dword_ptr(rcx + rax), eax).unwrap();
        f.a.test(eax, eax).unwrap();
        f.a.je(out).unwrap();
        f.a.add(rsp, 40).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
        f.frame(40);
        f.trap(&mut out, TrapCode::Unreachable);
        f.rodata = vec![0; 32];
    })
}

/// One small lie.
fn corrupt(artifact: &mut Artifact, random: &mut Random) {
    let number = [0, 1, 4, 8, 16, 0x7fff_ffff, 0x8000_0000, u32::MAX][random.below(8)];
    let number = if random.below(2) == 0 {
        random.next() % 80
    } else {
        number
    };
    match random.below(14) {
        0..5 => {
            let at = random.below(artifact.text.len());
            if let Some(byte) = artifact.text.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        5 => artifact.text.to_mut().truncate(number as usize),
        6 => {
            let at = random.below(2);
            if let Some(range) = artifact.funcs.get_mut(at) {
                match random.below(3) {
                    0 => range.start = number,
                    1 => range.len = number,
                    _ => range.func = cellwall_base::FuncIdx::new(number as usize),
                }
            }
        }
        7 => {
            let at = random.below(artifact.traps.len());
            if let Some(site) = artifact.traps.get_mut(at) {
                site.pc = number;
            }
        }
        8 => artifact.heads.insert(random.below(artifact.heads.len()), number),
        9 => {
            let at = random.below(artifact.unwind.len());
            if let Some(row) = artifact.unwind.get_mut(at) {
                if random.below(2) == 0 {
                    row.pc = number
                } else {
                    row.frame_bytes = number
                }
            }
        }
        10 => {
            let func = cellwall_base::FuncIdx::new(1 + random.below(2));
            let table = cellwall_abi::JumpTable {
                offset: number,
                len: 1 + number % 9,
                func,
            };
            artifact.jump_tables.push(table);
        }
        11 => artifact.shape.imported_funcs = number,
        12 => artifact.rodata.to_mut().truncate(number as usize),
        _ => {
            let at = random.below(artifact.calls.len());
            if let Some(call) = artifact.calls.get_mut(at) {
                call.return_pc = number;
            }
        }
    }
}

#[test]
fn corrupt_artifacts_are_answered() {
    let sample = sample();
    verify(sample.clone()).expect("the sample is honest");
    let mut random = Random(7);
    let (start, mut refused, mut tried) = (Instant::now(), 0u64, 0u64);
    while start.elapsed() < Duration::from_secs(3) {
        let mut artifact = sample.clone();
        for _ in 0..1 + random.below(4) {
            corrupt(&mut artifact, &mut random);
        }
        tried += 1;
        refused += u64::from(verify(artifact).is_err());
    }
    assert!(
        tried > 1000 && refused > tried / 2 && refused < tried,
        "{refused} of {tried}"
    );
}

#[test]
fn random_code_is_answered() {
    let mut random = Random(11);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let code: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
        let _ = answer(I32_TO_I32, |f| f.a.db(&code).unwrap());
    }
}

/// Halves of slots that turn out not to be defined one by one, each in another round of a loop: the
/// budget ends the proof.
#[test]
fn work_is_bounded() {
    let start = Instant::now();
    let registers = [rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11];
    let frame = 60_008;
    let result = answer(I64_TO_I64, |f| {
        let mut top = f.a.create_label();
        f.a.sub(rsp, frame).unwrap();
        f.frame(frame as u32);
        for register in registers {
            f.a.mov(register, 1i64).unwrap();
        }
        for slot in 0..5000 {
            f.a.mov(qword_ptr(rsp + 8 * slot), rax).unwrap();
        }
        f.bind(&mut top);
        for slot in 0..4999 {
            f.a.movsd_2(xmm0, qword_ptr(rsp + 8 * (slot + 1))).unwrap();
            f.a.movsd_2(qword_ptr(rsp + 8 * slot), xmm0).unwrap();
        }
        f.a.sqrtss(xmm1, xmm0).unwrap();
        f.a.movsd_2(qword_ptr(rsp + 8 * 4999), xmm1).unwrap();
        f.a.test(rax, rax).unwrap();
        f.a.jne(top).unwrap();
        f.a.add(rsp, frame).unwrap();
        f.frame(0);
        f.a.ret().unwrap();
    });
    assert_eq!(result.unwrap_err().rule, cellwall_verify::Rule::Budget);
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Absence 1 of the house: no compiler, no representation of one, no encoder.
#[test]
fn the_verifier_depends_on_the_treaty_alone() {
    let manifest = include_str!("../../Cargo.toml");
    let section = manifest
        .split("[dependencies]")
        .nth(1)
        .expect("there are dependencies");
    let section = section.split("\n[").next().expect("split gives a first part");
    let names: Vec<&str> = section
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty())
        .collect();
    assert_eq!(names, ["cellwall-base", "cellwall-abi", "iced-x86"]);
}
