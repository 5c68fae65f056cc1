//! How a restart goes: when its order is answered, and how long it takes. What becomes of a server if its
//! replacement fails, in whatever state it is, `ant-logic` tests (`supervise/tests/lives.rs`).

use super::{AT_ONCE, SOON, VICTIM, serial, victim};
use crate::ant::{self, Server, answers, expect};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// How long a server has to be ready.
const READY: Duration = Duration::from_secs(2);

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .sweep("an_order_is_done_when_it_serves", an_order_is_done_when_it_serves)
        .test("the_last_restart_has_a_time", the_last_restart_has_a_time)
        .long("one_that_is_not_ready_in_time", one_that_is_not_ready_in_time)
}

/// Restarts a server, and sees at once that it serves.
fn restart(guest: &TestGuest, name: &str) -> Result<Server> {
    let command = format!("antctl server restart {name} && antctl server list");
    let output = guest.run(&command)?;
    expect(&output, 0, &format!("{name} was restarted\n"))?;
    let mut listed = output.stdout.lines().filter_map(ant::a_server);
    let found = listed.find(|server| server.name == name).context("it is not listed")?;
    ensure!(found.state == "serves", "{found:?}");
    Ok(found)
}

fn an_order_is_done_when_it_serves(guest: &TestGuest, extent: Extent) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    for name in ["name", "serial"] {
        let before = ant::server(guest, name)?;
        for more in 1..=extent.rounds(10, 3) {
            let found = restart(guest, name)?;
            ensure!(found.generation == before.generation + more, "{found:?}");
            ensure!(found.restarts == before.restarts, "{found:?}");
        }
    }
    answers(guest, "antctl run -- names", 0, "serial\n")?;
    // It cannot be ready before a program with a higher priority has left its CPU.
    to_lowest_priority(guest)?;
    let computes = ant::start(guest, "--cpu 2 -- spin 1");
    ant::await_process(guest, "spin", "running")?;
    restart(guest, "serial")?;
    expect(&computes.wait(SOON)?, 0, "")?;
    ant::down(guest)
}

/// Has `serial` run on CPU 2 from now on, if no program wants to.
fn to_lowest_priority(guest: &TestGuest) -> Result<()> {
    let pid = serial(guest)?.pid.context("it does not run")?;
    answers(guest, &format!("antctl move {pid} 2 && antctl priority {pid} 0"), 0, "")
}

fn the_last_restart_has_a_time(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    ant::up(guest, ant::USUAL)?;
    let fresh = ant::await_server(guest, "serial", 1, AT_ONCE)?;
    ensure!(fresh.down_ms.is_none(), "{fresh:?}");
    ant::kill_server(guest, "serial")?;
    let killed = ant::await_server(guest, "serial", 2, AT_ONCE)?;
    let took = killed.down_ms.context("it has no time")?;
    ensure!(took > 0.0 && took < READY.as_millis() as f64, "{killed:?}");
    // One that is replaced has served all the time.
    answers(guest, &format!("antctl server replace serial {VICTIM}"), 0, "serial was replaced")?;
    let replaced = ant::await_server(guest, "serial", 3, AT_ONCE)?;
    ensure!(replaced.down_ms == Some(took), "{replaced:?}, {killed:?}");
    ensure!(ant::server(guest, "name")?.down_ms.is_none());
    Ok(())
}

/// It never gets its CPU: a program with a higher priority computes there.
fn one_that_is_not_ready_in_time(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    to_lowest_priority(guest)?;
    let computes = ant::start(guest, "--cpu 2 -- spin");
    ant::await_process(guest, "spin", "running")?;
    let start = Instant::now();
    answers(
        guest,
        "antctl server restart serial",
        1,
        "serial does not serve yet: the new one did not begin to serve in time",
    )?;
    ensure!(start.elapsed() < READY * 2 + AT_ONCE, "that took {:?}", start.elapsed());
    let found = serial(guest)?;
    ensure!(found.state != "serves", "{found:?}");
    drop(computes);
    ant::await_serving(guest, "serial", SOON)?;
    let back = serial(guest)?;
    ensure!(back.last_end == "did not serve in time", "{back:?}");
    ensure!(back.down_ms.is_some_and(|took| took >= READY.as_millis() as f64), "{back:?}");
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    ant::down(guest)
}
