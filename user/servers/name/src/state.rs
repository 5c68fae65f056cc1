//! The names in the state page: four words for each slot, the owner and then the name.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_api_name::Name;
use ant_rt::ica::SharedPages;

/// Set in the first word of a slot that has a name: the others are complete.
const USED: u64 = 1 << 63;

/// The state page.
pub struct State(SharedPages);

impl State {
    /// In these pages.
    pub fn new(pages: SharedPages) -> Self {
        Self(pages)
    }

    /// The name in a slot, and its owner.
    pub fn get(&self, slot: usize) -> Option<(Name, u64)> {
        let [first, a, b, c] = self.slot(slot).each_ref().map(load);
        let name = Name::from_words([a, b, c]).ok()?;
        (first & USED != 0).then_some((name, first & !USED))
    }

    /// Puts a name into a slot.
    pub fn set(&self, slot: usize, name: Name, owner: u64) {
        self.clear(slot);
        let [first, words @ ..] = self.slot(slot);
        for (word, value) in words.iter().zip(name.to_words()) {
            word.store(value, Ordering::Relaxed);
        }
        // Last, because the server may end at any instruction.
        first.store(owner | USED, Ordering::Release);
    }

    /// Empties a slot.
    pub fn clear(&self, slot: usize) {
        self.slot(slot)[0].store(0, Ordering::Release);
    }

    fn slot(&self, slot: usize) -> &[AtomicU64; 4] {
        self.0.words()[slot * 4..].first_chunk().expect("a page has room for every slot")
    }
}

fn load(word: &AtomicU64) -> u64 {
    word.load(Ordering::Acquire)
}
