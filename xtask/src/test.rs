//! `./ant test`: every suite, on the host and in QEMU, and one line that adds them up.

use crate::build::{self, Part};
use crate::tally::Tally;
use crate::toolchain::host_cargo;
use crate::{linux_programs, prepare, step};
use ant_vm::paths;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How long one suite may take: a hang ends, and is seen to be one.
const SUITE_LIMIT_SECONDS: &str = "2700";
/// How many random histories each test of them goes through in the long run, unless `PROPTEST_CASES` is set.
const LONG_CASES: &str = "2000";
const CASES_VARIABLE: &str = "PROPTEST_CASES";
/// Kernels beside the usual one that the basic tests run on, whatever else is run.
const OTHER_KERNELS: &[&str] = &["6.12-rt"];

/// Arguments of `./ant test`.
#[derive(clap::Args, Default)]
pub struct TestArgs {
    /// Only what runs on the host
    #[arg(long, conflicts_with_all = ["qemu", "kernel", "basic"])]
    host: bool,
    /// Only what runs in QEMU
    #[arg(long)]
    qemu: bool,
    /// Only what runs in QEMU, on this kernel of the distribution: its version, or `6.12-rt` for the newest
    /// of those (default: what linux-image-amd64 stands for, and the basic tests on 6.12-rt)
    #[arg(long, value_name = "VERSION")]
    kernel: Option<String>,
    /// Only the basic tests in QEMU: booting, programs, faults, stopping
    #[arg(long)]
    basic: bool,
    /// Every test, every case of those that otherwise take a sample, and longer random histories
    #[arg(long)]
    long: bool,
    /// Only tests with one of these in their name (in QEMU `group::test`)
    filters: Vec<String>,
}

impl TestArgs {
    fn is_for_qemu_only(&self) -> bool {
        self.qemu || self.basic || self.kernel.is_some()
    }

    /// True if what is run is not narrowed down to some tests, or to one kernel.
    fn is_for_all_kernels(&self) -> bool {
        self.kernel.is_none() && !self.basic && self.filters.is_empty()
    }

    /// What the program of the QEMU tests is told.
    fn of_qemu_tests(&self) -> Vec<&str> {
        let flags = [(self.long, "--long"), (self.basic, "--basic")];
        let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| *flag);
        flags.chain(self.filters.iter().map(String::as_str)).collect()
    }
}

/// Runs the suites that `args` name.
pub fn run(args: &TestArgs) -> Result<Tally> {
    let start = Instant::now();
    let mut tally = Tally::default();
    if !args.is_for_qemu_only() {
        tally += host(args)?;
    }
    if !args.host {
        tally += qemu(args)?;
    }
    if tally == Tally::default() {
        bail!("there is no test with that in its name{}", hint(args));
    }
    println!("minutes in all: {:.1}", start.elapsed().as_secs_f64() / 60.0);
    Ok(tally)
}

/// What a filter that fits no test may lack.
fn hint(args: &TestArgs) -> &'static str {
    if args.long { "" } else { " (some run with `--long` only)" }
}

fn host(args: &TestArgs) -> Result<Tally> {
    if args.filters.is_empty() {
        return host_tests(None, args.long);
    }
    let mut tally = Tally::default();
    for filter in &args.filters {
        // Not all programs of tests take several at once.
        tally += host_tests(Some(filter), args.long)?;
    }
    Ok(tally)
}

fn host_tests(filter: Option<&str>, long: bool) -> Result<Tally> {
    let mut tally = Tally::default();

    // What does not compile is one failure, and the other suites run all the same.
    let mut cargo = host_cargo();
    cargo.args(["test", "--no-fail-fast"]).args(filter);
    if long && std::env::var_os(CASES_VARIABLE).is_none() {
        cargo.env(CASES_VARIABLE, LONG_CASES);
    }
    tally += suite("host: unit, property and documentation tests", &cargo)?;

    // Its own target directory: loom's cfg changes every crate.
    let mut cargo = host_cargo();
    cargo
        .args(["test", "--package", "ant-logic", "--release", "--test", "loom"])
        .args(filter)
        .arg("--target-dir")
        .arg(paths::root().join("target/loom"))
        .env("RUSTFLAGS", "--cfg loom");
    tally += suite("host: every interleaving (loom)", &cargo)?;
    Ok(tally)
}

fn qemu(args: &TestArgs) -> Result<Tally> {
    let program = build_qemu_tests()?;
    let list = Command::new(&program).arg("--list").args(args.of_qemu_tests()).output()?;
    if list.stdout.is_empty() {
        // Said before what takes long.
        return Ok(Tally::default());
    }
    let mut tally = qemu_on(args.kernel.as_deref(), &program, &args.of_qemu_tests())?;
    if args.is_for_all_kernels() {
        for name in OTHER_KERNELS {
            tally += qemu_on(Some(name), &program, &["--basic"])?;
        }
    }
    Ok(tally)
}

/// Runs `program`, the QEMU tests, with `args` on `kernel`; what that kernel lacks is installed and built
/// first.
fn qemu_on(kernel: Option<&str>, program: &Path, args: &[&str]) -> Result<Tally> {
    let version = match prepare::guest(kernel) {
        Ok(version) => version,
        Err(error) => {
            eprintln!("ant: {error:#}");
            return Ok(Tally::FAILED);
        }
    };
    build::build(&[Part::Tests], &version)?;
    let mut tests = Command::new(program);
    tests.args(["--kernel", &version]).args(args);
    suite(&format!("QEMU: whole system, Linux {version}"), &tests)
}

/// Builds the program of the QEMU tests and returns its path.
fn build_qemu_tests() -> Result<PathBuf> {
    let _alone = build::lock()?;
    let mut cargo = linux_programs::cargo();
    cargo.args(["--package", "ant-tests"]);
    let messages = step::run("QEMU tests", &mut cargo)?;
    build::executables(&messages).pop().context("ant-tests has no program")
}

/// Runs `command`, shows what it prints, adds up its `test result:` lines.
fn suite(name: &str, command: &Command) -> Result<Tally> {
    println!("== {name}");
    let start = Instant::now();
    let mut child = limited(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if let Some(counted) = result_line(&line) {
                tally += counted;
            }
            if is_worth_showing(&line) {
                println!("{line}");
            }
        }
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        println!("{name}: {status}, though no test says it failed");
        tally += Tally::FAILED;
    }
    let took = start.elapsed().as_secs_f64();
    println!("== {name}: {} passed, {} failed ({took:.0} s)\n", tally.passed, tally.failed);
    Ok(tally)
}

/// `command`, killed after [`SUITE_LIMIT_SECONDS`]; QEMU goes with the tests that started it.
fn limited(command: &Command) -> Command {
    let mut limited = Command::new("timeout");
    limited.args(["--foreground", "--kill-after=10", SUITE_LIMIT_SECONDS]);
    limited.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.current_dir(paths::root());
    limited
}

/// `test result: ok. 12 passed; 0 failed; …`
fn result_line(line: &str) -> Option<Tally> {
    let rest = line.trim_start().strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<usize> {
        let part = rest.split(';').find_map(|part| part.strip_suffix(word))?;
        part.rsplit(' ').next()?.parse().ok()
    };
    Some(Tally { passed: number(" passed")?, failed: number(" failed")? })
}

/// Packages without tests say so in three lines each.
fn is_worth_showing(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty() || line == "running 0 tests" || line.starts_with("test result: ok. 0 passed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_closing_line_is_understood() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        let tally = result_line(line).unwrap();
        assert_eq!((tally.passed, tally.failed), (12, 3));
        assert!(result_line("running 12 tests").is_none());
    }
}
