//! Exceptions of processes: each ends the process.

use ant_abi::ThreadSlot;
use ant_abi::lca::ExitKind;
use ant_arch::trap;

use crate::cpu::Cpu;
use crate::process::ExitReason;
use crate::{exit, linux, log, shared};

/// Ends a process that has run into an exception.
pub fn take(cpu: &mut Cpu, slot: ThreadSlot, vector: u64) {
    shared::count(shared::control(cpu.index()).faults());
    let linux_cpu = shared::linux_cpu(cpu.index());
    let Some(thread) = cpu.local.thread(slot) else { return };
    let (rip, name) = (thread.context.rip, trap::name(vector));
    let end = |args| ExitReason::new(ExitKind::Faulted, u64::from(linux::signal_of(vector)), args);
    let exit = if vector == trap::PAGE_FAULT {
        let access = trap::access_name(thread.context.error);
        let address = trap::fault_address();
        end(format_args!("{name} ({access} {address:#x}) at {rip:#x} on CPU {linux_cpu}"))
    } else {
        end(format_args!("{name} at {rip:#x} on CPU {linux_cpu}"))
    };
    log::warning!("process {}: {}", thread.pid, exit.text);
    exit::exit(cpu, slot, exit);
}
