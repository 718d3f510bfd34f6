//! Traps and their frames.

use crate::env::Env;
use crate::refs::{Object, wasm_instance_t, wasm_ref_t, wasm_trap_t};
use crate::store::{StoreCell, wasm_store_t};
use crate::vec::{Vector, put, vector, wasm_byte_vec_t};
use crate::{c_api, get, give, take};
use cellwall_rs::{self as rt, Error, WasmBacktrace};
use std::ffi::c_void;
use std::fmt;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A trap: what guest code ended with, or what a host function ends it with.
#[derive(Debug)]
pub(crate) struct TrapObject {
    /// With a zero at the end.
    message: Vec<u8>,
    pub(crate) code: Option<rt::Trap>,
    pub(crate) exit_status: Option<i32>,
    frames: OnceLock<Vec<Frame>>,
    info: Mutex<Option<Env>>,
}

#[derive(Clone, Debug)]
struct Frame {
    instance: Option<rt::Instance>,
    func_index: u32,
    func_offset: usize,
    module_offset: usize,
    func_name: Option<String>,
    module_name: Option<String>,
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
            info: Mutex::new(None),
        }
    }

    fn info_slot(&self) -> MutexGuard<'_, Option<Env>> {
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn info(&self) -> *mut c_void {
        self.info_slot()
            .as_ref()
            .map_or(ptr::null_mut(), |info| info.data)
    }

    pub(crate) fn set_info(&self, info: Env) {
        // Dropped after the lock: the finalizer may come back.
        let old = self.info_slot().replace(info);
        drop(old);
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
pub(crate) fn to_error(trap: wasm_trap_t) -> Error {
    match trap.object {
        Object::Trap(trap) => Error::new(Passing(trap)),
        _ => Error::msg("a host function ended with something that is no trap"),
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
            let exit = error.downcast_ref::<cellwall_wasi::I32Exit>();
            let text = match code {
                Some(code) => code.to_string(),
                None => causes(error),
            };
            Arc::new(TrapObject {
                code,
                exit_status: exit.map(|exit| exit.0),
                ..TrapObject::new(text.as_bytes())
            })
        }
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        object
            .frames
            .get_or_init(|| backtrace.frames().iter().map(frame).collect());
    }
    wasm_ref_t::new(store, Object::Trap(object))
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

fn frame(frame: &rt::FrameInfo) -> Frame {
    Frame {
        instance: frame.instance(),
        func_index: frame.func_index(),
        func_offset: frame.func_offset().unwrap_or(0),
        module_offset: frame.module_offset().unwrap_or(0),
        func_name: frame.func_name().map(str::to_owned),
        module_name: frame.module().name().map(str::to_owned),
    }
}

/// A frame of a trap.
#[derive(Clone)]
pub struct wasm_frame_t {
    frame: Frame,
    instance: Option<Box<wasm_instance_t>>,
    /// Views of the names, which the frame owns.
    func_name: Option<View>,
    module_name: Option<View>,
}

/// A name that C may look at as long as the frame is there.
struct View(Box<wasm_byte_vec_t>);

impl View {
    fn new(name: &str) -> Self {
        Self(Box::new(Vector::from_text(name)))
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
    let frames: Vec<Frame> = backtrace.frames().iter().map(frame).collect();
    given(store, &frames)
}

fn given(store: &Arc<StoreCell>, frames: &[Frame]) -> Vec<wasm_frame_t> {
    let with_instance = |frame: &Frame| {
        let instance = frame
            .instance
            .map(|it| wasm_ref_t::new(store, Object::Instance(it)));
        wasm_frame_t {
            func_name: frame.func_name.as_deref().map(View::new),
            module_name: frame.module_name.as_deref().map(View::new),
            frame: frame.clone(),
            instance: instance.map(Box::new),
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
        unsafe { get(frame) }?.frame.func_index
    }
    /// Where it is, in bytes from the start of the function's body.
    fn wasm_frame_func_offset(frame: *const wasm_frame_t) -> usize {
        unsafe { get(frame) }?.frame.func_offset
    }
    /// Where it is, in bytes from the start of the module.
    fn wasm_frame_module_offset(frame: *const wasm_frame_t) -> usize {
        unsafe { get(frame) }?.frame.module_offset
    }
    /// See `trap.api`.
    fn cellwall_frame_func_name(frame: *const wasm_frame_t) -> *const wasm_byte_vec_t {
        &raw const *unsafe { get(frame) }?.func_name.as_ref()?.0
    }
    /// See `trap.api`.
    fn cellwall_frame_module_name(frame: *const wasm_frame_t) -> *const wasm_byte_vec_t {
        &raw const *unsafe { get(frame) }?.module_name.as_ref()?.0
    }
}
