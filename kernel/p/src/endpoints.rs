//! Endpoints: where processes receive. Anyone reads them; the m-kernel makes, binds and closes
//! them, and the CPU of a receiver takes it away when it ends or moves.
//!
//! One word holds the state, so that whoever reads it sees one moment.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::ipc::{ENDPOINTS, SENDS_MAX, SERVER_ENDPOINTS};
use ant_logic::ipc::{SENDS_PER_CPU, Target};
use ant_logic::notification::Notification;

const FREE: u64 = 0;
const UNBOUND: u64 = 1;
const BOUND: u64 = 2;
const CLOSED: u64 = 3;

/// State of an endpoint at one moment: `kind << 62 | CPU << 56 | server << 48 | generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u64);

impl State {
    fn new(target: Target, generation: u32) -> Self {
        let target = match target {
            Target::Unbound => UNBOUND << 62,
            Target::Closed => CLOSED << 62,
            Target::Bound { cpu, server } => {
                BOUND << 62 | u64::from(cpu) << 56 | u64::from(server) << 48
            }
        };
        Self(target | u64::from(generation))
    }

    /// Who receives.
    #[inline]
    pub fn target(self) -> Target {
        match self.0 >> 62 {
            UNBOUND => Target::Unbound,
            BOUND => Target::Bound { cpu: (self.0 >> 56) as u8 & 63, server: (self.0 >> 48) as u8 },
            _ => Target::Closed,
        }
    }

    /// Raised whenever a receiver goes, and when the number is used for another endpoint.
    #[inline]
    pub fn generation(self) -> u32 {
        self.0 as u32
    }

    /// Whether somebody receives, or will.
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self.0 >> 62, UNBOUND | BOUND)
    }
}

struct Endpoint {
    state: AtomicU64,
    /// Its first generation, by which it is told from others of its number.
    first_generation: AtomicU32,
    /// Notification bits that nobody has received.
    bits: Notification,
    /// Messages sent that nobody has received.
    sends: AtomicU32,
}

static TABLE: [Endpoint; ENDPOINTS] = [const {
    Endpoint {
        state: AtomicU64::new(0),
        first_generation: AtomicU32::new(0),
        bits: Notification::new(),
        sends: AtomicU32::new(0),
    }
}; ENDPOINTS];

#[inline]
fn endpoint(number: u8) -> &'static Endpoint {
    &TABLE[usize::from(number)]
}

/// How an endpoint is now.
#[inline]
pub fn state(number: u8) -> State {
    State(endpoint(number).state.load(Ordering::Acquire))
}

/// Who receives at an endpoint now, in which generation.
#[inline]
pub fn target(number: u8) -> (Target, u32) {
    let state = state(number);
    (state.target(), state.generation())
}

/// The first generation of the endpoint that has this number. Who wants [`state`], too, asks for that
/// first.
#[inline]
pub fn first_generation(number: u8) -> u32 {
    endpoint(number).first_generation.load(Ordering::Acquire)
}

/// CPU and slot of who receives at an endpoint now, if that is in this generation still.
#[inline]
pub fn receiver(number: u8, generation: u32) -> Option<(u8, u8)> {
    let state = state(number);
    match state.target() {
        Target::Bound { cpu, server } if state.generation() == generation => Some((cpu, server)),
        _ => None,
    }
}

/// Whether process `server` of CPU `cpu` receives at an endpoint now, in this generation.
#[inline]
pub fn is_bound(number: u8, cpu: usize, server: u8, generation: u32) -> bool {
    state(number) == State::new(Target::Bound { cpu: cpu as u8, server }, generation)
}

/// Makes an endpoint; `of_server`: of a server's, so that programs cannot take all. The m-kernel
/// only.
pub fn create(target: Target, of_server: bool) -> Option<u8> {
    let numbers = if of_server { 0..SERVER_ENDPOINTS } else { SERVER_ENDPOINTS..ENDPOINTS };
    let is_free = |&number: &usize| TABLE[number].state.load(Ordering::Relaxed) >> 62 == FREE;
    let number = { numbers }.find(is_free)?;
    let endpoint = &TABLE[number];
    let generation = state(number as u8).generation().wrapping_add(1).max(1);
    endpoint.bits.clear();
    endpoint.first_generation.store(generation, Ordering::Release);
    endpoint.state.store(State::new(target, generation).0, Ordering::Release);
    Some(number as u8)
}

/// Changes who receives; a receiver that goes makes it another generation. The m-kernel, or the
/// CPU of the receiver. Gives the generation, or `None` for an endpoint that is closed.
pub fn bind(number: u8, target: Target) -> Option<u32> {
    change(number, |old| {
        let goes = matches!(old.target(), Target::Bound { .. });
        State::new(target, old.generation().wrapping_add(u32::from(goes)))
    })
}

/// The receiver goes to another CPU; it is the same. Nothing happens if another receives by now.
pub fn moved(number: u8, from: u8, to: u8, server: u8) {
    change(number, |old| {
        let still = old.target() == Target::Bound { cpu: from, server };
        let target = if still { Target::Bound { cpu: to, server } } else { old.target() };
        State::new(target, old.generation())
    });
}

/// The endpoints at which a process receives: one, but for a moment after it was bound to another.
pub fn bound_to(cpu: u8, server: u8) -> impl Iterator<Item = u8> {
    let here = Target::Bound { cpu, server };
    (0..ENDPOINTS as u8).filter(move |&number| state(number).target() == here)
}

/// The receiver ends: nobody receives, if it still did.
pub fn leave(number: u8, cpu: u8, server: u8, target: Target) {
    change(number, |old| {
        if old.target() != (Target::Bound { cpu, server }) {
            return old;
        }
        State::new(target, old.generation().wrapping_add(1))
    });
}

fn change(number: u8, mut change: impl FnMut(State) -> State) -> Option<u32> {
    let update = |word| {
        let old = State(word);
        old.is_open().then(|| change(old).0)
    };
    let word = &endpoint(number).state;
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).ok()?;
    Some(state(number).generation())
}

/// Lets the number be used again, by an endpoint that begins with the next generation. The m-kernel
/// only, when it is closed.
pub fn free(number: u8) {
    let word = FREE << 62 | u64::from(state(number).generation());
    endpoint(number).state.store(word, Ordering::Release);
}

/// The notification bits of an endpoint.
#[inline]
pub fn bits(number: u8) -> &'static Notification {
    &endpoint(number).bits
}

/// Messages sent that nobody has received, in all of the partition: no CPU has room for more. Those
/// at programs' endpoints leave room for those at servers'.
struct Pool {
    waiting: AtomicU32,
    most: usize,
    /// How many of them only `init` can send, so that it can ask servers whether they live.
    kept_for_init: usize,
}

const PROGRAM_SENDS: usize = 40;
static SERVERS_POOL: Pool = Pool::new(SENDS_PER_CPU - PROGRAM_SENDS, 32);
static PROGRAMS_POOL: Pool = Pool::new(PROGRAM_SENDS, 0);

impl Pool {
    const fn new(most: usize, kept_for_init: usize) -> Self {
        Self { waiting: AtomicU32::new(0), most, kept_for_init }
    }

    fn of(number: u8) -> &'static Self {
        if usize::from(number) < SERVER_ENDPOINTS { &SERVERS_POOL } else { &PROGRAMS_POOL }
    }
}

/// Makes sure of room for one message more. Whether there is some.
pub fn reserve_send(number: u8, of_init: bool) -> bool {
    let pool = Pool::of(number);
    let kept = if of_init { 0 } else { pool.kept_for_init };
    let room = one_more(&pool.waiting, (pool.most - kept) as u32);
    let there = SENDS_MAX as u32 + u32::from(of_init);
    let there = room && one_more(&endpoint(number).sends, there);
    if room && !there {
        one_less(&pool.waiting);
    }
    there
}

/// A message that had its room waits no more.
pub fn send_dequeued(number: u8) {
    one_less(&endpoint(number).sends);
    one_less(&Pool::of(number).waiting);
}

fn one_more(counter: &AtomicU32, most: u32) -> bool {
    let one_more = |sends| (sends < most).then_some(sends + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
}

fn one_less(counter: &AtomicU32) {
    let one_less = |sends: u32| Some(sends.saturating_sub(1));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
}
