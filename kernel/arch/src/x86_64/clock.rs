//! The time-stamp counter.

use core::sync::atomic::{AtomicU32, Ordering};

/// Frequency of the counter in kHz; 0 until `init`. Written by the m-kernel before another CPU
/// starts, read by every CPU.
static TSC_KHZ: AtomicU32 = AtomicU32::new(0);

/// Sets the frequency of the counter, in kHz. The m-kernel, before anything measures time.
pub fn init(tsc_khz: u32) {
    TSC_KHZ.store(tsc_khz, Ordering::Relaxed);
}

#[inline]
fn tsc_khz() -> u32 {
    TSC_KHZ.load(Ordering::Relaxed)
}

/// Cycles since the machine started; the same on every CPU, and what Linux's `rdtsc` gives.
#[inline]
pub fn now() -> u64 {
    // SAFETY: `rdtsc` has no effect but its result.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Cycles in so many microseconds, saturating.
#[inline]
pub fn cycles(us: u64) -> u64 {
    let cycles = u128::from(us) * u128::from(tsc_khz()) / 1000;
    u64::try_from(cycles).unwrap_or(u64::MAX)
}

/// Microseconds from now until `when`, rounded up; 0 if that has passed.
pub fn us_until(when: u64) -> u64 {
    let cycles = u128::from(when.saturating_sub(now()));
    let us = (cycles * 1000).div_ceil(tsc_khz().max(1).into());
    u64::try_from(us).unwrap_or(u64::MAX)
}
