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

/// Numbers of processes, CPUs and endpoints are taken modulo how many there are to choose from.
#[derive(Clone, Debug)]
enum Step {
    Spawn { cpu: usize, priority: Priority },
    Assign { by: usize, endpoint: EndpointId, who: u8 },
    Unbind { by: usize, endpoint: EndpointId },
    Close { by: usize, endpoint: EndpointId },
    Renew { by: usize, endpoint: EndpointId, who: u8 },
    Call { who: u8, ask: Ask },
    Receive { who: u8 },
    StopReceiving { who: u8 },
    Reply { who: u8, which: u8, and_receive: bool },
    Forge { who: u8, whose: u8, flip: u8 },
    Send { who: u8, ask: Ask },
    Notify { cpu: usize, endpoint: EndpointId, bit: u8 },
    TimeOut { who: u8 },
    End { who: u8 },
    SetBase { who: u8, priority: Priority },
    Move { who: u8, to: usize },
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
    let who = any::<u8>;
    prop_oneof![
        10 => (who(), ask()).prop_map(|(who, ask)| Step::Call { who, ask }),
        10 => who().prop_map(|who| Step::Receive { who }),
        7 => (who(), any::<u8>(), any::<bool>())
            .prop_map(|(who, which, and_receive)| Step::Reply { who, which, and_receive }),
        3 => (who(), ask()).prop_map(|(who, ask)| Step::Send { who, ask }),
        3 => (0..3_usize, endpoint(), 0..20_u8)
            .prop_map(|(cpu, endpoint, bit)| Step::Notify { cpu, endpoint, bit }),
        25 => (0..3_usize, 0..3_usize).prop_map(|(from, to)| Step::Deliver { from, to }),
        1 => Just(Step::Drain),
    ]
}

fn rare_step() -> impl Strategy<Value = Step> {
    let who = any::<u8>;
    let by = || (0..3_usize, endpoint());
    prop_oneof![
        8 => (0..3_usize, priorities()).prop_map(|(cpu, priority)| Step::Spawn { cpu, priority }),
        8 => (by(), who()).prop_map(|((by, endpoint), who)| Step::Assign { by, endpoint, who }),
        1 => by().prop_map(|(by, endpoint)| Step::Unbind { by, endpoint }),
        1 => (by(), 0..5_u8).prop_map(|((by, endpoint), chance)| match chance {
            0 => Step::Close { by, endpoint },
            _ => Step::Drain,
        }),
        2 => (by(), who()).prop_map(|((by, endpoint), who)| Step::Renew { by, endpoint, who }),
        6 => who().prop_map(|who| Step::TimeOut { who }),
        3 => who().prop_map(|who| Step::StopReceiving { who }),
        3 => (who(), who(), 0..80_u8)
            .prop_map(|(who, whose, flip)| Step::Forge { who, whose, flip }),
        4 => who().prop_map(|who| Step::End { who }),
        3 => (who(), priorities()).prop_map(|(who, priority)| Step::SetBase { who, priority }),
        3 => (who(), 0..3_usize).prop_map(|(who, to)| Step::Move { who, to }),
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
            Step::Notify { cpu, endpoint, bit } => {
                self.notify(cpu_no(cpu % cpus), endpoint, 1 << bit)
            }
            Step::Assign { by, endpoint, who } => {
                self.assign_some(cpu_no(by % cpus), endpoint, who)
            }
            Step::Unbind { by, endpoint } => {
                if self.is_open(endpoint) {
                    self.assign(cpu_no(by % cpus), endpoint, None);
                }
            }
            Step::Close { by, endpoint } => self.close(cpu_no(by % cpus), endpoint),
            Step::Renew { by, endpoint, who } => {
                // At once, with the old one's messages on their way.
                self.close(cpu_no(by % cpus), endpoint);
                self.open_again(endpoint);
                self.assign_some(cpu_no(by % cpus), endpoint, who);
            }
            Step::Move { who, to } => {
                let Some(slot) = self.lives(who) else { return };
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
            Step::Call { who, ask } => {
                let client = self.running(who)?;
                self.call(client, ask);
            }
            Step::Send { who, ask } => {
                let sender = self.running(who)?;
                // What became of it, the world knows.
                let _ = self.send(sender, ask);
            }
            Step::Receive { who } => {
                let server = self.running(who)?;
                self.receive(server);
            }
            Step::StopReceiving { who } => {
                let server = self.choose(who, |_, doing| doing == Doing::Receives)?;
                self.stop_receiving(server);
            }
            Step::Reply { who, which, and_receive } => {
                self.reply_some(who, which, and_receive)?;
            }
            Step::Forge { who, whose, flip } => self.forge(who, whose, flip)?,
            Step::TimeOut { who } => {
                let waits = |_, doing| matches!(doing, Doing::Calls(_) | Doing::Leaves);
                let client = self.choose(who, waits)?;
                self.time_out(client);
            }
            Step::End { who } => {
                let slot = self.lives(who)?;
                self.end(slot);
            }
            Step::SetBase { who, priority } => {
                let slot = self.lives(who)?;
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

    fn assign_some(&mut self, by: CpuIndex, endpoint: EndpointId, who: u8) {
        let slot = self.choose(who, |slot, _| self.is_free(slot));
        if let Some(slot) = slot.filter(|_| self.is_open(endpoint)) {
            self.assign(by, endpoint, Some(slot));
        }
    }

    /// A server that has received a call replies to it.
    fn reply_some(&mut self, who: u8, which: u8, and_receive: bool) -> Option<()> {
        let has_some = |slot| !self.machine.processes[&slot].tokens.is_empty();
        let server = self.choose(who, |slot, doing| doing == Doing::Runs && has_some(slot))?;
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
    fn forge(&mut self, who: u8, whose: u8, flip: u8) -> Option<()> {
        let server = self.running(who)?;
        let other = self.choose(whose, |_, _| true)?;
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
