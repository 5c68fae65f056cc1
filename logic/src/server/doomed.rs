//! Processes that are to end: the kernel may be too busy to take that in, so it is told again until
//! they have.

use ant_abi::MAX_PROCESSES;
use arrayvec::ArrayVec;

/// How soon it is told again.
const AGAIN_US: u64 = 100_000;

/// Processes that were to end, and have not.
#[derive(Debug, Default)]
pub struct Doomed {
    pids: ArrayVec<u32, MAX_PROCESSES>,
    again_at: u64,
}

impl Doomed {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self { pids: ArrayVec::new_const(), again_at: 0 }
    }

    /// A process was told to end.
    pub fn add(&mut self, pid: u32, now: u64) {
        if self.pids.is_empty() {
            self.again_at = now + AGAIN_US;
        }
        if !self.pids.contains(&pid) {
            // There are no more processes than this has room for.
            let _ = self.pids.try_push(pid);
        }
    }

    /// A process has ended.
    pub fn ended(&mut self, pid: u32) {
        self.pids.retain(|&mut doomed| doomed != pid);
    }

    /// When they are to be told again; `u64::MAX` for never.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        if self.pids.is_empty() { u64::MAX } else { self.again_at }
    }

    /// If it is time, tells each again. `kill` says whether there is such a process still.
    pub fn advance(&mut self, now: u64, mut kill: impl FnMut(u32) -> bool) {
        if self.deadline() <= now {
            self.again_at = now + AGAIN_US;
            self.pids.retain(|&mut pid| kill(pid));
        }
    }
}
