//! Calls from host to guest, and what becomes of those that do not return.
//!
//! A call takes a cell stack (or goes on below the parked frames of the call around it), puts an
//! activation on top of store and thread, and enters. Guarantees that a guest and a host that call
//! each other without end meet a trap before either stack is used up.

use crate::activation::{Activation, FaultKind, Machine, Status};
use crate::backtrace::{Frame, Start};
use crate::code::Code;
use crate::context::is_poisoned;
use crate::error::Error;
use crate::func::{CallTarget, TypedFunc};
use crate::host::Outcome;
use crate::id::{FuncId, assert_store};
use crate::instance::Instance;
use crate::stack::{CellStack, StackRange};
use crate::store::StoreOpaque;
use crate::sys::{self, Width};
use crate::thread::{self, Thread};
use crate::value::{RawList, RawVal, are_few};
use cellwall_abi::TrapCode;
use cellwall_abi::convention::Assigner;
use std::any::Any;
use std::ptr;

/// Least stack with which a nested call starts.
pub(crate) const NESTED_STACK_BYTES_MIN: usize = 4096;

/// How a call ended that did not return.
pub(crate) enum Ended {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

impl StoreOpaque {
    /// Calls a function whose types the Rust compiler knows. Allocates nothing unless it fails.
    ///
    /// # Errors
    /// Traps, errors of host functions, [`Error::Interrupted`].
    ///
    /// # Panics
    /// If the function belongs to another store; and what a host function panics with.
    #[inline]
    pub fn call_typed<P: RawList, R: RawList>(
        &mut self,
        func: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, Error> {
        assert_store(self.id(), func.func().store());
        if let CallTarget::Wasm { code, context } = func.target
            && const { are_few(P::TYPES, 4) && are_few(R::TYPES, 1) }
        {
            let bits = match const { P::TYPES.len() } {
                0..=2 => self.enter_few(code, context, params.to_gprs())?,
                _ => self.enter_four(code, context, params.to_gprs())?,
            };
            return Ok(R::from_gpr(bits));
        }
        params.write_params(self.block_mut());
        self.call_target_now(func.target, const { Width::of(P::TYPES, R::TYPES) })?;
        Ok(R::read_results(self.block()))
    }

    /// Calls a function with values of any type.
    ///
    /// # Errors
    /// [`Error::Type`] if parameters do not have the function's types or `results` has another
    /// length; otherwise as for [`StoreOpaque::call_typed`].
    ///
    /// # Panics
    /// As for [`StoreOpaque::call_typed`].
    pub fn call(&mut self, func: FuncId, params: &[RawVal], results: &mut [RawVal]) -> Result<(), Error> {
        let (target, width) = self.begin_call(func, params, results)?;
        self.call_target_now(target, width)?;
        self.read_results(results);
        Ok(())
    }

    /// Puts the arguments of a call into the block. `results` have the types that the function returns
    /// afterwards.
    pub(crate) fn begin_call(
        &mut self,
        func: FuncId,
        params: &[RawVal],
        results: &mut [RawVal],
    ) -> Result<(CallTarget, Width), Error> {
        let signature = self.func_signature(func);
        if !params
            .iter()
            .map(|value| value.ty())
            .eq(signature.params.iter().copied())
        {
            let given: Vec<String> = params.iter().map(|value| value.ty().to_string()).collect();
            return Err(Error::Type(format!(
                "a function of type {signature} was called with ({})",
                given.join(" ")
            )));
        }
        if results.len() != signature.results.len() {
            return Err(Error::Type(format!(
                "expected room for {} results, found {}",
                signature.results.len(),
                results.len()
            )));
        }
        if signature.params.iter().any(|ty| ty.is_ref()) {
            let record = self.engine().type_record(self.func_type_number(func));
            for (i, &value) in params.iter().enumerate().filter(|_| record.exact.is_some()) {
                self.check_exact(value, record.param_ref(i))?;
            }
        }
        let width = Width::of(&signature.params, &signature.results);
        // They carry their types through the call, which needs the store.
        for (result, &ty) in results.iter_mut().zip(&signature.results) {
            *result = RawVal::default_of(ty);
        }
        let target = self.call_target(func)?;
        let mut places = Assigner::params();
        for &value in params {
            let place = places.next(value.ty());
            self.block_mut().write_val(place.block_offset(), value);
        }
        Ok((target, width))
    }

    /// Takes the results of a call out of the block; each place has the type of its result.
    pub(crate) fn read_results(&self, results: &mut [RawVal]) {
        let mut places = Assigner::results();
        for result in results {
            let ty = result.ty();
            *result = self.block().read_val(places.next(ty).block_offset(), ty);
        }
    }

    #[inline]
    pub(crate) fn call_target_now(&mut self, target: CallTarget, width: Width) -> Result<(), Error> {
        match target {
            CallTarget::Wasm { code, context } => self.enter(code, context, width),
            CallTarget::Host { entry, env } => self.call_host(entry, env),
        }
    }

    /// Runs a function of an instance; arguments and results are in the block.
    fn enter(&mut self, code: usize, context: usize, width: Width) -> Result<(), Error> {
        self.enter_by(context, |activation, stack| {
            // SAFETY: code and context belong to an instance of this store; activation and stack
            // are as `enter_by` says; the caller wrote the arguments.
            (unsafe { sys::enter(activation, code, context, stack, width) }, ())
        })
    }

    /// Runs a function of an instance with at most two parameters and one result, all of which
    /// pass in integer registers.
    pub(crate) fn enter_few(&mut self, code: usize, context: usize, params: [u64; 2]) -> Result<u64, Error> {
        self.enter_by(context, |activation, stack| {
            // SAFETY: as in `enter`; the caller knows the type of the function.
            unsafe { sys::enter_few(activation, code, context, stack, params) }
        })
    }

    /// Likewise with at most four parameters.
    pub(crate) fn enter_four(&mut self, code: usize, context: usize, params: [u64; 4]) -> Result<u64, Error> {
        self.enter_by(context, |activation, stack| {
            // SAFETY: as in `enter`; the caller knows the type of the function.
            unsafe { sys::enter_four(activation, code, context, stack, params) }
        })
    }

    /// Runs `body` with an activation for an instance and a place on a stack: the activation is on
    /// top of store and thread, and nothing in use lies below that place.
    #[inline(always)]
    fn enter_by<R>(
        &mut self,
        context: usize,
        body: impl FnOnce(*const Activation, usize) -> (u32, R),
    ) -> Result<R, Error> {
        // SAFETY: the context of an instance of this store.
        if unsafe { is_poisoned(context) } {
            return Err(Error::Interrupted);
        }
        let thread = thread::current();
        if !thread.is_ready(&self.fields.engine.0) {
            return self.enter_anyhow(thread, body);
        }
        // No call is under way on this thread, and therefore none in this store.
        let store = self.expose();
        let (status, result, activation) =
            thread.with_own(&self.fields.engine.0, store, |activation, stack| {
                self.fields.activation.set(activation);
                let (status, result) = body(activation, stack);
                (status, result, activation)
            });
        self.fields.activation.set(ptr::null());
        if status == Status::Returned as u32 {
            return Ok(result);
        }
        // SAFETY: the thread's own, which only the next call changes.
        let activation = unsafe { &*activation };
        Err(self.not_returned(Status::from_raw(status), activation, None))
    }

    /// The same for all calls: nested ones, and the first of a thread.
    #[inline(never)]
    fn enter_anyhow<R>(
        &mut self,
        thread: &Thread,
        body: impl FnOnce(*const Activation, usize) -> (u32, R),
    ) -> Result<R, Error> {
        if !thread.has_room()? {
            return Err(self.stack_overflow());
        }
        let below = self.fields.activation.get();
        // SAFETY: activations of a store are under way while they are in its chain.
        let (stack, range) = match unsafe { below.as_ref() } {
            None => {
                let stack = thread.take_stack(&self.fields.engine.0)?;
                let range = stack.range();
                (Some(stack), range)
            }
            Some(below) => {
                let high = below.guest_rsp.get() & !15;
                let range = StackRange { high, ..below.stack };
                if high < range.low + NESTED_STACK_BYTES_MIN {
                    return Err(self.stack_overflow());
                }
                (None, range)
            }
        };
        let store = self.expose();
        let engine = &self.fields.engine.0;
        let activation = Activation::new(thread, engine, store, range, below);
        if !below.is_null() {
            activation.births.set(self.fields.exceptions.births());
        }
        self.fields.activation.set(&activation);
        let (status, result) = thread.with_top(&activation, engine, || body(&activation, range.high));
        self.fields.activation.set(below);
        if status == Status::Returned as u32 {
            if let Some(stack) = stack {
                thread.give_stack(&self.fields.engine.0, stack);
                thread.make_ready(&self.fields.engine.0);
            }
            return Ok(result);
        }
        Err(self.not_returned(Status::from_raw(status), &activation, stack))
    }

    /// Ends a call that did not return: as an error, or with the panic of a host function.
    #[cold]
    fn not_returned(
        &mut self,
        status: Status,
        activation: &Activation,
        stack: Option<Box<CellStack>>,
    ) -> Error {
        let ended = self.ended(status, activation);
        if let Some(stack) = stack {
            thread::current().give_stack(&self.fields.engine.0, stack);
        }
        match ended {
            Ended::Error(error) => error,
            Ended::Panic(panic) => std::panic::resume_unwind(panic),
        }
    }

    #[cold]
    pub(crate) fn stack_overflow(&self) -> Error {
        Error::Trap {
            code: TrapCode::StackOverflow,
            frames: self.backtrace(),
        }
    }

    /// Why a call ended; its stack is still as it was.
    pub(crate) fn ended(&mut self, status: Status, activation: &Activation) -> Ended {
        let returning = |context| Start::Return(activation.guest_rsp.get(), context);
        // Whose code called is not known there.
        let at_boundary = returning(None);
        let stopped = Start::Machine(activation.machine.get());
        let trap = |code, frames: Vec<Frame>| Ended::Error(Error::Trap { code, frames });
        match status {
            Status::Returned | Status::Parked => unreachable!("handled by the caller"),
            Status::Outcome => {
                let left = self.fields.outcome.take();
                let (outcome, context) = left.expect("left before the stub was told");
                // SAFETY: it is that of the caller of a function or library call of this store.
                let start = returning(unsafe { self.instance_of(context) });
                match outcome {
                    Outcome::Trap(code) => trap(code, self.frames(activation, start)),
                    Outcome::Panic(panic) => Ended::Panic(panic),
                    Outcome::Limit(text) => Ended::Error(Error::Limit(text)),
                    Outcome::Thrown => Ended::Error(Error::Thrown {
                        frames: self.frames(activation, start),
                    }),
                    Outcome::Waits => Ended::Error(Error::Waits {
                        frames: self.frames(activation, start),
                    }),
                    Outcome::Caught => unreachable!("the stub goes on in the guest"),
                    Outcome::Host(error) => Ended::Error(Error::Host {
                        error,
                        frames: self.frames(activation, start),
                    }),
                }
            }
            Status::Fault => {
                let code = self.classify(activation);
                let in_stub = activation.machine.get().pc == 0;
                let start = if in_stub { at_boundary } else { stopped };
                trap(code, self.frames(activation, start))
            }
            Status::Stopped => {
                let context = activation.machine.get().context;
                let instances = &mut self.fields.instances;
                // In a detached function nothing of an instance was half done.
                let pc = activation.machine.get().pc;
                let stopped_in = |i: &Instance| i.context.address() == context && i.code.pc_of(pc).is_some();
                if let Some(instance) = instances.iter_mut().find(|i| stopped_in(i)) {
                    instance.context.poison();
                }
                trap(TrapCode::Interrupt, self.frames(activation, stopped))
            }
            Status::Marked => trap(TrapCode::Interrupt, self.frames(activation, at_boundary)),
            Status::Early => trap(TrapCode::Interrupt, Vec::new()),
            Status::Poisoned => Ended::Error(Error::Interrupted),
        }
    }

    /// What a fault of guest code means. A fault that means nothing is our bug, and the process
    /// stops before anything worse happens.
    fn classify(&self, activation: &Activation) -> TrapCode {
        let (kind, address) = activation.fault.get();
        let machine = activation.machine.get();
        if kind == FaultKind::Address && activation.stack.guard_has(address) {
            return TrapCode::StackOverflow;
        }
        let code = Code::at(machine.pc);
        let site = code
            .as_ref()
            .and_then(|code| code.artifact().trap_at(code.pc_of(machine.pc)?));
        if let Some(site) = site {
            let fits = match kind {
                FaultKind::Undefined => true,
                FaultKind::Arithmetic => {
                    matches!(
                        site.code,
                        TrapCode::IntegerOverflow | TrapCode::IntegerDivisionByZero
                    )
                }
                FaultKind::Address => {
                    site.code == TrapCode::MemoryOutOfBounds && self.memory_covers(&machine, address)
                }
                FaultKind::Other => false,
            };
            if fits {
                return site.code;
            }
        }
        eprintln!(
            "cellwall: verified code faulted where it must not ({kind:?} at {address:#x}, pc {:#x}, site {site:?}); \
             this is a bug of cellwall, and the process stops",
            machine.pc
        );
        std::process::abort();
    }

    /// Whether an address lies in a memory, or its guard, of the instance that was running.
    fn memory_covers(&self, machine: &Machine, address: usize) -> bool {
        let instances = &self.fields.instances;
        let running = instances.iter().find(|i| i.context.address() == machine.context);
        running.is_some_and(|instance| {
            let mut memories = instance.memories.values();
            memories.any(|&number| self.fields.memories[number as usize].covers(address))
        })
    }
}
