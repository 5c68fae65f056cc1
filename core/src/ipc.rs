//! IPC as one core sees it: who calls, who receives, who waits for whom.
//!
//! A [`Station`] is the state of one core. It knows the processes of its core by slot. A call to a
//! process of another core goes there as a [`Packet`], and so does its reply; between two cores
//! packets keep their order. Nobody shares anything else, so there is no lock.
//!
//! A client has at most one call under way. Whatever happens to the server, each call ends in
//! exactly one [`Ending`]; whatever happens to the client, the server's core has forgotten the call
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

/// Messages of [`Station::send`] that can wait on one core.
pub const STATION_SENDS: usize = queue::SENDS - 1;

#[cfg(test)]
mod tests;
