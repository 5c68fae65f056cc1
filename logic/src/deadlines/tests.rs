//! The heap against a sorted map.

use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::test_ids::{THREADS, places, slot_no, slots};

#[test]
fn the_earliest_comes_first() {
    let mut deadlines = Deadlines::new(places(DeadlinePlace::EMPTY, THREADS));
    assert_eq!(deadlines.next(), None);
    assert_eq!(deadlines.take_due(u64::MAX), None);
    for (slot, when) in [(3, 30), (1, 10), (2, 20), (0, 20)] {
        deadlines.set(slot_no(slot), when);
    }
    assert_eq!(deadlines.next(), Some(10));
    assert_eq!(deadlines.take_due(9), None);
    assert_eq!(deadlines.take_due(10), Some(slot_no(1)));
    deadlines.set(slot_no(3), 15);
    let due: Vec<_> = core::iter::from_fn(|| deadlines.take_due(20)).collect();
    assert_eq!(due, [3, 0, 2].map(slot_no));
    assert_eq!(deadlines.next(), None);
}

#[test]
fn a_deadline_can_be_changed_and_taken_back() {
    let mut deadlines = Deadlines::new(places(DeadlinePlace::EMPTY, THREADS));
    deadlines.set(slot_no(5), 100);
    deadlines.set(slot_no(5), 300);
    deadlines.set(slot_no(6), 200);
    assert_eq!(deadlines.next(), Some(200));
    assert!(deadlines.has(slot_no(6)));
    assert_eq!(deadlines.clear(slot_no(6)), Some(200));
    assert!(!deadlines.has(slot_no(6)));
    assert_eq!(deadlines.clear(slot_no(6)), None);
    assert_eq!(deadlines.take_due(299), None);
    assert_eq!(deadlines.take_due(u64::MAX), Some(slot_no(5)));
    assert_eq!(deadlines.clear(slot_no(5)), None);
}

#[test]
fn has_room_for_every_slot() {
    let mut deadlines = Deadlines::new(places(DeadlinePlace::EMPTY, THREADS));
    ThreadSlot::first(THREADS).for_each(|slot| deadlines.set(slot, slot.bits() ^ 0x55));
    let due: Vec<_> = core::iter::from_fn(|| deadlines.take_due(u64::MAX)).collect();
    assert!(due.iter().enumerate().all(|(n, &slot)| slot.index() ^ 0x55 == n));
    assert_eq!(due.len(), THREADS);
}

#[derive(Clone, Debug)]
enum Step {
    Set(ThreadSlot, u64),
    Clear(ThreadSlot),
    TakeDue(u64),
}

fn step() -> impl Strategy<Value = Step> {
    // Times that are often alike.
    let when = || prop_oneof![8 => 0..100_u64, 1 => any::<u64>()];
    prop_oneof![
        4 => (slots(0..THREADS), when()).prop_map(|(slot, when)| Step::Set(slot, when)),
        2 => slots(0..THREADS).prop_map(Step::Clear),
        1 => when().prop_map(Step::TakeDue),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_sorted_map(steps in prop::collection::vec(step(), 0..600)) {
        let mut deadlines = Deadlines::new(places(DeadlinePlace::EMPTY, THREADS));
        let mut model = BTreeMap::new();
        for step in steps {
            let earliest = model.iter().map(|(&slot, &when)| (when, slot)).min();
            match step {
                Step::Set(slot, when) => {
                    deadlines.set(slot, when);
                    model.insert(slot, when);
                }
                Step::Clear(slot) => {
                    prop_assert_eq!(deadlines.clear(slot), model.remove(&slot));
                }
                Step::TakeDue(now) => {
                    let due = earliest.filter(|&(when, _)| when <= now).map(|(_, slot)| slot);
                    prop_assert_eq!(deadlines.take_due(now), due);
                    due.and_then(|slot| model.remove(&slot));
                }
            }
            prop_assert_eq!(deadlines.next(), model.values().min().copied());
        }
        // All that is left, in order.
        let mut left: Vec<_> = model.into_iter().map(|(slot, when)| (when, slot)).collect();
        left.sort_unstable();
        for (_, slot) in left {
            prop_assert_eq!(deadlines.take_due(u64::MAX), Some(slot));
        }
        prop_assert_eq!(deadlines.next(), None);
    }
}
