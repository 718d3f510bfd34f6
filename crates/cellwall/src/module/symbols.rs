//! Source lines from the DWARF sections of a module.
//!
//! Requires nothing of the sections: what cannot be read gives no symbols. They are parsed when the
//! first line is asked for. In WebAssembly, program counters of DWARF are offsets in the contents
//! of the code section ("DWARF for WebAssembly", 2).

use cellwall_abi::Bytes;
use cellwall_wasm as wasm;
use gimli::{EndianArcSlice, LittleEndian};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// One source function at a place of the code; see [`FrameInfo::symbols`](crate::FrameInfo).
#[derive(Clone, Debug)]
pub struct FrameSymbol {
    name: Option<String>,
    file: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
}

impl FrameSymbol {
    /// The name of the function, as it is in the DWARF (not demangled).
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The source file.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line in the file, from 1.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// The column in the line, from 1.
    pub fn column(&self) -> Option<u32> {
        self.column
    }
}

type Reader = EndianArcSlice<LittleEndian>;
type Lookup = addr2line::Context<Reader>;

/// The DWARF of a module.
pub(crate) struct DebugInfo {
    /// By name.
    sections: BTreeMap<String, Bytes>,
    code_start: u32,
    /// `None` until the first question; `Some(None)` if the DWARF is broken.
    lookup: Mutex<Option<Option<Lookup>>>,
}

impl DebugInfo {
    /// That of this module, if it has any.
    pub(crate) fn of(module: &wasm::Module) -> Option<Self> {
        let bytes = |range: &Range<u32>| {
            let bytes = module.bytes().get(range.start as usize..range.end as usize);
            Bytes::from(bytes.unwrap_or_default().to_vec())
        };
        let sections: BTreeMap<_, _> = module
            .custom_sections()
            .iter()
            .filter(|section| section.name.starts_with(".debug_"))
            .map(|section| (section.name.clone(), bytes(&section.bytes)))
            .collect();
        sections.contains_key(".debug_info").then_some(Self {
            sections,
            code_start: module.code_section().start,
            lookup: Mutex::new(None),
        })
    }

    /// That of a module whose DWARF sections were kept by [`sections`](Self::sections).
    pub(crate) fn from_sections(code_start: u32, kept: Vec<(String, Bytes)>) -> Option<Self> {
        let sections: BTreeMap<_, _> = kept.into_iter().collect();
        (!sections.is_empty()).then_some(Self {
            sections,
            code_start,
            lookup: Mutex::new(None),
        })
    }

    /// Where the contents of the code section start in the binary.
    pub(crate) fn code_start(&self) -> u32 {
        self.code_start
    }

    /// The DWARF sections by name, in order of the names.
    pub(crate) fn sections(&self) -> Vec<(String, Bytes)> {
        let sections = self.sections.iter();
        sections
            .map(|(name, bytes)| (name.clone(), bytes.clone()))
            .collect()
    }

    fn section(&self, id: gimli::SectionId) -> Result<Reader, gimli::Error> {
        let bytes = self.sections.get(id.name()).map_or(&[][..], |bytes| bytes);
        Ok(Reader::new(bytes.into(), LittleEndian))
    }

    fn parse(&self) -> Option<Lookup> {
        let dwarf = gimli::Dwarf::load(|id| self.section(id)).ok()?;
        Lookup::from_dwarf(dwarf).ok()
    }

    /// The source functions at an offset of the binary, the innermost first.
    pub(crate) fn symbolicate(&self, offset: u32) -> Vec<FrameSymbol> {
        let Some(address) = offset.checked_sub(self.code_start) else {
            return Vec::new();
        };
        let mut lookup = self.lookup.lock().unwrap_or_else(PoisonError::into_inner);
        let lookup = lookup.get_or_insert_with(|| self.parse());
        let frames = lookup.as_ref().map(|lookup| lookup.find_frames(address.into()));
        let Some(Ok(mut frames)) = frames.map(|frames| frames.skip_all_loads()) else {
            return Vec::new();
        };
        let mut symbols = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location.as_ref();
            symbols.push(FrameSymbol {
                name: frame
                    .function
                    .as_ref()
                    .and_then(|function| Some(function.raw_name().ok()?.into_owned())),
                file: location.and_then(|location| location.file).map(str::to_owned),
                line: location.and_then(|location| location.line),
                column: location.and_then(|location| location.column),
            });
        }
        symbols
    }
}
