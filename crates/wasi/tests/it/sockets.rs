//! A guest that is a client of TCP, with and without grants.

use cellwall::component::{Component, Linker, ResourceTable};
use cellwall::{Engine, Result, Store};
use cellwall_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

struct Host {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

const FAILED: u64 = 1 << 63;
const ACCESS_DENIED: u64 = FAILED | 1;
const CONNECTION_REFUSED: u64 = FAILED | 14;

/// Runs the guest; what it answers.
fn client(grant: &str, v6: bool, port: u16) -> Result<u64> {
    let engine = Engine::default();
    let component = Component::new(&engine, include_str!("../guests/client.wat"))?;
    let mut linker = Linker::<Host>::new(&engine);
    p2::add_to_linker_sync(&mut linker)?;
    let mut ctx = WasiCtxBuilder::new();
    if !grant.is_empty() {
        ctx.allow_connect(grant.parse().expect("a grant"));
    }
    let host = Host {
        ctx: ctx.build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(bool, u16), (u64,)>(&mut store, "run")?;
    let (answer,) = run.call(&mut store, (v6, port))?;
    Ok(answer)
}

#[test]
fn a_guest_sends_to_a_server_and_back() -> Result<()> {
    for (v6, local, grant) in [
        (false, "127.0.0.1:0", "127.0.0.1"),
        (true, "[::1]:0", "localhost"),
    ] {
        let server = TcpListener::bind(local)?;
        let port = server.local_addr()?.port();
        let echo = thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        assert_eq!(client(grant, v6, port)?, 1 << 20, "{local}");
        echo.join().unwrap();
    }
    Ok(())
}

#[test]
fn a_guest_hears_why_it_is_not_connected() -> Result<()> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let port = server.local_addr()?.port();
    assert_eq!(client("", false, port)?, ACCESS_DENIED);
    assert_eq!(
        client(&format!("127.0.0.1:{}", port ^ 1), false, port)?,
        ACCESS_DENIED
    );
    server.set_nonblocking(true)?;
    assert!(server.accept().is_err(), "it was connected all the same");
    drop(server);
    assert_eq!(client("127.0.0.0/8", false, port)?, CONNECTION_REFUSED);
    Ok(())
}
