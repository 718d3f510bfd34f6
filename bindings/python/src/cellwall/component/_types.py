"""Interface types, and how their values are those of Python.

| type | Python |
|---|---|
| `bool` | bool |
| integers, `f32`, `f64` | int, float |
| `char`, `string`, `enum` | str |
| `list<u8>`, `list<t>` | bytes, list |
| `record`, `tuple` | Record, tuple |
| `flags` | set of str |
| `map<k, v>` | dict |
| `variant`, `option`, `result` | the payload, None for a case without one; as a Variant where the payloads of two cases may be of the same Python type |
| `own`, `borrow` | ResourceAny |

Values are checked when they are passed: a TypeError says what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple, Type, Union

from .._engine import Engine, State
from .._lib import NULL, ffi, lib
from ._resource import ResourceAny, ResourceHost, ResourceType, resource_ptr

(
    _BOOL,
    _S8,
    _U8,
    _S16,
    _U16,
    _S32,
    _U32,
    _S64,
    _U64,
    _F32,
    _F64,
    _CHAR,
    _STRING,
    _LIST,
    _RECORD,
    _TUPLE,
    _VARIANT,
    _ENUM,
    _OPTION,
    _RESULT,
    _FLAGS,
    _RESOURCE,
    _MAP,
    _ERROR_CONTEXT,
) = range(24)

_addressof = ffi.addressof
_cast = ffi.cast

# `cffi` gets lost in structures that contain themselves by way of others, so what is behind a pointer in a value
# has no type in its description of the library.
_VALS = ffi.typeof("cellwall_component_val_t *")
_FIELDS = ffi.typeof("cellwall_component_valrecord_entry_t *")
_ENTRIES = ffi.typeof("cellwall_component_valmap_entry_t *")
_bytes_new = lib.wasm_byte_vec_new
_unpack = ffi.unpack


def _set_text(vec: Any, text: str) -> None:
    data = text.encode("utf-8")
    _bytes_new(vec, len(data), data)


def _text(vec: Any) -> str:
    size = vec.size
    return _unpack(vec.data, size).decode("utf-8") if size else ""


class Record:
    """A record: an object with the fields of its type, also those of names with hyphens (`a-b` is `a_b`)."""

    def __init__(self, **fields: Any):
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(f"the record has no field {name!r}") from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record):
            return NotImplemented
        return _pythonic(self.__dict__) == _pythonic(other.__dict__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


def _pythonic(fields: Dict[str, Any]) -> Dict[str, Any]:
    return {name.replace("-", "_"): value for name, value in fields.items()}


@dataclass
class Variant:
    """A case of a variant, option or result by name, where the payload alone would leave it open."""

    tag: str
    payload: Optional[Any] = None


class ValType:
    """A type of values."""

    #: Letter of `struct`, for numbers.
    _format: Optional[str] = None

    def _classes(self) -> Set[type]:
        """Python types that values come as."""
        raise NotImplementedError

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        """Writes a value where `false` stands."""
        raise NotImplementedError

    def _lift(self, val: Any) -> Any:
        """Reads a value, which stays its owner's."""
        raise NotImplementedError


def _wrong(expected: str, value: Any, what: str) -> TypeError:
    return TypeError(f"{what}: expected {expected}, got {type(value).__name__}")


@dataclass(frozen=True)
class Bool(ValType):
    """`bool`."""

    def _classes(self) -> Set[type]:
        return {bool}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, bool):
            raise _wrong("bool", value, what)
        val.of.boolean = value

    def _lift(self, val: Any) -> bool:
        return val.of.boolean


class _Int(ValType):
    _kind: int
    _field: str
    _least: int
    _most: int

    def _classes(self) -> Set[type]:
        return {int}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, int):
            try:
                value = value.__index__()
            except AttributeError:
                raise _wrong("int", value, what) from None
        if not self._least <= value <= self._most:
            raise OverflowError(f"{what}: {value} is not in the range of {self._field}")
        val.kind = self._kind
        setattr(val.of, self._field, value)

    def _lift(self, val: Any) -> int:
        return getattr(val.of, self._field)


def _int(name: str, kind: int, bits: int, is_signed: bool, letter: str) -> Type[Any]:
    fields = {
        "__doc__": f"`{name}`.",
        "__module__": __name__,
        "_kind": kind,
        "_field": name,
        "_format": letter,
        "_least": -(1 << (bits - 1)) if is_signed else 0,
        "_most": (1 << (bits - is_signed)) - 1,
    }
    return dataclass(frozen=True)(type(name.upper(), (_Int,), fields))


S8 = _int("s8", _S8, 8, True, "b7x")
U8 = _int("u8", _U8, 8, False, "B7x")
S16 = _int("s16", _S16, 16, True, "h6x")
U16 = _int("u16", _U16, 16, False, "H6x")
S32 = _int("s32", _S32, 32, True, "i4x")
U32 = _int("u32", _U32, 32, False, "I4x")
S64 = _int("s64", _S64, 64, True, "q")
U64 = _int("u64", _U64, 64, False, "Q")


class _Float(ValType):
    _kind: int
    _field: str

    def _classes(self) -> Set[type]:
        return {float}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, (int, float)) and not hasattr(value, "__float__"):
            raise _wrong("float", value, what)
        val.kind = self._kind
        setattr(val.of, self._field, float(value))

    def _lift(self, val: Any) -> float:
        return getattr(val.of, self._field)


@dataclass(frozen=True)
class F32(_Float):
    """`f32`."""

    _kind, _field, _format = _F32, "f32", "f4x"


@dataclass(frozen=True)
class F64(_Float):
    """`f64`."""

    _kind, _field, _format = _F64, "f64", "d"


@dataclass(frozen=True)
class Char(ValType):
    """`char`."""

    def _classes(self) -> Set[type]:
        return {str}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, str) or len(value) != 1:
            raise TypeError(f"{what}: expected a str of one character, got {value!r}")
        val.kind = _CHAR
        val.of.character = ord(value)

    def _lift(self, val: Any) -> str:
        return chr(val.of.character)


class _Text(ValType):
    _kind: int

    def _classes(self) -> Set[type]:
        return {str}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, str):
            raise _wrong("str", value, what)
        _set_text(_addressof(val.of, "string"), value)
        val.kind = self._kind

    def _lift(self, val: Any) -> str:
        return _text(val.of.string)


@dataclass(frozen=True)
class String(_Text):
    """`string`."""

    _kind = _STRING


@dataclass(frozen=True)
class ErrorContext(_Text):
    """`error-context`: its message."""

    _kind = _ERROR_CONTEXT


@dataclass(frozen=True)
class ListType(ValType):
    """`list<element>`, of fixed length or not."""

    element: ValType
    length: Optional[int] = None

    def _classes(self) -> Set[type]:
        return {bytes} if isinstance(self.element, U8) else {list}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        vec = _addressof(val.of, "list")
        if isinstance(self.element, U8) and isinstance(value, (bytes, bytearray, memoryview)):
            data = bytes(value)
            lib.cellwall_component_vallist_new_bytes(vec, len(data), data)
            val.kind = _LIST
            return
        if isinstance(value, (str, bytes, bytearray)) or not isinstance(value, Sequence):
            raise _wrong("bytes" if isinstance(self.element, U8) else "list", value, what)
        lib.cellwall_component_vallist_new_uninit(vec, len(value))
        val.kind = _LIST
        data, lower = _cast(_VALS, vec.data), self.element._lower
        for place, item in enumerate(value):
            lower(state, data[place], item, what)

    def _lift(self, val: Any) -> Any:
        vec = val.of.list
        size = vec.size
        if isinstance(self.element, U8):
            octets = ffi.new("uint8_t[]", size)
            lib.cellwall_component_vallist_bytes(_addressof(val.of, "list"), octets, size)
            return bytes(octets)
        data, lift = _cast(_VALS, vec.data), self.element._lift
        return [lift(data[place]) for place in range(size)]


def _field(value: Any, name: str, what: str) -> Any:
    if isinstance(value, Mapping):
        for known in (name, name.replace("-", "_")):
            if known in value:
                return value[known]
        raise TypeError(f"{what}: the field {name!r} is missing")
    try:
        return value.__dict__[name]
    except (AttributeError, KeyError):
        pass
    try:
        return getattr(value, name.replace("-", "_"))
    except AttributeError:
        raise TypeError(f"{what}: expected a record with the field {name!r}, got {value!r}") from None


@dataclass(frozen=True)
class RecordType(ValType):
    """`record`: names and types of the fields. Any object with such attributes, or a mapping, can be passed."""

    _fields: Tuple[Tuple[str, ValType], ...]

    @property
    def fields(self) -> List[Tuple[str, ValType]]:
        return list(self._fields)

    def _classes(self) -> Set[type]:
        return {Record}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        vec = _addressof(val.of, "record")
        lib.cellwall_component_valrecord_new_uninit(vec, len(self._fields))
        val.kind = _RECORD
        data = _cast(_FIELDS, vec.data)
        for place, (name, ty) in enumerate(self._fields):
            entry = data[place]
            _set_text(_addressof(entry, "name"), name)
            ty._lower(state, entry.val, _field(value, name, what), f"{what}, field {name!r}")

    def _lift(self, val: Any) -> Record:
        data, record = _cast(_FIELDS, val.of.record.data), Record()
        for place, (name, ty) in enumerate(self._fields):
            record.__dict__[name] = ty._lift(data[place].val)
        return record


@dataclass(frozen=True)
class TupleType(ValType):
    """`tuple`."""

    _elements: Tuple[ValType, ...]

    @property
    def elements(self) -> List[ValType]:
        return list(self._elements)

    def _classes(self) -> Set[type]:
        return {tuple}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, (tuple, list)):
            raise _wrong("tuple", value, what)
        if len(value) != len(self._elements):
            raise TypeError(f"{what}: expected {len(self._elements)} elements, got {len(value)}")
        vec = _addressof(val.of, "tuple")
        lib.cellwall_component_valtuple_new_uninit(vec, len(value))
        val.kind = _TUPLE
        data = _cast(_VALS, vec.data)
        for place, (ty, item) in enumerate(zip(self._elements, value)):
            ty._lower(state, data[place], item, f"{what}, element {place}")

    def _lift(self, val: Any) -> tuple:
        data = _cast(_VALS, val.of.tuple.data)
        return tuple(ty._lift(data[place]) for place, ty in enumerate(self._elements))


@dataclass(frozen=True)
class MapType(ValType):
    """`map<key, value>`."""

    key: ValType
    value: ValType

    def _classes(self) -> Set[type]:
        return {dict}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong("dict", value, what)
        vec = _addressof(val.of, "map")
        lib.cellwall_component_valmap_new_uninit(vec, len(value))
        val.kind = _MAP
        data = _cast(_ENTRIES, vec.data)
        for place, (key, item) in enumerate(value.items()):
            self.key._lower(state, data[place].key, key, what)
            self.value._lower(state, data[place].value, item, what)

    def _lift(self, val: Any) -> dict:
        vec = val.of.map
        data = _cast(_ENTRIES, vec.data)
        entries = (data[place] for place in range(vec.size))
        return {self.key._lift(entry.key): self.value._lift(entry.value) for entry in entries}


Case = Tuple[str, Optional[ValType]]


class _Cases(ValType):
    """What has cases: of several payloads one."""

    def _all(self) -> Tuple[Case, ...]:
        raise NotImplementedError

    def _known(self) -> _Known:
        known = self.__dict__.get("_memo")
        if known is None:
            known = _Known(self._all())
            # The dataclass is frozen; what is remembered follows from its fields.
            self.__dict__["_memo"] = known
        return known

    def _classes(self) -> Set[type]:
        return set(self._known().classes)

    def _choose(self, value: Any, what: str) -> Tuple[str, Optional[ValType], Any]:
        """The case that a value is of: its name, the type and the value of its payload."""
        known = self._known()
        if isinstance(value, Variant) and (known.is_tagged or Variant not in known.classes):
            if value.tag not in known.cases:
                raise TypeError(f"{what}: there is no case {value.tag!r}; there are {', '.join(known.cases)}")
            ty = known.cases[value.tag]
            if ty is None and value.payload is not None:
                raise TypeError(f"{what}: the case {value.tag!r} has no payload")
            return value.tag, ty, value.payload
        if known.is_tagged:
            raise TypeError(f"{what}: expected a Variant, since the value alone leaves the case open; got {value!r}")
        if value is None:
            if known.empty is not None:
                return known.empty, None, None
        else:
            for fits in (lambda classes: type(value) in classes, lambda classes: isinstance(value, tuple(classes))):
                for name, ty, classes in known.payloads:
                    if fits(classes):
                        return name, ty, value
            # What is no such thing, but can be taken for one: an int for a float, a dict for a record.
            if len(known.payloads) == 1:
                name, ty, _ = known.payloads[0]
                return name, ty, value
        raise TypeError(f"{what}: {value!r} is of no case; there are {', '.join(known.cases)}")

    def _box(self, state: State, ty: Optional[ValType], value: Any, what: str) -> Any:
        """A payload that is given away; null if there is none."""
        if ty is None:
            return NULL
        val = ffi.new("cellwall_component_val_t *")
        try:
            ty._lower(state, val, value, what)
        except BaseException:
            lib.cellwall_component_val_delete(val)
            raise
        return lib.cellwall_component_val_new(val)

    def _open(self, name: str, payload: Any) -> Any:
        """A value of a case, from its payload."""
        known = self._known()
        ty = known.cases[name]
        value = None if ty is None else ty._lift(_cast(_VALS, payload))
        return Variant(name, value) if known.is_tagged else value


class _Known:
    """What the cases of a type mean for its values."""

    def __init__(self, cases: Tuple[Case, ...]):
        self.cases: Dict[str, Optional[ValType]] = dict(cases)
        self.payloads: List[Tuple[str, ValType, FrozenSet[type]]] = []
        #: The case without a payload.
        self.empty: Optional[str] = None
        self.is_tagged = False
        seen: Set[type] = set()
        for name, ty in cases:
            classes = {object} if ty is None else ty._classes()
            self.is_tagged = self.is_tagged or bool(classes & seen)
            seen |= classes
            if ty is None:
                self.empty = name
            else:
                self.payloads.append((name, ty, frozenset(classes)))
        self.classes = {Variant} if self.is_tagged else seen


@dataclass(frozen=True)
class VariantType(_Cases):
    """`variant`: names of the cases and types of their payloads."""

    _cases: Tuple[Case, ...]

    @property
    def cases(self) -> List[Case]:
        return list(self._cases)

    def _all(self) -> Tuple[Case, ...]:
        return self._cases

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        name, ty, payload = self._choose(value, what)
        boxed = self._box(state, ty, payload, f"{what}, case {name!r}")
        variant = val.of.variant
        _set_text(_addressof(variant, "discriminant"), name)
        variant.val = boxed
        val.kind = _VARIANT

    def _lift(self, val: Any) -> Any:
        variant = val.of.variant
        return self._open(_text(variant.discriminant), variant.val)


@dataclass(frozen=True)
class OptionType(_Cases):
    """`option<payload>`."""

    payload: ValType

    def _all(self) -> Tuple[Case, ...]:
        return (("none", None), ("some", self.payload))

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        _, ty, payload = self._choose(value, what)
        val.of.option = self._box(state, ty, payload, what)
        val.kind = _OPTION

    def _lift(self, val: Any) -> Any:
        payload = val.of.option
        return self._open("some" if payload else "none", payload)


@dataclass(frozen=True)
class ResultType(_Cases):
    """`result<ok, err>`."""

    ok: Optional[ValType] = None
    err: Optional[ValType] = None

    def _all(self) -> Tuple[Case, ...]:
        return (("ok", self.ok), ("err", self.err))

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        name, ty, payload = self._choose(value, what)
        boxed = self._box(state, ty, payload, f"{what}, {name}")
        result = val.of.result
        result.is_ok = name == "ok"
        result.val = boxed
        val.kind = _RESULT

    def _lift(self, val: Any) -> Any:
        result = val.of.result
        return self._open("ok" if result.is_ok else "err", result.val)


@dataclass(frozen=True)
class EnumType(ValType):
    """`enum`: names of the cases."""

    _names: Tuple[str, ...]

    @property
    def names(self) -> List[str]:
        return list(self._names)

    def _classes(self) -> Set[type]:
        return {str}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, str):
            raise _wrong("str", value, what)
        if value not in self._names:
            raise TypeError(f"{what}: there is no case {value!r}; there are {', '.join(self._names)}")
        _set_text(_addressof(val.of, "enumeration"), value)
        val.kind = _ENUM

    def _lift(self, val: Any) -> str:
        return _text(val.of.enumeration)


@dataclass(frozen=True)
class FlagsType(ValType):
    """`flags`: names of the flags."""

    _names: Tuple[str, ...]

    @property
    def names(self) -> List[str]:
        return list(self._names)

    def _classes(self) -> Set[type]:
        return {set}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        if not isinstance(value, (set, frozenset)):
            raise _wrong("set of str", value, what)
        unknown = [flag for flag in value if flag not in self._names]
        if unknown:
            raise TypeError(f"{what}: there is no flag {unknown[0]!r}; there are {', '.join(self._names)}")
        vec = _addressof(val.of, "flags")
        lib.cellwall_component_valflags_new_uninit(vec, len(value))
        val.kind = _FLAGS
        data = vec.data
        for place, flag in enumerate(sorted(value)):
            _set_text(_addressof(data[place]), flag)

    def _lift(self, val: Any) -> Set[str]:
        vec = val.of.flags
        data = vec.data
        return {_text(data[place]) for place in range(vec.size)}


class _Handle(ValType):
    def _classes(self) -> Set[type]:
        return {ResourceAny, ResourceHost}

    def _lower(self, state: State, val: Any, value: Any, what: str) -> None:
        val.of.resource = resource_ptr(state, value, what)
        val.kind = _RESOURCE

    def _lift(self, val: Any) -> ResourceAny:
        return ResourceAny._of(lib.cellwall_component_resource_any_clone(val.of.resource))


@dataclass(frozen=True)
class OwnType(_Handle):
    """`own<ty>`: a resource that is given away."""

    ty: ResourceType


@dataclass(frozen=True)
class BorrowType(_Handle):
    """`borrow<ty>`: a resource that is lent."""

    ty: ResourceType


#: By `cellwall_component_valtype_kind`.
_PLAIN: List[Type[ValType]] = [Bool, S8, S16, S32, S64, U8, U16, U32, U64, F32, F64, Char, String]


def _named(ty: Any, count: Any, nth: Any) -> List[Tuple[str, Any]]:
    """Names and parts of a type, from the functions that know them."""
    name, length = ffi.new("const char **"), ffi.new("size_t *")
    part = ffi.new("const cellwall_component_valtype_t **")
    answer = []
    for place in range(count(ty)):
        nth(ty, place, name, length, part)
        answer.append((_unpack(name[0], length[0]).decode("utf-8") if length[0] else "", part[0]))
    return answer


def _names(ty: Any, count: Any, nth: Any) -> Tuple[str, ...]:
    return tuple(name for name, _ in _named(ty, count, lambda *place: nth(*place[:4])))


def _optional(ty: Any) -> Optional[ValType]:
    return None if ty == NULL else read_type(ty)


def _resource(ty: Any) -> ResourceType:
    own = lib.cellwall_component_valtype_resource(ty)
    return ResourceType._of(lib.cellwall_component_resource_type_clone(own))


def read_type(ty: Any) -> ValType:
    """A type of the library's, which stays its owner's."""
    kind = lib.cellwall_component_valtype_kind(ty)
    if kind < len(_PLAIN):
        return _PLAIN[kind]()
    if kind == 13:
        length = ffi.new("uint32_t *")
        is_fixed = lib.cellwall_component_list_type_length(ty, length)
        element = read_type(lib.cellwall_component_list_type_element(ty))
        return ListType(element, length[0] if is_fixed else None)
    if kind == 14:
        count, nth = lib.cellwall_component_record_type_field_count, lib.cellwall_component_record_type_field_nth
        return RecordType(tuple((name, read_type(part)) for name, part in _named(ty, count, nth)))
    if kind == 15:
        nth = lib.cellwall_component_tuple_type_types_nth
        size = lib.cellwall_component_tuple_type_types_count(ty)
        return TupleType(tuple(read_type(nth(ty, place)) for place in range(size)))
    if kind == 16:
        count, nth = lib.cellwall_component_variant_type_case_count, lib.cellwall_component_variant_type_case_nth
        return VariantType(tuple((name, _optional(part)) for name, part in _named(ty, count, nth)))
    if kind == 17:
        count, nth = lib.cellwall_component_enum_type_names_count, lib.cellwall_component_enum_type_names_nth
        return EnumType(_names(ty, count, nth))
    if kind == 18:
        return OptionType(read_type(lib.cellwall_component_option_type_ty(ty)))
    if kind == 19:
        ok, err = lib.cellwall_component_result_type_ok(ty), lib.cellwall_component_result_type_err(ty)
        return ResultType(_optional(ok), _optional(err))
    if kind == 20:
        count, nth = lib.cellwall_component_flags_type_names_count, lib.cellwall_component_flags_type_names_nth
        return FlagsType(_names(ty, count, nth))
    if kind == 21:
        return OwnType(_resource(ty))
    if kind == 22:
        return BorrowType(_resource(ty))
    if kind == 25:
        return ErrorContext()
    if kind == 26:
        key, value = lib.cellwall_component_map_type_key(ty), lib.cellwall_component_map_type_value(ty)
        return MapType(read_type(key), read_type(value))
    raise NotImplementedError(f"values of kind {kind} cannot be used from Python yet")


@dataclass(frozen=True)
class FuncType:
    """The type of a function: parameters with names, and at most one result."""

    _params: Tuple[Tuple[str, ValType], ...]
    result: Optional[ValType]

    @property
    def params(self) -> List[Tuple[str, ValType]]:
        """Names and types of the parameters."""
        return list(self._params)

    @classmethod
    def _read(cls, ty: Any) -> FuncType:
        count, nth = lib.cellwall_component_func_type_param_count, lib.cellwall_component_func_type_param_nth
        params = tuple((name, read_type(part)) for name, part in _named(ty, count, nth))
        return cls(params, _optional(lib.cellwall_component_func_type_result(ty)))


@dataclass(frozen=True)
class ModuleType:
    """A core module."""


@dataclass(frozen=True)
class ComponentInstanceType:
    """What an instance exports."""

    _exports: Dict[str, ComponentItem] = field(hash=False)

    def exports(self, engine: Optional[Engine] = None) -> Dict[str, ComponentItem]:
        """Its items by name, in order."""
        return dict(self._exports)

    @classmethod
    def _read(cls, ty: Any) -> ComponentInstanceType:
        count = lib.cellwall_component_instance_type_export_count
        return cls(_items(ty, count, lib.cellwall_component_instance_type_export_nth))


@dataclass(frozen=True)
class ComponentType:
    """What a component imports and exports."""

    _imports: Dict[str, ComponentItem] = field(default_factory=dict, hash=False)
    _exports: Dict[str, ComponentItem] = field(default_factory=dict, hash=False)

    def imports(self, engine: Optional[Engine] = None) -> Dict[str, ComponentItem]:
        """What it imports by name, in order."""
        return dict(self._imports)

    def exports(self, engine: Optional[Engine] = None) -> Dict[str, ComponentItem]:
        """What it exports by name, in order."""
        return dict(self._exports)

    @classmethod
    def _read(cls, ty: Any) -> ComponentType:
        imports = _items(ty, lib.cellwall_component_type_import_count, lib.cellwall_component_type_import_nth)
        exports = _items(ty, lib.cellwall_component_type_export_count, lib.cellwall_component_type_export_nth)
        return cls(imports, exports)


#: What is imported or exported; None is a type that is none of values.
ComponentItem = Union[FuncType, ComponentInstanceType, ModuleType, ComponentType, ResourceType, ValType, None]


def _items(ty: Any, count: Any, nth: Any) -> Dict[str, ComponentItem]:
    name, length = ffi.new("const char **"), ffi.new("size_t *")
    item = ffi.new("const cellwall_component_item_t **")
    answer = {}
    for place in range(count(ty)):
        nth(ty, place, name, length, item)
        answer[_unpack(name[0], length[0]).decode("utf-8") if length[0] else ""] = _item(item[0])
    return answer


def _item(item: Any) -> ComponentItem:
    kind = lib.cellwall_component_item_kind(item)
    if kind == 0:
        return ComponentType()
    if kind == 1:
        return ComponentInstanceType._read(lib.cellwall_component_item_instance(item))
    if kind == 2:
        return ModuleType()
    if kind == 3:
        return FuncType._read(lib.cellwall_component_item_func(item))
    if kind == 4:
        own = lib.cellwall_component_item_resource(item)
        return ResourceType._of(lib.cellwall_component_resource_type_clone(own))
    return _optional(lib.cellwall_component_item_type(item))
