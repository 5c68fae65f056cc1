//! Control registers, model-specific registers, halting.

use core::arch::asm;

use raw_cpuid::CpuId;
use x86_64::instructions::port::Port;
use x86_64::registers::control::{Cr0, Cr0Flags, Cr4, Cr4Flags};
use x86_64::registers::model_specific::{Efer, EferFlags, LStar, Msr, SFMask, Star};
use x86_64::registers::rflags::RFlags;
use x86_64::structures::paging::PageTableFlags;
use x86_64::{VirtAddr, instructions};

use super::{segments, trap};

/// Page attribute table as the SDM's reset value (Intel SDM vol. 3, 12.12.4): INIT leaves what
/// Linux had set.
const IA32_PAT: u32 = 0x277;
const PAT_RESET: u64 = 0x0007_0406_0007_0406;
/// CS, ESP and EIP of `sysenter`, which INIT leaves as Linux had set them, too. With CS 0, the
/// instruction is a fault (SDM vol. 2, SYSENTER).
const IA32_SYSENTER: [u32; 3] = [0x174, 0x175, 0x176];

/// Caching of a mapping: uncached, for device registers.
pub const UNCACHED: PageTableFlags = PageTableFlags::NO_CACHE.union(PageTableFlags::WRITE_THROUGH);

/// Brings this CPU from the trampoline's state to the kernel's: protection bits, `syscall`, PAT.
pub fn init() {
    // SAFETY: the kernel's text is mapped read-only and executable, its data writable; no process
    // has run yet. AnT has no floating point in ring 3 yet: EM turns it into a fault, so no state
    // leaks from one process to another.
    unsafe {
        Cr0::update(|cr0| {
            cr0.insert(
                Cr0Flags::WRITE_PROTECT | Cr0Flags::NUMERIC_ERROR | Cr0Flags::EMULATE_COPROCESSOR,
            );
            cr0.remove(Cr0Flags::TASK_SWITCHED);
        });
        let mut cr4 = Cr4Flags::PHYSICAL_ADDRESS_EXTENSION | Cr4Flags::MACHINE_CHECK_EXCEPTION;
        cr4 |= supported_protection();
        // Toggling PGE drops what Linux may have left in the TLB as global.
        Cr4::write(cr4 | Cr4Flags::PAGE_GLOBAL);
        Cr4::write(cr4);
        Efer::update(|efer| {
            efer.insert(EferFlags::SYSTEM_CALL_EXTENSIONS | EferFlags::NO_EXECUTE_ENABLE);
        });
        Msr::new(IA32_PAT).write(PAT_RESET);
        IA32_SYSENTER.iter().for_each(|&register| Msr::new(register).write(0));
    }
    LStar::write(VirtAddr::new(trap::syscall_entry_address()));
    Star::write(
        segments::USER_CODE,
        segments::USER_DATA,
        segments::KERNEL_CODE,
        segments::KERNEL_DATA,
    )
    .expect("segment selectors fit STAR");
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK,
    );
}

/// SMEP, SMAP and UMIP where the processor has them (SDM vol. 2, CPUID leaf 7).
fn supported_protection() -> Cr4Flags {
    let mut flags = Cr4Flags::empty();
    if let Some(features) = CpuId::new().get_extended_feature_info() {
        flags.set(Cr4Flags::SUPERVISOR_MODE_EXECUTION_PROTECTION, features.has_smep());
        flags.set(Cr4Flags::SUPERVISOR_MODE_ACCESS_PREVENTION, features.has_smap());
        flags.set(Cr4Flags::USER_MODE_INSTRUCTION_PREVENTION, features.has_umip());
    }
    flags
}

/// Sleeps until the next interrupt and takes it. Interrupts are off again afterwards.
#[inline]
pub fn wait_for_interrupt() {
    // SAFETY: `sti` takes effect after the next instruction, so an interrupt that is pending ends
    // the `hlt` and none is missed; the handlers of interrupts in the kernel only count.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) }
}

/// Takes the interrupts that are pending, and tells the processor that it spins. Interrupts are off
/// again afterwards.
#[inline]
pub fn take_interrupts() {
    // SAFETY: as in `wait_for_interrupt`; `sti` takes effect after the `pause`.
    unsafe { asm!("sti", "pause", "cli", options(nostack)) }
}

/// Reads from an I/O port.
///
/// # Safety
/// The caller has the right to the port, and to whatever its device does then.
pub unsafe fn port_read(port: u16, width: PortWidth) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        match width {
            PortWidth::Byte => u32::from(Port::<u8>::new(port).read()),
            PortWidth::Word => u32::from(Port::<u16>::new(port).read()),
            PortWidth::Long => Port::<u32>::new(port).read(),
        }
    }
}

/// Writes to an I/O port.
///
/// # Safety
/// As for [`port_read`].
pub unsafe fn port_write(port: u16, width: PortWidth, value: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        match width {
            PortWidth::Byte => Port::<u8>::new(port).write(value as u8),
            PortWidth::Word => Port::<u16>::new(port).write(value as u16),
            PortWidth::Long => Port::<u32>::new(port).write(value),
        }
    }
}

/// How much one access to an I/O port moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortWidth {
    /// 1 byte.
    Byte,
    /// 2 bytes.
    Word,
    /// 4 bytes.
    Long,
}

/// Stops this CPU for good.
pub fn halt_for_ever() -> ! {
    loop {
        instructions::interrupts::disable();
        instructions::hlt();
    }
}
