//! Restart policy: whether a server that has ended is restarted, and when.
//!
//! The first restart is immediate, since the cause may be transient; each further one comes after a
//! pause that doubles; too many within the policy's time, and the server is given up. Restarts that
//! are older than that time do not count.
//!
//! Deliberately absent: clocks, servers, how to start one. Time is a number in the caller's unit.

use arrayvec::ArrayVec;

/// The most restarts that a policy can allow within its time: so many a [`History`] remembers.
pub const TRIES_MAX: u32 = 16;

/// The pause doubles so many times at most.
pub const DOUBLINGS_MAX: u32 = 6;

/// How often a server is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Restarts within any time of length `within`, at most; what is more than `TRIES_MAX` counts as
    /// that. 0: it is never restarted.
    pub tries: u32,
    /// How long a restart counts.
    pub within: u64,
    /// Pause before the second restart; before the first there is none, before the third twice as
    /// long, and so on, up to `delay << DOUBLINGS_MAX`.
    pub delay: u64,
}

/// What is to become of a server that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is restarted.
    Again {
        /// When: not before the time that was given as now.
        at: u64,
    },
    /// It is given up.
    GiveUp,
}

/// The restarts of one server.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// When it was restarted, in order; those that can still count.
    restarts: ArrayVec<u64, { TRIES_MAX as usize }>,
    count: u32,
}

impl History {
    /// Of a server that was started for the first time.
    #[must_use]
    pub const fn new() -> Self {
        Self { restarts: ArrayVec::new_const(), count: 0 }
    }

    /// The server has ended at `now`: decides what becomes of it. A restart counts from here on as done.
    pub fn ended(&mut self, policy: Policy, now: u64) -> Verdict {
        self.restarts.retain(|at| at.saturating_add(policy.within) > now);
        if self.restarts.len() >= policy.tries.min(TRIES_MAX) as usize {
            return Verdict::GiveUp;
        }
        let at = now.saturating_add(pause(policy.delay, self.restarts.len() as u32));
        self.restarts.push(at);
        self.count = self.count.saturating_add(1);
        Verdict::Again { at }
    }

    /// How often it was restarted, in all.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}

/// How long to wait when there were `before` restarts that count.
fn pause(delay: u64, before: u32) -> u64 {
    match before.checked_sub(1) {
        None => 0,
        Some(doublings) => delay.saturating_mul(1 << doublings.min(DOUBLINGS_MAX)),
    }
}

#[cfg(test)]
mod tests;
