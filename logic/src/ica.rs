//! Owners of the pages of the ICA (paper 2.1.2).
//!
//! Every page of the ICA is at the same address in every process, and this table says to which
//! process it belongs. All CPUs share it without a lock: a CPU changes an entry only in its turn,
//! and the entry's state says which CPU's turn it is:
//!
//! - *free*: no process has the number. The m-kernel's turn: [`IcaAllocator::alloc`].
//! - *reserved*: the number is taken, there is no frame (yet, or any more). The m-kernel's:
//!   `set_frame`, `forget`.
//! - *owned*: one process has it. The owner's CPU's: `begin_transfer`, `release`, `give_up`.
//! - *lent*: its owner has lent it with a message. The owner's CPU's: `end_loan`.
//! - *in transit*: it was handed over, and the message was not received yet. The CPU's that has the
//!   message: `complete_hand_over`, `undo_transfer`, `discard`; the giver's CPU: `orphan`.
//! - *shared*: so many have it, and none more than the others. Each of their CPUs':
//!   `begin_share`, `release`, `give_up`.
//! - *returning*: the process that had it last has let go of it, and the memory manager has not heard of
//!   it yet. The m-kernel's: `release`.
//!
//! A message that shares pages counts as one that has them, until its receiver takes its place. The
//! borrower of pages is not written down: the message knows. Neither are sharers: [`Holder`] looks
//! into the page tables of the one that asks.
//!
//! A frame comes back from here once, when no process has it any more.
//!
//! How many pages one may have is `Quotas`' business.
//!
//! What processes do with pages, table and page tables together, is [`Holder`]'s. Deliberately absent:
//! what is in the pages, messages, the frames themselves.

mod allocator;
mod entry;
mod holder;
mod quota;

use core::ops::Range;

use ant_abi::ipc::{Span, Transfer};
use ant_abi::{Error, MAX_CPUS, PhysAddr, ProcessSlot};

pub use allocator::IcaAllocator;
pub use entry::{Access, PageState};
pub use holder::{Holder, Sender, Space, With};
pub use quota::{Account, Limit, Quotas};

use crate::atomic::{AtomicU64, Ordering};
use entry::PageEntry;

/// How many can share one page, messages included. `begin_share` looks first and counts afterwards;
/// the field has room for what all CPUs together count too many.
pub const SHARERS_MAX: u16 = 4000;

const _: () = assert!(SHARERS_MAX as u64 + MAX_CPUS as u64 <= entry::FIELD_MAX);

/// The pages of one ICA, by number.
#[derive(Clone, Copy, Debug)]
pub struct IcaTable<'a> {
    /// See the list above for which CPU writes which. Every change is `AcqRel`: what the one before did
    /// to the page has happened when the next one has it.
    entries: &'a [AtomicU64],
}

impl<'a> IcaTable<'a> {
    /// With a word for each page; one that is zero is a free page.
    #[inline]
    #[must_use]
    pub const fn new(entries: &'a [AtomicU64]) -> Self {
        Self { entries }
    }

    /// How many pages there are.
    #[inline]
    #[must_use]
    pub const fn pages(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Gives the reserved `page` the frame at physical address `phys` and an owner. Only the
    /// m-kernel calls this, before it tells the owner's CPU.
    ///
    /// # Errors
    ///
    /// `Invalid` if that is not the address of a page; `Fault` if the page is not reserved.
    pub fn set_frame(&self, page: u32, phys: PhysAddr, owner: ProcessSlot) -> Result<(), Error> {
        if !entry::is_frame(phys) {
            return Err(Error::Invalid);
        }
        let entry = self.entry(page)?;
        if PageEntry(entry.load(Ordering::Acquire)).state() != PageState::Reserved {
            return Err(Error::Fault);
        }
        entry.store(PageEntry::new(PageState::Owned { owner }, phys.get()).0, Ordering::Release);
        Ok(())
    }

    /// Makes a reserved page free: its number can be given away again. Only the m-kernel calls
    /// this, when no address space has the page any more.
    ///
    /// # Errors
    ///
    /// `Fault` if the page is not reserved.
    pub fn forget(&self, page: u32) -> Result<(), Error> {
        self.change_one(page, from(PageState::Reserved, PageState::Free)).map(drop)
    }

    /// Lets the pages of `span` go with a message of `owner`: handed over, they are in transit;
    /// lent, they are lent; shared, both the owner and the message have them. Only the owner's CPU
    /// calls this.
    ///
    /// For sharing, see also [`IcaTable::begin_share`], which takes pages that are shared already.
    ///
    /// # Errors
    ///
    /// `Invalid` if the span says nothing; `Fault` if `owner` does not own all of it, or has lent
    /// or shared any of it. Nothing is changed then.
    #[inline]
    pub fn begin_transfer(&self, owner: ProcessSlot, span: Span) -> Result<(), Error> {
        let to = match span.transfer().ok_or(Error::Invalid)? {
            Transfer::HandOver => PageState::InTransit { giver: Some(owner) },
            Transfer::LendRead => PageState::Lent { owner, access: Access::Read },
            Transfer::LendWrite => PageState::Lent { owner, access: Access::Write },
            Transfer::Share => PageState::Shared { sharers: 2 },
        };
        self.change(span, from(PageState::Owned { owner }, to))
    }

    /// Lets the pages of `span` go with a message of `owner` which shares them. Each is either owned
    /// by it, or shared already, and **then the caller has made sure that `owner` is one of the
    /// sharers** (it is mapped there): the table cannot know. Only the owner's CPU calls this.
    ///
    /// # Errors
    ///
    /// `Invalid` if the span is not one to share; `Fault` as for [`IcaTable::begin_transfer`];
    /// `Busy` if `SHARERS_MAX` share a page. Nothing is changed then.
    pub fn begin_share(&self, owner: ProcessSlot, span: Span) -> Result<(), Error> {
        if span.transfer() != Some(Transfer::Share) {
            return Err(Error::Invalid);
        }
        let full = |entry: &AtomicU64| match PageEntry(entry.load(Ordering::Acquire)).state() {
            PageState::Shared { sharers } => sharers >= SHARERS_MAX,
            _ => false,
        };
        if self.entries(span)?.iter().any(full) {
            return Err(Error::Busy);
        }
        self.change(span, |entry| match entry.state() {
            PageState::Owned { owner: is } if is == owner => {
                Some(entry.become_state(PageState::Shared { sharers: 2 }))
            }
            PageState::Shared { sharers } => {
                Some(entry.become_state(PageState::Shared { sharers: sharers + 1 }))
            }
            _ => None,
        })
    }

    /// Makes the process with slot `to` the owner of pages that were handed over. Only the
    /// CPU with the message calls this: the receiver's.
    ///
    /// # Errors
    ///
    /// `Invalid` if the span is not one to hand over; `Fault` if any page is not in transit. Nothing is
    /// changed then.
    #[inline]
    pub fn complete_hand_over(&self, span: Span, to: ProcessSlot) -> Result<(), Error> {
        if span.transfer() != Some(Transfer::HandOver) {
            return Err(Error::Invalid);
        }
        let owned = PageEntry::new(PageState::Owned { owner: to }, 0);
        self.change(span, |entry| entry.is_in_transit().then(|| entry.become_like(owned)))
    }

    /// Gives `giver` back what it let go with a message that was not received: what was handed over
    /// or lent is its own again. Only the giver's CPU calls this, which has taken the message back.
    ///
    /// Shared pages do not come back: the message lets go of each by [`IcaTable::release`]. Nor do
    /// orphans: see [`IcaTable::discard`].
    ///
    /// # Errors
    ///
    /// `Invalid` if the span is one to share, or says nothing; `Fault` if any page was not let go by
    /// `giver` in this way. Nothing is changed then.
    pub fn undo_transfer(&self, giver: ProcessSlot, span: Span) -> Result<(), Error> {
        match span.transfer() {
            Some(Transfer::HandOver) => {
                let in_transit = PageState::InTransit { giver: Some(giver) };
                self.change(span, from(in_transit, PageState::Owned { owner: giver }))
            }
            _ => self.end_loan(giver, span),
        }
    }

    /// Ends the loan of the pages of `span` to its borrower: they are the owner's alone. Only the
    /// owner's CPU calls this, when the borrower does not have them mapped any more.
    ///
    /// # Errors
    ///
    /// `Invalid` if the span is not one to lend; `Fault` if any page is not lent by `owner` in this
    /// way. Nothing is changed then.
    pub fn end_loan(&self, owner: ProcessSlot, span: Span) -> Result<(), Error> {
        let access = match span.transfer() {
            Some(Transfer::LendRead) => Access::Read,
            Some(Transfer::LendWrite) => Access::Write,
            _ => return Err(Error::Invalid),
        };
        self.change(span, from(PageState::Lent { owner, access }, PageState::Owned { owner }))
    }

    /// Lets go of a page, for its owner `by` or for one of its sharers (processes and
    /// messages); that `by` shares it, the caller has made sure of. Only the CPU of `by` calls this, when
    /// `by` does not have the page mapped any more.
    ///
    /// Returns the physical address of the frame if the page has no owner or sharer any more. The page is
    /// reserved then: its number is taken until the m-kernel says [`IcaTable::forget`].
    ///
    /// # Errors
    ///
    /// `Fault` if the page is neither owned nor returned by `by`, nor shared; also if it is lent.
    pub fn release(&self, page: u32, by: ProcessSlot) -> Result<Option<PhysAddr>, Error> {
        self.change_one(page, |entry| match entry.state() {
            PageState::Owned { owner } | PageState::Returning { owner } if owner == by => {
                Some(entry.become_state(PageState::Reserved))
            }
            PageState::Shared { sharers: 1 } => Some(entry.become_state(PageState::Reserved)),
            PageState::Shared { sharers } => {
                Some(entry.become_state(PageState::Shared { sharers: sharers - 1 }))
            }
            _ => None,
        })
    }

    /// Lets go of a page for `by`, its owner or one of its sharers, of which the caller has made sure.
    /// If no process or message has it then, it is on its way back to the memory manager, which is to
    /// be told, and does [`IcaTable::release`]. Only the CPU of `by` calls this, when `by` does not have
    /// the page mapped any more.
    ///
    /// # Errors
    ///
    /// `Fault` if the page is neither owned by `by` nor shared.
    pub fn give_up(&self, page: u32, by: ProcessSlot) -> Result<(), Error> {
        let leave = |entry: PageEntry| match entry.state() {
            PageState::Owned { owner } if owner == by => {
                Some(entry.become_state(PageState::Returning { owner: by }))
            }
            PageState::Shared { sharers: 1 } => {
                Some(entry.become_state(PageState::Returning { owner: by }))
            }
            PageState::Shared { sharers } => {
                Some(entry.become_state(PageState::Shared { sharers: sharers - 1 }))
            }
            _ => None,
        };
        self.change_one(page, leave).map(drop)
    }

    /// Takes a page in transit away from its giver `giver`, which ends: no process that gets its slot
    /// later is given the page back. Only the giver's CPU calls this; the message goes on.
    ///
    /// # Errors
    ///
    /// `Fault` if the page is not in transit from `giver`: also if it has just been received.
    pub fn orphan(&self, page: u32, giver: ProcessSlot) -> Result<(), Error> {
        let given = PageState::InTransit { giver: Some(giver) };
        self.change_one(page, from(given, PageState::InTransit { giver: None })).map(drop)
    }

    /// Lets go of a page in transit if its message is not received and it does not come back (its
    /// giver has ended). Only the CPU with the message calls this.
    ///
    /// Returns the physical address of the frame; the page is reserved then, as after
    /// [`IcaTable::release`].
    ///
    /// # Errors
    ///
    /// `Fault` if the page is not in transit.
    pub fn discard(&self, page: u32) -> Result<PhysAddr, Error> {
        let frame = self.change_one(page, |entry| {
            entry.is_in_transit().then(|| entry.become_state(PageState::Reserved))
        })?;
        Ok(frame.expect("a page in transit has a frame"))
    }

    /// Physical address of the frame of a page; `None` if it has none.
    ///
    /// It stays so as long as the process that the caller asks for has the page.
    #[inline]
    #[must_use]
    pub fn frame(&self, page: u32) -> Option<PhysAddr> {
        self.load(page)?.frame()
    }

    /// Whether process `slot`, in which `frame` is mapped as this page, can give the page on: it is
    /// the owner, or one of the page's sharers.
    #[inline]
    #[must_use]
    pub fn can_give(&self, page: u32, slot: ProcessSlot, frame: PhysAddr) -> bool {
        let owned = PageEntry::new(PageState::Owned { owner: slot }, frame.get());
        self.load(page).is_some_and(|entry| {
            entry == owned || entry.is_shared() && entry.frame() == Some(frame)
        })
    }

    /// What becomes of a page; `None` if there is no such page.
    ///
    /// It stays so unless it is another CPU's turn.
    #[must_use]
    pub fn state(&self, page: u32) -> Option<PageState> {
        Some(self.load(page)?.state())
    }

    /// The pages that are not free.
    pub(crate) fn taken(&self) -> impl Iterator<Item = (u32, PageState)> {
        let words = self.entries.iter().map(|entry| entry.load(Ordering::Acquire));
        // Most are free.
        (0..)
            .zip(words)
            .filter(|(_, word)| *word != 0)
            .map(|(page, word)| (page, PageEntry(word).state()))
    }

    #[inline]
    fn entry(&self, page: u32) -> Result<&AtomicU64, Error> {
        self.entries.get(page as usize).ok_or(Error::Fault)
    }

    #[inline]
    fn load(&self, page: u32) -> Option<PageEntry> {
        Some(PageEntry(self.entries.get(page as usize)?.load(Ordering::Acquire)))
    }

    #[inline]
    fn entries(&self, span: Span) -> Result<&[AtomicU64], Error> {
        if span.count() == 0 {
            return Err(Error::Invalid);
        }
        // Neither number has more than 24 bits.
        let first = span.first() as usize;
        self.entries.get(first..first + span.count() as usize).ok_or(Error::Fault)
    }

    /// Changes all pages of a span, or none: looks at all of them first. `Fault` if `change` does not
    /// fit any.
    ///
    /// # Panics
    ///
    /// If another CPU changes a page meanwhile, out of turn.
    #[inline]
    fn change(
        &self,
        span: Span,
        change: impl Fn(PageEntry) -> Option<PageEntry>,
    ) -> Result<(), Error> {
        let entries = self.entries(span)?;
        if let [entry] = entries {
            return update(entry, &change).map(drop).ok_or(Error::Fault);
        }
        let fits = |entry: &AtomicU64| change(PageEntry(entry.load(Ordering::Acquire))).is_some();
        if !entries.iter().all(fits) {
            return Err(Error::Fault);
        }
        for entry in entries {
            update(entry, &change).expect("a page is changed only by the CPU whose turn it is");
        }
        Ok(())
    }

    /// Changes one page; its frame, if it has none any more.
    fn change_one(
        &self,
        page: u32,
        change: impl Fn(PageEntry) -> Option<PageEntry>,
    ) -> Result<Option<PhysAddr>, Error> {
        let (before, after) = update(self.entry(page)?, change).ok_or(Error::Fault)?;
        Ok(before.frame().filter(|_| after.frame().is_none()))
    }
}

/// Changes one entry; what it was, and is. `None`: the change does not fit it.
///
/// It tries again when another CPU was faster: one that lets go of the same shared page, or one on
/// which the giver ends.
#[inline]
fn update(
    entry: &AtomicU64,
    change: impl Fn(PageEntry) -> Option<PageEntry>,
) -> Option<(PageEntry, PageEntry)> {
    let mut before = PageEntry(entry.load(Ordering::Acquire));
    loop {
        let after = change(before)?;
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        match entry.compare_exchange(before.0, after.0, success, failure) {
            Ok(_) => return Some((before, after)),
            Err(other) => before = PageEntry(other),
        }
    }
}

/// The change from one state to another; both have a frame, or neither.
#[inline]
fn from(from: PageState, to: PageState) -> impl Fn(PageEntry) -> Option<PageEntry> {
    let (from, to) = (PageEntry::new(from, 0), PageEntry::new(to, 0));
    move |entry| entry.is_like(from).then(|| entry.become_like(to))
}

/// The pages of a span.
#[must_use]
pub fn pages(span: Span) -> Range<u32> {
    span.first()..span.first() + span.count()
}

#[cfg(all(test, not(loom)))]
mod tests;
