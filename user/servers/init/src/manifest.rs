//! The OS servers, as `user/servers/manifest.toml` has them; `build/` makes the table from it.

use ant_abi::ipc::{self, DeviceGrant};
use ant_abi::layout::ICA_PAGES;
use ant_abi::syscall::NAME_LEN;
use ant_logic::supervise::{Heartbeat, Policy, TRIES_MAX};

/// What the manifest says of one server.
pub struct Spec {
    /// What people call it.
    pub name: &'static str,
    /// Its program.
    pub program: &'static [u8],
    /// Its priority.
    pub priority: u32,
    /// Index of the CPU that it shall run on.
    pub cpu: u32,
    /// ICA pages that outlive it.
    pub state_pages: u32,
    /// ICA pages that it may take at a time, and that are kept for it.
    pub ica_pages: u32,
    /// What is done when it has ended; times in microseconds.
    pub restart: Policy,
    /// How it shows that it lives, if it has to.
    pub watch: Option<Heartbeat>,
    /// Its devices.
    pub devices: &'static [DeviceGrant],
}

/// All of them; the first is the name service.
pub const SERVERS: &[Spec] = &include!(concat!(env!("OUT_DIR"), "/manifest.rs"));

/// How many they are.
pub const COUNT: usize = SERVERS.len();

/// Notification bits below those with a meaning: for interrupts, and for each server to show that it
/// lives.
const BITS: usize = ipc::NOTIFY_RETIRE.trailing_zeros() as usize;

const _: () = assert!(ipc::SERVER_ENDPOINTS <= BITS);

const _: () = {
    // One is `init`'s.
    assert!(COUNT < ipc::SERVER_ENDPOINTS, "too many servers in the manifest: 15 at most");
    let (mut index, mut ica_pages) = (0, 0_u64);
    while index < COUNT {
        ica_pages += SERVERS[index].ica_pages as u64;
        index += 1;
    }
    assert!(ica_pages <= ICA_PAGES / 2, "the servers want more than half of the ICA");
};

impl Spec {
    /// The same; the build fails if it asks for what cannot be, and shows whose line it is.
    const fn checked(self) -> Self {
        assert!(!self.name.is_empty() && self.name.len() <= NAME_LEN, "a name needs 1 to 24 bytes");
        assert!((self.priority as usize) < ipc::PRIORITIES, "a priority must be 0 to 7");
        assert!(self.restart.tries <= TRIES_MAX, "a server can have 16 tries at most");
        let mut index = 0;
        while index < self.devices.len() {
            let DeviceGrant { kind, len, .. } = self.devices[index];
            let is_bit = kind != ipc::GRANT_INTERRUPT || len < BITS as u64;
            assert!(is_bit, "an interrupt's notification bit must be 0 to 46");
            index += 1;
        }
        self
    }
}

const fn policy(tries: u32, within_ms: u64, delay_ms: u64) -> Policy {
    Policy { tries, within: within_ms * 1000, delay: delay_ms * 1000 }
}
