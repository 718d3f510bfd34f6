//! Component instances, as the host sees them.

use super::typed::ComponentNamedList;
use super::types::{ComponentItem, func_of, names_in};
use super::{Component, Func, ResourceType, TypedFunc};
use crate::{AsContext, AsContextMut, Module, Result, StoreContext, bail, format_err};
use cellwall_component::{FuncRef, Item, Items, ModuleRef, TypeItem};
use cellwall_runtime::StoreId;
use std::fmt;
use std::sync::Arc;

/// An instance of a component. Just a name for it: cheap to clone.
#[derive(Clone)]
pub struct Instance {
    pub(crate) store: StoreId,
    pub(crate) root: usize,
    pub(crate) component: Component,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instance").field(&self.root).finish()
    }
}

/// Where an export is: found once, by name, and then used without looking for it again.
#[derive(Clone, Debug)]
pub struct ComponentExportIndex {
    /// It is good for this component only, and, if there is a root, for that instance.
    component: Component,
    root: Option<usize>,
    item: Arc<Item>,
}

/// What names an export: its name, or its index.
pub trait InstanceExportLookup {
    #[doc(hidden)]
    fn lookup(&self, instance: &Instance) -> Option<Arc<Item>>;
}

impl InstanceExportLookup for str {
    fn lookup(&self, instance: &Instance) -> Option<Arc<Item>> {
        get(&instance.component.plan().exports, self)
            .cloned()
            .map(Arc::new)
    }
}

impl InstanceExportLookup for String {
    fn lookup(&self, instance: &Instance) -> Option<Arc<Item>> {
        str::lookup(self, instance)
    }
}

impl<L: InstanceExportLookup + ?Sized> InstanceExportLookup for &L {
    fn lookup(&self, instance: &Instance) -> Option<Arc<Item>> {
        L::lookup(self, instance)
    }
}

impl InstanceExportLookup for ComponentExportIndex {
    fn lookup(&self, instance: &Instance) -> Option<Arc<Item>> {
        let own = self.root.is_none_or(|root| root == instance.root);
        let own = own && Component::same(&self.component, &instance.component);
        own.then(|| self.item.clone())
    }
}

/// An item, also by a compatible version of its name.
fn get<'i>(items: &'i Items, name: &str) -> Option<&'i Item> {
    if let Some(found) = items.get(name) {
        return Some(found);
    }
    let wanted = cellwall_component::compatible_name(name)?;
    let fits =
        |(own, _): &&(Arc<str>, Item)| cellwall_component::compatible_name(own).as_ref() == Some(&wanted);
    items.0.iter().rfind(fits).map(|(_, item)| item)
}

impl Instance {
    /// The component that it is an instance of.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Finds an export, in the root or in an instance that was found before.
    pub fn get_export_index(
        &self,
        store: impl AsContextMut,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<ComponentExportIndex> {
        let _ = store;
        let item = match instance {
            None => str::lookup(name, self)?,
            Some(index) => match &*InstanceExportLookup::lookup(index, self)? {
                Item::Instance(items) => Arc::new(get(items, name)?.clone()),
                _ => return None,
            },
        };
        Some(ComponentExportIndex {
            component: self.component.clone(),
            root: Some(self.root),
            item,
        })
    }

    /// Finds an export with its type.
    pub fn get_export(
        &self,
        mut store: impl AsContextMut,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<(ComponentItem, ComponentExportIndex)> {
        let index = self.get_export_index(store.as_context_mut(), instance, name)?;
        let store = store.as_context_mut();
        let names = names_in(&store.0.data().components, self.root);
        Some((ComponentItem::of(&index.item, &names), index))
    }

    /// What it exports, by name, with the types as they are in its store.
    ///
    /// # Panics
    /// If it belongs to another store, as do all functions here.
    pub fn exports<'a, T: 'static>(
        &self,
        store: impl Into<StoreContext<'a, T>>,
    ) -> Vec<(Arc<str>, ComponentItem)> {
        let store = store.into();
        assert_eq!(self.store, store.0.id(), "an instance used with another store");
        let names = names_in(&store.0.data().components, self.root);
        ComponentItem::list(&self.component.plan().exports, &names)
    }

    /// The function that is exported under this name or index.
    pub fn get_func(&self, store: impl AsContext, export: impl InstanceExportLookup) -> Option<Func> {
        assert_eq!(
            self.store,
            store.as_context().0.id(),
            "an instance used with another store"
        );
        match func_of(&*export.lookup(self)?)?.0 {
            FuncRef::Lift(lift) => Some(Func {
                store: self.store,
                root: self.root,
                lift,
            }),
            // A function of the host that goes through has no instance to be called in.
            FuncRef::Import(_) => None,
        }
    }

    /// The same, with its types known to Rust.
    ///
    /// # Errors
    /// If there is none, or it is of other types.
    pub fn get_typed_func<Params, Return>(
        &self,
        store: impl AsContext,
        export: impl InstanceExportLookup,
    ) -> Result<TypedFunc<Params, Return>>
    where
        Params: ComponentNamedList,
        Return: ComponentNamedList,
    {
        let Some(func) = self.get_func(&store, &export) else {
            bail!("no such function is exported");
        };
        func.typed(store)
    }

    /// The core module that is exported under this name or index.
    pub fn get_module(&self, store: impl AsContextMut, export: impl InstanceExportLookup) -> Option<Module> {
        match &*export.lookup(self)? {
            Item::Module(ModuleRef::Own(index)) => Some(self.component.module(*index).clone()),
            Item::Module(ModuleRef::Import(index, _)) => {
                let store = store.as_context();
                store.0.data().components.roots[self.root]
                    .modules
                    .get(index)
                    .cloned()
            }
            _ => None,
        }
    }

    /// The resource type that is exported under this name or index.
    pub fn get_resource(
        &self,
        store: impl AsContextMut,
        export: impl InstanceExportLookup,
    ) -> Option<ResourceType> {
        let item = export.lookup(self)?;
        let Item::Type(TypeItem::Resource(id)) = &*item else {
            return None;
        };
        let store = store.as_context();
        Some(names_in(&store.0.data().components, self.root)(*id))
    }
}

impl Component {
    /// Finds an export before there is an instance; the index is good for all of them.
    pub fn get_export_index(
        &self,
        instance: Option<&ComponentExportIndex>,
        name: &str,
    ) -> Option<ComponentExportIndex> {
        let item = match instance {
            None => get(&self.plan().exports, name)?.clone(),
            Some(index) if !Self::same(&index.component, self) => return None,
            Some(index) => match &*index.item {
                Item::Instance(items) => get(items, name)?.clone(),
                _ => return None,
            },
        };
        Some(ComponentExportIndex {
            component: self.clone(),
            root: None,
            item: Arc::new(item),
        })
    }

    /// The names and types of what it exports, with functions only, as paths from the root.
    ///
    /// # Errors
    /// If there is no such export.
    pub fn export_type(&self, name: &str) -> Result<ComponentItem> {
        let found = get(&self.plan().exports, name);
        let item = found.ok_or_else(|| format_err!("no export `{name}`"))?;
        Ok(ComponentItem::of(item, &ResourceType::uninstantiated))
    }
}
