//! Exports as calls: what is borrowed is not copied before, resources of the guest are handles.

use cellwall::component::{Component, Linker};
use cellwall::{Engine, Result, Store};

mod bindings {
    cellwall::component::bindgen!({
        inline: r#"
            package test:talk;

            world talk {
                export greet: func(name: string, times: option<u32>) -> list<string>;
                export shop: interface {
                    record item { name: string, price: u32 }
                    total: func(items: list<item>) -> u32;
                    best: func(of: item) -> item;
                    resource basket {
                        constructor(count: u32);
                        count: func() -> u32;
                        sum: static func(a: basket, b: basket) -> u32;
                    }
                }
            }
        "#,
    });
}

use bindings::exports::shop::Item;

const GUEST: &str = r#"(component
  (component $C
    (type $item' (record (field "name" string) (field "price" u32)))
    (export $item "item" (type $item'))
    (type $basket' (resource (rep i32)))
    (export $basket "basket" (type $basket'))
    (core func $new (canon resource.new $basket'))
    (core func $rep (canon resource.rep $basket'))
    (core func $drop (canon resource.drop $basket'))
    (core module $m
      (import "" "new" (func $new (param i32) (result i32)))
      (import "" "rep" (func $rep (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (memory (export "memory") 1)
      (global $next (mut i32) (i32.const 4096))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))
      ;; A list of the name alone.
      (func (export "greet") (param i32 i32 i32 i32) (result i32)
        (i32.store (i32.const 64) (local.get 0))
        (i32.store (i32.const 68) (i32.add (local.get 1) (i32.const 0)))
        (i32.store (i32.const 72) (local.get 0))
        (i32.store (i32.const 76) (local.get 1))
        (i32.store (i32.const 32) (i32.const 64))
        (i32.store (i32.const 36) (select (local.get 3) (i32.const 0) (local.get 2)))
        (i32.const 32))
      (func (export "total") (param $at i32) (param $count i32) (result i32)
        (local $sum i32)
        (block $done
          (loop $next
            (br_if $done (i32.eqz (local.get $count)))
            (local.set $sum (i32.add (local.get $sum) (i32.load offset=8 (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 12)))
            (local.set $count (i32.sub (local.get $count) (i32.const 1)))
            (br $next)))
        (local.get $sum))
      (func (export "best") (param i32 i32 i32) (result i32)
        (i32.store (i32.const 96) (local.get 0))
        (i32.store (i32.const 100) (local.get 1))
        (i32.store (i32.const 104) (i32.add (local.get 2) (i32.const 1)))
        (i32.const 96))
      (func (export "constructor") (param i32) (result i32) (call $new (local.get 0)))
      (func (export "count") (param i32) (result i32) (local.get 0))
      (func (export "sum") (param i32 i32) (result i32)
        (i32.add (call $rep (local.get 0)) (call $rep (local.get 1)))
        (call $drop (local.get 0))
        (call $drop (local.get 1))))
    (core instance $m (instantiate $m (with "" (instance
      (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))))
    (alias core export $m "memory" (core memory $memory))
    (alias core export $m "realloc" (core func $realloc))
    (func (export "greet") (param "name" string) (param "times" (option u32)) (result (list string))
      (canon lift (core func $m "greet") (memory $memory) (realloc $realloc)))
    (func (export "total") (param "items" (list $item)) (result u32)
      (canon lift (core func $m "total") (memory $memory) (realloc $realloc)))
    (func (export "best") (param "of" $item) (result $item)
      (canon lift (core func $m "best") (memory $memory) (realloc $realloc)))
    (func (export "[constructor]basket") (param "count" u32) (result (own $basket))
      (canon lift (core func $m "constructor")))
    (func (export "[method]basket.count") (param "self" (borrow $basket)) (result u32)
      (canon lift (core func $m "count")))
    (func (export "[static]basket.sum") (param "a" (own $basket)) (param "b" (own $basket)) (result u32)
      (canon lift (core func $m "sum"))))
  (instance $shop (instantiate $C))
  (export "shop" (instance $shop))
  (alias export $shop "greet" (func $greet))
  (export "greet" (func $greet)))"#;

fn talk() -> Result<(Store<()>, bindings::Talk)> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut store = Store::new(&engine, ());
    let pre = bindings::TalkPre::new(Linker::new(&engine).instantiate_pre(&component)?)?;
    let talk = pre.instantiate(&mut store)?;
    Ok((store, talk))
}

#[test]
fn values_are_borrowed_where_they_are_given() -> Result<()> {
    let (mut store, talk) = talk()?;
    // It need not live longer than the call.
    let name = String::from("Ada");
    assert_eq!(talk.call_greet(&mut store, &name, Some(2))?, ["Ada", "Ada"]);
    assert!(talk.call_greet(&mut store, "Bob", None)?.is_empty());
    let items = [("a", 3), ("b", 4)].map(|(name, price)| Item {
        name: name.into(),
        price,
    });
    assert_eq!(talk.shop().call_total(&mut store, &items)?, 7);
    let best = talk.shop().call_best(&mut store, &items[1])?;
    assert_eq!((best.name.as_str(), best.price), ("b", 5));
    Ok(())
}

#[test]
fn resources_of_the_guest_are_handles() -> Result<()> {
    let (mut store, talk) = talk()?;
    let basket = talk.shop().basket();
    let a = basket.call_constructor(&mut store, 40)?;
    let b = basket.call_constructor(&mut store, 2)?;
    assert_eq!(basket.call_count(&mut store, a)?, 40);
    assert!(basket.call_constructor(&mut store, 1)?.owned());
    assert_eq!(basket.call_sum(&mut store, a, b)?, 42);
    assert!(basket.call_count(&mut store, a).is_err(), "it was given away");
    Ok(())
}
