//! A mutant in its cell, with neighbours that must not notice: another instance in the same store,
//! one in another store, and memory of the host.
//!
//! Requires an accepted mutant. Guarantees that a change of a neighbour, a constant that changed, a
//! panic, and an address of the host in the mutant's hands are told; that the process lives is for
//! the parent process to see. What single instructions touch is for `step`.

use super::guests::{Guest, HELPER};
use crate::rng::Rng;
use cellwall::{
    Config, Engine, Extern, Instance, Linker, Module, Mutability, Store, StoreLimits, StoreLimitsBuilder,
    TypedFunc, Val,
};
use cellwall_abi::Artifact;
use cellwall_abi::pack::{self, Origin};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// State of every kind, and a function that reads all of it. Nothing in it changes anything.
const VICTIM: &str = r#"(module
    (memory (export "m0") 2 2) (memory (export "m1") 1 1)
    (table $private 4 4 funcref) (table $open (export "t") 4 4 funcref)
    (global (export "g0") (mut i64) (i64.const 0x0123456789abcdef))
    (global (export "g1") (mut f64) (f64.const 2.5))
    (global $constant i64 (i64.const -7))
    (type $f (func (result i64)))
    (elem (table $private) (i32.const 0) func $a $b $a $b)
    (elem (table $open) (i32.const 0) func $b $a $b $a)
    (func $a (type $f) (global.get $constant))
    (func $b (type $f) (i64.load 1 (i32.const 128)))
    (func (export "look") (result i64) (local $i i32) (local $h i64)
        (loop $l
            (local.set $h (i64.add (i64.mul (local.get $h) (i64.const 31)) (i64.xor
                (i64.load 0 (i32.mul (local.get $i) (i32.const 64)))
                (i64.load 1 (i32.mul (local.get $i) (i32.const 32))))))
            (local.set $h (i64.add (local.get $h)
                (call_indirect $private (type $f) (i32.and (local.get $i) (i32.const 3)))))
            (local.set $h (i64.add (local.get $h)
                (call_indirect $open (type $f) (i32.and (local.get $i) (i32.const 3)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 64))))
        (i64.add (local.get $h) (i64.add (global.get 0) (i64.reinterpret_f64 (global.get 1))))))"#;

/// How often the watch looks at the clock.
const TICK: Duration = Duration::from_millis(2);
/// Ticks that one mutant may take.
const TICKS_MAX: u64 = 2;

/// Stops mutants that do not come to an end.
#[derive(Debug)]
struct Watch {
    /// The run that is under way, or 0.
    run: Arc<AtomicU64>,
    runs: AtomicU64,
}

impl Watch {
    fn new(engines: [Engine; 2]) -> Self {
        let run = Arc::new(AtomicU64::new(0));
        let seen = run.clone();
        // Ends with the process.
        std::thread::spawn(move || {
            let (mut last, mut ticks) = (0, 0);
            loop {
                std::thread::sleep(TICK);
                let now = seen.load(SeqCst);
                ticks = if now == last { ticks + 1 } else { 0 };
                last = now;
                if now != 0 && ticks >= TICKS_MAX {
                    engines.iter().for_each(Engine::interrupt);
                }
            }
        });
        Self {
            run,
            runs: AtomicU64::new(0),
        }
    }

    fn start(&self) {
        let run = self.runs.fetch_add(1, SeqCst) + 1;
        self.run.store(run, SeqCst);
    }

    fn stop(&self) {
        self.run.store(0, SeqCst);
    }
}

/// An instance whose state must not change.
struct Victim {
    instance: Instance,
    look: TypedFunc<(), i64>,
    answer: i64,
    memories: u64,
}

impl Victim {
    fn new(store: &mut Store<StoreLimits>, module: &Module, salt: u64) -> cellwall::Result<Self> {
        let instance = Instance::new(&mut *store, module, &[])?;
        let mut rng = Rng::new(salt);
        for name in ["m0", "m1"] {
            let memory = instance.get_memory(&mut *store, name).expect("it is exported");
            for chunk in memory.data_mut(&mut *store).chunks_exact_mut(512) {
                chunk[..8].copy_from_slice(&rng.bits().to_le_bytes());
            }
        }
        let look = instance.get_typed_func(&mut *store, "look")?;
        let answer = look.call(&mut *store, ())?;
        let mut victim = Self {
            instance,
            look,
            answer,
            memories: 0,
        };
        victim.memories = victim.hash(store);
        Ok(victim)
    }

    fn hash(&self, store: &mut Store<StoreLimits>) -> u64 {
        let mut hasher = DefaultHasher::new();
        for name in ["m0", "m1"] {
            let memory = self
                .instance
                .get_memory(&mut *store, name)
                .expect("it is exported");
            // Every eighth word is enough to see a stray run of stores, and is fast.
            for chunk in memory.data(&*store).chunks_exact(64) {
                chunk[..8].hash(&mut hasher);
            }
            memory.size(&*store).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn check(&self, store: &mut Store<StoreLimits>, who: &str) -> Result<(), String> {
        let answer = self.look.call(&mut *store, ());
        let answer = answer.map_err(|error| format!("{who} traps: {error:#}"))?;
        if answer != self.answer || self.hash(store) != self.memories {
            return Err(format!("{who} is not what it was"));
        }
        Ok(())
    }
}

/// Memory of the host that nobody may change.
struct Canaries(Vec<Vec<u64>>);

impl Canaries {
    fn new() -> Self {
        let of = |size: usize| (0..size as u64).map(|i| i ^ 0x5ca1_ab1e_0ddb_a115).collect();
        Self((0..40).map(|i| of(8 << (i % 9))).collect())
    }

    fn check(&self) -> Result<(), String> {
        let intact = |block: &Vec<u64>| {
            (0u64..)
                .zip(block)
                .all(|(i, &word)| word == i ^ 0x5ca1_ab1e_0ddb_a115)
        };
        if self.0.iter().all(intact) {
            Ok(())
        } else {
            Err("memory of the host is not what it was".into())
        }
    }
}

/// What running a mutant came to.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Calls that returned.
    pub returned: u64,
    /// Calls and instantiations that ended with an error.
    pub failed: u64,
}

/// Engines and neighbours, for many mutants.
pub struct World {
    engines: [Engine; 2],
    victims: [Module; 2],
    helpers: [Module; 2],
    others: [(Store<StoreLimits>, Victim); 2],
    canaries: Canaries,
    watch: Watch,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

fn store(engine: &Engine) -> Store<StoreLimits> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(16 << 20)
        .table_elements(100_000)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    store
}

/// Whether a value could be an address of this process, in a mapping that can be accessed.
fn is_address(value: u64) -> bool {
    if !(0x1000_0000..1 << 47).contains(&value) {
        return false;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux lists its maps");
    maps.lines().any(|line| {
        let Some((start, rest)) = line.split_once('-') else {
            return false;
        };
        let mut words = rest.split(' ');
        let end = words.next().unwrap_or_default();
        if words.next().is_none_or(|access| access.starts_with("---")) {
            return false;
        }
        let hex = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        (hex(start)..hex(end)).contains(&value)
    })
}

impl World {
    /// Makes engines and neighbours.
    ///
    /// # Errors
    /// If the machine cannot run the engine.
    pub fn new() -> cellwall::Result<Self> {
        let mut config = Config::new();
        config.parallel_compilation(false).max_wasm_stack(256 << 10);
        let full = Engine::new(&config)?;
        config.memory_reservation(1 << 20);
        let engines = [full, Engine::new(&config)?];
        let module = |text: &str| -> cellwall::Result<[Module; 2]> {
            Ok([Module::new(&engines[0], text)?, Module::new(&engines[1], text)?])
        };
        let (victims, helpers) = (module(VICTIM)?, module(HELPER)?);
        let other = |i: usize| -> cellwall::Result<(Store<StoreLimits>, Victim)> {
            let mut store = store(&engines[i]);
            let victim = Victim::new(&mut store, &victims[i], 99)?;
            Ok((store, victim))
        };
        let others = [other(0)?, other(1)?];
        Ok(Self {
            watch: Watch::new(engines.clone()),
            canaries: Canaries::new(),
            engines,
            victims,
            helpers,
            others,
        })
    }

    /// Loads a mutant as a stranger's file and calls what it exports.
    ///
    /// # Errors
    /// What a neighbour noticed: a breach.
    pub fn run(&mut self, guest: &Guest, artifact: &Artifact, rng: &mut Rng) -> Result<Ran, String> {
        let side = usize::from(guest.small);
        let engine = self.engines[side].clone();
        let bytes = pack::pack(artifact, &Origin::default());
        let module = Module::deserialize(&engine, &bytes)
            .map_err(|error| format!("accepted, but it is not loaded: {error:#}"))?;
        let mut store = store(&engine);
        let victim = Victim::new(&mut store, &self.victims[side], rng.bits())
            .map_err(|error| format!("no neighbour: {error:#}"))?;
        let linker = linker(&engine, &self.helpers[side], &mut store)
            .map_err(|error| format!("no helper: {error:#}"))?;
        let mut ran = Ran::default();
        self.watch.start();
        let instance = linker.instantiate(&mut store, &module);
        match instance {
            Ok(instance) => self.call_exports(&mut store, instance, rng, &mut ran)?,
            Err(_) => ran.failed += 1,
        }
        self.watch.stop();
        victim.check(&mut store, "the instance in the same store")?;
        let (store, other) = &mut self.others[side];
        other.check(store, "the instance in another store")?;
        self.canaries.check()?;
        Ok(ran)
    }

    fn call_exports(
        &self,
        store: &mut Store<StoreLimits>,
        instance: Instance,
        rng: &mut Rng,
        ran: &mut Ran,
    ) -> Result<(), String> {
        let exports: Vec<Extern> = instance.exports(&mut *store).map(|e| e.into_extern()).collect();
        let constants: Vec<_> = exports
            .iter()
            .filter_map(|export| export.clone().into_global())
            .filter(|global| global.ty(&*store).mutability() == Mutability::Const)
            .collect();
        let before: Vec<_> = constants
            .iter()
            .map(|global| bits(&global.get(&mut *store)))
            .collect();
        let funcs: Vec<_> = exports
            .iter()
            .filter_map(|export| export.clone().into_func())
            .collect();
        for func in funcs {
            let ty = func.ty(&*store);
            let args: Vec<Val> = ty.params().map(|ty| argument(rng, &ty)).collect();
            let mut results = vec![Val::I32(0); ty.results().len()];
            match func.call(&mut *store, &args, &mut results) {
                Ok(()) => {
                    ran.returned += 1;
                    if let Some(leak) = results.iter().map(bits).find(|&value| is_address(value)) {
                        return Err(format!("a result is an address of the host: {leak:#x}"));
                    }
                }
                Err(_) => ran.failed += 1,
            }
        }
        let after: Vec<_> = constants
            .iter()
            .map(|global| bits(&global.get(&mut *store)))
            .collect();
        if before != after {
            return Err("a constant global changed".into());
        }
        for memory in exports.iter().filter_map(|export| export.clone().into_memory()) {
            let words = memory.data(&*store).chunks_exact(8).take(4096);
            for word in words {
                let value = u64::from_le_bytes(word.try_into().expect("eight bytes"));
                if is_address(value) {
                    return Err(format!("a memory holds an address of the host: {value:#x}"));
                }
            }
        }
        Ok(())
    }
}

fn linker(
    engine: &Engine,
    helper: &Module,
    store: &mut Store<StoreLimits>,
) -> cellwall::Result<Linker<StoreLimits>> {
    let mut linker = Linker::new(engine);
    let helper = Instance::new(&mut *store, helper, &[])?;
    linker.instance(&mut *store, "h", helper)?;
    linker.func_wrap("host", "mix", |a: i32, b: i64, c: f64| -> i64 {
        i64::from(a) ^ b ^ c.to_bits() as i64
    })?;
    Ok(linker)
}

fn argument(rng: &mut Rng, ty: &cellwall::ValType) -> Val {
    // Small numbers reach further than large ones.
    let number = if rng.below(2) == 0 {
        rng.bits() % 300
    } else {
        rng.interesting()
    };
    match ty {
        cellwall::ValType::I32 => Val::I32(number as i32),
        cellwall::ValType::I64 => Val::I64(number as i64),
        cellwall::ValType::F32 => Val::F32(number as u32),
        cellwall::ValType::F64 => Val::F64(number),
        other => Val::default_for_ty(other).expect("references are nullable"),
    }
}

fn bits(value: &Val) -> u64 {
    match value {
        Val::I32(value) => u64::from(*value as u32),
        Val::I64(value) => *value as u64,
        Val::F32(bits) => u64::from(*bits),
        Val::F64(bits) => *bits,
        _ => 0,
    }
}
