//! Whether a CPU needs a doorbell to look into its rings.
//!
//! A CPU that looks into them by itself (polls) says so, and a sender rings only one that does
//! not: an interrupt costs the sender, and more the one that takes it. The danger is that the owner
//! stops polling just when a sender sees that it polls, so that a packet lies there and is
//! not taken. Each side first writes, then reads what the other writes, with a fence in between; so at
//! least one of them sees the other.
//!
//! Deliberately absent: the rings, the doorbell, how long to poll.

use crate::atomic::{AtomicU32, Ordering, fence};

/// Whether one CPU polls its rings.
///
/// It has a line of the cache to itself: senders read it for each packet, and its owner writes it
/// seldom. Memory that is all zeros is a CPU that does not poll.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct DoorbellSuppression {
    /// 1 while its owner polls, else 0. Written by the owner, read by all senders; ordered by the
    /// fences in `stop_polling` and `needs_doorbell`, which pair with each other.
    polling: AtomicU32,
}

impl DoorbellSuppression {
    /// Of a CPU that does not poll.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { polling: AtomicU32::new(0) }
    }

    /// Of a CPU that does not poll.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { polling: AtomicU32::new(0) }
    }

    /// From now on the owner looks into its rings by itself, again and again, until it has called
    /// [`DoorbellSuppression::stop_polling`]. Only the owner calls this.
    #[inline]
    pub fn start_polling(&self) {
        // Relaxed: a sender that sees it late rings once too often, no more.
        self.polling.store(1, Ordering::Relaxed);
    }

    /// The owner relies on doorbells again. Only the owner calls this, and it **must look into each
    /// of its rings once more** afterwards: what it does not find there, a doorbell will announce.
    ///
    /// A doorbell can come between that look and the moment the CPU sleeps: it looks with
    /// interrupts off, and enables them by the instruction that goes to sleep.
    #[inline]
    pub fn stop_polling(&self) {
        self.polling.store(0, Ordering::Relaxed);
        // Pairs with the fence in `needs_doorbell`. If this one comes first, the sender sees the 0;
        // if it comes second, the owner sees the packet when it looks once more.
        fence(Ordering::SeqCst);
    }

    /// Whether the owner needs a doorbell for what the caller has just put into a ring of it. Any
    /// sender calls this, *after* its push.
    #[inline]
    #[must_use]
    pub fn needs_doorbell(&self) -> bool {
        // Pairs with the fence in `stop_polling`: the push before it, the load behind it.
        fence(Ordering::SeqCst);
        self.polling.load(Ordering::Relaxed) == 0
    }
}

impl Default for DoorbellSuppression {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
