//! Traps and their frames.

use crate::env::Info;
use crate::refs::{Object, wasm_instance_t, wasm_ref_t, wasm_trap_t};
use crate::store::{StoreCell, wasm_store_t};
use crate::vec::{Vector, clear, put, vector, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::{
    self as rt, Error, ExnRef, FrameInfo, FrameSymbol, Rooted, ThrownException, WasmBacktrace,
};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Arc, OnceLock};

/// A trap: what guest code ended with, or what a host function ends it with.
#[derive(Debug)]
pub(crate) struct TrapObject {
    /// With a zero at the end.
    message: Vec<u8>,
    pub(crate) code: Option<rt::Trap>,
    pub(crate) exit_status: Option<i32>,
    frames: OnceLock<Vec<FrameInfo>>,
    pub(crate) info: Info,
    /// The exception that nobody in the guest caught, or that the host throws.
    pub(crate) exception: Option<Rooted<ExnRef>>,
}

impl TrapObject {
    fn new(text: &[u8]) -> Self {
        let mut message = text.to_vec();
        if message.last() != Some(&0) {
            message.push(0);
        }
        Self {
            message,
            code: None,
            exit_status: None,
            frames: OnceLock::new(),
            info: Info::default(),
            exception: None,
        }
    }

    /// One that throws an exception in the guest whose host function ends with it.
    pub(crate) fn throwing(exception: Rooted<ExnRef>) -> Self {
        Self {
            exception: Some(exception),
            ..Self::new(ThrownException.to_string().as_bytes())
        }
    }
}

/// A trap of C on its way through guest code, as an error of the Rust API.
struct Passing(Arc<TrapObject>);

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.message.strip_suffix(&[0]).unwrap_or(&self.0.message);
        f.write_str(&String::from_utf8_lossy(text))
    }
}

impl std::error::Error for Passing {}

/// The error that a host function ends with.
pub(crate) fn to_error(cell: &Arc<StoreCell>, trap: wasm_trap_t) -> Error {
    let Object::Trap(object) = trap.object else {
        return Error::msg("a host function ended with something that is no trap");
    };
    match object.exception {
        None => Error::new(Passing(object)),
        Some(_) if !Arc::ptr_eq(&trap.store, cell) => {
            Error::msg("a host function threw an exception of another store")
        }
        Some(exception) => cell.with(|mut context| match context.throw::<()>(exception) {
            Ok(()) => Error::msg("to throw is to fail"),
            Err(thrown) => Error::new(thrown),
        }),
    }
}

/// Whether an error is a trap of C on its way.
pub(crate) fn is_passing(error: &Error) -> bool {
    error.is::<Passing>()
}

/// The trap that an error is for C.
pub(crate) fn from_error(store: &Arc<StoreCell>, error: &Error) -> wasm_trap_t {
    let object = match error.downcast_ref::<Passing>() {
        Some(passing) => passing.0.clone(),
        None => {
            let code = error.downcast_ref::<rt::Trap>().copied();
            let thrown = error.is::<ThrownException>();
            let exit = error.downcast_ref::<cellwall_wasi::I32Exit>();
            let text = match code {
                Some(code) => code.to_string(),
                None => causes(error),
            };
            Arc::new(TrapObject {
                code,
                exit_status: exit.map(|exit| exit.0),
                exception: if thrown { pending(store) } else { None },
                ..TrapObject::new(text.as_bytes())
            })
        }
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        object.frames.get_or_init(|| backtrace.frames().to_vec());
    }
    wasm_ref_t::new(store, Object::Trap(object))
}

/// The exception that the last call ended with.
fn pending(store: &Arc<StoreCell>) -> Option<Rooted<ExnRef>> {
    // A store that another thread uses by now must not make the trap a success.
    let take = || store.with(|mut context| context.take_pending_exception());
    catch_unwind(AssertUnwindSafe(take)).ok().flatten()
}

/// All causes of an error on one line, the outermost first; without the backtrace, which C reads
/// frame by frame.
pub(crate) fn causes(error: &Error) -> String {
    let texts = error.chain().map(ToString::to_string);
    let texts: Vec<String> = texts
        .filter(|text| !text.starts_with("error while executing at"))
        .collect();
    texts.join(": ")
}

/// A frame of a trap.
#[derive(Clone)]
pub struct wasm_frame_t {
    frame: FrameInfo,
    instance: Option<Box<wasm_instance_t>>,
    /// Views of the names, which the frame owns.
    func_name: Option<View>,
    module_name: Option<View>,
    /// From the first question on.
    sources: OnceLock<Vec<Source>>,
}

/// A place in the source.
#[derive(Clone)]
struct Source {
    func: Option<View>,
    file: Option<View>,
    line: u32,
    column: u32,
}

impl Source {
    fn new(symbol: &FrameSymbol) -> Self {
        Self {
            func: symbol.name().map(View::new),
            file: symbol.file().map(View::new),
            line: symbol.line().unwrap_or(0),
            column: symbol.column().unwrap_or(0),
        }
    }
}

/// `cellwall_source_t`.
#[repr(C)]
pub struct cellwall_source_t {
    func: *const wasm_byte_vec_t,
    file: *const wasm_byte_vec_t,
    line: u32,
    column: u32,
}

/// A name that C may look at as long as the frame is there.
struct View(Box<wasm_byte_vec_t>);

impl View {
    fn new(name: &str) -> Self {
        Self(Box::new(Vector::from_text(name)))
    }

    /// The vector; null without one.
    fn pointer(view: Option<&Self>) -> *const wasm_byte_vec_t {
        view.map_or(ptr::null(), |view| &raw const *view.0)
    }
}

impl Clone for View {
    fn clone(&self) -> Self {
        // SAFETY: the vector was made here and is whole.
        Self(Box::new(unsafe { self.0.copied() }))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the vector was made here and belongs to the view.
        unsafe { self.0.delete() };
    }
}

vector!(wasm_frame_vec_t of *mut wasm_frame_t: wasm_frame_vec_new_empty wasm_frame_vec_new_uninitialized
    wasm_frame_vec_new wasm_frame_vec_copy wasm_frame_vec_delete);

fn frames(trap: &wasm_trap_t) -> Vec<wasm_frame_t> {
    let Object::Trap(object) = &trap.object else {
        return Vec::new();
    };
    let frames = object.frames.get().map_or(&[][..], |frames| frames);
    given(&trap.store, frames)
}

/// The frames of an error, for C.
pub(crate) fn frames_of(store: &Arc<StoreCell>, error: &Error) -> Vec<wasm_frame_t> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    given(store, backtrace.frames())
}

fn given(store: &Arc<StoreCell>, frames: &[FrameInfo]) -> Vec<wasm_frame_t> {
    let with_instance = |frame: &FrameInfo| {
        let instance = frame
            .instance()
            .map(|it| wasm_ref_t::new(store, Object::Instance(it)));
        wasm_frame_t {
            func_name: frame.func_name().map(View::new),
            module_name: frame.module().name().map(View::new),
            frame: frame.clone(),
            instance: instance.map(Box::new),
            sources: OnceLock::new(),
        }
    };
    frames.iter().map(with_instance).collect()
}

c_api! {
    /// A trap with this message, for a host function to end with.
    fn wasm_trap_new(store: *mut wasm_store_t, message: *const wasm_byte_vec_t) -> *mut wasm_trap_t {
        let cell = &unsafe { get(store) }?.cell;
        let message = match unsafe { get(message) } {
            Some(message) => unsafe { message.as_slice() },
            None => &[],
        };
        give(wasm_ref_t::new(cell, Object::Trap(Arc::new(TrapObject::new(message)))))
    }
    /// Its message, with a zero at the end.
    fn wasm_trap_message(trap: *const wasm_trap_t, out: *mut wasm_byte_vec_t) {
        unsafe { clear(out) };
        let Object::Trap(object) = &unsafe { get(trap) }?.object else {
            return None;
        };
        unsafe { put(out, Vector::from_vec(object.message.clone())) }?;
    }
    /// The frame in which it happened; null if not in guest code.
    fn wasm_trap_origin(trap: *const wasm_trap_t) -> *mut wasm_frame_t {
        give(frames(unsafe { get(trap) }?).into_iter().next()?)
    }
    /// All guest frames, the innermost first.
    fn wasm_trap_trace(trap: *const wasm_trap_t, out: *mut wasm_frame_vec_t) {
        unsafe { clear(out) };
        let frames = frames(unsafe { get(trap) }?);
        unsafe { put(out, Vector::from_vec(frames.into_iter().map(give).collect())) }?;
    }
    /// A copy.
    fn wasm_frame_copy(frame: *const wasm_frame_t) -> *mut wasm_frame_t {
        give(unsafe { get(frame) }?.clone())
    }
    /// Deletes it.
    fn wasm_frame_delete(frame: *mut wasm_frame_t) {
        drop(unsafe { take(frame) });
    }
    /// The instance whose function it is; null if that is not known. Belongs to the frame.
    fn wasm_frame_instance(frame: *const wasm_frame_t) -> *mut wasm_instance_t {
        let instance = unsafe { get(frame) }?.instance.as_deref()?;
        ptr::from_ref(instance).cast_mut()
    }
    /// The index of its function.
    fn wasm_frame_func_index(frame: *const wasm_frame_t) -> u32 {
        unsafe { get(frame) }?.frame.func_index()
    }
    /// Where it is, in bytes from the start of the function's body.
    fn wasm_frame_func_offset(frame: *const wasm_frame_t) -> usize {
        unsafe { get(frame) }?.frame.func_offset().unwrap_or(0)
    }
    /// Where it is, in bytes from the start of the module.
    fn wasm_frame_module_offset(frame: *const wasm_frame_t) -> usize {
        unsafe { get(frame) }?.frame.module_offset().unwrap_or(0)
    }
    /// See `trap.api`.
    fn cellwall_frame_func_name(frame: *const wasm_frame_t) -> *const wasm_byte_vec_t {
        View::pointer(unsafe { get(frame) }?.func_name.as_ref())
    }
    /// See `trap.api`.
    fn cellwall_frame_module_name(frame: *const wasm_frame_t) -> *const wasm_byte_vec_t {
        View::pointer(unsafe { get(frame) }?.module_name.as_ref())
    }
    /// See `trap.api`.
    fn cellwall_frame_source(frame: *const wasm_frame_t, depth: usize, out: *mut cellwall_source_t) -> bool {
        let it = unsafe { get(frame) }?;
        let sources = it.sources.get_or_init(|| it.frame.symbols().iter().map(Source::new).collect());
        let source = sources.get(depth)?;
        let (func, file) = (View::pointer(source.func.as_ref()), View::pointer(source.file.as_ref()));
        unsafe { put(out, cellwall_source_t { func, file, line: source.line, column: source.column }) }?;
        true
    }
}
