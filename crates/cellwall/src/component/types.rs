//! Interface types, as the embedder sees them.

use super::{ResourceType, State};
use cellwall_component::{self as plan, FuncRef, ModuleRef, ResourceId, TypeItem, ValType};
use std::fmt;
use std::sync::Arc;

/// The type of a [`Val`](super::Val).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the specification")]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    Float32,
    Float64,
    Char,
    String,
    ErrorContext,
    List(Box<Type>),
    /// A list of so many elements.
    FixedLengthList(Box<Type>, u32),
    Map(Box<(Type, Type)>),
    /// Names and types of the fields.
    Record(Vec<(Arc<str>, Type)>),
    Tuple(Vec<Type>),
    /// Names of the cases and types of their payloads.
    Variant(Vec<(Arc<str>, Option<Type>)>),
    Enum(Vec<Arc<str>>),
    Option(Box<Type>),
    Result(Box<(Option<Type>, Option<Type>)>),
    Flags(Vec<Arc<str>>),
    Own(ResourceType),
    Borrow(ResourceType),
}

/// How the resources of a plan are called.
pub(crate) type Names<'a> = &'a dyn Fn(ResourceId) -> ResourceType;

impl Type {
    /// A type of a plan; `names` says what its resources are.
    pub(crate) fn of(ty: &ValType, names: Names<'_>) -> Self {
        let of = |ty: &ValType| Self::of(ty, names);
        let payload = |ty: &Option<ValType>| ty.as_ref().map(of);
        match ty {
            ValType::Bool => Self::Bool,
            ValType::S8 => Self::S8,
            ValType::U8 => Self::U8,
            ValType::S16 => Self::S16,
            ValType::U16 => Self::U16,
            ValType::S32 => Self::S32,
            ValType::U32 => Self::U32,
            ValType::S64 => Self::S64,
            ValType::U64 => Self::U64,
            ValType::F32 => Self::Float32,
            ValType::F64 => Self::Float64,
            ValType::Char => Self::Char,
            ValType::String => Self::String,
            ValType::ErrorContext => Self::ErrorContext,
            ValType::List(list) => match list.length {
                None => Self::List(Box::new(of(&list.element))),
                Some(length) => Self::FixedLengthList(Box::new(of(&list.element)), length),
            },
            ValType::Map(list) => {
                let entry = list.element.as_fields().expect("entries of maps are pairs");
                Self::Map(Box::new((of(&entry.fields[0].1), of(&entry.fields[1].1))))
            }
            ValType::Record(it) => {
                let field = |(name, ty, _): &(Arc<str>, ValType, u32)| (name.clone(), of(ty));
                Self::Record(it.fields.iter().map(field).collect())
            }
            ValType::Tuple(it) => Self::Tuple(it.fields.iter().map(|(_, ty, _)| of(ty)).collect()),
            ValType::Variant(it) => {
                let case = |case: &plan::Case| (case.name.clone(), payload(&case.ty));
                Self::Variant(it.cases.iter().map(case).collect())
            }
            ValType::Enum(it) => Self::Enum(it.cases.iter().map(|case| case.name.clone()).collect()),
            ValType::Option(it) => {
                let some = payload(&it.cases[1].ty);
                Self::Option(Box::new(some.expect("`some` has a payload")))
            }
            ValType::Result(it) => {
                Self::Result(Box::new((payload(&it.cases[0].ty), payload(&it.cases[1].ty))))
            }
            ValType::Flags(it) => Self::Flags(it.names.to_vec()),
            ValType::Own(id) => Self::Own(names(*id)),
            ValType::Borrow(id) => Self::Borrow(names(*id)),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: Vec<String>| write!(f, "{}>", items.join(", "));
        let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), Type::to_string);
        match self {
            Self::Bool => f.write_str("bool"),
            Self::S8 => f.write_str("s8"),
            Self::U8 => f.write_str("u8"),
            Self::S16 => f.write_str("s16"),
            Self::U16 => f.write_str("u16"),
            Self::S32 => f.write_str("s32"),
            Self::U32 => f.write_str("u32"),
            Self::S64 => f.write_str("s64"),
            Self::U64 => f.write_str("u64"),
            Self::Float32 => f.write_str("f32"),
            Self::Float64 => f.write_str("f64"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::ErrorContext => f.write_str("error-context"),
            Self::List(ty) => write!(f, "list<{ty}>"),
            Self::FixedLengthList(ty, length) => write!(f, "list<{ty}, {length}>"),
            Self::Map(entry) => write!(f, "map<{}, {}>", entry.0, entry.1),
            Self::Record(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
                write!(f, "record {{ {} }}", fields.join(", "))
            }
            Self::Tuple(types) => {
                f.write_str("tuple<")?;
                list(f, types.iter().map(Type::to_string).collect())
            }
            Self::Variant(cases) => {
                let case = |(name, ty): &(Arc<str>, Option<Type>)| match ty {
                    Some(ty) => format!("{name}({ty})"),
                    None => name.to_string(),
                };
                let cases: Vec<String> = cases.iter().map(case).collect();
                write!(f, "variant {{ {} }}", cases.join(", "))
            }
            Self::Enum(cases) => write!(f, "enum {{ {} }}", cases.join(", ")),
            Self::Option(ty) => write!(f, "option<{ty}>"),
            Self::Result(parts) => match &**parts {
                (None, None) => f.write_str("result"),
                (Some(ok), None) => write!(f, "result<{ok}>"),
                (ok, error) => write!(f, "result<{}, {}>", optional(ok), optional(error)),
            },
            Self::Flags(names) => write!(f, "flags {{ {} }}", names.join(", ")),
            Self::Own(_) => f.write_str("own<resource>"),
            Self::Borrow(_) => f.write_str("borrow<resource>"),
        }
    }
}

/// The type of a function of a component.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ComponentFunc {
    params: Vec<(Arc<str>, Type)>,
    result: Option<Type>,
}

impl ComponentFunc {
    pub(crate) fn of(ty: &plan::FuncType, names: Names<'_>) -> Self {
        let param = |(name, ty, _): &(Arc<str>, ValType, u32)| (name.clone(), Type::of(ty, names));
        Self {
            params: ty.params.fields.iter().map(param).collect(),
            result: ty.result.as_ref().map(|ty| Type::of(ty, names)),
        }
    }

    /// Names and types of the parameters.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&str, Type)> + '_ {
        self.params.iter().map(|(name, ty)| (&**name, ty.clone()))
    }

    /// Types of the results: one or none.
    pub fn results(&self) -> impl ExactSizeIterator<Item = Type> + '_ {
        self.result.clone().into_iter()
    }
}

impl fmt::Display for ComponentFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self
            .params
            .iter()
            .map(|(name, ty)| format!("{name}: {ty}"))
            .collect();
        write!(f, "func({})", params.join(", "))?;
        match &self.result {
            Some(ty) => write!(f, " -> {ty}"),
            None => Ok(()),
        }
    }
}

/// What a component imports or exports.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum ComponentItem {
    /// A function.
    ComponentFunc(ComponentFunc),
    /// A core module.
    Module,
    /// A component.
    Component,
    /// An instance, with its items by name.
    ComponentInstance(Vec<(Arc<str>, ComponentItem)>),
    /// A type; `None` if it is no type of values.
    Type(Option<Type>),
    /// A resource.
    Resource(ResourceType),
}

impl ComponentItem {
    pub(crate) fn of(item: &plan::Item, names: Names<'_>) -> Self {
        match item {
            plan::Item::Func(_, ty) => Self::ComponentFunc(ComponentFunc::of(ty, names)),
            plan::Item::Module(ModuleRef::Own(_) | ModuleRef::Import(..)) => Self::Module,
            plan::Item::Component => Self::Component,
            plan::Item::Instance(items) => Self::ComponentInstance(Self::list(items, names)),
            plan::Item::Type(TypeItem::Resource(id)) => Self::Resource(names(*id)),
            plan::Item::Type(TypeItem::Val(ty)) => Self::Type(Some(Type::of(ty, names))),
            plan::Item::Type(TypeItem::Func(_) | TypeItem::Other) => Self::Type(None),
        }
    }

    pub(crate) fn list(items: &plan::Items, names: Names<'_>) -> Vec<(Arc<str>, Self)> {
        let item = |(name, item): &(Arc<str>, plan::Item)| (name.clone(), Self::of(item, names));
        items.0.iter().map(item).collect()
    }
}

/// A function item of a plan.
pub(crate) fn func_of(item: &plan::Item) -> Option<(FuncRef, &Arc<plan::FuncType>)> {
    match item {
        plan::Item::Func(func, ty) => Some((*func, ty)),
        _ => None,
    }
}

/// What the resources of an instantiated root are.
pub(crate) fn names_in(state: &State, root: usize) -> impl Fn(ResourceId) -> ResourceType + '_ {
    move |id| {
        let entry = state.roots[root].resources[id.0 as usize];
        entry.map_or(ResourceType::uninstantiated(id), |entry| entry.ty)
    }
}
