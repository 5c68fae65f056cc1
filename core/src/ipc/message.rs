//! What goes from process to process and from core to core.

use ant_abi::ipc::{IPC_WORDS, Span};

/// What a process sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Words, in registers.
    pub words: [u64; IPC_WORDS],
    /// ICA pages.
    pub span: Span,
    /// A reference to an endpoint that goes along, in the form that [`super::Outside`]'s owner
    /// gives it, in 56 bits; 0 for none.
    pub handle: u64,
}

impl Message {
    /// A message of words only.
    #[must_use]
    pub const fn of(words: [u64; IPC_WORDS]) -> Self {
        Self { words, span: Span::NONE, handle: 0 }
    }
}

/// Names one call for its reply: the client's slot and core, and the number of the call there.
/// Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub u64);

impl Token {
    pub(super) const fn new(client: u8, core: u8, sequence: u32) -> Self {
        Self((sequence as u64) << 16 | (core as u64) << 8 | client as u64)
    }

    /// Slot of the client.
    #[must_use]
    pub const fn client(self) -> u8 {
        self.0 as u8
    }

    #[cfg(test)]
    pub(super) const fn core(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[cfg(test)]
    pub(super) const fn sequence(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// What cores tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A request for a process of the receiving core.
    Call {
        /// Slot of the client; the sending core is its.
        client: u8,
        /// Number of the call on the sending core.
        sequence: u32,
        /// Slot of the server.
        server: u8,
        /// Endpoint that it was found through.
        endpoint: u8,
        /// The endpoint's generation then.
        generation: u32,
        /// Badge of the handle.
        badge: u32,
        /// The client's priority.
        priority: u8,
        /// What it sends.
        message: Message,
    },
    /// The reply to a call.
    Reply {
        /// Slot of the client, which is the receiving core's.
        client: u8,
        /// Number of the call.
        sequence: u32,
        /// The reply.
        message: Message,
    },
    /// The server ended while it had the request.
    Failed {
        /// Slot of the client.
        client: u8,
        /// Number of the call.
        sequence: u32,
    },
    /// The server did not receive the request: it ended, or no longer serves the endpoint.
    Bounced {
        /// Slot of the client.
        client: u8,
        /// Number of the call.
        sequence: u32,
    },
    /// The client takes its call back.
    Cancel {
        /// Slot of the client.
        client: u8,
        /// Number of the call.
        sequence: u32,
    },
    /// Nothing is left of the call that was taken back.
    Cancelled {
        /// Slot of the client.
        client: u8,
        /// Number of the call.
        sequence: u32,
    },
    /// The client's priority has risen.
    Boost {
        /// Slot of the client.
        client: u8,
        /// Number of the call.
        sequence: u32,
        /// The priority.
        priority: u8,
    },
    /// A message that nobody waits for.
    Send {
        /// Slot of the server.
        server: u8,
        /// Endpoint that it was found through.
        endpoint: u8,
        /// The endpoint's generation then.
        generation: u32,
        /// Badge of the handle.
        badge: u32,
        /// The sender's priority.
        priority: u8,
        /// What it sends.
        message: Message,
    },
    /// Notification bits wait at an endpoint of the receiving core's.
    Poke {
        /// The endpoint.
        endpoint: u8,
    },
}

const CALL: u64 = 1;
const REPLY: u64 = 2;
const FAILED: u64 = 3;
const BOUNCED: u64 = 4;
const CANCEL: u64 = 5;
const CANCELLED: u64 = 6;
const BOOST: u64 = 7;
const SEND: u64 = 8;
const POKE: u64 = 9;

/// Kinds below this are [`Packet`]s; a ring may carry others beside them.
pub(super) const KINDS: u64 = 16;

/// Bits of `Message::handle` that a packet carries.
const HANDLE_BITS: u32 = 56;

/// First words of a packet: kind, client, server, endpoint, badge; sequence, generation. The
/// priority is above the handle in the last.
#[derive(Clone, Copy, Default)]
struct Head {
    kind: u64,
    client: u8,
    server: u8,
    endpoint: u8,
    priority: u8,
    badge: u32,
    sequence: u32,
    generation: u32,
}

impl Head {
    fn words(self, message: &Message) -> [u64; 8] {
        let first = self.kind
            | u64::from(self.client) << 8
            | u64::from(self.server) << 16
            | u64::from(self.endpoint) << 24
            | u64::from(self.badge) << 32;
        let second = u64::from(self.sequence) << 32 | u64::from(self.generation);
        let [a, b, c, d] = message.words;
        let last = message.handle | u64::from(self.priority) << HANDLE_BITS;
        [first, second, a, b, c, d, message.span.0, last]
    }

    fn of(words: &[u64; 8]) -> Self {
        Self {
            kind: words[0] & 0xff,
            client: (words[0] >> 8) as u8,
            server: (words[0] >> 16) as u8,
            endpoint: (words[0] >> 24) as u8,
            priority: (words[7] >> HANDLE_BITS) as u8,
            badge: (words[0] >> 32) as u32,
            sequence: (words[1] >> 32) as u32,
            generation: words[1] as u32,
        }
    }
}

impl Packet {
    /// As it goes through a ring. The low byte of the first word is below 16.
    #[must_use]
    pub fn encode(&self) -> [u64; 8] {
        let head = |kind, client, sequence| Head { kind, client, sequence, ..Head::default() };
        let none = Message::default();
        match *self {
            Packet::Call {
                client,
                sequence,
                server,
                endpoint,
                generation,
                badge,
                priority,
                message,
            } => {
                Head { kind: CALL, client, server, endpoint, priority, badge, sequence, generation }
                    .words(&message)
            }
            Packet::Reply { client, sequence, message } => {
                head(REPLY, client, sequence).words(&message)
            }
            Packet::Failed { client, sequence } => head(FAILED, client, sequence).words(&none),
            Packet::Bounced { client, sequence } => head(BOUNCED, client, sequence).words(&none),
            Packet::Cancel { client, sequence } => head(CANCEL, client, sequence).words(&none),
            Packet::Cancelled { client, sequence } => {
                head(CANCELLED, client, sequence).words(&none)
            }
            Packet::Boost { client, sequence, priority } => {
                Head { priority, ..head(BOOST, client, sequence) }.words(&none)
            }
            Packet::Send { server, endpoint, generation, badge, priority, message } => Head {
                kind: SEND,
                client: 0,
                server,
                endpoint,
                priority,
                badge,
                sequence: 0,
                generation,
            }
            .words(&message),
            Packet::Poke { endpoint } => {
                Head { kind: POKE, endpoint, ..Head::default() }.words(&none)
            }
        }
    }

    /// What came out of a ring; `None`: it is not one of these.
    #[must_use]
    pub fn decode(words: &[u64; 8]) -> Option<Self> {
        let Head { kind, client, server, endpoint, priority, badge, sequence, generation } =
            Head::of(words);
        let message = Message {
            words: [words[2], words[3], words[4], words[5]],
            span: Span(words[6]),
            handle: words[7] & ((1 << HANDLE_BITS) - 1),
        };
        Some(match kind {
            CALL => Packet::Call {
                client,
                sequence,
                server,
                endpoint,
                generation,
                badge,
                priority,
                message,
            },
            REPLY => Packet::Reply { client, sequence, message },
            FAILED => Packet::Failed { client, sequence },
            BOUNCED => Packet::Bounced { client, sequence },
            CANCEL => Packet::Cancel { client, sequence },
            CANCELLED => Packet::Cancelled { client, sequence },
            BOOST => Packet::Boost { client, sequence, priority },
            SEND => Packet::Send { server, endpoint, generation, badge, priority, message },
            POKE => Packet::Poke { endpoint },
            _ => return None,
        })
    }
}

const _: () = assert!(POKE < KINDS);
