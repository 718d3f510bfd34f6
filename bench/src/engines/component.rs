//! What engines with components share: the costs of calls between them, and from the host.
//!
//! A macro for the same reason as in [`embedded`](super::embedded).

/// Calls per sample.
pub(super) const CALLS: u32 = 200_000;
/// Calls per sample that copy a large list.
pub(super) const LISTS: u32 = 500;
/// Before each sample of a loop in a guest, one of so many of its calls is made: where a loop runs for the first
/// time, the processor takes up to twice as long for each of its jumps, and goes on so until it ends.
pub(super) const WARM: u32 = 10;
/// Instances per sample.
pub(super) const INSTANCES: u32 = 2_000;
/// Bytes of the string that is passed.
pub(super) const TEXT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Defines `components`, the rows of `COMPONENT_ROWS` in order, for the crate `$api`.
macro_rules! component_engine {
    ($api:ident) => {
        fn components(
            engine: fn() -> Result<$api::Engine, $api::Error>,
            binaries: &$crate::components::Binaries,
        ) -> Result<[f64; $crate::engines::COMPONENT_ROWS.len()], $api::Error> {
            use $api::component::{Component, Linker as ComponentLinker};
            use $crate::clock::timed;
            use $crate::engines::component::{CALLS, INSTANCES, LISTS, TEXT, WARM};

            let engine = engine()?;
            let component = Component::new(&engine, &binaries.calls)?;
            let linker = ComponentLinker::<()>::new(&engine);
            let mut store = $api::Store::new(&engine, ());
            let instance = linker.instantiate(&mut store, &component)?;
            let mut costs = [0.0; $crate::engines::COMPONENT_ROWS.len()];
            let loops = [
                ("loop-id", CALLS, CALLS),
                ("loop-len", CALLS, CALLS * TEXT.len() as u32),
                ("loop-bytes", LISTS, LISTS << 20),
                ("loop-get", CALLS, CALLS),
                ("loop-make", CALLS, CALLS),
            ];
            for (cost, (name, calls, expected)) in costs.iter_mut().zip(loops) {
                let guest = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name)?;
                guest.call(&mut store, (calls / WARM,))?;
                let (ns, returned) = timed(|| guest.call(&mut store, (calls,)));
                assert_eq!(returned?, (expected,), "{name} counts wrong");
                *cost = ns as f64 / f64::from(calls);
            }
            let guest = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "loop-add")?;
            let (before,) = guest.call(&mut store, (CALLS / WARM,))?;
            let (ns, returned) = timed(|| guest.call(&mut store, (CALLS,)));
            assert_eq!(returned?, (before + CALLS,), "loop-add counts wrong");
            costs[10] = ns as f64 / f64::from(CALLS);
            let id = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "id")?;
            let mut value = 0;
            let (ns, done) = timed(|| {
                for _ in 0..CALLS {
                    (value,) = id.call(&mut store, (std::hint::black_box(value),))?;
                }
                Ok::<_, $api::Error>(())
            });
            done?;
            assert_eq!(value, CALLS, "the calls from the host count wrong");
            costs[5] = ns as f64 / f64::from(CALLS);

            let len = instance.get_typed_func::<(&str,), (u32,)>(&mut store, "len")?;
            let (ns, done) = timed(|| {
                for _ in 0..CALLS {
                    let (bytes,) = len.call(&mut store, (std::hint::black_box(TEXT),))?;
                    assert_eq!(bytes as usize, TEXT.len());
                }
                Ok::<_, $api::Error>(())
            });
            done?;
            costs[6] = ns as f64 / f64::from(CALLS);

            let small = Component::new(&engine, &binaries.small)?;
            let small = linker.instantiate_pre(&small)?;
            let (ns, done) = timed(|| {
                for _ in 0..INSTANCES {
                    let mut store = $api::Store::new(&engine, ());
                    small.instantiate(&mut store)?;
                }
                Ok::<_, $api::Error>(())
            });
            done?;
            costs[7] = ns as f64 / f64::from(INSTANCES);

            // The other direction: a component calls the host in a loop.
            let component = Component::new(&engine, &binaries.host)?;
            let mut linker = ComponentLinker::<()>::new(&engine);
            linker
                .root()
                .func_wrap("id", |_, (x,): (u32,)| Ok((x + 1,)))?;
            linker
                .root()
                .func_wrap("len", |_, (text,): (String,)| Ok((text.len() as u32,)))?;
            let mut store = $api::Store::new(&engine, ());
            let instance = linker.instantiate(&mut store, &component)?;
            for (row, name, expected) in [
                (8, "loop-id", CALLS),
                (9, "loop-len", CALLS * TEXT.len() as u32),
            ] {
                let guest = instance.get_typed_func::<(u32,), (u32,)>(&mut store, name)?;
                guest.call(&mut store, (CALLS / WARM,))?;
                let (ns, returned) = timed(|| guest.call(&mut store, (CALLS,)));
                assert_eq!(returned?, (expected,), "{name} of the host counts wrong");
                costs[row] = ns as f64 / f64::from(CALLS);
            }
            Ok(costs)
        }
    };
}
pub(super) use component_engine;
