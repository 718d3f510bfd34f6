//! Components in scripts: definitions, instances, and calls with interface values.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cellwall::component::types::ComponentItem;
use cellwall::component::{Component, Instance, Linker, Resource, ResourceType, Type, Val};
use cellwall::{Engine, Error, Module, Result, Store, format_err};
use wast::component::WastVal;
use wast::{WastArg, WastRet};

/// Components and instances of one script.
pub(super) struct Components {
    store: Store<()>,
    linker: Linker<()>,
    /// By `$name`; the last one also by `None`.
    definitions: HashMap<Option<String>, Component>,
    instances: HashMap<Option<String>, Instance>,
}

impl Components {
    pub(super) fn new(engine: &Engine) -> Result<Components> {
        let mut linker = Linker::new(engine);
        linker.allow_shadowing(true);
        define_host(engine, &mut linker)?;
        Ok(Components {
            store: Store::new(engine, ()),
            linker,
            definitions: HashMap::new(),
            instances: HashMap::new(),
        })
    }

    pub(super) fn define(&mut self, name: Option<String>, component: Component) {
        if name.is_some() {
            self.definitions.insert(name, component.clone());
        }
        self.definitions.insert(None, component);
    }

    pub(super) fn definition(&self, name: &Option<String>) -> Option<Component> {
        self.definitions.get(name).cloned()
    }

    pub(super) fn has_instance(&self, name: &Option<String>) -> bool {
        self.instances.contains_key(name)
    }

    /// What a directive would call in vain must not be found.
    pub(super) fn forget(&mut self, name: &Option<String>) {
        self.instances.remove(&None);
        self.instances.remove(name);
    }

    /// Instantiates a component, in a store of its own that its failure cannot spoil for others.
    pub(super) fn instantiate(&mut self, component: &Component) -> Result<Instance> {
        self.linker.instantiate(&mut self.store, component)
    }

    /// Files an instance, and lets later components import core modules and resources from it.
    pub(super) fn file(&mut self, name: Option<String>, instance: Instance) -> Result<()> {
        if let Some(name) = &name {
            self.offer(name, &instance)?;
            self.instances.insert(Some(name.clone()), instance.clone());
        }
        self.instances.insert(None, instance);
        Ok(())
    }

    fn offer(&mut self, name: &str, instance: &Instance) -> Result<()> {
        let Ok(mut names) = self.linker.instance(name) else {
            // A name of the host stays what it is.
            return Ok(());
        };
        for (export, item) in instance.component().exports() {
            match item {
                ComponentItem::Module => {
                    if let Some(module) = instance.get_module(&mut self.store, &*export) {
                        names.module(&export, &module)?;
                    }
                }
                ComponentItem::Resource(_) => {
                    if let Some(ty) = instance.get_resource(&mut self.store, &*export) {
                        names.resource(&export, ty, |_, _| Ok(()))?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Calls an export; the outer error is about the script.
    pub(super) fn invoke(
        &mut self,
        name: &Option<String>,
        func: &str,
        args: &[WastArg<'_>],
    ) -> Result<Result<Vec<Val>>, String> {
        let instance = self
            .instances
            .get(name)
            .ok_or("there is no such component instance")?;
        let found = instance.get_func(&self.store, func);
        let found = found.ok_or_else(|| format!("no exported function \"{func}\""))?;
        let ty = found.ty(&self.store);
        if ty.params().len() != args.len() {
            return Err(format!(
                "expected {} arguments, found {}",
                ty.params().len(),
                args.len()
            ));
        }
        let mut params = Vec::with_capacity(args.len());
        for (arg, (_, ty)) in args.iter().zip(ty.params()) {
            match arg {
                WastArg::Component(val) => params.push(value(val, &ty)?),
                other => return Err(format!("{other:?} is no interface value")),
            }
        }
        let mut results = vec![Val::Bool(false); ty.results().len()];
        Ok(found
            .call(&mut self.store, &params, &mut results)
            .map(|()| results))
    }
}

/// Checks the results of a call.
pub(super) fn check_all(results: &[Val], expected: &[WastRet<'_>]) -> Result<(), String> {
    if results.len() != expected.len() {
        return Err(format!("expected {} results, got {results:?}", expected.len()));
    }
    for (val, pattern) in results.iter().zip(expected) {
        let WastRet::Component(pattern) = pattern else {
            return Err(format!("{pattern:?} is no interface value"));
        };
        if !matches(val, pattern) {
            return Err(format!("expected {pattern:?}, got {val:?}"));
        }
    }
    Ok(())
}

/// A value of a script as a value of this type.
fn value(val: &WastVal<'_>, ty: &Type) -> Result<Val, String> {
    let of = |val: &WastVal<'_>, ty: &Type| value(val, ty);
    let optional = |val: &Option<Box<WastVal<'_>>>, ty: Option<&Type>| match (val, ty) {
        (Some(val), Some(ty)) => of(val, ty).map(|val| Some(Box::new(val))),
        (None, _) => Ok(None),
        (Some(_), None) => Err("a payload where the type has none".to_string()),
    };
    Ok(match (val, ty) {
        (WastVal::Bool(it), _) => Val::Bool(*it),
        (WastVal::U8(it), _) => Val::U8(*it),
        (WastVal::S8(it), _) => Val::S8(*it),
        (WastVal::U16(it), _) => Val::U16(*it),
        (WastVal::S16(it), _) => Val::S16(*it),
        (WastVal::U32(it), _) => Val::U32(*it),
        (WastVal::S32(it), _) => Val::S32(*it),
        (WastVal::U64(it), _) => Val::U64(*it),
        (WastVal::S64(it), _) => Val::S64(*it),
        (WastVal::F32(it), _) => Val::Float32(f32::from_bits(it.bits)),
        (WastVal::F64(it), _) => Val::Float64(f64::from_bits(it.bits)),
        (WastVal::Char(it), _) => Val::Char(*it),
        (WastVal::String(it), _) => Val::String((*it).to_string()),
        (WastVal::List(vals), Type::List(ty) | Type::FixedLengthList(ty, _)) => {
            let vals = vals.iter().map(|val| of(val, ty));
            Val::List(vals.collect::<Result<_, _>>()?)
        }
        (WastVal::Map(entries), Type::Map(ty)) => {
            let entry = |(key, val): &(WastVal<'_>, WastVal<'_>)| Ok((of(key, &ty.0)?, of(val, &ty.1)?));
            Val::Map(entries.iter().map(entry).collect::<Result<_, String>>()?)
        }
        (WastVal::Record(fields), Type::Record(types)) if fields.len() == types.len() => {
            let field = |((name, val), (_, ty)): (&(&str, WastVal<'_>), &(Arc<str>, Type))| {
                Ok(((*name).to_string(), of(val, ty)?))
            };
            let fields = fields.iter().zip(types).map(field);
            Val::Record(fields.collect::<Result<_, String>>()?)
        }
        (WastVal::Tuple(vals), Type::Tuple(types)) if vals.len() == types.len() => {
            let vals = vals.iter().zip(types).map(|(val, ty)| of(val, ty));
            Val::Tuple(vals.collect::<Result<_, _>>()?)
        }
        (WastVal::Variant(name, val), Type::Variant(cases)) => {
            let case = cases.iter().find(|(own, _)| **own == **name);
            let ty = case.and_then(|(_, ty)| ty.as_ref());
            Val::Variant((*name).to_string(), optional(val, ty)?)
        }
        (WastVal::Enum(name), _) => Val::Enum((*name).to_string()),
        (WastVal::Option(val), Type::Option(ty)) => Val::Option(optional(val, Some(ty))?),
        (WastVal::Result(Ok(val)), Type::Result(parts)) => Val::Result(Ok(optional(val, parts.0.as_ref())?)),
        (WastVal::Result(Err(val)), Type::Result(parts)) => {
            Val::Result(Err(optional(val, parts.1.as_ref())?))
        }
        (WastVal::Flags(names), _) => Val::Flags(names.iter().map(|name| (*name).to_string()).collect()),
        (val, ty) => return Err(format!("{val:?} is not of type {ty}")),
    })
}

/// Whether a value is what a script expects.
fn matches(val: &Val, pattern: &WastVal<'_>) -> bool {
    let optional = |val: &Option<Box<Val>>, pattern: &Option<Box<WastVal<'_>>>| match (val, pattern) {
        (Some(val), Some(pattern)) => matches(val, pattern),
        (None, None) => true,
        _ => false,
    };
    let all = |vals: &[Val], patterns: &[WastVal<'_>]| {
        vals.len() == patterns.len()
            && vals
                .iter()
                .zip(patterns)
                .all(|(val, pattern)| matches(val, pattern))
    };
    match (val, pattern) {
        (Val::Bool(a), WastVal::Bool(b)) => a == b,
        (Val::U8(a), WastVal::U8(b)) => a == b,
        (Val::S8(a), WastVal::S8(b)) => a == b,
        (Val::U16(a), WastVal::U16(b)) => a == b,
        (Val::S16(a), WastVal::S16(b)) => a == b,
        (Val::U32(a), WastVal::U32(b)) => a == b,
        (Val::S32(a), WastVal::S32(b)) => a == b,
        (Val::U64(a), WastVal::U64(b)) => a == b,
        (Val::S64(a), WastVal::S64(b)) => a == b,
        // NaNs may come out as any NaN.
        (Val::Float32(a), WastVal::F32(b)) => {
            let b = f32::from_bits(b.bits);
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Val::Float64(a), WastVal::F64(b)) => {
            let b = f64::from_bits(b.bits);
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Val::Char(a), WastVal::Char(b)) => a == b,
        (Val::String(a), WastVal::String(b)) => a == b,
        (Val::Enum(a), WastVal::Enum(b)) => a == b,
        (Val::List(a), WastVal::List(b)) | (Val::Tuple(a), WastVal::Tuple(b)) => all(a, b),
        (Val::Map(a), WastVal::Map(b)) => {
            let pairs = a.iter().zip(b);
            a.len() == b.len()
                && pairs
                    .into_iter()
                    .all(|(a, b)| matches(&a.0, &b.0) && matches(&a.1, &b.1))
        }
        (Val::Record(a), WastVal::Record(b)) => {
            let pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.into_iter().all(|(a, b)| a.0 == b.0 && matches(&a.1, &b.1))
        }
        (Val::Variant(a, x), WastVal::Variant(b, y)) => a == b && optional(x, y),
        (Val::Option(a), WastVal::Option(b)) => optional(a, b),
        (Val::Result(Ok(a)), WastVal::Result(Ok(b))) => optional(a, b),
        (Val::Result(Err(a)), WastVal::Result(Err(b))) => optional(a, b),
        (Val::Flags(a), WastVal::Flags(b)) => {
            a.len() == b.len() && b.iter().all(|flag| a.iter().any(|own| own == flag))
        }
        _ => false,
    }
}

/// What a peer's tests expect of their host: a few functions, and resources that count what is
/// dropped.
fn define_host(engine: &Engine, linker: &mut Linker<()>) -> Result<()> {
    struct Resource1;
    struct Resource2;

    linker.root().func_wrap("host-echo-u32", |_, it: (u32,)| Ok(it))?;
    linker
        .root()
        .func_wrap("host-return-two", |_, (): ()| Ok((2u32,)))?;
    let mut host = linker.instance("host")?;
    host.func_wrap("return-three", |_, (): ()| Ok((3u32,)))?;
    host.instance("nested")?
        .func_wrap("return-four", |_, (): ()| Ok((4u32,)))?;
    let module = r#"
        (module
          (global (export "g") i32 (i32.const 100))
          (func (export "f") (result i32) (i32.const 101)))
    "#;
    host.module("simple-module", &Module::new(engine, module)?)?;

    let drops = Arc::new(AtomicU32::new(0));
    let last = Arc::new(AtomicU32::new(0));
    let (counted, kept) = (drops.clone(), last.clone());
    host.resource("resource1", ResourceType::host::<Resource1>(), move |_, rep| {
        counted.fetch_add(1, Ordering::Relaxed);
        kept.store(rep, Ordering::Relaxed);
        Ok(())
    })?;
    host.resource("resource2", ResourceType::host::<Resource2>(), |_, _| Ok(()))?;
    host.resource("resource1-again", ResourceType::host::<Resource1>(), |_, _| {
        Err(format_err!("the resource was to be dropped under its other name"))
    })?;
    host.func_wrap("[constructor]resource1", |_, (rep,): (u32,)| {
        Ok((Resource::<Resource1>::new_own(rep),))
    })?;
    host.func_wrap(
        "[static]resource1.assert",
        |_, (resource, rep): (Resource<Resource1>, u32)| expect(resource.rep() == rep),
    )?;
    host.func_wrap("[static]resource1.last-drop", move |_, (): ()| {
        Ok((last.load(Ordering::Relaxed),))
    })?;
    host.func_wrap("[static]resource1.drops", move |_, (): ()| {
        Ok((drops.load(Ordering::Relaxed),))
    })?;
    host.func_wrap(
        "[method]resource1.simple",
        |_, (resource, rep): (Resource<Resource1>, u32)| expect(!resource.owned() && resource.rep() == rep),
    )?;
    type Two = (Resource<Resource1>, Resource<Resource1>);
    host.func_wrap("[method]resource1.take-borrow", |_, (a, b): Two| {
        expect(!a.owned() && !b.owned())
    })?;
    host.func_wrap("[method]resource1.take-own", |_, (a, b): Two| {
        expect(!a.owned() && b.owned())
    })
}

fn expect(holds: bool) -> Result<(), Error> {
    match holds {
        true => Ok(()),
        false => Err(format_err!(
            "a host function got something else than the script says"
        )),
    }
}
