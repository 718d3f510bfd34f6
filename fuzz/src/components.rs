//! For all types, values and damage done to them on the way: Cellwall and Wasmtime give the same answer,
//! through one component to another (and to the host) and back, or both end the call.
//!
//! An input is a seed: of the types, the encodings, the values, and what the inner component changes in what
//! it was given before it passes that on: bytes of a list, also of borrowed handles, core parameters, bytes of what
//! the host returned.
//! The host of Wasmtime cannot make error contexts, so there are none.

#[path = "../../crates/cellwall/tests/it/component/generate.rs"]
mod generate;

use cellwall::component::{Type, Val};
use cellwall_tests::rng::Rng;
use generate::{Damage, Random, answer, mapped, program, value};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use wasmtime::component::Val as Peer;

/// Values that are sent through each function of a program.
const VALUES: usize = 6;
/// Bytes of a list or an answer that may be damaged.
const DAMAGED_BYTES_MAX: usize = 200;
/// Core parameters that may be damaged.
const DAMAGED_PARAMS_MAX: usize = 16;

static CELLWALL: LazyLock<cellwall::Engine> = LazyLock::new(cellwall::Engine::default);
static WASMTIME: LazyLock<wasmtime::Engine> = LazyLock::new(|| {
    let mut config = wasmtime::Config::new();
    config.wasm_component_model_fixed_length_lists(true);
    config.wasm_component_model_map(true);
    wasmtime::Engine::new(&config).expect("the options go together")
});

static CAME_BACK: AtomicUsize = AtomicUsize::new(0);
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// What the host's resources are called.
struct R;

/// How many values came back, and how many calls ended.
pub fn summary() -> String {
    let (back, ended) = (CAME_BACK.load(Relaxed), ENDED.load(Relaxed));
    format!("{back} values came back, {ended} calls ended")
}

/// A seed.
pub fn next(rng: &mut Rng, _: &[Vec<u8>]) -> Vec<u8> {
    rng.bits().to_le_bytes().to_vec()
}

/// Tries the program and the values of a seed.
///
/// # Panics
/// If the two differ.
pub fn run(data: &[u8]) {
    let mut seed = [0; 8];
    let len = data.len().min(8);
    seed[..len].copy_from_slice(&data[..len]);
    let mut random = Random::new(u64::from_le_bytes(seed));
    let damage = damage(&mut random);
    let program = program(&mut random, false, &damage);
    let ours = cellwall::component::Component::new(&CELLWALL, &program);
    let ours = ours.unwrap_or_else(|error| panic!("{error:?}\n{program}"));
    let binary = wat::parse_str(&program).expect("the program is valid");
    let theirs = wasmtime::component::Component::new(&WASMTIME, binary);
    let theirs = theirs.unwrap_or_else(|error| panic!("{error:?}\n{program}"));
    let is_whole = damage.list.is_empty() && damage.returned.is_empty() && damage.params.is_empty();
    for name in ["echo", "pass", "lend"].repeat(VALUES) {
        // A call that ended leaves an instance that nobody can enter.
        let mut ours = Ours::new(&ours, name, &program);
        let mut theirs = Theirs::new(&theirs, name, &program);
        let ty = ours.ty();
        let sent = value(&mut random, &ty);
        match (ours.call(&sent, &ty), theirs.call(&sent, &ty)) {
            (Ok(ours), Ok(theirs)) => {
                CAME_BACK.fetch_add(1, Relaxed);
                assert!(
                    same(&ours, &theirs),
                    "{name}\n{ours:?}\n{theirs:?}\n{sent:?}\n{program}"
                );
                assert!(
                    !is_whole || same(&answer(name, &sent), &theirs),
                    "{name}\n{sent:?}\n{theirs:?}\n{program}"
                );
            }
            (Err(_), Err(_)) if !is_whole => {
                ENDED.fetch_add(1, Relaxed);
            }
            // Each host bounds the bytes that the values of a call may take of it, one at 256 MiB, the other at
            // 128, and counts them in its own way.
            (Ok(_), Err(theirs))
                if !is_whole
                    && theirs
                        .root_cause()
                        .to_string()
                        .contains("fuel allocated for hostcalls") =>
            {
                ENDED.fetch_add(1, Relaxed);
            }
            (Err(ours), Ok(_))
                if !is_whole && ours.root_cause().to_string().contains("bytes of the host") =>
            {
                ENDED.fetch_add(1, Relaxed);
            }
            (ours, theirs) => panic!("{name}\n{ours:?}\n{theirs:?}\n{sent:?}\n{program}"),
        }
    }
}

/// Changes of what the inner component was given; half of the time none.
fn damage(random: &mut Random) -> Damage {
    let mut damage = Damage::default();
    for _ in 0..random.below(2) * (1 + random.below(3)) {
        let at = random.below(DAMAGED_BYTES_MAX);
        let byte = [0, 1, 2, 0x7f, 0x80, 0xd8, 0xff][random.below(7)];
        let code = format!("(i32.store8 (i32.add (local.get 0) (i32.const {at})) (i32.const {byte}))");
        match random.below(3) {
            0 => damage.list += &code,
            1 => damage.returned += &code,
            _ => {
                // Beside the edges of small numbers those of letters, whose type is one core number too.
                let number =
                    [0, 1, 2, 0x80, 0x101, 0xd7ff, 0xd800, 0x10_ffff, 0x11_0000, -1][random.below(10)];
                damage.params.push((random.below(DAMAGED_PARAMS_MAX), number));
            }
        }
    }
    damage
}

struct Ours {
    store: cellwall::Store<()>,
    func: cellwall::component::Func,
}

impl Ours {
    fn new(component: &cellwall::component::Component, name: &str, program: &str) -> Self {
        let mut store = cellwall::Store::new(&CELLWALL, ());
        let mut linker = cellwall::component::Linker::new(&CELLWALL);
        let mut host = linker.instance("host").expect("the name is free");
        let ty = cellwall::component::ResourceType::host::<R>();
        host.resource("r", ty, |_, _| Ok(())).expect("the name is free");
        host.func_new("pass", |_, _, params, results| {
            results.clone_from_slice(params);
            Ok(())
        })
        .expect("the name is free");
        host.func_new("lend", |mut store, _, params, results| {
            let Val::List(lent) = &params[0] else {
                panic!("{params:?} is no list");
            };
            let mut sum = 0_u32;
            for resource in lent {
                let Val::Resource(resource) = resource else {
                    panic!("{resource:?} is no resource");
                };
                sum = sum.wrapping_add(resource.into_resource::<R>(&mut store)?.rep());
            }
            results[0] = Val::U32(sum);
            Ok(())
        })
        .expect("the name is free");
        let instance = linker.instantiate(&mut store, component);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}\n{program}"));
        let outer = instance.get_export_index(&mut store, None, "d");
        let index = instance.get_export_index(&mut store, outer.as_ref(), name);
        let func = instance.get_func(&store, index.expect("it is exported"));
        Ours {
            store,
            func: func.expect("it is a function"),
        }
    }

    fn ty(&self) -> Type {
        let ty = self.func.ty(&self.store);
        let (_, ty) = ty.params().next().expect("it has a parameter");
        ty
    }

    /// Sends a value that has numbers for resources, and says what comes back, likewise.
    fn call(&mut self, sent: &Val, ty: &Type) -> cellwall::Result<Val> {
        use cellwall::component::{Resource, ResourceAny};
        let store = &mut self.store;
        let sent = mapped(sent, ty, &mut |val, ty| match (val, ty) {
            (Val::U32(number), Type::Own(_) | Type::Borrow(_)) => {
                let resource = ResourceAny::new_host(&mut *store, Resource::<R>::new_own(*number));
                Val::Resource(resource.expect("there is room"))
            }
            (val, _) => val.clone(),
        });
        let mut back = [Val::Bool(false)];
        self.func.call(&mut self.store, &[sent], &mut back)?;
        let store = &mut self.store;
        Ok(mapped(&back[0], ty, &mut |val, _| match val {
            Val::Resource(resource) => {
                let resource = resource.into_resource::<R>(&mut *store);
                Val::U32(resource.expect("it is of the host").rep())
            }
            val => val.clone(),
        }))
    }
}

struct Theirs {
    store: wasmtime::Store<()>,
    func: wasmtime::component::Func,
}

impl Theirs {
    fn new(component: &wasmtime::component::Component, name: &str, program: &str) -> Self {
        let mut store = wasmtime::Store::new(&WASMTIME, ());
        let mut linker = wasmtime::component::Linker::new(&WASMTIME);
        let mut host = linker.instance("host").expect("the name is free");
        let ty = wasmtime::component::ResourceType::host::<R>();
        host.resource("r", ty, |_, _| Ok(())).expect("the name is free");
        host.func_new("pass", |_, _, params, results| {
            results.clone_from_slice(params);
            Ok(())
        })
        .expect("the name is free");
        host.func_new("lend", |mut store, _, params, results| {
            let Peer::List(lent) = &params[0] else {
                panic!("{params:?} is no list");
            };
            let mut sum = 0_u32;
            for resource in lent {
                let Peer::Resource(resource) = resource else {
                    panic!("{resource:?} is no resource");
                };
                sum = sum.wrapping_add(resource.try_into_resource::<R>(&mut store)?.rep());
            }
            results[0] = Peer::U32(sum);
            Ok(())
        })
        .expect("the name is free");
        let instance = linker.instantiate(&mut store, component);
        let instance = instance.unwrap_or_else(|error| panic!("{error:?}\n{program}"));
        let outer = instance.get_export_index(&mut store, None, "d");
        let index = instance.get_export_index(&mut store, outer.as_ref(), name);
        let func = instance.get_func(&mut store, index.expect("it is exported"));
        Theirs {
            store,
            func: func.expect("it is a function"),
        }
    }

    /// As [`Ours::call`].
    fn call(&mut self, sent: &Val, ty: &Type) -> wasmtime::Result<Peer> {
        let sent = peer(sent, ty, &mut |number| {
            let resource = wasmtime::component::Resource::<R>::new_own(number);
            let resource = resource.try_into_resource_any(&mut self.store);
            Peer::Resource(resource.expect("there is room"))
        });
        let mut back = [Peer::Bool(false)];
        self.func.call(&mut self.store, &[sent], &mut back)?;
        let [mut back] = back;
        let store = &mut self.store;
        each_simple(&mut back, &mut |val| {
            if let Peer::Resource(resource) = val {
                let resource = resource.try_into_resource::<R>(&mut *store);
                *val = Peer::U32(resource.expect("it is of the host").rep());
            }
        });
        Ok(back)
    }
}

/// The same value of this type, for the peer, which tells lists of fixed length from others; `make` makes
/// the resource of a number.
fn peer(val: &Val, ty: &Type, make: &mut dyn FnMut(u32) -> Peer) -> Peer {
    fn all(vals: &[Val], ty: &Type, make: &mut dyn FnMut(u32) -> Peer) -> Vec<Peer> {
        vals.iter().map(|val| peer(val, ty, make)).collect()
    }
    let mut optional = |val: &Option<Box<Val>>, ty: &Option<Type>| match (val, ty) {
        (Some(val), Some(ty)) => Some(Box::new(peer(val, ty, make))),
        _ => None,
    };
    match (val, ty) {
        (Val::List(it), Type::List(ty)) => Peer::List(all(it, ty, make)),
        (Val::List(it), Type::FixedLengthList(ty, _)) => Peer::FixedLengthList(all(it, ty, make)),
        (Val::Map(it), Type::Map(ty)) => {
            let pair = |(key, val): &(Val, Val)| (peer(key, &ty.0, make), peer(val, &ty.1, make));
            Peer::Map(it.iter().map(pair).collect())
        }
        (Val::Record(it), Type::Record(fields)) => {
            let field =
                |((name, val), (_, ty)): (&(String, Val), &(_, Type))| (name.clone(), peer(val, ty, make));
            Peer::Record(it.iter().zip(fields.iter()).map(field).collect())
        }
        (Val::Tuple(it), Type::Tuple(types)) => {
            let each = it.iter().zip(types.iter());
            Peer::Tuple(each.map(|(val, ty)| peer(val, ty, make)).collect())
        }
        (Val::Variant(name, it), Type::Variant(cases)) => {
            let case = cases.iter().find(|(own, _)| **own == **name);
            Peer::Variant(name.clone(), optional(it, &case.expect("it is a case").1))
        }
        (Val::Option(Some(it)), Type::Option(ty)) => Peer::Option(Some(Box::new(peer(it, ty, make)))),
        (Val::Option(_), _) => Peer::Option(None),
        (Val::Result(Ok(it)), Type::Result(parts)) => Peer::Result(Ok(optional(it, &parts.0))),
        (Val::Result(Err(it)), Type::Result(parts)) => Peer::Result(Err(optional(it, &parts.1))),
        (Val::U32(number), Type::Own(_) | Type::Borrow(_)) => make(*number),
        (val, _) => simple(val),
    }
}

/// Changes each part of a value that has no parts.
fn each_simple(val: &mut Peer, change: &mut dyn FnMut(&mut Peer)) {
    match val {
        Peer::List(it) | Peer::FixedLengthList(it) | Peer::Tuple(it) => {
            it.iter_mut().for_each(|val| each_simple(val, change));
        }
        Peer::Map(it) => {
            for (key, val) in it {
                each_simple(key, change);
                each_simple(val, change);
            }
        }
        Peer::Record(it) => it.iter_mut().for_each(|(_, val)| each_simple(val, change)),
        Peer::Variant(_, it) | Peer::Option(it) | Peer::Result(Ok(it) | Err(it)) => {
            if let Some(val) = it {
                each_simple(val, change);
            }
        }
        val => change(val),
    }
}

/// The same value without parts.
fn simple(val: &Val) -> Peer {
    match val {
        Val::Bool(it) => Peer::Bool(*it),
        Val::S8(it) => Peer::S8(*it),
        Val::U8(it) => Peer::U8(*it),
        Val::S16(it) => Peer::S16(*it),
        Val::U16(it) => Peer::U16(*it),
        Val::S32(it) => Peer::S32(*it),
        Val::U32(it) => Peer::U32(*it),
        Val::S64(it) => Peer::S64(*it),
        Val::U64(it) => Peer::U64(*it),
        Val::Float32(it) => Peer::Float32(*it),
        Val::Float64(it) => Peer::Float64(*it),
        Val::Char(it) => Peer::Char(*it),
        Val::String(it) => Peer::String(it.clone()),
        Val::Enum(it) => Peer::Enum(it.clone()),
        Val::Flags(it) => Peer::Flags(it.clone()),
        other => panic!("{other:?} is not generated"),
    }
}

/// Whether two values are the same, to the bit.
fn same(ours: &Val, theirs: &Peer) -> bool {
    let all = |ours: &[Val], theirs: &[Peer]| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
    };
    let optional = |ours: &Option<Box<Val>>, theirs: &Option<Box<Peer>>| match (ours, theirs) {
        (Some(ours), Some(theirs)) => same(ours, theirs),
        (None, None) => true,
        _ => false,
    };
    match (ours, theirs) {
        (Val::Float32(a), Peer::Float32(b)) => a.to_bits() == b.to_bits(),
        (Val::Float64(a), Peer::Float64(b)) => a.to_bits() == b.to_bits(),
        (Val::List(a), Peer::List(b) | Peer::FixedLengthList(b)) => all(a, b),
        (Val::Map(a), Peer::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(&a.0, &b.0) && same(&a.1, &b.1))
        }
        (Val::Record(a), Peer::Record(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1))
        }
        (Val::Tuple(a), Peer::Tuple(b)) => all(a, b),
        (Val::Variant(a, x), Peer::Variant(b, y)) => a == b && optional(x, y),
        (Val::Option(a), Peer::Option(b)) => optional(a, b),
        (Val::Result(Ok(a)), Peer::Result(Ok(b))) => optional(a, b),
        (Val::Result(Err(a)), Peer::Result(Err(b))) => optional(a, b),
        (Val::Option(_), _) | (Val::Result(_), _) | (Val::Variant(..), _) => false,
        (Val::List(_), _) | (Val::Map(_), _) | (Val::Record(_), _) | (Val::Tuple(_), _) => false,
        (ours, theirs) => simple(ours) == *theirs,
    }
}
