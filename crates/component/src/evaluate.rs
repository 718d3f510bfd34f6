//! Carries out the instantiation of a component on paper.
//!
//! Each instantiation of a nested component gets a frame with its index spaces. What it defines is
//! evaluated in order, with concrete resources, so that types need no substitution later: the type
//! of an import that is given an export is the export's. Frames grow only at their ends, so that an
//! outer alias can look into the frame around it at any later time.
//!
//! Requires what the validator checked: indexes are in range, items are of the right sort.

use crate::decode::{Decoded, Definition, Entry, decode, invalid};
use crate::limits::{EVALUATED_MAX, INSTANCES_MAX, NESTING_MAX};
use crate::plan::{
    Builtin, CoreDef, CoreInstance, CoreKind, CoreType, Encoding, FuncRef, Import, Item, Items, Lift,
    ModuleRef, ModuleType, Options, Plan, ResourceOrigin, Step, Trampoline, TypeItem,
};
use crate::types::{Case, Fields, Flags, Flat, FuncType, List, ResourceId, ValType, Variant};
use cellwall_base::{Invalid, Limit};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmparser as wp;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentDefinedType, ComponentExternalKind as Kind,
    ComponentFuncType, ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef,
    ComponentValType, ExternalKind, InstanceTypeDeclaration, ModuleTypeDeclaration, PrimitiveValType,
    TypeBounds,
};

/// Decodes and validates a component, and plans its instantiation.
///
/// # Errors
/// The first thing that is wrong, with its offset; what is not supported; what is over a limit.
pub fn plan(bytes: &[u8]) -> Result<Plan, Invalid> {
    let Decoded { root, modules } = decode(bytes)?;
    let mut evaluator = Evaluator {
        plan: Plan {
            modules,
            ..Plan::default()
        },
        evaluated: 0,
        offset: 0,
    };
    let exports = evaluator.component(&root, None, None, 0)?;
    check_root_exports(&exports, "").map_err(|reason| evaluator.invalid(reason))?;
    evaluator.plan.exports = public(&exports);
    Ok(evaluator.plan)
}

type Link<'d> = Option<Rc<Frame<'d>>>;

/// The index spaces of a component instance, or of a scope of type declarations.
#[derive(Default)]
struct Frame<'d> {
    parent: Link<'d>,
    instance: u32,
    spaces: RefCell<Spaces<'d>>,
}

#[derive(Default)]
struct Spaces<'d> {
    core_funcs: Vec<CoreDef>,
    core_tables: Vec<CoreDef>,
    core_memories: Vec<CoreDef>,
    core_globals: Vec<CoreDef>,
    core_tags: Vec<CoreDef>,
    core_instances: Vec<CoreInstance>,
    core_types: Vec<CoreTypeDef<'d>>,
    modules: Vec<ModuleRef>,
    funcs: Vec<Func>,
    types: Vec<TypeDef<'d>>,
    instances: Vec<Rc<Exports<'d>>>,
    components: Vec<Rc<Closure<'d>>>,
}

type Func = (FuncRef, Arc<FuncType>);

/// A component and the frame that its outer aliases mean.
struct Closure<'d> {
    definition: &'d Definition<'d>,
    outer: Rc<Frame<'d>>,
}

#[derive(Clone)]
enum TypeDef<'d> {
    Val(ValType),
    Func(Arc<FuncType>),
    Resource(ResourceId),
    Instance(&'d [InstanceTypeDeclaration<'d>], Rc<Frame<'d>>),
    Component,
    /// A type that only asynchronous functions use.
    Async,
}

#[derive(Clone)]
enum CoreTypeDef<'d> {
    /// The types of a recursion group are looked at only in types of modules.
    Sub(Box<wp::SubType>),
    Module(&'d [ModuleTypeDeclaration<'d>], Rc<Frame<'d>>),
}

/// An item under a name.
#[derive(Clone)]
enum Def<'d> {
    Func(Func),
    Type(TypeDef<'d>),
    Instance(Rc<Exports<'d>>),
    Component(Rc<Closure<'d>>),
    Module(ModuleRef),
}

/// Named items, in order.
#[derive(Default)]
struct Exports<'d> {
    order: Vec<Arc<str>>,
    items: BTreeMap<Arc<str>, Def<'d>>,
}

impl<'d> Exports<'d> {
    fn insert(&mut self, name: &str, item: Def<'d>) {
        let name: Arc<str> = name.into();
        if self.items.insert(name.clone(), item).is_none() {
            self.order.push(name);
        }
    }
}

type Args<'d> = BTreeMap<&'d str, Def<'d>>;

fn public(exports: &Exports<'_>) -> Items {
    let item = |name: &Arc<str>| (name.clone(), public_item(&exports.items[name]));
    Items(exports.order.iter().map(item).collect())
}

fn public_item(def: &Def<'_>) -> Item {
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
    fn push(&self, item: Def<'d>) {
        let mut spaces = self.spaces.borrow_mut();
        match item {
            Def::Func(func) => spaces.funcs.push(func),
            Def::Type(ty) => spaces.types.push(ty),
            Def::Instance(instance) => spaces.instances.push(instance),
            Def::Component(component) => spaces.components.push(component),
            Def::Module(module) => spaces.modules.push(module),
        }
    }

    fn get(&self, kind: Kind, index: u32) -> Def<'d> {
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

    fn push_core(&self, kind: CoreKind, def: CoreDef) {
        let mut spaces = self.spaces.borrow_mut();
        match kind {
            CoreKind::Func => spaces.core_funcs.push(def),
            CoreKind::Table => spaces.core_tables.push(def),
            CoreKind::Memory => spaces.core_memories.push(def),
            CoreKind::Global => spaces.core_globals.push(def),
            CoreKind::Tag => spaces.core_tags.push(def),
        }
    }

    fn core(&self, kind: CoreKind, index: u32) -> CoreDef {
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

    fn resource(&self, index: u32) -> ResourceId {
        match &self.spaces.borrow().types[index as usize] {
            TypeDef::Resource(id) => *id,
            _ => unreachable!("the validator checked that it is a resource"),
        }
    }
}

/// The frame `count` levels out.
fn outward<'d>(frame: &Rc<Frame<'d>>, count: u32) -> Rc<Frame<'d>> {
    let mut frame = frame.clone();
    for _ in 0..count {
        frame = frame
            .parent
            .clone()
            .expect("the validator checked the count of outer aliases");
    }
    frame
}

fn core_kind(kind: ExternalKind) -> CoreKind {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => CoreKind::Func,
        ExternalKind::Table => CoreKind::Table,
        ExternalKind::Memory => CoreKind::Memory,
        ExternalKind::Global => CoreKind::Global,
        ExternalKind::Tag => CoreKind::Tag,
    }
}

struct Evaluator {
    plan: Plan,
    evaluated: usize,
    /// Where the last entry that has an offset starts.
    offset: u64,
}

impl Evaluator {
    #[cold]
    fn invalid(&self, reason: impl Into<String>) -> Invalid {
        invalid(self.offset, reason)
    }

    fn limit(&self, limit: Limit) -> Invalid {
        self.invalid(limit.to_string())
    }

    fn unsupported<T>(&self, what: &str) -> Result<T, Invalid> {
        Err(self.invalid(format!("{what} (feature not supported: component-model-async)")))
    }

    /// Counts one definition.
    fn count(&mut self) -> Result<(), Invalid> {
        self.evaluated += 1;
        if self.evaluated > EVALUATED_MAX {
            let max = EVALUATED_MAX;
            return Err(self.invalid(format!("the instantiations evaluate more than {max} definitions")));
        }
        Ok(())
    }

    fn count_instance(&self) -> Result<(), Invalid> {
        let count = self.plan.core_instances as usize + self.plan.parents.len();
        if count >= INSTANCES_MAX {
            return Err(self.invalid(format!("the component makes more than {INSTANCES_MAX} instances")));
        }
        Ok(())
    }

    /// Instantiates a component; `args` is `None` for the root.
    fn component<'d>(
        &mut self,
        definition: &'d Definition<'d>,
        outer: Link<'d>,
        args: Option<(&Args<'d>, u32)>,
        depth: usize,
    ) -> Result<Exports<'d>, Invalid> {
        self.count_instance()?;
        if depth > NESTING_MAX {
            return Err(self.invalid(format!("instantiations nest deeper than {NESTING_MAX}")));
        }
        let instance = self.plan.parents.len() as u32;
        self.plan.parents.push(args.map(|(_, parent)| parent));
        let frame = Rc::new(Frame {
            parent: outer,
            instance,
            spaces: RefCell::default(),
        });
        let mut exports = Exports::default();
        for entry in &definition.entries {
            self.count()?;
            match entry {
                Entry::CoreModule(index) => frame.push(Def::Module(ModuleRef::Own(*index))),
                Entry::CoreInstance(instance) => self.core_instance(&frame, instance)?,
                Entry::CoreType(ty) => push_core_type(&frame, ty),
                Entry::Component(definition) => {
                    let outer = frame.clone();
                    frame.push(Def::Component(Rc::new(Closure { definition, outer })));
                }
                Entry::Instance(instance) => {
                    let made = self.instance(&frame, instance, depth)?;
                    frame.push(Def::Instance(Rc::new(made)));
                }
                Entry::Alias(alias) => self.alias(&frame, alias)?,
                Entry::Type(ty) => {
                    let ty = self.type_def(&frame, ty)?;
                    frame.push(Def::Type(ty));
                }
                Entry::Canon(func, offset) => {
                    self.offset = *offset;
                    self.canon(&frame, func)?;
                }
                Entry::Import(import, offset) => {
                    self.offset = *offset;
                    let name = import.name.full_name();
                    let item = match args {
                        Some((args, _)) => {
                            let found = args.get(import.name.name);
                            found.expect("the validator checked the arguments").clone()
                        }
                        None => {
                            let path = vec![Arc::from(&*name)];
                            let item = self.import(&frame, &import.ty, path)?;
                            self.plan.imports.0.push((Arc::from(&*name), public_item(&item)));
                            item
                        }
                    };
                    frame.push(item);
                }
                Entry::Export(export) => {
                    let item = frame.get(export.kind, export.index);
                    let name = if args.is_none() {
                        export.name.full_name()
                    } else {
                        export.name.name.into()
                    };
                    exports.insert(&name, item.clone());
                    frame.push(item);
                }
            }
        }
        Ok(exports)
    }

    fn instance<'d>(
        &mut self,
        frame: &Rc<Frame<'d>>,
        instance: &'d ComponentInstance<'d>,
        depth: usize,
    ) -> Result<Exports<'d>, Invalid> {
        match instance {
            ComponentInstance::FromExports(list) => {
                let mut exports = Exports::default();
                for export in list {
                    self.count()?;
                    exports.insert(export.name.name, frame.get(export.kind, export.index));
                }
                Ok(exports)
            }
            ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                let Def::Component(closure) = frame.get(Kind::Component, *component_index) else {
                    unreachable!("got by its kind");
                };
                let mut given = Args::new();
                for arg in args {
                    self.count()?;
                    given.insert(arg.name, frame.get(arg.kind, arg.index));
                }
                let outer = Some(closure.outer.clone());
                self.component(
                    closure.definition,
                    outer,
                    Some((&given, frame.instance)),
                    depth + 1,
                )
            }
        }
    }

    fn core_instance<'d>(
        &mut self,
        frame: &Rc<Frame<'d>>,
        instance: &wp::Instance<'d>,
    ) -> Result<(), Invalid> {
        let made = match instance {
            wp::Instance::Instantiate { module_index, args } => {
                self.count_instance()?;
                let spaces = frame.spaces.borrow();
                let module = spaces.modules[*module_index as usize].clone();
                let arg = |arg: &wp::InstantiationArg<'_>| {
                    (Arc::from(arg.name), spaces.core_instances[arg.index as usize])
                };
                let args: Vec<_> = args.iter().map(arg).collect();
                self.evaluated += args.len();
                self.plan.steps.push(Step::Instantiate { module, args });
                self.plan.core_instances += 1;
                CoreInstance::Real(self.plan.core_instances - 1)
            }
            wp::Instance::FromExports(list) => {
                let def = |export: &wp::Export<'_>| {
                    let kind = core_kind(export.kind);
                    (Arc::from(export.name), frame.core(kind, export.index))
                };
                self.evaluated += list.len();
                self.plan.bags.push(list.iter().map(def).collect());
                CoreInstance::Bag(self.plan.bags.len() as u32 - 1)
            }
        };
        frame.spaces.borrow_mut().core_instances.push(made);
        Ok(())
    }

    fn alias<'d>(&mut self, frame: &Rc<Frame<'d>>, alias: &ComponentAlias<'d>) -> Result<(), Invalid> {
        match *alias {
            ComponentAlias::InstanceExport {
                instance_index, name, ..
            } => {
                let item = frame.spaces.borrow().instances[instance_index as usize].items[name].clone();
                frame.push(item);
            }
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instance = frame.spaces.borrow().core_instances[instance_index as usize];
                let def = match instance {
                    CoreInstance::Real(index) => CoreDef::Export(index, name.into()),
                    CoreInstance::Bag(index) => {
                        let bag = &self.plan.bags[index as usize];
                        let found = bag.iter().find(|(own, _)| **own == *name);
                        found.expect("the validator checked the name").1.clone()
                    }
                };
                frame.push_core(core_kind(kind), def);
            }
            ComponentAlias::Outer { kind, count, index } => {
                let outer = outward(frame, count);
                let kind = match kind {
                    ComponentOuterAliasKind::CoreType => {
                        let ty = outer.spaces.borrow().core_types[index as usize].clone();
                        frame.spaces.borrow_mut().core_types.push(ty);
                        return Ok(());
                    }
                    ComponentOuterAliasKind::CoreModule => Kind::Module,
                    ComponentOuterAliasKind::Type => Kind::Type,
                    ComponentOuterAliasKind::Component => Kind::Component,
                };
                let item = outer.get(kind, index);
                frame.push(item);
            }
        }
        Ok(())
    }

    /// What the host gives the root.
    fn import<'d>(
        &mut self,
        frame: &Rc<Frame<'d>>,
        ty: &ComponentTypeRef,
        path: Vec<Arc<str>>,
    ) -> Result<Def<'d>, Invalid> {
        let number = self.plan.imported.len() as u32;
        Ok(match *ty {
            ComponentTypeRef::Func(index) => {
                self.ask(path);
                Def::Func((FuncRef::Import(number), func_type(frame, index)))
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => frame.get(Kind::Type, index),
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                self.ask(path);
                let id = self.add_resource(ResourceOrigin::Import(number));
                Def::Type(TypeDef::Resource(id))
            }
            ComponentTypeRef::Instance(index) => {
                let ty = frame.spaces.borrow().types[index as usize].clone();
                let TypeDef::Instance(declarations, outer) = ty else {
                    unreachable!("the validator checked that it is an instance type");
                };
                Def::Instance(Rc::new(self.imported_instance(declarations, outer, &path)?))
            }
            ComponentTypeRef::Module(index) => {
                self.ask(path);
                let ty = frame.spaces.borrow().core_types[index as usize].clone();
                let CoreTypeDef::Module(declarations, outer) = ty else {
                    unreachable!("the validator checked that it is a module type");
                };
                let ty = Arc::new(module_type(declarations, &outer));
                Def::Module(ModuleRef::Import(number, ty))
            }
            ComponentTypeRef::Component(_) => {
                let reason = "root-level component imports are not supported";
                return Err(self.invalid(reason));
            }
            ComponentTypeRef::Value(_) => return Err(self.invalid("value imports are not supported")),
        })
    }

    fn ask(&mut self, path: Vec<Arc<str>>) {
        self.plan.imported.push(Import { path: path.into() });
    }

    fn add_resource(&mut self, origin: ResourceOrigin) -> ResourceId {
        self.plan.resources.push(origin);
        ResourceId(self.plan.resources.len() as u32 - 1)
    }

    /// An instance of the host, by its type.
    fn imported_instance<'d>(
        &mut self,
        declarations: &'d [InstanceTypeDeclaration<'d>],
        outer: Rc<Frame<'d>>,
        path: &[Arc<str>],
    ) -> Result<Exports<'d>, Invalid> {
        let frame = Rc::new(Frame {
            instance: outer.instance,
            parent: Some(outer),
            spaces: RefCell::default(),
        });
        let mut exports = Exports::default();
        for declaration in declarations {
            self.count()?;
            match declaration {
                InstanceTypeDeclaration::CoreType(ty) => push_core_type(&frame, ty),
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.type_def(&frame, ty)?;
                    frame.push(Def::Type(ty));
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias(&frame, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    let full = name.full_name();
                    let mut path = path.to_vec();
                    path.push(Arc::from(&*full));
                    let item = self.import(&frame, ty, path)?;
                    exports.insert(name.name, item.clone());
                    frame.push(item);
                }
            }
        }
        Ok(exports)
    }

    fn type_def<'d>(
        &mut self,
        frame: &Rc<Frame<'d>>,
        ty: &'d ComponentType<'d>,
    ) -> Result<TypeDef<'d>, Invalid> {
        Ok(match ty {
            ComponentType::Defined(ty) => self.defined_type(frame, ty)?,
            ComponentType::Func(ty) => match self.func_type(frame, ty)? {
                Some(ty) => TypeDef::Func(Arc::new(ty)),
                None => TypeDef::Async,
            },
            ComponentType::Component(_) => TypeDef::Component,
            ComponentType::Instance(declarations) => TypeDef::Instance(declarations, frame.clone()),
            ComponentType::Resource { dtor, .. } => {
                let dtor = dtor.map(|index| frame.core(CoreKind::Func, index));
                let instance = frame.instance;
                let id = self.add_resource(ResourceOrigin::Own { instance, dtor });
                self.plan.steps.push(Step::Resource(id));
                TypeDef::Resource(id)
            }
        })
    }

    fn func_type(
        &mut self,
        frame: &Frame<'_>,
        ty: &ComponentFuncType<'_>,
    ) -> Result<Option<FuncType>, Invalid> {
        let mut params = Vec::with_capacity(ty.params.len());
        for (name, ty) in &ty.params {
            let Some(ty) = val_type(frame, *ty) else {
                return Ok(None);
            };
            params.push((Arc::from(*name), ty));
        }
        let result = match ty.result {
            Some(ty) => match val_type(frame, ty) {
                None => return Ok(None),
                some => some,
            },
            None => None,
        };
        let params = Fields::new(params).map_err(|limit| self.limit(limit))?;
        Ok(Some(FuncType {
            params: Arc::new(params),
            result,
            is_async: ty.async_,
        }))
    }

    fn defined_type<'d>(
        &mut self,
        frame: &Frame<'d>,
        ty: &ComponentDefinedType<'_>,
    ) -> Result<TypeDef<'d>, Invalid> {
        // A part that only asynchronous functions use makes the whole one.
        macro_rules! part {
            ($ty:expr) => {
                match val_type(frame, $ty) {
                    Some(ty) => ty,
                    None => return Ok(TypeDef::Async),
                }
            };
        }
        macro_rules! optional {
            ($ty:expr) => {
                match $ty {
                    Some(ty) => Some(part!(ty)),
                    None => None,
                }
            };
        }
        let name = |name: &str| Arc::<str>::from(name);
        let made = match ty {
            ComponentDefinedType::Primitive(ty) => Ok(primitive(*ty)),
            ComponentDefinedType::Record(list) => {
                let mut fields = Vec::with_capacity(list.len());
                for (field, ty) in list {
                    fields.push((name(field), part!(*ty)));
                }
                Fields::new(fields).map(|it| ValType::Record(Arc::new(it)))
            }
            ComponentDefinedType::Tuple(list) => {
                let mut fields = Vec::with_capacity(list.len());
                for ty in list {
                    fields.push((name(""), part!(*ty)));
                }
                Fields::new(fields).map(|it| ValType::Tuple(Arc::new(it)))
            }
            ComponentDefinedType::Variant(list) => {
                let mut cases = Vec::with_capacity(list.len());
                for case in list {
                    cases.push(Case {
                        name: name(case.name),
                        ty: optional!(case.ty),
                    });
                }
                Variant::new(cases).map(|it| ValType::Variant(Arc::new(it)))
            }
            ComponentDefinedType::Enum(list) => {
                let case = |it: &&str| Case {
                    name: name(it),
                    ty: None,
                };
                Variant::new(list.iter().map(case).collect()).map(|it| ValType::Enum(Arc::new(it)))
            }
            ComponentDefinedType::Option(ty) => {
                Variant::option(part!(*ty)).map(|it| ValType::Option(Arc::new(it)))
            }
            ComponentDefinedType::Result { ok, err } => {
                let (ok, err) = (optional!(*ok), optional!(*err));
                Variant::result(ok, err).map(|it| ValType::Result(Arc::new(it)))
            }
            ComponentDefinedType::List(ty) => {
                List::new(part!(*ty), None).map(|it| ValType::List(Arc::new(it)))
            }
            ComponentDefinedType::FixedLengthList(ty, length) => {
                List::new(part!(*ty), Some(*length)).map(|it| ValType::List(Arc::new(it)))
            }
            ComponentDefinedType::Map(key, value) => {
                let entry = [(name(""), part!(*key)), (name(""), part!(*value))];
                Fields::new(entry)
                    .and_then(|it| List::new(ValType::Tuple(Arc::new(it)), None))
                    .map(|it| ValType::Map(Arc::new(it)))
            }
            ComponentDefinedType::Flags(names) => {
                let names = names.iter().map(|it| name(it)).collect();
                Ok(ValType::Flags(Arc::new(Flags::new(names))))
            }
            ComponentDefinedType::Own(index) => Ok(ValType::Own(frame.resource(*index))),
            ComponentDefinedType::Borrow(index) => Ok(ValType::Borrow(frame.resource(*index))),
            ComponentDefinedType::Future(_) | ComponentDefinedType::Stream(_) => return Ok(TypeDef::Async),
        };
        made.map(TypeDef::Val).map_err(|limit| self.limit(limit))
    }

    fn canon(&mut self, frame: &Rc<Frame<'_>>, func: &CanonicalFunction) -> Result<(), Invalid> {
        let instance = frame.instance;
        let builtin = match func {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let options = self.options(frame, options)?;
                let ty = match &frame.spaces.borrow().types[*type_index as usize] {
                    TypeDef::Func(ty) => ty.clone(),
                    _ => return self.unsupported("a function with a type of asynchronous functions"),
                };
                if ty.is_async {
                    return self.unsupported("an asynchronous function");
                }
                let func = frame.core(CoreKind::Func, *core_func_index);
                self.plan.lifts.push(Lift {
                    instance,
                    func,
                    ty: ty.clone(),
                    options,
                });
                let lift = FuncRef::Lift(self.plan.lifts.len() as u32 - 1);
                frame.push(Def::Func((lift, ty)));
                return Ok(());
            }
            CanonicalFunction::Lower { func_index, options } => {
                let options = self.options(frame, options)?;
                let (func, ty) = frame.spaces.borrow().funcs[*func_index as usize].clone();
                if ty.is_async {
                    return self.unsupported("an asynchronous function");
                }
                let trampoline = match func {
                    FuncRef::Lift(lift) => Trampoline::Adapter {
                        instance,
                        lift,
                        options,
                    },
                    FuncRef::Import(import) => Trampoline::Host {
                        instance,
                        import,
                        ty,
                        options,
                    },
                };
                self.push_trampoline(frame, trampoline);
                return Ok(());
            }
            CanonicalFunction::ResourceNew { resource } => Builtin::ResourceNew(frame.resource(*resource)),
            CanonicalFunction::ResourceRep { resource } => Builtin::ResourceRep(frame.resource(*resource)),
            CanonicalFunction::ResourceDrop { resource } => Builtin::ResourceDrop(frame.resource(*resource)),
            CanonicalFunction::ErrorContextNew { options } => {
                Builtin::ErrorContextNew(self.options(frame, options)?)
            }
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                Builtin::ErrorContextDebugMessage(self.options(frame, options)?)
            }
            CanonicalFunction::ErrorContextDrop => Builtin::ErrorContextDrop,
            CanonicalFunction::ContextGet {
                ty: wp::ValType::I32,
                slot,
            } => {
                self.plan.with_context.insert(instance);
                Builtin::ContextGet(*slot)
            }
            CanonicalFunction::ContextSet {
                ty: wp::ValType::I32,
                slot,
            } => {
                self.plan.with_context.insert(instance);
                Builtin::ContextSet(*slot)
            }
            CanonicalFunction::BackpressureInc => Builtin::Backpressure(true),
            CanonicalFunction::BackpressureDec => Builtin::Backpressure(false),
            CanonicalFunction::TaskReturn { result, options } => {
                self.options(frame, options)?;
                let params = match result {
                    None => Vec::new(),
                    Some(ty) => match val_type(frame, *ty) {
                        Some(ty) => ty.layout().flat.map_or(vec![Flat::I32], |flat| flat.to_vec()),
                        None => vec![Flat::I32],
                    },
                };
                Builtin::Missing("task.return", params, Vec::new())
            }
            other => match missing(other) {
                Some((name, params, results)) => Builtin::Missing(name, params.to_vec(), results.to_vec()),
                None => {
                    let name = format!("{other:?}");
                    let name = name.split([' ', '{']).next().unwrap_or_default();
                    return self.unsupported(&format!("the canonical function {name}"));
                }
            },
        };
        self.push_trampoline(frame, Trampoline::Builtin { instance, builtin });
        Ok(())
    }

    fn push_trampoline(&mut self, frame: &Frame<'_>, trampoline: Trampoline) {
        let index = self.plan.trampolines.len() as u32;
        self.plan.trampolines.push(trampoline);
        self.plan.steps.push(Step::Trampoline(index));
        frame.push_core(CoreKind::Func, CoreDef::Trampoline(index));
    }

    fn options(&self, frame: &Frame<'_>, list: &[CanonicalOption]) -> Result<Options, Invalid> {
        let mut options = Options::default();
        for option in list {
            match *option {
                CanonicalOption::UTF8 => options.encoding = Encoding::Utf8,
                CanonicalOption::UTF16 => options.encoding = Encoding::Utf16,
                CanonicalOption::CompactUTF16 => options.encoding = Encoding::CompactUtf16,
                CanonicalOption::Memory(index) => options.memory = Some(frame.core(CoreKind::Memory, index)),
                CanonicalOption::Realloc(index) => options.realloc = Some(frame.core(CoreKind::Func, index)),
                CanonicalOption::PostReturn(index) => {
                    options.post_return = Some(frame.core(CoreKind::Func, index));
                }
                CanonicalOption::Async | CanonicalOption::Callback(_) => {
                    return self.unsupported("the canonical option `async`");
                }
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    let reason = "the canonical option `gc` (feature not supported: component-model-gc)";
                    return Err(self.invalid(reason));
                }
            }
        }
        Ok(options)
    }
}

fn func_type(frame: &Frame<'_>, index: u32) -> Arc<FuncType> {
    match &frame.spaces.borrow().types[index as usize] {
        TypeDef::Func(ty) => ty.clone(),
        // Only named: a call would need `canon lower`, which refuses it.
        _ => Arc::new(FuncType {
            params: Arc::new(Fields::new([]).expect("nothing is small")),
            result: None,
            is_async: true,
        }),
    }
}

/// `None` if only asynchronous functions use it.
fn val_type(frame: &Frame<'_>, ty: ComponentValType) -> Option<ValType> {
    match ty {
        ComponentValType::Primitive(ty) => Some(primitive(ty)),
        ComponentValType::Type(index) => match &frame.spaces.borrow().types[index as usize] {
            TypeDef::Val(ty) => Some(ty.clone()),
            _ => None,
        },
    }
}

fn primitive(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}

fn push_core_type<'d>(frame: &Rc<Frame<'d>>, ty: &'d wp::CoreType<'d>) {
    let mut spaces = frame.spaces.borrow_mut();
    match ty {
        wp::CoreType::Rec(group) => {
            let types = group.types().map(|ty| CoreTypeDef::Sub(Box::new(ty.clone())));
            spaces.core_types.extend(types);
        }
        wp::CoreType::Module(declarations) => {
            spaces
                .core_types
                .push(CoreTypeDef::Module(declarations, frame.clone()));
        }
    }
}

/// What an imported module must be.
fn module_type(declarations: &[ModuleTypeDeclaration<'_>], outer: &Rc<Frame<'_>>) -> ModuleType {
    let mut types: Vec<wp::SubType> = Vec::new();
    let mut module = ModuleType::default();
    for declaration in declarations {
        match declaration {
            ModuleTypeDeclaration::Type(group) => types.extend(group.types().cloned()),
            ModuleTypeDeclaration::OuterAlias { count, index, .. } => {
                // The innermost scope is the module type itself.
                let frame = match count.checked_sub(1) {
                    Some(count) => outward(outer, count),
                    None => {
                        types.push(types[*index as usize].clone());
                        continue;
                    }
                };
                if let CoreTypeDef::Sub(ty) = &frame.spaces.borrow().core_types[*index as usize] {
                    types.push((**ty).clone());
                }
            }
            ModuleTypeDeclaration::Export { name, ty } => {
                if let Some(ty) = core_type(&types, ty) {
                    module.exports.push((Arc::from(*name), ty));
                }
            }
            ModuleTypeDeclaration::Import(import) => {
                if let Some(ty) = core_type(&types, &import.ty) {
                    module
                        .imports
                        .push((import.module.into(), import.name.into(), ty));
                }
            }
        }
    }
    module
}

/// `None` if it is a type that no function can have.
fn core_type(types: &[wp::SubType], ty: &wp::TypeRef) -> Option<CoreType> {
    let func = |index: u32| match &types.get(index as usize)?.composite_type.inner {
        wp::CompositeInnerType::Func(ty) => Some(ty),
        _ => None,
    };
    let text = |types: &[wp::ValType]| types.iter().map(wp::ValType::to_string).collect::<Vec<_>>();
    Some(match *ty {
        wp::TypeRef::Func(index) | wp::TypeRef::FuncExact(index) => {
            let ty = func(index)?;
            CoreType::Func {
                params: text(ty.params()),
                results: text(ty.results()),
            }
        }
        wp::TypeRef::Table(ty) => CoreType::Table {
            element: wp::ValType::Ref(ty.element_type).to_string(),
            min: ty.initial,
            max: ty.maximum,
            is_64: ty.table64,
        },
        wp::TypeRef::Memory(ty) => CoreType::Memory {
            min: ty.initial,
            max: ty.maximum,
            is_64: ty.memory64,
            shared: ty.shared,
        },
        wp::TypeRef::Global(ty) => CoreType::Global {
            content: ty.content_type.to_string(),
            mutable: ty.mutable,
        },
        wp::TypeRef::Tag(ty) => CoreType::Tag {
            params: text(func(ty.func_type_idx)?.params()),
        },
    })
}

/// A root may not export what it has no instance for.
fn check_root_exports(exports: &Exports<'_>, path: &str) -> Result<(), String> {
    for (name, item) in &exports.items {
        let path = format!("{path}{name}");
        match item {
            Def::Func((FuncRef::Import(_), _)) => {
                return Err(format!(
                    "component export `{path}` is a reexport of an imported function which is not implemented"
                ));
            }
            Def::Component(_) => {
                return Err(format!(
                    "exporting a component from the root component is not supported: `{path}`"
                ));
            }
            Def::Instance(exports) => check_root_exports(exports, &format!("{path}#"))?,
            _ => {}
        }
    }
    Ok(())
}

/// Name, parameters and results of the functions that only asynchronous calls need.
fn missing(func: &CanonicalFunction) -> Option<(&'static str, &'static [Flat], &'static [Flat])> {
    const W: Flat = Flat::I32;
    Some(match func {
        CanonicalFunction::TaskCancel => ("task.cancel", &[], &[]),
        CanonicalFunction::ThreadYield => ("thread.yield", &[], &[W]),
        CanonicalFunction::ThreadIndex => ("thread.index", &[], &[W]),
        CanonicalFunction::SubtaskDrop => ("subtask.drop", &[W], &[]),
        CanonicalFunction::SubtaskCancel { .. } => ("subtask.cancel", &[W], &[W]),
        CanonicalFunction::StreamNew { .. } => ("stream.new", &[], &[Flat::I64]),
        CanonicalFunction::StreamRead { .. } => ("stream.read", &[W, W, W], &[W]),
        CanonicalFunction::StreamWrite { .. } => ("stream.write", &[W, W, W], &[W]),
        CanonicalFunction::StreamCancelRead { .. } => ("stream.cancel-read", &[W], &[W]),
        CanonicalFunction::StreamCancelWrite { .. } => ("stream.cancel-write", &[W], &[W]),
        CanonicalFunction::StreamDropReadable { .. } => ("stream.drop-readable", &[W], &[]),
        CanonicalFunction::StreamDropWritable { .. } => ("stream.drop-writable", &[W], &[]),
        CanonicalFunction::FutureNew { .. } => ("future.new", &[], &[Flat::I64]),
        CanonicalFunction::FutureRead { .. } => ("future.read", &[W, W], &[W]),
        CanonicalFunction::FutureWrite { .. } => ("future.write", &[W, W], &[W]),
        CanonicalFunction::FutureCancelRead { .. } => ("future.cancel-read", &[W], &[W]),
        CanonicalFunction::FutureCancelWrite { .. } => ("future.cancel-write", &[W], &[W]),
        CanonicalFunction::FutureDropReadable { .. } => ("future.drop-readable", &[W], &[]),
        CanonicalFunction::FutureDropWritable { .. } => ("future.drop-writable", &[W], &[]),
        CanonicalFunction::WaitableSetNew => ("waitable-set.new", &[], &[W]),
        CanonicalFunction::WaitableSetWait { .. } => ("waitable-set.wait", &[W, W], &[W]),
        CanonicalFunction::WaitableSetPoll { .. } => ("waitable-set.poll", &[W, W], &[W]),
        CanonicalFunction::WaitableSetDrop => ("waitable-set.drop", &[W], &[]),
        CanonicalFunction::WaitableJoin => ("waitable.join", &[W, W], &[]),
        CanonicalFunction::ThreadNewIndirect { .. } => ("thread.new-indirect", &[W, W], &[W]),
        _ => return None,
    })
}
