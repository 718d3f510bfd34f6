//! What earlier drafts allowed, as today's.
//!
//! Until component-model#716, functions of asynchronous calls said in a byte whether they could be cancelled;
//! today that byte is zero, and the validator wants it so. Components that are around have it, and may mention
//! such functions as any other; what the byte said is nothing that this runtime could do.
//!
//! Names of imports and exports could differ in hyphens alone (`a1` and `a-1`); today they are equal, since
//! some languages would write them alike. To link them it is enough that they are different strings.
//!
//! Requires nothing of the bytes. Guarantees bytes of the same length that differ in such bytes, or names,
//! alone.

use crate::decode::{Definition, Entry, Features, decode, decode_valid};
use cellwall_base::Invalid;
use wasmparser::{
    BinaryReader, CanonicalFunction, ComponentAlias, ComponentInstance, ComponentType,
    ComponentTypeDeclaration, FromReader, InstanceTypeDeclaration, Parser, Payload, WasmFeatures,
};

/// Functions with such a byte behind their opcode.
const WITH_BYTE: [u8; 8] = [0x0c, 0x20, 0x21, 0x29, 0x2a, 0x2b, 0x2c, 0x2d];
/// Those of them with the number of a memory behind it.
const WITH_MEMORY: [u8; 2] = [0x20, 0x21];

/// Whether a component was refused because of such a byte.
pub(crate) fn is_old(invalid: &Invalid) -> bool {
    invalid.reason.contains("historically accepted as `cancellable`")
}

/// The component with such bytes cleared; `None` if it cannot be read.
pub(crate) fn renewed(bytes: &[u8], features: WasmFeatures) -> Option<Vec<u8>> {
    let mut renewed = bytes.to_vec();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        if let Payload::ComponentCanonicalSection(section) = payload.ok()? {
            let start = section.range().start;
            let contents = &bytes[start as usize..section.range().end as usize];
            let mut reader = BinaryReader::new(contents, start);
            for _ in 0..reader.read_var_u32().ok()? {
                renew(&mut reader, bytes, &mut renewed)?;
            }
        }
    }
    Some(renewed)
}

/// One function of a section.
fn renew(reader: &mut BinaryReader<'_>, bytes: &[u8], renewed: &mut [u8]) -> Option<()> {
    let opcode = *bytes.get(reader.original_position() as usize)?;
    if !WITH_BYTE.contains(&opcode) {
        return CanonicalFunction::from_reader(reader).ok().map(drop);
    }
    reader.read_u8().ok()?;
    let at = reader.original_position() as usize;
    if reader.read_u8().ok()? == 1 {
        renewed[at] = 0;
    }
    if WITH_MEMORY.contains(&opcode) {
        reader.read_var_u32().ok()?;
    }
    Some(())
}

/// Names of one component that are told apart for the validator, at most: each takes a pass.
const TOLD_APART_MAX: usize = 16;

/// Whether a component was refused because two names differ in hyphens alone.
pub(crate) fn is_about_hyphens(invalid: &Invalid) -> bool {
    hyphened(invalid).is_some()
}

/// Whether a component would be valid if names that differ in hyphens alone were different.
///
/// # Errors
/// `invalid`, for which it was refused, if it would not.
pub(crate) fn check_told_apart(bytes: &[u8], features: Features, invalid: Invalid) -> Result<(), Invalid> {
    let mut copy = bytes.to_vec();
    let mut found = hyphened(&invalid);
    for _ in 0..TOLD_APART_MAX {
        let Some(name) = found else { break };
        if rename(&mut copy, &name, features).is_none() {
            break;
        }
        match decode(&copy, features) {
            Ok(_) => return Ok(()),
            Err(next) => found = hyphened(&next),
        }
    }
    Err(invalid)
}

/// Of two names that differ in hyphens alone, and are said to be equal, one that has some.
fn hyphened(invalid: &Invalid) -> Option<String> {
    let (before, after) = invalid.reason.split_once("` conflicts with previous name `")?;
    let (_, name) = before.rsplit_once('`')?;
    let (other, _) = after.split_once('`')?;
    let plain = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let apart = plain(name) && plain(other) && !name.eq_ignore_ascii_case(other);
    let equal = name
        .replace('-', "")
        .eq_ignore_ascii_case(&other.replace('-', ""));
    let hyphened = [name, other].into_iter().find(|name| name.contains('-'))?;
    (apart && equal).then(|| hyphened.to_owned())
}

/// Gives a name another spelling of the same length, that no other name has, wherever it is the name of an
/// import or export.
fn rename(bytes: &mut [u8], name: &str, features: Features) -> Option<()> {
    let decoded = decode_valid(bytes, features).ok()?;
    let mut names = Vec::new();
    defined(&decoded.root, &mut names);
    let is_free = |new: &String| !names.iter().any(|name| name.eq_ignore_ascii_case(new));
    let new = (b'a'..=b'z').map(|letter| spelled(name, letter)).find(is_free)?;
    let start = bytes.as_ptr().addr();
    let own = names.into_iter().filter(|&found| found == name);
    let places: Vec<usize> = own.map(|found| found.as_ptr().addr() - start).collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    Some(())
}

/// A name with a letter for each hyphen, as large as those before it.
fn spelled(name: &str, letter: u8) -> String {
    let mut is_upper = false;
    let joined = name.chars().map(|char| {
        is_upper = char.is_ascii_uppercase() || is_upper && !char.is_ascii_lowercase();
        match (char, is_upper) {
            ('-', true) => letter.to_ascii_uppercase().into(),
            ('-', false) => letter.into(),
            _ => char,
        }
    });
    joined.collect()
}

/// All names of imports and exports, where they are defined and where they are used.
fn defined<'a>(definition: &Definition<'a>, names: &mut Vec<&'a str>) {
    for entry in &definition.entries {
        match entry {
            Entry::Component(inner) => defined(inner, names),
            Entry::Import(import, _) => names.push(import.name.name),
            Entry::Export(export) => names.push(export.name.name),
            Entry::Alias(alias) => aliased(alias, names),
            Entry::Type(ty) => declared(ty, names),
            Entry::Instance(ComponentInstance::Instantiate { args, .. }) => {
                names.extend(args.iter().map(|arg| arg.name));
            }
            Entry::Instance(ComponentInstance::FromExports(list)) => {
                names.extend(list.iter().map(|export| export.name.name));
            }
            Entry::CoreModule(_) | Entry::CoreInstance(_) | Entry::CoreType(_) | Entry::Canon(..) => {}
        }
    }
}

fn aliased<'a>(alias: &ComponentAlias<'a>, names: &mut Vec<&'a str>) {
    if let ComponentAlias::InstanceExport { name, .. } = alias {
        names.push(name);
    }
}

fn declared<'a>(ty: &ComponentType<'a>, names: &mut Vec<&'a str>) {
    match ty {
        ComponentType::Component(declarations) => {
            for declaration in declarations {
                match declaration {
                    ComponentTypeDeclaration::Import(import) => names.push(import.name.name),
                    ComponentTypeDeclaration::Export { name, .. } => names.push(name.name),
                    ComponentTypeDeclaration::Alias(alias) => aliased(alias, names),
                    ComponentTypeDeclaration::Type(ty) => declared(ty, names),
                    ComponentTypeDeclaration::CoreType(_) => {}
                }
            }
        }
        ComponentType::Instance(declarations) => {
            for declaration in declarations {
                match declaration {
                    InstanceTypeDeclaration::Export { name, .. } => names.push(name.name),
                    InstanceTypeDeclaration::Alias(alias) => aliased(alias, names),
                    InstanceTypeDeclaration::Type(ty) => declared(ty, names),
                    InstanceTypeDeclaration::CoreType(_) => {}
                }
            }
        }
        ComponentType::Defined(_) | ComponentType::Func(_) | ComponentType::Resource { .. } => {}
    }
}
