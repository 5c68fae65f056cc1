//! Figures that were promised, in instructions: on a machine that counts them, they are the same in
//! every run, however busy the host is.

use crate::ant;
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::machine::{Machine, Timing};
use anyhow::{Context, Result, ensure};

pub fn group() -> Group {
    Group::new("figures")
        .machine(counting)
        .test("a_call_on_one_cpu", a_call_on_one_cpu)
        .test("a_call_between_cpus_that_poll", a_call_between_cpus_that_poll)
}

fn counting(machine: &mut Machine) {
    machine.smp = 3;
    machine.timing = Timing::Icount;
}

fn a_call_on_one_cpu(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-2 --memory 64M")?;
    call_costs_at_most(guest, 2, 600)
}

fn a_call_between_cpus_that_poll(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    ant::up(guest, "--cpus 1-2 --memory 64M --poll")?;
    call_costs_at_most(guest, 1, 1200)?;
    ant::down(guest)
}

/// Checks what a call and its reply cost that a client on CPU 2 makes, as `antctl bench ipc` says.
fn call_costs_at_most(guest: &TestGuest, server: u32, most: u64) -> Result<()> {
    let command = format!("antctl bench ipc --client 2 --server {server} --count 1000");
    let output = guest.run_as("root", &command, LIMIT * 2)?;
    ensure!(output.status == 0 && output.stdout.contains("in instructions"), "{output:?}");
    let figures = output.stdout.lines().find_map(|line| line.strip_prefix("AnT: call and reply "));
    let mut figures = figures.context("no such figure")?.split_ascii_whitespace();
    let median: u64 = figures.nth(1).context("no median")?.parse()?;
    ensure!(median <= most, "a call and its reply cost {median} instructions, not {most}");
    Ok(())
}
