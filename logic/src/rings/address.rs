//! The address store: a ring with one producer and one consumer (paper 4.2, Fig. 6).
//!
//! It carries real addresses of LCAs between an AnT CPU and Linux. Its memory is
//! `ant_abi::store::AddressStore`, and the module has the same algorithm in C. The two sides share
//! nothing else: no lock, no pointer. Several producers on one side serialise themselves (the
//! module does, for returns).
//!
//! The other side is not trusted. Whatever it writes into the counters, no access leaves the ring
//! and no operation loops; what comes out may be nonsense, so the taker validates every entry.
//!
//! Deliberately absent: doorbells and waiting.

use super::Full;

use crate::atomic::{AtomicU32, AtomicU64, Ordering};

/// Entries that an [`AddressRing`] holds.
#[cfg(not(loom))]
pub const CAPACITY: usize = ant_abi::store::STORE_ENTRIES;
/// Entries that an [`AddressRing`] holds: few, so that a model checker meets the full ring soon.
#[cfg(loom)]
pub const CAPACITY: usize = 4;

const _: () = assert!(CAPACITY.is_power_of_two());

/// An address store in shared memory.
///
/// All of it is atomic, padding too, so that nothing the other side writes can break what Rust
/// assumes of a shared reference.
#[derive(Debug)]
#[repr(C)]
pub struct AddressRing {
    /// Entries ever put in (wraps). Written by the producer, with `Release`, after the entry; read
    /// by the consumer, with `Acquire`, before the entry.
    tail: AtomicU32,
    #[cfg(not(loom))]
    pad_tail: [AtomicU32; 15],
    /// Entries ever taken out (wraps). Written by the consumer, with `Release`, after it has read
    /// the entry; read by the producer, with `Acquire`, before it overwrites the entry.
    head: AtomicU32,
    #[cfg(not(loom))]
    pad_head: [AtomicU32; 15],
    /// Entry `n` is at `n % CAPACITY`. Written by the producer, read by the consumer; ordered by
    /// the counters.
    entries: [AtomicU64; CAPACITY],
}

#[cfg(not(loom))]
const _: () = {
    use ant_abi::store::AddressStore;
    use core::mem::offset_of;
    assert!(size_of::<AddressRing>() == size_of::<AddressStore>());
    assert!(offset_of!(AddressRing, tail) == offset_of!(AddressStore, tail));
    assert!(offset_of!(AddressRing, head) == offset_of!(AddressStore, head));
    assert!(offset_of!(AddressRing, entries) == offset_of!(AddressStore, entries));
};

impl AddressRing {
    /// An empty store.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new() -> Self {
        Self {
            tail: AtomicU32::new(0),
            pad_tail: [const { AtomicU32::new(0) }; 15],
            head: AtomicU32::new(0),
            pad_head: [const { AtomicU32::new(0) }; 15],
            entries: [const { AtomicU64::new(0) }; CAPACITY],
        }
    }

    /// An empty store.
    #[cfg(loom)]
    #[must_use]
    pub fn new() -> Self {
        Self {
            tail: AtomicU32::new(0),
            head: AtomicU32::new(0),
            entries: core::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Puts an entry in. Only the producer calls this.
    ///
    /// # Errors
    ///
    /// [`Full`] if `CAPACITY` entries wait, or if the counters make no sense: then nothing is
    /// written until the consumer has set them right.
    pub fn push(&self, entry: u64) -> Result<(), Full> {
        // Relaxed: only the producer writes it.
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `pop`, so the entry that we overwrite has been read.
        let head = self.head.load(Ordering::Acquire);
        if tail.wrapping_sub(head) as usize >= CAPACITY {
            return Err(Full);
        }
        self.entry(tail).store(entry, Ordering::Relaxed);
        // Release: pairs with the Acquire in `pop`, which then sees the entry.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the oldest entry out. Only the consumer calls this.
    ///
    /// Counters that make no sense (more entries than the ring holds) mean that the other side wrote
    /// what is not its own: everything in the ring is dropped, and it works again from there.
    pub fn pop(&self) -> Option<u64> {
        // Relaxed: only the consumer writes it.
        let head = self.head.load(Ordering::Relaxed);
        // Acquire: pairs with the Release in `push`, so the entry is there.
        let tail = self.tail.load(Ordering::Acquire);
        let waiting = tail.wrapping_sub(head) as usize;
        if waiting == 0 {
            return None;
        }
        if waiting > CAPACITY {
            self.head.store(tail, Ordering::Release);
            return None;
        }
        let entry = self.entry(head).load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `push`, which may overwrite the entry from now on.
        self.head.store(head.wrapping_add(1), Ordering::Release);
        Some(entry)
    }

    /// Whether nothing waits. Exact for the consumer; for others it was so a moment ago.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Acquire: a consumer that finds the store non-empty may take the entry.
        self.tail.load(Ordering::Acquire) == self.head.load(Ordering::Relaxed)
    }

    /// Where entry `n` is: always inside, since the capacity is a power of two.
    fn entry(&self, n: u32) -> &AtomicU64 {
        &self.entries[n as usize % CAPACITY]
    }
}

impl Default for AddressRing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
