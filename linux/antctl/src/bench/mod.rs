//! `antctl bench`: what calls, messages and processes of AnT cost, beside what Linux's own ways cost in the same run.
//!
//! The unit is the time-stamp counter's cycle; in a guest whose clock counts instructions, it is the
//! instruction, of all CPUs together. Figures of one run may be compared with each other; figures
//! of a guest under emulation say nothing about hardware.

mod futex;
pub mod ipc;
mod native;
pub mod null;
mod pipe;
pub mod process;
mod samples;

use std::process::Command;

use anyhow::{Context, Result};

use crate::output::{self, Table, cell};

/// On the command line of a guest whose clock counts instructions, with how far the time-stamp
/// counter goes for each.
const COUNTS_INSTRUCTIONS: &str = "ant.icount=";

/// What the time-stamp counter counts here.
struct Unit {
    name: &'static str,
    ticks: u64,
}

impl Unit {
    fn here() -> Self {
        let command_line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
        Self::of(&command_line)
    }

    fn of(command_line: &str) -> Self {
        let mut words = command_line.split_ascii_whitespace();
        let ticks = words.find_map(|word| word.strip_prefix(COUNTS_INSTRUCTIONS)?.parse().ok());
        match ticks {
            Some(ticks @ 1..) => Self { name: "instructions", ticks },
            _ => Self { name: "TSC cycles", ticks: 1 },
        }
    }
}

/// What was measured: what it is, and minimum, median and 99th percentile of it in ticks.
type Row = (String, [u64; 3]);

/// Says what the rows are of, and prints them in this machine's unit.
fn print(of: &str, rows: &[Row]) -> Result<()> {
    let unit = Unit::here();
    let mut table = Table::new(&["", ">min", ">median", ">p99"]);
    for (what, figures) in rows {
        let figures = figures.iter().map(|ticks| cell(ticks / unit.ticks));
        table.row(std::iter::once(cell(what)).chain(figures).collect());
    }
    output::text(&format!("{of}, in {}\n{}", unit.name, table.render()))?;
    Ok(())
}

/// A command that runs this program again, for `antctl run`.
fn own_command() -> Result<Command> {
    Ok(Command::new(std::env::current_exe().context("cannot find antctl itself")?))
}

/// What `antctl run` printed as to why it failed, without what will be said anyway: who says it.
fn why(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim_end();
    text.strip_prefix("antctl: ").unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Unit, why};

    #[test]
    fn who_complains_is_said_once() {
        assert_eq!(why(b"antctl: AnT is not running\n"), "AnT is not running");
        assert_eq!(why(b"bench-null: no\n"), "bench-null: no");
    }

    #[test]
    fn the_command_line_names_the_unit() {
        let unit = Unit::of("console=ttyS0 ant.icount=8 quiet");
        assert_eq!((unit.name, unit.ticks), ("instructions", 8));
        for line in ["", "quiet ant.icount=0", "ant.icount=x", "xant.icount=8"] {
            assert_eq!(Unit::of(line).ticks, 1, "{line}");
        }
    }
}
