//! Slots in line, one line for each priority.
//!
//! The lines are linked through arrays that have a place for every slot, so that one can leave from
//! the middle without a search.

use ant_abi::MAX_PROCESSES;
use ant_abi::ipc::PRIORITIES;

/// Stands for no slot.
const NOBODY: u8 = u8::MAX;

const _: () = assert!(MAX_PROCESSES <= NOBODY as usize && MAX_PROCESSES <= u128::BITS as usize);
const _: () = assert!(PRIORITIES <= u8::BITS as usize);

/// One line for each priority.
#[derive(Debug)]
pub(super) struct ReadyLists {
    /// Bit `p`: somebody is in the line of priority `p`.
    filled: u8,
    /// Bit `id`: it is in a line. Everything else about a slot means something only then.
    present: u128,
    /// First of each line; `NOBODY` if it is empty.
    first: [u8; PRIORITIES],
    /// Last of each line; `NOBODY` if it is empty.
    last: [u8; PRIORITIES],
    /// Who comes before and behind each, and in which line.
    places: [Place; MAX_PROCESSES],
}

#[derive(Clone, Copy, Debug)]
struct Place {
    before: u8,
    behind: u8,
    priority: u8,
}

/// # Panics
///
/// If there is no such slot.
pub(super) fn assert_slot(id: u8) {
    assert!(usize::from(id) < MAX_PROCESSES, "no process has slot {id}");
}

/// # Panics
///
/// If there is no such priority.
pub(super) fn assert_priority(priority: u8) {
    assert!(usize::from(priority) < PRIORITIES, "there is no priority {priority}");
}

impl ReadyLists {
    /// Nobody is in line.
    pub(super) const fn new() -> Self {
        Self {
            filled: 0,
            present: 0,
            first: [NOBODY; PRIORITIES],
            last: [NOBODY; PRIORITIES],
            places: [Place { before: NOBODY, behind: NOBODY, priority: 0 }; MAX_PROCESSES],
        }
    }

    pub(super) fn contains(&self, id: u8) -> bool {
        usize::from(id) < MAX_PROCESSES && self.present & (1 << id) != 0
    }

    /// Whether somebody is in the line of `priority`.
    pub(super) fn has(&self, priority: u8) -> bool {
        self.filled & (1 << priority) != 0
    }

    /// Priority of the highest line that is not empty.
    pub(super) fn highest(&self) -> Option<u8> {
        self.filled.checked_ilog2().map(|priority| priority as u8)
    }

    /// How many are in line.
    pub(super) fn len(&self) -> usize {
        self.present.count_ones() as usize
    }

    /// Puts `id`, which is in no line, behind all others of `priority`.
    pub(super) fn push_back(&mut self, id: u8, priority: u8) {
        assert_priority(priority);
        let before = self.last[usize::from(priority)];
        self.link(id, Place { before, behind: NOBODY, priority });
    }

    /// Puts `id`, which is in no line, before all others of `priority`.
    pub(super) fn push_front(&mut self, id: u8, priority: u8) {
        assert_priority(priority);
        let behind = self.first[usize::from(priority)];
        self.link(id, Place { before: NOBODY, behind, priority });
    }

    /// Takes the first of the highest line out; who it is, and its priority.
    pub(super) fn pop(&mut self) -> Option<(u8, u8)> {
        let priority = self.highest()?;
        let id = self.first[usize::from(priority)];
        self.remove(id);
        Some((id, priority))
    }

    /// Takes `id` out; whether it was in a line.
    pub(super) fn remove(&mut self, id: u8) -> bool {
        if !self.contains(id) {
            return false;
        }
        let Place { before, behind, priority } = self.places[usize::from(id)];
        self.set_behind(before, priority, behind);
        self.set_before(behind, priority, before);
        self.present &= !(1 << id);
        if self.first[usize::from(priority)] == NOBODY {
            self.filled &= !(1 << priority);
        }
        true
    }

    fn link(&mut self, id: u8, place: Place) {
        self.places[usize::from(id)] = place;
        self.set_behind(place.before, place.priority, id);
        self.set_before(place.behind, place.priority, id);
        self.present |= 1 << id;
        self.filled |= 1 << place.priority;
    }

    /// Says that `id` comes behind `of`; behind nobody means first.
    fn set_behind(&mut self, of: u8, priority: u8, id: u8) {
        match self.places.get_mut(usize::from(of)) {
            Some(place) => place.behind = id,
            None => self.first[usize::from(priority)] = id,
        }
    }

    /// Says that `id` comes before `of`; before nobody means last.
    fn set_before(&mut self, of: u8, priority: u8, id: u8) {
        match self.places.get_mut(usize::from(of)) {
            Some(place) => place.before = id,
            None => self.last[usize::from(priority)] = id,
        }
    }
}
