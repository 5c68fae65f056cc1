//! One OS server: it is started, serves, ends, and is started again.
//!
//! Its endpoint outlives its processes, so callers wait, or learn of a restart, and need not look
//! for it again. How another program takes its place while it serves is in `replace`.

use core::fmt::Write;

use ant_abi::Error;
use ant_abi::ipc::{ProcessEnd, ServerCreate};
use ant_api_init::{KEPT_MAX, Welcome};
use ant_core::restart::{History, Verdict};
use ant_rt::ica::{Pages, SharedPages};
use ant_rt::ipc::{self, Handle, Message, Token};
use ant_rt::{init_calls, log, time};
use arrayvec::ArrayString;
use zerocopy::FromZeros;

use super::Surroundings;
use super::replace::Trial;
use super::watch::Watch;
use crate::manifest::Spec;
use crate::program::Program;

/// How long a server has to say that it is ready.
pub const START_US: u64 = 2_000_000;
/// A process that was to end and has not: the kernel was too busy to take it in.
const AGAIN_US: u64 = 100_000;
/// The signal that ends what does not end by itself.
pub const SIGKILL: u32 = 9;

/// Where a server is in its life.
pub enum State {
    /// Its process runs and is not ready yet.
    Starting { pid: u32, until: u64, since: u64 },
    /// It serves.
    Serves { pid: u32 },
    /// Process `pid` is ready, and serves as soon as the old one has ended.
    TakesOver { pid: u32, token: Option<Token>, old: u32, until: u64 },
    /// It was made to end.
    Ends { pid: u32, again_at: u64 },
    /// It has ended, and is started again.
    Waits { at: u64 },
    /// It has ended too often.
    GivenUp,
}

/// Why `init` has ended a server.
pub enum Reason {
    /// Somebody wanted it to be started again.
    Restart,
    /// It was not ready in time.
    NotReady,
    /// It has not shown that it lives.
    NoAnswer,
    /// Who was to take its place has ended, of which people were told.
    Successor,
}

/// A server.
pub struct Server {
    index: usize,
    pub(super) spec: &'static Spec,
    pub(super) program: Program,
    pub(super) endpoint: Handle,
    pub(super) generation: u32,
    pub(super) state: State,
    /// The program that is to take its place.
    pub(super) trial: Option<Trial>,
    /// Somebody who has replaced it while it did not serve wants to know whether it does now.
    pub(super) awaited: bool,
    /// How the last replacement has ended, until somebody asks.
    pub(super) replaced: Option<Result<(), Error>>,
    pub(super) watch: Watch,
    pub(super) history: History,
    pub(super) reason: Option<Reason>,
    pub(super) last_end: ArrayString<56>,
    /// How long its last start took, in cycles of the time-stamp counter.
    pub(super) start_ticks: u64,
    state_pages: Option<SharedPages>,
    kept: [Option<Handle>; KEPT_MAX as usize],
    pub(super) priority: u32,
    core: u32,
}

impl Server {
    /// About to be started.
    pub fn new(index: usize, spec: &'static Spec) -> Result<Self, Error> {
        Ok(Self {
            index,
            spec,
            program: Program::BuiltIn(spec.program),
            endpoint: init_calls::endpoint_create()?,
            generation: 0,
            state: State::Waits { at: 0 },
            trial: None,
            awaited: false,
            replaced: None,
            watch: Watch::new(spec.watch),
            history: History::new(),
            reason: None,
            last_end: ArrayString::new(),
            start_ticks: 0,
            state_pages: state_pages(spec)?,
            kept: [None; KEPT_MAX as usize],
            priority: spec.priority,
            core: spec.core,
        })
    }

    /// What people call it.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Where it receives.
    pub fn endpoint(&self) -> Handle {
        self.endpoint
    }

    /// Whether this is one of its processes.
    pub fn has(&self, pid: u32) -> bool {
        let trial = self.trial.as_ref().map(|trial| trial.pid);
        let old = if let State::TakesOver { old, .. } = self.state { Some(old) } else { None };
        [self.pid(), trial, old].contains(&Some(pid))
    }

    /// When something is due.
    pub fn deadline(&self) -> u64 {
        let own = match self.state {
            State::Starting { until, .. } | State::TakesOver { until, .. } => until,
            State::Ends { again_at, .. } => again_at,
            State::Waits { at } => at,
            State::Serves { .. } | State::GivenUp => u64::MAX,
        };
        own.min(self.trial_deadline()).min(self.watch.deadline())
    }

    /// Does what is due.
    pub fn advance(&mut self, surroundings: &Surroundings, now: u64) {
        match &mut self.state {
            State::Starting { until, .. } if *until <= now => self.end(Reason::NotReady, now),
            State::TakesOver { old: pid, until: again_at, .. } | State::Ends { pid, again_at }
                if *again_at <= now =>
            {
                kill(*pid);
                *again_at = now + AGAIN_US;
            }
            // What goes wrong is noted there.
            State::Waits { at } if *at <= now => drop(self.start(surroundings, now)),
            _ => {}
        }
        if !self.watch.advance(self.endpoint, now) {
            self.end(Reason::NoAnswer, now);
        }
        self.advance_trial(now);
    }

    /// Its bit among these shows that it lives.
    pub fn show_life(&mut self, bits: u64, now: u64) {
        if bits & self.alive_bit() != 0 && matches!(self.state, State::Serves { .. }) {
            self.watch.lives(now);
        }
    }

    /// One of its processes is ready, and waits for its turn.
    pub fn ready(&mut self, pid: u32, token: Option<Token>, now: u64) {
        match (&self.state, token) {
            (State::Starting { pid: starting, since, .. }, token) if *starting == pid => {
                self.start_ticks = time::cycles() - since;
                self.welcome(pid, token, now);
            }
            (State::Serves { pid: old }, token) if self.is_trial(pid) => {
                self.trial_ready(pid, token, *old, now);
            }
            (_, Some(token)) => {
                let _ = ipc::reply(token, &mut Message::result(Err(Error::NotPermitted)));
            }
            (_, None) => {}
        }
    }

    /// A process of it begins to serve.
    pub(super) fn welcome(&mut self, pid: u32, token: Option<Token>, now: u64) {
        let kept = self.kept.iter().enumerate();
        let kept = kept.fold(0, |bits, (slot, kept)| bits | u64::from(kept.is_some()) << slot);
        let welcome = Welcome { generation: self.generation, alive: self.alive_bit(), kept };
        let mut message = Message::new(welcome.encode());
        message.pages = self.state_pages.as_ref().map(SharedPages::share);
        if let Some(token) = token {
            // If it has ended meanwhile, `init` is about to be told so.
            let _ = ipc::reply(token, &mut message);
        }
        self.state = State::Serves { pid };
        self.watch.lives(now);
        self.tell_awaited(Ok(()));
    }

    /// Whether this process of it shall end: another is bound to the endpoint.
    pub fn shall_retire(&self, pid: u32) -> bool {
        self.pid() != Some(pid)
    }

    /// Keeps a handle for its next process. `Again`: the next process has what was kept already.
    pub fn keep(&mut self, slot: u32, handle: Option<Handle>) -> Result<u64, Error> {
        let handle = handle.ok_or(Error::NoMemory)?;
        if self.is_being_replaced() {
            let _ = ipc::close(handle);
            return Err(Error::Again);
        }
        close(self.kept[slot as usize].replace(handle));
        Ok(0)
    }

    /// Keeps a handle no longer. `Again`: as of [`Server::keep`].
    pub fn forget(&mut self, slot: u32) -> Result<u64, Error> {
        if self.is_being_replaced() {
            return Err(Error::Again);
        }
        close(self.kept[slot as usize].take());
        Ok(0)
    }

    /// One of its processes has ended.
    pub fn ended(&mut self, end: &ProcessEnd, now: u64) {
        match self.state {
            State::TakesOver { old, .. } if old == end.pid => return self.take_over(now),
            State::TakesOver { old, .. } => return self.lose_successor(end, old, now),
            _ if self.is_trial(end.pid) => return self.fail_trial(Error::PeerGone),
            _ => {}
        }
        self.fail_trial(Error::PeerRestarted);
        if !matches!(self.reason, Some(Reason::Successor)) {
            self.describe(end);
            log!("server {} has ended: {}", self.spec.name, self.last_end);
        }
        match self.reason.take() {
            Some(Reason::Restart) => self.wait_until(now),
            _ => self.judge(now),
        }
    }

    /// The process that was to take over from `old` has ended. Another is started when `old`, which has
    /// the devices, has ended, too.
    fn lose_successor(&mut self, end: &ProcessEnd, old: u32, now: u64) {
        self.fail_trial(Error::PeerGone);
        self.describe(end);
        log!("server {} has ended before it took over: {}", self.spec.name, self.last_end);
        self.reason = Some(Reason::Successor);
        self.state = State::Ends { pid: old, again_at: now + AGAIN_US };
        kill(old);
    }

    /// Gives a server that was given up an endpoint, since its own is closed, and a clean record.
    pub fn revive(&mut self) -> Result<(), Error> {
        if matches!(self.state, State::GivenUp) {
            close(Some(core::mem::replace(&mut self.endpoint, init_calls::endpoint_create()?)));
            self.history = History::new();
        }
        Ok(())
    }

    /// Forgets what a server that was given up has left: it may be why it ended.
    pub fn forget_left(&mut self) -> Result<(), Error> {
        if matches!(self.state, State::GivenUp) {
            self.kept.iter_mut().for_each(|kept| close(kept.take()));
            self.state_pages = state_pages(self.spec)?;
        }
        Ok(())
    }

    /// Ends it, if it has not ended, and starts it again.
    pub fn restart(&mut self, surroundings: &Surroundings, now: u64) -> Result<(), Error> {
        if self.is_being_replaced() {
            return Err(Error::Busy);
        }
        if self.pid().is_some() {
            self.end(Reason::Restart, now);
            return Ok(());
        }
        self.start(surroundings, now)
    }

    /// Its priority from now on.
    pub fn set_priority(&mut self, priority: u32) {
        self.priority = priority;
    }

    /// Its core from now on.
    pub fn set_core(&mut self, core: u32) {
        self.core = core;
    }

    /// Makes a process of a program, with the handles that every process of this server has.
    pub(super) fn create(
        &self,
        surroundings: &Surroundings,
        program: &Program,
    ) -> Result<u32, Error> {
        let mut request = ServerCreate::new_zeroed();
        request.core = self.core.min(surroundings.cores - 1);
        request.priority = self.priority;
        request.ica_pages = self.spec.ica_pages;
        request.name[..self.spec.name.len()].copy_from_slice(self.spec.name.as_bytes());
        let pid = init_calls::server_create(&request, program.bytes())?;
        let badge = self.index as u64;
        let handles = [
            (surroundings.name, badge),
            (surroundings.init, u64::from(pid)),
            (self.endpoint, badge),
        ];
        let kept = self.kept.iter().flatten().map(|&handle| (handle, 0));
        for (handle, badge) in handles.into_iter().chain(kept) {
            init_calls::handle_grant(pid, handle, badge).inspect_err(|_| kill(pid))?;
        }
        Ok(pid)
    }

    /// The process that is bound to the endpoint.
    pub(super) fn pid(&self) -> Option<u32> {
        match self.state {
            State::Starting { pid, .. }
            | State::Serves { pid }
            | State::TakesOver { pid, .. }
            | State::Ends { pid, .. } => Some(pid),
            State::Waits { .. } | State::GivenUp => None,
        }
    }

    fn alive_bit(&self) -> u64 {
        1 << self.index
    }

    fn start(&mut self, surroundings: &Surroundings, now: u64) -> Result<(), Error> {
        let since = time::cycles();
        let started = self.try_start(surroundings);
        match started {
            Ok(pid) => self.state = State::Starting { pid, until: now + START_US, since },
            Err(Error::NoDevice) => {
                self.last_end.clear();
                let _ = write!(self.last_end, "Linux keeps its device");
                self.tell_awaited(Err(Error::NoDevice));
                self.give_up("Linux keeps its device");
            }
            Err(error) => {
                self.last_end.clear();
                // It fits.
                let _ = write!(self.last_end, "could not be started: {error:?}");
                log!("server {} {}", self.spec.name, self.last_end);
                self.judge(now);
            }
        }
        started.map(drop)
    }

    fn try_start(&mut self, surroundings: &Surroundings) -> Result<u32, Error> {
        let pid = self.create(surroundings, &self.program)?;
        self.bind_and_start(pid).inspect_err(|_| kill(pid)).map(|()| pid)
    }

    fn bind_and_start(&mut self, pid: u32) -> Result<(), Error> {
        // First, because its interrupts are raised where it receives.
        self.generation = init_calls::endpoint_bind(self.endpoint, pid)?;
        self.grant_devices(pid)?;
        self.grant_memory(pid)?;
        init_calls::process_start(pid)
    }

    /// Has its process end; [`Server::ended`] follows.
    fn end(&mut self, reason: Reason, now: u64) {
        let Some(pid) = self.pid() else { return };
        self.watch.stop();
        self.reason = Some(reason);
        self.state = State::Ends { pid, again_at: now + AGAIN_US };
        kill(pid);
    }

    fn wait_until(&mut self, at: u64) {
        self.watch.stop();
        self.state = State::Waits { at };
    }

    /// What its policy says to an end that nobody wanted.
    fn judge(&mut self, now: u64) {
        self.tell_awaited(Err(Error::PeerGone));
        match self.history.ended(self.spec.restart, now) {
            Verdict::Again { at } => self.wait_until(at),
            Verdict::GiveUp => self.give_up("it has ended too often"),
        }
    }

    fn tell_awaited(&mut self, result: Result<(), Error>) {
        if core::mem::take(&mut self.awaited) {
            self.replaced = Some(result);
        }
    }

    fn give_up(&mut self, why: &str) {
        self.watch.stop();
        self.state = State::GivenUp;
        log!("server {} is given up: {why}", self.spec.name);
        if let Err(error) = init_calls::endpoint_close(self.endpoint) {
            log!("init: its endpoint cannot be closed: {error:?}");
        }
    }
}

/// Ends a process that may have ended already; `init` is told when it has.
pub(super) fn kill(pid: u32) {
    let _ = init_calls::process_kill(pid, SIGKILL);
}

fn close(handle: Option<Handle>) {
    if let Some(handle) = handle {
        // It is `init`'s.
        let _ = ipc::close(handle);
    }
}

fn state_pages(spec: &Spec) -> Result<Option<SharedPages>, Error> {
    if spec.state_pages == 0 {
        return Ok(None);
    }
    Ok(Some(Pages::alloc(spec.state_pages)?.into_shared()))
}
