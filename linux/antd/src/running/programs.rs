//! What clients run: from the wish to the end.

use super::*;

impl Running {
    pub(super) fn spawned(
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
        session.stage = Stage::Exists { pid: reply.pid, cpu_index: reply.cpu, lca };
        let doorbells = self.partition.shared().doorbells(reply.cpu);
        session.awaited = Some(Awaited { doorbells, limit: Instant::now() + ANSWER_LIMIT });
        if let Err(error) = self.partition.control().kick(reply.cpu) {
            tracing::warn!("{error}");
        }
        let (client, unwanted) = (session.client, session.ending.is_some());
        self.table.admit(lca, id);
        let cpu = self.partition.cpu_of(reply.cpu);
        ports.send(client, &Reply::Started { pid: reply.pid, cpu });
        if unwanted { self.ask_to_kill(id, ports) } else { Ok(()) }
    }

    /// `init` has answered a request to end a session's process. If it lives, it will say through
    /// its LCA that it ended.
    pub(super) fn kill_answered(
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
        let cpu_index = run.cpu.map(|cpu| self.cpu_of(cpu)).transpose()?;
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
        self.init.spawn(id, cpu_index, path_len, &words).map_err(|errno| {
            self.sessions.remove(id);
            self.not_asked(errno)
        })
    }

    /// Index of the CPU that people call `cpu`.
    ///
    /// # Errors
    ///
    /// It is not AnT's; in words.
    pub fn cpu_of(&self, cpu: u32) -> Result<u32, String> {
        self.partition.cpu_index_of(cpu).ok_or_else(|| {
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

    pub(super) fn ask_to_kill(
        &mut self,
        id: SessionId,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
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
}
