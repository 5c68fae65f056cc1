//! The I/O ports and the memory of devices that `init` has granted to this process.

use ant_abi::Error;
use ant_abi::layout::{DEVICE_END, DEVICE_START};
use ant_abi::syscall::Sysnum;

use crate::ant::check;
use crate::raw::syscall;

/// Reads a byte from a port.
pub fn port_read(port: u16) -> Result<u8, Error> {
    // SAFETY: passes no address; the device is this process's.
    check(unsafe { syscall(Sysnum::PortRead, [u64::from(port), 1, 0]) }).map(|value| value as u8)
}

/// Writes a byte to a port.
pub fn port_write(port: u16, value: u8) -> Result<(), Error> {
    // SAFETY: as in `port_read`.
    check(unsafe { syscall(Sysnum::PortWrite, [u64::from(port), 1, u64::from(value)]) }).map(drop)
}

/// Reads 32 bits of device memory at a physical address. If it was not granted, this process ends.
pub fn memory_read(physical: u64) -> u32 {
    assert!(physical.is_multiple_of(4) && physical < DEVICE_END - DEVICE_START);
    // SAFETY: nothing of Rust's is in that range, and it is aligned.
    unsafe { ((DEVICE_START + physical) as *const u32).read_volatile() }
}

/// Writes 32 bits of device memory at a physical address. If it was not granted, this process ends.
pub fn memory_write(physical: u64, value: u32) {
    assert!(physical.is_multiple_of(4) && physical < DEVICE_END - DEVICE_START);
    // SAFETY: as in `memory_read`.
    unsafe { ((DEVICE_START + physical) as *mut u32).write_volatile(value) }
}
