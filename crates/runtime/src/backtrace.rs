//! Guest frames: walked from where a guest stopped, with the frame sizes of its artifact, through
//! calls between instances and nested calls of the same store.

use crate::activation::{Activation, Machine};
use crate::code::Code;
use crate::id::InstanceId;
use crate::instance::Instance;
use crate::store::StoreOpaque;
use crate::sys::{StubPlace, is_foreign_return, stub_at};
use cellwall_base::FuncIdx;
use std::fmt;
use std::sync::Arc;

/// Most frames of a backtrace; the outermost ones are left out.
pub const FRAMES_MAX: usize = 100;

/// A guest frame.
#[derive(Clone)]
pub struct Frame {
    /// The code that was running.
    pub code: Arc<Code>,
    /// The function.
    pub func: FuncIdx,
    /// Offset of the operator in the WebAssembly binary, if known.
    pub wasm_offset: Option<u32>,
    /// The instance of the function; `None` where the walk cannot tell which of several it is.
    pub instance: Option<InstanceId>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code.artifact().name(self.func).unwrap_or("?");
        write!(f, "{} {name}", self.func)?;
        match self.wasm_offset {
            Some(offset) => write!(f, " @ 0x{offset:x}"),
            None => Ok(()),
        }
    }
}

/// Where a walk begins.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// In the middle of guest code.
    Machine(Machine),
    /// At the return address that lies at this place of the stack, in code of this instance if it is known.
    Return(usize, Option<InstanceId>),
}

impl StoreOpaque {
    /// The guest frames that are parked under the host function that is running, innermost first.
    pub fn backtrace(&self) -> Vec<Frame> {
        let top = self.fields.activation.get();
        // SAFETY: activations of a store are under way while they are in its chain.
        match unsafe { top.as_ref() } {
            Some(activation) => self.frames(activation, Start::Return(activation.guest_rsp.get(), None)),
            None => Vec::new(),
        }
    }

    /// The frames of an activation and of those below it, unless switched off.
    pub(crate) fn frames(&self, activation: &Activation, start: Start) -> Vec<Frame> {
        let mut frames = Vec::new();
        if !self.fields.engine.config().backtrace {
            return frames;
        }
        self.walk(activation, start, &mut frames);
        let mut below = activation.below_in_store;
        // Ends: each activation was made before the one above it.
        // SAFETY: activations of a store are under way while they are in its chain.
        while let Some(activation) = unsafe { below.as_ref() } {
            let start = Start::Return(activation.guest_rsp.get(), None);
            self.walk(activation, start, &mut frames);
            below = activation.below_in_store;
        }
        frames.truncate(FRAMES_MAX);
        frames
    }

    /// Walks the frames of one activation. Whatever does not fit ends the walk: a backtrace is for
    /// people, nothing depends on it.
    fn walk(&self, activation: &Activation, start: Start, frames: &mut Vec<Frame>) {
        // Address of the word with the next return address, and whose code it returns to.
        let (mut place, mut instance) = match start {
            Start::Return(place, instance) => (place, instance),
            Start::Machine(machine) => {
                let instance = self.instance_at(machine.context);
                match self.frame_at(machine.pc, 0, instance, frames) {
                    Some(bytes) => (machine.sp + bytes, instance),
                    None => return,
                }
            }
        };
        // Ends: the place grows in each round and stays on the stack.
        while frames.len() < FRAMES_MAX && activation.stack.has_word(place) {
            // SAFETY: on the cell stack of an activation that is under way or has just ended, whose
            // stack is not given back yet.
            let address = unsafe { *(place as *const usize) };
            place += 8;
            if is_foreign_return(address) {
                // The stub keeps the pinned registers of its caller: the memory base, the context.
                // SAFETY: the frame of the stub lies on the stack, above its return address.
                let context = unsafe { *((place + 8) as *const usize) };
                instance = self.instance_at(context);
                place += FOREIGN_FRAME_BYTES;
            } else if stub_at(address) == Some(StubPlace::EnterReturn) {
                return;
            } else {
                match self.frame_at(address, 1, instance, frames) {
                    Some(bytes) => place += bytes,
                    None => return,
                }
            }
        }
    }

    /// The instance with this context, if it is one of the store.
    fn instance_at(&self, context: usize) -> Option<InstanceId> {
        let instances = &self.fields.instances;
        let index = instances.iter().position(|it| it.context.address() == context)?;
        Some(InstanceId::new(self.id(), index as u32))
    }

    /// The instance that is thought to run some code, if it has that code; otherwise the only one that
    /// has it.
    fn runner(&self, code: &Arc<Code>, likely: Option<InstanceId>) -> Option<InstanceId> {
        let instances = &self.fields.instances;
        let has = |instance: &Instance| Arc::ptr_eq(&instance.code, code);
        if likely.is_some_and(|it| instances.get(it.index()).is_some_and(has)) {
            return likely;
        }
        let mut with_code = instances.iter().enumerate().filter(|(_, instance)| has(instance));
        match (with_code.next(), with_code.next()) {
            (Some((index, _)), None) => Some(InstanceId::new(self.id(), index as u32)),
            _ => None,
        }
    }

    /// Adds the frame that runs at `address - back`, after those of the functions that were inlined into
    /// it there, and returns its size. For return addresses, `back`
    /// is 1: the call may be the last instruction of its function.
    fn frame_at(
        &self,
        address: usize,
        back: usize,
        likely: Option<InstanceId>,
        frames: &mut Vec<Frame>,
    ) -> Option<usize> {
        let code = Code::at(address - back)?;
        let instance = self.runner(&code, likely);
        let pc = code.pc_of(address - back)?;
        let artifact = code.artifact();
        let func = artifact.func_at(pc)?.func;
        let bytes = artifact.frame_bytes_at(pc)?;
        let mut wasm_offset = match back {
            0 => artifact.trap_at(pc).map(|site| site.wasm_offset),
            _ => artifact.call_at(pc + 1).map(|site| site.wasm_offset),
        };
        if wasm_offset.is_some() {
            for inlined in artifact.inlined_at(pc).take(FRAMES_MAX) {
                frames.push(Frame {
                    code: code.clone(),
                    func: inlined.func,
                    wasm_offset: wasm_offset.replace(inlined.wasm_offset),
                    instance,
                });
            }
        }
        frames.push(Frame {
            code,
            func,
            wasm_offset,
            instance,
        });
        Some(bytes as usize)
    }
}

/// What the stub of calls into another instance keeps on the stack.
pub(crate) const FOREIGN_FRAME_BYTES: usize = 24;
