//! What happens when the kernel meets a state it cannot go on from.
//!
//! The message reaches `antctl log`, the other CPUs of the partition halt, Linux is told by the
//! doorbell; nothing outside the partition is touched.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use ant_abi::CpuIndex;
use ant_abi::cpu_block::CpuState;

use crate::{doorbell, log, shared};
use ant_arch::{apic, cpu};

/// Set by the first CPU that panics; read by the NMI handler of the others.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let cpu = shared::this_cpu();
    if PANICKED.swap(true, Ordering::SeqCst) {
        // A second CPU, or a panic inside the panic: no more words.
        halt(cpu, CpuState::Panicked);
    }
    log::error!("panic on CPU {}: {info}", shared::linux_cpu(cpu));
    shared::control(cpu).state().store(CpuState::Panicked.into(), Ordering::SeqCst);
    if apic::is_reachable() {
        // Only to CPUs that can take an NMI; a CPU that is not ready yet looks for itself.
        let ready = shared::cpus().filter(|&other| is_ready(other));
        ready.map(shared::apic_id).for_each(apic::send_nmi);
        doorbell::ring_linux(cpu);
    }
    cpu::halt_for_ever()
}

fn is_ready(cpu: CpuIndex) -> bool {
    shared::control(cpu).state().load(Ordering::SeqCst) == u32::from(CpuState::Ready)
}

/// Stops this CPU if another one panicked. Called on NMI, and once the CPU is ready.
pub fn halt_if_panicked() {
    if PANICKED.load(Ordering::SeqCst) {
        halt(shared::this_cpu(), CpuState::Halted);
    }
}

fn halt(cpu: CpuIndex, state: CpuState) -> ! {
    shared::control(cpu).state().store(state.into(), Ordering::Release);
    cpu::halt_for_ever()
}
