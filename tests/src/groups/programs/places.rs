//! Where programs run, several at once and beside each other, and what `antctl ps` says of them.

use super::{LICENSES, gnu, up};
use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use anyhow::{Context, Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("ps_lists", ps_lists)
        .test("ps_counts_memory", ps_counts_memory)
        .test("programs_are_placed", programs_are_placed)
        .test("runs_on_the_named_cpu", runs_on_the_named_cpu)
        .test("three_at_once_on_three_cpus", three_at_once_on_three_cpus)
        .test("two_share_a_cpu", two_share_a_cpu)
        .test("alone_without_timer_interrupts", alone_without_timer_interrupts)
}

fn ps_lists(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let reader = ant::start_as(guest, "user", "--cpu 3 -- wc - /no/such");
    let process = ant::await_process(guest, "wc - /no/such", "in call")?;
    ensure!(process.cpu == 3 && process.user == "user", "{process:?}");
    ensure!(process.restarts.is_none(), "programs are not restarted: {process:?}");
    let owner = guest.succeed(&format!("stat -c %U /proc/{}", process.proxy))?;
    ensure!(owner == "user\n", "the proxy is {owner}'s");
    reader.input("one\n");
    drop(reader);
    ant::await_idle(guest)
}

/// What a program takes is its own until it has handed it over.
fn ps_counts_memory(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let memory = |command: &str| -> Result<u64> {
        let found = ant::await_process(guest, command, "in call")?.memory;
        let kib = found.strip_suffix(" KiB").with_context(|| found.clone())?;
        Ok(kib.parse()?)
    };
    let server = ant::start(guest, "--cpu 2 -- victim serve victim");
    ant::await_process(guest, "victim serve", "receiving")?;
    let occupies = || ant::start(guest, "--cpu 3 -- victim call gate");
    let caller = occupies();
    let before = memory("victim serve")?;
    server.input("\n");
    expect(&caller.wait(LIMIT)?, 0, "gate: ")?;
    for (pages, kib) in [(50, 200), (10, 40)] {
        // Those that it had are free again.
        answers(guest, &format!("antctl run -- victim call keep {pages}"), 0, "keep: ")?;
        let caller = occupies();
        let with_pages = memory("victim serve")?;
        ensure!(with_pages == before + kib, "{with_pages} KiB with {pages} pages, {before} before");
        server.input("\n");
        expect(&caller.wait(LIMIT)?, 0, "gate: ")?;
    }
    drop(server);
    ant::await_idle(guest)
}

/// Without `--cpu`, a program goes where the fewest processes are: not to the m-kernel's CPU, where
/// the servers are.
fn programs_are_placed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let mut programs = Vec::new();
    for count in 1..=4 {
        programs.push(ant::start(guest, "-- wc"));
        ant::await_processes(guest, count, "wc", "in call")?;
    }
    let cpus = |guest| -> Result<Vec<u32>> {
        let mut cpus: Vec<u32> = ant::processes(guest)?.iter().map(|process| process.cpu).collect();
        cpus.sort_unstable();
        Ok(cpus)
    };
    ensure!(cpus(guest)? == [2, 2, 3, 3], "{:?}", ant::processes(guest)?);
    drop(programs);
    ant::await_idle(guest)?;
    // A program that was given a CPU counts there.
    let _chose = [1, 2, 3].map(|_| ant::start(guest, "--cpu 2 -- wc"));
    ant::await_processes(guest, 3, "wc", "in call")?;
    let _placed = ant::start(guest, "-- wc");
    ant::await_processes(guest, 4, "wc", "in call")?;
    ensure!(cpus(guest)? == [2, 2, 2, 3], "{:?}", ant::processes(guest)?);
    Ok(())
}

fn runs_on_the_named_cpu(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::works_on(guest, &[1, 2, 3])?;
    for cpu in [0, 4, 4096] {
        let text = format!("CPU {cpu} is not AnT's: it has CPUs 1, 2, 3");
        answers(guest, &format!("antctl run --cpu {cpu} -- getpid"), 125, &text)?;
    }
    answers(guest, "antctl run --cpu one -- getpid", 2, "--cpu")
}

fn three_at_once_on_three_cpus(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("cd /tmp && rm -f gate* result* && mkfifo gate1 gate2 gate3")?;
    let programs: Vec<_> = (1..=3)
        .map(|n| {
            let words = format!("--cpu {n} -- wc {LICENSES}/GPL-{n} - < /tmp/gate{n}");
            ant::start(guest, &format!("{words} > /tmp/result{n}"))
        })
        .collect();
    let gates = guest.spawn(
        "exec 4>/tmp/gate1 5>/tmp/gate2 6>/tmp/gate3; read go; echo a b >&4; echo c >&5; echo >&6",
    );
    let all = ant::await_processes(guest, 3, "wc", "in call")?;
    let mut cpus: Vec<u32> = all.iter().map(|process| process.cpu).collect();
    cpus.sort_unstable();
    ensure!(cpus == [1, 2, 3], "{all:?}");
    gates.input("go\n");
    for program in programs {
        expect(&program.wait(LIMIT)?, 0, "")?;
    }
    for (n, input) in [(1, "a b"), (2, "c"), (3, "")] {
        let result = guest.succeed(&format!("cat /tmp/result{n}"))?;
        let gnus = gnu(&format!("echo {input} | wc {LICENSES}/GPL-{n} -"))?;
        ensure!(result == gnus.stdout, "{n}: {result}, GNU's {}", gnus.stdout);
    }
    Ok(())
}

fn two_share_a_cpu(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let spins = [1, 2].map(|_| ant::start(guest, "--cpu 2 -- spin"));
    ant::await_processes(guest, 1, "spin", "ready")?;
    answers(guest, &format!("antctl run --cpu 2 -- wc {LICENSES}/GPL-3"), 0, "35149")?;
    answers(guest, "antctl run --cpu 2 -- getpid 20", 0, "20 calls")?;
    let left = ant::processes(guest)?;
    ensure!(left.len() == 2 && left.iter().all(|process| process.cpu == 2), "{left:?}");
    drop(spins);
    ant::await_idle(guest)
}

fn alone_without_timer_interrupts(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    // Of this CPU: the m-kernel's has a timer for init, which watches servers.
    let timer = || ant::of_cpu(&ant::status(guest)?, 3, "timer");
    let before = timer()?;
    answers(guest, "antctl run --cpu 3 -- spin 1", 0, "")?;
    let alone = timer()?;
    ensure!(alone == before, "{} timer interrupts for one process", alone - before);
    let spins = [1, 2].map(|_| ant::start(guest, "--cpu 3 -- spin 1"));
    for spin in spins {
        expect(&spin.wait(LIMIT)?, 0, "")?;
    }
    ensure!(timer()? > alone, "two processes without a timer interrupt");
    Ok(())
}
