//! Carries out the instantiation of a component on paper.
//!
//! Each instantiation of a nested component gets a frame with its index spaces. What it defines is
//! evaluated in order, with concrete resources, so that types need no substitution later: the type
//! of an import that is given an export is the export's. Frames grow only at their ends, so that an
//! outer alias can look into the frame around it at any later time.
//!
//! Requires what the validator checked: indexes are in range, items are of the right sort.

mod canon;
mod frame;
mod types;

use crate::decode::{Decoded, Definition, Entry, Features, allowed, decode, decode_valid, invalid};
use crate::drafts;
use crate::limits::{EVALUATED_MAX, INSTANCES_MAX, NESTING_MAX};
use crate::plan::{CoreDef, CoreInstance, FuncRef, Import, ModuleRef, Plan, ResourceOrigin, Step};
use crate::types::ResourceId;
use cellwall_base::{Invalid, Limit};
use frame::{
    All, Args, Closure, CoreTypeDef, Def, Exports, Frame, Frames, Link, TypeDef, core_kind, outward, public,
    public_item,
};
use std::rc::Rc;
use std::sync::Arc;
use types::{func_type, module_type, push_core_type};
use wasmparser as wp;
use wasmparser::{
    ComponentAlias, ComponentExternalKind as Kind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, InstanceTypeDeclaration, TypeBounds,
};

/// Decodes and validates a component, and plans its instantiation.
///
/// # Errors
/// The first thing that is wrong, with its offset; what is not supported; what is over a limit.
pub fn plan(bytes: &[u8]) -> Result<Plan, Invalid> {
    plan_with(bytes, Features::default())
}

/// The same of a component that may use these features only.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(bytes: &[u8], features: Features) -> Result<Plan, Invalid> {
    let (mut bytes, mut renewed) = (bytes, None);
    let mut decoded = decode(bytes, features);
    if let Err(invalid) = &decoded
        && drafts::is_old(invalid)
        && let Some(made) = drafts::renewed(bytes, allowed(features))
    {
        bytes = renewed.insert(made);
        decoded = decode(bytes, features);
    }
    let decoded = match decoded {
        Err(invalid) if drafts::is_about_hyphens(&invalid) => {
            drafts::check_told_apart(bytes, features, invalid)?;
            decode_valid(bytes, features)
        }
        decoded => decoded,
    };
    let Decoded { root, modules } = decoded?;
    let mut evaluator = Evaluator {
        plan: Plan {
            modules,
            ..Plan::default()
        },
        evaluated: 0,
        offset: 0,
    };
    let frames = Frames::default();
    let exports = evaluator.component(&root, &frames.0, None, None, 0)?;
    check_root_exports(&exports, "").map_err(|reason| evaluator.invalid(reason))?;
    evaluator.plan.exports = public(&exports);
    Ok(evaluator.plan)
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
        all: &All<'d>,
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
        let frame = Frame::new(all, outer, instance);
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
                    closure.outer.all(),
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
                let instance = frame.instance;
                self.plan.steps.push(Step::Instantiate {
                    instance,
                    module,
                    args,
                });
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
        let (all, instance) = (outer.all().clone(), outer.instance);
        let frame = Frame::new(&all, Some(outer), instance);
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
