//! The state of one CPU, and what changes it.

use ant_abi::MAX_PROCESSES;
use ant_abi::ipc::{NOTIFY_RETIRE, Span};

use super::message::{Message, Packet, Request, Token};
use super::priorities::Priorities;
use super::queue::{Item, Queue, Sent};

mod direct;
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
        cpu: u8,
        /// Slot of the process.
        server: u8,
    },
    /// Nobody now; somebody will.
    Unbound,
    /// Nobody ever again.
    Closed,
}

/// The machine around a [`Station`]: processes, endpoints, other CPUs.
pub trait Outside {
    /// Who receives at an endpoint, and the endpoint's generation: raised whenever a receiver goes.
    fn target(&self, endpoint: u8) -> (Target, u32);
    /// The endpoint's first generation: those before it were another endpoint's of the same number.
    fn began(&self, endpoint: u8) -> u32;
    /// Sends to another CPU; the order between two CPUs is kept.
    fn post(&mut self, cpu: u8, packet: Packet);
    /// The call of a client of this CPU is over.
    fn ended(&mut self, client: u8, ending: Ending);
    /// A server of this CPU, which waited in [`Station::receive`], gets this.
    fn received(&mut self, server: u8, received: Received);
    /// A process of this CPU runs with this priority from now on. It may be between two CPUs: see
    /// [`Station::enter`].
    fn set_priority(&mut self, slot: u8, priority: u8);
    /// Takes the notification bits that wait at an endpoint.
    fn take_bits(&mut self, endpoint: u8) -> u64;
    /// A message sent to an endpoint waits no more: it was received, or dropped.
    fn send_left(&mut self, endpoint: u8);
    /// Nobody will receive this message: one that was sent, or a reply to a client that is gone.
    fn dropped(&mut self, message: &Message);
    /// A server of this CPU must not reach these pages any more, which it had been lent. `revoked`:
    /// it has not given them back by itself, and may touch them yet without having done wrong.
    fn loan_ends(&mut self, server: u8, span: Span, revoked: bool);
    /// Nothing is left of a process for which [`Station::leave`] said [`Gone::Later`].
    fn gone(&mut self, slot: u8);
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With the reply.
    Reply(Message),
    /// The server is another one by now, or will be.
    Restarted {
        /// Generation of the endpoint.
        generation: u32,
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

/// Where a request goes and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallOptions {
    /// The endpoint.
    pub endpoint: u8,
    /// Generation for which the request is meant.
    pub generation: u32,
    /// It makes sense to any generation.
    pub across_restarts: bool,
    /// Badge of the handle.
    pub badge: u32,
}

/// Why a message could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// The receiver is another one by now.
    Restarted {
        /// Generation of the endpoint.
        generation: u32,
    },
    /// Nobody receives there at the moment.
    Unbound,
    /// Nobody will ever receive there.
    Closed,
}

/// Whether a process is gone from a [`Station`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Gone {
    /// Yes.
    Now,
    /// Another CPU has to forget it first; [`Outside::gone`] follows.
    Later,
}

/// Nobody waits for that reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWaiting;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Withdrawal {
    TimedOut,
    Leaving,
}

/// A process of this CPU as a client. What it sends is in `Station::messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Idle,
    /// Nobody receives at the endpoint.
    Waiting(CallOptions),
    /// With CPU `cpu`.
    Sent {
        sequence: u32,
        cpu: u8,
        options: CallOptions,
    },
    /// Being taken back from another CPU.
    Withdrawing {
        sequence: u32,
        why: Withdrawal,
        options: CallOptions,
    },
}

/// A process of this CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Local {
    client: Client,
    receiving: bool,
    /// Where it receives.
    endpoint: Option<u8>,
    /// Another receives at its endpoint; it was not told yet.
    retired: bool,
    /// What it received last were notification bits.
    notified: bool,
    /// Its own priority.
    base: u8,
    /// The priority it runs with.
    effective: u8,
    /// Those of its callers.
    callers: Priorities,
}

impl Local {
    const NOBODY: Self = Self {
        client: Client::Idle,
        receiving: false,
        endpoint: None,
        retired: false,
        notified: false,
        base: 0,
        effective: 0,
        callers: Priorities::NONE,
    };
}

/// A call to a server of this CPU, by the slot of its client, which may be another CPU's. Its
/// message is in `Station::messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller {
    cpu: u8,
    sequence: u32,
    server: u8,
    badge: u32,
    priority: u8,
    /// The server has not received it yet.
    queued: bool,
}

impl Caller {
    /// That of a request from CPU `cpu`.
    #[inline]
    fn new(cpu: u8, sequence: u32, request: &Request) -> Self {
        let Request { server, badge, priority, .. } = *request;
        Self { cpu, sequence, server, badge, priority, queued: true }
    }
}

/// IPC of one CPU.
#[derive(Debug, PartialEq, Eq)]
pub struct Station {
    cpu: u8,
    sequence: u32,
    locals: [Local; MAX_PROCESSES],
    callers: [Option<Caller>; MAX_PROCESSES],
    /// By the slot of the client: what nobody has received yet; of what a server of this CPU has
    /// received, only the span.
    messages: [Message; MAX_PROCESSES],
    queue: Queue,
}

impl Station {
    /// A CPU without processes.
    #[must_use]
    pub const fn new(cpu: u8) -> Self {
        Self {
            cpu,
            sequence: 0,
            locals: [Local::NOBODY; MAX_PROCESSES],
            callers: [None; MAX_PROCESSES],
            messages: [Message::of([0; 4]); MAX_PROCESSES],
            queue: Queue::new(),
        }
    }

    /// Says which CPU this is; nobody has entered yet.
    pub fn begin_on(&mut self, cpu: u8) {
        self.cpu = cpu;
    }

    /// A process comes to this CPU. Callers may have come before it, who found it through an
    /// endpoint: it runs with [`Station::priority`].
    pub fn enter(&mut self, slot: u8, priority: u8, endpoint: Option<u8>) {
        let local = self.local(slot);
        let callers = local.callers;
        let effective = callers.highest().max(priority);
        *local = Local { endpoint, base: priority, effective, callers, ..Local::NOBODY };
    }

    /// A process of this CPU receives at `endpoint` from now on.
    pub fn bind(&mut self, slot: u8, endpoint: u8) {
        let local = self.local(slot);
        local.endpoint = Some(endpoint);
        local.retired = false;
    }

    /// The priority that a process runs with.
    #[must_use]
    pub fn priority(&self, slot: u8) -> u8 {
        self.locals[usize::from(slot)].effective
    }

    /// Where a process receives.
    #[must_use]
    pub fn endpoint(&self, slot: u8) -> Option<u8> {
        self.locals[usize::from(slot)].endpoint
    }

    /// Whether a process has no call under way, has received nobody's request, and knows whether
    /// it serves: it can go to another CPU.
    #[must_use]
    pub fn is_quiet(&self, slot: u8) -> bool {
        let local = &self.locals[usize::from(slot)];
        let mut callers = self.callers.iter().flatten();
        matches!(local.client, Client::Idle)
            && !local.retired
            && !callers.any(|caller| caller.server == slot && !caller.queued)
    }

    /// A process calls and waits; [`Outside::ended`] follows, maybe before this returns.
    pub fn call(
        &mut self,
        client: u8,
        options: CallOptions,
        message: Message,
        outside: &mut impl Outside,
    ) {
        self.dispatch(client, options, &message, outside);
    }

    /// Waits for a message. `None`: nothing yet; [`Outside::received`] follows.
    pub fn receive(&mut self, server: u8, outside: &mut impl Outside) -> Option<Received> {
        let local = self.local(server);
        if core::mem::take(&mut local.retired) {
            return Some(Received::Notification(NOTIFY_RETIRE));
        }
        let notified = core::mem::take(&mut local.notified);
        let endpoint = local.endpoint;
        let first = self.queue.first(server);
        // In turns, so that neither keeps the other from it.
        if let Some(endpoint) = endpoint.filter(|_| !notified || first.is_none()) {
            let bits = outside.take_bits(endpoint);
            if bits != 0 {
                self.local(server).notified = true;
                return Some(Received::Notification(bits));
            }
        }
        let received = match first {
            Some(Item::Call(client)) => self.receive_call(client),
            Some(Item::Send(place)) => self.queue.take_send(server, place).map(|sent| {
                outside.send_left(sent.endpoint);
                Received::Send { badge: sent.badge, message: sent.message }
            }),
            None => None,
        };
        self.local(server).receiving = received.is_none();
        received
    }

    /// A server no longer waits for a message. Says whether it did.
    pub fn stop_receiving(&mut self, server: u8) -> bool {
        core::mem::take(&mut self.local(server).receiving)
    }

    /// A server replies.
    ///
    /// # Errors
    ///
    /// Nobody waits for this reply: it was given, or the client has taken its call back.
    pub fn reply(
        &mut self,
        server: u8,
        token: Token,
        message: Message,
        outside: &mut impl Outside,
    ) -> Result<(), NotWaiting> {
        let client = token.client();
        let caller = self.caller(server, token).ok_or(NotWaiting)?;
        self.callers[usize::from(client)] = None;
        self.served(client, caller, false, outside);
        if caller.cpu == self.cpu {
            self.finish(client, caller.sequence, Ending::Reply(message), outside);
        } else {
            let packet = Packet::Reply { client, sequence: caller.sequence, message };
            outside.post(caller.cpu, packet);
        }
        Ok(())
    }

    /// Sends a message that nobody waits for. The caller has made sure that there is room for it
    /// (see [`Outside::send_left`]).
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub fn send(
        &mut self,
        priority: u8,
        options: CallOptions,
        message: Message,
        outside: &mut impl Outside,
    ) -> Result<(), Bounds> {
        let CallOptions { endpoint, badge, .. } = options;
        let (target, generation) = target(endpoint, options.generation, outside);
        match target {
            Target::Closed => Err(Bounds::Closed),
            _ if generation != options.generation && !options.across_restarts => {
                Err(Bounds::Restarted { generation })
            }
            Target::Unbound => Err(Bounds::Unbound),
            Target::Bound { cpu, server } => {
                let sent = Sent { endpoint, generation, badge, message };
                self.forward(cpu, server, priority, sent, outside);
                Ok(())
            }
        }
    }

    /// Notification bits were raised at an endpoint.
    pub fn notify(&mut self, endpoint: u8, outside: &mut impl Outside) {
        let (target, _) = outside.target(endpoint);
        let Target::Bound { cpu, server } = target else { return };
        if cpu != self.cpu {
            outside.post(cpu, Packet::Poke { endpoint });
        } else if self.local(server).receiving {
            let bits = outside.take_bits(endpoint);
            if bits != 0 {
                let local = self.local(server);
                local.receiving = false;
                local.notified = true;
                outside.received(server, Received::Notification(bits));
            }
        }
    }

    /// The time of a client's call is over; [`Outside::ended`] follows, maybe before this returns.
    pub fn time_out(&mut self, client: u8, outside: &mut impl Outside) {
        let _ = self.withdraw(client, Withdrawal::TimedOut, outside);
    }

    /// A process of this CPU is over. Nobody is to be bound to its endpoint any more.
    pub fn leave(&mut self, slot: u8, outside: &mut impl Outside) -> Gone {
        self.local(slot).receiving = false;
        // First of all, as it may be its own server.
        let gone = self.withdraw(slot, Withdrawal::Leaving, outside);
        self.bounce_queue(slot, outside);
        for client in 0..MAX_PROCESSES as u8 {
            let place = &mut self.callers[usize::from(client)];
            if place.as_ref().is_some_and(|caller| caller.server == slot)
                && let Some(caller) = place.take()
            {
                self.fail(client, caller, outside);
            }
        }
        if gone == Gone::Now {
            *self.local(slot) = Local::NOBODY;
        }
        gone
    }

    /// Another receives at an endpoint, or somebody again, or nobody ever again.
    pub fn rebound(&mut self, endpoint: u8, outside: &mut impl Outside) {
        let (target, _) = outside.target(endpoint);
        for slot in 0..MAX_PROCESSES as u8 {
            let here = Target::Bound { cpu: self.cpu, server: slot };
            let local = self.local(slot);
            if local.endpoint == Some(endpoint) && target != here {
                self.retire(slot, outside);
            }
            if let Client::Waiting(options) = self.local(slot).client
                && options.endpoint == endpoint
            {
                self.dispatch_again(slot, options, outside);
            }
        }
    }

    /// Gives a process of this CPU another priority of its own.
    pub fn set_base(&mut self, slot: u8, priority: u8, outside: &mut impl Outside) {
        self.local(slot).base = priority;
        self.settle(slot, outside);
    }

    /// Moves a process away: see [`Station::is_quiet`]. Whoever waits for it finds it where the
    /// endpoint says it is, which is not here any more.
    pub fn move_away(&mut self, slot: u8, outside: &mut impl Outside) {
        self.bounce_queue(slot, outside);
        *self.local(slot) = Local::NOBODY;
    }

    /// Another CPU has sent this.
    pub fn take(&mut self, from: u8, packet: Packet, outside: &mut impl Outside) {
        match packet {
            Packet::Call { client, sequence, request } => {
                let here = Target::Bound { cpu: self.cpu, server: request.server };
                if outside.target(request.endpoint) == (here, request.generation) {
                    self.arrive(from, client, sequence, &request, outside);
                } else {
                    outside.post(from, Packet::Bounced { client, sequence });
                }
            }
            Packet::Reply { client, sequence, message } => {
                self.finish(client, sequence, Ending::Reply(message), outside);
            }
            Packet::Failed { client, sequence } => {
                let ending = self.restarted(client, outside);
                self.finish(client, sequence, ending, outside);
            }
            Packet::Bounced { client, sequence } => self.bounced(client, sequence, outside),
            Packet::Cancel { client, sequence } => {
                self.forget(client, from, sequence, outside);
                outside.post(from, Packet::Cancelled { client, sequence });
            }
            Packet::Cancelled { client, sequence } => {
                self.finish(client, sequence, Ending::TimedOut, outside);
            }
            Packet::Boost { client, sequence, priority } => {
                self.boost(client, from, sequence, priority, outside);
            }
            Packet::Send(Request { endpoint, generation, badge, priority, message, .. }) => {
                let sent = Sent { endpoint, generation, badge, message };
                self.resend(priority, sent, outside);
            }
            Packet::Poke { endpoint } => self.notify(endpoint, outside),
        }
    }

    fn local(&mut self, slot: u8) -> &mut Local {
        &mut self.locals[usize::from(slot)]
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// The call that `server` has received with this token, if it is to be replied to.
    #[inline]
    fn caller(&self, server: u8, token: Token) -> Option<Caller> {
        let client = token.client();
        let caller = (*self.callers.get(usize::from(client))?)?;
        let is_it = caller.server == server
            && !caller.queued
            && Token::new(client, caller.cpu, caller.sequence) == token;
        is_it.then_some(caller)
    }

    /// Sends a call to whoever serves it now, or lets it wait, or ends it.
    fn dispatch(
        &mut self,
        client: u8,
        mut options: CallOptions,
        message: &Message,
        outside: &mut impl Outside,
    ) {
        let CallOptions { endpoint, across_restarts, .. } = options;
        let (target, generation) = target(endpoint, options.generation, outside);
        if target != Target::Closed && generation != options.generation {
            if !across_restarts {
                self.local(client).client = Client::Idle;
                outside.ended(client, Ending::Restarted { generation });
                return;
            }
            options.generation = generation;
        }
        match target {
            Target::Closed => {
                self.local(client).client = Client::Idle;
                outside.ended(client, Ending::Closed);
            }
            Target::Unbound => {
                self.messages[usize::from(client)] = *message;
                self.local(client).client = Client::Waiting(options);
            }
            Target::Bound { cpu, server } => {
                self.commit(client, options, cpu, server, message, outside);
            }
        }
    }

    /// Sends a call again that was not received.
    fn dispatch_again(&mut self, client: u8, options: CallOptions, outside: &mut impl Outside) {
        let message = self.messages[usize::from(client)];
        self.dispatch(client, options, &message, outside);
    }

    /// Sends a call to a server.
    fn commit(
        &mut self,
        client: u8,
        options: CallOptions,
        cpu: u8,
        server: u8,
        message: &Message,
        outside: &mut impl Outside,
    ) {
        let CallOptions { endpoint, generation, badge, .. } = options;
        let (sequence, priority) = self.set_out(client, options, cpu);
        let message = *message;
        let request = Request { server, endpoint, generation, badge, priority, message };
        if cpu == self.cpu {
            self.arrive(cpu, client, sequence, &request, outside);
        } else {
            self.messages[usize::from(client)] = message;
            outside.post(cpu, Packet::Call { client, sequence, request });
        }
    }

    /// Notes that a client's call is with CPU `cpu`; gives its number and its priority.
    #[inline]
    fn set_out(&mut self, client: u8, options: CallOptions, cpu: u8) -> (u32, u8) {
        let sequence = self.next_sequence();
        let local = self.local(client);
        local.client = Client::Sent { sequence, cpu, options };
        (sequence, local.effective)
    }

    /// Notes a caller of a server of this CPU; says whether it is queued.
    #[inline]
    fn enlist(&mut self, client: u8, endpoint: u8, mut caller: Caller) -> bool {
        let local = self.local(caller.server);
        // It may not have been told yet, and never be if another is bound before.
        local.endpoint = Some(endpoint);
        local.callers.add(caller.priority);
        caller.queued = !core::mem::take(&mut local.receiving);
        self.callers[usize::from(client)] = Some(caller);
        caller.queued
    }

    /// A call comes from CPU `from` to a server of this CPU.
    fn arrive(
        &mut self,
        from: u8,
        client: u8,
        sequence: u32,
        request: &Request,
        outside: &mut impl Outside,
    ) {
        let Request { server, endpoint, badge, priority, message, .. } = *request;
        let queued = self.enlist(client, endpoint, Caller::new(from, sequence, request));
        if queued {
            self.messages[usize::from(client)] = message;
            self.queue.add_call(server, client, priority);
        } else {
            self.messages[usize::from(client)].span = message.span;
        }
        if priority > self.locals[usize::from(server)].effective {
            self.raise(server, priority, outside);
        }
        if !queued {
            let token = Token::new(client, from, sequence);
            outside.received(server, Received::Call { token, badge, message });
        }
    }

    /// The call, which is first in the queue, is the server's from now on.
    fn receive_call(&mut self, client: u8) -> Option<Received> {
        let caller = self.callers[usize::from(client)].as_mut()?;
        caller.queued = false;
        let Caller { cpu, sequence, server, badge, .. } = *caller;
        self.queue.remove_call(server, client);
        let token = Token::new(client, cpu, sequence);
        Some(Received::Call { token, badge, message: self.messages[usize::from(client)] })
    }

    /// The server has no more to do with a call that it had.
    fn served(&mut self, client: u8, caller: Caller, revoked: bool, outside: &mut impl Outside) {
        let span = self.messages[usize::from(client)].span;
        if span.lends() {
            outside.loan_ends(caller.server, span, revoked);
        }
        self.lose(caller.server, caller.priority, outside);
    }

    /// A call of a client of this CPU is over.
    fn finish(&mut self, client: u8, sequence: u32, ending: Ending, outside: &mut impl Outside) {
        let local = self.local(client);
        match local.client {
            Client::Sent { sequence: its, .. } if its == sequence => {
                local.client = Client::Idle;
                outside.ended(client, ending);
            }
            Client::Withdrawing { sequence: its, why, .. } if its == sequence => match why {
                Withdrawal::TimedOut => {
                    local.client = Client::Idle;
                    outside.ended(client, ending);
                }
                Withdrawal::Leaving => {
                    *local = Local::NOBODY;
                    if let Ending::Reply(message) = ending {
                        outside.dropped(&message);
                    }
                    outside.gone(client);
                }
            },
            // Of a call that is over: its end and the wish to take it back have crossed.
            _ => {}
        }
    }

    /// How a call ends whose server has ended.
    fn restarted(&mut self, client: u8, outside: &impl Outside) -> Ending {
        let options = match self.local(client).client {
            Client::Sent { options, .. } | Client::Withdrawing { options, .. } => options,
            Client::Idle | Client::Waiting(_) => return Ending::Closed,
        };
        match target(options.endpoint, options.generation, outside) {
            (Target::Closed, _) => Ending::Closed,
            (_, generation) => Ending::Restarted { generation },
        }
    }

    /// The server of a call that it had received has ended.
    fn fail(&mut self, client: u8, caller: Caller, outside: &mut impl Outside) {
        self.served(client, caller, false, outside);
        let sequence = caller.sequence;
        if caller.cpu == self.cpu {
            let ending = self.restarted(client, outside);
            self.finish(client, sequence, ending, outside);
        } else {
            outside.post(caller.cpu, Packet::Failed { client, sequence });
        }
    }

    /// A call of this CPU was not received where it had been sent to.
    fn bounced(&mut self, client: u8, sequence: u32, outside: &mut impl Outside) {
        match self.local(client).client {
            Client::Sent { sequence: its, options, .. } if its == sequence => {
                self.dispatch_again(client, options, outside);
            }
            // It was to be taken back: it is.
            _ => self.finish(client, sequence, Ending::TimedOut, outside),
        }
    }

    /// Sends all that waits at a server to whoever takes its place.
    fn bounce_queue(&mut self, server: u8, outside: &mut impl Outside) {
        // What comes back to the same list meanwhile does not: nobody is bound to this server.
        while let Some(item) = self.queue.first(server) {
            match item {
                Item::Call(client) => {
                    self.queue.remove_call(server, client);
                    let Some(caller) = self.callers[usize::from(client)].take() else { continue };
                    self.lose(server, caller.priority, outside);
                    let sequence = caller.sequence;
                    if caller.cpu == self.cpu {
                        self.bounced(client, sequence, outside);
                    } else {
                        outside.post(caller.cpu, Packet::Bounced { client, sequence });
                    }
                }
                Item::Send(place) => {
                    let priority = self.queue.priority(item);
                    if let Some(sent) = self.queue.take_send(server, place) {
                        self.resend(priority, sent, outside);
                    }
                }
            }
        }
    }

    /// Another serves in its place: what it has not received goes there, and it is told.
    fn retire(&mut self, server: u8, outside: &mut impl Outside) {
        self.local(server).endpoint = None;
        self.bounce_queue(server, outside);
        if self.stop_receiving(server) {
            outside.received(server, Received::Notification(NOTIFY_RETIRE));
        } else {
            self.local(server).retired = true;
        }
    }

    /// Puts a message where it belongs now, or drops it.
    fn resend(&mut self, priority: u8, sent: Sent, outside: &mut impl Outside) {
        match target(sent.endpoint, sent.generation, outside) {
            (Target::Bound { cpu, server }, generation) => {
                self.forward(cpu, server, priority, Sent { generation, ..sent }, outside);
            }
            (Target::Unbound | Target::Closed, _) => drop_send(&sent, outside),
        }
    }

    fn forward(
        &mut self,
        cpu: u8,
        server: u8,
        priority: u8,
        sent: Sent,
        outside: &mut impl Outside,
    ) {
        let Sent { endpoint, generation, badge, message } = sent;
        if cpu != self.cpu {
            let request = Request { server, endpoint, generation, badge, priority, message };
            outside.post(cpu, Packet::Send(request));
            return;
        }
        self.local(server).endpoint = Some(endpoint);
        if self.stop_receiving(server) {
            outside.send_left(endpoint);
            outside.received(server, Received::Send { badge, message });
        } else if let Err(sent) = self.queue.add_send(server, priority, sent) {
            drop_send(&sent, outside);
        }
    }

    /// Takes a client's call back.
    fn withdraw(&mut self, client: u8, why: Withdrawal, outside: &mut impl Outside) -> Gone {
        match self.locals[usize::from(client)].client {
            Client::Idle => return Gone::Now,
            Client::Waiting(_) => {}
            Client::Sent { sequence, cpu, .. } if cpu == self.cpu => {
                self.forget(client, cpu, sequence, outside);
            }
            Client::Sent { sequence, cpu, options } => {
                self.local(client).client = Client::Withdrawing { sequence, why, options };
                outside.post(cpu, Packet::Cancel { client, sequence });
                return Gone::Later;
            }
            Client::Withdrawing { why: ref mut its, .. } => {
                // Who leaves has no more time to wait for.
                if *its == Withdrawal::TimedOut {
                    *its = why;
                }
                return Gone::Later;
            }
        }
        self.local(client).client = Client::Idle;
        if why == Withdrawal::TimedOut {
            outside.ended(client, Ending::TimedOut);
        }
        Gone::Now
    }

    /// Forgets a call to a server of this CPU.
    fn forget(&mut self, client: u8, cpu: u8, sequence: u32, outside: &mut impl Outside) {
        let place = &mut self.callers[usize::from(client)];
        let is_it = |caller: &Caller| (caller.cpu, caller.sequence) == (cpu, sequence);
        if !place.as_ref().is_some_and(is_it) {
            return;
        }
        let Some(caller) = place.take() else { return };
        if caller.queued {
            self.queue.remove_call(caller.server, client);
            self.lose(caller.server, caller.priority, outside);
        } else {
            self.served(client, caller, true, outside);
        }
    }

    /// A call to a server of this CPU is worth more from now on.
    fn boost(
        &mut self,
        client: u8,
        cpu: u8,
        sequence: u32,
        priority: u8,
        outside: &mut impl Outside,
    ) {
        let Some(caller) = &self.callers[usize::from(client)] else { return };
        if (caller.cpu, caller.sequence) == (cpu, sequence)
            && let Some(server) = self.promote(client, priority)
        {
            self.raise(server, priority, outside);
        }
    }

    /// A server has a caller of this priority; if it waits for another server itself, that one has,
    /// too.
    #[inline(never)]
    fn raise(&mut self, server: u8, priority: u8, outside: &mut impl Outside) {
        let mut next = Some(server);
        while let Some(slot) = next.take() {
            let local = &mut self.locals[usize::from(slot)];
            if local.effective >= priority {
                return;
            }
            local.effective = priority;
            outside.set_priority(slot, priority);
            let Client::Sent { sequence, cpu, .. } = local.client else { return };
            if cpu != self.cpu {
                outside.post(cpu, Packet::Boost { client: slot, sequence, priority });
                return;
            }
            next = self.promote(slot, priority);
        }
    }

    /// Gives a call to a server of this CPU a higher priority; says who the server is.
    fn promote(&mut self, client: u8, priority: u8) -> Option<u8> {
        let caller = self.callers[usize::from(client)].as_mut()?;
        let (server, queued, before) = (caller.server, caller.queued, caller.priority);
        if before >= priority {
            return None;
        }
        caller.priority = priority;
        if queued {
            self.queue.remove_call(server, client);
            self.queue.add_call(server, client, priority);
        }
        let callers = &mut self.local(server).callers;
        callers.remove(before);
        callers.add(priority);
        Some(server)
    }

    /// A server has lost a caller of this priority.
    fn lose(&mut self, server: u8, priority: u8, outside: &mut impl Outside) {
        let local = self.local(server);
        local.callers.remove(priority);
        if local.effective > local.base && priority == local.effective {
            self.settle(server, outside);
        }
    }

    /// Finds the priority of a process anew.
    #[inline(never)]
    fn settle(&mut self, slot: u8, outside: &mut impl Outside) {
        let local = self.local(slot);
        let priority = local.callers.highest().max(local.base);
        if priority > local.effective {
            self.raise(slot, priority, outside);
        } else if priority < local.effective {
            local.effective = priority;
            outside.set_priority(slot, priority);
        }
    }
}

/// Who receives at an endpoint, and its generation, for who knew it in generation `known`.
fn target(endpoint: u8, known: u32, outside: &impl Outside) -> (Target, u32) {
    let (target, generation) = outside.target(endpoint);
    // Generations are numbered in a circle.
    let is_before = |began: u32| (known.wrapping_sub(began) as i32) < 0;
    if generation != known && is_before(outside.began(endpoint)) {
        return (Target::Closed, generation);
    }
    (target, generation)
}

fn drop_send(sent: &Sent, outside: &mut impl Outside) {
    outside.send_left(sent.endpoint);
    outside.dropped(&sent.message);
}
