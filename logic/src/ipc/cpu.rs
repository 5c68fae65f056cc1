//! The state of one CPU, and what changes it.

use ant_abi::ipc::{NOTIFY_RETIRE, Span};
use ant_abi::{CpuIndex, EndpointId, Generation, MAX_PROCESSES, Priority, Slot};

use super::message::{Message, Packet, Request, Token};
use super::priorities::Priorities;
use super::queue::{Item, Queue, Sent};

mod fastpath;
#[cfg(test)]
mod inspect;
#[cfg(test)]
pub(super) use inspect::Held;

/// Who receives at an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The process in slot `server`, which is CPU `cpu`'s.
    Bound {
        /// Index of the CPU.
        cpu: CpuIndex,
        /// Slot of the process.
        server: Slot,
    },
    /// Nobody now; somebody will.
    Unbound,
    /// Nobody ever again.
    Closed,
}

/// The machine around a [`IpcCpu`]: processes, endpoints, other CPUs.
pub trait IpcHost {
    /// Who receives at an endpoint, and the endpoint's generation: raised whenever a receiver goes.
    fn target(&self, endpoint: EndpointId) -> (Target, Generation);
    /// The endpoint's first generation: those before it were another endpoint's of the same number.
    fn first_generation(&self, endpoint: EndpointId) -> Generation;
    /// Sends to another CPU; the order between two CPUs is kept.
    fn post(&mut self, cpu: CpuIndex, packet: Packet);
    /// The call of a client of this CPU is over.
    fn ended(&mut self, client: Slot, outcome: CallOutcome);
    /// A server of this CPU, which waited in [`IpcCpu::receive`], gets this.
    fn received(&mut self, server: Slot, received: Received);
    /// A process of this CPU runs with this priority from now on. It may be between two CPUs: see
    /// [`IpcCpu::enter`].
    fn set_priority(&mut self, slot: Slot, priority: Priority);
    /// Takes the notification bits that wait at an endpoint.
    fn take_bits(&mut self, endpoint: EndpointId) -> u64;
    /// A message sent to an endpoint waits no more: it was received, or dropped.
    fn send_dequeued(&mut self, endpoint: EndpointId);
    /// Nobody will receive this message: one that was sent, or a reply to a client that is gone.
    fn dropped(&mut self, message: &Message);
    /// A server of this CPU must not reach these pages any more, which it had been lent.
    fn loan_ends(&mut self, server: Slot, span: Span, how: LoanEnd);
    /// Nothing is left of a process for which [`IpcCpu::leave`] said [`Gone::Later`].
    fn gone(&mut self, slot: Slot);
}

/// How a loan of pages ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoanEnd {
    /// The borrower has replied, or has ended.
    Returned,
    /// The call was cancelled: the borrower does not know it yet, and may touch the pages without
    /// having done wrong.
    Revoked,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// With the reply.
    Reply(Message),
    /// The server is another one by now, or will be.
    Restarted {
        /// Generation of the endpoint.
        generation: Generation,
    },
    /// Nobody will ever receive at the endpoint.
    Closed,
    /// Taken back in time.
    TimedOut,
}

/// What a server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Notification bits.
    Notification(u64),
    /// A request.
    Call {
        /// For the reply.
        token: Token,
        /// Badge of the client's handle.
        badge: u32,
        /// What it sent.
        message: Message,
    },
    /// A message that nobody waits for.
    Send {
        /// Badge of the sender's handle.
        badge: u32,
        /// What it sent.
        message: Message,
    },
}

/// What becomes of a request whose endpoint gets another generation before it was received.
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
    /// Nobody receives there at the moment.
    Unbound,
    /// Nobody will ever receive there.
    Closed,
}

/// Whether a process is gone from a [`IpcCpu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gone {
    /// Yes.
    Now,
    /// Another CPU has to forget it first; [`IpcHost::gone`] follows.
    Later,
}

/// Nobody waits for that reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWaiting;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelReason {
    TimedOut,
    Leaving,
}

/// A process of this CPU as a client. What it sends is in `IpcCpu::messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Idle,
    /// Nobody receives at the endpoint.
    Waiting(CallOptions),
    /// With CPU `cpu`.
    Sent {
        sequence: u32,
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

/// A process of this CPU.
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
        effective: Priority::LOWEST,
        callers: Priorities::NONE,
    };
}

/// A call to a server of this CPU, by the slot of its client, which may be another CPU's. Its
/// message is in `IpcCpu::messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    cpu: CpuIndex,
    sequence: u32,
    server: Slot,
    badge: u32,
    priority: Priority,
    /// The server has not received it yet.
    queued: bool,
}

impl Caller {
    /// That of a request from CPU `cpu`.
    #[inline]
    fn new(cpu: CpuIndex, sequence: u32, request: &Request) -> Self {
        let Request { server, badge, priority, .. } = *request;
        Self { cpu, sequence, server, badge, priority, queued: true }
    }
}

/// IPC of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct IpcCpu {
    cpu: CpuIndex,
    sequence: u32,
    threads: [ThreadIpc; MAX_PROCESSES],
    callers: [Option<Caller>; MAX_PROCESSES],
    /// By the slot of the client: what nobody has received yet; of what a server of this CPU has
    /// received, only the span.
    messages: [Message; MAX_PROCESSES],
    queue: Queue,
}

impl IpcCpu {
    /// A CPU without processes.
    #[must_use]
    pub const fn new(cpu: CpuIndex) -> Self {
        Self {
            cpu,
            sequence: 0,
            threads: [ThreadIpc::EMPTY; MAX_PROCESSES],
            callers: [None; MAX_PROCESSES],
            messages: [Message::of([0; 4]); MAX_PROCESSES],
            queue: Queue::new(),
        }
    }

    /// Says which CPU this is; nobody has entered yet.
    pub fn begin_on(&mut self, cpu: CpuIndex) {
        self.cpu = cpu;
    }

    /// A process comes to this CPU. Callers may have come before it, who found it through an
    /// endpoint: it runs with [`IpcCpu::priority`].
    pub fn enter(&mut self, slot: Slot, priority: Priority, endpoint: Option<EndpointId>) {
        let thread = self.thread(slot);
        let callers = thread.callers;
        let effective = callers.highest().max(priority);
        *thread = ThreadIpc { endpoint, base: priority, effective, callers, ..ThreadIpc::EMPTY };
    }

    /// A process of this CPU receives at `endpoint` from now on.
    pub fn bind(&mut self, slot: Slot, endpoint: EndpointId) {
        let thread = self.thread(slot);
        thread.endpoint = Some(endpoint);
        thread.retired = false;
    }

    /// The priority that a process runs with.
    #[must_use]
    pub fn priority(&self, slot: Slot) -> Priority {
        self.threads[slot.index()].effective
    }

    /// Where a process receives.
    #[must_use]
    pub fn endpoint(&self, slot: Slot) -> Option<EndpointId> {
        self.threads[slot.index()].endpoint
    }

    /// Whether a process has no call under way, has received nobody's request, and knows whether
    /// it serves: it can go to another CPU.
    #[must_use]
    pub fn is_quiet(&self, slot: Slot) -> bool {
        let thread = &self.threads[slot.index()];
        let mut callers = self.callers.iter().flatten();
        matches!(thread.client, Client::Idle)
            && !thread.retired
            && !callers.any(|caller| caller.server == slot && !caller.queued)
    }

    /// A process calls and waits; [`IpcHost::ended`] follows, maybe before this returns.
    pub fn call(
        &mut self,
        client: Slot,
        options: CallOptions,
        message: Message,
        host: &mut impl IpcHost,
    ) {
        self.dispatch(client, options, &message, host);
    }

    /// Waits for a message. `None`: nothing yet; [`IpcHost::received`] follows.
    pub fn receive(&mut self, server: Slot, host: &mut impl IpcHost) -> Option<Received> {
        let thread = self.thread(server);
        if core::mem::take(&mut thread.retired) {
            return Some(Received::Notification(NOTIFY_RETIRE));
        }
        let notified = core::mem::take(&mut thread.notified);
        let endpoint = thread.endpoint;
        let first = self.queue.first(server);
        // In turns, so that neither keeps the other from it.
        if let Some(endpoint) = endpoint.filter(|_| !notified || first.is_none()) {
            let bits = host.take_bits(endpoint);
            if bits != 0 {
                self.thread(server).notified = true;
                return Some(Received::Notification(bits));
            }
        }
        let received = match first {
            Some(Item::Call(client)) => self.receive_call(client),
            Some(Item::Send(place)) => self.queue.take_send(server, place).map(|sent| {
                host.send_dequeued(sent.endpoint);
                Received::Send { badge: sent.badge, message: sent.message }
            }),
            None => None,
        };
        self.thread(server).receiving = received.is_none();
        received
    }

    /// A server no longer waits for a message. Says whether it did.
    pub fn stop_receiving(&mut self, server: Slot) -> bool {
        core::mem::take(&mut self.thread(server).receiving)
    }

    /// A server replies.
    ///
    /// # Errors
    ///
    /// Nobody waits for this reply: it was given, or the client has taken its call back.
    pub fn reply(
        &mut self,
        server: Slot,
        token: Token,
        message: Message,
        host: &mut impl IpcHost,
    ) -> Result<(), NotWaiting> {
        let client = token.client();
        let caller = self.caller(server, token).ok_or(NotWaiting)?;
        self.callers[client.index()] = None;
        self.served(client, caller, LoanEnd::Returned, host);
        if caller.cpu == self.cpu {
            self.finish(client, caller.sequence, CallOutcome::Reply(message), host);
        } else {
            let packet = Packet::Reply { client, sequence: caller.sequence, message };
            host.post(caller.cpu, packet);
        }
        Ok(())
    }

    /// Sends a message that nobody waits for. The caller has made sure that there is room for it
    /// (see [`IpcHost::send_dequeued`]).
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub fn send(
        &mut self,
        priority: Priority,
        options: CallOptions,
        message: Message,
        host: &mut impl IpcHost,
    ) -> Result<(), SendError> {
        let CallOptions { endpoint, badge, .. } = options;
        let (target, generation) = target(endpoint, options.generation, host);
        match target {
            Target::Closed => Err(SendError::Closed),
            _ if generation != options.generation && options.on_restart == OnRestart::Fail => {
                Err(SendError::Restarted { generation })
            }
            Target::Unbound => Err(SendError::Unbound),
            Target::Bound { cpu, server } => {
                let sent = Sent { endpoint, generation, badge, message };
                self.forward(cpu, server, priority, sent, host);
                Ok(())
            }
        }
    }

    /// Notification bits were raised at an endpoint.
    pub fn notify(&mut self, endpoint: EndpointId, host: &mut impl IpcHost) {
        let (target, _) = host.target(endpoint);
        let Target::Bound { cpu, server } = target else { return };
        if cpu != self.cpu {
            host.post(cpu, Packet::Wakeup { endpoint });
        } else if self.thread(server).receiving {
            let bits = host.take_bits(endpoint);
            if bits != 0 {
                let thread = self.thread(server);
                thread.receiving = false;
                thread.notified = true;
                host.received(server, Received::Notification(bits));
            }
        }
    }

    /// The time of a client's call is over; [`IpcHost::ended`] follows, maybe before this returns.
    pub fn time_out(&mut self, client: Slot, host: &mut impl IpcHost) {
        let _ = self.cancel(client, CancelReason::TimedOut, host);
    }

    /// A process of this CPU is over. Nobody is to be bound to its endpoint any more.
    pub fn leave(&mut self, slot: Slot, host: &mut impl IpcHost) -> Gone {
        self.thread(slot).receiving = false;
        // First of all, as it may be its own server.
        let gone = self.cancel(slot, CancelReason::Leaving, host);
        self.bounce_queue(slot, host);
        for client in Slot::all() {
            let place = &mut self.callers[client.index()];
            if place.as_ref().is_some_and(|caller| caller.server == slot)
                && let Some(caller) = place.take()
            {
                self.fail(client, caller, host);
            }
        }
        if gone == Gone::Now {
            *self.thread(slot) = ThreadIpc::EMPTY;
        }
        gone
    }

    /// Another receives at an endpoint, or somebody again, or nobody ever again.
    pub fn receiver_changed(&mut self, endpoint: EndpointId, host: &mut impl IpcHost) {
        let (target, _) = host.target(endpoint);
        for slot in Slot::all() {
            let here = Target::Bound { cpu: self.cpu, server: slot };
            let thread = self.thread(slot);
            if thread.endpoint == Some(endpoint) && target != here {
                self.retire(slot, host);
            }
            if let Client::Waiting(options) = self.thread(slot).client
                && options.endpoint == endpoint
            {
                self.dispatch_again(slot, options, host);
            }
        }
    }

    /// Gives a process of this CPU another priority of its own.
    pub fn set_base(&mut self, slot: Slot, priority: Priority, host: &mut impl IpcHost) {
        self.thread(slot).base = priority;
        self.recompute(slot, host);
    }

    /// Moves a process away: see [`IpcCpu::is_quiet`]. Whoever waits for it finds it where the
    /// endpoint says it is, which is not here any more.
    pub fn move_away(&mut self, slot: Slot, host: &mut impl IpcHost) {
        self.bounce_queue(slot, host);
        *self.thread(slot) = ThreadIpc::EMPTY;
    }

    /// Another CPU has sent this.
    pub fn take(&mut self, from: CpuIndex, packet: Packet, host: &mut impl IpcHost) {
        match packet {
            Packet::Call { client, sequence, request } => {
                let here = Target::Bound { cpu: self.cpu, server: request.server };
                if host.target(request.endpoint) == (here, request.generation) {
                    self.arrive(from, client, sequence, &request, host);
                } else {
                    host.post(from, Packet::Bounced { client, sequence });
                }
            }
            Packet::Reply { client, sequence, message } => {
                self.finish(client, sequence, CallOutcome::Reply(message), host);
            }
            Packet::Failed { client, sequence } => {
                let outcome = self.restarted(client, host);
                self.finish(client, sequence, outcome, host);
            }
            Packet::Bounced { client, sequence } => self.bounced(client, sequence, host),
            Packet::Cancel { client, sequence } => {
                self.forget(client, from, sequence, host);
                host.post(from, Packet::Cancelled { client, sequence });
            }
            Packet::Cancelled { client, sequence } => {
                self.finish(client, sequence, CallOutcome::TimedOut, host);
            }
            Packet::Boost { client, sequence, priority } => {
                self.boost(client, from, sequence, priority, host);
            }
            Packet::Send(Request { endpoint, generation, badge, priority, message, .. }) => {
                let sent = Sent { endpoint, generation, badge, message };
                self.resend(priority, sent, host);
            }
            Packet::Wakeup { endpoint } => self.notify(endpoint, host),
        }
    }

    fn thread(&mut self, slot: Slot) -> &mut ThreadIpc {
        &mut self.threads[slot.index()]
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// The call that `server` has received with this token, if it is to be replied to.
    #[inline]
    fn caller(&self, server: Slot, token: Token) -> Option<Caller> {
        let client = token.client();
        let caller = self.callers[client.index()]?;
        let is_it = caller.server == server
            && !caller.queued
            && Token::new(client, caller.cpu, caller.sequence) == token;
        is_it.then_some(caller)
    }

    /// Sends a call to whoever serves it now, or lets it wait, or ends it.
    fn dispatch(
        &mut self,
        client: Slot,
        mut options: CallOptions,
        message: &Message,
        host: &mut impl IpcHost,
    ) {
        let CallOptions { endpoint, on_restart, .. } = options;
        let (target, generation) = target(endpoint, options.generation, host);
        if target != Target::Closed && generation != options.generation {
            if on_restart == OnRestart::Fail {
                self.thread(client).client = Client::Idle;
                host.ended(client, CallOutcome::Restarted { generation });
                return;
            }
            options.generation = generation;
        }
        match target {
            Target::Closed => {
                self.thread(client).client = Client::Idle;
                host.ended(client, CallOutcome::Closed);
            }
            Target::Unbound => {
                self.messages[client.index()] = *message;
                self.thread(client).client = Client::Waiting(options);
            }
            Target::Bound { cpu, server } => {
                self.send_call(client, options, cpu, server, message, host);
            }
        }
    }

    /// Sends a call again that was not received.
    fn dispatch_again(&mut self, client: Slot, options: CallOptions, host: &mut impl IpcHost) {
        let message = self.messages[client.index()];
        self.dispatch(client, options, &message, host);
    }

    /// Sends a call to a server.
    fn send_call(
        &mut self,
        client: Slot,
        options: CallOptions,
        cpu: CpuIndex,
        server: Slot,
        message: &Message,
        host: &mut impl IpcHost,
    ) {
        let CallOptions { endpoint, generation, badge, .. } = options;
        let (sequence, priority) = self.mark_sent(client, options, cpu);
        let message = *message;
        let request = Request { server, endpoint, generation, badge, priority, message };
        if cpu == self.cpu {
            self.arrive(cpu, client, sequence, &request, host);
        } else {
            self.messages[client.index()] = message;
            host.post(cpu, Packet::Call { client, sequence, request });
        }
    }

    /// Notes that a client's call is with CPU `cpu`; gives its number and its priority.
    #[inline]
    fn mark_sent(&mut self, client: Slot, options: CallOptions, cpu: CpuIndex) -> (u32, Priority) {
        let sequence = self.next_sequence();
        let thread = self.thread(client);
        thread.client = Client::Sent { sequence, cpu, options };
        (sequence, thread.effective)
    }

    /// Notes a caller of a server of this CPU; says whether it is queued.
    #[inline]
    fn add_caller(&mut self, client: Slot, endpoint: EndpointId, mut caller: Caller) -> bool {
        let thread = self.thread(caller.server);
        // It may not have been told yet, and never be if another is bound before.
        thread.endpoint = Some(endpoint);
        thread.callers.add(caller.priority);
        caller.queued = !core::mem::take(&mut thread.receiving);
        self.callers[client.index()] = Some(caller);
        caller.queued
    }

    /// A call comes from CPU `from` to a server of this CPU.
    fn arrive(
        &mut self,
        from: CpuIndex,
        client: Slot,
        sequence: u32,
        request: &Request,
        host: &mut impl IpcHost,
    ) {
        let Request { server, endpoint, badge, priority, message, .. } = *request;
        let queued = self.add_caller(client, endpoint, Caller::new(from, sequence, request));
        if queued {
            self.messages[client.index()] = message;
            self.queue.add_call(server, client, priority);
        } else {
            self.messages[client.index()].span = message.span;
        }
        if priority > self.threads[server.index()].effective {
            self.inherit(server, priority, host);
        }
        if !queued {
            let token = Token::new(client, from, sequence);
            host.received(server, Received::Call { token, badge, message });
        }
    }

    /// The call, which is first in the queue, is the server's from now on.
    fn receive_call(&mut self, client: Slot) -> Option<Received> {
        let caller = self.callers[client.index()].as_mut()?;
        caller.queued = false;
        let Caller { cpu, sequence, server, badge, .. } = *caller;
        self.queue.remove_call(server, client);
        let token = Token::new(client, cpu, sequence);
        Some(Received::Call { token, badge, message: self.messages[client.index()] })
    }

    /// The server has no more to do with a call that it had.
    fn served(&mut self, client: Slot, caller: Caller, how: LoanEnd, host: &mut impl IpcHost) {
        let span = self.messages[client.index()].span;
        if span.lends() {
            host.loan_ends(caller.server, span, how);
        }
        self.drop_caller(caller.server, caller.priority, host);
    }

    /// A call of a client of this CPU is over.
    fn finish(
        &mut self,
        client: Slot,
        sequence: u32,
        outcome: CallOutcome,
        host: &mut impl IpcHost,
    ) {
        let thread = self.thread(client);
        match thread.client {
            Client::Sent { sequence: its, .. } if its == sequence => {
                thread.client = Client::Idle;
                host.ended(client, outcome);
            }
            Client::Cancelling { sequence: its, why, .. } if its == sequence => match why {
                CancelReason::TimedOut => {
                    thread.client = Client::Idle;
                    host.ended(client, outcome);
                }
                CancelReason::Leaving => {
                    *thread = ThreadIpc::EMPTY;
                    if let CallOutcome::Reply(message) = outcome {
                        host.dropped(&message);
                    }
                    host.gone(client);
                }
            },
            // Of a call that is over: its end and the wish to take it back have crossed.
            _ => {}
        }
    }

    /// How a call ends whose server has ended.
    fn restarted(&mut self, client: Slot, host: &impl IpcHost) -> CallOutcome {
        let options = match self.thread(client).client {
            Client::Sent { options, .. } | Client::Cancelling { options, .. } => options,
            Client::Idle | Client::Waiting(_) => return CallOutcome::Closed,
        };
        match target(options.endpoint, options.generation, host) {
            (Target::Closed, _) => CallOutcome::Closed,
            (_, generation) => CallOutcome::Restarted { generation },
        }
    }

    /// The server of a call that it had received has ended.
    fn fail(&mut self, client: Slot, caller: Caller, host: &mut impl IpcHost) {
        self.served(client, caller, LoanEnd::Returned, host);
        let sequence = caller.sequence;
        if caller.cpu == self.cpu {
            let outcome = self.restarted(client, host);
            self.finish(client, sequence, outcome, host);
        } else {
            host.post(caller.cpu, Packet::Failed { client, sequence });
        }
    }

    /// A call of this CPU was not received where it had been sent to.
    fn bounced(&mut self, client: Slot, sequence: u32, host: &mut impl IpcHost) {
        match self.thread(client).client {
            Client::Sent { sequence: its, options, .. } if its == sequence => {
                self.dispatch_again(client, options, host);
            }
            // It was to be taken back: it is.
            _ => self.finish(client, sequence, CallOutcome::TimedOut, host),
        }
    }

    /// Sends all that waits at a server to whoever takes its place.
    fn bounce_queue(&mut self, server: Slot, host: &mut impl IpcHost) {
        // What comes back to the same list meanwhile does not: nobody is bound to this server.
        while let Some(item) = self.queue.first(server) {
            match item {
                Item::Call(client) => {
                    self.queue.remove_call(server, client);
                    let Some(caller) = self.callers[client.index()].take() else { continue };
                    self.drop_caller(server, caller.priority, host);
                    let sequence = caller.sequence;
                    if caller.cpu == self.cpu {
                        self.bounced(client, sequence, host);
                    } else {
                        host.post(caller.cpu, Packet::Bounced { client, sequence });
                    }
                }
                Item::Send(place) => {
                    let priority = self.queue.priority(item);
                    if let Some(sent) = self.queue.take_send(server, place) {
                        self.resend(priority, sent, host);
                    }
                }
            }
        }
    }

    /// Another serves in its place: what it has not received goes there, and it is told.
    fn retire(&mut self, server: Slot, host: &mut impl IpcHost) {
        self.thread(server).endpoint = None;
        self.bounce_queue(server, host);
        if self.stop_receiving(server) {
            host.received(server, Received::Notification(NOTIFY_RETIRE));
        } else {
            self.thread(server).retired = true;
        }
    }

    /// Puts a message where it belongs now, or drops it.
    fn resend(&mut self, priority: Priority, sent: Sent, host: &mut impl IpcHost) {
        match target(sent.endpoint, sent.generation, host) {
            (Target::Bound { cpu, server }, generation) => {
                self.forward(cpu, server, priority, Sent { generation, ..sent }, host);
            }
            (Target::Unbound | Target::Closed, _) => drop_send(&sent, host),
        }
    }

    fn forward(
        &mut self,
        cpu: CpuIndex,
        server: Slot,
        priority: Priority,
        sent: Sent,
        host: &mut impl IpcHost,
    ) {
        let Sent { endpoint, generation, badge, message } = sent;
        if cpu != self.cpu {
            let request = Request { server, endpoint, generation, badge, priority, message };
            host.post(cpu, Packet::Send(request));
            return;
        }
        self.thread(server).endpoint = Some(endpoint);
        if self.stop_receiving(server) {
            host.send_dequeued(endpoint);
            host.received(server, Received::Send { badge, message });
        } else if let Err(sent) = self.queue.add_send(server, priority, sent) {
            drop_send(&sent, host);
        }
    }

    /// Takes a client's call back.
    fn cancel(&mut self, client: Slot, why: CancelReason, host: &mut impl IpcHost) -> Gone {
        match self.threads[client.index()].client {
            Client::Idle => return Gone::Now,
            Client::Waiting(_) => {}
            Client::Sent { sequence, cpu, .. } if cpu == self.cpu => {
                self.forget(client, cpu, sequence, host);
            }
            Client::Sent { sequence, cpu, options } => {
                self.thread(client).client = Client::Cancelling { sequence, why, options };
                host.post(cpu, Packet::Cancel { client, sequence });
                return Gone::Later;
            }
            Client::Cancelling { why: ref mut its, .. } => {
                // Who leaves has no more time to wait for.
                if *its == CancelReason::TimedOut {
                    *its = why;
                }
                return Gone::Later;
            }
        }
        self.thread(client).client = Client::Idle;
        if why == CancelReason::TimedOut {
            host.ended(client, CallOutcome::TimedOut);
        }
        Gone::Now
    }

    /// Forgets a call to a server of this CPU.
    fn forget(&mut self, client: Slot, cpu: CpuIndex, sequence: u32, host: &mut impl IpcHost) {
        let place = &mut self.callers[client.index()];
        let is_it = |caller: &Caller| (caller.cpu, caller.sequence) == (cpu, sequence);
        if !place.as_ref().is_some_and(is_it) {
            return;
        }
        let Some(caller) = place.take() else { return };
        if caller.queued {
            self.queue.remove_call(caller.server, client);
            self.drop_caller(caller.server, caller.priority, host);
        } else {
            self.served(client, caller, LoanEnd::Revoked, host);
        }
    }

    /// A call to a server of this CPU is worth more from now on.
    fn boost(
        &mut self,
        client: Slot,
        cpu: CpuIndex,
        sequence: u32,
        priority: Priority,
        host: &mut impl IpcHost,
    ) {
        let Some(caller) = &self.callers[client.index()] else { return };
        if (caller.cpu, caller.sequence) == (cpu, sequence)
            && let Some(server) = self.boost_call(client, priority)
        {
            self.inherit(server, priority, host);
        }
    }

    /// A server has a caller of this priority; if it waits for another server itself, that one has,
    /// too.
    #[inline(never)]
    fn inherit(&mut self, server: Slot, priority: Priority, host: &mut impl IpcHost) {
        let mut next = Some(server);
        while let Some(slot) = next.take() {
            let thread = &mut self.threads[slot.index()];
            if thread.effective >= priority {
                return;
            }
            thread.effective = priority;
            host.set_priority(slot, priority);
            let Client::Sent { sequence, cpu, .. } = thread.client else { return };
            if cpu != self.cpu {
                host.post(cpu, Packet::Boost { client: slot, sequence, priority });
                return;
            }
            next = self.boost_call(slot, priority);
        }
    }

    /// Gives a call to a server of this CPU a higher priority; says who the server is.
    fn boost_call(&mut self, client: Slot, priority: Priority) -> Option<Slot> {
        let caller = self.callers[client.index()].as_mut()?;
        let (server, queued, before) = (caller.server, caller.queued, caller.priority);
        if before >= priority {
            return None;
        }
        caller.priority = priority;
        if queued {
            self.queue.remove_call(server, client);
            self.queue.add_call(server, client, priority);
        }
        let callers = &mut self.thread(server).callers;
        callers.remove(before);
        callers.add(priority);
        Some(server)
    }

    /// A server has lost a caller of this priority.
    fn drop_caller(&mut self, server: Slot, priority: Priority, host: &mut impl IpcHost) {
        let thread = self.thread(server);
        thread.callers.remove(priority);
        if thread.effective > thread.base && priority == thread.effective {
            self.recompute(server, host);
        }
    }

    /// Finds the priority of a process anew.
    #[inline(never)]
    fn recompute(&mut self, slot: Slot, host: &mut impl IpcHost) {
        let thread = self.thread(slot);
        let priority = thread.callers.highest().max(thread.base);
        if priority > thread.effective {
            self.inherit(slot, priority, host);
        } else if priority < thread.effective {
            thread.effective = priority;
            host.set_priority(slot, priority);
        }
    }
}

/// Who receives at an endpoint, and its generation, for who knew it in generation `known`.
fn target(endpoint: EndpointId, known: Generation, host: &impl IpcHost) -> (Target, Generation) {
    let (target, generation) = host.target(endpoint);
    if generation != known && known.is_before(host.first_generation(endpoint)) {
        return (Target::Closed, generation);
    }
    (target, generation)
}

fn drop_send(sent: &Sent, host: &mut impl IpcHost) {
    host.send_dequeued(sent.endpoint);
    host.dropped(&sent.message);
}
