//! COM2's line: what AnT's console says there, and what is typed.

use crate::guest::TestGuest;
use ant_vm::machine::Machine;
use ant_vm::paths;
use anyhow::{Context, Result, ensure};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What was typed has come to the client by then.
const SOON: Duration = Duration::from_secs(20);

/// The line of the guest that all groups share that have a console.
pub const LINE: Line = Line("console");

/// A line.
pub struct Line(&'static str);

impl Line {
    /// Has the machine use it.
    pub fn connect(&self, machine: &mut Machine) {
        machine.com2 = Some(self.console());
        machine.com2_input = Some(self.input());
    }

    /// The file with all that the console has said.
    pub fn console(&self) -> PathBuf {
        paths::out().join(format!("{}-com2", self.0))
    }

    /// Where it can be typed.
    pub fn open(&self) -> Result<UnixStream> {
        let input = self.input();
        UnixStream::connect(&input).with_context(|| format!("{}", input.display()))
    }

    fn input(&self) -> PathBuf {
        paths::out().join(format!("{}-com2-input", self.0))
    }
}

/// How many interrupts Linux has taken on the line.
pub fn interrupts(guest: &TestGuest) -> Result<u64> {
    let line = guest.succeed("grep '^ *3:' /proc/interrupts")?;
    let counts = line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok());
    Ok(counts.sum())
}

/// Waits until all that was typed has come: there were `before` interrupts, there are more, and no more
/// come. No client reads.
pub fn await_all_come(guest: &TestGuest, before: u64) -> Result<()> {
    let deadline = Instant::now() + SOON;
    let mut seen = before;
    loop {
        guest.succeed("sleep 0.5")?;
        match interrupts(guest)? {
            now if now == seen && now > before => return Ok(()),
            now => seen = now,
        }
        ensure!(Instant::now() < deadline, "{seen} interrupts, {before} before");
    }
}

/// Waits until clients of `serial` have heard all of this and nothing else, in whatever pieces.
pub fn await_heard(guest: &TestGuest, text: &str) -> Result<()> {
    let deadline = Instant::now() + SOON;
    let mut heard = String::new();
    while heard != text {
        ensure!(
            Instant::now() < deadline && text.starts_with(&heard),
            "heard {heard:?} of {text:?}"
        );
        heard += &guest.succeed("antctl run -- say listening")?;
    }
    Ok(())
}
