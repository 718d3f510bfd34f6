//! For all types: a Rust value and the `Val` that says the same are the same bytes to a component, as core
//! values and in memory, in both directions.

use cellwall::component::{
    Component, ComponentType, Func, Instance, Lift, Linker, Lower, Val, WasmList, WasmStr, flags,
};
use cellwall::{Engine, Result, Store};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }
}

/// A Rust type with its name in the text format, its core values, and values.
trait Sample: ComponentType + Lift + Lower + PartialEq + Debug + Send + Sync + 'static {
    /// Adds definitions, and names the type.
    fn text(definitions: &mut Vec<String>) -> String;
    fn flat() -> Vec<&'static str>;
    fn sample(random: &mut Random) -> Self;
}

/// A definition without a name outside.
fn define(definitions: &mut Vec<String>, text: &str) -> String {
    let name = format!("$t{}", definitions.len());
    definitions.push(format!("(type {name} {text})"));
    name
}

/// One that must have a name.
fn import(definitions: &mut Vec<String>, text: &str) -> String {
    let n = definitions.len();
    definitions.push(format!(
        "(type $t{n}' {text}) (import \"t{n}\" (type $t{n} (eq $t{n}')))"
    ));
    format!("$t{n}")
}

fn join(cases: &[Vec<&'static str>]) -> Vec<&'static str> {
    let mut flat = vec!["i32"];
    for case in cases {
        for (n, &ty) in case.iter().enumerate() {
            match flat.get_mut(n + 1) {
                None => flat.push(ty),
                Some(known) if *known == ty => {}
                Some(known) => {
                    let small = ["i32", "f32"];
                    *known = if small.contains(known) && small.contains(&ty) {
                        "i32"
                    } else {
                        "i64"
                    };
                }
            }
        }
    }
    flat
}

macro_rules! numbers {
    ($($rust:ty, $name:literal, $flat:literal, |$bits:ident| $value:expr;)*) => {$(
        impl Sample for $rust {
            fn text(_: &mut Vec<String>) -> String {
                $name.into()
            }
            fn flat() -> Vec<&'static str> {
                vec![$flat]
            }
            fn sample(random: &mut Random) -> Self {
                let $bits = random.next();
                $value
            }
        }
    )*};
}

numbers! {
    bool, "bool", "i32", |bits| bits & 1 == 1;
    i8, "s8", "i32", |bits| bits as i8;
    u8, "u8", "i32", |bits| bits as u8;
    i16, "s16", "i32", |bits| bits as i16;
    u16, "u16", "i32", |bits| bits as u16;
    i32, "s32", "i32", |bits| bits as i32;
    u32, "u32", "i32", |bits| bits as u32;
    i64, "s64", "i64", |bits| bits as i64;
    u64, "u64", "i64", |bits| bits;
    f32, "f32", "f32", |bits| bits as i16 as f32 / 4.0;
    f64, "f64", "f64", |bits| bits as i32 as f64 / 4.0;
    char, "char", "i32", |bits| char::from_u32(bits as u32 % 0xd800).expect("below the surrogates");
}

impl Sample for String {
    fn text(_: &mut Vec<String>) -> String {
        "string".into()
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32", "i32"]
    }
    fn sample(random: &mut Random) -> Self {
        let limit = [0x80, 0x100, 0xd800, 0x1_2000][random.below(4) as usize];
        let length = random.below(9);
        (0..length)
            .map(|_| char::from_u32(random.below(limit) as u32).unwrap_or('\u{10ffff}'))
            .collect()
    }
}

impl<E: Sample> Sample for Vec<E> {
    fn text(definitions: &mut Vec<String>) -> String {
        let element = E::text(definitions);
        define(definitions, &format!("(list {element})"))
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32", "i32"]
    }
    fn sample(random: &mut Random) -> Self {
        let length = random.below(5);
        (0..length).map(|_| E::sample(random)).collect()
    }
}

impl<E: Sample> Sample for Box<[E]> {
    fn text(definitions: &mut Vec<String>) -> String {
        Vec::<E>::text(definitions)
    }
    fn flat() -> Vec<&'static str> {
        Vec::<E>::flat()
    }
    fn sample(random: &mut Random) -> Self {
        Vec::<E>::sample(random).into()
    }
}

impl Sample for Arc<str> {
    fn text(definitions: &mut Vec<String>) -> String {
        String::text(definitions)
    }
    fn flat() -> Vec<&'static str> {
        String::flat()
    }
    fn sample(random: &mut Random) -> Self {
        String::sample(random).into()
    }
}

impl<E: Sample, const N: usize> Sample for [E; N] {
    fn text(definitions: &mut Vec<String>) -> String {
        let element = E::text(definitions);
        define(definitions, &format!("(list {element} {N})"))
    }
    fn flat() -> Vec<&'static str> {
        E::flat().repeat(N)
    }
    fn sample(random: &mut Random) -> Self {
        std::array::from_fn(|_| E::sample(random))
    }
}

impl<K: Sample + Ord, V: Sample> Sample for BTreeMap<K, V> {
    fn text(definitions: &mut Vec<String>) -> String {
        let (key, value) = (K::text(definitions), V::text(definitions));
        define(definitions, &format!("(map {key} {value})"))
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32", "i32"]
    }
    fn sample(random: &mut Random) -> Self {
        let length = random.below(4);
        (0..length)
            .map(|_| (K::sample(random), V::sample(random)))
            .collect()
    }
}

impl<S: Sample> Sample for Option<S> {
    fn text(definitions: &mut Vec<String>) -> String {
        let some = S::text(definitions);
        define(definitions, &format!("(option {some})"))
    }
    fn flat() -> Vec<&'static str> {
        join(&[vec![], S::flat()])
    }
    fn sample(random: &mut Random) -> Self {
        (random.below(2) == 1).then(|| S::sample(random))
    }
}

impl<O: Sample, E: Sample> Sample for Result<O, E> {
    fn text(definitions: &mut Vec<String>) -> String {
        let (ok, error) = (O::text(definitions), E::text(definitions));
        define(definitions, &format!("(result {ok} (error {error}))"))
    }
    fn flat() -> Vec<&'static str> {
        join(&[O::flat(), E::flat()])
    }
    fn sample(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Ok(O::sample(random)),
            _ => Err(E::sample(random)),
        }
    }
}

/// `result` with one payload.
impl<O: Sample> Sample for Result<O, ()> {
    fn text(definitions: &mut Vec<String>) -> String {
        let ok = O::text(definitions);
        define(definitions, &format!("(result {ok})"))
    }
    fn flat() -> Vec<&'static str> {
        join(&[O::flat()])
    }
    fn sample(random: &mut Random) -> Self {
        match random.below(2) {
            0 => Ok(O::sample(random)),
            _ => Err(()),
        }
    }
}

macro_rules! tuples {
    ($($($name:ident)*;)*) => {$(
        impl<$($name: Sample),*> Sample for ($($name,)*) {
            fn text(definitions: &mut Vec<String>) -> String {
                let parts = [$($name::text(definitions)),*].join(" ");
                define(definitions, &format!("(tuple {parts})"))
            }
            fn flat() -> Vec<&'static str> {
                [$($name::flat()),*].concat()
            }
            fn sample(random: &mut Random) -> Self {
                ($($name::sample(random),)*)
            }
        }
    )*};
}

tuples! { A; A B; A B C; A B C D E; }

#[derive(ComponentType, Lift, Lower, PartialEq, Debug)]
#[component(record)]
struct Person {
    name: String,
    #[component(name = "the-age")]
    age: u8,
    height_in_metres: f64,
    marks: Marks,
    to: Option<u16>,
}

impl Sample for Person {
    fn text(definitions: &mut Vec<String>) -> String {
        let (marks, to) = (Marks::text(definitions), Option::<u16>::text(definitions));
        let text = format!(
            r#"(record (field "name" string) (field "the-age" u8) (field "height-in-metres" f64)
               (field "marks" {marks}) (field "to" {to}))"#
        );
        import(definitions, &text)
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32", "i32", "i32", "f64", "i32", "i32", "i32"]
    }
    fn sample(random: &mut Random) -> Self {
        Self {
            name: Sample::sample(random),
            age: Sample::sample(random),
            height_in_metres: Sample::sample(random),
            marks: Sample::sample(random),
            to: Sample::sample(random),
        }
    }
}

flags! {
    Marks {
        const A;
        #[component(name = "the-b")]
        const B;
        const C_D;
    }
}

flags! {
    Many {
        const A0; const A1; const A2; const A3; const A4; const A5; const A6; const A7; const A8;
    }
}

impl Sample for Marks {
    fn text(definitions: &mut Vec<String>) -> String {
        import(definitions, r#"(flags "a" "the-b" "c-d")"#)
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32"]
    }
    fn sample(random: &mut Random) -> Self {
        Self::from_bits_truncate(random.next() as u32)
    }
}

impl Sample for Many {
    fn text(definitions: &mut Vec<String>) -> String {
        import(
            definitions,
            r#"(flags "a0" "a1" "a2" "a3" "a4" "a5" "a6" "a7" "a8")"#,
        )
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32"]
    }
    fn sample(random: &mut Random) -> Self {
        Self::from_bits_truncate(random.next() as u32)
    }
}

#[derive(ComponentType, Lift, Lower, PartialEq, Eq, Debug, Clone, Copy)]
#[component(enum)]
enum Colour {
    Red,
    #[component(name = "deep-blue")]
    Blue,
    LightGreen,
}

impl Sample for Colour {
    fn text(definitions: &mut Vec<String>) -> String {
        import(definitions, r#"(enum "red" "deep-blue" "light-green")"#)
    }
    fn flat() -> Vec<&'static str> {
        vec!["i32"]
    }
    fn sample(random: &mut Random) -> Self {
        [Self::Red, Self::Blue, Self::LightGreen][random.below(3) as usize]
    }
}

#[derive(ComponentType, Lift, Lower, PartialEq, Debug)]
#[component(variant)]
enum Shape<P> {
    Point,
    Circle(f32),
    Named(String),
    Other(P),
}

impl<P: Sample> Sample for Shape<P> {
    fn text(definitions: &mut Vec<String>) -> String {
        let other = P::text(definitions);
        let text = format!(
            r#"(variant (case "point") (case "circle" f32) (case "named" string) (case "other" {other}))"#
        );
        import(definitions, &text)
    }
    fn flat() -> Vec<&'static str> {
        join(&[vec![], vec!["f32"], vec!["i32", "i32"], P::flat()])
    }
    fn sample(random: &mut Random) -> Self {
        match random.below(4) {
            0 => Self::Point,
            1 => Self::Circle(Sample::sample(random)),
            2 => Self::Named(Sample::sample(random)),
            _ => Self::Other(Sample::sample(random)),
        }
    }
}

/// A component that keeps a list of values, shows its memory, and sends a value through the host.
fn program<S: Sample>(encoding: &str) -> String {
    let mut definitions = Vec::new();
    let ty = S::text(&mut definitions);
    let list = define(&mut definitions, &format!("(list {ty})"));
    let definitions = definitions.join("\n  ");
    let flat = S::flat();
    let params = if flat.len() > 16 {
        vec!["i32"]
    } else {
        flat.clone()
    };
    let stores = params
        .iter()
        .enumerate()
        .map(|(n, ty)| format!("({ty}.store (i32.const {}) (local.get {n}))", 1024 + 8 * n));
    let stores: String = stores.collect();
    let gets: String = (0..params.len()).map(|n| format!("(local.get {n})")).collect();
    let params = params.join(" ");
    let (result, place, place_ty) = match flat.as_slice() {
        [one] => (*one, "", ""),
        _ => ("i32", "(i32.const 512)", "i32"),
    };
    let swap_result = if place.is_empty() {
        format!("(result {result})")
    } else {
        String::new()
    };
    let options = format!("(memory $memory) (realloc $realloc) string-encoding={encoding}");
    format!(
        r#"(component
  {definitions}
  (import "swap" (func $swap (param "v" {ty}) (result {ty})))
  (core module $libc
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $next (i32.and
        (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get 2))))
      (global.get $next)
      (global.set $next (i32.add (global.get $next) (local.get 3)))))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $swap' (canon lower (func $swap) {options}))
  (core module $m
    (import "" "memory" (memory 1))
    (import "" "swap" (func $swap (param {params} {place_ty}) {swap_result}))
    (func (export "put") (param i32 i32)
      (i32.store (i32.const 8) (local.get 0))
      (i32.store (i32.const 12) (local.get 1)))
    (func (export "get") (result i32) (i32.const 8))
    (func (export "memory") (result i32)
      (i32.store (i32.const 20) (i32.const 65536))
      (i32.const 16))
    (func (export "through") (param {params}) (result {result})
      {stores}
      (call $swap {gets} {place})
      {place}))
  (core instance $m (instantiate $m (with "" (instance
    (export "memory" (memory $memory)) (export "swap" (func $swap'))))))
  (func (export "put") (param "v" {list}) (canon lift (core func $m "put") {options}))
  (func (export "get") (result {list}) (canon lift (core func $m "get") {options}))
  (func (export "through") (param "v" {ty}) (result {ty}) (canon lift (core func $m "through") {options}))
  (func (export "memory") (result (list u8)) (canon lift (core func $m "memory") {options})))"#
    )
}

/// A store with a host that is `typed` or not.
fn instance<S: Sample>(engine: &Engine, component: &Component, typed: bool) -> Result<(Store<()>, Instance)> {
    let mut linker = Linker::new(engine);
    match typed {
        true => linker
            .root()
            .func_wrap("swap", |_, (value,): (S,)| Ok((value,)))?,
        false => linker.root().func_new("swap", |_, _, params, results| {
            results.clone_from_slice(params);
            Ok(())
        })?,
    }
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, component)?;
    Ok((store, instance))
}

fn func(store: &mut Store<()>, instance: &Instance, name: &str) -> Func {
    instance.get_func(store, name).expect("it is exported")
}

fn memory(store: &mut Store<()>, instance: &Instance) -> Result<Vec<u8>> {
    let memory = instance.get_typed_func::<(), (Vec<u8>,)>(&mut *store, "memory")?;
    let (bytes,) = memory.call(store, ())?;
    assert_eq!(bytes.len(), 65536);
    Ok(bytes)
}

fn check<S: Sample>() -> Result<()> {
    let engine = Engine::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let text = program::<S>(encoding);
        let component = Component::new(&engine, &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        for _ in 0..4 {
            let (mut one, typed) = instance::<S>(&engine, &component, true)?;
            let (mut two, untyped) = instance::<S>(&engine, &component, false)?;

            // What was put by type is got as a `Val`, and the other way round.
            let values: Vec<S> = (0..3).map(|_| S::sample(&mut random)).collect();
            let put = typed.get_typed_func::<(&[S],), ()>(&mut one, "put")?;
            put.call(&mut one, (values.as_slice(),))?;
            let mut got = [Val::Bool(false)];
            func(&mut one, &typed, "get").call(&mut one, &[], &mut got)?;
            func(&mut two, &untyped, "put").call(&mut two, &got, &mut [])?;
            let get = untyped.get_typed_func::<(), (Vec<S>,)>(&mut two, "get")?;
            assert_eq!(get.call(&mut two, ())?.0, values, "{text}");
            assert!(memory(&mut one, &typed)? == memory(&mut two, &untyped)?, "{text}");

            // Through the host and back.
            let Val::List(vals) = &got[0] else {
                panic!("a list is a list");
            };
            for (value, val) in values.iter().zip(vals) {
                let through = typed.get_typed_func::<(&S,), (S,)>(&mut one, "through")?;
                assert_eq!(through.call(&mut one, (value,))?.0, *value, "{text}");
                let mut back = [Val::Bool(false)];
                let through = func(&mut two, &untyped, "through");
                through.call(&mut two, std::slice::from_ref(val), &mut back)?;
                assert_eq!(back[0], *val, "{text}");
                assert!(
                    memory(&mut one, &typed)? == memory(&mut two, &untyped)?,
                    "{value:?}: {text}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn numbers_are_the_same_bytes() -> Result<()> {
    check::<bool>()?;
    check::<i8>()?;
    check::<u8>()?;
    check::<i16>()?;
    check::<u16>()?;
    check::<i32>()?;
    check::<u32>()?;
    check::<i64>()?;
    check::<u64>()?;
    check::<f32>()?;
    check::<f64>()?;
    check::<char>()
}

#[test]
fn lists_and_strings_are_the_same_bytes() -> Result<()> {
    check::<String>()?;
    check::<Arc<str>>()?;
    check::<Vec<String>>()?;
    check::<Vec<(u8, u64)>>()?;
    check::<Box<[i16]>>()?;
    check::<[u16; 3]>()?;
    check::<[(char, f32); 9]>()?;
    check::<[String; 2]>()?;
    check::<BTreeMap<String, Vec<u8>>>()?;
    check::<Vec<Vec<Vec<bool>>>>()
}

#[test]
fn compound_types_are_the_same_bytes() -> Result<()> {
    check::<Person>()?;
    check::<Marks>()?;
    check::<Many>()?;
    check::<Colour>()?;
    check::<Shape<Colour>>()?;
    check::<Shape<(f64, i8)>>()?;
    check::<Option<Option<u8>>>()?;
    check::<Result<u64, f32>>()?;
    check::<Result<Person, ()>>()?;
    check::<Result<Vec<Shape<Marks>>, Option<Colour>>>()?;
    check::<(Person, Shape<Option<i64>>, Many)>()?;
    check::<(u8, u16, u8, f64, bool)>()?;
    check::<(Person, Person, Person)>()
}

/// The neighbours: each malformed value is refused by its name, as it is where values are dynamic.
#[test]
fn what_is_malformed_is_refused() -> Result<()> {
    use cellwall::component::Fault;

    fn refused<S: Sample>(params: &str, fault: Fault) -> Result<()> {
        let engine = Engine::default();
        // The guest sends these core values to the host, whatever it was given.
        let text = program::<S>("utf8");
        let start = text.find("(call $swap").expect("it calls the host");
        let end = start + text[start..].find("\n").expect("the line ends");
        let place = if S::flat().len() == 1 {
            ""
        } else {
            "(i32.const 512)"
        };
        let text = format!("{}(call $swap {params} {place}){}", &text[..start], &text[end..]);
        let component = Component::new(&engine, &text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let (mut store, typed) = instance::<S>(&engine, &component, true)?;
        let value = S::sample(&mut Random(1));
        let through = typed.get_typed_func::<(S,), (S,)>(&mut store, "through")?;
        let error = through.call(&mut store, (value,)).expect_err(params);
        assert_eq!(error.downcast_ref::<Fault>(), Some(&fault), "{params}: {error:?}");
        Ok(())
    }
    refused::<char>("(i32.const 0xd800)", Fault::InvalidChar)?;
    refused::<char>("(i32.const 0x110000)", Fault::InvalidChar)?;
    refused::<Colour>("(i32.const 3)", Fault::InvalidDiscriminant)?;
    refused::<Option<u8>>("(i32.const 2) (i32.const 0)", Fault::InvalidDiscriminant)?;
    refused::<Result<u8, ()>>("(i32.const 2) (i32.const 0)", Fault::InvalidDiscriminant)?;
    refused::<Shape<u8>>(
        "(i32.const 4) (i32.const 0) (i32.const 0)",
        Fault::InvalidDiscriminant,
    )?;
    refused::<String>("(i32.const 65530) (i32.const 7)", Fault::StringOutOfBounds)?;
    refused::<String>("(i32.const 0) (i32.const -1)", Fault::StringTooLong)?;
    refused::<Vec<u8>>("(i32.const 65530) (i32.const 7)", Fault::ListOutOfBounds)?;
    refused::<Vec<u32>>("(i32.const 2) (i32.const 1)", Fault::UnalignedPointer)?;
    refused::<Vec<u64>>("(i32.const 0) (i32.const 0x20000000)", Fault::ListOutOfBounds)?;
    refused::<Vec<Colour>>("(i32.const 65536) (i32.const 1)", Fault::ListOutOfBounds)?;
    refused::<[(char, f32); 9]>("(i32.const 1)", Fault::UnalignedPointer)?;
    refused::<[(char, f32); 9]>("(i32.const 65500)", Fault::PointerOutOfBounds)
}

/// Types that a component does not have are found before a call.
#[test]
fn other_types_are_refused() -> Result<()> {
    let engine = Engine::default();
    let component = Component::new(&engine, program::<Person>("utf8"))?;
    let (mut store, instance) = instance::<Person>(&engine, &component, true)?;
    instance.get_typed_func::<(&Person,), (Person,)>(&mut store, "through")?;
    for error in [
        instance
            .get_typed_func::<(Person,), ()>(&mut store, "through")
            .map(drop),
        instance
            .get_typed_func::<(String,), (Person,)>(&mut store, "through")
            .map(drop),
        instance
            .get_typed_func::<(Colour,), (Person,)>(&mut store, "through")
            .map(drop),
    ] {
        let error = format!("{:?}", error.expect_err("it is of another type"));
        assert!(error.contains("type mismatch"), "{error}");
    }

    #[derive(ComponentType, Lift, Lower)]
    #[component(record)]
    struct Stranger {
        name: String,
        the_age: u16,
        height_in_metres: f64,
        marks: Marks,
        to: Option<u16>,
    }
    let stranger = instance.get_typed_func::<(), (Stranger,)>(&mut store, "through");
    assert!(stranger.is_err());
    let mut linker = Linker::<()>::new(&engine);
    linker.root().func_wrap("swap", |_, (it,): (Stranger,)| {
        Ok((Stranger {
            the_age: it.the_age,
            ..it
        },))
    })?;
    let error = format!(
        "{:?}",
        linker.instantiate_pre(&component).expect_err("it does not fit")
    );
    assert!(error.contains("expected `u16`, found `u8`"), "{error}");
    Ok(())
}

/// Strings and lists that stay where they are.
#[test]
fn what_stays_in_memory_is_read_there() -> Result<()> {
    let engine = Engine::default();
    for encoding in ["utf8", "utf16", "latin1+utf16"] {
        let component = Component::new(&engine, program::<(String, Vec<u8>, Vec<char>)>(encoding))?;
        let mut linker = Linker::<Vec<String>>::new(&engine);
        linker.root().func_wrap(
            "swap",
            |mut store, ((text, bytes, chars),): ((WasmStr, WasmList<u8>, WasmList<char>),)| {
                let text = text.to_str(&store)?.into_owned();
                let sum: u32 = bytes.as_bytes(&store)?.iter().map(|&byte| u32::from(byte)).sum();
                let first = chars.get(&mut store, 0).transpose()?;
                assert!(chars.get(&mut store, chars.len()).is_none());
                let all = chars.to_vec(&mut store)?;
                store.data_mut().push(format!("{text} {sum} {first:?}"));
                Ok(((text, bytes.to_vec(&mut store)?, all),))
            },
        )?;
        let mut store = Store::new(&engine, Vec::new());
        let instance = linker.instantiate(&mut store, &component)?;
        type Given<'a> = (&'a str, &'a [u8], &'a [char]);
        type Back = (String, Vec<u8>, Vec<char>);
        let through = instance.get_typed_func::<(Given<'_>,), (Back,)>(&mut store, "through")?;
        let ((text, bytes, chars),) =
            through.call(&mut store, (("größer", &[1, 2, 3][..], &['x', 'ÿ'][..]),))?;
        assert_eq!(
            (&*text, &*bytes, &*chars),
            ("größer", &[1u8, 2, 3][..], &['x', 'ÿ'][..])
        );
        assert_eq!(store.data()[0], "größer 6 Some('x')");
    }
    Ok(())
}
