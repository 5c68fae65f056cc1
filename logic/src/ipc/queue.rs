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
pub struct SendPlace {
    sent: Option<Sent>,
    /// Its place in the list of its server; if it is free, the next free one.
    node: Node,
}

impl SendPlace {
    /// Without a message.
    pub const FREE: Self = Self { sent: None, node: Node::NONE };
}

/// The index of a [`SendPlace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendIndex(u16);

/// Number of a node: a client's, by its slot, or, with the top bit, a [`SendPlace`]'s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NodeId(u16);

impl NodeId {
    /// The end of a list.
    const END: Self = Self(u16::MAX);
    const SEND: u16 = 1 << 15;

    fn item(self) -> Item {
        if self.0 & Self::SEND != 0 {
            Item::Send(SendIndex(self.0 & !Self::SEND))
        } else {
            Item::Call(ThreadSlot::from_bits(self.0.into()))
        }
    }
}

const _: () = assert!(TableSizes::MOST.threads <= NodeId::SEND as u32);

impl From<ThreadSlot> for NodeId {
    fn from(client: ThreadSlot) -> Self {
        Self(client.bits() as u16)
    }
}

impl From<SendIndex> for NodeId {
    fn from(index: SendIndex) -> Self {
        Self(index.0 | Self::SEND)
    }
}

impl From<Item> for NodeId {
    fn from(item: Item) -> Self {
        match item {
            Item::Call(client) => client.into(),
            Item::Send(index) => index.into(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    next: NodeId,
    previous: NodeId,
    priority: Priority,
}

impl Node {
    const NONE: Self =
        Self { next: NodeId::END, previous: NodeId::END, priority: Priority::LOWEST };
}

/// Of the thread in one slot: what waits for it, and where its own call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadQueue {
    first: NodeId,
    last: NodeId,
    node: Node,
}

impl ThreadQueue {
    /// Nothing waits.
    pub const EMPTY: Self = Self { first: NodeId::END, last: NodeId::END, node: Node::NONE };
}

/// All lists of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// By the slot of the thread.
    threads: Places<ThreadQueue>,
    sends: Places<SendPlace>,
    /// The first free place of `sends`; the next one is after its node.
    free: NodeId,
}

impl Queue {
    /// Nothing waits; all places are empty.
    pub(super) fn new(threads: Places<ThreadQueue>, sends: Places<SendPlace>) -> Self {
        let mut queue = Self { threads, sends, free: NodeId::END };
        for (index, place) in queue.sends.iter_mut().enumerate().rev() {
            place.node.next = queue.free;
            queue.free = SendIndex(index as u16).into();
        }
        queue
    }

    /// What is first for `server`.
    #[inline]
    pub(super) fn first(&self, server: ThreadSlot) -> Option<Item> {
        let first = self.threads[server.index()].first;
        (first != NodeId::END).then(|| first.item())
    }

    /// What follows `after` for the same server.
    #[cfg(test)]
    pub(super) fn after(&self, after: Item) -> Option<Item> {
        let next = self.node(after.into()).next;
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
        // The end is no place's index.
        let Item::Send(index) = self.free.item() else { return Err(sent) };
        let Some(place) = self.sends.get_mut(usize::from(index.0)) else { return Err(sent) };
        self.free = place.node.next;
        place.sent = Some(sent);
        self.link(server, index.into(), priority);
        Ok(())
    }

    /// Takes the call of `client` out.
    pub(super) fn remove_call(&mut self, server: ThreadSlot, client: ThreadSlot) {
        self.unlink(server, client.into());
    }

    /// Takes a message out.
    pub(super) fn take_send(&mut self, server: ThreadSlot, index: SendIndex) -> Option<Sent> {
        let sent = self.sends[usize::from(index.0)].sent.take()?;
        self.unlink(server, index.into());
        self.node_mut(index.into()).next = self.free;
        self.free = index.into();
        Some(sent)
    }

    /// Priority of what waits.
    pub(super) fn priority(&self, item: Item) -> Priority {
        self.node(item.into()).priority
    }

    fn node(&self, id: NodeId) -> &Node {
        match id.item() {
            Item::Call(client) => &self.threads[client.index()].node,
            Item::Send(index) => &self.sends[usize::from(index.0)].node,
        }
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        match id.item() {
            Item::Call(client) => &mut self.threads[client.index()].node,
            Item::Send(index) => &mut self.sends[usize::from(index.0)].node,
        }
    }

    fn link(&mut self, server: ThreadSlot, new: NodeId, priority: Priority) {
        let mut before = self.threads[server.index()].last;
        while before != NodeId::END && self.node(before).priority < priority {
            before = self.node(before).previous;
        }
        let next = match before {
            NodeId::END => self.threads[server.index()].first,
            before => self.node(before).next,
        };
        *self.node_mut(new) = Node { next, previous: before, priority };
        self.join(server, before, new);
        self.join(server, new, next);
    }

    fn unlink(&mut self, server: ThreadSlot, old: NodeId) {
        let Node { next, previous, .. } = *self.node(old);
        self.join(server, previous, next);
    }

    /// Makes `next` follow `before`; either may be the end of the list.
    fn join(&mut self, server: ThreadSlot, before: NodeId, next: NodeId) {
        match before {
            NodeId::END => self.threads[server.index()].first = next,
            before => self.node_mut(before).next = next,
        }
        match next {
            NodeId::END => self.threads[server.index()].last = before,
            next => self.node_mut(next).previous = before,
        }
    }
}
