//! Migration: a thread goes to another CPU, and its process, of which it is the only thread, with it.

use ant_abi::ipc::FOREVER;
use ant_abi::{CpuIndex, Pid, ThreadSlot};

use crate::cpu::Cpu;
use crate::locals::Caller;
use crate::mailbox::{self, Message};
use crate::thread::BlockReason;
use crate::{endpoints, log, shared};
use ant_arch::clock;

/// Has the process with an id, if it is this CPU's, migrate to CPU `to`: now, or as soon as it can.
///
/// A process with a call under way, in Linux or at a server, or with requests of others, stays until
/// then: their answers would not find it.
pub fn request(cpu: &mut Cpu, pid: Pid, to: CpuIndex) {
    let Some(slot) = cpu.local.find_pid(pid) else { return };
    let here = cpu.index();
    let Some(thread) = cpu.local.thread(slot) else { return };
    thread.migrate_to = Some(to).filter(|&to| to != here);
    if thread.migrate_to.is_some() {
        cpu.local.migrating.insert(slot);
        migrate_pending(cpu);
    }
}

/// Migrates the threads that are to, and can.
pub fn migrate_pending(cpu: &mut Cpu) {
    // From the end: what is taken out is replaced by what was looked at before.
    for at in (0..cpu.local.migrating.all().len()).rev() {
        let slot = cpu.local.migrating.all()[at];
        let to = cpu.local.thread(slot).and_then(|thread| thread.migrate_to);
        if to.is_some() && !can_migrate(cpu, slot) {
            continue;
        }
        cpu.local.migrating.remove(slot);
        let Some(to) = to else { continue };
        let Some(thread) = cpu.local.thread(slot) else { continue };
        thread.migrate_to = None;
        let pid = thread.pid;
        migrate_now(cpu, slot, to);
        if cpu.local.thread(slot).is_none() {
            log::info!("process {pid} goes to CPU {}", shared::linux_cpu(to));
        }
    }
}

/// Whether a thread can migrate now, with its process.
fn can_migrate(cpu: &mut Cpu, slot: ThreadSlot) -> bool {
    let quiet = cpu.ipc.is_quiet(slot);
    cpu.local.caller(slot).is_ok_and(|Caller { thread, process }| {
        let here = matches!(thread.blocked_on, BlockReason::Runnable | BlockReason::Receive);
        let alone = process.threads.len() == 1;
        quiet && here && alone && thread.linux.are_idle() && !thread.has_ended()
    })
}

/// Migrates a thread that can to CPU `to`, if that takes messages.
pub fn migrate_now(cpu: &mut Cpu, slot: ThreadSlot, to: CpuIndex) {
    let index = cpu.index();
    if to == index {
        return;
    }
    if !mailbox::has_room(index, to) {
        // Before any other CPU takes it to be there.
        let Some(thread) = cpu.local.thread(slot) else { return };
        let pid = thread.pid;
        let linux_cpu = shared::linux_cpu(to);
        return log::warning!("process {pid} stays: CPU {linux_cpu} does not take messages");
    }
    let deadline = cpu.local.clear_deadline(slot);
    if cpu.ipc.stop_receiving(slot, &mut cpu.local)
        && let Some(thread) = cpu.local.thread(slot)
    {
        // It asks again when it is there.
        thread.context.restart_receive(deadline.map_or(FOREVER, clock::us_until));
        thread.blocked_on = BlockReason::Runnable;
    }
    let mut moved = cpu.local.remove(slot);
    moved.set_home(to);
    // Another may have taken its endpoint.
    moved.thread.endpoint = cpu.ipc.endpoint(slot);
    if let Some(endpoint) = moved.thread.endpoint {
        // Calls go there from now on; the process comes before what waits here.
        endpoints::moved(endpoint, index, to, slot);
    }
    let sent = mailbox::send(index, to, Message::Adopt(moved));
    assert!(sent.is_ok(), "the ring had room");
    cpu.ipc.move_away(slot, &mut cpu.local);
}
