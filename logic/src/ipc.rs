//! IPC as one CPU sees it: who calls, who receives, who waits for whom.
//!
//! A [`Station`] is the state of one CPU. It knows the processes of its CPU by slot. A call to a
//! process of another CPU goes there as a [`Packet`], and so does its reply; between two CPUs
//! packets keep their order. Nobody shares anything else, so there is no lock.
//!
//! A client has at most one call under way. Whatever happens to the server, each call ends in
//! exactly one [`Ending`]; whatever happens to the client, the server's CPU has forgotten the call
//! before the client is gone. Time-outs are the caller's of this module: it says when.
//!
//! *Priorities*: a message waits in the order of its sender's priority, and a server runs with the
//! highest priority among its own and those of the callers that wait for it, through any number of
//! servers that call one another.
//!
//! Deliberately absent: registers, page tables, handles, clocks. They are behind [`Outside`].

mod message;
mod priorities;
mod queue;
mod station;

pub use message::{Message, Packet, Parts, Request, Token};
pub use station::{
    Bounds, CallOptions, Ending, Gone, NotWaiting, Outside, Received, Station, Target,
};

/// Messages of [`Station::send`] that can wait on one CPU.
pub const STATION_SENDS: usize = queue::SENDS - 1;

#[cfg(test)]
mod tests;
