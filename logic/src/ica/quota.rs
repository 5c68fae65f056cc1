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
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use ant_abi::layout::ICA_PAGES;
use ant_abi::{Error, MAX_PROCESSES, ProcessSlot};

/// In place of a slot: no process pays.
const NO_PAYER: u8 = u8::MAX;

const _: () = assert!(MAX_PROCESSES <= NO_PAYER as usize);

/// What a process may take, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// At most so many at a time.
    pub most: u32,
    /// So many of them whatever others take.
    pub promised: u32,
}

/// One process's limit and what it pays for.
#[derive(Debug)]
struct Account {
    most: AtomicU32,
    promised: AtomicU32,
    paid: AtomicU32,
}

/// Which process pays for which page of an ICA. Atomic only to be a `static`: one CPU writes and reads.
#[derive(Debug)]
pub struct Quotas<const PAGES: usize = { ICA_PAGES as usize }> {
    /// By page; of no meaning for one that is free.
    payers: [AtomicU8; PAGES],
    /// By slot.
    accounts: [Account; MAX_PROCESSES],
    /// Pages that are not free.
    taken: AtomicU32,
    /// Pages that are promised.
    promised: AtomicU32,
    /// The most that ever were: those are kept.
    most_promised: AtomicU32,
    /// Pages that were promised and not taken.
    owed: AtomicU32,
}

impl<const PAGES: usize> Quotas<PAGES> {
    /// All pages are free, and no process may take any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            payers: [const { AtomicU8::new(NO_PAYER) }; PAGES],
            accounts: [const { Account::new() }; MAX_PROCESSES],
            taken: AtomicU32::new(0),
            promised: AtomicU32::new(0),
            most_promised: AtomicU32::new(0),
            owed: AtomicU32::new(0),
        }
    }

    /// A new process has `slot`.
    pub fn open(&self, slot: ProcessSlot, limit: Limit) {
        self.change(slot, |account| {
            account.most.store(limit.most, Relaxed);
            account.promised.store(limit.promised.min(limit.most), Relaxed);
        });
    }

    /// The process in `slot` is over: what it has left with others has no payer.
    pub fn close(&self, slot: ProcessSlot) {
        if self.accounts[slot.index()].paid.load(Relaxed) > 0 {
            let left = self.payers.iter().filter(|payer| payer.load(Relaxed) == byte(Some(slot)));
            left.for_each(|payer| payer.store(NO_PAYER, Relaxed));
        }
        self.change(slot, |account| {
            for value in [&account.most, &account.promised, &account.paid] {
                value.store(0, Relaxed);
            }
        });
    }

    /// Where the process in `slot` takes `count` pages: there, or else there. What was promised is in
    /// a place of its own, at the end, so that those without a promise cannot take it to pieces; it
    /// stays that large, for a process that is promised as much again.
    pub fn places(&self, slot: ProcessSlot, count: u32) -> [Range<u32>; 2] {
        let pages = PAGES as u32;
        let border = pages.saturating_sub(self.most_promised.load(Relaxed));
        let account = &self.accounts[slot.index()];
        if !self.is_promised(slot) {
            return [0..border, 0..0];
        }
        let first = if count <= account.owed() { border..pages } else { 0..border };
        [first, 0..pages]
    }

    /// Whether the process in `slot` has a promise.
    pub fn is_promised(&self, slot: ProcessSlot) -> bool {
        self.accounts[slot.index()].promised.load(Relaxed) > 0
    }

    /// Whether the process in `slot` may take `count` pages more.
    ///
    /// # Errors
    ///
    /// `OverQuota` if it would have more than its limit; `NoMemory` if so many are not free, or
    /// promised to others.
    pub fn check(&self, slot: ProcessSlot, count: u32) -> Result<(), Error> {
        let account = &self.accounts[slot.index()];
        let paid = account.paid.load(Relaxed).checked_add(count);
        if paid.is_none_or(|paid| paid > account.most.load(Relaxed)) {
            return Err(Error::OverQuota);
        }
        let free = PAGES as u32 - self.taken.load(Relaxed);
        // For a process that is promised as much again: a server that is restarted, or replaced.
        let kept = self.most_promised.load(Relaxed) - self.promised.load(Relaxed);
        // Of what was promised to it, it may take while others are owed more than there is.
        let unpromised = count.saturating_sub(account.owed());
        let spare = free.saturating_sub(self.owed.load(Relaxed) + kept);
        if count <= free && unpromised <= spare { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// The process in `slot` has taken these free pages, as [`Quotas::check`] allows.
    pub fn take(&self, slot: ProcessSlot, first: u32, count: u32) {
        self.pay(Some(slot), first, count);
        self.change(slot, |account| add(&account.paid, count));
    }

    /// These free pages are taken, but not by a process.
    pub fn take_for_nobody(&self, first: u32, count: u32) {
        self.pay(None, first, count);
    }

    /// A taken page is free again.
    pub fn free(&self, page: u32) {
        let payer = self.payers[page as usize].swap(NO_PAYER, Relaxed);
        sub(&self.taken, 1);
        if let Some(payer) = ProcessSlot::new(payer.into()) {
            self.change(payer, |account| sub(&account.paid, 1));
        }
    }

    fn pay(&self, payer: Option<ProcessSlot>, first: u32, count: u32) {
        for page in first..first + count {
            self.payers[page as usize].store(byte(payer), Relaxed);
        }
        add(&self.taken, count);
    }

    /// Changes an account, and with it what is promised and owed in all.
    fn change(&self, slot: ProcessSlot, change: impl FnOnce(&Account)) {
        let account = &self.accounts[slot.index()];
        sub(&self.owed, account.owed());
        sub(&self.promised, account.promised.load(Relaxed));
        change(account);
        add(&self.promised, account.promised.load(Relaxed));
        self.most_promised.fetch_max(self.promised.load(Relaxed), Relaxed);
        add(&self.owed, account.owed());
    }
}

impl<const PAGES: usize> Default for Quotas<PAGES> {
    fn default() -> Self {
        Self::new()
    }
}

impl Account {
    const fn new() -> Self {
        let [most, promised, paid] = [const { AtomicU32::new(0) }; 3];
        Self { most, promised, paid }
    }

    /// What was promised and not taken.
    fn owed(&self) -> u32 {
        self.promised.load(Relaxed).saturating_sub(self.paid.load(Relaxed))
    }
}

/// A page's payer as a byte.
fn byte(payer: Option<ProcessSlot>) -> u8 {
    payer.map_or(NO_PAYER, |slot| slot.index() as u8)
}

// Plain additions: one CPU only.
fn add(value: &AtomicU32, count: u32) {
    value.store(value.load(Relaxed) + count, Relaxed);
}

fn sub(value: &AtomicU32, count: u32) {
    value.store(value.load(Relaxed) - count, Relaxed);
}

#[cfg(all(test, not(loom)))]
mod tests;
