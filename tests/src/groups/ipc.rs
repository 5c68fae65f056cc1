//! IPC between programs, their pages, priorities and places: what is refused, what comes back.

mod priorities;

use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{Background, LIMIT, TestGuest};
use ant_vm::guest::Output;
use anyhow::{Result, ensure};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// A program that must not hang has ended by then.
const SOON: Duration = Duration::from_secs(20);
const GPL: &str = "/usr/share/common-licenses/GPL-3";

pub fn group() -> Group {
    let group = Group::usual("ipc")
        .test("a_stalled_pipeline_begins", a_stalled_pipeline_begins)
        .test("what_is_refused", what_is_refused)
        .test("what_becomes_of_a_call", what_becomes_of_a_call)
        .test("pages_pass_in_every_way", pages_pass_in_every_way)
        .test("pages_are_out_of_reach", pages_are_out_of_reach)
        .test("a_program_that_serves_ends", a_program_that_serves_ends)
        .test("a_caller_that_does_not_wait", a_caller_that_does_not_wait)
        .test("a_page_lent_for_too_long", a_page_lent_for_too_long)
        .test("programs_can_be_moved", programs_can_be_moved)
        .test("a_move_does_not_prolong_waiting", a_move_does_not_prolong_waiting)
        .test("one_that_cannot_go_yet_goes_later", one_that_cannot_go_yet_goes_later)
        .test("only_the_owner_decides", only_the_owner_decides)
        .test("a_pipeline_of_three", a_pipeline_of_three)
        .test("a_stalled_pipeline_ends", a_stalled_pipeline_ends)
        .test("a_full_queue", a_full_queue)
        .test("pages_of_ended_programs_come_back", pages_of_ended_programs_come_back);
    priorities::add_to(group)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// Waits until no program is left but the end of the stalled pipeline.
fn await_idle(guest: &TestGuest) -> Result<()> {
    let others = "antctl ps | grep -v 'drain stalled' | grep -q '  program  '";
    guest.wait_until(&format!("! {{ {others}; }}"), SOON)
}

/// What `misuse-ipc` with an argument says.
const REFUSALS: [(&str, &str); 11] = [
    (
        "handle",
        "call Err(Refused(BadHandle))|send Err(BadHandle)|notify Err(BadHandle)|\
         close Err(BadHandle)|passed Err(BadHandle)",
    ),
    ("token", "Err(NotWaiting)"),
    (
        "pages",
        "not owned: Err(Fault)|the LCA: Err(Fault)|beyond the end: Err(Fault)|none: Err(Fault)|\
         half owned: Err(Fault)|lent by a send: Err(Invalid)|no mode: Err(Invalid)|\
         another mode: Err(Invalid)|given away: Err(Fault)|received back: true",
    ),
    ("queue", "Err(QueueFull), pages kept: true"),
    ("names", "Err(OverQuota), 0 left, one's own again: Ok(())"),
    (
        "batch",
        "one too many: Err(TooLong)|0: Ok(())|1: Err(BadHandle)|2: Err(NotWaiting)|3: Ok(())",
    ),
    ("bits", "Err(Invalid)"),
    ("endpoint", "Err(Busy)"),
    ("receive", "Err(TimedOut)|Err(TimedOut)|Err(TimedOut)|Ok(())"),
    ("privileged", "Err(NotPermitted)"),
    ("port", "Err(NotPermitted)"),
];

/// How often all of it is said.
fn times(how: &str) -> usize {
    match how {
        "handle" | "token" => 3,
        "privileged" => 7,
        _ => 1,
    }
}

fn what_is_refused(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (how, answers) in REFUSALS {
        let mut wanted = String::new();
        for answer in std::iter::repeat_n(answers, times(how)).flat_map(|all| all.split('|')) {
            writeln!(wanted, "{how}: {answer}")?;
        }
        let output = guest.run(&format!("antctl run -- misuse-ipc {how}"))?;
        ensure!(output.status == 0 && output.stdout == wanted, "{output:?}, not {wanted}");
    }
    await_idle(guest)
}

/// Both ends of a call: how the server exits, and what each says.
const CALLS: [(&str, &str, i32, &str, &str); 7] = [
    (
        "silent",
        "call",
        0,
        "serve: then Ok(()), too late Err(NotWaiting)\n",
        "call: Err(TimedOut)\ncall: Err(PeerGone)\n",
    ),
    (
        "twice",
        "call",
        0,
        "serve: first Ok(()), second Err(NotWaiting)\n",
        "call: Ok(())\ncall: Err(PeerGone)\n",
    ),
    ("dying", "call", 139, "", "call: Err(PeerGone)\ncall: Err(PeerGone)\n"),
    (
        "silent",
        "lend",
        0,
        "serve: then Err(TimedOut), too late Err(NotWaiting)\n",
        "lend: Err(TimedOut), back: true\n",
    ),
    ("dying", "lend", 139, "", "lend: Err(PeerGone), back: true\n"),
    // The page of the second reply stays the server's.
    (
        "batch",
        "fetch",
        0,
        "serve: 0: Ok(())\nserve: 1: Err(NotWaiting)\nserve: 2: Ok(())\n",
        "fetch: pages: true\n",
    ),
    (
        "limit",
        "fetch",
        0,
        "serve: then Err(TimedOut), again Err(NotWaiting)\n",
        "fetch: pages: false\n",
    ),
];

fn what_becomes_of_a_call(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    // On one CPU and across two.
    for cpu in [2, 3] {
        for (serves, calls, status, server_says, client_says) in CALLS {
            let (server, client) = meet(guest, serves, cpu, calls)?;
            ensure!(client.status == 0 && client.stdout == client_says, "{serves}: {client:?}");
            ensure!(server.status == status && server.stdout == server_says, "{server:?}");
        }
    }
    await_idle(guest)
}

/// What becomes of a `misuse-ipc` that serves on CPU 2, and of one that calls it from `cpu`.
fn meet(guest: &TestGuest, serves: &str, cpu: u32, calls: &str) -> Result<(Output, Output)> {
    // The client waits until the server has a name.
    let server = ant::start(guest, &format!("--cpu 2 -- misuse-ipc serve {serves}"));
    let command = format!("antctl run --cpu {cpu} -- misuse-ipc {calls}");
    let client = guest.run_as("root", &command, SOON)?;
    Ok((server.wait(SOON)?, client))
}

/// Fails unless the program has ended by a page fault at the page that it has named.
fn has_faulted(output: &Output, access: &str) -> Result<()> {
    let at = output.stdout.trim_end().split(" at ").nth(1).unwrap_or("nowhere");
    ensure!(at.starts_with("0x"), "{output:?}");
    expect(output, 139, &format!("page fault ({access} {at})"))
}

/// A page that a process has given away, or may only read, is out of its reach: also where the
/// processor has just used it.
fn pages_are_out_of_reach(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let free = ant::free_memory(guest)?;
    for how in ["freed", "queued"] {
        has_faulted(&guest.run(&format!("antctl run --cpu 2 -- misuse-ipc touch {how}"))?, "read")?;
    }
    for cpu in [2, 3] {
        let (server, client) = meet(guest, "keep", cpu, "touch given")?;
        has_faulted(&client, "read")?;
        expect(&server, 0, "serve: then Err(TimedOut), kept: true\n")?;
        let (server, client) = meet(guest, "write", cpu, "look")?;
        has_faulted(&server, "write")?;
        expect(&client, 0, "look: Err(PeerGone), as it was: true\n")?;
        let (server, client) = meet(guest, "late", cpu, "lend")?;
        has_faulted(&server, "write")?;
        expect(&client, 0, "lend: Ok(()), back: true\n")?;
    }
    await_idle(guest)?;
    ant::await_free_memory(guest, free)
}

fn pages_pass_in_every_way(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let free = ant::free_memory(guest)?;
    for cpu in [2, 3] {
        let server = ant::start(guest, "--cpu 2 -- transfer serve");
        let output = guest.run(&format!("antctl run --cpu {cpu} -- transfer"))?;
        let right = output.stdout.lines().filter(|line| line.ends_with(": right")).count();
        ensure!(output.status == 0 && right == 6, "{output:?}");
        expect(&server.wait(SOON)?, 0, "")?;
    }
    await_idle(guest)?;
    ant::await_free_memory(guest, free)
}

/// A program that serves as `victim`; it goes on when it is given input.
fn serve<'a>(guest: &'a TestGuest, cpu: u32) -> Result<Background<'a>> {
    let server = ant::start(guest, &format!("--cpu {cpu} -- victim serve victim"));
    ant::await_process(guest, "victim serve victim", "receiving")?;
    Ok(server)
}

/// Has the program that serves wait for input, in a request; returns the client that has asked it.
fn occupy(guest: &TestGuest) -> Result<Background<'_>> {
    let caller = ant::start(guest, "--cpu 2 -- victim call gate");
    ant::await_process(guest, "victim serve victim", "in call")?;
    Ok(caller)
}

fn end(guest: &TestGuest, server: Background<'_>) -> Result<()> {
    let found = ant::processes(guest)?;
    let pid = found.iter().find(|process| process.command.contains("victim serve")).map(|p| p.pid);
    ensure!(pid.is_some(), "no program serves: {found:?}");
    answers(guest, &format!("antctl kill {}", pid.unwrap_or(0)), 0, "ended")?;
    expect(&server.wait(SOON)?, 143, "")?;
    await_idle(guest)
}

fn a_program_that_serves_ends(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, generation 0\n")?;
    let served = occupy(guest)?;
    let queued = ant::start(guest, "--cpu 1 -- victim ask count");
    let later = ant::start(guest, "--cpu 3 -- victim gated call count");
    ant::await_processes(guest, 2, "victim", "calling")?;
    ant::await_process(guest, "victim gated", "in call")?;
    let pid = ant::await_process(guest, "victim serve", "in call")?.pid;
    answers(guest, &format!("antctl kill {pid}"), 0, "ended")?;
    expect(&server.wait(SOON)?, 143, "")?;
    expect(&served.wait(SOON)?, 0, "gate: PeerGone\n")?;
    expect(&queued.wait(SOON)?, 0, "count: PeerGone\n")?;
    later.input("\n");
    expect(&later.wait(SOON)?, 0, "count: PeerGone\n")?;
    await_idle(guest)
}

/// A request that was not received when its caller has lost patience is not served.
fn a_caller_that_does_not_wait(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    let caller = occupy(guest)?;
    for cpu in [2, 3] {
        for how in ["now", "try"] {
            let command = format!("antctl run --cpu {cpu} -- victim {how} count");
            answers(guest, &command, 0, "count: TimedOut\n")?;
        }
    }
    server.input("\n");
    expect(&caller.wait(SOON)?, 0, "gate: 0 0, generation 0\n")?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, generation 0\n")?;
    end(guest, server)
}

fn a_page_lent_for_too_long(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 3)?;
    for cpu in [2, 3] {
        let run = |words: &str| guest.run(&format!("antctl run --cpu {cpu} -- victim {words}"));
        // What the server writes when it is too late has no effect.
        let output = run("try borrow 500")?;
        expect(&output, 0, "borrow: TimedOut\nborrow: [1, 7], later [9, 7]\n")?;
        // And it has taken no harm.
        let output = run("call borrow 10")?;
        expect(&output, 0, "borrow: 0 0, generation 0\nborrow: [1, 2], later [9, 2]\n")?;
    }
    end(guest, server)
}

fn a_full_queue(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = ant::free_memory(guest)?;
    let server = serve(guest, 3)?;
    let caller = occupy(guest)?;
    for cpu in [2, 3] {
        let sends = format!("antctl run --cpu {cpu} -- victim send 17");
        answers(guest, &sends, 0, "send: Err(QueueFull), notify: Ok(())\n")?;
    }
    server.input("\n");
    expect(&caller.wait(SOON)?, 0, "gate: 0 0, generation 0\n")?;
    answers(guest, "antctl run -- victim call told", 0, "told: 16 5, generation 0\n")?;
    // What it has not read when it ends is dropped.
    let caller = occupy(guest)?;
    answers(guest, "antctl run -- victim send 5", 0, "send: Ok(()), notify: Ok(())\n")?;
    end(guest, server)?;
    expect(&caller.wait(SOON)?, 0, "gate: PeerGone\n")?;
    ant::await_free_memory(guest, before)
}

fn pages_of_ended_programs_come_back(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_idle(guest)?;
    let before = ant::free_memory(guest)?;
    let hold = guest.run_as(
        "root",
        "for round in 1 2 3 4; do
             for cpu in 1 2 3; do antctl run --cpu $cpu -- victim hold 40 & done
             antctl run -- misuse-ipc pages & antctl run -- misuse-ipc queue &
             wait
         done",
        LIMIT,
    )?;
    ensure!(hold.stdout.matches("queue: Err(QueueFull)").count() == 4, "{hold:?}");
    ensure!(hold.stderr.matches("victim: page fault").count() == 12, "{hold:?}");
    await_idle(guest)?;
    ant::await_free_memory(guest, before)?;
    // Lent and handed over to a server that ends with them.
    let server = serve(guest, 3)?;
    answers(guest, "antctl run --cpu 2 -- victim call keep 50", 0, "keep: 50 0, generation 0\n")?;
    answers(guest, "antctl run --cpu 2 -- victim try borrow 500", 0, "borrow: TimedOut")?;
    end(guest, server)?;
    ant::await_free_memory(guest, before)
}

fn programs_can_be_moved(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    // One that computes, one that is mostly in calls to Linux, one that calls another.
    let server = serve(guest, 1)?;
    for (words, limit) in
        [("spin 5", SOON), ("getpid 3000", LIMIT), ("victim loop call 5000", SOON)]
    {
        let program = ant::start(guest, &format!("--cpu 2 -- {words}"));
        // The first time while it is still being loaded.
        let pid = ant::await_started(guest, 1, words)?[0].pid;
        for cpu in [3, 1, 1, 2] {
            let said = format!("process {pid} goes to CPU {cpu}");
            answers(guest, &format!("antctl move {pid} {cpu}"), 0, &said)?;
            guest.wait_until(&format!("antctl ps | grep -Eq '^ *{pid}  *{cpu} .* [a-z]'"), SOON)?;
        }
        let output = program.wait(limit)?;
        ensure!(output.status == 0, "{words}: {output:?}");
        if words.starts_with("victim") {
            expect(&output, 0, "0 restarts, 0 lost, 0 failed\n")?;
        }
    }
    // A server is found where it is.
    let pid = ant::await_process(guest, "victim serve", "receiving")?.pid;
    for cpu in [3, 2, 1] {
        answers(guest, &format!("antctl move {pid} {cpu}"), 0, &format!("goes to CPU {cpu}"))?;
        answers(guest, "antctl run --cpu 2 -- victim call count", 0, "count: ")?;
    }
    for (words, text) in [
        (format!("{pid} 0"), "CPU 0 is not AnT's"),
        (format!("{pid} 4"), "CPU 4 is not AnT's"),
        ("65000 2".into(), "no such process"),
        ("1 2".into(), "does not allow"),
    ] {
        answers(guest, &format!("antctl move {words}"), 1, text)?;
    }
    end(guest, server)
}

/// It waits for 5 s, and is moved much more often than that.
fn a_move_does_not_prolong_waiting(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let waits = ant::start(guest, "--cpu 1 -- misuse-ipc wait");
    let pid = ant::await_process(guest, "misuse-ipc wait", "receiving")?.pid;
    let deadline = Instant::now() + SOON;
    let mut cpus = [2, 1].into_iter().cycle();
    while let Some(cpu) = cpus.next()
        && guest.run(&format!("antctl move {pid} {cpu}"))?.status == 0
    {
        ensure!(Instant::now() < deadline, "it still waits");
    }
    expect(&waits.wait(SOON)?, 0, "wait: Err(TimedOut)\n")
}

/// A program that is to go to another CPU, and cannot as long as it is in a call to Linux; others of
/// its CPU go on.
fn one_that_cannot_go_yet_goes_later(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let server = serve(guest, 1)?;
    let stays = ant::start(guest, "--cpu 1 -- wc");
    let pid = ant::await_process(guest, "wc", "in call")?.pid;
    answers(guest, &format!("antctl move {pid} 2"), 0, "goes to CPU 2")?;
    let caller = guest.run("antctl run --cpu 1 -- victim loop call 500")?;
    expect(&caller, 0, "0 restarts, 0 lost, 0 failed\n")?;
    let still = ant::await_process(guest, "wc", "in call")?;
    ensure!(still.cpu == 1, "{still:?}");
    stays.input("a line\n");
    guest.wait_until(&format!("antctl ps | grep -Eq '^ *{pid}  *2 '"), SOON)?;
    drop(stays);
    end(guest, server)
}

fn only_the_owner_decides(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let roots = ant::start(guest, "--cpu 3 -- spin");
    let pid = ant::await_process(guest, "spin", "running")?.pid;
    let name = ant::server(guest, "name")?.pid.unwrap_or(0);
    let as_user = |command: String| guest.run_as("user", &command, SOON);
    for order in ["move PID 2", "priority PID 1"] {
        let order = |pid: u32| format!("antctl {}", order.replace("PID", &pid.to_string()));
        expect(&as_user(order(pid))?, 1, "another user's")?;
        expect(&as_user(order(name))?, 1, "you have no process")?;
        expect(&as_user(order(1))?, 1, "you have no process")?;
    }
    drop(roots);
    await_idle(guest)?;
    let users = ant::start_as(guest, "user", "--cpu 3 -- spin");
    let pid = ant::await_process(guest, "spin", "running")?.pid;
    expect(&as_user(format!("antctl priority {pid} 3"))?, 1, "only root can give")?;
    expect(&as_user(format!("antctl priority {pid} 1; antctl move {pid} 2"))?, 0, "to CPU 2")?;
    drop(users);
    await_idle(guest)
}

fn a_pipeline_of_three(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let drain = ant::start(guest, "--cpu 3 -- drain out /tmp/drained");
    let upcase = ant::start(guest, "--cpu 2 -- upcase middle out");
    let fed = guest.run(&format!("antctl run --cpu 1 -- feed middle {GPL} {GPL}"))?;
    expect(&fed, 0, "feed: 70298 bytes\n")?;
    expect(&upcase.wait(SOON)?, 0, "upcase: 70298 bytes\n")?;
    expect(&drain.wait(SOON)?, 0, "drain: 70298 bytes\n")?;
    guest.succeed(&format!("cat {GPL} {GPL} | tr a-z A-Z | cmp - /tmp/drained"))?;
    Ok(())
}

/// The other test waits for its end: half a minute after it has had the last pages.
fn a_stalled_pipeline_begins(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("rm -f /tmp/gate && mkfifo /tmp/gate")?;
    guest.succeed(
        "(antctl run --cpu 3 -- drain stalled /tmp/stalled > /tmp/drain.says 2>&1
          echo status $? >> /tmp/drain.says) > /dev/null 2>&1 &",
    )?;
    let upcase = ant::start(guest, "--cpu 2 -- upcase middle stalled");
    let feed = ant::start(guest, "--cpu 1 -- feed middle /tmp/gate");
    let writer = guest.spawn(&format!("exec 4> /tmp/gate; cat {GPL} >&4; read go; cat {GPL} >&4"));
    ant::await_process(guest, "feed middle", "in call")?;
    guest.wait_until("test $(wc -c < /tmp/stalled) = 32768", SOON)?;
    let pid = ant::await_process(guest, "upcase middle", "receiving")?.pid;
    answers(guest, &format!("antctl kill {pid}"), 0, "ended")?;
    expect(&upcase.wait(SOON)?, 143, "killed")?;
    writer.input("\n");
    expect(&feed.wait(SOON)?, 1, "feed: /tmp/gate: Broken pipe")
}

fn a_stalled_pipeline_ends(guest: &TestGuest) -> Result<()> {
    guest.wait_until("grep -q ^status /tmp/drain.says", LIMIT)?;
    ensure!(guest.succeed("cat /tmp/drain.says")? == "drain: Error 110\nstatus 1\n");
    guest.succeed(&format!("head -c 32768 {GPL} | tr a-z A-Z | cmp - /tmp/stalled"))?;
    ant::await_idle(guest)
}
