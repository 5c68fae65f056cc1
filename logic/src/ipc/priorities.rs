//! Priorities of the callers of one server.

use ant_abi::Priority;

/// How many there are of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priorities {
    counts: [u8; Priority::COUNT],
    /// Bit `n`: there is one of priority `n`.
    present: u8,
}

const _: () = assert!(Priority::COUNT == u8::BITS as usize);

impl Priorities {
    pub(super) const NONE: Self = Self { counts: [0; Priority::COUNT], present: 0 };

    /// One more.
    pub(super) fn add(&mut self, priority: Priority) {
        self.counts[priority.index()] += 1;
        self.present |= bit(priority);
    }

    /// One less.
    pub(super) fn remove(&mut self, priority: Priority) {
        let count = &mut self.counts[priority.index()];
        *count -= 1;
        if *count == 0 {
            self.present &= !bit(priority);
        }
    }

    /// The highest; the lowest of all if there is none.
    pub(super) fn highest(&self) -> Priority {
        Priority::from_bits(self.present.checked_ilog2().unwrap_or(0).into())
    }
}

const fn bit(priority: Priority) -> u8 {
    1 << priority.index()
}
