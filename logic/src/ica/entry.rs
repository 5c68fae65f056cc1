//! One page of the ICA in one word: `slot or sharers << 52 | frame | kind`. A page has an owner or
//! sharers, never both, so one field holds the slot of the one or the number of the others.

use ant_abi::boot::TableSizes;
use ant_abi::{PAGE_SIZE, PhysAddr, ProcessSlot};

/// Bits of the frame's physical address.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Bits of the kind.
const KIND: u64 = 0xfff;
/// First bit of the field with the slot or the number of sharers.
const FIELD_SHIFT: u32 = 52;
/// The most that the field can hold.
pub(super) const FIELD_MAX: u64 = 0xfff;
/// In place of the slot: a giver that has ended.
const ENDED: u64 = FIELD_MAX;

const _: () = assert!(TableSizes::MOST.processes as u64 <= ENDED);
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
    /// The process with this slot, which has let go of it: it is on its way back to the memory manager.
    Returning {
        /// Its slot.
        owner: ProcessSlot,
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
        let (kind, field) = match state {
            PageState::Free => (0, 0),
            PageState::Reserved => (1, 0),
            PageState::Owned { owner } => (2, owner.bits()),
            PageState::Lent { owner, access: Access::Read } => (3, owner.bits()),
            PageState::Lent { owner, access: Access::Write } => (4, owner.bits()),
            PageState::InTransit { giver } => (5, giver.map_or(ENDED, ProcessSlot::bits)),
            PageState::Shared { sharers } => (6, sharers.into()),
            PageState::Returning { owner } => (7, owner.bits()),
        };
        Self(field << FIELD_SHIFT | frame | kind)
    }

    pub(super) fn state(self) -> PageState {
        let slot = ProcessSlot::from_bits(self.field());
        match self.0 & KIND {
            0 => PageState::Free,
            1 => PageState::Reserved,
            2 => PageState::Owned { owner: slot },
            3 => PageState::Lent { owner: slot, access: Access::Read },
            4 => PageState::Lent { owner: slot, access: Access::Write },
            5 => PageState::InTransit { giver: (self.field() != ENDED).then_some(slot) },
            6 => PageState::Shared { sharers: self.field() as u16 },
            7 => PageState::Returning { owner: slot },
            kind => unreachable!("an entry of the ICA has kind {kind}"),
        }
    }

    /// The slot, or the number of sharers.
    #[inline]
    fn field(self) -> u64 {
        self.0 >> FIELD_SHIFT
    }

    /// Physical address of the frame; 0 is one too.
    #[inline]
    pub(super) fn frame(self) -> Option<PhysAddr> {
        let has_one = self.0 & KIND > Self::new(PageState::Reserved, 0).0;
        has_one.then_some(PhysAddr::new(self.0 & FRAME))
    }

    /// Whether it is in the same state as `other`.
    #[inline]
    pub(super) fn is_like(self, other: Self) -> bool {
        (self.0 ^ other.0) & !FRAME == 0
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
