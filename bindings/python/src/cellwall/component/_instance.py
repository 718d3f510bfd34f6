"""Instances of components, and their functions."""

from __future__ import annotations

import struct
from threading import get_ident
from typing import Any, Callable, Dict, Optional, Union

from .. import _signals
from .._engine import State, Storelike, same
from .._error import pending
from .._lib import NULL, ffi, lib
from .._module import Module
from ._component import ExportIndex, outer_index
from ._enter import raise_error
from ._resource import ResourceType
from ._types import ComponentInstanceType, ComponentItem, FuncType

_call = lib.cellwall_component_func_call
_delete = lib.cellwall_component_val_delete
_error_delete = lib.cellwall_error_delete
_watched = _signals.watched
_MAIN = _signals.MAIN

#: Bytes of a value, and where in it its number is.
_SIZE = ffi.sizeof("cellwall_component_val_t")
_AT = ffi.offsetof("cellwall_component_val_t", "of")


class Instance:
    """An instance of a component in a store."""

    __slots__ = ("_state", "_ptr")

    def __init__(self) -> None:
        raise TypeError("an Instance is made by Linker.instantiate")

    @classmethod
    def _of(cls, state: State, ptr: Any) -> Instance:
        instance = object.__new__(cls)
        instance._state = state
        instance._ptr = state.own(ptr, lib.cellwall_component_instance_delete)
        return instance

    def get_export_index(
        self, store: Storelike, name: str, instance: Optional[ExportIndex] = None
    ) -> Optional[ExportIndex]:
        """Finds an export by name, or by a compatible version of it, in the root or in an exported instance."""
        same(store, self._state)
        data = name.encode("utf-8")
        find = lib.cellwall_component_instance_get_export_index
        found = find(self._ptr, outer_index(instance), data, len(data))
        return None if found == NULL else ExportIndex._of(found)

    def _index(self, store: Storelike, index: Union[ExportIndex, str]) -> Any:
        found = self.get_export_index(store, index) if isinstance(index, str) else index
        same(store, self._state)
        return outer_index(found)

    def get_func(self, store: Storelike, index: Union[ExportIndex, str]) -> Optional[Func]:
        """The function that is exported under this name or index; None if there is none."""
        found = lib.cellwall_component_instance_get_func(self._ptr, self._index(store, index))
        return None if found == NULL else Func._of(self._state, found)

    def get_module(self, store: Storelike, index: Union[ExportIndex, str]) -> Optional[Module]:
        """The core module that is exported under this name or index; None if there is none."""
        found = lib.cellwall_component_instance_get_module(self._ptr, self._index(store, index))
        return None if found == NULL else Module._shared(self._state, found)

    def get_resource(self, store: Storelike, index: Union[ExportIndex, str]) -> Optional[ResourceType]:
        """The resource type that is exported under this name or index; None if there is none."""
        found = lib.cellwall_component_instance_get_resource(self._ptr, self._index(store, index))
        return None if found == NULL else ResourceType._of(found)

    def exports(self, store: Storelike) -> Dict[str, ComponentItem]:
        """What it exports by name, with the resources as they are in its store."""
        same(store, self._state)
        ty = lib.cellwall_component_instance_type(self._ptr)
        return ComponentInstanceType._read(ffi.gc(ty, lib.cellwall_component_instance_type_delete)).exports()


class Func:
    """A function of an instance: `func(store, 1, "x")` calls it. The answer is its result, or None."""

    __slots__ = ("_state", "_ptr", "_type", "_params", "_result", "_count", "_place", "_pack", "_unpack", "_kinds", "_is_plain")

    def __init__(self) -> None:
        raise TypeError("a Func is found by Instance.get_func")

    @classmethod
    def _of(cls, state: State, ptr: Any) -> Func:
        func = object.__new__(cls)
        func._state = state
        func._ptr = state.own(ptr, lib.cellwall_component_func_delete)
        own = ffi.gc(lib.cellwall_component_func_type(ptr), lib.cellwall_component_func_type_delete)
        func._type = ty = FuncType._read(own)
        func._params, func._result = [param for _, param in ty.params], ty.result
        func._count = len(func._params)
        func._place = None
        #: Nothing goes in or comes out.
        func._is_plain = func._count == 0 and ty.result is None
        func._prepare()
        return func

    def _prepare(self) -> None:
        """Finds out what of a call is numbers only, which cross in one piece."""
        formats = [param._format for param in self._params]
        #: How and where each number is written.
        self._pack: Any = None
        if formats and all(formats):
            self._pack = [(struct.Struct("=" + str(of)).pack_into, _SIZE * at + _AT) for at, of in enumerate(formats)]
            self._kinds = [param._kind for param in self._params]  # type: ignore[attr-defined]
        result = self._result._format if self._result is not None else None
        self._unpack: Any = struct.Struct("=" + result).unpack_from if result else None

    def _new_place(self) -> Any:
        args = ffi.new("cellwall_component_val_t[]", self._count) if self._count else NULL
        result = ffi.new("cellwall_component_val_t *") if self._result is not None else NULL
        if self._pack is not None:
            for place, kind in enumerate(self._kinds):
                args[place].kind = kind
        args_view = memoryview(ffi.buffer(args)) if self._pack is not None else None
        result_view = memoryview(ffi.buffer(result)) if self._unpack is not None else None
        return args, result, args_view, result_view

    def __call__(self, store: Storelike, *params: Any) -> Any:
        state = self._state
        try:
            usable = store._state is state and not state.closed
        except AttributeError:
            usable = False
        if not usable:
            same(store, state)
        count = self._count
        if len(params) != count:
            raise TypeError(f"wrong number of parameters provided: given {len(params)}, expected {count}")
        pending.error = None
        if self._is_plain:
            if get_ident() == _MAIN:
                error = _watched(state.engine, _error_delete, _call, self._ptr, NULL, 0, NULL, 0)
            else:
                error = _call(self._ptr, NULL, 0, NULL, 0)
            if error:
                raise_error(error)
            return None
        # The place for values is taken by the call, as it may call itself.
        place, self._place = self._place, None
        args, result, args_view, result_view = place or self._new_place()
        is_packed = False
        if args_view is not None:
            try:
                for (pack, at), param in zip(self._pack, params):
                    pack(args_view, at, param)
                is_packed = True
            except (struct.error, OverflowError, TypeError):
                # Said below what is wrong with it, or taken all the same.
                ffi.memmove(args, bytes(_SIZE * count), _SIZE * count)
        try:
            if not is_packed:
                for number, ty in enumerate(self._params):
                    ty._lower(state, args[number], params[number], f"parameter {number + 1}")
            results = 1 if self._result is not None else 0
            if get_ident() == _MAIN:
                error = _watched(state.engine, self._lost(result), _call, self._ptr, args, count, result, results)
            else:
                error = _call(self._ptr, args, count, result, results)
            if error:
                raise_error(error)
        finally:
            if not is_packed:
                for number in range(count):
                    _delete(args + number)
        if result_view is not None:
            answer = self._unpack(result_view, _AT)[0]
        elif self._result is None:
            answer = None
        else:
            try:
                answer = self._result._lift(result)
            finally:
                _delete(result)
        self._place = args, result, args_view, result_view
        return answer

    def _lost(self, result: Any) -> Callable[[Any], None]:
        """What is done with the answer of a call that Ctrl-C ended: numbers need not be given back."""
        if self._result is None or self._unpack is not None:
            return _error_delete

        def lost(error: Any) -> None:
            _error_delete(error)
            _delete(result)

        return lost

    def type(self, store: Storelike) -> FuncType:
        """Its type."""
        same(store, self._state)
        return self._type

    def post_return(self, store: Storelike) -> None:
        """Does nothing: what a function wants called after its result was read has been called."""
        same(store, self._state)

    def __repr__(self) -> str:
        return f"<cellwall.component.Func {self._type!r}>"
