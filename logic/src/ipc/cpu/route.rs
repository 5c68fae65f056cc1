//! Where messages go: to the CPU of the process that receives at an endpoint now, and again when
//! another process receives there before they were received.

use super::*;

impl IpcCpu {
    /// A process calls and waits; [`IpcHost::ended`] follows, maybe before this returns.
    pub fn call(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        message: Message,
        host: &mut impl IpcHost,
    ) {
        self.dispatch(client, options, &message, host);
    }

    /// Sends a message and goes on. The caller has made sure that there is room for it
    /// (see [`IpcHost::send_dequeued`]).
    ///
    /// # Errors
    ///
    /// It was not sent.
    pub fn send(
        &mut self,
        priority: Priority,
        options: CallOptions,
        message: &Message,
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
                let sent = Sent { endpoint, generation, badge, message: *message };
                self.forward(cpu, server, priority, &sent, host);
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
            let raised = host.take_bits(endpoint);
            if raised.bits() != 0 {
                let thread = self.thread(server);
                thread.receiving = false;
                thread.notified = true;
                self.work_for(server, raised.priority(), host);
                host.received(server, Received::Notification(raised.bits()));
            }
        } else {
            self.raise_work(server, host.bits(endpoint).priority(), host);
        }
    }

    /// An endpoint has another receiver, or one again, or none ever again.
    pub fn receiver_changed(&mut self, endpoint: EndpointId, host: &mut impl IpcHost) {
        let (target, _) = host.target(endpoint);
        let mut next = 0;
        let concerns = |place: &IpcPlace| place.thread.concerns(endpoint);
        while let Some(offset) = self.places[next..].iter().position(concerns) {
            let slot = ThreadSlot::from_bits((next + offset) as u64);
            next += offset + 1;
            let receives = self.place(slot).thread.endpoint == Some(endpoint);
            if receives && target != (Target::Bound { cpu: self.cpu, server: slot }) {
                self.retire(slot, host);
            }
            if let Client::Waiting(options) = self.place(slot).thread.client
                && options.endpoint == endpoint
            {
                self.dispatch_again(slot, options, host);
            }
        }
    }

    /// Sends a call to its receiver now, or lets it wait, or ends it.
    fn dispatch(
        &mut self,
        client: ThreadSlot,
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
                self.place_mut(client).message = *message;
                self.thread(client).client = Client::Waiting(options);
            }
            Target::Bound { cpu, server } => {
                self.send_call(client, options, cpu, server, message, host);
            }
        }
    }

    /// Sends a call again that was not received.
    fn dispatch_again(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        host: &mut impl IpcHost,
    ) {
        let message = self.place(client).message;
        self.dispatch(client, options, &message, host);
    }

    /// Sends a call to a server.
    fn send_call(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        cpu: CpuIndex,
        server: ThreadSlot,
        message: &Message,
        host: &mut impl IpcHost,
    ) {
        let CallOptions { endpoint, generation, badge, .. } = options;
        let (token, priority) = self.mark_sent(client, options, cpu);
        let message = *message;
        let request = CallRequest { endpoint, generation, badge, priority, message };
        if cpu == self.cpu {
            self.arrive(server, token, &request, host);
        } else {
            self.place_mut(client).message = message;
            host.post(cpu, Packet::Call { client, sequence: token.sequence(), request });
        }
    }

    /// Notes that a client's call is with CPU `cpu`; gives its token and its priority.
    #[inline]
    pub(super) fn mark_sent(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        cpu: CpuIndex,
    ) -> (Token, Priority) {
        let token = self.next_token(client);
        (token, self.thread(client).mark_sent(token, cpu, options))
    }

    /// A call of this CPU was not received where it had been sent to.
    pub(super) fn bounced(&mut self, client: ThreadSlot, sequence: u32, host: &mut impl IpcHost) {
        match self.thread(client).client {
            Client::Sent { token, options, .. } if token.sequence() == sequence => {
                self.dispatch_again(client, options, host);
            }
            // It was to be taken back: it is.
            _ => self.finish(client, sequence, CallOutcome::TimedOut, host),
        }
    }

    /// Sends all that waits at a server to the receiver that takes its place.
    pub(super) fn bounce_queue(&mut self, server: ThreadSlot, host: &mut impl IpcHost) {
        // What comes back to the same list meanwhile does not: no endpoint is bound to this server.
        while let Some(item) = self.queue.first(server) {
            match item {
                Item::Call(client) => {
                    self.queue.remove_call(server, client);
                    let Some(caller) = self.place_mut(client).caller.take() else { continue };
                    self.drop_caller(server, caller.priority, host);
                    let (cpu, sequence) = (caller.token.cpu(), caller.token.sequence());
                    if cpu == self.cpu {
                        self.bounced(client, sequence, host);
                    } else {
                        host.post(cpu, Packet::Bounced { client, sequence });
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
    fn retire(&mut self, server: ThreadSlot, host: &mut impl IpcHost) {
        self.thread(server).endpoint = None;
        self.bounce_queue(server, host);
        self.work_for(server, Priority::HIGHEST, host);
        if self.take_receiving(server) {
            host.received(server, Received::Notification(NOTIFY_RETIRE));
        } else {
            self.thread(server).retired = true;
        }
    }

    /// Puts a message where it belongs now, or drops it.
    pub(super) fn resend(&mut self, priority: Priority, sent: Sent, host: &mut impl IpcHost) {
        match target(sent.endpoint, sent.generation, host) {
            (Target::Bound { cpu, server }, generation) => {
                self.forward(cpu, server, priority, &Sent { generation, ..sent }, host);
            }
            (Target::Unbound | Target::Closed, _) => drop_send(&sent, host),
        }
    }

    #[inline]
    fn forward(
        &mut self,
        cpu: CpuIndex,
        server: ThreadSlot,
        priority: Priority,
        sent: &Sent,
        host: &mut impl IpcHost,
    ) {
        let Sent { endpoint, generation, badge, message } = *sent;
        if cpu != self.cpu {
            let request = CallRequest { endpoint, generation, badge, priority, message };
            host.post(cpu, Packet::Send(request));
            return;
        }
        self.thread(server).endpoint = Some(endpoint);
        if self.take_receiving(server) {
            self.work_for(server, priority, host);
            host.send_dequeued(endpoint);
            host.received(server, Received::Send { badge, message });
        } else if self.queue.add_send(server, priority, sent) {
            self.raise_work(server, priority, host);
        } else {
            drop_send(sent, host);
        }
    }
}

/// The receiver at an endpoint, and its generation, for a sender that knew it in generation `known`.
pub(super) fn target(
    endpoint: EndpointId,
    known: Generation,
    host: &impl IpcHost,
) -> (Target, Generation) {
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
