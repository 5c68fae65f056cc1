//! What tests may see of the state of a CPU.

use std::vec::Vec;

use super::*;

/// A call at its server's CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ipc) struct Held {
    pub(in crate::ipc) client: ThreadSlot,
    pub(in crate::ipc) cpu: CpuIndex,
    pub(in crate::ipc) sequence: u32,
    pub(in crate::ipc) server: ThreadSlot,
    pub(in crate::ipc) priority: Priority,
    pub(in crate::ipc) queued: bool,
}

impl IpcCpu {
    /// Calls to servers of this CPU.
    pub(in crate::ipc) fn held(&self) -> Vec<Held> {
        let with_client = self.slots().zip(&self.places);
        with_client
            .filter_map(|(client, place)| {
                let Caller { token, server, priority, queued, .. } = place.caller?;
                let (cpu, sequence) = (token.cpu(), token.sequence());
                Some(Held { client, cpu, sequence, server, priority, queued })
            })
            .collect()
    }

    /// CPU and number of a thread's call, if it is at a CPU.
    pub(in crate::ipc) fn sent(&self, client: ThreadSlot) -> Option<(CpuIndex, u32)> {
        match self.place(client).thread.client {
            Client::Sent { token, cpu, .. } => Some((cpu, token.sequence())),
            _ => None,
        }
    }

    /// Whether a thread is idle as a client.
    pub(in crate::ipc) fn is_idle(&self, client: ThreadSlot) -> bool {
        matches!(self.place(client).thread.client, Client::Idle)
    }

    /// Whether anything is left of a thread.
    pub(in crate::ipc) fn mentions(&self, slot: ThreadSlot) -> bool {
        let thread = &self.place(slot).thread;
        let is_nobody = matches!(thread.client, Client::Idle)
            && !thread.receiving
            && !thread.retired
            && thread.endpoint.is_none()
            && (thread.base, thread.effective) == (Priority::LOWEST, Priority::LOWEST);
        !is_nobody
            || self.queue.first(slot).is_some()
            || self.held().iter().any(|held| held.client == slot || held.server == slot)
    }

    /// Whether its parts agree.
    pub(in crate::ipc) fn check(&self) {
        let held = self.held();
        for call in &held {
            let is_local = call.cpu == self.cpu;
            let sent = self.sent(call.client);
            assert!(!is_local || sent == Some((self.cpu, call.sequence)), "{call:?}, {sent:?}");
            let own = self.place(call.client).thread.effective;
            assert!(!is_local || call.priority >= own, "{call:?} hides {own}");
        }
        for slot in self.slots() {
            self.check_process(slot, &held);
        }
    }

    fn check_process(&self, slot: ThreadSlot, held: &[Held]) {
        let thread = &self.place(slot).thread;
        let callers = held.iter().filter(|held| held.server == slot);
        let mut priorities = Priorities::NONE;
        callers.clone().for_each(|held| priorities.add(held.priority));
        assert_eq!(thread.callers, priorities, "callers of {slot}");
        let highest = callers.map(|held| held.priority).max().unwrap_or_default().max(thread.work);
        assert_eq!(thread.effective, highest, "priority of {slot}");
        if let Some((cpu, sequence)) = self.sent(slot)
            && cpu == self.cpu
        {
            let is_it = |held: &&Held| (held.client, held.sequence) == (slot, sequence);
            assert!(held.iter().any(|held| is_it(&held)), "call of {slot} is nowhere");
        }
        assert!(thread.work <= thread.base, "{slot} works with more than its own priority");
        let first = self.queue.first(slot).map(|item| self.queue.priority(item).min(thread.base));
        assert!(first.is_none_or(|first| thread.effective >= first), "more waits for {slot}");
        self.check_queue(slot, held);
    }

    fn check_queue(&self, server: ThreadSlot, held: &[Held]) {
        let mut waiting = Vec::new();
        let mut last = None;
        let mut next = self.queue.first(server);
        while let Some(item) = next {
            let priority = self.queue.priority(item);
            assert!(last.is_none_or(|last| priority <= last), "order at {server}");
            last = Some(priority);
            if let Item::Call(client) = item {
                waiting.push((client, priority));
            }
            next = self.queue.after(item);
        }
        assert!(!self.is_receiving(server) || last.is_none(), "{server} waits beside its queue");
        waiting.sort_unstable();
        let queued = held.iter().filter(|held| held.queued && held.server == server);
        let queued: Vec<_> = queued.map(|held| (held.client, held.priority)).collect();
        assert_eq!(waiting, queued, "queue of {server}");
    }
}
