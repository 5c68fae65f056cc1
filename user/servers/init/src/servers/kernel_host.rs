//! What supervision has the kernel do for a server.

use ant_abi::Error;
use ant_abi::ipc::{ExitNotice, GRANT_MEMORY, REQUEST_ALIVE, ServerCreate};
use ant_api_init::StartGrant;
use ant_logic::supervise::{Event, PendingKills, ServerHost};
use ant_rt::ica::SharedPages;
use ant_rt::init_calls::{self, SIGKILL};
use ant_rt::ipc::{self, Handle, Message, Token};
use ant_rt::{log, time};
use zerocopy::FromZeros;

use super::server::{ServerState, close, state_pages};
use crate::program::Program;

/// What all servers share, while one event is handled.
pub struct Ctx<'a> {
    /// Now, in microseconds.
    pub now: u64,
    /// `init`'s endpoint.
    pub init: Handle,
    /// The name service's endpoint.
    pub name: Handle,
    /// CPUs of the partition.
    pub cpus: u32,
    /// Processes that were killed and have not ended.
    pub pending_kills: &'a mut PendingKills,
}

/// The kernel, as the host of one server.
pub struct KernelHost<'a, 'b> {
    state: &'a mut ServerState,
    ctx: &'a mut Ctx<'b>,
    /// The exit notice that is being handled.
    pub end: Option<&'a ExitNotice>,
}

impl<'a, 'b> KernelHost<'a, 'b> {
    /// Without an exit notice.
    pub fn new(state: &'a mut ServerState, ctx: &'a mut Ctx<'b>) -> Self {
        Self { state, ctx, end: None }
    }

    /// Grants a process that does not run yet the handles that every process of this server has, and its
    /// device memory: later, its page tables may be another CPU's.
    fn grant_handles(&self, pid: u32) -> Result<(), Error> {
        let badge = self.state.index as u64;
        // The name service may have a new endpoint.
        let name = if self.state.index == 0 { self.state.endpoint } else { self.ctx.name };
        let handles =
            [(name, badge), (self.ctx.init, u64::from(pid)), (self.state.endpoint, badge)];
        let kept = self.state.kept.iter().flatten().map(|&handle| (handle, 0));
        for (handle, badge) in handles.into_iter().chain(kept) {
            init_calls::handle_grant(pid, handle, badge)?;
        }
        self.grant_those(pid, |kind| kind == GRANT_MEMORY)
    }

    /// Replies to `Ready`. If the process has ended meanwhile, its exit notice follows.
    fn reply(&self, ready_call: Token, generation: u32, state_pages: Option<&SharedPages>) {
        let kept = self.state.kept.iter().enumerate();
        let kept = kept.fold(0, |bits, (slot, kept)| bits | u64::from(kept.is_some()) << slot);
        let grant = StartGrant { generation, heartbeat: self.state.heartbeat_bit(), kept };
        let mut message = Message::new(grant.encode());
        message.pages = state_pages.map(SharedPages::share);
        let _ = ipc::reply(ready_call, &mut message);
    }

    fn grant_those(&self, pid: u32, which: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut devices = self.state.spec.devices.iter().filter(|device| which(device.kind));
        devices.try_for_each(|device| init_calls::device_grant(pid, device))
    }
}

impl ServerHost<Program, Token> for KernelHost<'_, '_> {
    fn create(&mut self, program: &Program) -> Result<u32, Error> {
        let ServerState { spec, cpu, priority, .. } = *self.state;
        let mut request = ServerCreate::new_zeroed();
        request.cpu = cpu.min(self.ctx.cpus - 1);
        request.priority = priority;
        request.ica_pages = spec.ica_pages;
        request.name[..spec.name.len()].copy_from_slice(spec.name.as_bytes());
        self.state.began = time::cycles();
        let pid = init_calls::server_create(&request, program.bytes())?;
        self.grant_handles(pid).inspect_err(|_| self.kill(pid)).map(|()| pid)
    }

    fn run(&mut self, pid: u32) -> Result<(), Error> {
        init_calls::process_start(pid)
    }

    fn kill(&mut self, pid: u32) {
        if kill(pid) {
            self.ctx.pending_kills.add(pid, self.ctx.now);
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        let endpoint = init_calls::endpoint_create()?;
        close(Some(core::mem::replace(&mut self.state.endpoint, endpoint)));
        Ok(())
    }

    fn close(&mut self) {
        self.state.candidate_pages = None;
        if let Err(error) = init_calls::endpoint_close(self.state.endpoint) {
            log!("init: the endpoint of {} cannot be closed: {error:?}", self.state.spec.name);
        }
    }

    fn bind(&mut self, pid: u32) -> Result<u32, Error> {
        init_calls::endpoint_bind(self.state.endpoint, pid)
    }

    fn grant(&mut self, pid: u32) -> Result<(), Error> {
        self.grant_those(pid, |kind| kind != GRANT_MEMORY)
    }

    fn grant_start(&mut self, ready_call: Token, generation: u32) {
        self.state.candidate_pages = None;
        let pages = self.state.state_pages.as_ref();
        self.reply(ready_call, generation, pages);
    }

    fn reserve_state_copy(&mut self) -> Result<(), Error> {
        self.state.candidate_pages = state_pages(self.state.spec)?;
        Ok(())
    }

    fn drop_state_copy(&mut self) {
        self.state.candidate_pages = None;
    }

    fn grant_probation(&mut self, ready_call: Token, generation: u32) {
        if let (Some(tried), Some(pages)) = (&self.state.candidate_pages, &self.state.state_pages) {
            tried.copy_from(pages);
        }
        self.reply(ready_call, generation, self.state.candidate_pages.as_ref());
    }

    fn adopt_state_copy(&mut self) {
        self.state.state_pages = self.state.candidate_pages.take();
    }

    fn refuse_start(&mut self, ready_call: Token) {
        let _ = ipc::reply(ready_call, &mut Message::result(Err(Error::NotPermitted)));
    }

    fn request_heartbeat(&mut self) -> bool {
        let ask = || ipc::send(self.state.endpoint, &mut Message::new([REQUEST_ALIVE, 0, 0, 0]));
        // The first after a restart is meant for the generation before, says the kernel.
        match ask() {
            Err(Error::PeerRestarted) => ask().is_ok(),
            sent => sent.is_ok(),
        }
    }

    fn clear_state(&mut self) -> Result<(), Error> {
        self.state.state_pages = state_pages(self.state.spec)?;
        self.state.kept.iter_mut().for_each(|kept| close(kept.take()));
        Ok(())
    }

    fn report(&mut self, event: Event) {
        self.state.report(event, self.end);
    }
}

/// Kills a process; whether there is such a process. An exit notice says when it has ended.
pub(super) fn kill(pid: u32) -> bool {
    init_calls::process_kill(pid, SIGKILL) != Err(Error::NoProcess)
}
