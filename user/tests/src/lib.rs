//! What programs of tests do that no other program may: faults, and calls that nothing has checked.
//!
//! * [`fail`]: instructions that fault.
//! * [`unchecked`]: messages and calls of Linux as `ant_rt` lets no program make them.
//!
//! The programs: `crash` faults; `misuse` and `misuse-ipc` break the rules of the system calls; `victim`
//! is a server and its clients, for tests that end one of them; `transfer` checks pages in messages.
//! They are not installed.
#![no_std]

pub mod fail;
pub mod unchecked;
