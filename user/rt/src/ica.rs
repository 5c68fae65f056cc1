//! Pages of the ICA, which processes hand to each other instead of copying (paper 2.1.2).
//!
//! A page is at the same address in every process that has it. The types say what the ABI says:
//! [`Pages`] are this process's alone, so they can be used as plain memory; what others can write
//! meanwhile, [`SharedPages`] and [`LentPages`], is read and written by copying.

use core::mem;
use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::Error;
use ant_abi::ipc::{ICA_ALLOC, ICA_FREE, Span, Transfer};

use crate::ant::check;
use crate::raw;

/// Pages next to each other that only this process has; they are freed when dropped.
#[derive(Debug)]
pub struct Pages(Owned);

impl Pages {
    /// Takes `count` pages, zeroed.
    pub fn alloc(count: u32) -> Result<Self, Error> {
        // SAFETY: passes no address.
        let first = check(unsafe { raw::syscall(ICA_ALLOC, [u64::from(count), 0, 0]) })?;
        Ok(Self(Owned { first: first as u32, count }))
    }

    /// Their bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped and nobody else's until `self` is dropped or given away.
        unsafe { raw::ica_bytes(self.0.span(Transfer::HandOver)) }
    }

    /// Their bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self` is borrowed alone.
        unsafe { raw::ica_bytes_mut(self.0.span(Transfer::HandOver)) }
    }

    /// To send: the receiver owns them then.
    #[inline]
    pub fn hand_over(self) -> Parcel<'static> {
        Parcel::HandOver(self)
    }

    /// To call with: the server may read them until it replies.
    pub fn lend_read(&self) -> Parcel<'_> {
        Parcel::LendRead(self)
    }

    /// To call with: the server may read and write them until it replies.
    pub fn lend_write(&mut self) -> Parcel<'_> {
        Parcel::LendWrite(self)
    }

    /// Gives up having them alone, so that they can be shared.
    pub fn into_shared(self) -> SharedPages {
        SharedPages(self.0)
    }
}

/// Pages that other processes have too, and may write at any time.
#[derive(Debug)]
pub struct SharedPages(Owned);

impl SharedPages {
    /// To send: the receiver has them too then.
    pub fn share(&self) -> Parcel<'_> {
        Parcel::Share(self)
    }

    /// Their content, as words that can change at any time.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped until `self` is dropped, and there are no slices of shared pages.
        unsafe { raw::ica_words(self.0.span(Transfer::Share)) }
    }
}

/// Pages that the caller has lent until it gets its reply.
#[derive(Debug)]
pub struct LentPages(Span);

impl LentPages {
    /// How many bytes they are.
    pub fn len(&self) -> usize {
        self.words().len() * WORD
    }

    /// Whether they are none.
    pub fn is_empty(&self) -> bool {
        self.0.count() == 0
    }

    /// Copies bytes from `offset` on into `out`.
    pub fn read(&self, offset: usize, out: &mut [u8]) -> Result<(), Error> {
        self.check(offset, out.len())?;
        for (at, byte) in (offset..).zip(out) {
            *byte = self.words()[at / WORD].load(Ordering::Relaxed).to_le_bytes()[at % WORD];
        }
        Ok(())
    }

    /// Copies `data` into the bytes from `offset` on; `NotPermitted` if they are lent to read only.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), Error> {
        if self.0.transfer() != Some(Transfer::LendWrite) {
            return Err(Error::NotPermitted);
        }
        self.check(offset, data.len())?;
        for (at, byte) in (offset..).zip(data) {
            let word = &self.words()[at / WORD];
            let mut bytes = word.load(Ordering::Relaxed).to_le_bytes();
            bytes[at % WORD] = *byte;
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        Ok(())
    }

    fn check(&self, offset: usize, len: usize) -> Result<(), Error> {
        let end = offset.checked_add(len).filter(|&end| end <= self.len());
        end.map(drop).ok_or(Error::Fault)
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped until the reply, before which `self` is gone; there are no slices of them.
        unsafe { raw::ica_words(self.0) }
    }
}

/// Bytes of a word of memory.
const WORD: usize = size_of::<u64>();

/// Pages on their way into a message, and how they go.
#[derive(Debug)]
pub enum Parcel<'a> {
    /// The receiver owns them from then on.
    HandOver(Pages),
    /// The receiver may read them until it replies.
    LendRead(&'a Pages),
    /// The receiver may read and write them until it replies.
    LendWrite(&'a mut Pages),
    /// Both have them from then on.
    Share(&'a SharedPages),
}

impl Parcel<'_> {
    /// How the kernel is told.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::HandOver(pages) => pages.0.span(Transfer::HandOver),
            Self::LendRead(pages) => pages.0.span(Transfer::LendRead),
            Self::LendWrite(pages) => pages.0.span(Transfer::LendWrite),
            Self::Share(pages) => pages.0.span(Transfer::Share),
        }
    }

    /// They are the receiver's now, or still this process's.
    #[inline]
    pub(crate) fn sent(self) {
        if let Self::HandOver(Pages(owned)) = self {
            mem::forget(owned);
        }
    }
}

/// Pages that have come with a message.
#[derive(Debug)]
pub(crate) enum Arrived {
    Owned(Pages),
    Lent(LentPages),
    Shared(SharedPages),
}

impl Arrived {
    /// What the kernel has told: this process has the pages now.
    #[inline]
    pub(crate) fn new(span: Span) -> Option<Self> {
        let owned = || Owned { first: span.first(), count: span.count() };
        Some(match span.transfer()? {
            Transfer::HandOver => Self::Owned(Pages(owned())),
            Transfer::LendRead | Transfer::LendWrite => Self::Lent(LentPages(span)),
            Transfer::Share => Self::Shared(SharedPages(owned())),
        })
    }
}

/// A span that is freed when it is dropped.
#[derive(Debug)]
struct Owned {
    first: u32,
    count: u32,
}

impl Owned {
    fn span(&self, transfer: Transfer) -> Span {
        Span::new(self.first, self.count, transfer)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let span = self.span(Transfer::HandOver).0;
        // SAFETY: nobody in this process uses the pages any more.
        let free = || check(unsafe { raw::syscall(ICA_FREE, [span, 0, 0]) });
        // The m-kernel may be busy with what others give back.
        while free() == Err(Error::Again) {
            crate::ant::process_yield();
        }
    }
}
