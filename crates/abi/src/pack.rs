//! Packed artifacts (`.cwall`): linked code of one module as a flat sequence of bytes.
//!
//! Requires nothing of the bytes: [`unpack`] may be given any. Guarantees that both directions are
//! exact inverses (equal artifacts give equal bytes, and bytes that are accepted are those that
//! [`pack`] makes of the result), that reading neither panics nor allocates more than a small
//! multiple of the input, and that each refusal says where. Deliberately judges no meaning: what
//! was read is as untrusted as the file, and the verifier comes next.
//!
//! # The format
//!
//! All numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`FORMAT_VERSION`] |
//! | 4 | number of sections |
//! | 8 | length of the file |
//! | 16 each | offset and length of each section, in order |
//!
//! Sections follow one another at multiples of 16, with zeros between; all of [`SECTIONS`] are
//! there, in this order. If `text` has at least [`IN_PLACE_BYTES_MIN`] bytes, then it, `rodata` and
//! what follows start at multiples of [`PAGE`], and [`PADDING`] fills the last page of `text`: the
//! file holds the image as it is mapped, and nothing unproven shares a page with code. A table is its rows, a string its length in 4 bytes and then UTF-8, a list
//! its length in 4 bytes and then the items, an option a byte 0 or 1 and then the item.

mod bytes;
mod shape;

use self::bytes::{Pack, Reader, Row, Writer, packed, rows as packed_rows};
use crate::artifact::{Artifact, FuncRange, JumpTable, PADDING, PAGE};
use crate::blob::{CallSite, InlinedCall, InlinedSite, LandingPad, TrapSite, UnwindRow};
use crate::bytes::Bytes;
use crate::shape::Shape;
use crate::shape::{
    DataSegment, ElementSegment, Export, GlobalShape, Import, MemoryShape, TableShape, TagShape,
};
use crate::target::{CpuFeatures, Target};
use crate::traps::TrapCode;
use crate::types::Signature;
use cellwall_base::types::ExactTypes;
use cellwall_base::{
    DataIdx, ElemIdx, FuncIdx, GlobalIdx, IdMap, Invalid, MemoryIdx, TableIdx, TagIdx, TypeIdx,
};

/// How every packed artifact begins.
pub const MAGIC: [u8; 8] = *b"\0cwall\r\n";
/// Version of this format and of everything in it that only numbers name: the layout of the
/// context, the calling convention, trap codes and library calls. One more with every change.
pub const FORMAT_VERSION: u32 = 10;
/// Who packs here. Artifacts of another version are refused: their code would be proven again, but
/// may mean something else by the same numbers.
pub const COMPILER: &str = concat!("cellwall ", env!("CARGO_PKG_VERSION"));

/// The sections, in order.
pub const SECTIONS: [&str; 19] = [
    "compiler",
    "target",
    "shape",
    "text",
    "rodata",
    "functions",
    "jump tables",
    "traps",
    "calls",
    "landing pads",
    "unwind",
    "heads",
    "inlined calls",
    "inlined sites",
    "data",
    "names",
    "module name",
    "bodies",
    "debug",
];

/// Multiples at which sections start.
const ALIGN: usize = 16;
/// Bytes of `text` from which on the image lies in the file at multiples of the page, so that it can
/// run where it is. Less is copied, which costs less than the space between.
pub const IN_PLACE_BYTES_MIN: usize = 16 << 10;
/// Bytes before the table of sections.
const HEADER_BYTES: usize = 24;
/// Bytes before the first section.
const TABLE_END: usize = HEADER_BYTES + 16 * SECTIONS.len();

/// What is told of a module beside its code: for messages only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// Its name, from the name section.
    pub name: Option<String>,
    /// Where the body of each defined function starts in the binary.
    pub body_starts: Vec<u32>,
    /// Where the contents of the code section start in the binary.
    pub code_start: u32,
    /// Its DWARF sections, by name.
    pub debug: Vec<(String, Bytes)>,
}

/// Whether these bytes begin as a packed artifact does; nothing else is looked at.
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The bytes of an artifact.
///
/// # Panics
/// If a list has more than 2³² items; the linker makes none.
pub fn pack(artifact: &Artifact, origin: &Origin) -> Vec<u8> {
    let Artifact {
        target,
        shape,
        text,
        rodata,
        funcs,
        jump_tables,
        traps,
        calls,
        pads,
        unwind,
        heads,
        inlined,
        inlined_sites,
        data,
        names,
    } = artifact;
    let Origin {
        name,
        body_starts,
        code_start,
        debug,
    } = origin;
    let mut file = Sections::begin(text.len());
    file.section(|to| to.raw(COMPILER.as_bytes()));
    file.section(|to| target.write(to));
    file.section(|to| shape.write(to));
    file.section(|to| to.raw(text));
    file.section(|to| to.raw(rodata));
    file.section(|to| rows(funcs, to));
    file.section(|to| rows(jump_tables, to));
    file.section(|to| rows(traps, to));
    file.section(|to| rows(calls, to));
    file.section(|to| rows(pads, to));
    file.section(|to| rows(unwind, to));
    file.section(|to| rows(heads, to));
    file.section(|to| rows(inlined, to));
    file.section(|to| rows(inlined_sites, to));
    file.section(|to| to.raw(data));
    file.section(|to| rows(names, to));
    file.section(|to| name.write(to));
    file.section(|to| rows(body_starts, to));
    file.section(|to| {
        code_start.write(to);
        debug.write(to);
    });
    file.end()
}

/// The artifact of these bytes, not yet proven to be safe.
///
/// # Errors
/// The first place where the bytes are not what [`pack`] would write; first of all if the format or
/// the compiler is another version than this one.
pub fn unpack(bytes: &[u8]) -> Result<(Artifact, Origin), Invalid> {
    read(Contents::of(bytes, None)?)
}

/// Like [`unpack`], of bytes that are frozen: what need not be copied refers to them.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_frozen(bytes: &::bytes::Bytes) -> Result<(Artifact, Origin), Invalid> {
    read(Contents::of(bytes, Some(bytes))?)
}

fn read(mut file: Contents<'_>) -> Result<(Artifact, Origin), Invalid> {
    let compiler = file.next();
    if compiler.rest() != COMPILER.as_bytes() {
        let by = String::from_utf8_lossy(compiler.rest()).into_owned();
        let by: String = by.chars().take(64).filter(|c| !c.is_control()).collect();
        return compiler.fail(format!(
            "made by `{by}`, and this is `{COMPILER}`: compile it again"
        ));
    }
    let artifact = Artifact {
        target: file.next().whole()?,
        shape: file.next().whole()?,
        text: file.next().rest_bytes(),
        rodata: file.next().rest_bytes(),
        funcs: file.next().rows()?,
        jump_tables: file.next().rows()?,
        traps: file.next().rows()?,
        calls: file.next().rows()?,
        pads: file.next().items()?,
        unwind: file.next().rows()?,
        heads: file.next().rows()?,
        inlined: file.next().items()?,
        inlined_sites: file.next().rows()?,
        data: file.next().rest_bytes(),
        names: file.next().items()?,
    };
    let name = file.next().whole()?;
    let body_starts = file.next().rows()?;
    let (code_start, debug) = file.next().whole()?;
    let origin = Origin {
        name,
        body_starts,
        code_start,
        debug,
    };
    Ok((artifact, origin))
}

fn rows<T: Pack>(rows: &[T], to: &mut Writer) {
    rows.iter().for_each(|row| row.write(to));
}

/// A file in the making.
struct Sections {
    file: Writer,
    /// Offset and length of each section so far.
    table: Vec<(u64, u64)>,
    text_bytes: usize,
}

impl Sections {
    fn begin(text_bytes: usize) -> Self {
        let mut file = Writer::default();
        file.raw(&[0; TABLE_END]);
        Self {
            file,
            table: Vec::with_capacity(SECTIONS.len()),
            text_bytes,
        }
    }

    fn section(&mut self, write: impl FnOnce(&mut Writer)) {
        let (align, fill) = placing(SECTIONS[self.table.len()], self.text_bytes);
        self.file.align(align, fill);
        let start = self.file.len();
        write(&mut self.file);
        self.table.push((start as u64, (self.file.len() - start) as u64));
    }

    fn end(self) -> Vec<u8> {
        assert_eq!(self.table.len(), SECTIONS.len(), "every section was written");
        let mut header = Writer::default();
        header.raw(&MAGIC);
        FORMAT_VERSION.write(&mut header);
        (SECTIONS.len() as u32).write(&mut header);
        (self.file.len() as u64).write(&mut header);
        rows(&self.table, &mut header);
        let mut bytes = self.file.into_bytes();
        bytes[..TABLE_END].copy_from_slice(&header.into_bytes());
        bytes
    }
}

/// The multiples at which a section starts, and what fills the gap before it, if `text` has so many
/// bytes.
pub fn placing(section: &str, text_bytes: usize) -> (usize, u8) {
    match section {
        _ if text_bytes < IN_PLACE_BYTES_MIN => (ALIGN, 0),
        "rodata" => (PAGE as usize, PADDING),
        "text" | "functions" => (PAGE as usize, 0),
        _ => (ALIGN, 0),
    }
}

/// The sections of a file that is being read.
struct Contents<'a> {
    sections: std::vec::IntoIter<Reader<'a>>,
}

impl<'a> Contents<'a> {
    /// Checks header and table: the sections cover the file, in order.
    fn of(bytes: &'a [u8], frozen: Option<&'a ::bytes::Bytes>) -> Result<Self, Invalid> {
        let mut header = Reader::new("header", bytes, 0);
        if header.array::<8>()? != MAGIC {
            return Reader::new("header", bytes, 0).fail("this is no compiled artifact (.cwall)");
        }
        let at = header;
        let version = u32::read(&mut header)?;
        if version != FORMAT_VERSION {
            return at.fail(format!(
                "the artifact has version {version} of the format, and this reads {FORMAT_VERSION}: compile it again"
            ));
        }
        let at = header;
        if u32::read(&mut header)? as usize != SECTIONS.len() {
            return at.fail(format!("there must be {} sections", SECTIONS.len()));
        }
        let at = header;
        if u64::read(&mut header)? != bytes.len() as u64 {
            return at.fail(format!("the file has another length: {}", bytes.len()));
        }
        let mut end = TABLE_END;
        let mut text_bytes = 0;
        let mut sections = Vec::with_capacity(SECTIONS.len());
        for name in SECTIONS {
            let at = header;
            let (start, len) = <(u64, u64)>::read(&mut header)?;
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if name == "text" {
                text_bytes = len;
            }
            let (align, fill) = placing(name, text_bytes);
            // Cannot overflow: `end` is at most the length of the file.
            let expected = end.next_multiple_of(align);
            let filled = |gap: &[u8]| gap.iter().all(|&byte| byte == fill);
            if start != expected as u64 || !bytes.get(end..expected).is_some_and(filled) {
                return at.fail(format!("section `{name}` is not where it must be"));
            }
            let Some(section) = bytes[expected..].get(..len) else {
                return at.fail(format!("section `{name}` reaches beyond the end"));
            };
            sections.push(Reader::new(name, section, expected).frozen(frozen));
            end = expected + section.len();
        }
        if end != bytes.len() {
            return Reader::new("file", &bytes[end..], end).fail("there are bytes after the last section");
        }
        Ok(Self {
            sections: sections.into_iter(),
        })
    }

    fn next(&mut self) -> Reader<'a> {
        self.sections
            .next()
            .expect("`unpack` takes each of SECTIONS once")
    }
}

packed_rows! {
    FuncRange { func: FuncIdx, start: u32, len: u32 }
    JumpTable { offset: u32, len: u32, func: FuncIdx }
    TrapSite { pc: u32, code: TrapCode, wasm_offset: u32 }
    CallSite { return_pc: u32, wasm_offset: u32 }
    InlinedSite { pc: u32, call: u32 }
    UnwindRow { pc: u32, frame_bytes: u32 }
}

packed! {
    LandingPad { return_pc: u32, pad: u32, tag: Option<TagIdx>, with_ref: bool }
    InlinedCall { func: FuncIdx, wasm_offset: u32, parent: Option<u32> }
    Target { features: CpuFeatures, memory_reservation_bytes: u64, memory_guard_bytes: u64, stack_guard_bytes: u32, relaxed_simd_deterministic: bool, canonical_nans: bool }
    CpuFeatures { popcnt: bool, lzcnt: bool, bmi1: bool, bmi2: bool, avx: bool, avx2: bool, fma: bool }
    Shape {
        types: IdMap<TypeIdx, Signature>,
        canonical_types: IdMap<TypeIdx, TypeIdx>,
        exact_types: ExactTypes,
        funcs: IdMap<FuncIdx, TypeIdx>,
        imported_funcs: u32,
        memories: IdMap<MemoryIdx, MemoryShape>,
        tables: IdMap<TableIdx, TableShape>,
        globals: IdMap<GlobalIdx, GlobalShape>,
        tags: IdMap<TagIdx, TagShape>,
        imports: Vec<Import>,
        exports: Vec<Export>,
        data: IdMap<DataIdx, DataSegment>,
        elements: IdMap<ElemIdx, ElementSegment>,
        start: Option<FuncIdx>
    }
}

impl Row for TrapCode {
    #[inline]
    fn parse(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [number] => Self::from_u8(number),
            _ => None,
        }
    }
}

impl Pack for TrapCode {
    const BYTES_MIN: usize = 1;

    fn write(&self, to: &mut Writer) {
        (*self as u8).write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Invalid> {
        let at = *from;
        match Self::from_u8(u8::read(from)?) {
            Some(code) => Ok(code),
            None => at.fail("no such trap code"),
        }
    }
}

#[cfg(test)]
mod tests;
