//! The stepped process: loads artifacts through the door for strangers' files, makes instances and
//! calls one export, and says by signals how far it is. All else is done to it from outside.
//!
//! Requires a tracer that spawned it. Guarantees that it holds one module and one instance of it at a
//! time, and that every import is there. Deliberately decides nothing and checks nothing.
//!
//! What it reads from its standard input, and the signals that it raises:
//!
//! | it raises | then it |
//! |---|---|
//! | [`OVER`] at the start | reads a command |
//! | | `n`, eight bytes of length, a packed artifact: loads it |
//! | | `a`: goes on with the same module |
//! | [`READY`]: there is a new instance | calls the export [`EXPORT`] |
//! | [`OVER`]: the call ended in some way, or there is no instance | reads a command |

use crate::breach::guests::HELPER;
use cellwall::{
    AsContextMut, Caller, Config, Engine, Error, Extern, ExternRef, ExternType, Func, FuncType, Global,
    HeapType, Instance, Linker, Memory, Module, Result, SharedMemory, Store, StoreContextMut, StoreLimits,
    StoreLimitsBuilder, Table, Tag, Val, ValType,
};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use std::io::{ErrorKind, Read};

/// Raised before the call.
pub const READY: Signal = Signal::SIGUSR1;
/// Raised when it waits for a command.
pub const OVER: Signal = Signal::SIGUSR2;
/// The name of the export that is called.
pub const EXPORT: &str = "\0step";
/// The command for another artifact.
pub const NEXT: u8 = b'n';
/// The command for another instance.
pub const AGAIN: u8 = b'a';
/// Bytes of the guest's stack.
pub const STACK_BYTES: usize = 128 << 10;
/// Largest artifact that is read, in bytes.
const ARTIFACT_BYTES_MAX: u64 = 256 << 20;
/// What all memories of an instance may have, in bytes.
const MEMORY_BYTES_MAX: usize = 64 << 20;

/// Does what the tracer says until it closes the pipe.
///
/// # Errors
/// If the engine cannot be made or the pipe breaks.
pub fn main() -> Result<()> {
    ptrace::traceme()?;
    let mut config = Config::new();
    config.parallel_compilation(false).max_wasm_stack(STACK_BYTES);
    let engine = Engine::new(&config)?;
    let helper = Module::new(&engine, HELPER)?;
    let mut commands = std::io::stdin().lock();
    let mut module = None;
    loop {
        raise(OVER)?;
        let mut command = [0];
        match commands.read_exact(&mut command) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        if command[0] == NEXT {
            // The one before is gone first, so that its pages are used again.
            drop(module.take());
            let mut len = [0; 8];
            commands.read_exact(&mut len)?;
            let mut packed = Vec::new();
            let len = u64::from_le_bytes(len).min(ARTIFACT_BYTES_MAX);
            (&mut commands).take(len).read_to_end(&mut packed)?;
            match Module::deserialize(&engine, &packed) {
                Ok(loaded) => module = Some(loaded),
                Err(error) => eprintln!("stepped: {error:#}"),
            }
        }
        if let Some(module) = &module {
            // Its errors are the guest's.
            let _ = run(&engine, &helper, module);
        }
    }
}

fn run(engine: &Engine, helper: &Module, module: &Module) -> Result<()> {
    let limits = StoreLimitsBuilder::new()
        .memory_size(MEMORY_BYTES_MAX)
        .table_elements(100_000)
        .build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance = imports(&mut store, helper, module)?.instantiate(&mut store, module)?;
    let Some(func) = instance.get_func(&mut store, EXPORT) else {
        return Ok(());
    };
    let ty = func.ty(&store);
    let params = values(&mut store.as_context_mut(), ty.params())?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    raise(READY)?;
    func.call(&mut store, &params, &mut results)
}

/// Something of the right type for every import: the helper's, if it has it under that name,
/// otherwise the host's. Functions of the host answer zeros.
fn imports(store: &mut Store<StoreLimits>, helper: &Module, module: &Module) -> Result<Linker<StoreLimits>> {
    let mut linker = Linker::new(store.engine());
    linker.allow_shadowing(true);
    let helper = Instance::new(&mut *store, helper, &[])?;
    for import in module.imports() {
        let ty = import.ty();
        let item = match helper.get_export(&mut *store, import.name()) {
            Some(item) if import.module() == "h" => item,
            _ => host_item(store, ty)?,
        };
        linker.define(&mut *store, import.module(), import.name(), item)?;
    }
    Ok(linker)
}

fn host_item(store: &mut Store<StoreLimits>, ty: ExternType) -> Result<Extern> {
    Ok(match ty {
        ExternType::Func(ty) => host_func(&mut store.as_context_mut(), ty).into(),
        ExternType::Memory(ty) if ty.is_shared() => SharedMemory::new(store.engine(), ty)?.into(),
        ExternType::Memory(ty) => Memory::new(&mut *store, ty)?.into(),
        ExternType::Table(ty) => {
            let element = value(&mut store.as_context_mut(), ValType::Ref(ty.element().clone()))?;
            let element = element.ref_().expect("elements are references");
            Table::new(&mut *store, ty, element)?.into()
        }
        ExternType::Tag(ty) => Tag::new(&mut *store, &ty)?.into(),
        ExternType::Global(ty) => {
            let value = value(&mut store.as_context_mut(), ty.content().clone())?;
            Global::new(&mut *store, ty, value)?.into()
        }
    })
}

/// A function of the host that answers zeros.
fn host_func(store: &mut StoreContextMut<'_, StoreLimits>, ty: FuncType) -> Func {
    let results: Vec<ValType> = ty.results().collect();
    let answer = move |mut caller: Caller<'_, StoreLimits>, _: &[Val], out: &mut [Val]| {
        out.copy_from_slice(&values(&mut caller.as_context_mut(), results.iter().cloned())?);
        Ok(())
    };
    Func::new(store, ty, answer)
}

fn values(
    store: &mut StoreContextMut<'_, StoreLimits>,
    types: impl Iterator<Item = ValType>,
) -> Result<Vec<Val>> {
    types.map(|ty| value(store, ty)).collect()
}

/// Zero or null; of references that cannot be null, something of the host. Nobody but a guest can
/// throw, so there is no exception.
fn value(store: &mut StoreContextMut<'_, StoreLimits>, ty: ValType) -> Result<Val> {
    if let Some(value) = Val::default_for_ty(&ty) {
        return Ok(value);
    }
    match ty.as_ref().map(|ty| ty.heap_type()) {
        Some(HeapType::ConcreteFunc(ty)) => Ok(Val::FuncRef(Some(host_func(store, ty.clone())))),
        Some(HeapType::Func) => {
            let ty = FuncType::new(store.engine(), [], []);
            Ok(Val::FuncRef(Some(host_func(store, ty))))
        }
        Some(HeapType::Extern) => Ok(Val::ExternRef(Some(ExternRef::new(store, 0)?))),
        _ => Err(Error::msg(format!("there is no value of type {ty}"))),
    }
}
