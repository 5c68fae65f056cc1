//! Making, placing and destroying processes.

use core::sync::atomic::Ordering;

use ant_abi::layout::ICA_START;
use ant_abi::syscall::ANY_CORE;
use ant_abi::{Error, PAGE_SIZE};

use super::memory::MemoryManager;
use crate::arch::context::Context;
use crate::arch::paging::{Access, AddressSpace, Pages};
use crate::linux::lca::LcaPage;
use crate::linux::loader::{self, Failure, Loader, Strings};
use crate::p::process::{self, LcaState, Owned, Process, Waiting};
use crate::shared;

/// Hands out ids and generations.
pub struct Processes {
    last_pid: u32,
}

impl Processes {
    /// Nobody yet.
    pub fn new() -> Self {
        Self { last_pid: 0 }
    }

    /// A process that will run on core `core` (or any), and the first call of its loader is in its
    /// LCA. `strings` are path and arguments, each ended by NUL.
    pub fn create(
        &mut self,
        core: u32,
        strings: &[u8],
        path_len: usize,
        memory: &mut MemoryManager,
    ) -> Result<Owned, Error> {
        let home = place(core)?;
        let page = memory.alloc().ok_or(Error::NoMemory)?;
        let kept = Strings::new(page, strings, path_len).inspect_err(|_| memory.free(page))?;
        let mut process = match self.create_empty(home, memory) {
            Ok(process) => process,
            Err(error) => {
                kept.free(memory);
                return Err(error);
            }
        };
        process.public().set_name(&strings[..path_len - 1]);
        process.loader = Some(Loader::begin(kept, process.lca.contents()));
        Ok(process)
    }

    /// The first process, from the kernel's own image.
    pub fn create_init(
        &mut self,
        file: &[u8],
        memory: &mut MemoryManager,
    ) -> Result<Owned, Failure> {
        let no_memory = |error: Error| Failure { errno: error as u64, text: "no memory for it" };
        let mut process = self.create_empty(0, memory).map_err(no_memory)?;
        process.is_init = true;
        process.public().set_name(b"init");
        loader::load_from_memory(&mut process, file, b"init\0", memory)?;
        Ok(process)
    }

    /// A process with an address space and an LCA, but no program.
    fn create_empty(&mut self, home: usize, memory: &mut MemoryManager) -> Result<Owned, Error> {
        let slot = process::free_slot().ok_or(Error::NoMemory)?;
        let free_before = memory.free_pages();
        let mut space = AddressSpace::new(memory).ok_or(Error::NoMemory)?;
        // An ICA page has the same address in every process, so its number is the partition's.
        let virt = ICA_START + u64::from(slot) * PAGE_SIZE as u64;
        let Some(raddr) = map_lca(&mut space, virt, memory) else {
            space.free(memory);
            return Err(Error::NoMemory);
        };
        self.last_pid += 1;
        let pid = self.last_pid;
        let owned = Owned::create(
            slot,
            Process {
                context: Context::default(),
                pid,
                space,
                lca: LcaPage::new(raddr, pid as u16, virt),
                lca_state: LcaState::Idle,
                waiting: Waiting::Start,
                ending: None,
                loader: None,
                home,
                is_init: false,
            },
        );
        let pages = (free_before - memory.free_pages()) as u32;
        owned.public().pages.store(pages, Ordering::Relaxed);
        Ok(owned)
    }

    /// Takes back all that a process has. Linux has let go of its LCA.
    pub fn destroy(&mut self, owned: Owned, memory: &mut MemoryManager) {
        let process = owned.remove();
        if let Some(loader) = process.loader {
            loader.free(memory);
        }
        process.space.free(memory);
        memory.publish();
    }
}

fn map_lca(space: &mut AddressSpace, virt: u64, memory: &mut MemoryManager) -> Option<u64> {
    let raddr = memory.alloc()?;
    if space.map(virt, raddr, Access::ReadWrite, memory).is_err() {
        memory.free(raddr);
        return None;
    }
    Some(raddr)
}

/// The core a process shall run on: the one asked for, or the one with the fewest processes, a
/// p-kernel's rather than the m-kernel's.
fn place(core: u32) -> Result<usize, Error> {
    let cores = shared::core_count();
    if core != ANY_CORE {
        return usize::try_from(core).ok().filter(|&core| core < cores).ok_or(Error::NoDevice);
    }
    let load = |&core: &usize| (process::count_on(core), core == 0);
    Ok((0..cores).min_by_key(load).unwrap_or(0))
}
