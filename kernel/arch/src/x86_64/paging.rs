//! Page tables: the kernel's half here, the address spaces of processes in [`space`].
//!
//! The kernel's half is the same in every address space and never changes after boot: the image
//! (text read-only in one large page, data in another) and the *direct map*, where all memory of
//! the partition is, physical = virtual + constant (paper 2.1.2). Large pages that have a guard page of a
//! kernel stack are split.

mod space;

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::boot::Extent;
use ant_abi::layout::{IMAGE_DATA, IMAGE_VIRT, LARGE_PAGE, SHARED_OFFSET};
use ant_abi::{KernelVirt, PAGE_SIZE, PhysAddr};
use x86_64::VirtAddr;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::mapper::{MappedPageTable, Mapper, PageTableFrameMapping};
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{
    FrameAllocator, Page, PageSize, PageTable, PageTableFlags as Flags, PageTableIndex, PhysFrame,
    Size2MiB, Size4KiB,
};

use super::cpu::UNCACHED;

pub use space::{Access, AddressSpace, MapError, Pages, SpaceRoot, flush_ica};

/// Start of the direct map.
const DIRECT_VIRT: KernelVirt = KernelVirt::new(0xffff_8000_0000_0000);
/// Where the local APIC's page is mapped.
pub const APIC_VIRT: KernelVirt = KernelVirt::new(0xffff_ffff_ffe0_0000);
const APIC_PHYS: PhysAddr = PhysAddr::new(0xfee0_0000);
/// First entry of the top table that is the kernel's.
const KERNEL_HALF: usize = 256;

/// Physical address of the kernel's top table. Written by the m-kernel before any other CPU starts.
pub(super) static KERNEL_ROOT: AtomicU64 = AtomicU64::new(0);

/// Where memory of the partition is in the direct map.
#[inline]
pub fn phys_to_virt(phys: PhysAddr) -> *mut u8 {
    (DIRECT_VIRT + phys.get()).as_ptr()
}

/// Tables that are needed before there is a memory manager: one for each GiB that holds memory of
/// the partition, and seven more.
const EARLY_TABLES: usize = 96;

#[repr(C, align(4096))]
struct EarlyPool([PageTable; EARLY_TABLES]);

static mut EARLY_POOL: EarlyPool = EarlyPool([const { PageTable::new() }; EARLY_TABLES]);

/// Hands out tables of `EARLY_POOL`.
struct EarlyTables {
    /// Where the image is, with the pool.
    image: PhysAddr,
    used: usize,
}

// SAFETY: every table is handed out once.
unsafe impl FrameAllocator<Size4KiB> for EarlyTables {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let index = self.used;
        (index < EARLY_TABLES).then(|| {
            self.used += 1;
            let virt = &raw const EARLY_POOL as u64 + (index * size_of::<PageTable>()) as u64;
            frame(self.image + (virt - IMAGE_VIRT))
        })
    }
}

/// Finds early tables through the mapping of the image.
struct ThroughImage {
    /// Where the image is.
    image: PhysAddr,
}

// SAFETY: all early tables lie in the image, which is mapped at `IMAGE_VIRT`.
unsafe impl PageTableFrameMapping for ThroughImage {
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        (IMAGE + (start_of(frame) - self.image)).as_ptr()
    }
}

/// Where the image is mapped.
const IMAGE: KernelVirt = KernelVirt::new(IMAGE_VIRT);

// The linker script has these as numbers.
const _: () = assert!(IMAGE_VIRT + IMAGE_DATA == 0xffff_ffff_8020_0000);
const _: () = assert!(IMAGE_VIRT + SHARED_OFFSET == 0xffff_ffff_802f_0000);

/// Builds the kernel's half for the image at `image` and the memory of the partition,
/// and changes to it. The m-kernel, once, before anything else.
pub fn build_kernel_half(image: PhysAddr, extents: &[Extent]) {
    const DATA: Flags = Flags::PRESENT.union(Flags::WRITABLE).union(Flags::NO_EXECUTE);
    let through_image = ThroughImage { image };
    let mut tables = EarlyTables { image, used: 0 };
    let root = tables.allocate_frame().expect("the pool is not empty");
    // SAFETY: the first early table, zeroed, referred to by nothing else.
    let top = unsafe { &mut *through_image.frame_to_pointer(root) };
    // SAFETY: `ThroughImage` finds every table that `tables` hands out.
    let mut map = unsafe { MappedPageTable::new(top, through_image) };

    map_one::<Size2MiB>(&mut map, &mut tables, IMAGE, image, Flags::PRESENT);
    let data = IMAGE_DATA;
    map_one::<Size2MiB>(&mut map, &mut tables, IMAGE + data, image + data, DATA);
    map_one::<Size4KiB>(&mut map, &mut tables, APIC_VIRT, APIC_PHYS, DATA | UNCACHED);
    for extent in extents {
        assert!(
            extent.start.get() % LARGE_PAGE == 0 && extent.len % LARGE_PAGE == 0,
            "extent {:#x}+{:#x} is not of large pages",
            extent.start,
            extent.len
        );
        for offset in (0..extent.len).step_by(LARGE_PAGE as usize) {
            let phys = extent.start + offset;
            // The text has no second, writable mapping.
            if phys != image {
                map_one::<Size2MiB>(&mut map, &mut tables, DIRECT_VIRT + phys.get(), phys, DATA);
            }
        }
    }
    KERNEL_ROOT.store(start_of(root).get(), Ordering::Release);
    load_kernel();
}

fn map_one<S: PageSize + core::fmt::Debug>(
    map: &mut MappedPageTable<'_, ThroughImage>,
    tables: &mut EarlyTables,
    virt: KernelVirt,
    phys: PhysAddr,
    flags: Flags,
) where
    for<'a> MappedPageTable<'a, ThroughImage>: Mapper<S>,
{
    let page = Page::<S>::containing_address(VirtAddr::new(virt.get()));
    let target = PhysFrame::<S>::containing_address(x86_64::PhysAddr::new(phys.get()));
    let parents = Flags::PRESENT | Flags::WRITABLE;
    // SAFETY: the page is not in use yet: the tables are not loaded.
    let flush = unsafe { map.map_to_with_table_flags(page, target, flags, parents, tables) };
    match flush {
        Ok(flush) => flush.ignore(),
        Err(error) => panic!("the partition's memory is spread too wide to map: {error:?}"),
    }
}

/// Takes a page out of the kernel's half: an access to it is a fault from now on. The m-kernel, before
/// another CPU starts.
pub(super) fn unmap(page: KernelVirt, pages: &mut impl Pages) {
    let virt = VirtAddr::new(page.get());
    let entry = |at, index: PageTableIndex| {
        // SAFETY: a table of the kernel's half, in the direct map; this CPU is the only one, and has no other
        // reference to the entry.
        unsafe { &mut *table(at).cast::<PageTableEntry>().add(usize::from(index)) }
    };
    let pointers = target(entry(kernel_root(), virt.p4_index()));
    let directory = target(entry(pointers, virt.p3_index()));
    let large = entry(directory, virt.p2_index());
    if large.flags().contains(Flags::HUGE_PAGE) {
        split(large, pages.alloc().expect("there is memory at boot"));
    }
    entry(target(large), virt.p1_index()).set_unused();
    // Drops what the TLB has of it.
    load_kernel();
}

/// Has a table at `small` map the same as the entry of a large page, and the entry refer to it.
fn split(large: &mut PageTableEntry, small: PhysAddr) {
    let flags = large.flags() - Flags::HUGE_PAGE;
    // SAFETY: a fresh page of the direct map, that is the caller's alone.
    let entries = unsafe { &mut *table(small) };
    for (entry, offset) in entries.iter_mut().zip((0..).step_by(PAGE_SIZE)) {
        entry.set_addr(large.addr() + offset, flags);
    }
    large.set_frame(frame(small), Flags::PRESENT | Flags::WRITABLE);
}

fn target(entry: &PageTableEntry) -> PhysAddr {
    PhysAddr::new(entry.addr().as_u64())
}

/// Whether the m-kernel has built the kernel's half.
pub fn kernel_half_exists() -> bool {
    KERNEL_ROOT.load(Ordering::Acquire) != 0
}

/// Loads the kernel's own tables: no process is mapped.
fn load_kernel() {
    load(kernel_root());
}

#[inline]
fn kernel_root() -> PhysAddr {
    PhysAddr::new(KERNEL_ROOT.load(Ordering::Acquire))
}

#[inline]
fn load(root: PhysAddr) {
    // SAFETY: every root is a page, and has the kernel's half; the page tables of a process are only
    // freed by `AddressSpace::free`, when no CPU has them loaded.
    unsafe {
        let root =
            PhysFrame::from_start_address_unchecked(x86_64::PhysAddr::new_unsafe(root.get()));
        Cr3::write(root, Cr3Flags::empty());
    }
}

#[inline]
fn frame(phys: PhysAddr) -> PhysFrame {
    PhysFrame::containing_address(x86_64::PhysAddr::new(phys.get()))
}

#[inline]
fn start_of(frame: PhysFrame) -> PhysAddr {
    PhysAddr::new(frame.start_address().as_u64())
}

#[inline]
fn table(phys: PhysAddr) -> *mut PageTable {
    phys_to_virt(phys).cast()
}

/// Clears a page that no process has mapped.
pub fn clear(phys: PhysAddr) {
    // SAFETY: a page of the partition, in the direct map, that is the caller's alone.
    unsafe { phys_to_virt(phys).write_bytes(0, PAGE_SIZE) }
}
