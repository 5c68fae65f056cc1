//! The store against a queue, and against a peer that writes nonsense.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

#[test]
fn is_full_when_it_holds_its_capacity() {
    let store = AddressRing::new();
    for entry in 0..CAPACITY as u64 {
        assert_eq!(store.push(entry), Ok(()));
    }
    assert_eq!(store.push(99), Err(Full));
    assert_eq!(store.pop(), Some(0));
    assert_eq!(store.push(CAPACITY as u64), Ok(()));
    assert_eq!(store.push(99), Err(Full));
    for entry in 1..=CAPACITY as u64 {
        assert_eq!(store.pop(), Some(entry));
    }
    assert_eq!(store.pop(), None);
    assert!(store.is_empty());
}

#[test]
fn counters_wrap() {
    let store = AddressRing::new();
    store.tail.store(u32::MAX - 1, Ordering::Relaxed);
    store.head.store(u32::MAX - 1, Ordering::Relaxed);
    for entry in 0..4 {
        store.push(entry).unwrap();
    }
    assert_eq!(store.tail.load(Ordering::Relaxed), 2);
    for entry in 0..4 {
        assert_eq!(store.pop(), Some(entry));
    }
    assert_eq!(store.pop(), None);
}

#[test]
fn one_more_than_it_holds_is_nonsense() {
    let store = AddressRing::new();
    store.tail.store(CAPACITY as u32 + 1, Ordering::Relaxed);
    assert_eq!(store.push(1), Err(Full));
    assert_eq!(store.pop(), None);
    assert!(store.is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![2 => any::<u64>().prop_map(Step::Push), 1 => Just(Step::Pop)]
}

proptest! {
    #[test]
    fn behaves_like_a_queue(
        start in any::<u32>(),
        steps in prop::collection::vec(step(), 0..1000),
    ) {
        let store = AddressRing::new();
        store.tail.store(start, Ordering::Relaxed);
        store.head.store(start, Ordering::Relaxed);
        let mut model = VecDeque::new();
        for step in steps {
            match step {
                Step::Push(entry) if model.len() < CAPACITY => {
                    prop_assert_eq!(store.push(entry), Ok(()));
                    model.push_back(entry);
                }
                Step::Push(entry) => prop_assert_eq!(store.push(entry), Err(Full)),
                Step::Pop => prop_assert_eq!(store.pop(), model.pop_front()),
            }
            prop_assert_eq!(store.is_empty(), model.is_empty());
        }
    }

    /// Whatever the counters are: no panic, no endless supply, and it works again once drained.
    #[test]
    fn recovers_from_any_counters(
        head in any::<u32>(),
        ahead in prop_oneof![0..2 * CAPACITY as u32, any::<u32>()],
    ) {
        let store = AddressRing::new();
        let tail = head.wrapping_add(ahead);
        store.tail.store(tail, Ordering::Relaxed);
        store.head.store(head, Ordering::Relaxed);
        let waiting = tail.wrapping_sub(head) as usize;
        prop_assert_eq!(store.push(1).is_ok(), waiting < CAPACITY);
        let taken = (0..=CAPACITY).take_while(|_| store.pop().is_some()).count();
        prop_assert!(taken <= CAPACITY);
        prop_assert_eq!(taken > 0, waiting <= CAPACITY);
        prop_assert!(store.is_empty());
        prop_assert_eq!(store.push(7), Ok(()));
        prop_assert_eq!(store.pop(), Some(7));
        prop_assert_eq!(store.pop(), None);
    }
}
