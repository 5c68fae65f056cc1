//! One OS server: its life is `ant_logic::server`'s, what it consists of is here.

use ant_abi::Error;
use ant_abi::ipc::ExitNotice;
use ant_api_init::KEPT_MAX;
use ant_logic::bundle::ServerSpec;
use ant_logic::server::Life;
use ant_rt::ica::{Pages, SharedPages};
use ant_rt::ipc::{self, Handle, Token};
use ant_rt::time;
use arrayvec::ArrayString;

use super::machine::{Around, Machine};
use crate::program::Program;

/// A server.
pub struct Server {
    pub(super) life: Life<Program, Token>,
    pub(super) own: Own,
}

/// What a server has beside its life.
pub struct Own {
    pub(super) index: usize,
    pub(super) spec: ServerSpec<'static>,
    pub(super) state_pages: Option<SharedPages>,
    /// A copy of them, which a program has that may turn out not to serve.
    pub(super) tried_pages: Option<SharedPages>,
    pub(super) kept: [Option<Handle>; KEPT_MAX as usize],
    pub(super) priority: u32,
    pub(super) cpu: u32,
    pub(super) last_end: ArrayString<56>,
    /// When its last process was asked for, in cycles of the time-stamp counter.
    pub(super) began: u64,
    /// How long that took to be ready, in cycles.
    pub(super) start_ticks: u64,
}

impl Server {
    /// About to be started.
    pub fn new(index: usize, spec: ServerSpec<'static>) -> Result<Self, Error> {
        let own = Own {
            index,
            state_pages: state_pages(&spec)?,
            tried_pages: None,
            kept: [None; KEPT_MAX as usize],
            priority: spec.priority,
            cpu: spec.cpu,
            spec,
            last_end: ArrayString::new(),
            began: 0,
            start_ticks: 0,
        };
        let program = Program::Bundled(spec.program);
        Ok(Self { life: Life::new(spec.restart, spec.watch, program), own })
    }

    /// What people call it.
    pub fn name(&self) -> &'static str {
        self.own.spec.name
    }

    /// Does what is due.
    pub fn advance(&mut self, around: &mut Around<'_>) {
        let now = around.now;
        self.life.advance(&mut Machine::new(&mut self.own, around), now);
    }

    /// Its bit among these shows that it lives.
    pub fn show_life(&mut self, around: &mut Around<'_>, bits: u64) {
        if bits & self.own.alive_bit() != 0 {
            let now = around.now;
            self.life.show_life(&mut Machine::new(&mut self.own, around), now);
        }
    }

    /// One of its processes is ready, and waits for its turn.
    pub fn ready(&mut self, around: &mut Around<'_>, pid: u32, token: Token) {
        if self.life.awaits(pid) {
            self.own.start_ticks = time::cycles() - self.own.began;
        }
        let now = around.now;
        self.life.ready(&mut Machine::new(&mut self.own, around), pid, token, now);
    }

    /// One of its processes has ended.
    pub fn ended(&mut self, around: &mut Around<'_>, end: &ExitNotice) {
        let now = around.now;
        let mut machine = Machine::new(&mut self.own, around);
        machine.end = Some(end);
        self.life.ended(&mut machine, end.pid, now);
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self, around: &mut Around<'_>, ticket: u32) -> Result<(), Error> {
        let now = around.now;
        self.life.restart(&mut Machine::new(&mut self.own, around), ticket, now)
    }

    /// Begins to put a program in its place.
    pub fn replace(
        &mut self,
        around: &mut Around<'_>,
        program: Program,
        ticket: u32,
    ) -> Result<(), Error> {
        let now = around.now;
        self.life.replace(&mut Machine::new(&mut self.own, around), program, ticket, now)
    }

    /// Whether this process of it shall end: another is bound to the endpoint.
    pub fn shall_retire(&self, pid: u32) -> bool {
        self.life.pid() != Some(pid)
    }

    /// Keeps a handle for its next process. `Again`: the next process has what was kept already.
    pub fn keep(&mut self, slot: u32, handle: Option<Handle>) -> Result<u64, Error> {
        let handle = handle.ok_or(Error::NoMemory)?;
        if self.life.is_being_replaced() {
            let _ = ipc::close(handle);
            return Err(Error::Again);
        }
        close(self.own.kept[slot as usize].replace(handle));
        Ok(0)
    }

    /// Keeps a handle no longer. `Again`: as of [`Server::keep`].
    pub fn forget(&mut self, slot: u32) -> Result<u64, Error> {
        if self.life.is_being_replaced() {
            return Err(Error::Again);
        }
        close(self.own.kept[slot as usize].take());
        Ok(0)
    }

    /// Its priority from now on.
    pub fn set_priority(&mut self, priority: u32) {
        self.own.priority = priority;
    }

    /// Its CPU from now on.
    pub fn set_cpu(&mut self, cpu: u32) {
        self.own.cpu = cpu;
    }
}

impl Own {
    /// The notification bit at `init`'s endpoint by which it shows that it lives.
    pub fn alive_bit(&self) -> u64 {
        1 << self.index
    }
}

/// Closes a handle of `init`'s.
pub(super) fn close(handle: Option<Handle>) {
    if let Some(handle) = handle {
        let _ = ipc::close(handle);
    }
}

/// What outlives its processes, zeroed.
pub(super) fn state_pages(spec: &ServerSpec<'_>) -> Result<Option<SharedPages>, Error> {
    if spec.state_pages == 0 {
        return Ok(None);
    }
    Ok(Some(Pages::alloc(spec.state_pages)?.into_shared()))
}
