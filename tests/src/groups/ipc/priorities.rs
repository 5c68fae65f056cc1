//! Which client is served first, and which process runs: priorities, lent by clients to servers.

use super::{SOON, await_idle, end, occupy, serve, up};
use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{Background, TestGuest};
use anyhow::{Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("the_higher_priority_is_served_first", the_higher_priority_is_served_first)
        .test("a_server_inherits_from_its_caller", a_server_inherits_from_its_caller)
        .test("and_so_does_the_server_that_it_calls", and_so_does_the_server_that_it_calls)
        .test("a_flood_leaves_others_their_turn", a_flood_leaves_others_their_turn)
        .test("a_flood_from_above_ends", a_flood_from_above_ends)
        .test("a_flood_of_messages_leaves_servers_alive", a_flood_of_messages_leaves_servers_alive)
        .test(
            "a_flood_takes_no_time_from_those_above_it",
            a_flood_takes_no_time_from_those_above_it,
        )
        .test("priorities_can_be_changed", priorities_can_be_changed)
}

/// Starts clients that wait at their gates, on CPUs in turn, and gives them a priority.
fn at_the_gate<'a>(
    guest: &'a TestGuest,
    count: usize,
    cpus: &[u32],
    priority: u32,
) -> Result<Vec<Background<'a>>> {
    let words =
        |n: usize| format!("--cpu {} -- victim gated call count {priority}", cpus[n % cpus.len()]);
    let clients: Vec<_> = (0..count).map(|n| ant::start(guest, &words(n))).collect();
    let own = format!("victim gated call count {priority}");
    for process in ant::await_processes(guest, count, &own, "in call")? {
        let command = format!("antctl priority {} {priority}", process.pid);
        answers(guest, &command, 0, &format!("process {} has priority {priority}", process.pid))?;
    }
    Ok(clients)
}

fn the_higher_priority_is_served_first(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    let caller = occupy(guest)?;
    // On the server's CPU, and on others.
    let low = at_the_gate(guest, 3, &[1, 2, 3], 1)?;
    let high = at_the_gate(guest, 2, &[2, 3], 6)?;
    low.iter().for_each(|client| client.input("\n"));
    ant::await_processes(guest, 3, "victim gated call count 1", "calling")?;
    high.iter().for_each(|client| client.input("\n"));
    ant::await_processes(guest, 2, "victim gated call count 6", "calling")?;
    server.input("\n");
    expect(&caller.wait(SOON)?, 0, "gate: 0 0, generation 0\n")?;
    // The place in which each was served.
    let turn = |client: Background<'_>| -> Result<u32> {
        let output = client.wait(SOON)?;
        expect(&output, 0, "count: ")?;
        Ok(output.stdout.split(' ').nth(1).unwrap_or_default().parse()?)
    };
    for (clients, turns) in [(high, [1, 2].as_slice()), (low, &[3, 4, 5])] {
        let mut had = clients.into_iter().map(turn).collect::<Result<Vec<_>>>()?;
        had.sort_unstable();
        ensure!(had == turns, "turns {had:?}, not {turns:?}");
    }
    end(guest, server)
}

/// Gives the one process of `command` a priority.
fn set_priority(guest: &TestGuest, command: &str, priority: u32) -> Result<()> {
    let pid = ant::await_started(guest, 1, command)?[0].pid;
    let said = format!("process {pid} has priority {priority}");
    answers(guest, &format!("antctl priority {pid} {priority}"), 0, &said)
}

/// Has a program on CPU 3 that never leaves it to a process of a lower priority than 4.
fn keep_busy(guest: &TestGuest) -> Result<Background<'_>> {
    let spin = ant::start(guest, "--cpu 3 -- spin");
    ant::await_process(guest, "spin", "running")?;
    set_priority(guest, "spin", 4)?;
    Ok(spin)
}

/// A server of priority 2 beside a program of priority 4 that computes: it runs for clients of a higher
/// priority than that, and for no others.
fn a_server_inherits_from_its_caller(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    let high = at_the_gate(guest, 2, &[2, 3], 6)?;
    let spin = keep_busy(guest)?;
    let low = "antctl run --cpu 2 -- victim try count";
    answers(guest, low, 0, "count: TimedOut\n")?;
    // The server has received that, and will serve it in vain.
    for (client, count) in high.into_iter().zip(2..) {
        client.input("\n");
        expect(&client.wait(SOON)?, 0, &format!("count: {count} 0, generation 0\n"))?;
    }
    // It has what its clients lent it as long as it serves them.
    answers(guest, low, 0, "count: TimedOut\n")?;
    ant::await_process(guest, "spin", "running")?;
    drop(spin);
    guest.wait_until("! antctl ps | grep 'spin$'", SOON)?;
    answers(guest, "antctl run --cpu 2 -- victim call count", 0, "count: 5 0, generation 0\n")?;
    end(guest, server)
}

/// Through a server on another CPU to one beside the program that computes.
fn and_so_does_the_server_that_it_calls(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 1)?;
    let helper = ant::start(guest, "--cpu 3 -- victim serve helper");
    ant::await_process(guest, "victim serve helper", "receiving")?;
    let high = ant::start(guest, "--cpu 2 -- victim gated call relay");
    ant::await_process(guest, "victim gated call relay", "in call")?;
    set_priority(guest, "victim gated call relay", 6)?;
    let spin = keep_busy(guest)?;
    let low = ant::start(guest, "--cpu 2 -- victim call relay");
    ant::await_process(guest, "victim serve victim", "calling")?;
    ant::await_process(guest, "victim call relay", "calling")?;
    // Both inherit from the client of the higher priority, though another's request is served.
    high.input("\n");
    expect(&low.wait(SOON)?, 0, "relay: 1 0, generation 0\n")?;
    expect(&high.wait(SOON)?, 0, "relay: 2 0, generation 0\n")?;
    drop((spin, helper));
    guest.wait_until("! antctl ps | grep -Eq 'spin$|helper$'", SOON)?;
    end(guest, server)
}

/// A client of a lower priority may have to wait; it is served in the end.
fn a_flood_from_above_ends(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    let flood: Vec<_> = (1..=3)
        .map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- victim flood 10000")))
        .collect();
    let low = at_the_gate(guest, 2, &[1, 2], 1)?;
    for process in ant::await_started(guest, 3, "victim flood")? {
        guest.succeed(&format!("antctl priority {} 6", process.pid))?;
    }
    low.iter().for_each(|client| client.input("\n"));
    for output in low.into_iter().chain(flood).map(|client| client.wait(SOON)) {
        let output = output?;
        let served = output.stdout.starts_with("count: ") || output.stdout.contains(" 0 failed");
        ensure!(output.status == 0 && served, "{output:?}");
    }
    answers(guest, "antctl run -- victim call count", 0, "count: ")?;
    end(guest, server)
}

/// Messages and bits that are not wanted, to a server of AnT's own, from every CPU.
fn a_flood_of_messages_leaves_servers_alive(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = ant::servers(guest)?;
    let flood: Vec<_> = (1..=3)
        .map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- victim flood-sends serial 60000")))
        .collect();
    for process in ant::await_started(guest, 3, "victim flood-sends")? {
        guest.succeed(&format!("antctl priority {} 0", process.pid))?;
    }
    for cpu in 1..=3 {
        let lookups = format!("antctl run --cpu {cpu} -- names serial 1000");
        let output = guest.run_as("root", &lookups, SOON)?;
        expect(&output, 0, "1000 requests served\n")?;
        answers(guest, &format!("antctl run --cpu {cpu} -- say through the flood"), 0, "")?;
    }
    // For as long as it takes `init` to miss a server that does not show that it lives.
    guest.succeed("sleep 3")?;
    for (before, after) in before.iter().zip(ant::servers(guest)?) {
        ensure!(after.state == "serves" && after.generation == before.generation, "{after:?}");
    }
    ensure!(ant::await_started(guest, 3, "victim flood-sends")?.len() == 3);
    drop(flood);
    ant::await_idle(guest)
}

/// A server of a high priority has messages and bits from a program of the lowest: a program between the two
/// that computes has the server's CPU.
fn a_flood_takes_no_time_from_those_above_it(guest: &TestGuest) -> Result<()> {
    const SERVER: &str = "victim serve victim";
    up(guest)?;
    let server = serve(guest, 3)?;
    set_priority(guest, SERVER, 5)?;
    let caller = occupy(guest)?;
    let low = ant::start(guest, "--cpu 2 -- victim gated send 5");
    ant::await_process(guest, "victim gated send", "in call")?;
    set_priority(guest, "victim gated send", 0)?;
    low.input("\n");
    expect(&low.wait(SOON)?, 0, "send: Ok(()), notify: Ok(())\n")?;
    let spin = ant::start(guest, "--cpu 3 -- spin");
    ant::await_process(guest, "spin", "running")?;
    server.input("\n");
    expect(&caller.wait(SOON)?, 0, "gate: 0 0, generation 0\n")?;
    ant::await_process(guest, SERVER, "ready")?;
    // It shares the CPU for a client that is worth as much; what it does then is not for the messages.
    answers(guest, "antctl run --cpu 2 -- victim call told", 0, "told: 0 5, generation 0\n")?;
    guest.succeed("sleep 0.5")?;
    ant::await_process(guest, SERVER, "ready")?;
    drop(spin);
    ant::await_process(guest, SERVER, "receiving")?;
    answers(guest, "antctl run --cpu 2 -- victim call told", 0, "told: 5 5, generation 0\n")?;
    end(guest, server)
}

fn a_flood_leaves_others_their_turn(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    let flood: Vec<_> = (1..=3)
        .map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- victim flood 60000")))
        .collect();
    for process in ant::await_started(guest, 3, "victim flood")? {
        guest.succeed(&format!("antctl priority {} 0", process.pid))?;
    }
    // Its turn comes after the request that is being served, so it could have every other one. How much
    // of that it has the time to ask for is up to the machine, but for a small share.
    let output = guest.run_as("root", "antctl run --cpu 2 -- victim flood 1000", SOON)?;
    expect(&output, 0, " 0 changes, 0 restarts, ")?;
    expect(&output, 0, " 0 failed\n")?;
    let number = |after: &str| -> Result<u64> {
        let text = output.stdout.split(after).nth(1).unwrap_or_default();
        Ok(text.split([' ', '\n']).next().unwrap_or_default().parse()?)
    };
    let (served, all) = (number("loop: ")?, number("loop: of ")?);
    ensure!(served * 20 >= all && all > served, "{served} of {all}");
    let floods = ant::await_started(guest, 3, "victim flood")?;
    ensure!(floods.iter().all(|process| process.priority == 0), "{floods:?}");
    drop(flood);
    guest.wait_until("! antctl ps | grep 'victim flood'", SOON)?;
    end(guest, server)
}

fn priorities_can_be_changed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    // Two on one CPU: the one that is worth more has it alone.
    let first = ant::start(guest, "--cpu 3 -- spin");
    let pid = ant::await_process(guest, "spin", "running")?.pid;
    for priority in [7, 3] {
        let said = format!("process {pid} has priority {priority}");
        answers(guest, &format!("antctl priority {pid} {priority}"), 0, &said)?;
        let found = ant::processes(guest)?;
        ensure!(found.iter().any(|process| process.pid == pid && process.priority == priority));
    }
    let second = ant::start(guest, "--cpu 3 -- spin 1");
    ant::await_process(guest, "spin 1", "ready")?;
    guest.succeed("sleep 1.2")?;
    let found = ant::processes(guest)?;
    let waits = found.iter().find(|process| process.command.contains("spin 1"));
    ensure!(waits.is_some_and(|process| process.state != "running"), "{found:?}");
    answers(guest, &format!("antctl priority {pid} 1"), 0, "")?;
    expect(&second.wait(SOON)?, 0, "")?;
    for (words, status, text) in [
        (format!("{pid} 8"), 2, "8"),
        (format!("{pid} -1"), 2, "-1"),
        (format!("{pid} high"), 2, "high"),
        ("65000 3".into(), 1, "no such process"),
    ] {
        answers(guest, &format!("antctl priority {words}"), status, text)?;
    }
    drop(first);
    await_idle(guest)
}
