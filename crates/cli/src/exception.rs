//! What an exception says that no handler of the guest caught.

use cellwall::{Error, Extern, Instance, Store, Tag, ThrownException};

use crate::{escape, values};

/// The error of a call of `instance`, with the exception's tag and values if it is one. A tag has the
/// name by which the instance exports it.
pub(crate) fn describe<T: 'static>(error: Error, store: &mut Store<T>, instance: &Instance) -> Error {
    if !error.is::<ThrownException>() {
        return error;
    }
    match text(store, instance) {
        Ok(Some(text)) => error.context(text),
        // It was taken from the store before: there is no more to say.
        _ => error,
    }
}

fn text<T: 'static>(store: &mut Store<T>, instance: &Instance) -> cellwall::Result<Option<String>> {
    let Some(exception) = store.take_pending_exception() else {
        return Ok(None);
    };
    let tag = exception.tag(&mut *store)?;
    let exports: Vec<(String, Extern)> = instance
        .exports(&mut *store)
        .map(|export| (export.name().to_string(), export.into_extern()))
        .collect();
    let name = exports.into_iter().find_map(|(name, export)| {
        let is_it = matches!(export, Extern::Tag(other) if Tag::eq(&other, &tag, &*store));
        is_it.then_some(name)
    });
    let values: Vec<String> = exception
        .fields(&mut *store)?
        .map(|value| values::show(&value))
        .collect();
    let name = match name {
        Some(name) => format!("`{}`", escape::name(&name)),
        None => "a tag that is not exported".to_string(),
    };
    Ok(Some(match values.is_empty() {
        true => format!("uncaught exception: {name}"),
        false => format!("uncaught exception: {name} with {}", values.join(", ")),
    }))
}
