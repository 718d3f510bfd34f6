//! Limits of a store: what they allow, what they refuse, and how a guest learns of it.

use cellwall::{
    Engine, Error, Instance, Memory, MemoryType, Module, Ref, RefType, ResourceLimiter, Result, Store,
    StoreLimits, StoreLimitsBuilder, Table, TableType, bail,
};

fn limited(limits: StoreLimits) -> Store<StoreLimits> {
    let mut store = Store::new(&Engine::default(), limits);
    store.limiter(|limits| limits);
    store
}

fn instantiate<T: 'static>(store: &mut Store<T>, wat: &str) -> Result<Instance> {
    let module = Module::new(store.engine(), wat).expect("valid");
    Instance::new(store, &module, &[])
}

const GROWING: &str = r#"
    (module (memory 1) (table $t 1 funcref)
      (func (export "memory") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "table") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0))))"#;

#[test]
fn sizes_are_limited_for_guests_and_hosts() {
    let mut store = limited(
        StoreLimitsBuilder::new()
            .memory_size(2 << 16)
            .table_elements(5)
            .build(),
    );
    let instance = instantiate(&mut store, GROWING).expect("within its limits");
    for (name, fits, too_many) in [("memory", 1, 1), ("table", 4, 1)] {
        let grow = instance
            .get_typed_func::<i32, i32>(&mut store, name)
            .expect("exported");
        assert_eq!(grow.call(&mut store, fits).expect("it ends"), 1, "{name}");
        assert_eq!(grow.call(&mut store, too_many).expect("it ends"), -1, "{name}");
    }
    assert!(Memory::new(&mut store, MemoryType::new(2, None)).is_ok());
    assert!(Memory::new(&mut store, MemoryType::new(3, None)).is_err());
    let table = |n| TableType::new(RefType::FUNCREF, n, None);
    assert!(Table::new(&mut store, table(5), Ref::Func(None)).is_ok());
    assert!(Table::new(&mut store, table(6), Ref::Func(None)).is_err());
    assert!(instantiate(&mut store, "(module (memory 3))").is_err());
}

/// What no machine can address is asked of the limiter first: whoever set a limit is told -1, as ever.
#[test]
fn a_table_beyond_all_addresses_only_fails_where_there_is_a_limit() {
    const GROW: &str = r#"
        (module (table i64 0 funcref)
          (func (export "grow") (param i64) (result i64) (table.grow 0 (ref.null func) (local.get 0))))"#;
    let too_many = [-9, 1 << 60, 1 << 61, i64::MIN];
    let mut store = limited(StoreLimitsBuilder::new().table_elements(10).build());
    let instance = instantiate(&mut store, GROW).expect("an empty table");
    let grow = instance
        .get_typed_func::<i64, i64>(&mut store, "grow")
        .expect("exported");
    for delta in too_many {
        assert_eq!(grow.call(&mut store, delta).expect("no trap"), -1, "{delta}");
    }
    assert_eq!(grow.call(&mut store, 10).expect("no trap"), 0);

    let mut store = limited(StoreLimitsBuilder::new().build());
    let instance = instantiate(&mut store, GROW).expect("an empty table");
    let grow = instance
        .get_typed_func::<i64, i64>(&mut store, "grow")
        .expect("exported");
    for delta in too_many {
        let error = grow.call(&mut store, delta).expect_err("nothing can address it");
        assert!(error.to_string().contains("failed to allocate"), "{error}");
    }
}

#[test]
fn counts_are_limited() {
    let limits = StoreLimitsBuilder::new()
        .instances(2)
        .memories(2)
        .tables(1)
        .build();
    let mut store = limited(limits);
    assert!(instantiate(&mut store, "(module (memory 1) (table 1 funcref))").is_ok());
    assert!(
        instantiate(&mut store, "(module (table 1 funcref))").is_err(),
        "a second table"
    );
    assert!(
        instantiate(&mut store, "(module (memory 1) (memory 1))").is_err(),
        "a third memory"
    );
    assert!(instantiate(&mut store, "(module (memory 1))").is_ok());
    assert!(instantiate(&mut store, "(module)").is_err(), "a third instance");
}

#[test]
fn a_refused_growth_can_end_the_call() {
    let mut store = limited(
        StoreLimitsBuilder::new()
            .memory_size(1 << 16)
            .trap_on_grow_failure(true)
            .build(),
    );
    let instance = instantiate(&mut store, GROWING).expect("within its limits");
    let grow = instance
        .get_typed_func::<i32, i32>(&mut store, "memory")
        .expect("exported");
    assert_eq!(grow.call(&mut store, 0).expect("nothing to refuse"), 1);
    assert!(grow.call(&mut store, 1).is_err());
}

#[derive(Default)]
struct Log {
    heard: Vec<String>,
    fail: bool,
}

impl ResourceLimiter for Log {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.heard.push(format!("memory {current} {desired} {maximum:?}"));
        if self.fail {
            bail!("no more");
        }
        Ok(desired <= 3 << 16)
    }
    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        self.heard.push("failed".into());
        Ok(())
    }
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.heard.push(format!("table {current} {desired} {maximum:?}"));
        Ok(true)
    }
}

#[test]
fn a_limiter_hears_of_everything() {
    let mut store = Store::new(&Engine::default(), Log::default());
    store.limiter(|log| log);
    let wat = r#"(module (memory 1 8) (table 2 9 funcref)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let instance = instantiate(&mut store, wat).expect("allowed");
    let mut heard = std::mem::take(&mut store.data_mut().heard);
    heard.sort();
    assert_eq!(heard, ["memory 0 65536 Some(524288)", "table 0 2 Some(9)"]);
    let grow = instance
        .get_typed_func::<i32, i32>(&mut store, "grow")
        .expect("exported");
    assert_eq!(grow.call(&mut store, 2).expect("it ends"), 1);
    assert_eq!(grow.call(&mut store, 1).expect("it ends"), -1);
    let heard = std::mem::take(&mut store.data_mut().heard);
    assert_eq!(
        heard[..2],
        [
            "memory 65536 196608 Some(524288)",
            "memory 196608 262144 Some(524288)"
        ]
    );
    store.data_mut().fail = true;
    let error = grow.call(&mut store, 1).expect_err("the limiter fails");
    assert_eq!(error.root_cause().to_string(), "no more");
}
