//! Clients that ask for too much at a time, or do not read: the daemon serves the others.

use std::time::Duration;

use ant_abi::log::LEVEL_INFO;
use ant_logic::rings::log::LogWriter;
use ant_protocol::{Connection, Reply, Request};
use rustix::process::{Resource, Rlimit, getrlimit, prlimit};

use crate::client::Client;
use crate::player::{World, wait_for};

scenarios!(
    a_connection_has_one_request_under_way,
    a_reader_that_stops_reading_keeps_no_memory,
    without_descriptors_connections_wait,
);

fn a_connection_has_one_request_under_way() {
    let world = World::booted("one", 0);
    let client = world.request(&Request::Log { follow: true });
    client.send(&Request::Ps);
    assert!(client.refusal().contains("use another one"));
    assert!(client.try_reply().is_err(), "it is closed");
    // One after another is no misuse.
    let client = world.request(&Request::Log { follow: false });
    assert_eq!(client.reply(), Reply::LogEnd);
    client.send(&Request::Log { follow: false });
    assert_eq!(client.reply(), Reply::LogEnd);
}

/// Many lines: far more than sockets and replies in the daemon take.
fn a_reader_that_stops_reading_keeps_no_memory() {
    const LINES: usize = 6000;
    let world = World::booted("reader", 0);
    let mut writer = LogWriter::new();
    let text = "x".repeat(90);
    for line in 0..LINES {
        world.ant.log(0, &mut writer, line as u64, LEVEL_INFO, &text);
        // The ring is small: the daemon takes what is there when it is asked something.
        if line % 64 == 63 {
            let _ = world.status();
            drop(world.request(&Request::Log { follow: false }));
        }
    }
    let kept = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", world.daemon)).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = kept();
    let readers: Vec<Client> =
        (0..24).map(|_| world.request(&Request::Log { follow: false })).collect();
    // All are asked for before this is.
    assert!(world.status().partition.is_some());
    let after = kept();
    assert!(after < before + 4096, "{before} KiB, then {after} KiB");
    for reader in readers {
        let mut lines = 0;
        loop {
            match reader.reply() {
                Reply::Log(some) => lines += some.len(),
                other => break assert_eq!(other, Reply::LogEnd),
            }
        }
        assert!(lines > LINES / 2, "{lines}");
    }
}

fn without_descriptors_connections_wait() {
    let world = World::booted("nofile", 0);
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Fewer than are open.
    let few = Rlimit { current: Some(3), maximum };
    let before = prlimit(Some(world.daemon), Resource::Nofile, few).unwrap();
    let path = world.dir.join("antd.sock");
    let waits = Client(Connection::open_at(&path).unwrap());
    waits.send(&Request::Log { follow: false });
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waits.has_reply());
    prlimit(Some(world.daemon), Resource::Nofile, before).unwrap();
    wait_for("the reply", || waits.has_reply().then_some(()));
    assert_eq!(waits.reply(), Reply::LogEnd);
}
