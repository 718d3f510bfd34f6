//! Calls from component to component, as core modules.
//!
//! [`adapter`] makes a module with one function, `call`, that has the core type of the side that
//! calls. It lifts and lowers in one go: each value is read once from the memory of one side and
//! written once to that of the other. The module is compiled and verified like guest code, and all
//! that it can reach are its [`Import`]s: the memories, allocators and flags of the two sides, and the
//! functions of the handle table and of traps. A mistake here is a mistake inside the walls.
//!
//! Requires a function type of synchronous functions. Guarantees equal bytes for equal requests but
//! for the names of resources, which are in the list of imports alone. Deliberately knows nothing of
//! instances: who may call whom was decided by the plan.

mod function;
mod module;
mod transcode;
mod translate;

use crate::fault::Fault;
use crate::limits::ADAPTER_BYTES_MAX;
use crate::plan::{Encoding, Options};
use crate::types::{Flat, FuncType, ResourceId, Side, ValType};
use cellwall_base::Limit;
use function::Function;
use module::Builder;
use translate::{Direction, Var};

/// The name of the function that an adapter exports.
pub const EXPORT: &str = "call";

/// An adapter and what it must be given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adapter {
    /// The module.
    pub wasm: Vec<u8>,
    /// Its imports, in order.
    pub imports: Vec<Import>,
}

/// Something that an adapter imports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Import {
    /// Function of the host: ends the call with the fault of this number.
    Trap,
    /// The core function that is called.
    Callee,
    /// What it wants called when its results were read.
    PostReturn,
    /// What gives memory on a side.
    Realloc(Party),
    /// The memory of a side.
    Memory(Party),
    /// Whether a side may call out: a mutable global, 0 or 1. (A side that is called may: who may not
    /// calls nobody who could call it.)
    MayLeave(Party),
    /// Function of the handle table: moves an owned handle to this side and returns its new number.
    TransferOwn(ResourceId, Party),
    /// Function of the handle table: lends a handle to the side that is called.
    TransferBorrow(ResourceId),
    /// Function of the handle table: moves an error context to this side.
    TransferErrorContext(Party),
    /// Function of the handle table: a call begins that handles may be lent to.
    EnterCall,
    /// Function of the handle table: it ends.
    ExitCall,
    /// Function of the handle table: the side that is called has a new task.
    NewTask,
}

impl Import {
    /// Whether the host implements it: a trap, or a function of the handle table.
    pub fn is_of_the_host(self) -> bool {
        match self {
            Self::Trap | Self::EnterCall | Self::ExitCall | Self::NewTask => true,
            Self::TransferOwn(..) | Self::TransferBorrow(_) | Self::TransferErrorContext(_) => true,
            Self::Callee | Self::PostReturn | Self::Realloc(_) | Self::Memory(_) | Self::MayLeave(_) => false,
        }
    }
}

/// A side of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Party {
    /// The one that calls.
    Caller,
    /// The one that is called.
    Callee,
}

/// What an adapter is for.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The type of the function.
    pub ty: &'a FuncType,
    /// How the side that calls has its values.
    pub lower: &'a Options,
    /// How the side that is called has them.
    pub lift: &'a Options,
    /// One of the two lies inside of the other, or they are the same: the call would enter an
    /// instance that is under way.
    pub nested: bool,
    /// The side that is called uses the words of its task.
    pub with_context: bool,
    /// There are times at which the side that calls may not call out.
    pub locked: bool,
}

/// Makes an adapter.
///
/// # Errors
/// If it would be too large.
pub fn adapter(request: &Request<'_>) -> Result<Adapter, Limit> {
    let mut builder = Builder::new(request);
    let (params, results) = request.ty.core_signature(Side::Lower);
    let mut function = Function::new(&params);
    if request.nested {
        function.trap(&builder, Fault::CannotEnter);
    } else {
        call(&mut builder, &mut function, request, &params)?;
    }
    let wasm = builder.finish(&params, &results, function);
    if wasm.len() > ADAPTER_BYTES_MAX {
        return Err(too_large());
    }
    Ok(Adapter {
        wasm,
        imports: builder.into_imports(),
    })
}

pub(crate) fn too_large() -> Limit {
    Limit {
        what: "the size of an adapter between components in bytes",
        max: ADAPTER_BYTES_MAX as u64,
    }
}

/// The whole of a call, in the order of the canonical ABI ("canon lower", "canon lift").
fn call(
    builder: &mut Builder<'_>,
    f: &mut Function,
    request: &Request<'_>,
    params: &[Flat],
) -> Result<(), Limit> {
    let ty = request.ty;
    let there = Direction::new(request, Party::Callee);
    let back = Direction::new(request, Party::Caller);
    if request.locked {
        let caller_leaves = builder.import(Import::MayLeave(Party::Caller));
        f.code().global_get(caller_leaves).i32_eqz();
        f.trap_if(builder, Fault::CannotLeave);
    }
    if ty.borrows() {
        let enter = builder.import(Import::EnterCall);
        f.code().call(enter);
    }

    if request.with_context {
        let new_task = builder.import(Import::NewTask);
        f.code().call(new_task);
    }

    // Parameters, with the other side unable to call out while it gives memory.
    let (flat, spilled) = ty.flat_params();
    let asks = spilled || ty.params.layout().pointers;
    if asks {
        set_may_leave(builder, f, Party::Callee, false);
    }
    let mut args: Vec<Var> = flat.iter().map(|&ty| f.var(ty)).collect();
    if spilled {
        let layout = ty.params.layout();
        there.check_pointer(builder, f, 0, layout.size, layout.align);
        there.allocate_const(builder, f, layout.size, layout.align);
        f.code().local_set(args[0].local);
        let tuple = ValType::Tuple(ty.params.clone());
        there.memory(builder, f, &tuple, (0, 0), (args[0].local, 0))?;
    } else {
        let mut at = 0;
        for (_, ty, _) in &ty.params.fields {
            let count = ty.flat_count().expect("all parameters together are few");
            let from: Vec<Var> = (at..at + count).map(|i| Var::new(i as u32, params[i])).collect();
            there.flat(builder, f, ty, &from, &args[at..at + count])?;
            at += count;
        }
    }
    if asks {
        set_may_leave(builder, f, Party::Callee, true);
    }

    // The call.
    let (flat_results, indirect) = ty.flat_results();
    let callee = builder.import(Import::Callee);
    args.drain(..).for_each(|arg| {
        f.code().local_get(arg.local);
    });
    if ends_with_call(request) {
        f.code().return_call(callee);
        return Ok(());
    }
    f.code().call(callee);
    let returned: Vec<Var> = flat_results.iter().map(|&ty| f.var(ty)).collect();
    returned.iter().rev().for_each(|var| {
        f.code().local_set(var.local);
    });
    if ty.borrows() {
        let exit = builder.import(Import::ExitCall);
        f.code().call(exit);
    }

    // Results.
    let mut answers: Vec<Var> = Vec::new();
    if let Some(result) = &ty.result {
        let layout = result.layout();
        let asks = layout.pointers;
        if asks {
            set_may_leave(builder, f, Party::Caller, false);
        }
        if indirect {
            let to = params.len() as u32 - 1;
            back.check_pointer(builder, f, returned[0].local, layout.size, layout.align);
            back.check_target(builder, f, to, layout.size, layout.align);
            back.memory(builder, f, result, (returned[0].local, 0), (to, 0))?;
        } else {
            answers = flat_results.iter().map(|&ty| f.var(ty)).collect();
            back.flat(builder, f, result, &returned, &answers)?;
        }
        if asks {
            set_may_leave(builder, f, Party::Caller, true);
        }
    }
    if request.lift.post_return.is_some() {
        let post_return = builder.import(Import::PostReturn);
        let flag = builder.import(Import::MayLeave(Party::Callee));
        f.code().i32_const(0).global_set(flag);
        returned.iter().for_each(|var| {
            f.code().local_get(var.local);
        });
        f.code().call(post_return).i32_const(1).global_set(flag);
    }
    answers.iter().for_each(|var| {
        f.code().local_get(var.local);
    });
    Ok(())
}

/// Whether nothing is left to do when the function that is called returns: what it returns is what
/// the side that calls gets.
fn ends_with_call(request: &Request<'_>) -> bool {
    let ty = request.ty;
    !ty.borrows() && request.lift.post_return.is_none() && ty.result.as_ref().is_none_or(passes)
}

/// Whether every core value is a value of this type, and means the same on each side.
fn passes(ty: &ValType) -> bool {
    matches!(
        ty,
        ValType::U32 | ValType::S32 | ValType::U64 | ValType::S64 | ValType::F32 | ValType::F64
    )
}

/// Whether the function that is called can take the place of the adapter: there is nothing to do
/// before the call either.
pub fn is_idle(request: &Request<'_>) -> bool {
    let params = &request.ty.params.fields;
    !request.nested
        && !request.locked
        && !request.with_context
        && params.len() <= crate::types::MAX_FLAT_PARAMS
        && params.iter().all(|(_, ty, _)| passes(ty))
        && ends_with_call(request)
}

/// Gives a side the right to call out, or takes it away.
fn set_may_leave(builder: &mut Builder<'_>, f: &mut Function, party: Party, may: bool) {
    let flag = builder.import(Import::MayLeave(party));
    f.code().i32_const(may.into()).global_set(flag);
}

/// The encoding of the strings of a side.
fn encoding(request: &Request<'_>, party: Party) -> Encoding {
    match party {
        Party::Caller => request.lower.encoding,
        Party::Callee => request.lift.encoding,
    }
}
