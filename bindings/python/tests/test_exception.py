"""Tags and exceptions: thrown by guests and by functions of the host, caught, handed on, kept."""

import gc
import pickle

import pytest

from cellwall import (
    CellwallError,
    Engine,
    Exn,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Linker,
    Module,
    Store,
    Table,
    TableType,
    Tag,
    TagType,
    ThrownException,
    Trap,
    Val,
    ValType,
)

TYPE = TagType(FuncType([ValType.i32(), ValType.externref()], []))
GUEST = """(module $guest
  (import "" "failed" (tag $failed (param i32 externref)))
  (import "" "host" (func $host (param i32)))
  (func $fail (export "fail") (param i32 externref) (throw $failed (local.get 0) (local.get 1)))
  (func (export "pass") (param i32) (call $host (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $caught (result i32 externref)
      (try_table (catch $failed $caught) (call $host (local.get 0)))
      (return (i32.const -1)))
    drop)
  (func (export "keep") (param i32) (result exnref)
    (block $caught (result exnref)
      (try_table (catch_all_ref $caught) (call $host (local.get 0)))
      (ref.null exn)))
  (func (export "again") (param exnref) (throw_ref (local.get 0)))
  (tag (export "own") (param i64)))"""


@pytest.fixture
def failed(store):
    return Tag(store, TYPE)


@pytest.fixture
def guest(store, make, failed):
    """A guest whose host function does what it is told: `guest.host = lambda n: …`."""

    class Guest:
        host = staticmethod(lambda number: None)

    it = Guest()
    func = Func(store, FuncType([ValType.i32()], []), lambda number: it.host(number))
    it.exports = make(GUEST, [failed, func])
    return it


def test_a_guest_throws(store, guest, failed):
    thing = object()
    with pytest.raises(ThrownException) as caught:
        guest.exports["fail"](store, 7, thing)
    exn = caught.value.exception
    assert exn.tag == failed and exn.tag.eq(store, failed)
    assert exn.fields[0] == 7 and exn.fields[1] is thing
    assert [frame.func_name for frame in caught.value.frames] == ["fail"]
    # It is a trap for those who do not ask.
    assert isinstance(caught.value, Trap) and caught.value.trap_code is None
    assert "thrown" in str(caught.value) and "guest!fail" in str(caught.value)


def test_the_host_throws(store, guest, failed):
    def throw(number):
        raise ThrownException(Exn(store, failed, [number, "x"]))

    guest.host = throw
    assert guest.exports["catch"](store, 5) == 5
    with pytest.raises(ThrownException) as caught:
        guest.exports["pass"](store, 6)
    assert caught.value.exception.fields == [6, "x"]


def test_the_host_hands_on(store, guest):
    guest.host = lambda number: guest.exports["fail"](store, number, None)
    assert guest.exports["catch"](store, 8) == 8

    def again(number):
        try:
            guest.exports["fail"](store, number, None)
        except ThrownException as error:
            assert error.exception.fields == [number, None]
            raise

    guest.host = again
    assert guest.exports["catch"](store, 9) == 9


def test_the_host_handles(store, guest):
    def handle(number):
        with pytest.raises(ThrownException):
            guest.exports["fail"](store, number, None)

    guest.host = handle
    assert guest.exports["catch"](store, 1) == -1
    assert guest.exports["keep"](store, 1) is None


def test_what_is_no_exception_of_guests_is_not_caught(store, guest):
    def fail(number):
        raise KeyError(number)

    guest.host = fail
    with pytest.raises(KeyError):
        guest.exports["catch"](store, 1)
    guest.host = lambda number: guest.exports["again"](store, None)
    with pytest.raises(Trap) as trap:
        guest.exports["catch"](store, 1)
    assert not isinstance(trap.value, ThrownException)


def test_a_value(store, guest, failed):
    def throw(number):
        raise ThrownException(Exn(store, failed, [number, None]))

    guest.host = throw
    exn = guest.exports["keep"](store, 3)
    assert isinstance(exn, Exn) and exn.fields == [3, None]
    with pytest.raises(ThrownException) as caught:
        guest.exports["again"](store, exn)
    assert caught.value.exception == exn
    assert Exn(store, failed, [3, None]) != exn
    variable = Global(store, GlobalType(ValType.exnref(), True), None)
    assert variable.value(store) is None
    variable.set_value(store, exn)
    assert variable.value(store) == exn
    table = Table(store, TableType(ValType.exnref(), Limits(2)), exn)
    assert table.get(store, 1) == exn
    table.set(store, 1, None)
    assert table.get(store, 1) is None
    assert str(ValType.exnref()) == "exnref"


def test_types(store, guest, failed):
    assert failed.type(store) == TYPE
    assert TYPE.functype.params == [ValType.i32(), ValType.externref()]
    own = guest.exports["own"]
    assert isinstance(own, Tag)
    assert own.type(store) == TagType(FuncType([ValType.i64()], []))
    assert own != failed and Tag(store, TYPE) != failed
    module = Module(Engine(), GUEST)
    assert module.imports[0].type == TYPE
    assert [export.type for export in module.exports if export.name == "own"] == [own.type(store)]


def test_refused(engine, store, failed, make):
    with pytest.raises(CellwallError, match="2 values, not 1"):
        Exn(store, failed, [1])
    with pytest.raises(OverflowError):
        Exn(store, failed, [2**32, None])
    with pytest.raises(TypeError, match="value 1: expected an int"):
        Exn(store, failed, ["x", None])
    with pytest.raises(CellwallError, match="results"):
        Tag(store, TagType(FuncType([], [ValType.i32()])))
    for what in (None, FuncType([], [])):
        with pytest.raises(TypeError):
            Tag(store, what)
        with pytest.raises(TypeError):
            Exn(store, what)
        with pytest.raises(TypeError):
            ThrownException(what)
    with pytest.raises(TypeError):
        TagType([])
    with Store(engine) as other:
        tag = Tag(other, TYPE)
        with pytest.raises(ValueError, match="another store"):
            Exn(store, tag, [1, None])
        with pytest.raises(ValueError, match="another store"):
            make('(module (import "" "" (tag (param i32 externref))))', [tag])
        elsewhere = Exn(other, tag, [1, None])
        with pytest.raises(ValueError, match="another store"):
            Global(store, GlobalType(ValType.exnref(), True), elsewhere)
    with pytest.raises(ValueError, match="closed"):
        elsewhere.fields
    with pytest.raises(TypeError, match="expected an Exn"):
        Global(store, GlobalType(ValType.exnref(), True), object())
    with pytest.raises(CellwallError, match="incompatible import type"):
        make('(module (import "" "" (tag (param i64))))', [failed])


def test_an_exception_of_another_store_is_an_error(engine, store, guest):
    with Store(engine) as other:
        exn = Exn(other, Tag(other, TYPE), [1, None])

        def throw(number):
            raise ThrownException(exn)

        guest.host = throw
        with pytest.raises(ThrownException) as caught:
            guest.exports["catch"](store, 1)
        # Not of this guest, so like any exception of Python.
        assert caught.value.exception is exn


def test_at_the_start(engine, store, failed):
    text = """(module (import "" "t" (tag $t (param i32 externref)))
      (func $f (throw $t (i32.const 4) (ref.null extern))) (start $f))"""
    module = Module(engine, text)
    with pytest.raises(ThrownException) as caught:
        Instance(store, module, [failed])
    assert caught.value.exception.fields == [4, None]
    linker = Linker(engine)
    linker.define(store, "", "t", failed)
    assert linker.get(store, "", "t") == failed
    for make in (lambda: linker.instantiate(store, module), lambda: linker.instantiate_pre(module).instantiate(store)):
        with pytest.raises(ThrownException) as caught:
            make()
        assert caught.value.exception.tag == failed


def test_it_stays_in_its_store(engine):
    with Store(engine) as store:
        tag = Tag(store, TYPE)
        exn = Exn(store, tag, [1, "x"])
        error = ThrownException(exn)
        with pytest.raises(TypeError, match="leave its store"):
            pickle.dumps(error)
        assert Val.funcref(None).as_funcref() is None
    gc.collect()
    assert exn == exn and tag == tag
    with pytest.raises(ValueError, match="closed"):
        exn.tag
