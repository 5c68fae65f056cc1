//! A call and its reply in the usual case, in a few steps. They leave what [`IpcCpu::call`],
//! [`IpcCpu::reply`], [`IpcCpu::receive`] and [`IpcCpu::take`] leave, or nothing has happened.
//!
//! The messages have no handle. To a thread of this CPU they do not come through here: the caller of these
//! functions gives them to it, as [`IpcHost::received`] and [`IpcHost::ended`] would. It ends loans, too, as
//! [`IpcHost::loan_ends`] would, before the client has the reply: [`IpcCpu::pages_of`] says which.

use super::*;

impl IpcCpu {
    /// A client calls `server`, a thread of this CPU that receives at the endpoint, in the
    /// generation that `options` names, with the pages of `span`. The token with which the server has
    /// received the request; `None`: it does not wait for one, or has to be raised.
    #[inline(always)]
    pub fn call_directly(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        server: ThreadSlot,
        span: Span,
    ) -> Option<Token> {
        let priority = self.place(client).thread.effective;
        self.would_receive(server, priority)?;
        let cpu = self.cpu;
        let (sequence, priority) = self.mark_sent(client, options, cpu);
        let CallOptions { endpoint, badge, .. } = options;
        let caller = Caller { cpu, sequence, server, badge, priority, queued: false };
        Some(self.receive_directly(client, endpoint, caller, span))
    }

    /// Whether a thread of this CPU waits for a message.
    #[inline(always)]
    #[must_use]
    pub fn is_receiving(&self, server: ThreadSlot) -> bool {
        self.place(server).thread.receiving
    }

    /// A client calls a thread of CPU `cpu`, another one, that receives at the endpoint, in the generation
    /// that `options` names. What goes to that CPU.
    #[inline(always)]
    pub fn call_across(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        cpu: CpuIndex,
        message: Message,
    ) -> Packet {
        let CallOptions { endpoint, generation, badge, .. } = options;
        let (sequence, priority) = self.mark_sent(client, options, cpu);
        self.place_mut(client).message = message;
        let request = CallRequest { endpoint, generation, badge, priority, message };
        Packet::Call { client, sequence, request }
    }

    /// A request comes from CPU `from` for `server`, a thread of this CPU, which receives at the endpoint,
    /// in the generation that the request names. The token with which the server has received it;
    /// `None`: it does not wait for one, or has to be raised.
    #[inline(always)]
    pub fn take_call_directly(
        &mut self,
        server: ThreadSlot,
        from: CpuIndex,
        client: ThreadSlot,
        sequence: u32,
        request: &CallRequest,
    ) -> Option<Token> {
        self.would_receive(server, request.priority)?;
        let caller = Caller::new(server, from, sequence, request);
        Some(self.receive_directly(client, request.endpoint, caller, request.message.span))
    }

    /// The pages that came with the call that a server has received with this token, if the call is
    /// to be replied to; of no meaning otherwise.
    #[inline(always)]
    #[must_use]
    pub fn pages_of(&self, token: Token) -> Span {
        let place = self.places.get(token.client().index());
        place.map_or(Span::NONE, |place| place.message.span)
    }

    /// A server replies to a client of this CPU, and waits for the next message. `has_bits`:
    /// whether notification bits wait at an endpoint. Returns the client, because its call is over;
    /// `None`: no client waits for that reply, something is there to receive, or the server's
    /// priority falls.
    #[inline(always)]
    pub fn reply_directly(
        &mut self,
        server: ThreadSlot,
        token: Token,
        has_bits: impl FnOnce(EndpointId) -> bool,
    ) -> Option<ThreadSlot> {
        let client = token.client();
        let caller = self.caller(server, token)?;
        let Client::Sent { sequence, .. } = self.place(client).thread.client else {
            return None;
        };
        if (caller.cpu, caller.sequence) != (self.cpu, sequence) {
            return None;
        }
        self.wait_directly(client, caller, has_bits)?;
        self.thread(client).client = Client::Idle;
        Some(client)
    }

    /// A server replies to a client of another CPU, and waits for the next message. What goes to
    /// that CPU, and to which; `None` as for [`IpcCpu::reply_directly`].
    #[inline(always)]
    pub fn reply_across(
        &mut self,
        server: ThreadSlot,
        token: Token,
        message: Message,
        has_bits: impl FnOnce(EndpointId) -> bool,
    ) -> Option<(CpuIndex, Packet)> {
        let client = token.client();
        let caller = self.caller(server, token).filter(|caller| caller.cpu != self.cpu)?;
        self.wait_directly(client, caller, has_bits)?;
        Some((caller.cpu, Packet::Reply { client, sequence: caller.sequence, message }))
    }

    /// The reply to a call has come to its client. Whether the client waits for it, and does not
    /// any more.
    #[inline(always)]
    pub fn take_reply_directly(&mut self, client: ThreadSlot, sequence: u32) -> bool {
        let ThreadIpc { client, .. } = self.thread(client);
        let waits = matches!(*client, Client::Sent { sequence: its, .. } if its == sequence);
        if waits {
            *client = Client::Idle;
        }
        waits
    }

    /// Whether `server` waits for a message, and runs with this priority at least.
    #[inline(always)]
    fn would_receive(&self, server: ThreadSlot, priority: Priority) -> Option<()> {
        let ThreadIpc { receiving, effective, .. } = self.place(server).thread;
        (receiving && priority <= effective).then_some(())
    }

    /// The server receives the call for which it has waited.
    #[inline(always)]
    fn receive_directly(
        &mut self,
        client: ThreadSlot,
        endpoint: EndpointId,
        caller: Caller,
        span: Span,
    ) -> Token {
        self.add_caller(client, endpoint, caller);
        self.place_mut(client).message.span = span;
        Token::new(client, caller.cpu, caller.sequence)
    }

    /// The server of a call has replied, and waits.
    #[inline(always)]
    fn wait_directly(
        &mut self,
        client: ThreadSlot,
        caller: Caller,
        has_bits: impl FnOnce(EndpointId) -> bool,
    ) -> Option<()> {
        let thread = &mut self.places[caller.server.index()].thread;
        let falls = thread.may_fall_without(caller.priority);
        let gets_more = thread.retired
            || self.queue.first(caller.server).is_some()
            || thread.endpoint.is_some_and(has_bits);
        if falls || gets_more {
            return None;
        }
        thread.callers.remove(caller.priority);
        thread.receiving = true;
        thread.notified = false;
        self.place_mut(client).caller = None;
        Some(())
    }
}
