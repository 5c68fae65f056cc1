//! One step of work: a line with its time; its output goes to a log that is shown if it fails.

mod board;

use ant_vm::paths;
use anyhow::{Context, Result, bail};
pub use board::say;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Steps shorter than this leave no line behind.
const WORTH_A_LINE: Duration = Duration::from_millis(700);
/// Lines of a failed step's log that are shown.
const LOG_TAIL: usize = 80;

/// As [`timed`], for what takes minutes: says so at once even where nothing can be overwritten.
pub fn announced<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    shown(name, true, work)
}

/// Runs `work` as the step `name`; prints a line when it took long enough to be noticed.
pub fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    shown(name, false, work)
}

fn shown<T>(name: &str, announce: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
    board::begin(name, announce);
    let start = Instant::now();
    let result = work();
    let took = start.elapsed();
    let seconds = took.as_secs_f64();
    let line = match &result {
        Ok(_) if took < WORTH_A_LINE => None,
        Ok(_) => Some(format!("  ok    {name} ({seconds:.1} s)")),
        Err(_) => Some(format!("  FAILED {name} ({seconds:.1} s)")),
    };
    board::end(name, line.as_deref());
    result
}

/// Runs `command` as the step `name` and returns its standard output.
pub fn run(name: &str, command: &mut Command) -> Result<String> {
    timed(name, || capture(name, command))
}

/// Runs `command`, without a line about it, and returns its standard output.
///
/// Standard error goes to `target/ant/log/<name>.log`; when the command fails, the end of that
/// log is shown.
pub fn capture(name: &str, command: &mut Command) -> Result<String> {
    let log_path = log_path(name)?;
    let log = File::create(&log_path).with_context(|| format!("cannot write {log_path:?}"))?;
    let output = output(command.stderr(log))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        show_tail(&(fs::read_to_string(&log_path).unwrap_or_default() + &stdout));
        bail!("{name}: {} (log: {})", output.status, log_path.display());
    }
    Ok(stdout)
}

/// Runs `command` as the step `name` and returns all it printed, with `to` in place of `from`.
pub fn run_renaming(name: &str, command: &mut Command, from: &Path, to: &Path) -> Result<String> {
    timed(name, || {
        let log_path = log_path(name)?;
        let output = output(command.stderr(Stdio::piped()))?;
        let text =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let text = text.concat().replace(&*from.to_string_lossy(), &to.to_string_lossy());
        fs::write(&log_path, &text).with_context(|| format!("cannot write {log_path:?}"))?;
        if !output.status.success() {
            show_tail(&text);
            bail!("{name}: {} (log: {})", output.status, log_path.display());
        }
        Ok(text)
    })
}

fn output(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .with_context(|| format!("cannot run {:?}", command.get_program()))
}

fn log_path(name: &str) -> Result<PathBuf> {
    let dir = paths::logs();
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {dir:?}"))?;
    Ok(dir.join(format!("{}.log", name.replace([' ', '/'], "-"))))
}

fn show_tail(log: &str) {
    let lines: Vec<&str> = log.lines().filter(|line| !is_progress(line)).collect();
    let from = lines.len().saturating_sub(LOG_TAIL);
    let tail: String = lines[from..].iter().map(|line| format!("\n  | {line}")).collect();
    say(&tail);
}

/// What cargo says while all is well, and its JSON.
fn is_progress(line: &str) -> bool {
    let verbs =
        ["Compiling ", "Checking ", "Downloading ", "Downloaded ", "Blocking ", "Updating "];
    let line = line.trim_start();
    line.starts_with('{') || verbs.iter().any(|verb| line.starts_with(verb))
}
