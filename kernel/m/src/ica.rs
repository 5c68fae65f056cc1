//! The frames of ICA pages: only the m-kernel has memory to give and takes it back.

use ant_abi::ipc::{ICA_QUOTA_PROGRAM, Span};
use ant_abi::layout::ICA_PAGES;
use ant_abi::{Error, MAX_PROCESSES, PhysAddr, ProcessSlot};
use ant_arch::paging::{AddressSpace, Pages};
use ant_logic::ica::{Limit, Quotas};
use ant_p::ica::TABLE;

use crate::memory::{KEPT_FOR_SERVERS, MemoryManager};

/// Takes the first pages for the LCAs, which Linux has a part in.
pub fn reserve_lcas() {
    let count = MAX_PROCESSES as u32;
    assert_eq!(TABLE.alloc(count), Some(0), "the ICA is empty");
    QUOTAS.take_for_nobody(0, count);
}

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

/// How many each process may take.
static QUOTAS: Quotas = Quotas::new();

/// What a program may take.
pub const LIMIT_PROGRAM: Limit = Limit { most: ICA_QUOTA_PROGRAM, promised: 0 };
/// What `init` may take: the programs of servers come into its pages.
pub const LIMIT_INIT: Limit = Limit { most: ICA_PAGES as u32, promised: KEPT_FOR_INIT };

/// What a server may take if the manifest says `pages`.
pub const fn limit_server(pages: u32) -> Limit {
    Limit { most: pages, promised: pages }
}

/// A process has begun that may take so many pages.
pub fn begin(slot: ProcessSlot, limit: Limit) {
    QUOTAS.open(slot, limit);
}

/// Makes `count` pages the process's in `slot`; the number of the first. Its own CPU clears them: a
/// process that asks for many pays for it.
pub fn alloc(
    count: u64,
    slot: ProcessSlot,
    reserve: Reserve,
    memory: &mut MemoryManager,
) -> Result<u32, Error> {
    let count = u32::try_from(count).ok().filter(|count| (1..=AT_A_TIME).contains(count));
    let count = count.ok_or(Error::Invalid)?;
    QUOTAS.check(slot, count)?;
    let kept_for_init = match reserve {
        Reserve::Init => 0,
        Reserve::Others => KEPT_FOR_INIT.into(),
    };
    let kept_for_servers = if QUOTAS.is_promised(slot) { 0 } else { KEPT_FOR_SERVERS };
    if memory.free_pages() < u64::from(count) + kept_for_init + kept_for_servers {
        return Err(Error::NoMemory);
    }
    let mut places = QUOTAS.places(slot, count).into_iter();
    let first = places.find_map(|place| TABLE.alloc_in(place, count)).ok_or(Error::NoMemory)?;
    QUOTAS.take(slot, first, count);
    for page in first..first + count {
        let frame = memory.alloc_uncleared().expect("so many pages are free");
        TABLE.set_frame(page, frame, slot).expect("a reserved page takes a frame");
    }
    Ok(first)
}

/// Takes pages back from the process in `slot`, which has let go of them.
pub fn free(span: Span, slot: ProcessSlot, memory: &mut MemoryManager) {
    TABLE.free(span, slot, |page, frame| give_back(page, frame, memory));
}

/// Takes the pages of a message back that no process receives.
pub fn free_dropped(span: Span, memory: &mut MemoryManager) {
    TABLE.free_dropped(span, |page, frame| give_back(page, frame, memory));
}

/// Takes all pages of a zombie back, also those that went along with its last call.
pub fn free_all(
    slot: ProcessSlot,
    space: &AddressSpace,
    calling: Span,
    memory: &mut MemoryManager,
) {
    TABLE.free_all(slot, space, calling, |page, frame| give_back(page, frame, memory));
}

/// A process has been reaped and has no pages any more.
pub fn end(slot: ProcessSlot) {
    QUOTAS.close(slot);
}

fn give_back(page: u32, frame: PhysAddr, memory: &mut MemoryManager) {
    memory.free(frame);
    QUOTAS.free(page);
    TABLE.forget(page).expect("a page without a frame is reserved");
}
