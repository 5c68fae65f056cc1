//! The signals with which people end a program, as pipes to poll.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;
use signal_hook::low_level::pipe;

/// Which signals.
const WATCHED: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Signals that are caught from now on.
pub struct Signals([(Signal, UnixStream); WATCHED.len()]);

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn watch() -> io::Result<Self> {
        let watch = |signal: Signal| {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            pipe::register(signal.as_raw(), writer)?;
            io::Result::Ok((signal, reader))
        };
        let [int, term, hup] = WATCHED.map(watch);
        Ok(Self([int?, term?, hup?]))
    }

    /// What to poll to learn that one has come.
    pub fn poll_fds(&self) -> [PollFd<'_>; WATCHED.len()] {
        self.0.each_ref().map(|(_, reader)| PollFd::new(reader, PollFlags::IN))
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
        retry_on_intr(|| poll(&mut signals.poll_fds(), None)).unwrap();
        assert_eq!(signals.next().unwrap(), Some(Signal::TERM));
        assert_eq!(signals.next().unwrap(), None);
    }
}
