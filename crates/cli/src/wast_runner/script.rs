//! The state of a running script, and what each directive does to it.

use std::collections::{HashMap, HashSet};
use std::thread::{Scope, ScopedJoinHandle};

use cellwall::component::{Component, Fault};
use cellwall::{Engine, Error, Instance, Linker, Module, SharedMemory, Store, ThrownException, Trap, Val};
use wast::token::Id;
use wast::{QuoteWat, WastDirective, WastExecute, WastInvoke, WastRet, WastThread, Wat};

use super::component::Components;
use super::places::Places;
use super::{Outcome, Report, Skip, Verdict, component, custom, features, spectest, traps, values};

/// Instances, definitions and names of one script, all in one store.
pub(super) struct Script<'scope, 'env> {
    engine: &'env Engine,
    skip: &'env Skip,
    places: &'env Places<'env>,
    /// Where its threads run.
    scope: &'scope Scope<'scope, 'env>,
    threads: HashMap<String, ScopedJoinHandle<'scope, Report>>,
    /// What came of threads that were waited for.
    joined: Vec<Report>,
    /// Memories of modules that another thread's script shares with this one, by the module's name.
    shared: HashMap<String, Vec<(String, SharedMemory)>>,
    store: Store<()>,
    linker: Linker<()>,
    /// Definitions by their `$name`; the last one also by `None`.
    definitions: HashMap<Option<String>, Slot<Module>>,
    /// Instances by their `$name`; the last one also by `None`.
    instances: HashMap<Option<String>, Slot<Instance>>,
    /// The names that `register` gave. The `$name` of an instance can be
    /// imported from too, as some scripts expect, unless it is one of these.
    registered: HashSet<String>,
    /// Names for imports whose instance is not there. The linker has those that
    /// are.
    absent: HashMap<String, Slot<()>>,
    /// Components, apart from modules: scripts use one or the other.
    components: Components,
    /// Whether the last thing that was defined or instantiated is a component.
    component_last: bool,
}

/// A thing that a later directive may name: there, or the reason why not.
#[derive(Clone)]
enum Slot<T> {
    There(T),
    /// It needs a feature that is skipped.
    Skipped,
    /// The directive that should have made it failed.
    Broken,
}

/// What came of running a call or a module.
enum Ran {
    Values(Vec<Val>),
    /// Interface values, of a component.
    Interface(Vec<cellwall::component::Val>),
    Failed(Error),
    Skipped,
}

impl<'scope, 'env> Script<'scope, 'env> {
    /// An empty script with the host modules defined.
    pub(super) fn new(
        engine: &'env Engine,
        skip: &'env Skip,
        places: &'env Places<'env>,
        scope: &'scope Scope<'scope, 'env>,
    ) -> cellwall::Result<Script<'scope, 'env>> {
        let mut store = Store::new(engine, ());
        let mut linker = Linker::new(engine);
        // A script may register a second module under a name.
        linker.allow_shadowing(true);
        spectest::define(engine, &mut store, &mut linker)?;
        Ok(Script {
            engine,
            skip,
            places,
            scope,
            threads: HashMap::new(),
            joined: Vec::new(),
            shared: HashMap::new(),
            store,
            linker,
            definitions: HashMap::new(),
            instances: HashMap::new(),
            registered: HashSet::new(),
            absent: HashMap::new(),
            components: Components::new(engine)?,
            component_last: false,
        })
    }

    /// Does what the directives say and checks what they assert; the threads are over at the end.
    pub(super) fn run(&mut self, directives: Vec<WastDirective<'env>>, report: &mut Report) {
        for directive in directives {
            let span = directive.span();
            let (line, _) = self.places.of_span(span);
            tracing::debug!(target: "cellwall", file = %report.file, line, "directive");
            match self.directive(directive) {
                Ok(Verdict::Passed) => report.passed += 1,
                Ok(Verdict::Skipped) => report.skipped += 1,
                Err(message) => report.fail_at(self.places, span, message),
            }
        }
        let names: Vec<String> = self.threads.keys().cloned().collect();
        for name in names {
            if let Err(message) = self.join(&name) {
                report.fail(1, 1, message);
            }
        }
        for joined in self.joined.drain(..) {
            report.passed += joined.passed;
            report.skipped += joined.skipped;
            report.failed += joined.failed;
            report.failures.extend(joined.failures);
        }
    }

    /// `(thread ...)`: a script of its own, which may use the memories of one module of this one.
    fn thread(&mut self, thread: WastThread<'env>) -> Outcome {
        if self.skip.has("threads") {
            return Ok(Verdict::Skipped);
        }
        let mut shared = HashMap::new();
        if let Some(id) = thread.shared_module {
            let Some(instance) = self.instance(Some(id))? else {
                return Ok(Verdict::Skipped);
            };
            let exports = instance.exports(&mut self.store);
            let memories = exports.filter_map(|export| {
                let name = export.name().to_string();
                export.into_shared_memory().map(|memory| (name, memory))
            });
            shared.insert(id.name().to_string(), memories.collect());
        }
        let (engine, skip, places, scope) = (self.engine, self.skip, self.places, self.scope);
        let name = thread.name.name().to_string();
        let handle = scope.spawn(move || {
            let mut report = Report::new("");
            match Script::new(engine, skip, places, scope) {
                Ok(mut script) => {
                    script.shared = shared;
                    script.run(thread.directives, &mut report);
                }
                Err(error) => report.fail_at(places, thread.span, format!("cannot set up: {error:#}")),
            }
            report
        });
        self.threads.insert(name, handle);
        Ok(Verdict::Passed)
    }

    /// Waits for a thread.
    fn join(&mut self, name: &str) -> Result<(), String> {
        let handle = self.threads.remove(name);
        let handle = handle.ok_or_else(|| format!("there is no thread ${name}"))?;
        let report = handle
            .join()
            .map_err(|_| format!("the thread ${name} panicked"))?;
        self.joined.push(report);
        Ok(())
    }

    /// Does what the directive says and checks what it asserts.
    fn directive(&mut self, directive: WastDirective<'env>) -> Outcome {
        use WastDirective::*;
        match directive {
            Module(module) if is_component(&module) => {
                self.component_last = true;
                self.component(module)
            }
            Module(module) => {
                self.component_last = false;
                self.module(module)
            }
            ModuleDefinition(module) if is_component(&module) => {
                let name = owned(module.name());
                let Some(component) = self.compile_component(module)? else {
                    return Ok(Verdict::Skipped);
                };
                self.component_last = true;
                self.components.define(name, component);
                Ok(Verdict::Passed)
            }
            ModuleDefinition(module) => {
                let name = owned(module.name());
                let made = self.compile(module);
                self.define(name, &made);
                verdict(made)
            }
            ModuleInstance { instance, module, .. }
                if self.component_last && self.components.definition(&owned(module)).is_some() =>
            {
                let component = self.components.definition(&owned(module));
                let component = component.ok_or("there is no such component")?;
                self.component_instance(owned(instance), &component)
            }
            ModuleInstance { instance, module, .. } => {
                let definition = find(&self.definitions, module)?.there("its definition failed")?;
                self.instance_of(owned(instance), definition)
            }
            Register { name, module, .. } => self.register(name, module),
            Invoke(invoke) => match self.invoke(invoke)? {
                Ran::Values(_) | Ran::Interface(_) => Ok(Verdict::Passed),
                Ran::Failed(error) => Err(unexpected(&error)),
                Ran::Skipped => Ok(Verdict::Skipped),
            },
            AssertReturn { exec, results, .. } => self.assert_return(exec, &results),
            AssertTrap { exec, message, .. } => {
                let ran = self.execute(exec)?;
                self.assert_trap(ran, message)
            }
            AssertExhaustion { call, message, .. } => {
                let ran = self.invoke(call)?;
                self.assert_trap(ran, message)
            }
            AssertMalformed { module, message, .. }
            | AssertInvalid { module, message, .. }
            | AssertMalformedCustom { module, message, .. } => self.assert_rejected(module, message),
            AssertInvalidCustom { module, message, .. } => self.assert_custom_rejected(module, message),
            AssertUnlinkable { module, message, .. } => self.assert_unlinkable(module, message),
            AssertException { exec, .. } => self.assert_exception(exec),
            AssertSuspension { .. } => self.unsupported("stack-switching", "assert_suspension"),
            Thread(thread) => self.thread(thread),
            Wait { .. } if self.skip.has("threads") => Ok(Verdict::Skipped),
            Wait { thread, .. } => self.join(thread.name()).map(|()| Verdict::Passed),
        }
    }

    /// `(component ...)`: a definition and its instance at once.
    fn component(&mut self, component: QuoteWat<'_>) -> Outcome {
        let name = owned(component.name());
        self.components.forget(&name);
        let Some(component) = self.compile_component(component)? else {
            return Ok(Verdict::Skipped);
        };
        self.components.define(name.clone(), component.clone());
        self.component_instance(name, &component)
    }

    fn component_instance(&mut self, name: Option<String>, component: &Component) -> Outcome {
        self.components.forget(&name);
        let made = self.components.instantiate(component);
        let made = made.map_err(|error| unexpected(&error))?;
        let filed = self.components.file(name, made);
        filed.map_err(|error| format!("cannot register: {error:#}"))?;
        Ok(Verdict::Passed)
    }

    /// Encodes and compiles a component; `None` if it needs a feature that is skipped.
    fn compile_component(&self, mut component: QuoteWat<'_>) -> Result<Option<Component>, String> {
        if self.skip.has("component-model") {
            return Ok(None);
        }
        let wasm = component
            .encode()
            .map_err(|e| format!("malformed text: {}", e.message()))?;
        match Component::new(self.engine, &wasm) {
            Ok(component) => Ok(Some(component)),
            Err(_) if self.skip.needed_by(&wasm) => Ok(None),
            Err(error) => Err(format!("the component does not load: {error:#}")),
        }
    }

    /// `(module ...)`: a definition and its instance at once.
    fn module(&mut self, module: QuoteWat<'_>) -> Outcome {
        let name = owned(module.name());
        // If it cannot be made, a directive that means this one must not find
        // the one before it.
        put(&mut self.instances, name.clone(), Slot::Broken);
        let made = self.compile(module);
        self.define(name.clone(), &made);
        self.instance_of(name, made?)
    }

    fn define(&mut self, name: Option<String>, made: &Result<Option<Module>, String>) {
        put(&mut self.definitions, name, Slot::of(made));
    }

    /// Instantiates a definition (`None`: it is skipped) and files the instance.
    fn instance_of(&mut self, name: Option<String>, definition: Option<Module>) -> Outcome {
        let made = match definition.map(|module| self.instantiate(&module)).transpose() {
            Ok(Some(Some(Ok(instance)))) => Ok(Some(instance)),
            Ok(Some(Some(Err(error)))) => Err(unexpected(&error)),
            Ok(Some(None) | None) => Ok(None),
            Err(message) => Err(message),
        };
        let slot = Slot::of(&made);
        if let Some(name) = name.as_ref().filter(|name| !self.registered.contains(*name)) {
            self.offer(name, &slot)?;
        }
        put(&mut self.instances, name, slot);
        verdict(made)
    }

    /// Encodes and compiles a module; `None` if it cannot be compiled because
    /// of a feature that is skipped.
    fn compile(&self, mut module: QuoteWat<'_>) -> Result<Option<Module>, String> {
        let wasm = module
            .encode()
            .map_err(|e| format!("malformed text: {}", e.message()))?;
        match Module::new(self.engine, &wasm) {
            Ok(module) => Ok(Some(module)),
            Err(_) if self.skip.needed_by(&wasm) => Ok(None),
            Err(error) => Err(format!("the module does not load: {error:#}")),
        }
    }

    /// Links and instantiates; `None` if it imports from a module that is
    /// skipped. The outer `Err` is about the script, the inner one is what the
    /// engine said.
    fn instantiate(&mut self, module: &Module) -> Result<Option<cellwall::Result<Instance>>, String> {
        for import in module.imports() {
            match self.absent.get(import.module()) {
                Some(Slot::Skipped) => return Ok(None),
                Some(_) => return Err(format!("the module \"{}\" failed", import.module())),
                None => {}
            }
        }
        Ok(Some(self.linker.instantiate(&mut self.store, module)))
    }

    fn register(&mut self, name: &str, module: Option<Id<'_>>) -> Outcome {
        if let Some(memories) = module.and_then(|id| self.shared.get(id.name())) {
            for (field, memory) in memories {
                let defined = self.linker.define(&mut self.store, name, field, memory.clone());
                defined.map_err(|e| format!("cannot register: {e:#}"))?;
            }
            return Ok(Verdict::Passed);
        }
        let slot = find(&self.instances, module)?;
        self.registered.insert(name.to_string());
        self.offer(name, &slot)?;
        verdict(slot.there("its module failed"))
    }

    /// Lets later modules import from the instance in `slot`, under `name`.
    fn offer(&mut self, name: &str, slot: &Slot<Instance>) -> Result<(), String> {
        let absent = match slot {
            Slot::There(instance) => {
                self.absent.remove(name);
                let linked = self.linker.instance(&mut self.store, name, *instance);
                return linked.map(|_| ()).map_err(|e| format!("cannot register: {e:#}"));
            }
            Slot::Skipped => Slot::Skipped,
            Slot::Broken => Slot::Broken,
        };
        self.absent.insert(name.to_string(), absent);
        Ok(())
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Result<Ran, String> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Wat(component @ Wat::Component(_)) => {
                let Some(component) = self.compile_component(QuoteWat::Wat(component))? else {
                    return Ok(Ran::Skipped);
                };
                Ok(match self.components.instantiate(&component) {
                    Ok(_) => Ran::Values(Vec::new()),
                    Err(error) => Ran::Failed(error),
                })
            }
            WastExecute::Wat(module) => {
                let Some(module) = self.compile(QuoteWat::Wat(module))? else {
                    return Ok(Ran::Skipped);
                };
                Ok(match self.instantiate(&module)? {
                    Some(Ok(_)) => Ran::Values(Vec::new()),
                    Some(Err(error)) => Ran::Failed(error),
                    None => Ran::Skipped,
                })
            }
            WastExecute::Get { module, global, .. } => {
                let Some(instance) = self.instance(module)? else {
                    return Ok(Ran::Skipped);
                };
                let found = instance.get_global(&mut self.store, global);
                let found = found.ok_or_else(|| format!("no exported global \"{global}\""))?;
                Ok(Ran::Values(vec![found.get(&mut self.store)]))
            }
        }
    }

    fn invoke(&mut self, invoke: WastInvoke<'_>) -> Result<Ran, String> {
        let name = owned(invoke.module);
        let of_component = match &name {
            Some(_) => self.components.has_instance(&name),
            None => self.component_last,
        };
        if of_component {
            if self.skip.has("component-model") {
                return Ok(Ran::Skipped);
            }
            return Ok(match self.components.invoke(&name, invoke.name, &invoke.args)? {
                Ok(values) => Ran::Interface(values),
                Err(error) => Ran::Failed(error),
            });
        }
        let Some(instance) = self.instance(invoke.module)? else {
            return Ok(Ran::Skipped);
        };
        let func = instance.get_func(&mut self.store, invoke.name);
        let func = func.ok_or_else(|| format!("no exported function \"{}\"", invoke.name))?;
        let args = invoke
            .args
            .iter()
            .map(|arg| values::argument(&mut self.store, arg));
        let args = args.collect::<Result<Vec<Val>, String>>()?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        Ok(match func.call(&mut self.store, &args, &mut results) {
            Ok(()) => Ran::Values(results),
            Err(error) => Ran::Failed(error),
        })
    }

    /// The instance that a directive means; `None` if it is skipped.
    fn instance(&self, id: Option<Id<'_>>) -> Result<Option<Instance>, String> {
        find(&self.instances, id)?.there("its module failed")
    }

    fn assert_return(&mut self, exec: WastExecute<'_>, expected: &[WastRet<'_>]) -> Outcome {
        match self.execute(exec)? {
            Ran::Values(results) => {
                values::check_all(&mut self.store, &results, expected)?;
                Ok(Verdict::Passed)
            }
            Ran::Interface(results) => {
                component::check_all(&results, expected)?;
                Ok(Verdict::Passed)
            }
            Ran::Failed(error) => Err(unexpected(&error)),
            Ran::Skipped => Ok(Verdict::Skipped),
        }
    }

    fn assert_exception(&mut self, exec: WastExecute<'_>) -> Outcome {
        match self.execute(exec)? {
            Ran::Values(_) | Ran::Interface(_) => Err("expected an exception, but it returned".into()),
            Ran::Failed(error) if error.is::<ThrownException>() => Ok(Verdict::Passed),
            Ran::Failed(error) => Err(format!("expected an exception, got the error: {error:#}")),
            Ran::Skipped => Ok(Verdict::Skipped),
        }
    }

    fn assert_trap(&mut self, ran: Ran, message: &str) -> Outcome {
        match ran {
            Ran::Values(_) | Ran::Interface(_) => {
                Err(format!("expected the trap \"{message}\", but it returned"))
            }
            Ran::Failed(error) => traps::check(&error, message).map(|()| Verdict::Passed),
            Ran::Skipped => Ok(Verdict::Skipped),
        }
    }

    /// `assert_malformed`, `assert_invalid`: text or bytes must be refused.
    fn assert_rejected(&mut self, mut module: QuoteWat<'_>, message: &str) -> Outcome {
        let component = is_component(&module);
        if component && self.skip.has("component-model") {
            return Ok(Verdict::Skipped);
        }
        let Ok(wasm) = module.encode() else {
            return Ok(Verdict::Passed);
        };
        if component {
            return match Component::validate(self.engine, &wasm) {
                Ok(()) => Err(format!("expected \"{message}\", but the component was accepted")),
                Err(_) => Ok(Verdict::Passed),
            };
        }
        match Module::new(self.engine, &wasm) {
            // Suites of proposals that are older than these features still refuse them.
            Ok(_) if features::is_refused_without(&wasm, message) => Ok(Verdict::Passed),
            Ok(_) => Err(format!("expected \"{message}\", but the module was accepted")),
            Err(_) => Ok(Verdict::Passed),
        }
    }

    /// `assert_invalid_custom`: something in a custom section must be wrong. The engine ignores what is
    /// wrong there, as the specification asks, so this asks the tools.
    fn assert_custom_rejected(&mut self, mut module: QuoteWat<'_>, message: &str) -> Outcome {
        match module.encode() {
            Ok(wasm) if custom::has_stray_hint(&wasm) => Ok(Verdict::Passed),
            Ok(_) => self.assert_rejected(module, message),
            Err(_) => Ok(Verdict::Passed),
        }
    }

    /// The module must load and then fail to link, neither run nor trap.
    fn assert_unlinkable(&mut self, module: Wat<'_>, message: &str) -> Outcome {
        if matches!(module, Wat::Component(_)) {
            if self.skip.has("component-model") {
                return Ok(Verdict::Skipped);
            }
            let mut module = QuoteWat::Wat(module);
            let wasm = module
                .encode()
                .map_err(|e| format!("malformed text: {}", e.message()))?;
            let linked = Component::new(self.engine, &wasm)
                .and_then(|component| self.components.instantiate(&component));
            return match linked {
                Ok(_) => Err(format!("expected \"{message}\", but it was linked")),
                Err(error) if error.is::<Trap>() || error.is::<Fault>() => Err(format!(
                    "expected \"{message}\", but it was linked, and then: {error:#}"
                )),
                Err(_) => Ok(Verdict::Passed),
            };
        }
        let Some(module) = self.compile(QuoteWat::Wat(module))? else {
            return Ok(Verdict::Skipped);
        };
        match self.instantiate(&module)? {
            Some(Ok(_)) => Err(format!("expected \"{message}\", but it was linked")),
            Some(Err(error)) if error.is::<Trap>() => Err(format!(
                "expected \"{message}\", but it was linked, and then: {error:#}"
            )),
            Some(Err(error)) => check_link_error(&error, message),
            None => Ok(Verdict::Skipped),
        }
    }

    /// A directive that needs a feature that there is not.
    fn unsupported(&self, feature: &str, what: &str) -> Outcome {
        match self.skip.has(feature) {
            true => Ok(Verdict::Skipped),
            false => Err(format!("{what} is not supported (feature {feature})")),
        }
    }
}

impl<T: Clone> Slot<T> {
    /// What is filed for the outcome `made`.
    fn of(made: &Result<Option<T>, String>) -> Slot<T> {
        match made {
            Ok(Some(thing)) => Slot::There(thing.clone()),
            Ok(None) => Slot::Skipped,
            Err(_) => Slot::Broken,
        }
    }

    /// The thing; `None` if it is skipped, `Err(broken)` if it failed.
    fn there(self, broken: &str) -> Result<Option<T>, String> {
        match self {
            Slot::There(thing) => Ok(Some(thing)),
            Slot::Skipped => Ok(None),
            Slot::Broken => Err(broken.to_string()),
        }
    }
}

/// The verdict on a directive that only had to make a thing.
fn verdict<T>(made: Result<Option<T>, String>) -> Outcome {
    Ok(if made?.is_some() {
        Verdict::Passed
    } else {
        Verdict::Skipped
    })
}

fn is_component(module: &QuoteWat<'_>) -> bool {
    matches!(
        module,
        QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..)
    )
}

/// The tests know two link errors; taking one for the other is a failure.
fn check_link_error(error: &Error, message: &str) -> Outcome {
    let text = format!("{error:#}");
    let kinds = ["unknown import", "incompatible import type"];
    match kinds.iter().find(|kind| message.starts_with(*kind)) {
        Some(kind) if !text.contains(kind) => Err(format!("expected \"{message}\", got the error: {text}")),
        _ => Ok(Verdict::Passed),
    }
}

/// The message of a failure that no directive asked for: the trap alone when it
/// is one (the backtrace has many lines), else the whole error.
fn unexpected(error: &Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => format!("unexpected {trap}"),
        None => match error.downcast_ref::<Fault>() {
            Some(fault) => format!("unexpected {fault}"),
            None => format!("{error:#}"),
        },
    }
}

fn owned(id: Option<Id<'_>>) -> Option<String> {
    id.map(|id| id.name().to_string())
}

/// Files `slot` as the last one, and under its name if it has one.
fn put<T: Clone>(slots: &mut HashMap<Option<String>, Slot<T>>, name: Option<String>, slot: Slot<T>) {
    if name.is_some() {
        slots.insert(name, slot.clone());
    }
    slots.insert(None, slot);
}

fn find<T: Clone>(slots: &HashMap<Option<String>, Slot<T>>, id: Option<Id<'_>>) -> Result<Slot<T>, String> {
    let slot = slots.get(&owned(id)).cloned();
    slot.ok_or_else(|| match id {
        Some(id) => format!("there is no module ${}", id.name()),
        None => "there is no module before this".to_string(),
    })
}
