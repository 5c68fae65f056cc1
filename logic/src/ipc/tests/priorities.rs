//! Which message is served first, and with which priority servers run.

use std::vec::Vec;

use ant_abi::{Priority, ThreadSlot};

use super::world::{Ask, World};
use crate::ipc::Received;
use crate::test_ids::{THREADS, cpu_no, endpoint_no, priority_no, slot_no};

const LOW: Priority = priority_no(1);
const HIGH: Priority = priority_no(6);

/// The server at endpoint `at`.
fn server(at: usize) -> ThreadSlot {
    slot_no(100 + at)
}

/// Servers 100, 101, … at endpoints 0, 1, …, each on its CPU.
fn chain(cpus: &[usize]) -> World {
    let mut world = World::new(3);
    for (at, &cpu) in cpus.iter().enumerate() {
        world.serve(server(at), cpu_no(cpu), LOW, endpoint_no(at));
    }
    world
}

/// The server at endpoint `at` receives a call, and calls the next one.
fn pass_on(world: &mut World, at: usize) -> u64 {
    world.receive_call(server(at));
    let call = world.call(server(at), Ask::at(endpoint_no(at + 1)));
    world.drain();
    call
}

fn everywhere(test: impl Fn(&mut World)) {
    for cpus in [[0, 0, 0], [0, 1, 2], [0, 1, 0], [1, 1, 0]] {
        let mut world = chain(&cpus);
        test(&mut world);
        world.finish();
    }
}

#[test]
fn callers_are_served_by_priority() {
    for cpu in [cpu_no(0), cpu_no(1)] {
        let mut world = chain(&[0]);
        let priorities = [3, 1, 7, 3, 0, 7];
        let mut calls = Vec::new();
        for (slot, priority) in ThreadSlot::first(THREADS).zip(priorities.map(priority_no)) {
            world.spawn(slot, cpu, priority);
            calls.push((priority, world.call(slot, Ask::at(endpoint_no(0)))));
        }
        world.drain();
        calls.sort_by_key(|&(priority, _)| std::cmp::Reverse(priority));
        for (priority, call) in calls {
            assert_eq!(world.receive_call(slot_no(100)), call);
            assert_eq!(world.effective(slot_no(100)), priority);
            assert_eq!(world.reply(slot_no(100), call), Ok(()));
        }
        world.finish();
    }
}

#[test]
fn servers_inherit_along_a_chain() {
    everywhere(|world| {
        world.spawn(slot_no(1), cpu_no(0), priority_no(2));
        world.call(slot_no(1), Ask::at(endpoint_no(0)));
        world.drain();
        let second = pass_on(world, 0);
        let third = pass_on(world, 1);
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot_no(slot))), [priority_no(2); 3]);
        // The last one is in the queue of the last server still.
        world.spawn(slot_no(2), cpu_no(2), HIGH);
        let high = world.call(slot_no(2), Ask::at(endpoint_no(0)));
        world.drain();
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot_no(slot))), [HIGH; 3]);
        assert_eq!(world.receive_call(slot_no(102)), third);
        for (server, call) in [(server(2), third), (server(1), second)] {
            assert_eq!(world.reply(server, call), Ok(()));
            world.drain();
            assert_eq!(world.effective(server), LOW);
        }
        assert_eq!(world.receive_call(slot_no(100)), high);
        assert_eq!(world.effective(slot_no(100)), HIGH);
        assert_eq!(world.reply(slot_no(100), high), Ok(()));
        assert_eq!(world.effective(slot_no(100)), priority_no(2));
    });
}

#[test]
fn a_raised_call_overtakes() {
    everywhere(|world| {
        // A call of a low server waits at the second one behind an other's.
        for (slot, priority) in [(1, LOW), (2, priority_no(3)), (3, priority_no(4))] {
            world.spawn(slot_no(slot), cpu_no(0), priority);
        }
        world.call(slot_no(1), Ask::at(endpoint_no(0)));
        world.drain();
        world.call(slot_no(2), Ask::at(endpoint_no(1)));
        world.drain();
        let inner = pass_on(world, 0);
        world.call(slot_no(3), Ask::at(endpoint_no(0)));
        world.drain();
        assert_eq!(world.receive_call(slot_no(101)), inner);
    });
}

#[test]
fn a_new_base_goes_along_the_chain() {
    everywhere(|world| {
        world.spawn(slot_no(1), cpu_no(1), LOW);
        let call = world.call(slot_no(1), Ask::at(endpoint_no(0)));
        world.drain();
        let inner = pass_on(world, 0);
        world.set_base(slot_no(1), HIGH);
        world.drain();
        assert_eq!([1, 100, 101].map(|slot| world.effective(slot_no(slot))), [HIGH; 3]);
        world.set_base(slot_no(1), priority_no(0));
        world.drain();
        assert_eq!(world.effective(slot_no(1)), priority_no(0));
        assert_eq!(world.receive_call(slot_no(101)), inner);
        assert_eq!(world.reply(slot_no(101), inner), Ok(()));
        world.drain();
        assert_eq!(world.reply(slot_no(100), call), Ok(()));
        world.drain();
        assert_eq!([100, 101].map(|slot| world.effective(slot_no(slot))), [LOW; 2]);
        world.set_base(slot_no(100), priority_no(3));
        assert_eq!(world.effective(slot_no(100)), priority_no(3));
        world.set_base(slot_no(100), priority_no(2));
        assert_eq!(world.effective(slot_no(100)), priority_no(2));
    });
}

#[test]
fn who_goes_away_takes_its_priority_along() {
    for cpu in [cpu_no(0), cpu_no(1)] {
        let mut world = chain(&[0]);
        for (slot, priority) in [(1, 3), (2, 5), (3, 7)] {
            let (slot, priority) = (slot_no(slot), priority_no(priority));
            world.spawn(slot, cpu, priority);
            world.call(slot, Ask::at(endpoint_no(0)));
        }
        world.drain();
        assert_eq!(world.effective(slot_no(100)), priority_no(7));
        world.receive_call(slot_no(100));
        world.end(slot_no(3));
        world.drain();
        assert_eq!(world.effective(slot_no(100)), priority_no(5));
        world.time_out(slot_no(2));
        world.drain();
        assert_eq!(world.effective(slot_no(100)), priority_no(3));
        world.end(slot_no(1));
        world.drain();
        assert_eq!(world.effective(slot_no(100)), LOW);
        world.finish();
    }
}

#[test]
fn many_of_one_priority_count_as_many() {
    let mut world = chain(&[0]);
    for slot in ThreadSlot::first(90) {
        world.spawn(slot, cpu_no(slot.index() % 3), HIGH);
        world.call(slot, Ask::at(endpoint_no(0)));
    }
    world.drain();
    for _ in 0..90 {
        let call = world.receive_call(slot_no(100));
        assert_eq!(world.effective(slot_no(100)), HIGH);
        assert_eq!(world.reply(slot_no(100), call), Ok(()));
    }
    assert_eq!(world.effective(slot_no(100)), LOW);
    world.finish();
}

#[test]
fn a_circle_of_callers_does_not_hang() {
    for cpus in [[0, 0, 0], [0, 1, 2]] {
        let mut world = chain(&cpus);
        for at in 0..3 {
            world.call(server(at), Ask::at(endpoint_no((at + 1) % 3)));
        }
        world.drain();
        world.spawn(slot_no(1), cpu_no(0), HIGH);
        world.call(slot_no(1), Ask::at(endpoint_no(0)));
        world.drain();
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot_no(slot))), [HIGH; 3]);
        world.time_out(slot_no(101));
        world.drain();
        world.finish();
    }
}

#[test]
fn a_flood_delays_by_one_request() {
    for cpu in [cpu_no(0), cpu_no(1)] {
        let mut world = chain(&[0]);
        for slot in ThreadSlot::first(40) {
            world.spawn(slot, cpu, LOW);
            world.call(slot, Ask::at(endpoint_no(0)));
        }
        world.spawn(slot_no(60), cpu, LOW);
        for _ in 0..40 {
            assert!(world.send(slot_no(60), Ask::at(endpoint_no(0))).is_ok());
        }
        world.drain();
        let at_hand = world.receive_call(slot_no(100));
        world.spawn(slot_no(50), cpu_no(1), HIGH);
        let high = world.call(slot_no(50), Ask::at(endpoint_no(0)));
        world.drain();
        assert_eq!(world.effective(slot_no(100)), HIGH, "nobody between the two may hold it up");
        assert_eq!(world.reply(slot_no(100), at_hand), Ok(()));
        let next = world.receive(slot_no(100));
        assert!(matches!(next, Some(Received::Call { message, .. }) if message.words[0] == high));
        world.finish();
    }
}

/// A server of a high priority at endpoint 0, and a sender of the lowest on each of two CPUs.
fn above_its_senders() -> World {
    let mut world = World::new(2);
    world.serve(server(0), cpu_no(0), HIGH, endpoint_no(0));
    for cpu in 0..2 {
        world.spawn(slot_no(cpu), cpu_no(cpu), Priority::LOWEST);
    }
    world
}

#[test]
fn a_flood_takes_no_time_from_those_above_it() {
    let mut world = above_its_senders();
    let (server, at) = (server(0), endpoint_no(0));
    let mut received = 0;
    for _ in 0..30 {
        for cpu in 0..2 {
            assert!(world.send(slot_no(cpu), Ask::at(at)).is_ok());
            world.raise(cpu_no(cpu), at, 1, Priority::LOWEST);
        }
        world.drain();
        while world.got(server).or_else(|| world.receive(server)).is_some() {
            received += 1;
            assert_eq!(world.effective(server), Priority::LOWEST);
        }
        world.stop_receiving(server);
        assert_eq!(world.effective(server), HIGH, "it works for itself");
        assert_eq!(world.receive(server), None);
    }
    assert!(received > 60);
    world.finish();
}

#[test]
fn a_flood_of_calls_takes_no_time_from_those_above_it() {
    let mut world = above_its_senders();
    let (server, at) = (server(0), endpoint_no(0));
    let mut calls = [0, 1].map(|cpu| world.call(slot_no(cpu), Ask::at(at)));
    world.drain();
    world.receive_call(server);
    for turn in 0..30 {
        assert_eq!(world.reply(server, calls[turn % 2]), Ok(()));
        world.drain();
        calls[turn % 2] = world.call(slot_no(turn % 2), Ask::at(at));
        world.drain();
        assert_eq!(world.receive_call(server), calls[(turn + 1) % 2]);
        assert_eq!(world.effective(server), Priority::LOWEST);
    }
    world.finish();
}

#[test]
fn what_waits_raises_its_server() {
    for cpu in [cpu_no(0), cpu_no(1)] {
        let mut world = above_its_senders();
        let (server, at) = (server(0), endpoint_no(0));
        world.spawn(slot_no(3), cpu, priority_no(3));
        assert!(world.send(slot_no(0), Ask::at(at)).is_ok());
        assert!(matches!(world.receive(server), Some(Received::Send { .. })));
        assert_eq!(world.effective(server), Priority::LOWEST);
        assert!(world.send(slot_no(3), Ask::at(at)).is_ok());
        world.drain();
        assert_eq!(world.effective(server), priority_no(3));
        world.raise(cpu, at, 1, priority_no(4));
        world.drain();
        assert_eq!(world.effective(server), priority_no(4));
        // Both beside bits that were raised before.
        world.raise(cpu, at, 2, priority_no(5));
        world.notify(cpu, at, 4);
        world.drain();
        assert_eq!(world.effective(server), HIGH, "not with more than its own");
        assert_eq!(world.receive(server), Some(Received::Notification(7)));
        assert_eq!(world.effective(server), HIGH);
        assert!(matches!(world.receive(server), Some(Received::Send { .. })));
        assert_eq!(world.effective(server), priority_no(3));
        // No room for a message, say.
        world.raise(cpu, at, 0, priority_no(5));
        world.drain();
        assert_eq!(world.effective(server), priority_no(5));
        assert_eq!(world.receive(server), None);
        world.finish();
    }
}

#[test]
fn bits_do_not_lower_what_waits_behind_them() {
    let mut world = above_its_senders();
    let (server, at) = (server(0), endpoint_no(0));
    world.spawn(slot_no(3), cpu_no(0), priority_no(3));
    assert!(world.send(slot_no(3), Ask::at(at)).is_ok());
    world.raise(cpu_no(0), at, 1, Priority::LOWEST);
    assert_eq!(world.receive(server), Some(Received::Notification(1)));
    assert_eq!(world.effective(server), priority_no(3));
    // Nor do messages lower bits.
    world.raise(cpu_no(0), at, 1, priority_no(4));
    assert!(matches!(world.receive(server), Some(Received::Send { .. })));
    assert_eq!(world.effective(server), priority_no(4));
    world.finish();
}

#[test]
fn a_server_that_was_lowered_serves_the_next_client() {
    let mut world = above_its_senders();
    let (server, at) = (server(0), endpoint_no(0));
    world.spawn(slot_no(3), cpu_no(0), priority_no(3));
    assert!(world.send(slot_no(0), Ask::at(at)).is_ok());
    assert!(world.receive(server).is_some());
    assert_eq!(world.receive(server), None);
    for _ in 0..2 {
        let call = world.call(slot_no(3), Ask::at(at));
        assert_eq!(world.effective(server), priority_no(3));
        assert!(world.got(server).is_some());
        world.reply_receive(server, call);
        assert_eq!(world.effective(server), priority_no(3), "the next one finds it so");
    }
    world.finish();
}
