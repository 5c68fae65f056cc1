//! Servers that have a watchdog.

use ant_abi::control::ReportedState;

use super::world::{HEARTBEAT, World};
use crate::supervise::{Cause, Event};

const EVERY: u64 = HEARTBEAT.every_us;
const ANSWER: u64 = HEARTBEAT.answer_us;

fn watched() -> World {
    let mut world = World::new(Some(HEARTBEAT));
    world.pass(0);
    world.ready_newest();
    world
}

#[test]
fn one_that_answers_goes_on() {
    let mut world = watched();
    for asked in 1..=5 {
        world.pass(EVERY);
        assert_eq!(world.host.asked, asked);
        world.pass(ANSWER - 1);
        world.server.heartbeat(&mut world.host, world.now);
    }
    assert_eq!(world.server.reported_state(), ReportedState::Serves);
}

#[test]
fn one_that_does_not_answer_is_ended() {
    let mut world = watched();
    world.pass(EVERY + ANSWER - 1);
    assert_eq!(world.server.reported_state(), ReportedState::Serves);
    world.pass(1);
    assert_eq!(world.server.reported_state(), ReportedState::Waits);
    world.reap();
    assert_eq!(world.host.events, [Event::Ended(Cause::NoHeartbeat)]);
}

#[test]
fn one_that_was_not_looked_at_has_more_time_once() {
    let mut world = watched();
    world.pass(EVERY);
    world.late(ANSWER * 5);
    assert_eq!(world.server.reported_state(), ReportedState::Serves);
    world.late(ANSWER * 5);
    assert_eq!(world.server.reported_state(), ReportedState::Waits);
}

#[test]
fn one_whose_queue_stays_full_is_ended() {
    for empties in [false, true] {
        let mut world = watched();
        world.host.failing.heartbeat = true;
        world.pass(EVERY);
        world.host.failing.heartbeat = !empties;
        world.pass(ANSWER);
        let shown = if empties { ReportedState::Serves } else { ReportedState::Waits };
        assert_eq!(world.server.reported_state(), shown);
    }
}
