//! `wasi:filesystem`.

use super::{Folder, State, is_closed, lend, trap, wait};
use cellwall::component::Resource;
use cellwall_wasi::p2::bindings::wasi::clocks::wall_clock::Datetime;
use cellwall_wasi::p2::bindings::wasi::filesystem::types::{
    DescriptorFlags, DescriptorType, ErrorCode, Host as _, HostDescriptor, HostDirectoryEntryStream as _,
    NewTimestamp, OpenFlags, PathFlags,
};
use cellwall_wasi::p2::bindings::wasi::io::poll::HostPollable;
use cellwall_wasi::p2::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use cellwall_wasi::p2::{Descriptor, FsError, StreamError};
use cellwall_wasi::{DirPerms, FilePerms, WasiView};
use std::io::Read;
use std::os::unix::fs::symlink;

type Fd = Resource<Descriptor>;

const READ: DescriptorFlags = DescriptorFlags::READ;
const NONE: OpenFlags = OpenFlags::empty();

fn all(folder: &Folder) -> (State, Fd) {
    State::with_dir(&folder.0, DirPerms::all(), FilePerms::all())
}

fn open(
    state: &mut State,
    dir: &Fd,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Fd, ErrorCode> {
    let opened = state
        .ctx()
        .open_at(lend(dir), PathFlags::SYMLINK_FOLLOW, path.into(), open, flags);
    code(opened)
}

fn code<T>(result: Result<T, FsError>) -> Result<T, ErrorCode> {
    result.map_err(|error| match error {
        FsError::Code(code) => code,
        FsError::Trap(error) => panic!("{error:?}"),
    })
}

#[test]
fn streams_write_and_read_at_places_and_at_the_end() {
    let folder = Folder::new();
    let (mut state, dir) = all(&folder);
    let file = open(
        &mut state,
        &dir,
        "f",
        OpenFlags::CREATE,
        READ | DescriptorFlags::WRITE,
    )
    .unwrap();
    let to = state.ctx().write_via_stream(lend(&file), 5).unwrap();
    wait(
        state
            .ctx()
            .blocking_write_and_flush(lend(&to), b"Hello, ".to_vec()),
    )
    .unwrap();
    wait(
        state
            .ctx()
            .blocking_write_and_flush(lend(&to), b"World!".to_vec()),
    )
    .unwrap();
    let end = state.ctx().append_via_stream(lend(&file)).unwrap();
    HostOutputStream::write(&mut state.ctx(), lend(&end), b"!!".to_vec()).unwrap();
    // The place of the first stream is its own.
    HostOutputStream::write(&mut state.ctx(), lend(&to), b"?".to_vec()).unwrap();

    let from = state.ctx().read_via_stream(lend(&file), 0).unwrap();
    let bytes = wait(state.ctx().blocking_read(lend(&from), 100)).unwrap();
    assert_eq!(bytes, b"\0\0\0\0\0Hello, World!?!");
    assert!(is_closed(&HostInputStream::read(
        &mut state.ctx(),
        lend(&from),
        1
    )));
    assert_eq!(
        HostInputStream::read(&mut state.ctx(), lend(&from), 0).unwrap(),
        b""
    );

    // What comes behind the end later is there.
    HostOutputStream::write(&mut state.ctx(), lend(&end), b"more".to_vec()).unwrap();
    assert_eq!(state.ctx().skip(lend(&from), 1).unwrap(), 1);
    assert_eq!(
        HostInputStream::read(&mut state.ctx(), lend(&from), u64::MAX).unwrap(),
        b"ore"
    );
    let (bytes, at_end) = code(HostDescriptor::read(&mut state.ctx(), lend(&file), 3, 5)).unwrap();
    assert_eq!((&*bytes, at_end), (&b"Hel"[..], false));
    assert_eq!(
        code(HostDescriptor::read(&mut state.ctx(), lend(&file), 3, 99)).unwrap(),
        (Vec::new(), true)
    );
    assert_eq!(
        code(HostDescriptor::read(&mut state.ctx(), lend(&file), 1, u64::MAX)),
        Err(ErrorCode::Invalid)
    );
}

#[test]
fn writes_beyond_what_is_permitted_trap_and_do_nothing() {
    let folder = Folder::new();
    let (mut state, dir) = all(&folder);
    let file = open(&mut state, &dir, "f", OpenFlags::CREATE, DescriptorFlags::WRITE).unwrap();
    let to = state.ctx().write_via_stream(lend(&file), 0).unwrap();
    let permitted = state.ctx().check_write(lend(&to)).unwrap();
    state.ctx().write_zeroes(lend(&to), permitted).unwrap();
    trap(state.ctx().write_zeroes(lend(&to), u64::MAX));
    trap(HostOutputStream::write(
        &mut state.ctx(),
        lend(&to),
        vec![1; permitted as usize + 1],
    ));
    wait(state.ctx().blocking_write_and_flush(lend(&to), vec![1; 4096])).unwrap();
    trap(wait(
        state.ctx().blocking_write_and_flush(lend(&to), vec![1; 4097]),
    ));
    trap(wait(state.ctx().blocking_write_zeroes_and_flush(lend(&to), 4097)));
    let length = std::fs::metadata(folder.0.join("f")).unwrap().len();
    assert_eq!(length, permitted + 4096);
    assert_eq!(
        code(state.ctx().read_via_stream(lend(&file), 0)).unwrap_err(),
        ErrorCode::BadDescriptor
    );
}

#[test]
fn a_full_pipe_makes_its_writer_wait_and_loses_nothing() {
    let folder = Folder::new();
    let path = folder.0.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    // Open for both, so that neither side waits for the other to come.
    let mut reader = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let (mut state, dir) = all(&folder);
    let file = open(&mut state, &dir, "fifo", NONE, DescriptorFlags::WRITE).unwrap();
    let to = state.ctx().write_via_stream(lend(&file), 0).unwrap();
    let ready = HostOutputStream::subscribe(&mut state.ctx(), lend(&to)).unwrap();
    let mut written = 0;
    loop {
        let permitted = state.ctx().check_write(lend(&to)).unwrap();
        if permitted == 0 {
            break;
        }
        let bytes = vec![7; usize::try_from(permitted).unwrap()];
        HostOutputStream::write(&mut state.ctx(), lend(&to), bytes).unwrap();
        written += permitted;
        assert!(written < 16 << 20, "the pipe is never full");
    }
    assert!(written > 0 && !wait(async { HostPollable::ready(&mut state.ctx(), lend(&ready)) }).unwrap());
    let more = HostOutputStream::write(&mut state.ctx(), lend(&to), vec![7]);
    assert_eq!(trap(more), "write exceeded budget");
    let mut bytes = vec![0; usize::try_from(written).unwrap()];
    reader.read_exact(&mut bytes).unwrap();
    assert!(bytes.iter().all(|byte| *byte == 7));
    wait(HostPollable::block(&mut state.ctx(), lend(&ready))).unwrap();
    wait(state.ctx().blocking_write_and_flush(lend(&to), vec![8; 4096])).unwrap();
    reader.read_exact(&mut bytes[..4096]).unwrap();
    assert!(bytes[..4096].iter().all(|byte| *byte == 8));
}

#[test]
fn a_failed_write_closes_its_stream_and_says_why() {
    let folder = Folder::new();
    let (mut state, dir) = all(&folder);
    let file = open(&mut state, &dir, "f", OpenFlags::CREATE, DescriptorFlags::WRITE).unwrap();
    // The kernel has no such offset.
    let to = state.ctx().write_via_stream(lend(&file), u64::MAX).unwrap();
    let Err(StreamError::LastOperationFailed(error)) =
        HostOutputStream::write(&mut state.ctx(), lend(&to), vec![1])
    else {
        panic!("it cannot be written there");
    };
    let error = state.table.push(error).unwrap();
    assert_eq!(
        state.ctx().filesystem_error_code(error).unwrap(),
        Some(ErrorCode::Invalid)
    );
    assert!(is_closed(&state.ctx().check_write(lend(&to))));
    assert!(is_closed(&HostOutputStream::write(
        &mut state.ctx(),
        lend(&to),
        vec![1]
    )));
}

#[test]
fn what_a_read_only_grant_does_not_allow_is_denied() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("f"), "there").unwrap();
    std::fs::create_dir(folder.0.join("sub")).unwrap();
    let (mut state, dir) = State::with_dir(&folder.0, DirPerms::READ, FilePerms::READ);
    let denied = Err(ErrorCode::NotPermitted);
    let file = open(&mut state, &dir, "f", NONE, READ).unwrap();
    assert_eq!(
        open(&mut state, &dir, "f", NONE, DescriptorFlags::WRITE).err(),
        denied.err()
    );
    assert_eq!(
        open(&mut state, &dir, "new", OpenFlags::CREATE, READ).err(),
        denied.err()
    );
    assert_eq!(
        open(&mut state, &dir, "f", OpenFlags::TRUNCATE, READ).err(),
        denied.err()
    );
    assert_eq!(
        code(state.ctx().create_directory_at(lend(&dir), "new".into())),
        denied
    );
    assert_eq!(code(state.ctx().unlink_file_at(lend(&dir), "f".into())), denied);
    assert_eq!(
        code(state.ctx().remove_directory_at(lend(&dir), "sub".into())),
        denied
    );
    assert_eq!(
        code(
            state
                .ctx()
                .rename_at(lend(&dir), "f".into(), lend(&dir), "g".into())
        ),
        denied
    );
    assert_eq!(
        code(state.ctx().symlink_at(lend(&dir), "f".into(), "l".into())),
        denied
    );
    let now = || NewTimestamp::Now;
    assert_eq!(
        code(
            state
                .ctx()
                .set_times_at(lend(&dir), PathFlags::empty(), "f".into(), now(), now())
        ),
        denied
    );
    assert_eq!(code(state.ctx().set_size(lend(&file), 0)), denied);
    assert!(code(state.ctx().append_via_stream(lend(&file))).is_err());
    let sub = open(
        &mut state,
        &dir,
        "sub",
        OpenFlags::DIRECTORY,
        READ | DescriptorFlags::MUTATE_DIRECTORY,
    )
    .unwrap();
    assert_eq!(code(state.ctx().get_flags(sub)).unwrap(), READ);
    assert_eq!(std::fs::read_to_string(folder.0.join("f")).unwrap(), "there");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);

    let (mut state, dir) = all(&folder);
    assert_eq!(
        code(state.ctx().get_flags(lend(&dir))).unwrap(),
        READ | DescriptorFlags::MUTATE_DIRECTORY
    );
    code(state.ctx().unlink_file_at(lend(&dir), "f".into())).unwrap();
    assert_eq!(
        code(state.ctx().unlink_file_at(lend(&dir), "sub".into())),
        Err(ErrorCode::IsDirectory)
    );
    code(state.ctx().remove_directory_at(dir, "sub".into())).unwrap();
}

#[test]
fn paths_do_not_lead_out() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("in")).unwrap();
    std::fs::write(folder.0.join("out"), "").unwrap();
    symlink("/etc/passwd", folder.0.join("in/absolute")).unwrap();
    symlink("../out", folder.0.join("in/up")).unwrap();
    symlink("nothing", folder.0.join("in/dangling")).unwrap();
    symlink("loop", folder.0.join("in/loop")).unwrap();
    let (mut state, dir) = State::with_dir(&folder.0.join("in"), DirPerms::all(), FilePerms::all());
    for (path, expected) in [
        ("../out", ErrorCode::NotPermitted),
        ("/etc/passwd", ErrorCode::NotPermitted),
        ("absolute", ErrorCode::NotPermitted),
        ("up", ErrorCode::NotPermitted),
        ("dangling", ErrorCode::NoEntry),
        ("loop", ErrorCode::Loop),
        ("", ErrorCode::NoEntry),
        ("a\0b", ErrorCode::Invalid),
    ] {
        assert_eq!(
            open(&mut state, &dir, path, NONE, READ).err(),
            Some(expected),
            "{path:?}"
        );
    }
    let long = "a/".repeat(4000);
    assert_eq!(
        open(&mut state, &dir, &long, NONE, READ).err(),
        Some(ErrorCode::NameTooLong)
    );
    let link = |state: &mut State, path: &str| code(state.ctx().readlink_at(lend(&dir), path.into()));
    assert_eq!(link(&mut state, "absolute"), Err(ErrorCode::NotPermitted));
    assert_eq!(link(&mut state, "dangling").as_deref(), Ok("nothing"));
    let made = code(state.ctx().symlink_at(lend(&dir), "/etc".into(), "new".into()));
    assert_eq!(made, Err(ErrorCode::NotPermitted));
    let found = code(
        state
            .ctx()
            .stat_at(lend(&dir), PathFlags::empty(), "dangling".into()),
    )
    .unwrap();
    assert_eq!((found.type_, found.size), (DescriptorType::SymbolicLink, 7));
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let write = DescriptorFlags::WRITE;
    assert_eq!(
        open(&mut state, &dir, "dangling", exclusive, write).err(),
        Some(ErrorCode::Exist)
    );
}

#[test]
fn directories_are_listed_without_themselves_and_each_stream_from_its_start() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        std::fs::write(folder.0.join(name), "").unwrap();
    }
    std::fs::create_dir(folder.0.join("sub")).unwrap();
    let (mut state, dir) = all(&folder);
    let first = state.ctx().read_directory(lend(&dir)).unwrap();
    state
        .ctx()
        .read_directory_entry(lend(&first))
        .unwrap()
        .expect("there are entries");
    let second = state.ctx().read_directory(lend(&dir)).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = code(state.ctx().read_directory_entry(lend(&second))).unwrap() {
        assert_eq!(entry.type_ == DescriptorType::Directory, entry.name == "sub");
        names.push(entry.name);
    }
    names.sort();
    assert_eq!(names, ["a", "b", "c", "sub"]);
    assert!(code(state.ctx().read_directory_entry(second)).unwrap().is_none());
    let file = open(&mut state, &dir, "a", NONE, READ).unwrap();
    assert_eq!(
        code(state.ctx().read_directory(file)).err(),
        Some(ErrorCode::NotDirectory)
    );
}

#[test]
fn attributes_times_and_identities() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("f"), "12345").unwrap();
    let (mut state, dir) = all(&folder);
    let file = open(&mut state, &dir, "f", NONE, READ | DescriptorFlags::WRITE).unwrap();
    let time = |seconds, nanoseconds| NewTimestamp::Timestamp(Datetime { seconds, nanoseconds });
    code(state.ctx().set_times(lend(&file), time(7, 8), time(9, 10))).unwrap();
    let found = code(state.ctx().stat(lend(&file))).unwrap();
    let access = found.data_access_timestamp.expect("this system has it");
    assert_eq!((access.seconds, access.nanoseconds), (7, 8));
    assert_eq!((found.size, found.link_count), (5, 1));
    code(
        state
            .ctx()
            .set_times(lend(&file), NewTimestamp::NoChange, time(11, 0)),
    )
    .unwrap();
    let found = code(state.ctx().stat_at(lend(&dir), PathFlags::empty(), "f".into())).unwrap();
    assert_eq!(
        found.data_access_timestamp.expect("this system has it").seconds,
        7
    );
    assert_eq!(
        found
            .data_modification_timestamp
            .expect("this system has it")
            .seconds,
        11
    );
    let wrong = code(
        state
            .ctx()
            .set_times(lend(&file), time(0, 1_000_000_000), NewTimestamp::Now),
    );
    assert_eq!(wrong, Err(ErrorCode::Invalid));

    code(
        state
            .ctx()
            .link_at(lend(&dir), PathFlags::empty(), "f".into(), lend(&dir), "g".into()),
    )
    .unwrap();
    let other = open(&mut state, &dir, "g", NONE, READ).unwrap();
    assert!(state.ctx().is_same_object(lend(&file), lend(&other)).unwrap());
    assert!(!state.ctx().is_same_object(lend(&file), lend(&dir)).unwrap());
    let hash = |state: &mut State, fd: &Fd| {
        let hash = code(state.ctx().metadata_hash(lend(fd))).unwrap();
        (hash.lower, hash.upper)
    };
    assert_eq!(hash(&mut state, &file), hash(&mut state, &other));
    assert_ne!(hash(&mut state, &file), hash(&mut state, &dir));
    code(state.ctx().set_size(lend(&file), 2)).unwrap();
    wait(state.ctx().sync(lend(&file))).unwrap();
    wait(state.ctx().sync_data(lend(&dir))).unwrap();
    assert_eq!(std::fs::read(folder.0.join("g")).unwrap(), b"12");
    code(
        state
            .ctx()
            .rename_at(lend(&dir), "g".into(), lend(&dir), "h".into()),
    )
    .unwrap();
    assert!(folder.0.join("h").exists());
}

#[test]
fn descriptors_of_the_host_are_limited() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("f"), "").unwrap();
    let mut state = State::new(|builder| {
        builder.max_descriptors(2);
        builder
            .preopened_dir(&folder.0, "/d", DirPerms::all(), FilePerms::all())
            .expect("the folder is there");
    });
    use cellwall_wasi::p2::bindings::wasi::filesystem::preopens::Host as _;
    let (dir, _) = state.ctx().get_directories().unwrap().remove(0);
    let first = open(&mut state, &dir, "f", NONE, READ).unwrap();
    let listing = state.ctx().read_directory(lend(&dir)).unwrap();
    let full = open(
        &mut state,
        &dir,
        "new",
        OpenFlags::CREATE,
        READ | DescriptorFlags::WRITE,
    );
    assert_eq!(full.err(), Some(ErrorCode::InsufficientMemory));
    assert!(
        !folder.0.join("new").exists(),
        "nothing is made that cannot be held"
    );
    HostDescriptor::drop(&mut state.ctx(), first).unwrap();
    let second = open(&mut state, &dir, "f", NONE, READ).unwrap();
    assert!(listing.owned(), "it was there until here");
    // A stream holds what its descriptor had.
    let stream = state.ctx().read_via_stream(lend(&second), 0).unwrap();
    HostDescriptor::drop(&mut state.ctx(), second).unwrap();
    let full = open(&mut state, &dir, "f", NONE, READ);
    assert_eq!(full.err(), Some(ErrorCode::InsufficientMemory));
    HostInputStream::drop(&mut state.ctx(), stream).unwrap();
    open(&mut state, &dir, "f", NONE, READ).unwrap();
}
