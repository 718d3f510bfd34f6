"""A component with a resource of the host: a guest adds up what it takes from a counter."""

from cellwall import Engine, Store
from cellwall.component import Component, Linker, ResourceHost, ResourceType

COUNTER = 1  # the number of the resource type

TEXT = """
(component
  (import "counters" (instance $counters
    (export "counter" (type $counter (sub resource)))
    (export "[constructor]counter" (func (param "start" u32) (result (own $counter))))
    (export "[method]counter.next" (func (param "self" (borrow $counter)) (result u32)))))
  (alias export $counters "counter" (type $counter))
  (core func $new (canon lower (func $counters "[constructor]counter")))
  (core func $next (canon lower (func $counters "[method]counter.next")))
  (core func $drop (canon resource.drop $counter))
  (core module $m
    (import "" "new" (func $new (param i32) (result i32)))
    (import "" "next" (func $next (param i32) (result i32)))
    (import "" "drop" (func $drop (param i32)))
    (func (export "sum") (param $count i32) (result i32) (local $counter i32) (local $sum i32)
      (local.set $counter (call $new (i32.const 1)))
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $next (local.get $counter))))
        (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
      (call $drop (local.get $counter))
      (local.get $sum)))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "next" (func $next)) (export "drop" (func $drop))))))
  (func (export "sum") (param "count" u32) (result u32) (canon lift (core func $i "sum"))))
"""

counters = {}


def new(store, start):
    rep = len(counters)
    counters[rep] = start
    return ResourceHost.own(rep, COUNTER)


def next_number(store, counter):
    rep = counter.to_host(store).rep
    counters[rep] += 1
    return counters[rep] - 1


def drop(store, rep):
    print("dropped at", counters.pop(rep))


engine = Engine()
linker = Linker(engine)
with linker.root() as root, root.add_instance("counters") as host:
    host.add_resource("counter", ResourceType.host(COUNTER), drop)
    host.add_func("[constructor]counter", new)
    host.add_func("[method]counter.next", next_number)

with Store(engine) as store:
    instance = linker.instantiate(store, Component(engine, TEXT))
    sum_of = instance.get_func(store, "sum")
    print("the type is", sum_of.type(store).params, "->", sum_of.type(store).result)
    print("the sum is", sum_of(store, 10))
