//! What holds after each step, and when nothing is on its way.

use super::machine::Fate;
use super::*;

impl World {
    /// After a step of CPU `cpu`.
    pub(super) fn check(&mut self, cpu: CpuIndex) {
        let ipc = &self.stations[cpu.index()];
        ipc.check();
        assert_eq!(self.machine.taken, 0, "bits are lost");
        for (&slot, process) in &self.machine.processes {
            let is_here = process.cpu == cpu && process.doing != Doing::Moves;
            if is_here && process.doing != Doing::Leaves {
                assert_eq!(process.effective, ipc.priority(slot), "priority of {slot}");
                let calls = matches!(process.doing, Doing::Calls(_));
                assert_eq!(ipc.is_idle(slot), !calls);
                assert_eq!(ipc.is_receiving(slot), process.doing == Doing::Receives);
            }
        }
        for slot in std::mem::take(&mut self.machine.went) {
            assert!(self.stations.iter().all(|ipc| !ipc.mentions(slot)), "{slot} is left");
        }
        for (at, endpoint) in endpoints().zip(&self.machine.endpoints) {
            let open = |sent: &&SendRecord| sent.endpoint == at && sent.fate == Fate::Open;
            assert_eq!(endpoint.waits, self.machine.sends.values().filter(open).count());
        }
    }

    /// Why a message was not sent.
    pub(super) fn check_bounds(&self, options: CallOptions, send_error: SendError) {
        let endpoint = &self.machine.endpoints[options.endpoint.index()];
        let is_stale =
            options.generation != endpoint.generation && options.on_restart == OnRestart::Fail;
        let expected = match endpoint.target {
            Target::Closed => SendError::Closed,
            _ if is_stale => SendError::Restarted { generation: endpoint.generation },
            _ => SendError::Unbound,
        };
        assert_eq!(send_error, expected);
    }

    /// When nothing is on its way.
    pub(super) fn check_drained(&self) {
        for (&slot, process) in &self.machine.processes {
            assert!(!matches!(process.doing, Doing::Leaves | Doing::Moves), "{slot} waits");
            self.check_process(slot, process);
        }
        for (cpu, ipc) in CpuIndex::all().zip(&self.stations) {
            for held in ipc.held() {
                let sent = self.stations[held.cpu.index()].sent(held.client);
                assert_eq!(sent, Some((cpu, held.sequence)), "{held:?}");
                assert_eq!(self.machine.processes[&held.server].cpu, cpu);
            }
        }
        for endpoint in &self.machine.endpoints {
            assert!(endpoint.waits == 0 || matches!(endpoint.target, Target::Bound { .. }));
        }
        self.check_records();
    }

    fn check_process(&self, slot: ThreadSlot, process: &Process) {
        let ipc = &self.stations[process.cpu.index()];
        let Doing::Calls(id) = process.doing else {
            let bits = ipc.endpoint(slot).map(|at| self.machine.endpoints[at.index()].bits);
            assert!(
                process.doing != Doing::Receives || bits.is_none_or(|bits| bits == Raised::NONE),
                "{slot} sleeps"
            );
            return;
        };
        let call = &self.machine.calls[&id];
        let endpoint = &self.machine.endpoints[call.options.endpoint.index()];
        let Some((cpu, sequence)) = ipc.sent(slot) else {
            assert_eq!(endpoint.target, Target::Unbound, "{slot} waits for nothing");
            return;
        };
        let held = self.stations[cpu.index()].held();
        let is_it = |held: &&crate::ipc::cpu::Held| (held.client, held.cpu) == (slot, process.cpu);
        let held = held.iter().find(is_it).expect("a call at its server");
        assert_eq!(held.sequence, sequence);
        assert!(held.priority >= process.effective, "{slot} is worth more");
        assert_eq!(held.queued, call.server.is_none());
        let server = held.server;
        assert!(!held.queued || endpoint.target == Target::Bound { cpu, server }, "{held:?}");
        assert!(held.queued || call.server == Some(server));
        assert!(self.machine.processes[&server].effective >= process.effective);
    }

    fn check_records(&self) {
        for (id, call) in &self.machine.calls {
            let client = self.machine.processes.get(&call.client);
            let waits = client.is_some_and(|client| client.doing == Doing::Calls(*id));
            assert_eq!(waits, call.outcome.is_none() && !call.client_over, "call {id}");
            assert_eq!(call.reply_dropped, call.replied && call.outcome.is_none(), "call {id}");
            assert!(waits || call.is_back(), "call {id}");
        }
    }

    /// Closes all, ends all servers' work, and sees that no client waits.
    pub(in super::super) fn finish(&mut self) {
        self.drain();
        for endpoint in endpoints() {
            self.close(CpuIndex::M_KERNEL, endpoint);
        }
        self.drain();
        let slots: Vec<ThreadSlot> = self.machine.processes.keys().copied().collect();
        let busy = |world: &World, slot| !world.machine.processes[&slot].tokens.is_empty();
        for slot in slots.iter().copied().filter(|&slot| busy(self, slot)).collect::<Vec<_>>() {
            self.end(slot);
        }
        self.drain();
        for (&slot, process) in &self.machine.processes {
            assert!(!matches!(process.doing, Doing::Calls(_)), "{slot} waits forever");
            assert!(process.effective <= process.base, "{slot} keeps a priority");
        }
        self.end_all();
    }

    fn end_all(&mut self) {
        let slots: Vec<ThreadSlot> = self.machine.processes.keys().copied().collect();
        for slot in slots {
            self.end(slot);
        }
        self.drain();
        assert!(self.machine.processes.is_empty());
        assert!(self.machine.sends.values().all(|sent| sent.fate != Fate::Open));
    }
}
