//! AnT's system calls that every core serves; the numbers are `ant_abi::syscall`'s.
//!
//! A mistake of the caller gives it an error; nothing that a process passes can stop the kernel.

use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::Error;
use ant_abi::lca::END_EXITED;
use ant_abi::syscall::{
    CALL_UNKNOWN, LCA_GET, LINUX_CALL, LOG_WRITE, LOG_WRITE_MAX, LcaGrant, PROCESS_EXIT,
    PROCESS_YIELD, STATE_READY, SYSTEM_INFO, SystemInfo,
};

use super::core_loop::{Core, Role};
use super::process::Ending;
use super::user_memory;
use crate::{linux, log, shared};

/// Serves the system call that ended the last run of a process.
pub fn serve(core: &mut Core, slot: u8, role: &mut impl Role) {
    let Some(process) = core.process(slot) else { return };
    let (number, args) = process.context.syscall();
    let result = match number {
        // These two leave no result: the process does not go on now, or ever.
        LINUX_CALL => return linux::call::request(core, slot, args[0]),
        PROCESS_EXIT => {
            let ending = Ending::new(END_EXITED, args[0] & 0xff, format_args!(""));
            return linux::call::end(core, slot, ending);
        }
        PROCESS_YIELD => {
            process.set_state(STATE_READY);
            core.yield_current();
            Ok(())
        }
        LOG_WRITE => log_write(core, slot, args[0], args[1]),
        LCA_GET => lca_get(core, slot, args[0]),
        SYSTEM_INFO => system_info(core, slot, args[0]),
        CALL_UNKNOWN => call_unknown(core, slot, args[0]),
        _ => return serve_other(core, slot, number, args, role),
    };
    let result = result.map_or_else(Error::to_return, |()| 0);
    set_result(core, slot, result);
}

/// Calls that not every core has, and only `init` may use.
fn serve_other(core: &mut Core, slot: u8, number: u64, args: [u64; 3], role: &mut impl Role) {
    let is_init = core.process(slot).is_some_and(|process| process.is_init);
    let served = if is_init { role.syscall(core, slot, number, args) } else { None };
    let privileged =
        (ant_abi::syscall::PROCESS_CREATE..=ant_abi::syscall::FAULT_INJECT).contains(&number);
    let refusal = if privileged { Error::NotPermitted } else { Error::NoSystemCall };
    set_result(core, slot, served.unwrap_or(refusal.to_return()));
}

fn set_result(core: &mut Core, slot: u8, result: i64) {
    // The process may have given its own life up to the call.
    if let Some(process) = core.process(slot) {
        process.context.set_result(result);
    }
}

fn log_write(core: &mut Core, slot: u8, from: u64, len: u64) -> Result<(), Error> {
    let process = core.process(slot).ok_or(Error::NoProcess)?;
    let mut text = [0; LOG_WRITE_MAX];
    let len = usize::try_from(len).ok().filter(|&len| len <= LOG_WRITE_MAX);
    let text = &mut text[..len.ok_or(Error::TooLong)?];
    user_memory::read(&process.space, from, text)?;
    let text = str::from_utf8(text).map_err(|_| Error::Invalid)?;
    log::info!("process {}: {text}", process.pid);
    Ok(())
}

fn lca_get(core: &mut Core, slot: u8, to: u64) -> Result<(), Error> {
    let process = core.process(slot).ok_or(Error::NoProcess)?;
    let grant = LcaGrant { virt: process.lca.virt(), raddr: process.lca.entry().raddr() };
    user_memory::write_value(&process.space, to, &grant)
}

fn system_info(core: &mut Core, slot: u8, to: u64) -> Result<(), Error> {
    let index = core.index();
    let process = core.process(slot).ok_or(Error::NoProcess)?;
    let info = SystemInfo {
        tsc_khz: shared::boot().tsc_khz,
        cores: shared::core_count() as u32,
        core: index as u32,
        linux_cpu: shared::linux_cpu(index),
        pid: process.pid,
        revision: ant_abi::REVISION,
    };
    user_memory::write_value(&process.space, to, &info)
}

/// Linux system calls that somebody asked for in vain, one bit each: each is logged once.
/// Written and read by every core.
static UNKNOWN_CALLS: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn call_unknown(core: &mut Core, slot: u8, number: u64) -> Result<(), Error> {
    let pid = core.process(slot).ok_or(Error::NoProcess)?.pid;
    let word = UNKNOWN_CALLS.get((number / 64) as usize);
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
