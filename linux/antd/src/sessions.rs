//! Who ran what: one session for each process that somebody waits for, and one for `init`.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use ant_abi::lca::ExitKind;
use ant_abi::store::StoreEntry;
use nix::sys::signal::Signal;

use crate::channel::Notice;
use crate::clients::ClientId;
use crate::protocol::Outcome;
use crate::proxies::Departed;
use crate::proxy::Identity;
use crate::table::SessionId;

/// The session of `init`.
pub const INIT: SessionId = SessionId(0);

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// `init` has been asked for it.
    Asked,
    /// It exists.
    Exists {
        /// AnT's number.
        pid: u32,
        /// Index of its CPU.
        cpu_index: u32,
        /// Its LCA.
        lca: StoreEntry,
    },
}

/// That a session shall end.
#[derive(Debug)]
pub struct Ending {
    /// As this signal would.
    pub signal: i32,
    /// By whom.
    pub text: String,
    /// When to give up; `None` when that has been said.
    pub limit: Option<Instant>,
    /// Who else wants to know.
    pub waiters: Vec<ClientId>,
}

/// A CPU was rung when it got a process. Until it has counted that, nobody knows whether it runs.
#[derive(Debug)]
pub struct Awaited {
    /// Its doorbells before.
    pub doorbells: u64,
    /// When it is taken for hung.
    pub limit: Instant,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// Who waits for it; nobody if they hung up.
    pub client: Option<ClientId>,
    /// As whom its proxies act.
    pub identity: Identity,
    /// What they have as 0, 1, 2, and their directory.
    pub descriptors: [OwnedFd; 4],
    /// Program and arguments, for people.
    pub command: String,
    /// Where its process is.
    pub stage: Stage,
    /// Whether it shall end.
    pub ending: Option<Ending>,
    /// The sign of life that its CPU owes.
    pub awaited: Option<Awaited>,
}

impl Session {
    /// The descriptors, to send.
    #[must_use]
    pub fn borrowed(&self) -> [BorrowedFd<'_>; 4] {
        self.descriptors.each_ref().map(AsFd::as_fd)
    }

    /// Its LCA, if its process exists.
    #[must_use]
    pub fn lca(&self) -> Option<StoreEntry> {
        match self.stage {
            Stage::Asked => None,
            Stage::Exists { lca, .. } => Some(lca),
        }
    }

    /// How it ended, judging by how its last proxy left.
    #[must_use]
    pub fn outcome(&self, departed: &Departed) -> Outcome {
        if let Some(Notice::Ended { kind, number, text }) = &departed.notice {
            return self.ended(*kind, *number, text);
        }
        match (departed.signal, &self.ending, &departed.notice) {
            (Some(_), Some(ending), _) => ending.outcome(),
            // What Linux sends for a write that nobody reads is the program's to die of.
            (Some(signal @ (libc::SIGPIPE | libc::SIGXFSZ)), None, _) => {
                Outcome::Killed { signal, text: signal_name(signal) }
            }
            (Some(signal), None, _) => Outcome::ProxyDied {
                signal,
                text: format!(
                    "its proxy (pid {}) was killed by {}",
                    departed.pid,
                    signal_name(signal)
                ),
            },
            (None, _, Some(Notice::Failed(text))) => Outcome::ProxyDied {
                signal: 0,
                text: format!("its proxy (pid {}) failed: {text}", departed.pid),
            },
            (None, _, _) => Outcome::ProxyDied {
                signal: 0,
                text: format!("its proxy (pid {}) exited", departed.pid),
            },
        }
    }

    fn ended(&self, kind: u64, number: u64, text: &str) -> Outcome {
        let small = i32::try_from(number).unwrap_or(0);
        let text = text.to_owned();
        match ExitKind::try_from(kind) {
            Ok(ExitKind::Exited) => Outcome::Exited { status: number as u8 },
            Ok(ExitKind::Faulted) => Outcome::Faulted { signal: small, text },
            Ok(ExitKind::Killed) => match &self.ending {
                Some(ending) => ending.outcome(),
                None => Outcome::Killed { signal: small, text },
            },
            _ => Outcome::LoadFailed { errno: small, text },
        }
    }
}

impl Ending {
    /// What becomes of the session.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::Killed { signal: self.signal, text: self.text.clone() }
    }
}

/// A signal as people call it.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |s| s.to_string())
}

/// All sessions of a partition.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<SessionId, Session>,
    next: u64,
}

impl Sessions {
    /// Puts `init`'s in.
    pub fn insert_init(&mut self, session: Session) {
        self.all.insert(INIT, session);
    }

    /// Puts a new one in.
    pub fn insert(&mut self, session: Session) -> SessionId {
        self.next += 1;
        let id = SessionId(self.next);
        self.all.insert(id, session);
        id
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.all.get(&id)
    }

    /// One of them.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.all.get_mut(&id)
    }

    /// Takes one out.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.all.remove(&id)
    }

    /// All, oldest first.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.all.iter_mut().map(|(id, session)| (*id, session))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.all.iter().map(|(&id, session)| (id, session))
    }

    /// The one that `client` waits for.
    #[must_use]
    pub fn of_client(&self, client: ClientId) -> Option<SessionId> {
        self.iter().find(|(_, session)| session.client == Some(client)).map(|(id, _)| id)
    }

    /// The one whose process is `pid`.
    #[must_use]
    pub fn of_pid(&self, wanted: u32) -> Option<SessionId> {
        let is =
            |session: &Session| matches!(session.stage, Stage::Exists { pid, .. } if pid == wanted);
        self.iter().find(|(_, session)| is(session)).map(|(id, _)| id)
    }

    /// Programs that run for somebody.
    #[must_use]
    pub fn programs(&self) -> usize {
        self.all.keys().filter(|&&id| id != INIT).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Leaving;
    use std::fs::File;

    fn session(ending: Option<(i32, &str)>) -> Session {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        Session {
            client: None,
            identity: Identity::nobody(),
            descriptors: [null(), null(), null(), null()],
            command: "wc".into(),
            stage: Stage::Asked,
            ending: ending.map(|(signal, text)| Ending {
                signal,
                text: text.into(),
                limit: None,
                waiters: vec![],
            }),
            awaited: None,
        }
    }

    fn departed(signal: Option<i32>, notice: Option<Notice>) -> Departed {
        Departed { pid: 77, how: Leaving::Died, notice, signal }
    }

    fn end(kind: ExitKind, number: u64) -> Option<Notice> {
        Some(Notice::Ended { kind: kind.into(), number, text: "t".into() })
    }

    #[test]
    fn what_the_process_says_about_its_end_holds() {
        let outcome = |kind, number| session(None).outcome(&departed(None, end(kind, number)));
        assert_eq!(outcome(ExitKind::Exited, 3), Outcome::Exited { status: 3 });
        assert_eq!(
            outcome(ExitKind::Faulted, 11),
            Outcome::Faulted { signal: 11, text: "t".into() }
        );
        assert_eq!(outcome(ExitKind::Killed, 15), Outcome::Killed { signal: 15, text: "t".into() });
        assert_eq!(
            outcome(ExitKind::LoadFailed, 2),
            Outcome::LoadFailed { errno: 2, text: "t".into() }
        );
    }

    #[test]
    fn who_was_killed_was_killed_by_who_asked() {
        let killed = Outcome::Killed { signal: 2, text: "Ctrl-C".into() };
        let ending = session(Some((2, "Ctrl-C")));
        assert_eq!(ending.outcome(&departed(Some(9), None)), killed);
        assert_eq!(ending.outcome(&departed(None, end(ExitKind::Killed, 9))), killed);
        let exited = ending.outcome(&departed(None, end(ExitKind::Exited, 0)));
        assert_eq!(exited, Outcome::Exited { status: 0 }, "it was faster");
    }

    #[test]
    fn a_proxy_that_dies_is_named() {
        let Outcome::ProxyDied { signal: 9, text } =
            session(None).outcome(&departed(Some(9), None))
        else {
            panic!()
        };
        assert!(text.contains("pid 77") && text.contains("SIGKILL"), "{text}");
        let broken = session(None).outcome(&departed(Some(libc::SIGPIPE), None));
        assert!(matches!(broken, Outcome::Killed { signal: libc::SIGPIPE, .. }));
    }
}
