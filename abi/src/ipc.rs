//! IPC between processes of AnT, the pages they hand to each other, and what is granted to them.
//!
//! A message is four words in registers, a span of ICA pages and a handle; both may be absent. It
//! goes through a *handle* to an *endpoint*, which is where one process receives. An endpoint
//! outlives its process: a server that is restarted or replaced gets the same endpoint, in the next
//! *generation*.
//!
//! # Endpoints
//!
//! What a process can reach are its handles, numbers with a generation. A handle comes from `init`,
//! from `ENDPOINT_OPEN`, or with a message. A receiver gets notification bits and requests in
//! turns, so that neither keeps the other from it.
//!
//! The generation of an endpoint is raised when its receiver goes. A caller with a handle of an
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
//! pages with others. A program may have taken [`ica_quota_program`] at a time, a server as many as
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
//! process starts, never cached), interrupt lines; by ranges and lines, or whole, by their names. Linux
//! takes a forwarded interrupt, `ant.ko` sets its bit in `CpuControl::interrupts` of the server's CPU and
//! rings that CPU, and the server gets a notification.
//!
//! # Registers
//!
//! Number in `rax`, operands in `rdi`, `rsi`, `rdx`; the message in `r10`, `r8`, `r9`, `r12`
//! (words), `r13` (span, 0 for none), `r14` (handle, 0 for none). The result is in `rax`, 0 or an
//! `Error`, negated; what is received comes back in the same registers as it is sent, see
//! `IpcReceive`. All other registers are kept.

use num_enum::{IntoPrimitive, TryFromPrimitive};

/// Words of a message.
pub const IPC_WORDS: usize = 4;
/// Operations that one `IpcBatch` can have.
pub const BATCH_MAX: usize = 16;
/// Messages sent with `IpcSend` that can wait at one endpoint. At all endpoints of programs together,
/// 40 can.
pub const SENDS_MAX: usize = 16;
/// Handles that one process can have.
pub const HANDLES: usize = 32;
/// How many endpoints are `init`'s and the servers': the first ones; the others are programs'.
pub const SERVER_ENDPOINTS: usize = 16;
/// Priorities; 0 is the lowest.
pub const PRIORITIES: usize = 8;

/// Pages that a program may take by `IcaAlloc` at a time, of an ICA that has `ica_pages`: an eighth.
#[must_use]
pub const fn ica_quota_program(ica_pages: u32) -> u32 {
    ica_pages / 8
}

/// No limit of time.
pub const FOREVER: u64 = u64::MAX;

/// `IpcCall`: the request makes sense to any generation of the server, so that it waits for the
/// next one when the server ends before it has received it.
pub const CALL_ACROSS_RESTARTS: u64 = 1 << 0;

/// What `IpcReceive` has received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u64)]
pub enum ReceivedKind {
    /// Notification bits, in the first word.
    Notification = 0,
    /// A request; its sender waits for the reply.
    Call = 1,
    /// A message without a reply.
    Send = 2,
}

/// Notification bit of the kernel: a call by `LinuxCallAsync` through channel 0 has returned; the next bit is
/// channel 1's.
pub const NOTIFY_LINUX: u64 = 1 << 60;
/// Notification bit of the kernel, for `init`: a server has ended.
pub const NOTIFY_EXITED: u64 = 1 << 62;
/// Notification bits that processes may raise; the others are the kernel's.
pub const NOTIFY_USER: u64 = (1 << 48) - 1;

/// First word of every server's request to show that it lives; the reply is empty. `init` sends it
/// to servers that its manifest has watched. Numbers of an interface's own requests are below.
pub const REQUEST_ALIVE: u64 = u64::MAX;
/// Notification bit by which the kernel tells a process that another receives at its endpoint from
/// now on. A server then asks `init` whether to end, for every process with a handle can raise it, too.
pub const NOTIFY_RETIRE: u64 = 1 << 47;

/// How a span of pages goes with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
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

impl Transfer {
    /// Whether the sender has the pages back after the reply.
    #[inline]
    #[must_use]
    pub const fn lends(self) -> bool {
        matches!(self, Self::LendRead | Self::LendWrite)
    }
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
    #[inline]
    #[must_use]
    pub fn transfer(self) -> Option<Transfer> {
        u8::try_from(self.0 >> 48).ok().and_then(|mode| Transfer::try_from(mode).ok())
    }

    /// Whether they are lent: the sender has them back after the reply.
    #[inline]
    #[must_use]
    pub fn lends(self) -> bool {
        self.transfer().is_some_and(Transfer::lends)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// What an operation of an `IpcBatch` does: `IpcOperation::kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum OperationKind {
    /// As `IpcSend`.
    Send = 0,
    /// As `IpcNotify`; the bits are the first word.
    Notify = 1,
    /// As `IpcReply`; the token is in `target`.
    Reply = 2,
}

/// Badges of handles to the name service: of a program, this bit and its process id; of a server, its
/// number in the manifest.
pub const BADGE_PROGRAM: u64 = 1 << 31;

/// What is granted of a device: `DeviceGrant::kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum GrantKind {
    /// `len` I/O ports from `start` on, all of one device of the partition.
    Ports = 0,
    /// `len` bytes of device memory at physical address `start`, both multiples of a page; mapped in
    /// the process at `DEVICE_START + start`. Of any device, also one that the partition does not have,
    /// but not the partition's own memory.
    Memory = 1,
    /// The interrupt of a device of the partition that Linux numbers `start`; each one raises
    /// notification bit `len`.
    Interrupt = 2,
    /// All ports and interrupts of device number `start` of the partition; each interrupt raises
    /// notification bit `len`.
    Device = 3,
    /// All memory of device number `start` of the partition, mapped as that of `Memory`; `len` means
    /// nothing. `Invalid`: it does not consist of whole pages.
    DeviceMemory = 4,
}

/// Most bytes of a server's environment.
pub const ENVIRONMENT_MAX: usize = 512;

/// Bytes of `ExitNotice::text`.
pub const EXIT_TEXT: usize = 104;

abi_struct! {
    /// One operation of an `IpcBatch`.
    pub struct IpcOperation {
        /// In: an [`OperationKind`].
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

    /// Argument of `ServerCreate`.
    pub struct ServerCreate {
        /// Index of its CPU, or `ANY_CPU`.
        pub cpu: u32,
        /// Its priority.
        pub priority: u32,
        /// ICA pages that it may take at a time, and that are kept for it.
        pub ica_pages: u32,
        /// Bytes of its environment, which follows this structure: strings `NAME=HANDLE`, each ended by
        /// NUL, at most `ENVIRONMENT_MAX` bytes.
        pub environment_len: u32,
        /// Its name, padded with NULs; also its argument 0.
        pub name: [u8; crate::syscall::NAME_LEN],
    }

    /// Argument of `DeviceGrant`.
    pub struct DeviceGrant {
        /// A [`GrantKind`].
        pub kind: u32,
        /// Zero.
        pub reserved: u32,
        /// See [`GrantKind`].
        pub start: u64,
        /// See [`GrantKind`].
        pub len: u64,
    }

    /// How a server ended.
    pub struct ExitNotice {
        /// Its id.
        pub pid: u32,
        /// An [`ExitKind`](crate::lca::ExitKind).
        pub kind: u32,
        /// The number that goes with it.
        pub number: u64,
        /// For people, padded with NULs.
        pub text: [u8; EXIT_TEXT],
    }
}
