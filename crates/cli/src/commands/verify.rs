//! `cellwall verify`: is this machine code proven to be safe?
//!
//! Runs nothing. The exit status is the verdict.

use std::ffi::OsString;
use std::fmt::Write;

use cellwall::tools::{self, Proof};
use cellwall::{Engine, Error, Violation};
use serde_json::{Value, json};

use crate::failure::{EXIT_LOAD, Failure};
use crate::input::Input;
use crate::{escape, output, progress};

const EXAMPLE: &str = "\
Examples:
  cellwall verify prog.cwall && echo safe to run
  cellwall verify --json prog.wasm | jq .proven

Exit status: 0 proven, 1 refused or no such module, 2 wrong usage.";

/// Prove that machine code is safe to run, or say what is not
///
/// Takes what `cellwall compile` wrote, or anything that claims to be that; of a
/// module or component it proves the code that it would be compiled to.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The file, `.cwall`, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    let name = input.name();
    let result = prove(&input);
    if args.json {
        let value = match &result {
            Ok(proof) => proven(&name, proof),
            Err(failure) => refused(&name, failure),
        };
        output::print(&escape::json(&value))?;
        return Ok(if result.is_ok() { 0 } else { EXIT_LOAD });
    }
    let text = to_text(&name, &result?).expect("a String takes every write");
    output::print(&text)?;
    Ok(0)
}

fn prove(input: &Input) -> Result<Proof, Failure> {
    let bytes = input.code()?;
    let what = format!("verifying {}", input.name());
    let proof = progress::during(&what, || tools::verify(&Engine::default(), &bytes));
    proof.map_err(|error| match error.downcast_ref::<Violation>() {
        Some(violation) => {
            let text = violation_text(violation);
            Failure::Load(
                error
                    .context(text)
                    .context(format!("`{}` is refused", input.name())),
            )
        }
        None => input.refused(error),
    })
}

fn violation_text(violation: &Violation) -> String {
    let place = match violation.func {
        Some(func) => format!("function {}, pc {:#x}", func.as_u32(), violation.pc),
        None => format!("pc {:#x}", violation.pc),
    };
    format!("the first violation is in {place}")
}

fn to_text(name: &str, proof: &Proof) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let features = match &proof.features[..] {
        [] => "no optional processor feature".to_string(),
        features => format!("the processor features {}", features.join(", ")),
    };
    let milliseconds = proof.time.as_secs_f64() * 1e3;
    writeln!(text, "{name}: proven to be safe")?;
    writeln!(text, "  functions  {}", proof.functions)?;
    writeln!(
        text,
        "  code       {} bytes, and {} bytes of constants",
        proof.code_bytes, proof.constant_bytes
    )?;
    writeln!(text, "  proven     {}", proof.rules.join("\n             "))?;
    writeln!(
        text,
        "  relies on  {} bytes reserved and {} of guard per memory",
        proof.memory_reservation_bytes, proof.memory_guard_bytes
    )?;
    writeln!(
        text,
        "             {} bytes of guard per stack",
        proof.stack_guard_bytes
    )?;
    writeln!(text, "             {features}")?;
    writeln!(text, "  time       {milliseconds:.3} ms")?;
    Ok(text)
}

fn proven(name: &str, proof: &Proof) -> Value {
    json!({
        "name": name,
        "verified": true,
        "functions": proof.functions,
        "code_bytes": proof.code_bytes,
        "constant_bytes": proof.constant_bytes,
        "proven": proof.rules,
        "relies_on": {
            "features": proof.features,
            "memory_reservation_bytes": proof.memory_reservation_bytes,
            "memory_guard_bytes": proof.memory_guard_bytes,
            "stack_guard_bytes": proof.stack_guard_bytes,
        },
        "time_seconds": proof.time.as_secs_f64(),
    })
}

fn refused(name: &str, failure: &Failure) -> Value {
    let error = match failure {
        Failure::Load(error) | Failure::Trap(error) => error,
        Failure::Usage(_) | Failure::ClosedPipe => {
            return json!({ "name": name, "verified": false });
        }
    };
    let violation = error.downcast_ref::<Violation>().map(|violation| {
        json!({
            "function": violation.func.map(|func| func.as_u32()),
            "pc": violation.pc,
            "rule": format!("{:?}", violation.rule),
            "text": violation.rule.text(),
            "evidence": violation.evidence,
        })
    });
    match violation {
        Some(violation) => json!({ "name": name, "verified": false, "violation": violation }),
        None => json!({ "name": name, "verified": false, "error": causes(error) }),
    }
}

fn causes(error: &Error) -> String {
    let causes = error.chain().skip(1).map(ToString::to_string);
    causes.collect::<Vec<_>>().join(": ")
}
