//! Failing on purpose: processes that end, fault or loop at one of their next system calls.

use ant_abi::syscall::Injection;
use ant_abi::{Error, Slot};

use crate::run::{Cpu, Role};
use crate::{log, syscalls};

/// Signal that a process is ended by.
const SIGKILL: u8 = 9;

/// How a process is to fail, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPoint {
    /// A way in which processes fail.
    how: Injection,
    /// System calls that it makes until then, with that one.
    calls: u32,
}

impl FaultPoint {
    /// In the way `how`, at system call number `calls` from now on. `Invalid`: there is no such way, or
    /// no such call.
    pub fn new(how: Injection, calls: u64) -> Result<Self, Error> {
        let calls = u32::try_from(calls).ok().filter(|&calls| calls > 0).ok_or(Error::Invalid)?;
        if how.is_of_cpu() { Err(Error::Invalid) } else { Ok(Self { how, calls }) }
    }

    /// Has a process of this CPU fail so.
    pub(crate) fn arm(self, cpu: &mut Cpu, slot: Slot) {
        if let Some(process) = cpu.local.process(slot) {
            process.fault_point = Some(self);
        }
    }

    /// From a word of another CPU.
    pub(crate) fn decode(word: u64) -> Option<Self> {
        let how = Injection::try_from(word as u32).ok()?;
        Some(Self { how, calls: (word >> 32) as u32 })
    }

    /// As a word.
    pub(crate) fn encode(self) -> u64 {
        u64::from(u32::from(self.how)) | u64::from(self.calls) << 32
    }
}

/// Serves the system call that ended the last run of a process, unless it is to fail there.
pub fn serve(cpu: &mut Cpu, slot: Slot, role: &mut impl Role) {
    let Some(how) = count_down(cpu, slot) else { return syscalls::serve(cpu, slot, role) };
    if how == Injection::EndAfter {
        syscalls::serve(cpu, slot, role);
    }
    match (how, cpu.local.process(slot)) {
        (Injection::Fault, Some(process)) => process.context.jump_to_null(),
        (Injection::Loop, Some(process)) => process.context.restart_syscall(),
        _ => cpu.kill(slot, SIGKILL),
    }
}

/// Counts a system call; how the process fails at it, if it does.
fn count_down(cpu: &mut Cpu, slot: Slot) -> Option<Injection> {
    let process = cpu.local.process(slot)?;
    let (pid, call) = (process.pid, process.context.syscall().0);
    let FaultPoint { how, calls } = process.fault_point.as_mut()?;
    let left = calls.saturating_sub(1);
    if *calls > 0 && left == 0 {
        log::warning!("process {pid} fails on purpose ({how:?}) at system call {call:#x}");
    }
    *calls = left;
    (left == 0).then_some(*how)
}
