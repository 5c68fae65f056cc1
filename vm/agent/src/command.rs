//! A running command: threads that carry its input and output, and one that waits for its end.

use crate::account::{self, Account};
use crate::port::Sender;
use ant_agent::{Frame, Kind, Start, TermSize};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, ioctl_tiocsctty, kill_process_group, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long output may stay quiet after the command's end until it counts as all: what the
/// command left running in the background may hold its pipes open for ever.
const QUIET_MS: i64 = 50;

/// A command that was started.
pub struct Running {
    group: Pid,
    /// `None` is the end of the input.
    stdin: mpsc::Sender<Option<Vec<u8>>>,
    terminal: Option<OwnedFd>,
    /// Written by the thread that waits for the command; read before each use of `group`.
    over: Arc<AtomicBool>,
}

impl Running {
    /// True once the command has ended.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Gives it input; empty is the end of it.
    pub fn input(&self, bytes: Vec<u8>) {
        // A command that has closed its input does not want it.
        self.stdin.send((!bytes.is_empty()).then_some(bytes)).ok();
    }

    /// Kills it and what it started.
    pub fn kill(&self) {
        if !self.is_over() {
            kill_process_group(self.group, Signal::KILL).ok();
        }
    }

    /// Sets its terminal's size.
    pub fn resize(&self, size: TermSize) {
        if let Some(terminal) = &self.terminal {
            set_size(terminal, size).ok();
        }
    }
}

/// Runs `start`, which has no input, to its end.
pub fn run_to_end(start: &Start) -> io::Result<Output> {
    prepare(start, &account::find(&start.user)?).stdin(Stdio::null()).output()
}

/// Starts `start` as the command `id`; its output and end go to `sender`.
pub fn start(id: u32, start: &Start, sender: &Sender) -> io::Result<Running> {
    let account = account::find(&start.user)?;
    let mut command = prepare(start, &account);
    let (child, stdin, outputs, terminal) = match start.terminal {
        Some(size) => spawn_on_terminal(&mut command, size)?,
        None => spawn_on_pipes(&mut command)?,
    };
    let group = Pid::from_child(&child);
    let over = Arc::new(AtomicBool::new(false));

    let (stdin_sender, stdin_receiver) = mpsc::channel();
    thread::spawn(move || carry_input(stdin, &stdin_receiver));
    let (all_out, drained) = mpsc::channel();
    for (kind, from) in outputs {
        let (sender, over, all_out) = (sender.clone(), over.clone(), all_out.clone());
        thread::spawn(move || carry_output(from, kind, id, &sender, &over, all_out));
    }
    drop(all_out);
    let (sender, over_after) = (sender.clone(), over.clone());
    thread::spawn(move || wait(child, id, &sender, &over_after, &drained));
    Ok(Running { group, stdin: stdin_sender, terminal, over })
}

fn prepare(start: &Start, account: &Account) -> Command {
    let mut command = Command::new(start.argv.first().map_or("", String::as_str));
    let dir = if start.dir.is_empty() { &account.home } else { &start.dir };
    command
        .args(&start.argv[1..])
        .env_clear()
        .env("PATH", PATH)
        .env("HOME", &account.home)
        .env("USER", &account.name)
        .env("LOGNAME", &account.name)
        .env("SHELL", "/bin/sh")
        .env("LANG", "C.UTF-8")
        .current_dir(dir);
    if account.uid != 0 {
        command.uid(account.uid).gid(account.gid);
    }
    command
}

type Outputs = Vec<(Kind, OwnedFd)>;
type Spawned = (Child, OwnedFd, Outputs, Option<OwnedFd>);

fn spawn_on_pipes(command: &mut Command) -> io::Result<Spawned> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let missing = || io::Error::other("a pipe that was asked for is missing");
    let stdin = child.stdin.take().ok_or_else(missing)?.into();
    let stdout = child.stdout.take().ok_or_else(missing)?.into();
    let stderr = child.stderr.take().ok_or_else(missing)?.into();
    Ok((child, stdin, vec![(Kind::Stdout, stdout), (Kind::Stderr, stderr)], None))
}

fn spawn_on_terminal(command: &mut Command, size: TermSize) -> io::Result<Spawned> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    set_size(&master, size)?;
    let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
    // The agent leads a session: without NOCTTY the terminal would become its own.
    let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    command.env("TERM", "linux").stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    // SAFETY: only two system calls between fork and exec; nothing that another thread of the
    // agent could hold locked at the fork is touched.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            ioctl_tiocsctty(io::stdin())?;
            Ok(())
        });
    }
    let child = command.spawn()?;
    let outputs = vec![(Kind::Stdout, master.try_clone()?)];
    Ok((child, master.try_clone()?, outputs, Some(master)))
}

fn set_size(terminal: &OwnedFd, size: TermSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}

fn carry_input(to: OwnedFd, from: &mpsc::Receiver<Option<Vec<u8>>>) {
    let mut to = File::from(to);
    while let Ok(Some(bytes)) = from.recv() {
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn carry_output(
    from: OwnedFd,
    kind: Kind,
    id: u32,
    sender: &Sender,
    over: &AtomicBool,
    all_out: mpsc::Sender<()>,
) {
    let mut from = File::from(from);
    let mut buffer = vec![0; 32 << 10];
    // Dropped as soon as the command's own output is known to be complete.
    let mut all_out = Some(all_out);
    loop {
        let was_over = over.load(Ordering::Acquire);
        let quiet = Timespec { tv_sec: 0, tv_nsec: QUIET_MS * 1_000_000 };
        let ready = poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&quiet));
        if matches!(ready, Ok(0)) {
            if was_over {
                all_out = None;
            }
            continue;
        }
        match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal reads as EIO when its last user is gone.
            Ok(0) | Err(_) => return,
            // What comes later is from the background: taken, so that it does not block.
            Ok(_) if all_out.is_none() => {}
            Ok(len) => sender.send(Frame::new(kind, id, &buffer[..len])),
        }
    }
}

fn wait(
    mut child: Child,
    id: u32,
    sender: &Sender,
    over: &AtomicBool,
    drained: &mpsc::Receiver<()>,
) {
    let status = child.wait();
    over.store(true, Ordering::Release);
    // Nothing is ever sent: this waits until every sender is dropped.
    drained.recv().ok();
    let code = status.map_or(255, code);
    sender.send(Frame::new(Kind::Exit, id, code.to_le_bytes()));
}

/// A status as a shell has it: 128 + n for signal n.
pub fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}
