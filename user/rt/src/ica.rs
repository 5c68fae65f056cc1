//! Pages of the ICA, which processes hand to each other instead of copying (paper 2.1.2).
//!
//! A page is at the same address in every process that has it. The types say what the ABI says:
//! [`Pages`] are this process's alone, so they can be used as plain memory; what others can write
//! meanwhile, [`SharedPages`] and [`LentPages`], is read and written by copying.

use core::marker::PhantomData;
use core::mem;
use core::num::NonZero;
use core::sync::atomic::{AtomicU64, Ordering};

use ant_abi::Error;
use ant_abi::ipc::{Span, Transfer};
use ant_abi::syscall::Sysnum;
use ant_logic::persist::PersistentWords;

use crate::ant::{call, check};
use crate::raw;

/// Pages next to each other that only this process has; they are freed when dropped.
#[derive(Debug)]
pub struct Pages(Owned);

impl Pages {
    /// Takes `count` pages, zeroed.
    pub fn alloc(count: u32) -> Result<Self, Error> {
        let first = call(Sysnum::IcaAlloc, [u64::from(count), 0, 0])?;
        Ok(Self(Owned(number(Span::new(first as u32, count, Transfer::HandOver)))))
    }

    /// Their bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: mapped and this process's alone until `self` is dropped or given away.
        unsafe { raw::ica_bytes(self.0.span(Transfer::HandOver)) }
    }

    /// Their bytes, to write.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `self` is borrowed alone.
        unsafe { raw::ica_bytes_mut(self.0.span(Transfer::HandOver)) }
    }

    /// To send: the receiver owns them then.
    #[inline]
    pub fn hand_over(self) -> OutgoingPages<'static> {
        let outgoing = OutgoingPages::new(&self.0, Transfer::HandOver);
        mem::forget(self);
        outgoing
    }

    /// To call with: the server may read them until it replies.
    pub fn lend_read(&self) -> OutgoingPages<'_> {
        OutgoingPages::new(&self.0, Transfer::LendRead)
    }

    /// To call with: the server may read and write them until it replies.
    pub fn lend_write(&mut self) -> OutgoingPages<'_> {
        OutgoingPages::new(&self.0, Transfer::LendWrite)
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
    pub fn share(&self) -> OutgoingPages<'_> {
        OutgoingPages::new(&self.0, Transfer::Share)
    }

    /// Takes over what others have now, as far as there is room.
    pub fn copy_from(&self, other: &Self) {
        for (to, from) in self.words().iter().zip(other.words()) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Their content, as words that can change at any time.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: mapped until `self` is dropped, and there are no slices of shared pages.
        unsafe { raw::ica_words(self.0.span(Transfer::Share)) }
    }
}

/// As state pages: `init` shares them with one process of a server at a time.
impl PersistentWords for SharedPages {
    fn load(&self, index: usize) -> u64 {
        self.words()[index].load(Ordering::Relaxed)
    }

    fn store(&self, index: usize, value: u64) {
        // `Release` keeps the compiler from moving it before what was stored first, which is all that
        // a kill can show; the successor was started by messages, which order the rest.
        self.words()[index].store(value, Ordering::Release);
    }
}

/// Pages that the caller has lent until it gets its reply.
#[derive(Debug)]
pub struct LentPages<'a> {
    span: Span,
    request: PhantomData<&'a mut ()>,
}

impl LentPages<'_> {
    /// How many bytes they are.
    pub fn len(&self) -> usize {
        self.words().len() * WORD
    }

    /// Whether they are none.
    pub fn is_empty(&self) -> bool {
        self.span.count() == 0
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
        if self.span.transfer() != Some(Transfer::LendWrite) {
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
        // SAFETY: mapped until the reply, before which `self` is gone; there are no slices of them,
        // unless the caller has taken them back (there is scratch memory then) and hands the very
        // same ones over with another request, to a server that still has the first.
        unsafe { raw::ica_words(self.span) }
    }
}

/// Bytes of a word of memory.
const WORD: usize = size_of::<u64>();

/// Pages to send, and how they go. Pages to hand over that are not sent are freed.
#[derive(Debug)]
pub struct OutgoingPages<'a> {
    span: OutgoingSpan,
    pages: PhantomData<&'a mut Pages>,
}

impl OutgoingPages<'_> {
    fn new(pages: &Owned, transfer: Transfer) -> Self {
        Self { span: OutgoingSpan(number(pages.span(transfer))), pages: PhantomData }
    }

    /// As the kernel has it.
    #[inline]
    pub(crate) fn span(&self) -> Span {
        Span(self.span.0.get())
    }

    /// They were sent: they are the receiver's now, or still this process's if they are lent or shared.
    #[inline]
    pub(crate) fn sent(self) {
        mem::forget(self);
    }
}

/// The span of [`OutgoingPages`]. A type of its own, without a lifetime, so that the borrow that
/// [`OutgoingPages`] hold ends with their last use, and not when they are dropped.
#[derive(Debug)]
struct OutgoingSpan(NonZero<u64>);

impl Drop for OutgoingSpan {
    #[cold]
    fn drop(&mut self) {
        if Span(self.0.get()).transfer() == Some(Transfer::HandOver) {
            drop(Owned(self.0));
        }
    }
}

/// Pages that were received with a message; freed unless they are taken.
#[derive(Debug)]
pub(crate) struct IncomingPages(NonZero<u64>);

impl IncomingPages {
    /// As the kernel has it: this process has the pages now.
    #[inline]
    pub(crate) fn new(span: u64) -> Option<Self> {
        NonZero::new(span).map(Self)
    }

    /// The pages, if they were handed over.
    #[inline]
    pub(crate) fn take_pages(incoming: &mut Option<Self>) -> Option<Pages> {
        Self::take(incoming, Transfer::HandOver).map(Pages)
    }

    /// The pages, if they are shared.
    #[inline]
    pub(crate) fn take_shared(incoming: &mut Option<Self>) -> Option<SharedPages> {
        Self::take(incoming, Transfer::Share).map(SharedPages)
    }

    /// The pages, if they are lent.
    pub(crate) fn lent(&mut self) -> Option<LentPages<'_>> {
        let span = Span(self.0.get());
        span.lends().then_some(LentPages { span, request: PhantomData })
    }

    #[inline]
    fn take(incoming: &mut Option<Self>, transfer: Transfer) -> Option<Owned> {
        let span = incoming.as_ref()?.0;
        if Span(span.get()).transfer() != Some(transfer) {
            return None;
        }
        mem::forget(incoming.take());
        Some(Owned(span))
    }
}

impl Drop for IncomingPages {
    #[cold]
    fn drop(&mut self) {
        if !Span(self.0.get()).lends() {
            drop(Owned(self.0));
        }
    }
}

fn number(span: Span) -> NonZero<u64> {
    NonZero::new(span.0).expect("no transfer is number 0")
}

/// A span that is freed when it is dropped; how it came does not matter.
#[derive(Debug)]
struct Owned(NonZero<u64>);

impl Owned {
    fn span(&self, transfer: Transfer) -> Span {
        let span = Span(self.0.get());
        Span::new(span.first(), span.count(), transfer)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let span = self.span(Transfer::HandOver).0;
        // SAFETY: `self` was the one owner in this process.
        let free = || check(unsafe { raw::syscall(Sysnum::IcaFree, [span, 0, 0]) });
        // The m-kernel may be busy with pages of other processes.
        while free() == Err(Error::Again) {
            crate::ant::process_yield();
        }
    }
}
