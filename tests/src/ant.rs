//! AnT as a person has it: by what `antctl` does and prints.

use crate::guest::{Background, LIMIT, TestGuest};
use ant_vm::guest::{Output, shell};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

/// The usual partition.
pub const USUAL: &str = "--cpus 1-3 --memory 64M --allow-inject";
/// Where the guest keeps what AnT was booted with.
const BOOTED_WITH: &str = "/run/booted-with";

/// Has AnT running, booted with `arguments` and whole; boots it again if it is not.
pub fn up(guest: &TestGuest, arguments: &str) -> Result<()> {
    let status = status(guest)?;
    let same = guest.run(&format!("cat {BOOTED_WITH}"))?.stdout.trim() == arguments;
    if same && is_whole(&status) {
        return Ok(());
    }
    down(guest)?;
    guest.succeed(&format!("antctl boot {arguments} && echo '{arguments}' > {BOOTED_WITH}"))?;
    Ok(())
}

/// Has AnT not running, and all CPUs with Linux.
pub fn down(guest: &TestGuest) -> Result<()> {
    guest.succeed("if antctl status > /dev/null; then antctl stop; fi")?;
    cpus_are_linuxs(guest)
}

/// Fails unless every CPU is Linux's and online.
pub fn cpus_are_linuxs(guest: &TestGuest) -> Result<()> {
    let online = guest.succeed("cat /sys/devices/system/cpu/online")?;
    let present = guest.succeed("cat /sys/devices/system/cpu/present")?;
    ensure!(online == present, "Linux has CPUs {online} of {present}");
    Ok(())
}

/// Fails unless AnT runs programs on each of `cpus`.
pub fn works_on(guest: &TestGuest, cpus: &[u32]) -> Result<()> {
    for &cpu in cpus {
        let shown = guest.succeed(&format!("antctl run --cpu {cpu} -- steps"))?;
        let first = shown.lines().nth(1).unwrap_or_default();
        let ran_on = first.split_whitespace().nth(3);
        ensure!(ran_on == Some(&cpu.to_string()), "not on CPU {cpu}: {shown}");
    }
    Ok(())
}

/// What `antctl status --json` says; `partition` is null if AnT does not run.
pub fn status(guest: &TestGuest) -> Result<Value> {
    let output = guest.run("antctl status --json")?;
    ensure!(matches!(output.status, 0 | 3), "status {}: {}", output.status, output.stderr);
    serde_json::from_str(&output.stdout).context("not JSON")
}

/// True if AnT runs and every core answers.
fn is_whole(status: &Value) -> bool {
    let partition = &status["partition"];
    let answers = |cores: &Vec<Value>| cores.iter().all(|core| core["answers"] == true);
    partition["control"].is_null() && partition["cores"].as_array().is_some_and(answers)
}

/// A number out of `status`, by its JSON pointer.
pub fn number(status: &Value, pointer: &str) -> Result<u64> {
    status.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no {pointer}"))
}

/// A number that each core has, over all cores.
pub fn sum(status: &Value, name: &str) -> Result<u64> {
    let cores = status["partition"]["cores"].as_array().context("no cores")?;
    cores.iter().map(|core| number(core, &format!("/{name}"))).sum()
}

/// A number that the core on Linux's CPU `cpu` has.
pub fn of_cpu(status: &Value, cpu: u32, name: &str) -> Result<u64> {
    let cores = status["partition"]["cores"].as_array().context("no cores")?;
    let core = cores.iter().find(|core| core["cpu"] == cpu).context("no such core")?;
    number(core, &format!("/{name}"))
}

/// A line of `antctl ps`.
#[derive(Debug)]
pub struct Process {
    /// AnT's number.
    pub pid: u32,
    /// Linux's number of the CPU.
    pub cpu: u32,
    /// `program` or `server`.
    pub kind: String,
    /// What it does.
    pub state: String,
    /// Who runs it.
    pub user: String,
    /// Linux's number of its proxy; 0 if it has none.
    pub proxy: u32,
    /// Program and arguments.
    pub command: String,
}

/// The programs that `antctl ps` lists: no servers, and not `init`.
pub fn processes(guest: &TestGuest) -> Result<Vec<Process>> {
    let table = guest.succeed("antctl ps")?;
    let all: Vec<Process> =
        table.lines().skip(1).map(process).collect::<Option<_>>().context("not a table")?;
    ensure!(all.iter().any(|process| process.command == "init"), "init is missing: {table}");
    let is_program = |process: &Process| process.kind == "program" && process.command != "init";
    Ok(all.into_iter().filter(is_program).collect())
}

fn process(line: &str) -> Option<Process> {
    // Two blanks lie between columns.
    let mut cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    let (pid, cpu, kind, state) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let (_priority, _restarts) = (cells.next()?, cells.next()?);
    let (_calls, _memory, user) = (cells.next()?, cells.next()?, cells.next()?);
    let (proxy, command) = (cells.next()?, cells.next()?);
    Some(Process {
        pid: pid.parse().ok()?,
        cpu: cpu.parse().ok()?,
        kind: kind.into(),
        state: state.into(),
        user: user.into(),
        proxy: proxy.parse().unwrap_or(0),
        command: command.into(),
    })
}

/// Waits until `count` processes are in `state` whose command contains `command`.
pub fn await_processes(
    guest: &TestGuest,
    count: usize,
    command: &str,
    state: &str,
) -> Result<Vec<Process>> {
    let is = |process: &Process| process.command.contains(command) && process.state == state;
    let deadline = Instant::now() + LIMIT;
    loop {
        let all = processes(guest)?;
        if all.iter().filter(|process| is(process)).count() >= count {
            return Ok(all.into_iter().filter(is).collect());
        }
        if Instant::now() > deadline {
            bail!("not {count} of {command} in state {state}, but {all:?}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// As [`await_processes`], for one.
pub fn await_process(guest: &TestGuest, command: &str, state: &str) -> Result<Process> {
    await_processes(guest, 1, command, state)?.pop().context("none")
}

/// Waits until no program is left, nor a proxy of one.
pub fn await_idle(guest: &TestGuest) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = processes(guest)?;
        let status = status(guest)?;
        let proxies = number(&status, "/partition/proxies")?;
        if left.is_empty() && proxies == 1 && number(&status, "/partition/programs")? == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("left over: {left:?}, {proxies} proxies with init's");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Starts a program on AnT and returns at once. Its input ends when [`Background::input`] was told
/// so, or never.
pub fn start<'a>(guest: &'a TestGuest, words: &str) -> Background<'a> {
    start_as(guest, "root", words)
}

/// As [`start`], as `user`.
pub fn start_as<'a>(guest: &'a TestGuest, user: &str, words: &str) -> Background<'a> {
    let command = format!("exec antctl run {words}");
    guest.spawn_start(&shell(user, &command), &command)
}

/// Fails unless `output` has this status, and `text` in what it printed.
pub fn expect(output: &Output, status: i32, text: &str) -> Result<()> {
    ensure!(output.status == status, "status {}, not {status}: {output:?}", output.status);
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(said.contains(text), "nothing of '{text}': {output:?}");
    Ok(())
}

/// Runs `command` as root: status and text must be these.
pub fn answers(guest: &TestGuest, command: &str, status: i32, text: &str) -> Result<()> {
    let output = guest.run(command)?;
    expect(&output, status, text).with_context(|| command.to_owned())
}
