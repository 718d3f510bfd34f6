//! `cellwall inspect`: what a module imports and exports, and what it would need
//! to be granted. Nothing is compiled or run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::escape;
use crate::failure::Failure;
use crate::grants::{self, Need};
use crate::input::Input;
use crate::module_info::{ModuleInfo, show_memory};
use crate::{output, wit};

const EXAMPLE: &str = "\
Examples:
  cellwall inspect prog.wasm
  cellwall inspect --json prog.wasm | jq .needs";

/// Show imports, exports and memories of a module, and what it would need; the world of a component
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    if wit::is_component(&input.wasm()?) {
        return component(&args, &input);
    }
    let info = ModuleInfo::read(&input.wasm()?).map_err(|e| input.refused(e))?;
    let text = match args.json {
        true => {
            let value = to_json(&input.name(), &info);
            escape::json(&value)
        }
        false => to_text(&input.name(), &info).expect("a String takes every write"),
    };
    output::print(&text)?;
    Ok(0)
}

/// A component: its world.
fn component(args: &Args, input: &Input) -> Result<u8, Failure> {
    let world = wit::of_component(&input.wasm()?).map_err(|e| input.refused(e))?;
    let text = match args.json {
        true => escape::json(&json!({ "name": input.name(), "kind": "component", "wit": world })),
        false => format!("{}: a component\n\n{world}", input.name()),
    };
    output::print(&text)?;
    Ok(0)
}

/// What `cellwall run` would do with it.
fn kind(info: &ModuleInfo) -> &'static str {
    if info.exports_func("_start") {
        "command"
    } else if info.exports_func("_initialize") {
        "reactor"
    } else {
        "library"
    }
}

/// The needs of all imports, each once, with the imports that have it.
fn needs(info: &ModuleInfo) -> Vec<(Need, Vec<String>)> {
    let mut needs: BTreeMap<Need, Vec<String>> = BTreeMap::new();
    for import in &info.imports {
        let need = grants::of(&import.module, &import.name);
        needs
            .entry(need)
            .or_default()
            .push(format!("{}::{}", import.module, import.name));
    }
    needs.into_iter().collect()
}

fn to_text(name: &str, info: &ModuleInfo) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let count = info.functions.len();
    writeln!(
        text,
        "{name}: a {} with {count} function{}",
        kind(info),
        if count == 1 { "" } else { "s" }
    )?;
    if info.has_start {
        writeln!(
            text,
            "  it has a start function, which runs when it is instantiated"
        )?;
    }
    writeln!(text, "\nimports: {}", info.imports.len())?;
    for import in &info.imports {
        let (module, name) = (escape::name(&import.module), escape::name(&import.name));
        writeln!(text, "  {module}::{name}  {}", import.ty)?;
    }
    writeln!(text, "\nexports: {}", info.exports.len())?;
    for export in &info.exports {
        writeln!(text, "  {}  {}", escape::name(&export.name), export.ty)?;
    }
    writeln!(text, "\nmemories: {}", info.memories.len())?;
    for (index, memory) in info.memories.iter().enumerate() {
        let page_bytes = 1u64 << memory.page_size_log2.unwrap_or(16);
        writeln!(
            text,
            "  {index}  {} pages of {page_bytes} bytes",
            show_memory(memory)
        )?;
    }
    writeln!(text, "\nneeds:")?;
    for (need, imports) in needs(info) {
        match need {
            Need::Given(what) => writeln!(text, "  {what}: given to every program")?,
            Need::Option(what, option) => writeln!(text, "  {what}: grant with `{option}`")?,
            Need::Missing(advice) => writeln!(text, "  not provided: {advice}")?,
        }
        writeln!(text, "    for {}", escape::name(&imports.join(", ")))?;
    }
    if info.imports.is_empty() {
        writeln!(text, "  nothing")?;
    }
    Ok(text)
}

fn to_json(name: &str, info: &ModuleInfo) -> Value {
    let imports = info.imports.iter();
    let exports = info.exports.iter();
    let memories = info.memories.iter().map(|memory| {
        json!({
            "minimum_pages": memory.initial,
            "maximum_pages": memory.maximum,
            "page_bytes": 1u64 << memory.page_size_log2.unwrap_or(16),
            "is_64": memory.memory64,
            "is_shared": memory.shared,
        })
    });
    let needs = needs(info).into_iter().map(|(need, imports)| match need {
        Need::Given(what) => json!({ "what": what, "status": "given", "imports": imports }),
        Need::Option(what, option) => {
            json!({ "what": what, "status": "option", "option": option, "imports": imports })
        }
        Need::Missing(advice) => {
            json!({ "status": "missing", "advice": advice, "imports": imports })
        }
    });
    json!({
        "name": name,
        "kind": kind(info),
        "has_start": info.has_start,
        "functions": info.functions.len(),
        "imports": imports.map(|i| json!({ "module": i.module, "name": i.name, "type": i.ty })).collect::<Value>(),
        "exports": exports.map(|e| json!({ "name": e.name, "type": e.ty })).collect::<Value>(),
        "memories": memories.collect::<Value>(),
        "needs": needs.collect::<Value>(),
    })
}
