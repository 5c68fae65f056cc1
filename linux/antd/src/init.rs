//! The control channel: requests to AnT's `init`, and who waits for which answer.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ant_abi::Error;
use ant_abi::control::{
    REQUEST_INJECT, REQUEST_KILL, REQUEST_LIST, REQUEST_MOVE, REQUEST_PRIORITY, REQUEST_PROGRAM,
    REQUEST_REPLACE, REQUEST_RESTART, REQUEST_SERVERS, REQUEST_SPAWN, Reply, Request, SPAWN_BYTES,
};
use ant_abi::syscall::ANY_CPU;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use zerocopy::{FromBytes, IntoBytes};

use crate::clients::ClientId;
use crate::orders::Order;
use crate::socket;
use crate::survey::{Survey, Upload};
use crate::table::SessionId;

/// How long `init` may take to answer.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take if a server has to start first.
pub const SERVER_LIMIT: Duration = Duration::from_secs(10);
/// Requests that may be under way.
const PENDING_MAX: usize = 256;

/// Who waits for an answer, and for what.
#[derive(Debug)]
pub enum Want {
    /// The process of a session.
    Spawn(SessionId),
    /// The end of a session's process.
    KillSession(SessionId),
    /// That an order is done.
    Order(ClientId, Order),
    /// Some of the processes.
    Processes(Survey),
    /// The servers.
    Servers(Survey),
    /// That a piece of a program has arrived.
    Program(ClientId, Upload),
}

#[derive(Debug)]
struct Pending {
    want: Want,
    /// `None` when it has been said that the time is over.
    limit: Option<Instant>,
}

impl Pending {
    /// How long its answer may take once `init` gets to it.
    fn patience(want: &Want) -> Duration {
        match want {
            Want::Order(_, Order::Restart { .. } | Order::Replace { .. }) => SERVER_LIMIT,
            _ => ANSWER_LIMIT,
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Who waited.
    pub want: Want,
    /// Whether they were told that there is no answer.
    pub late: bool,
    /// The answer's head.
    pub reply: Reply,
    /// What follows the head.
    pub rest: Vec<u8>,
}

/// The daemon's end.
#[derive(Debug)]
pub struct InitChannel {
    socket: OwnedFd,
    next: u32,
    pending: HashMap<u32, Pending>,
}

impl InitChannel {
    /// A new channel, and the end for `init`'s proxy.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new() -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = socket::pair()?;
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { socket: ours, next: 0, pending: HashMap::new() }, theirs))
    }

    /// Asks for a process. `words`: path and arguments, each ended by NUL.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn spawn(
        &mut self,
        session: SessionId,
        cpu_index: Option<u32>,
        path_len: u32,
        words: &[u8],
    ) -> Result<(), Errno> {
        let cpu_index = cpu_index.unwrap_or(ANY_CPU);
        self.ask(Want::Spawn(session), REQUEST_SPAWN, cpu_index, path_len, words)
    }

    /// Asks for the end of a process.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn kill(&mut self, want: Want, pid: u32, signal: i32) -> Result<(), Errno> {
        self.ask(want, REQUEST_KILL, pid, signal.cast_unsigned(), &[])
    }

    /// Asks for the processes that come after those that the survey has.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn list(&mut self, survey: Survey) -> Result<(), Errno> {
        let from = survey.processes.last().map_or(0, |last| last.pid.saturating_add(1));
        self.ask(Want::Processes(survey), REQUEST_LIST, from, 0, &[])
    }

    /// Asks for the servers.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn servers(&mut self, survey: Survey) -> Result<(), Errno> {
        self.ask(Want::Servers(survey), REQUEST_SERVERS, 0, 0, &[])
    }

    /// Sends the piece of a program that begins at `from`.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn program(
        &mut self,
        client: ClientId,
        upload: Upload,
        from: u32,
        piece: &[u8],
    ) -> Result<(), Errno> {
        let len = upload.len();
        self.ask(Want::Program(client, upload), REQUEST_PROGRAM, from, len, piece)
    }

    /// Gives an order.
    ///
    /// # Errors
    ///
    /// `init` does not take requests.
    pub fn order(&mut self, client: ClientId, order: Order) -> Result<(), Errno> {
        let (kind, a, b, more) = match &order {
            Order::Kill { pid, signal } => (REQUEST_KILL, *pid, signal.cast_unsigned(), vec![]),
            Order::Inject { how, target, call } => {
                (REQUEST_INJECT, *how, *target, call.as_bytes().to_vec())
            }
            Order::Priority { pid, priority } => (REQUEST_PRIORITY, *pid, *priority, vec![]),
            Order::Move { pid, cpu_index, .. } => (REQUEST_MOVE, *pid, *cpu_index, vec![]),
            Order::Restart { server } => (REQUEST_RESTART, 0, 0, server.clone().into_bytes()),
            Order::Replace { server } => (REQUEST_REPLACE, 0, 0, server.clone().into_bytes()),
        };
        self.ask(Want::Order(client, order), kind, a, b, &more)
    }

    /// Whether a server is being replaced: its program is on the way, or to be used.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.pending.values().any(|pending| pending.want.replaces())
    }

    fn ask(&mut self, want: Want, kind: u32, a: u32, b: u32, more: &[u8]) -> Result<(), Errno> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Errno::EAGAIN);
        }
        self.next = self.next.wrapping_add(1);
        let request = Request { kind, ticket: self.next, a, b };
        socket::send(&self.socket, &[request.as_bytes(), more].concat(), &[])?;
        let limit = Some(Instant::now() + Pending::patience(&want));
        self.pending.insert(self.next, Pending { want, limit });
        Ok(())
    }

    /// The next answer, if there is one. What is none is dropped.
    pub fn answer(&mut self) -> Option<Answer> {
        loop {
            let packet = socket::receive(&self.socket).ok().flatten()?;
            let Ok((reply, rest)) = Reply::read_from_prefix(&packet.bytes) else {
                tracing::warn!("init sent {} bytes that are no answer", packet.bytes.len());
                continue;
            };
            let Some(Pending { want, limit }) = self.pending.remove(&reply.ticket) else {
                tracing::warn!("init answered ticket {}, which nobody has", reply.ticket);
                continue;
            };
            self.be_patient(reply.ticket, Instant::now());
            return Some(Answer { want, late: limit.is_none(), reply, rest: rest.to_vec() });
        }
    }

    /// `init` has answered `ticket`: it lives, and may take its time for what was asked later, which
    /// has waited behind.
    fn be_patient(&mut self, ticket: u32, now: Instant) {
        for (other, Pending { want, limit }) in &mut self.pending {
            let was_behind = other.wrapping_sub(ticket).cast_signed() > 0;
            if let (true, Some(limit)) = (was_behind, limit) {
                *limit = now + Pending::patience(want);
            }
        }
    }

    /// Those whose time is over. Sessions whose process may yet come stay known.
    pub fn expired(&mut self, now: Instant) -> Vec<Want> {
        let over: Vec<u32> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.limit.is_some_and(|limit| limit <= now))
            .map(|(&ticket, _)| ticket)
            .collect();
        let mut wants = Vec::new();
        for ticket in over {
            let Some(pending) = self.pending.remove(&ticket) else { continue };
            if let Want::Spawn(session) = pending.want {
                let want = Want::Spawn(session);
                self.pending.insert(ticket, Pending { want, limit: None });
            }
            wants.push(pending.want);
        }
        wants
    }

    /// Whether anybody waits.
    #[must_use]
    pub fn awaits(&self) -> bool {
        self.pending.values().any(|pending| pending.limit.is_some())
    }

    /// Everybody who waits, when there will be no answer.
    pub fn abandon(&mut self) -> Vec<Want> {
        self.pending.drain().filter(|(_, p)| p.limit.is_some()).map(|(_, p)| p.want).collect()
    }
}

impl AsFd for InitChannel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Path and arguments as `REQUEST_SPAWN` has them, and the bytes of the path with its NUL.
///
/// # Errors
///
/// They are too long, or contain a NUL; in words.
pub fn spawn_words(program: &[u8], args: &[&[u8]]) -> Result<(u32, Vec<u8>), String> {
    let mut words = Vec::new();
    for word in std::iter::once(&program).chain(args) {
        if word.contains(&0) {
            return Err("a NUL inside an argument".into());
        }
        words.extend_from_slice(word);
        words.push(0);
    }
    if words.len() > SPAWN_BYTES {
        return Err(format!(
            "program and arguments have {} bytes, AnT takes {SPAWN_BYTES}",
            words.len()
        ));
    }
    Ok((program.len() as u32 + 1, words))
}

/// What `init`'s error number means.
#[must_use]
pub fn refusal(result: i32) -> String {
    match Error::from_return(i64::from(result)) {
        Some(Error::NoMemory) => "AnT has no memory or no place for another process".into(),
        Some(Error::NoDevice) => "AnT has no such CPU".into(),
        Some(Error::NoProcess) => "AnT has no such process: `antctl ps` lists them".into(),
        Some(Error::NotPermitted) => "AnT does not allow that".into(),
        Some(Error::TooLong) => "program and arguments are too long".into(),
        _ => format!("AnT's init refused: {}", Errno::from_raw(-result)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_nuls_and_limits() {
        let (path_len, words) = spawn_words(b"/bin/wc", &[b"a", b""]).unwrap();
        assert_eq!((path_len, words.as_slice()), (8, b"/bin/wc\0a\0\0".as_slice()));
        assert!(spawn_words(b"/bin/w\0c", &[]).is_err());
        assert!(spawn_words(b"/x", &[&[b'a'; SPAWN_BYTES]]).unwrap_err().contains("bytes"));
    }

    #[test]
    fn an_answer_finds_who_waits_once() {
        let (mut channel, init) = InitChannel::new().unwrap();
        channel.spawn(SessionId(4), Some(1), 3, b"/a\0").unwrap();
        let packet = socket::receive(&init).unwrap().unwrap();
        let (request, rest) = Request::read_from_prefix(&packet.bytes).unwrap();
        assert_eq!((request.kind, request.a, request.b), (REQUEST_SPAWN, 1, 3));
        assert_eq!(rest, b"/a\0");
        let ticket = request.ticket;
        let reply = Reply { ticket, result: 0, pid: 9, cpu: 1, lca: 0x1000 };
        for _ in 0..2 {
            socket::send(&init, reply.as_bytes(), &[]).unwrap();
        }
        let answer = channel.answer().unwrap();
        assert!(matches!(answer.want, Want::Spawn(SessionId(4))) && !answer.late);
        assert!(channel.answer().is_none());
    }

    #[test]
    fn an_answer_gives_time_to_those_behind() {
        let (mut channel, _init) = InitChannel::new().unwrap();
        for session in 1..=3 {
            channel.spawn(SessionId(session), None, 3, b"/a\0").unwrap();
        }
        let start = Instant::now();
        channel.be_patient(2, start + ANSWER_LIMIT);
        let over = channel.expired(start + ANSWER_LIMIT * 2 - Duration::from_secs(1));
        assert_eq!(over.len(), 2, "1 and 2 were not behind 2: {over:?}");
        assert_eq!(channel.expired(start + ANSWER_LIMIT * 3).len(), 1);
    }

    #[test]
    fn a_late_process_is_known_to_be_late() {
        let (mut channel, init) = InitChannel::new().unwrap();
        channel.spawn(SessionId(1), None, 3, b"/a\0").unwrap();
        channel.order(ClientId(2), Order::Inject { how: 0, target: 0, call: 0 }).unwrap();
        let later = Instant::now() + ANSWER_LIMIT * 2;
        assert_eq!(channel.expired(later).len(), 2);
        assert!(!channel.awaits());
        for _ in 0..2 {
            let packet = socket::receive(&init).unwrap().unwrap();
            let (request, _) = Request::read_from_prefix(&packet.bytes).unwrap();
            let reply = Reply { ticket: request.ticket, result: 0, pid: 9, cpu: 1, lca: 1 };
            socket::send(&init, reply.as_bytes(), &[]).unwrap();
        }
        let answer = channel.answer().unwrap();
        assert!(matches!(answer.want, Want::Spawn(SessionId(1))) && answer.late);
        assert!(channel.answer().is_none());
    }
}
