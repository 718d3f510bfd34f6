"""Compiled components."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Optional, Union

from .._engine import Closing, Engine
from .._error import check
from .._lib import NULL, Wasm, ffi, lib, path_bytes, taken_bytes
from .._module import _bytes, _octets
from ._types import ComponentType


class ExportIndex:
    """Where an export is: found once by name, then used without looking for it again."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("an ExportIndex is found by get_export_index")

    @classmethod
    def _of(cls, ptr: Any) -> ExportIndex:
        index = object.__new__(cls)
        index._ptr = ffi.gc(ptr, lib.cellwall_component_export_index_delete)
        return index


def outer_index(instance: Optional[ExportIndex]) -> Any:
    """The place to look in; the root if there is none."""
    if instance is None:
        return NULL
    if not isinstance(instance, ExportIndex):
        raise TypeError("expected an ExportIndex")
    return instance._ptr


class Component(Closing):
    """A compiled component, for any store of its engine and any thread."""

    def __init__(self, engine: Engine, wasm: Wasm):
        data = _bytes(wasm)
        self._make(engine, lambda ptr, out: lib.cellwall_component_new(ptr, data, len(data), out))

    def _make(self, engine: Engine, make: Callable[[Any, Any], Any]) -> None:
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        out = ffi.new("cellwall_component_t **")
        check(make(engine._live(), out))
        self._ptr: Any = ffi.gc(out[0], lib.cellwall_component_delete)
        self._type: Optional[ComponentType] = None

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the component is closed")
        return self._ptr

    @classmethod
    def from_file(cls, engine: Engine, path: Union[str, bytes, "os.PathLike[str]"]) -> Component:
        """Compiles a file in the binary or the text format."""
        return cls(engine, Path(os.fsdecode(path)).read_bytes())

    @classmethod
    def deserialize(cls, engine: Engine, encoded: Union[bytes, bytearray, memoryview]) -> Component:
        """The component from what `serialize` made, from wherever it comes: its code is proven before it can run."""
        data = _octets(encoded, "a serialized component is given as bytes")
        component = object.__new__(cls)
        component._make(engine, lambda ptr, out: lib.cellwall_component_deserialize(ptr, data, len(data), out))
        return component

    @classmethod
    def deserialize_file(cls, engine: Engine, path: Union[str, bytes, "os.PathLike[str]"]) -> Component:
        """Likewise, from a file; such as `cellwall compile` writes."""
        component = object.__new__(cls)
        name = path_bytes(path)
        component._make(engine, lambda ptr, out: lib.cellwall_component_deserialize_file(ptr, name, out))
        return component

    @classmethod
    def validate(cls, engine: Engine, wasm: Union[bytes, bytearray]) -> None:
        """Raises if the bytes are not a valid component; compiles nothing."""
        data = _octets(wasm, "a component is validated as bytes")
        check(lib.cellwall_component_validate(engine._live(), data, len(data)))

    def serialize(self) -> bytearray:
        """The compiled component as bytes."""
        ptr = self._live()
        return bytearray(taken_bytes(lambda out: check(lib.cellwall_component_serialize(ptr, out))))

    def get_export_index(self, name: str, instance: Optional[ExportIndex] = None) -> Optional[ExportIndex]:
        """Finds an export by name, in the root or in an exported instance; good for all instances."""
        data = name.encode("utf-8")
        found = lib.cellwall_component_get_export_index(self._live(), outer_index(instance), data, len(data))
        return None if found == NULL else ExportIndex._of(found)

    @property
    def type(self) -> ComponentType:
        """What it imports and exports."""
        if self._type is None:
            ptr = ffi.gc(lib.cellwall_component_type(self._live()), lib.cellwall_component_type_delete)
            self._type = ComponentType._read(ptr)
        return self._type

    def close(self) -> None:
        """Gives it back; instances of it live on."""
        self._ptr = None
