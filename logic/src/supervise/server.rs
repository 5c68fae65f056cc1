//! One supervised server: a state machine from start to giving up.
//!
//! How another program takes its place is in `replace`.

use ant_abi::Error;
use ant_abi::control::ReportedState;

use super::replace::Candidate;
use super::watchdog::Watchdog;
use super::{ANSWER_US, Cause, Event, Heartbeat, History, Policy, START_US, ServerHost, Verdict};

/// What becomes of a server when its process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// What its policy says.
    ApplyPolicy,
    /// It is restarted at once.
    Restart,
    /// It stays given up.
    GivenUp,
}

/// What changes when a process on probation serves.
pub(super) struct Replacement<P> {
    pub program: P,
    /// The server was given up before.
    pub was_given_up: bool,
}

pub(super) enum ServerState<P, T> {
    /// Its process runs and does not serve yet; with a replacement, it is on probation. A heartbeat
    /// before `start_granted` is its predecessor's.
    Starting { pid: u32, until: u64, start_granted: bool, replacement: Option<Replacement<P>> },
    /// It serves.
    Serving { pid: u32 },
    /// Process `pid` is ready and bound, and serves as soon as `old` has ended.
    TakingOver { pid: u32, ready_call: T, program: P, old: u32, until: u64 },
    /// Its process was killed and has not ended yet.
    Ending { pid: u32, cause: Cause, next: Next },
    /// It has ended, and is restarted at `at`.
    Waiting { at: u64 },
    /// It has ended too often, and its endpoint is closed.
    GivenUp,
}

/// A command of a person: restart or replace.
pub(super) struct Command {
    ticket: u32,
    until: u64,
    /// Its result, until [`Supervised::answer`] takes it.
    result: Option<Result<(), Error>>,
}

/// One server.
pub struct Supervised<P, T> {
    policy: Policy,
    program: P,
    pub(super) generation: u32,
    pub(super) state: ServerState<P, T>,
    /// The process that is to take its place, until it is ready.
    pub(super) candidate: Option<Candidate<P>>,
    pub(super) command: Option<Command>,
    pub(super) watchdog: Watchdog,
    history: History,
    /// Since when it does not serve, if it is to be restarted.
    down_since: Option<u64>,
    restart_us: Option<u64>,
}

impl<P, T> Supervised<P, T> {
    /// About to be started, on an endpoint that is open.
    pub fn new(policy: Policy, heartbeat: Option<Heartbeat>, program: P) -> Self {
        Self {
            policy,
            program,
            generation: 0,
            state: ServerState::Waiting { at: 0 },
            candidate: None,
            command: None,
            watchdog: Watchdog::new(heartbeat),
            history: History::new(),
            down_since: None,
            restart_us: None,
        }
    }

    /// When something is due; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        let own = match self.state {
            ServerState::Starting { until, .. } | ServerState::TakingOver { until, .. } => until,
            ServerState::Waiting { at } if self.candidate.is_none() => at,
            _ => u64::MAX,
        };
        own.min(self.candidate_deadline())
            .min(self.command_deadline())
            .min(self.watchdog.deadline())
    }

    /// Does what is due.
    pub fn advance(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match &mut self.state {
            ServerState::Starting { until, .. } if *until <= now => {
                self.end(host, Cause::NotReady, now);
            }
            ServerState::TakingOver { old, until, .. } if *until <= now => {
                *until = u64::MAX;
                host.kill(*old);
            }
            // No candidate is about to serve.
            ServerState::Waiting { at } if *at <= now && self.candidate.is_none() => {
                self.start(host, now)
            }
            _ => {}
        }
        if !self.watchdog.advance(now, || host.request_heartbeat()) {
            self.end(host, Cause::NoHeartbeat, now);
        }
        if self.candidate_deadline() <= now {
            self.fail_candidate(host, Error::TimedOut);
        }
        if self.command_deadline() <= now {
            self.abandon_takeover(host, Error::TimedOut);
            self.complete(Err(Error::TimedOut));
        }
    }

    /// Its heartbeat has come; the first one says that it serves.
    pub fn heartbeat(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match &self.state {
            ServerState::Serving { .. } => self.watchdog.heartbeat(now),
            ServerState::Starting { start_granted: true, .. } => self.serve(host, now),
            _ => {}
        }
    }

    /// One of its processes is ready to serve.
    pub fn ready(&mut self, host: &mut impl ServerHost<P, T>, pid: u32, ready_call: T, now: u64) {
        if self.is_candidate(pid) {
            return self.candidate_ready(host, pid, ready_call, now);
        }
        match &mut self.state {
            ServerState::Starting { pid: starting, start_granted, .. } if *starting == pid => {
                *start_granted = true;
                host.grant_start(ready_call, self.generation);
            }
            _ => host.refuse_start(ready_call),
        }
    }

    /// One of its processes has ended.
    pub fn ended(&mut self, host: &mut impl ServerHost<P, T>, pid: u32, now: u64) {
        let (cause, next) = match &self.state {
            &ServerState::TakingOver { old, .. } if old == pid => {
                return self.complete_takeover(host, now);
            }
            &ServerState::TakingOver { pid: new, .. } if new == pid => {
                host.report(Event::Ended(Cause::Successor));
                return self.abandon_takeover(host, Error::PeerGone);
            }
            _ if self.is_candidate(pid) => return self.fail_candidate(host, Error::PeerGone),
            &ServerState::Ending { cause, next, .. } => (cause, next),
            state => (Cause::Exited, state.next_after(Cause::Exited)),
        };
        self.fail_candidate(host, Error::PeerRestarted);
        self.down_since.get_or_insert(now);
        if cause != Cause::Successor {
            host.report(Event::Ended(cause));
        }
        if cause != Cause::Commanded {
            let late = cause == Cause::NotReady;
            self.complete(Err(if late { Error::TimedOut } else { Error::PeerGone }));
        }
        match next {
            Next::ApplyPolicy => self.apply_policy(host, now),
            Next::Restart => self.wait_until(now),
            Next::GivenUp => self.give_up(host),
        }
    }

    /// Kills its process, if there is one, and restarts it; one that was given up starts with a clean
    /// record. [`Supervised::answer`] says with this ticket when it serves, or why it does not.
    ///
    /// # Errors
    ///
    /// Nothing has changed, and there will be no answer. `Busy`: another command is not complete.
    pub fn restart(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        ticket: u32,
        now: u64,
    ) -> Result<(), Error> {
        if self.command.is_some() {
            return Err(Error::Busy);
        }
        if matches!(self.state, ServerState::GivenUp) {
            host.open()?;
            host.clear_state().inspect_err(|_| host.close())?;
            self.history = History::new();
        }
        self.begin_command(ticket, now);
        self.down_since.get_or_insert(now);
        match self.pid() {
            Some(_) => self.end(host, Cause::Commanded, now),
            None => self.start(host, now),
        }
        Ok(())
    }

    /// Ticket and result of a command that is complete, once.
    pub fn answer(&mut self) -> Option<(u32, Result<(), Error>)> {
        let command = self.command.take_if(|command| command.result.is_some())?;
        command.result.map(|result| (command.ticket, result))
    }

    /// Whether a command is not complete, or its answer was not taken.
    #[cfg(test)]
    pub fn has_command(&self) -> bool {
        self.command.is_some()
    }

    /// Whether this is one of its processes.
    pub fn owns(&self, pid: u32) -> bool {
        let old = matches!(self.state, ServerState::TakingOver { old, .. } if old == pid);
        old || self.is_candidate(pid) || self.pid() == Some(pid)
    }

    /// Whether this is one of its processes, and is not ready yet.
    pub fn is_starting(&self, pid: u32) -> bool {
        self.is_candidate(pid)
            || self.pid() == Some(pid) && self.reported_state() == ReportedState::Starting
    }

    /// The process that is bound to the endpoint, or was killed.
    pub fn pid(&self) -> Option<u32> {
        match self.state {
            ServerState::Starting { pid, .. }
            | ServerState::Serving { pid }
            | ServerState::TakingOver { pid, .. }
            | ServerState::Ending { pid, .. } => Some(pid),
            ServerState::Waiting { .. } | ServerState::GivenUp => None,
        }
    }

    /// What `server list` says of it.
    pub fn reported_state(&self) -> ReportedState {
        match self.state {
            ServerState::Starting { .. } => ReportedState::Starting,
            ServerState::Serving { .. } | ServerState::TakingOver { .. } => ReportedState::Serves,
            ServerState::Ending { .. } | ServerState::Waiting { .. } => ReportedState::Waits,
            ServerState::GivenUp => ReportedState::GivenUp,
        }
    }

    /// The program that it is started from.
    pub fn program(&self) -> &P {
        &self.program
    }

    /// The generation that its endpoint had when a process was bound to it last.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// How often its policy has restarted it.
    pub fn restarts(&self) -> u32 {
        self.history.count()
    }

    /// How long its last restart took: since its end was noticed, or the command came, until it served.
    pub fn restart_us(&self) -> Option<u64> {
        self.restart_us
    }

    fn start(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match self.try_start(host) {
            Ok(pid) => {
                let until = now + START_US;
                self.state =
                    ServerState::Starting { pid, until, start_granted: false, replacement: None };
            }
            Err(error) => {
                host.report(Event::NotStarted(error));
                self.complete(Err(error));
                match error {
                    // Linux keeps the device; a restart would not change that.
                    Error::NoDevice => self.give_up(host),
                    _ => self.apply_policy(host, now),
                }
            }
        }
    }

    fn try_start(&mut self, host: &mut impl ServerHost<P, T>) -> Result<u32, Error> {
        let pid = host.create(&self.program)?;
        // Bound first, because its interrupts are raised where it receives.
        let bound = self.bind(host, pid);
        let started = bound.and_then(|()| host.grant(pid)).and_then(|()| host.run(pid));
        started.inspect_err(|_| host.kill(pid)).map(|()| pid)
    }

    pub(super) fn bind(&mut self, host: &mut impl ServerHost<P, T>, pid: u32) -> Result<(), Error> {
        self.generation = host.bind(pid)?;
        Ok(())
    }

    /// Its process serves; one on probation is the server from now on.
    fn serve(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        let Some(pid) = self.pid() else { return };
        let before = core::mem::replace(&mut self.state, ServerState::Serving { pid });
        if let ServerState::Starting {
            replacement: Some(Replacement { program, was_given_up }),
            ..
        } = before
        {
            self.program = program;
            host.adopt_state_copy();
            if was_given_up {
                self.history = History::new();
            }
        }
        self.watchdog.heartbeat(now);
        if let Some(since) = self.down_since.take() {
            self.restart_us = Some(now.saturating_sub(since));
        }
        self.complete(Ok(()));
    }

    /// Kills its process; [`Supervised::ended`] follows.
    fn end(&mut self, host: &mut impl ServerHost<P, T>, cause: Cause, now: u64) {
        let Some(pid) = self.pid() else { return };
        self.watchdog.stop();
        self.down_since.get_or_insert(now);
        self.state = ServerState::Ending { pid, cause, next: self.state.next_after(cause) };
        host.kill(pid);
    }

    /// Restarts it or gives it up, as its policy says.
    fn apply_policy(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match self.history.ended(self.policy, now) {
            Verdict::Again { at } => self.wait_until(at),
            Verdict::GiveUp => self.give_up(host),
        }
    }

    fn wait_until(&mut self, at: u64) {
        self.watchdog.stop();
        self.state = ServerState::Waiting { at };
    }

    fn give_up(&mut self, host: &mut impl ServerHost<P, T>) {
        self.watchdog.stop();
        self.down_since = None;
        self.state = ServerState::GivenUp;
        host.report(Event::GivenUp);
        host.close();
    }

    pub(super) fn begin_command(&mut self, ticket: u32, now: u64) {
        self.command = Some(Command { ticket, until: now + ANSWER_US, result: None });
    }

    /// Completes the command, if there is one; its first result counts.
    pub(super) fn complete(&mut self, result: Result<(), Error>) {
        if let Some(command) = &mut self.command {
            command.result.get_or_insert(result);
        }
    }

    pub(super) fn command_deadline(&self) -> u64 {
        let command = self.command.as_ref().filter(|command| command.result.is_none());
        command.map_or(u64::MAX, |command| command.until)
    }
}

impl<P, T> ServerState<P, T> {
    /// What follows when its process ends for this cause.
    fn next_after(&self, cause: Cause) -> Next {
        match self {
            ServerState::Starting {
                replacement: Some(Replacement { was_given_up: true, .. }),
                ..
            } => Next::GivenUp,
            // The server has its program still.
            ServerState::Starting { replacement: Some(_), .. } => Next::Restart,
            _ if cause == Cause::Commanded => Next::Restart,
            _ => Next::ApplyPolicy,
        }
    }
}
