//! Where a process is to fail on purpose, and how: data that goes with it. `fault_injection` has it
//! fail there.

use ant_abi::Error;
use ant_abi::syscall::{INJECT_END, INJECT_LOOP};

/// How a process is to fail, and at which system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPoint {
    /// One of `ant_abi::syscall::INJECT_END` and what follows it.
    how: u32,
    /// System calls that it makes until then, with that one.
    calls: u32,
}

impl FaultPoint {
    /// In the way `how`, at system call number `calls` from now on. `Invalid`: there is no such way, or
    /// no such call.
    pub fn new(how: u64, calls: u64) -> Result<Self, Error> {
        let how = u32::try_from(how).ok().filter(|how| (INJECT_END..=INJECT_LOOP).contains(how));
        let calls = u32::try_from(calls).ok().filter(|&calls| calls > 0);
        Ok(Self { how: how.ok_or(Error::Invalid)?, calls: calls.ok_or(Error::Invalid)? })
    }

    /// Whether the process has not failed yet.
    pub(crate) fn is_pending(self) -> bool {
        self.calls > 0
    }

    /// Counts a system call. How the process fails at it: at the one that was asked for, and at each
    /// that follows.
    pub(crate) fn count_down(&mut self) -> Option<u32> {
        self.calls = self.calls.saturating_sub(1);
        (self.calls == 0).then_some(self.how)
    }

    /// From a word of another CPU.
    pub(crate) fn decode(word: u64) -> Self {
        Self { how: word as u32, calls: (word >> 32) as u32 }
    }

    /// As a word.
    pub(crate) fn encode(self) -> u64 {
        u64::from(self.how) | u64::from(self.calls) << 32
    }
}
