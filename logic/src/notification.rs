//! Notification bits: any CPU raises them, the receiver's CPU takes them.
//!
//! A sender that raises a bit where none was tells the receiver's CPU, by a packet; one that raises a
//! bit beside others need not. A receiver can take bits that it has not been told of, so that the next one raised is a
//! first one again, and its packet one more: to keep that from filling a ring, no second packet is sent
//! while one is on its way ([`Notification::begin_wakeup`]). The danger is a bit that is raised while its receiver
//! takes the packet, so that no sender tells of it and no receiver looks. Both sides change the same word, so
//! one of them comes second: the sender then sends, or the receiver then sees the bit.
//!
//! The same danger is there when another process becomes the receiver: the sender looks for the
//! receiver after it has raised a bit, and the new receiver's CPU looks for bits ([`Notification::look`]).
//!
//! Deliberately absent: the packet, and the receiver.

use crate::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The bits of one place where a process receives.
///
/// Memory that is all zeros is one where none was raised.
#[derive(Debug)]
pub struct Notification {
    /// Raised, and not taken. Changed by any CPU.
    raised: AtomicU64,
    /// 1 while a packet that tells of them is on its way. Set by the sender, taken back by the CPU
    /// that it has come to, before that looks at `raised`; each change is ordered before and after what
    /// the other side did.
    wakeup_sent: AtomicU32,
}

impl Notification {
    /// None raised.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self { raised: AtomicU64::new(0), wakeup_sent: AtomicU32::new(0) }
    }

    /// None raised.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self { raised: AtomicU64::new(0), wakeup_sent: AtomicU32::new(0) }
    }

    /// Raises bits. Those that were raised before: if none was, the receiver must hear of it, which the caller
    /// looks for afterwards. Otherwise it will, from the sender of the first one.
    pub fn raise(&self, bits: u64) -> u64 {
        let before = self.raised.fetch_or(bits, Ordering::AcqRel);
        // Pairs with the fence in `look`: the caller sees the new receiver, or that sees the bits.
        fence(Ordering::SeqCst);
        before
    }

    /// The bits, which go on waiting. The receiver's CPU only.
    #[inline]
    #[must_use]
    pub fn raised(&self) -> u64 {
        // Relaxed: of what was raised just now, a packet tells.
        self.raised.load(Ordering::Relaxed)
    }

    /// Another process has become the receiver: its CPU sees, from here on, what was raised by senders that
    /// have not seen that.
    pub fn look(&self) {
        fence(Ordering::SeqCst);
    }

    /// A packet is about to be sent that tells of the bits. Whether it must be: none is on its way.
    pub fn begin_wakeup(&self) -> bool {
        // AcqRel: the CPU that takes the packet sees, from `end_wakeup` on, what was raised before this.
        self.wakeup_sent.swap(1, Ordering::AcqRel) == 0
    }

    /// The packet has come, or is lost; a sender that raises bits from now on sends another. The caller looks at
    /// the bits afterwards.
    pub fn end_wakeup(&self) {
        // A change, no store: it sees all that was before the last `begin_wakeup`, also of those that
        // have not sent a packet.
        self.wakeup_sent.swap(0, Ordering::AcqRel);
    }

    /// Whether bits wait. The receiver's CPU only.
    #[inline]
    #[must_use]
    pub fn any(&self) -> bool {
        self.raised() != 0
    }

    /// Takes the bits. The receiver's CPU only.
    pub fn take(&self) -> u64 {
        if self.any() { self.raised.swap(0, Ordering::AcqRel) } else { 0 }
    }

    /// Forgets them: the place is another's from now on.
    pub fn clear(&self) {
        self.raised.store(0, Ordering::Relaxed);
    }
}

impl Default for Notification {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_first_bit_is_told_of() {
        let bits = Notification::new();
        assert_eq!((bits.raise(1), bits.raise(6)), (0, 1));
        assert!(bits.any());
        assert_eq!((bits.take(), bits.take()), (7, 0));
        assert_eq!(bits.raise(1), 0);
    }

    #[test]
    fn one_packet_is_on_its_way() {
        let bits = Notification::new();
        assert!(bits.begin_wakeup() && !bits.begin_wakeup());
        bits.end_wakeup();
        assert!(bits.begin_wakeup());
    }
}
