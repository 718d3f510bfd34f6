"""Programs that break rules, or use everything in the wrong order: each gets an error, and later calls are as if nothing had been."""

import copy
import pickle
import sys
import threading
import weakref

import pytest

from cellwall import (
    CellwallError,
    Config,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    Store,
    Table,
    TableType,
    TagType,
    Trap,
    TrapCode,
    Val,
    ValType,
    WasiConfig,
    wat2wasm,
)
from cellwall.component import Component
from cellwall.component import Linker as ComponentLinker

CALLS = '(module (import "" "" (func $f)) (func (export "g") call $f))'


def test_an_engine_is_closed_before_what_it_made():
    engine = Engine()
    module = Module(engine, '(module (func (export "f") (result i32) i32.const 3))')
    component = Component(engine, "(component)")
    store = Store(engine)
    engine.close()
    engine.close()
    with pytest.raises(ValueError):
        engine.interrupt()
    with pytest.raises(ValueError):
        Store(engine)
    # Asks the engine for stores of its own.
    assert [export.name for export in module.exports] == ["f"]
    assert Module(Engine(), "(module)").imports == []
    assert bytes(module.serialize())
    assert component.serialize()
    assert Instance(store, module).exports(store)["f"](store) == 3


def test_a_store_is_closed_before_all_that_is_in_it(engine, store):
    text = """(module (memory (export "m") 1) (global (export "g") (mut i32) (i32.const 1))
        (table (export "t") 1 funcref) (func (export "f")))"""
    exports = Instance(store, Module(engine, text)).exports(store)
    memory, global_, table, func = (exports[name] for name in "mgtf")
    view = memory.buffer(store)
    view[0] = 7
    store.close()
    assert view[0] == 7
    for act in (
        lambda: func(store),
        lambda: func.type(store),
        lambda: memory.size(store),
        lambda: memory.grow(store, 1),
        lambda: memory.read(store),
        lambda: memory.write(store, b"x"),
        lambda: memory.data_ptr(store),
        lambda: global_.value(store),
        lambda: global_.set_value(store, 1),
        lambda: table.get(store, 0),
        lambda: table.set(store, 0, None),
        lambda: table.grow(store, 1, None),
        lambda: Instance(store, Module(engine, "(module)")),
        lambda: Func(store, FuncType([], []), print),
        lambda: Memory(store, MemoryType(Limits(1))),
        lambda: Linker(engine).instantiate(store, Module(engine, "(module)")),
        lambda: store.set_wasi(WasiConfig()),
        lambda: store.set_limits(),
        lambda: store.interrupt(),
    ):
        with pytest.raises(ValueError):
            act()
    assert "closed" in repr(func)


def test_a_store_cannot_be_closed_by_what_it_calls(store):
    func = Func(store, FuncType([], []), store.close)
    with pytest.raises(ValueError):
        func(store)


def test_recursion_through_the_host_ends_with_an_error(engine, store):
    back = Func(store, FuncType([ValType.i32()], [ValType.i32()]), lambda n: deep(store, n))
    text = """(module (import "" "" (func $back (param i32) (result i32)))
        (func (export "deep") (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (i32.add (i32.const 1) (call $back (i32.sub (local.get 0) (i32.const 1)))))
            (else (i32.const 0)))))"""
    deep = Instance(store, Module(engine, text), [back]).exports(store)["deep"]
    assert deep(store, 50) == 50
    before = sys.getrecursionlimit()
    for limit in range(200, 240):
        sys.setrecursionlimit(limit)
        try:
            with pytest.raises((RecursionError, Trap)):
                deep(store, 1000000)
        finally:
            sys.setrecursionlimit(before)
        assert deep(store, 50) == 50
    # What was raised then is forgotten.
    fails = Instance(store, Module(engine, '(module (func (export "f") unreachable))')).exports(store)["f"]
    with pytest.raises(Trap) as trap:
        fails(store)
    assert trap.value.trap_code == TrapCode.UNREACHABLE


def test_functions_made_by_many_threads_are_their_own(engine):
    module = Module(engine, '(module (import "" "" (func $f (result i32))) (func (export "g") (result i32) call $f))')
    wrong = []

    def work(number):
        with Store(engine) as store:
            for turn in range(50):
                value = number * 1000 + turn
                func = Func(store, FuncType([], [ValType.i32()]), lambda value=value: value)
                if Instance(store, module, [func]).exports(store)["g"](store) != value:
                    wrong.append(value)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []


def test_another_thread_gets_an_error(engine, store):
    inside, leave = threading.Event(), threading.Event()

    def wait():
        inside.set()
        leave.wait(30)

    func = Func(store, FuncType([], []), wait)
    thread = threading.Thread(target=lambda: func(store))
    thread.start()
    inside.wait(30)
    try:
        for act in (
            lambda: func(store),
            lambda: Memory(store, MemoryType(Limits(1))),
            lambda: store.set_limits(),
            lambda: Func(store, FuncType([], []), wait),
            lambda: Instance(store, Module(engine, "(module)")),
        ):
            with pytest.raises(CellwallError):
                act()
        with pytest.raises(ValueError):
            store.close()
    finally:
        leave.set()
        thread.join()


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), ValueError("x"), Trap("mine")])
def test_whatever_is_raised_comes_out(engine, store, error):
    def fails():
        raise error

    call = Instance(store, Module(engine, CALLS), [Func(store, FuncType([], []), fails)]).exports(store)["g"]
    with pytest.raises(type(error)) as raised:
        call(store)
    assert raised.value is error


@pytest.mark.parametrize(
    "results, value",
    [
        ([ValType.i32()], "x"),
        ([ValType.i32()], None),
        ([ValType.i32()], 1 << 40),
        ([], 5),
        ([ValType.i32(), ValType.i32()], [1]),
        ([ValType.i32(), ValType.i32()], 5),
        ([ValType.funcref()], 5),
        ([ValType.v128()], b"x"),
    ],
)
def test_results_of_a_wrong_type(store, results, value):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        Func(store, FuncType([], results), lambda: value)(store)


def test_what_is_no_module(engine):
    for make in (
        lambda: wat2wasm(5),
        lambda: Module(engine, 5),
        lambda: Module("engine", "(module)"),
        lambda: Module.validate(engine, "(module)"),
        lambda: Module.deserialize(engine, 5),
        lambda: Component.deserialize(engine, "x"),
        lambda: Component(engine, 5),
    ):
        with pytest.raises(TypeError):
            make()
    for make in (
        lambda: wat2wasm("(modul"),
        lambda: Module(engine, b"junk"),
        lambda: Module(engine, ""),
        lambda: Module(engine, "(component)"),
        lambda: Module.deserialize(engine, b""),
        lambda: Component(engine, "(module)"),
    ):
        with pytest.raises(CellwallError):
            make()
    artifact = Module(engine, '(module (func (export "f") (param i32) (result i32) local.get 0))').serialize()
    for size in range(0, len(artifact), 31):
        with pytest.raises(CellwallError):
            Module.deserialize(engine, artifact[:size])


@pytest.mark.parametrize(
    "value",
    [
        ValType.i32(),
        FuncType([ValType.i32()], []),
        Limits(1, 2),
        MemoryType(Limits(1)),
        TableType(ValType.funcref(), Limits(1, 2)),
        GlobalType(ValType.i32(), True),
        TagType(FuncType([], [])),
        Val.i32(3),
    ],
)
def test_plain_data_is_copied_and_pickled(value):
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert other == value and hash(other) == hash(value) and repr(other) == repr(value)


def test_errors_are_pickled_whole(engine, store):
    with pytest.raises(CellwallError) as error:
        Module(engine, b"\0asm\1\0\0\0\xff")
    other = pickle.loads(pickle.dumps(error.value))
    assert (str(other), other.kind, other.offset) == (str(error.value), error.value.kind, error.value.offset)
    with pytest.raises(Trap) as trap:
        Instance(store, Module(engine, '(module (func $f unreachable) (start $f))'))
    other = pickle.loads(pickle.dumps(trap.value))
    assert (other.message, other.trap_code) == (trap.value.message, TrapCode.UNREACHABLE)
    assert [frame.func_name for frame in other.frames] == ["f"]
    assert pickle.loads(pickle.dumps(ExitTrap(4))).code == 4
    for living in (engine, store, Module(engine, "(module)"), Linker(engine), Config()):
        with pytest.raises(TypeError):
            pickle.dumps(living)


def test_limits_and_configurations(engine, store):
    for act in (
        lambda: Limits(-1),
        lambda: store.set_limits(memory_size=1 << 70),
    ):
        with pytest.raises((ValueError, OverflowError)):
            act()
    for act in (
        lambda: Memory(store, MemoryType(Limits(70000))),
        lambda: Memory(store, MemoryType(Limits(3, 1))),
        lambda: Table(store, TableType(ValType.i32(), Limits(1)), None),
        lambda: Table(store, TableType(ValType.funcref(), Limits(5, 1)), None),
    ):
        with pytest.raises((CellwallError, ValueError, TypeError)):
            act()
    config = Config()
    Engine(config)
    with pytest.raises(ValueError):
        Engine(config)
    small = Config()
    small.max_wasm_stack = 1
    with pytest.raises(CellwallError):
        Engine(small)


def test_a_configuration_serves_one_store(engine):
    config = WasiConfig()
    with Store(engine) as store:
        store.set_wasi(config)
        with pytest.raises(ValueError):
            store.set_wasi(config)
    for act in (
        lambda config: setattr(config, "argv", ["a\0b"]),
        lambda config: setattr(config, "stdin_file", "/no such file"),
        lambda config: config.preopen_dir("/no such folder", "/x"),
        lambda config: config.allow_listen("no address at all!"),
    ):
        with pytest.raises((ValueError, CellwallError)):
            act(WasiConfig())


def test_a_function_that_takes_output_cannot_use_the_store(engine):
    text = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\02\\00\\00\\00") (data (i32.const 16) "hi")
        (func (export "f") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (func (export "g")))"""
    said = []

    def take(data):
        for act in (lambda: exports["g"](store), lambda: store.set_wasi(WasiConfig())):
            try:
                act()
            except CellwallError as error:
                said.append(str(error))

    linker = Linker(engine)
    linker.define_wasi()
    with Store(engine) as store:
        config = WasiConfig()
        config.stdout_custom = take
        store.set_wasi(config)
        exports = linker.instantiate(store, Module(engine, text)).exports(store)
        assert exports["f"](store) == 0
        exports["g"](store)
    assert len(said) == 2 and all("takes what its guest writes" in text for text in said)


def test_a_store_in_a_circle_is_collected(engine):
    import gc

    def make():
        store, box = Store(engine), []
        func = Func(store, FuncType([], []), lambda: box)
        box.append(Instance(store, Module(engine, CALLS), [func]).exports(store))
        return weakref.ref(store)

    made = [make() for _ in range(10)]
    gc.collect()
    assert all(store() is None for store in made)


def test_globals_take_values_of_their_type_only(store):
    number = Global(store, GlobalType(ValType.i64(), True), 5)
    number.set_value(store, -1)
    assert number.value(store) == -1
    for value in (1 << 64, "x", None):
        with pytest.raises((TypeError, OverflowError)):
            number.set_value(store, value)
    with Store(Engine()) as other:
        func = Func(other, FuncType([], []), print)
        ref = Global(store, GlobalType(ValType.funcref(), True), None)
        with pytest.raises(ValueError):
            ref.set_value(store, func)


def test_components_after_the_end(engine, store):
    text = """(component (core module $m (func (export "f") (result i32) i32.const 1)) (core instance $i (instantiate $m))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"""
    component = Component(engine, text)
    func = ComponentLinker(engine).instantiate(store, component).get_func(store, "f")
    assert func(store) == 1
    store.close()
    component.close()
    with pytest.raises(ValueError):
        func(store)
    with pytest.raises(ValueError):
        component.serialize()
