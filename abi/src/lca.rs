//! The LCA, Linux system Call information Area (paper 4.1.1, table 3): one page that carries one
//! system call to Linux and its result back.
//!
//! It describes itself: each argument says whether it is a value or points into `buffer`, and
//! pointers inside the buffer are listed as relocations. So the proxy rebuilds and executes a call
//! without knowing any system call. Encoding and decoding are in `ant-logic::lca`.
//!
//! # Life of a call
//!
//! 1. The process fills its LCA and calls `LINUX_CALL`. The AnT kernel fills `cid`, puts a
//!    [`StoreEntry`](crate::store::StoreEntry) into the CPU's request store and rings the doorbell
//!    at `CpuControl::route`.
//! 2. The module's interrupt handler takes the entries of that CPU's request store and hands each to
//!    the file that its channel is bound to (`ANT_BIND`); what can be no channel's is refused and counted.
//! 3. `ANT_GET` on that file gives the entry to the parent, `antd`, which looks it up in its table
//!    raddr → proxy. An LCA without a proxy gets one, forked or kept ready; a proxy that is there is woken.
//! 4. The proxy (its own `/dev/ant` file, bound by `ANT_BIND` before it drops privileges, and `mmap` at
//!    offset raddr) copies the LCA's head, validates it, rebuilds the arguments, executes the call,
//!    writes `retval`.
//! 5. `ANT_RET`: the module puts the entry into CPU `cid`'s return store and rings that CPU. It
//!    does so once for each request that `ANT_GET` gave out, and only to the CPU that sent it, so a
//!    file in other hands can interrupt no other CPU. With `CFLAG_CONTINUE` the proxy then waits for
//!    the next call; without, it unmaps the page and exits, and the page is released.
//! 6. The CPU drains its return store and wakes the process that waits for that raddr.
//!
//! How Linux lets go of the page is in [`store`](crate::store); the states of the protocol are in
//! `ant-logic::channel`.
//!
//! # Exit
//!
//! When a process ends (exit, fault, kill, failed load), AnT sends `SYSCALL_EXIT` through its LCA,
//! without `CFLAG_CONTINUE`. The proxy tells its parent the exit reason and exits; there is no `ANT_RET`:
//! the parent closes the channel, which completes the exit on both sides. So a process always gets its
//! page back by a close, and no end waits for ever. Its IPC ends before: each process that waits
//! for it gets a result, pages that it lent come home. A process that ends while a call is with Linux
//! ends when that call comes back, or when its channel is closed.
//!
//! Servers have no LCA; `init` has two ([`control`](crate::control)).

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::PAGE_SIZE;

/// Arguments of a system call.
pub const ARGS: usize = 6;
/// Relocations of one call.
pub const RELOCATIONS: usize = 16;
/// Steps of a call that are stamped when it is traced.
pub const STEPS: usize = 10;
/// Bytes before `buffer`.
pub const LCA_HEADER: usize = 512;
/// Bytes of `buffer`.
pub const LCA_BUFFER: usize = PAGE_SIZE - LCA_HEADER;

/// `Lca::cflag`: the proxy stays for the next call (paper 3.3.3).
pub const CFLAG_CONTINUE: u32 = 1 << 0;
/// `Lca::cflag`: each party stamps its step of the call.
pub const CFLAG_TRACE: u32 = 1 << 1;

/// `Arg::kind`: `value` is the argument.
pub const ARG_VALUE: u8 = 0;
/// `Arg::kind`: the argument points to `buffer[value .. value + len]`.
pub const ARG_BUFFER: u8 = 1;
/// `Arg::kind`: the argument is a page loan. Reserved; refused with `-ENOSYS` today.
pub const ARG_LOAN: u8 = 2;

/// `Lca::syscallno` of the notice that ends a process. Not a system call: the proxy reports it
/// and exits. Arguments: 0 = an [`ExitKind`] (value), 1 = the number that goes with it
/// (value), 2 = text for people (buffer, UTF-8).
pub const SYSCALL_EXIT: u64 = u64::MAX;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u64)]
pub enum ExitKind {
    /// It exited; the number is its exit status.
    Exited = 0,
    /// It was ended by a fault; the number is the Linux signal that stands for it.
    Faulted = 1,
    /// It was killed; the number is the signal.
    Killed = 2,
    /// Its program could not be loaded; the number is an error number.
    LoadFailed = 3,
}

abi_struct! {
    /// One argument.
    pub struct Arg {
        /// One of `ARG_*`.
        pub kind: u8,
        /// Zero.
        pub reserved: [u8; 3],
        /// `ARG_BUFFER`: bytes that the call may read or write there. Else zero.
        pub len: u32,
        /// The value, or the offset into `buffer`.
        pub value: u64,
    }

    /// A pointer that lies inside the buffer: eight bytes at `at` that must point to
    /// `buffer[target .. target + len]`.
    pub struct Relocation {
        /// Offset into `buffer` of the pointer, a multiple of 8.
        pub at: u16,
        /// Offset into `buffer` of what it points to.
        pub target: u16,
        /// Bytes that the call may read or write there.
        pub len: u32,
    }

    /// When and where a step of a traced call happened.
    pub struct Stamp {
        /// Time-stamp counter, 0 if the step was not taken.
        pub tsc: u64,
        /// Linux's number of the CPU.
        pub cpu: u32,
        /// Process id: AnT's in AnT's steps, Linux's in Linux's steps, 0 for a kernel.
        pub pid: u32,
    }

    /// The page.
    pub struct Lca {
        /// CPU that the result goes back to: index of the process's CPU in the partition.
        /// Filled by the AnT kernel.
        pub cid: u32,
        /// `CFLAG_*`. Filled by the process.
        pub cflag: u32,
        /// Number of the Linux system call. Filled by the process.
        pub syscallno: u64,
        /// Its return value. Filled by the proxy.
        pub retval: i64,
        /// Relocations in use. Filled by the process.
        pub relocation_count: u32,
        /// Zero.
        pub reserved: u32,
        /// The arguments. Filled by the process.
        pub args: [Arg; ARGS],
        /// Pointers inside the buffer. Filled by the process.
        pub relocations: [Relocation; RELOCATIONS],
        /// Steps of a traced call, see `STEP_*`. Filled by the party that takes the step.
        pub stamps: [Stamp; STEPS],
        /// Zero.
        pub reserved_tail: [u64; 12],
        /// What the arguments point to.
        pub buffer: [u8; LCA_BUFFER],
    }
}

/// Step: the process has filled the LCA and traps into AnT (paper 4.3 (1)).
pub const STEP_AP_CALLS: usize = 0;
/// Step: the AnT kernel has put the address into the request store and rings Linux (2).
pub const STEP_ANT_RINGS: usize = 1;
/// Step: `ant.ko` takes the doorbell interrupt (2).
pub const STEP_LINUX_DOORBELL: usize = 2;
/// Step: the parent's `ANT_GET` returns the address (3).
pub const STEP_PARENT_GETS: usize = 3;
/// Step: the proxy is there, forked or woken (4).
pub const STEP_PROXY_WAKES: usize = 4;
/// Step: the proxy has the LCA mapped and the arguments rebuilt, and issues the call (5, 6).
pub const STEP_PROXY_EXECUTES: usize = 5;
/// Step: the call has returned in the proxy (6).
pub const STEP_PROXY_DONE: usize = 6;
/// Step: `ANT_RET`: `ant.ko` has put the address into the return store and rings AnT (7, 8).
pub const STEP_LINUX_RETURNS: usize = 7;
/// Step: the AnT kernel takes the address from the return store and wakes the process (9).
pub const STEP_ANT_WAKES: usize = 8;
/// Step: the process runs again and has its result (9).
pub const STEP_AP_RESUMES: usize = 9;

const _: () = assert!(core::mem::offset_of!(Lca, buffer) == LCA_HEADER);
const _: () = assert!(size_of::<Lca>() == PAGE_SIZE);

abi_constants!(
    ARGS,
    RELOCATIONS,
    STEPS,
    LCA_HEADER,
    LCA_BUFFER,
    CFLAG_CONTINUE,
    CFLAG_TRACE,
    STEP_LINUX_DOORBELL,
    STEP_PARENT_GETS,
    STEP_LINUX_RETURNS,
);
