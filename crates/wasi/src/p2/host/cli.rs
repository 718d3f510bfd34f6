//! `wasi:cli`: what a program is started with, its standard streams, its end.

use crate::descriptor;
use crate::p2::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use crate::p2::stdio::{Input, Output};
use crate::p2::{DynInputStream, DynOutputStream, TerminalInput, TerminalOutput};
use crate::{I32Exit, OutputStream, WasiCtxView};
use cellwall::Result;
use cellwall::component::Resource;
use std::sync::Arc;

impl environment::Host for WasiCtxView<'_> {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        if self.ctx.env.is_empty() {
            descriptor::no_variables();
        }
        let pairs = self.ctx.env.iter().map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=');
            let at = at.expect("the builder puts it behind the name");
            (text(&variable[..at]), text(&variable[at + 1..]))
        });
        Ok(pairs.collect())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.ctx.args.iter().map(|arg| text(arg)).collect())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

/// Interfaces have text only: what is none is replaced, character by character.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl exit::Host for WasiCtxView<'_> {
    fn exit(&mut self, status: std::result::Result<(), ()>) -> Result<()> {
        Err(I32Exit(if status.is_ok() { 0 } else { 1 }).into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> Result<()> {
        Err(I32Exit(status_code.into()).into())
    }
}

impl stdin::Host for WasiCtxView<'_> {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Input::new(self.ctx.stdin.clone()));
        Ok(self.table.push(stream)?)
    }
}

impl stdout::Host for WasiCtxView<'_> {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output::new(self.ctx.stdout.clone()));
        Ok(self.table.push(stream)?)
    }
}

impl stderr::Host for WasiCtxView<'_> {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(Output::new(self.ctx.stderr.clone()));
        Ok(self.table.push(stream)?)
    }
}

impl terminal_input::Host for WasiCtxView<'_> {}

impl terminal_input::HostTerminalInput for WasiCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for WasiCtxView<'_> {}

impl terminal_output::HostTerminalOutput for WasiCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for WasiCtxView<'_> {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        match self.ctx.stdin.is_terminal() {
            true => Ok(Some(self.table.push(TerminalInput)?)),
            false => Ok(None),
        }
    }
}

impl terminal_stdout::Host for WasiCtxView<'_> {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        terminal_of(self.ctx.stdout.clone(), self)
    }
}

impl terminal_stderr::Host for WasiCtxView<'_> {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        terminal_of(self.ctx.stderr.clone(), self)
    }
}

fn terminal_of(
    stream: Arc<dyn OutputStream>,
    view: &mut WasiCtxView<'_>,
) -> Result<Option<Resource<TerminalOutput>>> {
    match stream.is_terminal() {
        true => Ok(Some(view.table.push(TerminalOutput)?)),
        false => Ok(None),
    }
}
