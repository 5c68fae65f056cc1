//! The run queue against a list, over histories.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const SLICE: u64 = 100;

#[test]
fn takes_turns() {
    let mut queue = RunQueue::new(SLICE);
    assert_eq!(queue.pick(0), None);
    assert_eq!(queue.deadline(), None);
    for id in [3, 1, 2] {
        queue.add(id);
    }
    assert_eq!(queue.pick(10), Some(3));
    assert_eq!(queue.deadline(), Some(110));
    assert_eq!(queue.pick(109), Some(3), "its slice is not over");
    assert_eq!(queue.pick(110), Some(1));
    assert_eq!(queue.pick(210), Some(2));
    assert_eq!(queue.pick(310), Some(3));
    assert_eq!(queue.len(), 3);
}

#[test]
fn one_alone_needs_no_timer() {
    let mut queue = RunQueue::new(SLICE);
    queue.add(5);
    assert_eq!(queue.pick(0), Some(5));
    assert_eq!(queue.deadline(), None);
    assert_eq!(queue.pick(1_000_000), Some(5));
    queue.add(6);
    assert_eq!(queue.deadline(), Some(1_000_100));
    assert_eq!(queue.block_current(), Some(5));
    assert_eq!(queue.current(), None);
    assert_eq!(queue.pick(1_000_050), Some(6));
    assert_eq!(queue.deadline(), None);
}

#[test]
fn who_came_after_a_long_time_alone_gets_the_core_at_once() {
    let mut queue = RunQueue::new(SLICE);
    queue.add(5);
    queue.pick(0);
    queue.add(6);
    assert_eq!(queue.deadline(), Some(100));
    assert_eq!(queue.pick(5_000), Some(6));
}

#[test]
fn yielding_goes_behind_the_others() {
    let mut queue = RunQueue::new(SLICE);
    queue.add(1);
    queue.add(2);
    queue.pick(0);
    queue.yield_current();
    assert_eq!(queue.len(), 2);
    assert_eq!(queue.pick(1), Some(2));
    queue.block_current();
    queue.yield_current();
    assert_eq!(queue.pick(2), Some(1));
    queue.yield_current();
    assert_eq!(queue.pick(3), Some(1), "nobody else is there");
}

#[test]
fn holds_every_slot() {
    let mut queue = RunQueue::new(SLICE);
    (0..MAX_PROCESSES as u8).for_each(|id| queue.add(id));
    (0..MAX_PROCESSES as u8).for_each(|id| queue.add(id));
    assert_eq!(queue.len(), MAX_PROCESSES);
    let order: Vec<_> = (0..MAX_PROCESSES as u64).map(|n| queue.pick(n * SLICE).unwrap()).collect();
    assert!(order.iter().enumerate().all(|(n, &id)| usize::from(id) == n));
    assert!(!queue.remove(200));
}

#[derive(Clone, Debug)]
enum Step {
    Add(u8),
    Remove(u8),
    Pick(u64),
    Yield,
    Block,
}

fn step() -> impl Strategy<Value = Step> {
    // Few slots, so that they meet, and the highest ones.
    let id = || prop_oneof![0..6_u8, 126..128_u8];
    prop_oneof![
        3 => id().prop_map(Step::Add),
        1 => id().prop_map(Step::Remove),
        4 => (0..2 * SLICE).prop_map(Step::Pick),
        1 => Just(Step::Yield),
        1 => Just(Step::Block),
    ]
}

/// The plain version: `line[0]` has the core if `running`.
#[derive(Default)]
struct Model {
    line: VecDeque<u8>,
    running: bool,
    since: u64,
}

impl Model {
    fn current(&self) -> Option<u8> {
        self.line.front().copied().filter(|_| self.running)
    }

    fn stop(&mut self) -> Option<u8> {
        std::mem::take(&mut self.running).then(|| self.line.pop_front().unwrap())
    }

    fn pick(&mut self, now: u64) {
        if self.running && now < self.since + SLICE {
            return;
        }
        if let Some(id) = self.stop() {
            self.line.push_back(id);
        }
        self.running = !self.line.is_empty();
        self.since = now;
    }
}

proptest! {
    #[test]
    fn behaves_like_a_list(steps in prop::collection::vec(step(), 0..600)) {
        let mut queue = RunQueue::new(SLICE);
        let mut model = Model::default();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Add(id) => {
                    queue.add(id);
                    if !model.line.contains(&id) {
                        model.line.push_back(id);
                    }
                }
                Step::Remove(id) => {
                    prop_assert_eq!(queue.remove(id), model.line.contains(&id));
                    model.running &= model.line.front() != Some(&id);
                    model.line.retain(|&other| other != id);
                }
                Step::Pick(later) => {
                    now += later;
                    model.pick(now);
                    prop_assert_eq!(queue.pick(now), model.current());
                }
                Step::Yield => {
                    queue.yield_current();
                    if let Some(id) = model.stop() {
                        model.line.push_back(id);
                    }
                }
                Step::Block => prop_assert_eq!(queue.block_current(), model.stop()),
            }
            prop_assert_eq!(queue.current(), model.current());
            prop_assert_eq!(queue.len(), model.line.len());
            prop_assert_eq!(queue.is_empty(), model.line.is_empty());
            // Tickless: a deadline exactly when somebody runs and somebody waits.
            let others = model.running && model.line.len() > 1;
            prop_assert_eq!(queue.deadline(), others.then_some(model.since + SLICE));
        }
    }

    /// Whoever is runnable gets the core before the others have had it twice.
    #[test]
    fn nobody_starves(ids in prop::collection::btree_set(0..128_u8, 1..20), yields in any::<u64>()) {
        let mut queue = RunQueue::new(SLICE);
        ids.iter().for_each(|&id| queue.add(id));
        let mut now = 0;
        for _ in 0..3 {
            let mut ran = Vec::new();
            for n in 0..ids.len() {
                ran.push(queue.pick(now).unwrap());
                if yields >> n & 1 == 1 {
                    queue.yield_current();
                } else {
                    now = queue.deadline().unwrap_or(now + SLICE);
                }
            }
            ran.sort_unstable();
            prop_assert!(ran.iter().eq(&ids));
        }
    }
}
