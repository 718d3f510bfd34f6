//! Source lines in backtraces, from DWARF that the test itself writes.

use cellwall::{Engine, Instance, Module, Store, WasmBacktrace};
use gimli::write::{Address, AttributeValue, Dwarf, EndianVec, LineProgram, LineString, Sections, Unit};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};

const TEXT: &str =
    r#"(module (func (export "run") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0))))"#;

/// The contents of the code section, by its place.
fn code_section(binary: &[u8]) -> std::ops::Range<usize> {
    let mut at = 8;
    loop {
        let (id, size) = (binary[at], usize::from(binary[at + 1]));
        assert!(size < 128, "the sections of this module are short");
        if id == 10 {
            return at + 2..at + 2 + size;
        }
        at += 2 + size;
    }
}

/// DWARF that says: the code is `src/lib.rs`, one line per byte of the code section from 100 on.
fn dwarf(code_bytes: u64) -> Dwarf {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 4,
    };
    let (dir, file) = (
        LineString::String(b"src".to_vec()),
        LineString::String(b"lib.rs".to_vec()),
    );
    let mut lines = LineProgram::new(encoding, LineEncoding::default(), dir, None, file.clone(), None);
    let dir = lines.default_directory();
    let file = lines.add_file(file, dir, None);
    lines.begin_sequence(Some(Address::Constant(0)));
    for offset in 0..code_bytes {
        let row = lines.row();
        row.address_offset = offset;
        row.file = file;
        row.line = 100 + offset;
        row.column = 3;
        lines.generate_row();
    }
    lines.end_sequence(code_bytes);

    let mut dwarf = Dwarf::new();
    let unit = dwarf.units.add(Unit::new(encoding, lines));
    let unit = dwarf.units.get_mut(unit);
    let range = |entry: &mut gimli::write::DebuggingInformationEntry| {
        entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(0)));
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(code_bytes));
    };
    let root = unit.root();
    range(unit.get_mut(root));
    let dir = AttributeValue::String(b"src".to_vec());
    unit.get_mut(root).set(gimli::DW_AT_comp_dir, dir);
    let function = unit.add(root, gimli::DW_TAG_subprogram);
    range(unit.get_mut(function));
    let name = AttributeValue::String(b"_ZN4demo6divide17h0123456789abcdefE".to_vec());
    unit.get_mut(function).set(gimli::DW_AT_linkage_name, name);
    dwarf
}

fn leb(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn add_custom_section(binary: &mut Vec<u8>, name: &str, bytes: &[u8]) {
    binary.push(0);
    binary.extend(leb(leb(name.len()).len() + name.len() + bytes.len()));
    binary.extend(leb(name.len()));
    binary.extend(name.as_bytes());
    binary.extend(bytes);
}

/// The trace of a failing call, which is the same if the module went through its packed form.
fn trace(binary: &[u8]) -> WasmBacktrace {
    let engine = Engine::default();
    let module = Module::new(&engine, binary).expect("valid");
    let bytes = module.serialize().expect("it can be packed");
    let again = Module::deserialize(&engine, bytes).expect("it is our own");
    let trace = trace_of(&engine, &module);
    assert_eq!(trace.to_string(), trace_of(&engine, &again).to_string());
    trace
}

fn trace_of(engine: &Engine, module: &Module) -> WasmBacktrace {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[]).expect("it needs nothing");
    let run = instance
        .get_typed_func::<i32, i32>(&mut store, "run")
        .expect("exported");
    assert_eq!(run.call(&mut store, 1).expect("no division by zero"), 1);
    let error = run.call(&mut store, 0).expect_err("a division by zero");
    error.downcast::<WasmBacktrace>().expect("it has one")
}

#[test]
fn a_frame_has_its_source_line() {
    let mut binary = wat::parse_str(TEXT).expect("it is text");
    let code = code_section(&binary);
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf(code.len() as u64)
        .write(&mut sections)
        .expect("it is complete");
    let added: Result<(), gimli::write::Error> = sections.for_each(|id, bytes| {
        if !bytes.slice().is_empty() {
            add_custom_section(&mut binary, id.name(), bytes.slice());
        }
        Ok(())
    });
    added.expect("nothing fails");

    let trace = trace(&binary);
    let frame = &trace.frames()[0];
    let at = frame.module_offset().expect("it is known");
    assert_eq!(binary[at], 0x6e, "`i32.div_u`");
    let [symbol] = frame.symbols() else {
        panic!("one function, nothing inlined: {:?}", frame.symbols());
    };
    assert_eq!(symbol.name(), Some("_ZN4demo6divide17h0123456789abcdefE"));
    assert_eq!(symbol.file(), Some("src/lib.rs"));
    assert_eq!(symbol.line(), Some(100 + (at - code.start) as u32));
    assert_eq!(symbol.column(), Some(3));
    let text = trace.to_string();
    assert!(text.contains("demo::divide\n"), "{text}");
    assert!(
        text.contains(&format!("at src/lib.rs:{}:3", 100 + at - code.start)),
        "{text}"
    );
}

#[test]
fn broken_or_missing_dwarf_gives_no_symbols() {
    let mut binary = wat::parse_str(TEXT).expect("it is text");
    assert!(trace(&binary).frames()[0].symbols().is_empty());
    add_custom_section(&mut binary, ".debug_info", &[0xff; 40]);
    add_custom_section(&mut binary, ".debug_line", b"?");
    assert!(trace(&binary).frames()[0].symbols().is_empty());
}
