//! Priorities of threads: with that of what it has received last a thread works, at most with its own; it
//! inherits the highest of its callers', through any number of servers that call one another.
//!
//! What is received lowers a priority as well, or a flood of messages would take the CPU from all that come
//! between their senders and the server. A call that finds its server waiting, and that of this priority or a
//! higher one, lowers none: that is the fast path, and what comes in a flood finds the server at work.

use super::*;

impl IpcCpu {
    /// Gives a thread of this CPU another priority of its own.
    pub fn set_base(&mut self, slot: ThreadSlot, priority: Priority, host: &mut impl IpcHost) {
        let thread = self.thread(slot);
        thread.base = priority;
        thread.work = priority;
        self.recompute(slot, host);
    }

    /// A thread works for something of this priority from now on.
    #[inline]
    pub(super) fn work_for(
        &mut self,
        slot: ThreadSlot,
        priority: Priority,
        host: &mut impl IpcHost,
    ) {
        let thread = self.thread(slot);
        let work = priority.min(thread.base);
        if thread.work != work {
            thread.work = work;
            self.recompute(slot, host);
        }
    }

    /// Something of this priority waits for a thread, which works for something else.
    #[inline]
    pub(super) fn raise_work(
        &mut self,
        slot: ThreadSlot,
        priority: Priority,
        host: &mut impl IpcHost,
    ) {
        if priority > self.thread(slot).work {
            self.work_for(slot, priority, host);
        }
    }

    /// A call to a server of this CPU is worth more from now on.
    pub(super) fn boost(&mut self, token: Token, priority: Priority, host: &mut impl IpcHost) {
        let client = token.client();
        let Some(caller) = &self.place(client).caller else { return };
        if caller.token == token
            && let Some(server) = self.boost_call(client, priority)
        {
            self.inherit(server, priority, host);
        }
    }

    /// A server has a caller of this priority; if it waits for another server itself, that one has,
    /// too.
    #[inline(never)]
    pub(super) fn inherit(
        &mut self,
        server: ThreadSlot,
        priority: Priority,
        host: &mut impl IpcHost,
    ) {
        let mut next = Some(server);
        while let Some(slot) = next.take() {
            let thread = self.thread(slot);
            if thread.effective >= priority {
                return;
            }
            thread.effective = priority;
            host.set_priority(slot, priority);
            let Client::Sent { token, cpu, .. } = thread.client else { return };
            if cpu != self.cpu {
                let sequence = token.sequence();
                host.post(cpu, Packet::Boost { client: slot, sequence, priority });
                return;
            }
            next = self.boost_call(slot, priority);
        }
    }

    /// Gives a call to a server of this CPU a higher priority; gives the server.
    fn boost_call(&mut self, client: ThreadSlot, priority: Priority) -> Option<ThreadSlot> {
        let caller = self.place_mut(client).caller.as_mut()?;
        let (server, queued, before) = (caller.server, caller.queued, caller.priority);
        if before >= priority {
            return None;
        }
        caller.priority = priority;
        if queued {
            self.queue.remove_call(server, client);
            self.queue.add_call(server, client, priority);
        }
        let callers = &mut self.thread(server).callers;
        callers.remove(before);
        callers.add(priority);
        Some(server)
    }

    /// A server has lost a caller of this priority.
    pub(super) fn drop_caller(
        &mut self,
        server: ThreadSlot,
        priority: Priority,
        host: &mut impl IpcHost,
    ) {
        let thread = self.thread(server);
        thread.callers.remove(priority);
        if thread.may_fall_without(priority) {
            self.recompute(server, host);
        }
    }

    /// Finds the priority of a thread anew.
    #[inline(never)]
    fn recompute(&mut self, slot: ThreadSlot, host: &mut impl IpcHost) {
        let thread = self.thread(slot);
        let priority = thread.callers.highest().max(thread.work);
        if priority > thread.effective {
            self.inherit(slot, priority, host);
        } else if priority < thread.effective {
            thread.effective = priority;
            host.set_priority(slot, priority);
        }
    }
}
