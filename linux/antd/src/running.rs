//! A partition that runs, with everything that belongs to it: the parent at work (paper 4.3).
//!
//! Events come in ([`RunningPartition::partition_event`], [`RunningPartition::proxy_ended`],
//! [`RunningPartition::tick`]), and requests of clients
//! ([`RunningPartition::run`], [`RunningPartition::end_session`] and others); out go proxies,
//! releases and replies.
//!
//! * `requests`: AnT's requests and their proxies. `programs`: programs of clients.
//! * `channels`: those of `init`. `commands`: what `init` executes for clients. `lists`: processes and servers.
//! * `hang`: programs on CPUs that hang. `status`: the state of it all.
//!
//! Deliberately absent: which proxy serves an LCA (`table`), what a client may do (`daemon`).

mod channels;
mod commands;
mod hang;
mod lists;
mod programs;
mod requests;
mod status;

use std::time::{Duration, Instant};

use ant_protocol::{ExitReason, Reply};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::process::Signal;

use self::channels::InitChannels;
use self::requests::Unreleased;
use self::status::Probe;
use crate::clients::Clients;
use crate::commands::ControlCommand;
use crate::explain::cpu_does_not_answer;
use crate::hang::HangDetector;
use crate::ids::{ClientId, SessionId};
use crate::init::{Answer, InitRequests};
use crate::log_book::LogBook;
use crate::partition::Partition;
use crate::pending::Pending;
use crate::poller::{Poller, Source};
use crate::proxies::Proxies;
use crate::sessions::{EndRequest, Session, Sessions, Stage};
use crate::table::Table;

/// Longest time between two checks of the CPUs and their logs.
const TICK: Duration = Duration::from_secs(1);
/// The same while a client waits for AnT.
const TICK_PENDING: Duration = Duration::from_millis(100);

/// The partition has failed and has to be stopped; why.
#[derive(Debug)]
pub struct PartitionFailed(pub String);

/// What a partition shares with the daemon.
pub struct Ctx<'a> {
    /// What the daemon waits for.
    pub poller: &'a Poller,
    /// The connections.
    pub clients: &'a mut Clients,
}

impl Ctx<'_> {
    fn send(&mut self, client: Option<ClientId>, reply: &Reply) {
        if let Some(client) = client {
            self.clients.send(client, reply, self.poller);
        }
    }
}

/// A partition that runs, and everything that belongs to it.
pub struct RunningPartition {
    pub(crate) partition: Partition,
    pub(crate) sessions: Sessions,
    table: Table,
    proxies: Proxies,
    init: InitRequests<Pending>,
    channels: InitChannels,
    probe: Option<Probe>,
    hangs: HangDetector,
    /// LCAs that could not be released yet; none twice.
    unreleased: Vec<Unreleased>,
}

impl RunningPartition {
    /// Begins to serve a partition that was just booted.
    ///
    /// # Errors
    ///
    /// The daemon lacks descriptors, or memory; the partition has been stopped.
    pub fn new(partition: Partition, prefork: usize, poller: &Poller) -> Result<Self, Errno> {
        let channels = InitChannels::new(&partition).map_err(|error| error.errno)?;
        let (sessions, table, init) =
            (Sessions::default(), Table::default(), InitRequests::default());
        poller.add(partition.control(), Source::Partition, EventFlags::IN | EventFlags::PRI)?;
        let mut proxies = Proxies::new(partition.control().binder(), prefork);
        proxies.refill(poller);
        let hangs = HangDetector::new(partition.cpus.len(), Instant::now());
        let (probe, unreleased) = (None, Vec::new());
        Ok(Self { partition, table, proxies, sessions, init, channels, probe, hangs, unreleased })
    }

    /// Time until the next [`RunningPartition::tick`] if no event comes.
    #[must_use]
    pub fn idle_time(&self) -> Duration {
        let has_deadline = |session: &Session| {
            let request = session.end_request.as_ref();
            request.is_some_and(|request| request.deadline.is_some()) || session.doorbell.is_some()
        };
        let now = Instant::now();
        let release =
            self.unreleased.iter().map(|one| one.next.saturating_duration_since(now)).min();
        let tick = if self.probe.is_some() {
            Probe::INTERVAL
        } else if self.init.has_deadlines() || self.sessions.iter().any(|(_, s)| has_deadline(s)) {
            TICK_PENDING
        } else {
            TICK
        };
        release.map_or(tick, |release| release.min(tick))
    }

    /// Whether [`RunningPartition::tick`] has something to do at once.
    #[must_use]
    pub fn wants_tick(&self) -> bool {
        self.proxies.lacking() || !self.unreleased.is_empty()
    }

    /// The control file is ready: for requests, or because the partition has failed.
    ///
    /// # Errors
    ///
    /// The partition has failed.
    pub fn partition_event(
        &mut self,
        events: EventFlags,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        // One: mostly there is one, and to ask whether there is another would delay its proxy if
        // both share a CPU. If there is, the event comes again.
        self.take_requests(1, ctx)?;
        self.feed_init();
        if events.intersects(EventFlags::ERR | EventFlags::HUP) {
            return Err(PartitionFailed("the module has stopped the partition".into()));
        }
        self.check_cpus()
    }

    /// # Errors
    ///
    /// A CPU has panicked.
    fn check_cpus(&self) -> Result<(), PartitionFailed> {
        match self.partition.panicked() {
            None => Ok(()),
            Some(cpu) => Err(PartitionFailed(format!("AnT's kernel on CPU {cpu} panicked"))),
        }
    }

    /// Handles a message of `init`.
    fn init_replied(&mut self, message: &[u8], ctx: &mut Ctx<'_>) -> Result<(), PartitionFailed> {
        let Some(answer) = self.init.answer(message) else { return Ok(()) };
        let Answer { pending, late, reply, rest } = answer;
        match pending {
            Pending::Spawn(session) => self.spawned(session, late, &reply, ctx)?,
            Pending::Kill(session) => self.kill_replied(session, reply.result, ctx)?,
            Pending::Command(client, command) => {
                self.command_done(client, &command, reply.result, ctx);
            }
            Pending::Processes(query) => {
                self.processes_arrived(query, reply.result, &rest, ctx);
            }
            Pending::Servers(query) => self.servers_arrived(query, reply.result, &rest, ctx),
            Pending::Program(client, upload) => {
                self.piece_arrived(client, upload, reply.result, ctx);
            }
        }
        Ok(())
    }

    /// Handles what depends on time.
    ///
    /// # Errors
    ///
    /// The partition has failed.
    pub fn tick(&mut self, now: Instant, ctx: &mut Ctx<'_>) -> Result<(), PartitionFailed> {
        self.check_cpus()?;
        self.retry_releases(now);
        self.proxies.refill(ctx.poller);
        for pending in self.init.expired(now) {
            self.fail_pending(pending, ctx);
        }
        let over = |session: &Session| {
            let deadline = session.end_request.as_ref().and_then(|request| request.deadline);
            deadline.is_some_and(|deadline| deadline <= now)
        };
        let late: Vec<SessionId> =
            self.sessions.iter().filter(|(_, s)| over(s)).map(|(id, _)| id).collect();
        for id in late {
            self.report_timeout(id, ctx);
        }
        self.check_for_hangs(now, ctx)?;
        self.feed_init();
        Ok(())
    }

    /// Tells the clients that wait for the end of a session that AnT does not respond. The session
    /// stays, for its process may still end.
    fn report_timeout(&mut self, id: SessionId, ctx: &mut Ctx<'_>) {
        let failed = Reply::Failed(self.no_answer_of(id));
        self.give_up_waiting(id, &failed, &failed, ctx);
        let session = self.sessions.get_mut(id);
        if let Some(request) = session.and_then(|session| session.end_request.as_mut()) {
            request.deadline = None;
        }
    }

    /// Tells the clients that wait for the end of a session that they wait in vain: the one that runs
    /// its program, and those that want it ended.
    fn give_up_waiting(&mut self, id: SessionId, runs: &Reply, wants: &Reply, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        ctx.send(session.client.take(), runs);
        let request = session.end_request.as_mut();
        for waiter in request.into_iter().flat_map(|request| request.waiters.drain(..)) {
            ctx.send(Some(waiter), wants);
        }
    }

    /// Tells the client of a pending request that there is no reply of `init`.
    fn fail_pending(&mut self, pending: Pending, ctx: &mut Ctx<'_>) {
        let text = self.no_answer();
        match pending {
            Pending::Spawn(id) => {
                let Some(session) = self.sessions.get_mut(id) else { return };
                let client = session.client.take();
                // If its process is still created, it has to end.
                session.end_request.get_or_insert_with(|| EndRequest {
                    signal: Signal::KILL.as_raw(),
                    text: "started too late".into(),
                    deadline: None,
                    waiters: Vec::new(),
                });
                ctx.send(client, &Reply::Failed(text));
            }
            Pending::Kill(id) => self.report_timeout(id, ctx),
            // After the injection of a fault no reply is to be expected.
            Pending::Command(client, ControlCommand::Inject { .. }) => {
                let text = format!("done, it seems: {text}");
                ctx.send(Some(client), &Reply::Done(text));
            }
            pending => ctx.send(pending.client(), &Reply::Failed(text)),
        }
    }

    /// `init` does not reply: why, and what to do.
    fn no_answer(&self) -> String {
        cpu_does_not_answer(self.partition.cpus[0])
    }

    fn no_answer_of(&self, id: SessionId) -> String {
        match self.sessions.get(id).map(|session| session.stage) {
            Some(Stage::Exists { cpu_index, .. }) => {
                cpu_does_not_answer(self.partition.cpu_of(cpu_index))
            }
            _ => self.no_answer(),
        }
    }

    /// Ends programs, proxies and the partition. `reason` is what clients are told.
    ///
    /// # Errors
    ///
    /// Something did not go back to Linux; a sentence.
    pub fn stop(
        mut self,
        reason: &str,
        log: &mut LogBook,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), String> {
        ctx.poller.remove(self.partition.control());
        log.drain(self.partition.shared());
        self.proxies.end(ctx.poller);
        log.drain(self.partition.shared());
        // Their pages go with the partition.
        drop(self.channels);
        let stopped = self.partition.stop().map_err(|error| error.to_string());
        // Replies only now, when they are true.
        let ids: Vec<SessionId> = self.sessions.iter().map(|(id, _)| id).collect();
        for pending in self.init.abandon() {
            let reply = match pending {
                Pending::Command(_, ControlCommand::Inject { .. }) => Reply::Done(reason.into()),
                _ => Reply::Failed(reason.into()),
            };
            ctx.send(pending.client(), &reply);
        }
        for id in ids {
            let Some(session) = self.sessions.remove(id) else { continue };
            let text = reason.to_owned();
            ctx.send(session.client, &Reply::Over(ExitReason::Lost { text }));
            for waiter in session.end_request.into_iter().flat_map(|request| request.waiters) {
                ctx.send(Some(waiter), &Reply::Done(reason.into()));
            }
        }
        for client in self.probe.take().into_iter().flat_map(|probe| probe.clients) {
            ctx.send(Some(client), &Reply::Failed(reason.into()));
        }
        stopped
    }
}
