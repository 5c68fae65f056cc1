//! What waits at the servers of one CPU: lists in the order of priority, then of arrival.

use ant_abi::{EndpointId, Generation, MAX_THREADS, Priority, ThreadSlot};

use super::message::Message;

/// Messages without a waiting sender that can wait on one CPU, and one.
pub(super) const SENDS: usize = 256 - MAX_THREADS;
const NODES: usize = MAX_THREADS + SENDS;

/// A message without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) endpoint: EndpointId,
    /// The endpoint's generation when it was last known to be the right one.
    pub(super) generation: Generation,
    pub(super) badge: u32,
    pub(super) message: Message,
}

/// What is next for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The call of this client.
    Call(ThreadSlot),
    /// The message in this place.
    Send(SendPlace),
}

/// A place of `Queue::sends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendPlace(u8);

/// Number of a node: `n` is client `n`, or, from `MAX_THREADS` on, place `n - MAX_THREADS` of
/// `Queue::sends`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NodeId(u8);

impl NodeId {
    /// The end of a list.
    const END: Self = Self(u8::MAX);

    fn index(self) -> usize {
        usize::from(self.0)
    }

    fn item(self) -> Item {
        match ThreadSlot::new(self.index()) {
            Some(client) => Item::Call(client),
            None => Item::Send(SendPlace(self.0 - MAX_THREADS as u8)),
        }
    }
}

impl From<ThreadSlot> for NodeId {
    fn from(client: ThreadSlot) -> Self {
        Self(client.index() as u8)
    }
}

impl From<SendPlace> for NodeId {
    fn from(place: SendPlace) -> Self {
        Self(place.0 + MAX_THREADS as u8)
    }
}

impl From<Item> for NodeId {
    fn from(item: Item) -> Self {
        match item {
            Item::Call(client) => client.into(),
            Item::Send(place) => place.into(),
        }
    }
}

const _: () = assert!(NODES - 1 == NodeId::END.0 as usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    next: NodeId,
    previous: NodeId,
    priority: Priority,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct List {
    first: NodeId,
    last: NodeId,
}

/// All lists of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    lists: [List; MAX_THREADS],
    nodes: [Node; NODES],
    sends: [Option<Sent>; SENDS - 1],
    /// Node of the first free place of `sends`; the next one is after that node.
    free: NodeId,
}

impl Queue {
    pub(super) const fn new() -> Self {
        const END: NodeId = NodeId::END;
        let empty = Node { next: END, previous: END, priority: Priority::LOWEST };
        let mut nodes = [empty; NODES];
        let mut node = MAX_THREADS as u8;
        while node < END.0 - 1 {
            nodes[node as usize].next = NodeId(node + 1);
            node += 1;
        }
        Self {
            lists: [List { first: END, last: END }; MAX_THREADS],
            nodes,
            sends: [None; SENDS - 1],
            free: NodeId(MAX_THREADS as u8),
        }
    }

    /// What is first for `server`.
    #[inline]
    pub(super) fn first(&self, server: ThreadSlot) -> Option<Item> {
        let first = self.lists[server.index()].first;
        (first != NodeId::END).then(|| first.item())
    }

    /// What follows `after` for the same server.
    #[cfg(test)]
    pub(super) fn after(&self, after: Item) -> Option<Item> {
        let next = self.nodes[NodeId::from(after).index()].next;
        (next != NodeId::END).then(|| next.item())
    }

    /// Puts the call of `client` in, behind all of its priority.
    pub(super) fn add_call(&mut self, server: ThreadSlot, client: ThreadSlot, priority: Priority) {
        self.link(server, client.into(), priority);
    }

    /// Puts a message in; gives it back if there is no room.
    pub(super) fn add_send(
        &mut self,
        server: ThreadSlot,
        priority: Priority,
        sent: Sent,
    ) -> Result<(), Sent> {
        let node = self.free;
        if node == NodeId::END {
            return Err(sent);
        }
        self.free = self.nodes[node.index()].next;
        self.sends[node.index() - MAX_THREADS] = Some(sent);
        self.link(server, node, priority);
        Ok(())
    }

    /// Takes the call of `client` out.
    pub(super) fn remove_call(&mut self, server: ThreadSlot, client: ThreadSlot) {
        self.unlink(server, client.into());
    }

    /// Takes a message out.
    pub(super) fn take_send(&mut self, server: ThreadSlot, place: SendPlace) -> Option<Sent> {
        let sent = self.sends[usize::from(place.0)].take()?;
        let node = NodeId::from(place);
        self.unlink(server, node);
        self.nodes[node.index()].next = self.free;
        self.free = node;
        Some(sent)
    }

    /// Priority of what waits.
    pub(super) fn priority(&self, item: Item) -> Priority {
        self.nodes[NodeId::from(item).index()].priority
    }

    fn link(&mut self, server: ThreadSlot, new: NodeId, priority: Priority) {
        let mut before = self.lists[server.index()].last;
        while before != NodeId::END && self.nodes[before.index()].priority < priority {
            before = self.nodes[before.index()].previous;
        }
        let next = match before {
            NodeId::END => self.lists[server.index()].first,
            before => self.nodes[before.index()].next,
        };
        self.nodes[new.index()] = Node { next, previous: before, priority };
        self.join(server, before, new);
        self.join(server, new, next);
    }

    fn unlink(&mut self, server: ThreadSlot, old: NodeId) {
        let Node { next, previous, .. } = self.nodes[old.index()];
        self.join(server, previous, next);
    }

    /// Makes `next` follow `before`; either may be the end of the list.
    fn join(&mut self, server: ThreadSlot, before: NodeId, next: NodeId) {
        match before {
            NodeId::END => self.lists[server.index()].first = next,
            before => self.nodes[before.index()].next = next,
        }
        match next {
            NodeId::END => self.lists[server.index()].last = before,
            next => self.nodes[next.index()].previous = before,
        }
    }
}
