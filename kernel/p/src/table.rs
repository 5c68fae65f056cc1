//! Tables that every CPU reads, as large as the boot block says ([`crate::shared::tables`]).
//!
//! The m-kernel gives each its memory before another CPU starts, and before it uses it itself.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A table of `T`; empty until it has its memory.
pub struct Table<T: 'static> {
    first: AtomicPtr<T>,
    len: AtomicUsize,
}

impl<T: Sync> Table<T> {
    /// A table without memory.
    pub const fn empty() -> Self {
        let nothing = NonNull::dangling().as_ptr();
        Self { first: AtomicPtr::new(nothing), len: AtomicUsize::new(0) }
    }

    /// Bytes of a table with `len` elements.
    pub const fn bytes(len: usize) -> usize {
        len * size_of::<T>()
    }

    /// Gives the table its memory, with `len` elements.
    ///
    /// # Safety
    /// `memory` is aligned to a page, [`Table::bytes`] long, mapped on every CPU and never used for
    /// anything else.
    pub unsafe fn place(&self, memory: *mut u8, len: usize, element: impl Fn(usize) -> T) {
        let first = memory.cast::<T>();
        for index in 0..len {
            // SAFETY: the caller's promise.
            unsafe { first.add(index).write(element(index)) };
        }
        // SAFETY: the caller's promise; the elements are there.
        unsafe { self.place_filled(memory, len) };
    }

    /// As [`Table::place`], with the elements in the memory.
    ///
    /// # Safety
    /// As of [`Table::place`]; the memory holds `len` elements.
    pub unsafe fn place_filled(&self, memory: *mut u8, len: usize) {
        self.first.store(memory.cast(), Ordering::Release);
        self.len.store(len, Ordering::Release);
    }

    /// Its elements.
    #[inline]
    pub fn all(&self) -> &'static [T] {
        let len = self.len.load(Ordering::Acquire);
        let first = self.first.load(Ordering::Acquire);
        // SAFETY: `place` was given memory for ever, and filled it before it set the length, which is 0
        // before.
        unsafe { core::slice::from_raw_parts(first, len) }
    }

    /// The element at a place.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'static T> {
        self.all().get(index)
    }
}
