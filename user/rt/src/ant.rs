//! AnT's own system calls.

use ant_abi::Error;
use ant_abi::syscall::{
    FAULT_INJECT, LCA_GET, LINUX_CALL, LOG_WRITE, LOG_WRITE_MAX, LcaGrant, PROCESS_CREATE,
    PROCESS_EXIT, PROCESS_KILL, PROCESS_LIST, PROCESS_START, PROCESS_YIELD, ProcessCreate,
    ProcessInfo, SYSTEM_INFO, SystemInfo,
};
use zerocopy::FromZeros;

use crate::raw::syscall;

fn check(result: i64) -> Result<u64, Error> {
    // The kernel has only the errors of the list; anything else would be a newer kernel's.
    u64::try_from(result).map_err(|_| Error::from_return(result).unwrap_or(Error::Invalid))
}

/// Ends the program.
pub fn process_exit(status: i32) -> ! {
    loop {
        // SAFETY: passes no address.
        unsafe { syscall(PROCESS_EXIT, [status as u64, 0, 0]) };
    }
}

/// Lets other processes of the core run.
pub fn process_yield() {
    // SAFETY: passes no address.
    unsafe { syscall(PROCESS_YIELD, [0; 3]) };
}

/// Writes into the kernel log; what is longer than `LOG_WRITE_MAX` bytes is cut.
pub fn log_write(text: &str) {
    let len = text.floor_char_boundary(LOG_WRITE_MAX);
    // SAFETY: the kernel reads `len` bytes of `text`.
    unsafe { syscall(LOG_WRITE, [text.as_ptr() as u64, len as u64, 0]) };
}

/// The LCA of this process.
pub fn lca_get() -> Result<LcaGrant, Error> {
    let mut grant = LcaGrant::new_zeroed();
    // SAFETY: the kernel fills `grant`.
    check(unsafe { syscall(LCA_GET, [&raw mut grant as u64, 0, 0]) })?;
    Ok(grant)
}

/// About the machine and this process.
pub fn system_info() -> Result<SystemInfo, Error> {
    let mut info = SystemInfo::new_zeroed();
    // SAFETY: the kernel fills `info`.
    check(unsafe { syscall(SYSTEM_INFO, [&raw mut info as u64, 0, 0]) })?;
    Ok(info)
}

/// Sends the LCA at real address `raddr` to Linux and waits until it is back (paper, table 4).
/// Most programs want [`crate::linux`], which fills the LCA.
pub fn linux_call(raddr: u64) -> Result<(), Error> {
    // SAFETY: the kernel checks `raddr`; Linux writes nothing but the LCA.
    check(unsafe { syscall(LINUX_CALL, [raddr, 0, 0]) }).map(|_| ())
}

/// `init` only: makes a process; `strings` are its path, whose length with NUL is in `request`,
/// and its arguments, each ended by NUL.
pub fn process_create(request: &mut ProcessCreate, strings: &[u8]) -> Result<(), Error> {
    let args = [&raw mut *request as u64, strings.as_ptr() as u64, strings.len() as u64];
    // SAFETY: the kernel reads `strings` and reads and fills `request`.
    check(unsafe { syscall(PROCESS_CREATE, args) }).map(|_| ())
}

/// `init` only: lets a process run.
pub fn process_start(pid: u32) -> Result<(), Error> {
    // SAFETY: passes no address.
    check(unsafe { syscall(PROCESS_START, [u64::from(pid), 0, 0]) }).map(|_| ())
}

/// `init` only: ends a process as a signal would.
pub fn process_kill(pid: u32, signal: u32) -> Result<(), Error> {
    // SAFETY: passes no address.
    check(unsafe { syscall(PROCESS_KILL, [u64::from(pid), u64::from(signal), 0]) }).map(|_| ())
}

/// `init` only: the processes from id `from_pid` on, as many as `out` holds.
pub fn process_list(out: &mut [ProcessInfo], from_pid: u32) -> Result<&[ProcessInfo], Error> {
    let args = [out.as_mut_ptr() as u64, size_of_val(out) as u64, u64::from(from_pid)];
    // SAFETY: the kernel fills at most the bytes of `out`.
    let bytes = check(unsafe { syscall(PROCESS_LIST, args) })?;
    Ok(&out[..bytes as usize / size_of::<ProcessInfo>()])
}

/// `init` only: fails on purpose.
pub fn fault_inject(kind: u32, core: u32) -> Result<(), Error> {
    // SAFETY: passes no address; what it breaks is AnT as a whole, on purpose.
    check(unsafe { syscall(FAULT_INJECT, [u64::from(kind), u64::from(core), 0]) }).map(|_| ())
}
