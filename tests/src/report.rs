//! What a person sees of a run.

use crate::guest::TestGuest;
use ant_vm::guest::GuestError;
use ant_vm::machine::{Apic, Machine};
use std::ops::AddAssign;
use std::time::Duration;

/// Lines of Linux's log that go with a failure.
const LOG_TAIL: usize = 25;
/// Commands of the failed test that are shown.
const COMMANDS: usize = 4;

/// How many tests passed and failed.
#[derive(Clone, Copy, Default)]
pub struct Tally {
    /// These are well.
    pub passed: usize,
    /// These are not, those included that could not be run.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// A group's guest is up.
pub fn booted(group: &str, machine: &Machine, took: Duration) {
    let apic = if machine.apic == Apic::X2apic { ", x2APIC" } else { "" };
    println!(
        "{group}: Linux {}, {} CPUs, {}{apic}; booted in {}",
        machine.kernel,
        machine.smp,
        machine.mem,
        seconds(took)
    );
}

/// A group's guest did not come up.
pub fn not_booted(group: &str, error: &GuestError) {
    println!("{group}: no guest");
    indent(&error.to_string());
}

/// A test passed.
pub fn passed(name: &str, took: Duration) {
    println!("  ok      {name} ({})", seconds(took));
}

/// A test was not run because its guest is lost.
pub fn not_run(name: &str) {
    println!("  FAILED  {name} (not run: its guest is lost)");
}

/// A test failed.
pub fn failed(name: &str, took: Duration, error: &anyhow::Error, guest: &TestGuest) {
    println!("  FAILED  {name} ({})", seconds(took));
    indent(&format!("{error:#}"));
    let history = guest.history();
    for (command, output) in history.iter().skip(history.len().saturating_sub(COMMANDS)) {
        indent(&format!("$ {command}\n(status {})", output.status));
        indent(&output.stdout);
        indent(&output.stderr);
    }
    indent(&format!("-- end of Linux's log ({})", guest.inner().log().path().display()));
    indent(&guest.inner().log().tail(LOG_TAIL).join("\n"));
    let log = "command -v antctl >/dev/null && antctl log | tail -n 40";
    if let Ok(output) = guest.inner().run(log, Duration::from_secs(15)) {
        indent("-- end of AnT's log");
        indent(&(output.stdout + &output.stderr));
    }
}

/// How long each group took, its boot included.
pub fn times(groups: &[(&str, Duration)]) {
    println!("minutes of each group:");
    for (name, took) in groups {
        println!("  {:5.1}  {name}", took.as_secs_f64() / 60.0);
    }
}

/// The last line; as cargo's own tests close, so that one reader counts both.
pub fn closing(tally: Tally, took: Duration) {
    let word = if tally.failed == 0 { "ok" } else { "FAILED" };
    let Tally { passed, failed } = tally;
    println!(
        "test result: {word}. {passed} passed; {failed} failed; finished in {}",
        seconds(took)
    );
}

fn indent(text: &str) {
    text.lines().for_each(|line| println!("          {line}"));
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
