//! The control channel: requests to AnT's `init`, and what is pending for each.
//!
//! The channel carries tickets and bytes. What a request is for is the pending value that goes with
//! it (`pending`); deliberately absent here.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ant_abi::control::{Reply, Request};
use ant_protocol::packet;
use rustix::io::{Errno, ioctl_fionbio};
use zerocopy::{FromBytes, IntoBytes};

/// Requests that may be pending.
const PENDING_MAX: usize = 256;

/// What is pending for a request until its reply comes.
pub trait PendingReply: Sized {
    /// How long the reply may take once `init` gets to the request.
    fn timeout(&self) -> Duration;

    /// What stays pending after the timeout, if a late reply still matters.
    fn after_timeout(&self) -> Option<Self>;
}

#[derive(Debug)]
struct Entry<P> {
    pending: P,
    /// `None` after the timeout.
    deadline: Option<Instant>,
}

/// A reply.
#[derive(Debug)]
pub struct Answer<P> {
    /// What was pending.
    pub pending: P,
    /// Whether it came after its timeout.
    pub late: bool,
    /// The reply's head.
    pub reply: Reply,
    /// What follows the head.
    pub rest: Vec<u8>,
}

/// The daemon's end.
#[derive(Debug)]
pub struct InitChannel<P> {
    socket: OwnedFd,
    next: u32,
    entries: HashMap<u32, Entry<P>>,
}

impl<P: PendingReply> InitChannel<P> {
    /// A new channel, and the end for `init`'s proxy.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new() -> Result<(Self, OwnedFd), Errno> {
        let (ours, theirs) = packet::pair()?;
        ioctl_fionbio(&ours, true)?;
        Ok((Self { socket: ours, next: 0, entries: HashMap::new() }, theirs))
    }

    /// Sends a request of `kind` with its two words and the bytes that follow.
    ///
    /// # Errors
    ///
    /// `init` does not take requests; `EAGAIN` if too many are pending.
    pub fn send(
        &mut self,
        pending: P,
        kind: u32,
        [a, b]: [u32; 2],
        rest: &[u8],
    ) -> Result<(), Errno> {
        if self.entries.len() >= PENDING_MAX {
            return Err(Errno::AGAIN);
        }
        self.next = self.next.wrapping_add(1);
        let request = Request { kind, ticket: self.next, a, b };
        packet::send(&self.socket, &[request.as_bytes(), rest].concat(), &[])?;
        let deadline = Some(Instant::now() + pending.timeout());
        self.entries.insert(self.next, Entry { pending, deadline });
        Ok(())
    }

    /// The next reply, if there is one. What is no reply is dropped.
    pub fn answer(&mut self) -> Option<Answer<P>> {
        loop {
            let packet = packet::receive(&self.socket).ok().flatten()?;
            let Ok((reply, rest)) = Reply::read_from_prefix(&packet.bytes) else {
                tracing::warn!("init sent {} bytes that are no reply", packet.bytes.len());
                continue;
            };
            let Some(Entry { pending, deadline }) = self.entries.remove(&reply.ticket) else {
                tracing::warn!("init replied to unknown ticket {}", reply.ticket);
                continue;
            };
            self.extend_deadlines(reply.ticket, Instant::now());
            let late = deadline.is_none();
            return Some(Answer { pending, late, reply, rest: rest.to_vec() });
        }
    }

    /// `init` has replied to `ticket`: it is alive, and the requests behind that one have the whole
    /// of their timeouts from now on.
    fn extend_deadlines(&mut self, ticket: u32, now: Instant) {
        for (other, Entry { pending, deadline }) in &mut self.entries {
            let was_behind = other.wrapping_sub(ticket).cast_signed() > 0;
            if let (true, Some(deadline)) = (was_behind, deadline) {
                *deadline = now + pending.timeout();
            }
        }
    }

    /// Takes what is pending beyond its timeout.
    pub fn expired(&mut self, now: Instant) -> Vec<P> {
        let over: Vec<u32> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(&ticket, _)| ticket)
            .collect();
        let mut expired = Vec::new();
        for ticket in over {
            let Some(Entry { pending, .. }) = self.entries.remove(&ticket) else { continue };
            if let Some(pending) = pending.after_timeout() {
                self.entries.insert(ticket, Entry { pending, deadline: None });
            }
            expired.push(pending);
        }
        expired
    }

    /// What is pending.
    pub fn pending(&self) -> impl Iterator<Item = &P> {
        self.entries.values().map(|entry| &entry.pending)
    }

    /// Whether a deadline is to be watched.
    #[must_use]
    pub fn has_deadlines(&self) -> bool {
        self.entries.values().any(|entry| entry.deadline.is_some())
    }

    /// Takes all that is pending and within its timeout: there will be no reply.
    pub fn abandon(&mut self) -> Vec<P> {
        let entries = self.entries.drain().map(|(_, entry)| entry);
        entries.filter(|entry| entry.deadline.is_some()).map(|entry| entry.pending).collect()
    }
}

impl<P> AsFd for InitChannel<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A request, by a number; whether a late reply matters.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Test {
        Forget(u32),
        Keep(u32),
    }

    impl PendingReply for Test {
        fn timeout(&self) -> Duration {
            TIMEOUT
        }

        fn after_timeout(&self) -> Option<Self> {
            matches!(self, Test::Keep(_)).then_some(*self)
        }
    }

    fn reply(init: &OwnedFd, ticket: u32) {
        let reply = Reply { ticket, result: 0, pid: 9, cpu: 1, lca: 1 };
        packet::send(init, reply.as_bytes(), &[]).unwrap();
    }

    #[test]
    fn a_reply_finds_what_is_pending_once() {
        let (mut channel, init) = InitChannel::new().unwrap();
        channel.send(Test::Forget(4), 7, [1, 3], b"/a\0").unwrap();
        let packet = packet::receive(&init).unwrap().unwrap();
        let (request, rest) = Request::read_from_prefix(&packet.bytes).unwrap();
        assert_eq!((request.kind, request.a, request.b), (7, 1, 3));
        assert_eq!(rest, b"/a\0");
        (0..2).for_each(|_| reply(&init, request.ticket));
        let answer = channel.answer().unwrap();
        assert_eq!((answer.pending, answer.late), (Test::Forget(4), false));
        assert!(channel.answer().is_none());
    }

    #[test]
    fn a_reply_extends_the_deadlines_of_those_behind() {
        let (mut channel, _init) = InitChannel::new().unwrap();
        for number in 1..=3 {
            channel.send(Test::Forget(number), 7, [0, 0], b"").unwrap();
        }
        let start = Instant::now();
        channel.extend_deadlines(2, start + TIMEOUT);
        let over = channel.expired(start + TIMEOUT * 2 - Duration::from_secs(1));
        assert_eq!(over.len(), 2, "1 and 2 were not behind 2: {over:?}");
        assert_eq!(channel.expired(start + TIMEOUT * 3).len(), 1);
    }

    #[test]
    fn a_late_reply_is_known_to_be_late() {
        let (mut channel, init) = InitChannel::new().unwrap();
        channel.send(Test::Keep(1), 7, [0, 0], b"").unwrap();
        channel.send(Test::Forget(2), 7, [0, 0], b"").unwrap();
        let later = Instant::now() + TIMEOUT * 2;
        assert_eq!(channel.expired(later).len(), 2);
        assert!(!channel.has_deadlines());
        (1..=2).for_each(|ticket| reply(&init, ticket));
        let answer = channel.answer().unwrap();
        assert_eq!((answer.pending, answer.late), (Test::Keep(1), true));
        assert!(channel.answer().is_none());
    }
}
