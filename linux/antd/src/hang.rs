//! Detects CPUs that hang in AnT's kernel. Pure logic.
//!
//! AnT is tickless: no timer rings a CPU to see whether it responds. But the shared area counts how
//! often each kernel is entered and left (`CpuControl::kernel_entries`): a kernel that was entered
//! and not left for [`ANSWER_TIMEOUT`] hangs.

use std::time::Instant;

use crate::timeouts::ANSWER_TIMEOUT;

/// The last observation of a CPU.
#[derive(Clone, Copy, Debug)]
struct Seen {
    kernel_entries: u64,
    /// Since when the counter has that value.
    since: Instant,
    hangs: bool,
}

/// A change of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It hangs.
    Hangs,
    /// It has left its kernel after all.
    Resumed,
}

/// Which CPUs hang. The counters and the time come from outside.
#[derive(Debug)]
pub struct HangDetector(Vec<Seen>);

impl HangDetector {
    /// So many CPUs, none of which hangs.
    #[must_use]
    pub fn new(cpus: usize, now: Instant) -> Self {
        Self(vec![Seen { kernel_entries: 0, since: now, hangs: false }; cpus])
    }

    /// Notes the counter of a CPU.
    ///
    /// # Panics
    ///
    /// There is no such CPU.
    pub fn observe(&mut self, cpu_index: u32, kernel_entries: u64, now: Instant) -> Option<Change> {
        let seen = &mut self.0[cpu_index as usize];
        if kernel_entries != seen.kernel_entries {
            *seen = Seen { kernel_entries, since: now, hangs: seen.hangs };
        }
        let in_kernel = kernel_entries % 2 == 1;
        let hangs = in_kernel && now.saturating_duration_since(seen.since) >= ANSWER_TIMEOUT;
        if hangs == seen.hangs {
            return None;
        }
        seen.hangs = hangs;
        Some(if hangs { Change::Hangs } else { Change::Resumed })
    }

    /// Whether a CPU hung when it was last observed.
    #[must_use]
    pub fn hangs(&self, cpu_index: u32) -> bool {
        self.0.get(cpu_index as usize).is_some_and(|seen| seen.hangs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_kernel_that_is_not_left_hangs() {
        let start = Instant::now();
        let mut detector = HangDetector::new(2, start);
        assert_eq!(detector.observe(1, 7, start + SECOND), None);
        assert_eq!(detector.observe(1, 7, start + SECOND * 5), None);
        assert_eq!(detector.observe(1, 7, start + SECOND * 6), Some(Change::Hangs));
        assert_eq!(detector.observe(1, 7, start + SECOND * 7), None, "reported once");
        assert!(detector.hangs(1) && !detector.hangs(0) && !detector.hangs(9));
        assert_eq!(detector.observe(1, 8, start + SECOND * 8), Some(Change::Resumed));
        assert!(!detector.hangs(1));
    }

    #[test]
    fn a_process_or_sleep_of_any_length_is_no_hang() {
        let start = Instant::now();
        let mut detector = HangDetector::new(1, start);
        for second in 0..100 {
            assert_eq!(detector.observe(0, 42, start + SECOND * second), None);
        }
    }

    #[test]
    fn a_kernel_that_is_entered_often_is_no_hang() {
        let start = Instant::now();
        let mut detector = HangDetector::new(1, start);
        for second in 0..100 {
            let kernel_entries = u64::from(second / 4) * 2 + 1;
            assert_eq!(detector.observe(0, kernel_entries, start + SECOND * second), None);
        }
    }
}
