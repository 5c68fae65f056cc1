//! Calls and replies that go directly, and what the machine does then.

use super::*;
use crate::ipc::Outside;

impl World {
    /// Calls directly, if the world is one that does and the station can.
    pub(super) fn call_directly(
        &mut self,
        client: u8,
        options: CallOptions,
        message: Message,
    ) -> bool {
        let at = &self.machine.endpoints[usize::from(options.endpoint)];
        let Target::Bound { core, server } = at.target else { return false };
        let is_usual = core == self.core(client)
            && at.generation == options.generation
            && message.span.is_none();
        if !self.goes_directly || !is_usual {
            return false;
        }
        let station = &mut self.stations[usize::from(core)];
        let Some(token) = station.call_directly(client, options, server) else { return false };
        let received = Received::Call { token, badge: options.badge, message };
        Side { core, machine: &mut self.machine }.received(server, received);
        self.has_gone_directly(core);
        true
    }

    /// Replies directly and receives, if the world is one that does and the station can.
    pub(super) fn reply_directly(&mut self, server: u8, id: u64) -> bool {
        if !self.goes_directly {
            return false;
        }
        let (core, token) = (self.core(server), self.token(server, id));
        let station = &mut self.stations[usize::from(core)];
        let has_bits = |at| self.machine.endpoints[usize::from(at)].bits != 0;
        let client = station.reply_directly(server, token, has_bits);
        let Some(client) = client else { return false };
        let mut side = Side { core, machine: &mut self.machine };
        side.machine.replying = Some((id, server));
        side.ended(client, Ending::Reply(reply_message(id)));
        side.machine.replied(id, server, true);
        side.machine.replying = None;
        self.process(server).doing = Doing::Receives;
        self.has_gone_directly(core);
        true
    }

    fn has_gone_directly(&mut self, core: u8) {
        self.went_directly += 1;
        self.check(core);
    }

    /// Whether the stations of another world are in the same state.
    pub(in super::super) fn is_like(&self, other: &World) -> bool {
        self.stations == other.stations
    }
}
