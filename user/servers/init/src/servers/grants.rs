//! The devices of a server: which process of it has them when.

use ant_abi::Error;
use ant_abi::ipc::GRANT_MEMORY;
use ant_rt::init_calls;

use super::server::Server;

impl Server {
    /// Grants its ports and interrupts to a process, once nobody else has them.
    pub(super) fn grant_devices(&self, pid: u32) -> Result<(), Error> {
        self.grant(pid, |kind| kind != GRANT_MEMORY)
    }

    /// Grants its device memory to a process that was not started: later, its page tables may be
    /// another core's.
    pub(super) fn grant_memory(&self, pid: u32) -> Result<(), Error> {
        self.grant(pid, |kind| kind == GRANT_MEMORY)
    }

    fn grant(&self, pid: u32, which: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut devices = self.spec.devices.iter().filter(|device| which(device.kind));
        devices.try_for_each(|device| init_calls::device_grant(pid, device))
    }
}
