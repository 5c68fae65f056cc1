//! Connects a command in the guest with our own input, output and terminal.

use crate::agent::{Event, Input, Session};
use crate::{Start, TermSize};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::{self, Read, Write};
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

/// How soon a change of the window's size reaches the guest.
const SIZE_POLL: Duration = Duration::from_millis(300);

/// The size of our terminal; `None` where there is none.
pub fn size() -> Option<TermSize> {
    let size = tcgetwinsize(io::stdin()).ok()?;
    // A serial line does not know its size.
    let or = |value, usual| if value == 0 { usual } else { value };
    Some(TermSize { rows: or(size.ws_row, 24), columns: or(size.ws_col, 80) })
}

/// A login shell of root on a terminal of `size`.
pub fn shell(size: TermSize) -> Start {
    Start {
        argv: vec!["sh".to_owned(), "-l".to_owned()],
        user: "root".to_owned(),
        dir: String::new(),
        terminal: Some(size),
    }
}

/// Carries our input to the command and its output to ours until it ends; returns its status,
/// `None` when the guest went away before.
pub fn connect(session: &Session) -> Option<i32> {
    let input = session.input();
    // Not joined: a read of the terminal cannot be called off.
    thread::spawn(move || carry_input(&input));
    let mut last_size = size();
    loop {
        match session.events.recv_timeout(SIZE_POLL) {
            Ok(Event::Stdout(bytes)) => put(&mut io::stdout(), &bytes),
            Ok(Event::Stderr(bytes)) => put(&mut io::stderr(), &bytes),
            Ok(Event::Exit(status)) => return Some(status),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                let now = size();
                if now != last_size
                    && let Some(size) = now
                {
                    session.resize(size);
                }
                last_size = now;
            }
        }
    }
}

fn carry_input(input: &Input) {
    let mut buffer = [0; 4096];
    loop {
        match io::stdin().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return input.end(),
            Ok(len) => input.send(&buffer[..len]),
        }
    }
}

/// The reader of our output may be gone; the command's status still counts.
fn put(to: &mut impl Write, bytes: &[u8]) {
    to.write_all(bytes).and_then(|()| to.flush()).ok();
}

/// Our terminal passes every key on as it is; dropped, or when we are told to end, it is as it
/// was before.
pub struct Raw(Termios);

impl Raw {
    /// Switches our terminal.
    ///
    /// # Errors
    /// When there is none.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let for_signals = Self(before.clone());
        thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                drop(for_signals);
                // QEMU ends with us.
                std::process::exit(128 + signal);
            }
        });
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
