//! Traps: every kind, exactly, and where it happened.

use crate::instantiate;
use cellwall::tools::{Stage, explain};
use cellwall::{Caller, Config, Engine, Func, Instance, Module, Store, Trap, WasmBacktrace};

/// What a body that returns nothing traps with; `None` if it ends.
fn outcome(body: &str) -> Option<Trap> {
    let wat = format!(
        r#"(module
             (memory 1 2)
             (table $t 4 4 funcref)
             (table $e 2 externref)
             (elem $seg func $run)
             (elem (table $t) (i32.const 0) func $run $other)
             (data $bytes "abc")
             (type $none (func))
             (func $other (param i32))
             (func $deep (param i64 i64 i64 i64) (call $deep (local.get 3) (local.get 2) (local.get 1) (local.get 0)))
             (func $run (export "run") {body}))"#
    );
    let (mut store, instance) = instantiate(&wat);
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .expect("exported");
    let error = run.call(&mut store, ()).err()?;
    Some(
        *error
            .downcast_ref::<Trap>()
            .unwrap_or_else(|| panic!("{body}: {error:?}")),
    )
}

#[test]
fn each_trap_and_its_neighbour_that_is_none() {
    use Trap::*;
    let rows: &[(Trap, &str, &str)] = &[
        (UnreachableCodeReached, "unreachable", "nop"),
        (
            MemoryOutOfBounds,
            "(drop (i32.load (i32.const 65533)))",
            "(drop (i32.load (i32.const 65532)))",
        ),
        (
            MemoryOutOfBounds,
            "(i64.store offset=0xffffffff (i32.const -1) (i64.const 0))",
            "(i64.store offset=0xfff8 (i32.const 0) (i64.const 0))",
        ),
        (
            MemoryOutOfBounds,
            "(drop (i32.load8_u (i32.const -1)))",
            "(drop (i32.load8_u (i32.const 65535)))",
        ),
        (
            MemoryOutOfBounds,
            "(memory.fill (i32.const 1) (i32.const 0) (i32.const 65536))",
            "(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536))",
        ),
        (
            MemoryOutOfBounds,
            "(memory.init $bytes (i32.const 0) (i32.const 1) (i32.const 3))",
            "(memory.init $bytes (i32.const 0) (i32.const 1) (i32.const 2))",
        ),
        (
            TableOutOfBounds,
            "(call_indirect (type $none) (i32.const 4))",
            "(drop (table.get $t (i32.const 3)))",
        ),
        (
            TableOutOfBounds,
            "(drop (table.get $e (i32.const 2)))",
            "(drop (table.get $e (i32.const 1)))",
        ),
        (
            TableOutOfBounds,
            "(table.init $t $seg (i32.const 4) (i32.const 0) (i32.const 1))",
            "(table.init $t $seg (i32.const 3) (i32.const 0) (i32.const 1))",
        ),
        (
            IndirectCallToNull,
            "(call_indirect (type $none) (i32.const 3))",
            "(call_indirect (param i32) (i32.const 5) (i32.const 1))",
        ),
        (
            BadSignature,
            "(call_indirect (type $none) (i32.const 1))",
            "(call_indirect (param i32) (i32.const 5) (i32.const 1))",
        ),
        (
            IntegerOverflow,
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            "(drop (i32.rem_s (i32.const 0x80000000) (i32.const -1)))",
        ),
        (
            IntegerOverflow,
            "(drop (i32.trunc_f64_s (f64.const 2147483648)))",
            "(drop (i32.trunc_f64_s (f64.const 2147483647.9)))",
        ),
        (
            IntegerDivisionByZero,
            "(drop (i64.div_u (i64.const 1) (i64.const 0)))",
            "(drop (i64.div_u (i64.const 1) (i64.const 1)))",
        ),
        (
            IntegerDivisionByZero,
            "(drop (i32.rem_s (i32.const 1) (i32.const 0)))",
            "(drop (i32.rem_s (i32.const 1) (i32.const -1)))",
        ),
        (
            BadConversionToInteger,
            "(drop (i64.trunc_f32_u (f32.const nan)))",
            "(drop (i64.trunc_sat_f32_u (f32.const nan)))",
        ),
        (
            StackOverflow,
            "(call $deep (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4))",
            "(call $other (i32.const 1))",
        ),
    ];
    for (trap, traps, ends) in rows {
        assert_eq!(outcome(traps), Some(*trap), "{traps}");
        assert_eq!(outcome(ends), None, "{ends}");
    }
}

#[test]
fn an_instance_goes_on_after_a_trap() {
    let (mut store, instance) = instantiate(
        r#"(module (global $n (mut i32) (i32.const 0))
             (func (export "f") (result i32)
               (global.set $n (i32.add (global.get $n) (i32.const 1)))
               (if (i32.and (global.get $n) (i32.const 1)) (then unreachable))
               (global.get $n)))"#,
    );
    let f = instance
        .get_typed_func::<(), i32>(&mut store, "f")
        .expect("exported");
    for round in 1..100 {
        match f.call(&mut store, ()) {
            Ok(n) => assert_eq!((n, round % 2), (round, 0)),
            Err(error) => assert!(error.is::<Trap>() && round % 2 == 1),
        }
    }
}

const NESTED: &str = r#"
    (module $outside
      (func (export "run") (call $middle))
      (func $middle (call $inner) (call $inner))
      (func $inner (call_indirect (i32.const 0)))
      (table funcref (elem $_ZN5crate4stop17h0123456789abcdefE))
      (func $_ZN5crate4stop17h0123456789abcdefE unreachable))"#;

#[test]
fn a_backtrace_names_functions_and_places() {
    let (mut store, instance) = instantiate(NESTED);
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .expect("exported");
    let error = run.call(&mut store, ()).expect_err("it traps");
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .expect("it has one")
        .frames();
    let indexes: Vec<u32> = frames.iter().map(|frame| frame.func_index()).collect();
    assert_eq!(indexes, [3, 2, 1, 0]);
    assert_eq!(frames[0].func_name(), Some("_ZN5crate4stop17h0123456789abcdefE"));
    assert_eq!(frames[3].func_name(), None, "an export name is no name");
    let binary = wat::parse_str(NESTED).expect("it is text");
    let at = frames[0].module_offset().expect("it is known");
    assert_eq!(binary[at], 0x00, "`unreachable`");
    assert_eq!(frames[0].func_offset(), Some(1), "after the empty list of locals");
    let call = frames[2].module_offset().expect("it is known");
    assert_eq!(&binary[call..call + 2], [0x10, 2], "the first `call $inner`");

    let text = format!("{error:?}");
    for part in [
        "wasm backtrace",
        "outside!crate::stop\n",
        "outside!middle",
        "wasm trap: wasm `unreachable`",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

const INLINED: &str = r#"
    (module
      (import "" "host" (func $host))
      (func $run (export "run") (param i32) (result i32)
        (drop (call $half (i32.const 1)))
        (call $half (local.get 0)))
      (func $half (param i32) (result i32)
        (call $tell)
        (call $divide (i32.const 100) (local.get 0)))
      (func $divide (param i32 i32) (result i32)
        (i32.div_u (local.get 0) (local.get 1)))
      (func $tell (call $host)))"#;

/// Function, and what stands at its place in the binary.
fn places(frames: &WasmBacktrace, binary: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let place = |frame: &cellwall::FrameInfo| {
        let at = frame.module_offset().expect("it is known");
        (frame.func_index(), binary[at..at + 2].to_vec())
    };
    frames.frames().iter().map(place).collect()
}

#[test]
fn a_backtrace_shows_functions_that_were_inlined() {
    let binary = wat::parse_str(INLINED).expect("it is text");
    let engine = Engine::default();
    let assembly = explain(&engine, &binary, 1, Stage::Asm).expect("valid");
    assert!(
        !assembly.contains("function "),
        "no function is called:\n{assembly}"
    );
    let module = Module::new(&engine, &binary).expect("valid");
    let packed = module.serialize().expect("it can be packed");
    for module in [
        module,
        Module::deserialize(&engine, packed).expect("it is our own"),
    ] {
        let mut store = Store::new(&engine, Vec::new());
        let host = Func::wrap(&mut store, |mut caller: Caller<'_, Vec<WasmBacktrace>>| {
            let seen = WasmBacktrace::capture(&caller);
            caller.data_mut().push(seen);
        });
        let instance = Instance::new(&mut store, &module, &[host.into()]).expect("it fits");
        let run = instance
            .get_typed_func::<i32, i32>(&mut store, "run")
            .expect("exported");
        assert_eq!(run.call(&mut store, 5).expect("no division by zero"), 20);
        let (call, division) = (|func| vec![0x10, func], vec![0x6e, 0x0b]);
        let expected = [(4, call(0)), (2, call(4)), (1, call(2))];
        let seen = store.data();
        assert_eq!(places(&seen[0], &binary), expected);
        assert_eq!(places(&seen[1], &binary), expected);
        let outermost = |seen: &WasmBacktrace| seen.frames()[2].module_offset();
        assert!(
            outermost(&seen[0]) < outermost(&seen[1]),
            "two calls of one function"
        );

        let error = run.call(&mut store, 0).expect_err("a division by zero");
        let trace = error.downcast_ref::<WasmBacktrace>().expect("it has one");
        let expected = [(3, division), (2, call(3)), (1, call(2))];
        assert_eq!(places(trace, &binary), expected);
    }
}

#[test]
fn backtraces_can_be_turned_off() {
    let engine = Engine::new(Config::new().wasm_backtrace(false)).expect("supported");
    let module = Module::new(&engine, NESTED).expect("valid");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("it needs nothing");
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .expect("exported");
    let error = run.call(&mut store, ()).expect_err("it traps");
    assert!(error.is::<Trap>() && !error.is::<WasmBacktrace>());
}

#[test]
fn start_functions_and_segments_trap_at_instantiation() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    for (wat, trap) in [
        (
            "(module (func $s unreachable) (start $s))",
            Trap::UnreachableCodeReached,
        ),
        (
            r#"(module (memory 1) (data (i32.const 65534) "abc"))"#,
            Trap::MemoryOutOfBounds,
        ),
        (
            "(module (table 1 funcref) (func $f) (elem (i32.const 1) $f))",
            Trap::TableOutOfBounds,
        ),
    ] {
        let module = Module::new(&engine, wat).expect("valid");
        let error = Instance::new(&mut store, &module, &[]).expect_err("it traps");
        assert_eq!(error.downcast_ref::<Trap>(), Some(&trap), "{wat}");
    }
    let module = Module::new(&engine, "(module (func $s) (start $s))").expect("valid");
    assert!(Instance::new(&mut store, &module, &[]).is_ok());
}

/// A name with line ends would forge frames.
#[test]
fn names_stay_on_their_line() {
    let (mut store, instance) = crate::instantiate(
        r#"(module (@name "mod\0aule") (func (@name "f\0a    7:   0x10 - forged!main\e2\80\ae") (export "f") unreachable))"#,
    );
    let f = instance
        .get_typed_func::<(), ()>(&mut store, "f")
        .expect("exported");
    let error = f.call(&mut store, ()).expect_err("it traps");
    let backtrace = error
        .downcast_ref::<cellwall::WasmBacktrace>()
        .expect("it has a backtrace")
        .to_string();
    assert_eq!(backtrace.lines().count(), 2, "{backtrace}");
    assert!(
        backtrace.ends_with(r"mod\u{a}ule!f\u{a}    7:   0x10 - forged!main\u{202e}"),
        "{backtrace}"
    );
    let frames = error
        .downcast_ref::<cellwall::WasmBacktrace>()
        .expect("as above")
        .frames();
    assert!(
        frames[0].func_name().expect("it has one").contains('\n'),
        "as it is in the module"
    );
}

/// Two instances of one module and one of another, which call one another: each frame knows whose it is.
#[test]
fn frames_know_their_instances() {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"(module (import "" "next" (func $next)) (memory 1)
             (func (export "go") (call $next) (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))"#,
    );
    let module = module.expect("valid");
    let end = r#"(module (import "" "host" (func $host)) (memory 1)
        (func (export "trap") unreachable)
        (func (export "fill") (memory.fill (i32.const -1) (i32.const 0) (i32.const 2)))
        (func (export "host") (call $host)))"#;
    let end = Module::new(&engine, end).expect("valid");
    for name in ["trap", "fill", "host"] {
        let mut store = Store::new(&engine, ());
        let host = Func::wrap(&mut store, || -> cellwall::Result<()> { cellwall::bail!("no") });
        let last = Instance::new(&mut store, &end, &[host.into()]).expect("it links");
        // Another one of the same module, so that the code alone does not say it.
        Instance::new(&mut store, &end, &[host.into()]).expect("it links");
        let func = last.get_func(&mut store, name).expect("exported");
        let middle = Instance::new(&mut store, &module, &[func.into()]).expect("it links");
        let func = middle.get_func(&mut store, "go").expect("exported");
        let first = Instance::new(&mut store, &module, &[func.into()]).expect("it links");
        let go = first
            .get_typed_func::<(), ()>(&mut store, "go")
            .expect("exported");
        let error = go.call(&mut store, ()).expect_err("it traps");
        let frames = error
            .downcast_ref::<WasmBacktrace>()
            .expect("it has one")
            .frames();
        let instances: Vec<_> = frames.iter().map(|frame| frame.instance()).collect();
        assert_eq!(instances, [Some(last), Some(middle), Some(first)], "{name}");
    }
}
