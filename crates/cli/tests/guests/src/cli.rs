//! `wasi:cli`: arguments, environment, standard streams, terminals, `exit`.

use crate::show::{bytes, told};
use std::io::{Read, Write};
use wasip2::cli::{environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout};

pub fn run(rest: &[&str]) {
    match rest {
        ["show", ..] => show(),
        ["exit", status] => exit::exit_with_code(status.parse().expect("a number")),
        ["exit-result", "ok"] => exit::exit(Ok(())),
        ["exit-result", _] => exit::exit(Err(())),
        ["std-exit", status] => std::process::exit(status.parse().expect("a number")),
        ["panic"] => panic!("as asked"),
        ["abort"] => std::process::abort(),
        ["stdin"] => input(),
        ["stdin-std"] => input_std(),
        ["stdin-poll"] => input_poll(),
        ["stdin-drop"] => {
            drop(stdin::get_stdin());
            let second = stdin::get_stdin();
            println!("{}", bytes(second.blocking_read(5)));
        }
        ["big-output", megabytes] => big_output(megabytes.parse().expect("a number")),
        ["stdout-closed"] => stdout_closed(),
        ["deep"] => println!("{}", deep(1_000_000)),
        _ => panic!("no such part of cli: {rest:?}"),
    }
}

fn show() {
    println!("{:?}", environment::get_arguments());
    println!("{:?}", std::env::args().collect::<Vec<_>>());
    let mut all = environment::get_environment();
    all.sort();
    println!("{all:?}");
    println!("{:?}", environment::initial_cwd());
    println!("{} {} {}", terminal_stdin::get_terminal_stdin().is_some(), terminal_stdout::get_terminal_stdout().is_some(), terminal_stderr::get_terminal_stderr().is_some());
    eprintln!("to standard error");
    stderr::get_stderr().blocking_write_and_flush(b"and past std\n").expect("it can be written");
    let out = stdout::get_stdout();
    out.blocking_write_and_flush(b"past std\n").expect("it can be written");
}

fn input() {
    let s = stdin::get_stdin();
    println!("read 0 {}", bytes(s.read(0)));
    let mut sum = 0usize;
    let mut hash = 0u64;
    loop {
        match s.blocking_read(1 << 20) {
            Ok(part) => {
                sum += part.len();
                hash = part.iter().fold(hash, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(*b)));
            }
            other => {
                println!("{sum} {hash} {}", bytes(other));
                break;
            }
        }
    }
    println!("again {} {} {}", bytes(s.blocking_read(10)), bytes(s.read(10)), told(s.skip(1)));
    println!("ready {}", s.subscribe().ready());
}

fn input_std() {
    let mut all = Vec::new();
    println!("{:?}", std::io::stdin().read_to_end(&mut all).is_ok());
    println!("{}", all.len());
    println!("{:?}", std::io::stdin().read(&mut [0; 10]).ok());
}

fn input_poll() {
    let s = stdin::get_stdin();
    let mut line = Vec::new();
    loop {
        s.subscribe().block();
        match s.read(3) {
            Ok(part) => line.extend(part),
            Err(_) => break,
        }
    }
    println!("{:?}", String::from_utf8_lossy(&line));
}

fn big_output(megabytes: usize) {
    let line = [b'x'; 1 << 16];
    let mut out = std::io::stdout().lock();
    for _ in 0..megabytes * 16 {
        out.write_all(&line).expect("it can be written");
    }
}

fn stdout_closed() {
    let out = stdout::get_stdout();
    let mut count = 0;
    let end = loop {
        match out.blocking_write_and_flush(&[b'x'; 4096]) {
            Ok(()) if count < 1000 => count += 1,
            other => break told(other),
        }
    };
    eprintln!("{end}, then {}", told(out.blocking_write_and_flush(b"x")));
}

fn deep(n: u32) -> u32 {
    if n == 0 { 0 } else { std::hint::black_box(deep(n - 1)) + 1 }
}
