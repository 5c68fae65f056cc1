//! Tables that every CPU reads, as large as the boot block says ([`crate::shared::tables`]).
//!
//! The m-kernel gives each its memory before another CPU starts, and before it uses it itself.

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// A table of `T`; empty until it has its memory.
pub struct Table<T: 'static> {
    first: AtomicPtr<T>,
    len: AtomicUsize,
}

impl<T: Sync> Table<T> {
    /// A table without memory.
    pub const fn empty() -> Self {
        Self { first: AtomicPtr::new(core::ptr::null_mut()), len: AtomicUsize::new(0) }
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
        self.first.store(first, Ordering::Release);
        self.len.store(len, Ordering::Release);
    }

    /// Its elements.
    #[inline]
    pub fn all(&self) -> &'static [T] {
        let len = self.len.load(Ordering::Acquire);
        let first = self.first.load(Ordering::Acquire);
        if len == 0 {
            return &[];
        }
        // SAFETY: `place` was given memory for ever, and filled it before it set the length.
        unsafe { core::slice::from_raw_parts(first, len) }
    }

    /// The element at a place.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&'static T> {
        self.all().get(index)
    }
}
