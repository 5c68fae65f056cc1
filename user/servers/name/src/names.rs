//! The table of names, and how it survives its server.

use ant_abi::Error;
use ant_api_init::KEPT_MAX;
use ant_api_name::Name;
use ant_rt::ipc::{self, Handle};
use ant_rt::server::{self, Start};

use crate::state::State;

/// Names that there can be: as many as `init` can keep handles.
const NAMES: usize = KEPT_MAX as usize;

/// Names that one process can have.
const NAMES_EACH: usize = 4;

/// A name and what it stands for.
#[derive(Clone, Copy)]
struct Entry {
    name: Name,
    /// Badge of who has registered it.
    owner: u64,
    handle: Handle,
}

impl Entry {
    /// Whether its endpoint is gone for good.
    fn is_dead(&self) -> bool {
        ipc::notify(self.handle, 0) == Err(Error::PeerGone)
    }
}

/// All names; each has a slot here, in the state page, and with `init`.
pub struct Names {
    entries: [Option<Entry>; NAMES],
    state: State,
}

impl Names {
    /// What the predecessor has left. A name counts if both the state page and `init` have it.
    pub fn restore(start: Start) -> Result<Self, Error> {
        let mut entries = [None; NAMES];
        let kept = start.kept();
        let state = State::new(start.state.ok_or(Error::NoMemory)?);
        for (slot, handle) in kept {
            let slot = slot as usize;
            match state.get(slot) {
                Some((name, owner)) => entries[slot] = Some(Entry { name, owner, handle }),
                None => close(handle),
            }
        }
        Ok(Self { entries, state })
    }

    /// Lets a name stand for a handle. `Busy`: it is another's; `OverQuota`: the owner has as many as
    /// it can; `NoMemory`: there is no room; `Again`: the service is about to be replaced.
    pub fn register(&mut self, name: Name, owner: u64, handle: Handle) -> Result<(), Error> {
        let slot = self.slot_for(name, owner);
        let slot = slot.and_then(|slot| server::keep(slot as u32, handle).map(|()| slot));
        let slot = slot.inspect_err(|_| close(handle))?;
        if let Some(old) = self.entries[slot].take() {
            close(old.handle);
        }
        self.state.set(slot, name, owner);
        self.entries[slot] = Some(Entry { name, owner, handle });
        Ok(())
    }

    /// What a name stands for.
    pub fn lookup(&mut self, name: Name) -> Option<Handle> {
        let slot = self.find(name)?;
        if self.entries[slot]?.is_dead() {
            self.remove(slot);
        }
        self.entries[slot].map(|entry| entry.handle)
    }

    /// Name number `index`. Who begins at the beginning finds no names of the dead.
    pub fn name(&mut self, index: usize) -> Option<Name> {
        if index == 0 {
            self.remove_dead();
        }
        self.entries.iter().flatten().nth(index).map(|entry| entry.name)
    }

    fn find(&self, name: Name) -> Option<usize> {
        self.entries.iter().position(|entry| entry.is_some_and(|entry| entry.name == name))
    }

    fn slot_for(&mut self, name: Name, owner: u64) -> Result<usize, Error> {
        if let Some(slot) = self.find(name) {
            let free =
                self.entries[slot].is_none_or(|entry| entry.owner == owner || entry.is_dead());
            return if free { Ok(slot) } else { Err(Error::Busy) };
        }
        if self.entries.iter().all(Option::is_some) || self.owned_by(owner) >= NAMES_EACH {
            self.remove_dead();
        }
        if self.owned_by(owner) >= NAMES_EACH {
            return Err(Error::OverQuota);
        }
        self.entries.iter().position(Option::is_none).ok_or(Error::NoMemory)
    }

    fn owned_by(&self, owner: u64) -> usize {
        self.entries.iter().flatten().filter(|entry| entry.owner == owner).count()
    }

    fn remove_dead(&mut self) {
        for slot in 0..NAMES {
            if self.entries[slot].is_some_and(|entry| entry.is_dead()) {
                self.remove(slot);
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries[slot].take() else { return };
        self.state.clear(slot);
        // What cannot be let go of is taken over by the next name in this slot.
        let _ = server::forget(slot as u32);
        close(entry.handle);
    }
}

/// Closes a handle of this process, which cannot fail.
fn close(handle: Handle) {
    let _ = ipc::close(handle);
}
