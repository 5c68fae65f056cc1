//! `linux_call`: carrying a request to Linux and its result back (paper 4.3), and the end of a
//! process, which is a request, too.

use ant_abi::ipc::NOTIFY_LINUX;
use ant_abi::lca::{ExitKind, STEP_ANT_RINGS, STEP_ANT_WAKES, SYSCALL_EXIT};
use ant_abi::store::{EntryKind, STORE_ENTRIES, StoreEntry};
use ant_abi::syscall::ProcessState;
use ant_abi::{CpuIndex, Error, PhysAddr, Pid, ThreadSlot};
use ant_logic::channel::Send;
use ant_logic::lca::Builder;
use ant_logic::releases::Release;
use linux_raw_sys::general::SIGKILL;

use crate::cpu::Cpu;
use crate::linux::channel::{Channel, Completion};
use crate::linux::lca::LcaPage;
use crate::locals::{Caller, Locals};
use crate::process::ExitReason;
use crate::role::Role;
use crate::syscalls::{Outcome, Served};
use crate::thread::BlockReason;
use crate::{doorbell, exit, ipc, log, shared};

/// Which channel of a program its calls go through: its only one.
const PROGRAM: usize = 0;

/// A channel of a thread of this CPU.
#[derive(Clone, Copy, Debug)]
pub struct ChannelOf {
    /// The thread.
    pub slot: ThreadSlot,
    /// Which of its channels.
    pub index: usize,
}

impl ChannelOf {
    /// That of a program.
    fn program(slot: ThreadSlot) -> Self {
        Self { slot, index: PROGRAM }
    }

    fn of(self, local: &mut Locals) -> Option<&mut Channel> {
        local.thread(self.slot)?.linux.get(self.index)
    }
}

/// Serves `LinuxCall` and `LinuxCallAsync`.
pub fn request(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    raddr: PhysAddr,
    completion: Completion,
) -> Outcome {
    let thread = cpu.local.thread(slot).ok_or(Error::NoProcess)?;
    // Only the caller's own LCAs: any other address is not its to send.
    let is_it = |lca: &LcaPage| lca.entry().raddr() == raddr;
    let index = thread.linux.position(is_it).ok_or(Error::Fault)?;
    let channel = thread.linux.get(index).ok_or(Error::Fault)?;
    let send_when = channel.state.request()?;
    if send_when == Send::AfterRelease && completion == Completion::Notify {
        return Err(Error::Busy);
    }
    channel.completion = completion;
    let served = match completion {
        Completion::Notify => Served::OK,
        Completion::Wake => {
            let wait = match send_when {
                Send::Now => BlockReason::Return,
                Send::AfterRelease => BlockReason::Release,
            };
            cpu.local.block(slot, wait, ProcessState::InCall);
            Served::Later
        }
    };
    if send_when == Send::Now {
        send(cpu, ChannelOf { slot, index });
    }
    Ok(served)
}

/// Sends the call that the loader has put into the LCA of thread `slot`.
pub fn request_for_loader(cpu: &mut Cpu, slot: ThreadSlot) {
    cpu.local.block(slot, BlockReason::NotStarted, ProcessState::Loading);
    send(cpu, ChannelOf::program(slot));
}

/// Puts the address into the request store and rings Linux (paper 4.3 (2)).
fn send(cpu: &mut Cpu, of: ChannelOf) {
    let (cpu_index, control) = (cpu.index(), cpu.local.control);
    let Some(thread) = cpu.local.thread(of.slot) else { return };
    shared::count(&thread.public().calls);
    shared::count(control.calls_sent());
    let pid = thread.pid;
    let Some(channel) = thread.linux.get(of.index) else { return };
    channel.state.sent(channel.lca.continues());
    post(cpu_index, pid, &mut channel.lca);
}

fn post(cpu: CpuIndex, pid: Pid, lca: &mut LcaPage) {
    lca.set_cid(cpu);
    lca.stamp(STEP_ANT_RINGS, shared::linux_cpu(cpu), 0);
    let full = shared::requests(cpu).push(lca.entry().0).is_err();
    // A channel has one request under way, and the store has room for all: only Linux writing
    // nonsense into its counter can make it look full. The thread waits; the close of its channel, or
    // the partition's end, ends it.
    if full {
        log::error!("process {pid}: the request store looks full");
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
            (Some(of), Some(EntryKind::Call)) => returned(cpu, of, role),
            (Some(of), Some(EntryKind::Released)) => released(cpu, of),
            (Some(of), Some(EntryKind::Closed)) => closed(cpu, of),
            (None, Some(EntryKind::Released | EntryKind::Closed)) => {
                role.released_elsewhere(cpu, entry);
            }
            _ => shared::count(cpu.local.control.unexpected_returns()),
        }
    }
}

fn returned(cpu: &mut Cpu, of: ChannelOf, role: &mut impl Role) {
    let (cpu_index, control) = (cpu.index(), cpu.local.control);
    let Some(channel) = of.of(&mut cpu.local) else { return };
    if !channel.state.returned() {
        shared::count(control.unexpected_returns());
        return;
    }
    shared::count(control.calls_returned());
    channel.lca.stamp(STEP_ANT_WAKES, shared::linux_cpu(cpu_index), 0);
    let completion = channel.completion;
    let Some(thread) = cpu.local.thread(of.slot) else { return };
    if thread.has_ended() {
        send_exit_notice(cpu, of);
    } else if thread.blocked_on == BlockReason::NotStarted {
        role.loading_returned(cpu, of.slot);
    } else if completion == Completion::Notify {
        ipc::notify_own(cpu, of.slot, NOTIFY_LINUX << of.index);
    } else {
        cpu.local.wake_with(of.slot, 0);
    }
}

/// Linux has released the LCA of the program of thread `slot`, which another CPU was told.
pub fn program_released(cpu: &mut Cpu, slot: ThreadSlot) {
    released(cpu, ChannelOf::program(slot));
}

/// Linux has closed the channel of the program of thread `slot`, which another CPU was told.
pub fn program_closed(cpu: &mut Cpu, slot: ThreadSlot) {
    closed(cpu, ChannelOf::program(slot));
}

/// Linux has released an LCA after a call without continuation. A return that Linux put here before
/// has been seen.
fn released(cpu: &mut Cpu, of: ChannelOf) {
    let control = cpu.local.control;
    let Some(channel) = of.of(&mut cpu.local) else { return };
    if !channel.state.released() {
        // The proxy is its program's to control.
        shared::count(control.unexpected_returns());
        return;
    }
    let Some(thread) = cpu.local.thread(of.slot) else { return };
    if thread.has_ended() {
        send_exit_notice(cpu, of);
    } else if thread.blocked_on == BlockReason::Release {
        thread.blocked_on = BlockReason::Return;
        send(cpu, of);
    }
}

/// Linux has closed a channel, for good: the process ends, if it has not, for it has no proxy, and with
/// it no descriptors and no directory.
fn closed(cpu: &mut Cpu, of: ChannelOf) {
    let Some(channel) = of.of(&mut cpu.local) else { return };
    channel.state.close();
    cpu.local.complete(of.slot, Release::Linux);
    let Ok(caller) = cpu.local.caller(of.slot) else { return };
    let process = caller.process;
    // The daemon has `init`'s channels, and ends with the partition only.
    if process.exit.is_none() && !process.is_init {
        log::warning!("process {}: ended, because its proxy is gone", process.pid);
        let text = format_args!("its proxy is gone");
        exit::exit(cpu, of.slot, ExitReason::new(ExitKind::Killed, u64::from(SIGKILL), text));
    }
}

/// The Linux side of the end of a thread: tells Linux, which closes the channel; that completes it.
pub fn end(cpu: &mut Cpu, slot: ThreadSlot) {
    send_exit_notice(cpu, ChannelOf::program(slot));
}

/// Sends the exit notice, unless a call is under way: then it is sent when that is over. It is not a
/// call: nothing returns.
fn send_exit_notice(cpu: &mut Cpu, of: ChannelOf) {
    let cpu_index = cpu.index();
    let Ok(Caller { thread, process }) = cpu.local.caller(of.slot) else { return };
    let Some(exit) = &process.exit else { return };
    let Some(channel) = thread.linux.get(of.index) else { return };
    if !channel.state.end() {
        return;
    }
    let page = channel.lca.contents();
    page.cflag = 0;
    let mut builder = Builder::new(page, SYSCALL_EXIT);
    builder.value(exit.kind.into());
    builder.value(exit.number);
    builder.input(exit.text.as_bytes()).expect("an empty buffer has room for the text");
    builder.finish();
    post(cpu_index, process.pid, &mut channel.lca);
}
