//! IPC as one CPU sees it: callers, receivers, and what waits between them.
//!
//! An [`IpcCpu`] is the state of one CPU. It knows the threads of its CPU by slot. A call to a
//! process of another CPU goes there as a [`Packet`], and so does its reply; between two CPUs
//! packets keep their order. CPUs share nothing else, so there is no lock.
//!
//! A client has at most one call under way. Whatever happens to the server, each call ends in
//! exactly one [`CallOutcome`]; whatever happens to the client, the server's CPU has forgotten the call
//! before the client is gone. Time-outs are the caller's of this module: it says when.
//!
//! *Priorities*: a message waits in the order of its sender's priority. A thread runs with the priority of
//! what it has received last, but not with more than its own, so that a flood of requests takes no time
//! from what has a higher priority than its senders; and with the highest among the callers that wait for
//! it, through any number of servers that call one another.
//!
//! Deliberately absent: registers, page tables, handles, clocks. They are behind [`IpcHost`].

mod cpu;
mod message;
mod priorities;
mod queue;
mod raised;

pub use cpu::{
    CallOptions, CallOutcome, Gone, IpcCpu, IpcHost, IpcMemory, IpcPlace, LoanEnd, NotWaiting,
    OnRestart, Received, SendError, Target,
};
pub use message::{CallRequest, Message, Packet, Parts, Token};
pub use queue::{QueueList, QueueNode, SENDS_PER_CPU, SendPlace};
pub use raised::Raised;

#[cfg(test)]
mod tests;
