//! What of the kernel depends on the processor: the only crate with assembler, page tables, traps and
//! the APIC.
//!
//! It names nothing above it. What it needs to know of the partition (the frequency of the
//! time-stamp counter, where the image lies) it is told at boot; what it has done by the kernel
//! ([`trap::Handlers`], the kernel's first function in `entry`) it calls by what was set or linked.
//!
//! Deliberately absent: processes, CPUs of the partition other than by index, the area shared with
//! Linux, policy.
#![no_std]

mod x86_64;

pub use self::x86_64::*;
