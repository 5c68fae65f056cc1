//! The time-stamp counter, and time from it.

use ant_abi::Error;

use crate::ant;

/// Cycles since the machine started, the same as on Linux's CPUs; `SystemInfo::tsc_khz` is its
/// rate.
#[inline]
pub fn cycles() -> u64 {
    // SAFETY: `rdtsc` has no effect but its result.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Time since the machine started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    cycles_per_ms: u64,
}

impl Clock {
    /// The machine's clock.
    pub fn new() -> Result<Self, Error> {
        let info = ant::system_info()?;
        // A counter of unknown rate still goes forward.
        Ok(Self { cycles_per_ms: u64::from(info.tsc_khz).max(1) })
    }

    /// Microseconds.
    pub fn now_us(self) -> u64 {
        let cycles = cycles();
        // In two steps: a product of all would overflow within days.
        let (ms, rest) = (cycles / self.cycles_per_ms, cycles % self.cycles_per_ms);
        ms * 1000 + rest * 1000 / self.cycles_per_ms
    }
}
