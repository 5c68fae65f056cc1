//! The system calls of `init`: creating, starting, ending and listing processes.

use core::sync::atomic::{Ordering, fence};

use ant_abi::boot::BootDevice;
use ant_abi::ipc::{DeviceGrant, ENVIRONMENT_MAX, ExitNotice, ServerCreate};
use ant_abi::lca::LCA_BUFFER;
use ant_abi::syscall::{ProcessCreate, ProcessInfo, ProcessState, Sysnum};
use ant_abi::{EndpointId, Error, Generation, Pid, Priority, ThreadSlot, Tid};
use ant_logic::devices::Right;
use ant_logic::ipc::Target;
use ant_p::endpoints::Purpose;
use ant_p::handles::Handle;
use ant_p::linux::call;
use ant_p::locals::Caller;
use ant_p::mailbox::{self, Message};
use ant_p::thread::{self, BlockReason, PublicThread};
use ant_p::user_memory::{self, UserPtr, UserRange};
use ant_p::{Cpu, devices, endpoints, log, process, shared};
use linux_raw_sys::general::_NSIG;
use zerocopy::IntoBytes;

use super::MKernel;
use crate::loader::{InProcess, Startup};
use crate::processes;

/// Serves a call of `init`, which is process `slot`.
pub fn serve(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    number: Sysnum,
    args: [u64; 3],
) -> Result<i64, Error> {
    match number {
        Sysnum::ProcessCreate => {
            let strings = UserRange::new(args[1], args[2]);
            create(m, cpu, slot, UserPtr::new(args[0]), strings).map(|()| 0)
        }
        Sysnum::ProcessStart => start(m, cpu, pid(args[0])?).map(|()| 0),
        Sysnum::ProcessKill => kill(m, cpu, pid(args[0])?, args[1]).map(|()| 0),
        Sysnum::ProcessList => list(cpu, slot, UserRange::new(args[0], args[1]), args[2]),
        Sysnum::ProcessPriority => priority(m, cpu, pid(args[0])?, args[1]).map(|()| 0),
        Sysnum::ProcessMove => move_process(m, cpu, pid(args[0])?, args[1]).map(|()| 0),
        Sysnum::ExitNoticeTake => take_exit_notice(m, cpu, slot, UserPtr::new(args[0])).map(|()| 0),
        Sysnum::ServerCreate => {
            let program = UserRange::new(args[1], args[2]);
            create_server(m, cpu, slot, UserPtr::new(args[0]), program)
        }
        Sysnum::EndpointCreate => create_endpoint(m, cpu, slot),
        Sysnum::EndpointBind => bind(m, cpu, slot, args[0], args[1]),
        Sysnum::EndpointClose => close(m, cpu, slot, args[0]).map(|()| 0),
        Sysnum::HandleGrant => grant_handle(cpu, slot, args),
        Sysnum::DeviceGrant => {
            let grant = UserPtr::new(args[1]);
            grant_device(m, cpu, slot, pid(args[0])?, grant).map(|()| 0)
        }
        Sysnum::DeviceGet => get_device(cpu, slot, args[0], UserPtr::new(args[1])).map(|()| 0),
        #[cfg(feature = "fault-injection")]
        Sysnum::FaultInject => crate::fault_injection::inject(m, cpu, args).map(|()| 0),
        // Those that are not `init`'s alone are served before.
        _ => Err(Error::NoSystemCall),
    }
}

/// The process id that `init` has passed.
fn pid(number: u64) -> Result<Pid, Error> {
    Pid::try_from(number).map_err(|_| Error::NoProcess)
}

fn create(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    to: UserPtr<ProcessCreate>,
    strings: UserRange,
) -> Result<(), Error> {
    let init = cpu.local.caller(slot)?.process;
    let mut request = user_memory::read_value(&init.space, to)?;
    let mut buffer = [0; LCA_BUFFER];
    let strings = user_memory::read(&init.space, strings, &mut buffer)?;
    let path_len = request.path_len as usize;
    let arguments_len = strings.len().checked_sub(request.environment_len as usize);
    let (arguments, environment) = strings.split_at(arguments_len.ok_or(Error::Invalid)?);
    let startup = Startup { arguments, environment };
    let new = m.processes.create(request.cpu, startup, path_len, &mut m.memory)?;
    m.memory.publish();
    request.pid = new.process.pid.get();
    request.placed = new.process.public().home().into();
    request.lca = new.thread.linux.first_entry().map_or(0, |entry| entry.0);
    let init = cpu.local.caller(slot)?.process;
    if let Err(error) = user_memory::write_value(&init.space, to, &request) {
        m.processes.destroy(new, &mut m.memory);
        return Err(error);
    }
    // It is loaded here, whatever CPU it will run on: only the m-kernel has memory to give.
    cpu.adopt(new);
    Ok(())
}

fn create_server(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    request: UserPtr<ServerCreate>,
    program: UserRange,
) -> Result<i64, Error> {
    let space = &cpu.local.caller(slot)?.process.space;
    let behind = request.behind(ENVIRONMENT_MAX as u64);
    let request = user_memory::read_value(space, request)?;
    let mut buffer = [0; ENVIRONMENT_MAX];
    let environment = behind.part(0, request.environment_len.into()).ok_or(Error::TooLong)?;
    let environment = user_memory::read(space, environment, &mut buffer)?;
    let mut source = InProcess { space, program };
    let created = m.processes.create_server(&request, environment, &mut source, &mut m.memory);
    m.memory.publish();
    let server = created.map_err(|failure| {
        if !failure.text.is_empty() {
            log::warning!("a server cannot be loaded: {}", failure.text);
        }
        Error::from_return(-(failure.errno as i64)).unwrap_or(Error::NotExecutable)
    })?;
    #[cfg(feature = "fault-injection")]
    ant_p::fault_injection::server_made(&server.thread);
    let pid = server.process.pid;
    cpu.adopt(server);
    Ok(i64::from(pid.get()))
}

/// A process that was made and not started yet; it is this CPU's.
fn unstarted(cpu: &mut Cpu, pid: Pid) -> Result<ThreadSlot, Error> {
    let slot = cpu.local.find_pid(pid).ok_or(Error::NoProcess)?;
    let is_unstarted = cpu.local.caller(slot)?.thread.public().is_in(ProcessState::Created);
    is_unstarted.then_some(slot).ok_or(Error::Busy)
}

fn start(m: &mut MKernel, cpu: &mut Cpu, pid: Pid) -> Result<(), Error> {
    let slot = unstarted(cpu, pid)?;
    match cpu.local.caller(slot)?.thread.linux.first() {
        Some(_) => call::request_for_loader(cpu, slot),
        None => m.place(cpu, slot),
    }
    Ok(())
}

/// Slot of the first thread of the process with an id, and what every CPU may read about it.
pub(crate) fn find(pid: Pid) -> Result<(ThreadSlot, &'static PublicThread), Error> {
    thread::find(Tid::first_of(pid)).ok_or(Error::NoProcess)
}

/// Has what a message says done by the CPU that has its process, or is about to.
fn tell(m: &mut MKernel, cpu: &mut Cpu, pid: Pid, message: Message) -> Result<(), Error> {
    let (_, thread) = find(pid)?;
    // One that was not started is here, wherever it is to run.
    let is_here = cpu.local.find_pid(pid).is_some();
    if !is_here && !mailbox::has_room(cpu.index(), thread.cpu()) {
        return Err(Error::Again);
    }
    cpu.handle_message(cpu.index(), message, m);
    Ok(())
}

fn priority(m: &mut MKernel, cpu: &mut Cpu, pid: Pid, priority: u64) -> Result<(), Error> {
    let priority = Priority::try_from(priority).map_err(|_| Error::Invalid)?;
    tell(m, cpu, pid, Message::Priority { pid, priority })
}

fn move_process(m: &mut MKernel, cpu: &mut Cpu, pid: Pid, to: u64) -> Result<(), Error> {
    let to = shared::cpu_with_index(to).ok_or(Error::NoDevice)?;
    if let Some(slot) = cpu.local.find_pid(pid) {
        let Caller { thread, process } = cpu.local.caller(slot)?;
        if process.is_init {
            // Its calls are the m-kernel's.
            return Err(Error::NotPermitted);
        }
        if thread.blocked_on == BlockReason::NotStarted {
            process.set_home(to);
            thread.set_cpu(to);
            return Ok(());
        }
    }
    tell(m, cpu, pid, Message::Move { pid, cpu: to })
}

fn take_exit_notice(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    to: UserPtr<ExitNotice>,
) -> Result<(), Error> {
    let notice = m.exit_queue.take().ok_or(Error::Again)?;
    user_memory::write_value(&cpu.local.caller(slot)?.process.space, to, &notice)
}

fn create_endpoint(m: &mut MKernel, cpu: &mut Cpu, slot: ThreadSlot) -> Result<i64, Error> {
    m.closed.drain(..).for_each(endpoints::free);
    let endpoint = endpoints::create(Target::Unbound, Purpose::Server).ok_or(Error::NoMemory)?;
    let handle = Handle::new(endpoint, 0);
    let number = cpu.local.caller(slot)?.process.handles.add(handle);
    number.map(|number| number as i64).ok_or_else(|| {
        endpoints::free(endpoint);
        Error::NoMemory
    })
}

fn bind(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    number: u64,
    server: u64,
) -> Result<i64, Error> {
    let handle = cpu.local.caller(slot)?.process.handles.get(number)?;
    handle.state()?;
    let generation = match server {
        0 => endpoints::bind(handle.endpoint, Target::Unbound).ok_or(Error::PeerGone)?,
        server => bind_process(cpu, handle.endpoint, pid(server)?)?,
    };
    m.announce_receiver(cpu, handle.endpoint);
    Ok(i64::from(generation.get()))
}

fn bind_process(cpu: &mut Cpu, endpoint: EndpointId, pid: Pid) -> Result<Generation, Error> {
    let (server, thread) = find(pid)?;
    let ends = || thread.is_in(ProcessState::Exiting);
    if ends() {
        return Err(Error::NoProcess);
    }
    // Not started yet, it is still here, wherever it will run.
    let home = match cpu.local.find_pid(pid) {
        Some(_) => cpu.index(),
        None => thread.cpu(),
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

fn close(m: &mut MKernel, cpu: &mut Cpu, slot: ThreadSlot, number: u64) -> Result<(), Error> {
    let handle = cpu.local.caller(slot)?.process.handles.get(number)?;
    handle.state()?;
    let _ = endpoints::bind(handle.endpoint, Target::Closed);
    m.announce_receiver(cpu, handle.endpoint);
    // Without room, the number is not used again.
    let _ = m.closed.try_push(handle.endpoint);
    Ok(())
}

fn grant_handle(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    [to, number, badge]: [u64; 3],
) -> Result<i64, Error> {
    let handle = cpu.local.caller(slot)?.process.handles.get(number)?;
    let badge = u32::try_from(badge).map_err(|_| Error::Invalid)?;
    let to = unstarted(cpu, pid(to)?)?;
    let given = cpu.local.caller(to)?.process.handles.add(handle.with_badge(badge));
    given.map(|number| number as i64).ok_or(Error::NoMemory)
}

fn grant_device(
    m: &mut MKernel,
    cpu: &mut Cpu,
    slot: ThreadSlot,
    pid: Pid,
    grant: UserPtr<DeviceGrant>,
) -> Result<(), Error> {
    let grant = user_memory::read_value(&cpu.local.caller(slot)?.process.space, grant)?;
    let rights = devices::resolve(&grant)?;
    let memory = rights.iter().filter_map(|right| match *right {
        Right::Memory { start, len } => Some((start, len)),
        _ => None,
    });
    find(pid)?;
    let Some(server) = cpu.local.find_pid(pid) else {
        if memory.count() > 0 {
            // Its page tables are another CPU's by now.
            return Err(Error::Busy);
        }
        return tell(m, cpu, pid, Message::Grant { pid, grant });
    };
    let process = cpu.local.caller(server)?.process;
    for (start, len) in memory {
        processes::map_device(process, start, len, &mut m.memory)?;
    }
    cpu.grant(server, &rights)
}

fn get_device(
    cpu: &mut Cpu,
    slot: ThreadSlot,
    index: u64,
    to: UserPtr<BootDevice>,
) -> Result<(), Error> {
    let device = usize::try_from(index).ok().and_then(|index| shared::devices().get(index));
    user_memory::write_value(
        &cpu.local.caller(slot)?.process.space,
        to,
        device.ok_or(Error::NoDevice)?,
    )
}

fn kill(m: &mut MKernel, cpu: &mut Cpu, pid: Pid, signal: u64) -> Result<(), Error> {
    if !(1..=u64::from(_NSIG)).contains(&signal) {
        return Err(Error::Invalid);
    }
    if let Some(slot) = cpu.local.find_pid(pid)
        && cpu.local.caller(slot)?.process.is_init
    {
        return Err(Error::NotPermitted);
    }
    tell(m, cpu, pid, Message::Kill { pid, signal: signal as u8 })
}

fn list(cpu: &mut Cpu, slot: ThreadSlot, to: UserRange, from_pid: u64) -> Result<i64, Error> {
    let init = cpu.local.caller(slot)?.process;
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
