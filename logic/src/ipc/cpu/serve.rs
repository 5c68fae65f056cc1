//! What a server receives, its replies, and how calls end.

use super::*;

impl IpcCpu {
    /// Waits for a message. `None`: nothing yet; [`IpcHost::received`] follows.
    pub fn receive(&mut self, server: ThreadSlot, host: &mut impl IpcHost) -> Option<Received> {
        let thread = self.thread(server);
        if core::mem::take(&mut thread.retired) {
            self.work_for(server, Priority::HIGHEST, host);
            return Some(Received::Notification(NOTIFY_RETIRE));
        }
        let notified = core::mem::take(&mut thread.notified);
        let endpoint = thread.endpoint;
        let first = self.queue.first(server);
        // In turns, so that neither keeps the other from it.
        let takes_bits = !notified || first.is_none();
        let raised = match endpoint {
            Some(endpoint) if takes_bits => host.take_bits(endpoint),
            Some(endpoint) => host.bits(endpoint),
            None => Raised::NONE,
        };
        if raised != Raised::NONE || first.is_some() {
            // What it does not receive now waits behind this.
            let first = first.map_or(Priority::LOWEST, |first| self.queue.priority(first));
            self.work_for(server, first.max(raised.priority()), host);
        }
        if takes_bits && raised.bits() != 0 {
            self.thread(server).notified = true;
            return Some(Received::Notification(raised.bits()));
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

    /// A server no longer waits for a message, and goes on with work of its own. Says whether it waited.
    pub fn stop_receiving(&mut self, server: ThreadSlot, host: &mut impl IpcHost) -> bool {
        self.work_for(server, Priority::HIGHEST, host);
        self.take_receiving(server)
    }

    /// A server no longer waits for a message. Says whether it did.
    pub(super) fn take_receiving(&mut self, server: ThreadSlot) -> bool {
        core::mem::take(&mut self.thread(server).receiving)
    }

    /// A server replies.
    ///
    /// # Errors
    ///
    /// No caller waits for this reply: it was given, or the client has taken its call back.
    pub fn reply(
        &mut self,
        server: ThreadSlot,
        token: Token,
        message: Message,
        host: &mut impl IpcHost,
    ) -> Result<(), NotWaiting> {
        let client = token.client();
        let caller = self.caller(server, token).ok_or(NotWaiting)?;
        self.place_mut(client).caller = None;
        self.served(client, caller, LoanEnd::Returned, host);
        let sequence = token.sequence();
        if token.cpu() == self.cpu {
            self.finish(client, sequence, CallOutcome::Reply(message), host);
        } else {
            host.post(token.cpu(), Packet::Reply { client, sequence, message });
        }
        Ok(())
    }

    /// The call that `server` has received with this token, if it is to be replied to.
    #[inline]
    pub(super) fn caller(&self, server: ThreadSlot, token: Token) -> Option<Caller> {
        self.places.get(token.client().index())?.call_of(server, token)
    }

    /// Notes a caller of a server of this CPU; says whether it is queued.
    #[inline]
    pub(super) fn add_caller(
        &mut self,
        client: ThreadSlot,
        endpoint: EndpointId,
        mut caller: Caller,
    ) -> bool {
        let thread = self.thread(caller.server);
        thread.add_caller(endpoint, caller.priority);
        caller.queued = !core::mem::take(&mut thread.receiving);
        self.place_mut(client).caller = Some(caller);
        caller.queued
    }

    /// A call comes to a server of this CPU.
    pub(super) fn arrive(
        &mut self,
        server: ThreadSlot,
        token: Token,
        request: &CallRequest,
        host: &mut impl IpcHost,
    ) {
        let client = token.client();
        let CallRequest { endpoint, badge, priority, message, .. } = *request;
        let caller = Caller::new(server, token, request);
        let queued = self.add_caller(client, endpoint, caller);
        if queued {
            self.place_mut(client).message = message;
            self.queue.add_call(server, client, priority);
        } else {
            self.place_mut(client).message.span = message.span;
        }
        let thread = self.thread(server);
        if priority > thread.effective {
            if !queued {
                thread.work = priority.min(thread.base);
            }
            self.inherit(server, priority, host);
        }
        if !queued {
            host.received(server, Received::Call { token, badge, message });
        }
    }

    /// The call, which is first in the queue, is the server's from now on.
    fn receive_call(&mut self, client: ThreadSlot) -> Option<Received> {
        let caller = self.place_mut(client).caller.as_mut()?;
        caller.queued = false;
        let Caller { token, server, badge, .. } = *caller;
        self.queue.remove_call(server, client);
        Some(Received::Call { token, badge, message: self.place(client).message })
    }

    /// The server has no more to do with a call that it had.
    pub(super) fn served(
        &mut self,
        client: ThreadSlot,
        caller: Caller,
        how: LoanEnd,
        host: &mut impl IpcHost,
    ) {
        let span = self.place(client).message.span;
        if span.lends() {
            host.loan_ends(caller.server, span, how);
        }
        self.drop_caller(caller.server, caller.priority, host);
    }

    /// A call of a client of this CPU is over.
    pub(super) fn finish(
        &mut self,
        client: ThreadSlot,
        sequence: u32,
        outcome: CallOutcome,
        host: &mut impl IpcHost,
    ) {
        let thread = self.thread(client);
        match thread.client {
            Client::Sent { token, .. } if token.sequence() == sequence => {
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

    /// How a call ends after its server has ended.
    pub(super) fn restarted(&mut self, client: ThreadSlot, host: &impl IpcHost) -> CallOutcome {
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
    pub(super) fn fail(&mut self, client: ThreadSlot, caller: Caller, host: &mut impl IpcHost) {
        self.served(client, caller, LoanEnd::Returned, host);
        let (cpu, sequence) = (caller.token.cpu(), caller.token.sequence());
        if cpu == self.cpu {
            let outcome = self.restarted(client, host);
            self.finish(client, sequence, outcome, host);
        } else {
            host.post(cpu, Packet::Failed { client, sequence });
        }
    }
}
