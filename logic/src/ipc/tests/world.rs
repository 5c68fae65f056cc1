//! The IPC state of CPUs, and what is between them: steps that processes take, and packets on their
//! way.

mod check;
mod direct;
mod machine;

use std::vec::Vec;

use ant_abi::ipc::{NOTIFY_RETIRE, Span, Transfer};
use ant_abi::{CpuIndex, EndpointId, Generation, Priority, ThreadSlot};

use crate::ipc::{
    CallOptions, CallOutcome, Gone, IpcCpu, IpcMemory, IpcPlace, LoanEnd, Message, NotWaiting,
    OnRestart, Packet, QueueList, QueueNode, Raised, Received, SENDS_PER_CPU, SendError, SendPlace,
    Target, Token,
};
use crate::test_ids::{THREADS, places};
pub(super) use machine::Doing;
use machine::{CallRecord, Item, Machine, Process, SendRecord, Side};

/// Endpoints of a world.
pub(super) const ENDPOINTS: usize = 4;

pub(super) fn endpoints() -> impl Iterator<Item = EndpointId> + Clone {
    EndpointId::first(ENDPOINTS)
}

/// How a process calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub(super) endpoint: EndpointId,
    pub(super) on_restart: OnRestart,
    pub(super) transfer: Option<Transfer>,
}

impl Ask {
    pub(super) const fn at(endpoint: EndpointId) -> Self {
        Self { endpoint, on_restart: OnRestart::Fail, transfer: None }
    }

    pub(super) const fn across(self) -> Self {
        Self { on_restart: OnRestart::Wait, ..self }
    }

    pub(super) const fn with(self, transfer: Transfer) -> Self {
        Self { transfer: Some(transfer), ..self }
    }
}

pub(super) struct World {
    stations: Vec<IpcCpu>,
    pub(super) machine: Machine,
    next: u64,
    /// Calls and replies go directly where they can.
    pub(super) goes_directly: bool,
    /// How many have.
    pub(super) went_directly: usize,
}

/// The reply to a call.
fn reply_message(id: u64) -> Message {
    Message { handle: id, ..Message::of([id, 0xfeed, 0, 0]) }
}

fn ipc(cpu: CpuIndex) -> IpcCpu {
    let memory = IpcMemory {
        places: places(IpcPlace::EMPTY, THREADS),
        lists: places(QueueList::EMPTY, THREADS),
        nodes: places(QueueNode::NONE, THREADS + SENDS_PER_CPU),
        sends: places(SendPlace::FREE, SENDS_PER_CPU),
    };
    IpcCpu::new(cpu, memory)
}

impl World {
    pub(super) fn new(cpus: usize) -> Self {
        let stations = CpuIndex::all().take(cpus).map(ipc).collect();
        let machine = Machine::new(cpus);
        Self { stations, machine, next: 0, goes_directly: false, went_directly: 0 }
    }

    fn on<R>(&mut self, cpu: CpuIndex, act: impl FnOnce(&mut IpcCpu, &mut Side<'_>) -> R) -> R {
        let mut side = Side { cpu, machine: &mut self.machine };
        let result = act(&mut self.stations[cpu.index()], &mut side);
        self.check(cpu);
        result
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn process(&mut self, slot: ThreadSlot) -> &mut Process {
        self.machine.processes.get_mut(&slot).expect("a process")
    }

    fn cpu(&self, slot: ThreadSlot) -> CpuIndex {
        self.machine.processes[&slot].cpu
    }

    pub(super) fn doing(&self, slot: ThreadSlot) -> Option<Doing> {
        self.machine.processes.get(&slot).map(|process| process.doing)
    }

    /// What a process runs with.
    pub(super) fn effective(&self, slot: ThreadSlot) -> Priority {
        self.machine.processes[&slot].effective
    }

    // Processes and endpoints.

    pub(super) fn spawn(&mut self, slot: ThreadSlot, cpu: CpuIndex, priority: Priority) {
        let process = Process::new(cpu, priority, &self.machine.endpoints);
        assert!(self.machine.processes.insert(slot, process).is_none());
        self.on(cpu, |ipc, _| ipc.enter(slot, priority, None));
    }

    /// Makes a process that receives at an endpoint without a receiver.
    pub(super) fn serve(
        &mut self,
        slot: ThreadSlot,
        cpu: CpuIndex,
        priority: Priority,
        endpoint: EndpointId,
    ) {
        self.spawn(slot, cpu, priority);
        assert_eq!(self.machine.endpoints[endpoint.index()].target, Target::Unbound);
        self.assign(cpu, endpoint, Some(slot));
        self.drain();
    }

    /// Endpoint at which a process is to receive.
    pub(super) fn bound(&self, slot: ThreadSlot) -> Option<EndpointId> {
        let is_it = |target| matches!(target, Target::Bound { server, .. } if server == slot);
        endpoints().find(|&at| is_it(self.machine.endpoints[at.index()].target))
    }

    /// Whether a process can be bound to an endpoint.
    pub(super) fn is_free(&self, slot: ThreadSlot) -> bool {
        let process = &self.machine.processes[&slot];
        let moves = matches!(process.doing, Doing::Moves | Doing::Leaves);
        let told = self.stations.iter().all(|ipc| ipc.endpoint(slot).is_none());
        !moves && self.bound(slot).is_none() && told
    }

    /// From now on `slot` receives at `endpoint`; CPU `by` says so.
    pub(super) fn assign(&mut self, by: CpuIndex, endpoint: EndpointId, slot: Option<ThreadSlot>) {
        let target = match slot {
            Some(server) => Target::Bound { cpu: self.cpu(server), server },
            None => Target::Unbound,
        };
        let state = &mut self.machine.endpoints[endpoint.index()];
        state.turn(target);
        let generation = state.generation;
        if let Some(slot) = slot {
            self.process(slot).generation = generation;
        }
        self.tell_all(by, endpoint);
    }

    pub(super) fn close(&mut self, by: CpuIndex, endpoint: EndpointId) {
        self.machine.endpoints[endpoint.index()].turn(Target::Closed);
        self.tell_all(by, endpoint);
    }

    /// The number of an endpoint that is closed is another's from now on, to which all have handles.
    pub(super) fn open_again(&mut self, endpoint: EndpointId) {
        let state = &mut self.machine.endpoints[endpoint.index()];
        state.begin_again();
        let generation = state.generation;
        for process in self.machine.processes.values_mut() {
            process.known[endpoint.index()] = generation;
        }
    }

    fn tell(&mut self, by: CpuIndex, cpu: CpuIndex, item: Item) {
        if by == cpu {
            self.arrive(by, cpu, item);
        } else {
            self.machine.rings[by.index()][cpu.index()].push_back(item);
        }
    }

    fn tell_all(&mut self, by: CpuIndex, endpoint: EndpointId) {
        for cpu in CpuIndex::all().take(self.stations.len()) {
            self.tell(by, cpu, Item::Rebound(endpoint));
        }
    }

    /// A process ends: its endpoint is not bound any more, then it leaves.
    pub(super) fn end(&mut self, slot: ThreadSlot) {
        if let Some(endpoint) = self.bound(slot) {
            self.machine.endpoints[endpoint.index()].turn(Target::Unbound);
        }
        self.machine.over(slot);
        let cpu = self.cpu(slot);
        let gone = self.on(cpu, |ipc, side| {
            let gone = ipc.leave(slot, side);
            if gone == Gone::Now {
                side.machine.remove(slot);
            }
            gone
        });
        assert_eq!(gone == Gone::Now, self.doing(slot).is_none());
    }

    pub(super) fn set_base(&mut self, slot: ThreadSlot, priority: Priority) {
        self.process(slot).base = priority;
        let cpu = self.cpu(slot);
        self.on(cpu, |ipc, side| ipc.set_base(slot, priority, side));
    }

    pub(super) fn is_quiet(&self, slot: ThreadSlot) -> bool {
        self.stations[self.cpu(slot).index()].is_quiet(slot)
    }

    /// Moves a process that is quiet to another CPU, which it reaches with the packets.
    pub(super) fn depart(&mut self, slot: ThreadSlot, to: CpuIndex) {
        assert!(self.is_quiet(slot));
        let cpu = self.cpu(slot);
        let ipc = &mut self.stations[cpu.index()];
        let mut side = Side { cpu, machine: &mut self.machine };
        ipc.stop_receiving(slot, &mut side);
        let endpoint = self.bound(slot).or(self.stations[cpu.index()].endpoint(slot));
        if let Some(endpoint) = self.bound(slot) {
            let target = Target::Bound { cpu: to, server: slot };
            self.machine.endpoints[endpoint.index()].target = target;
        }
        let process = self.process(slot);
        process.doing = Doing::Moves;
        process.cpu = to;
        self.on(cpu, |ipc, side| ipc.move_away(slot, side));
        self.tell(cpu, to, Item::Enter { slot, endpoint });
    }

    // What processes do.

    pub(super) fn call(&mut self, client: ThreadSlot, ask: Ask) -> u64 {
        let id = self.number();
        let Ask { endpoint, on_restart, transfer } = ask;
        let process = self.process(client);
        assert_eq!(process.doing, Doing::Runs);
        process.doing = Doing::Calls(id);
        let generation = process.known[endpoint.index()];
        let badge = id as u32 ^ 0x5a5a_0000;
        let options = CallOptions { endpoint, generation, on_restart, badge };
        self.machine.calls.insert(id, CallRecord::new(client, options, transfer));
        let span = transfer.map_or(Span::NONE, |transfer| Span::new(id as u32, 1, transfer));
        let message = Message { words: [id, 1, 2, !id], span, handle: id << 1 };
        if !self.call_directly(client, options, message) {
            let cpu = self.cpu(client);
            self.on(cpu, |ipc, side| ipc.call(client, options, message, side));
        }
        id
    }

    /// Receives; what comes, also later, is then with [`World::got`].
    pub(super) fn receive(&mut self, server: ThreadSlot) -> Option<Received> {
        let process = self.process(server);
        assert_eq!(process.doing, Doing::Runs);
        process.doing = Doing::Receives;
        let cpu = self.cpu(server);
        self.on(cpu, |ipc, side| {
            if let Some(received) = ipc.receive(server, side) {
                side.machine.take_in(server, received);
            }
        });
        self.got(server)
    }

    /// The next thing that a process has received.
    pub(super) fn got(&mut self, server: ThreadSlot) -> Option<Received> {
        self.process(server).got.pop_front()
    }

    /// Receives a call, which is there.
    pub(super) fn receive_call(&mut self, server: ThreadSlot) -> u64 {
        let Some(Received::Call { message, .. }) = self.receive(server) else {
            panic!("no call for {server}")
        };
        message.words[0]
    }

    pub(super) fn stop_receiving(&mut self, server: ThreadSlot) {
        self.process(server).doing = Doing::Runs;
        let cpu = self.cpu(server);
        assert!(self.on(cpu, |ipc, side| ipc.stop_receiving(server, side)));
    }

    /// Replies to a call that the process has received, and receives.
    pub(super) fn reply_receive(&mut self, server: ThreadSlot, id: u64) {
        if !self.reply_directly(server, id) {
            // What became of it, the world knows.
            let _ = self.reply(server, id);
            self.receive(server);
        }
    }

    /// Replies to a call that the process has received.
    pub(super) fn reply(&mut self, server: ThreadSlot, id: u64) -> Result<(), NotWaiting> {
        let token = self.token(server, id);
        let result = self.reply_to(server, token, id);
        let call = &self.machine.calls[&id];
        let waits = !call.timed_out && !call.client_over && call.outcome.is_none();
        assert!(result.is_ok() || !waits, "the reply to {id} is refused");
        result
    }

    pub(super) fn token(&self, server: ThreadSlot, id: u64) -> Token {
        let tokens = &self.machine.processes[&server].tokens;
        tokens.iter().find(|&&(_, its)| its == id).expect("a token").0
    }

    /// Replies to call `id` with any token.
    pub(super) fn reply_to(
        &mut self,
        server: ThreadSlot,
        token: Token,
        id: u64,
    ) -> Result<(), NotWaiting> {
        let cpu = self.cpu(server);
        let message = reply_message(id);
        self.machine.replying = Some((id, server));
        let result = self.on(cpu, |ipc, side| {
            let result = ipc.reply(server, token, message, side);
            side.machine.replied(id, server, result.is_ok());
            result
        });
        self.machine.replying = None;
        result
    }

    pub(super) fn send(&mut self, sender: ThreadSlot, ask: Ask) -> Result<u64, SendError> {
        let id = self.number();
        let Ask { endpoint, on_restart, .. } = ask;
        let process = self.process(sender);
        let generation = process.known[endpoint.index()];
        let (cpu, priority) = (process.cpu, process.effective);
        let badge = id as u32 ^ 0x3333_0000;
        let options = CallOptions { endpoint, generation, on_restart, badge };
        self.machine.endpoints[endpoint.index()].waits += 1;
        self.machine.sends.insert(id, SendRecord::new(options));
        let message = Message::of([id, 3, 4, !id]);
        let result = self.on(cpu, |ipc, side| ipc.send(priority, options, &message, side));
        if let Err(send_error) = result {
            self.machine.unsent(id);
            self.check_bounds(options, send_error);
            if let SendError::Restarted { generation } = send_error {
                self.process(sender).known[endpoint.index()] = generation;
            }
        }
        result.map(|()| id)
    }

    /// The kernel raises bits.
    pub(super) fn notify(&mut self, cpu: CpuIndex, endpoint: EndpointId, bits: u64) {
        self.raise(cpu, endpoint, bits, Priority::HIGHEST);
    }

    /// A process of this priority raises bits.
    pub(super) fn raise(
        &mut self,
        cpu: CpuIndex,
        endpoint: EndpointId,
        bits: u64,
        priority: Priority,
    ) {
        let waiting = &mut self.machine.endpoints[endpoint.index()].bits;
        let raised = Raised::new(bits, priority);
        let is_news = raised.is_news(*waiting);
        *waiting = Raised(waiting.0 | raised.0);
        // Else the process that has raised the first one tells.
        if is_news {
            self.on(cpu, |ipc, side| ipc.notify(endpoint, side));
        }
    }

    pub(super) fn time_out(&mut self, client: ThreadSlot) {
        if let Doing::Calls(id) = self.process(client).doing {
            self.machine.calls.get_mut(&id).expect("a call").timed_out = true;
        }
        let cpu = self.cpu(client);
        self.on(cpu, |ipc, side| ipc.time_out(client, side));
    }

    /// How a call has ended.
    pub(super) fn outcome(&self, id: u64) -> Option<CallOutcome> {
        self.machine.calls[&id].outcome
    }

    pub(super) fn is_replied(&self, id: u64) -> bool {
        matches!(self.outcome(id), Some(CallOutcome::Reply(message)) if message.words[0] == id)
    }

    // What is on its way.

    /// Delivers the next thing on its way from CPU to CPU.
    pub(super) fn deliver(&mut self, from: CpuIndex, to: CpuIndex) -> bool {
        let ring = &mut self.machine.rings[from.index()][to.index()];
        let Some(item) = ring.pop_front() else { return false };
        self.arrive(from, to, item);
        true
    }

    /// Delivers all that is on its way, and what comes of it.
    pub(super) fn drain(&mut self) {
        let cpus = CpuIndex::all().take(self.stations.len());
        for _ in 0..10_000 {
            let mut pairs = cpus.clone().flat_map(|from| cpus.clone().map(move |to| (from, to)));
            if !pairs.any(|(from, to)| self.deliver(from, to)) {
                return self.check_drained();
            }
        }
        panic!("packets without end");
    }

    fn arrive(&mut self, from: CpuIndex, cpu: CpuIndex, item: Item) {
        match item {
            Item::Packet(words) => {
                if !self.take_directly(from, cpu, &words) {
                    let packet = Packet::decode(&words).expect("a packet");
                    self.on(cpu, |ipc, side| ipc.take(from, packet, side));
                }
            }
            Item::Rebound(endpoint) => self.receiver_changed(cpu, endpoint),
            Item::Enter { slot, endpoint } => self.enter(cpu, slot, endpoint),
        }
    }

    fn receiver_changed(&mut self, cpu: CpuIndex, endpoint: EndpointId) {
        let target = self.machine.endpoints[endpoint.index()].target;
        let is_here = |cpu, slot| self.cpu(slot) == cpu && self.doing(slot) != Some(Doing::Moves);
        let bound = match target {
            Target::Bound { cpu: there, server } => {
                (there == cpu && is_here(cpu, server)).then_some(server)
            }
            _ => None,
        };
        self.on(cpu, |ipc, side| {
            if let Some(server) = bound {
                ipc.bind(server, endpoint);
            }
            ipc.receiver_changed(endpoint, side);
            // Bits may wait there.
            ipc.notify(endpoint, side);
        });
    }

    fn enter(&mut self, cpu: CpuIndex, slot: ThreadSlot, endpoint: Option<EndpointId>) {
        let process = self.process(slot);
        process.doing = Doing::Runs;
        let base = process.base;
        self.on(cpu, |ipc, side| {
            ipc.enter(slot, base, endpoint);
            let process = side.machine.processes.get_mut(&slot).expect("a process");
            process.effective = ipc.priority(slot);
            // Another may receive there by now.
            if let Some(endpoint) = endpoint {
                ipc.receiver_changed(endpoint, side);
            }
        });
    }
}
