//! How many pages of the ICA a process may take.
//!
//! The process that takes a page from the m-kernel pays for it until the page is free again, wherever it
//! goes meanwhile. So what a process is given costs nothing, and it gains nothing by leaving pages with
//! others. What a process leaves with others when it ends has no payer.
//!
//! Some are promised pages: what they have not taken of them, others do not get. Nor do they when the
//! promise ends with its process, for the next is promised as many.
//!
//! Only the m-kernel uses this; it is not told of a page's way, only of its beginning and its end.
//! Deliberately absent: owners of the pages (`IcaTable`).

use core::ops::Range;

use ant_abi::{Error, ProcessSlot};

use crate::places::Places;

/// What a process may take, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// At most so many at a time.
    pub most: u32,
    /// So many of them whatever others take.
    pub promised: u32,
}

/// One process's limit and what it pays for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Account {
    most: u32,
    promised: u32,
    paid: u32,
}

impl Account {
    /// What was promised and not taken.
    fn owed(&self) -> u32 {
        self.promised.saturating_sub(self.paid)
    }
}

/// Which process pays for which page of an ICA.
#[derive(Debug)]
pub struct Quotas {
    /// By page: the process that pays, if one does; of no meaning for a page that is free.
    payers: Places<Option<ProcessSlot>>,
    /// By slot.
    accounts: Places<Account>,
    /// Pages that are not free.
    taken: u32,
    /// Pages that are promised.
    promised: u32,
    /// The most that ever were: those are kept.
    most_promised: u32,
    /// Pages that were promised and not taken.
    owed: u32,
}

impl Quotas {
    /// All pages are free, and no process may take any. One place for each page, one for each process.
    #[must_use]
    pub fn new(payers: Places<Option<ProcessSlot>>, accounts: Places<Account>) -> Self {
        Self { payers, accounts, taken: 0, promised: 0, most_promised: 0, owed: 0 }
    }

    /// Pages of the ICA.
    fn pages(&self) -> u32 {
        self.payers.len() as u32
    }

    /// The account of the process in `slot`; one that is empty, if the table has no such place.
    fn account(&self, slot: ProcessSlot) -> Account {
        self.accounts.get(slot.index()).copied().unwrap_or_default()
    }

    /// A new process has `slot`.
    pub fn open(&mut self, slot: ProcessSlot, limit: Limit) {
        self.change(slot, |account| {
            account.most = limit.most;
            account.promised = limit.promised.min(limit.most);
        });
    }

    /// The process in `slot` is over: what it has left with others has no payer.
    pub fn close(&mut self, slot: ProcessSlot) {
        if self.account(slot).paid > 0 {
            let left = self.payers.iter_mut().filter(|payer| **payer == Some(slot));
            left.for_each(|payer| *payer = None);
        }
        self.change(slot, |account| *account = Account::default());
    }

    /// Where the process in `slot` takes `count` pages: there, or else there. What was promised is in
    /// a place of its own, at the end, so that those without a promise cannot take it to pieces; it
    /// stays that large, for a process that is promised as much again.
    #[must_use]
    pub fn places(&self, slot: ProcessSlot, count: u32) -> [Range<u32>; 2] {
        let pages = self.pages();
        let border = pages.saturating_sub(self.most_promised);
        if !self.is_promised(slot) {
            return [0..border, 0..0];
        }
        let first = if count <= self.account(slot).owed() { border..pages } else { 0..border };
        [first, 0..pages]
    }

    /// Whether the process in `slot` has a promise.
    #[must_use]
    pub fn is_promised(&self, slot: ProcessSlot) -> bool {
        self.account(slot).promised > 0
    }

    /// Whether the process in `slot` may take `count` pages more.
    ///
    /// # Errors
    ///
    /// `OverQuota` if it would have more than its limit; `NoMemory` if so many are not free, or
    /// promised to others.
    pub fn check(&self, slot: ProcessSlot, count: u32) -> Result<(), Error> {
        let account = self.account(slot);
        if account.paid.checked_add(count).is_none_or(|paid| paid > account.most) {
            return Err(Error::OverQuota);
        }
        let free = self.pages() - self.taken;
        // For a process that is promised as much again: a server that is restarted, or replaced.
        let kept = self.most_promised - self.promised;
        // Of what was promised to it, it may take while others are owed more than there is.
        let unpromised = count.saturating_sub(account.owed());
        let spare = free.saturating_sub(self.owed + kept);
        if count <= free && unpromised <= spare { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// The process in `slot` has taken these free pages, as [`Quotas::check`] allows.
    pub fn take(&mut self, slot: ProcessSlot, first: u32, count: u32) {
        self.pay(Some(slot), first, count);
        self.change(slot, |account| account.paid += count);
    }

    /// These free pages are taken, but not by a process.
    pub fn take_for_nobody(&mut self, first: u32, count: u32) {
        self.pay(None, first, count);
    }

    /// A taken page is free again.
    pub fn free(&mut self, page: u32) {
        self.taken -= 1;
        if let Some(payer) = self.payers[page as usize].take() {
            self.change(payer, |account| account.paid -= 1);
        }
    }

    fn pay(&mut self, payer: Option<ProcessSlot>, first: u32, count: u32) {
        let pages = first as usize..(first + count) as usize;
        self.payers[pages].fill(payer);
        self.taken += count;
    }

    /// Changes an account, and with it what is promised and owed in all.
    fn change(&mut self, slot: ProcessSlot, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(slot.index()) else { return };
        let before = *account;
        change(account);
        self.owed = self.owed - before.owed() + account.owed();
        self.promised = self.promised - before.promised + account.promised;
        self.most_promised = self.most_promised.max(self.promised);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
