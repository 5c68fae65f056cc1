//! The proxy processes: forked, woken, killed, reaped.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ant_dev::Binder;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

use crate::channel::{Assignment, Notice, ParentEnd, channel};
use crate::poller::{Poller, Source};
use crate::proxy;
use crate::sys;
use crate::table::{Leaving, ProxyId};

/// How long killed proxies may take to go.
const REAP_LIMIT: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Proxy {
    pid: Pid,
    /// Readable when it has ended.
    ended: OwnedFd,
    channel: ParentEnd,
}

/// A proxy that has ended.
#[derive(Debug)]
pub struct Departed {
    /// Linux's number.
    pub pid: i32,
    /// How it left.
    pub how: Leaving,
    /// What it said, if it did.
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
    /// How many are kept idle.
    prefork: usize,
    /// Forks so far.
    pub forks: u64,
    /// Wake-ups so far.
    pub wakes: u64,
}

impl Proxies {
    /// None yet; `prefork` shall be idle.
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
                    tracing::warn!("a proxy in advance could not be made: {errno}");
                    return;
                }
            }
        }
    }

    /// Gives `assignment` to an idle proxy or a new one. The proxy is awake then.
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
            // One that has died meanwhile is reaped in its time.
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
        let watched = sys::child_descriptor(pid).and_then(|ended| {
            poller.add(&ended, Source::Proxy(id), EpollFlags::EPOLLIN)?;
            Ok(ended)
        });
        match watched {
            Ok(ended) => {
                self.all.insert(id, Proxy { pid, ended, channel: parent_end });
                Ok(id)
            }
            Err(errno) => {
                let _ = kill(pid, Signal::SIGKILL);
                let _ = waitpid(pid, None);
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

    /// Kills a proxy; it is reaped in its time.
    pub fn kill(&self, id: ProxyId) {
        if let Some(proxy) = self.all.get(&id) {
            // Not reaped, so the number is still its.
            let _ = kill(proxy.pid, Signal::SIGKILL);
        }
    }

    /// Linux's number of a proxy.
    #[must_use]
    pub fn pid(&self, id: ProxyId) -> Option<i32> {
        self.all.get(&id).map(|proxy| proxy.pid.as_raw())
    }

    /// Whether fewer are idle than there shall be.
    #[must_use]
    pub fn lacking(&self) -> bool {
        self.idle.len() < self.prefork
    }

    /// Proxies that wait for an LCA.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Reaps a proxy, if it has ended.
    pub fn reap(&mut self, id: ProxyId, poller: &Poller) -> Option<Departed> {
        let proxy = self.all.get(&id)?;
        let status = waitpid(proxy.pid, Some(WaitPidFlag::WNOHANG));
        if matches!(status, Ok(WaitStatus::StillAlive) | Err(Errno::EINTR)) {
            return None;
        }
        poller.remove(proxy.ended.as_fd());
        let proxy = self.all.remove(&id)?;
        self.idle.retain(|&idle| idle != id);
        let notice = proxy.channel.notice();
        let (how, signal) = match (status, &notice) {
            (Ok(WaitStatus::Exited(_, 0)), Some(Notice::OneShot)) => (Leaving::OneShot, None),
            (Ok(WaitStatus::Exited(_, 0)), Some(Notice::Ended { .. })) => (Leaving::Ended, None),
            (Ok(WaitStatus::Signaled(_, signal, _)), _) => (Leaving::Died, Some(signal as i32)),
            _ => (Leaving::Died, None),
        };
        Some(Departed { pid: proxy.pid.as_raw(), how, notice, signal })
    }

    /// Kills all and reaps them. One that Linux holds in an uninterruptible wait is left behind:
    /// the module has taken its mapping.
    pub fn end(mut self, poller: &Poller) {
        for &id in self.all.keys() {
            self.kill(id);
        }
        let limit = Instant::now() + REAP_LIMIT;
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
            tracing::warn!("proxy {} does not die, left behind", proxy.pid);
        }
    }
}
