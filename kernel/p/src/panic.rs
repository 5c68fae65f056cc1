//! What happens when the kernel meets a state it cannot go on from.
//!
//! The message reaches `antctl log`, the other cores of the partition halt, Linux is told by the
//! doorbell; nothing outside the partition is touched.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use ant_abi::core_block::{CORE_HALTED, CORE_PANICKED, CORE_READY};

use crate::arch::{apic, cpu, percore};
use crate::{log, shared};

/// Set by the first core that panics; read by the NMI handler of the others.
static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let core = percore::index();
    if PANICKED.swap(true, Ordering::SeqCst) {
        // A second core, or a panic inside the panic: no more words.
        halt(core, CORE_PANICKED);
    }
    log::error!("panic on CPU {}: {info}", shared::linux_cpu(core));
    shared::control(core).state().store(CORE_PANICKED, Ordering::SeqCst);
    if apic::is_reachable() {
        // Only to cores that can take an NMI; a core that is not ready yet looks for itself.
        (0..shared::core_count()).filter(|&other| is_ready(other)).for_each(apic::send_nmi);
        apic::ring_linux(core);
    }
    cpu::halt_for_ever()
}

fn is_ready(core: usize) -> bool {
    shared::control(core).state().load(Ordering::SeqCst) == CORE_READY
}

/// Stops this core if another one panicked. Called on NMI, and once the core is ready.
pub fn halt_if_panicked() {
    if PANICKED.load(Ordering::SeqCst) {
        halt(percore::index(), CORE_HALTED);
    }
}

fn halt(core: usize, state: u32) -> ! {
    shared::control(core).state().store(state, Ordering::Release);
    cpu::halt_for_ever()
}
