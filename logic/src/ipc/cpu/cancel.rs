//! Calls that are taken back: by their time-out, or because the client ends.

use super::*;

impl IpcCpu {
    /// The time of a client's call is over; [`IpcHost::ended`] follows, maybe before this returns.
    pub fn time_out(&mut self, client: ThreadSlot, host: &mut impl IpcHost) {
        let _ = self.cancel(client, CancelReason::TimedOut, host);
    }

    /// A thread of this CPU has ended. It is bound to no endpoint any more.
    pub fn leave(&mut self, slot: ThreadSlot, host: &mut impl IpcHost) -> Gone {
        self.thread(slot).receiving = false;
        // First of all, as it may be its own server.
        let gone = self.cancel(slot, CancelReason::Leaving, host);
        self.bounce_queue(slot, host);
        for client in self.slots() {
            let caller = &mut self.place_mut(client).caller;
            if let Some(caller) = caller.take_if(|caller| caller.server == slot) {
                self.fail(client, caller, host);
            }
        }
        if gone == Gone::Now {
            *self.thread(slot) = ThreadIpc::EMPTY;
        }
        gone
    }

    /// Takes a client's call back.
    fn cancel(&mut self, client: ThreadSlot, why: CancelReason, host: &mut impl IpcHost) -> Gone {
        match self.place(client).thread.client {
            Client::Idle => return Gone::Now,
            Client::Waiting(_) => {}
            Client::Sent { token, cpu, .. } if cpu == self.cpu => self.forget(token, host),
            Client::Sent { token, cpu, options } => {
                let sequence = token.sequence();
                self.thread(client).client = Client::Cancelling { sequence, why, options };
                host.post(cpu, Packet::Cancel { client, sequence });
                return Gone::Later;
            }
            Client::Cancelling { sequence, why: CancelReason::TimedOut, options } => {
                // A client that leaves has no time-out any more.
                self.thread(client).client = Client::Cancelling { sequence, why, options };
                return Gone::Later;
            }
            Client::Cancelling { why: CancelReason::Leaving, .. } => return Gone::Later,
        }
        self.thread(client).client = Client::Idle;
        if why == CancelReason::TimedOut {
            host.ended(client, CallOutcome::TimedOut);
        }
        Gone::Now
    }

    /// Forgets a call to a server of this CPU.
    pub(super) fn forget(&mut self, token: Token, host: &mut impl IpcHost) {
        let client = token.client();
        let place = &mut self.place_mut(client).caller;
        let Some(caller) = place.take_if(|caller| caller.token == token) else { return };
        if caller.queued {
            self.queue.remove_call(caller.server, client);
            self.drop_caller(caller.server, caller.priority, host);
        } else {
            self.served(client, caller, LoanEnd::Revoked, host);
        }
    }
}
