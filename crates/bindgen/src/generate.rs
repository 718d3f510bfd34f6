//! The generator: modules of interfaces, their types, and the traits of what is imported.

use crate::config::{Config, FuncFlags, Mapping};
use crate::load::at;
use crate::names::{camel, constant, snake};
use crate::source::Source;
use crate::types::Mode;
use quote::ToTokens;
use std::collections::{BTreeMap, BTreeSet};
use syn::{Error, Result};
use wit_parser::{
    Function, FunctionKind, InterfaceId, Resolve, Span, Type, TypeDefKind, TypeId, TypeOwner, WorldId,
    WorldItem, WorldKey,
};

/// Whether something is given to the guest, or taken from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Direction {
    Import,
    Export,
}

/// A module under construction, from where names are seen.
pub(crate) struct Place {
    /// The interface that it is of; `None` is the root.
    pub(crate) interface: Option<InterfaceId>,
    pub(crate) direction: Direction,
    /// Its path from the root.
    pub(crate) path: Vec<String>,
    /// Names of Rust types that are defined in it.
    pub(crate) types: BTreeSet<String>,
}

impl Place {
    /// How many modules are around it.
    pub(crate) fn depth(&self) -> usize {
        self.path.len()
    }

    /// The path to the root.
    pub(crate) fn up(&self) -> String {
        match self.depth() {
            0 => "self::".to_owned(),
            depth => "super::".repeat(depth),
        }
    }

    /// The name of a type parameter, another one if a type has it.
    pub(crate) fn generic(&self, name: &str) -> String {
        match self.types.contains(name) {
            true => format!("_{name}"),
            false => name.to_owned(),
        }
    }
}

/// Modules within modules.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) content: Source,
    pub(crate) docs: Option<String>,
    pub(crate) inner: BTreeMap<String, Module>,
}

impl Module {
    pub(crate) fn at(&mut self, path: &[String]) -> &mut Module {
        match path {
            [] => self,
            [first, rest @ ..] => self.inner.entry(first.clone()).or_default().at(rest),
        }
    }

    /// Its content, with the modules in it.
    pub(crate) fn flatten(self) -> Source {
        let mut source = self.content;
        for (name, module) in self.inner {
            source.add("");
            source.docs(module.docs.as_deref());
            source.add(ALLOW);
            source.add(&format!("pub mod {name} {{"));
            source.append(module.flatten());
            source.add("}");
        }
        source
    }
}

/// The attribute of what is generated.
pub(crate) const ALLOW: &str = "#[allow(missing_docs, private_interfaces, private_bounds, unreachable_pub, unused, clippy::all, reason = \"generated of WIT\")]";

pub(crate) struct Generator<'a> {
    pub(crate) config: &'a Config,
    pub(crate) resolve: &'a Resolve,
    pub(crate) world: WorldId,
    /// What `cellwall` is called.
    pub(crate) krate: String,
    /// Names that the world has for interfaces without one.
    keys: BTreeMap<InterfaceId, String>,
    pub(crate) exported: BTreeSet<InterfaceId>,
    pub(crate) root: Module,
    /// Whether anything waits.
    pub(crate) has_async: bool,
    /// Whether an import waits.
    pub(crate) imports_wait: bool,
    /// Modules of the interfaces that the world imports.
    pub(crate) traits: Vec<String>,
}

/// A function, as it is bound.
pub(crate) struct Bound<'a> {
    pub(crate) func: &'a Function,
    pub(crate) flags: FuncFlags,
    pub(crate) method: String,
    /// Names and types.
    pub(crate) params: Vec<(String, String)>,
    /// Types that borrow for ever, where those of the parameters borrow.
    pub(crate) static_params: Vec<String>,
    /// The type as WIT has it.
    pub(crate) result: String,
    /// Another error than that of WIT: what the function returns, and what converts it.
    pub(crate) error: Option<(String, String)>,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(config: &'a Config, resolve: &'a Resolve, world: WorldId) -> Self {
        let krate = config.krate.as_ref();
        let krate = krate.map_or("::cellwall".into(), |path| {
            path.to_token_stream().to_string().replace(' ', "")
        });
        let mut keys = BTreeMap::new();
        let items = &resolve.worlds[world];
        for (key, item) in items.imports.iter().chain(&items.exports) {
            if let (WorldKey::Name(name), WorldItem::Interface { id, .. }) = (key, item) {
                keys.insert(*id, name.clone());
            }
        }
        let exported = items.exports.values().filter_map(|item| match item {
            WorldItem::Interface { id, .. } => Some(*id),
            _ => None,
        });
        Self {
            config,
            resolve,
            world,
            krate,
            keys,
            exported: exported.collect(),
            root: Module::default(),
            has_async: false,
            imports_wait: false,
            traits: Vec::new(),
        }
    }

    /// The text of all bindings.
    pub(crate) fn run(mut self) -> Result<String> {
        for (prefix, mappings) in [
            ("with", &self.config.with),
            ("error", &self.config.trappable_errors),
        ] {
            for (number, mapping) in mappings.iter().enumerate() {
                let path = mapping.path.to_token_stream().to_string().replace(' ', "");
                self.root
                    .content
                    .add("#[allow(unused_imports, reason = \"generated\")]");
                self.root
                    .content
                    .add(&format!("use {path} as __{prefix}{number};"));
            }
        }
        self.find_errors();
        self.bind_world()?;
        self.check_used()?;
        Ok(self.root.flatten().finish())
    }

    /// Every name in the options must be a name of the WIT.
    fn check_used(&self) -> Result<()> {
        let unused = self.config.imports.unused().or(self.config.exports.unused());
        if let Some((name, span)) = unused {
            return Err(Error::new(span, format!("the world has no function `{name}`")));
        }
        for mapping in self.config.with.iter().chain(&self.config.trappable_errors) {
            if !mapping.used.get() {
                let message = format!("the world has nothing of the name `{}`", mapping.name);
                return Err(Error::new(mapping.span, message));
            }
        }
        Ok(())
    }

    /// Marks the errors whose types are somewhere, used or not.
    fn find_errors(&self) {
        for (id, def) in &self.resolve.types {
            if def.name.is_some() {
                self.error_of(id);
            }
        }
    }

    pub(crate) fn unsupported(&self, what: &str, span: Option<Span>) -> Error {
        let place = span.filter(|span| span.is_known());
        let place = place.map_or(String::new(), |span| {
            format!(" at {}", self.resolve.render_location(span))
        });
        at(self.config, format!("{what}{place}"))
    }

    /// What an interface is called where it is imported or exported.
    pub(crate) fn name_of(&self, id: InterfaceId) -> String {
        match self.resolve.id_of(id) {
            Some(name) => name,
            None => self.keys.get(&id).cloned().unwrap_or_default(),
        }
    }

    /// The path of the module of an interface.
    pub(crate) fn module_of(&self, id: InterfaceId, direction: Direction) -> Vec<String> {
        let mut path = match direction {
            Direction::Import => Vec::new(),
            Direction::Export => vec!["exports".to_owned()],
        };
        let interface = &self.resolve.interfaces[id];
        match (&interface.name, interface.package) {
            (Some(name), Some(package)) => {
                let package = &self.resolve.packages[package].name;
                let mut name_in_path = snake(&package.name);
                // Other versions of the package get other names.
                let versions = self.resolve.packages.iter().filter(|(_, other)| {
                    other.name.namespace == package.namespace && other.name.name == package.name
                });
                if let (2.., Some(version)) = (versions.count(), &package.version) {
                    name_in_path = snake(&format!("{}{version}", package.name)).replace(['.', '+'], "_");
                }
                path.extend([snake(&package.namespace), name_in_path, snake(name)]);
            }
            _ => path.push(snake(&self.name_of(id))),
        }
        path
    }

    /// Names by which the options may mean an interface: with its version, without, and none of both.
    fn option_names(&self, id: InterfaceId) -> Vec<String> {
        let full = self.name_of(id);
        match full.split_once('@') {
            Some((base, _)) => vec![full.clone(), base.to_owned()],
            None => vec![full],
        }
    }

    /// The alias of what replaces an interface, and the path from there.
    pub(crate) fn replacement(&self, id: InterfaceId) -> Option<(String, Vec<String>)> {
        let interface = &self.resolve.interfaces[id];
        let mut candidates: Vec<(String, Vec<String>)> = self
            .option_names(id)
            .into_iter()
            .map(|name| (name, Vec::new()))
            .collect();
        if let (Some(name), Some(package)) = (&interface.name, interface.package) {
            let package = &self.resolve.packages[package].name;
            candidates.push((package.to_string(), vec![name.clone()]));
            candidates.push((
                format!("{}:{}", package.namespace, package.name),
                vec![name.clone()],
            ));
            candidates.push((
                package.namespace.clone(),
                vec![package.name.clone(), name.clone()],
            ));
        }
        candidates.into_iter().find_map(|(name, rest)| {
            let (number, _) = find(&self.config.with, &[name])?;
            Some((format!("__with{number}"), rest))
        })
    }

    pub(crate) fn is_replaced(&self, id: InterfaceId) -> bool {
        self.replacement(id).is_some()
    }

    /// Names by which the options may mean an item of an interface, or of the world.
    fn item_names(&self, interface: Option<InterfaceId>, item: &str) -> Vec<String> {
        let Some(id) = interface else {
            return vec![item.to_owned()];
        };
        let names = self.option_names(id).into_iter();
        names
            .flat_map(|name| [format!("{name}.{item}"), format!("{name}/{item}")])
            .collect()
    }

    /// The alias of a type of the host.
    fn mapped(&self, list: &[Mapping], id: TypeId) -> Option<usize> {
        let def = &self.resolve.types[id];
        let interface = match def.owner {
            TypeOwner::Interface(id) => Some(id),
            _ => None,
        };
        let names = self.item_names(interface, def.name.as_deref()?);
        Some(find(list, &names)?.0)
    }

    /// The number of the trappable error that a type stands for.
    pub(crate) fn error_of(&self, id: TypeId) -> Option<usize> {
        self.mapped(&self.config.trappable_errors, id)
    }

    /// The flags of a function.
    pub(crate) fn flags(
        &self,
        direction: Direction,
        interface: Option<InterfaceId>,
        name: &str,
    ) -> FuncFlags {
        let config = match direction {
            Direction::Import => &self.config.imports,
            Direction::Export => &self.config.exports,
        };
        let mut names = self.item_names(interface, name);
        if let Some(id) = interface {
            names.extend(self.option_names(id));
        }
        config.of(&names)
    }

    /// The definition of a named type.
    pub(crate) fn typedef(&self, to: &mut Source, name: &str, id: TypeId, place: &Place) -> Result<()> {
        let def = &self.resolve.types[id];
        let rust = camel(name);
        let krate = &self.krate;
        to.docs(def.docs.contents.as_deref());
        match &def.kind {
            TypeDefKind::Record(it) => {
                self.derives(to, "record", &Type::Id(id));
                to.add(&format!("pub struct {rust} {{"));
                for field in &it.fields {
                    to.docs(field.docs.contents.as_deref());
                    to.add(&format!("#[component(name = \"{}\")]", field.name));
                    let ty = self.ty(&field.ty, place, Mode::Owned)?;
                    to.add(&format!("pub {}: {ty},", snake(&field.name)));
                }
                to.add("}");
                self.error_impl(to, &rust);
            }
            TypeDefKind::Variant(it) => {
                self.derives(to, "variant", &Type::Id(id));
                to.add(&format!("pub enum {rust} {{"));
                for case in &it.cases {
                    to.docs(case.docs.contents.as_deref());
                    to.add(&format!("#[component(name = \"{}\")]", case.name));
                    match &case.ty {
                        Some(ty) => {
                            let ty = self.ty(ty, place, Mode::Owned)?;
                            to.add(&format!("{}({ty}),", camel(&case.name)));
                        }
                        None => to.add(&format!("{},", camel(&case.name))),
                    }
                }
                to.add("}");
                self.error_impl(to, &rust);
            }
            TypeDefKind::Enum(it) => {
                self.derives(to, "enum", &Type::Id(id));
                to.add(&format!("pub enum {rust} {{"));
                for case in &it.cases {
                    to.docs(case.docs.contents.as_deref());
                    to.add(&format!("#[component(name = \"{}\")]", case.name));
                    to.add(&format!("{},", camel(&case.name)));
                }
                to.add("}");
                self.error_impl(to, &rust);
            }
            TypeDefKind::Flags(it) => {
                to.add(&format!("{krate}::component::flags! {{"));
                to.docs(def.docs.contents.as_deref());
                if self.config.krate.is_some() {
                    to.add(&format!("#[component(cellwall_crate = {krate})]"));
                }
                to.add(&format!("{rust} {{"));
                for flag in &it.flags {
                    to.docs(flag.docs.contents.as_deref());
                    to.add(&format!("#[component(name = \"{}\")]", flag.name));
                    to.add(&format!("const {};", constant(&flag.name)));
                }
                to.add("}");
                to.add("}");
            }
            TypeDefKind::Resource => self.resource_type(to, &rust, id, place),
            TypeDefKind::Type(ty) if self.is_resource(ty) && self.is_guest_resource(ty, place) => {
                to.add(&format!("pub type {rust} = {krate}::component::ResourceAny;"));
            }
            _ => {
                let ty = match &def.kind {
                    TypeDefKind::Type(ty) => self.ty(ty, place, Mode::Owned)?,
                    _ => self.anonymous(id, place, Mode::Owned)?,
                };
                to.add(&format!("pub type {rust} = {ty};"));
            }
        }
        Ok(())
    }

    fn is_resource(&self, ty: &Type) -> bool {
        matches!(self.unaliased(ty), Type::Id(id) if matches!(self.resolve.types[id].kind, TypeDefKind::Resource))
    }

    fn is_guest_resource(&self, ty: &Type, place: &Place) -> bool {
        match self.unaliased(ty) {
            Type::Id(id) => self.is_guest(self.resolve.types[id].owner, place),
            _ => false,
        }
    }

    fn resource_type(&self, to: &mut Source, rust: &str, id: TypeId, place: &Place) {
        if place.direction == Direction::Export {
            to.add(&format!(
                "pub type {rust} = {}::component::ResourceAny;",
                self.krate
            ));
            return;
        }
        match self.mapped(&self.config.with, id) {
            Some(number) => {
                to.add(&format!("pub type {rust} = {}__with{number};", place.up()));
            }
            None => to.add(&format!("pub enum {rust} {{}}")),
        }
    }

    /// The attributes of a type that is derived.
    fn derives(&self, to: &mut Source, style: &str, ty: &Type) {
        let krate = &self.krate;
        let mut list = vec!["Debug".to_owned()];
        if !self.has_resource(ty) {
            list.push("Clone".into());
        }
        if self.is_copy(ty) {
            list.push("Copy".into());
        }
        if style == "enum" {
            list.extend(["PartialEq".into(), "Eq".into()]);
        }
        for path in &self.config.additional_derives {
            let path = path.to_token_stream().to_string().replace(' ', "");
            let last = path.rsplit("::").next().unwrap_or_default();
            if !list.iter().any(|own| own == last) {
                list.push(path);
            }
        }
        to.add(&format!("#[derive({})]", list.join(", ")));
        let own = ["ComponentType", "Lift", "Lower"].map(|name| format!("{krate}::component::{name}"));
        to.add(&format!("#[derive({})]", own.join(", ")));
        match &self.config.krate {
            Some(_) => to.add(&format!("#[component({style}, cellwall_crate = {krate})]")),
            None => to.add(&format!("#[component({style})]")),
        }
    }

    /// Types that may be errors can be printed.
    fn error_impl(&self, to: &mut Source, rust: &str) {
        to.add("");
        to.add(&format!("impl ::core::fmt::Display for {rust} {{"));
        to.add("fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {");
        to.add("::core::write!(f, \"{self:?}\")");
        to.add("}");
        to.add("}");
        to.add("");
        to.add(&format!("impl ::core::error::Error for {rust} {{}}"));
    }

    /// Binds a function: names, types, and how its errors go.
    pub(crate) fn bind<'f>(
        &self,
        func: &'f Function,
        place: &Place,
        direction: Direction,
    ) -> Result<Bound<'f>> {
        let mode = match direction {
            Direction::Import => Mode::Owned,
            Direction::Export => Mode::Borrowed,
        };
        match func.kind {
            FunctionKind::Freestanding
            | FunctionKind::Method(_)
            | FunctionKind::Static(_)
            | FunctionKind::Constructor(_) => {}
            _ => {
                let what = format!(
                    "`{}` cannot be bound yet: it is asynchronous or an accessor",
                    func.name
                );
                return Err(self.unsupported(&what, Some(func.span)));
            }
        }
        let method = match func.kind {
            FunctionKind::Constructor(_) => "new".to_owned(),
            _ => snake(func.item_name()),
        };
        let located = |error: Error| match func.span.is_known() {
            true => self.unsupported(&format!("{error} in `{}`", func.name), Some(func.span)),
            false => error,
        };
        let param = |param: &wit_parser::Param| {
            let ty = self.ty(&param.ty, place, mode).map_err(located)?;
            Ok((snake(&param.name), ty))
        };
        let params = func.params.iter().map(param).collect::<Result<_>>()?;
        let static_param =
            |param: &wit_parser::Param| self.ty(&param.ty, place, Mode::Static).map_err(located);
        let static_params = func.params.iter().map(static_param).collect::<Result<_>>()?;
        let result = match &func.result {
            Some(ty) => self.ty(ty, place, Mode::Owned).map_err(located)?,
            None => "()".to_owned(),
        };
        let error = match direction {
            Direction::Import => self.trappable_error(func, place)?,
            Direction::Export => None,
        };
        Ok(Bound {
            func,
            flags: self.flags(direction, place.interface, &func.name),
            method,
            params,
            static_params,
            result,
            error,
        })
    }

    /// The result type with the host's own error, and the path of what converts it.
    fn trappable_error(&self, func: &Function, place: &Place) -> Result<Option<(String, String)>> {
        let Some(Type::Id(id)) = func.result.map(|ty| self.unaliased(&ty)) else {
            return Ok(None);
        };
        let TypeDefKind::Result(parts) = &self.resolve.types[id].kind else {
            return Ok(None);
        };
        let Some(Type::Id(error)) = parts.err.map(|ty| self.unaliased(&ty)) else {
            return Ok(None);
        };
        let Some(number) = self.error_of(error) else {
            return Ok(None);
        };
        let def = &self.resolve.types[error];
        let name = def.name.as_deref().expect("only named types are mapped");
        let ok = match &parts.ok {
            Some(ty) => self.ty(ty, place, Mode::Owned)?,
            None => "()".to_owned(),
        };
        let result = self.std("Result", "::core::result::Result", place);
        let up = place.up();
        let converts = match def.owner {
            TypeOwner::Interface(id) if place.interface == Some(id) => "Host".to_owned(),
            TypeOwner::Interface(id) => {
                format!("{}::Host", self.path_to(id, self.direction_of(id, place), place))
            }
            _ => format!("{}{}Imports", up, camel(&self.resolve.worlds[self.world].name)),
        };
        Ok(Some((
            format!("{result}<{ok}, {up}__error{number}>"),
            format!("{converts}::convert_{}", snake(name)),
        )))
    }
}

/// A mapping of one of these names.
fn find<'m>(list: &'m [Mapping], names: &[String]) -> Option<(usize, &'m Mapping)> {
    let mut found = None;
    for name in names {
        for (number, mapping) in list
            .iter()
            .enumerate()
            .filter(|(_, mapping)| mapping.name == *name)
        {
            mapping.used.set(true);
            found = found.or(Some((number, mapping)));
        }
    }
    found
}
