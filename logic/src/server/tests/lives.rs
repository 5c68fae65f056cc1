//! Single lives.

use ant_abi::Error;
use ant_abi::control::{SERVER_GIVEN_UP, SERVER_SERVES, SERVER_STARTING, SERVER_WAITS};

use super::world::{FIRST, World};
use crate::server::{ANSWER_US, Cause, Note, START_US};

const OTHER: u8 = 2;

/// A way in which a program that is started beside a server fails.
type Failure = (fn(&mut World), Error);

const FAILURES: [Failure; 6] = [
    (|world| world.end_and_tell(world.newest()), Error::PeerGone),
    (|world| world.pass(START_US), Error::TimedOut),
    // There is no room for a copy of the state.
    (
        |world| {
            world.machine.failing.room = true;
            world.ready_newest();
            world.machine.failing.room = false;
        },
        Error::NoMemory,
    ),
    // When it has its turn.
    (
        |world| {
            world.ready(world.newest());
            world.end_and_tell(world.newest());
        },
        Error::PeerGone,
    ),
    (
        |world| {
            world.ready(world.newest());
            world.pass(START_US);
            world.reap();
        },
        Error::TimedOut,
    ),
    (
        |world| {
            world.machine.failing.grant = true;
            world.ready_newest();
            world.machine.failing.grant = false;
        },
        Error::NoMemory,
    ),
];

#[test]
fn a_failed_replacement_leaves_a_server_given_up() {
    let mut world = World::given_up();
    for (fail, error) in FAILURES {
        assert_eq!(world.order(Some(OTHER)), Ok(()));
        fail(&mut world);
        assert_eq!(
            (world.answered.take(), world.life.shown()),
            (Some(Err(error)), SERVER_GIVEN_UP)
        );
        world.reap();
        world.pass(ANSWER_US);
        assert!(world.machine.processes.is_empty() && world.life.deadline() == u64::MAX);
    }
    // The program that it had comes back.
    assert_eq!(world.order(None), Ok(()));
    world.ready_newest();
    assert_eq!((world.answered, *world.life.program()), (Some(Ok(())), FIRST));
}

#[test]
fn a_failed_replacement_leaves_a_server_that_waits() {
    for (fail, error) in FAILURES {
        let mut world = World::waiting();
        assert_eq!(world.order(Some(OTHER)), Ok(()));
        let trial = world.newest();
        fail(&mut world);
        assert_eq!((world.answered, world.life.restarts()), (Some(Err(error)), 2));
        world.reap();
        // As it would have been, at the latest.
        world.pass(100_000);
        assert!(world.life.shown() == SERVER_STARTING && world.newest() != trial);
        world.ready_newest();
        assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, FIRST));
    }
}

#[test]
fn what_its_predecessor_has_shown_does_not_count() {
    let mut world = World::serving();
    world.end_and_tell(world.newest());
    world.life.show_life(&mut world.machine, world.now);
    assert_eq!(world.life.shown(), SERVER_STARTING);
    world.ready_newest();
    assert_eq!(world.life.shown(), SERVER_SERVES);
}

#[test]
fn a_replacement_that_fails_when_it_has_its_turn_leaves_the_program() {
    let late: [Failure; 2] = [FAILURES[3], FAILURES[4]];
    for (fail, error) in late {
        let mut world = World::serving();
        let old = world.newest();
        assert_eq!(world.order(Some(OTHER)), Ok(()));
        world.ready(world.newest());
        world.end_and_tell(old);
        assert_eq!((world.answered, world.life.shown()), (None, SERVER_STARTING));
        // What it wants kept would be the server's.
        assert!(world.life.is_being_replaced());
        fail(&mut world);
        assert_eq!(world.answered, Some(Err(error)));
        // At once: it is not the server that has failed.
        assert_eq!((world.life.shown(), world.life.restarts()), (SERVER_STARTING, 0));
        world.ready_newest();
        assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, FIRST));
        assert_eq!(world.machine.state, 0, "what has failed has left something");
    }
}

#[test]
fn a_replacement_of_one_that_does_not_serve() {
    for mut world in [World::waiting(), World::given_up()] {
        assert_eq!(world.order(Some(OTHER)), Ok(()));
        // Nobody else is started meanwhile.
        world.pass(START_US - 1);
        assert_eq!((world.answered, world.machine.processes.len()), (None, 1));
        world.ready_newest();
        assert_eq!((world.answered, world.life.shown()), (Some(Ok(())), SERVER_SERVES));
        world.end_and_tell(world.newest());
        world.pass(400_000);
        world.ready_newest();
        assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, OTHER));
    }
}

#[test]
fn a_restart_is_answered_when_it_serves() {
    let mut world = World::serving();
    assert_eq!(world.life.restart_us(), None);
    assert_eq!(world.order(None), Ok(()));
    assert_eq!(world.order(None), Err(Error::Busy));
    assert_eq!(world.order(Some(OTHER)), Err(Error::Busy));
    world.pass(300);
    world.reap();
    assert_eq!((world.answered, world.life.shown()), (None, SERVER_STARTING));
    world.pass(700);
    world.ready_newest();
    assert_eq!((world.answered, world.life.restart_us()), (Some(Ok(())), Some(1_000)));
    assert_eq!(world.life.restarts(), 0);
    assert_eq!(world.machine.notes, [Note::Ended(Cause::Ordered)]);
}

#[test]
fn who_orders_a_restart_is_told_why_it_does_not_serve() {
    let mut world = World::serving();
    assert_eq!(world.order(None), Ok(()));
    world.reap();
    world.end_and_tell(world.newest());
    assert_eq!(
        (world.answered.take(), world.life.shown()),
        (Some(Err(Error::PeerGone)), SERVER_STARTING)
    );
    world.ready_newest();
    assert_eq!(world.order(None), Ok(()));
    world.reap();
    world.pass(START_US);
    world.reap();
    assert_eq!(
        (world.answered.take(), world.life.shown()),
        (Some(Err(Error::TimedOut)), SERVER_WAITS)
    );
    world.pass(100_000);
    world.ready_newest();
    world.machine.failing.create = true;
    assert_eq!(world.order(None), Ok(()));
    world.reap();
    assert_eq!(world.answered, Some(Err(Error::NoMemory)));
}

#[test]
fn who_waits_for_one_that_does_not_end_is_told_so() {
    let mut world = World::serving();
    assert_eq!(world.order(None), Ok(()));
    world.pass(ANSWER_US);
    assert_eq!((world.answered, world.life.shown()), (Some(Err(Error::TimedOut)), SERVER_WAITS));
    let mut world = World::serving();
    assert_eq!(world.order(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.pass(ANSWER_US);
    assert_eq!(world.answered, Some(Err(Error::TimedOut)));
    world.reap();
    world.ready_newest();
    assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, FIRST));
}

#[test]
fn the_time_of_a_restart_goes_on_until_one_serves() {
    let mut world = World::serving();
    world.end_and_tell(world.newest());
    world.pass(10);
    world.end_and_tell(world.newest());
    world.pass(100_000);
    world.ready_newest();
    assert_eq!(world.life.restart_us(), Some(100_010));
    // One that is replaced has served all the time.
    assert_eq!(world.order(Some(OTHER)), Ok(()));
    let old = world.life.pid().unwrap();
    world.pass(50);
    world.ready_newest();
    world.end_and_tell(old);
    world.show_life();
    assert_eq!((world.answered, world.life.restart_us()), (Some(Ok(())), Some(100_010)));
}

#[test]
fn the_time_of_one_given_up_begins_with_the_order() {
    let mut world = World::given_up();
    world.pass(5_000_000);
    assert_eq!(world.order(None), Ok(()));
    world.pass(700);
    world.ready_newest();
    assert_eq!(world.life.restart_us(), Some(700));
}

#[test]
fn an_old_one_has_a_second_to_finish() {
    let mut world = World::serving();
    let old = world.newest();
    assert_eq!(world.order(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.pass(999_999);
    assert!(!world.machine.processes[&old].doomed);
    world.pass(1);
    world.reap();
    assert_eq!((world.answered, *world.life.program()), (None, FIRST));
    world.show_life();
    assert_eq!((world.answered, *world.life.program()), (Some(Ok(())), OTHER));
}

#[test]
fn a_successor_that_comes_late_has_less_time() {
    let mut world = World::serving();
    assert_eq!(world.order(Some(OTHER)), Ok(()));
    world.ready_newest();
    // The old one takes long to end.
    world.pass(ANSWER_US - 1_000);
    world.reap();
    world.pass(1_000);
    assert_eq!(world.answered, Some(Err(Error::TimedOut)));
    // Who was told that the server keeps its program finds that it does.
    world.show_life();
    assert_eq!(*world.life.program(), FIRST);
    world.reap();
    world.ready_newest();
    assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, FIRST));
}

#[test]
fn a_successor_without_devices_does_not_serve() {
    let mut world = World::serving();
    let old = world.newest();
    assert_eq!(world.order(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.machine.failing.grant = true;
    world.end_and_tell(old);
    world.machine.failing.grant = false;
    assert_eq!(world.answered, Some(Err(Error::NoMemory)));
    world.reap();
    world.ready_newest();
    assert_eq!((world.life.shown(), *world.life.program()), (SERVER_SERVES, FIRST));
}

#[test]
fn a_device_that_linux_keeps_is_not_asked_for_again() {
    let mut world = World::new(None);
    (world.machine.failing.grant, world.machine.failing.no_device) = (true, true);
    world.pass(0);
    assert_eq!((world.life.shown(), world.life.restarts()), (SERVER_GIVEN_UP, 0));
    for program in [None, Some(OTHER)] {
        assert_eq!(world.order(program), Ok(()));
        if program.is_some() {
            world.ready_newest();
        }
        assert_eq!(
            (world.answered.take(), world.life.shown()),
            (Some(Err(Error::NoDevice)), SERVER_GIVEN_UP)
        );
    }
}
