//! The I/O ports and the memory of devices that `init` has granted to this process.

use ant_abi::Error;
use ant_abi::ipc::{PORT_READ, PORT_WRITE};
use ant_abi::layout::DEVICE_START;

use crate::ant::check;
use crate::raw::syscall;

/// Reads a byte from a port.
pub fn port_read(port: u16) -> Result<u8, Error> {
    // SAFETY: passes no address; the device is this process's.
    check(unsafe { syscall(PORT_READ, [u64::from(port), 1, 0]) }).map(|value| value as u8)
}

/// Writes a byte to a port.
pub fn port_write(port: u16, value: u8) -> Result<(), Error> {
    // SAFETY: as in `port_read`.
    check(unsafe { syscall(PORT_WRITE, [u64::from(port), 1, u64::from(value)]) }).map(drop)
}

/// Where the device memory at a physical address is mapped in this process.
pub const fn memory(physical: u64) -> *mut u8 {
    (DEVICE_START + physical) as *mut u8
}
