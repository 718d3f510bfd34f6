"""Resources: things that are passed by handle."""

from __future__ import annotations

from typing import Any

from .._engine import Closing, State, Storelike, live
from .._lib import ffi, lib
from ._enter import raise_error, run


class ResourceType:
    """The type of a resource: of the host, or of a component instance."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("a ResourceType of the host is made by ResourceType.host")

    @classmethod
    def _of(cls, ptr: Any) -> ResourceType:
        """It of a pointer that is given away."""
        ty = object.__new__(cls)
        ty._ptr = ffi.gc(ptr, lib.cellwall_component_resource_type_delete)
        return ty

    @classmethod
    def host(cls, ty: int) -> ResourceType:
        """The type of the host's with this number: equal numbers are equal types."""
        return cls._of(lib.cellwall_component_resource_type_new_host(ty))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResourceType):
            return NotImplemented
        return bool(lib.cellwall_component_resource_type_equal(self._ptr, other._ptr))

    #: Equal types cannot be found by a number of theirs.
    __hash__ = None  # type: ignore[assignment]


class ResourceAny(Closing):
    """A handle of a resource in a store. What is owned must be passed on or dropped."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("a ResourceAny comes from a guest, or from ResourceHost.to_any")

    @classmethod
    def _of(cls, ptr: Any) -> ResourceAny:
        """It of a pointer that is given away."""
        resource = object.__new__(cls)
        resource._ptr = ffi.gc(ptr, lib.cellwall_component_resource_any_delete)
        return resource

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the resource is closed")
        return self._ptr

    @property
    def type(self) -> ResourceType:
        """Its type."""
        return ResourceType._of(lib.cellwall_component_resource_any_type(self._live()))

    @property
    def owned(self) -> bool:
        """Whether the host owns it; otherwise it was lent to a function of the host, until that returns."""
        return bool(lib.cellwall_component_resource_any_owned(self._live()))

    def drop(self, store: Storelike) -> None:
        """Drops the resource; its destructor is called if the host owns it."""
        state = live(store)
        run(state, lib.cellwall_error_delete, lib.cellwall_component_resource_any_drop, state.ptr, self._live())

    def to_host(self, store: Storelike) -> ResourceHost:
        """Takes a resource of the host back out of the store. If it was owned, the handle is of no use then."""
        state = live(store)
        out = ffi.new("cellwall_component_resource_host_t **")
        error = lib.cellwall_component_resource_any_to_host(state.ptr, self._live(), out)
        if error:
            raise_error(error)
        return ResourceHost._of(out[0])

    def close(self) -> None:
        """Gives the handle back, not the resource."""
        self._ptr = None


class ResourceHost(Closing):
    """A resource of the host: its representation, which is a number, and the number of its type."""

    __slots__ = ("_ptr",)

    def __init__(self) -> None:
        raise TypeError("a ResourceHost is made by ResourceHost.own or ResourceHost.borrow")

    @classmethod
    def _of(cls, ptr: Any) -> ResourceHost:
        resource = object.__new__(cls)
        resource._ptr = ffi.gc(ptr, lib.cellwall_component_resource_host_delete)
        return resource

    @classmethod
    def own(cls, rep: int, ty: int) -> ResourceHost:
        """A resource to be given away."""
        return cls._of(lib.cellwall_component_resource_host_new(True, rep, ty))

    @classmethod
    def borrow(cls, rep: int, ty: int) -> ResourceHost:
        """A resource to be lent."""
        return cls._of(lib.cellwall_component_resource_host_new(False, rep, ty))

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the resource is closed")
        return self._ptr

    @property
    def rep(self) -> int:
        """Its representation."""
        return int(lib.cellwall_component_resource_host_rep(self._live()))

    @property
    def type(self) -> int:
        """The number of its type."""
        return int(lib.cellwall_component_resource_host_type(self._live()))

    @property
    def owned(self) -> bool:
        """Whether it is given away, and not lent."""
        return bool(lib.cellwall_component_resource_host_owned(self._live()))

    def to_any(self, store: Storelike) -> ResourceAny:
        """Puts it into a store, to be passed to guests."""
        return ResourceAny._of(self._any(live(store)))

    def _any(self, state: State) -> Any:
        out = ffi.new("cellwall_component_resource_any_t **")
        error = lib.cellwall_component_resource_host_to_any(state.ptr, self._live(), out)
        if error:
            raise_error(error)
        return out[0]

    def close(self) -> None:
        """Gives it back."""
        self._ptr = None


def resource_ptr(state: State, value: Any, what: str) -> Any:
    """A handle that is given away, for a resource that is passed."""
    if isinstance(value, ResourceAny):
        return lib.cellwall_component_resource_any_clone(value._live())
    if isinstance(value, ResourceHost):
        return value._any(state)
    raise TypeError(f"{what}: expected a ResourceAny or ResourceHost, got {type(value).__name__}")


__all__ = ["ResourceAny", "ResourceHost", "ResourceType", "resource_ptr"]
