//! `linux_call`: carrying a request to Linux and its result back (paper 4.3), and the end of a
//! process, which is a request, too.

use ant_abi::ipc::NOTIFY_LINUX;
use ant_abi::lca::{ExitKind, STEP_ANT_RINGS, STEP_ANT_WAKES, SYSCALL_EXIT};
use ant_abi::store::{KIND_CALL, KIND_DIED, KIND_RELEASED, STORE_ENTRIES, StoreEntry};
use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, PhysAddr, ThreadSlot};
use ant_logic::lca::Builder;
use linux_raw_sys::general::SIGKILL;

use crate::cpu::Cpu;
use crate::process::{BlockReason, Completion, ExitReason, LcaState, Owned};
use crate::role::Role;
use crate::{doorbell, exit, ipc, log, shared};

/// Serves `LinuxCall` and `LinuxCallAsync`.
pub fn request(cpu: &mut Cpu, slot: ThreadSlot, raddr: PhysAddr, completion: Completion) {
    let Some(process) = cpu.local.process(slot) else { return };
    if process.lca_entry().is_none_or(|entry| entry.raddr() != raddr) {
        // Only the caller's own LCA: any other address is not its to send.
        process.context.set_result(Error::Fault.to_return());
        return;
    }
    let (state, wait) = match process.lca_state {
        LcaState::Idle => (LcaState::Idle, BlockReason::Return),
        LcaState::Releasing if completion == Completion::Wake => {
            (LcaState::Releasing, BlockReason::Release)
        }
        LcaState::Releasing | LcaState::Outstanding { .. } | LcaState::Exiting => {
            process.context.set_result(Error::Busy.to_return());
            return;
        }
    };
    process.completion = completion;
    match completion {
        Completion::Notify => process.context.set_result(0),
        Completion::Wake => cpu.local.block(slot, wait, ProcessState::InCall),
    }
    if state == LcaState::Idle {
        send(cpu, slot);
    }
}

/// Sends the call that the loader has put into the LCA of process `slot`.
pub fn request_for_loader(cpu: &mut Cpu, slot: ThreadSlot) {
    cpu.local.block(slot, BlockReason::NotStarted, ProcessState::Loading);
    send(cpu, slot);
}

/// Puts the address into the request store and rings Linux (paper 4.3 (2)).
fn send(cpu: &mut Cpu, slot: ThreadSlot) {
    let index = cpu.index();
    let Some(process) = cpu.local.process(slot) else { return };
    let Some(lca) = &process.lca else { return };
    process.lca_state = LcaState::Outstanding { proxy_stays: lca.proxy_stays() };
    shared::count(&process.public().calls);
    shared::count(shared::control(index).calls_sent());
    post(index, process);
}

fn post(cpu: CpuIndex, process: &mut Owned) {
    let Some(lca) = &mut process.lca else { return };
    lca.set_cid(cpu);
    lca.stamp(STEP_ANT_RINGS, shared::linux_cpu(cpu), 0);
    let full = shared::requests(cpu).push(lca.entry().0).is_err();
    // A process has one request under way, and the store has room for all: only Linux writing
    // nonsense into its counter can make it look full. The process waits; its proxy's end, or the
    // partition's, ends it.
    if full {
        log::error!("process {}: the request store looks full", process.pid);
    }
    doorbell::ring_linux(cpu);
}

/// Takes what is in this CPU's return store (paper 4.3 (9)); no more than it holds, so that
/// Linux, if it keeps filling it, does not keep the CPU from its work.
pub fn take_returns(cpu: &mut Cpu, role: &mut impl Role) {
    for _ in 0..STORE_ENTRIES {
        let Some(entry) = shared::returns(cpu.index()).pop() else { return };
        let entry = StoreEntry(entry);
        match (cpu.local.find_lca(entry), entry.kind()) {
            (Some(slot), KIND_CALL) => returned(cpu, slot, role),
            (Some(slot), KIND_RELEASED) => released(cpu, slot),
            (Some(slot), KIND_DIED) => proxy_died(cpu, slot),
            (None, KIND_RELEASED | KIND_DIED) => role.released_elsewhere(cpu, entry),
            _ => shared::count(shared::control(cpu.index()).unexpected_returns()),
        }
    }
}

fn returned(cpu: &mut Cpu, slot: ThreadSlot, role: &mut impl Role) {
    let index = cpu.index();
    let Some(process) = cpu.local.process(slot) else { return };
    let LcaState::Outstanding { proxy_stays } = process.lca_state else {
        shared::count(shared::control(index).unexpected_returns());
        return;
    };
    shared::count(shared::control(index).calls_returned());
    process.lca_state = if proxy_stays { LcaState::Idle } else { LcaState::Releasing };
    if let Some(lca) = &mut process.lca {
        lca.stamp(STEP_ANT_WAKES, shared::linux_cpu(index), 0);
    }
    if process.exit.is_some() {
        if process.lca_state == LcaState::Idle {
            send_end(cpu, slot);
        }
    } else if process.blocked_on == BlockReason::NotStarted {
        role.loading_returned(cpu, slot);
    } else if process.completion == Completion::Notify {
        ipc::notify_own(cpu, slot, NOTIFY_LINUX);
    } else {
        cpu.local.wake_with(slot, 0);
    }
}

/// Linux has let go of the LCA of process `slot`, as AnT has asked for. A return that Linux put here
/// before has been seen.
pub fn released(cpu: &mut Cpu, slot: ThreadSlot) {
    let Some(process) = cpu.local.process(slot) else { return };
    match (process.lca_state, process.exit.is_some()) {
        (LcaState::Releasing, true) => send_end(cpu, slot),
        (LcaState::Releasing, false) => {
            process.lca_state = LcaState::Idle;
            if process.blocked_on == BlockReason::Release {
                process.blocked_on = BlockReason::Return;
                send(cpu, slot);
            }
        }
        (LcaState::Exiting, _) => linux_released(cpu, slot),
        // The process has changed `cflag` in its LCA after the call was sent.
        (LcaState::Idle | LcaState::Outstanding { .. }, _) => proxy_died(cpu, slot),
    }
}

/// Process `slot` has no proxy any more, and with it no descriptors and no directory: it ends.
pub fn proxy_died(cpu: &mut Cpu, slot: ThreadSlot) {
    let Some(process) = cpu.local.process(slot) else { return };
    process.linux_released = true;
    if process.is_init {
        return without_linux(cpu, slot);
    }
    if process.exit.is_none() {
        log::warning!("process {}: ended, because its proxy is gone", process.pid);
        let text = format_args!("its proxy is gone");
        exit::exit(cpu, slot, ExitReason::new(ExitKind::Killed, u64::from(SIGKILL), text));
    }
    cpu.local.note_if_reapable(slot);
}

/// `init` has lost its proxy, and with it the control channel. It goes on: the servers need it.
fn without_linux(cpu: &mut Cpu, slot: ThreadSlot) {
    log::error!("init has lost its proxy: AnT takes no orders any more, what runs goes on");
    let Some(process) = cpu.local.process(slot) else { return };
    process.lca_state = LcaState::Exiting;
    if matches!(process.blocked_on, BlockReason::Return | BlockReason::Release) {
        cpu.local.wake_with(slot, Error::Io.to_return());
    }
}

fn linux_released(cpu: &mut Cpu, slot: ThreadSlot) {
    if let Some(process) = cpu.local.process(slot) {
        process.linux_released = true;
        cpu.local.note_if_reapable(slot);
    }
}

/// The Linux side of the end of a process: tells Linux; its release of the LCA completes it.
pub fn end(cpu: &mut Cpu, slot: ThreadSlot) {
    let Some(process) = cpu.local.process(slot) else { return };
    match process.lca_state {
        _ if process.linux_released => {}
        _ if process.lca.is_none() => process.linux_released = true,
        LcaState::Idle => send_end(cpu, slot),
        // Sent when the LCA is back.
        LcaState::Outstanding { .. } | LcaState::Releasing | LcaState::Exiting => {}
    }
}

/// Sends the notice of the end. It is not a call: nothing returns, the release follows.
fn send_end(cpu: &mut Cpu, slot: ThreadSlot) {
    let index = cpu.index();
    let Some(process) = cpu.local.process(slot) else { return };
    let Some(exit) = process.exit.clone() else { return };
    process.lca_state = LcaState::Exiting;
    let Some(lca) = &mut process.lca else { return };
    let page = lca.contents();
    page.cflag = 0;
    let mut builder = Builder::new(page, SYSCALL_EXIT);
    builder.value(exit.kind.into());
    builder.value(exit.number);
    builder.input(exit.text.as_bytes()).expect("an empty buffer has room for the text");
    builder.finish();
    post(index, process);
}
