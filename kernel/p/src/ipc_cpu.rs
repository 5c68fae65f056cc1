//! Where each CPU's IPC state is: too large for a kernel stack, so it has memory of its own.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::{CpuIndex, MAX_CPUS};
use ant_logic::ipc::IpcCpu;

/// Bytes of one.
pub const SIZE: usize = size_of::<IpcCpu>();

/// Where they are, 0 for not yet. Written by the m-kernel before a CPU starts.
static PLACES: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static EMPTY: IpcCpu = IpcCpu::new(CpuIndex::M_KERNEL);

/// Gives CPU `cpu` its memory.
///
/// # Safety
/// `memory` is mapped on every CPU, [`SIZE`] long, aligned to a page, and given away for ever.
pub unsafe fn place(cpu: CpuIndex, memory: *mut u8) {
    let ipc = memory.cast::<IpcCpu>();
    // SAFETY: the caller's promise. An `IpcCpu` owns nothing, so it may be copied.
    unsafe {
        ipc.copy_from_nonoverlapping(&raw const EMPTY, 1);
        (*ipc).begin_on(cpu);
    }
    PLACES[cpu.index()].store(memory as u64, Ordering::Release);
}

/// The IPC state of the CPU that asks, which asks once.
pub fn of(cpu: CpuIndex) -> &'static mut IpcCpu {
    let place = PLACES[cpu.index()].swap(0, Ordering::Acquire);
    assert!(place != 0, "a CPU takes its IPC state once");
    // SAFETY: `place` put one there, for this CPU alone, and gives it away once.
    unsafe { &mut *(place as *mut IpcCpu) }
}
