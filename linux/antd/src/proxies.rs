//! The proxy processes: forked, woken, killed, reaped.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ant_dev::Binder;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, kill_process, pidfd_open, waitpid,
};

use crate::channel::{Assignment, Notice, ParentEnd, channel};
use crate::ids::ProxyId;
use crate::poller::{Poller, Source};
use crate::proxy;
use crate::sys;
use crate::table::ProxyExitKind;

/// How long killed proxies may take to exit.
const REAP_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Proxy {
    pid: Pid,
    /// Readable when it has ended.
    ended: OwnedFd,
    channel: ParentEnd,
}

/// A proxy has exited.
#[derive(Debug)]
pub struct ProxyExit {
    /// Linux's pid of it.
    pub pid: i32,
    /// How it exited.
    pub kind: ProxyExitKind,
    /// Why, if it said so.
    pub notice: Option<Notice>,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// All proxies of a partition.
pub struct Proxies {
    all: HashMap<ProxyId, Proxy>,
    idle: VecDeque<ProxyId>,
    next: u64,
    binder: Box<dyn Binder>,
    /// How many to keep idle.
    prefork: usize,
    /// Forks so far.
    pub forks: u64,
    /// Wake-ups so far.
    pub wakes: u64,
}

impl Proxies {
    /// None yet; `prefork` are kept idle.
    #[must_use]
    pub fn new(binder: Box<dyn Binder>, prefork: usize) -> Self {
        let (all, idle) = (HashMap::new(), VecDeque::new());
        Self { all, idle, next: 0, binder, prefork, forks: 0, wakes: 0 }
    }

    /// Forks until enough are idle.
    pub fn refill(&mut self, poller: &Poller) {
        while self.lacking() {
            match self.fork(poller) {
                Ok(id) => self.idle.push_back(id),
                Err(errno) => {
                    tracing::warn!("cannot fork a proxy in advance: {errno}");
                    return;
                }
            }
        }
    }

    /// Gives `assignment` to an idle proxy or a new one, which wakes it.
    ///
    /// # Errors
    ///
    /// No process could be made.
    pub fn assign(
        &mut self,
        assignment: &Assignment,
        descriptors: &[BorrowedFd<'_>; 4],
        poller: &Poller,
    ) -> Result<ProxyId, Errno> {
        while let Some(id) = self.idle.pop_front() {
            // One that has died meanwhile is reaped when its descriptor reports it.
            if self.all[&id].channel.assign(assignment, descriptors).is_ok() {
                return Ok(id);
            }
        }
        let id = self.fork(poller)?;
        if let Err(errno) = self.all[&id].channel.assign(assignment, descriptors) {
            self.kill(id);
            return Err(errno);
        }
        Ok(id)
    }

    fn fork(&mut self, poller: &Poller) -> Result<ProxyId, Errno> {
        let (parent_end, proxy_end) = channel()?;
        let parent = getpid();
        let binder = &*self.binder;
        let pid = sys::fork_child(|| proxy::run(proxy_end, binder, parent))?;
        self.next += 1;
        self.forks += 1;
        let id = ProxyId(self.next);
        let watched = pidfd_open(pid, PidfdFlags::empty()).and_then(|ended| {
            poller.add(&ended, Source::Proxy(id), EventFlags::IN)?;
            Ok(ended)
        });
        match watched {
            Ok(ended) => {
                self.all.insert(id, Proxy { pid, ended, channel: parent_end });
                Ok(id)
            }
            Err(errno) => {
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Err(errno)
            }
        }
    }

    /// Wakes a proxy for a further call.
    pub fn wake(&mut self, id: ProxyId) {
        self.wakes += 1;
        if let Some(proxy) = self.all.get(&id) {
            proxy.channel.wake();
        }
    }

    /// Kills a proxy; it is reaped when its descriptor reports it.
    pub fn kill(&self, id: ProxyId) {
        if let Some(proxy) = self.all.get(&id) {
            // Not reaped, so the pid is still its own.
            let _ = kill_process(proxy.pid, Signal::KILL);
        }
    }

    /// Pid of a proxy.
    #[must_use]
    pub fn pid(&self, id: ProxyId) -> Option<i32> {
        self.all.get(&id).map(|proxy| proxy.pid.as_raw_pid())
    }

    /// Whether fewer are idle than are to be kept.
    #[must_use]
    pub fn lacking(&self) -> bool {
        self.idle.len() < self.prefork
    }

    /// Number of proxies that wait for an LCA.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Reaps a proxy, if it has ended.
    pub fn reap(&mut self, id: ProxyId, poller: &Poller) -> Option<ProxyExit> {
        let proxy = self.all.get(&id)?;
        let status = match waitpid(Some(proxy.pid), WaitOptions::NOHANG) {
            Ok(None) | Err(Errno::INTR) => return None,
            Ok(Some((_, status))) => Some(status),
            Err(_) => None,
        };
        poller.remove(proxy.ended.as_fd());
        let proxy = self.all.remove(&id)?;
        self.idle.retain(|&idle| idle != id);
        let notice = proxy.channel.notice();
        let kind = match (status.and_then(|status| status.exit_status()), &notice) {
            (Some(0), Some(Notice::OneShot)) => ProxyExitKind::OneShot,
            (Some(0), Some(Notice::Ended { .. })) => ProxyExitKind::Ended,
            _ => ProxyExitKind::Died,
        };
        let signal = status.and_then(|status| status.terminating_signal());
        Some(ProxyExit { pid: proxy.pid.as_raw_pid(), kind, notice, signal })
    }

    /// Kills all and reaps them. One in an uninterruptible wait is left behind: the module takes its
    /// mapping away.
    pub fn end(mut self, poller: &Poller) {
        for &id in self.all.keys() {
            self.kill(id);
        }
        let limit = Instant::now() + REAP_TIMEOUT;
        while !self.all.is_empty() && Instant::now() < limit {
            let ids: Vec<ProxyId> = self.all.keys().copied().collect();
            for id in ids {
                let _ = self.reap(id, poller);
            }
            if !self.all.is_empty() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        for proxy in self.all.values() {
            poller.remove(proxy.ended.as_fd());
            tracing::warn!("proxy {} does not exit after SIGKILL, left behind", proxy.pid);
        }
    }
}
