//! Exceptions from outside: across instances and host functions, as values of the host, and for ever.

use cellwall::{
    Caller, Engine, ExnRef, ExnRefPre, ExnType, Extern, Func, FuncType, Instance, Linker, Module, Store, Tag,
    TagType, ThrownException, Trap, Val, ValType, WasmBacktrace,
};

fn module(engine: &Engine, text: &str) -> Module {
    Module::new(engine, text).unwrap_or_else(|error| panic!("{error:?}"))
}

fn instance(text: &str) -> (Store<()>, Instance) {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module(&engine, text), &[]).expect("it has no imports");
    (store, instance)
}

fn call(store: &mut Store<()>, instance: Instance, name: &str, arg: i32) -> cellwall::Result<i32> {
    let func = instance.get_typed_func::<i32, i32>(&mut *store, name)?;
    func.call(&mut *store, arg)
}

#[test]
fn values_of_every_type_arrive_in_order() {
    let (mut store, it) = instance(
        r#"(module
          (tag $e (param i32 f32 i64 f64 i32 i32 i32 f32 f64 f32 i64 f64))
          (func $thrower (param i32)
            (throw $e (local.get 0) (f32.const 1.5) (i64.const 2) (f64.const 3) (i32.const 4) (i32.const 5)
              (i32.const 6) (f32.const 7) (f64.const 8) (f32.const 9) (i64.const 10) (f64.const 11)))
          (func (export "f") (param i32) (result i32 f32 i64 f64 i32 i32 i32 f32 f64 f32 i64 f64)
            (try_table (catch $e 0) (call $thrower (local.get 0)))
            unreachable))"#,
    );
    let func = it.get_func(&mut store, "f").expect("it is exported");
    let mut results = vec![Val::I32(0); 12];
    func.call(&mut store, &[Val::I32(-1)], &mut results)
        .expect("it is caught");
    let text: Vec<String> = results
        .iter()
        .map(|value| match value {
            Val::I32(v) => v.to_string(),
            Val::I64(v) => v.to_string(),
            Val::F32(v) => f32::from_bits(*v).to_string(),
            Val::F64(v) => f64::from_bits(*v).to_string(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(text.join(" "), "-1 1.5 2 3 4 5 6 7 8 9 10 11");
}

/// What is alive in a landing pad is what it was at the call that threw, in loops too, and what is
/// alive around the whole is as it was: in the caller's callee-saved registers as well.
#[test]
fn locals_are_what_they_were_at_the_throw() {
    let (mut store, it) = instance(
        r#"(module
          (tag $e (param i32))
          (table 1 funcref) (elem (i32.const 0) $maybe)
          (type $t (func (param i32) (result i32)))
          (func $maybe (param i32) (result i32)
            (if (i32.eq (i32.rem_u (local.get 0) (i32.const 3)) (i32.const 2))
              (then (throw $e (i32.mul (local.get 0) (i32.const 10)))))
            (local.get 0))
          (func $sum (param $n i32) (result i32)
            (local $i i32) (local $sum i32) (local $last i32)
            (loop $next
              (block $done
                (block $caught (result i32)
                  (try_table (catch $e $caught)
                    (local.set $last (local.get $i))
                    (local.set $sum (i32.add (local.get $sum) (call $maybe (local.get $i))))
                    (local.set $last (i32.const -1000000))
                    (local.set $sum
                      (i32.add (local.get $sum)
                        (call_indirect (type $t) (i32.add (local.get $i) (i32.const 1)) (i32.const 0))))
                    (local.set $last (i32.const 0)))
                  (br $done))
                (local.set $sum (i32.add (local.get $sum) (local.get $last)))
                (local.set $sum (i32.add (local.get $sum))))
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $sum))
          (func (export "f") (param i32) (result i32)
            (local $a i32) (local $b i32) (local $c i32) (local $d i32)
            (local.set $a (i32.mul (local.get 0) (i32.const 3)))
            (local.set $b (i32.mul (local.get 0) (i32.const 5)))
            (local.set $c (i32.mul (local.get 0) (i32.const 7)))
            (local.set $d (i32.mul (local.get 0) (i32.const 11)))
            (i32.add (call $sum (local.get 0))
              (i32.xor (i32.xor (local.get $a) (local.get $b)) (i32.xor (local.get $c) (local.get $d))))))"#,
    );
    let expected = |n: i32| {
        let maybe = |x: i32| if x % 3 == 2 { Err(x * 10) } else { Ok(x) };
        let (mut sum, mut i) = (0i32, 0);
        loop {
            let caught = |sum: i32, last: i32, value: i32| sum + last + value;
            sum = match maybe(i) {
                Err(value) => caught(sum, i, value),
                Ok(x) => match maybe(i + 1) {
                    Err(value) => caught(sum + x, -1_000_000, value),
                    Ok(y) => sum + x + y,
                },
            };
            i += 1;
            if i >= n {
                break sum + ((n * 3) ^ (n * 5) ^ (n * 7) ^ (n * 11));
            }
        }
    };
    for n in [1, 2, 3, 4, 10, 100] {
        assert_eq!(
            call(&mut store, it, "f", n).expect("all is caught"),
            expected(n),
            "{n}"
        );
    }
}

/// Three instances: the exception goes through one that does not know its tag.
#[test]
fn an_exception_goes_through_instances() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let texts = [
        (
            "a",
            r#"(module (tag $e (export "e") (param i32)) (memory (export "m") 1)
            (func (export "f") (param i32) (result i32) (throw $e (local.get 0))))"#,
        ),
        (
            "b",
            r#"(module (import "a" "f" (func $f (param i32) (result i32))) (tag $other (param i32)) (memory 2)
            (func (export "f") (param i32) (result i32)
              (block $h (result i32)
                (try_table (result i32) (catch $other $h) (call $f (i32.add (local.get 0) (i32.const 1)))))))"#,
        ),
        (
            "c",
            r#"(module (import "b" "f" (func $f (param i32) (result i32))) (import "a" "e" (tag $e (param i32)))
            (memory 1) (data (i32.const 8) "*")
            (func (export "f") (param i32) (result i32)
              (block $h (result i32)
                (try_table (result i32) (catch $e $h) (call $f (local.get 0))))
              (i32.add (i32.load8_u (i32.const 8)))))"#,
        ),
    ];
    for (name, text) in texts {
        let instance = linker
            .instantiate(&mut store, &module(&engine, text))
            .expect("it links");
        linker.instance(&mut store, name, instance).expect("names differ");
        if name == "c" {
            assert_eq!(call(&mut store, instance, "f", 7).expect("it is caught"), 8 + 42);
        }
        if name == "b" {
            let error = call(&mut store, instance, "f", 7).expect_err("nobody catches it");
            assert!(error.is::<ThrownException>(), "{error:?}");
            let frames = error
                .downcast_ref::<WasmBacktrace>()
                .expect("it has one")
                .frames()
                .len();
            assert_eq!(frames, 2, "{error:?}");
            assert_eq!(error.root_cause().to_string(), "thrown Wasm exception");
        }
    }
}

const THROUGH_HOST: &str = r#"(module
  (import "host" "call" (func $host (param i32) (result i32)))
  (import "host" "tag" (tag $e (param i32)))
  (func (export "throw") (param i32) (result i32) (throw $e (local.get 0)))
  (func (export "f") (param i32) (result i32)
    (block $h (result i32)
      (try_table (result i32) (catch $e $h) (call $host (local.get 0)))
      (return (i32.add (i32.const 1000))))))"#;

/// The host sees an exception of a guest that it called, and hands it on, handles it, throws another
/// one, or fails otherwise.
#[test]
fn an_exception_crosses_the_host_as_a_value() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let ty = TagType::new(FuncType::new(&engine, [ValType::I32], []));
    let tag = Tag::new(&mut store, &ty).expect("it has no results");
    let host = Func::wrap(
        &mut store,
        move |mut caller: Caller<'_, ()>, arg: i32| -> cellwall::Result<i32> {
            let throw = caller
                .get_export("throw")
                .and_then(Extern::into_func)
                .expect("it is exported");
            let throw = throw.typed::<i32, i32>(&caller)?;
            let error = throw.call(&mut caller, arg).expect_err("it throws");
            assert!(error.is::<ThrownException>(), "{error:?}");
            let mut store = cellwall::AsContextMut::as_context_mut(&mut caller);
            match arg {
                0 => Err(error),
                1 => Err(error.context("on its way")),
                2 => Ok(5),
                3 => {
                    let exception = store.take_pending_exception().expect("it is pending");
                    assert!(!store.has_pending_exception());
                    assert_eq!(exception.field(&mut store, 0)?.unwrap_i32(), 3);
                    let same = exception.tag(&mut store)?.ty(&store);
                    let pre = ExnRefPre::new(&mut store, ExnType::from_tag_type(&same)?);
                    let other = ExnRef::new(&mut store, &pre, &tag, &[Val::I32(33)])?;
                    store.throw(other)?
                }
                4 => Err(Trap::UnreachableCodeReached.into()),
                _ => {
                    store.take_pending_exception();
                    Err(error)
                }
            }
        },
    );
    let imports = [host.into(), tag.into()];
    let it = Instance::new(&mut store, &module(&engine, THROUGH_HOST), &imports).expect("it links");
    assert_eq!(call(&mut store, it, "f", 0).expect("it is caught"), 0);
    assert_eq!(call(&mut store, it, "f", 1).expect("it is caught"), 1);
    assert_eq!(call(&mut store, it, "f", 2).expect("it returned"), 1005);
    assert_eq!(call(&mut store, it, "f", 3).expect("it is caught"), 33);
    let error = call(&mut store, it, "f", 4).expect_err("guests catch no traps");
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    // Nothing is pending any more: an error like any other.
    let error = call(&mut store, it, "f", 9).expect_err("there is nothing to catch");
    assert!(error.is::<ThrownException>());
    assert_eq!(call(&mut store, it, "f", 0).expect("it is caught"), 0);
}

#[test]
fn a_tag_is_known_by_itself_and_not_by_its_type() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let text = r#"(module (tag (export "a") (param i32)) (tag (export "b") (param i32)))"#;
    let it = Instance::new(&mut store, &module(&engine, text), &[]).expect("it has no imports");
    let [a, b] = ["a", "b"].map(|name| it.get_tag(&mut store, name).expect("it is exported"));
    assert!(Tag::eq(&a, &a, &store) && !Tag::eq(&a, &b, &store));
    assert_eq!(a.ty(&store), b.ty(&store));
    assert_eq!(a.ty(&store).to_string(), "(tag (param i32))");
    let import = module(&engine, r#"(module (import "" "" (tag (param i64))))"#);
    let error = Instance::new(&mut store, &import, &[a.into()]).expect_err("another type");
    assert!(format!("{error:#}").contains("types incompatible"), "{error:#}");
    let ty = TagType::new(FuncType::new(&engine, [], [ValType::I32]));
    assert!(Tag::new(&mut store, &ty).is_err());
}

/// References: in globals, tables, locals and other exceptions; what is dropped is nobody's.
const REFERENCES: &str = r#"(module
  (tag $e (param i32))
  (tag $outer (param exnref))
  (global $kept (mut exnref) (ref.null exn))
  (table $t 4 exnref)
  (func $value (param exnref) (result i32)
    (block $h (result i32)
      (try_table (catch $e $h) (throw_ref (local.get 0)))
      unreachable))
  (func $fresh (param i32) (result exnref) (local $r exnref)
    (block $h (result exnref)
      (try_table (catch_all_ref $h) (throw $e (local.get 0)))
      unreachable))
  (func (export "keep") (param $n i32) (result i32) (local $i i32) (local $mine exnref) (local $boxed exnref)
    (global.set $kept (call $fresh (i32.const 1)))
    (table.set $t (i32.const 3) (call $fresh (i32.const 20)))
    (local.set $mine (call $fresh (i32.const 300)))
    (local.set $boxed
      (block $h (result exnref)
        (try_table (catch_all_ref $h) (throw $outer (call $fresh (i32.const 4000))))
        unreachable))
    (loop $next
      (drop (call $fresh (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
    (i32.add
      (i32.add (call $value (global.get $kept)) (call $value (table.get $t (i32.const 3))))
      (i32.add (call $value (local.get $mine))
        (call $value
          (block $h (result exnref)
            (try_table (catch $outer $h) (throw_ref (local.get $boxed)))
            unreachable)))))
  (func (export "null") (param i32) (result i32) (throw_ref (ref.null exn))))"#;

#[test]
fn references_keep_what_they_name_while_others_are_dropped() {
    let (mut store, it) = instance(REFERENCES);
    // More than a store can hold at a time.
    for n in [1, 5000, 2_000_000] {
        assert_eq!(
            call(&mut store, it, "keep", n).expect("all is caught"),
            4321,
            "{n}"
        );
    }
    let error = call(&mut store, it, "null", 0).expect_err("it is null");
    assert_eq!(error.downcast_ref(), Some(&Trap::NullReference));
}

/// A throw needs no stack of the guest; the end of the stack is a trap, which nobody catches.
#[test]
fn throws_from_deep_down_and_the_end_of_the_stack() {
    let (mut store, it) = instance(
        r#"(module (tag $e (param i32))
          (func $deep (export "deep") (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (throw $e (i32.const 77))))
            (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
          (func (export "catch") (param i32) (result i32)
            (block $all
              (block $h (result i32)
                (try_table (catch $e $h) (catch_all $all) (return (call $deep (local.get 0))))
                unreachable)
              (return))
            (i32.const -1)))"#,
    );
    for depth in [0, 1, 10, 1000] {
        assert_eq!(call(&mut store, it, "catch", depth).expect("it is caught"), 77);
    }
    let error = call(&mut store, it, "catch", i32::MAX).expect_err("the stack ends");
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    assert_eq!(call(&mut store, it, "catch", 3).expect("it is caught"), 77);
}

/// The older encoding means the same, `delegate` and `rethrow` included.
#[test]
fn the_older_encoding_is_run() {
    let (mut store, it) = instance(
        r#"(module (tag $e (param i32)) (tag $other)
          (func $throw (param i32)
            (if (i32.eqz (local.get 0)) (then (throw $other)))
            (throw $e (local.get 0)))
          (func (export "f") (param i32) (result i32)
            try (result i32)
              try (result i32)
                try (result i32)
                  local.get 0
                  call $throw
                  i32.const 1
                delegate 1
              catch_all
                i32.const 2
              end
            catch $e
              i32.const 100
              i32.add
            catch_all
              i32.const 3
            end)
          (func (export "g") (param i32) (result i32)
            try (result i32)
              try (result i32)
                local.get 0
                call $throw
                i32.const 1
              catch $e
                drop
                rethrow 0
              end
            catch $e
            catch_all
              i32.const 4
            end))"#,
    );
    assert_eq!(call(&mut store, it, "f", 7).expect("it is caught"), 107);
    assert_eq!(call(&mut store, it, "f", 0).expect("it is caught"), 3);
    assert_eq!(call(&mut store, it, "g", 7).expect("it is caught"), 7);
    assert_eq!(call(&mut store, it, "g", 0).expect("it is caught"), 4);
}
