"""Components: values of every type there and back, types, functions and resources of the host, WASI 0.2."""

import gc
import os
import threading
from pathlib import Path

import pytest

from cellwall import CellwallError, Engine, ExitTrap, Module, Store, Trap, TrapCode, WasiConfig
from cellwall.component import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    BorrowType,
    Char,
    Component,
    ComponentInstanceType,
    EnumType,
    FlagsType,
    FuncType,
    Linker,
    ListType,
    ModuleType,
    OptionType,
    OwnType,
    Record,
    RecordType,
    ResourceHost,
    ResourceType,
    ResultType,
    String,
    TupleType,
    Variant,
    VariantType,
)

#: What answers through a memory that it was given: a pointer and a length, or two words.
PAIR = "(i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) i32.const 8"


def named(name, definition):
    return f"(type ${name}' {definition}) (export ${name} \"{name}\" (type ${name}'))"


RECORD = named("r", '(record (field "first-one" u32) (field "second" s32))')
VARIANT = named("v", '(variant (case "none") (case "number" u32))')
TAGGED = named("v", '(variant (case "a" u32) (case "b" s32))')
ENUM = named("e", '(enum "red" "green")')
FLAGS = named("f", '(flags "read" "write" "run")')


@pytest.fixture
def echo(engine, store):
    """Makes a function that answers what it is called with, of one type."""

    def make(ty, types="", core="i32 i32", result="i32", body=PAIR):
        text = f"""
          (component {types}
            (core module $m
              (memory (export "memory") 1)
              (global $next (mut i32) (i32.const 1024))
              (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
                  (i32.sub (i32.const 0) (local.get 2))))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
              (func (export "echo") (param {core}) (result {result}) {body}))
            (core instance $i (instantiate $m))
            (func (export "echo") (param "x" {ty}) (result {ty})
              (canon lift (core func $i "echo") (memory (core memory $i "memory"))
                (realloc (core func $i "realloc")))))"""
        instance = Linker(engine).instantiate(store, Component(engine, text))
        return instance.get_func(store, "echo")

    return make


def scalar(echo, ty, core="i32", types=""):
    return echo(ty, types=types, core=core, result=core, body="local.get 0")


INTS = [("8", 8, "i32"), ("16", 16, "i32"), ("32", 32, "i32"), ("64", 64, "i64")]


@pytest.mark.parametrize("sign", "su")
@pytest.mark.parametrize("name, bits, core", INTS)
def test_integers(echo, store, sign, name, bits, core):
    func = scalar(echo, sign + name, core)
    least = -(1 << (bits - 1)) if sign == "s" else 0
    most = (1 << (bits - (sign == "s"))) - 1
    for value in (least, 0, 1, most):
        assert func(store, value) == value
    for value in (least - 1, most + 1):
        with pytest.raises(OverflowError, match=f"range of {sign}{name}"):
            func(store, value)
    for value in ("1", 1.5, None):
        with pytest.raises(TypeError, match="parameter 1: expected int"):
            func(store, value)
    # What went wrong left nothing behind.
    assert func(store, most) == most


def test_floats(echo, store):
    f32, f64 = scalar(echo, "f32", "f32"), scalar(echo, "f64", "f64")
    assert f32(store, 1.5) == 1.5 and f64(store, 0.1) == 0.1 and f64(store, 2) == 2.0
    assert f32(store, 0.1) != 0.1
    nan = f64(store, float("nan"))
    assert nan != nan
    with pytest.raises(TypeError, match="expected float"):
        f64(store, "1")


def test_bools_and_characters(echo, store):
    flag, char = scalar(echo, "bool"), scalar(echo, "char")
    assert flag(store, True) is True and flag(store, False) is False
    with pytest.raises(TypeError, match="expected bool, got int"):
        flag(store, 1)
    assert char(store, "ß") == "ß" and char(store, "\U0001f40e") == "\U0001f40e"
    for value in ("", "ab", 65):
        with pytest.raises(TypeError, match="one character"):
            char(store, value)
    with pytest.raises(CellwallError, match="0xd800"):
        char(store, "\ud800")


def test_strings(echo, store):
    func = echo("string")
    for value in ("", "straße", "\0", "\U0001f40e" * 1000):
        assert func(store, value) == value
    with pytest.raises(TypeError, match="expected str, got bytes"):
        func(store, b"abc")
    with pytest.raises(UnicodeEncodeError):
        func(store, "\ud800")


def test_lists(echo, store):
    octets, words, texts = echo("(list u8)"), echo("(list u32)"), echo("(list string)")
    for value in (b"", b"abc", bytes(range(256)) * 10):
        assert octets(store, value) == value
    assert octets(store, bytearray(b"x")) == b"x" and octets(store, [1, 2]) == b"\1\2"
    assert octets(store, memoryview(b"abc")[1:]) == b"bc"
    assert words(store, []) == [] and words(store, [1, 2**32 - 1]) == [1, 2**32 - 1]
    assert words(store, (3, 4)) == [3, 4] and words(store, range(3)) == [0, 1, 2]
    assert texts(store, ["one", "", "two"]) == ["one", "", "two"]
    with pytest.raises(TypeError, match="expected list, got str"):
        texts(store, "one")
    with pytest.raises(TypeError, match="expected str, got int"):
        texts(store, ["one", 2])
    with pytest.raises(OverflowError):
        words(store, [1, -1])


def test_records(echo, store):
    func = echo("$r", RECORD)
    answer = func(store, Record(first_one=1, second=-1))
    assert (getattr(answer, "first-one"), answer.first_one, answer.second) == (1, 1, -1)
    assert answer == Record(first_one=1, second=-1) != Record(first_one=2, second=-1)
    assert func(store, {"first-one": 1, "second": -1}) == answer == func(store, answer)

    class Mine:
        first_one = 1
        second = -1

    assert func(store, Mine()) == answer
    with pytest.raises(TypeError, match="'second'"):
        func(store, {"first-one": 1})
    with pytest.raises(TypeError, match="'first-one'"):
        func(store, 5)
    with pytest.raises(TypeError, match="field 'second': expected int"):
        func(store, Record(first_one=1, second="x"))
    with pytest.raises(AttributeError):
        answer.third
    assert "second=-1" in repr(answer)


def test_tuples(echo, store):
    func = echo("(tuple u32 s32)")
    assert func(store, (1, -1)) == (1, -1) == func(store, [1, -1])
    with pytest.raises(TypeError, match="expected 2 elements, got 1"):
        func(store, (1,))
    with pytest.raises(TypeError, match="expected tuple"):
        func(store, 1)


def test_variants(echo, store):
    func = echo("$v", VARIANT)
    assert func(store, None) is None and func(store, 7) == 7
    assert func(store, Variant("number", 8)) == 8 and func(store, Variant("none")) is None
    with pytest.raises(TypeError, match="no case 'other'"):
        func(store, Variant("other"))
    with pytest.raises(TypeError, match="no payload"):
        func(store, Variant("none", 1))
    tagged = echo("$v", TAGGED)
    assert tagged(store, Variant("a", 1)) == Variant("a", 1)
    assert tagged(store, Variant("b", -1)) == Variant("b", -1)
    with pytest.raises(TypeError, match="expected a Variant"):
        tagged(store, 1)
    with pytest.raises(OverflowError):
        tagged(store, Variant("a", -1))


def test_options_and_results(echo, store):
    option = echo("(option u32)")
    assert option(store, None) is None and option(store, 0) == 0
    with pytest.raises(TypeError):
        option(store, "x")
    both = echo("(result u32 (error s32))")
    assert both(store, Variant("ok", 1)) == Variant("ok", 1)
    assert both(store, Variant("err", -1)) == Variant("err", -1)
    apart = echo("(result u32 (error f32))", core="i32 i32")
    assert apart(store, 5) == 5 and apart(store, 1.5) == 1.5
    empty = scalar(echo, "(result)")
    assert empty(store, Variant("ok")) == Variant("ok") and empty(store, Variant("err")) == Variant("err")


def test_enums_and_flags(echo, store):
    enum, flags = scalar(echo, "$e", types=ENUM), scalar(echo, "$f", types=FLAGS)
    assert enum(store, "green") == "green"
    with pytest.raises(TypeError, match="no case 'blue'; there are red, green"):
        enum(store, "blue")
    with pytest.raises(TypeError, match="expected str"):
        enum(store, 1)
    for value in (set(), {"run"}, {"run", "read", "write"}):
        assert flags(store, value) == value
    assert flags(store, frozenset({"run"})) == {"run"}
    with pytest.raises(TypeError, match="no flag 'fly'"):
        flags(store, {"fly"})
    with pytest.raises(TypeError, match="expected set"):
        flags(store, "run")


def test_options_of_options(echo, engine, store):
    seen = []
    linker = Linker(engine)
    linker.root().add_func("f", lambda _, value: seen.append(value) or value)
    component = Component(
        engine,
        """
        (component
          (import "f" (func $f (param "x" (option (option u32))) (result (option (option u32)))))
          (core module $mem (memory (export "memory") 1))
          (core instance $mem (instantiate $mem))
          (core func $f' (canon lower (func $f) (memory (core memory $mem "memory"))))
          (core module $m
            (import "" "f" (func $f (param i32 i32 i32 i32)))
            (import "" "m" (memory 1))
            (func (export "f") (param i32 i32 i32) (result i32)
              (call $f (local.get 0) (local.get 1) (local.get 2) (i32.const 16)) i32.const 16))
          (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))
            (export "m" (memory $mem "memory"))))))
          (func (export "f") (param "x" (option (option u32))) (result (option (option u32)))
            (canon lift (core func $i "f") (memory (core memory $mem "memory")))))""",
    )
    func = linker.instantiate(store, component).get_func(store, "f")
    for value in (Variant("none"), Variant("some", None), Variant("some", 5)):
        assert func(store, value) == value
    assert seen == [Variant("none"), Variant("some", None), Variant("some", 5)]


TYPES = """
  (component
    (import "in" (instance
      (type $r' (record (field "a" (list string)) (field "b" (tuple u8 f64)))) (export "r" (type $r (eq $r')))
      (type $v' (variant (case "x") (case "y" (option char)))) (export "v" (type $v (eq $v')))
      (type $e' (enum "p" "q")) (export "e" (type $e (eq $e')))
      (type $f' (flags "m" "n")) (export "f" (type $f (eq $f')))
      (export "res" (type $res (sub resource)))
      (export "call" (func (param "r" $r) (param "v" $v) (param "e" $e) (param "f" $f)
        (param "own" (own $res)) (param "lent" (borrow $res)) (result (result bool (error s64)))))))
    (import "module" (core module))
    (import "numbers" (func (param "a" s8) (param "b" s16) (param "c" s32) (param "d" u16) (param "e" u32)
      (param "f" u64) (param "g" f32))))"""


def test_types(engine):
    imports = Component(engine, TYPES).type.imports(engine)
    assert list(imports) == ["in", "module", "numbers"] and Component(engine, TYPES).type.exports() == {}
    assert isinstance(imports["in"], ComponentInstanceType) and imports["module"] == ModuleType()
    items = imports["in"].exports(engine)
    record = RecordType((("a", ListType(String())), ("b", TupleType((U8(), F64())))))
    variant = VariantType((("x", None), ("y", OptionType(Char()))))
    assert items["r"] == record and record.fields[0] == ("a", ListType(String()))
    assert items["v"] == variant and variant.cases[0] == ("x", None)
    assert items["e"] == EnumType(("p", "q")) and items["e"].names == ["p", "q"]
    assert items["f"] == FlagsType(("m", "n")) != FlagsType(("m",))
    assert isinstance(items["res"], ResourceType)
    call = items["call"]
    assert isinstance(call, FuncType) and call.result == ResultType(Bool(), S64())
    own, lent = call.params[4][1], call.params[5][1]
    assert isinstance(own, OwnType) and isinstance(lent, BorrowType) and own.ty == lent.ty == items["res"]
    assert items["res"] != ResourceType.host(0)
    numbers = [ty for _, ty in imports["numbers"].params]
    assert numbers == [S8(), S16(), S32(), U16(), U32(), U64(), F32()] and imports["numbers"].result is None


COUNTERS = """
  (component
    (import "host" (instance $host
      (export "counter" (type $counter (sub resource)))
      (export "make" (func (param "n" u32) (result (own $counter))))
      (export "get" (func (param "c" (borrow $counter)) (result u32)))))
    (alias export $host "counter" (type $counter))
    (core func $make (canon lower (func $host "make")))
    (core func $get (canon lower (func $host "get")))
    (core func $drop (canon resource.drop $counter))
    (core module $m
      (import "" "make" (func $make (param i32) (result i32)))
      (import "" "get" (func $get (param i32) (result i32)))
      (import "" "drop" (func $drop (param i32)))
      (func (export "use") (param i32) (result i32) (local $c i32)
        (local.set $c (call $make (local.get 0)))
        (call $get (local.get $c))
        (call $drop (local.get $c)))
      (func (export "keep") (param i32) (result i32) (call $make (local.get 0)))
      (func (export "give") (param i32) (result i32) (call $get (local.get 0)) (call $drop (local.get 0)))
      (func (export "lend") (param i32) (result i32) (call $get (local.get 0)) (call $drop (local.get 0)))
      (func $fail (export "fail") (drop (i32.div_u (i32.const 1) (i32.const 0))))
      (func (export "spin") (loop br 0)))
    (core instance $i (instantiate $m (with "" (instance
      (export "make" (func $make)) (export "get" (func $get)) (export "drop" (func $drop))))))
    (func (export "use") (param "n" u32) (result u32) (canon lift (core func $i "use")))
    (func (export "keep") (param "n" u32) (result (own $counter)) (canon lift (core func $i "keep")))
    (func (export "give") (param "c" (own $counter)) (result u32) (canon lift (core func $i "give")))
    (func (export "lend") (param "c" (borrow $counter)) (result u32) (canon lift (core func $i "lend")))
    (func (export "fail") (canon lift (core func $i "fail")))
    (func (export "spin") (canon lift (core func $i "spin"))))"""
COUNTER = 7


class Counters:
    """The host's side."""

    def __init__(self, engine):
        self.dropped = []
        self.raises = None
        self.answers = None
        self.contexts = []
        self.linker = Linker(engine)
        with self.linker.root() as root, root.add_instance("host") as host:
            host.add_resource("counter", ResourceType.host(COUNTER), lambda _, rep: self.dropped.append(rep))
            host.add_func("make", lambda store, n: ResourceHost.own(n, COUNTER))
            host.add_func("get", self.get)

    def get(self, store, counter):
        self.contexts.append(store)
        if self.raises:
            raise self.raises
        assert not counter.owned and counter.type == ResourceType.host(COUNTER)
        host = counter.to_host(store)
        assert host.type == COUNTER and not host.owned
        return self.answers if self.answers is not None else 2 * host.rep


@pytest.fixture
def counters(engine):
    return Counters(engine)


@pytest.fixture
def instance(engine, store, counters):
    return counters.linker.instantiate(store, Component(engine, COUNTERS))


def test_functions_and_resources_of_the_host(instance, store, counters):
    assert instance.get_func(store, "use")(store, 21) == 42 and counters.dropped == [21]
    with pytest.raises(TypeError, match="still calling"):
        counters.contexts[0].data()


def test_a_resource_that_the_host_holds(instance, store, counters):
    keep = instance.get_func(store, "keep")
    kept = keep(store, 5)
    assert kept.owned and kept.type == ResourceType.host(COUNTER)
    kept.drop(store)
    assert counters.dropped == [5]
    with pytest.raises(Trap, match="unknown handle"):
        kept.drop(store)
    assert keep(store, 6).to_host(store).rep == 6
    with keep(store, 7) as closed:
        pass
    with pytest.raises(ValueError, match="closed"):
        closed.drop(store)


def test_resources_that_are_passed(instance, store, counters):
    give, lend = instance.get_func(store, "give"), instance.get_func(store, "lend")
    assert give(store, ResourceHost.own(4, COUNTER)) == 8 and counters.dropped == [4]
    assert lend(store, ResourceHost.borrow(5, COUNTER)) == 10 and counters.dropped == [4]
    own = ResourceHost.own(6, COUNTER).to_any(store)
    assert lend(store, own) == 12 and give(store, own) == 12 and counters.dropped == [4, 6]
    with pytest.raises(Exception, match="unknown handle"):
        give(store, own)


def test_resources_of_another_type(engine, store, counters):
    instance = counters.linker.instantiate(store, Component(engine, COUNTERS))
    with pytest.raises(CellwallError, match="mismatched resource types"):
        instance.get_func(store, "give")(store, ResourceHost.own(4, COUNTER + 1))
    with pytest.raises(TypeError, match="expected a ResourceAny or ResourceHost, got int"):
        instance.get_func(store, "give")(store, 4)


def test_resources_of_another_store(engine, instance, store):
    kept = instance.get_func(store, "keep")(store, 5)
    with Store(engine) as other, pytest.raises(CellwallError, match="another"):
        kept.drop(other)


def test_an_exception_comes_out_as_the_same_object(instance, store, counters):
    counters.raises = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        instance.get_func(store, "use")(store, 1)
    assert caught.value is counters.raises
    with pytest.raises(Trap, match="cannot enter"):
        instance.get_func(store, "use")(store, 1)


def test_a_wrong_result_of_a_host_function(instance, store, counters):
    counters.answers = "text"
    with pytest.raises(TypeError, match="the result: expected int, got str"):
        instance.get_func(store, "use")(store, 1)


def test_a_trap_has_frames(instance, store):
    with pytest.raises(Trap) as caught:
        instance.get_func(store, "fail")(store)
    assert caught.value.trap_code is TrapCode.INTEGER_DIVISION_BY_ZERO
    assert caught.value.frames[0].func_name == "fail"


def test_interruption(engine, instance, store):
    done = threading.Event()

    def interrupt():
        while not done.wait(0.005):
            engine.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Trap) as caught:
            instance.get_func(store, "spin")(store)
    finally:
        done.set()
        thread.join()
    assert caught.value.trap_code is TrapCode.INTERRUPT


def test_calls_that_are_wrong(instance, store, engine):
    use = instance.get_func(store, "use")
    for params in ((), (1, 2)):
        with pytest.raises(TypeError, match=f"given {len(params)}, expected 1"):
            use(store, *params)
    with Store(engine) as other, pytest.raises(ValueError, match="another store"):
        use(other, 1)
    with pytest.raises(TypeError):
        use(None, 1)
    assert use.type(store).params == [("n", U32())]
    use.post_return(store)
    store.close()
    with pytest.raises(ValueError, match="closed"):
        use(store, 1)


def test_exports(engine, instance, store, counters):
    assert instance.get_func(store, "nothing") is None and instance.get_export_index(store, "nothing") is None
    assert set(instance.exports(store)) == {"use", "keep", "give", "lend", "fail", "spin"}
    component = Component(engine, COUNTERS)
    index = component.get_export_index("use")
    assert instance.get_func(store, index) is None, "it is another component's"
    with Store(engine) as other:
        assert counters.linker.instantiate(other, component).get_func(other, index)(other, 1) == 2
    with pytest.raises(TypeError):
        instance.get_func(store, 5)


def test_linkers(engine, store, counters):
    component = Component(engine, COUNTERS)
    linker = Linker(engine)
    with pytest.raises(CellwallError, match="unknown import: the component imports `host`"):
        linker.instantiate(store, component)
    linker.define_unknown_imports_as_traps(component)
    with pytest.raises(CellwallError, match="`make` has not been defined"):
        linker.instantiate(store, component).get_func(store, "use")(store, 1)
    host = counters.linker.root().add_instance("host")
    with pytest.raises(CellwallError, match="`get` is already defined"):
        host.add_func("get", print)
    counters.linker.allow_shadowing = True
    assert counters.linker.allow_shadowing
    host.add_func("get", lambda store, counter: 99)
    assert counters.linker.instantiate(store, component).get_func(store, "use")(store, 1) == 99
    with pytest.raises(TypeError):
        host.add_func("x", 5)
    host.close()
    with pytest.raises(ValueError, match="closed"):
        host.add_func("x", print)
    linker.close()
    with pytest.raises(ValueError, match="closed"):
        linker.root()


def test_core_modules(engine, store):
    linker = Linker(engine)
    linker.root().add_module("m", Module(engine, '(module (func (export "f") (result i32) i32.const 42))'))
    component = Component(
        engine,
        """(component
          (import "m" (core module $m (export "f" (func (result i32)))))
          (core instance $i (instantiate $m))
          (func (export "f") (result u32) (canon lift (core func $i "f")))
          (export "m" (core module $m)))""",
    )
    instance = linker.instantiate(store, component)
    assert instance.get_func(store, "f")(store) == 42
    assert [export.name for export in instance.get_module(store, "m").exports] == ["f"]
    assert instance.get_module(store, "f") is None


def test_artifacts(engine, store, counters, tmp_path):
    component = Component(engine, COUNTERS)
    data = component.serialize()
    path = tmp_path / "counters.cwall"
    path.write_bytes(data)
    for loaded in (Component.deserialize(engine, data), Component.deserialize_file(engine, path)):
        assert counters.linker.instantiate(store, loaded).get_func(store, "use")(store, 3) == 6
    data[len(data) // 2] ^= 1
    with pytest.raises(CellwallError):
        Component.deserialize(engine, data)
    with pytest.raises(CellwallError) as caught:
        Component(engine, b"\0asm\1\0\0\0")
    assert caught.value.kind == "invalid" and caught.value.offset == 4
    Component.validate(engine, b"\0asm\x0d\0\1\0")
    with pytest.raises(CellwallError):
        Component.validate(engine, b"\0asm\1\0\0\0")
    text = tmp_path / "empty.wat"
    text.write_text("(component)")
    Component.from_file(engine, text).close()
    with pytest.raises(TypeError):
        Component(store, "(component)")
    component.close()
    with pytest.raises(ValueError, match="closed"):
        component.type


def test_reentrance(engine, store):
    linker = Linker(engine)
    inner = linker.instantiate(
        store,
        Component(
            engine,
            """(component (core module $m (func (export "f") (param i32) (result i32)
              (i32.add (local.get 0) (i32.const 1))))
              (core instance $i (instantiate $m))
              (func (export "f") (param "n" u32) (result u32) (canon lift (core func $i "f"))))""",
        ),
    ).get_func(store, "f")
    linker.root().add_func("f", lambda context, n: inner(context, n) * 10)
    outer = linker.instantiate(
        store,
        Component(
            engine,
            """(component (import "f" (func $f (param "n" u32) (result u32)))
              (core func $f' (canon lower (func $f)))
              (core module $m (import "" "f" (func $f (param i32) (result i32)))
                (func (export "f") (param i32) (result i32) (call $f (local.get 0))))
              (core instance $i (instantiate $m (with "" (instance (export "f" (func $f'))))))
              (func (export "f") (param "n" u32) (result u32) (canon lift (core func $i "f"))))""",
        ),
    ).get_func(store, "f")
    assert outer(store, 4) == 50


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_calls_do_not_grow(echo, instance, store):
    func, use = echo("$r", RECORD), instance.get_func(store, "use")
    value = Record(first_one=1, second=2)

    def calls():
        for _ in range(3000):
            func(store, value)
            use(store, 1)
        gc.collect()

    calls()
    before = resident()
    for _ in range(5):
        calls()
    assert resident() - before < 4 << 20


def test_compiling_does_not_grow(engine):
    def work():
        for _ in range(60):
            Component(engine, TYPES).close()
        gc.collect()

    work()
    before = resident()
    for _ in range(5):
        work()
    assert resident() - before < 4 << 20


def test_callbacks_are_given_back(engine):
    from cellwall.component import _linker

    gc.collect()
    before = len(_linker._callbacks)
    counters = Counters(engine)
    assert len(_linker._callbacks) == before + 3
    counters.linker.close()
    assert len(_linker._callbacks) == before


SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "tests" / "components"


def run(engine, component, wasi):
    """Runs a program, and answers what its `run` did."""
    linker = Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    with Store(engine) as store:
        store.set_wasi(wasi)
        instance = linker.instantiate(store, component)
        exports = instance.get_export_index(store, "wasi:cli/run@0.2.0")
        func = instance.get_func(store, instance.get_export_index(store, "run", exports))
        return func(store)


WASI = """
  (component
    (import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
    (import "wasi:cli/environment@0.2.0" (instance $env
      (export "get-arguments" (func (result (list string))))))
    (core module $mem (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3)))))
    (core instance $mem (instantiate $mem))
    (core func $exit (canon lower (func $exit "exit")))
    (core func $args (canon lower (func $env "get-arguments")
      (memory (core memory $mem "memory")) (realloc (core func $mem "realloc"))))
    (core module $m
      (import "" "exit" (func $exit (param i32))) (import "" "args" (func $args (param i32)))
      (func (export "args") (result i32) (call $args (i32.const 8)) i32.const 8)
      (func (export "fail") (call $exit (i32.const 1))))
    (core instance $i (instantiate $m (with "" (instance (export "exit" (func $exit)) (export "args" (func $args))))))
    (func (export "args") (result (list string)) (canon lift (core func $i "args")
      (memory (core memory $mem "memory"))))
    (func (export "fail") (canon lift (core func $i "fail"))))"""


def test_wasi(engine, store):
    linker = Linker(engine)
    linker.add_wasip2()
    with pytest.raises(CellwallError, match="already defined"):
        linker.add_wasip2()
    store.set_wasi_http()
    wasi = WasiConfig()
    wasi.argv = ["program", "ß"]
    store.set_wasi(wasi)
    instance = linker.instantiate(store, Component(engine, WASI))
    assert instance.get_func(store, "args")(store) == ["program", "ß"]
    with pytest.raises(ExitTrap) as caught:
        instance.get_func(store, "fail")(store)
    assert caught.value.code == 1


def test_grants_in_the_network():
    wasi = WasiConfig()
    wasi.allow_listen("127.0.0.1:8080")
    wasi.allow_connect("*.example.com:443")
    wasi.allow_http("example.com")
    wasi.allow_ip_name_lookup()
    wasi.allow_tcp(False)
    wasi.allow_udp(False)
    wasi.inherit_network()
    wasi.max_sockets(3)
    wasi.max_descriptors(10)
    wasi.max_http_bytes(1 << 20)
    wasi.allow_blocking(False)
    for allow, text in ((wasi.allow_listen, "example.com"), (wasi.allow_connect, "1.2.3.4/33"), (wasi.allow_http, "http://x/")):
        with pytest.raises(CellwallError, match="is no grant"):
            allow(text)



@pytest.mark.parametrize(
    "name, args, stdin, expected",
    [
        ("c-primes-p2", ["1000"], b"", "168 997\n"),
        ("rust-wordfreq-p2", [], b"the cat and the dog and the end", "    3 the\n"),
        ("js-cli-qjs-p2", ["a", "b"], b"", 'Hello from JavaScript ["a","b"]\n'),
    ],
)
def test_programs(engine, name, args, stdin, expected):
    """Programs of other compilers, where they are at hand."""
    path = SHARED / f"{name}.wasm"
    if not path.is_file():
        return
    wasi = WasiConfig()
    wasi.argv = [name, *args]
    wasi.stdin_bytes = stdin
    output, error = wasi.capture_stdout(), wasi.capture_stderr()
    try:
        assert run(engine, Component.from_file(engine, path), wasi) == Variant("ok")
    except ExitTrap as exit:
        assert exit.code == 0, error.contents()
    assert output.contents().decode().startswith(expected)


def test_everything_is_documented():
    import cellwall.component

    for name in cellwall.component.__all__:
        assert getattr(cellwall.component, name).__doc__ or name == "ComponentItem", name


def test_an_instance_in_many_stores(engine):
    from cellwall.component import InstancePre

    text = """(component (import "n" (func $n (result u32))) (core func $n' (canon lower (func $n)))
      (core module $m (import "" "n" (func $n (result i32))) (func (export "f") (result i32) call $n))
      (core instance $i (instantiate $m (with "" (instance (export "n" (func $n'))))))
      (func (export "f") (result u32) (canon lift (core func $i "f"))))"""
    component, linker = Component(engine, text), Linker(engine)
    with pytest.raises(CellwallError, match="n"):
        linker.instantiate_pre(component)
    with linker.root() as root:
        root.add_func("n", lambda store: store.data())
    pre = linker.instantiate_pre(component)
    linker.close()
    for number in range(3):
        with Store(engine, number) as store:
            assert pre.instantiate(store).get_func(store, "f")(store) == number
    with Store() as other, pytest.raises(CellwallError, match="engine"):
        pre.instantiate(other)
    for wrong in (lambda: InstancePre(), lambda: Linker(engine).instantiate_pre(text)):
        with pytest.raises(TypeError):
            wrong()
