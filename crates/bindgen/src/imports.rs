//! What is imported: traits that the host implements, and what puts them into a linker.

use crate::generate::{ALLOW, Bound, Direction, Generator, Module, Place};
use crate::names::{camel, snake};
use crate::source::Source;
use std::collections::BTreeSet;
use syn::Result;
use wit_parser::{Function, InterfaceId, TypeDefKind, TypeId};

/// Functions that one trait has: those of an interface, or of a resource in it.
pub(crate) struct Group<'a> {
    /// Name of the trait.
    name: String,
    /// Name and type of the resource, and whether dropping it waits.
    resource: Option<(&'a str, TypeId, bool)>,
    funcs: Vec<Bound<'a>>,
}

impl Group<'_> {
    pub(crate) fn has_async(&self) -> bool {
        self.funcs.iter().any(|func| func.flags.is_async) || self.resource.is_some_and(|(.., drop)| drop)
    }
}

impl<'a> Generator<'a> {
    /// The module of an imported interface.
    pub(crate) fn imported_interface(&mut self, id: InterfaceId) -> Result<()> {
        let interface = &self.resolve.interfaces[id];
        let path = self.module_of(id, Direction::Import);
        let place = Place {
            interface: Some(id),
            direction: Direction::Import,
            path: path.clone(),
            types: interface.types.keys().map(|name| camel(name)).collect(),
        };
        let mut content = Source::default();
        let types: Vec<(&str, TypeId)> = interface
            .types
            .iter()
            .map(|(name, id)| (name.as_str(), *id))
            .collect();
        for (name, id) in &types {
            self.typedef(&mut content, name, *id, &place)?;
            content.add("");
        }
        let funcs: Vec<&Function> = interface.functions.values().collect();
        let groups = self.groups("Host", &types, &funcs, &place)?;
        self.traits_of(&mut content, "Host", &types, &groups, &place)?;
        content.add("");
        content.add("/// Puts an implementation of this interface into a linker.");
        let waits = groups.iter().any(Group::has_async);
        self.linker_function(
            &mut content,
            "add_to_linker",
            &["Host".to_owned()],
            &place,
            waits,
            |this, to| {
                to.add(&format!(
                    "let mut inst = linker.instance(\"{}\")?;",
                    this.name_of(id)
                ));
                this.definitions(to, &groups, &place);
            },
        );
        self.imports_wait |= waits;
        self.traits.push(path.join("::"));
        let module = self.root.at(&path);
        *module = Module {
            content,
            docs: interface.docs.contents.clone(),
            ..std::mem::take(module)
        };
        Ok(())
    }

    /// The functions by the traits that have them; the first group is of no resource.
    pub(crate) fn groups(
        &self,
        name: &str,
        types: &[(&'a str, TypeId)],
        funcs: &[&'a Function],
        place: &Place,
    ) -> Result<Vec<Group<'a>>> {
        let mut groups = vec![Group {
            name: name.into(),
            resource: None,
            funcs: Vec::new(),
        }];
        for &(name, id) in types {
            if matches!(self.resolve.types[id].kind, TypeDefKind::Resource) {
                let drop = self.flags(Direction::Import, place.interface, &format!("[drop]{name}"));
                groups.push(Group {
                    name: format!("Host{}", camel(name)),
                    resource: Some((name, id, drop.is_async)),
                    funcs: Vec::new(),
                });
            }
        }
        for func in funcs {
            let bound = self.bind(func, place, Direction::Import)?;
            let of = func.kind.resource();
            let group = groups
                .iter_mut()
                .find(|group| group.resource.map(|(_, id, _)| id) == of);
            group
                .expect("functions belong to resources of the same place")
                .funcs
                .push(bound);
        }
        Ok(groups)
    }

    /// The traits of groups.
    pub(crate) fn traits_of(
        &self,
        to: &mut Source,
        host: &str,
        types: &[(&str, TypeId)],
        groups: &[Group<'_>],
        place: &Place,
    ) -> Result<()> {
        let mut supertraits: BTreeSet<String> = groups[1..].iter().map(|group| group.name.clone()).collect();
        for (_, converts) in groups
            .iter()
            .flat_map(|group| &group.funcs)
            .filter_map(|func| func.error.as_ref())
        {
            let from = converts.rsplit_once("::").expect("it is a path").0;
            if from != host {
                supertraits.insert(from.to_owned());
            }
        }
        let result = format!("{}::Result", self.krate);
        for group in groups[1..].iter().chain(&groups[..1]) {
            let mut bounds: Vec<String> = Vec::new();
            if groups.iter().any(Group::has_async) {
                bounds.push("Send".into());
            }
            let mut methods: Vec<Method> = group.funcs.iter().map(|func| self.method(func)).collect();
            match group.resource {
                Some((name, _, is_async)) => methods.push(Method {
                    docs: Some(format!("Called when the last handle of a `{name}` is dropped.")),
                    name: "drop".into(),
                    params: vec![(
                        "rep".into(),
                        format!("{}::component::Resource<{}>", self.krate, camel(name)),
                    )],
                    result: format!("{result}<()>"),
                    is_async,
                }),
                None => {
                    bounds.extend(supertraits.iter().cloned());
                    for (name, id) in types {
                        let Some(number) = self.error_of(*id).filter(|_| self.is_defined(*id)) else {
                            continue;
                        };
                        methods.push(Method {
                            docs: Some(format!(
                                "What the guest sees of an error of the host, as a `{name}`; or a trap."
                            )),
                            name: format!("convert_{}", snake(name)),
                            params: vec![("err".into(), format!("{}__error{number}", place.up()))],
                            result: format!("{result}<{}>", camel(name)),
                            is_async: false,
                        });
                    }
                }
            }
            write_trait(to, &group.name, &bounds, &methods);
        }
        Ok(())
    }

    /// Whether a type is no name for another one.
    fn is_defined(&self, id: TypeId) -> bool {
        !matches!(self.resolve.types[id].kind, TypeDefKind::Type(_))
    }

    fn method(&self, func: &Bound<'_>) -> Method {
        let result = match &func.error {
            Some((result, _)) => result.clone(),
            None if func.flags.trappable => format!("{}::Result<{}>", self.krate, func.result),
            None => func.result.clone(),
        };
        Method {
            docs: func.func.docs.contents.clone(),
            name: func.method.clone(),
            params: func.params.clone(),
            result,
            is_async: func.flags.is_async,
        }
    }

    /// A function that puts something into a linker.
    pub(crate) fn linker_function(
        &self,
        to: &mut Source,
        name: &str,
        traits: &[String],
        place: &Place,
        waits: bool,
        body: impl FnOnce(&Self, &mut Source),
    ) {
        let (krate, t, d) = (&self.krate, place.generic("T"), place.generic("D"));
        if place.depth() == 0 {
            to.add(ALLOW);
        }
        to.add(&format!("pub fn {name}<{t}, {d}>("));
        to.add(&format!("linker: &mut {krate}::component::Linker<{t}>,"));
        to.add(&format!("host_getter: fn(&mut {t}) -> {d}::Data<'_>,"));
        to.add(&format!(") -> {krate}::Result<()>"));
        to.add("where");
        to.clause(&format!("{d}: {krate}::component::HasData,"));
        if !traits.is_empty() {
            to.clause(&format!("for<'a> {d}::Data<'a>: {},", traits.join(" + ")));
        }
        let send = if self.config.require_send || waits {
            " + Send"
        } else {
            ""
        };
        to.clause(&format!("{t}: 'static{send},"));
        to.add("{");
        body(self, to);
        to.add("Ok(())");
        to.add("}");
    }

    /// The definitions of groups in `inst`.
    pub(crate) fn definitions(&self, to: &mut Source, groups: &[Group<'_>], place: &Place) {
        let krate = &self.krate;
        for group in groups {
            if let Some((name, _, is_async)) = group.resource {
                let (method, waits) = match is_async {
                    true => ("resource_async", ".await"),
                    false => ("resource", ""),
                };
                to.add(&format!("inst.{method}("));
                to.add(&format!("\"{name}\","));
                to.add(&format!(
                    "{krate}::component::ResourceType::host::<{}>(),",
                    camel(name)
                ));
                to.add("move |mut store, rep| {");
                if is_async {
                    to.add("::std::boxed::Box::new(async move {");
                }
                to.add(&format!("let rep = {krate}::component::Resource::new_own(rep);"));
                to.add(&format!(
                    "{}::drop(&mut host_getter(store.data_mut()), rep){waits}",
                    group.name
                ));
                if is_async {
                    to.add("})");
                }
                to.add("},");
                to.add(")?;");
            }
        }
        for group in groups {
            for func in &group.funcs {
                self.definition(to, group, func, place);
            }
        }
    }

    fn definition(&self, to: &mut Source, group: &Group<'_>, func: &Bound<'_>, place: &Place) {
        let (krate, t) = (&self.krate, place.generic("T"));
        let names: Vec<String> = (0..func.params.len()).map(|n| format!("arg{n}")).collect();
        let tuple = |parts: Vec<String>| match &*parts {
            [one] => format!("({one},)"),
            parts => format!("({})", parts.join(", ")),
        };
        let types = tuple(func.params.iter().map(|(_, ty)| ty.clone()).collect());
        let (method, waits) = match func.flags.is_async {
            true => ("func_wrap_async", ".await"),
            false => ("func_wrap", ""),
        };
        to.add(&format!("inst.{method}("));
        to.add(&format!("\"{}\",", func.func.name));
        let params = tuple(names.clone());
        to.add(&format!(
            "move |mut store: {krate}::StoreContextMut<'_, {t}>, {params}: {types}| {{"
        ));
        if func.flags.is_async {
            to.add("::std::boxed::Box::new(async move {");
        }
        to.add("let host = &mut host_getter(store.data_mut());");
        let arguments: String = names.iter().map(|name| format!(", {name}")).collect();
        let call = format!("{}::{}(host{arguments}){waits}", group.name, func.method);
        match &func.error {
            Some((_, converts)) => {
                to.add(&format!("let result = match {call} {{"));
                to.add("Ok(ok) => Ok(ok),");
                to.add(&format!("Err(error) => Err({converts}(host, error)?),"));
                to.add("};");
            }
            None if func.flags.trappable => to.add(&format!("let result = {call}?;")),
            None => to.add(&format!("let result = {call};")),
        }
        match func.func.result {
            Some(_) => to.add("Ok((result,))"),
            None => to.add("Ok(result)"),
        }
        if func.flags.is_async {
            to.add("})");
        }
        to.add("},");
        to.add(")?;");
    }
}

/// A method of a trait.
struct Method {
    docs: Option<String>,
    name: String,
    params: Vec<(String, String)>,
    result: String,
    is_async: bool,
}

impl Method {
    fn head(&self) -> String {
        let params: String = self
            .params
            .iter()
            .map(|(name, ty)| format!(", {name}: {ty}"))
            .collect();
        let result = match (self.is_async, self.result.as_str()) {
            (true, result) => format!(" -> impl ::core::future::Future<Output = {result}> + Send"),
            (false, "()") => String::new(),
            (false, result) => format!(" -> {result}"),
        };
        format!("fn {}(&mut self{params}){result}", self.name)
    }
}

/// A trait, and that references to what implements it implement it too.
fn write_trait(to: &mut Source, name: &str, bounds: &[String], methods: &[Method]) {
    let supertraits = match bounds {
        [] => String::new(),
        bounds => format!(": {}", bounds.join(" + ")),
    };
    to.add("");
    to.add(&format!("pub trait {name}{supertraits} {{"));
    for method in methods {
        to.docs(method.docs.as_deref());
        to.add(&format!("{};", method.head()));
    }
    to.add("}");
    to.add("");
    to.add(&format!("impl<_T: {name} + ?Sized> {name} for &mut _T {{"));
    for method in methods {
        let arguments: String = method
            .params
            .iter()
            .map(|(name, _)| format!(", {name}"))
            .collect();
        to.add(&format!("{} {{", method.head()));
        to.add(&format!("{name}::{}(*self{arguments})", method.name));
        to.add("}");
    }
    to.add("}");
}
