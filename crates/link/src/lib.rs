//! Projects the shape of a module, and links the code blobs of either tier into an artifact.
//!
//! Requires blobs that belong to the module. Guarantees a deterministic, flat image: equal inputs
//! give equal bytes, whatever the order in which blobs were compiled. Neither compiles nor verifies;
//! nothing here is trusted.

mod shape;

pub use shape::shape;

use cellwall_abi::artifact::{FUNC_ALIGN, PADDING};
use cellwall_abi::{
    Artifact, CallSite, CodeBlob, FuncRange, InlinedCall, InlinedSite, JumpTable, LandingPad, RelocKind,
    Shape, Target, TrapSite,
};
use cellwall_base::{EntityId, FuncIdx, IdMap, Limit};
use cellwall_wasm::Module;

/// Bytes of code, constants and tables of one module: what a 32-bit displacement reaches.
const IMAGE_BYTES_MAX: usize = (1 << 31) - (1 << 16);
/// Alignment of constants in `rodata`.
const RODATA_ALIGN: usize = 16;

/// Where the parts of one blob went.
#[derive(Clone, Debug, Default)]
struct Placed {
    text: u32,
    rodata: u32,
    jump_tables: Vec<u32>,
}

/// Links blobs into an artifact. `shape` is the one that [`shape()`] projects from `module`.
///
/// # Errors
/// If the image would be larger than displacements reach.
///
/// # Panics
/// If a blob does not belong to the module, comes twice, or refers to a function without a blob.
pub fn link(
    module: &Module,
    shape: Shape,
    mut blobs: Vec<CodeBlob>,
    target: &Target,
) -> Result<Artifact, Limit> {
    blobs.sort_by_key(|blob| blob.func);
    let mut artifact = Artifact {
        target: *target,
        text: Default::default(),
        rodata: Default::default(),
        funcs: Vec::with_capacity(blobs.len()),
        jump_tables: Vec::new(),
        traps: Vec::with_capacity(blobs.iter().map(|b| b.traps.len()).sum()),
        calls: Vec::with_capacity(blobs.iter().map(|b| b.calls.len()).sum()),
        pads: Vec::new(),
        unwind: Vec::new(),
        heads: Vec::new(),
        inlined: Vec::new(),
        inlined_sites: Vec::new(),
        data: data(module).into(),
        names: names(module),
        shape,
    };
    let mut places: IdMap<FuncIdx, Option<Placed>> = IdMap::filled(None, artifact.shape.funcs.len());
    for blob in &blobs {
        let placed = place(&mut artifact, blob)?;
        assert!(places[blob.func].is_none(), "{} comes once", blob.func);
        places[blob.func] = Some(placed);
    }
    for blob in &blobs {
        resolve(&mut artifact, blob, &places);
    }
    Ok(artifact)
}

/// Appends the parts of a blob, unresolved.
fn place(artifact: &mut Artifact, blob: &CodeBlob) -> Result<Placed, Limit> {
    pad(artifact.text.to_mut(), FUNC_ALIGN as usize, PADDING);
    if !blob.rodata.is_empty() {
        pad(artifact.rodata.to_mut(), RODATA_ALIGN, 0);
    }
    let mut placed = Placed {
        text: artifact.text.len() as u32,
        rodata: artifact.rodata.len() as u32,
        jump_tables: Vec::with_capacity(blob.jump_tables.len()),
    };
    artifact.text.to_mut().extend_from_slice(&blob.code);
    artifact.rodata.to_mut().extend_from_slice(&blob.rodata);
    for table in &blob.jump_tables {
        pad(artifact.rodata.to_mut(), 4, 0);
        let offset = artifact.rodata.len();
        placed.jump_tables.push(offset as u32);
        artifact.rodata.to_mut().resize(offset + 4 * table.len(), 0);
        artifact.jump_tables.push(JumpTable {
            offset: offset as u32,
            len: table.len() as u32,
            func: blob.func,
        });
        if artifact.rodata.len() > IMAGE_BYTES_MAX {
            break;
        }
    }
    if artifact.text.len() + artifact.rodata.len() > IMAGE_BYTES_MAX {
        return Err(Limit {
            what: "bytes of code and constants of a module",
            max: IMAGE_BYTES_MAX as u64,
        });
    }
    let start = placed.text;
    artifact.funcs.push(FuncRange {
        func: blob.func,
        start,
        len: blob.code.len() as u32,
    });
    artifact.traps.extend(blob.traps.iter().map(|site| TrapSite {
        pc: start + site.pc,
        ..*site
    }));
    artifact.calls.extend(blob.calls.iter().map(|call| CallSite {
        return_pc: start + call.return_pc,
        ..*call
    }));
    artifact.pads.extend(blob.pads.iter().map(|pad| LandingPad {
        return_pc: start + pad.return_pc,
        pad: start + pad.pad,
        ..*pad
    }));
    artifact
        .unwind
        .extend(blob.unwind.iter().map(|row| cellwall_abi::UnwindRow {
            pc: start + row.pc,
            ..*row
        }));
    artifact.heads.extend(blob.heads.iter().map(|pc| start + pc));
    let first = artifact.inlined.len() as u32;
    artifact
        .inlined
        .extend(blob.inlined.iter().map(|call| InlinedCall {
            parent: call.parent.map(|parent| first + parent),
            ..*call
        }));
    artifact
        .inlined_sites
        .extend(blob.inlined_sites.iter().map(|site| InlinedSite {
            pc: start + site.pc,
            call: first + site.call,
        }));
    Ok(placed)
}

/// Fills in the displacements of a blob and the entries of its jump tables.
fn resolve(artifact: &mut Artifact, blob: &CodeBlob, places: &IdMap<FuncIdx, Option<Placed>>) {
    let of = |func: FuncIdx| {
        places[func]
            .as_ref()
            .expect("every function that is called has a blob")
    };
    let placed = of(blob.func);
    // `text` is complete, so the place of `rodata` is known.
    let rodata = artifact.rodata_offset();
    for reloc in &blob.relocs {
        let to = match reloc.kind {
            RelocKind::Func(func) => of(func).text,
            RelocKind::Rodata(offset) => rodata + placed.rodata + offset,
            RelocKind::JumpTable(table) => rodata + placed.jump_tables[table as usize],
        };
        let at = (placed.text + reloc.at) as usize;
        let distance = i64::from(to) - (at as i64 + 4 + i64::from(reloc.tail));
        let distance = i32::try_from(distance).expect("the image is limited");
        artifact.text[at..at + 4].copy_from_slice(&distance.to_le_bytes());
    }
    for (table, targets) in blob.jump_tables.iter().enumerate() {
        let start = placed.jump_tables[table];
        for (entry, target) in targets.iter().enumerate() {
            let distance = i64::from(placed.text + target) - i64::from(rodata + start);
            let distance = i32::try_from(distance).expect("the image is limited");
            let at = start as usize + 4 * entry;
            artifact.rodata[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }
}

fn pad(bytes: &mut Vec<u8>, align: usize, with: u8) {
    bytes.resize(bytes.len().next_multiple_of(align), with);
}

fn data(module: &Module) -> Vec<u8> {
    let bytes = module.bytes();
    module
        .data()
        .values()
        .flat_map(|segment| &bytes[segment.bytes.start as usize..segment.bytes.end as usize])
        .copied()
        .collect()
}

fn names(module: &Module) -> Vec<(FuncIdx, String)> {
    (0..module.funcs().len())
        .map(FuncIdx::new)
        .filter_map(|func| module.func_name(func).map(|name| (func, name.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellwall_abi::{CpuFeatures, Reloc, TrapCode, UnwindRow};

    fn blob(func: u32, code: &[u8], relocs: Vec<Reloc>) -> CodeBlob {
        CodeBlob {
            func: FuncIdx::from_u32(func),
            code: code.to_vec(),
            relocs,
            rodata: vec![1, 2, 3],
            jump_tables: vec![vec![0, 5]],
            traps: vec![TrapSite {
                pc: 1,
                code: TrapCode::Unreachable,
                wasm_offset: 7,
            }],
            calls: vec![CallSite {
                return_pc: 5,
                wasm_offset: 8,
            }],
            pads: Vec::new(),
            unwind: vec![UnwindRow {
                pc: 0,
                frame_bytes: 0,
            }],
            heads: vec![0, 5],
            inlined: Vec::new(),
            inlined_sites: Vec::new(),
        }
    }

    fn linked(blobs: Vec<CodeBlob>) -> Artifact {
        let text = r#"(module (func $a) (func $b) (memory 1) (data "xyz"))"#;
        let module = cellwall_wasm::decode(wat::parse_str(text).expect("a module")).expect("valid");
        let shape = shape(&module);
        link(&module, shape, blobs, &Target::new(CpuFeatures::default())).expect("small")
    }

    fn two() -> Vec<CodeBlob> {
        let call = Reloc {
            at: 1,
            tail: 0,
            kind: RelocKind::Func(FuncIdx::from_u32(0)),
        };
        let table = Reloc {
            at: 1,
            tail: 0,
            kind: RelocKind::JumpTable(0),
        };
        vec![
            blob(1, &[0xe8, 0, 0, 0, 0, 0xc3], vec![call]),
            blob(0, &[0x90, 0, 0, 0, 0, 0xc3], vec![table]),
        ]
    }

    #[test]
    fn displacements_meet_their_targets() {
        let artifact = linked(two());
        let field = |at: usize| i32::from_le_bytes(artifact.text[at..at + 4].try_into().expect("four bytes"));
        assert_eq!(
            artifact.funcs.iter().map(|f| f.start).collect::<Vec<_>>(),
            [0, 64]
        );
        assert_eq!(64 + 5 + field(65), 0, "the call goes to the first function");
        let table = artifact.rodata_offset() as i32 + 4;
        assert_eq!(
            5 + field(1),
            table,
            "the table of the first function lies behind its constants"
        );
        let entry =
            |i: usize| i32::from_le_bytes(artifact.rodata[4 + 4 * i..8 + 4 * i].try_into().expect("four"));
        assert_eq!([table + entry(0), table + entry(1)], [0, 5]);
        assert_eq!(artifact.traps.iter().map(|t| t.pc).collect::<Vec<_>>(), [1, 65]);
        assert_eq!(artifact.text[6..64], [PADDING; 58]);
        assert_eq!(&artifact.data[..], b"xyz");
        assert_eq!(artifact.name(FuncIdx::from_u32(1)), Some("b"));
    }

    #[test]
    fn the_order_of_blobs_does_not_matter() {
        let mut reversed = two();
        reversed.reverse();
        assert_eq!(linked(two()), linked(reversed));
    }

    #[test]
    #[should_panic(expected = "comes once")]
    fn a_blob_that_comes_twice_is_refused() {
        let first = || blob(0, &[0xc3, 0, 0, 0, 0, 0xc3], Vec::new());
        linked(vec![first(), first()]);
    }
}
