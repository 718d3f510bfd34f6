//! Compiled modules as bytes: what comes back, what is refused and why.

use cellwall::{Config, Engine, Instance, Invalid, Module, Precompiled, Rule, Store, Violation};
use cellwall_abi::pack;

const TEXT: &str = r#"
    (module $counter
      (memory (export "memory") 1)
      (table funcref (elem $one $two))
      (global $g (mut i64) (i64.const 7))
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
    assert_eq!(names(&again), ["memory", "pick"]);
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
    newer[8] += 1;
    let error = Module::deserialize(&engine, newer).expect_err("another version");
    assert!(error.to_string().contains("version 2 of the format"), "{error:#}");
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
    assert!(artifact.funcs.len() == 3);
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

#[test]
fn corrupted_bytes_are_refused_or_safe() {
    let engine = Engine::default();
    let packed = engine.precompile_module(TEXT.as_bytes()).expect("valid");
    for end in (0..packed.len()).step_by(7) {
        assert!(Module::deserialize(&engine, &packed[..end]).is_err(), "{end}");
    }
    let (mut unreadable, mut refused, mut accepted) = (0, 0, 0);
    for bit in (0..8 * packed.len()).step_by(5) {
        let mut corrupted = packed.clone();
        corrupted[bit / 8] ^= 1 << (bit % 8);
        match Module::deserialize(&engine, &corrupted) {
            Ok(module) => {
                accepted += 1;
                // It was proven to be safe, not to mean anything.
                let _ = module.exports().map(|export| export.ty()).count();
            }
            Err(error) if error.is::<Invalid>() => unreadable += 1,
            Err(error) if error.is::<Violation>() => refused += 1,
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    println!("{unreadable} unreadable, {refused} refused, {accepted} accepted");
    assert!(unreadable > 50 && refused > 50 && accepted > 5);
}
