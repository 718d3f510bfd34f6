//! A server on Wasmtime's crates: each request gets a fresh instance of the component named by the one
//! argument. It is the opponent in the part `serve`.
//!
//! It is written as the documentation of `wasmtime-wasi-http` shows: linked once, the pooling
//! allocator, a Tokio runtime of many threads, a task per connection and one per request. It has no
//! timeouts, limits, log and metrics, which Cellwall's server has.

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::sync::Arc;
use tokio::net::TcpListener;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Result, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http as http;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args().nth(1).context("usage: wasmtime-serve FILE")?;
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(
        PoolingAllocationConfig::default(),
    ));
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, &file)?;
    let mut linker = Linker::<Guest>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let pre = Arc::new(ProxyPre::new(linker.instantiate_pre(&component)?)?);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("Serving HTTP on http://{}/", listener.local_addr()?);
    loop {
        let (client, _) = listener.accept().await?;
        client.set_nodelay(true)?;
        let pre = pre.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let pre = pre.clone();
                async move { handle(&pre, request).await }
            });
            let serving = http1::Builder::new()
                .keep_alive(true)
                .serve_connection(TokioIo::new(client), service);
            if let Err(error) = serving.await {
                eprintln!("{error}");
            }
        });
    }
}

/// Answers one request with an instance of its own.
async fn handle(
    pre: &Arc<ProxyPre<Guest>>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<HyperOutgoingBody>> {
    let guest = Guest {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().inherit_stdio().build(),
        http: WasiHttpCtx::new(),
        hooks: NoRequests,
    };
    let mut store = Store::new(pre.engine(), guest);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = store
        .data_mut()
        .http()
        .new_incoming_request(Scheme::Http, request)?;
    let out = store.data_mut().http().new_response_outparam(sender)?;
    let pre = pre.clone();
    let task = tokio::spawn(async move {
        let proxy = pre.instantiate_async(&mut store).await?;
        proxy
            .wasi_http_incoming_handler()
            .call_handle(store, request, out)
            .await
    });
    match receiver.await {
        Ok(response) => Ok(response?),
        Err(_) => match task.await {
            Ok(Ok(())) => Err(wasmtime::Error::msg("the guest did not answer")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
    }
}

struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: NoRequests,
}

/// Requests of guests are not what is measured, and need TLS.
struct NoRequests;

/// When something has been sent, or what went wrong.
type Sent = Box<dyn Future<Output = Result<(), http::Error>> + Send>;

impl http::WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: hyper::Request<http::WasiBody>,
        _: Option<http::RequestOptions>,
        _: Sent,
    ) -> Box<dyn Future<Output = Result<(hyper::Response<http::WasiBody>, Sent), http::Error>> + Send> {
        let refused = std::io::ErrorKind::PermissionDenied.into();
        Box::new(std::future::ready(Err(http::Error::Connect(refused))))
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: &mut self.hooks,
        }
    }
}
