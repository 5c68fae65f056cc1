//! What every CPU runs, and all that a p-kernel is (paper 2.1.1): traps, IPC, scheduling, and the
//! way to Linux. No memory manager: what a CPU lacks it asks of the m-kernel.
//!
//! This crate cannot name the m-kernel's, which runs the same code with a [`Role`] that can do
//! more.
//!
//! - `arch`: the one place with assembler, page tables, APIC, traps.
//! - `run`, `locals`, `process`: one CPU and its processes.
//! - `idle`: a CPU that no process wants.
//! - `fuse`: processes that fail on purpose.
//! - `ipc`, `endpoints`, `handles`, `ica`: messages between processes, and the pages they hand over;
//!   `direct`: the short way of most of them.
//! - `mailbox`: messages between CPUs.
//! - `linux`: the Linux side of a process.
#![no_std]

pub mod arch;
pub mod devices;
pub mod endpoints;
pub mod exit;
mod fastpath;
pub mod fault_injection;
pub mod handles;
pub mod ica;
mod idle;
pub mod ipc;
pub mod ipc_cpu;
pub mod linux;
mod locals;
pub mod log;
pub mod mailbox;
pub mod migrate;
mod panic;
pub mod process;
mod run;
pub mod shared;
pub mod syscalls;
pub mod user_memory;

pub use locals::Locals;
pub use run::{Cpu, Role};

use ::core::sync::atomic::Ordering;

use ant_abi::cpu_block::{CPU_READY, CPU_STARTING, ROLE_M_KERNEL, ROLE_P_KERNEL};
use ant_abi::ipc::Span;
use ant_abi::store::StoreEntry;
use ant_abi::syscall::Sysnum;
use ant_abi::{CpuIndex, Pid, Slot};
use arch::apic::{self, Timer};
use arch::{segments, trap};
use mailbox::Message;
use panic::halt_if_panicked;
use process::Owned;

/// Tells Linux that this CPU runs; from here on the trampoline's page is not needed.
pub fn announce(cpu: CpuIndex) {
    let control = shared::control(cpu);
    let role = if cpu == CpuIndex::M_KERNEL { ROLE_M_KERNEL } else { ROLE_P_KERNEL };
    control.role().store(role, Ordering::Relaxed);
    control.state().store(CPU_STARTING, Ordering::Release);
}

/// Loads segments and vectors: from here on, a fault is a panic and not the end of the machine.
pub fn init_traps() {
    segments::init();
    trap::init();
}

/// Switches the CPU's APIC on and measures its timer.
pub fn init_apic() -> Timer {
    apic::init();
    assert!(apic::id_matches(), "this is not the CPU that Linux says it is");
    Timer::calibrate()
}

/// Tells Linux that this CPU takes processes and doorbells, and works from now on.
pub fn work(mut cpu: Cpu, mut role: impl Role) -> ! {
    shared::control(cpu.index()).state().store(CPU_READY, Ordering::SeqCst);
    halt_if_panicked();
    cpu.run(&mut role)
}

/// A p-kernel, from its first Rust code on. `number` is that of the CPU that runs this.
pub fn start(number: usize) -> ! {
    let index = CpuIndex::new(number).expect("a CPU of the partition");
    init_traps();
    announce(index);
    let timer = init_apic();
    work(Cpu::new(index, timer, ipc_cpu::of(index)), PKernel { index })
}

/// The role of every CPU but the first: it hands on what it has no means for.
struct PKernel {
    index: CpuIndex,
}

impl PKernel {
    fn tell(&self, message: Message) {
        if mailbox::send(self.index, CpuIndex::M_KERNEL, message).is_err() {
            log::error!("the m-kernel takes no messages");
        }
    }
}

impl Role for PKernel {
    fn look(&mut self, _cpu: &mut Cpu) {}

    fn message(&mut self, _cpu: &mut Cpu, from: CpuIndex, _message: Message) {
        log::error!("CPU {} has sent what only the m-kernel takes", shared::linux_cpu(from));
    }

    fn syscall(&mut self, cpu: &mut Cpu, slot: Slot, number: Sysnum, args: [u64; 3]) {
        syscalls::m_call_send(cpu, slot, number, args);
    }

    fn released_elsewhere(&mut self, _cpu: &mut Cpu, lca: StoreEntry) {
        log::warning!("a release for nobody here: {:#x}", lca.0);
    }

    fn loading_returned(&mut self, _cpu: &mut Cpu, slot: Slot) {
        panic!("process slot {slot} is being loaded on a p-kernel");
    }

    fn freed(&mut self, slot: Slot, pid: Pid, span: Span) {
        self.tell(Message::Freed { slot, pid, span });
    }

    fn reap(&mut self, _cpu: &mut Cpu, process: Owned) {
        self.tell(Message::Reap(process));
    }
}
