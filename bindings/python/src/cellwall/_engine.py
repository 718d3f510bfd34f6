"""Configurations, engines and stores."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Type, Union
from weakref import WeakSet, WeakValueDictionary

from ._error import CellwallError, check, failed
from ._lib import NULL, c_text, ffi, lib, path_bytes

if TYPE_CHECKING:
    from ._func import Caller
    from .component._linker import StoreContext
    from ._wasi import WasiConfig


class Closing:
    """Something that is given back by `close`, or at the end of a `with`.

    What is closed is let go, not deleted: another thread, or something that was made of it, may be using it.
    """

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


class Config:
    """Options of an engine. The defaults are right for almost everyone."""

    def __init__(self) -> None:
        self._ptr = ffi.gc(lib.wasm_config_new(), lib.wasm_config_delete)

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the configuration was taken by an engine")
        return self._ptr

    def _take(self) -> Any:
        ptr, self._ptr = self._live(), None
        ffi.gc(ptr, None)
        return ptr

    def max_wasm_stack(self, size: int) -> None:
        """Bytes of stack that guest code may use per call from the host; 1 MiB by default."""
        lib.cellwall_config_max_wasm_stack_set(self._live(), size)

    def memory_reservation(self, size: int) -> None:
        """Bytes of address space for each memory; 4 GiB by default, which needs no bounds checks."""
        lib.cellwall_config_memory_reservation_set(self._live(), size)

    def memory_guard_size(self, size: int) -> None:
        """Bytes behind each reservation that are never accessible."""
        lib.cellwall_config_memory_guard_size_set(self._live(), size)

    def memory64_reservation(self, size: int) -> None:
        """Bytes of address space for each memory with 64-bit addresses; 16 GiB by default."""
        lib.cellwall_config_memory64_reservation_set(self._live(), size)

    def wasm_multi_memory(self, enable: bool) -> None:
        """Whether modules may have several memories; they may by default."""
        lib.cellwall_config_wasm_multi_memory_set(self._live(), enable)

    def wasm_memory64(self, enable: bool) -> None:
        """Whether modules may have memories and tables with 64-bit indexes; they may by default."""
        lib.cellwall_config_wasm_memory64_set(self._live(), enable)

    def wasm_threads(self, enable: bool) -> None:
        """Whether modules may have shared memories; they may by default."""
        lib.cellwall_config_wasm_threads_set(self._live(), enable)

    def wasm_custom_page_sizes(self, enable: bool) -> None:
        """Whether modules may have memories with pages of one byte; they may by default."""
        lib.cellwall_config_wasm_custom_page_sizes_set(self._live(), enable)

    def wasm_relaxed_simd_deterministic(self, enable: bool) -> None:
        """Whether relaxed vector instructions do the same on every processor; not by default."""
        lib.cellwall_config_wasm_relaxed_simd_deterministic_set(self._live(), enable)

    def wasm_component_model_implements(self, enable: bool) -> None:
        """Whether names in components may say which interface they implement; they may by default."""
        lib.cellwall_config_wasm_component_model_implements_set(self._live(), enable)

    def nan_canonicalization(self, enable: bool) -> None:
        """Whether floating-point operators give the canonical NaN wherever they give one; not by default."""
        lib.cellwall_config_nan_canonicalization_set(self._live(), enable)

    def wasm_backtrace(self, enable: bool) -> None:
        """Whether traps have frames; they do by default."""
        lib.cellwall_config_backtrace_set(self._live(), enable)

    def cpu_feature(self, name: str, enable: bool) -> None:
        """Whether code may use a feature of the processor: ``"popcnt"``, ``"lzcnt"``, ``"bmi1"``, ``"bmi2"``,
        ``"avx"``, ``"avx2"`` or ``"fma"``. All that it has by default; what it lacks is never used."""
        check(lib.cellwall_config_cpu_feature_set(self._live(), c_text(name), bool(enable)))

    def parallel_compilation(self, enable: bool) -> None:
        """Whether modules are compiled on all processors; they are by default."""
        lib.cellwall_config_parallel_compilation_set(self._live(), enable)

    def profiler(self, profiler: str) -> None:
        """What `perf` is told of guest functions: ``"none"``, ``"perfmap"`` or ``"jitdump"``."""
        known = {"none": 0, "perfmap": 1, "jitdump": 2}
        if profiler not in known:
            raise CellwallError(f"there is no profiler {profiler!r}; there are {', '.join(known)}")
        check(lib.cellwall_config_profiler_set(self._live(), known[profiler]))

    def cache(self, enabled: Union[bool, str, bytes, "os.PathLike[str]"]) -> None:
        """Keeps compiled modules: True in the user's cache folder, a path in that folder."""
        if enabled is False:
            return
        path = NULL if enabled is True else ffi.from_buffer(path_bytes(enabled) + b"\0")
        check(lib.cellwall_config_cache_open(self._live(), path))


# Attributes as users of other engines' packages set them: `config.max_wasm_stack = 1 << 20`.
class _Option:
    def __init__(self, method: Any):
        self.method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else self.method.__get__(instance, owner)

    def __set__(self, instance: Any, value: Any) -> None:
        self.method(instance, value)


for _name, _member in list(vars(Config).items()):
    if not _name.startswith("_"):
        setattr(Config, _name, _Option(_member))


class Engine(Closing):
    """What modules are compiled for; to be shared by stores and threads."""

    def __init__(self, config: Optional[Config] = None):
        if config is None:
            ptr = lib.wasm_engine_new()
        elif isinstance(config, Config):
            ptr = lib.wasm_engine_new_with_config(config._take())
        else:
            raise TypeError("expected a Config")
        if ptr == NULL:
            raise failed("the engine cannot be made")
        self._ptr: Any = ffi.gc(ptr, lib.wasm_engine_delete)

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the engine is closed")
        return self._ptr

    def interrupt(self) -> None:
        """Stops every call of guest code that is running in this engine, on whatever thread, with a trap; also those
        that sleep or read in WASI."""
        lib.cellwall_engine_interrupt(self._live())

    def close(self) -> None:
        """Gives the engine back; stores and modules of it live on, and keep it as long as they do."""
        self._ptr = None


class State:
    """What a store and everything in it share."""

    __slots__ = ("ptr", "engine", "data", "closed", "handles", "objects", "numbers", "keep", "__weakref__")

    def __init__(self, engine: Engine, data: Any):
        ptr = lib.wasm_store_new(engine._live())
        if ptr == NULL:
            raise failed("the store cannot be made")
        self.ptr: Any = ffi.gc(ptr, lib.wasm_store_delete)
        self.engine = engine._ptr
        self.data = data
        self.closed = False
        #: Every reference into the store that Python holds, to be given back when it is closed.
        self.handles: "WeakSet[Any]" = WeakSet()
        #: What went into guest code as references, by number, and the number of each.
        self.objects: Dict[int, Any] = {}
        self.numbers: Dict[int, Any] = {}
        #: What functions of the library call by address.
        self.keep: List[Any] = []

    def own(self, ptr: Any, delete: Any) -> Any:
        """A reference into the store that is given back with its Python object."""
        owned = ffi.gc(ptr, delete)
        self.handles.add(owned)
        return owned


#: `CELLWALL_STORE_ELSEWHERE`.
ELSEWHERE = 2

#: The states of all stores, by the library's numbers.
STATES: "WeakValueDictionary[int, State]" = WeakValueDictionary()


class Store(Closing):
    """What instances live in. One thread at a time uses a store and what is in it."""

    def __init__(self, engine: Optional[Engine] = None, data: Any = None):
        if engine is None:
            engine = Engine()
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        self._state = State(engine, data)
        STATES[lib.cellwall_store_id(self._state.ptr)] = self._state

    def data(self) -> Any:
        """What the store was made with."""
        return self._state.data

    def set_wasi(self, wasi: "WasiConfig") -> None:
        """Gives the programs in this store what a configuration grants, which is used up."""
        check(lib.cellwall_store_wasi_set(live(self).ptr, wasi._take()))

    def set_wasi_http(self) -> None:
        """Does nothing: what `wasi:http` may do is granted by `WasiConfig.allow_http`."""
        live(self)

    def interrupt(self) -> None:
        """Stops the call of guest code that is running in this store, from another thread. It is of no use then."""
        ptr = self._state.ptr
        if self._state.closed:
            raise ValueError("the store is closed")
        lib.cellwall_store_interrupt(ptr)

    def set_limits(
        self,
        memory_size: int = -1,
        table_elements: int = -1,
        instances: int = -1,
        tables: int = -1,
        memories: int = -1,
    ) -> None:
        """Limits what guests can make the store grow to, and how much is made in it; negative numbers are no limit,
        which is the default."""
        lib.cellwall_store_limits_set(live(self).ptr, memory_size, table_elements, instances, tables, memories)

    def close(self) -> None:
        """Gives everything in the store back. Nothing of it can be used afterwards."""
        state = self._state
        if state.closed:
            return
        if lib.cellwall_store_use(state.ptr):
            raise ValueError("the store cannot be closed while something in it is being called")
        state.closed = True
        for handle in list(state.handles):
            ffi.release(handle)
        state.handles = WeakSet()
        state.objects.clear()
        state.numbers.clear()
        # Deleted when no other thread is using it.
        state.ptr = NULL


#: What stands for a store: itself, or the caller of a function of the host.
Storelike = Union[Store, "Caller", "StoreContext"]


def live(store: Any) -> State:
    """The state behind a store or a caller that can be used."""
    state = getattr(store, "_state", None)
    if not isinstance(state, State):
        raise TypeError(f"expected a Store or a Caller that is still calling, got {store!r}")
    if state.closed:
        raise ValueError("the store is closed")
    if lib.cellwall_store_use(state.ptr) == ELSEWHERE:
        raise CellwallError("the store is in use by another thread")
    return state


def same(store: Any, state: State) -> State:
    """Likewise, of the store in which something is."""
    if live(store) is not state:
        raise ValueError("it belongs to another store")
    return state


__all__ = ["Config", "Engine", "Store", "Storelike", "c_text"]
