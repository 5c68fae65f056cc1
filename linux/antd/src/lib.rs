//! `antd`: the parent process of AnT/Linux (paper 3.3.2), and what `antctl` needs to talk to it.
//!
//! One thread, one event loop ([`daemon`]) over the socket, the partition, the control channel to
//! AnT's `init`, and the proxies. From the outside in:
//!
//! * What `antctl` uses, too: [`protocol`], their messages; [`cpu_list`], how people write CPUs and
//!   memory; [`program`], what shall replace a server.
//! * [`daemon`]: the loop. `clients`: who is connected. `operations`: what each request does;
//!   `orders`: those that AnT's `init` carries out.
//! * `running`: a partition with all that lives with it: `partition` (CPUs, image, bundle), `devices` (what
//!   Linux can spare), `table`
//!   (raddr → proxy, pure logic), `proxies` (their processes), `sessions` (who ran what), `init`
//!   (the control channel), `hang` (CPUs that give no sign of life), `survey` (what AnT
//!   consists of).
//! * `manifest`: which OS servers there are, as a file says it; `bundle`: that, and their programs, as AnT
//!   reads it.
//! * `proxy`: what runs in a proxy process; `channel`: how parent and proxy talk.
//! * `log_book`: AnT's kernel log, kept.
//!
//! Deliberately absent: ioctls (`ant-dev`), what a system call means (nobody on this side knows).
//! `unsafe` is in `sys` only.
#![deny(unsafe_code)]

mod bundle;
mod channel;
mod clients;
pub mod cpu_list;
pub mod daemon;
mod devices;
mod hang;
mod image;
mod init;
mod log_book;
mod manifest;
mod operations;
mod orders;
mod partition;
mod poller;
pub mod program;
pub mod protocol;
mod proxies;
mod proxy;
mod running;
mod sessions;
mod socket;
mod status;
mod survey;
#[allow(unsafe_code)]
mod sys;
mod table;
#[cfg(test)]
#[path = "../tests/loopback/image.rs"]
mod test_image;
#[cfg(test)]
#[path = "../tests/loopback/machine.rs"]
mod test_machine;

pub use sys::time_stamp;
