//! The event loop.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ant_dev::Device;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::clients::{ClientId, Clients};
use crate::log_book::LogBook;
use crate::operations::FOLLOW_STEP;
use crate::poller::{Poller, Source};
use crate::protocol::{MessageError, Reply};
use crate::running::{Collapse, Ports, Running};
use crate::sys;

/// Open files that the daemon wants to be allowed: it holds those of every program.
const FILES_WANTED: u64 = 8192;

/// The daemon.
pub struct Daemon {
    pub(crate) device: Box<dyn Device>,
    /// Where `/sys` and `/proc` are.
    pub(crate) root: PathBuf,
    pub(crate) poller: Poller,
    listener: OwnedFd,
    signals: SignalFd,
    pub(crate) clients: Clients,
    pub(crate) running: Option<Running>,
    pub(crate) log_book: LogBook,
    /// Clients that follow the log, and the number of the line that each gets next.
    pub(crate) followers: HashMap<ClientId, u64>,
    /// Why AnT ended the last time, if it was not asked to.
    pub(crate) last_failure: Option<String>,
}

impl Daemon {
    /// A daemon that serves who connects to `listener`. From here on SIGTERM, SIGINT and SIGHUP are
    /// its to handle.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new(device: Box<dyn Device>, listener: OwnedFd) -> Result<Self, Errno> {
        adjust_process();
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let poller = Poller::new()?;
        poller.add(&listener, Source::Listener, EpollFlags::EPOLLIN)?;
        poller.add(&signals, Source::Signals, EpollFlags::EPOLLIN)?;
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
            last_failure: None,
        })
    }

    /// The same, on a machine whose `/sys` and `/proc` are in `root`.
    #[must_use]
    pub fn on_machine(self, root: PathBuf) -> Self {
        Self { root, ..self }
    }

    /// Serves until a signal asks it to end; then stops AnT.
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
            // Requests of AnT are many, and change nothing that has its time.
            let mut changed = events.iter().any(|&(source, _)| source != Source::Partition);
            for (source, flags) in events {
                if source == Source::Signals && self.asked_to_end() {
                    if let Err(text) = self.stop_running("antd ends") {
                        tracing::error!("{text}");
                    }
                    return Ok(());
                }
                if let Err(collapse) = self.handle(source, flags) {
                    self.collapse(collapse);
                }
            }
            changed |= self.running.as_ref().is_some_and(Running::wants_tick);
            if changed || next_tick.is_some_and(|next| next <= Instant::now()) {
                if let Err(collapse) = self.tick() {
                    self.collapse(collapse);
                }
                next_tick = self.idle_time().map(|time| Instant::now() + time);
            }
        }
    }

    fn idle_time(&self) -> Option<Duration> {
        let running = self.running.as_ref().map(Running::idle_time);
        if self.followers.is_empty() { running } else { running.map(|time| time.min(FOLLOW_STEP)) }
    }

    fn asked_to_end(&mut self) -> bool {
        let mut end = false;
        while let Ok(Some(info)) = self.signals.read_signal() {
            end |= info.ssi_signo != Signal::SIGHUP as u32;
        }
        end
    }

    fn handle(&mut self, source: Source, flags: EpollFlags) -> Result<(), Collapse> {
        match source {
            Source::Signals => Ok(()),
            Source::Listener => {
                self.clients.accept(&self.listener, &self.poller);
                Ok(())
            }
            Source::Client(client) => self.client_event(client, flags),
            Source::Partition => match self.running_and_ports() {
                Some((running, mut ports)) => running.partition_event(flags, &mut ports),
                None => Ok(()),
            },
            Source::Init => match self.running_and_ports() {
                Some((running, mut ports)) => running.init_answers(&mut ports),
                None => Ok(()),
            },
            Source::Proxy(proxy) => match self.running_and_ports() {
                Some((running, mut ports)) => running.proxy_ended(proxy, &mut ports),
                None => Ok(()),
            },
        }
    }

    fn client_event(&mut self, client: ClientId, flags: EpollFlags) -> Result<(), Collapse> {
        if flags.contains(EpollFlags::EPOLLOUT) {
            self.clients.flush(client, &self.poller);
        }
        match self.clients.receive(client) {
            Ok(Some((request, descriptors))) => self.obey(client, request, descriptors),
            Ok(None) => Ok(()),
            Err(MessageError::Closed | MessageError::Socket(_)) => self.client_gone(client),
            Err(error) => {
                self.reply(client, &Reply::Failed(error.to_string()));
                self.client_gone(client)
            }
        }
    }

    fn client_gone(&mut self, client: ClientId) -> Result<(), Collapse> {
        self.clients.drop_client(client, &self.poller);
        self.followers.remove(&client);
        match self.running_and_ports() {
            Some((running, mut ports)) => running.client_gone(client, &mut ports),
            None => Ok(()),
        }
    }

    fn tick(&mut self) -> Result<(), Collapse> {
        let now = Instant::now();
        let Some((running, mut ports)) = self.running_and_ports() else { return Ok(()) };
        running.tick(now, &mut ports)?;
        if let Some((clients, partition)) = running.probe_result(now) {
            let status = Reply::Status(Box::new(self.framed(Some(partition))));
            for client in clients {
                self.reply(client, &status);
            }
        }
        self.feed_followers();
        Ok(())
    }

    /// AnT cannot go on: what is left of it ends, Linux gets everything back.
    fn collapse(&mut self, Collapse(mut reason): Collapse) {
        let log_start = self.log_book.end();
        if let Some(running) = &self.running {
            self.log_book.drain(running.partition.shared());
        }
        if let Some(line) = self.log_book.last_error(log_start.saturating_sub(LAST_WORDS)) {
            reason = format!("{reason} (\"{}\")", line.text);
        }
        tracing::error!("{reason}");
        let text = match self.stop_running(&format!("{reason}; the CPUs are Linux's again")) {
            Ok(_) => reason,
            Err(text) => format!("{reason}; {text}"),
        };
        self.last_failure = Some(text);
    }

    /// Tells a client something.
    pub(crate) fn reply(&mut self, client: ClientId, reply: &Reply) {
        self.clients.send(client, reply, &self.poller);
    }

    /// The partition that runs, and what it needs of the daemon.
    pub(crate) fn running_and_ports(&mut self) -> Option<(&mut Running, Ports<'_>)> {
        let ports = Ports { poller: &self.poller, clients: &mut self.clients };
        Some((self.running.as_mut()?, ports))
    }
}

/// How far back in the log the reason of a panic is looked for, in lines.
const LAST_WORDS: u64 = 20;

/// As many open files as may be, and children that can be waited for, whatever was inherited.
fn adjust_process() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = soft.max(FILES_WANTED.min(hard));
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
    }
    sys::default_child_signal();
}
