//! One OS server: how it is supervised is `ant_logic::supervise`'s, what it consists of is here.

use ant_abi::Error;
use ant_abi::ipc::ExitNotice;
use ant_api_init::KEPT_MAX;
use ant_logic::bundle::ServerSpec;
use ant_logic::supervise::Supervised;
use ant_rt::ica::{Pages, SharedPages};
use ant_rt::ipc::{self, Handle, Token};
use ant_rt::time;
use arrayvec::ArrayString;

use super::kernel_host::{Ctx, KernelHost};
use crate::program::Program;

/// A server.
pub struct Server {
    pub(super) supervised: Supervised<Program, Token>,
    pub(super) state: ServerState,
}

/// What a server consists of, beside the state of its supervision.
pub struct ServerState {
    pub(super) index: usize,
    pub(super) spec: ServerSpec<'static>,
    pub(super) state_pages: Option<SharedPages>,
    /// A copy of them, for a process on probation.
    pub(super) candidate_pages: Option<SharedPages>,
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
        let state = ServerState {
            index,
            state_pages: state_pages(&spec)?,
            candidate_pages: None,
            kept: [None; KEPT_MAX as usize],
            priority: spec.priority,
            cpu: spec.cpu,
            spec,
            last_end: ArrayString::new(),
            began: 0,
            start_ticks: 0,
        };
        let program = Program::Bundled(spec.program);
        Ok(Self { supervised: Supervised::new(spec.restart, spec.watch, program), state })
    }

    /// Its name in the manifest.
    pub fn name(&self) -> &'static str {
        self.state.spec.name
    }

    /// Does what is due.
    pub fn advance(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now;
        self.supervised.advance(&mut KernelHost::new(&mut self.state, ctx), now);
    }

    /// Its heartbeat, if its bit is among these.
    pub fn heartbeat(&mut self, ctx: &mut Ctx<'_>, bits: u64) {
        if bits & self.state.heartbeat_bit() != 0 {
            let now = ctx.now;
            self.supervised.heartbeat(&mut KernelHost::new(&mut self.state, ctx), now);
        }
    }

    /// One of its processes is ready to serve.
    pub fn ready(&mut self, ctx: &mut Ctx<'_>, pid: u32, token: Token) {
        if self.supervised.is_starting(pid) {
            self.state.start_ticks = time::cycles() - self.state.began;
        }
        let now = ctx.now;
        self.supervised.ready(&mut KernelHost::new(&mut self.state, ctx), pid, token, now);
    }

    /// One of its processes has ended.
    pub fn ended(&mut self, ctx: &mut Ctx<'_>, end: &ExitNotice) {
        let now = ctx.now;
        let mut host = KernelHost::new(&mut self.state, ctx);
        host.end = Some(end);
        self.supervised.ended(&mut host, end.pid, now);
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self, ctx: &mut Ctx<'_>, ticket: u32) -> Result<(), Error> {
        let now = ctx.now;
        self.supervised.restart(&mut KernelHost::new(&mut self.state, ctx), ticket, now)
    }

    /// Begins to put a program in its place.
    pub fn replace(
        &mut self,
        ctx: &mut Ctx<'_>,
        program: Program,
        ticket: u32,
    ) -> Result<(), Error> {
        let now = ctx.now;
        self.supervised.replace(&mut KernelHost::new(&mut self.state, ctx), program, ticket, now)
    }

    /// Whether this process of it is to end: another one is bound to the endpoint.
    pub fn shall_retire(&self, pid: u32) -> bool {
        self.supervised.pid() != Some(pid)
    }

    /// Keeps a handle for its next process. `Again`: the next process has what was kept already.
    pub fn keep(&mut self, slot: u32, handle: Option<Handle>) -> Result<u64, Error> {
        let handle = handle.ok_or(Error::NoMemory)?;
        if self.supervised.is_being_replaced() {
            let _ = ipc::close(handle);
            return Err(Error::Again);
        }
        close(self.state.kept[slot as usize].replace(handle));
        Ok(0)
    }

    /// Keeps a handle no longer. `Again`: as of [`Server::keep`].
    pub fn forget(&mut self, slot: u32) -> Result<u64, Error> {
        if self.supervised.is_being_replaced() {
            return Err(Error::Again);
        }
        close(self.state.kept[slot as usize].take());
        Ok(0)
    }

    /// Its priority from now on.
    pub fn set_priority(&mut self, priority: u32) {
        self.state.priority = priority;
    }

    /// Its CPU from now on.
    pub fn set_cpu(&mut self, cpu: u32) {
        self.state.cpu = cpu;
    }
}

impl ServerState {
    /// The notification bit at `init`'s endpoint that is its heartbeat.
    pub fn heartbeat_bit(&self) -> u64 {
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
