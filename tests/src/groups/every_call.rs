//! `name` and `serial` end at the system calls that they make, while they serve, start, and are
//! replaced: what their interfaces promise holds for whoever is a client at that moment, and the next
//! one serves as the one before did.
//!
//! `antctl inject` has the kernel do it: in place of the call, when the call has been served (the server
//! waits then, if the call lets it wait), or by a page fault. What a server is at there is known by the
//! call: with a request, or a client's pages, or none; its reply given or not; in a call of its own to
//! another server, or asleep. They end at each of the first 16 calls and of the last few; of those in
//! between, which are one like the other (a byte to the line, say), at every seventh, in three sweeps at
//! different ones. The tests name the calls that must have been among them.

mod subject;

use crate::ant::{self, Server, answers, expect};
use crate::group::Group;
use crate::groups::devices;
use crate::guest::TestGuest;
use ant_abi::syscall::Sysnum;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::Duration;
use subject::{LINE, Subject};

const SOON: Duration = Duration::from_secs(20);

pub fn group() -> Group {
    Group::new("every_call")
        .machine(|machine| LINE.connect(machine))
        .test("name_serves", |guest| serves(guest, &subject::NAME))
        .test("serial_serves", |guest| serves(guest, &subject::SERIAL))
        .test("name_starts", |guest| starts(guest, &subject::NAME))
        .test("serial_starts", |guest| starts(guest, &subject::SERIAL))
        .test("name_takes_over", |guest| takes_over(guest, &subject::NAME))
        .test("serial_takes_over", |guest| takes_over(guest, &subject::SERIAL))
        .test("name_is_replaced", |guest| is_replaced(guest, &subject::NAME))
        .test("serial_is_replaced", |guest| is_replaced(guest, &subject::SERIAL))
        .test("name_goes_no_further", |guest| goes_no_further(guest, &subject::NAME))
        .test("serial_goes_no_further", |guest| goes_no_further(guest, &subject::SERIAL))
}

/// A way of failing at a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    End,
    EndAfter,
    Fault,
    Loop,
}

use Way::{End, EndAfter, Fault, Loop};

/// Those after which the server has ended at once.
const ENDS: [Way; 3] = [End, EndAfter, Fault];

impl Way {
    /// As `antctl inject` has it.
    fn word(self) -> &'static str {
        match self {
            End => "end",
            EndAfter => "end-after",
            Fault => "fault",
            Loop => "loop",
        }
    }

    /// What `antctl server list` says of it.
    fn last_end(self) -> &'static str {
        match self {
            End | EndAfter => "killed by signal 9",
            Fault => "page fault (execute 0x0)",
            Loop => "did not answer within 1000 ms",
        }
    }
}

/// The system calls at which a server has failed, and how.
type Seen = BTreeSet<(Way, u64)>;

fn up(guest: &TestGuest) -> Result<()> {
    devices::up_with_probe(guest)?;
    devices::await_rest(guest)
}

/// Has the server on a CPU, from where its memory will be, and not about to fail.
fn settle(guest: &TestGuest, subject: &Subject, cpu: u32) -> Result<Server> {
    let process = ant::process_of(guest, subject.name)?;
    if process.cpu != cpu {
        let said = format!("goes to CPU {cpu}");
        answers(guest, &format!("antctl move {} {cpu}", process.pid), 0, &said)?;
    }
    let restart = format!("antctl server restart {}", subject.name);
    answers(guest, &restart, 0, "was restarted")?;
    let process = ant::process_of(guest, subject.name)?;
    ensure!(process.cpu == cpu, "{process:?}");
    ant::server(guest, subject.name)
}

/// Has a process, or the next server, fail at its system call number `call`.
fn inject(guest: &TestGuest, way: Way, whom: &str, call: u32) -> Result<()> {
    let words = format!("antctl inject {} {whom} --call {call}", way.word());
    answers(guest, &words, 0, "done")
}

/// Which call a process has failed at whose number is `pid` or, being younger, higher; if one has.
fn failed_at(guest: &TestGuest, pid: u32) -> Result<Option<u64>> {
    let last = ant::failed_on_purpose(guest)?;
    Ok(last.filter(|(who, _)| *who >= pid).map(|(_, call)| call))
}

/// Fails unless as much memory is free at rest after `work` as before it.
fn losing_nothing(guest: &TestGuest, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let free = ant::free_memory(guest)?;
    work()?;
    ant::await_idle(guest)?;
    ant::await_free_memory(guest, free)
}

/// It serves again, after it has ended in this way.
fn await_next(guest: &TestGuest, before: &Server, way: Way) -> Result<Server> {
    let after = ant::await_server(guest, &before.name, before.generation + 1, SOON)?;
    ensure!(after.restarts == before.restarts + 1 && after.pid != before.pid, "{after:?}");
    ensure!(after.last_end.starts_with(way.last_end()), "{after:?}");
    Ok(after)
}

/// Fails unless each way has been gone at each of these calls.
fn has_seen(seen: &Seen, calls: &[Sysnum]) -> Result<()> {
    let pairs = calls.iter().flat_map(|&call| ENDS.map(|way| (way, call.into())));
    let missing: Vec<_> = pairs.filter(|pair| !seen.contains(pair)).collect();
    ensure!(missing.is_empty(), "never at {missing:x?}, but at {seen:x?}");
    Ok(())
}

/// Where a server is swept over, and its client.
#[derive(Clone, Copy)]
struct Sweep {
    cpu: u32,
    client_cpu: u32,
    /// The way in which it fails first: all in all, it fails at each call in each way.
    first: usize,
}

const SWEEPS: [Sweep; 3] = [
    Sweep { cpu: 2, client_cpu: 3, first: 0 },
    Sweep { cpu: 1, client_cpu: 1, first: 1 },
    Sweep { cpu: 2, client_cpu: 2, first: 2 },
];

/// Calls that are failed at one by one, at least; then there are steps.
const SINGLY: u32 = 16;
const STEP: u32 = 7;

impl Sweep {
    /// Has a server fail at ever later calls, in one way after the other, as long as `fails` says that it
    /// has come so far. The last calls come one by one again.
    fn run(&self, mut fails: impl FnMut(Way, u32) -> Result<bool>) -> Result<()> {
        let mut fails = |call: u32| {
            let way = ENDS[(self.first + call as usize) % ENDS.len()];
            let context = || format!("{way:?} at call {call}, on CPU {}", self.cpu);
            fails(way, call).with_context(context)
        };
        let singly = SINGLY + self.first as u32 * 2;
        let mut reached = 0;
        loop {
            let step = if reached < singly { 1 } else { STEP };
            if !fails(reached + step)? {
                break;
            }
            reached += step;
        }
        while reached >= singly && fails(reached + 1)? {
            reached += 1;
        }
        Ok(())
    }
}

/// While a client asks for everything that it does, until it has been served before the server fails.
fn serves(guest: &TestGuest, subject: &Subject) -> Result<()> {
    up(guest)?;
    let mut seen = Seen::new();
    for sweep in SWEEPS {
        let Sweep { cpu, client_cpu, .. } = sweep;
        let mut server = settle(guest, subject, cpu)?;
        let fails = |way, call| {
            let pid = server.pid.context("it does not run")?;
            inject(guest, way, &format!("--pid {pid}"), call)?;
            subject.begin(guest, client_cpu)?.await_served(1)?;
            let Some(at) = failed_at(guest, pid)? else {
                server = settle(guest, subject, cpu)?;
                return Ok(false);
            };
            seen.insert((way, at));
            server = await_next(guest, &server, way)?;
            Ok(true)
        };
        losing_nothing(guest, || sweep.run(fails))?;
    }
    has_seen(&seen, subject.serves)
}

/// It is restarted, and the next one fails, until one gets through.
fn starts(guest: &TestGuest, subject: &Subject) -> Result<()> {
    let order = Order {
        words: format!("antctl server restart {}", subject.name),
        done: "was restarted",
        refused: "does not serve yet: the new one ended before it served",
    };
    fails_first(guest, subject, &order)
}

/// It is replaced, and the new one fails, until one gets through.
fn takes_over(guest: &TestGuest, subject: &Subject) -> Result<()> {
    let order = Order::replace(subject, "it keeps its program: the new one ended before it served");
    fails_first(guest, subject, &order)
}

/// What makes another process of a server, and what is said then.
struct Order {
    words: String,
    done: &'static str,
    refused: &'static str,
}

impl Order {
    /// Puts its own program in a server's place.
    fn replace(subject: &Subject, refused: &'static str) -> Self {
        let words = format!("antctl server replace {} {}", subject.name, subject.program);
        Self { words, done: "was replaced", refused }
    }

    /// Gives it, which must end in one of the two ways; whether it is done.
    fn give(&self, guest: &TestGuest) -> Result<bool> {
        let output = guest.run(&self.words)?;
        let done = output.status == 0;
        let (status, said) = if done { (0, self.done) } else { (1, self.refused) };
        expect(&output, status, said).map(|()| done)
    }
}

/// The process that an order makes fails at ever later calls. Whoever asks meanwhile is served by the
/// next one.
fn fails_first(guest: &TestGuest, subject: &Subject, order: &Order) -> Result<()> {
    up(guest)?;
    let mut seen = Seen::new();
    for sweep in SWEEPS {
        let Sweep { cpu, client_cpu, .. } = sweep;
        settle(guest, subject, cpu)?;
        // From now on there is its program, if `init` has to keep it.
        answers(guest, &order.words, 0, order.done)?;
        let fails = |way, call| {
            let old = ant::server(guest, subject.name)?.pid.context("it does not run")?;
            inject(guest, way, "--next-server", call)?;
            let client = subject.begin_quietly(guest, client_cpu)?;
            let done = order.give(guest)?;
            client.await_served(2)?;
            ant::await_serving(guest, subject.name, SOON)?;
            let at = failed_at(guest, old + 1)?;
            seen.extend(at.map(|at| (way, at)));
            if done {
                // It may fail yet, but that is no start.
                settle(guest, subject, cpu)?;
            }
            Ok(!done)
        };
        losing_nothing(guest, || sweep.run(fails))?;
    }
    has_seen(&seen, subject.starts)
}

/// The old one fails when another is to take its place, which then does, or does not if it has come too
/// late.
fn is_replaced(guest: &TestGuest, subject: &Subject) -> Result<()> {
    const CALLS: &[Sysnum] = &[Sysnum::IpcCall, Sysnum::ProcessExit];
    up(guest)?;
    let refused = "it keeps its program: the old one has ended meanwhile";
    let replace = Order::replace(subject, refused);
    let mut seen = Seen::new();
    // When it is asked whether it lives, it makes other calls: then once more.
    for sweep in SWEEPS.into_iter().cycle().take(SWEEPS.len() * 3) {
        let Sweep { cpu, client_cpu, .. } = sweep;
        settle(guest, subject, cpu)?;
        answers(guest, &replace.words, 0, replace.done)?;
        let fails = |way, call| {
            let pid = ant::server(guest, subject.name)?.pid.context("it does not run")?;
            inject(guest, way, &format!("--pid {pid}"), call)?;
            replace.give(guest)?;
            subject.begin(guest, client_cpu)?.await_served(1)?;
            let at = failed_at(guest, pid)?;
            seen.extend(at.map(|at| (way, at)));
            Ok(at.is_some())
        };
        losing_nothing(guest, || sweep.run(fails))?;
        if has_seen(&seen, CALLS).is_ok() {
            break;
        }
    }
    has_seen(&seen, CALLS)
}

/// It makes a call again and again, in vain, and `init` finds that it does not answer.
fn goes_no_further(guest: &TestGuest, subject: &Subject) -> Result<()> {
    up(guest)?;
    for (Sweep { cpu, client_cpu, .. }, call) in SWEEPS.into_iter().zip([1, 2, 4]) {
        let server = settle(guest, subject, cpu)?;
        let pid = server.pid.context("it does not run")?;
        losing_nothing(guest, || {
            inject(guest, Loop, &format!("--pid {pid}"), call)?;
            subject.begin(guest, client_cpu)?.await_served(1)?;
            await_next(guest, &server, Loop).map(drop)
        })?;
    }
    Ok(())
}
