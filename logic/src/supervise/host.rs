//! What supervision asks of the kernel, and what it reports.

use ant_abi::Error;

/// The kernel, and what `init` keeps for one server. `P` is a program, `T` the call by which a process
/// says that it is ready.
pub trait ServerHost<P, T> {
    /// Makes a process of a program, which does not run yet; its id.
    fn create(&mut self, program: &P) -> Result<u32, Error>;
    /// Lets a new process run.
    fn run(&mut self, pid: u32) -> Result<(), Error>;
    /// Kills a process, which may have ended already. The endpoint has no receiver once a process that
    /// was bound to it has ended.
    fn kill(&mut self, pid: u32);
    /// Makes an endpoint for a server that was given up.
    fn open(&mut self) -> Result<(), Error>;
    /// Closes the endpoint: callers learn that the server is given up.
    fn close(&mut self);
    /// Binds a process to the endpoint; the endpoint's generation.
    fn bind(&mut self, pid: u32) -> Result<u32, Error>;
    /// Grants the devices to the process that is bound; no other process has them.
    fn grant(&mut self, pid: u32) -> Result<(), Error>;
    /// Lets a process begin to serve. Its first heartbeat says that it serves.
    fn grant_start(&mut self, ready_call: T, generation: u32);
    /// Reserves memory for a copy of the server's state. It is freed by `drop_state_copy`, `close` and
    /// the next `grant_start`.
    fn reserve_state_copy(&mut self) -> Result<(), Error>;
    /// Frees that memory.
    fn drop_state_copy(&mut self);
    /// As `grant_start`, of a process on probation: it gets a copy of the server's state, in the memory
    /// that is reserved.
    fn grant_probation(&mut self, ready_call: T, generation: u32);
    /// The copy is the server's state from now on.
    fn adopt_state_copy(&mut self);
    /// Tells a process that it may not begin.
    fn refuse_start(&mut self, ready_call: T);
    /// Asks the server for a heartbeat; `false`: its queue is full.
    fn request_heartbeat(&mut self) -> bool;
    /// Drops the state that the server's processes have left: it may be why they ended.
    fn clear_state(&mut self) -> Result<(), Error>;
    /// Reports an event, for the log and for `server list`.
    fn report(&mut self, event: Event);
}

/// What is reported of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The process that was bound to the endpoint has ended.
    Ended(Cause),
    /// No process could be started.
    NotStarted(Error),
    /// It is not restarted by itself any more.
    GivenUp,
}

/// Why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It exited, faulted, or was killed from outside.
    Exited,
    /// It did not serve in time.
    NotReady,
    /// Its heartbeat did not come in time.
    NoHeartbeat,
    /// A command restarts the server.
    Commanded,
    /// It was to take over and ended before; or it is the old one, and its successor ended.
    Successor,
}
