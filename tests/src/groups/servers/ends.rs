//! Servers that are killed come back, and their clients have a defined result; nothing else notices.

use super::{AT_ONCE, SOON, await_console, memory_of_init, up};
use crate::ant::{self, answers};
use crate::com2::LINE;
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, TestGuest};
use anyhow::{Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("killed_ones_come_back", killed_ones_come_back)
        .test("killed_ones_have_clients", killed_ones_have_clients)
        .sweep("many_restarts_cost_nothing", many_restarts_cost_nothing)
}

/// Programs that nothing may befall.
pub struct Bystanders<'a> {
    computes: Background<'a>,
    calls: Background<'a>,
}

impl<'a> Bystanders<'a> {
    /// Starts them.
    pub fn start(guest: &'a TestGuest) -> Result<Self> {
        let computes = ant::start(guest, "--cpu 3 -- spin");
        let calls = ant::start(guest, "--cpu 2 -- getpid 1000000");
        ant::await_process(guest, "spin", "running")?;
        ant::await_process(guest, "getpid", "in call")?;
        Ok(Self { computes, calls })
    }

    /// They go on, and so do Linux and the other CPUs.
    pub fn go_on(self, guest: &TestGuest) -> Result<()> {
        let calls =
            |guest| -> Result<u64> { ant::number(&ant::status(guest)?, "/partition/wakes") };
        let before = calls(guest)?;
        ant::await_process(guest, "spin", "running")?;
        answers(guest, "antctl run --cpu 2 -- getpid 10", 0, "10 calls")?;
        ensure!(calls(guest)? > before + 10, "getpid has stopped");
        let Self { computes, calls } = self;
        drop((computes, calls));
        ant::await_idle(guest)
    }
}

fn killed_ones_come_back(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let bystanders = Bystanders::start(guest)?;
    let free = ant::free_memory(guest)?;
    for name in ["name", "serial"] {
        let before = ant::server(guest, name)?;
        let memory = ant::process_of(guest, name)?.memory;
        ant::kill_server(guest, name)?;
        let after = ant::await_server(guest, name, before.generation + 1, AT_ONCE)?;
        ensure!(after.restarts == before.restarts + 1 && after.pid != before.pid, "{after:?}");
        ensure!(after.last_end == "killed by signal 15", "{after:?}");
        let all = ant::all_processes(guest)?;
        ensure!(all.iter().any(|p| Some(p.pid) == after.pid && p.command == name), "{all:?}");
        ensure!(!all.iter().any(|p| Some(p.pid) == before.pid), "{all:?}");
        let process = ant::process_of(guest, name)?;
        ensure!(process.restarts == Some(after.restarts) && process.memory == memory, "{all:?}");
        // What it knew it knows again, and its clients are answered.
        answers(guest, "antctl run -- names", 0, "serial\n")?;
        answers(guest, &format!("antctl run -- say after {name}"), 0, "")?;
        await_console(&format!("after {name}"))?;
    }
    await_console("AnT: serial console, generation 2")?;
    // Also the page that `name` has its state in is there once.
    ant::await_free_memory(guest, free)?;
    bystanders.go_on(guest)
}

/// The servers themselves, whatever they are at: receiving, serving, with requests unread.
fn killed_ones_have_clients(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up(guest)?;
    let lookups = [1, 2, 3]
        .map(|cpu| guest.until_enough(&format!("antctl run --cpu {cpu} -- names serial 10000")));
    kill_thrice(guest, "name", "names serial")?;
    for client in lookups {
        let printed = client?.enough(SOON)?;
        let served = |line: &str| line == "10000 requests served";
        ensure!(!printed.is_empty() && printed.lines().all(served), "{printed}");
    }
    // A client that writes to the console need not notice: what may not have been written is written again.
    let says = guest.until_enough("antctl run --cpu 2 -- say a line && echo said")?;
    kill_thrice(guest, "serial", "say a line")?;
    let printed = says.enough(SOON)?;
    let said = printed.lines().count();
    ensure!(said > 0 && printed.lines().all(|line| line == "said"), "{printed}");
    answers(guest, "antctl run -- say all there", 0, "")?;
    await_console("all there")?;
    let console = std::fs::read_to_string(LINE.console())?;
    let written = console.split("\r\n").filter(|line| *line == "a line").count();
    // One for each kill may have been written twice.
    ensure!((said..=said + 3).contains(&written), "{written} of {said} lines: {console:?}");
    Ok(())
}

/// Kills the server three times, each time when at least one such client runs.
fn kill_thrice(guest: &TestGuest, name: &str, client: &str) -> Result<()> {
    let generation = ant::server(guest, name)?.generation;
    for kill_number in 1..=3 {
        ant::await_started(guest, 1, client)?;
        ant::kill_server(guest, name)?;
        ant::await_server(guest, name, generation + kill_number, AT_ONCE)?;
    }
    Ok(())
}

/// Ends a server again and again; it takes up what it did, and so does `init`.
fn many_restarts_cost_nothing(guest: &TestGuest, extent: Extent) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let taken_up = || -> Result<_> {
        let name = ant::process_of(guest, "name")?;
        Ok((ant::free_memory(guest)?, memory_of_init(guest)?, name.memory))
    };
    let (before, first) = (taken_up()?, ant::server(guest, "name")?);
    for number in 1..=extent.rounds(30, 10) {
        answers(guest, "antctl server restart name", 0, "name was restarted")?;
        ant::await_server(guest, "name", first.generation + number, AT_ONCE)?;
    }
    answers(guest, "antctl run -- names", 0, "serial\n")?;
    ant::await_free_memory(guest, before.0)?;
    let after = taken_up()?;
    ensure!(after == before, "before {before:?}, after {after:?}");
    let last = ant::server(guest, "name")?;
    let restarts = ant::process_of(guest, "name")?.restarts;
    // They do not count as failures.
    ensure!(last.restarts == first.restarts && restarts == Some(first.restarts), "{last:?}");
    Ok(())
}
