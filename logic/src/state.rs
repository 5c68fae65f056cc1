//! What a server writes so that its successor finds it: words that outlive it.
//!
//! A server may be killed between any two instructions, and its successor begins with what has been
//! stored until then: every [`store`](Words::store) is there as a whole or not at all, and with it all
//! those before. So what belongs together becomes true by one store, the last.
//!
//! Nobody else writes the words meanwhile, and whoever reads them next was told of the end of who
//! wrote them by messages. [`names`](crate::names) and [`input`](crate::input) are kept so.
//!
//! Deliberately absent: the pages themselves, and who keeps them.

/// The words of a server's state pages; zero in the beginning.
pub trait PersistentWords {
    /// What was stored last.
    fn load(&self, index: usize) -> u64;

    /// Stores a word, after all that were stored before.
    fn store(&self, index: usize, value: u64);
}
