//! Both directions of the packed form, and everything between them that is refused.

use super::*;
use crate::shape::{ConstExpr, ConstOp, ElementItems, ElementMode, Item};
use crate::types::ValType;
use cellwall_base::types::{ExactFunc, Heap, RefType};

/// An artifact with every kind of thing in it; it makes no sense, which is not asked here.
fn sample() -> (Artifact, Origin) {
    let all = [
        ConstOp::I32(-1),
        ConstOp::I64(i64::MIN),
        ConstOp::F32(0x7fc0_0001),
        ConstOp::F64(1 << 63),
        ConstOp::V128(u128::MAX - 1),
        ConstOp::GlobalGet(GlobalIdx::from_u32(3)),
        ConstOp::RefNull,
        ConstOp::RefFunc(FuncIdx::from_u32(1)),
        ConstOp::I32Add,
        ConstOp::I32Sub,
        ConstOp::I32Mul,
        ConstOp::I64Add,
        ConstOp::I64Sub,
        ConstOp::I64Mul,
        ConstOp::RefI31,
    ];
    let zero = || ConstExpr(vec![ConstOp::I32(0)]);
    let types = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
    let references = [
        ValType::V128,
        ValType::FuncRef,
        ValType::ExternRef,
        ValType::ExnRef,
        ValType::AnyRef,
    ];
    let shape = Shape {
        types: [
            Signature {
                params: types.into(),
                results: references.into(),
            },
            Signature::default(),
        ]
        .into_iter()
        .collect(),
        canonical_types: [0, 1].map(TypeIdx::from_u32).into_iter().collect(),
        exact_types: [ExactFunc {
            params: Box::new([
                None,
                Some(RefType {
                    nullable: false,
                    heap: Heap::Type(TypeIdx::from_u32(0)),
                }),
            ]),
            results: Box::default(),
            supertype: Some(TypeIdx::from_u32(0)),
            is_final: true,
            group: TypeIdx::from_u32(0),
        }]
        .into_iter()
        .collect(),
        funcs: [1, 0].map(TypeIdx::from_u32).into_iter().collect(),
        imported_funcs: 1,
        memories: [MemoryShape {
            imported: false,
            is_64: true,
            shared: true,
            page_shift: 16,
            min_pages: 1,
            max_pages: Some(u64::MAX),
        }]
        .into_iter()
        .collect(),
        tables: [TableShape {
            imported: false,
            private: true,
            element: ValType::FuncRef,
            is_64: true,
            exact: RefType::FUNCREF,
            min: 7,
            max: None,
            init: Some(zero()),
        }]
        .into_iter()
        .collect(),
        globals: [GlobalShape {
            imported: true,
            ty: ValType::V128,
            exact: None,
            mutable: true,
            init: None,
        }]
        .into_iter()
        .collect(),
        tags: [TagShape {
            imported: false,
            ty: TypeIdx::from_u32(1),
        }]
        .into_iter()
        .collect(),
        imports: vec![Import {
            module: "host".into(),
            name: "".into(),
            item: Item::Func(FuncIdx::from_u32(0)),
        }],
        exports: vec![
            Export {
                name: "é".into(),
                item: Item::Table(TableIdx::from_u32(0)),
            },
            Export {
                name: "m".into(),
                item: Item::Memory(MemoryIdx::from_u32(0)),
            },
            Export {
                name: "g".into(),
                item: Item::Global(GlobalIdx::from_u32(0)),
            },
            Export {
                name: "t".into(),
                item: Item::Tag(TagIdx::from_u32(0)),
            },
        ],
        data: [
            DataSegment {
                active: Some((MemoryIdx::from_u32(0), zero())),
                bytes: 0..2,
            },
            DataSegment {
                active: None,
                bytes: 2..3,
            },
        ]
        .into_iter()
        .collect(),
        elements: [
            (
                ElementMode::Passive,
                ElementItems::Exprs(vec![ConstExpr(all.into()), ConstExpr::default()]),
            ),
            (
                ElementMode::Declared,
                ElementItems::Funcs(vec![FuncIdx::from_u32(1)]),
            ),
            (
                ElementMode::Active(TableIdx::from_u32(0), zero()),
                ElementItems::Funcs(vec![]),
            ),
        ]
        .map(|(mode, items)| ElementSegment {
            mode,
            element: ValType::FuncRef,
            items,
        })
        .into_iter()
        .collect(),
        start: Some(FuncIdx::from_u32(1)),
    };
    let func = FuncIdx::from_u32(1);
    let features = CpuFeatures {
        lzcnt: true,
        avx2: true,
        ..CpuFeatures::default()
    };
    let artifact = Artifact {
        target: Target::new(features),
        shape,
        text: vec![0x0f, 0x0b, 0xc3].into(),
        rodata: vec![1; 5].into(),
        funcs: vec![FuncRange {
            func,
            start: 0,
            len: 3,
        }],
        jump_tables: vec![JumpTable {
            offset: 0,
            len: 1,
            func,
        }],
        traps: TrapCode::ALL
            .iter()
            .map(|&code| TrapSite {
                pc: code as u32,
                code,
                wasm_offset: 9,
            })
            .collect(),
        calls: vec![CallSite {
            return_pc: 1,
            wasm_offset: 2,
        }],
        pads: [(None, true), (Some(TagIdx::from_u32(0)), false)]
            .map(|(tag, with_ref)| LandingPad {
                return_pc: 1,
                pad: 2,
                tag,
                with_ref,
            })
            .into(),
        unwind: vec![UnwindRow {
            pc: 0,
            frame_bytes: 8,
        }],
        heads: vec![0, u32::MAX],
        inlined: vec![
            InlinedCall {
                func,
                wasm_offset: 20,
                parent: None,
            },
            InlinedCall {
                func,
                wasm_offset: 21,
                parent: Some(0),
            },
        ],
        inlined_sites: vec![InlinedSite { pc: 1, call: 1 }],
        data: vec![1, 2, 3].into(),
        names: vec![(func, "main".into())],
    };
    let origin = Origin {
        name: Some("sample".into()),
        body_starts: vec![17],
        code_start: 16,
        debug: vec![(".debug_info".into(), vec![5; 7].into())],
    };
    (artifact, origin)
}

fn packed_sample() -> Vec<u8> {
    let (artifact, origin) = sample();
    pack(&artifact, &origin)
}

#[test]
fn what_is_packed_comes_back() {
    let bytes = packed_sample();
    assert!(is_packed(&bytes));
    assert_eq!(unpack(&bytes), Ok(sample()));
    assert_eq!(packed_sample(), bytes, "equal artifacts give equal bytes");
}

/// Accepted bytes are those that would be written, and every change is refused or seen.
#[test]
fn every_flipped_bit_is_refused_or_changes_the_artifact() {
    let bytes = packed_sample();
    let (mut refused, mut accepted) = (0, 0);
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match unpack(&flipped) {
            Ok((artifact, origin)) => {
                accepted += 1;
                assert!(pack(&artifact, &origin) == flipped, "bit {bit} has two forms");
            }
            Err(invalid) => {
                refused += 1;
                assert!(invalid.offset <= bytes.len(), "bit {bit}: {invalid}");
            }
        }
    }
    assert!(
        refused > 1000 && accepted > 500,
        "{refused} refused, {accepted} accepted"
    );
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let bytes = packed_sample();
    for end in 0..bytes.len() {
        let invalid = unpack(&bytes[..end]).expect_err("it is cut off");
        assert!(invalid.offset <= end, "{end}: {invalid}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(unpack(&longer).is_err());
}

/// The length in the header, the way an adversary would fix it up.
fn with_true_length(mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len() as u64;
    bytes[16..24].copy_from_slice(&len.to_le_bytes());
    bytes
}

#[test]
fn truncations_with_the_right_length_are_refused() {
    let bytes = packed_sample();
    for end in HEADER_BYTES..bytes.len() {
        assert!(unpack(&with_true_length(bytes[..end].to_vec())).is_err(), "{end}");
    }
    let longer = with_true_length([&bytes[..], &[0]].concat());
    let invalid = unpack(&longer).expect_err("it is too long");
    assert_eq!(invalid.offset, bytes.len());
}

/// Each refusal says what it is and where, and the neighbour is what was refused.
#[test]
fn refusals_say_what_and_where() {
    let at = |section: &str| {
        let index = SECTIONS
            .iter()
            .position(|name| *name == section)
            .expect("it is one");
        let entry = HEADER_BYTES + 16 * index;
        let bytes = packed_sample();
        u64::from_le_bytes(bytes[entry..entry + 8].try_into().expect("eight bytes")) as usize
    };
    let cases = [
        (0, 1, 0, "no compiled artifact"),
        (8, 99, 8, "version 99 of the format"),
        (12, 9, 12, "must be 19 sections"),
        (
            HEADER_BYTES + 16,
            1,
            HEADER_BYTES + 16,
            "`target` is not where it must be",
        ),
        (at("compiler"), b'x', at("compiler"), "made by `xellwall"),
        (at("target"), 2, at("target"), "neither 0 nor 1"),
        (at("traps") + 4, 0, at("traps") + 4, "no such trap code"),
        (at("shape") + 3, 0xff, at("shape"), "not enough bytes for"),
        (at("shape") + 8, 9, at("shape") + 8, "no such value type"),
        (at("names") + 8, 0xff, at("names") + 8, "not UTF-8"),
    ];
    for (place, byte, offset, reason) in cases {
        let mut bytes = packed_sample();
        assert_ne!(bytes[place], byte);
        bytes[place] = byte;
        let invalid = unpack(&bytes).expect_err(reason);
        assert!(invalid.reason.contains(reason), "{invalid}, not {reason}");
        assert_eq!(invalid.offset, offset, "{reason}");
    }
}

/// A length that reaches beyond the file, and one that wraps.
#[test]
fn sections_lie_inside_the_file() {
    for len in [1 << 20, u64::MAX] {
        let mut bytes = packed_sample();
        bytes[HEADER_BYTES + 8..HEADER_BYTES + 16].copy_from_slice(&len.to_le_bytes());
        let invalid = unpack(&bytes).expect_err("it is too long");
        assert!(
            invalid.reason.contains("`compiler` reaches beyond the end"),
            "{invalid}"
        );
    }
}

/// What numbers alone name in an artifact. Whoever changes a line here raises FORMAT_VERSION.
#[test]
fn the_format_names_what_it_relies_on() {
    let library: Vec<_> = crate::LibCall::ALL.iter().map(|call| call.name()).collect();
    assert_eq!(
        library.join(" "),
        "MemoryGrow MemoryCopy MemoryFill MemoryInit DataDrop TableGet TableSet TableGrow TableFill \
         TableCopy TableInit ElemDrop ThrowRef RefFunc AtomicWait32 AtomicWait64 AtomicNotify"
    );
    assert_eq!(
        (FORMAT_VERSION, TrapCode::ALL.len(), SECTIONS.len()),
        (10, 15, 19)
    );
}
