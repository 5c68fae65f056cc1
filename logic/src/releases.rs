//! What is outstanding before a process or a thread that has ended can be reaped.
//!
//! Whatever outside the memory manager refers to it is one [`Release`]. The end is over when the set
//! is empty, in whatever order the releases come.

/// A party that has to let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Release {
    /// Other CPUs' IPC: no call of the thread is known there.
    Ipc = 0,
    /// Linux: no proxy and no mapping of the LCA.
    Linux = 1,
    /// The m-kernel: its reply to the thread's m-call has come.
    MCall = 2,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ipc, Self::Linux, Self::MCall];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The releases that are outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Releases(u8);

impl Releases {
    /// None: it can be reaped.
    pub const NONE: Self = Self(0);

    /// These are outstanding.
    #[must_use]
    pub fn of(releases: &[Release]) -> Self {
        Self(releases.iter().fold(0, |bits, release| bits | release.bit()))
    }

    /// Adds one that is outstanding.
    pub fn add(&mut self, release: Release) {
        self.0 |= release.bit();
    }

    /// One has come; to hear of it twice changes nothing.
    pub fn complete(&mut self, release: Release) {
        self.0 &= !release.bit();
    }

    /// Whether one is outstanding.
    #[must_use]
    pub const fn awaits(self, release: Release) -> bool {
        self.0 & release.bit() != 0
    }

    /// Whether none is outstanding.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_each_has_come_in_any_order() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut releases = Releases::of(&Release::ALL);
            for (came, index) in order.into_iter().enumerate() {
                assert!(!releases.is_empty(), "{came} of 3 have come");
                assert!(releases.awaits(Release::ALL[index]));
                releases.complete(Release::ALL[index]);
                releases.complete(Release::ALL[index]);
                assert!(!releases.awaits(Release::ALL[index]));
            }
            assert_eq!(releases, Releases::NONE);
        }
    }
}
