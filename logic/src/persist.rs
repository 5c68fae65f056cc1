//! State of a server that outlives its process: words in state pages, which the next process reads.
//!
//! A server may be killed between any two instructions, and the next process begins with what was
//! stored until then: every [`store`](PersistentWords::store) is there as a whole or not at all, and with
//! it all those before. So a change of several words takes effect by one store, the last.
//!
//! One process at a time writes the words; messages order its end before the next one's start.
//!
//! * [`names`]: the table of the name service. [`replay_buffer`]: input that no client has read.
//!
//! Deliberately absent: the pages themselves, which `init` keeps.

pub mod names;
pub mod replay_buffer;

/// The words of a server's state pages; zero at first.
pub trait PersistentWords {
    /// What was stored last.
    fn load(&self, index: usize) -> u64;

    /// Stores a word, after all that were stored before.
    fn store(&self, index: usize, value: u64);
}
