//! All OS servers: whatever happens is brought to the server that it concerns.

mod grants;
mod replace;
mod report;
mod server;
mod watch;

use ant_abi::Error;
use ant_abi::control::ServerInfo;
use ant_abi::ipc::ProcessEnd;
use ant_api_init::Request as ToInit;
use ant_rt::ipc::{self, Handle, Message, Request};
use ant_rt::{ant, init_calls, log};
use arrayvec::ArrayVec;

use crate::manifest;
use crate::program::Program;
use server::Server;

pub use server::SIGKILL;

/// What every new process is given, and where it can be.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// `init`'s endpoint.
    init: Handle,
    /// The name service's endpoint.
    name: Handle,
    /// Cores of the partition.
    cores: u32,
}

/// The servers of the manifest, in its order.
pub struct Servers {
    list: ArrayVec<Server, { manifest::COUNT }>,
    init: Handle,
    cores: u32,
}

impl Servers {
    /// All of them, about to start. `init` is `init`'s endpoint.
    pub fn new(init: Handle) -> Result<Self, Error> {
        let cores = ant::system_info()?.cores;
        let mut list = ArrayVec::new();
        for (index, spec) in manifest::SERVERS.iter().enumerate() {
            list.push(Server::new(index, spec)?);
        }
        Ok(Self { list, init, cores })
    }

    /// The name service's endpoint.
    pub fn name_service(&self) -> Handle {
        self.list[0].endpoint()
    }

    /// Does what is due.
    pub fn advance(&mut self, now: u64) {
        let surroundings = self.surroundings();
        self.list.iter_mut().for_each(|server| server.advance(&surroundings, now));
    }

    /// When something is due next; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        self.list.iter().map(Server::deadline).min().unwrap_or(u64::MAX)
    }

    /// Takes notice of servers that have ended.
    pub fn collect_ended(&mut self, now: u64) {
        loop {
            match init_calls::process_ended() {
                Ok(Some(end)) => self.ended(&end, now),
                Ok(None) => return,
                Err(error) => return log!("init: which server has ended is unknown: {error:?}"),
            }
        }
    }

    /// Servers whose notification bits these are live.
    pub fn show_life(&mut self, bits: u64, now: u64) {
        self.list.iter_mut().for_each(|server| server.show_life(bits, now));
    }

    /// Serves a request of a server.
    pub fn call(&mut self, mut request: Request, now: u64) {
        // The badge that every server's handle to `init` has.
        let pid = request.badge as u32;
        let reply = match (ToInit::decode(request.words), self.by_pid(pid)) {
            (Err(error), _) => Err(error),
            (Ok(_), None) => Err(Error::NotPermitted),
            (Ok(ToInit::Ready), Some(server)) => {
                // Replies by itself: its turn may come later.
                return server.ready(pid, request.take_token(), now);
            }
            (Ok(ToInit::Retire), Some(server)) => Ok(u64::from(server.shall_retire(pid))),
            (Ok(ToInit::Keep(slot)), Some(server)) => server.keep(slot, request.take_handle()),
            (Ok(ToInit::Forget(slot)), Some(server)) => server.forget(slot),
        };
        if let Some(token) = request.take_token() {
            // Who does not wait any more needs no reply.
            let _ = ipc::reply(token, &mut Message::result(reply));
        }
    }

    /// For `server list`.
    pub fn info(&self) -> impl Iterator<Item = ServerInfo> {
        self.list.iter().map(Server::info)
    }

    /// Ends a server and starts it again; one that was given up begins anew.
    pub fn restart(&mut self, name: &str, now: u64) -> Result<(), Error> {
        self.by_name(name)?.forget_left()?;
        self.by_name(name)?.revive()?;
        let surroundings = self.surroundings();
        self.by_name(name)?.restart(&surroundings, now)
    }

    /// Begins to put a program in the place of a server; [`Servers::replaced`] says when it is over.
    pub fn replace(&mut self, name: &str, program: Program, now: u64) -> Result<(), Error> {
        self.by_name(name)?.revive()?;
        let surroundings = self.surroundings();
        self.by_name(name)?.replace(&surroundings, program, now)
    }

    /// How the replacement that was begun last has ended, once.
    pub fn replaced(&mut self) -> Option<Result<(), Error>> {
        self.list.iter_mut().find_map(Server::replaced)
    }

    /// `Busy` if this is a process of a server that is being replaced: what is said of one would be
    /// lost on the other.
    pub fn check_settled(&mut self, pid: u32) -> Result<(), Error> {
        let changes = self.by_pid(pid).is_some_and(|server| server.is_being_replaced());
        if changes { Err(Error::Busy) } else { Ok(()) }
    }

    /// Has a server keep a priority when it is started again, if this process is one.
    pub fn set_priority(&mut self, pid: u32, priority: u32) {
        if let Some(server) = self.by_pid(pid) {
            server.set_priority(priority);
        }
    }

    /// Has a server stay on a core when it is started again, if this process is one.
    pub fn set_core(&mut self, pid: u32, core: u32) {
        if let Some(server) = self.by_pid(pid) {
            server.set_core(core);
        }
    }

    fn ended(&mut self, end: &ProcessEnd, now: u64) {
        // Others are processes that could not even be started.
        if let Some(server) = self.by_pid(end.pid) {
            server.ended(end, now);
        }
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { init: self.init, name: self.name_service(), cores: self.cores }
    }

    fn by_pid(&mut self, pid: u32) -> Option<&mut Server> {
        self.list.iter_mut().find(|server| server.has(pid))
    }

    fn by_name(&mut self, name: &str) -> Result<&mut Server, Error> {
        self.list.iter_mut().find(|server| server.name() == name).ok_or(Error::NoEntry)
    }
}
