//! The I/O ports and the memory of devices that `init` has granted to this process.

use ant_abi::syscall::Sysnum;
use ant_abi::{Error, PhysAddr, UserVirt};

use crate::ant::call;

/// Reads a byte from a port.
pub fn port_read(port: u16) -> Result<u8, Error> {
    call(Sysnum::PortRead, [u64::from(port), 1, 0]).map(|value| value as u8)
}

/// Writes a byte to a port.
pub fn port_write(port: u16, value: u8) -> Result<(), Error> {
    call(Sysnum::PortWrite, [u64::from(port), 1, u64::from(value)]).map(drop)
}

/// Reads 32 bits of device memory at a physical address. If it was not granted, this process ends.
pub fn memory_read(physical: u64) -> u32 {
    // SAFETY: nothing of Rust's is in that range, and it is aligned.
    unsafe { place(physical).read_volatile() }
}

/// Writes 32 bits of device memory at a physical address. If it was not granted, this process ends.
pub fn memory_write(physical: u64, value: u32) {
    // SAFETY: as in `memory_read`.
    unsafe { place(physical).write_volatile(value) }
}

/// Where 32 bits of device memory are mapped, if they are granted.
fn place(physical: u64) -> *mut u32 {
    assert!(physical.is_multiple_of(4));
    let place = UserVirt::of_device(PhysAddr::new(physical));
    place.expect("device memory has a place").get() as *mut u32
}
