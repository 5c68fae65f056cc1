//! The life of one OS server: it is started, serves, ends, is started again, or is given up.
//!
//! Its endpoint outlives its processes, so callers wait, or learn of a restart, and need not look for it
//! again. How another program takes its place is in `replace`, how it shows that it lives in [`watch`],
//! whether it is started again in [`crate::restart`].
//!
//! Deliberately absent: system calls, texts, clocks. Time is in microseconds and comes in as an
//! argument; whatever the machine is to do goes through [`ServerHost`].
//!
//! A server says that it is *ready*, and waits for its turn; when it has its state pages and its
//! devices, it says that it *serves*. A replacement becomes ready beside the running server, or
//! alone if that waits or is given up; then the old process ends, and the new one has its turn, on
//! probation, with a copy of the state pages. The server keeps its program and its state pages
//! until the new process serves: a failed one leaves them as they were, and the old process running
//! if the new one was not even ready.
//!
//! A restart or a replacement that was asked for gets one answer, when the server serves or it is
//! known that it does not; a successor that does not serve by then is ended.
//!
//! Times: a fault or a kill is noticed at once, a server that hangs within `every_us` + `answer_us`
//! of its [`Watch`]; it is started again at once, then after growing pauses ([`Policy`]). It must
//! serve within [`START_US`]; one that is replaced has `FINISH_US` to finish what it is at; the
//! answer comes within [`ANSWER_US`].

mod doomed;
mod replace;
mod watch;

use ant_abi::Error;
use ant_abi::control::{SERVER_GIVEN_UP, SERVER_SERVES, SERVER_STARTING, SERVER_WAITS};

use crate::restart::{History, Policy, Verdict};
use replace::Trial;
use watch::Watcher;

pub use doomed::Doomed;
pub use watch::Watch;

/// How long a process has to serve, or, if it is to take another's place, to be ready, and then, if its
/// order is not due earlier, to serve.
pub const START_US: u64 = 2_000_000;
/// Whatever happens, an order is answered by then.
pub const ANSWER_US: u64 = 3 * START_US;

/// The machine around a [`Life`]. `P` is a program, `T` a process that waits for its turn.
pub trait ServerHost<P, T> {
    /// Makes a process of a program, which does not run yet; its number.
    fn create(&mut self, program: &P) -> Result<u32, Error>;
    /// Lets a new process run.
    fn run(&mut self, pid: u32) -> Result<(), Error>;
    /// Has a process end, which may have ended already. Nobody receives at the endpoint when one that
    /// was bound to it has.
    fn kill(&mut self, pid: u32);
    /// Makes an endpoint for a server that was given up.
    fn open(&mut self) -> Result<(), Error>;
    /// Closes the endpoint: callers learn that the server is given up.
    fn close(&mut self);
    /// Has a process receive at the endpoint; the endpoint's generation.
    fn bind(&mut self, pid: u32) -> Result<u32, Error>;
    /// Grants the devices to the process that is bound, when nobody else has them.
    fn grant(&mut self, pid: u32) -> Result<(), Error>;
    /// Lets a process begin. It shows that it lives as soon as it serves.
    fn welcome(&mut self, turn: T, generation: u32);
    /// Makes room for a copy of the server's state. It goes with `drop_room`, `close`, and the next
    /// `welcome`.
    fn make_room(&mut self) -> Result<(), Error>;
    /// Nobody needs that room any more.
    fn drop_room(&mut self);
    /// As `welcome`, of a process that may turn out not to serve: it gets a copy of the server's state,
    /// for which there is room.
    fn try_out(&mut self, turn: T, generation: u32);
    /// The copy is the server's state from now on.
    fn adopt(&mut self);
    /// Tells a process that it has no turn.
    fn refuse(&mut self, turn: T);
    /// Asks the server whether it lives; `false`: it has not even received what waits for it.
    fn ask(&mut self) -> bool;
    /// Forgets what the server's processes have left: it may be why they ended.
    fn forget(&mut self) -> Result<(), Error>;
    /// Something that people want to know has happened.
    fn note(&mut self, note: Note);
}

/// What people want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// The process that was bound to the endpoint has ended.
    Ended(Cause),
    /// No process could be started.
    NotStarted(Error),
    /// It is not started again by itself.
    GivenUp,
}

/// Why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// By itself, or somebody has ended it.
    Itself,
    /// It did not serve in time.
    NotReady,
    /// It has not shown that it lives.
    NoAnswer,
    /// Somebody wanted the server to be started again.
    Ordered,
    /// It would have taken over, but ended before; or, the old one, its successor did.
    Successor,
}

/// What becomes of a server when its process has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// What its policy says.
    Judge,
    /// It is started again at once.
    Again,
    /// It stays given up.
    GivenUp,
}

/// What a process brings that is to take a server's place, once it serves.
struct Change<P> {
    program: P,
    /// The server was given up before.
    was_given_up: bool,
}

enum State<P, T> {
    /// Its process runs and does not serve yet. What shows life before it was `welcomed` was its
    /// predecessor.
    Starting { pid: u32, until: u64, welcomed: bool, change: Option<Change<P>> },
    /// It serves.
    Serves { pid: u32 },
    /// Process `pid` is ready and bound, and serves as soon as `old` has ended.
    TakesOver { pid: u32, turn: T, program: P, old: u32, until: u64 },
    /// It was made to end.
    Ends { pid: u32, cause: Cause, next: Next },
    /// It has ended, and is started again.
    Waits { at: u64 },
    /// It has ended too often, and its endpoint is closed.
    GivenUp,
}

/// Somebody wants the server restarted or replaced.
struct Order {
    ticket: u32,
    until: u64,
    /// How it has ended, until somebody asks.
    result: Option<Result<(), Error>>,
}

/// One server.
pub struct Life<P, T> {
    policy: Policy,
    program: P,
    generation: u32,
    state: State<P, T>,
    /// The program that is to take its place.
    trial: Option<Trial<P>>,
    order: Option<Order>,
    watch: Watcher,
    history: History,
    /// Since when it does not serve, if it is to be started again.
    down_since: Option<u64>,
    restart_us: Option<u64>,
}

impl<P, T> Life<P, T> {
    /// About to be started, on an endpoint that is open.
    pub fn new(policy: Policy, watch: Option<Watch>, program: P) -> Self {
        Self {
            policy,
            program,
            generation: 0,
            state: State::Waits { at: 0 },
            trial: None,
            order: None,
            watch: Watcher::new(watch),
            history: History::new(),
            down_since: None,
            restart_us: None,
        }
    }

    /// When something is due; `u64::MAX` for never.
    pub fn deadline(&self) -> u64 {
        let own = match self.state {
            State::Starting { until, .. } | State::TakesOver { until, .. } => until,
            State::Waits { at } if self.trial.is_none() => at,
            _ => u64::MAX,
        };
        own.min(self.trial_deadline()).min(self.order_deadline()).min(self.watch.deadline())
    }

    /// Does what is due.
    pub fn advance(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match &mut self.state {
            State::Starting { until, .. } if *until <= now => {
                self.end(host, Cause::NotReady, now);
            }
            State::TakesOver { old, until, .. } if *until <= now => {
                *until = u64::MAX;
                host.kill(*old);
            }
            // Nobody else is about to serve.
            State::Waits { at } if *at <= now && self.trial.is_none() => self.start(host, now),
            _ => {}
        }
        if !self.watch.advance(now, || host.ask()) {
            self.end(host, Cause::NoAnswer, now);
        }
        if self.trial_deadline() <= now {
            self.fail_trial(host, Error::TimedOut);
        }
        if self.order_deadline() <= now {
            self.lose_successor(host, Error::TimedOut);
            self.settle(Err(Error::TimedOut));
        }
    }

    /// It has shown that it lives: it serves.
    pub fn show_life(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match &self.state {
            State::Serves { .. } => self.watch.lives(now),
            State::Starting { welcomed: true, .. } => self.serve(host, now),
            _ => {}
        }
    }

    /// One of its processes is ready, and waits for its turn.
    pub fn ready(&mut self, host: &mut impl ServerHost<P, T>, pid: u32, turn: T, now: u64) {
        if self.is_trial(pid) {
            return self.trial_ready(host, pid, turn, now);
        }
        match &mut self.state {
            State::Starting { pid: starting, welcomed, .. } if *starting == pid => {
                *welcomed = true;
                host.welcome(turn, self.generation);
            }
            _ => host.refuse(turn),
        }
    }

    /// One of its processes has ended.
    pub fn ended(&mut self, host: &mut impl ServerHost<P, T>, pid: u32, now: u64) {
        let (cause, next) = match &self.state {
            &State::TakesOver { old, .. } if old == pid => return self.take_over(host, now),
            &State::TakesOver { pid: new, .. } if new == pid => {
                host.note(Note::Ended(Cause::Successor));
                return self.lose_successor(host, Error::PeerGone);
            }
            _ if self.is_trial(pid) => return self.fail_trial(host, Error::PeerGone),
            &State::Ends { cause, next, .. } => (cause, next),
            state => (Cause::Itself, state.next_after(Cause::Itself)),
        };
        self.fail_trial(host, Error::PeerRestarted);
        self.down_since.get_or_insert(now);
        if cause != Cause::Successor {
            host.note(Note::Ended(cause));
        }
        if cause != Cause::Ordered {
            let late = cause == Cause::NotReady;
            self.settle(Err(if late { Error::TimedOut } else { Error::PeerGone }));
        }
        match next {
            Next::Judge => self.judge(host, now),
            Next::Again => self.wait_until(now),
            Next::GivenUp => self.give_up(host),
        }
    }

    /// Ends it, if it has not ended, and starts it again; one that was given up begins anew.
    /// [`Life::answer`] says with this ticket when it serves, or why it does not.
    ///
    /// # Errors
    ///
    /// Nothing has changed, and there will be no answer. `Busy`: another order is not done yet.
    pub fn restart(
        &mut self,
        host: &mut impl ServerHost<P, T>,
        ticket: u32,
        now: u64,
    ) -> Result<(), Error> {
        if self.order.is_some() {
            return Err(Error::Busy);
        }
        if matches!(self.state, State::GivenUp) {
            host.open()?;
            host.forget().inspect_err(|_| host.close())?;
            self.history = History::new();
        }
        self.begin(ticket, now);
        self.down_since.get_or_insert(now);
        match self.pid() {
            Some(_) => self.end(host, Cause::Ordered, now),
            None => self.start(host, now),
        }
        Ok(())
    }

    /// How the order with this ticket has ended, once.
    pub fn answer(&mut self) -> Option<(u32, Result<(), Error>)> {
        let order = self.order.take_if(|order| order.result.is_some())?;
        order.result.map(|result| (order.ticket, result))
    }

    /// Whether an order has no answer yet, or nobody has asked for that.
    pub fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Whether this is one of its processes.
    pub fn has(&self, pid: u32) -> bool {
        let old = matches!(self.state, State::TakesOver { old, .. } if old == pid);
        old || self.is_trial(pid) || self.pid() == Some(pid)
    }

    /// Whether this is one of its processes, and is not ready yet.
    pub fn awaits(&self, pid: u32) -> bool {
        self.is_trial(pid) || self.pid() == Some(pid) && self.shown() == SERVER_STARTING
    }

    /// The process that is bound to the endpoint, or was made to end.
    pub fn pid(&self) -> Option<u32> {
        match self.state {
            State::Starting { pid, .. }
            | State::Serves { pid }
            | State::TakesOver { pid, .. }
            | State::Ends { pid, .. } => Some(pid),
            State::Waits { .. } | State::GivenUp => None,
        }
    }

    /// One of `SERVER_*`, for people.
    pub fn shown(&self) -> u32 {
        match self.state {
            State::Starting { .. } => SERVER_STARTING,
            State::Serves { .. } | State::TakesOver { .. } => SERVER_SERVES,
            State::Ends { .. } | State::Waits { .. } => SERVER_WAITS,
            State::GivenUp => SERVER_GIVEN_UP,
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

    /// How often it was started again after it had ended by itself.
    pub fn restarts(&self) -> u32 {
        self.history.count()
    }

    /// How long it did not serve when it was started again last: since its end was noticed, or the
    /// order came.
    pub fn restart_us(&self) -> Option<u64> {
        self.restart_us
    }

    fn start(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match self.try_start(host) {
            Ok(pid) => {
                let until = now + START_US;
                self.state = State::Starting { pid, until, welcomed: false, change: None };
            }
            Err(error) => {
                host.note(Note::NotStarted(error));
                self.settle(Err(error));
                match error {
                    // It will not have its device later either.
                    Error::NoDevice => self.give_up(host),
                    _ => self.judge(host, now),
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

    fn bind(&mut self, host: &mut impl ServerHost<P, T>, pid: u32) -> Result<(), Error> {
        self.generation = host.bind(pid)?;
        Ok(())
    }

    /// Its process serves; what that brings with it is the server's from now on.
    fn serve(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        let Some(pid) = self.pid() else { return };
        let before = core::mem::replace(&mut self.state, State::Serves { pid });
        if let State::Starting { change: Some(Change { program, was_given_up }), .. } = before {
            self.program = program;
            host.adopt();
            if was_given_up {
                self.history = History::new();
            }
        }
        self.watch.lives(now);
        if let Some(since) = self.down_since.take() {
            self.restart_us = Some(now.saturating_sub(since));
        }
        self.settle(Ok(()));
    }

    /// Has its process end; [`Life::ended`] follows.
    fn end(&mut self, host: &mut impl ServerHost<P, T>, cause: Cause, now: u64) {
        let Some(pid) = self.pid() else { return };
        self.watch.stop();
        self.down_since.get_or_insert(now);
        self.state = State::Ends { pid, cause, next: self.state.next_after(cause) };
        host.kill(pid);
    }

    /// What its policy says to an end that nobody wanted.
    fn judge(&mut self, host: &mut impl ServerHost<P, T>, now: u64) {
        match self.history.ended(self.policy, now) {
            Verdict::Again { at } => self.wait_until(at),
            Verdict::GiveUp => self.give_up(host),
        }
    }

    fn wait_until(&mut self, at: u64) {
        self.watch.stop();
        self.state = State::Waits { at };
    }

    fn give_up(&mut self, host: &mut impl ServerHost<P, T>) {
        self.watch.stop();
        self.down_since = None;
        self.state = State::GivenUp;
        host.note(Note::GivenUp);
        host.close();
    }

    fn begin(&mut self, ticket: u32, now: u64) {
        self.order = Some(Order { ticket, until: now + ANSWER_US, result: None });
    }

    /// The order is done, if there is one; what is said first counts.
    fn settle(&mut self, result: Result<(), Error>) {
        if let Some(order) = &mut self.order {
            order.result.get_or_insert(result);
        }
    }

    fn order_deadline(&self) -> u64 {
        let order = self.order.as_ref().filter(|order| order.result.is_none());
        order.map_or(u64::MAX, |order| order.until)
    }
}

impl<P, T> State<P, T> {
    /// What follows when its process ends for this cause.
    fn next_after(&self, cause: Cause) -> Next {
        match self {
            State::Starting { change: Some(Change { was_given_up: true, .. }), .. } => {
                Next::GivenUp
            }
            // The server has its program still.
            State::Starting { change: Some(_), .. } => Next::Again,
            _ if cause == Cause::Ordered => Next::Again,
            _ => Next::Judge,
        }
    }
}

#[cfg(test)]
mod tests;
