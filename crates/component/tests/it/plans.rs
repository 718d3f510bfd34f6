//! What is planned, and what is refused.

use cellwall_component::{Builtin, CoreInstance, Item, Plan, Step, Trampoline, limits, plan};

fn planned(text: &str) -> Plan {
    let bytes = wat::parse_str(text).expect("the text is well-formed");
    plan(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn refused(text: &str) -> String {
    let bytes = wat::parse_str(text).expect("the text is well-formed");
    plan(&bytes).map(|_| ()).expect_err("it is refused").to_string()
}

#[test]
fn instances_are_made_in_order_with_what_they_import() {
    let plan = planned(
        r#"(component
          (core module $a (func (export "f")))
          (core module $b (import "x" "g" (func)) (func (export "h")))
          (core instance $a (instantiate $a))
          (core instance $b (instantiate $b (with "x" (instance (export "g" (func $a "f"))))))
          (func (export "h") (canon lift (core func $b "h"))))"#,
    );
    assert_eq!((plan.modules.len(), plan.core_instances), (2, 2));
    let Step::Instantiate { args, .. } = &plan.steps[1] else {
        panic!("the second step is an instance");
    };
    assert_eq!(*args, [("x".into(), CoreInstance::Bag(0))]);
    assert!(matches!(plan.exports.get("h"), Some(Item::Func(..))));
}

#[test]
fn each_instance_of_a_component_has_its_own_resources() {
    let twice = r#"(component
      (component $c (type $r' (resource (rep i32))) (export $r "r" (type $r')))
      (instance (instantiate $c))
      (instance (instantiate $c)))"#;
    assert_eq!(planned(twice).resources.len(), 2);
    let never = r#"(component (component $c (type $r' (resource (rep i32))) (export $r "r" (type $r'))))"#;
    assert_eq!(planned(never).resources.len(), 0);
}

#[test]
fn outer_aliases_reach_what_is_defined_around() {
    let plan = planned(
        r#"(component
          (core module $m (func (export "f")))
          (component $c
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
          (instance $one (instantiate $c))
          (instance $two (instantiate $c))
          (export "f" (func $one "f"))
          (export "g" (func $two "f")))"#,
    );
    assert_eq!((plan.modules.len(), plan.core_instances), (1, 2));
}

/// A component of a few lines can ask for any number of instances.
#[test]
fn instances_that_multiply_are_refused() {
    let doubled = |levels: usize| {
        let mut text = "(component (component $c0)".to_owned();
        for level in 1..=levels {
            let inner = level - 1;
            text += &format!(
                "(component $c{level} (instance (instantiate $c{inner}))(instance (instantiate $c{inner})))"
            );
        }
        text + &format!("(instance (instantiate $c{levels})))")
    };
    assert!(planned(&doubled(8)).parents.len() > 256);
    assert!(refused(&doubled(30)).contains(&limits::INSTANCES_MAX.to_string()));
}

#[test]
fn what_nests_too_deep_is_refused() {
    let nested = |levels: usize| format!("{}{}", "(component ".repeat(levels), ")".repeat(levels));
    planned(&nested(limits::NESTING_MAX));
    assert!(refused(&nested(limits::NESTING_MAX + 1)).contains("nest deeper"));
}

#[test]
fn what_is_no_component_is_refused() {
    assert!(refused("(module)").contains("not a component"));
    assert!(plan(b"").is_err());
    let component = wat::parse_str("(component (core module))").expect("it is well-formed");
    for end in 0..component.len() {
        let cut = plan(&component[..end]);
        // Cut between sections it is a smaller component.
        assert!(cut.is_err() || end >= 8, "{end} bytes");
    }
}

/// A component may have functions that would be called asynchronously; who calls one is told.
#[test]
fn asynchronous_functions_may_be_mentioned() {
    let plan = planned(
        r#"(component
          (import "host" (func $host async (param "a" u64) (param "s" string) (result string)))
          (core module $libc (memory (export "m") 1)
            (func (export "r") (param i32 i32 i32 i32) (result i32) unreachable))
          (core instance $libc (instantiate $libc))
          (core func $host' (canon lower (func $host) async
            (memory (core memory $libc "m")) (realloc (core func $libc "r"))))
          (core module $m
            (import "" "host" (func (param i64 i32 i32 i32) (result i32)))
            (func (export "f")))
          (core instance $i (instantiate $m (with "" (instance (export "host" (func $host'))))))
          (func (export "f") async (canon lift (core func $i "f") async))
          (func (export "g") (canon lift (core func $i "f"))))"#,
    );
    assert!(matches!(plan.exports.get("f"), Some(Item::Func(..))));
    let missing = plan.trampolines.iter().filter_map(|trampoline| match trampoline {
        Trampoline::Builtin {
            builtin: Builtin::Missing(name, params, results),
            ..
        } => Some((*name, params.len(), results.len())),
        _ => None,
    });
    let missing: Vec<_> = missing.collect();
    assert_eq!(missing, [("canon lower async", 4, 1)]);
    assert!(plan.lifts[0].options.is_async && !plan.lifts[1].options.is_async);

    let reason = refused(
        r#"(component
          (import "host" (func $host async (param "a" (stream u8))))
          (core func (canon lower (func $host))))"#,
    );
    assert!(reason.contains("a type of asynchronous functions"), "{reason}");
}

/// A byte that an earlier draft had, and its neighbour that no draft had.
#[test]
fn a_byte_of_an_earlier_draft_is_read() {
    let bytes = wat::parse_str("(component (core func (canon thread.yield)))").expect("it is well-formed");
    let at = bytes
        .windows(2)
        .rposition(|pair| pair == [0x0c, 0])
        .expect("the opcode, and the byte");
    for (byte, is_read) in [(0, true), (1, true), (2, false)] {
        let mut bytes = bytes.clone();
        bytes[at + 1] = byte;
        assert_eq!(plan(&bytes).is_ok(), is_read, "{byte}");
    }
}

#[test]
fn names_that_differ_in_hyphens_alone_are_told_apart() {
    // As an earlier draft of the names had it, also where they are used.
    let apart = r#"(component
      (type $t (component (import "x1" (func)) (import "x-1" (func))))
      (component $c
        (import "a1" (func $one)) (import "a-1" (func $two)) (import "B-1" (func)) (import "B1" (func))
        (export "c1" (func $one)) (export "c-1" (func $two)))
      (core module $m (func (export "a-1")))
      (core instance $m (instantiate $m))
      (func $f (canon lift (core func $m "a-1")))
      (instance $i (instantiate $c
        (with "a1" (func $f)) (with "a-1" (func $f)) (with "B1" (func $f)) (with "B-1" (func $f))))
      (export "c-1" (func $i "c-1")))"#;
    let plan = planned(apart);
    assert!(matches!(plan.exports.get("c-1"), Some(Item::Func(..))));
    // Its neighbours: names that are equal, names that differ in case alone, and another mistake behind them.
    for (second, message) in [
        ("a-1", "import name `a-1` conflicts with previous name `a-1`"),
        ("A-1", "import name `A-1` conflicts with previous name `a-1`"),
    ] {
        let text = format!(r#"(component (import "a-1" (func)) (import "{second}" (func)))"#);
        assert!(refused(&text).contains(message), "{}", refused(&text));
    }
    let wrong = r#"(component (import "a1" (func)) (import "a-1" (func)) (export "b" (func 2)))"#;
    assert!(
        refused(wrong).contains("conflicts with previous name"),
        "{}",
        refused(wrong)
    );
    let many: String = (0..40)
        .map(|n| format!(r#"(import "n{n}" (func)) (import "n-{n}" (func))"#))
        .collect();
    assert!(refused(&format!("(component {many})")).contains("conflicts with previous name"));
}
