//! What engines with shared memories share: two threads, each with a store of its own, at one memory.
//!
//! A macro for the same reason as in [`embedded`](super::embedded).

/// Threads at the memory.
pub(super) const THREADS: i32 = 2;
/// The exports of `threads.wat`, in the order of `THREAD_ROWS`, and what each thread does of it per sample.
pub(super) const EXPORTS: [(&str, i32); 4] = [
    ("add", 2_000_000),
    ("exchange", 500_000),
    ("lock", 200_000),
    ("turns", 20_000),
];
/// Where the threads count what they did.
pub(super) const COUNTED: usize = 256;

/// Defines `threads`, the rows of `THREAD_ROWS` in order, for the crate `$api`.
macro_rules! threaded_engine {
    ($api:ident) => {
        fn threads(
            engine: fn() -> Result<$api::Engine, $api::Error>,
            wasm: &[u8],
        ) -> Result<[f64; $crate::engines::THREAD_ROWS.len()], $api::Error> {
            use $crate::clock::timed;
            use $crate::engines::threaded::{COUNTED, EXPORTS, THREADS};

            let engine = engine()?;
            let module = $api::Module::new(&engine, wasm)?;
            let mut costs = [0.0; $crate::engines::THREAD_ROWS.len()];
            for (cost, (name, count)) in costs.iter_mut().zip(EXPORTS) {
                let memory = $api::SharedMemory::new(&engine, $api::MemoryType::shared(1, 1))?;
                let one = |mine: i32| -> Result<u64, $api::Error> {
                    let mut store = $api::Store::new(&engine, ());
                    let mut linker = $api::Linker::new(&engine);
                    linker.define(&mut store, "bench", "memory", memory.clone())?;
                    let instance = linker.instantiate(&mut store, &module)?;
                    let guest = instance.get_typed_func::<(i32, i32), ()>(&mut store, name)?;
                    let (ns, done) = timed(|| guest.call(&mut store, (mine, count)));
                    done.map(|()| ns)
                };
                let one = &one;
                let ns = std::thread::scope(|scope| {
                    let all: Vec<_> = (0..THREADS)
                        .map(|mine| scope.spawn(move || one(mine)))
                        .collect();
                    let ended = all
                        .into_iter()
                        .map(|thread| thread.join().expect("it does not panic"));
                    ended.sum::<Result<u64, $api::Error>>()
                })?;
                let counted = threaded_counter(&memory, COUNTED);
                let made = THREADS * count;
                assert_eq!(counted, made.unsigned_abs(), "{name} counts wrong");
                *cost = ns as f64 / f64::from(made);
            }
            Ok(costs)
        }
    };
}
pub(super) use threaded_engine;
