//! Below the table: a server that is starting, and one that is being replaced.

use super::cell::{Cell, Helper, Helpers, SOON, await_state, says, two_that_know, up};
use crate::ant::{self, answers, client, expect};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, TestGuest};
use anyhow::{Context, Result, bail, ensure};

const REPLACE: &str = "antctl server replace probe /usr/lib/ant/tests/victim";
/// Of what must be done in time, so often: on a slow machine it may be too late.
const ATTEMPTS: u32 = 5;

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .sweep("starts_and_faults", starts_and_faults)
        .sweep("starts_and_hangs", starts_and_hangs)
        .test("starts_and_is_killed", starts_and_is_killed)
        .sweep("is_replaced_and_does_not_finish", is_replaced_and_does_not_finish)
        .sweep("is_replaced_and_killed", is_replaced_and_killed)
        .sweep("is_replaced_and_faults", is_replaced_and_faults)
        .sweep("takes_over_and_is_killed", takes_over_and_is_killed)
        .test("is_to_replace_and_is_killed", is_to_replace_and_is_killed)
}

/// Server and client beside each other and apart, on a p-kernel's CPU and the m-kernel's.
const PLACES: [(u32, u32); 4] = [(2, 2), (2, 3), (1, 1), (1, 2)];

/// Has the server there, from a program that has come as its replacements will: `init` has its memory.
fn cells(guest: &TestGuest, extent: Extent) -> Result<impl Iterator<Item = Result<Cell<'_>>>> {
    up(guest)?;
    ant::await_idle(guest)?;
    answers(guest, REPLACE, 0, "probe was replaced")?;
    let places = extent.of(PLACES).into_iter();
    Ok(places.map(|(server, client)| Cell::begin(guest, server, client)))
}

/// Has the server go wrong in its next start, and ends it; one of the clients asks meanwhile.
fn end_and_go_wrong<'a>(cell: &Cell<'a>, how: &str) -> Result<[Background<'a>; 2]> {
    let guest = cell.guest;
    let [late, patient] = two_that_know(guest, cell.client_cpu)?;
    answers(guest, &format!("antctl run -- victim call {how}"), 0, ", generation ")?;
    ant::kill_server(guest, "probe")?;
    patient.input("\n");
    Ok([late, patient])
}

/// It serves in the end, and every client has its answer.
fn serves_at_last(
    cell: &Cell,
    [late, patient]: [Background<'_>; 2],
    starts: u32,
    last_end: &str,
) -> Result<()> {
    let generation = cell.server.generation + starts;
    let after = ant::await_server(cell.guest, "probe", generation, SOON)?;
    ensure!(after.last_end.starts_with(last_end), "{after:?}");
    ensure!(after.restarts == cell.server.restarts + starts, "{after:?}");
    late.input("\n");
    says(late, &format!("count: PeerRestarted {{ generation: {generation} }}\n"))?;
    says(patient, &format!("count: 1 0, generation {generation}\n"))?;
    cell.is_whole()
}

/// Twice, before it is ready.
fn starts_and_faults(guest: &TestGuest, extent: Extent) -> Result<()> {
    for cell in cells(guest, extent)? {
        let cell = cell?;
        let clients = end_and_go_wrong(&cell, "stumble 2")?;
        serves_at_last(&cell, clients, 3, "page fault (read 0x10)")?;
    }
    Ok(())
}

fn starts_and_hangs(guest: &TestGuest, extent: Extent) -> Result<()> {
    for cell in cells(guest, extent)?.step_by(3) {
        let cell = cell?;
        let clients = end_and_go_wrong(&cell, "hang 1")?;
        serves_at_last(&cell, clients, 2, "did not serve in time")?;
    }
    Ok(())
}

fn starts_and_is_killed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    for _ in 0..ATTEMPTS {
        let cell = Cell::begin(guest, 2, 3)?;
        let clients = end_and_go_wrong(&cell, "hang 1")?;
        guest.run(
            "until antctl server list | grep -q '^probe  *starting'; do :; done
             antctl kill $(antctl server list | awk '$1 == \"probe\" { print $3 }')",
        )?;
        let generation = cell.server.generation + 2;
        let last_end = ant::await_server(guest, "probe", generation, SOON)?.last_end;
        serves_at_last(&cell, clients, 2, &last_end)?;
        if last_end == "killed by signal 15" {
            return Ok(());
        }
        ensure!(last_end.starts_with("did not serve"), "{last_end}");
    }
    bail!("it was always too late to kill it")
}

/// The old one is at a call that does not return: with a client, one that has called the old one, one
/// that wants any.
struct Replaced<'a> {
    cell: Cell<'a>,
    helper: Helpers<'a>,
    served: Background<'a>,
    late: Background<'a>,
    patient: Background<'a>,
}

impl<'a> Replaced<'a> {
    fn begin(cell: Cell<'a>, then: &str) -> Result<Self> {
        let guest = cell.guest;
        let helper = Helpers::start(&cell, Helper::Serves)?;
        let [late, patient] = two_that_know(guest, cell.client_cpu)?;
        let served = client(guest, cell.client_cpu, &format!("call sleep 0 pass {then}"));
        await_state(guest, cell.pid(), "calling")?;
        ant::await_process(guest, "victim call sleep", "calling")?;
        late.input("\n");
        patient.input("\n");
        ant::await_processes(guest, 2, "victim met", "calling")?;
        Ok(Self { cell, helper, served, late, patient })
    }

    /// The new one is in its place. A client that was not served yet is served there.
    fn conclude(self, generation: u32) -> Result<()> {
        let Self { cell, helper, served, late, patient } = self;
        let after = ant::await_server(cell.guest, "probe", generation, SOON)?;
        ensure!(after.pid != cell.server.pid, "{after:?}");
        says(served, &format!("sleep: PeerRestarted {{ generation: {generation} }}\n"))?;
        // As soon as another was bound.
        says(late, &cell.fill_in("count: PeerRestarted { generation: NEW }\n"))?;
        says(patient, &format!("count: 1 0, generation {generation}\n"))?;
        helper.go_on();
        drop(helper);
        cell.is_whole()
    }

    /// Waits until the new one is bound, and waits for the old one to end.
    fn await_bound(&self) -> Result<()> {
        let generation = self.cell.new_generation();
        let bound = format!("antctl server list | grep -q '^probe  .*  {generation}  '");
        self.cell.guest.wait_until(&bound, SOON)
    }
}

/// It is ended after a second.
fn is_replaced_and_does_not_finish(guest: &TestGuest, extent: Extent) -> Result<()> {
    for cell in cells(guest, extent)? {
        let replaced = Replaced::begin(cell?, "")?;
        answers(guest, REPLACE, 0, "probe was replaced")?;
        let generation = replaced.cell.new_generation();
        let restarts = replaced.cell.server.restarts;
        replaced.conclude(generation)?;
        ensure!(ant::server(guest, "probe")?.restarts == restarts, "that was no restart");
    }
    Ok(())
}

/// Whether it ends by that or because its time is over makes no difference.
fn is_replaced_and_killed(guest: &TestGuest, extent: Extent) -> Result<()> {
    for cell in cells(guest, extent)? {
        let replaced = Replaced::begin(cell?, "")?;
        let order = guest.spawn(REPLACE);
        replaced.await_bound()?;
        guest.run(&format!("antctl kill {}", replaced.cell.pid()))?;
        expect(&order.wait(SOON)?, 0, "probe was replaced")?;
        let generation = replaced.cell.new_generation();
        replaced.conclude(generation)?;
    }
    Ok(())
}

fn is_replaced_and_faults(guest: &TestGuest, extent: Extent) -> Result<()> {
    for cell in cells(guest, extent)? {
        let replaced = Replaced::begin(cell?, "fault")?;
        let order = guest.spawn(REPLACE);
        replaced.await_bound()?;
        replaced.helper.go_on();
        expect(&order.wait(SOON)?, 0, "probe was replaced")?;
        let generation = replaced.cell.new_generation();
        replaced.conclude(generation)?;
    }
    Ok(())
}

/// The new one, while it waits for the old one to finish. Both are gone then; the server is started
/// again.
fn takes_over_and_is_killed(guest: &TestGuest, extent: Extent) -> Result<()> {
    drop(cells(guest, extent)?);
    for (server, client) in extent.of(PLACES) {
        let in_time = |_| kill_the_new_one(Cell::begin(guest, server, client)?);
        let done = (0..ATTEMPTS).map(in_time).find(|done| !matches!(done, Ok(false)));
        done.context("it was always too late to kill it")??;
    }
    Ok(())
}

/// Kills the process that is to replace process `old` as server `name`, if it comes: it has another number.
fn kill_successor(guest: &TestGuest, name: &str, old: u32) -> Result<()> {
    guest.run(&format!(
        "for try in $(seq 50); do
             new=$(antctl ps | awk '$NF == \"{name}\" && $1 != {old} {{ print $1 }}')
             test -z \"$new\" || {{ antctl kill $new; break; }}
         done"
    ))?;
    Ok(())
}

/// Whether it was killed in time.
fn kill_the_new_one(cell: Cell) -> Result<bool> {
    let (guest, old) = (cell.guest, cell.pid());
    let replaced = Replaced::begin(cell, "")?;
    let order = guest.spawn(REPLACE);
    kill_successor(guest, "probe", old)?;
    let output = order.wait(SOON)?;
    if output.status == 0 || ant::server(guest, "probe")?.pid == Some(old) {
        return Ok(false);
    }
    expect(&output, 1, "the new one ended before it served")?;
    let generation = replaced.cell.server.generation + 2;
    let last_end = ant::await_server(guest, "probe", generation, SOON)?.last_end;
    ensure!(last_end == "killed by signal 15", "{last_end}");
    replaced.conclude(generation)?;
    Ok(true)
}

/// A server's own successor that does not get ready; the server goes on.
fn is_to_replace_and_is_killed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for name in ["name", "probe"] {
        let before = ant::server(guest, name)?;
        let old = before.pid.context("it does not run")?;
        let order = guest.spawn(&format!("antctl server replace {name} /usr/lib/ant/apps/spin"));
        kill_successor(guest, name, old)?;
        // If it was too late, it is said of it that it did not begin to serve in time.
        expect(&order.wait(SOON)?, 1, "the new one ")?;
        let after = ant::server(guest, name)?;
        ensure!(after.generation == before.generation && after.pid == before.pid, "{after:?}");
        ensure!(after.restarts == before.restarts && after.state == "serves", "{after:?}");
        answers(guest, "antctl run -- victim call count", 0, "count: ")?;
    }
    Ok(())
}
