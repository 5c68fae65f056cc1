//! Which LCAs of the partition are taken.

use ant_abi::{LcaIndex, ThreadSlot};
use ant_p::shared;

use crate::memory::MemoryManager;

/// The LCAs, as many as the boot block says.
pub struct Lcas {
    /// By index: the thread that has it.
    threads: &'static mut [Option<ThreadSlot>],
}

impl Lcas {
    /// No thread has one.
    pub fn new(memory: &mut MemoryManager) -> Self {
        Self { threads: memory.alloc_places(shared::tables().lcas as usize, || None) }
    }

    /// One that no thread has, for a channel of `thread`.
    pub fn alloc(&mut self, thread: ThreadSlot) -> Option<LcaIndex> {
        let index = self.threads.iter().position(Option::is_none)?;
        self.threads[index] = Some(thread);
        LcaIndex::new(index)
    }

    /// Takes one back: Linux has released it.
    pub fn free(&mut self, lca: LcaIndex) {
        self.threads[lca.index()] = None;
    }
}
