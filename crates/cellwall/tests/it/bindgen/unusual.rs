//! WIT that is valid and unusual: words of Rust as names, names of the prelude as types, versions, chains of
//! `use`, worlds that include worlds, resources with static functions and several versions of one package.

use cellwall::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use cellwall::{Engine, Result, Store};

mod bindings {
    cellwall::component::bindgen!({
        inline: r#"
            package self:crate@0.1.0-rc.1;

            interface %type {
                record %result { self: string, match: u8, %type: option<u8> }
                record %option { a: option<%result> }
                record %string { b: string }
                record vec { c: list<%string> }
                record t { d: u8 }
                type d = t;
                enum %enum { self, crate, super, fn, some, none, ok, err, box, clone }
                flags %flags { self, fn, %type, b0 }
                variant %variant { %result(%result), self, none, %string(%string), t(t) }
                fn: func(self: %result, impl: %option, dyn: vec) -> result<%string, %enum>;
                loop: func(t: t, d: d, %type: %variant) -> option<%flags>;
                async-gen: func(try: tuple<%option>, yield: list<%variant>) -> %enum;
                nothing: func() -> result;
                host: func(host: u8, linker: u8, store: u8, inst: u8, result0: u8, arg1: u8) -> u8;
            }

            interface chain {
                use %type.{%enum as kind, t};
                use deep:er/far@2.0.0.{thing as near, pile};
                type kinds = list<kind>;
                sort: func(kinds: kinds, near: near) -> kinds;
                heap: func(of: t) -> pile;
            }

            interface objects {
                use chain.{kind};
                resource move {
                    constructor(fn: kind);
                    impl: func(kind: kind) -> kind;
                    merge: static func(a: move, b: option<borrow<move>>) -> move;
                    all: static func() -> list<move>;
                }
                take: func(moves: list<move>, one: borrow<move>) -> u32;
            }

            world small {
                import %type;
                export run: func() -> u32;
            }
            world more {
                include small with { run as go }
                import chain;
            }
            world everything {
                include more;
                import objects;
                import deep:er/far@1.0.0;
                use chain.{kinds};
                import match: func(kinds: kinds) -> u8;
                export objects;
                export impl: func(kinds: kinds) -> kinds;
            }

            package deep:er@1.0.0 {
                interface far { resource thing { constructor(); } old: func(x: borrow<thing>); }
            }
            package deep:er@2.0.0 {
                interface far {
                    record thing { x: f32 }
                    type pile = list<option<list<thing>>>;
                    both: func(a: thing, b: pile) -> pile;
                }
            }
        "#,
        world: "self:crate/everything@0.1.0-rc.1",
        with: { "self:crate/objects.move": super::Moved },
        imports: { "self:crate/objects.[method]move.impl": trappable },
        additional_derives: [PartialEq],
    });
}

use bindings::deep::{er1_0_0, er2_0_0};
use bindings::self_::crate_::{chain, objects, type_};

pub(crate) struct Moved(type_::Enum);

#[derive(Default)]
struct Host {
    table: ResourceTable,
}

impl type_::Host for Host {
    fn fn_(
        &mut self,
        self_: type_::Result,
        impl_: type_::Option,
        dyn_: type_::Vec,
    ) -> std::result::Result<type_::String, type_::Enum> {
        let b = format!("{}{}{}", self_.self_, self_.match_, dyn_.c.len());
        match impl_.a {
            Some(_) => Err(type_::Enum::Self_),
            None => Ok(type_::String { b }),
        }
    }
    fn loop_(&mut self, t: type_::T, d: type_::D, ty: type_::Variant) -> Option<type_::Flags> {
        (t == d && ty == type_::Variant::Self_).then_some(type_::Flags::FN | type_::Flags::B0)
    }
    fn async_gen(&mut self, try_: (type_::Option,), yield_: Vec<type_::Variant>) -> type_::Enum {
        match (try_.0.a, yield_.len()) {
            (None, 0) => type_::Enum::None,
            _ => type_::Enum::Clone,
        }
    }
    fn nothing(&mut self) -> std::result::Result<(), ()> {
        Err(())
    }
    fn host(&mut self, host: u8, linker: u8, store: u8, inst: u8, result0: u8, arg1: u8) -> u8 {
        host + linker + store + inst + result0 + arg1
    }
}

impl chain::Host for Host {
    fn sort(&mut self, kinds: chain::Kinds, _near: chain::Near) -> chain::Kinds {
        kinds.into_iter().rev().collect()
    }
    fn heap(&mut self, of: chain::T) -> chain::Pile {
        vec![None; of.d.into()]
    }
}

impl er1_0_0::far::HostThing for Host {
    fn new(&mut self) -> Resource<er1_0_0::far::Thing> {
        Resource::new_own(7)
    }
    fn drop(&mut self, _rep: Resource<er1_0_0::far::Thing>) -> Result<()> {
        Ok(())
    }
}

impl er1_0_0::far::Host for Host {
    fn old(&mut self, x: Resource<er1_0_0::far::Thing>) {
        assert_eq!(x.rep(), 7);
    }
}

impl er2_0_0::far::Host for Host {
    fn both(&mut self, a: er2_0_0::far::Thing, b: er2_0_0::far::Pile) -> er2_0_0::far::Pile {
        b.into_iter().map(|_| Some(vec![a])).collect()
    }
}

impl objects::HostMove for Host {
    fn new(&mut self, fn_: objects::Kind) -> Resource<Moved> {
        self.table.push(Moved(fn_)).expect("there is room")
    }
    fn impl_(&mut self, self_: Resource<Moved>, kind: objects::Kind) -> Result<objects::Kind> {
        Ok(std::mem::replace(&mut self.table.get_mut(&self_)?.0, kind))
    }
    fn merge(&mut self, a: Resource<Moved>, b: Option<Resource<Moved>>) -> Resource<Moved> {
        assert!(b.is_none_or(|b| !b.owned()));
        a
    }
    fn all(&mut self) -> Vec<Resource<Moved>> {
        Vec::new()
    }
    fn drop(&mut self, rep: Resource<Moved>) -> Result<()> {
        self.table.delete(rep)?;
        Ok(())
    }
}

impl objects::Host for Host {
    fn take(&mut self, moves: Vec<Resource<Moved>>, one: Resource<Moved>) -> u32 {
        moves.len() as u32 + u32::from(!one.owned())
    }
}

impl bindings::EverythingImports for Host {
    fn match_(&mut self, kinds: bindings::Kinds) -> u8 {
        kinds.len() as u8
    }
}

/// All of it can be linked: what the host has fits what the WIT says.
#[test]
fn words_of_rust_are_names() -> Result<()> {
    let engine = Engine::default();
    let mut linker: Linker<Host> = Linker::new(&engine);
    bindings::Everything::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    // A component that asks for some of it, calls it, and exports nothing that the world wants.
    let component = Component::new(&engine, ASKS)?;
    let mut store = Store::new(&engine, Host::default());
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), (u32,)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, (21 + 100 * 3 + 10_000,));
    let error = bindings::Everything::new(&mut store, &instance)
        .err()
        .expect("it exports something else");
    assert!(error.to_string().contains("export"), "{error}");
    Ok(())
}

const ASKS: &str = r#"(component
  (import "self:crate/type@0.1.0-rc.1" (instance $type
    (type $enum' (enum "self" "crate" "super" "fn" "some" "none" "ok" "err" "box" "clone"))
    (export "enum" (type $enum (eq $enum')))
    (export "nothing" (func (result (result))))
    (export "host" (func (param "host" u8) (param "linker" u8) (param "store" u8) (param "inst" u8)
      (param "result0" u8) (param "arg1" u8) (result u8)))))
  (alias export $type "enum" (type $enum))
  (import "match" (func $match (param "kinds" (list $enum)) (result u8)))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $nothing (canon lower (func $type "nothing")))
  (core func $host (canon lower (func $type "host")))
  (core func $match (canon lower (func $match) (memory (core memory $memory "memory"))))
  (core module $m
    (import "" "nothing" (func $nothing (result i32)))
    (import "" "host" (func $host (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "" "match" (func $match (param i32 i32) (result i32)))
    (func (export "run") (result i32)
      (call $host (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6))
      (i32.mul (call $match (i32.const 0) (i32.const 3)) (i32.const 100))
      (i32.add)
      (i32.add (i32.mul (call $nothing) (i32.const 10000)))))
  (core instance $m (instantiate $m (with "" (instance
    (export "nothing" (func $nothing)) (export "host" (func $host)) (export "match" (func $match))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))"#;

mod nested {
    //! A package within a file, without a version, and asynchronous functions of the host.
    cellwall::component::bindgen!({
        inline: r#"
            package outer:one;
            package inner:two { interface i { wait: func(x: u8) -> u8; record r { x: u8 } } }
            world w {
                include v;
                export inner:two/i;
            }
            world v {
                import inner:two/i;
                use inner:two/i.{r as renamed};
                export last: func(x: renamed) -> renamed;
            }
        "#,
        world: "outer:one/w",
        imports: { default: async | trappable },
        exports: { default: async },
    });
}

struct Waits;

impl nested::inner::two::i::Host for Waits {
    async fn wait(&mut self, x: u8) -> Result<u8> {
        Ok(x + 1)
    }
}

#[test]
fn what_waits_is_linked() -> Result<()> {
    let engine = Engine::default();
    let mut linker: Linker<Waits> = Linker::new(&engine);
    nested::W::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    let component = Component::new(&engine, "(component (import \"inner:two/i\" (instance)))")?;
    assert!(nested::WPre::new(linker.instantiate_pre(&component)?).is_err());
    Ok(())
}

mod errors {
    cellwall::component::bindgen!({
        inline: r#"
            package test:errors;
            world w {
                record problem { code: u8, why: error-context }
                import explain: func(why: error-context) -> error-context;
                import last: func(all: list<problem>) -> option<error-context>;
                export relay: func(why: error-context) -> error-context;
                export wrap: func(it: problem) -> result<problem, error-context>;
            }
        "#,
    });
}

use cellwall::component::ErrorContext;

struct Explains;

impl errors::WImports for Explains {
    fn explain(&mut self, why: ErrorContext) -> ErrorContext {
        ErrorContext::new(format!("because of {why}"))
    }
    fn last(&mut self, all: Vec<errors::Problem>) -> Option<ErrorContext> {
        all.into_iter().last().map(|problem| problem.why)
    }
}

const RELAYS: &str = r#"(component
  (type $problem' (record (field "code" u8) (field "why" error-context)))
  (import "problem" (type $problem (eq $problem')))
  (import "explain" (func $explain (param "why" error-context) (result error-context)))
  (import "last" (func $last (param "all" (list $problem)) (result (option error-context))))
  (core func $explain (canon lower (func $explain)))
  (core module $m
    (import "" "explain" (func $explain (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "relay") (param i32) (result i32) (call $explain (local.get 0)))
    ;; An even code is fine, an odd one the error alone.
    (func (export "wrap") (param i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.and (local.get 0) (i32.const 1)))
      (if (i32.and (local.get 0) (i32.const 1))
        (then (i32.store (i32.const 20) (local.get 1)))
        (else
          (i32.store8 (i32.const 20) (local.get 0))
          (i32.store (i32.const 24) (local.get 1))))
      (i32.const 16))
    (func (export "forged") (param i32) (result i32) (i32.const 77)))
  (core instance $m (instantiate $m (with "" (instance (export "explain" (func $explain))))))
  (func (export "relay") (param "why" error-context) (result error-context)
    (canon lift (core func $m "relay")))
  (func (export "wrap") (param "it" $problem) (result (result $problem (error error-context)))
    (canon lift (core func $m "wrap") (memory (core memory $m "memory"))))
  (func (export "forged") (param "why" error-context) (result error-context)
    (canon lift (core func $m "forged"))))"#;

#[test]
fn error_contexts_are_their_messages() -> Result<()> {
    let engine = Engine::default();
    let mut linker: Linker<Explains> = Linker::new(&engine);
    errors::W::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host)?;
    let component = Component::new(&engine, RELAYS)?;
    let mut store = Store::new(&engine, Explains);
    let instance = linker.instantiate(&mut store, &component)?;
    let world = errors::W::new(&mut store, &instance)?;
    let why = || ErrorContext::new("größer");
    let back = world.call_relay(&mut store, why())?;
    assert_eq!(back.debug_message(), "because of größer");
    let problem = |code| errors::Problem { code, why: why() };
    let fine = world.call_wrap(&mut store, &problem(4))?.expect("it is even");
    assert_eq!((fine.code, fine.why), (4, why()));
    let error = world.call_wrap(&mut store, &problem(5))?.expect_err("it is odd");
    assert_eq!(error, why());
    // A number that is no handle.
    let forged = instance.get_typed_func::<(ErrorContext,), (ErrorContext,)>(&mut store, "forged")?;
    let error = forged
        .call(&mut store, (why(),))
        .expect_err("it was given another");
    assert_eq!(
        error.downcast_ref::<cellwall::component::Fault>(),
        Some(&cellwall::component::Fault::UnknownErrorContext)
    );
    // And a type that is another one.
    assert!(
        instance
            .get_typed_func::<(String,), (ErrorContext,)>(&mut store, "relay")
            .is_err()
    );
    Ok(())
}
