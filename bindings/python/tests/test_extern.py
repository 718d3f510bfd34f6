"""Memories, tables, globals, exports."""

import ctypes

import pytest

from cellwall import (
    CellwallError,
    Func,
    FuncType,
    Global,
    GlobalType,
    Limits,
    Memory,
    MemoryType,
    Store,
    Table,
    TableType,
    ValType,
)


def memory(store, min=1, max=None):
    return Memory(store, MemoryType(Limits(min, max)))


def test_memory_size_and_growth(store):
    mem = memory(store, 1, 3)
    assert mem.type(store) == MemoryType(Limits(1, 3))
    assert (mem.size(store), mem.data_len(store), mem.page_size(store)) == (1, 65536, 65536)
    assert mem.grow(store, 2) == 1
    assert mem.size(store) == 3
    with pytest.raises(CellwallError, match="cannot grow"):
        mem.grow(store, 1)
    with pytest.raises(CellwallError):
        mem.grow(store, -1)


def test_memory_read_and_write(store):
    mem = memory(store)
    assert mem.write(store, b"hello", 10) == 5
    assert mem.read(store, 10, 15) == bytearray(b"hello")
    assert mem.read(store, -3) == bytearray(3)
    assert mem.write(store, bytearray(b"end"), -3) == 3
    assert mem.read(store, 65533, None) == b"end"
    assert mem.read(store, 5, 3) == b""
    assert len(mem.read(store)) == 65536


@pytest.mark.parametrize("at", [65534, 65537, -70000])
def test_memory_write_outside(store, at):
    with pytest.raises(IndexError):
        memory(store).write(store, b"xyz", at)


def test_memory_buffer(store):
    mem = memory(store, 1, 2)
    view = mem.buffer(store)
    assert len(view) == 65536 and not view.readonly
    view[0:3] = b"abc"
    assert mem.read(store, 0, 3) == b"abc"
    mem.grow(store, 1)
    view[3] = 100
    assert mem.read(store, 0, 4) == b"abcd"
    assert len(mem.buffer(store)) == 131072
    with pytest.raises(IndexError):
        view[65536]


def test_memory_buffer_outlives_its_store(engine):
    store = Store(engine)
    view = memory(store).buffer(store)
    view[7] = 7
    store.close()
    assert view[7] == 7 and view[8] == 0


def test_memory_pointers(store):
    mem = memory(store)
    mem.data_ptr(store)[5] = 55
    array = mem.get_buffer_ptr(store, 10, 0)
    assert isinstance(array, ctypes.Array) and array[5] == 55
    assert len(mem.get_buffer_ptr(store)) == 65536
    with pytest.raises(IndexError):
        mem.get_buffer_ptr(store, 10, 65530)


def test_memory_of_a_guest(make, store):
    exports = make('(module (memory (export "m") 1) (func (export "f") (result i32) (i32.load8_u (i32.const 3))))')
    exports["m"].write(store, b"\x09", 3)
    assert exports["f"](store) == 9


def test_memory_limits(engine):
    store = Store(engine)
    store.set_limits(memory_size=3 * 65536)
    mem = memory(store, 1)
    assert mem.grow(store, 2) == 1
    with pytest.raises(CellwallError):
        mem.grow(store, 1)
    store.close()


def test_memory_of_wrong_type(store):
    with pytest.raises(TypeError):
        Memory(store, Limits(1))
    with pytest.raises(CellwallError):
        memory(store, 70000)


def test_table(store):
    f = Func(store, FuncType([], [ValType.i32()]), lambda: 3)
    table = Table(store, TableType(ValType.funcref(), Limits(2, 4)), f)
    assert table.type(store) == TableType(ValType.funcref(), Limits(2, 4))
    assert table.size(store) == 2
    assert table.get(store, 1)(store) == 3
    table.set(store, 0, None)
    assert table.get(store, 0) is None
    assert table.grow(store, 2, f) == 2
    assert table.get(store, 3)(store) == 3
    with pytest.raises(CellwallError):
        table.grow(store, 1, None)
    with pytest.raises(TypeError):
        table.set(store, 0, 5)


@pytest.mark.parametrize("at", [-1, 2])
def test_table_outside(store, at):
    table = Table(store, TableType(ValType.funcref(), Limits(2)), None)
    with pytest.raises(IndexError):
        table.get(store, at)
    with pytest.raises(IndexError):
        table.set(store, at, None)


def test_table_of_objects(store):
    table = Table(store, TableType(ValType.externref(), Limits(2)), "first")
    thing = {"a": 1}
    table.set(store, 1, thing)
    assert table.get(store, 0) == "first" and table.get(store, 1) is thing


def test_table_called_by_a_guest(make, store):
    exports = make(
        """(module (table (export "t") 1 funcref) (type $t (func (result i32)))
             (func (export "f") (result i32) (call_indirect (type $t) (i32.const 0))))"""
    )
    exports["t"].set(store, 0, Func(store, FuncType([], [ValType.i32()]), lambda: 11))
    assert exports["f"](store) == 11


@pytest.mark.parametrize("ty,value", [("i32", -1), ("i64", 1 << 40), ("f32", 0.25), ("f64", 0.1)])
def test_global(store, ty, value):
    it = Global(store, GlobalType(getattr(ValType, ty)(), True), value)
    assert it.value(store) == value
    it.set_value(store, 1)
    assert it.value(store) == 1
    assert it.type(store) == GlobalType(getattr(ValType, ty)(), True)


def test_global_of_references(store):
    it = Global(store, GlobalType(ValType.externref(), True), None)
    assert it.value(store) is None
    it.set_value(store, [1])
    assert it.value(store) == [1]


def test_global_that_cannot_change(store):
    it = Global(store, GlobalType(ValType.i32(), False), 1)
    with pytest.raises(CellwallError, match="immutable"):
        it.set_value(store, 2)
    with pytest.raises(TypeError):
        Global(store, GlobalType(ValType.i32(), False), "1")


def test_global_shared_with_a_guest(make, store):
    it = Global(store, GlobalType(ValType.i32(), True), 4)
    exports = make(
        '(module (import "" "g" (global $g (mut i32))) (func (export "f") (global.set $g (i32.const 8))))', [it]
    )
    exports["f"](store)
    assert it.value(store) == 8


def test_exports_are_a_mapping(make, store):
    exports = make('(module (func (export "a")) (memory (export "b") 1) (global (export "c") i32 (i32.const 1)))')
    assert list(exports) == ["a", "b", "c"] and len(exports) == 3
    assert "a" in exports and "z" not in exports
    assert exports.by_index[2] is exports["c"]
    assert isinstance(exports["b"], Memory) and isinstance(exports["c"], Global)
    with pytest.raises(KeyError):
        exports["z"]
