//! What goes from process to process and from CPU to CPU.

use ant_abi::boot::TableSizes;
use ant_abi::ipc::{IPC_WORDS, Span};
use ant_abi::{CpuIndex, EndpointId, Generation, Priority, ThreadSlot};

/// What a process sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Message {
    /// Words, in registers.
    pub words: [u64; IPC_WORDS],
    /// ICA pages.
    pub span: Span,
    /// A reference to an endpoint that goes along, in the form that [`super::IpcHost`]'s owner
    /// gives it, in 60 bits; 0 for none.
    pub handle: u64,
}

impl Message {
    /// A message of words only.
    #[must_use]
    pub const fn of(words: [u64; IPC_WORDS]) -> Self {
        Self { words, span: Span::NONE, handle: 0 }
    }
}

/// Names one call for its reply: the client's slot and CPU, and the number of the call there.
/// Never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token(pub u64);

impl Token {
    #[inline]
    pub(super) const fn new(client: ThreadSlot, cpu: CpuIndex, sequence: u32) -> Self {
        Self((sequence as u64) << 24 | cpu.bits() << 16 | client.bits())
    }

    /// Slot of the client.
    #[inline]
    #[must_use]
    pub const fn client(self) -> ThreadSlot {
        ThreadSlot::from_bits(self.0)
    }

    /// The client's CPU.
    #[inline]
    #[must_use]
    pub const fn cpu(self) -> CpuIndex {
        CpuIndex::from_bits(self.0 >> 16)
    }

    /// Number of the call.
    #[inline]
    pub(super) const fn sequence(self) -> u32 {
        (self.0 >> 24) as u32
    }
}

/// A message on its way to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CallRequest {
    /// The endpoint. The receiving CPU finds the server there.
    pub endpoint: EndpointId,
    /// The endpoint's generation then.
    pub generation: Generation,
    /// Badge of the handle.
    pub badge: u32,
    /// The sender's priority.
    pub priority: Priority,
    /// What it sends.
    pub message: Message,
}

/// What CPUs tell each other. As it goes through a ring, it is [`Parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// A request for a process of the receiving CPU; its sender waits for the reply.
    Call {
        /// Slot of the client; the sending CPU is its.
        client: ThreadSlot,
        /// Number of the call on the sending CPU.
        sequence: u32,
        /// The request.
        request: CallRequest,
    },
    /// The reply to a call.
    Reply {
        /// Slot of the client, which is the receiving CPU's.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
        /// The reply.
        message: Message,
    },
    /// The server ended while it had the request.
    Failed {
        /// Slot of the client.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
    },
    /// The server did not receive the request: it ended, or no longer serves the endpoint.
    Bounced {
        /// Slot of the client.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
    },
    /// The client takes its call back.
    Cancel {
        /// Slot of the client.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
    },
    /// Nothing is left of the call that was taken back.
    Cancelled {
        /// Slot of the client.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
    },
    /// The client's priority has risen.
    Boost {
        /// Slot of the client.
        client: ThreadSlot,
        /// Number of the call.
        sequence: u32,
        /// The priority.
        priority: Priority,
    },
    /// A message without a reply.
    Send(CallRequest),
    /// Notification bits wait at an endpoint of the receiving CPU's.
    Wakeup {
        /// The endpoint.
        endpoint: EndpointId,
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
const WAKEUP: u64 = 9;

/// Kinds below this are [`Packet`]s; a ring may carry others beside them.
pub(super) const KINDS: u64 = 16;

/// Bits of the first word that hold the kind; those of a ring's other contents hold theirs, too.
const KIND_BITS: u32 = 5;
/// The client's, above the kind.
const CLIENT_BITS: u32 = 13;
/// The endpoint's, above the client; the badge is above.
const ENDPOINT_BITS: u32 = 14;
const ENDPOINT_SHIFT: u32 = KIND_BITS + CLIENT_BITS;
const BADGE_SHIFT: u32 = ENDPOINT_SHIFT + ENDPOINT_BITS;
/// Bits of `Message::handle` that a packet carries.
const HANDLE_BITS: u32 = 60;

const _: () = assert!(BADGE_SHIFT + u32::BITS == u64::BITS);
const _: () = assert!(TableSizes::MOST.threads <= 1 << CLIENT_BITS);
const _: () = assert!(TableSizes::MOST.endpoints <= 1 << ENDPOINT_BITS);
const _: () = assert!(Priority::COUNT <= 1 << (u64::BITS - HANDLE_BITS));

/// The low bits of a word.
const fn low(word: u64, bits: u32) -> u64 {
    word & ((1 << bits) - 1)
}

/// The parts of a packet, of which most kinds leave some out: words that hold kind, client,
/// endpoint, badge; sequence, generation; the words; the span; the handle, and the priority above it.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// [`Parts::CALL`], [`Parts::REPLY`], or another.
    pub kind: u64,
    /// Slot of the client.
    pub client: ThreadSlot,
    /// Number of the call.
    pub sequence: u32,
    /// The request, or reply.
    pub request: CallRequest,
}

impl Parts {
    /// Kind of a [`Packet::Call`].
    pub const CALL: u64 = CALL;
    /// Kind of a [`Packet::Reply`].
    pub const REPLY: u64 = REPLY;

    /// What came out of a ring, whatever it is.
    #[inline(always)]
    #[must_use]
    pub fn of(words: &[u64; 8]) -> Self {
        let [first, second, a, b, c, d, span, last] = *words;
        let request = CallRequest {
            endpoint: EndpointId::from_bits(low(first >> ENDPOINT_SHIFT, ENDPOINT_BITS)),
            generation: Generation::new(second as u32),
            badge: (first >> BADGE_SHIFT) as u32,
            priority: Priority::from_bits(last >> HANDLE_BITS),
            message: Message {
                words: [a, b, c, d],
                span: Span(span),
                handle: low(last, HANDLE_BITS),
            },
        };
        Self {
            kind: low(first, KIND_BITS),
            client: ThreadSlot::from_bits(low(first >> KIND_BITS, CLIENT_BITS)),
            sequence: (second >> 32) as u32,
            request,
        }
    }
}

#[inline(always)]
fn words(kind: u64, client: ThreadSlot, sequence: u32, request: &CallRequest) -> [u64; 8] {
    let CallRequest { endpoint, generation, badge, priority, message } = *request;
    let first = kind
        | client.bits() << KIND_BITS
        | endpoint.bits() << ENDPOINT_SHIFT
        | u64::from(badge) << BADGE_SHIFT;
    let second = u64::from(sequence) << 32 | u64::from(generation.get());
    let [a, b, c, d] = message.words;
    let last = message.handle | priority.bits() << HANDLE_BITS;
    [first, second, a, b, c, d, message.span.0, last]
}

impl Packet {
    /// As it goes through a ring. The low five bits of the first word are below 16.
    #[inline(always)]
    #[must_use]
    pub fn encode(&self) -> [u64; 8] {
        let empty = CallRequest::default();
        let about = |kind, client, sequence| words(kind, client, sequence, &empty);
        match *self {
            Packet::Call { client, sequence, request } => words(CALL, client, sequence, &request),
            Packet::Reply { client, sequence, message } => {
                words(REPLY, client, sequence, &CallRequest { message, ..empty })
            }
            Packet::Failed { client, sequence } => about(FAILED, client, sequence),
            Packet::Bounced { client, sequence } => about(BOUNCED, client, sequence),
            Packet::Cancel { client, sequence } => about(CANCEL, client, sequence),
            Packet::Cancelled { client, sequence } => about(CANCELLED, client, sequence),
            Packet::Boost { client, sequence, priority } => {
                words(BOOST, client, sequence, &CallRequest { priority, ..empty })
            }
            Packet::Send(request) => words(SEND, ThreadSlot::default(), 0, &request),
            Packet::Wakeup { endpoint } => {
                words(WAKEUP, ThreadSlot::default(), 0, &CallRequest { endpoint, ..empty })
            }
        }
    }

    /// What came out of a ring; `None`: it is not one of these.
    #[must_use]
    pub fn decode(words: &[u64; 8]) -> Option<Self> {
        let Parts { kind, client, sequence, request } = Parts::of(words);
        Some(match kind {
            CALL => Packet::Call { client, sequence, request },
            REPLY => Packet::Reply { client, sequence, message: request.message },
            FAILED => Packet::Failed { client, sequence },
            BOUNCED => Packet::Bounced { client, sequence },
            CANCEL => Packet::Cancel { client, sequence },
            CANCELLED => Packet::Cancelled { client, sequence },
            BOOST => Packet::Boost { client, sequence, priority: request.priority },
            SEND => Packet::Send(request),
            WAKEUP => Packet::Wakeup { endpoint: request.endpoint },
            _ => return None,
        })
    }
}

const _: () = assert!(WAKEUP < KINDS);
