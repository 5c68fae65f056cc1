//! The one module with `unsafe`: what Linux offers and rustix does not.
//!
//! Fork, a raw system call, signals as a descriptor, the peer of a socket, limits of another
//! process. No policy.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use linux_raw_sys::general::{
    __NR_close_range, __NR_getsockopt, __NR_prlimit64, __NR_rt_sigaction, __NR_rt_sigprocmask,
    __NR_signalfd4, SIG_BLOCK, SIG_SETMASK,
};
use linux_raw_sys::net::{SO_PEERCRED, SO_PEERGROUPS, SOL_SOCKET};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Exit status of a child after a panic of its code.
pub const CHILD_PANICKED: i32 = 101;

/// Signals have the numbers from 1 to this.
const SIGNALS: i32 = 64;

// The C library's: `fork` brings what it has cached about the process up to date in the child.
unsafe extern "C" {
    fn fork() -> c_int;
    safe fn _exit(status: c_int) -> !;
}

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
    let result = unsafe { fork() };
    if result == 0 {
        _exit(catch_unwind(AssertUnwindSafe(child)).unwrap_or(CHILD_PANICKED));
    }
    let failed = || Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::AGAIN);
    if result < 0 { Err(failed()) } else { Pid::from_raw(result).ok_or(Errno::AGAIN) }
}

/// Issues a system call as it is. Its result, or its error number negated.
///
/// # Safety
///
/// The call may do anything to this process: what it does must be sound here.
#[must_use]
pub unsafe fn system_call(number: u64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the x86-64 system call convention: number in rax, arguments in these registers, rcx
    // and r11 destroyed. The caller answers for what the call does to memory.
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

/// Executes a program's system call in its proxy.
#[must_use]
pub fn execute(number: u64, args: [u64; 6]) -> i64 {
    // SAFETY: this process is a proxy: it has the user's rights and nothing else, and only the
    // program that makes this call depends on its memory.
    unsafe { system_call(number, args) }
}

/// Issues a system call and checks its error number.
///
/// # Safety
///
/// As for [`system_call`].
unsafe fn checked_call(number: u32, args: [u64; 6]) -> Result<u64, Errno> {
    // SAFETY: the caller's.
    let result = unsafe { system_call(number.into(), args) };
    match result {
        -4095..0 => Err(Errno::from_raw_os_error(-result as i32)),
        _ => Ok(result as u64),
    }
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
    // SAFETY: called in a fresh child only, in which no descriptor of the parent's is used.
    let closed = unsafe { checked_call(__NR_close_range, [first.into(), last.into(), 0, 0, 0, 0]) };
    debug_assert!(closed.is_ok());
}

/// Default disposition of every signal, none blocked.
pub fn reset_signals() {
    // SIGKILL and SIGSTOP are refused, and have no other disposition anyway.
    (1..=SIGNALS).for_each(set_default_action);
    let _ = change_signal_mask(SIG_SETMASK, 0);
}

/// Default disposition of SIGCHLD: if the daemon inherits that it is ignored, its children cannot be
/// waited for.
pub fn default_child_signal() {
    set_default_action(Signal::CHILD.as_raw());
}

/// Sets a signal's default disposition. The kernel's own call, for the C library reserves two
/// signals, and these may be ignored by inheritance, too.
fn set_default_action(signal: i32) {
    // The kernel's structure: handler, flags, restorer, mask. All zero is the default disposition.
    let default = [0u64; 4];
    let args = [signal as u64, default.as_ptr() as u64, 0, size_of::<u64>() as u64, 0, 0];
    // SAFETY: the kernel reads four words at the pointer; no code of this program is to run.
    let _ = unsafe { checked_call(__NR_rt_sigaction, args) };
}

/// `how`: one of `SIG_*`. Bit `n - 1` of `mask` stands for signal `n`.
fn change_signal_mask(how: u32, mask: u64) -> Result<(), Errno> {
    let args = [how.into(), &raw const mask as u64, 0, size_of::<u64>() as u64, 0, 0];
    // SAFETY: the kernel reads one word at the pointer.
    unsafe { checked_call(__NR_rt_sigprocmask, args) }.map(drop)
}

/// Signals as a descriptor: readable when one has come.
#[derive(Debug)]
pub struct SignalFile(OwnedFd);

impl SignalFile {
    /// Blocks `signals`, and makes a descriptor for them.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new(signals: &[Signal]) -> Result<Self, Errno> {
        let mask = signals.iter().fold(0u64, |mask, signal| mask | 1 << (signal.as_raw() - 1));
        change_signal_mask(SIG_BLOCK, mask)?;
        let flags = (OFlags::CLOEXEC | OFlags::NONBLOCK).bits();
        let new_file = -1i64 as u64;
        let mask = &raw const mask as u64;
        let args = [new_file, mask, size_of::<u64>() as u64, flags.into(), 0, 0];
        // SAFETY: the kernel reads one word at the pointer, and makes a descriptor, which nothing
        // else knows.
        let file = unsafe {
            let number = checked_call(__NR_signalfd4, args)?;
            OwnedFd::from_raw_fd(number as RawFd)
        };
        Ok(Self(file))
    }

    /// Number of a signal that has come, if one has.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        // `struct signalfd_siginfo`, which begins with the signal's number.
        let mut info = [0u8; 128];
        let len = rustix::io::read(&self.0, &mut info).ok()?;
        let (number, _) = info[..len].split_first_chunk()?;
        Some(i32::from_ne_bytes(*number))
    }
}

impl AsFd for SignalFile {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Process, user and group at the other end of a Unix socket. The process is 0 if it has no number
/// in this PID namespace.
///
/// # Errors
///
/// Not such a socket.
pub fn peer_credentials(socket: impl AsFd) -> Result<[u32; 3], Errno> {
    let mut credentials = [0; 3];
    socket_option(&socket, SO_PEERCRED, &mut credentials).1.map(|()| credentials)
}

/// Supplementary groups of the process at the other end of a Unix socket.
///
/// # Errors
///
/// Not such a socket.
pub fn peer_groups(socket: impl AsFd) -> Result<Vec<u32>, Errno> {
    let mut groups = vec![0; 64];
    loop {
        match socket_option(&socket, SO_PEERGROUPS, &mut groups) {
            (count, Ok(())) => {
                groups.truncate(count);
                return Ok(groups);
            }
            // The kernel has said how much room it needs.
            (count, Err(Errno::RANGE)) if count > groups.len() => groups.resize(count, 0),
            (_, Err(errno)) => return Err(errno),
        }
    }
}

/// Reads a socket's option into `words`: how many it has, also on failure if the kernel says so.
fn socket_option(socket: &impl AsFd, option: u32, words: &mut [u32]) -> (usize, Result<(), Errno>) {
    let mut len = size_of_val(words) as u32;
    let fd = socket.as_fd().as_raw_fd() as u64;
    let (level, value) = (SOL_SOCKET.into(), words.as_mut_ptr() as u64);
    let args = [fd, level, option.into(), value, &raw mut len as u64, 0];
    // SAFETY: the kernel writes at most `len` bytes at `value`, which has that many, and `len`.
    let result = unsafe { checked_call(__NR_getsockopt, args) };
    (len as usize / size_of::<u32>(), result.map(drop))
}

/// Soft and hard limit of a resource of a process (0: this one), by the resource's number; `new`
/// replaces them.
///
/// # Errors
///
/// The process is gone, or may not be asked; or the new limit is more than it may have.
pub fn resource_limit(pid: i32, resource: usize, new: Option<[u64; 2]>) -> Result<[u64; 2], Errno> {
    let mut old = [0u64; 2];
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let args = [pid as u64, resource as u64, new as u64, &raw mut old as u64, 0, 0];
    // SAFETY: the kernel reads two words at `new` unless it is NULL, and writes two words at `old`.
    unsafe { checked_call(__NR_prlimit64, args) }.map(|_| old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_of_a_socket_is_this_process() {
        let (a, _b) = ant_protocol::packet::pair().unwrap();
        let [pid, uid, gid] = peer_credentials(&a).unwrap();
        assert_eq!(pid, std::process::id());
        assert_eq!(uid, rustix::process::getuid().as_raw());
        assert_eq!(gid, rustix::process::getgid().as_raw());
        let groups: Vec<u32> =
            rustix::process::getgroups().unwrap().iter().map(|group| group.as_raw()).collect();
        assert_eq!(peer_groups(&a).unwrap(), groups);
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(peer_credentials(&reader), Err(Errno::NOTSOCK));
    }

    #[test]
    fn limits_are_those_of_linux() {
        let nofile = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let [soft, hard] = resource_limit(0, 7, None).unwrap();
        assert_eq!((Some(soft), Some(hard)), (nofile.current, nofile.maximum));
        assert_eq!(resource_limit(0, 99, None), Err(Errno::INVAL));
    }
}
