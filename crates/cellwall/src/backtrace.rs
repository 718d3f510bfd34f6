//! Where guest code was when it stopped.
//!
//! Requires the frames that the runtime walked. Guarantees nothing beyond them: names and source
//! lines come from the module and are decoration. Source lines are looked up when they are asked
//! for, and printed.

use crate::module::FrameSymbol;
use crate::{AsContext, Instance, Module, StoreContext};
use cellwall_runtime as runtime;
use std::fmt::{self, Write};
use std::sync::OnceLock;

/// The guest functions that were running when an error happened, the innermost first; found in an
/// [`Error`](crate::Error) by [`downcast_ref`](crate::Error::downcast_ref).
///
/// ```
/// use cellwall::{Engine, Instance, Module, Store, WasmBacktrace};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module $demo
///       (func $outer (export "outer") call $inner)
///       (func $inner unreachable))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let outer = instance.get_typed_func::<(), ()>(&mut store, "outer")?;
/// let error = outer.call(&mut store, ()).unwrap_err();
/// let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames();
/// let names: Vec<_> = frames.iter().filter_map(|frame| frame.func_name()).collect();
/// assert_eq!(names, ["inner", "outer"]);
/// # cellwall::Ok(())
/// ```
#[derive(Debug)]
pub struct WasmBacktrace {
    frames: Vec<FrameInfo>,
}

impl WasmBacktrace {
    pub(crate) fn new<T>(store: StoreContext<'_, T>, frames: &[runtime::Frame]) -> Self {
        let info = |frame: &runtime::Frame| FrameInfo {
            module: store.module_of(&frame.code).clone(),
            func: frame.func.as_u32(),
            offset: frame.wasm_offset,
            instance: frame.instance.map(|id| Instance { id }),
            symbols: OnceLock::new(),
        };
        Self {
            frames: frames.iter().map(info).collect(),
        }
    }

    /// The guest functions that are running now, below the host function that asks. Empty if
    /// [backtraces are off](crate::Config::wasm_backtrace).
    pub fn capture(store: impl AsContext) -> Self {
        let store = store.as_context();
        if store.engine().config().wasm_backtrace {
            Self::force_capture(store)
        } else {
            Self { frames: Vec::new() }
        }
    }

    /// Like [`capture`](Self::capture), even if backtraces are off.
    pub fn force_capture(store: impl AsContext) -> Self {
        let store = store.as_context();
        Self::new(store, &store.0.backtrace())
    }

    /// The functions, the innermost first.
    pub fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error while executing at wasm backtrace:")?;
        for (i, frame) in self.frames.iter().enumerate() {
            write!(f, "\n  {i:>3}: ")?;
            frame.write(f)?;
        }
        Ok(())
    }
}

/// One function of a [`WasmBacktrace`].
#[derive(Clone)]
pub struct FrameInfo {
    module: Module,
    func: u32,
    offset: Option<u32>,
    instance: Option<Instance>,
    symbols: OnceLock<Vec<FrameSymbol>>,
}

impl FrameInfo {
    /// The index of the function in its module.
    pub fn func_index(&self) -> u32 {
        self.func
    }

    /// The module of the function.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The instance of the function; `None` if it has several in the store and which it is was not kept:
    /// below a host function that was still running.
    pub fn instance(&self) -> Option<Instance> {
        self.instance
    }

    /// The name of the function, from the name section, as it is there (not demangled).
    pub fn func_name(&self) -> Option<&str> {
        self.module.func_name(self.func)
    }

    /// The place of the instruction, in bytes from the start of the module.
    pub fn module_offset(&self) -> Option<usize> {
        Some(self.offset? as usize)
    }

    /// The place of the instruction, in bytes from the start of the function's body.
    pub fn func_offset(&self) -> Option<usize> {
        let start = self.module.body_start(self.func)?;
        Some(self.offset?.checked_sub(start)? as usize)
    }

    /// The source of the instruction, the innermost inlined function first; empty if the module
    /// has no DWARF for it.
    pub fn symbols(&self) -> &[FrameSymbol] {
        self.symbols.get_or_init(|| match self.offset {
            Some(offset) => self.module.symbolicate(offset),
            None => Vec::new(),
        })
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{offset:#8x} - ")?;
        }
        let own_name = |f: &mut fmt::Formatter<'_>| match self.func_name() {
            Some(name) => demangled(f, name),
            None => write!(f, "<wasm function {}>", self.func),
        };
        if self.symbols().is_empty() {
            OneLine(f).write_str(self.module.name().unwrap_or("<unknown>"))?;
            f.write_char('!')?;
            return own_name(f);
        }
        for (i, symbol) in self.symbols().iter().enumerate() {
            if i > 0 {
                f.write_str("\n                - ")?;
            }
            match symbol.name() {
                Some(name) => demangled(f, name)?,
                None if i == 0 => own_name(f)?,
                None => f.write_str("<inlined function>")?,
            }
            if let Some(file) = symbol.file() {
                f.write_str("\n                    at ")?;
                OneLine(f).write_str(file)?;
                if let Some(line) = symbol.line() {
                    write!(f, ":{line}")?;
                    if let Some(column) = symbol.column() {
                        write!(f, ":{column}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FrameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameInfo")
            .field("func_index", &self.func)
            .field("func_name", &self.func_name())
            .field("module_offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Writes a name of Rust as its source has it, any other as it is.
fn demangled(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    match rustc_demangle::try_demangle(name) {
        Ok(name) => write!(OneLine(f), "{name:#}"),
        Err(_) => OneLine(f).write_str(name),
    }
}

/// Writes foreign text on one line: names in a module are any Unicode text, and a line end or what
/// steers a terminal could forge frames.
struct OneLine<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            // Control characters, line ends of Unicode, and what changes the direction of text.
            let steers = c.is_control()
                || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match steers {
                true => write!(self.0, "{}", c.escape_unicode())?,
                false => self.0.write_char(c)?,
            }
        }
        Ok(())
    }
}
