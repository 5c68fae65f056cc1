//! Another program in the place of a server, without a request lost.
//!
//! The new process is started beside the old one and runs until it is ready. Then the endpoint is
//! bound to it: what the old one has not received goes there, and the kernel tells the old one, when
//! it has finished what it is at, to end. When it has, its ports and interrupts are granted to the new
//! one, which then is let go on. Device memory the new one has from its start, and does not touch it
//! before it is let go on. Whatever goes wrong before the endpoint is bound leaves the old one serving.

use ant_abi::Error;
use ant_rt::ipc::Token;
use ant_rt::{init_calls, log};

use super::Surroundings;
use super::server::{START_US, Server, State, kill};
use crate::program::Program;

/// How long the old process has to finish what it is at.
const FINISH_US: u64 = 1_000_000;

/// A program that is to take a server's place.
pub struct Trial {
    /// Its process.
    pub pid: u32,
    until: u64,
    program: Program,
}

impl Server {
    /// Starts a program beside this server.
    pub fn replace(
        &mut self,
        surroundings: &Surroundings,
        program: Program,
        now: u64,
    ) -> Result<(), Error> {
        match self.state {
            State::Serves { .. } if !self.is_being_replaced() => {}
            State::Waits { .. } | State::GivenUp => return self.mend(surroundings, program, now),
            _ => return Err(Error::Busy),
        }
        let pid = self.create(surroundings, &program)?;
        let started = self.grant_memory(pid).and_then(|()| init_calls::process_start(pid));
        started.inspect_err(|_| kill(pid))?;
        self.trial = Some(Trial { pid, until: now + START_US, program });
        Ok(())
    }

    /// Starts a program in the place of one that has ended, maybe too often.
    fn mend(
        &mut self,
        surroundings: &Surroundings,
        program: Program,
        now: u64,
    ) -> Result<(), Error> {
        let before = core::mem::replace(&mut self.program, program);
        let started = self.restart(surroundings, now);
        match started {
            Ok(()) => self.awaited = true,
            Err(_) => self.program = before,
        }
        started
    }

    /// How the last replacement has ended, once.
    pub fn replaced(&mut self) -> Option<Result<(), Error>> {
        self.replaced.take()
    }

    /// Whether there is another that may take its place.
    pub(super) fn is_being_replaced(&self) -> bool {
        self.trial.is_some()
    }

    /// Whether this is the process that is to take its place.
    pub(super) fn is_trial(&self, pid: u32) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.pid == pid)
    }

    /// The new process is ready: requests are its from now on.
    pub(super) fn trial_ready(&mut self, pid: u32, token: Option<Token>, old: u32, now: u64) {
        match init_calls::endpoint_bind(self.endpoint, pid) {
            Ok(generation) => {
                self.generation = generation;
                self.watch.stop();
                self.state = State::TakesOver { pid, token, old, until: now + FINISH_US };
            }
            Err(error) => self.fail_trial(error),
        }
    }

    /// The old process has ended, the new one takes over.
    pub(super) fn take_over(&mut self, now: u64) {
        let old = core::mem::replace(&mut self.state, State::Waits { at: now });
        let State::TakesOver { pid, token, .. } = old else { return };
        let Some(trial) = self.trial.take() else { return };
        if let Err(error) = self.grant_devices(pid) {
            log!("init: devices are not granted to the new server: {error:?}");
        }
        self.program = trial.program;
        self.replaced = Some(Ok(()));
        self.welcome(pid, token, now);
    }

    /// The new process must be ready in time.
    pub(super) fn advance_trial(&mut self, now: u64) {
        if self.trial_deadline() <= now {
            self.fail_trial(Error::TimedOut);
        }
    }

    /// By when the new process must be ready.
    pub(super) fn trial_deadline(&self) -> u64 {
        match (&self.trial, &self.state) {
            (Some(trial), State::Serves { .. }) => trial.until,
            _ => u64::MAX,
        }
    }

    /// The new process, if there is one, will not serve.
    pub(super) fn fail_trial(&mut self, error: Error) {
        if let Some(trial) = self.trial.take() {
            kill(trial.pid);
            self.replaced = Some(Err(error));
        }
    }
}
