"""Numbers of 31 bits as references: integers in Python."""

import pytest

from cellwall import Func, FuncType, Global, GlobalType, Instance, Limits, Module, Table, TableType, Trap, TrapCode, ValType

ANY = ValType.anyref()
GUEST = """(module
  (import "" "host" (func $host (param anyref) (result anyref)))
  (func (export "read") (param i31ref) (result i32) (i31.get_s (local.get 0)))
  (func (export "cast") (param anyref) (result (ref i31)) (ref.cast (ref i31) (local.get 0)))
  (func (export "ask") (param i32) (result i32)
    (i31.get_u (ref.cast i31ref (call $host (ref.i31 (local.get 0)))))))"""


def test_numbers_go_in_and_out(engine, store):
    seen = []
    host = Func(store, FuncType([ANY], [ANY]), lambda number: seen.append(number) or 9)
    exports = Instance(store, Module(engine, GUEST), [host]).exports(store)
    assert exports["read"](store, -1) == -1
    assert exports["read"](store, 2**31 - 1) == -1
    assert exports["cast"](store, -1) == 2**31 - 1
    assert exports["ask"](store, 5) == 9 and seen == [5]
    with pytest.raises(Trap) as caught:
        exports["read"](store, None)
    assert caught.value.trap_code is TrapCode.NULL_I31_REF
    with pytest.raises(Trap) as caught:
        exports["cast"](store, None)
    assert caught.value.trap_code is TrapCode.CAST_FAILURE
    with pytest.raises(OverflowError, match="does not fit into 31 bits"):
        exports["read"](store, 2**31)
    with pytest.raises(TypeError, match="expected an int"):
        exports["read"](store, "7")


def test_numbers_in_globals_and_tables(store):
    variable = Global(store, GlobalType(ANY, True), 7)
    assert variable.value(store) == 7
    variable.set_value(store, None)
    assert variable.value(store) is None
    table = Table(store, TableType(ANY, Limits(2)), 3)
    table.set(store, 1, 4)
    assert (table.get(store, 0), table.get(store, 1)) == (3, 4)
    assert str(ANY) == "anyref"
