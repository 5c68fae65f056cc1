//! Figures as a table: minimum, median and 99th percentile of each thing that was measured.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

/// On the command line of a guest with a clock that counts instructions, followed by how far the
/// time-stamp counter goes for each.
const COUNTS_INSTRUCTIONS: &str = "ant.icount=";

/// Headings of the figures.
const HEADINGS: [&str; 3] = ["min", "median", "p99"];

/// What a terminal is told before and after a piece of text.
type Style = (&'static str, &'static str);
const BOLD: Style = ("\x1b[1m", "\x1b[0m");
const PLAIN: Style = ("", "");

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

/// What was measured, and its minimum, median and 99th percentile in ticks.
pub type Row = (String, [u64; 3]);

/// Prints the rows in this machine's unit under a line that says what they are of.
pub fn print(of: &str, rows: &[Row]) -> Result<()> {
    let unit = Unit::here();
    let styled = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let heading = if styled { BOLD } else { PLAIN };
    write(&format!("{of}, in {}\n{}", unit.name, table(rows, unit.ticks, heading)))
}

/// The rows as a table, in units of `ticks`.
fn table(rows: &[Row], ticks: u64, heading: Style) -> String {
    let figures = rows
        .iter()
        .map(|(what, figures)| (what.as_str(), figures.map(|figure| (figure / ticks).to_string())));
    let lines: Vec<_> = std::iter::once(("", HEADINGS.map(String::from))).chain(figures).collect();
    let first = lines.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
    let widths: [usize; 3] = std::array::from_fn(|column| {
        lines.iter().map(|(_, cells)| cells[column].len()).max().unwrap_or(0)
    });
    let mut text = String::new();
    for (index, (what, cells)) in lines.iter().enumerate() {
        let (on, off) = if index == 0 { heading } else { PLAIN };
        text.push_str(&format!("{on}{what:<first$}{off}"));
        for (cell, width) in cells.iter().zip(widths) {
            text.push_str(&format!("  {on}{cell:>width$}{off}"));
        }
        text.push('\n');
    }
    text
}

/// Writes to standard output.
pub fn write(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_names_the_unit() {
        let unit = Unit::of("console=ttyS0 ant.icount=8 quiet");
        assert_eq!((unit.name, unit.ticks), ("instructions", 8));
        for line in ["", "quiet ant.icount=0", "ant.icount=x", "xant.icount=8"] {
            assert_eq!(Unit::of(line).ticks, 1, "{line}");
        }
    }

    #[test]
    fn figures_are_aligned_to_the_right() {
        let rows = [("getpid".into(), [16, 24, 8000]), ("a futex round trip".into(), [8, 80, 88])];
        let expected = "\
\x20                   min  median   p99
getpid                2       3  1000
a futex round trip    1      10    11
";
        assert_eq!(table(&rows, 8, PLAIN), expected);
        let heading = table(&rows, 8, BOLD).lines().next().unwrap().to_owned();
        assert!(heading.contains("\x1b[1mmedian\x1b[0m"), "{heading:?}");
    }
}
