//! Objects that have one owner each, a CPU: threads and processes.
//!
//! Owning is a value, [`Owned`], which moves from CPU to CPU by message; only its holder touches the
//! object. What every CPU may read is beside the object, as atomics.

use core::cell::UnsafeCell;
use core::hint::unreachable_unchecked;
use core::ops::{Deref, DerefMut};

/// An object of a table.
pub trait Object: Sized + 'static {
    /// A place in its table.
    type Slot: Copy + 'static;
    /// What every CPU may read about it.
    type Public: 'static;

    /// The place in the table, which has it.
    fn entry(slot: Self::Slot) -> &'static Entry<Self>;
}

/// A place in a table.
pub struct Entry<T: Object> {
    slot: T::Slot,
    /// What every CPU may read.
    pub public: T::Public,
    object: UnsafeCell<Option<T>>,
}

// SAFETY: `object` is only reached through the entry's one `Owned`; `public` is atomics.
unsafe impl<T: Object> Sync for Entry<T> {}

impl<T: Object> Entry<T> {
    /// A free place.
    pub const fn new(slot: T::Slot, public: T::Public) -> Self {
        Self { slot, public, object: UnsafeCell::new(None) }
    }
}

impl<T: Object> Entry<T> {
    /// Its slot.
    pub fn slot(&self) -> T::Slot {
        self.slot
    }
}

/// The one right to touch an object.
pub struct Owned<T: Object>(&'static Entry<T>);

impl<T: Object> Owned<T> {
    /// Puts an object into a free slot. The m-kernel only: it alone fills and frees slots, and says in
    /// `public` which are free.
    pub(crate) fn create(slot: T::Slot, object: T) -> Self {
        let entry = T::entry(slot);
        // SAFETY: a free slot has no `Owned`, and this makes the slot taken.
        let before = unsafe { (*entry.object.get()).replace(object) };
        assert!(before.is_none(), "the slot is taken");
        Self(entry)
    }

    /// Takes the object out of its slot. The m-kernel only, which then says that it is free.
    pub(crate) fn take(self) -> T {
        // SAFETY: `self` is the one owner.
        let object = unsafe { (*self.0.object.get()).take() };
        object.expect("an owned slot holds an object")
    }

    /// The owner of a slot, at the end of a message.
    ///
    /// # Safety
    /// The `Owned` of this slot was given up to the message.
    pub unsafe fn from_slot(slot: T::Slot) -> Self {
        Self(T::entry(slot))
    }

    /// Its slot.
    #[inline]
    pub fn slot(&self) -> T::Slot {
        self.0.slot
    }

    /// The object, and what every CPU may read about it.
    #[inline]
    pub fn parts(&mut self) -> (&mut T, &'static T::Public) {
        let public = self.public();
        (self, public)
    }

    /// What every CPU may read about it.
    #[inline]
    pub fn public(&self) -> &'static T::Public {
        &self.0.public
    }
}

impl<T: Object> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the one owner; the slot is filled as long as an owner exists.
        match unsafe { &*self.0.object.get() } {
            Some(object) => object,
            // SAFETY: as above.
            None => unsafe { unreachable_unchecked() },
        }
    }
}

impl<T: Object> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`.
        match unsafe { &mut *self.0.object.get() } {
            Some(object) => object,
            // SAFETY: as above.
            None => unsafe { unreachable_unchecked() },
        }
    }
}
