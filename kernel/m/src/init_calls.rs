//! The system calls of `init`: creating, starting, ending and listing processes.

use core::sync::atomic::{Ordering, fence};

use ant_abi::Error;
use ant_abi::boot::BootDevice;
use ant_abi::ipc::{
    DEVICE_GET, DEVICE_GRANT, DeviceGrant, ENDPOINT_BIND, ENDPOINT_CLOSE, ENDPOINT_CREATE,
    EXIT_NOTICE_TAKE, ExitNotice, HANDLE_GRANT, PRIORITIES, PROCESS_MOVE, PROCESS_PRIORITY,
    SERVER_CREATE, ServerCreate,
};
use ant_abi::lca::LCA_BUFFER;
use ant_abi::syscall::{
    FAULT_INJECT, PROCESS_CREATE, PROCESS_KILL, PROCESS_LIST, PROCESS_START, ProcessCreate,
    ProcessInfo, STATE_CREATED, STATE_EXITING,
};
use ant_logic::devices::Right;
use ant_logic::ipc::Target;
use ant_p::handles::Handle;
use ant_p::linux::call;
use ant_p::mailbox::{self, Message};
use ant_p::process::{BlockReason, Public};
use ant_p::user_memory::{self, UserPtr, UserRange};
use ant_p::{Cpu, devices, endpoints, log, process, shared};
use linux_raw_sys::general::_NSIG;
use zerocopy::IntoBytes;

use super::MKernel;
use crate::loader::InProcess;
use crate::processes;

/// Serves a call of `init`, which is process `slot`.
pub fn serve(m: &mut MKernel, cpu: &mut Cpu, slot: u8, number: u64, args: [u64; 3]) -> Option<i64> {
    let result = match number {
        PROCESS_CREATE => {
            let strings = UserRange::new(args[1], args[2]);
            create(m, cpu, slot, UserPtr::new(args[0]), strings).map(|()| 0)
        }
        PROCESS_START => start(m, cpu, args[0]).map(|()| 0),
        PROCESS_KILL => kill(m, cpu, args[0], args[1]).map(|()| 0),
        PROCESS_LIST => list(cpu, slot, UserRange::new(args[0], args[1]), args[2]),
        PROCESS_PRIORITY => priority(m, cpu, args[0], args[1]).map(|()| 0),
        PROCESS_MOVE => move_process(m, cpu, args[0], args[1]).map(|()| 0),
        EXIT_NOTICE_TAKE => take_exit_notice(m, cpu, slot, UserPtr::new(args[0])).map(|()| 0),
        SERVER_CREATE => {
            let program = UserRange::new(args[1], args[2]);
            create_server(m, cpu, slot, UserPtr::new(args[0]), program)
        }
        ENDPOINT_CREATE => create_endpoint(m, cpu, slot),
        ENDPOINT_BIND => bind(m, cpu, slot, args[0], args[1]),
        ENDPOINT_CLOSE => close(m, cpu, slot, args[0]).map(|()| 0),
        HANDLE_GRANT => grant_handle(cpu, slot, args),
        DEVICE_GRANT => grant_device(m, cpu, slot, args[0], UserPtr::new(args[1])).map(|()| 0),
        #[cfg(feature = "fault-injection")]
        FAULT_INJECT => crate::fault_injection::inject(m, cpu, args).map(|()| 0),
        #[cfg(not(feature = "fault-injection"))]
        FAULT_INJECT => Err(Error::NoSystemCall),
        DEVICE_GET => get_device(cpu, slot, args[0], UserPtr::new(args[1])).map(|()| 0),
        _ => return None,
    };
    Some(result.unwrap_or_else(Error::to_return))
}

fn create(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: u8,
    to: UserPtr<ProcessCreate>,
    strings: UserRange,
) -> Result<(), Error> {
    let init = cpu.local.caller(slot)?;
    let mut request = user_memory::read_value(&init.space, to)?;
    let mut buffer = [0; LCA_BUFFER];
    let strings = user_memory::read(&init.space, strings, &mut buffer)?;
    let path_len = request.path_len as usize;
    let process = m.processes.create(request.cpu, strings, path_len, &mut m.memory)?;
    m.memory.publish();
    request.pid = process.pid;
    request.placed = process.home() as u32;
    request.lca = process.lca_entry().map_or(0, |entry| entry.0);
    let init = cpu.local.caller(slot)?;
    if let Err(error) = user_memory::write_value(&init.space, to, &request) {
        m.processes.destroy(process, &mut m.memory);
        return Err(error);
    }
    // It is loaded here, whatever CPU it will run on: only the m-kernel has memory to give.
    cpu.adopt(process);
    Ok(())
}

fn create_server(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: u8,
    request: UserPtr<ServerCreate>,
    program: UserRange,
) -> Result<i64, Error> {
    let space = &cpu.local.caller(slot)?.space;
    let request = user_memory::read_value(space, request)?;
    let mut source = InProcess { space, program };
    let created = m.processes.create_server(&request, &mut source, &mut m.memory);
    m.memory.publish();
    let server = created.map_err(|failure| {
        if !failure.text.is_empty() {
            log::warning!("a server cannot be loaded: {}", failure.text);
        }
        Error::from_return(-(failure.errno as i64)).unwrap_or(Error::NotExecutable)
    })?;
    #[cfg(feature = "fault-injection")]
    crate::fault_injection::arm_next(m, &server);
    let pid = server.pid;
    cpu.adopt(server);
    Ok(i64::from(pid))
}

/// A process that was made and not started yet; it is this CPU's.
fn unstarted(cpu: &mut Cpu, pid: u64) -> Result<u8, Error> {
    let pid = u32::try_from(pid).map_err(|_| Error::NoProcess)?;
    let slot = cpu.local.find_pid(pid).ok_or(Error::NoProcess)?;
    let state = cpu.local.caller(slot)?.public().state.load(Ordering::Relaxed);
    (state == STATE_CREATED).then_some(slot).ok_or(Error::Busy)
}

fn start(m: &mut MKernel, cpu: &mut Cpu, pid: u64) -> Result<(), Error> {
    let slot = unstarted(cpu, pid)?;
    match cpu.local.caller(slot)?.lca {
        Some(_) => call::request_for_loader(cpu, slot),
        None => m.place(cpu, slot),
    }
    Ok(())
}

/// The process with an id, as every CPU sees it.
pub(crate) fn find(pid: u64) -> Result<&'static Public, Error> {
    let pid = u32::try_from(pid).ok().filter(|&pid| pid != 0).ok_or(Error::NoProcess)?;
    process::find(|public| public.pid.load(Ordering::Relaxed) == pid).ok_or(Error::NoProcess)
}

/// Has what a message says done by the CPU that has its process, or is about to.
fn tell(m: &mut MKernel, cpu: &mut Cpu, pid: u64, message: Message) -> Result<(), Error> {
    let process = find(pid)?;
    // One that was not started is here, wherever it is to run.
    let is_here = cpu.local.find_pid(process.pid.load(Ordering::Relaxed)).is_some();
    let home = process.cpu.load(Ordering::Relaxed) as usize;
    if !is_here && !mailbox::has_room(cpu.index(), home) {
        return Err(Error::Again);
    }
    cpu.handle_message(cpu.index(), message, m);
    Ok(())
}

fn priority(m: &mut MKernel, cpu: &mut Cpu, pid: u64, priority: u64) -> Result<(), Error> {
    let priority = u8::try_from(priority).ok().filter(|&one| usize::from(one) < PRIORITIES);
    let priority = priority.ok_or(Error::Invalid)?;
    tell(m, cpu, pid, Message::Priority { pid: pid as u32, priority })
}

fn move_process(m: &mut MKernel, cpu: &mut Cpu, pid: u64, to: u64) -> Result<(), Error> {
    let to = u8::try_from(to).ok().filter(|&to| usize::from(to) < shared::cpu_count());
    let to = to.ok_or(Error::NoDevice)?;
    if let Some(slot) = cpu.local.find_pid(find(pid)?.pid.load(Ordering::Relaxed)) {
        let process = cpu.local.caller(slot)?;
        if process.is_init {
            // Its calls are the m-kernel's.
            return Err(Error::NotPermitted);
        }
        if process.blocked_on == BlockReason::NotStarted {
            process.set_home(usize::from(to));
            return Ok(());
        }
    }
    tell(m, cpu, pid, Message::Move { pid: pid as u32, cpu: to })
}

fn take_exit_notice(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: u8,
    to: UserPtr<ExitNotice>,
) -> Result<(), Error> {
    let notice = m.exit_queue.take().ok_or(Error::Again)?;
    user_memory::write_value(&cpu.local.caller(slot)?.space, to, &notice)
}

fn create_endpoint(m: &mut MKernel, cpu: &mut Cpu, slot: u8) -> Result<i64, Error> {
    m.closed.drain(..).for_each(endpoints::free);
    let endpoint = endpoints::create(Target::Unbound, true).ok_or(Error::NoMemory)?;
    let handle = Handle {
        endpoint,
        first_generation: endpoints::first_generation(endpoint),
        generation: 0,
        badge: 0,
    };
    let number = cpu.local.caller(slot)?.handles.add(handle);
    number.map(|number| number as i64).ok_or_else(|| {
        endpoints::free(endpoint);
        Error::NoMemory
    })
}

fn bind(m: &mut MKernel, cpu: &mut Cpu, slot: u8, number: u64, pid: u64) -> Result<i64, Error> {
    let handle = cpu.local.caller(slot)?.handles.get(number)?;
    handle.state()?;
    let generation = match pid {
        0 => endpoints::bind(handle.endpoint, Target::Unbound).ok_or(Error::PeerGone),
        pid => bind_process(cpu, handle.endpoint, pid),
    };
    if generation.is_ok() {
        m.announce_receiver(cpu, handle.endpoint);
    }
    generation.map(i64::from)
}

fn bind_process(cpu: &mut Cpu, endpoint: u8, pid: u64) -> Result<u32, Error> {
    let process = find(pid)?;
    let ends = || process.state.load(Ordering::Relaxed) == STATE_EXITING;
    if ends() {
        return Err(Error::NoProcess);
    }
    let server = process::slot_of(process);
    // Not started yet, it is still here, wherever it will run.
    let home = match cpu.local.find_pid(pid as u32) {
        Some(_) => cpu.index() as u8,
        None => process.cpu.load(Ordering::Relaxed) as u8,
    };
    if endpoints::bound_to(home, server).any(|other| other != endpoint) {
        // It receives elsewhere.
        return Err(Error::Busy);
    }
    let target = Target::Bound { cpu: home, server };
    let generation = endpoints::bind(endpoint, target).ok_or(Error::PeerGone)?;
    // If it ends meanwhile, its CPU sees that it is bound, or this CPU that it ends. `init` hears of
    // that later.
    fence(Ordering::SeqCst);
    if ends() {
        endpoints::leave(endpoint, home, server, Target::Unbound);
    }
    Ok(generation)
}

fn close(m: &mut MKernel, cpu: &mut Cpu, slot: u8, number: u64) -> Result<(), Error> {
    let handle = cpu.local.caller(slot)?.handles.get(number)?;
    handle.state()?;
    let _ = endpoints::bind(handle.endpoint, Target::Closed);
    m.announce_receiver(cpu, handle.endpoint);
    // Without room, the number is not used again.
    let _ = m.closed.try_push(handle.endpoint);
    Ok(())
}

fn grant_handle(cpu: &mut Cpu, slot: u8, [pid, number, badge]: [u64; 3]) -> Result<i64, Error> {
    let handle = cpu.local.caller(slot)?.handles.get(number)?;
    let badge = u32::try_from(badge).map_err(|_| Error::Invalid)?;
    let to = unstarted(cpu, pid)?;
    let given = cpu.local.caller(to)?.handles.add(Handle { badge, generation: 0, ..handle });
    given.map(|number| number as i64).ok_or(Error::NoMemory)
}

fn grant_device(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: u8,
    pid: u64,
    grant: UserPtr<DeviceGrant>,
) -> Result<(), Error> {
    let grant = user_memory::read_value(&cpu.local.caller(slot)?.space, grant)?;
    let rights = devices::resolve(&grant)?;
    let memory = rights.iter().filter_map(|right| match *right {
        Right::Memory { start, len } => Some((start, len)),
        _ => None,
    });
    find(pid)?;
    let Some(server) = cpu.local.find_pid(pid as u32) else {
        if memory.count() > 0 {
            // Its page tables are another CPU's by now.
            return Err(Error::Busy);
        }
        return tell(m, cpu, pid, Message::Grant { pid: pid as u32, grant });
    };
    let process = cpu.local.caller(server)?;
    for (start, len) in memory {
        processes::map_device(process, start, len, &mut m.memory)?;
    }
    cpu.grant(server, &rights)
}

fn get_device(cpu: &mut Cpu, slot: u8, index: u64, to: UserPtr<BootDevice>) -> Result<(), Error> {
    let device = usize::try_from(index).ok().and_then(|index| shared::devices().get(index));
    user_memory::write_value(&cpu.local.caller(slot)?.space, to, device.ok_or(Error::NoDevice)?)
}

fn kill(m: &mut MKernel, cpu: &mut Cpu, pid: u64, signal: u64) -> Result<(), Error> {
    if !(1..=u64::from(_NSIG)).contains(&signal) {
        return Err(Error::Invalid);
    }
    let pid = find(pid)?.pid.load(Ordering::Relaxed);
    if let Some(slot) = cpu.local.find_pid(pid)
        && cpu.local.caller(slot)?.is_init
    {
        return Err(Error::NotPermitted);
    }
    tell(m, cpu, u64::from(pid), Message::Kill { pid, signal: signal as u8 })
}

fn list(cpu: &mut Cpu, slot: u8, to: UserRange, from_pid: u64) -> Result<i64, Error> {
    let init = cpu.local.caller(slot)?;
    let size = size_of::<ProcessInfo>() as u64;
    let mut next = u32::try_from(from_pid).map_err(|_| Error::Invalid)?;
    let mut written = 0;
    while let Some(place) = to.part(written, size) {
        let Some(info) = process::next_from(next) else { break };
        user_memory::write(&init.space, place, info.as_bytes())?;
        written += size;
        next = info.pid + 1;
    }
    Ok(written as i64)
}
