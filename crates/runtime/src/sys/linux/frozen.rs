//! Files whose contents the kernel keeps from ever changing.
//!
//! Guarantees that a [`FrozenFile`] can be mapped without anyone changing or truncating what is
//! seen. Trusts the kernel alone: what a file server (FUSE, a network) says of a file is not heard.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;

/// A file whose contents can never change.
pub(crate) struct FrozenFile<'a> {
    pub(super) file: &'a File,
}

/// Seals that together freeze a file in memory. `F_SEAL_WRITE` exists only while nobody has a
/// writable mapping, and seals are never taken away; `F_SEAL_SEAL`, which forbids more of them, is
/// therefore not needed.
const SEALS: libc::c_int = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// Kernel file systems on which fs-verity is the kernel's own word. An overlay also hands on the
/// word of the layer below, but may read another one later.
const VERITY_SYSTEMS: [i64; 3] = [
    libc::EXT4_SUPER_MAGIC,
    libc::F2FS_SUPER_MAGIC,
    libc::BTRFS_SUPER_MAGIC,
];

impl<'a> FrozenFile<'a> {
    /// The file, if it is frozen.
    pub(crate) fn of(file: &'a File) -> Option<Self> {
        let frozen =
            are_enough(seals(file)) || verity(file).is_ok_and(|(system, bits)| is_immutable(system, bits));
        frozen.then_some(Self { file })
    }
}

/// The seals of a file in memory; none of any other.
fn seals(file: &File) -> libc::c_int {
    // SAFETY: asking for the seals of an open descriptor touches no memory.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) }.max(0)
}

fn are_enough(seals: libc::c_int) -> bool {
    seals & SEALS == SEALS
}

/// The kind of the file system, and the attributes of the file that are known to be set.
fn verity(file: &File) -> io::Result<(i64, u64)> {
    let mut system = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the descriptor is open, and the kernel writes the structure that it is given.
    if unsafe { libc::fstatfs(file.as_raw_fd(), system.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above succeeded and has written it.
    let system = unsafe { system.assume_init() };
    let mut status = MaybeUninit::<libc::statx>::uninit();
    let (fd, flags) = (file.as_raw_fd(), libc::AT_EMPTY_PATH);
    // SAFETY: an empty path names the open descriptor; the kernel writes the structure.
    if unsafe { libc::statx(fd, c"".as_ptr(), flags, 0, status.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call above succeeded and has written it.
    let status = unsafe { status.assume_init() };
    Ok((system.f_type, status.stx_attributes & status.stx_attributes_mask))
}

/// Whether fs-verity keeps a file from ever changing.
fn is_immutable(system: i64, attributes: u64) -> bool {
    VERITY_SYSTEMS.contains(&system) && attributes & libc::STATX_ATTR_VERITY as u64 != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_seals_together_freeze() {
        assert!(are_enough(SEALS) && are_enough(SEALS | libc::F_SEAL_SEAL));
        for missing in [libc::F_SEAL_WRITE, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW] {
            assert!(!are_enough(SEALS & !missing | libc::F_SEAL_SEAL));
        }
        // It leaves writable mappings that are there.
        assert!(!are_enough(
            SEALS & !libc::F_SEAL_WRITE | libc::F_SEAL_FUTURE_WRITE
        ));
        assert!(!are_enough(seals(
            &File::open("/proc/self/exe").expect("it runs")
        )));
    }

    /// What statx says on this machine's file systems is asked in `verity`; what counts is here,
    /// because few machines have a file system with fs-verity.
    #[test]
    fn verity_counts_only_where_the_kernel_says_it() {
        let verity = libc::STATX_ATTR_VERITY as u64;
        let immutable = libc::STATX_ATTR_IMMUTABLE as u64;
        for system in VERITY_SYSTEMS {
            assert!(is_immutable(system, verity) && is_immutable(system, verity | immutable));
            assert!(!is_immutable(system, 0), "a plain file");
            assert!(
                !is_immutable(system, immutable),
                "the superuser can take that away"
            );
        }
        for system in [
            libc::FUSE_SUPER_MAGIC,
            libc::NFS_SUPER_MAGIC,
            libc::OVERLAYFS_SUPER_MAGIC,
        ] {
            assert!(!is_immutable(system, verity), "not the kernel's own word");
        }
        let (_, attributes) = verity_of_this_program();
        assert_eq!(attributes & verity, 0, "tests are built without fs-verity");
    }

    fn verity_of_this_program() -> (i64, u64) {
        verity(&File::open("/proc/self/exe").expect("it runs")).expect("an open file can be asked")
    }
}
