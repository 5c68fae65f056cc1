//! Endpoints: where processes receive. Anyone reads them; the m-kernel makes, binds and closes
//! them, and the core of a receiver takes it away when it ends or moves.
//!
//! One word holds the state, so that whoever reads it sees one moment.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ant_abi::ipc::{ENDPOINTS, SENDS_MAX};
use ant_core::ipc::{STATION_SENDS, Target};

const FREE: u64 = 0;
const UNBOUND: u64 = 1;
const BOUND: u64 = 2;
const CLOSED: u64 = 3;

/// State of an endpoint at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Who receives.
    pub target: Target,
    /// Raised whenever a receiver goes, and when the number is used for another endpoint.
    pub generation: u32,
    /// Raised when the number is used for another endpoint.
    pub incarnation: u16,
}

impl State {
    /// `kind << 62 | core << 56 | server << 48 | incarnation << 32 | generation`.
    fn encode(self) -> u64 {
        let target = match self.target {
            Target::Unbound => UNBOUND << 62,
            Target::Closed => CLOSED << 62,
            Target::Bound { core, server } => {
                BOUND << 62 | u64::from(core) << 56 | u64::from(server) << 48
            }
        };
        target | u64::from(self.incarnation) << 32 | u64::from(self.generation)
    }

    #[inline]
    fn decode(word: u64) -> Self {
        let target = match word >> 62 {
            UNBOUND => Target::Unbound,
            BOUND => Target::Bound { core: (word >> 56) as u8 & 63, server: (word >> 48) as u8 },
            _ => Target::Closed,
        };
        Self { target, generation: word as u32, incarnation: (word >> 32) as u16 }
    }
}

struct Endpoint {
    state: AtomicU64,
    /// Its first generation.
    began: AtomicU32,
    /// Notification bits that nobody has received.
    bits: AtomicU64,
    /// Messages sent that nobody has received.
    sends: AtomicU32,
}

static TABLE: [Endpoint; ENDPOINTS] = [const {
    Endpoint {
        state: AtomicU64::new(0),
        began: AtomicU32::new(0),
        bits: AtomicU64::new(0),
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
    State::decode(endpoint(number).state.load(Ordering::Acquire))
}

/// Who receives at an endpoint now, in which generation.
#[inline]
pub fn target(number: u8) -> (Target, u32) {
    let state = state(number);
    (state.target, state.generation)
}

/// The first generation of the endpoint that has this number.
pub fn began(number: u8) -> u32 {
    endpoint(number).began.load(Ordering::Acquire)
}

/// Whether process `server` of core `core` receives at an endpoint now, in this generation.
#[inline]
pub fn is_bound(number: u8, core: usize, server: u8, generation: u32) -> bool {
    let target = Target::Bound { core: core as u8, server };
    let state = State { target, generation, incarnation: 0 };
    let any_incarnation = !(u64::from(u16::MAX) << 32);
    endpoint(number).state.load(Ordering::Acquire) & any_incarnation == state.encode()
}

/// Makes an endpoint. The m-kernel only.
pub fn create(target: Target) -> Option<(u8, State)> {
    let is_free = |endpoint: &Endpoint| endpoint.state.load(Ordering::Relaxed) >> 62 == FREE;
    let number = TABLE.iter().position(is_free)?;
    let endpoint = &TABLE[number];
    let last = State::decode(endpoint.state.load(Ordering::Relaxed));
    let incarnation = last.incarnation.wrapping_add(1).max(1);
    let generation = last.generation.wrapping_add(1).max(1);
    let state = State { target, generation, incarnation };
    endpoint.bits.store(0, Ordering::Relaxed);
    // Who knows the endpoint by its state knows when it began.
    endpoint.began.store(generation, Ordering::Release);
    endpoint.state.store(state.encode(), Ordering::Release);
    Some((number as u8, state))
}

/// Changes who receives; a receiver that goes makes it another generation. The m-kernel, or the
/// core of the receiver. Gives the generation, or `None` for an endpoint that is closed.
pub fn bind(number: u8, target: Target) -> Option<u32> {
    change(number, |old| {
        let goes = matches!(old.target, Target::Bound { .. });
        State { target, generation: old.generation.wrapping_add(u32::from(goes)), ..old }
    })
}

/// The receiver goes to another core; it is the same. Nothing happens if another receives by now.
pub fn moved(number: u8, from: u8, to: u8, server: u8) {
    change(number, |old| {
        let still = old.target == Target::Bound { core: from, server };
        let target = if still { Target::Bound { core: to, server } } else { old.target };
        State { target, ..old }
    });
}

/// The endpoints at which a process receives: one, but for a moment after it was bound to another.
pub fn bound_to(core: u8, server: u8) -> impl Iterator<Item = u8> {
    let here = Target::Bound { core, server };
    (0..ENDPOINTS as u8).filter(move |&number| state(number).target == here)
}

/// The receiver ends: nobody receives, if it still did.
pub fn leave(number: u8, core: u8, server: u8, target: Target) {
    change(number, |old| {
        if old.target != (Target::Bound { core, server }) {
            return old;
        }
        State { target, generation: old.generation.wrapping_add(1), ..old }
    });
}

fn change(number: u8, mut change: impl FnMut(State) -> State) -> Option<u32> {
    let update = |word| {
        let old = State::decode(word);
        (old.target != Target::Closed).then(|| change(old).encode())
    };
    let state = &endpoint(number).state;
    state.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).ok()?;
    Some(State::decode(state.load(Ordering::Acquire)).generation)
}

/// Lets the number be used again: handles to it find another incarnation. The m-kernel only, when
/// it is closed and every core knows.
pub fn free(number: u8) {
    let State { incarnation, generation, .. } = state(number);
    let word = FREE << 62 | u64::from(incarnation) << 32 | u64::from(generation);
    endpoint(number).state.store(word, Ordering::Release);
}

/// Raises notification bits. Says whether any was not raised before: then the receiver must hear of
/// it.
pub fn raise(number: u8, bits: u64) -> bool {
    endpoint(number).bits.fetch_or(bits, Ordering::SeqCst) & bits != bits
}

/// Whether notification bits wait.
#[inline]
pub fn has_bits(number: u8) -> bool {
    endpoint(number).bits.load(Ordering::Relaxed) != 0
}

/// Takes the notification bits.
pub fn take_bits(number: u8) -> u64 {
    if has_bits(number) { endpoint(number).bits.swap(0, Ordering::SeqCst) } else { 0 }
}

/// Messages for which only `init` finds room, so that it can ask servers whether they live whatever
/// others send.
const KEPT_FOR_INIT: usize = 32;

/// Makes sure of room for one message more. Whether there is some.
pub fn reserve_send(number: u8, of_init: bool) -> bool {
    let most = if of_init { STATION_SENDS } else { STATION_SENDS - KEPT_FOR_INIT };
    let room = one_more(&SENDS, most as u32);
    let there = SENDS_MAX as u32 + u32::from(of_init);
    let there = room && one_more(&endpoint(number).sends, there);
    if room && !there {
        one_less(&SENDS);
    }
    there
}

/// A message that had its room waits no more.
pub fn send_left(number: u8) {
    one_less(&endpoint(number).sends);
    one_less(&SENDS);
}

/// Messages sent that nobody has received, in all of the partition: no core has room for more.
static SENDS: AtomicU32 = AtomicU32::new(0);

fn one_more(counter: &AtomicU32, most: u32) -> bool {
    let one_more = |sends| (sends < most).then_some(sends + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
}

fn one_less(counter: &AtomicU32) {
    let one_less = |sends: u32| Some(sends.saturating_sub(1));
    let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
}
