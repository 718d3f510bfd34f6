//! For all strings and lists, in every pair of encodings: an adapter writes nothing but what it was given
//! room for, and there what the other side expects; the memory that it reads, and one that is neither
//! side's, stay as they are. What is malformed ends the call, and as little is written.

use cellwall::{Engine, Extern, Func, Global, GlobalType, Instance, Memory, MemoryType, Module, Mutability};
use cellwall::{Store, Val, ValType, bail};
use cellwall_component::adapter::{self, Import, Party, Request};
use cellwall_component::{CoreDef, Encoding, Fields, FuncKind, FuncType, List, Options};
use std::ops::Range;
use std::sync::Arc;

const CASES: usize = 40;
const MEMORY_BYTES: usize = 64 << 10;
const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::CompactUtf16];

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }

    fn noise(&mut self) -> Vec<u8> {
        (0..MEMORY_BYTES).map(|_| self.next() as u8).collect()
    }
}

/// What the callee saw, and the room that it gave.
#[derive(Default)]
struct Seen {
    called: Option<(u32, u32)>,
    next: usize,
    rooms: Vec<Range<usize>>,
    memory: Option<Memory>,
}

/// The sides of a call.
struct World {
    store: Store<Seen>,
    caller: Memory,
    callee: Memory,
    bystander: Memory,
    call: Func,
}

fn options(encoding: Encoding) -> Options {
    Options {
        encoding,
        memory: Some(CoreDef::Trampoline(0)),
        realloc: Some(CoreDef::Trampoline(0)),
        ..Options::default()
    }
}

/// An adapter of one parameter, between two memories.
fn world(engine: &Engine, ty: cellwall_component::ValType, from: Encoding, to: Encoding) -> World {
    let params = Fields::new([("x".into(), ty)]).expect("it is small");
    let ty = FuncType {
        params: Arc::new(params),
        result: None,
        kind: FuncKind::Sync,
    };
    let request = Request {
        ty: &ty,
        lower: &options(from),
        lift: &options(to),
        nested: false,
        with_context: false,
        locked: true,
    };
    let made = adapter::adapter(&request).expect("it is small");
    let module = Module::from_binary(engine, &made.wasm).expect("adapters are valid");
    let mut store = Store::new(engine, Seen::default());
    let mut memory = || Memory::new(&mut store, MemoryType::new(1, Some(1))).expect("there is room");
    let (caller, callee, bystander) = (memory(), memory(), memory());
    store.data_mut().memory = Some(callee);
    let externs: Vec<Extern> = made
        .imports
        .iter()
        .map(|import| extern_of(&mut store, *import, caller, callee))
        .collect();
    let instance = Instance::new(&mut store, &module, &externs).expect("all is there");
    let call = instance
        .get_func(&mut store, adapter::EXPORT)
        .expect("it is exported");
    World {
        store,
        caller,
        callee,
        bystander,
        call,
    }
}

fn extern_of(store: &mut Store<Seen>, import: Import, caller: Memory, callee: Memory) -> Extern {
    match import {
        Import::Memory(Party::Caller) => caller.into(),
        Import::Memory(Party::Callee) => callee.into(),
        Import::MayLeave(_) => {
            let ty = GlobalType::new(ValType::I32, Mutability::Var);
            Global::new(store, ty, Val::I32(1))
                .expect("it is of its type")
                .into()
        }
        Import::Trap => Func::wrap(store, |number: u32| -> cellwall::Result<()> {
            bail!("fault {number}")
        })
        .into(),
        Import::Callee => Func::wrap(
            store,
            |mut caller: cellwall::Caller<'_, Seen>, at: u32, len: u32| {
                caller.data_mut().called = Some((at, len));
            },
        )
        .into(),
        // Room is taken upwards and never given back; what was there moves along.
        Import::Realloc(Party::Callee) => Func::wrap(
            store,
            |mut caller: cellwall::Caller<'_, Seen>, old: u32, old_len: u32, align: u32, len: u32| -> u32 {
                let seen = caller.data_mut();
                let memory = seen.memory.expect("it was set");
                let start = seen.next.next_multiple_of(align as usize);
                seen.next = start + len as usize + 3;
                seen.rooms.push(start..start + len as usize);
                let kept = old_len.min(len) as usize;
                let data = memory.data_mut(&mut caller);
                data.copy_within(old as usize..old as usize + kept, start);
                start as u32
            },
        )
        .into(),
        other => panic!("{other:?} is not needed"),
    }
}

impl World {
    /// Calls it with a value at an address; checks every byte, and returns what arrived.
    fn call(&mut self, random: &mut Random, bytes: &[u8], at: usize, len: u32) -> Option<(Vec<u8>, u32)> {
        let [mut sent, received, other] = [random.noise(), random.noise(), random.noise()];
        sent[at..at + bytes.len()].copy_from_slice(bytes);
        for (memory, noise) in [
            (self.caller, &sent),
            (self.callee, &received),
            (self.bystander, &other),
        ] {
            memory.data_mut(&mut self.store).copy_from_slice(noise);
        }
        let seen = self.store.data_mut();
        (seen.called, seen.next) = (None, 1 + random.below(999));
        seen.rooms.clear();
        let args = [Val::I32(at as i32), Val::I32(len as i32)];
        let ended = self.call.call(&mut self.store, &args, &mut []);

        assert!(self.caller.data(&self.store) == sent, "what is read stays");
        assert!(
            self.bystander.data(&self.store) == other,
            "what is no side's stays"
        );
        let seen = self.store.data();
        let is_room = |at: usize| seen.rooms.iter().any(|room| room.contains(&at));
        let now = self.callee.data(&self.store);
        let changed = (0..MEMORY_BYTES).find(|&at| now[at] != received[at] && !is_room(at));
        assert_eq!(
            changed, None,
            "nothing is written outside of the rooms {:?}",
            seen.rooms
        );
        assert_eq!(ended.is_ok(), seen.called.is_some(), "{ended:?}");
        let (to, len) = seen.called?;
        let last = seen.rooms.last().cloned().unwrap_or(0..0);
        assert_eq!(to as usize, last.start, "it lies in the last room");
        Some((now[last].to_vec(), len))
    }
}

fn text(random: &mut Random) -> String {
    let ranges: [(u32, u32); 4] = [(1, 0x7f), (0x80, 0x80), (0x100, 0xd00), (0x1_0000, 0x1000)];
    let kinds = 1 + random.below(4);
    let length = [0, 1, 7, 8, 15, 16, 17, 33, 300][random.below(9)];
    let char = |_| {
        let (start, count) = ranges[random.below(kinds)];
        char::from_u32(start + random.below(count as usize) as u32).expect("no surrogates there")
    };
    (0..length).map(char).collect()
}

/// The bytes and the length of a text.
fn encoded(text: &str, encoding: Encoding) -> (Vec<u8>, u32) {
    let wide = || -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let units = text.encode_utf16().count() as u32;
    match encoding {
        Encoding::Utf8 => (text.as_bytes().to_vec(), text.len() as u32),
        Encoding::Utf16 => (wide(), units),
        Encoding::CompactUtf16 => match text.chars().map(u8::try_from).collect::<Result<Vec<u8>, _>>() {
            Ok(bytes) => (bytes, units),
            Err(_) => (wide(), units | 1 << 31),
        },
    }
}

#[test]
fn strings_are_written_where_there_is_room_and_nowhere_else() {
    let engine = Engine::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for from in ENCODINGS {
        for to in ENCODINGS {
            let mut world = world(&engine, cellwall_component::ValType::String, from, to);
            for _ in 0..CASES {
                let text = text(&mut random);
                let (bytes, len) = encoded(&text, from);
                let at = 2 * random.below((MEMORY_BYTES - bytes.len()) / 2);
                let arrived = world.call(&mut random, &bytes, at, len);
                assert_eq!(arrived, Some(encoded(&text, to)), "{text:?} {from:?} {to:?}");
                // At the very end of memory, as far as alignment allows.
                let at = match from {
                    Encoding::Utf8 => MEMORY_BYTES - bytes.len(),
                    _ => (MEMORY_BYTES - bytes.len()) / 2 * 2,
                };
                let arrived = world.call(&mut random, &bytes, at, len);
                assert_eq!(arrived, Some(encoded(&text, to)), "{text:?} {from:?} {to:?}");
            }
        }
    }
}

/// Bytes that are mostly no text: whatever becomes of them, no other byte is touched.
#[test]
fn malformed_strings_touch_no_other_byte() {
    let engine = Engine::default();
    let mut random = Random(0x1234_5678_9abc_def1);
    let mut refused = 0;
    for from in ENCODINGS {
        for to in ENCODINGS {
            let mut world = world(&engine, cellwall_component::ValType::String, from, to);
            for _ in 0..CASES {
                let (mut bytes, mut len) = encoded(&text(&mut random), from);
                if bytes.is_empty() {
                    continue;
                }
                let broken = random.below(bytes.len());
                bytes[broken] = random.next() as u8;
                len ^= u32::from(random.below(4) == 0) << random.below(32);
                let at = random.below(MEMORY_BYTES - bytes.len());
                refused += usize::from(world.call(&mut random, &bytes, at, len).is_none());
            }
        }
    }
    assert!(refused > CASES, "{refused} were refused");
}

#[test]
fn lists_are_written_where_there_is_room_and_nowhere_else() {
    use cellwall_component::ValType as Type;
    let engine = Engine::default();
    let mut random = Random(0x0fed_cba9_8765_4321);
    for (ty, size) in [
        (Type::U8, 1),
        (Type::U16, 2),
        (Type::F32, 4),
        (Type::U64, 8),
        (Type::Bool, 1),
    ] {
        let is_bool = ty == Type::Bool;
        let list = Type::List(Arc::new(List::new(ty, None).expect("it is small")));
        let mut world = world(&engine, list, Encoding::Utf8, Encoding::Utf8);
        for _ in 0..CASES {
            let len = random.below(400);
            let bytes: Vec<u8> = (0..len * size).map(|_| random.next() as u8).collect();
            let at = (random.below(MEMORY_BYTES - bytes.len())) / size * size;
            let mut expected = bytes.clone();
            if is_bool {
                expected.iter_mut().for_each(|byte| *byte = u8::from(*byte != 0));
            }
            let arrived = world.call(&mut random, &bytes, at, len as u32);
            assert_eq!(arrived, Some((expected, len as u32)));
        }
    }
}
