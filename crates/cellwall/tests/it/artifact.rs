//! Compiled modules as bytes: what comes back, what is refused and why.

use cellwall::{
    Config, Engine, Instance, Invalid, Module, Precompiled, Rule, Store, StoreLimits, StoreLimitsBuilder,
    Val, Violation,
};
use cellwall_abi::pack;

const TEXT: &str = r#"
    (module $counter
      (memory (export "memory") 1)
      (table funcref (elem $one $two))
      (global $g (mut i64) (i64.const 7))
      (global $r funcref (ref.func $one))
      (export "table" (table 1)) (table 3 9 externref)
      (global (export "global") (mut f64) (f64.const 1))
      (memory $second 1 2)
      (elem $passive func $two)
      (elem declare func $one)
      (data $later "xyz")
      (func (export "bulk")
        (table.init 0 $passive (i32.const 0) (i32.const 0) (i32.const 1))
        (memory.init $second $later (i32.const 4) (i32.const 0) (i32.const 3))
        (drop (memory.grow $second (i32.const 1)))
        (drop (table.grow 1 (ref.null extern) (i32.const 2)))
        (table.set 1 (i32.const 1) (table.get 1 (i32.const 0))))
      (data (i32.const 8) "abc")
      (func $one (result i32) (i32.const 1))
      (func $two (result i32) (i32.const 2))
      (func (export "pick") (param i32) (result i32)
        (global.set $g (i64.const 3))
        (i32.store8 (local.get 0) (i32.const 9))
        (i32.add (i32.load8_u (i32.const 9)) (call_indirect (result i32) (local.get 0)))))"#;

fn engine(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    change(&mut config);
    Engine::new(&config).expect("the options make sense")
}

fn pick(module: &Module, index: i32) -> cellwall::Result<i32> {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[])?;
    instance
        .get_typed_func::<i32, i32>(&mut store, "pick")?
        .call(&mut store, index)
}

#[test]
fn what_is_serialized_comes_back() {
    let engine = Engine::default();
    let module = Module::new(&engine, TEXT).expect("valid");
    let bytes = module.serialize().expect("it can be packed");
    assert_eq!(Engine::detect_precompiled(&bytes), Some(Precompiled::Module));
    let again = Module::deserialize(&engine, &bytes).expect("it is our own");
    assert_eq!(again.name(), Some("counter"));
    assert_eq!(again.text(), module.text());
    let names = |module: &Module| -> Vec<String> {
        module.exports().map(|export| export.name().to_owned()).collect()
    };
    assert_eq!(names(&again), ["memory", "table", "global", "bulk", "pick"]);
    for module in [&module, &again] {
        assert_eq!(pick(module, 1).expect("it returns"), i32::from(b'b') + 2);
        assert!(pick(module, 2).is_err(), "outside the table");
    }
    assert_eq!(again.serialize().expect("it can be packed"), bytes);

    let other = self::engine(|config| {
        config.parallel_compilation(false);
    });
    let precompiled = other.precompile_module(TEXT.as_bytes()).expect("valid");
    assert_eq!(precompiled, bytes, "the bytes do not depend on threads");
}

#[test]
fn files_are_read_first() {
    let engine = Engine::default();
    let path = std::env::temp_dir().join(format!("cellwall-{}.cwall", std::process::id()));
    std::fs::write(&path, engine.precompile_module(TEXT.as_bytes()).expect("valid")).expect("writable");
    let module = Module::deserialize_file(&engine, &path).expect("it is our own");
    // Whatever becomes of the file: what runs is the copy.
    std::fs::write(&path, [0; 64]).expect("writable");
    assert_eq!(pick(&module, 0).expect("it returns"), i32::from(b'b') + 1);
    let error = Module::deserialize_file(&engine, &path).expect_err("it is overwritten");
    assert!(
        error.is::<Invalid>() && format!("{error:#}").contains(".cwall"),
        "{error:#}"
    );
    std::fs::remove_file(&path).expect("it was written");
    let error = Module::deserialize_file(&engine, &path).expect_err("it is gone");
    assert!(error.is::<std::io::Error>(), "{error:#}");
}

#[test]
fn other_formats_are_named() {
    let engine = Engine::default();
    let binary = wat::parse_str(TEXT).expect("it is text");
    for (bytes, words) in [
        (&binary[..], "WebAssembly binary"),
        (b"\n (module)", "text format"),
        (b"\x7fELF and so on", "no compiled artifact"),
        (b"", "end too early"),
    ] {
        assert_eq!(Engine::detect_precompiled(bytes), None);
        let error = Module::deserialize(&engine, bytes).expect_err(words);
        assert!(error.is::<Invalid>(), "{error:#}");
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
    let packed = engine.precompile_module(&binary).expect("valid");
    let error = Module::new(&engine, packed).expect_err("it is compiled already");
    assert!(
        error.to_string().contains("`Module::deserialize` loads"),
        "{error:#}"
    );
}

#[test]
fn another_version_is_named() {
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    let mut newer = packed.clone();
    newer[8] = 99;
    let error = Module::deserialize(&engine, newer).expect_err("another version");
    assert!(
        error.to_string().contains("version 99 of the format"),
        "{error:#}"
    );
    let at = packed
        .windows(9)
        .position(|window| window == b"cellwall ")
        .expect("it says who made it");
    let mut other = packed;
    other[at + 9] = b'7';
    let error = Module::deserialize(&engine, other).expect_err("another compiler");
    assert!(error.to_string().contains("made by `cellwall 7"), "{error:#}");
}

/// Walls V7: an engine that gives less than the proof relied on, and one that gives as much.
#[test]
fn artifacts_are_bound_to_reservations_and_guards() {
    let large = |config: &mut Config| {
        config.memory_reservation(1 << 30).memory_guard_size(1 << 20);
    };
    let packed = engine(large).precompile_module(TEXT.as_bytes()).expect("valid");
    let module = Module::deserialize(&engine(large), &packed).expect("the same facts");
    assert_eq!(pick(&module, 0).expect("it returns"), i32::from(b'b') + 1);
    let less_reserved = engine(|config| {
        config.memory_reservation(1 << 29).memory_guard_size(1 << 20);
    });
    let less_guarded = engine(|config| {
        config.memory_reservation(1 << 30).memory_guard_size(1 << 19);
    });
    for (engine, words) in [
        (less_reserved, "memory reservations"),
        (less_guarded, "memory guards"),
    ] {
        let error = Module::deserialize(&engine, &packed).expect_err(words);
        assert!(format!("{error:#}").contains(words), "{error:#}");
    }
}

#[test]
fn options_hold_for_artifacts_too() {
    let text = b"(module (memory 1) (memory 1))";
    let packed = Engine::default().precompile_module(text).expect("valid");
    assert!(Module::deserialize(&Engine::default(), &packed).is_ok());
    let single = engine(|config| {
        config.wasm_multi_memory(false);
    });
    assert!(Module::deserialize(&single, &packed).is_err());
}

/// The first instruction of every function becomes a system call.
#[test]
fn hostile_code_is_refused_by_its_rule() {
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    let (artifact, origin) = pack::unpack(&packed).expect("it is our own");
    assert!(artifact.funcs.len() == 4);
    for range in &artifact.funcs {
        let mut hostile = artifact.clone();
        let at = range.start as usize;
        hostile.text[at..at + 2].copy_from_slice(&[0x0f, 0x05]);
        let error = Module::deserialize(&engine, pack::pack(&hostile, &origin)).expect_err("hostile");
        let violation = error
            .downcast_ref::<Violation>()
            .expect("the verifier refused it");
        assert_eq!(
            (violation.func, violation.pc),
            (Some(range.func), range.start),
            "{violation}"
        );
        assert_eq!(violation.rule, Rule::NotAllowed, "{violation}");
    }
    let honest = pack::pack(&artifact, &origin);
    assert!(Module::deserialize(&engine, honest).is_ok());
}

/// Such a module was proven to be safe, not to mean anything.
fn run_whatever_it_is(module: &Module) {
    let limits = StoreLimitsBuilder::new()
        .memory_size(1 << 24)
        .table_elements(10_000);
    let mut store = Store::new(module.engine(), limits.build());
    store.limiter(|limits: &mut StoreLimits| limits);
    let Ok(instance) = Instance::new(&mut store, module, &[]) else {
        return;
    };
    for export in module.exports() {
        let Some(func) = instance.get_func(&mut store, export.name()) else {
            continue;
        };
        let ty = func.ty(&store);
        let params: Vec<Val> = ty
            .params()
            .map(|ty| Val::default_for_ty(&ty).expect("there is one for every type"))
            .collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let _ = func.call(&mut store, &params, &mut results);
    }
}

#[test]
fn corrupted_bytes_are_refused_or_safe() {
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    for end in (0..packed.len()).step_by(7) {
        assert!(Module::deserialize(&engine, &packed[..end]).is_err(), "{end}");
    }
    let mut tally = Tally::default();
    for bit in (0..8 * packed.len()).step_by(5) {
        let mut corrupted = packed.clone();
        corrupted[bit / 8] ^= 1 << (bit % 8);
        tally.add(&engine, &corrupted);
    }
    println!("{tally:?}");
    assert!(tally.unreadable > 500 && tally.refused > 500 && tally.accepted > 200);
}

/// Several bytes at once, often values that are special, behind a header that stays right.
#[test]
fn corrupted_contents_are_refused_or_safe() {
    const ROUNDS: usize = 10_000;
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    let contents = 24 + 16 * pack::SECTIONS.len() + pack::COMPILER.len();
    // SplitMix64, from a fixed seed.
    let mut state = 0xce11_u64;
    let mut below = |end: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    };
    let mut tally = Tally::default();
    for _ in 0..ROUNDS {
        let mut corrupted = packed.clone();
        for _ in 0..1 + below(4) {
            let at = contents + below(packed.len() - contents);
            let other = contents + below(packed.len() - contents);
            corrupted[at] = match below(4) {
                0 => below(256) as u8,
                1 => corrupted[at].wrapping_add(1),
                2 => [0, 1, 0x7f, 0x80, 0xff][below(5)],
                _ => corrupted[other],
            };
        }
        tally.add(&engine, &corrupted);
    }
    println!("{tally:?}");
    assert!(tally.unreadable > 500 && tally.refused > 500 && tally.accepted > 200);
}

/// What became of corrupted artifacts.
#[derive(Default, Debug)]
struct Tally {
    unreadable: u32,
    refused: u32,
    other: u32,
    accepted: u32,
}

impl Tally {
    fn add(&mut self, engine: &Engine, corrupted: &[u8]) {
        match Module::deserialize(engine, corrupted) {
            Ok(module) => {
                self.accepted += 1;
                run_whatever_it_is(&module);
            }
            Err(error) if error.is::<Invalid>() => self.unreadable += 1,
            Err(error) if error.is::<Violation>() => self.refused += 1,
            // It relies on what this machine or this engine does not have.
            Err(error) => {
                assert!(!error.to_string().is_empty());
                self.other += 1;
            }
        }
    }
}

/// Walls V7: every processor feature that the code says it needs is asked of this machine.
#[test]
fn artifacts_are_bound_to_processor_features() {
    use cellwall_abi::CpuFeatures;
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    let (artifact, origin) = pack::unpack(&packed).expect("it is our own");
    let have = cellwall_runtime::host_features();
    let with = |features: CpuFeatures| {
        let mut changed = artifact.clone();
        changed.target.features = features;
        Module::deserialize(&engine, pack::pack(&changed, &origin))
    };
    assert!(with(have).is_ok());
    for (name, needed) in [
        ("popcnt", CpuFeatures { popcnt: true, ..have }),
        ("lzcnt", CpuFeatures { lzcnt: true, ..have }),
        ("bmi1", CpuFeatures { bmi1: true, ..have }),
        ("bmi2", CpuFeatures { bmi2: true, ..have }),
        ("avx", CpuFeatures { avx: true, ..have }),
        ("avx2", CpuFeatures { avx2: true, ..have }),
        ("fma", CpuFeatures { fma: true, ..have }),
    ] {
        match with(needed) {
            Ok(_) => assert_eq!(needed, have, "{name}"),
            Err(error) => {
                assert_ne!(needed, have, "{name}");
                let words = format!("needs the processor feature {name}");
                assert!(format!("{error:#}").contains(&words), "{error:#}");
            }
        }
    }
}

/// A guard so large that sums with it would wrap is none.
#[test]
fn guards_beyond_the_limit_make_no_sense() {
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    let (artifact, origin) = pack::unpack(&packed).expect("it is our own");
    for (guard, is_valid) in [(1 << 40, true), ((1 << 40) + (1 << 16), false), (1 << 63, false)] {
        let mut changed = artifact.clone();
        changed.target.memory_guard_bytes = guard;
        let error = Module::deserialize(&engine, pack::pack(&changed, &origin)).expect_err("too large here");
        let violation = error.downcast_ref::<Violation>();
        assert_eq!(violation.is_none(), is_valid, "{guard:#x}: {error:#}");
        assert!(
            violation.is_none_or(|violation| violation.rule == Rule::Target),
            "{error:#}"
        );
    }
}
