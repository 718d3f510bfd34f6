//! The smallest command that Wasmtime can be: loads the module named by its one
//! argument, compiles it, runs it in the world of the benchmark, and exits with
//! its code. Nothing is cached.

use std::path::PathBuf;

fn main() {
    let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: wasmtime-min FILE");
        std::process::exit(2);
    };
    match cellwall_bench::engines::wasmtime_command(&file) {
        Ok(code) => std::process::exit(code),
        Err(error) => {
            eprintln!("wasmtime-min: {error:#}");
            std::process::exit(1);
        }
    }
}
