//! What waits at the servers of one CPU: lists in the order of priority, then of arrival.

use ant_abi::boot::TableSizes;
use ant_abi::{EndpointId, Generation, Priority, ThreadSlot};

use super::message::Message;
use crate::places::Places;

/// Messages without a waiting sender that can wait on one CPU.
pub const SENDS_PER_CPU: usize = 127;

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
    Send(SendIndex),
}

/// A place for a message that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendPlace(Option<Sent>);

impl SendPlace {
    /// Without a message.
    pub const FREE: Self = Self(None);
}

/// The index of a [`SendPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendIndex(u16);

/// Number of a node: a client's, by its slot, and behind those of all slots a [`SendPlace`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NodeId(u16);

impl NodeId {
    /// The end of a list.
    const END: Self = Self(u16::MAX);

    fn index(self) -> usize {
        usize::from(self.0)
    }
}

const _: () = assert!(TableSizes::MOST.threads as usize + SENDS_PER_CPU <= NodeId::END.0 as usize);

/// Where a call or a message waits; if the place for a message is free, the next free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueNode {
    next: NodeId,
    previous: NodeId,
    priority: Priority,
}

impl QueueNode {
    /// Nowhere.
    pub const NONE: Self =
        Self { next: NodeId::END, previous: NodeId::END, priority: Priority::LOWEST };
}

/// What waits for one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueList {
    first: NodeId,
    last: NodeId,
}

impl QueueList {
    /// Nothing.
    pub const EMPTY: Self = Self { first: NodeId::END, last: NodeId::END };
}

/// All lists of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// By the slot of the thread.
    lists: Places<QueueList>,
    nodes: Places<QueueNode>,
    sends: Places<SendPlace>,
    /// Node of the first free place of `sends`.
    free: NodeId,
}

impl Queue {
    /// Nothing waits; all places are empty. There are as many nodes as lists and places for messages
    /// together.
    pub(super) fn new(
        lists: Places<QueueList>,
        nodes: Places<QueueNode>,
        sends: Places<SendPlace>,
    ) -> Self {
        let mut queue = Self { lists, nodes, sends, free: NodeId::END };
        for index in (0..queue.sends.len() as u16).rev() {
            let node = queue.node_of(Item::Send(SendIndex(index)));
            queue.nodes[node.index()].next = queue.free;
            queue.free = node;
        }
        queue
    }

    fn item(&self, node: NodeId) -> Item {
        match node.0.checked_sub(self.lists.len() as u16) {
            Some(index) => Item::Send(SendIndex(index)),
            None => Item::Call(ThreadSlot::from_bits(node.0.into())),
        }
    }

    fn node_of(&self, item: Item) -> NodeId {
        match item {
            Item::Call(client) => NodeId(client.bits() as u16),
            Item::Send(SendIndex(index)) => NodeId(index + self.lists.len() as u16),
        }
    }

    /// What is first for `server`.
    #[inline]
    pub(super) fn first(&self, server: ThreadSlot) -> Option<Item> {
        let first = self.lists[server.index()].first;
        (first != NodeId::END).then(|| self.item(first))
    }

    /// What follows `after` for the same server.
    #[cfg(test)]
    pub(super) fn after(&self, after: Item) -> Option<Item> {
        let next = self.nodes[self.node_of(after).index()].next;
        (next != NodeId::END).then(|| self.item(next))
    }

    /// Puts the call of `client` in, behind all of its priority.
    pub(super) fn add_call(&mut self, server: ThreadSlot, client: ThreadSlot, priority: Priority) {
        self.link(server, self.node_of(Item::Call(client)), priority);
    }

    /// Puts a message in, if there is room; whether there was.
    #[inline]
    #[must_use]
    pub(super) fn add_send(&mut self, server: ThreadSlot, priority: Priority, sent: &Sent) -> bool {
        let node = self.free;
        // The end is no place's index.
        let Item::Send(SendIndex(index)) = self.item(node) else { return false };
        let Some(place) = self.sends.get_mut(usize::from(index)) else { return false };
        place.0 = Some(*sent);
        self.free = self.nodes[node.index()].next;
        self.link(server, node, priority);
        true
    }

    /// Takes the call of `client` out.
    pub(super) fn remove_call(&mut self, server: ThreadSlot, client: ThreadSlot) {
        self.unlink(server, self.node_of(Item::Call(client)));
    }

    /// Takes a message out.
    #[inline]
    pub(super) fn take_send(&mut self, server: ThreadSlot, index: SendIndex) -> Option<Sent> {
        let sent = self.sends[usize::from(index.0)].0.take()?;
        let node = self.node_of(Item::Send(index));
        self.unlink(server, node);
        self.nodes[node.index()].next = self.free;
        self.free = node;
        Some(sent)
    }

    /// Priority of what waits.
    pub(super) fn priority(&self, item: Item) -> Priority {
        self.nodes[self.node_of(item).index()].priority
    }

    #[inline]
    fn link(&mut self, server: ThreadSlot, new: NodeId, priority: Priority) {
        let mut before = self.lists[server.index()].last;
        while before != NodeId::END && self.nodes[before.index()].priority < priority {
            before = self.nodes[before.index()].previous;
        }
        let next = match before {
            NodeId::END => self.lists[server.index()].first,
            before => self.nodes[before.index()].next,
        };
        self.nodes[new.index()] = QueueNode { next, previous: before, priority };
        self.join(server, before, new);
        self.join(server, new, next);
    }

    #[inline]
    fn unlink(&mut self, server: ThreadSlot, old: NodeId) {
        let QueueNode { next, previous, .. } = self.nodes[old.index()];
        self.join(server, previous, next);
    }

    /// Makes `next` follow `before`; either may be the end of the list.
    #[inline]
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
