//! Output: colours on a terminal, plain text in a pipe, tables, and pipes that close early.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;

/// Look of a piece of text on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Default.
    Plain,
    /// A heading.
    Bold,
    /// Less important.
    Dim,
    /// Good.
    Green,
    /// A warning.
    Yellow,
    /// Bad.
    Red,
}

/// `text` as it looks on standard output.
#[must_use]
pub fn paint(text: &str, look: Look) -> String {
    let code = match look {
        Look::Plain => return text.into(),
        Look::Bold => "1",
        Look::Dim => "2",
        Look::Green => "32",
        Look::Yellow => "33",
        Look::Red => "31",
    };
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text.into() }
}

/// Writes a line.
///
/// # Errors
///
/// Standard output failed.
pub fn line(text: &str) -> io::Result<ExitCode> {
    self::text(&format!("{text}\n"))
}

/// Writes text.
///
/// # Errors
///
/// Standard output failed.
pub fn text(text: &str) -> io::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Waits until `source` is readable; `false` if standard output is a pipe without a reader by then.
///
/// # Errors
///
/// Waiting failed.
pub fn is_read_while(source: impl AsFd) -> io::Result<bool> {
    let stdout = io::stdout();
    let mut files = [
        PollFd::new(&source, PollFlags::IN),
        // A pipe without a reader is reported whether asked for or not.
        PollFd::new(&stdout, PollFlags::empty()),
    ];
    retry_on_intr(|| poll(&mut files, None))?;
    Ok(!files[1].revents().contains(PollFlags::ERR))
}

/// Writes a message to standard error, as far as that is possible.
pub fn complain(text: &str) {
    // In one piece: other processes write there, too.
    let _ = io::stderr().write_all(format!("antctl: {text}\n").as_bytes());
}

/// A table with aligned columns; the last is not padded.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<(String, Look)>>,
    right: Vec<bool>,
}

impl Table {
    /// A table with these headings. A `>` before a heading aligns its column to the right.
    #[must_use]
    pub fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let names = headings.iter().map(|heading| heading.trim_start_matches('>'));
        Self { rows: vec![names.map(|name| (name.to_owned(), Look::Bold)).collect()], right }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<(String, Look)>) {
        self.rows.push(cells);
    }

    /// The table as text.
    #[must_use]
    pub fn render(&self) -> String {
        let columns = self.right.len();
        let width = |column: usize| {
            self.rows.iter().map(|row| row[column].0.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().enumerate().map(|(column, (cell, look))| {
                let width =
                    if column + 1 == columns && !self.right[column] { 0 } else { widths[column] };
                let padded = if self.right[column] {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:<width$}")
                };
                paint(&padded, *look)
            });
            text.push_str(&cells.collect::<Vec<_>>().join("  "));
            text.push('\n');
        }
        text
    }
}

/// A cell without a look.
#[must_use]
pub fn cell(value: impl ToString) -> (String, Look) {
    (value.to_string(), Look::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&[">PID", "NAME", ">N", "LAST"]);
        table.row(vec![cell(1), cell("init"), cell(1000), cell("a b")]);
        table.row(vec![cell(234), cell("wc"), cell(2), cell("c")]);
        let expected = "PID  NAME     N  LAST\n  1  init  1000  a b\n234  wc       2  c\n";
        assert_eq!(table.render(), expected);
    }
}
