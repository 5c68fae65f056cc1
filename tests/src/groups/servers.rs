//! OS servers: they run, come back, are replaced while they serve, and a client that calls them meanwhile
//! has a defined result. Most of it is done to `victim`, in the place of `serial`. What a server is at when
//! it ends is in `matrix`.

mod restarts;

use crate::ant::{self, Server, answers, client, expect, met};
use crate::com2::LINE;
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, LIMIT, TestGuest};
use anyhow::{Context, Result, bail, ensure};
use std::thread;
use std::time::{Duration, Instant};

/// A program that must not hang has ended by then.
const SOON: Duration = Duration::from_secs(20);
/// A server that was killed is back by then: at once, but for the slowness of an emulated machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// A server that does not answer is asked within a second, has another, and is back by then.
const WATCHED: Duration = Duration::from_secs(2 + 5);
const VICTIM: &str = "/usr/lib/ant/tests/victim";
const NAME_SERVICE: &str = "/usr/lib/ant/servers/ant-name";

pub fn group() -> Group {
    let group = Group::with_console("servers")
        .test("they_run_after_boot", they_run_after_boot)
        .test("the_console_says_hello", the_console_says_hello)
        .test("programs_reach_the_console", programs_reach_the_console)
        .test("killed_ones_come_back", killed_ones_come_back)
        .test("killed_ones_have_clients", killed_ones_have_clients)
        .sweep("many_restarts_cost_nothing", many_restarts_cost_nothing)
        .test("moved_ones_stay_there", moved_ones_stay_there)
        .test("init_cannot_be_killed", init_cannot_be_killed)
        .test("one_is_replaced", one_is_replaced)
        .sweep("failing_ones_come_back", failing_ones_come_back)
        .test("one_that_keeps_ending_is_given_up", one_that_keeps_ending_is_given_up)
        .test("programs_leave_pages_for_servers", programs_leave_pages_for_servers)
        .test("programs_leave_memory_for_servers", programs_leave_memory_for_servers)
        .test("programs_leave_queues_for_servers", programs_leave_queues_for_servers)
        .sweep("restarted_while_clients_call", restarted_while_clients_call)
        .sweep("replaced_while_clients_call", replaced_while_clients_call)
        .test("replaced_with_messages_unread", replaced_with_messages_unread)
        .sweep("replaced_by_two_at_once", replaced_by_two_at_once)
        .test("replacements_that_fail", replacements_that_fail)
        .test("the_name_service_is_given_up", the_name_service_is_given_up)
        .test("linux_keeps_the_device", linux_keeps_the_device);
    restarts::add_to(group)
}

/// Waits until the console has had this line.
fn await_console(line: &str) -> Result<()> {
    let deadline = Instant::now() + AT_ONCE;
    loop {
        let said = std::fs::read_to_string(LINE.console())?;
        if said.split("\r\n").any(|said| said == line) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the console has no {line:?}: {said:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// `serial`, or what is in its place.
fn serial(guest: &TestGuest) -> Result<Server> {
    ant::server(guest, "serial")
}

/// Has `victim` serve in the place of `serial`; its generation.
fn victim(guest: &TestGuest) -> Result<u32> {
    up(guest)?;
    // Before it is called: a client waits long for a name that is not there.
    let called = "antctl run -- names | grep -qx victim && antctl run -- victim try count";
    let called = guest.run(called)?;
    if !called.stdout.starts_with("count: ") || called.stdout.starts_with("count: P") {
        answers(
            guest,
            &format!("antctl server replace serial {VICTIM}"),
            0,
            "serial was replaced",
        )?;
    }
    Ok(serial(guest)?.generation)
}

/// Ends the victim without a mark in its record.
fn restart(guest: &TestGuest) -> Result<()> {
    answers(guest, "antctl server restart serial", 0, "serial was restarted")
}

fn they_run_after_boot(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up(guest)?;
    let servers = ant::servers(guest)?;
    let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    ensure!(names == ["name", "serial"], "{servers:?}");
    for name in names {
        let server = ant::await_server(guest, name, 1, AT_ONCE)?;
        ensure!(
            server.restarts == 0 && server.priority == 5 && server.last_end == "-",
            "{server:?}"
        );
        let all = ant::all_processes(guest)?;
        let shown = all.iter().find(|process| Some(process.pid) == server.pid);
        let shown = shown.with_context(|| format!("{name} is missing: {all:?}"))?;
        ensure!(shown.kind == "server" && shown.command == name && shown.cpu == 1, "{shown:?}");
        ensure!(shown.state == "receiving" && shown.priority == 5 && shown.proxy == 0, "{shown:?}");
        ensure!(shown.restarts == Some(0), "{shown:?}");
    }
    let all = ant::all_processes(guest)?;
    let init = all.iter().find(|process| process.command == "init").context("no init")?;
    ensure!(init.kind == "server" && init.pid == 1 && init.priority == 7, "{init:?}");
    ensure!(init.restarts.is_none(), "it is never restarted: {init:?}");
    answers(guest, "antctl run -- names", 0, "serial\n")
}

fn the_console_says_hello(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    await_console("AnT: serial console, generation 1")
}

fn programs_reach_the_console(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for cpu in [1, 2, 3] {
        let words = format!("hello from {cpu}");
        // More than the words of a message hold goes in a page.
        let long = format!("{words} {}", "x".repeat(200));
        answers(guest, &format!("antctl run --cpu {cpu} -- say {words}"), 0, "")?;
        answers(guest, &format!("antctl run --cpu {cpu} -- say {long}"), 0, "")?;
        await_console(&words)?;
        await_console(&long)?;
    }
    Ok(())
}

/// Programs that nothing may befall.
struct Bystanders<'a> {
    computes: Background<'a>,
    calls: Background<'a>,
}

impl<'a> Bystanders<'a> {
    fn start(guest: &'a TestGuest) -> Result<Self> {
        let computes = ant::start(guest, "--cpu 3 -- spin");
        let calls = ant::start(guest, "--cpu 2 -- getpid 1000000");
        ant::await_process(guest, "spin", "running")?;
        ant::await_process(guest, "getpid", "in call")?;
        Ok(Self { computes, calls })
    }

    /// They go on, and so do Linux and the other CPUs.
    fn go_on(self, guest: &TestGuest) -> Result<()> {
        let calls =
            |guest| -> Result<u64> { ant::number(&ant::status(guest)?, "/partition/wakes") };
        let before = calls(guest)?;
        ant::await_process(guest, "spin", "running")?;
        answers(guest, "antctl run --cpu 2 -- getpid 10", 0, "10 calls")?;
        ensure!(calls(guest)? > before + 10, "getpid has stopped");
        let Self { computes, calls } = self;
        drop((computes, calls));
        ant::await_idle(guest)
    }
}

fn killed_ones_come_back(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let bystanders = Bystanders::start(guest)?;
    let free = ant::free_memory(guest)?;
    for name in ["name", "serial"] {
        let before = ant::server(guest, name)?;
        let memory = ant::process_of(guest, name)?.memory;
        ant::kill_server(guest, name)?;
        let after = ant::await_server(guest, name, before.generation + 1, AT_ONCE)?;
        ensure!(after.restarts == before.restarts + 1 && after.pid != before.pid, "{after:?}");
        ensure!(after.last_end == "killed by signal 15", "{after:?}");
        let all = ant::all_processes(guest)?;
        ensure!(all.iter().any(|p| Some(p.pid) == after.pid && p.command == name), "{all:?}");
        ensure!(!all.iter().any(|p| Some(p.pid) == before.pid), "{all:?}");
        let process = ant::process_of(guest, name)?;
        ensure!(process.restarts == Some(after.restarts) && process.memory == memory, "{all:?}");
        // What it knew it knows again, and its clients are answered.
        answers(guest, "antctl run -- names", 0, "serial\n")?;
        answers(guest, &format!("antctl run -- say after {name}"), 0, "")?;
        await_console(&format!("after {name}"))?;
    }
    await_console("AnT: serial console, generation 2")?;
    // Also the page that `name` has its state in is there once.
    ant::await_free_memory(guest, free)?;
    bystanders.go_on(guest)
}

/// The servers themselves, whatever they are at: receiving, serving, with requests unread.
fn killed_ones_have_clients(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    up(guest)?;
    let until_enough = |command: &str| {
        guest.spawn(&format!("until [ -e /tmp/enough ]; do {command} || exit; done"))
    };
    guest.succeed("rm -f /tmp/enough")?;
    let lookups =
        [1, 2, 3].map(|cpu| until_enough(&format!("antctl run --cpu {cpu} -- names serial 10000")));
    kill_thrice(guest, "name", "names serial")?;
    guest.succeed("touch /tmp/enough")?;
    for client in lookups {
        let output = client.wait(SOON)?;
        let served = |line: &str| line == "10000 requests served";
        let all_served = !output.stdout.is_empty() && output.stdout.lines().all(served);
        ensure!(output.status == 0 && all_served, "{output:?}");
    }
    // A client that writes to the console need not notice: what may not have been written is written again.
    guest.succeed("rm /tmp/enough")?;
    let says = until_enough("antctl run --cpu 2 -- say a line && echo said");
    kill_thrice(guest, "serial", "say a line")?;
    guest.succeed("touch /tmp/enough")?;
    let output = says.wait(SOON)?;
    let said = output.stdout.lines().filter(|line| *line == "said").count();
    let only_said = said > 0 && output.stdout == "said\n".repeat(said);
    ensure!(output.status == 0 && output.stderr.is_empty() && only_said, "{output:?}");
    answers(guest, "antctl run -- say all there", 0, "")?;
    await_console("all there")?;
    let console = std::fs::read_to_string(LINE.console())?;
    let written = console.split("\r\n").filter(|line| *line == "a line").count();
    // One for each kill may have been written twice.
    ensure!((said..=said + 3).contains(&written), "{written} of {said} lines: {console:?}");
    Ok(())
}

/// Kills the server three times, each time when at least one such client runs.
fn kill_thrice(guest: &TestGuest, name: &str, client: &str) -> Result<()> {
    let generation = ant::server(guest, name)?.generation;
    for kill_number in 1..=3 {
        ant::await_started(guest, 1, client)?;
        ant::kill_server(guest, name)?;
        ant::await_server(guest, name, generation + kill_number, AT_ONCE)?;
    }
    Ok(())
}

/// Ends a server again and again; it takes up what it did, and so does `init`.
fn many_restarts_cost_nothing(guest: &TestGuest, extent: Extent) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let taken_up = || -> Result<_> {
        let name = ant::process_of(guest, "name")?;
        Ok((ant::free_memory(guest)?, memory_of_init(guest)?, name.memory))
    };
    let (before, first) = (taken_up()?, ant::server(guest, "name")?);
    for number in 1..=extent.rounds(30, 10) {
        answers(guest, "antctl server restart name", 0, "name was restarted")?;
        ant::await_server(guest, "name", first.generation + number, AT_ONCE)?;
    }
    answers(guest, "antctl run -- names", 0, "serial\n")?;
    ant::await_free_memory(guest, before.0)?;
    let after = taken_up()?;
    ensure!(after == before, "before {before:?}, after {after:?}");
    let last = ant::server(guest, "name")?;
    let restarts = ant::process_of(guest, "name")?.restarts;
    // They do not count as failures.
    ensure!(last.restarts == first.restarts && restarts == Some(first.restarts), "{last:?}");
    Ok(())
}

fn moved_ones_stay_there(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for name in ["name", "serial"] {
        let server = ant::server(guest, name)?;
        let pid = server.pid.context("it does not run")?;
        answers(guest, &format!("antctl move {pid} 2 && antctl priority {pid} 4"), 0, "")?;
        for restart in [false, true] {
            if restart {
                answers(guest, &format!("antctl server restart {name}"), 0, "")?;
                ant::await_server(guest, name, server.generation + 1, AT_ONCE)?;
            }
            guest.wait_until(
                &format!("antctl ps | grep ' {name}$' | grep -Eq '^ *[0-9]+ +2 +server .* 4 '"),
                AT_ONCE,
            )?;
            answers(guest, "antctl run -- names", 0, "serial\n")?;
            let words = format!("{name} there {restart}");
            answers(guest, &format!("antctl run --cpu 1 -- say {words}"), 0, "")?;
            await_console(&words)?;
        }
    }
    ant::down(guest)
}

fn init_cannot_be_killed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    answers(guest, "antctl kill 1", 1, "does not allow")?;
    for order in ["kill", "restart", "replace"] {
        let pid = serial(guest)?.pid.context("it does not run")?;
        let words = match order {
            "kill" => format!("kill {pid}"),
            "restart" => "server restart serial".into(),
            _ => format!("server replace serial {VICTIM}"),
        };
        let text = if order == "kill" { "you have no process" } else { "only root can" };
        expect(&guest.run_as("user", &format!("antctl {words}"), LIMIT)?, 1, text)?;
    }
    let users = guest.run_as("user", "antctl server list", LIMIT)?;
    expect(&users, 0, "serial")?;
    answers(guest, "antctl server restart init", 1, "AnT has no server init")
}

/// As `antctl ps` shows it.
fn memory_of_init(guest: &TestGuest) -> Result<String> {
    let all = ant::all_processes(guest)?;
    let init = all.into_iter().find(|process| process.command == "init");
    Ok(init.context("no init")?.memory)
}

fn one_is_replaced(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = serial(guest)?;
    let mut memory = Vec::new();
    for generation in [1, 2].map(|more| before.generation + more) {
        let replace = format!("antctl server replace serial {VICTIM}");
        answers(guest, &replace, 0, "serial was replaced")?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        memory.push(memory_of_init(guest)?);
    }
    ensure!(memory[0] == memory[1], "init takes up more and more: {memory:?}");
    let after = serial(guest)?;
    ensure!(after.restarts == before.restarts, "{after:?}");
    let said = format!("count: 1 0, generation {}\n", after.generation);
    answers(guest, "antctl run -- victim call count", 0, &said)?;
    // It is this program that is started again from now on.
    restart(guest)?;
    ant::await_server(guest, "serial", after.generation + 1, AT_ONCE)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")
}

fn failing_ones_come_back(guest: &TestGuest, extent: Extent) -> Result<()> {
    let mut generation = victim(guest)?;
    let bystanders = Bystanders::start(guest)?;
    let at_once = [(1, "fault", "page fault (read 0x10)"), (1, "exit", "exited with status 7")];
    // On its client's CPU, and on another before and after.
    let watched = extent.of([1, 2, 1]).into_iter();
    let watched = watched.map(|cpu| (cpu, "spin", "did not answer within 1000 ms"));
    for (cpu, how, last_end) in at_once.into_iter().chain(watched) {
        let limit = if how == "spin" { WATCHED } else { AT_ONCE };
        let process = ant::process_of(guest, "serial")?;
        if process.cpu != cpu {
            answers(guest, &format!("antctl move {} {cpu}", process.pid), 0, "goes to CPU")?;
        }
        let before = serial(guest)?;
        let calls = client(guest, 2, &format!("call {how}"));
        let after = ant::await_server(guest, "serial", generation + 1, limit)?;
        generation += 1;
        ensure!(after.restarts == before.restarts + 1, "{how}: {after:?}");
        ensure!(after.last_end.starts_with(last_end), "{how}: {after:?}");
        let said = format!("{how}: PeerRestarted {{ generation: {generation} }}\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
        answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    }
    bystanders.go_on(guest)
}

fn one_that_keeps_ending_is_given_up(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    // Earlier restarts are held against it; one that was brought back begins anew.
    for (way, is_new) in
        [("restart serial", false), ("replace serial /usr/lib/ant/tests/victim", true)]
    {
        let late = met(guest, 3, "ask count")?;
        let output = guest.run_as("root", "antctl run --cpu 2 -- victim kill", SOON)?;
        expect(&output, 0, " killed\nkill: PeerGone\n")?;
        let killed: u32 = output.stdout.split(' ').nth(1).unwrap_or("").parse()?;
        let found = serial(guest)?;
        // Six have ended, five restarts are what the manifest allows. A client that has asked the last one
        // is told that it has ended or that no other will come, whichever is known first.
        let all = found.restarts == 5 && (5..=6).contains(&killed);
        ensure!(all || !is_new && killed <= 5, "{output:?}, {found:?}");
        ensure!(found.state == "given up" && found.pid.is_none(), "{found:?}");
        ensure!(found.last_end.starts_with("page fault"), "{found:?}");
        late.input("\n");
        expect(&late.wait(SOON)?, 0, "count: PeerGone\n")?;
        // No program takes its place.
        answers(guest, "antctl run -- victim serve victim", 1, "victim: Busy")?;
        // The others go on without it.
        ant::works_on(guest, &[1, 2, 3])?;
        ensure!(ant::server(guest, "name")?.state == "serves");
        answers(guest, &format!("antctl server {way}"), 0, "serial was re")?;
        answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
        ensure!(serial(guest)?.state == "serves", "{way}: {:?}", serial(guest)?);
    }
    Ok(())
}

/// A program can have 512 pages, all programs together what is not kept for servers: 64 pages for
/// init, 16 for each of two others.
fn programs_leave_pages_for_servers(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    restart(guest)?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    // One after the other: each lets go of a page for a moment, which another would take.
    let mut hogs = Vec::new();
    for (n, cpu) in [1, 2, 3, 1, 2, 3, 1, 2].into_iter().enumerate() {
        hogs.push(client(guest, cpu, "hog"));
        ant::await_processes(guest, n + 1, "victim hog", "in call")?;
    }
    // A program that comes now gets nothing; servers get what is theirs.
    answers(guest, "antctl run -- victim hog", 1, "victim: NoMemory")?;
    answers(guest, "antctl run -- victim call take", 0, "take: 16 122, ")?;
    restart(guest)?;
    answers(guest, "antctl server restart name", 0, "name was restarted")?;
    answers(guest, "antctl run -- victim call take", 0, "take: 16 122, ")?;
    restart(guest)?;
    let mut taken = 0;
    for hog in hogs {
        hog.input("\n");
        let output = hog.wait(SOON)?;
        let mut words = output.stdout.split_ascii_whitespace();
        let count: u32 = words.nth(1).unwrap_or_default().parse()?;
        taken += count;
        // Where nothing is free any more, one's own limit does not matter.
        let why = if count == 512 { "OverQuota" } else { "NoMemory" };
        let said = format!(
            "hog: {count} {why}\nhog: handed over: Err({why})\nhog: shared: Err({why})\n\
             hog: let go: Err({why})\nhog: freed: Ok(())\n"
        );
        ensure!(output.status == 0 && output.stdout == said, "{output:?}, not {said}");
    }
    // Kept for init, for each server, and for one that is put in the place of another.
    ensure!(taken == 4096 - 128 - 64 - 3 * 16, "{taken} pages were taken");
    ant::await_free_memory(guest, free)
}

/// Programs take all that they get of a small partition; there is room for servers all the same.
fn programs_leave_memory_for_servers(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    ant::up(guest, "--cpus 1-3 --memory 16M")?;
    let _hogs = [1, 2, 3, 1].map(|cpu| client(guest, cpu, "hog"));
    ant::await_processes(guest, 4, "victim hog", "in call")?;
    let one_more = |count| {
        guest.run(&format!(
            "antctl run --cpu 3 -- spin < /dev/null > /tmp/spin 2>&1 &
             until grep -q 'no memory left' /tmp/spin; do
                 test $(antctl ps | grep -c 'spin$') -lt {count} || exit 0
             done
             echo full"
        ))
    };
    let mut count = 1;
    while one_more(count)?.stdout != "full\n" {
        count += 1;
        ensure!(count < 60, "there is memory for all programs");
    }
    for name in ["name", "serial"] {
        let generation = ant::server(guest, name)?.generation;
        ant::kill_server(guest, name)?;
        ant::await_server(guest, name, generation + 1, AT_ONCE)?;
    }
    // That takes room for two.
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 0, "serial was replaced")?;
    ant::down(guest)
}

/// Programs that send messages to themselves and do not receive them.
fn programs_leave_queues_for_servers(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    let fillers =
        [1, 2, 3, 1].map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- misuse-ipc full")));
    ant::await_processes(guest, fillers.len(), "misuse-ipc full", "in call")?;
    answers(guest, "antctl run -- victim send 3", 0, "send: Ok(()), notify: Ok(())\n")?;
    let mut unread = 0;
    for filler in fillers {
        filler.input("\n");
        let output = filler.wait(SOON)?;
        let count = output.stdout.trim_end().strip_prefix("full: ").map(str::parse::<u32>);
        unread += count.context("no count")??;
    }
    ensure!(unread == 40, "{unread} messages waited at programs");
    Ok(())
}

/// Has the victim busy, with three messages and two bits unread, and a call by a client that would wait.
fn with_unread<'a>(guest: &'a TestGuest, request: &str) -> Result<[Background<'a>; 2]> {
    let served = met(guest, 2, request)?;
    let queued = met(guest, 1, "ask count")?;
    let sender = met(guest, 3, "send 3")?;
    // Slowly enough for one after the other, and soon enough for `init` not to notice before.
    for client in [&served, &sender, &queued] {
        client.input("\n");
        thread::sleep(Duration::from_millis(100));
    }
    expect(&sender.wait(SOON)?, 0, "send: Ok(()), notify: Ok(())\n")?;
    Ok([served, queued])
}

/// Waits until a client that loops has called: it sleeps after each call, and not before.
fn await_calls(guest: &TestGuest) -> Result<()> {
    guest.wait_until("antctl ps | grep 'victim loop' | grep -q sleeping", SOON)
}

fn restarted_while_clients_call(guest: &TestGuest, extent: Extent) -> Result<()> {
    for (how, restarts) in extent.of([("ask", 0), ("call", 1)]) {
        let generation = victim(guest)? + 1;
        restart(guest)?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let calls = client(guest, 2, &format!("loop {how} 2500"));
        await_calls(guest)?;
        restart(guest)?;
        let output = calls.wait(SOON)?;
        // A call that was being served when it ended is the one that may fail.
        ensure!(output.status == 0 && output.stdout.contains(" 1 changes, "), "{output:?}");
        expect(&output, 0, " 0 failed\n")?;
        let counted = |n: u32| output.stdout.contains(&format!(" {n} restarts, "));
        ensure!(counted(restarts) || counted(1), "{output:?}");
    }
    Ok(())
}

fn replaced_while_clients_call(guest: &TestGuest, extent: Extent) -> Result<()> {
    // On its CPU, and across CPUs; the sample has each of the two ways to call.
    let cases = [[(1, "call", 1), (2, "ask", 0)], [(1, "ask", 0), (2, "call", 1)]];
    for (cpu, how, restarts) in extent.of(cases).into_iter().flatten() {
        let generation = victim(guest)? + 1;
        restart(guest)?;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let calls = client(guest, cpu, &format!("loop {how} 2500"));
        await_calls(guest)?;
        let replace = format!("antctl server replace serial {VICTIM}");
        answers(guest, &replace, 0, "serial was replaced")?;
        let said = format!(" served, 1 changes, {restarts} restarts, 0 lost, 0 failed\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
    }
    Ok(())
}

fn replaced_with_messages_unread(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    restart(guest)?;
    // On a slow machine the old one may be done before it is replaced.
    for _ in 0..5 {
        if replace_with_messages_unread(guest)? {
            return Ok(());
        }
    }
    bail!("it was always too late to replace it")
}

/// Whether the one that was replaced was still at its request.
fn replace_with_messages_unread(guest: &TestGuest) -> Result<bool> {
    let generation = victim(guest)? + 1;
    let free = ant::free_memory(guest)?;
    let [served, queued] = with_unread(guest, "call sleep 900")?;
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 0, "serial was replaced")?;
    // The old one has finished what it was at, the new one has the rest.
    expect(&served.wait(SOON)?, 0, &format!(", generation {}\n", generation - 1))?;
    let queued = queued.wait(SOON)?;
    if queued.stdout.ends_with(&format!(", generation {}\n", generation - 1)) {
        return Ok(false);
    }
    expect(&queued, 0, &format!("count: 1 0, generation {generation}\n"))?;
    let said = format!("told: 3 5, generation {generation}\n");
    answers(guest, "antctl run -- victim call told", 0, &said)?;
    ant::await_free_memory(guest, free)?;
    Ok(true)
}

fn replaced_by_two_at_once(guest: &TestGuest, extent: Extent) -> Result<()> {
    const BUSY: &str = "another server is being replaced: try again when that is done";
    let mut generation = victim(guest)? + 1;
    restart(guest)?;
    ant::await_server(guest, "serial", generation, AT_ONCE)?;
    // From now on `init` keeps its program.
    let replace = format!("antctl server replace name {NAME_SERVICE}");
    answers(guest, &replace, 0, "name was replaced\n")?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    let others = extent.of([("name", NAME_SERVICE), ("nobody", VICTIM)]);
    for (name, program) in [("serial", VICTIM)].into_iter().chain(others) {
        let calls = client(guest, 2, "loop ask 3000");
        await_calls(guest)?;
        let first = format!("antctl server replace serial {VICTIM}");
        let second = format!("antctl server replace {name} {program}");
        let mut replaced = 0;
        for (order, name) in [(guest.spawn(&first), "serial"), (guest.spawn(&second), name)] {
            let output = order.wait(SOON)?;
            let said = format!("{}{}", output.stdout, output.stderr);
            let done = output.status == 0 && said == format!("{name} was replaced\n");
            let none = name == "nobody" && said.contains("no server nobody");
            ensure!(done || none || output.status == 1 && said.contains(BUSY), "{output:?}");
            replaced += u32::from(done && name == "serial");
        }
        ensure!((1..=2).contains(&replaced) || name != "serial", "neither was done");
        generation += replaced;
        ant::await_server(guest, "serial", generation, AT_ONCE)?;
        let said = format!(" served, {replaced} changes, 0 restarts, 0 lost, 0 failed\n");
        expect(&calls.wait(SOON)?, 0, &said)?;
    }
    ant::await_idle(guest)?;
    ant::await_free_memory(guest, free)
}

fn replacements_that_fail(guest: &TestGuest) -> Result<()> {
    let generation = victim(guest)? + 1;
    restart(guest)?;
    ant::await_server(guest, "serial", generation, AT_ONCE)?;
    ant::await_idle(guest)?;
    let free = ant::free_memory(guest)?;
    guest.succeed("head -c 4096 /bin/busybox > /tmp/piece; mkfifo /tmp/fifo 2> /dev/null; true")?;
    let calls = client(guest, 2, "loop call 5000");
    await_calls(guest)?;
    let goes_on = "serial was not replaced, it keeps its program: ";
    for (file, text) in [
        ("/no/such", "No such file"),
        ("/tmp", "/tmp: it is no program"),
        ("/tmp/fifo", "/tmp/fifo: it is no program"),
        ("/etc/passwd", "/etc/passwd: it is no program"),
        ("/bin/busybox", "/bin/busybox: it has "),
        ("/tmp/piece", &format!("{goes_on}its program is none for AnT")),
        ("/usr/lib/ant/apps/getpid", &format!("{goes_on}the new one ended before it served")),
        ("/usr/lib/ant/tests/crash", &format!("{goes_on}the new one ended before it served")),
        ("/usr/lib/ant/apps/spin", &format!("{goes_on}the new one did not begin to serve in time")),
    ] {
        answers(guest, &format!("antctl server replace serial {file}"), 1, text)?;
        let found = serial(guest)?;
        ensure!(found.state == "serves" && found.generation == generation, "{file}: {found:?}");
    }
    answers(guest, &format!("antctl server replace nobody {VICTIM}"), 1, "no server nobody")?;
    answers(guest, "antctl server replace serial", 2, "FILE")?;
    expect(&calls.wait(SOON)?, 0, " 0 changes, 0 restarts, 0 lost, 0 failed\n")?;
    // Orders are taken while the new one does not get ready.
    let old = serial(guest)?.pid.context("it does not run")?;
    let replace = guest.spawn("antctl server replace serial /usr/lib/ant/apps/spin");
    guest.wait_until("test $(antctl ps | grep -c ' serial$') = 2", AT_ONCE)?;
    answers(guest, &format!("antctl priority {old} 4"), 1, "is being replaced: try again")?;
    ant::kill_server(guest, "serial")?;
    expect(&replace.wait(SOON)?, 1, "the old one has ended meanwhile")?;
    ant::await_server(guest, "serial", generation + 1, AT_ONCE)?;
    ant::await_free_memory(guest, free)
}

fn the_name_service_is_given_up(guest: &TestGuest) -> Result<()> {
    victim(guest)?;
    for _ in 0..8 {
        if ant::server(guest, "name")?.state == "given up" {
            break;
        }
        guest.wait_until("antctl server list | grep -Eq '^name +(serves|given up)'", SOON)?;
        if let Some(pid) = ant::server(guest, "name")?.pid {
            guest.run(&format!("antctl kill {pid}"))?;
        }
    }
    ant::await_server_state(guest, "name", "given up", SOON)?;
    // A program that needs it is told so; one that does not goes on.
    answers(guest, "antctl run -- names", 1, "PeerGone")?;
    answers(guest, "antctl run -- victim call count", 1, "PeerGone")?;
    ant::works_on(guest, &[1, 2, 3])?;
    answers(guest, "antctl server restart name", 0, "name was restarted")?;
    // It begins anew: servers are known again when they have registered again.
    restart(guest)?;
    answers(guest, "antctl run -- victim call count", 0, "count: 1 0, ")?;
    answers(guest, "antctl run -- names", 0, "victim\n")?;
    ant::down(guest)
}

fn linux_keeps_the_device(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 64M --device none")?;
    ant::await_server_state(guest, "serial", "given up", AT_ONCE)?;
    let found = serial(guest)?;
    ensure!(found.last_end == "Linux keeps its device" && found.restarts == 0, "{found:?}");
    answers(guest, "antctl run -- names", 0, "")?;
    answers(guest, "antctl run -- say hello", 1, "NoEntry")?;
    answers(guest, "antctl server restart serial", 1, "serial was not restarted")?;
    // What became of one replacement is not told of the next.
    let replace = format!("antctl server replace serial {VICTIM}");
    answers(guest, &replace, 1, "serial was not replaced")?;
    let replace = format!("antctl server replace name {NAME_SERVICE}");
    answers(guest, &replace, 0, "name was replaced\n")?;
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)
}
