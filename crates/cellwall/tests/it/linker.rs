//! `Linker`: names, shadowing, modules of modules, what is unknown or does not fit.

use cellwall::{
    Engine, Extern, Func, FuncType, Global, GlobalType, Instance, Linker, Memory, MemoryType, Module,
    Mutability, Ref, RefType, Result, Store, Table, TableType, UnknownImportError, Val, ValType,
};

fn module(engine: &Engine, wat: &str) -> Module {
    Module::new(engine, wat).expect("valid")
}

#[test]
fn host_functions_serve_any_store_and_store_items_their_own() {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    linker.func_wrap("h", "seven", || 7i32).expect("defined once");
    let ty = FuncType::new(&engine, [ValType::I32], [ValType::I32]);
    linker
        .func_new("h", "inc", ty, |_, params, results| {
            results[0] = Val::I32(params[0].unwrap_i32() + 1);
            Ok(())
        })
        .expect("defined once");
    let user = module(
        &engine,
        r#"(module (import "h" "seven" (func (result i32))) (import "h" "inc" (func (param i32) (result i32)))
             (func (export "run") (result i32) (call 1 (call 0))))"#,
    );
    let mut first = Store::new(&engine, 1);
    for store in [&mut first, &mut Store::new(&engine, 2)] {
        let instance = linker.instantiate(&mut *store, &user).expect("all is defined");
        let run = instance
            .get_typed_func::<(), i32>(&mut *store, "run")
            .expect("exported");
        assert_eq!(run.call(store, ()).expect("it ends"), 8);
    }

    let memory = Memory::new(&mut first, MemoryType::new(1, None)).expect("there is room");
    linker
        .define(&mut first, "h", "memory", memory)
        .expect("defined once");
    let user = module(&engine, r#"(module (import "h" "memory" (memory 1)))"#);
    assert!(linker.instantiate(&mut first, &user).is_ok());
    let error = linker
        .instantiate(Store::new(&engine, 3), &user)
        .expect_err("another store");
    assert!(error.to_string().contains("store"), "{error}");
    let mut second = Store::new(&engine, 4);
    assert!(linker.define(&mut second, "h", "other", memory).is_err());
    assert!(linker.get(&mut second, "h", "memory").is_none());
    assert!(linker.get(&mut second, "h", "seven").is_some());
    assert_eq!(linker.iter(&mut first).count(), 3);
}

#[test]
fn a_name_is_defined_once_unless_shadowing_is_allowed() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("m", "n", || 1i32).expect("defined once");
    let error = linker.func_wrap("m", "n", || 2i32).expect_err("defined twice");
    assert!(error.to_string().contains("`m::n`"), "{error}");
    let before = linker.clone();
    linker.allow_shadowing(true);
    linker.func_wrap("m", "n", || 2i32).expect("allowed");
    for (linker, expected) in [(&before, 1), (&linker, 2)] {
        let func = linker
            .get(&mut store, "m", "n")
            .and_then(Extern::into_func)
            .expect("defined");
        let func = func.typed::<(), i32>(&store).expect("its type");
        assert_eq!(func.call(&mut store, ()).expect("it ends"), expected);
    }
}

#[test]
fn unknown_imports_are_named_or_made_traps() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("m", "known", || ()).expect("defined once");
    let user = module(
        &engine,
        r#"(module (import "m" "known" (func)) (import "m" "n" (func (result i32)))
             (func (export "good") (call 0)) (func (export "bad") (result i32) (call 1)))"#,
    );
    let error = linker.instantiate(&mut store, &user).expect_err("unknown");
    assert_eq!(error.to_string(), "unknown import: `m::n` has not been defined");
    let unknown = error.downcast_ref::<UnknownImportError>().expect("it is one");
    assert_eq!((unknown.module(), unknown.name()), ("m", "n"));

    linker
        .define_unknown_imports_as_traps(&user)
        .expect("functions only");
    let instance = linker.instantiate(&mut store, &user).expect("all is defined");
    let call = |store: &mut Store<()>, name, results: &mut [Val]| {
        instance
            .get_func(&mut *store, name)
            .expect("exported")
            .call(store, &[], results)
    };
    assert!(call(&mut store, "good", &mut []).is_ok());
    let error = call(&mut store, "bad", &mut [Val::I32(0)]).expect_err("it is unknown");
    assert!(error.is::<UnknownImportError>());

    let memory = module(&engine, r#"(module (import "m" "memory" (memory 1)))"#);
    linker
        .define_unknown_imports_as_traps(&memory)
        .expect("functions only");
    assert!(linker.instantiate(&mut store, &memory).is_err());
}

#[test]
fn what_does_not_fit_names_both_types() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(2))).expect("there is room");
    let table = TableType::new(RefType::FUNCREF, 2, None);
    let table = Table::new(&mut store, table, Ref::Func(None)).expect("there is room");
    let global = GlobalType::new(ValType::I32, Mutability::Const);
    let global = Global::new(&mut store, global, Val::I32(5)).expect("of its type");
    linker.func_wrap("m", "func", |_: i32| ()).expect("defined once");
    linker
        .define(&mut store, "m", "memory", memory)
        .expect("defined once");
    linker
        .define(&mut store, "m", "table", table)
        .expect("defined once");
    linker
        .define(&mut store, "m", "global", global)
        .expect("defined once");
    for (name, fits, does_not) in [
        ("func", "(func (param i32))", "(func (param i64))"),
        ("memory", "(memory 1)", "(memory 2)"),
        ("memory", "(memory 1 2)", "(memory 1 1)"),
        ("table", "(table 2 funcref)", "(table 2 externref)"),
        ("table", "(table 1 funcref)", "(table 1 5 funcref)"),
        ("global", "(global i32)", "(global (mut i32))"),
        ("global", "(global i32)", "(func)"),
    ] {
        let import = |ty: &str| module(&engine, &format!(r#"(module (import "m" "{name}" {ty}))"#));
        assert!(linker.instantiate(&mut store, &import(fits)).is_ok(), "{fits}");
        let error = linker
            .instantiate(&mut store, &import(does_not))
            .expect_err(does_not);
        let text = format!("{error:#}");
        assert!(text.contains(&format!("`m::{name}`")), "{text}");
        assert!(text.contains(does_not) || text.contains("a function"), "{text}");
        let item = linker.get(&mut store, "m", name).expect("defined");
        assert!(Instance::new(&mut store, &import(does_not), &[item]).is_err());
    }
    assert!(
        Instance::new(
            &mut store,
            &module(&engine, r#"(module (import "m" "func" (func)))"#),
            &[]
        )
        .is_err()
    );

    // A memory fits by its size at the time.
    let two = module(&engine, r#"(module (import "m" "memory" (memory 2)))"#);
    let pre = linker.instantiate_pre(&two).expect("sizes are compared later");
    assert!(pre.instantiate(&mut store).is_err());
    memory.grow(&mut store, 1).expect("its maximum allows it");
    assert!(pre.instantiate(&mut store).is_ok());
}

#[test]
fn modules_are_linked_by_their_instances() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let library = module(
        &engine,
        r#"(module (memory (export "memory") 1) (global $g (export "g") (mut i32) (i32.const 40))
             (table (export "t") 1 funcref) (elem (i32.const 0) $get)
             (func $get (export "get") (result i32) (global.get $g)))"#,
    );
    let library = linker.instantiate(&mut store, &library)?;
    linker.instance(&mut store, "lib", library)?;
    linker.alias("lib", "get", "other", "name")?;
    assert!(linker.alias("lib", "none", "other", "x").is_err());
    let user = module(
        &engine,
        r#"(module (import "lib" "memory" (memory 1)) (import "lib" "g" (global $g (mut i32)))
             (import "other" "name" (func $get (result i32))) (import "lib" "t" (table 1 funcref))
             (func (export "run") (result i32)
               (global.set $g (i32.add (global.get $g) (i32.const 1)))
               (i32.store (i32.const 8) (i32.const 77))
               (i32.add (call $get) (call_indirect (result i32) (i32.const 0)))))"#,
    );
    let user = linker.instantiate(&mut store, &user)?;
    let run = user.get_typed_func::<(), i32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, 82);
    let memory = library.get_memory(&mut store, "memory").expect("exported");
    assert_eq!(memory.data(&store)[8], 77);
    Ok(())
}

#[test]
fn reactors_are_kept_and_commands_made_anew() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let counter = |main: &str| {
        let wat = format!(
            r#"(module (global $n (mut i32) (i32.const 0)) (func (export "{main}") (global.set $n (i32.const 10)))
                 (func (export "next") (result i32)
                   (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"#
        );
        module(&engine, &wat)
    };
    linker.module(&mut store, "reactor", &counter("_initialize"))?;
    linker.module(&mut store, "command", &counter("_start"))?;
    for (name, expected) in [("reactor", [11, 12]), ("command", [1, 1])] {
        let next = linker.get(&mut store, name, "next").and_then(Extern::into_func);
        let next: Func = next.expect("defined");
        let next = next.typed::<(), i32>(&store)?;
        assert_eq!(
            [next.call(&mut store, ())?, next.call(&mut store, ())?],
            expected,
            "{name}"
        );
    }
    let start = linker.get_default(&mut store, "command")?;
    start.call(&mut store, &[], &mut [])?;
    let nothing = linker.get_default(&mut store, "none")?;
    nothing.call(&mut store, &[], &mut [])
}
