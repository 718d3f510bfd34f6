//! The index spaces of component instances while they are instantiated on paper.

use crate::decode::Definition;
use crate::plan::{CoreDef, CoreInstance, CoreKind, FuncRef, Item, Items, ModuleRef, TypeItem};
use crate::types::{FuncType, ResourceId, ValType};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use wasmparser as wp;
use wasmparser::{
    ComponentExternalKind as Kind, ExternalKind, InstanceTypeDeclaration, ModuleTypeDeclaration,
};

pub(super) type Link<'d> = Option<Rc<Frame<'d>>>;

/// The index spaces of a component instance, or of a scope of type declarations.
pub(super) struct Frame<'d> {
    pub(super) parent: Link<'d>,
    pub(super) instance: u32,
    pub(super) spaces: RefCell<Spaces<'d>>,
    all: All<'d>,
}

impl<'d> Frame<'d> {
    pub(super) fn new(all: &All<'d>, parent: Link<'d>, instance: u32) -> Rc<Self> {
        let frame = Rc::new(Self {
            parent,
            instance,
            spaces: RefCell::default(),
            all: all.clone(),
        });
        all.0.borrow_mut().push(Rc::downgrade(&frame));
        frame
    }

    pub(super) fn all(&self) -> &All<'d> {
        &self.all
    }
}

/// All frames of one component.
#[derive(Clone, Default)]
pub(super) struct All<'d>(Rc<RefCell<Vec<Weak<Frame<'d>>>>>);

/// Empties all frames in the end. A component or a type in a frame holds the frame around it, which
/// is that frame: by themselves they would stay for ever.
#[derive(Default)]
pub(super) struct Frames<'d>(pub(super) All<'d>);

impl Drop for Frames<'_> {
    fn drop(&mut self) {
        for frame in self.0.0.take() {
            if let Some(frame) = frame.upgrade() {
                frame.spaces.take();
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Spaces<'d> {
    pub(super) core_funcs: Vec<CoreDef>,
    pub(super) core_tables: Vec<CoreDef>,
    pub(super) core_memories: Vec<CoreDef>,
    pub(super) core_globals: Vec<CoreDef>,
    pub(super) core_tags: Vec<CoreDef>,
    pub(super) core_instances: Vec<CoreInstance>,
    pub(super) core_types: Vec<CoreTypeDef<'d>>,
    pub(super) modules: Vec<ModuleRef>,
    pub(super) funcs: Vec<Func>,
    pub(super) types: Vec<TypeDef<'d>>,
    pub(super) instances: Vec<Rc<Exports<'d>>>,
    pub(super) components: Vec<Rc<Closure<'d>>>,
}

pub(super) type Func = (FuncRef, Arc<FuncType>);

/// A component and the frame that its outer aliases mean.
pub(super) struct Closure<'d> {
    pub(super) definition: &'d Definition<'d>,
    pub(super) outer: Rc<Frame<'d>>,
}

#[derive(Clone)]
pub(super) enum TypeDef<'d> {
    Val(ValType),
    Func(Arc<FuncType>),
    Resource(ResourceId),
    Instance(&'d [InstanceTypeDeclaration<'d>], Rc<Frame<'d>>),
    Component,
    /// A type that only asynchronous functions use.
    Async,
}

#[derive(Clone)]
pub(super) enum CoreTypeDef<'d> {
    /// The types of a recursion group are looked at only in types of modules.
    Sub(Box<wp::SubType>),
    Module(&'d [ModuleTypeDeclaration<'d>], Rc<Frame<'d>>),
}

/// An item under a name.
#[derive(Clone)]
pub(super) enum Def<'d> {
    Func(Func),
    Type(TypeDef<'d>),
    Instance(Rc<Exports<'d>>),
    Component(Rc<Closure<'d>>),
    Module(ModuleRef),
}

/// Named items, in order.
#[derive(Default)]
pub(super) struct Exports<'d> {
    pub(super) order: Vec<Arc<str>>,
    pub(super) items: BTreeMap<Arc<str>, Def<'d>>,
}

impl<'d> Exports<'d> {
    pub(super) fn insert(&mut self, name: &str, item: Def<'d>) {
        let name: Arc<str> = name.into();
        if self.items.insert(name.clone(), item).is_none() {
            self.order.push(name);
        }
    }
}

pub(super) type Args<'d> = BTreeMap<&'d str, Def<'d>>;

pub(super) fn public(exports: &Exports<'_>) -> Items {
    let item = |name: &Arc<str>| (name.clone(), public_item(&exports.items[name]));
    Items(exports.order.iter().map(item).collect())
}

pub(super) fn public_item(def: &Def<'_>) -> Item {
    match def {
        Def::Func((func, ty)) => Item::Func(*func, ty.clone()),
        Def::Type(ty) => Item::Type(match ty {
            TypeDef::Val(ty) => TypeItem::Val(ty.clone()),
            TypeDef::Func(ty) => TypeItem::Func(ty.clone()),
            TypeDef::Resource(id) => TypeItem::Resource(*id),
            TypeDef::Instance(..) | TypeDef::Component | TypeDef::Async => TypeItem::Other,
        }),
        Def::Instance(exports) => Item::Instance(Arc::new(public(exports))),
        Def::Component(_) => Item::Component,
        Def::Module(module) => Item::Module(module.clone()),
    }
}

impl<'d> Frame<'d> {
    pub(super) fn push(&self, item: Def<'d>) {
        let mut spaces = self.spaces.borrow_mut();
        match item {
            Def::Func(func) => spaces.funcs.push(func),
            Def::Type(ty) => spaces.types.push(ty),
            Def::Instance(instance) => spaces.instances.push(instance),
            Def::Component(component) => spaces.components.push(component),
            Def::Module(module) => spaces.modules.push(module),
        }
    }

    pub(super) fn get(&self, kind: Kind, index: u32) -> Def<'d> {
        let spaces = self.spaces.borrow();
        let index = index as usize;
        match kind {
            Kind::Module => Def::Module(spaces.modules[index].clone()),
            Kind::Func => Def::Func(spaces.funcs[index].clone()),
            Kind::Type => Def::Type(spaces.types[index].clone()),
            Kind::Instance => Def::Instance(spaces.instances[index].clone()),
            Kind::Component => Def::Component(spaces.components[index].clone()),
            Kind::Value => unreachable!("values are a feature that is off"),
        }
    }

    pub(super) fn push_core(&self, kind: CoreKind, def: CoreDef) {
        let mut spaces = self.spaces.borrow_mut();
        match kind {
            CoreKind::Func => spaces.core_funcs.push(def),
            CoreKind::Table => spaces.core_tables.push(def),
            CoreKind::Memory => spaces.core_memories.push(def),
            CoreKind::Global => spaces.core_globals.push(def),
            CoreKind::Tag => spaces.core_tags.push(def),
        }
    }

    pub(super) fn core(&self, kind: CoreKind, index: u32) -> CoreDef {
        let spaces = self.spaces.borrow();
        let space = match kind {
            CoreKind::Func => &spaces.core_funcs,
            CoreKind::Table => &spaces.core_tables,
            CoreKind::Memory => &spaces.core_memories,
            CoreKind::Global => &spaces.core_globals,
            CoreKind::Tag => &spaces.core_tags,
        };
        space[index as usize].clone()
    }

    pub(super) fn resource(&self, index: u32) -> ResourceId {
        match &self.spaces.borrow().types[index as usize] {
            TypeDef::Resource(id) => *id,
            _ => unreachable!("the validator checked that it is a resource"),
        }
    }
}

/// The frame `count` levels out.
pub(super) fn outward<'d>(frame: &Rc<Frame<'d>>, count: u32) -> Rc<Frame<'d>> {
    let mut frame = frame.clone();
    for _ in 0..count {
        frame = frame
            .parent
            .clone()
            .expect("the validator checked the count of outer aliases");
    }
    frame
}

pub(super) fn core_kind(kind: ExternalKind) -> CoreKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreKind::Func,
        ExternalKind::Table => CoreKind::Table,
        ExternalKind::Memory => CoreKind::Memory,
        ExternalKind::Global => CoreKind::Global,
        ExternalKind::Tag => CoreKind::Tag,
    }
}
