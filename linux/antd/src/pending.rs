//! The requests that `init` gets, and what is pending for each.

use std::time::Duration;

use ant_abi::control::{
    REQUEST_KILL, REQUEST_LIST, REQUEST_PROGRAM, REQUEST_SERVERS, REQUEST_SPAWN,
};
use ant_abi::syscall::ANY_CPU;
use ant_protocol::program::check_words_len;

use crate::commands::ControlCommand;
use crate::ids::{ClientId, SessionId};
use crate::init::{InitRequests, PendingReply, TooMany};
use crate::list_query::{ListQuery, Purpose, Upload};
use crate::timeouts::{ANSWER_TIMEOUT, SERVER_TIMEOUT};

/// The user that restarts and replaces servers.
pub const ROOT: u32 = 0;

/// What is pending.
#[derive(Debug)]
pub enum Pending {
    /// The process of a session.
    Spawn(SessionId),
    /// The end of a session's process.
    Kill(SessionId),
    /// A command of a client.
    Command(ClientId, ControlCommand),
    /// Some of the processes.
    Processes(ListQuery),
    /// The servers.
    Servers(ListQuery),
    /// The arrival of a piece of a client's program.
    Program(ClientId, Upload),
}

impl Pending {
    /// The client that is told about a failure; `None` for a session's.
    #[must_use]
    pub fn client(&self) -> Option<ClientId> {
        match self {
            Pending::Spawn(_) | Pending::Kill(_) => None,
            Pending::Command(client, _) | Pending::Program(client, _) => Some(*client),
            Pending::Processes(query) | Pending::Servers(query) => Some(query.client),
        }
    }

    /// Whether it is part of replacing a server.
    #[must_use]
    fn replaces(&self) -> bool {
        match self {
            Pending::Program(..) | Pending::Command(_, ControlCommand::Replace { .. }) => true,
            Pending::Servers(query) => matches!(query.purpose, Purpose::Replace(_)),
            _ => false,
        }
    }
}

impl PendingReply for Pending {
    fn timeout(&self) -> Duration {
        match self {
            Pending::Command(_, command) if command.starts_a_server() => SERVER_TIMEOUT,
            _ => ANSWER_TIMEOUT,
        }
    }

    /// A process that is created late has to be known: it is ended then.
    fn after_timeout(&self) -> Option<Self> {
        match self {
            Pending::Spawn(session) => Some(Pending::Spawn(*session)),
            _ => None,
        }
    }
}

impl InitRequests<Pending> {
    /// Requests a process. `words`: path and arguments, each ended by NUL.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn spawn(
        &mut self,
        user: u32,
        session: SessionId,
        cpu_index: Option<u32>,
        path_len: u32,
        words: &[u8],
    ) -> Result<(), TooMany> {
        let cpu_index = cpu_index.unwrap_or(ANY_CPU);
        self.send(user, Pending::Spawn(session), REQUEST_SPAWN, [cpu_index, path_len], words)
    }

    /// Requests the end of a session's process.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn kill(
        &mut self,
        user: u32,
        session: SessionId,
        pid: u32,
        signal: i32,
    ) -> Result<(), TooMany> {
        self.send(user, Pending::Kill(session), REQUEST_KILL, [pid, signal.cast_unsigned()], &[])
    }

    /// Requests the processes that follow those that the query has.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn list(&mut self, query: ListQuery) -> Result<(), TooMany> {
        let from = query.processes.last().map_or(0, |last| last.pid.saturating_add(1));
        self.send(query.user, Pending::Processes(query), REQUEST_LIST, [from, 0], &[])
    }

    /// Requests the servers.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn servers(&mut self, query: ListQuery) -> Result<(), TooMany> {
        self.send(query.user, Pending::Servers(query), REQUEST_SERVERS, [0, 0], &[])
    }

    /// Sends the piece of root's program that begins at `from`.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn program(
        &mut self,
        client: ClientId,
        upload: Upload,
        from: u32,
        piece: &[u8],
    ) -> Result<(), TooMany> {
        let len = upload.len();
        self.send(ROOT, Pending::Program(client, upload), REQUEST_PROGRAM, [from, len], piece)
    }

    /// Sends a command.
    ///
    /// # Errors
    ///
    /// Too many are pending.
    pub fn command(
        &mut self,
        user: u32,
        client: ClientId,
        command: ControlCommand,
    ) -> Result<(), TooMany> {
        let (kind, words, rest) = command.encode();
        self.send(user, Pending::Command(client, command), kind, words, &rest)
    }

    /// Whether a server is being replaced: its program is being sent, or put in place.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.pending().any(Pending::replaces)
    }
}

/// Path and arguments as `REQUEST_SPAWN` has them, and the bytes of the path with its NUL.
///
/// # Errors
///
/// They are too long, or contain a NUL; a sentence.
pub fn spawn_words(program: &[u8], args: &[&[u8]]) -> Result<(u32, Vec<u8>), String> {
    let mut words = Vec::new();
    for word in std::iter::once(&program).chain(args) {
        if word.contains(&0) {
            return Err("a NUL inside an argument".into());
        }
        words.extend_from_slice(word);
        words.push(0);
    }
    check_words_len(words.len()).map_err(|error| error.to_string())?;
    Ok((program.len() as u32 + 1, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ant_abi::control::SPAWN_BYTES;
    use std::time::Instant;

    #[test]
    fn words_have_their_nuls_and_limits() {
        let (path_len, words) = spawn_words(b"/bin/wc", &[b"a", b""]).unwrap();
        assert_eq!((path_len, words.as_slice()), (8, b"/bin/wc\0a\0\0".as_slice()));
        assert!(spawn_words(b"/bin/w\0c", &[]).is_err());
        assert!(spawn_words(b"/x", &[&[b'a'; SPAWN_BYTES]]).unwrap_err().contains("bytes"));
    }

    #[test]
    fn only_a_process_is_awaited_after_its_timeout() {
        let mut requests = InitRequests::default();
        requests.spawn(ROOT, SessionId(1), None, 3, b"/a\0").unwrap();
        let command = ControlCommand::Inject { how: 0, target: 0, call: 0 };
        requests.command(ROOT, ClientId(2), command).unwrap();
        assert_eq!(requests.expired(Instant::now() + ANSWER_TIMEOUT * 2).len(), 2);
        let left: Vec<_> = requests.pending().collect();
        assert!(matches!(left[..], [Pending::Spawn(SessionId(1))]), "{left:?}");
    }

    #[test]
    fn a_server_has_more_time() {
        let restart = ControlCommand::Restart { server: "serial".into() };
        assert_eq!(Pending::Command(ClientId(1), restart).timeout(), SERVER_TIMEOUT);
        let kill = ControlCommand::Kill { pid: 3, signal: 15 };
        assert_eq!(Pending::Command(ClientId(1), kill).timeout(), ANSWER_TIMEOUT);
    }
}
