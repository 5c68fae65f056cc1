//! The ring against a queue.

use std::boxed::Box;
use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

fn packet(n: u64) -> PacketWords {
    core::array::from_fn(|word| n << 8 | word as u64)
}

fn starting_at(count: u32) -> Box<PacketRing> {
    let ring = Box::new(PacketRing::new());
    ring.produced.tail.store(count, Ordering::Relaxed);
    ring.produced.head_seen.store(count, Ordering::Relaxed);
    ring.consumed.head.store(count, Ordering::Relaxed);
    ring
}

#[test]
fn is_full_when_it_holds_its_capacity() {
    // The counters wrap meanwhile.
    let ring = starting_at(u32::MAX - 9);
    for n in 0..CAPACITY as u64 {
        assert_eq!(ring.len(), n as usize);
        assert_eq!(ring.push(&packet(n)), Ok(()));
    }
    assert_eq!(ring.push(&packet(999)), Err(Full));
    assert_eq!(ring.push_if_below(&packet(999), usize::MAX), Err(Full));
    assert_eq!(ring.pop(), Some(packet(0)));
    assert_eq!(ring.push(&packet(CAPACITY as u64)), Ok(()));
    assert_eq!(ring.push(&packet(999)), Err(Full));
    for n in 1..=CAPACITY as u64 {
        assert_eq!(ring.pop(), Some(packet(n)));
    }
    assert_eq!(ring.pop(), None);
    assert!(ring.is_empty());
}

#[test]
fn keeps_room_in_reserve() {
    let ring = PacketRing::new();
    assert_eq!(ring.push_if_below(&packet(0), 0), Err(Full));
    assert_eq!(ring.push_if_below(&packet(0), 2), Ok(()));
    assert_eq!(ring.push_if_below(&packet(1), 2), Ok(()));
    assert_eq!(ring.push_if_below(&packet(2), 2), Err(Full));
    assert_eq!(ring.push(&packet(2)), Ok(()), "the rest is for others");
    assert_eq!(ring.pop(), Some(packet(0)));
    assert_eq!(ring.push_if_below(&packet(3), 2), Err(Full));
    assert_eq!(ring.push_if_below(&packet(3), 3), Ok(()));
    assert_eq!(ring.len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    PushIfBelow(u64, usize),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u64>().prop_map(Step::Push),
        1 => (any::<u64>(), 0..CAPACITY + 9).prop_map(|(n, limit)| Step::PushIfBelow(n, limit)),
        3 => Just(Step::Pop),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_queue(
        start in any::<u32>(),
        filled in 0..CAPACITY as u64,
        steps in prop::collection::vec(step(), 0..1000),
    ) {
        let ring = starting_at(start);
        let mut model = VecDeque::new();
        for n in 0..filled {
            ring.push(&packet(n)).unwrap();
            model.push_back(n);
        }
        for step in steps {
            let (n, limit) = match step {
                Step::Pop => {
                    prop_assert_eq!(ring.pop(), model.pop_front().map(packet));
                    continue;
                }
                Step::Push(n) => (n, CAPACITY),
                Step::PushIfBelow(n, limit) => (n, limit),
            };
            let room = model.len() < limit.min(CAPACITY);
            let pushed = match step {
                Step::PushIfBelow(..) => ring.push_if_below(&packet(n), limit),
                _ => ring.push(&packet(n)),
            };
            prop_assert_eq!(pushed.is_ok(), room);
            if room {
                model.push_back(n);
            }
            prop_assert_eq!(ring.is_empty(), model.is_empty());
            // Looking is not always done, so that the remembered head is used too.
            if n % 4 == 0 {
                prop_assert_eq!(ring.len(), model.len());
            }
        }
    }
}
