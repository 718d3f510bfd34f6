//! For all generated modules: compiled code and the reference interpreter agree on instantiation,
//! results, traps and the final contents of memories and globals.

use crate::rng::Rng;
use cellwall::{
    Config, CpuFeature, Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Val, ValType,
};
use cellwall_abi::Target;
use cellwall_base::limits::{PAGE_BYTES, TABLE_ELEMENTS_MAX};
use cellwall_compile::oracle;
use cellwall_ir::Trap;
use cellwall_ir::interp::{Bits, Environment, Stop};
use cellwall_wasm::Item;

/// Pages that a memory may grow to, on both sides.
const MEMORY_PAGES_MAX: u64 = 1024;
/// Instructions that one call may take in the interpreter before it counts as endless.
const FUEL: u64 = 50_000_000;

/// What a comparison saw.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Calls that returned, alike on both sides.
    pub returned: u32,
    /// Calls and instantiations that trapped, alike on both sides.
    pub trapped: u32,
    /// Calls given up because a limit of one side was reached.
    pub given_up: u32,
}

impl Seen {
    /// Whether guest code ran to an end.
    pub const fn executed(&self) -> bool {
        self.returned + self.trapped > 0
    }
}

/// How the compiled side is made: from bytes to a module. A test may plant a mistake in between.
pub type Compile<'a> = &'a dyn Fn(&Engine, &[u8]) -> cellwall::Result<Module>;

/// An engine, and the target that its code is for. Which relaxed operators are executed depends on it.
#[derive(Debug)]
pub struct Way {
    engine: Engine,
    target: Target,
}

impl Way {
    /// With everything, as for a processor without vectors beyond SSE4.1, and with the relaxed operators
    /// of the deterministic profile.
    pub fn all() -> [Self; 3] {
        [
            Self::new(&[], false),
            Self::new(&[CpuFeature::Avx], false),
            Self::new(&[], true),
        ]
    }

    fn new(without: &[CpuFeature], relaxed_simd_deterministic: bool) -> Self {
        let mut config = Config::new();
        config
            .parallel_compilation(false)
            .relaxed_simd_deterministic(relaxed_simd_deterministic);
        let mut features = cellwall_runtime::host_features();
        for &feature in without {
            config.cpu_feature(feature, false);
            assert_eq!(
                feature,
                CpuFeature::Avx,
                "the fields below are those of the feature"
            );
            (features.avx, features.avx2, features.fma) = (false, false, false);
        }
        Self {
            engine: Engine::new(&config).expect("the configuration is valid"),
            target: Target {
                relaxed_simd_deterministic,
                ..Target::new(features)
            },
        }
    }
}

/// Compares both sides on one module, in an engine that uses all that this processor has.
///
/// # Errors
/// The first difference, in words.
pub fn compare(engine: &Engine, bytes: &[u8], compile: Compile<'_>, seed: u64) -> Result<Seen, String> {
    let way = Way {
        engine: engine.clone(),
        target: Target::new(cellwall_runtime::host_features()),
    };
    compare_in(&way, bytes, compile, seed)
}

/// The same, one way or another.
///
/// # Errors
/// The first difference, in words.
pub fn compare_in(way: &Way, bytes: &[u8], compile: Compile<'_>, seed: u64) -> Result<Seen, String> {
    let Way { engine, target } = way;
    let module = compile(engine, bytes).map_err(|error| format!("the module is refused: {error:#}"))?;
    let mut seen = Seen::default();
    let limits = StoreLimitsBuilder::new()
        .memory_size((MEMORY_PAGES_MAX * PAGE_BYTES) as usize)
        .table_elements(TABLE_ELEMENTS_MAX as usize)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits: &mut StoreLimits| limits);
    let decoded = cellwall_wasm::decode(bytes).map_err(|error| error.to_string())?;
    let mut oracle = interpreted(&decoded, target);
    let instance = match (
        Instance::new(&mut store, &module, &[]),
        oracle.start(&mut { FUEL }),
    ) {
        (Ok(instance), Ok(())) => instance,
        (_, Err(Stop::Exhausted)) => {
            seen.given_up += 1;
            return Ok(seen);
        }
        (Err(error), _) if is_beyond_limits(&error) => {
            seen.given_up += 1;
            return Ok(seen);
        }
        (Err(error), Err(Stop::Trap(trap))) => {
            same_trap(&error, trap, "instantiation")?;
            seen.trapped += 1;
            return Ok(seen);
        }
        (Err(error), Err(Stop::Thrown)) => {
            same_exception(&mut store, &error, &oracle, "instantiation")?;
            seen.trapped += 1;
            return Ok(seen);
        }
        (Err(error), Ok(())) => return Err(format!("instantiation fails only when compiled: {error:#}")),
        (Ok(_), Err(stop)) => return Err(format!("instantiation ends only interpreted: {stop:?}")),
    };
    let mut rng = Rng::new(seed);
    for export in decoded.exports() {
        let (name, Item::Func(index)) = (&export.name, export.item) else {
            continue;
        };
        let func = instance
            .get_func(&mut store, name)
            .ok_or_else(|| format!("{name} is not exported"))?;
        let ty = func.ty(&store);
        for _ in 0..2 {
            let args: Vec<Val> = ty.params().map(|ty| argument(&mut rng, &ty)).collect();
            let mut results = vec![Val::I32(0); ty.results().len()];
            let ours = func.call(&mut store, &args, &mut results);
            let bits: Vec<Bits> = args
                .iter()
                .map(|v| bits(v).expect("arguments are numbers or null"))
                .collect();
            match (ours, oracle.call(index, &bits, &mut { FUEL })) {
                (_, Err(Stop::Exhausted)) => {
                    seen.given_up += 1;
                    return Ok(seen);
                }
                (Err(error), Err(Stop::Trap(trap))) => {
                    same_trap(&error, trap, name)?;
                    seen.trapped += 1;
                }
                (Err(error), Err(Stop::Thrown)) => {
                    same_exception(&mut store, &error, &oracle, name)?;
                    seen.trapped += 1;
                }
                (Ok(()), Ok(values)) => {
                    same_values(&results, &values).map_err(|e| format!("{name}({args:?}): {e}"))?;
                    seen.returned += 1;
                }
                (Err(error), _) if is_beyond_limits(&error) => {
                    seen.given_up += 1;
                    return Ok(seen);
                }
                (ours, theirs) => {
                    return Err(format!(
                        "{name}({args:?}): compiled {ours:?} {results:?}, interpreted {theirs:?}"
                    ));
                }
            }
        }
    }
    same_state(&mut store, instance, &decoded, &oracle)?;
    Ok(seen)
}

/// Whether a call ended by a limit that the interpreter does not have: the stack, or a table whose bytes
/// cannot be counted.
fn is_beyond_limits(error: &cellwall::Error) -> bool {
    error.downcast_ref() == Some(&cellwall::Trap::StackOverflow)
        || format!("{error:#}").contains("failed to allocate a table")
}

/// The module in the reference interpreter, as translated: passes are not trusted to be right.
fn interpreted<'m>(module: &'m cellwall_wasm::Module, target: &Target) -> oracle::Instance<'m> {
    let host: oracle::Host = Box::new(|_, _| unreachable!("generated modules have no imports"));
    let mut instance = oracle::Instance::new(module, *target, false, host);
    instance.pages_max = MEMORY_PAGES_MAX;
    instance
}

fn argument(rng: &mut Rng, ty: &ValType) -> Val {
    match ty {
        ValType::I32 => Val::I32(rng.interesting() as i32),
        ValType::I64 => Val::I64(rng.interesting() as i64),
        // Small integers as floats, and raw bits that are not NaN.
        ValType::F32 => {
            let raw = rng.interesting() as u32;
            let value = f32::from_bits(raw);
            Val::F32(if value.is_nan() || raw.is_multiple_of(2) {
                ((raw as i32) as f32).to_bits()
            } else {
                raw
            })
        }
        ValType::F64 => {
            let raw = rng.interesting();
            let value = f64::from_bits(raw);
            Val::F64(if value.is_nan() || raw.is_multiple_of(2) {
                ((raw as i64) as f64).to_bits()
            } else {
                raw
            })
        }
        ValType::V128 => {
            let lanes = [rng.interesting(), rng.interesting()].map(u128::from);
            let bytes = rng.interesting() as u8;
            let vector = match rng.below(3) {
                0 => u128::from_ne_bytes([bytes; 16]),
                1 => lanes[0] | lanes[0] << 32 | lanes[0] << 64 | lanes[0] << 96,
                _ => lanes[0] | lanes[1] << 64,
            };
            Val::V128(vector.into())
        }
        other => Val::default_for_ty(other).expect("references are nullable"),
    }
}

/// The bits of a number or of null; `None` for other references, whose bits mean nothing outside.
fn bits(value: &Val) -> Option<Bits> {
    match value {
        Val::I32(value) => Some(Bits::from(*value as u32)),
        Val::I64(value) => Some(Bits::from(*value as u64)),
        Val::F32(bits) => Some(Bits::from(*bits)),
        Val::F64(bits) => Some(Bits::from(*bits)),
        Val::V128(bits) => Some(bits.as_u128()),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::ExnRef(None) | Val::AnyRef(None) => Some(0),
        _ => None,
    }
}

fn same_values(ours: &[Val], theirs: &[Bits]) -> Result<(), String> {
    let same = ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(ours, &theirs)| match bits(ours) {
            Some(ours) => ours == theirs,
            None => theirs != 0,
        });
    if same {
        Ok(())
    } else {
        Err(format!("compiled {ours:?}, interpreted {theirs:#x?}"))
    }
}

fn same_exception(
    store: &mut Store<StoreLimits>,
    error: &cellwall::Error,
    oracle: &oracle::Instance<'_>,
    place: &str,
) -> Result<(), String> {
    if !error.is::<cellwall::ThrownException>() {
        return Err(format!("{place}: compiled {error:?}, interpreted an exception"));
    }
    let exception = store.take_pending_exception().ok_or("no exception is pending")?;
    let fields = exception.fields(&mut *store).map_err(|error| error.to_string())?;
    let ours: Vec<Val> = fields.collect();
    same_values(&ours, oracle.thrown()).map_err(|e| format!("{place}: of the exceptions: {e}"))
}

fn same_trap(error: &cellwall::Error, theirs: Trap, place: &str) -> Result<(), String> {
    use cellwall::Trap as Ours;
    let expected = match theirs {
        Trap::MemoryOutOfBounds => Ours::MemoryOutOfBounds,
        Trap::TableOutOfBounds => Ours::TableOutOfBounds,
        Trap::IndirectCallToNull => Ours::IndirectCallToNull,
        Trap::BadSignature => Ours::BadSignature,
        Trap::IntegerOverflow => Ours::IntegerOverflow,
        Trap::IntegerDivisionByZero => Ours::IntegerDivisionByZero,
        Trap::BadConversionToInteger => Ours::BadConversionToInteger,
        Trap::NullReference => Ours::NullReference,
        Trap::Unreachable => Ours::UnreachableCodeReached,
        Trap::UnalignedAtomic => Ours::HeapMisaligned,
        Trap::ExpectedSharedMemory => Ours::AtomicWaitNonSharedMemory,
        Trap::NullI31Reference => Ours::NullI31Ref,
        Trap::CastFailure => Ours::CastFailure,
    };
    match error.downcast_ref::<Ours>() {
        Some(ours) if *ours == expected => Ok(()),
        _ => Err(format!("{place}: compiled {error:?}, interpreted {theirs:?}")),
    }
}

fn same_state(
    store: &mut Store<StoreLimits>,
    instance: Instance,
    module: &cellwall_wasm::Module,
    oracle: &oracle::Instance<'_>,
) -> Result<(), String> {
    for export in module.exports() {
        let name = &export.name;
        match export.item {
            Item::Memory(memory) => {
                let shared = instance.get_shared_memory(&mut *store, name);
                let mut bytes = vec![0; shared.as_ref().map_or(0, |memory| memory.data_size())];
                let ours = match &shared {
                    Some(memory) => {
                        memory.read(0, &mut bytes).map_err(|e| e.to_string())?;
                        &bytes[..]
                    }
                    None => {
                        let memory = instance.get_memory(&mut *store, name);
                        memory.ok_or("the memory is exported")?.data(&*store)
                    }
                };
                let theirs = &oracle.memories[memory];
                if ours.len() != theirs.len() {
                    return Err(format!(
                        "{name}: {} bytes compiled, {} interpreted",
                        ours.len(),
                        theirs.len()
                    ));
                }
                if let Some(at) = ours.iter().zip(theirs).position(|(x, y)| x != y) {
                    return Err(format!(
                        "{name}: byte {at:#x} is {:#x} compiled, {:#x}",
                        ours[at], theirs[at]
                    ));
                }
            }
            Item::Global(global) => {
                let ours = instance
                    .get_global(&mut *store, name)
                    .ok_or("the global is exported")?;
                let ours = ours.get(&mut *store);
                same_values(&[ours], &[oracle.globals[global]]).map_err(|e| format!("{name}: {e}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}
