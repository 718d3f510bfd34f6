//! Types of WIT as types of Rust: what they are called, and what is known of them.

use crate::generate::{Direction, Generator, Place};
use crate::names::{camel, snake};
use syn::Result;
use wit_parser::{Handle, InterfaceId, Type, TypeDefKind, TypeId, TypeOwner};

/// Whether a value is passed as it is, or by reference where that saves a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Owned,
    Borrowed,
    /// Borrowed for ever, where a type wants a lifetime.
    Static,
}

impl Mode {
    /// What a reference begins with.
    fn reference(self) -> Option<&'static str> {
        match self {
            Self::Owned => None,
            Self::Borrowed => Some("&"),
            Self::Static => Some("&'static "),
        }
    }
}

impl Generator<'_> {
    /// How a type is written in a place.
    pub(crate) fn ty(&self, ty: &Type, place: &Place, mode: Mode) -> Result<String> {
        Ok(match ty {
            Type::Bool => "bool".into(),
            Type::U8 => "u8".into(),
            Type::U16 => "u16".into(),
            Type::U32 => "u32".into(),
            Type::U64 => "u64".into(),
            Type::S8 => "i8".into(),
            Type::S16 => "i16".into(),
            Type::S32 => "i32".into(),
            Type::S64 => "i64".into(),
            Type::F32 => "f32".into(),
            Type::F64 => "f64".into(),
            Type::Char => "char".into(),
            Type::String => match mode.reference() {
                Some(reference) => format!("{reference}str"),
                None => self.std("String", "::std::string::String", place),
            },
            Type::ErrorContext => format!("{}::component::ErrorContext", self.krate),
            Type::Id(id) => self.id(*id, place, mode)?,
        })
    }

    /// A name of the prelude, in full if the place has a type of this name.
    pub(crate) fn std(&self, short: &str, full: &str, place: &Place) -> String {
        match place.types.contains(short) {
            true => full.into(),
            false => short.into(),
        }
    }

    fn id(&self, id: TypeId, place: &Place, mode: Mode) -> Result<String> {
        let def = &self.resolve.types[id];
        if let Some(name) = &def.name {
            let path = self.named(def.owner, name, place);
            let Some(reference) = mode.reference().filter(|_| !self.is_copy(&Type::Id(id))) else {
                return Ok(path);
            };
            // Aliases of what has no name are seen through: a list is a slice.
            return match &def.kind {
                TypeDefKind::Record(_) | TypeDefKind::Variant(_) => Ok(format!("{reference}{path}")),
                TypeDefKind::Type(ty) => self.ty(ty, place, mode),
                _ => self.anonymous(id, place, mode),
            };
        }
        self.anonymous(id, place, mode)
    }

    pub(crate) fn anonymous(&self, id: TypeId, place: &Place, mode: Mode) -> Result<String> {
        let def = &self.resolve.types[id];
        let optional = |ty: &Option<Type>| match ty {
            Some(ty) => self.ty(ty, place, mode),
            None => Ok("()".to_owned()),
        };
        let result = self.std("Result", "::core::result::Result", place);
        let option = self.std("Option", "::core::option::Option", place);
        Ok(match &def.kind {
            TypeDefKind::List(ty) => {
                let element = self.ty(ty, place, Mode::Owned)?;
                match mode.reference() {
                    Some(reference) => format!("{reference}[{element}]"),
                    None => format!("{}<{element}>", self.std("Vec", "::std::vec::Vec", place)),
                }
            }
            TypeDefKind::FixedLengthList(ty, length) => format!("[{}; {length}]", self.ty(ty, place, mode)?),
            TypeDefKind::Option(ty) => format!("{option}<{}>", self.ty(ty, place, mode)?),
            TypeDefKind::Result(it) => format!("{result}<{}, {}>", optional(&it.ok)?, optional(&it.err)?),
            TypeDefKind::Tuple(it) => {
                let types: Vec<String> = it
                    .types
                    .iter()
                    .map(|ty| self.ty(ty, place, mode))
                    .collect::<Result<_>>()?;
                match &*types {
                    [one] => format!("({one},)"),
                    types => format!("({})", types.join(", ")),
                }
            }
            TypeDefKind::Handle(Handle::Own(id) | Handle::Borrow(id)) => {
                let (origin, owner) = self.origin(*id);
                match self.is_guest(owner, place) {
                    true => format!("{}::component::ResourceAny", self.krate),
                    false => {
                        let def = &self.resolve.types[origin];
                        let named = &self.resolve.types[*id];
                        let name = named.name.as_ref().or(def.name.as_ref());
                        let name = name.expect("resources have names");
                        let path = self.named(named.owner, name, place);
                        format!("{}::component::Resource<{path}>", self.krate)
                    }
                }
            }
            TypeDefKind::Type(ty) => self.ty(ty, place, mode)?,
            TypeDefKind::Map(key, value) => {
                let (key, value) = (
                    self.ty(key, place, Mode::Owned)?,
                    self.ty(value, place, Mode::Owned)?,
                );
                let reference = mode.reference().unwrap_or_default();
                format!("{reference}::std::collections::BTreeMap<{key}, {value}>")
            }
            TypeDefKind::Future(_) | TypeDefKind::Stream(_) => {
                let what = format!("a {} cannot be bound yet", def.kind.as_str());
                return Err(self.unsupported(&what, Some(def.span)));
            }
            other => {
                let what = format!("a {} without a name cannot be bound", other.as_str());
                return Err(self.unsupported(&what, Some(def.span)));
            }
        })
    }

    /// A named type, as it is written in a place.
    pub(crate) fn named(&self, owner: TypeOwner, name: &str, place: &Place) -> String {
        let name = camel(name);
        match owner {
            TypeOwner::Interface(id) if place.interface == Some(id) && !self.is_replaced(id) => name,
            TypeOwner::Interface(id) => {
                let direction = self.direction_of(id, place);
                format!("{}::{name}", self.path_to(id, direction, place))
            }
            TypeOwner::World(_) if place.depth() == 0 => name,
            TypeOwner::World(_) => format!("{}{name}", "super::".repeat(place.depth())),
            TypeOwner::None => name,
        }
    }

    /// Where the types of an interface come from that is used in a place.
    pub(crate) fn direction_of(&self, id: InterfaceId, place: &Place) -> Direction {
        match place.direction == Direction::Export && self.exported.contains(&id) {
            true => Direction::Export,
            false => Direction::Import,
        }
    }

    /// The module of an interface, seen from a place.
    pub(crate) fn path_to(&self, id: InterfaceId, direction: Direction, place: &Place) -> String {
        let up = place.up();
        if direction == Direction::Import
            && let Some((alias, rest)) = self.replacement(id)
        {
            let rest: String = rest.iter().map(|part| format!("::{}", snake(part))).collect();
            return format!("{up}{alias}{rest}");
        }
        format!("{up}{}", self.module_of(id, direction).join("::"))
    }

    /// The resource that an alias stands for, and who defines it.
    pub(crate) fn origin(&self, mut id: TypeId) -> (TypeId, TypeOwner) {
        // Ends because an alias stands for a type before it.
        while let TypeDefKind::Type(Type::Id(next)) = self.resolve.types[id].kind {
            id = next;
        }
        (id, self.resolve.types[id].owner)
    }

    /// Whether resources of this owner are the guest's own, seen from a place.
    pub(crate) fn is_guest(&self, owner: TypeOwner, place: &Place) -> bool {
        match owner {
            TypeOwner::Interface(id) => self.direction_of(id, place) == Direction::Export,
            _ => false,
        }
    }

    /// Whether a value may be copied like a number.
    pub(crate) fn is_copy(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else {
            return !matches!(ty, Type::String | Type::ErrorContext);
        };
        let optional = |ty: &Option<Type>| ty.as_ref().is_none_or(|ty| self.is_copy(ty));
        match &self.resolve.types[*id].kind {
            TypeDefKind::Record(it) => it.fields.iter().all(|field| self.is_copy(&field.ty)),
            TypeDefKind::Variant(it) => it.cases.iter().all(|case| optional(&case.ty)),
            TypeDefKind::Tuple(it) => it.types.iter().all(|ty| self.is_copy(ty)),
            TypeDefKind::Option(ty) | TypeDefKind::FixedLengthList(ty, _) | TypeDefKind::Type(ty) => {
                self.is_copy(ty)
            }
            TypeDefKind::Result(it) => optional(&it.ok) && optional(&it.err),
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => true,
            _ => false,
        }
    }

    /// Whether a value has a resource in it, which cannot be cloned.
    pub(crate) fn has_resource(&self, ty: &Type) -> bool {
        let Type::Id(id) = ty else {
            return false;
        };
        let optional = |ty: &Option<Type>| ty.as_ref().is_some_and(|ty| self.has_resource(ty));
        match &self.resolve.types[*id].kind {
            TypeDefKind::Record(it) => it.fields.iter().any(|field| self.has_resource(&field.ty)),
            TypeDefKind::Variant(it) => it.cases.iter().any(|case| optional(&case.ty)),
            TypeDefKind::Tuple(it) => it.types.iter().any(|ty| self.has_resource(ty)),
            TypeDefKind::Option(ty)
            | TypeDefKind::List(ty)
            | TypeDefKind::FixedLengthList(ty, _)
            | TypeDefKind::Type(ty) => self.has_resource(ty),
            TypeDefKind::Map(key, value) => self.has_resource(key) || self.has_resource(value),
            TypeDefKind::Result(it) => optional(&it.ok) || optional(&it.err),
            TypeDefKind::Handle(_) | TypeDefKind::Resource => true,
            _ => false,
        }
    }

    /// The type itself, without its aliases.
    pub(crate) fn unaliased(&self, ty: &Type) -> Type {
        match ty {
            Type::Id(id) => match &self.resolve.types[*id].kind {
                TypeDefKind::Type(ty) => self.unaliased(ty),
                _ => *ty,
            },
            ty => *ty,
        }
    }
}
