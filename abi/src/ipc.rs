//! IPC between processes of AnT, the pages they hand to each other, and what is granted to them.
//!
//! A message is four words in registers, a span of ICA pages and a handle; both may be absent. It
//! goes through a *handle* to an *endpoint*, which is where one process receives. An endpoint
//! outlives its process: a server that is restarted or replaced gets the same endpoint, whose
//! *generation* then is the next.
//!
//! # Endpoints
//!
//! What a process can reach are its handles, numbers with a generation. A handle comes from `init`,
//! from `ENDPOINT_OPEN`, or with a message. A receiver gets notification bits and requests in
//! turns, so that neither keeps the other from it.
//!
//! The generation of an endpoint is raised when its receiver goes. A caller whose handle knows an
//! older one gets `PeerRestarted` once, unless its request makes sense across restarts. The number
//! of a closed endpoint is used again, and begins with the next generation: what is under way to
//! the old one finds it closed.
//!
//! # ICA pages
//!
//! A page is at the same address in every process, is owned by one, and goes with a message as
//! [`Transfer`] says. The first pages of the ICA are the LCAs.
//!
//! The process that takes a page pays for it until it is freed, wherever it has gone since: pages
//! that are given to a receiver never stop it from taking its own, and there is no use in parking
//! pages with others. A program may have taken `ICA_QUOTA_PROGRAM` at a time, a server as many as
//! the manifest keeps for it (`ica_pages`); those lie together at the end of the ICA, where no
//! program takes any. Pages that a process leaves with others when it ends are charged to none.
//!
//! # What is kept for servers
//!
//! Programs cannot take what servers need to be started, replaced and asked: some places for
//! processes, some memory, `SERVER_ENDPOINTS` of the endpoints, and most of the room for messages
//! that wait.
//!
//! # Devices
//!
//! Devices are granted to servers by `init`, as the manifest says: I/O ports (checked by the kernel
//! at each access; the processor's own port instructions fault), device memory (mapped before the
//! process starts, never cached), interrupt lines. Linux takes a forwarded interrupt, `ant.ko` sets
//! its bit in `CpuControl::interrupts` and rings CPU 0, and the server gets a notification.
//!
//! # Registers
//!
//! Number in `rax`, operands in `rdi`, `rsi`, `rdx`; the message in `r10`, `r8`, `r9`, `r12`
//! (words), `r13` (span, 0 for none), `r14` (handle, 0 for none). The result is in `rax`, 0 or an
//! `Error`, negated; what is received comes back in the same registers as it is sent, see
//! `IPC_RECEIVE`. All other registers are kept.

/// Words of a message.
pub const IPC_WORDS: usize = 4;
/// Operations that one `IPC_BATCH` can have.
pub const BATCH_MAX: usize = 16;
/// Messages sent with `IPC_SEND` that can wait at one endpoint. At all endpoints of programs together,
/// 40 can.
pub const SENDS_MAX: usize = 16;
/// Handles that one process can have.
pub const HANDLES: usize = 32;
/// Endpoints of one partition.
pub const ENDPOINTS: usize = 64;
/// How many of them are `init`'s and the servers'; the others are programs'.
pub const SERVER_ENDPOINTS: usize = 16;
/// Priorities; 0 is the lowest.
pub const PRIORITIES: usize = 8;
/// Priority of a program that nobody gave another.
pub const PRIORITY_USUAL: u8 = 2;

/// Sends the message to the endpoint of handle `rdi`, and waits for the reply, at most `rsi`
/// microseconds (`FOREVER`: as long as it takes); `rdx` = `CALL_*`. The message is the reply's
/// then. Pages that were lent are back, whatever the result.
///
/// `PeerRestarted`: the endpoint has had another generation since the handle was last used (`rsi` =
/// the new one); the request was not served, or was being served when the server ended; the handle
/// works again. `PeerGone`: nobody will ever receive there. `TimedOut`: it was taken back. `Again`:
/// the CPU there takes no messages at the moment. To take a request back, the CPU of the server has
/// to answer: who calls a server of a CPU that hangs waits until that CPU is back.
pub const IPC_CALL: u64 = 0x1020;
/// Waits for a message at the caller's endpoint, at most `rsi` microseconds: notification bits and the
/// most important of the others in turns, if there are both. `rdi` = `RECEIVED_*`,
/// `rdx` = badge of the handle that it came through, `rsi` = token for the reply.
pub const IPC_RECEIVE: u64 = 0x1021;
/// Replies with the message to the caller with token `rdi`. `NotWaiting`: nobody waits for that
/// reply (already given, timed out, ended).
pub const IPC_REPLY: u64 = 0x1022;
/// `IPC_REPLY`, then `IPC_RECEIVE`; a token for which nobody waits is no error here, and token 0
/// means no reply.
pub const IPC_REPLY_RECEIVE: u64 = 0x1023;
/// Puts the message into the queue of the endpoint of handle `rdi` and goes on. Messages of one sender
/// and one priority come in their order, but for those that are unread or under way while the receiver
/// moves to another CPU or is replaced. Its pages can be handed over or shared, not lent.
///
/// It was not sent: `QueueFull`: `SENDS_MAX` wait there, or as many in all as there is room for. `Again`:
/// nobody receives there at the moment, or the CPU there takes no messages. `PeerRestarted` and
/// `PeerGone` as of `IPC_CALL`.
pub const IPC_SEND: u64 = 0x1024;
/// Raises the notification bits `rsi` at the endpoint of handle `rdi`. They wait until they are
/// received, also for the next generation.
pub const IPC_NOTIFY: u64 = 0x1025;
/// Does the `rsi` (at most `BATCH_MAX`) operations of the `IpcOperation`s at `rdi`, one after the
/// other, and fills their results.
pub const IPC_BATCH: u64 = 0x1026;
/// Closes handle `rdi`.
pub const HANDLE_CLOSE: u64 = 0x1027;
/// Makes an endpoint at which the caller receives; returns a handle to it. `Busy`: it has one.
/// `NoMemory`: programs have all that are theirs, or the caller has `HANDLES` handles.
pub const ENDPOINT_OPEN: u64 = 0x1028;
/// Takes `rdi` ICA pages (at most 1024), zeroed, next to each other; returns the number of the first.
///
/// `OverQuota`: with them, more pages that the caller has taken were somebody's than it may take at a
/// time (`ICA_QUOTA_PROGRAM`, `ServerCreate::ica_pages`); one that it has given away counts until
/// its new owner frees it. `NoMemory`: so many are not free, or kept for servers.
pub const ICA_ALLOC: u64 = 0x1029;
/// Pages that a program may take by `ICA_ALLOC` at a time: an eighth of the ICA.
pub const ICA_QUOTA_PROGRAM: u32 = 512;
/// Gives the span `rdi` of ICA pages back. `Again`: the m-kernel is too busy to take them.
pub const ICA_FREE: u64 = 0x102a;
/// Sleeps for `rdi` microseconds.
pub const SLEEP: u64 = 0x102b;
/// Reads `rsi` (1, 2 or 4) bytes from I/O port `rdi`, which was granted; returns them.
pub const PORT_READ: u64 = 0x102c;
/// Writes the low `rsi` (1, 2 or 4) bytes of `rdx` to I/O port `rdi`, which was granted.
pub const PORT_WRITE: u64 = 0x102d;
/// Like `LINUX_CALL`, but goes on at once: notification bit `NOTIFY_LINUX` says that the result is
/// there. The caller needs an endpoint.
pub const LINUX_CALL_ASYNC: u64 = 0x102e;

/// `init` only: makes a server from the `ServerCreate` at `rdi` and the program of `rdx` bytes at
/// `rsi`. Returns its process id; it does not run yet, `PROCESS_START` starts it.
pub const SERVER_CREATE: u64 = 0x1030;
/// `init` only: makes an endpoint that nobody receives at yet; returns a handle to it.
pub const ENDPOINT_CREATE: u64 = 0x1031;
/// `init` only: from now on process `rsi` receives at the endpoint of handle `rdi`; with `rsi` = 0
/// nobody, and who calls waits. Returns the generation: the next one, if somebody has received there
/// before. After an error (`PeerGone`: it is closed; `NoProcess`: the process has ended; `Busy`: it
/// receives elsewhere) all is as it was.
pub const ENDPOINT_BIND: u64 = 0x1032;
/// `init` only: ends the endpoint of handle `rdi`: whoever waits there gets `PeerGone`.
pub const ENDPOINT_CLOSE: u64 = 0x1033;
/// `init` only: gives process `rdi`, which was not started yet, the caller's handle `rsi`, with badge
/// `rdx` (32 bits); returns the
/// number that it has there. Handles are numbered from 1 in the order in which they are given.
pub const HANDLE_GRANT: u64 = 0x1034;
/// `init` only: gives process `rdi` priority `rsi`.
pub const PROCESS_PRIORITY: u64 = 0x1035;
/// `init` only: moves process `rdi` to CPU `rsi`, as soon as it has no call under way.
pub const PROCESS_MOVE: u64 = 0x1036;
/// `init` only: grants to process `rdi` what the `DeviceGrant` at `rsi` says. `NoDevice`: it is of a
/// device that the partition does not have; `Busy`: device memory, and the process runs elsewhere
/// already; `NoMemory`: the process has as many ranges or interrupts as it can have.
pub const DEVICE_GRANT: u64 = 0x1037;
/// `init` only: fills the `ExitNotice` at `rdi`: the next server that has ended and was not yet
/// told of. `Again`: none. Notification bit `NOTIFY_EXITED` says when to ask.
pub const EXIT_NOTICE_TAKE: u64 = 0x1038;
/// `init` only: fills the `BootDevice` at `rsi`: device number `rdi` of the partition. `NoDevice`: it
/// has fewer.
pub const DEVICE_GET: u64 = 0x1039;

/// No limit of time.
pub const FOREVER: u64 = u64::MAX;

/// `IPC_CALL`: the request makes sense to any generation of the server, so that it waits for the
/// next one when the server ends before it has received it.
pub const CALL_ACROSS_RESTARTS: u64 = 1 << 0;

/// `IPC_RECEIVE`: notification bits, in the first word.
pub const RECEIVED_NOTIFICATION: u64 = 0;
/// `IPC_RECEIVE`: a request; its sender waits for the reply.
pub const RECEIVED_CALL: u64 = 1;
/// `IPC_RECEIVE`: a message that nobody waits for.
pub const RECEIVED_SEND: u64 = 2;

/// Notification bit of the kernel: a call by `LINUX_CALL_ASYNC` has returned.
pub const NOTIFY_LINUX: u64 = 1 << 63;
/// Notification bit of the kernel, for `init`: a server has ended.
pub const NOTIFY_EXITED: u64 = 1 << 62;
/// Notification bits that processes may raise; the others are the kernel's.
pub const NOTIFY_USER: u64 = (1 << 48) - 1;

/// First word of every server's request to show that it lives; the reply is empty. `init` sends it
/// to servers that its manifest has watched. Numbers of an interface's own requests are below.
pub const REQUEST_ALIVE: u64 = u64::MAX;
/// Notification bit by which the kernel tells a process that another receives at its endpoint from
/// now on. A server then asks `init` whether to end, for anyone with a handle can raise it, too.
pub const NOTIFY_RETIRE: u64 = 1 << 47;

/// How a span of pages goes with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transfer {
    /// The receiver owns them from now on.
    HandOver = 1,
    /// Until the reply, the receiver may read them, and the caller too.
    LendRead = 2,
    /// Until the reply, the receiver may read and write them, the caller may not touch them.
    LendWrite = 3,
    /// Both have them from now on, and may write.
    Share = 4,
}

/// ICA pages next to each other and how they go with a message: `mode << 48 | count << 24 | first`.
/// 0: none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span(pub u64);

impl Span {
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// `count` pages from page `first` on.
    #[must_use]
    pub const fn new(first: u32, count: u32, transfer: Transfer) -> Self {
        Self((transfer as u64) << 48 | (count as u64 & 0xff_ffff) << 24 | first as u64 & 0xff_ffff)
    }

    /// Number of the first page in the ICA.
    #[must_use]
    pub const fn first(self) -> u32 {
        (self.0 & 0xff_ffff) as u32
    }

    /// Number of pages.
    #[must_use]
    pub const fn count(self) -> u32 {
        (self.0 >> 24 & 0xff_ffff) as u32
    }

    /// How they go; `None` for a number that means nothing.
    #[must_use]
    pub const fn transfer(self) -> Option<Transfer> {
        match self.0 >> 48 {
            1 => Some(Transfer::HandOver),
            2 => Some(Transfer::LendRead),
            3 => Some(Transfer::LendWrite),
            4 => Some(Transfer::Share),
            _ => None,
        }
    }

    /// Whether they are lent: the sender has them back after the reply.
    #[must_use]
    pub const fn lends(self) -> bool {
        matches!(self.transfer(), Some(Transfer::LendRead | Transfer::LendWrite))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// `IpcOperation::kind`: as `IPC_SEND`.
pub const OPERATION_SEND: u32 = 0;
/// `IpcOperation::kind`: as `IPC_NOTIFY`; the bits are the first word.
pub const OPERATION_NOTIFY: u32 = 1;
/// `IpcOperation::kind`: as `IPC_REPLY`; the token is in `target`.
pub const OPERATION_REPLY: u32 = 2;

/// Badges of handles to the name service: of a program, this bit and its process id; of a server, its
/// number in the manifest.
pub const BADGE_PROGRAM: u64 = 1 << 31;

/// `DeviceGrant::kind`: `len` I/O ports from `start` on, all of one device of the partition.
pub const GRANT_PORTS: u32 = 0;
/// `DeviceGrant::kind`: `len` bytes of device memory at physical address `start`, both multiples of
/// a page; mapped in the process at `DEVICE_START + start`. Of any device, also one that the partition
/// does not have, but not the partition's own memory.
pub const GRANT_MEMORY: u32 = 1;
/// `DeviceGrant::kind`: the interrupt of a device of the partition that Linux numbers `start`; each
/// one raises notification bit `len`.
pub const GRANT_INTERRUPT: u32 = 2;
/// `DeviceGrant::kind`: all ports and interrupts of device number `start` of the partition; each
/// interrupt raises notification bit `len`.
pub const GRANT_DEVICE: u32 = 3;
/// `DeviceGrant::kind`: all memory of device number `start` of the partition, mapped as that of
/// `GRANT_MEMORY`. `Invalid`: it does not consist of whole pages.
pub const GRANT_DEVICE_MEMORY: u32 = 4;

/// `ExitNotice::kind`s are `ant_abi::lca::EXIT_*`.
pub const EXIT_TEXT: usize = 104;

abi_struct! {
    /// One operation of an `IPC_BATCH`.
    pub struct IpcOperation {
        /// In: one of `OPERATION_*`.
        pub kind: u32,
        /// Out: 0, or an error number, negated.
        pub result: i32,
        /// In: handle or token.
        pub target: u64,
        /// In: the words.
        pub words: [u64; IPC_WORDS],
        /// In: the pages.
        pub span: u64,
        /// In: the handle that goes with it.
        pub handle: u64,
    }

    /// Argument of `SERVER_CREATE`.
    pub struct ServerCreate {
        /// Index of its CPU, or `ANY_CPU`.
        pub cpu: u32,
        /// Its priority.
        pub priority: u32,
        /// ICA pages that it may take at a time, and that are kept for it.
        pub ica_pages: u32,
        /// Zero.
        pub reserved: u32,
        /// Its name, padded with NULs; also its argument 0.
        pub name: [u8; crate::syscall::NAME_LEN],
    }

    /// Argument of `DEVICE_GRANT`.
    pub struct DeviceGrant {
        /// One of `GRANT_*`.
        pub kind: u32,
        /// Zero.
        pub reserved: u32,
        /// See `GRANT_*`.
        pub start: u64,
        /// See `GRANT_*`.
        pub len: u64,
    }

    /// How a server ended.
    pub struct ExitNotice {
        /// Its id.
        pub pid: u32,
        /// One of `ant_abi::lca::EXIT_*`.
        pub kind: u32,
        /// The number that goes with it.
        pub number: u64,
        /// For people, padded with NULs.
        pub text: [u8; EXIT_TEXT],
    }
}
