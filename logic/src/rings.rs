//! Rings in shared memory, each with one producer and one consumer, and no lock.
//!
//! * [`address`]: the address store, which carries entries between the two kernels.
//! * [`packet`]: packets from one AnT CPU to another.
//! * [`log`]: the kernel log of one CPU, written by AnT and read by Linux.

pub mod address;
pub mod log;
pub mod packet;

use core::fmt;

/// The ring is full: the entry or packet was not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ring is full")
    }
}

impl core::error::Error for Full {}
