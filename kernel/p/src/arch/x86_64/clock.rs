//! The time-stamp counter.

use crate::shared;

/// Cycles since the machine started; the same on every core, and what Linux's `rdtsc` gives.
pub fn now() -> u64 {
    // SAFETY: `rdtsc` has no effect but its result.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Cycles in so many microseconds.
pub fn cycles(us: u64) -> u64 {
    us * u64::from(shared::boot().tsc_khz) / 1000
}
