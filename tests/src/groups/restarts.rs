//! How servers come back: how long that takes, who is told, and that a replacement that fails leaves
//! everything as it was, whatever state the server is in.

use super::servers::{self, AT_ONCE, SOON, VICTIM};
use crate::ant::{self, Server, answers, expect};
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use std::time::{Duration, Instant};

/// How long a server has to be ready.
const READY: Duration = Duration::from_secs(2);
/// So often `serial` is restarted within ten seconds; before the last time it waits for 800 ms.
const RESTARTS: u32 = 5;

pub fn group() -> Group {
    Group::new("restarts")
        .test("an_order_is_done_when_it_serves", an_order_is_done_when_it_serves)
        .test("the_last_restart_has_a_time", the_last_restart_has_a_time)
        .test("one_that_is_not_ready_in_time", one_that_is_not_ready_in_time)
        .test("one_that_fails_when_it_has_its_turn", one_that_fails_when_it_has_its_turn)
        .test("failed_replacements_of_one_given_up", failed_replacements_of_one_given_up)
        .test("failed_replacements_of_one_that_waits", failed_replacements_of_one_that_waits)
}

fn serial(guest: &TestGuest) -> Result<Server> {
    ant::server(guest, "serial")
}

/// The program that `serial` has, which `victim` was put in the place of, still is that.
fn is_still_the_victim(guest: &TestGuest) -> Result<()> {
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")
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

fn an_order_is_done_when_it_serves(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    for name in ["name", "serial"] {
        let generation = ant::server(guest, name)?.generation;
        for more in 1..=10 {
            let found = restart(guest, name)?;
            ensure!(found.generation == generation + more && found.restarts == 0, "{found:?}");
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
    servers::kill(guest, "serial")?;
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
    servers::victim(guest)?;
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
    is_still_the_victim(guest)?;
    ant::down(guest)
}

/// Programs that fail to serve, and why, as people are told.
const FAILURES: [(&str, &str); 4] = [
    ("/usr/lib/ant/tests/crash", "the new one ended before it served"),
    ("/usr/lib/ant/apps/getpid", "the new one ended before it served"),
    ("/usr/lib/ant/apps/spin", "the new one did not begin to serve in time"),
    ("/tmp/piece", "its program is none for AnT"),
];

/// Replaces `serial` by what does not serve.
fn replace_in_vain(guest: &TestGuest, file: &str, why: &str) -> Result<()> {
    let text = format!("serial was not replaced, it keeps its program: {why}\n");
    answers(guest, &format!("antctl server replace serial {file}"), 1, &text)
}

/// The console server is no name service: it has no device there, which it finds out when the old one
/// has ended. Whoever asks for names waits for the old program.
fn one_that_fails_when_it_has_its_turn(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    ant::up(guest, ant::USUAL)?;
    let before = ant::server(guest, "name")?;
    let lookups = ant::start(guest, "--cpu 2 -- names serial 10000");
    ant::await_process(guest, "names serial", "calling")?;
    let replace = "antctl server replace name /usr/lib/ant/servers/ant-serial";
    let why = "name was not replaced, it keeps its program: the new one ended before it served";
    answers(guest, replace, 1, why)?;
    let found = ant::await_server(guest, "name", before.generation + 2, AT_ONCE)?;
    ensure!(found.restarts == before.restarts, "{found:?}");
    expect(&lookups.wait(SOON)?, 0, "10000 requests served\n")?;
    answers(guest, "antctl run -- names", 0, "serial\n")
}

fn failed_replacements_of_one_given_up(guest: &TestGuest) -> Result<()> {
    servers::victim(guest)?;
    guest.succeed("head -c 4096 /bin/busybox > /tmp/piece")?;
    let late = ant::start(guest, "--cpu 3 -- victim met ask count");
    ant::await_process(guest, "met ask count", "in call")?;
    let output = guest.run_as("root", "antctl run --cpu 2 -- victim kill", SOON)?;
    expect(&output, 0, " killed\nkill: PeerGone\n")?;
    ant::await_processes(guest, 1, "victim", "in call")?;
    let before = serial(guest)?;
    ensure!(before.state == "given up", "{before:?}");
    let free = ant::free_memory(guest)?;
    for (file, why) in FAILURES {
        replace_in_vain(guest, file, why)?;
        let after = serial(guest)?;
        ensure!(after.state == "given up" && after.pid.is_none(), "{file}: {after:?}");
        ensure!(after.last_end == before.last_end, "{file}: {after:?}");
    }
    ant::await_free_memory(guest, free)?;
    late.input("\n");
    expect(&late.wait(SOON)?, 0, "count: PeerGone\n")?;
    answers(guest, "antctl server restart serial", 0, "serial was restarted")?;
    is_still_the_victim(guest)
}

fn failed_replacements_of_one_that_waits(guest: &TestGuest) -> Result<()> {
    // One fails at once, one when its server would long have been started again.
    for (file, why) in [FAILURES[0], FAILURES[2]] {
        // It may have been started again before the order came.
        let mut tries = 0..5;
        while !replace_one_that_waits(guest, file, why)? {
            ensure!(tries.next().is_some(), "{file}: it has never waited long enough");
        }
    }
    Ok(())
}

/// Whether it still waited when the order came.
fn replace_one_that_waits(guest: &TestGuest, file: &str, why: &str) -> Result<bool> {
    // With a clean record.
    ant::down(guest)?;
    let generation = servers::victim(guest)?;
    for restart in 1..RESTARTS {
        servers::kill(guest, "serial")?;
        ant::await_server(guest, "serial", generation + restart, AT_ONCE)?;
    }
    let pid = serial(guest)?.pid.context("it does not run")?;
    let output = guest.run(&format!(
        "antctl kill {pid} && antctl server list | grep -q '^serial  *waits' || exit 9
         antctl server replace serial {file}"
    ))?;
    if output.status == 9 || output.stderr.contains("started or replaced already") {
        return Ok(false);
    }
    expect(&output, 1, why)?;
    let back = ant::await_server(guest, "serial", generation + RESTARTS, AT_ONCE)?;
    ensure!(back.restarts == RESTARTS && back.last_end == "killed by signal 15", "{back:?}");
    is_still_the_victim(guest)?;
    Ok(true)
}
