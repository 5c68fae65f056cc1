//! What times out when: at most one deadline for each thread of a CPU.
//!
//! A heap that knows where each thread is, so that a wait that ends before its time (nearly all
//! do) takes its deadline along without a search.
//!
//! Deliberately absent: clocks, timers, what to do about it. Time is a number in whatever unit the
//! caller has.

use ant_abi::ThreadSlot;
use ant_abi::boot::TableSizes;

use crate::places::Places;

/// Stands for: is not in the heap.
const NOWHERE: u16 = u16::MAX;

const _: () = assert!(TableSizes::MOST.threads <= NOWHERE as u32);

/// Deadlines of threads, by slot.
#[derive(Debug)]
pub struct Deadlines {
    len: usize,
    places: Places<DeadlinePlace>,
}

/// A place of the heap, and what is known of the thread in one slot.
#[derive(Clone, Copy, Debug)]
pub struct DeadlinePlace {
    /// The first `len` places hold the slots that have a deadline, and the first of them is the
    /// earliest: the one at place `n` is before those at `2 * n + 1` and `2 * n + 2`.
    heap: ThreadSlot,
    /// Where the thread with this slot is in the heap; `NOWHERE` if it has no deadline.
    at: u16,
    /// Its deadline, if it is in the heap.
    when: u64,
}

impl DeadlinePlace {
    /// No deadline.
    pub const EMPTY: Self = Self { heap: ThreadSlot::from_bits(0), at: NOWHERE, when: 0 };
}

impl Deadlines {
    /// None. `places`: [`DeadlinePlace::EMPTY`], as many as the partition has threads.
    #[must_use]
    pub fn new(places: Places<DeadlinePlace>) -> Self {
        Self { len: 0, places }
    }

    /// From now on the deadline of `slot` is `when`, whatever it was.
    pub fn set(&mut self, slot: ThreadSlot, when: u64) {
        let its = &mut self.places[slot.index()];
        its.when = when;
        let mut place = usize::from(its.at);
        if its.at == NOWHERE {
            place = self.len;
            self.len += 1;
            self.put(place, slot);
        }
        self.restore(place);
    }

    /// Whether `slot` has a deadline.
    #[cfg(test)]
    fn has(&self, slot: ThreadSlot) -> bool {
        self.places[slot.index()].at != NOWHERE
    }

    /// `slot` has no deadline any more. The one that it had.
    pub fn clear(&mut self, slot: ThreadSlot) -> Option<u64> {
        let DeadlinePlace { at, when, .. } = self.places[slot.index()];
        if at == NOWHERE {
            return None;
        }
        self.remove(usize::from(at));
        Some(when)
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
        let slot = self.places[0].heap;
        self.remove(0);
        Some(slot)
    }

    /// Takes out what is at `place`; the last one fills the gap.
    fn remove(&mut self, place: usize) {
        self.places[self.places[place].heap.index()].at = NOWHERE;
        self.len -= 1;
        if place < self.len {
            self.put(place, self.places[self.len].heap);
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
        let slot = self.places[place].heap;
        (self.places[slot.index()].when, slot)
    }

    fn swap(&mut self, a: usize, b: usize) {
        let (at_a, at_b) = (self.places[a].heap, self.places[b].heap);
        self.put(a, at_b);
        self.put(b, at_a);
    }

    fn put(&mut self, place: usize, slot: ThreadSlot) {
        self.places[place].heap = slot;
        self.places[slot.index()].at = place as u16;
    }
}

#[cfg(test)]
mod tests;
