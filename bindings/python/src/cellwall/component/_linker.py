"""What the host gives components: functions, resources, core modules and instances, by name."""

from __future__ import annotations

from itertools import count
from typing import Any, Callable, Dict, Optional

from .._engine import STATES, Closing, Engine, State, Storelike, live
from .._error import check, pending, unsaid
from .._lib import NULL, ffi, lib
from .._module import Module
from ._component import Component
from ._enter import run
from ._instance import Instance
from ._resource import ResourceType
from ._types import FuncType

#: Called with the store, and the representation of a resource whose last handle is dropped.
ResourceDtor = Callable[["StoreContext", int], None]


class StoreContext:
    """The store of a running function of the host; to be used in its place until the function returns."""

    __slots__ = ("_state",)

    def __init__(self, state: State):
        self._state: Optional[State] = state

    def data(self) -> Any:
        """What the store was made with."""
        return live(self).data

    def _end(self) -> None:
        self._state = None


class _Callback:
    __slots__ = ("func", "id", "params", "result")

    def __init__(self, func: Callable[..., Any]):
        self.func = func
        #: The type that it was called with last.
        self.id = 0
        self.params: Any = ()
        self.result: Any = None

    def read(self, ty: Any) -> None:
        number = lib.cellwall_component_func_type_id(ty)
        if number != self.id:
            read = FuncType._read(ty)
            self.params, self.result = [param for _, param in read.params], read.result
            self.id = number


#: Functions of the host that components can call, by number.
_callbacks: Dict[int, Any] = {}
_numbers = count(1)


def _remember(what: Any) -> Any:
    number = next(_numbers)
    _callbacks[number] = what
    return ffi.cast("void *", number)


@ffi.callback("void(void *)")
def _forget(env: Any) -> None:
    _callbacks.pop(int(ffi.cast("uintptr_t", env)), None)


def _ended(error: BaseException) -> Any:
    """The error that stands for what a function raised."""
    pending.error = error
    text = f"{type(error).__name__}: {error}".replace("\0", " ")
    return lib.cellwall_error_new(text.encode("utf-8", "replace"))


@ffi.callback(
    "cellwall_error_t *(void *, wasm_store_t *, const cellwall_component_func_type_t *, "
    "const cellwall_component_val_t *, size_t, cellwall_component_val_t *, size_t)",
    error=lib.cellwall_error_unsaid(),
    onerror=unsaid,
)
def _call(env: Any, store: Any, ty: Any, args: Any, nargs: int, results: Any, nresults: int) -> Any:
    try:
        callback = _callbacks[int(ffi.cast("uintptr_t", env))]
        callback.read(ty)
        state = STATES[lib.cellwall_store_id(store)]
        values = [param._lift(args[place]) for place, param in enumerate(callback.params)]
        context = StoreContext(state)
        try:
            answer = callback.func(context, *values)
        finally:
            context._end()
        if callback.result is not None:
            callback.result._lower(state, results[0], answer, "the result")
        elif answer is not None:
            raise TypeError(f"a function without a result returned {answer!r}")
        return NULL
    except BaseException as error:
        return _ended(error)


@ffi.callback(
    "cellwall_error_t *(void *, wasm_store_t *, uint32_t)", error=lib.cellwall_error_unsaid(), onerror=unsaid
)
def _drop(env: Any, store: Any, rep: int) -> Any:
    try:
        context = StoreContext(STATES[lib.cellwall_store_id(store)])
        try:
            _callbacks[int(ffi.cast("uintptr_t", env))](context, rep)
        finally:
            context._end()
        return NULL
    except BaseException as error:
        return _ended(error)


def _lost(out: Any) -> Callable[[Any], None]:
    """What is done with an instance, or why there is none, when Ctrl-C came meanwhile."""

    def lost(error: Any) -> None:
        lib.cellwall_error_delete(error)
        lib.cellwall_component_instance_delete(out[0])

    return lost


class Linker(Closing):
    """Definitions by names, for every store of an engine."""

    def __init__(self, engine: Engine):
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        ptr = lib.cellwall_component_linker_new(engine._live())
        self._ptr: Any = ffi.gc(ptr, lib.cellwall_component_linker_delete)
        self._shadowing = False

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the linker is closed")
        return self._ptr

    @property
    def allow_shadowing(self) -> bool:
        """Whether a name may be defined twice; the last definition is used then."""
        return self._shadowing

    @allow_shadowing.setter
    def allow_shadowing(self, allow: bool) -> None:
        lib.cellwall_component_linker_allow_shadowing(self._live(), bool(allow))
        self._shadowing = bool(allow)

    def root(self) -> LinkerInstance:
        """To define what components import by itself. To be used in a `with`, or not: nothing is locked."""
        return LinkerInstance._of(lib.cellwall_component_linker_root(self._live()))

    def add_wasip2(self) -> None:
        """Defines all interfaces of WASI 0.2 but HTTP; what programs are granted is said by `Store.set_wasi`."""
        check(lib.cellwall_component_linker_add_wasip2(self._live()))

    def add_wasi_http(self) -> None:
        """Defines `wasi:http`, beside `add_wasip2`; requests go to hosts that `WasiConfig.allow_http` granted."""
        check(lib.cellwall_component_linker_add_wasi_http(self._live()))

    def define_unknown_imports_as_traps(self, component: Component) -> None:
        """Defines each function that the component imports and that is not defined as one that traps."""
        if not isinstance(component, Component):
            raise TypeError("expected a Component")
        check(lib.cellwall_component_linker_define_unknown_imports_as_traps(self._live(), component._live()))

    def instantiate(self, store: Storelike, component: Component) -> Instance:
        """Compares types, and makes an instance."""
        if not isinstance(component, Component):
            raise TypeError("expected a Component")
        state = live(store)
        out = ffi.new("cellwall_component_instance_t **")
        call = lib.cellwall_component_linker_instantiate
        run(state, _lost(out), call, self._live(), state.ptr, component._live(), out)
        return Instance._of(state, out[0])

    def instantiate_pre(self, component: Component) -> InstancePre:
        """The component with its imports, found once, to be instantiated in many stores."""
        if not isinstance(component, Component):
            raise TypeError("expected a Component")
        out = ffi.new("cellwall_component_instance_pre_t **")
        check(lib.cellwall_component_linker_instantiate_pre(self._live(), component._live(), out))
        return InstancePre._of(out[0])

    def close(self) -> None:
        """Gives it back; instances live on."""
        self._ptr = None


class InstancePre:
    """A component and its imports; made by `Linker.instantiate_pre`. Threads may share it."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("an InstancePre is made by Linker.instantiate_pre")

    @classmethod
    def _of(cls, ptr: Any) -> InstancePre:
        pre = object.__new__(cls)
        pre._ptr = ffi.gc(ptr, lib.cellwall_component_instance_pre_delete)
        return pre

    def instantiate(self, store: Storelike) -> Instance:
        """Makes an instance."""
        state = live(store)
        out = ffi.new("cellwall_component_instance_t **")
        run(state, _lost(out), lib.cellwall_component_instance_pre_instantiate, self._ptr, state.ptr, out)
        return Instance._of(state, out[0])


class LinkerInstance(Closing):
    """A place in a linker to define things in: the root, or an instance."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("a LinkerInstance comes from Linker.root or LinkerInstance.add_instance")

    @classmethod
    def _of(cls, ptr: Any) -> LinkerInstance:
        place = object.__new__(cls)
        place._ptr = ffi.gc(ptr, lib.cellwall_component_linker_instance_delete)
        return place

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the place is closed")
        return self._ptr

    def add_instance(self, name: str) -> LinkerInstance:
        """To define what is in an instance of this name; it may have been begun before."""
        data = name.encode("utf-8")
        out = ffi.new("cellwall_component_linker_instance_t **")
        check(lib.cellwall_component_linker_instance_add_instance(self._live(), data, len(data), out))
        return LinkerInstance._of(out[0])

    def add_module(self, name: str, module: Module) -> None:
        """Defines a core module."""
        if not isinstance(module, Module):
            raise TypeError("expected a Module")
        data = name.encode("utf-8")
        ptr = module._in(module._store())
        check(lib.cellwall_component_linker_instance_add_module(self._live(), data, len(data), ptr))

    def add_func(self, name: str, func: Callable[..., Any]) -> None:
        """Defines a function of the host, of whatever type a component imports it with: `func(store, *args)`."""
        if not callable(func):
            raise TypeError("expected something that can be called")
        place, data = self._live(), name.encode("utf-8")
        env = _remember(_Callback(func))
        check(lib.cellwall_component_linker_instance_add_func(place, data, len(data), _call, env, _forget))

    def add_resource(self, name: str, ty: ResourceType, dtor: Optional[ResourceDtor] = None) -> None:
        """Defines a resource type; `dtor(store, rep)` is called for each resource whose last handle is dropped."""
        if not isinstance(ty, ResourceType):
            raise TypeError("expected a ResourceType")
        if dtor is not None and not callable(dtor):
            raise TypeError("expected something that can be called")
        place, data = self._live(), name.encode("utf-8")
        add = lib.cellwall_component_linker_instance_add_resource
        if dtor is None:
            check(add(place, data, len(data), ty._ptr, NULL, NULL, NULL))
        else:
            check(add(place, data, len(data), ty._ptr, _drop, _remember(dtor), _forget))

    def close(self) -> None:
        """Gives the place back, not what is defined in it."""
        self._ptr = None
