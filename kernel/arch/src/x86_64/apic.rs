//! The local APIC, in whichever mode Linux left it: xAPIC or x2APIC (SDM vol. 3, chapter 11).

use core::sync::atomic::{AtomicBool, Ordering, fence};

use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags, Msr};

use super::clock;
use super::paging::{self, APIC_VIRT};
use super::trap::{SPURIOUS_VECTOR, TIMER_VECTOR};

/// Registers, as offsets of the xAPIC page; MSR = 0x800 + offset / 16.
const ID: u32 = 0x20;
const TASK_PRIORITY: u32 = 0x80;
const EOI: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const ICR_LOW: u32 = 0x300;
const ICR_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const SOFTWARE_ENABLE: u32 = 1 << 8;
const LVT_MASKED: u32 = 1 << 16;
const ICR_ASSERT: u32 = 1 << 14;
const ICR_NMI: u32 = 4 << 8;
const ICR_PENDING: u32 = 1 << 12;
const DIVIDE_BY_16: u32 = 0b0011;
/// Time over which the timer is compared with the time-stamp counter.
const CALIBRATION_US: u64 = 1000;
/// How often.
const CALIBRATIONS: usize = 5;

/// Whether the APICs are in x2APIC mode; the same on every CPU. Written by each CPU's `init`.
static X2APIC: AtomicBool = AtomicBool::new(false);

#[inline]
fn x2apic() -> bool {
    X2APIC.load(Ordering::Relaxed)
}

/// Where a register is in xAPIC mode.
#[inline]
fn register_address(register: u32) -> *mut u32 {
    (APIC_VIRT + u64::from(register)).as_ptr()
}

#[inline]
fn write(register: u32, value: u32) {
    if x2apic() {
        // SAFETY: an architectural register of this CPU's own APIC.
        unsafe { Msr::new(0x800 + register / 16).write(u64::from(value)) }
    } else {
        // SAFETY: the APIC's page is mapped uncached at this address.
        unsafe { register_address(register).write_volatile(value) }
    }
}

#[inline]
fn read(register: u32) -> u32 {
    if x2apic() {
        // SAFETY: as in `write`.
        unsafe { Msr::new(0x800 + register / 16).read() as u32 }
    } else {
        // SAFETY: as in `write`.
        unsafe { register_address(register).read_volatile() }
    }
}

/// Whether the APIC can be reached yet: an xAPIC's page is in the kernel's own tables only.
pub fn is_reachable() -> bool {
    read_mode() || paging::kernel_half_exists()
}

/// Finds out the mode, without which no register can be reached. Whether it is x2APIC mode.
fn read_mode() -> bool {
    let x2apic = ApicBase::read().1.contains(ApicBaseFlags::X2APIC_ENABLE);
    X2APIC.store(x2apic, Ordering::Relaxed);
    x2apic
}

/// Switches this CPU's APIC on; INIT has left it off, with every local vector masked.
pub fn init() {
    read_mode();
    write(TASK_PRIORITY, 0);
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(TIMER_DIVIDE, DIVIDE_BY_16);
    write(LVT_TIMER, LVT_MASKED | u32::from(TIMER_VECTOR));
}

/// Physical APIC id of this CPU.
pub fn id() -> u32 {
    if x2apic() { read(ID) } else { read(ID) >> 24 }
}

/// Acknowledges the interrupt that is being handled.
#[inline]
pub fn end_of_interrupt() {
    write(EOI, 0);
}

/// Sends the interrupt `vector`, from 32 on, to the CPU with a physical APIC id.
#[inline]
pub fn send_interrupt(apic_id: u32, vector: u8) {
    debug_assert!(vector >= 32);
    send(apic_id, ICR_ASSERT | u32::from(vector));
}

/// Sends an NMI to the CPU with a physical APIC id.
pub fn send_nmi(apic_id: u32) {
    send(apic_id, ICR_ASSERT | ICR_NMI);
}

/// Writes the interrupt command register. What was stored in memory before is visible to the CPU
/// that takes the interrupt.
#[inline]
fn send(apic_id: u32, command: u32) {
    fence(Ordering::SeqCst);
    if x2apic() {
        // A write to an x2APIC register is not ordered behind earlier stores by itself, nor by the
        // fence above alone (SDM vol. 3, 11.12.3).
        // SAFETY: `lfence` has no other effect; the register is this CPU's own APIC's.
        unsafe {
            core::arch::x86_64::_mm_lfence();
            Msr::new(0x800 + ICR_LOW / 16).write(u64::from(apic_id) << 32 | u64::from(command));
        }
    } else {
        while read(ICR_LOW) & ICR_PENDING != 0 {
            core::hint::spin_loop();
        }
        write(ICR_HIGH, apic_id << 24);
        write(ICR_LOW, command);
    }
}

/// The timer's rate against the time-stamp counter.
#[derive(Clone, Copy)]
pub struct Timer {
    /// Timer counts in `cycles`.
    counts: u64,
    /// Cycles of the time-stamp counter.
    cycles: u64,
}

impl Timer {
    /// Measures the timer of this CPU; takes a few milliseconds. A machine that is emulated, or that
    /// firmware takes away for a while, may stand still within a measurement: the shortest counts.
    pub fn calibrate() -> Self {
        let measured = (0..CALIBRATIONS).map(|_| Self::measure());
        measured.min_by_key(|timer| timer.cycles).expect("there is more than one")
    }

    fn measure() -> Self {
        write(TIMER_INITIAL, u32::MAX);
        let start = clock::now();
        let end = start + clock::cycles(CALIBRATION_US);
        while clock::now() < end {
            core::hint::spin_loop();
        }
        let counts = u64::from(u32::MAX - read(TIMER_CURRENT));
        let cycles = clock::now() - start;
        write(TIMER_INITIAL, 0);
        Self { counts: counts.max(1), cycles: cycles.max(1) }
    }

    /// Asks for one interrupt at `deadline`, or for none.
    pub fn set(self, deadline: Option<u64>) {
        let Some(deadline) = deadline else {
            write(LVT_TIMER, LVT_MASKED | u32::from(TIMER_VECTOR));
            write(TIMER_INITIAL, 0);
            return;
        };
        let cycles = deadline.saturating_sub(clock::now());
        let counts = u128::from(cycles) * u128::from(self.counts) / u128::from(self.cycles);
        write(LVT_TIMER, u32::from(TIMER_VECTOR));
        // Rather late than early.
        write(TIMER_INITIAL, u32::try_from(counts + 1).unwrap_or(u32::MAX));
    }
}
