//! Who is served first, and with which priority servers run.

use std::vec::Vec;

use super::world::{Ask, World};
use crate::ipc::Received;

const LOW: u8 = 1;
const HIGH: u8 = 6;

/// Servers 100, 101, … at endpoints 0, 1, …, each on its CPU.
fn chain(cpus: &[u8]) -> World {
    let mut world = World::new(3);
    for (at, &cpu) in (0..).zip(cpus) {
        world.serve(100 + at, cpu, LOW, at);
    }
    world
}

/// The server at endpoint `at` receives a call, and calls the next one.
fn pass_on(world: &mut World, at: u8) -> u64 {
    world.receive_call(100 + at);
    let call = world.call(100 + at, Ask::at(at + 1));
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
    for cpu in 0..2 {
        let mut world = chain(&[0]);
        let priorities = [3, 1, 7, 3, 0, 7];
        let mut calls = Vec::new();
        for (slot, priority) in (0..).zip(priorities) {
            world.spawn(slot, cpu, priority);
            calls.push((priority, world.call(slot, Ask::at(0))));
        }
        world.drain();
        calls.sort_by_key(|&(priority, _)| std::cmp::Reverse(priority));
        for (priority, call) in calls {
            assert_eq!(world.receive_call(100), call);
            assert_eq!(world.effective(100), priority.max(LOW));
            assert_eq!(world.reply(100, call), Ok(()));
        }
        world.finish();
    }
}

#[test]
fn servers_inherit_along_a_chain() {
    everywhere(|world| {
        world.spawn(1, 0, 2);
        world.call(1, Ask::at(0));
        world.drain();
        let second = pass_on(world, 0);
        let third = pass_on(world, 1);
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot)), [2, 2, 2]);
        // The last one is in the queue of the last server still.
        world.spawn(2, 2, HIGH);
        let high = world.call(2, Ask::at(0));
        world.drain();
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot)), [HIGH; 3]);
        assert_eq!(world.receive_call(102), third);
        for (server, call) in [(102, third), (101, second)] {
            assert_eq!(world.reply(server, call), Ok(()));
            world.drain();
            assert_eq!(world.effective(server), LOW);
        }
        assert_eq!(world.receive_call(100), high);
        assert_eq!(world.effective(100), HIGH);
        assert_eq!(world.reply(100, high), Ok(()));
        assert_eq!(world.effective(100), 2);
    });
}

#[test]
fn a_raised_call_overtakes() {
    everywhere(|world| {
        // A call of a low server waits at the second one behind an other's.
        for (slot, priority) in [(1, LOW), (2, 3), (3, 4)] {
            world.spawn(slot, 0, priority);
        }
        world.call(1, Ask::at(0));
        world.drain();
        world.call(2, Ask::at(1));
        world.drain();
        let inner = pass_on(world, 0);
        world.call(3, Ask::at(0));
        world.drain();
        assert_eq!(world.receive_call(101), inner);
    });
}

#[test]
fn a_new_base_goes_along_the_chain() {
    everywhere(|world| {
        world.spawn(1, 1, LOW);
        let call = world.call(1, Ask::at(0));
        world.drain();
        let inner = pass_on(world, 0);
        world.set_base(1, HIGH);
        world.drain();
        assert_eq!([1, 100, 101].map(|slot| world.effective(slot)), [HIGH; 3]);
        world.set_base(1, 0);
        world.drain();
        assert_eq!(world.effective(1), 0);
        assert_eq!(world.receive_call(101), inner);
        assert_eq!(world.reply(101, inner), Ok(()));
        world.drain();
        assert_eq!(world.reply(100, call), Ok(()));
        world.drain();
        assert_eq!([100, 101].map(|slot| world.effective(slot)), [LOW; 2]);
        world.set_base(100, 3);
        assert_eq!(world.effective(100), 3);
        world.set_base(100, 2);
        assert_eq!(world.effective(100), 2);
    });
}

#[test]
fn who_goes_away_takes_its_priority_along() {
    for cpu in 0..2 {
        let mut world = chain(&[0]);
        for (slot, priority) in [(1, 3), (2, 5), (3, 7)] {
            world.spawn(slot, cpu, priority);
            world.call(slot, Ask::at(0));
        }
        world.drain();
        assert_eq!(world.effective(100), 7);
        world.receive_call(100);
        world.end(3);
        world.drain();
        assert_eq!(world.effective(100), 5);
        world.time_out(2);
        world.drain();
        assert_eq!(world.effective(100), 3);
        world.end(1);
        world.drain();
        assert_eq!(world.effective(100), LOW);
        world.finish();
    }
}

#[test]
fn many_of_one_priority_count_as_many() {
    let mut world = chain(&[0]);
    for slot in 0..90 {
        world.spawn(slot, slot % 3, HIGH);
        world.call(slot, Ask::at(0));
    }
    world.drain();
    for _ in 0..90 {
        let call = world.receive_call(100);
        assert_eq!(world.effective(100), HIGH);
        assert_eq!(world.reply(100, call), Ok(()));
    }
    assert_eq!(world.effective(100), LOW);
    world.finish();
}

#[test]
fn a_circle_of_callers_does_not_hang() {
    for cpus in [[0, 0, 0], [0, 1, 2]] {
        let mut world = chain(&cpus);
        for at in 0..3 {
            world.call(100 + at, Ask::at((at + 1) % 3));
        }
        world.drain();
        world.spawn(1, 0, HIGH);
        world.call(1, Ask::at(0));
        world.drain();
        assert_eq!([100, 101, 102].map(|slot| world.effective(slot)), [HIGH; 3]);
        world.time_out(101);
        world.drain();
        world.finish();
    }
}

#[test]
fn a_flood_delays_by_one_request() {
    for cpu in 0..2 {
        let mut world = chain(&[0]);
        for slot in 0..40 {
            world.spawn(slot, cpu, LOW);
            world.call(slot, Ask::at(0));
        }
        world.spawn(60, cpu, LOW);
        for _ in 0..40 {
            assert!(world.send(60, Ask::at(0)).is_ok());
        }
        world.drain();
        let at_hand = world.receive_call(100);
        world.spawn(50, 1, HIGH);
        let high = world.call(50, Ask::at(0));
        world.drain();
        assert_eq!(world.effective(100), HIGH, "nobody between the two may hold it up");
        assert_eq!(world.reply(100, at_hand), Ok(()));
        let next = world.receive(100);
        assert!(matches!(next, Some(Received::Call { message, .. }) if message.words[0] == high));
        world.finish();
    }
}
