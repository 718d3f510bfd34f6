"""Engines, configurations, modules."""

import pytest

from cellwall import (
    CellwallError,
    Config,
    Engine,
    FuncType,
    GlobalType,
    Instance,
    Limits,
    MemoryType,
    Module,
    Store,
    TableType,
    ValType,
    wat2wasm,
)

EMPTY = b"\0asm\1\0\0\0"
ANSWER = '(module (func (export "answer") (result i32) i32.const 42))'


def test_text_and_binary(engine):
    binary = wat2wasm(ANSWER)
    assert bytes(binary[:8]) == EMPTY
    assert [export.name for export in Module(engine, binary).exports] == ["answer"]
    assert [export.name for export in Module(engine, bytes(binary)).exports] == ["answer"]


def test_bad_text_says_where():
    with pytest.raises(CellwallError, match="unknown operator"):
        wat2wasm("(module (func i32.bogus))")


def test_invalid_module_says_where(engine):
    with pytest.raises(CellwallError) as error:
        Module(engine, wat2wasm("(module (func (result i32)))"))
    assert error.value.kind == "invalid"
    assert error.value.offset is not None


def test_truncated_module(engine):
    with pytest.raises(CellwallError):
        Module(engine, EMPTY[:7])
    with pytest.raises(TypeError):
        Module(engine, 7)
    with pytest.raises(TypeError):
        Module("engine", EMPTY)


def test_validate(engine):
    Module.validate(engine, EMPTY)
    with pytest.raises(CellwallError):
        Module.validate(engine, EMPTY + b"\1")


def test_from_file(engine, tmp_path):
    (tmp_path / "a.wat").write_text(ANSWER)
    assert len(Module.from_file(engine, tmp_path / "a.wat").exports) == 1
    with pytest.raises(FileNotFoundError):
        Module.from_file(engine, tmp_path / "b.wat")


def test_types_of_imports_and_exports(engine):
    module = Module(
        engine,
        """(module
             (import "a" "f" (func (param i32 f64) (result i64)))
             (import "a" "g" (global (mut f32)))
             (import "" "t" (table 1 2 funcref))
             (import "é" "m" (memory 1 7))
             (export "f" (func 0)) (export "m" (memory 0)))""",
    )
    types = [
        FuncType([ValType.i32(), ValType.f64()], [ValType.i64()]),
        GlobalType(ValType.f32(), True),
        TableType(ValType.funcref(), Limits(1, 2)),
        MemoryType(Limits(1, 7)),
    ]
    assert [(i.module, i.name, i.type) for i in module.imports] == [
        ("a", "f", types[0]),
        ("a", "g", types[1]),
        ("", "t", types[2]),
        ("é", "m", types[3]),
    ]
    assert [(e.name, e.type) for e in module.exports] == [("f", types[0]), ("m", types[3])]
    assert types[0] != FuncType([ValType.i32()], [ValType.i64()])
    assert Limits(1) != Limits(1, 2)
    assert repr(types[0]) == "FuncType(params=(ValType(i32), ValType(f64)), results=(ValType(i64),))"


def test_types_refuse_what_is_no_type():
    with pytest.raises(TypeError):
        FuncType([int], [])
    with pytest.raises(TypeError):
        MemoryType(1)
    with pytest.raises(ValueError):
        Limits(-1)
    with pytest.raises(TypeError):
        ValType()


def test_serialize_and_deserialize(engine, tmp_path):
    artifact = Module(engine, ANSWER).serialize()
    module = Module.deserialize(engine, artifact)
    path = tmp_path / "answer.cwall"
    path.write_bytes(artifact)
    for module in (module, Module.deserialize_file(engine, path)):
        with Store(engine) as store:
            assert Instance(store, module).exports(store)["answer"](store) == 42


def test_a_broken_artifact_is_refused(engine, tmp_path):
    artifact = Module(engine, ANSWER).serialize()
    artifact[len(artifact) // 2] ^= 1
    with pytest.raises(CellwallError):
        Module.deserialize(engine, artifact)
    with pytest.raises(CellwallError):
        Module.deserialize_file(engine, tmp_path / "none")


def test_modules_are_shared_by_stores_and_survive_them(engine):
    module = Module(engine, ANSWER)
    for _ in range(3):
        with Store(engine) as store:
            assert Instance(store, module).exports(store)["answer"](store) == 42


def test_a_module_of_another_engine_is_refused(engine):
    module = Module(Engine(), ANSWER)
    with Store(engine) as store, pytest.raises(CellwallError):
        Instance(store, module)


def test_config():
    config = Config()
    config.max_wasm_stack = 1 << 16
    config.wasm_backtrace(False)
    config.profiler = "none"
    with pytest.raises(CellwallError, match="there is no profiler"):
        config.profiler = "guess"
    with Engine(config) as engine:
        with Store(engine) as store:
            deep = Module(engine, '(module (func $f (export "f") call $f))')
            with pytest.raises(Exception, match="stack"):
                Instance(store, deep).exports(store)["f"](store)
    with pytest.raises(ValueError):
        Engine(config)


def test_cache(tmp_path):
    for _ in range(2):
        config = Config()
        config.cache = tmp_path / "cache"
        Module(Engine(config), ANSWER)
    assert any((tmp_path / "cache").rglob("*"))


def test_closed_things_are_refused(engine):
    other = Engine()
    module = Module(other, ANSWER)
    module.close()
    with Store(other) as store, pytest.raises(ValueError):
        Instance(store, module)
    other.close()
    other.close()
    with pytest.raises(ValueError):
        Module(other, ANSWER)
    with pytest.raises(ValueError):
        Store(other)
