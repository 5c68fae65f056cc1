//! A call and its reply between two processes of one core in the usual case, in a few steps. They
//! leave what [`Station::call`], [`Station::reply`] and [`Station::receive`] leave, or nothing has
//! happened.
//!
//! The messages have words only and do not come here: who asks gives them to the other process, as
//! [`Outside::received`] and [`Outside::ended`] would.

use super::*;

impl Station {
    /// A client calls `server`, a process of this core that receives at the endpoint, in the
    /// generation that `options` names. The token with which the server has received the request;
    /// `None`: it does not wait for one, or has to be raised.
    #[inline(always)]
    pub fn call_directly(&mut self, client: u8, options: CallOptions, server: u8) -> Option<Token> {
        let Local { receiving, effective, .. } = *self.locals.get(usize::from(server))?;
        let its = self.locals.get(usize::from(client))?;
        if !receiving || its.effective > effective {
            return None;
        }
        let core = self.core;
        let (sequence, priority) = self.set_out(client, options, core);
        let CallOptions { endpoint, badge, .. } = options;
        let caller = Caller { core, sequence, server, badge, priority, queued: false };
        self.enlist(client, endpoint, caller);
        self.messages[usize::from(client)].span = Span::NONE;
        Some(Token::new(client, core, sequence))
    }

    /// A server replies to a client of this core, and waits for the next message. `has_bits`:
    /// whether notification bits wait at an endpoint. The client, whose call is over; `None`: nobody
    /// waits for that reply, pages came with the call, something is there to receive, or the
    /// server's priority falls.
    #[inline(always)]
    pub fn reply_directly(
        &mut self,
        server: u8,
        token: Token,
        has_bits: impl FnOnce(u8) -> bool,
    ) -> Option<u8> {
        let client = token.client();
        let caller = self.caller(server, token)?;
        let at = usize::from(client);
        let Client::Sent { sequence, .. } = self.locals[at].client else { return None };
        let waits = (caller.core, caller.sequence) == (self.core, sequence)
            && self.messages[at].span.is_none();
        let local = self.locals.get_mut(usize::from(server))?;
        let falls = local.effective > local.base && caller.priority == local.effective;
        let gets_more = local.retired
            || self.queue.first(server).is_some()
            || local.endpoint.is_some_and(has_bits);
        if !waits || falls || gets_more {
            return None;
        }
        local.callers.remove(caller.priority);
        local.receiving = true;
        self.locals[at].client = Client::Idle;
        self.callers[at] = None;
        Some(client)
    }
}
