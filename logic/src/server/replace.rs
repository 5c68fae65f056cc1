//! Another program in the place of a server, without a request lost.
//!
//! The new process is started beside the old one, if there is one, and runs until it is ready. Then the
//! endpoint is bound to it: what the old one has not received goes there, and the kernel tells the old
//! one, when it has finished what it is at, to end. When it has, its devices are granted to the new one,
//! which then is let go on, with a copy of what the server's state pages have. The server keeps its
//! program and its state pages until the new one serves, and goes on as long as nobody new is bound:
//! whatever goes wrong is told to who wanted it, and that is all.

use ant_abi::Error;

use super::{Cause, Change, Life, Next, START_US, ServerHost, State};

/// How long the old process has to finish what it is at.
const FINISH_US: u64 = 1_000_000;

/// A program that is to take a server's place.
pub(super) struct Trial<P> {
    pid: u32,
    until: u64,
    program: P,
}

impl<P, T> Life<P, T> {
    /// Begins to put a program in the server's place. [`Life::answer`] says with this ticket when it
    /// serves, or why the server keeps the one that it has.
    ///
    /// # Errors
    ///
    /// Nothing has changed, and there will be no answer. `Busy`: another order is not done yet, or the
    /// server is about to start or to end.
    pub fn replace(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        program: P,
        ticket: u32,
        now: u64,
    ) -> Result<(), Error> {
        let settled =
            matches!(self.state, State::Serves { .. } | State::Waits { .. } | State::GivenUp);
        if self.order.is_some() || !settled {
            return Err(Error::Busy);
        }
        let was_closed = matches!(self.state, State::GivenUp);
        if was_closed {
            host.open()?;
        }
        match try_beside(host, &program) {
            Ok(pid) => self.trial = Some(Trial { pid, until: now + START_US, program }),
            Err(error) => {
                if was_closed {
                    host.close();
                }
                return Err(error);
            }
        }
        self.begin(ticket, now);
        Ok(())
    }

    /// Whether there is another that may take its place, and does not serve yet.
    pub fn is_being_replaced(&self) -> bool {
        let comes =
            matches!(self.state, State::TakesOver { .. } | State::Starting { change: Some(_), .. });
        self.trial.is_some() || comes
    }

    /// Whether this is the process that is to take its place, and is not ready yet.
    pub(super) fn is_trial(&self, pid: u32) -> bool {
        self.trial.as_ref().is_some_and(|trial| trial.pid == pid)
    }

    /// By when the new process must be ready.
    pub(super) fn trial_deadline(&self) -> u64 {
        self.trial.as_ref().map_or(u64::MAX, |trial| trial.until)
    }

    /// The new process is ready: requests are its from now on.
    pub(super) fn trial_ready(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        pid: u32,
        turn: T,
        now: u64,
    ) {
        let old = self.pid();
        let was_given_up = matches!(self.state, State::GivenUp);
        // Nobody has the devices if there is no old one.
        let bound = host.make_room().and_then(|()| self.bind(host, pid));
        let bound = bound.and_then(|()| if old.is_none() { host.grant(pid) } else { Ok(()) });
        if let Err(error) = bound {
            host.drop_room();
            return self.fail_trial(host, error);
        }
        let Some(Trial { program, .. }) = self.trial.take() else { return };
        match old {
            Some(old) => {
                self.watch.stop();
                self.state = State::TakesOver { pid, turn, program, old, until: now + FINISH_US };
            }
            None => self.prove(host, pid, turn, Change { program, was_given_up }, now),
        }
    }

    /// The old process has ended, the new one takes over.
    pub(super) fn take_over(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        let before = core::mem::replace(&mut self.state, State::Waits { at: now });
        let State::TakesOver { pid, turn, program, .. } = before else { return };
        match host.grant(pid) {
            Ok(()) => {
                let change = Change { program, was_given_up: false };
                self.prove(host, pid, turn, change, now);
            }
            Err(error) => {
                host.drop_room();
                self.settle(Err(error));
                self.state = State::Ends { pid, cause: Cause::Successor, next: Next::Judge };
                host.kill(pid);
            }
        }
    }

    /// The new process will not serve. The server goes on as it was.
    pub(super) fn fail_trial(&mut self, host: &mut impl ServerHost<P, T>, error: Error) {
        let Some(trial) = self.trial.take() else { return };
        host.kill(trial.pid);
        if matches!(self.state, State::GivenUp) {
            host.close();
        }
        self.settle(Err(error));
    }

    /// The process that was to take over will not. Another is started when the old one, which has the
    /// devices, has ended, too.
    pub(super) fn lose_successor(&mut self, host: &mut impl ServerHost<P, T>, error: Error) {
        let State::TakesOver { pid, old, .. } = self.state else { return };
        host.drop_room();
        self.settle(Err(error));
        self.state = State::Ends { pid: old, cause: Cause::Successor, next: Next::Judge };
        host.kill(pid);
        host.kill(old);
    }

    /// Lets the new process begin: when it serves, its program is the server's.
    fn prove(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        pid: u32,
        turn: T,
        change: Change<P>,
        now: u64,
    ) {
        host.try_out(turn, self.generation);
        // Who has ordered it is told by then, and after that it must not serve.
        let until = self.order_deadline().min(now + START_US);
        self.state = State::Starting { pid, until, welcomed: true, change: Some(change) };
    }
}

/// Starts a program that nobody calls yet; its process.
fn try_beside<P, T>(host: &mut impl ServerHost<P, T>, program: &P) -> Result<u32, Error> {
    let pid = host.create(program)?;
    host.run(pid).inspect_err(|_| host.kill(pid)).map(|()| pid)
}
