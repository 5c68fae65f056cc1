//! A server is replaced, or restarted, while clients call it.

use super::{AT_ONCE, NAME_SERVICE, SOON, VICTIM, restart, serial, victim};
use crate::ant::{self, answers, client, expect, met};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, TestGuest};
use anyhow::{Context, Result, bail, ensure};
use std::thread;
use std::time::Duration;

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .sweep("restarted_while_clients_call", restarted_while_clients_call)
        .sweep("replaced_while_clients_call", replaced_while_clients_call)
        .test("replaced_with_messages_unread", replaced_with_messages_unread)
        .sweep("replaced_by_two_at_once", replaced_by_two_at_once)
        .test("replacements_that_fail", replacements_that_fail)
}

/// Has the victim busy, with three messages and two bits unread, and a call by a client that would wait.
fn with_unread<'a>(guest: &'a TestGuest, request: &str) -> Result<[Background<'a>; 2]> {
    let served = met(guest, 2, request)?;
    let queued = met(guest, 1, "ask count")?;
    let sender = met(guest, 3, "send 3")?;
    // Slowly enough for one after the other, and soon enough for `init` not to notice before.
    for client in [&served, &sender, &queued] {
        client.input("\n");
        thread::sleep(Duration::from_millis(100));
    }
    expect(&sender.wait(SOON)?, 0, "send: Ok(()), notify: Ok(())\n")?;
    Ok([served, queued])
}

/// Waits until a client that loops has called: it sleeps after each call, and not before.
fn await_calls(guest: &TestGuest) -> Result<()> {
    guest.wait_until("antctl ps | grep 'victim loop' | grep -q sleeping", SOON)
}

fn restarted_while_clients_call(guest: &TestGuest, extent: Extent) -> Result<()> {
    for (how, restarts) in extent.of([("ask", 0), ("call", 1)]) {
        let generation = victim(guest)? + 1;
        restart(guest)?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let calls = client(guest, 2, &format!("loop {how} 2500"));
        await_calls(guest)?;
        restart(guest)?;
        let output = calls.wait(SOON)?;
        // A call that was being served when it ended is the one that may fail.
        ensure!(output.status == 0 && output.stdout.contains(" 1 changes, "), "{output:?}");
        expect(&output, 0, " 0 failed\n")?;
        let counted = |n: u32| output.stdout.contains(&format!(" {n} restarts, "));
        ensure!(counted(restarts) || counted(1), "{output:?}");
    }
    Ok(())
}

fn replaced_while_clients_call(guest: &TestGuest, extent: Extent) -> Result<()> {
    // On its CPU, and across CPUs; the sample has each of the two ways to call.
    let cases = [[(1, "call", 1), (2, "ask", 0)], [(1, "ask", 0), (2, "call", 1)]];
    for (cpu, how, restarts) in extent.of(cases).into_iter().flatten() {
        let generation = victim(guest)? + 1;
        restart(guest)?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let calls = client(guest, cpu, &format!("loop {how} 2500"));
        await_calls(guest)?;
        let replace = format!("antctl server replace serial {VICTIM}");
        answers(guest, &replace, 0, "serial was replaced")?;
        let said = format!(" served, 1 changes, {restarts} restarts, 0 lost, 0 failed\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
    }
    Ok(())
}

fn replaced_with_messages_unread(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    restart(guest)?;
    // On a slow machine the old one may be done before it is replaced.
    for _ in 0..5 {
        if replace_with_messages_unread(guest)? {
            return Ok(());
        }
    }
    bail!("it was always too late to replace it")
}

/// Whether the one that was replaced was still at its request.
fn replace_with_messages_unread(guest: &TestGuest) -> Result<bool> {
    let generation = victim(guest)? + 1;
    let free = ant::free_memory(guest)?;
    let [served, queued] = with_unread(guest, "call sleep 900")?;
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 0, "serial was replaced")?;
    // The old one has finished what it was at, the new one has the rest.
    expect(&served.wait(SOON)?, 0, &format!(", generation {}\n", generation - 1))?;
    let queued = queued.wait(SOON)?;
    if queued.stdout.ends_with(&format!(", generation {}\n", generation - 1)) {
        return Ok(false);
    }
    expect(&queued, 0, &format!("count: 1 0, generation {generation}\n"))?;
    let said = format!("told: 3 5, generation {generation}\n");
    answers(guest, "antctl run -- victim call told", 0, &said)?;
    ant::await_free_memory(guest, free)?;
    Ok(true)
}

fn replaced_by_two_at_once(guest: &TestGuest, extent: Extent) -> Result<()> {
    const BUSY: &str = "another server is being replaced: try again when that is done";
    let mut generation = victim(guest)? + 1;
    restart(guest)?;
    ant::await_server(guest, "serial", generation, AT_ONCE)?;
    // From now on `init` keeps its program.
    let replace = format!("antctl server replace name {NAME_SERVICE}");
    answers(guest, &replace, 0, "name was replaced\n")?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    let others = extent.of([("name", NAME_SERVICE), ("nobody", VICTIM)]);
    for (name, program) in [("serial", VICTIM)].into_iter().chain(others) {
        let calls = client(guest, 2, "loop ask 3000");
        await_calls(guest)?;
        let first = format!("antctl server replace serial {VICTIM}");
        let second = format!("antctl server replace {name} {program}");
        let mut replaced = 0;
        for (order, name) in [(guest.spawn(&first), "serial"), (guest.spawn(&second), name)] {
            let output = order.wait(SOON)?;
            let said = format!("{}{}", output.stdout, output.stderr);
            let done = output.status == 0 && said == format!("{name} was replaced\n");
            let none = name == "nobody" && said.contains("no server nobody");
            ensure!(done || none || output.status == 1 && said.contains(BUSY), "{output:?}");
            replaced += u32::from(done && name == "serial");
        }
        ensure!((1..=2).contains(&replaced) || name != "serial", "neither was done");
        generation += replaced;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let said = format!(" served, {replaced} changes, 0 restarts, 0 lost, 0 failed\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
    }
    ant::await_idle(guest)?;
    ant::await_free_memory(guest, free)
}

fn replacements_that_fail(guest: &TestGuest) -> Result<()> {
    let generation = victim(guest)? + 1;
    restart(guest)?;
    ant::await_server(guest, "serial", generation, AT_ONCE)?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    guest.succeed("head -c 4096 /bin/busybox > /tmp/piece; mkfifo /tmp/fifo 2> /dev/null; true")?;
    let calls = client(guest, 2, "loop call 5000");
    await_calls(guest)?;
    let goes_on = "serial was not replaced, it keeps its program: ";
    for (file, text) in [
        ("/no/such", "No such file"),
        ("/tmp", "/tmp: it is no program"),
        ("/tmp/fifo", "/tmp/fifo: it is no program"),
        ("/etc/passwd", "/etc/passwd: it is no program"),
        ("/bin/busybox", "/bin/busybox: it has "),
        ("/tmp/piece", &format!("{goes_on}its program is none for AnT")),
        ("/usr/lib/ant/apps/getpid", &format!("{goes_on}the new one ended before it served")),
        ("/usr/lib/ant/tests/crash", &format!("{goes_on}the new one ended before it served")),
        ("/usr/lib/ant/apps/spin", &format!("{goes_on}the new one did not begin to serve in time")),
    ] {
        answers(guest, &format!("antctl server replace serial {file}"), 1, text)?;
        let found = serial(guest)?;
        ensure!(found.state == "serves" && found.generation == generation, "{file}: {found:?}");
    }
    answers(guest, &format!("antctl server replace nobody {VICTIM}"), 1, "no server nobody")?;
    answers(guest, "antctl server replace serial", 2, "FILE")?;
    expect(&calls.wait(SOON)?, 0, " 0 changes, 0 restarts, 0 lost, 0 failed\n")?;
    // Orders are taken while the new one does not get ready.
    let old = serial(guest)?.pid.context("it does not run")?;
    let replace = guest.spawn("antctl server replace serial /usr/lib/ant/apps/spin");
    guest.wait_until("test $(antctl ps | grep -c ' serial$') = 2", AT_ONCE)?;
    answers(guest, &format!("antctl priority {old} 4"), 1, "is being replaced: try again")?;
    ant::kill_server(guest, "serial")?;
    expect(&replace.wait(SOON)?, 1, "the old one has ended meanwhile")?;
    ant::await_server(guest, "serial", generation + 1, AT_ONCE)?;
    ant::await_free_memory(guest, free)
}
