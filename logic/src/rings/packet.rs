//! A ring of packets from one AnT CPU to another: one producer, one consumer.
//!
//! Both ends are AnT kernels, which trust each other; where the other end is Linux, the ring is
//! [`crate::rings::address::AddressRing`]. It is the same idea, but a packet is eight words, one line of the cache,
//! and the producer remembers how far the consumer was when it last looked: while there is room, no
//! line goes back and forth between the CPUs but those that carry packets and the one that says
//! how many.
//!
//! Deliberately absent: doorbells ([`crate::doorbell`]) and what a packet means.

use super::Full;

use crate::atomic::{AtomicU32, AtomicU64, Ordering};

/// Words of a packet.
pub const PACKET_WORDS: usize = 8;

/// What one CPU tells another.
pub type PacketWords = [u64; PACKET_WORDS];

/// Packets that a [`PacketRing`] holds.
#[cfg(not(loom))]
pub const CAPACITY: usize = 256;
/// Packets that a [`PacketRing`] holds: few, so that a model checker meets the full ring soon.
#[cfg(loom)]
pub const CAPACITY: usize = 4;

const _: () = assert!(CAPACITY.is_power_of_two());

/// A ring of packets from one CPU to another.
///
/// Memory that is all zeros is an empty ring.
#[derive(Debug)]
#[repr(C)]
pub struct PacketRing {
    produced: Produced,
    consumed: Consumed,
    /// Packet `n` is at `n % CAPACITY`. Written by the producer, read by the consumer; ordered by
    /// the counters.
    places: [Cell; CAPACITY],
}

/// The producer's line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Produced {
    /// Packets ever put in (wraps). Written by the producer, with `Release`, after the packet; read
    /// by the consumer, with `Acquire`, before the packet.
    tail: AtomicU32,
    /// What the producer last saw of `head`. Only the producer touches it.
    head_seen: AtomicU32,
}

/// The consumer's line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Consumed {
    /// Packets ever taken out (wraps). Written by the consumer, with `Release`, after it has read
    /// the packet; read by the producer, with `Acquire`, before it overwrites the packet.
    head: AtomicU32,
}

/// One packet: a line of the cache.
#[derive(Debug)]
#[repr(C, align(64))]
struct Cell([AtomicU64; PACKET_WORDS]);

#[cfg(not(loom))]
const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Cell>() == 64);
    assert!(offset_of!(PacketRing, consumed) == 64);
    assert!(offset_of!(PacketRing, places) == 128);
    assert!(size_of::<PacketRing>() == 128 + 64 * CAPACITY);
};

impl PacketRing {
    /// An empty ring.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            produced: Produced { tail: AtomicU32::new(0), head_seen: AtomicU32::new(0) },
            consumed: Consumed { head: AtomicU32::new(0) },
            places: [const { Cell([const { AtomicU64::new(0) }; PACKET_WORDS]) }; CAPACITY],
        }
    }

    /// An empty ring.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        use core::array;
        Self {
            produced: Produced { tail: AtomicU32::new(0), head_seen: AtomicU32::new(0) },
            consumed: Consumed { head: AtomicU32::new(0) },
            places: array::from_fn(|_| Cell(array::from_fn(|_| AtomicU64::new(0)))),
        }
    }

    /// Puts a packet in. Only the producer calls this.
    ///
    /// # Errors
    ///
    /// [`Full`] if `CAPACITY` packets wait.
    #[inline]
    pub fn push(&self, packet: &PacketWords) -> Result<(), Full> {
        self.push_if_below(packet, CAPACITY)
    }

    /// Puts a packet in if fewer than `limit` wait (at most `CAPACITY`, whatever `limit` is), so
    /// that there is room left for those that must not fail. Only the producer calls this.
    ///
    /// # Errors
    ///
    /// [`Full`] if that many wait.
    #[inline]
    pub fn push_if_below(&self, packet: &PacketWords, limit: usize) -> Result<(), Full> {
        // Relaxed: only the producer writes them.
        let tail = self.produced.tail.load(Ordering::Relaxed);
        if !self.has_room(limit.min(CAPACITY)) {
            return Err(Full);
        }
        for (word, value) in self.place(tail).iter().zip(packet) {
            word.store(*value, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `pop`, which then sees the packet.
        self.produced.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Whether fewer than `limit` packets wait. Only the producer calls this.
    #[inline]
    #[must_use]
    pub fn has_room(&self, limit: usize) -> bool {
        // Relaxed: only the producer writes them.
        let tail = self.produced.tail.load(Ordering::Relaxed);
        let head_seen = self.produced.head_seen.load(Ordering::Relaxed);
        // The consumer only ever goes forward: what had room then has room now.
        (tail.wrapping_sub(head_seen) as usize) < limit || self.len() < limit
    }

    /// Takes the oldest packet out. Only the consumer calls this.
    #[inline]
    pub fn pop(&self) -> Option<PacketWords> {
        // Relaxed: only the consumer writes it.
        let head = self.consumed.head.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `push_if_below`, so the packet is there.
        if self.produced.tail.load(Ordering::Acquire) == head {
            return None;
        }
        let place = self.place(head);
        let packet = core::array::from_fn(|n| place[n].load(Ordering::Relaxed));
        // Release: pairs with the Acquire in `len`, after which the packet may be overwritten.
        self.consumed.head.store(head.wrapping_add(1), Ordering::Release);
        Some(packet)
    }

    /// Whether nothing waits. Exact for the consumer; for the producer it may have become so since.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Acquire: a consumer that finds the ring non-empty may take the packet.
        let tail = self.produced.tail.load(Ordering::Acquire);
        tail == self.consumed.head.load(Ordering::Relaxed)
    }

    /// How many packets wait, at most. Only the producer calls this: by the time it looks at the
    /// answer there can be fewer, never more.
    #[must_use]
    pub fn len(&self) -> usize {
        // Acquire: pairs with the Release in `pop`, so a packet that is no longer counted has been
        // read and may be overwritten.
        let head = self.consumed.head.load(Ordering::Acquire);
        self.produced.head_seen.store(head, Ordering::Relaxed);
        self.produced.tail.load(Ordering::Relaxed).wrapping_sub(head) as usize
    }

    /// Where packet `n` is.
    #[inline]
    fn place(&self, n: u32) -> &[AtomicU64; PACKET_WORDS] {
        &self.places[n as usize % CAPACITY].0
    }
}

impl Default for PacketRing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
