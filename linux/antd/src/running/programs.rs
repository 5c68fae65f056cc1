//! Programs of clients: from the request to the end.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use ant_abi::Error;
use ant_abi::store::StoreEntry;
use ant_dev::Release;
use ant_protocol::cpu_list::describe_cpus;
use ant_protocol::{ExitReason, Reply, Run};
use rustix::process::Signal;

use super::{Ctx, PartitionFailed, RunningPartition};
use crate::clients::Peer;
use crate::explain::process_error;
use crate::identity::{Identity, Limits};
use crate::ids::{ClientId, SessionId};
use crate::pending::spawn_words;
use crate::sessions::{DoorbellDeadline, EndRequest, Session, Stage};
use crate::text::printable;
use crate::timeouts::ANSWER_TIMEOUT;

impl RunningPartition {
    /// `init` has replied to the request for a session's process.
    pub(super) fn spawned(
        &mut self,
        id: SessionId,
        late: bool,
        reply: &ant_abi::control::Reply,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        if reply.result != 0 {
            let client = session.client;
            self.sessions.remove(id);
            if !late {
                ctx.send(client, &Reply::Failed(process_error(reply.result)));
            }
            return Ok(());
        }
        let lca = StoreEntry(reply.lca);
        if let Err(error) = self.partition.control().bind(lca) {
            let reason = ExitReason::Lost { text: error.to_string() };
            self.release(lca, Release::OfChannel);
            self.finish(id, &reason, ctx);
            return Ok(());
        }
        session.stage = Stage::Exists { pid: reply.pid, cpu_index: reply.cpu, lca };
        let doorbells = self.partition.shared().doorbells(reply.cpu);
        session.doorbell =
            Some(DoorbellDeadline { doorbells, deadline: Instant::now() + ANSWER_TIMEOUT });
        if let Err(error) = self.partition.control().kick(reply.cpu) {
            tracing::warn!("{error}");
        }
        let (client, unwanted) = (session.client, session.end_request.is_some());
        self.table.admit(lca, id);
        let cpu = self.partition.cpu_of(reply.cpu);
        ctx.send(client, &Reply::Started { pid: reply.pid, cpu });
        if unwanted { self.request_kill(id, ctx) } else { Ok(()) }
    }

    /// `init` has replied to a request to end a session's process. A process that there was reports
    /// its end through its LCA.
    pub(super) fn kill_replied(
        &mut self,
        id: SessionId,
        result: i32,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        if i64::from(result) != Error::NoProcess.to_return() {
            return Ok(());
        }
        // Its last request may not have been taken yet.
        self.take_requests(self.requests_max(), ctx)?;
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let served = session.lca().is_some_and(|lca| self.table.proxy_of(lca).is_some());
        if served {
            return Ok(());
        }
        let no_process = ExitReason::Lost { text: "AnT has no such process".into() };
        let reason = session.end_request.as_ref().map_or(no_process, EndRequest::exit_reason);
        let _ = self.table.drop_session(id);
        self.finish(id, &reason, ctx);
        Ok(())
    }

    /// Runs a program for a client.
    pub fn run(
        &mut self,
        client: ClientId,
        peer: &Peer,
        run: &Run,
        descriptors: [OwnedFd; 4],
        ctx: &mut Ctx<'_>,
    ) {
        if let Err(text) = self.try_run(client, peer, run, descriptors) {
            ctx.send(Some(client), &Reply::Failed(text));
        }
    }

    fn try_run(
        &mut self,
        client: ClientId,
        peer: &Peer,
        run: &Run,
        descriptors: [OwnedFd; 4],
    ) -> Result<(), String> {
        let cpu_index = run.cpu.map(|cpu| self.cpu_of(cpu)).transpose()?;
        let program = run.program.as_bytes();
        let args: Vec<&[u8]> = run.args.iter().map(|arg| arg.as_bytes()).collect();
        let (path_len, words) = spawn_words(program, &args)?;
        self.check_share(peer)?;
        let identity = Identity {
            uid: peer.uid,
            gid: peer.gid,
            groups: peer.groups.clone(),
            capabilities: peer.capabilities,
            umask: run.umask & 0o777,
            limits: Limits::of(peer.pid).ok(),
        };
        let id = self.sessions.insert(Session {
            client: Some(client),
            identity,
            descriptors,
            command: describe_command(&words),
            stage: Stage::Requested,
            end_request: None,
            doorbell: None,
        });
        self.init.spawn(peer.uid, id, cpu_index, path_len, &words).map_err(|error| {
            self.sessions.remove(id);
            error.to_string()
        })
    }

    /// Whether a user may run one more program: half of AnT's processes, so that others can run some.
    fn check_share(&self, peer: &Peer) -> Result<(), String> {
        let places = self.partition.tables.processes as usize;
        let own = self.sessions.iter().filter(|(_, s)| s.identity.uid == peer.uid).count();
        if peer.is_root() || own < places / 2 {
            return Ok(());
        }
        Err(format!(
            "you run {own} programs on AnT, your share of its {places} processes: end some first"
        ))
    }

    /// Index of the CPU that has number `cpu` in Linux.
    ///
    /// # Errors
    ///
    /// It is not AnT's; a sentence.
    pub fn cpu_of(&self, cpu: u32) -> Result<u32, String> {
        self.partition.cpu_index_of(cpu).ok_or_else(|| {
            let own = describe_cpus(&self.partition.cpus);
            format!("CPU {cpu} is not AnT's: it has {own}")
        })
    }

    /// Ends a session's process: if it has a proxy, by killing that, because the proxy's release
    /// ends the process; else through `init`. `waiter` is told when it has ended.
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
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        let request = session.end_request.get_or_insert_with(|| EndRequest {
            signal,
            text: text.into(),
            deadline: Some(Instant::now() + ANSWER_TIMEOUT),
            waiters: Vec::new(),
        });
        request.waiters.extend(waiter);
        let Some(lca) = session.lca() else { return Ok(()) };
        match self.table.proxy_of(lca) {
            Some(proxy) => {
                self.proxies.kill(proxy);
                Ok(())
            }
            None => self.request_kill(id, ctx),
        }
    }

    /// Requests the end of a session's process from `init`.
    pub(super) fn request_kill(
        &mut self,
        id: SessionId,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let Some(session) = self.sessions.get(id) else { return Ok(()) };
        let Stage::Exists { pid, .. } = session.stage else { return Ok(()) };
        let user = session.identity.uid;
        let signal =
            session.end_request.as_ref().map_or(Signal::KILL.as_raw(), |request| request.signal);
        if self.init.kill(user, id, pid, signal).is_err() {
            self.report_timeout(id, ctx);
        }
        Ok(())
    }

    /// A client has closed its connection: its program ends.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn client_gone(
        &mut self,
        client: ClientId,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        let Some(id) = self.sessions.of_client(client) else { return Ok(()) };
        if let Some(session) = self.sessions.get_mut(id) {
            session.client = None;
        }
        self.end_session(id, Signal::HUP.as_raw(), "antctl closed its connection", None, ctx)
    }
}

/// A program's words, each with a zero byte at its end, as other users may see them.
fn describe_command(words: &[u8]) -> String {
    let words = words.strip_suffix(b"\0").unwrap_or(words);
    let spaced: Vec<u8> = words.iter().map(|&byte| if byte == 0 { b' ' } else { byte }).collect();
    printable(&spaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_control_the_terminal_of_another_user() {
        assert_eq!(describe_command(b"/bin/wc\0-l\0\x1b[31m\0"), "/bin/wc -l  [31m");
    }
}
