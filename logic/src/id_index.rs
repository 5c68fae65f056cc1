//! From an id that is never used twice to the slot that its object is in, without a search.
//!
//! An id's bucket is its low bits. If that is taken, the allocator passes over the id, so a bucket
//! holds one living id and a look-up is one load. There are more buckets than slots, so there is
//! always a free one.
//!
//! One CPU allocates and frees; any CPU looks up. A look-up says where the object of that id is, if
//! it lives: the reader compares the id that the slot holds.

use crate::atomic::{AtomicU32, Ordering};

/// Index of a table with at most half as many slots as there are buckets.
#[derive(Clone, Copy, Debug)]
pub struct IdIndex<'a> {
    /// By bucket: slot + 1, 0 for none. Written by the allocating CPU, read by all; the reader
    /// checks what it finds in the slot, which is published apart, so no order is needed here.
    buckets: &'a [AtomicU32],
}

/// Buckets of the index of a table with `slots`.
#[must_use]
pub const fn buckets(slots: usize) -> usize {
    (2 * slots).next_power_of_two()
}

impl<'a> IdIndex<'a> {
    /// The index in this memory, zeros at first: as many as [`buckets`] says.
    ///
    /// # Panics
    ///
    /// They are not a power of two.
    #[inline]
    #[must_use]
    pub fn new(buckets: &'a [AtomicU32]) -> Self {
        assert!(buckets.len().is_power_of_two());
        Self { buckets }
    }

    fn bucket(&self, id: u32) -> &'a AtomicU32 {
        &self.buckets[id as usize & (self.buckets.len() - 1)]
    }

    /// The next id after `last` with a free bucket, for the object in `slot`. 0 is no id.
    ///
    /// # Panics
    ///
    /// All buckets are taken: the table has more slots than half of them.
    #[must_use]
    pub fn allocate(&self, last: u32, slot: usize) -> u32 {
        let ids = (1..=self.buckets.len() as u32 + 1).map(|step| last.wrapping_add(step));
        let is_free = |id: &u32| *id != 0 && self.bucket(*id).load(Ordering::Relaxed) == 0;
        let id = { ids }.find(is_free).expect("there are more buckets than slots");
        self.bucket(id).store(slot as u32 + 1, Ordering::Relaxed);
        id
    }

    /// Frees the bucket of an id after its object is gone.
    pub fn free(&self, id: u32) {
        self.bucket(id).store(0, Ordering::Relaxed);
    }

    /// The slot that the object of `id` is in, if that lives. Low bits of an id suffice, if they are
    /// at least as many as tell buckets apart.
    #[inline]
    #[must_use]
    pub fn slot(&self, id: u32) -> Option<usize> {
        match self.bucket(id).load(Ordering::Relaxed) {
            0 => None,
            slot => Some(slot as usize - 1),
        }
    }
}

#[cfg(test)]
mod tests;
