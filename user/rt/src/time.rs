//! The time-stamp counter.

/// Cycles since the machine started, the same as on Linux's cores; `SystemInfo::tsc_khz` is its
/// rate.
pub fn cycles() -> u64 {
    // SAFETY: `rdtsc` has no effect but its result.
    unsafe { core::arch::x86_64::_rdtsc() }
}
