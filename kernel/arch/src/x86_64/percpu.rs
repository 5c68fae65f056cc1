//! What the processor itself needs to find on each CPU: segments, stacks, the `syscall` scratch.

use core::cell::UnsafeCell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::{KernelVirt, MAX_CPUS, PAGE_SIZE};
use x86_64::VirtAddr;
use x86_64::registers::model_specific::{GsBase, KernelGsBase};

use super::context::Context;
use super::paging::{self, Pages};
use super::segments::Segments;

const STACK_SIZE: usize = 32 << 10;
const IST_SIZE: usize = 4 << 10;

/// One CPU's area. The stack comes last: its top is the end of the area.
#[repr(C, align(4096))]
pub struct Area {
    /// Where `syscall` keeps the user's stack pointer for a moment, `gs:[0]`.
    pub(super) scratch: u64,
    /// Index of the CPU.
    index: u64,
    /// GDT and TSS.
    pub(super) segments: Segments,
    /// Stacks of NMI, double fault and machine check, which may come at any moment.
    pub(super) ist: [[u8; IST_SIZE]; 3],
    /// Not mapped: a stack that grows into it is a fault, and not another stack or the tables above.
    guard: Guard,
    /// The kernel stack.
    stack: [u8; STACK_SIZE],
}

#[repr(C, align(4096))]
struct Guard([u8; PAGE_SIZE]);

/// Bytes of an area; a multiple of a page.
pub const AREA_SIZE: usize = size_of::<Area>();

/// End of the context of the process that runs: a trap from ring 3 and `syscall` save there.
pub(super) const TRAP_STACK: usize = offset_of!(Area, segments) + Segments::TRAP_STACK;
pub(super) const SCRATCH: usize = offset_of!(Area, scratch);

#[repr(transparent)]
pub(super) struct FirstArea(UnsafeCell<Area>);

// SAFETY: only CPU 0 uses it, as every CPU uses its own area.
unsafe impl Sync for FirstArea {}

/// The m-kernel's area; it runs before there is a memory manager.
pub(super) static FIRST_AREA: FirstArea = FirstArea(UnsafeCell::new(Area {
    scratch: 0,
    index: 0,
    segments: Segments::new(),
    ist: [[0; IST_SIZE]; 3],
    guard: Guard([0; PAGE_SIZE]),
    stack: [0; STACK_SIZE],
}));

/// End of each p-kernel's area, for `entry`; 0 until the m-kernel has made it. Written by the
/// m-kernel before it is ready; a p-kernel is started after that.
pub(super) static AREA_ENDS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Makes the area of p-kernel `cpu` out of zeroed memory.
///
/// # Safety
/// `memory` is mapped, zeroed, aligned to a page, `AREA_SIZE` long, and given away for ever.
pub unsafe fn prepare(cpu: usize, memory: *mut u8) {
    let area = memory.cast::<Area>();
    // SAFETY: the caller's promise; all-zero bytes are a valid `Area`.
    unsafe {
        (*area).index = cpu as u64;
        (*area).segments = Segments::new();
    }
    AREA_ENDS[cpu].store(memory as u64 + AREA_SIZE as u64, Ordering::Release);
}

/// Where the area of a CPU is.
fn area_of(cpu: usize) -> u64 {
    match cpu {
        0 => FIRST_AREA.0.get() as u64,
        _ => AREA_ENDS[cpu].load(Ordering::Acquire) - AREA_SIZE as u64,
    }
}

/// Where the guard page is of the area at `area`.
fn guard_of(area: u64) -> u64 {
    area + offset_of!(Area, guard) as u64
}

/// Unmaps the guard page below the kernel stack of a CPU that has its area. The m-kernel, before another
/// CPU starts.
pub fn unmap_guard(cpu: usize, pages: &mut impl Pages) {
    paging::unmap(KernelVirt::new(guard_of(area_of(cpu))), pages);
}

/// Whether an address is in the guard page of the CPU that runs this.
pub(super) fn is_in_guard(address: u64) -> bool {
    let guard = guard_of(area() as u64);
    (guard..guard + PAGE_SIZE as u64).contains(&address)
}

/// The area of the CPU that runs this.
pub(super) fn area() -> *mut Area {
    let area = KernelGsBase::read();
    // An NMI may come while `syscall` has the two bases swapped; the user's is always 0.
    if area.is_null() { GsBase::read().as_mut_ptr() } else { area.as_mut_ptr() }
}

/// Index of the CPU that runs this.
pub fn index() -> usize {
    let area = area();
    if area.is_null() {
        // Before `init` only the m-kernel's first lines can be here.
        return 0;
    }
    // SAFETY: `init` set the register to this CPU's area.
    unsafe { (*area).index as usize }
}

/// Tells the CPU which area is its own. In the kernel it is found through `KernelGsBase`; the
/// plain base is the user's, and `syscall` swaps the two for a few instructions.
pub(super) fn init(cpu: usize) {
    KernelGsBase::write(VirtAddr::new(area_of(cpu)));
    GsBase::write(VirtAddr::zero());
}

/// The area of the CPU that has this value, found without reading a register each time.
pub struct OwnArea(*mut Area);

impl OwnArea {
    /// The area of the CPU that runs this, after `init`; it stays there.
    pub fn of_this_cpu() -> Self {
        Self(area())
    }

    /// Makes `context` the one that traps from ring 3 are saved to.
    #[inline]
    pub(super) fn set_context(&mut self, context: *mut Context) {
        let top = context as u64 + size_of::<Context>() as u64;
        // SAFETY: this CPU's own area, and no reference to this field exists elsewhere; the end of
        // a context is an address.
        unsafe { (*self.0).segments.set_trap_stack(VirtAddr::new_unsafe(top)) }
    }
}
