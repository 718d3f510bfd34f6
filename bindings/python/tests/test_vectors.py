"""Vectors as values, and memories with 64-bit addresses."""

import pytest

from cellwall import (
    CellwallError,
    Func,
    FuncType,
    Global,
    GlobalType,
    Instance,
    Limits,
    Memory,
    MemoryType,
    Module,
    Val,
    ValType,
)

V128 = ValType.v128()
LANES = bytes(range(16))


def test_vectors_go_in_and_out(engine, store):
    text = '(module (func (export "f") (param v128 i32) (result v128) (i8x16.add (local.get 0) (i8x16.splat (local.get 1)))))'
    f = Instance(store, Module(engine, text), []).exports(store)["f"]
    assert f(store, LANES, 1) == bytes(range(1, 17))
    assert f(store, Val.v128(bytearray(16)), 255) == b"\xff" * 16
    assert f.type(store).params == [V128, ValType.i32()]
    with pytest.raises(ValueError, match="16 bytes, got 15"):
        f(store, LANES[1:], 1)
    with pytest.raises(TypeError, match="expected 16 bytes, got int"):
        f(store, 7, 1)


def test_vectors_in_callbacks_and_globals(engine, store):
    seen = []
    host = Func(store, FuncType([V128], [V128]), lambda v: seen.append(v) or v[::-1])
    text = '(module (import "" "" (func (param v128) (result v128))) (export "f" (func 0)))'
    f = Instance(store, Module(engine, text), [host]).exports(store)["f"]
    assert f(store, LANES) == LANES[::-1]
    assert seen == [LANES]
    value = Global(store, GlobalType(V128, True), LANES)
    assert value.value(store) == LANES
    value.set_value(store, bytes(16))
    assert value.value(store) == bytes(16)
    assert Val.v128(LANES).as_v128() == LANES
    assert str(Val.v128(LANES).type) == "v128"


def test_memories_with_64_bit_addresses(engine, store):
    ty = MemoryType(Limits(1, 2**40), is_64=True)
    memory = Memory(store, ty)
    assert memory.type(store) == ty
    assert memory.grow(store, 2) == 1
    assert memory.size(store) == 3
    text = '(module (import "" "" (memory i64 1 0x10000000000)) (func (export "f") (i32.store8 (i64.const 131072) (i32.const 7))))'
    Instance(store, Module(engine, text), [memory]).exports(store)["f"](store)
    assert memory.read(store, 131072, 131073) == b"\x07"
    with pytest.raises(CellwallError):
        Memory(store, MemoryType(Limits(3, 2)))
    assert MemoryType(Limits(1)) != MemoryType(Limits(1), is_64=True)
