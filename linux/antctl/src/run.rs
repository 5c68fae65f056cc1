//! `antctl run`: the program has this terminal; its end is ours.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use antd::protocol::{Outcome, Reply, Request, Run};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode, umask};

use crate::arguments::RunArguments;
use crate::connect::{ConnectError, Daemon, connect};
use crate::find::{FindError, find};
use crate::output::complain;

/// Exit status: `antctl`, `antd` or AnT failed.
const FAILED: u8 = 125;
/// Exit status: not a program for AnT.
const NOT_EXECUTABLE: u8 = 126;
/// Exit status: no such program.
const NOT_FOUND: u8 = 127;
/// Exit status: this and the number of the signal.
const SIGNAL: i32 = 128;

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Refused(String),
    #[error("the current directory cannot be entered: {0}; go to another one")]
    Directory(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<Errno> for RunError {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// What ended the wait.
enum End {
    Over(Outcome),
    /// The user does not wait any longer.
    Interrupted(Signal),
}

/// Runs a program. Its exit status.
pub fn run(arguments: &RunArguments) -> ExitCode {
    let name = arguments.program.to_string_lossy();
    let code = match try_run(arguments) {
        Ok((End::Over(outcome), asked)) => {
            let (code, text) = judge(&outcome, asked);
            if let Some(text) = text {
                complain(&format!("{name}: {text}"));
            }
            code
        }
        Ok((End::Interrupted(signal), _)) => {
            complain(&format!("{name}: not waited for; antd ends it"));
            (SIGNAL + signal as i32) as u8
        }
        Err(error) => {
            complain(&error.to_string());
            match error {
                RunError::Find(FindError::NotFound(_)) => NOT_FOUND,
                RunError::Find(FindError::NotExecutable(..)) => NOT_EXECUTABLE,
                _ => FAILED,
            }
        }
    };
    ExitCode::from(code)
}

/// Runs a program: how it ended, and the signal that was passed on to it.
fn try_run(arguments: &RunArguments) -> Result<(End, Option<Signal>), RunError> {
    // Before anything is started, so that none is lost.
    let signals = watch_signals()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemon = connect()?;
    let program = find(&arguments.program, &path)?;
    let directory = current_directory().map_err(RunError::Directory)?;
    let request = Request::Run(Run {
        cpu: arguments.cpu,
        program: program.into_os_string(),
        args: arguments.args.clone(),
        umask: current_umask(),
    });
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), directory.as_fd()];
    daemon.send_with(&request, &descriptors)?;
    wait(&daemon, &signals)
}

fn wait(daemon: &Daemon, signals: &SignalFd) -> Result<(End, Option<Signal>), RunError> {
    let mut asked = None;
    loop {
        let mut files = [
            PollFd::new(daemon.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut files, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            result => result?,
        };
        let [replied, signalled] = files.map(|file| file.any().unwrap_or(true));
        if replied {
            match daemon.receive()? {
                Reply::Started { .. } => {}
                Reply::Over(outcome) => return Ok((End::Over(outcome), asked)),
                Reply::Failed(text) => return Err(RunError::Refused(text)),
                other => return Err(RunError::Refused(format!("antd answered {other:?}"))),
            }
        }
        if signalled && let Some(signal) = next_signal(signals)? {
            if asked.is_some() {
                return Ok((End::Interrupted(signal), asked));
            }
            asked = Some(signal);
            daemon.send_with(&Request::End { signal: signal as i32 }, &[])?;
        }
    }
}

/// Exit status and message for an outcome. `asked`: the signal that the user sent.
fn judge(outcome: &Outcome, asked: Option<Signal>) -> (u8, Option<String>) {
    let by_signal = |signal: i32| (SIGNAL + signal) as u8;
    match outcome {
        Outcome::Exited { status } => (*status, None),
        Outcome::Faulted { signal, text } => (by_signal(*signal), Some(text.clone())),
        // Who asked for it need not be told, nor who closed the pipe.
        Outcome::Killed { signal, .. }
            if asked.is_some_and(|asked| asked as i32 == *signal)
                || *signal == Signal::SIGPIPE as i32 =>
        {
            (by_signal(*signal), None)
        }
        Outcome::Killed { signal, text } => (by_signal(*signal), Some(text.clone())),
        Outcome::LoadFailed { errno, text } => {
            let code = if *errno == Errno::ENOENT as i32 { NOT_FOUND } else { NOT_EXECUTABLE };
            (code, Some(text.clone()))
        }
        Outcome::ProxyDied { signal: 0, text } | Outcome::Lost { text } => {
            (FAILED, Some(text.clone()))
        }
        Outcome::ProxyDied { signal, text } => (by_signal(*signal), Some(text.clone())),
    }
}

/// The signals with which people end a program.
fn watch_signals() -> Result<SignalFd, Errno> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        set.add(signal);
    }
    set.thread_block()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

fn next_signal(signals: &SignalFd) -> Result<Option<Signal>, Errno> {
    let info = signals.read_signal()?;
    Ok(info.and_then(|info| Signal::try_from(info.ssi_signo.cast_signed()).ok()))
}

/// This directory, without the need to read it.
fn current_directory() -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(".")
}

fn current_umask() -> u32 {
    let mask = umask(Mode::empty());
    umask(mask);
    mask.bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_those_of_shells() {
        let text = || String::from("why");
        let code = |outcome| judge(&outcome, None).0;
        assert_eq!(code(Outcome::Exited { status: 7 }), 7);
        assert_eq!(code(Outcome::Faulted { signal: 11, text: text() }), 139);
        assert_eq!(code(Outcome::Killed { signal: 15, text: text() }), 143);
        assert_eq!(code(Outcome::LoadFailed { errno: 2, text: text() }), 127);
        assert_eq!(code(Outcome::LoadFailed { errno: 8, text: text() }), 126);
        assert_eq!(code(Outcome::ProxyDied { signal: 9, text: text() }), 137);
        assert_eq!(code(Outcome::ProxyDied { signal: 0, text: text() }), 125);
        assert_eq!(code(Outcome::Lost { text: text() }), 125);
    }

    #[test]
    fn who_pressed_ctrl_c_is_not_told() {
        let killed = Outcome::Killed { signal: 2, text: "SIGINT".into() };
        assert_eq!(judge(&killed, Some(Signal::SIGINT)), (130, None));
        assert_eq!(judge(&killed, None), (130, Some("SIGINT".into())));
        let pipe = Outcome::Killed { signal: 13, text: "SIGPIPE".into() };
        assert_eq!(judge(&pipe, None), (141, None));
    }
}
