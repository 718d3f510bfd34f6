//! For all sequences of calls with any numbers and any handles: the host answers, traps the
//! guest, or gives an error; it never panics, hangs, or leaves the folder that was granted.

use super::{Folder, State};
use cellwall::component::Resource;
use cellwall_wasi::p2::bindings::wasi::cli::{stdin::Host as _, stdout::Host as _};
use cellwall_wasi::p2::bindings::wasi::clocks::monotonic_clock::Host as _;
use cellwall_wasi::p2::bindings::wasi::clocks::wall_clock::Datetime;
use cellwall_wasi::p2::bindings::wasi::filesystem::preopens::Host as _;
use cellwall_wasi::p2::bindings::wasi::filesystem::types::{
    Advice, DescriptorFlags, HostDescriptor, HostDirectoryEntryStream, NewTimestamp, OpenFlags, PathFlags,
};
use cellwall_wasi::p2::bindings::wasi::io::poll::HostPollable;
use cellwall_wasi::p2::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use cellwall_wasi::p2::bindings::wasi::random::random::Host as _;
use cellwall_wasi::{DirPerms, FilePerms, MemoryInputPipe, MemoryOutputPipe, WasiCtxView, WasiView};

/// Calls of one run of the test.
const CALLS: usize = 20_000;

/// A generator that needs no dependency: SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small, at an edge, or anything.
    fn size(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(16),
            1 => [
                0,
                1,
                4096,
                4097,
                1 << 20,
                1 << 31,
                1 << 32,
                i64::MAX as u64,
                u64::MAX,
            ][self.below(9) as usize],
            2 => self.below(1 << 16),
            _ => self.next(),
        }
    }

    fn handle<T: 'static>(&mut self) -> Resource<T> {
        Resource::new_borrow(self.below(24) as u32)
    }

    fn path(&mut self) -> String {
        const PARTS: [&str; 9] = ["a", "b", "sub", ".", "..", "", "link", "a\0", "/"];
        let count = self.below(4);
        let parts: Vec<&str> = (0..=count).map(|_| PARTS[self.below(9) as usize]).collect();
        parts.join("/")
    }

    fn time(&mut self) -> NewTimestamp {
        match self.below(3) {
            0 => NewTimestamp::NoChange,
            1 => NewTimestamp::Now,
            _ => NewTimestamp::Timestamp(Datetime {
                seconds: self.size(),
                nanoseconds: self.next() as u32,
            }),
        }
    }
}

fn call(view: &mut WasiCtxView<'_>, n: &mut Numbers) {
    let follow = match n.below(2) {
        0 => PathFlags::empty(),
        _ => PathFlags::SYMLINK_FOLLOW,
    };
    match n.below(34) {
        0 => drop(view.get_directories()),
        1..=6 => {
            let rows = [
                OpenFlags::CREATE,
                OpenFlags::DIRECTORY,
                OpenFlags::EXCLUSIVE,
                OpenFlags::TRUNCATE,
            ];
            let open = rows
                .into_iter()
                .filter(|_| n.below(3) == 0)
                .fold(OpenFlags::empty(), |a, b| a | b);
            let rows = [
                DescriptorFlags::READ,
                DescriptorFlags::WRITE,
                DescriptorFlags::MUTATE_DIRECTORY,
            ];
            let flags = rows.into_iter().filter(|_| n.below(2) == 0);
            let flags = flags.fold(DescriptorFlags::empty(), |a, b| a | b);
            drop(view.open_at(n.handle(), follow, n.path(), open, flags));
        }
        7 => drop(view.read_via_stream(n.handle(), n.size())),
        8 => drop(view.write_via_stream(n.handle(), n.below(1 << 16))),
        9 => drop(view.append_via_stream(n.handle())),
        10 => drop(HostDescriptor::read(view, n.handle(), n.size(), n.size())),
        11 => drop(HostDescriptor::write(
            view,
            n.handle(),
            vec![1; n.below(5000) as usize],
            n.below(1 << 16),
        )),
        12 => drop(view.set_size(n.handle(), n.below(1 << 20))),
        13 => drop(view.set_times(n.handle(), n.time(), n.time())),
        14 => drop(view.set_times_at(n.handle(), follow, n.path(), n.time(), n.time())),
        15 => drop(view.read_directory(n.handle())),
        16 => drop(view.read_directory_entry(n.handle())),
        17 => drop(view.create_directory_at(n.handle(), n.path())),
        18 => drop(view.remove_directory_at(n.handle(), n.path())),
        19 => drop(view.unlink_file_at(n.handle(), n.path())),
        20 => drop(view.rename_at(n.handle(), n.path(), n.handle(), n.path())),
        21 => drop(view.link_at(n.handle(), follow, n.path(), n.handle(), n.path())),
        22 => drop(view.symlink_at(n.handle(), n.path(), n.path())),
        23 => drop((view.stat(n.handle()), view.stat_at(n.handle(), follow, n.path()))),
        24 => drop((
            view.metadata_hash(n.handle()),
            view.is_same_object(n.handle(), n.handle()),
        )),
        25 => drop(view.advise(n.handle(), n.size(), n.size(), Advice::WillNeed)),
        26 => drop(HostInputStream::read(view, n.handle(), n.size())),
        27 => drop((
            view.skip(n.handle(), n.size()),
            view.splice(n.handle(), n.handle(), n.size()),
        )),
        28 => {
            let permitted = view.check_write(n.handle());
            let count = n.below(10_000).min(permitted.unwrap_or(4096)) as usize;
            drop(HostOutputStream::write(view, n.handle(), vec![2; count]));
        }
        29 => drop(view.write_zeroes(n.handle(), n.size())),
        30 => drop((
            HostInputStream::subscribe(view, n.handle()),
            HostOutputStream::subscribe(view, n.handle()),
        )),
        31 => drop((view.subscribe_duration(n.size()), view.ready(n.handle()))),
        32 => drop((
            view.get_stdin(),
            view.get_stdout(),
            view.get_random_bytes(n.below(100)),
        )),
        _ => {
            drop(HostDescriptor::drop(view, n.handle()));
            drop(HostInputStream::drop(view, n.handle()));
            drop(HostOutputStream::drop(view, n.handle()));
            drop(HostPollable::drop(view, n.handle()));
            drop(HostDirectoryEntryStream::drop(view, n.handle()));
        }
    }
}

#[test]
fn any_calls_are_answered() {
    let folder = Folder::new();
    let granted = folder.0.join("granted");
    std::fs::create_dir_all(granted.join("sub")).unwrap();
    std::os::unix::fs::symlink("../secret", granted.join("link")).unwrap();
    std::fs::write(folder.0.join("secret"), "secret").unwrap();
    let mut state = State::new(|builder| {
        builder
            .stdin(MemoryInputPipe::new(vec![7; 1 << 16]))
            .stdout(MemoryOutputPipe::new(1 << 16))
            .max_descriptors(12)
            .preopened_dir(&granted, "/", DirPerms::all(), FilePerms::all())
            .expect("the folder is there");
    });
    state.table.set_max_capacity(24);
    state.ctx().get_directories().expect("there is room");
    let mut numbers = Numbers(1);
    super::wait(async {
        for _ in 0..CALLS {
            call(&mut state.ctx(), &mut numbers);
        }
    });
    assert_eq!(
        std::fs::read_to_string(folder.0.join("secret")).unwrap(),
        "secret"
    );
    let beside = std::fs::read_dir(&folder.0).unwrap().count();
    assert_eq!(beside, 2, "nothing was made beside the granted folder");
}
