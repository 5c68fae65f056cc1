//! Messages between `antd` and AnT's `init`.
//!
//! `init` has two channels, which `antd` serves itself: no system call goes through them, so there is
//! no proxy. On channel [`CHANNEL_REQUESTS`], `init` asks for the next request by the call
//! [`CALL_NEXT`]; `antd` returns it when there is one, with the request in the buffer. On channel
//! [`CHANNEL_REPLIES`], `init` sends a reply by the call [`CALL_REPLY`]; `antd` returns it when it has
//! done what follows from the reply. `init` waits for neither: a notification says when one has
//! returned. So a reply that takes long keeps no request.
//!
//! For `REQUEST_SPAWN`, `init` makes the process, sends the reply (which names the new process's
//! LCA), and starts it when that has returned: by then `antd` has bound the LCA to a file. `antd`
//! finds `init`'s own LCAs in `CpuControl::init_lcas` of CPU 0, which are written before
//! `CpuState::Ready`.

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::lca::LCA_BUFFER;
use crate::syscall::{NAME_LEN, ProcessInfo};

/// Channels of `init`.
pub const INIT_CHANNELS: usize = 2;
/// The channel through which requests come.
pub const CHANNEL_REQUESTS: usize = 0;
/// The channel through which replies go.
pub const CHANNEL_REPLIES: usize = 1;
/// `Lca::syscallno`: the next request, please. It comes in the buffer; `Lca::retval` has its bytes.
pub const CALL_NEXT: u64 = u64::MAX - 1;
/// `Lca::syscallno`: a reply. It is in the buffer; the length of argument 0 has its bytes.
pub const CALL_REPLY: u64 = u64::MAX - 2;

/// Longest message; it must fit an LCA's buffer.
pub const MESSAGE_MAX: usize = LCA_BUFFER;
/// Bytes of path and arguments that a `REQUEST_SPAWN` can carry.
pub const SPAWN_BYTES: usize = MESSAGE_MAX - size_of::<Request>();
/// Processes that one reply to `REQUEST_LIST` can carry.
pub const LIST_MAX: usize = (MESSAGE_MAX - size_of::<Reply>()) / size_of::<ProcessInfo>();

/// Make a process. `a` = CPU index or `ANY_CPU`, `b` = bytes of the path; the message goes on
/// with path and arguments, each ended by NUL. The process starts after the reply was written.
pub const REQUEST_SPAWN: u32 = 1;
/// End process `a` as signal `b` would.
pub const REQUEST_KILL: u32 = 2;
/// List processes from id `a` on. The reply goes on with at most `LIST_MAX` `ProcessInfo`s, in the
/// order of their ids.
pub const REQUEST_LIST: u32 = 3;
/// Fail on purpose, as `FaultInject` does: `a` = an [`Injection`](crate::syscall::Injection), `b` = CPU
/// index or process; for a process the number of the system call follows, in 4 bytes.
pub const REQUEST_INJECT: u32 = 4;
/// List the servers. The reply goes on with at most `SERVERS_MAX` `ServerInfo`s.
pub const REQUEST_SERVERS: u32 = 5;
/// End a server and start it again; its name follows (without NUL). The reply comes when it serves
/// again, or when it is known that the process that was started does not.
pub const REQUEST_RESTART: u32 = 6;
/// Bytes of a program for `REQUEST_REPLACE`: what follows is its bytes from `a` on, of `b` in all;
/// `a` = 0 begins a new program. At most `PROGRAM_MAX` bytes in all.
pub const REQUEST_PROGRAM: u32 = 7;
/// Put the program that was sent in the place of a server; the server's name follows (without NUL).
/// The reply comes when the new one serves, or when the old one goes on because the new one failed
/// to start.
pub const REQUEST_REPLACE: u32 = 8;
/// Give process `a` priority `b`.
pub const REQUEST_PRIORITY: u32 = 9;
/// Move process `a` to CPU `b`.
pub const REQUEST_MOVE: u32 = 10;

/// Largest program that can replace a server.
pub const PROGRAM_MAX: usize = 1 << 20;
/// Servers that one reply to `REQUEST_SERVERS` can carry.
pub const SERVERS_MAX: usize = (MESSAGE_MAX - size_of::<Reply>()) / size_of::<ServerInfo>();

/// What `init` says of a server: `ServerInfo::state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoPrimitive, TryFromPrimitive)]
#[repr(u32)]
pub enum ReportedState {
    /// Being started.
    Starting = 0,
    /// Serves.
    Serves = 1,
    /// Ended; about to be started again.
    Waits = 2,
    /// Ended too often, or as its policy wants; not started again by itself.
    GivenUp = 3,
}

abi_struct! {
    /// Head of a message to `init`.
    pub struct Request {
        /// One of `REQUEST_*`.
        pub kind: u32,
        /// Comes back in the reply.
        pub ticket: u32,
        /// First operand.
        pub a: u32,
        /// Second operand.
        pub b: u32,
    }

    /// One line of `server list`.
    pub struct ServerInfo {
        /// Its name, padded with NULs.
        pub name: [u8; NAME_LEN],
        /// Its process, 0 for none.
        pub pid: u32,
        /// A [`ReportedState`].
        pub state: u32,
        /// Generation of its endpoint.
        pub generation: u32,
        /// How often it was started again after it had ended by itself.
        pub restarts: u32,
        /// Priority.
        pub priority: u32,
        /// Bytes of its program.
        pub program: u32,
        /// Cycles of the time-stamp counter that its last start took: from `init` asking for its
        /// process until it was ready.
        pub start_ticks: u64,
        /// Microseconds that its last restart took: from its end being noticed, or the order, until it
        /// served again. 0: it was never restarted.
        pub restart_us: u64,
        /// Why it last ended, for people, padded with NULs.
        pub last_end: [u8; 56],
    }

    /// Head of a message from `init`.
    pub struct Reply {
        /// Ticket of the request.
        pub ticket: u32,
        /// 0, or an error number, negated.
        pub result: i32,
        /// `REQUEST_SPAWN`: id of the process.
        pub pid: u32,
        /// `REQUEST_SPAWN`: index of its CPU.
        pub cpu: u32,
        /// `REQUEST_SPAWN`: its LCA with the generation.
        pub lca: u64,
    }
}
