//! The time-stamp counter.

use crate::shared;

/// Cycles since the machine started; the same on every CPU, and what Linux's `rdtsc` gives.
#[inline]
pub fn now() -> u64 {
    // SAFETY: `rdtsc` has no effect but its result.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Cycles in so many microseconds; the most there can be, for what is beyond.
pub fn cycles(us: u64) -> u64 {
    let cycles = u128::from(us) * u128::from(shared::boot().tsc_khz) / 1000;
    u64::try_from(cycles).unwrap_or(u64::MAX)
}

/// Microseconds from now until `when`, rounded up; 0 if that is over.
pub fn us_until(when: u64) -> u64 {
    let cycles = u128::from(when.saturating_sub(now()));
    let us = (cycles * 1000).div_ceil(shared::boot().tsc_khz.max(1).into());
    u64::try_from(us).unwrap_or(u64::MAX)
}
