//! Moving a process to another core.

use ant_abi::Error;

use crate::mailbox::{self, Message};
use crate::process::{LcaState, Waiting};
use crate::{Core, endpoints, log, shared};

/// Moves the process with an id, if it is this core's, to core `to`.
///
/// A process with a call under way, in Linux or at a server, or with requests of others, stays:
/// their answers would not find it.
pub fn give(core: &mut Core, pid: u32, to: u8) {
    let Some(slot) = core.local.find_pid(pid) else { return };
    if let Err(error) = can_go(core, slot) {
        log::info!("process {pid} stays where it is: {error:?}");
        return;
    }
    let to = usize::from(to);
    hand_over(core, slot, to);
    if core.local.process(slot).is_none() {
        log::info!("process {pid} goes to CPU {}", shared::linux_cpu(to));
    }
}

/// Whether a process can go now.
pub fn can_go(core: &mut Core, slot: u8) -> Result<(), Error> {
    let quiet = core.station.is_quiet(slot);
    let process = core.local.caller(slot)?;
    let here = matches!(process.waiting, Waiting::No | Waiting::Receive);
    (quiet && here && process.lca_state == LcaState::Idle && process.ending.is_none())
        .then_some(())
        .ok_or(Error::Busy)
}

/// Gives a process that can go to core `to`, if that takes messages.
pub fn hand_over(core: &mut Core, slot: u8, to: usize) {
    let index = core.index();
    if to == index {
        return;
    }
    if core.station.stop_receiving(slot)
        && let Some(process) = core.local.process(slot)
    {
        // It asks again when it is there.
        process.context.repeat_syscall();
        process.waiting = Waiting::No;
        process.timed = false;
    }
    let mut process = core.local.remove(slot);
    process.home = to;
    // Another may have taken its endpoint.
    process.endpoint = core.station.endpoint(slot);
    if let Some(endpoint) = process.endpoint {
        // Whoever calls from now on calls there; the process comes before what waits here.
        endpoints::moved(endpoint, to as u8, slot);
    }
    let (pid, cpu) = (process.pid, shared::linux_cpu(to));
    match mailbox::send(index, to, Message::Adopt(process)) {
        Ok(()) => core.station.move_away(slot, &mut core.local),
        Err(Message::Adopt(mut process)) => {
            process.home = index;
            if let Some(endpoint) = process.endpoint {
                endpoints::moved(endpoint, index as u8, slot);
            }
            core.local.insert(process);
            log::warning!("process {pid} stays: CPU {cpu} does not take messages");
        }
        Err(_) => {}
    }
}
