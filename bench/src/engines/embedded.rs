//! What the embedded engines share: running a program phase by phase, and the
//! costs of calls and instances.
//!
//! A macro, because the engines have the same nouns in crates of their own and
//! no trait in common. It lists the steps and decides nothing; every step is
//! the same for all. Around it an engine's file has to define
//!
//! - `type Ready`, `fn ready(Linker, Module) -> Result<Ready, Error>`: what can
//!   be prepared once before many instantiations,
//! - `fn instantiate(&Ready, &mut Store) -> Result<Instance, Error>`,
//! - `fn stop() -> Error`: the error that ends a guest at `proc_exit`,
//! - `fn compile(&Way, &Engine, &[u8]) -> Result<(u64, Module), Error>`: a module, and the nanoseconds
//!   of CPU time that it took; `type Way` is what the engine's configurations differ in there,
//! - `fn loads(&Engine, &[u8]) -> Result<[Option<f64>; LOAD_ROWS.len()], Error>`: nanoseconds of each
//!   way to runnable code,
//! - `const COMPONENTS: Option<Components>`: what measures components, if it has them,
//! - `const THREADS: Option<Threads>`: what measures shared memories, if it has them.

/// Operations per sample in the rows that enter or leave a guest from a loop in
/// the guest or around it.
pub(super) const CALLS: i32 = 500_000;
/// Instances per sample.
pub(super) const INSTANCES: u32 = 2_000;

/// Defines `Embedded`, an [`super::Engine`], for the crate `$api`.
macro_rules! embedded_engine {
    ($api:ident) => {
        /// One configuration of this engine.
        pub struct Embedded {
            name: &'static str,
            version: &'static str,
            executes: bool,
            engine: fn() -> Result<$api::Engine, $api::Error>,
            way: Way,
        }

        /// Measures the part `components`.
        type Components = fn(
            fn() -> Result<$api::Engine, $api::Error>,
            &$crate::components::Binaries,
        ) -> Result<[f64; $crate::engines::COMPONENT_ROWS.len()], $api::Error>;

        /// Measures the part `threads`.
        type Threads = fn(
            fn() -> Result<$api::Engine, $api::Error>,
            &[u8],
        ) -> Result<[f64; $crate::engines::THREAD_ROWS.len()], $api::Error>;

        type Store = $api::Store<$crate::engines::Cell<$api::Memory>>;
        type Linker = $api::Linker<$crate::engines::Cell<$api::Memory>>;
        type Caller<'a> = $api::Caller<'a, $crate::engines::Cell<$api::Memory>>;

        impl $crate::engines::Engine for Embedded {
            fn name(&self) -> &'static str {
                self.name
            }

            fn version(&self) -> String {
                self.version.to_string()
            }

            fn executes(&self) -> bool {
                self.executes
            }

            fn run(&self, job: &$crate::set::Job) -> anyhow::Result<Option<$crate::engines::Run>> {
                run(self.engine, &self.way, job)
                    .map(Some)
                    .map_err(|error| anyhow::anyhow!("{error:#}"))
            }

            fn call_costs(
                &self,
                modules: &$crate::engines::CallModules,
            ) -> anyhow::Result<Option<[f64; $crate::engines::CALL_ROWS.len()]>> {
                let mut costs = [0.0; $crate::engines::CALL_ROWS.len()];
                calls(self.engine, &modules.calls, &mut costs[..6])
                    .and_then(|()| instances(self.engine, modules, &mut costs[6..]))
                    .map(|()| Some(costs))
                    .map_err(|error| anyhow::anyhow!("{error:#}"))
            }

            fn component_costs(
                &self,
                binaries: &$crate::components::Binaries,
            ) -> anyhow::Result<Option<[f64; $crate::engines::COMPONENT_ROWS.len()]>> {
                COMPONENTS
                    .map(|components| components(self.engine, binaries))
                    .transpose()
                    .map_err(|error| anyhow::anyhow!("{error:#}"))
            }

            fn thread_costs(
                &self,
                wasm: &[u8],
            ) -> anyhow::Result<Option<[f64; $crate::engines::THREAD_ROWS.len()]>> {
                // Who differs in its instances alone shares memories like the engine that it is of.
                THREADS
                    .filter(|_| self.executes)
                    .map(|threads| threads(self.engine, wasm))
                    .transpose()
                    .map_err(|error| anyhow::anyhow!("{error:#}"))
            }

            fn load_costs(
                &self,
                wasm: &[u8],
            ) -> anyhow::Result<Option<[Option<f64>; $crate::engines::LOAD_ROWS.len()]>> {
                let costs = (self.engine)().and_then(|engine| loads(&engine, wasm));
                costs
                    .map(Some)
                    .map_err(|error| anyhow::anyhow!("{error:#}"))
            }
        }

        fn run(
            engine: fn() -> Result<$api::Engine, $api::Error>,
            way: &Way,
            job: &$crate::set::Job,
        ) -> Result<$crate::engines::Run, $api::Error> {
            use $crate::clock::timed;
            use $crate::engines::{Run, Status};

            let engine = engine()?;
            let (compile_ns, module) = compile(way, &engine, &job.wasm)?;
            let ready = ready(linker(&engine)?, module)?;
            let (instantiate_ns, made) = timed(|| {
                let mut store = Store::new(&engine, cell(job.world()));
                let instance = instantiate(&ready, &mut store)?;
                Ok::<_, $api::Error>((store, instance))
            });
            let (mut store, instance) = made?;
            store.data_mut().memory = instance.get_memory(&mut store, "memory");
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            let (start_ns, ended) = timed(|| start.call(&mut store, ()));
            let world = store.into_data().world;
            let status = match (world.exit, ended) {
                (Some(code), _) => Status::Exit(code),
                (None, Ok(())) => Status::Exit(0),
                (None, Err(error)) => Status::Trap(format!("{error:#}")),
            };
            let (stdout, region_ns) = $crate::engines::split_elapsed(&world.stdout);
            Ok(Run {
                compile_ns: Some(compile_ns),
                instantiate_ns: Some(instantiate_ns),
                execute_ns: Some(world.measured_ns.unwrap_or(start_ns)),
                region_ns,
                status,
                stdout,
                stderr: world.stderr,
            })
        }

        fn cell(world: $crate::wasi::World) -> $crate::engines::Cell<$api::Memory> {
            $crate::engines::Cell {
                world,
                memory: None,
            }
        }

        fn linker(engine: &$api::Engine) -> Result<Linker, $api::Error> {
            let mut linker = Linker::new(engine);
            $crate::wasi::define_wasi!($api, linker);
            linker.func_wrap(
                "wasi_snapshot_preview1",
                "proc_exit",
                |mut caller: Caller<'_>, code: i32| -> Result<(), $api::Error> {
                    caller.data_mut().world.exit = Some(code);
                    Err(stop())
                },
            )?;
            linker.func_wrap("bench", "start", |mut caller: Caller<'_>| {
                caller.data_mut().world.bench_start();
            })?;
            linker.func_wrap("bench", "end", |mut caller: Caller<'_>| {
                caller.data_mut().world.bench_end();
            })?;
            linker.func_wrap("host", "inc", |value: i32| -> i32 { value.wrapping_add(1) })?;
            Ok(linker)
        }

        /// The rows about calls, in the order of `CALL_ROWS`.
        fn calls(
            engine: fn() -> Result<$api::Engine, $api::Error>,
            wasm: &[u8],
            costs: &mut [f64],
        ) -> Result<(), $api::Error> {
            use $crate::clock::timed;
            use $crate::engines::embedded::CALLS;

            let engine = engine()?;
            let module = $api::Module::new(&engine, wasm)?;
            let ready = ready(linker(&engine)?, module)?;
            let mut store = Store::new(&engine, cell($crate::wasi::World::empty()));
            let instance = instantiate(&ready, &mut store)?;
            let step = instance.get_typed_func::<i32, i32>(&mut store, "step")?;
            let untyped = instance
                .get_func(&mut store, "step")
                .expect("the module exports it");

            let mut value = 0;
            let (typed_ns, done) = timed(|| {
                for _ in 0..CALLS {
                    value = step.call(&mut store, std::hint::black_box(value))?;
                }
                Ok::<_, $api::Error>(())
            });
            done?;
            assert_eq!(value, CALLS, "the typed calls count wrong");

            let mut result = [$api::Val::I32(0)];
            let (untyped_ns, done) = timed(|| {
                for _ in 0..CALLS {
                    let arguments = [std::hint::black_box(&result[0]).clone()];
                    untyped.call(&mut store, &arguments, &mut result)?;
                }
                Ok::<_, $api::Error>(())
            });
            done?;
            assert!(
                matches!(result[0], $api::Val::I32(CALLS)),
                "the untyped calls count wrong"
            );

            costs[0] = typed_ns as f64 / f64::from(CALLS);
            costs[1] = untyped_ns as f64 / f64::from(CALLS);
            let loops = ["loop_host", "loop_direct", "loop_table", "loop_alone"];
            for (cost, name) in costs[2..].iter_mut().zip(loops) {
                let guest = instance.get_typed_func::<i32, i32>(&mut store, name)?;
                let (ns, counted) = timed(|| guest.call(&mut store, CALLS));
                assert_eq!(counted?, CALLS, "{name} counts wrong");
                *cost = ns as f64 / f64::from(CALLS);
            }
            Ok(())
        }

        /// The rows about instances, in the order of `CALL_ROWS`.
        fn instances(
            engine: fn() -> Result<$api::Engine, $api::Error>,
            modules: &$crate::engines::CallModules,
            costs: &mut [f64],
        ) -> Result<(), $api::Error> {
            use $crate::clock::timed;
            use $crate::engines::embedded::INSTANCES;

            let engine = engine()?;
            let rows = [
                (&modules.empty, false),
                (&modules.data, false),
                (&modules.data, true),
            ];
            for (cost, (wasm, write)) in costs.iter_mut().zip(rows) {
                let module = $api::Module::new(&engine, wasm)?;
                let ready = ready(linker(&engine)?, module)?;
                let (ns, done) = timed(|| {
                    for _ in 0..INSTANCES {
                        let mut store = Store::new(&engine, cell($crate::wasi::World::empty()));
                        let instance = instantiate(&ready, &mut store)?;
                        if write {
                            instance
                                .get_memory(&mut store, "memory")
                                .expect("the module exports it")
                                .data_mut(&mut store)[4096] = 1;
                        }
                    }
                    Ok::<_, $api::Error>(())
                });
                done?;
                *cost = ns as f64 / f64::from(INSTANCES);
            }
            Ok(())
        }
    };
}
pub(super) use embedded_engine;
