//! Servers that fail by themselves: they come back, unless they keep ending.

use super::ends::Bystanders;
use super::{AT_ONCE, SOON, serial, victim};
use crate::ant::{self, answers, client, expect, met};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Result, ensure};
use std::time::Duration;

/// A server that does not answer is asked within a second, has another, and is back by then.
const WATCHED: Duration = Duration::from_secs(2 + 5);

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .sweep("failing_ones_come_back", failing_ones_come_back)
        .test("one_that_keeps_ending_is_given_up", one_that_keeps_ending_is_given_up)
}

fn failing_ones_come_back(guest: &TestGuest, extent: Extent) -> Result<()> {
    let mut generation = victim(guest)?;
    let bystanders = Bystanders::start(guest)?;
    let at_once = [(1, "fault", "page fault (read 0x10)"), (1, "exit", "exited with status 7")];
    // On its client's CPU, and on another before and after.
    let watched = extent.of([1, 2, 1]).into_iter();
    let watched = watched.map(|cpu| (cpu, "spin", "did not answer within 1000 ms"));
    for (cpu, how, last_end) in at_once.into_iter().chain(watched) {
        let limit = if how == "spin" { WATCHED } else { AT_ONCE };
        let process = ant::process_of(guest, "serial")?;
        if process.cpu != cpu {
            answers(guest, &format!("antctl move {} {cpu}", process.pid), 0, "goes to CPU")?;
        }
        let before = serial(guest)?;
        let calls = client(guest, 2, &format!("call {how}"));
        let after = ant::await_server(guest, "serial", generation + 1, limit)?;
        generation += 1;
        ensure!(after.restarts == before.restarts + 1, "{how}: {after:?}");
        ensure!(after.last_end.starts_with(last_end), "{how}: {after:?}");
        let said = format!("{how}: PeerRestarted {{ generation: {generation} }}\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
        answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    }
    bystanders.go_on(guest)
}

fn one_that_keeps_ending_is_given_up(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    // Earlier restarts are held against it; one that was brought back begins anew.
    for (way, is_new) in
        [("restart serial", false), ("replace serial /usr/lib/ant/tests/victim", true)]
    {
        let late = met(guest, 3, "ask count")?;
        let output = guest.run_as("root", "antctl run --cpu 2 -- victim kill", SOON)?;
        expect(&output, 0, " killed\nkill: PeerGone\n")?;
        let killed: u32 = output.stdout.split(' ').nth(1).unwrap_or("").parse()?;
        let found = serial(guest)?;
        // Six have ended, five restarts are what the manifest allows. A client that has asked the last one
        // is told that it has ended or that no other will come, whichever is known first.
        let all = found.restarts == 5 && (5..=6).contains(&killed);
        ensure!(all || !is_new && killed <= 5, "{output:?}, {found:?}");
        ensure!(found.state == "given up" && found.pid.is_none(), "{found:?}");
        ensure!(found.last_end.starts_with("page fault"), "{found:?}");
        late.input("\n");
        expect(&late.wait(SOON)?, 0, "count: PeerGone\n")?;
        // No program takes its place.
        answers(guest, "antctl run -- victim serve victim", 1, "victim: Busy")?;
        // The others go on without it.
        ant::works_on(guest, &[1, 2, 3])?;
        ensure!(ant::server(guest, "name")?.state == "serves");
        answers(guest, &format!("antctl server {way}"), 0, "serial was re")?;
        answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
        ensure!(serial(guest)?.state == "serves", "{way}: {:?}", serial(guest)?);
    }
    Ok(())
}
