//! Notification bits that wait at an endpoint, and the priorities with which they were raised.

use ant_abi::Priority;
use ant_abi::ipc::NOTIFY_USER;

/// Where the priorities begin: above the bits that processes may raise. Those of the kernel alone are
/// above both.
const PRIORITIES_SHIFT: u32 = NOTIFY_USER.count_ones();
const PRIORITIES: u64 = ((1 << Priority::COUNT) - 1) << PRIORITIES_SHIFT;

/// Bits that were raised, and for each priority whether it was one of theirs, in one word, so that
/// they are raised and taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised(pub u64);

impl Raised {
    /// None.
    pub const NONE: Self = Self(0);

    /// These bits, raised with this priority. Without bits: a receiver has to run with the priority, for
    /// what waits there already.
    #[inline]
    #[must_use]
    pub const fn new(bits: u64, priority: Priority) -> Self {
        Self(bits & !PRIORITIES | (1 << priority.bits()) << PRIORITIES_SHIFT)
    }

    /// The bits.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0 & !PRIORITIES
    }

    /// The highest of their priorities; the lowest of all if there is none.
    #[inline]
    #[must_use]
    pub fn priority(self) -> Priority {
        let priorities = (self.0 & PRIORITIES) >> PRIORITIES_SHIFT;
        Priority::from_bits(priorities.checked_ilog2().unwrap_or(0).into())
    }

    /// Whether the receiver's CPU has to hear of these, raised where `before` were: they are the first, or of a
    /// higher priority.
    #[inline]
    #[must_use]
    pub fn is_news(self, before: Self) -> bool {
        before == Self::NONE || self.priority() > before.priority()
    }
}
