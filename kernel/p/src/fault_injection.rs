//! Fault injection: processes that end, fault or loop at one of their next system calls, CPUs that
//! fail. Only kernels that tests boot have this module (feature `fault-injection`).
//!
//! `ant_m` has the system call; here is what each CPU does at the system calls of its processes.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::syscall::Injection;
use ant_abi::{CpuIndex, Error, ThreadSlot, Tid, store};
use linux_raw_sys::general::SIGKILL;

use crate::cpu::Cpu;
use crate::owned::Owned;
use crate::role::Role;
use crate::table::Table;
use crate::thread::Thread;
use crate::{doorbell, exit, log, shared, syscalls};

/// Where each process is to fail, by its slot; 0: nowhere. Written by the m-kernel, which arms it, and
/// by the CPU that has the process, which counts down; a single word, so it pairs with nothing.
static ARMED: Table<AtomicU64> = Table::empty();

/// Makes the table, in memory of the m-kernel's.
pub fn make_table(alloc: &mut impl FnMut(usize) -> *mut u8) {
    let count = shared::tables().threads as usize;
    let memory = alloc(Table::<AtomicU64>::bytes(count));
    // SAFETY: fresh memory of the m-kernel's, given away for ever.
    unsafe { ARMED.place(memory, count, |_| AtomicU64::new(0)) };
}

/// The same for the server that is made next. The m-kernel's alone.
static NEXT_SERVER: AtomicU64 = AtomicU64::new(0);

/// How a process is to fail, and at which of its system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPoint {
    /// A way in which processes fail.
    how: Injection,
    /// System calls until then, including that one. 0: it has failed, and goes on doing so.
    calls: u32,
}

impl FaultPoint {
    /// Most bits of `calls`; the way has the rest of a half word.
    const CALLS_BITS: u32 = 28;

    /// Fails in the way `how`, at system call number `calls` from now on, 1 being the next. `Invalid`:
    /// CPUs fail so, or there is no such call.
    pub fn new(how: Injection, calls: u64) -> Result<Self, Error> {
        let calls_range = 1..1 << Self::CALLS_BITS;
        if how.is_of_cpu() || !calls_range.contains(&calls) {
            return Err(Error::Invalid);
        }
        Ok(Self { how, calls: calls as u32 })
    }

    /// Has the thread `tid` in `slot` fail so. The m-kernel only.
    pub fn arm(self, slot: ThreadSlot, tid: Tid) {
        ARMED.all()[slot.index()].store(self.encode(Some(tid)), Ordering::Relaxed);
    }

    /// Has the server fail so that is made next. The m-kernel only.
    pub fn arm_next_server(self) {
        NEXT_SERVER.store(self.encode(None), Ordering::Relaxed);
    }

    /// The one that is armed for a process.
    #[inline]
    fn of(thread: &Owned<Thread>) -> Option<Self> {
        let word = ARMED.all()[thread.slot().index()].load(Ordering::Relaxed);
        // A slot may have had another process.
        if (word >> 32) as u32 != thread.tid.get() {
            return None;
        }
        let how = Injection::try_from((word >> Self::CALLS_BITS & 0xf) as u32).ok()?;
        Some(Self { how, calls: word as u32 & ((1 << Self::CALLS_BITS) - 1) })
    }

    fn encode(self, tid: Option<Tid>) -> u64 {
        let half = u32::from(self.how) << Self::CALLS_BITS | self.calls;
        u64::from(tid.map_or(0, Tid::get)) << 32 | u64::from(half)
    }
}

/// A server was made: arms what [`FaultPoint::arm_next_server`] was told. The m-kernel only.
pub fn server_made(server: &Owned<Thread>) {
    let half = NEXT_SERVER.swap(0, Ordering::Relaxed);
    if half != 0 {
        let word = u64::from(server.tid.get()) << 32 | half;
        ARMED.all()[server.slot().index()].store(word, Ordering::Relaxed);
    }
}

/// Whether a process is to fail at a system call: it takes no fast path then.
#[inline]
pub fn is_armed(thread: &Owned<Thread>) -> bool {
    FaultPoint::of(thread).is_some()
}

/// Serves the system call that ended the last run of a process, unless it is to fail there.
pub fn serve(cpu: &mut Cpu, slot: ThreadSlot, role: &mut impl Role) {
    let Some(how) = count_down(cpu, slot) else { return syscalls::serve_in_place(cpu, slot, role) };
    if how == Injection::EndAfter {
        syscalls::serve_in_place(cpu, slot, role);
    }
    match (how, cpu.local.thread(slot)) {
        // Nothing is mapped at 0.
        (Injection::Fault, Some(thread)) => thread.context.rip = 0,
        (Injection::Loop, Some(thread)) => thread.context.restart_syscall(),
        _ => exit::kill(cpu, slot, SIGKILL as u8),
    }
}

/// Counts a system call; how the process fails at it, if it does.
fn count_down(cpu: &mut Cpu, slot: ThreadSlot) -> Option<Injection> {
    let thread = cpu.local.thread(slot)?;
    let (tid, call) = (thread.tid, thread.context.syscall().0);
    let armed = FaultPoint::of(thread)?;
    let FaultPoint { how, calls } = armed;
    let left = FaultPoint { how, calls: calls.saturating_sub(1) };
    if calls == 1 {
        log::warning!("process {tid} fails on purpose ({how:?}) at system call {call:#x}");
    }
    // If the m-kernel has armed another one meanwhile, that one stays.
    let (old, new) = (armed.encode(Some(tid)), left.encode(Some(tid)));
    let word = &ARMED.all()[slot.index()];
    let _ = word.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed);
    (left.calls == 0).then_some(how)
}

/// Has this CPU fail in the way `kind`, one of those of CPUs.
pub(crate) fn fail(cpu: CpuIndex, kind: Injection) {
    log::warning!("failing on purpose on CPU {}", shared::linux_cpu(cpu));
    match kind {
        Injection::Hang => loop {
            core::hint::spin_loop();
        },
        Injection::BadRaddr => {
            // Linux's own first page, and an address that is no page.
            for raddr in [0, store::ENTRY_ADDRESS_MASK] {
                let _ = shared::requests(cpu).push(raddr);
            }
            doorbell::ring_linux(cpu);
        }
        _ => panic!("asked for"),
    }
}
