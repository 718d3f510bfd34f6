"""Errors and traps."""

from __future__ import annotations

import threading
from enum import Enum
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional

from ._lib import NULL, ffi, lib, taken_bytes, text_of

if TYPE_CHECKING:
    from ._engine import State


class CellwallError(Exception):
    """Something that could not be done, and why.

    `kind` is one of ``"other"``, ``"invalid"`` (bytes that are no valid module), ``"limit"`` (it asks for more
    than a limit), ``"violation"`` (machine code that is not proven to be safe) and ``"trap"``; `offset` is the
    place in the module's bytes, if there is one.
    """

    kind: str
    offset: Optional[int]

    def __init__(self, message: str, kind: str = "other", offset: Optional[int] = None):
        super().__init__(message)
        self.kind = kind
        self.offset = offset


class ExitTrap(CellwallError):
    """A program of WASI ended itself with this `code`."""

    code: int

    def __init__(self, code: int):
        super().__init__(f"exited with status {code}")
        self.code = code


_KINDS = ("other", "invalid", "limit", "violation", "trap")


def check(error: Any) -> None:
    """Raises the error that a function answered, if it did."""
    if error == NULL:
        return
    try:
        message = taken_bytes(lambda out: lib.cellwall_error_message(error, out)).decode("utf-8", "replace")
        kind = lib.cellwall_error_kind(error)
        offset = ffi.new("size_t *")
        place = offset[0] if lib.cellwall_error_offset(error, offset) else None
        raise CellwallError(message, _KINDS[kind] if kind < len(_KINDS) else "other", place)
    finally:
        lib.cellwall_error_delete(error)


def failed(what: str) -> CellwallError:
    """The error behind a null or false that a function of the standard answered."""
    error = lib.cellwall_last_error()
    if error == NULL:
        return CellwallError(what)
    try:
        check(error)
    except CellwallError as reason:
        return reason
    return CellwallError(what)


def made(ptr: Any, delete: Any) -> Any:
    """What a function answered, given back with the answer; it cannot be null unless it failed."""
    if ptr == NULL:
        raise failed("the library refused it")
    return ffi.gc(ptr, delete)


class TrapCode(Enum):
    """Which trap of guest code it is."""

    STACK_OVERFLOW = 1
    MEMORY_OUT_OF_BOUNDS = 2
    TABLE_OUT_OF_BOUNDS = 3
    INDIRECT_CALL_TO_NULL = 4
    BAD_SIGNATURE = 5
    INTEGER_OVERFLOW = 6
    INTEGER_DIVISION_BY_ZERO = 7
    BAD_CONVERSION_TO_INTEGER = 8
    UNREACHABLE = 9
    INTERRUPT = 10
    NULL_REFERENCE = 11
    HEAP_MISALIGNED = 12
    ATOMIC_WAIT_NON_SHARED_MEMORY = 13
    NULL_I31_REF = 14
    CAST_FAILURE = 15


class Source(NamedTuple):
    """A place in the source of a guest."""

    #: The function, as it is in the DWARF: not demangled.
    func: Optional[str]
    file: Optional[str]
    line: Optional[int]
    column: Optional[int]


class Frame:
    """A frame of guest code in the backtrace of a trap."""

    __slots__ = ("func_index", "func_name", "module_name", "module_offset", "func_offset", "sources")

    func_index: int
    func_name: Optional[str]
    module_name: Optional[str]
    #: Offset of the instruction in the module's bytes.
    module_offset: int
    #: Offset of the instruction in the function's bytes.
    func_offset: int
    #: Where in the source it is, the innermost inlined function first; empty without DWARF.
    sources: List[Source]

    def __init__(self, frame: Any):
        self.func_index = lib.wasm_frame_func_index(frame)
        self.module_offset = lib.wasm_frame_module_offset(frame)
        self.func_offset = lib.wasm_frame_func_offset(frame)
        func, module = lib.cellwall_frame_func_name(frame), lib.cellwall_frame_module_name(frame)
        self.func_name = None if func == NULL else text_of(func)
        self.module_name = None if module == NULL else text_of(module)
        self.sources = []
        source = ffi.new("cellwall_source_t *")
        while lib.cellwall_frame_source(frame, len(self.sources), source):
            self.sources.append(
                Source(
                    None if source.func == NULL else text_of(source.func),
                    None if source.file == NULL else text_of(source.file),
                    source.line or None,
                    source.column or None,
                )
            )

    def __repr__(self) -> str:
        name = self.func_name or f"func {self.func_index}"
        return f"<Frame {self.module_name or '<unknown>'}!{name} @ {self.module_offset:#x}>"


class Trap(Exception):
    """What guest code ended with, or what a function of the host ends it with when it raises one."""

    message: str
    frames: List[Frame]
    trap_code: Optional[TrapCode]

    def __init__(self, message: str):
        if not isinstance(message, str):
            raise TypeError("the message of a trap is a str")
        super().__init__(message)
        self.message = message
        self.frames = []
        self.trap_code = None

    def __str__(self) -> str:
        if not self.frames:
            return self.message
        lines = [self.message, "wasm backtrace:"]
        for number, frame in enumerate(self.frames):
            name = frame.func_name or f"<wasm function {frame.func_index}>"
            lines.append(f"  {number}: {frame.module_offset:#8x} - {frame.module_name or '<unknown>'}!{name}")
            lines.extend(
                f"                 at {source.file}:{source.line or 0}" for source in frame.sources if source.file
            )
        return "\n".join(lines)


class _Pending(threading.local):
    #: What the innermost failed function of the host raised, on its way out through guest code.
    error: Optional[BaseException] = None


pending = _Pending()


def unsaid(kind: Any, error: Any, trace: Any) -> None:
    """Keeps what a function of the host raised where not even a trap could be made, as at the limit of recursion."""
    pending.error = error


def trap_message(trap: Any) -> str:
    """The text of a trap without the zero at its end."""
    text = taken_bytes(lambda out: lib.wasm_trap_message(trap, out))
    return text.rstrip(b"\0").decode("utf-8", "replace")


def raise_trap(trap: Any, state: State) -> None:
    """Raises what an owned trap stands for: what a function of the host raised, an exit, an exception, or a trap."""
    from ._exception import thrown

    try:
        error, pending.error = pending.error, None
        if error is not None:
            raise error
        status = ffi.new("int32_t *")
        if lib.cellwall_trap_exit_status(trap, status):
            raise ExitTrap(status[0])
        code = lib.cellwall_trap_code(trap)
        message = trap_message(trap)
        frames = ffi.new("wasm_frame_vec_t *")
        lib.wasm_trap_trace(trap, frames)
        try:
            found = [Frame(frames.data[number]) for number in range(frames.size)]
        finally:
            lib.wasm_frame_vec_delete(frames)
        exception = thrown(state, trap)
        if code == 0 and not found and exception is None:
            # Not from guest code: the call itself was wrong.
            raise CellwallError(message)
        raised = exception or Trap(message)
        raised.frames = found
        raised.trap_code = TrapCode(code) if 0 < code <= len(TrapCode) else None
        raise raised
    finally:
        lib.wasm_trap_delete(trap)
