//! The guest's Linux log, from COM1: kept in a file, watched for trouble.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Words that no healthy Linux log has.
const TROUBLE: &[&str] = &[
    "BUG:",
    "Oops",
    "Call Trace",
    "soft lockup",
    "hard LOCKUP",
    "general protection",
    "Kernel panic",
    "blocked for more than",
    "Unable to handle",
    "nobody cared",
];

/// What has been seen so far.
#[derive(Default)]
struct Seen {
    lines: Vec<String>,
    partial: Vec<u8>,
    /// Index of the first line that means trouble.
    trouble: Option<usize>,
}

/// The log of one guest.
pub struct LinuxLog {
    path: PathBuf,
    seen: Mutex<Seen>,
}

impl LinuxLog {
    /// A log that will be kept at `path`.
    pub fn new(path: PathBuf) -> Self {
        Self { path, seen: Mutex::default() }
    }

    /// The file that keeps all of it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes everything that comes from `com1` until its end; `on_trouble` is called once.
    pub(crate) fn follow(&self, mut com1: impl Read, on_trouble: impl FnOnce()) {
        let mut file = File::create(&self.path).ok();
        let mut on_trouble = Some(on_trouble);
        let mut buffer = [0; 4096];
        while let Ok(len @ 1..) = com1.read(&mut buffer) {
            if let Some(file) = &mut file {
                file.write_all(&buffer[..len]).ok();
            }
            if self.take(&buffer[..len])
                && let Some(act) = on_trouble.take()
            {
                act();
            }
        }
    }

    /// Adds `bytes`; true if there is trouble.
    fn take(&self, bytes: &[u8]) -> bool {
        let mut seen = self.seen();
        for &byte in bytes {
            if byte != b'\n' {
                seen.partial.push(byte);
                continue;
            }
            let bytes = std::mem::take(&mut seen.partial);
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if seen.trouble.is_none() && is_trouble(&line) {
                seen.trouble = Some(seen.lines.len());
            }
            seen.lines.push(line);
        }
        seen.trouble.is_some()
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let seen = self.seen();
        seen.lines[seen.lines.len().saturating_sub(count)..].to_vec()
    }

    /// The first line that means trouble and up to `count` after it.
    pub fn trouble(&self, count: usize) -> Option<Vec<String>> {
        let seen = self.seen();
        let from = seen.trouble?;
        Some(seen.lines[from..].iter().take(count).cloned().collect())
    }

    /// True if Linux panicked.
    pub fn has_panicked(&self) -> bool {
        self.seen().lines.iter().any(|line| line.contains("Kernel panic"))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_trouble(line: &str) -> bool {
    TROUBLE.iter().any(|word| line.contains(word)) || is_warning(line) || is_stall(line)
}

/// Whether this is Linux's `WARN` in its old or its new form, or a debug check's (lockdep, RCU, the
/// unwinder). Advice on a processor's mitigations begins with the same word.
fn is_warning(line: &str) -> bool {
    const CHECKS: [&str; 7] =
        ["possible ", "suspicious ", "inconsistent ", "bad ", "held ", "kernel stack ", "stack "];
    let Some((_, what)) = line.split_once("WARNING: ") else { return false };
    what.starts_with("CPU: ")
        || what.contains(" at ") && what.contains(", CPU#")
        || CHECKS.iter().any(|check| what.starts_with(check))
}

/// Whether Linux says that a processor does not get on.
pub(crate) fn is_stall(line: &str) -> bool {
    line.contains("rcu") && line.contains("stall")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> LinuxLog {
        let log = LinuxLog::new(PathBuf::new());
        log.take(text.as_bytes());
        log
    }

    #[test]
    fn trouble_is_seen_where_it_begins() {
        let log = log("[1] all is well\n[2] WARNING: CPU: 1 PID: 7\n[3] more\n");
        assert_eq!(log.trouble(9).unwrap(), ["[2] WARNING: CPU: 1 PID: 7", "[3] more"]);
    }

    #[test]
    fn warnings_are_trouble_and_advice_is_not() {
        assert!(is_trouble("[1] WARNING: CPU: 2 PID: 71 at kernel/smp.c:742 smp_call+0x1/0x2"));
        assert!(is_trouble("[1] WARNING: kernel/smp.c:742 at smp_call+0x1/0x2, CPU#2: sh/71"));
        assert!(is_trouble("[1] WARNING: possible circular locking dependency detected"));
        for advice in [
            "Speculative Return Stack Overflow: WARNING: See https://kernel.org/doc/html/latest/",
            "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
        ] {
            assert!(!is_trouble(advice), "{advice}");
        }
    }

    #[test]
    fn stalls_are_trouble_and_plain_lines_are_not() {
        assert!(is_trouble("rcu: INFO: rcu_sched self-detected stall on CPU"));
        assert!(!is_trouble("rcu: Hierarchical RCU implementation."));
        assert!(log("[1] debug: fine\n").trouble(9).is_none());
    }
}
