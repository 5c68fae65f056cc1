//! Which numbers of the ICA are given away next.
//!
//! Only the memory manager has it. Deliberately absent: how many a process may have (`Quotas`).

use core::ops::Range;

use super::entry::PageEntry;
use super::{IcaTable, PageState};
use crate::atomic::Ordering;

/// Finds free pages.
#[derive(Debug)]
pub struct IcaAllocator<'a> {
    table: IcaTable<'a>,
    /// Where it looks first: behind what it found last.
    next: u32,
}

impl<'a> IcaAllocator<'a> {
    /// Of the pages of a table.
    #[must_use]
    pub const fn new(table: IcaTable<'a>) -> Self {
        Self { table, next: 0 }
    }

    /// Reserves `count` free pages next to each other; the number of the first. `None` if there are
    /// none, or if `count` is 0.
    pub fn alloc(&mut self, count: u32) -> Option<u32> {
        self.alloc_in(0..self.table.pages(), count)
    }

    /// As [`IcaAllocator::alloc`], of some of the pages.
    pub fn alloc_in(&mut self, pages: Range<u32>, count: u32) -> Option<u32> {
        let next = self.next.clamp(pages.start, pages.end);
        let count = count as usize;
        let find = |from, end| self.find_free(from as usize..end as usize, count);
        let first = find(next, pages.end).or_else(|| find(pages.start, pages.end))?;
        for entry in &self.table.entries[first..first + count] {
            entry.store(PageEntry::new(PageState::Reserved, 0).0, Ordering::Release);
        }
        self.next = (first + count) as u32;
        Some(first as u32)
    }

    /// First of `count` free pages next to each other among `pages`.
    fn find_free(&self, pages: Range<usize>, count: usize) -> Option<usize> {
        let mut first = pages.start;
        for (page, entry) in pages.clone().zip(self.table.entries.get(pages)?) {
            if PageEntry(entry.load(Ordering::Acquire)).state() != PageState::Free {
                first = page + 1;
            } else if page + 1 - first == count {
                return Some(first);
            }
        }
        None
    }
}
