//! The state of one CPU, and what enters, moves and ends there.
//!
//! By chapter: `route` (where messages go), `serve` (what servers receive and reply), `cancel` (calls that
//! are taken back), `inherit` (priorities), `fastpath` (the usual case in a few steps); `host` is what is
//! around it.

use ant_abi::ipc::{NOTIFY_RETIRE, Span};
use ant_abi::{CpuIndex, EndpointId, Generation, Priority, ThreadSlot};

use super::message::{CallRequest, Message, Packet, Token};
use super::priorities::Priorities;
use super::queue::{Item, Queue, QueueList, QueueNode, SendPlace, Sent};
use super::raised::Raised;
use crate::places::Places;

mod cancel;
mod fastpath;
mod host;
mod inherit;
#[cfg(test)]
mod inspect;
mod route;
mod serve;

pub use host::{CallOutcome, IpcHost, LoanEnd, Received, Target};
#[cfg(test)]
pub(super) use inspect::Held;
use route::target;

/// What becomes of a request if its endpoint gets another generation before it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRestart {
    /// It fails: it makes sense to that generation only.
    Fail,
    /// It goes to the next generation.
    Wait,
}

/// Where a request goes and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Generation for which the request is meant.
    pub generation: Generation,
    /// What becomes of it if the endpoint has another generation before it was received.
    pub on_restart: OnRestart,
    /// Badge of the handle.
    pub badge: u32,
}

/// Why a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The receiver is another one by now.
    Restarted {
        /// Generation of the endpoint.
        generation: Generation,
    },
    /// No thread receives there at the moment.
    Unbound,
    /// The endpoint is closed.
    Closed,
}

/// Whether a thread is gone from a [`IpcCpu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gone {
    /// Yes.
    Now,
    /// Another CPU has to forget it first; [`IpcHost::gone`] follows.
    Later,
}

/// No caller waits for that reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWaiting;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelReason {
    TimedOut,
    Leaving,
}

/// A thread of this CPU as a client. What it sends is in `IpcPlace::message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Idle,
    /// No thread receives at the endpoint.
    Waiting(CallOptions),
    /// With CPU `cpu`.
    Sent {
        token: Token,
        cpu: CpuIndex,
        options: CallOptions,
    },
    /// Being taken back from another CPU.
    Cancelling {
        sequence: u32,
        why: CancelReason,
        options: CallOptions,
    },
}

/// A thread of this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ThreadIpc {
    client: Client,
    receiving: bool,
    /// Where it receives.
    endpoint: Option<EndpointId>,
    /// Another receives at its endpoint; it was not told yet.
    retired: bool,
    /// What it received last were notification bits.
    notified: bool,
    /// Its own priority.
    base: Priority,
    /// That of what it works for: its own, or a lower one of what it has received last.
    work: Priority,
    /// The priority it runs with.
    effective: Priority,
    /// Those of its callers.
    callers: Priorities,
}

impl ThreadIpc {
    const EMPTY: Self = Self {
        client: Client::Idle,
        receiving: false,
        endpoint: None,
        retired: false,
        notified: false,
        base: Priority::LOWEST,
        work: Priority::LOWEST,
        effective: Priority::LOWEST,
        callers: Priorities::NONE,
    };

    /// Whether it receives at an endpoint, or its call waits until there is a receiver.
    fn concerns(&self, endpoint: EndpointId) -> bool {
        let waits = matches!(self.client, Client::Waiting(options) if options.endpoint == endpoint);
        waits || self.endpoint == Some(endpoint)
    }

    /// Whether it waits for a message, and runs with this priority at least.
    #[inline(always)]
    fn would_receive(&self, priority: Priority) -> bool {
        self.receiving && priority <= self.effective
    }

    /// Its call is with CPU `cpu`; the priority with which it calls.
    #[inline(always)]
    fn mark_sent(&mut self, token: Token, cpu: CpuIndex, options: CallOptions) -> Priority {
        self.client = Client::Sent { token, cpu, options };
        self.effective
    }

    /// Whether its call has this token.
    #[inline(always)]
    fn has_sent(&self, token: Token) -> bool {
        matches!(self.client, Client::Sent { token: its, .. } if its == token)
    }

    /// A call of this priority has come for it through `endpoint`.
    #[inline(always)]
    fn add_caller(&mut self, endpoint: EndpointId, priority: Priority) {
        // It may not have been told yet, and never be if another is bound before.
        self.endpoint = Some(endpoint);
        self.callers.add(priority);
    }

    /// Whether the priority that it runs with may be due to a caller of this one.
    #[inline(always)]
    fn may_fall_without(&self, priority: Priority) -> bool {
        self.effective > self.work && priority == self.effective
    }
}

/// A call to a server of this CPU, by the slot of its client, which may be another CPU's. Its
/// message is in `IpcPlace::message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    token: Token,
    server: ThreadSlot,
    badge: u32,
    priority: Priority,
    /// The server has not received it yet.
    queued: bool,
}

impl Caller {
    /// That of a request, not received yet.
    #[inline]
    fn new(server: ThreadSlot, token: Token, request: &CallRequest) -> Self {
        let CallRequest { badge, priority, .. } = *request;
        Self { token, server, badge, priority, queued: true }
    }
}

/// What one CPU knows of the thread in one slot, its own or another CPU's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpcPlace {
    /// If it is this CPU's.
    thread: ThreadIpc,
    /// Its call to a server of this CPU.
    caller: Option<Caller>,
    /// What it sends and was not received yet; of what a server of this CPU has received, only the
    /// span.
    message: Message,
}

impl IpcPlace {
    /// Nothing.
    pub const EMPTY: Self =
        Self { thread: ThreadIpc::EMPTY, caller: None, message: Message::of([0; 4]) };

    /// The call of the thread that `server` has received with this token, and has not replied to.
    #[inline(always)]
    fn call_of(&self, server: ThreadSlot, token: Token) -> Option<Caller> {
        let is_it = |call: &Caller| call.server == server && !call.queued && call.token == token;
        self.caller.filter(is_it)
    }
}

/// IPC of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct IpcCpu {
    cpu: CpuIndex,
    sequence: u32,
    /// By the slot of the thread.
    places: Places<IpcPlace>,
    queue: Queue,
}

/// The memory of an [`IpcCpu`].
#[derive(Debug)]
pub struct IpcMemory {
    /// [`IpcPlace::EMPTY`], as many as the partition has threads.
    pub places: Places<IpcPlace>,
    /// [`QueueList::EMPTY`], as many.
    pub lists: Places<QueueList>,
    /// [`QueueNode::NONE`], as many, and as many as `sends`.
    pub nodes: Places<QueueNode>,
    /// [`SendPlace::FREE`], [`SENDS_PER_CPU`](super::SENDS_PER_CPU).
    pub sends: Places<SendPlace>,
}

impl IpcCpu {
    /// A CPU without threads.
    #[must_use]
    pub fn new(cpu: CpuIndex, memory: IpcMemory) -> Self {
        let IpcMemory { places, lists, nodes, sends } = memory;
        Self { cpu, sequence: 0, places, queue: Queue::new(lists, nodes, sends) }
    }

    /// A thread comes to this CPU. Callers may have come before it, which found it through an
    /// endpoint: it runs with [`IpcCpu::priority`].
    pub fn enter(&mut self, slot: ThreadSlot, priority: Priority, endpoint: Option<EndpointId>) {
        let thread = self.thread(slot);
        let callers = thread.callers;
        let effective = callers.highest().max(priority);
        let (base, work) = (priority, priority);
        *thread = ThreadIpc { endpoint, base, work, effective, callers, ..ThreadIpc::EMPTY };
    }

    /// A thread of this CPU receives at `endpoint` from now on.
    pub fn bind(&mut self, slot: ThreadSlot, endpoint: EndpointId) {
        let thread = self.thread(slot);
        thread.endpoint = Some(endpoint);
        thread.retired = false;
    }

    /// The priority that a thread runs with.
    #[must_use]
    pub fn priority(&self, slot: ThreadSlot) -> Priority {
        self.place(slot).thread.effective
    }

    /// Where a thread receives.
    #[must_use]
    pub fn endpoint(&self, slot: ThreadSlot) -> Option<EndpointId> {
        self.place(slot).thread.endpoint
    }

    /// Whether a thread has no call under way, has no received request to reply to, and knows whether
    /// it serves: it can go to another CPU.
    #[must_use]
    pub fn is_quiet(&self, slot: ThreadSlot) -> bool {
        let thread = &self.place(slot).thread;
        let mut callers = self.places.iter().filter_map(|place| place.caller.as_ref());
        matches!(thread.client, Client::Idle)
            && !thread.retired
            && !callers.any(|caller| caller.server == slot && !caller.queued)
    }

    /// Moves a thread away: see [`IpcCpu::is_quiet`]. Callers that wait for it find it where the
    /// endpoint says it is, which is not here any more.
    pub fn move_away(&mut self, slot: ThreadSlot, host: &mut impl IpcHost) {
        self.bounce_queue(slot, host);
        *self.thread(slot) = ThreadIpc::EMPTY;
    }

    /// Another CPU has sent this.
    pub fn take(&mut self, from: CpuIndex, packet: Packet, host: &mut impl IpcHost) {
        match packet {
            Packet::Call { client, sequence, request } => match host.target(request.endpoint) {
                (Target::Bound { cpu, server }, generation)
                    if (cpu, generation) == (self.cpu, request.generation) =>
                {
                    self.arrive(server, Token::new(client, from, sequence), &request, host);
                }
                _ => host.post(from, Packet::Bounced { client, sequence }),
            },
            Packet::Reply { client, sequence, message } => {
                self.finish(client, sequence, CallOutcome::Reply(message), host);
            }
            Packet::Failed { client, sequence } => {
                let outcome = self.restarted(client, host);
                self.finish(client, sequence, outcome, host);
            }
            Packet::Bounced { client, sequence } => self.bounced(client, sequence, host),
            Packet::Cancel { client, sequence } => {
                self.forget(Token::new(client, from, sequence), host);
                host.post(from, Packet::Cancelled { client, sequence });
            }
            Packet::Cancelled { client, sequence } => {
                self.finish(client, sequence, CallOutcome::TimedOut, host);
            }
            Packet::Boost { client, sequence, priority } => {
                self.boost(Token::new(client, from, sequence), priority, host);
            }
            Packet::Send(CallRequest {
                endpoint, generation, badge, priority, message, ..
            }) => {
                let sent = Sent { endpoint, generation, badge, message };
                self.resend(priority, sent, host);
            }
            Packet::Wakeup { endpoint } => self.notify(endpoint, host),
        }
    }

    #[inline(always)]
    fn thread(&mut self, slot: ThreadSlot) -> &mut ThreadIpc {
        &mut self.place_mut(slot).thread
    }

    /// What is known of a thread of the partition.
    #[inline(always)]
    fn place(&self, slot: ThreadSlot) -> &IpcPlace {
        &self.places[slot.index()]
    }

    #[inline(always)]
    fn place_mut(&mut self, slot: ThreadSlot) -> &mut IpcPlace {
        &mut self.places[slot.index()]
    }

    /// The threads of the partition.
    fn slots(&self) -> impl Iterator<Item = ThreadSlot> + use<> {
        ThreadSlot::first(self.places.len())
    }

    /// The token of the next call of this CPU.
    #[inline(always)]
    fn next_token(&mut self, client: ThreadSlot) -> Token {
        self.sequence = next_sequence(self.sequence);
        Token::new(client, self.cpu, self.sequence)
    }
}

/// The number of the call that follows; 0 is none's.
#[inline(always)]
fn next_sequence(sequence: u32) -> u32 {
    sequence.wrapping_add(1).max(1)
}
