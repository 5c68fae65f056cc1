//! Supervision of OS servers: started, restarted after a failure, replaced, given up.
//!
//! * [`Supervised`]: one server. Its endpoint outlives its processes, so callers block over a restart, or
//!   learn of it, and need not look the endpoint up again.
//! * [`ServerHost`]: what it asks of the kernel.
//! * [`Policy`] and [`History`]: whether a server that has ended is restarted, and when.
//! * [`Heartbeat`]: how often a server must show that it still serves.
//! * [`PendingKills`]: processes that were killed and have not ended yet.
//!
//! Deliberately absent: system calls, texts, clocks. Time is in microseconds and comes in as an
//! argument.

mod host;
mod pending_kills;
mod policy;
mod replace;
mod server;
mod watchdog;

pub use host::{Cause, Event, ServerHost};
pub use pending_kills::PendingKills;
pub use policy::{DOUBLINGS_MAX, History, Policy, TRIES_MAX, Verdict};
pub use server::Supervised;
pub use watchdog::Heartbeat;

/// How long a process has to serve, or, if it is to take another's place, to be ready, and then, if its
/// command is not due earlier, to serve.
pub const START_US: u64 = 2_000_000;
/// Whatever happens, a command is answered by then.
pub const ANSWER_US: u64 = 3 * START_US;

#[cfg(test)]
mod tests;
