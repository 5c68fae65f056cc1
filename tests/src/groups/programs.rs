//! What a person can do with programs on AnT.

mod ends;
mod places;
mod run;

use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::guest::Output;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Duration;

const LICENSES: &str = "/usr/share/common-licenses";
const APPS: &str = "/usr/lib/ant/apps";

pub fn group() -> Group {
    let group = Group::usual("programs")
        .test("wc_prints_as_gnu_wc", wc_prints_as_gnu_wc)
        .test("wc_says_what_is_missing", wc_says_what_is_missing)
        .test("cp_copies_any_size", cp_copies_any_size)
        .test("getpid_continues_with_one_proxy", getpid_continues_with_one_proxy)
        .test("getpid_once_takes_a_proxy_each", getpid_once_takes_a_proxy_each)
        .test("exit_statuses", exit_statuses)
        .test("shared_directory", shared_directory);
    ends::add_to(places::add_to(run::add_to(group)))
        .test("benchmarks_print_figures", benchmarks_print_figures)
        .test("fifty_programs_leave_nothing", fifty_programs_leave_nothing)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// What this machine's own `wc` makes of `command`.
fn gnu(command: &str) -> Result<Output> {
    let output = Command::new("sh").args(["-c", command]).env("LC_ALL", "C").output()?;
    Ok(Output {
        status: output.status.code().context("killed")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Runs `command`, in which `wc` is AnT's, and compares all that a person sees with GNU's `wc`.
fn as_gnu(guest: &TestGuest, command: &str) -> Result<()> {
    let ours = guest.run(&format!("wc() {{ antctl run -- wc \"$@\"; }}; {command}"))?;
    let gnus = gnu(command)?;
    ensure!(ours == gnus, "{command}: {ours:?}, GNU's {gnus:?}");
    Ok(())
}

fn wc_prints_as_gnu_wc(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for command in [
        format!("wc {LICENSES}/GPL-3"),
        format!("cd {LICENSES} && wc GPL-2 BSD Artistic"),
        format!("wc < {LICENSES}/BSD"),
        format!("cat {LICENSES}/GPL-2 | wc"),
        format!("cat {LICENSES}/BSD | wc {LICENSES}/GPL-3 -"),
        "wc /dev/null".to_owned(),
        r"printf 'a\vb\fc\rd  \te\nno end' | wc".to_owned(),
        "printf '' | wc".to_owned(),
    ] {
        as_gnu(guest, &command)?;
    }
    Ok(())
}

fn wc_says_what_is_missing(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    as_gnu(guest, "wc /no/such/file")?;
    as_gnu(guest, &format!("wc {LICENSES}/BSD /no/such/file"))?;
    as_gnu(guest, "wc /dev")?;
    let text = "wc: write error: No space left on device\n";
    answers(guest, "antctl run -- wc /dev/null /dev/null > /dev/full", 1, text)
}

fn cp_copies_any_size(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    // Around what an LCA's buffer and a page hold.
    for size in [0, 1, 3583, 3584, 3585, 4096, 100_000] {
        let made = format!("head -c {size} /dev/urandom > /tmp/from");
        guest.succeed(&format!(
            "{made}; rm -f /tmp/to; antctl run -- cp /tmp/from /tmp/to && cmp /tmp/from /tmp/to"
        ))?;
    }
    answers(guest, "antctl run -- cp /no/such /tmp/to", 1, "cp: /no/such: No such file")?;
    answers(guest, "antctl run -- cp /tmp/from /no/such/to", 1, "cp: /no/such/to: No such file")
}

fn counts(guest: &TestGuest) -> Result<(u64, u64)> {
    let status = ant::status(guest)?;
    Ok((ant::number(&status, "/partition/forks")?, ant::number(&status, "/partition/wakes")?))
}

fn getpid_continues_with_one_proxy(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let (forks, wakes) = counts(guest)?;
    answers(guest, "antctl run -- getpid 100", 0, "100 calls, pid ")?;
    let (forks_after, wakes_after) = counts(guest)?;
    ensure!(forks_after - forks == 1, "{} forks", forks_after - forks);
    ensure!(wakes_after - wakes >= 100, "{} wake-ups", wakes_after - wakes);
    Ok(())
}

fn getpid_once_takes_a_proxy_each(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let (forks, _) = counts(guest)?;
    answers(guest, "antctl run -- getpid --once 20", 0, "20 calls, pid ")?;
    let forks = counts(guest)?.0 - forks;
    ensure!((20..25).contains(&forks), "{forks} forks");
    Ok(())
}

fn exit_statuses(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    answers(guest, "antctl run -- getpid", 0, "1 call, pid")?;
    answers(guest, "antctl run -- wc /no/such", 1, "")?;
    answers(guest, "antctl run -- getpid many", 2, "usage: getpid")?;
    answers(guest, "antctl run -- crash panic", 101, "asked for")?;
    answers(guest, "antctl run -- spin 0", 0, "")
}

fn shared_directory(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "grep -q ' /mnt 9p ' /proc/mounts && cp {APPS}/wc {APPS}/cp /mnt && \
         head -c 20000 /dev/urandom > /mnt/data"
    ))?;
    guest.succeed("cd /mnt && antctl run -- ./cp data copy && cmp data copy")?;
    answers(guest, "antctl run -- /mnt/wc < /mnt/copy", 0, " 20000\n")
}

/// Each prints rows of a minimum, a median and a 99th percentile, and leaves nothing behind.
fn benchmarks_print_figures(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let generation = ant::server(guest, "name")?.generation;
    for (words, rows) in [
        ("null --cpu 2 --count 5", 3),
        ("ipc --client 2 --server 3 --count 20", 8),
        ("process --cpu 2 --count 5", 4),
        ("process --count 5 --server name", 5),
    ] {
        let said = guest.succeed(&format!("antctl bench {words}"))?;
        let figures = |line: &&str| -> Option<[u64; 3]> {
            let mut words = line.split_whitespace().rev().map(|word| word.parse().ok());
            let [p99, median, min] = [words.next()??, words.next()??, words.next()??];
            (0 < min && min <= median && median <= p99).then_some([min, median, p99])
        };
        let found = said.lines().filter(|line| figures(line).is_some()).count();
        ensure!(found == rows, "{found} rows of figures, not {rows}: {said}");
        ant::await_idle(guest)?;
    }
    let restarted = ant::server(guest, "name")?.generation - generation;
    ensure!(restarted == 5, "the server was restarted {restarted} times, not 5");
    let output = guest.run("antctl bench process --count 5 --server nobody")?;
    expect(&output, 1, "AnT has no server nobody")?;
    let output = guest.run_as("user", "antctl bench process --count 5 --server name", LIMIT)?;
    expect(&output, 1, "only root can restart a server")
}

fn fifty_programs_leave_nothing(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let left = |guest| -> Result<_> {
        let status = ant::status(guest)?;
        let files = guest.succeed("ls /proc/$(pidof antd)/fd | wc -l")?;
        Ok((ant::number(&status, "/partition/memory_free")?, files))
    };
    let before = left(guest)?;
    // Ten at once, and some that end by other ways than returning.
    guest.run_as(
        "root",
        "for round in 1 2 3 4 5; do
             for n in 1 2 3 4; do antctl run -- getpid 3 & done
             antctl run -- crash read & antctl run -- crash panic &
             antctl run -- getpid --once 3 & antctl run -- wc /etc/passwd &
             antctl run -- /bin/busybox & timeout 1 antctl run -- spin &
             wait
         done > /dev/null 2>&1",
        Duration::from_secs(120),
    )?;
    ant::await_idle(guest)?;
    let after = left(guest)?;
    ensure!(before == after, "free memory and open files: before {before:?}, after {after:?}");
    Ok(())
}
