//! AnT as its users see it: by what `antctl` does and prints.

use crate::guest::{Background, LIMIT, TestGuest, shell};
use ant_vm::guest::Output;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::thread;
use std::time::{Duration, Instant};

/// The usual partition.
pub const USUAL: &str = "--cpus 1-3 --memory 64M";
/// The same with the kernel of tests, which `antctl inject` makes fail, and the servers of
/// `tests/manifest.toml`.
pub const FAILING: &str = "--cpus 1-3 --memory 64M --allow-inject \
     --image /usr/lib/ant/tests/ant-kernel --manifest /usr/lib/ant/tests/manifest.toml";
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

/// Ends AnT and the daemon, which otherwise stays.
pub fn end_antd(guest: &TestGuest) -> Result<()> {
    down(guest)?;
    guest.succeed(
        "test ! -e /run/ant/antd.sock || {
             antd=$(cat /run/ant/antd.pid); kill $antd; while test -e /proc/$antd; do sleep 0.1; done
         }",
    )?;
    Ok(())
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

/// True if AnT runs and every CPU answers.
fn is_whole(status: &Value) -> bool {
    let partition = &status["partition"];
    let answers = |cpus: &Vec<Value>| cpus.iter().all(|cpu_index| cpu_index["answers"] == true);
    partition["control"].is_null() && partition["cpus"].as_array().is_some_and(answers)
}

/// A number out of `status`, by its JSON pointer.
pub fn number(status: &Value, pointer: &str) -> Result<u64> {
    status.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no {pointer}"))
}

/// A number that each CPU has, over all CPUs.
pub fn sum(status: &Value, name: &str) -> Result<u64> {
    let cpus = status["partition"]["cpus"].as_array().context("no CPUs")?;
    cpus.iter().map(|cpu_index| number(cpu_index, &format!("/{name}"))).sum()
}

/// A number that the CPU on Linux's CPU `cpu` has.
pub fn of_cpu(status: &Value, cpu: u32, name: &str) -> Result<u64> {
    let cpus = status["partition"]["cpus"].as_array().context("no CPUs")?;
    let cpu_index = cpus.iter().find(|cpu_index| cpu_index["cpu"] == cpu).context("no such CPU")?;
    number(cpu_index, &format!("/{name}"))
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
    /// Its own priority.
    pub priority: u32,
    /// How often it was started again; only servers are.
    pub restarts: Option<u32>,
    /// How much memory it has, in words.
    pub memory: String,
    /// The user that runs it.
    pub user: String,
    /// Linux's number of its proxy; 0 if it has none.
    pub proxy: u32,
    /// Program and arguments.
    pub command: String,
}

/// The programs that `antctl ps` lists: no servers, and not `init`.
pub fn processes(guest: &TestGuest) -> Result<Vec<Process>> {
    let all = all_processes(guest)?;
    let is_program = |process: &Process| process.kind == "program" && process.command != "init";
    Ok(all.into_iter().filter(is_program).collect())
}

/// All that `antctl ps` lists.
pub fn all_processes(guest: &TestGuest) -> Result<Vec<Process>> {
    let table = guest.succeed("antctl ps")?;
    let all: Vec<Process> =
        table.lines().skip(1).map(process).collect::<Option<_>>().context("not a table")?;
    ensure!(all.iter().any(|process| process.command == "init"), "init is missing: {table}");
    Ok(all)
}

fn process(line: &str) -> Option<Process> {
    let mut cells = cells(line);
    let (pid, cpu, kind, state) = (cells.next()?, cells.next()?, cells.next()?, cells.next()?);
    let (priority, restarts) = (cells.next()?, cells.next()?);
    let (_calls, memory, user) = (cells.next()?, cells.next()?, cells.next()?);
    let (proxy, command) = (cells.next()?, cells.next()?);
    Some(Process {
        pid: pid.parse().ok()?,
        cpu: cpu.parse().ok()?,
        kind: kind.into(),
        state: state.into(),
        priority: priority.parse().ok()?,
        restarts: restarts.parse().ok(),
        memory: memory.into(),
        user: user.into(),
        proxy: proxy.parse().unwrap_or(0),
        command: command.into(),
    })
}

/// What is in the columns of a table; two blanks lie between them.
fn cells(line: &str) -> impl Iterator<Item = &str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty())
}

/// A line of `antctl server list`.
#[derive(Debug)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: String,
    /// Its process.
    pub pid: Option<u32>,
    /// Its priority.
    pub priority: u32,
    /// Generation of its endpoint.
    pub generation: u32,
    /// How often it was started again.
    pub restarts: u32,
    /// How long its last restart took, if it was ever restarted.
    pub down_ms: Option<f64>,
    /// Why it last ended.
    pub last_end: String,
}

/// The servers that `antctl server list` lists.
pub fn servers(guest: &TestGuest) -> Result<Vec<Server>> {
    let table = guest.succeed("antctl server list")?;
    table.lines().skip(1).map(a_server).collect::<Option<_>>().context("not a table")
}

/// One of them.
pub fn server(guest: &TestGuest, name: &str) -> Result<Server> {
    let mut all = servers(guest)?.into_iter();
    all.find(|server| server.name == name).with_context(|| format!("no server {name}"))
}

/// What a line of `antctl server list` says.
pub fn a_server(line: &str) -> Option<Server> {
    let mut cells = cells(line);
    let (name, state, pid) = (cells.next()?, cells.next()?, cells.next()?);
    let (_cpu, priority) = (cells.next()?, cells.next()?);
    let (generation, restarts) = (cells.next()?, cells.next()?);
    let (down_ms, last_end) = (cells.next()?, cells.next()?);
    Some(Server {
        name: name.into(),
        state: state.into(),
        pid: pid.parse().ok(),
        priority: priority.parse().ok()?,
        generation: generation.parse().ok()?,
        restarts: restarts.parse().ok()?,
        down_ms: down_ms.parse().ok(),
        last_end: last_end.into(),
    })
}

/// The process that serves as `name`, or is to.
pub fn process_of(guest: &TestGuest, name: &str) -> Result<Process> {
    let pid = server(guest, name)?.pid;
    let found = all_processes(guest)?.into_iter().find(|process| Some(process.pid) == pid);
    found.with_context(|| format!("{name} does not run"))
}

/// Waits until a server serves in this generation, and says how it is then.
pub fn await_server(
    guest: &TestGuest,
    name: &str,
    generation: u32,
    limit: Duration,
) -> Result<Server> {
    let deadline = Instant::now() + limit;
    loop {
        let found = server(guest, name)?;
        if found.state == "serves" && found.generation == generation {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("it does not serve in generation {generation}: {found:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a server serves, in whatever generation.
pub fn await_serving(guest: &TestGuest, name: &str, limit: Duration) -> Result<()> {
    await_server_state(guest, name, "serves", limit)
}

/// Waits until `antctl server list` has a server in this state.
pub fn await_server_state(
    guest: &TestGuest,
    name: &str,
    state: &str,
    limit: Duration,
) -> Result<()> {
    guest.wait_until(&format!("antctl server list | grep -q '^{name}  *{state}'"), limit)
}

/// Kills the process that serves as `name`.
pub fn kill_server(guest: &TestGuest, name: &str) -> Result<()> {
    let pid = server(guest, name)?.pid.context("it does not run")?;
    answers(guest, &format!("antctl kill {pid}"), 0, "ended")
}

/// Moves the process that serves as `name` to a CPU, Linux's number.
pub fn move_server(guest: &TestGuest, name: &str, cpu: u32, limit: Duration) -> Result<()> {
    let pid = server(guest, name)?.pid.context("it does not run")?;
    answers(guest, &format!("antctl move {pid} {cpu}"), 0, &format!("goes to CPU {cpu}"))?;
    guest.wait_until(&format!("antctl ps | grep -Eq '^ *{pid}  *{cpu} '"), limit)
}

/// A client of the victim.
pub fn client<'a>(guest: &'a TestGuest, cpu: u32, words: &str) -> Background<'a> {
    start(guest, &format!("--cpu {cpu} -- victim {words}"))
}

/// A client that knows the victim of now, and calls it when it is given input.
pub fn met<'a>(guest: &'a TestGuest, cpu: u32, words: &str) -> Result<Background<'a>> {
    let client = client(guest, cpu, &format!("met {words}"));
    await_process(guest, &format!("met {words}"), "in call")?;
    Ok(client)
}

/// Which process was the last to fail because of `antctl inject`, and at which system call.
pub fn failed_on_purpose(guest: &TestGuest) -> Result<Option<(u32, u64)>> {
    let log = guest.succeed("antctl log | grep 'fails on purpose' || true")?;
    let Some(last) = log.lines().last() else { return Ok(None) };
    let (process, at) = last.split_once(" fails on purpose").context("a line of its own")?;
    let (_, pid) = process.rsplit_once(' ').with_context(|| last.to_owned())?;
    let (_, number) = at.rsplit_once("0x").with_context(|| last.to_owned())?;
    Ok(Some((pid.parse()?, u64::from_str_radix(number, 16)?)))
}

/// Bytes of AnT's memory that are free.
pub fn free_memory(guest: &TestGuest) -> Result<u64> {
    number(&status(guest)?, "/partition/memory_free")
}

/// Waits until as much memory is free as was `before`.
pub fn await_free_memory(guest: &TestGuest, before: u64) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let free = free_memory(guest)?;
        if free == before {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{free} bytes are free, {before} were before");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Waits until `count` processes with `command` in their command are in `state`.
pub fn await_processes(
    guest: &TestGuest,
    count: usize,
    command: &str,
    state: &str,
) -> Result<Vec<Process>> {
    let is = |process: &Process| process.command.contains(command) && process.state == state;
    await_those(guest, count, &format!("of {command} in state {state}"), is)
}

/// As [`await_processes`], in whatever state.
pub fn await_started(guest: &TestGuest, count: usize, command: &str) -> Result<Vec<Process>> {
    await_those(guest, count, &format!("of {command}"), |process| process.command.contains(command))
}

fn await_those(
    guest: &TestGuest,
    count: usize,
    which: &str,
    is: impl Fn(&Process) -> bool,
) -> Result<Vec<Process>> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let all = processes(guest)?;
        if all.iter().filter(|process| is(process)).count() >= count {
            return Ok(all.into_iter().filter(is).collect());
        }
        if Instant::now() > deadline {
            bail!("not {count} {which}, but {all:?}");
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
        if left.is_empty() && proxies == 0 && number(&status, "/partition/programs")? == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("left over: {left:?}, {proxies} proxies");
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
