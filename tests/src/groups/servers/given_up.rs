//! Servers that are given up: a program that needs one is told, the others go on.

use super::{AT_ONCE, NAME_SERVICE, SOON, VICTIM, restart, serial, victim};
use crate::ant::{self, answers};
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("the_name_service_is_given_up", the_name_service_is_given_up)
        .test("linux_keeps_the_device", linux_keeps_the_device)
}

fn the_name_service_is_given_up(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    for _ in 0..8 {
        if ant::server(guest, "name")?.state == "given up" {
            break;
        }
        guest.wait_until("antctl server list | grep -Eq '^name +(serves|given up)'", SOON)?;
        if let Some(pid) = ant::server(guest, "name")?.pid {
            guest.run(&format!("antctl kill {pid}"))?;
        }
    }
    ant::await_server_state(guest, "name", "given up", SOON)?;
    // A program that needs it is told so; one that does not goes on.
    answers(guest, "antctl run -- names", 1, "PeerGone")?;
    answers(guest, "antctl run -- victim call count", 1, "PeerGone")?;
    ant::works_on(guest, &[1, 2, 3])?;
    answers(guest, "antctl server restart name", 0, "name was restarted")?;
    // It begins anew: servers are known again when they have registered again.
    restart(guest)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    answers(guest, "antctl run -- names", 0, "victim\n")?;
    ant::down(guest)
}

fn linux_keeps_the_device(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 64M --device none")?;
    ant::await_server_state(guest, "serial", "given up", AT_ONCE)?;
    let found = serial(guest)?;
    ensure!(found.last_end == "Linux keeps its device" && found.restarts == 0, "{found:?}");
    answers(guest, "antctl run -- names", 0, "")?;
    answers(guest, "antctl run -- say hello", 1, "NoEntry")?;
    answers(guest, "antctl server restart serial", 1, "serial was not restarted")?;
    // What became of one replacement is not told of the next.
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 1, "serial was not replaced")?;
    let replace = format!("antctl server replace name {NAME_SERVICE}");
    answers(guest, &replace, 0, "name was replaced\n")?;
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)
}
