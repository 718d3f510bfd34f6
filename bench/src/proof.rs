//! The part `verify`: what the proof costs beside compiling, and beside only decoding the same bytes.
//!
//! Guarantees: all three are of the same code, on one thread, in turns. Compiling is everything from
//! the module to mapped code, so it contains the proof once.

use crate::stats::Stat;

/// What one program costs, in nanoseconds of CPU time.
#[derive(Debug)]
pub struct Row {
    /// The program.
    pub name: String,
    /// Bytes of its machine code, without what lies between functions.
    pub machine_bytes: usize,
    /// Bytes to runnable code.
    pub compile: Stat,
    /// Only decoding, with the decoder that the verifier uses.
    pub decode: Stat,
    /// The proof.
    pub verify: Stat,
}

#[cfg(feature = "cellwall")]
pub use cellwall_only::measure;

#[cfg(feature = "cellwall")]
mod cellwall_only {
    use super::Row;
    use crate::clock::timed;
    use crate::set::Job;
    use crate::stats::Stat;
    use anyhow::{Result, anyhow};
    use cellwall_abi::{Artifact, pack};
    use iced_x86::{Decoder, DecoderOptions, Instruction};
    use std::hint::black_box;

    /// Proofs (and decodings) in each round: a small module takes less than the clock can tell.
    const REPEATS: u32 = 5;

    /// Measures all programs. Failures are added to `failures`, one sentence each.
    pub fn measure(jobs: &[Job], rounds: usize, failures: &mut Vec<String>) -> Vec<Row> {
        let mut rows = Vec::new();
        for (index, job) in jobs.iter().enumerate() {
            eprintln!("verify {}/{}: {}", index + 1, jobs.len(), job.name);
            match measure_one(job, rounds) {
                Ok(row) => rows.push(row),
                Err(error) => failures.push(format!("verify: {}: {error:#}", job.name)),
            }
        }
        rows
    }

    fn failed(error: cellwall::Error) -> anyhow::Error {
        anyhow!("{error:?}")
    }

    fn measure_one(job: &Job, rounds: usize) -> Result<Row> {
        let mut config = cellwall::Config::new();
        let engine = cellwall::Engine::new(config.parallel_compilation(false)).map_err(failed)?;
        let packed = engine.precompile_module(&job.wasm).map_err(failed)?;
        let unpack = || pack::unpack(&packed).map_err(|invalid| anyhow!("{invalid:?}"));
        let (artifact, _) = unpack()?;
        let (mut compile, mut decode, mut verify) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let (ns, module) = timed(|| cellwall::Module::new(&engine, &job.wasm));
            module.map_err(failed)?;
            compile.push(ns as f64);
            for _ in 0..REPEATS {
                let (ns, instructions) = timed(|| decode_all(&artifact));
                black_box(instructions);
                decode.push(ns as f64);
                let (untrusted, _) = unpack()?;
                let (ns, verified) = timed(|| cellwall_verify::verify(untrusted));
                verified?;
                verify.push(ns as f64);
            }
        }
        let stat = |samples| Stat::of(samples).ok_or_else(|| anyhow!("there are no rounds"));
        Ok(Row {
            name: job.name.clone(),
            machine_bytes: artifact.funcs.iter().map(|range| range.len as usize).sum(),
            compile: stat(compile)?,
            decode: stat(decode)?,
            verify: stat(verify)?,
        })
    }

    /// Decodes all functions; how many instructions there are.
    fn decode_all(artifact: &Artifact) -> usize {
        let mut insn = Instruction::default();
        let mut count = 0;
        for range in &artifact.funcs {
            let code = &artifact.text[range.start as usize..(range.start + range.len) as usize];
            let mut decoder = Decoder::with_ip(64, code, range.start.into(), DecoderOptions::NONE);
            while decoder.can_decode() {
                decoder.decode_out(&mut insn);
                black_box(&insn);
                count += 1;
            }
        }
        count
    }
}
