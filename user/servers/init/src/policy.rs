//! Whether a server that has ended is started again.

/// At most `tries` starts within `within` of the first, each `delay` after the end.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub tries: u32,
    pub within: u64,
    pub delay: u64,
}

/// The ends that count together.
#[derive(Clone, Debug, Default)]
pub struct History {
    first: u64,
    count: u32,
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// Start it again.
    Again { at: u64 },
    /// It has ended too often.
    GiveUp,
}

impl History {
    /// The server has ended.
    pub fn ended(&mut self, policy: &Policy, now: u64) -> Verdict {
        if now - self.first > policy.within {
            *self = Self { first: now, count: 0 };
        }
        self.count += 1;
        if self.count > policy.tries {
            return Verdict::GiveUp;
        }
        Verdict::Again { at: now + policy.delay }
    }
}
