//! Definitions of the canonical ABI: lifted and lowered functions, and what they are done with.

use super::Evaluator;
use super::frame::{Def, Frame, TypeDef};
use super::types::val_type;
use crate::plan::{Builtin, CoreDef, CoreKind, Encoding, FuncRef, Lift, Options, Step, Trampoline};
use crate::types::{Flat, FuncKind, FuncType, Side};
use cellwall_base::Invalid;
use std::rc::Rc;
use wasmparser as wp;
use wasmparser::{CanonicalFunction, CanonicalOption};

impl Evaluator {
    pub(super) fn canon(&mut self, frame: &Rc<Frame<'_>>, func: &CanonicalFunction) -> Result<(), Invalid> {
        let instance = frame.instance;
        let builtin = match func {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let list = options;
                let ty = match &frame.spaces.borrow().types[*type_index as usize] {
                    TypeDef::Func(ty) => ty.clone(),
                    _ => return self.unsupported("a function with a type of asynchronous functions"),
                };
                let options = self.options(frame, list, Some(&ty))?;
                let func = match ty.kind {
                    FuncKind::Sync | FuncKind::Async => frame.core(CoreKind::Func, *core_func_index),
                    FuncKind::Opaque => {
                        let (params, results) = ty.core_signature(Side::Lift);
                        let builtin = Builtin::Missing("canon lift async", params, results);
                        self.add_trampoline(Trampoline::Builtin { instance, builtin })
                    }
                };
                self.plan.lifts.push(Lift {
                    instance,
                    func,
                    ty: ty.clone(),
                    options,
                });
                let lift = FuncRef::Lift(self.plan.lifts.len() as u32 - 1);
                frame.push(Def::Func((lift, ty)));
                return Ok(());
            }
            CanonicalFunction::Lower { func_index, options } => {
                let (func, ty) = frame.spaces.borrow().funcs[*func_index as usize].clone();
                let options = self.options(frame, options, Some(&ty))?;
                let trampoline = match (ty.kind, func) {
                    (FuncKind::Opaque, _) => {
                        return self.unsupported("a function with a type of asynchronous functions");
                    }
                    (_, FuncRef::Lift(lift))
                        if options.is_async || self.plan.lifts[lift as usize].options.is_async =>
                    {
                        Trampoline::Task {
                            instance,
                            lift,
                            options,
                        }
                    }
                    (_, FuncRef::Lift(lift)) => Trampoline::Adapter {
                        instance,
                        lift,
                        options,
                    },
                    (FuncKind::Sync, FuncRef::Import(import)) if !options.is_async => Trampoline::Host {
                        instance,
                        import,
                        ty,
                        options,
                    },
                    (_, FuncRef::Import(_)) => {
                        let (params, results) = match options.is_async {
                            true => ty.core_async_signature(),
                            false => ty.core_signature(Side::Lower),
                        };
                        let builtin = Builtin::Missing("canon lower async", params, results);
                        Trampoline::Builtin { instance, builtin }
                    }
                };
                self.push_trampoline(frame, trampoline);
                return Ok(());
            }
            CanonicalFunction::ResourceNew { resource } => Builtin::ResourceNew(frame.resource(*resource)),
            CanonicalFunction::ResourceRep { resource } => Builtin::ResourceRep(frame.resource(*resource)),
            CanonicalFunction::ResourceDrop { resource } => Builtin::ResourceDrop(frame.resource(*resource)),
            CanonicalFunction::ErrorContextNew { options } => {
                Builtin::ErrorContextNew(self.options(frame, options, None)?)
            }
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                Builtin::ErrorContextDebugMessage(self.options(frame, options, None)?)
            }
            CanonicalFunction::ErrorContextDrop => Builtin::ErrorContextDrop,
            CanonicalFunction::ContextGet {
                ty: wp::ValType::I32,
                slot,
            } => {
                self.plan.with_context.insert(instance);
                Builtin::ContextGet(*slot)
            }
            CanonicalFunction::ContextSet {
                ty: wp::ValType::I32,
                slot,
            } => {
                self.plan.with_context.insert(instance);
                Builtin::ContextSet(*slot)
            }
            CanonicalFunction::BackpressureInc => Builtin::Backpressure(true),
            CanonicalFunction::BackpressureDec => Builtin::Backpressure(false),
            CanonicalFunction::TaskReturn { result, options } => {
                let options = self.options(frame, options, None)?;
                match result.map(|ty| val_type(frame, ty)) {
                    None => Builtin::TaskReturn(None, options),
                    Some(Some(ty)) => Builtin::TaskReturn(Some(ty), options),
                    // Of a type that no function has that can be called.
                    Some(None) => Builtin::Missing("task.return", vec![Flat::I32], Vec::new()),
                }
            }
            other => match missing(other) {
                Some((name, params, results)) => Builtin::Missing(name, params.to_vec(), results.to_vec()),
                None => {
                    let name = format!("{other:?}");
                    let name = name.split([' ', '{']).next().unwrap_or_default();
                    return self.unsupported(&format!("the canonical function {name}"));
                }
            },
        };
        self.push_trampoline(frame, Trampoline::Builtin { instance, builtin });
        Ok(())
    }

    fn push_trampoline(&mut self, frame: &Frame<'_>, trampoline: Trampoline) {
        let made = self.add_trampoline(trampoline);
        frame.push_core(CoreKind::Func, made);
    }

    /// A core function of its own, which has no number in the component.
    fn add_trampoline(&mut self, trampoline: Trampoline) -> CoreDef {
        let index = self.plan.trampolines.len() as u32;
        self.plan.trampolines.push(trampoline);
        self.plan.steps.push(Step::Trampoline(index));
        CoreDef::Trampoline(index)
    }

    /// How values of a function of this type cross.
    fn options(
        &self,
        frame: &Frame<'_>,
        list: &[CanonicalOption],
        ty: Option<&FuncType>,
    ) -> Result<Options, Invalid> {
        let mut options = Options::default();
        for option in list {
            match *option {
                CanonicalOption::UTF8 => options.encoding = Encoding::Utf8,
                CanonicalOption::UTF16 => options.encoding = Encoding::Utf16,
                CanonicalOption::CompactUTF16 => options.encoding = Encoding::CompactUtf16,
                CanonicalOption::Memory(index) => options.memory = Some(frame.core(CoreKind::Memory, index)),
                CanonicalOption::Realloc(index) => options.realloc = Some(frame.core(CoreKind::Func, index)),
                CanonicalOption::PostReturn(index) => {
                    options.post_return = Some(frame.core(CoreKind::Func, index));
                }
                CanonicalOption::Async => options.is_async = true,
                CanonicalOption::Callback(index) => {
                    options.callback = Some(frame.core(CoreKind::Func, index));
                }
                // Without values there are none to pass as objects.
                CanonicalOption::CoreType(_) | CanonicalOption::Gc
                    if ty.is_some_and(|ty| ty.params.fields.is_empty() && ty.result.is_none()) => {}
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    let reason = "the canonical option `gc` (feature not supported: component-model-gc)";
                    return Err(self.invalid(reason));
                }
            }
        }
        Ok(options)
    }
}

/// Name, parameters and results of the functions that only asynchronous calls need.
fn missing(func: &CanonicalFunction) -> Option<(&'static str, &'static [Flat], &'static [Flat])> {
    const W: Flat = Flat::I32;
    Some(match func {
        CanonicalFunction::TaskCancel => ("task.cancel", &[], &[]),
        CanonicalFunction::ThreadYield => ("thread.yield", &[], &[W]),
        CanonicalFunction::ThreadIndex => ("thread.index", &[], &[W]),
        CanonicalFunction::SubtaskDrop => ("subtask.drop", &[W], &[]),
        CanonicalFunction::SubtaskCancel { .. } => ("subtask.cancel", &[W], &[W]),
        CanonicalFunction::StreamNew { .. } => ("stream.new", &[], &[Flat::I64]),
        CanonicalFunction::StreamRead { .. } => ("stream.read", &[W, W, W], &[W]),
        CanonicalFunction::StreamWrite { .. } => ("stream.write", &[W, W, W], &[W]),
        CanonicalFunction::StreamCancelRead { .. } => ("stream.cancel-read", &[W], &[W]),
        CanonicalFunction::StreamCancelWrite { .. } => ("stream.cancel-write", &[W], &[W]),
        CanonicalFunction::StreamDropReadable { .. } => ("stream.drop-readable", &[W], &[]),
        CanonicalFunction::StreamDropWritable { .. } => ("stream.drop-writable", &[W], &[]),
        CanonicalFunction::FutureNew { .. } => ("future.new", &[], &[Flat::I64]),
        CanonicalFunction::FutureRead { .. } => ("future.read", &[W, W], &[W]),
        CanonicalFunction::FutureWrite { .. } => ("future.write", &[W, W], &[W]),
        CanonicalFunction::FutureCancelRead { .. } => ("future.cancel-read", &[W], &[W]),
        CanonicalFunction::FutureCancelWrite { .. } => ("future.cancel-write", &[W], &[W]),
        CanonicalFunction::FutureDropReadable { .. } => ("future.drop-readable", &[W], &[]),
        CanonicalFunction::FutureDropWritable { .. } => ("future.drop-writable", &[W], &[]),
        CanonicalFunction::WaitableSetNew => ("waitable-set.new", &[], &[W]),
        CanonicalFunction::WaitableSetWait { .. } => ("waitable-set.wait", &[W, W], &[W]),
        CanonicalFunction::WaitableSetPoll { .. } => ("waitable-set.poll", &[W, W], &[W]),
        CanonicalFunction::WaitableSetDrop => ("waitable-set.drop", &[W], &[]),
        CanonicalFunction::WaitableJoin => ("waitable.join", &[W, W], &[]),
        CanonicalFunction::ThreadNewIndirect { .. } => ("thread.new-indirect", &[W, W], &[W]),
        CanonicalFunction::ThreadResumeLater => ("thread.resume-later", &[W], &[]),
        CanonicalFunction::ThreadSuspend => ("thread.suspend", &[], &[W]),
        CanonicalFunction::ThreadSuspendThenResume => ("thread.suspend-then-resume", &[W], &[W]),
        CanonicalFunction::ThreadSuspendThenPromote => ("thread.suspend-then-promote", &[W], &[W]),
        CanonicalFunction::ThreadYieldThenResume => ("thread.yield-then-resume", &[W], &[W]),
        CanonicalFunction::ThreadYieldThenPromote => ("thread.yield-then-promote", &[W], &[W]),
        _ => return None,
    })
}
