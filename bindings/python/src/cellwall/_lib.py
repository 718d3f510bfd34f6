"""The library, and the few shapes in which everything crosses into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Union

from ._core import ffi

lib = ffi.dlopen(str(Path(__file__).with_name("libcellwall.so")))

NULL = ffi.NULL

#: What is taken as the bytes or the text of a module.
Wasm = Union[str, bytes, bytearray, memoryview]


def name(text: str) -> Any:
    """A name that stays the caller's; the answer keeps its bytes alive."""
    data = text.encode("utf-8")
    buffer = ffi.from_buffer("wasm_byte_t[]", data)
    vec = ffi.new("wasm_name_t *", (len(data), buffer))
    return ffi.gc(vec, lambda _, keep=buffer: None)


def owned_name(text: str) -> Any:
    """A name that the callee takes."""
    data = text.encode("utf-8")
    vec = ffi.new("wasm_name_t *")
    lib.wasm_byte_vec_new(vec, len(data), data)
    return vec


def text_of(vec: Any) -> str:
    """The text of a name that stays the owner's."""
    if vec.data == NULL:
        return ""
    return ffi.unpack(vec.data, vec.size).decode("utf-8", "replace")


def taken_bytes(fill: Callable[[Any], Any]) -> bytes:
    """The bytes that a function fills an empty vector with."""
    vec = ffi.new("wasm_byte_vec_t *")
    fill(vec)
    try:
        return ffi.unpack(vec.data, vec.size) if vec.data != NULL else b""
    finally:
        lib.wasm_byte_vec_delete(vec)


def path_bytes(path: Any) -> bytes:
    """A path as the library takes it."""
    import os

    path = os.fsencode(path)
    if b"\0" in path:
        raise ValueError("a path cannot contain a zero byte")
    return path


def c_text(text: str) -> bytes:
    """A text without zero bytes."""
    data = text.encode("utf-8")
    if b"\0" in data:
        raise ValueError("the text cannot contain a zero byte")
    return data
