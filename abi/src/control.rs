//! Messages between `antd` and AnT's `init`.
//!
//! `init` reads requests from descriptor 0 and writes replies to descriptor 1, both ends of a
//! packet socket that its proxy inherits from `antd`, by ordinary delegated `read` and `write`.
//! So the control channel needs nothing that a process does not have.
//!
//! `init` reads without waiting: a notification says when a request has come. While a server is
//! being restarted or replaced it looks for requests at intervals instead, because its one LCA must
//! be free for the reply.
//!
//! For `REQUEST_SPAWN`, `init` makes the process, writes the reply (which names the new process's
//! LCA), and only then starts it, so `antd` always knows the process behind a request; `antd` reads
//! its end of the channel before it treats an LCA as unknown. A request from an LCA that stays
//! unknown is logged and released. `antd` finds `init`'s own LCA in `CpuControl::init_lca` of CPU
//! 0, which is written before `CpuState::Ready`.
//!
//! If `init`'s proxy dies, AnT takes no requests any more, and what runs goes on.

use num_enum::{IntoPrimitive, TryFromPrimitive};

use crate::lca::LCA_BUFFER;
use crate::syscall::{NAME_LEN, ProcessInfo};

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
