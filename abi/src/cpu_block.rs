//! What belongs to one AnT CPU in the shared area: control page, address stores, log.

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::boot::MAX_INTERRUPTS;
use crate::control::INIT_CHANNELS;
use crate::layout::CPU_BLOCK_SPAN;
use crate::log::LogRing;
use crate::store::AddressStore;

/// How far a CPU is: `CpuControl::state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum CpuState {
    /// Nothing has run here.
    Off = 0,
    /// The kernel's first instructions have run; the trampoline is free.
    Starting = 1,
    /// The CPU schedules processes and answers doorbells.
    Ready = 2,
    /// The kernel on this CPU met a state it cannot go on from.
    Panicked = 3,
    /// Stopped because another CPU of the partition panicked.
    Halted = 4,
}

/// The kernel on a CPU: `CpuControl::role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum CpuRole {
    /// A p-kernel with the memory manager and process creation (paper 2.1.1).
    MKernel = 0,
    /// Traps, IPC and scheduling only (paper 2.1.1).
    PKernel = 1,
}

/// `CpuControl::route`: no route yet, AnT must not ring.
pub const ROUTE_NONE: u64 = 0;
/// First bit of the destination's physical APIC id in `CpuControl::route`; the vector is below.
pub const ROUTE_APIC_SHIFT: u32 = 32;

abi_struct! {
    /// Control page of one CPU. Counters count from the start of the partition.
    pub struct CpuControl {
        /// A `CpuState`, `CPU_*` in C. Written by AnT.
        pub state: u32,
        /// A `CpuRole`, `ROLE_*` in C. Written by AnT.
        pub role: u32,
        /// Where this CPU's doorbell to Linux goes: `apic_id << 32 | vector`, or `ROUTE_NONE`.
        /// Written by the module as one store whenever the irq's affinity changes; read by AnT
        /// before every send.
        pub route: u64,
        /// Process that runs now, 0 for none. Written by AnT.
        pub running_pid: u32,
        /// Processes that live on this CPU. Written by AnT.
        pub processes: u32,
        /// Linux system calls sent. Written by AnT.
        pub calls_sent: u64,
        /// Returns taken. Written by AnT.
        pub calls_returned: u64,
        /// Returns that no process of the CPU waits for. Written by AnT.
        pub unexpected_returns: u64,
        /// Doorbells taken, from Linux or from another AnT CPU. Written by AnT; a doorbell that
        /// does not raise it within a second means a CPU with interrupts off.
        pub doorbells: u64,
        /// Unexpected interrupts: acknowledged, counted, ignored. Written by AnT.
        pub unexpected_interrupts: u64,
        /// Timer interrupts taken. Written by AnT.
        pub timer_interrupts: u64,
        /// Changes from one process to another. Written by AnT.
        pub switches: u64,
        /// Faults that ended a process. Written by AnT.
        pub faults: u64,
        /// TSC cycles spent halted, without the halt that may be going on. Written by AnT.
        pub idle_cycles: u64,
        /// When the halt that is going on began, 0 for none. Written by AnT.
        pub idle_since: u64,
        /// Pages of the partition that are free. Written by the m-kernel, 0 elsewhere.
        pub free_pages: u64,
        /// Pages of the partition that AnT manages. Written by the m-kernel, 0 elsewhere.
        pub total_pages: u64,
        /// Rings of this CPU's doorbell that `ant.ko` handled. Written by the module.
        pub linux_doorbells: u64,
        /// Requests of this CPU that the module refused: outside the partition or not a page.
        /// Written by the module.
        pub linux_refused: u64,
        /// LCAs of AnT's `init`, with their generation: one for its commands, one for its replies.
        /// `antd` serves them itself. Written by the m-kernel before it is ready, 0 elsewhere.
        pub init_lcas: [u64; INIT_CHANNELS],
        /// Interrupts of the partition's devices that came to this CPU since it last looked: bit
        /// `n` is interrupt `n`. Set by the module, one bit at a time, and taken by this CPU.
        pub interrupts: u64,
        /// Odd while the kernel runs on this CPU, even while a process runs or the CPU sleeps;
        /// raised at each change. If it is odd and stays the same, the CPU hangs. Written by AnT.
        pub kernel_entries: u64,
        /// Interrupts of devices that this CPU has taken. Written by AnT.
        pub device_interrupts: u64,
        /// Index of the CPU that each interrupt of the partition's devices goes to. Written by AnT
        /// on CPU 0's page, zero elsewhere; read by the module at each interrupt. An index of no
        /// CPU means CPU 0.
        pub interrupt_targets: [u32; MAX_INTERRUPTS],
        /// Zero; rounds the page up.
        pub reserved: [u64; 458],
    }

    /// All that belongs to one CPU; `CPU_BLOCK_SPAN` bytes.
    pub struct CpuBlock {
        /// State and counters.
        pub control: CpuControl,
        /// Requests: AnT to Linux.
        pub request: AddressStore,
        /// Rounds up to a page. Zero.
        pub pad_request: [u8; 1920],
        /// Returns: Linux to AnT.
        pub ret: AddressStore,
        /// Rounds up to a page. Zero.
        pub pad_ret: [u8; 1920],
        /// Zero.
        pub reserved: [u8; 4096],
        /// Kernel log of the CPU.
        pub log: LogRing,
    }
}

const _: () = assert!(size_of::<CpuControl>() == 4096);
const _: () = assert!(size_of::<CpuBlock>() as u64 == CPU_BLOCK_SPAN);

abi_constants!(
    CPU_OFF = CpuState::Off,
    CPU_STARTING = CpuState::Starting,
    CPU_READY = CpuState::Ready,
    CPU_PANICKED = CpuState::Panicked,
    CPU_HALTED = CpuState::Halted,
    ROLE_M_KERNEL = CpuRole::MKernel,
    ROLE_P_KERNEL = CpuRole::PKernel,
    ROUTE_NONE,
    ROUTE_APIC_SHIFT,
);
