//! Bytes → a tree of definitions, in order. Each section passes the validator before it is read.
//!
//! Bodies of core modules are not validated here: they are when the modules are compiled.

use crate::limits::{COMPONENT_BYTES_MAX, NESTING_MAX};
use cellwall_base::Invalid;
use std::ops::Range;
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExport, ComponentImport, ComponentInstance, ComponentType,
    CoreType, Encoding, Instance, Parser, Payload, Validator, WasmFeatures,
};

/// What a component may use beside what core modules may. Bodies are not looked at here.
const FEATURES: WasmFeatures = WasmFeatures::COMPONENT_MODEL
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_FIXED_LENGTH_LISTS)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM_MAP)
    // Types and names of later versions, for components that only mention them.
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    // Core modules are checked by what compiles them; here, a component may name any core type.
    .union(WasmFeatures::GC)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::THREADS);

/// What a component may use and can be turned off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Features {
    /// Names of imports and exports that say which interface they implement.
    pub implements: bool,
}

impl Default for Features {
    /// Everything.
    fn default() -> Self {
        Self { implements: true }
    }
}

/// A component as it is written.
#[derive(Debug, Default)]
pub(crate) struct Definition<'a> {
    pub(crate) entries: Vec<Entry<'a>>,
}

/// One definition of a component.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    /// A core module, by its number in the whole binary.
    CoreModule(u32),
    CoreInstance(Instance<'a>),
    CoreType(CoreType<'a>),
    Component(Definition<'a>),
    Instance(ComponentInstance<'a>),
    Alias(ComponentAlias<'a>),
    Type(ComponentType<'a>),
    Canon(CanonicalFunction, u64),
    Import(ComponentImport<'a>, u64),
    Export(ComponentExport<'a>),
}

/// The root and the ranges of all core modules.
pub(crate) struct Decoded<'a> {
    pub(crate) root: Definition<'a>,
    pub(crate) modules: Vec<Range<usize>>,
}

pub(crate) use cellwall_wasm::{invalid, refused};

/// What the parts of a component may use.
pub(crate) fn allowed(features: Features) -> WasmFeatures {
    let mut allowed = FEATURES.union(cellwall_wasm::features());
    allowed.set(WasmFeatures::CM_IMPLEMENTS, features.implements);
    allowed
}

/// Decodes and validates all but the bodies of core modules.
pub(crate) fn decode(bytes: &[u8], features: Features) -> Result<Decoded<'_>, Invalid> {
    let validator = Validator::new_with_features(allowed(features));
    walk(bytes, features, Some(validator))
}

/// The same without the validator: of what is valid, or for its names alone.
pub(crate) fn decode_valid(bytes: &[u8], features: Features) -> Result<Decoded<'_>, Invalid> {
    walk(bytes, features, None)
}

fn walk(bytes: &[u8], features: Features, mut validator: Option<Validator>) -> Result<Decoded<'_>, Invalid> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        return Err(invalid(
            0,
            format!("the component is larger than {COMPONENT_BYTES_MAX} bytes"),
        ));
    }
    let mut parser = Parser::new(0);
    parser.set_features(allowed(features));
    let mut modules = Vec::new();
    // The components around the current position, the innermost last; and how deep in core modules
    // we are (modules do not nest, so that it is 0 or 1).
    let mut open: Vec<Definition<'_>> = Vec::new();
    let mut root = None;
    let mut in_module = false;
    for payload in parser.parse_all(bytes) {
        let payload = payload.map_err(refused)?;
        if let Some(validator) = &mut validator {
            validator.payload(&payload).map_err(refused)?;
        }
        match payload {
            Payload::Version { encoding, range, .. } => match encoding {
                Encoding::Component => {
                    if open.len() >= NESTING_MAX {
                        let reason = format!("components nest deeper than {NESTING_MAX}");
                        return Err(invalid(range.start, reason));
                    }
                    open.push(Definition::default());
                }
                Encoding::Module if open.is_empty() => {
                    return Err(invalid(range.start + 4, "this is a core module, not a component"));
                }
                Encoding::Module => in_module = true,
            },
            Payload::End(_) if in_module => in_module = false,
            Payload::End(_) => {
                let done = open.pop().expect("the parser pairs versions and ends");
                match open.last_mut() {
                    Some(outer) => outer.entries.push(Entry::Component(done)),
                    None => root = Some(done),
                }
            }
            Payload::ModuleSection { unchecked_range, .. } => {
                let range = unchecked_range.start as usize..unchecked_range.end as usize;
                let outer = open.last_mut().expect("a module section lies in a component");
                outer.entries.push(Entry::CoreModule(modules.len() as u32));
                modules.push(range);
            }
            payload if !in_module => {
                if let Some(current) = open.last_mut() {
                    read(current, payload)?;
                }
            }
            _ => {}
        }
    }
    let root = root.ok_or_else(|| invalid(bytes.len() as u64, "unexpected end of the component"))?;
    Ok(Decoded { root, modules })
}

/// Reads a section that is no module and no component.
fn read<'a>(current: &mut Definition<'a>, payload: Payload<'a>) -> Result<(), Invalid> {
    let entries = &mut current.entries;
    match payload {
        Payload::InstanceSection(section) => {
            for item in section {
                entries.push(Entry::CoreInstance(item.map_err(refused)?));
            }
        }
        Payload::CoreTypeSection(section) => {
            for item in section {
                entries.push(Entry::CoreType(item.map_err(refused)?));
            }
        }
        Payload::ComponentInstanceSection(section) => {
            for item in section {
                entries.push(Entry::Instance(item.map_err(refused)?));
            }
        }
        Payload::ComponentAliasSection(section) => {
            for item in section {
                entries.push(Entry::Alias(item.map_err(refused)?));
            }
        }
        Payload::ComponentTypeSection(section) => {
            for item in section {
                entries.push(Entry::Type(item.map_err(refused)?));
            }
        }
        Payload::ComponentCanonicalSection(section) => {
            for item in section.into_iter_with_offsets() {
                let (offset, item) = item.map_err(refused)?;
                entries.push(Entry::Canon(item, offset));
            }
        }
        Payload::ComponentImportSection(section) => {
            for item in section.into_iter_with_offsets() {
                let (offset, item) = item.map_err(refused)?;
                entries.push(Entry::Import(item, offset));
            }
        }
        Payload::ComponentExportSection(section) => {
            for item in section {
                entries.push(Entry::Export(item.map_err(refused)?));
            }
        }
        Payload::ComponentStartSection { range, .. } => {
            return Err(invalid(
                range.start,
                "start functions of components are not supported",
            ));
        }
        _ => {}
    }
    Ok(())
}
