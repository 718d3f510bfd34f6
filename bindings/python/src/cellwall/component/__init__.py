"""Components: modules with interfaces, linked in types.

    from cellwall import Engine, Store
    from cellwall.component import Component, Linker

    engine = Engine()
    component = Component(engine, text_or_bytes)
    linker = Linker(engine)
    with linker.root() as root:
        root.add_func("double", lambda store, n: 2 * n)
    with Store(engine) as store:
        instance = linker.instantiate(store, component)
        print(instance.get_func(store, "quadruple")(store, 10))
"""

from ._component import Component, ExportIndex
from ._instance import Func, Instance
from ._linker import InstancePre, Linker, LinkerInstance, StoreContext
from ._resource import ResourceAny, ResourceHost, ResourceType
from ._types import (
    F32,
    F64,
    S8,
    S16,
    S32,
    S64,
    U8,
    U16,
    U32,
    U64,
    Bool,
    BorrowType,
    Char,
    ComponentInstanceType,
    ComponentItem,
    ComponentType,
    EnumType,
    ErrorContext,
    FlagsType,
    FuncType,
    ListType,
    MapType,
    ModuleType,
    OptionType,
    OwnType,
    Record,
    RecordType,
    ResultType,
    String,
    TupleType,
    ValType,
    Variant,
    VariantType,
)

__all__ = [
    "Bool",
    "BorrowType",
    "Char",
    "Component",
    "ComponentInstanceType",
    "ComponentItem",
    "ComponentType",
    "EnumType",
    "ErrorContext",
    "ExportIndex",
    "F32",
    "F64",
    "FlagsType",
    "Func",
    "FuncType",
    "Instance",
    "InstancePre",
    "Linker",
    "LinkerInstance",
    "ListType",
    "MapType",
    "ModuleType",
    "OptionType",
    "OwnType",
    "Record",
    "RecordType",
    "ResourceAny",
    "ResourceHost",
    "ResourceType",
    "ResultType",
    "S16",
    "S32",
    "S64",
    "S8",
    "StoreContext",
    "String",
    "TupleType",
    "U16",
    "U32",
    "U64",
    "U8",
    "ValType",
    "Variant",
    "VariantType",
]
