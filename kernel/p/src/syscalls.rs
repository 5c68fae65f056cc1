//! AnT's system calls; the numbers are `ant_abi::syscall`'s. One dispatcher for all of them. Its first
//! arm is the fast path of IPC ([`crate::fastpath`]), which leaves whatever is unusual to the others:
//! what every CPU serves is here and in the modules that it names, the rest is the [`Role`]'s.
//!
//! A mistake of the caller gives it an error; nothing that a process passes can stop the kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::ipc::Span;
use ant_abi::lca::ExitKind;
use ant_abi::syscall::{LOG_WRITE_MAX, LcaGrant, ProcessState, Service, Sysnum, SystemInfo};
use ant_abi::{CpuIndex, EndpointId, Error, PhysAddr, ThreadSlot};
use ant_logic::releases::Release;

use crate::cpu::Cpu;
use crate::linux::channel::Completion;
use crate::locals::Caller;
use crate::mailbox::{self, Message};
use crate::owned::Owned;
use crate::process::ExitReason;
use crate::role::Role;
use crate::run::Next;
use crate::thread::{BlockReason, MCall, Thread};
use crate::user_memory::{self, UserPtr, UserRange};
use crate::{exit, fastpath, ica, ipc, linux, log, shared};

/// What came of a system call that is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// Its result.
    Result(i64),
    /// The thread has its result otherwise: it is blocked, or has ended.
    Later,
}

impl Served {
    /// Success without a value.
    pub const OK: Self = Self::Result(0);
}

impl From<()> for Served {
    fn from((): ()) -> Self {
        Self::OK
    }
}

/// How a system call ends.
pub type Outcome = Result<Served, Error>;

/// Serves the system call that ended the last run of a thread. What comes next, if that is not for the
/// loop to say.
#[inline]
pub(crate) fn serve(cpu: &mut Cpu, thread: Owned<Thread>, role: &mut impl Role) -> Option<Next> {
    match fastpath::serve(cpu, thread) {
        Ok(next) => Some(next),
        Err(thread) => {
            serve_slowly(cpu, thread, role);
            None
        }
    }
}

/// As [`serve`], on the slow path.
#[inline(never)]
fn serve_slowly(cpu: &mut Cpu, thread: Owned<Thread>, role: &mut impl Role) {
    let slot = thread.slot();
    cpu.local.put(thread);
    cpu.local.runs_no_process();
    #[cfg(feature = "fault-injection")]
    crate::fault_injection::serve(cpu, slot, role);
    #[cfg(not(feature = "fault-injection"))]
    serve_in_place(cpu, slot, role);
}

/// As [`serve`], of a thread in its place, on the slow path.
pub(crate) fn serve_in_place(cpu: &mut Cpu, slot: ThreadSlot, role: &mut impl Role) {
    let Some(thread) = cpu.local.thread(slot) else { return };
    let (number, args) = thread.context.syscall();
    let outcome = match Sysnum::try_from(number) {
        Ok(number) => dispatch(cpu, slot, number, args, role),
        Err(_) => Err(Error::NoSystemCall),
    };
    match outcome {
        Ok(Served::Result(result)) => set_result(cpu, slot, result),
        Ok(Served::Later) => {}
        Err(error) => set_result(cpu, slot, error.to_return()),
    }
}

fn dispatch(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    number: Sysnum,
    args: [u64; 3],
    role: &mut impl Role,
) -> Outcome {
    let [a, b, c] = args;
    match number {
        Sysnum::IpcCall => ipc::call(cpu, slot, args),
        Sysnum::IpcReplyReceive => ipc::reply_receive(cpu, slot, args),
        Sysnum::IpcReceive => ipc::receive(cpu, slot, b),
        Sysnum::IpcReply => ipc::reply(cpu, slot, a).map(Served::from),
        Sysnum::IpcSend => ipc::send(cpu, slot, a).map(Served::from),
        Sysnum::IpcNotify => ipc::notify(cpu, slot, a, b).map(Served::from),
        Sysnum::IpcBatch => ipc::batch(cpu, slot, a, b).map(Served::from),
        Sysnum::HandleClose => cpu.local.caller(slot)?.process.handles.close(a).map(Served::from),
        Sysnum::IcaFree => ica_free(cpu, slot, Span(a), role).map(Served::from),
        Sysnum::Sleep => Ok(sleep(cpu, slot, a)),
        Sysnum::PortRead => {
            let read = cpu.local.caller(slot)?.process.grants.port_read(a, b);
            read.map(|value| Served::Result(value as i64))
        }
        Sysnum::PortWrite => {
            cpu.local.caller(slot)?.process.grants.port_write(a, b, c).map(Served::from)
        }
        Sysnum::LinuxCall => linux::call::request(cpu, slot, PhysAddr::new(a), Completion::Wake),
        Sysnum::LinuxCallAsync => {
            linux::call::request(cpu, slot, PhysAddr::new(a), Completion::Notify)
        }
        Sysnum::ProcessExit => Ok(process_exit(cpu, slot, a)),
        Sysnum::ProcessYield => process_yield(cpu, slot),
        Sysnum::LogWrite => log_write(cpu, slot, UserRange::new(a, b)).map(Served::from),
        Sysnum::LcaGet => lca_get(cpu, slot, UserPtr::new(a), b).map(Served::from),
        Sysnum::SystemInfo => system_info(cpu, slot, UserPtr::new(a)).map(Served::from),
        Sysnum::ReportEnosys => report_enosys(cpu, slot, a).map(Served::from),
        // Before an endpoint is made that the caller could not name.
        Sysnum::EndpointOpen if !cpu.local.caller(slot)?.process.handles.has_room() => {
            Err(Error::NoMemory)
        }
        _ => role.syscall(cpu, slot, number, args),
    }
}

fn process_exit(cpu: &mut Cpu, slot: ThreadSlot, status: u64) -> Served {
    exit::exit(cpu, slot, ExitReason::new(ExitKind::Exited, status & 0xff, format_args!("")));
    Served::Later
}

fn process_yield(cpu: &mut Cpu, slot: ThreadSlot) -> Outcome {
    cpu.local.caller(slot)?.thread.set_state(ProcessState::Ready);
    cpu.local.queue.yield_current();
    Ok(Served::OK)
}

fn ica_free(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    span: Span,
    role: &mut impl Role,
) -> Result<(), Error> {
    if !mailbox::has_room(cpu.index(), CpuIndex::M_KERNEL) {
        return Err(Error::Again);
    }
    ica::holder(&mut cpu.local, slot)?.release(span)?;
    let process = cpu.local.caller(slot)?.process;
    role.freed(process.slot(), process.pid, span);
    Ok(())
}

fn sleep(cpu: &mut Cpu, slot: ThreadSlot, us: u64) -> Served {
    cpu.local.block(slot, BlockReason::Time, ProcessState::Sleeping);
    cpu.local.limit(slot, us);
    Served::Later
}

/// Serves a call that only the m-kernel can, on another CPU: makes an m-call of it.
pub fn m_call(cpu: &mut Cpu, slot: ThreadSlot, number: Sysnum, args: [u64; 3]) -> Outcome {
    match number.service() {
        Service::MKernel => {}
        // `init` is the m-kernel's CPU's.
        Service::InitOnly => return Err(Error::NotPermitted),
        Service::Local => return Err(Error::NoSystemCall),
    }
    let index = cpu.index();
    if !mailbox::has_room(index, CpuIndex::M_KERNEL) {
        return Err(Error::Again);
    }
    mailbox::send(index, CpuIndex::M_KERNEL, Message::MCall { slot, number, args })
        .map_err(|_| Error::Again)?;
    cpu.local.caller(slot)?.thread.m_call = Some(MCall { number, arg: args[0] });
    cpu.local.block(slot, BlockReason::MReply, ProcessState::InMCall);
    Ok(Served::Later)
}

/// The m-kernel's reply has come.
pub fn m_call_returned(cpu: &mut Cpu, slot: ThreadSlot, result: i64) {
    let Some(thread) = cpu.local.thread(slot) else { return };
    let Some(m_call) = thread.m_call.take() else { return };
    let has_ended = thread.has_ended();
    let result = take_m_reply(cpu, slot, m_call, result);
    if has_ended {
        cpu.local.complete(slot, Release::MCall);
    } else {
        cpu.local.wake_with(slot, result);
    }
}

/// Makes what the m-kernel has given a process its own.
pub fn take_m_reply(cpu: &mut Cpu, slot: ThreadSlot, m_call: MCall, result: i64) -> i64 {
    let Ok(given) = u64::try_from(result) else { return result };
    match m_call.number {
        Sysnum::IcaAlloc => ica::take_fresh(&mut cpu.local, slot, given as u32, m_call.arg as u32),
        Sysnum::EndpointOpen => ipc::take_endpoint(cpu, slot, EndpointId::from_bits(given)),
        _ => result,
    }
}

/// Sets the result of a thread's system call.
pub fn set_result(cpu: &mut Cpu, slot: ThreadSlot, result: i64) {
    // The call may have ended the thread.
    if let Some(thread) = cpu.local.thread(slot) {
        thread.context.set_result(result);
    }
}

fn log_write(cpu: &mut Cpu, slot: ThreadSlot, text: UserRange) -> Result<(), Error> {
    let process = cpu.local.caller(slot)?.process;
    let mut buffer = [0; LOG_WRITE_MAX];
    let text = user_memory::read(&process.space, text, &mut buffer)?;
    let text = str::from_utf8(text).map_err(|_| Error::Invalid)?;
    log::info!("process {}: {text}", process.pid);
    Ok(())
}

fn lca_get(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    to: UserPtr<LcaGrant>,
    channel: u64,
) -> Result<(), Error> {
    let Caller { thread, process } = cpu.local.caller(slot)?;
    // Only programs have a proxy on Linux: servers do not.
    let channel = usize::try_from(channel).ok().and_then(|channel| thread.linux.get(channel));
    let lca = &channel.ok_or(Error::NotPermitted)?.lca;
    let grant = LcaGrant { virt: lca.virt().get(), raddr: lca.entry().raddr().get() };
    user_memory::write_value(&process.space, to, &grant)
}

fn system_info(cpu: &mut Cpu, slot: ThreadSlot, to: UserPtr<SystemInfo>) -> Result<(), Error> {
    let index = cpu.index();
    let process = cpu.local.caller(slot)?.process;
    let info = SystemInfo {
        tsc_khz: shared::boot().tsc_khz,
        cpus: shared::cpu_count() as u32,
        cpu: index.into(),
        linux_cpu: shared::linux_cpu(index),
        pid: process.pid.get(),
        revision: ant_abi::REVISION,
        ica_pages: shared::tables().ica_pages,
    };
    user_memory::write_value(&process.space, to, &info)
}

/// Linux system calls that cannot be carried and were asked for, one bit each: each is logged once.
/// Written and read by every CPU.
static REPORTED_CALLS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn report_enosys(cpu: &mut Cpu, slot: ThreadSlot, number: u64) -> Result<(), Error> {
    let pid = cpu.local.caller(slot)?.process.pid;
    let word = REPORTED_CALLS.get((number / 64) as usize);
    // Numbers beyond Linux's are not worth remembering.
    let first = word.is_some_and(|word| {
        let bit = 1 << (number % 64);
        word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    });
    if first {
        log::warning!("process {pid}: Linux system call {number} cannot be carried: -ENOSYS");
    }
    Err(Error::NoSystemCall)
}
