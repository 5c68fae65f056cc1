//! The QEMU process: never outlives us, is killed when dropped.

use crate::linux_log::LinuxLog;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// A running QEMU.
pub struct Qemu {
    child: Arc<Mutex<Child>>,
    follower: Option<thread::JoinHandle<()>>,
}

impl Qemu {
    /// Starts `command`; it inherits `agent`. Its standard output goes to `log`, its complaints
    /// to `errors`.
    pub fn start(
        mut command: Command,
        agent: OwnedFd,
        log: Arc<LinuxLog>,
        errors: File,
        on_trouble: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        inherit_and_die_with_us(&mut command, agent.as_fd());
        // The death signal comes when the *thread* that started the process ends. So QEMU is
        // started by the thread that reads its output until it is gone.
        let (started, result) = mpsc::channel();
        let follower = thread::spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(agent);
            let com1 = child.stdout.take();
            started.send(Ok(Arc::new(Mutex::new(child)))).ok();
            if let Some(com1) = com1 {
                log.follow(com1, on_trouble);
            }
        });
        let child = result.recv().map_err(io::Error::other)??;
        Ok(Self { child, follower: Some(follower) })
    }

    /// Kills QEMU and waits until it is gone and its output has been read.
    pub fn stop(&mut self) {
        {
            let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
            child.kill().ok();
            child.wait().ok();
        }
        if let Some(follower) = self.follower.take() {
            follower.join().ok();
        }
    }

    /// True once QEMU has ended by itself.
    pub fn is_over(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        self.stop();
    }
}

fn inherit_and_die_with_us(command: &mut Command, fd: BorrowedFd<'_>) {
    let fd = fd.as_raw_fd();
    // SAFETY: only system calls between fork and exec. `fd` is open at that time: its owner is
    // moved into the thread that forks and dropped after.
    unsafe {
        command.pre_exec(move || {
            fcntl_setfd(BorrowedFd::borrow_raw(fd), FdFlags::empty())?;
            set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
}
