//! Components linked to components: one component that holds them all.
//!
//! Requires components that are valid by themselves. Guarantees that every link was compared in types
//! before anything is written, that no two components wait for each other, and that an error names
//! both ends. What nobody gives stays an import of the result. Runs nothing.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;

use cellwall::component::Component;
use cellwall::{Engine, Error};
use wac_graph::types::{
    DefinedType, DefinedTypeId, FuncType, FuncTypeId, ItemKind, Package, ResourceId, Type, Types, ValueType,
};
use wac_graph::{CompositionGraph, EncodeError, EncodeOptions, NodeId, PackageId};

use crate::failure::Failure;
use crate::input::Input;
use crate::{escape, wit};

/// Where an import comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// The import's name, with or without a version; `None`: everything that the file exports.
    pub(crate) import: Option<String>,
    /// The component that gives it.
    pub(crate) file: OsString,
}

impl Link {
    /// Reads `NAME=FILE`.
    pub(crate) fn parse(text: &str) -> Result<Link, String> {
        let (name, file) = text
            .split_once('=')
            .ok_or("a link is the name of an import and a file: pkg:name/iface=dep.wasm")?;
        if name.is_empty() {
            return Err("a link has an empty name; NAME is that of an import".to_string());
        }
        if file.is_empty() {
            return Err(format!("the link of `{}` names no file", escape::name(name)));
        }
        Ok(Link {
            import: Some(name.to_string()),
            file: file.into(),
        })
    }

    /// All that a file exports.
    pub(crate) fn all_of(file: &OsString) -> Link {
        Link {
            import: None,
            file: file.clone(),
        }
    }
}

/// The input, linked to these; itself if there are none.
pub(crate) fn linked(input: Input, links: &[Link]) -> Result<Input, Failure> {
    if links.is_empty() {
        return Ok(input);
    }
    let bytes = compose(&input, links)?;
    Ok(input.with(bytes))
}

/// The component that holds `app` and what it is linked to, and exports what `app` exports.
pub(crate) fn compose(app: &Input, links: &[Link]) -> Result<Vec<u8>, Failure> {
    let engine = Engine::default();
    let mut files: Vec<Input> = Vec::new();
    let mut by_link = Vec::with_capacity(links.len());
    // A file that is named twice is one component, with one instance.
    let mut numbers: BTreeMap<&OsString, usize> = BTreeMap::new();
    for link in links {
        let number = match numbers.get(&link.file) {
            Some(number) => *number,
            None => {
                files.push(Input::read(&link.file)?);
                numbers.insert(&link.file, files.len());
                files.len()
            }
        };
        by_link.push((link.import.as_deref(), number));
    }
    let mut linking = Linking {
        graph: CompositionGraph::new(),
        parts: Vec::new(),
    };
    linking.add(&engine, app)?;
    for file in &files {
        linking.add(&engine, file)?;
    }
    let cannot = |error: Error| Failure::load(error, format!("cannot link `{}`", app.name()));
    linking.link(&by_link).map_err(cannot)?;
    let bytes = linking.encode().map_err(cannot)?;
    Component::validate(&engine, &bytes).map_err(cannot)?;
    Ok(bytes)
}

/// A component in the graph.
struct Part {
    file: String,
    package: PackageId,
    node: NodeId,
    /// What it gets, and from which part.
    given: Vec<(String, usize)>,
}

impl Part {
    /// Its file, for people.
    fn name(&self) -> String {
        escape::name(&self.file).into_owned()
    }
}

struct Linking {
    graph: CompositionGraph,
    /// The one that asks first, then what it is linked to in the order of the links.
    parts: Vec<Part>,
}

impl Linking {
    fn add(&mut self, engine: &Engine, input: &Input) -> Result<(), Failure> {
        let bytes = input.wasm()?;
        if !wit::is_component(&bytes) {
            let help = "help: `cellwall componentize` makes a component of a module";
            let problem = format!("it is a module, and only components are linked\n{help}");
            return Err(input.refused(Error::msg(problem)));
        }
        Component::validate(engine, &bytes).map_err(|e| input.refused(e))?;
        let name = format!("part{}", self.parts.len());
        let package = Package::from_bytes(&name, None, bytes.into_owned(), self.graph.types_mut())
            .map_err(|e| input.refused(words(&e)))?;
        let package = self
            .graph
            .register_package(package)
            .expect("each part has a name of its own");
        let node = self.graph.instantiate(package);
        self.parts.push(Part {
            file: input.name(),
            package,
            node,
            given: Vec::new(),
        });
        Ok(())
    }

    fn imports(&self, part: usize) -> Vec<(String, ItemKind)> {
        let world = &self.graph.types()[self.graph[self.parts[part].package].ty()];
        world
            .imports
            .iter()
            .map(|(name, kind)| (name.clone(), *kind))
            .collect()
    }

    fn exports(&self, part: usize) -> Vec<String> {
        let world = &self.graph.types()[self.graph[self.parts[part].package].ty()];
        world.exports.keys().cloned().collect()
    }

    /// Makes every link, then checks that each one was wanted and that none leads back.
    fn link(&mut self, links: &[(Option<&str>, usize)]) -> Result<(), Error> {
        let mut is_used = vec![false; links.len()];
        for part in 0..self.parts.len() {
            for (import, kind) in self.imports(part) {
                // A component that exports what it imports stands between others: it gets it from
                // those that are named after it.
                let after = links.iter().take_while(|(_, from)| *from <= part).count();
                let order = (after..links.len()).chain(0..after);
                for index in order {
                    let (wanted, from) = links[index];
                    if from == part || !wanted.is_none_or(|wanted| is_meant(wanted, &import)) {
                        continue;
                    }
                    let Some(node) = self.export_for(from, &import, kind, wanted.is_some(), part)? else {
                        continue;
                    };
                    let target = self.parts[part].node;
                    let set = self.graph.set_instantiation_argument(target, &import, node);
                    set.map_err(|error| self.mismatch(part, &import, from, &error))?;
                    self.parts[part].given.push((import.clone(), from));
                    is_used[index] = true;
                    break;
                }
            }
        }
        if let Some(index) = is_used.iter().position(|used| !used) {
            return Err(self.unused(links[index]));
        }
        self.check_cycles()?;
        self.check_left()
    }

    /// Refuses an import that stays one although its resources are those of an import that does not: nobody could
    /// give it what it wants.
    fn check_left(&self) -> Result<(), Error> {
        let types = self.graph.types();
        for part in &self.parts {
            let world = &types[self.graph[part.package].ty()];
            let given = |name: &str| part.given.iter().find(|(import, _)| import == name);
            for (import, kind) in world.imports.iter().filter(|(name, _)| given(name).is_none()) {
                let mut uses = Uses::default();
                uses.item(types, *kind);
                let origin = world.imports.iter().find_map(|(name, kind)| {
                    let (_, from) = given(name)?;
                    defines(types, *kind, &uses).then_some((name, *from))
                });
                let Some((origin, from)) = origin else { continue };
                return Err(Error::msg(format!(
                    "`{to}` imports `{import}` with resources of `{origin}`, which `{of}` gives: nothing is left that \
                     could have them\nhelp: link `{import}` too",
                    to = part.name(),
                    import = escape::name(import),
                    origin = escape::name(origin),
                    of = self.parts[from].name(),
                )));
            }
        }
        Ok(())
    }

    /// What a part exports for an import; an error if it was named and has nothing that fits.
    fn export_for(
        &mut self,
        from: usize,
        import: &str,
        kind: ItemKind,
        is_named: bool,
        part: usize,
    ) -> Result<Option<NodeId>, Error> {
        let exports = self.exports(from);
        let base = |name: &str| name.split('@').next().unwrap_or(name).to_owned();
        let same = exports.iter().find(|name| *name == import);
        let found = same.or_else(|| exports.iter().find(|name| is_compatible(name, import)));
        let source = self.parts[from].node;
        if let Some(name) = found {
            let node = self.graph.alias_instance_export(source, name);
            return Ok(Some(node.expect("it is one of its exports")));
        }
        if !is_named {
            return Ok(None);
        }
        if self.is_whole(from, kind) {
            return Ok(Some(source));
        }
        let (to, of) = (self.parts[part].name(), self.parts[from].name());
        let import = escape::name(import).into_owned();
        let other = exports.iter().find(|name| base(name) == base(&import));
        Err(Error::msg(match other {
            Some(other) => format!(
                "`{to}` imports `{import}`, and `{of}` exports `{}`: the versions do not fit",
                escape::name(other)
            ),
            None => format!(
                "`{to}` imports `{import}`, and `{of}` does not export it\nhelp: it exports {}",
                list(&exports)
            ),
        }))
    }

    /// Whether a part as a whole has everything that an imported instance needs.
    fn is_whole(&self, from: usize, kind: ItemKind) -> bool {
        let ItemKind::Instance(wanted) = kind else {
            return false;
        };
        let wanted = &self.graph.types()[wanted].exports;
        let has = self.exports(from);
        !wanted.is_empty() && wanted.keys().all(|name| has.contains(name))
    }

    fn mismatch(&self, part: usize, import: &str, from: usize, error: &dyn std::error::Error) -> Error {
        let (to, of) = (self.parts[part].name(), self.parts[from].name());
        let import = escape::name(import);
        let mut cause = String::new();
        let mut next = error.source();
        while let Some(error) = next {
            cause.push_str(&format!(": {error}"));
            next = error.source();
        }
        Error::msg(format!(
            "`{to}` imports `{import}`, and what `{of}` exports is of another type{cause}"
        ))
    }

    fn unused(&self, (wanted, from): (Option<&str>, usize)) -> Error {
        let of = self.parts[from].name();
        let exports = self.exports(from);
        let fits = |import: &str| match wanted {
            Some(wanted) => is_meant(wanted, import),
            None => exports
                .iter()
                .any(|name| name == import || is_compatible(name, import)),
        };
        // It would have been used, if another link had not been before.
        let others = self.parts.iter().enumerate().filter(|(part, _)| *part != from);
        let mut given = others.flat_map(|(_, to)| to.given.iter().map(move |given| (to, given)));
        if let Some((to, (import, giver))) = given.find(|(_, (import, _))| fits(import)) {
            return Error::msg(format!(
                "`{}` is linked twice: `{}` gets it from `{}` already",
                escape::name(import),
                to.name(),
                self.parts[*giver].name()
            ));
        }
        let imports: Vec<String> = (0..self.parts.len())
            .filter(|part| *part != from)
            .flat_map(|part| self.imports(part))
            .map(|(name, _)| name)
            .collect();
        let help = format!("help: imported are {}", list(&imports));
        Error::msg(match wanted {
            Some(wanted) => format!("nothing imports `{}`\n{help}", escape::name(wanted)),
            None => format!(
                "nothing that `{of}` exports is imported\nhelp: it exports {}\n{help}",
                list(&exports)
            ),
        })
    }

    /// Refuses parts of which each needs the other first.
    fn check_cycles(&self) -> Result<(), Error> {
        // Depth-first; `path` is from the part where it began, `done` holds what leads nowhere back.
        let mut done = vec![false; self.parts.len()];
        for start in 0..self.parts.len() {
            let mut path = vec![(start, 0)];
            while let Some((part, next)) = path.last_mut() {
                let Some((_, from)) = self.parts[*part].given.get(*next) else {
                    done[*part] = true;
                    path.pop();
                    continue;
                };
                *next += 1;
                if let Some(at) = path.iter().position(|(part, _)| part == from) {
                    return Err(self.cycle(&path[at..]));
                }
                if !done[*from] {
                    path.push((*from, 0));
                }
            }
        }
        Ok(())
    }

    fn cycle(&self, path: &[(usize, usize)]) -> Error {
        let mut text = String::from("components import from each other in a circle:");
        for (part, next) in path {
            let part = &self.parts[*part];
            let (import, from) = &part.given[*next - 1];
            let from = self.parts[*from].name();
            text.push_str(&format!(
                "\n  `{}` imports `{}` from `{from}`",
                part.name(),
                escape::name(import)
            ));
        }
        Error::msg(text)
    }

    /// The component; what the first part exports is what it exports.
    fn encode(mut self) -> Result<Vec<u8>, Error> {
        let app = self.parts[0].node;
        for name in self.exports(0) {
            let node = self.graph.alias_instance_export(app, &name);
            let node = node.expect("it is one of its exports");
            self.graph.export(node, &name).map_err(|e| words(&e))?;
        }
        let options = EncodeOptions {
            define_components: true,
            validate: false,
            processor: None,
        };
        self.graph.encode(options).map_err(|error| match &error {
            EncodeError::ImportTypeMergeConflict {
                import,
                first,
                second,
                ..
            } => {
                let name = |node: &NodeId| self.parts.iter().find(|part| part.node == *node).map(Part::name);
                let (first, second) = (name(first).unwrap_or_default(), name(second).unwrap_or_default());
                let import = escape::name(import);
                Error::msg(format!(
                    "`{first}` and `{second}` import `{import}` with types of which neither serves both: {}",
                    words(&error)
                ))
            }
            error => words(error),
        })
    }
}

/// The resources that a type uses.
#[derive(Default)]
struct Uses {
    resources: HashSet<ResourceId>,
    seen: HashSet<DefinedTypeId>,
}

impl Uses {
    fn item(&mut self, types: &Types, kind: ItemKind) {
        match kind {
            ItemKind::Func(id) => self.func(types, id),
            ItemKind::Instance(id) => {
                for kind in types[id].exports.values() {
                    self.item(types, *kind);
                }
            }
            ItemKind::Value(ty) | ItemKind::Type(Type::Value(ty)) => self.value(types, ty),
            ItemKind::Type(Type::Func(id)) => self.func(types, id),
            ItemKind::Type(_) | ItemKind::Component(_) | ItemKind::Module(_) => {}
        }
    }

    fn func(&mut self, types: &Types, id: FuncTypeId) {
        let FuncType { params, result, .. } = &types[id];
        for ty in params.values().chain(result) {
            self.value(types, *ty);
        }
    }

    fn value(&mut self, types: &Types, ty: ValueType) {
        let id = match ty {
            ValueType::Primitive(_) => return,
            ValueType::Own(id) | ValueType::Borrow(id) => {
                self.resources.insert(types.resolve_resource(id));
                return;
            }
            ValueType::Defined(id) => id,
        };
        if !self.seen.insert(id) {
            return;
        }
        let parts: Vec<ValueType> = match &types[id] {
            DefinedType::Tuple(parts) => parts.clone(),
            DefinedType::List(part)
            | DefinedType::FixedSizeList(part, _)
            | DefinedType::Option(part)
            | DefinedType::Alias(part) => vec![*part],
            DefinedType::Map(key, value) => vec![*key, *value],
            DefinedType::Result { ok, err } => ok.iter().chain(err).copied().collect(),
            DefinedType::Variant(variant) => variant.cases.values().flatten().copied().collect(),
            DefinedType::Record(record) => record.fields.values().copied().collect(),
            DefinedType::Stream(part) | DefinedType::Future(part) => part.iter().copied().collect(),
            DefinedType::Flags(_) | DefinedType::Enum(_) => Vec::new(),
        };
        for part in parts {
            self.value(types, part);
        }
    }
}

/// Whether one of these resources is defined by an imported instance.
fn defines(types: &Types, kind: ItemKind, uses: &Uses) -> bool {
    let ItemKind::Instance(id) = kind else {
        return false;
    };
    types[id].exports.values().any(|kind| match kind {
        // One that is another name is not among them.
        ItemKind::Type(Type::Resource(id)) => uses.resources.contains(id),
        _ => false,
    })
}

/// Whether a link of this name is for this import: the same name, without a version any.
fn is_meant(wanted: &str, import: &str) -> bool {
    let is_any = !wanted.contains('@') && import.split('@').next() == Some(wanted);
    is_any || wanted == import || is_compatible(wanted, import)
}

/// Whether two names differ in compatible versions only.
fn is_compatible(a: &str, b: &str) -> bool {
    wac_graph::types::are_semver_compatible(a, b)
}

fn list(names: &[String]) -> String {
    match names.is_empty() {
        true => "nothing".to_string(),
        false => escape::name(&names.join(", ")).into_owned(),
    }
}

/// An error with its causes.
fn words(error: &(impl std::fmt::Display + ?Sized)) -> Error {
    Error::msg(format!("{error:#}"))
}
