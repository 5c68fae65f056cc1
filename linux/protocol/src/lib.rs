//! What `antctl` and `ant-bench` say to `antd`, and how: JSON packets over `/run/ant/antd.sock`.
//!
//! A connection carries one request; its replies follow until a final one ([`Reply::is_final`]).
//! Only [`Request::Run`] may be followed by another request, [`Request::End`]. Closing the
//! connection while a program runs ends the program.
//!
//! * `request`, `reply`, `status`, `tables`: the messages. `wire`: messages as bytes.
//! * [`packet`]: packets with descriptors over Unix sockets. `connection`: the client's end.
//! * [`cpu_list`]: CPUs, memory and counts as people write them. [`signals`]: names of signals.
//! * [`program`]: the file that replaces a server's program, on its way to the daemon.
//! * `clock`: the time-stamp counter, in which both sides measure.
//!
//! Deliberately absent: what a request does (`antd`), how a reply looks (`antctl`).
#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "reading the time-stamp counter is an unsafe intrinsic")]
mod clock;
mod connection;
pub mod cpu_list;
pub mod packet;
pub mod program;
mod reply;
mod request;
pub mod signals;
mod status;
mod tables;
mod wire;

#[cfg(test)]
mod tests;

pub use clock::time_stamp;
pub use connection::{ConnectError, Connection};
pub use reply::{ExitReason, Layout, Reply};
pub use request::{Boot, CpuFailure, DeviceChoice, Injection, ProcessFailure, Request, Run};
pub use status::{
    CpuStatus, Device, Level, LogLine, PartitionStatus, Process, Resource, Server, Status,
};
pub use tables::Tables;
pub use wire::{MessageError, PROTOCOL, decode, encode};

/// Directory of the socket, the log and the lock.
pub const RUN_DIR: &str = "/run/ant";
/// The daemon's socket.
pub const SOCKET: &str = "/run/ant/antd.sock";
/// Where the daemon logs when it was started on demand.
pub const DAEMON_LOG: &str = "/run/ant/antd.log";
/// Where programs for AnT are.
pub const APPS_DIR: &str = "/usr/lib/ant/apps";
/// The kernel image that `antctl boot` takes if no other is named.
pub const IMAGE: &str = "/usr/lib/ant/ant-kernel";
/// AnT's first process, which is in every bundle.
pub const INIT: &str = "/usr/lib/ant/ant-init";
/// The manifest that `antctl boot` takes if no other is named.
pub const MANIFEST: &str = "/usr/lib/ant/manifest.toml";
/// Directory of the servers' programs that a manifest names without a directory.
pub const SERVERS_DIR: &str = "/usr/lib/ant/servers";
