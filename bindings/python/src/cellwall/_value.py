"""Values between Python and guest code."""

from __future__ import annotations

from typing import Any, Optional

from ._engine import State, Storelike, live
from ._error import CellwallError, failed
from ._lib import NULL, ffi, lib
from ._types import ValType

I32, I64, F32, F64, V128, EXTERNREF, FUNCREF, EXNREF, ANYREF = 0, 1, 2, 3, 4, 128, 129, 130, 131


def signed(value: Any, bits: int, what: str) -> int:
    """An integer of so many bits, given as a signed or an unsigned one."""
    if not isinstance(value, int):
        try:
            value = value.__index__()
        except AttributeError:
            raise TypeError(f"{what}: expected an int, got {type(value).__name__}") from None
    if not -(1 << (bits - 1)) <= value < 1 << bits:
        raise OverflowError(f"{what}: {value} does not fit into {bits} bits")
    return value - (1 << bits) if value >= 1 << (bits - 1) else value


def number(value: Any, what: str) -> float:
    """A float."""
    if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
        raise TypeError(f"{what}: expected a float, got {type(value).__name__}")
    return float(value)


def vector(value: Any, what: str) -> bytes:
    """The 16 bytes of a vector, the first lane first."""
    try:
        octets = bytes(memoryview(value).cast("B"))
    except TypeError:
        raise TypeError(f"{what}: expected 16 bytes, got {type(value).__name__}") from None
    if len(octets) != 16:
        raise ValueError(f"{what}: expected 16 bytes, got {len(octets)}")
    return octets


def _place(val: Any) -> Any:
    """The address of a value, which may be given by it."""
    return val if ffi.typeof(val).kind == "pointer" else ffi.addressof(val)


def write_val(state: State, val: Any, kind: int, value: Any, what: str) -> None:
    """Writes a value of this kind; a reference in it is owned by it."""
    if isinstance(value, Val):
        if value._kind != kind:
            raise TypeError(f"{what}: expected {kind_name(kind)}, got {value.type}")
        value = value.value
    val.kind = kind
    if kind == I32:
        val.of.i32 = signed(value, 32, what)
    elif kind == I64:
        val.of.i64 = signed(value, 64, what)
    elif kind == F32:
        val.of.f32 = number(value, what)
    elif kind == F64:
        val.of.f64 = number(value, what)
    elif kind == V128:
        lib.cellwall_val_set_v128(_place(val), vector(value, what))
    elif kind == FUNCREF:
        val.of.ref = func_ref(state, value, what)
    elif kind == EXNREF:
        val.of.ref = exn_ref(state, value, what)
    elif kind == ANYREF:
        val.of.ref = any_ref(state, value, what)
    elif value is None:
        val.of.ref = NULL
    else:
        val.of.ref = lib.wasm_ref_copy(foreign(state, value))


def func_ref(state: State, value: Any, what: str) -> Any:
    """An owned reference to a function, or null."""
    from ._func import Func

    if value is None:
        return NULL
    if not isinstance(value, Func):
        raise TypeError(f"{what}: expected a Func or None, got {type(value).__name__}")
    if value._state is not state:
        raise ValueError(f"{what}: the function belongs to another store")
    return lib.wasm_ref_copy(lib.wasm_func_as_ref(value._ptr))


def exn_ref(state: State, value: Any, what: str) -> Any:
    """An owned reference to an exception, or null."""
    from ._exception import Exn

    if value is None:
        return NULL
    if not isinstance(value, Exn):
        raise TypeError(f"{what}: expected an Exn or None, got {type(value).__name__}")
    if value._state is not state:
        raise ValueError(f"{what}: the exception belongs to another store")
    return lib.wasm_ref_copy(lib.cellwall_exn_as_ref(value._ptr))


def any_ref(state: State, value: Any, what: str) -> Any:
    """An owned reference to a number of 31 bits, or null."""
    if value is None:
        return NULL
    return lib.cellwall_i31_new(state.ptr, signed(value, 31, what) & 0x7FFFFFFF)


def foreign(state: State, value: Any) -> Any:
    """The reference that stands for an object of Python, in this store always the same one."""
    owner = state.numbers.get(id(value))
    if owner is None:
        made = lib.wasm_foreign_new(state.ptr)
        if made == NULL:
            raise failed("a reference cannot be made")
        owner = state.own(made, lib.wasm_foreign_delete)
        handle = len(state.objects) + 1
        lib.wasm_foreign_set_host_info(owner, ffi.cast("void *", handle))
        # Both keep the object alive, so that its identity stays its own.
        state.objects[handle] = value
        state.numbers[id(value)] = owner
    return lib.wasm_foreign_as_ref(owner)


def read_val(state: State, val: Any) -> Any:
    """The value; a reference in it stays the owner's."""
    kind = val.kind
    if kind == I32:
        return val.of.i32
    if kind == I64:
        return val.of.i64
    if kind == F32:
        return val.of.f32
    if kind == F64:
        return val.of.f64
    if kind == V128:
        octets = ffi.new("uint8_t[16]")
        lib.cellwall_val_v128(_place(val), octets)
        return bytes(octets)
    return read_ref(state, val.of.ref)


def read_ref(state: State, ref: Any) -> Any:
    """What a reference stands for; it stays the owner's."""
    from ._func import Func

    if ref == NULL:
        return None
    if lib.wasm_ref_as_func(ref) != NULL:
        return Func._of(state, lib.wasm_ref_as_func(lib.wasm_ref_copy(ref)))
    if lib.cellwall_ref_as_exn(ref) != NULL:
        from ._exception import Exn

        return Exn._of(state, lib.cellwall_ref_as_exn(lib.wasm_ref_copy(ref)))
    number = ffi.new("uint32_t *")
    if lib.cellwall_ref_i31(ref, number):
        return int(number[0])
    handle = int(ffi.cast("uintptr_t", lib.wasm_ref_get_host_info(ref)))
    if handle not in state.objects:
        raise CellwallError("a reference to something that Python did not make")
    return state.objects[handle]


def kind_name(kind: int) -> str:
    names = {
        I32: "i32",
        I64: "i64",
        F32: "f32",
        F64: "f64",
        V128: "v128",
        EXTERNREF: "externref",
        EXNREF: "exnref",
        ANYREF: "anyref",
    }
    return names.get(kind, "funcref")


class Val:
    """A value with its type, where Python's own values would leave it open."""

    __slots__ = ("_kind", "_value")

    def __init__(self, kind: int, value: Any):
        self._kind = kind
        self._value = value

    @classmethod
    def i32(cls, val: int) -> Val:
        return cls(I32, signed(val, 32, "i32"))

    @classmethod
    def i64(cls, val: int) -> Val:
        return cls(I64, signed(val, 64, "i64"))

    @classmethod
    def f32(cls, val: float) -> Val:
        return cls(F32, number(val, "f32"))

    @classmethod
    def f64(cls, val: float) -> Val:
        return cls(F64, number(val, "f64"))

    @classmethod
    def v128(cls, val: bytes) -> Val:
        return cls(V128, vector(val, "v128"))

    @classmethod
    def externref(cls, extern: Optional[Any]) -> Val:
        return cls(EXTERNREF, extern)

    @classmethod
    def funcref(cls, f: Optional[Any]) -> Val:
        return cls(FUNCREF, f)

    @classmethod
    def ref_null(cls, ty: ValType) -> Val:
        if ty._kind < EXTERNREF:
            raise CellwallError(f"{ty} is not a type of references")
        return cls(ty._kind, None)

    @property
    def value(self) -> Any:
        return self._value

    @property
    def type(self) -> ValType:
        return getattr(ValType, kind_name(self._kind))()

    def _as(self, kind: int) -> Any:
        return self._value if self._kind == kind else None

    def as_i32(self) -> Optional[int]:
        return self._as(I32)

    def as_i64(self) -> Optional[int]:
        return self._as(I64)

    def as_f32(self) -> Optional[float]:
        return self._as(F32)

    def as_f64(self) -> Optional[float]:
        return self._as(F64)

    def as_v128(self) -> Optional[bytes]:
        return self._as(V128)

    def as_externref(self) -> Optional[Any]:
        return self._as(EXTERNREF)

    def as_funcref(self) -> Optional[Any]:
        return self._as(FUNCREF)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Val) and (self._kind, self._value) == (other._kind, other._value)

    def __hash__(self) -> int:
        return hash(self._kind)

    def __repr__(self) -> str:
        return f"Val.{kind_name(self._kind)}({self._value!r})"


def default_val(kind: int) -> Any:
    """A zero or null of this kind."""
    val = ffi.new("wasm_val_t *")
    val.kind = kind
    return val


def one_val(store: Storelike, kind: int, value: Any, what: str) -> Any:
    """A value of C that is given back with the answer."""
    val = ffi.gc(default_val(kind), lib.wasm_val_delete)
    write_val(live(store), val, kind, value, what)
    return val
