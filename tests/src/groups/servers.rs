//! OS servers: they run, come back, are replaced while they serve, and a client that calls them meanwhile
//! has a defined result. Most of it is done to `victim`, in the place of `serial`. What a server is at when
//! it ends is in `matrix`.

mod ends;
mod failures;
mod given_up;
mod orders;
mod replacement;
mod restarts;
mod room;

use crate::ant::{self, Server, answers};
use crate::com2::LINE;
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

/// A program that must not hang has ended by then.
const SOON: Duration = Duration::from_secs(20);
/// A server that was killed is back by then: at once, but for the slowness of an emulated machine.
const AT_ONCE: Duration = Duration::from_secs(5);
const VICTIM: &str = "/usr/lib/ant/tests/victim";
const NAME_SERVICE: &str = "/usr/lib/ant/servers/ant-name";

pub fn group() -> Group {
    let group = Group::with_console("servers")
        .test("they_run_after_boot", they_run_after_boot)
        .test("the_console_says_hello", the_console_says_hello)
        .test("programs_reach_the_console", programs_reach_the_console);
    // Ends count against a server until it is replaced or AnT is booted again: the order matters.
    let parts = [
        ends::add_to,
        orders::add_to,
        failures::add_to,
        room::add_to,
        replacement::add_to,
        given_up::add_to,
        restarts::add_to,
    ];
    parts.into_iter().fold(group, |group, add_to| add_to(group))
}

/// Waits until the console has had this line.
fn await_console(line: &str) -> Result<()> {
    let deadline = Instant::now() + AT_ONCE;
    loop {
        let said = std::fs::read_to_string(LINE.console())?;
        if said.split("\r\n").any(|said| said == line) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the console has no {line:?}: {said:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// `serial`, or what is in its place.
fn serial(guest: &TestGuest) -> Result<Server> {
    ant::server(guest, "serial")
}

/// Has `victim` serve in the place of `serial`; its generation.
fn victim(guest: &TestGuest) -> Result<u32> {
    up(guest)?;
    // Before it is called: a client waits long for a name that is not there.
    let called = "antctl run -- names | grep -qx victim && antctl run -- victim try count";
    let called = guest.run(called)?;
    if !called.stdout.starts_with("count: ") || called.stdout.starts_with("count: P") {
        answers(
            guest,
            &format!("antctl server replace serial {VICTIM}"),
            0,
            "serial was replaced",
        )?;
    }
    Ok(serial(guest)?.generation)
}

/// Ends the victim without a mark in its record.
fn restart(guest: &TestGuest) -> Result<()> {
    answers(guest, "antctl server restart serial", 0, "serial was restarted")
}

fn they_run_after_boot(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up(guest)?;
    let servers = ant::servers(guest)?;
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    ensure!(names == ["name", "serial"], "{servers:?}");
    for name in names {
        let server = ant::await_server(guest, name, 1, AT_ONCE)?;
        ensure!(
            server.restarts == 0 && server.priority == 5 && server.last_end == "-",
            "{server:?}"
        );
        let all = ant::all_processes(guest)?;
        let shown = all.iter().find(|process| Some(process.pid) == server.pid);
        let shown = shown.with_context(|| format!("{name} is missing: {all:?}"))?;
        ensure!(shown.kind == "server" && shown.command == name && shown.cpu == 1, "{shown:?}");
        ensure!(shown.state == "receiving" && shown.priority == 5 && shown.proxy == 0, "{shown:?}");
        ensure!(shown.restarts == Some(0), "{shown:?}");
    }
    let all = ant::all_processes(guest)?;
    let init = all.iter().find(|process| process.command == "init").context("no init")?;
    ensure!(init.kind == "server" && init.pid == 1 && init.priority == 7, "{init:?}");
    ensure!(init.restarts.is_none(), "it is never restarted: {init:?}");
    answers(guest, "antctl run -- names", 0, "serial\n")
}

fn the_console_says_hello(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_console("AnT: serial console, generation 1")
}

fn programs_reach_the_console(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for cpu in [1, 2, 3] {
        let words = format!("hello from {cpu}");
        // More than the words of a message hold goes in a page.
        let long = format!("{words} {}", "x".repeat(200));
        answers(guest, &format!("antctl run --cpu {cpu} -- say {words}"), 0, "")?;
        answers(guest, &format!("antctl run --cpu {cpu} -- say {long}"), 0, "")?;
        await_console(&words)?;
        await_console(&long)?;
    }
    Ok(())
}

/// As `antctl ps` shows it.
fn memory_of_init(guest: &TestGuest) -> Result<String> {
    let all = ant::all_processes(guest)?;
    let init = all.into_iter().find(|process| process.command == "init");
    Ok(init.context("no init")?.memory)
}
