//! Single readings, and long histories in which the server is killed between any two stores.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// Words, and what they were after each store: every state that a kill could leave.
struct Recorded(RefCell<Vec<Vec<u64>>>);

impl Recorded {
    fn of(words: Vec<u64>) -> Self {
        Self(RefCell::new(vec![words]))
    }

    /// What a kill could have left since the last time that this was asked, the oldest first.
    fn states(&self) -> Vec<Vec<u64>> {
        let mut states = self.0.borrow_mut();
        let last = states.last().cloned().into_iter().collect();
        core::mem::replace(&mut *states, last)
    }
}

impl PersistentWords for Recorded {
    fn load(&self, index: usize) -> u64 {
        self.0.borrow().last().expect("there is always one")[index]
    }

    fn store(&self, index: usize, value: u64) {
        let mut states = self.0.borrow_mut();
        let mut words = states.last().expect("there is always one").clone();
        words[index] = value;
        states.push(words);
    }
}

fn fresh() -> ReplayBuffer<Recorded> {
    ReplayBuffer::restore(Recorded::of(vec![0; WORDS]))
}

fn take<W: PersistentWords>(input: &ReplayBuffer<W>, number: u64) -> Vec<u8> {
    let mut out = [0; TAKEN_MAX];
    let len = input.take(number, &mut out);
    out[..len].to_vec()
}

fn push_all<W: PersistentWords>(input: &ReplayBuffer<W>, bytes: &[u8]) {
    bytes.iter().for_each(|&byte| assert!(input.push(byte)));
}

/// As the server's successor finds it.
fn restored(words: &[u64]) -> ReplayBuffer<Recorded> {
    ReplayBuffer::restore(Recorded::of(words.to_vec()))
}

/// All that can be read; no number is one of the history's.
fn all<W: PersistentWords>(input: &ReplayBuffer<W>) -> Vec<u8> {
    (u64::MAX / 2..).map(|number| take(input, number)).take_while(|bytes| !bytes.is_empty()).fold(
        Vec::new(),
        |mut all, bytes| {
            all.extend(bytes);
            all
        },
    )
}

#[test]
fn bytes_come_out_as_they_came() {
    let input = fresh();
    assert!(take(&input, 1).is_empty());
    push_all(&input, b"123456789012345678901234567");
    assert_eq!(take(&input, 2), b"123456789012345678901234");
    push_all(&input, b"89");
    assert_eq!(take(&input, 3), b"56789");
    assert!(take(&input, 4).is_empty());
}

#[test]
fn a_reading_that_is_asked_for_again_is_the_same() {
    let input = fresh();
    push_all(&input, b"first");
    assert_eq!(take(&input, 1), b"first");
    // It keeps its bytes, though there is no room for more.
    push_all(&input, &[b'x'; INPUT_MAX]);
    assert!(!input.push(b'y'));
    assert_eq!(take(&input, 1), b"first");
    assert_eq!(take(&input, 2), [b'x'; TAKEN_MAX]);
    assert_eq!(take(&input, 2), [b'x'; TAKEN_MAX]);
    // Of the one before nothing is known any more.
    assert_eq!(take(&input, 1), [b'x'; TAKEN_MAX]);
}

#[test]
fn a_reading_that_found_nothing_finds_what_has_come_since() {
    let input = fresh();
    assert!(take(&input, 1).is_empty());
    push_all(&input, b"late");
    assert_eq!(take(&input, 1), b"late");
}

#[test]
fn pages_of_another_program_are_begun_anew() {
    for words in [vec![u64::MAX; WORDS], vec![1; WORDS], {
        let mut words = vec![7; WORDS];
        (words[MARK], words[TAKEN], words[COME]) = (MARK_VALUE, 0, INPUT_MAX as u64 + 1);
        words
    }] {
        let input = restored(&words);
        assert!(all(&input).is_empty());
        push_all(&input, b"new");
        assert_eq!(all(&input), b"new");
    }
}

#[test]
fn a_server_killed_while_it_begins_anew_has_nothing() {
    let mut counts_are_wrong = vec![7; WORDS];
    counts_are_wrong[MARK] = MARK_VALUE;
    (counts_are_wrong[TAKEN], counts_are_wrong[COME]) = (1000 << 16, 5);
    for words in [vec![u64::MAX; WORDS], counts_are_wrong] {
        for words in restored(&words).0.states() {
            assert!(all(&restored(&words)).is_empty(), "{:?}", &words[..BYTES]);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Comes(u8),
    /// As many bytes.
    Come(usize),
    Reads,
    /// The last reading once more.
    ReadsAgain,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => any::<u8>().prop_map(Event::Comes),
        1 => (1..INPUT_MAX).prop_map(Event::Come),
        4 => Just(Event::Reads),
        1 => Just(Event::ReadsAgain),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    /// The model: a queue, and the last reading.
    #[test]
    fn a_kill_loses_nothing_and_doubles_nothing(events in events()) {
        let mut input = fresh();
        input.0.states();
        let (mut queue, mut last, mut number) = (VecDeque::<u8>::new(), (0, Vec::new()), 0);
        for event in events {
            let before: Vec<u8> = queue.iter().copied().collect();
            match event {
                Event::Comes(byte) => {
                    let room = queue.len() < INPUT_MAX;
                    prop_assert_eq!(input.push(byte), room);
                    queue.extend(room.then_some(byte));
                    let after: Vec<u8> = queue.iter().copied().collect();
                    for words in input.0.states() {
                        // The byte that comes is there or not, the others are, and the reader may
                        // still ask again.
                        let successor = restored(&words);
                        prop_assert_eq!(&take(&successor, last.0), &last.1);
                        let found = all(&successor);
                        prop_assert!(found == before || found == after);
                    }
                }
                Event::Come(count) => {
                    let bytes = (0..count).map(|n| n as u8).take(INPUT_MAX - queue.len());
                    for byte in bytes {
                        prop_assert!(input.push(byte));
                        queue.push_back(byte);
                    }
                    input.0.states();
                }
                Event::Reads => {
                    number += 1;
                    let read = take(&input, number);
                    let due: Vec<u8> = queue.drain(..queue.len().min(TAKEN_MAX)).collect();
                    prop_assert_eq!(&read, &due);
                    for words in input.0.states() {
                        // Killed before it could reply, it is asked again, and only the reader has
                        // the bytes.
                        let successor = restored(&words);
                        prop_assert_eq!(&take(&successor, number), &read);
                        let rest: Vec<u8> = queue.iter().copied().collect();
                        prop_assert_eq!(all(&successor), rest);
                        // Or the reader does not ask again: then no reader has them twice.
                        let found = all(&restored(&words));
                        prop_assert!(found == before || found[..] == before[read.len()..]);
                    }
                    if !read.is_empty() {
                        last = (number, read);
                    }
                    // The server goes on, or its successor does.
                    let words = input.0.states().pop().expect("there is always one");
                    input = restored(&words);
                    input.0.states();
                }
                Event::ReadsAgain => {
                    prop_assert_eq!(&take(&input, last.0), &last.1);
                    prop_assert_eq!(input.0.states().len(), 1);
                }
            }
        }
    }
}
