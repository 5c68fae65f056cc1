//! Servers that end, are replaced, move, and endpoints that close.

use std::vec::Vec;

use ant_abi::ipc::{NOTIFY_RETIRE, Transfer};
use ant_abi::{EndpointId, ThreadSlot};

use super::world::{Ask, Doing, World};
use crate::ipc::{CallOutcome, OnRestart, Received, SendError, Target};
use crate::test_ids::{cpu_no, endpoint_no, generation_no, priority_no, slot_no};

const OLD: ThreadSlot = slot_no(10);
const NEW: ThreadSlot = slot_no(11);
const CLIENT: ThreadSlot = slot_no(20);
const SECOND: ThreadSlot = slot_no(21);
const THIRD: ThreadSlot = slot_no(22);
const AT: EndpointId = endpoint_no(1);

/// The old server on CPU 0, the new one on CPU `new`, the clients on CPU `clients`.
fn world(new: usize, clients: usize) -> World {
    let (new, clients) = (cpu_no(new), cpu_no(clients));
    let mut world = World::new(3);
    world.serve(OLD, cpu_no(0), priority_no(2), AT);
    world.spawn(NEW, new, priority_no(2));
    for client in [CLIENT, SECOND, THIRD] {
        world.spawn(client, clients, priority_no(2));
    }
    world
}

/// Where the new server and the clients are.
fn everywhere(test: impl Fn(&mut World)) {
    for (new, clients) in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)] {
        let mut world = world(new, clients);
        test(&mut world);
        world.finish();
    }
}

fn restarted(world: &World, call: u64) -> bool {
    let generation = world.machine.endpoints[AT.index()].generation;
    world.outcome(call) == Some(CallOutcome::Restarted { generation })
}

#[test]
fn requests_of_a_server_that_ends() {
    everywhere(|world| {
        let served = world.call(CLIENT, Ask::at(AT).across().with(Transfer::LendWrite));
        world.drain();
        assert_eq!(world.receive_call(OLD), served);
        let queued = world.call(SECOND, Ask::at(AT));
        let patient = world.call(THIRD, Ask::at(AT).across());
        world.drain();
        world.end(OLD);
        world.drain();
        assert!(restarted(world, served), "it may have been half done");
        assert!(restarted(world, queued));
        assert_eq!(world.outcome(patient), None);
        world.assign(cpu_no(0), AT, Some(NEW));
        world.drain();
        assert_eq!(world.receive_call(NEW), patient);
        assert_eq!(world.reply(NEW, patient), Ok(()));
        world.drain();
        assert!(world.is_replied(patient));
        // The handle works again.
        let again = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.receive_call(NEW), again);
    });
}

#[test]
fn a_server_ends_while_a_request_is_on_its_way() {
    for on_restart in [OnRestart::Fail, OnRestart::Wait] {
        let across = on_restart == OnRestart::Wait;
        let mut world = world(1, 1);
        let call = world.call(CLIENT, Ask { on_restart, ..Ask::at(AT) });
        world.end(OLD);
        world.drain();
        assert_eq!(restarted(&world, call), !across);
        world.assign(cpu_no(2), AT, Some(NEW));
        world.drain();
        assert_eq!(world.doing(CLIENT) == Some(Doing::Calls(call)), across);
        world.finish();
    }
}

#[test]
fn another_in_the_same_slot_is_another_generation() {
    for on_restart in [OnRestart::Fail, OnRestart::Wait] {
        let across = on_restart == OnRestart::Wait;
        let mut world = world(1, 1);
        // The request is on its way still when the next server is in its place.
        let call = world.call(CLIENT, Ask { on_restart, ..Ask::at(AT) });
        world.end(OLD);
        world.spawn(OLD, cpu_no(0), priority_no(2));
        world.assign(cpu_no(0), AT, Some(OLD));
        world.drain();
        assert_eq!(restarted(&world, call), !across);
        assert_eq!(world.receive(OLD).is_some(), across);
        world.finish();
    }
}

#[test]
fn a_server_ends_while_a_request_is_taken_back() {
    for received in [false, true] {
        let mut world = world(1, 1);
        let call = world.call(CLIENT, Ask::at(AT).across().with(Transfer::LendRead));
        world.drain();
        if received {
            assert_eq!(world.receive_call(OLD), call);
        }
        world.time_out(CLIENT);
        world.end(OLD);
        world.drain();
        assert_eq!(restarted(&world, call), received);
        assert_eq!(world.outcome(call) == Some(CallOutcome::TimedOut), !received);
        world.finish();
    }
}

#[test]
fn a_server_and_its_client_end_at_once() {
    everywhere(|world| {
        world.call(CLIENT, Ask::at(AT).with(Transfer::LendRead));
        world.call(SECOND, Ask::at(AT));
        world.drain();
        world.receive_call(OLD);
        world.end(CLIENT);
        world.end(OLD);
        world.end(SECOND);
        world.drain();
        assert!([CLIENT, SECOND, OLD].iter().all(|&slot| world.doing(slot).is_none()));
    });
}

#[test]
fn a_call_waits_for_the_first_server() {
    everywhere(|world| {
        let call = world.call(CLIENT, Ask::at(endpoint_no(2)));
        world.drain();
        assert_eq!(world.outcome(call), None);
        assert_eq!(world.receive(NEW), None);
        world.assign(cpu_no(0), endpoint_no(2), Some(NEW));
        world.drain();
        assert!(matches!(world.got(NEW), Some(Received::Call { .. })), "it waited already");
        assert_eq!(world.reply(NEW, call), Ok(()));
        world.drain();
        assert!(world.is_replied(call));
    });
}

#[test]
fn bits_wait_for_the_first_server() {
    everywhere(|world| {
        world.notify(cpu_no(0), endpoint_no(2), 0b101);
        assert_eq!(world.receive(NEW), None);
        world.assign(cpu_no(0), endpoint_no(2), Some(NEW));
        world.drain();
        assert_eq!(world.got(NEW), Some(Received::Notification(0b101)));
    });
}

#[test]
fn one_takes_the_place_of_another() {
    everywhere(|world| {
        let served = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.receive_call(OLD), served);
        let stale = world.call(SECOND, Ask::at(AT));
        let patient = world.call(THIRD, Ask::at(AT).across());
        let sent = world.send(OLD, Ask::at(AT)).unwrap();
        world.drain();
        world.assign(cpu_no(2), AT, Some(NEW));
        world.drain();
        assert!(restarted(world, stale));
        assert_eq!(world.receive(OLD), Some(Received::Notification(NOTIFY_RETIRE)));
        assert_eq!(world.receive(OLD), None, "the rest is the new one's");
        world.stop_receiving(OLD);
        assert_eq!(world.reply(OLD, served), Ok(()));
        let got: Vec<_> = (0..2).filter_map(|_| world.receive(NEW)).collect();
        let has = |id| {
            got.iter().any(|got| match got {
                Received::Call { message, .. } | Received::Send { message, .. } => {
                    message.words[0] == id
                }
                _ => false,
            })
        };
        assert!(has(patient) && has(sent));
        world.drain();
        assert!(world.is_replied(served));
        world.end(OLD);
        assert_eq!(world.doing(OLD), None);
        assert!(matches!(world.machine.endpoints[1].target, Target::Bound { server: NEW, .. }));
    });
}

#[test]
fn one_that_waits_is_told_to_retire() {
    everywhere(|world| {
        assert_eq!(world.receive(OLD), None);
        world.assign(cpu_no(2), AT, Some(NEW));
        world.drain();
        assert_eq!(world.got(OLD), Some(Received::Notification(NOTIFY_RETIRE)));
        let call = world.call(CLIENT, Ask::at(AT).across());
        world.drain();
        assert_eq!(world.receive_call(NEW), call);
    });
}

#[test]
fn one_is_replaced_before_it_knows_that_it_serves() {
    for send in [false, true] {
        let mut world = world(1, 1);
        world.spawn(slot_no(5), cpu_no(1), priority_no(2));
        // CPU 1 has the request, and no word of the server's that it is for.
        world.assign(cpu_no(2), endpoint_no(2), Some(NEW));
        let (early, generation) = if send {
            (world.send(CLIENT, Ask::at(endpoint_no(2))).unwrap(), generation_no(1))
        } else {
            (world.call(CLIENT, Ask::at(endpoint_no(2))), generation_no(2))
        };
        world.assign(cpu_no(2), endpoint_no(2), Some(slot_no(5)));
        world.drain();
        assert_eq!(world.receive(NEW), Some(Received::Notification(NOTIFY_RETIRE)));
        match world.receive(slot_no(5)) {
            Some(Received::Send { message, .. }) => assert_eq!(message.words[0], early),
            other => {
                assert_eq!(other, None);
                assert_eq!(world.outcome(early), Some(CallOutcome::Restarted { generation }));
            }
        }
        world.finish();
    }
}

#[test]
fn nobody_serves_for_a_while() {
    everywhere(|world| {
        world.assign(cpu_no(0), AT, None);
        world.drain();
        let stale = world.call(CLIENT, Ask::at(AT));
        assert!(restarted(world, stale));
        assert_eq!(world.send(CLIENT, Ask::at(AT)), Err(SendError::Unbound));
        let call = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.outcome(call), None);
        world.assign(cpu_no(0), AT, Some(NEW));
        world.drain();
        assert_eq!(world.receive_call(NEW), call);
    });
}

#[test]
fn an_endpoint_closes() {
    everywhere(|world| {
        let served = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.receive_call(OLD), served);
        let queued = world.call(SECOND, Ask::at(AT).across());
        let other = world.call(THIRD, Ask::at(endpoint_no(2)));
        let sent = world.send(OLD, Ask::at(AT));
        assert!(sent.is_ok());
        world.close(cpu_no(0), AT);
        world.close(cpu_no(0), endpoint_no(2));
        world.drain();
        assert_eq!(world.outcome(queued), Some(CallOutcome::Closed));
        assert_eq!(world.outcome(other), Some(CallOutcome::Closed));
        assert_eq!(world.receive(OLD), Some(Received::Notification(NOTIFY_RETIRE)));
        assert_eq!(world.reply(OLD, served), Ok(()));
        world.drain();
        assert!(world.is_replied(served));
        let late = world.call(SECOND, Ask::at(AT).across());
        assert_eq!(world.outcome(late), Some(CallOutcome::Closed));
        assert_eq!(world.send(SECOND, Ask::at(AT).across()), Err(SendError::Closed));
    });
}

#[test]
fn a_server_ends_after_its_endpoint() {
    everywhere(|world| {
        let served = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.receive_call(OLD), served);
        world.close(cpu_no(1), AT);
        world.drain();
        world.end(OLD);
        world.drain();
        assert_eq!(
            world.outcome(served),
            Some(CallOutcome::Closed),
            "the handle will not work again"
        );
    });
}

#[test]
fn another_endpoint_has_the_number_of_one_that_closed() {
    for (new, clients) in [(0, 0), (0, 1), (1, 1), (1, 2)] {
        let mut world = world(new, clients);
        let served = world.call(CLIENT, Ask::at(AT).across());
        world.drain();
        assert_eq!(world.receive_call(OLD), served);
        // On their way, or in the old server's queue, while the number gets another meaning.
        let queued = world.call(SECOND, Ask::at(AT).across());
        let sent = world.send(THIRD, Ask::at(AT).across());
        assert!(sent.is_ok());
        world.close(cpu_no(0), AT);
        world.end(OLD);
        world.open_again(AT);
        world.assign(cpu_no(0), AT, Some(NEW));
        world.drain();
        assert_eq!(world.outcome(served), Some(CallOutcome::Closed));
        assert_eq!(world.outcome(queued), Some(CallOutcome::Closed));
        assert_eq!(world.receive(NEW), None, "nothing was meant for it");
        world.finish();
    }
}

#[test]
fn a_process_that_moves_is_found_again() {
    everywhere(|world| {
        let call = world.call(CLIENT, Ask::at(AT));
        world.drain();
        assert_eq!(world.receive_call(OLD), call);
        assert!(!world.is_quiet(OLD), "it has a request");
        assert!(!world.is_quiet(CLIENT), "it has a call under way");
        assert_eq!(world.reply(OLD, call), Ok(()));
        world.drain();
        let waits = world.call(SECOND, Ask::at(AT));
        let sent = world.send(NEW, Ask::at(AT)).unwrap();
        world.drain();
        assert!(world.is_quiet(OLD), "what waits finds it");
        world.depart(OLD, cpu_no(2));
        let early = world.call(THIRD, Ask::at(AT));
        world.drain();
        let mut got = Vec::new();
        for _ in 0..3 {
            let (Received::Call { message, .. } | Received::Send { message, .. }) =
                world.receive(OLD).unwrap()
            else {
                panic!("bits")
            };
            got.push(message.words[0]);
        }
        got.sort_unstable();
        assert_eq!(got, [waits, sent, early]);
        for id in [waits, early] {
            assert_eq!(world.reply(OLD, id), Ok(()));
        }
        world.drain();
        assert!(world.is_replied(waits) && world.is_replied(early));
    });
}

#[test]
fn one_that_is_to_retire_does_not_move() {
    let mut world = world(1, 1);
    world.assign(cpu_no(0), AT, Some(NEW));
    world.drain();
    assert!(!world.is_quiet(OLD), "it is to be told");
    assert_eq!(world.receive(OLD), Some(Received::Notification(NOTIFY_RETIRE)));
    assert!(world.is_quiet(OLD));
    world.finish();
}

#[test]
fn who_calls_early_raises_a_process_that_moves() {
    let mut world = world(1, 1);
    world.set_base(THIRD, priority_no(6));
    world.depart(OLD, cpu_no(1));
    // The client's CPU knows where the server will be before it is there.
    let call = world.call(THIRD, Ask::at(AT));
    world.drain();
    assert_eq!(world.effective(OLD), priority_no(6));
    assert_eq!(world.receive_call(OLD), call);
    assert_eq!(world.reply(OLD, call), Ok(()));
    assert_eq!(world.effective(OLD), priority_no(2));
    world.finish();
}

#[test]
fn one_that_moves_is_replaced_on_its_way() {
    let mut world = world(1, 1);
    world.depart(OLD, cpu_no(2));
    world.assign(cpu_no(1), AT, Some(NEW));
    let call = world.call(CLIENT, Ask::at(AT).across());
    world.drain();
    assert_eq!(world.receive_call(NEW), call);
    assert_eq!(world.receive(OLD), Some(Received::Notification(NOTIFY_RETIRE)));
    world.finish();
}
