//! AnT's system calls that every CPU serves; the numbers are `ant_abi::syscall`'s.
//!
//! A mistake of the caller gives it an error; nothing that a process passes can stop the kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::ipc::Span;
use ant_abi::lca::ExitKind;
use ant_abi::syscall::{LOG_WRITE_MAX, LcaGrant, ProcessState, Service, Sysnum, SystemInfo};
use ant_abi::{CpuIndex, EndpointId, Error, PhysAddr, ThreadSlot};

use crate::cpu::Cpu;
use crate::mailbox::{self, Message};
use crate::process::{BlockReason, Completion, ExitReason, MCall};
use crate::role::Role;
use crate::user_memory::{self, UserPtr, UserRange};
use crate::{exit, ica, ipc, linux, log, shared};

/// Serves the system call that ended the last run of a process.
pub fn serve(cpu: &mut Cpu, slot: ThreadSlot, role: &mut impl Role) {
    let Some(process) = cpu.local.process(slot) else { return };
    let (number, args) = process.context.syscall();
    let Ok(number) = Sysnum::try_from(number) else {
        return process.context.set_result(Error::NoSystemCall.to_return());
    };
    // Those with a `return` leave no result: the process does not go on now, or gets it otherwise.
    let result = match number {
        Sysnum::IpcCall => return finish(ipc::call(cpu, slot, args), cpu, slot),
        Sysnum::IpcReplyReceive => return finish(ipc::reply_receive(cpu, slot, args), cpu, slot),
        Sysnum::IpcReceive => return finish(ipc::receive(cpu, slot, args[1]), cpu, slot),
        Sysnum::IpcReply => ipc::reply(cpu, slot, args[0]),
        Sysnum::IpcSend => ipc::send(cpu, slot, args[0]),
        Sysnum::IpcNotify => ipc::notify(cpu, slot, args[0], args[1]),
        Sysnum::IpcBatch => ipc::batch(cpu, slot, args[0], args[1]),
        Sysnum::HandleClose => process.handles.close(args[0]),
        // Before an endpoint is made that it could not name.
        Sysnum::EndpointOpen if !process.handles.has_room() => Err(Error::NoMemory),
        Sysnum::IcaFree => ica_free(cpu, slot, Span(args[0]), role),
        Sysnum::Sleep => return sleep(cpu, slot, args[0]),
        Sysnum::PortRead => {
            let read = process.grants.port_read(args[0], args[1]);
            return set_result(cpu, slot, read.map_or_else(Error::to_return, |value| value as i64));
        }
        Sysnum::PortWrite => process.grants.port_write(args[0], args[1], args[2]),
        Sysnum::LinuxCall => {
            return linux::call::request(cpu, slot, PhysAddr::new(args[0]), Completion::Wake);
        }
        Sysnum::LinuxCallAsync => {
            return linux::call::request(cpu, slot, PhysAddr::new(args[0]), Completion::Notify);
        }
        Sysnum::ProcessExit => {
            let exit = ExitReason::new(ExitKind::Exited, args[0] & 0xff, format_args!(""));
            return exit::exit(cpu, slot, exit);
        }
        Sysnum::ProcessYield => {
            process.set_state(ProcessState::Ready);
            cpu.local.queue.yield_current();
            Ok(())
        }
        Sysnum::LogWrite => log_write(cpu, slot, UserRange::new(args[0], args[1])),
        Sysnum::LcaGet => lca_get(cpu, slot, UserPtr::new(args[0])),
        Sysnum::SystemInfo => system_info(cpu, slot, UserPtr::new(args[0])),
        Sysnum::ReportEnosys => report_enosys(cpu, slot, args[0]),
        _ => return role.syscall(cpu, slot, number, args),
    };
    let result = result.map_or_else(Error::to_return, |()| 0);
    set_result(cpu, slot, result);
}

/// Gives a process the error of a system call that sets its result itself otherwise.
fn finish(result: Result<(), Error>, cpu: &mut Cpu, slot: ThreadSlot) {
    if let Err(error) = result {
        set_result(cpu, slot, error.to_return());
    }
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
    let pid = cpu.local.caller(slot)?.pid;
    role.freed(slot, pid, span);
    Ok(())
}

fn sleep(cpu: &mut Cpu, slot: ThreadSlot, us: u64) {
    cpu.local.block(slot, BlockReason::Time, ProcessState::Sleeping);
    cpu.local.limit(slot, us);
}

/// Serves a call that only the m-kernel can, on another CPU: asks it.
pub fn m_call_send(cpu: &mut Cpu, slot: ThreadSlot, number: Sysnum, args: [u64; 3]) {
    match number.service() {
        Service::MKernel => {}
        // `init` is the m-kernel's CPU's.
        Service::InitOnly => return set_result(cpu, slot, Error::NotPermitted.to_return()),
        Service::Local => return set_result(cpu, slot, Error::NoSystemCall.to_return()),
    }
    let index = cpu.index();
    if !mailbox::has_room(index, CpuIndex::M_KERNEL) {
        return set_result(cpu, slot, Error::Again.to_return());
    }
    if let Some(process) = cpu.local.process(slot) {
        process.m_call = Some(MCall { number, arg: args[0] });
    }
    cpu.local.block(slot, BlockReason::MReply, ProcessState::InMCall);
    if mailbox::send(index, CpuIndex::M_KERNEL, Message::MCall { slot, number, args }).is_err() {
        cpu.local.wake_with(slot, Error::Again.to_return());
    }
}

/// The m-kernel's answer has come.
pub fn m_call_returned(cpu: &mut Cpu, slot: ThreadSlot, result: i64) {
    let Some(process) = cpu.local.process(slot) else { return };
    let Some(m_call) = process.m_call.take() else { return };
    let has_ended = process.exit.is_some();
    let result = take_m_reply(cpu, slot, m_call, result);
    if has_ended {
        cpu.local.note_if_reapable(slot);
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

/// Sets the result of a process's system call.
pub fn set_result(cpu: &mut Cpu, slot: ThreadSlot, result: i64) {
    // The process may have given its own life up to the call.
    if let Some(process) = cpu.local.process(slot) {
        process.context.set_result(result);
    }
}

fn log_write(cpu: &mut Cpu, slot: ThreadSlot, text: UserRange) -> Result<(), Error> {
    let process = cpu.local.caller(slot)?;
    let mut buffer = [0; LOG_WRITE_MAX];
    let text = user_memory::read(&process.space, text, &mut buffer)?;
    let text = str::from_utf8(text).map_err(|_| Error::Invalid)?;
    log::info!("process {}: {text}", process.pid);
    Ok(())
}

fn lca_get(cpu: &mut Cpu, slot: ThreadSlot, to: UserPtr<LcaGrant>) -> Result<(), Error> {
    let process = cpu.local.caller(slot)?;
    // Linux has a process for each that runs there in somebody's name: servers do not.
    let lca = process.lca.as_ref().ok_or(Error::NotPermitted)?;
    let grant = LcaGrant { virt: lca.virt().get(), raddr: lca.entry().raddr().get() };
    user_memory::write_value(&process.space, to, &grant)
}

fn system_info(cpu: &mut Cpu, slot: ThreadSlot, to: UserPtr<SystemInfo>) -> Result<(), Error> {
    let index = cpu.index();
    let process = cpu.local.caller(slot)?;
    let info = SystemInfo {
        tsc_khz: shared::boot().tsc_khz,
        cpus: shared::cpu_count() as u32,
        cpu: index.into(),
        linux_cpu: shared::linux_cpu(index),
        pid: process.pid.get(),
        revision: ant_abi::REVISION,
    };
    user_memory::write_value(&process.space, to, &info)
}

/// Linux system calls that somebody asked for in vain, one bit each: each is logged once.
/// Written and read by every CPU.
static REPORTED_CALLS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn report_enosys(cpu: &mut Cpu, slot: ThreadSlot, number: u64) -> Result<(), Error> {
    let pid = cpu.local.caller(slot)?.pid;
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
