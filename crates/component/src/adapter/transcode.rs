//! The string functions of `transcode.wat`, taken over into an adapter.
//!
//! They are written once, for two memories and one allocator; here they get the numbers that those
//! have in the adapter, in one direction or the other.

use super::module::Builder;
use super::translate::Direction;
use crate::plan::Encoding;
use std::sync::OnceLock;
use wasm_encoder::ValType as CoreType;
use wasm_encoder::reencode::{Error, Reencode};
use wasmparser::{BinaryReader, ExternalKind, FunctionBody, Operator, Parser, Payload};

/// `transcode.wat`, assembled.
static WASM: &[u8] = include_bytes!("transcode.wasm");

/// The number of functions that it imports: trap, then realloc.
const IMPORTED: u32 = 2;

struct Template {
    types: Vec<(Vec<CoreType>, Vec<CoreType>)>,
    functions: Vec<u32>,
    bodies: Vec<FunctionBody<'static>>,
    exports: Vec<(&'static str, u32)>,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| read().expect("transcode.wasm is valid: a test assembles it"))
}

fn read() -> Result<Template, wasmparser::Error> {
    let mut template = Template {
        types: Vec::new(),
        functions: Vec::new(),
        bodies: Vec::new(),
        exports: Vec::new(),
    };
    let core = |types: &[wasmparser::ValType]| {
        let number = |ty: &wasmparser::ValType| match ty {
            wasmparser::ValType::I32 => CoreType::I32,
            wasmparser::ValType::I64 => CoreType::I64,
            other => panic!("transcode.wat has no {other}"),
        };
        types.iter().map(number).collect::<Vec<_>>()
    };
    for payload in Parser::new(0).parse_all(WASM) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    let ty = ty?;
                    template.types.push((core(ty.params()), core(ty.results())));
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    template.functions.push(ty?);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        template.exports.push((export.name, export.index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) => template.bodies.push(body),
            _ => {}
        }
    }
    Ok(template)
}

fn name(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Utf8 => "utf8",
        Encoding::Utf16 => "utf16",
        Encoding::CompactUtf16 => "compact",
    }
}

/// The function that moves a string in this direction: address and length to address and length.
pub(crate) fn function(builder: &mut Builder<'_>, direction: &Direction) -> u32 {
    let name = format!(
        "{}-{}",
        name(direction.from_encoding),
        name(direction.to_encoding)
    );
    let found = template().exports.iter().find(|(own, _)| *own == name);
    take(builder, direction, found.expect("every pair is there").1)
}

/// A function of the template, with those that it calls.
fn take(builder: &mut Builder<'_>, direction: &Direction, index: u32) -> u32 {
    let key = format!("string {:?} {index}", direction.to);
    if let Some(made) = builder.find(&key) {
        return made;
    }
    let template = template();
    let own = (index - IMPORTED) as usize;
    let (params, results) = &template.types[template.functions[own] as usize];
    let made = builder.declare(key, params, results);
    let mut renumber = Renumber { builder, direction };
    let body = BinaryReader::new(template.bodies[own].as_bytes(), 0);
    let body = copy(&mut renumber, &FunctionBody::new(body));
    let body = body.expect("the template has nothing that cannot be copied");
    builder.define(made, body);
    made
}

fn copy(
    renumber: &mut Renumber<'_, '_>,
    body: &FunctionBody<'static>,
) -> Result<wasm_encoder::Function, Error<std::convert::Infallible>> {
    let mut locals = Vec::new();
    for pair in body.get_locals_reader()? {
        let (count, ty) = pair?;
        locals.push((count, renumber.val_type(ty)?));
    }
    let mut function = wasm_encoder::Function::new(locals);
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator: Operator<'_> = operators.read()?;
        function.instruction(&renumber.instruction(operator)?);
    }
    Ok(function)
}

struct Renumber<'a, 'b> {
    builder: &'a mut Builder<'b>,
    direction: &'a Direction,
}

impl Reencode for Renumber<'_, '_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, Error<Self::Error>> {
        Ok(match func {
            0 => self.builder.index(super::Import::Trap),
            1 => self.builder.index(super::Import::Realloc(self.direction.to)),
            func => take(self.builder, self.direction, func),
        })
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error<Self::Error>> {
        let party = match memory {
            0 => self.direction.from,
            _ => self.direction.to,
        };
        Ok(self.builder.index(super::Import::Memory(party)))
    }

    fn type_index(&mut self, ty: u32) -> Result<u32, Error<Self::Error>> {
        let (params, results) = &template().types[ty as usize];
        Ok(self.builder.ty(params, results))
    }
}

#[cfg(test)]
mod tests {
    /// `BLESS=1` writes it anew.
    #[test]
    fn the_binary_is_the_text_assembled() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapter/");
        let text = std::fs::read_to_string(format!("{folder}transcode.wat")).expect("it is there");
        let binary = wat::parse_str(text).expect("it is valid");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(format!("{folder}transcode.wasm"), &binary).expect("it can be written");
        } else {
            assert!(binary == super::WASM, "run with BLESS=1");
        }
        wasmparser::Validator::new()
            .validate_all(&binary)
            .expect("it is valid");
    }
}
