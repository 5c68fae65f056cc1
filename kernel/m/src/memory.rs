//! The memory manager: the pages of the partition.

use core::sync::atomic::Ordering;

use ant_abi::boot::Extent;
use ant_abi::layout::IMAGE_SPAN;
use ant_abi::{CpuIndex, PAGE_SIZE, PhysAddr};
use ant_logic::pages::PageAllocator;
use ant_logic::tables::ICA_GRANULE;

use ant_arch::paging::{self, Pages, phys_to_virt};
use ant_p::shared;

/// All pages of the partition but the image's and the bundle's.
pub struct MemoryManager {
    pages: PageAllocator<'static>,
}

impl MemoryManager {
    /// Manages `extents`, which are in the direct map and hold the image and the bundle.
    pub fn new(extents: &[Extent], bundle: Extent) -> Self {
        let image = Extent { start: shared::boot().image_phys, len: IMAGE_SPAN };
        let words = PageAllocator::storage_words(extents);
        let bytes = (words * size_of::<u64>()).next_multiple_of(PAGE_SIZE) as u64;
        let storage = place_storage(extents, &[image, bundle], bytes);
        // SAFETY: memory of the partition that nothing else uses: it is reserved below. The module zeroed
        // it.
        let bitmap =
            unsafe { core::slice::from_raw_parts_mut(phys_to_virt(storage).cast(), words) };
        let mut pages = PageAllocator::new(extents, bitmap);
        pages.reserve(image.start, image.len);
        pages.reserve(bundle.start, bundle.len);
        pages.reserve(storage, bytes);
        let manager = Self { pages };
        manager.publish();
        manager
    }

    /// Zeroed, contiguous memory that is never given back.
    ///
    /// # Panics
    ///
    /// There is none: the kernel cannot run without its tables.
    pub fn alloc_static(&mut self, bytes: usize) -> *mut u8 {
        let count = bytes.div_ceil(PAGE_SIZE);
        let Some(first) = self.pages.alloc_contiguous(count) else {
            panic!("no memory for its tables: boot with more memory, or smaller tables")
        };
        first.pages((count * PAGE_SIZE) as u64).for_each(paging::clear);
        phys_to_virt(first)
    }

    /// A table that the m-kernel has to itself, for ever.
    pub fn alloc_places<T>(&mut self, len: usize, place: impl Fn() -> T) -> &'static mut [T] {
        let first = self.alloc_static(len * size_of::<T>()).cast::<T>();
        for index in 0..len {
            // SAFETY: fresh pages, large enough, given away for ever.
            unsafe { first.add(index).write(place()) };
        }
        // SAFETY: as above; every place has just been written.
        unsafe { core::slice::from_raw_parts_mut(first, len) }
    }

    /// A page with whatever is in it.
    pub fn alloc_uncleared(&mut self) -> Option<PhysAddr> {
        self.pages.alloc()
    }

    /// Pages that are free now.
    pub fn free_pages(&self) -> u64 {
        self.pages.free_pages()
    }

    /// Size of the partition without the image.
    pub fn total_mib(&self) -> u64 {
        (self.pages.total_pages() * PAGE_SIZE as u64) >> 20
    }

    /// Tells Linux how much is left.
    pub fn publish(&self) {
        let control = shared::control(CpuIndex::M_KERNEL);
        control.total_pages().store(self.pages.total_pages(), Ordering::Relaxed);
        control.free_pages().store(self.pages.free_pages(), Ordering::Relaxed);
    }
}

impl Pages for MemoryManager {
    fn alloc(&mut self) -> Option<PhysAddr> {
        let page = self.alloc_uncleared()?;
        paging::clear(page);
        Some(page)
    }

    fn free(&mut self, page: PhysAddr) {
        self.pages.free(page).expect("only pages that were handed out come back");
    }
}

/// Pages that no program gets for its code, data and ICA pages, so that servers can be started and
/// replaced. Four processes' page tables for the ICA are among them: a program has its own, and less than
/// a dozen pages more, before it is loaded.
pub fn kept_for_servers() -> u64 {
    96 + 4 * u64::from(shared::tables().ica_pages / ICA_GRANULE)
}

/// The memory that a program can have: all but what is kept for servers.
pub struct ForPrograms<'a>(pub &'a mut MemoryManager);

impl Pages for ForPrograms<'_> {
    fn alloc(&mut self) -> Option<PhysAddr> {
        if self.0.free_pages() > kept_for_servers() { self.0.alloc() } else { None }
    }

    fn free(&mut self, page: PhysAddr) {
        self.0.free(page);
    }
}

/// Room for the allocator's own book-keeping: the first that has nothing of `taken` in it.
fn place_storage(extents: &[Extent], taken: &[Extent], bytes: u64) -> PhysAddr {
    let place = extents.iter().find_map(|extent| {
        let mut start = extent.start;
        let meets = |start: PhysAddr, other: &Extent| {
            start < other.start + other.len && other.start < start + bytes
        };
        while let Some(other) = taken.iter().find(|other| meets(start, other)) {
            start = other.start + other.len.next_multiple_of(PAGE_SIZE as u64);
        }
        (start + bytes <= extent.start + extent.len).then_some(start)
    });
    place.expect("some extent holds the page bitmap")
}
