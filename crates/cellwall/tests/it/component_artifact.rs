//! Compiled components as bytes: exact, whole, and checked from anyone's hands.

use cellwall::component::{Component, Linker};
use cellwall::{Engine, Store};
use std::sync::atomic::{AtomicBool, Ordering};

/// A component of two parts, the second of which calls the first with a string.
const PAIR: &str = r#"
    (component
      (component $inner
        (core module $m
          (memory (export "m") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
          (func (export "len") (param i32 i32) (result i32) (local.get 1)))
        (core instance $i (instantiate $m))
        (func (export "len") (param "s" string) (result u32)
          (canon lift (core func $i "len") (memory (core memory $i "m"))
            (realloc (core func $i "realloc")))))
      (component $outer
        (import "len" (func $len (param "s" string) (result u32)))
        (core module $mem (memory (export "m") 1) (data (i32.const 0) "hello"))
        (core instance $mem (instantiate $mem))
        (core func $lowered (canon lower (func $len) (memory (core memory $mem "m"))))
        (core module $m
          (import "" "len" (func $len (param i32 i32) (result i32)))
          (func (export "five") (result i32) (call $len (i32.const 0) (i32.const 5))))
        (core instance $i (instantiate $m (with "" (instance (export "len" (func $lowered))))))
        (func (export "five") (result u32) (canon lift (core func $i "five"))))
      (instance $a (instantiate $inner))
      (instance $b (instantiate $outer (with "len" (func $a "len"))))
      (export "five" (func $b "five")))"#;

fn five(engine: &Engine, component: &Component) -> cellwall::Result<u32> {
    let mut store = Store::new(engine, ());
    let instance = Linker::new(engine).instantiate(&mut store, component)?;
    let five = instance.get_typed_func::<(), (u32,)>(&mut store, "five")?;
    Ok(five.call(&mut store, ())?.0)
}

#[test]
fn a_serialized_component_is_the_same_component() -> cellwall::Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, PAIR)?;
    let bytes = component.serialize()?;
    assert_eq!(bytes, engine.precompile_component(PAIR.as_bytes())?);
    assert_eq!(
        Engine::detect_precompiled(&bytes),
        Some(cellwall::Precompiled::Component)
    );
    let loaded = Component::deserialize(&engine, &bytes)?;
    assert_eq!(five(&engine, &loaded)?, 5);
    assert_eq!(loaded.serialize()?, bytes);
    // Neither is taken for the other, and neither for something to compile.
    let module = engine.precompile_module(b"(module)")?;
    assert!(Component::deserialize(&engine, &module).is_err());
    assert!(cellwall::Module::deserialize(&engine, &bytes).is_err());
    assert!(Component::new(&engine, &bytes).is_err());
    assert!(cellwall::Module::new(&engine, &bytes).is_err());
    Ok(())
}

/// Every byte that is changed, and every end that is cut off, is refused or leads to a component that
/// runs inside of its cells: with a result or a trap, never with a panic.
#[test]
fn a_forged_component_is_refused_or_stays_inside() {
    let engine = Engine::default();
    let bytes = engine
        .precompile_component(PAIR.as_bytes())
        .expect("the component is valid");
    for len in (0..bytes.len()).step_by(61) {
        let error = Component::deserialize(&engine, &bytes[..len]).expect_err("it is cut off");
        assert!(error.is::<cellwall::Invalid>(), "{error:?}");
    }
    let mut refused = 0;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // What is forged may well run for ever.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                engine.interrupt();
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        });
        for at in (0..bytes.len()).step_by(7) {
            let mut forged = bytes.clone();
            forged[at] ^= 1 << (at % 8);
            match Component::deserialize(&engine, &forged) {
                Ok(component) => drop(five(&engine, &component)),
                Err(_) => refused += 1,
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(refused > bytes.len() / 7 / 4, "{refused} of {}", bytes.len() / 7);
}

/// Code that is sound in itself, in the place of a module of another type.
#[test]
fn an_artifact_of_another_type_is_refused() -> cellwall::Result<()> {
    let engine = Engine::default();
    let of = |result: &str, value: &str| {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (result {value}) ({value}.const 6)))
                (core instance $i (instantiate $m))
                (func (export "f") (result {result}) (canon lift (core func $i "f"))))"#
        );
        engine.precompile_component(text.as_bytes())
    };
    let (narrow, wide) = (of("u32", "i32")?, of("u64", "i64")?);
    let word = |bytes: &[u8], at: usize| {
        let bytes = bytes[at..at + 8].try_into().expect("there are eight");
        u64::from_le_bytes(bytes) as usize
    };
    // The artifact of one under the header and skeleton of the other; see the format.
    let (start, from) = (word(&narrow, 40), word(&wide, 40));
    let mut forged = narrow[..start].to_vec();
    forged.extend(&wide[from..]);
    let len = (wide.len() - from) as u64;
    forged[48..56].copy_from_slice(&len.to_le_bytes());
    let total = forged.len() as u64;
    forged[24..32].copy_from_slice(&total.to_le_bytes());
    let error = Component::deserialize(&engine, &forged).expect_err("the types differ");
    assert!(format!("{error:?}").contains("another module"), "{error:?}");
    Ok(())
}

#[test]
fn a_cache_keeps_components_whole() -> cellwall::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("component-cache-{}", std::process::id()));
    let mut options = cellwall::CacheConfig::new();
    options.with_directory(&folder);
    let cache = cellwall::Cache::new(options)?;
    let mut config = cellwall::Config::new();
    config.cache(Some(cache.clone()));
    let engine = Engine::new(&config)?;
    for (misses, hits) in [(1, 0), (1, 1)] {
        let component = Component::new(&engine, PAIR)?;
        assert_eq!(five(&engine, &component)?, 5);
        assert_eq!((cache.cache_misses(), cache.cache_hits()), (misses, hits));
    }
    assert_eq!(cache.usage()?.entries, 1);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
