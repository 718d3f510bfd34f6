//! All interfaces of WASI 0.2 are bound, in every way; that this compiles is the test.

use cellwall::component::{Component, HasData, Linker};
use cellwall::{Engine, Result, Store};

/// As plain as it can be.
mod plain {
    cellwall::component::bindgen!({ path: "../wasi/wit", world: "wasi:http/proxy@0.2.12" });
}

/// With resources, errors and interfaces of the host.
mod mapped {
    pub(crate) struct Stream;
    pub(crate) struct Failure;

    cellwall::component::bindgen!({
        path: "../wasi/wit",
        world: "cellwall:wasi/command",
        imports: { default: trappable },
        with: {
            "wasi:io/error": super::plain::wasi::io::error,
            "wasi:io/streams.input-stream": Stream,
            "wasi:io/streams/output-stream": self::Stream,
            "wasi:clocks": super::plain::wasi::clocks,
        },
        trappable_error_type: {
            "wasi:io/streams.stream-error" => Failure,
            "wasi:filesystem/types.error-code" => crate::bindgen::wasi::mapped::Failure,
        },
        require_store_data_send: true,
    });
}

/// A host that has nothing to do with the data of the store.
struct Random;

impl HasData for Random {
    type Data<'a> = Random;
}

impl plain::wasi::random::random::Host for Random {
    fn get_random_bytes(&mut self, len: u64) -> Vec<u8> {
        vec![7; len as usize]
    }

    fn get_random_u64(&mut self) -> u64 {
        7
    }
}

impl mapped::wasi::random::insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((1, 2))
    }
}

#[test]
fn an_interface_alone_is_put_into_a_linker() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<()>::new(&engine);
    plain::wasi::random::random::add_to_linker::<_, Random>(&mut linker, |_| Random)?;
    mapped::wasi::random::insecure_seed::add_to_linker::<_, Random>(&mut linker, |_| Random)?;
    let component = Component::new(
        &engine,
        r#"(component
          (import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))))
          (import "wasi:random/insecure-seed@0.2.0"
            (instance $seed (export "insecure-seed" (func (result (tuple u64 u64))))))
          (core func $random (canon lower (func $random "get-random-u64")))
          (core module $m
            (import "" "random" (func $random (result i64)))
            (func (export "get") (result i64) (call $random)))
          (core instance $m (instantiate $m (with "" (instance (export "random" (func $random))))))
          (func (export "get") (result u64) (canon lift (core func $m "get"))))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &component)?;
    let get = instance.get_typed_func::<(), (u64,)>(&mut store, "get")?;
    assert_eq!(get.call(&mut store, ())?, (7,));
    Ok(())
}
