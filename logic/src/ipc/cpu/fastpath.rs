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
        let Self { cpu, sequence, places, .. } = self;
        let [of_client, of_server] =
            places.get_disjoint_mut([client.index(), server.index()]).ok()?;
        if !of_server.thread.would_receive(of_client.thread.effective) {
            return None;
        }
        *sequence = next_sequence(*sequence);
        let token = Token::new(client, *cpu, *sequence);
        let priority = of_client.thread.mark_sent(token, *cpu, options);
        let CallOptions { endpoint, badge, .. } = options;
        let caller = Caller { token, server, badge, priority, queued: false };
        of_server.receive_directly(of_client, endpoint, caller, span);
        Some(token)
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
        let (token, priority) = self.mark_sent(client, options, cpu);
        self.place_mut(client).message = message;
        let request = CallRequest { endpoint, generation, badge, priority, message };
        Packet::Call { client, sequence: token.sequence(), request }
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
        let token = Token::new(client, from, sequence);
        let [of_client, of_server] =
            self.places.get_disjoint_mut([client.index(), server.index()]).ok()?;
        if !of_server.thread.would_receive(request.priority) {
            return None;
        }
        let caller = Caller { queued: false, ..Caller::new(server, token, request) };
        let (endpoint, span) = (request.endpoint, request.message.span);
        of_server.receive_directly(of_client, endpoint, caller, span);
        Some(token)
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
        let has_queue = self.queue.first(server).is_some();
        let [of_client, of_server] =
            self.places.get_disjoint_mut([client.index(), server.index()]).ok()?;
        // Then it is a client of this CPU: the token has the CPU in it.
        if !of_client.thread.has_sent(token) || has_queue {
            return None;
        }
        of_server.wait_directly(of_client, server, token, has_bits)?;
        of_client.thread.client = Client::Idle;
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
        if token.cpu() == self.cpu || self.queue.first(server).is_some() {
            return None;
        }
        let [of_client, of_server] =
            self.places.get_disjoint_mut([client.index(), server.index()]).ok()?;
        of_server.wait_directly(of_client, server, token, has_bits)?;
        Some((token.cpu(), Packet::Reply { client, sequence: token.sequence(), message }))
    }

    /// The reply to a call has come to its client. Whether the client waits for it, and does not
    /// any more.
    #[inline(always)]
    pub fn take_reply_directly(&mut self, client: ThreadSlot, sequence: u32) -> bool {
        let ThreadIpc { client, .. } = self.thread(client);
        let waits = matches!(*client, Client::Sent { token, .. } if token.sequence() == sequence);
        if waits {
            *client = Client::Idle;
        }
        waits
    }
}

impl IpcPlace {
    /// The server with this place receives the call for which it has waited.
    #[inline(always)]
    fn receive_directly(
        &mut self,
        of_client: &mut Self,
        endpoint: EndpointId,
        caller: Caller,
        span: Span,
    ) {
        self.thread.add_caller(endpoint, caller.priority);
        self.thread.receiving = false;
        of_client.caller = Some(caller);
        of_client.message.span = span;
    }

    /// The server with this place has replied to a call, and waits.
    #[inline(always)]
    fn wait_directly(
        &mut self,
        of_client: &mut Self,
        server: ThreadSlot,
        token: Token,
        has_bits: impl FnOnce(EndpointId) -> bool,
    ) -> Option<()> {
        let Caller { priority, .. } = of_client.call_of(server, token)?;
        let thread = &mut self.thread;
        let gets_more = thread.retired || thread.endpoint.is_some_and(has_bits);
        if gets_more || thread.may_fall_without(priority) {
            return None;
        }
        thread.callers.remove(priority);
        thread.receiving = true;
        thread.notified = false;
        of_client.caller = None;
        Some(())
    }
}
