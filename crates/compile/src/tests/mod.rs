//! Text in, assembly out.

mod corpus;
mod memories;
mod shapes;
mod vectors;

use crate::{Passes, Scratch, Unit, function};
use cellwall_abi::{CodeBlob, CpuFeatures, RelocKind, Target};
use cellwall_base::FuncIdx;
use iced_x86::{Decoder, DecoderOptions, Formatter, NasmFormatter};
use std::fmt::Write;

/// All features that this compiler makes use of.
pub(crate) fn modern() -> Target {
    Target::new(CpuFeatures {
        popcnt: true,
        lzcnt: true,
        bmi1: true,
        bmi2: true,
        ..CpuFeatures::default()
    })
}

pub(crate) fn baseline() -> Target {
    Target::new(CpuFeatures::default())
}

/// Compiles the first defined function of a module in the text format; calls stay calls.
fn compile(wat: &str, target: &Target) -> CodeBlob {
    let bytes = wat::parse_str(wat).expect("the test is well-formed");
    let module = cellwall_wasm::decode(bytes).expect("the test is valid");
    let shape = cellwall_link::shape(&module);
    let passes = Passes::ALL.without(Passes::INLINE);
    let unit = Unit::new(&module, &shape, target).with_passes(passes);
    let func = module.defined_funcs().next().expect("the test has a function");
    function(&unit, func, &mut Scratch::default()).expect("the test compiles")
}

/// The code as text: trap sites and relocations at their instructions, `>` where a branch leads.
fn assembly(blob: &CodeBlob) -> String {
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_number_base(iced_x86::NumberBase::Decimal);
    options.set_signed_immediate_operands(true);
    options.set_branch_leading_zeros(false);
    options.set_show_branch_size(false);
    let mut text = String::new();
    for instruction in Decoder::with_ip(64, &blob.code, 0, DecoderOptions::NONE).iter() {
        let (pc, end) = (instruction.ip() as u32, instruction.next_ip() as u32);
        let head = if blob.heads.contains(&pc) { ">" } else { " " };
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        if let Some(reloc) = blob.relocs.iter().find(|r| (pc..end).contains(&r.at)) {
            line += &match reloc.kind {
                RelocKind::Func(func) => format!(" ; {func}"),
                RelocKind::Rodata(offset) => format!(" ; rodata+{offset}"),
                RelocKind::JumpTable(table) => {
                    format!(" ; table{table} {:?}", blob.jump_tables[table as usize])
                }
            };
        }
        if let Some(site) = blob.traps.iter().find(|t| t.pc == pc) {
            line += &format!(" ; {:?}", site.code);
        }
        // A line begins with its number, since goldens lose the indentation that all lines share.
        let _ = writeln!(text, "{pc:<3}{head} {line}");
    }
    text
}

/// The assembly of the first function.
fn check(wat: &str, expected: &expect_test::Expect) {
    expected.assert_eq(&assembly(&compile(wat, &modern())));
}

/// The assembly of one expression over the parameters, which are of these types.
fn check_expr(params: &str, result: &str, body: &str, expected: &expect_test::Expect) {
    check(
        &format!("(module (memory 1) (func (param {params}) (result {result}) {body}))"),
        expected,
    );
}

#[test]
fn a_function_that_is_imported_or_absent_has_no_code() {
    let bytes = wat::parse_str(r#"(module (import "a" "b" (func)) (func))"#).expect("it is well-formed");
    let module = cellwall_wasm::decode(bytes).expect("it is valid");
    let shape = cellwall_link::shape(&module);
    let target = baseline();
    let unit = Unit::new(&module, &shape, &target);
    let mut scratch = Scratch::default();
    assert!(function(&unit, FuncIdx::from_u32(0), &mut scratch).is_err());
    assert!(function(&unit, FuncIdx::from_u32(1), &mut scratch).is_ok());
}
