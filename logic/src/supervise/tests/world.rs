//! One server and a host that checks what is asked of it.

use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use ant_abi::Error;
use ant_abi::control::ReportedState;

use crate::supervise::{ANSWER_US, Event, Heartbeat, Policy, ServerHost, Supervised};

pub const POLICY: Policy = Policy { tries: 3, within: 10_000_000, delay: 100_000 };
pub const HEARTBEAT: Heartbeat = Heartbeat { every_us: 1_000_000, answer_us: 1_000_000 };
/// The program that a server begins with.
pub const FIRST: u8 = 1;

/// What the host fails at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failing {
    pub create: bool,
    pub run: bool,
    pub open: bool,
    pub bind: bool,
    pub grant: bool,
    pub heartbeat: bool,
    pub copy: bool,
    pub forget: bool,
    /// With what.
    pub no_device: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub program: u8,
    pub runs: bool,
    pub start_granted: bool,
    /// It is ready and waits for its start.
    pub waits: bool,
    pub kill_pending: bool,
    /// It has ended; the server was not told yet.
    pub ended: bool,
}

/// Everything but the server.
#[derive(Default)]
pub struct FakeHost {
    pub processes: BTreeMap<u32, Process>,
    pub ended: VecDeque<u32>,
    next: u32,
    pub closed: bool,
    pub bound: Option<u32>,
    generation: u32,
    pub devices: Option<u32>,
    pub failing: Failing,
    pub asked: u32,
    pub events: Vec<Event>,
    /// Which copy of its state the server has, and which one is on probation.
    pub state: u32,
    candidate_state: u32,
    has_copy: bool,
}

impl FakeHost {
    fn fail(&self, fails: bool) -> Result<(), Error> {
        match (fails, self.failing.no_device) {
            (false, _) => Ok(()),
            (true, false) => Err(Error::NoMemory),
            (true, true) => Err(Error::NoDevice),
        }
    }

    /// A process that has not ended.
    fn living(&mut self, pid: u32) -> Result<&mut Process, Error> {
        self.processes.get_mut(&pid).filter(|process| !process.ended).ok_or(Error::NoProcess)
    }

    pub fn end(&mut self, pid: u32) {
        self.living(pid).unwrap().ended = true;
        self.ended.push_back(pid);
        self.bound = self.bound.filter(|&bound| bound != pid);
        self.devices = self.devices.filter(|&owner| owner != pid);
    }
}

impl ServerHost<u8, u32> for FakeHost {
    fn create(&mut self, program: &u8) -> Result<u32, Error> {
        self.fail(self.failing.create)?;
        self.next += 1;
        self.processes.insert(self.next, Process { program: *program, ..Process::default() });
        Ok(self.next)
    }

    fn run(&mut self, pid: u32) -> Result<(), Error> {
        self.fail(self.failing.run)?;
        let process = self.living(pid)?;
        assert!(!process.runs, "{pid} runs already");
        process.runs = true;
        Ok(())
    }

    fn kill(&mut self, pid: u32) {
        if let Ok(process) = self.living(pid) {
            process.kill_pending = true;
        }
    }

    fn open(&mut self) -> Result<(), Error> {
        assert!(self.closed, "the endpoint is open");
        self.fail(self.failing.open)?;
        self.closed = false;
        Ok(())
    }

    fn close(&mut self) {
        assert!(!self.closed, "the endpoint is closed");
        self.closed = true;
        self.bound = None;
        self.has_copy = false;
    }

    fn bind(&mut self, pid: u32) -> Result<u32, Error> {
        assert!(!self.closed, "{pid} is bound to a closed endpoint");
        self.fail(self.failing.bind)?;
        self.living(pid)?;
        self.bound = Some(pid);
        self.generation += 1;
        Ok(self.generation)
    }

    fn grant(&mut self, pid: u32) -> Result<(), Error> {
        let uses = |(&other, process): (&u32, &Process)| {
            other != pid && process.start_granted && !process.ended
        };
        assert!(!self.processes.iter().any(uses), "another one uses the devices");
        self.fail(self.failing.grant)?;
        self.living(pid)?;
        assert_eq!(self.bound, Some(pid), "its interrupts would be another's");
        self.devices = Some(pid);
        Ok(())
    }

    fn grant_start(&mut self, pid: u32, generation: u32) {
        assert_eq!(generation, self.generation);
        self.has_copy = false;
        let (bound, devices) = (self.bound, self.devices);
        if let Ok(process) = self.living(pid) {
            assert!(process.runs && process.waits && !process.kill_pending, "{process:?}");
            assert_eq!((bound, devices), (Some(pid), Some(pid)));
            (process.start_granted, process.waits) = (true, false);
        }
    }

    fn reserve_state_copy(&mut self) -> Result<(), Error> {
        self.fail(self.failing.copy)?;
        self.has_copy = true;
        Ok(())
    }

    fn drop_state_copy(&mut self) {
        self.has_copy = false;
    }

    fn grant_probation(&mut self, pid: u32, generation: u32) {
        assert!(core::mem::take(&mut self.has_copy), "no memory for a copy");
        self.candidate_state = self.state + 1;
        self.grant_start(pid, generation);
    }

    fn adopt_state_copy(&mut self) {
        assert_ne!(self.candidate_state, self.state, "there is no copy");
        self.state = self.candidate_state;
    }

    fn refuse_start(&mut self, pid: u32) {
        if let Ok(process) = self.living(pid) {
            process.waits = false;
        }
    }

    fn request_heartbeat(&mut self) -> bool {
        self.asked += u32::from(!self.failing.heartbeat);
        !self.failing.heartbeat
    }

    fn clear_state(&mut self) -> Result<(), Error> {
        self.fail(self.failing.forget)
    }

    fn report(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A command without an answer.
pub struct PendingCommand {
    ticket: u32,
    until: u64,
    /// `None`: a restart.
    program: Option<u8>,
    /// The state that was reported before.
    shown: ReportedState,
    pid: Option<u32>,
}

/// One server, and its host.
pub struct World {
    pub server: Supervised<u8, u32>,
    pub host: FakeHost,
    pub now: u64,
    /// What must be the server's.
    program: u8,
    pending: Option<PendingCommand>,
    tickets: u32,
    /// Result of the last command.
    pub answered: Option<Result<(), Error>>,
}

impl World {
    pub fn new(watch: Option<Heartbeat>) -> Self {
        Self {
            server: Supervised::new(POLICY, watch, FIRST),
            host: FakeHost::default(),
            now: 1,
            program: FIRST,
            pending: None,
            tickets: 0,
            answered: None,
        }
    }

    /// A server that serves.
    pub fn serving() -> Self {
        let mut world = Self::new(None);
        world.pass(0);
        world.ready_newest();
        world
    }

    /// A server that was given up.
    pub fn given_up() -> Self {
        let mut world = Self::serving();
        while world.server.reported_state() != ReportedState::GivenUp {
            match world.server.pid() {
                Some(pid) => world.end_and_tell(pid),
                None => world.pass(100_000),
            }
        }
        world
    }

    /// A server that has ended, and is restarted a little later.
    pub fn waiting() -> Self {
        let mut world = Self::serving();
        while world.server.reported_state() != ReportedState::Waits {
            world.end_and_tell(world.server.pid().unwrap());
        }
        world
    }

    /// Time passes; what is due is done in time.
    pub fn pass(&mut self, us: u64) {
        let until = self.now + us;
        let mut rounds = 0;
        while self.server.deadline() <= until {
            rounds += 1;
            assert!(rounds < 1_000, "something stays due");
            self.now = self.now.max(self.server.deadline());
            self.advance();
        }
        self.late(until - self.now);
    }

    /// Time passes; what was due meanwhile is done at its end.
    pub fn late(&mut self, us: u64) {
        self.now += us;
        self.advance();
    }

    pub fn advance(&mut self) {
        self.server.advance(&mut self.host, self.now);
        self.check();
    }

    /// A process says that it is ready.
    pub fn ready(&mut self, pid: u32) {
        self.host.processes.get_mut(&pid).unwrap().waits = true;
        self.server.ready(&mut self.host, pid, pid, self.now);
        self.check();
    }

    pub fn newest(&self) -> u32 {
        *self.host.processes.last_key_value().unwrap().0
    }

    /// The newest process says that it is ready, and, if it may start, sends its heartbeat.
    pub fn ready_newest(&mut self) {
        self.ready(self.newest());
        self.heartbeat();
    }

    /// The bound process, if it was let start, sends a heartbeat.
    pub fn heartbeat(&mut self) {
        let bound = self.host.bound.and_then(|pid| self.host.processes.get(&pid));
        if bound.is_some_and(|process| process.start_granted) {
            self.server.heartbeat(&mut self.host, self.now);
            self.check();
        }
    }

    /// The oldest end is told.
    pub fn tell(&mut self) {
        let Some(pid) = self.host.ended.pop_front() else { return };
        self.host.processes.remove(&pid);
        if self.server.owns(pid) {
            self.server.ended(&mut self.host, pid, self.now);
        }
        self.check();
        self.advance();
    }

    pub fn end_and_tell(&mut self, pid: u32) {
        self.host.end(pid);
        self.tell();
    }

    /// The processes that were killed end.
    pub fn reap(&mut self) {
        let kill_pending = |(&pid, process): (&u32, &Process)| {
            (process.kill_pending && !process.ended).then_some(pid)
        };
        let kill_pending: Vec<u32> = self.host.processes.iter().filter_map(kill_pending).collect();
        kill_pending.into_iter().for_each(|pid| self.host.end(pid));
        while !self.host.ended.is_empty() {
            self.tell();
        }
    }

    /// Commands a restart, or a replacement by a program.
    pub fn command(&mut self, program: Option<u8>) -> Result<(), Error> {
        self.tickets += 1;
        let (ticket, shown, pid) = (self.tickets, self.server.reported_state(), self.server.pid());
        let (server, host) = (&mut self.server, &mut self.host);
        let begun = match program {
            None => server.restart(host, ticket, self.now),
            Some(program) => server.replace(host, program, ticket, self.now),
        };
        if begun.is_ok() {
            assert!(self.pending.is_none(), "two orders at a time");
            let until = self.now + ANSWER_US;
            self.pending = Some(PendingCommand { ticket, until, program, shown, pid });
        } else {
            assert_eq!(
                (self.server.reported_state(), self.server.pid()),
                (shown, pid),
                "refused, and changed"
            );
        }
        self.check();
        begun
    }

    /// What must hold whatever happens.
    fn check(&mut self) {
        self.check_answer();
        let Self { server, host, now, .. } = self;
        assert_eq!(*server.program(), self.program);
        assert!(self.pending.as_ref().is_none_or(|command| command.until > *now), "no answer");
        let given_up = server.reported_state() == ReportedState::GivenUp;
        assert!(!host.has_copy || server.is_being_replaced(), "a copy that is not needed");
        assert_eq!(host.closed, given_up && !server.is_being_replaced());
        let lives = server.pid().is_some_and(|pid| host.processes.contains_key(&pid));
        assert!(given_up || lives || server.deadline() < u64::MAX, "forgotten");
        for (&pid, process) in &host.processes {
            let known = process.kill_pending || process.ended || server.owns(pid);
            assert!(known, "{pid} has leaked: {process:?}");
            let serves = process.start_granted && !process.kill_pending && !process.ended;
            let comes = self.pending.as_ref().and_then(|command| command.program);
            let is_its = process.program == self.program || Some(process.program) == comes;
            let rightly = server.owns(pid) && is_its;
            assert!(!serves || rightly, "{pid} serves: {process:?}");
        }
    }

    fn check_answer(&mut self) {
        let Some((ticket, result)) = self.server.answer() else { return };
        assert!(!self.server.has_command() && self.server.answer().is_none(), "answered twice");
        let command = self.pending.take().expect("an answer without a command");
        assert_eq!(ticket, command.ticket);
        self.answered = Some(result);
        if result.is_ok() {
            // The process that serves may have ended since, which is told later.
            let now = self.server.pid();
            assert!(now.is_some() && now != command.pid, "{now:?} is to serve");
            self.program = command.program.unwrap_or(self.program);
        } else if command.program.is_some() {
            let old = command.pid.and_then(|pid| self.host.processes.get(&pid));
            match old {
                Some(old) if old.kill_pending || old.ended => {}
                None if command.pid.is_some() => {}
                Some(_) => assert_eq!(self.server.pid(), command.pid),
                // Or the new one has not ended yet.
                None => assert!(
                    self.server.pid().is_some() || self.server.reported_state() == command.shown
                ),
            }
        }
    }
}
