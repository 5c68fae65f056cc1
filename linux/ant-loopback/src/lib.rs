//! A partition in a memory file: no module, no second kernel, but real processes on Linux's side.
//!
//! A backend of `ant-dev` for tests on any machine: [`Loopback`] stands for the device, [`Ant`] for
//! the kernel on the other side. Both see the same memory, also across forks. Physical addresses
//! are made up: the partition begins at [`PHYSICAL_START`].
//!
//! Deliberately absent: CPUs. The test that holds [`Ant`] acts for all of them.
#![forbid(unsafe_code)]

mod ant;
mod control;
mod device;
mod memory;
mod proxy;
#[cfg(test)]
mod tests;

use ant_abi::PhysAddr;

pub use ant::Ant;
pub use control::RESOURCES;
pub use device::Loopback;

/// Where the partition's memory begins, as a physical address.
pub const PHYSICAL_START: PhysAddr = PhysAddr::new(0x1_0000_0000);
/// Frequency that the boot block names.
pub const TSC_KHZ: u32 = 1_000_000;
