//! The address spaces of processes.

use ant_abi::ipc::Span;
use ant_abi::layout::{ICA_END, ICA_START, PROCESS_END};
use ant_abi::{PAGE_SIZE, PhysAddr, UserVirt};
use ant_logic::ica;
use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::{
    MapToError, Mapper, OffsetPageTable, Translate, TranslateResult,
};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{
    FrameAllocator, Page, PageTableFlags as Flags, PhysFrame, Size4KiB,
};

use super::{DIRECT_VIRT, KERNEL_HALF, frame, kernel_root, load, table};
use crate::x86_64::cpu::UNCACHED;

/// Where an address space gets its pages from and gives them back to: the memory manager.
pub trait Pages {
    /// A zeroed page.
    fn alloc(&mut self) -> Option<PhysAddr>;
    /// Takes a page back.
    fn free(&mut self, page: PhysAddr);
}

struct TableSource<'a, P: Pages>(&'a mut P);

// SAFETY: `Pages` hands out unused, zeroed pages.
unsafe impl<P: Pages> FrameAllocator<Size4KiB> for TableSource<'_, P> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        self.0.alloc().map(frame)
    }
}

/// What a process may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

impl Access {
    fn flags(self) -> Flags {
        let flags = Flags::PRESENT | Flags::USER_ACCESSIBLE;
        match self {
            Access::Read => flags | Flags::NO_EXECUTE,
            Access::ReadWrite => flags | Flags::NO_EXECUTE | Flags::WRITABLE,
            Access::ReadExecute => flags,
        }
    }
}

/// No page left for a page table, or the address is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No memory.
    NoMemory,
    /// Something is mapped there already.
    Taken,
}

/// First entry of the top table that leads to pages which are not the address space's own: from the ICA
/// on.
const FOREIGN_PAGES: usize = (ICA_START >> 39) as usize;
/// Entries of a page table.
const ENTRIES: u32 = 512;

// One table leads to the lowest tables of the largest ICA.
const _: () = assert!(ICA_END - ICA_START <= (ENTRIES * ENTRIES) as u64 * PAGE_SIZE as u64);

/// Pages that are flushed one by one; for more, the whole TLB is.
const FLUSH_ONE_BY_ONE: u32 = 32;

/// The top page table of an address space that exists: what a thread needs to run in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceRoot(PhysAddr);

impl SpaceRoot {
    /// The kernel's own, which no process has.
    #[inline]
    pub fn kernel() -> Self {
        Self(kernel_root())
    }

    /// Loads the tables on this CPU.
    #[inline]
    pub fn load(self) {
        load(self.0);
    }
}

/// The page tables of a process.
///
/// Those for the ICA exist from the beginning, so that a page changes hands by writing an entry.
#[derive(Debug)]
pub struct AddressSpace {
    root: PhysAddr,
    /// The table that leads to the ICA's lowest tables.
    ica: PhysAddr,
    /// Pages of the ICA.
    ica_pages: u32,
}

impl AddressSpace {
    /// An address space with the kernel's half, and tables for an ICA of `ica_pages`, which are whole tables.
    pub fn new(ica_pages: u32, pages: &mut impl Pages) -> Option<Self> {
        let root = pages.alloc()?;
        let kernel = table(kernel_root());
        // SAFETY: both are top tables; nothing else refers to the new one, the kernel's no longer
        // changes.
        unsafe {
            for entry in KERNEL_HALF..512 {
                (&mut *table(root))[entry] = (&*kernel)[entry].clone();
            }
        }
        let Some(ica) = build_ica(root, ica_pages, pages) else {
            free_table(root, 4, KERNEL_HALF, true, pages);
            return None;
        };
        Some(Self { root, ica, ica_pages })
    }

    fn mapper(&self) -> OffsetPageTable<'_> {
        // SAFETY: the tables belong to this address space, and all its pages are in the direct
        // map.
        unsafe { OffsetPageTable::new(&mut *table(self.root), VirtAddr::new(DIRECT_VIRT.get())) }
    }

    /// Maps one page of the process region. The page then belongs to the address space.
    pub fn map(
        &mut self,
        virt: UserVirt,
        phys: PhysAddr,
        access: Access,
        pages: &mut impl Pages,
    ) -> Result<(), MapError> {
        assert!(virt.get() < PROCESS_END);
        self.map_flags(virt, phys, access.flags(), pages)
    }

    /// Maps the page of the bundle at `offset`, to read. It does not belong to the address space.
    pub fn map_bundle(
        &mut self,
        offset: u64,
        phys: PhysAddr,
        pages: &mut impl Pages,
    ) -> Result<(), MapError> {
        let virt = UserVirt::of_bundle(offset).expect("a bundle has its bounds");
        self.map_flags(virt, phys, Access::Read.flags(), pages)
    }

    /// Maps one page of device memory at its place.
    pub fn map_device(&mut self, phys: PhysAddr, pages: &mut impl Pages) -> Result<(), MapError> {
        let virt = UserVirt::of_device(phys).expect("a grant has a place in its process");
        self.map_flags(virt, phys, Access::ReadWrite.flags() | UNCACHED, pages)
    }

    fn map_flags(
        &mut self,
        virt: UserVirt,
        phys: PhysAddr,
        flags: Flags,
        pages: &mut impl Pages,
    ) -> Result<(), MapError> {
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(virt.get()));
        let parents = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        let mut source = TableSource(pages);
        // SAFETY: a page of the lower half, which is the process's; the frame is its own, a device's that
        // it was granted, or the bundle's, which is only read.
        let mapped = unsafe {
            let mut mapper = self.mapper();
            mapper
                .map_to_with_table_flags(page, frame(phys), flags, parents, &mut source)
                .map(|flush| flush.ignore())
        };
        mapped.map_err(|error| match error {
            MapToError::FrameAllocationFailed => MapError::NoMemory,
            MapToError::ParentEntryHugePage | MapToError::PageAlreadyMapped(_) => MapError::Taken,
        })
    }

    /// Where the byte at `virt` is, if the process itself may access it so.
    pub fn translate(&self, virt: UserVirt, access: Access) -> Option<PhysAddr> {
        let virt = VirtAddr::new_truncate(virt.get());
        let TranslateResult::Mapped { frame, offset, flags } = self.mapper().translate(virt) else {
            return None;
        };
        let needed = access.flags() & (Flags::USER_ACCESSIBLE | Flags::WRITABLE);
        flags.contains(needed).then(|| PhysAddr::new(frame.start_address().as_u64() + offset))
    }

    /// Maps each page of a span of the ICA to the frame that `frame_of` says, or to none, in place of
    /// what was there. The caller flushes pages that lost an access by it. How many more are mapped
    /// than before.
    #[inline]
    pub fn set_ica(
        &mut self,
        span: Span,
        access: ica::Access,
        frame_of: impl Fn(u32) -> Option<PhysAddr>,
    ) -> i64 {
        let flags = match access {
            ica::Access::Read => Access::Read.flags(),
            ica::Access::Write => Access::ReadWrite.flags(),
        };
        let set = |page, entry: &mut PageTableEntry| {
            let before = i64::from(!entry.is_unused());
            match frame_of(page) {
                Some(phys) => entry.set_addr(x86_64::PhysAddr::new_truncate(phys.get()), flags),
                None => entry.set_unused(),
            }
            i64::from(!entry.is_unused()) - before
        };
        if span.count() == 1 {
            // SAFETY: an entry of this address space's own tables, which are borrowed alone.
            return set(span.first(), unsafe { &mut *self.ica_entry(span.first()) });
        }
        let mut more = 0;
        for (page, entries) in self.ica_entries(span) {
            // SAFETY: as above.
            let entries = unsafe { &mut *entries };
            for (page, entry) in (page..).zip(entries) {
                more += set(page, entry);
            }
        }
        more
    }

    /// Whether the process has all pages of a span of the ICA, and `fits` holds of each and its
    /// frame.
    #[inline]
    pub fn has_ica(&self, span: Span, fits: impl Fn(u32, PhysAddr) -> bool) -> bool {
        let has = |(page, entry): (u32, &PageTableEntry)| {
            !entry.is_unused() && fits(page, target_of(entry))
        };
        if span.count() == 1 {
            // SAFETY: an entry of this address space's own tables, which are borrowed meanwhile.
            return has((span.first(), unsafe { &*self.ica_entry(span.first()) }));
        }
        self.ica_entries(span).all(|(page, entries)| {
            // SAFETY: as above.
            let entries = unsafe { &*entries };
            (page..).zip(entries).all(has)
        })
    }

    /// The entries of a span of the ICA, table by table, each part with the number of its first page.
    #[inline]
    fn ica_entries(&self, span: Span) -> impl Iterator<Item = (u32, *mut [PageTableEntry])> {
        let (mut page, end) = (span.first(), span.first() + span.count());
        assert!(end <= self.ica_pages);
        core::iter::from_fn(move || {
            if page == end {
                return None;
            }
            let from = page;
            page = end.min(from - from % ENTRIES + ENTRIES);
            let count = (page - from) as usize;
            Some((from, core::ptr::slice_from_raw_parts_mut(self.ica_entry(from), count)))
        })
    }

    /// The entry of a page of the ICA.
    #[inline]
    fn ica_entry(&self, page: u32) -> *mut PageTableEntry {
        assert!(page < self.ica_pages);
        // SAFETY: `build_ica` has made the tables for all pages of the ICA.
        unsafe {
            let lowest = target_of(&(&*table(self.ica))[(page / ENTRIES) as usize]);
            table(lowest).cast::<PageTableEntry>().add((page % ENTRIES) as usize)
        }
    }

    /// Its top table, for a thread that runs in it.
    pub fn root(&self) -> SpaceRoot {
        SpaceRoot(self.root)
    }

    /// Gives back every table, and every page of the process region. No CPU has the tables
    /// loaded.
    pub fn free(self, pages: &mut impl Pages) {
        free_table(self.root, 4, KERNEL_HALF, true, pages);
    }
}

impl ica::Space for AddressSpace {
    fn has(&self, span: Span, fits: impl Fn(u32, PhysAddr) -> bool) -> bool {
        self.has_ica(span, fits)
    }

    fn set(&mut self, span: Span, access: ica::Access, frame_of: impl Fn(u32) -> Option<PhysAddr>) {
        self.set_ica(span, access, frame_of);
    }
}

/// Flushes `count` ICA pages from `first` on from this CPU's TLB.
#[inline]
pub fn flush_ica(first: u32, count: u32) {
    if count > FLUSH_ONE_BY_ONE {
        x86_64::instructions::tlb::flush_all();
        return;
    }
    for page in first..first + count {
        let virt = UserVirt::of_ica_page(page).get();
        x86_64::instructions::tlb::flush(VirtAddr::new(virt));
    }
}

/// Makes the tables of the ICA under the top table `root`; gives the one that leads to the lowest.
fn build_ica(root: PhysAddr, ica_pages: u32, pages: &mut impl Pages) -> Option<PhysAddr> {
    assert!(ica_pages.is_multiple_of(ENTRIES));
    let third = add_table(root, FOREIGN_PAGES, pages)?;
    let second = add_table(third, 0, pages)?;
    for index in 0..ica_pages / ENTRIES {
        add_table(second, index as usize, pages)?;
    }
    Some(second)
}

fn add_table(parent: PhysAddr, index: usize, pages: &mut impl Pages) -> Option<PhysAddr> {
    let phys = pages.alloc()?;
    let flags = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
    // SAFETY: the parent is a table of an address space that is being made.
    unsafe { (&mut *table(parent))[index].set_frame(frame(phys), flags) };
    Some(phys)
}

/// Frees what the first `entries` entries of a table lead to, then the table. `level` 1 is the
/// lowest; the pages it leads to are freed if they are the address space's own.
fn free_table(phys: PhysAddr, level: u8, entries: usize, own_pages: bool, pages: &mut impl Pages) {
    for index in 0..entries {
        // SAFETY: a table of an address space that no CPU has loaded any more.
        let entry = unsafe { (&*table(phys))[index].clone() };
        if entry.is_unused() {
            continue;
        }
        let own_pages = own_pages && !(level == 4 && index >= FOREIGN_PAGES);
        match level {
            1 if own_pages => pages.free(target_of(&entry)),
            1 => {}
            _ => free_table(target_of(&entry), level - 1, 512, own_pages, pages),
        }
    }
    pages.free(phys);
}

/// What an entry of a table leads to.
#[inline]
fn target_of(entry: &PageTableEntry) -> PhysAddr {
    PhysAddr::new(entry.addr().as_u64())
}
