//! Where the imports of a component's core modules come from, found once instead of by name for each instance.

use super::Component;
use cellwall_component::{CoreDef, CoreInstance, ModuleRef, Plan, Step};
use std::collections::BTreeMap;

/// Where an import comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// This export of this core instance.
    Export { instance: u32, at: usize },
    /// This row of this bag.
    Bag { bag: u32, at: usize },
    /// To be looked up: what it is an export of is known at instantiation.
    ByName,
}

/// For each core instance of the plan, where its imports come from; none for those of imported modules.
#[derive(Debug)]
pub(super) struct Wiring(Vec<Option<Vec<Source>>>);

type Places<'a> = BTreeMap<&'a str, usize>;

fn places<'a>(names: impl Iterator<Item = &'a str>) -> Places<'a> {
    let mut places = Places::new();
    for (at, name) in names.enumerate() {
        // The first counts, as in a search.
        places.entry(name).or_insert(at);
    }
    places
}

impl Wiring {
    pub(super) fn of(component: &Component) -> Wiring {
        let plan = component.plan();
        let mut finding = Finding {
            plan,
            exports: Vec::new(),
            bags: plan.bags.iter().map(|_| None).collect(),
        };
        let mut instances = Vec::new();
        for step in &plan.steps {
            let Step::Instantiate { module, args, .. } = step else {
                continue;
            };
            let ModuleRef::Own(index) = module else {
                instances.push(None);
                finding.exports.push(None);
                continue;
            };
            let shape = component.module(*index).code().shape();
            let from: BTreeMap<&str, CoreInstance> =
                args.iter().rev().map(|(name, from)| (&**name, *from)).collect();
            let imports = shape.imports.iter();
            let sources = imports.map(|import| match from.get(&*import.module) {
                Some(from) => finding.source(*from, &import.name),
                None => Source::ByName,
            });
            instances.push(Some(sources.collect()));
            let names = shape.exports.iter().map(|export| &*export.name);
            finding.exports.push(Some(places(names)));
        }
        Wiring(instances)
    }

    /// Where the import at this place of a core instance comes from.
    pub(super) fn source(&self, instance: usize, at: usize) -> Source {
        let imports = self.0.get(instance).and_then(Option::as_ref);
        imports
            .and_then(|imports| imports.get(at).copied())
            .unwrap_or(Source::ByName)
    }
}

struct Finding<'a> {
    plan: &'a Plan,
    /// Of the core instances so far; `None` where the module is imported.
    exports: Vec<Option<Places<'a>>>,
    /// Those that were looked at.
    bags: Vec<Option<Places<'a>>>,
}

impl Finding<'_> {
    fn source(&mut self, from: CoreInstance, name: &str) -> Source {
        match from {
            CoreInstance::Real(instance) => self.export(instance, name).unwrap_or(Source::ByName),
            CoreInstance::Bag(bag) => {
                let rows = &self.plan.bags[bag as usize];
                let known = &mut self.bags[bag as usize];
                let known = known.get_or_insert_with(|| places(rows.iter().map(|(name, _)| &**name)));
                let Some(&at) = known.get(name) else {
                    return Source::ByName;
                };
                match &rows[at].1 {
                    CoreDef::Export(instance, name) => self.export(*instance, name),
                    CoreDef::Trampoline(_) => None,
                }
                .unwrap_or(Source::Bag { bag, at })
            }
        }
    }

    fn export(&self, instance: u32, name: &str) -> Option<Source> {
        let at = *self.exports[instance as usize].as_ref()?.get(name)?;
        Some(Source::Export { instance, at })
    }
}
