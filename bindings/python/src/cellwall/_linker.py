"""Linkers: definitions by names, from which modules are instantiated."""

from __future__ import annotations

from typing import Any, Callable

from ._engine import Closing, Engine, State, Storelike, live, same
from ._error import CellwallError, check, raise_trap
from ._extern import AsExtern, extern_ptr, wrap_extern
from ._func import Func, forget, remember, trampoline
from ._lib import NULL, ffi, lib, name
from ._module import Instance, Module
from ._signals import guarded
from ._types import FuncType


class Linker(Closing):
    """Definitions by names."""

    def __init__(self, engine: Engine):
        if not isinstance(engine, Engine):
            raise TypeError("expected an Engine")
        self._ptr: Any = ffi.gc(lib.cellwall_linker_new(engine._live()), lib.cellwall_linker_delete)
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
        lib.cellwall_linker_allow_shadowing(self._live(), bool(allow))
        self._shadowing = bool(allow)

    def define(self, store: Storelike, module: str, name_: str, item: AsExtern) -> None:
        """Defines something of a store; the linker can be used with that store only from then on."""
        state = live(store)
        ptr = extern_ptr(state, item, f"{module}.{name_}")
        check(lib.cellwall_linker_define(self._live(), state.ptr, name(module), name(name_), ptr))

    def define_func(
        self,
        module: str,
        name_: str,
        ty: FuncType,
        func: Callable[..., Any],
        access_caller: bool = False,
    ) -> None:
        """Defines a function of the host, for every store."""
        if not isinstance(ty, FuncType):
            raise TypeError("expected a FuncType")
        if not callable(func):
            raise TypeError("expected something that can be called")
        linker, c_type = self._live(), ty.to_c()
        env = remember(ty, func, access_caller)
        check(
            lib.cellwall_linker_define_func_with_caller(
                linker, name(module), name(name_), c_type, trampoline, env, forget
            )
        )

    def define_instance(self, store: Storelike, name_: str, instance: Instance) -> None:
        """Defines all exports of an instance under one module name."""
        if not isinstance(instance, Instance):
            raise TypeError("expected an Instance")
        state = same(store, instance._state)
        check(lib.cellwall_linker_define_instance(self._live(), state.ptr, name(name_), instance._ptr))

    def define_module(self, store: Storelike, name_: str, module: Module) -> None:
        """Defines all exports of a module: a command is instantiated for each call, a reactor now."""
        if not isinstance(module, Module):
            raise TypeError("expected a Module")
        state = live(store)
        check(lib.cellwall_linker_define_module(self._live(), state.ptr, name(name_), module._in(state.ptr)))

    def define_wasi(self) -> None:
        """Defines all functions of WASI 0.1; what programs are granted is said by `Store.set_wasi`."""
        check(lib.cellwall_linker_define_wasi(self._live()))

    def define_unknown_imports_as_traps(self, module: Module) -> None:
        """Defines each function that the module imports and that is not defined as one that traps."""
        check(lib.cellwall_linker_define_unknown_imports_as_traps(self._live(), module._in(module._store())))

    def instantiate(self, store: Storelike, module: Module) -> Instance:
        """Makes an instance with imports found here, and runs its start function."""
        if not isinstance(module, Module):
            raise TypeError("expected a Module")
        state = live(store)
        return _instantiate(state, lib.cellwall_linker_instantiate, self._live(), module, module._in(state.ptr))

    def instantiate_pre(self, module: Module) -> InstancePre:
        """The module with its imports, found once, to be instantiated in many stores."""
        if not isinstance(module, Module):
            raise TypeError("expected a Module")
        out = ffi.new("cellwall_instance_pre_t **")
        check(lib.cellwall_linker_instantiate_pre(self._live(), module._in(module._store()), out))
        return InstancePre._of(out[0], module)

    def alias(self, module: str, name_: str, as_module: str, as_name: str) -> None:
        """Defines under new names what is defined under these."""
        names = name(module), name(name_), name(as_module), name(as_name)
        check(lib.cellwall_linker_alias(self._live(), *names))

    def alias_module(self, module: str, as_module: str) -> None:
        """Defines under a new module name all that is defined under this one."""
        check(lib.cellwall_linker_alias_module(self._live(), name(module), name(as_module)))

    def get(self, store: Storelike, module: str, name_: str) -> AsExtern:
        """What these names stand for."""
        state = live(store)
        found = lib.cellwall_linker_get(self._live(), state.ptr, name(module), name(name_))
        if found == NULL:
            raise CellwallError(f"{module}.{name_} is not defined")
        return wrap_extern(state, found)

    def get_default(self, store: Storelike, name_: str) -> Func:
        """The function to run of a module defined by `define_module`."""
        state = live(store)
        out = ffi.new("wasm_func_t **")
        check(lib.cellwall_linker_get_default(self._live(), state.ptr, name(name_), out))
        return Func._of(state, out[0])

    def close(self) -> None:
        """Gives it back; what was instantiated lives on."""
        self._ptr = None


class InstancePre:
    """A module and its imports; made by `Linker.instantiate_pre`. Threads may share it."""

    def __init__(self) -> None:
        raise TypeError("an InstancePre is made by Linker.instantiate_pre")

    @classmethod
    def _of(cls, ptr: Any, module: Module) -> InstancePre:
        pre = object.__new__(cls)
        pre._ptr = ffi.gc(ptr, lib.cellwall_instance_pre_delete)
        pre._module = module
        return pre

    @property
    def module(self) -> Module:
        """The module."""
        return self._module

    def instantiate(self, store: Storelike) -> Instance:
        """Makes an instance, and runs its start function."""
        state = live(store)
        return _instantiate(state, lib.cellwall_instance_pre_instantiate, self._ptr, self._module)


def _instantiate(state: State, make: Callable[..., Any], source: Any, module: Module, *obtained: Any) -> Instance:
    out, trap = ffi.new("wasm_instance_t **"), ffi.new("wasm_trap_t **")

    def lost(error: Any) -> None:
        lib.cellwall_error_delete(error)
        lib.wasm_instance_delete(out[0])
        lib.wasm_trap_delete(trap[0])

    check(guarded(state.engine, lost, make, source, state.ptr, *obtained, out, trap))
    if trap[0] != NULL:
        raise_trap(trap[0], state)
    return Instance._of(state, out[0], module)
