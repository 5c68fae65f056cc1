//! The frames of ICA pages: only the m-kernel has memory to give and takes it back.

use core::sync::atomic::AtomicU64;

use ant_abi::ipc::{Span, ica_quota_program};
use ant_abi::{Error, PhysAddr, ProcessSlot};
use ant_arch::paging::{AddressSpace, Pages};
use ant_logic::ica::{Account, IcaAllocator, IcaTable, Limit, Quotas};
use ant_p::ica::ENTRIES;
use ant_p::shared;
use ant_p::table::Table;

use crate::memory::{MemoryManager, kept_for_servers};

/// Most pages that are given at a time: no CPU is kept longer from what else it has to do.
const AT_A_TIME: u32 = 1024;
/// Pages that only `init` can have when all others are taken.
const KEPT_FOR_INIT: u32 = 64;

/// Which pages a process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// All: it is `init`.
    Init,
    /// Those that are not kept for `init`.
    Others,
}

/// What a program may take.
pub fn limit_program() -> Limit {
    Limit { most: ica_quota_program(shared::tables().ica_pages), promised: 0 }
}

/// What `init` may take: the programs of servers come into its pages.
pub fn limit_init() -> Limit {
    Limit { most: shared::tables().ica_pages, promised: KEPT_FOR_INIT }
}

/// What a server may take if the manifest says `pages`.
pub const fn limit_server(pages: u32) -> Limit {
    Limit { most: pages, promised: pages }
}

/// The pages of the ICA.
pub struct Ica {
    table: IcaTable<'static>,
    allocator: IcaAllocator<'static>,
    /// How many each process may take.
    quotas: Quotas,
}

impl Ica {
    /// As many as the boot block says, the first taken for the LCAs, which Linux has a part in. Once, before
    /// another CPU starts.
    pub fn new(memory: &mut MemoryManager) -> Self {
        let sizes = shared::tables();
        let (pages, processes) = (sizes.ica_pages as usize, sizes.processes as usize);
        let entries = memory.alloc_static(Table::<AtomicU64>::bytes(pages));
        // SAFETY: fresh pages in the direct map, large enough, given away for ever.
        unsafe { ENTRIES.place(entries, pages, |_| AtomicU64::new(0)) };
        let table = ant_p::ica::table();
        let mut allocator = IcaAllocator::new(table);
        assert_eq!(allocator.alloc(sizes.lcas), Some(0), "the ICA is empty");
        let payers = memory.alloc_places(pages, || None);
        let accounts = memory.alloc_places(processes, Account::default);
        let mut quotas = Quotas::new(payers, accounts);
        quotas.take_for_nobody(0, sizes.lcas);
        Self { table, allocator, quotas }
    }

    /// A process has begun that may take so many pages.
    pub fn begin(&mut self, slot: ProcessSlot, limit: Limit) {
        self.quotas.open(slot, limit);
    }

    /// Makes `count` pages the process's in `slot`; the number of the first. Its own CPU clears them: a
    /// process that asks for many pays for it.
    pub fn alloc(
        &mut self,
        count: u64,
        slot: ProcessSlot,
        reserve: Reserve,
        memory: &mut MemoryManager,
    ) -> Result<u32, Error> {
        let count = u32::try_from(count).ok().filter(|count| (1..=AT_A_TIME).contains(count));
        let count = count.ok_or(Error::Invalid)?;
        self.quotas.check(slot, count)?;
        let kept_for_init = match reserve {
            Reserve::Init => 0,
            Reserve::Others => KEPT_FOR_INIT.into(),
        };
        let kept_for_servers = if self.quotas.is_promised(slot) { 0 } else { kept_for_servers() };
        if memory.free_pages() < u64::from(count) + kept_for_init + kept_for_servers {
            return Err(Error::NoMemory);
        }
        let mut places = self.quotas.places(slot, count).into_iter();
        let first = places.find_map(|place| self.allocator.alloc_in(place, count));
        let first = first.ok_or(Error::NoMemory)?;
        self.quotas.take(slot, first, count);
        for page in first..first + count {
            let frame = memory.alloc_uncleared().expect("so many pages are free");
            self.table.set_frame(page, frame, slot).expect("a reserved page takes a frame");
        }
        Ok(first)
    }

    /// Takes pages back from the process in `slot`, which has let go of them.
    pub fn free(&mut self, span: Span, slot: ProcessSlot, memory: &mut MemoryManager) {
        let table = self.table;
        table.free(span, slot, |page, frame| self.give_back(page, frame, memory));
    }

    /// Takes the pages of a message back that no process receives.
    pub fn free_dropped(&mut self, span: Span, memory: &mut MemoryManager) {
        let table = self.table;
        table.free_dropped(span, |page, frame| self.give_back(page, frame, memory));
    }

    /// Takes all pages of a zombie back, also those that went along with its last call.
    pub fn free_all(
        &mut self,
        slot: ProcessSlot,
        space: &AddressSpace,
        calling: Span,
        memory: &mut MemoryManager,
    ) {
        let table = self.table;
        table.free_all(slot, space, calling, |page, frame| self.give_back(page, frame, memory));
    }

    /// A process has been reaped and has no pages any more.
    pub fn end(&mut self, slot: ProcessSlot) {
        self.quotas.close(slot);
    }

    fn give_back(&mut self, page: u32, frame: PhysAddr, memory: &mut MemoryManager) {
        memory.free(frame);
        self.quotas.free(page);
        self.table.forget(page).expect("a page without a frame is reserved");
    }
}
