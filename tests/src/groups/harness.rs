//! The guest and its agent do what the other groups rely on.

use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::guest::GuestError;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

pub fn group() -> Group {
    Group::usual("harness")
        .test("stock_kernel", stock_kernel)
        .test("output_and_status", output_and_status)
        .test("much_output", much_output)
        .test("commands_in_parallel", commands_in_parallel)
        .test("ordinary_user", ordinary_user)
        .test("input", input)
        .test("time_limit", time_limit)
        .test("background_does_not_block", background_does_not_block)
        .test("installed_files", installed_files)
}

fn stock_kernel(guest: &TestGuest) -> Result<()> {
    let version = guest.succeed("cat /proc/version")?;
    ensure!(version.contains("Debian"), "not the distribution's kernel: {version}");
    ensure!(guest.succeed("nproc")?.trim() == "4");
    Ok(())
}

fn output_and_status(guest: &TestGuest) -> Result<()> {
    let output = guest.run("echo out; echo err >&2; exit 7")?;
    ensure!(output.status == 7);
    ensure!(output.stdout == "out\n" && output.stderr == "err\n");
    ensure!(guest.run("kill -9 $$")?.status == 128 + 9);
    ensure!(guest.run("no-such-program")?.status == 127);
    Ok(())
}

fn much_output(guest: &TestGuest) -> Result<()> {
    let text = guest.succeed("yes 0123456789abcde | head -c 4194304")?;
    ensure!(text.len() == 4 << 20, "{} bytes of 4 MiB", text.len());
    ensure!(text.lines().all(|line| line == "0123456789abcde"));
    Ok(())
}

fn commands_in_parallel(guest: &TestGuest) -> Result<()> {
    let start = Instant::now();
    let running: Vec<_> =
        (1..=3).map(|n| guest.spawn(&format!("sleep 3; echo {n}; exit {n}"))).collect();
    for (n, command) in (1..=3).zip(running) {
        let output = command.wait(LIMIT)?;
        ensure!(output.status == n && output.stdout == format!("{n}\n"), "{n}: {output:?}");
    }
    // One after the other they would sleep for 9 s.
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(8), "not at the same time: {took:?}");
    Ok(())
}

fn ordinary_user(guest: &TestGuest) -> Result<()> {
    let output = guest.run_as("user", "id -u; id -g; pwd; touch /etc/x", LIMIT)?;
    ensure!(output.stdout == "1000\n1000\n/home/user\n", "{output:?}");
    ensure!(output.status != 0, "an ordinary user could write to /etc");
    ensure!(guest.succeed("su user -c 'id -un'")? == "user\n");
    ensure!(guest.run_as("no-such-user", "true", LIMIT)?.status == 126);
    Ok(())
}

fn input(guest: &TestGuest) -> Result<()> {
    let command = guest.spawn("read line; echo \"got $line\"");
    command.input("hello\n");
    ensure!(command.wait(LIMIT)?.stdout == "got hello\n");
    // Without input from the test there is none, and the command does not wait for it.
    ensure!(guest.succeed("cat")?.is_empty());
    Ok(())
}

fn time_limit(guest: &TestGuest) -> Result<()> {
    let limit = Duration::from_secs(2);
    let result = guest.inner().run("echo before; sleep 1000", limit);
    let Err(GuestError::TimeLimit { printed, .. }) = result else {
        anyhow::bail!("no time limit: {result:?}");
    };
    ensure!(printed.stdout == "before\n");
    guest.wait_until("! pidof sleep", LIMIT)
}

fn background_does_not_block(guest: &TestGuest) -> Result<()> {
    let start = Instant::now();
    ensure!(guest.succeed("sleep 30 & echo started")? == "started\n");
    ensure!(start.elapsed() < Duration::from_secs(20), "waited for what runs in the background");
    guest.succeed("killall sleep").map(drop)
}

fn installed_files(guest: &TestGuest) -> Result<()> {
    guest.succeed("test -s /usr/share/common-licenses/GPL-2")?;
    guest.succeed("test -d /usr/lib/ant && test -w /tmp && test -d /mnt")?;
    guest.succeed("grep -q ' /tmp tmpfs ' /proc/mounts").map(drop)
}
