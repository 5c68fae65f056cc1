//! The OS servers, as `user/servers/manifest.toml` has them; `build/` makes the table from it.

use ant_abi::ipc::DeviceGrant;
use ant_core::restart::Policy;

/// What the manifest says of one server.
pub struct Spec {
    /// What people call it.
    pub name: &'static str,
    /// Its program.
    pub program: &'static [u8],
    /// Its priority.
    pub priority: u32,
    /// Index of the core that it shall run on.
    pub core: u32,
    /// ICA pages that outlive it.
    pub state_pages: u32,
    /// ICA pages that it may take at a time, and that are kept for it.
    pub ica_pages: u32,
    /// What is done when it has ended; times in microseconds.
    pub restart: Policy,
    /// How it shows that it lives, if it has to.
    pub watch: Option<Watch>,
    /// Its devices.
    pub devices: &'static [DeviceGrant],
}

/// How a server shows that it lives.
#[derive(Clone, Copy)]
pub struct Watch {
    /// How often it is asked.
    pub every_us: u64,
    /// How long it has to answer.
    pub answer_us: u64,
}

/// All of them; the first is the name service.
pub const SERVERS: &[Spec] = &include!(concat!(env!("OUT_DIR"), "/manifest.rs"));

/// How many they are.
pub const COUNT: usize = SERVERS.len();

const fn policy(tries: u32, within_ms: u64, delay_ms: u64) -> Policy {
    Policy { tries, within: within_ms * 1000, delay: delay_ms * 1000 }
}
