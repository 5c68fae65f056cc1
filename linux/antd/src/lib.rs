//! `antd`: the parent process of AnT/Linux (paper 3.3.2).
//!
//! One thread, one event loop over the socket, the partition, the control channel to AnT's `init`,
//! and the proxies. From the outside in:
//!
//! * [`daemon`]: the loop, and what each request of a client does. `poller`: what it waits for.
//!   `clients`: the connections.
//! * `running`: a partition that runs, with everything that belongs to it.
//!   `partition` (CPUs, image, bundle), `devices` (what is unused on Linux), `sessions` (programs of
//!   clients), `table` (raddr → proxy), `proxies` (their processes), `hang` (CPUs that hang).
//! * `manifest`: which OS servers there are, as a file says it; `bundle`: that, and their programs, as
//!   AnT reads it.
//! * `init`: the control channel. `pending`: its requests; `commands` and `list_query`: what they
//!   are for.
//! * `proxy`: what runs in a proxy process. `channel`: messages between parent and proxy.
//!   `identity`: the rights with which a proxy acts.
//! * `log_book`: AnT's kernel log. `explain`: sentences about errors. `text`: text that is not
//!   trusted. `ids`, `timeouts`.
//!
//! Deliberately absent: ioctls (`ant-dev`), messages of clients (`ant-protocol`), what a system call
//! means. `unsafe` is in `sys` only.
#![deny(unsafe_code)]

mod bundle;
mod channel;
mod clients;
mod commands;
pub mod daemon;
mod devices;
mod explain;
mod hang;
mod identity;
mod ids;
mod image;
mod init;
mod list_query;
mod log_book;
mod manifest;
mod partition;
mod pending;
mod poller;
mod proxies;
mod proxy;
mod running;
mod sessions;
#[expect(unsafe_code, reason = "the one module for what rustix lacks")]
mod sys;
mod table;
#[cfg(test)]
#[path = "../tests/loopback/image.rs"]
mod test_image;
#[cfg(test)]
#[path = "../tests/loopback/machine.rs"]
mod test_machine;
mod text;
mod timeouts;
