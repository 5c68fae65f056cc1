//! What each request of a client does, and which peers may send it.

use std::os::fd::OwnedFd;

use ant_abi::REVISION;
use ant_protocol::cpu_list::{describe_cpus, describe_memory};
use ant_protocol::signals::signal_name;
use ant_protocol::{Boot, PartitionStatus, Reply, Request, Run, Status};

use super::{Daemon, Follower};
use crate::clients::Peer;
use crate::ids::ClientId;
use crate::list_query::Purpose;
use crate::partition::Partition;
use crate::running::{Ctx, PartitionFailed, RunningPartition};

/// Bytes of text in one packet of log lines.
const LOG_PACKET: usize = 32 << 10;
/// What to do when AnT does not run.
const NOT_RUNNING: &str = "AnT is not running: `antctl boot --cpus LIST --memory SIZE` first (for example --cpus 1-3 \
     --memory 256M)";

impl Daemon {
    /// Executes a request of a client.
    ///
    /// # Errors
    ///
    /// The partition has failed.
    pub(super) fn execute(
        &mut self,
        client: ClientId,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), PartitionFailed> {
        let Some(peer) = self.clients.peer(client).cloned() else { return Ok(()) };
        match request {
            Request::Boot(boot) => self.boot(client, &peer, &boot),
            Request::Run(run) => self.run_program(client, &peer, &run, descriptors),
            Request::End { signal } => return self.end_program(client, signal),
            Request::Ps => self.list(client, &peer, Purpose::Processes),
            Request::Servers => self.list(client, &peer, Purpose::Servers),
            Request::Status => self.status(client),
            Request::Log { follow } => self.log(client, follow),
            Request::Kill { pid, signal } => return self.kill(client, &peer, pid, signal),
            Request::Priority { pid, priority } => self.priority(client, &peer, pid, priority),
            Request::Move { pid, cpu } => self.move_process(client, &peer, pid, cpu),
            Request::RestartServer { name } => self.restart_server(client, &peer, name),
            Request::ReplaceServer { name } => {
                self.replace_server(client, &peer, name, descriptors);
            }
            Request::Stop => self.stop_partition(client, &peer),
            Request::Inject(injection) => self.inject(client, &peer, injection),
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, client: ClientId, text: impl Into<String>) {
        self.reply(client, &Reply::Failed(text.into()));
    }

    /// Tells a client why its request was refused, if it was.
    pub(super) fn fail_if(&mut self, client: ClientId, refused: Option<String>) {
        if let Some(text) = refused {
            self.fail(client, text);
        }
    }

    /// The partition that runs, and what it shares with the daemon; if none does, the client is told.
    pub(super) fn running_or_fail(
        &mut self,
        client: ClientId,
    ) -> Option<(&mut RunningPartition, Ctx<'_>)> {
        if self.running.is_none() {
            let text = self.not_running();
            self.fail(client, text);
        }
        self.running_and_ctx()
    }

    /// Whether the peer is root; if not, the client is told.
    pub(super) fn is_root(&mut self, client: ClientId, peer: &Peer, what: &str) -> bool {
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
            let layout = running.partition.layout();
            let text = format!("AnT runs already: {layout}; `antctl stop` first");
            return self.fail(client, text);
        }
        self.last_failure = None;
        let booted = Partition::boot(&*self.device, &self.root, boot, &mut self.log_book)
            .map_err(|error| error.to_string())
            .and_then(|partition| {
                let prefork = boot.prefork as usize;
                RunningPartition::new(partition, prefork, &self.poller).map_err(|errno| {
                    format!("antd cannot serve the partition: {errno}; the CPUs are Linux's again")
                })
            });
        match booted {
            Ok(running) => {
                let layout = running.partition.layout();
                let notes = running.partition.assigned.notes.clone();
                tracing::info!("AnT runs: {}", layout);
                notes.iter().for_each(|note| tracing::info!("AnT runs {note}"));
                self.running = Some(running);
                self.reply(client, &Reply::Booted { layout, notes });
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
        if let Some((running, mut ctx)) = self.running_or_fail(client) {
            running.run(client, peer, run, descriptors, &mut ctx);
        }
    }

    fn end_program(&mut self, client: ClientId, signal: i32) -> Result<(), PartitionFailed> {
        let Some((running, mut ctx)) = self.running_and_ctx() else { return Ok(()) };
        let Some(id) = running.sessions.of_client(client) else { return Ok(()) };
        running.end_session(id, signal, &signal_name(signal), None, &mut ctx)
    }

    fn list(&mut self, client: ClientId, peer: &Peer, purpose: Purpose) {
        let Some((running, _)) = self.running_or_fail(client) else { return };
        let refused = running.query(peer.uid, client, purpose).err();
        self.fail_if(client, refused);
    }

    fn status(&mut self, client: ClientId) {
        match &mut self.running {
            Some(running) => running.probe(client),
            None => {
                let status = self.status_with(None);
                self.reply(client, &Reply::Status(Box::new(status)));
            }
        }
    }

    /// The status of the daemon with that of the partition.
    pub(super) fn status_with(&self, partition: Option<PartitionStatus>) -> Status {
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
        let end = (!follow).then_some(self.log_book.end());
        self.followers.insert(client, Follower { next: 0, end });
        self.feed_followers();
    }

    /// Sends the readers of the log what they have not got, as far as they read it: nothing is kept for them.
    pub(super) fn feed_followers(&mut self) {
        self.drain_log();
        let clients: Vec<ClientId> = self.followers.keys().copied().collect();
        for client in clients {
            while self.clients.has_read_all(client) && self.feed_follower(client) {}
        }
    }

    /// Sends a reader of the log one packet. Whether there may be more.
    fn feed_follower(&mut self, client: ClientId) -> bool {
        let Some(follower) = self.followers.get_mut(&client) else { return false };
        let last = follower.end.unwrap_or(self.log_book.end());
        if follower.next >= last {
            if follower.end.is_some() {
                self.followers.remove(&client);
                self.reply(client, &Reply::LogEnd);
            }
            return false;
        }
        let (first, lines) = self.log_book.packet(follower.next, LOG_PACKET);
        follower.next = first + lines.len() as u64;
        self.reply(client, &Reply::Log(lines));
        true
    }

    pub(super) fn drain_log(&mut self) {
        if let Some(running) = &self.running {
            self.log_book.drain(running.partition.shared());
        }
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

    /// Stops the partition that runs; a description of what went back.
    ///
    /// # Errors
    ///
    /// Something did not go back; a sentence.
    pub(super) fn stop_running(&mut self, reason: &str) -> Result<String, String> {
        let Some(running) = self.running.take() else { return Ok("everything".into()) };
        let cpus = describe_cpus(&running.partition.cpus);
        let memory = describe_memory(running.partition.memory);
        let mut what = vec![cpus, memory];
        what.extend(running.partition.layout().devices);
        let mut ctx = Ctx { poller: &self.poller, clients: &mut self.clients };
        let stopped = running.stop(reason, &mut self.log_book, &mut ctx);
        tracing::info!("AnT ended: {reason}");
        self.feed_followers();
        match stopped {
            Ok(()) => {
                let last = what.pop().unwrap_or_default();
                Ok(format!("{} and {last}", what.join(", ")))
            }
            Err(text) => {
                tracing::error!("{text}");
                Err(format!(
                    "AnT ended, but not everything went back to Linux: {text}; see `dmesg`"
                ))
            }
        }
    }

    /// AnT does not run, and why if that is known.
    fn not_running(&self) -> String {
        match &self.last_failure {
            None => NOT_RUNNING.into(),
            Some(reason) => format!("{NOT_RUNNING}. It ended: {reason}"),
        }
    }
}
