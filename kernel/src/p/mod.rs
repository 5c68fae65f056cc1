//! What every core runs, and all that a p-kernel is (paper 2.1.1): traps, messages between cores,
//! scheduling. No memory manager: what a core lacks it asks of the m-kernel.
//!
//! Nothing here names `m`. The m-kernel runs the same code with a [`Role`] that can do more.

mod core_loop;
pub mod mailbox;
pub mod process;
mod syscalls;
pub mod user_memory;

pub use core_loop::{Core, Role};

use ::core::sync::atomic::Ordering;

use ant_abi::core_block::{CORE_READY, CORE_STARTING, ROLE_M_KERNEL, ROLE_P_KERNEL};
use ant_abi::store::StoreEntry;
use mailbox::Report;
use process::Owned;

use crate::arch::apic::{self, Timer};
use crate::arch::{segments, trap};
use crate::panic::halt_if_panicked;
use crate::{log, shared};

/// Tells Linux that this core runs; from here on the trampoline's page is not needed.
pub fn announce(core: usize) {
    let control = shared::control(core);
    let role = if core == 0 { ROLE_M_KERNEL } else { ROLE_P_KERNEL };
    control.role().store(role, Ordering::Relaxed);
    control.state().store(CORE_STARTING, Ordering::Release);
}

/// Loads segments and vectors: from here on, a fault is a panic and not the end of the machine.
pub fn init_traps() {
    segments::init();
    trap::init();
}

/// Switches the core's APIC on and measures its timer.
pub fn init_apic() -> Timer {
    apic::init();
    assert!(apic::id_matches(), "this is not the core that Linux says it is");
    Timer::calibrate()
}

/// Tells Linux that this core takes processes and doorbells, and works from now on.
pub fn work(mut core: Core, mut role: impl Role) -> ! {
    shared::control(core.index()).state().store(CORE_READY, Ordering::SeqCst);
    halt_if_panicked();
    core.run(&mut role)
}

/// A p-kernel, from its first Rust code on.
pub fn start(index: usize) -> ! {
    init_traps();
    announce(index);
    let timer = init_apic();
    work(Core::new(index, timer), PKernel)
}

/// The role of every core but the first: it hands on what it has no means for.
struct PKernel;

impl Role for PKernel {
    fn reports(&mut self, _core: &mut Core) {}

    fn syscall(
        &mut self,
        _core: &mut Core,
        _slot: u8,
        _number: u64,
        _args: [u64; 3],
    ) -> Option<i64> {
        None
    }

    fn released_elsewhere(&mut self, lca: StoreEntry) {
        log::warning!("a release for nobody here: {:#x}", lca.0);
    }

    fn loading_returned(&mut self, _core: &mut Core, slot: u8) {
        panic!("process slot {slot} is being loaded on a p-kernel");
    }

    fn reap(&mut self, core: &mut Core, process: Owned) {
        mailbox::report(core.index(), Report::Reap(process));
    }
}
