//! Some threads, each once, in no order.

use ant_abi::ThreadSlot;

use crate::places::Places;

/// A list of threads.
#[derive(Debug)]
pub struct SlotList {
    len: usize,
    slots: Places<ThreadSlot>,
}

impl SlotList {
    /// An empty list; `slots` is its memory: as many as the partition has threads.
    #[must_use]
    pub fn new(slots: Places<ThreadSlot>) -> Self {
        Self { len: 0, slots }
    }

    /// Those in it.
    #[inline]
    #[must_use]
    pub fn all(&self) -> &[ThreadSlot] {
        &self.slots[..self.len]
    }

    /// Puts a thread in, unless it is there.
    pub fn insert(&mut self, slot: ThreadSlot) {
        if !self.all().contains(&slot) {
            self.slots[self.len] = slot;
            self.len += 1;
        }
    }

    /// Takes a thread out, if it is there.
    pub fn remove(&mut self, slot: ThreadSlot) {
        if let Some(at) = self.all().iter().position(|its| *its == slot) {
            self.len -= 1;
            self.slots[at] = self.slots[self.len];
        }
    }

    /// Takes one out.
    pub fn pop(&mut self) -> Option<ThreadSlot> {
        self.len = self.len.checked_sub(1)?;
        Some(self.slots[self.len])
    }

    /// Whether there is none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::test_ids::{places, slot_no};

    #[test]
    fn each_is_there_once() {
        let mut list = SlotList::new(places(slot_no(0), 3));
        [2, 0, 2, 1].map(slot_no).into_iter().for_each(|slot| list.insert(slot));
        assert_eq!(list.all(), [2, 0, 1].map(slot_no));
        list.remove(slot_no(2));
        list.remove(slot_no(2));
        assert_eq!(list.pop(), Some(slot_no(0)));
        assert_eq!(list.pop(), Some(slot_no(1)));
        assert!(list.pop().is_none() && list.is_empty());
    }
}
