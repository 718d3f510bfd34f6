//! What code is compiled for: CPU features and the facts about memories that proofs rely on.

use cellwall_base::limits::PAGE_BYTES;

/// Optional x86-64 features beyond the baseline (SSE4.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct CpuFeatures {
    /// POPCNT.
    pub popcnt: bool,
    /// LZCNT.
    pub lzcnt: bool,
    /// BMI1 (TZCNT, ANDN, BLSR…).
    pub bmi1: bool,
    /// BMI2 (SHLX, SHRX, SARX, RORX, MULX…).
    pub bmi2: bool,
    /// AVX.
    pub avx: bool,
    /// AVX2.
    pub avx2: bool,
    /// FMA3.
    pub fma: bool,
}

/// A compilation target. What it says about memories is bound to the artifact and compared again at
/// instantiation (walls V7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// Features that code may use.
    pub features: CpuFeatures,
    /// Bytes of address space reserved at least for each memory, a multiple of the page. With 4 GiB
    /// a 32-bit index needs no compare, also in a memory with 64-bit indexes.
    pub memory_reservation_bytes: u64,
    /// Bytes after the reservation that are never mapped, a multiple of the page. An access whose
    /// static offset plus width fits needs no check of the offset.
    pub memory_guard_bytes: u64,
    /// Bytes below a stack that are never mapped; a larger frame probes.
    pub stack_guard_bytes: u32,
    /// Whether relaxed vector instructions are those of the deterministic profile of the core
    /// specification, whatever the processor.
    pub relaxed_simd_deterministic: bool,
    /// Whether operators that make a NaN make the canonical one.
    pub canonical_nans: bool,
}

impl Target {
    /// The whole index space of a 32-bit memory.
    pub const FULL_RESERVATION_BYTES: u64 = 1 << 32;

    /// Largest guard: sums with the reservation and displacements stay far from wrapping.
    pub const GUARD_BYTES_MAX: u64 = 1 << 40;

    /// The default facts with these features: full reservation, 32 MiB of guard.
    pub const fn new(features: CpuFeatures) -> Self {
        Self {
            features,
            memory_reservation_bytes: Self::FULL_RESERVATION_BYTES,
            memory_guard_bytes: 32 << 20,
            stack_guard_bytes: 64 << 10,
            relaxed_simd_deterministic: false,
            canonical_nans: false,
        }
    }

    /// Whether every 32-bit index stays inside the reservation.
    pub const fn index_always_reserved(&self) -> bool {
        self.memory_reservation_bytes >= Self::FULL_RESERVATION_BYTES
    }

    /// Whether an access of `width` bytes at static offset `offset` from an in-reservation index
    /// stays inside reservation plus guard.
    pub const fn guard_covers(&self, offset: u64, width: u64) -> bool {
        offset < (1 << 31) && offset + width <= self.memory_guard_bytes
    }

    /// Whether the facts make sense: multiples of the page, a guard of at least one page and
    /// not beyond its limit.
    pub const fn is_valid(&self) -> bool {
        self.memory_reservation_bytes.is_multiple_of(PAGE_BYTES)
            && self.memory_guard_bytes.is_multiple_of(PAGE_BYTES)
            && self.memory_guard_bytes >= PAGE_BYTES
            && self.memory_guard_bytes <= Self::GUARD_BYTES_MAX
            && self.memory_reservation_bytes <= Self::FULL_RESERVATION_BYTES
            && self.stack_guard_bytes >= 4096
            && self.stack_guard_bytes.is_multiple_of(4096)
    }
}
