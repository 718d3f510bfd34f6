//! `wasi:io`, `wasi:cli`, `wasi:clocks` and `wasi:random`.

use super::{State, is_closed, lend, trap, wait};
use cellwall_wasi::p2::bindings::wasi::cli::environment::Host as _;
use cellwall_wasi::p2::bindings::wasi::cli::exit::Host as _;
use cellwall_wasi::p2::bindings::wasi::cli::stdin::Host as _;
use cellwall_wasi::p2::bindings::wasi::cli::stdout::Host as _;
use cellwall_wasi::p2::bindings::wasi::cli::terminal_stdin::Host as _;
use cellwall_wasi::p2::bindings::wasi::clocks::monotonic_clock::Host as _;
use cellwall_wasi::p2::bindings::wasi::io::poll::{Host as _, HostPollable};
use cellwall_wasi::p2::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use cellwall_wasi::p2::bindings::wasi::random::insecure_seed::Host as _;
use cellwall_wasi::p2::bindings::wasi::random::random::Host as _;
use cellwall_wasi::{I32Exit, MemoryInputPipe, MemoryOutputPipe, WasiView};
use std::fs::File;
use std::io::Write;

#[test]
fn memory_pipes_end_and_fill() {
    let stdout = MemoryOutputPipe::new(8);
    let mut state = State::new(|builder| {
        builder
            .stdin(MemoryInputPipe::new("input"))
            .stdout(stdout.clone());
    });
    let from = state.ctx().get_stdin().unwrap();
    let to = state.ctx().get_stdout().unwrap();
    assert_eq!(state.ctx().splice(lend(&to), lend(&from), 3).unwrap(), 3);
    assert_eq!(
        wait(state.ctx().blocking_splice(lend(&to), lend(&from), u64::MAX)).unwrap(),
        2
    );
    assert!(is_closed(&wait(state.ctx().blocking_splice(
        lend(&to),
        lend(&from),
        9
    ))));
    assert!(is_closed(&HostInputStream::read(
        &mut state.ctx(),
        lend(&from),
        9
    )));
    assert_eq!(stdout.contents(), b"input");
    trap(HostOutputStream::write(
        &mut state.ctx(),
        lend(&to),
        vec![0; 1 << 20],
    ));
    let permitted = state.ctx().check_write(lend(&to)).unwrap();
    assert!(permitted >= 4);
    let full = HostOutputStream::write(&mut state.ctx(), lend(&to), b"four".to_vec());
    assert!(matches!(
        full,
        Err(cellwall_wasi::p2::StreamError::LastOperationFailed(_))
    ));
    assert!(is_closed(&wait(state.ctx().blocking_flush(lend(&to)))));
    assert_eq!(stdout.contents(), b"inputfou");
}

#[test]
fn a_pipe_is_ready_when_something_is_in_it() {
    let (read, write) = rustix::pipe::pipe().expect("there are descriptors");
    let mut state = State::new(|builder| {
        builder.stdin(File::from(read));
    });
    let from = state.ctx().get_stdin().unwrap();
    let ready = HostInputStream::subscribe(&mut state.ctx(), lend(&from)).unwrap();
    let soon = state.ctx().subscribe_duration(1).unwrap();
    let late = state.ctx().subscribe_duration(u64::MAX).unwrap();
    assert_eq!(
        HostInputStream::read(&mut state.ctx(), lend(&from), 9).unwrap(),
        b"",
        "it does not wait"
    );
    let list = || vec![lend(&late), lend(&ready), lend(&soon), lend(&soon)];
    wait(async {
        assert!(!state.ctx().ready(lend(&ready)).unwrap());
        assert_eq!(state.ctx().poll(list()).await.unwrap(), [2, 3]);
    });
    File::from(write.try_clone().unwrap())
        .write_all(b"hello")
        .unwrap();
    wait(async {
        assert_eq!(state.ctx().poll(list()).await.unwrap(), [1, 2, 3]);
        assert!(state.ctx().ready(lend(&ready)).unwrap());
        state.ctx().block(lend(&ready)).await.unwrap();
    });
    assert_eq!(wait(state.ctx().blocking_read(lend(&from), 2)).unwrap(), b"he");
    drop(write);
    assert_eq!(wait(state.ctx().blocking_read(lend(&from), 9)).unwrap(), b"llo");
    assert!(is_closed(&wait(state.ctx().blocking_read(lend(&from), 9))));
    HostPollable::drop(&mut state.ctx(), ready).unwrap();
    HostInputStream::drop(&mut state.ctx(), from).unwrap();
}

#[test]
fn a_full_pipe_permits_nothing_until_it_is_read() {
    let (read, write) = rustix::pipe::pipe().expect("there are descriptors");
    let mut state = State::new(|builder| {
        builder.stdin(File::from(read)).stdout(File::from(write));
    });
    let to = state.ctx().get_stdout().unwrap();
    let from = state.ctx().get_stdin().unwrap();
    let mut written = 0;
    loop {
        let permitted = state.ctx().check_write(lend(&to)).unwrap();
        if permitted == 0 {
            break;
        }
        HostOutputStream::write(&mut state.ctx(), lend(&to), vec![1; permitted as usize]).unwrap();
        written += permitted;
    }
    assert!(written >= 4096);
    let ready = HostOutputStream::subscribe(&mut state.ctx(), lend(&to)).unwrap();
    assert!(!wait(async { state.ctx().ready(lend(&ready)) }).unwrap());
    let bytes = wait(state.ctx().blocking_read(lend(&from), u64::MAX)).unwrap();
    assert!(!bytes.is_empty());
    wait(state.ctx().block(lend(&ready))).unwrap();
    assert!(state.ctx().check_write(to).unwrap() > 0);
}

#[test]
fn pollables_are_children_of_what_they_wait_for() {
    let mut state = State::new(|_| {});
    assert_eq!(
        wait(state.ctx().poll(Vec::new())).unwrap_err().to_string(),
        "empty poll list"
    );
    let from = state.ctx().get_stdin().unwrap();
    let ready = HostInputStream::subscribe(&mut state.ctx(), lend(&from)).unwrap();
    let error = HostInputStream::drop(&mut state.ctx(), lend(&from)).unwrap_err();
    assert_eq!(error.to_string(), "resource has children");
    HostPollable::drop(&mut state.ctx(), ready).unwrap();
    HostInputStream::drop(&mut state.ctx(), from).unwrap();
    // What a clock's pollable waits for goes with it.
    let before = state.table.len();
    let soon = state.ctx().subscribe_duration(0).unwrap();
    HostPollable::drop(&mut state.ctx(), soon).unwrap();
    assert_eq!(state.table.len(), before);
    state.table.set_max_capacity(before + 1);
    assert!(
        state.ctx().subscribe_duration(0).is_err(),
        "a clock's pollable is two resources"
    );
}

#[test]
fn clocks_go_on_and_waits_are_long_enough() {
    let mut state = State::new(|_| {});
    let begin = state.ctx().now().unwrap();
    let later = state.ctx().subscribe_instant(begin + 2_000_000).unwrap();
    wait(state.ctx().block(later)).unwrap();
    assert!(state.ctx().now().unwrap() >= begin + 2_000_000);
    let past = state.ctx().subscribe_instant(begin).unwrap();
    assert!(wait(async { state.ctx().ready(past) }).unwrap());
    assert!(state.ctx().resolution().unwrap() > 0);
}

#[test]
fn programs_see_what_they_were_given() {
    let mut state = State::new(|builder| {
        builder
            .args(&["prog", "a b"])
            .env("K", "old")
            .env("K", "v=w")
            .env("E", "");
    });
    assert_eq!(state.ctx().get_arguments().unwrap(), ["prog", "a b"]);
    let pairs = [("K", "v=w"), ("E", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(state.ctx().get_environment().unwrap(), pairs);
    assert_eq!(state.ctx().initial_cwd().unwrap(), None);
    assert!(state.ctx().get_terminal_stdin().unwrap().is_none());
    for (error, status) in [
        (state.ctx().exit(Ok(())), 0),
        (state.ctx().exit(Err(())), 1),
        (state.ctx().exit_with_code(42), 42),
    ] {
        assert_eq!(
            error.unwrap_err().downcast_ref::<I32Exit>(),
            Some(&I32Exit(status))
        );
    }
}

#[test]
fn randomness_has_the_size_asked_for_up_to_its_limit() {
    let mut state = State::new(|_| {});
    assert!(state.ctx().get_random_bytes(0).unwrap().is_empty());
    let bytes = state.ctx().get_random_bytes(100_000).unwrap();
    assert_eq!(bytes.len(), 100_000);
    assert!(bytes.iter().any(|byte| *byte != bytes[0]));
    assert!(state.ctx().get_random_bytes(u64::MAX).is_err());
    assert_ne!(
        state.ctx().get_random_u64().unwrap(),
        state.ctx().get_random_u64().unwrap()
    );
    assert_eq!(
        state.ctx().insecure_seed().unwrap(),
        state.ctx().insecure_seed().unwrap()
    );
}
