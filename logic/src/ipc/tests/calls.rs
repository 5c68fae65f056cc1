//! Calls and replies, on one CPU and between two: time-outs, ends, tokens, pages.

use ant_abi::ipc::Transfer;
use ant_abi::{CpuIndex, ThreadSlot};

use super::world::{Ask, Doing, World};
use crate::ipc::{CallOutcome, NotWaiting, Token};
use crate::test_ids::{cpu_no, endpoint_no, priority_no, slot_no};

const SERVER: ThreadSlot = slot_no(127);
const CLIENT: ThreadSlot = slot_no(0);
const OTHER: ThreadSlot = slot_no(3);

/// Server and another process on CPU 0, the client on CPU `cpu`.
fn world(cpu: CpuIndex) -> World {
    let mut world = World::new(2);
    world.serve(SERVER, cpu_no(0), priority_no(2), endpoint_no(1));
    world.spawn(OTHER, cpu_no(0), priority_no(2));
    world.spawn(CLIENT, cpu, priority_no(2));
    world
}

/// A call that lends, and was received.
fn in_service(cpu: CpuIndex) -> (World, u64) {
    let mut world = world(cpu);
    let call = world.call(CLIENT, Ask::at(endpoint_no(1)).with(Transfer::LendWrite));
    world.drain();
    assert_eq!(world.receive_call(SERVER), call);
    (world, call)
}

/// Each test on one CPU and on two.
fn both(test: impl Fn(CpuIndex)) {
    test(cpu_no(0));
    test(cpu_no(1));
}

#[test]
fn a_call_is_received_and_replied() {
    both(|cpu| {
        let (mut world, call) = in_service(cpu);
        assert_eq!(world.doing(CLIENT), Some(Doing::Calls(call)));
        assert_eq!(world.reply(SERVER, call), Ok(()));
        world.drain();
        assert!(world.is_replied(call));
        assert_eq!(world.doing(CLIENT), Some(Doing::Runs));
        world.finish();
    });
}

#[test]
fn a_server_that_waits_gets_the_call_at_once() {
    both(|cpu| {
        let mut world = world(cpu);
        assert_eq!(world.receive(SERVER), None);
        let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
        world.drain();
        assert!(world.got(SERVER).is_some());
        assert_eq!(world.reply(SERVER, call), Ok(()));
        world.drain();
        assert!(world.is_replied(call));
        world.finish();
    });
}

#[test]
fn a_call_and_its_reply_go_directly() {
    // Between CPUs, each is sent directly and taken directly.
    for (cpu, went_directly) in [(0, 4), (1, 8)] {
        let mut world = world(cpu_no(cpu));
        world.goes_directly = true;
        assert_eq!(world.receive(SERVER), None);
        for _ in 0..2 {
            let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
            world.drain();
            assert!(world.got(SERVER).is_some());
            world.reply_receive(SERVER, call);
            world.drain();
            assert!(world.is_replied(call));
        }
        assert_eq!(world.went_directly, went_directly);
        world.finish();
    }
}

#[test]
fn who_has_to_wait_does_not_call_directly() {
    let mut world = world(cpu_no(0));
    world.goes_directly = true;
    let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
    world.call(OTHER, Ask::at(endpoint_no(1)));
    assert_eq!(world.receive_call(SERVER), call, "it was at something else");
    world.reply_receive(SERVER, call);
    assert!(world.is_replied(call), "it gets the next at once");
    assert_eq!(world.went_directly, 0);
    world.finish();
}

#[test]
fn who_raises_its_server_does_not_call_directly() {
    let mut world = world(cpu_no(0));
    world.goes_directly = true;
    world.receive(SERVER);
    world.set_base(CLIENT, priority_no(5));
    let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
    assert_eq!(world.effective(SERVER), priority_no(5));
    world.reply_receive(SERVER, call);
    assert_eq!((world.effective(SERVER), world.went_directly), (priority_no(2), 0));
    world.finish();
}

#[test]
fn a_reply_is_given_once() {
    both(|cpu| {
        let (mut world, call) = in_service(cpu);
        let token = world.token(SERVER, call);
        assert_eq!(world.reply_to(SERVER, token, call), Ok(()));
        assert_eq!(world.reply_to(SERVER, token, call), Err(NotWaiting));
        world.drain();
        assert_eq!(world.reply_to(SERVER, token, call), Err(NotWaiting));
        // Nor does it do for the next call.
        let next = world.call(CLIENT, Ask::at(endpoint_no(1)));
        world.drain();
        assert_eq!(world.receive_call(SERVER), next);
        assert_eq!(world.reply_to(SERVER, token, next), Err(NotWaiting));
        assert_eq!(world.reply(SERVER, next), Ok(()));
        world.finish();
    });
}

#[test]
fn no_reply_without_the_token() {
    both(|cpu| {
        let (mut world, call) = in_service(cpu);
        let token = world.token(SERVER, call);
        assert_eq!(world.reply_to(OTHER, token, call), Err(NotWaiting), "another's");
        let bits = (0..64).map(|bit| token.0 ^ 1 << bit);
        for forged in bits.chain([0, u64::MAX]) {
            assert_eq!(world.reply_to(SERVER, Token(forged), call), Err(NotWaiting), "{forged:#x}");
        }
        assert_eq!(world.reply_to(SERVER, token, call), Ok(()));
        world.finish();
    });
}

#[test]
fn a_call_that_was_not_received_cannot_be_replied() {
    both(|cpu| {
        let mut world = world(cpu);
        let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
        world.drain();
        let guesses = (1..4).map(|sequence| Token::new(CLIENT, cpu, sequence));
        for token in guesses {
            assert_eq!(world.reply_to(SERVER, token, call), Err(NotWaiting));
        }
        world.finish();
    });
}

#[test]
fn time_is_over_while_nobody_serves() {
    let mut world = world(cpu_no(0));
    let call = world.call(CLIENT, Ask::at(endpoint_no(0)));
    world.drain();
    world.time_out(CLIENT);
    assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
    world.finish();
}

#[test]
fn time_is_over_in_the_queue() {
    both(|cpu| {
        let mut world = world(cpu);
        let call = world.call(CLIENT, Ask::at(endpoint_no(1)).with(Transfer::LendRead));
        world.drain();
        world.time_out(CLIENT);
        world.drain();
        assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
        assert_eq!(world.receive(SERVER), None);
        world.finish();
    });
}

#[test]
fn time_is_over_in_service() {
    both(|cpu| {
        let (mut world, call) = in_service(cpu);
        let token = world.token(SERVER, call);
        world.time_out(CLIENT);
        world.drain();
        assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
        assert_eq!(world.reply_to(SERVER, token, call), Err(NotWaiting));
        world.finish();
    });
}

#[test]
fn time_is_over_twice_on_the_way() {
    let mut world = world(cpu_no(1));
    let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
    world.time_out(CLIENT);
    world.time_out(CLIENT);
    assert_eq!(world.outcome(call), None, "the server's CPU may have it");
    world.drain();
    assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
    world.time_out(CLIENT);
    assert_eq!(world.doing(CLIENT), Some(Doing::Runs));
    world.finish();
}

#[test]
fn a_reply_that_meets_the_cancellation_counts() {
    let (mut world, call) = in_service(cpu_no(1));
    assert_eq!(world.reply(SERVER, call), Ok(()));
    world.time_out(CLIENT);
    assert!(world.deliver(cpu_no(0), cpu_no(1)));
    assert!(world.is_replied(call));
    // The next call is not taken for the one that was taken back.
    let next = world.call(CLIENT, Ask::at(endpoint_no(1)));
    world.drain();
    assert_eq!(world.outcome(next), None);
    assert_eq!(world.receive_call(SERVER), next);
    world.finish();
}

#[test]
fn a_cancellation_that_comes_first_wins() {
    let (mut world, call) = in_service(cpu_no(1));
    world.time_out(CLIENT);
    assert!(world.deliver(cpu_no(1), cpu_no(0)));
    assert_eq!(world.reply(SERVER, call), Err(NotWaiting));
    world.drain();
    assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
    world.finish();
}

#[test]
fn a_client_ends_in_the_queue() {
    both(|cpu| {
        let mut world = world(cpu);
        world.call(CLIENT, Ask::at(endpoint_no(1)));
        world.drain();
        world.end(CLIENT);
        world.drain();
        assert_eq!(world.doing(CLIENT), None);
        assert_eq!(world.receive(SERVER), None);
        world.finish();
    });
}

#[test]
fn a_client_ends_in_service() {
    both(|cpu| {
        let (mut world, call) = in_service(cpu);
        world.end(CLIENT);
        assert_eq!(world.doing(CLIENT).is_some(), cpu == cpu_no(1), "CPU 0 has its pages");
        world.drain();
        assert_eq!(world.doing(CLIENT), None);
        assert_eq!(world.reply(SERVER, call), Err(NotWaiting));
        // Its slot is another's now.
        world.spawn(CLIENT, cpu, priority_no(2));
        let next = world.call(CLIENT, Ask::at(endpoint_no(1)));
        world.drain();
        assert_eq!(world.reply(SERVER, call), Err(NotWaiting));
        assert_eq!(world.receive_call(SERVER), next);
        world.finish();
    });
}

#[test]
fn a_client_ends_while_nobody_serves() {
    let mut world = world(cpu_no(0));
    world.call(CLIENT, Ask::at(endpoint_no(0)));
    world.end(CLIENT);
    assert_eq!(world.doing(CLIENT), None);
    world.serve(slot_no(4), cpu_no(0), priority_no(2), endpoint_no(0));
    assert_eq!(world.receive(slot_no(4)), None);
    world.finish();
}

#[test]
fn a_client_ends_after_its_time() {
    let mut world = world(cpu_no(1));
    world.call(CLIENT, Ask::at(endpoint_no(1)));
    world.time_out(CLIENT);
    world.end(CLIENT);
    // Its clock may ring once more.
    world.time_out(CLIENT);
    assert_eq!(world.doing(CLIENT), Some(Doing::Leaves));
    world.drain();
    assert_eq!(world.doing(CLIENT), None);
    world.finish();
}

#[test]
fn a_reply_to_a_client_that_ends_is_dropped() {
    let (mut world, call) = in_service(cpu_no(1));
    assert_eq!(world.reply(SERVER, call), Ok(()));
    world.end(CLIENT);
    // The check when nothing is on its way asks for the reply.
    world.drain();
    assert_eq!(world.outcome(call), None);
    world.finish();
}

#[test]
fn who_calls_itself_waits_for_its_time() {
    let mut world = world(cpu_no(0));
    let call = world.call(SERVER, Ask::at(endpoint_no(1)));
    world.drain();
    assert_eq!(world.outcome(call), None);
    world.time_out(SERVER);
    assert_eq!(world.outcome(call), Some(CallOutcome::TimedOut));
    world.call(SERVER, Ask::at(endpoint_no(1)));
    world.end(SERVER);
    assert_eq!(world.doing(SERVER), None);
    world.finish();
}

#[test]
fn two_that_call_each_other_can_end() {
    both(|cpu| {
        let mut world = World::new(2);
        world.serve(SERVER, cpu_no(0), priority_no(1), endpoint_no(1));
        world.serve(CLIENT, cpu, priority_no(2), endpoint_no(2));
        let call = world.call(CLIENT, Ask::at(endpoint_no(1)));
        let back = world.call(SERVER, Ask::at(endpoint_no(2)));
        world.drain();
        world.end(SERVER);
        world.drain();
        assert!(matches!(world.outcome(call), Some(CallOutcome::Restarted { .. })));
        assert_eq!((world.outcome(back), world.doing(SERVER)), (None, None));
        assert_eq!(world.receive(CLIENT), None);
        world.finish();
    });
}
