//! `Module`: what is accepted, what is refused and where, what it says of itself.

use cellwall::{Config, Engine, ExternType, Invalid, Limit, Module, Mutability, ValType};

#[test]
fn binaries_text_and_files_are_accepted() {
    let engine = Engine::default();
    let text = r#"(module $hi (func (export "f")))"#;
    let binary = wat::parse_str(text).expect("it is text");
    for module in [
        Module::new(&engine, text),
        Module::new(&engine, &binary),
        Module::from_binary(&engine, &binary),
    ] {
        assert_eq!(module.expect("valid").name(), Some("hi"));
    }
    assert!(
        Module::from_binary(&engine, text.as_bytes()).is_err(),
        "text is no binary"
    );

    let path = std::env::temp_dir().join(format!("cellwall-{}.wat", std::process::id()));
    std::fs::write(&path, text).expect("the directory is writable");
    let module = Module::from_file(&engine, &path);
    std::fs::remove_file(&path).expect("it was written");
    assert_eq!(module.expect("valid").name(), Some("hi"));
    let error = Module::from_file(&engine, &path).expect_err("it is gone");
    assert!(
        error.is::<std::io::Error>() && format!("{error:#}").contains(".wat"),
        "{error:#}"
    );
}

#[test]
fn refusals_name_the_offset() {
    let engine = Engine::default();
    let bad_body = wat::parse_str("(module (func) (func (result i32) i64.const 0))").expect("it is text");
    let error = Module::new(&engine, &bad_body).expect_err("types differ");
    let invalid = error.downcast_ref::<Invalid>().expect("it is invalid");
    assert_eq!(
        error.to_string(),
        format!(
            "type mismatch: expected i32, found i64 (at offset {:#x})",
            invalid.offset
        )
    );
    assert!(
        bad_body[..invalid.offset].contains(&0x0a),
        "it is in the code section"
    );
    assert!(Module::validate(&engine, &bad_body).is_err());

    let good = wat::parse_str("(module (func) (func (result i32) i32.const 0))").expect("it is text");
    assert!(Module::validate(&engine, &good).is_ok());
    let types_end = 8 + 2 + usize::from(good[9]);
    for end in 0..good.len() {
        let Err(error) = Module::new(&engine, &good[..end]) else {
            assert!(end == 8 || end == types_end, "{end}: only these are modules");
            continue;
        };
        assert!(end < 4 || error.is::<Invalid>(), "{end}: {error:?}");
    }
    let error = Module::new(&engine, "(module\n  (func $f\n)").expect_err("a parenthesis is missing");
    assert!(error.to_string().contains("-->"), "{error}");
}

#[test]
fn the_first_bad_function_is_named_whatever_the_threads() {
    let mut funcs = vec!["(func (result i32) (i32.const 1))".repeat(40); 400];
    for bad in [350, 180, 20] {
        funcs[bad].push_str("(func (result i32) (i64.const 1))");
    }
    let wat = format!("(module {})", funcs.concat());
    let binary = wat::parse_str(wat).expect("it is text");
    let offset = |parallel| {
        let engine = Engine::new(Config::new().parallel_compilation(parallel)).expect("supported");
        let error = Module::new(&engine, &binary).expect_err("functions are bad");
        error.downcast_ref::<Invalid>().expect("it is invalid").offset
    };
    assert_eq!(offset(true), offset(false));
}

#[test]
fn code_does_not_depend_on_the_number_of_threads() {
    let func = |i| {
        format!("(func (export \"f{i}\") (param i32) (result i32) (i32.mul (local.get 0) (i32.const {i})))")
    };
    let wat = format!("(module {})", (0..6000).map(func).collect::<String>());
    let binary = wat::parse_str(wat).expect("it is text");
    assert!(binary.len() > 64 << 10, "large enough for threads");
    let text = |parallel| {
        let engine = Engine::new(Config::new().parallel_compilation(parallel)).expect("supported");
        Module::new(&engine, &binary).expect("valid").text().to_vec()
    };
    assert!(text(true) == text(false));
}

#[test]
fn limits_are_named() {
    let engine = Engine::default();
    let params = |n| format!("(module (func (param{})))", " i32".repeat(n));
    assert!(Module::new(&engine, params(1000)).is_ok());
    let error = Module::new(&engine, params(1001)).expect_err("too many");
    assert!(error.is::<Invalid>() || error.is::<Limit>(), "{error:?}");
    let memories = |n| format!("(module {})", "(memory 0)".repeat(n));
    assert!(Module::new(&engine, memories(100)).is_ok());
    assert!(Module::new(&engine, memories(101)).is_err());
}

#[test]
fn several_memories_can_be_turned_off() {
    let two = "(module (memory 1) (memory 1))";
    let engine = Engine::new(Config::new().wasm_multi_memory(false)).expect("supported");
    assert!(Module::new(&engine, "(module (memory 1))").is_ok());
    assert!(Module::new(&engine, two).is_err());
    assert!(Module::new(&Engine::default(), two).is_ok());
}

#[test]
fn imports_and_exports_have_types() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module
             (import "a" "f" (func (param i32) (result f64)))
             (import "a" "t" (table 1 2 externref))
             (import "b" "m" (memory 1))
             (global (export "g") (mut i64) (i64.const 1))
             (export "again" (func 0)))"#,
    );
    let module = module.expect("valid");
    let imports: Vec<_> = module
        .imports()
        .map(|import| format!("{}::{} {}", import.module(), import.name(), import.ty()))
        .collect();
    assert_eq!(
        imports,
        [
            "a::f (func (param i32) (result f64))",
            "a::t (table 1 2 externref)",
            "b::m (memory 1)"
        ]
    );
    let ExternType::Global(global) = module.get_export("g").expect("exported") else {
        panic!("it is a global");
    };
    assert_eq!(
        (global.content(), global.mutability()),
        (&ValType::I64, Mutability::Var)
    );
    assert_eq!(module.exports().len(), 2);
    assert!(module.get_export("f").is_none());
}
