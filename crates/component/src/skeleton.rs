//! A component without what only its compiled code needs: bodies, data, elements, names.
//!
//! Requires the bytes of a component that [`plan`](crate::plan()) accepts. Guarantees a component of
//! the same plan, but for where its core modules lie: each keeps its types, imports and exports, and
//! functions without code. It is what is kept beside the machine code of a component.

use crate::decode::refused;
use crate::limits::NESTING_MAX;
use cellwall_base::Invalid;
use wasm_encoder::Encode;
use wasmparser::BinaryReader;

/// Bytes of magic number and version.
const HEADER_BYTES: usize = 8;
/// A body without locals and operators, after its length.
const EMPTY_BODY: [u8; 3] = [2, 0, 0x0b];

/// Numbers of sections (core specification, "Modules"; component model, "Component Definitions").
mod id {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const CORE_START: u8 = 8;
    pub(super) const CORE_ELEMENTS: u8 = 9;
    pub(super) const CORE_CODE: u8 = 10;
    pub(super) const CORE_DATA: u8 = 11;
    pub(super) const CORE_DATA_COUNT: u8 = 12;
    pub(super) const CORE_MODULE: u8 = 1;
    pub(super) const COMPONENT: u8 = 4;
}

/// The component without bodies, data, elements and names.
///
/// # Errors
/// If the bytes are no sequence of sections; never for a valid component.
pub fn skeleton(binary: &[u8]) -> Result<Vec<u8>, Invalid> {
    let mut to = Vec::new();
    component(binary, &mut to, 0)?;
    Ok(to)
}

fn component(binary: &[u8], to: &mut Vec<u8>, depth: usize) -> Result<(), Invalid> {
    if depth > NESTING_MAX {
        return Err(Invalid {
            offset: 0,
            reason: format!("components nest deeper than {NESTING_MAX}"),
        });
    }
    sections(binary, to, |id, contents, to| {
        match id {
            id::CUSTOM => return Ok(()),
            id::CORE_MODULE | id::COMPONENT => {
                let mut inner = Vec::new();
                match id {
                    id::CORE_MODULE => module(contents, &mut inner)?,
                    _ => component(contents, &mut inner, depth + 1)?,
                }
                section(id, &inner, to);
            }
            _ => section(id, contents, to),
        }
        Ok(())
    })
}

fn module(binary: &[u8], to: &mut Vec<u8>) -> Result<(), Invalid> {
    sections(binary, to, |id, contents, to| {
        match id {
            id::CUSTOM | id::CORE_START | id::CORE_ELEMENTS | id::CORE_DATA | id::CORE_DATA_COUNT => {}
            id::CORE_CODE => {
                let count = BinaryReader::new(contents, 0).read_var_u32().map_err(refused)?;
                let mut bodies = Vec::new();
                count.encode(&mut bodies);
                (0..count).for_each(|_| bodies.extend(EMPTY_BODY));
                section(id, &bodies, to);
            }
            _ => section(id, contents, to),
        }
        Ok(())
    })
}

/// Copies the header, and lets each section be written.
fn sections(
    binary: &[u8],
    to: &mut Vec<u8>,
    mut write: impl FnMut(u8, &[u8], &mut Vec<u8>) -> Result<(), Invalid>,
) -> Result<(), Invalid> {
    let mut from = BinaryReader::new(binary, 0);
    to.extend_from_slice(from.read_bytes(HEADER_BYTES).map_err(refused)?);
    // Ends because every round reads at least two bytes.
    while !from.eof() {
        let id = from.read_u8().map_err(refused)?;
        let len = from.read_var_u32().map_err(refused)?;
        write(id, from.read_bytes(len as usize).map_err(refused)?, to)?;
    }
    Ok(())
}

fn section(id: u8, contents: &[u8], to: &mut Vec<u8>) {
    to.push(id);
    contents.encode(to);
}
