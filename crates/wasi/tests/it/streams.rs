//! Standard streams, and pipes in directories.

use crate::harness::{BUF, OUT, RIGHT_READ, RIGHT_WRITE, RW, World, errno};
use cellwall_wasi::{
    InputStream, MemoryInputPipe, MemoryOutputPipe, NullOutput, OutputStream, WasiCtxBuilder,
};
use std::io::{IoSlice, Read, Write};

fn pipe() -> (std::fs::File, std::fs::File) {
    let (reader, writer) = rustix::pipe::pipe().expect("the host has descriptors");
    (reader.into(), writer.into())
}

#[test]
fn a_memory_pipe_keeps_no_more_than_its_capacity() {
    let small = MemoryOutputPipe::new(5);
    let mut w = World::with(|builder| {
        builder.stdout(small.clone());
    });
    assert_eq!(w.guest.write(1, b"abc"), Ok(3));
    assert_eq!(w.guest.write(1, b"defg"), Ok(2), "as much as fits");
    assert_eq!(w.guest.write(1, b"h"), Err(errno::NOSPC));
    assert_eq!(small.contents(), b"abcde");
}

#[test]
fn an_input_comes_in_parts_and_ends() {
    let mut w = World::with(|builder| {
        builder.stdin(MemoryInputPipe::new("abcdef"));
    });
    assert_eq!(w.guest.read(0, 4), Ok(b"abcd".to_vec()));
    assert_eq!(w.guest.read(0, 4), Ok(b"ef".to_vec()));
    assert_eq!(w.guest.read(0, 4), Ok(Vec::new()));
}

#[test]
fn pipes_of_the_host_can_be_connected() {
    let ((guest_in, mut host_out), (mut host_in, guest_out)) = (pipe(), pipe());
    let mut w = World::with(|builder| {
        builder.stdin(guest_in).stdout(guest_out);
    });
    host_out.write_all(b"ping").expect("there is room");
    assert_eq!(w.guest.read(0, 100), Ok(b"ping".to_vec()));
    assert_eq!(w.guest.write(1, b"pong"), Ok(4));
    let mut answer = [0; 4];
    host_in.read_exact(&mut answer).expect("the guest wrote it");
    assert_eq!(&answer, b"pong");
    drop(host_out);
    assert_eq!(w.guest.read(0, 100), Ok(Vec::new()), "the end");
}

#[test]
fn a_closed_reader_is_an_error_and_no_signal() {
    let (host_in, guest_out) = pipe();
    drop(host_in);
    let mut w = World::with(|builder| {
        builder.stdout(guest_out);
    });
    assert_eq!(w.guest.write(1, b"x"), Err(64), "pipe");
}

#[test]
fn a_nonblocking_input_answers_again() {
    let (guest_in, mut host_out) = pipe();
    let mut w = World::with(|builder| {
        builder.stdin(guest_in);
    });
    w.guest.ok("fd_fdstat_set_flags", &[0, 4]);
    assert_eq!(w.guest.read(0, 1), Err(errno::AGAIN));
    host_out.write_all(b"x").expect("there is room");
    assert_eq!(w.guest.read(0, 1), Ok(b"x".to_vec()));
    w.guest.no("fd_fdstat_set_flags", &[0, 1], errno::INVAL);
}

#[test]
fn a_stream_is_no_terminal_and_has_no_size() {
    let mut w = World::new();
    w.guest.ok("fd_fdstat_get", &[1, BUF]);
    assert_eq!(w.guest.get(BUF, 1), [0], "of unknown type");
    w.guest.ok("fd_filestat_get", &[1, BUF]);
    assert_eq!(w.guest.get(BUF, 64), [0; 64]);
}

#[test]
fn a_named_pipe_neither_hangs_the_open_nor_loses_the_wait() {
    let mut w = World::new();
    let path = w.host.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .expect("it is ours");
    assert_eq!(
        w.guest.open(RW, "fifo", 0, RIGHT_WRITE),
        Err(60),
        "nobody reads: nxio, not a hang"
    );
    let fd = w
        .guest
        .open(RW, "fifo", 0, RIGHT_READ)
        .expect("no writer is needed to open");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(path, "late").expect("the guest reads");
    });
    assert_eq!(
        w.guest.read(fd, 10),
        Ok(b"late".to_vec()),
        "it waited for the writer"
    );
    writer.join().expect("it wrote");
    assert_eq!(w.guest.read(fd, 10), Ok(Vec::new()), "the writer is gone");
    w.guest.no("fd_seek", &[fd, 0, 0, OUT], errno::SPIPE);
}

#[test]
fn arguments_and_environment_are_as_given() {
    let mut w = World::with(|builder| {
        builder.arg("cut\0off").env("A", "second").envs(&[("B", "c\0d")]);
    });
    w.guest.ok("args_get", &[OUT, BUF]);
    assert_eq!(w.guest.get(BUF, 11), b"prog\0x\0cut\0");
    w.guest.ok("environ_get", &[OUT, BUF]);
    assert_eq!(w.guest.get(BUF, 13), b"A=second\0B=c\0");
}

#[test]
fn inheriting_is_possible_when_asked_for() {
    let mut w = World::with(|builder| {
        builder.inherit_args().inherit_env();
    });
    w.guest.ok("args_sizes_get", &[OUT, OUT + 4]);
    assert_eq!(w.guest.u32(OUT) as usize, 2 + std::env::args_os().count());
    w.guest.ok("environ_sizes_get", &[OUT, OUT + 4]);
    let own = std::env::vars_os().filter(|(name, _)| name != "A").count();
    assert_eq!(w.guest.u32(OUT) as usize, 1 + own);
}

#[test]
fn a_host_may_bring_its_own_streams() {
    struct Shouting(MemoryOutputPipe);
    impl OutputStream for Shouting {
        fn write(&self, buffers: &[IoSlice<'_>]) -> std::io::Result<usize> {
            let loud: Vec<u8> = buffers.iter().flat_map(|b| b.to_ascii_uppercase()).collect();
            self.0.write(&[IoSlice::new(&loud)])
        }
    }
    let kept = MemoryOutputPipe::new(100);
    let mut w = World::with(|builder| {
        builder.stdout(Shouting(kept.clone()));
    });
    assert_eq!(w.guest.write(1, b"loud"), Ok(4));
    assert_eq!(kept.contents(), b"LOUD");
}

#[test]
fn contexts_and_streams_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&WasiCtxBuilder::new().build());
    is_send(&NullOutput);
    let input: Box<dyn InputStream> = Box::new(MemoryInputPipe::new("x"));
    is_send(&input);
}
