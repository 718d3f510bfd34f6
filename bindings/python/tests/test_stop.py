"""Ctrl-C and interruptions: in guest code, in waits of WASI, in start functions, whatever became of the handler."""

import subprocess
import sys
import threading
import time

import pytest

from cellwall import Linker, Module, Store, Trap, TrapCode, WasiConfig

WAITS = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "sleep") (param $milliseconds i64) (result i32)
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.mul (local.get 0) (i64.const 1000000)))
    (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
  (func (export "read") (param i64) (result i32)
    (i32.store (i32.const 200) (i32.const 256))
    (i32.store (i32.const 204) (i32.const 16))
    (call $read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 208)))
  (func (export "spin") (param i64) (result i32) (loop (br 0)) (i32.const 0)))"""

#: What a program in a process of its own begins with: standard input that says nothing, and a signal soon.
BEFORE = f"""
import os, signal, sys, threading, time
from cellwall import *
signal.signal(signal.SIGINT, signal.default_int_handler)
read, write = os.pipe()
os.dup2(read, 0)
engine = Engine(); store = Store(engine)
config = WasiConfig(); config.inherit_stdin(); store.set_wasi(config)
linker = Linker(engine); linker.define_wasi()
WAT = '''{WAITS}'''
exports = linker.instantiate(store, Module(engine, WAT)).exports(store)
def soon(seconds=0.2):
    threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
"""


def interrupted(code):
    """Whether a program ends with KeyboardInterrupt where it should."""
    indented = "".join(f"    {line}\n" for line in code.strip().splitlines())
    program = BEFORE + f"try:\n{indented}except KeyboardInterrupt:\n    os._exit(7)\nos._exit(1)\n"
    return subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 7


@pytest.mark.parametrize("what", ["sleep", "read", "spin"])
def test_ctrl_c(what):
    assert interrupted(f"soon(); exports['{what}'](store, 3600000)")


def test_ctrl_c_in_a_component():
    assert interrupted("""
import cellwall.component as component
text = '(component (core module $m (func (export "f") (loop br 0))) (core instance $i (instantiate $m))' \\
    '(func (export "f") (canon lift (core func $i "f"))))'
spin = component.Linker(engine).instantiate(store, component.Component(engine, text)).get_func(store, 'f')
soon(); spin(store)
""")


def test_ctrl_c_at_the_start():
    assert interrupted("soon(); Instance(store, Module(engine, '(module (func $f (loop br 0)) (start $f))'))")
    assert interrupted("soon(); linker.instantiate(store, Module(engine, '(module (func $f (loop br 0)) (start $f))'))")


def test_ctrl_c_after_the_handler_was_replaced():
    assert interrupted("""
exports['sleep'](store, 1)
signal.signal(signal.SIGINT, lambda number, frame: None)
signal.signal(signal.SIGINT, signal.default_int_handler)
soon(); exports['spin'](store, 0)
""")


def test_ctrl_c_after_a_long_pause():
    # The thread that looks after the handler sleeps by then.
    assert interrupted("""
import cellwall._signals as signals
exports['sleep'](store, 1)
while not signals._watch.sleeps: time.sleep(0.05)
signal.signal(signal.SIGINT, signal.default_int_handler)
soon(); exports['sleep'](store, 3600000)
""")


def test_a_signal_of_a_child_is_not_the_parents():
    assert interrupted("""
exports['sleep'](store, 1)
child = os.fork()
if child == 0:
    try:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)
    except KeyboardInterrupt:
        os._exit(9)
    os._exit(1)
assert exports['sleep'](store, 500) == 0
if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9:
    soon(); exports['read'](store, 0)
""")


def test_ctrl_c_in_a_child():
    assert interrupted("""
exports['sleep'](store, 1)
child = os.fork()
if child == 0:
    for what in 'spin', 'sleep':
        again = Store(engine); again.set_wasi(WasiConfig())
        exports = linker.instantiate(again, Module(engine, WAT)).exports(again)
        try:
            soon(); exports[what](again, 3600000)
        except KeyboardInterrupt:
            continue
        os._exit(1)
    os._exit(9)
if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9:
    soon(); exports['spin'](store, 0)
""")


def test_what_ctrl_c_ends_is_given_back():
    # A trap that nobody deletes keeps its store, and with it the function of the host.
    assert interrupted('''
import gc
import cellwall.component as component
gone = []
class Told:
    def __del__(self): gone.append(True)
    def __call__(self): pass
text = """(component (core module $m (memory (export "m") 1) (func (export "f") (loop br 0))
        (func (export "s") (result i32) (loop br 0) unreachable)) (core instance $i (instantiate $m))
    (func (export "f") (canon lift (core func $i "f")))
    (func (export "s") (result string) (canon lift (core func $i "s") (memory (core memory $i "m")))))"""
start = '(module (func $f (loop br 0)) (start $f))'
def fast(store): Instance(store, Module(engine, '(module (func (export "f") (loop br 0)))')).exports(store)['f'](store)
def slow(store): Instance(store, Module(engine, '(module (func (export "f") (param externref) (loop br 0)))')).exports(store)['f'](store, None)
def starts(store): Instance(store, Module(engine, start))
def links(store): Linker(engine).instantiate(store, Module(engine, start))
def prepared(store): Linker(engine).instantiate_pre(Module(engine, start)).instantiate(store)
def plain(store): component.Linker(engine).instantiate(store, component.Component(engine, text)).get_func(store, 'f')(store)
def string(store): component.Linker(engine).instantiate(store, component.Component(engine, text)).get_func(store, 's')(store)
ways = [fast, slow, starts, links, prepared, plain, string]
for way in ways:
    with Store(engine) as it:
        Func(it, FuncType([], []), Told())
        soon(0.1)
        try: way(it)
        except KeyboardInterrupt: pass
        else: os._exit(1)
    gc.collect()
if len(gone) == len(ways): raise KeyboardInterrupt
''')


def test_an_interruption_does_not_hit_the_next_call():
    assert interrupted("""
for turn in range(50):
    try:
        soon(0.002); exports['spin'](store, 0)
    except KeyboardInterrupt: pass
    with Store(engine) as it:
        exports = Instance(it, Module(engine, '(module (func (export "f") (param i32) (result i32) (loop '
            '(local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br_if 0 (local.get 0))) (i32.const 7)))')).exports(it)
        for _ in range(5): assert exports['f'](it, 3000000) == 7
    store = Store(engine); store.set_wasi(WasiConfig())
    exports = linker.instantiate(store, Module(engine, WAT)).exports(store)
raise KeyboardInterrupt
""")


def test_a_handler_of_the_programs_own_interrupts_nothing():
    assert interrupted("""
seen = []
signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
soon(0.1)
while not seen: assert exports['sleep'](store, 50) == 0
if seen == [signal.SIGINT]: raise KeyboardInterrupt
""")


def guest(engine):
    linker = Linker(engine)
    linker.define_wasi()
    store = Store(engine)
    store.set_wasi(WasiConfig())
    return store, linker.instantiate(store, Module(engine, WAITS)).exports(store)


@pytest.mark.parametrize("by_store", [False, True])
def test_a_sleeping_guest_is_interrupted(engine, by_store):
    store, exports = guest(engine)
    done = threading.Event()

    def interrupt():
        while not done.wait(0.02):
            (store if by_store else engine).interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(Trap) as trap:
            exports["sleep"](store, 3600000)
    finally:
        done.set()
        thread.join()
    assert trap.value.trap_code == TrapCode.INTERRUPT


def test_an_interruption_in_vain_is_forgotten(engine):
    store, exports = guest(engine)
    assert exports["sleep"](store, 1) == 0
    engine.interrupt()
    before = time.monotonic()
    assert exports["sleep"](store, 50) == 0
    assert time.monotonic() - before > 0.045
