//! What the life of a server has the kernel do.

use core::fmt::Write;

use ant_abi::Error;
use ant_abi::bundle::{HANDLE_INIT, HANDLE_OWN, USES_MAX};
use ant_abi::ipc::{
    ENVIRONMENT_MAX, ExitNotice, GRANT_MEMORY, HANDLES, REQUEST_ALIVE, ServerCreate,
};
use ant_abi::syscall::NAME_LEN;
use ant_api_init::{FIRST_KEPT, KEPT_MAX, Welcome};
use ant_logic::server::{Doomed, Note, ServerHost};
use ant_rt::ica::SharedPages;
use ant_rt::ipc::{self, Handle, Message, Token};
use ant_rt::{init_calls, log, time};
use arrayvec::ArrayString;
use zerocopy::FromZeros;

use super::server::{Own, close, state_pages};
use crate::program::Program;

// A server's own handles, those that are kept for it, and those to servers that it uses leave it room for
// more; and what they are called fits.
const _: () = assert!(2 + KEPT_MAX as usize + USES_MAX < HANDLES);
const _: () = assert!((2 + USES_MAX) * (NAME_LEN + "=99\0".len()) <= ENVIRONMENT_MAX);

/// The signal that ends what does not end by itself.
pub const SIGKILL: u32 = 9;

/// What all servers have in common, at one moment.
pub struct Around<'a> {
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
    /// Processes that are to end.
    pub doomed: &'a mut Doomed,
}

/// The kernel, as one server sees it.
pub struct Machine<'a, 'b> {
    own: &'a mut Own,
    around: &'a mut Around<'b>,
    /// The end that is being told.
    pub end: Option<&'a ExitNotice>,
}

impl<'a, 'b> Machine<'a, 'b> {
    /// When no end is told.
    pub fn new(own: &'a mut Own, around: &'a mut Around<'b>) -> Self {
        Self { own, around, end: None }
    }

    /// Gives a process that does not run yet the handles that every process of this server has, and its
    /// device memory: later, its page tables may be another CPU's.
    fn equip(&self, pid: u32) -> Result<(), Error> {
        let badge = self.own.index as u64;
        let own = [(self.around.init, u64::from(pid)), (self.endpoint(), badge)];
        let kept = self.own.kept.iter().flatten().map(|&handle| (handle, 0));
        let used = self.own.spec.uses().map(|index| (self.around.endpoints[index], badge));
        for (handle, badge) in own.into_iter().chain(kept).chain(used) {
            init_calls::handle_grant(pid, handle, badge)?;
        }
        self.grant_those(pid, |kind| kind == GRANT_MEMORY)
    }

    /// Under which names it has which of them: they are numbered in the order in which `equip` gives
    /// them.
    fn environment(&self) -> ArrayString<ENVIRONMENT_MAX> {
        let first_used = FIRST_KEPT + self.own.kept.iter().flatten().count() as u64;
        let used = self.own.spec.uses().map(|index| self.around.names[index]).zip(first_used..);
        let mut environment = ArrayString::new();
        for (name, number) in [(HANDLE_INIT, 1), (HANDLE_OWN, 2)].into_iter().chain(used) {
            // As many as a server can use fit.
            let _ = write!(environment, "{name}={number}\0");
        }
        environment
    }

    fn endpoint(&self) -> Handle {
        self.around.endpoints[self.own.index]
    }

    /// Replies to `Ready`. If the process has ended meanwhile, `init` is about to be told so.
    fn reply(&self, turn: Token, generation: u32, state_pages: Option<&SharedPages>) {
        let kept = self.own.kept.iter().enumerate();
        let kept = kept.fold(0, |bits, (slot, kept)| bits | u64::from(kept.is_some()) << slot);
        let welcome = Welcome { generation, alive: self.own.alive_bit(), kept };
        let mut message = Message::new(welcome.encode());
        message.pages = state_pages.map(SharedPages::share);
        let _ = ipc::reply(turn, &mut message);
    }

    fn grant_those(&self, pid: u32, which: impl Fn(u32) -> bool) -> Result<(), Error> {
        let mut devices = self.own.spec.grants.iter().filter(|device| which(device.kind));
        devices.try_for_each(|device| init_calls::device_grant(pid, device))
    }
}

impl ServerHost<Program, Token> for Machine<'_, '_> {
    fn create(&mut self, program: &Program) -> Result<u32, Error> {
        let Own { spec, cpu, priority, .. } = self.own;
        let (cpu, priority) = (*cpu, *priority);
        let mut request = ServerCreate::new_zeroed();
        request.cpu = cpu.min(self.around.cpus - 1);
        request.priority = priority;
        request.ica_pages = spec.ica_pages;
        request.name[..spec.name.len()].copy_from_slice(spec.name.as_bytes());
        self.own.began = time::cycles();
        let environment = self.environment();
        let pid = init_calls::server_create(request, environment.as_bytes(), program.bytes())?;
        self.equip(pid).inspect_err(|_| self.kill(pid)).map(|()| pid)
    }

    fn run(&mut self, pid: u32) -> Result<(), Error> {
        init_calls::process_start(pid)
    }

    fn kill(&mut self, pid: u32) {
        if kill(pid) {
            self.around.doomed.add(pid, self.around.now);
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        let endpoint = init_calls::endpoint_create()?;
        let place = &mut self.around.endpoints[self.own.index];
        close(Some(core::mem::replace(place, endpoint)));
        Ok(())
    }

    fn close(&mut self) {
        self.own.tried_pages = None;
        if let Err(error) = init_calls::endpoint_close(self.endpoint()) {
            log!("init: the endpoint of {} cannot be closed: {error:?}", self.own.spec.name);
        }
    }

    fn bind(&mut self, pid: u32) -> Result<u32, Error> {
        init_calls::endpoint_bind(self.endpoint(), pid)
    }

    fn grant(&mut self, pid: u32) -> Result<(), Error> {
        self.grant_those(pid, |kind| kind != GRANT_MEMORY)
    }

    fn welcome(&mut self, turn: Token, generation: u32) {
        self.own.tried_pages = None;
        let pages = self.own.state_pages.as_ref();
        self.reply(turn, generation, pages);
    }

    fn make_room(&mut self) -> Result<(), Error> {
        self.own.tried_pages = state_pages(&self.own.spec)?;
        Ok(())
    }

    fn drop_room(&mut self) {
        self.own.tried_pages = None;
    }

    fn try_out(&mut self, turn: Token, generation: u32) {
        if let (Some(tried), Some(pages)) = (&self.own.tried_pages, &self.own.state_pages) {
            tried.copy_from(pages);
        }
        self.reply(turn, generation, self.own.tried_pages.as_ref());
    }

    fn adopt(&mut self) {
        self.own.state_pages = self.own.tried_pages.take();
    }

    fn refuse(&mut self, turn: Token) {
        let _ = ipc::reply(turn, &mut Message::result(Err(Error::NotPermitted)));
    }

    fn ask(&mut self) -> bool {
        let ask = || ipc::send(self.endpoint(), &mut Message::new([REQUEST_ALIVE, 0, 0, 0]));
        // The first after a restart is meant for the generation before, says the kernel.
        match ask() {
            Err(Error::PeerRestarted) => ask().is_ok(),
            sent => sent.is_ok(),
        }
    }

    fn forget(&mut self) -> Result<(), Error> {
        self.own.state_pages = state_pages(&self.own.spec)?;
        self.own.kept.iter_mut().for_each(|kept| close(kept.take()));
        Ok(())
    }

    fn note(&mut self, note: Note) {
        self.own.note(note, self.end);
    }
}

/// Tells a process to end. Whether there is such a process; `init` is told when it has ended.
pub(super) fn kill(pid: u32) -> bool {
    init_calls::process_kill(pid, SIGKILL) != Err(Error::NoProcess)
}
