"""Memories, tables and globals."""

from __future__ import annotations

import ctypes
from enum import Enum
from typing import Any, Optional, Union

from ._engine import Engine, State, Storelike, live, same
from ._error import CellwallError, check, failed, made
from ._exception import Tag
from ._func import Func
from ._lib import NULL, ffi, lib
from ._types import GlobalType, MemoryType, TableType
from ._value import one_val, read_ref, read_val


class Memory:
    """A linear memory in a store."""

    __slots__ = ("_state", "_ptr")

    def __init__(self, store: Storelike, ty: MemoryType):
        if not isinstance(ty, MemoryType):
            raise TypeError("expected a MemoryType")
        if ty.shared:
            raise TypeError("a memory that threads share is a SharedMemory")
        state = live(store)
        ptr = lib.wasm_memory_new(state.ptr, ty.to_c())
        if ptr == NULL:
            raise failed("the memory cannot be made")
        self._init(state, ptr)

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_memory_delete)

    def _live(self, store: Storelike) -> Any:
        same(store, self._state)
        return self._ptr

    def type(self, store: Storelike) -> MemoryType:
        """Its type."""
        return MemoryType.of(made(lib.wasm_memory_type(self._live(store)), lib.wasm_memorytype_delete))

    def grow(self, store: Storelike, delta: int) -> int:
        """Grows it by so many pages; the answer is its size before."""
        before = self.size(store)
        if not 0 <= delta < 2**64 or not lib.cellwall_memory_grow(self._live(store), delta):
            raise CellwallError(f"the memory cannot grow by {delta} pages from {before}")
        return before

    def size(self, store: Storelike) -> int:
        """Its size in pages."""
        return int(lib.cellwall_memory_size(self._live(store)))

    def data_len(self, store: Storelike) -> int:
        """Its size in bytes."""
        return int(lib.wasm_memory_data_size(self._live(store)))

    def page_size(self, store: Storelike) -> int:
        """Bytes of a page."""
        ty = made(lib.wasm_memory_type(self._live(store)), lib.wasm_memorytype_delete)
        return int(lib.cellwall_memorytype_page_size(ty))

    def buffer(self, store: Storelike) -> memoryview:
        """Its bytes as they are now, to be read and written in place, without a copy.

        The view stays valid: it keeps the memory, which never moves. It does not get longer when the memory
        grows; ask for another one then.
        """
        ptr = self._live(store)
        size = lib.wasm_memory_data_size(ptr)
        # A reference of the view's own: the bytes live as long as it does.
        owner = made(lib.wasm_memory_copy(ptr), lib.wasm_memory_delete)
        data = ffi.cast("unsigned char *", lib.wasm_memory_data(owner))
        return memoryview(ffi.buffer(ffi.gc(data, lambda _, keep=owner: None), size))

    def data_ptr(self, store: Storelike) -> Any:
        """The address of its first byte, as a pointer of `ctypes`. Valid as long as the store is."""
        address = int(ffi.cast("uintptr_t", lib.wasm_memory_data(self._live(store))))
        return ctypes.cast(address, ctypes.POINTER(ctypes.c_ubyte))

    def get_buffer_ptr(self, store: Storelike, size: Optional[int] = None, offset: int = 0) -> Any:
        """So many bytes from an offset on as an array of `ctypes`. Valid as long as the store is."""
        length = self.data_len(store)
        if size is None:
            size = length - offset
        if offset < 0 or size < 0 or offset + size > length:
            raise IndexError(f"bytes {offset} to {offset + size} of a memory of {length} bytes")
        address = int(ffi.cast("uintptr_t", lib.wasm_memory_data(self._live(store))))
        return (ctypes.c_ubyte * size).from_address(address + offset)

    def read(self, store: Storelike, start: Optional[int] = 0, stop: Optional[int] = None) -> bytearray:
        """A copy of the bytes from `start` to `stop`, with the meaning of a slice."""
        start, stop, _ = slice(start, stop).indices(self.data_len(store))
        return bytearray(self.buffer(store)[start:stop]) if start < stop else bytearray()

    def write(
        self, store: Storelike, value: Union[bytes, bytearray, memoryview], start: Optional[int] = None
    ) -> int:
        """Writes bytes from `start` on (from the end, if negative); the answer is how many."""
        length = self.data_len(store)
        start = start or 0
        if start < 0:
            start += length
        size = memoryview(value).nbytes
        if start < 0 or start + size > length:
            raise IndexError(f"{size} bytes at {start} of a memory of {length} bytes")
        self.buffer(store)[start : start + size] = memoryview(value).cast("B")
        return size

    def _as_extern(self) -> Any:
        return lib.wasm_memory_as_extern(self._ptr)


class WaitResult(Enum):
    """How a wait in a shared memory ended."""

    #: Somebody notified the address.
    OK = 0
    #: The value was not the expected one.
    MISMATCH = 1
    #: The time was over.
    TIMED_OUT = 2


class SharedMemory:
    """A memory of an engine, which stores on any threads can import and all threads may use."""

    __slots__ = ("_ptr",)

    def __init__(self, engine: Engine, ty: MemoryType):
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        if not isinstance(ty, MemoryType):
            raise TypeError("expected a MemoryType")
        if not ty.shared:
            raise CellwallError("the type of a shared memory says so: MemoryType(limits, shared=True)")
        ptr = lib.cellwall_sharedmemory_new(engine._live(), ty.to_c())
        if ptr == NULL:
            raise failed("the memory cannot be made")
        self._ptr = ffi.gc(ptr, lib.cellwall_sharedmemory_delete)

    @classmethod
    def _of(cls, ptr: Any) -> SharedMemory:
        memory = object.__new__(cls)
        memory._ptr = ffi.gc(ptr, lib.cellwall_sharedmemory_delete)
        return memory

    def type(self) -> MemoryType:
        """Its type."""
        return MemoryType.of(made(lib.cellwall_sharedmemory_type(self._ptr), lib.wasm_memorytype_delete))

    def grow(self, delta: int) -> int:
        """Grows it by so many pages for all that use it; the answer is its size before, as far as this thread saw."""
        before = self.size()
        if not 0 <= delta < 2**64 or not lib.cellwall_sharedmemory_grow(self._ptr, delta):
            raise CellwallError(f"the memory cannot grow by {delta} pages from {before}")
        return before

    def size(self) -> int:
        """Its size in pages. Others may grow it at any time; it never shrinks."""
        return int(lib.cellwall_sharedmemory_size(self._ptr))

    def data_len(self) -> int:
        """Its size in bytes."""
        return int(lib.cellwall_sharedmemory_data_size(self._ptr))

    def read(self, start: Optional[int] = 0, stop: Optional[int] = None) -> bytearray:
        """A copy of the bytes from `start` to `stop`, each as it is when its turn comes."""
        start, stop, _ = slice(start, stop).indices(self.data_len())
        data = bytearray(max(stop - start, 0))
        if data and not lib.cellwall_sharedmemory_read(self._ptr, start, ffi.from_buffer("uint8_t[]", data), len(data)):
            raise failed("the memory cannot be read")
        return data

    def write(self, value: Union[bytes, bytearray, memoryview], start: Optional[int] = None) -> int:
        """Writes bytes from `start` on (from the end, if negative); the answer is how many."""
        length, data = self.data_len(), bytes(value)
        start = start or 0
        if start < 0:
            start += length
        if start < 0 or start + len(data) > length:
            raise IndexError(f"{len(data)} bytes at {start} of a memory of {length} bytes")
        if data and not lib.cellwall_sharedmemory_write(self._ptr, start, data, len(data)):
            raise failed("the memory cannot be written")
        return len(data)

    def atomic_notify(self, address: int, count: int) -> int:
        """Wakes at most so many of those that wait at an address, guests and others; the answer is how many."""
        woken = ffi.new("uint32_t *")
        check(lib.cellwall_sharedmemory_atomic_notify(self._ptr, address, count, woken))
        return int(woken[0])

    def _wait(self, wait: Any, address: int, expected: int, bits: int, timeout: Optional[float]) -> WaitResult:
        nanoseconds = -1 if timeout is None else min(max(int(timeout * 1e9), 0), 2**63 - 1)
        result = ffi.new("uint8_t *")
        check(wait(self._ptr, address, expected & ((1 << bits) - 1), nanoseconds, result))
        return WaitResult(result[0])

    def atomic_wait32(self, address: int, expected: int, timeout: Optional[float] = None) -> WaitResult:
        """Waits until another thread notifies the address, at most so many seconds, if there are the expected 4 bytes.

        Other threads of Python go on meanwhile. Ctrl-C waits too: in the main thread, give a time.
        """
        return self._wait(lib.cellwall_sharedmemory_atomic_wait32, address, expected, 32, timeout)

    def atomic_wait64(self, address: int, expected: int, timeout: Optional[float] = None) -> WaitResult:
        """Likewise, of 8 bytes."""
        return self._wait(lib.cellwall_sharedmemory_atomic_wait64, address, expected, 64, timeout)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SharedMemory):
            return NotImplemented
        return bool(lib.cellwall_sharedmemory_same(self._ptr, other._ptr))

    #: The same memory may be held by several objects.
    __hash__ = None  # type: ignore[assignment]


class Table:
    """A table of references in a store."""

    __slots__ = ("_state", "_ptr")

    def __init__(self, store: Storelike, ty: TableType, init: Any):
        if not isinstance(ty, TableType):
            raise TypeError("expected a TableType")
        state = live(store)
        val = one_val(store, ty.element._kind, init, "the initial element")
        ptr = lib.wasm_table_new(state.ptr, ty.to_c(), val.of.ref)
        if ptr == NULL:
            raise failed("the table cannot be made")
        self._init(state, ptr)

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_table_delete)

    def _live(self, store: Storelike) -> Any:
        same(store, self._state)
        return self._ptr

    def type(self, store: Storelike) -> TableType:
        """Its type."""
        return TableType.of(made(lib.wasm_table_type(self._live(store)), lib.wasm_tabletype_delete))

    def size(self, store: Storelike) -> int:
        """Its size in elements."""
        return int(lib.wasm_table_size(self._live(store)))

    def grow(self, store: Storelike, amt: int, init: Any) -> int:
        """Grows it by so many elements; the answer is its size before."""
        before = self.size(store)
        val = one_val(store, self.type(store).element._kind, init, "the new elements")
        if not 0 <= amt <= 0xFFFFFFFF or not lib.wasm_table_grow(self._ptr, amt, val.of.ref):
            raise CellwallError(f"the table cannot grow by {amt} elements from {before}")
        return before

    def get(self, store: Storelike, idx: int) -> Any:
        """An element: a Func, an object, or None for null."""
        size = self.size(store)
        if not 0 <= idx < size:
            raise IndexError(f"element {idx} of a table of {size} elements")
        ref = lib.wasm_table_get(self._ptr, idx)
        try:
            return read_ref(self._state, ref)
        finally:
            if ref != NULL:
                lib.wasm_ref_delete(ref)

    def set(self, store: Storelike, idx: int, val: Any) -> None:
        """Writes an element."""
        size = self.size(store)
        if not 0 <= idx < size:
            raise IndexError(f"element {idx} of a table of {size} elements")
        element = one_val(store, self.type(store).element._kind, val, "the element")
        if not lib.wasm_table_set(self._ptr, idx, element.of.ref):
            raise failed(f"element {idx} cannot be set")

    def _as_extern(self) -> Any:
        return lib.wasm_table_as_extern(self._ptr)


class Global:
    """A global in a store."""

    __slots__ = ("_state", "_ptr")

    def __init__(self, store: Storelike, ty: GlobalType, val: Any):
        if not isinstance(ty, GlobalType):
            raise TypeError("expected a GlobalType")
        state = live(store)
        initial = one_val(store, ty.content._kind, val, "the initial value")
        ptr = lib.wasm_global_new(state.ptr, ty.to_c(), initial)
        if ptr == NULL:
            raise failed("the global cannot be made")
        self._init(state, ptr)

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_global_delete)

    def _live(self, store: Storelike) -> Any:
        same(store, self._state)
        return self._ptr

    def type(self, store: Storelike) -> GlobalType:
        """Its type."""
        return GlobalType.of(made(lib.wasm_global_type(self._live(store)), lib.wasm_globaltype_delete))

    def value(self, store: Storelike) -> Any:
        """Its value."""
        val = ffi.new("wasm_val_t *")
        lib.wasm_global_get(self._live(store), val)
        try:
            return read_val(self._state, val)
        finally:
            lib.wasm_val_delete(val)

    def set_value(self, store: Storelike, val: Any) -> None:
        """Writes its value."""
        ty = self.type(store)
        if not ty.mutable:
            raise CellwallError("the global cannot be changed: it is immutable")
        lib.wasm_global_set(self._ptr, one_val(store, ty.content._kind, val, "the value"))

    def _as_extern(self) -> Any:
        return lib.wasm_global_as_extern(self._ptr)


#: What can be imported and exported.
AsExtern = Union[Func, Memory, SharedMemory, Table, Global, Tag]


def wrap_extern(state: State, ptr: Any) -> AsExtern:
    """What an owned external is."""
    kind = lib.wasm_extern_kind(ptr)
    item: AsExtern
    if kind == 0:
        return Func._of(state, lib.wasm_extern_as_func(ptr))
    if kind == 1:
        item, inner = object.__new__(Global), lib.wasm_extern_as_global(ptr)
    elif kind == 4:
        return Tag._of(state, ptr)
    elif kind == 2:
        item, inner = object.__new__(Table), lib.wasm_extern_as_table(ptr)
    elif kind == 3:
        shared = lib.cellwall_extern_as_sharedmemory(ptr)
        if shared != NULL:
            lib.wasm_extern_delete(ptr)
            return SharedMemory._of(shared)
        item, inner = object.__new__(Memory), lib.wasm_extern_as_memory(ptr)
    else:
        lib.wasm_extern_delete(ptr)
        raise NotImplementedError(f"externals of kind {kind} cannot be used from Python yet")
    item._init(state, inner)
    return item


def extern_ptr(state: State, item: Any, what: str) -> Any:
    """It as an external, which stays its own or is given back with the answer."""
    if isinstance(item, SharedMemory):
        return made(lib.cellwall_sharedmemory_as_extern(item._ptr, state.ptr), lib.wasm_extern_delete)
    if not isinstance(item, (Func, Memory, Table, Global, Tag)):
        raise TypeError(f"{what}: expected a Func, Memory, Table, Global or Tag, got {type(item).__name__}")
    if item._state is not state:
        raise ValueError(f"{what}: it belongs to another store")
    return item._as_extern()
