//! The end of a process. It is a zombie until Linux has released its LCA, other CPUs' IPC its call, and
//! the pages that it lent have come back. Then it is reaped.

use ant_abi::ThreadSlot;
use ant_abi::lca::ExitKind;
use ant_abi::syscall::ProcessState;
use core::sync::atomic::{Ordering, fence};

use ant_logic::ipc::{Gone, Target};

use crate::cpu::Cpu;
use crate::process::{BlockReason, ExitReason};
use crate::{endpoints, linux};

/// Ends a process of this CPU as a signal would.
pub fn kill(cpu: &mut Cpu, slot: ThreadSlot, signal: u8) {
    let text = format_args!("killed by signal {signal}");
    exit(cpu, slot, ExitReason::new(ExitKind::Killed, u64::from(signal), text));
}

/// Ends a process of this CPU.
pub fn exit(cpu: &mut Cpu, slot: ThreadSlot, exit: ExitReason) {
    let index = cpu.index();
    let Some(process) = cpu.local.process(slot) else { return };
    assert!(!process.is_init, "init ended: {exit:?}");
    if process.exit.is_some() {
        return;
    }
    process.exit = Some(exit);
    process.grants.revoke();
    let own = process.endpoint.filter(|_| process.owns_endpoint);
    cpu.local.block(slot, BlockReason::Exit, ProcessState::Exiting);
    cpu.local.deadlines.clear(slot);
    // All: it may have been bound a moment ago and not know it yet. The m-kernel, if it is about to
    // bind it, sees after that that it ends.
    fence(Ordering::SeqCst);
    for endpoint in endpoints::bound_to(index, slot) {
        let after = if own == Some(endpoint) { Target::Closed } else { Target::Unbound };
        endpoints::leave(endpoint, index, slot, after);
    }
    if cpu.ipc.leave(slot, &mut cpu.local) == Gone::Now
        && let Some(process) = cpu.local.process(slot)
    {
        process.ipc_released = true;
    }
    linux::call::end(cpu, slot);
    cpu.local.note_if_reapable(slot);
}
