//! AnT's system calls that only `init` may make: processes, endpoints, and grants.

use ant_abi::Error;
use ant_abi::boot::BootDevice;
use ant_abi::bundle::BundleHeader;
use ant_abi::ipc::{DeviceGrant, ENVIRONMENT_MAX, ExitNotice, ServerCreate};
use ant_abi::layout::BUNDLE_START;
use ant_abi::syscall::{Injection, ProcessCreate, ProcessInfo, Sysnum};
use arrayvec::ArrayVec;
use zerocopy::{FromZeros, IntoBytes};

use crate::ant::{call, check};
use crate::ipc::Handle;
use crate::raw::syscall;

/// The signal that a process cannot outlive.
pub const SIGKILL: u32 = linux_raw_sys::general::SIGKILL;

/// Makes a process; `strings` are its path, of the length with NUL that `request` has, and its
/// arguments, each ended by NUL.
pub fn process_create(request: &mut ProcessCreate, strings: &[u8]) -> Result<(), Error> {
    let args = [&raw mut *request as u64, strings.as_ptr() as u64, strings.len() as u64];
    // SAFETY: the kernel reads `strings` and reads and fills `request`.
    check(unsafe { syscall(Sysnum::ProcessCreate, args) }).map(drop)
}

/// The bundle, which only `init` has mapped: any other process ends.
pub fn bundle() -> &'static [u8] {
    let start = BUNDLE_START as *const u8;
    // SAFETY: the m-kernel has mapped all of the bundle for the life of the process, which begins with its
    // header and has the length that the header says; nothing writes it.
    unsafe {
        let header = &*start.cast::<BundleHeader>();
        core::slice::from_raw_parts(start, header.len as usize)
    }
}

/// Makes a server of a program; its process id. `environment` are strings, each ended by NUL.
pub fn server_create(
    mut request: ServerCreate,
    environment: &[u8],
    program: &[u8],
) -> Result<u32, Error> {
    request.environment_len = environment.len() as u32;
    let mut head = ArrayVec::<u8, { size_of::<ServerCreate>() + ENVIRONMENT_MAX }>::new();
    let parts = [request.as_bytes(), environment];
    let copied = parts.into_iter().try_for_each(|part| head.try_extend_from_slice(part));
    copied.map_err(|_| Error::TooLong)?;
    let args = [head.as_ptr() as u64, program.as_ptr() as u64, program.len() as u64];
    // SAFETY: the kernel reads `request` and `program`.
    check(unsafe { syscall(Sysnum::ServerCreate, args) }).map(|pid| pid as u32)
}

/// Lets a process run.
pub fn process_start(pid: u32) -> Result<(), Error> {
    call(Sysnum::ProcessStart, [u64::from(pid), 0, 0]).map(drop)
}

/// Ends a process as a signal would.
pub fn process_kill(pid: u32, signal: u32) -> Result<(), Error> {
    call(Sysnum::ProcessKill, [u64::from(pid), u64::from(signal), 0]).map(drop)
}

/// Gives a process a priority.
pub fn process_priority(pid: u32, priority: u32) -> Result<(), Error> {
    call(Sysnum::ProcessPriority, [u64::from(pid), u64::from(priority), 0]).map(drop)
}

/// Moves a process to a CPU.
pub fn process_move(pid: u32, cpu: u32) -> Result<(), Error> {
    call(Sysnum::ProcessMove, [u64::from(pid), u64::from(cpu), 0]).map(drop)
}

/// The processes from id `from_pid` on, as many as `out` holds.
pub fn process_list(out: &mut [ProcessInfo], from_pid: u32) -> Result<&[ProcessInfo], Error> {
    let args = [out.as_mut_ptr() as u64, size_of_val(out) as u64, u64::from(from_pid)];
    // SAFETY: the kernel fills at most the bytes of `out`.
    let bytes = check(unsafe { syscall(Sysnum::ProcessList, args) })?;
    Ok(&out[..bytes as usize / size_of::<ProcessInfo>()])
}

/// The next exit notice of a server, if there is one.
pub fn process_ended() -> Result<Option<ExitNotice>, Error> {
    let mut end = ExitNotice::new_zeroed();
    // SAFETY: the kernel fills `end`.
    match check(unsafe { syscall(Sysnum::ExitNoticeTake, [&raw mut end as u64, 0, 0]) }) {
        Ok(_) => Ok(Some(end)),
        Err(Error::Again) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes an endpoint without a receiver.
pub fn endpoint_create() -> Result<Handle, Error> {
    let number = call(Sysnum::EndpointCreate, [0; 3])?;
    Handle::new(number).ok_or(Error::BadHandle)
}

/// Has process `pid` receive at an endpoint; its generation.
pub fn endpoint_bind(endpoint: Handle, pid: u32) -> Result<u32, Error> {
    call(Sysnum::EndpointBind, [endpoint.number(), u64::from(pid), 0])
        .map(|generation| generation as u32)
}

/// Ends an endpoint for good.
pub fn endpoint_close(endpoint: Handle) -> Result<(), Error> {
    call(Sysnum::EndpointClose, [endpoint.number(), 0, 0]).map(drop)
}

/// Gives process `pid` a handle; messages through it come with `badge`. Returns its number there.
pub fn handle_grant(pid: u32, handle: Handle, badge: u64) -> Result<u64, Error> {
    call(Sysnum::HandleGrant, [u64::from(pid), handle.number(), badge])
}

/// Device number `index` of the partition, if it has so many.
pub fn device_get(index: usize) -> Result<Option<BootDevice>, Error> {
    let mut device = BootDevice::new_zeroed();
    // SAFETY: the kernel fills `device`.
    match check(unsafe { syscall(Sysnum::DeviceGet, [index as u64, &raw mut device as u64, 0]) }) {
        Ok(_) => Ok(Some(device)),
        Err(Error::NoDevice) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Grants what `grant` says of a device to process `pid`.
pub fn device_grant(pid: u32, grant: &DeviceGrant) -> Result<(), Error> {
    // SAFETY: the kernel reads `grant`.
    check(unsafe { syscall(Sysnum::DeviceGrant, [u64::from(pid), &raw const *grant as u64, 0]) })
        .map(drop)
}

/// Fails on purpose: a CPU, or a process at system call number `calls` from now on.
pub fn fault_inject(kind: Injection, target: u32, calls: u32) -> Result<(), Error> {
    call(Sysnum::FaultInject, [kind.into(), target, calls].map(u64::from)).map(drop)
}
