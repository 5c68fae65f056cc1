//! What each request of a client does, and who may ask for it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ant_abi::REVISION;
use ant_abi::syscall::{INJECT_BAD_RADDR, INJECT_HANG, INJECT_PANIC};

use crate::clients::{ClientId, Peer};
use crate::daemon::Daemon;
use crate::init::Want;
use crate::partition::Partition;
use crate::protocol::{Boot, Injection, LogLine, PartitionStatus, Reply, Request, Run, Status};
use crate::running::{Collapse, Running};
use crate::sessions::signal_name;

/// Bytes of text in one packet of log lines.
const LOG_PACKET: usize = 32 << 10;
/// What people do when AnT does not run.
const NOT_RUNNING: &str = "AnT is not running: `antctl boot --cpus LIST --memory SIZE` first (for example --cpus 1-3 \
     --memory 256M)";

impl Daemon {
    /// Does what a client wants.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub(crate) fn obey(
        &mut self,
        client: ClientId,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Collapse> {
        let Some(peer) = self.clients.peer(client).cloned() else { return Ok(()) };
        match request {
            Request::Boot(boot) => self.boot(client, &peer, &boot),
            Request::Run(run) => self.run_program(client, &peer, &run, descriptors),
            Request::End { signal } => return self.end_program(client, signal),
            Request::Ps => self.list(client),
            Request::Status => self.status(client),
            Request::Log { follow } => self.log(client, follow),
            Request::Kill { pid, signal } => return self.kill(client, &peer, pid, signal),
            Request::Stop => self.stop_partition(client, &peer),
            Request::Inject { injection, cpu } => self.inject(client, &peer, injection, cpu),
        }
        Ok(())
    }

    fn fail(&mut self, client: ClientId, text: impl Into<String>) {
        self.reply(client, &Reply::Failed(text.into()));
    }

    /// Whether the peer is root; if not, it is told.
    fn is_root(&mut self, client: ClientId, peer: &Peer, what: &str) -> bool {
        if !peer.is_root() {
            self.fail(client, format!("only root can {what}: use sudo"));
        }
        peer.is_root()
    }

    fn boot(&mut self, client: ClientId, peer: &Peer, boot: &Boot) {
        if !self.is_root(client, peer, "boot AnT") {
            return;
        }
        if let Some(running) = &self.running {
            let layout = running.partition.layout().in_words();
            let text = format!("AnT runs already: {layout}; `antctl stop` first");
            return self.fail(client, text);
        }
        self.last_failure = None;
        let booted = Partition::boot(&*self.device, boot, &mut self.log_book)
            .map_err(|error| error.to_string())
            .and_then(|partition| {
                let prefork = boot.prefork as usize;
                Running::new(partition, prefork, &self.poller).map_err(|errno| {
                    format!("antd cannot serve the partition: {errno}; the CPUs are Linux's again")
                })
            });
        match booted {
            Ok(running) => {
                let layout = running.partition.layout();
                tracing::info!("AnT runs: {}", layout.in_words());
                self.running = Some(running);
                self.reply(client, &Reply::Booted(layout));
            }
            Err(text) => {
                tracing::warn!("AnT was not booted: {text}");
                self.fail(client, text);
            }
        }
        self.feed_followers();
    }

    fn run_program(&mut self, client: ClientId, peer: &Peer, run: &Run, descriptors: Vec<OwnedFd>) {
        let Ok(descriptors) = <[OwnedFd; 4]>::try_from(descriptors) else {
            return self.fail(client, "a run request needs four descriptors");
        };
        match self.running_and_ports() {
            Some((running, mut ports)) => {
                running.run(client, peer, run, descriptors, &mut ports);
            }
            None => {
                let text = self.not_running();
                self.fail(client, text);
            }
        }
    }

    fn end_program(&mut self, client: ClientId, signal: i32) -> Result<(), Collapse> {
        let Some((running, mut ports)) = self.running_and_ports() else { return Ok(()) };
        let Some(id) = running.sessions.of_client(client) else { return Ok(()) };
        running.end_session(id, signal, &signal_name(signal), None, &mut ports)
    }

    fn list(&mut self, client: ClientId) {
        let refused = match &mut self.running {
            None => Some(self.not_running()),
            Some(running) if running.init_gone.is_some() => Some(running.no_answer()),
            Some(running) => {
                running.init.list(client, Vec::new()).err().map(|_| running.no_answer())
            }
        };
        if let Some(text) = refused {
            self.fail(client, text);
        }
    }

    fn status(&mut self, client: ClientId) {
        match &mut self.running {
            Some(running) => running.probe(client),
            None => {
                let status = self.framed(None);
                self.reply(client, &Reply::Status(Box::new(status)));
            }
        }
    }

    /// A partition's status with that of the daemon around it.
    pub(crate) fn framed(&self, partition: Option<PartitionStatus>) -> Status {
        Status {
            antd_pid: std::process::id(),
            revision: REVISION,
            module_revision: self.device.info().ok().map(|info| info.revision),
            partition,
            last_failure: self.last_failure.clone(),
        }
    }

    fn log(&mut self, client: ClientId, follow: bool) {
        self.drain_log();
        self.send_log(client, 0);
        if follow {
            self.followers.insert(client, self.log_book.end());
        } else {
            self.reply(client, &Reply::LogEnd);
        }
    }

    /// Tells followers of the log what is new.
    pub(crate) fn feed_followers(&mut self) {
        self.drain_log();
        let end = self.log_book.end();
        let behind: Vec<(ClientId, u64)> =
            self.followers.iter().map(|(&c, &n)| (c, n)).filter(|&(_, n)| n < end).collect();
        for (client, from) in behind {
            self.send_log(client, from);
            self.followers.insert(client, end);
        }
    }

    fn drain_log(&mut self) {
        if let Some(running) = &self.running {
            self.log_book.drain(running.partition.shared());
        }
    }

    fn send_log(&mut self, client: ClientId, from: u64) {
        let (mut packet, mut bytes) = (Vec::new(), 0);
        let mut packets = Vec::new();
        for line in self.log_book.since(from) {
            bytes += line.text.len() + size_of::<LogLine>();
            packet.push(line.clone());
            if bytes >= LOG_PACKET {
                packets.push(std::mem::take(&mut packet));
                bytes = 0;
            }
        }
        packets.push(packet);
        for packet in packets.into_iter().filter(|packet| !packet.is_empty()) {
            self.reply(client, &Reply::Log(packet));
        }
    }

    fn kill(
        &mut self,
        client: ClientId,
        peer: &Peer,
        pid: u32,
        signal: i32,
    ) -> Result<(), Collapse> {
        if !(1..=64).contains(&signal) {
            self.fail(client, format!("there is no signal {signal}"));
            return Ok(());
        }
        let Some((running, mut ports)) = self.running_and_ports() else {
            let text = self.not_running();
            self.fail(client, text);
            return Ok(());
        };
        let session = running.sessions.of_pid(pid);
        let owner = session.and_then(|id| running.sessions.get(id)).map(|s| s.identity.uid);
        let refused = match (session, owner) {
            (Some(id), Some(owner)) if peer.is_root() || owner == peer.uid => {
                let text = format!("killed by `antctl kill` of user {}", peer.uid);
                return running.end_session(id, signal, &text, Some(client), &mut ports);
            }
            (Some(_), _) => "it is another user's: use sudo".into(),
            (None, _) if running.init_gone.is_some() => running.no_answer(),
            // Not a session's: root may ask init, which refuses what must not be. Nobody else
            // learns what there is.
            (None, _) if peer.is_root() => {
                match running.init.kill(Want::KillPid(client), pid, signal) {
                    Ok(()) => return Ok(()),
                    Err(_) => running.no_answer(),
                }
            }
            (None, _) => format!("you have no process {pid} on AnT: `antctl ps` lists them"),
        };
        self.fail(client, refused);
        Ok(())
    }

    fn stop_partition(&mut self, client: ClientId, peer: &Peer) {
        if !self.is_root(client, peer, "stop AnT") {
            return;
        }
        if self.running.is_none() {
            return self.fail(client, "AnT is not running: there is nothing to stop");
        }
        let reply = match self.stop_running("AnT was stopped") {
            Ok(layout) => Reply::Done(format!("AnT stopped; Linux has {layout} again")),
            Err(text) => Reply::Failed(text),
        };
        self.reply(client, &reply);
    }

    /// Stops the partition that runs. What went back, in words.
    ///
    /// # Errors
    ///
    /// Something did not go back; in words.
    pub(crate) fn stop_running(&mut self, reason: &str) -> Result<String, String> {
        let Some(running) = self.running.take() else { return Ok("everything".into()) };
        let cpus = crate::cpu_list::cpus_in_words(&running.partition.cpus);
        let memory = crate::cpu_list::memory_in_words(running.partition.memory);
        let mut ports = crate::running::Ports { poller: &self.poller, clients: &mut self.clients };
        let stopped = running.stop(reason, &mut self.log_book, &mut ports);
        tracing::info!("AnT ended: {reason}");
        self.feed_followers();
        match stopped {
            Ok(()) => Ok(format!("{cpus} and {memory}")),
            Err(text) => {
                tracing::error!("{text}");
                Err(format!(
                    "AnT ended, but not everything went back to Linux: {text}; see `dmesg`"
                ))
            }
        }
    }

    fn inject(&mut self, client: ClientId, peer: &Peer, injection: Injection, cpu: u32) {
        if !self.is_root(client, peer, "make AnT fail") {
            return;
        }
        let number = match injection {
            Injection::Panic => INJECT_PANIC,
            Injection::Hang => INJECT_HANG,
            Injection::BadRaddr => INJECT_BAD_RADDR,
        };
        let refused = match &mut self.running {
            None => Some(self.not_running()),
            Some(running) if !running.partition.allow_inject => {
                Some("AnT was not booted for that: `antctl boot --allow-inject …`".into())
            }
            Some(running) => match running.core_of(cpu) {
                Err(text) => Some(text),
                Ok(core) => {
                    let asked = running.init.inject(client, number, core);
                    asked.err().map(|_| running.no_answer())
                }
            },
        };
        if let Some(text) = refused {
            self.fail(client, text);
        }
    }

    /// That AnT does not run, and why if that is known.
    fn not_running(&self) -> String {
        match &self.last_failure {
            None => NOT_RUNNING.into(),
            Some(reason) => format!("{NOT_RUNNING}. It ended: {reason}"),
        }
    }
}

/// How long followers of the log wait for what is new.
pub(crate) const FOLLOW_STEP: Duration = Duration::from_millis(100);
