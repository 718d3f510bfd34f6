//! Memories: growth, limits, images, library calls.

use crate::build::*;
use cellwall_abi::ValType::{I32, I64};
use cellwall_abi::shape::Item;
use cellwall_abi::{LibCall, TrapCode};
use cellwall_base::MemoryIdx;
use cellwall_runtime::*;
use iced_x86::code_asm::*;

/// A memory of `min` to `max` pages with exported `grow`, `load`, `store`, `fill`, `copy`, `init`.
fn module(min: u64, max: Option<u64>) -> Module {
    let mut m = Module::new();
    let memory = m.memory(min, max);
    m.export("memory", Item::Memory(memory));
    let unary = m.ty(&[I32], &[I32]);
    let binary = m.ty(&[I32, I32], &[]);
    let grow = m.ty(&[I64], &[I32]);
    let bulk = m.ty(&[I64, I64, I64], &[]);
    m.export_func("load", unary, |e| {
        e.a.movzx(eax, byte_ptr(r14 + rdi)).unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("store", binary, |e| {
        e.a.mov(byte_ptr(r14 + rdi), sil).unwrap();
        e.a.ret().unwrap();
    });
    m.export_func("grow", grow, |e| {
        e.frame(8);
        e.a.mov(rsi, rdi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.library(LibCall::MemoryGrow);
        e.a.mov(eax, eax).unwrap();
        e.leave(8);
    });
    m.export_func("copy", bulk, |e| {
        e.frame(8);
        e.a.mov(rcx, rsi).unwrap();
        e.a.mov(r8, rdx).unwrap();
        e.a.mov(rdx, rdi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.a.xor(esi, esi).unwrap();
        e.library(LibCall::MemoryCopy);
        e.leave(8);
    });
    m.export_func("fill", bulk, |e| {
        e.frame(8);
        e.a.mov(rcx, rdx).unwrap();
        e.a.mov(edx, esi).unwrap();
        e.a.mov(rsi, rdi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.library(LibCall::MemoryFill);
        e.leave(8);
    });
    m.export_func("init", bulk, |e| {
        e.frame(8);
        e.a.mov(ecx, esi).unwrap();
        e.a.mov(r8d, edx).unwrap();
        e.a.mov(rdx, rdi).unwrap();
        e.a.xor(edi, edi).unwrap();
        e.a.xor(esi, esi).unwrap();
        e.library(LibCall::MemoryInit);
        e.leave(8);
    });
    m
}

fn grow(store: &mut Store<()>, instance: InstanceId, delta: i64) -> i32 {
    call::<_, _, (i32,)>(store, instance, "grow", (delta,)).unwrap().0
}

fn load(store: &mut Store<()>, instance: InstanceId, at: i32) -> Result<i32, Error> {
    call::<_, _, (i32,)>(store, instance, "load", (at,)).map(|(byte,)| byte)
}

#[test]
fn a_memory_grows_in_place_up_to_its_maximum() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&module(1, Some(3)).map(&engine), &[]).unwrap();
    assert_eq!(
        trap_of(load(&mut store, instance, 65536)),
        TrapCode::MemoryOutOfBounds
    );
    let id = memory(&store, instance, "memory");
    store.memory_mut(id)[65535] = 5;
    assert_eq!(grow(&mut store, instance, 1), 1);
    assert_eq!(load(&mut store, instance, 65536).unwrap(), 0);
    assert_eq!(load(&mut store, instance, 65535).unwrap(), 5);
    assert_eq!(
        trap_of(load(&mut store, instance, 131072)),
        TrapCode::MemoryOutOfBounds
    );
    assert_eq!(grow(&mut store, instance, 2), -1);
    assert_eq!(store.memory_grow(id, 1).unwrap(), Some(2));
    assert_eq!(grow(&mut store, instance, 0), 3);
    assert_eq!(grow(&mut store, instance, -1), -1);
    assert_eq!(store.memory(id).len(), 3 << 16);
}

#[test]
fn images_are_mapped_and_not_shared() {
    let mut m = module(2, None);
    m.data(Some(100), &[7; 8192]);
    m.data(Some(200), &[9; 10]);
    m.data(Some(70000), b"far");
    let engine = engine();
    let code = m.map(&engine);
    let mut first = Store::new(&engine, ());
    let mut second = Store::new(&engine, ());
    let a = first.instantiate(&code, &[]).unwrap();
    let b = second.instantiate(&code, &[]).unwrap();
    let bytes = |store: &mut Store<()>, i| {
        [99, 100, 200, 210, 8291, 8292, 70002].map(|at| load(store, i, at).unwrap())
    };
    assert_eq!(bytes(&mut first, a), [0, 7, 9, 7, 7, 0, i32::from(b'r')]);
    call::<_, _, ()>(&mut first, a, "store", (100i32, 42i32)).unwrap();
    assert_eq!(load(&mut first, a, 100).unwrap(), 42);
    assert_eq!(bytes(&mut second, b), [0, 7, 9, 7, 7, 0, i32::from(b'r')]);
    let again = first.instantiate(&code, &[]).unwrap();
    assert_eq!(load(&mut first, again, 100).unwrap(), 7);
}

#[test]
fn nothing_is_left_in_a_memory_for_the_next_one() {
    let mut with_image = module(2, None);
    with_image.data(Some(65536), &[7; 8192]);
    let engine = engine();
    let codes = [
        with_image.map(&engine),
        module(1, None).map(&engine),
        with_image.map(&engine),
    ];
    for round in 0..12 {
        let code = &codes[round % 3];
        let mut store = Store::new(&engine, ());
        let instance = store.instantiate(code, &[]).unwrap();
        let id = memory(&store, instance, "memory");
        let pages = [2, 1, 2][round % 3];
        assert_eq!(store.memory_pages(id), pages);
        let expected = |at: usize| {
            if pages == 2 && (65536..65536 + 8192).contains(&at) {
                7
            } else {
                0
            }
        };
        assert!(
            store
                .memory(id)
                .iter()
                .enumerate()
                .all(|(at, &byte)| byte == expected(at)),
            "{round}"
        );
        let end = (pages << 16) as i32;
        assert_eq!(
            trap_of(load(&mut store, instance, end)),
            TrapCode::MemoryOutOfBounds
        );
        store.memory_grow(id, round as u64 + 1).unwrap();
        assert_eq!(load(&mut store, instance, end).unwrap(), 0);
        store.memory_mut(id).fill(0xaa);
    }
}

#[test]
fn small_data_is_copied_and_late_segments_win() {
    let mut m = module(1, None);
    m.data(Some(0), &[1, 2, 3]);
    m.data(Some(1), &[9]);
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let instance = store.instantiate(&m.map(&engine), &[]).unwrap();
    let id = memory(&store, instance, "memory");
    assert_eq!(store.memory(id)[..4], [1, 9, 3, 0]);
}

#[test]
fn an_active_segment_out_of_bounds_traps() {
    let mut m = module(1, None);
    m.data(Some(65535), &[1]);
    let engine = engine();
    assert!(Store::new(&engine, ()).instantiate(&m.map(&engine), &[]).is_ok());
    m.data(Some(65536), &[1]);
    let result = Store::new(&engine, ()).instantiate(&m.map(&engine), &[]);
    assert_eq!(trap_of(result), TrapCode::MemoryOutOfBounds);
}

#[test]
fn what_was_written_before_a_failed_segment_stays() {
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let ty = MemoryType {
        is_64: false,
        shared: false,
        page_shift: 16,
        min_pages: 1,
        max_pages: None,
    };
    let shared = store.new_memory(ty).unwrap();
    let mut m = Module::new();
    m.shape.memories.push(cellwall_abi::shape::MemoryShape {
        imported: true,
        is_64: false,
        shared: false,
        page_shift: 16,
        min_pages: 1,
        max_pages: None,
    });
    m.import("memory", Item::Memory(MemoryIdx::from_u32(0)));
    m.data(Some(10), &[1; 5000]);
    m.data(Some(65536), &[2]);
    let result = store.instantiate(&m.map(&engine), &[Extern::Memory(shared)]);
    assert_eq!(trap_of(result), TrapCode::MemoryOutOfBounds);
    assert_eq!(store.memory(shared)[9..12], [0, 1, 1]);
}

#[test]
fn bulk_operations_check_before_they_write() {
    let mut m = module(1, None);
    m.data(None, &[1, 2, 3, 4]);
    let engine = engine();
    let mut store = Store::new(&engine, ());
    let i = store.instantiate(&m.map(&engine), &[]).unwrap();
    let id = memory(&store, i, "memory");
    let mut run = |name: &str, a: i64, b: i64, c: i64| call::<_, _, ()>(&mut store, i, name, (a, b, c));
    run("init", 10, 1, 3).unwrap();
    run("fill", 20, 0x1ff, 2).unwrap();
    run("copy", 11, 10, 3).unwrap();
    run("fill", 65536, 1, 0).unwrap();
    let out = TrapCode::MemoryOutOfBounds;
    assert_eq!(trap_of(run("init", 10, 2, 3)), out);
    assert_eq!(trap_of(run("init", 65535, 0, 2)), out);
    assert_eq!(trap_of(run("fill", 65535, 1, 2)), out);
    assert_eq!(trap_of(run("copy", 65535, 0, 2)), out);
    assert_eq!(trap_of(run("copy", 0, 65535, 2)), out);
    let bytes = store.memory(id);
    assert_eq!(bytes[9..15], [0, 2, 2, 3, 4, 0]);
    assert_eq!((&bytes[19..23], bytes[65535]), (&[0, 0xff, 0xff, 0][..], 0));
}

/// Allows this many bytes and elements, one of everything, and counts failures.
struct Small(usize);

impl Limiter<()> for Small {
    fn memory_growing(
        &mut self,
        _: &mut (),
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> Result<bool, HostError> {
        if desired == 7 << 16 {
            return Err(Box::new("seven is too many"));
        }
        Ok(desired <= self.0)
    }
    fn memory_grow_failed(&mut self, _: &mut (), reason: &str) -> Result<(), HostError> {
        Err(Box::new(reason.to_owned()))
    }
    fn table_growing(
        &mut self,
        _: &mut (),
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> Result<bool, HostError> {
        Ok(desired <= self.0)
    }
    fn table_grow_failed(&mut self, _: &mut (), _: &str) -> Result<(), HostError> {
        Ok(())
    }
    fn instances(&mut self, _: &mut ()) -> usize {
        1
    }
    fn tables(&mut self, _: &mut ()) -> usize {
        1
    }
    fn memories(&mut self, _: &mut ()) -> usize {
        1
    }
}

#[test]
fn a_limiter_decides_on_growth() {
    let engine = engine();
    let code = module(1, Some(2)).map(&engine);
    let mut store = Store::new(&engine, ());
    store.set_limiter(Box::new(Small(2 << 16)));
    let instance = store.instantiate(&code, &[]).unwrap();
    assert_eq!(grow(&mut store, instance, 1), 1);
    assert_eq!(grow(&mut store, instance, 1), -1, "refused by the limiter");
    let error = call::<_, _, (i32,)>(&mut store, instance, "grow", (5i64,)).unwrap_err();
    let Error::Host { error, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(*error.downcast::<&str>().unwrap(), "seven is too many");
    assert!(
        matches!(store.instantiate(&code, &[]), Err(Error::Limit(_))),
        "one instance only"
    );

    let mut store = Store::new(&engine, ());
    store.set_limiter(Box::new(Small(100 << 16)));
    let instance = store.instantiate(&code, &[]).unwrap();
    let error = call::<_, _, (i32,)>(&mut store, instance, "grow", (3i64,)).unwrap_err();
    assert!(
        matches!(error, Error::Host { .. }),
        "allowed, but beyond the maximum: {error:?}"
    );

    let mut store = Store::new(&engine, ());
    store.set_limiter(Box::new(Small(100)));
    let error = store.instantiate(&code, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "memory minimum size of 1 pages exceeds memory limits"
    );
}

#[test]
fn code_that_relies_on_more_than_the_engine_gives_is_not_mapped() {
    let large = engine();
    let mut config = EngineConfig::default();
    config.target.memory_guard_bytes /= 2;
    let small = Engine::new(config).unwrap();
    let module = module(1, None);
    let verify = |engine| cellwall_verify::verify(module.artifact(engine)).unwrap();
    assert!(Code::map(&large, verify(&small)).is_ok());
    let refused = Code::map(&small, verify(&large));
    assert!(matches!(refused, Err(Error::Limit(text)) if text.contains("memory guards")));
}
