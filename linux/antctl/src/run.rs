//! `antctl run`: the program has this terminal; its end is ours.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use ant_protocol::program::{TooLong, check_words_len};
use ant_protocol::{ConnectError, Connection, ExitReason, Reply, Request, Run};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Signal, umask};

use crate::arguments::RunArguments;
use crate::find::{FindError, find};
use crate::output::complain;
use crate::signals::Signals;

/// Exit status: `antctl`, `antd` or AnT failed.
const FAILED: u8 = 125;
/// Exit status: not a program for AnT.
const NOT_EXECUTABLE: u8 = 126;
/// Exit status: no such program.
const NOT_FOUND: u8 = 127;
/// Exit status: this and the number of the signal.
const SIGNAL: i32 = 128;

/// Why there is no exit reason.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    TooLong(#[from] TooLong),
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
    Over(ExitReason),
    /// The user does not wait any longer.
    Interrupted(Signal),
}

/// Runs a program. Its exit status.
pub fn run(arguments: &RunArguments) -> ExitCode {
    let name = arguments.program.to_string_lossy();
    let code = match try_run(arguments) {
        Ok((End::Over(reason), asked)) => {
            let (code, text) = judge(&reason, asked);
            if let Some(text) = text {
                complain(&format!("{name}: {text}"));
            }
            code
        }
        Ok((End::Interrupted(signal), _)) => {
            complain(&format!("{name}: not waited for; antd ends it"));
            (SIGNAL + signal.as_raw()) as u8
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
    let signals = Signals::watch()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemon = Connection::open()?;
    let program = find(&arguments.program, &path)?;
    check_len(&program, &arguments.args)?;
    let directory = current_directory().map_err(RunError::Directory)?;
    let request = Request::Run(Run {
        cpu: arguments.cpu,
        program: program.into_os_string(),
        args: arguments.args.clone(),
        umask: current_umask().bits(),
    });
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let descriptors = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), directory.as_fd()];
    daemon.request(&request, &descriptors)?;
    wait(&daemon, &signals)
}

/// What is too long for AnT is too long for a packet to the daemon, too.
fn check_len(program: &Path, args: &[OsString]) -> Result<(), TooLong> {
    let words = std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str));
    check_words_len(words.map(|word| word.len() + 1).sum())
}

fn wait(daemon: &Connection, signals: &Signals) -> Result<(End, Option<Signal>), RunError> {
    let mut asked = None;
    loop {
        let mut files = vec![PollFd::new(daemon, PollFlags::IN)];
        files.extend(signals.poll_fds());
        retry_on_intr(|| poll(&mut files, None))?;
        if !files[0].revents().is_empty() {
            match daemon.reply()? {
                Reply::Started { .. } => {}
                Reply::Over(reason) => return Ok((End::Over(reason), asked)),
                Reply::Failed(text) => return Err(RunError::Refused(text)),
                other => return Err(RunError::Refused(format!("antd replied {other:?}"))),
            }
        }
        if let Some(signal) = signals.next()? {
            if asked.is_some() {
                return Ok((End::Interrupted(signal), asked));
            }
            asked = Some(signal);
            daemon.request(&Request::End { signal: signal.as_raw() }, &[])?;
        }
    }
}

/// Exit status and message for an exit reason. `asked`: the signal that the user sent.
fn judge(reason: &ExitReason, asked: Option<Signal>) -> (u8, Option<String>) {
    let by_signal = |signal: i32| (SIGNAL + signal) as u8;
    match reason {
        ExitReason::Exited { status } => (*status, None),
        ExitReason::Faulted { signal, text } => (by_signal(*signal), Some(text.clone())),
        // The user has asked for it, or has closed the pipe, and knows.
        ExitReason::Killed { signal, .. }
            if asked.is_some_and(|asked| asked.as_raw() == *signal)
                || *signal == Signal::PIPE.as_raw() =>
        {
            (by_signal(*signal), None)
        }
        ExitReason::Killed { signal, text } => (by_signal(*signal), Some(text.clone())),
        ExitReason::LoadFailed { errno, text } => {
            let code =
                if *errno == Errno::NOENT.raw_os_error() { NOT_FOUND } else { NOT_EXECUTABLE };
            // The number says it all, if there is no text.
            let number = || io::Error::from_raw_os_error(*errno).to_string();
            (code, Some(if text.is_empty() { number() } else { text.clone() }))
        }
        ExitReason::ProxyDied { signal: 0, text } | ExitReason::Lost { text } => {
            (FAILED, Some(text.clone()))
        }
        ExitReason::ProxyDied { signal, text } => (by_signal(*signal), Some(text.clone())),
    }
}

/// This directory, without the need to read it.
fn current_directory() -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(open(".", flags, Mode::empty())?)
}

fn current_umask() -> Mode {
    let mask = umask(Mode::empty());
    umask(mask);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_are_those_of_shells() {
        let text = || String::from("why");
        let code = |reason| judge(&reason, None).0;
        assert_eq!(code(ExitReason::Exited { status: 7 }), 7);
        assert_eq!(code(ExitReason::Faulted { signal: 11, text: text() }), 139);
        assert_eq!(code(ExitReason::Killed { signal: 15, text: text() }), 143);
        assert_eq!(code(ExitReason::LoadFailed { errno: 2, text: text() }), 127);
        assert_eq!(code(ExitReason::LoadFailed { errno: 8, text: text() }), 126);
        assert_eq!(code(ExitReason::ProxyDied { signal: 9, text: text() }), 137);
        assert_eq!(code(ExitReason::ProxyDied { signal: 0, text: text() }), 125);
        assert_eq!(code(ExitReason::Lost { text: text() }), 125);
    }

    #[test]
    fn an_error_without_a_text_has_linuxs() {
        let failed = ExitReason::LoadFailed { errno: 13, text: String::new() };
        let (code, text) = judge(&failed, None);
        assert_eq!((code, text.unwrap().as_str()), (126, "Permission denied (os error 13)"));
    }

    #[test]
    fn too_many_arguments_are_refused_before_they_are_sent() {
        let program = Path::new("/bin/wc");
        assert!(check_len(program, &["a".into()]).is_ok());
        let error = check_len(program, &["a".repeat(200_000).into()]).unwrap_err();
        assert!(
            error.to_string().starts_with("program and arguments have 200009 bytes"),
            "{error}"
        );
    }

    #[test]
    fn a_signal_of_the_user_is_not_reported() {
        let killed = ExitReason::Killed { signal: 2, text: "SIGINT".into() };
        assert_eq!(judge(&killed, Some(Signal::INT)), (130, None));
        assert_eq!(judge(&killed, None), (130, Some("SIGINT".into())));
        let pipe = ExitReason::Killed { signal: 13, text: "SIGPIPE".into() };
        assert_eq!(judge(&pipe, None), (141, None));
    }
}
