//! One page of the ICA in one word: `sharers << 52 | frame | kind << 8 | slot`.

use ant_abi::{MAX_PROCESSES, PAGE_SIZE, PhysAddr, ProcessSlot};

/// Bits of the frame's physical address.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Bits of kind and slot.
const KIND_AND_SLOT: u64 = 0xfff;
const KIND_SHIFT: u32 = 8;
const KIND: u64 = 0xf << KIND_SHIFT;
const SHARERS_SHIFT: u32 = 52;
/// The most that the field for the number of sharers can hold.
pub(super) const SHARERS_FIELD_MAX: u16 = 0xfff;
/// In place of the slot: a giver that has ended.
const ENDED: u64 = 0xff;
/// Bits of the slot.
const SLOT: u64 = 0xff;

const _: () = assert!(MAX_PROCESSES <= ENDED as usize);
const _: () = assert!(FRAME.trailing_zeros() == PAGE_SIZE.trailing_zeros());

/// What a borrower may do with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read; the owner reads too.
    Read,
    /// Read and write; the owner may not touch it.
    Write,
}

/// The owner of a page of the ICA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// None.
    Free,
    /// Its number is taken, but there is no frame.
    Reserved,
    /// The process with this slot.
    Owned {
        /// Its slot.
        owner: ProcessSlot,
    },
    /// The process with this slot, which has lent it with a message.
    Lent {
        /// Its slot.
        owner: ProcessSlot,
        /// What the borrower may do.
        access: Access,
    },
    /// A message that was not received yet.
    InTransit {
        /// Slot of the process that handed it over; `None` if that has ended.
        giver: Option<ProcessSlot>,
    },
    /// So many processes and messages.
    Shared {
        /// How many.
        sharers: u16,
    },
}

/// One page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageEntry(pub(super) u64);

/// Whether an entry can hold this physical address.
pub(super) fn is_frame(phys: PhysAddr) -> bool {
    phys.get() & !FRAME == 0
}

impl PageEntry {
    /// A page in this state; `frame` is 0 for one that has none.
    #[inline]
    pub(super) fn new(state: PageState, frame: u64) -> Self {
        let (kind, slot, sharers) = match state {
            PageState::Free => (0, 0, 0),
            PageState::Reserved => (1, 0, 0),
            PageState::Owned { owner } => (2, owner.bits(), 0),
            PageState::Lent { owner, access: Access::Read } => (3, owner.bits(), 0),
            PageState::Lent { owner, access: Access::Write } => (4, owner.bits(), 0),
            PageState::InTransit { giver } => (5, giver.map_or(ENDED, ProcessSlot::bits), 0),
            PageState::Shared { sharers } => (6, 0, sharers),
        };
        Self(u64::from(sharers) << SHARERS_SHIFT | frame | kind << KIND_SHIFT | slot)
    }

    pub(super) fn state(self) -> PageState {
        let slot = ProcessSlot::from_bits(self.0 & SLOT);
        match self.0 >> KIND_SHIFT & 0xf {
            0 => PageState::Free,
            1 => PageState::Reserved,
            2 => PageState::Owned { owner: slot },
            3 => PageState::Lent { owner: slot, access: Access::Read },
            4 => PageState::Lent { owner: slot, access: Access::Write },
            5 => PageState::InTransit { giver: (self.0 & SLOT != ENDED).then_some(slot) },
            6 => PageState::Shared { sharers: (self.0 >> SHARERS_SHIFT) as u16 },
            kind => unreachable!("an entry of the ICA has kind {kind}"),
        }
    }

    /// Physical address of the frame; 0 is one too.
    #[inline]
    pub(super) fn frame(self) -> Option<PhysAddr> {
        let has_one = self.0 & KIND > Self::new(PageState::Reserved, 0).0;
        has_one.then_some(PhysAddr::new(self.0 & FRAME))
    }

    /// Whether it is in the same state as `other`, which is not shared.
    #[inline]
    pub(super) fn is_like(self, other: Self) -> bool {
        (self.0 ^ other.0) & KIND_AND_SLOT == 0
    }

    /// The same page in the state of `other`, a page without a frame; both have one, or neither.
    #[inline]
    pub(super) fn become_like(self, other: Self) -> Self {
        Self(self.0 & FRAME | other.0)
    }

    /// Whether it was handed over, and not received.
    #[inline]
    pub(super) fn is_in_transit(self) -> bool {
        (self.0 ^ Self::new(PageState::InTransit { giver: None }, 0).0) & KIND == 0
    }

    /// Whether its slot, if its state has one, is this.
    #[inline]
    pub(super) fn names(self, slot: ProcessSlot) -> bool {
        self.0 & SLOT == slot.bits()
    }

    /// Whether it is shared.
    #[inline]
    pub(super) fn is_shared(self) -> bool {
        (self.0 ^ Self::new(PageState::Shared { sharers: 0 }, 0).0) & KIND == 0
    }

    /// The same page in another state.
    #[inline]
    pub(super) fn become_state(self, state: PageState) -> Self {
        let frame = match state {
            PageState::Free | PageState::Reserved => 0,
            _ => self.0 & FRAME,
        };
        Self::new(state, frame)
    }
}
