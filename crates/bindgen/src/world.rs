//! The bindings of a world as a whole.

use crate::exports::field;
use crate::generate::{ALLOW, Bound, Direction, Generator, Place};
use crate::names::{camel, snake};
use crate::source::Source;
use syn::Result;
use wit_parser::{Function, TypeId, WorldItem, WorldKey};

/// An interface that the world exports.
struct Exported {
    /// Path of its module.
    path: String,
    /// Name of the function that returns its calls.
    accessor: String,
}

/// What a world exports.
#[derive(Default)]
struct Exports<'a> {
    interfaces: Vec<Exported>,
    funcs: Vec<Bound<'a>>,
}

impl<'a> Generator<'a> {
    pub(crate) fn bind_world(&mut self) -> Result<()> {
        let resolve = self.resolve;
        let world = &resolve.worlds[self.world];
        let name = camel(&world.name);
        let mut types: Vec<(&'a str, TypeId)> = Vec::new();
        let mut funcs: Vec<&'a Function> = Vec::new();
        for (key, item) in &world.imports {
            match (key, item) {
                (_, WorldItem::Interface { id, .. }) if !self.is_replaced(*id) => {
                    self.imported_interface(*id)?
                }
                (_, WorldItem::Interface { .. }) => {}
                (_, WorldItem::Function(func)) => funcs.push(func),
                (WorldKey::Name(name), WorldItem::Type { id, .. }) => types.push((name, *id)),
                (WorldKey::Interface(_), WorldItem::Type { .. }) => {}
            }
        }
        let place = Place {
            interface: None,
            direction: Direction::Import,
            path: Vec::new(),
            types: types.iter().map(|(name, _)| camel(name)).collect(),
        };
        let mut content = Source::default();
        for (name, id) in &types {
            content.add("");
            self.typedef(&mut content, name, *id, &place)?;
        }
        let imports = format!("{name}Imports");
        let groups = self.groups(&imports, &types, &funcs, &place)?;
        let has_own = !funcs.is_empty() || groups.len() > 1;
        if has_own {
            self.imports_wait |= groups.iter().any(|group| group.has_async());
            self.traits_of(&mut content, &imports, &types, &groups, &place)?;
        }
        self.has_async |= self.imports_wait;
        if !self.config.only_interfaces {
            let exports = self.exports(&place)?;
            self.world_structs(&mut content, &name, &exports);
            self.world_impl(&mut content, &name, &exports, &place, |this, to| {
                if has_own {
                    to.add("");
                    to.add("/// Puts what this world imports by itself into a linker.");
                    let (traits, waits) = ([imports.clone()], groups.iter().any(|group| group.has_async()));
                    this.linker_function(to, "add_to_linker_imports", &traits, &place, waits, |this, to| {
                        to.add("let mut inst = linker.root();");
                        this.definitions(to, &groups, &place);
                    });
                }
                let mut traits: Vec<String> = this
                    .traits
                    .iter()
                    .map(|path| format!("self::{path}::Host"))
                    .collect();
                traits.extend(has_own.then(|| imports.clone()));
                if traits.is_empty() {
                    return;
                }
                to.add("");
                to.add("/// Puts an implementation of all that this world imports into a linker.");
                this.linker_function(
                    to,
                    "add_to_linker",
                    &traits,
                    &place,
                    this.imports_wait,
                    |this, to| {
                        let generics = format!("{}, {}", place.generic("T"), place.generic("D"));
                        if has_own {
                            to.add(&format!(
                                "Self::add_to_linker_imports::<{generics}>(linker, host_getter)?;"
                            ));
                        }
                        for path in &this.traits {
                            to.add(&format!(
                                "self::{path}::add_to_linker::<{generics}>(linker, host_getter)?;"
                            ));
                        }
                    },
                );
            });
        }
        self.root.content.append(content);
        Ok(())
    }

    fn exports(&mut self, place: &Place) -> Result<Exports<'a>> {
        let resolve = self.resolve;
        let mut exports = Exports::default();
        for (key, item) in &resolve.worlds[self.world].exports {
            match item {
                WorldItem::Interface { id, .. } => {
                    let path = self.exported_interface(*id)?;
                    let accessor = match (&resolve.interfaces[*id].name, key) {
                        (Some(_), _) => path.trim_start_matches("exports::").replace("::", "_"),
                        (None, WorldKey::Name(name)) => snake(name),
                        (None, WorldKey::Interface(_)) => path.replace("::", "_"),
                    };
                    exports.interfaces.push(Exported { path, accessor });
                }
                WorldItem::Function(func) => {
                    let bound = self.bind(func, place, Direction::Export)?;
                    self.has_async |= bound.flags.is_async;
                    exports.funcs.push(bound);
                }
                WorldItem::Type { .. } => {}
            }
        }
        Ok(exports)
    }

    /// The structs of a world: with its imports, where its exports are, and an instance.
    fn world_structs(&self, to: &mut Source, name: &str, exports: &Exports<'_>) {
        let krate = &self.krate;
        to.add("");
        to.add(&format!(
            "/// A component of the world `{}`, with all that it imports.",
            self.world_name()
        ));
        to.add(ALLOW);
        to.add(&format!("pub struct {name}Pre<_T: 'static> {{"));
        to.add(&format!("instance_pre: {krate}::component::InstancePre<_T>,"));
        to.add(&format!("indices: {name}Indices,"));
        to.add("}");
        to.add("");
        to.add(ALLOW);
        to.add(&format!("impl<_T: 'static> Clone for {name}Pre<_T> {{"));
        to.add("fn clone(&self) -> Self {");
        to.add("Self {");
        to.add("instance_pre: self.instance_pre.clone(),");
        to.add("indices: self.indices.clone(),");
        to.add("}");
        to.add("}");
        to.add("}");
        to.add("");
        to.add(ALLOW);
        to.add(&format!("impl<_T: 'static> {name}Pre<_T> {{"));
        to.add("/// Finds what the component exports.");
        to.add(&format!(
            "pub fn new(instance_pre: {krate}::component::InstancePre<_T>) -> {krate}::Result<Self> {{"
        ));
        to.add(&format!("let indices = {name}Indices::new(&instance_pre)?;"));
        to.add("Ok(Self { instance_pre, indices })");
        to.add("}");
        to.add("");
        to.add("/// The engine of the component.");
        to.add(&format!("pub fn engine(&self) -> &{krate}::Engine {{"));
        to.add("self.instance_pre.component().engine()");
        to.add("}");
        to.add("");
        to.add("/// The component with its imports.");
        to.add(&format!(
            "pub fn instance_pre(&self) -> &{krate}::component::InstancePre<_T> {{"
        ));
        to.add("&self.instance_pre");
        to.add("}");
        for is_async in [false, true] {
            if is_async && !self.has_async {
                continue;
            }
            let (word, suffix, waits) = if is_async {
                ("async fn", "_async", ".await")
            } else {
                ("fn", "", "")
            };
            to.add("");
            to.add("/// Instantiates the component, and takes its exports.");
            to.add(&format!("pub {word} instantiate{suffix}("));
            to.add("&self,");
            to.add(&format!("mut store: impl {krate}::AsContextMut<Data = _T>,"));
            match is_async {
                true => {
                    to.add(&format!(") -> {krate}::Result<{name}>"));
                    to.add("where");
                    to.clause("_T: Send,");
                    to.add("{");
                }
                false => to.add(&format!(") -> {krate}::Result<{name}> {{")),
            }
            to.add(&format!(
                "let mut store = {krate}::AsContextMut::as_context_mut(&mut store);"
            ));
            to.add(&format!(
                "let instance = self.instance_pre.instantiate{suffix}({krate}::AsContextMut::as_context_mut(&mut store)){waits}?;"
            ));
            to.add("self.indices.load(&mut store, &instance)");
            to.add("}");
        }
        to.add("}");
        to.add("");
        to.add(&format!(
            "/// Where a component of the world `{}` has its exports.",
            self.world_name()
        ));
        to.add(ALLOW);
        to.add("#[derive(Clone)]");
        to.add(&format!("pub struct {name}Indices {{"));
        for (number, exported) in exports.interfaces.iter().enumerate() {
            to.add(&format!(
                "interface{number}: self::{}::GuestIndices,",
                exported.path
            ));
        }
        for func in &exports.funcs {
            to.add(&format!(
                "{}: {krate}::component::ComponentExportIndex,",
                field(func.func)
            ));
        }
        to.add("}");
        to.add("");
        to.add(&format!("/// An instance of the world `{}`.", self.world_name()));
        to.docs(
            self.resolve.worlds[self.world]
                .docs
                .contents
                .as_deref()
                .map(|docs| format!("\n{docs}"))
                .as_deref(),
        );
        to.add(ALLOW);
        to.add(&format!("pub struct {name} {{"));
        for (number, exported) in exports.interfaces.iter().enumerate() {
            to.add(&format!("interface{number}: self::{}::Guest,", exported.path));
        }
        for func in &exports.funcs {
            to.add(&format!("{}: {},", field(func.func), self.typed_func(func)));
        }
        to.add("}");
    }

    fn world_name(&self) -> &'a str {
        &self.resolve.worlds[self.world].name
    }

    fn world_impl(
        &self,
        to: &mut Source,
        name: &str,
        exports: &Exports<'_>,
        place: &Place,
        add_to_linker: impl FnOnce(&Self, &mut Source),
    ) {
        let krate = &self.krate;
        to.add("");
        to.add(ALLOW);
        to.add(&format!("impl {name}Indices {{"));
        self.indices_new(to);
        if !exports.funcs.is_empty() {
            to.add("let find = |name: &str| {");
            to.add("let found = component.get_export_index(None, name);");
            to.add(&format!(
                "found.ok_or_else(|| {krate}::format_err!(\"no function export `{{name}}` found\"))"
            ));
            to.add("};");
        }
        to.add("Ok(Self {");
        for (number, exported) in exports.interfaces.iter().enumerate() {
            to.add(&format!(
                "interface{number}: self::{}::GuestIndices::of(component)?,",
                exported.path
            ));
        }
        for func in &exports.funcs {
            to.add(&format!("{}: find(\"{}\")?,", field(func.func), func.func.name));
        }
        to.add("})");
        to.add("}");
        to.add("");
        to.add("/// Takes the exports of an instance, and compares their types.");
        to.add("pub fn load(");
        to.add("&self,");
        to.add(&format!("mut store: impl {krate}::AsContextMut,"));
        to.add(&format!("instance: &{krate}::component::Instance,"));
        to.add(&format!(") -> {krate}::Result<{name}> {{"));
        to.add(&format!(
            "let mut store = {krate}::AsContextMut::as_context_mut(&mut store);"
        ));
        to.add(&format!("Ok({name} {{"));
        for number in 0..exports.interfaces.len() {
            to.add(&format!(
                "interface{number}: self.interface{number}.load(&mut store, instance)?,"
            ));
        }
        for func in &exports.funcs {
            self.load_func(to, &field(func.func), func);
        }
        to.add("})");
        to.add("}");
        to.add("}");
        to.add("");
        to.add(ALLOW);
        to.add(&format!("impl {name} {{"));
        self.instantiate(to, name);
        to.add("");
        to.add("/// Takes the exports of an instance.");
        to.add("pub fn new(");
        to.add(&format!("mut store: impl {krate}::AsContextMut,"));
        to.add(&format!("instance: &{krate}::component::Instance,"));
        to.add(&format!(") -> {krate}::Result<Self> {{"));
        to.add(&format!(
            "let indices = {name}Indices::of(instance.component())?;"
        ));
        to.add("indices.load(&mut store, instance)");
        to.add("}");
        add_to_linker(self, to);
        for func in &exports.funcs {
            to.add("");
            self.call(to, func, &format!("self.{}", field(func.func)), place);
        }
        for (number, exported) in exports.interfaces.iter().enumerate() {
            to.add("");
            to.add(&format!(
                "/// The functions of the interface in [`{}`].",
                exported.path
            ));
            to.add(&format!(
                "pub fn {}(&self) -> &self::{}::Guest {{",
                exported.accessor, exported.path
            ));
            to.add(&format!("&self.interface{number}"));
            to.add("}");
        }
        to.add("}");
    }

    fn instantiate(&self, to: &mut Source, name: &str) {
        let krate = &self.krate;
        for is_async in [false, true] {
            if is_async && !self.has_async {
                continue;
            }
            let (word, suffix, waits, send) = match is_async {
                true => ("async fn", "_async", ".await", " + Send"),
                false => ("fn", "", "", ""),
            };
            if is_async {
                to.add("");
            }
            to.add("/// Links a component, instantiates it, and takes its exports.");
            to.add(&format!("pub {word} instantiate{suffix}<_T: 'static{send}>("));
            to.add(&format!("store: impl {krate}::AsContextMut<Data = _T>,"));
            to.add(&format!("component: &{krate}::component::Component,"));
            to.add(&format!("linker: &{krate}::component::Linker<_T>,"));
            to.add(&format!(") -> {krate}::Result<Self> {{"));
            to.add("let instance_pre = linker.instantiate_pre(component)?;");
            to.add(&format!(
                "{name}Pre::new(instance_pre)?.instantiate{suffix}(store){waits}"
            ));
            to.add("}");
        }
    }
}
