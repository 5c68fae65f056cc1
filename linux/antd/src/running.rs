//! A partition with all that lives with it: the parent at work (paper 4.3).
//!
//! Events come in ([`Running::partition_event`], [`Running::proxy_ended`],
//! [`Running::init_answers`], [`Running::tick`]), and what clients want ([`Running::run`],
//! [`Running::end_session`] and others); out go proxies, releases and replies.
//!
//! Deliberately absent: how a decision about an LCA is made (`table`), what clients may do
//! (`operations`, `orders`), which cores hang (`hang`), what AnT consists of (`survey`).

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use ant_abi::Error;
use ant_abi::store::StoreEntry;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;

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
/// LCAs that cannot be released yet, beyond which a request that is nobody's is not answered.
const UNRELEASED_MAX: usize = 2 * REQUESTS_MAX;
/// Longest wait between two looks at the cores and their logs.
const TICK: Duration = Duration::from_secs(1);
/// The same while somebody waits for an answer.
const TICK_AWAITING: Duration = Duration::from_millis(100);
/// Wait before an LCA that could not be released is tried again.
const RELEASE_STEP: Duration = Duration::from_millis(2);

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

/// An LCA that Linux had a reference to (I/O of its last proxy that is not over), or whose release
/// found core 0's return store full.
#[derive(Debug)]
struct Unreleased {
    lca: StoreEntry,
    /// When it was tried first.
    since: Instant,
    /// When to try again.
    next: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Released {
    Done,
    NotYet,
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
        self.check_cores()
    }

    /// # Errors
    ///
    /// A core has panicked.
    pub fn check_cores(&self) -> Result<(), Collapse> {
        match self.partition.panicked() {
            None => Ok(()),
            Some(cpu) => Err(Collapse(format!("AnT's kernel on CPU {cpu} panicked"))),
        }
    }

    fn take_requests(&mut self, most: usize, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        for _ in 0..most {
            match self.partition.control().get() {
                Ok(None) => break,
                Ok(Some(lca)) => self.serve(lca, ports)?,
                Err(error) => return Err(Collapse(format!("{error}"))),
            }
        }
        Ok(())
    }

    /// A request of AnT's (paper 4.3 (4)).
    fn serve(&mut self, lca: StoreEntry, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        let mut decision = self.table.request(lca);
        if decision == OnRequest::Unknown {
            // Whose it is may be on its way: `init` says so before the process runs.
            self.init_answers(ports)?;
            decision = self.table.request(lca);
        }
        match decision {
            OnRequest::Wake { proxy } => self.proxies.wake(proxy),
            OnRequest::NewProxy { session } => return self.give_proxy(lca, session, ports),
            OnRequest::Release => self.release(lca),
            OnRequest::Unknown => self.refuse(lca),
        }
        Ok(())
    }

    /// A request that is nobody's. If AnT has a process that waits for an answer, the release ends
    /// it, so that it does not wait for ever.
    fn refuse(&mut self, lca: StoreEntry) {
        if self.unreleased.len() < UNRELEASED_MAX {
            tracing::warn!("a request of {:#x}, which is nobody's: released", lca.0);
            self.release(lca);
        } else {
            // An AnT that makes LCAs up must not fill our memory.
            tracing::warn!("a request of {:#x}, which is nobody's: dropped", lca.0);
        }
    }

    fn give_proxy(
        &mut self,
        lca: StoreEntry,
        id: SessionId,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let assignment = Assignment { lca: lca.0, identity: session.identity.clone() };
        match self.proxies.assign(&assignment, &session.borrowed(), ports.poller) {
            Ok(proxy) => {
                self.table.assign(lca, proxy);
                Ok(())
            }
            Err(errno) => {
                let text = format!("Linux could make no proxy for it: {errno}");
                if let Some(lca) = self.table.drop_session(id) {
                    self.release(lca);
                }
                self.finish(id, &Outcome::Lost { text }, ports)
            }
        }
    }

    /// Tells AnT that Linux is through with an LCA, at once or as soon as possible. Core 0, the
    /// m-kernel, hands it on: it knows where the process is.
    fn release(&mut self, lca: StoreEntry) {
        if self.unreleased.iter().any(|one| one.lca == lca) {
            // An AnT that asks on and on must not fill our memory.
            return;
        }
        let since = Instant::now();
        if self.try_release(lca) == Released::NotYet {
            self.unreleased.push(Unreleased { lca, since, next: since + RELEASE_STEP });
        }
    }

    fn try_release(&self, lca: StoreEntry) -> Released {
        match self.partition.control().release(lca) {
            Ok(()) => Released::Done,
            Err(error) if matches!(error.errno, Errno::EBUSY | Errno::ENOSPC) => Released::NotYet,
            Err(error) => {
                tracing::warn!("{error}");
                Released::Done
            }
        }
    }

    /// Releases what could not be released before, if its time has come: ever more rarely.
    fn retry_releases(&mut self, now: Instant) {
        for mut one in std::mem::take(&mut self.unreleased) {
            if one.next <= now && self.try_release(one.lca) == Released::Done {
                continue;
            }
            if one.next <= now {
                one.next = now + RELEASE_STEP.max((now - one.since) / 8);
            }
            self.unreleased.push(one);
        }
    }

    /// A proxy may have ended.
    ///
    /// # Errors
    ///
    /// It was `init`'s.
    pub fn proxy_ended(&mut self, id: ProxyId, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        let Some(departed) = self.proxies.reap(id, ports.poller) else { return Ok(()) };
        match self.table.left(id, departed.how) {
            OnLeaving::Idle => {
                if let Some(Notice::Failed(text)) = &departed.notice {
                    tracing::warn!("idle proxy {} failed: {text}", departed.pid);
                }
                Ok(())
            }
            OnLeaving::Continues { lca, session } => {
                self.release(lca);
                if self.sessions.get(session).is_some_and(|session| session.ending.is_some()) {
                    self.ask_to_kill(session, ports)?;
                }
                Ok(())
            }
            OnLeaving::Over { lca, session } => {
                self.release(lca);
                let Some(over) = self.sessions.get(session) else { return Ok(()) };
                let outcome = over.outcome(&departed);
                if departed.how == Leaving::Died {
                    tracing::debug!("proxy {} died: {outcome:?}", departed.pid);
                }
                self.finish(session, &outcome, ports)
            }
        }
    }

    /// A session is over.
    fn finish(
        &mut self,
        id: SessionId,
        outcome: &Outcome,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        let Some(session) = self.sessions.remove(id) else { return Ok(()) };
        ports.send(session.client, &Reply::Over(outcome.clone()));
        if let Some(ending) = session.ending {
            for waiter in ending.waiters {
                ports.send(Some(waiter), &Reply::Done(format!("{} ended", session.command)));
            }
        }
        if id == INIT {
            self.init_gone = Some(format!("AnT's init is over ({})", in_words(outcome)));
            tracing::error!("{}", self.no_answer());
            let waiting = self.init.abandon();
            for want in waiting {
                self.disappoint(want, ports);
            }
        }
        Ok(())
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

    fn spawned(
        &mut self,
        id: SessionId,
        late: bool,
        reply: &ant_abi::control::Reply,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        if reply.result != 0 {
            let client = session.client;
            self.sessions.remove(id);
            if !late {
                ports.send(client, &Reply::Failed(init::refusal(reply.result)));
            }
            return Ok(());
        }
        let lca = StoreEntry(reply.lca);
        session.stage = Stage::Exists { pid: reply.pid, core: reply.core, lca };
        let doorbells = self.partition.shared().doorbells(reply.core);
        session.awaited = Some(Awaited { doorbells, limit: Instant::now() + ANSWER_LIMIT });
        if let Err(error) = self.partition.control().kick(reply.core) {
            tracing::warn!("{error}");
        }
        let (client, unwanted) = (session.client, session.ending.is_some());
        self.table.admit(lca, id);
        let cpu = self.partition.cpu_of(reply.core);
        ports.send(client, &Reply::Started { pid: reply.pid, cpu });
        if unwanted { self.ask_to_kill(id, ports) } else { Ok(()) }
    }

    /// `init` has answered a request to end a session's process. If it lives, it will say through
    /// its LCA that it ended.
    fn kill_answered(
        &mut self,
        id: SessionId,
        result: i32,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        if i64::from(result) != Error::NoProcess.to_return() {
            return Ok(());
        }
        // What it said before may not have been taken yet.
        self.take_requests(REQUESTS_MAX, ports)?;
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let served = session.lca().is_some_and(|lca| self.table.proxy_of(lca).is_some());
        if served {
            return Ok(());
        }
        let outcome = session
            .ending
            .as_ref()
            .map_or(Outcome::Lost { text: "AnT has no such process".into() }, Ending::outcome);
        let _ = self.table.drop_session(id);
        self.finish(id, &outcome, ports)
    }

    /// Runs a program for a client.
    pub fn run(
        &mut self,
        client: ClientId,
        peer: &Peer,
        run: &Run,
        descriptors: [OwnedFd; 4],
        ports: &mut Ports<'_>,
    ) {
        if let Err(text) = self.try_run(client, peer, run, descriptors) {
            ports.send(Some(client), &Reply::Failed(text));
        }
    }

    fn try_run(
        &mut self,
        client: ClientId,
        peer: &Peer,
        run: &Run,
        descriptors: [OwnedFd; 4],
    ) -> Result<(), String> {
        use std::os::unix::ffi::OsStrExt;
        let core = run.cpu.map(|cpu| self.core_of(cpu)).transpose()?;
        let program = run.program.as_bytes();
        let args: Vec<&[u8]> = run.args.iter().map(|arg| arg.as_bytes()).collect();
        let (path_len, words) = init::spawn_words(program, &args)?;
        if self.init_gone.is_some() {
            return Err(self.no_answer());
        }
        let command = words[..words.len() - 1].split(|&byte| byte == 0);
        let command: Vec<_> = command.map(String::from_utf8_lossy).collect();
        let identity = Identity {
            uid: peer.uid,
            gid: peer.gid,
            groups: peer.groups.clone(),
            capabilities: peer.capabilities,
            umask: run.umask & 0o777,
            limits: sys::limits_of(peer.pid).ok(),
        };
        let id = self.sessions.insert(Session {
            client: Some(client),
            identity,
            descriptors,
            command: command.join(" "),
            stage: Stage::Asked,
            ending: None,
            awaited: None,
        });
        self.init.spawn(id, core, path_len, &words).map_err(|_| {
            self.sessions.remove(id);
            self.no_answer()
        })
    }

    /// Index of the core that people call `cpu`.
    ///
    /// # Errors
    ///
    /// It is not AnT's; in words.
    pub fn core_of(&self, cpu: u32) -> Result<u32, String> {
        self.partition.core_of(cpu).ok_or_else(|| {
            let own = crate::cpu_list::cpus_in_words(&self.partition.cpus);
            format!("CPU {cpu} is not AnT's: it has {own}")
        })
    }

    /// Ends a session's process: by killing its proxy, if it has one, whose release ends it; else
    /// by asking `init`. `waiter` is told when it is over.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn end_session(
        &mut self,
        id: SessionId,
        signal: i32,
        text: &str,
        waiter: Option<ClientId>,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        let ending = session.ending.get_or_insert_with(|| Ending {
            signal,
            text: text.into(),
            limit: Some(Instant::now() + ANSWER_LIMIT),
            waiters: Vec::new(),
        });
        ending.waiters.extend(waiter);
        let Some(lca) = session.lca() else { return Ok(()) };
        match self.table.proxy_of(lca) {
            Some(proxy) => {
                self.proxies.kill(proxy);
                Ok(())
            }
            None => self.ask_to_kill(id, ports),
        }
    }

    fn ask_to_kill(&mut self, id: SessionId, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let Stage::Exists { pid, .. } = session.stage else { return Ok(()) };
        let signal = session.ending.as_ref().map_or(libc::SIGKILL, |ending| ending.signal);
        if self.init.kill(Want::KillSession(id), pid, signal).is_err() {
            self.give_up(id, ports);
        }
        Ok(())
    }

    /// A client has gone: what it ran ends.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn client_gone(&mut self, client: ClientId, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        let Some(id) = self.sessions.of_client(client) else { return Ok(()) };
        if let Some(session) = self.sessions.get_mut(id) {
            session.client = None;
        }
        self.end_session(id, libc::SIGHUP, "antctl hung up", None, ports)
    }

    /// Time has passed.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn tick(&mut self, now: Instant, ports: &mut Ports<'_>) -> Result<(), Collapse> {
        self.check_cores()?;
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
        self.watch_cores(now, ports)
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

    fn no_answer_of(&self, id: SessionId) -> String {
        match self.sessions.get(id).map(|session| session.stage) {
            Some(Stage::Exists { core, .. }) if self.init_gone.is_none() => {
                does_not_answer(self.partition.cpu_of(core))
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

/// That a core does not answer, and what to do.
pub(crate) fn does_not_answer(cpu: u32) -> String {
    format!("AnT does not answer (CPU {cpu}); `antctl stop` brings the CPUs back")
}

/// An outcome for the daemon's own log.
fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Exited { status } => format!("exit status {status}"),
        Outcome::Faulted { text, .. }
        | Outcome::Killed { text, .. }
        | Outcome::LoadFailed { text, .. }
        | Outcome::ProxyDied { text, .. }
        | Outcome::Lost { text } => text.clone(),
    }
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
