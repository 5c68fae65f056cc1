//! Servers that have to show that they live.

use ant_abi::control::{SERVER_SERVES, SERVER_WAITS};

use super::world::{WATCH, World};
use crate::server::{Cause, Note};

const EVERY: u64 = WATCH.every_us;
const ANSWER: u64 = WATCH.answer_us;

fn watched() -> World {
    let mut world = World::new(Some(WATCH));
    world.pass(0);
    world.ready_newest();
    world
}

#[test]
fn one_that_answers_goes_on() {
    let mut world = watched();
    for asked in 1..=5 {
        world.pass(EVERY);
        assert_eq!(world.machine.asked, asked);
        world.pass(ANSWER - 1);
        world.life.show_life(&mut world.machine, world.now);
    }
    assert_eq!(world.life.shown(), SERVER_SERVES);
}

#[test]
fn one_that_does_not_answer_is_ended() {
    let mut world = watched();
    world.pass(EVERY + ANSWER - 1);
    assert_eq!(world.life.shown(), SERVER_SERVES);
    world.pass(1);
    assert_eq!(world.life.shown(), SERVER_WAITS);
    world.reap();
    assert_eq!(world.machine.notes, [Note::Ended(Cause::NoAnswer)]);
}

#[test]
fn one_that_was_not_looked_at_has_more_time_once() {
    let mut world = watched();
    world.pass(EVERY);
    world.late(ANSWER * 5);
    assert_eq!(world.life.shown(), SERVER_SERVES);
    world.late(ANSWER * 5);
    assert_eq!(world.life.shown(), SERVER_WAITS);
}

#[test]
fn one_whose_queue_stays_full_does_not_live() {
    for empties in [false, true] {
        let mut world = watched();
        world.machine.failing.ask = true;
        world.pass(EVERY);
        world.machine.failing.ask = !empties;
        world.pass(ANSWER);
        let shown = if empties { SERVER_SERVES } else { SERVER_WAITS };
        assert_eq!(world.life.shown(), shown);
    }
}
