//! Fault injection: processes that end, fault or loop at a system call ([`FaultPoint`]), and CPUs that
//! panic, hang or send Linux nonsense.

use ant_abi::store;
use ant_abi::syscall::{
    INJECT_BAD_RADDR, INJECT_END_AFTER, INJECT_FAULT, INJECT_HANG, INJECT_LOOP,
};

use crate::cpu::Cpu;
use crate::fault_point::FaultPoint;
use crate::role::Role;
use crate::{doorbell, exit, log, shared, syscalls};

/// Signal that a process is ended by.
const SIGKILL: u8 = 9;

/// Has a process of this CPU fail at `fault_point`.
pub fn arm(cpu: &mut Cpu, slot: u8, fault_point: FaultPoint) {
    if let Some(process) = cpu.local.process(slot) {
        process.fault_point = Some(fault_point);
    }
}

/// Serves the system call that ended the last run of a process, unless it is to fail there.
pub fn serve(cpu: &mut Cpu, slot: u8, role: &mut impl Role) {
    let Some(how) = count_down(cpu, slot) else { return syscalls::serve(cpu, slot, role) };
    if how == INJECT_END_AFTER {
        syscalls::serve(cpu, slot, role);
    }
    match (how, cpu.local.process(slot)) {
        (INJECT_FAULT, Some(process)) => process.context.jump_to_null(),
        (INJECT_LOOP, Some(process)) => process.context.restart_syscall(),
        _ => exit::kill(cpu, slot, SIGKILL),
    }
}

/// Counts a system call; how the process fails at it, if it does.
fn count_down(cpu: &mut Cpu, slot: u8) -> Option<u32> {
    let process = cpu.local.process(slot)?;
    let fault_point = process.fault_point.as_mut()?;
    let is_first = fault_point.is_pending();
    let how = fault_point.count_down()?;
    if is_first {
        let (pid, call) = (process.pid, process.context.syscall().0);
        log::warning!("process {pid} fails on purpose ({how}) at system call {call:#x}");
    }
    Some(how)
}

/// Has this CPU fail, `ant_abi::syscall::INJECT_*`.
pub fn fail(cpu: usize, kind: u32) {
    log::warning!("failing on purpose on CPU {}", shared::linux_cpu(cpu));
    match kind {
        INJECT_HANG => loop {
            core::hint::spin_loop();
        },
        INJECT_BAD_RADDR => {
            // Linux's own first page, and an address outside all memory.
            for raddr in [0, store::ENTRY_ADDRESS_MASK] {
                let _ = shared::requests(cpu).push(raddr);
            }
            doorbell::ring_linux(cpu);
        }
        _ => panic!("asked for"),
    }
}
