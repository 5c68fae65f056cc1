//! `linux_call`: carrying a request to Linux and its result back (paper 4.3), and the end of a
//! process, which is a request, too.

use ant_abi::Error;
use ant_abi::ipc::NOTIFY_LINUX;
use ant_abi::lca::{END_KILLED, STEP_ANT_RINGS, STEP_ANT_WAKES, SYSCALL_END};
use ant_abi::store::{KIND_CALL, KIND_DIED, KIND_RELEASED, STORE_ENTRIES, StoreEntry};
use ant_abi::syscall::{STATE_IN_CALL, STATE_LOADING};
use ant_core::lca::Builder;

use crate::arch::apic;
use crate::process::{Ending, LcaState, Owned, Waiting};
use crate::{Core, Role, end, ipc, log, shared};

/// Linux's number of the signal that cannot be caught.
const SIGKILL: u64 = 9;

/// Serves `linux_call(raddr)`; with `notifies`, the process goes on meanwhile.
pub fn request(core: &mut Core, slot: u8, raddr: u64, notifies: bool) {
    let Some(process) = core.local.process(slot) else { return };
    if process.lca_entry().is_none_or(|entry| entry.raddr() != raddr) {
        // Only the caller's own LCA: any other address is not its to send.
        process.context.set_result(Error::Fault.to_return());
        return;
    }
    let (state, wait) = match process.lca_state {
        LcaState::Idle => (LcaState::Idle, Waiting::Return),
        LcaState::Releasing if !notifies => (LcaState::Releasing, Waiting::Release),
        LcaState::Releasing | LcaState::Outstanding { .. } | LcaState::Ending => {
            process.context.set_result(Error::Busy.to_return());
            return;
        }
    };
    process.linux_notifies = notifies;
    if notifies {
        process.context.set_result(0);
    } else {
        core.local.block(slot, wait, STATE_IN_CALL);
    }
    if state == LcaState::Idle {
        send(core, slot);
    }
}

/// Sends the call that the loader has put into the LCA of process `slot`.
pub fn request_for_loader(core: &mut Core, slot: u8) {
    core.local.block(slot, Waiting::Start, STATE_LOADING);
    send(core, slot);
}

/// Puts the address into the request store and rings Linux (paper 4.3 (2)).
fn send(core: &mut Core, slot: u8) {
    let index = core.index();
    let Some(process) = core.local.process(slot) else { return };
    let Some(lca) = &process.lca else { return };
    process.lca_state = LcaState::Outstanding { proxy_stays: lca.proxy_stays() };
    shared::count(&process.public().calls);
    shared::count(shared::control(index).calls_sent());
    post(index, process);
}

fn post(core: usize, process: &mut Owned) {
    let Some(lca) = &mut process.lca else { return };
    lca.set_cid(core);
    lca.stamp(STEP_ANT_RINGS, shared::linux_cpu(core), 0);
    let full = shared::requests(core).push(lca.entry().0).is_err();
    // A process has one request under way, and the store has room for all: only Linux writing
    // nonsense into its counter can make it look full. The process waits; its proxy's end, or the
    // partition's, ends it.
    if full {
        log::error!("process {}: the request store looks full", process.pid);
    }
    apic::ring_linux(core);
}

/// Takes what is in this core's return store (paper 4.3 (9)); no more than it holds, so that nobody
/// who keeps filling it keeps the core from its work.
pub fn take_returns(core: &mut Core, role: &mut impl Role) {
    for _ in 0..STORE_ENTRIES {
        let Some(entry) = shared::returns(core.index()).pop() else { return };
        let entry = StoreEntry(entry);
        match (core.local.find_lca(entry), entry.kind()) {
            (Some(slot), KIND_CALL) => returned(core, slot, role),
            (Some(slot), KIND_RELEASED) => released(core, slot),
            (Some(slot), KIND_DIED) => proxy_died(core, slot),
            (None, KIND_RELEASED | KIND_DIED) => role.released_elsewhere(core, entry),
            _ => shared::count(shared::control(core.index()).stray_returns()),
        }
    }
}

fn returned(core: &mut Core, slot: u8, role: &mut impl Role) {
    let index = core.index();
    let Some(process) = core.local.process(slot) else { return };
    let LcaState::Outstanding { proxy_stays } = process.lca_state else {
        shared::count(shared::control(index).stray_returns());
        return;
    };
    shared::count(shared::control(index).calls_returned());
    process.lca_state = if proxy_stays { LcaState::Idle } else { LcaState::Releasing };
    if let Some(lca) = &mut process.lca {
        lca.stamp(STEP_ANT_WAKES, shared::linux_cpu(index), 0);
    }
    if process.ending.is_some() {
        if process.lca_state == LcaState::Idle {
            send_end(core, slot);
        }
    } else if process.waiting == Waiting::Start {
        role.loading_returned(core, slot);
    } else if process.linux_notifies {
        ipc::notify_own(core, slot, NOTIFY_LINUX);
    } else {
        core.local.wake_with(slot, 0);
    }
}

/// Linux has let go of the LCA of process `slot`, as AnT has asked for. A return that Linux put here
/// before has been seen.
pub fn released(core: &mut Core, slot: u8) {
    let Some(process) = core.local.process(slot) else { return };
    match (process.lca_state, process.ending.is_some()) {
        (LcaState::Releasing, true) => send_end(core, slot),
        (LcaState::Releasing, false) => {
            process.lca_state = LcaState::Idle;
            if process.waiting == Waiting::Release {
                process.waiting = Waiting::Return;
                send(core, slot);
            }
        }
        (LcaState::Ending, _) => linux_over(core, slot),
        // It has said so in its LCA after it had not said so to AnT: it has fooled itself.
        (LcaState::Idle | LcaState::Outstanding { .. }, _) => proxy_died(core, slot),
    }
}

/// Process `slot` has no proxy any more, and with it no descriptors and no directory: it is over.
pub fn proxy_died(core: &mut Core, slot: u8) {
    let Some(process) = core.local.process(slot) else { return };
    process.linux_over = true;
    if process.is_init {
        return without_linux(core, slot);
    }
    if process.ending.is_none() {
        log::warning!("process {}: ended, because its proxy is gone", process.pid);
        let text = format_args!("its proxy is gone");
        end::end(core, slot, Ending::new(END_KILLED, SIGKILL, text));
    }
    core.local.note_if_over(slot);
}

/// `init` has lost its proxy, and nobody can tell it anything any more. It goes on: the servers need
/// it.
fn without_linux(core: &mut Core, slot: u8) {
    log::error!("init has lost its proxy: AnT takes no orders any more, what runs goes on");
    let Some(process) = core.local.process(slot) else { return };
    process.lca_state = LcaState::Ending;
    if matches!(process.waiting, Waiting::Return | Waiting::Release) {
        core.local.wake_with(slot, Error::Io.to_return());
    }
}

fn linux_over(core: &mut Core, slot: u8) {
    if let Some(process) = core.local.process(slot) {
        process.linux_over = true;
        core.local.note_if_over(slot);
    }
}

/// The Linux side of the end of a process: tells Linux, whose release of the LCA completes it.
pub fn end(core: &mut Core, slot: u8) {
    let Some(process) = core.local.process(slot) else { return };
    match process.lca_state {
        _ if process.linux_over => {}
        _ if process.lca.is_none() => process.linux_over = true,
        LcaState::Idle => send_end(core, slot),
        // Sent when the LCA is back.
        LcaState::Outstanding { .. } | LcaState::Releasing | LcaState::Ending => {}
    }
}

/// Sends the notice of the end. It is not a call: nothing returns, the release follows.
fn send_end(core: &mut Core, slot: u8) {
    let index = core.index();
    let Some(process) = core.local.process(slot) else { return };
    let Some(ending) = process.ending.clone() else { return };
    process.lca_state = LcaState::Ending;
    let Some(lca) = &mut process.lca else { return };
    let page = lca.contents();
    page.cflag = 0;
    let mut builder = Builder::new(page, SYSCALL_END);
    builder.value(ending.kind);
    builder.value(ending.number);
    builder.input(ending.text.as_bytes()).expect("an empty buffer has room for the text");
    builder.finish();
    post(index, process);
}
