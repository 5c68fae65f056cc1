//! The run queue of one CPU: fixed priorities, round robin within one priority, tickless.
//!
//! It knows threads by their slots, and time by the number it is given, in whatever unit the slice
//! is in. It holds the runnable threads only; blocked ones, and their priorities, are not tracked.
//!
//! Every operation takes the same short time, however many are runnable: IPC goes through here on
//! its way from one thread to the other.
//!
//! Deliberately absent: clocks, timers, what a thread is, priorities that change by themselves
//! (a low one can wait for ever: the policy that gives priorities sees to that).

mod line;

use ant_abi::{Priority, ThreadSlot};

use crate::places::Places;
pub use line::RunPlace;
use line::{Quantum, ReadyLists};

/// Which thread runs next.
#[derive(Debug)]
pub struct RunQueue {
    slice: u64,
    current: Option<Running>,
    /// When the slice of `current` is over. Stays when `current` leaves, for `switch_to`.
    slice_end: u64,
    /// Runnable, in the order in which they get the CPU. Never holds `current`, none twice.
    waiting: ReadyLists,
}

/// The thread that has the CPU.
#[derive(Clone, Copy, Debug)]
struct Running {
    id: ThreadSlot,
    priority: Priority,
}

impl RunQueue {
    /// An empty queue, where each may run for `slice` when others of its priority wait. `places`:
    /// [`RunPlace::EMPTY`], as many as the partition has threads.
    #[must_use]
    pub fn new(slice: u64, places: Places<RunPlace>) -> Self {
        Self { slice, current: None, slice_end: 0, waiting: ReadyLists::new(places) }
    }

    /// Makes `id` runnable, behind all others of `priority`. Nothing happens if it is already.
    pub fn add(&mut self, id: ThreadSlot, priority: Priority) {
        if !self.is_runnable(id) {
            self.push_back(id, priority);
        }
    }

    /// Makes `id` not runnable, whether it has the CPU or waits for it. Says whether it was
    /// runnable.
    pub fn remove(&mut self, id: ThreadSlot) -> bool {
        if self.current() == Some(id) {
            self.current = None;
            return true;
        }
        self.waiting.remove(id)
    }

    /// Gives `id` another priority, behind the others that have it, with a whole slice. If `id` has
    /// the CPU, it keeps that until the next `pick` and what it has of its slice. Nothing happens
    /// if it is not runnable.
    pub fn set_priority(&mut self, id: ThreadSlot, priority: Priority) {
        match &mut self.current {
            Some(current) if current.id == id => current.priority = priority,
            _ => {
                if self.waiting.remove(id) {
                    self.push_back(id, priority);
                }
            }
        }
    }

    /// The thread that has the CPU.
    #[must_use]
    pub fn current(&self) -> Option<ThreadSlot> {
        self.current.map(|current| current.id)
    }

    /// Priority of the one that has the CPU.
    #[must_use]
    pub fn priority_of_current(&self) -> Option<Priority> {
        self.current.map(|current| current.priority)
    }

    /// Decides which thread has the CPU from `now` on.
    ///
    /// The one that has it keeps it, unless one of a higher priority is runnable, or its slice is
    /// over and one of its own priority waits. If one of a higher priority takes the CPU from it,
    /// it is the first of its priority to get it back, for the rest of its slice.
    #[inline]
    pub fn pick(&mut self, now: u64) -> Option<ThreadSlot> {
        if let Some(current) = self.current
            && self.keeps_cpu(current, now)
        {
            return Some(current.id);
        }
        self.pick_another(now)
    }

    #[inline(never)]
    fn pick_another(&mut self, now: u64) -> Option<ThreadSlot> {
        if let Some(current) = self.current {
            self.put_back(current, now);
        }
        let next = self.waiting.pop();
        self.current = next.map(|(id, priority, _)| Running { id, priority });
        let (id, _, turn) = next?;
        self.slice_end = match turn {
            Quantum::Whole => now.saturating_add(self.slice),
            Quantum::Rest(rest) => now.saturating_add(rest),
            Quantum::Until(end) => end,
        };
        Some(id)
    }

    /// Makes `id`, which was not runnable, the current one at once, in the rest of the slice of the
    /// one that had the CPU last. Says whether it did: if one of a higher priority is runnable
    /// (with the CPU or without), this is [`RunQueue::add`].
    ///
    /// The one that had the CPU has left it (`block_current`, `remove`), or is then the first of
    /// its priority to get it back: in the same slice, which goes on meanwhile, so that two that
    /// pass the CPU to each other do not keep a third from it.
    ///
    /// Nothing happens if `id` is runnable already.
    pub fn switch_to(&mut self, id: ThreadSlot, priority: Priority) -> bool {
        if self.is_runnable(id) {
            return self.current() == Some(id);
        }
        if self.waiting.highest().max(self.priority_of_current()) > Some(priority) {
            self.push_back(id, priority);
            return false;
        }
        if let Some(former) = self.current.replace(Running { id, priority }) {
            self.push_front(former.id, former.priority, Quantum::Until(self.slice_end));
        }
        true
    }

    /// Whether the current one, if it left, or an idle CPU, if none is runnable, could pass the CPU to
    /// one of `priority` that is not runnable: no other would get it, and
    /// [`RunQueue::deadline`] stays as it is.
    #[inline]
    #[must_use]
    pub fn can_pass(&self, priority: Priority) -> bool {
        match (self.current, self.waiting.highest()) {
            (_, None) => true,
            (Some(current), Some(highest)) => current.priority == priority && highest <= priority,
            (None, _) => false,
        }
    }

    /// The current one leaves; `id`, which was not runnable, has the CPU for the rest of the
    /// slice of the one that had it last. To be asked for only after [`RunQueue::can_pass`] has said so: this
    /// is then the same as [`RunQueue::block_current`] and [`RunQueue::switch_to`].
    #[inline]
    pub fn pass(&mut self, id: ThreadSlot, priority: Priority) {
        debug_assert!(self.can_pass(priority) && !self.is_runnable(id));
        self.current = Some(Running { id, priority });
    }

    /// Sends the current one behind all others of its priority; none has the CPU until the next
    /// `pick`.
    pub fn yield_current(&mut self) {
        if let Some(Running { id, priority }) = self.current.take() {
            self.push_back(id, priority);
        }
    }

    /// Makes the current one not runnable; says which it was.
    pub fn block_current(&mut self) -> Option<ThreadSlot> {
        self.current.take().map(|current| current.id)
    }

    /// When `pick` must be asked again: the end of the current one's slice, if others of its
    /// priority wait.
    ///
    /// It can be in the past, when others came after a long time alone. `None` means that no timer
    /// is needed: an interrupt would change nothing. (After an operation that made one of a higher
    /// priority runnable, `pick` is due anyway.)
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let priority = self.priority_of_current()?;
        self.waiting.has(priority).then_some(self.slice_end)
    }

    /// How many are runnable, the current one included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    /// Whether none is runnable: the CPU may halt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.current.is_none() && self.waiting.highest().is_none()
    }

    /// Whether the current one goes on; with a new slice if it alone wanted the last one.
    fn keeps_cpu(&mut self, current: Running, now: u64) -> bool {
        let over = now >= self.slice_end;
        match self.waiting.highest() {
            Some(highest) if highest > current.priority => return false,
            Some(highest) if highest == current.priority => return !over,
            _ => {}
        }
        if over {
            self.slice_end = now.saturating_add(self.slice);
        }
        true
    }

    /// Puts the one that loses the CPU where it waits for it.
    fn put_back(&mut self, current: Running, now: u64) {
        match self.slice_end.checked_sub(now) {
            None | Some(0) => self.push_back(current.id, current.priority),
            Some(rest) => self.push_front(current.id, current.priority, Quantum::Rest(rest)),
        }
    }

    fn is_runnable(&self, id: ThreadSlot) -> bool {
        self.current() == Some(id) || self.waiting.contains(id)
    }

    fn push_back(&mut self, id: ThreadSlot, priority: Priority) {
        self.waiting.push_back(id, priority);
    }

    fn push_front(&mut self, id: ThreadSlot, priority: Priority, turn: Quantum) {
        self.waiting.push_front(id, priority, turn);
    }
}

#[cfg(test)]
mod tests;
