//! The machine around one server, which checks what is asked of it.

use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

use ant_abi::Error;
use ant_abi::control::{SERVER_GIVEN_UP, SERVER_WAITS};

use crate::restart::Policy;
use crate::server::{ANSWER_US, Life, Note, ServerHost, Watch};

pub const POLICY: Policy = Policy { tries: 3, within: 10_000_000, delay: 100_000 };
pub const WATCH: Watch = Watch { every_us: 1_000_000, answer_us: 1_000_000 };
/// The program that a server begins with.
pub const FIRST: u8 = 1;

/// What the machine can fail at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failing {
    pub create: bool,
    pub run: bool,
    pub open: bool,
    pub bind: bool,
    pub grant: bool,
    pub ask: bool,
    pub room: bool,
    pub forget: bool,
    /// With what.
    pub no_device: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    pub program: u8,
    pub runs: bool,
    pub welcomed: bool,
    /// It waits for its turn.
    pub waits: bool,
    pub doomed: bool,
    /// It has ended, which nobody was told yet.
    pub ended: bool,
}

/// Everything but the life.
#[derive(Default)]
pub struct Machine {
    pub processes: BTreeMap<u32, Process>,
    pub ended: VecDeque<u32>,
    next: u32,
    pub closed: bool,
    pub bound: Option<u32>,
    generation: u32,
    pub devices: Option<u32>,
    pub failing: Failing,
    pub asked: u32,
    pub notes: Vec<Note>,
    /// Which copy of its state the server has, and which one is tried.
    pub state: u32,
    tried: u32,
    has_room: bool,
}

impl Machine {
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

impl ServerHost<u8, u32> for Machine {
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
            process.doomed = true;
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
        self.has_room = false;
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
            other != pid && process.welcomed && !process.ended
        };
        assert!(!self.processes.iter().any(uses), "another one uses the devices");
        self.fail(self.failing.grant)?;
        self.living(pid)?;
        assert_eq!(self.bound, Some(pid), "its interrupts would be another's");
        self.devices = Some(pid);
        Ok(())
    }

    fn welcome(&mut self, pid: u32, generation: u32) {
        assert_eq!(generation, self.generation);
        self.has_room = false;
        let (bound, devices) = (self.bound, self.devices);
        if let Ok(process) = self.living(pid) {
            assert!(process.runs && process.waits && !process.doomed, "{process:?}");
            assert_eq!((bound, devices), (Some(pid), Some(pid)));
            (process.welcomed, process.waits) = (true, false);
        }
    }

    fn make_room(&mut self) -> Result<(), Error> {
        self.fail(self.failing.room)?;
        self.has_room = true;
        Ok(())
    }

    fn drop_room(&mut self) {
        self.has_room = false;
    }

    fn try_out(&mut self, pid: u32, generation: u32) {
        assert!(core::mem::take(&mut self.has_room), "there is no room for a copy");
        self.tried = self.state + 1;
        self.welcome(pid, generation);
    }

    fn adopt(&mut self) {
        assert_ne!(self.tried, self.state, "there is no copy");
        self.state = self.tried;
    }

    fn refuse(&mut self, pid: u32) {
        if let Ok(process) = self.living(pid) {
            process.waits = false;
        }
    }

    fn ask(&mut self) -> bool {
        self.asked += u32::from(!self.failing.ask);
        !self.failing.ask
    }

    fn forget(&mut self) -> Result<(), Error> {
        self.fail(self.failing.forget)
    }

    fn note(&mut self, note: Note) {
        self.notes.push(note);
    }
}

/// An order without an answer.
pub struct Ordered {
    ticket: u32,
    until: u64,
    /// `None`: a restart.
    program: Option<u8>,
    /// What was shown before.
    shown: u32,
    pid: Option<u32>,
}

/// One server, and all around it.
pub struct World {
    pub life: Life<u8, u32>,
    pub machine: Machine,
    pub now: u64,
    /// What must be the server's.
    program: u8,
    ordered: Option<Ordered>,
    tickets: u32,
    /// What the last order has led to.
    pub answered: Option<Result<(), Error>>,
}

impl World {
    pub fn new(watch: Option<Watch>) -> Self {
        Self {
            life: Life::new(POLICY, watch, FIRST),
            machine: Machine::default(),
            now: 1,
            program: FIRST,
            ordered: None,
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
        while world.life.shown() != SERVER_GIVEN_UP {
            match world.life.pid() {
                Some(pid) => world.end_and_tell(pid),
                None => world.pass(100_000),
            }
        }
        world
    }

    /// A server that has ended, and is started again a little later.
    pub fn waiting() -> Self {
        let mut world = Self::serving();
        while world.life.shown() != SERVER_WAITS {
            world.end_and_tell(world.life.pid().unwrap());
        }
        world
    }

    /// Time passes; what is due is done in time.
    pub fn pass(&mut self, us: u64) {
        let until = self.now + us;
        let mut rounds = 0;
        while self.life.deadline() <= until {
            rounds += 1;
            assert!(rounds < 1_000, "something stays due");
            self.now = self.now.max(self.life.deadline());
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
        self.life.advance(&mut self.machine, self.now);
        self.check();
    }

    /// A process says that it is ready.
    pub fn ready(&mut self, pid: u32) {
        self.machine.processes.get_mut(&pid).unwrap().waits = true;
        self.life.ready(&mut self.machine, pid, pid, self.now);
        self.check();
    }

    pub fn newest(&self) -> u32 {
        *self.machine.processes.last_key_value().unwrap().0
    }

    /// The newest process says that it is ready, and, if it is welcome, shows that it serves.
    pub fn ready_newest(&mut self) {
        self.ready(self.newest());
        self.show_life();
    }

    /// Who is bound, and has begun, shows that it lives.
    pub fn show_life(&mut self) {
        let bound = self.machine.bound.and_then(|pid| self.machine.processes.get(&pid));
        if bound.is_some_and(|process| process.welcomed) {
            self.life.show_life(&mut self.machine, self.now);
            self.check();
        }
    }

    /// The end that is known longest is told.
    pub fn tell(&mut self) {
        let Some(pid) = self.machine.ended.pop_front() else { return };
        self.machine.processes.remove(&pid);
        if self.life.has(pid) {
            self.life.ended(&mut self.machine, pid, self.now);
        }
        self.check();
        self.advance();
    }

    pub fn end_and_tell(&mut self, pid: u32) {
        self.machine.end(pid);
        self.tell();
    }

    /// The processes that were told to end do.
    pub fn reap(&mut self) {
        let doomed =
            |(&pid, process): (&u32, &Process)| (process.doomed && !process.ended).then_some(pid);
        let doomed: Vec<u32> = self.machine.processes.iter().filter_map(doomed).collect();
        doomed.into_iter().for_each(|pid| self.machine.end(pid));
        while !self.machine.ended.is_empty() {
            self.tell();
        }
    }

    /// Orders a restart, or to be replaced by a program.
    pub fn order(&mut self, program: Option<u8>) -> Result<(), Error> {
        self.tickets += 1;
        let (ticket, shown, pid) = (self.tickets, self.life.shown(), self.life.pid());
        let (life, machine) = (&mut self.life, &mut self.machine);
        let begun = match program {
            None => life.restart(machine, ticket, self.now),
            Some(program) => life.replace(machine, program, ticket, self.now),
        };
        if begun.is_ok() {
            assert!(self.ordered.is_none(), "two orders at a time");
            let until = self.now + ANSWER_US;
            self.ordered = Some(Ordered { ticket, until, program, shown, pid });
        } else {
            assert_eq!((self.life.shown(), self.life.pid()), (shown, pid), "refused, and changed");
        }
        self.check();
        begun
    }

    /// What must hold whatever happens.
    fn check(&mut self) {
        self.check_answer();
        let Self { life, machine, now, .. } = self;
        assert_eq!(*life.program(), self.program);
        assert!(self.ordered.as_ref().is_none_or(|order| order.until > *now), "no answer");
        let given_up = life.shown() == SERVER_GIVEN_UP;
        assert!(!machine.has_room || life.is_being_replaced(), "room for a copy that nobody needs");
        assert_eq!(machine.closed, given_up && !life.is_being_replaced());
        let lives = life.pid().is_some_and(|pid| machine.processes.contains_key(&pid));
        assert!(given_up || lives || life.deadline() < u64::MAX, "forgotten");
        for (&pid, process) in &machine.processes {
            let known = process.doomed || process.ended || life.has(pid);
            assert!(known, "{pid} has leaked: {process:?}");
            let serves = process.welcomed && !process.doomed && !process.ended;
            let comes = self.ordered.as_ref().and_then(|order| order.program);
            let is_its = process.program == self.program || Some(process.program) == comes;
            let rightly = life.has(pid) && is_its;
            assert!(!serves || rightly, "{pid} serves: {process:?}");
        }
    }

    fn check_answer(&mut self) {
        let Some((ticket, result)) = self.life.answer() else { return };
        assert!(!self.life.is_ordered() && self.life.answer().is_none(), "answered twice");
        let order = self.ordered.take().expect("an answer without an order");
        assert_eq!(ticket, order.ticket);
        self.answered = Some(result);
        if result.is_ok() {
            // Who was let serve may have ended since, of which one hears later.
            let now = self.life.pid();
            assert!(now.is_some() && now != order.pid, "{now:?} is to serve");
            self.program = order.program.unwrap_or(self.program);
        } else if order.program.is_some() {
            let old = order.pid.and_then(|pid| self.machine.processes.get(&pid));
            match old {
                Some(old) if old.doomed || old.ended => {}
                None if order.pid.is_some() => {}
                Some(_) => assert_eq!(self.life.pid(), order.pid),
                // Or the new one has not ended yet.
                None => assert!(self.life.pid().is_some() || self.life.shown() == order.shown),
            }
        }
    }
}
