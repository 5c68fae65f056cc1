//! Logic of AnT/Linux that needs no hardware: it runs, and is tested, on any machine.
//!
//! * [`rings`]: rings in shared memory: address store, packets between CPUs, kernel log.
//! * [`doorbell`]: suppression of doorbells to a CPU that polls its rings.
//! * [`notification`]: notification bits, raised by any CPU and taken by the receiver's.
//! * [`bundle`]: `init`'s program, and what the manifest says of each server, as Linux has loaded them.
//! * [`calls`]: which Linux system calls can be carried, and where their arguments point.
//! * [`channel`]: an LCA and the protocol on it, as the kernel and as Linux see it.
//! * [`deadlines`]: which thread of a CPU times out when.
//! * [`devices`]: what a grant gives a process of the partition's devices.
//! * [`ica`]: owners of the pages that processes hand to each other.
//! * [`id_index`]: from an id to the slot of its object, without a search.
//! * [`ipc`]: calls, replies and messages between processes, as one CPU sees them.
//! * [`lca`]: a system call into an LCA and out of it again.
//! * [`machine_check`]: whether a CPU can go on after one.
//! * [`pages`]: which pages of a partition are free.
//! * [`places`]: memory of the tables that one CPU has to itself.
//! * [`releases`]: what is outstanding before what has ended can be reaped.
//! * [`persist`]: state of a server that outlives its process.
//! * [`sched`]: the run queue of one CPU: fixed priorities, round robin.
//! * [`slot_list`]: some threads of one CPU.
//! * [`supervise`]: OS servers: started, restarted, replaced, given up.
//! * [`tables`]: which sizes the kernel's tables can have, and what they take.
//!
//! Memory is laid out by `ant-abi`; what both sides must agree on beyond layout is here, once.
//!
//! Deliberately absent: asm, device registers, globals, clocks (time comes in as an argument),
//! allocation, `unsafe`.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod atomic;
pub mod bundle;
pub mod calls;
pub mod channel;
pub mod deadlines;
pub mod devices;
pub mod doorbell;
pub mod ica;
pub mod id_index;
pub mod ipc;
pub mod lca;
pub mod machine_check;
pub mod notification;
pub mod pages;
pub mod persist;
pub mod places;
pub mod releases;
pub mod rings;
pub mod sched;
pub mod slot_list;
pub mod supervise;
pub mod tables;
#[cfg(test)]
mod test_ids;
