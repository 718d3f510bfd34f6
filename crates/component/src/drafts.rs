//! Bytes that an earlier draft of the binary format had, as today's.
//!
//! Until component-model#716, functions of asynchronous calls said in a byte whether they could be cancelled;
//! today that byte is zero, and the validator wants it so. Components that are around have it, and may mention
//! such functions as any other; what the byte said is nothing that this runtime could do.
//!
//! Requires nothing of the bytes. Guarantees bytes of the same length that differ in such bytes alone.

use cellwall_base::Invalid;
use wasmparser::{BinaryReader, CanonicalFunction, FromReader, Parser, Payload, WasmFeatures};

/// Functions with such a byte behind their opcode.
const WITH_BYTE: [u8; 8] = [0x0c, 0x20, 0x21, 0x29, 0x2a, 0x2b, 0x2c, 0x2d];
/// Those of them with the number of a memory behind it.
const WITH_MEMORY: [u8; 2] = [0x20, 0x21];

/// Whether a component was refused because of such a byte.
pub(crate) fn is_old(invalid: &Invalid) -> bool {
    invalid.reason.contains("historically accepted as `cancellable`")
}

/// The component with such bytes cleared; `None` if it cannot be read.
pub(crate) fn renewed(bytes: &[u8], features: WasmFeatures) -> Option<Vec<u8>> {
    let mut renewed = bytes.to_vec();
    let mut parser = Parser::new(0);
    parser.set_features(features);
    for payload in parser.parse_all(bytes) {
        if let Payload::ComponentCanonicalSection(section) = payload.ok()? {
            let start = section.range().start;
            let contents = &bytes[start as usize..section.range().end as usize];
            let mut reader = BinaryReader::new(contents, start);
            for _ in 0..reader.read_var_u32().ok()? {
                renew(&mut reader, bytes, &mut renewed)?;
            }
        }
    }
    Some(renewed)
}

/// One function of a section.
fn renew(reader: &mut BinaryReader<'_>, bytes: &[u8], renewed: &mut [u8]) -> Option<()> {
    let opcode = *bytes.get(reader.original_position() as usize)?;
    if !WITH_BYTE.contains(&opcode) {
        return CanonicalFunction::from_reader(reader).ok().map(drop);
    }
    reader.read_u8().ok()?;
    let at = reader.original_position() as usize;
    if reader.read_u8().ok()? == 1 {
        renewed[at] = 0;
    }
    if WITH_MEMORY.contains(&opcode) {
        reader.read_var_u32().ok()?;
    }
    Some(())
}
