//! Endpoints: where processes receive. Every CPU reads them; the m-kernel makes, binds and closes
//! them, and the CPU of a receiver takes it away when it ends or moves.
//!
//! One word holds the state, so that a CPU that reads it sees one moment.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::ipc::{SENDS_MAX, SERVER_ENDPOINTS};
use ant_abi::{CpuIndex, EndpointId, Generation, MAX_CPUS, Priority, ThreadSlot};
use ant_logic::ipc::{Raised, SENDS_PER_CPU, Target};
use ant_logic::notification::Notification;

use crate::shared;
use crate::table::Table;

/// Where the kind begins in a state; of a kind that is bound, only the highest bit is set.
const KIND_SHIFT: u32 = 61;
const FREE: u64 = 0;
const UNBOUND: u64 = 1;
const CLOSED: u64 = 2;
const BOUND: u64 = 4;
/// Where the receiver's CPU begins.
const CPU_SHIFT: u32 = 56;
/// Where the receiver's slot begins.
const SERVER_SHIFT: u32 = 40;

const _: () = assert!(MAX_CPUS <= 1 << (KIND_SHIFT - CPU_SHIFT));

/// State of an endpoint at one moment: `kind << 61 | CPU << 56 | server << 40 | generation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(u64);

impl State {
    fn new(target: Target, generation: Generation) -> Self {
        let target = match target {
            Target::Unbound => UNBOUND << KIND_SHIFT,
            Target::Closed => CLOSED << KIND_SHIFT,
            Target::Bound { cpu, server } => {
                BOUND << KIND_SHIFT | cpu.bits() << CPU_SHIFT | server.bits() << SERVER_SHIFT
            }
        };
        Self(target | u64::from(generation.get()))
    }

    /// The receiver.
    #[inline]
    pub fn target(self) -> Target {
        match (self.receiver(), self.kind()) {
            (Some((cpu, server)), _) => Target::Bound { cpu, server },
            (None, UNBOUND) => Target::Unbound,
            (None, _) => Target::Closed,
        }
    }

    fn kind(self) -> u64 {
        self.0 >> KIND_SHIFT
    }

    /// CPU and thread of the receiver, if there is one.
    #[inline]
    pub fn receiver(self) -> Option<(CpuIndex, ThreadSlot)> {
        let receiver = (
            CpuIndex::from_bits(self.0 >> CPU_SHIFT),
            ThreadSlot::from_bits(self.0 >> SERVER_SHIFT),
        );
        (self.0 >> 63 != 0).then_some(receiver)
    }

    /// Raised whenever a receiver goes, and when the number is used for another endpoint.
    #[inline]
    pub fn generation(self) -> Generation {
        Generation::new(self.0 as u32)
    }

    /// Whether it has a receiver, or will have one.
    #[inline]
    pub fn is_open(self) -> bool {
        matches!(self.kind(), UNBOUND | BOUND)
    }
}

/// An endpoint, as every CPU finds it in the table.
#[derive(Debug)]
pub struct Endpoint {
    state: AtomicU64,
    /// Its first generation, by which it is told from others of its number.
    first_generation: AtomicU32,
    /// [`Raised`]: notification bits that wait to be received.
    bits: Notification,
    /// Messages sent that wait to be received.
    sends: AtomicU32,
}

static TABLE: Table<Endpoint> = Table::empty();

/// Makes the table, in memory of the m-kernel's.
pub fn make_table(alloc: &mut impl FnMut(usize) -> *mut u8) {
    let count = shared::tables().endpoints as usize;
    let memory = alloc(Table::<Endpoint>::bytes(count));
    let endpoint = |_| Endpoint {
        state: AtomicU64::new(0),
        first_generation: AtomicU32::new(0),
        bits: Notification::new(),
        sends: AtomicU32::new(0),
    };
    // SAFETY: fresh memory of the m-kernel's, given away for ever.
    unsafe { TABLE.place(memory, count, endpoint) };
}

/// All endpoints, with their numbers.
fn all() -> impl Iterator<Item = (EndpointId, &'static Endpoint)> {
    EndpointId::first(TABLE.all().len()).zip(TABLE.all())
}

/// How an endpoint is now.
#[inline]
pub fn state(endpoint: EndpointId) -> State {
    Endpoint::numbered(endpoint).state()
}

/// The receiver of an endpoint now, and its generation.
#[inline]
pub fn target(endpoint: EndpointId) -> (Target, Generation) {
    let state = state(endpoint);
    (state.target(), state.generation())
}

/// The first generation of the endpoint that has this number. A caller that wants [`state`], too,
/// asks for that first.
#[inline]
pub fn first_generation(endpoint: EndpointId) -> Generation {
    Endpoint::numbered(endpoint).first_generation()
}

impl Endpoint {
    /// The endpoint with this number.
    #[inline]
    pub fn numbered(endpoint: EndpointId) -> &'static Self {
        &TABLE.all()[endpoint.index()]
    }

    /// How it is now.
    #[inline]
    pub fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Its first generation. A caller that wants its state, too, asks for that first.
    #[inline]
    pub fn first_generation(&self) -> Generation {
        Generation::new(self.first_generation.load(Ordering::Acquire))
    }

    /// CPU and slot of the receiver, if the endpoint is in this generation still.
    #[inline]
    pub fn receiver(&self, generation: Generation) -> Option<(CpuIndex, ThreadSlot)> {
        let state = self.state();
        state.receiver().filter(|_| state.generation() == generation)
    }
}

/// What an endpoint is for: programs cannot take all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `init` or a server.
    Server,
    /// A program.
    Program,
}

impl Purpose {
    fn of(endpoint: EndpointId) -> Self {
        if endpoint.index() < SERVER_ENDPOINTS { Self::Server } else { Self::Program }
    }
}

/// Makes an endpoint. The m-kernel only.
pub fn create(target: Target, purpose: Purpose) -> Option<EndpointId> {
    let fits = |&(endpoint, entry): &(EndpointId, &'static Endpoint)| {
        Purpose::of(endpoint) == purpose && entry.state().kind() == FREE
    };
    let (endpoint, entry) = all().find(fits)?;
    let generation = entry.state().generation().next();
    entry.bits.clear();
    entry.first_generation.store(generation.get(), Ordering::Release);
    entry.state.store(State::new(target, generation).0, Ordering::Release);
    Some(endpoint)
}

/// Changes the receiver; if one goes, the endpoint gets the next generation. Called by the m-kernel
/// or the receiver's CPU. Gives the generation, or `None` for an endpoint that is closed.
pub fn bind(endpoint: EndpointId, target: Target) -> Option<Generation> {
    change(endpoint, |old| {
        let generation = match old.target() {
            Target::Bound { .. } => old.generation().next(),
            Target::Unbound | Target::Closed => old.generation(),
        };
        State::new(target, generation)
    })
}

/// The receiver goes to another CPU; it is the same. Nothing happens if another receives by now.
pub fn moved(endpoint: EndpointId, from: CpuIndex, to: CpuIndex, server: ThreadSlot) {
    change(endpoint, |old| {
        let still = old.target() == Target::Bound { cpu: from, server };
        let target = if still { Target::Bound { cpu: to, server } } else { old.target() };
        State::new(target, old.generation())
    });
}

/// The endpoints at which a process receives: one, but for a moment after it was bound to another.
pub fn bound_to(cpu: CpuIndex, server: ThreadSlot) -> impl Iterator<Item = EndpointId> {
    let here = Some((cpu, server));
    all().filter(move |(_, entry)| entry.state().receiver() == here).map(|(endpoint, _)| endpoint)
}

/// The receiver ends: the endpoint has none any more, if it was still this one.
pub fn leave(endpoint: EndpointId, cpu: CpuIndex, server: ThreadSlot, target: Target) {
    change(endpoint, |old| {
        if old.target() != (Target::Bound { cpu, server }) {
            return old;
        }
        State::new(target, old.generation().next())
    });
}

fn change(endpoint: EndpointId, mut change: impl FnMut(State) -> State) -> Option<Generation> {
    let update = |word| {
        let old = State(word);
        old.is_open().then(|| change(old).0)
    };
    let word = &Endpoint::numbered(endpoint).state;
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).ok()?;
    Some(state(endpoint).generation())
}

/// Lets the number be used again, by an endpoint that begins with the next generation. The m-kernel
/// only, when it is closed.
pub fn free(endpoint: EndpointId) {
    let word = FREE << KIND_SHIFT | u64::from(state(endpoint).generation().get());
    Endpoint::numbered(endpoint).state.store(word, Ordering::Release);
}

/// Raises notification bits at an endpoint with a priority. Whether the caller tells the receiver's CPU.
pub fn raise(endpoint: EndpointId, bits: u64, priority: Priority) -> bool {
    let raised = Raised::new(bits, priority);
    raised.is_news(Raised(self::bits(endpoint).raise(raised.0)))
}

/// The notification bits of an endpoint.
#[inline]
pub fn bits(endpoint: EndpointId) -> &'static Notification {
    &Endpoint::numbered(endpoint).bits
}

/// Messages sent that wait to be received, in all of the partition: no CPU has room for more. Those
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

    fn of(endpoint: EndpointId) -> &'static Self {
        match Purpose::of(endpoint) {
            Purpose::Server => &SERVERS_POOL,
            Purpose::Program => &PROGRAMS_POOL,
        }
    }
}

/// What sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `init`, for which there is room that others do not get.
    Init,
    /// Another process.
    Other,
}

/// Makes sure of room for one message more. Whether there is some.
pub fn reserve_send(endpoint: EndpointId, sender: Sender) -> bool {
    let pool = Pool::of(endpoint);
    let (kept, extra) = match sender {
        Sender::Init => (0, 1),
        Sender::Other => (pool.kept_for_init, 0),
    };
    let room = one_more(&pool.waiting, (pool.most - kept) as u32);
    let there = room && one_more(&Endpoint::numbered(endpoint).sends, SENDS_MAX as u32 + extra);
    if room && !there {
        one_less(&pool.waiting);
    }
    there
}

/// A message that had its room waits no more.
pub fn send_dequeued(endpoint: EndpointId) {
    one_less(&Endpoint::numbered(endpoint).sends);
    one_less(&Pool::of(endpoint).waiting);
}

fn one_more(counter: &AtomicU32, most: u32) -> bool {
    let one_more = |sends| (sends < most).then_some(sends + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
}

fn one_less(counter: &AtomicU32) {
    let one_less = |sends: u32| Some(sends.saturating_sub(1));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
}
