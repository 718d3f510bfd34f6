"""Linkers and WASI."""

import pytest

from cellwall import (
    CellwallError,
    ExitTrap,
    Func,
    FuncType,
    Instance,
    InstancePre,
    Linker,
    Module,
    Store,
    Trap,
    ValType,
    WasiConfig,
)

USES = '(module (import "m" "f" (func $f (result i32))) (func (export "g") (result i32) call $f))'
GIVES = '(module (func (export "f") (result i32) i32.const 6))'
HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
    (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 32)))))"""
EXIT = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 3))))"""
ARGS = """(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "f") (result i32 i32)
    (drop (call $args (i32.const 0) (i32.const 4)))
    (drop (call $env (i32.const 8) (i32.const 12)))
    (i32.load (i32.const 0)) (i32.load (i32.const 8))))"""


def test_instances(engine, store):
    linker = Linker(engine)
    linker.define_instance(store, "m", Instance(store, Module(engine, GIVES)))
    assert linker.instantiate(store, Module(engine, USES)).exports(store)["g"](store) == 6
    assert linker.get(store, "m", "f")(store) == 6
    with pytest.raises(CellwallError, match="not defined"):
        linker.get(store, "m", "g")


def test_a_missing_import_is_named(engine, store):
    with pytest.raises(CellwallError, match="m.*f"):
        Linker(engine).instantiate(store, Module(engine, USES))


def test_define(engine, store):
    linker = Linker(engine)
    f = Func(store, FuncType([], [ValType.i32()]), lambda: 1)
    linker.define(store, "m", "f", f)
    with pytest.raises(CellwallError):
        linker.define(store, "m", "f", f)
    linker.allow_shadowing = True
    linker.define(store, "m", "f", Func(store, FuncType([], [ValType.i32()]), lambda: 2))
    assert linker.allow_shadowing
    assert linker.instantiate(store, Module(engine, USES)).exports(store)["g"](store) == 2
    with pytest.raises(TypeError):
        linker.define(store, "m", "g", 5)


def test_functions_for_every_store(engine):
    linker = Linker(engine)
    linker.define_func("m", "f", FuncType([], [ValType.i32()]), lambda caller: caller.data(), access_caller=True)
    pre = linker.instantiate_pre(Module(engine, USES))
    for number in range(3):
        with Store(engine, number) as store:
            assert pre.instantiate(store).exports(store)["g"](store) == number
    with pytest.raises(TypeError):
        linker.define_func("m", "g", None, lambda: None)


def test_an_exception_at_the_start(engine, store):
    linker = Linker(engine)

    def fail():
        raise RuntimeError("no")

    linker.define_func("", "f", FuncType([], []), fail)
    with pytest.raises(RuntimeError, match="no"):
        linker.instantiate(store, Module(engine, '(module (import "" "f" (func $f)) (start $f))'))


def test_an_instance_in_many_stores(engine):
    linker = Linker(engine)
    linker.define_func("m", "f", FuncType([], [ValType.i32()]), lambda: 6)
    module = Module(engine, USES)
    pre = linker.instantiate_pre(module)
    assert pre.module is module
    linker.close()
    for _ in range(3):
        with Store(engine) as store:
            assert pre.instantiate(store).exports(store)["g"](store) == 6
    with pytest.raises(CellwallError, match="m.*f"):
        Linker(engine).instantiate_pre(module)
    with pytest.raises(TypeError):
        InstancePre()
    with Store() as store, pytest.raises(CellwallError, match="engine"):
        pre.instantiate(store)


def test_aliases(engine, store):
    linker = Linker(engine)
    linker.define_func("a", "b", FuncType([], [ValType.i32()]), lambda: 6)
    linker.alias("a", "b", "m", "f")
    assert linker.instantiate(store, Module(engine, USES)).exports(store)["g"](store) == 6
    linker.alias_module("m", "n")
    assert linker.get(store, "n", "f")(store) == 6
    with pytest.raises(CellwallError, match="nobody"):
        linker.alias("nobody", "b", "m", "f")
    with pytest.raises(CellwallError, match="already defined"):
        linker.alias_module("m", "n")


def test_unknown_imports_as_traps(engine, store):
    linker, module = Linker(engine), Module(engine, USES)
    linker.define_unknown_imports_as_traps(module)
    with pytest.raises((CellwallError, Trap), match="m.*f"):
        linker.instantiate(store, module).exports(store)["g"](store)


def test_a_module_by_name(engine, store):
    linker = Linker(engine)
    linker.define_module(store, "m", Module(engine, GIVES))
    assert linker.instantiate(store, Module(engine, USES)).exports(store)["g"](store) == 6


def test_closed(engine, store):
    with Linker(engine) as linker:
        pass
    with pytest.raises(ValueError):
        linker.instantiate(store, Module(engine, GIVES))


def program(engine, text, config):
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(config)
    return store, linker.instantiate(store, Module(engine, text)).exports(store)


def test_wasi_output_into_memory(engine):
    config = WasiConfig()
    out = config.capture_stdout()
    err = config.capture_stderr(3)
    store, exports = program(engine, HELLO, config)
    exports["_start"](store)
    assert out.contents() == b"hello\n"
    assert err.contents() == b"hel"
    with pytest.raises(ValueError):
        store.set_wasi(config)


def test_wasi_output_to_files(engine, tmp_path):
    config = WasiConfig()
    config.stdout_file = tmp_path / "out"
    config.stderr_file = str(tmp_path / "err")
    store, exports = program(engine, HELLO, config)
    exports["_start"](store)
    assert (tmp_path / "out").read_text() == "hello\n"
    assert (tmp_path / "err").read_text() == "hello\n"
    with pytest.raises(CellwallError):
        WasiConfig().stdin_file = tmp_path / "nothing"


def test_wasi_output_to_functions(engine):
    seen = []
    config = WasiConfig()
    config.stdout_custom = seen.append
    store, exports = program(engine, HELLO, config)
    exports["_start"](store)
    assert seen == [b"hello\n"]
    with pytest.raises(TypeError):
        WasiConfig().stdout_custom = 5


def test_wasi_exit(engine):
    store, exports = program(engine, EXIT, WasiConfig())
    with pytest.raises(ExitTrap) as exit:
        exports["_start"](store)
    assert exit.value.code == 3


def test_wasi_arguments_and_environment(engine):
    config = WasiConfig()
    config.argv = ["program", "one", "zwei"]
    config.env = [("A", "b"), ("C", "d")]
    store, exports = program(engine, ARGS, config)
    assert exports["f"](store) == [3, 2]
    store, exports = program(engine, ARGS, WasiConfig())
    assert exports["f"](store) == [0, 0]
    with pytest.raises(ValueError):
        WasiConfig().argv = ["a\0b"]


def test_wasi_input_and_folders(engine, tmp_path):
    (tmp_path / "input").write_bytes(b"typed")
    config = WasiConfig()
    config.stdin_file = tmp_path / "input"
    config.preopen_dir(tmp_path, "/data", False)
    text = """(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\\10\\00\\00\\00\\20\\00\\00\\00")
      (func (export "f") (result i32 i32 i32)
        (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 64))
        (call $prestat (i32.const 3) (i32.const 80)) (call $prestat (i32.const 4) (i32.const 80))))"""
    store, exports = program(engine, text, config)
    assert exports["f"](store) == [0, 0, 8]
    assert exports["memory"].read(store, 16, 21) == b"typed"
    with pytest.raises(CellwallError):
        WasiConfig().preopen_dir(tmp_path / "nothing", "/")


def test_wasi_default_command(engine):
    linker = Linker(engine)
    linker.define_wasi()
    with Store(engine) as store:
        config = WasiConfig()
        out = config.capture_stdout()
        store.set_wasi(config)
        linker.define_module(store, "", Module(engine, HELLO))
        linker.get_default(store, "")(store)
        assert out.contents() == b"hello\n"
