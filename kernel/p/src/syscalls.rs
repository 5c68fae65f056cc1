//! AnT's system calls that every CPU serves; the numbers are `ant_abi::syscall`'s.
//!
//! A mistake of the caller gives it an error; nothing that a process passes can stop the kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::ipc::{
    DEVICE_GET, ENDPOINT_OPEN, HANDLE_CLOSE, ICA_ALLOC, ICA_FREE, IPC_BATCH, IPC_CALL, IPC_NOTIFY,
    IPC_RECEIVE, IPC_REPLY, IPC_REPLY_RECEIVE, IPC_SEND, LINUX_CALL_ASYNC, PORT_READ, PORT_WRITE,
    SERVER_CREATE, SLEEP, Span,
};
use ant_abi::lca::EXIT_EXITED;
use ant_abi::syscall::{
    FAULT_INJECT, LCA_GET, LINUX_CALL, LOG_WRITE, LOG_WRITE_MAX, LcaGrant, PROCESS_CREATE,
    PROCESS_EXIT, PROCESS_YIELD, REPORT_ENOSYS, STATE_IN_M_CALL, STATE_READY, STATE_SLEEPING,
    SYSTEM_INFO, SystemInfo,
};
use ant_abi::{Error, PhysAddr};

use crate::cpu::Cpu;
use crate::mailbox::{self, Message};
use crate::process::{BlockReason, ExitReason, MCall};
use crate::role::Role;
use crate::user_memory::{self, UserPtr, UserRange};
use crate::{exit, ica, ipc, linux, log, shared};

/// Serves the system call that ended the last run of a process.
pub fn serve(cpu: &mut Cpu, slot: u8, role: &mut impl Role) {
    let Some(process) = cpu.local.process(slot) else { return };
    let (number, args) = process.context.syscall();
    // Those with a `return` leave no result: the process does not go on now, or gets it otherwise.
    let result = match number {
        IPC_CALL => return finish(ipc::call(cpu, slot, args), cpu, slot),
        IPC_REPLY_RECEIVE => return finish(ipc::reply_receive(cpu, slot, args), cpu, slot),
        IPC_RECEIVE => return finish(ipc::receive(cpu, slot, args[1]), cpu, slot),
        IPC_REPLY => ipc::reply(cpu, slot, args[0]),
        IPC_SEND => ipc::send(cpu, slot, args[0]),
        IPC_NOTIFY => ipc::notify(cpu, slot, args[0], args[1]),
        IPC_BATCH => ipc::batch(cpu, slot, args[0], args[1]),
        HANDLE_CLOSE => process.handles.close(args[0]),
        // Before an endpoint is made that it could not name.
        ENDPOINT_OPEN if !process.handles.has_room() => Err(Error::NoMemory),
        ICA_FREE => ica_free(cpu, slot, Span(args[0]), role),
        SLEEP => return sleep(cpu, slot, args[0]),
        PORT_READ => {
            let read = process.grants.port_read(args[0], args[1]);
            return set_result(cpu, slot, read.map_or_else(Error::to_return, |value| value as i64));
        }
        PORT_WRITE => process.grants.port_write(args[0], args[1], args[2]),
        LINUX_CALL => return linux::call::request(cpu, slot, PhysAddr::new(args[0]), false),
        LINUX_CALL_ASYNC => {
            return linux::call::request(cpu, slot, PhysAddr::new(args[0]), true);
        }
        PROCESS_EXIT => {
            let exit = ExitReason::new(EXIT_EXITED, args[0] & 0xff, format_args!(""));
            return exit::exit(cpu, slot, exit);
        }
        PROCESS_YIELD => {
            process.set_state(STATE_READY);
            cpu.local.queue.yield_current();
            Ok(())
        }
        LOG_WRITE => log_write(cpu, slot, UserRange::new(args[0], args[1])),
        LCA_GET => lca_get(cpu, slot, UserPtr::new(args[0])),
        SYSTEM_INFO => system_info(cpu, slot, UserPtr::new(args[0])),
        REPORT_ENOSYS => report_enosys(cpu, slot, args[0]),
        _ => return role.syscall(cpu, slot, number, args),
    };
    let result = result.map_or_else(Error::to_return, |()| 0);
    set_result(cpu, slot, result);
}

/// Gives a process the error of a system call that sets its result itself otherwise.
fn finish(result: Result<(), Error>, cpu: &mut Cpu, slot: u8) {
    if let Err(error) = result {
        set_result(cpu, slot, error.to_return());
    }
}

fn ica_free(cpu: &mut Cpu, slot: u8, span: Span, role: &mut impl Role) -> Result<(), Error> {
    if !mailbox::has_room(cpu.index(), 0) {
        return Err(Error::Again);
    }
    ica::holder(&mut cpu.local, slot)?.release(span)?;
    let pid = cpu.local.caller(slot)?.pid;
    role.freed(slot, pid, span);
    Ok(())
}

fn sleep(cpu: &mut Cpu, slot: u8, us: u64) {
    cpu.local.block(slot, BlockReason::Time, STATE_SLEEPING);
    cpu.local.limit(slot, us);
}

/// Whether the m-kernel serves this call for a process of any CPU.
pub fn is_m_call(number: u64) -> bool {
    matches!(number, ENDPOINT_OPEN | ICA_ALLOC)
}

/// Serves a call that only the m-kernel can, on another CPU: asks it.
pub fn m_call_send(cpu: &mut Cpu, slot: u8, number: u64, args: [u64; 3]) {
    if !is_m_call(number) {
        return set_result(cpu, slot, unknown_or_forbidden(number).to_return());
    }
    let index = cpu.index();
    if !mailbox::has_room(index, 0) {
        return set_result(cpu, slot, Error::Again.to_return());
    }
    if let Some(process) = cpu.local.process(slot) {
        process.m_call = MCall { number, arg: args[0] };
    }
    cpu.local.block(slot, BlockReason::MReply, STATE_IN_M_CALL);
    if mailbox::send(index, 0, Message::MCall { slot, number, args }).is_err() {
        cpu.local.wake_with(slot, Error::Again.to_return());
    }
}

/// The m-kernel's answer has come.
pub fn m_call_returned(cpu: &mut Cpu, slot: u8, result: i64) {
    let Some(process) = cpu.local.process(slot) else { return };
    let MCall { number, arg } = core::mem::take(&mut process.m_call);
    let zombies = process.exit.is_some();
    let result = take_m_reply(cpu, slot, number, arg, result);
    if zombies {
        cpu.local.note_if_reapable(slot);
    } else {
        cpu.local.wake_with(slot, result);
    }
}

/// Makes what the m-kernel has given a process its own.
pub fn take_m_reply(cpu: &mut Cpu, slot: u8, number: u64, arg: u64, result: i64) -> i64 {
    let Ok(given) = u64::try_from(result) else { return result };
    match number {
        ICA_ALLOC => ica::take_fresh(&mut cpu.local, slot, given as u32, arg as u32),
        ENDPOINT_OPEN => ipc::take_endpoint(cpu, slot, given as u8),
        _ => result,
    }
}

/// What a process gets that may not make a call, or makes one that there is not.
pub fn unknown_or_forbidden(number: u64) -> Error {
    let of_init = (PROCESS_CREATE..=FAULT_INJECT).contains(&number)
        || (SERVER_CREATE..=DEVICE_GET).contains(&number);
    if of_init { Error::NotPermitted } else { Error::NoSystemCall }
}

/// Sets the result of a process's system call.
pub fn set_result(cpu: &mut Cpu, slot: u8, result: i64) {
    // The process may have given its own life up to the call.
    if let Some(process) = cpu.local.process(slot) {
        process.context.set_result(result);
    }
}

fn log_write(cpu: &mut Cpu, slot: u8, text: UserRange) -> Result<(), Error> {
    let process = cpu.local.caller(slot)?;
    let mut buffer = [0; LOG_WRITE_MAX];
    let text = user_memory::read(&process.space, text, &mut buffer)?;
    let text = str::from_utf8(text).map_err(|_| Error::Invalid)?;
    log::info!("process {}: {text}", process.pid);
    Ok(())
}

fn lca_get(cpu: &mut Cpu, slot: u8, to: UserPtr<LcaGrant>) -> Result<(), Error> {
    let process = cpu.local.caller(slot)?;
    // Linux has a process for each that runs there in somebody's name: servers do not.
    let lca = process.lca.as_ref().ok_or(Error::NotPermitted)?;
    let grant = LcaGrant { virt: lca.virt().get(), raddr: lca.entry().raddr().get() };
    user_memory::write_value(&process.space, to, &grant)
}

fn system_info(cpu: &mut Cpu, slot: u8, to: UserPtr<SystemInfo>) -> Result<(), Error> {
    let index = cpu.index();
    let process = cpu.local.caller(slot)?;
    let info = SystemInfo {
        tsc_khz: shared::boot().tsc_khz,
        cpus: shared::cpu_count() as u32,
        cpu: index as u32,
        linux_cpu: shared::linux_cpu(index),
        pid: process.pid,
        revision: ant_abi::REVISION,
    };
    user_memory::write_value(&process.space, to, &info)
}

/// Linux system calls that somebody asked for in vain, one bit each: each is logged once.
/// Written and read by every CPU.
static REPORTED_CALLS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn report_enosys(cpu: &mut Cpu, slot: u8, number: u64) -> Result<(), Error> {
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
