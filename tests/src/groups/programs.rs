//! What a person can do with programs on AnT.

use crate::ant::{self, answers, expect};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::guest::Output;
use anyhow::{Context, Result, ensure};
use std::process::Command;
use std::time::Duration;

const LICENSES: &str = "/usr/share/common-licenses";
const APPS: &str = "/usr/lib/ant/apps";

pub fn group() -> Group {
    Group::usual("programs")
        .test("wc_prints_as_gnu_wc", wc_prints_as_gnu_wc)
        .test("wc_says_what_is_missing", wc_says_what_is_missing)
        .test("cp_copies_any_size", cp_copies_any_size)
        .test("getpid_continues_with_one_proxy", getpid_continues_with_one_proxy)
        .test("getpid_once_takes_a_proxy_each", getpid_once_takes_a_proxy_each)
        .test("exit_statuses", exit_statuses)
        .test("arguments", arguments)
        .test("lookup", lookup)
        .test("what_cannot_be_run", what_cannot_be_run)
        .test("redirections", redirections)
        .test("its_reader_has_ended", its_reader_has_ended)
        .test("ordinary_user", ordinary_user)
        .test("ordinary_user_is_kept_out", ordinary_user_is_kept_out)
        .test("ps_lists", ps_lists)
        .test("ps_counts_memory", ps_counts_memory)
        .test("programs_are_placed", programs_are_placed)
        .test("runs_on_the_named_cpu", runs_on_the_named_cpu)
        .test("three_at_once_on_three_cpus", three_at_once_on_three_cpus)
        .test("two_share_a_cpu", two_share_a_cpu)
        .test("alone_without_timer_interrupts", alone_without_timer_interrupts)
        .test("shared_directory", shared_directory)
        .test("signals_end_it", signals_end_it)
        .test("kill_ends_it", kill_ends_it)
        .test("only_the_owner_kills", only_the_owner_kills)
        .test("hanging_up_ends_it", hanging_up_ends_it)
        .test("benchmarks_print_figures", benchmarks_print_figures)
        .test("fifty_programs_leave_nothing", fifty_programs_leave_nothing)
}

fn up(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)
}

/// What this machine's own `wc` makes of `command`.
fn gnu(command: &str) -> Result<Output> {
    let output = Command::new("sh").args(["-c", command]).env("LC_ALL", "C").output()?;
    Ok(Output {
        status: output.status.code().context("killed")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// Runs `command`, in which `wc` is AnT's, and compares all that a person sees with GNU's `wc`.
fn as_gnu(guest: &TestGuest, command: &str) -> Result<()> {
    let ours = guest.run(&format!("wc() {{ antctl run -- wc \"$@\"; }}; {command}"))?;
    let gnus = gnu(command)?;
    ensure!(ours == gnus, "{command}: {ours:?}, GNU's {gnus:?}");
    Ok(())
}

fn wc_prints_as_gnu_wc(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for command in [
        format!("wc {LICENSES}/GPL-3"),
        format!("cd {LICENSES} && wc GPL-2 BSD Artistic"),
        format!("wc < {LICENSES}/BSD"),
        format!("cat {LICENSES}/GPL-2 | wc"),
        format!("cat {LICENSES}/BSD | wc {LICENSES}/GPL-3 -"),
        "wc /dev/null".to_owned(),
        r"printf 'a\vb\fc\rd  \te\nno end' | wc".to_owned(),
        "printf '' | wc".to_owned(),
    ] {
        as_gnu(guest, &command)?;
    }
    Ok(())
}

fn wc_says_what_is_missing(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    as_gnu(guest, "wc /no/such/file")?;
    as_gnu(guest, &format!("wc {LICENSES}/BSD /no/such/file"))?;
    as_gnu(guest, "wc /dev")?;
    let text = "wc: write error: No space left on device\n";
    answers(guest, "antctl run -- wc /dev/null /dev/null > /dev/full", 1, text)
}

fn cp_copies_any_size(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    // Around what an LCA's buffer and a page hold.
    for size in [0, 1, 3583, 3584, 3585, 4096, 100_000] {
        let made = format!("head -c {size} /dev/urandom > /tmp/from");
        guest.succeed(&format!(
            "{made}; rm -f /tmp/to; antctl run -- cp /tmp/from /tmp/to && cmp /tmp/from /tmp/to"
        ))?;
    }
    answers(guest, "antctl run -- cp /no/such /tmp/to", 1, "cp: /no/such: No such file")?;
    answers(guest, "antctl run -- cp /tmp/from /no/such/to", 1, "cp: /no/such/to: No such file")
}

fn counts(guest: &TestGuest) -> Result<(u64, u64)> {
    let status = ant::status(guest)?;
    Ok((ant::number(&status, "/partition/forks")?, ant::number(&status, "/partition/wakes")?))
}

fn getpid_continues_with_one_proxy(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let (forks, wakes) = counts(guest)?;
    answers(guest, "antctl run -- getpid 100", 0, "100 calls, pid ")?;
    let (forks_after, wakes_after) = counts(guest)?;
    ensure!(forks_after - forks == 1, "{} forks", forks_after - forks);
    ensure!(wakes_after - wakes >= 100, "{} wake-ups", wakes_after - wakes);
    Ok(())
}

fn getpid_once_takes_a_proxy_each(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let (forks, _) = counts(guest)?;
    answers(guest, "antctl run -- getpid --once 20", 0, "20 calls, pid ")?;
    let forks = counts(guest)?.0 - forks;
    ensure!((20..25).contains(&forks), "{forks} forks");
    Ok(())
}

fn exit_statuses(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    answers(guest, "antctl run -- getpid", 0, "1 call, pid")?;
    answers(guest, "antctl run -- wc /no/such", 1, "")?;
    answers(guest, "antctl run -- getpid many", 2, "usage: getpid")?;
    answers(guest, "antctl run -- crash panic", 101, "asked for")?;
    answers(guest, "antctl run -- spin 0", 0, "")
}

fn arguments(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(
        "cd /tmp && echo x > 'a b' && antctl run -- cp 'a b' 'ä  c' && cmp 'a b' 'ä  c'",
    )?;
    let many = "$(yes /tmp/from | head -n 200)";
    guest.succeed("printf 'one two\n' > /tmp/from")?;
    answers(guest, &format!("antctl run -- wc {many}"), 0, " 200  400 1600 total")?;
    answers(guest, "antctl run -- wc ''", 1, "No such file")?;
    // Of a word of 3,000 bytes, Linux says what is wrong; of 5,000, AnT's carrier does.
    let word = |len| format!("antctl run -- wc $(head -c {len} /dev/zero | tr '\\0' a)");
    answers(guest, &word(3000), 1, "File name too long")?;
    answers(guest, &word(5000), 125, "AnT takes")?;
    answers(guest, "antctl run -- wc $(seq 1 5000)", 125, "AnT takes")?;
    // What looks like an option of antctl's is the program's.
    answers(guest, "antctl run -- wc --cpu /no/such", 1, "wc: --cpu: No such file")
}

fn lookup(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "mkdir -p /tmp/bin && cp {APPS}/getpid /tmp/bin/mine && cp {APPS}/getpid /tmp/bin/wc"
    ))?;
    let path = "PATH=/tmp/bin:$PATH";
    answers(guest, &format!("{path} antctl run -- mine"), 0, "1 call, pid")?;
    // AnT's own come before PATH.
    answers(guest, &format!("{path} antctl run -- wc /dev/null"), 0, " 0 /dev/null")?;
    for command in ["/tmp/bin/mine", "./mine", "../bin/mine", "./wc"] {
        answers(guest, &format!("cd /tmp/bin && antctl run -- {command}"), 0, "1 call, pid")?;
    }
    // Without a slash the directory does not count.
    answers(guest, "cd /tmp/bin && antctl run -- mine", 127, "mine: no such program")
}

fn what_cannot_be_run(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "cd /tmp && echo '#!/bin/sh' > script && : > empty && chmod 755 script empty && \
         head -c 9000 {APPS}/wc > cut && chmod 755 cut && echo data > data && mkdir -p dir && \
         cp {APPS}/wc secret && chmod 700 secret"
    ))?;
    for (program, status, text) in [
        ("no-such", 127, "no-such: no such program"),
        ("/tmp/no-such", 127, "/tmp/no-such: no such program"),
        ("/tmp/script", 126, "not an ELF"),
        ("/tmp/empty", 126, "not an ELF"),
        ("/tmp/cut", 126, "/tmp/cut: "),
        ("/bin/busybox", 126, "not a program of AnT"),
        ("busybox", 126, "not a program of AnT"),
        ("/tmp/dir", 126, "directory"),
        ("/tmp/data", 126, "not executable"),
    ] {
        answers(guest, &format!("antctl run -- {program}"), status, text)?;
    }
    let output = guest.run_as("user", "antctl run -- /tmp/secret", LIMIT)?;
    expect(&output, 126, "/tmp/secret: it is not executable")?;
    ant::await_idle(guest)
}

fn redirections(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(
        "cd /tmp && printf 'a b\n' > in && antctl run -- wc < in > out 2> err && \
         test \"$(cat out)\" = '1 2 4' && test ! -s err",
    )?;
    guest.succeed(
        "cd /tmp; antctl run -- wc /no/such > out 2> err; test $? = 1 && test ! -s out && \
         test \"$(cat err)\" = 'wc: /no/such: No such file or directory'",
    )?;
    guest.succeed(
        "cd /tmp; for i in 1 2 3; do antctl run -- wc in; done >> all && test $(wc -l < all) = 3",
    )?;
    // The program reads on where the shell stopped.
    as_gnu(guest, r"printf 'first\nsecond\n' | (read line; wc)")
}

fn its_reader_has_ended(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let copy = "antctl run -- cp /dev/zero /proc/self/fd/1";
    guest.succeed(&format!("({copy}; echo $? > /tmp/status) | head -c 9 > /dev/null"))?;
    ensure!(guest.succeed("cat /tmp/status")? == "141\n", "SIGPIPE has another status");
    Ok(())
}

fn ordinary_user(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let as_user = |command: &str| guest.run_as("user", command, LIMIT);
    let output = as_user("umask 027; echo x > a; antctl run -- cp a b; stat -c '%U:%G %a' b")?;
    expect(&output, 0, "user:user 640\n")?;
    guest.succeed("test -s /home/user/b")?;
    let output = as_user("umask 0; antctl run -- cp a c; stat -c %a c")?;
    expect(&output, 0, "666\n")?;
    expect(&as_user("cd /usr; antctl run -- wc share/common-licenses/BSD")?, 0, "BSD")?;
    expect(&as_user("antctl ps; antctl status; antctl log > /dev/null")?, 0, "init")
}

fn ordinary_user_is_kept_out(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("echo secret > /tmp/roots && chmod 600 /tmp/roots")?;
    for (command, text) in [
        ("wc /tmp/roots", "wc: /tmp/roots: Permission denied"),
        ("wc /root/x", "wc: /root/x: Permission denied"),
        ("wc /dev/ant", "wc: /dev/ant: Permission denied"),
        ("cp a /etc/a", "cp: /etc/a: Permission denied"),
        ("cp a /tmp/roots", "cp: /tmp/roots: Permission denied"),
    ] {
        let output =
            guest.run_as("user", &format!("echo x > a; antctl run -- {command}"), LIMIT)?;
        expect(&output, 1, text)?;
    }
    ensure!(guest.succeed("cat /tmp/roots")? == "secret\n");
    for command in ["boot --cpus 1 --memory 16M", "stop", "inject panic --cpu 1"] {
        let output = guest.run_as("user", &format!("antctl {command}"), LIMIT)?;
        expect(&output, 1, "only root can")?;
    }
    Ok(())
}

fn ps_lists(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let reader = ant::start_as(guest, "user", "--cpu 3 -- wc - /no/such");
    let process = ant::await_process(guest, "wc - /no/such", "in call")?;
    ensure!(process.cpu == 3 && process.user == "user", "{process:?}");
    ensure!(process.restarts.is_none(), "programs are not restarted: {process:?}");
    let owner = guest.succeed(&format!("stat -c %U /proc/{}", process.proxy))?;
    ensure!(owner == "user\n", "the proxy is {owner}'s");
    reader.input("one\n");
    drop(reader);
    ant::await_idle(guest)
}

/// What a program takes is its own until it has handed it over.
fn ps_counts_memory(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let memory = |command: &str| -> Result<u64> {
        let found = ant::await_process(guest, command, "in call")?.memory;
        let kib = found.strip_suffix(" KiB").with_context(|| found.clone())?;
        Ok(kib.parse()?)
    };
    let server = ant::start(guest, "--cpu 2 -- victim serve victim");
    ant::await_process(guest, "victim serve", "receiving")?;
    let occupies = || ant::start(guest, "--cpu 3 -- victim call gate");
    let caller = occupies();
    let before = memory("victim serve")?;
    server.input("\n");
    expect(&caller.wait(LIMIT)?, 0, "gate: ")?;
    for (pages, kib) in [(50, 200), (10, 40)] {
        // Those that it had are free again.
        answers(guest, &format!("antctl run -- victim call keep {pages}"), 0, "keep: ")?;
        let caller = occupies();
        let with_pages = memory("victim serve")?;
        ensure!(with_pages == before + kib, "{with_pages} KiB with {pages} pages, {before} before");
        server.input("\n");
        expect(&caller.wait(LIMIT)?, 0, "gate: ")?;
    }
    drop(server);
    ant::await_idle(guest)
}

/// Without `--cpu`, a program goes where the fewest processes are: not to the m-kernel's CPU, where
/// the servers are.
fn programs_are_placed(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let mut programs = Vec::new();
    for count in 1..=4 {
        programs.push(ant::start(guest, "-- wc"));
        ant::await_processes(guest, count, "wc", "in call")?;
    }
    let cpus = |guest| -> Result<Vec<u32>> {
        let mut cpus: Vec<u32> = ant::processes(guest)?.iter().map(|process| process.cpu).collect();
        cpus.sort_unstable();
        Ok(cpus)
    };
    ensure!(cpus(guest)? == [2, 2, 3, 3], "{:?}", ant::processes(guest)?);
    drop(programs);
    ant::await_idle(guest)?;
    // A program that was given a CPU counts there.
    let _chose = [1, 2, 3].map(|_| ant::start(guest, "--cpu 2 -- wc"));
    ant::await_processes(guest, 3, "wc", "in call")?;
    let _placed = ant::start(guest, "-- wc");
    ant::await_processes(guest, 4, "wc", "in call")?;
    ensure!(cpus(guest)? == [2, 2, 2, 3], "{:?}", ant::processes(guest)?);
    Ok(())
}

fn runs_on_the_named_cpu(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::works_on(guest, &[1, 2, 3])?;
    for cpu in [0, 4, 4096] {
        let text = format!("CPU {cpu} is not AnT's: it has CPUs 1, 2, 3");
        answers(guest, &format!("antctl run --cpu {cpu} -- getpid"), 125, &text)?;
    }
    answers(guest, "antctl run --cpu one -- getpid", 2, "--cpu")
}

fn three_at_once_on_three_cpus(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed("cd /tmp && rm -f gate* result* && mkfifo gate1 gate2 gate3")?;
    let programs: Vec<_> = (1..=3)
        .map(|n| {
            let words = format!("--cpu {n} -- wc {LICENSES}/GPL-{n} - < /tmp/gate{n}");
            ant::start(guest, &format!("{words} > /tmp/result{n}"))
        })
        .collect();
    let gates = guest.spawn(
        "exec 4>/tmp/gate1 5>/tmp/gate2 6>/tmp/gate3; read go; echo a b >&4; echo c >&5; echo >&6",
    );
    let all = ant::await_processes(guest, 3, "wc", "in call")?;
    let mut cpus: Vec<u32> = all.iter().map(|process| process.cpu).collect();
    cpus.sort_unstable();
    ensure!(cpus == [1, 2, 3], "{all:?}");
    gates.input("go\n");
    for program in programs {
        expect(&program.wait(LIMIT)?, 0, "")?;
    }
    for (n, input) in [(1, "a b"), (2, "c"), (3, "")] {
        let result = guest.succeed(&format!("cat /tmp/result{n}"))?;
        let gnus = gnu(&format!("echo {input} | wc {LICENSES}/GPL-{n} -"))?;
        ensure!(result == gnus.stdout, "{n}: {result}, GNU's {}", gnus.stdout);
    }
    Ok(())
}

fn two_share_a_cpu(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let spins = [1, 2].map(|_| ant::start(guest, "--cpu 2 -- spin"));
    ant::await_processes(guest, 1, "spin", "ready")?;
    answers(guest, &format!("antctl run --cpu 2 -- wc {LICENSES}/GPL-3"), 0, "35149")?;
    answers(guest, "antctl run --cpu 2 -- getpid 20", 0, "20 calls")?;
    let left = ant::processes(guest)?;
    ensure!(left.len() == 2 && left.iter().all(|process| process.cpu == 2), "{left:?}");
    drop(spins);
    ant::await_idle(guest)
}

fn alone_without_timer_interrupts(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    // Of this CPU: the m-kernel's has a timer for init, which watches servers.
    let timer = || ant::of_cpu(&ant::status(guest)?, 3, "timer");
    let before = timer()?;
    answers(guest, "antctl run --cpu 3 -- spin 1", 0, "")?;
    let alone = timer()?;
    ensure!(alone == before, "{} timer interrupts for one process", alone - before);
    let spins = [1, 2].map(|_| ant::start(guest, "--cpu 3 -- spin 1"));
    for spin in spins {
        expect(&spin.wait(LIMIT)?, 0, "")?;
    }
    ensure!(timer()? > alone, "two processes without a timer interrupt");
    Ok(())
}

fn shared_directory(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    guest.succeed(&format!(
        "grep -q ' /mnt 9p ' /proc/mounts && cp {APPS}/wc {APPS}/cp /mnt && \
         head -c 20000 /dev/urandom > /mnt/data"
    ))?;
    guest.succeed("cd /mnt && antctl run -- ./cp data copy && cmp data copy")?;
    answers(guest, "antctl run -- /mnt/wc < /mnt/copy", 0, " 20000\n")
}

fn signals_end_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (signal, status) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        for (program, state) in [("spin", "running"), ("wc", "in call")] {
            let running = ant::start(guest, &format!("-- {program}"));
            ant::await_process(guest, program, state)?;
            guest.succeed(&format!("killall -{signal} antctl"))?;
            let output = running.wait(LIMIT)?;
            expect(&output, status, "").with_context(|| format!("{program}, {signal}"))?;
            // The user that has pressed Ctrl-C need not be told.
            ensure!(output.stderr.is_empty(), "{output:?}");
        }
    }
    ant::await_idle(guest)
}

fn kill_ends_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    for (option, status) in [("", 143), ("--signal KILL", 137), ("-s 2", 130)] {
        let spin = ant::start(guest, "-- spin");
        let pid = ant::await_process(guest, "spin", "running")?.pid;
        answers(guest, &format!("antctl kill {option} {pid}"), 0, "spin ended")?;
        expect(&spin.wait(LIMIT)?, status, "antctl: spin: killed by `antctl kill` of user 0")?;
        answers(guest, &format!("antctl kill {pid}"), 1, "no such process")?;
    }
    answers(guest, "antctl kill -s NONSENSE 2", 1, "no signal NONSENSE")?;
    // init is not a person's to kill.
    answers(guest, "antctl kill 1", 1, "does not allow")
}

fn only_the_owner_kills(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let kill = |user: &str, pid| guest.run_as(user, &format!("antctl kill {pid}"), LIMIT);
    let roots = ant::start(guest, "-- spin");
    let pid = ant::await_process(guest, "spin", "running")?.pid;
    expect(&kill("user", pid)?, 1, "another user's")?;
    expect(&kill("root", pid)?, 0, "")?;
    expect(&roots.wait(LIMIT)?, 143, "")?;
    for killer in ["user", "root"] {
        let users = ant::start_as(guest, "user", "-- spin");
        let pid = ant::await_process(guest, "spin", "running")?.pid;
        expect(&kill(killer, pid)?, 0, "")?;
        expect(&users.wait(LIMIT)?, 143, "")?;
    }
    Ok(())
}

fn hanging_up_ends_it(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let spin = ant::start(guest, "-- spin");
    let reader = ant::start(guest, "-- wc");
    ant::await_process(guest, "spin", "running")?;
    ant::await_process(guest, "wc", "in call")?;
    guest.succeed("killall -9 antctl")?;
    ensure!(spin.wait(LIMIT)?.status == 137 && reader.wait(LIMIT)?.status == 137);
    ant::await_idle(guest)
}

/// Each prints rows of a minimum, a median and a 99th percentile, and leaves nothing behind.
fn benchmarks_print_figures(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    let generation = ant::server(guest, "name")?.generation;
    for (words, rows) in [
        ("null --cpu 2 --count 5", 3),
        ("ipc --client 2 --server 3 --count 20", 8),
        ("process --cpu 2 --count 5", 4),
        ("process --count 5 --server name", 5),
    ] {
        let said = guest.succeed(&format!("antctl bench {words}"))?;
        let figures = |line: &&str| -> Option<[u64; 3]> {
            let mut words = line.split_whitespace().rev().map(|word| word.parse().ok());
            let [p99, median, min] = [words.next()??, words.next()??, words.next()??];
            (0 < min && min <= median && median <= p99).then_some([min, median, p99])
        };
        let found = said.lines().filter(|line| figures(line).is_some()).count();
        ensure!(found == rows, "{found} rows of figures, not {rows}: {said}");
        ant::await_idle(guest)?;
    }
    let restarted = ant::server(guest, "name")?.generation - generation;
    ensure!(restarted == 5, "the server was restarted {restarted} times, not 5");
    let output = guest.run("antctl bench process --count 5 --server nobody")?;
    expect(&output, 1, "AnT has no server nobody")?;
    let output = guest.run_as("user", "antctl bench process --count 5 --server name", LIMIT)?;
    expect(&output, 1, "only root can restart a server")
}

fn fifty_programs_leave_nothing(guest: &TestGuest) -> Result<()> {
    up(guest)?;
    ant::await_idle(guest)?;
    let left = |guest| -> Result<_> {
        let status = ant::status(guest)?;
        let files = guest.succeed("ls /proc/$(pidof antd)/fd | wc -l")?;
        Ok((ant::number(&status, "/partition/memory_free")?, files))
    };
    let before = left(guest)?;
    // Ten at once, and some that end by other ways than returning.
    guest.run_as(
        "root",
        "for round in 1 2 3 4 5; do
             for n in 1 2 3 4; do antctl run -- getpid 3 & done
             antctl run -- crash read & antctl run -- crash panic &
             antctl run -- getpid --once 3 & antctl run -- wc /etc/passwd &
             antctl run -- /bin/busybox & timeout 1 antctl run -- spin &
             wait
         done > /dev/null 2>&1",
        Duration::from_secs(120),
    )?;
    ant::await_idle(guest)?;
    let after = left(guest)?;
    ensure!(before == after, "free memory and open files: before {before:?}, after {after:?}");
    Ok(())
}
