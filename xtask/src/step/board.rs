//! Where steps are seen. A terminal shows those that run in its last line, and above it how the
//! others ended; a pipe gets whole lines only. Steps may run side by side.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names of the steps that run, in the order in which they began.
static RUNNING: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The step `name` runs from now on. A pipe is told only if `announce`.
pub fn begin(name: &str, announce: bool) {
    let mut running = lock();
    running.push(name.to_owned());
    if !std::io::stderr().is_terminal() && announce {
        eprintln!("  ...   {name}");
    }
    print(&running, None);
}

/// The step `name` has ended; `line` says how, if that is worth a line.
pub fn end(name: &str, line: Option<&str>) {
    let mut running = lock();
    if let Some(at) = running.iter().position(|is| is == name) {
        running.remove(at);
    }
    print(&running, line);
}

/// Prints `lines` without a step in between.
pub fn say(lines: &str) {
    print(&lock(), Some(lines));
}

fn print(running: &[String], lines: Option<&str>) {
    let live = std::io::stderr().is_terminal();
    if live {
        eprint!("\r\x1b[K");
    }
    if let Some(lines) = lines {
        eprintln!("{lines}");
    }
    if live && !running.is_empty() {
        // Without wrapping: only one line can be taken back.
        eprint!("\x1b[?7l  ...   {}\x1b[?7h", running.join("; "));
        std::io::stderr().flush().ok();
    }
}

fn lock() -> MutexGuard<'static, Vec<String>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
