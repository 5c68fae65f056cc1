//! What the guest agent and the host say to each other.
//!
//! Frames over one virtio-serial port, in both directions: a fixed head, then the payload.
//! Every frame belongs to a command, named by an id that the host chose; several commands run at
//! the same time. The agent itself is this package's program; the host's side is in `ant-vm`.

mod frame;
mod start;

pub use frame::{Frame, Kind};
pub use start::{Start, TermSize};

/// Name of the virtio-serial port.
pub const PORT: &str = "ant.agent";
/// Where a command lies that is to run at boot, before the agent is ready: an encoded [`Start`].
/// Its output and end follow [`Kind::Hello`], with the id [`BOOT_ID`].
pub const BOOT_COMMAND: &str = "/etc/ant-agent/boot-command";
/// Id of the command that runs at boot.
pub const BOOT_ID: u32 = u32::MAX;
