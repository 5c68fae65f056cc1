//! What the daemon waits for.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::clients::ClientId;
use crate::table::ProxyId;

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Somebody connects.
    Listener,
    /// A signal to the daemon.
    Signals,
    /// The control file.
    Partition,
    /// The control channel to `init`.
    Init,
    /// A connection.
    Client(ClientId),
    /// A proxy ended.
    Proxy(ProxyId),
}

/// Bits of an event's data that hold the kind of its source.
const KIND_SHIFT: u32 = 60;

impl Source {
    fn to_data(self) -> u64 {
        let (kind, id) = match self {
            Source::Listener => (0, 0),
            Source::Signals => (1, 0),
            Source::Partition => (2, 0),
            Source::Init => (3, 0),
            Source::Client(ClientId(id)) => (4, id),
            Source::Proxy(ProxyId(id)) => (5, id),
        };
        kind << KIND_SHIFT | id
    }

    fn from_data(data: u64) -> Option<Self> {
        let id = data & ((1 << KIND_SHIFT) - 1);
        Some(match data >> KIND_SHIFT {
            0 => Source::Listener,
            1 => Source::Signals,
            2 => Source::Partition,
            3 => Source::Init,
            4 => Source::Client(ClientId(id)),
            5 => Source::Proxy(ProxyId(id)),
            _ => return None,
        })
    }
}

/// Waits for several things at once.
#[derive(Debug)]
pub struct Poller(Epoll);

impl Poller {
    /// Waits for nothing yet.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Waits for `flags` of `file`, too.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn add(&self, file: impl AsFd, source: Source, flags: EpollFlags) -> Result<(), Errno> {
        self.0.add(file, EpollEvent::new(flags, source.to_data()))
    }

    /// Waits for other `flags` of `file`.
    pub fn change(&self, file: impl AsFd, source: Source, flags: EpollFlags) {
        let _ = self.0.modify(file, &mut EpollEvent::new(flags, source.to_data()));
    }

    /// Waits for it no longer. To be said before it is closed: a child that was just forked may
    /// still have it open.
    pub fn remove(&self, file: impl AsFd) {
        let _ = self.0.delete(file);
    }

    /// Waits until something happens or `timeout` is over.
    ///
    /// # Errors
    ///
    /// A defect of the daemon.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<(Source, EpollFlags)>, Errno> {
        let mut events = [EpollEvent::empty(); 64];
        let timeout = match timeout {
            None => EpollTimeout::NONE,
            // Up, so as not to wake before the time.
            Some(timeout) => {
                let ms = timeout.as_micros().div_ceil(1000).min(60_000) as u16;
                EpollTimeout::from(ms)
            }
        };
        let count = match self.0.wait(&mut events, timeout) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        let known = |event: &EpollEvent| Some((Source::from_data(event.data())?, event.events()));
        Ok(events[..count].iter().filter_map(known).collect())
    }
}
