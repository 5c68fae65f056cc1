//! Requests to AnT's `init`: those that it has not taken yet, and what is pending for each.
//!
//! This knows tickets and bytes. Deliberately absent: how the bytes get there (`running::channels`), and
//! what a request is for: that is the pending value that goes with it (`pending`).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use ant_abi::control::{Reply, Request};
use thiserror::Error;
use zerocopy::{FromBytes, IntoBytes};

/// Requests of one user that may be pending.
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
    /// Its number among those that `init` has taken, if it has.
    taken: Option<u64>,
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

/// Too many requests of a user are pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("AnT takes no more of your requests at the moment: try again")]
pub struct TooMany;

/// A request that `init` has not taken.
#[derive(Debug)]
struct Queued {
    ticket: u32,
    message: Vec<u8>,
}

/// The requests. Users take turns, so that one that asks for much does not keep the others waiting.
#[derive(Debug)]
pub struct InitRequests<P> {
    /// Of each user that has some, the oldest first.
    queues: BTreeMap<u32, VecDeque<Queued>>,
    /// The user whose turn is next, or the first after that.
    turn: u32,
    last: u32,
    taken: u64,
    entries: HashMap<u32, Entry<P>>,
}

impl<P> Default for InitRequests<P> {
    fn default() -> Self {
        let (queues, entries) = (BTreeMap::new(), HashMap::new());
        Self { queues, turn: 0, last: 0, taken: 0, entries }
    }
}

impl<P: PendingReply> InitRequests<P> {
    /// Adds a request of user `user`, of `kind` with its two words and the bytes that follow.
    ///
    /// # Errors
    ///
    /// Too many of that user are pending.
    pub fn send(
        &mut self,
        user: u32,
        pending: P,
        kind: u32,
        [a, b]: [u32; 2],
        rest: &[u8],
    ) -> Result<(), TooMany> {
        let queue = self.queues.entry(user).or_default();
        if queue.len() >= PENDING_MAX {
            return Err(TooMany);
        }
        self.last = self.last.wrapping_add(1);
        let request = Request { kind, ticket: self.last, a, b };
        let message = [request.as_bytes(), rest].concat();
        queue.push_back(Queued { ticket: self.last, message });
        let deadline = Some(Instant::now() + pending.timeout());
        self.entries.insert(self.last, Entry { pending, deadline, taken: None });
        Ok(())
    }

    /// The request that `init` gets next.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let after = self.queues.range(self.turn..).next();
        let (&user, _) = after.or_else(|| self.queues.first_key_value())?;
        let queue = self.queues.get_mut(&user)?;
        let Queued { ticket, message } = queue.pop_front()?;
        if queue.is_empty() {
            self.queues.remove(&user);
        }
        self.turn = user.wrapping_add(1);
        self.taken += 1;
        if let Some(entry) = self.entries.get_mut(&ticket) {
            entry.taken = Some(self.taken);
        }
        Some(message)
    }

    /// What a message of `init` replies to; `None` if it is no reply.
    pub fn answer(&mut self, message: &[u8]) -> Option<Answer<P>> {
        let Ok((reply, rest)) = Reply::read_from_prefix(message) else {
            tracing::warn!("init sent {} bytes that are no reply", message.len());
            return None;
        };
        let Some(Entry { pending, deadline, taken }) = self.entries.remove(&reply.ticket) else {
            tracing::warn!("init replied to unknown ticket {}", reply.ticket);
            return None;
        };
        self.extend_deadlines(taken, Instant::now());
        let late = deadline.is_none();
        Some(Answer { pending, late, reply, rest: rest.to_vec() })
    }

    /// `init` has replied to what it took as this one: it is alive, and the requests behind that one have
    /// the whole of their timeouts from now on.
    fn extend_deadlines(&mut self, replied: Option<u64>, now: Instant) {
        for Entry { pending, deadline, taken } in self.entries.values_mut() {
            let was_behind = taken.is_none() || *taken > replied;
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
            let Some(Entry { pending, taken, .. }) = self.entries.remove(&ticket) else { continue };
            if let Some(pending) = pending.after_timeout() {
                self.entries.insert(ticket, Entry { pending, deadline: None, taken });
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

    /// What `init` says to a request.
    fn reply(ticket: u32) -> Vec<u8> {
        Reply { ticket, result: 0, pid: 9, cpu: 1, lca: 1 }.as_bytes().to_vec()
    }

    #[test]
    fn a_reply_finds_what_is_pending_once() {
        let mut requests = InitRequests::default();
        requests.send(0, Test::Forget(4), 7, [1, 3], b"/a\0").unwrap();
        let message = requests.take().unwrap();
        assert_eq!(requests.take(), None);
        let (request, rest) = Request::read_from_prefix(&message).unwrap();
        assert_eq!((request.kind, request.a, request.b), (7, 1, 3));
        assert_eq!(rest, b"/a\0");
        let answer = requests.answer(&reply(request.ticket)).unwrap();
        assert_eq!((answer.pending, answer.late), (Test::Forget(4), false));
        assert!(requests.answer(&reply(request.ticket)).is_none());
        assert!(requests.answer(b"short").is_none());
    }

    #[test]
    fn a_reply_extends_the_deadlines_of_those_behind() {
        let mut requests = InitRequests::default();
        for number in 1..=3 {
            requests.send(0, Test::Forget(number), 7, [0, 0], b"").unwrap();
        }
        let start = Instant::now();
        (0..2).for_each(|_| drop(requests.take()));
        requests.extend_deadlines(Some(2), start + TIMEOUT);
        let over = requests.expired(start + TIMEOUT * 2 - Duration::from_secs(1));
        assert_eq!(over.len(), 2, "1 and 2 were not behind 2: {over:?}");
        assert_eq!(requests.expired(start + TIMEOUT * 3).len(), 1);
    }

    #[test]
    fn a_late_reply_is_known_to_be_late() {
        let mut requests = InitRequests::default();
        requests.send(0, Test::Keep(1), 7, [0, 0], b"").unwrap();
        requests.send(0, Test::Forget(2), 7, [0, 0], b"").unwrap();
        let later = Instant::now() + TIMEOUT * 2;
        assert_eq!(requests.expired(later).len(), 2);
        assert!(!requests.has_deadlines());
        let answer = requests.answer(&reply(1)).unwrap();
        assert_eq!((answer.pending, answer.late), (Test::Keep(1), true));
        assert!(requests.answer(&reply(2)).is_none());
    }

    #[test]
    fn users_take_turns_and_each_has_a_share() {
        let mut requests = InitRequests::default();
        for number in 0..PENDING_MAX as u32 {
            requests.send(1000, Test::Forget(number), 1000, [0, 0], b"").unwrap();
        }
        assert_eq!(requests.send(1000, Test::Forget(0), 1000, [0, 0], b""), Err(TooMany));
        for user in [0, 0, 2000] {
            requests.send(user, Test::Forget(0), user, [0, 0], b"").unwrap();
        }
        let taken = |requests: &mut InitRequests<Test>| {
            let message = requests.take().unwrap();
            Request::read_from_prefix(&message).unwrap().0.kind
        };
        // Each request says of which user it is.
        let users: Vec<u32> = (0..6).map(|_| taken(&mut requests)).collect();
        assert_eq!(users, [0, 1000, 2000, 0, 1000, 1000]);
    }
}
