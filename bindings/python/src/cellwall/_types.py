"""Types of values and of what is imported and exported: plain data."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Union

from ._lib import NULL, ffi, lib, text_of

#: In C, the maximum of a memory without one.
NO_MAXIMUM = 2**64 - 1

_NAMES = {
    0: "i32",
    1: "i64",
    2: "f32",
    3: "f64",
    4: "v128",
    128: "externref",
    129: "funcref",
    130: "exnref",
    131: "anyref",
}


class ValType:
    """Type of a value; made by `ValType.i32()` and its like."""

    __slots__ = ("_kind",)

    _kind: int

    def __init__(self) -> None:
        raise TypeError("made by ValType.i32(), ValType.i64(), …")

    @staticmethod
    def i32() -> ValType:
        return _VALTYPES[0]

    @staticmethod
    def i64() -> ValType:
        return _VALTYPES[1]

    @staticmethod
    def f32() -> ValType:
        return _VALTYPES[2]

    @staticmethod
    def f64() -> ValType:
        return _VALTYPES[3]

    @staticmethod
    def v128() -> ValType:
        return _VALTYPES[4]

    @staticmethod
    def externref() -> ValType:
        return _VALTYPES[128]

    @staticmethod
    def funcref() -> ValType:
        return _VALTYPES[129]

    @staticmethod
    def exnref() -> ValType:
        return _VALTYPES[130]

    @staticmethod
    def anyref() -> ValType:
        return _VALTYPES[131]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ValType) and self._kind == other._kind

    def __hash__(self) -> int:
        return hash(self._kind)

    def __str__(self) -> str:
        return _NAMES[self._kind]

    def __repr__(self) -> str:
        return f"ValType({_NAMES[self._kind]})"


def _valtype(kind: int) -> ValType:
    ty = object.__new__(ValType)
    ty._kind = kind
    return ty


_VALTYPES = {kind: _valtype(kind) for kind in _NAMES}


def valtype_of(ptr: Any) -> ValType:
    kind = lib.wasm_valtype_kind(ptr)
    if kind not in _VALTYPES:
        raise NotImplementedError(f"values of kind {kind} cannot be used from Python yet")
    return _VALTYPES[kind]


class _Data:
    """Compares, hashes and prints by its fields."""

    __slots__: tuple = ()

    def _fields(self) -> tuple:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._fields() == other._fields()  # type: ignore

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        names = (name.lstrip("_") for name in self.__slots__)
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(names, self._fields()))
        return f"{type(self).__name__}({fields})"


class Limits(_Data):
    """A least size, and a largest one or None."""

    __slots__ = ("min", "max")

    min: int
    max: Optional[int]

    def __init__(self, min: int, max: Optional[int] = None):
        if not 0 <= min < NO_MAXIMUM or (max is not None and not 0 <= max < NO_MAXIMUM):
            raise ValueError("limits are numbers of 64 bits")
        self.min = min
        self.max = max

    def to_c(self) -> Any:
        if self.min > 0xFFFFFFFF or (self.max or 0) >= 0xFFFFFFFF:
            raise ValueError("limits of tables are numbers of 32 bits")
        return ffi.new("wasm_limits_t *", (self.min, 0xFFFFFFFF if self.max is None else self.max))

    @staticmethod
    def of(limits: Any) -> Limits:
        return Limits(limits.min, None if limits.max == 0xFFFFFFFF else limits.max)


def _valtypes(types: Sequence[ValType]) -> tuple:
    types = tuple(types)
    for ty in types:
        if not isinstance(ty, ValType):
            raise TypeError(f"expected a ValType, got {ty!r}")
    return types


def _valtype_vec(types: Sequence[ValType]) -> Any:
    vec = ffi.new("wasm_valtype_vec_t *")
    lib.wasm_valtype_vec_new(vec, len(types), [lib.wasm_valtype_new(ty._kind) for ty in types])
    return vec


def _vec_types(vec: Any) -> tuple:
    return tuple(valtype_of(vec.data[number]) for number in range(vec.size))


class FuncType(_Data):
    """Type of a function."""

    __slots__ = ("_params", "_results")

    def __init__(self, params: Sequence[ValType], results: Sequence[ValType]):
        self._params = _valtypes(params)
        self._results = _valtypes(results)

    @property
    def params(self) -> List[ValType]:
        return list(self._params)

    @property
    def results(self) -> List[ValType]:
        return list(self._results)

    def to_c(self) -> Any:
        """An owned type of C, deleted with the answer."""
        ptr = lib.wasm_functype_new(_valtype_vec(self._params), _valtype_vec(self._results))
        return ffi.gc(ptr, lib.wasm_functype_delete)

    @staticmethod
    def of(ptr: Any) -> FuncType:
        return FuncType(_vec_types(lib.wasm_functype_params(ptr)), _vec_types(lib.wasm_functype_results(ptr)))


class GlobalType(_Data):
    """Type of a global."""

    __slots__ = ("content", "mutable")

    content: ValType
    mutable: bool

    def __init__(self, valtype: ValType, mutable: bool):
        (self.content,) = _valtypes([valtype])
        self.mutable = bool(mutable)

    def to_c(self) -> Any:
        ptr = lib.wasm_globaltype_new(lib.wasm_valtype_new(self.content._kind), int(self.mutable))
        return ffi.gc(ptr, lib.wasm_globaltype_delete)

    @staticmethod
    def of(ptr: Any) -> GlobalType:
        return GlobalType(valtype_of(lib.wasm_globaltype_content(ptr)), lib.wasm_globaltype_mutability(ptr) == 1)


class TableType(_Data):
    """Type of a table; limits are in elements."""

    __slots__ = ("element", "limits")

    element: ValType
    limits: Limits

    def __init__(self, valtype: ValType, limits: Limits):
        (self.element,) = _valtypes([valtype])
        if not isinstance(limits, Limits):
            raise TypeError("expected Limits")
        self.limits = limits

    def to_c(self) -> Any:
        ptr = lib.wasm_tabletype_new(lib.wasm_valtype_new(self.element._kind), self.limits.to_c())
        return ffi.gc(ptr, lib.wasm_tabletype_delete)

    @staticmethod
    def of(ptr: Any) -> TableType:
        return TableType(valtype_of(lib.wasm_tabletype_element(ptr)), Limits.of(lib.wasm_tabletype_limits(ptr)))


class MemoryType(_Data):
    """Type of a memory; limits are in pages of 64 KiB. With `is_64` its addresses have 64 bits."""

    __slots__ = ("limits", "is_64", "shared")

    limits: Limits
    is_64: bool
    #: Whether threads share it.
    shared: bool

    def __init__(self, limits: Limits, is_64: bool = False, shared: bool = False):
        if not isinstance(limits, Limits):
            raise TypeError("expected Limits")
        self.limits = limits
        self.is_64 = bool(is_64)
        self.shared = bool(shared)

    def to_c(self) -> Any:
        maximum = NO_MAXIMUM if self.limits.max is None else self.limits.max
        ptr = lib.cellwall_memorytype_new(self.limits.min, maximum, self.is_64, self.shared)
        if ptr == NULL:
            from ._error import failed

            raise failed(f"there is no memory with {self.limits}")
        return ffi.gc(ptr, lib.wasm_memorytype_delete)

    @staticmethod
    def of(ptr: Any) -> MemoryType:
        maximum = lib.cellwall_memorytype_max(ptr)
        limits = Limits(lib.cellwall_memorytype_min(ptr), None if maximum == NO_MAXIMUM else maximum)
        return MemoryType(limits, lib.cellwall_memorytype_is_64(ptr), lib.cellwall_memorytype_is_shared(ptr))


class TagType(_Data):
    """Type of a tag: that of a function whose parameters are the values of its exceptions."""

    __slots__ = ("functype",)

    functype: FuncType

    def __init__(self, functype: FuncType):
        if not isinstance(functype, FuncType):
            raise TypeError("expected a FuncType")
        self.functype = functype

    def to_c(self) -> Any:
        functype = self.functype.to_c()
        ptr = lib.wasm_tagtype_new(lib.wasm_functype_copy(functype))
        return ffi.gc(ptr, lib.wasm_tagtype_delete)

    @staticmethod
    def of(ptr: Any) -> TagType:
        return TagType(FuncType.of(lib.wasm_tagtype_functype(ptr)))


AsExternType = Union[FuncType, GlobalType, TableType, MemoryType, TagType]


def externtype_of(ptr: Any) -> AsExternType:
    kind = lib.wasm_externtype_kind(ptr)
    if kind == 0:
        return FuncType.of(lib.wasm_externtype_as_functype_const(ptr))
    if kind == 1:
        return GlobalType.of(lib.wasm_externtype_as_globaltype_const(ptr))
    if kind == 2:
        return TableType.of(lib.wasm_externtype_as_tabletype_const(ptr))
    if kind == 3:
        return MemoryType.of(lib.wasm_externtype_as_memorytype_const(ptr))
    if kind == 4:
        return TagType.of(lib.wasm_externtype_as_tagtype_const(ptr))
    raise NotImplementedError(f"externals of kind {kind} cannot be used from Python yet")


class ImportType(_Data):
    """What a module imports."""

    __slots__ = ("module", "name", "type")

    module: str
    name: str
    type: AsExternType

    def __init__(self, ptr: Any):
        self.module = text_of(lib.wasm_importtype_module(ptr))
        self.name = text_of(lib.wasm_importtype_name(ptr))
        self.type = externtype_of(lib.wasm_importtype_type(ptr))


class ExportType(_Data):
    """What a module exports."""

    __slots__ = ("name", "type")

    name: str
    type: AsExternType

    def __init__(self, ptr: Any):
        self.name = text_of(lib.wasm_exporttype_name(ptr))
        self.type = externtype_of(lib.wasm_exporttype_type(ptr))


__all__ = [
    "AsExternType",
    "ExportType",
    "FuncType",
    "GlobalType",
    "ImportType",
    "Limits",
    "MemoryType",
    "NULL",
    "TableType",
    "TagType",
    "ValType",
]
