"""Functions: calls, callbacks, traps, interruption."""

import gc
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from cellwall import (
    Caller,
    CellwallError,
    Engine,
    Func,
    FuncType,
    Instance,
    Memory,
    Module,
    Store,
    Trap,
    TrapCode,
    Val,
    ValType,
)

I32, I64, F32, F64 = ValType.i32(), ValType.i64(), ValType.f32(), ValType.f64()
EXTERNREF, FUNCREF = ValType.externref(), ValType.funcref()


def test_numbers(make, store):
    exports = make(
        """(module
             (func (export "i32") (param i32) (result i32) local.get 0)
             (func (export "i64") (param i64) (result i64) local.get 0)
             (func (export "f32") (param f32) (result f32) local.get 0)
             (func (export "f64") (param f64) (result f64) local.get 0))"""
    )
    for name, value in [("i32", 7), ("i32", -(2**31)), ("i64", 2**63 - 1), ("f32", 0.5), ("f64", 0.1)]:
        assert exports[name](store, value) == value
    assert exports["i32"](store, 2**32 - 1) == -1
    assert exports["i64"](store, 2**64 - 1) == -1
    assert exports["f32"](store, 0.1) != 0.1
    assert math.isnan(exports["f64"](store, math.nan))
    assert exports["f64"](store, 3) == 3.0
    assert exports["f32"](store, 1e300) == math.inf


def test_values_that_do_not_fit(make, store):
    exports = make(
        '(module (func (export "i") (param i32)) (func (export "l") (param i64)) (func (export "f") (param f64)))'
    )
    for name, value, error in [
        ("i", 2**32, OverflowError),
        ("i", -(2**31) - 1, OverflowError),
        ("i", "1", TypeError),
        ("i", 1.5, TypeError),
        ("i", None, TypeError),
        ("l", 2**64, OverflowError),
        ("f", "1", TypeError),
    ]:
        with pytest.raises(error, match="parameter 1"):
            exports[name](store, value)


def test_number_of_parameters(make, store):
    f = make('(module (func (export "f") (param i32 i32)))')["f"]
    assert f(store, 1, 2) is None
    with pytest.raises(CellwallError, match="too few parameters"):
        f(store, 1)
    with pytest.raises(CellwallError, match="too many parameters"):
        f(store, 1, 2, 3)


def test_several_results(make, store):
    f = make('(module (func (export "f") (result i32 f64 i64) i32.const 1 f64.const 2 i64.const 3))')["f"]
    assert f(store) == [1, 2.0, 3]


def test_many_parameters_and_results(make, store):
    count = 12
    gets = " ".join(f"local.get {n}" for n in range(count))
    types = "i32 " * count
    f = make(f'(module (func (export "f") (param {types}) (result {types}) {gets}))')["f"]
    assert f(store, *range(count)) == list(range(count))
    with pytest.raises(OverflowError, match="parameter 12"):
        f(store, *range(count - 1), 2**40)


def test_val(make, store):
    f = make('(module (func (export "f") (param i32) (result i32) local.get 0))')["f"]
    assert f(store, Val.i32(5)) == 5
    assert Val.i64(3).as_i64() == 3 and Val.i64(3).as_i32() is None
    assert Val.f32(1).type == F32 and Val.ref_null(FUNCREF).value is None
    assert Val.i32(1) == Val.i32(1) and Val.i32(1) != Val.i64(1)
    with pytest.raises(OverflowError):
        Val.i32(2**40)
    with pytest.raises(CellwallError):
        Val.ref_null(I32)


def test_type(make, store):
    f = make('(module (func (export "f") (param i32 f32) (result i64) i64.const 0))')["f"]
    assert f.type(store) == FuncType([I32, F32], [I64])


def test_host_function(make, store):
    seen = []

    def add(a, b):
        seen.append((a, b))
        return a + b

    f = Func(store, FuncType([I32, F64], [F64]), add)
    exports = make(
        """(module (import "" "f" (func $f (param i32 f64) (result f64)))
             (func (export "g") (result f64) (call $f (i32.const -3) (f64.const 0.5))))""",
        [f],
    )
    assert exports["g"](store) == -2.5
    assert seen == [(-3, 0.5)]
    assert f(store, 1, 2.0) == 3.0


def test_host_function_with_several_results(make, store):
    f = Func(store, FuncType([], [I32, I64]), lambda: (1, 2))
    exports = make(
        '(module (import "" "f" (func $f (result i32 i64))) (func (export "g") (result i32 i64) call $f))', [f]
    )
    assert exports["g"](store) == [1, 2]


@pytest.mark.parametrize("answer", [None, "1", 2**40, (1, 2)])
def test_host_function_with_a_wrong_result(make, store, answer):
    f = Func(store, FuncType([], [I32]), lambda: answer)
    exports = make('(module (import "" "f" (func $f (result i32))) (func (export "g") (drop (call $f))))', [f])
    with pytest.raises((TypeError, OverflowError), match="the result"):
        exports["g"](store)


def test_host_function_without_results_returns_none(make, store):
    f = Func(store, FuncType([], []), lambda: 1)
    exports = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [f])
    with pytest.raises(TypeError, match="without results"):
        exports["g"](store)


def test_an_exception_comes_out_as_it_went_in(make, store):
    class Mine(Exception):
        pass

    error = Mine("here")

    def fail():
        raise error

    f = Func(store, FuncType([], []), fail)
    exports = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [f])
    for _ in range(3):
        with pytest.raises(Mine) as raised:
            exports["g"](store)
        assert raised.value is error
    ok = make('(module (func (export "trap") unreachable))')
    with pytest.raises(Trap):
        ok["trap"](store)


def test_an_exception_through_two_layers(make, store):
    def inner():
        raise KeyError("inner")

    inner_func = Func(store, FuncType([], []), inner)
    first = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [inner_func])
    caught = []

    def outer():
        try:
            first["g"](store)
        except KeyError as error:
            caught.append(error)
            raise ValueError("outer") from error

    outer_func = Func(store, FuncType([], []), outer)
    second = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [outer_func])
    with pytest.raises(ValueError, match="outer"):
        second["g"](store)
    assert len(caught) == 1


def test_a_caught_exception_is_gone(make, store):
    def fail():
        raise KeyError("inner")

    f = Func(store, FuncType([], []), fail)
    first = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [f])

    def outer():
        try:
            first["g"](store)
        except KeyError:
            pass

    g = Func(store, FuncType([], []), outer)
    second = make('(module (import "" "f" (func $f)) (func (export "g") call $f unreachable))', [g])
    with pytest.raises(Trap) as trap:
        second["g"](store)
    assert trap.value.trap_code == TrapCode.UNREACHABLE


def test_caller(make, store):
    kept = []

    def read(caller, at, size):
        memory = caller["memory"]
        assert isinstance(caller, Caller) and isinstance(memory, Memory)
        assert caller.get("nothing") is None
        with pytest.raises(KeyError):
            caller["nothing"]
        kept.append(caller)
        return len(memory.read(caller, at, at + size).decode())

    f = Func(store, FuncType([I32, I32], [I32]), read, access_caller=True)
    exports = make(
        """(module (import "" "f" (func $f (param i32 i32) (result i32)))
             (memory (export "memory") 1) (data (i32.const 8) "h\\c3\\a9")
             (func (export "g") (result i32) (call $f (i32.const 8) (i32.const 3))))""",
        [f],
    )
    assert exports["g"](store) == 2
    with pytest.raises(TypeError):
        exports["memory"].size(kept[0])


def test_recursion_through_the_host(make, store):
    holder = {}

    def down(n):
        return 0 if n == 0 else holder["g"](store, n - 1) + 1

    f = Func(store, FuncType([I32], [I32]), down)
    exports = make(
        '(module (import "" "f" (func $f (param i32) (result i32)))'
        ' (func (export "g") (param i32) (result i32) (call $f (local.get 0))))',
        [f],
    )
    holder["g"] = exports["g"]
    assert exports["g"](store, 20) == 20


def test_references(make, store):
    exports = make(
        """(module
             (func (export "same") (param externref) (result externref) local.get 0)
             (func (export "func") (param funcref) (result funcref) local.get 0)
             (func (export "is_null") (param externref) (result i32) (ref.is_null (local.get 0))))"""
    )
    thing = object()
    assert exports["same"](store, thing) is thing
    assert exports["same"](store, None) is None
    assert exports["is_null"](store, None) == 1
    assert exports["is_null"](store, 0) == 0
    f = Func(store, FuncType([], [I32]), lambda: 9)
    assert exports["func"](store, f)(store) == 9
    assert exports["func"](store, None) is None
    with pytest.raises(TypeError, match="expected a Func or None"):
        exports["func"](store, 3)


def test_a_function_of_another_store_is_refused(engine, make, store):
    f = make('(module (func (export "f") (param funcref)))')["f"]
    with Store(engine) as other:
        stranger = Func(other, FuncType([], []), lambda: None)
        with pytest.raises(ValueError, match="another store"):
            f(store, stranger)
        with pytest.raises(ValueError, match="another store"):
            f(other, None)
    with pytest.raises(ValueError, match="closed"):
        stranger(other)
    with pytest.raises(TypeError):
        f(None, None)


TRAPS = [
    ("unreachable", TrapCode.UNREACHABLE),
    ("(drop (i32.load (i32.const 70000)))", TrapCode.MEMORY_OUT_OF_BOUNDS),
    ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapCode.INTEGER_DIVISION_BY_ZERO),
    ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapCode.INTEGER_OVERFLOW),
    ("(drop (i32.trunc_f32_s (f32.const nan)))", TrapCode.BAD_CONVERSION_TO_INTEGER),
    ("(call_indirect (type $t) (i32.const 0))", TrapCode.INDIRECT_CALL_TO_NULL),
    ("(call_indirect (type $t) (i32.const 9))", TrapCode.TABLE_OUT_OF_BOUNDS),
    ("(call_indirect (type $u) (i32.const 1) (i32.const 1))", TrapCode.BAD_SIGNATURE),
    ("(call $f)", TrapCode.STACK_OVERFLOW),
]


@pytest.mark.parametrize("body,code", TRAPS, ids=[code.name for _, code in TRAPS])
def test_traps(make, store, body, code):
    exports = make(
        f"""(module $m (type $t (func)) (type $u (func (param i32))) (memory 1)
              (table 2 funcref) (elem (i32.const 1) $none)
              (func $none) (func $f (export "f") {body}))"""
    )
    with pytest.raises(Trap) as trap:
        exports["f"](store)
    assert trap.value.trap_code == code
    assert trap.value.message


def test_frames(make, store):
    exports = make(
        '(module $name (func $inner unreachable) (func $outer (export "f") call $inner i32.const 0 drop))'
    )
    with pytest.raises(Trap) as trap:
        exports["f"](store)
    frames = trap.value.frames
    assert [frame.func_name for frame in frames] == ["inner", "outer"]
    assert [frame.func_index for frame in frames] == [0, 1]
    assert frames[0].module_name == "name"
    assert 0 < frames[0].func_offset < frames[0].module_offset
    assert "name!inner" in str(trap.value)


def test_a_trap_of_the_host(make, store):
    def fail():
        raise Trap("mine")

    f = Func(store, FuncType([], []), fail)
    exports = make('(module (import "" "f" (func $f)) (func (export "g") call $f))', [f])
    with pytest.raises(Trap, match="mine") as trap:
        exports["g"](store)
    assert trap.value.trap_code is None
    with pytest.raises(TypeError):
        Trap(3)


def test_start_that_traps(engine, store):
    module = Module(engine, "(module (func $f unreachable) (start $f))")
    with pytest.raises(Trap) as trap:
        Instance(store, module)
    assert trap.value.trap_code == TrapCode.UNREACHABLE


def test_imports_that_do_not_fit(engine, store):
    module = Module(engine, '(module (import "" "f" (func (param i32))))')
    f = Func(store, FuncType([], []), lambda: None)
    for imports in ([], [f, f], [f], [3]):
        with pytest.raises((CellwallError, TypeError)):
            Instance(store, module, imports)


def test_interrupt_from_a_thread(engine, make, store):
    f = make('(module (func (export "f") (loop br 0)))')["f"]
    done = threading.Event()

    def interrupt():
        while not done.wait(0.02):
            engine.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Trap) as trap:
            f(store)
    finally:
        done.set()
        thread.join()
    assert trap.value.trap_code == TrapCode.INTERRUPT


@pytest.fixture
def ctrl_c():
    """Python's own handler of SIGINT, which is not there where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_keyboard_interrupt_in_guest_code(engine, make, store, ctrl_c):
    f = make('(module (func (export "f") (loop br 0)))')["f"]
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    # A failure should not be a hang.
    last = threading.Timer(30, engine.interrupt)
    last.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            f(store)
    finally:
        last.cancel()
    assert make('(module (func (export "g") (result i32) i32.const 1))')["g"](store) == 1


def test_keyboard_interrupt_at_once():
    code = """
import os, signal, sys
from cellwall import *
signal.signal(signal.SIGINT, signal.default_int_handler)
engine = Engine(); store = Store(engine)
def stop():
    os.kill(os.getpid(), signal.SIGINT)
stop = Func(store, FuncType([], []), stop)
module = Module(engine, '(module (import "" "s" (func $s)) (func (export "f") call $s (loop br 0)))')
f = Instance(store, module, [stop]).exports(store)["f"]
try:
    f(store)
except KeyboardInterrupt:
    sys.exit(7)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 7


def test_other_signals_still_arrive(make, store):
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        f = make('(module (func (export "f") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))')
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        end = time.monotonic() + 10
        while not seen and time.monotonic() < end:
            f["f"](store, 1_000_000)
        assert seen == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_another_thread_cannot_enter_a_running_store(engine, make, store):
    running, result = threading.Event(), []

    def wait():
        running.set()
        time.sleep(0.3)

    f = Func(store, FuncType([], []), wait)
    exports = make('(module (import "" "f" (func $f)) (func (export "g") call $f) (func (export "h")))', [f])

    def enter():
        running.wait()
        try:
            exports["h"](store)
        except CellwallError as error:
            result.append(str(error))
        try:
            store.close()
        except ValueError as error:
            result.append(str(error))

    thread = threading.Thread(target=enter)
    thread.start()
    exports["g"](store)
    thread.join()
    assert len(result) == 2 and "another thread" in result[0] and "cannot be closed" in result[1]
    exports["h"](store)


def test_a_store_in_another_thread(engine):
    result = []

    def work():
        with Store(engine) as store:
            module = Module(engine, '(module (func (export "f") (result i32) i32.const 5))')
            result.append(Instance(store, module).exports(store)["f"](store))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert result == [5]


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_a_million_calls_do_not_grow(make, store):
    count = [0]

    def step(n):
        count[0] += 1
        return n

    f = Func(store, FuncType([I32], [I32]), step)
    exports = make(
        """(module (import "" "f" (func $f (param i32) (result i32)))
             (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
             (func (export "same") (param externref) (result externref) local.get 0)
             (func (export "trap") unreachable)
             (func (export "many") (param i32)
               (loop (drop (call $f (local.get 0)))
                 (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))""",
        [f],
    )
    thing = object()

    def calls(number):
        for n in range(number):
            exports["add"](store, n, 1)
        for n in range(number // 100):
            exports["same"](store, thing)
            try:
                exports["trap"](store)
            except Trap:
                pass
        exports["many"](store, number // 10)
        gc.collect()

    calls(50_000)
    before = resident()
    calls(1_000_000)
    assert resident() - before < 4 << 20
    assert count[0] == 105_000


def test_stores_come_and_go_without_growth(engine):
    module = Module(
        engine,
        '(module (import "" "f" (func $f)) (memory (export "m") 1) (func (export "g") call $f))',
    )

    def use():
        with Store(engine) as store:
            data = bytearray(10_000)
            f = Func(store, FuncType([], []), lambda: len(data) and None)
            exports = Instance(store, module, [f]).exports(store)
            exports["g"](store)
            exports["m"].write(store, b"x" * 1000)

    for _ in range(200):
        use()
    gc.collect()
    before = resident()
    for _ in range(2000):
        use()
    gc.collect()
    assert resident() - before < 4 << 20


def test_engine_defaults():
    store = Store()
    assert store.data() is None
    assert Store(Engine(), 5).data() == 5
    store.close()
    store.close()
    with pytest.raises(ValueError):
        Func(store, FuncType([], []), lambda: None)
