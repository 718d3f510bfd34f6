"""What a program with WASI is granted."""

from __future__ import annotations

import os
from enum import Flag
from itertools import count
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union

from ._error import check
from ._lib import c_text, ffi, lib, path_bytes, taken_bytes

Path = Union[str, bytes, "os.PathLike[str]"]

#: Takes what a guest writes; it may answer how many bytes it took.
CustomOutput = Callable[[bytes], Optional[int]]


class DirPerms(Flag):
    """What a program may do with a granted folder."""

    READ_ONLY = 1
    READ_WRITE = 3


#: Functions that take what guests write, by number.
_outputs: Dict[int, CustomOutput] = {}
_numbers = count(1)


@ffi.callback("bool(void *, const uint8_t *, size_t)")
def _write(env: Any, data: Any, length: int) -> bool:
    try:
        _outputs[int(ffi.cast("uintptr_t", env))](ffi.unpack(ffi.cast("char *", data), length))
        return True
    except Exception:
        # The guest sees an error of writing; the interpreter's hook says why.
        import sys

        sys.excepthook(*sys.exc_info())
        return False


@ffi.callback("void(void *)")
def _forget(env: Any) -> None:
    _outputs.pop(int(ffi.cast("uintptr_t", env)), None)


class WasiConfig:
    """Grants: nothing but clocks and random numbers unless it is said here."""

    def __init__(self) -> None:
        self._ptr: Any = ffi.gc(lib.cellwall_wasi_config_new(), lib.cellwall_wasi_config_delete)

    def _live(self) -> Any:
        if self._ptr is None:
            raise ValueError("the configuration was taken by a store")
        return self._ptr

    def _take(self) -> Any:
        ptr, self._ptr = self._live(), None
        ffi.gc(ptr, None)
        return ptr

    def _set_argv(self, argv: List[str]) -> None:
        for arg in argv:
            lib.cellwall_wasi_config_arg(self._live(), c_text(arg))

    argv = property(None, _set_argv, doc="The arguments; the first one is the program's name.")

    def _set_env(self, pairs: Iterable[Tuple[str, str]]) -> None:
        for name, value in pairs.items() if isinstance(pairs, dict) else pairs:
            lib.cellwall_wasi_config_env(self._live(), c_text(name), c_text(value))

    env = property(None, _set_env, doc="The environment, as pairs or a dict.")

    def inherit_argv(self) -> None:
        """The arguments of this process, as the operating system knows them."""
        lib.cellwall_wasi_config_inherit_args(self._live())

    def inherit_env(self) -> None:
        """The environment of this process."""
        self._set_env(list(os.environ.items()))

    def inherit_stdin(self) -> None:
        """The standard input of this process."""
        lib.cellwall_wasi_config_inherit_stdin(self._live())

    def inherit_stdout(self) -> None:
        """The standard output of this process."""
        lib.cellwall_wasi_config_inherit_stdout(self._live())

    def inherit_stderr(self) -> None:
        """The standard error of this process."""
        lib.cellwall_wasi_config_inherit_stderr(self._live())

    def _set_stdin_file(self, path: Path) -> None:
        check(lib.cellwall_wasi_config_stdin_file(self._live(), path_bytes(path)))

    stdin_file = property(None, _set_stdin_file, doc="A file as standard input.")

    def _set_stdin_bytes(self, data: bytes) -> None:
        buffer = ffi.from_buffer("wasm_byte_t[]", data)
        vec = ffi.new("wasm_byte_vec_t *", (len(data), buffer))
        lib.cellwall_wasi_config_stdin_bytes(self._live(), vec)

    stdin_bytes = property(None, _set_stdin_bytes, doc="Bytes as standard input.")

    def _set_stdout_file(self, path: Path) -> None:
        check(lib.cellwall_wasi_config_stdout_file(self._live(), path_bytes(path)))

    stdout_file = property(None, _set_stdout_file, doc="Standard output into a file, which is made or emptied.")

    def _set_stderr_file(self, path: Path) -> None:
        check(lib.cellwall_wasi_config_stderr_file(self._live(), path_bytes(path)))

    stderr_file = property(None, _set_stderr_file, doc="Standard error into a file, which is made or emptied.")

    def _custom(self, connect: Any, callback: CustomOutput) -> None:
        if not callable(callback):
            raise TypeError("expected something that can be called")
        number = next(_numbers)
        _outputs[number] = callback
        connect(self._live(), _write, ffi.cast("void *", number), _forget)

    def _set_stdout_custom(self, callback: CustomOutput) -> None:
        self._custom(lib.cellwall_wasi_config_stdout_callback, callback)

    stdout_custom = property(None, _set_stdout_custom, doc="Standard output to a function that takes bytes.")

    def _set_stderr_custom(self, callback: CustomOutput) -> None:
        self._custom(lib.cellwall_wasi_config_stderr_callback, callback)

    stderr_custom = property(None, _set_stderr_custom, doc="Standard error to a function that takes bytes.")

    def capture_stdout(self, capacity: int = 1 << 20) -> WasiOutput:
        """Standard output into memory, at most so many bytes."""
        return WasiOutput(lib.cellwall_wasi_config_stdout_bytes(self._live(), capacity))

    def capture_stderr(self, capacity: int = 1 << 20) -> WasiOutput:
        """Standard error into memory, at most so many bytes."""
        return WasiOutput(lib.cellwall_wasi_config_stderr_bytes(self._live(), capacity))

    def preopen_dir(self, path: Path, guest_path: str, perms: Union[bool, DirPerms] = True) -> None:
        """Grants a folder under a name of the guest's; to read and write, or only to read (False)."""
        if not isinstance(perms, DirPerms):
            perms = DirPerms.READ_WRITE if perms else DirPerms.READ_ONLY
        check(lib.cellwall_wasi_config_preopen_dir(self._live(), path_bytes(path), c_text(guest_path), perms.value))


    def allow_listen(self, address: str) -> None:
        """Grants to listen at an address, ``ADDR[:PORT]``; here and below only with WASI 0.2."""
        check(lib.cellwall_wasi_config_allow_listen(self._live(), c_text(address)))

    def allow_connect(self, host: str) -> None:
        """Grants to connect and to send datagrams to ``HOST[:PORT]`` or a network ``CIDR[:PORT]``."""
        check(lib.cellwall_wasi_config_allow_connect(self._live(), c_text(host)))

    def allow_http(self, host: str) -> None:
        """Grants HTTP requests to ``HOST[:PORT]``. They need no other grant."""
        check(lib.cellwall_wasi_config_allow_http(self._live(), c_text(host)))

    def allow_ip_name_lookup(self, allow: bool = True) -> None:
        """Whether any name may be looked up; by default only those that are granted by name."""
        lib.cellwall_wasi_config_allow_ip_name_lookup(self._live(), bool(allow))

    def allow_tcp(self, allow: bool = True) -> None:
        """Whether there may be TCP sockets, for what else is granted; by default there may."""
        lib.cellwall_wasi_config_allow_tcp(self._live(), bool(allow))

    def allow_udp(self, allow: bool = True) -> None:
        """Whether there may be UDP sockets, for what else is granted; by default there may."""
        lib.cellwall_wasi_config_allow_udp(self._live(), bool(allow))

    def inherit_network(self) -> None:
        """Grants all addresses and names. HTTP requests have a grant of their own."""
        lib.cellwall_wasi_config_inherit_network(self._live())

    def allow_blocking(self, allow: bool = True) -> None:
        """Whether a call of the guest may keep its thread waiting; by default it may."""
        lib.cellwall_wasi_config_allow_blocking(self._live(), bool(allow))

    def max_descriptors(self, count: int) -> None:
        """How many descriptors a program may have open at once; 1024 by default."""
        lib.cellwall_wasi_config_max_descriptors(self._live(), count)

    def max_sockets(self, count: int) -> None:
        """How many sockets a program may have at once; 4096 by default."""
        lib.cellwall_wasi_config_max_sockets(self._live(), count)

    def max_http_bytes(self, size: int) -> None:
        """How many bytes a program may make the host keep for `wasi:http` at once; 64 MiB by default."""
        lib.cellwall_wasi_config_max_http_bytes(self._live(), size)


class WasiOutput:
    """What a program has written to memory."""

    def __init__(self, ptr: Any):
        self._ptr = ffi.gc(ptr, lib.cellwall_wasi_output_delete)

    def contents(self) -> bytes:
        """A copy of what was written so far."""
        return taken_bytes(lambda out: lib.cellwall_wasi_output_contents(self._ptr, out))
