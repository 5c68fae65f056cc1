//! The signals with which people end a program, as pipes to poll.

use std::fs;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use signal_hook::low_level::pipe;

/// Which signals.
const WATCHED: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Signals that are caught from now on.
pub struct Signals(Vec<(Signal, UnixStream)>);

impl Signals {
    /// Catches them, but those that are ignored: `nohup` and `trap "" HUP` protect the program.
    ///
    /// # Errors
    ///
    /// Too many open files, or no `/proc`.
    pub fn watch() -> io::Result<Self> {
        let watch = |signal: Signal| {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            pipe::register(signal.as_raw(), writer)?;
            io::Result::Ok((signal, reader))
        };
        let ignored = ignored_signals()?;
        let watched = WATCHED.into_iter().filter(|signal| ignored & bit(*signal) == 0);
        watched.map(watch).collect::<io::Result<_>>().map(Self)
    }

    /// What to poll to learn that one has come.
    pub fn poll_fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.iter().map(|(_, reader)| PollFd::new(reader, PollFlags::IN))
    }

    /// A signal that has come since the last call, if one has.
    ///
    /// # Errors
    ///
    /// Reading failed.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        for (signal, reader) in &self.0 {
            match { reader }.read(&mut [0]) {
                Ok(_) => return Ok(Some(*signal)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// The signals that this process ignores, one bit each.
fn ignored_signals() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("/proc/self/status does not name the ignored signals"))
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::poll;
    use rustix::io::retry_on_intr;
    use rustix::process::{getpid, kill_process};

    #[test]
    fn a_signal_is_reported_once() {
        let signals = Signals::watch().unwrap();
        assert_eq!(signals.next().unwrap(), None);
        kill_process(getpid(), Signal::TERM).unwrap();
        // Another thread may be the one that it is delivered to.
        retry_on_intr(|| poll(&mut signals.poll_fds().collect::<Vec<_>>(), None)).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Signal::TERM));
        assert_eq!(signals.next().unwrap(), None);
    }

    /// Runs the test of that name again, in a process that ignores SIGHUP.
    fn again_with_hup_ignored(name: &str) -> bool {
        let test = std::env::current_exe().unwrap();
        let script = r#"trap "" HUP; exec "$0" --exact "$1" --ignored"#;
        let arguments = ["-c", script, test.to_str().unwrap(), name];
        std::process::Command::new("sh").args(arguments).status().unwrap().success()
    }

    #[test]
    fn what_is_ignored_stays_ignored() {
        assert!(again_with_hup_ignored("signals::tests::with_hup_ignored"));
    }

    #[test]
    #[ignore = "what_is_ignored_stays_ignored runs it"]
    fn with_hup_ignored() {
        let signals = Signals::watch().unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        assert_eq!(signals.poll_fds().count(), 2);
        assert_eq!(ignored_signals().unwrap() & bit(Signal::HUP), bit(Signal::HUP));
    }
}
