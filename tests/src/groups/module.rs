//! `ant.ko` comes and goes without a trace; what it keeps the rest of Linux from, and AnT.

use crate::ant::{self, answers};
use crate::group::Group;
use crate::guest::{LIMIT, TestGuest};
use ant_vm::image::ExtraFile;
use ant_vm::machine::{Apic, Machine};
use ant_vm::paths;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub fn group() -> Group {
    Group::usual("module")
        .test("loaded_at_boot", loaded_at_boot)
        .test("loads_and_unloads", loads_and_unloads)
        .test("only_root_opens", only_root_opens)
        .test("unknown_ioctls_are_refused", unknown_ioctls_are_refused)
}

pub fn x2apic_group() -> Group {
    Group::new("x2apic")
        .machine(|machine| machine.apic = Apic::X2apic)
        .test("is_in_force", x2apic_is_in_force)
        .test("loads_and_unloads", loads_and_unloads)
        .test("ant_comes_and_goes", super::partition::comes_and_goes)
        // What is locked down stays so until the next boot.
        .test("lockdown_keeps_ant_out", lockdown_keeps_ant_out)
}

pub fn guard_group() -> Group {
    Group::new("guard")
        .machine(with_movable_memory_and_monitor)
        .expecting_trouble()
        .test("memory_comes_back_before_cpus", memory_comes_back_before_cpus)
        .test("movable_memory_stays_linuxs", movable_memory_stays_linuxs)
        .test("no_sleep_while_a_partition_lives", no_sleep_while_a_partition_lives)
        .test("root_without_the_right_to_load_modules", root_without_the_right_to_load_modules)
        .test("a_panic_silences_ants_cpus", a_panic_silences_ants_cpus)
}

fn loaded_at_boot(guest: &TestGuest) -> Result<()> {
    guest.succeed("grep -q '^ant ' /proc/modules && test -c /dev/ant").map(drop)
}

fn loads_and_unloads(guest: &TestGuest) -> Result<()> {
    guest.succeed("grep -q '^ant ' /proc/modules || modprobe ant")?;
    for _ in 0..3 {
        guest.succeed("rmmod ant && test ! -e /dev/ant")?;
        guest.succeed("modprobe ant && test -c /dev/ant")?;
    }
    Ok(())
}

fn only_root_opens(guest: &TestGuest) -> Result<()> {
    let output = guest.run_as("user", "exec 3<>/dev/ant", crate::guest::LIMIT)?;
    ensure!(output.status != 0, "an ordinary user opened /dev/ant");
    ensure!(output.stderr.contains("denied"), "{output:?}");
    Ok(())
}

fn unknown_ioctls_are_refused(guest: &TestGuest) -> Result<()> {
    // A terminal's TCGETS, by way of stty: -ENOTTY.
    let said = guest.fail("stty -F /dev/ant")?;
    ensure!(said.contains("ioctl") && !said.contains("nvalid"), "{said}");
    Ok(())
}

fn x2apic_is_in_force(guest: &TestGuest) -> Result<()> {
    guest.succeed("dmesg | grep -q 'x2apic enabled'").map(drop)
}

fn lockdown_keeps_ant_out(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    guest.succeed(
        "mount -t securityfs none /sys/kernel/security; echo integrity > /sys/kernel/security/lockdown",
    )?;
    answers(guest, BOOT, 1, "Operation not permitted")?;
    ant::cpus_are_linuxs(guest)
}

/// A small partition.
const BOOT: &str = "antctl boot --cpus 1-3 --memory 32M";

/// Half of the memory is in ZONE_MOVABLE; a monitor shows the CPUs' registers.
fn with_movable_memory_and_monitor(machine: &mut Machine) {
    machine.append.push("movablecore=512M".into());
    machine.files.push(boots());
    machine.qemu_args.push("-qmp".into());
    machine.qemu_args.push(format!("unix:{},server=on,wait=off", monitor().display()));
}

/// What boots AnT when a process dumps its memory.
const BOOTS: &str = "/usr/sbin/boots";

fn boots() -> ExtraFile {
    let content = format!(
        "#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
         {BOOT} > /tmp/new 2>&1\nmv /tmp/new /tmp/said\n"
    );
    ExtraFile { path: BOOTS.into(), mode: 0o755, content: content.into() }
}

fn monitor() -> PathBuf {
    paths::out().join("guard-monitor")
}

/// Linux's own record of a stop: the pages that antd has freed before the first CPU began to come back.
fn memory_comes_back_before_cpus(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 64M")?;
    guest.succeed(
        "mount -t tracefs none /sys/kernel/tracing; cd /sys/kernel/tracing &&
         echo 'comm == \"antd\" && order == 0' > events/kmem/mm_page_free/filter &&
         echo 1 > events/kmem/mm_page_free/enable && echo 1 > events/cpuhp/cpuhp_enter/enable",
    )?;
    ant::down(guest)?;
    let freed = guest.succeed(
        "cd /sys/kernel/tracing && echo 0 > events/enable &&
         awk '/mm_page_free:/ { freed++ } /cpuhp_enter:/ { print freed + 0; exit }' trace &&
         echo > trace",
    )?;
    let freed: u32 = freed.trim().parse().context("no CPU came back")?;
    ensure!(freed >= (64 << 20) / 4096, "{freed} pages were free when the first CPU came back");
    guest.check_log()
}

/// Linux may take all blocks of ZONE_MOVABLE offline, and waits as long as something in one stays.
fn movable_memory_stays_linuxs(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 200M")?;
    let offline = guest.succeed(
        "cd /sys/devices/system/memory && for block in $(grep -l '^Movable' memory*/valid_zones); do
             cd ${block%/*} && timeout 10 sh -c 'echo offline > state' 2> /dev/null
             case $? in
                 0) echo ${block%/*}; echo online_movable > state ;;
                 1) ;;
                 *) echo ${block%/*} does not go offline >&2; exit 1 ;;
             esac
             cd ..
         done",
    )?;
    ensure!(!offline.is_empty(), "no block went offline");
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)?;
    guest.check_log()
}

fn no_sleep_while_a_partition_lives(guest: &TestGuest) -> Result<()> {
    // Opened to write, it is to hold an image that takes the place of this Linux.
    let restore = "true > /dev/snapshot";
    ant::down(guest)?;
    guest.succeed(restore)?;
    ant::up(guest, ant::USUAL)?;
    for sleep in ["echo mem > /sys/power/state", "echo disk > /sys/power/state", restore] {
        guest.fail(sleep)?;
    }
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)?;
    guest.succeed(restore)?;
    guest.check_log()
}

/// Such a root is what the kernel itself starts, here for a dump: its bounding set can be made smaller.
fn root_without_the_right_to_load_modules(guest: &TestGuest) -> Result<()> {
    guest.succeed(&format!("echo '|{BOOTS}' > /proc/sys/kernel/core_pattern"))?;
    let said = booted_by_the_kernel(guest)?;
    ensure!(said.contains("AnT runs"), "{said}");
    // All but CAP_SYS_MODULE, which is number 16.
    guest.succeed("echo 4294901759 511 > /proc/sys/kernel/usermodehelper/bset")?;
    let said = booted_by_the_kernel(guest)?;
    ensure!(!said.contains("AnT runs"), "{said}");
    ant::cpus_are_linuxs(guest)?;
    guest.succeed("echo core > /proc/sys/kernel/core_pattern")?;
    ant::end_antd(guest)?;
    guest.check_log()
}

/// What `antctl boot` says to the kernel, by an antd of its own.
fn booted_by_the_kernel(guest: &TestGuest) -> Result<String> {
    ant::end_antd(guest)?;
    guest.run("rm -f /tmp/said; sh -c 'kill -SEGV $$'")?;
    guest.wait_until("test -e /tmp/said", LIMIT)?;
    guest.succeed("cat /tmp/said")
}

/// Linux has panicked and does not end: the CPUs that AnT had are as after a reset, not at work.
fn a_panic_silences_ants_cpus(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    // QEMU shows an INIT only when the CPU wakes up.
    let at_work = [1, 2, 3].map(|cpu| ant::start(guest, &format!("--cpu {cpu} -- spin")));
    ant::await_started(guest, at_work.len(), "spin")?;
    guest.check_log()?;
    let mut monitor = Monitor::connect()?;
    ensure!(monitor.cpus_after_reset()? == 0, "a CPU does not run AnT");
    let panics = guest.spawn("echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger");
    let deadline = Instant::now() + LIMIT;
    while monitor.cpus_after_reset()? != at_work.len() {
        ensure!(Instant::now() < deadline, "a CPU goes on");
        thread::sleep(Duration::from_millis(100));
    }
    ensure!(guest.inner().log().has_panicked(), "Linux lives");
    drop(panics);
    monitor.quit()
}

/// QEMU's monitor.
struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn connect() -> Result<Self> {
        let stream = UnixStream::connect(monitor()).context("no monitor")?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut monitor = Self(BufReader::new(stream));
        monitor.execute(&json!({ "execute": "qmp_capabilities" }))?;
        Ok(monitor)
    }

    /// What comes of a command, past greeting and events.
    fn execute(&mut self, command: &Value) -> Result<Value> {
        writeln!(self.0.get_mut(), "{command}")?;
        loop {
            let mut line = String::new();
            ensure!(self.0.read_line(&mut line)? > 0, "QEMU is gone");
            let said: Value = serde_json::from_str(&line)?;
            ensure!(said["error"].is_null(), "{said}");
            if !said["return"].is_null() {
                return Ok(said);
            }
        }
    }

    /// How many CPUs are as INIT leaves them.
    fn cpus_after_reset(&mut self) -> Result<usize> {
        let command = json!({
            "execute": "human-monitor-command",
            "arguments": { "command-line": "info registers -a" },
        });
        let registers = self.execute(&command)?["return"].to_string();
        Ok(registers.matches("CR0=60000010").count())
    }

    fn quit(&mut self) -> Result<()> {
        self.execute(&json!({ "execute": "quit" })).map(drop)
    }
}
