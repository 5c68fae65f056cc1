//! What supervision has the kernel do for a server.

use core::fmt::Write;

use ant_abi::Error;
use ant_abi::bundle::{HANDLE_INIT, HANDLE_OWN, USES_MAX};
use ant_abi::ipc::{
    DeviceGrant, ENVIRONMENT_MAX, ExitNotice, GrantKind, HANDLES, REQUEST_ALIVE, ServerCreate,
};
use ant_abi::syscall::NAME_LEN;
use ant_api_init::{FIRST_KEPT, KEPT_MAX, StartGrant};
use ant_logic::devices;
use ant_logic::supervise::{Event, PendingKills, ServerHost};
use ant_rt::ica::SharedPages;
use ant_rt::init_calls::{self, SIGKILL};
use ant_rt::ipc::{self, Handle, Message, Token};
use ant_rt::{log, time};
use arrayvec::ArrayString;
use zerocopy::FromZeros;

use super::server::{ServerState, close, state_pages};
use crate::program::Program;

// A server's own handles, those that are kept for it, and those to servers that it uses leave it room for
// more; and what they are called fits.
const _: () = assert!(2 + KEPT_MAX as usize + USES_MAX < HANDLES);
const _: () = assert!((2 + USES_MAX) * (NAME_LEN + "=99\0".len()) <= ENVIRONMENT_MAX);

/// What all servers share, while one event is handled.
pub struct Ctx<'a> {
    /// Now, in microseconds.
    pub now: u64,
    /// `init`'s endpoint.
    pub init: Handle,
    /// The servers' endpoints, by their indices.
    pub endpoints: &'a mut [Handle],
    /// The servers' names, likewise.
    pub names: &'a [&'static str],
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
        let own = [(self.ctx.init, u64::from(pid)), (self.endpoint(), badge)];
        let kept = self.state.kept.iter().flatten().map(|&handle| (handle, 0));
        let used = self.state.spec.uses().map(|index| (self.ctx.endpoints[index], badge));
        for (handle, badge) in own.into_iter().chain(kept).chain(used) {
            init_calls::handle_grant(pid, handle, badge)?;
        }
        self.grant_those(pid, |kind| kind == u32::from(GrantKind::Memory))?;
        self.grant_devices(pid, GrantKind::DeviceMemory)
    }

    /// Under which names a process has which of them: they are numbered in the order in which
    /// `grant_handles` grants them.
    fn environment(&self) -> ArrayString<ENVIRONMENT_MAX> {
        let first_used = FIRST_KEPT + self.state.kept.iter().flatten().count() as u64;
        let used = self.state.spec.uses().map(|index| self.ctx.names[index]).zip(first_used..);
        let mut environment = ArrayString::new();
        for (name, number) in [(HANDLE_INIT, 1), (HANDLE_OWN, 2)].into_iter().chain(used) {
            // As many as a server can use fit.
            let _ = write!(environment, "{name}={number}\0");
        }
        environment
    }

    fn endpoint(&self) -> Handle {
        self.ctx.endpoints[self.state.index]
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
        let mut devices = self.state.spec.grants.iter().filter(|device| which(device.kind));
        devices.try_for_each(|device| init_calls::device_grant(pid, device))
    }

    /// Grants a part of the devices that the server has whole.
    fn grant_devices(&self, pid: u32, part: GrantKind) -> Result<(), Error> {
        self.state.spec.devices().try_for_each(|device| {
            let start = devices::find(device.name, init_calls::device_get)?;
            let grant = DeviceGrant { kind: part.into(), reserved: 0, start, len: device.bit };
            init_calls::device_grant(pid, &grant)
        })
    }
}

impl ServerHost<Program, Token> for KernelHost<'_, '_> {
    fn create(&mut self, program: &Program) -> Result<u32, Error> {
        let ServerState { spec, cpu, priority, .. } = self.state;
        let (cpu, priority) = (*cpu, *priority);
        let mut request = ServerCreate::new_zeroed();
        request.cpu = cpu.min(self.ctx.cpus - 1);
        request.priority = priority;
        request.ica_pages = spec.ica_pages;
        request.name[..spec.name.len()].copy_from_slice(spec.name.as_bytes());
        self.state.began = time::cycles();
        let environment = self.environment();
        let pid = init_calls::server_create(request, environment.as_bytes(), program.bytes())?;
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
        let place = &mut self.ctx.endpoints[self.state.index];
        close(Some(core::mem::replace(place, endpoint)));
        Ok(())
    }

    fn close(&mut self) {
        self.state.candidate_pages = None;
        if let Err(error) = init_calls::endpoint_close(self.endpoint()) {
            log!("init: the endpoint of {} cannot be closed: {error:?}", self.state.spec.name);
        }
    }

    fn bind(&mut self, pid: u32) -> Result<u32, Error> {
        init_calls::endpoint_bind(self.endpoint(), pid)
    }

    fn grant(&mut self, pid: u32) -> Result<(), Error> {
        self.grant_those(pid, |kind| kind != u32::from(GrantKind::Memory))?;
        self.grant_devices(pid, GrantKind::Device)
    }

    fn grant_start(&mut self, ready_call: Token, generation: u32) {
        self.state.candidate_pages = None;
        let pages = self.state.state_pages.as_ref();
        self.reply(ready_call, generation, pages);
    }

    fn reserve_state_copy(&mut self) -> Result<(), Error> {
        self.state.candidate_pages = state_pages(&self.state.spec)?;
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
        let ask = || ipc::send(self.endpoint(), &mut Message::new([REQUEST_ALIVE, 0, 0, 0]));
        // The first after a restart is meant for the generation before, says the kernel.
        match ask() {
            Err(Error::PeerRestarted) => ask().is_ok(),
            sent => sent.is_ok(),
        }
    }

    fn clear_state(&mut self) -> Result<(), Error> {
        self.state.state_pages = state_pages(&self.state.spec)?;
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
