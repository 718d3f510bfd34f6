"""Functions, of guests and of the host."""

from __future__ import annotations

import struct
from itertools import count
from threading import get_ident
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from . import _signals
from ._engine import STATES, State, Storelike, live, same
from ._error import CellwallError, failed, made, pending, raise_trap, unsaid
from ._exception import ThrownException, throw
from ._lib import NULL, ffi, lib, name
from ._types import FuncType
from ._value import number, read_val, signed, write_val

if TYPE_CHECKING:
    from ._extern import AsExtern

#: Values of a fast call.
RAW_MAX = 8
_FORMATS = ("i4x", "q", "f4x", "d")

_call_raw = lib.cellwall_func_call_raw
_trap_delete = lib.wasm_trap_delete
_watched = _signals.watched
_MAIN = _signals.MAIN


class Func:
    """A function in a store: `func(store, 1, 2)` calls it.

    The answer is None, the result, or a list of the results. Integers may be given as signed or unsigned
    ones, and come back signed.
    """

    __slots__ = ("_state", "_ptr", "_type", "_raw", "_pack", "_unpack", "_results", "_place")

    def __init__(
        self,
        store: Storelike,
        ty: FuncType,
        func: Callable[..., Any],
        access_caller: bool = False,
    ):
        if not isinstance(ty, FuncType):
            raise TypeError("expected a FuncType")
        if not callable(func):
            raise TypeError("expected something that can be called")
        state = live(store)
        env = remember(ty, func, access_caller)
        ptr = lib.cellwall_func_new(state.ptr, ty.to_c(), _call, env, _forget)
        if ptr == NULL:
            raise failed("the function cannot be made")
        self._init(state, ptr)

    @classmethod
    def _of(cls, state: State, ptr: Any) -> Func:
        func = object.__new__(cls)
        func._init(state, ptr)
        return func

    def _init(self, state: State, ptr: Any) -> None:
        self._state = state
        self._ptr = state.own(ptr, lib.wasm_func_delete)
        self._type: Optional[FuncType] = None
        self._raw: Optional[bool] = None
        self._place: Any = None

    def type(self, store: Storelike) -> FuncType:
        """Its type."""
        same(store, self._state)
        return self._known_type()

    def _known_type(self) -> FuncType:
        if self._type is None:
            ptr = made(lib.wasm_func_type(self._ptr), lib.wasm_functype_delete)
            self._type = FuncType.of(ptr)
        return self._type

    def _prepare(self) -> None:
        """Finds out how it is called."""
        ty = self._known_type()
        kinds = [t._kind for t in ty._params], [t._kind for t in ty._results]
        self._raw = bool(lib.cellwall_func_is_raw(self._ptr))
        if self._raw:
            formats = ["=" + "".join(_FORMATS[kind] for kind in of) for of in kinds]
            self._pack = struct.Struct(formats[0]).pack_into
            self._unpack = struct.Struct(formats[1]).unpack_from
        self._results = len(kinds[1])

    def __call__(self, store: Storelike, *params: Any) -> Any:
        state = self._state
        try:
            usable = store._state is state and not state.closed
        except AttributeError:
            usable = False
        if not usable:
            same(store, state)
        if self._raw is None:
            self._prepare()
        if not self._raw:
            return self._call_slowly(params)
        # The place for values is taken by the call, as it may call itself.
        place, self._place = self._place, None
        if place is None:
            values = ffi.new("cellwall_raw_t[]", RAW_MAX)
            place = values, memoryview(ffi.buffer(values))
        values, view = place
        try:
            self._pack(view, 0, *params)
        except (struct.error, OverflowError, TypeError):
            self._pack_slowly(values, params)
        pending.error = None
        if get_ident() == _MAIN:
            trap = _watched(state.engine, _trap_delete, _call_raw, self._ptr, values, RAW_MAX)
        else:
            trap = _call_raw(self._ptr, values, RAW_MAX)
        if trap:
            raise_trap(trap, state)
        count = self._results
        if count == 0:
            self._place = place
            return None
        results = self._unpack(view)
        self._place = place
        return results[0] if count == 1 else list(results)

    def _count(self, params: tuple) -> None:
        wanted = len(self._known_type()._params)
        if len(params) != wanted:
            few = "few" if len(params) < wanted else "many"
            raise CellwallError(f"too {few} parameters provided: given {len(params)}, expected {wanted}")

    def _pack_slowly(self, values: Any, params: tuple) -> None:
        """Says what is wrong with the parameters, and takes what `struct` does not."""
        self._count(params)
        for place, (ty, param) in enumerate(zip(self._known_type()._params, params)):
            what = f"parameter {place + 1}"
            param = getattr(param, "_value", param) if type(param).__name__ == "Val" else param
            if ty._kind == 0:
                values[place].i32 = signed(param, 32, what)
            elif ty._kind == 1:
                values[place].i64 = signed(param, 64, what)
            elif ty._kind == 2:
                values[place].f32 = number(param, what)
            else:
                values[place].f64 = number(param, what)

    def _call_slowly(self, params: tuple) -> Any:
        self._count(params)
        ty, state = self._known_type(), self._state
        args, results = ffi.new("wasm_val_vec_t *"), ffi.new("wasm_val_vec_t *")
        lib.wasm_val_vec_new_uninitialized(args, len(params))
        ffi.memmove(args.data, bytes(len(params) * ffi.sizeof("wasm_val_t")), len(params) * ffi.sizeof("wasm_val_t"))
        lib.wasm_val_vec_new_uninitialized(results, len(ty._results))
        size = len(ty._results) * ffi.sizeof("wasm_val_t")
        ffi.memmove(results.data, bytes(size), size)
        try:
            for place, (param_type, param) in enumerate(zip(ty._params, params)):
                write_val(state, args.data[place], param_type._kind, param, f"parameter {place + 1}")
            pending.error = None
            if get_ident() == _MAIN:
                trap = _watched(state.engine, _trap_delete, lib.wasm_func_call, self._ptr, args, results)
            else:
                trap = lib.wasm_func_call(self._ptr, args, results)
            if trap:
                raise_trap(trap, state)
            answer = [read_val(state, results.data[place]) for place in range(results.size)]
        finally:
            lib.wasm_val_vec_delete(args)
            lib.wasm_val_vec_delete(results)
        return answer[0] if len(answer) == 1 else answer or None

    def _as_extern(self) -> Any:
        return lib.wasm_func_as_extern(self._ptr)

    def __repr__(self) -> str:
        return f"<cellwall.Func {self._known_type()!r}>" if not self._state.closed else "<cellwall.Func, closed>"


class Caller:
    """Who calls a function of the host; to be used in place of the store until the function returns."""

    __slots__ = ("_state", "_caller")

    def __init__(self, state: State, caller: Any):
        self._state: Optional[State] = state
        self._caller = caller

    def get(self, name_: str) -> Optional[AsExtern]:
        """What the calling instance exports by this name; None without such a thing."""
        from ._extern import wrap_extern

        state = live(self)
        found = lib.cellwall_caller_export(self._caller, name(name_))
        return None if found == NULL else wrap_extern(state, found)

    def __getitem__(self, name: str) -> AsExtern:
        found = self.get(name)
        if found is None:
            raise KeyError(f"the calling instance exports no {name!r}")
        return found

    def data(self) -> Any:
        """What the store was made with."""
        return live(self).data

    def _end(self) -> None:
        self._state = None
        self._caller = None


class _Callback:
    __slots__ = ("func", "params", "results", "access_caller")

    def __init__(self, ty: FuncType, func: Callable[..., Any], access_caller: bool):
        self.func = func
        self.params = range(len(ty._params))
        self.results = [t._kind for t in ty._results]
        self.access_caller = access_caller


#: Functions of the host that guests can call, by number.
_callbacks: Dict[int, _Callback] = {}
_numbers = count(1)


def remember(ty: FuncType, func: Callable[..., Any], access_caller: bool) -> Any:
    """The number of a function of the host, as the library keeps it."""
    number = next(_numbers)
    _callbacks[number] = _Callback(ty, func, access_caller)
    return ffi.cast("void *", number)


@ffi.callback("void(void *)")
def _forget(env: Any) -> None:
    _callbacks.pop(int(ffi.cast("uintptr_t", env)), None)


forget = _forget


def _results(state: State, kinds: List[int], results: Any, answer: Any) -> None:
    if len(kinds) == 0:
        if answer is not None:
            raise TypeError(f"a function without results returned {answer!r}")
        return
    if len(kinds) == 1:
        write_val(state, results[0], kinds[0], answer, "the result")
        return
    if not isinstance(answer, (list, tuple)) or len(answer) != len(kinds):
        raise TypeError(f"expected {len(kinds)} results, got {answer!r}")
    for place, (kind, value) in enumerate(zip(kinds, answer)):
        write_val(state, results[place], kind, value, f"result {place + 1}")


@ffi.callback(
    "wasm_trap_t *(void *, cellwall_caller_t *, const wasm_val_t *, size_t, wasm_val_t *, size_t)",
    error=lib.cellwall_trap_unsaid(),
    onerror=unsaid,
)
def _call(env: Any, caller: Any, args: Any, nargs: int, results: Any, nresults: int) -> Any:
    store = lib.cellwall_caller_store(caller)
    try:
        callback = _callbacks[int(ffi.cast("uintptr_t", env))]
        state = STATES[lib.cellwall_store_id(store)]
        values = [read_val(state, args[place]) for place in callback.params]
        if callback.access_caller:
            who = Caller(state, caller)
            try:
                answer = callback.func(who, *values)
            finally:
                who._end()
        else:
            answer = callback.func(*values)
        _results(state, callback.results, results, answer)
        return NULL
    except BaseException as error:
        if isinstance(error, ThrownException):
            trap = throw(state, error)
            if trap != NULL:
                return trap
        pending.error = error
        message = ffi.new("wasm_name_t *")
        text = f"{type(error).__name__}: {error}".encode("utf-8", "replace") + b"\0"
        buffer = ffi.from_buffer("wasm_byte_t[]", text)
        message.size, message.data = len(text), buffer
        return lib.wasm_trap_new(ffi.cast("wasm_store_t *", store), message)


trampoline = _call
