//! Fault injection: processes that end, fault or loop at one of their next system calls, CPUs that
//! fail. Only kernels that tests boot have this module (feature `fault-injection`).
//!
//! `ant_m` has the system call; here is what each CPU does at the system calls of its processes.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::syscall::{
    INJECT_BAD_RADDR, INJECT_END, INJECT_END_AFTER, INJECT_FAULT, INJECT_HANG, INJECT_LOOP,
};
use ant_abi::{Error, MAX_PROCESSES, store};
use linux_raw_sys::general::SIGKILL;

use crate::cpu::Cpu;
use crate::process::Owned;
use crate::role::Role;
use crate::{doorbell, exit, log, shared, syscalls};

/// Where each process is to fail, by its slot; 0: nowhere. Written by the m-kernel, which arms it, and
/// by the CPU that has the process, which counts down; a single word, so it pairs with nothing.
static ARMED: [AtomicU64; MAX_PROCESSES] = [const { AtomicU64::new(0) }; MAX_PROCESSES];

/// How a process is to fail, and at which of its system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPoint {
    /// One of `INJECT_END` to `INJECT_LOOP`.
    how: u8,
    /// System calls until then, including that one. 0: it has failed, and goes on doing so.
    calls: u32,
}

impl FaultPoint {
    /// Most bits of `calls`; the way has the rest of a half word.
    const CALLS_BITS: u32 = 28;

    /// Fails in the way `how`, at system call number `calls` from now on, 1 being the next. `Invalid`:
    /// no such way, or no such call.
    pub fn new(how: u64, calls: u64) -> Result<Self, Error> {
        let ways = u64::from(INJECT_END)..=u64::from(INJECT_LOOP);
        let calls_range = 1..1 << Self::CALLS_BITS;
        if !ways.contains(&how) || !calls_range.contains(&calls) {
            return Err(Error::Invalid);
        }
        Ok(Self { how: how as u8, calls: calls as u32 })
    }

    /// Has the process `pid` in `slot` fail so. The m-kernel only.
    pub fn arm(self, slot: u8, pid: u32) {
        ARMED[usize::from(slot)].store(self.encode(pid), Ordering::Relaxed);
    }

    /// The one that is armed for a process.
    #[inline]
    fn of(process: &Owned) -> Option<Self> {
        let word = ARMED[usize::from(process.slot())].load(Ordering::Relaxed);
        // A slot may have had another process.
        ((word >> 32) as u32 == process.pid).then_some(Self {
            how: (word >> Self::CALLS_BITS & 0xf) as u8,
            calls: word as u32 & ((1 << Self::CALLS_BITS) - 1),
        })
    }

    fn encode(self, pid: u32) -> u64 {
        let half = u32::from(self.how) << Self::CALLS_BITS | self.calls;
        u64::from(pid) << 32 | u64::from(half)
    }
}

/// Whether a process is to fail at a system call: it takes no fast path then.
#[inline]
pub fn is_armed(process: &Owned) -> bool {
    FaultPoint::of(process).is_some()
}

/// Serves the system call that ended the last run of a process, unless it is to fail there.
pub fn serve(cpu: &mut Cpu, slot: u8, role: &mut impl Role) {
    let Some(how) = count_down(cpu, slot) else { return syscalls::serve(cpu, slot, role) };
    if how == INJECT_END_AFTER {
        syscalls::serve(cpu, slot, role);
    }
    match (how, cpu.local.process(slot)) {
        // Nothing is mapped at 0.
        (INJECT_FAULT, Some(process)) => process.context.rip = 0,
        (INJECT_LOOP, Some(process)) => process.context.restart_syscall(),
        _ => exit::kill(cpu, slot, SIGKILL as u8),
    }
}

/// Counts a system call; how the process fails at it, if it does.
fn count_down(cpu: &mut Cpu, slot: u8) -> Option<u32> {
    let process = cpu.local.process(slot)?;
    let FaultPoint { how, calls } = FaultPoint::of(process)?;
    let left = calls.saturating_sub(1);
    if calls == 1 {
        let (pid, call) = (process.pid, process.context.syscall().0);
        log::warning!("process {pid} fails on purpose ({how}) at system call {call:#x}");
    }
    FaultPoint { how, calls: left }.arm(slot, process.pid);
    (left == 0).then_some(u32::from(how))
}

/// Has this CPU fail in the way `kind`, one of `INJECT_PANIC` to `INJECT_BAD_RADDR`.
pub(crate) fn fail(cpu: usize, kind: u32) {
    log::warning!("failing on purpose on CPU {}", shared::linux_cpu(cpu));
    match kind {
        INJECT_HANG => loop {
            core::hint::spin_loop();
        },
        INJECT_BAD_RADDR => {
            // Linux's own first page, and an address that is no page.
            for raddr in [0, store::ENTRY_ADDRESS_MASK] {
                let _ = shared::requests(cpu).push(raddr);
            }
            doorbell::ring_linux(cpu);
        }
        _ => panic!("asked for"),
    }
}
