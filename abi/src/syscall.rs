//! AnT's own system calls.
//!
//! `syscall` with the number in `rax`, arguments in `rdi`, `rsi`, `rdx`, result in `rax` (negative:
//! `Error`); those of IPC have more registers, see [`crate::ipc`]. Numbers begin above Linux's, so
//! that Linux's own numbers stay free for programs that issue them directly.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Number of a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u64)]
pub enum Sysnum {
    /// Sends the request in the caller's LCA at real address `rdi` to Linux and blocks until its result
    /// is there (paper table 4). 0, or an error if nothing was sent.
    LinuxCall = 0x1000,
    /// Ends the caller with exit status `rdi`. Does not return.
    ProcessExit = 0x1001,
    /// Lets other processes of the CPU run.
    ProcessYield = 0x1002,
    /// Writes `rsi` bytes (at most `LOG_WRITE_MAX`) at `rdi` into the kernel log.
    LogWrite = 0x1003,
    /// Fills the `LcaGrant` at `rdi`: the caller's LCA of channel `rsi`, 0 for a program's only one.
    LcaGet = 0x1004,
    /// Fills the `SystemInfo` at `rdi`.
    SystemInfo = 0x1005,
    /// Says that Linux system call `rdi` cannot be carried: logged once per number, `-ENOSYS`.
    ReportEnosys = 0x1006,

    /// `init` only: makes a process from the `ProcessCreate` at `rdi` with the `rdx` bytes at `rsi`
    /// (path, which is argument 0, the other arguments, the environment, each ended by NUL); it does not
    /// run yet. Returns 0 and fills the out fields.
    ProcessCreate = 0x1010,
    /// `init` only: lets process `rdi` run.
    ProcessStart = 0x1011,
    /// `init` only: ends process `rdi` as signal `rsi` would.
    ProcessKill = 0x1012,
    /// `init` only: fills up to `rsi` bytes at `rdi` with the `ProcessInfo`s of processes from id `rdx`
    /// on, in the order of their ids; returns how many bytes.
    ProcessList = 0x1013,
    /// `init` only, if the partition allows it: fails on purpose in the way `rdi` ([`Injection`]): CPU `rsi`
    /// does at once, or process `rsi` (0: the server that is made next) at its system call number `rdx`
    /// from now on, 1 being the next. `NoSystemCall`: this kernel was built without fault injection.
    FaultInject = 0x1014,

    /// Sends the message to the endpoint of handle `rdi`, and waits for the reply, at most `rsi`
    /// microseconds (`FOREVER`: as long as it takes); `rdx` = `CALL_ACROSS_RESTARTS` or 0. The message is the reply's
    /// then. Pages that were lent are back, whatever the result.
    ///
    /// `PeerRestarted`: the endpoint has had another generation since the handle was last used (`rsi` =
    /// the new one); the request was not served, or was being served when the server ended; the handle
    /// works again. `PeerGone`: the endpoint is closed. `TimedOut`: it was taken back. `Again`:
    /// the CPU there takes no messages at the moment. To take a request back, the CPU of the server has
    /// to answer: if that CPU hangs, the caller waits until it is back.
    IpcCall = 0x1020,
    /// Waits for a message at the caller's endpoint, at most `rsi` microseconds: notification bits and the
    /// most important of the others in turns, if there are both. `rdi` = a
    /// [`ReceivedKind`](crate::ipc::ReceivedKind),
    /// `rdx` = badge of the handle that it came through, `rsi` = token for the reply.
    IpcReceive = 0x1021,
    /// Replies with the message to the caller with token `rdi`. `NotWaiting`: no caller waits for that
    /// reply (already given, timed out, ended).
    IpcReply = 0x1022,
    /// `IpcReply`, then `IpcReceive`; a token for which no caller waits is no error here, and token 0
    /// means no reply.
    IpcReplyReceive = 0x1023,
    /// Puts the message into the queue of the endpoint of handle `rdi` and goes on. Messages of one sender
    /// and one priority come in their order, but for those that are unread or under way while the receiver
    /// moves to another CPU or is replaced. Its pages can be handed over or shared, not lent.
    ///
    /// It was not sent: `QueueFull`: `SENDS_MAX` wait there, or as many in all as there is room for. `Again`:
    /// no process receives there at the moment, or the CPU there takes no messages. `PeerRestarted` and
    /// `PeerGone` as of `IpcCall`.
    IpcSend = 0x1024,
    /// Raises the notification bits `rsi` at the endpoint of handle `rdi`. They wait until they are
    /// received, also for the next generation.
    IpcNotify = 0x1025,
    /// Does the `rsi` (at most `BATCH_MAX`) operations of the `IpcOperation`s at `rdi`, one after the
    /// other, and fills their results.
    IpcBatch = 0x1026,
    /// Closes handle `rdi`.
    HandleClose = 0x1027,
    /// Makes an endpoint at which the caller receives; returns a handle to it. `Busy`: it has one.
    /// `NoMemory`: programs have all that are theirs, or the caller has `HANDLES` handles.
    EndpointOpen = 0x1028,
    /// Takes `rdi` ICA pages (at most 1024), zeroed, next to each other; returns the number of the first.
    ///
    /// `OverQuota`: with them, more pages that the caller has taken were in use than it may take at a
    /// time (`ica_quota_program`, `ServerCreate::ica_pages`); one that it has given away counts until
    /// its new owner frees it. `NoMemory`: so many are not free, or kept for servers.
    IcaAlloc = 0x1029,
    /// Gives the span `rdi` of ICA pages back. `Again`: the m-kernel is too busy to take them.
    IcaFree = 0x102a,
    /// Sleeps for `rdi` microseconds.
    Sleep = 0x102b,
    /// Reads `rsi` (1, 2 or 4) bytes from I/O port `rdi`, which was granted; returns them.
    PortRead = 0x102c,
    /// Writes the low `rsi` (1, 2 or 4) bytes of `rdx` to I/O port `rdi`, which was granted.
    PortWrite = 0x102d,
    /// Like `LinuxCall`, but goes on at once: notification bit `NOTIFY_LINUX` says that the result is
    /// there. The caller needs an endpoint.
    LinuxCallAsync = 0x102e,

    /// `init` only: makes a server from the `ServerCreate` at `rdi` and the program of `rdx` bytes at
    /// `rsi`. Returns its process id; it does not run yet, `ProcessStart` starts it.
    ServerCreate = 0x1030,
    /// `init` only: makes an endpoint at which no process receives yet; returns a handle to it.
    EndpointCreate = 0x1031,
    /// `init` only: from now on process `rsi` receives at the endpoint of handle `rdi`; with `rsi` = 0
    /// none does, and callers wait. Returns the generation: the next one, if a process has received there
    /// before. After an error (`PeerGone`: it is closed; `NoProcess`: the process has ended; `Busy`: it
    /// receives elsewhere) all is as it was.
    EndpointBind = 0x1032,
    /// `init` only: ends the endpoint of handle `rdi`: callers that wait there get `PeerGone`.
    EndpointClose = 0x1033,
    /// `init` only: gives process `rdi`, which was not started yet, the caller's handle `rsi`, with badge
    /// `rdx` (32 bits); returns the
    /// number that it has there. Handles are numbered from 1 in the order in which they are given.
    HandleGrant = 0x1034,
    /// `init` only: gives process `rdi` priority `rsi`.
    ProcessPriority = 0x1035,
    /// `init` only: moves process `rdi` to CPU `rsi`, as soon as it has no call under way.
    ProcessMove = 0x1036,
    /// `init` only: grants to process `rdi` what the `DeviceGrant` at `rsi` says. `NoDevice`: it is of a
    /// device that the partition does not have; `Busy`: device memory, and the process runs elsewhere
    /// already; `NoMemory`: the process has as many ranges or interrupts as it can have.
    DeviceGrant = 0x1037,
    /// `init` only: fills the `ExitNotice` at `rdi`: the next server that has ended and was not yet
    /// told of. `Again`: none. Notification bit `NOTIFY_EXITED` says when to ask.
    ExitNoticeTake = 0x1038,
    /// `init` only: fills the `BootDevice` at `rsi`: device number `rdi` of the partition. `NoDevice`: it
    /// has fewer.
    DeviceGet = 0x1039,
}

/// What serves a system call, and for which callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The kernel of the caller's CPU, for every process.
    Local,
    /// The m-kernel, for every process.
    MKernel,
    /// The m-kernel, for `init` only.
    InitOnly,
}

impl Sysnum {
    /// What serves this call, and for which callers.
    #[must_use]
    pub const fn service(self) -> Service {
        match self {
            Self::LinuxCall
            | Self::ProcessExit
            | Self::ProcessYield
            | Self::LogWrite
            | Self::LcaGet
            | Self::SystemInfo
            | Self::ReportEnosys
            | Self::IpcCall
            | Self::IpcReceive
            | Self::IpcReply
            | Self::IpcReplyReceive
            | Self::IpcSend
            | Self::IpcNotify
            | Self::IpcBatch
            | Self::HandleClose
            | Self::IcaFree
            | Self::Sleep
            | Self::PortRead
            | Self::PortWrite
            | Self::LinuxCallAsync => Service::Local,
            Self::EndpointOpen | Self::IcaAlloc => Service::MKernel,
            Self::ProcessCreate
            | Self::ProcessStart
            | Self::ProcessKill
            | Self::ProcessList
            | Self::FaultInject
            | Self::ServerCreate
            | Self::EndpointCreate
            | Self::EndpointBind
            | Self::EndpointClose
            | Self::HandleGrant
            | Self::ProcessPriority
            | Self::ProcessMove
            | Self::DeviceGrant
            | Self::DeviceGet
            | Self::ExitNoticeTake => Service::InitOnly,
        }
    }
}

/// Most bytes of one `LogWrite`.
pub const LOG_WRITE_MAX: usize = 400;
/// Longest program name that `ProcessInfo` holds.
pub const NAME_LEN: usize = 24;
/// `ProcessCreate::cpu`: the m-kernel chooses.
pub const ANY_CPU: u32 = u32::MAX;

/// How a CPU or a process fails on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum Injection {
    /// The kernel panics.
    Panic = 0,
    /// The CPU spins with interrupts off.
    Hang = 1,
    /// The CPU puts an address outside the partition into its request store.
    BadRaddr = 2,
    /// The process is ended in place of the system call, as by SIGKILL.
    End = 3,
    /// The process is ended as soon as the system call has been served: where it waits, if it waits.
    EndAfter = 4,
    /// The process runs into a page fault in place of the system call.
    Fault = 5,
    /// The process makes the system call again and again, and none is served.
    Loop = 6,
}

impl Injection {
    /// Whether a CPU fails so, or else a process.
    #[must_use]
    pub const fn is_of_cpu(self) -> bool {
        matches!(self, Self::Panic | Self::Hang | Self::BadRaddr)
    }
}

/// What a process does: `ProcessInfo::state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum ProcessState {
    /// Made, not started.
    Created = 0,
    /// Its program is being read.
    Loading = 1,
    /// Wants the CPU.
    Ready = 2,
    /// Has the CPU.
    Running = 3,
    /// Waits for Linux.
    InCall = 4,
    /// Has ended; others have yet to let go of its pages.
    Exiting = 5,
    /// Waits for a message.
    Receiving = 6,
    /// Waits for a reply.
    Calling = 7,
    /// Waits for the m-kernel.
    InMCall = 8,
    /// Sleeps.
    Sleeping = 9,
}

/// What a process is: `ProcessInfo::kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum ProcessKind {
    /// A program that a person on Linux runs.
    Program = 0,
    /// An OS server.
    Server = 1,
}

abi_struct! {
    /// The LCA of a process. Filled by the kernel.
    pub struct LcaGrant {
        /// Where it is mapped in the process, in the ICA.
        pub virt: u64,
        /// Its real address, for `LinuxCall`.
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
        /// Pages of the ICA.
        pub ica_pages: u32,
    }

    /// Argument of `ProcessCreate`.
    pub struct ProcessCreate {
        /// In: index of the CPU it shall run on, or `ANY_CPU`.
        pub cpu: u32,
        /// In: bytes of the path, with its NUL; the arguments follow it.
        pub path_len: u32,
        /// In: bytes of the environment, which follows the arguments: strings `NAME=HANDLE`.
        pub environment_len: u32,
        /// Zero.
        pub reserved: u32,
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
        /// A [`ProcessState`].
        pub state: u32,
        /// Pages of memory that it has, page tables and ICA pages that it was lent included.
        pub pages: u32,
        /// Its own priority.
        pub priority: u32,
        /// A [`ProcessKind`].
        pub kind: u32,
        /// Linux system calls it has made.
        pub calls: u64,
        /// Name of its program, padded with NULs.
        pub name: [u8; NAME_LEN],
    }
}
