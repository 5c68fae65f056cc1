//! CPUs and memory leave Linux and come back.

use crate::ant::{self, answers, expect};
use crate::extent::Extent;
use crate::group::Group;
use crate::guest::{Background, LIMIT, TestGuest};
use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::{Duration, Instant};

const GPL: &str = "/usr/share/common-licenses/GPL-3";
const IMAGE: &str = "/usr/lib/ant/ant-kernel";
/// So much of Linux's free memory may be elsewhere after a while, in KiB.
const TOLERANCE: u64 = 6 << 10;

/// Holes in the memory of the guest, so that a large partition is never of one piece.
const HOLES: [&str; 4] =
    ["memmap=1M$0x8000000", "memmap=1M$0xe000000", "memmap=1M$0x14000000", "memmap=1M$0x1a000000"];

pub fn group() -> Group {
    Group::new("partition")
        .machine(|machine| {
            machine.mem = "512M".into();
            machine.append.extend(HOLES.map(String::from));
        })
        .test("doctor_says_what_is_missing", doctor_says_what_is_missing)
        .test("nothing_works_before_boot", nothing_works_before_boot)
        .test("wrong_cpus", wrong_cpus)
        .test("wrong_memory", wrong_memory)
        .test("wrong_tables", wrong_tables)
        .test("tables_of_other_sizes", tables_of_other_sizes)
        .test("a_small_table_of_processes", a_small_table_of_processes)
        .test("a_large_table_of_processes", a_large_table_of_processes)
        .test("wrong_images", wrong_images)
        .test("module_is_not_loaded", module_is_not_loaded)
        .test("boot_twice", boot_twice)
        .test("linux_cannot_take_a_cpu_back", linux_cannot_take_a_cpu_back)
        .test("module_stays_while_it_is_needed", module_stays_while_it_is_needed)
        .test("few_descriptors", few_descriptors)
        .test("one_cpu", one_cpu)
        .test("cpus_in_another_order", cpus_in_another_order)
        .test("com2_is_lent_and_comes_back", com2_is_lent_and_comes_back)
        .test("com2_in_use_stays_linuxs", com2_in_use_stays_linuxs)
        .test("linux_goes_on_with_its_cpus", linux_goes_on_with_its_cpus)
        .test("cpus_that_poll", cpus_that_poll)
        .test("fragmented_memory", fragmented_memory)
        .sweep("again_and_again", again_and_again)
}

pub fn two_cpus_group() -> Group {
    Group::new("two_cpus")
        .machine(|machine| {
            machine.smp = 2;
            // AMD's, QEMU's usual choice, have no `sysenter` in 64-bit mode.
            machine.qemu_args =
                ["-global", "max-x86_64-cpu.vendor=GenuineIntel"].map(String::from).into();
        })
        .test("one_for_each", one_for_each)
        .test("sysenter_leads_nowhere", sysenter_leads_nowhere)
}

/// Tries to boot, which must be refused with `text` and change nothing.
fn refused(guest: &TestGuest, arguments: &str, status: i32, text: &str) -> Result<()> {
    answers(guest, &format!("antctl boot {arguments}"), status, text)?;
    ant::cpus_are_linuxs(guest)?;
    answers(guest, "antctl status", 3, "AnT does not run")
}

fn doctor_says_what_is_missing(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    answers(guest, "antctl doctor", 0, "AnT can run here.")?;
    guest.succeed("rmmod ant")?;
    answers(guest, "antctl doctor", 1, "the module is not loaded")?;
    guest.succeed("modprobe ant")?;
    let output = guest.run_as("user", "antctl doctor", LIMIT)?;
    expect(&output, 0, "you are not root")?;
    let others = "for n in 1 2 3; do echo 0 > /sys/devices/system/cpu/cpu$n/online; done";
    guest.succeed(others)?;
    answers(guest, "antctl doctor", 1, "AnT needs a CPU beside CPU 0")?;
    guest.succeed(&others.replace("echo 0", "echo 1"))?;
    ant::up(guest, ant::USUAL)?;
    answers(guest, "antctl doctor", 0, "AnT on CPUs 1, 2, 3")
}

fn nothing_works_before_boot(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    let end_antd = "antd=$(cat /run/ant/antd.pid); kill $antd
         while test -e /proc/$antd; do sleep 0.1; done";
    for end_antd in ["true", end_antd] {
        guest.succeed(&format!("test ! -e /run/ant/antd.sock || {{ {end_antd}; }}"))?;
        for command in ["ps", "kill 2", "stop"] {
            answers(guest, &format!("antctl {command}"), 1, "AnT is not running")?;
        }
        answers(guest, "antctl run -- getpid", 125, "`antctl boot --cpus LIST --memory SIZE`")?;
        answers(guest, "antctl status", 3, "AnT does not run")?;
        answers(guest, "antctl status --json", 3, "")?;
    }
    let output = guest.run_as("user", "antctl boot --cpus 1 --memory 32M", LIMIT)?;
    expect(&output, 1, "only root can boot AnT: use sudo")
}

fn wrong_cpus(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    for (cpus, status, text) in [
        ("0", 1, "CPU 0 stays Linux's"),
        ("1,0", 1, "CPU 0 stays Linux's"),
        ("7", 1, "there is no CPU 7"),
        ("1-4", 1, "there is no CPU 4"),
        ("4000000000", 1, "there is no CPU"),
        ("2,2", 2, "CPU 2 is named twice"),
        ("1-3,2", 2, "CPU 2 is named twice"),
        ("3-1", 2, "backwards"),
        ("one", 2, "not a list of CPUs"),
        ("''", 2, "not a list of CPUs"),
    ] {
        refused(guest, &format!("--cpus {cpus} --memory 32M"), status, text)?;
    }
    guest.succeed("echo 0 > /sys/devices/system/cpu/cpu3/online")?;
    answers(guest, "antctl boot --cpus 2-3 --memory 32M", 1, "CPU 3 is offline")?;
    ensure!(guest.succeed("cat /sys/devices/system/cpu/online")? == "0-2\n");
    guest.succeed("echo 1 > /sys/devices/system/cpu/cpu3/online").map(drop)
}

fn wrong_memory(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    let free = free_memory(guest)?;
    for (memory, status, text) in [
        ("0", 1, "at least 16 MiB"),
        ("15M", 1, "at least 16 MiB"),
        ("4G", 1, "Linux can give "),
        ("16777215G", 1, "Linux can give "),
        ("99999999999G", 2, "not an amount of memory"),
        ("much", 2, "not an amount of memory"),
    ] {
        refused(guest, &format!("--cpus 1-3 --memory {memory}"), status, text)?;
    }
    memory_is_back(guest, free)
}

fn wrong_tables(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    for (tables, status, text) in [
        ("--processes 31", 2, "31 is not in 32..=2048"),
        ("--processes 2049", 2, "2049 is not in 32..=2048"),
        ("--endpoints 16", 2, "16 is not in 17..=1024"),
        ("--ica 3M", 2, "an ICA has 2 MiB to 512 MiB, in steps of 2 MiB"),
        ("--ica much", 2, "not an amount of memory"),
        ("--processes 300 --ica 2M", 1, "there can be 1024 to 131072 ICA pages"),
        ("--processes 2048", 1, "16 MiB are too small for 2048 processes"),
        ("--processes 2048", 1, "give --memory 24M or more"),
    ] {
        refused(guest, &format!("--cpus 1-3 --memory 16M {tables}"), status, text)?;
    }
    Ok(())
}

fn tables_of_other_sizes(guest: &TestGuest) -> Result<()> {
    for (tables, text) in [
        ("", "Room for: 128 processes, 64 endpoints and an ICA of 16 MiB\n"),
        (
            "--processes 300 --endpoints 100 --ica 32M",
            "Room for: 300 processes, 100 endpoints and an ICA of 32 MiB\n",
        ),
        (
            "--processes 32 --endpoints 17 --ica 2M",
            "Room for: 32 processes, 17 endpoints and an ICA of 2 MiB\n",
        ),
    ] {
        ant::down(guest)?;
        ant::up(guest, &format!("--cpus 1-3 --memory 32M {tables}"))?;
        answers(guest, "antctl status", 0, text)?;
        ant::works_on(guest, &[1, 2, 3])?;
    }
    ant::down(guest)
}

/// Where `waiting_programs` have their input from, and what each said.
const WAITING: &str = "/tmp/waiting";

/// Starts so many programs at once, which wait for input until the first is dropped; the second ends when all
/// have ended.
fn waiting_programs(guest: &TestGuest, count: u32) -> Result<[Background<'_>; 2]> {
    guest.succeed(&format!("rm -rf {WAITING}; mkdir {WAITING} && mkfifo {WAITING}/input"))?;
    let input = guest.spawn(&format!("exec sleep 1000 <> {WAITING}/input"));
    let programs = guest.spawn(&format!(
        "for n in $(seq {count}); do
             antctl run -- wc < {WAITING}/input > {WAITING}/$n 2>&1 &
         done; wait"
    ));
    Ok([input, programs])
}

/// Ends those programs; how many had run, and how many were refused a place.
fn end_waiting([input, programs]: [Background<'_>; 2], guest: &TestGuest) -> Result<[u32; 2]> {
    drop(input);
    expect(&programs.wait(LIMIT)?, 0, "")?;
    ant::await_idle(guest)?;
    let said = |text: &str| -> Result<u32> {
        let counted = guest.succeed(&format!("grep -l '{text}' {WAITING}/[0-9]* | wc -l"))?;
        Ok(counted.trim().parse()?)
    };
    Ok([said("0 *0 *0")?, said("no place for another process")?])
}

fn a_small_table_of_processes(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 32M --processes 32")?;
    ant::await_serving(guest, "serial", LIMIT)?;
    let programs = waiting_programs(guest, 40)?;
    // 32 with `init` and two servers; 8 places are kept for servers.
    guest.wait_until(&format!("test $(cat {WAITING}/[0-9]* | grep -c 'no place') = 19"), LIMIT)?;
    ant::await_processes(guest, 21, "wc", "in call")?;
    answers(guest, "antctl run -- getpid", 125, "no place for another process")?;
    answers(guest, "antctl server restart serial", 0, "serial was restarted")?;
    let counts = end_waiting(programs, guest)?;
    ensure!(counts == [21, 19], "{counts:?}");
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)
}

fn a_large_table_of_processes(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 128M --processes 400")?;
    let free = ant::free_memory(guest)?;
    let programs = waiting_programs(guest, 200)?;
    ant::await_processes(guest, 200, "wc", "in call")?;
    answers(guest, "antctl run -- getpid 20", 0, "20 calls")?;
    let counts = end_waiting(programs, guest)?;
    ensure!(counts == [200, 0], "{counts:?}");
    ant::await_free_memory(guest, free)?;
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)
}

fn wrong_images(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    // The header is where the first segment begins: 8 bytes of magic, then the revision.
    guest.succeed(&format!(
        "cd /tmp && at=$(od -An -tu8 -j72 -N8 {IMAGE} | tr -d ' ') && cp {IMAGE} revised && \
         test \"$(dd if=revised bs=1 skip=$at count=8 2> /dev/null)\" = AnTimage && \
         printf '\\377' | dd of=revised bs=1 seek=$((at + 8)) conv=notrunc && \
         cp {IMAGE} nameless && printf X | dd of=nameless bs=1 seek=$at conv=notrunc && \
         head -c 5000 {IMAGE} > cut"
    ))?;
    for (image, text) in [
        ("/no/such", "cannot read the kernel image /no/such: No such file"),
        ("/tmp", "/tmp"),
        ("/etc/passwd", "not an ELF file"),
        ("/bin/busybox", "/bin/busybox is not an AnT kernel"),
        ("/usr/lib/ant/apps/wc", "/usr/lib/ant/apps/wc is not an AnT kernel"),
        ("/tmp/cut", "/tmp/cut is not an AnT kernel"),
        ("/tmp/nameless", "it has no AnT header"),
        ("/tmp/revised", "/tmp/revised is of ABI revision 255"),
        ("/tmp/revised", "install both from one build"),
    ] {
        refused(guest, &format!("--cpus 1 --memory 32M --image {image}"), 1, text)?;
    }
    // A name that is not absolute is the caller's.
    guest.succeed(&format!("cd /tmp && cp {IMAGE} mine"))?;
    guest.succeed("cd /tmp && antctl boot --cpus 1 --memory 32M --image mine && antctl stop")?;
    Ok(())
}

fn module_is_not_loaded(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    guest.succeed("rmmod ant")?;
    refused(guest, "--cpus 1 --memory 32M", 1, "the module is not loaded: `modprobe ant`")?;
    answers(guest, "antctl status", 3, "modprobe ant")?;
    guest.succeed("modprobe ant")?;
    ant::up(guest, ant::USUAL)
}

/// A daemon that may have few open files, and a program that may have fewer still.
fn few_descriptors(guest: &TestGuest) -> Result<()> {
    ant::end_antd(guest)?;
    guest.succeed("ulimit -n 200; antctl boot --cpus 1-3 --memory 64M")?;
    answers(guest, "antctl run -- getpid", 0, "1 call, pid")?;
    answers(guest, "sh -c 'ulimit -n 64; antctl run -- wc /etc/passwd'", 0, "/etc/passwd")?;
    // The next test has a daemon with the usual limit.
    ant::end_antd(guest)
}

fn boot_twice(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    for cpus in ["1-3", "2"] {
        let command = format!("antctl boot --cpus {cpus} --memory 32M");
        answers(guest, &command, 1, "AnT runs already: m-kernel on CPU 1")?;
    }
    // Nor does a second daemon begin.
    let second = "timeout 10 antd";
    answers(guest, second, 1, "antd runs already")?;
    ant::works_on(guest, &[1, 2, 3])
}

fn linux_cannot_take_a_cpu_back(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    for cpu in [1, 2, 3] {
        guest.fail(&format!("echo 1 > /sys/devices/system/cpu/cpu{cpu}/online"))?;
    }
    ensure!(guest.succeed("cat /sys/devices/system/cpu/online")? == "0\n");
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)?;
    guest.succeed("cd /sys/devices/system/cpu/cpu2 && echo 0 > online && echo 1 > online")?;
    ant::cpus_are_linuxs(guest)
}

fn module_stays_while_it_is_needed(guest: &TestGuest) -> Result<()> {
    ant::up(guest, ant::USUAL)?;
    guest.fail("rmmod ant")?;
    ant::works_on(guest, &[1, 2, 3])?;
    ant::down(guest)?;
    guest.succeed("rmmod ant && modprobe ant").map(drop)
}

fn one_cpu(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 2 --memory 16M")?;
    ensure!(guest.succeed("cat /sys/devices/system/cpu/online")? == "0-1,3\n");
    ant::works_on(guest, &[2])?;
    let spin = ant::start(guest, "-- spin");
    answers(guest, "antctl run -- getpid 20", 0, "20 calls")?;
    answers(guest, "antctl run -- crash read", 139, "on CPU 2")?;
    drop(spin);
    ant::await_idle(guest)?;
    ant::down(guest)
}

fn cpus_in_another_order(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    let command = "antctl boot --cpus 3,1 --memory 32M";
    answers(guest, command, 0, "AnT runs: m-kernel on CPU 3, p-kernel on CPU 1; 32 MiB")?;
    let status = ant::status(guest)?;
    let cpu_index = |index: usize| &status["partition"]["cpus"][index];
    ensure!(cpu_index(0)["cpu"] == 3 && cpu_index(0)["role"] == "m-kernel", "{status}");
    ensure!(cpu_index(1)["cpu"] == 1 && cpu_index(1)["role"] == "p-kernel", "{status}");
    ant::works_on(guest, &[1, 3])?;
    answers(guest, "antctl run --cpu 2 -- getpid", 125, "it has CPUs 3, 1")?;
    answers(guest, "antctl run --cpu 1 -- crash read", 139, "on CPU 1")?;
    ant::down(guest)
}

/// Linux's driver has COM2, and the port works there. The terminal's device is the driver's or, since 6.5,
/// below it: a port of `serial_core` at a controller.
const COM2_IS_LINUXS: &str = "device=$(readlink -f /sys/class/tty/ttyS1/device) \
     && for up in . .. ../..; do readlink $device/$up/driver; done | grep -qx '.*/serial' \
     && grep -q '02f8-02ff : serial' /proc/ioports && echo back > /dev/ttyS1";

fn com2_is_lent_and_comes_back(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    for end in ["antctl stop", "kill -9 $(cat /run/ant/antd.pid)"] {
        guest.succeed(COM2_IS_LINUXS)?;
        answers(guest, "antctl boot --cpus 1 --memory 32M", 0, "; 32 MiB; COM2")?;
        answers(guest, "antctl status", 0, "COM2 (ports 0x2f8-0x2ff, interrupt line 3)")?;
        guest.succeed(
            "grep -q '02f8-02ff : ant' /proc/ioports && grep -q ' 3:.*ant' /proc/interrupts",
        )?;
        guest.succeed(end)?;
        guest.wait_until(COM2_IS_LINUXS, LIMIT)?;
    }
    answers(guest, "antctl boot --cpus 1 --memory 32M --device none", 0, "; 32 MiB\n")?;
    guest.succeed(COM2_IS_LINUXS)?;
    ant::down(guest)
}

fn com2_in_use_stays_linuxs(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    let user = guest.spawn("exec sleep 1000 < /dev/ttyS1");
    guest.wait_until("ls -l /proc/[0-9]*/fd 2> /dev/null | grep -q ttyS1", LIMIT)?;
    let command = "antctl boot --cpus 1 --memory 32M";
    answers(guest, command, 0, "without COM2: /dev/ttyS1 is open in process")?;
    answers(guest, "antctl status", 0, "Devices: none")?;
    drop(user);
    ant::down(guest)
}

fn linux_goes_on_with_its_cpus(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 2-3 --memory 32M")?;
    // The doorbells went to a CPU that Linux takes offline.
    guest.succeed(
        "for irq in $(sed -n 's/^ *\\([0-9]*\\):.* AnT .*/\\1/p' /proc/interrupts); do
             echo 2 > /proc/irq/$irq/smp_affinity || exit 1
         done",
    )?;
    ant::works_on(guest, &[2, 3])?;
    let caller = ant::start(guest, "--cpu 3 -- getpid 20000");
    ant::await_process(guest, "getpid", "in call")?;
    guest.succeed("echo 0 > /sys/devices/system/cpu/cpu1/online")?;
    expect(&caller.wait(LIMIT)?, 0, "20000 calls")?;
    ant::works_on(guest, &[2, 3])?;
    guest.succeed("echo 1 > /sys/devices/system/cpu/cpu1/online")?;
    ant::works_on(guest, &[2, 3])?;
    ant::down(guest)
}

/// What Linux could give to programs now, in KiB.
fn free_memory(guest: &TestGuest) -> Result<u64> {
    guest.succeed("sync; echo 3 > /proc/sys/vm/drop_caches")?;
    let line = guest.succeed("grep MemAvailable /proc/meminfo")?;
    Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
}

/// Waits until Linux could give as much as `before`. Newer kernels keep more of what was freed for the next
/// allocations of the same CPU, and let go of it after some seconds.
fn memory_is_back(guest: &TestGuest, before: u64) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let now = free_memory(guest)?;
        if now + TOLERANCE > before {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{before} KiB were free, {now} are");
        thread::sleep(Duration::from_millis(500));
    }
}

fn cpus_that_poll(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1-3 --memory 64M --poll")?;
    ant::works_on(guest, &[1, 2, 3])?;
    // Messages and pages over all CPUs, to Linux's files.
    let drain = ant::start(guest, "--cpu 3 -- drain out /tmp/polled");
    let upcase = ant::start(guest, "--cpu 2 -- upcase middle out");
    let fed = guest.run(&format!("antctl run --cpu 1 -- feed middle {GPL}"))?;
    expect(&fed, 0, "feed: 35149 bytes\n")?;
    expect(&upcase.wait(LIMIT)?, 0, "upcase: 35149 bytes\n")?;
    expect(&drain.wait(LIMIT)?, 0, "drain: 35149 bytes\n")?;
    guest.succeed(&format!("tr a-z A-Z < {GPL} | cmp - /tmp/polled"))?;
    // No CPU needs a doorbell from another, nor one from Linux while it has no work.
    let server = ant::start(guest, "--cpu 3 -- victim serve victim");
    ant::await_process(guest, "victim serve", "receiving")?;
    let calls = guest.run("antctl run --cpu 2 -- victim loop call 1000")?;
    expect(&calls, 0, " 0 changes, 0 restarts, 0 lost, 0 failed\n")?;
    ensure!(!calls.stdout.starts_with("loop: 0 served"), "{calls:?}");
    drop(server);
    ant::await_idle(guest)?;
    answers(guest, "antctl server restart serial", 0, "serial was restarted")?;
    ant::works_on(guest, &[3, 2, 1])?;
    ant::down(guest)
}

fn fragmented_memory(guest: &TestGuest) -> Result<()> {
    ant::down(guest)?;
    let free = free_memory(guest)?;
    // Half of the memory is filled with files, then every other file goes.
    let files = free / 2 / 1024;
    guest.succeed(&format!(
        "mkdir /tmp/full && mount -t tmpfs -o size=100% tmpfs /tmp/full && cd /tmp/full &&
         head -c 1048576 /dev/urandom > block &&
         for n in $(seq {files}); do cp block $n || exit 1; done; rm *[13579]"
    ))?;
    // All that Linux says it can give: files have to move, and the holes are in the way.
    let said = guest.fail("antctl boot --cpus 1-3 --memory 4G")?;
    let can_give = said.split_whitespace().nth(4).context("no amount")?;
    let can_give: u64 = can_give.parse().context(said)?;
    ant::up(guest, &format!("--cpus 1-3 --memory {}M", can_give - 8))?;
    let extents = "dmesg | sed -n 's/.* in \\([0-9]*\\) extents/\\1/p' | tail -n 1";
    let extents: u32 = guest.succeed(extents)?.trim().parse()?;
    ensure!(extents > 1, "memory was not fragmented");
    let status = ant::status(guest)?;
    let managed = ant::number(&status, "/partition/memory_managed")?;
    ensure!(managed >= (can_give - 12) << 20, "{managed} bytes of {can_give} MiB");
    ant::works_on(guest, &[1, 2, 3])?;
    guest.succeed("cd /tmp/full && for file in *0; do cmp block $file || exit 1; done")?;
    ant::down(guest)?;
    guest.succeed("umount /tmp/full")?;
    memory_is_back(guest, free)
}

fn again_and_again(guest: &TestGuest, extent: Extent) -> Result<()> {
    ant::down(guest)?;
    let cycles = |count| {
        format!(
            "for n in $(seq {count}); do
                 antctl boot --cpus 1-3 --memory 16M > /dev/null &&
                 test $(nproc) = 1 && antctl run --cpu $((n % 3 + 1)) -- getpid > /dev/null &&
                 antctl stop > /dev/null && test $(nproc) = 4 || exit 1
             done"
        )
    };
    let limit = Duration::from_secs(180);
    // What Linux keeps for itself after a first time is not lost.
    expect(&guest.run_as("root", &cycles(2), limit)?, 0, "")?;
    let free = free_memory(guest)?;
    expect(&guest.run_as("root", &cycles(extent.rounds(20, 5)), limit)?, 0, "")?;
    memory_is_back(guest, free)?;
    guest.succeed("! grep ' AnT ' /proc/interrupts")?;
    ant::cpus_are_linuxs(guest)
}

/// For the group of another machine, too.
pub fn comes_and_goes(guest: &TestGuest) -> Result<()> {
    for _ in 0..2 {
        ant::up(guest, ant::USUAL)?;
        ant::works_on(guest, &[1, 2, 3])?;
        answers(guest, "antctl run --cpu 3 -- getpid 200", 0, "200 calls")?;
        ant::down(guest)?;
    }
    Ok(())
}

/// Linux's way in must not be open to programs on AnT, where there is nothing behind it.
fn sysenter_leads_nowhere(guest: &TestGuest) -> Result<()> {
    let vendor = guest.succeed("grep -m 1 vendor_id /proc/cpuinfo")?;
    ensure!(vendor.contains("GenuineIntel"), "{vendor}");
    ant::up(guest, "--cpus 1 --memory 32M")?;
    answers(guest, "antctl run -- crash sysenter", 139, "general protection")?;
    ant::works_on(guest, &[1])?;
    ant::down(guest)
}

fn one_for_each(guest: &TestGuest) -> Result<()> {
    ant::up(guest, "--cpus 1 --memory 32M")?;
    ant::works_on(guest, &[1])?;
    answers(guest, "antctl run -- getpid 200", 0, "200 calls")?;
    ant::down(guest)
}
