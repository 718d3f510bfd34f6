"""Calls into guests of components, and what they end with."""

from __future__ import annotations

from threading import get_ident
from typing import Any, Callable

from .. import _signals
from .._engine import State
from .._error import Frame, ExitTrap, Trap, TrapCode, check, pending, taken_bytes
from .._lib import ffi, lib

_watched = _signals.watched
_MAIN = _signals.MAIN

#: `CELLWALL_ERROR_TRAP`.
_TRAP = 4


def raise_error(error: Any) -> None:
    """Raises what an owned error stands for: what a function of the host raised, an exit, a trap, or an error."""
    raised, pending.error = pending.error, None
    if raised is not None:
        lib.cellwall_error_delete(error)
        raise raised
    status = ffi.new("int32_t *")
    if lib.cellwall_error_exit_status(error, status):
        lib.cellwall_error_delete(error)
        raise ExitTrap(status[0])
    if lib.cellwall_error_kind(error) != _TRAP:
        check(error)
    try:
        message = taken_bytes(lambda out: lib.cellwall_error_message(error, out)).decode("utf-8", "replace")
        code = lib.cellwall_error_trap_code(error)
        frames = ffi.new("wasm_frame_vec_t *")
        lib.cellwall_error_wasm_trace(error, frames)
        try:
            found = [Frame(frames.data[number]) for number in range(frames.size)]
        finally:
            lib.wasm_frame_vec_delete(frames)
        trap = Trap(message)
        trap.frames = found
        trap.trap_code = TrapCode(code) if 0 < code <= len(TrapCode) else None
        raise trap
    finally:
        lib.cellwall_error_delete(error)


def run(state: State, lost: Callable[[Any], None], call: Callable[..., Any], *args: Any) -> None:
    """Makes a call that may run guest code, which Ctrl-C ends in the main thread; then `lost` gets what it answered."""
    pending.error = None
    if get_ident() == _MAIN:
        error = _watched(state.engine, lost, call, *args)
    else:
        error = call(*args)
    if error:
        raise_error(error)
