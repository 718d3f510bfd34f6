//! The part `files`: a guest writes a file and reads it, in blocks of several sizes, through WASI 0.1 (as a
//! module, and as a component behind the usual adapter) and through the streams of WASI 0.2.
//!
//! Requires: `files/*.wasm`, which `files/build.sh` makes.
//! Guarantees: the times are the guest's own, by its monotonic clock, from its first call to its last, so what a host
//! does on other threads counts as far as the guest waits for it. The folder is in the system's temporary
//! one; nothing is synchronized to the disk.
//! Each engine is set up as its command is: calls may keep the thread.

use crate::engines::scratch::Scratch;
use crate::stats::Stat;
use anyhow::{Context as _, Result, ensure};
use std::path::Path;

/// The guests, and whether they are components.
const GUESTS: [(&str, &[u8], bool); 3] = [
    ("0.1", include_bytes!("../files/std.wasm"), false),
    ("0.1 in a component", include_bytes!("../files/std-p2.wasm"), true),
    ("0.2", include_bytes!("../files/streams.wasm"), true),
];

/// Times of each row on one engine.
#[derive(Debug)]
pub struct Costs {
    /// The engine.
    pub engine: &'static str,
    /// One per row of [`Measured::rows`].
    pub rows: Vec<Stat>,
}

/// The part's result.
#[derive(Debug)]
pub struct Measured {
    /// What was done with which block.
    pub rows: Vec<String>,
    /// Nanoseconds per block.
    pub costs: Vec<Costs>,
}

type Run = fn(wasm: &[u8], is_component: bool, folder: &Path) -> Result<String>;

/// The engines that have files of a guest.
const ENGINES: &[(&str, Run)] = &[
    #[cfg(feature = "cellwall")]
    ("cellwall", with_cellwall),
    #[cfg(feature = "peers")]
    ("wasmtime", with_wasmtime),
];

/// Measures all engines, taking turns.
///
/// # Errors
///
/// If an engine fails, or two print other rows.
pub fn measure(rounds: usize) -> Result<Measured> {
    let mut rows: Vec<String> = Vec::new();
    let mut samples: Vec<Vec<Vec<f64>>> = ENGINES.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        eprintln!("files: round {} of {rounds}", round + 1);
        for turn in 0..ENGINES.len() {
            let which = (round + turn) % ENGINES.len();
            let (name, run) = ENGINES[which];
            let (names, times) = once(run).with_context(|| name.to_string())?;
            if rows.is_empty() {
                rows = names;
            } else {
                ensure!(rows == names, "{name} has other rows than those before");
            }
            samples[which].push(times);
        }
    }
    let costs = ENGINES.iter().zip(samples).filter_map(|((engine, _), samples)| {
        let stats: Option<Vec<Stat>> = (0..rows.len())
            .map(|row| Stat::of(samples.iter().map(|times| times[row])))
            .collect();
        stats.map(|rows| Costs { engine, rows })
    });
    let costs = costs.collect();
    Ok(Measured { rows, costs })
}

/// All guests once: what each row is called, and its time per block.
fn once(run: Run) -> Result<(Vec<String>, Vec<f64>)> {
    let (mut names, mut times) = (Vec::new(), Vec::new());
    for (guest, wasm, is_component) in GUESTS {
        let folder = Scratch::new()?;
        let output = run(wasm, is_component, folder.folder()).with_context(|| guest.to_string())?;
        for line in output.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, block, blocks, ns] = words[..] else {
                anyhow::bail!("{guest} printed `{line}`");
            };
            names.push(format!("{guest}: {what} of {block}"));
            times.push(ns.parse::<f64>()? / blocks.parse::<f64>()?);
        }
    }
    Ok((names, times))
}

#[cfg(feature = "cellwall")]
fn with_cellwall(wasm: &[u8], is_component: bool, folder: &Path) -> Result<String> {
    use cellwall::component::{Component, Linker as Components, ResourceTable};
    use cellwall::{Engine, Linker, Module, Store};
    use cellwall_wasi::{DirPerms, FilePerms, MemoryOutputPipe, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

    struct Host(WasiCtx, ResourceTable);

    impl WasiView for Host {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView {
                ctx: &mut self.0,
                table: &mut self.1,
            }
        }
    }

    let run = || {
        let engine = Engine::default();
        let output = MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone());
        wasi.preopened_dir(folder, "/d", DirPerms::all(), FilePerms::all())?;
        let mut store = Store::new(&engine, Host(wasi.build(), ResourceTable::new()));
        if is_component {
            let mut linker = Components::new(&engine);
            cellwall_wasi::p2::add_to_linker_sync(&mut linker)?;
            let component = Component::new(&engine, wasm)?;
            let instance = linker.instantiate(&mut store, &component)?;
            let exports = instance.get_export_index(&mut store, None, "wasi:cli/run@0.2.0");
            let exports = exports.ok_or_else(|| cellwall::Error::msg("it is no program"))?;
            let run = instance.get_export_index(&mut store, Some(&exports), "run");
            let run = run.ok_or_else(|| cellwall::Error::msg("it is no program"))?;
            let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut store, run)?;
            let (ended,) = run.call(&mut store, ())?;
            ended.map_err(|()| cellwall::Error::msg("it failed"))?;
        } else {
            let mut linker = Linker::new(&engine);
            cellwall_wasi::add_to_linker(&mut linker, |host: &mut Host| &mut host.0)?;
            let module = Module::new(&engine, wasm)?;
            let instance = linker.instantiate(&mut store, &module)?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call(&mut store, ())?;
        }
        Ok::<_, cellwall::Error>(output.contents())
    };
    let output = run().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(String::from_utf8(output)?)
}

#[cfg(feature = "peers")]
fn with_wasmtime(wasm: &[u8], is_component: bool, folder: &Path) -> Result<String> {
    use wasmtime::component::{Component, Linker as Components};
    use wasmtime::{Engine, Linker, Module, Store};
    use wasmtime_wasi::p1::WasiP1Ctx;
    use wasmtime_wasi::p2::bindings::sync::Command;
    use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
    use wasmtime_wasi::{FsPerms, ResourceTable, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

    struct Host(WasiCtx, ResourceTable);

    impl WasiView for Host {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView {
                ctx: &mut self.0,
                table: &mut self.1,
            }
        }
    }

    let run = || {
        let engine = Engine::default();
        let output = MemoryOutputPipe::new(1 << 20);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.clone()).allow_blocking_current_thread(true);
        wasi.preopened_dir(folder, "/d", FsPerms::ReadWrite)?;
        if is_component {
            let mut store = Store::new(&engine, Host(wasi.build(), ResourceTable::new()));
            let mut linker = Components::new(&engine);
            wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?;
            let component = Component::new(&engine, wasm)?;
            let command = Command::instantiate(&mut store, &component, &linker)?;
            let ended = command.wasi_cli_run().call_run(&mut store)?;
            ended.map_err(|()| wasmtime::Error::msg("it failed"))?;
        } else {
            let mut store = Store::new(&engine, wasi.build_p1());
            let mut linker = Linker::new(&engine);
            wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |host: &mut WasiP1Ctx| host)?;
            let module = Module::new(&engine, wasm)?;
            let instance = linker.instantiate(&mut store, &module)?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call(&mut store, ())?;
        }
        Ok::<_, wasmtime::Error>(output.contents())
    };
    let output = run().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(String::from_utf8(output.to_vec())?)
}
