//! How people end programs: by signals, by `antctl kill`, by hanging up.

use super::up;
use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use anyhow::{Context, Result, ensure};

/// The tests of this file.
pub fn add_to(group: Group) -> Group {
    group
        .test("signals_end_it", signals_end_it)
        .test("ignored_signals_do_not_end_it", ignored_signals_do_not_end_it)
        .test("kill_ends_it", kill_ends_it)
        .test("only_the_owner_kills", only_the_owner_kills)
        .test("hanging_up_ends_it", hanging_up_ends_it)
}

fn signals_end_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        for (program, state) in [("spin", "running"), ("wc", "in call")] {
            let running = ant::start(guest, &format!("-- {program}"));
            ant::await_process(guest, program, state)?;
            guest.succeed(&format!("killall -{signal} antctl"))?;
            let output = running.wait(LIMIT)?;
            expect(&output, status, "").with_context(|| format!("{program}, {signal}"))?;
            // The user that has pressed Ctrl-C need not be told.
            ensure!(output.stderr.is_empty(), "{output:?}");
        }
    }
    ant::await_idle(guest)
}

/// As under `nohup`.
fn ignored_signals_do_not_end_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for signal in ["HUP", "INT", "TERM"] {
        let running = guest.spawn(&format!("trap '' {signal}; exec antctl run -- spin 3"));
        ant::await_process(guest, "spin", "running")?;
        guest.succeed(&format!("killall -{signal} antctl"))?;
        let output = running.wait(LIMIT)?;
        expect(&output, 0, "").with_context(|| signal)?;
    }
    ant::await_idle(guest)
}

fn kill_ends_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (option, status) in [("", 143), ("--signal KILL", 137), ("-s 2", 130)] {
        let spin = ant::start(guest, "-- spin");
        let pid = ant::await_process(guest, "spin", "running")?.pid;
        answers(guest, &format!("antctl kill {option} {pid}"), 0, "spin ended")?;
        expect(&spin.wait(LIMIT)?, status, "antctl: spin: killed by `antctl kill` of user 0")?;
        answers(guest, &format!("antctl kill {pid}"), 1, "no such process")?;
    }
    answers(guest, "antctl kill -s NONSENSE 2", 1, "no signal NONSENSE")?;
    // init is not a person's to kill.
    answers(guest, "antctl kill 1", 1, "does not allow")
}

fn only_the_owner_kills(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let kill = |user: &str, pid| guest.run_as(user, &format!("antctl kill {pid}"), LIMIT);
    let roots = ant::start(guest, "-- spin");
    let pid = ant::await_process(guest, "spin", "running")?.pid;
    expect(&kill("user", pid)?, 1, "another user's")?;
    expect(&kill("root", pid)?, 0, "")?;
    expect(&roots.wait(LIMIT)?, 143, "")?;
    for killer in ["user", "root"] {
        let users = ant::start_as(guest, "user", "-- spin");
        let pid = ant::await_process(guest, "spin", "running")?.pid;
        expect(&kill(killer, pid)?, 0, "")?;
        expect(&users.wait(LIMIT)?, 143, "")?;
    }
    Ok(())
}

fn hanging_up_ends_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let spin = ant::start(guest, "-- spin");
    let reader = ant::start(guest, "-- wc");
    ant::await_process(guest, "spin", "running")?;
    ant::await_process(guest, "wc", "in call")?;
    guest.succeed("killall -9 antctl")?;
    ensure!(spin.wait(LIMIT)?.status == 137 && reader.wait(LIMIT)?.status == 137);
    ant::await_idle(guest)
}
