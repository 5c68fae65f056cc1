//! What a test does with its guest: commands, each remembered for the report of a failure.

use crate::installed;
use ant_vm::Start;
use ant_vm::agent::Session;
use ant_vm::guest::{self, Guest, GuestError, OnTrouble, Output};
use anyhow::{Context, Result, bail, ensure};
use std::cell::RefCell;
use std::time::Duration;

/// How long a command may take unless the test says otherwise.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Where this file is, what [`TestGuest::until_enough`] has started ends.
const ENOUGH: &str = "/tmp/enough";

/// `command` for `sh -c` as `user`; `antctl run` finds the programs of tests.
pub fn shell(user: &str, command: &str) -> Start {
    guest::shell(user, &with_path(command))
}

fn with_path(command: &str) -> String {
    format!("PATH=$PATH:{}; {command}", installed::DIR)
}

/// The guest of a group.
pub struct TestGuest {
    guest: Guest,
    history: RefCell<Vec<(String, Output)>>,
}

impl TestGuest {
    /// Wraps a guest that has booted.
    pub fn new(guest: Guest) -> Self {
        Self { guest, history: RefCell::default() }
    }

    /// Runs `command` with `sh -c` as root.
    pub fn run(&self, command: &str) -> Result<Output> {
        self.run_as("root", command, LIMIT)
    }

    /// Runs `command` with `sh -c` as `user`, for at most `limit`.
    pub fn run_as(&self, user: &str, command: &str, limit: Duration) -> Result<Output> {
        self.remember(command, self.guest.run_as(user, &with_path(command), limit))
    }

    /// Runs `command` and returns what it printed; it must end with status 0.
    pub fn succeed(&self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if output.status != 0 {
            bail!("status {}, not 0: {command}", output.status);
        }
        Ok(output.stdout)
    }

    /// Runs `command`, which must end by itself with a status other than 0, and returns all it
    /// printed.
    pub fn fail(&self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if !(1..128).contains(&output.status) {
            bail!("status {}, where a refusal was due: {command}", output.status);
        }
        Ok(output.stdout + &output.stderr)
    }

    /// Starts `command` with `sh -c` as root and returns at once.
    pub fn spawn(&self, command: &str) -> Background<'_> {
        self.spawn_start(&shell("root", command), command)
    }

    /// Starts `start` and returns at once; `command` is for the report.
    pub fn spawn_start(&self, start: &Start, command: &str) -> Background<'_> {
        let session = self.guest.spawn(start);
        Background { guest: self, session, command: command.to_owned() }
    }

    /// Starts a shell that runs `command` again and again until it fails, or until [`Background::enough`].
    pub fn until_enough(&self, command: &str) -> Result<Background<'_>> {
        self.succeed(&format!("rm -f {ENOUGH}"))?;
        Ok(self.spawn(&format!("until [ -e {ENOUGH} ]; do {command} || exit; done")))
    }

    /// Waits until `condition` (for `sh -c`) holds.
    pub fn wait_until(&self, condition: &str, limit: Duration) -> Result<()> {
        let command = format!("until {condition}; do sleep 0.1; done");
        self.run_as("root", &command, limit).map(drop).context("it never came about")
    }

    /// Fails if Linux's log shows trouble.
    pub fn check_log(&self) -> Result<()> {
        match self.guest.log().trouble(60) {
            Some(lines) => bail!("Linux's log shows trouble:\n{}", lines.join("\n")),
            None => Ok(()),
        }
    }

    /// False once further tests make no sense.
    pub fn is_usable(&self, on_trouble: OnTrouble) -> bool {
        let healthy = on_trouble == OnTrouble::GoOn || self.guest.log().trouble(1).is_none();
        healthy && self.guest.run("true", LIMIT).is_ok_and(|output| output.status == 0)
    }

    /// The guest itself.
    pub fn inner(&self) -> &Guest {
        &self.guest
    }

    /// Forgets the commands so far.
    pub fn forget_history(&self) {
        self.history.borrow_mut().clear();
    }

    /// The commands of this test and what came of them.
    pub fn history(&self) -> Vec<(String, Output)> {
        self.history.borrow().clone()
    }

    fn remember(&self, command: &str, result: Result<Output, GuestError>) -> Result<Output> {
        let entry = match &result {
            Ok(output) => Some(output.clone()),
            Err(GuestError::TimeLimit { printed, .. }) => Some((**printed).clone()),
            Err(_) => None,
        };
        if let Some(output) = entry {
            self.history.borrow_mut().push((command.to_owned(), output));
        }
        Ok(result?)
    }
}

/// A command that runs while the test goes on; dropped, it is killed.
pub struct Background<'a> {
    guest: &'a TestGuest,
    session: Session,
    command: String,
}

impl Background<'_> {
    /// Waits for its end.
    pub fn wait(self, limit: Duration) -> Result<Output> {
        let result = self.guest.guest.finish(&self.session, &self.command, limit);
        self.guest.remember(&self.command, result)
    }

    /// Ends all that [`TestGuest::until_enough`] has started; what this one has printed. Nothing may have
    /// failed.
    pub fn enough(self, limit: Duration) -> Result<String> {
        self.guest.succeed(&format!("touch {ENOUGH}"))?;
        let output = self.wait(limit)?;
        ensure!(output.status == 0 && output.stderr.is_empty(), "{output:?}");
        Ok(output.stdout)
    }

    /// Gives it input.
    pub fn input(&self, text: &str) {
        self.session.input().send(text.as_bytes());
    }
}

impl Drop for Background<'_> {
    fn drop(&mut self) {
        // Of a command that has ended the agent knows nothing any more.
        self.session.kill();
    }
}
