//! Ready lists: the runnable threads of each priority, in order.
//!
//! The lists are linked through a table that has a place for every slot, so that one can leave from
//! the middle without a search.

use ant_abi::{Priority, ThreadSlot};

use crate::places::Places;

const _: () = assert!(Priority::COUNT <= u8::BITS as usize);

/// How long one that waits may run when it gets the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantum {
    /// A slice.
    Whole,
    /// What was left when the CPU was taken from it.
    Rest(u64),
    /// Until then: it has let another run in its slice.
    Until(u64),
}

/// One list for each priority.
#[derive(Debug)]
pub(super) struct ReadyLists {
    /// Bit `p`: the list of priority `p` is not empty.
    filled: u8,
    /// How many slots are in lists.
    len: usize,
    /// First and last of each list that is not empty.
    ends: [Ends; Priority::COUNT],
    /// Where each slot is.
    places: Places<RunPlace>,
}

/// The ends of a list.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    first: Option<ThreadSlot>,
    last: Option<ThreadSlot>,
}

/// Where the thread in one slot is: nowhere, or in a list, between its neighbours.
#[derive(Clone, Copy, Debug)]
pub struct RunPlace(Option<Links>);

impl RunPlace {
    /// In no list.
    pub const EMPTY: Self = Self(None);
}

#[derive(Clone, Copy, Debug)]
struct Links {
    before: Option<ThreadSlot>,
    behind: Option<ThreadSlot>,
    priority: Priority,
    /// How long it may run when it gets the CPU.
    turn: Quantum,
}

impl ReadyLists {
    /// All lists are empty.
    pub(super) fn new(places: Places<RunPlace>) -> Self {
        Self { filled: 0, len: 0, ends: Default::default(), places }
    }

    pub(super) fn contains(&self, id: ThreadSlot) -> bool {
        self.places[id.index()].0.is_some()
    }

    /// Whether the list of `priority` is not empty.
    pub(super) fn has(&self, priority: Priority) -> bool {
        self.filled & (1 << priority.index()) != 0
    }

    /// Priority of the highest list that is not empty.
    #[inline]
    pub(super) fn highest(&self) -> Option<Priority> {
        self.filled.checked_ilog2().map(|priority| Priority::from_bits(priority.into()))
    }

    /// How many slots are in lists.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Puts `id`, which is in no list, behind all others of `priority`.
    pub(super) fn push_back(&mut self, id: ThreadSlot, priority: Priority) {
        let before = self.ends[priority.index()].last;
        self.link(id, Links { before, behind: None, priority, turn: Quantum::Whole });
    }

    /// Puts `id`, which is in no list, before all others of `priority`.
    pub(super) fn push_front(&mut self, id: ThreadSlot, priority: Priority, turn: Quantum) {
        let behind = self.ends[priority.index()].first;
        self.link(id, Links { before: None, behind, priority, turn });
    }

    /// Takes the first of the highest list out: the slot, its priority, and how long it may run.
    pub(super) fn pop(&mut self) -> Option<(ThreadSlot, Priority, Quantum)> {
        let priority = self.highest()?;
        let id = self.ends[priority.index()].first?;
        let links = self.take(id)?;
        Some((id, priority, links.turn))
    }

    /// Takes `id` out; whether it was in a list.
    pub(super) fn remove(&mut self, id: ThreadSlot) -> bool {
        self.take(id).is_some()
    }

    fn take(&mut self, id: ThreadSlot) -> Option<Links> {
        let links = self.places[id.index()].0.take()?;
        let Links { before, behind, priority, .. } = links;
        self.set_behind(before, priority, behind);
        self.set_before(behind, priority, before);
        self.len -= 1;
        if self.ends[priority.index()].first.is_none() {
            self.filled &= !(1 << priority.index());
        }
        Some(links)
    }

    fn link(&mut self, id: ThreadSlot, links: Links) {
        self.places[id.index()] = RunPlace(Some(links));
        self.set_behind(links.before, links.priority, Some(id));
        self.set_before(links.behind, links.priority, Some(id));
        self.len += 1;
        self.filled |= 1 << links.priority.index();
    }

    /// Says that `next` comes behind `of`; behind none means first.
    fn set_behind(&mut self, of: Option<ThreadSlot>, priority: Priority, next: Option<ThreadSlot>) {
        match of {
            Some(of) => self.links(of).behind = next,
            None => self.ends[priority.index()].first = next,
        }
    }

    /// Says that `previous` comes before `of`; before none means last.
    fn set_before(
        &mut self,
        of: Option<ThreadSlot>,
        priority: Priority,
        previous: Option<ThreadSlot>,
    ) {
        match of {
            Some(of) => self.links(of).before = previous,
            None => self.ends[priority.index()].last = previous,
        }
    }

    /// The links of one that is in a list.
    fn links(&mut self, id: ThreadSlot) -> &mut Links {
        self.places[id.index()].0.as_mut().expect("a neighbour is in a list")
    }
}
