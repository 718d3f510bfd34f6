"""Modules and instances."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Union

from ._engine import Closing, Engine, State, Storelike, live, same
from ._error import CellwallError, check, failed, raise_trap
from ._extern import AsExtern, extern_ptr, wrap_extern
from ._lib import NULL, Wasm, ffi, lib, path_bytes, taken_bytes
from ._signals import guarded
from ._types import ExportType, ImportType


def wat2wasm(wat: Union[str, bytes]) -> bytearray:
    """The binary of a module in the text format."""
    text = _bytes(wat)
    return bytearray(taken_bytes(lambda out: check(lib.cellwall_wat2wasm(text, len(text), out))))


def _bytes(wasm: Wasm) -> bytes:
    if isinstance(wasm, str):
        return wasm.encode("utf-8")
    return _octets(wasm, "the wasm is given as bytes, or as str in the text format")


def _octets(data: Any, what: str) -> bytes:
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(what)


class Module(Closing):
    """A compiled module, for any store of its engine and any thread."""

    def __init__(self, engine: Engine, wasm: Wasm):
        data = _bytes(wasm)
        self._make(engine, lambda store, out: lib.cellwall_module_new(store, data, len(data), out))

    def _make(self, engine: Engine, make: Callable[[Any, Any], Any]) -> None:
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        self._engine = engine._live()
        store = self._store()
        out = ffi.new("wasm_module_t **")
        check(make(store, out))
        module = ffi.gc(out[0], lib.wasm_module_delete)
        self._ptr: Any = ffi.gc(lib.wasm_module_share(module), lib.wasm_shared_module_delete)
        self._imports: Optional[List[ImportType]] = None
        self._exports: Optional[List[ExportType]] = None

    def _store(self) -> Any:
        # The standard knows modules in stores only; one for a moment costs nothing.
        return ffi.gc(lib.wasm_store_new(self._engine), lib.wasm_store_delete)

    def _in(self, store: Any) -> Any:
        """It in a store, given back with the answer."""
        if self._ptr is None:
            raise ValueError("the module is closed")
        module = lib.wasm_module_obtain(store, self._ptr)
        if module == NULL:
            raise failed("the module belongs to another engine")
        return ffi.gc(module, lib.wasm_module_delete)

    @classmethod
    def _shared(cls, state: State, ptr: Any) -> Module:
        """It of a module in a store, which is given away."""
        owned = ffi.gc(ptr, lib.wasm_module_delete)
        module = object.__new__(cls)
        module._engine = state.engine
        module._ptr = ffi.gc(lib.wasm_module_share(owned), lib.wasm_shared_module_delete)
        module._imports = module._exports = None
        return module

    @classmethod
    def from_file(cls, engine: Engine, path: Union[str, bytes, "os.PathLike[str]"]) -> Module:
        """Compiles a file in the binary or the text format."""
        return cls(engine, Path(os.fsdecode(path)).read_bytes())

    @classmethod
    def deserialize(cls, engine: Engine, encoded: Union[bytes, bytearray, memoryview]) -> Module:
        """The module from what `serialize` made, from wherever it comes: its code is proven before it can run."""
        data = _octets(encoded, "a serialized module is given as bytes")
        module = object.__new__(cls)
        module._make(engine, lambda store, out: lib.cellwall_module_deserialize(store, data, len(data), out))
        return module

    @classmethod
    def deserialize_file(cls, engine: Engine, path: Union[str, bytes, "os.PathLike[str]"]) -> Module:
        """Likewise, from a file; such as `cellwall compile` writes."""
        module = object.__new__(cls)
        name = path_bytes(path)
        module._make(engine, lambda store, out: lib.cellwall_module_deserialize_file(store, name, out))
        return module

    @classmethod
    def validate(cls, engine: Engine, wasm: Union[bytes, bytearray]) -> None:
        """Raises if the bytes are not a valid module; compiles nothing."""
        data = _octets(wasm, "a module is validated as bytes")
        store = ffi.gc(lib.wasm_store_new(engine._live()), lib.wasm_store_delete)
        check(lib.cellwall_module_validate(store, data, len(data)))

    def serialize(self) -> bytearray:
        """The compiled module as bytes."""
        module = self._in(self._store())
        data = taken_bytes(lambda out: lib.wasm_module_serialize(module, out))
        if not data:
            raise failed("the module cannot be serialized")
        return bytearray(data)

    @property
    def imports(self) -> List[ImportType]:
        """What it imports, in order."""
        if self._imports is None:
            module, vec = self._in(self._store()), ffi.new("wasm_importtype_vec_t *")
            lib.wasm_module_imports(module, vec)
            try:
                self._imports = [ImportType(vec.data[number]) for number in range(vec.size)]
            finally:
                lib.wasm_importtype_vec_delete(vec)
        return list(self._imports)

    @property
    def exports(self) -> List[ExportType]:
        """What it exports, in order."""
        if self._exports is None:
            module, vec = self._in(self._store()), ffi.new("wasm_exporttype_vec_t *")
            lib.wasm_module_exports(module, vec)
            try:
                self._exports = [ExportType(vec.data[number]) for number in range(vec.size)]
            finally:
                lib.wasm_exporttype_vec_delete(vec)
        return list(self._exports)

    def close(self) -> None:
        """Gives it back; instances of it live on."""
        self._ptr = None


class Instance:
    """An instance of a module in a store; imports are given in the module's order."""

    __slots__ = ("_state", "_ptr", "_names", "_exports")

    def __init__(self, store: Storelike, module: Module, imports: Sequence[AsExtern] = ()):
        if not isinstance(module, Module):
            raise TypeError("expected a Module")
        state = live(store)
        obtained = module._in(state.ptr)
        wanted = len(module.imports)
        if len(imports) != wanted:
            raise CellwallError(f"expected {wanted} imports, found {len(imports)}")
        items = [extern_ptr(state, item, f"import {place + 1}") for place, item in enumerate(imports)]
        array = ffi.new("wasm_extern_t *[]", items)
        vec = ffi.new("wasm_extern_vec_t *", (len(items), array))
        trap = ffi.new("wasm_trap_t **")

        def lost(instance: Any) -> None:
            lib.wasm_instance_delete(instance)
            lib.wasm_trap_delete(trap[0])

        ptr = guarded(state.engine, lost, lib.wasm_instance_new, state.ptr, obtained, vec, trap)
        if ptr == NULL:
            error = lib.cellwall_last_error()
            if trap[0] == NULL or (error != NULL and lib.cellwall_error_kind(error) not in (0, 4)):
                if trap[0] != NULL:
                    lib.wasm_trap_delete(trap[0])
                check(error)
                raise CellwallError("the instance cannot be made")
            if error != NULL:
                lib.cellwall_error_delete(error)
            raise_trap(trap[0], state)
        self._init(state, ptr, module)

    @classmethod
    def _of(cls, state: State, ptr: Any, module: Module) -> Instance:
        instance = object.__new__(cls)
        instance._init(state, ptr, module)
        return instance

    def _init(self, state: State, ptr: Any, module: Module) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_instance_delete)
        self._names = [export.name for export in module.exports]
        self._exports: Optional[InstanceExports] = None

    def exports(self, store: Storelike) -> InstanceExports:
        """What it exports, by name and by index."""
        same(store, self._state)
        if self._exports is None:
            self._exports = InstanceExports(self)
        return self._exports


class InstanceExports(Mapping):  # type: ignore[type-arg]
    """What an instance exports."""

    by_index: List[AsExtern]

    def __init__(self, instance: Instance):
        vec = ffi.new("wasm_extern_vec_t *")
        lib.wasm_instance_exports(instance._ptr, vec)
        try:
            copies = [lib.wasm_extern_copy(vec.data[number]) for number in range(vec.size)]
        finally:
            lib.wasm_extern_vec_delete(vec)
        self.by_index = [wrap_extern(instance._state, copy) for copy in copies]
        self._by_name: Dict[str, AsExtern] = dict(zip(instance._names, self.by_index))

    def __getitem__(self, name: str) -> AsExtern:
        return self._by_name[name]

    def __len__(self) -> int:
        return len(self._by_name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __repr__(self) -> str:
        return f"<exports {', '.join(self._by_name)}>"
