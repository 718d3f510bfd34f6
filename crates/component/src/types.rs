//! Interface types and their layouts (canonical ABI, "Alignment", "Element Size", "Flattening").
//!
//! A type knows its layout from the moment it is made, so that asking costs nothing and types that
//! share parts stay linear in their definition. Resources are concrete: a plan numbers them.

use cellwall_base::Limit;
use std::sync::Arc;

use crate::limits::TYPE_DEPTH_MAX;

/// Parameters that are passed as core values; more go through memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// Parameters that are passed as core values where the side that calls gets the state of the call.
const MAX_FLAT_ASYNC_PARAMS: usize = 4;
/// Results that are passed as core values; more go through memory.
pub const MAX_FLAT_RESULTS: usize = 1;

/// A resource type of a plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ResourceId(pub u32);

/// A core value type that interface types flatten to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Flat {
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
}

impl Flat {
    /// The type that holds the bits of either.
    fn join(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::I32, Self::F32) | (Self::F32, Self::I32) => Self::I32,
            _ => Self::I64,
        }
    }
}

/// An interface type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum ValType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    /// A list, of fixed length or not.
    List(Arc<List>),
    /// A map, as the list of its entries (pairs).
    Map(Arc<List>),
    Record(Arc<Fields>),
    /// Fields without names.
    Tuple(Arc<Fields>),
    Variant(Arc<Variant>),
    Enum(Arc<Variant>),
    /// Cases `none` and `some`.
    Option(Arc<Variant>),
    /// Cases `ok` and `error`.
    Result(Arc<Variant>),
    Flags(Arc<Flags>),
    Own(ResourceId),
    Borrow(ResourceId),
}

/// What memory and core values a type takes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Layout {
    /// Bytes in memory, a multiple of `align`.
    pub size: u32,
    /// 1, 2, 4 or 8.
    pub align: u32,
    /// Core values; `None` if there are more than [`MAX_FLAT_PARAMS`].
    pub flat: Option<Arc<[Flat]>>,
    /// Any bytes are a value, and the same in each memory: it can be copied as it is.
    pub plain: bool,
    /// It contains a `borrow`.
    pub borrows: bool,
    /// It contains a string or list of any length.
    pub pointers: bool,
    depth: u32,
}

/// A list or map.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct List {
    /// The type of its elements.
    pub element: ValType,
    /// How many there are; `None` if a value says.
    pub length: Option<u32>,
    layout: Layout,
}

/// A record or tuple.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fields {
    /// Name (empty in a tuple), type and offset in bytes of each field.
    pub fields: Box<[(Arc<str>, ValType, u32)]>,
    layout: Layout,
}

/// A case of a variant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Case {
    /// Its name.
    pub name: Arc<str>,
    /// The type of its payload.
    pub ty: Option<ValType>,
}

/// A variant, enum, option or result.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Variant {
    /// Its cases, at least one.
    pub cases: Box<[Case]>,
    /// Bytes of the discriminant: 1, 2 or 4.
    pub discriminant: u32,
    /// Where the payload starts.
    pub payload_offset: u32,
    layout: Layout,
}

/// A set of flags.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flags {
    /// Their names, from the lowest bit on.
    pub names: Box<[Arc<str>]>,
    layout: Layout,
}

/// A function type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FuncType {
    /// Parameters, as they are laid out when they go through memory.
    pub params: Arc<Fields>,
    /// The result.
    pub result: Option<ValType>,
    /// How it is called.
    pub kind: FuncKind,
}

/// How functions of a type are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FuncKind {
    /// They return before the caller goes on.
    Sync,
    /// They are declared `async`.
    Async,
    /// They have values that belong to asynchronous calls alone, and nothing more is known of the type.
    Opaque,
}

/// The smallest multiple of `align` (a power of two) from `offset` on.
pub fn align_to(offset: u32, align: u32) -> u32 {
    (offset + align - 1) & !(align - 1)
}

static FLAT_I32: [Flat; 1] = [Flat::I32];

fn scalar(size: u32, flat: Flat, plain: bool) -> Layout {
    Layout {
        size,
        align: size,
        flat: Some(Arc::new([flat])),
        plain,
        borrows: false,
        pointers: false,
        depth: 0,
    }
}

impl Layout {
    /// The layout around a part: deeper, with what the part contains.
    fn deeper(&mut self, part: &Layout) -> Result<(), Limit> {
        self.borrows |= part.borrows;
        self.pointers |= part.pointers;
        self.depth = self.depth.max(part.depth + 1);
        if self.depth > TYPE_DEPTH_MAX {
            let max = TYPE_DEPTH_MAX.into();
            let what = "type nesting is too deep: the depth of a value type";
            return Err(Limit { what, max });
        }
        Ok(())
    }
}

fn too_large() -> Limit {
    Limit {
        what: "the size of a value type in bytes",
        max: u64::from(u32::MAX >> 1),
    }
}

fn checked_add(a: u32, b: u32) -> Result<u32, Limit> {
    a.checked_add(b)
        .filter(|&sum| sum <= u32::MAX >> 1)
        .ok_or_else(too_large)
}

impl ValType {
    /// Its layout.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Bool => scalar(1, Flat::I32, false),
            Self::S8 | Self::U8 => scalar(1, Flat::I32, true),
            Self::S16 | Self::U16 => scalar(2, Flat::I32, true),
            Self::S32 | Self::U32 => scalar(4, Flat::I32, true),
            Self::S64 | Self::U64 => scalar(8, Flat::I64, true),
            Self::F32 => scalar(4, Flat::F32, true),
            Self::F64 => scalar(8, Flat::F64, true),
            Self::Char | Self::ErrorContext | Self::Own(_) => scalar(4, Flat::I32, false),
            Self::Borrow(_) => Layout {
                borrows: true,
                ..scalar(4, Flat::I32, false)
            },
            Self::String => Layout {
                size: 8,
                flat: Some(Arc::new([Flat::I32, Flat::I32])),
                pointers: true,
                ..scalar(4, Flat::I32, false)
            },
            Self::List(it) | Self::Map(it) => it.layout.clone(),
            Self::Record(it) | Self::Tuple(it) => it.layout.clone(),
            Self::Variant(it) | Self::Enum(it) | Self::Option(it) | Self::Result(it) => it.layout.clone(),
            Self::Flags(it) => it.layout.clone(),
        }
    }

    /// Bytes in memory and their alignment.
    pub fn size_align(&self) -> (u32, u32) {
        match self {
            Self::Bool | Self::S8 | Self::U8 => (1, 1),
            Self::S16 | Self::U16 => (2, 2),
            Self::S32 | Self::U32 | Self::F32 | Self::Char => (4, 4),
            Self::ErrorContext | Self::Own(_) | Self::Borrow(_) => (4, 4),
            Self::S64 | Self::U64 | Self::F64 => (8, 8),
            Self::String => (8, 4),
            Self::List(it) | Self::Map(it) => (it.layout.size, it.layout.align),
            Self::Record(it) | Self::Tuple(it) => (it.layout.size, it.layout.align),
            Self::Variant(it) | Self::Enum(it) | Self::Option(it) | Self::Result(it) => {
                (it.layout.size, it.layout.align)
            }
            Self::Flags(it) => (it.layout.size, it.layout.align),
        }
    }

    /// How many core values it takes, if not more than [`MAX_FLAT_PARAMS`].
    pub fn flat_count(&self) -> Option<usize> {
        self.layout().flat.map(|flat| flat.len())
    }

    /// As a record or tuple.
    pub fn as_fields(&self) -> Option<&Arc<Fields>> {
        match self {
            Self::Record(it) | Self::Tuple(it) => Some(it),
            _ => None,
        }
    }

    /// As a variant, enum, option or result.
    pub fn as_variant(&self) -> Option<&Arc<Variant>> {
        match self {
            Self::Variant(it) | Self::Enum(it) | Self::Option(it) | Self::Result(it) => Some(it),
            _ => None,
        }
    }
}

impl List {
    /// A list of elements of this type.
    ///
    /// # Errors
    /// If it is too deep or too large.
    pub fn new(element: ValType, length: Option<u32>) -> Result<Self, Limit> {
        let of = element.layout();
        let mut layout = match length {
            None => Layout {
                pointers: true,
                ..ValType::String.layout()
            },
            Some(length) => {
                let size = u64::from(of.size) * u64::from(length);
                let count = length as usize;
                let flat = of.flat.as_deref().and_then(|flat| {
                    let fits = flat
                        .len()
                        .checked_mul(count)
                        .is_some_and(|n| n <= MAX_FLAT_PARAMS);
                    fits.then(|| flat.repeat(count).into())
                });
                Layout {
                    size: u32::try_from(size)
                        .ok()
                        .filter(|&s| s <= u32::MAX >> 1)
                        .ok_or_else(too_large)?,
                    align: of.align,
                    flat,
                    plain: of.plain,
                    borrows: false,
                    pointers: false,
                    depth: 0,
                }
            }
        };
        layout.deeper(&of)?;
        Ok(Self {
            element,
            length,
            layout,
        })
    }

    /// Its layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Fields {
    /// A record or tuple of these names and types.
    ///
    /// # Errors
    /// If it is too deep or too large.
    pub fn new(list: impl IntoIterator<Item = (Arc<str>, ValType)>) -> Result<Self, Limit> {
        let mut layout = Layout {
            size: 0,
            align: 1,
            flat: None,
            plain: true,
            borrows: false,
            pointers: false,
            depth: 0,
        };
        let mut flat = Some(Vec::new());
        let mut fields = Vec::new();
        for (name, ty) in list {
            let of = ty.layout();
            let offset = align_to(layout.size, of.align);
            layout.plain &= of.plain && offset == layout.size;
            layout.size = checked_add(offset, of.size)?;
            layout.align = layout.align.max(of.align);
            layout.deeper(&of)?;
            flat = flat.zip(of.flat).and_then(|(mut flat, more)| {
                flat.extend_from_slice(&more);
                (flat.len() <= MAX_FLAT_PARAMS).then_some(flat)
            });
            fields.push((name, ty, offset));
        }
        let size = align_to(layout.size, layout.align);
        layout.plain &= size == layout.size;
        layout.size = size;
        layout.flat = flat.map(Into::into);
        Ok(Self {
            fields: fields.into(),
            layout,
        })
    }

    /// Its layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Variant {
    /// A variant of these cases.
    ///
    /// # Errors
    /// If it is too deep or too large.
    pub fn new(cases: Vec<Case>) -> Result<Self, Limit> {
        let discriminant = match cases.len() {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let mut layout = Layout {
            size: 0,
            align: discriminant,
            flat: None,
            plain: false,
            borrows: false,
            pointers: false,
            depth: 0,
        };
        let mut payload: u32 = 0;
        let mut payload_align = 1;
        let mut flat = Some(vec![Flat::I32]);
        for of in cases
            .iter()
            .filter_map(|case| case.ty.as_ref())
            .map(ValType::layout)
        {
            payload = payload.max(of.size);
            payload_align = payload_align.max(of.align);
            layout.deeper(&of)?;
            flat = flat.zip(of.flat).and_then(|(mut flat, more)| {
                for (i, &ty) in more.iter().enumerate() {
                    match flat.get_mut(i + 1) {
                        Some(known) => *known = known.join(ty),
                        None => flat.push(ty),
                    }
                }
                (flat.len() <= MAX_FLAT_PARAMS).then_some(flat)
            });
        }
        let payload_offset = align_to(discriminant, payload_align);
        layout.align = layout.align.max(payload_align);
        let end = checked_add(payload_offset, payload)?;
        layout.size = align_to(end, layout.align);
        layout.flat = flat.map(Into::into);
        Ok(Self {
            cases: cases.into(),
            discriminant,
            payload_offset,
            layout,
        })
    }

    /// An option of this type.
    ///
    /// # Errors
    /// If it is too deep or too large.
    pub fn option(some: ValType) -> Result<Self, Limit> {
        let case = |name: &str, ty| Case {
            name: name.into(),
            ty,
        };
        Self::new(vec![case("none", None), case("some", Some(some))])
    }

    /// A result of these types.
    ///
    /// # Errors
    /// If it is too deep or too large.
    pub fn result(ok: Option<ValType>, error: Option<ValType>) -> Result<Self, Limit> {
        let case = |name: &str, ty| Case {
            name: name.into(),
            ty,
        };
        Self::new(vec![case("ok", ok), case("error", error)])
    }

    /// Its layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Flags {
    /// A set of flags with these names, at most 32.
    pub fn new(names: Vec<Arc<str>>) -> Self {
        let size = match names.len() {
            0..=8 => 1,
            9..=16 => 2,
            _ => 4,
        };
        Self {
            layout: scalar(size, Flat::I32, false),
            names: names.into(),
        }
    }

    /// Its layout.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bits that mean something.
    pub fn mask(&self) -> u32 {
        match self.names.len() {
            0 => 0,
            n if n >= 32 => u32::MAX,
            n => (1 << n) - 1,
        }
    }
}

/// Which side of a call a core function is on: where its memory for large results comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The function that is called: it returns a pointer to large results.
    Lift,
    /// The function that calls: it passes a pointer for large results.
    Lower,
}

impl FuncType {
    /// The core values of the parameters, and whether they are a single pointer instead.
    pub fn flat_params(&self) -> (Arc<[Flat]>, bool) {
        match &self.params.layout.flat {
            Some(flat) => (flat.clone(), false),
            None => (FLAT_I32.into(), true),
        }
    }

    /// The core values of the result, and whether it goes through memory instead.
    pub fn flat_results(&self) -> (Arc<[Flat]>, bool) {
        let Some(result) = &self.result else {
            return (Arc::new([]), false);
        };
        match result.layout().flat {
            Some(flat) if flat.len() <= MAX_FLAT_RESULTS => (flat, false),
            _ => (FLAT_I32.into(), true),
        }
    }

    /// Parameters and results of the core function on a side.
    pub fn core_signature(&self, side: Side) -> (Vec<Flat>, Vec<Flat>) {
        let (params, _) = self.flat_params();
        let (results, through_memory) = self.flat_results();
        let mut params = params.to_vec();
        match (side, through_memory) {
            (Side::Lower, true) => {
                params.push(Flat::I32);
                (params, Vec::new())
            }
            _ => (params, results.to_vec()),
        }
    }

    /// The core values of the parameters where the side that calls gets the state of the call, and whether
    /// they go through memory.
    pub fn flat_async_params(&self) -> (Arc<[Flat]>, bool) {
        match &self.params.layout.flat {
            Some(flat) if flat.len() <= MAX_FLAT_ASYNC_PARAMS => (flat.clone(), false),
            _ => (FLAT_I32.into(), true),
        }
    }

    /// Parameters and results of the core function there.
    pub fn core_async_signature(&self) -> (Vec<Flat>, Vec<Flat>) {
        let mut params = self.flat_async_params().0.to_vec();
        params.extend(self.result.iter().map(|_| Flat::I32));
        (params, vec![Flat::I32])
    }

    /// Whether a parameter contains a `borrow`.
    pub fn borrows(&self) -> bool {
        self.params.layout.borrows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(types: &[ValType]) -> ValType {
        let fields = types.iter().map(|ty| ("".into(), ty.clone()));
        ValType::Tuple(Arc::new(Fields::new(fields).expect("small")))
    }

    #[test]
    fn fields_are_aligned_and_flat() {
        let ty = tuple(&[ValType::U8, ValType::U32, ValType::U16]);
        assert_eq!(ty.size_align(), (12, 4));
        assert_eq!(ty.layout().flat.as_deref(), Some(&[Flat::I32; 3][..]));
        assert!(!ty.layout().plain, "there are bytes between its fields");
        assert!(tuple(&[ValType::U32, ValType::F32]).layout().plain);
        assert!(
            !tuple(&[ValType::Char]).layout().plain,
            "not every number is a char"
        );
    }

    #[test]
    fn seventeen_values_are_too_many() {
        assert_eq!(tuple(&[const { ValType::U8 }; 16]).flat_count(), Some(16));
        assert_eq!(tuple(&[const { ValType::U8 }; 17]).flat_count(), None);
    }

    #[test]
    fn cases_share_their_values() {
        let case = |ty| Case { name: "c".into(), ty };
        let variant = Variant::new(vec![
            case(Some(ValType::F32)),
            case(Some(ValType::U32)),
            case(None),
        ]);
        let variant = variant.expect("small");
        assert_eq!(
            variant.layout().flat.as_deref(),
            Some(&[Flat::I32, Flat::I32][..])
        );
        let variant = Variant::new(vec![case(Some(ValType::F32)), case(Some(ValType::F64))]).expect("small");
        assert_eq!(
            variant.layout().flat.as_deref(),
            Some(&[Flat::I32, Flat::I64][..])
        );
        assert_eq!((variant.payload_offset, variant.layout().size), (8, 16));
    }

    #[test]
    fn the_depth_of_types_is_limited() {
        let mut ty = ValType::U8;
        for _ in 0..TYPE_DEPTH_MAX {
            ty = ValType::List(Arc::new(List::new(ty, None).expect("not too deep")));
        }
        assert!(List::new(ty, None).is_err());
    }
}
