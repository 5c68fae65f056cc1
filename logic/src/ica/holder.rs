//! What one process does with its pages of the ICA: gives them along with messages, gets them, lets
//! go of them. Here the table and the process's page tables change together.
//!
//! Only the process's own CPU does any of it. What is left of a process when it is over goes back to
//! the memory manager by [`IcaTable::free_all`].

use ant_abi::ipc::{Span, Transfer};
use ant_abi::{Error, PhysAddr, ProcessSlot};

use super::{Access, IcaTable, PageState, pages};

/// Where ICA pages are mapped in one process: its page tables.
pub trait Space {
    /// Whether all pages of a span, which lies in the ICA, are mapped, and `fits` holds of each and
    /// its frame.
    fn has(&self, span: Span, fits: impl Fn(u32, PhysAddr) -> bool) -> bool;
    /// Maps each page of a span to the frame that `frame_of` says, or to none, in place of what was
    /// there; the process notices at once.
    fn set(&mut self, span: Span, access: Access, frame_of: impl Fn(u32) -> Option<PhysAddr>);
}

/// Whether the sender of a message waits for the reply, so that it can lend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It does.
    Waits,
    /// It does not.
    GoesOn,
}

/// Which message pages have come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// A call: its sender ends the message's own part in shared pages when the call is over.
    Call,
    /// Another message: its sender does not wait, and the message's part goes over to the receiver.
    Other,
}

/// A process and its page tables.
#[derive(Debug)]
pub struct Holder<'a, S> {
    /// The owners of pages.
    pub table: IcaTable<'a>,
    /// The process's slot.
    pub slot: ProcessSlot,
    /// Its page tables.
    pub space: S,
}

impl<S: Space> Holder<'_, S> {
    /// Lets pages go with a message.
    ///
    /// # Errors
    ///
    /// `Invalid` if they cannot go so; `Fault` if the process does not have all of them; `Busy` if a
    /// page is shared too often. Nothing is changed then.
    #[inline]
    pub fn transfer_out(&mut self, span: Span, sender: Sender) -> Result<(), Error> {
        let transfer = span.transfer().ok_or(Error::Invalid)?;
        if transfer.lends() && sender == Sender::GoesOn {
            return Err(Error::Invalid);
        }
        self.has_all(span)?;
        if transfer == Transfer::Share {
            return self.table.begin_share(self.slot, span);
        }
        self.table.begin_transfer(self.slot, span)?;
        // Of what it has lent to read, the process goes on reading.
        let is_kept = transfer == Transfer::LendRead;
        let table = self.table;
        self.space.set(span, Access::Read, |page| if is_kept { table.frame(page) } else { None });
        Ok(())
    }

    /// Takes the pages that came with a message. Gives what has come: nothing, if the pages are not
    /// what the message says.
    #[inline]
    pub fn arrive(&mut self, span: Span, with: With) -> Span {
        let (taken, access) = match span.transfer() {
            Some(Transfer::HandOver) => {
                (self.table.complete_hand_over(span, self.slot), Access::Write)
            }
            Some(Transfer::Share) => (self.take_share(span, with), Access::Write),
            Some(Transfer::LendRead) => (Ok(()), Access::Read),
            Some(Transfer::LendWrite) => (Ok(()), Access::Write),
            None => (Err(Error::Invalid), Access::Read),
        };
        if taken.is_err() {
            return Span::NONE;
        }
        self.map(span, access);
        span
    }

    /// A message is over, or was not sent: what of its pages is still, or again, the process's.
    pub fn reclaim(&mut self, span: Span) -> Span {
        let back = match span.transfer() {
            Some(Transfer::Share) => {
                // The message's part ends. It is not the last, the process has them.
                for page in pages(span) {
                    let _ = self.table.release(page, self.slot);
                }
                return span;
            }
            Some(_) => self.table.undo_transfer(self.slot, span),
            None => return Span::NONE,
        };
        if back.is_err() {
            return Span::NONE;
        }
        self.map(span, Access::Write);
        span
    }

    /// Gives back pages that the process had been lent.
    pub fn end_loan(&mut self, span: Span) {
        self.unmap(span);
    }

    /// Takes pages away that the process had been lent, before it has given them back: the frame
    /// `scratch` stands in their place, as it may touch them in good faith.
    pub fn revoke_loan(&mut self, span: Span, scratch: PhysAddr) {
        self.put(span, Some(scratch));
    }

    /// Lets go of pages; what the process alone had is to be freed ([`IcaTable::free`]), unless it ends
    /// before.
    ///
    /// # Errors
    ///
    /// `Fault` if it does not have all of them. Nothing is changed then.
    pub fn release(&mut self, span: Span) -> Result<(), Error> {
        self.has_all(span)?;
        self.unmap(span);
        pages(span).try_for_each(|page| self.table.give_up(page, self.slot))
    }

    /// Has pages that the memory manager has just made its own.
    pub fn take_fresh(&mut self, span: Span) {
        self.map(span, Access::Write);
    }

    /// Whether the process has all pages of a span, as their owner or as one of their sharers:
    /// not on loan, not scratch in their place, not on their way back to the memory manager.
    #[inline]
    fn has_all(&self, span: Span) -> Result<(), Error> {
        let end = u64::from(span.first()) + u64::from(span.count());
        if span.count() == 0 || end > self.table.pages().into() {
            return Err(Error::Fault);
        }
        let (table, slot) = (self.table, self.slot);
        let has = |page, frame| table.can_give(page, slot, frame);
        self.space.has(span, has).then_some(()).ok_or(Error::Fault)
    }

    /// Counts the process among the sharers of pages, unless it is already.
    fn take_share(&self, span: Span, with: With) -> Result<(), Error> {
        let is_new = |page: &u32| !self.table.is_mapped(*page, &self.space);
        if with == With::Other {
            // The message's part is the process's now, or ends.
            let mut known = pages(span).filter(|page| !is_new(page));
            return known.try_for_each(|page| self.table.release(page, self.slot).map(drop));
        }
        for page in pages(span).filter(is_new) {
            let one = Span::new(page, 1, Transfer::Share);
            if let Err(error) = self.table.begin_share(self.slot, one) {
                // Nothing is mapped yet, so the same are new.
                for counted in (span.first()..page).filter(is_new) {
                    let _ = self.table.release(counted, self.slot);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    #[inline]
    fn map(&mut self, span: Span, access: Access) {
        let table = self.table;
        self.space.set(span, access, |page| table.frame(page));
    }

    fn unmap(&mut self, span: Span) {
        self.put(span, None);
    }

    /// Maps one frame in the place of all pages of a span, or none.
    fn put(&mut self, span: Span, frame: Option<PhysAddr>) {
        self.space.set(span, Access::Write, |_| frame);
    }
}

impl IcaTable<'_> {
    /// A message of process `giver` is on its way and no sender waits for it: if the process ends, the
    /// pages go on. Only the giver's CPU calls this.
    pub fn detach(&self, giver: ProcessSlot, span: Span) {
        if span.transfer() == Some(Transfer::HandOver) {
            for page in pages(span) {
                // It may have been received already.
                let _ = self.orphan(page, giver);
            }
        }
    }
}

/// The memory manager's side.
impl IcaTable<'_> {
    /// Frees what of a span process `slot` has let go of last; `give_back` gets each page and its frame.
    /// What others have had longer was freed without it, and may be `slot`'s again, with another frame.
    pub fn free(&self, span: Span, slot: ProcessSlot, mut give_back: impl FnMut(u32, PhysAddr)) {
        for page in pages(span) {
            if self.state(page) == Some(PageState::Returning { owner: slot }) {
                self.free_page(page, slot, &mut give_back);
            }
        }
    }

    /// Frees the pages of a message that is not received, and do not go back to its sender.
    pub fn free_dropped(&self, span: Span, mut give_back: impl FnMut(u32, PhysAddr)) {
        for page in pages(span) {
            let frame = match span.transfer() {
                Some(Transfer::HandOver) => self.discard(page).ok(),
                // Any slot will do for one that shares.
                Some(Transfer::Share) => self.release(page, ProcessSlot::default()).ok().flatten(),
                _ => None,
            };
            if let Some(frame) = frame {
                give_back(page, frame);
            }
        }
    }

    /// Frees all pages of a process that is over, with its part in those that it shared. None
    /// of them is on loan; `calling` went along with the call that was under way.
    pub fn free_all(
        &self,
        slot: ProcessSlot,
        space: &impl Space,
        calling: Span,
        mut give_back: impl FnMut(u32, PhysAddr),
    ) {
        for (page, state) in self.taken() {
            match state {
                PageState::InTransit { giver } if giver == Some(slot) => {
                    self.free_dropped(Span::new(page, 1, Transfer::HandOver), &mut give_back);
                }
                PageState::Lent { access, owner } if owner == slot => {
                    let transfer = match access {
                        Access::Read => Transfer::LendRead,
                        Access::Write => Transfer::LendWrite,
                    };
                    let _ = self.end_loan(slot, Span::new(page, 1, transfer));
                    self.free_page(page, slot, &mut give_back);
                }
                PageState::Owned { owner } | PageState::Returning { owner } if owner == slot => {
                    self.free_page(page, slot, &mut give_back);
                }
                // What it was lent, and what stood in for it, is not shared, or not with this frame.
                PageState::Shared { .. } if self.is_mapped(page, space) => {
                    self.free_page(page, slot, &mut give_back);
                }
                _ => {}
            }
        }
        if calling.transfer() == Some(Transfer::Share) {
            self.free_dropped(calling, give_back);
        }
    }

    fn free_page(&self, page: u32, slot: ProcessSlot, give_back: &mut impl FnMut(u32, PhysAddr)) {
        if let Ok(Some(frame)) = self.release(page, slot) {
            give_back(page, frame);
        }
    }

    /// Whether this very page is mapped there.
    fn is_mapped(&self, page: u32, space: &impl Space) -> bool {
        let span = Span::new(page, 1, Transfer::Share);
        space.has(span, |page, frame| self.frame(page) == Some(frame))
    }
}
