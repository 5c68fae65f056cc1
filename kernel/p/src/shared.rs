//! The area shared with Linux: boot block and CPU blocks, as typed references.
//!
//! The layout is `ant_abi`'s. Fields that Linux may change while AnT runs are read as atomics.

use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

use ant_abi::boot::{BOOT_MAGIC, BootBlock, BootDevice, Extent, MAX_INTERRUPTS, TableSizes};
use ant_abi::control::INIT_CHANNELS;
use ant_abi::cpu_block::{CpuBlock, CpuControl};
use ant_abi::layout::{BOOT_BLOCK_SPAN, CPU_BLOCK_SPAN, IMAGE_VIRT, SHARED_OFFSET};
use ant_abi::{CpuIndex, KernelVirt, MAX_CPUS};
use ant_logic::rings::address::AddressRing;
use ant_logic::rings::log::Log;
use core::mem::offset_of;

use ant_arch::percpu;

/// Where the shared area is mapped, on every CPU.
const SHARED_VIRT: KernelVirt = KernelVirt::new(IMAGE_VIRT + SHARED_OFFSET);

/// The boot block. Linux filled it before the first CPU started and leaves it alone since.
pub fn boot() -> &'static BootBlock {
    // SAFETY: the image mapping covers the shared area for the life of the kernel; every bit
    // pattern is a valid `BootBlock`; neither kernel writes it while AnT runs.
    unsafe { &*SHARED_VIRT.as_ptr::<BootBlock>() }
}

/// The CPUs of this partition. Written by the m-kernel before any other CPU starts.
static CPUS: AtomicUsize = AtomicUsize::new(0);

/// Takes the number of CPUs from the boot block; refuses one of another revision or with numbers
/// outside the ABI's bounds, also of its devices.
pub fn take_boot() -> Result<(), &'static str> {
    let boot = boot();
    if boot.magic != BOOT_MAGIC || boot.size as usize != size_of::<BootBlock>() {
        return Err("no boot block where one should be");
    }
    if boot.revision != ant_abi::REVISION {
        return Err("the module is of another ABI revision");
    }
    if boot.cpu_count == 0 || boot.cpu_count as usize > MAX_CPUS {
        return Err("boot block: bad number of CPUs");
    }
    if boot.extent_count == 0 || boot.extent_count as usize > boot.extents.len() {
        return Err("boot block: bad number of extents");
    }
    let devices = boot.devices.get(..boot.device_count as usize);
    if !devices.is_some_and(|devices| devices.iter().all(ant_logic::devices::is_valid)) {
        return Err("boot block: bad devices");
    }
    if ant_logic::tables::check(&boot.tables).is_err() {
        return Err("boot block: bad sizes of tables");
    }
    CPUS.store(boot.cpu_count as usize, Ordering::Relaxed);
    Ok(())
}

/// How many CPUs this partition has: once the m-kernel has begun, 1 to `MAX_CPUS`.
#[inline]
pub fn cpu_count() -> usize {
    CPUS.load(Ordering::Relaxed)
}

/// The CPUs of this partition, the m-kernel's first.
pub fn cpus() -> impl Iterator<Item = CpuIndex> {
    CpuIndex::all().take(cpu_count())
}

/// The CPU of this partition with an index that a process has passed.
pub fn cpu_with_index(index: u64) -> Option<CpuIndex> {
    CpuIndex::try_from(index).ok().filter(|cpu| cpu.index() < cpu_count())
}

/// How large the partition's tables are, once [`take_boot`] has found it right.
#[inline]
pub fn tables() -> &'static TableSizes {
    &boot().tables
}

/// The CPU that runs this.
pub fn this_cpu() -> CpuIndex {
    CpuIndex::from_bits(percpu::index() as u64)
}

/// The memory of this partition, once [`take_boot`] has found it right.
pub fn extents() -> &'static [Extent] {
    let boot = boot();
    &boot.extents[..boot.extent_count as usize]
}

/// The devices of this partition, once [`take_boot`] has found them right.
pub fn devices() -> &'static [BootDevice] {
    let boot = boot();
    &boot.devices[..boot.device_count as usize]
}

/// Index of the CPU that interrupt `index` goes to. Written here, by the CPU of the process that has
/// it; read by the module.
pub fn interrupt_target(index: usize) -> &'static AtomicU32 {
    assert!(index < MAX_INTERRUPTS);
    let targets = control(CpuIndex::M_KERNEL).0 + offset_of!(CpuControl, interrupt_targets) as u64;
    // SAFETY: the control page is mapped for the life of the kernel; the array is in it, aligned, and
    // both kernels use its words as atomics.
    unsafe { &*(targets + (index * size_of::<u32>()) as u64).as_ptr::<AtomicU32>() }
}

/// What Linux calls CPU `cpu`.
pub fn linux_cpu(cpu: CpuIndex) -> u32 {
    boot().cpus[cpu.index()].linux_cpu
}

/// Physical APIC id of CPU `cpu`.
#[inline]
pub fn apic_id(cpu: CpuIndex) -> u32 {
    boot().cpus[cpu.index()].apic_id
}

/// What lies `offset` bytes into the block of CPU `cpu`.
fn in_block(cpu: CpuIndex, offset: usize) -> KernelVirt {
    SHARED_VIRT + BOOT_BLOCK_SPAN + cpu.bits() * CPU_BLOCK_SPAN + offset as u64
}

/// Request store of a CPU: AnT produces, Linux consumes.
pub fn requests(cpu: CpuIndex) -> &'static AddressRing {
    // SAFETY: mapped for the life of the kernel; `AddressRing` is all atomics with the ABI's layout.
    unsafe { &*in_block(cpu, offset_of!(CpuBlock, request)).as_ptr::<AddressRing>() }
}

/// Return store of a CPU: Linux produces, the CPU consumes.
pub fn returns(cpu: CpuIndex) -> &'static AddressRing {
    // SAFETY: as `requests`.
    unsafe { &*in_block(cpu, offset_of!(CpuBlock, ret)).as_ptr::<AddressRing>() }
}

/// Log ring of a CPU: the CPU writes, Linux reads.
pub fn log(cpu: CpuIndex) -> &'static Log {
    // SAFETY: as `requests`, for `Log`.
    unsafe { &*in_block(cpu, offset_of!(CpuBlock, log)).as_ptr::<Log>() }
}

/// The control page of one CPU.
#[derive(Clone, Copy)]
pub struct Control(KernelVirt);

/// The control page of CPU `cpu`.
pub fn control(cpu: CpuIndex) -> Control {
    Control(in_block(cpu, offset_of!(CpuBlock, control)))
}

macro_rules! fields {
    ($( $(#[$doc:meta])* $name:ident: $atomic:ty = $field:ident; )*) => {
        impl Control {$(
            $(#[$doc])*
            pub fn $name(self) -> &'static $atomic {
                // SAFETY: the control page is mapped for the life of the kernel, the field is
                // aligned for the atomic, and both kernels use it as one.
                unsafe { &*(self.0 + offset_of!(CpuControl, $field) as u64).as_ptr::<$atomic>() }
            }
        )*}
    };
}

fields! {
    /// Written here, read by Linux.
    state: AtomicU32 = state;
    /// Written here, read by Linux.
    role: AtomicU32 = role;
    /// Written by the module as one store, read before every doorbell.
    route: AtomicU64 = route;
    /// Written here, read by Linux.
    running_pid: AtomicU32 = running_pid;
    /// Written here, read by Linux.
    processes: AtomicU32 = processes;
    /// Counter, written here.
    calls_sent: AtomicU64 = calls_sent;
    /// Counter, written here.
    calls_returned: AtomicU64 = calls_returned;
    /// Counter, written here.
    unexpected_returns: AtomicU64 = unexpected_returns;
    /// Counter, written here.
    doorbells: AtomicU64 = doorbells;
    /// Counter, written here.
    unexpected_interrupts: AtomicU64 = unexpected_interrupts;
    /// Counter, written here.
    timer_interrupts: AtomicU64 = timer_interrupts;
    /// Counter, written here.
    switches: AtomicU64 = switches;
    /// Counter, written here.
    faults: AtomicU64 = faults;
    /// Counter, written here.
    idle_cycles: AtomicU64 = idle_cycles;
    /// Written here.
    idle_since: AtomicU64 = idle_since;
    /// Written by the m-kernel.
    free_pages: AtomicU64 = free_pages;
    /// Written by the m-kernel.
    total_pages: AtomicU64 = total_pages;
    /// Written by the m-kernel before it is ready.
    init_lcas: [AtomicU64; INIT_CHANNELS] = init_lcas;
    /// Set by the module, taken by the CPU.
    interrupts: AtomicU64 = interrupts;
    /// Counter, written here.
    device_interrupts: AtomicU64 = device_interrupts;
    /// Counter, written here: raised when the kernel begins or ends to run. Odd while it does.
    kernel_entries: AtomicU64 = kernel_entries;
}

/// Raises a counter that only this CPU writes; a plain add, no locked instruction.
#[inline]
pub fn count(counter: &AtomicU64) {
    add(counter, 1);
}

/// As [`count`], by more than one.
#[inline]
pub fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}
