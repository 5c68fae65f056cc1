//! Requests of AnT's, the proxies that carry them out, and the LCAs that they leave (paper 4.3).

use super::*;

/// LCAs that cannot be released yet, beyond which a request that is nobody's is not answered.
const UNRELEASED_MAX: usize = 2 * REQUESTS_MAX;
/// Wait before an LCA that could not be released is tried again.
const RELEASE_STEP: Duration = Duration::from_millis(2);

/// An LCA that Linux had a reference to (I/O of its last proxy that is not over), or whose release
/// found CPU 0's return store full.
#[derive(Debug)]
pub(super) struct Unreleased {
    lca: StoreEntry,
    why: Release,
    /// When it was tried first.
    since: Instant,
    /// When to try again.
    pub(super) next: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Released {
    Done,
    NotYet,
}

impl Running {
    /// Takes requests from the control file, as many as `most`.
    pub(super) fn take_requests(
        &mut self,
        most: usize,
        ports: &mut Ports<'_>,
    ) -> Result<(), Collapse> {
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
            OnRequest::Unknown => self.refuse(lca),
        }
        Ok(())
    }

    /// A request that is nobody's. If AnT has a process that waits for an answer, the release ends
    /// it, so that it does not wait for ever.
    fn refuse(&mut self, lca: StoreEntry) {
        if self.unreleased.len() < UNRELEASED_MAX {
            tracing::warn!("a request of {:#x}, which is nobody's: released", lca.0);
            self.release(lca, Release::Died);
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
                    self.release(lca, Release::Died);
                }
                self.finish(id, &Outcome::Lost { text }, ports)
            }
        }
    }

    /// Tells AnT that Linux is through with an LCA, at once or as soon as possible. CPU 0, the
    /// m-kernel, hands it on: it knows where the process is.
    fn release(&mut self, lca: StoreEntry, why: Release) {
        if self.unreleased.iter().any(|one| one.lca == lca) {
            // An AnT that asks on and on must not fill our memory.
            return;
        }
        let since = Instant::now();
        if self.try_release(lca, why) == Released::NotYet {
            self.unreleased.push(Unreleased { lca, why, since, next: since + RELEASE_STEP });
        }
    }

    fn try_release(&self, lca: StoreEntry, why: Release) -> Released {
        match self.partition.control().release(lca, why) {
            Ok(()) => Released::Done,
            Err(error) if matches!(error.errno, Errno::EBUSY | Errno::ENOSPC) => Released::NotYet,
            Err(error) => {
                tracing::warn!("{error}");
                Released::Done
            }
        }
    }

    /// Releases what could not be released before, if its time has come: ever more rarely.
    pub(super) fn retry_releases(&mut self, now: Instant) {
        for mut one in std::mem::take(&mut self.unreleased) {
            if one.next <= now && self.try_release(one.lca, one.why) == Released::Done {
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
                self.release(lca, Release::AsAsked);
                if self.sessions.get(session).is_some_and(|session| session.ending.is_some()) {
                    self.ask_to_kill(session, ports)?;
                }
                Ok(())
            }
            OnLeaving::Over { lca, session } => {
                let died = departed.how == Leaving::Died;
                self.release(lca, if died { Release::Died } else { Release::AsAsked });
                let Some(over) = self.sessions.get(session) else { return Ok(()) };
                let outcome = over.outcome(&departed);
                if died {
                    tracing::debug!("proxy {} died: {outcome:?}", departed.pid);
                }
                self.finish(session, &outcome, ports)
            }
        }
    }

    /// A session is over.
    pub(super) fn finish(
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
