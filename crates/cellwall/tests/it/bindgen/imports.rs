//! Imports of every kind of type, as traits that a store's data implements.

use cellwall::component::{Component, HasSelf, Linker, Resource};
use cellwall::{Engine, Result, Store, bail};

/// What stands for `shop.basket`.
pub(crate) struct Basket {
    goods: Vec<things::Good>,
}

/// The host's own error.
#[derive(Debug)]
pub(crate) enum Refusal {
    SoldOut,
    Broken,
}

mod bindings {
    cellwall::component::bindgen!({
        inline: r#"
            package test:shop@1.2.0;

            interface things {
                flags marks { fresh, on-sale, %type }
                enum unit { piece, gram }
                record good { name: string, %type: unit, price: u32, marks: marks }
                variant failure { sold-out, other(string) }
                type goods = list<good>;
            }

            interface shop {
                use things.{good, goods, failure};

                resource basket {
                    constructor(limit: u32);
                    put: func(good: good) -> result<u32, failure>;
                    goods: func() -> goods;
                    merge: static func(a: basket, b: borrow<basket>) -> basket;
                }
                cheapest: func(of: goods) -> option<good>;
                pair: func(x: tuple<u8, s64>, y: result<_, char>) -> tuple<f32, bool>;
                nothing: func();
            }

            world shopping {
                use things.{unit};
                import shop;
                import count: func(unit: unit, x: list<u16>) -> u64;
                export does: interface {
                    full: func() -> u32;
                    merge: func() -> u32;
                    broken: func() -> u32;
                    nothing: func() -> u32;
                    cheapest: func() -> u32;
                    pair: func() -> u32;
                    count: func() -> u32;
                }
            }
        "#,
        with: { "test:shop/shop.basket": super::Basket },
        trappable_error_type: { "test:shop/things.failure" => super::Refusal },
        imports: { "test:shop/shop.nothing": trappable },
    });
}

use bindings::test::shop::{shop, things};

#[derive(Default)]
struct Host {
    baskets: cellwall::component::ResourceTable,
    dropped: u32,
}

impl things::Host for Host {
    fn convert_failure(&mut self, err: Refusal) -> Result<things::Failure> {
        match err {
            Refusal::SoldOut => Ok(things::Failure::SoldOut),
            Refusal::Broken => bail!("the shop is broken"),
        }
    }
}

impl shop::Host for Host {
    fn cheapest(&mut self, of: Vec<things::Good>) -> Option<things::Good> {
        of.into_iter().min_by_key(|good| good.price)
    }

    fn pair(&mut self, x: (u8, i64), y: Result<(), char>) -> (f32, bool) {
        (f32::from(x.0) + x.1 as f32, y == Err('x'))
    }

    fn nothing(&mut self) -> Result<()> {
        bail!("nothing is a trap")
    }
}

impl shop::HostBasket for Host {
    fn new(&mut self, limit: u32) -> Resource<Basket> {
        let goods = Vec::with_capacity(limit as usize);
        self.baskets.push(Basket { goods }).expect("there is room")
    }

    fn put(&mut self, self_: Resource<Basket>, good: things::Good) -> Result<u32, Refusal> {
        if good.name == "broken" {
            return Err(Refusal::Broken);
        }
        let basket = self.baskets.get_mut(&self_).map_err(|_| Refusal::SoldOut)?;
        if basket.goods.len() == basket.goods.capacity() {
            return Err(Refusal::SoldOut);
        }
        basket.goods.push(good);
        Ok(basket.goods.len() as u32)
    }

    fn goods(&mut self, self_: Resource<Basket>) -> Vec<things::Good> {
        self.baskets.get(&self_).expect("it is there").goods.clone()
    }

    fn merge(&mut self, a: Resource<Basket>, b: Resource<Basket>) -> Resource<Basket> {
        let more = self.baskets.get(&b).expect("it is there").goods.clone();
        self.baskets.get_mut(&a).expect("it is there").goods.extend(more);
        a
    }

    fn drop(&mut self, rep: Resource<Basket>) -> Result<()> {
        self.dropped += 1;
        self.baskets.delete(rep)?;
        Ok(())
    }
}

impl bindings::ShoppingImports for Host {
    fn count(&mut self, unit: things::Unit, x: Vec<u16>) -> u64 {
        let sum: u64 = x.into_iter().map(u64::from).sum();
        if unit == things::Unit::Gram { sum } else { 0 }
    }
}

/// What the guest does by number.
const GUEST: &str = r#"(component
  (import "test:shop/things@1.2.0" (instance $things
    (type $marks' (flags "fresh" "on-sale" "type")) (export "marks" (type $marks (eq $marks')))
    (type $unit' (enum "piece" "gram")) (export "unit" (type $unit (eq $unit')))
    (type $good' (record (field "name" string) (field "type" $unit) (field "price" u32) (field "marks" $marks)))
    (export "good" (type $good (eq $good')))
    (type $failure' (variant (case "sold-out") (case "other" string)))
    (export "failure" (type $failure (eq $failure')))))
  (alias export $things "good" (type $good))
  (alias export $things "failure" (type $failure))
  (alias export $things "unit" (type $unit))
  (import "test:shop/shop@1.2.0" (instance $shop
    (export "good" (type $g (eq $good)))
    (export "failure" (type $f (eq $failure)))
    (export "basket" (type $basket (sub resource)))
    (type $goods (list $g))
    (export "[constructor]basket" (func (param "limit" u32) (result (own $basket))))
    (export "[method]basket.put"
      (func (param "self" (borrow $basket)) (param "good" $g) (result (result u32 (error $f)))))
    (export "[method]basket.goods" (func (param "self" (borrow $basket)) (result $goods)))
    (export "[static]basket.merge"
      (func (param "a" (own $basket)) (param "b" (borrow $basket)) (result (own $basket))))
    (export "cheapest" (func (param "of" $goods) (result (option $g))))
    (export "pair" (func (param "x" (tuple u8 s64)) (param "y" (result (error char))) (result (tuple f32 bool))))
    (export "nothing" (func))))
  (alias export $shop "basket" (type $basket))
  (import "count" (func $count (param "unit" $unit) (param "x" (list u16)) (result u64)))
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3))))
    (data (i32.const 0) "applebroken")
    ;; Two goods, of 20 bytes each.
    (data (i32.const 32)
      "\00\00\00\00\05\00\00\00\01\00\00\00\09\00\00\00\05\00\00\00"
      "\05\00\00\00\06\00\00\00\00\00\00\00\04\00\00\00\02\00\00\00"))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $new (canon lower (func $shop "[constructor]basket")))
  (core func $put (canon lower (func $shop "[method]basket.put") (memory $memory) (realloc $realloc)))
  (core func $goods (canon lower (func $shop "[method]basket.goods") (memory $memory) (realloc $realloc)))
  (core func $merge (canon lower (func $shop "[static]basket.merge")))
  (core func $cheapest (canon lower (func $shop "cheapest") (memory $memory) (realloc $realloc)))
  (core func $pair (canon lower (func $shop "pair") (memory $memory)))
  (core func $nothing (canon lower (func $shop "nothing")))
  (core func $count (canon lower (func $count) (memory $memory)))
  (core func $drop (canon resource.drop $basket))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "put" (func $put (param i32 i32 i32 i32 i32 i32 i32)))
    (import "" "goods" (func $goods (param i32 i32)))
    (import "" "merge" (func $merge (param i32 i32) (result i32)))
    (import "" "cheapest" (func $cheapest (param i32 i32 i32)))
    (import "" "pair" (func $pair (param i32 i64 i32 i32 i32)))
    (import "" "nothing" (func $nothing))
    (import "" "count" (func $count (param i32 i32 i32) (result i64)))
    (import "" "drop" (func $drop (param i32)))
    (func $apple (param $basket i32) (result i32)
      (call $put (local.get $basket)
        (i32.const 0) (i32.const 5) (i32.const 0) (i32.const 7) (i32.const 3) (i32.const 1024))
      (i32.load8_u (i32.const 1024)))
    ;; The second apple does not fit: ok 1, then the error sold-out.
    (func (export "full") (result i32)
      (local $basket i32)
      (local.set $basket (call $new (i32.const 1)))
      (if (call $apple (local.get $basket)) (then (unreachable)))
      (if (i32.ne (i32.load (i32.const 1028)) (i32.const 1)) (then (unreachable)))
      (i32.add
        (i32.mul (call $apple (local.get $basket)) (i32.const 10))
        (i32.load8_u (i32.const 1028)))
      (call $drop (local.get $basket)))
    (func (export "broken") (result i32)
      (call $put (call $new (i32.const 1))
        (i32.const 5) (i32.const 6) (i32.const 0) (i32.const 7) (i32.const 3) (i32.const 1024))
      (i32.const 0))
    (func (export "nothing") (result i32) (call $nothing) (i32.const 0))
    ;; The price of the cheaper one, and its name.
    (func (export "cheapest") (result i32)
      (call $cheapest (i32.const 32) (i32.const 2) (i32.const 1024))
      (i32.add
        (i32.mul (i32.load (i32.const 1040)) (i32.const 1000))
        (i32.load8_u (i32.load (i32.const 1028)))))
    (func (export "pair") (result i32)
      (call $pair (i32.const 7) (i64.const -10) (i32.const 1) (i32.const 120) (i32.const 1024))
      (i32.add
        (i32.trunc_f32_s (f32.load (i32.const 1024)))
        (i32.mul (i32.load8_u (i32.const 1028)) (i32.const 100))))
    (func (export "count") (result i32)
      (i32.wrap_i64 (call $count (i32.const 1) (i32.const 0) (i32.const 2))))
    (func (export "merge") (result i32)
      (local $a i32) (local $b i32)
      (local.set $a (call $new (i32.const 3)))
      (local.set $b (call $new (i32.const 3)))
      (drop (call $apple (local.get $a)))
      (drop (call $apple (local.get $b)))
      (drop (call $apple (local.get $b)))
      (local.set $a (call $merge (local.get $a) (local.get $b)))
      (call $goods (local.get $a) (i32.const 1024))
      (i32.load (i32.const 1028))))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory))
    (export "new" (func $new)) (export "put" (func $put)) (export "goods" (func $goods))
    (export "merge" (func $merge)) (export "cheapest" (func $cheapest)) (export "pair" (func $pair))
    (export "nothing" (func $nothing)) (export "count" (func $count)) (export "drop" (func $drop))))))
  (func $full (result u32) (canon lift (core func $m "full")))
  (func $merge' (result u32) (canon lift (core func $m "merge")))
  (func $broken (result u32) (canon lift (core func $m "broken")))
  (func $nothing' (result u32) (canon lift (core func $m "nothing")))
  (func $cheapest' (result u32) (canon lift (core func $m "cheapest")))
  (func $pair' (result u32) (canon lift (core func $m "pair")))
  (func $count' (result u32) (canon lift (core func $m "count")))
  (instance $does
    (export "full" (func $full)) (export "merge" (func $merge')) (export "broken" (func $broken))
    (export "nothing" (func $nothing')) (export "cheapest" (func $cheapest')) (export "pair" (func $pair'))
    (export "count" (func $count')))
  (export "does" (instance $does)))"#;

fn instance() -> Result<(Store<Host>, bindings::Shopping)> {
    let engine = Engine::default();
    let component = Component::new(&engine, GUEST)?;
    let mut linker = Linker::new(&engine);
    bindings::Shopping::add_to_linker::<_, HasSelf<_>>(&mut linker, |host: &mut Host| host)?;
    let mut store = Store::new(&engine, Host::default());
    let shopping = bindings::Shopping::instantiate(&mut store, &component, &linker)?;
    Ok((store, shopping))
}

#[test]
fn every_kind_of_import_is_bound() -> Result<()> {
    let (mut store, shopping) = instance()?;
    let does = shopping.does();
    assert_eq!(does.call_full(&mut store)?, 10, "an error, and its case");
    assert_eq!(store.data().dropped, 1);
    assert_eq!(does.call_cheapest(&mut store)?, 4000 + u32::from(b'b'));
    assert_eq!(does.call_pair(&mut store)?, 100u32.wrapping_sub(3));
    assert_eq!(
        does.call_count(&mut store)?,
        u32::from(b'a') + u32::from(b'p') + 256 * u32::from(b'p') + 256 * u32::from(b'l')
    );
    assert_eq!(does.call_merge(&mut store)?, 3);
    Ok(())
}

#[test]
fn errors_of_the_host_are_traps_where_they_are_no_values() -> Result<()> {
    let (mut store, shopping) = instance()?;
    let error = shopping.does().call_broken(&mut store).expect_err("it is a trap");
    assert!(format!("{error:?}").contains("the shop is broken"), "{error:?}");
    let (mut store, shopping) = instance()?;
    let error = shopping
        .does()
        .call_nothing(&mut store)
        .expect_err("it is a trap");
    assert!(format!("{error:?}").contains("nothing is a trap"), "{error:?}");
    Ok(())
}

#[test]
fn what_is_exported_is_looked_for_before_there_is_an_instance() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, "(component)")?;
    let pre = Linker::<Host>::new(&engine).instantiate_pre(&component)?;
    let error = bindings::ShoppingPre::new(pre)
        .err()
        .expect("nothing is exported");
    assert!(
        error.to_string().contains("no exported instance named `does`"),
        "{error}"
    );
    Ok(())
}
