//! Long histories of one server, its processes and the orders that it gets: the world checks each step.

use proptest::prelude::*;
use std::vec::Vec;

use ant_abi::control::{SERVER_GIVEN_UP, SERVER_SERVES};

use super::world::{Failing, Process, WATCH, World};
use crate::server::ANSWER_US;

/// Numbers of processes are taken modulo how many there are to choose from.
#[derive(Clone, Debug)]
enum Step {
    Pass { us: u64 },
    Late { us: u64 },
    Ready { who: u8 },
    End { who: u8 },
    Tell,
    Reap,
    ShowLife,
    Order { program: Option<u8> },
    Fail { how: Failing },
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![0..2_000_u64, 0..200_000_u64, 0..3_000_000_u64]
}

fn failing() -> impl Strategy<Value = Failing> {
    let ways = any::<[bool; 9]>();
    ways.prop_map(|[create, run, open, bind, grant, ask, room, forget, no_device]| Failing {
        create,
        run,
        open,
        bind,
        grant,
        ask,
        room,
        forget,
        no_device,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => time().prop_map(|us| Step::Pass { us }),
        1 => time().prop_map(|us| Step::Late { us }),
        10 => any::<u8>().prop_map(|who| Step::Ready { who }),
        4 => any::<u8>().prop_map(|who| Step::End { who }),
        6 => Just(Step::Tell),
        6 => Just(Step::Reap),
        4 => Just(Step::ShowLife),
        6 => prop::option::of(2..9_u8).prop_map(|program| Step::Order { program }),
        2 => failing().prop_map(|how| Step::Fail { how }),
        3 => Just(Step::Fail { how: Failing::default() }),
    ]
}

impl World {
    /// The process with this number among those for which `fits`.
    fn choose(&self, number: u8, fits: impl Fn(u32, &Process) -> bool) -> Option<u32> {
        let fitting = self.machine.processes.iter().filter(|&(&pid, one)| fits(pid, one));
        let fitting: Vec<u32> = fitting.map(|(&pid, _)| pid).collect();
        (!fitting.is_empty()).then(|| fitting[usize::from(number) % fitting.len()])
    }

    /// One that can say that it is ready, whether or not that makes sense.
    fn can_be_ready(&self, number: u8) -> Option<u32> {
        self.choose(number, |pid, one| one.runs && !one.waits && !one.ended && self.life.has(pid))
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Pass { us } => self.pass(us),
            Step::Late { us } => self.late(us),
            Step::Ready { who } => {
                if let Some(pid) = self.can_be_ready(who) {
                    self.ready(pid);
                }
            }
            Step::End { who } => {
                if let Some(pid) = self.choose(who, |_, one| one.runs && !one.ended) {
                    self.machine.end(pid);
                }
            }
            Step::Tell => self.tell(),
            Step::Reap => self.reap(),
            Step::ShowLife => self.show_life(),
            Step::Order { program } => drop(self.order(program)),
            Step::Fail { how } => self.machine.failing = how,
        }
    }

    /// Everybody does as they should for so long that whatever was begun is over.
    fn calm_down(&mut self) {
        self.machine.failing = Failing::default();
        for _ in 0..ANSWER_US * 2 / 100_000 {
            self.reap();
            self.show_life();
            while let Some(pid) = self
                .choose(0, |pid, one| one.runs && !one.waits && !one.welcomed && self.life.has(pid))
            {
                self.ready(pid);
                let one = self.machine.processes[&pid];
                assert!(one.waits || one.welcomed, "{pid} was refused");
            }
            self.pass(100_000);
        }
        self.reap();
        assert!(!self.life.is_ordered());
        let serves = self.life.shown() == SERVER_SERVES && !self.life.is_being_replaced();
        assert!(serves || self.life.shown() == SERVER_GIVEN_UP);
        assert_eq!(self.machine.processes.len(), usize::from(serves), "a process has leaked");
        assert_eq!(self.machine.bound, self.life.pid());
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
    fn an_order_has_one_answer_and_nothing_leaks(
        steps in prop::collection::vec(step(), 0..120),
        watched in any::<bool>(),
    ) {
        let mut world = World::new(watched.then_some(WATCH));
        steps.iter().for_each(|step| world.step(step));
        world.calm_down();
        // It can be had back, whatever has been.
        prop_assert_eq!(world.order(None), Ok(()));
        world.calm_down();
        prop_assert_eq!((world.answered, world.life.shown()), (Some(Ok(())), SERVER_SERVES));
    }
}
