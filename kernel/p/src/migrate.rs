//! Migrating a process to another CPU.

use ant_abi::ipc::FOREVER;
use ant_abi::{CpuIndex, Pid, ThreadSlot};

use crate::cpu::Cpu;
use crate::mailbox::{self, Message};
use crate::process::{self, BlockReason, LcaState};
use crate::{endpoints, log, shared};
use ant_arch::clock;

/// Moves the process with an id, if it is this CPU's, to CPU `to`: now, or as soon as it can go.
///
/// A process with a call under way, in Linux or at a server, or with requests of others, stays until
/// then: their answers would not find it.
pub fn request(cpu: &mut Cpu, pid: Pid, to: CpuIndex) {
    let Some(slot) = cpu.local.find_pid(pid) else { return };
    let here = cpu.index();
    let Some(process) = cpu.local.process(slot) else { return };
    process.migrate_to = Some(to).filter(|&to| to != here);
    if process.migrate_to.is_some() {
        cpu.local.note_migrating(slot);
        migrate_pending(cpu);
    }
}

/// Migrates the processes that are to, and can.
pub fn migrate_pending(cpu: &mut Cpu) {
    for slot in cpu.local.migrating.clone() {
        let to = cpu.local.process(slot).and_then(|process| process.migrate_to);
        if to.is_some() && !can_migrate(cpu, slot) {
            continue;
        }
        cpu.local.migrating.retain(|mover| *mover != slot);
        let Some(to) = to else { continue };
        let Some(process) = cpu.local.process(slot) else { continue };
        process.migrate_to = None;
        let pid = process.pid;
        migrate_now(cpu, slot, to);
        if cpu.local.process(slot).is_none() {
            log::info!("process {pid} goes to CPU {}", shared::linux_cpu(to));
        }
    }
}

/// Whether a process can migrate now.
fn can_migrate(cpu: &mut Cpu, slot: ThreadSlot) -> bool {
    let quiet = cpu.ipc.is_quiet(slot);
    cpu.local.process(slot).is_some_and(|process| {
        let here = matches!(process.blocked_on, BlockReason::Runnable | BlockReason::Receive);
        quiet && here && process.lca_state == LcaState::Idle && process.exit.is_none()
    })
}

/// Migrates a process that can to CPU `to`, if that takes messages.
pub fn migrate_now(cpu: &mut Cpu, slot: ThreadSlot, to: CpuIndex) {
    let index = cpu.index();
    if to == index {
        return;
    }
    if !mailbox::has_room(index, to) {
        // Before any other CPU takes it to be there.
        let Some(pid) = process::pid_in(slot) else { return };
        let linux_cpu = shared::linux_cpu(to);
        return log::warning!("process {pid} stays: CPU {linux_cpu} does not take messages");
    }
    let deadline = cpu.local.deadlines.clear(slot);
    if cpu.ipc.stop_receiving(slot)
        && let Some(process) = cpu.local.process(slot)
    {
        // It asks again when it is there.
        process.context.restart_receive(deadline.map_or(FOREVER, clock::us_until));
        process.blocked_on = BlockReason::Runnable;
    }
    let mut process = cpu.local.remove(slot);
    process.set_home(to);
    // Another may have taken its endpoint.
    process.endpoint = cpu.ipc.endpoint(slot);
    if let Some(endpoint) = process.endpoint {
        // Calls go there from now on; the process comes before what waits here.
        endpoints::moved(endpoint, index, to, slot);
    }
    let sent = mailbox::send(index, to, Message::Adopt(process));
    assert!(sent.is_ok(), "the ring had room");
    cpu.ipc.move_away(slot, &mut cpu.local);
}
