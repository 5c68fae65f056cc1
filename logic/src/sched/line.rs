//! Ready lists: the runnable threads of each priority, in order.
//!
//! The lists are linked through an array that has a place for every slot, so that one can leave from
//! the middle without a search.

use ant_abi::{MAX_THREADS, Priority, ThreadSlot};

const _: () = assert!(MAX_THREADS <= u128::BITS as usize);
const _: () = assert!(Priority::COUNT <= u8::BITS as usize);

/// A neighbour in a list: a slot, or the end, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u8);

const _: () = assert!(MAX_THREADS <= Link::END.0 as usize);

impl Link {
    /// The end of the list.
    const END: Self = Self(u8::MAX);

    fn slot(self) -> Option<ThreadSlot> {
        ThreadSlot::new(usize::from(self.0))
    }
}

impl From<ThreadSlot> for Link {
    fn from(slot: ThreadSlot) -> Self {
        Self(slot.index() as u8)
    }
}

/// One list for each priority.
#[derive(Debug)]
pub(super) struct ReadyLists {
    /// Bit `p`: the list of priority `p` is not empty.
    filled: u8,
    /// Bit `id`: it is in a list. Everything else about a slot means something only then.
    present: u128,
    /// First of each list.
    first: [Link; Priority::COUNT],
    /// Last of each list.
    last: [Link; Priority::COUNT],
    /// Where each slot is.
    places: [Links; MAX_THREADS],
}

/// Where a slot is: its neighbours, and in which list.
#[derive(Clone, Copy, Debug)]
struct Links {
    before: Link,
    behind: Link,
    priority: Priority,
}

impl ReadyLists {
    /// All lists are empty.
    pub(super) const fn new() -> Self {
        let place = Links { before: Link::END, behind: Link::END, priority: Priority::LOWEST };
        Self {
            filled: 0,
            present: 0,
            first: [Link::END; Priority::COUNT],
            last: [Link::END; Priority::COUNT],
            places: [place; MAX_THREADS],
        }
    }

    pub(super) fn contains(&self, id: ThreadSlot) -> bool {
        self.present & (1 << id.index()) != 0
    }

    /// Whether the list of `priority` is not empty.
    pub(super) fn has(&self, priority: Priority) -> bool {
        self.filled & (1 << priority.index()) != 0
    }

    /// Priority of the highest list that is not empty.
    pub(super) fn highest(&self) -> Option<Priority> {
        self.filled.checked_ilog2().map(|priority| Priority::from_bits(priority.into()))
    }

    /// How many slots are in lists.
    pub(super) fn len(&self) -> usize {
        self.present.count_ones() as usize
    }

    /// Puts `id`, which is in no list, behind all others of `priority`.
    pub(super) fn push_back(&mut self, id: ThreadSlot, priority: Priority) {
        let before = self.last[priority.index()];
        self.link(id, Links { before, behind: Link::END, priority });
    }

    /// Puts `id`, which is in no list, before all others of `priority`.
    pub(super) fn push_front(&mut self, id: ThreadSlot, priority: Priority) {
        let behind = self.first[priority.index()];
        self.link(id, Links { before: Link::END, behind, priority });
    }

    /// Takes the first of the highest list out: the slot, and its priority.
    pub(super) fn pop(&mut self) -> Option<(ThreadSlot, Priority)> {
        let priority = self.highest()?;
        let id = self.first[priority.index()].slot()?;
        self.remove(id);
        Some((id, priority))
    }

    /// Takes `id` out; whether it was in a list.
    pub(super) fn remove(&mut self, id: ThreadSlot) -> bool {
        if !self.contains(id) {
            return false;
        }
        let Links { before, behind, priority } = self.places[id.index()];
        self.set_behind(before, priority, behind);
        self.set_before(behind, priority, before);
        self.present &= !(1 << id.index());
        if self.first[priority.index()] == Link::END {
            self.filled &= !(1 << priority.index());
        }
        true
    }

    fn link(&mut self, id: ThreadSlot, place: Links) {
        self.places[id.index()] = place;
        self.set_behind(place.before, place.priority, id.into());
        self.set_before(place.behind, place.priority, id.into());
        self.present |= 1 << id.index();
        self.filled |= 1 << place.priority.index();
    }

    /// Says that `link` comes behind `of`; behind the end means first.
    fn set_behind(&mut self, of: Link, priority: Priority, link: Link) {
        match of.slot() {
            Some(of) => self.places[of.index()].behind = link,
            None => self.first[priority.index()] = link,
        }
    }

    /// Says that `link` comes before `of`; before the end means last.
    fn set_before(&mut self, of: Link, priority: Priority, link: Link) {
        match of.slot() {
            Some(of) => self.places[of.index()].before = link,
            None => self.last[priority.index()] = link,
        }
    }
}
