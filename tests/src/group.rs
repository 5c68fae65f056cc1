//! A group of tests: one boot, its tests one after the other.

use crate::guest::TestGuest;
use crate::installed;
use crate::report::{self, Tally};
use ant_vm::guest::{Guest, GuestError, OnTrouble};
use ant_vm::machine::Machine;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What a test is: it gets the group's guest, and fails by an error.
pub type Test = fn(&TestGuest) -> anyhow::Result<()>;

/// Tests that share one boot.
pub struct Group {
    name: &'static str,
    adjust: fn(&mut Machine),
    on_trouble: OnTrouble,
    tests: Vec<(&'static str, Test)>,
}

impl Group {
    /// A group without tests, on the usual machine.
    pub fn new(name: &'static str) -> Self {
        Self { name, adjust: |_| {}, on_trouble: OnTrouble::Stop, tests: Vec::new() }
    }

    /// The machine is another one than usual.
    pub fn machine(mut self, adjust: fn(&mut Machine)) -> Self {
        self.adjust = adjust;
        self
    }

    /// Linux's log is meant to show trouble: a panic is what is tested.
    pub fn expecting_trouble(mut self) -> Self {
        self.on_trouble = OnTrouble::GoOn;
        self
    }

    /// Adds a test.
    pub fn test(mut self, name: &'static str, test: Test) -> Self {
        self.tests.push((name, test));
        self
    }

    /// Keeps the tests whose full name contains `filter`.
    pub fn keep(&mut self, filter: &str) {
        let group = self.name;
        self.tests.retain(|(name, _)| format!("{group}::{name}").contains(filter));
    }

    /// Full names of the tests.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.tests.iter().map(|(name, _)| format!("{}::{name}", self.name))
    }

    /// Boots and runs all tests; once the guest is lost, the rest fails without being run.
    pub fn run(&self, kernel: &str) -> Tally {
        let mut tally = Tally::default();
        if self.tests.is_empty() {
            return tally;
        }
        let mut machine = Machine::new(kernel);
        (self.adjust)(&mut machine);
        let start = Instant::now();
        let booted = installed::files().map_err(GuestError::from).and_then(|files| {
            machine.files.extend(files);
            Guest::boot(&machine, self.on_trouble)
        });
        let mut guest = match booted {
            Ok(guest) => {
                report::booted(self.name, &machine, start.elapsed());
                Some(TestGuest::new(guest))
            }
            Err(error) => {
                report::not_booted(self.name, &error);
                None
            }
        };
        for ((_, test), name) in self.tests.iter().zip(self.names()) {
            let Some(alive) = &guest else {
                report::not_run(&name);
                tally.failed += 1;
                continue;
            };
            if run_test(&name, *test, alive, self.on_trouble) {
                tally.passed += 1;
            } else {
                tally.failed += 1;
            }
            if !alive.is_usable(self.on_trouble) {
                guest = None;
            }
        }
        tally
    }
}

/// True if the test passed and Linux took no harm.
fn run_test(name: &str, test: Test, guest: &TestGuest, on_trouble: OnTrouble) -> bool {
    let start = Instant::now();
    guest.forget_history();
    let result = catch_unwind(AssertUnwindSafe(|| test(guest)))
        .unwrap_or_else(|_| Err(anyhow::anyhow!("the test panicked")));
    let result = result.and_then(|()| match on_trouble {
        OnTrouble::Stop => guest.check_log(),
        OnTrouble::GoOn => Ok(()),
    });
    match &result {
        Ok(()) => report::passed(name, start.elapsed()),
        Err(error) => report::failed(name, start.elapsed(), error, guest),
    }
    result.is_ok()
}
