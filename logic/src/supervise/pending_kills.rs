//! Processes that were killed and have not ended: the kernel may have been too busy to take the kill, so
//! it is repeated.

use ant_abi::bundle::BUNDLE_SERVERS;
use arrayvec::ArrayVec;

/// Time until the kills are repeated.
const REPEAT_US: u64 = 100_000;
/// Most that can be pending. A server has one process, and one that is to replace it; the rest is for
/// earlier replacements, on CPUs that do not let them end.
const PENDING_MAX: usize = 4 * BUNDLE_SERVERS;

/// Processes that were killed and have not ended.
#[derive(Debug, Default)]
pub struct PendingKills {
    pids: ArrayVec<u32, PENDING_MAX>,
    repeat_at: u64,
}

impl PendingKills {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { pids: ArrayVec::new_const(), repeat_at: 0 }
    }

    /// A process was killed.
    pub fn add(&mut self, pid: u32, now: u64) {
        if self.pids.is_empty() {
            self.repeat_at = now + REPEAT_US;
        }
        if !self.pids.contains(&pid) {
            // One too many: its CPU has not taken the others either.
            let _ = self.pids.try_push(pid);
        }
    }

    /// A process has ended.
    pub fn ended(&mut self, pid: u32) {
        self.pids.retain(|&mut pending| pending != pid);
    }

    /// When the kills are repeated; `u64::MAX` for never.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        if self.pids.is_empty() { u64::MAX } else { self.repeat_at }
    }

    /// Repeats the kills that are due. `kill` says whether there still is such a process.
    pub fn advance(&mut self, now: u64, mut kill: impl FnMut(u32) -> bool) {
        if self.deadline() <= now {
            self.repeat_at = now + REPEAT_US;
            self.pids.retain(|&mut pid| kill(pid));
        }
    }
}
