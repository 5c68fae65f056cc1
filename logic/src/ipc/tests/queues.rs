//! The lists of a CPU against plain vectors.

use std::vec::Vec;

use ant_abi::{Priority, ThreadSlot};
use proptest::prelude::*;

use crate::ipc::Message;
use crate::ipc::queue::{Item, Queue, QueueList, QueueNode, SENDS_PER_CPU, SendPlace, Sent};
use crate::test_ids::{
    THREADS, endpoint_no, generation_no, places, priorities, priority_no, slot_no, slots,
};

fn queue() -> Queue {
    let nodes = places(QueueNode::NONE, THREADS + SENDS_PER_CPU);
    let sends = places(SendPlace::FREE, SENDS_PER_CPU);
    Queue::new(places(QueueList::EMPTY, THREADS), nodes, sends)
}

fn sent(number: u64) -> Sent {
    let (endpoint, generation) = (endpoint_no(3), generation_no(1));
    Sent { endpoint, generation, badge: 4, message: Message::of([number, 0, 0, 0]) }
}

fn contents(queue: &Queue, server: ThreadSlot) -> Vec<(Item, Priority)> {
    let items = std::iter::successors(queue.first(server), |&item| queue.after(item));
    items.map(|item| (item, queue.priority(item))).collect()
}

#[test]
fn higher_first_then_earlier() {
    let mut queue = queue();
    for (client, priority) in [(5, 2), (1, 2), (127, 7), (0, 0), (9, 7)] {
        queue.add_call(slot_no(127), slot_no(client), priority_no(priority));
    }
    let order: Vec<_> = contents(&queue, slot_no(127)).into_iter().map(|(item, _)| item).collect();
    assert_eq!(order, [127, 9, 5, 1, 0].map(|client| Item::Call(slot_no(client))));
    assert_eq!(queue.first(slot_no(126)), None);
}

#[test]
fn sends_have_all_their_places_and_no_more() {
    let mut queue = queue();
    let room = SENDS_PER_CPU as u64;
    for round in 0..3 {
        for number in 0..room {
            let server = slot_no(number as usize % 3);
            assert!(queue.add_send(server, priority_no(2), &sent(round + number)));
        }
        assert!(!queue.add_send(slot_no(0), priority_no(2), &sent(9)));
        for number in 0..room {
            let server = slot_no(number as usize % 3);
            let Some(Item::Send(place)) = queue.first(server) else { panic!("not there") };
            assert_eq!(
                queue.take_send(server, place).unwrap().message,
                sent(round + number).message
            );
        }
        assert!(ThreadSlot::first(3).all(|server| queue.first(server).is_none()));
    }
}

/// Few, so that their lists grow; the first and the last.
const SERVERS: [ThreadSlot; 3] = [slot_no(0), slot_no(1), slot_no(127)];

#[derive(Clone, Debug)]
enum Step {
    Call {
        server: ThreadSlot,
        client: ThreadSlot,
        priority: Priority,
    },
    Send {
        server: ThreadSlot,
        priority: Priority,
    },
    /// Takes one out of the list, from wherever it is.
    Remove {
        server: ThreadSlot,
        which: prop::sample::Index,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let server = || prop::sample::select(&SERVERS[..]);
    prop_oneof![
        3 => (server(), slots(0..THREADS), priorities())
            .prop_map(|(server, client, priority)| Step::Call { server, client, priority }),
        3 => (server(), priorities()).prop_map(|(server, priority)| Step::Send { server, priority }),
        4 => (server(), any::<prop::sample::Index>())
            .prop_map(|(server, which)| Step::Remove { server, which }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Call(ThreadSlot),
    Send(u64),
}

/// The plain version: one list of servers, priorities and entries in the order of arrival.
#[derive(Default)]
struct Model {
    entries: Vec<(ThreadSlot, Priority, Entry)>,
    sends: u64,
}

impl Model {
    fn of(&self, server: ThreadSlot) -> Vec<(Priority, Entry)> {
        let its = self.entries.iter().filter(|entry| entry.0 == server);
        let mut list: Vec<_> = its.map(|&(_, priority, entry)| (priority, entry)).collect();
        list.sort_by_key(|&(priority, _)| std::cmp::Reverse(priority));
        list
    }

    fn apply(&mut self, step: &Step, queue: &mut Queue) {
        match *step {
            Step::Call { server, client, priority } => {
                let is_there =
                    |entry: &(ThreadSlot, Priority, Entry)| entry.2 == Entry::Call(client);
                if !self.entries.iter().any(is_there) {
                    queue.add_call(server, client, priority);
                    self.entries.push((server, priority, Entry::Call(client)));
                }
            }
            Step::Send { server, priority } => {
                self.sends += 1;
                assert!(queue.add_send(server, priority, &sent(self.sends)));
                self.entries.push((server, priority, Entry::Send(self.sends)));
            }
            Step::Remove { server, ref which } => self.remove(server, which, queue),
        }
    }

    fn remove(&mut self, server: ThreadSlot, which: &prop::sample::Index, queue: &mut Queue) {
        let there = contents(queue, server);
        if there.is_empty() {
            return;
        }
        let entry = match which.get(&there).0 {
            Item::Call(client) => {
                queue.remove_call(server, client);
                Entry::Call(client)
            }
            Item::Send(place) => {
                Entry::Send(queue.take_send(server, place).unwrap().message.words[0])
            }
        };
        assert_eq!(entry, self.of(server)[which.index(there.len())].1);
        self.entries.retain(|&(_, _, its)| its != entry);
    }

    fn check(&self, queue: &Queue) {
        for server in SERVERS {
            let model = self.of(server);
            let there = contents(queue, server);
            assert_eq!(there.len(), model.len());
            for (&(item, priority), &(its, entry)) in there.iter().zip(&model) {
                assert_eq!(priority, its);
                match (item, entry) {
                    (Item::Call(client), Entry::Call(its)) => assert_eq!(client, its),
                    (Item::Send(_), Entry::Send(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn lists_are_as_in_the_model(steps in prop::collection::vec(step(), 0..120)) {
        let mut queue = queue();
        let mut model = Model::default();
        for step in &steps {
            model.apply(step, &mut queue);
            model.check(&queue);
        }
    }
}
