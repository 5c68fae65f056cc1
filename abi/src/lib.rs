//! Every byte that crosses a boundary of AnT/Linux, defined once.
//!
//! The boundaries: `ant.ko` and the AnT kernel (boot block, address stores, CPU control, log),
//! process and proxy (the LCA), `/dev/ant` (ioctls), process and AnT kernel (AnT's system
//! calls, IPC), `antd` and AnT's `init` (control messages), `antd` and both of AnT's first programs, the
//! m-kernel and `init` (the bundle).
//!
//! Types here are plain: fixed-size integers, explicit padding, no pointers. Reading raw bytes
//! into them is safe for every bit pattern (`zerocopy`); what a value *means* is checked by the
//! party that takes it from the other side: copy once, validate, use. The module's header
//! `linux/module/ant_abi.h` is generated from this crate (`examples/c_header.rs`).
//!
//! Deliberately absent: hardware, behaviour, allocation, `unsafe`.
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod describe;

mod addr;
pub mod boot;
pub mod bundle;
pub mod control;
pub mod cpu_block;
pub mod device;
mod error;
mod ids;
pub mod ipc;
pub mod layout;
pub mod lca;
pub mod log;
pub mod store;
pub mod syscall;

pub use addr::{KernelVirt, PhysAddr, UserVirt};
pub use describe::{Constant, Field, Struct};
pub use error::Error;
pub use ids::{
    CpuIndex, EndpointId, Generation, LcaIndex, OutOfRange, Pid, Priority, ProcessSlot, ThreadSlot,
    Tid,
};

/// Revision of everything in this crate. Both kernels, the module and the daemon refuse to work
/// with a peer of another revision.
pub const REVISION: u32 = 7;

/// CPUs that one partition can have.
pub const MAX_CPUS: usize = 32;

/// Bytes in a page, on both sides.
pub const PAGE_SIZE: usize = 4096;
