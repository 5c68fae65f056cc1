//! Processes, endpoints and rings. Each call and each message that was sent has a record, which
//! says what may still happen to it.

use std::collections::{BTreeMap, VecDeque};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::ipc::IpcHost;

/// What a process is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Doing {
    Runs,
    Receives,
    Calls(u64),
    Leaves,
    /// It is between two CPUs.
    Moves,
}

pub(in super::super) struct Process {
    pub(in super::super) cpu: CpuIndex,
    pub(in super::super) doing: Doing,
    pub(in super::super) base: Priority,
    pub(super) effective: Priority,
    /// Generation of the endpoint at which it receives or received.
    pub(super) generation: Generation,
    /// Generations of the endpoints, as its handles have them.
    pub(super) known: Vec<Generation>,
    /// Its calls that it has not replied to successfully.
    pub(in super::super) tokens: Vec<(Token, u64)>,
    pub(super) got: VecDeque<Received>,
}

impl Process {
    pub(super) fn new(cpu: CpuIndex, priority: Priority, endpoints: &[Endpoint]) -> Self {
        Self {
            cpu,
            doing: Doing::Runs,
            base: priority,
            effective: priority,
            generation: Generation::UNKNOWN,
            known: endpoints.iter().map(|endpoint| endpoint.generation).collect(),
            tokens: Vec::new(),
            got: VecDeque::new(),
        }
    }
}

pub(in super::super) struct Endpoint {
    pub(in super::super) target: Target,
    pub(in super::super) generation: Generation,
    /// Its first generation: those before were another's.
    pub(super) first_generation: Generation,
    pub(in super::super) bits: Raised,
    /// Messages sent that wait.
    pub(super) waits: usize,
}

impl Endpoint {
    /// Another receives.
    pub(super) fn turn(&mut self, target: Target) {
        if matches!(self.target, Target::Bound { .. }) {
            self.generation = self.generation.next();
        }
        self.target = target;
    }

    /// Another endpoint has this number.
    pub(super) fn begin_again(&mut self) {
        assert_eq!(self.target, Target::Closed);
        self.generation = self.generation.next();
        self.first_generation = self.generation;
        self.target = Target::Unbound;
        self.bits = Raised::NONE;
    }

    /// Whether a message for generation `meant` is not for the endpoint of a server of generation
    /// `its`, but for another one of its number.
    fn divides(&self, meant: Generation, its: Generation) -> bool {
        meant.is_before(self.first_generation) && !its.is_before(self.first_generation)
    }
}

/// What is on its way from CPU to CPU.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Item {
    Packet([u64; 8]),
    Rebound(EndpointId),
    Enter { slot: ThreadSlot, endpoint: Option<EndpointId> },
}

pub(in super::super) struct CallRecord {
    pub(super) client: ThreadSlot,
    pub(super) options: CallOptions,
    pub(super) transfer: Option<Transfer>,
    /// The server that has received it.
    pub(super) server: Option<ThreadSlot>,
    /// The server has ended.
    pub(super) server_over: bool,
    /// The client has ended.
    pub(super) client_over: bool,
    pub(super) loan_over: bool,
    pub(super) timed_out: bool,
    pub(super) replied: bool,
    pub(super) reply_dropped: bool,
    pub(super) outcome: Option<CallOutcome>,
}

impl CallRecord {
    pub(super) fn new(
        client: ThreadSlot,
        options: CallOptions,
        transfer: Option<Transfer>,
    ) -> Self {
        Self {
            client,
            options,
            transfer,
            server: None,
            server_over: false,
            client_over: false,
            loan_over: false,
            timed_out: false,
            replied: false,
            reply_dropped: false,
            outcome: None,
        }
    }

    pub(super) fn lends(&self) -> bool {
        matches!(self.transfer, Some(Transfer::LendRead | Transfer::LendWrite))
    }

    /// Whether the server must not reach pages of it any more.
    pub(super) fn is_back(&self) -> bool {
        self.server.is_none() || !self.lends() || self.loan_over
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Received,
    Dropped,
}

pub(in super::super) struct SendRecord {
    pub(super) endpoint: EndpointId,
    pub(super) generation: Generation,
    pub(super) badge: u32,
    pub(super) fate: Fate,
}

impl SendRecord {
    pub(super) fn new(options: CallOptions) -> Self {
        let CallOptions { endpoint, generation, badge, .. } = options;
        Self { endpoint, generation, badge, fate: Fate::Open }
    }
}

pub(in super::super) struct Machine {
    /// From, to.
    pub(in super::super) rings: Vec<Vec<VecDeque<Item>>>,
    pub(in super::super) endpoints: Vec<Endpoint>,
    pub(in super::super) processes: BTreeMap<ThreadSlot, Process>,
    pub(super) calls: BTreeMap<u64, CallRecord>,
    pub(super) sends: BTreeMap<u64, SendRecord>,
    /// Bits that were taken and not yet received.
    pub(super) taken: u64,
    /// Processes of which nothing is to be left.
    pub(super) went: Vec<ThreadSlot>,
    /// The reply that is being given.
    pub(super) replying: Option<(u64, ThreadSlot)>,
}

impl Machine {
    pub(super) fn new(cpus: usize) -> Self {
        let endpoint = |_| Endpoint {
            target: Target::Unbound,
            generation: Generation::new(1),
            first_generation: Generation::new(1),
            bits: Raised::NONE,
            waits: 0,
        };
        Self {
            rings: vec![vec![VecDeque::new(); cpus]; cpus],
            endpoints: endpoints().map(endpoint).collect(),
            processes: BTreeMap::new(),
            calls: BTreeMap::new(),
            sends: BTreeMap::new(),
            taken: 0,
            went: Vec::new(),
            replying: None,
        }
    }

    fn call(&mut self, id: u64) -> &mut CallRecord {
        self.calls.get_mut(&id).expect("a call")
    }

    /// A process ends.
    pub(super) fn over(&mut self, slot: ThreadSlot) {
        let process = self.processes.get_mut(&slot).expect("a process");
        let doing = std::mem::replace(&mut process.doing, Doing::Leaves);
        if let Doing::Calls(id) = doing {
            self.call(id).client_over = true;
        }
        for call in self.calls.values_mut().filter(|call| call.server == Some(slot)) {
            call.server_over = true;
        }
    }

    pub(super) fn remove(&mut self, slot: ThreadSlot) {
        let process = self.processes.remove(&slot).expect("a process");
        assert_eq!(process.doing, Doing::Leaves);
        let mut its = self.calls.values().filter(|call| call.client == slot);
        assert!(its.all(CallRecord::is_back), "{slot} is gone and its pages are lent");
        self.went.push(slot);
    }

    /// A process gets something that it waits for.
    pub(super) fn take_in(&mut self, server: ThreadSlot, received: Received) {
        match received {
            Received::Notification(NOTIFY_RETIRE) if self.taken == 0 => {}
            Received::Notification(bits) => {
                assert_eq!(bits, std::mem::take(&mut self.taken), "for {server}");
                assert_ne!(bits, 0);
            }
            Received::Call { token, badge, message } => {
                self.take_call(server, token, badge, message);
            }
            Received::Send { badge, message } => {
                self.recompute(message.words[0], Fate::Received);
                let sent = &self.sends[&message.words[0]];
                assert_eq!(badge, sent.badge);
                let at = &self.endpoints[sent.endpoint.index()];
                assert!(!at.divides(sent.generation, self.processes[&server].generation));
                assert_eq!(message.words[3], !message.words[0]);
            }
        }
        let process = self.processes.get_mut(&server).expect("a process");
        assert_eq!(process.doing, Doing::Receives);
        process.doing = Doing::Runs;
        process.got.push_back(received);
    }

    fn take_call(&mut self, server: ThreadSlot, token: Token, badge: u32, message: Message) {
        let id = message.words[0];
        let call = self.call(id);
        assert_eq!(call.server.replace(server), None, "received twice");
        assert_eq!(call.outcome, None);
        assert_eq!((badge, token.client()), (call.options.badge, call.client));
        assert_eq!((message.words[3], message.handle), (!id, id << 1));
        assert_eq!(message.span.transfer(), call.transfer);
        let (client, is_over, options) = (call.client, call.client_over, call.options);
        let is_meant = self.processes[&server].generation == options.generation;
        assert!(
            is_meant || options.on_restart == OnRestart::Wait,
            "it was meant for another generation"
        );
        let at = &self.endpoints[options.endpoint.index()];
        assert!(!at.divides(options.generation, self.processes[&server].generation));
        assert!(is_over || self.processes[&client].doing == Doing::Calls(id));
        let tokens = &mut self.processes.get_mut(&server).expect("a process").tokens;
        assert!(tokens.iter().all(|&(its, _)| its != token));
        tokens.push((token, id));
    }

    /// A message that was sent waits no more.
    fn recompute(&mut self, id: u64, fate: Fate) {
        let sent = self.sends.get_mut(&id).expect("a message");
        assert_eq!(std::mem::replace(&mut sent.fate, fate), Fate::Open);
    }

    pub(super) fn unsent(&mut self, id: u64) {
        let sent = self.sends.remove(&id).expect("a message");
        assert_eq!(sent.fate, Fate::Open);
        self.endpoints[sent.endpoint.index()].waits -= 1;
    }

    /// A reply was given: it was to be taken if the call is the server's.
    pub(super) fn replied(&mut self, id: u64, server: ThreadSlot, is_taken: bool) {
        let call = self.call(id);
        if is_taken {
            assert_eq!(call.server, Some(server));
            assert!(!std::mem::replace(&mut call.replied, true), "replied twice");
            assert!(call.is_back(), "replied, and the pages are lent");
            let tokens = &mut self.processes.get_mut(&server).expect("a process").tokens;
            tokens.retain(|&(_, its)| its != id);
        }
    }

    /// Whether an outcome is one that the call may have.
    fn check_ending(&self, id: u64, outcome: CallOutcome) {
        let call = &self.calls[&id];
        let endpoint = &self.endpoints[call.options.endpoint.index()];
        let is_of_now = !call.options.generation.is_before(endpoint.first_generation);
        let is_replied = call.replied || self.replying.is_some_and(|(its, _)| its == id);
        assert_eq!(is_replied, matches!(outcome, CallOutcome::Reply(_)), "{outcome:?}");
        assert!(call.is_back(), "{outcome:?}, and the pages are lent");
        match outcome {
            CallOutcome::Reply(message) => assert_eq!(message.words[..2], [id, 0xfeed]),
            CallOutcome::Restarted { generation } => {
                assert_eq!(generation, endpoint.generation);
                assert!(is_of_now && endpoint.target != Target::Closed);
                assert_ne!(generation, call.options.generation);
                let is_served = call.server.is_some();
                assert!(
                    call.server_over || !is_served && call.options.on_restart == OnRestart::Fail
                );
            }
            CallOutcome::Closed => {
                assert!(!is_of_now || endpoint.target == Target::Closed);
                assert!(call.server_over || call.server.is_none());
            }
            CallOutcome::TimedOut => assert!(call.timed_out),
        }
    }
}

/// What one CPU sees of the machine.
pub(super) struct Side<'a> {
    pub(super) cpu: CpuIndex,
    pub(super) machine: &'a mut Machine,
}

impl Side<'_> {
    /// A process that is at this CPU.
    fn process(&mut self, slot: ThreadSlot) -> &mut Process {
        let process = self.machine.processes.get_mut(&slot).expect("a process");
        assert_ne!(process.doing, Doing::Moves, "process {slot} is not here yet");
        assert_eq!(process.cpu, self.cpu, "CPU of process {slot}");
        process
    }
}

impl IpcHost for Side<'_> {
    fn target(&self, endpoint: EndpointId) -> (Target, Generation) {
        let endpoint = &self.machine.endpoints[endpoint.index()];
        (endpoint.target, endpoint.generation)
    }

    fn first_generation(&self, endpoint: EndpointId) -> Generation {
        self.machine.endpoints[endpoint.index()].first_generation
    }

    fn post(&mut self, cpu: CpuIndex, packet: Packet) {
        assert_ne!(cpu, self.cpu);
        let ring = &mut self.machine.rings[self.cpu.index()][cpu.index()];
        ring.push_back(Item::Packet(packet.encode()));
    }

    fn ended(&mut self, client: ThreadSlot, outcome: CallOutcome) {
        let process = self.process(client);
        let Doing::Calls(id) = std::mem::replace(&mut process.doing, Doing::Runs) else {
            panic!("{client} does not call")
        };
        self.machine.check_ending(id, outcome);
        let call = self.machine.call(id);
        assert_eq!(call.outcome.replace(outcome), None);
        let endpoint = call.options.endpoint.index();
        if let CallOutcome::Restarted { generation } = outcome {
            self.process(client).known[endpoint] = generation;
        }
    }

    fn received(&mut self, server: ThreadSlot, received: Received) {
        self.process(server);
        self.machine.take_in(server, received);
    }

    fn set_priority(&mut self, slot: ThreadSlot, priority: Priority) {
        let cpu = self.cpu;
        let process = self.machine.processes.get_mut(&slot).expect("a process");
        if process.doing != Doing::Moves {
            assert_eq!(process.cpu, cpu);
            assert_ne!(process.effective, priority, "{slot} has this priority");
            process.effective = priority;
        }
    }

    fn bits(&self, endpoint: EndpointId) -> Raised {
        self.machine.endpoints[endpoint.index()].bits
    }

    fn take_bits(&mut self, endpoint: EndpointId) -> Raised {
        let bits = &mut self.machine.endpoints[endpoint.index()].bits;
        let raised = std::mem::replace(bits, Raised::NONE);
        self.machine.taken |= raised.bits();
        raised
    }

    fn send_dequeued(&mut self, endpoint: EndpointId) {
        self.machine.endpoints[endpoint.index()].waits -= 1;
    }

    fn dropped(&mut self, message: &Message) {
        let id = message.words[0];
        if message.words[1] == 0xfeed {
            let call = self.machine.call(id);
            assert!(call.client_over);
            assert!(!std::mem::replace(&mut call.reply_dropped, true));
        } else {
            self.machine.recompute(id, Fate::Dropped);
        }
    }

    fn loan_ends(&mut self, server: ThreadSlot, span: Span, how: LoanEnd) {
        self.process(server);
        let id = u64::from(span.first());
        let replies = self.machine.replying.is_some_and(|(its, _)| its == id);
        let call = self.machine.call(id);
        assert_eq!(how == LoanEnd::Revoked, !replies && !call.server_over);
        assert!(call.lends());
        assert_eq!((call.server, call.outcome), (Some(server), None));
        assert!(!std::mem::replace(&mut call.loan_over, true), "lent once, taken back twice");
    }

    fn gone(&mut self, slot: ThreadSlot) {
        self.process(slot);
        self.machine.remove(slot);
    }
}
