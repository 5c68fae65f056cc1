//! Rings in shared memory, each with one producer and one consumer, and no lock.
//!
//! * [`address`]: the address store, which carries entries between the two kernels.
//! * [`packet`]: packets from one AnT CPU to another.
//! * [`log`]: the kernel log of one CPU, written by AnT and read by Linux.

pub mod address;
pub mod log;
pub mod packet;
