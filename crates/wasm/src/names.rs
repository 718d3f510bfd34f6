//! The name section (core specification, appendix "Name Section"), as ranges of the module's bytes.
//!
//! Guarantees nothing: names are decoration, so a broken section is ignored from where it breaks.

use crate::Names;
use cellwall_base::FuncIdx;
use std::ops::Range;
use wasmparser::{BinaryReader, Name, NameSectionReader};

/// Reads module and function names; `funcs` bounds the indexes that count.
pub(crate) fn read(reader: BinaryReader<'_>, module: &[u8], funcs: usize) -> (Option<Range<u32>>, Names) {
    let mut module_name = None;
    let mut names = Names::new();
    for subsection in NameSectionReader::new(reader).map_while(Result::ok) {
        match subsection {
            Name::Module { name, .. } => module_name = Some(span(module, name)),
            Name::Function(map) => {
                for naming in map.into_iter().map_while(Result::ok) {
                    let index = naming.index as usize;
                    if index >= funcs {
                        continue;
                    }
                    if index >= names.len() {
                        names.resize(index + 1, 0..0);
                    }
                    names[FuncIdx::from_u32(naming.index)] = span(module, naming.name);
                }
            }
            _ => {}
        }
    }
    (module_name, names)
}

/// Where `text`, which was read from `module`, lies in it.
fn span(module: &[u8], text: &str) -> Range<u32> {
    let start = text.as_ptr() as usize - module.as_ptr() as usize;
    start as u32..(start + text.len()) as u32
}
