//! Priorities of the callers of one server.

use ant_abi::ipc::PRIORITIES;

/// How many there are of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Priorities {
    counts: [u8; PRIORITIES],
    /// Bit `n`: there is one of priority `n`.
    present: u8,
}

const _: () = assert!(PRIORITIES == u8::BITS as usize);

impl Priorities {
    pub(super) const NONE: Self = Self { counts: [0; PRIORITIES], present: 0 };

    /// One more.
    pub(super) fn add(&mut self, priority: u8) {
        self.counts[usize::from(priority) % PRIORITIES] += 1;
        self.present |= bit(priority);
    }

    /// One less.
    pub(super) fn remove(&mut self, priority: u8) {
        let count = &mut self.counts[usize::from(priority) % PRIORITIES];
        *count -= 1;
        if *count == 0 {
            self.present &= !bit(priority);
        }
    }

    /// The highest; 0 if there is none.
    pub(super) fn highest(&self) -> u8 {
        self.present.checked_ilog2().unwrap_or(0) as u8
    }
}

const fn bit(priority: u8) -> u8 {
    1 << (priority as usize % PRIORITIES)
}
