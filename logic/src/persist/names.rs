//! The table of the name service: names and the handles that they stand for; it outlives the service's
//! process.
//!
//! Each name has a slot: here, in the state pages, and with `init`, which keeps the handle. It is valid
//! if it is in all three. The service may be killed between any two steps: names that were there
//! before are there after, one that was about to be registered is or is not, and a name never stands
//! for another owner's handle.
//!
//! A server's name stays a server's: a program cannot register it, not even when no server serves under
//! it, and loses a name that a server registers.
//!
//! Neighbours: [`persist`](super), which says what a kill leaves. Deliberately absent: messages, and the
//! format of a name (three words).

use ant_abi::Error;

use super::PersistentWords;

/// Names that there can be.
pub const NAMES: usize = 16;
/// Names that one owner can have.
pub const NAMES_EACH: usize = 4;
/// Words of state that [`Names`] needs.
pub const WORDS: usize = NAMES * SLOT;

/// Words of a slot: the owner, then the name.
const SLOT: usize = 4;
/// Set in the first word of a slot that has a name: the others are complete.
const USED: u64 = 1 << 63;

/// A name: three words.
pub type Name = [u64; 3];

/// What is done outside of the table. [`PersistentWords`] are the state pages.
pub trait NameHost: PersistentWords {
    /// A handle of the service's.
    type Handle: Copy;

    /// Has `init` keep a handle in this slot, in the place of what was there. `Again`: the service is
    /// about to be replaced, and `init` keeps what it has.
    fn keep(&mut self, slot: usize, handle: Self::Handle) -> Result<(), Error>;

    /// Has `init` let go of what it keeps in this slot, if it does not refuse as in `keep`: the next
    /// name in this slot takes its place.
    fn forget(&mut self, slot: usize);

    /// Closes a handle.
    fn close(&mut self, handle: Self::Handle);

    /// Whether what a handle goes to is gone for good.
    fn is_dead(&self, handle: Self::Handle) -> bool;

    /// Whether an owner is a server.
    fn is_server(&self, owner: u64) -> bool;
}

/// A name and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NameEntry<H> {
    name: Name,
    /// Badge of its owner, the process that has registered it.
    owner: u64,
    handle: H,
}

/// All names.
pub struct Names<O: NameHost> {
    host: O,
    entries: [Option<NameEntry<O::Handle>>; NAMES],
}

impl<O: NameHost> Names<O> {
    /// What the predecessor has left, if it is names, for another program may have had the pages: `kept`
    /// are the handles that `init` has kept, and their slots.
    pub fn restore(
        host: O,
        kept: impl IntoIterator<Item = (usize, O::Handle)>,
        is_name: impl Fn(Name) -> bool,
    ) -> Self {
        let mut names = Self { host, entries: [None; NAMES] };
        for (slot, handle) in kept {
            match names.stored(slot).filter(|(name, _)| is_name(*name)) {
                Some((name, owner)) => {
                    names.entries[slot] = Some(NameEntry { name, owner, handle })
                }
                None => {
                    names.host.forget(slot);
                    names.host.close(handle);
                }
            }
        }
        // A slot without an entry has no name: a handle that is kept there later must not get one.
        for slot in (0..NAMES).filter(|&slot| names.entries[slot].is_none()) {
            names.host.store(slot * SLOT, 0);
        }
        names
    }

    /// Lets a name stand for a handle, which is the table's from now on. `Busy`: the name is another's;
    /// `OverQuota`: the owner has as many as it can; `NoMemory`: there is no room; `Again`: the service
    /// is about to be replaced.
    pub fn register(&mut self, name: Name, owner: u64, handle: O::Handle) -> Result<(), Error> {
        let slot = self.slot_for(name, owner);
        let kept = slot.and_then(|slot| self.host.keep(slot, handle).map(|()| slot));
        let slot = kept.inspect_err(|_| self.host.close(handle))?;
        match self.entries[slot].replace(NameEntry { name, owner, handle }) {
            // The state pages have the name already, and its owner.
            Some(old) => self.host.close(old.handle),
            None => self.store_name(slot, name, owner),
        }
        Ok(())
    }

    /// What a name stands for.
    pub fn lookup(&mut self, name: Name) -> Option<O::Handle> {
        let entry = self.entries[self.find(name)?]?;
        (!self.host.is_dead(entry.handle)).then_some(entry.handle)
    }

    /// Name number `index` of those with living handles.
    pub fn name(&self, index: usize) -> Option<Name> {
        let living = |entry: &&NameEntry<O::Handle>| !self.host.is_dead(entry.handle);
        self.entries.iter().flatten().filter(living).nth(index).map(|entry| entry.name)
    }

    /// The slot that has this name and this owner, or a free one.
    fn slot_for(&mut self, name: Name, owner: u64) -> Result<usize, Error> {
        if let Some(slot) = self.find(name) {
            if self.entries[slot].is_some_and(|entry| entry.owner == owner) {
                return Ok(slot);
            }
            // With the new owner's handle, the name must not still be the old one's.
            if !self.can_take(slot, owner) {
                return Err(Error::Busy);
            }
            self.remove(slot);
        }
        if self.entries.iter().all(Option::is_some) || self.owned_by(owner) >= NAMES_EACH {
            self.remove_dead(owner);
        }
        if self.owned_by(owner) >= NAMES_EACH {
            return Err(Error::OverQuota);
        }
        self.entries.iter().position(Option::is_none).ok_or(Error::NoMemory)
    }

    fn find(&self, name: Name) -> Option<usize> {
        self.entries.iter().position(|entry| entry.is_some_and(|entry| entry.name == name))
    }

    fn owned_by(&self, owner: u64) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.owner == owner).count()
    }

    /// Whether a slot's name can be this owner's, which it is not.
    fn can_take(&self, slot: usize, owner: u64) -> bool {
        self.entries[slot].is_none_or(|entry| {
            let ranks = [self.host.is_server(owner), self.host.is_server(entry.owner)];
            match ranks {
                [true, false] => true,
                [false, true] => false,
                _ => self.host.is_dead(entry.handle),
            }
        })
    }

    /// Removes names with dead handles: programs' names, and all of this owner's.
    fn remove_dead(&mut self, owner: u64) {
        for slot in 0..NAMES {
            let Some(entry) = self.entries[slot] else { continue };
            let is_kept = self.host.is_server(entry.owner) && entry.owner != owner;
            if !is_kept && self.host.is_dead(entry.handle) {
                self.remove(slot);
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries[slot].take() else { return };
        self.host.store(slot * SLOT, 0);
        self.host.forget(slot);
        self.host.close(entry.handle);
    }

    /// The name in a slot of the state pages, and its owner.
    fn stored(&self, slot: usize) -> Option<(Name, u64)> {
        let word = |index| self.host.load(slot * SLOT + index);
        (word(0) & USED != 0).then(|| ([1, 2, 3].map(word), word(0) & !USED))
    }

    /// Puts a name into a slot that has none.
    fn store_name(&self, slot: usize, name: Name, owner: u64) {
        for (index, word) in (1..).zip(name) {
            self.host.store(slot * SLOT + index, word);
        }
        self.host.store(slot * SLOT, owner | USED);
    }
}

#[cfg(test)]
mod tests;
