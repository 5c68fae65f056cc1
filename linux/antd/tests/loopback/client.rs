//! `antctl`, played by a test.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ant_protocol::{Connection, ExitReason, MessageError, Reply, Request, Run, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::player::LIMIT;

/// `antctl`, played.
pub struct Client(pub Connection);

impl Client {
    pub fn send(&self, request: &Request) {
        self.0.send(request, &[]).unwrap();
    }

    /// Asks to run a program in `dir` with `stdin`.
    pub fn run(&self, dir: &Path, stdin: BorrowedFd<'_>) {
        let null = OwnedFd::from(fs::OpenOptions::new().write(true).open("/dev/null").unwrap());
        let dir = OwnedFd::from(fs::File::open(dir).unwrap());
        let run = Run {
            cpu: Some(2),
            program: "/usr/lib/ant/apps/wc".into(),
            args: vec!["-l".into()],
            umask: 0o027,
        };
        let descriptors = [stdin, null.as_fd(), null.as_fd(), dir.as_fd()];
        self.0.send(&Request::Run(run), &descriptors).unwrap();
    }

    /// Waits for a reply.
    pub fn reply(&self) -> Reply {
        self.try_reply().unwrap()
    }

    pub fn try_reply(&self) -> Result<Reply, MessageError> {
        assert!(self.is_readable(LIMIT), "no reply");
        self.0.receive()
    }

    /// Whether a reply is there.
    pub fn has_reply(&self) -> bool {
        self.is_readable(Duration::ZERO)
    }

    fn is_readable(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).unwrap();
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    }

    /// Waits for a refusal; its text.
    pub fn refusal(&self) -> String {
        failed(self.reply())
    }

    /// Waits for the state of AnT.
    pub fn status(&self) -> Status {
        match self.reply() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end of its program, of which AnT does not say why; the text.
    pub fn lost(&self) -> String {
        match self.reply() {
            Reply::Over(ExitReason::Lost { text }) => text,
            other => panic!("{other:?}"),
        }
    }
}

/// What was done.
pub fn done(reply: Reply) -> String {
    match reply {
        Reply::Done(text) => text,
        other => panic!("{other:?}"),
    }
}

/// What was refused, and why.
pub fn failed(reply: Reply) -> String {
    match reply {
        Reply::Failed(text) => text,
        other => panic!("{other:?}"),
    }
}
