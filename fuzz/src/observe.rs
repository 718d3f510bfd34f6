//! What can be seen of a module from outside: its exported functions are called, each in a fresh
//! instance, and then the exported memories and globals are read.
//!
//! The same steps for every engine, by a macro over crates with the same nouns. Requires: a valid
//! module without imports that comes to an end. References are seen as null or not.

use cellwall_tests::rng::Rng;

/// Calls of each function, with different arguments.
const CALLS: usize = 3;

/// How far a memory may grow. The same for all engines, so that they refuse alike.
const MEMORY_BYTES_MAX: usize = 8 << 20;
/// How far a table may grow.
const TABLE_ELEMENTS_MAX: usize = 10_000;

/// One thing seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Instantiation failed: an active segment does not fit, or the start function traps.
    NotInstantiated,
    /// A call gave these results, as bits.
    Values(Vec<u128>),
    /// A call trapped; the name of the trap is Wasmtime's.
    Trap(String),
    /// The values of the exception that it ended with, as bits.
    Exception(Vec<u128>),
    /// A call used up the stack. Nothing more is observed.
    StackOverflow,
    /// A memory at the end: its size in bytes and a digest.
    Memory(usize, u64),
    /// A global at the end, as bits.
    Global(u128),
}

/// What an exported function did, by its name.
pub type Exports = Vec<(String, Vec<Seen>)>;

/// The kinds of values that are told apart.
#[derive(Clone, Copy)]
enum Kind {
    I32,
    I64,
    F32,
    F64,
    V128,
    Ref,
}

/// The bits of an argument. NaNs are the canonical ones, so that engines may not differ.
fn argument(kind: Kind, rng: &mut Rng) -> u128 {
    let scalar = match kind {
        Kind::I32 => rng.interesting() & 0xffff_ffff,
        Kind::I64 => rng.interesting(),
        Kind::F32 => match f32::from_bits(rng.bits() as u32) {
            value if value.is_nan() => 0x7fc0_0000,
            value if rng.below(2) == 0 => u64::from(value.to_bits()),
            _ => u64::from((rng.interesting() as i32 as f32).to_bits()),
        },
        Kind::F64 => match f64::from_bits(rng.bits()) {
            value if value.is_nan() => 0x7ff8_0000_0000_0000,
            value if rng.below(2) == 0 => value.to_bits(),
            _ => (rng.interesting() as i64 as f64).to_bits(),
        },
        Kind::V128 => return u128::from(rng.interesting()) << 64 | u128::from(rng.interesting()),
        Kind::Ref => 0,
    };
    u128::from(scalar)
}

/// A digest of a memory; equal memories have equal ones.
fn digest(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| {
        step(hash, u64::from_le_bytes(*word))
    });
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

/// Defines `observe` for the crate `$api`. The module around it defines `Engine`-specific helpers:
/// `engine`, `instantiate`, `of_module`, `kinds`, `value`, `bits`, `trap` and `thrown`.
macro_rules! observer {
    ($api:ident) => {
        /// What is seen of each exported function.
        ///
        /// # Errors
        /// The engine's reason to refuse the module.
        pub fn observe(wasm: &[u8], seed: u64) -> Result<Exports, String> {
            let engine = engine();
            let module = $api::Module::new(&engine, wasm).map_err(|error| format!("{error:#}"))?;
            let mut names: Vec<String> = module
                .exports()
                .map(|export| export.name().to_string())
                .collect();
            // The engines do not list exports in the same order.
            names.sort();
            let mut exports = Exports::new();
            for name in &names {
                if let Some(seen) = observe_one(&engine, &module, name, &names, seed)? {
                    exports.push((name.clone(), seen));
                }
            }
            Ok(exports)
        }

        /// `None` if the export is not a function. An error if the engine lacks room for an instance.
        fn observe_one(
            engine: &$api::Engine,
            module: &$api::Module,
            name: &str,
            names: &[String],
            seed: u64,
        ) -> Result<Option<Vec<Seen>>, String> {
            let limits = $api::StoreLimitsBuilder::new()
                .memory_size(MEMORY_BYTES_MAX)
                .table_elements(TABLE_ELEMENTS_MAX)
                .build();
            let mut store = $api::Store::new(engine, limits);
            store.limiter(|limits| limits);
            let linker = $api::Linker::<$api::StoreLimits>::new(engine);
            let instance = match instantiate(&linker, &mut store, module) {
                Ok(instance) => instance,
                Err(error) if of_module(&error) => return Ok(Some(vec![Seen::NotInstantiated])),
                Err(error) => return Err(format!("{error:#}")),
            };
            let Some(func) = instance.get_func(&mut store, name) else {
                return Ok(None);
            };
            let ty = func.ty(&store);
            let (params, results) = kinds(&ty);
            let mut rng = Rng::new(seed);
            let mut seen = Vec::new();
            for _ in 0..CALLS {
                let arguments: Vec<$api::Val> = params
                    .iter()
                    .map(|kind| value(&ty, *kind, &mut rng))
                    .collect();
                let mut values = vec![$api::Val::I32(0); results];
                match func.call(&mut store, &arguments, &mut values) {
                    Ok(()) => seen.push(Seen::Values(values.iter().map(bits).collect())),
                    Err(error) => match trap(&error) {
                        name if name == "StackOverflow" => return Ok(Some(vec![Seen::StackOverflow])),
                        name => {
                            seen.push(Seen::Trap(name));
                            seen.extend(thrown(&mut store).map(Seen::Exception));
                        }
                    },
                }
            }
            for name in names {
                if let Some(memory) = instance.get_memory(&mut store, name) {
                    let bytes = memory.data(&store);
                    seen.push(Seen::Memory(bytes.len(), digest(bytes)));
                } else if let Some(global) = instance.get_global(&mut store, name) {
                    let now = global.get(&mut store);
                    seen.push(Seen::Global(bits(&now)));
                }
            }
            Ok(Some(seen))
        }
    };
}

/// What Cellwall and Wasmtime have in common beyond the nouns.
macro_rules! like_wasmtime {
    ($api:ident) => {
        use super::{
            CALLS, Exports, Kind, MEMORY_BYTES_MAX, Rng, Seen, TABLE_ELEMENTS_MAX, argument, digest,
        };
        use $api::{Error, FuncType, Instance, Linker, Module, Store, StoreLimits, Val, ValType};

        observer!($api);

        fn instantiate(
            linker: &Linker<StoreLimits>,
            store: &mut Store<StoreLimits>,
            module: &Module,
        ) -> Result<Instance, Error> {
            linker.instantiate(store, module)
        }

        /// The kinds of the parameters, and the number of results.
        fn kinds(ty: &FuncType) -> (Vec<(usize, Kind)>, usize) {
            let kind = |ty: ValType| match ty {
                ValType::I32 => Kind::I32,
                ValType::I64 => Kind::I64,
                ValType::F32 => Kind::F32,
                ValType::F64 => Kind::F64,
                ValType::Ref(_) => Kind::Ref,
                ValType::V128 => Kind::V128,
            };
            (
                ty.params().map(kind).enumerate().collect(),
                ty.results().len(),
            )
        }

        fn value(ty: &FuncType, (index, kind): (usize, Kind), rng: &mut Rng) -> Val {
            let bits = argument(kind, rng);
            match kind {
                Kind::I32 => Val::I32(bits as i32),
                Kind::I64 => Val::I64(bits as i64),
                Kind::F32 => Val::F32(bits as u32),
                Kind::F64 => Val::F64(bits as u64),
                Kind::V128 => Val::V128(bits.into()),
                Kind::Ref => {
                    let ty = ty.params().nth(index).expect("the kind came from it");
                    Val::default_for_ty(&ty).expect("only nullable references are generated")
                }
            }
        }

        fn bits(value: &Val) -> u128 {
            match value {
                Val::I32(value) => u128::from(*value as u32),
                Val::I64(value) => u128::from(*value as u64),
                Val::F32(bits) => u128::from(*bits),
                Val::F64(bits) => u128::from(*bits),
                Val::V128(bits) => bits.as_u128(),
                Val::FuncRef(func) => u128::from(func.is_some()),
                Val::ExternRef(value) => u128::from(value.is_some()),
                Val::ExnRef(value) => u128::from(value.is_some()),
                _ => unreachable!("other types are not generated"),
            }
        }

        /// The values of the exception that is under way, which is over then.
        fn thrown(store: &mut Store<StoreLimits>) -> Option<Vec<u128>> {
            let exception = store.take_pending_exception()?;
            let fields = exception.fields(&mut *store).expect("it is of this store");
            Some(fields.map(|value| bits(&value)).collect())
        }

        /// Whether the module itself ended its instantiation, not what the engine has room for.
        fn of_module(error: &Error) -> bool {
            error.is::<$api::Trap>() || error.is::<$api::ThrownException>()
        }

        fn trap(error: &Error) -> String {
            match error.downcast_ref::<$api::Trap>() {
                Some(trap) => format!("{trap:?}"),
                None if error.is::<$api::ThrownException>() => "an exception".to_string(),
                None => format!("{error:#}"),
            }
        }
    };
}

/// Cellwall.
pub mod cellwall {
    like_wasmtime!(cellwall);

    fn engine() -> ::cellwall::Engine {
        ::cellwall::Engine::default()
    }
}

/// Wasmtime with Cranelift.
pub mod wasmtime {
    like_wasmtime!(wasmtime);

    fn engine() -> ::wasmtime::Engine {
        let mut config = ::wasmtime::Config::new();
        config
            .wasm_custom_page_sizes(true)
            .wasm_exceptions(true)
            .wasm_function_references(true)
            .wasm_gc(true)
            .wasm_memory64(true)
            .wasm_multi_memory(true)
            .wasm_threads(true)
            .shared_memory(true)
            .wasm_wide_arithmetic(true);
        ::wasmtime::Engine::new(&config).expect("the configuration is valid")
    }
}

/// wasmi.
pub mod wasmi {
    use super::{CALLS, Exports, Kind, MEMORY_BYTES_MAX, Rng, Seen, TABLE_ELEMENTS_MAX, argument, digest};
    use wasmi::{Error, FuncType, Instance, Linker, Module, Store, StoreLimits, Val, ValType};

    observer!(wasmi);

    fn engine() -> wasmi::Engine {
        let mut config = wasmi::Config::default();
        config
            .wasm_custom_page_sizes(true)
            .wasm_memory64(true)
            .wasm_wide_arithmetic(true);
        wasmi::Engine::new(&config)
    }

    fn instantiate(
        linker: &Linker<StoreLimits>,
        store: &mut Store<StoreLimits>,
        module: &Module,
    ) -> Result<Instance, Error> {
        linker.instantiate_and_start(store, module)
    }

    fn kinds(ty: &FuncType) -> (Vec<(usize, Kind)>, usize) {
        let kind = |ty: &ValType| match ty {
            ValType::I32 => Kind::I32,
            ValType::I64 => Kind::I64,
            ValType::F32 => Kind::F32,
            ValType::F64 => Kind::F64,
            ValType::FuncRef | ValType::ExternRef => Kind::Ref,
            ValType::V128 => Kind::V128,
        };
        (
            ty.params().iter().map(kind).enumerate().collect(),
            ty.results().len(),
        )
    }

    fn value(ty: &FuncType, (index, kind): (usize, Kind), rng: &mut Rng) -> Val {
        let bits = argument(kind, rng);
        match kind {
            Kind::I32 => Val::I32(bits as i32),
            Kind::I64 => Val::I64(bits as i64),
            Kind::F32 => Val::F32(f32::from_bits(bits as u32).into()),
            Kind::F64 => Val::F64(f64::from_bits(bits as u64).into()),
            Kind::V128 => Val::V128(bits.into()),
            Kind::Ref => Val::default_for_ty(ty.params()[index]),
        }
    }

    fn bits(value: &Val) -> u128 {
        match value {
            Val::I32(value) => u128::from(*value as u32),
            Val::I64(value) => u128::from(*value as u64),
            Val::F32(value) => u128::from(value.to_bits()),
            Val::F64(value) => u128::from(value.to_bits()),
            Val::V128(value) => value.as_u128(),
            Val::FuncRef(func) => u128::from(!func.is_null()),
            Val::ExternRef(value) => u128::from(!value.is_null()),
        }
    }

    /// It has no exceptions.
    fn thrown(_: &mut Store<StoreLimits>) -> Option<Vec<u128>> {
        None
    }

    /// Its errors of instantiation are not told apart by kind.
    fn of_module(_: &Error) -> bool {
        true
    }

    fn trap(error: &Error) -> String {
        match error.as_trap_code() {
            Some(code) => format!("{code:?}"),
            None => format!("{error:#}"),
        }
    }
}
