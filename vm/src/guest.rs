//! A guest: boots, runs commands, ends.

use crate::accel::Accel;
use crate::agent::{Agent, Event, Session};
use crate::image::{self, ExtraFile};
use crate::linux_log::{LinuxLog, is_stall};
use crate::machine::Machine;
use crate::qemu::Qemu;
use crate::{kernels, paths};
use ant_agent::{BOOT_COMMAND, BOOT_ID, Start};
use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How long a boot may take; a busy host with two CPUs needs a good part of it.
pub const BOOT_LIMIT: Duration = Duration::from_secs(180);
/// How long a trial boot with KVM may take; where KVM works, it takes two seconds.
const KVM_LIMIT: Duration = Duration::from_secs(30);
/// How long a boot with a command in it may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30 * 60);
/// Extension of the file with what QEMU complains about, beside Linux's log.
const QEMU_LOG: &str = "qemu.log";
/// QEMU complains so about a mistake of its own.
const QEMU_FAILED: &str = ": Assertion `";
/// How long Linux may go on after trouble, so that its log holds the whole report.
const REPORT_TIME: Duration = Duration::from_secs(2);

/// What can go wrong with a guest.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// No kernel to boot.
    #[error(transparent)]
    Kernel(#[from] kernels::KernelError),
    /// The image or a log could not be made, or QEMU not be started.
    #[error("cannot start the guest: {0} (`./ant setup` installs what is missing)")]
    Start(#[from] io::Error),
    /// QEMU or Linux ended.
    #[error("{}", gone(.panicked, .qemu, .tail, .log))]
    Gone {
        /// Linux panicked.
        panicked: bool,
        /// What QEMU complained about.
        qemu: String,
        /// The end of Linux's log.
        tail: Vec<String>,
        /// All of Linux's log.
        log: PathBuf,
    },
    /// Linux's log shows that Linux is damaged.
    #[error("Linux's log shows trouble:\n{}\n(all of it: {})", .lines.join("\n"), .log.display())]
    Trouble {
        /// From the first bad line on.
        lines: Vec<String>,
        /// All of Linux's log.
        log: PathBuf,
    },
    /// Nothing happened for too long.
    #[error("the guest is not ready after {} s; the end of its log:\n{}", .limit.as_secs(), .tail.join("\n"))]
    BootLimit {
        /// How long was waited.
        limit: Duration,
        /// The end of Linux's log.
        tail: Vec<String>,
    },
    /// A command took too long and was killed.
    #[error("no end after {} s: {command}", .limit.as_secs())]
    TimeLimit {
        /// The command.
        command: String,
        /// Its limit.
        limit: Duration,
        /// What it had printed, output and error output.
        printed: Box<Output>,
    },
}

impl GuestError {
    /// Whether a boot has failed without anything that is in the guest: QEMU has run into an assertion
    /// of its own (its MSI-X emulation was seen to), or a processor got no timer interrupts, as happens
    /// when the host stands still.
    fn is_of_emulation(&self) -> bool {
        match self {
            Self::Gone { qemu, .. } => qemu.contains(QEMU_FAILED),
            Self::Trouble { lines, .. } => lines.first().is_some_and(|line| is_stall(line)),
            _ => false,
        }
    }
}

fn gone(panicked: &bool, qemu: &str, tail: &[String], log: &std::path::Path) -> String {
    if tail.is_empty() && !qemu.is_empty() {
        return format!("QEMU did not start the guest:\n{qemu}");
    }
    let what = if *panicked { "the guest's Linux panicked" } else { "the guest is gone" };
    let qemu = if qemu.is_empty() { String::new() } else { format!("\nQEMU says:\n{qemu}") };
    let tail = tail.join("\n");
    format!("{what}; the end of its log:\n{tail}\n(all of it: {}){qemu}", log.display())
}

/// What to do when Linux's log shows trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTrouble {
    /// Stop the guest; a caller that waits for it gets [`GuestError::Trouble`].
    Stop,
    /// Go on: a person is looking.
    GoOn,
}

/// What a command printed, and its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// 0 to 255; 128 + n for signal n.
    pub status: i32,
    /// What it printed.
    pub stdout: String,
    /// What it printed to its error output.
    pub stderr: String,
}

/// A running guest; it ends when this is dropped.
pub struct Guest {
    // Dropped last to first does not matter: QEMU's end closes the agent's port.
    qemu: Qemu,
    agent: Agent,
    log: Arc<LinuxLog>,
    on_trouble: OnTrouble,
}

impl Guest {
    /// Boots `machine` and waits until it takes commands. If the emulation fails meanwhile, which is
    /// no fault of the guest, boots once more.
    ///
    /// # Errors
    /// When there is no kernel, QEMU does not start, or Linux does not boot.
    pub fn boot(machine: &Machine, on_trouble: OnTrouble) -> Result<Self, GuestError> {
        match Self::boot_once(machine, on_trouble) {
            Err(error) if error.is_of_emulation() => {
                eprintln!(
                    "the emulation has failed while the guest was booting; once more: {error}"
                );
                Self::boot_once(machine, on_trouble)
            }
            booted => booted,
        }
    }

    fn boot_once(machine: &Machine, on_trouble: OnTrouble) -> Result<Self, GuestError> {
        let (guest, ready) = Self::start(machine, on_trouble)?;
        guest.wait_ready(&ready, BOOT_LIMIT)?;
        Ok(guest)
    }

    /// Boots `machine`, which runs `command` before it exchanges frames with the host, as answers
    /// come a little sooner or later each time: for figures that are the same in every run. The
    /// command has no input, and its output comes at its end.
    ///
    /// # Errors
    /// As [`Self::boot`].
    pub fn boot_into(
        machine: &Machine,
        command: &Start,
        on_trouble: OnTrouble,
    ) -> Result<(Self, Session), GuestError> {
        let mut machine = machine.clone();
        machine.files.push(ExtraFile {
            path: BOOT_COMMAND.to_owned(),
            mode: 0o600,
            content: command.encode(),
        });
        let (guest, ready) = Self::start(&machine, on_trouble)?;
        let session = guest.agent.attach(BOOT_ID);
        guest.wait_ready(&ready, COMMAND_LIMIT)?;
        Ok((guest, session))
    }

    /// Runs `command` with `sh -c` as root, for at most `limit`.
    ///
    /// # Errors
    /// When it takes longer (it is killed then), or the guest is gone.
    pub fn run(&self, command: &str, limit: Duration) -> Result<Output, GuestError> {
        self.run_as("root", command, limit)
    }

    /// As [`Self::run`], as the user `user`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_as(&self, user: &str, command: &str, limit: Duration) -> Result<Output, GuestError> {
        let session = self.spawn(&shell(user, command));
        session.input().end();
        self.finish(&session, command, limit)
    }

    /// Starts a command and returns at once.
    pub fn spawn(&self, start: &Start) -> Session {
        self.agent.start(start)
    }

    /// Waits for the end of `session`, at most `limit`; `command` is for the message.
    ///
    /// # Errors
    /// When it takes longer (it is killed then), or the guest is gone.
    pub fn finish(
        &self,
        session: &Session,
        command: &str,
        limit: Duration,
    ) -> Result<Output, GuestError> {
        let deadline = Instant::now() + limit;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let output = |status, stdout: &[u8], stderr: &[u8]| Output {
            status,
            stdout: String::from_utf8_lossy(stdout).into_owned(),
            stderr: String::from_utf8_lossy(stderr).into_owned(),
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match session.events.recv_timeout(left) {
                Ok(Event::Stdout(bytes)) => stdout.extend(bytes),
                Ok(Event::Stderr(bytes)) => stderr.extend(bytes),
                Ok(Event::Exit(status)) => return Ok(output(status, &stdout, &stderr)),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    session.kill();
                    let printed = Box::new(output(-1, &stdout, &stderr));
                    let command = command.to_owned();
                    return Err(GuestError::TimeLimit { command, limit, printed });
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(self.why_gone()),
            }
        }
    }

    /// Why nothing comes from the guest any more.
    pub fn why_gone(&self) -> GuestError {
        let log = self.log.path().to_owned();
        if self.on_trouble == OnTrouble::Stop
            && let Some(lines) = self.log.trouble(60)
        {
            return GuestError::Trouble { lines, log };
        }
        // The port closes a moment before the last of the log has been read.
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.qemu.is_over() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(100));
        let qemu = fs::read_to_string(log.with_extension(QEMU_LOG)).unwrap_or_default();
        let qemu = qemu.trim_end().to_owned();
        let panicked = self.log.has_panicked();
        // So that it says why.
        let tail = self.log.tail(if panicked { 100 } else { 40 });
        GuestError::Gone { panicked, qemu, tail, log }
    }

    /// Linux's log.
    pub fn log(&self) -> &LinuxLog {
        &self.log
    }

    fn start(
        machine: &Machine,
        on_trouble: OnTrouble,
    ) -> Result<(Self, mpsc::Receiver<()>), GuestError> {
        let accel = Accel::choose(|| {
            let trial = Self::start_with(Accel::Kvm, &Machine::new(&machine.kernel), on_trouble);
            trial.is_ok_and(|(guest, ready)| guest.wait_ready(&ready, KVM_LIMIT).is_ok())
        });
        Self::start_with(accel, machine, on_trouble)
    }

    fn start_with(
        accel: Accel,
        machine: &Machine,
        on_trouble: OnTrouble,
    ) -> Result<(Self, mpsc::Receiver<()>), GuestError> {
        let kernel = kernels::image(&machine.kernel)?;
        let initrd = image::make(&machine.kernel, &machine.files)?;
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into();
        let command =
            machine.command(accel, &kernel, &initrd, std::os::fd::AsRawFd::as_raw_fd(&theirs));

        let log_path = new_log_path()?;
        let errors = File::create(log_path.with_extension(QEMU_LOG))?;
        let log = Arc::new(LinuxLog::new(log_path));
        let (sender, ready) = mpsc::channel();
        let agent = Agent::connect(ours.try_clone()?, sender)?;
        let stop_after_report = move || {
            if on_trouble == OnTrouble::Stop {
                thread::spawn(move || {
                    thread::sleep(REPORT_TIME);
                    // The owner of the guest learns of it by this, and kills QEMU.
                    ours.shutdown(std::net::Shutdown::Both).ok();
                });
            }
        };
        let qemu = Qemu::start(command, theirs, log.clone(), errors, stop_after_report)?;
        Ok((Self { qemu, agent, log, on_trouble }, ready))
    }

    fn wait_ready(&self, ready: &mpsc::Receiver<()>, limit: Duration) -> Result<(), GuestError> {
        match ready.recv_timeout(limit) {
            Ok(()) => Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(GuestError::BootLimit { limit, tail: self.log.tail(40) })
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(self.why_gone()),
        }
    }
}

/// A command for `sh -c`.
pub fn shell(user: &str, command: &str) -> Start {
    Start {
        argv: ["sh", "-c", command].map(str::to_owned).to_vec(),
        user: user.to_owned(),
        ..Start::default()
    }
}

/// A log of our own, though several guests run at once; the oldest ones go.
fn new_log_path() -> io::Result<PathBuf> {
    /// Numbers the guests of this process; only uniqueness matters.
    static GUESTS: AtomicU32 = AtomicU32::new(0);
    const KEEP: usize = 60;
    let dir = paths::logs();
    fs::create_dir_all(&dir)?;
    let mut old: Vec<_> = fs::read_dir(&dir)?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("vm-"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    old.sort();
    for (_, path) in old.iter().rev().skip(KEEP) {
        fs::remove_file(path).ok();
    }
    let number = GUESTS.fetch_add(1, Ordering::Relaxed);
    Ok(dir.join(format!("vm-{}-{number}.log", std::process::id())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_emulations_own_failures_are_tried_again() {
        let gone = |qemu: &str| {
            let (qemu, log) = (qemu.to_owned(), PathBuf::new());
            GuestError::Gone { panicked: false, qemu, tail: Vec::new(), log }
        };
        let trouble =
            |line: &str| GuestError::Trouble { lines: vec![line.to_owned()], log: PathBuf::new() };
        assert!(gone("qemu: hw/pci/msix.c:228: f: Assertion `a <= b' failed.").is_of_emulation());
        assert!(trouble("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:").is_of_emulation());
        for error in [gone("no such file"), gone(""), trouble("WARNING: CPU: 1 PID: 7")] {
            assert!(!error.is_of_emulation(), "{error}");
        }
    }
}
