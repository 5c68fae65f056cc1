//! `linux_call`: carrying a request to Linux and its result back (paper 4.3), and the end of a
//! process, which is a request, too.

use ant_abi::ipc::NOTIFY_LINUX;
use ant_abi::lca::{ExitKind, STEP_ANT_RINGS, STEP_ANT_WAKES, SYSCALL_EXIT};
use ant_abi::store::{EntryKind, STORE_ENTRIES, StoreEntry};
use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, PhysAddr, ThreadSlot};
use ant_logic::lca::Builder;
use ant_logic::releases::Release;
use linux_raw_sys::general::SIGKILL;

use crate::cpu::Cpu;
use crate::linux::delegation::{Completion, LcaState};
use crate::locals::Caller;
use crate::owned::Owned;
use crate::process::ExitReason;
use crate::role::Role;
use crate::syscalls::{Outcome, Served};
use crate::thread::{BlockReason, Thread};
use crate::{doorbell, exit, ipc, log, shared};

/// Serves `LinuxCall` and `LinuxCallAsync`.
pub fn request(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    raddr: PhysAddr,
    completion: Completion,
) -> Outcome {
    let thread = cpu.local.thread(slot).ok_or(Error::NoProcess)?;
    if thread.linux.entry().is_none_or(|entry| entry.raddr() != raddr) {
        // Only the caller's own LCA: any other address is not its to send.
        return Err(Error::Fault);
    }
    let (state, wait) = match thread.linux.state {
        LcaState::Idle => (LcaState::Idle, BlockReason::Return),
        LcaState::Releasing if completion == Completion::Wake => {
            (LcaState::Releasing, BlockReason::Release)
        }
        LcaState::Releasing
        | LcaState::Outstanding { .. }
        | LcaState::Exiting
        | LcaState::Released => return Err(Error::Busy),
    };
    thread.linux.completion = completion;
    let served = match completion {
        Completion::Notify => Served::OK,
        Completion::Wake => {
            cpu.local.block(slot, wait, ProcessState::InCall);
            Served::Later
        }
    };
    if state == LcaState::Idle {
        send(cpu, slot);
    }
    Ok(served)
}

/// Sends the call that the loader has put into the LCA of thread `slot`.
pub fn request_for_loader(cpu: &mut Cpu, slot: ThreadSlot) {
    cpu.local.block(slot, BlockReason::NotStarted, ProcessState::Loading);
    send(cpu, slot);
}

/// Puts the address into the request store and rings Linux (paper 4.3 (2)).
fn send(cpu: &mut Cpu, slot: ThreadSlot) {
    let (index, control) = (cpu.index(), cpu.local.control);
    let Some(thread) = cpu.local.thread(slot) else { return };
    let Some(lca) = &thread.linux.lca else { return };
    thread.linux.state = LcaState::Outstanding { proxy_stays: lca.proxy_stays() };
    shared::count(&thread.public().calls);
    shared::count(control.calls_sent());
    post(index, thread);
}

fn post(cpu: CpuIndex, thread: &mut Owned<Thread>) {
    let Some(lca) = &mut thread.linux.lca else { return };
    lca.set_cid(cpu);
    lca.stamp(STEP_ANT_RINGS, shared::linux_cpu(cpu), 0);
    let full = shared::requests(cpu).push(lca.entry().0).is_err();
    // A thread has one request under way, and the store has room for all: only Linux writing
    // nonsense into its counter can make it look full. The thread waits; its proxy's end, or the
    // partition's, ends it.
    if full {
        log::error!("process {}: the request store looks full", thread.pid);
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
            (Some(slot), Some(EntryKind::Call)) => returned(cpu, slot, role),
            (Some(slot), Some(EntryKind::Released)) => released(cpu, slot),
            (Some(slot), Some(EntryKind::Died)) => proxy_died(cpu, slot),
            (None, Some(EntryKind::Released | EntryKind::Died)) => {
                role.released_elsewhere(cpu, entry);
            }
            _ => shared::count(cpu.local.control.unexpected_returns()),
        }
    }
}

fn returned(cpu: &mut Cpu, slot: ThreadSlot, role: &mut impl Role) {
    let (index, control) = (cpu.index(), cpu.local.control);
    let Some(thread) = cpu.local.thread(slot) else { return };
    let LcaState::Outstanding { proxy_stays } = thread.linux.state else {
        shared::count(control.unexpected_returns());
        return;
    };
    shared::count(control.calls_returned());
    thread.linux.state = if proxy_stays { LcaState::Idle } else { LcaState::Releasing };
    if let Some(lca) = &mut thread.linux.lca {
        lca.stamp(STEP_ANT_WAKES, shared::linux_cpu(index), 0);
    }
    if thread.has_ended() {
        if thread.linux.state == LcaState::Idle {
            send_exit_notice(cpu, slot);
        }
    } else if thread.blocked_on == BlockReason::NotStarted {
        role.loading_returned(cpu, slot);
    } else if thread.linux.completion == Completion::Notify {
        ipc::notify_own(cpu, slot, NOTIFY_LINUX);
    } else {
        cpu.local.wake_with(slot, 0);
    }
}

/// Linux has released the LCA of thread `slot`, as AnT has asked for. A return that Linux put here
/// before has been seen.
pub fn released(cpu: &mut Cpu, slot: ThreadSlot) {
    let Some(thread) = cpu.local.thread(slot) else { return };
    match (thread.linux.state, thread.has_ended()) {
        (LcaState::Releasing, true) => send_exit_notice(cpu, slot),
        (LcaState::Releasing, false) => {
            thread.linux.state = LcaState::Idle;
            if thread.blocked_on == BlockReason::Release {
                thread.blocked_on = BlockReason::Return;
                send(cpu, slot);
            }
        }
        (LcaState::Exiting | LcaState::Released, _) => release(cpu, slot),
        // The thread has changed `cflag` in its LCA after the call was sent.
        (LcaState::Idle | LcaState::Outstanding { .. }, _) => proxy_died(cpu, slot),
    }
}

/// Thread `slot` has no proxy any more, and its process with it no descriptors and no directory: the
/// process ends.
pub fn proxy_died(cpu: &mut Cpu, slot: ThreadSlot) {
    release(cpu, slot);
    let Ok(caller) = cpu.local.caller(slot) else { return };
    if caller.process.is_init {
        return without_linux(cpu, slot);
    }
    if caller.process.exit.is_none() {
        log::warning!("process {}: ended, because its proxy is gone", caller.process.pid);
        let text = format_args!("its proxy is gone");
        exit::exit(cpu, slot, ExitReason::new(ExitKind::Killed, u64::from(SIGKILL), text));
    }
}

/// `init` has lost its proxy, and with it the control channel. It goes on: the servers need it.
fn without_linux(cpu: &mut Cpu, slot: ThreadSlot) {
    log::error!("init has lost its proxy: AnT takes no orders any more, what runs goes on");
    let Some(thread) = cpu.local.thread(slot) else { return };
    if matches!(thread.blocked_on, BlockReason::Return | BlockReason::Release) {
        cpu.local.wake_with(slot, Error::Io.to_return());
    }
}

/// Linux has released the LCA of thread `slot` for good.
fn release(cpu: &mut Cpu, slot: ThreadSlot) {
    if let Some(thread) = cpu.local.thread(slot) {
        thread.linux.state = LcaState::Released;
        cpu.local.complete(slot, Release::Linux);
    }
}

/// The Linux side of the end of a thread: tells Linux; its release of the LCA completes it.
pub fn end(cpu: &mut Cpu, slot: ThreadSlot) {
    let Some(thread) = cpu.local.thread(slot) else { return };
    match thread.linux.state {
        _ if !thread.linux.is_held() => {}
        LcaState::Idle => send_exit_notice(cpu, slot),
        // Sent when the LCA is back.
        LcaState::Outstanding { .. } | LcaState::Releasing => {}
        LcaState::Exiting | LcaState::Released => {}
    }
}

/// Sends the exit notice. It is not a call: nothing returns, the release follows.
fn send_exit_notice(cpu: &mut Cpu, slot: ThreadSlot) {
    let index = cpu.index();
    let Ok(Caller { thread, process }) = cpu.local.caller(slot) else { return };
    let Some(exit) = &process.exit else { return };
    thread.linux.state = LcaState::Exiting;
    let Some(lca) = &mut thread.linux.lca else { return };
    let page = lca.contents();
    page.cflag = 0;
    let mut builder = Builder::new(page, SYSCALL_EXIT);
    builder.value(exit.kind.into());
    builder.value(exit.number);
    builder.input(exit.text.as_bytes()).expect("an empty buffer has room for the text");
    builder.finish();
    post(index, thread);
}
