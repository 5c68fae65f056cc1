//! Long histories of one server, its processes and its commands: the world checks each step.

use proptest::prelude::*;
use std::vec::Vec;

use ant_abi::control::ReportedState;

use super::world::{Failing, HEARTBEAT, Process, World};
use crate::supervise::ANSWER_US;

/// Numbers of processes are taken modulo how many there are to choose from.
#[derive(Clone, Debug)]
enum Step {
    Pass { us: u64 },
    Late { us: u64 },
    Ready { number: u8 },
    End { number: u8 },
    Tell,
    Reap,
    Heartbeat,
    Command { program: Option<u8> },
    Fail { how: Failing },
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_000_u64, 0..200_000_u64, 0..3_000_000_u64]
}

fn failing() -> impl Strategy<Value = Failing> {
    let ways = any::<[bool; 9]>();
    ways.prop_map(|[create, run, open, bind, grant, heartbeat, copy, forget, no_device]| Failing {
        create,
        run,
        open,
        bind,
        grant,
        heartbeat,
        copy,
        forget,
        no_device,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => time().prop_map(|us| Step::Pass { us }),
        1 => time().prop_map(|us| Step::Late { us }),
        10 => any::<u8>().prop_map(|number| Step::Ready { number }),
        4 => any::<u8>().prop_map(|number| Step::End { number }),
        6 => Just(Step::Tell),
        6 => Just(Step::Reap),
        4 => Just(Step::Heartbeat),
        6 => prop::option::of(2..9_u8).prop_map(|program| Step::Command { program }),
        2 => failing().prop_map(|how| Step::Fail { how }),
        3 => Just(Step::Fail { how: Failing::default() }),
    ]
}

impl World {
    /// The process with this number among those for which `fits`.
    fn choose(&self, number: u8, fits: impl Fn(u32, &Process) -> bool) -> Option<u32> {
        let fitting = self.host.processes.iter().filter(|&(&pid, one)| fits(pid, one));
        let fitting: Vec<u32> = fitting.map(|(&pid, _)| pid).collect();
        (!fitting.is_empty()).then(|| fitting[usize::from(number) % fitting.len()])
    }

    /// One that can say that it is ready, whether or not that makes sense.
    fn can_be_ready(&self, number: u8) -> Option<u32> {
        self.choose(number, |pid, one| {
            one.runs && !one.waits && !one.ended && self.server.owns(pid)
        })
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass { us } => self.pass(us),
            Step::Late { us } => self.late(us),
            Step::Ready { number } => {
                if let Some(pid) = self.can_be_ready(number) {
                    self.ready(pid);
                }
            }
            Step::End { number } => {
                if let Some(pid) = self.choose(number, |_, one| one.runs && !one.ended) {
                    self.host.end(pid);
                }
            }
            Step::Tell => self.tell(),
            Step::Reap => self.reap(),
            Step::Heartbeat => self.heartbeat(),
            Step::Command { program } => drop(self.command(program)),
            Step::Fail { how } => self.host.failing = how,
        }
    }

    /// Every process does as it should for so long that whatever was begun is over.
    fn calm_down(&mut self) {
        self.host.failing = Failing::default();
        for _ in 0..ANSWER_US * 2 / 100_000 {
            self.reap();
            self.heartbeat();
            while let Some(pid) = self.choose(0, |pid, one| {
                one.runs && !one.waits && !one.start_granted && self.server.owns(pid)
            }) {
                self.ready(pid);
                let one = self.host.processes[&pid];
                assert!(one.waits || one.start_granted, "{pid} was refused");
            }
            self.pass(100_000);
        }
        self.reap();
        assert!(!self.server.has_command());
        let serves = self.server.reported_state() == ReportedState::Serves
            && !self.server.is_being_replaced();
        assert!(serves || self.server.reported_state() == ReportedState::GivenUp);
        assert_eq!(self.host.processes.len(), usize::from(serves), "a process has leaked");
        assert_eq!(self.host.bound, self.server.pid());
    }
}

/// `PROPTEST_CASES` can ask for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(1_000), ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_command_has_one_answer_and_nothing_leaks(
        steps in prop::collection::vec(step(), 0..120),
        watched in any::<bool>(),
    ) {
        let mut world = World::new(watched.then_some(HEARTBEAT));
        steps.iter().for_each(|step| world.step(step));
        world.calm_down();
        // It can be had back, whatever has been.
        prop_assert_eq!(world.command(None), Ok(()));
        world.calm_down();
        prop_assert_eq!((world.answered, world.server.reported_state()), (Some(Ok(())), ReportedState::Serves));
    }
}
