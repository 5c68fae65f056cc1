//! The system calls of `init`: creating, starting, ending and listing processes.

use core::sync::atomic::Ordering;

use ant_abi::Error;
use ant_abi::boot::BOOT_ALLOW_INJECT;
use ant_abi::lca::LCA_BUFFER;
use ant_abi::syscall::{
    FAULT_INJECT, INJECT_BAD_RADDR, PROCESS_CREATE, PROCESS_KILL, PROCESS_LIST, PROCESS_START,
    ProcessCreate, ProcessInfo,
};

use super::MKernel;
use crate::linux::call;
use crate::p::mailbox::{self, Message};
use crate::p::{Core, process, user_memory};
use crate::shared;

/// Highest signal number of Linux.
const MAX_SIGNAL: u64 = 64;

/// Serves a call of `init`, which is process `slot`.
pub fn serve(
    m: &mut MKernel,
    core: &mut Core,
    slot: u8,
    number: u64,
    args: [u64; 3],
) -> Option<i64> {
    let result = match number {
        PROCESS_CREATE => create(m, core, slot, args).map(|()| 0),
        PROCESS_START => start(core, args[0]).map(|()| 0),
        PROCESS_KILL => kill(core, args[0], args[1]).map(|()| 0),
        PROCESS_LIST => list(core, slot, args),
        FAULT_INJECT => inject(m, core, args[0], args[1]).map(|()| 0),
        _ => return None,
    };
    Some(result.unwrap_or_else(Error::to_return))
}

fn create(
    m: &mut MKernel,
    core: &mut Core,
    slot: u8,
    [to, from, len]: [u64; 3],
) -> Result<(), Error> {
    let init = core.process(slot).ok_or(Error::NoProcess)?;
    let mut request: ProcessCreate = user_memory::read_value(&init.space, to)?;
    let mut strings = [0; LCA_BUFFER];
    let len = usize::try_from(len).ok().filter(|&len| len <= LCA_BUFFER).ok_or(Error::TooLong)?;
    let strings = &mut strings[..len];
    user_memory::read(&init.space, from, strings)?;
    let path_len = request.path_len as usize;
    let process = m.processes.create(request.core, strings, path_len, &mut m.memory)?;
    m.memory.publish();
    request.pid = process.pid;
    request.placed = process.home as u32;
    request.lca = process.lca.entry().0;
    let init = core.process(slot).ok_or(Error::NoProcess)?;
    if let Err(error) = user_memory::write_value(&init.space, to, &request) {
        m.processes.destroy(process, &mut m.memory);
        return Err(error);
    }
    // It is loaded here, whatever core it will run on: only the m-kernel has memory to give.
    core.adopt(process);
    Ok(())
}

fn start(core: &mut Core, pid: u64) -> Result<(), Error> {
    let pid = u32::try_from(pid).map_err(|_| Error::NoProcess)?;
    let slot = core.find_pid(pid).ok_or(Error::NoProcess)?;
    let process = core.process(slot).ok_or(Error::NoProcess)?;
    let created = ant_abi::syscall::STATE_CREATED;
    if process.public().state.load(Ordering::Relaxed) != created {
        return Err(Error::Busy);
    }
    call::request_for_loader(core, slot);
    Ok(())
}

fn kill(core: &mut Core, pid: u64, signal: u64) -> Result<(), Error> {
    let pid = u32::try_from(pid).map_err(|_| Error::NoProcess)?;
    if !(1..=MAX_SIGNAL).contains(&signal) {
        return Err(Error::Invalid);
    }
    let signal = signal as u8;
    if let Some(slot) = core.find_pid(pid) {
        if core.process(slot).is_some_and(|process| process.is_init) {
            return Err(Error::NotPermitted);
        }
        core.kill(slot, signal);
        return Ok(());
    }
    let public = process::find(|public| public.pid.load(Ordering::Relaxed) == pid);
    let public = public.ok_or(Error::NoProcess)?;
    if public.kill_sent.swap(true, Ordering::Relaxed) {
        // The first message does it.
        return Ok(());
    }
    let home = public.core.load(Ordering::Relaxed) as usize;
    mailbox::send(home, Message::Kill { pid, signal }).map_err(|_| {
        public.kill_sent.store(false, Ordering::Relaxed);
        Error::Again
    })
}

fn list(core: &mut Core, slot: u8, [to, len, from_pid]: [u64; 3]) -> Result<i64, Error> {
    let init = core.process(slot).ok_or(Error::NoProcess)?;
    let size = size_of::<ProcessInfo>() as u64;
    let mut next = u32::try_from(from_pid).map_err(|_| Error::Invalid)?;
    let mut written = 0;
    while written + size <= len {
        let Some(info) = process::next_from(next) else { break };
        user_memory::write_value(&init.space, to.wrapping_add(written), &info)?;
        written += size;
        next = info.pid + 1;
    }
    Ok(written as i64)
}

fn inject(m: &mut MKernel, core: &mut Core, kind: u64, target: u64) -> Result<(), Error> {
    if shared::boot().flags & BOOT_ALLOW_INJECT == 0 {
        return Err(Error::NotPermitted);
    }
    let target = usize::try_from(target).map_err(|_| Error::NoDevice)?;
    if target >= shared::core_count() {
        return Err(Error::NoDevice);
    }
    let kind = u32::try_from(kind).ok().filter(|&kind| kind <= INJECT_BAD_RADDR);
    let message = Message::Inject(kind.ok_or(Error::Invalid)?);
    if target == core.index() {
        core.obey(message, m);
        return Ok(());
    }
    mailbox::send(target, message).map_err(|_| Error::Again)
}
