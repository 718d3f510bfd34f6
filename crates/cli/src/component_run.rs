//! `cellwall run` of a component: calls one of its functions.

use cellwall::component::types::ComponentItem;
use cellwall::component::{Component, Fault, Func, Instance, Linker, Val};
use cellwall::{Engine, Error, Store, StoreLimits, Trap};

use crate::failure::Failure;
use crate::input::Input;
use crate::{escape, output, progress, wave};

/// Instantiates a component and calls what the user asked for; prints the result.
pub(crate) fn run(
    engine: &Engine,
    input: &Input,
    invoke: Option<&str>,
    words: &[String],
    limits: StoreLimits,
    explain: impl Fn(Error) -> Error,
) -> Result<u8, Failure> {
    let component = load(engine, input)?;
    let linker = Linker::new(engine);
    let pre = linker.instantiate_pre(&component).map_err(|e| input.refused(e))?;
    let Some(call) = invoke else {
        let names: Vec<String> = functions(&component).into_iter().map(|(name, _)| name).collect();
        let help = match names.is_empty() {
            true => "it exports no function at all".to_string(),
            false => format!("choose one with --invoke: {}", names.join(", ")),
        };
        let problem = format!("it is a component, of which one function can be called\nhelp: {help}");
        return Err(Failure::load(
            Error::msg(problem),
            format!("cannot run `{}`", input.name()),
        ));
    };
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let ran = |error: Error| match error.is::<Trap>() || error.is::<Fault>() {
        true => Failure::Trap(explain(error)),
        false => input.refused(error),
    };
    let instance = pre.instantiate(&mut store).map_err(ran)?;

    let (name, args) = wave::split(call);
    let func = find(&component, &instance, &mut store, name).ok_or_else(|| {
        let names: Vec<String> = functions(&component).into_iter().map(|(name, _)| name).collect();
        let name = escape::name(name);
        let problem = format!(
            "it exports no function `{name}`\nhelp: it exports {}",
            names.join(", ")
        );
        Failure::load(Error::msg(problem), format!("cannot run `{}`", input.name()))
    })?;
    let ty = func.ty(&store);
    let args = match args {
        Some(args) => args.to_string(),
        None => format!("({})", words.join(", ")),
    };
    let params = wave::parse_args(&args, &ty)
        .map_err(|problem| Failure::usage(format!("cannot call `{name}`: {problem}; its type is {ty}")))?;
    let mut results = vec![Val::Bool(false); ty.results().len()];
    func.call(&mut store, &params, &mut results)
        .map_err(|e| Failure::Trap(explain(e)))?;
    for (val, ty) in results.iter().zip(ty.results()) {
        let text = wave::show(val, &ty).unwrap_or_else(|_| format!("{val:?}"));
        output::print(&format!("{text}\n"))?;
    }
    Ok(0)
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
/// part alone if only one instance has it.
fn find(
    component: &Component,
    instance: &Instance,
    store: &mut Store<StoreLimits>,
    name: &str,
) -> Option<Func> {
    if let Some(func) = instance.get_func(&*store, name) {
        return Some(func);
    }
    let all = functions(component);
    let full = match all.iter().find(|(full, _)| full == name) {
        Some((full, _)) => full,
        None => {
            let mut fitting = all.iter().filter(|(_, func)| func.as_deref() == Some(name));
            let (full, _) = fitting.next()?;
            if fitting.next().is_some() {
                return None;
            }
            full
        }
    };
    let (outer, func) = full.rsplit_once('#')?;
    let outer = instance.get_export_index(&mut *store, None, outer)?;
    let index = instance.get_export_index(&mut *store, Some(&outer), func)?;
    instance.get_func(&*store, index)
}
