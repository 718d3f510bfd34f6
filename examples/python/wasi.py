"""A program with WASI, its output caught, its exit status seen."""

from cellwall import Engine, ExitTrap, Linker, Module, Store, WasiConfig

PROGRAM = r"""
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\14\00\00\00")
  (data (i32.const 16) "hello from a program")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const 3))))
"""

engine = Engine()
linker = Linker(engine)
linker.define_wasi()

with Store(engine) as store:
    config = WasiConfig()
    config.argv = ["program"]
    output = config.capture_stdout()
    store.set_wasi(config)
    exports = linker.instantiate(store, Module(engine, PROGRAM)).exports(store)
    try:
        exports["_start"](store)
    except ExitTrap as exit:
        print(f"wrote {output.contents()!r}, exited with {exit.code}")
