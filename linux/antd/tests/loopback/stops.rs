//! The partition or the daemon ends while there is something under way.

use std::io::pipe;
use std::os::fd::{AsFd, OwnedFd};

use ant_abi::lca::CFLAG_CONTINUE;
use ant_abi::log::LEVEL_ERROR;
use ant_logic::calls::nr;
use ant_logic::rings::log::LogWriter;
use ant_protocol::{MessageError, Reply, Request};
use rustix::process::{Signal, kill_process};

use crate::calls::reading;
use crate::client::done;
use crate::player::{World, has_gone, wait_for};

scenarios!(
    stop_with_calls_under_way,
    the_log_outlives_the_partition,
    a_daemon_that_is_killed_leaves_nothing,
    sigterm_stops_cleanly,
);

fn stop_with_calls_under_way() {
    let mut world = World::booted("stop", 1);
    let (reader, _writer) = pipe().unwrap();
    let (client, process) = world.run(OwnedFd::from(reader).as_fd());
    let proxy = world.proxy_of(process);
    world.submit(process, nr::READ, CFLAG_CONTINUE, reading(0, 16));
    assert!(done(world.ask(&Request::Stop)).contains("again"));
    let text = client.lost();
    assert!(text.contains("stopped"), "{text}");
    assert!(has_gone(proxy));
    assert_eq!(world.ant.stops(), 1);
}

fn the_log_outlives_the_partition() {
    let world = World::booted("log", 0);
    let follower = world.request(&Request::Log { follow: true });
    let mut writer = LogWriter::new();
    world.ant.log(1, &mut writer, 1, LEVEL_ERROR, "something is rotten");
    let Reply::Log(lines) = follower.reply() else { panic!() };
    assert_eq!((lines[0].cpu, lines[0].text.as_str()), (2, "something is rotten"));
    let _ = done(world.ask(&Request::Stop));
    let client = world.request(&Request::Log { follow: false });
    let Reply::Log(lines) = client.reply() else { panic!() };
    assert_eq!(lines.len(), 1);
    assert_eq!(client.reply(), Reply::LogEnd);
}

fn a_daemon_that_is_killed_leaves_nothing() {
    let (world, client, _, proxy) = World::running("sigkill");
    kill_process(world.daemon, Signal::KILL).unwrap();
    assert!(matches!(client.try_reply(), Err(MessageError::Closed)));
    wait_for("the proxy's end", || has_gone(proxy).then_some(()));
}

fn sigterm_stops_cleanly() {
    let (mut world, client, _, proxy) = World::running("sigterm");
    kill_process(world.daemon, Signal::HUP).unwrap();
    assert!(world.status().partition.is_some(), "a hang-up of its terminal is nothing to it");
    kill_process(world.daemon, Signal::TERM).unwrap();
    let text = client.lost();
    assert!(text.contains("antd ends"), "{text}");
    assert_eq!(world.daemon_ends(), 0);
    assert_eq!(world.ant.stops(), 1);
    assert!(has_gone(proxy));
}
