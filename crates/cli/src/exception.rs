//! What an exception says that no handler of the guest caught.

use cellwall::{Error, Extern, Instance, Store, Tag, ThrownException, WasmBacktrace};

use crate::{escape, values};

/// The error of a call or of a start function, with the exception's tag and values if it is one. A tag has
/// the name by which the instance exports it whose function was called.
pub(crate) fn describe<T: 'static>(error: Error, store: &mut Store<T>) -> Error {
    if !error.is::<ThrownException>() {
        return error;
    }
    // Nobody else has the instance if its start function failed.
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames);
    let called = frames.and_then(|frames| frames.last()?.instance());
    match text(store, called) {
        Ok(Some(text)) => error.context(text),
        // It was taken from the store before: there is no more to say.
        _ => error,
    }
}

fn text<T: 'static>(store: &mut Store<T>, called: Option<Instance>) -> cellwall::Result<Option<String>> {
    let Some(exception) = store.take_pending_exception() else {
        return Ok(None);
    };
    let tag = exception.tag(&mut *store)?;
    let mut exports: Vec<(String, Extern)> = Vec::new();
    if let Some(instance) = called {
        let all = instance.exports(&mut *store);
        exports.extend(all.map(|export| (export.name().to_string(), export.into_extern())));
    }
    let name = exports.into_iter().find_map(|(name, export)| {
        let is_it = matches!(export, Extern::Tag(other) if Tag::eq(&other, &tag, &*store));
        is_it.then_some(name)
    });
    let what = match name {
        Some(name) => format!("an exception of the tag `{}`", escape::name(&name)),
        None => "an exception of a tag that is not exported".to_string(),
    };
    let values: Vec<String> = exception
        .fields(&mut *store)?
        .map(|value| values::show(&value))
        .collect();
    let with = match &values[..] {
        [] => String::new(),
        [one] => format!(", with the value {one}"),
        several => format!(", with the values {}", several.join(", ")),
    };
    Ok(Some(format!("uncaught: {what}{with}")))
}
