//! The plan of a component: what its instantiation does, step by step.

use crate::types::{Flat, FuncType, ResourceId, ValType};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// What there is to do to instantiate a component; see [`plan`](crate::plan).
#[derive(Debug, Default)]
pub struct Plan {
    /// Core modules in the binary, as ranges of its bytes.
    pub modules: Vec<Range<usize>>,
    /// What the host must provide, by name, in order.
    pub imports: Items,
    /// What the host is asked for inside of `imports`, by path from the root.
    pub imported: Vec<Import>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// Functions of core modules that are made functions of components.
    pub lifts: Vec<Lift>,
    /// Core functions that no core module has.
    pub trampolines: Vec<Trampoline>,
    /// Bags of core items under new names.
    pub bags: Vec<Vec<(Arc<str>, CoreDef)>>,
    /// Where each resource comes from.
    pub resources: Vec<ResourceOrigin>,
    /// The component instance around each one; the first is the root and has none.
    pub parents: Vec<Option<u32>>,
    /// Component instances that use the words of their task.
    pub with_context: BTreeSet<u32>,
    /// Core instances that the steps make.
    pub core_instances: u32,
    /// What the component exports, by name, in order.
    pub exports: Items,
}

impl Plan {
    /// Component instances that at times may not call out: while they are asked for memory, or clean
    /// up after a call.
    pub fn locked(&self) -> BTreeSet<u32> {
        let cleans = |options: &Options| options.realloc.is_some() || options.post_return.is_some();
        let lifts = self
            .lifts
            .iter()
            .filter_map(|lift| cleans(&lift.options).then_some(lift.instance));
        let lowered = self.trampolines.iter().filter_map(|trampoline| {
            let (instance, options) = match trampoline {
                Trampoline::Host {
                    instance, options, ..
                }
                | Trampoline::Adapter {
                    instance, options, ..
                }
                | Trampoline::Task {
                    instance, options, ..
                } => (instance, options),
                Trampoline::Builtin {
                    instance,
                    builtin: Builtin::ErrorContextNew(options) | Builtin::ErrorContextDebugMessage(options),
                } => (instance, options),
                Trampoline::Builtin { .. } => return None,
            };
            cleans(options).then_some(*instance)
        });
        lifts.chain(lowered).collect()
    }
}

/// One thing that the host is asked for.
#[derive(Clone, Debug)]
pub struct Import {
    /// Names from the root to it.
    pub path: Arc<[Arc<str>]>,
}

impl Import {
    /// Its names, for people.
    pub fn name(&self) -> String {
        self.path.join("#")
    }
}

/// Named items in order.
#[derive(Clone, Debug, Default)]
pub struct Items(pub Vec<(Arc<str>, Item)>);

impl Items {
    /// The item of this name.
    pub fn get(&self, name: &str) -> Option<&Item> {
        self.0
            .iter()
            .find(|(own, _)| **own == *name)
            .map(|(_, item)| item)
    }
}

/// Something that a component imports or exports.
#[derive(Clone, Debug)]
pub enum Item {
    /// A function.
    Func(FuncRef, Arc<FuncType>),
    /// A type.
    Type(TypeItem),
    /// An instance.
    Instance(Arc<Items>),
    /// A core module.
    Module(ModuleRef),
    /// A component.
    Component,
}

/// A type by name.
#[derive(Clone, Debug)]
pub enum TypeItem {
    /// A resource.
    Resource(ResourceId),
    /// A type of values.
    Val(ValType),
    /// A type of functions.
    Func(Arc<FuncType>),
    /// A type of components or instances.
    Other,
}

/// Where a function comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FuncRef {
    /// A row of `lifts`.
    Lift(u32),
    /// A row of `imported`.
    Import(u32),
}

/// Where a core module comes from.
#[derive(Clone, Debug)]
pub enum ModuleRef {
    /// A row of `modules`.
    Own(u32),
    /// A row of `imported`, with what is expected of it.
    Import(u32, Arc<ModuleType>),
}

/// The type of an imported core module.
#[derive(Clone, Debug, Default)]
pub struct ModuleType {
    /// Module, name and type of what it may import at most.
    pub imports: Vec<(Arc<str>, Arc<str>, CoreType)>,
    /// Name and type of what it must export at least.
    pub exports: Vec<(Arc<str>, CoreType)>,
}

/// The type of a core item; types of values are as the text format writes them.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are those of the specification")]
pub enum CoreType {
    Func {
        params: Vec<String>,
        results: Vec<String>,
    },
    /// Sizes are in pages.
    Memory {
        min: u64,
        max: Option<u64>,
        is_64: bool,
        shared: bool,
    },
    Table {
        element: String,
        min: u64,
        max: Option<u64>,
        is_64: bool,
    },
    Global {
        content: String,
        mutable: bool,
    },
    Tag {
        params: Vec<String>,
    },
}

impl CoreType {
    /// Whether an item of this type can be given where `expected` is wanted (core specification,
    /// "Import Matching").
    pub fn fits(&self, expected: &Self) -> bool {
        let within = |found: (u64, Option<u64>), wanted: (u64, Option<u64>)| {
            found.0 >= wanted.0
                && match (found.1, wanted.1) {
                    (_, None) => true,
                    (None, Some(_)) => false,
                    (Some(found), Some(wanted)) => found <= wanted,
                }
        };
        match (self, expected) {
            (
                Self::Memory {
                    min,
                    max,
                    is_64,
                    shared,
                },
                Self::Memory {
                    min: wanted_min,
                    max: wanted_max,
                    is_64: wanted_64,
                    shared: wanted_shared,
                },
            ) => {
                is_64 == wanted_64
                    && shared == wanted_shared
                    && within((*min, *max), (*wanted_min, *wanted_max))
            }
            (
                Self::Table {
                    element,
                    min,
                    max,
                    is_64,
                },
                Self::Table {
                    element: wanted,
                    min: wanted_min,
                    max: wanted_max,
                    is_64: wanted_64,
                },
            ) => element == wanted && is_64 == wanted_64 && within((*min, *max), (*wanted_min, *wanted_max)),
            (found, wanted) => found == wanted,
        }
    }

    /// What it is, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Func { .. } => "func",
            Self::Memory { .. } => "memory",
            Self::Table { .. } => "table",
            Self::Global { .. } => "global",
            Self::Tag { .. } => "tag",
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Instantiates a core module; its arguments are by the names of the modules that it imports.
    Instantiate {
        /// The component instance that it belongs to.
        instance: u32,
        /// Which.
        module: ModuleRef,
        /// Where its imports come from.
        args: Vec<(Arc<str>, CoreInstance)>,
    },
    /// Makes a trampoline: everything that it refers to is there.
    Trampoline(u32),
    /// A resource is there, with its destructor.
    Resource(ResourceId),
}

/// Something with core exports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CoreInstance {
    /// The n-th that the steps instantiate.
    Real(u32),
    /// A row of `bags`.
    Bag(u32),
}

/// What a core item is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CoreKind {
    /// A function.
    Func,
    /// A table.
    Table,
    /// A memory.
    Memory,
    /// A global.
    Global,
    /// A tag.
    Tag,
}

/// A core item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CoreDef {
    /// An export of a core instance.
    Export(u32, Arc<str>),
    /// A trampoline.
    Trampoline(u32),
}

/// How strings lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little-endian.
    Utf16,
    /// Latin-1, or UTF-16 where a bit of the length says so.
    CompactUtf16,
}

/// How values are lifted and lowered.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of strings.
    pub encoding: Encoding,
    /// Where values lie.
    pub memory: Option<CoreDef>,
    /// What gives memory.
    pub realloc: Option<CoreDef>,
    /// What is called when results were read.
    pub post_return: Option<CoreDef>,
    /// The side that calls gets the state of the call, the side that is called says by `task.return` what
    /// it returns.
    pub is_async: bool,
    /// What is called next, where the core function returns what it waits for.
    pub callback: Option<CoreDef>,
}

/// A core function as a function of a component.
#[derive(Clone, Debug)]
pub struct Lift {
    /// The component instance that it belongs to.
    pub instance: u32,
    /// The core function.
    pub func: CoreDef,
    /// Its type.
    pub ty: Arc<FuncType>,
    /// How.
    pub options: Options,
}

/// A core function that no core module has.
#[derive(Clone, Debug)]
pub enum Trampoline {
    /// Calls a function of the host.
    Host {
        /// The component instance that calls.
        instance: u32,
        /// Row of `imported`.
        import: u32,
        /// Its type.
        ty: Arc<FuncType>,
        /// How values cross.
        options: Options,
    },
    /// Calls a function of another component.
    Adapter {
        /// The component instance that calls.
        instance: u32,
        /// Row of `lifts`.
        lift: u32,
        /// How values cross on the side that calls.
        options: Options,
    },
    /// Calls a function of another component, where one of the sides is asynchronous.
    Task {
        /// The component instance that calls.
        instance: u32,
        /// Row of `lifts`.
        lift: u32,
        /// How values cross on the side that calls.
        options: Options,
    },
    /// A function of the canonical ABI.
    Builtin {
        /// The component instance that calls.
        instance: u32,
        /// Which.
        builtin: Builtin,
    },
}

/// A function of the canonical ABI.
#[derive(Clone, Debug)]
pub enum Builtin {
    /// Makes a handle of a representation.
    ResourceNew(ResourceId),
    /// The representation of a handle.
    ResourceRep(ResourceId),
    /// Drops a handle.
    ResourceDrop(ResourceId),
    /// Makes an error context of a message.
    ErrorContextNew(Options),
    /// The message of an error context.
    ErrorContextDebugMessage(Options),
    /// Drops an error context.
    ErrorContextDrop,
    /// Reads a word of the task, by its slot.
    ContextGet(u32),
    /// Writes a word of the task, by its slot.
    ContextSet(u32),
    /// Says that asynchronous calls must wait, or not any more; there are none.
    Backpressure(bool),
    /// Says what the call under way returns.
    TaskReturn(Option<ValType>, Options),
    /// A function that only asynchronous calls need: a component may have it, a call of it fails.
    Missing(&'static str, Vec<Flat>, Vec<Flat>),
}

/// Where a resource comes from.
#[derive(Clone, Debug)]
pub enum ResourceOrigin {
    /// The host: a row of `imported`.
    Import(u32),
    /// A component instance, with what is called when the last handle is dropped.
    Own {
        /// Whose.
        instance: u32,
        /// The destructor.
        dtor: Option<CoreDef>,
    },
}
