//! A partition with all that lives with it: the parent at work (paper 4.3).
//!
//! Events come in ([`Running::partition_event`], [`Running::proxy_ended`],
//! [`Running::init_answers`], [`Running::tick`]), and what clients want ([`Running::run`],
//! [`Running::end_session`] and others); out go proxies, releases and replies.
//!
//! Deliberately absent: how a decision about an LCA is made (`table`), what clients may do
//! (`operations`, `orders`), which CPUs hang (`hang`), what AnT consists of (`survey`).

mod programs;
mod requests;

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use ant_abi::Error;
use ant_abi::store::StoreEntry;
use ant_dev::Release;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;

use self::requests::Unreleased;
use crate::channel::{Assignment, Notice};
use crate::clients::{ClientId, Clients, Peer};
use crate::hang::Watch;
use crate::init::{self, ANSWER_LIMIT, Answer, InitChannel, Want};
use crate::log_book::LogBook;
use crate::orders::Order;
use crate::partition::Partition;
use crate::poller::{Poller, Source};
use crate::protocol::{Outcome, Reply, Run};
use crate::proxies::Proxies;
use crate::proxy::Identity;
use crate::sessions::{Awaited, Ending, INIT, Session, Sessions, Stage};
use crate::status::Probe;
use crate::sys;
use crate::table::{Leaving, OnLeaving, OnRequest, ProxyId, SessionId, Table};

/// Most requests that can wait: one of each process.
const REQUESTS_MAX: usize = ant_abi::MAX_PROCESSES;
/// Longest wait between two looks at the CPUs and their logs.
const TICK: Duration = Duration::from_secs(1);
/// The same while somebody waits for an answer.
const TICK_AWAITING: Duration = Duration::from_millis(100);

/// AnT cannot go on; why.
#[derive(Debug)]
pub struct Collapse(pub String);

/// What the daemon has beside a partition.
pub struct Ports<'a> {
    /// What it waits for.
    pub poller: &'a Poller,
    /// Who is connected.
    pub clients: &'a mut Clients,
}

impl Ports<'_> {
    pub(crate) fn send(&mut self, client: Option<ClientId>, reply: &Reply) {
        if let Some(client) = client {
            self.clients.send(client, reply, self.poller);
        }
    }
}

/// A partition and all that lives with it.
pub struct Running {
    pub(crate) partition: Partition,
    pub(crate) table: Table,
    pub(crate) proxies: Proxies,
    pub(crate) sessions: Sessions,
    pub(crate) init: InitChannel,
    /// Why the control channel does not work any more.
    pub(crate) init_gone: Option<String>,
    pub(crate) probe: Option<Probe>,
    pub(crate) watch: Watch,
    /// LCAs that could not be released yet; none twice.
    unreleased: Vec<Unreleased>,
}

impl Running {
    /// Begins to serve a partition that was just booted.
    ///
    /// # Errors
    ///
    /// The daemon lacks descriptors; the partition has been stopped.
    pub fn new(partition: Partition, prefork: usize, poller: &Poller) -> Result<Self, Errno> {
        let (init, init_socket) = InitChannel::new()?;
        let mut sessions = Sessions::default();
        sessions.insert_init(init_session(init_socket)?);
        let mut table = Table::default();
        table.admit(partition.init_lca(), INIT);
        poller.add(&init, Source::Init, EpollFlags::EPOLLIN)?;
        let wanted = EpollFlags::EPOLLIN | EpollFlags::EPOLLPRI;
        poller.add(partition.control(), Source::Partition, wanted)?;
        let mut proxies = Proxies::new(partition.control().binder(), prefork);
        proxies.refill(poller);
        let watch = Watch::new(partition.cpus.len(), Instant::now());
        let (init_gone, probe, unreleased) = (None, None, Vec::new());
        Ok(Self { partition, table, proxies, sessions, init, init_gone, probe, watch, unreleased })
    }

    /// How long nothing needs to be done if nothing happens.
    #[must_use]
    pub fn idle_time(&self) -> Duration {
        let ends = |session: &Session| {
            let limited = session.ending.as_ref().is_some_and(|ending| ending.limit.is_some());
            limited || session.awaited.is_some()
        };
        let now = Instant::now();
        let release =
            self.unreleased.iter().map(|one| one.next.saturating_duration_since(now)).min();
        let awaiting = if self.probe.is_some() {
            Probe::STEP
        } else if self.init.awaits() || self.sessions.iter().any(|(_, session)| ends(session)) {
            TICK_AWAITING
        } else {
            TICK
        };
        release.map_or(awaiting, |release| release.min(awaiting))
    }

    /// Whether [`Running::tick`] has something to do at once.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.proxies.lacking() || !self.unreleased.is_empty()
    }

    /// The control file has something: requests, or bad news.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn partition_event(
        &mut self,
        events: EpollFlags,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        // One: mostly there is one, and to ask whether there is another would delay its proxy if
        // both share a CPU. If there is, the event comes again.
        self.take_requests(1, ports)?;
        if events.intersects(EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP) {
            return Err(Collapse("the module has stopped the partition".into()));
        }
        self.check_cpus()
    }

    /// # Errors
    ///
    /// A CPU has panicked.
    pub fn check_cpus(&self) -> Result<(), Collapse> {
        match self.partition.panicked() {
            None => Ok(()),
            Some(cpu) => Err(Collapse(format!("AnT's kernel on CPU {cpu} panicked"))),
        }
    }

    /// What `init` has answered.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn init_answers(&mut self, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        while let Some(answer) = self.init.answer() {
            let Answer { want, late, reply, rest } = answer;
            match want {
                Want::Spawn(session) => self.spawned(session, late, &reply, ports)?,
                Want::KillSession(session) => self.kill_answered(session, reply.result, ports)?,
                Want::Order(client, order) => self.ordered(client, &order, reply.result, ports),
                Want::Processes(survey) => self.processes_came(survey, reply.result, &rest, ports),
                Want::Servers(survey) => self.servers_came(survey, reply.result, &rest, ports),
                Want::Program(client, upload) => {
                    self.piece_came(client, upload, reply.result, ports);
                }
            }
        }
        Ok(())
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn tick(&mut self, now: Instant, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        self.check_cpus()?;
        self.retry_releases(now);
        self.proxies.refill(ports.poller);
        for want in self.init.expired(now) {
            self.disappoint(want, ports);
        }
        let over = |session: &Session| {
            let limit = session.ending.as_ref().and_then(|ending| ending.limit);
            limit.is_some_and(|limit| limit <= now)
        };
        let late: Vec<SessionId> =
            self.sessions.iter().filter(|(_, s)| over(s)).map(|(id, _)| id).collect();
        for id in late {
            self.give_up(id, ports);
        }
        self.watch_cpus(now, ports)
    }

    /// Tells everybody who waits for the end of a session that AnT does not answer. The session
    /// stays, for the end may yet come.
    fn give_up(&mut self, id: SessionId, ports: &mut Ports<'_>) {
        let text = self.no_answer_of(id);
        let Some(session) = self.sessions.get_mut(id) else { return };
        let client = session.client.take();
        let mut waiters = Vec::new();
        if let Some(ending) = &mut session.ending {
            ending.limit = None;
            waiters = std::mem::take(&mut ending.waiters);
        }
        for client in client.into_iter().chain(waiters) {
            ports.send(Some(client), &Reply::Failed(text.clone()));
        }
    }

    /// Tells who waits for `init` that there will be no answer.
    fn disappoint(&mut self, want: Want, ports: &mut Ports<'_>) {
        let text = self.no_answer();
        match want {
            Want::Spawn(id) => {
                let Some(session) = self.sessions.get_mut(id) else { return };
                let client = session.client.take();
                // If it comes yet, it is not wanted any more.
                session.ending.get_or_insert_with(|| Ending {
                    signal: libc::SIGKILL,
                    text: "started too late".into(),
                    limit: None,
                    waiters: Vec::new(),
                });
                ports.send(client, &Reply::Failed(text));
            }
            Want::KillSession(id) => self.give_up(id, ports),
            // Who makes AnT fail must not expect an answer.
            Want::Order(client, Order::Inject { .. }) => {
                let text = format!("done, it seems: {text}");
                ports.send(Some(client), &Reply::Done(text));
            }
            want => ports.send(want.client(), &Reply::Failed(text)),
        }
    }

    /// That `init` does not answer, why, and what to do.
    #[must_use]
    pub fn no_answer(&self) -> String {
        match &self.init_gone {
            Some(reason) => format!("{reason}: `antctl stop` brings the CPUs back"),
            None => does_not_answer(self.partition.cpus[0]),
        }
    }

    /// Why `init` could not be asked, and what to do.
    pub(crate) fn not_asked(&self, errno: Errno) -> String {
        if errno == Errno::EAGAIN && self.init_gone.is_none() {
            return "AnT takes no more requests at the moment: try again; if that does not help, \
                    `antctl stop` brings the CPUs back"
                .into();
        }
        self.no_answer()
    }

    fn no_answer_of(&self, id: SessionId) -> String {
        match self.sessions.get(id).map(|session| session.stage) {
            Some(Stage::Exists { cpu_index, .. }) if self.init_gone.is_none() => {
                does_not_answer(self.partition.cpu_of(cpu_index))
            }
            _ => self.no_answer(),
        }
    }

    /// Ends it all: programs, proxies, partition. `reason` is what clients are told.
    ///
    /// # Errors
    ///
    /// Something did not go back to Linux; in words.
    pub fn stop(
        mut self,
        reason: &str,
        log: &mut LogBook,
        ports: &mut Ports<'_>,
    ) -> Result<(), String> {
        ports.poller.remove(&self.init);
        ports.poller.remove(self.partition.control());
        log.drain(self.partition.shared());
        self.proxies.end(ports.poller);
        log.drain(self.partition.shared());
        let stopped = self.partition.stop().map_err(|error| error.to_string());
        // Only now is it true what they are told.
        let ids: Vec<SessionId> = self.sessions.iter().map(|(id, _)| id).collect();
        for want in self.init.abandon() {
            let reply = match want {
                Want::Order(_, Order::Inject { .. }) => Reply::Done(reason.into()),
                _ => Reply::Failed(reason.into()),
            };
            ports.send(want.client(), &reply);
        }
        for id in ids {
            let Some(session) = self.sessions.remove(id) else { continue };
            let text = reason.to_owned();
            ports.send(session.client, &Reply::Over(Outcome::Lost { text }));
            for waiter in session.ending.into_iter().flat_map(|ending| ending.waiters) {
                ports.send(Some(waiter), &Reply::Done(reason.into()));
            }
        }
        for client in self.probe.take().into_iter().flat_map(|probe| probe.clients) {
            ports.send(Some(client), &Reply::Failed(reason.into()));
        }
        stopped
    }
}

/// That a CPU does not answer, and what to do.
pub(crate) fn does_not_answer(cpu: u32) -> String {
    format!("AnT does not answer (CPU {cpu}); `antctl stop` brings the CPUs back")
}

/// `init`'s session: nobody, with the control channel as 0 and 1.
fn init_session(socket: OwnedFd) -> Result<Session, Errno> {
    let open = |path: &str, flags: i32| {
        let file = OpenOptions::new().read(true).write(flags == 0).custom_flags(flags).open(path);
        file.map(OwnedFd::from)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let output = socket.try_clone().map_err(|_| Errno::EMFILE)?;
    let (null, root) = (open("/dev/null", 0)?, open("/", libc::O_PATH | libc::O_DIRECTORY)?);
    Ok(Session {
        client: None,
        identity: Identity::nobody(),
        descriptors: [socket, output, null, root],
        command: "init".into(),
        stage: Stage::Asked,
        ending: None,
        awaited: None,
    })
}
