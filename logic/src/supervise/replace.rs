//! Replacement of a server by another program, without a request lost.
//!
//! The candidate is started beside the old process, if there is one, and runs until it is ready. Then the
//! endpoint is bound to it: requests that the old process has not received go to the candidate, and the
//! kernel tells the old process to end when it has finished its current one. When it has ended, its
//! devices are granted to the candidate, which starts on probation, with a copy of the server's state
//! pages. The server keeps its program and its state pages until the candidate serves, and goes on as
//! long as no candidate is bound: a failed replacement is reported to the command, and changes nothing.

use ant_abi::Error;

use super::server::{Next, Replacement, ServerState, Supervised};
use super::{Cause, START_US, ServerHost};

/// How long the old process has to finish its current request.
const FINISH_US: u64 = 1_000_000;

/// A process that is to take a server's place, until it is ready.
pub(super) struct Candidate<P> {
    pid: u32,
    until: u64,
    program: P,
}

impl<P, T> Supervised<P, T> {
    /// Begins to put a program in the server's place. [`Supervised::answer`] says with this ticket when it
    /// serves, or why the server keeps the one that it has.
    ///
    /// # Errors
    ///
    /// Nothing has changed, and there will be no answer. `Busy`: another command is not complete, or the
    /// server is about to start or to end.
    pub fn replace(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        program: P,
        ticket: u32,
        now: u64,
    ) -> Result<(), Error> {
        let settled = matches!(
            self.state,
            ServerState::Serving { .. } | ServerState::Waiting { .. } | ServerState::GivenUp
        );
        if self.command.is_some() || !settled {
            return Err(Error::Busy);
        }
        let was_closed = matches!(self.state, ServerState::GivenUp);
        if was_closed {
            host.open()?;
        }
        match start_beside(host, &program) {
            Ok(pid) => self.candidate = Some(Candidate { pid, until: now + START_US, program }),
            Err(error) => {
                if was_closed {
                    host.close();
                }
                return Err(error);
            }
        }
        self.begin_command(ticket, now);
        Ok(())
    }

    /// Whether there is a candidate that does not serve yet.
    pub fn is_being_replaced(&self) -> bool {
        let comes = matches!(
            self.state,
            ServerState::TakingOver { .. } | ServerState::Starting { replacement: Some(_), .. }
        );
        self.candidate.is_some() || comes
    }

    /// Whether this is the candidate, not ready yet.
    pub(super) fn is_candidate(&self, pid: u32) -> bool {
        self.candidate.as_ref().is_some_and(|candidate| candidate.pid == pid)
    }

    /// By when the candidate must be ready.
    pub(super) fn candidate_deadline(&self) -> u64 {
        self.candidate.as_ref().map_or(u64::MAX, |candidate| candidate.until)
    }

    /// The candidate is ready: requests go to it from now on.
    pub(super) fn candidate_ready(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        pid: u32,
        ready_call: T,
        now: u64,
    ) {
        let old = self.pid();
        let was_given_up = matches!(self.state, ServerState::GivenUp);
        // Without an old process, the devices are free.
        let bound = host.reserve_state_copy().and_then(|()| self.bind(host, pid));
        let bound = bound.and_then(|()| if old.is_none() { host.grant(pid) } else { Ok(()) });
        if let Err(error) = bound {
            host.drop_state_copy();
            return self.fail_candidate(host, error);
        }
        let Some(Candidate { program, .. }) = self.candidate.take() else { return };
        match old {
            Some(old) => {
                self.watchdog.stop();
                self.state = ServerState::TakingOver {
                    pid,
                    ready_call,
                    program,
                    old,
                    until: now + FINISH_US,
                };
            }
            None => self.start_probation(
                host,
                pid,
                ready_call,
                Replacement { program, was_given_up },
                now,
            ),
        }
    }

    /// The old process has ended: the candidate takes over.
    pub(super) fn complete_takeover(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        let before = core::mem::replace(&mut self.state, ServerState::Waiting { at: now });
        let ServerState::TakingOver { pid, ready_call, program, .. } = before else { return };
        match host.grant(pid) {
            Ok(()) => {
                let replacement = Replacement { program, was_given_up: false };
                self.start_probation(host, pid, ready_call, replacement, now);
            }
            Err(error) => {
                host.drop_state_copy();
                self.complete(Err(error));
                self.state =
                    ServerState::Ending { pid, cause: Cause::Successor, next: Next::ApplyPolicy };
                host.kill(pid);
            }
        }
    }

    /// The candidate will not serve. The server goes on as it was.
    pub(super) fn fail_candidate(&mut self, host: &mut impl ServerHost<P, T>, error: Error) {
        let Some(candidate) = self.candidate.take() else { return };
        host.kill(candidate.pid);
        if matches!(self.state, ServerState::GivenUp) {
            host.close();
        }
        self.complete(Err(error));
    }

    /// The candidate that was to take over will not. The server is restarted when the old process, which
    /// has the devices, has ended, too.
    pub(super) fn abandon_takeover(&mut self, host: &mut impl ServerHost<P, T>, error: Error) {
        let ServerState::TakingOver { pid, old, .. } = self.state else { return };
        host.drop_state_copy();
        self.complete(Err(error));
        self.state =
            ServerState::Ending { pid: old, cause: Cause::Successor, next: Next::ApplyPolicy };
        host.kill(pid);
        host.kill(old);
    }

    /// Starts the candidate on probation: when it serves, its program is the server's.
    fn start_probation(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        pid: u32,
        ready_call: T,
        replacement: Replacement<P>,
        now: u64,
    ) {
        host.grant_probation(ready_call, self.generation);
        // The command is answered by then; after that the candidate must not serve.
        let until = self.command_deadline().min(now + START_US);
        self.state = ServerState::Starting {
            pid,
            until,
            start_granted: true,
            replacement: Some(replacement),
        };
    }
}

/// Starts a program that is not bound to the endpoint yet; its process.
fn start_beside<P, T>(host: &mut impl ServerHost<P, T>, program: &P) -> Result<u32, Error> {
    let pid = host.create(program)?;
    host.run(pid).inspect_err(|_| host.kill(pid)).map(|()| pid)
}
