//! Calls and replies that go directly, and what the machine does then.

use super::*;
use crate::ipc::{CallRequest, IpcHost, Parts};

impl World {
    /// Calls directly, if the world is one that does and the CPU's IPC state allows it.
    pub(super) fn call_directly(
        &mut self,
        client: ThreadSlot,
        options: CallOptions,
        message: Message,
    ) -> bool {
        let at = &self.machine.endpoints[options.endpoint.index()];
        let Target::Bound { cpu: there, server } = at.target else { return false };
        if !self.goes_directly || at.generation != options.generation {
            return false;
        }
        let cpu = self.cpu(client);
        let ipc = &mut self.stations[cpu.index()];
        let mut side = Side { cpu, machine: &mut self.machine };
        if there == cpu {
            let token = ipc.call_directly(client, options, server, message.span);
            let Some(token) = token else { return false };
            let received = Received::Call { token, badge: options.badge, message };
            side.received(server, received);
        } else {
            side.post(there, ipc.call_across(client, options, there, message));
        }
        self.has_gone_directly(cpu);
        true
    }

    /// Replies directly and receives, if the world is one that does and the CPU's IPC state allows
    /// it.
    pub(super) fn reply_directly(&mut self, server: ThreadSlot, id: u64) -> bool {
        if !self.goes_directly {
            return false;
        }
        let (cpu, token) = (self.cpu(server), self.token(server, id));
        let ipc = &mut self.stations[cpu.index()];
        let endpoints = &self.machine.endpoints;
        let has_bits = |at: EndpointId| endpoints[at.index()].bits != Raised::NONE;
        let message = reply_message(id);
        let span = ipc.pages_of(token);
        if token.cpu() == cpu {
            let client = ipc.reply_directly(server, token, has_bits);
            let Some(client) = client else { return false };
            let mut side = Side { cpu, machine: &mut self.machine };
            side.replies(id, server, span);
            side.ended(client, CallOutcome::Reply(message));
        } else {
            let replied = ipc.reply_across(server, token, message, has_bits);
            let Some((there, packet)) = replied else { return false };
            let mut side = Side { cpu, machine: &mut self.machine };
            side.replies(id, server, span);
            side.post(there, packet);
        }
        self.machine.replied(id, server, true);
        self.machine.replying = None;
        self.process(server).doing = Doing::Receives;
        self.has_gone_directly(cpu);
        true
    }

    /// Takes a packet directly, if the world is one that does and the CPU's IPC state allows it.
    pub(super) fn take_directly(
        &mut self,
        from: CpuIndex,
        cpu: CpuIndex,
        words: &[u64; 8],
    ) -> bool {
        let Parts { kind, client, sequence, request } = Parts::of(words);
        let CallRequest { endpoint, generation, badge, message, .. } = request;
        if !self.goes_directly {
            return false;
        }
        let ipc = &mut self.stations[cpu.index()];
        let mut side = Side { cpu, machine: &mut self.machine };
        match kind {
            Parts::CALL => {
                let (Target::Bound { cpu: there, server }, now) = side.target(endpoint) else {
                    return false;
                };
                if (there, now) != (cpu, generation) {
                    return false;
                }
                let token = ipc.take_call_directly(server, from, client, sequence, &request);
                let Some(token) = token else { return false };
                side.received(server, Received::Call { token, badge, message });
            }
            Parts::REPLY if ipc.take_reply_directly(client, sequence) => {
                side.ended(client, CallOutcome::Reply(message));
            }
            _ => return false,
        }
        self.has_gone_directly(cpu);
        true
    }

    fn has_gone_directly(&mut self, cpu: CpuIndex) {
        self.went_directly += 1;
        self.check(cpu);
    }

    /// Whether the CPUs of another world have the same IPC state.
    pub(in super::super) fn is_like(&self, other: &World) -> bool {
        self.stations == other.stations
    }
}

impl Side<'_> {
    /// A server replies directly to the call with which these pages came.
    fn replies(&mut self, id: u64, server: ThreadSlot, span: Span) {
        self.machine.replying = Some((id, server));
        if span.lends() {
            self.loan_ends(server, span, LoanEnd::Returned);
        }
    }
}
