//! The run queue against plain lists, over histories.

use std::collections::VecDeque;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::test_ids::{THREADS, places, priority_no, slot_no, slots};

const SLICE: u64 = 100;
const LOW: Priority = priority_no(1);
const MIDDLE: Priority = priority_no(2);
const HIGH: Priority = priority_no(5);

#[test]
fn takes_turns() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    assert_eq!(queue.pick(0), None);
    assert_eq!(queue.deadline(), None);
    for id in [3, 1, 2].map(slot_no) {
        queue.add(id, MIDDLE);
    }
    assert_eq!(queue.pick(10), Some(slot_no(3)));
    assert_eq!(queue.priority_of_current(), Some(MIDDLE));
    assert_eq!(queue.deadline(), Some(110));
    assert_eq!(queue.pick(109), Some(slot_no(3)), "its slice is not over");
    assert_eq!(queue.pick(110), Some(slot_no(1)));
    assert_eq!(queue.pick(210), Some(slot_no(2)));
    assert_eq!(queue.pick(310), Some(slot_no(3)));
    assert_eq!(queue.len(), 3);
}

#[test]
fn one_alone_needs_no_timer() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(5), MIDDLE);
    assert_eq!(queue.pick(0), Some(slot_no(5)));
    assert_eq!(queue.deadline(), None);
    assert_eq!(queue.pick(1_000_000), Some(slot_no(5)));
    queue.add(slot_no(6), MIDDLE);
    assert_eq!(queue.deadline(), Some(1_000_100));
    assert_eq!(queue.block_current(), Some(slot_no(5)));
    assert_eq!(queue.current(), None);
    assert_eq!(queue.pick(1_000_050), Some(slot_no(6)));
    assert_eq!(queue.deadline(), None);
}

#[test]
fn lower_priorities_need_no_timer() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(5), MIDDLE);
    queue.add(slot_no(6), LOW);
    queue.add(slot_no(7), LOW);
    assert_eq!(queue.pick(0), Some(slot_no(5)));
    assert_eq!(queue.deadline(), None);
    assert_eq!(queue.pick(10 * SLICE), Some(slot_no(5)), "a lower one never takes the CPU");
    queue.block_current();
    assert_eq!(queue.pick(10 * SLICE), Some(slot_no(6)));
    assert_eq!(queue.deadline(), Some(11 * SLICE));
}

#[test]
fn who_came_after_a_long_time_alone_gets_the_cpu_at_once() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(5), MIDDLE);
    queue.pick(0);
    queue.add(slot_no(6), MIDDLE);
    assert_eq!(queue.deadline(), Some(100));
    assert_eq!(queue.pick(5_000), Some(slot_no(6)));
}

#[test]
fn who_lost_the_cpu_to_a_higher_one_keeps_the_rest_of_its_slice() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(1), MIDDLE);
    queue.add(slot_no(2), MIDDLE);
    assert_eq!(queue.pick(0), Some(slot_no(1)));
    queue.add(slot_no(3), HIGH);
    assert_eq!(queue.pick(30), Some(slot_no(3)));
    assert_eq!(queue.deadline(), None);
    queue.block_current();
    assert_eq!(queue.pick(1_000), Some(slot_no(1)));
    assert_eq!(queue.deadline(), Some(1_070));
    // A second time, after the slice is over: then it has had its turn.
    queue.add(slot_no(3), HIGH);
    assert_eq!(queue.pick(1_070), Some(slot_no(3)));
    queue.block_current();
    assert_eq!(queue.pick(1_080), Some(slot_no(2)));
    assert_eq!(queue.deadline(), Some(1_180), "a whole slice");
}

#[test]
fn a_switch_takes_the_rest_of_the_slice() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    for id in [1, 2].map(slot_no) {
        queue.add(id, MIDDLE);
    }
    queue.pick(0);
    queue.block_current();
    assert!(queue.switch_to(slot_no(9), HIGH), "a call");
    assert_eq!((queue.current(), queue.priority_of_current()), (Some(slot_no(9)), Some(HIGH)));
    assert_eq!(queue.deadline(), None);
    queue.block_current();
    assert!(queue.switch_to(slot_no(1), MIDDLE), "the reply");
    assert_eq!(queue.deadline(), Some(100));
    assert_eq!(queue.pick(99), Some(slot_no(1)));
    assert_eq!(queue.pick(100), Some(slot_no(2)));
}

#[test]
fn a_switch_does_not_pass_a_higher_one() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(1), MIDDLE);
    queue.pick(0);
    assert!(!queue.switch_to(slot_no(2), LOW), "the current one is higher");
    queue.add(slot_no(3), HIGH);
    queue.block_current();
    assert!(!queue.switch_to(slot_no(4), MIDDLE), "one that waits is higher");
    assert_eq!(queue.current(), None);
    assert_eq!(queue.len(), 3);
    for id in [3, 4, 2].map(slot_no) {
        assert_eq!(queue.pick(0), Some(id));
        queue.block_current();
    }
}

#[test]
fn who_switches_without_leaving_is_next_in_the_same_slice() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(1), MIDDLE);
    queue.add(slot_no(2), MIDDLE);
    queue.pick(0);
    assert!(queue.switch_to(slot_no(3), MIDDLE));
    assert_eq!(queue.deadline(), Some(100));
    queue.block_current();
    assert_eq!(queue.pick(60), Some(slot_no(1)));
    assert_eq!(queue.deadline(), Some(100));
    assert!(queue.switch_to(slot_no(3), MIDDLE));
    assert_eq!(queue.pick(100), Some(slot_no(1)), "it is before the others");
    assert_eq!(queue.deadline(), Some(100), "but its slice is over");
    assert_eq!(queue.pick(100), Some(slot_no(2)));
}

#[test]
fn a_switch_to_one_that_is_runnable_does_nothing() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(1), MIDDLE);
    queue.add(slot_no(2), MIDDLE);
    queue.pick(0);
    assert!(!queue.switch_to(slot_no(2), HIGH));
    assert!(queue.switch_to(slot_no(1), HIGH), "it has the CPU");
    assert_eq!(queue.priority_of_current(), Some(MIDDLE));
    assert_eq!(queue.len(), 2);
}

#[test]
fn the_cpu_is_not_passed_when_another_may_want_it() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    assert!(queue.can_pass(LOW), "nobody wants it");
    queue.add(slot_no(1), MIDDLE);
    assert!(!queue.can_pass(MIDDLE) && !queue.can_pass(HIGH), "nobody has it, and one wants it");
    queue.pick(0);
    assert!(queue.can_pass(LOW) && queue.can_pass(HIGH), "nobody else is there");
    queue.add(slot_no(2), MIDDLE);
    assert!(queue.can_pass(MIDDLE), "in the same slice");
    assert!(!queue.can_pass(LOW) && !queue.can_pass(HIGH), "it would need another timer");
    queue.add(slot_no(3), HIGH);
    assert!(!queue.can_pass(MIDDLE));
}

#[test]
fn another_priority_counts_from_the_next_pick() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    for id in [1, 2, 3].map(slot_no) {
        queue.add(id, MIDDLE);
    }
    queue.pick(0);
    queue.set_priority(slot_no(1), LOW);
    assert_eq!(queue.current(), Some(slot_no(1)));
    assert_eq!(queue.pick(10), Some(slot_no(2)));
    queue.set_priority(slot_no(3), HIGH);
    queue.set_priority(slot_no(77), HIGH);
    assert_eq!(queue.pick(20), Some(slot_no(3)));
    assert_eq!(queue.len(), 3);
}

#[test]
fn yielding_goes_behind_the_others() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    queue.add(slot_no(1), MIDDLE);
    queue.add(slot_no(2), MIDDLE);
    queue.add(slot_no(3), LOW);
    queue.pick(0);
    queue.yield_current();
    assert_eq!(queue.len(), 3);
    assert_eq!(queue.pick(1), Some(slot_no(2)));
    queue.block_current();
    queue.yield_current();
    assert_eq!(queue.pick(2), Some(slot_no(1)));
    queue.yield_current();
    assert_eq!(queue.pick(3), Some(slot_no(1)), "nobody else of its priority is there");
}

#[test]
fn holds_every_slot() {
    let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
    ThreadSlot::first(THREADS).for_each(|id| queue.add(id, MIDDLE));
    ThreadSlot::first(THREADS).for_each(|id| queue.add(id, HIGH));
    assert_eq!(queue.len(), THREADS);
    let order: Vec<_> = (0..THREADS as u64).map(|n| queue.pick(n * SLICE).unwrap()).collect();
    assert!(order.into_iter().eq(ThreadSlot::first(THREADS)));
}

#[derive(Clone, Debug)]
enum Step {
    Add(ThreadSlot, Priority),
    Remove(ThreadSlot),
    SetPriority(ThreadSlot, Priority),
    Pick(u64),
    Switch(ThreadSlot, Priority),
    Pass(ThreadSlot, Priority),
    Yield,
    Block,
}

/// Few slots and priorities, so that they meet, and the highest ones.
fn id() -> impl Strategy<Value = ThreadSlot> {
    prop_oneof![slots(0..6), slots(126..128)]
}

fn priority() -> impl Strategy<Value = Priority> {
    prop_oneof![
        4 => (2..4_usize).prop_map(priority_no),
        1 => Just(Priority::LOWEST),
        1 => Just(Priority::HIGHEST),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (id(), priority()).prop_map(|(id, priority)| Step::Add(id, priority)),
        1 => id().prop_map(Step::Remove),
        1 => (id(), priority()).prop_map(|(id, priority)| Step::SetPriority(id, priority)),
        4 => (0..2 * SLICE).prop_map(Step::Pick),
        2 => (id(), priority()).prop_map(|(id, priority)| Step::Switch(id, priority)),
        2 => (id(), priority()).prop_map(|(id, priority)| Step::Pass(id, priority)),
        1 => Just(Step::Yield),
        2 => Just(Step::Block),
    ]
}

/// The plain version: all threads in one list, searched from end to end.
#[derive(Default)]
struct Model {
    /// ThreadSlot, priority, and when its slice ends if it began at a given time.
    waiting: VecDeque<(ThreadSlot, Priority, Quantum)>,
    current: Option<(ThreadSlot, Priority)>,
    end: u64,
}

impl Model {
    fn runnable(&self, id: ThreadSlot) -> bool {
        self.current.is_some_and(|current| current.0 == id)
            || self.waiting.iter().any(|waiting| waiting.0 == id)
    }

    fn highest(&self) -> Option<Priority> {
        self.waiting.iter().map(|waiting| waiting.1).max()
    }

    fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.current.is_some())
    }

    fn add(&mut self, id: ThreadSlot, priority: Priority) {
        if !self.runnable(id) {
            self.waiting.push_back((id, priority, Quantum::Whole));
        }
    }

    fn remove(&mut self, id: ThreadSlot) -> bool {
        let before = self.len();
        self.current = self.current.filter(|current| current.0 != id);
        self.waiting.retain(|waiting| waiting.0 != id);
        self.len() < before
    }

    fn set_priority(&mut self, id: ThreadSlot, priority: Priority) {
        if let Some(current) = self.current.as_mut().filter(|current| current.0 == id) {
            current.1 = priority;
        } else if self.remove(id) {
            self.add(id, priority);
        }
    }

    fn pick(&mut self, now: u64) -> Option<ThreadSlot> {
        if let Some((id, priority)) = self.current {
            let peers = self.waiting.iter().any(|waiting| waiting.1 == priority);
            let higher = self.highest() > Some(priority);
            let over = now >= self.end;
            if over && !peers && !higher {
                self.end = now + SLICE;
            }
            if !(higher || over && peers) {
                return Some(id);
            }
            if over {
                self.waiting.push_back((id, priority, Quantum::Whole));
            } else {
                self.waiting.push_front((id, priority, Quantum::Rest(self.end - now)));
            }
        }
        let highest = self.highest();
        let first = self.waiting.iter().position(|waiting| Some(waiting.1) == highest);
        let next = first.and_then(|first| self.waiting.remove(first));
        self.current = next.map(|(id, priority, _)| (id, priority));
        self.end = match next?.2 {
            Quantum::Whole => now + SLICE,
            Quantum::Rest(rest) => now + rest,
            Quantum::Until(end) => end,
        };
        next.map(|next| next.0)
    }

    fn switch_to(&mut self, id: ThreadSlot, priority: Priority) -> bool {
        if self.runnable(id) {
            return self.current.is_some_and(|current| current.0 == id);
        }
        let highest = self.current.map(|current| current.1).max(self.highest());
        if highest > Some(priority) {
            self.add(id, priority);
            return false;
        }
        if let Some((id, priority)) = self.current {
            self.waiting.push_front((id, priority, Quantum::Until(self.end)));
        }
        self.current = Some((id, priority));
        true
    }

    fn deadline(&self) -> Option<u64> {
        let (_, priority) = self.current?;
        self.waiting.iter().any(|waiting| waiting.1 == priority).then_some(self.end)
    }
}

proptest! {
    #[test]
    fn behaves_like_a_list(steps in prop::collection::vec(step(), 0..600)) {
        let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
        let mut model = Model::default();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Add(id, priority) => {
                    queue.add(id, priority);
                    model.add(id, priority);
                }
                Step::Remove(id) => prop_assert_eq!(queue.remove(id), model.remove(id)),
                Step::SetPriority(id, priority) => {
                    queue.set_priority(id, priority);
                    model.set_priority(id, priority);
                }
                Step::Pick(later) => {
                    now += later;
                    prop_assert_eq!(queue.pick(now), model.pick(now));
                }
                Step::Switch(id, priority) => {
                    prop_assert_eq!(
                        queue.switch_to(id, priority),
                        model.switch_to(id, priority)
                    );
                }
                Step::Pass(id, priority) => {
                    if queue.can_pass(priority) && !model.runnable(id) {
                        let deadline = queue.deadline();
                        queue.pass(id, priority);
                        model.current = None;
                        prop_assert!(model.switch_to(id, priority));
                        prop_assert_eq!(queue.deadline(), deadline);
                    }
                }
                Step::Yield => {
                    queue.yield_current();
                    if let Some((id, priority)) = model.current.take() {
                        model.add(id, priority);
                    }
                }
                Step::Block => {
                    let blocked = model.current.take().map(|current| current.0);
                    prop_assert_eq!(queue.block_current(), blocked);
                }
            }
            prop_assert_eq!(queue.current(), model.current.map(|current| current.0));
            prop_assert_eq!(queue.priority_of_current(), model.current.map(|current| current.1));
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.is_empty(), model.len() == 0);
            prop_assert_eq!(queue.deadline(), model.deadline());
        }
    }

    /// A runnable thread gets the CPU before the others of its priority have had it twice.
    #[test]
    fn nobody_starves(ids in prop::collection::btree_set(slots(0..127), 1..20), yields in any::<u64>()) {
        let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
        // One of a lower priority, which never gets it.
        queue.add(slot_no(127), LOW);
        ids.iter().for_each(|&id| queue.add(id, MIDDLE));
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

    /// Two threads that pass the CPU to each other, waiting for each other or not, and are
    /// interrupted by a higher one, do not keep a third from it for longer than their slices.
    #[test]
    fn switching_starves_nobody(
        steps in prop::collection::vec((1..SLICE / 4, any::<bool>(), any::<bool>()), 100),
    ) {
        let mut queue = RunQueue::new(SLICE, places(RunPlace::EMPTY, THREADS));
        queue.add(slot_no(0), MIDDLE);
        queue.add(slot_no(9), MIDDLE);
        let mut now = 0;
        // Of what is not the higher one's.
        let mut waited = 0;
        for (later, blocks, interrupted) in steps {
            let current = queue.pick(now).unwrap();
            if current == slot_no(9) {
                queue.yield_current();
                waited = 0;
                continue;
            }
            waited += later;
            now += later;
            if blocks {
                queue.block_current();
            }
            queue.switch_to(slot_no(1 - current.index()), MIDDLE);
            if interrupted {
                queue.add(slot_no(50), HIGH);
                prop_assert_eq!(queue.pick(now), Some(slot_no(50)));
                now += SLICE;
                queue.block_current();
            }
            prop_assert!(waited <= 3 * SLICE, "waited {}", waited);
        }
    }
}
