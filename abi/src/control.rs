//! Messages between `antd` and AnT's `init`.
//!
//! `init` reads requests from descriptor 0 and writes replies to descriptor 1, both ends of a
//! packet socket that its proxy inherits from `antd`, by ordinary delegated `read` and `write`.
//! So the control channel needs nothing that an AP process does not have.

use crate::lca::LCA_BUFFER;
use crate::syscall::ProcessInfo;

/// Longest message; it must fit an LCA's buffer.
pub const MESSAGE_MAX: usize = LCA_BUFFER;
/// Bytes of path and arguments that a `REQUEST_SPAWN` can carry.
pub const SPAWN_BYTES: usize = MESSAGE_MAX - size_of::<Request>();
/// Processes that one reply to `REQUEST_LIST` can carry.
pub const LIST_MAX: usize = (MESSAGE_MAX - size_of::<Reply>()) / size_of::<ProcessInfo>();

/// Make a process. `a` = core index or `ANY_CORE`, `b` = bytes of the path; the message goes on
/// with path and arguments, each ended by NUL. The process starts after the reply was written.
pub const REQUEST_SPAWN: u32 = 1;
/// End process `a` as signal `b` would.
pub const REQUEST_KILL: u32 = 2;
/// List processes from id `a` on. The reply goes on with at most `LIST_MAX` `ProcessInfo`s, in the
/// order of their ids.
pub const REQUEST_LIST: u32 = 3;
/// Fail on purpose: `a` = `INJECT_*`, `b` = core index.
pub const REQUEST_INJECT: u32 = 4;

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

    /// Head of a message from `init`.
    pub struct Reply {
        /// Ticket of the request.
        pub ticket: u32,
        /// 0, or an error number, negated.
        pub result: i32,
        /// `REQUEST_SPAWN`: id of the process.
        pub pid: u32,
        /// `REQUEST_SPAWN`: index of its core.
        pub core: u32,
        /// `REQUEST_SPAWN`: its LCA with the generation.
        pub lca: u64,
    }
}
