//! A group of tests: they run one after the other, in a guest of their own or in that of the group before.

use crate::com2::LINE;
use crate::extent::Extent;
use crate::guest::TestGuest;
use crate::installed;
use crate::report::{self, Tally};
use ant_vm::guest::{Guest, GuestError, OnTrouble};
use ant_vm::machine::Machine;
use ant_vm::paths;
use anyhow::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

/// What a test is: it gets the group's guest, and fails by an error.
pub type Test = fn(&TestGuest) -> Result<()>;
/// A test of many cases: of all, or of a sample of them.
pub type SweepTest = Box<dyn Fn(&TestGuest, Extent) -> Result<()>>;

/// The test behind a name.
enum Body {
    /// The same in both runs.
    Test(Test),
    /// Only in the long run.
    Long(Test),
    /// Of a sample of its cases in the short run.
    Sweep(SweepTest),
}

/// A test with its name.
struct Entry {
    name: &'static str,
    /// Its place among all tests of the group, which chooses the sample of a sweep.
    turn: usize,
    body: Body,
}

/// Tests that share one guest.
pub struct Group {
    name: &'static str,
    /// Groups that follow each other and have the same here share one boot.
    guest: &'static str,
    adjust: fn(&mut Machine),
    on_trouble: OnTrouble,
    tests: Vec<Entry>,
}

/// A guest that runs, and the kind of guest that it is.
pub struct Booted {
    kind: &'static str,
    guest: TestGuest,
}

/// Has a directory of the host's under /mnt.
fn share_a_directory(machine: &mut Machine) {
    let directory = paths::out().join("share");
    if std::fs::create_dir_all(&directory).is_ok() {
        machine.share = Some(directory);
    }
}

impl Group {
    /// A group without tests, in a guest of its own, on the usual machine.
    pub fn new(name: &'static str) -> Self {
        let on_trouble = OnTrouble::Stop;
        Self { name, guest: name, adjust: |_| {}, on_trouble, tests: Vec::new() }
    }

    /// A group without tests, in the guest that all groups of the usual machine share.
    pub fn usual(name: &'static str) -> Self {
        Self::new(name).machine(share_a_directory).guest("usual")
    }

    /// A group without tests, in the guest that all groups share that need COM2's line.
    pub fn with_console(name: &'static str) -> Self {
        Self::new(name).machine(|machine| LINE.connect(machine)).guest("console")
    }

    /// The machine is another one than usual.
    pub fn machine(mut self, adjust: fn(&mut Machine)) -> Self {
        self.adjust = adjust;
        self
    }

    /// The guest is that of the group before, if that is of the same kind and has come to no harm. Groups
    /// of one kind have the same machine.
    fn guest(mut self, kind: &'static str) -> Self {
        self.guest = kind;
        self
    }

    /// Linux's log is meant to show trouble: a panic is what is tested.
    pub fn expecting_trouble(mut self) -> Self {
        self.on_trouble = OnTrouble::GoOn;
        self
    }

    /// Adds a test.
    pub fn test(self, name: &'static str, test: Test) -> Self {
        self.add(name, Body::Test(test))
    }

    /// Adds a test that the short run leaves out.
    pub fn long(self, name: &'static str, test: Test) -> Self {
        self.add(name, Body::Long(test))
    }

    /// Adds a test of which the short run takes a sample.
    pub fn sweep(
        self,
        name: &'static str,
        sweep: impl Fn(&TestGuest, Extent) -> Result<()> + 'static,
    ) -> Self {
        self.add(name, Body::Sweep(Box::new(sweep)))
    }

    fn add(mut self, name: &'static str, body: Body) -> Self {
        let turn = self.tests.len();
        self.tests.push(Entry { name, turn, body });
        self
    }

    /// Keeps the tests of which the full name is `chosen`; those of the long run only if `long`.
    pub fn keep(&mut self, chosen: impl Fn(&str) -> bool, long: bool) {
        let group = self.name;
        self.tests.retain(|entry| {
            let is_in_run = long || !matches!(entry.body, Body::Long(_));
            is_in_run && chosen(&format!("{group}::{}", entry.name))
        });
    }

    /// Full names of the tests.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.tests.iter().map(|entry| format!("{}::{}", self.name, entry.name))
    }

    /// Name of the group, if there is anything to run.
    pub fn name(&self) -> Option<&'static str> {
        (!self.tests.is_empty()).then_some(self.name)
    }

    /// Runs all tests in `guest`, which is booted first if it is of another kind; once it is lost, the rest
    /// fails without being run.
    pub fn run(&self, kernel: &str, long: bool, guest: &mut Option<Booted>) -> Tally {
        let mut tally = Tally::default();
        if guest.as_ref().is_none_or(|booted| booted.kind != self.guest) {
            // One at a time: the machine has the memory and the CPUs for one.
            *guest = None;
            *guest = self.boot(kernel);
        }
        for (entry, name) in self.tests.iter().zip(self.names()) {
            let Some(booted) = guest else {
                report::not_run(&name);
                tally.failed += 1;
                continue;
            };
            if self.run_test(&name, entry, &booted.guest, long) {
                tally.passed += 1;
            } else {
                tally.failed += 1;
            }
            if !booted.guest.is_usable(self.on_trouble) {
                *guest = None;
            }
        }
        tally
    }

    fn boot(&self, kernel: &str) -> Option<Booted> {
        let mut machine = Machine::new(kernel);
        (self.adjust)(&mut machine);
        let start = Instant::now();
        let booted = installed::files().map_err(GuestError::from).and_then(|files| {
            machine.files.extend(files);
            Guest::boot(&machine, self.on_trouble)
        });
        match booted {
            Ok(guest) => {
                report::booted(self.name, &machine, start.elapsed());
                Some(Booted { kind: self.guest, guest: TestGuest::new(guest) })
            }
            Err(error) => {
                report::not_booted(self.name, &error);
                None
            }
        }
    }

    /// True if the test passed and Linux took no harm.
    fn run_test(&self, name: &str, entry: &Entry, guest: &TestGuest, long: bool) -> bool {
        let start = Instant::now();
        guest.forget_history();
        let extent = if long { Extent::All } else { Extent::Sample(entry.turn) };
        let run = || match &entry.body {
            Body::Test(test) | Body::Long(test) => test(guest),
            Body::Sweep(sweep) => sweep(guest, extent),
        };
        let result = catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the test panicked")));
        let result = result.and_then(|()| match self.on_trouble {
            OnTrouble::Stop => guest.check_log(),
            OnTrouble::GoOn => Ok(()),
        });
        match &result {
            Ok(()) => report::passed(name, start.elapsed()),
            Err(error) => report::failed(name, start.elapsed(), error, guest),
        }
        result.is_ok()
    }
}
