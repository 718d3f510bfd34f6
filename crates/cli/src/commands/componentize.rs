//! `cellwall componentize`: a module made a component. Nothing is compiled or run.

use std::ffi::OsString;
use std::path::PathBuf;

use cellwall::component::Component;
use cellwall::{Engine, Error};
use wasi_preview1_component_adapter_provider as adapters;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};
use wit_parser::Resolve;

use crate::failure::Failure;
use crate::input::Input;
use crate::module_info::ModuleInfo;
use crate::{escape, output, wit};

const EXAMPLES: &str = "\
Examples:
  cellwall componentize prog.wasm -o prog.component.wasm
  cellwall componentize lib.wasm --wit lib.wit --world lib -o lib.component.wasm

A module with `_start` becomes a command, which exports `wasi:cli/run`; another
one exports what its WIT says, which its toolchain wrote into it or --wit names.";

/// Make a component of a module, such as a program of WASI 0.1
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The module, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Take the world of the module from this WIT file or folder
    #[arg(long, value_name = "PATH")]
    wit: Option<PathBuf>,
    /// Which world of it, if there are several
    #[arg(long, value_name = "NAME", requires = "wit")]
    world: Option<String>,
    /// What gives it WASI 0.1; by default what fits its exports
    #[arg(long, value_name = "ADAPTER")]
    adapter: Option<Adapter>,
    /// Write to this file, not to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
}

/// The modules that give WASI 0.1 by means of WASI 0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Adapter {
    /// For programs: calls `_start` from `wasi:cli/run`
    Command,
    /// For libraries
    Reactor,
    /// For handlers of HTTP requests: no files, no environment
    Proxy,
}

impl Adapter {
    fn bytes(self) -> &'static [u8] {
        match self {
            Adapter::Command => adapters::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
            Adapter::Reactor => adapters::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            Adapter::Proxy => adapters::WASI_SNAPSHOT_PREVIEW1_PROXY_ADAPTER,
        }
    }
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    if args.output.is_none() && output::is_terminal() {
        let message = "a component is not for a terminal; name a file with -o OUT";
        return Err(Failure::usage(message.to_string()));
    }
    let input = Input::read(&args.file)?;
    let mut wasm = input.wasm()?.into_owned();
    if wit::is_component(&wasm) {
        return Err(input.refused(Error::msg("it is a component already")));
    }
    cellwall::Module::validate(&Engine::default(), &wasm).map_err(|e| input.refused(e))?;
    let info = ModuleInfo::read(&wasm).map_err(|e| input.refused(e))?;
    match &args.wit {
        Some(path) => embed(&mut wasm, path, args.world.as_deref())?,
        None => check_world(&wasm, &info).map_err(|e| input.refused(e))?,
    }
    let bytes = encode(&wasm, adapter(&args, &info)).map_err(|e| input.refused(e))?;
    Component::validate(&Engine::default(), &bytes).map_err(|e| input.refused(e))?;
    output::save(args.output.as_deref(), &bytes)?;
    Ok(0)
}

/// The adapter that was asked for, or that the module needs.
fn adapter(args: &Args, info: &ModuleInfo) -> Option<Adapter> {
    let name = adapters::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
    let is_needed = info.imports.iter().any(|import| import.module == name);
    let is_command = info.exports_func("_start");
    args.adapter.or(match (is_command, is_needed) {
        (true, _) => Some(Adapter::Command),
        (false, true) => Some(Adapter::Reactor),
        (false, false) => None,
    })
}

/// Refuses a module whose functions nobody could call: it is no program, and no world says what they are in a
/// component, so that they would be left out of it.
fn check_world(wasm: &[u8], info: &ModuleInfo) -> Result<(), Error> {
    let (world, _) = metadata::decode(wasm).map_err(|e| Error::msg(format!("{e:#}")))?;
    if world.is_some() || info.exports_func("_start") {
        return Ok(());
    }
    // Only this one is called without being exported by the component.
    let mut lost = info
        .exports
        .iter()
        .filter(|export| export.is_func && export.name != "_initialize");
    match lost.next() {
        Some(first) => Err(Error::msg(format!(
            "it has no `_start`, and no world in it says what `{}` is in a component\n\
             help: name the world that it exports: --wit PATH [--world NAME]",
            escape::name(&first.name)
        ))),
        None => Ok(()),
    }
}

/// Writes the world of a WIT file into a module.
fn embed(wasm: &mut Vec<u8>, path: &std::path::Path, world: Option<&str>) -> Result<(), Failure> {
    let cannot = |error: Error| Failure::load(error, format!("cannot use `{}`", path.display()));
    let mut resolve = Resolve::default();
    let package = resolve.push_path(path);
    let (package, _) = package.map_err(|e| cannot(Error::msg(format!("{e:#}"))))?;
    let world = resolve.select_world(&[package], world);
    let world = world.map_err(|e| cannot(Error::msg(format!("{e:#}"))))?;
    let embedded = embed_component_metadata(wasm, &resolve, world, StringEncoding::UTF8, false);
    embedded.map_err(|e| cannot(Error::msg(format!("{e:#}"))))
}

fn encode(wasm: &[u8], adapter: Option<Adapter>) -> Result<Vec<u8>, Error> {
    let made = ComponentEncoder::default()
        .validate(false)
        .module(wasm)
        .and_then(|encoder| {
            if let Some(adapter) = adapter {
                encoder.adapter(adapters::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter.bytes())?;
            }
            encoder.encode()
        });
    made.map_err(|e| Error::msg(format!("{e:#}")))
}
