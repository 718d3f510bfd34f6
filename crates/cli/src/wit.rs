//! The world of a component, as text.

use cellwall::Error;
use wit_component::{OutputToString, WitPrinter};

/// Whether bytes in the binary format begin like a component: the second half of the version says
/// so.
pub(crate) fn is_component(wasm: &[u8]) -> bool {
    wasm.starts_with(b"\0asm") && wasm.get(6..8) == Some(&[1, 0])
}

/// The package that a component's world and interfaces make, with those that it refers to.
pub(crate) fn of_component(wasm: &[u8]) -> Result<String, Error> {
    let decoded = wit_component::decode(wasm).map_err(|e| Error::msg(format!("{e:#}")))?;
    let resolve = decoded.resolve();
    let main = decoded.package();
    let others: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|id| *id != main)
        .collect();
    let mut printer = WitPrinter::new(OutputToString::default());
    let printed = printer.print(resolve, main, &others);
    printed.map_err(|e| Error::msg(format!("{e:#}")))?;
    Ok(String::from(printer.output))
}
