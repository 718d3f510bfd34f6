"""Memories that threads share, pages of one byte, and what engines and stores can be told."""

import threading

import pytest

from cellwall import (
    CellwallError,
    Config,
    Engine,
    FuncType,
    Instance,
    Limits,
    Linker,
    Memory,
    MemoryType,
    Module,
    SharedMemory,
    Store,
    Trap,
    TrapCode,
    WaitResult,
)

SHARED = MemoryType(Limits(1, 3), shared=True)


def test_a_shared_memory(engine):
    memory = SharedMemory(engine, SHARED)
    assert memory.type() == SHARED and memory.type().shared
    assert (memory.size(), memory.data_len()) == (1, 65536)
    assert memory.grow(1) == 1 and memory.size() == 2
    with pytest.raises(CellwallError, match="cannot grow by 2"):
        memory.grow(2)
    with pytest.raises(CellwallError, match="cannot grow by -1"):
        memory.grow(-1)
    assert memory.write(b"abc", 10) == 3
    assert memory.read(9, 14) == b"\0abc\0"
    assert memory.write(b"z", -1) == 1 and memory.read(-1) == b"z"
    assert memory.read(20, 10) == b""
    for start in (2 * 65536, -3 * 65536):
        with pytest.raises(IndexError):
            memory.write(b"a", start)


def test_what_is_no_shared_memory(engine, store):
    with pytest.raises(CellwallError, match="shared=True"):
        SharedMemory(engine, MemoryType(Limits(1, 2)))
    with pytest.raises(TypeError, match="SharedMemory"):
        Memory(store, SHARED)
    with pytest.raises(CellwallError):
        SharedMemory(engine, MemoryType(Limits(1, None), shared=True))
    with pytest.raises(TypeError):
        SharedMemory(store, SHARED)


def test_stores_on_threads_share_it(engine):
    memory = SharedMemory(engine, SHARED)
    module = Module(
        engine,
        """(module (memory (import "env" "m") 1 3 shared) (export "again" (memory 0))
          (func (export "add") (param $n i32)
            (loop $next
              (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
              (local.set $n (i32.sub (local.get $n) (i32.const 1)))
              (br_if $next (local.get $n)))))""",
    )

    def work():
        with Store(engine) as store:
            exports = Instance(store, module, [memory]).exports(store)
            assert exports["again"] == memory
            exports["add"](store, 10_000)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert int.from_bytes(memory.read(0, 4), "little") == 40_000


def test_through_a_linker(engine, store):
    memory = SharedMemory(engine, SHARED)
    linker = Linker(engine)
    linker.define(store, "env", "m", memory)
    module = Module(engine, '(module (memory (import "env" "m") 1 3 shared))')
    linker.instantiate(store, module)
    assert linker.get(store, "env", "m") == memory
    assert memory != SharedMemory(engine, SHARED)


def test_atomics_trap_by_name(make, store):
    exports = make(
        """(module (memory 1)
          (func (export "misaligned") (result i32) (i32.atomic.load (i32.const 1)))
          (func (export "wait") (result i32)
            (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0))))"""
    )
    for name, code in (
        ("misaligned", TrapCode.HEAP_MISALIGNED),
        ("wait", TrapCode.ATOMIC_WAIT_NON_SHARED_MEMORY),
    ):
        with pytest.raises(Trap) as caught:
            exports[name](store)
        assert caught.value.trap_code is code


def test_pages_of_one_byte(make, store):
    memory = make('(module (memory (export "m") 5 (pagesize 1)))')["m"]
    assert (memory.page_size(store), memory.size(store), memory.data_len(store)) == (1, 5, 5)
    memory = make('(module (memory (export "m") 5))')["m"]
    assert (memory.page_size(store), memory.data_len(store)) == (65536, 5 * 65536)


@pytest.mark.parametrize(
    "switch, text",
    [
        ("wasm_multi_memory", "(module (memory 1) (memory 1))"),
        ("wasm_memory64", "(module (memory i64 1))"),
        ("wasm_threads", "(module (memory 1 1 shared))"),
        ("wasm_custom_page_sizes", "(module (memory 1 (pagesize 1)))"),
    ],
)
def test_switches(switch, text, engine):
    Module(engine, text)
    config = Config()
    setattr(config, switch, False)
    with pytest.raises(CellwallError, match="turned off"):
        Module(Engine(config), text)


def test_canonical_nan():
    text = """(module (func (export "f") (param f32) (result i32)
      (i32.reinterpret_f32 (f32.mul (local.get 0) (f32.reinterpret_i32 (i32.const 0x7fc12345))))))"""
    config = Config()
    config.nan_canonicalization = True
    engine = Engine(config)
    with Store(engine) as store:
        assert Instance(store, Module(engine, text)).exports(store)["f"](store, 1.0) == 0x7FC00000


def test_one_store_is_interrupted():
    engine = Engine()
    module = Module(
        engine,
        '(module (import "" "" (func $f)) (func (export "spin") call $f (loop br 0)) (func (export "one")))',
    )
    started, done = threading.Event(), threading.Event()
    caught = []
    linker = Linker(engine)
    linker.define_func("", "", FuncType([], []), started.set)
    store, other = Store(engine), Store(engine)

    def spin():
        try:
            linker.instantiate(store, module).exports(store)["spin"](store)
        except Trap as trap:
            caught.append(trap.trap_code)
        done.set()

    threading.Thread(target=spin).start()
    started.wait()
    while not done.wait(0.005):
        store.interrupt()
    assert caught == [TrapCode.INTERRUPT]
    linker.instantiate(other, module).exports(other)["one"](other)
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.interrupt()


def test_threads_of_python_wait_and_notify(engine):
    memory = SharedMemory(engine, SHARED)
    assert memory.atomic_wait32(0, 1, 5) == WaitResult.MISMATCH
    assert memory.atomic_wait64(8, 0, 0.001) == WaitResult.TIMED_OUT
    assert memory.atomic_notify(0, 1) == 0
    ended = []
    threads = [threading.Thread(target=lambda: ended.append(memory.atomic_wait32(4, 0))) for _ in range(3)]
    for thread in threads:
        thread.start()
    woken = 0
    while woken < 2:
        woken += memory.atomic_notify(4, 2 - woken)
    assert woken == 2
    while woken < 3:
        woken += memory.atomic_notify(4, 10)
    for thread in threads:
        thread.join()
    assert ended == [WaitResult.OK] * 3
    for wait in (memory.atomic_wait32, memory.atomic_wait64):
        with pytest.raises(CellwallError, match="unaligned|multiple"):
            wait(2, 0, 0)
        with pytest.raises(CellwallError, match="out of bounds"):
            wait(65536, 0, 0)
    with pytest.raises(CellwallError, match="out of bounds"):
        memory.atomic_notify(3 * 65536, 1)


def test_a_guest_waits_for_python(engine):
    text = """(module (import "" "m" (memory 1 3 shared))
      (func (export "wait") (result i32) (memory.atomic.wait32 (i32.const 16) (i32.const 0) (i64.const -1))))"""
    memory = SharedMemory(engine, SHARED)
    ended = []

    def guest():
        with Store(engine) as store:
            ended.append(Instance(store, Module(engine, text), [memory]).exports(store)["wait"](store))

    thread = threading.Thread(target=guest)
    thread.start()
    while memory.atomic_notify(16, 1) == 0:
        pass
    thread.join()
    assert ended == [0]


def test_features_of_the_processor():
    config = Config()
    for feature in ("popcnt", "lzcnt", "bmi1", "bmi2", "avx", "avx2", "fma"):
        config.cpu_feature(feature, False)
    engine = Engine(config)
    with Store(engine) as store:
        f = Instance(store, Module(engine, "(module (func (export \"f\") (param i32) (result i32) (i32.popcnt (local.get 0))))"))
        assert f.exports(store)["f"](store, 0xFF) == 8
    with pytest.raises(CellwallError, match="popcnt, lzcnt"):
        Config().cpu_feature("sse9", True)
