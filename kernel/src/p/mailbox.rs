//! Messages between the m-kernel and the p-kernels: one store in each direction for each core, and
//! the doorbell. With a message goes the ownership of the process it names.

use ant_abi::MAX_CORES;
use ant_core::ring::Store;

use super::process::Owned;
use crate::arch::apic;

/// From the m-kernel to a core.
pub enum Message {
    /// Run this process, ready to go, from now on.
    Adopt(Owned),
    /// End the process with this id, if it is yours, as the signal would.
    Kill {
        /// Process id.
        pid: u32,
        /// Linux's signal number.
        signal: u8,
    },
    /// Linux has let go of the LCA of the process with this id.
    Released {
        /// Process id.
        pid: u32,
    },
    /// Fail on purpose, `ant_abi::syscall::INJECT_*`.
    Inject(u32),
}

/// From a core to the m-kernel.
pub enum Report {
    /// This process is over and Linux has let go of its LCA: take its memory back.
    Reap(Owned),
}

/// Producer: the m-kernel. Consumer: core `n`. A process is adopted once and its slot has one
/// kill under way at most (`m`), so a store never fills.
static MESSAGES: [Store; MAX_CORES] = [const { Store::new() }; MAX_CORES];
/// Producer: core `n`. Consumer: the m-kernel. One report for each process.
static REPORTS: [Store; MAX_CORES] = [const { Store::new() }; MAX_CORES];

const ADOPT: u64 = 1;
const KILL: u64 = 2;
const INJECT: u64 = 3;
const RELEASED: u64 = 4;
const KIND_SHIFT: u32 = 56;
const SIGNAL_SHIFT: u32 = 32;

/// Sends to a core and rings it. `Err`: its store is full, the core does not take messages.
pub fn send(core: usize, message: Message) -> Result<(), Message> {
    let word = match &message {
        Message::Adopt(process) => ADOPT << KIND_SHIFT | u64::from(process.slot()),
        Message::Kill { pid, signal } => {
            KILL << KIND_SHIFT | u64::from(*signal) << SIGNAL_SHIFT | u64::from(*pid)
        }
        Message::Released { pid } => RELEASED << KIND_SHIFT | u64::from(*pid),
        Message::Inject(kind) => INJECT << KIND_SHIFT | u64::from(*kind),
    };
    if MESSAGES[core].push(word).is_err() {
        return Err(message);
    }
    apic::ring_core(core);
    Ok(())
}

/// The next message for a core; called by that core only.
pub fn receive(core: usize) -> Option<Message> {
    let word = MESSAGES[core].pop()?;
    Some(match word >> KIND_SHIFT {
        // SAFETY: `send` consumed the owner of this slot, and each message is taken once.
        ADOPT => Message::Adopt(unsafe { Owned::from_slot(word as u8) }),
        KILL => Message::Kill { pid: word as u32, signal: (word >> SIGNAL_SHIFT) as u8 },
        RELEASED => Message::Released { pid: word as u32 },
        _ => Message::Inject(word as u32),
    })
}

/// Reports to the m-kernel and rings it.
pub fn report(core: usize, report: Report) {
    let Report::Reap(process) = report;
    let full = REPORTS[core].push(u64::from(process.slot())).is_err();
    assert!(!full, "more reports than processes");
    apic::ring_core(0);
}

/// The next report of a core; called by the m-kernel only.
pub fn next_report(core: usize) -> Option<Report> {
    let slot = REPORTS[core].pop()?;
    // SAFETY: `report` consumed the owner of this slot, and each report is taken once.
    Some(Report::Reap(unsafe { Owned::from_slot(slot as u8) }))
}

/// Whether something waits for this core.
pub fn pending(core: usize) -> bool {
    !MESSAGES[core].is_empty() || core == 0 && REPORTS.iter().any(|store| !store.is_empty())
}
