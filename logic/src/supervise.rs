//! Supervision of OS servers: started, restarted after a failure, replaced, given up.
//!
//! * [`Supervised`]: one server. Its endpoint outlives its processes, so callers block over a restart, or
//!   learn of it, and need not look the endpoint up again.
//! * [`ServerHost`]: what it asks of the kernel.
//! * [`Policy`] and [`History`]: whether a server that has ended is restarted, and when.
//! * [`Heartbeat`]: how often a server must show that it still serves.
//! * [`PendingKills`]: processes that were killed and have not ended yet.
//!
//! A server says that it is *ready*, and waits for its turn; when it has its state pages and its
//! devices, it says that it *serves*. A replacement becomes ready beside the running process, or
//! alone if the server waits for a restart or is given up; then the old process ends, and the new
//! one has its turn, on probation, with a copy of the state pages. The server keeps its program and
//! its state pages until the new process serves: a failed one leaves them as they were, and the old
//! process running if the new one was not even ready.
//!
//! A command (restart, replace) gets one answer: when the server serves, or when it is known that it
//! does not. A successor that does not serve by then is ended.
//!
//! Times: a fault or a kill is noticed at once, a server that hangs within `every_us` + `answer_us`
//! of its [`Heartbeat`]; it is restarted at once, then after growing pauses ([`Policy`]). It must
//! serve within [`START_US`]; one that is replaced has `FINISH_US` (`replace`) to finish its work;
//! the answer comes within [`ANSWER_US`].
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
