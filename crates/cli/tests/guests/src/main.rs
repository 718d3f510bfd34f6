//! Calls the functions of WASI 0.2 and prints what they answer, a line for each call.
//!
//! The first argument says which part; further ones belong to it. Numbers that differ from run to
//! run (inodes, times, ports) are never printed, only what must hold for them.

mod acts;
mod cli;
mod clocks;
mod files;
mod http;
mod matrix;
mod show;
mod streams;
mod tcp;
mod traps;
mod udp;

fn main() {
    let arguments = wasip2::cli::environment::get_arguments();
    let rest: Vec<&str> = arguments.iter().skip(2).map(String::as_str).collect();
    match arguments.get(1).map(String::as_str) {
        Some("acts") => acts::run(&rest),
        Some("cli") => cli::run(&rest),
        Some("clocks") => clocks::run(),
        Some("files") => files::run(),
        Some("http") => http::run(&rest),
        Some("matrix") => matrix::run(),
        Some("streams") => streams::run(),
        Some("tcp") => tcp::run(&rest),
        Some("udp") => udp::run(),
        Some("trap") => traps::run(&rest),
        other => panic!("no part {other:?}"),
    }
}
