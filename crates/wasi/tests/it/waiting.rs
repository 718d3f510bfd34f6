//! Calls that wait: `poll_oneoff`, reads of empty pipes, and what ends them.

use crate::harness::{BUF, OUT, RIGHT_READ, RW, World, errno};
use cellwall::Trap;
use std::io::Write;
use std::time::{Duration, Instant};

const MONOTONIC: u32 = 1;
const REALTIME: u32 = 0;
const MILLISECOND: u64 = 1_000_000;

fn clock(userdata: u64, id: u32, timeout: u64, flags: u16) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[40..42].copy_from_slice(&flags.to_le_bytes());
    record
}

fn transfer(userdata: u64, kind: u8, fd: i64) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = kind;
    record[16..20].copy_from_slice(&(fd as u32).to_le_bytes());
    record
}

/// The events: userdata, errno, kind, bytes, flags.
fn poll(w: &mut World, subscriptions: &[[u8; 48]]) -> Vec<(u64, u16, u8, u64, u16)> {
    let [at, _] = w.guest.pass(subscriptions.concat());
    w.guest
        .ok("poll_oneoff", &[at, BUF, subscriptions.len() as i64, OUT]);
    (0..i64::from(w.guest.u32(OUT)))
        .map(|index| {
            let at = BUF + 32 * index;
            let half = |at| u16::from_le_bytes(w.guest.get(at, 2).try_into().expect("two bytes"));
            let kind = w.guest.get(at + 10, 1)[0];
            (
                w.guest.u64(at),
                half(at + 8),
                kind,
                w.guest.u64(at + 16),
                half(at + 24),
            )
        })
        .collect()
}

fn pipe() -> (std::fs::File, std::fs::File) {
    let (reader, writer) = rustix::pipe::pipe().expect("the host has descriptors");
    (reader.into(), writer.into())
}

#[test]
fn the_first_clock_ends_the_wait() {
    let mut w = World::new();
    let started = Instant::now();
    let events = poll(
        &mut w,
        &[
            clock(1, MONOTONIC, 10_000 * MILLISECOND, 0),
            clock(2, MONOTONIC, 10 * MILLISECOND, 0),
        ],
    );
    assert_eq!(events, [(2, 0, 0, 0, 0)]);
    assert!((10..5_000).contains(&started.elapsed().as_millis()));
}

#[test]
fn an_absolute_time_that_is_past_comes_at_once() {
    let mut w = World::new();
    assert_eq!(poll(&mut w, &[clock(1, REALTIME, 1, 1)]), [(1, 0, 0, 0, 0)]);
    w.guest.ok("clock_time_get", &[i64::from(MONOTONIC), 0, OUT]);
    let soon = w.guest.u64(OUT) + 5 * MILLISECOND;
    let started = Instant::now();
    assert_eq!(poll(&mut w, &[clock(1, MONOTONIC, soon, 1)]), [(1, 0, 0, 0, 0)]);
    assert!(started.elapsed().as_secs() < 5);
    w.guest.ok("clock_time_get", &[i64::from(MONOTONIC), 0, OUT]);
    assert!(w.guest.u64(OUT) >= soon);
}

#[test]
fn what_cannot_come_true_is_an_event() {
    let mut w = World::new();
    let inval = errno::INVAL as u16;
    let badf = errno::BADF as u16;
    let subscriptions = [
        clock(1, 2, 0, 0),
        clock(2, MONOTONIC, 0, 2),
        transfer(3, 1, 99),
        transfer(4, 1, RW),
        transfer(5, 2, 0),
        clock(6, MONOTONIC, 60_000 * MILLISECOND, 0),
    ];
    let events = poll(&mut w, &subscriptions);
    let expected = [
        (1, inval, 0, 0, 0),
        (2, inval, 0, 0, 0),
        (3, badf, 1, 0, 0),
        (4, badf, 1, 0, 0),
        (5, badf, 2, 0, 0),
    ];
    assert_eq!(events, expected);
    let [at, _] = w.guest.pass(transfer(1, 3, 0));
    w.guest.no("poll_oneoff", &[at, BUF, 1, OUT], errno::INVAL);
    w.guest.no("poll_oneoff", &[0, BUF, 4097, OUT], errno::INVAL);
}

#[test]
fn files_and_memory_are_always_ready() {
    let mut w = World::new();
    let fd = w.guest.open(RW, "file", 0, RIGHT_READ).expect("it is there");
    w.guest.read(fd, 3).expect("readable");
    let events = poll(
        &mut w,
        &[transfer(1, 1, fd), transfer(2, 1, 0), transfer(3, 2, 1)],
    );
    assert_eq!(events, [(1, 0, 1, 8, 0), (2, 0, 1, 1, 0), (3, 0, 2, 1, 0)]);
}

#[test]
fn a_pipe_is_ready_when_there_is_something_or_its_end() {
    let (guest_in, mut host_out) = pipe();
    let mut w = World::with(|builder| {
        builder.stdin(guest_in);
    });
    let timeout = clock(9, MONOTONIC, 20 * MILLISECOND, 0);
    assert_eq!(poll(&mut w, &[transfer(1, 1, 0), timeout]), [(9, 0, 0, 0, 0)]);
    host_out.write_all(b"abc").expect("there is room");
    assert_eq!(poll(&mut w, &[transfer(1, 1, 0), timeout]), [(1, 0, 1, 3, 0)]);
    drop(host_out);
    assert_eq!(w.guest.read(0, 3), Ok(b"abc".to_vec()));
    assert_eq!(
        poll(&mut w, &[transfer(1, 1, 0), timeout]),
        [(1, 0, 1, 0, 1)],
        "hung up"
    );
}

#[test]
fn a_host_that_forbids_waits_gets_none() {
    let (guest_in, mut host_out) = pipe();
    let mut w = World::with(|builder| {
        builder.stdin(guest_in).allow_blocking(false);
    });
    assert_eq!(w.guest.read(0, 1), Err(errno::AGAIN));
    let [at, _] = w.guest.pass(clock(1, MONOTONIC, 60_000 * MILLISECOND, 0));
    w.guest.no("poll_oneoff", &[at, BUF, 1, OUT], errno::AGAIN);
    host_out.write_all(b"x").expect("there is room");
    assert_eq!(w.guest.read(0, 1), Ok(b"x".to_vec()));
}

/// Cancels after a moment and expects that the call which is waiting then ends the guest.
fn cancelled(name: &str, prepare: impl FnOnce(&mut World) -> Vec<i64>) {
    let ((guest_in, _host_out), (_host_in, guest_out)) = (pipe(), pipe());
    let mut canceller = None;
    let mut w = World::with_ctx(
        |builder| {
            builder.stdin(guest_in).stdout(guest_out);
        },
        |ctx| canceller = Some(ctx.canceller().expect("the host has descriptors")),
    );
    let canceller = canceller.expect("it was just set");
    let args = prepare(&mut w);
    let other = std::thread::spawn({
        let canceller = canceller.clone();
        move || {
            std::thread::sleep(Duration::from_millis(30));
            canceller.cancel();
        }
    });
    let started = Instant::now();
    let error = w.guest.call(name, &args).expect_err("somebody cancelled");
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt), "{name}");
    assert!(started.elapsed() < Duration::from_secs(10), "{name} went on");
    other.join().expect("it cancelled");
    assert!(w.guest.call(name, &args).is_err(), "later waits end too");
    w.guest.ok("fd_fdstat_get", &[0, BUF]);
}

#[test]
fn a_canceller_ends_every_kind_of_wait() {
    cancelled("poll_oneoff", |w| {
        let [at, _] = w.guest.pass(clock(1, MONOTONIC, u64::MAX, 0));
        vec![at, BUF, 1, OUT]
    });
    cancelled("fd_read", |w| {
        let [iovs, count] = w.guest.pass_buffers(&[[BUF, 10]]);
        vec![0, iovs, count, OUT]
    });
    cancelled("fd_write", |w| {
        let big = [0, 60_000];
        let [iovs, count] = w.guest.pass_buffers(&[big; 16]);
        vec![1, iovs, count, OUT]
    });
}

#[test]
fn a_cancellable_output_still_takes_everything() {
    let (mut host_in, guest_out) = pipe();
    let mut w = World::with_ctx(
        |builder| {
            builder.stdout(guest_out);
        },
        |ctx| drop(ctx.canceller().expect("the host has descriptors")),
    );
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut host_in, &mut all).expect("a pipe can be read");
        all.len()
    });
    let [iovs, count] = w.guest.pass_buffers(&[[0, 60_000]; 16]);
    w.guest.ok("fd_write", &[1, iovs, count, OUT]);
    assert_eq!(w.guest.u32(OUT), 960_000);
    drop(w);
    assert_eq!(reader.join().expect("it read"), 960_000);
}
