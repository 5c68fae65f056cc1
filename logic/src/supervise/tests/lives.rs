//! Single lives.

use ant_abi::Error;
use ant_abi::control::ReportedState;

use super::world::{FIRST, World};
use crate::supervise::{ANSWER_US, Cause, Event, START_US};

const OTHER: u8 = 2;

/// A way in which a program that is started beside a server fails.
type Failure = (fn(&mut World), Error);

const FAILURES: [Failure; 6] = [
    (|world| world.end_and_tell(world.newest()), Error::PeerGone),
    (|world| world.pass(START_US), Error::TimedOut),
    // There is no memory for a copy of the state.
    (
        |world| {
            world.host.failing.copy = true;
            world.ready_newest();
            world.host.failing.copy = false;
        },
        Error::NoMemory,
    ),
    // On probation.
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
            world.host.failing.grant = true;
            world.ready_newest();
            world.host.failing.grant = false;
        },
        Error::NoMemory,
    ),
];

#[test]
fn a_failed_replacement_leaves_a_server_given_up() {
    let mut world = World::given_up();
    for (fail, error) in FAILURES {
        assert_eq!(world.command(Some(OTHER)), Ok(()));
        fail(&mut world);
        assert_eq!(
            (world.answered.take(), world.server.reported_state()),
            (Some(Err(error)), ReportedState::GivenUp)
        );
        world.reap();
        world.pass(ANSWER_US);
        assert!(world.host.processes.is_empty() && world.server.deadline() == u64::MAX);
    }
    // The program that it had comes back.
    assert_eq!(world.command(None), Ok(()));
    world.ready_newest();
    assert_eq!((world.answered, *world.server.program()), (Some(Ok(())), FIRST));
}

#[test]
fn a_failed_replacement_leaves_a_server_that_waits() {
    for (fail, error) in FAILURES {
        let mut world = World::waiting();
        assert_eq!(world.command(Some(OTHER)), Ok(()));
        let candidate = world.newest();
        fail(&mut world);
        assert_eq!((world.answered, world.server.restarts()), (Some(Err(error)), 2));
        world.reap();
        // As it would have been, at the latest.
        world.pass(100_000);
        assert!(
            world.server.reported_state() == ReportedState::Starting && world.newest() != candidate
        );
        world.ready_newest();
        assert_eq!(
            (world.server.reported_state(), *world.server.program()),
            (ReportedState::Serves, FIRST)
        );
    }
}

#[test]
fn a_heartbeat_of_its_predecessor_does_not_count() {
    let mut world = World::serving();
    world.end_and_tell(world.newest());
    world.server.heartbeat(&mut world.host, world.now);
    assert_eq!(world.server.reported_state(), ReportedState::Starting);
    world.ready_newest();
    assert_eq!(world.server.reported_state(), ReportedState::Serves);
}

#[test]
fn a_replacement_that_fails_on_probation_leaves_the_program() {
    let late: [Failure; 2] = [FAILURES[3], FAILURES[4]];
    for (fail, error) in late {
        let mut world = World::serving();
        let old = world.newest();
        assert_eq!(world.command(Some(OTHER)), Ok(()));
        world.ready(world.newest());
        world.end_and_tell(old);
        assert_eq!(
            (world.answered, world.server.reported_state()),
            (None, ReportedState::Starting)
        );
        // A handle that it wants kept would be the server's.
        assert!(world.server.is_being_replaced());
        fail(&mut world);
        assert_eq!(world.answered, Some(Err(error)));
        // At once: it is not the server that has failed.
        assert_eq!(
            (world.server.reported_state(), world.server.restarts()),
            (ReportedState::Starting, 0)
        );
        world.ready_newest();
        assert_eq!(
            (world.server.reported_state(), *world.server.program()),
            (ReportedState::Serves, FIRST)
        );
        assert_eq!(world.host.state, 0, "what has failed has left something");
    }
}

#[test]
fn a_replacement_of_one_that_does_not_serve() {
    for mut world in [World::waiting(), World::given_up()] {
        assert_eq!(world.command(Some(OTHER)), Ok(()));
        // No other process is started meanwhile.
        world.pass(START_US - 1);
        assert_eq!((world.answered, world.host.processes.len()), (None, 1));
        world.ready_newest();
        assert_eq!(
            (world.answered, world.server.reported_state()),
            (Some(Ok(())), ReportedState::Serves)
        );
        world.end_and_tell(world.newest());
        world.pass(400_000);
        world.ready_newest();
        assert_eq!(
            (world.server.reported_state(), *world.server.program()),
            (ReportedState::Serves, OTHER)
        );
    }
}

#[test]
fn a_restart_is_answered_when_it_serves() {
    let mut world = World::serving();
    assert_eq!(world.server.restart_us(), None);
    assert_eq!(world.command(None), Ok(()));
    assert_eq!(world.command(None), Err(Error::Busy));
    assert_eq!(world.command(Some(OTHER)), Err(Error::Busy));
    world.pass(300);
    world.reap();
    assert_eq!((world.answered, world.server.reported_state()), (None, ReportedState::Starting));
    world.pass(700);
    world.ready_newest();
    assert_eq!((world.answered, world.server.restart_us()), (Some(Ok(())), Some(1_000)));
    assert_eq!(world.server.restarts(), 0);
    assert_eq!(world.host.events, [Event::Ended(Cause::Commanded)]);
}

#[test]
fn a_restart_says_why_it_does_not_serve() {
    let mut world = World::serving();
    assert_eq!(world.command(None), Ok(()));
    world.reap();
    world.end_and_tell(world.newest());
    assert_eq!(
        (world.answered.take(), world.server.reported_state()),
        (Some(Err(Error::PeerGone)), ReportedState::Starting)
    );
    world.ready_newest();
    assert_eq!(world.command(None), Ok(()));
    world.reap();
    world.pass(START_US);
    world.reap();
    assert_eq!(
        (world.answered.take(), world.server.reported_state()),
        (Some(Err(Error::TimedOut)), ReportedState::Waits)
    );
    world.pass(100_000);
    world.ready_newest();
    world.host.failing.create = true;
    assert_eq!(world.command(None), Ok(()));
    world.reap();
    assert_eq!(world.answered, Some(Err(Error::NoMemory)));
}

#[test]
fn a_command_for_one_that_does_not_end_times_out() {
    let mut world = World::serving();
    assert_eq!(world.command(None), Ok(()));
    world.pass(ANSWER_US);
    assert_eq!(
        (world.answered, world.server.reported_state()),
        (Some(Err(Error::TimedOut)), ReportedState::Waits)
    );
    let mut world = World::serving();
    assert_eq!(world.command(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.pass(ANSWER_US);
    assert_eq!(world.answered, Some(Err(Error::TimedOut)));
    world.reap();
    world.ready_newest();
    assert_eq!(
        (world.server.reported_state(), *world.server.program()),
        (ReportedState::Serves, FIRST)
    );
}

#[test]
fn the_time_of_a_restart_goes_on_until_one_serves() {
    let mut world = World::serving();
    world.end_and_tell(world.newest());
    world.pass(10);
    world.end_and_tell(world.newest());
    world.pass(100_000);
    world.ready_newest();
    assert_eq!(world.server.restart_us(), Some(100_010));
    // One that is replaced has served all the time.
    assert_eq!(world.command(Some(OTHER)), Ok(()));
    let old = world.server.pid().unwrap();
    world.pass(50);
    world.ready_newest();
    world.end_and_tell(old);
    world.heartbeat();
    assert_eq!((world.answered, world.server.restart_us()), (Some(Ok(())), Some(100_010)));
}

#[test]
fn the_time_of_one_given_up_begins_with_the_command() {
    let mut world = World::given_up();
    world.pass(5_000_000);
    assert_eq!(world.command(None), Ok(()));
    world.pass(700);
    world.ready_newest();
    assert_eq!(world.server.restart_us(), Some(700));
}

#[test]
fn an_old_one_has_a_second_to_finish() {
    let mut world = World::serving();
    let old = world.newest();
    assert_eq!(world.command(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.pass(999_999);
    assert!(!world.host.processes[&old].kill_pending);
    world.pass(1);
    world.reap();
    assert_eq!((world.answered, *world.server.program()), (None, FIRST));
    world.heartbeat();
    assert_eq!((world.answered, *world.server.program()), (Some(Ok(())), OTHER));
}

#[test]
fn a_successor_that_comes_late_has_less_time() {
    let mut world = World::serving();
    assert_eq!(world.command(Some(OTHER)), Ok(()));
    world.ready_newest();
    // The old one takes long to end.
    world.pass(ANSWER_US - 1_000);
    world.reap();
    world.pass(1_000);
    assert_eq!(world.answered, Some(Err(Error::TimedOut)));
    // The server keeps its program, as the answer says.
    world.heartbeat();
    assert_eq!(*world.server.program(), FIRST);
    world.reap();
    world.ready_newest();
    assert_eq!(
        (world.server.reported_state(), *world.server.program()),
        (ReportedState::Serves, FIRST)
    );
}

#[test]
fn a_successor_without_devices_does_not_serve() {
    let mut world = World::serving();
    let old = world.newest();
    assert_eq!(world.command(Some(OTHER)), Ok(()));
    world.ready_newest();
    world.host.failing.grant = true;
    world.end_and_tell(old);
    world.host.failing.grant = false;
    assert_eq!(world.answered, Some(Err(Error::NoMemory)));
    world.reap();
    world.ready_newest();
    assert_eq!(
        (world.server.reported_state(), *world.server.program()),
        (ReportedState::Serves, FIRST)
    );
}

#[test]
fn a_device_that_linux_keeps_is_not_asked_for_again() {
    let mut world = World::new(None);
    (world.host.failing.grant, world.host.failing.no_device) = (true, true);
    world.pass(0);
    assert_eq!(
        (world.server.reported_state(), world.server.restarts()),
        (ReportedState::GivenUp, 0)
    );
    for program in [None, Some(OTHER)] {
        assert_eq!(world.command(program), Ok(()));
        if program.is_some() {
            world.ready_newest();
        }
        assert_eq!(
            (world.answered.take(), world.server.reported_state()),
            (Some(Err(Error::NoDevice)), ReportedState::GivenUp)
        );
    }
}
