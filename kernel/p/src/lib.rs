//! What every CPU runs, and all that a p-kernel is (paper 2.1.1): traps, IPC, scheduling, and the
//! way to Linux. No memory manager: what a CPU lacks it asks of the m-kernel.
//!
//! This crate cannot name the m-kernel's, which runs the same code with a [`Role`] that can do
//! more.
//!
//! - `cpu`: the state of one CPU; `locals`, `process`: its processes; `role`: what differs between
//!   m-kernel and p-kernel.
//! - `run`: its loop; `idle`: without a process to run; `messages`: what other CPUs ask for;
//!   `syscalls`: what processes ask for; `fault`: their exceptions; `exit`, `migrate`.
//! - `ipc`, `endpoints`, `handles`, `ica`: messages between processes, and the pages they hand over;
//!   `fastpath`: the fast path of most of them.
//! - `mailbox`, `doorbell`, `interrupts`: between CPUs, and between the kernels.
//! - `linux`: the Linux side of a process; `devices`: those that it was granted.
//! - `table`: tables that every CPU reads; `cpu_tables`: those of one CPU.
//! - `fault_injection`: processes and CPUs that fail on purpose, in kernels built for tests.
#![no_std]

mod cpu;
pub mod cpu_tables;
pub mod devices;
mod doorbell;
pub mod endpoints;
pub mod exit;
mod fastpath;
mod fault;
#[cfg(feature = "fault-injection")]
pub mod fault_injection;
pub mod handles;
pub mod ica;
mod idle;
mod interrupts;
pub mod ipc;
pub mod linux;
pub mod locals;
pub mod log;
pub mod mailbox;
mod messages;
pub mod migrate;
pub mod owned;
mod panic;
pub mod process;
mod role;
mod run;
pub mod shared;
pub mod syscalls;
pub mod table;
pub mod thread;
pub mod user_memory;

pub use cpu::Cpu;
pub use locals::Locals;
pub use role::Role;

use ::core::sync::atomic::Ordering;

use ant_abi::cpu_block::{CpuRole, CpuState};
use ant_abi::ipc::Span;
use ant_abi::store::StoreEntry;
use ant_abi::syscall::Sysnum;
use ant_abi::{CpuIndex, Pid, ProcessSlot, ThreadSlot};
use ant_arch::apic::{self, Timer};
use ant_arch::segments;
use ant_arch::trap::{self, Handlers};
use mailbox::Message;
use panic::halt_if_panicked;
use process::WithThread;
use syscalls::Outcome;

/// Tells Linux that this CPU runs; from here on the trampoline's page is not needed.
pub fn announce(cpu: CpuIndex) {
    let control = shared::control(cpu);
    let role = if cpu == CpuIndex::M_KERNEL { CpuRole::MKernel } else { CpuRole::PKernel };
    control.role().store(role.into(), Ordering::Relaxed);
    control.state().store(CpuState::Starting.into(), Ordering::Release);
}

/// Fills the vector table, which all CPUs share. The m-kernel, once, before [`init_traps`].
pub fn fill_vectors() {
    trap::fill(Handlers { nmi: halt_if_panicked, interrupt: interrupts::take });
}

/// Loads segments and vectors: from here on, a fault is a panic and not the end of the machine.
pub fn init_traps() {
    segments::init();
    trap::init();
}

/// Switches the CPU's APIC on and measures its timer.
pub fn init_apic() -> Timer {
    apic::init();
    // A mistake here would send interrupts to CPUs of others.
    let expected = shared::apic_id(shared::this_cpu());
    assert_eq!(apic::id(), expected, "this is not the CPU that Linux says it is");
    Timer::calibrate()
}

/// Tells Linux that this CPU takes processes and doorbells, and works from now on.
pub fn work(mut cpu: Cpu, mut role: impl Role) -> ! {
    shared::control(cpu.index()).state().store(CpuState::Ready.into(), Ordering::SeqCst);
    halt_if_panicked();
    cpu.run(&mut role)
}

/// A p-kernel, from its first Rust code on. `number` is that of the CPU that runs this.
pub fn start(number: usize) -> ! {
    let index = CpuIndex::new(number).expect("a CPU of the partition");
    init_traps();
    announce(index);
    let timer = init_apic();
    work(Cpu::new(index, timer), PKernel { index })
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
    fn message(&mut self, _cpu: &mut Cpu, from: CpuIndex, _message: Message) {
        log::error!("CPU {} has sent what only the m-kernel takes", shared::linux_cpu(from));
    }

    fn syscall(
        &mut self,
        cpu: &mut Cpu,
        slot: ThreadSlot,
        number: Sysnum,
        args: [u64; 3],
    ) -> Outcome {
        syscalls::m_call(cpu, slot, number, args)
    }

    fn released_elsewhere(&mut self, _cpu: &mut Cpu, lca: StoreEntry) {
        log::warning!("a release for no thread of this CPU: {:#x}", lca.0);
    }

    fn loading_returned(&mut self, _cpu: &mut Cpu, slot: ThreadSlot) {
        panic!("the process of thread slot {slot} is being loaded on a p-kernel");
    }

    fn freed(&mut self, slot: ProcessSlot, pid: Pid, span: Span) {
        self.tell(Message::Freed { slot, pid, span });
    }

    fn reap(&mut self, _cpu: &mut Cpu, zombie: WithThread) {
        self.tell(Message::Reap(zombie));
    }
}
