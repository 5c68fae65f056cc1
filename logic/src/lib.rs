//! Logic of AnT/Linux that needs no hardware: it runs, and is tested, on any machine.
//!
//! * [`rings`]: rings in shared memory: address store, packets between CPUs, kernel log.
//! * [`doorbell`]: suppression of doorbells to a CPU that polls its rings.
//! * [`notification`]: notification bits, raised by any CPU and taken by the receiver's.
//! * [`bundle`]: `init`'s program, and what the manifest says of each server, as Linux has loaded them.
//! * [`calls`]: which Linux system calls can be carried, and where their arguments point.
//! * [`deadlines`]: which process of a CPU times out when.
//! * [`ica`]: who has the pages that processes hand to each other.
//! * [`input`]: what has come for a server and nobody has read, kept when it ends.
//! * [`ipc`]: calls, replies and messages between processes, as one CPU sees them.
//! * [`lca`]: a system call into an LCA and out of it again.
//! * [`names`]: which name stands for which handle, kept when the name service ends.
//! * [`pages`]: which pages of a partition are free.
//! * [`restart`]: whether a server that has ended is started again.
//! * [`sched`]: the run queue of one CPU: fixed priorities, round robin.
//! * [`server`]: the life of an OS server: started, restarted, replaced, given up.
//! * [`state`]: what a server writes so that its successor finds it.
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
pub mod deadlines;
pub mod doorbell;
pub mod ica;
pub mod input;
pub mod ipc;
pub mod lca;
pub mod names;
pub mod notification;
pub mod pages;
pub mod restart;
pub mod rings;
pub mod sched;
pub mod server;
pub mod state;
