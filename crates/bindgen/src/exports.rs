//! What is exported: a struct with calls for each interface.

use crate::generate::{Bound, Direction, Generator, Module, Place};
use crate::names::{camel, snake};
use crate::source::Source;
use syn::Result;
use wit_parser::{Function, FunctionKind, InterfaceId, TypeDefKind, TypeId};

impl<'a> Generator<'a> {
    /// The module of an exported interface; returns its path.
    pub(crate) fn exported_interface(&mut self, id: InterfaceId) -> Result<String> {
        let interface = &self.resolve.interfaces[id];
        let path = self.module_of(id, Direction::Export);
        let place = Place {
            interface: Some(id),
            direction: Direction::Export,
            path: path.clone(),
            types: interface.types.keys().map(|name| camel(name)).collect(),
        };
        let mut content = Source::default();
        for (name, id) in &interface.types {
            self.typedef(&mut content, name, *id, &place)?;
            content.add("");
        }
        let bind = |func| self.bind(func, &place, Direction::Export);
        let funcs: Vec<Bound<'_>> = interface.functions.values().map(bind).collect::<Result<_>>()?;
        self.guest(&mut content, &self.name_of(id), &funcs, &place);
        let resources = interface
            .types
            .iter()
            .filter(|(_, id)| self.is_own_resource(**id));
        let resources: Vec<(&str, TypeId)> = resources.map(|(name, id)| (name.as_str(), *id)).collect();
        self.guest_calls(&mut content, &resources, &funcs, &place);
        self.has_async |= funcs.iter().any(|func| func.flags.is_async);
        let module = self.root.at(&path);
        *module = Module {
            content,
            docs: interface.docs.contents.clone(),
            ..std::mem::take(module)
        };
        Ok(path.join("::"))
    }

    fn is_own_resource(&self, id: TypeId) -> bool {
        matches!(self.resolve.types[id].kind, TypeDefKind::Resource)
    }

    /// The structs of an interface's functions: where they are, and what they are in an instance.
    fn guest(&self, to: &mut Source, name: &str, funcs: &[Bound<'_>], place: &Place) {
        let krate = &self.krate;
        let fields: Vec<String> = funcs.iter().map(|func| field(func.func)).collect();
        to.add("/// The functions of this interface in an instance.");
        to.add("#[derive(Clone)]");
        to.add("pub struct Guest {");
        for (field, func) in fields.iter().zip(funcs) {
            to.add(&format!("{field}: {},", self.typed_func(func)));
        }
        to.add("}");
        to.add("");
        to.add("/// Where the functions of this interface are in a component.");
        to.add("#[derive(Clone)]");
        to.add("pub struct GuestIndices {");
        for field in &fields {
            to.add(&format!("{field}: {krate}::component::ComponentExportIndex,"));
        }
        to.add("}");
        to.add("");
        to.add("impl GuestIndices {");
        self.indices_new(to);
        to.add(&format!(
            "let instance = component.get_export_index(None, \"{name}\");"
        ));
        to.add(&format!(
            "let instance = instance.ok_or_else(|| {krate}::format_err!(\"no exported instance named `{name}`\"))?;"
        ));
        to.add("let find = |name: &str| {");
        to.add("let found = component.get_export_index(Some(&instance), name);");
        to.add(&format!(
            "found.ok_or_else(|| {krate}::format_err!(\"instance export `{name}` does not have export `{{name}}`\"))"
        ));
        to.add("};");
        to.add("Ok(Self {");
        for (field, func) in fields.iter().zip(funcs) {
            to.add(&format!("{field}: find(\"{}\")?,", func.func.name));
        }
        to.add("})");
        to.add("}");
        to.add("");
        to.add("/// Takes the functions of an instance, and compares their types.");
        to.add("pub fn load(");
        to.add("&self,");
        to.add(&format!("mut store: impl {krate}::AsContextMut,"));
        to.add(&format!("instance: &{krate}::component::Instance,"));
        to.add(&format!(") -> {krate}::Result<Guest> {{"));
        to.add(&format!(
            "let mut store = {krate}::AsContextMut::as_context_mut(&mut store);"
        ));
        to.add("Ok(Guest {");
        for (field, func) in fields.iter().zip(funcs) {
            self.load_func(to, field, func);
        }
        to.add("})");
        to.add("}");
        to.add("}");
        let _ = place;
    }

    /// The constructors of indices, up to the body of the second.
    pub(crate) fn indices_new(&self, to: &mut Source) {
        let krate = &self.krate;
        to.add("/// Finds what is exported.");
        to.add("///");
        to.add("/// # Errors");
        to.add("/// With the name of what is missing.");
        to.add(&format!(
            "pub fn new<_T: 'static>(instance_pre: &{krate}::component::InstancePre<_T>) -> {krate}::Result<Self> {{"
        ));
        to.add("Self::of(instance_pre.component())");
        to.add("}");
        to.add("");
        to.add("/// The same, of a component alone.");
        to.add(&format!(
            "pub fn of(component: &{krate}::component::Component) -> {krate}::Result<Self> {{"
        ));
    }

    /// The type of a function in a struct.
    pub(crate) fn typed_func(&self, func: &Bound<'_>) -> String {
        let types = types_of(func);
        format!("{}::component::TypedFunc<{types}>", self.krate)
    }

    /// A field of a struct of functions, taken from an instance.
    pub(crate) fn load_func(&self, to: &mut Source, field: &str, func: &Bound<'_>) {
        let types = types_of(func);
        to.add(&format!(
            "{field}: instance.get_typed_func::<{types}>(&mut store, &self.{field})?,"
        ));
    }

    fn guest_calls(&self, to: &mut Source, resources: &[(&str, TypeId)], funcs: &[Bound<'_>], place: &Place) {
        to.add("");
        to.add("impl Guest {");
        for func in funcs.iter().filter(|func| func.func.kind.resource().is_none()) {
            self.call(to, func, &format!("self.{}", field(func.func)), place);
        }
        for (name, _) in resources {
            to.add(&format!("/// The functions of `{name}`."));
            to.add(&format!(
                "pub fn {}(&self) -> Guest{}<'_> {{",
                snake(name),
                camel(name)
            ));
            to.add(&format!("Guest{} {{ funcs: self }}", camel(name)));
            to.add("}");
        }
        to.add("}");
        for (name, id) in resources {
            to.add("");
            to.add(&format!("/// The functions of `{name}`."));
            to.add("#[derive(Clone, Copy)]");
            to.add(&format!("pub struct Guest{}<'a> {{", camel(name)));
            to.add("funcs: &'a Guest,");
            to.add("}");
            to.add("");
            to.add(&format!("impl Guest{}<'_> {{", camel(name)));
            for func in funcs.iter().filter(|func| func.func.kind.resource() == Some(*id)) {
                self.call(to, func, &format!("self.funcs.{}", field(func.func)), place);
            }
            to.add("}");
        }
    }

    /// A call of an exported function that is kept at `callee`.
    pub(crate) fn call(&self, to: &mut Source, func: &Bound<'_>, callee: &str, place: &Place) {
        let krate = &self.krate;
        let name = match func.func.kind {
            FunctionKind::Constructor(_) => "constructor",
            _ => &func.method,
        };
        let params: String = func
            .params
            .iter()
            .enumerate()
            .map(|(n, (_, ty))| format!(", arg{n}: {ty}"))
            .collect();
        let arguments: String = (0..func.params.len()).map(|n| format!("arg{n}, ")).collect();
        let (word, call, waits) = match func.flags.is_async {
            true => ("async fn", "call_async", ".await"),
            false => ("fn", "call", ""),
        };
        to.docs(func.func.docs.contents.as_deref());
        let head = format!(
            "pub {word} call_{}<_S: {krate}::AsContextMut>(&self, mut store: _S{params}) -> {krate}::Result<{}>",
            name.trim_end_matches('_'),
            func.result
        );
        match func.flags.is_async {
            true => {
                to.add(&head);
                to.add("where");
                to.clause(&format!("<_S as {krate}::AsContext>::Data: Send,"));
                to.add("{");
            }
            false => to.add(&format!("{head} {{")),
        }
        let result = if func.func.result.is_some() {
            "(result,)"
        } else {
            "()"
        };
        to.add(&format!(
            "let {result} = {callee}.{call}({krate}::AsContextMut::as_context_mut(&mut store), ({})){waits}?;",
            arguments.trim_end()
        ));
        to.add(if func.func.result.is_some() {
            "Ok(result)"
        } else {
            "Ok(())"
        });
        to.add("}");
        let _ = place;
    }
}

/// The field for a function: `[method]thing.get` is `method_thing_get`.
pub(crate) fn field(func: &Function) -> String {
    snake(&func.name.trim_start_matches('[').replace([']', '.'], "-"))
}

/// Types of the parameters and results.
fn types_of(func: &Bound<'_>) -> String {
    let params: String = func.static_params.iter().map(|ty| format!("{ty}, ")).collect();
    match func.func.result {
        Some(_) => format!("({}), ({},)", params.trim_end(), func.result),
        None => format!("({}), ()", params.trim_end()),
    }
}
