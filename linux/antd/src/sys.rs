//! The one room with `unsafe`: what Linux offers and no safe crate does.
//!
//! Fork, a raw system call, descriptors that arrive as numbers, who the peer of a socket is,
//! capabilities and limits. No policy.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::unistd::{ForkResult, Pid};
use serde::{Deserialize, Serialize};

/// Exit status of a child whose code panicked.
pub const CHILD_PANICKED: i32 = 101;

/// Forks a child that runs `child` and exits with what that returns. Nothing of the parent is
/// dropped in the child, not even if `child` panics.
///
/// Call it from a process with one thread.
///
/// # Errors
///
/// No memory, or too many processes.
pub fn fork_child(child: impl FnOnce() -> i32) -> Result<Pid, Errno> {
    // SAFETY: the process has one thread (the daemon makes none), so no lock is held by a thread
    // that the child lacks, and the child may do anything.
    match unsafe { nix::unistd::fork()? } {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let status = catch_unwind(AssertUnwindSafe(child)).unwrap_or(CHILD_PANICKED);
            // SAFETY: `_exit` has no precondition; no handler of the parent runs.
            unsafe { libc::_exit(status) }
        }
    }
}

/// Issues a system call as it is. Its result, or its error number negated.
///
/// # Safety
///
/// The call may do anything to this process. Only a proxy may do that, which holds nothing but
/// what its AP process may have.
#[must_use]
pub unsafe fn system_call(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the x86-64 system call convention: number in rax, arguments in these registers, rcx
    // and r11 destroyed. What the call does to memory is the caller's to answer for.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Executes an AP process's system call in its proxy.
#[must_use]
pub fn execute(number: u64, args: [u64; 6]) -> i64 {
    // SAFETY: this process is a proxy: it has the user's rights, and nobody but the AP process
    // whose call this is depends on its memory.
    unsafe { system_call(number, args) }
}

/// The time-stamp counter.
#[must_use]
pub fn time_stamp() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and Linux lets programs use it.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Takes a descriptor that the kernel has just made for this process.
pub fn adopt(number: RawFd) -> OwnedFd {
    // SAFETY: every caller has the number from a system call that has just made it, and drops it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Closes every descriptor but those.
pub fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 0;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: called in a fresh child only, in which nobody uses the numbers of the parent.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
}

/// Default disposition of every signal, none blocked.
pub fn reset_signals() {
    // What the kernel has: handler, flags, restorer, mask. All zero is the default disposition.
    let default = [0u64; 4];
    for signal in 1..=64 {
        // The call itself, for the C library keeps two signals to itself, which whoever started
        // the daemon may have left ignored. SIGKILL and SIGSTOP are refused.
        // SAFETY: the kernel reads four words at the pointer; no code of ours is to run.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            )
        };
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Default disposition of SIGCHLD: who starts a program may have had it ignored, and then children
/// cannot be waited for.
pub fn default_child_signal() {
    // SAFETY: the default disposition runs no code of ours.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// A descriptor that becomes readable when the child ends.
///
/// # Errors
///
/// Too many open files.
pub fn child_descriptor(pid: Pid) -> Result<OwnedFd, Errno> {
    // SAFETY: no pointers; the result is checked before it is taken.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    Ok(adopt(Errno::result(fd)? as RawFd))
}

/// Supplementary groups of the process at the other end of a Unix socket.
///
/// # Errors
///
/// Not such a socket.
pub fn peer_groups(socket: impl AsFd) -> Result<Vec<u32>, Errno> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut len = (groups.len() * 4) as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` bytes at the pointer, which has that many.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        match Errno::result(result) {
            Ok(_) => {
                groups.truncate(len as usize / 4);
                return Ok(groups);
            }
            // The kernel has said how much room it needs.
            Err(Errno::ERANGE) if len as usize > groups.len() * 4 => {
                groups.resize(len as usize / 4, 0);
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Number of resource limits.
pub const LIMITS: usize = 16;

/// Soft and hard limit of each resource, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits(pub [[u64; 2]; LIMITS]);

/// The resource limits of a process.
///
/// # Errors
///
/// It is gone, or not ours to ask.
pub fn limits_of(pid: i32) -> Result<Limits, Errno> {
    let mut limits = Limits([[0; 2]; LIMITS]);
    for (resource, limit) in limits.0.iter_mut().enumerate() {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: nothing is set; the kernel writes one structure at the pointer.
        let result = unsafe { prlimit(pid, resource, std::ptr::null(), &raw mut old) };
        Errno::result(result)?;
        *limit = [old.rlim_cur, old.rlim_max];
    }
    Ok(limits)
}

/// Sets the resource limits of this process.
///
/// # Errors
///
/// More than it may have.
pub fn set_limits(limits: &Limits) -> Result<(), Errno> {
    for (resource, &[rlim_cur, rlim_max]) in limits.0.iter().enumerate() {
        let new = libc::rlimit { rlim_cur, rlim_max };
        // SAFETY: the kernel reads one structure at the pointer and writes none.
        Errno::result(unsafe { prlimit(0, resource, &raw const new, std::ptr::null_mut()) })?;
    }
    Ok(())
}

/// # Safety
///
/// As for `prlimit(2)`: each pointer is NULL or points to a structure.
unsafe fn prlimit(
    pid: i32,
    resource: usize,
    new: *const libc::rlimit,
    old: *mut libc::rlimit,
) -> libc::c_long {
    // SAFETY: the caller's. The call itself, for the type of `resource` differs between libraries.
    unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource as libc::c_long, new, old) }
}

/// Capabilities, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What it may do now.
    pub effective: u64,
    /// What it may let itself do.
    pub permitted: u64,
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
const CAP_VERSION: u32 = 0x2008_0522;

/// Leaves this process those of its capabilities that are in `allowed`, and none to inherit.
///
/// # Errors
///
/// The kernel does not know the interface.
pub fn reduce_capabilities(allowed: Capabilities) -> Result<(), Errno> {
    let header = CapHeader { version: CAP_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: of this version the kernel reads a header and writes two structures.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr())
    })?;
    for (word, data) in data.iter_mut().enumerate() {
        data.permitted &= (allowed.permitted >> (32 * word)) as u32;
        data.effective &= (allowed.effective >> (32 * word)) as u32 & data.permitted;
        data.inheritable = 0;
    }
    // SAFETY: as above; the kernel reads both.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) })
        .map(drop)
}
