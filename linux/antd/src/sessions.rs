//! Sessions: one for each program that a client runs.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use ant_abi::lca::ExitKind;
use ant_abi::store::StoreEntry;
use ant_protocol::ExitReason;
use ant_protocol::signals::signal_name;
use rustix::process::Signal;

use crate::channel::Notice;
use crate::identity::Identity;
use crate::ids::{ClientId, SessionId};
use crate::proxies::ProxyExit;

/// Signals that Linux sends a process for its own writes.
const BY_PROGRAM: [Signal; 2] = [Signal::PIPE, Signal::XFSZ];

/// Whether a process exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `init` has been asked for it.
    Requested,
    /// `init` has created it.
    Exists {
        /// AnT's number.
        pid: u32,
        /// Index of its CPU.
        cpu_index: u32,
        /// Its LCA.
        lca: StoreEntry,
    },
}

/// A request to end a session's process.
#[derive(Debug)]
pub struct EndRequest {
    /// The signal that it counts as.
    pub signal: i32,
    /// Where the request came from.
    pub text: String,
    /// When the clients are told that AnT does not respond; `None` when they have been.
    pub deadline: Option<Instant>,
    /// Clients that are told when the process has ended, beside the session's.
    pub waiters: Vec<ClientId>,
}

/// The CPU of a new process was rung, and has to count that doorbell: else it is taken for hung.
#[derive(Debug)]
pub struct DoorbellDeadline {
    /// Doorbells that it had counted before.
    pub doorbells: u64,
    /// Until when.
    pub deadline: Instant,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// The client that waits for it; `None` if it has closed its connection.
    pub client: Option<ClientId>,
    /// User and rights of its proxies.
    pub identity: Identity,
    /// The proxies' descriptors 0, 1, 2, and their directory.
    pub descriptors: [OwnedFd; 4],
    /// Program and arguments, to be shown.
    pub command: String,
    /// Whether its process exists.
    pub stage: Stage,
    /// The request to end it, if there was one.
    pub end_request: Option<EndRequest>,
    /// The doorbell that its CPU has to count, if it has not.
    pub doorbell: Option<DoorbellDeadline>,
}

impl Session {
    /// The descriptors, to be sent.
    #[must_use]
    pub fn borrowed(&self) -> [BorrowedFd<'_>; 4] {
        self.descriptors.each_ref().map(AsFd::as_fd)
    }

    /// Its LCA, if its process exists.
    #[must_use]
    pub fn lca(&self) -> Option<StoreEntry> {
        match self.stage {
            Stage::Requested => None,
            Stage::Exists { lca, .. } => Some(lca),
        }
    }

    /// Exit reason of its process, judging by the exit of its last proxy.
    #[must_use]
    pub fn exit_reason(&self, exit: &ProxyExit) -> ExitReason {
        if let Some(Notice::Ended { kind, number, text }) = &exit.notice {
            return self.reported(*kind, *number, text);
        }
        match (exit.signal, &self.end_request, &exit.notice) {
            (Some(_), Some(request), _) => request.exit_reason(),
            // Signals that Linux sends for what the program itself has done.
            (Some(signal), None, _) if BY_PROGRAM.iter().any(|own| own.as_raw() == signal) => {
                ExitReason::Killed { signal, text: signal_name(signal) }
            }
            (Some(signal), None, _) => ExitReason::ProxyDied {
                signal,
                text: format!("its proxy (pid {}) was killed by {}", exit.pid, signal_name(signal)),
            },
            (None, _, Some(Notice::Failed(text))) => ExitReason::ProxyDied {
                signal: 0,
                text: format!("its proxy (pid {}) failed: {text}", exit.pid),
            },
            (None, _, _) => ExitReason::ProxyDied {
                signal: 0,
                text: format!("its proxy (pid {}) exited", exit.pid),
            },
        }
    }

    /// What the process itself has reported, by `EXIT_*`.
    fn reported(&self, kind: u64, number: u64, text: &str) -> ExitReason {
        let small = i32::try_from(number).unwrap_or(0);
        let text = text.to_owned();
        match ExitKind::try_from(kind) {
            Ok(ExitKind::Exited) => ExitReason::Exited { status: number as u8 },
            Ok(ExitKind::Faulted) => ExitReason::Faulted { signal: small, text },
            Ok(ExitKind::Killed) => match &self.end_request {
                Some(request) => request.exit_reason(),
                None => ExitReason::Killed { signal: small, text },
            },
            _ => ExitReason::LoadFailed { errno: small, text },
        }
    }
}

impl EndRequest {
    /// Exit reason of a process that ends by it.
    #[must_use]
    pub fn exit_reason(&self) -> ExitReason {
        ExitReason::Killed { signal: self.signal, text: self.text.clone() }
    }
}

/// All sessions of a partition.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<SessionId, Session>,
    next: u64,
}

impl Sessions {
    /// Adds a session.
    pub fn insert(&mut self, session: Session) -> SessionId {
        self.next += 1;
        let id = SessionId(self.next);
        self.all.insert(id, session);
        id
    }

    /// A session.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    /// A session.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// Removes a session.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.all.remove(&id)
    }

    /// All, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.all.iter_mut().map(|(id, session)| (*id, session))
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.all.iter().map(|(&id, session)| (id, session))
    }

    /// The session that `client` waits for.
    #[must_use]
    pub fn of_client(&self, client: ClientId) -> Option<SessionId> {
        self.iter().find(|(_, session)| session.client == Some(client)).map(|(id, _)| id)
    }

    /// The session of the process with this pid.
    #[must_use]
    pub fn of_pid(&self, wanted: u32) -> Option<SessionId> {
        let is =
            |session: &Session| matches!(session.stage, Stage::Exists { pid, .. } if pid == wanted);
        self.iter().find(|(_, session)| is(session)).map(|(id, _)| id)
    }

    /// Number of programs that run.
    #[must_use]
    pub fn programs(&self) -> usize {
        self.all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::ProxyExitKind;
    use std::fs::File;

    fn session(request: Option<(i32, &str)>) -> Session {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        Session {
            client: None,
            identity: Identity {
                uid: 1000,
                gid: 1000,
                groups: vec![],
                capabilities: Default::default(),
                umask: 0o022,
                limits: None,
            },
            descriptors: [null(), null(), null(), null()],
            command: "wc".into(),
            stage: Stage::Requested,
            end_request: request.map(|(signal, text)| EndRequest {
                signal,
                text: text.into(),
                deadline: None,
                waiters: vec![],
            }),
            doorbell: None,
        }
    }

    fn exit(signal: Option<i32>, notice: Option<Notice>) -> ProxyExit {
        ProxyExit { pid: 77, kind: ProxyExitKind::Died, notice, signal }
    }

    fn end(kind: ExitKind, number: u64) -> Option<Notice> {
        Some(Notice::Ended { kind: kind.into(), number, text: "t".into() })
    }

    #[test]
    fn what_the_process_reports_about_its_end_holds() {
        let reason = |kind, number| session(None).exit_reason(&exit(None, end(kind, number)));
        assert_eq!(reason(ExitKind::Exited, 3), ExitReason::Exited { status: 3 });
        assert_eq!(
            reason(ExitKind::Faulted, 11),
            ExitReason::Faulted { signal: 11, text: "t".into() }
        );
        assert_eq!(
            reason(ExitKind::Killed, 15),
            ExitReason::Killed { signal: 15, text: "t".into() }
        );
        assert_eq!(
            reason(ExitKind::LoadFailed, 2),
            ExitReason::LoadFailed { errno: 2, text: "t".into() }
        );
    }

    #[test]
    fn a_requested_end_has_the_signal_of_the_request() {
        let killed = ExitReason::Killed { signal: 2, text: "Ctrl-C".into() };
        let session = session(Some((2, "Ctrl-C")));
        assert_eq!(session.exit_reason(&exit(Some(9), None)), killed);
        assert_eq!(session.exit_reason(&exit(None, end(ExitKind::Killed, 9))), killed);
        let exited = session.exit_reason(&exit(None, end(ExitKind::Exited, 0)));
        assert_eq!(exited, ExitReason::Exited { status: 0 }, "it was faster");
    }

    #[test]
    fn a_proxy_that_dies_is_named() {
        let ExitReason::ProxyDied { signal: 9, text } =
            session(None).exit_reason(&exit(Some(9), None))
        else {
            panic!()
        };
        assert!(text.contains("pid 77") && text.contains("SIGKILL"), "{text}");
        let broken = session(None).exit_reason(&exit(Some(13), None));
        assert!(matches!(broken, ExitReason::Killed { signal: 13, .. }));
    }
}
