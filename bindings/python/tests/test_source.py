"""Frames with the places in their source, from DWARF that the test itself writes."""

import struct

import pytest

from cellwall import Engine, Instance, Module, Source, Store, Trap, wat2wasm

TEXT = '(module (func $f (export "run") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0))))'


def sections(size):
    """DWARF that says: the code is `src/lib.rs`, one line for each byte of the code section from 100 on."""
    abbrev = bytes([1, 0x11, 1, 0x10, 0x17, 0x11, 1, 0x12, 6, 0x1B, 8, 0, 0, 2, 0x2E, 0, 3, 8, 0x11, 1, 0x12, 6, 0, 0, 0])
    dies = bytes([1]) + struct.pack("<III", 0, 0, size) + b"src\0"
    dies += bytes([2]) + b"divide\0" + struct.pack("<II", 0, size) + b"\0"
    unit = struct.pack("<HIB", 4, 0, 4) + dies
    info = struct.pack("<I", len(unit)) + unit
    rows = bytes([0, 5, 2]) + struct.pack("<I", 0) + bytes([3, 0xE3, 0, 5, 3, 1])  # line 1 + 99, column 3
    rows += bytes([2, 1, 3, 1, 1]) * (size - 1) + bytes([2, 1, 0, 1, 1])
    header = bytes([1, 1, 1, 0xFB, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1]) + b"\0lib.rs\0\0\0\0\0"
    program = struct.pack("<HI", 4, len(header)) + header + rows
    return {".debug_abbrev": abbrev, ".debug_info": info, ".debug_line": struct.pack("<I", len(program)) + program}


def leb(value):
    octets = bytearray()
    while value >= 128:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes(octets) + bytes([value])


def with_dwarf(binary):
    at = 8
    while binary[at] != 10:
        at += 2 + binary[at + 1]
    for name, data in sections(binary[at + 1]).items():
        data = leb(len(name)) + name.encode() + data
        binary = binary + b"\0" + leb(len(data)) + data
    return bytes(binary)


@pytest.mark.parametrize("has_dwarf", [False, True])
def test_sources(has_dwarf):
    binary = bytes(wat2wasm(TEXT))
    engine = Engine()
    with Store(engine) as store:
        module = Module(engine, with_dwarf(binary) if has_dwarf else binary)
        run = Instance(store, module).exports(store)["run"]
        with pytest.raises(Trap) as trap:
            run(store, 0)
    (frame,) = trap.value.frames
    assert frame.func_name == "f"
    if not has_dwarf:
        assert frame.sources == [] and " at " not in str(trap.value)
        return
    (source,) = frame.sources
    # The body begins after the counts of functions and of bytes.
    line = 100 + frame.func_offset + 2
    assert source == Source("divide", "src/lib.rs", line, 3)
    assert f"at src/lib.rs:{line}" in str(trap.value)
