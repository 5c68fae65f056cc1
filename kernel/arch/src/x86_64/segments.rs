//! GDT and TSS of one CPU.

use core::mem::offset_of;

use x86_64::PrivilegeLevel;
use x86_64::VirtAddr;
use x86_64::instructions::segmentation::{CS, DS, ES, FS, GS, SS, Segment};
use x86_64::instructions::tables::load_tss;
use x86_64::structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector};
use x86_64::structures::tss::TaskStateSegment;

use super::percpu;

/// Selectors; the order is the one `sysret` and `STAR` prescribe (SDM vol. 3, 5.8.8).
pub const KERNEL_CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);
/// Kernel data and stack.
pub const KERNEL_DATA: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);
/// User data and stack.
pub const USER_DATA: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring3);
/// User code.
pub const USER_CODE: SegmentSelector = SegmentSelector::new(4, PrivilegeLevel::Ring3);

/// Interrupt stack of NMI, from 0 as the IDT counts in this crate.
pub const IST_NMI: u16 = 0;
/// Interrupt stack of the double fault.
pub const IST_DOUBLE_FAULT: u16 = 1;
/// Interrupt stack of the machine check.
pub const IST_MACHINE_CHECK: u16 = 2;

/// The tables of one CPU.
pub(super) struct Segments {
    gdt: GlobalDescriptorTable,
    tss: TaskStateSegment,
}

impl Segments {
    /// Empty tables.
    pub(super) const fn new() -> Self {
        Self { gdt: GlobalDescriptorTable::new(), tss: TaskStateSegment::new() }
    }

    /// Where the stack is noted that a trap from ring 3 switches to.
    pub(super) const TRAP_STACK: usize =
        offset_of!(Self, tss) + offset_of!(TaskStateSegment, privilege_stack_table);

    /// Sets the stack that a trap from ring 3 switches to.
    #[inline]
    pub(super) fn set_trap_stack(&mut self, top: VirtAddr) {
        self.tss.privilege_stack_table[0] = top;
    }
}

/// Loads this CPU's tables.
pub fn init() {
    let area = percpu::area();
    // SAFETY: this CPU's own area, which lives for ever; nothing else refers to it yet. The
    // selectors loaded are those just put into the table.
    unsafe {
        let segments: &'static mut Segments = &mut (*area).segments;
        for (n, stack) in (*area).ist.iter().enumerate() {
            let top = VirtAddr::from_ptr(stack.as_ptr().add(stack.len()));
            segments.tss.interrupt_stack_table[n] = top;
        }
        segments.gdt.append(Descriptor::kernel_code_segment());
        segments.gdt.append(Descriptor::kernel_data_segment());
        segments.gdt.append(Descriptor::user_data_segment());
        segments.gdt.append(Descriptor::user_code_segment());
        let tss = segments.gdt.append(Descriptor::tss_segment_unchecked(&segments.tss));
        segments.gdt.load_unsafe();
        CS::set_reg(KERNEL_CODE);
        SS::set_reg(KERNEL_DATA);
        let null = SegmentSelector::NULL;
        DS::set_reg(null);
        ES::set_reg(null);
        FS::set_reg(null);
        // Loading GS clears its base, not `KernelGsBase`.
        GS::set_reg(null);
        load_tss(tss);
    }
}
