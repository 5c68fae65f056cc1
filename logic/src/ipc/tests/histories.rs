//! Long histories of a few processes, endpoints and CPUs: the world checks each step.

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use ant_abi::ipc::Transfer;
use ant_abi::{CpuIndex, EndpointId, Priority, ThreadSlot};

use super::world::{Ask, Doing, ENDPOINTS, World, endpoints};
use crate::ipc::{OnRestart, Target, Token};
use crate::test_ids::{cpu_no, endpoint_no, priorities, priority_no, slot_no};

/// Few, so that they meet; the first and the last.
const SLOTS: [ThreadSlot; 7] =
    [slot_no(0), slot_no(1), slot_no(2), slot_no(3), slot_no(4), slot_no(126), slot_no(127)];

/// Numbers of threads, CPUs and endpoints are taken modulo how many there are to choose from.
#[derive(Clone, Debug)]
enum Step {
    Spawn { cpu: usize, priority: Priority },
    Assign { by: usize, endpoint: EndpointId, thread: u8 },
    Unbind { by: usize, endpoint: EndpointId },
    Close { by: usize, endpoint: EndpointId },
    Renew { by: usize, endpoint: EndpointId, thread: u8 },
    Call { thread: u8, ask: Ask },
    Receive { thread: u8 },
    StopReceiving { thread: u8 },
    Reply { thread: u8, which: u8, and_receive: bool },
    Forge { thread: u8, client: u8, flip: u8 },
    Send { thread: u8, ask: Ask },
    Notify { cpu: usize, endpoint: EndpointId, bits: u64, priority: Priority },
    TimeOut { thread: u8 },
    End { thread: u8 },
    SetBase { thread: u8, priority: Priority },
    Move { thread: u8, to: usize },
    Deliver { from: usize, to: usize },
    Drain,
}

fn endpoint() -> impl Strategy<Value = EndpointId> {
    (0..ENDPOINTS).prop_map(endpoint_no)
}

fn ask() -> impl Strategy<Value = Ask> {
    let transfer = prop_oneof![
        2 => Just(None),
        2 => Just(Some(Transfer::LendWrite)),
        1 => Just(Some(Transfer::LendRead)),
        1 => Just(Some(Transfer::HandOver)),
    ];
    let on_restart = prop_oneof![Just(OnRestart::Fail), Just(OnRestart::Wait)];
    (endpoint(), on_restart, transfer).prop_map(|(endpoint, on_restart, transfer)| Ask {
        endpoint,
        on_restart,
        transfer,
    })
}

fn usual_step() -> impl Strategy<Value = Step> {
    let thread = any::<u8>;
    prop_oneof![
        10 => (thread(), ask()).prop_map(|(thread, ask)| Step::Call { thread, ask }),
        10 => thread().prop_map(|thread| Step::Receive { thread }),
        7 => (thread(), any::<u8>(), any::<bool>())
            .prop_map(|(thread, which, and_receive)| Step::Reply { thread, which, and_receive }),
        3 => (thread(), ask()).prop_map(|(thread, ask)| Step::Send { thread, ask }),
        3 => (0..3_usize, endpoint(), 0..20_u32, priorities()).prop_map(
            |(cpu, endpoint, bit, priority)| {
                // One time in twenty none.
                let bits = 1_u64 << bit & !1;
                Step::Notify { cpu, endpoint, bits, priority }
            }
        ),
        25 => (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Deliver { from, to }),
        1 => Just(Step::Drain),
    ]
}

fn rare_step() -> impl Strategy<Value = Step> {
    let thread = any::<u8>;
    let by = || (0..3_usize, endpoint());
    prop_oneof![
        8 => (0..3_usize, priorities()).prop_map(|(cpu, priority)| Step::Spawn { cpu, priority }),
        8 => (by(), thread()).prop_map(|((by, endpoint), thread)| Step::Assign { by, endpoint, thread }),
        1 => by().prop_map(|(by, endpoint)| Step::Unbind { by, endpoint }),
        1 => (by(), 0..5_u8).prop_map(|((by, endpoint), chance)| match chance {
            0 => Step::Close { by, endpoint },
            _ => Step::Drain,
        }),
        2 => (by(), thread()).prop_map(|((by, endpoint), thread)| Step::Renew { by, endpoint, thread }),
        6 => thread().prop_map(|thread| Step::TimeOut { thread }),
        3 => thread().prop_map(|thread| Step::StopReceiving { thread }),
        3 => (thread(), thread(), 0..80_u8)
            .prop_map(|(thread, client, flip)| Step::Forge { thread, client, flip }),
        4 => thread().prop_map(|thread| Step::End { thread }),
        3 => (thread(), priorities()).prop_map(|(thread, priority)| Step::SetBase { thread, priority }),
        3 => (thread(), 0..3_usize).prop_map(|(thread, to)| Step::Move { thread, to }),
    ]
}

fn history() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(prop_oneof![3 => usual_step(), 1 => rare_step()], 0..250)
}

impl World {
    /// The process with this number among those for which `fits`.
    fn choose(&self, number: u8, fits: impl Fn(ThreadSlot, Doing) -> bool) -> Option<ThreadSlot> {
        let doing = |&slot: &ThreadSlot| self.doing(slot).is_some_and(|doing| fits(slot, doing));
        let fitting: Vec<ThreadSlot> = SLOTS.iter().copied().filter(doing).collect();
        (!fitting.is_empty()).then(|| fitting[usize::from(number) % fitting.len()])
    }

    fn running(&self, number: u8) -> Option<ThreadSlot> {
        self.choose(number, |_, doing| doing == Doing::Runs)
    }

    fn lives(&self, number: u8) -> Option<ThreadSlot> {
        self.choose(number, |_, doing| !matches!(doing, Doing::Leaves | Doing::Moves))
    }

    /// Does a step, if it makes sense.
    fn step(&mut self, step: &Step, cpus: usize) {
        match *step {
            Step::Spawn { cpu, priority } => self.spawn_somewhere(cpu_no(cpu % cpus), priority),
            Step::Deliver { from, to } => {
                self.deliver(cpu_no(from % cpus), cpu_no(to % cpus));
            }
            Step::Drain => self.drain(),
            Step::Notify { cpu, endpoint, bits, priority } => {
                self.raise(cpu_no(cpu % cpus), endpoint, bits, priority)
            }
            Step::Assign { by, endpoint, thread } => {
                self.assign_some(cpu_no(by % cpus), endpoint, thread)
            }
            Step::Unbind { by, endpoint } => {
                if self.is_open(endpoint) {
                    self.assign(cpu_no(by % cpus), endpoint, None);
                }
            }
            Step::Close { by, endpoint } => self.close(cpu_no(by % cpus), endpoint),
            Step::Renew { by, endpoint, thread } => {
                // At once, with the old one's messages on their way.
                self.close(cpu_no(by % cpus), endpoint);
                self.open_again(endpoint);
                self.assign_some(cpu_no(by % cpus), endpoint, thread);
            }
            Step::Move { thread, to } => {
                let Some(slot) = self.lives(thread) else { return };
                if self.is_quiet(slot) && self.machine.processes[&slot].cpu != cpu_no(to % cpus) {
                    self.depart(slot, cpu_no(to % cpus));
                }
            }
            _ => {
                self.step_of_process(step);
            }
        }
    }

    fn step_of_process(&mut self, step: &Step) -> Option<()> {
        match *step {
            Step::Call { thread, ask } => {
                let client = self.running(thread)?;
                self.call(client, ask);
            }
            Step::Send { thread, ask } => {
                let sender = self.running(thread)?;
                // What became of it, the world knows.
                let _ = self.send(sender, ask);
            }
            Step::Receive { thread } => {
                let server = self.running(thread)?;
                self.receive(server);
            }
            Step::StopReceiving { thread } => {
                let server = self.choose(thread, |_, doing| doing == Doing::Receives)?;
                self.stop_receiving(server);
            }
            Step::Reply { thread, which, and_receive } => {
                self.reply_some(thread, which, and_receive)?;
            }
            Step::Forge { thread, client, flip } => self.forge(thread, client, flip)?,
            Step::TimeOut { thread } => {
                let waits = |_, doing| matches!(doing, Doing::Calls(_) | Doing::Leaves);
                let client = self.choose(thread, waits)?;
                self.time_out(client);
            }
            Step::End { thread } => {
                let slot = self.lives(thread)?;
                self.end(slot);
            }
            Step::SetBase { thread, priority } => {
                let slot = self.lives(thread)?;
                self.set_base(slot, priority);
            }
            _ => unreachable!(),
        }
        Some(())
    }

    fn is_open(&self, endpoint: EndpointId) -> bool {
        self.machine.endpoints[endpoint.index()].target != Target::Closed
    }

    fn spawn_somewhere(&mut self, cpu: CpuIndex, priority: Priority) {
        let free = SLOTS.iter().find(|&&slot| self.doing(slot).is_none());
        if let Some(&slot) = free {
            self.spawn(slot, cpu, priority);
        }
    }

    fn assign_some(&mut self, by: CpuIndex, endpoint: EndpointId, thread: u8) {
        let slot = self.choose(thread, |slot, _| self.is_free(slot));
        if let Some(slot) = slot.filter(|_| self.is_open(endpoint)) {
            self.assign(by, endpoint, Some(slot));
        }
    }

    /// A server that has received a call replies to it.
    fn reply_some(&mut self, thread: u8, which: u8, and_receive: bool) -> Option<()> {
        let has_some = |slot| !self.machine.processes[&slot].tokens.is_empty();
        let server = self.choose(thread, |slot, doing| doing == Doing::Runs && has_some(slot))?;
        let tokens = &mut self.machine.processes.get_mut(&server)?.tokens;
        let (_, id) = tokens[usize::from(which) % tokens.len()];
        if and_receive {
            self.reply_receive(server, id);
        } else {
            // What became of it, the world knows.
            let _ = self.reply(server, id);
        }
        // It has had its reply, or no client waits for one.
        self.machine.processes.get_mut(&server)?.tokens.retain(|&(_, its)| its != id);
        Some(())
    }

    /// A process replies to what another has received, or with a token that is not quite one.
    fn forge(&mut self, thread: u8, client: u8, flip: u8) -> Option<()> {
        let server = self.running(thread)?;
        let other = self.choose(client, |_, _| true)?;
        let &(token, id) = self.machine.processes[&other].tokens.last()?;
        let token = Token(token.0 ^ 1_u64.checked_shl(flip.into()).unwrap_or(0));
        let its = &self.machine.processes[&server].tokens;
        if its.iter().all(|&(its, _)| its != token) {
            assert!(self.reply_to(server, token, id).is_err());
        }
        Some(())
    }
}

fn live_through(cpus: usize, steps: &[Step]) {
    let mut world = populated(cpus);
    for step in steps {
        world.step(step, cpus);
    }
    world.finish();
}

/// Something to begin with: a server at each endpoint but the last, and two clients.
fn populated(cpus: usize) -> World {
    let mut world = World::new(cpus);
    for (slot, endpoint) in SLOTS.into_iter().zip(endpoints().take(ENDPOINTS - 1)) {
        let number = slot.index();
        world.serve(slot, cpu_no(number % cpus), priority_no(number % 3), endpoint);
    }
    for slot in &SLOTS[5..] {
        let number = slot.index();
        world.spawn(*slot, cpu_no(number % cpus), priority_no(number % 5));
    }
    world
}

/// Lives through the same in two worlds, in one of them with the direct way.
fn live_twice(cpus: usize, steps: &[Step]) {
    let mut world = populated(cpus);
    let mut other = populated(cpus);
    other.goes_directly = true;
    for step in steps {
        world.step(step, cpus);
        other.step(step, cpus);
        assert!(other.is_like(&world), "{step:?} makes a difference");
    }
    world.finish();
    other.finish();
}

/// Histories for each test, unless `PROPTEST_CASES` says how many: each is long.
const CASES: u32 = 150;

fn config() -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = ProptestConfig::default();
    if told { usual } else { ProptestConfig { cases: CASES, ..usual } }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn on_one_cpu(steps in history()) {
        live_through(1, &steps);
    }

    #[test]
    fn on_two_cpus(steps in history()) {
        live_through(2, &steps);
    }

    #[test]
    fn with_the_direct_way(steps in history(), cpus in 1..4_usize) {
        live_twice(cpus, &steps);
    }

    #[test]
    fn on_three_cpus(steps in history()) {
        live_through(3, &steps);
    }
}
