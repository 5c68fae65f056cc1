//! What waits at the servers of one CPU: lists in the order of priority, then of arrival.

use super::message::Message;
use ant_abi::MAX_PROCESSES;

/// Messages without a waiting sender that can wait on one CPU.
pub(super) const SENDS: usize = 256 - MAX_PROCESSES;
const NODES: usize = MAX_PROCESSES + SENDS;
const END: u8 = u8::MAX;

/// A message that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) endpoint: u8,
    /// The endpoint's generation when it was last known to be the right one.
    pub(super) generation: u32,
    pub(super) badge: u32,
    pub(super) message: Message,
}

/// What is next for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The call of the client with this slot.
    Call(u8),
    /// The message in this place of `Queue::sent`.
    Send(u8),
}

/// Node `n` is client `n`, or, from `MAX_PROCESSES` on, place `n - MAX_PROCESSES` for a message
/// that nobody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    next: u8,
    previous: u8,
    priority: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List {
    first: u8,
    last: u8,
}

/// All lists of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    lists: [List; MAX_PROCESSES],
    nodes: [Node; NODES],
    sends: [Option<Sent>; SENDS - 1],
    /// First free place of `sends`; the next one is after its node.
    free: u8,
}

impl Queue {
    pub(super) const fn new() -> Self {
        let mut nodes = [Node { next: END, previous: END, priority: 0 }; NODES];
        let mut node = MAX_PROCESSES;
        while node < END as usize - 1 {
            nodes[node].next = node as u8 + 1;
            node += 1;
        }
        Self {
            lists: [List { first: END, last: END }; MAX_PROCESSES],
            nodes,
            sends: [None; SENDS - 1],
            free: MAX_PROCESSES as u8,
        }
    }

    /// What is first for `server`.
    #[inline]
    pub(super) fn first(&self, server: u8) -> Option<Item> {
        let first = self.lists[usize::from(server)].first;
        (first != END).then(|| item(first))
    }

    /// What follows `after` for the same server.
    #[cfg(test)]
    pub(super) fn after(&self, after: Item) -> Option<Item> {
        let next = self.nodes[usize::from(node(after))].next;
        (next != END).then(|| item(next))
    }

    /// Puts the call of `client` in, behind all of its priority.
    pub(super) fn add_call(&mut self, server: u8, client: u8, priority: u8) {
        self.link(server, client, priority);
    }

    /// Puts a message in; gives it back if there is no room.
    pub(super) fn add_send(&mut self, server: u8, priority: u8, sent: Sent) -> Result<(), Sent> {
        let node = self.free;
        if node == END {
            return Err(sent);
        }
        self.free = self.nodes[usize::from(node)].next;
        self.sends[usize::from(node) - MAX_PROCESSES] = Some(sent);
        self.link(server, node, priority);
        Ok(())
    }

    /// Takes the call of `client` out.
    pub(super) fn remove_call(&mut self, server: u8, client: u8) {
        self.unlink(server, client);
    }

    /// Takes a message out.
    pub(super) fn take_send(&mut self, server: u8, place: u8) -> Option<Sent> {
        let sent = self.sends[usize::from(place)].take()?;
        let node = place + MAX_PROCESSES as u8;
        self.unlink(server, node);
        self.nodes[usize::from(node)].next = self.free;
        self.free = node;
        Some(sent)
    }

    /// Priority of what waits.
    pub(super) fn priority(&self, item: Item) -> u8 {
        self.nodes[usize::from(node(item))].priority
    }

    fn link(&mut self, server: u8, new: u8, priority: u8) {
        let mut before = self.lists[usize::from(server)].last;
        while before != END && self.nodes[usize::from(before)].priority < priority {
            before = self.nodes[usize::from(before)].previous;
        }
        let next = match before {
            END => self.lists[usize::from(server)].first,
            before => self.nodes[usize::from(before)].next,
        };
        self.nodes[usize::from(new)] = Node { next, previous: before, priority };
        self.join(server, before, new);
        self.join(server, new, next);
    }

    fn unlink(&mut self, server: u8, old: u8) {
        let Node { next, previous, .. } = self.nodes[usize::from(old)];
        self.join(server, previous, next);
    }

    /// Makes `next` follow `before`; either may be the end of the list.
    fn join(&mut self, server: u8, before: u8, next: u8) {
        match before {
            END => self.lists[usize::from(server)].first = next,
            before => self.nodes[usize::from(before)].next = next,
        }
        match next {
            END => self.lists[usize::from(server)].last = before,
            next => self.nodes[usize::from(next)].previous = before,
        }
    }
}

const fn item(node: u8) -> Item {
    if (node as usize) < MAX_PROCESSES {
        Item::Call(node)
    } else {
        Item::Send(node - MAX_PROCESSES as u8)
    }
}

const fn node(item: Item) -> u8 {
    match item {
        Item::Call(client) => client,
        Item::Send(place) => place + MAX_PROCESSES as u8,
    }
}
