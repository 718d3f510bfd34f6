"""A module, a function of the host, a trap, and the memory without a copy."""

from cellwall import Engine, Func, FuncType, Instance, Module, Store, Trap, ValType

engine = Engine()
module = Module(
    engine,
    """
    (module $hello
      (import "host" "print" (func $print (param i32 i32)))
      (memory (export "memory") 1)
      (data (i32.const 8) "the answer is ")
      (func (export "answer") (param i32 i32) (result i32)
        (call $print (i32.const 8) (i32.const 14))
        (i32.div_s (local.get 0) (local.get 1))))
    """,
)


def print_text(caller, at, length):
    print(bytes(caller["memory"].buffer(caller)[at : at + length]).decode(), end="")


with Store(engine) as store:
    i32 = ValType.i32()
    host = Func(store, FuncType([i32, i32], []), print_text, access_caller=True)
    answer = Instance(store, module, [host]).exports(store)["answer"]
    print(answer(store, 84, 2))
    try:
        answer(store, 1, 0)
    except Trap as trap:
        print("nothing:", trap.message)
