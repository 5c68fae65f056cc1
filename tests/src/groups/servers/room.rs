//! Programs that take all they get leave room for servers: pages, memory, queues.

use super::{AT_ONCE, SOON, VICTIM, restart, victim};
use crate::ant::{self, answers, client};
use crate::group::Group;
use crate::guest::TestGuest;
use anyhow::{Context, Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("programs_leave_pages_for_servers", programs_leave_pages_for_servers)
        .test("programs_leave_memory_for_servers", programs_leave_memory_for_servers)
        .test("programs_leave_queues_for_servers", programs_leave_queues_for_servers)
}

/// A program can have 512 pages, all programs together what is not kept for servers: 64 pages for
/// init, 16 for each of two others.
fn programs_leave_pages_for_servers(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    restart(guest)?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    // One after the other: each lets go of a page for a moment, which another would take.
    let mut hogs = Vec::new();
    for (n, cpu) in [1, 2, 3, 1, 2, 3, 1, 2].into_iter().enumerate() {
        hogs.push(client(guest, cpu, "hog"));
        ant::await_processes(guest, n + 1, "victim hog", "in call")?;
    }
    // A program that comes now gets nothing; servers get what is theirs.
    answers(guest, "antctl run -- victim hog", 1, "victim: NoMemory")?;
    answers(guest, "antctl run -- victim call take", 0, "take: 16 122, ")?;
    restart(guest)?;
    answers(guest, "antctl server restart name", 0, "name was restarted")?;
    answers(guest, "antctl run -- victim call take", 0, "take: 16 122, ")?;
    restart(guest)?;
    let mut taken = 0;
    for hog in hogs {
        hog.input("\n");
        let output = hog.wait(SOON)?;
        let mut words = output.stdout.split_ascii_whitespace();
        let count: u32 = words.nth(1).unwrap_or_default().parse()?;
        taken += count;
        // Where nothing is free any more, one's own limit does not matter.
        let why = if count == 512 { "OverQuota" } else { "NoMemory" };
        let said = format!(
            "hog: {count} {why}\nhog: handed over: Err({why})\nhog: shared: Err({why})\n\
             hog: let go: Err({why})\nhog: freed: Ok(())\n"
        );
        ensure!(output.status == 0 && output.stdout == said, "{output:?}, not {said}");
    }
    // Kept for init, for each server, and for one that is put in the place of another.
    ensure!(taken == 4096 - 128 - 64 - 3 * 16, "{taken} pages were taken");
    ant::await_free_memory(guest, free)
}

/// Programs take all that they get of a small partition; there is room for servers all the same.
fn programs_leave_memory_for_servers(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    ant::up(guest, "--cpus 1-3 --memory 16M")?;
    let _hogs = [1, 2, 3, 1].map(|cpu| client(guest, cpu, "hog"));
    ant::await_processes(guest, 4, "victim hog", "in call")?;
    let one_more = |count| {
        guest.run(&format!(
            "antctl run --cpu 3 -- spin < /dev/null > /tmp/spin 2>&1 &
             until grep -q 'no memory left' /tmp/spin; do
                 test $(antctl ps | grep -c 'spin$') -lt {count} || exit 0
             done
             echo full"
        ))
    };
    let mut count = 1;
    while one_more(count)?.stdout != "full\n" {
        count += 1;
        ensure!(count < 60, "there is memory for all programs");
    }
    for name in ["name", "serial"] {
        let generation = ant::server(guest, name)?.generation;
        ant::kill_server(guest, name)?;
        ant::await_server(guest, name, generation + 1, AT_ONCE)?;
    }
    // That takes room for two.
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 0, "serial was replaced")?;
    ant::down(guest)
}

/// Programs that send messages to themselves and do not receive them.
fn programs_leave_queues_for_servers(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    let fillers =
        [1, 2, 3, 1].map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- misuse-ipc full")));
    ant::await_processes(guest, fillers.len(), "misuse-ipc full", "in call")?;
    answers(guest, "antctl run -- victim send 3", 0, "send: Ok(()), notify: Ok(())\n")?;
    let mut unread = 0;
    for filler in fillers {
        filler.input("\n");
        let output = filler.wait(SOON)?;
        let count = output.stdout.trim_end().strip_prefix("full: ").map(str::parse::<u32>);
        unread += count.context("no count")??;
    }
    ensure!(unread == 40, "{unread} messages waited at programs");
    Ok(())
}
