//! Linux's system calls, carried to Linux by `linux_call`.
//!
//! [`call`] takes any that the table of `ant-logic` knows; the rest are what programs ask for most.

use core::ffi::CStr;
use core::fmt;
use core::mem::offset_of;

use ant_abi::Error;
use ant_abi::lca::{CFLAG_CONTINUE, CFLAG_TRACE, STEP_AP_CALLS, STEP_AP_RESUMES, STEPS, Stamp};
use ant_abi::syscall::Sysnum;
use ant_logic::calls::nr;
use ant_logic::lca::encode;
use linux_raw_sys::{errno, general};
use zerocopy::FromZeros;

use crate::raw::{self, OwnMemory};

/// An error number of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// Nothing is there yet.
    pub const AGAIN: Errno = Errno(errno::EAGAIN as i32);
    /// The protocol is violated.
    pub const PROTO: Errno = Errno(errno::EPROTO as i32);

    /// What Linux calls it, for the errors that programs meet most.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 as u32 {
            errno::EPERM => "Operation not permitted",
            errno::ENOENT => "No such file or directory",
            errno::EIO => "Input/output error",
            errno::EBADF => "Bad file descriptor",
            errno::EACCES => "Permission denied",
            errno::EFAULT => "Bad address",
            errno::EEXIST => "File exists",
            errno::ENOTDIR => "Not a directory",
            errno::EISDIR => "Is a directory",
            errno::EINVAL => "Invalid argument",
            errno::ENOSPC => "No space left on device",
            errno::EROFS => "Read-only file system",
            errno::EPIPE => "Broken pipe",
            errno::ENAMETOOLONG => "File name too long",
            errno::ENOSYS => "Function not implemented",
            _ => return None,
        })
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Error {}", self.0),
        }
    }
}

impl From<Error> for Errno {
    fn from(error: Error) -> Self {
        Errno(error as i32)
    }
}

/// Result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// `openat`'s directory: the current one.
pub const AT_FDCWD: i32 = general::AT_FDCWD;
/// Open for reading.
pub const O_RDONLY: i32 = general::O_RDONLY as i32;
/// Open for writing.
pub const O_WRONLY: i32 = general::O_WRONLY as i32;
/// Open for reading and writing.
pub const O_RDWR: i32 = general::O_RDWR as i32;
/// Create the file if it is not there.
pub const O_CREAT: i32 = general::O_CREAT as i32;
/// Empty the file first.
pub const O_TRUNC: i32 = general::O_TRUNC as i32;

/// Any system call of the table, with `cflag` bits (`ant_abi::lca::CFLAG_*`).
///
/// # Safety
/// Arguments that the table calls addresses must be valid for what the call does with them.
pub unsafe fn call(number: u64, args: [u64; 6], cflag: u32) -> Result<u64> {
    raw::find_lca()?;
    let plan = raw::with_lca(|lca| {
        lca.cflag = cflag;
        encode(number, args, &OwnMemory, lca)
    });
    let plan = match plan {
        Ok(plan) => plan,
        Err(Error::NoSystemCall) => return Err(unknown(number)),
        Err(error) => return Err(error.into()),
    };
    raw::with_lca(|lca| stamp(&mut lca.stamps[STEP_AP_CALLS], cflag));
    crate::ant::linux_call(raw::lca_raddr())?;
    raw::with_lca(|lca| {
        stamp(&mut lca.stamps[STEP_AP_RESUMES], cflag);
        plan.finish(lca.retval, lca, &mut OwnMemory)?;
        ant_logic::lca::result(lca.retval).map_err(Errno)
    })
}

fn stamp(stamp: &mut Stamp, cflag: u32) {
    if cflag & CFLAG_TRACE != 0 {
        // The kernel's stamps say which CPU and process it is.
        stamp.tsc = crate::time::cycles();
    }
}

/// Has the kernel log, once, that nothing can carry this call.
fn unknown(number: u64) -> Errno {
    // SAFETY: passes no address.
    unsafe { raw::syscall(Sysnum::ReportEnosys, [number, 0, 0]) };
    Error::NoSystemCall.into()
}

/// A continued call, the usual kind.
///
/// # Safety
/// As [`call`].
unsafe fn continued<const N: usize>(number: u64, args: [u64; N]) -> Result<u64> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&args);
    // SAFETY: the caller's promise.
    unsafe { call(number, all, CFLAG_CONTINUE) }
}

/// Any system call that takes no address; the kernel of AnT logs it if it cannot be carried.
pub fn call_of_values(number: u64, args: [u64; 6]) -> Result<u64> {
    let takes_addresses = |call: &ant_logic::calls::Call| {
        call.args.iter().any(|place| !matches!(place, ant_logic::calls::ArgKind::Value))
    };
    if ant_logic::calls::find(number).is_some_and(takes_addresses) {
        return Err(Error::Fault.into());
    }
    // SAFETY: no argument is an address.
    unsafe { call(number, args, CFLAG_CONTINUE) }
}

/// Opens a file; the descriptor is the proxy's.
pub fn open(path: &CStr, flags: i32, mode: u32) -> Result<i32> {
    let args = [AT_FDCWD as u64, path.as_ptr() as u64, flags as u64, u64::from(mode)];
    // SAFETY: `path` ends with NUL.
    unsafe { continued(nr::OPENAT, args) }.map(|fd| fd as i32)
}

/// Closes a descriptor.
pub fn close(fd: i32) -> Result<()> {
    // SAFETY: no address.
    unsafe { continued(nr::CLOSE, [fd as u64]) }.map(drop)
}

/// Reads into `out`; how many bytes it was, 0 at the end.
pub fn read(fd: i32, out: &mut [u8]) -> Result<usize> {
    let args = [fd as u64, out.as_mut_ptr() as u64, out.len() as u64];
    // SAFETY: `out` is writable for its length.
    unsafe { continued(nr::READ, args) }.map(|count| count as usize)
}

/// Writes some of `data`; how many bytes it was.
pub fn write(fd: i32, data: &[u8]) -> Result<usize> {
    let args = [fd as u64, data.as_ptr() as u64, data.len() as u64];
    // SAFETY: `data` is readable for its length.
    unsafe { continued(nr::WRITE, args) }.map(|count| count as usize)
}

/// Writes all of `data`.
pub fn write_all(fd: i32, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let written = write(fd, data)?;
        if written == 0 {
            return Err(Error::Io.into());
        }
        data = &data[written..];
    }
    Ok(())
}

/// What `stat` tells of a file, as far as programs here ask.
#[derive(Clone, Copy, Debug)]
pub struct Stat {
    /// Kind and permissions.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
}

impl Stat {
    /// Whether it is an ordinary file.
    pub fn is_file(&self) -> bool {
        self.mode & general::S_IFMT == general::S_IFREG
    }
}

/// Bytes of Linux's `struct stat`, and where the fields are.
const STAT_LEN: usize = size_of::<general::stat>();
const STAT_MODE: usize = offset_of!(general::stat, st_mode);
const STAT_SIZE: usize = offset_of!(general::stat, st_size);

impl From<[u8; STAT_LEN]> for Stat {
    fn from(stat: [u8; STAT_LEN]) -> Self {
        let mode = stat[STAT_MODE..].first_chunk().expect("inside");
        let size = stat[STAT_SIZE..].first_chunk().expect("inside");
        Stat { mode: u32::from_le_bytes(*mode), size: u64::from_le_bytes(*size) }
    }
}

/// About the file at a path.
pub fn stat(path: &CStr) -> Result<Stat> {
    let mut stat = [0; STAT_LEN];
    // SAFETY: `path` ends with NUL, `stat` has the size that Linux fills.
    unsafe { continued(nr::STAT, [path.as_ptr() as u64, stat.as_mut_ptr() as u64]) }?;
    Ok(stat.into())
}

/// About the file behind a descriptor.
pub fn fstat(fd: i32) -> Result<Stat> {
    let mut stat = [0; STAT_LEN];
    // SAFETY: `stat` has the size that Linux fills.
    unsafe { continued(nr::FSTAT, [fd as u64, stat.as_mut_ptr() as u64]) }?;
    Ok(stat.into())
}

/// Process id of the proxy, which is what Linux takes this program for.
pub fn getpid() -> Result<u32> {
    // SAFETY: no address.
    unsafe { continued::<0>(nr::GETPID, []) }.map(|pid| pid as u32)
}

/// `getpid` without continuation: a proxy is made for this call, and ends with it (paper 3.3.2).
pub fn getpid_once() -> Result<u32> {
    // SAFETY: no address.
    unsafe { call(nr::GETPID, [0; 6], 0) }.map(|pid| pid as u32)
}

/// `getpid`, and when and where each step of it was taken; see `ant_abi::lca::STEP_*`.
pub fn getpid_traced() -> Result<[Stamp; STEPS]> {
    raw::find_lca()?;
    raw::with_lca(|lca| lca.stamps = [Stamp::new_zeroed(); STEPS]);
    // SAFETY: no address.
    unsafe { call(nr::GETPID, [0; 6], CFLAG_CONTINUE | CFLAG_TRACE) }?;
    Ok(raw::with_lca(|lca| lca.stamps))
}
