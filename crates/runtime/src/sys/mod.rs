//! All that depends on the operating system or the processor: address space, signals, threads,
//! and the fixed assembly between host and guest. Nothing outside this folder does.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("cellwall runs on Linux x86-64 only for now; see docs/platforms.md for the road to others");

#[cfg(target_os = "linux")]
mod linux;
mod park;
#[cfg(target_arch = "x86_64")]
mod x64;

pub(crate) use linux::frozen::FrozenFile;
pub use linux::map::mark_for_profiler;
pub(crate) use linux::map::{ImageFile, Reservation};
pub(crate) use linux::signal::install as install_handlers;
pub(crate) use linux::thread::{
    ThreadGuard, ThreadSlot, full_fence, interrupt_threads, light_fence, prepare_fences, stack_low,
    thread_setup,
};
pub(crate) use park::{Parked, Parker};
pub(crate) use x64::{
    CAUGHT_STATUS, Stub, StubPlace, WAITS_STATUS, Width, call_ref_stub, enter, enter_few, enter_four,
    features, is_foreign_return, leave_address, library_stub, stack_pointer, stub_address, stub_at, unpark,
};

/// Granularity of protections in bytes.
pub(crate) const PAGE: usize = 4096;

/// Rounds up to whole pages.
pub(crate) const fn page_up(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE)
}
