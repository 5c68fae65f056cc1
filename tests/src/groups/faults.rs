//! What goes wrong: each has its result and its message, and Linux takes no harm.

use crate::ant::{self, answers, expect};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, LIMIT, TestGuest};
use ant_abi::syscall::Sysnum;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A program that must not hang has ended by then.
const SOON: Duration = Duration::from_secs(20);

pub fn group() -> Group {
    Group::usual("faults")
        .test("a_fault_ends_the_program", a_fault_ends_the_program)
        .test("a_fault_ends_nothing_else", a_fault_ends_nothing_else)
        .test("proxy_killed_in_a_call", proxy_killed_in_a_call)
        .test("proxy_killed_while_its_program_computes", proxy_killed_while_its_program_computes)
        .test("proxy_stopped_for_a_while", proxy_stopped_for_a_while)
        .test("raddr_outside_the_partition", raddr_outside_the_partition)
        .test("inject_needs_permission", inject_needs_permission)
        .test("the_installed_kernel_injects_nothing", the_installed_kernel_injects_nothing)
        .test("stop_with_calls_in_flight", stop_with_calls_in_flight)
        .test("antd_killed", antd_killed)
        .test("boot_while_antd_dies", boot_while_antd_dies)
        .test("antd_ended", antd_ended)
        .test("panic_of_a_p_kernel", panic_of_a_p_kernel)
        .test("panic_of_the_m_kernel", panic_of_the_m_kernel)
        .sweep("init_ends", init_ends)
        .test("init_goes_no_further", init_goes_no_further)
        .test("hang_of_a_p_kernel", hang_of_a_p_kernel)
        .test("hang_of_the_m_kernel", hang_of_the_m_kernel)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

const CRASHES: [(&str, i32, &str); 13] = [
    ("read", 139, "page fault (read 0x"),
    ("write", 139, "page fault (write 0x"),
    ("execute", 139, "page fault (execute 0x"),
    ("kernel", 139, "page fault (read 0xffff"),
    ("divide", 136, "divide error at 0x"),
    ("opcode", 132, "invalid opcode at 0x"),
    ("privileged", 139, "general protection at 0x"),
    ("port-read", 139, "general protection at 0x"),
    ("port-write", 139, "general protection at 0x"),
    ("device", 139, "page fault (read 0x7000fed00000)"),
    ("float", 136, "floating point"),
    ("stack", 139, "page fault (write 0x"),
    ("panic", 101, "asked for"),
];

fn a_fault_ends_the_program(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let before = ant::sum(&ant::status(guest)?, "faults")?;
    for (how, status, text) in CRASHES {
        let output = guest.run(&format!("antctl run --cpu 3 -- crash {how}"))?;
        expect(&output, status, text).with_context(|| how.to_owned())?;
        ensure!(status == 101 || output.stderr.ends_with(" on CPU 3\n"), "{output:?}");
    }
    let faults = ant::sum(&ant::status(guest)?, "faults")? - before;
    ensure!(faults == CRASHES.len() as u64 - 1, "{faults} faults were counted");
    ant::await_idle(guest)
}

fn a_fault_ends_nothing_else(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("rm -f /tmp/gate && mkfifo /tmp/gate")?;
    let neighbour = ant::start(guest, "--cpu 3 -- spin");
    let reader = ant::start(guest, "--cpu 3 -- wc /tmp/gate");
    ant::await_process(guest, "wc", "in call")?;
    for (how, ..) in CRASHES {
        guest.fail(&format!("antctl run --cpu 3 -- crash {how} || exit 1"))?;
    }
    guest.succeed("echo still here > /tmp/gate")?;
    expect(&reader.wait(LIMIT)?, 0, "1       2      11 /tmp/gate")?;
    ant::await_process(guest, "spin", "running")?;
    drop(neighbour);
    ant::works_on(guest, &[1, 2, 3])
}

/// Kills the proxy of `program`, which is in `state`, with `signal`.
fn kill_proxy(guest: &TestGuest, program: &str, state: &str, signal: &str) -> Result<u32> {
    let proxy = ant::await_process(guest, program, state)?.proxy;
    guest.succeed(&format!("kill -{signal} {proxy}"))?;
    Ok(proxy)
}

fn proxy_killed_in_a_call(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("rm -f /tmp/gate && mkfifo /tmp/gate")?;
    for (signal, status) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        let reader = ant::start(guest, "-- wc /tmp/gate");
        let proxy = kill_proxy(guest, "wc", "in call", signal)?;
        let text = format!("wc: its proxy (pid {proxy}) was killed by SIG{signal}");
        expect(&reader.wait(SOON)?, status, &text)?;
    }
    ant::await_idle(guest)?;
    ant::works_on(guest, &[1, 2, 3])
}

fn proxy_killed_while_its_program_computes(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let spin = ant::start(guest, "--cpu 2 -- spin");
    let proxy = kill_proxy(guest, "spin", "running", "KILL")?;
    let text = format!("spin: its proxy (pid {proxy}) was killed by SIGKILL");
    expect(&spin.wait(SOON)?, 137, &text)?;
    ant::await_idle(guest)?;
    ant::works_on(guest, &[1, 2, 3])
}

fn proxy_stopped_for_a_while(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let caller = ant::start(guest, "-- getpid 2000");
    let proxy = kill_proxy(guest, "getpid", "in call", "STOP")?;
    // What it does not do, others do meanwhile.
    ant::works_on(guest, &[1, 2, 3])?;
    guest.succeed(&format!("kill -CONT {proxy}"))?;
    expect(&caller.wait(SOON)?, 0, &format!("2000 calls, pid {proxy}"))
}

fn raddr_outside_the_partition(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::FAILING)?;
    for cpu in [1, 3] {
        let before = ant::sum(&ant::status(guest)?, "refused")?;
        answers(guest, &format!("antctl inject bad-raddr --cpu {cpu}"), 0, "")?;
        ant::works_on(guest, &[1, 2, 3])?;
        let refused = ant::sum(&ant::status(guest)?, "refused")? - before;
        ensure!(refused > 0, "nothing was refused");
        guest.succeed("dmesg | tail | grep -q 'refused'")?;
    }
    ant::await_idle(guest)
}

/// Ways of `antctl inject`.
const WAYS: [&str; 7] = [
    "panic --cpu 2",
    "hang --cpu 2",
    "bad-raddr --cpu 2",
    "end --pid 2",
    "end-after --pid 2",
    "fault --next-server",
    "loop --pid 1",
];

fn inject_needs_permission(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    answers(guest, "antctl inject panic --cpu 1", 1, "AnT is not running")?;
    ant::up(guest, ant::FAILING)?;
    answers(guest, "antctl inject panic --cpu 0", 1, "CPU 0 is not AnT's")?;
    answers(guest, "antctl inject end --pid 65000", 1, "AnT has no such process")?;
    ant::up(guest, &ant::FAILING.replace("--allow-inject ", ""))?;
    for how in WAYS {
        answers(guest, &format!("antctl inject {how}"), 1, "--allow-inject")?;
        let output = guest.run_as("user", &format!("antctl inject {how}"), LIMIT)?;
        expect(&output, 1, "only root can inject a fault")?;
    }
    ant::works_on(guest, &[1, 2, 3])
}

fn the_installed_kernel_injects_nothing(guest: &TestGuest) -> Result<()> {
    ant::up(guest, &format!("{} --allow-inject", ant::USUAL))?;
    for how in WAYS {
        let text = "this kernel was built without fault injection";
        answers(guest, &format!("antctl inject {how}"), 1, text)?;
    }
    ant::works_on(guest, &[1, 2, 3])
}

/// One program that computes, one that is in a call, one that makes calls: on a CPU each.
fn three_programs<'a>(guest: &'a TestGuest, partition: &str) -> Result<Vec<Background<'a>>> {
    ant::up(guest, partition)?;
    guest.succeed("rm -f /tmp/gate && mkfifo /tmp/gate")?;
    let programs = ["--cpu 3 -- spin", "--cpu 2 -- wc /tmp/gate", "--cpu 1 -- getpid 1000000"];
    let programs = programs.map(|words| ant::start(guest, words)).into();
    ant::await_process(guest, "spin", "running")?;
    ant::await_process(guest, "wc", "in call")?;
    ant::await_process(guest, "getpid", "in call")?;
    Ok(programs)
}

/// Each must end soon with status 125, and say `text`.
fn all_end(programs: Vec<Background<'_>>, text: &str) -> Result<()> {
    programs.into_iter().try_for_each(|program| expect(&program.wait(SOON)?, 125, text))
}

/// Linux has everything back, and AnT can be booted again.
fn is_as_before(guest: &TestGuest) -> Result<()> {
    guest.wait_until("test $(nproc) = 4", SOON)?;
    ant::cpus_are_linuxs(guest)?;
    guest.wait_until("! grep -lx ant-proxy /proc/[0-9]*/comm 2> /dev/null", SOON)?;
    up(guest)?;
    ant::works_on(guest, &[1, 2, 3])
}

fn stop_with_calls_in_flight(guest: &TestGuest) -> Result<()> {
    let programs = three_programs(guest, ant::USUAL)?;
    answers(guest, "antctl stop", 0, "Linux has CPUs 1, 2, 3, 64 MiB and COM2 again")?;
    all_end(programs, "AnT was stopped")?;
    is_as_before(guest)
}

fn antd_pid(guest: &TestGuest) -> Result<u64> {
    ant::number(&ant::status(guest)?, "/antd_pid")
}

fn antd_killed(guest: &TestGuest) -> Result<()> {
    let programs = three_programs(guest, ant::USUAL)?;
    guest.succeed(&format!("kill -9 {}", antd_pid(guest)?))?;
    all_end(programs, "antd died")?;
    is_as_before(guest)
}

fn boot_while_antd_dies(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let antd = antd_pid(guest)?;
    // It takes the connection no more.
    guest.succeed(&format!("kill -STOP {antd}"))?;
    let boot = guest.spawn("antctl boot --cpus 1-3 --memory 64M");
    guest.wait_until("pidof antctl", SOON)?;
    guest.succeed(&format!("sleep 0.5; kill -9 {antd}"))?;
    expect(&boot.wait(SOON)?, 0, "AnT runs")?;
    ant::works_on(guest, &[1, 2, 3])
}

fn antd_ended(guest: &TestGuest) -> Result<()> {
    let programs = three_programs(guest, ant::USUAL)?;
    let antd = antd_pid(guest)?;
    guest.succeed(&format!("kill -TERM {antd}"))?;
    all_end(programs, "antd ends")?;
    guest.wait_until(&format!("test ! -e /proc/{antd}"), SOON)?;
    answers(guest, "antctl status", 3, "nor does antd")?;
    is_as_before(guest)
}

/// AnT panics on CPU `cpu`, with `last_words`, when it is made to fail, or then is given an `order`.
fn panic_on(
    guest: &TestGuest,
    cpu: u32,
    inject: &str,
    order: Option<&str>,
    last_words: &str,
) -> Result<()> {
    let programs = three_programs(guest, ant::FAILING)?;
    answers(guest, &format!("antctl inject {inject}"), 0, "")?;
    order.map(|order| guest.run(order)).transpose()?;
    let text = format!("AnT's kernel on CPU {cpu} panicked");
    all_end(programs, &text)?;
    ant::cpus_are_linuxs(guest)?;
    for words in [&format!("panic on CPU {cpu}"), last_words] {
        answers(guest, "antctl log | tail -n 3", 0, words)?;
    }
    answers(guest, "antctl status", 3, &text)?;
    answers(guest, "antctl run -- getpid", 125, &text)?;
    is_as_before(guest)?;
    ensure!(ant::status(guest)?["last_failure"].is_null(), "a failure of before");
    Ok(())
}

fn panic_of_a_p_kernel(guest: &TestGuest) -> Result<()> {
    panic_on(guest, 2, "panic --cpu 2", None, "asked for")
}

fn panic_of_the_m_kernel(guest: &TestGuest) -> Result<()> {
    panic_on(guest, 1, "panic --cpu 1", None, "asked for")
}

/// Without it nothing starts servers again: AnT ends as a whole. At some of its system calls while it
/// answers, and restarts and replaces servers. The sample has each way, and each order.
fn init_ends(guest: &TestGuest, extent: Extent) -> Result<()> {
    let ways = ["end", "end-after", "fault"];
    let restart = "antctl server restart serial";
    let replace = "antctl server replace serial /usr/lib/ant/servers/ant-serial";
    let mut seen = BTreeSet::new();
    let calls = [1, 2, 3, 6, 9, 12, 15, 18, 21].into_iter().enumerate();
    for (index, call) in calls.take(extent.rounds(usize::MAX, 4)) {
        let inject = format!("{} --pid 1 --call {call}", ways[index % ways.len()]);
        let order = if index % 2 == 0 { restart } else { replace };
        panic_on(guest, 1, &inject, Some(order), "init ended").context(inject)?;
        let (pid, at) = ant::failed_on_purpose(guest)?.context("no process has failed")?;
        ensure!(pid == 1, "process {pid} has failed");
        seen.insert(at);
    }
    let calls = [Sysnum::LinuxCallAsync, Sysnum::IpcReceive];
    ensure!(calls.iter().all(|&call| seen.contains(&call.into())), "at {seen:x?} only");
    ensure!(seen.len() > extent.rounds(3, 1), "at {seen:x?} only");
    Ok(())
}

/// What needs the m-kernel fails with its message, after a while: both commands wait at once.
fn m_kernel_does_not_answer(guest: &TestGuest) -> Result<()> {
    let commands = [("antctl ps", 1), ("antctl run -- getpid", 125)];
    for (command, status) in commands.map(|(command, status)| (guest.spawn(command), status)) {
        let text = "AnT does not answer (CPU 1); `antctl stop` brings the CPUs back";
        expect(&command.wait(SOON)?, status, text)?;
    }
    Ok(())
}

/// What runs goes on; what needs `init` fails with a message.
fn init_goes_no_further(guest: &TestGuest) -> Result<()> {
    let mut programs = three_programs(guest, ant::FAILING)?;
    let inject = guest.run_as("root", "antctl inject loop --pid 1 --call 2", SOON)?;
    expect(&inject, 0, "done")?;
    m_kernel_does_not_answer(guest)?;
    guest.succeed("echo still here > /tmp/gate")?;
    expect(&programs.remove(1).wait(SOON)?, 0, "1       2      11 /tmp/gate")?;
    expect(&guest.run_as("root", "antctl stop", SOON)?, 0, "again")?;
    all_end(programs, "AnT was stopped")?;
    is_as_before(guest)
}

/// Has CPU `cpu` hang; `antctl status` must say so within seconds.
fn hang(guest: &TestGuest, cpu: u32) -> Result<()> {
    answers(guest, &format!("antctl inject hang --cpu {cpu}"), 0, "")?;
    let start = Instant::now();
    let text = format!("CPU {cpu} does not answer: `antctl stop` brings the CPUs back");
    answers(guest, "antctl status", 0, &text)?;
    ensure!(start.elapsed() < Duration::from_secs(8), "said late: {:?}", start.elapsed());
    let status = ant::status(guest)?;
    let cpus = status["partition"]["cpus"].as_array().context("no CPUs")?;
    ensure!(
        cpus.iter().all(|cpu_index| cpu_index["answers"] == (cpu_index["cpu"] != cpu)),
        "{status}"
    );
    Ok(())
}

fn hang_of_a_p_kernel(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::FAILING)?;
    let spin = ant::start(guest, "--cpu 3 -- spin");
    ant::await_process(guest, "spin", "running")?;
    hang(guest, 3)?;
    // The others go on, and a command that waits can be interrupted.
    ant::works_on(guest, &[1, 2])?;
    let impatient = "timeout -s INT 1 antctl run --cpu 3 -- getpid";
    ensure!(matches!(guest.run_as("root", impatient, SOON)?.status, 125 | 130 | 143));
    // What runs there and what comes later end with the same words.
    let text = "CPU 3 hangs in AnT's kernel (for 5 s or more); `antctl stop` brings the CPUs back";
    expect(&guest.run_as("root", "antctl run --cpu 3 -- getpid", SOON)?, 125, text)?;
    all_end(vec![spin], text)?;
    answers(guest, "antctl stop", 0, "again")?;
    is_as_before(guest)
}

fn hang_of_the_m_kernel(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::FAILING)?;
    let spin = ant::start(guest, "--cpu 3 -- spin");
    ant::await_process(guest, "spin", "running")?;
    hang(guest, 1)?;
    m_kernel_does_not_answer(guest)?;
    expect(&guest.run_as("root", "antctl stop", SOON)?, 0, "again")?;
    all_end(vec![spin], "AnT was stopped")?;
    is_as_before(guest)
}
