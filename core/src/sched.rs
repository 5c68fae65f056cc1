//! The run queue of one core: round robin, tickless.
//!
//! It knows processes by their slots (`u8`, below `MAX_PROCESSES`) and time by the number it is
//! given, in whatever unit the slice is in. It holds the runnable ones only; whoever waits is
//! nobody here.
//!
//! Deliberately absent: clocks, timers, priorities, what a process is. Priorities will be one
//! `Fifo` for each, in place of `waiting`.

use ant_abi::MAX_PROCESSES;

/// Which process runs next.
#[derive(Debug)]
pub struct RunQueue {
    slice: u64,
    current: Option<u8>,
    /// When the slice of `current` is over.
    slice_end: u64,
    /// Runnable, in the order in which they get the core. Never holds `current`, nobody twice.
    waiting: Fifo,
}

impl RunQueue {
    /// An empty queue, where each may run for `slice` when others wait.
    #[must_use]
    pub const fn new(slice: u64) -> Self {
        Self { slice, current: None, slice_end: 0, waiting: Fifo::new() }
    }

    /// Makes `id` runnable, behind all others. Nothing happens if it is already.
    ///
    /// # Panics
    ///
    /// If `id` is not below `MAX_PROCESSES`.
    pub fn add(&mut self, id: u8) {
        assert!(usize::from(id) < MAX_PROCESSES, "no process has slot {id}");
        if self.current != Some(id) && !self.waiting.contains(id) {
            self.waiting.push(id);
        }
    }

    /// Makes `id` not runnable, whether it has the core or waits for it. Says whether it was
    /// runnable.
    pub fn remove(&mut self, id: u8) -> bool {
        if self.current == Some(id) {
            self.current = None;
            return true;
        }
        self.waiting.remove(id)
    }

    /// Who has the core.
    #[must_use]
    pub const fn current(&self) -> Option<u8> {
        self.current
    }

    /// Decides who has the core from `now` on.
    ///
    /// The one that has it keeps it while its slice is not over or nobody else waits.
    pub fn pick(&mut self, now: u64) -> Option<u8> {
        if self.current.is_some() && now < self.slice_end {
            return self.current;
        }
        if let Some(id) = self.current.take() {
            self.waiting.push(id);
        }
        self.current = self.waiting.pop();
        self.slice_end = now.saturating_add(self.slice);
        self.current
    }

    /// Sends the current one behind all others; nobody has the core until the next `pick`.
    pub fn yield_current(&mut self) {
        if let Some(id) = self.current.take() {
            self.waiting.push(id);
        }
    }

    /// Makes the current one not runnable; says who it was.
    pub const fn block_current(&mut self) -> Option<u8> {
        self.current.take()
    }

    /// When the core must be taken from the current one: the end of its slice, if others wait.
    ///
    /// It can be in the past, when others came after a long time alone. `None` means that no timer
    /// is needed: an interrupt would change nothing.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        (self.current.is_some() && !self.waiting.is_empty()).then_some(self.slice_end)
    }

    /// How many are runnable, the current one included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    /// Whether nobody is runnable: the core may halt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Slots in the order in which they came; room for all there are.
#[derive(Debug)]
struct Fifo {
    slots: [u8; MAX_PROCESSES],
    first: usize,
    len: usize,
}

impl Fifo {
    const fn new() -> Self {
        Self { slots: [0; MAX_PROCESSES], first: 0, len: 0 }
    }

    fn len(&self) -> usize {
        self.len
    }

    fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn place(&self, n: usize) -> usize {
        (self.first + n) % MAX_PROCESSES
    }

    fn position(&self, id: u8) -> Option<usize> {
        (0..self.len).find(|&n| self.slots[self.place(n)] == id)
    }

    fn contains(&self, id: u8) -> bool {
        self.position(id).is_some()
    }

    /// The caller makes sure that `id` is not there already, so there is room.
    fn push(&mut self, id: u8) {
        let place = self.place(self.len);
        self.slots[place] = id;
        self.len += 1;
    }

    fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let id = self.slots[self.first];
        self.first = self.place(1);
        self.len -= 1;
        Some(id)
    }

    fn remove(&mut self, id: u8) -> bool {
        let Some(position) = self.position(id) else { return false };
        for n in position..self.len - 1 {
            self.slots[self.place(n)] = self.slots[self.place(n + 1)];
        }
        self.len -= 1;
        true
    }
}

#[cfg(test)]
mod tests;
