//! What times out when: at most one deadline for each thread of a CPU.
//!
//! A heap that knows where each thread is, so that a wait that ends before its time (nearly all
//! do) takes its deadline along without a search.
//!
//! Deliberately absent: clocks, timers, what to do about it. Time is a number in whatever unit the
//! caller has.

use ant_abi::{MAX_THREADS, ThreadSlot};

/// Stands for: is not in the heap.
const NOWHERE: u8 = u8::MAX;

const _: () = assert!(MAX_THREADS <= NOWHERE as usize);

/// Deadlines of threads, by slot.
#[derive(Debug)]
pub struct Deadlines {
    len: usize,
    /// The first `len` are the slots that have a deadline, and the first of them is the earliest: the
    /// one at place `n` is before those at `2 * n + 1` and `2 * n + 2`.
    heap: [ThreadSlot; MAX_THREADS],
    /// Where each slot is in the heap; `NOWHERE` if it has no deadline.
    places: [u8; MAX_THREADS],
    /// Means something for those in the heap.
    whens: [u64; MAX_THREADS],
}

impl Deadlines {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        const FIRST: ThreadSlot = ThreadSlot::from_bits(0);
        Self {
            len: 0,
            heap: [FIRST; MAX_THREADS],
            places: [NOWHERE; MAX_THREADS],
            whens: [0; MAX_THREADS],
        }
    }

    /// From now on the deadline of `slot` is `when`, whatever it was.
    pub fn set(&mut self, slot: ThreadSlot, when: u64) {
        self.whens[slot.index()] = when;
        let mut place = usize::from(self.places[slot.index()]);
        if place == usize::from(NOWHERE) {
            place = self.len;
            self.len += 1;
            self.put(place, slot);
        }
        self.restore(place);
    }

    /// Whether `slot` has a deadline.
    #[inline]
    #[must_use]
    pub fn has(&self, slot: ThreadSlot) -> bool {
        self.places[slot.index()] != NOWHERE
    }

    /// `slot` has no deadline any more. The one that it had.
    pub fn clear(&mut self, slot: ThreadSlot) -> Option<u64> {
        let place = self.places[slot.index()];
        if place == NOWHERE {
            return None;
        }
        self.remove(usize::from(place));
        Some(self.whens[slot.index()])
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        (self.len > 0).then(|| self.key(0).0)
    }

    /// Takes out a slot with a deadline not after `now`: the earliest, and of several at the same
    /// time the lowest slot. To be called until there is none.
    pub fn take_due(&mut self, now: u64) -> Option<ThreadSlot> {
        if self.next()? > now {
            return None;
        }
        let slot = self.heap[0];
        self.remove(0);
        Some(slot)
    }

    /// Takes out what is at `place`; the last one fills the gap.
    fn remove(&mut self, place: usize) {
        self.places[self.heap[place].index()] = NOWHERE;
        self.len -= 1;
        if place < self.len {
            self.put(place, self.heap[self.len]);
            self.restore(place);
        }
    }

    /// Moves what is at `place`, which alone may be wrong there, to where it belongs.
    fn restore(&mut self, mut place: usize) {
        while place > 0 && self.key(place) < self.key((place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        while let Some(child) = self.earlier_child(place) {
            if self.key(place) < self.key(child) {
                break;
            }
            self.swap(place, child);
            place = child;
        }
    }

    fn earlier_child(&self, place: usize) -> Option<usize> {
        (2 * place + 1..self.len.min(2 * place + 3)).min_by_key(|&child| self.key(child))
    }

    /// What the heap is ordered by: no two are alike.
    fn key(&self, place: usize) -> (u64, ThreadSlot) {
        let slot = self.heap[place];
        (self.whens[slot.index()], slot)
    }

    fn swap(&mut self, a: usize, b: usize) {
        let (at_a, at_b) = (self.heap[a], self.heap[b]);
        self.put(a, at_b);
        self.put(b, at_a);
    }

    fn put(&mut self, place: usize, slot: ThreadSlot) {
        self.heap[place] = slot;
        self.places[slot.index()] = place as u8;
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
