//! For all generated modules: compiled code and the reference interpreter agree on instantiation,
//! results, traps and the final contents of memories and globals.

use crate::oracle::{MEMORY_PAGES_MAX, Oracle, Outcome, TABLE_ELEMENTS_MAX};
use crate::rng::Rng;
use cellwall::{Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Val, ValType};
use cellwall_abi::shape::Item;
use cellwall_abi::{CpuFeatures, Target};
use cellwall_ir::Trap;

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

/// Compares both sides on one module.
///
/// # Errors
/// The first difference, in words.
pub fn compare(engine: &Engine, bytes: &[u8], compile: Compile<'_>, seed: u64) -> Result<Seen, String> {
    let module = compile(engine, bytes).map_err(|error| format!("the module is refused: {error:#}"))?;
    let mut seen = Seen::default();
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_PAGES_MAX as usize * 65536)
        .table_elements(TABLE_ELEMENTS_MAX as usize)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits: &mut StoreLimits| limits);
    let ours = Instance::new(&mut store, &module, &[]);
    let theirs = Oracle::new(bytes, &Target::new(CpuFeatures::default()));
    let (instance, mut oracle) = match (ours, theirs) {
        (Ok(instance), Ok(oracle)) => (instance, oracle),
        (_, Err(Outcome::Unknown)) => {
            seen.given_up += 1;
            return Ok(seen);
        }
        (Err(error), Err(Outcome::Trap(trap))) => {
            same_trap(&error, trap, "instantiation")?;
            seen.trapped += 1;
            return Ok(seen);
        }
        (Err(error), Ok(_)) => return Err(format!("instantiation fails only when compiled: {error:#}")),
        (Ok(_), Err(outcome)) => return Err(format!("instantiation ends only interpreted: {outcome:?}")),
    };
    let mut rng = Rng::new(seed);
    let exports: Vec<_> = oracle
        .exported_funcs()
        .map(|(name, func)| (name.to_owned(), func))
        .collect();
    for (name, index) in exports {
        let func = instance
            .get_func(&mut store, &name)
            .ok_or_else(|| format!("{name} is not exported"))?;
        let ty = func.ty(&store);
        for _ in 0..2 {
            let args: Vec<Val> = ty.params().map(|ty| argument(&mut rng, &ty)).collect();
            let mut results = vec![Val::I32(0); ty.results().len()];
            let ours = func.call(&mut store, &args, &mut results);
            let bits: Vec<u64> = args
                .iter()
                .map(|v| bits(v).expect("arguments are numbers or null"))
                .collect();
            match (ours, oracle.call(index, &bits)) {
                (_, Outcome::Unknown) => {
                    seen.given_up += 1;
                    return Ok(seen);
                }
                (Err(error), Outcome::Trap(trap)) => {
                    same_trap(&error, trap, &name)?;
                    seen.trapped += 1;
                }
                (Ok(()), Outcome::Values(values)) => {
                    same_values(&results, &values).map_err(|e| format!("{name}({args:?}): {e}"))?;
                    seen.returned += 1;
                }
                (Err(error), _) if error.downcast_ref() == Some(&cellwall::Trap::StackOverflow) => {
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
    same_state(&mut store, instance, &oracle)?;
    Ok(seen)
}

fn argument(rng: &mut Rng, ty: &ValType) -> Val {
    match ty {
        ValType::I32 => Val::I32(rng.interesting() as i32),
        ValType::I64 => Val::I64(rng.interesting() as i64),
        // Small integers as floats, and raw bits that are not NaN.
        ValType::F32 => {
            let raw = rng.interesting() as u32;
            let value = f32::from_bits(raw);
            Val::F32(if value.is_nan() || raw % 2 == 0 {
                ((raw as i32) as f32).to_bits()
            } else {
                raw
            })
        }
        ValType::F64 => {
            let raw = rng.interesting();
            let value = f64::from_bits(raw);
            Val::F64(if value.is_nan() || raw % 2 == 0 {
                ((raw as i64) as f64).to_bits()
            } else {
                raw
            })
        }
        other => Val::default_for_ty(other).expect("references are nullable"),
    }
}

/// The bits of a number or of null; `None` for other references, whose bits mean nothing outside.
fn bits(value: &Val) -> Option<u64> {
    match value {
        Val::I32(value) => Some(u64::from(*value as u32)),
        Val::I64(value) => Some(*value as u64),
        Val::F32(bits) => Some(u64::from(*bits)),
        Val::F64(bits) => Some(*bits),
        Val::FuncRef(None) | Val::ExternRef(None) => Some(0),
        _ => None,
    }
}

fn same_values(ours: &[Val], theirs: &[u64]) -> Result<(), String> {
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
        Trap::Unreachable => Ours::UnreachableCodeReached,
    };
    match error.downcast_ref::<Ours>() {
        Some(ours) if *ours == expected => Ok(()),
        _ => Err(format!("{place}: compiled {error:?}, interpreted {theirs:?}")),
    }
}

fn same_state(store: &mut Store<StoreLimits>, instance: Instance, oracle: &Oracle) -> Result<(), String> {
    for export in &oracle.shape().exports {
        let name = &export.name;
        match export.item {
            Item::Memory(memory) => {
                let ours = instance
                    .get_memory(&mut *store, name)
                    .ok_or("the memory is exported")?;
                let (ours, theirs) = (ours.data(&*store), oracle.memory(memory));
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
                same_values(&[ours], &[oracle.global(global)]).map_err(|e| format!("{name}: {e}"))?;
            }
            _ => {}
        }
    }
    Ok(())
}
