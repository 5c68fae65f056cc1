//! Requests of AnT, the proxies that execute them, and the LCAs to release (paper 4.3).

use std::time::{Duration, Instant};

use ant_abi::store::StoreEntry;
use ant_dev::Release;
use ant_protocol::{ExitReason, Reply};
use rustix::io::Errno;

use super::{Ctx, PartitionFailed, RunningPartition};
use crate::channel::{Assignment, Notice};
use crate::ids::{ProxyId, SessionId};
use crate::table::{OnExit, OnRequest, ProxyExitKind};

/// Time before the release of an LCA is tried again.
const RELEASE_INTERVAL: Duration = Duration::from_millis(2);

/// An LCA that was not released: Linux had a reference to it (I/O of its last proxy that is not
/// over), or CPU 0's return store was full.
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

impl RunningPartition {
    /// Most requests that can be queued: one of each LCA.
    pub(super) fn requests_max(&self) -> usize {
        self.partition.tables.lcas as usize
    }

    /// LCAs that cannot be released yet, beyond which requests of unknown LCAs are dropped.
    fn unreleased_max(&self) -> usize {
        2 * self.requests_max()
    }

    /// Takes requests from the control file, as many as `most`.
    pub(super) fn take_requests(
        &mut self,
        most: usize,
        ctx: &mut Ctx<'_>,
    ) -> Result<(), PartitionFailed> {
        for _ in 0..most {
            match self.partition.control().get() {
                Ok(None) => break,
                Ok(Some(lca)) => self.serve(lca, ctx)?,
                Err(error) => return Err(PartitionFailed(format!("{error}"))),
            }
        }
        Ok(())
    }

    /// Serves a request of AnT (paper 4.3 (4)).
    fn serve(&mut self, lca: StoreEntry, ctx: &mut Ctx<'_>) -> Result<(), PartitionFailed> {
        if let Some(channel) = self.channels.position(lca) {
            return self.init_called(channel, ctx);
        }
        match self.table.request(lca) {
            OnRequest::Wake { proxy } => self.proxies.wake(proxy),
            OnRequest::NewProxy { session } => self.give_proxy(lca, session, ctx),
            OnRequest::Unknown => self.refuse(lca),
        }
        Ok(())
    }

    /// Refuses a request of an LCA without a session. If AnT has a process that waits for the reply,
    /// the release ends it, so that it does not wait for ever.
    fn refuse(&mut self, lca: StoreEntry) {
        if self.unreleased.len() < self.unreleased_max() {
            tracing::warn!("request from {:#x}, which no session has: released", lca.0);
            self.release(lca, Release::OfChannel);
        } else {
            // An AnT that makes LCAs up must not exhaust memory.
            tracing::warn!("request from {:#x}, which no session has: dropped", lca.0);
        }
    }

    fn give_proxy(&mut self, lca: StoreEntry, id: SessionId, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.get(id) else { return };
        let assignment = Assignment { lca: lca.0, identity: session.identity.clone() };
        match self.proxies.assign(&assignment, &session.borrowed(), ctx.poller) {
            Ok(proxy) => self.table.assign(lca, proxy),
            Err(errno) => {
                let text = format!("cannot fork a proxy for it: {errno}");
                if let Some(lca) = self.table.drop_session(id) {
                    self.release(lca, Release::OfChannel);
                }
                self.finish(id, &ExitReason::Lost { text }, ctx);
            }
        }
    }

    /// Releases an LCA to AnT, at once or as soon as possible. CPU 0, the m-kernel, forwards that: it
    /// knows the CPU of the process.
    pub(super) fn release(&mut self, lca: StoreEntry, why: Release) {
        if self.unreleased.iter().any(|one| one.lca == lca) {
            // An AnT that repeats requests must not exhaust memory.
            return;
        }
        let since = Instant::now();
        if self.try_release(lca, why) == Released::NotYet {
            self.unreleased.push(Unreleased { lca, why, since, next: since + RELEASE_INTERVAL });
        }
    }

    fn try_release(&self, lca: StoreEntry, why: Release) -> Released {
        match self.partition.control().release(lca, why) {
            Ok(()) => Released::Done,
            Err(error) if matches!(error.errno, Errno::BUSY | Errno::NOSPC) => Released::NotYet,
            Err(error) => {
                tracing::warn!("{error}");
                Released::Done
            }
        }
    }

    /// Tries again to release what could not be released before, at growing intervals.
    pub(super) fn retry_releases(&mut self, now: Instant) {
        for mut one in std::mem::take(&mut self.unreleased) {
            if one.next <= now && self.try_release(one.lca, one.why) == Released::Done {
                continue;
            }
            if one.next <= now {
                one.next = now + RELEASE_INTERVAL.max((now - one.since) / 8);
            }
            self.unreleased.push(one);
        }
    }

    /// A proxy may have ended.
    ///
    /// # Errors
    ///
    /// AnT cannot go on.
    pub fn proxy_ended(&mut self, id: ProxyId, ctx: &mut Ctx<'_>) -> Result<(), PartitionFailed> {
        let Some(exit) = self.proxies.reap(id, ctx.poller) else { return Ok(()) };
        match self.table.proxy_exited(id, exit.kind) {
            OnExit::Idle => {
                if let Some(Notice::Failed(text)) = &exit.notice {
                    tracing::warn!("idle proxy {} failed: {text}", exit.pid);
                }
                Ok(())
            }
            OnExit::Continues { lca, session } => {
                self.release(lca, Release::OfCall);
                if self.sessions.get(session).is_some_and(|session| session.end_request.is_some()) {
                    self.request_kill(session, ctx)?;
                }
                Ok(())
            }
            OnExit::Over { lca, session } => {
                self.release(lca, Release::OfChannel);
                let Some(ended) = self.sessions.get(session) else { return Ok(()) };
                let reason = ended.exit_reason(&exit);
                if exit.kind == ProxyExitKind::Died {
                    tracing::debug!("proxy {} died: {reason:?}", exit.pid);
                }
                self.finish(session, &reason, ctx);
                Ok(())
            }
        }
    }

    /// Ends a session.
    pub(super) fn finish(&mut self, id: SessionId, reason: &ExitReason, ctx: &mut Ctx<'_>) {
        let Some(session) = self.sessions.remove(id) else { return };
        ctx.send(session.client, &Reply::Over(reason.clone()));
        if let Some(request) = session.end_request {
            for waiter in request.waiters {
                ctx.send(Some(waiter), &Reply::Done(format!("{} ended", session.command)));
            }
        }
    }
}
