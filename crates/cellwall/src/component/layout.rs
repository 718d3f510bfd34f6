//! What memory and core values a Rust type takes as an interface type, known when it is compiled.
//!
//! The same rules as `cellwall_component`'s layouts (canonical ABI, "Alignment", "Element Size",
//! "Flattening"); that both agree is tested with random types.

use cellwall_component::MAX_FLAT_PARAMS;

/// The layout of a Rust type.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Bytes in memory, a multiple of `align`.
    pub size: u32,
    /// 1, 2, 4 or 8.
    pub align: u32,
    /// Core values, or [`TOO_MANY`].
    pub flat_count: usize,
    /// It contains a string or list of any length.
    pub pointers: bool,
    /// It contains a resource: its component's type must be known.
    pub resources: bool,
}

/// More core values than are passed as such.
pub(crate) const TOO_MANY: usize = MAX_FLAT_PARAMS + 1;

/// The smallest multiple of `align` from `offset` on.
const fn align_to(offset: u32, align: u32) -> u32 {
    (offset + align - 1) & !(align - 1)
}

const fn max(a: u32, b: u32) -> u32 {
    if a > b { a } else { b }
}

const fn few(count: usize) -> usize {
    if count > MAX_FLAT_PARAMS { TOO_MANY } else { count }
}

impl Layout {
    /// Of one core value.
    pub const fn scalar(size: u32) -> Self {
        Self {
            size,
            align: size,
            flat_count: 1,
            pointers: false,
            resources: false,
        }
    }

    /// Of an address and a length.
    pub const fn pointer(resources: bool) -> Self {
        Self {
            size: 8,
            align: 4,
            flat_count: 2,
            pointers: true,
            resources,
        }
    }

    /// Of a handle.
    pub const fn handle() -> Self {
        Self {
            resources: true,
            ..Self::scalar(4)
        }
    }

    /// Of fields.
    pub const fn record(fields: &[Self]) -> Self {
        let mut layout = Self {
            size: 0,
            align: 1,
            flat_count: 0,
            pointers: false,
            resources: false,
        };
        let mut n = 0;
        while n < fields.len() {
            let field = &fields[n];
            layout.size = align_to(layout.size, field.align) + field.size;
            layout.align = max(layout.align, field.align);
            layout.flat_count = few(layout.flat_count + field.flat_count);
            layout.pointers |= field.pointers;
            layout.resources |= field.resources;
            n += 1;
        }
        layout.size = align_to(layout.size, layout.align);
        layout
    }

    /// Where a field starts.
    pub const fn offset(fields: &[Self], field: usize) -> u32 {
        let mut offset = 0;
        let mut n = 0;
        while n < field {
            offset = align_to(offset, fields[n].align) + fields[n].size;
            n += 1;
        }
        align_to(offset, fields[field].align)
    }

    /// Where each field starts.
    pub const fn offsets<const N: usize>(fields: &[Self; N]) -> [u32; N] {
        let mut offsets = [0; N];
        let mut n = 0;
        while n < N {
            offsets[n] = Self::offset(fields, n);
            n += 1;
        }
        offsets
    }

    /// Of cases, with their payloads.
    pub const fn variant(cases: &[Option<Self>]) -> Self {
        let mut layout = Self::scalar(Self::discriminant(cases.len()));
        let (mut size, mut flat_count) = (0, 0);
        let mut n = 0;
        while n < cases.len() {
            if let Some(payload) = &cases[n] {
                size = max(size, payload.size);
                layout.align = max(layout.align, payload.align);
                if payload.flat_count > flat_count {
                    flat_count = payload.flat_count;
                }
                layout.pointers |= payload.pointers;
                layout.resources |= payload.resources;
            }
            n += 1;
        }
        layout.size = align_to(Self::payload(cases) + size, layout.align);
        layout.flat_count = few(1 + flat_count);
        layout
    }

    /// Bytes of the number of a case.
    pub const fn discriminant(cases: usize) -> u32 {
        match cases {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        }
    }

    /// Where the payload of a variant starts.
    pub const fn payload(cases: &[Option<Self>]) -> u32 {
        let mut align = 1;
        let mut n = 0;
        while n < cases.len() {
            if let Some(payload) = &cases[n] {
                align = max(align, payload.align);
            }
            n += 1;
        }
        align_to(Self::discriminant(cases.len()), align)
    }

    /// Of a set of so many flags.
    pub const fn flags(count: usize) -> Self {
        match count {
            0..=8 => Self::scalar(1),
            9..=16 => Self::scalar(2),
            _ => Self::scalar(4),
        }
    }

    /// Of so many of one kind.
    pub const fn array(element: &Self, length: usize) -> Self {
        Self {
            size: element.size * length as u32,
            flat_count: few(element.flat_count.saturating_mul(length)),
            ..*element
        }
    }
}
