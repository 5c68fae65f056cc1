//! The descriptors that the daemon waits for (epoll).

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::ids::{ClientId, ProxyId};

/// Where an event comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The socket, for a new connection.
    Listener,
    /// A signal to the daemon.
    Signals,
    /// The control file.
    Partition,
    /// A connection.
    Client(ClientId),
    /// A proxy ended.
    Proxy(ProxyId),
}

/// Events that one wait reports.
const EVENTS_MAX: usize = 64;
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Bits of an event's data that hold the kind of its source.
const KIND_SHIFT: u32 = 60;

impl Source {
    fn to_data(self) -> u64 {
        let (kind, id) = match self {
            Source::Listener => (0, 0),
            Source::Signals => (1, 0),
            Source::Partition => (2, 0),
            Source::Client(ClientId(id)) => (3, id),
            Source::Proxy(ProxyId(id)) => (4, id),
        };
        kind << KIND_SHIFT | id
    }

    fn from_data(data: u64) -> Option<Self> {
        let id = data & ((1 << KIND_SHIFT) - 1);
        Some(match data >> KIND_SHIFT {
            0 => Source::Listener,
            1 => Source::Signals,
            2 => Source::Partition,
            3 => Source::Client(ClientId(id)),
            4 => Source::Proxy(ProxyId(id)),
            _ => return None,
        })
    }
}

/// Waits for several things at once.
#[derive(Debug)]
pub struct Poller(OwnedFd);

impl Poller {
    /// Waits for nothing yet.
    ///
    /// # Errors
    ///
    /// Too many open files.
    pub fn new() -> Result<Self, Errno> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    /// Waits for `flags` of `file`, too.
    ///
    /// # Errors
    ///
    /// No memory.
    pub fn add(&self, file: impl AsFd, source: Source, flags: EventFlags) -> Result<(), Errno> {
        epoll::add(&self.0, file, EventData::new_u64(source.to_data()), flags)
    }

    /// Waits for other `flags` of `file`.
    pub fn change(&self, file: impl AsFd, source: Source, flags: EventFlags) {
        let _ = epoll::modify(&self.0, file, EventData::new_u64(source.to_data()), flags);
    }

    /// Waits for it no longer. To be called before it is closed: a child that was just forked may
    /// still have it open.
    pub fn remove(&self, file: impl AsFd) {
        let _ = epoll::delete(&self.0, file);
    }

    /// Waits until something happens or `timeout` is over.
    ///
    /// # Errors
    ///
    /// A defect of the daemon.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<(Source, EventFlags)>, Errno> {
        let mut events = [MaybeUninit::uninit(); EVENTS_MAX];
        // Rounded up to epoll's unit, so as not to wake before the time.
        let up =
            |timeout: Duration| Duration::from_millis(timeout.as_micros().div_ceil(1000) as u64);
        let timeout = timeout.map(|timeout| up(timeout.min(WAIT_MAX)));
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().cast_signed(),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        let happened: &[Event] = match epoll::wait(&self.0, &mut events, timeout.as_ref()) {
            Err(Errno::INTR) => &[],
            result => result?.0,
        };
        let known = |event: &Event| Some((Source::from_data(event.data.u64())?, event.flags));
        Ok(happened.iter().filter_map(known).collect())
    }
}
