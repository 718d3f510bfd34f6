//! Each row, with random operands: the disassembler reads the instruction as we print it, to the
//! last byte, and its own assembler makes the same bytes of it.

use crate::Random;
use cellwall_isa::x64::{Cond, Form, Inst, Rm, Row, Width};
use cellwall_isa::{Class, Reg};
use iced_x86::{Decoder, DecoderOptions, Encoder, Formatter, Instruction, NasmFormatter};

const WIDTHS: [Width; 5] = [Width::W8, Width::W16, Width::W32, Width::W64, Width::W128];

fn text_of(instruction: &Instruction) -> String {
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_number_base(iced_x86::NumberBase::Decimal);
    options.set_signed_immediate_operands(true);
    options.set_use_pseudo_ops(false);
    options.set_rip_relative_addresses(true);
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    for size in ["byte ", "qword ", "dword ", "oword ", "word "] {
        text = text.replace(&format!("{size}["), "[");
    }
    text
}

/// A row with operands: everything that the form needs, from a corner as often as not.
fn random_inst(random: &mut Random, row: Row, width: Width) -> Inst {
    let (dst_class, rm_class) = row.classes();
    let (dst_class, src_class) = match row.form() {
        Form::Reverse | Form::ReverseImm => (Class::Int, Class::Float),
        _ => (dst_class, dst_class),
    };
    let reg = |random: &mut Random, class| Reg::hardware(class, random.below(16) as u8);
    let mut inst = Inst::new(row, width);
    inst.dst = reg(random, dst_class);
    inst.src = reg(random, src_class);
    inst.cond = random.one_of(&Cond::HARDWARE);
    inst.base = reg(random, rm_class);
    inst.dst2 = reg(random, Class::Float);
    inst.vex = row.has_vex() && (row.is_vex_only() || random.below(2) == 0);
    let narrow = matches!(
        row.form(),
        Form::ShiftImm
            | Form::RmModImm
            | Form::VexRmImm
            | Form::VecImm
            | Form::VecShiftImm
            | Form::VecRmImm
            | Form::ReverseImm
            | Form::StoreImm
    );
    inst.imm = match row.form() {
        Form::ShiftImm => random.below(31) as i64 + 1,
        _ if narrow => random.below(8) as i64,
        Form::Constant if width == Width::W64 => {
            random.one_of(&[-1, i64::MIN, i64::from(i32::MIN), 1 << 31, random.0 as i64])
        }
        _ => i64::from(random.one_of(&[
            0,
            1,
            -1,
            127,
            128,
            -128,
            -129,
            i32::MIN,
            i32::MAX,
            random.0 as i32,
        ])),
    };
    if inst.is_tied() {
        inst.src = inst.dst;
    }
    if row.form() == Form::ShiftCl {
        inst.base = Reg::gpr(1);
    }
    let memory_only = matches!(
        row.form(),
        Form::Store | Form::ImmStore | Form::StoreImm | Form::Exchange | Form::CompareExchange
    ) || matches!(
        row,
        Row::FLoad | Row::Lea | Row::VLoad | Row::Movlps | Row::Movhps
    );
    let register_only = matches!(
        row.form(),
        Form::Reverse
            | Form::ReverseImm
            | Form::Imm
            | Form::Unary
            | Form::ShiftCl
            | Form::ShiftImm
            | Form::VecShiftImm
            | Form::Divide
    ) || matches!(
        row,
        Row::MovLow | Row::Pmovmskb | Row::Movmskps | Row::Movmskpd | Row::Pextrw
    );
    if memory_only || (!register_only && random.below(2) == 0) {
        random_address(random, &mut inst);
    }
    inst
}

fn random_address(random: &mut Random, inst: &mut Inst) {
    let base = Reg::gpr(random.below(16) as u8);
    let disp = random.one_of(&[0, 1, -1, 127, 128, -128, -129, 8, i32::MAX, i32::MIN]);
    *inst = match random.below(4) {
        0 => inst.mem(base, disp),
        1 => inst.slot(random.below(100) as u32),
        _ => {
            let index = Reg::gpr(random.one_of(&[0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
            inst.mem_index(base, index, random.below(4) as u8, disp)
        }
    };
}

#[test]
fn every_row_is_what_the_disassembler_reads() {
    let mut random = Random(7);
    let (mut tried, mut failures) = (0, Vec::new());
    for &row in Row::ALL.iter().filter(|r| r.form() != Form::Pseudo) {
        let mut seen = false;
        for width in WIDTHS.into_iter().filter(|&w| row.allows(w)) {
            seen = true;
            for _ in 0..400 {
                let inst = random_inst(&mut random, row, width);
                tried += 1;
                if let Err(failure) = check(&inst) {
                    failures.push(failure);
                    break;
                }
            }
        }
        assert!(seen, "{row:?} has a width");
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(tried > 50_000);
}

fn check(inst: &Inst) -> Result<(), String> {
    let bytes = inst.encode(Reg::gpr(4));
    let fail = |why: &str, other: &str| Err(format!("{inst} ({inst:?}) {bytes:02x?}: {why} {other}"));
    let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
    let decoded = decoder.decode();
    if decoded.is_invalid() || decoded.len() != bytes.len() {
        return fail("invalid or of another length:", &text_of(&decoded));
    }
    let mut ours = inst.to_string();
    if inst.rm == Rm::Slot {
        let disp = inst.disp * 8;
        let disp = if disp == 0 {
            String::new()
        } else {
            format!("+{disp}")
        };
        ours = ours.replace(&format!("slot{}", inst.disp), &format!("rsp{disp}"));
    }
    if ours.replace(' ', "") != text_of(&decoded).replace(' ', "") {
        return fail("reads as", &text_of(&decoded));
    }
    let mut encoder = Encoder::new(64);
    if let Err(error) = encoder.encode(&decoded, 0) {
        return fail("cannot be assembled again:", &error.to_string());
    }
    let again = encoder.take_buffer();
    if again != bytes {
        return fail("is not canonical:", &format!("{again:02x?}"));
    }
    Ok(())
}

#[test]
fn a_wrong_byte_is_noticed() {
    // The comparison above must be able to fail: one flipped register bit changes the text.
    let inst = Inst::new(Row::Add, Width::W32)
        .dst(Reg::gpr(3))
        .src(Reg::gpr(3))
        .rm(Reg::gpr(5));
    let mut bytes = inst.encode(Reg::gpr(4));
    bytes[1] ^= 1;
    let decoded = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE).decode();
    assert_ne!(
        inst.to_string().replace(' ', ""),
        text_of(&decoded).replace(' ', "")
    );
}
