//! `antctl doctor`: can this machine run AnT, and if not, what to do.
//!
//! It reads what every user may read, asks `antd` if that runs, and opens no device.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use ant_abi::REVISION;
use ant_abi::device::MIN_MEMORY;
use ant_protocol::cpu_list::{counted, describe_cpus};
use ant_protocol::{ConnectError, Connection, IMAGE, INIT, MANIFEST, Reply, Request};
use rustix::process::geteuid;
use rustix::system::uname;

use crate::Failure;
use crate::output::{self, Look, paint};

/// Memory that a first trial takes.
const TRIAL_MEMORY: u64 = 256 << 20;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it must be.
    Good,
    /// AnT cannot run like this.
    Bad,
    /// Nothing wrong, but good to know.
    Note,
}

/// One check.
#[derive(Debug)]
struct Check {
    verdict: Verdict,
    what: String,
    /// What to do about it.
    remedy: Option<String>,
}

impl Check {
    fn of(good: bool, what: impl Into<String>, remedy: &str) -> Self {
        let verdict = if good { Verdict::Good } else { Verdict::Bad };
        Self { verdict, what: what.into(), remedy: (!good).then(|| remedy.into()) }
    }

    fn note(what: impl Into<String>, remedy: Option<&str>) -> Self {
        Self { verdict: Verdict::Note, what: what.into(), remedy: remedy.map(Into::into) }
    }
}

/// Checks this machine.
///
/// # Errors
///
/// The answer could not be written.
pub fn doctor() -> Result<ExitCode, Failure> {
    let cpuinfo = read("/proc/cpuinfo");
    let status = Connection::open().and_then(|daemon| daemon.ask(&Request::Status));
    let ants = ants_cpus(&status);
    let mut checks = vec![architecture(), apic(&cpuinfo), cpus(&ants), hotplug(), memory()];
    checks.extend(hypervisor(&cpuinfo));
    checks.push(kernel());
    checks.push(module());
    checks.push(device());
    checks.push(installed(
        "kernel image",
        IMAGE,
        "install it, or name another with `antctl boot --image FILE`",
    ));
    checks.push(installed(
        "first process",
        INIT,
        "install it from the build that the kernel image is of",
    ));
    checks.push(installed(
        "manifest",
        MANIFEST,
        "install it, or name another with `antctl boot --manifest FILE`",
    ));
    checks.push(root());
    checks.push(daemon(status, &ants));
    let able = checks.iter().all(|check| check.verdict != Verdict::Bad);
    output::text(&render(&checks, able))?;
    Ok(if able { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(checks: &[Check], able: bool) -> String {
    let mut text = String::new();
    for check in checks {
        let mark = match check.verdict {
            Verdict::Good => paint("✓", Look::Green),
            Verdict::Bad => paint("✗", Look::Red),
            Verdict::Note => paint("·", Look::Yellow),
        };
        let _ = writeln!(text, "{mark} {}", check.what);
        if let Some(remedy) = &check.remedy {
            let _ = writeln!(text, "  → {remedy}");
        }
    }
    let verdict = if able {
        paint("AnT can run here.", Look::Green)
    } else {
        paint("AnT cannot run here yet: see the lines marked ✗.", Look::Red)
    };
    let _ = writeln!(text, "{verdict}");
    text
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn architecture() -> Check {
    let machine = uname().machine().to_string_lossy().into_owned();
    Check::of(machine == "x86_64", format!("processor: {machine}"), "AnT needs x86-64")
}

fn apic(cpuinfo: &str) -> Check {
    let flag = |name: &str| has_flag(cpuinfo, name);
    let kind = if flag("x2apic") { "APIC with x2APIC" } else { "APIC" };
    let what = if flag("apic") { kind } else { "no local APIC" };
    Check::of(
        flag("apic"),
        what,
        "AnT starts CPUs and rings doorbells by the APIC: boot Linux with it",
    )
}

fn has_flag(cpuinfo: &str, name: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    flags.is_some_and(|line| line.split_whitespace().any(|flag| flag == name))
}

/// CPUs that AnT has now.
fn ants_cpus(status: &Result<Reply, ConnectError>) -> Vec<u32> {
    let Ok(Reply::Status(status)) = status else { return Vec::new() };
    let cpus = status.partition.iter().flat_map(|partition| &partition.cpus);
    cpus.map(|cpu| cpu.cpu).collect()
}

fn cpus(ants: &[u32]) -> Check {
    let online = read("/sys/devices/system/cpu/online");
    let online = online.trim();
    let count = count_cpus(online);
    let cpus = counted(count.into(), "CPU");
    let others = if ants.is_empty() { String::new() } else { format!(", {} AnT's", ants.len()) };
    Check::of(
        count as usize + ants.len() >= 2,
        format!("{cpus} online ({online}){others}; CPU 0 stays Linux's"),
        "AnT needs a CPU beside CPU 0: give the machine more, or bring one online",
    )
}

/// CPUs in a list of the kernel's.
fn count_cpus(list: &str) -> u32 {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').filter_map(range).sum()
}

fn hotplug() -> Check {
    let there = fs::read_dir("/sys/devices/system/cpu").is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let number = name.strip_prefix("cpu").unwrap_or("");
            number != "0" && number.parse::<u32>().is_ok() && entry.path().join("online").exists()
        })
    });
    Check::of(
        there,
        if there { "CPUs can be taken offline" } else { "CPUs cannot be taken offline" },
        "AnT gets its CPUs by hotplug: use a kernel with CONFIG_HOTPLUG_CPU, without `nosmp`",
    )
}

fn memory() -> Check {
    let available = available_memory(&read("/proc/meminfo"));
    let what = format!("{} MiB of memory available", available >> 20);
    if available >= TRIAL_MEMORY * 2 {
        return Check::of(true, what, "");
    }
    if available >= MIN_MEMORY * 2 {
        let remedy = format!("enough for a partition of {} MiB", available >> 21);
        return Check::note(what, Some(&remedy));
    }
    Check::of(false, what, "AnT needs at least 16 MiB, and Linux the rest: free some")
}

fn available_memory(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

fn hypervisor(cpuinfo: &str) -> Option<Check> {
    has_flag(cpuinfo, "hypervisor").then(|| {
        Check::note(
            "this is a virtual machine",
            Some("AnT works there if the hypervisor lets INIT and STARTUP through, as QEMU does"),
        )
    })
}

fn kernel() -> Check {
    let release = uname().release().to_string_lossy().into_owned();
    let headers = Path::new("/lib/modules").join(&release).join("build").exists();
    let installed = Path::new("/sys/module/ant").exists();
    match (headers, installed) {
        (true, _) => Check::of(true, format!("Linux {release}, with its headers"), ""),
        (false, true) => Check::of(true, format!("Linux {release}"), ""),
        (false, false) => Check::note(
            format!("Linux {release}, without its headers"),
            Some("to build the module here: `apt-get install linux-headers-$(uname -r)`"),
        ),
    }
}

fn module() -> Check {
    let loaded = Path::new("/sys/module/ant").exists();
    let what = if loaded { "the module is loaded" } else { "the module is not loaded" };
    Check::of(loaded, what, "`modprobe ant` (after `depmod` if it was just installed)")
}

fn device() -> Check {
    let there = Path::new("/dev/ant").exists();
    let what = if there { "/dev/ant is there" } else { "there is no /dev/ant" };
    Check::of(there, what, "it comes with the module: `modprobe ant`")
}

/// Whether a file of AnT's is there.
fn installed(what: &str, path: &str, remedy: &str) -> Check {
    match fs::metadata(path) {
        Ok(_) => Check::of(true, format!("the {what} {path} is there"), ""),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Check::note(format!("there is no {path}"), Some(remedy))
        }
        Err(error) => Check::note(format!("{path}: {error}"), None),
    }
}

fn root() -> Check {
    if geteuid().is_root() {
        return Check::of(true, "you are root", "");
    }
    Check::note(
        "you are not root",
        Some("`boot` and `stop` need root (sudo); `run`, `ps`, `status`, `log` do not"),
    )
}

fn daemon(status: Result<Reply, ConnectError>, ants: &[u32]) -> Check {
    match status {
        Ok(Reply::Status(status)) => match (status.module_revision, status.partition) {
            (Some(theirs), _) if theirs != REVISION => Check::of(
                false,
                format!("the module is of ABI revision {theirs}, antctl of {REVISION}"),
                "install both from one build, then `rmmod ant` and `modprobe ant`",
            ),
            (_, Some(_)) => {
                let text = format!("antd runs, and AnT on {}", describe_cpus(ants));
                Check::of(true, text, "")
            }
            (_, None) => Check::of(true, "antd runs; AnT does not", ""),
        },
        Err(ConnectError::NoDaemon) => {
            Check::note("antd does not run", Some("`antctl boot` starts it"))
        }
        Ok(reply) => Check::of(false, format!("antd replies {reply:?}"), "restart antd"),
        Err(error) => Check::of(false, error.to_string(), "restart antd"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_counted() {
        assert_eq!(count_cpus("0-3"), 4);
        assert_eq!(count_cpus("0,2-3,7"), 4);
        assert_eq!(count_cpus("0"), 1);
        assert_eq!(count_cpus(""), 0);
    }

    #[test]
    fn flags_are_whole_words() {
        let cpuinfo = "processor: 0\nflags\t\t: fpu x2apic lm\n";
        assert!(has_flag(cpuinfo, "x2apic") && !has_flag(cpuinfo, "apic"));
    }

    #[test]
    fn available_memory_is_in_bytes() {
        assert_eq!(available_memory("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), 2 << 20);
    }

    #[test]
    fn one_bad_check_is_enough() {
        let checks = [
            Check::of(true, "fine", "no"),
            Check::note("hm", Some("maybe")),
            Check::of(false, "broken", "repair it"),
        ];
        let text = render(&checks, false);
        assert_eq!(
            text,
            "✓ fine\n· hm\n  → maybe\n✗ broken\n  → repair it\n\
            AnT cannot run here yet: see the lines marked ✗.\n"
        );
    }
}
