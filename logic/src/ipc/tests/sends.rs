//! Messages without a reply, and notifications.

use std::vec::Vec;

use ant_abi::{CpuIndex, EndpointId, ThreadSlot};

use super::world::{Ask, World};
use crate::ipc::{Received, SENDS_PER_CPU, SendError};
use crate::test_ids::{cpu_no, endpoint_no, generation_no, priority_no, slot_no};

const SERVER: ThreadSlot = slot_no(1);
const SENDER: ThreadSlot = slot_no(2);
const AT: EndpointId = endpoint_no(3);

fn world(cpu: CpuIndex) -> World {
    let mut world = World::new(2);
    world.serve(SERVER, cpu_no(0), priority_no(2), AT);
    world.spawn(SENDER, cpu, priority_no(2));
    world
}

fn both(test: impl Fn(&mut World)) {
    for cpu in [cpu_no(0), cpu_no(1)] {
        let mut world = world(cpu);
        test(&mut world);
        world.finish();
    }
}

fn number(received: Option<Received>) -> u64 {
    match received {
        Some(Received::Send { message, .. } | Received::Call { message, .. }) => message.words[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_come_in_their_order() {
    both(|world| {
        let sent = [(); 3].map(|()| world.send(SENDER, Ask::at(AT)).unwrap());
        world.drain();
        for id in sent {
            assert_eq!(number(world.receive(SERVER)), id);
        }
        assert_eq!(world.receive(SERVER), None);
        let id = world.send(SENDER, Ask::at(AT)).unwrap();
        world.drain();
        assert_eq!(number(world.got(SERVER)), id, "it waited");
    });
}

#[test]
fn messages_and_calls_wait_in_one_line() {
    both(|world| {
        world.spawn(slot_no(9), cpu_no(1), priority_no(5));
        let first = world.send(SENDER, Ask::at(AT)).unwrap();
        let second = world.call(SENDER, Ask::at(AT));
        world.drain();
        let urgent = world.call(slot_no(9), Ask::at(AT));
        world.drain();
        for id in [urgent, first, second] {
            assert_eq!(number(world.receive(SERVER)), id);
        }
    });
}

#[test]
fn where_a_message_cannot_go() {
    both(|world| {
        assert_eq!(world.send(SENDER, Ask::at(endpoint_no(0))), Err(SendError::Unbound));
        world.end(SERVER);
        world.drain();
        assert_eq!(
            world.send(SENDER, Ask::at(AT)),
            Err(SendError::Restarted { generation: generation_no(2) })
        );
        assert_eq!(world.send(SENDER, Ask::at(AT)), Err(SendError::Unbound));
        world.close(cpu_no(0), AT);
        assert_eq!(world.send(SENDER, Ask::at(AT)), Err(SendError::Closed));
    });
}

#[test]
fn messages_to_a_server_that_ends_are_dropped() {
    both(|world| {
        world.send(SENDER, Ask::at(AT)).unwrap();
        world.drain();
        // This one is on its way.
        world.send(SENDER, Ask::at(AT)).unwrap();
        world.end(SERVER);
        // The check when nothing is on its way asks for them.
        world.drain();
    });
}

#[test]
fn more_messages_than_places_are_dropped() {
    both(|world| {
        for _ in 0..SENDS_PER_CPU + 6 {
            world.send(SENDER, Ask::at(AT)).unwrap();
        }
        world.drain();
        for _ in 0..SENDS_PER_CPU {
            number(world.receive(SERVER));
        }
        assert_eq!(world.receive(SERVER), None);
    });
}

#[test]
fn bits_come_together_and_first() {
    both(|world| {
        let call = world.call(SENDER, Ask::at(AT));
        world.notify(cpu_no(0), AT, 1);
        world.notify(cpu_no(1), AT, 4);
        world.drain();
        assert_eq!(world.receive(SERVER), Some(Received::Notification(5)));
        assert_eq!(number(world.receive(SERVER)), call);
        assert_eq!(world.receive(SERVER), None);
        world.notify(cpu_no(1), AT, 2);
        world.drain();
        assert_eq!(world.got(SERVER), Some(Received::Notification(2)));
    });
}

#[test]
fn bits_and_requests_take_turns() {
    both(|world| {
        let call = world.call(SENDER, Ask::at(AT));
        world.drain();
        let mut got = Vec::new();
        for _ in 0..3 {
            world.notify(cpu_no(0), AT, 1);
            got.push(world.receive(SERVER).unwrap());
        }
        let [Received::Notification(1), Received::Call { message, .. }, Received::Notification(1)] =
            got[..]
        else {
            panic!("{got:?}")
        };
        assert_eq!(message.words[0], call);
        world.notify(cpu_no(0), AT, 1);
        assert_eq!(world.receive(SERVER), Some(Received::Notification(1)), "no request waits");
    });
}

#[test]
fn bits_outlive_a_server() {
    both(|world| {
        world.notify(cpu_no(1), AT, 8);
        world.end(SERVER);
        world.notify(cpu_no(0), AT, 1);
        world.drain();
        world.serve(slot_no(4), cpu_no(1), priority_no(2), AT);
        assert_eq!(world.receive(slot_no(4)), Some(Received::Notification(9)));
    });
}

#[test]
fn who_stopped_waiting_is_left_alone() {
    both(|world| {
        assert_eq!(world.receive(SERVER), None);
        world.stop_receiving(SERVER);
        world.notify(cpu_no(1), AT, 1);
        let id = world.send(SENDER, Ask::at(AT)).unwrap();
        world.drain();
        assert_eq!(world.got(SERVER), None);
        assert_eq!(world.receive(SERVER), Some(Received::Notification(1)));
        assert_eq!(number(world.receive(SERVER)), id);
    });
}
