//! `cellwall run` of a component: runs it as a program, or calls one of its functions.

use cellwall::component::types::ComponentItem;
use cellwall::component::{Component, Fault, Func, Instance, InstancePre, Linker, Val};
use cellwall::{Engine, Error, Store, Trap};
use cellwall_wasi::I32Exit;

use crate::failure::Failure;
use crate::host::Host;
use crate::input::Input;
use crate::{escape, output, progress, wave};

/// What a program exports. Any version 0.2 of it is found under this name.
const RUN: &str = "wasi:cli/run@0.2.0";

/// Instantiates a component and runs what the user asked for; of a call the result is printed.
pub(crate) fn run(
    engine: &Engine,
    input: &Input,
    invoke: Option<&str>,
    words: &[String],
    host: Host,
    explain: impl Fn(Error) -> Error,
) -> Result<u8, Failure> {
    let call = invoke.map(|text| Call::parse(text, words)).transpose()?;
    let component = load(engine, input)?;
    let mut linker = Linker::new(engine);
    cellwall_wasi::p2::add_to_linker_sync(&mut linker)
        .and_then(|()| cellwall_wasi::http::add_to_linker(&mut linker))
        .map_err(|e| Failure::load(e, "cannot define WASI".to_string()))?;
    let pre = linker.instantiate_pre(&component);
    let pre = pre.map_err(|e| input.refused(with_link(&component, e)))?;
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limits);
    let ended = |error: Error| match error.downcast_ref::<I32Exit>() {
        // An exit status has eight bits; the rest is lost as in every program.
        Some(I32Exit(status)) => Ok(*status as u8),
        None => Err(error),
    };
    let Some(Call { name, args }) = call else {
        if let Some(status) = command(&pre, &mut store) {
            return status.or_else(ended).map_err(|e| Failure::Trap(explain(e)));
        }
        let names: Vec<String> = functions(&component).into_iter().map(|(name, _)| name).collect();
        let help = match names.is_empty() {
            true => "it exports no function at all".to_string(),
            false => format!("choose one with --invoke: {}", names.join(", ")),
        };
        let problem = format!("it is no program: it does not export `wasi:cli/run`\nhelp: {help}");
        return Err(Failure::load(
            Error::msg(problem),
            format!("cannot run `{}`", input.name()),
        ));
    };
    let ran = |error: Error| match error.is::<Trap>() || error.is::<Fault>() {
        true => Failure::Trap(explain(error)),
        false => input.refused(error),
    };
    let instance = pre.instantiate(&mut store).map_err(ran)?;

    let func = find(&component, &instance, &mut store, name)
        .map_err(|problem| Failure::load(Error::msg(problem), format!("cannot run `{}`", input.name())))?;
    let ty = func.ty(&store);
    let params = match args {
        Some(args) => wave::parse_args(args, &ty),
        None => wave::parse_words(words, &ty),
    };
    let params = params
        .map_err(|problem| Failure::usage(format!("cannot call `{name}`: {problem}; its type is {ty}")))?;
    let mut results = vec![Val::Bool(false); ty.results().len()];
    if let Err(error) = func.call(&mut store, &params, &mut results) {
        return ended(error).map_err(|e| Failure::Trap(explain(e)));
    }
    for (val, ty) in results.iter().zip(ty.results()) {
        // What has no text, as a resource, is named by its type.
        let text = wave::show(val, &ty).unwrap_or_else(|_| format!("<{ty}>"));
        output::print(&format!("{text}\n"))?;
    }
    Ok(0)
}

/// A call that names no function.
pub(crate) fn no_name(call: &str) -> Failure {
    let call = escape::name(call);
    Failure::usage(format!(
        "cannot call `{call}`: it has no name; write NAME or NAME(ARGS)"
    ))
}

/// What `--invoke` asks for.
struct Call<'a> {
    name: &'a str,
    /// With their parentheses; `None` if each is a word behind the file.
    args: Option<&'a str>,
}

impl<'a> Call<'a> {
    fn parse(text: &'a str, words: &[String]) -> Result<Call<'a>, Failure> {
        let (name, args) = wave::split(text);
        if name.is_empty() {
            return Err(no_name(text));
        }
        if let (Some(args), Some(word)) = (args, words.first()) {
            return Err(Failure::usage(format!(
                "arguments are given twice: `{}` in --invoke, and `{}` behind the file",
                escape::name(args),
                escape::name(word)
            )));
        }
        Ok(Call { name, args })
    }
}

/// The component, compiled here, before or already in the file.
fn load(engine: &Engine, input: &Input) -> Result<Component, Failure> {
    let code = input.code()?;
    let what = format!("compiling {}", input.name());
    let component = progress::during(&what, || match input.is_compiled() {
        true => Component::deserialize(engine, &code),
        false => Component::from_binary(engine, &code),
    });
    component.map_err(|e| input.refused(e))
}

/// Runs a component that is a program; `None` if it is none.
///
/// Success is 0, failure 1, as the guest's own result says.
fn command(pre: &InstancePre<Host>, store: &mut Store<Host>) -> Option<Result<u8, Error>> {
    if !is_command(pre.component()) {
        return None;
    }
    let run = |store: &mut Store<Host>| {
        let instance = pre.instantiate(&mut *store)?;
        let exports = instance.get_export_index(&mut *store, None, RUN);
        let exports = exports.ok_or_else(|| Error::msg("`wasi:cli/run` is not what it should be"))?;
        let run = instance.get_export_index(&mut *store, Some(&exports), "run");
        let run = run.ok_or_else(|| Error::msg("`wasi:cli/run` has no function `run`"))?;
        let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run)?;
        let (result,) = run.call(&mut *store, ())?;
        Ok(if result.is_ok() { 0 } else { 1 })
    };
    Some(run(store))
}

/// Whether a component exports some version 0.2 of `wasi:cli/run`.
fn is_command(component: &Component) -> bool {
    let exports = component.exports();
    exports.iter().any(|(name, _)| {
        name.strip_prefix("wasi:cli/run@0.2.")
            .is_some_and(|patch| patch.bytes().next().is_some_and(|first| first.is_ascii_digit()))
    })
}

/// The functions that a component exports, as they are called, and the instance that each is in.
fn functions(component: &Component) -> Vec<(String, Option<String>)> {
    let mut names = Vec::new();
    for (name, item) in component.exports() {
        match item {
            ComponentItem::ComponentFunc(_) => names.push((name.to_string(), None)),
            ComponentItem::ComponentInstance(items) => {
                for (func, item) in items {
                    if matches!(item, ComponentItem::ComponentFunc(_)) {
                        names.push((format!("{name}#{func}"), Some(func.to_string())));
                    }
                }
            }
            _ => {}
        }
    }
    names
}

/// The function of this name: of the component, of an instance as `instance#func`, or by the last
/// part alone, or with the instance's name without its version, if only one instance fits.
fn find(
    component: &Component,
    instance: &Instance,
    store: &mut Store<Host>,
    name: &str,
) -> Result<Func, String> {
    if let Some(func) = instance.get_func(&*store, name) {
        return Ok(func);
    }
    let all = functions(component);
    let fits = |full: &str, func: Option<&str>| {
        let unversioned = full.split_once('@').zip(full.rsplit_once('#'));
        func == Some(name)
            || unversioned.is_some_and(|((base, _), (_, func))| {
                name.strip_prefix(base).and_then(|rest| rest.strip_prefix('#')) == Some(func)
            })
    };
    let names = |some: &[&str]| some.join(", ");
    let mut fitting: Vec<&str> = all
        .iter()
        .map(|(full, _)| &**full)
        .filter(|full| *full == name)
        .collect();
    if fitting.is_empty() {
        let some = all.iter().filter(|(full, func)| fits(full, func.as_deref()));
        fitting = some.map(|(full, _)| &**full).collect();
    }
    let full = match fitting[..] {
        [only] => only,
        [] => {
            let all: Vec<&str> = all.iter().map(|(full, _)| &**full).collect();
            let name = escape::name(name);
            return Err(format!(
                "it exports no function `{name}`\nhelp: it exports {}",
                names(&all)
            ));
        }
        _ => {
            let name = escape::name(name);
            return Err(format!(
                "it exports several functions `{name}`: {}",
                names(&fitting)
            ));
        }
    };
    let gone = || format!("it exports `{full}` no more");
    let (outer, func) = full.rsplit_once('#').ok_or_else(gone)?;
    let outer = instance
        .get_export_index(&mut *store, None, outer)
        .ok_or_else(gone)?;
    let index = instance
        .get_export_index(&mut *store, Some(&outer), func)
        .ok_or_else(gone)?;
    instance.get_func(&*store, index).ok_or_else(gone)
}

/// What is missing, and how to give it if it is not for the host to give.
fn with_link(component: &Component, error: Error) -> Error {
    let text = error.to_string();
    let imports = component.imports();
    let missing = imports.iter().find(|(name, _)| {
        !name.starts_with("wasi:")
            && text.starts_with(&format!("unknown import: the component imports `{name}`"))
    });
    match missing {
        Some((name, _)) => error.context(format!(
            "nothing gives `{name}`; link what exports it: --link {name}=FILE"
        )),
        None => error,
    }
}
