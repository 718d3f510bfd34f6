//! `Memory`: bytes, sizes, growth, data of the store beside them.

use crate::instantiate;
use cellwall::{Engine, Memory, MemoryType, Store};

#[test]
fn reads_and_writes_stay_inside() {
    let mut store = Store::new(&Engine::default(), ());
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("there is room");
    memory.write(&mut store, 65534, &[1, 2]).expect("inside");
    assert!(memory.write(&mut store, 65535, &[3, 4]).is_err());
    assert!(memory.write(&mut store, usize::MAX, &[3, 4]).is_err());
    let mut two = [9; 2];
    memory.read(&store, 65534, &mut two).expect("inside");
    assert_eq!(two, [1, 2], "a refused write changes nothing");
    assert!(memory.read(&store, 65535, &mut two).is_err());
    assert_eq!(two, [1, 2], "a refused read changes nothing");
    assert!(memory.read(&store, 65536, &mut []).is_ok());
    assert!(memory.read(&store, 65537, &mut []).is_err());
}

#[test]
fn guest_and_host_see_the_same_bytes() {
    let (mut store, instance) = instantiate(
        r#"(module (memory (export "m") 1 3)
             (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
             (func (export "size") (result i32) (memory.size))
             (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
             (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#,
    );
    let memory = instance.get_memory(&mut store, "m").expect("exported");
    let grow = instance
        .get_typed_func::<i32, i32>(&mut store, "grow")
        .expect("exported");
    let size = instance
        .get_typed_func::<(), i32>(&mut store, "size")
        .expect("exported");
    let put = instance
        .get_typed_func::<(i32, i32), ()>(&mut store, "store")
        .expect("exported");
    let load = instance
        .get_typed_func::<i32, i32>(&mut store, "load")
        .expect("exported");

    put.call(&mut store, (100, 0x0102_0304)).expect("inside");
    assert_eq!(memory.data(&store)[100..104], [4, 3, 2, 1]);
    memory.data_mut(&mut store)[100] = 5;
    assert_eq!(load.call(&mut store, 100).expect("inside"), 0x0102_0305);

    assert!(put.call(&mut store, (65536, 1)).is_err());
    assert_eq!(memory.grow(&mut store, 1).expect("allowed"), 1);
    assert_eq!(size.call(&mut store, ()).expect("it ends"), 2);
    put.call(&mut store, (65536, 1)).expect("inside now");
    assert_eq!(grow.call(&mut store, 1).expect("it ends"), 2);
    assert_eq!((memory.size(&store), memory.data_size(&store)), (3, 3 << 16));
    assert_eq!(grow.call(&mut store, 1).expect("it ends"), -1);
    assert!(memory.grow(&mut store, 1).is_err());
    let ty = memory.ty(&store);
    assert_eq!((ty.minimum(), ty.maximum()), (3, Some(3)));
    assert_eq!(
        load.call(&mut store, 100).expect("inside"),
        0x0102_0305,
        "growth keeps what is there"
    );
}

#[test]
fn a_memory_grows_to_its_limit_and_not_beyond() {
    let mut store = Store::new(&Engine::default(), ());
    let memory = Memory::new(&mut store, MemoryType::new(0, None)).expect("there is room");
    assert_eq!(memory.grow(&mut store, 65536).expect("4 GiB of address space"), 0);
    memory.write(&mut store, (4 << 30) - 1, &[7]).expect("inside");
    assert!(memory.grow(&mut store, 1).is_err());
    assert!(memory.grow(&mut store, u64::MAX).is_err());
    assert_eq!(memory.size(&store), 65536);
}

#[test]
fn bytes_and_data_can_be_borrowed_at_once() {
    let mut store = Store::new(&Engine::default(), vec![1u8, 2, 3]);
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("there is room");
    let (bytes, data) = memory.data_and_store_mut(&mut store);
    bytes[..3].copy_from_slice(data);
    data.clear();
    assert_eq!(memory.data(&store)[..3], [1, 2, 3]);
    assert!(store.data().is_empty());
}

#[test]
#[should_panic(expected = "wrong store")]
fn a_memory_of_another_store_panics() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let memory = Memory::new(&mut store, MemoryType::new(1, None)).expect("there is room");
    memory.size(Store::new(&engine, ()));
}

#[test]
fn several_memories_are_several() {
    let (mut store, instance) = instantiate(
        r#"(module (memory $a (export "a") 1) (memory $b (export "b") 2)
             (func (export "run") (result i32)
               (i32.store $b (i32.const 65540) (i32.const 9))
               (memory.copy $a $b (i32.const 0) (i32.const 65540) (i32.const 4))
               (i32.load $a (i32.const 0)))
             (func (export "out") (result i32) (i32.load $a (i32.const 65540))))"#,
    );
    let run = instance
        .get_typed_func::<(), i32>(&mut store, "run")
        .expect("exported");
    assert_eq!(run.call(&mut store, ()).expect("inside"), 9);
    let out = instance
        .get_typed_func::<(), i32>(&mut store, "out")
        .expect("exported");
    assert!(out.call(&mut store, ()).is_err());
}

/// The fuzzer found that the verifier forgot the first comparison of an index at the second.
#[test]
fn one_index_into_several_memories_and_tables() {
    let (mut store, instance) = instantiate(
        r#"(module (table $t i64 10 10 externref) (table $u i64 10 externref)
             (memory $a i64 1) (memory $b i64 2) (memory $c i64 70000 (pagesize 1))
             (data (memory $a) (i64.const 7) "\01\02") (data (memory $b) (i64.const 7) "\04\08")
             (data (memory $c) (i64.const 7) "\10")
             (func (export "of") (param $i i64) (result i64)
               (i64.add (i64.load8_u $a (local.get $i))
               (i64.add (i64.load8_u $b (local.get $i))
               (i64.add (i64.load8_u $c (local.get $i))
               (i64.add (i64.load16_u $b (local.get $i))
                        (i64.load16_u $a (local.get $i)))))))
             (func (export "tables") (param $i i64) (result i64)
               (i64.add (i64.extend_i32_u (ref.is_null (table.get $u (local.get $i))))
               (i64.add (i64.load8_u $b (local.get $i))
               (i64.add (i64.load8_u $a (local.get $i))
               (i64.add (i64.load8_u $c (local.get $i))
               (i64.add (i64.extend_i32_u (ref.is_null (table.get $t (local.get $i))))
               (i64.add (i64.extend_i32_u (ref.is_null (table.get $u (local.get $i))))
               (i64.add (i64.load16_u $a (local.get $i))
               (i64.add (i64.load8_u $c (local.get $i))
               (i64.add (i64.load16_u $b (local.get $i))
                        (i64.extend_i32_u (ref.is_null (table.get $t (local.get $i)))))))))))))))"#,
    );
    let of = instance
        .get_typed_func::<i64, i64>(&mut store, "of")
        .expect("exported");
    assert_eq!(
        of.call(&mut store, 7).expect("inside"),
        1 + 4 + 16 + 0x804 + 0x201
    );
    assert!(of.call(&mut store, 65_535).is_err(), "the end of the first");
    assert!(of.call(&mut store, 70_000).is_err());
    assert!(of.call(&mut store, -1).is_err());
    let tables = instance
        .get_typed_func::<i64, i64>(&mut store, "tables")
        .expect("exported");
    assert_eq!(
        tables.call(&mut store, 7).expect("inside"),
        4 + 4 + 1 + 16 + 0x201 + 16 + 0x804
    );
    assert!(tables.call(&mut store, 10).is_err());
}
