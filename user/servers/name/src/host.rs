//! What the table of names needs: the state page, `init`, and the kernel.

use ant_abi::Error;
use ant_abi::ipc::BADGE_PROGRAM;
use ant_api_init::KEPT_MAX;
use ant_logic::persist::PersistentWords;
use ant_logic::persist::names::{self, NAMES};
use ant_rt::ica::SharedPages;
use ant_rt::ipc::{self, Handle};
use ant_rt::server;

// Each name has a slot with `init`.
const _: () = assert!(NAMES == KEPT_MAX as usize);

/// The outside of the table; the state page.
pub struct NameHost(pub SharedPages);

impl PersistentWords for NameHost {
    fn load(&self, index: usize) -> u64 {
        self.0.load(index)
    }

    fn store(&self, index: usize, value: u64) {
        self.0.store(index, value);
    }
}

impl names::NameHost for NameHost {
    type Handle = Handle;

    fn keep(&mut self, slot: usize, handle: Handle) -> Result<(), Error> {
        server::keep(slot as u32, handle)
    }

    fn forget(&mut self, slot: usize) {
        let _ = server::forget(slot as u32);
    }

    fn close(&mut self, handle: Handle) {
        // It is this process's: that cannot fail.
        let _ = ipc::close(handle);
    }

    fn is_server(&self, owner: u64) -> bool {
        owner & BADGE_PROGRAM == 0
    }

    fn is_dead(&self, handle: Handle) -> bool {
        ipc::notify(handle, 0) == Err(Error::PeerGone)
    }
}
