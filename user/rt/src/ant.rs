//! AnT's own system calls that concern no other process.

use ant_abi::Error;
use ant_abi::syscall::{LOG_WRITE_MAX, LcaGrant, Sysnum, SystemInfo};
use zerocopy::FromZeros;

use crate::raw::syscall;

/// The result of a system call, as Rust has it.
#[inline]
pub(crate) fn check(result: i64) -> Result<u64, Error> {
    u64::try_from(result).map_err(|_| error(result))
}

/// A call without addresses among its arguments.
#[inline]
pub(crate) fn call(number: Sysnum, args: [u64; 3]) -> Result<u64, Error> {
    // SAFETY: passes no address.
    check(unsafe { syscall(number, args) })
}

#[cold]
fn error(result: i64) -> Error {
    // The kernel has only the errors of the list; anything else would be a newer kernel's.
    Error::from_return(result).unwrap_or(Error::Invalid)
}

/// Ends the program.
pub fn process_exit(status: i32) -> ! {
    loop {
        // SAFETY: passes no address.
        unsafe { syscall(Sysnum::ProcessExit, [status as u64, 0, 0]) };
    }
}

/// Lets other processes of the CPU run.
pub fn process_yield() {
    // SAFETY: passes no address.
    unsafe { syscall(Sysnum::ProcessYield, [0; 3]) };
}

/// Writes into the kernel log; what is longer than `LOG_WRITE_MAX` bytes is cut.
pub fn log_write(text: &str) {
    let len = text.floor_char_boundary(LOG_WRITE_MAX);
    // SAFETY: the kernel reads `len` bytes of `text`.
    unsafe { syscall(Sysnum::LogWrite, [text.as_ptr() as u64, len as u64, 0]) };
}

/// The LCA of a channel of this process; a program has one, 0.
pub fn lca_get(channel: usize) -> Result<LcaGrant, Error> {
    let mut grant = LcaGrant::new_zeroed();
    // SAFETY: the kernel fills `grant`.
    check(unsafe { syscall(Sysnum::LcaGet, [&raw mut grant as u64, channel as u64, 0]) })?;
    Ok(grant)
}

/// About the machine and this process.
pub fn system_info() -> Result<SystemInfo, Error> {
    let mut info = SystemInfo::new_zeroed();
    // SAFETY: the kernel fills `info`.
    check(unsafe { syscall(Sysnum::SystemInfo, [&raw mut info as u64, 0, 0]) })?;
    Ok(info)
}

/// Sends the LCA at real address `raddr` to Linux and waits until it is back (paper, table 4).
/// Most programs want [`crate::linux`], which fills the LCA.
pub fn linux_call(raddr: u64) -> Result<(), Error> {
    // SAFETY: the kernel checks `raddr`; Linux writes nothing but the LCA.
    check(unsafe { syscall(Sysnum::LinuxCall, [raddr, 0, 0]) }).map(drop)
}

/// As [`linux_call`], without waiting; `init` wants [`crate::channel`].
pub fn linux_call_async(raddr: u64) -> Result<(), Error> {
    // SAFETY: as in `linux_call`; the caller keeps off its LCA until it is back.
    check(unsafe { syscall(Sysnum::LinuxCallAsync, [raddr, 0, 0]) }).map(drop)
}

/// Lets `us` microseconds pass.
pub fn sleep_us(us: u64) {
    // SAFETY: passes no address.
    unsafe { syscall(Sysnum::Sleep, [us, 0, 0]) };
}
