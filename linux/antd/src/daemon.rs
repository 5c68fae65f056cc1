//! The daemon: its event loop. `operations` has what each request of a client does; `control` those
//! that concern processes and servers.

mod control;
mod operations;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ant_abi::boot::TableSizes;
use ant_dev::Device;
use ant_protocol::{MessageError, Reply, Request};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::clients::{Clients, NoDescriptors};
use crate::ids::ClientId;
use crate::log_book::LogBook;
use crate::poller::{Poller, Source};
use crate::running::{Ctx, PartitionFailed, RunningPartition};
use crate::sys::{self, SignalFile};

/// Open files that the daemon wants to be allowed: it holds those of every program, a dozen at most.
const FILES_WANTED: u64 = 12 * TableSizes::MOST.processes as u64;
/// How often followers of the log get what is new.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(100);
/// How long no connection is accepted when there are no descriptors for another.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// How far back in the log the reason of a panic is looked for, in lines.
const PANIC_LINES: u64 = 20;

/// A client that reads the log.
#[derive(Clone, Copy, Debug)]
struct Follower {
    /// Number of the line that it gets next.
    next: u64,
    /// Number of the line that it does not want any more; `None`: it gets what is new, too.
    end: Option<u64>,
}

/// The daemon.
pub struct Daemon {
    device: Box<dyn Device>,
    /// Where `/sys` and `/proc` are.
    root: PathBuf,
    poller: Poller,
    listener: OwnedFd,
    signals: SignalFile,
    clients: Clients,
    running: Option<RunningPartition>,
    log_book: LogBook,
    /// Clients that read the log.
    followers: HashMap<ClientId, Follower>,
    /// When connections are accepted again, while they are not.
    accepts_at: Option<Instant>,
    /// Why AnT ended the last time, if it failed.
    last_failure: Option<String>,
}

impl Daemon {
    /// A daemon that accepts connections from `listener`. It handles SIGTERM, SIGINT and SIGHUP from
    /// here on.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new(device: Box<dyn Device>, listener: OwnedFd) -> Result<Self, Errno> {
        adjust_process();
        let signals = SignalFile::new(&[Signal::TERM, Signal::INT, Signal::HUP])?;
        let poller = Poller::new()?;
        poller.add(&listener, Source::Listener, EventFlags::IN)?;
        poller.add(&signals, Source::Signals, EventFlags::IN)?;
        Ok(Self {
            device,
            root: "/".into(),
            poller,
            listener,
            signals,
            clients: Clients::default(),
            running: None,
            log_book: LogBook::default(),
            followers: HashMap::new(),
            accepts_at: None,
            last_failure: None,
        })
    }

    /// The same, on a machine that has its `/sys` and `/proc` in `root`.
    #[must_use]
    pub fn on_machine(self, root: PathBuf) -> Self {
        Self { root, ..self }
    }

    /// Serves until a signal terminates it; then stops AnT.
    ///
    /// # Errors
    ///
    /// A defect of the daemon.
    pub fn run(&mut self) -> Result<(), Errno> {
        let mut next_tick = None;
        loop {
            let wait =
                next_tick.map(|next: Instant| next.saturating_duration_since(Instant::now()));
            let events = self.poller.wait(wait)?;
            // Requests of AnT are frequent, and change no deadline.
            let mut changed = events.iter().any(|&(source, _)| source != Source::Partition);
            for (source, flags) in events {
                if source == Source::Signals && self.is_terminated() {
                    if let Err(text) = self.stop_running("antd ends") {
                        tracing::error!("{text}");
                    }
                    return Ok(());
                }
                if let Err(failure) = self.handle(source, flags) {
                    self.partition_failed(failure);
                }
            }
            changed |= self.running.as_ref().is_some_and(RunningPartition::wants_tick);
            if changed || next_tick.is_some_and(|next| next <= Instant::now()) {
                if let Err(failure) = self.tick() {
                    self.partition_failed(failure);
                }
                next_tick = self.idle_time().map(|time| Instant::now() + time);
            }
        }
    }

    fn idle_time(&self) -> Option<Duration> {
        let running = self.running.as_ref().map(RunningPartition::idle_time);
        let follow = (!self.followers.is_empty() && running.is_some()).then_some(FOLLOW_INTERVAL);
        let accept = self.accepts_at.map(|at| at.saturating_duration_since(Instant::now()));
        [running, follow, accept].into_iter().flatten().min()
    }

    fn is_terminated(&mut self) -> bool {
        let mut terminated = false;
        while let Some(signal) = self.signals.next() {
            terminated |= signal != Signal::HUP.as_raw();
        }
        terminated
    }

    fn handle(&mut self, source: Source, flags: EventFlags) -> Result<(), PartitionFailed> {
        match source {
            Source::Signals => Ok(()),
            Source::Listener => {
                let running = self.running.as_ref();
                let tables = running.map_or(TableSizes::USUAL, |running| running.partition.tables);
                let accepted = self.clients.accept(&self.listener, tables.processes, &self.poller);
                if let Err(error) = accepted {
                    self.pause_accepting(error);
                }
                Ok(())
            }
            Source::Client(client) => self.client_event(client, flags),
            Source::Partition => {
                self.if_running(|running, ctx| running.partition_event(flags, ctx))
            }
            Source::Proxy(proxy) => self.if_running(|running, ctx| running.proxy_ended(proxy, ctx)),
        }
    }

    /// The listener stays readable, and would wake the daemon for ever.
    fn pause_accepting(&mut self, NoDescriptors(errno): NoDescriptors) {
        tracing::warn!("cannot accept a connection: {errno}; again in {ACCEPT_PAUSE:?}");
        self.poller.remove(&self.listener);
        self.accepts_at = Some(Instant::now() + ACCEPT_PAUSE);
    }

    fn resume_accepting(&mut self, now: Instant) {
        if self.accepts_at.is_some_and(|at| at <= now)
            && self.poller.add(&self.listener, Source::Listener, EventFlags::IN).is_ok()
        {
            self.accepts_at = None;
        }
    }

    /// Has the partition that runs, if there is one, handle something.
    fn if_running(
        &mut self,
        handle: impl FnOnce(&mut RunningPartition, &mut Ctx<'_>) -> Result<(), PartitionFailed>,
    ) -> Result<(), PartitionFailed> {
        match self.running_and_ctx() {
            Some((running, mut ctx)) => handle(running, &mut ctx),
            None => Ok(()),
        }
    }

    fn client_event(&mut self, client: ClientId, flags: EventFlags) -> Result<(), PartitionFailed> {
        if flags.contains(EventFlags::OUT) {
            self.clients.flush(client, &self.poller);
            self.feed_followers();
        }
        match self.clients.receive(client) {
            Ok(Some((request, descriptors))) => {
                // A program is ended while it runs; all else waits for its reply.
                if matches!(request, Request::End { .. }) || self.clients.begin(client) {
                    return self.execute(client, request, descriptors);
                }
                self.fail(client, "a request is under way on this connection: use another one");
                self.client_gone(client)
            }
            Ok(None) => Ok(()),
            Err(MessageError::Closed | MessageError::Socket(_)) => self.client_gone(client),
            Err(error) => {
                self.reply(client, &Reply::Failed(error.to_string()));
                self.client_gone(client)
            }
        }
    }

    fn client_gone(&mut self, client: ClientId) -> Result<(), PartitionFailed> {
        self.clients.drop_client(client, &self.poller);
        self.followers.remove(&client);
        self.if_running(|running, ctx| running.client_gone(client, ctx))
    }

    fn tick(&mut self) -> Result<(), PartitionFailed> {
        let now = Instant::now();
        self.resume_accepting(now);
        let Some((running, mut ctx)) = self.running_and_ctx() else { return Ok(()) };
        running.tick(now, &mut ctx)?;
        if let Some((clients, partition)) = running.probe_result(now) {
            let status = Reply::Status(Box::new(self.status_with(Some(partition))));
            for client in clients {
                self.reply(client, &status);
            }
        }
        self.feed_followers();
        Ok(())
    }

    /// Stops a partition that has failed: Linux gets everything back.
    fn partition_failed(&mut self, PartitionFailed(mut reason): PartitionFailed) {
        let log_start = self.log_book.end();
        self.drain_log();
        if let Some(line) = self.log_book.last_error(log_start.saturating_sub(PANIC_LINES)) {
            reason = format!("{reason} (\"{}\")", line.text);
        }
        tracing::error!("{reason}");
        let text = match self.stop_running(&format!("{reason}; the CPUs are Linux's again")) {
            Ok(_) => reason,
            Err(text) => format!("{reason}; {text}"),
        };
        self.last_failure = Some(text);
    }

    /// Sends a reply.
    fn reply(&mut self, client: ClientId, reply: &Reply) {
        self.clients.send(client, reply, &self.poller);
    }

    /// The partition that runs, and what it shares with the daemon.
    fn running_and_ctx(&mut self) -> Option<(&mut RunningPartition, Ctx<'_>)> {
        let ctx = Ctx { poller: &self.poller, clients: &mut self.clients };
        Some((self.running.as_mut()?, ctx))
    }
}

/// As many open files as may be, and children that can be waited for, whatever was inherited.
fn adjust_process() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // `None` is no limit.
    let wanted = FILES_WANTED.min(maximum.unwrap_or(FILES_WANTED));
    if current.is_some_and(|current| current < wanted) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    }
    sys::default_child_signal();
}
