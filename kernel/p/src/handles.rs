//! The handles of a process: what it was given, and all that it can reach.

use ant_abi::boot::TableSizes;
use ant_abi::ipc::HANDLES;
use ant_abi::{CpuIndex, EndpointId, Error, Generation, ThreadSlot};

use crate::endpoints::{self, Endpoint, State};

/// A bit above the numbers of endpoints.
const IS_HANDLE: u64 = 1 << 10;
/// Where the low half of a generation begins in a handle that goes with a message.
const GENERATION_SHIFT: u32 = 11;
/// Where the badge begins there.
const BADGE_SHIFT: u32 = GENERATION_SHIFT + u16::BITS;

const _: () = assert!(TableSizes::MOST.endpoints as u64 <= IS_HANDLE);

/// A handle to an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Where that is in the table.
    place: &'static Endpoint,
    /// Which endpoint of that number: its first generation.
    pub first_generation: Generation,
    /// The endpoint's generation when the process last heard of it.
    pub generation: Generation,
    /// What the receiver sees.
    pub badge: u32,
}

impl Handle {
    /// A handle to the endpoint that has this number now; its process has not heard of a generation.
    pub fn new(endpoint: EndpointId, badge: u32) -> Self {
        let first_generation = endpoints::first_generation(endpoint);
        Self::with_generations(endpoint, first_generation, Generation::UNKNOWN, badge)
    }

    fn with_generations(
        endpoint: EndpointId,
        first_generation: Generation,
        generation: Generation,
        badge: u32,
    ) -> Self {
        let place = Endpoint::numbered(endpoint);
        Self { endpoint, place, first_generation, generation, badge }
    }

    /// A handle to the same endpoint for another process, with a badge.
    pub fn with_badge(self, badge: u32) -> Self {
        Self { badge, generation: Generation::UNKNOWN, ..self }
    }

    /// CPU and slot of the receiver, if that is of the generation that the process has heard of.
    #[inline]
    pub fn receiver(&self) -> Option<(CpuIndex, ThreadSlot)> {
        self.place.receiver(self.generation)
    }

    /// As it goes with a message: 59 bits, not 0.
    pub fn encode(self) -> u64 {
        let Self { endpoint, first_generation, badge, .. } = self;
        u64::from(badge) << BADGE_SHIFT
            | u64::from(first_generation.low()) << GENERATION_SHIFT
            | endpoint.bits()
            | IS_HANDLE
    }

    /// The handle that came with a message, if there was one.
    pub fn decode(word: u64) -> Option<Self> {
        let endpoint = EndpointId::from_bits(word & (IS_HANDLE - 1));
        // The last that ended so: the number has not had 65,536 generations while the word was under
        // way.
        let now = endpoints::first_generation(endpoint);
        let first_generation = now.latest_with_low((word >> GENERATION_SHIFT) as u16);
        let badge = (word >> BADGE_SHIFT) as u32;
        (word != 0)
            .then(|| Self::with_generations(endpoint, first_generation, Generation::UNKNOWN, badge))
    }

    /// The endpoint now; `PeerGone` if it is closed.
    #[inline]
    pub fn state(self) -> Result<State, Error> {
        // In this order, as `endpoints::first_generation` says.
        let state = self.place.state();
        let is_it = self.place.first_generation() == self.first_generation;
        (is_it && state.is_open()).then_some(state).ok_or(Error::PeerGone)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Raised when the place is emptied, so that an old number fails.
    generation: u32,
    handle: Option<Handle>,
}

/// All handles of one process. Its number for one is the place, from 1, in the low byte, and the
/// place's generation above.
#[derive(Debug, Default)]
pub struct Handles([Place; HANDLES]);

impl Handles {
    /// Puts a handle into the first free place; gives its number, or `None` if all are taken.
    pub fn add(&mut self, handle: Handle) -> Option<u64> {
        let place = self.0.iter().position(|place| place.handle.is_none())?;
        self.0[place].handle = Some(handle);
        Some(u64::from(self.0[place].generation) << 8 | (place as u64 + 1))
    }

    /// Whether there is room for one more.
    pub fn has_room(&self) -> bool {
        self.0.iter().any(|place| place.handle.is_none())
    }

    /// The handle with a number.
    pub fn get(&self, number: u64) -> Result<Handle, Error> {
        self.find(number).copied().ok_or(Error::BadHandle)
    }

    /// As [`Handles::get`], where it is.
    #[inline]
    pub fn find(&self, number: u64) -> Option<&Handle> {
        let place = self.0.get(index(number))?;
        place.handle.as_ref().filter(|_| u64::from(place.generation) == number >> 8)
    }

    /// Remembers which generation the process knows of.
    pub fn set_generation(&mut self, number: u64, generation: Generation) {
        if let Ok(handle) = self.get(number) {
            self.0[index(number)].handle = Some(Handle { generation, ..handle });
        }
    }

    /// Closes a handle.
    pub fn close(&mut self, number: u64) -> Result<(), Error> {
        self.get(number)?;
        let place = &mut self.0[index(number)];
        place.handle = None;
        place.generation = place.generation.wrapping_add(1) & 0xff_ffff;
        Ok(())
    }
}

/// Place of a number; out of every range for 0.
fn index(number: u64) -> usize {
    (number as usize & 0xff).wrapping_sub(1)
}
