"""Tags and exceptions of guest code."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from ._engine import State, Storelike, live, same
from ._error import CellwallError, Trap, check
from ._lib import NULL, ffi, lib
from ._types import TagType, externtype_of
from ._value import read_val, write_val


class Tag:
    """What a kind of exceptions is known by, in a store. Two tags of one type are different ones."""

    __slots__ = ("_state", "_ptr")

    def __init__(self, store: Storelike, ty: TagType):
        if not isinstance(ty, TagType):
            raise TypeError("expected a TagType")
        state = live(store)
        out = ffi.new("wasm_extern_t **")
        check(lib.cellwall_tag_new(state.ptr, ty.to_c(), out))
        self._init(state, out[0])

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_extern_delete)

    @classmethod
    def _of(cls, state: State, ptr: Any) -> Tag:
        tag = object.__new__(cls)
        tag._init(state, ptr)
        return tag

    def _type(self) -> TagType:
        ty = externtype_of(ffi.gc(lib.wasm_extern_type(self._ptr), lib.wasm_externtype_delete))
        assert isinstance(ty, TagType)
        return ty

    def type(self, store: Storelike) -> TagType:
        """Its type."""
        same(store, self._state)
        return self._type()

    def eq(self, store: Storelike, other: Tag) -> bool:
        """Whether both are the same tag."""
        same(store, self._state)
        return self == other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tag):
            return NotImplemented
        if self._state is not other._state or self._state.closed:
            return self is other
        return bool(lib.wasm_extern_same(self._ptr, other._ptr))

    #: The same tag may be held by several objects.
    __hash__ = None  # type: ignore[assignment]

    def _as_extern(self) -> Any:
        return self._ptr


class Exn:
    """An exception in a store: a tag, and values of the tag's types.

    `raise ThrownException(Exn(store, tag, [1]))` in a function of the host throws it in the guest.
    """

    __slots__ = ("_state", "_ptr")

    def __init__(self, store: Storelike, tag: Tag, fields: Sequence[Any] = ()):
        if not isinstance(tag, Tag):
            raise TypeError("expected a Tag")
        state = same(store, tag._state)
        types = tag._type().functype.params
        if len(fields) != len(types):
            raise CellwallError(f"an exception of this tag has {len(types)} values, not {len(fields)}")
        vec = ffi.new("wasm_val_vec_t *")
        lib.wasm_val_vec_new_uninitialized(vec, len(types))
        try:
            for place, (ty, value) in enumerate(zip(types, fields)):
                write_val(state, vec.data[place], ty._kind, value, f"value {place + 1}")
            out = ffi.new("cellwall_exn_t **")
            check(lib.cellwall_exn_new(state.ptr, tag._ptr, vec, out))
        finally:
            lib.wasm_val_vec_delete(vec)
        self._init(state, out[0])

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.cellwall_exn_delete)

    @classmethod
    def _of(cls, state: State, ptr: Any) -> Exn:
        """It of an owned pointer."""
        exn = object.__new__(cls)
        exn._init(state, ptr)
        return exn

    @property
    def tag(self) -> Tag:
        """Its tag."""
        same(self, self._state)
        return Tag._of(self._state, lib.cellwall_exn_tag(self._ptr))

    @property
    def fields(self) -> List[Any]:
        """Its values."""
        same(self, self._state)
        vec = ffi.new("wasm_val_vec_t *")
        lib.cellwall_exn_fields(self._ptr, vec)
        try:
            return [read_val(self._state, vec.data[place]) for place in range(vec.size)]
        finally:
            lib.wasm_val_vec_delete(vec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Exn):
            return NotImplemented
        if self._state is not other._state or self._state.closed:
            return self is other
        return bool(lib.wasm_ref_same(lib.cellwall_exn_as_ref(self._ptr), lib.cellwall_exn_as_ref(other._ptr)))

    #: The same exception may be held by several objects.
    __hash__ = None  # type: ignore[assignment]


class ThrownException(Trap):
    """An exception that nobody in the guest caught; or, raised by a function of the host, one that it throws.

    A function of the host that does not catch it, or raises it again, hands it on to its own guest.
    """

    #: The exception.
    exception: Exn

    def __init__(self, exception: Exn):
        if not isinstance(exception, Exn):
            raise TypeError("expected an Exn")
        super().__init__("thrown Wasm exception")
        self.exception = exception

    def __reduce__(self) -> Any:
        raise TypeError("an exception of a guest cannot leave its store")


def thrown(state: State, trap: Any) -> Optional[ThrownException]:
    """The exception that is in a trap, which stays the owner's."""
    ptr = lib.cellwall_trap_exn(trap)
    return None if ptr == NULL else ThrownException(Exn._of(state, ptr))


def throw(state: State, error: ThrownException) -> Any:
    """What a function of the host answers to throw it; null if it is of another store."""
    exn = error.exception
    return lib.cellwall_exn_throw(exn._ptr) if exn._state is state and not state.closed else NULL

