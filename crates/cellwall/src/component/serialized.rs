//! Compiled components as bytes.
//!
//! Requires nothing of the bytes that are read. Guarantees that what is accepted is a valid component,
//! planned anew, and for each of its modules and adapters an artifact of the shape that belongs there:
//! a forged file can compute something else, but nothing of another type. Judges no machine code; the
//! verifier comes next.
//!
//! # The format
//!
//! All numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`FORMAT_VERSION`] |
//! | 4 | number of artifacts |
//! | 4 | number of core modules |
//! | 4 | number of adapters |
//! | 8 | length of the file |
//! | 8 | length of the skeleton |
//! | 16 each | offset and length of each artifact, in order |
//! | 4 each | the artifact of each core module, then of each adapter |
//!
//! Then come the [skeleton](cellwall_component::skeleton()) and the artifacts ([`pack`]), each at a
//! multiple of 16, of the page if it may hold code that runs where it is; with zeros between.

use super::parts::Parts;
use crate::{Error, Result};
use cellwall_abi::artifact::PAGE;
use cellwall_abi::pack::{self, Origin};
use cellwall_abi::{Artifact, Shape};
use cellwall_base::Invalid;
use cellwall_component::{Plan, adapter};
use std::collections::BTreeMap;
use std::ops::Range;

/// How every compiled component begins.
const MAGIC: [u8; 8] = *b"\0cwcmp\r\n";
/// Version of this format, of the plans and adapters that skeletons lead to, and of how they are
/// instantiated. One more with every change.
const FORMAT_VERSION: u32 = 1;
/// Bytes before the tables.
const HEADER_BYTES: usize = 40;
/// Multiples at which skeleton and artifacts start.
const ALIGN: usize = 16;

/// An artifact and what is told of its module.
pub(crate) type Unpacked = (Artifact, Origin);

/// Whether these bytes begin as a compiled component does; nothing else is looked at.
pub(crate) fn is_serialized(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The bytes of a component. `modules` and `adapters` are rows of `artifacts`.
pub(crate) fn write(skeleton: &[u8], modules: &[u32], adapters: &[u32], artifacts: &[Vec<u8>]) -> Vec<u8> {
    let tables = 16 * artifacts.len() + 4 * (modules.len() + adapters.len());
    let mut end = HEADER_BYTES + tables;
    let mut place = |len: usize| {
        let start = end.next_multiple_of(alignment(len));
        end = start + len;
        start
    };
    let skeleton_start = place(skeleton.len());
    let starts: Vec<usize> = artifacts.iter().map(|artifact| place(artifact.len())).collect();

    let mut to = Vec::with_capacity(end);
    to.extend(MAGIC);
    let counts = [artifacts.len(), modules.len(), adapters.len()];
    to.extend(FORMAT_VERSION.to_le_bytes());
    for count in counts {
        to.extend((count as u32).to_le_bytes());
    }
    to.extend((end as u64).to_le_bytes());
    to.extend((skeleton.len() as u64).to_le_bytes());
    for (start, artifact) in starts.iter().zip(artifacts) {
        to.extend((*start as u64).to_le_bytes());
        to.extend((artifact.len() as u64).to_le_bytes());
    }
    for row in modules.iter().chain(adapters) {
        to.extend(row.to_le_bytes());
    }
    to.resize(skeleton_start, 0);
    to.extend(skeleton);
    for (start, artifact) in starts.into_iter().zip(artifacts) {
        to.resize(start, 0);
        to.extend(artifact);
    }
    to
}

/// The multiple at which so many bytes start.
fn alignment(len: usize) -> usize {
    match len < pack::IN_PLACE_BYTES_MIN {
        true => ALIGN,
        false => PAGE as usize,
    }
}

/// A file that was taken apart; nothing in its parts was looked at.
pub(crate) struct Contents<'a> {
    pub(crate) skeleton: &'a [u8],
    pub(crate) artifacts: Vec<Range<usize>>,
    modules: Vec<u32>,
    adapters: Vec<u32>,
}

/// What a component is made of once its parts fit together.
pub(crate) struct Accepted {
    pub(crate) plan: Plan,
    pub(crate) parts: Vec<Unpacked>,
    pub(crate) modules: Vec<u32>,
    pub(crate) adapters: BTreeMap<u32, (u32, Vec<adapter::Import>)>,
}

fn fail<T>(offset: usize, reason: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid {
        offset,
        reason: reason.into(),
    })
}

/// Reads numbers from the front.
struct Numbers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Numbers<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => fail(self.at, "the header ends too early"),
        }
    }

    fn word(&mut self) -> Result<u32, Invalid> {
        self.array().map(u32::from_le_bytes)
    }

    fn len(&mut self) -> Result<usize, Invalid> {
        let len = u64::from_le_bytes(self.array()?);
        Ok(usize::try_from(len).unwrap_or(usize::MAX))
    }
}

/// Takes a file apart.
///
/// # Errors
/// The first place where it is not what [`write`] makes.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents<'_>, Error> {
    parse(bytes).map_err(|invalid| {
        let what = match bytes {
            bytes if pack::is_packed(bytes) => "this is a compiled module, which `Module::deserialize` loads",
            bytes if bytes.starts_with(b"\0asm") => {
                "this is a WebAssembly binary, which `Component::new` compiles"
            }
            _ => return Error::new(invalid),
        };
        Error::new(invalid).context(what)
    })
}

fn parse(bytes: &[u8]) -> Result<Contents<'_>, Invalid> {
    let mut header = Numbers { bytes, at: 0 };
    if header.array::<8>()? != MAGIC {
        return fail(0, "this is no compiled component (.cwall)");
    }
    let version = header.word()?;
    if version != FORMAT_VERSION {
        return fail(
            8,
            format!(
                "the component has version {version} of the format, and this reads {FORMAT_VERSION}: compile it again"
            ),
        );
    }
    let (artifacts, modules, adapters) = (header.word()?, header.word()?, header.word()?);
    if header.len()? != bytes.len() {
        return fail(24, format!("the file has another length: {}", bytes.len()));
    }
    let skeleton_bytes = header.len()?;
    let tables = 16 * u64::from(artifacts) + 4 * (u64::from(modules) + u64::from(adapters));
    if tables > (bytes.len() - header.at) as u64 {
        return fail(12, "the tables reach beyond the end");
    }
    let mut end = HEADER_BYTES + tables as usize;
    let mut take = |start: Option<usize>, len: usize, at: usize| {
        // Cannot overflow: `end` is at most the length of the file.
        let expected = end.next_multiple_of(alignment(len));
        let is_gap = |gap: &[u8]| gap.iter().all(|&byte| byte == 0);
        if start.is_some_and(|start| start != expected) || !bytes.get(end..expected).is_some_and(is_gap) {
            return fail(at, "a part is not where it must be");
        }
        if bytes[expected..].len() < len {
            return fail(at, "a part reaches beyond the end");
        }
        end = expected + len;
        Ok(expected..end)
    };
    let skeleton = take(None, skeleton_bytes, 32)?;
    let mut ranges = Vec::with_capacity(artifacts as usize);
    for _ in 0..artifacts {
        let at = header.at;
        let (start, len) = (header.len()?, header.len()?);
        ranges.push(take(Some(start), len, at)?);
    }
    if end != bytes.len() {
        return fail(end, "there are bytes after the last part");
    }
    let mut rows = |count: u32| {
        let mut rows = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (at, row) = (header.at, header.word()?);
            if row >= artifacts {
                return fail(at, "there is no such artifact");
            }
            rows.push(row);
        }
        Ok(rows)
    };
    let (modules, adapters) = (rows(modules)?, rows(adapters)?);
    Ok(Contents {
        skeleton: &bytes[skeleton],
        artifacts: ranges,
        modules,
        adapters,
    })
}

impl Contents<'_> {
    /// Plans the component again, and compares each artifact with what belongs in its place.
    pub(crate) fn check(
        &self,
        unpack: impl Fn(Range<usize>) -> Result<Unpacked, Invalid>,
    ) -> Result<Accepted> {
        let plan = cellwall_component::plan(self.skeleton)?;
        let expected = Parts::of(&plan, self.skeleton)?;
        let mut parts = Vec::with_capacity(self.artifacts.len());
        for range in &self.artifacts {
            parts.push(unpack(range.clone())?);
        }
        if self.modules.len() != expected.modules.len() || self.adapters.len() != expected.adapters.len() {
            fail(16, "the component has another number of modules or adapters")?;
        }
        let mut shapes: Vec<Option<Shape>> = vec![None; expected.wasm.len()];
        let mut same = |wanted: u32, found: u32| -> Result<()> {
            let shape = &mut shapes[wanted as usize];
            let shape = match shape {
                Some(shape) => shape,
                None => {
                    let module = cellwall_wasm::decode(&*expected.wasm[wanted as usize].binary)?;
                    shape.insert(outside(cellwall_link::shape(&module)))
                }
            };
            if outside(parts[found as usize].0.shape.clone()) != *shape {
                let offset = self.artifacts[found as usize].start;
                fail(
                    offset,
                    "this artifact is of another module than the component has",
                )?;
            }
            Ok(())
        };
        for (wanted, found) in expected.modules.iter().zip(&self.modules) {
            same(*wanted, *found)?;
        }
        let mut adapters = BTreeMap::new();
        for ((trampoline, (wanted, imports)), found) in expected.adapters.into_iter().zip(&self.adapters) {
            same(wanted, *found)?;
            adapters.insert(trampoline, (*found, imports));
        }
        Ok(Accepted {
            plan,
            parts,
            modules: self.modules.clone(),
            adapters,
        })
    }
}

/// A shape without what a skeleton does not have.
fn outside(shape: Shape) -> Shape {
    Shape {
        data: Default::default(),
        elements: Default::default(),
        start: None,
        ..shape
    }
}

/// The artifacts of a compiled component, with what each one is.
pub(crate) fn modules_of(bytes: &[u8]) -> Result<Vec<(String, Artifact)>> {
    let contents = read(bytes)?;
    let accepted = contents.check(|range| pack::unpack(&bytes[range]))?;
    let name = |(index, (artifact, origin)): (usize, Unpacked)| {
        let is_module = accepted.modules.contains(&(index as u32));
        let what = if is_module { "core module" } else { "adapter" };
        let name = origin.name.map(|name| format!(" ({})", name.escape_debug()));
        (format!("{what} {index}{}", name.unwrap_or_default()), artifact)
    };
    Ok(accepted.parts.into_iter().enumerate().map(name).collect())
}
