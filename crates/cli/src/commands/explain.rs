//! `cellwall explain`: the walk of one function, from WebAssembly to machine
//! code.

use std::ffi::OsString;

use cellwall::tools::{self, Stage};
use cellwall::{Engine, Error, Precompiled};
use imara_diff::{Algorithm, BasicLineDiffPrinter, Diff, InternedInput, UnifiedDiffConfig};

use crate::failure::Failure;
use crate::input::Input;
use crate::module_info::{Function, ModuleInfo};
use crate::options::Cpu;
use crate::{function_names, output};

const EXAMPLE: &str = "\
Examples:
  cellwall explain --func add add.wat
  cellwall explain --func 3 --stage asm prog.wasm
  cellwall explain --func main --stage opt prog.wasm    # what each pass changes";

/// Show what becomes of a function, from WebAssembly to machine code
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(crate) struct Args {
    /// The module, `.wasm` or `.wat`; `-` is standard input
    #[arg(value_name = "FILE")]
    file: OsString,
    /// The function, by index, name or export; without it, the first whose body is not empty
    #[arg(long, value_name = "N|NAME")]
    func: Option<String>,
    /// Only this stage; without it, all of them
    #[arg(long, value_name = "STAGE")]
    stage: Option<StageName>,
    #[command(flatten)]
    cpu: Cpu,
}

/// The rooms that a function walks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StageName {
    /// As it stands in the module, with offsets
    Wasm,
    /// As the compiler's SSA form, and what each optimization changes in it
    Opt,
    /// As the compiler's SSA form, after the optimizations
    Ir,
    /// As machine instructions with registers
    Mir,
    /// As the machine code that is verified and run
    Asm,
}

const STAGES: [StageName; 5] = [
    StageName::Wasm,
    StageName::Opt,
    StageName::Ir,
    StageName::Mir,
    StageName::Asm,
];

pub(super) fn run(args: Args) -> Result<u8, Failure> {
    let input = Input::read(&args.file)?;
    if let Some(compiled) = input.compiled() {
        return Err(input.refused(compiled_already(compiled)));
    }
    let wasm = input.wasm()?;
    let info = ModuleInfo::read(&wasm).map_err(|e| input.refused(e))?;
    let func = choose(&info, args.func.as_deref()).map_err(|e| input.refused(e))?;
    let engine = args.cpu.engine()?;
    if let Some(stage) = args.stage {
        output::print(&explain(&engine, &wasm, func, stage).map_err(|e| input.refused(e))?)?;
        return Ok(0);
    }
    for stage in STAGES {
        let text = explain(&engine, &wasm, func, stage).map_err(|e| input.refused(e))?;
        let name = format!("{stage:?}").to_lowercase();
        output::print(&format!(
            ";; ---- {name} of function {} ----\n{}\n\n",
            func.index,
            text.trim_end()
        ))?;
    }
    Ok(0)
}

fn compiled_already(what: Precompiled) -> Error {
    let what = match what {
        Precompiled::Component => "component",
        _ => "module",
    };
    Error::msg(format!(
        "it is a compiled {what}, of which only the machine code is left: `cellwall objdump` prints it"
    ))
}

fn explain(engine: &Engine, wasm: &[u8], func: &Function, stage: StageName) -> Result<String, Error> {
    let stage = match stage {
        StageName::Wasm => return wasm_text(wasm, func),
        StageName::Opt => return steps(engine, wasm, func),
        StageName::Ir => Stage::Ir,
        StageName::Mir => Stage::Mir,
        StageName::Asm => Stage::Asm,
    };
    tools::explain(engine, wasm, func.index, stage)
}

/// The function that the user means: by index, by its name in the module, or by
/// a name that it is exported as.
fn choose<'a>(info: &'a ModuleInfo, wanted: Option<&str>) -> Result<&'a Function, Error> {
    let Some(wanted) = wanted else {
        let mut functions = info.functions.iter();
        let with_operators = functions.find(|function| !function.is_empty);
        return with_operators
            .or(info.functions.first())
            .ok_or_else(|| Error::msg("no function in it has a body"));
    };
    let wanted = wanted.strip_prefix('$').unwrap_or(wanted);
    let exported = info
        .exports
        .iter()
        .find(|export| export.is_func && export.name == wanted);
    let index = match wanted.parse::<u32>() {
        Ok(index) => Some(index),
        Err(_) => exported.map(|export| export.index),
    };
    let found = info.functions.iter().find(|function| match index {
        Some(index) => function.index == index,
        None => function.name.as_deref() == Some(wanted),
    });
    found.ok_or_else(|| no_such_function(info, wanted))
}

fn no_such_function(info: &ModuleInfo, wanted: &str) -> Error {
    let (Some(first), Some(last)) = (info.functions.first(), info.functions.last()) else {
        return Error::msg("no function in it has a body");
    };
    let range = format!("those with a body are {} to {}", first.index, last.index);
    let named = info
        .functions
        .iter()
        .filter_map(|function| Some((function.index, function.name.clone()?)));
    let exports = info.exports.iter().filter(|export| export.is_func);
    let exported = exports.map(|export| (export.index, export.name.clone()));
    let exported = exported.filter(|(index, _)| (first.index..=last.index).contains(index));
    let mut names: Vec<(u32, String)> = named.chain(exported).collect();
    names.sort_unstable();
    names.dedup();
    let advice = function_names::advice(&names, wanted);
    Error::msg(format!(
        "there is no function `{wanted}` with a body\nhelp: {range}; {advice}"
    ))
}

/// The SSA form as it was translated, then what each pass of the optimizer changes in it.
fn steps(engine: &Engine, wasm: &[u8], func: &Function) -> Result<String, Error> {
    let steps = tools::explain_passes(engine, wasm, func.index)?;
    let mut text = String::new();
    let mut before: Option<&str> = None;
    for step in &steps {
        let shown = match before {
            None => step.text.clone(),
            Some(before) => changes(before, &step.text),
        };
        let name = step.name;
        match shown.is_empty() {
            true => text.push_str(&format!(";; {name}: no change\n")),
            false => text.push_str(&format!(";; {name}\n{shown}")),
        }
        before = Some(&step.text);
    }
    Ok(text)
}

/// A unified diff of lines; empty if there is no difference.
fn changes(before: &str, after: &str) -> String {
    let input = InternedInput::new(before, after);
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_lines(&input);
    let printer = BasicLineDiffPrinter(&input.interner);
    diff.unified_diff(&printer, UnifiedDiffConfig::default(), &input)
        .to_string()
}

/// The lines of the text format that belong to the function, each with its
/// offset in the module.
fn wasm_text(wasm: &[u8], func: &Function) -> Result<String, Error> {
    let mut storage = String::new();
    let lines = wasmprinter::Config::new().offsets_and_lines(wasm, &mut storage);
    let lines = lines.map_err(|e| Error::msg(format!("{e:#}")))?;
    let mut text = String::new();
    let mut is_inside = false;
    for (offset, line) in lines {
        // A line without an offset goes on with the one before it.
        is_inside = offset.map_or(is_inside, |offset| func.body.contains(&offset));
        if is_inside {
            let offset = offset.map(|offset| format!("{offset:#8x}")).unwrap_or_default();
            text.push_str(&format!("{offset:8}  {}\n", line.trim_end()));
        }
    }
    Ok(text)
}
