//! Which pages of a partition are free.
//!
//! A bitmap over all extents, in storage that the caller provides, since the extents decide how
//! much is needed. Addresses are physical and page aligned; what is in the pages does not
//! matter here.
//!
//! Deliberately absent: owners of pages, zeroing, page tables, locks.

use core::fmt;

use ant_abi::boot::Extent;
use ant_abi::{PAGE_SIZE, PhysAddr};

const PAGE: u64 = PAGE_SIZE as u64;
const BITS: u64 = u64::BITS as u64;

/// Why a page could not be freed; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The page is in none of the extents.
    Outside,
    /// The page is free already.
    NotAllocated,
    /// That is not the address of a page.
    Unaligned,
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FreeError::Outside => "the page is outside the partition",
            FreeError::NotAllocated => "the page is free already",
            FreeError::Unaligned => "not the address of a page",
        })
    }
}

impl core::error::Error for FreeError {}

/// Pages that follow one another, in real memory and in the bitmap.
#[derive(Clone, Copy)]
struct Run {
    /// Address of the first.
    start: u64,
    /// Bit of the first; the last is before the next run's first.
    first: u64,
}

/// The free pages of a partition.
#[derive(Debug)]
pub struct PageAllocator<'a> {
    /// Runs as `[start, first]`, in the order of both.
    runs: &'a mut [[u64; 2]],
    /// A bit for each page: 1 is free.
    bitmap: &'a mut [u64],
    total: u64,
    free: u64,
    /// Word of the bitmap to look at first: the last one that gave or got a page.
    hint: usize,
}

impl<'a> PageAllocator<'a> {
    /// Words of storage that [`PageAllocator::new`] needs for `extents`.
    #[must_use]
    pub fn storage_words(extents: &[Extent]) -> usize {
        let pages: u64 = extents.iter().map(|extent| whole_pages(extent).1).sum();
        2 * extents.len() + pages.div_ceil(BITS) as usize
    }

    /// All pages of `extents` are free. The extents may come in any order; parts of pages at their
    /// edges are left out, and what two of them share counts once.
    ///
    /// # Panics
    ///
    /// If `storage` is shorter than [`PageAllocator::storage_words`] says.
    pub fn new(extents: &[Extent], storage: &'a mut [u64]) -> Self {
        assert!(
            storage.len() >= Self::storage_words(extents),
            "the page allocator needs {} words, not {}",
            Self::storage_words(extents),
            storage.len()
        );
        let (runs, bitmap) = storage.split_at_mut(2 * extents.len());
        let (runs, _) = runs.as_chunks_mut::<2>();
        for (run, extent) in runs.iter_mut().zip(extents) {
            let (start, pages) = whole_pages(extent);
            *run = [start, pages];
        }
        let (count, total) = join(runs);
        let words = total.div_ceil(BITS) as usize;
        let mut pages = Self {
            runs: &mut runs[..count],
            bitmap: &mut bitmap[..words],
            total,
            free: 0,
            hint: 0,
        };
        pages.bitmap.fill(0);
        for bit in 0..total {
            pages.set_free(bit);
        }
        pages
    }

    /// Takes every page that has a byte in `start .. start + len`, for good, from those that are
    /// free. What is outside the extents or taken already stays as it is.
    ///
    /// [`PageAllocator::free`] would free such a page: it must not be called for one.
    pub fn reserve(&mut self, start: PhysAddr, len: u64) {
        if len == 0 {
            return;
        }
        let start = start.get();
        let end = start.saturating_add(len);
        for n in 0..self.runs.len() {
            let run = self.run(n);
            let run_end = run.start + self.run_pages(n) * PAGE;
            let (from, to) = (start.max(run.start), end.min(run_end));
            if from >= to {
                continue;
            }
            let first = run.first + (from - run.start) / PAGE;
            let last = run.first + (to - run.start).div_ceil(PAGE);
            for bit in first..last {
                if self.is_free(bit) {
                    self.set_taken(bit);
                }
            }
        }
    }

    /// Takes a free page.
    pub fn alloc(&mut self) -> Option<PhysAddr> {
        if self.free == 0 {
            return None;
        }
        let words = self.bitmap.len();
        let word = (self.hint..words).chain(0..self.hint).find(|&word| self.bitmap[word] != 0)?;
        self.hint = word;
        let bit = word as u64 * BITS + u64::from(self.bitmap[word].trailing_zeros());
        self.set_taken(bit);
        Some(self.address(bit))
    }

    /// Takes `count` free pages that follow one another in real memory; gives
    /// the first. `None` if there are none, or if `count` is 0.
    pub fn alloc_contiguous(&mut self, count: usize) -> Option<PhysAddr> {
        let count = count as u64;
        if count == 0 || count > self.free {
            return None;
        }
        let first = (0..self.runs.len()).find_map(|n| {
            let first = self.run(n).first;
            self.find_free(first, first + self.run_pages(n), count)
        })?;
        for bit in first..first + count {
            self.set_taken(bit);
        }
        Some(self.address(first))
    }

    /// Gives a page back.
    ///
    /// # Errors
    ///
    /// See [`FreeError`].
    pub fn free(&mut self, page: PhysAddr) -> Result<(), FreeError> {
        if !page.is_page_aligned() {
            return Err(FreeError::Unaligned);
        }
        let bit = self.bit(page.get()).ok_or(FreeError::Outside)?;
        if self.is_free(bit) {
            return Err(FreeError::NotAllocated);
        }
        self.set_free(bit);
        self.hint = (bit / BITS) as usize;
        Ok(())
    }

    /// How many pages are free.
    #[must_use]
    pub const fn free_pages(&self) -> u64 {
        self.free
    }

    /// How many pages there are, free, taken and reserved.
    #[must_use]
    pub const fn total_pages(&self) -> u64 {
        self.total
    }

    fn run(&self, n: usize) -> Run {
        let [start, first] = self.runs[n];
        Run { start, first }
    }

    fn run_pages(&self, n: usize) -> u64 {
        let next = self.runs.get(n + 1).map_or(self.total, |&[_, first]| first);
        next - self.run(n).first
    }

    /// Address of the page with this bit, which exists.
    fn address(&self, bit: u64) -> PhysAddr {
        let run = self.run(self.runs.partition_point(|&[_, first]| first <= bit) - 1);
        PhysAddr::new(run.start + (bit - run.first) * PAGE)
    }

    /// Bit of the page at `addr`.
    fn bit(&self, addr: u64) -> Option<u64> {
        let n = self.runs.partition_point(|&[start, _]| start <= addr).checked_sub(1)?;
        let page = (addr - self.run(n).start) / PAGE;
        (page < self.run_pages(n)).then(|| self.run(n).first + page)
    }

    /// First of `count` free bits in a row within `from .. to`.
    fn find_free(&self, from: u64, to: u64, count: u64) -> Option<u64> {
        let mut start = from;
        let mut bit = from;
        while bit < to {
            if bit - start >= count {
                return Some(start);
            }
            // The rest of the word at once: how many bits from here on are alike.
            let rest = self.bitmap[(bit / BITS) as usize] >> (bit % BITS);
            let left = BITS - bit % BITS;
            if rest & 1 == 1 {
                bit += u64::from(rest.trailing_ones()).min(left);
            } else {
                bit += u64::from(rest.trailing_zeros()).min(left);
                start = bit;
            }
        }
        (bit.min(to).saturating_sub(start) >= count).then_some(start)
    }

    fn is_free(&self, bit: u64) -> bool {
        self.bitmap[(bit / BITS) as usize] & (1 << (bit % BITS)) != 0
    }

    fn set_free(&mut self, bit: u64) {
        self.bitmap[(bit / BITS) as usize] |= 1 << (bit % BITS);
        self.free += 1;
    }

    fn set_taken(&mut self, bit: u64) {
        self.bitmap[(bit / BITS) as usize] &= !(1 << (bit % BITS));
        self.free -= 1;
    }
}

/// First page and number of the pages that lie wholly inside.
fn whole_pages(extent: &Extent) -> (u64, u64) {
    let end = extent.start.get().saturating_add(extent.len) / PAGE;
    let start = extent.start.get().div_ceil(PAGE);
    // `start` is one beyond the last page there is for the last address there is.
    (start.saturating_mul(PAGE), end.saturating_sub(start))
}

/// Turns `[start, pages]` in any order into sorted runs `[start, first]`, neighbours joined; how
/// many runs, how many pages.
fn join(runs: &mut [[u64; 2]]) -> (usize, u64) {
    runs.sort_unstable();
    let mut count = 0;
    let mut total = 0;
    // Where the run before ends.
    let mut end = 0;
    for n in 0..runs.len() {
        let [start, pages] = runs[n];
        let own_end = start + pages * PAGE;
        let from = start.max(end);
        if own_end <= from {
            continue;
        }
        if count == 0 || from > end {
            runs[count] = [from, total];
            count += 1;
        }
        total += (own_end - from) / PAGE;
        end = own_end;
    }
    (count, total)
}

#[cfg(test)]
mod tests;
