//! AnT's own system calls.
//!
//! `syscall` with the number in `rax`, arguments in `rdi`, `rsi`, `rdx`, result in `rax` (negative:
//! `Error`). Numbers begin above Linux's, so that Linux's own numbers stay free for programs that
//! issue them directly.

/// Sends the request in the caller's LCA at real address `rdi` to Linux and blocks until its result
/// is there (paper table 4). 0, or an error if nothing was sent.
pub const LINUX_CALL: u64 = 0x1000;
/// Ends the caller with exit status `rdi`. Does not return.
pub const PROCESS_EXIT: u64 = 0x1001;
/// Lets other processes of the CPU run.
pub const PROCESS_YIELD: u64 = 0x1002;
/// Writes `rsi` bytes (at most `LOG_WRITE_MAX`) at `rdi` into the kernel log.
pub const LOG_WRITE: u64 = 0x1003;
/// Fills the `LcaGrant` at `rdi`: the caller's LCA.
pub const LCA_GET: u64 = 0x1004;
/// Fills the `SystemInfo` at `rdi`.
pub const SYSTEM_INFO: u64 = 0x1005;
/// Says that Linux system call `rdi` cannot be carried: logged once per number, `-ENOSYS`.
pub const REPORT_ENOSYS: u64 = 0x1006;

/// `init` only: makes a process from the `ProcessCreate` at `rdi` with the `rdx` bytes at `rsi`
/// (path, which is argument 0, then the other arguments, each ended by NUL); it does not run yet.
/// Returns 0 and fills the out fields.
pub const PROCESS_CREATE: u64 = 0x1010;
/// `init` only: lets process `rdi` run.
pub const PROCESS_START: u64 = 0x1011;
/// `init` only: ends process `rdi` as signal `rsi` would.
pub const PROCESS_KILL: u64 = 0x1012;
/// `init` only: fills up to `rsi` bytes at `rdi` with the `ProcessInfo`s of processes from id `rdx`
/// on, in the order of their ids; returns how many bytes.
pub const PROCESS_LIST: u64 = 0x1013;
/// `init` only, if the partition allows it: fails on purpose in the way `rdi` (`INJECT_*`): CPU `rsi`
/// does at once, or process `rsi` (0: the server that is made next) at its system call number `rdx`
/// from now on, 1 being the next. `NoSystemCall`: this kernel was built without fault injection;
/// `Invalid`: there is no such way.
pub const FAULT_INJECT: u64 = 0x1014;

/// Most bytes of one `LOG_WRITE`.
pub const LOG_WRITE_MAX: usize = 400;
/// Longest program name that `ProcessInfo` holds.
pub const NAME_LEN: usize = 24;
/// `ProcessCreate::cpu`: the m-kernel chooses.
pub const ANY_CPU: u32 = u32::MAX;

/// The kernel panics.
pub const INJECT_PANIC: u32 = 0;
/// The CPU spins with interrupts off.
pub const INJECT_HANG: u32 = 1;
/// The CPU puts an address outside the partition into its request store.
pub const INJECT_BAD_RADDR: u32 = 2;
/// The process is ended in place of the system call, as by SIGKILL.
pub const INJECT_END: u32 = 3;
/// The process is ended as soon as the system call has been served: where it waits, if it waits.
pub const INJECT_END_AFTER: u32 = 4;
/// The process runs into a page fault in place of the system call.
pub const INJECT_FAULT: u32 = 5;
/// The process makes the system call again and again, and none is served.
pub const INJECT_LOOP: u32 = 6;

/// `ProcessInfo::state`: made, not started.
pub const STATE_CREATED: u32 = 0;
/// `ProcessInfo::state`: its program is being read.
pub const STATE_LOADING: u32 = 1;
/// `ProcessInfo::state`: wants the CPU.
pub const STATE_READY: u32 = 2;
/// `ProcessInfo::state`: has the CPU.
pub const STATE_RUNNING: u32 = 3;
/// `ProcessInfo::state`: waits for Linux.
pub const STATE_IN_CALL: u32 = 4;
/// `ProcessInfo::state`: over; others have yet to let go of its pages.
pub const STATE_EXITING: u32 = 5;
/// `ProcessInfo::state`: waits for a message.
pub const STATE_RECEIVING: u32 = 6;
/// `ProcessInfo::state`: waits for a reply.
pub const STATE_CALLING: u32 = 7;
/// `ProcessInfo::state`: waits for the m-kernel.
pub const STATE_IN_M_CALL: u32 = 8;
/// `ProcessInfo::state`: sleeps.
pub const STATE_SLEEPING: u32 = 9;

/// `ProcessInfo::kind`: a program that somebody on Linux runs.
pub const PROCESS_PROGRAM: u32 = 0;
/// `ProcessInfo::kind`: an OS server.
pub const PROCESS_SERVER: u32 = 1;

abi_struct! {
    /// The LCA of a process. Filled by the kernel.
    pub struct LcaGrant {
        /// Where it is mapped in the process, in the ICA.
        pub virt: u64,
        /// Its real address, for `LINUX_CALL`.
        pub raddr: u64,
    }

    /// About the machine and the caller. Filled by the kernel.
    pub struct SystemInfo {
        /// Frequency of the time-stamp counter in kHz.
        pub tsc_khz: u32,
        /// CPUs of the partition.
        pub cpus: u32,
        /// Index of the CPU that the caller runs on.
        pub cpu: u32,
        /// Linux's number of that CPU.
        pub linux_cpu: u32,
        /// The caller's process id.
        pub pid: u32,
        /// `REVISION` of the kernel.
        pub revision: u32,
    }

    /// Argument of `PROCESS_CREATE`.
    pub struct ProcessCreate {
        /// In: index of the CPU it shall run on, or `ANY_CPU`.
        pub cpu: u32,
        /// In: bytes of the path, with its NUL; the arguments follow it.
        pub path_len: u32,
        /// Out: id of the process.
        pub pid: u32,
        /// Out: index of the CPU it will run on.
        pub placed: u32,
        /// Out: its LCA with the generation (`StoreEntry` of kind call).
        pub lca: u64,
    }

    /// One line of `ps`.
    pub struct ProcessInfo {
        /// Id.
        pub pid: u32,
        /// Index of its CPU.
        pub cpu: u32,
        /// One of `STATE_*`.
        pub state: u32,
        /// Pages of memory that it has, page tables and ICA pages that it was lent included.
        pub pages: u32,
        /// Its own priority.
        pub priority: u32,
        /// One of `PROCESS_*`: program or server.
        pub kind: u32,
        /// Linux system calls it has made.
        pub calls: u64,
        /// Name of its program, padded with NULs.
        pub name: [u8; NAME_LEN],
    }
}
