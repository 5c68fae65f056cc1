//! All OS servers: dispatches each event to the server that it concerns.

mod kernel_host;
mod report;
mod server;

use ant_abi::Error;
use ant_abi::bundle::BUNDLE_SERVERS;
use ant_abi::control::ServerInfo;
use ant_abi::ipc::ExitNotice;
use ant_abi::syscall::SystemInfo;
use ant_api_init::Request as ToInit;
use ant_logic::bundle::Bundle;
use ant_logic::supervise::PendingKills;
use ant_rt::ipc::{self, Handle, Message, Request};
use ant_rt::{ant, init_calls, log};
use arrayvec::ArrayVec;

use crate::program::Program;
use kernel_host::Ctx;
use server::Server;

/// The servers of the bundle, in its order.
pub struct Servers {
    list: ArrayVec<Server, BUNDLE_SERVERS>,
    /// What each is called.
    names: ArrayVec<&'static str, BUNDLE_SERVERS>,
    /// Where each receives.
    endpoints: ArrayVec<Handle, BUNDLE_SERVERS>,
    init: Handle,
    cpus: u32,
    pending_kills: PendingKills,
}

impl Servers {
    /// All of them, about to start. `init` is `init`'s endpoint.
    pub fn new(init: Handle) -> Result<Self, Error> {
        let SystemInfo { cpus, .. } = ant::system_info()?;
        // The m-kernel has parsed it before, so it is one.
        let bundle = Bundle::parse(init_calls::bundle()).map_err(|_| Error::Protocol)?;
        let names = bundle.servers().map(|spec| spec.name).collect();
        let (mut list, mut endpoints) = (ArrayVec::new(), ArrayVec::new());
        for (index, spec) in bundle.servers().enumerate() {
            endpoints.push(init_calls::endpoint_create()?);
            list.push(Server::new(index, spec)?);
        }
        Ok(Self { list, names, endpoints, init, cpus, pending_kills: PendingKills::new() })
    }

    /// The name service's endpoint.
    pub fn name_service(&self) -> Handle {
        self.endpoints[0]
    }

    /// Does what is due.
    pub fn advance(&mut self, now: u64) {
        self.pending_kills.advance(now, kernel_host::kill);
        let (list, mut ctx) = self.parts(now);
        list.iter_mut().for_each(|server| server.advance(&mut ctx));
    }

    /// When something is due next; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        let lives = self.list.iter().map(|server| server.supervised.deadline());
        lives.min().unwrap_or(u64::MAX).min(self.pending_kills.deadline())
    }

    /// Takes the exit notices of servers.
    pub fn collect_ended(&mut self, now: u64) {
        loop {
            match init_calls::process_ended() {
                Ok(Some(end)) => self.ended(&end, now),
                Ok(None) => return,
                Err(error) => return log!("init: which server has ended is unknown: {error:?}"),
            }
        }
    }

    /// Heartbeats of the servers that have these notification bits.
    pub fn heartbeat(&mut self, bits: u64, now: u64) {
        let (list, mut ctx) = self.parts(now);
        list.iter_mut().for_each(|server| server.heartbeat(&mut ctx, bits));
    }

    /// Serves a request of a server.
    pub fn call(&mut self, mut request: Request, now: u64) {
        // The badge that every server's handle to `init` has.
        let pid = request.badge as u32;
        let (list, mut ctx) = self.parts(now);
        let reply = match (ToInit::decode(request.words), with_pid(list, pid)) {
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(Error::NotPermitted),
            (Ok(ToInit::Ready), Some(server)) => {
                // Replied to when the server may start, which may be later.
                let token = request.take_token();
                return token.map_or((), |token| server.ready(&mut ctx, pid, token));
            }
            (Ok(ToInit::Retire), Some(server)) => Ok(u64::from(server.shall_retire(pid))),
            (Ok(ToInit::Keep(slot)), Some(server)) => server.keep(slot, request.take_handle()),
            (Ok(ToInit::Forget(slot)), Some(server)) => server.forget(slot),
        };
        if let Some(token) = request.take_token() {
            // A caller that does not wait any more needs no reply.
            let _ = ipc::reply(token, &mut Message::result(reply));
        }
    }

    /// For `server list`.
    pub fn info(&self) -> impl Iterator<Item = ServerInfo> {
        self.list.iter().map(Server::info)
    }

    /// Kills a server and restarts it; one that was given up starts with a clean record. [`Servers::answer`] says
    /// with this ticket when it serves.
    pub fn restart(&mut self, name: &str, ticket: u32, now: u64) -> Result<(), Error> {
        let (list, mut ctx) = self.parts(now);
        with_name(list, name)?.restart(&mut ctx, ticket)
    }

    /// Begins to put a program in the place of a server. [`Servers::answer`] says with this ticket how
    /// that has ended.
    pub fn replace(
        &mut self,
        name: &str,
        program: Program,
        ticket: u32,
        now: u64,
    ) -> Result<(), Error> {
        let (list, mut ctx) = self.parts(now);
        with_name(list, name)?.replace(&mut ctx, program, ticket)
    }

    /// Ticket and result of a command that is complete, once.
    pub fn answer(&mut self) -> Option<(u32, Result<(), Error>)> {
        self.list.iter_mut().find_map(|server| server.supervised.answer())
    }

    /// `Busy` if this is a process of a server that is being replaced: what is said of one would be
    /// lost on the other.
    pub fn check_settled(&mut self, pid: u32) -> Result<(), Error> {
        let server = with_pid(&mut self.list, pid);
        let changes = server.is_some_and(|server| server.supervised.is_being_replaced());
        if changes { Err(Error::Busy) } else { Ok(()) }
    }

    /// Has a server keep a priority when it is restarted, if this process is one.
    pub fn set_priority(&mut self, pid: u32, priority: u32) {
        if let Some(server) = with_pid(&mut self.list, pid) {
            server.set_priority(priority);
        }
    }

    /// Has a server stay on a CPU when it is restarted, if this process is one.
    pub fn set_cpu(&mut self, pid: u32, cpu: u32) {
        if let Some(server) = with_pid(&mut self.list, pid) {
            server.set_cpu(cpu);
        }
    }

    fn ended(&mut self, end: &ExitNotice, now: u64) {
        self.pending_kills.ended(end.pid);
        let (list, mut ctx) = self.parts(now);
        // Others are processes that could not even be started.
        if let Some(server) = with_pid(list, end.pid) {
            server.ended(&mut ctx, end);
        }
    }

    fn parts(&mut self, now: u64) -> (&mut [Server], Ctx<'_>) {
        let Self { list, names, endpoints, init, cpus, pending_kills } = self;
        (list, Ctx { now, init: *init, names, endpoints, cpus: *cpus, pending_kills })
    }
}

fn with_pid(list: &mut [Server], pid: u32) -> Option<&mut Server> {
    list.iter_mut().find(|server| server.supervised.owns(pid))
}

fn with_name<'a>(list: &'a mut [Server], name: &str) -> Result<&'a mut Server, Error> {
    list.iter_mut().find(|server| server.name() == name).ok_or(Error::NoEntry)
}
