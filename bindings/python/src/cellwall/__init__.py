"""WebAssembly in Python, behind walls that are proven in the machine code itself.

    from cellwall import Engine, Instance, Module, Store

    engine = Engine()
    module = Module(engine, '(module (func (export "answer") (result i32) i32.const 42))')
    with Store(engine) as store:
        exports = Instance(store, module).exports(store)
        print(exports["answer"](store))
"""

from ._engine import Config, Engine, Store, Storelike
from ._error import CellwallError, ExitTrap, Frame, Source, Trap, TrapCode
from ._exception import Exn, Tag, ThrownException
from ._extern import AsExtern, Global, Memory, SharedMemory, Table, WaitResult
from ._func import Caller, Func
from ._linker import InstancePre, Linker
from ._module import Instance, InstanceExports, Module, wat2wasm
from ._types import ExportType, FuncType, GlobalType, ImportType, Limits, MemoryType, TableType, TagType, ValType
from ._value import Val
from ._wasi import DirPerms, WasiConfig, WasiOutput

__version__ = "0.1.0"

__all__ = [
    "AsExtern",
    "Caller",
    "CellwallError",
    "Config",
    "DirPerms",
    "Engine",
    "ExitTrap",
    "Exn",
    "ExportType",
    "Frame",
    "Func",
    "FuncType",
    "Global",
    "GlobalType",
    "ImportType",
    "Instance",
    "InstanceExports",
    "InstancePre",
    "Limits",
    "Linker",
    "Memory",
    "MemoryType",
    "Module",
    "SharedMemory",
    "Source",
    "Store",
    "Storelike",
    "Table",
    "TableType",
    "Tag",
    "TagType",
    "ThrownException",
    "Trap",
    "TrapCode",
    "Val",
    "ValType",
    "WaitResult",
    "WasiConfig",
    "WasiOutput",
    "wat2wasm",
]
