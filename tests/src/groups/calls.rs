//! System calls of AnT's programs: none is lost, none goes to another, whatever happens meanwhile.

use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::guest::Output;
use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::thread;
use std::time::Duration;

/// Two CPUs are AnT's, two Linux's.
const HALF: &str = "--cpus 2-3 --memory 64M";
const PREFORKED: &str = "--cpus 1-3 --memory 64M --prefork 3";

pub fn group() -> Group {
    Group::usual("calls")
        .test("a_thousand_from_each_of_three_cpus", a_thousand_from_each_of_three_cpus)
        .test("without_continuation_from_three_cpus", without_continuation_from_three_cpus)
        .test("many_programs_on_one_cpu", many_programs_on_one_cpu)
        .test("steps_happen_in_order", steps_happen_in_order)
        .test("misuse_is_answered", misuse_is_answered)
        .test("proxys_own_files_are_out_of_reach", proxys_own_files_are_out_of_reach)
        .test("results_cannot_be_forged", results_cannot_be_forged)
        .test("a_program_that_is_killed_has_ended", a_program_that_is_killed_has_ended)
        .test("memory_is_asked_for_without_end", memory_is_asked_for_without_end)
        .test("unknown_call_is_logged_once", unknown_call_is_logged_once)
        .test("log_shows_what_happened", log_shows_what_happened)
        .test("log_follows", log_follows)
        .test("preforked_proxies_serve", preforked_proxies_serve)
        .test("interrupts_have_names", interrupts_have_names)
        .test("affinity_moves_meanwhile", affinity_moves_meanwhile)
}

/// Runs `words` on each of `cpus` at once; each must end well.
fn on_each(guest: &TestGuest, cpus: &[u32], words: &str) -> Result<Vec<Output>> {
    let start = |cpu| ant::start(guest, &format!("--cpu {cpu} -- {words}"));
    let running: Vec<_> = cpus.iter().map(start).collect();
    let outputs = running.into_iter().map(|program| program.wait(LIMIT));
    let outputs: Vec<Output> = outputs.collect::<Result<_>>()?;
    outputs.iter().try_for_each(|output| expect(output, 0, ""))?;
    Ok(outputs)
}

/// How many calls each CPU has sent, and how many are with Linux now.
fn calls(guest: &TestGuest) -> Result<(Vec<u64>, u64)> {
    let status = ant::status(guest)?;
    let cpus = status["partition"]["cpus"].as_array().context("no CPUs")?;
    let sent =
        cpus.iter().map(|cpu_index| ant::number(cpu_index, "/calls")).collect::<Result<_>>()?;
    Ok((sent, ant::sum(&status, "calls")? - ant::sum(&status, "returned")?))
}

fn a_thousand_from_each_of_three_cpus(guest: &TestGuest) -> Result<()> {
    // Calls of programs that were killed in them would count as being with Linux.
    ant::down(guest)?;
    ant::up(guest, ant::USUAL)?;
    let (before, _) = calls(guest)?;
    // Each program checks that every answer comes from its own proxy.
    let outputs = on_each(guest, &[1, 2, 3], "getpid 1000")?;
    let pids: HashSet<&str> =
        outputs.iter().filter_map(|output| output.stdout.split("pid ").nth(1)).collect();
    ensure!(pids.len() == 3, "{outputs:?}");
    ant::await_idle(guest)?;
    let (after, open) = calls(guest)?;
    for (before, after) in before.iter().zip(&after) {
        ensure!((1000..1200).contains(&(after - before)), "{before} to {after} calls");
    }
    // init waits for its next request.
    ensure!(open == 1, "{open} calls are still with Linux");
    ensure!(ant::sum(&ant::status(guest)?, "refused")? == 0);
    Ok(())
}

fn without_continuation_from_three_cpus(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    on_each(guest, &[1, 2, 3], "getpid --once 30")?;
    ant::await_idle(guest)
}

fn many_programs_on_one_cpu(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let outputs = on_each(guest, &[3; 8], "getpid 100")?;
    let pids: HashSet<&str> = outputs.iter().map(|output| output.stdout.as_str()).collect();
    ensure!(pids.len() == 8, "{outputs:?}");
    ant::await_idle(guest)
}

fn steps_happen_in_order(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let shown = guest.succeed("antctl run --cpu 3 -- steps")?;
    let steps: Vec<&str> = shown.lines().skip(1).collect();
    ensure!(steps.len() == 10, "{shown}");
    let mut last = 0.0;
    for step in steps {
        let (side, rest) = step.split_at_checked(17).context("too short")?;
        let mut rest = rest.split_whitespace();
        let cpu = rest.next().context("no CPU")?;
        let ants = side.contains("AnT process") || side.contains("AnT kernel");
        ensure!(cpu == if ants { "3" } else { "0" }, "{step}");
        let when: f64 = rest.next().context("no time")?.parse()?;
        ensure!(when >= last, "{shown}");
        last = when;
    }
    Ok(())
}

fn misuse_is_answered(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    for (how, answer) in [
        ("raddr", "Err(Fault)"),
        ("offset", "Ok(-22)"),
        ("length", "Ok(-22)"),
        ("kind", "Ok(-22)"),
        ("loan", "Ok(-38)"),
        ("relocation", "Ok(-22)"),
        ("relocations", "Ok(-22)"),
        ("local", "Ok(-38)"),
        ("unknown", "Err(Errno(38))"),
        ("privileged", "Err(NotPermitted)"),
    ] {
        let output = guest.run(&format!("antctl run -- misuse {how}"))?;
        expect(&output, 0, answer).with_context(|| how.to_owned())?;
        // Every line: some misuse in several ways.
        let all = output.stdout.lines().all(|line| line.ends_with(answer));
        ensure!(all && output.stderr.is_empty(), "{how}: {output:?}");
    }
    ant::works_on(guest, &[1, 2, 3])?;
    ant::await_idle(guest)
}

fn proxys_own_files_are_out_of_reach(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let limit = Duration::from_secs(240);
    expect(&guest.run_as("root", "antctl run -- misuse close", limit)?, 0, "still true")
}

fn results_cannot_be_forged(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let status = ant::status(guest)?;
    let number = ant::number(&status["partition"], "/number")?;
    let output = guest.run(&format!("antctl run --cpu 2 -- misuse return {number}"))?;
    // No call of another CPU's is under way through this LCA, nor of one that there is not.
    let said = "return: Ok(0), Ok(-2)\n".repeat(3);
    ensure!(output.status == 0 && output.stdout == said, "{output:?}");
    ant::works_on(guest, &[1, 2, 3])
}

/// A program that has told AnT and its proxy different things ends with its proxy all the same.
fn a_program_that_is_killed_has_ended(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let fooled = ant::start(guest, "--cpu 3 -- misuse flag");
    let pid = ant::await_process(guest, "misuse flag", "running")?.pid;
    // Until its call has returned to it, it might be ended by that.
    guest.succeed("sleep 0.5")?;
    answers(guest, &format!("antctl kill {pid}"), 0, "ended")?;
    fooled.wait(LIMIT)?;
    ant::await_idle(guest)
}

/// Programs that keep the m-kernel busy, from both other CPUs: it has time for all else.
fn memory_is_asked_for_without_end(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let generations = |guest| -> Result<Vec<u32>> {
        Ok(ant::servers(guest)?.iter().map(|server| server.generation).collect())
    };
    let before = generations(guest)?;
    let floods = [2, 3, 2, 3].map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- misuse pages")));
    let started = ant::await_started(guest, floods.len(), "misuse pages")?;
    ant::works_on(guest, &[1, 2, 3])?;
    answers(guest, "antctl run --cpu 1 -- names", 0, "serial\n")?;
    ensure!(generations(guest)? == before, "a server has ended");
    for flood in started {
        answers(guest, &format!("antctl kill {}", flood.pid), 0, "ended")?;
    }
    for flood in floods {
        flood.wait(LIMIT)?;
    }
    ant::await_idle(guest)
}

fn unknown_call_is_logged_once(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    let lines = || -> Result<usize> {
        answers(guest, "antctl run -- misuse unknown", 0, "38")?;
        Ok(guest.succeed("antctl log")?.lines().filter(|line| line.contains(" 999 ")).count())
    };
    let (first, second) = (lines()?, lines()?);
    ensure!(first > 0 && first == second, "{first} lines, then {second}");
    Ok(())
}

fn log_shows_what_happened(guest: &TestGuest) -> Result<()> {
    // The log has room for what has happened since a little while only.
    ant::down(guest)?;
    ant::up(guest, ant::USUAL)?;
    answers(guest, "antctl run --cpu 2 -- crash divide", 136, "divide error")?;
    let log = guest.succeed("antctl log")?;
    for text in [
        " runs: 3 CPUs, 64 MiB; the m-kernel is on CPU 1",
        " starts on CPU 2",
        "CPU 2: process ",
        ": divide error at 0x",
    ] {
        ensure!(log.contains(text), "nothing of '{text}'");
    }
    ensure!(log.lines().all(|line| line.starts_with('[') && line.contains("] CPU ")), "{log}");
    Ok(())
}

fn log_follows(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    guest.succeed("rm -f /tmp/followed")?;
    let _follower = guest.spawn("exec antctl log --follow > /tmp/followed");
    guest.wait_until("test -s /tmp/followed", LIMIT)?;
    ensure!(!guest.succeed("cat /tmp/followed")?.contains("invalid opcode"));
    answers(guest, "antctl run -- crash opcode", 132, "")?;
    guest.wait_until("grep -q 'invalid opcode' /tmp/followed", Duration::from_secs(5))
}

/// Waits for `count` proxies that have nothing to do yet.
fn await_idle_proxies(guest: &TestGuest, count: u64) -> Result<()> {
    for _ in 0..100 {
        if ant::number(&ant::status(guest)?, "/partition/proxies_idle")? == count {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("there are not {count} idle proxies");
}

fn preforked_proxies_serve(guest: &TestGuest) -> Result<()> {
    ant::up(guest, PREFORKED)?;
    await_idle_proxies(guest, 3)?;
    guest.succeed("rm -f /tmp/gate && mkfifo /tmp/gate")?;
    let there = guest.succeed("grep -lx ant-proxy /proc/[0-9]*/comm")?;
    let reader = ant::start(guest, "-- wc /tmp/gate");
    let proxy = ant::await_process(guest, "wc", "in call")?.proxy;
    ensure!(there.contains(&format!("/proc/{proxy}/comm")), "{proxy} is none of {there}");
    guest.succeed("echo a b > /tmp/gate")?;
    expect(&reader.wait(LIMIT)?, 0, "1       2       4 /tmp/gate")?;
    // They belong to the user that they serve, not to the one that they were made by.
    let output = guest.run_as("user", "antctl run -- cp /etc/passwd own; stat -c %U own", LIMIT)?;
    expect(&output, 0, "user")?;
    on_each(guest, &[1, 2, 3], "getpid --once 20")?;
    ant::await_idle(guest)?;
    await_idle_proxies(guest, 3)
}

/// How often Linux took the doorbell of AnT's CPU `cpu` on CPUs 0 and 1.
fn doorbells(guest: &TestGuest, cpu_index: u32) -> Result<[u64; 2]> {
    let line =
        guest.succeed(&format!("grep 'AnT .*ant[0-9]*-cpu{cpu_index}$' /proc/interrupts"))?;
    let mut words = line.split_whitespace().skip(1).map(str::parse);
    let mut next = || words.next().context("too short").and_then(|word| Ok(word?));
    Ok([next()?, next()?])
}

fn interrupts_have_names(guest: &TestGuest) -> Result<()> {
    ant::up(guest, HALF)?;
    answers(guest, "antctl run --cpu 3 -- getpid 50", 0, "50 calls")?;
    let counts = [doorbells(guest, 0)?, doorbells(guest, 1)?];
    ensure!(counts.iter().all(|[a, b]| a + b > 0), "{counts:?}");
    guest.succeed("! grep 'ant[0-9]*-cpu2$' /proc/interrupts").map(drop)
}

fn affinity_moves_meanwhile(guest: &TestGuest) -> Result<()> {
    ant::up(guest, HALF)?;
    let before = [doorbells(guest, 0)?, doorbells(guest, 1)?];
    let mover = guest.spawn(
        "irqs=$(sed -n 's/^ *\\([0-9]*\\):.* AnT .*/\\1/p' /proc/interrupts)
         while test ! -e /tmp/enough; do
             for mask in 1 2 3; do for irq in $irqs; do
                 echo $mask > /proc/irq/$irq/smp_affinity || exit 1
             done; done
             moves=$((moves + 1))
         done; echo $moves; test $moves -gt 20",
    );
    on_each(guest, &[2, 3], "getpid 1000")?;
    guest.succeed("touch /tmp/enough")?;
    expect(&mover.wait(LIMIT)?, 0, "")?;
    for (cpu_index, before) in (0..).zip(before) {
        let after = doorbells(guest, cpu_index)?;
        let taken = [after[0] - before[0], after[1] - before[1]];
        ensure!(taken.iter().all(|&taken| taken > 20), "CPU {cpu_index}: {taken:?} on CPUs 0, 1");
    }
    ant::await_idle(guest)
}
