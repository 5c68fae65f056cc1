//! The end of a process and of its threads.
//!
//! A thread that has ended is a zombie until its releases have come: other CPUs' IPC has forgotten its
//! call, Linux has released its LCA, its m-call has returned. Then it is reaped, and its process with
//! the last of its threads.

use core::sync::atomic::{Ordering, fence};

use ant_abi::ThreadSlot;
use ant_abi::lca::ExitKind;
use ant_abi::syscall::ProcessState;
use ant_logic::ipc::{Gone, Target};
use ant_logic::releases::{Release, Releases};

use crate::cpu::Cpu;
use crate::process::ExitReason;
use crate::thread::BlockReason;
use crate::{endpoints, linux};

/// Ends the process of a thread of this CPU as a signal would.
pub fn kill(cpu: &mut Cpu, slot: ThreadSlot, signal: u8) {
    let text = format_args!("killed by signal {signal}");
    exit(cpu, slot, ExitReason::new(ExitKind::Killed, u64::from(signal), text));
}

/// Ends the process of a thread of this CPU, with all of its threads.
pub fn exit(cpu: &mut Cpu, slot: ThreadSlot, reason: ExitReason) {
    let Ok(caller) = cpu.local.caller(slot) else { return };
    let process = caller.process;
    assert!(!process.is_init, "init ended: {reason}");
    if process.exit.is_some() {
        return;
    }
    process.exit = Some(reason);
    process.grants.revoke();
    for thread in process.threads.clone() {
        end_thread(cpu, thread);
    }
}

fn end_thread(cpu: &mut Cpu, slot: ThreadSlot) {
    let index = cpu.index();
    let Some(thread) = cpu.local.thread(slot) else { return };
    let mut releases = Releases::of(&[Release::Ipc]);
    if thread.linux.are_open() {
        releases.add(Release::Linux);
    }
    if thread.m_call.is_some() {
        releases.add(Release::MCall);
    }
    thread.releases = Some(releases);
    let own = thread.endpoint.filter(|_| thread.owns_endpoint);
    cpu.local.block(slot, BlockReason::Exit, ProcessState::Exiting);
    cpu.local.clear_deadline(slot);
    // All: it may have been bound a moment ago and not know it yet. The m-kernel, if it is about to
    // bind it, sees after that that it ends.
    fence(Ordering::SeqCst);
    for endpoint in endpoints::bound_to(index, slot) {
        let after = if own == Some(endpoint) { Target::Closed } else { Target::Unbound };
        endpoints::leave(endpoint, index, slot, after);
    }
    if cpu.ipc.leave(slot, &mut cpu.local) == Gone::Now {
        cpu.local.complete(slot, Release::Ipc);
    }
    linux::call::end(cpu, slot);
    cpu.local.note_if_reapable(slot);
}
