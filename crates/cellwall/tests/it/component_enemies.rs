//! For each type and each way to lie about a value: the lie ends the call with the fault that the book
//! names, its neighbour that is no lie arrives, and other components of the store go on. Each lie is told
//! to another component and to the host.

use cellwall::component::{Component, Fault, Instance, Linker, ResourceAny};
use cellwall::{Engine, Error, Store, Trap};

/// A value, as a component says it is.
struct Lie {
    /// Its type.
    ty: &'static str,
    /// The core types that it flattens to.
    flat: &'static str,
    encoding: &'static str,
    /// What lies at 1024 in the memory of who sends it.
    data: &'static str,
    /// Core values that are wrong, and why.
    wrong: &'static str,
    fault: Fault,
    /// Core values that are right.
    right: &'static str,
}

const UTF8: &str = "string-encoding=utf8";
const UTF16: &str = "string-encoding=utf16";
const COMPACT: &str = "string-encoding=latin1+utf16";
const AT: &str = "(i32.const 1024)";

/// A string or list in memory: from 1024 on, `len` long.
macro_rules! at {
    ($len:literal) => {
        concat!("(i32.const 1024) (i32.const ", $len, ")")
    };
    ($at:literal, $len:literal) => {
        concat!("(i32.const ", $at, ") (i32.const ", $len, ")")
    };
}

const fn lie(
    ty: &'static str,
    flat: &'static str,
    wrong: &'static str,
    fault: Fault,
    right: &'static str,
) -> Lie {
    Lie {
        ty,
        flat,
        encoding: UTF8,
        data: "",
        wrong,
        fault,
        right,
    }
}

const fn text(
    encoding: &'static str,
    data: &'static str,
    wrong: &'static str,
    fault: Fault,
    right: &'static str,
) -> Lie {
    Lie {
        encoding,
        data,
        ..lie("string", "i32 i32", wrong, fault, right)
    }
}

#[rustfmt::skip]
const LIES: &[Lie] = &[
    // Numbers.
    lie("char", "i32", "(i32.const 0x110000)", Fault::InvalidChar, "(i32.const 0x10ffff)"),
    lie("char", "i32", "(i32.const 0xd800)", Fault::InvalidChar, "(i32.const 0xd7ff)"),
    lie("char", "i32", "(i32.const 0xdfff)", Fault::InvalidChar, "(i32.const 0xe000)"),
    // Cases.
    lie(r#"(enum "a" "b")"#, "i32", "(i32.const 2)", Fault::InvalidDiscriminant, "(i32.const 1)"),
    lie(r#"(variant (case "a") (case "b" u8))"#, "i32 i32", at!("-1", 0), Fault::InvalidDiscriminant, at!(1, 0)),
    lie("(option u8)", "i32 i32", at!(2, 0), Fault::InvalidDiscriminant, at!(1, 0)),
    lie("(result u8)", "i32 i32", at!(256, 0), Fault::InvalidDiscriminant, at!(1, 0)),
    lie("(option char)", "i32 i32", at!(1, 0x110000), Fault::InvalidChar, at!(0, 0x110000)),
    // Strings: where they are, how long they are, what is in them.
    text(UTF8, "", at!(65530, 7), Fault::StringOutOfBounds, at!(65530, 6)),
    text(UTF8, "", at!("-1", 2), Fault::StringOutOfBounds, at!(0, 0)),
    text(UTF8, "", at!(0, "-1"), Fault::StringTooLong, at!(0, 9)),
    text(UTF8, "", at!(0, 0x7fffffff), Fault::StringOutOfBounds, at!(0, 65536)),
    text(UTF16, "", at!(0, 0x40000000), Fault::StringTooLong, at!(0, 9)),
    text(UTF16, "", at!(65530, 4), Fault::StringOutOfBounds, at!(65530, 3)),
    text(UTF16, "", at!(1025, 1), Fault::UnalignedString, at!(1026, 1)),
    text(COMPACT, "", at!(1025, 0x80000001), Fault::UnalignedString, at!(1026, 0x80000001)),
    text(COMPACT, "", at!(65530, 7), Fault::StringOutOfBounds, at!(65530, 6)),
    text(COMPACT, "", at!(65530, 0x80000004), Fault::StringOutOfBounds, at!(65530, 0x80000003)),
    text(UTF8, r"a\ff", at!(2), Fault::InvalidUtf8, at!(1)),
    text(UTF8, r"\c3\a9", at!(1), Fault::InvalidUtf8, at!(2)),
    text(UTF8, r"\c0\80\c2\80", at!(2), Fault::InvalidUtf8, at!(1026, 2)),
    text(UTF8, r"\ed\a0\80\ed\9f\bf", at!(3), Fault::InvalidUtf8, at!(1027, 3)),
    text(UTF8, r"\f4\90\80\80\f4\8f\bf\bf", at!(4), Fault::InvalidUtf8, at!(1028, 4)),
    text(UTF8, r"0123456789abcdef\80", at!(17), Fault::InvalidUtf8, at!(16)),
    text(UTF8, r"0123456789abcdef0123456\c3\a9", at!(24), Fault::InvalidUtf8, at!(25)),
    text(UTF8, r"01234\c3\a9", at!(6), Fault::InvalidUtf8, at!(7)),
    text(UTF8, r"01234567\c3\a9", at!(9), Fault::InvalidUtf8, at!(10)),
    text(UTF16, r"\00\d8\00\dc", at!(1), Fault::InvalidUtf16, at!(2)),
    text(UTF16, r"a\00\00\dc", at!(2), Fault::InvalidUtf16, at!(1)),
    text(COMPACT, r"\00\d8\00\dc", at!(0x80000001), Fault::InvalidUtf16, at!(0x80000002)),
    // Lists: where, how long, and what is in them.
    lie("(list u32)", "i32 i32", at!(1022, 1), Fault::UnalignedPointer, at!(1024, 1)),
    lie("(list u32)", "i32 i32", at!(65532, 2), Fault::ListOutOfBounds, at!(65532, 1)),
    lie("(list u64)", "i32 i32", at!(0, 0x20000001), Fault::ListOutOfBounds, at!(0, 8)),
    lie("(list u64)", "i32 i32", at!(0, "-1"), Fault::ListOutOfBounds, at!(0, 0)),
    Lie { data: r"\00\00\11\00", ..lie("(list char)", "i32 i32", at!(1), Fault::InvalidChar, at!(1028, 1)) },
    Lie { data: r"\00\02", ..lie("(list (option bool))", "i32 i32", at!(1025, 1), Fault::InvalidDiscriminant, at!(1024, 1)) },
    Lie { data: r"\00\10\00\00\ff\ff\ff\ff", ..lie("(list string)", "i32 i32", at!(1), Fault::StringTooLong, at!(0)) },
    Lie { data: r"\00\10\00\00\00\00\01\00", ..lie("(list (list u8))", "i32 i32", at!(1), Fault::ListOutOfBounds, at!(0)) },
    // What goes through memory: more than sixteen core values.
    lie("(tuple string string string string string string string string string)", "i32", "(i32.const 65536)",
        Fault::PointerOutOfBounds, AT),
    lie("(tuple string string string string string string string string string)", "i32", "(i32.const 1025)",
        Fault::UnalignedPointer, AT),
];

/// The component that tells the lie to `f` of the instance `victim`.
fn enemy(lie: &Lie, args: &str) -> String {
    let Lie {
        ty,
        flat,
        encoding,
        data,
        ..
    } = lie;
    format!(
        r#"
          (import "victim" (instance $v
            (type $d {ty}) (export "t" (type $t (eq $d))) (export "f" (func (param "x" $t)))))
          (core module $mem (memory (export "m") 1) (data (i32.const 1024) "{data}"))
          (core instance $mem (instantiate $mem))
          (core func $f (canon lower (func $v "f") (memory (core memory $mem "m")) {encoding}))
          (core module $m
            (import "" "f" (func $f (param {flat})))
            (func (export "run") (call $f {args})))
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
          (func (export "run") (canon lift (core func $i "run")))"#
    )
}

/// The same in one component with who is lied to.
fn with_victim(lie: &Lie, args: &str) -> String {
    let (enemy, Lie { ty, flat, .. }) = (enemy(lie, args), lie);
    format!(
        r#"(component
          (component $victim
            (type $d {ty}) (export $t "t" (type $d))
            (core module $m
              (memory (export "m") 4)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
              (func (export "f") (param {flat})))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" $t)
              (canon lift (core func $i "f") (memory (core memory $i "m"))
                (realloc (core func $i "realloc")))))
          (instance $victim (instantiate $victim))
          (component $enemy {enemy})
          (instance $enemy (instantiate $enemy (with "victim" (instance $victim))))
          (export "run" (func $enemy "run")))"#
    )
}

/// A store with a component that does no harm.
struct World {
    engine: Engine,
    store: Store<()>,
    other: Instance,
}

impl World {
    fn new() -> Self {
        let engine = Engine::default();
        let mut store = Store::new(&engine, ());
        let other = r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        let other = Component::new(&engine, other).expect("it is valid");
        let linker = Linker::new(&engine);
        let other = linker
            .instantiate(&mut store, &other)
            .expect("it imports nothing");
        World { engine, store, other }
    }

    /// Calls `run`, and then one that has nothing to do with it. After an error the component cannot be
    /// entered.
    fn run(&mut self, text: &str) -> Result<(), Error> {
        let component =
            Component::new(&self.engine, text).unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let mut linker = Linker::new(&self.engine);
        let mut victim = linker.instance("victim")?;
        victim.func_new("f", |_, _, _, _| Ok(()))?;
        let instance = linker.instantiate(&mut self.store, &component)?;
        let run = instance.get_typed_func::<(), ()>(&mut self.store, "run")?;
        let ended = run.call(&mut self.store, ());
        let again = run.call(&mut self.store, ());
        let is_closed = |error: &Error| error.downcast_ref::<Fault>() == Some(&Fault::CannotEnter);
        assert_eq!(
            ended.is_err(),
            again.as_ref().is_err_and(is_closed),
            "{again:?}\n{text}"
        );

        let other = self.other.get_typed_func::<(), (u32,)>(&mut self.store, "f")?;
        assert_eq!(other.call(&mut self.store, ())?, (7,));
        ended
    }

    #[track_caller]
    fn refuses(&mut self, text: &str, fault: Fault) {
        let error = self.run(text).expect_err(text);
        assert_eq!(error.downcast_ref::<Fault>(), Some(&fault), "{error:?}\n{text}");
    }
}

#[test]
fn a_lie_ends_the_call_and_its_neighbour_arrives() {
    let mut world = World::new();
    for lie in LIES {
        for (is_wrong, args) in [(true, lie.wrong), (false, lie.right)] {
            let to_host = format!("(component {})", enemy(lie, args));
            for text in [with_victim(lie, args), to_host] {
                match is_wrong {
                    true => world.refuses(&text, lie.fault),
                    false => world
                        .run(&text)
                        .unwrap_or_else(|error| panic!("{error:?}\n{text}")),
                }
            }
        }
    }
}

/// One who is asked for memory, and for which type; what it answers is `realloc`.
fn asked(ty: &str, realloc: &str) -> String {
    format!(
        r#"(component
          (component $bystander
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
          (instance $bystander (instantiate $bystander))
          (component $enemy
            (import "out" (func $out))
            (core func $out (canon lower (func $out)))
            (core module $m
              (import "" "out" (func $out))
              (memory (export "m") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
              (func (export "f") (param i32 i32)))
            (core instance $i (instantiate $m (with "" (instance (export "out" (func $out))))))
            (func (export "f") (param "x" {ty})
              (canon lift (core func $i "f") (memory (core memory $i "m"))
                (realloc (core func $i "realloc")))))
          (instance $enemy (instantiate $enemy (with "out" (func $bystander "f"))))
          (component $victim
            (import "f" (func $f (param "x" {ty})))
            (core module $mem (memory (export "m") 1))
            (core instance $mem (instantiate $mem))
            (core func $f (canon lower (func $f) (memory (core memory $mem "m"))))
            (core module $m
              (import "" "f" (func $f (param i32 i32)))
              (func (export "run") (call $f (i32.const 1024) (i32.const 24))))
            (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
            (func (export "run") (canon lift (core func $i "run"))))
          (instance $victim (instantiate $victim (with "f" (func $enemy "f"))))
          (export "run" (func $victim "run")))"#
    )
}

#[test]
fn a_realloc_that_lies_harms_its_own_instance() {
    let mut world = World::new();
    for ty in ["string", "(list u8)", "(list u32)"] {
        let outside = Fault::ReallocOutOfBounds;
        world.refuses(&asked(ty, "(i32.const 65536)"), outside);
        world.refuses(&asked(ty, "(i32.const -4)"), outside);
        world.refuses(&asked(ty, "(call $out) (i32.const 0)"), Fault::CannotLeave);
        let trapped = world.run(&asked(ty, "(unreachable)")).expect_err("it traps");
        assert_eq!(
            trapped.downcast_ref::<Trap>(),
            Some(&Trap::UnreachableCodeReached)
        );
        let endless = asked(
            ty,
            "(loop $l (drop (memory.grow (i32.const 1))) (br_if $l (i32.lt_u (memory.size) (i32.const 40)))) (i32.const 2621344)",
        );
        world.run(&endless).expect("memory that has just grown is memory");
        world.run(&asked(ty, "(i32.const 1024)")).expect("it is honest");
    }
    world.refuses(&asked("(list u32)", "(i32.const 1025)"), Fault::UnalignedRealloc);
    world
        .run(&asked("string", "(i32.const 1025)"))
        .expect("bytes are aligned anywhere");
}

/// A component with a resource, and one that gets handles of it; `run` does `what`.
fn handles(what: &str) -> String {
    format!(
        r#"(component
          (component $owner
            (type $r' (resource (rep i32))) (export $r "r" (type $r'))
            (type $s' (resource (rep i32))) (export $s "s" (type $s'))
            (core func $new-r (canon resource.new $r'))
            (core func $new-s (canon resource.new $s'))
            (core module $m
              (import "" "new-r" (func $new-r (param i32) (result i32)))
              (import "" "new-s" (func $new-s (param i32) (result i32)))
              (func (export "make-r") (result i32) (call $new-r (i32.const 5)))
              (func (export "make-s") (result i32) (call $new-s (i32.const 6)))
              (func (export "take") (param i32))
              (func (export "use") (param i32))
              (func (export "both") (param i32 i32)))
            (core instance $i (instantiate $m (with "" (instance
              (export "new-r" (func $new-r)) (export "new-s" (func $new-s))))))
            (func (export "make-r") (result (own $r)) (canon lift (core func $i "make-r")))
            (func (export "make-s") (result (own $s)) (canon lift (core func $i "make-s")))
            (func (export "take") (param "x" (own $r)) (canon lift (core func $i "take")))
            (func (export "use") (param "x" (borrow $r)) (canon lift (core func $i "use")))
            (func (export "both") (param "x" (borrow $r)) (param "y" (own $r))
              (canon lift (core func $i "both"))))
          (instance $owner (instantiate $owner))
          (component $enemy
            (import "owner" (instance $o
              (export "r" (type $r (sub resource))) (export "s" (type $s (sub resource)))
              (export "make-r" (func (result (own $r)))) (export "make-s" (func (result (own $s))))
              (export "take" (func (param "x" (own $r)))) (export "use" (func (param "x" (borrow $r))))
              (export "both" (func (param "x" (borrow $r)) (param "y" (own $r))))))
            (alias export $o "r" (type $r))
            (core func $make-r (canon lower (func $o "make-r")))
            (core func $make-s (canon lower (func $o "make-s")))
            (core func $take (canon lower (func $o "take")))
            (core func $use (canon lower (func $o "use")))
            (core func $both (canon lower (func $o "both")))
            (core func $drop (canon resource.drop $r))
            (core module $m
              (import "" "make-r" (func $make-r (result i32)))
              (import "" "make-s" (func $make-s (result i32)))
              (import "" "take" (func $take (param i32)))
              (import "" "use" (func $use (param i32)))
              (import "" "both" (func $both (param i32 i32)))
              (import "" "drop" (func $drop (param i32)))
              (func (export "run") (local $h i32) (local.set $h (call $make-r)) {what}))
            (core instance $i (instantiate $m (with "" (instance
              (export "make-r" (func $make-r)) (export "make-s" (func $make-s))
              (export "take" (func $take)) (export "use" (func $use)) (export "both" (func $both))
              (export "drop" (func $drop))))))
            (func (export "run") (canon lift (core func $i "run"))))
          (instance $enemy (instantiate $enemy (with "owner" (instance $owner))))
          (export "run" (func $enemy "run")))"#
    )
}

#[test]
fn handles_that_were_never_given_are_refused() {
    let mut world = World::new();
    let own = "(local.get $h)";
    for function in ["take", "use", "drop"] {
        for forged in ["0", "2", "-1", "0x10000000"] {
            let text = handles(&format!("(call ${function} (i32.const {forged}))"));
            world.refuses(&text, Fault::UnknownHandle);
        }
        world.refuses(
            &handles(&format!("(call ${function} (call $make-s))")),
            Fault::WrongHandle,
        );
        world
            .run(&handles(&format!("(call ${function} {own})")))
            .expect("it was given");
        // Not any more, once it was given away.
        let gone = handles(&format!("(call $take {own}) (call ${function} {own})"));
        world.refuses(&gone, Fault::UnknownHandle);
    }
    // Lent and given away at once.
    world.refuses(&handles(&format!("(call $both {own} {own})")), Fault::HandleLent);
    world
        .run(&handles(&format!("(call $both {own} (call $make-r))")))
        .expect("these are two");
}

#[test]
fn handles_without_end_are_refused() {
    let mut world = World::new();
    world.refuses(
        &handles("(loop $more (drop (call $make-r)) (br $more))"),
        Fault::TooManyHandles,
    );
    // As many, one after the other.
    let patient = handles(
        "(local.set $h (i32.const 0x100000))
         (loop $more (call $drop (call $make-r))
           (br_if $more (local.tee $h (i32.sub (local.get $h) (i32.const 1)))))",
    );
    world.run(&patient).expect("each is dropped");
}

#[test]
fn messages_without_end_are_refused() {
    let messages = |then: &str| {
        format!(
            r#"(component
              (core module $libc (memory (export "memory") 16))
              (core instance $libc (instantiate $libc))
              (alias core export $libc "memory" (core memory $memory))
              (core func $new (canon error-context.new (memory $memory)))
              (core func $drop (canon error-context.drop))
              (core module $m
                (import "" "new" (func $new (param i32 i32) (result i32)))
                (import "" "drop" (func $drop (param i32)))
                (func $keep (param i32))
                (func (export "run") (local $count i32)
                  (loop $more
                    (call {then} (call $new (i32.const 0) (i32.const 0x100000)))
                    (local.set $count (i32.add (local.get $count) (i32.const 1)))
                    (br_if $more (i32.le_u (local.get $count) (i32.const 64))))))
              (core instance $i (instantiate $m (with "" (instance
                (export "new" (func $new)) (export "drop" (func $drop))))))
              (func (export "run") (canon lift (core func $i "run"))))"#
        )
    };
    let mut world = World::new();
    world.run(&messages("$drop")).expect("each is dropped");
    world.refuses(&messages("$keep"), Fault::TooManyHandles);
}

#[test]
fn what_was_lent_to_a_call_that_traps_comes_back() -> cellwall::Result<()> {
    let engine = Engine::default();
    let component = Component::new(
        &engine,
        r#"(component
          (type $r' (resource (rep i32))) (export $r "r" (type $r'))
          (core func $new (canon resource.new $r'))
          (core module $m
            (import "" "new" (func $new (param i32) (result i32)))
            (func (export "make") (result i32) (call $new (i32.const 5)))
            (func (export "use") (param i32))
            (func (export "trap") (param i32) (unreachable)))
          (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
          (func (export "make") (result (own $r)) (canon lift (core func $i "make")))
          (func (export "use") (param "x" (borrow $r)) (canon lift (core func $i "use")))
          (func (export "trap") (param "x" (borrow $r)) (canon lift (core func $i "trap"))))"#,
    )?;
    for (name, traps) in [("use", false), ("trap", true)] {
        let mut store = Store::new(&engine, ());
        let it = Linker::new(&engine).instantiate(&mut store, &component)?;
        let make = it.get_typed_func::<(), (ResourceAny,)>(&mut store, "make")?;
        let (resource,) = make.call(&mut store, ())?;
        let takes = it.get_typed_func::<(ResourceAny,), ()>(&mut store, name)?;
        assert_eq!(takes.call(&mut store, (resource,)).is_err(), traps);
        // The host owns it still.
        resource.resource_drop(&mut store)?;
        let error = resource.resource_drop(&mut store).expect_err("it is gone");
        assert_eq!(
            error.downcast_ref::<Fault>(),
            Some(&Fault::UnknownHandle),
            "{error:?}"
        );
    }
    Ok(())
}

/// A component that calls the one inside of which it lies.
#[test]
fn a_call_into_what_is_under_way_is_refused() {
    let text = r#"(component
      (import "victim" (instance $v (export "f" (func))))
      (core module $table (table (export "t") 1 funcref)
        (type $t (func)) (func (export "f") (call_indirect (type $t) (i32.const 0))))
      (core instance $table (instantiate $table))
      (func $back (canon lift (core func $table "f")))
      (component $inner
        (import "back" (func $back))
        (core func $back (canon lower (func $back)))
        (core module $m (import "" "back" (func $back)) (func (export "run") (call $back)))
        (core instance $i (instantiate $m (with "" (instance (export "back" (func $back))))))
        (func (export "run") (canon lift (core func $i "run"))))
      (instance $inner (instantiate $inner (with "back" (func $back))))
      (export "run" (func $inner "run")))"#;
    World::new().refuses(text, Fault::CannotEnter);
}
