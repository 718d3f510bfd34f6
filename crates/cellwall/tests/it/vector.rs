//! Vectors between host and guest: typed and untyped calls, host functions, globals, the options that
//! say which results operators choose.

use cellwall::{Config, Engine, Func, Instance, Module, Result, Store, V128, Val};

const WAT: &str = r#"(module
    (import "" "twist" (func $twist (param v128 i32 v128) (result v128)))
    (global (export "g") (mut v128) (v128.const i32x4 1 2 3 4))
    (func (export "sum") (param v128 v128) (result v128)
        (i32x4.add (local.get 0) (local.get 1)))
    (func (export "swap") (param v128 f32 v128) (result v128 f32 v128)
        (local.get 2) (local.get 1) (local.get 0))
    (func (export "through") (param v128) (result v128)
        (global.set 0 (i8x16.add (global.get 0) (local.get 0)))
        (call $twist (local.get 0) (i32.const 7) (global.get 0)))
    (func (export "nan") (param f32) (result f32) (f32.sqrt (local.get 0))))"#;

fn instance(store: &mut Store<()>) -> Instance {
    let module = Module::new(store.engine(), WAT).expect("the module is valid");
    let twist = Func::wrap(&mut *store, |x: V128, n: i32, y: V128| {
        V128::from(x.as_u128().rotate_left(n as u32) ^ y.as_u128())
    });
    Instance::new(store, &module, &[twist.into()]).expect("the import is there")
}

#[test]
fn typed_calls_take_and_give_vectors() -> Result<()> {
    let mut store = Store::new(&Engine::default(), ());
    let instance = instance(&mut store);
    let sum = instance.get_typed_func::<(V128, V128), V128>(&mut store, "sum")?;
    let (x, y) = (
        0xffff_ffff_0000_0001_0000_0002_8000_0000,
        0x0000_0001_0000_0002_0000_0003_8000_0000,
    );
    let found = sum.call(&mut store, (V128::from(x), V128::from(y)))?;
    assert_eq!(found.as_u128(), 0x0000_0000_0000_0003_0000_0005_0000_0000);
    let refused = instance.get_typed_func::<(V128, u64), V128>(&mut store, "sum");
    assert!(refused.is_err(), "the type is another one");
    Ok(())
}

#[test]
fn untyped_calls_host_functions_and_globals_hold_all_bits() -> Result<()> {
    let mut store = Store::new(&Engine::default(), ());
    let instance = instance(&mut store);
    let (x, y) = (u128::MAX - 7, 1 << 127 | 5);
    let swap = instance.get_func(&mut store, "swap").expect("it is exported");
    let mut results = [Val::I32(0), Val::I32(0), Val::I32(0)];
    let args = [Val::V128(x.into()), Val::F32(3), Val::V128(y.into())];
    swap.call(&mut store, &args, &mut results)?;
    assert_eq!(results[0].unwrap_v128().as_u128(), y);
    assert_eq!(results[1].f32().map(f32::to_bits), Some(3));
    assert_eq!(results[2].unwrap_v128().as_u128(), x);
    let wrong = [Val::V128(x.into()), Val::F32(3), Val::I64(0)];
    assert!(
        swap.call(&mut store, &wrong, &mut results).is_err(),
        "an i64 is no v128"
    );

    let through = instance.get_typed_func::<V128, V128>(&mut store, "through")?;
    let global = instance.get_global(&mut store, "g").expect("it is exported");
    let before = global.get(&mut store).unwrap_v128().as_u128();
    assert_eq!(before, 0x0000_0004_0000_0003_0000_0002_0000_0001);
    let found = through.call(&mut store, V128::from(1 << 120))?;
    let after = before + (1 << 120);
    assert_eq!(global.get(&mut store).unwrap_v128().as_u128(), after);
    assert_eq!(found.as_u128(), (1u128 << 120).rotate_left(7) ^ after);
    global.set(&mut store, Val::V128(y.into()))?;
    assert_eq!(global.get(&mut store).unwrap_v128().as_u128(), y);
    Ok(())
}

#[test]
fn code_of_other_choices_is_not_loaded() -> Result<()> {
    let engine = |change: fn(&mut Config)| {
        let mut config = Config::new();
        change(&mut config);
        Engine::new(&config)
    };
    let plain = engine(|_| {})?;
    let bytes = plain.precompile_module(WAT.as_bytes())?;
    assert!(Module::deserialize(&plain, &bytes).is_ok());
    let relaxed = engine(|config| {
        config.relaxed_simd_deterministic(true);
    })?;
    let canonical = engine(|config| {
        config.nan_canonicalization(true);
    })?;
    for other in [&relaxed, &canonical] {
        assert!(Module::deserialize(other, &bytes).is_err());
        let own = other.precompile_module(WAT.as_bytes())?;
        assert!(Module::deserialize(other, &own).is_ok());
    }
    let mut store = Store::new(&canonical, ());
    let instance = instance(&mut store);
    let nan = instance.get_typed_func::<f32, f32>(&mut store, "nan")?;
    let found = nan.call(&mut store, f32::from_bits(0xffc1_2345))?;
    assert_eq!(found.to_bits(), 0x7fc0_0000);
    Ok(())
}
